"""Sweeping what grows for ever and is no longer needed: a bounded number of rows at a time, each batch a commit.

What money is proven by (invoices, collections, attempts, receipts, transfers, refunds, events) is never swept.
docs/reference/retention.md lists every table.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from recaudo.store.database import Connection

# A batch of so many rows takes milliseconds, and holds nobody up.
BATCH_MAX = 1_000
ACCOUNTS_MAX = 500


class AccountClock(msgspec.Struct, frozen=True):
    """An account, and how far its clock is ahead of real time: its ids tell the time of that clock."""

    id: UUID
    shift: timedelta


async def next_accounts(connection: Connection, after: UUID | None) -> list[AccountClock]:
    """The next accounts, by id."""
    records = await connection.fetch(
        "SELECT id, clock_shift FROM account WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
        after,
        ACCOUNTS_MAX,
    )
    return [AccountClock(*r.values()) for r in records]


async def sweep_deliveries(connection: Connection, account: AccountClock, before: datetime) -> int:
    """Drop deliveries that were made before an instant (real time) and wait no longer; returns how many."""
    return await _counted(
        connection,
        """
        WITH old AS (
            SELECT id FROM delivery
            WHERE account_id = $1 AND id < $2 AND due_at IS NULL ORDER BY id LIMIT $3
        )
        DELETE FROM delivery d USING old
        WHERE d.account_id = $1 AND d.id = old.id AND d.due_at IS NULL
        """,
        account,
        before,
    )


async def sweep_bodies(connection: Connection, account: AccountClock, before: datetime) -> int:
    """Drop what was told about events from before an instant (real time), once no delivery is left that told it."""
    return await _counted(
        connection,
        """
        WITH old AS (
            SELECT b.event_id, b.dialect FROM event_body b
            WHERE b.account_id = $1 AND b.event_id < $2 AND NOT EXISTS (
                SELECT 1 FROM delivery d WHERE d.account_id = b.account_id AND d.event_id = b.event_id
            )
            ORDER BY b.event_id LIMIT $3
        )
        DELETE FROM event_body b USING old
        WHERE b.account_id = $1 AND b.event_id = old.event_id AND b.dialect = old.dialect
        """,
        account,
        before,
    )


async def sweep_replays(connection: Connection, account: AccountClock, before: datetime) -> int:
    """Drop what is known of replays that were asked for before an instant (real time) and are done."""
    return await _counted(
        connection,
        """
        WITH old AS (
            SELECT id FROM replay WHERE account_id = $1 AND id < $2 AND due_at IS NULL ORDER BY id LIMIT $3
        )
        DELETE FROM replay r USING old WHERE r.account_id = $1 AND r.id = old.id AND r.due_at IS NULL
        """,
        account,
        before,
    )


async def sweep_answers(connection: Connection, before: datetime) -> int:
    """Drop answers, of any account, that were kept for a repetition since before an instant; returns how many.

    Candidates first and then the rows by their keys, as claims do: it also runs across shards.
    """
    candidates = await connection.fetch(
        "SELECT account_id, scope, key FROM idempotency WHERE created_at < $1 LIMIT $2", before, BATCH_MAX
    )
    if candidates:
        await connection.execute(
            """
            DELETE FROM idempotency i
            USING unnest($1::uuid[], $2::text[], $3::text[]) c (account_id, scope, key)
            WHERE i.account_id = c.account_id AND i.scope = c.scope AND i.key = c.key
            """,
            *(list(column) for column in zip(*(c.values() for c in candidates), strict=True)),
        )
    return len(candidates)


async def _counted(connection: Connection, statement: str, account: AccountClock, before: datetime) -> int:
    """How many rows of an account one statement deletes. It takes the first id that is too young."""
    done = await connection.execute(statement, account.id, _first_id(before + account.shift), BATCH_MAX)
    return int(done.rpartition(" ")[2])


def _first_id(at: datetime) -> UUID:
    """The smallest UUIDv7 of a millisecond; a time before 1970 comes before every id."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)
