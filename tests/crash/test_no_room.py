"""A database without room or without free connections: told clearly, nothing half done, and over by itself.

Two ways to have no room. A small file system that is filled needs the right to mount one. A limit on the size of
PostgreSQL's files works everywhere: with it no segment of the write-ahead log can be made, which ends PostgreSQL as a
full disk does.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from recaudo.store.embedded import EmbeddedHandle, open_embedded
from recaudo.store.embedded_keeper import running_postmaster
from recaudo.store.migrate import migrate
from tests.concurrency.test_races import INVOICE
from tests.dialects.treli.wire import speaks_treli
from tests.store.test_embedded import keepers
from tests.world import Answer, Client, World, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of running processes, and mounts")

SMALL = "size=120m"
LIMIT_BYTES = 12 * 1024 * 1024  # a segment of the write-ahead log has 16
UNAVAILABLE = "El servicio no está disponible en este momento. Intente de nuevo."


def can_mount() -> bool:
    """Whether a file system can be made here. Tried for real, as containers give root any set of rights."""
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


class SmallDisk:
    """A file system of its own, filled to the last byte."""

    def __init__(self, home: Path) -> None:
        self._ballast = home / "ballast"

    def fill(self, _: EmbeddedHandle) -> None:
        room = os.statvfs(self._ballast.parent)
        self._ballast.write_bytes(b"x" * room.f_bavail * room.f_bsize)

    def make_room(self, _: EmbeddedHandle) -> None:
        self._ballast.unlink()


class SmallFiles:
    """No file of PostgreSQL may grow any more. Its keeper's limit is what each server that it starts gets."""

    def fill(self, handle: EmbeddedHandle) -> None:
        self._limit(handle, LIMIT_BYTES)
        pid = running_postmaster(handle.data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def make_room(self, handle: EmbeddedHandle) -> None:
        self._limit(handle, None)

    def _limit(self, handle: EmbeddedHandle, soft: int | None) -> None:
        (keeper,) = keepers(handle.data_dir.parents[1])
        _, hard = keeper.rlimit(psutil.RLIMIT_FSIZE)
        keeper.rlimit(psutil.RLIMIT_FSIZE, (hard if soft is None else soft, hard))


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "small"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", home], check=True)
    try:
        yield home
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)  # PostgreSQL stops a moment after its last user


@contextlib.asynccontextmanager
async def served(home: Path, logs: Path) -> AsyncIterator[tuple[EmbeddedHandle, World]]:
    """A server on an embedded PostgreSQL of its own."""
    with await asyncio.to_thread(open_embedded, home) as handle:
        await migrate(handle.url)
        async with running(handle.url, logs) as world:
            yield handle, world


async def create(client: Client, key: str) -> Answer:
    return await client.post("/v1/invoices", {**INVOICE, "provider_id": key}, once=key)


async def health(world: World) -> tuple[int, str]:
    async with world.session.get(f"{world.base_url}/health") as response:
        return response.status, (await response.json())["status"]


async def until_health(world: World, wanted: tuple[int, str]) -> None:
    async with asyncio.timeout(60):
        while await health(world) != wanted:  # noqa: ASYNC110 - another process's word
            await asyncio.sleep(0.2)


async def refused(client: Client) -> None:
    """A write is refused in each dialect's words, with the advice to come again."""
    body: dict[str, Any] = {"full_name": "Ana Ruiz", "email": "ana@example.com", "metadata": {"x": "y" * 20_000}}
    ours = await create(client, "refused")
    theirs = await speaks_treli(client).post("/v1/customers", body, once="refused")
    assert (ours.status, ours.json["code_name"], ours.json["message"]) == (503, "unavailable", UNAVAILABLE)
    assert (theirs.status, theirs.json["code"], theirs.json["message"]) == (503, "unavailable", UNAVAILABLE)
    assert {a.headers["Retry-After"] for a in (ours, theirs)} == {"1"}


async def recovered(world: World, client: Client, kept: dict[str, bytes]) -> None:
    """Without anybody's help: what was acknowledged is there, and what was refused can be asked for again, once."""
    await until_health(world, (200, "ok"))
    for key in [*kept, "refused"]:
        again = await create(client, key)
        assert again.status == 201
        assert ("Idempotent-Replayed" in again.headers) == (key in kept)
        assert again.body == kept.get(key, again.body)
    rows = await world.rows("SELECT origin_id, count(*) AS n FROM invoice GROUP BY 1")
    assert {row["origin_id"]: row["n"] for row in rows} == dict.fromkeys([*kept, "refused"], 1)
    assert await world.findings(client.account_id) == []


async def some(client: Client) -> dict[str, bytes]:
    """Invoices that are there before the trouble begins."""
    answers = {key: await create(client, key) for key in ("a", "b", "c")}
    assert {a.status for a in answers.values()} == {201}
    return {key: answer.body for key, answer in answers.items()}


if can_mount():

    async def test_a_full_disk_refuses_writes_and_health_names_it(small_home: Path, tmp_path: Path) -> None:
        disk = SmallDisk(small_home)
        async with served(small_home, tmp_path) as (handle, world):
            client = await world.merchant()
            kept = await some(client)
            disk.fill(handle)
            # There is room in pages that are not full yet.
            number = 0
            while (answer := await create(client, f"more {number}")).status == 201:
                kept[f"more {number}"] = answer.body
                number += 1
            await until_health(world, (503, "disk_full"))
            await refused(client)
            assert (await client.get("/v1/invoices")).status == 200
            disk.make_room(handle)
            await recovered(world, client, kept)

    @pytest.mark.timeout(180)
    async def test_a_keeper_that_dies_on_a_full_disk_is_replaced_and_all_comes_back_with_room(
        small_home: Path, tmp_path: Path
    ) -> None:
        disk = SmallDisk(small_home)
        async with served(small_home, tmp_path) as (handle, world):
            client = await world.merchant()
            kept = await some(client)
            disk.fill(handle)
            await use_up_the_log(handle)
            (keeper,) = keepers(small_home)
            keeper.kill()
            # Through some tries to start another, which must have a PostgreSQL to begin with.
            await asyncio.sleep(4)
            assert await health(world) == (503, "database_away")
            disk.make_room(handle)
            await recovered(world, client, kept)


WAYS = ["small files", *(["small disk"] if can_mount() else [])]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", WAYS)
async def test_a_log_without_room_ends_postgresql_which_comes_back_with_room(
    way: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    home = request.getfixturevalue("small_home") if way == "small disk" else tmp_path / "home"
    trouble = SmallDisk(home) if way == "small disk" else SmallFiles()
    async with served(home, tmp_path) as (handle, world):
        client = await world.merchant()
        kept = await some(client)
        trouble.fill(handle)
        await use_up_the_log(handle)
        await until_health(world, (503, "database_away"))
        # Through some tries of the keeper.
        await asyncio.sleep(4)
        assert await health(world) == (503, "database_away")
        await refused(client)
        trouble.make_room(handle)
        await recovered(world, client, kept)


async def use_up_the_log(handle: EmbeddedHandle) -> None:
    """Go on to segments of the log that are not there, until PostgreSQL ends and cannot be started."""
    async with asyncio.timeout(60):
        while "could not be started again" not in handle.log_path.read_text():
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                connection = await asyncpg.connect(handle.url)
                await connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal()")
                await connection.close()
            await asyncio.sleep(0.1)


async def test_connections_that_others_took_are_named_and_waited_for(tmp_path: Path) -> None:
    async with served(tmp_path / "home", tmp_path) as (handle, world):
        client = await world.merchant()
        kept = await some(client)
        others: list[asyncpg.Connection] = []
        try:
            await take_all(handle.url, others)
            await until_health(world, (503, "connections_taken"))
            await refused(client)
        finally:
            for connection in others:
                await connection.close()
        await recovered(world, client, kept)


async def take_all(url: str, taken: list[asyncpg.Connection]) -> None:
    """Every connection there is, those of Recaudo among them, until it has had none for a while."""
    ours = "FROM pg_stat_activity WHERE application_name = 'recaudo'"
    missed = 0
    while missed < 20:
        try:
            taken.append(await asyncpg.connect(url))
            missed = 0
        except asyncpg.TooManyConnectionsError:
            # Whoever is quicker has the place of one that was ended: no pause here.
            missed = 0 if await taken[0].fetch(f"SELECT pg_terminate_backend(pid) {ours}") else missed + 1
