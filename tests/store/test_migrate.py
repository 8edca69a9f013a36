"""Migrations: from nothing, together, half-way, and a database that is not of this program's version."""

import asyncio
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest

from recaudo.store.migrate import (
    VERSIONS,
    DatabaseNotMigratedError,
    DatabaseTooNewError,
    MigrationFailedError,
    database_version,
    migrate,
    require_current,
)
from tests.commands import environment, recaudo
from tests.databases import own_database, plain
from tests.world import free_port

TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


@pytest.fixture
async def empty_url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url, migrated=False) as url:
        yield url


def test_every_migration_has_its_sql_and_its_revision() -> None:
    folder = resources.files("recaudo.store") / "migrations"
    sql = sorted(f.name.removesuffix(".sql") for f in folder.iterdir() if f.name.endswith(".sql"))
    revisions = sorted(f.name for f in (folder / "versions").iterdir() if f.name.startswith("r0"))
    assert sql == sorted(VERSIONS)
    assert revisions == sorted(f"r{version}.py" for version in VERSIONS)


async def test_a_fresh_database_gets_every_migration_once(empty_url: str) -> None:
    assert await database_version(empty_url) is None
    with pytest.raises(DatabaseNotMigratedError, match="recaudo migrate"):
        await require_current(empty_url)
    told: list[str] = []
    assert await migrate(empty_url, progress=told.append) == list(VERSIONS)
    assert len(told) == len(VERSIONS)
    assert await database_version(empty_url) == VERSIONS[-1]
    await require_current(empty_url)
    assert await migrate(empty_url) == []


async def test_two_migrations_at_once_take_turns(empty_url: str) -> None:
    done = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert sorted(done, key=len) == [[], [], [], list(VERSIONS)]


async def test_a_newer_database_is_refused_and_not_touched(empty_url: str, tmp_path: Path) -> None:
    await migrate(empty_url)
    async with plain(empty_url) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    for refuse in (migrate, require_current, database_version):
        with pytest.raises(DatabaseTooNewError, match=r"9999_from_the_future.*Install a newer Recaudo"):
            await refuse(empty_url)
    for command in (("migrate",), ("serve", "--port", str(free_port())), ("doctor",), ("worker",)):
        ended = await recaudo(*command, environment=environment(tmp_path, empty_url))
        assert ended.status == 1
        assert_one_sentence(ended.err, "9999_from_the_future")
    async with plain(empty_url) as connection:
        assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999_from_the_future"


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str, tmp_path: Path) -> None:
    async with plain(empty_url) as connection:
        await connection.execute("CREATE TABLE idempotency (somebody_elses integer)")
    with pytest.raises(MigrationFailedError, match="already exists"):
        await migrate(empty_url)
    ended = await recaudo("migrate", environment=environment(tmp_path, empty_url))
    assert ended.status == 1
    assert "nothing was changed" in ended.err
    assert "Traceback" not in ended.err
    async with plain(empty_url) as connection:
        assert await connection.fetchval(TABLES) == 1, "only the table that was in the way"
        await connection.execute("DROP TABLE idempotency")
    assert await migrate(empty_url) == list(VERSIONS)


async def test_serving_an_operators_database_that_was_not_migrated_says_what_to_run(
    empty_url: str, tmp_path: Path
) -> None:
    for command in (("serve", "--port", str(free_port())), ("worker",), ("doctor",)):
        ended = await recaudo(*command, environment=environment(tmp_path, empty_url))
        assert ended.status == 1, command
        assert_one_sentence(ended.err, "recaudo migrate")
    async with plain(empty_url) as connection:
        assert await connection.fetchval(TABLES) == 0, "an operator's database is migrated only when they say so"


async def test_the_command_migrates_and_says_so(empty_url: str, tmp_path: Path) -> None:
    first, second = [await recaudo("migrate", environment=environment(tmp_path, empty_url)) for _ in range(2)]
    assert (first.status, second.status) == (0, 0)
    assert f"Done: {', '.join(VERSIONS)}" in first.err
    assert "up to date" in second.err


def assert_one_sentence(text: str, part: str) -> None:
    lines = text.strip().splitlines()
    assert lines[0].startswith("recaudo: "), text
    assert len(lines) == 1, text
    assert part in lines[0]
