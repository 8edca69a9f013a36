"""Time and chance of a run: both come from the seed, and nothing else does."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

BEGINNING = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
# Each look at the clock takes a moment, so no two things happen at the same instant.
TICK = timedelta(milliseconds=1)


class SimulatedClock:
    """A clock that stands still until it is looked at, or moved."""

    def __init__(self) -> None:
        self.time = BEGINNING

    def now(self) -> datetime:
        """The present instant; the next look finds a later one."""
        self.time += TICK
        return self.time

    def seconds(self) -> float:
        """The same as a number that only grows, for what measures spans."""
        return (self.time - BEGINNING).total_seconds()

    def jump(self, span: timedelta) -> None:
        """Let time pass."""
        self.time += span


class SeededIds:
    """UUIDv7 as the product's own, with the seed's chance in place of the machine's."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def new(self, at: datetime) -> UUID:
        """A new id that sorts by the instant it is made for."""
        micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        millis, rest = divmod(micros, 1000)
        high = millis << 80 | 7 << 76 | ((rest << 12) // 1000) << 64
        return UUID(int=high | 2 << 62 | self._chance.getrandbits(62))
