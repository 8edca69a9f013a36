"""Invoices whole, with every collection that counts, and lists that are followed by cursor."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import msgspec

from recaudo.domain.model import Collection, Customer, Invoice, by_due_day
from recaudo.domain.states import CollectionState
from recaudo.store import rows, tally
from recaudo.store.customers import find_customers
from recaudo.store.database import Connection
from recaudo.store.lists import CursorPage, CursorRequest, UnknownCursorError
from recaudo.store.views import CollectionView, view_collections

_GONE = (CollectionState.CANCELLED, CollectionState.EXPIRED, CollectionState.VOID)


class WholeInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice with its collections that ask for money, were paid or given up, or received some; oldest due first."""

    invoice: Invoice
    collections: Sequence[Collection]
    customer: Customer | None = None

    @property
    def standing(self) -> list[Collection]:
        """Those that were not taken back, and those that were and whose money still counts."""
        return [c for c in self.collections if c.state not in _GONE or c.received_minor > c.overpaid_minor]

    @property
    def shown(self) -> Collection:
        """The collection that is paid next, else the one that was shown last."""
        return next(c for c in self.collections if c.id == self.invoice.collection_id)


async def find_invoice_id(connection: Connection, account_id: UUID, known_as: UUID) -> UUID | None:
    """The invoice that an id stands for: its own, or that of one of its collections (Treli spec 6.9)."""
    found: UUID | None = await connection.fetchval(
        """
        SELECT id FROM invoice WHERE account_id = $1 AND id = $2 AND kind = 'invoice'
        UNION ALL
        SELECT i.id FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id
        WHERE c.account_id = $1 AND c.id = $2 AND i.kind = 'invoice'
        """,
        account_id,
        known_as,
    )
    return found


async def find_collection_id(connection: Connection, account_id: UUID, known_as: UUID) -> UUID | None:
    """The collection that an id stands for: its own, or that of an invoice, which is the one it shows (6.9)."""
    found: UUID | None = await connection.fetchval(
        """
        SELECT id FROM collection WHERE account_id = $1 AND id = $2
        UNION ALL
        SELECT collection_id FROM invoice WHERE account_id = $1 AND id = $2 AND kind = 'invoice'
        """,
        account_id,
        known_as,
    )
    return found


async def find_invoice_ids(connection: Connection, account_id: UUID, known_as: Sequence[UUID]) -> dict[UUID, UUID]:
    """The same for several, by the id that was asked for."""
    records = await connection.fetch(
        """
        SELECT id AS asked, id FROM invoice WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND kind = 'invoice'
        UNION ALL
        SELECT c.id, i.id FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id
        WHERE c.account_id = $1 AND c.id = ANY ($2::uuid[]) AND i.kind = 'invoice'
        """,
        account_id,
        list(known_as),
    )
    return {r["asked"]: r["id"] for r in records}


async def whole_invoice(connection: Connection, account_id: UUID, invoice_id: UUID) -> WholeInvoice | None:
    """One invoice; None for a stand-alone request, which is nobody's invoice."""
    found = await whole_invoices(connection, account_id, [invoice_id])
    return found[0] if found else None


async def whole_invoices(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> list[WholeInvoice]:
    """Several invoices, in the order of the ids."""
    records = await connection.fetch(
        """
        SELECT i.* FROM unnest($2::uuid[]) WITH ORDINALITY w (id, place)
        JOIN invoice i ON i.account_id = $1 AND i.id = w.id AND i.kind = 'invoice' ORDER BY w.place
        """,
        account_id,
        list(ids),
    )
    invoices = [rows.invoice_of(r) for r in records]
    collections = await _collections_of(connection, account_id, [i.id for i in invoices])
    customers = await find_customers(connection, account_id, [i.customer_id for i in invoices if i.customer_id])
    return [
        WholeInvoice(
            invoice=invoice,
            collections=sorted(collections.get(invoice.id, []), key=by_due_day),
            customer=None if invoice.customer_id is None else customers.get(invoice.customer_id),
        )
        for invoice in invoices
    ]


async def _collections_of(
    connection: Connection, account_id: UUID, invoice_ids: Sequence[UUID]
) -> dict[UUID, list[Collection]]:
    records = await connection.fetch(
        """
        SELECT c.* FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id
        WHERE c.account_id = $1 AND c.invoice_id = ANY ($2::uuid[])
          AND (c.state IN ('pending', 'paid', 'uncollectible', 'void') OR c.received_minor <> 0
               OR c.id = i.collection_id)
        """,
        account_id,
        list(invoice_ids),
    )
    found: dict[UUID, list[Collection]] = {}
    for record in records:
        found.setdefault(record["invoice_id"], []).append(rows.collection_of(record))
    return found


# Each condition has `{}` for its values; `{today}` for the account's present day.
INVOICE_FILTERS = {
    "customer": "i.customer_id = ANY ({}::uuid[])",
    "invoice_number": "i.origin_id = ANY ({}::text[])",
}

# Not an EXISTS: the planner would look at every collection of the account to save a look at each of the page's.
_OVERDUE = """coalesce((
    SELECT min(o.due_on) FROM collection o
    WHERE o.account_id = i.account_id AND o.invoice_id = i.id AND o.state = 'pending') < {today}, false)"""

# Each status as what the index by status calls it, and what else tells it apart.
Parts = Mapping[str, tuple[Sequence[str], str]]
_INVOICE_STATUSES: Parts = {
    "pending": (("open", "part"), f"NOT {_OVERDUE}"),
    "overdue": (("open", "part"), _OVERDUE),
    "paid": (("paid",), "true"),
    "voided": (("void",), "true"),
    "uncollectible": (("uncollectible",), "true"),
}
_ASKING = ("pending", "in_progress", "part")
_COLLECTION_STATUSES: Parts = {
    "pending": (_ASKING, "NOT coalesce(c.due_on < {today}, false)"),
    "overdue": (_ASKING, "c.due_on < {today}"),
    "paid": (("paid", "refunded"), "true"),
    "voided": (("cancelled", "expired", "part_expired"), "c.state <> 'uncollectible'"),
    "uncollectible": (("cancelled",), "c.state = 'uncollectible'"),
}

COLLECTION_FILTERS = {
    "customer": "i.customer_id = ANY ({}::uuid[])",
    # Either id of an invoice (Treli spec 6.9).
    "invoice": """i.kind = 'invoice' AND (i.id = ANY ({}::uuid[]) OR i.id IN (
        SELECT k.invoice_id FROM collection k WHERE k.account_id = i.account_id AND k.id = ANY ({}::uuid[])))""",
    "invoice_number": "i.origin_id = ANY ({}::text[])",
    "type": "(CASE i.kind WHEN 'invoice' THEN 'invoice' ELSE 'one_time' END) = ANY ({}::text[])",
}

Filters = Mapping[str, Sequence[object]]


async def page_of_invoices(
    connection: Connection, account_id: UUID, wanted: CursorRequest, filters: Filters, *, today: date
) -> CursorPage[WholeInvoice]:
    """One page of invoices, whoever made them, newest first. Raises UnknownCursorError."""
    await _check_cursor(connection, "invoice", "kind = 'invoice'", account_id, wanted)
    ids = await _ids(
        connection,
        "SELECT i.id FROM invoice i WHERE i.account_id = $1 AND i.kind = 'invoice'",
        _List("i", INVOICE_FILTERS, tally.invoice_status("i"), _INVOICE_STATUSES),
        account_id=account_id,
        wanted=wanted,
        filters=filters,
        today=today,
    )
    return CursorPage(
        await whole_invoices(connection, account_id, ids[: wanted.limit]), has_more=len(ids) > wanted.limit
    )


async def page_of_collections(
    connection: Connection, account_id: UUID, wanted: CursorRequest, filters: Filters, *, today: date
) -> CursorPage[CollectionView]:
    """One page of collections, of invoices and alone, newest first. Raises UnknownCursorError."""
    await _check_cursor(connection, "collection", "true", account_id, wanted)
    ids = await _ids(
        connection,
        "SELECT c.id FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id "
        "WHERE c.account_id = $1",
        _List("c", COLLECTION_FILTERS, tally.collection_status("c"), _COLLECTION_STATUSES),
        account_id=account_id,
        wanted=wanted,
        filters=filters,
        today=today,
    )
    views = {v.collection.id: v for v in await view_collections(connection, account_id, ids[: wanted.limit])}
    return CursorPage([views[i] for i in ids[: wanted.limit]], has_more=len(ids) > wanted.limit)


async def _check_cursor(
    connection: Connection, table: str, where: str, account_id: UUID, wanted: CursorRequest
) -> None:
    """Rows that no longer fit the filters are cursors all the same; those of another list are none."""
    if wanted.after is None:
        return
    if not await connection.fetchval(
        f"SELECT EXISTS (SELECT 1 FROM {table} WHERE account_id = $1 AND id = $2 AND {where})",  # noqa: S608 - our own names
        account_id,
        wanted.after,
    ):
        raise UnknownCursorError(str(wanted.after))


class _List(msgspec.Struct, frozen=True):
    """What a list's rows are called, its filters, the expression of its index by status, and its statuses."""

    alias: str
    filters: Mapping[str, str]
    status: str
    statuses: Parts


async def _ids(
    connection: Connection,
    select: str,
    of: _List,
    *,
    account_id: UUID,
    wanted: CursorRequest,
    filters: Filters,
    today: date,
) -> list[UUID]:
    """The ids of a page and of one row more."""
    values: list[object] = [account_id]

    def place(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    def condition(text: str) -> str:
        return text.replace("{today}", f"{place(today)}::date") if "{today}" in text else text

    where = "".join(
        f" AND {condition(of.filters[name]).replace('{}', place(list(allowed)))}"
        for name, allowed in filters.items()
        if name != "status"
    )
    if wanted.after is not None:
        where += f" AND {of.alias}.id < {place(wanted.after)}"
    if wanted.created_after is not None:
        where += f" AND {of.alias}.created_at >= {place(wanted.created_after)}"
    if wanted.created_before is not None:
        where += f" AND {of.alias}.created_at < {place(wanted.created_before)}"
    page = f"ORDER BY {of.alias}.id DESC LIMIT {place(wanted.limit + 1)}"
    query = f"{select}{where} {page}"
    if "status" in filters:
        # The index has the rows of each status in order: what is read is merged, however few there are of one.
        parts = [
            f"({select}{where} AND {of.status} = '{value}' AND {condition(also)} {page})"
            for status in dict.fromkeys(filters["status"])
            for called, also in [of.statuses[str(status)]]
            for value in called
        ]
        merged = " UNION ALL ".join(parts)
        query = f"SELECT id FROM ({merged}) found ORDER BY id DESC LIMIT {place(wanted.limit + 1)}"  # noqa: S608
    records = await connection.fetch(query, *values)
    return [r["id"] for r in records]
