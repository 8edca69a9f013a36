"""Documents of invoices that were sent to us as bytes, served to whoever has their link."""

from datetime import datetime
from uuid import UUID

import msgspec

from recaudo.store.database import Connection


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A PDF under a token that cannot be guessed: the link is all that a payer has."""

    account_id: UUID
    id: UUID
    token: str
    content: bytes
    created_at: datetime


async def insert_document(connection: Connection, it: Document) -> None:
    """Write a document, before the invoice that links to it."""
    await connection.execute("INSERT INTO document SELECT * FROM unnest($1::document[])", [msgspec.structs.astuple(it)])


async def delete_document(connection: Connection, account_id: UUID, document_id: UUID) -> None:
    """Drop a document whose invoice came to nothing."""
    await connection.execute("DELETE FROM document WHERE account_id = $1 AND id = $2", account_id, document_id)


async def find_content(connection: Connection, token: str) -> bytes | None:
    """What a link leads to. A look-up across accounts: the link names none, and cannot be guessed."""
    found: bytes | None = await connection.fetchval("SELECT content FROM document WHERE token = $1 LIMIT 1", token)
    return found
