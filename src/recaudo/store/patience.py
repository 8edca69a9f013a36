"""Waiting, as something starts, for a database that is away for a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from recaudo.store.database import DatabaseAwayError, DatabaseMistakeError

Reached = TypeVar("Reached")

PATIENCE_S = 30.0
RETRY_S = 0.5


async def patiently(
    reach: Callable[[], Awaitable[Reached]],
    waiting: Callable[[DatabaseAwayError], None],
    *,
    kind: type[DatabaseAwayError] = DatabaseAwayError,
    patience_s: float = PATIENCE_S,
) -> Reached:
    """What `reach` makes, which is tried again for so many seconds once the database is away in this way.

    `waiting` hears of every try that failed. What only a person can mend, such as a wrong password, is not waited for.
    Raises what `reach` raises, and what `waiting` raises.
    """
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return await reach()
        except DatabaseMistakeError:
            raise
        except kind as error:
            if time.monotonic() > deadline_s:
                raise
            waiting(error)
            # Between stopping and starting nobody answers at all.
            kind = DatabaseAwayError
        await asyncio.sleep(RETRY_S)
