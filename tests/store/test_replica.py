"""Lists are read from a replica that keeps up, and from the database whenever it does not. Both are real servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from recaudo.store.database import Connection, Database
from recaudo.store.lists import UnknownCursorError
from recaudo.store.migrate import migrate
from recaudo.store.replica import BEHIND_MAX_S, LOOK_EVERY_S, REST_S, Lists
from tests.standby import Standby, replicated
from tests.watch import Watch
from tests.world import World, running


@pytest.fixture(scope="module")
async def standby() -> AsyncIterator[Standby]:
    async with replicated() as made:
        await migrate(made.handle.url)
        await made.catch_up()
        yield made


@pytest.fixture
async def database(standby: Standby) -> AsyncIterator[Database]:
    made = await Database.connect(standby.handle.url, connections_max=2)
    yield made
    await made.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def lists(standby: Standby, database: Database, watch: Watch) -> AsyncIterator[Lists]:
    made = Lists(database, standby.url, connections_max=2, monotonic=watch.seconds)
    yield made
    await made.close()


async def is_replica(connection: Connection) -> bool:
    found: bool = await connection.fetchval("SELECT pg_is_in_recovery()")
    return found


async def until_health(world: World, replica: str) -> None:
    """/health tells what it saw a second ago at most; a replica that is not used is no reason for a 503."""
    async with asyncio.timeout(10):
        while True:
            async with world.session.get(f"{world.base_url}/health") as response:
                assert response.status == 200
                if (await response.json())["replica"] == replica:
                    return
            await asyncio.sleep(0.1)


async def write_something(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT pg_logical_emit_message(true, 'test', 'something')")


async def test_without_a_replica_lists_are_read_from_the_database(database: Database) -> None:
    lists = Lists(database)
    assert await lists.read(is_replica) is False
    assert lists.state == "none"


async def test_a_replica_that_keeps_up_is_read(lists: Lists) -> None:
    assert await lists.read(is_replica) is True
    assert lists.state == "used"


async def test_one_that_stands_still_is_read_for_seconds_only_and_again_once_it_has_caught_up(
    lists: Lists, standby: Standby, database: Database, watch: Watch
) -> None:
    assert await lists.read(is_replica) is True
    async with standby.standing_still():
        await write_something(database)
        watch.at += LOOK_EVERY_S
        assert await lists.read(is_replica) is True, "a list may be some seconds old"
        watch.at += BEHIND_MAX_S
        assert await lists.read(is_replica) is False
        assert lists.state == "behind"
    assert await lists.read(is_replica) is False, "nobody looked yet"
    watch.at += LOOK_EVERY_S
    assert await lists.read(is_replica) is True


async def test_after_a_quiet_hour_an_old_replica_does_not_pass_for_a_new_one(
    lists: Lists, standby: Standby, database: Database, watch: Watch
) -> None:
    assert await lists.read(is_replica) is True
    async with standby.standing_still():
        await write_something(database)
        watch.at += 3600
        assert await lists.read(is_replica) is False


async def test_one_that_dies_costs_no_answer_and_is_read_again_when_it_is_back(
    lists: Lists, standby: Standby, watch: Watch
) -> None:
    assert await lists.read(is_replica) is True
    await standby.stop()
    try:
        assert await lists.read(is_replica) is False
        assert lists.state == "away"
        watch.at += REST_S
        assert await lists.read(is_replica) is False
    finally:
        await standby.start()
        await standby.catch_up()
    watch.at += REST_S
    assert await lists.read(is_replica) is True


async def test_a_cursor_that_the_replica_does_not_know_is_looked_for_in_the_database(lists: Lists) -> None:
    async def look(connection: Connection) -> bool:
        if await is_replica(connection):
            raise UnknownCursorError(str(uuid4()))
        return False

    assert await lists.read(look) is False
    assert lists.state == "used", "that is no fault of the replica"


async def test_the_server_reads_lists_from_its_replica_and_says_so(
    standby: Standby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECAUDO_REPLICA_URL", standby.url)
    async with running(standby.handle.url, tmp_path, runs_worker=False) as world:
        client = await world.merchant()
        made = await client.invoice()
        await standby.catch_up()
        listed = await client.get("/v1/invoices")
        assert [row["id"] for row in listed.json["data"]] == [made["id"]]
        async with standby.standing_still():
            await client.invoice()
            behind = await client.get("/v1/invoices")
            assert len(behind.json["data"]) == 1, "the list came from the replica"
        assert len((await client.get("/v1/invoices")).json["data"]) == 2
        await until_health(world, "used")


async def test_a_server_whose_replica_is_not_there_starts_and_serves(
    standby: Standby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECAUDO_REPLICA_URL", "postgresql://reader:s3cret-of-it@127.0.0.1:9/recaudo")
    async with running(standby.handle.url, tmp_path, runs_worker=False) as world:
        client = await world.merchant()
        await client.invoice()
        assert len((await client.get("/v1/invoices")).json["data"]) == 1
        await until_health(world, "away")
    assert "s3cret-of-it" not in (tmp_path / "server.log").read_text()
