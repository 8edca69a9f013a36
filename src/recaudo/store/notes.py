"""Credit notes as they are: one, all of an invoice, lists, and what the ledger booked for one."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from recaudo.domain.model import CreditNote, Transfer
from recaudo.store import rows
from recaudo.store.database import Connection
from recaudo.store.lists import CursorPage, CursorRequest, fetch_newest


async def find_note(connection: Connection, account_id: UUID, note_id: UUID) -> CreditNote | None:
    """A note, issued or voided. It changes only under the lock of its invoice."""
    record = await connection.fetchrow(
        "SELECT * FROM credit_note WHERE account_id = $1 AND id = $2", account_id, note_id
    )
    return None if record is None else rows.note_of(record)


async def notes_of(connection: Connection, account_id: UUID, invoice_id: UUID) -> list[CreditNote]:
    """Every note of an invoice, voided ones too, by creation."""
    records = await connection.fetch(
        "SELECT * FROM credit_note WHERE account_id = $1 AND invoice_id = $2 ORDER BY id", account_id, invoice_id
    )
    return [rows.note_of(r) for r in records]


async def is_number_taken(connection: Connection, account_id: UUID, number: str) -> bool:
    """Whether an issued note has this number."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM credit_note WHERE account_id = $1 AND number = $2 AND state = 'issued')",
        account_id,
        number,
    )
    return found


async def transfers_of(connection: Connection, note: CreditNote) -> list[Transfer]:
    """The ledger rows of a note, in the order in which they were booked."""
    records = await connection.fetch(
        "SELECT * FROM transfer WHERE account_id = $1 AND invoice_id = $2 AND note_id = $3 ORDER BY id",
        note.account_id,
        note.invoice_id,
        note.id,
    )
    return [rows.transfer_of(r) for r in records]


_FILTERS = {
    "customer": "t.customer_id = ANY ({}::uuid[])",
    # Either id of an invoice (Treli spec 6.9).
    "invoice": """(t.invoice_id = ANY ({0}::uuid[]) OR t.invoice_id IN (
        SELECT k.invoice_id FROM collection k WHERE k.account_id = t.account_id AND k.id = ANY ({0}::uuid[])))""",
    "status": "t.state = ANY ({}::text[])",
}


async def list_notes(
    connection: Connection, account_id: UUID, request: CursorRequest, asked: Mapping[str, Sequence[object]]
) -> CursorPage[CreditNote]:
    """One page of notes, newest first. Raises UnknownCursorError."""
    return await fetch_newest(
        connection,
        "credit_note",
        where="true",
        filters=_FILTERS,
        asked=asked,
        account_id=account_id,
        request=request,
        to_row=rows.note_of,
    )
