"""Databases that are used once and thrown away: one to copy from, and copies of it. For simulations.

They are made on a server that somebody started for this alone, or whose database they were told is empty.
"""

from urllib.parse import urlsplit

import asyncpg

from recaudo.store.database import AWAY, unreachable
from recaudo.store.migrate import migrate


class NotEmptyError(Exception):
    """The database holds something already, so nothing is tried out in it."""


async def make_template(url: str, name: str) -> None:
    """Make an up-to-date database beside that of `url`, to be copied. Raises DatabaseAwayError."""
    await _execute(url, f'CREATE DATABASE "{name}"')
    await migrate(named(url, name))


async def copy(url: str, name: str, *, template: str) -> str:
    """Make a copy of a database to which nobody is connected, and return its URL. Raises DatabaseAwayError.

    Its commits do not wait for the disk: what is thrown away needs not survive a power cut.
    """
    await _execute(
        url,
        f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY',
        f'ALTER DATABASE "{name}" SET synchronous_commit = off',
    )
    return named(url, name)


async def drop(url: str, name: str) -> None:
    """Throw a database away, whoever is connected to it. Raises DatabaseAwayError."""
    await _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def require_empty(url: str) -> None:
    """Raise NotEmptyError unless a database has no table of anybody's, and DatabaseAwayError if it is not there."""
    connection = await _connect(url)
    try:
        held = await connection.fetchval(
            """
            SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND n.nspname NOT LIKE 'pg_toast%'
            """
        )
    finally:
        await connection.close()
    if held:
        raise NotEmptyError(
            "This database is not empty, and a simulation fills the one that it is given: name a new, empty database."
        )


def named(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=30)
    except (*AWAY, ValueError) as error:
        raise unreachable(error) from error


async def _execute(url: str, *commands: str) -> None:
    connection = await _connect(url)
    try:
        for command in commands:
            await connection.execute(command)
    finally:
        await connection.close()
