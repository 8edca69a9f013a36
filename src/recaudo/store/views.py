"""What answers and pages show: invoices with their newest collection, collections with their invoice, attempts."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.model import Attempt, Collection, Customer, Invoice, Receipt
from recaudo.store import rows, tally
from recaudo.store.cases import receipts_of
from recaudo.store.database import Connection
from recaudo.store.lists import OneOf, Page, PageRequest, fetch_page


class CollectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as people see it: with its invoice, its listed customer and what was received on it."""

    invoice: Invoice
    collection: Collection
    customer: Customer | None = None
    receipts: Sequence[Receipt] = ()


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt with what it is about."""

    attempt: Attempt
    invoice: Invoice
    customer: Customer | None = None


async def view_invoice(connection: Connection, account_id: UUID, invoice_id: UUID) -> CollectionView | None:
    """An invoice and its newest collection."""
    found = await _views(
        connection,
        account_id,
        f"FROM invoice i JOIN collection c ON c.account_id = i.account_id AND c.id = i.collection_id {_DEBTOR} "
        "WHERE i.account_id = $1 AND i.id = $2",
        invoice_id,
    )
    return found[0] if found else None


async def view_collection(connection: Connection, account_id: UUID, collection_id: UUID) -> CollectionView | None:
    """A collection, live or not, and its invoice."""
    found = await _views(
        connection,
        account_id,
        f"FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id {_DEBTOR} "
        "WHERE c.account_id = $1 AND c.id = $2",
        collection_id,
    )
    return found[0] if found else None


async def view_collections(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> list[CollectionView]:
    """Several collections, live or not, in no order."""
    return await _views(
        connection,
        account_id,
        f"FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id {_DEBTOR} "
        "WHERE c.account_id = $1 AND c.id = ANY ($2::uuid[])",
        list(ids),
    )


async def find_account_of_collection(connection: Connection, collection_id: UUID) -> UUID | None:
    """Whose link this is. The one look-up across accounts: a payer's link names no account, its id is unguessable."""
    found: UUID | None = await connection.fetchval(
        "SELECT account_id FROM collection WHERE id = $1 LIMIT 1", collection_id
    )
    return found


async def _views(connection: Connection, account_id: UUID, source: str, *values: object) -> list[CollectionView]:
    records = await connection.fetch(f"SELECT {_VIEW} {source}", account_id, *values)
    return await _with_receipts(connection, account_id, [_view(r) for r in records])


async def _with_receipts(
    connection: Connection, account_id: UUID, found: Sequence[CollectionView]
) -> list[CollectionView]:
    """Add what was received, where there is any, with one query."""
    with_money = [view.collection.id for view in found if view.collection.parts > 0]
    if not with_money:
        return list(found)
    receipts = await receipts_of(connection, account_id, with_money)
    return [
        msgspec.structs.replace(view, receipts=[r for r in receipts if r.collection_id == view.collection.id])
        for view in found
    ]


Filters = Mapping[str, Sequence[object]]

_INVOICE_FILTERS = {
    "id": "i.id = ANY ({}::uuid[])",
    "reference": "lower(i.reference) = ANY (lower({0}::text[]::text)::text[]) AND i.reference = ANY ({0}::text[])",
    "provider": "i.origin = ANY ({}::text[])",
    "provider_id": "i.origin_id = ANY ({}::text[])",
}


async def list_invoices(
    connection: Connection, account_id: UUID, request: PageRequest, filters: Mapping[str, Sequence[object]]
) -> Page[Invoice]:
    """One page of invoices. `status` takes core states, with `part` for open ones that received something."""
    statuses = filters.get("status")
    conditions = _conditions(_INVOICE_FILTERS, filters)
    if statuses is None:
        conditions.append(("i.state <> ALL ({}::text[])", ["void"]))
    shown = [s for s in tally.INVOICE_STATUSES if s != "void"] if statuses is None else statuses
    order = {"created_at": "id", "-created_at": "id DESC"}[request.sort]
    return await fetch_page(
        connection,
        select="SELECT i.*",
        source="FROM invoice i WHERE i.account_id = $1 AND i.kind = 'invoice'",
        conditions=conditions,
        # Ids sort by the account's clock, so this is the order of creation and the primary key serves it.
        order=f"i.{order}",
        account_id=account_id,
        request=request,
        to_row=rows.invoice_of,
        one_of=_one_of(tally.invoice_status("i"), statuses, order),
        total=await _total(connection, account_id, tally.INVOICE, filters, shown),
    )


def _conditions(known: Mapping[str, str], filters: Filters) -> list[tuple[str, Sequence[object]]]:
    return [(known[name], values) for name, values in filters.items() if name != "status"]


def _one_of(expression: str, statuses: Sequence[object] | None, order: str) -> OneOf | None:
    return None if not statuses else OneOf(expression=expression, values=statuses, order=order)


async def _total(
    connection: Connection, account_id: UUID, noun: str, filters: Filters, statuses: Sequence[object] | None
) -> int | None:
    """How many rows a list has; None when that must be counted."""
    return await tally.total(connection, account_id, noun, statuses) if set(filters) <= {"status"} else None


_COLLECTION_FILTERS = {
    "id": "c.id = ANY ({}::uuid[])",
    "reference": _INVOICE_FILTERS["reference"],
    "external_id": "i.origin_id = ANY ({}::text[])",
}


async def list_collections(
    connection: Connection, account_id: UUID, request: PageRequest, filters: Mapping[str, Sequence[object]]
) -> Page[CollectionView]:
    """One page of collections, of invoices and alone, superseded ones included."""
    statuses = filters.get("status")
    order = {"created_at": "id", "-created_at": "id DESC"}[request.sort]
    page = await fetch_page(
        connection,
        select=f"SELECT {_VIEW}",
        source=f"FROM collection c JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id {_DEBTOR} "
        "WHERE c.account_id = $1",
        conditions=_conditions(_COLLECTION_FILTERS, filters),
        order=f"c.{order}",
        account_id=account_id,
        request=request,
        to_row=_view,
        one_of=_one_of(tally.collection_status("c"), statuses, f"c_{order}"),
        total=await _total(connection, account_id, tally.COLLECTION, filters, statuses),
    )
    return Page(await _with_receipts(connection, account_id, page.items), page.total)


_ATTEMPT_FILTERS = {
    "id": "t.id = ANY ({}::uuid[])",
    "external_id": "i.origin_id = ANY ({}::text[])",
    "collection_id": "t.collection_id = ANY ({}::uuid[])",
}

_ATTEMPT_ORDER = {
    "created_at": "t.id",
    "-created_at": "t.id DESC",
    "paid_at": "t.paid_at NULLS LAST, t.id",
    "-paid_at": "t.paid_at DESC NULLS LAST, t.id DESC",
}


async def list_attempts(
    connection: Connection, account_id: UUID, request: PageRequest, filters: Mapping[str, Sequence[object]]
) -> Page[AttemptView]:
    """One page of attempts."""
    statuses = filters.get("status")
    return await fetch_page(
        connection,
        select=f"SELECT {_ATTEMPT_VIEW}",
        source=f"FROM attempt t JOIN invoice i ON i.account_id = t.account_id AND i.id = t.invoice_id {_DEBTOR} "
        "WHERE t.account_id = $1",
        conditions=_conditions(_ATTEMPT_FILTERS, filters),
        order=_ATTEMPT_ORDER[request.sort],
        account_id=account_id,
        request=request,
        to_row=_attempt_view,
        one_of=_one_of("t.state", statuses, _ATTEMPT_ORDER[request.sort].replace("t.", "t_")),
        total=await _total(connection, account_id, tally.ATTEMPT, filters, statuses),
    )


async def last_attempt(connection: Connection, account_id: UUID, collection_id: UUID) -> Attempt | None:
    """The newest attempt on a collection: what the payer's page speaks of."""
    record = await connection.fetchrow(
        "SELECT * FROM attempt WHERE account_id = $1 AND collection_id = $2 ORDER BY id DESC LIMIT 1",
        account_id,
        collection_id,
    )
    return None if record is None else rows.attempt_of(record)


PORTAL_ROWS_MAX = 50


async def find_payable(connection: Connection, account_id: UUID, typed: str) -> list[CollectionView]:
    """What can be paid now under a reference or a document number, oldest due first (OnePay spec, section 15)."""
    return await _views(
        connection,
        account_id,
        f"""
        FROM (
            SELECT id FROM invoice WHERE account_id = $1 AND lower(reference) = lower($2) AND state = 'open'
            UNION
            SELECT i.id FROM customer p
            JOIN invoice i ON i.account_id = p.account_id AND i.customer_id = p.id AND i.state = 'open'
            WHERE p.account_id = $1 AND p.listed AND lower(p.document_number) = lower($2)
        ) found
        JOIN invoice i ON i.account_id = $1 AND i.id = found.id
        JOIN collection c ON c.account_id = i.account_id AND c.id = i.collection_id AND c.state = 'pending'
        {_DEBTOR}
        ORDER BY i.due_on NULLS LAST, i.id LIMIT {PORTAL_ROWS_MAX}
        """,  # noqa: S608 - our own number
        typed,
    )


def _prefixed(alias: str, type_: Any) -> str:  # noqa: ANN401 - a Struct class
    return ", ".join(f"{alias}.{name} AS {alias}_{name}" for name in type_.__struct_fields__)


_INVOICE_COLUMNS = len(Invoice.__struct_fields__)
_COLLECTION_COLUMNS = len(Collection.__struct_fields__)
_ATTEMPT_COLUMNS = len(Attempt.__struct_fields__)
# Whoever owes the invoice `i`, once their document is known: in the same trip, as a second one costs more than a join.
_DEBTOR = "LEFT JOIN customer p ON p.account_id = i.account_id AND p.id = i.customer_id AND p.listed"
_VIEW = ", ".join((_prefixed("c", Collection), _prefixed("i", Invoice), _prefixed("p", Customer)))
_ATTEMPT_VIEW = ", ".join((_prefixed("t", Attempt), _prefixed("i", Invoice), _prefixed("p", Customer)))


def _view(record: Any) -> CollectionView:  # noqa: ANN401 - a joined row
    invoice, customer = _about(record[_COLLECTION_COLUMNS:])
    collection = rows.collection_of(_named(Collection, record[:_COLLECTION_COLUMNS]))
    return CollectionView(invoice=invoice, collection=collection, customer=customer)


def _attempt_view(record: Any) -> AttemptView:  # noqa: ANN401 - a joined row
    invoice, customer = _about(record[_ATTEMPT_COLUMNS:])
    attempt = rows.attempt_of(_named(Attempt, record[:_ATTEMPT_COLUMNS]))
    return AttemptView(attempt=attempt, invoice=invoice, customer=customer)


def _about(values: Sequence[Any]) -> tuple[Invoice, Customer | None]:
    invoice = rows.invoice_of(_named(Invoice, values[:_INVOICE_COLUMNS]))
    customer = _named(Customer, values[_INVOICE_COLUMNS:])
    return invoice, None if customer["id"] is None else rows.customer_of(customer)


def _named(type_: Any, values: Sequence[Any]) -> dict[str, Any]:  # noqa: ANN401 - a Struct class
    return dict(zip(type_.__struct_fields__, values, strict=True))
