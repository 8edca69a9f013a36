"""Spreading the schema over the machines of a Citus cluster, by tenant.

Rows of one account live together in the shard that its account_id names, so that every query within an account, and
every foreign key, stays on one machine. The few small tables that are asked before the tenant is known are copied to
every machine. docs/how-to/scale.md says when this is worth it.
"""

from collections.abc import Callable

import asyncpg

from recaudo.store.database import AWAY, Connection, unreachable
from recaudo.store.migrate import require_current

# Who asks, who owns, and where the feed's positions begin: small, read by every query's join, seldom written.
COPIED = ("merchant", "account", "api_key", "feed")

# By account_id, each after the tables that its foreign keys name.
SPREAD = (
    "invoice",
    "customer",
    "collection",
    "attempt",
    "receipt",
    "transfer",
    "event",
    "idempotency",
    "notice",
    "endpoint",
    "delivery",
    "event_body",
    "replay",
    "product",
    "price",
    "retention",
    "collection_rule",
    "withholding",
    "document",
    "credit_note",
    "gateway",
    "gateway_notice",
    "suspense",
    "refund",
    "reconciliation",
    "import_job",
    "import_chunk",
    "import_refusal",
    "tally",
)

# Only migrations read it, on the coordinator.
STAYING = ("alembic_version",)


class NoCitusError(Exception):
    """The database has no Citus extension, or its tables cannot be told apart."""


async def distribute(url: str, *, progress: Callable[[str], None] | None = None) -> list[str]:
    """Distribute the tables that are not distributed yet; returns their names.

    It may be repeated, and goes on where it was interrupted. Raises DatabaseNotMigratedError, DatabaseAwayError and
    NoCitusError, which change nothing.
    """
    await require_current(url)
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (*AWAY, ValueError) as error:
        raise unreachable(error) from error
    try:
        await _require_citus(connection)
        done = await _distributed(connection)
        left = [name for name in (*COPIED, *SPREAD) if name not in done]
        for name in left:
            if progress is not None:
                progress(f"Distributing {name}")
            await connection.execute(_statement(name), timeout=None)
        return left
    finally:
        await connection.close()


def _statement(name: str) -> str:
    """Our own names, so no parameters. The first one spread names the group that the others join."""
    if name in COPIED:
        return f"SELECT create_reference_table('{name}')"
    colocated = "" if name == SPREAD[0] else f", colocate_with => '{SPREAD[0]}'"
    return f"SELECT create_distributed_table('{name}', 'account_id'{colocated})"


async def _require_citus(connection: Connection) -> None:
    if not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')"):
        raise NoCitusError(
            "This database has no Citus extension, so there is nothing to distribute over. Point "
            "RECAUDO_DATABASE_URL at the coordinator of a Citus cluster, after CREATE EXTENSION citus there."
        )
    found = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    strangers = {r["relname"] for r in found} - {*COPIED, *SPREAD, *STAYING}
    if strangers:
        raise NoCitusError(
            f"The database has tables that are not Recaudo's: {', '.join(sorted(strangers))}. Nothing was distributed; "
            "give Recaudo a database of its own."
        )


async def _distributed(connection: Connection) -> set[str]:
    """The tables that are spread or copied already. Citus also knows plain ones that have a foreign key to those."""
    records = await connection.fetch(
        "SELECT logicalrelid::text AS name FROM pg_dist_partition WHERE partmethod = 'h' OR repmodel = 't'"
    )
    return {r["name"].removeprefix("public.") for r in records}
