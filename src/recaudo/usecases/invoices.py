"""Invoices: open, change, withdraw."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain import closing, replacing
from recaudo.domain.billing import Bill
from recaudo.domain.changes import Change, Moment
from recaudo.domain.model import Account, Case, Customer, Invoice, InvoiceKind
from recaudo.domain.opening import Asking, open_invoice
from recaudo.domain.partial import PartialRule
from recaudo.domain.states import InvoiceState
from recaudo.store.database import Uuid
from recaudo.store.door import Creation, Remembered, TakenError, Uses
from recaudo.store.writer import Created, OriginKey, OriginTaken, Replayed, find_origins, origin_key
from recaudo.usecases.core import (
    Also,
    Core,
    Done,
    NotFoundError,
    Once,
    OriginTakenError,
    Respond,
    change_invoice,
    replay,
)


class OpenInvoice(msgspec.Struct, frozen=True, kw_only=True):
    """Open an invoice, or a stand-alone request to pay, with its first collection. Already validated."""

    dialect: str
    kind: InvoiceKind = InvoiceKind.INVOICE
    amount_minor: int | None
    name: str
    description: str | None = None
    reference: str | None = None
    origin: str | None = None
    origin_id: str | None = None
    phone: str | None = None
    email: str | None = None
    due_on: date | None = None
    expires_at: datetime | None = None
    document_url: str | None = None
    redirect_url: str | None = None
    metadata: dict[str, Any] = {}
    partial: PartialRule | None = None
    allows: dict[str, bool] | None = None
    customer_id: UUID | None = None
    wire: dict[str, Any] = {}
    currency: str | None = None  # None: the account's
    bill: Bill | None = None
    plan: Sequence[Asking] | None = None  # None: one collection for all of it
    rule_id: UUID | None = None
    document_id: UUID | None = None
    unique_origin: bool = False  # True: no other living one has its origin_id, whatever the account's setting says
    uses: Uses | None = None
    customer: Customer | None = None  # whom customer_id names, to be told of


async def create(core: Core, account: Account, command: OpenInvoice, respond: Respond, *, once: Once | None) -> Done:
    """Open an invoice and its collection, in one commit with the answer kept for `once`.

    Concurrent calls share a commit (store.writer). Raises KeyReusedError, OriginTakenError, RefusedError for a
    partial rule that does not fit, QueueFullError when too many creations wait.
    """
    moment = core.moment(account)
    change = decide(account, command, moment)
    status, answer = respond(change)
    remembered = None if once is None else once.remembered(account, status, answer, moment.now)
    outcome = await core.writer.create(creation(account, command, change, remembered=remembered))
    match outcome:
        case Created():
            return Done(status=status, answer=answer)
        case Replayed(known):
            assert once is not None, "only a key can be replayed"
            return replay(once, known)
        case OriginTaken(invoice_id):
            raise OriginTakenError(command.origin or "", command.origin_id or "", invoice_id)


def decide(account: Account, command: OpenInvoice, moment: Moment) -> Change:
    """What a command opens: an invoice, its collections. Raises RefusedError for a partial rule that does not fit."""
    return open_invoice(
        _invoice(account, command, moment),
        moment,
        expires_at=command.expires_at,
        plan=command.plan,
        customer=command.customer,
    )


def creation(
    account: Account, command: OpenInvoice, change: Change, *, remembered: Remembered | None = None
) -> Creation:
    """What is written of that."""
    return Creation(
        change=change,
        clock_shift=account.clock_shift,
        customer=_reference_customer(command, change.invoice),
        remembered=remembered,
        uses=command.uses,
    )


Fields = Callable[[Invoice], dict[str, Any]]


async def change(
    core: Core, account: Account, invoice_id: UUID, fields: Fields, respond: Respond, *, once: Once | None
) -> Done:
    """Change an invoice: cancel its collection and open the next (OnePay spec 8.4).

    `fields` is called with the invoice as it is under its lock and returns the new values, or raises. Raises
    NotFoundError, KeyReusedError, OriginTakenError and RefusedError.
    """
    wanted: OriginKey | None = None

    def decide(case: Case, moment: Moment) -> Change:
        nonlocal wanted
        _check_is_invoice(case)
        values = fields(case.invoice)
        if "reference" in values:
            values["customer_id"] = reference_customer_id(account.id, values["reference"])
        if "origin_id" in values:
            values["origin_bound"] = _bound(account, values["origin_id"])
        change = replacing.replace(case, values, moment)
        wanted = origin_key(change.invoice)
        return change

    def new_customer(change: Change) -> Customer | None:
        invoice = change.invoice
        if invoice.reference is None or change.before is None or change.before.invoice.reference == invoice.reference:
            return None
        return _customer(invoice)

    try:
        also = Also(customer=new_customer)
        return await change_invoice(core, account, invoice_id, decide, respond, once=once, also=also)
    except TakenError as error:
        if wanted is None:
            raise
        async with core.database.connection() as connection:
            taken = await find_origins(connection, [wanted])
        raise OriginTakenError(wanted[2], wanted[1], taken.get(wanted)) from error


class Withdrawal(msgspec.Struct, frozen=True):
    """Why an invoice is taken back; `paid_outside` when it was in fact paid where we cannot see."""

    reason: str
    paid_outside: bool


async def withdraw(
    core: Core,
    account: Account,
    invoice_id: UUID,
    how: Callable[[], Withdrawal],
    respond: Respond,
    *,
    once: Once | None,
) -> Done:
    """Take an invoice back, or mark it as paid elsewhere (OnePay spec 8.5).

    `how` is called once the invoice is found. Raises NotFoundError, KeyReusedError, RefusedError and whatever `how`
    raises.
    """

    def decide(case: Case, moment: Moment) -> Change:
        _check_is_invoice(case)
        withdrawal = how()
        close = closing.settle_outside if withdrawal.paid_outside else closing.withdraw
        return close(case, moment, reason=withdrawal.reason)

    return await change_invoice(core, account, invoice_id, decide, respond, once=once)


def _check_is_invoice(case: Case) -> None:
    """What stands behind a stand-alone request is nobody's invoice."""
    if case.invoice.kind is not InvoiceKind.INVOICE:
        raise NotFoundError


def reference_customer_id(account_id: UUID, reference: str) -> UUID:
    """The id of the customer whom a reference names.

    It is made from the reference (UUIDv8), so that concurrent creates agree on it without looking.
    """
    digest = hashlib.sha256(account_id.bytes + reference.encode()).digest()
    number = int.from_bytes(digest[:16])
    return Uuid((number & ~(0xF << 76 | 0x3 << 62) | 8 << 76 | 2 << 62).to_bytes(16))


def _invoice(account: Account, command: OpenInvoice, moment: Moment) -> Invoice:
    is_invoice = command.kind is InvoiceKind.INVOICE
    customer_id = command.customer_id
    if customer_id is None and is_invoice and command.reference is not None:
        customer_id = reference_customer_id(account.id, command.reference)
    return Invoice(
        account_id=account.id,
        id=moment.new_id(),
        version=1,
        kind=command.kind,
        dialect=command.dialect,
        state=InvoiceState.OPEN,
        currency=command.currency or account.currency,
        amount_minor=command.amount_minor,
        name=command.name,
        description=command.description,
        reference=command.reference,
        origin=command.origin,
        origin_id=command.origin_id,
        origin_bound=_bound(account, command.origin_id, always=command.unique_origin) if is_invoice else None,
        customer_id=customer_id,
        phone=command.phone,
        email=command.email,
        due_on=command.due_on,
        document_url=command.document_url,
        redirect_url=command.redirect_url,
        metadata=command.metadata,
        partial=command.partial,
        allows=account.allows if command.allows is None else command.allows,
        collection_id=moment.new_id(),
        wire=command.wire,
        created_at=moment.now,
        updated_at=moment.now,
        bill=command.bill,
        rule_id=command.rule_id,
        document_id=command.document_id,
    )


def _bound(account: Account, origin_id: str | None, *, always: bool = False) -> bool | None:
    """Whether no other living invoice may have the same origin and origin_id."""
    return None if origin_id is None or (account.allow_duplicate_origin and not always) else True


def _reference_customer(command: OpenInvoice, invoice: Invoice) -> Customer | None:
    """The customer a reference names; written only if nobody wrote them before."""
    if command.customer_id is not None or command.reference is None or command.kind is InvoiceKind.REQUEST:
        return None
    return _customer(invoice)


def _customer(invoice: Invoice) -> Customer:
    """The customer whom an invoice's reference names, under the id that the invoice already has for them."""
    assert invoice.customer_id is not None, "a reference names a customer"
    return Customer(
        account_id=invoice.account_id,
        id=invoice.customer_id,
        reference=invoice.reference,
        created_at=invoice.updated_at,
        updated_at=invoice.updated_at,
    )
