"""Connections to PostgreSQL: one pool per process, set up so that a query costs one round trip."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID as DriverUuid  # noqa: N811 - it is no constant

_json = msgspec.json.Encoder()

Uuid = DriverUuid
"""The driver's own kind of UUID, made of 16 bytes: equal to any other, and made, compared and written much faster."""

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

# A duplicate waits at most this long for the request that came first (wire specifications, section 2).
LOCK_TIMEOUT_S = 30
STATEMENT_TIMEOUT_S = 60


class DatabaseAwayError(Exception):
    """The database cannot be reached, or is starting or stopping. Nothing was written; the request may be repeated."""


class DatabaseStartingError(DatabaseAwayError):
    """It answers, and says that it is starting, stopping or recovering: it will be there in a moment."""


class DatabaseMistakeError(DatabaseAwayError):
    """Its address, its name, the user or the password is wrong: only a person can mend that."""


class DiskFullError(DatabaseAwayError):
    """The database has no room to write. It reads as before, and writes again once there is room."""


class TooManyConnectionsError(DatabaseAwayError):
    """Others hold every connection that the database allows."""


class BadRowError(Exception):
    """The database refused values that our own checks should have refused first; nothing was written.

    The text names the rule, never the values: it ends in logs, and the driver's own text would show a payer's phone.
    """


class LockTimeoutError(Exception):
    """Another transaction held the row for longer than LOCK_TIMEOUT_S."""


class StaleVersionError(Exception):
    """The invoice was changed by somebody else since it was read: read it again and decide again."""


AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server died in the middle of an answer
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.PostgresSystemError,  # the disk cannot be read or written
    asyncpg.QueryCanceledError,  # longer than STATEMENT_TIMEOUT_S, or an administrator's wish
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a replica that did not take over yet
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    OSError,  # refused, timed out, name not known; a Unix socket that is gone while the server restarts
)

BAD_ROW = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)


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
    async def connect(cls, url: str, *, connections_max: int = 12) -> Self:
        """Open the pool. Raises DatabaseAwayError when the server cannot be reached, or the URL is none."""
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
        except (*AWAY, ValueError) as error:
            raise unreachable(error) from error
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
            raise _away(error) from error
        if isinstance(error, BAD_ROW):
            # Without its cause, whose text holds the values.
            raise bad_row(error) from None


def _away(error: BaseException) -> DatabaseAwayError:
    """The store's own error for one of AWAY: what an operator can act upon has a class of its own."""
    return _kind(error)(str(error) or type(error).__name__)


def _kind(error: BaseException) -> type[DatabaseAwayError]:
    match error:
        case asyncpg.DiskFullError():
            return DiskFullError
        case asyncpg.TooManyConnectionsError():
            return TooManyConnectionsError
        case asyncpg.CannotConnectNowError():
            return DatabaseStartingError
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            return DatabaseMistakeError
        case _:
            return DatabaseAwayError


def bad_row(error: Exception) -> BadRowError:
    """What a driver's error says, less the values."""
    rule = getattr(error, "constraint_name", None) or getattr(error, "column_name", None)
    table = getattr(error, "table_name", None)
    where = "".join(f" {name}" for name in (table, rule) if name)
    return BadRowError(f"{type(error).__name__}{where}")


def unreachable(error: Exception) -> DatabaseAwayError:
    """Why there is no connection, and what to look at."""
    if isinstance(error, ValueError):
        # The driver's text may quote a part of the URL, and with it of the password.
        return DatabaseMistakeError(
            "RECAUDO_DATABASE_URL must look like postgresql://user:password@host:5432/name; special characters in the "
            "password are written as %40 and the like."
        )
    reason = str(error) or type(error).__name__
    return _kind(error)(f"The database cannot be reached ({reason}): is it running, is RECAUDO_DATABASE_URL right?")


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
        "json", schema="pg_catalog", encoder=_encode_json, decoder=msgspec.json.decode, format="binary"
    )
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + _encode_json(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )
