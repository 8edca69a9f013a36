"""Bringing a database to the program's version: plain SQL files, forward only, run by alembic.

Two programs that start at once take turns (an advisory lock). A database that is newer than the program is refused:
an old program must not write what it does not understand.
"""

from collections.abc import Callable
from importlib import resources
from typing import Any

import asyncpg

from recaudo.store.database import AWAY, unreachable

# One row per file in migrations/, oldest first.
VERSIONS = (
    "0001_core",
    "0002_webhooks",
    "0003_registers",
    "0004_charges",
    "0005_reversals",
    "0006_credit_notes",
    "0007_allocations",
    "0008_gateways",
    "0009_refund_ways",
    "0010_scale",
    "0011_imports",
)
_LOCK_KEY = 0x5265636175646F


class DatabaseTooNewError(Exception):
    """The database was made by a newer Recaudo."""


class DatabaseNotMigratedError(Exception):
    """The database is older than the program."""


class MigrationFailedError(Exception):
    """The database refused a migration; nothing was changed."""


async def database_version(url: str) -> str | None:
    """The version of a database; None when it has none of our tables.

    Raises DatabaseAwayError when it cannot be reached, DatabaseTooNewError when this program does not know it.
    """
    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            version = await _version_on(connection)
        finally:
            await connection.close()
    except (*AWAY, ValueError) as error:
        raise unreachable(error) from error
    if version is not None and version not in VERSIONS:
        raise DatabaseTooNewError(
            f"The database is at version {version!r}, which this program does not know; it knows up to "
            f"{VERSIONS[-1]!r}. Install a newer Recaudo, or point RECAUDO_DATABASE_URL at another database."
        )
    return version


async def _version_on(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return version


async def require_current(url: str) -> None:
    """Raise DatabaseNotMigratedError unless the database is at the program's version."""
    version = await database_version(url)
    if version != VERSIONS[-1]:
        raise DatabaseNotMigratedError(
            f"The database is at version {version or 'none'!r} and this program needs {VERSIONS[-1]!r}. "
            "Run `recaudo migrate` first."
        )


async def migrate(url: str, *, progress: Callable[[str], None] | None = None) -> list[str]:
    """Run the migrations that are missing, all in one transaction; returns their names.

    Raises DatabaseTooNewError, DatabaseAwayError and MigrationFailedError.
    """
    if await database_version(url) == VERSIONS[-1]:
        return []
    # Imported here: only a database that is behind pays for loading alembic.
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(url, timeout=10)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade, progress)
    except AWAY as error:
        raise unreachable(error) from error
    except DBAPIError as error:
        raise MigrationFailedError(f"The migration failed and nothing was changed. {error.orig}") from error
    finally:
        await engine.dispose()


def _upgrade(connection: Any, progress: Callable[[str], None] | None) -> list[str]:  # noqa: ANN401 - SQLAlchemy's connection
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import text

    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
    config, scripts = _scripts()
    done: list[str] = []

    def steps(revision: Any, context: Any) -> Any:  # noqa: ANN401, ARG001 - alembic's own types
        found = scripts._upgrade_revs("head", revision)  # noqa: SLF001 - alembic's documented env recipe uses it
        done.extend(step.revision.revision for step in found)
        if progress is not None:
            for step in found:
                progress(f"Migrating the database: {step.revision.revision}")
        return found

    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()
    return done


def _scripts() -> tuple[Any, Any]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.files("recaudo.store") / "migrations"))
    return config, ScriptDirectory.from_config(config)


def statements(name: str) -> list[str]:
    """The statements of a migration's SQL file. A statement ends at a semicolon that ends its line."""
    text = (resources.files("recaudo.store") / "migrations" / f"{name}.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip()]
