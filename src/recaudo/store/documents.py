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


async def insert_document(connection: Connection, it: Document, *, due_at: datetime) -> None:
    """Write a document, before the invoice that links to it, and look at `due_at` (real time) whether there is one."""
    await connection.execute(
        "INSERT INTO document (account_id, id, token, content, created_at, due_at) VALUES ($1, $2, $3, $4, $5, $6)",
        *msgspec.structs.astuple(it),
        due_at,
    )


async def sweep_document(connection: Connection, account_id: UUID, document_id: UUID) -> None:
    """Drop a document that no invoice uses; one that is used stays for good, and is not looked at again."""
    await connection.execute(
        """
        WITH used AS (
            UPDATE document d SET due_at = NULL, leased_until = NULL
            WHERE d.account_id = $1 AND d.id = $2
              AND EXISTS (SELECT 1 FROM invoice i WHERE i.account_id = d.account_id AND i.document_id = d.id)
            RETURNING d.id
        )
        DELETE FROM document d
        WHERE d.account_id = $1 AND d.id = $2 AND NOT EXISTS (SELECT 1 FROM used)
        """,
        account_id,
        document_id,
    )


async def delete_document(connection: Connection, account_id: UUID, document_id: UUID) -> None:
    """Drop a document whose invoice came to nothing."""
    await connection.execute("DELETE FROM document WHERE account_id = $1 AND id = $2", account_id, document_id)


async def find_content(connection: Connection, token: str) -> bytes | None:
    """What a link leads to. A look-up across accounts: the link names none, and cannot be guessed."""
    found: bytes | None = await connection.fetchval("SELECT content FROM document WHERE token = $1 LIMIT 1", token)
    return found
