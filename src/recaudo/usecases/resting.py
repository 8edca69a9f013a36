"""Whom not to ask for a while: a gateway that did not answer several times in a row is left alone, then tried again.

Kept in the memory of one process. One merchant's gateway that hangs must not take all the places of the worker from the
others, and a gateway that limits calls must not be pressed.
"""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

RESTS_AFTER: Final = 5
RESTS_FOR: Final = timedelta(seconds=60)
KEYS_MAX: Final = 10_000


class Rests:
    """How often in a row each one did not answer, and until when it rests. The oldest are forgotten."""

    def __init__(self) -> None:
        self._silent: OrderedDict[Hashable, tuple[int, datetime]] = OrderedDict()

    def is_resting(self, key: Hashable, now: datetime) -> bool:
        """Whether it is left alone now."""
        times, last = self._silent.get(key, (0, now))
        return times >= RESTS_AFTER and now < last + RESTS_FOR

    def note(self, key: Hashable, now: datetime, *, answered: bool) -> None:
        """Remember how a question went. After a rest, one more silence is enough for the next."""
        if answered:
            self._silent.pop(key, None)
            return
        times, _ = self._silent.get(key, (0, now))
        self._silent[key] = times + 1, now
        self._silent.move_to_end(key)
        if len(self._silent) > KEYS_MAX:
            self._silent.popitem(last=False)
