"""Receipts as their account sees them, and those of one sum."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from recaudo.domain.model import Receipt
from recaudo.store import rows
from recaudo.store.database import Connection
from recaudo.store.rows import Record


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt, whose money it was, and how much of it went back, in minor units."""

    receipt: Receipt
    customer_id: UUID | None
    reversed_minor: int = 0


_VIEW = """
    SELECT r.*, i.customer_id, coalesce((
        SELECT sum(-n.amount_minor) FROM receipt n WHERE n.account_id = r.account_id AND n.reverses = r.id
    ), 0)::bigint AS reversed_minor
    FROM receipt r JOIN invoice i ON i.account_id = r.account_id AND i.id = r.invoice_id
    WHERE r.account_id = $1
"""


async def view_receipt(connection: Connection, account_id: UUID, receipt_id: UUID) -> ReceiptView | None:
    """One receipt."""
    record = await connection.fetchrow(f"{_VIEW} AND r.id = $2", account_id, receipt_id)
    return None if record is None else _view(record)


async def list_receipts(
    connection: Connection,
    account_id: UUID,
    *,
    before: UUID | None = None,
    invoice_id: UUID | None = None,
    customer_id: UUID | None = None,
    limit: int,
) -> list[ReceiptView]:
    """Receipts, what went back included, newest first, that come after the one with the id `before`."""
    conditions = {"r.id < ": before, "r.invoice_id = ": invoice_id, "i.customer_id = ": customer_id}
    chosen = {text: value for text, value in conditions.items() if value is not None}
    where = "".join(f" AND {text}${i}" for i, text in enumerate(chosen, start=2))
    records = await connection.fetch(
        f"{_VIEW}{where} ORDER BY r.id DESC LIMIT ${len(chosen) + 2}", account_id, *chosen.values(), limit
    )
    return [_view(r) for r in records]


async def find_sum(connection: Connection, account_id: UUID, receipt_id: UUID) -> list[Receipt]:
    """A receipt with all others of the sum that it is a part of, as they arrived; nothing when there is none."""
    records = await connection.fetch(
        """
        SELECT r.* FROM receipt r WHERE r.account_id = $1 AND r.id = $2
        UNION ALL
        SELECT r.* FROM receipt o
        JOIN receipt r ON r.account_id = o.account_id AND r.allocation_id = o.allocation_id AND r.kind <> 'refund'
        WHERE o.account_id = $1 AND o.id = $2 AND o.kind <> 'refund' AND r.id <> o.id
        """,
        account_id,
        receipt_id,
    )
    return sorted((rows.receipt_of(r) for r in records), key=lambda r: r.id)


async def find_reversed(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of these receipts of which something went back."""
    records = await connection.fetch(
        "SELECT reverses FROM receipt WHERE account_id = $1 AND reverses = ANY ($2::uuid[])", account_id, list(ids)
    )
    return frozenset(r["reverses"] for r in records)


def _view(record: Record) -> ReceiptView:
    return ReceiptView(
        receipt=rows.receipt_of(record), customer_id=record["customer_id"], reversed_minor=record["reversed_minor"]
    )
