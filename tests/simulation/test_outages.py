"""The instrument alone: a line that breaks fails as the driver does, stays broken, and leaves what a server would."""

from random import Random

import pytest

from recaudo.simulation.crashes import FragileDatabase
from recaudo.simulation.outages import Outages
from recaudo.simulation.story import Story
from recaudo.store.database import DatabaseAwayError

MADE = "INSERT INTO merchant (id, slug, name, created_at) VALUES (gen_random_uuid(), 'uno', 'Uno', now())"


class Once(Outages):
    """A line breaks at one place, once, and so many who try after that find nobody."""

    def __init__(self, where: str, tries: int = 0) -> None:
        super().__init__(Random(1), Story())
        self._where = where
        self._tries = tries

    def tempt(self, where: str) -> None:
        if where == self._where:
            self._where, self._tries_left = "", self._tries
            raise ConnectionResetError(where)


async def merchants(database: FragileDatabase) -> int:
    with database.calm():
        async with database.connection() as connection:
            return await connection.fetchval("SELECT count(*) FROM merchant")


@pytest.mark.parametrize(
    ("block", "where", "made"),
    [
        ("connection", "before a statement", 0),
        ("connection", "after a statement", 1),
        ("transaction", "before a statement", 0),
        ("transaction", "after a statement", 0),
        ("transaction", "before a commit", 0),
        ("transaction", "after a commit", 1),
    ],
)
async def test_what_was_committed_outlives_a_line_that_broke_and_nothing_else_does(
    wiped: FragileDatabase, block: str, where: str, made: int
) -> None:
    wiped.outages = Once(where)
    with pytest.raises(DatabaseAwayError):
        async with getattr(wiped, block)() as connection:
            await connection.execute(MADE)
    assert await merchants(wiped) == made


async def make_stubbornly(database: FragileDatabase) -> None:
    """As a caller does that goes on after an error inside of its transaction."""
    async with database.transaction() as connection:
        with pytest.raises(ConnectionResetError):
            await connection.execute(MADE)
        with pytest.raises(ConnectionResetError):
            await connection.fetchval("SELECT 1")


async def test_who_goes_on_over_a_broken_line_commits_nothing(wiped: FragileDatabase) -> None:
    wiped.outages = Once("after a statement")
    with pytest.raises(DatabaseAwayError):
        await make_stubbornly(wiped)
    assert await merchants(wiped) == 0


async def test_for_some_tries_nobody_answers_and_then_the_database_is_back(wiped: FragileDatabase) -> None:
    wiped.outages = Once("before a statement", tries=2)
    with pytest.raises(DatabaseAwayError):
        async with wiped.connection() as connection:
            await connection.execute(MADE)
    for _ in range(2):
        with pytest.raises(DatabaseAwayError):
            async with wiped.connection():
                pytest.fail("nobody answers")
    async with wiped.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1
