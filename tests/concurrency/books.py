"""What the database says of one account's money, told in numbers that must agree with each other."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.world import World

QUERY = """
    SELECT
        (SELECT coalesce(sum(amount_minor), 0) FROM receipt WHERE account_id = $1 AND kind = 'gateway') AS receipts,
        (SELECT coalesce(sum(amount_minor), 0) FROM receipt WHERE account_id = $1 AND kind = 'outside') AS outside,
        -- The sandbox approves such an attempt with two transactions.
        (SELECT coalesce(sum(amount_minor * CASE gateway_data->>'outcome' WHEN 'approve_twice' THEN 2 ELSE 1 END), 0)
         FROM attempt WHERE account_id = $1 AND state = 'succeeded') AS succeeded,
        (SELECT count(*) FROM attempt WHERE account_id = $1) AS attempts,
        (SELECT coalesce(sum(amount_minor), 0) FROM transfer WHERE account_id = $1 AND debit = 'gateway:sandbox')
            AS booked,
        (SELECT coalesce(sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END), 0)
         FROM transfer WHERE account_id = $1 AND 'credit' IN (debit, credit)) AS credit,
        (SELECT coalesce(sum(received_minor), 0) FROM invoice WHERE account_id = $1) AS applied,
        (SELECT count(*) FROM invoice WHERE account_id = $1) AS invoices
"""

# An invoice that owes something has at most one link that takes money; one that owes nothing has none.
WRONG_LINKS = """
    SELECT i.id, i.state, count(c.id) FROM invoice i
    LEFT JOIN collection c ON c.account_id = i.account_id AND c.invoice_id = i.id AND c.state = 'pending'
    WHERE i.account_id = $1 AND i.kind = 'invoice'
    GROUP BY i.id, i.state
    HAVING count(c.id) <> CASE WHEN i.state = 'open' THEN 1 ELSE 0 END
"""


@dataclass
class Books:
    """Sums of one account, in minor units."""

    receipts: int
    outside: int
    succeeded: int
    attempts: int
    booked: int
    credit: int
    applied: int
    invoices: int


async def read(world: World, account_id: UUID) -> Books:
    """The account's sums."""
    (row,) = await world.rows(QUERY, account_id)
    return Books(**{name: int(value) for name, value in row.items()})


async def balanced(world: World, account_id: UUID) -> Books:
    """The account's sums, after asserting that no money was lost or made."""
    books = await read(world, account_id)
    assert books.receipts == books.succeeded == books.booked, books
    assert books.receipts + books.outside == books.applied + books.credit, books
    return books


async def wrong_links(world: World, account_id: UUID) -> list[Any]:
    """Invoices that have more or fewer live links than they should."""
    return await world.rows(WRONG_LINKS, account_id)
