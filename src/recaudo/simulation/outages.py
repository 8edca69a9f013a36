"""A database whose server goes away for a moment while the process lives on.

A line to it breaks before a statement, after one took effect of which nobody hears, before a commit or after it. For so
many tries after that nobody answers. What fails is what the driver would raise, so that the product's own handling of
it is what is tried.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

from recaudo.simulation.story import Story
from recaudo.store.database import Connection, DatabaseAwayError

# How many who try to connect find nobody, after a line broke.
TRIES = (0, 0, 1, 2, 4, 9)
# There are far fewer commits than statements, and what becomes of them matters more.
COMMITS_WEIGHT = 8


class Outages:
    """When lines break, by chance. Without a rate none does."""

    def __init__(self, chance: Random, story: Story) -> None:
        self._chance = chance
        self._story = story
        self.rate = 0.0
        self.failures = 0  # so far: whoever was answered an error looks whether there was one meanwhile
        self._tries_left = 0

    def connect(self) -> "Line":
        """A new line. Raises ConnectionRefusedError while nobody answers."""
        if self._tries_left:
            self._tries_left -= 1
            self.failures += 1
            self._story.fault("outage found by others")
            raise ConnectionRefusedError("simulated: the database is away")
        return Line(self)

    def tempt(self, where: str) -> None:
        """A moment at which a line may break. Raises ConnectionResetError."""
        rate = self.rate * (COMMITS_WEIGHT if "commit" in where else 1)
        if rate and self._chance.random() < rate:
            self._story.fault(f"outage {where}", "process", f"the database goes away {where}")
            self._tries_left = self._chance.choice(TRIES)
            self.failures += 1
            raise ConnectionResetError(f"simulated: the database went away {where}")

    def end(self) -> None:
        """From now on everything answers."""
        self.rate, self._tries_left = 0.0, 0


class Line:
    """A connection, as long as its line holds. One that broke stays broken."""

    def __init__(self, outages: Outages) -> None:
        self._outages = outages
        self._connection: Any = None
        self._is_broken = False

    def over(self, connection: Connection) -> Connection:
        """The line itself, which looks like the connection that is behind it."""
        self._connection = connection
        return cast("Connection", self)

    def tempt(self, where: str) -> None:
        """A moment at which it may break, or is found to be broken."""
        if self._is_broken:
            raise ConnectionResetError("simulated: the line is broken")
        try:
            self._outages.tempt(where)
        except ConnectionResetError:
            self._is_broken = True
            raise

    async def fetch(self, *asked: Any, **options: Any) -> Any:  # noqa: ANN401 - as the driver's own
        """As the driver's, unless the line breaks; so are the others."""
        return await self._say(self._connection.fetch, asked, options)

    async def fetchrow(self, *asked: Any, **options: Any) -> Any:  # noqa: ANN401
        return await self._say(self._connection.fetchrow, asked, options)

    async def fetchval(self, *asked: Any, **options: Any) -> Any:  # noqa: ANN401
        return await self._say(self._connection.fetchval, asked, options)

    async def execute(self, *asked: Any, **options: Any) -> Any:  # noqa: ANN401
        return await self._say(self._connection.execute, asked, options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name not in {"transaction", "is_in_transaction"}:
            raise AttributeError(f"{name}: the simulation has no line for it yet")
        return getattr(self._connection, name)

    async def _say(
        self, statement: Callable[..., Awaitable[Any]], asked: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:  # noqa: ANN401
        self.tempt("before a statement")
        answer = await statement(*asked, **options)
        self.tempt("after a statement")
        return answer


@contextmanager
def away() -> Generator[None]:
    """What the store makes of a line that breaks outside of its own blocks."""
    try:
        yield
    except ConnectionError as error:
        raise DatabaseAwayError(str(error)) from error
