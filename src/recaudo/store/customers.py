"""Customers: looked up by id, document or reference, listed by page."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from recaudo.domain.model import Customer
from recaudo.store import rows
from recaudo.store.database import Connection
from recaudo.store.lists import Page, PageRequest, fetch_page


async def find_customer(connection: Connection, account_id: UUID, customer_id: UUID) -> Customer | None:
    """The customer with this id, listed or not."""
    record = await connection.fetchrow(
        "SELECT * FROM customer WHERE account_id = $1 AND id = $2", account_id, customer_id
    )
    return None if record is None else rows.customer_of(record)


async def find_customers(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Customer]:
    """Several customers at once, by id."""
    records = await connection.fetch(
        "SELECT * FROM customer WHERE account_id = $1 AND id = ANY ($2::uuid[])", account_id, list(ids)
    )
    return {r["id"]: rows.customer_of(r) for r in records}


async def find_by_document(
    connection: Connection, account_id: UUID, document_type: str, document_number: str
) -> UUID | None:
    """The customer that is bound to this document, if any."""
    found: UUID | None = await connection.fetchval(
        """
        SELECT id FROM customer
        WHERE account_id = $1 AND document_number = $2 AND document_type = $3 AND document_bound
        """,
        account_id,
        document_number,
        document_type,
    )
    return found


_FILTERS = {
    "id": "c.id = ANY ({}::uuid[])",
    "document_number": "c.document_number = ANY ({}::text[])",
    "email": "c.email = ANY ({}::text[])",
    "phone": "c.phone = ANY ({}::text[])",
}


async def list_customers(
    connection: Connection, account_id: UUID, request: PageRequest, filters: Mapping[str, Sequence[object]]
) -> Page[Customer]:
    """One page of the listed customers."""
    return await fetch_page(
        connection,
        select="SELECT c.*",
        source="FROM customer c WHERE c.account_id = $1 AND c.listed",
        conditions=[(_FILTERS[name], values) for name, values in filters.items()],
        order={"created_at": "c.created_at, c.id", "-created_at": "c.created_at DESC, c.id DESC"}[request.sort],
        account_id=account_id,
        request=request,
        to_row=rows.customer_of,
    )
