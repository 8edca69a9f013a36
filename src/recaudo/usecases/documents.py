"""Documents that we keep: written before the invoice that links to them, and dropped when that comes to nothing."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from recaudo.domain.model import Account
from recaudo.store import documents
from recaudo.store.documents import Document
from recaudo.store.due import Claimed
from recaudo.usecases.core import Core, Done

TOKEN_BYTES = 24
# No request takes so long: by then a document has its invoice, or will never have one.
SWEPT_AFTER = timedelta(hours=1)


def new_document(core: Core, account: Account, content: bytes) -> Document:
    """A document with its link's token, not written yet."""
    moment = core.moment(account)
    return Document(
        account_id=account.id,
        id=moment.new_id(),
        token=secrets.token_urlsafe(TOKEN_BYTES),
        content=content,
        created_at=moment.now,
    )


class Keeping:
    """Whether a document's invoice was written; said with `done`."""

    def __init__(self) -> None:
        self.is_used = False

    def done(self, done: Done) -> Done:
        """A replayed answer has the first request's document."""
        self.is_used = not done.replayed
        return done


@asynccontextmanager
async def kept(core: Core, document: Document | None) -> AsyncGenerator[Keeping]:
    """Write a document for as long as the block goes well and its invoice is new.

    A process that dies inside the block leaves a document that nothing links to: it is swept SWEPT_AFTER later.
    """
    keeping = Keeping()
    if document is None:
        yield keeping
        return
    async with core.database.connection() as connection:
        await documents.insert_document(connection, document, due_at=core.clock.now() + SWEPT_AFTER)
    try:
        yield keeping
    finally:
        if not keeping.is_used:
            async with core.database.connection() as connection:
                await documents.delete_document(connection, document.account_id, document.id)


async def sweep(core: Core, claimed: Claimed) -> None:
    """Drop a document whose invoice never came, never one that an invoice uses."""
    async with core.database.connection() as connection:
        await documents.sweep_document(connection, claimed.account_id, claimed.id)


async def content(core: Core, token: str) -> bytes | None:
    """What a link leads to."""
    async with core.database.connection() as connection:
        return await documents.find_content(connection, token)
