"""Connections to PostgreSQL: one pool per process, set up so that a query costs one round trip."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

_json = msgspec.json.Encoder()

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

# A duplicate waits at most this long for the request that came first (wire specifications, section 2).
LOCK_TIMEOUT_S = 30
STATEMENT_TIMEOUT_S = 60


class DatabaseAwayError(Exception):
    """The database cannot be reached, or is starting or stopping. Nothing was written; the request may be repeated."""


class LockTimeoutError(Exception):
    """Another transaction held the row for longer than LOCK_TIMEOUT_S."""


class StaleVersionError(Exception):
    """The invoice was changed by somebody else since it was read: read it again and decide again."""


AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    ConnectionError,
    TimeoutError,
)


class _PlainConnection(asyncpg.Connection):
    """A connection that is handed back to the pool as it is.

    Our statements leave no session state behind (no SET, LISTEN or advisory session locks on pooled connections),
    so the pool's reset query would be a round trip for nothing.
    """

    def get_reset_query(self) -> str:
        return ""


class Database:
    """The pool and the few ways in which the store uses it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, url: str, *, connections_max: int = 12) -> "Database":
        """Open the pool. Raises DatabaseAwayError when the server cannot be reached."""
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=connections_max,
                max_inactive_connection_lifetime=0,
                connection_class=_PlainConnection,
                init=_set_up,
                timeout=10,
                command_timeout=STATEMENT_TIMEOUT_S + 5,
                server_settings={
                    "application_name": "recaudo",
                    "jit": "off",
                    "timezone": "UTC",
                    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
                    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
                    "idle_in_transaction_session_timeout": "60s",
                },
            )
        except (*AWAY, OSError) as error:
            raise DatabaseAwayError(str(error)) from error
        return cls(pool)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection in autocommit. Driver errors come out as the store's own exceptions."""
        with _translated():
            async with self._pool.acquire() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """One transaction; it is rolled back when the block raises. No network call belongs inside."""
        with _translated():
            async with self._pool.acquire() as connection, connection.transaction():
                yield connection


class _translated:  # noqa: N801 - reads as a phrase at its place of use
    """Turn driver errors into the store's own."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, asyncpg.LockNotAvailableError):
            raise LockTimeoutError(str(error)) from error
        if isinstance(error, AWAY):
            raise DatabaseAwayError(str(error) or type(error).__name__) from error


def _encode_json(value: Any) -> bytes:  # noqa: ANN401 - anything JSON
    # Snapshots arrive rendered: they are encoded once, by the caller.
    return value.data if isinstance(value, RawJson) else _json.encode(value)


class RawJson:
    """JSON that is already text: stored as it is."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


async def _set_up(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + _encode_json(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )
