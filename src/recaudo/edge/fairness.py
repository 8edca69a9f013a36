"""How much of a server process one tenant may use at a time, so that its flood of reads does not starve the others.

A page of a hundred rows takes milliseconds of the one thread that serves everybody, and a connection of a small pool.
Beyond a few at once an account's reads wait in a line of their own, and the other accounts' pass by. Creations are not
counted: they share statements and commits, and the more come at once the less each costs.
"""

import asyncio
from collections import deque
from collections.abc import Hashable

RUNNING_MAX = 8
WAITING_MAX = 1000


class Turnstile:
    """Lets so many through at a time for each key, the first to come first."""

    def __init__(self, *, running_max: int = RUNNING_MAX, waiting_max: int = WAITING_MAX) -> None:
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._running: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def enter(self, key: Hashable) -> bool:
        """Wait for a place; whoever gets one must `leave`. False, at once, when the line is too long."""
        running = self._running.get(key, 0)
        if running < self._running_max:
            self._running[key] = running + 1
            return True
        line = self._waiting.setdefault(key, deque())
        if len(line) >= self._waiting_max:
            return False
        place = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                # Still in line. It may be gone already when the places before it ended meanwhile.
                self._forget(key, place)
            else:
                self.leave(key)
            raise
        return True

    def leave(self, key: Hashable) -> None:
        """Give a place back: to the first in line, if anybody waits."""
        line = self._waiting.get(key)
        while line:
            place = line.popleft()
            if not line:
                del self._waiting[key]
            if not place.done():
                place.set_result(None)
                return
        left = self._running[key] - 1
        if left:
            self._running[key] = left
        else:
            del self._running[key]

    def _forget(self, key: Hashable, place: asyncio.Future[None]) -> None:
        line = self._waiting.get(key)
        if line and place in line:
            line.remove(place)
            if not line:
                del self._waiting[key]
