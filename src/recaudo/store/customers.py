"""Customers: looked up by id, document or reference, listed by page or by cursor, changed under their lock."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from recaudo.domain.model import Customer
from recaudo.store import rows, tally
from recaudo.store.credits import OWED
from recaudo.store.database import Connection
from recaudo.store.door import TakenError
from recaudo.store.lists import CursorPage, CursorRequest, Page, PageRequest, fetch_newest, fetch_page


async def find_customer(connection: Connection, account_id: UUID, customer_id: UUID) -> Customer | None:
    """The customer with this id, listed or not."""
    record = await connection.fetchrow(
        "SELECT * FROM customer WHERE account_id = $1 AND id = $2", account_id, customer_id
    )
    return None if record is None else rows.customer_of(record)


async def lock_customer(connection: Connection, account_id: UUID, customer_id: UUID) -> Customer | None:
    """The same, locked until the transaction ends."""
    record = await connection.fetchrow(
        "SELECT * FROM customer WHERE account_id = $1 AND id = $2 FOR UPDATE", account_id, customer_id
    )
    return None if record is None else rows.customer_of(record)


_NEW = "unnest($1::customer[]) n"
_OLD = f"{_NEW} JOIN customer o ON o.account_id = n.account_id AND o.id = n.id"


async def update_customer(connection: Connection, it: Customer) -> None:
    """Overwrite what may change. The caller holds the row's lock. Raises TakenError for another one's document."""
    try:
        await connection.execute(
            f"""
            WITH tallied AS (
                {tally.add([tally.counted("n", tally.CUSTOMER, _NEW, 1), tally.counted("o", tally.CUSTOMER, _OLD, -1)])}
            )
            UPDATE customer SET listed = n.listed, user_type = n.user_type, first_name = n.first_name,
                last_name = n.last_name, email = n.email, phone = n.phone, document_type = n.document_type,
                document_number = n.document_number, document_bound = n.document_bound, address = n.address,
                emails = n.emails, updated_at = n.updated_at, deleted_at = n.deleted_at
            FROM unnest($1::customer[]) n WHERE customer.account_id = n.account_id AND customer.id = n.id
            """,  # noqa: S608 - our own names
            [rows.customer_row(it)],
        )
    except asyncpg.UniqueViolationError as error:
        raise TakenError(str(error)) from error


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
        total=None if filters else await tally.total(connection, account_id, tally.CUSTOMER),
    )


async def list_newest_customers(
    connection: Connection, account_id: UUID, request: CursorRequest, asked: Mapping[str, Sequence[object]]
) -> CursorPage[Customer]:
    """One page of the listed customers by cursor. Raises UnknownCursorError."""
    return await fetch_newest(
        connection,
        "customer",
        where="t.listed",
        filters={
            "email": "t.email = ANY ({}::text[])",
            "identification": "t.document_number = ANY ({}::text[])",
        },
        asked=asked,
        account_id=account_id,
        request=request,
        to_row=rows.customer_of,
    )


async def credits_of(
    connection: Connection, account_id: UUID, ids: Sequence[UUID], *, currency: str
) -> dict[UUID, int]:
    """What is owed to customers in a currency, in minor units, for those to whom something ever was."""
    records = await connection.fetch(
        f"""
        SELECT customer_id, {OWED} AS owed
        FROM transfer
        WHERE account_id = $1 AND customer_id = ANY ($2::uuid[]) AND (debit = 'credit' OR credit = 'credit')
          AND currency = $3
        GROUP BY customer_id
        """,  # noqa: S608 - our own text
        account_id,
        list(ids),
        currency,
    )
    return {r["customer_id"]: r["owed"] for r in records}
