"""Collections on their own: cancelling one, sending its link again."""

from uuid import UUID

from recaudo.domain import closing
from recaudo.domain.changes import Moment
from recaudo.domain.model import Account, Collection, Invoice
from recaudo.domain.states import CollectionCommand, Refusal, RefusedError, allow_collection
from recaudo.store import cases, door, idempotency
from recaudo.store.views import CollectionView, view_collection
from recaudo.usecases.core import Core, Done, NotFoundError, Once, Respond, change_invoice, replay


async def cancel(core: Core, account: Account, collection_id: UUID, respond: Respond, *, once: Once | None) -> Done:
    """Stop asking through one collection; its invoice stays (OnePay spec 10.4).

    Raises NotFoundError, KeyReusedError and RefusedError.
    """
    invoice_id = await invoice_of(core, account, collection_id)
    return await change_invoice(
        core,
        account,
        invoice_id,
        lambda case, moment: closing.cancel_collection(case, collection_id, moment),
        respond,
        once=once,
        about=collection_id,
    )


async def remind(
    core: Core,
    account: Account,
    collection_id: UUID,
    *,
    template_id: str | None,
    once: Once | None,
    answer: bytes | None,
) -> tuple[CollectionView, Done | None]:
    """Queue the notice with the link again (OnePay spec 10.3). No state changes and no event is raised.

    Returns the collection as it is, and the stored answer if the key was used before. With `answer` None the caller
    only looks; with the rendered answer the notices and the answer are saved. Raises NotFoundError, KeyReusedError
    and RefusedError.
    """
    async with core.database.transaction() as connection:
        view = await view_collection(connection, account.id, collection_id)
        known = None if once is None else await idempotency.find(connection, account.id, once.scope, once.key)
        if known is not None and once is not None and view is not None:
            return view, replay(once, known)
        if view is None:
            raise NotFoundError
        check_reminder(view.invoice, view.collection)
        if answer is not None:
            moment = core.moment(account)
            remembered = None if once is None else once.remembered(account, 200, answer, moment.now)
            await door.remember(connection, remembered, notices=_notices(view, moment, template_id))
    return view, None


def check_reminder(invoice: Invoice, collection: Collection) -> None:
    """Raise RefusedError when there is nothing to ask for, or nobody to ask."""
    allow_collection(collection.state, CollectionCommand.REMIND)
    if invoice.phone is None and invoice.email is None:
        raise RefusedError(Refusal.COLLECTION_WITHOUT_CONTACT)


async def invoice_of(core: Core, account: Account, collection_id: UUID) -> UUID:
    """The invoice a collection belongs to. Raises NotFoundError."""
    async with core.database.connection() as connection:
        collection = await cases.find_collection(connection, account.id, collection_id)
    if collection is None:
        raise NotFoundError
    return collection.invoice_id


def _notices(view: CollectionView, moment: Moment, template_id: str | None) -> list[door.Notice]:
    addresses = {"phone": view.invoice.phone, "email": view.invoice.email}
    return [
        door.Notice(
            account_id=view.invoice.account_id,
            id=moment.new_id(),
            invoice_id=view.invoice.id,
            collection_id=view.collection.id,
            kind="reminder",
            channel=channel,
            address=address,
            template_id=template_id,
            at=moment.now,
        )
        for channel, address in addresses.items()
        if address is not None
    ]
