"""A process that may die at each of its calls, and the order in which its tasks reach the database.

The product knows nothing of it: the database that it is handed dies before a block, inside a transaction, or after the
commit that nobody hears of any more; gateways and receivers die after they have done what they were asked. With that
every place between prepare, perform and conclude is covered.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Any

from recaudo.simulation.outages import Line, Outages, away
from recaudo.simulation.story import Story
from recaudo.store.database import Connection, Database

# How often the loop is let run before a turn is given, so that everybody who is on their way has arrived: between two
# blocks of a task nothing is waited for but other tasks.
ARRIVING_TURNS = 40


class Crash(BaseException):
    """The process is gone. No handler of errors may stop this."""


class Fate:
    """Whether the process dies here. Without a rate it never does."""

    def __init__(self, chance: Random, story: Story) -> None:
        self._chance = chance
        self._story = story
        self.rate = 0.0
        self.died = asyncio.Event()

    def tempt(self, where: str) -> None:
        """A moment at which a process may die. Raises Crash; what is dead already does nothing more."""
        if self.died.is_set():
            raise Crash(where)
        if self.rate and self._chance.random() < self.rate:
            self._story.fault(f"crash {where}", "process", f"the process dies {where}")
            self.died.set()
            raise Crash(where)


class Turnstile:
    """One block at the database at a time; who is next when several wait is the seed's choice.

    So tasks that run at once meet in another order with each seed, and in the same order whenever the seed is the same.
    """

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._holder: asyncio.Task[Any] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._choosing: asyncio.Task[None] | None = None
        self._is_given = False
        self.is_crowded = False

    @property
    def is_mine(self) -> bool:
        """Whether the task that asks is inside already."""
        return self._holder is not None and self._holder is asyncio.current_task()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for the turn, and keep it for the block."""
        if self.is_mine:
            yield
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._offer()
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif waiting.done() and not waiting.cancelled():
                self._give_up()
            raise
        self._holder = asyncio.current_task()
        try:
            yield
        finally:
            self._give_up()

    def _give_up(self) -> None:
        self._holder, self._is_given = None, False
        self._offer()

    def _offer(self) -> None:
        if not self._is_given and self._waiting and (self._choosing is None or self._choosing.done()):
            self._choosing = asyncio.create_task(self._choose())

    async def _choose(self) -> None:
        for _ in range(ARRIVING_TURNS if self.is_crowded else 1):
            await asyncio.sleep(0)
        if self._waiting and not self._is_given:
            self._is_given = True
            self._waiting.pop(self._chance.randrange(len(self._waiting))).set_result(None)


class FragileDatabase(Database):
    """The database as a process sees it that may die at any moment, and as it is when its server may go away."""

    fate: Fate | None = None
    turnstile: Turnstile | None = None
    outages: Outages | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """As the real one; the process may die before or after, and the line break at each statement."""
        async with self._turn():
            self._tempt("before a statement")
            line = self._line()
            async with super().connection() as connection:
                yield connection if line is None else line.over(connection)
            self._tempt("after a statement")

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """As the real one; the process may die before, before the commit, or after it, and the line break as well."""
        async with self._turn():
            self._tempt("before a transaction")
            line = self._line()
            async with super().transaction() as connection:
                yield connection if line is None else line.over(connection)
                self._tempt("before a commit")
                if line is not None:
                    line.tempt("before a commit")
            self._tempt("after a commit")
            if line is not None:
                with away():
                    line.tempt("after a commit")

    @contextmanager
    def calm(self) -> Generator[None]:
        """Nobody dies, nothing breaks and nobody waits here for the block: for those who look from outside."""
        was = self.fate, self.turnstile, self.outages
        self.fate = self.turnstile = self.outages = None
        try:
            yield
        finally:
            self.fate, self.turnstile, self.outages = was

    def _line(self) -> Line | None:
        """A new line to the server. Raises DatabaseAwayError while it is away."""
        if self.outages is None:
            return None
        with away():
            return self.outages.connect()

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        if self.turnstile is None:
            yield
            return
        async with self.turnstile.turn():
            yield

    def _tempt(self, where: str) -> None:
        if self.fate is not None:
            self.fate.tempt(where)
