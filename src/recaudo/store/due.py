"""Due work: one generic claim for every table whose rows carry due_at, leased_until, tries and last_error.

A claim looks for candidates with a plain SELECT and then takes them with one UPDATE that checks again: exact, without
locks held between, and fit for a database spread over machines. A worker that dies loses its lease by time.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from recaudo.store.database import Connection

# Each table and the column that says what its rows are about.
TABLES = {
    "collection": "invoice_id",
    "attempt": "invoice_id",
    "refund": "invoice_id",
    "replay": "id",
    "document": "id",
    "gateway_notice": "gateway_id",
    "gateway": "id",
    "import_job": "id",
}
LEASE = timedelta(seconds=60)
# Comparing a merchant's year with the gateway's list takes its time.
LEASES = {"gateway": timedelta(hours=1)}
ERROR_CHARS_MAX = 500


class Claimed(msgspec.Struct, frozen=True):
    """A row that this worker holds until its lease ends."""

    account_id: UUID
    id: UUID
    subject_id: UUID
    tries: int
    leased_until: datetime


async def claim(connection: Connection, table: str, *, real_now: datetime, limit: int) -> list[Claimed]:
    """Take up to `limit` due rows, earliest due first, each for its LEASE."""
    assert table in TABLES, "only tables of due work can be claimed"
    candidates = await connection.fetch(
        f"""
        SELECT account_id, id FROM {table}
        WHERE due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
        ORDER BY due_at LIMIT $2
        """,  # noqa: S608 - checked above
        real_now,
        limit,
    )
    if not candidates:
        return []
    taken = await connection.fetch(
        f"""
        UPDATE {table} t SET leased_until = $3, tries = t.tries + 1
        FROM unnest($1::uuid[], $2::uuid[]) c (account_id, id)
        WHERE t.account_id = c.account_id AND t.id = c.id
          AND t.due_at <= $4 AND (t.leased_until IS NULL OR t.leased_until <= $4)
        RETURNING t.account_id, t.id, t.{TABLES[table]}, t.tries, t.leased_until
        """,  # noqa: S608
        [c["account_id"] for c in candidates],
        [c["id"] for c in candidates],
        real_now + LEASES.get(table, LEASE),
        real_now,
    )
    return [Claimed(*r.values()) for r in taken]


async def postpone(connection: Connection, table: str, claimed: Claimed, *, until: datetime, error: str | None) -> None:
    """Give a row back, due again at `until` (real time), with what went wrong.

    Nothing happens when the row is no longer this worker's: its lease ended and another took it, or it was saved anew.
    """
    assert table in TABLES, "only tables of due work can be postponed"
    await connection.execute(
        f"""
        UPDATE {table} SET due_at = $3, leased_until = NULL, last_error = $4
        WHERE account_id = $1 AND id = $2 AND leased_until = $5
        """,  # noqa: S608
        claimed.account_id,
        claimed.id,
        until,
        None if error is None else error[:ERROR_CHARS_MAX],
        claimed.leased_until,
    )


async def oldest_due(connection: Connection) -> dict[str, datetime | None]:
    """When the oldest row that waits in each table became due."""
    return {
        table: await connection.fetchval(f"SELECT min(due_at) FROM {table} WHERE due_at IS NOT NULL")  # noqa: S608
        for table in TABLES
    }
