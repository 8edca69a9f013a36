"""Reading one invoice with its collections: under its lock to decide, or without to show."""

from collections.abc import Sequence
from uuid import UUID

from recaudo.domain.model import Attempt, Case, Collection, Customer, Invoice, Receipt, standing
from recaudo.store import rows
from recaudo.store.database import Connection


async def lock_invoice(connection: Connection, account_id: UUID, invoice_id: UUID) -> Invoice | None:
    """The invoice, locked until the transaction ends. None when the account has no such invoice.

    Raises LockTimeoutError (through the connection) when somebody else holds it for too long.
    """
    record = await connection.fetchrow(
        "SELECT * FROM invoice WHERE account_id = $1 AND id = $2 FOR UPDATE", account_id, invoice_id
    )
    return None if record is None else rows.invoice_of(record)


async def load_case(connection: Connection, invoice: Invoice, *, also: UUID | None = None) -> Case:
    """The invoice with every collection that asks for money or received some, the one it shows, and `also`."""
    records = await connection.fetch(
        """
        SELECT * FROM collection
        WHERE account_id = $1 AND invoice_id = $2
          AND (state IN ('pending', 'paid', 'uncollectible') OR received_minor <> 0 OR id = $3 OR id = $4)
        ORDER BY id
        """,
        invoice.account_id,
        invoice.id,
        invoice.collection_id,
        also,
    )
    collections = tuple(rows.collection_of(r) for r in records)
    return Case(
        invoice=invoice,
        collections=collections,
        receipts=await _receipts_of_invoice(connection, invoice) if any(c.parts for c in collections) else (),
        customer=await _listed_customer(connection, invoice),
    )


async def open_invoices_of(connection: Connection, account_id: UUID, customer_id: UUID, currency: str) -> list[UUID]:
    """The invoices of a customer on which money can be booked, by creation."""
    records = await connection.fetch(
        """
        SELECT id FROM invoice
        WHERE account_id = $1 AND customer_id = $2 AND currency = $3 AND kind = 'invoice'
          AND state IN ('open', 'uncollectible')
        ORDER BY id
        """,
        account_id,
        customer_id,
        currency,
    )
    return [r["id"] for r in records]


async def find_invoice(connection: Connection, account_id: UUID, invoice_id: UUID) -> Invoice | None:
    """The invoice as it is, without a lock."""
    record = await connection.fetchrow(
        "SELECT * FROM invoice WHERE account_id = $1 AND id = $2", account_id, invoice_id
    )
    return None if record is None else rows.invoice_of(record)


async def find_collection(connection: Connection, account_id: UUID, collection_id: UUID) -> Collection | None:
    """The collection as it is."""
    record = await connection.fetchrow(
        "SELECT * FROM collection WHERE account_id = $1 AND id = $2", account_id, collection_id
    )
    return None if record is None else rows.collection_of(record)


async def find_attempt(connection: Connection, account_id: UUID, attempt_id: UUID) -> Attempt | None:
    """The attempt as it is."""
    record = await connection.fetchrow(
        "SELECT * FROM attempt WHERE account_id = $1 AND id = $2", account_id, attempt_id
    )
    return None if record is None else rows.attempt_of(record)


async def find_attempt_by_once_key(
    connection: Connection, account_id: UUID, collection_id: UUID, once_key: str
) -> Attempt | None:
    """The attempt that a page's one-time key made, if any."""
    record = await connection.fetchrow(
        "SELECT * FROM attempt WHERE account_id = $1 AND collection_id = $2 AND once_key = $3",
        account_id,
        collection_id,
        once_key,
    )
    return None if record is None else rows.attempt_of(record)


async def booked_transactions(connection: Connection, account_id: UUID, attempt: Attempt) -> frozenset[str]:
    """The gateway transactions of this attempt that already have a receipt."""
    records = await connection.fetch(
        """
        SELECT gateway_tx_id FROM receipt
        WHERE account_id = $1 AND invoice_id = $2 AND gateway = $3 AND kind = 'gateway'
        """,
        account_id,
        attempt.invoice_id,
        attempt.gateway,
    )
    return frozenset(r["gateway_tx_id"] for r in records)


async def receipts_of(connection: Connection, account_id: UUID, collection_ids: Sequence[UUID]) -> list[Receipt]:
    """The receipts booked on these collections that stand, oldest first."""
    records = await connection.fetch(
        """
        SELECT r.* FROM collection c
        JOIN receipt r ON r.account_id = c.account_id AND r.invoice_id = c.invoice_id AND r.collection_id = c.id
        WHERE c.account_id = $1 AND c.id = ANY ($2::uuid[])
        ORDER BY r.id
        """,
        account_id,
        list(collection_ids),
    )
    return list(standing(rows.receipt_of(r) for r in records))


async def _receipts_of_invoice(connection: Connection, invoice: Invoice) -> tuple[Receipt, ...]:
    records = await connection.fetch(
        "SELECT * FROM receipt WHERE account_id = $1 AND invoice_id = $2 ORDER BY id", invoice.account_id, invoice.id
    )
    return standing(rows.receipt_of(r) for r in records)


async def _listed_customer(connection: Connection, invoice: Invoice) -> Customer | None:
    record = await connection.fetchrow(
        "SELECT * FROM customer WHERE account_id = $1 AND id = $2 AND listed", invoice.account_id, invoice.customer_id
    )
    return None if record is None else rows.customer_of(record)
