"""A standby of the embedded PostgreSQL: a second real server that follows the first by streaming replication."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from recaudo.store.embedded import EmbeddedHandle, open_embedded
from recaudo.store.embedded_keeper import SETTINGS, clean_environment

PORT = 5433
PATIENCE_S = 60


@dataclass
class Standby:
    """The follower, which can be told to stand still, and be stopped."""

    handle: EmbeddedHandle
    folder: Path
    url: str

    def run(self, program: str, *arguments: str | Path) -> None:
        """A program of PostgreSQL as whoever owns the first server's files, which cannot be root."""
        owner = self.handle.data_dir.stat()
        command: Sequence[str | Path] = [self.handle.bin_dir / program, *arguments]
        as_owner: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid} if os.getuid() == 0 else {}
        subprocess.run(command, check=True, env=clean_environment(), cwd="/", capture_output=True, **as_owner)

    async def start(self) -> None:
        log = self.folder.with_suffix(".log")
        try:
            await asyncio.to_thread(
                self.run, "pg_ctl", "-D", self.folder, "-l", log, "-w", "-t", str(PATIENCE_S), "start"
            )
        except subprocess.CalledProcessError as error:
            raise AssertionError(log.read_text()) from error

    async def stop(self) -> None:
        await asyncio.to_thread(self.run, "pg_ctl", "-D", self.folder, "-m", "immediate", "-w", "stop")

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def standing_still(self) -> AsyncIterator[None]:
        """It takes what is written and shows nothing of it, for as long as the block lasts; then it catches up."""
        await self.execute("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            await self.execute("SELECT pg_wal_replay_resume()")
        await self.catch_up()

    async def catch_up(self) -> None:
        """Wait until it has what the first server has written by now."""
        first = await asyncpg.connect(self.handle.url)
        second = await asyncpg.connect(self.url)
        try:
            written = await first.fetchval("SELECT pg_current_wal_lsn()::text")
            async with asyncio.timeout(PATIENCE_S):
                reached = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
                while not await second.fetchval(reached, written):  # noqa: ASYNC110 - another server's word
                    await asyncio.sleep(0.02)
        finally:
            await first.close()
            await second.close()


@contextlib.asynccontextmanager
async def replicated() -> AsyncIterator[Standby]:
    """An embedded server of its own and a running standby of it, for as long as the block lasts."""
    # Not below pytest's folder: who owns the database's files is another user when this is root, and may not enter it.
    parent = Path(tempfile.mkdtemp(prefix="recaudo-replicated-"))
    home = parent / "home"
    home.mkdir()
    for folder in (parent, home):
        folder.chmod(0o711)
    handle = await asyncio.to_thread(open_embedded, home)
    try:
        owner = handle.data_dir.stat()
        beside = parent / "standby"
        beside.mkdir()
        os.chown(beside, owner.st_uid, owner.st_gid)
        async with _standby(handle, beside / "data") as made:
            yield made
    finally:
        await asyncio.to_thread(handle.close, wait_s=PATIENCE_S)
        shutil.rmtree(parent, ignore_errors=True)


@contextlib.asynccontextmanager
async def _standby(handle: EmbeddedHandle, folder: Path) -> AsyncIterator[Standby]:
    parts = urlsplit(handle.url)
    where = parse_qs(parts.query)
    sockets, port = where["host"][0], where["port"][0]
    standby = Standby(handle, folder, parts._replace(query=f"host={sockets}&port={PORT}").geturl())
    copy = ("pg_basebackup", "-D", folder, "-R", "-X", "stream", "-c", "fast", "-U", "postgres")
    await asyncio.to_thread(standby.run, *copy, "-h", sockets, "-p", port)
    with (folder / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        # The embedded server has its settings on its command line. A standby needs as many connections as the first.
        settings.write(f"port = {PORT}\nlisten_addresses = ''\nunix_socket_directories = '{sockets}'\n")
        settings.write(f"max_connections = {SETTINGS['max_connections']}\n")
    await standby.start()
    try:
        yield standby
    finally:
        await standby.stop()
