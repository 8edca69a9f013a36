"""The loops that nobody waits for: numbers of lists are folded every few seconds, old rows are swept every hour.

Every process may run them: what two do at once is done once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from recaudo.store.database import DatabaseAwayError
from recaudo.usecases import upkeep
from recaudo.usecases.core import Core
from recaudo.usecases.upkeep import Kept

FOLD_EVERY_S = 5.0
SWEEP_EVERY_S = 3600.0
# A sweep leaves the database to others between its batches.
REST_S = 0.1
# Looking for what to fold reads more, the more accounts there are: it never takes more than a fiftieth of the time.
IDLE_SHARE = 50

_log: Any = structlog.get_logger("recaudo.worker")


async def run(core: Core, stop: asyncio.Event, kept: Kept) -> None:
    """Keep the database in order until `stop` is set."""

    async def rest() -> bool:
        await _pause(stop, REST_S)
        return not stop.is_set()

    await asyncio.gather(
        _repeat("fold", lambda: upkeep.fold(core), FOLD_EVERY_S * (0.5 + core.chance()), stop),
        # Processes that start together do not sweep together.
        _repeat("sweep", lambda: upkeep.sweep(core, kept, rest=rest), SWEEP_EVERY_S * (0.5 + core.chance()), stop),
    )


async def _repeat(name: str, act: Callable[[], Awaitable[int]], every_s: float, stop: asyncio.Event) -> None:
    pause_s = every_s
    while not stop.is_set():
        await _pause(stop, pause_s)
        if stop.is_set():
            return
        began_s = time.monotonic()
        try:
            done = await act()
        except DatabaseAwayError as error:
            _log.warning("database_away", table=name, reason=str(error))
            done = 0
        except Exception as error:  # noqa: BLE001 - a loop that dies is a database that silently grows
            _log.error("loop_failed", table=name, exc_info=error)
            done = 0
        if done and name == "sweep":
            _log.info("swept", rows=done)
        pause_s = max(every_s, (time.monotonic() - began_s) * IDLE_SHARE) if name == "fold" else every_s


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
