"""Databases that are used for a while and thrown away. For simulations.

They are made on a server that somebody started for this alone, or whose database they were told is empty.
"""

from urllib.parse import urlsplit

import asyncpg

from recaudo.store.database import AWAY, Database, unreachable
from recaudo.store.migrate import migrate

# What a migration wrote.
_KEPT = ["alembic_version", "feed"]


class NotEmptyError(Exception):
    """The database holds something already, so nothing is tried out in it."""


async def hurry(url: str) -> None:
    """Let an embedded server that was started for this alone no longer wait for the disk, nor tidy up in between.

    What it holds may be lost in a power cut. Who is connected already goes on as before. Raises DatabaseAwayError.
    """
    await _execute(
        url,
        # For roles, as the keeper says `on` on the command line, which counts for more than ALTER SYSTEM.
        "ALTER ROLE ALL SET synchronous_commit = off",
        "ALTER SYSTEM SET autovacuum = off",
        "SELECT pg_reload_conf()",
    )


async def make(url: str, name: str) -> str:
    """Make an up-to-date database beside that of `url`, and return its URL. Raises DatabaseAwayError."""
    made = await make_empty(url, name)
    await migrate(made)
    return made


async def make_empty(url: str, name: str) -> str:
    """The same without our tables."""
    await _execute(url, f'CREATE DATABASE "{name}"')
    return named(url, name)


async def wipe(database: Database) -> None:
    """Remove every row, so that the next one finds the database as new. Its connections may stay open."""
    async with database.connection() as connection:
        tables = await connection.fetch(
            """
            SELECT format('%I', relname) AS name FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT relname = ANY ($1) ORDER BY relname
            """,
            _KEPT,
        )
        await connection.execute(f"TRUNCATE {', '.join(row['name'] for row in tables)}")


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
