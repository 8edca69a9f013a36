"""What is owed to customers, from the ledger."""

from uuid import UUID

from recaudo.store.database import Connection

OWED = "sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END)::bigint"
"""Of rows of the ledger that touch the book of credit."""


async def lock_credits(connection: Connection, account_id: UUID, customer_id: UUID) -> dict[str, int]:
    """What is owed to a customer in each currency, in minor units; nobody else moves it until the transaction ends."""
    await connection.execute(
        "SELECT 1 FROM customer WHERE account_id = $1 AND id = $2 FOR NO KEY UPDATE", account_id, customer_id
    )
    records = await connection.fetch(
        f"""
        SELECT currency, {OWED} AS owed FROM transfer
        WHERE account_id = $1 AND customer_id = $2 AND (debit = 'credit' OR credit = 'credit') GROUP BY currency
        """,  # noqa: S608 - our own text
        account_id,
        customer_id,
    )
    return {r["currency"]: r["owed"] for r in records}
