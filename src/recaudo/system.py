"""The real clock and the real chance: what the program hands to the pure parts. Used by the composition root only."""

import itertools
import os
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from recaudo.store.database import Uuid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DRAWN_TOGETHER = 512
_HALVES = struct.Struct(">QQ")


def random_fraction() -> float:
    """A number between 0 and 1, to spread what would otherwise happen at once."""
    return int.from_bytes(os.urandom(4)) / 2**32


class SystemClock:
    """Real time, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RandomIds:
    """UUIDv7 made from the instant they are given.

    The 12 bits after the milliseconds hold the fraction of the millisecond (RFC 9562, method 3), so ids of one
    account sort by creation to the microsecond. 62 bits are random: an id cannot be guessed from another.
    """

    def new(self, at: datetime) -> UUID:
        micros = (at - _EPOCH) // _MICROSECOND
        millis, rest = divmod(micros, 1000)
        fraction = (rest << 12) // 1000
        random = int.from_bytes(os.urandom(8)) >> 2
        return Uuid((millis << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random).to_bytes(16))

    def many(self, at: datetime) -> Callable[[], UUID]:
        """The same for thousands at once: each is a quarter of a microsecond later than the one before.

        Chance is drawn for many of them together: that is a third of what an id costs.
        """
        micros = (at - _EPOCH) // _MICROSECOND
        millis, rest = divmod(micros, 1000)
        ticks = itertools.count(millis << 12 | (rest << 12) // 1000)

        def made() -> Iterator[UUID]:
            while True:
                for random in struct.unpack(f"{_DRAWN_TOGETHER}Q", os.urandom(8 * _DRAWN_TOGETHER)):
                    tick = next(ticks)
                    yield Uuid(_HALVES.pack(tick >> 12 << 16 | 7 << 12 | tick & 0xFFF, 2 << 62 | random >> 2))

        return made().__next__
