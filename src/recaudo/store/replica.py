"""Where lists are read from: a replica of the database as long as it keeps up, else the database itself."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import asyncpg
import structlog

from recaudo.store.database import Connection, Database, DatabaseAwayError
from recaudo.store.lists import UnknownCursorError

# A list may be so old. What takes a replica longer to show is read from the database itself.
BEHIND_MAX_S = 5.0
# How often it is looked how far the replica is, and how long that may take.
LOOK_EVERY_S = 1.0
LOOK_S = 1.0
# A connection that was refused is tried again after this.
REST_S = 5.0

State = Literal["none", "unknown", "used", "behind", "away"]
Result = TypeVar("Result")

_log: Any = structlog.get_logger("recaudo.store")

_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
# Null where nothing is replayed: then it is no replica.
_REPLAYED = "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint"


class Lists:
    """Reads lists. With no `replica_url` that is the database and nothing more.

    How far a replica is behind is told from what it has replayed of what the database had written a moment ago: no
    clock of another machine counts, and a replica that lost its connection shows as one that falls behind.
    """

    def __init__(
        self,
        database: Database,
        replica_url: str | None = None,
        *,
        connections_max: int = 12,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state: State = "none" if replica_url is None else "unknown"
        self._database = database
        self._url = replica_url
        self._connections_max = connections_max
        self._monotonic = monotonic
        self._replica: Database | None = None
        self._turn = asyncio.Lock()
        self._look_at = 0.0
        self._written: deque[tuple[float, int]] = deque()

    async def read(self, look: Callable[[Connection], Awaitable[Result]]) -> Result:
        """What `look` finds. It is called again, on the database, when the replica fails it or lacks its cursor.

        Raises what `look` raises on the database, and DatabaseAwayError.
        """
        replica = await self._usable()
        if replica is not None:
            try:
                async with replica.connection() as connection:
                    return await look(connection)
            except UnknownCursorError:
                pass  # Of a row that the replica has not got yet, or of none: the database knows.
            except (DatabaseAwayError, asyncpg.SerializationError) as error:
                # The latter when the replica must replay what the query was still looking at.
                self._enter("away" if isinstance(error, DatabaseAwayError) else "behind", error)
                self._look_at = self._monotonic() + REST_S
        async with self._database.connection() as connection:
            return await look(connection)

    async def close(self) -> None:
        """Let go of the replica; the database is the caller's."""
        if self._replica is not None:
            await self._replica.close()

    async def _usable(self) -> Database | None:
        if self._url is None:
            return None
        if self._monotonic() >= self._look_at and not self._turn.locked():
            async with self._turn:
                await self._look(self._url)
        return self._replica if self.state == "used" else None

    async def _look(self, url: str) -> None:
        """Find out whether the replica keeps up. One does at a time; the others go by what is known."""
        self._look_at = self._monotonic() + LOOK_EVERY_S
        try:
            async with asyncio.timeout(LOOK_S):
                if self._replica is None:
                    self._replica = await Database.connect(url, connections_max=self._connections_max)
                keeps_up = await self._keeps_up(self._replica)
        except (DatabaseAwayError, TimeoutError) as error:
            self._enter("away", error)
            self._look_at = self._monotonic() + REST_S
        else:
            self._enter("used" if keeps_up else "behind")

    async def _keeps_up(self, replica: Database) -> bool:
        async with self._database.connection() as connection:
            written: int = await connection.fetchval(_WRITTEN)
        now = self._monotonic()
        self._written.append((now, written))
        while self._written[0][0] < now - BEHIND_MAX_S:
            self._written.popleft()
        async with replica.connection() as connection:
            replayed: int | None = await connection.fetchval(_REPLAYED)
        return replayed is not None and replayed >= self._written[0][1]

    def _enter(self, state: State, error: Exception | None = None) -> None:
        if state == self.state:
            return
        self.state = state
        if state == "used":
            _log.info("replica_used")
        else:
            # The kind only: a driver's text may quote the address, and with it a password.
            _log.warning("replica_not_used", state=state, error=None if error is None else type(error).__name__)
