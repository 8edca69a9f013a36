"""How many invoices, collections, attempts and listed customers an account has in each status: the totals of lists.

Every commit that changes a number adds a row with the difference, so that no two commits ever wait for one counter; the
number is the sum of the rows. The worker folds the rows of an account into one for each number. Numbers are right at
every moment, folded or not, and `recaudo doctor` counts them anew.
"""

from collections.abc import Sequence
from uuid import UUID

from recaudo.store.database import Connection

INVOICE = "invoice"
COLLECTION = "collection"
ATTEMPT = "attempt"
CUSTOMER = "customer"
LISTED = "listed"

INVOICE_STATUSES = ("open", "part", "paid", "void", "uncollectible")
# An account with this many rows or fewer is not worth folding: reading them costs less.
LOOSE_MAX = 100
FOLDED_AT_ONCE_MAX = 20_000


def invoice_status(alias: str) -> str:
    """The SQL for the status of a row of `invoice`: its state, with `part` for open ones that received something."""
    return f"(CASE WHEN {alias}.state = 'open' AND {alias}.received_minor > 0 THEN 'part' ELSE {alias}.state END)"


def collection_status(alias: str) -> str:
    """The SQL for the status of a row of `collection`."""
    a = alias
    return f"""(CASE
        WHEN {a}.state = 'paid' AND {a}.received_minor = 0 THEN 'refunded'
        WHEN {a}.state = 'paid' THEN 'paid'
        WHEN {a}.state IN ('cancelled', 'void', 'uncollectible') THEN 'cancelled'
        WHEN {a}.state = 'expired' AND {a}.received_minor > 0 THEN 'part_expired'
        WHEN {a}.state = 'expired' THEN 'expired'
        WHEN {a}.open_attempts > 0 THEN 'in_progress'
        WHEN {a}.received_minor > 0 THEN 'part'
        ELSE 'pending'
    END)"""


def counted(alias: str, noun: str, source: str, count: int) -> str:
    """A query for the rows of `source`, each as the number that it belongs to and how much it adds to that."""
    status = {
        INVOICE: invoice_status(alias),
        COLLECTION: collection_status(alias),
        ATTEMPT: f"{alias}.state",
        CUSTOMER: f"'{LISTED}'",
    }[noun]
    # Stand-alone requests are in no list of invoices, and customers that only have a reference in none of customers.
    only = {INVOICE: f" WHERE {alias}.kind = 'invoice'", CUSTOMER: f" WHERE {alias}.listed"}.get(noun, "")
    return f"SELECT {alias}.account_id, '{noun}:' || {status} AS name, {count} AS count FROM {source}{only}"  # noqa: S608


def add(queries: Sequence[str]) -> str:
    """The statement that keeps what the queries say, one row for each account and number that changes."""
    return f"""
        INSERT INTO tally (account_id, name, count)
        SELECT account_id, name, sum(count) FROM ({" UNION ALL ".join(queries)}) changed (account_id, name, count)
        GROUP BY account_id, name HAVING sum(count) <> 0
    """  # noqa: S608 - our own names


async def total(connection: Connection, account_id: UUID, noun: str, statuses: Sequence[object] | None = None) -> int:
    """How many rows of a noun an account has: in these statuses, or in all."""
    condition = "name LIKE $2 || ':%'" if statuses is None else "name = ANY ($2::text[])"
    asked = noun if statuses is None else sorted({f"{noun}:{status}" for status in statuses})
    found: int = await connection.fetchval(
        f"SELECT coalesce(sum(count), 0)::bigint FROM tally WHERE account_id = $1 AND {condition}",  # noqa: S608
        account_id,
        asked,
    )
    return found


async def loose_accounts(connection: Connection, *, limit: int) -> list[UUID]:
    """Accounts whose rows are worth folding. Asks across accounts, as claims of due work do."""
    records = await connection.fetch(
        "SELECT account_id FROM tally GROUP BY account_id HAVING count(*) > $1 LIMIT $2", LOOSE_MAX, limit
    )
    return [r["account_id"] for r in records]


async def fold(connection: Connection, account_id: UUID) -> int:
    """Replace rows of an account by their sums, in one statement; returns how many there were.

    Rows that another worker folds at the same moment are left to it.
    """
    folded: int = await connection.fetchval(
        """
        WITH taken AS (
            DELETE FROM tally t
            USING (
                SELECT id FROM tally WHERE account_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
            ) old
            WHERE t.account_id = $1 AND t.id = old.id
            RETURNING t.name, t.count
        ),
        sums AS (
            INSERT INTO tally (account_id, name, count)
            SELECT $1, name, sum(count) FROM taken GROUP BY name HAVING sum(count) <> 0
        )
        SELECT count(*) FROM taken
        """,
        account_id,
        FOLDED_AT_ONCE_MAX,
    )
    return folded
