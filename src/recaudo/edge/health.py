"""GET /health: whether this process, its database and somebody who performs due work can do their part."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from recaudo import __version__
from recaudo.edge.http import Reply
from recaudo.store.database import Database, DatabaseAwayError, DiskFullError, TooManyConnectionsError
from recaudo.store.deliveries import oldest_unattended
from recaudo.store.due import oldest_due
from recaudo.store.replica import Lists
from recaudo.store.room import check_room

# Due work older than this means that nobody performs it.
DUE_STUCK_S = 300
# The database is away when it takes longer.
ANSWER_S = 5
# Nobody needs a key to ask, and a look costs the database some work.
FRESH_S = 1.0
# What the errors are called that an operator can do something about; all others are `database_away`.
_AWAY: Mapping[type[Exception], str] = {DiskFullError: "disk_full", TooManyConnectionsError: "connections_taken"}


class Health:
    """Looks at most once a second, however many ask; who asks in between gets what was seen last."""

    def __init__(
        self, database: Database, lists: Lists, *, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._database = database
        self._lists = lists
        self._now = now
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._seen: Reply | None = None
        self._until = 0.0

    async def answer(self) -> Reply:
        """200, or 503 with a `status` that says what is wrong (docs/reference/metrics-and-health.md)."""
        async with self._turn:
            if self._seen is None or self._monotonic() >= self._until:
                self._seen = await self._look()
                self._until = self._monotonic() + FRESH_S
            return self._seen

    async def _look(self) -> Reply:
        facts: dict[str, Any] = {"status": "ok", "version": __version__}
        try:
            async with asyncio.timeout(ANSWER_S):
                await check_room(self._database)
                async with self._database.connection() as connection:
                    oldest = await oldest_due(connection)
                    oldest["delivery"] = await oldest_unattended(connection, self._now())
        except (DatabaseAwayError, TimeoutError) as error:
            facts |= {"status": _AWAY.get(type(error), "database_away")}
            return Reply(status=503, body=msgspec.json.encode(facts), headers=[("Retry-After", "1")])
        if self._lists.state != "none":
            # No reason to take the process out of a balancer: lists are read from the database meanwhile.
            facts["replica"] = self._lists.state
        now = self._now()
        ages = {t: max(0.0, (now - at).total_seconds()) if at else 0.0 for t, at in oldest.items()}
        facts["oldest_due_s"] = {table: round(age, 1) for table, age in ages.items()}
        if max(ages.values()) > DUE_STUCK_S:
            facts["status"] = "due_work_stuck"
        return Reply(status=200 if facts["status"] == "ok" else 503, body=msgspec.json.encode(facts))
