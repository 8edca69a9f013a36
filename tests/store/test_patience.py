"""Commands that meet a database which is not there yet, or stops and starts at that moment."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from recaudo.store.database import Database, DatabaseAwayError, DatabaseMistakeError, DatabaseStartingError
from recaudo.store.embedded import EmbeddedHandle, open_embedded
from recaudo.store.migrate import migrate
from recaudo.store.patience import patiently
from tests.commands import environment, recaudo
from tests.world import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals to the database's own processes")

NOBODY = "postgresql://user@127.0.0.1:1/recaudo"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "database"


@pytest.fixture
def handle(home: Path) -> Iterator[EmbeddedHandle]:
    with open_embedded(home) as handle:
        asyncio.run(migrate(handle.url))
        yield handle


class Telling:
    """A command that runs, and what it has said on standard error."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def until_it_says(self, words: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while words not in self.said:
                line = await self.process.stderr.readline()
                assert line, self.said
                self.said += line.decode()


@asynccontextmanager
async def started(*arguments: str, home: Path, url: str) -> AsyncIterator[Telling]:
    """A command of its own, killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recaudo", *arguments,
        env=environment(home, url), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Telling(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_server_and_a_worker_may_be_started_before_their_database(
    home: Path, handle: EmbeddedHandle, tmp_path: Path
) -> None:
    url, port = handle.url, free_port()
    handle.close(wait_s=20)
    async with (
        started("serve", "--port", str(port), "--no-worker", home=tmp_path / "home", url=url) as server,
        started("worker", home=tmp_path / "home", url=url) as worker,
    ):
        await server.until_it_says("Trying again")
        await worker.until_it_says("Trying again")
        with open_embedded(home):
            await _until_healthy(port)
            await _until_somebody_looks_for_work(url)
            for one in (server, worker):
                one.process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(one.process.wait(), 30) == 0


async def test_a_command_waits_for_a_database_that_is_just_being_restarted(
    handle: EmbeddedHandle, tmp_path: Path
) -> None:
    """A smart shutdown: PostgreSQL takes no new connection and waits for the one that is open."""
    last = await asyncpg.connect(handle.url)
    os.kill(int((handle.data_dir / "postmaster.pid").read_text().splitlines()[0]), signal.SIGTERM)
    async with started("doctor", home=tmp_path, url=handle.url) as doctor:
        await doctor.until_it_says("shutting down")
        await last.close()
        await doctor.until_it_says("Every stored status and sum agrees")
        assert await asyncio.wait_for(doctor.process.wait(), 30) == 0
    assert doctor.said.count("Trying again") == 1, doctor.said


async def test_a_wrong_address_is_no_matter_of_time(handle: EmbeddedHandle, tmp_path: Path) -> None:
    for url in (
        re.sub(r"//[^@/]*@", "//nobody@", handle.url),
        re.sub(r"(//[^/]*/)[^?]*", r"\1no_such_database", handle.url),
        "nonsense",
    ):
        with pytest.raises(DatabaseMistakeError):
            await patiently(lambda url=url: Database.connect(url), _never)
        ended = await recaudo("worker", environment=environment(tmp_path, url))
        assert ended.status == 1
        assert "Trying again" not in ended.err


async def test_patience_ends() -> None:
    heard: list[DatabaseAwayError] = []
    with pytest.raises(DatabaseAwayError):
        await patiently(lambda: Database.connect(NOBODY), heard.append, patience_s=1.2)
    assert 2 <= len(heard) <= 3


async def test_who_waits_only_for_a_start_hears_of_a_database_that_is_not_there_at_once() -> None:
    with pytest.raises(DatabaseAwayError, match="cannot be reached"):
        await patiently(lambda: Database.connect(NOBODY), _never, kind=DatabaseStartingError)


def _never(error: DatabaseAwayError) -> None:
    raise AssertionError(f"waits for {error}")


async def _until_healthy(port: int) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def _until_somebody_looks_for_work(url: str) -> None:
    """The worker has looked for due work: `serve` was told not to."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'recaudo' AND query LIKE '%due%'"
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(30):
            while await connection.fetchval(query) == 0:  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
