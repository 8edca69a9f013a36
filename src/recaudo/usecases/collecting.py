"""What a merchant does with collections: registers money, asks for the rest anew, voids, gives up, changes amounts.

Treli specification, sections 9.3, 9.4, 10 and 11.3. Every function raises NotFoundError, KeyReusedError, RefusedError
and LockTimeoutError, and answers with what `respond` makes of the change.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from uuid import UUID

import msgspec

from recaudo.domain import collecting
from recaudo.domain.allocating import allocate, oldest_first
from recaudo.domain.billing import AppliedDiscount, Bill, Terms, apply_discounts
from recaudo.domain.changes import Change, Moment
from recaudo.domain.closing import withdraw
from recaudo.domain.collecting import Rest, Share
from recaudo.domain.model import Account, Case, Collection, InvoiceKind, ReceiptKind
from recaudo.domain.pricing import DiscountsTooLargeError
from recaudo.domain.receiving import Arrival
from recaudo.domain.rounding import TO_THE_CURRENCY, percent_minor
from recaudo.domain.states import (
    InvoiceCommand,
    InvoiceState,
    Refusal,
    RefusedError,
    allow_invoice,
)
from recaudo.store import cases, door
from recaudo.store.database import Connection
from recaudo.store.door import Uses
from recaudo.usecases.collections import invoice_of
from recaudo.usecases.core import Also, Core, Done, NotFoundError, Once, Respond, change_invoice, repeated
from recaudo.usecases.registers import kept


class OutsideMoney(msgspec.Struct, frozen=True, kw_only=True):
    """Money that the merchant received where we cannot see. `amount_minor` None: all that is owed."""

    amount_minor: int | None
    method: str
    paid_at: datetime | None = None  # None: now
    reference: str | None = None

    def arrival(self, amount_minor: int, *, allocation_id: UUID | None = None) -> Arrival:
        """The receipt of a share of it; shares of one sum have one `allocation_id`."""
        return Arrival(
            amount_minor=amount_minor,
            kind=ReceiptKind.OUTSIDE,
            gateway="outside",
            method={"type": self.method},
            at=self.paid_at,
            reference=self.reference,
            allocation_id=allocation_id,
        )

    def spread(self, allocation_id: UUID) -> Callable[[int], Arrival]:
        """What makes the receipts of a sum that goes to several debts: they are undone together."""
        return partial(self.arrival, allocation_id=allocation_id)


async def pay_invoice(
    core: Core, account: Account, invoice_id: UUID, money: OutsideMoney, respond: Respond, *, once: Once | None
) -> Done:
    """Book money on the open collections of an invoice, oldest due first (9.4)."""

    def decide(case: Case, moment: Moment) -> Change:
        allow_invoice(case.invoice.state, InvoiceCommand.REGISTER)
        balance_minor = case.invoice.balance_minor
        amount_minor = balance_minor if money.amount_minor is None else money.amount_minor
        if amount_minor > balance_minor:
            raise RefusedError(Refusal.AMOUNT_ABOVE_BALANCE)
        allocation = allocate(amount_minor, collecting.debts_of(case))
        shares = [Share(s.id, s.amount_minor) for s in allocation.shares]
        # The rest is owed and no collection asks for it, because another dialect cancelled the one that did.
        arrival = money.spread(moment.new_id())
        return collecting.register(case, shares, arrival, moment, rest_minor=allocation.rest_minor)

    return await change_invoice(core, account, invoice_id, decide, respond, once=once)


async def pay_collection(
    core: Core, account: Account, collection_id: UUID, money: OutsideMoney, respond: Respond, *, once: Once | None
) -> Done:
    """Book money on one collection, which may have been given up (10.5)."""

    def decide(case: Case, moment: Moment) -> Change:
        collection = case.collection(collection_id)
        amount_minor = collection.due_minor if money.amount_minor is None else money.amount_minor
        return collecting.register(case, [Share(collection_id, amount_minor)], money.arrival, moment)

    return await _change(core, account, collection_id, decide, respond, once=once)


class PartialPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a collection asks for. With `rest` it is closed and the rest is asked for anew."""

    amount_minor: int
    money: OutsideMoney
    ask_anew: bool
    days_until_due: int = 0
    terms: Callable[[Case, Collection], Terms]  # of the new collection


async def pay_part(
    core: Core, account: Account, collection_id: UUID, command: PartialPayment, respond: Respond, *, once: Once | None
) -> Done:
    """Book a part; RefusedError AMOUNT_EQUALS_BALANCE when it is all of it (10.4)."""

    def decide(case: Case, moment: Moment) -> Change:
        collection = case.collection(collection_id)
        collecting.check_part(collection, command.amount_minor)
        if not command.ask_anew:
            return collecting.register(
                case, [Share(collection_id, command.amount_minor)], command.money.arrival, moment
            )
        rest = Rest(due_on=later(moment.today, command.days_until_due), terms=command.terms(case, collection))
        arrival = command.money.arrival(command.amount_minor)
        return collecting.register_and_ask_anew(case, collection_id, arrival, rest, moment)

    return await _change(core, account, collection_id, decide, respond, once=once)


def later(day: date, days: int) -> date:
    """A day so many days later."""
    return date.fromordinal(day.toordinal() + days)


async def void_invoice(
    core: Core, account: Account, invoice_id: UUID, reason: str, respond: Respond, *, once: Once | None
) -> Done:
    """Take an invoice back; what was received becomes credit (9.3)."""

    def decide(case: Case, moment: Moment) -> Change:
        # One that was paid outside is paid here, though it was withdrawn elsewhere.
        allow_invoice(case.invoice.state, InvoiceCommand.REGISTER)
        return withdraw(case, moment, reason=reason)

    return await change_invoice(core, account, invoice_id, decide, respond, once=once)


async def void_collection(
    core: Core, account: Account, collection_id: UUID, reason: str, respond: Respond, *, once: Once | None
) -> Done:
    """Take a collection back (10.6)."""
    return await _change(
        core,
        account,
        collection_id,
        lambda case, moment: collecting.void_collection(case, collection_id, moment, reason=reason),
        respond,
        once=once,
    )


async def give_up(core: Core, account: Account, collection_id: UUID, respond: Respond, *, once: Once | None) -> Done:
    """Mark a collection as uncollectible (10.6)."""
    return await _change(
        core,
        account,
        collection_id,
        lambda case, moment: collecting.give_up(case, collection_id, moment),
        respond,
        once=once,
    )


async def change_total(
    core: Core, account: Account, collection_id: UUID, total_minor: int, respond: Respond, *, once: Once | None
) -> Done:
    """Ask for another amount (10.7). The discounts stay: the base moves with the total."""

    def decide(case: Case, moment: Moment) -> Change:
        terms = case.collection(collection_id).terms or Terms()
        base_minor = total_minor + sum(d.amount_minor for d in terms.discounts)
        terms = msgspec.structs.replace(terms, base_minor=base_minor)
        return collecting.change_total(case, collection_id, total_minor, terms, moment)

    return await _change(core, account, collection_id, decide, respond, once=once)


class NewDiscount(msgspec.Struct, frozen=True, kw_only=True):
    """A discount to be added: a fixed amount, or a percent of what was asked for before discounts."""

    amount_minor: int | None = None
    percent: Decimal | None = None
    code: str | None = None


async def add_discounts(
    core: Core,
    account: Account,
    collection_id: UUID,
    added: Sequence[NewDiscount],
    respond: Respond,
    *,
    once: Once | None,
) -> Done:
    """Add discounts to those present (10.8)."""

    def decide(case: Case, moment: Moment) -> Change:
        collection = case.collection(collection_id)
        base_minor = _base_minor(collection)
        new = worked_out(added, base_minor, currency=collection.currency, new_id=moment.new_id)
        return _discounted(case, collection, [*(collection.terms or Terms()).discounts, *new], moment)

    return await _change(core, account, collection_id, decide, respond, once=once)


async def remove_discount(
    core: Core, account: Account, collection_id: UUID, discount_id: UUID, respond: Respond, *, once: Once | None
) -> Done:
    """Take a discount away again (10.8). NotFoundError when the collection has no such discount."""

    def decide(case: Case, moment: Moment) -> Change:
        collection = case.collection(collection_id)
        present = (collection.terms or Terms()).discounts
        kept = [d for d in present if d.id != discount_id]
        if len(kept) == len(present):
            raise NotFoundError
        return _discounted(case, collection, kept, moment)

    return await _change(core, account, collection_id, decide, respond, once=once)


def worked_out(
    added: Sequence[NewDiscount], base_minor: int, *, currency: str, new_id: Callable[[], UUID]
) -> list[AppliedDiscount]:
    """Discounts with their amounts: a percent is of what is asked for before discounts."""
    return [
        AppliedDiscount(
            id=new_id(),
            amount_minor=(d.amount_minor or 0)
            if d.percent is None
            else percent_minor(base_minor, d.percent, currency=currency, rounding=TO_THE_CURRENCY),
            percent=d.percent,
            code=d.code,
        )
        for d in added
    ]


def _base_minor(collection: Collection) -> int:
    """What a collection asks for before discounts, now: late money may have lowered what it asked for at first."""
    return (collection.amount_minor or 0) + sum(d.amount_minor for d in (collection.terms or Terms()).discounts)


def _discounted(case: Case, collection: Collection, discounts: Sequence[AppliedDiscount], moment: Moment) -> Change:
    """The amount less these discounts. Those that stay keep the amount that they had."""
    base_minor = _base_minor(collection)
    terms = msgspec.structs.replace(collection.terms or Terms(), base_minor=base_minor, discounts=tuple(discounts))
    total_minor = base_minor - sum(d.amount_minor for d in discounts)
    return collecting.change_total(case, collection.id, total_minor, terms, moment)


async def change_items(
    core: Core,
    account: Account,
    collection_id: UUID,
    bill: Bill,
    respond: Respond,
    *,
    once: Once | None,
    uses: Uses | None = None,
) -> Done:
    """Charge for other items through a stand-alone request; its discounts are worked out anew (10.7).

    Raises NotEditableError for the collection of an invoice.
    """

    def decide(case: Case, moment: Moment) -> Change:
        if case.invoice.kind is not InvoiceKind.REQUEST:
            raise NotEditableError
        collection = case.collection(collection_id)
        terms = collection.terms or Terms()
        try:
            terms, total_minor = apply_discounts(
                terms,
                bill.total_minor,
                terms.discounts,
                currency=collection.currency,
                received_minor=collection.received_minor,
            )
        except DiscountsTooLargeError as error:
            raise RefusedError(Refusal.AMOUNT_BELOW_RECEIVED) from error
        return collecting.change_total(case, collection_id, total_minor, terms, moment, bill=bill)

    invoice_id = await invoice_of(core, account, collection_id)
    return await change_invoice(
        core, account, invoice_id, decide, respond, once=once, about=collection_id, also=Also(uses=uses)
    )


class NotEditableError(Exception):
    """The items are those of an invoice, which never change."""


async def _change(
    core: Core,
    account: Account,
    collection_id: UUID,
    decide: Callable[[Case, Moment], Change],
    respond: Respond,
    *,
    once: Once | None,
) -> Done:
    invoice_id = await invoice_of(core, account, collection_id)
    return await change_invoice(core, account, invoice_id, decide, respond, once=once, about=collection_id)


class SumOverInvoices(msgspec.Struct, frozen=True, kw_only=True):
    """One sum over several invoices of a customer (11.3). `invoice_ids` None: all that are open, oldest due first."""

    customer_id: UUID
    currency: str
    amount_minor: int
    invoice_ids: Sequence[UUID] | None
    money: OutsideMoney
    keep_rest_as_credit: bool


RespondMany = Callable[[Sequence[Change], Sequence[Share], int], tuple[int, bytes]]


async def pay_many(
    core: Core, account: Account, command: SumOverInvoices, respond: RespondMany, *, once: Once | None
) -> Done:
    """Spread a sum over invoices, all or nothing, in one transaction. The rest is refused, or becomes credit.

    `respond` gets the changes, the shares in the order in which they were filled, and what became credit. Raises
    RefusedError AMOUNT_ABOVE_BALANCE, NotFoundError for an invoice that is not the customer's.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        return await _pay_many(core, account, connection, command, respond)

    return await repeated(partial(kept, core, account, act, once=once))


async def _pay_many(
    core: Core, account: Account, connection: Connection, command: SumOverInvoices, respond: RespondMany
) -> tuple[int, bytes]:
    moment = core.moment(account)
    found = await _lock_all(connection, account, command)
    debts = [debt for case in found for debt in collecting.debts_of(case)]
    if command.invoice_ids is None:
        debts = list(oldest_first(debts))
    allocation = allocate(command.amount_minor, debts)
    if allocation.rest_minor and not (command.keep_rest_as_credit and found):
        raise RefusedError(Refusal.AMOUNT_ABOVE_BALANCE)
    shares = [Share(s.id, s.amount_minor) for s in allocation.shares]
    arrival = command.money.spread(moment.new_id())
    changes: list[Change] = []
    for index, case in enumerate(found):
        own = [s for s in shares if any(c.id == s.collection_id for c in case.collections)]
        rest_minor = allocation.rest_minor if index == len(found) - 1 else 0
        if not own and not rest_minor:
            continue
        change = collecting.register(case, own, arrival, moment, rest_minor=rest_minor)
        changes.append(change)
    for change in changes:
        await door.save(connection, change, clock_shift=account.clock_shift)
    return respond(changes, shares, allocation.rest_minor)


async def _lock_all(connection: Connection, account: Account, command: SumOverInvoices) -> list[Case]:
    """The invoices, locked in the order of their ids so that two sums never wait for each other, in the order asked."""
    wanted = command.invoice_ids
    if wanted is None:
        wanted = await cases.open_invoices_of(connection, account.id, command.customer_id, command.currency)
    locked = {i: await cases.lock_invoice(connection, account.id, i) for i in sorted(wanted)}
    found: list[Case] = []
    for invoice_id in wanted:
        invoice = locked[invoice_id]
        if invoice is None or invoice.customer_id != command.customer_id or invoice.currency != command.currency:
            raise NotFoundError
        if command.invoice_ids is None and invoice.state not in {InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE}:
            continue
        allow_invoice(invoice.state, InvoiceCommand.REGISTER)
        found.append(await cases.load_case(connection, invoice))
    return found
