"""Reading one invoice with its collections: under its lock to decide, or without to show."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from recaudo.domain.model import Attempt, Case, Collection, Customer, Invoice, Receipt, Refund, standing
from recaudo.domain.transactions import Booked
from recaudo.store import rows
from recaudo.store.database import Connection


async def lock_invoice(connection: Connection, account_id: UUID, invoice_id: UUID) -> Invoice | None:
    """The invoice, locked until the transaction ends. None when the account has no such invoice.

    What follows in the transaction is planned once for a connection and not for each change: the statement that saves
    one is long, and planning it took longer than performing it. Raises LockTimeoutError (through the connection) when
    somebody else holds it for too long.
    """
    record = await connection.fetchrow(
        """
        SELECT *, set_config('plan_cache_mode', 'force_generic_plan', true) FROM invoice
        WHERE account_id = $1 AND id = $2 FOR UPDATE
        """,
        account_id,
        invoice_id,
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
        customer=await listed_customer(connection, invoice),
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


async def undecided_attempts(connection: Connection, account_id: UUID, collection_id: UUID) -> int:
    """How many attempts of a collection the gateways are still asked about."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM attempt WHERE account_id = $1 AND collection_id = $2 AND due_at IS NOT NULL",
        account_id,
        collection_id,
    )
    return count


async def booked_transactions(
    connection: Connection, account_id: UUID, invoice_id: UUID, gateway: str
) -> dict[str, Booked]:
    """The gateway's transactions on an invoice that have a receipt, and what is booked as gone back of each."""
    records = await connection.fetch(
        """
        SELECT r.*, coalesce(b.returned_minor, 0)::bigint AS returned_minor,
               coalesce(e.elsewhere_minor, 0)::bigint AS elsewhere_minor
        FROM receipt r
        LEFT JOIN (SELECT account_id, receipt_id, sum(amount_minor) AS elsewhere_minor FROM refund
                   WHERE account_id = $1 AND invoice_id = $2 AND way = 'elsewhere' GROUP BY 1, 2) e
               ON e.account_id = r.account_id AND e.receipt_id = r.id
        LEFT JOIN (SELECT account_id, reverses, sum(-amount_minor) AS returned_minor FROM receipt
                   WHERE account_id = $1 AND invoice_id = $2 AND kind = 'refund' GROUP BY 1, 2) b
               ON b.account_id = r.account_id AND b.reverses = r.id
        WHERE r.account_id = $1 AND r.invoice_id = $2 AND r.gateway = $3 AND r.kind = 'gateway'
        """,
        account_id,
        invoice_id,
        gateway,
    )
    return {
        r["gateway_tx_id"]: Booked(
            receipt=rows.receipt_of(r), returned_minor=r["returned_minor"], elsewhere_minor=r["elsewhere_minor"]
        )
        for r in records
    }


async def booked_transaction(
    connection: Connection, account_id: UUID, gateway: str, gateway_tx_id: str
) -> Booked | None:
    """A gateway's transaction as it is booked, on whatever invoice; None when it is not."""
    record = await connection.fetchrow(
        """
        SELECT r.*, (SELECT coalesce(sum(-b.amount_minor), 0)::bigint FROM receipt b
                     WHERE b.account_id = $1 AND b.reverses = r.id) AS returned_minor,
               (SELECT coalesce(sum(f.amount_minor), 0)::bigint FROM refund f
                WHERE f.account_id = $1 AND f.receipt_id = r.id AND f.way = 'elsewhere') AS elsewhere_minor,
               EXISTS (SELECT 1 FROM attempt a WHERE a.account_id = $1 AND a.id = r.attempt_id
                       AND a.gateway_data -> 'transactions' ->> r.gateway_tx_id = 'disputed') AS is_disputed
        FROM receipt r
        WHERE r.account_id = $1 AND r.gateway = $2 AND r.gateway_tx_id = $3 AND r.kind = 'gateway'
        """,
        account_id,
        gateway,
        gateway_tx_id,
    )
    if record is None:
        return None
    return Booked(
        receipt=rows.receipt_of(record),
        returned_minor=record["returned_minor"],
        elsewhere_minor=record["elsewhere_minor"],
        is_disputed=record["is_disputed"],
    )


async def receipts_between(
    connection: Connection, account_id: UUID, gateway: str, since: datetime, until: datetime
) -> list[Receipt]:
    """What is booked of a gateway's transactions from `since` on and before `until`, on the account's clock."""
    records = await connection.fetch(
        """
        SELECT * FROM receipt
        WHERE account_id = $1 AND gateway = $2 AND kind = 'gateway' AND at >= $3 AND at < $4 ORDER BY at, id
        """,
        account_id,
        gateway,
        since,
        until,
    )
    return [rows.receipt_of(r) for r in records]


async def is_unresolved(connection: Connection, account_id: UUID, gateway: str, gateway_tx_id: str) -> bool:
    """Whether a transaction waits in suspense for somebody to say what became of it."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT 1 FROM suspense WHERE account_id = $1 AND gateway = $2 AND gateway_tx_id = $3
                       AND resolved_at IS NULL)
        """,
        account_id,
        gateway,
        gateway_tx_id,
    )
    return found


async def find_attempt_by_reference(
    connection: Connection, account_id: UUID, gateway: str, reference: str
) -> Attempt | None:
    """The attempt that a gateway knows by this reference, if it is one of ours."""
    record = await connection.fetchrow(
        "SELECT * FROM attempt WHERE account_id = $1 AND gateway = $2 AND reference = $3",
        account_id,
        gateway,
        reference,
    )
    return None if record is None else rows.attempt_of(record)


async def find_receipt(connection: Connection, account_id: UUID, receipt_id: UUID) -> Receipt | None:
    """A receipt, negative ones included."""
    record = await connection.fetchrow(
        "SELECT * FROM receipt WHERE account_id = $1 AND id = $2", account_id, receipt_id
    )
    return None if record is None else rows.receipt_of(record)


async def refunds_of(connection: Connection, account_id: UUID, receipt_id: UUID) -> list[Refund]:
    """The refunds of a receipt, oldest first."""
    records = await connection.fetch(
        "SELECT * FROM refund WHERE account_id = $1 AND receipt_id = $2 ORDER BY id", account_id, receipt_id
    )
    return [rows.refund_of(r) for r in records]


async def find_refund(connection: Connection, account_id: UUID, refund_id: UUID) -> Refund | None:
    """A refund as it is."""
    record = await connection.fetchrow("SELECT * FROM refund WHERE account_id = $1 AND id = $2", account_id, refund_id)
    return None if record is None else rows.refund_of(record)


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


async def listed_customer(connection: Connection, invoice: Invoice) -> Customer | None:
    """The debtor, once their document is known."""
    record = await connection.fetchrow(
        "SELECT * FROM customer WHERE account_id = $1 AND id = $2 AND listed", invoice.account_id, invoice.customer_id
    )
    return None if record is None else rows.customer_of(record)
