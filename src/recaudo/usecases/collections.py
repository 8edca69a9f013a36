"""Collections on their own: cancelling one, sending its link again."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from recaudo.domain import closing
from recaudo.domain.changes import Moment
from recaudo.domain.model import Account, Collection, Invoice
from recaudo.domain.states import CollectionCommand, Refusal, RefusedError, allow_collection
from recaudo.store import cases, door
from recaudo.store.views import CollectionView, view_collection
from recaudo.usecases.core import (
    Core,
    Done,
    NotFoundError,
    Once,
    Respond,
    change_invoice,
    repeated,
    replay_if_known,
)


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
    template: Callable[[], str | None],
    respond: Callable[[CollectionView], bytes],
    *,
    once: Once | None,
) -> Done:
    """Queue the notice with the link again (OnePay spec 10.3). No state changes and no event is raised.

    `template` is called once the collection is found. Raises NotFoundError, KeyReusedError, RefusedError and
    whatever `template` raises.
    """

    def message(view: CollectionView) -> Message:
        template_id = template()
        check_reminder(view.invoice, view.collection)
        addresses = [("phone", view.invoice.phone), ("email", view.invoice.email)]
        return Message([(channel, address) for channel, address in addresses if address is not None], template_id)

    return await send(core, account, collection_id, message, respond, once=once)


class Message(msgspec.Struct, frozen=True):
    """To whom a notice goes, each a channel (phone, email) and an address, and in which words."""

    receivers: Sequence[tuple[str, str]]
    template_id: str | None = None


async def send(
    core: Core,
    account: Account,
    collection_id: UUID,
    message: Callable[[CollectionView], Message],
    respond: Callable[[CollectionView], bytes],
    *,
    once: Once | None,
) -> Done:
    """Queue a notice with the link (Treli spec 10.3). No state changes and no event is raised.

    `message` is called with the collection and says to whom, or raises. Raises NotFoundError and KeyReusedError.
    """
    return await repeated(partial(_send_once, core, account, collection_id, message, respond, once=once))


async def _send_once(
    core: Core,
    account: Account,
    collection_id: UUID,
    message: Callable[[CollectionView], Message],
    respond: Callable[[CollectionView], bytes],
    *,
    once: Once | None,
) -> Done:
    known = await replay_if_known(core, account, once)
    if known is not None:
        return known
    async with core.database.transaction() as connection:
        view = await view_collection(connection, account.id, collection_id)
        if view is None:
            raise NotFoundError
        said = message(view)
        moment = core.moment(account)
        answer = respond(view)
        remembered = None if once is None else once.remembered(account, 200, answer, moment.now)
        await door.remember(connection, remembered, notices=_notices(view, moment, said))
    return Done(status=200, answer=answer)


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


def _notices(view: CollectionView, moment: Moment, message: Message) -> list[door.Notice]:
    return [
        door.Notice(
            account_id=view.invoice.account_id,
            id=moment.new_id(),
            invoice_id=view.invoice.id,
            collection_id=view.collection.id,
            kind="reminder",
            channel=channel,
            address=address,
            template_id=message.template_id,
            at=moment.now,
        )
        for channel, address in message.receivers
    ]
