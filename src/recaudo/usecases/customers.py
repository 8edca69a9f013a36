"""Customers: register one with a document, change or delete one."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.model import Account, Customer
from recaudo.store import customers, door
from recaudo.store.database import Connection
from recaudo.store.door import TakenError
from recaudo.usecases.core import TRIES_MAX, Core, Done, NotFoundError, Once, repeated, replay_if_known
from recaudo.usecases.registers import kept


class RegisterCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """Register a customer. Already validated."""

    user_type: str = "natural"
    first_name: str
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    document_type: str | None = None
    document_number: str | None = None
    enable_notifications: bool = True
    nationality: str | None = None
    birthdate: date | None = None
    related_to: UUID | None = None
    address: dict[str, Any] | None = None
    emails: tuple[str, ...] = ()


class DocumentTakenError(Exception):
    """Another customer has this document."""

    def __init__(self, existing_id: UUID) -> None:
        super().__init__(str(existing_id))
        self.existing_id = existing_id


RespondCustomer = Callable[[Customer], tuple[int, bytes]]


async def register(
    core: Core, account: Account, command: RegisterCustomer, respond: RespondCustomer, *, once: Once | None
) -> Done:
    """Register a customer, in one commit with the answer kept for `once`.

    Raises KeyReusedError and DocumentTakenError.
    """
    moment = core.moment(account)
    customer = Customer(
        account_id=account.id,
        id=moment.new_id(),
        listed=True,
        document_bound=_bound(account, command.document_number),
        created_at=moment.now,
        updated_at=moment.now,
        **msgspec.structs.asdict(command),
    )
    status, answer = respond(customer)
    remembered = None if once is None else once.remembered(account, status, answer, moment.now)
    for _ in range(TRIES_MAX):
        existing_id = await _with_same_document(core, customer)
        # The key after the document: whoever took the document may be the first request with this key.
        known = await replay_if_known(core, account, once)
        if known is not None:
            return known
        if existing_id is not None:
            raise DocumentTakenError(existing_id)
        try:
            async with core.database.connection() as connection:
                await door.remember(connection, remembered, customer=customer)
        except TakenError:
            continue
        return Done(status=status, answer=answer)
    raise TakenError("the customer's key kept changing hands")


Fields = Callable[[Customer], Mapping[str, Any]]
RespondChanged = Callable[[Customer, int], tuple[int, bytes]]
"""Answers with the customer and what is owed to them, in minor units of the account's currency."""


async def change(
    core: Core, account: Account, customer_id: UUID, fields: Fields, respond: RespondChanged, *, once: Once | None
) -> Done:
    """Change a customer, listed or not; one who gets a document is listed from then on (Treli spec 11.1).

    `fields` is called with the customer as they are under their lock and returns the new values, or raises. Raises
    NotFoundError, also for a deleted one, KeyReusedError and DocumentTakenError.
    """
    return await repeated(partial(_change_once, core, account, customer_id, fields, respond, once=once))


async def _change_once(
    core: Core, account: Account, customer_id: UUID, fields: Fields, respond: RespondChanged, *, once: Once | None
) -> Done:
    async def act(connection: Connection) -> tuple[int, bytes]:
        before = await _lock(connection, account, customer_id)
        after = _changed(account, before, fields(before), core)
        await _check_document(connection, after)
        await customers.update_customer(connection, after)
        credit = await customers.credits_of(connection, account.id, [customer_id], currency=account.currency)
        return respond(after, credit.get(customer_id, 0))

    return await kept(core, account, act, once=once)


async def delete(
    core: Core, account: Account, customer_id: UUID, respond: RespondCustomer, *, once: Once | None
) -> Done:
    """Take a customer off the list and free their document; their invoices stay.

    Raises NotFoundError, also for one who was deleted before, and KeyReusedError.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        before = await _lock(connection, account, customer_id)
        now = core.now(account)
        after = msgspec.structs.replace(before, listed=False, document_bound=None, updated_at=now, deleted_at=now)
        await customers.update_customer(connection, after)
        return respond(after)

    return await repeated(partial(kept, core, account, act, once=once))


async def _lock(connection: Connection, account: Account, customer_id: UUID) -> Customer:
    found = await customers.lock_customer(connection, account.id, customer_id)
    if found is None or found.deleted_at is not None:
        raise NotFoundError
    return found


def _changed(account: Account, before: Customer, values: Mapping[str, Any], core: Core) -> Customer:
    """The customer after a change. A document that stays the same stays bound as it was."""
    after = msgspec.structs.replace(before, updated_at=core.now(account), **values)
    same = (after.document_type, after.document_number) == (before.document_type, before.document_number)
    return msgspec.structs.replace(
        after,
        listed=before.listed or after.document_number is not None,
        document_bound=before.document_bound if same else _bound(account, after.document_number),
    )


async def _check_document(connection: Connection, it: Customer) -> None:
    """Raises DocumentTakenError when somebody else is bound to this document."""
    if not it.document_bound or it.document_type is None or it.document_number is None:
        return
    holder = await customers.find_by_document(connection, it.account_id, it.document_type, it.document_number)
    if holder is not None and holder != it.id:
        raise DocumentTakenError(holder)


def _bound(account: Account, document_number: str | None) -> bool | None:
    """Whether nobody else may have the same document."""
    return None if document_number is None or account.allow_duplicate_documents else True


async def exists(core: Core, account: Account, customer_id: UUID) -> bool:
    """Whether the account has this customer."""
    async with core.database.connection() as connection:
        return await customers.find_customer(connection, account.id, customer_id) is not None


async def _with_same_document(core: Core, customer: Customer) -> UUID | None:
    if not customer.document_bound or customer.document_type is None or customer.document_number is None:
        return None
    async with core.database.connection() as connection:
        return await customers.find_by_document(
            connection, customer.account_id, customer.document_type, customer.document_number
        )
