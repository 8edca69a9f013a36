"""Invoices by the id that their own system gave them, whatever became of them: what an import compares with."""

from collections.abc import Sequence
from uuid import UUID

from recaudo.domain.model import Invoice
from recaudo.domain.states import InvoiceState
from recaudo.store import rows
from recaudo.store.database import Connection

Origin = tuple[str, str]
"""The system and its id."""


async def find_by_origin(connection: Connection, account_id: UUID, origins: Sequence[Origin]) -> dict[Origin, Invoice]:
    """The invoice of each origin, made in any dialect: the one that lives, else the last that was withdrawn."""
    records = await connection.fetch(
        """
        SELECT i.* FROM unnest($2::text[], $3::text[]) wanted (origin, origin_id)
        JOIN invoice i ON i.account_id = $1 AND i.origin_id = wanted.origin_id AND i.origin = wanted.origin
        WHERE i.kind = 'invoice'
        """,
        account_id,
        [origin for origin, _ in origins],
        [origin_id for _, origin_id in origins],
    )
    found = [rows.invoice_of(record) for record in records]
    found.sort(key=lambda it: (it.state is not InvoiceState.VOID, it.id))
    return {(it.origin or "", it.origin_id or ""): it for it in found}
