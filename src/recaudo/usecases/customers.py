"""Customers: register one with a document."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import msgspec

from recaudo.domain.model import Account, Customer
from recaudo.store import customers, door
from recaudo.store.door import TakenError
from recaudo.usecases.core import TRIES_MAX, Core, Done, Once, replay_if_known


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
    has_document = command.document_number is not None
    customer = Customer(
        account_id=account.id,
        id=moment.new_id(),
        listed=True,
        document_bound=True if has_document and not account.allow_duplicate_documents else None,
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
