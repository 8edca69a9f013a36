"""What a merchant does with collections: register money, ask for the rest anew, void, give up, change the amount.

Treli specification, sections 9.3, 9.4 and 10. Together the live collections of an invoice ask for what it still owes;
whoever changes one changes the invoice's amount by the same difference.
"""

from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

import msgspec

from recaudo.domain.allocating import Debt
from recaudo.domain.billing import Bill, Terms
from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.closing import credit, withdraw
from recaudo.domain.model import Case, Collection, Invoice, InvoiceKind
from recaudo.domain.opening import Asking, open_another
from recaudo.domain.receiving import Arrival, close_as_covered, receive, settle_if_covered
from recaudo.domain.states import (
    CollectionCommand,
    CollectionState,
    InvoiceState,
    Refusal,
    RefusedError,
    allow_collection,
)

# What was taken back, in whatever way, asks for nothing and counts for nothing.
_GONE = frozenset({CollectionState.CANCELLED, CollectionState.EXPIRED, CollectionState.VOID})


class Share(msgspec.Struct, frozen=True):
    """What of a sum goes to one collection."""

    collection_id: UUID
    amount_minor: int


def debts_of(case: Case) -> list[Debt]:
    """What an invoice asks for, oldest due first, and after that what was given up."""
    return [Debt(c.id, c.due_on, c.due_minor) for c in (*case.live, *case.given_up)]


def register(
    case: Case, shares: Sequence[Share], arrival: Callable[[int], Arrival], moment: Moment, *, rest_minor: int = 0
) -> Change:
    """Book money on collections, each share a receipt of its own made by `arrival` (9.4, 10.5).

    `rest_minor` is more than was owed: it is booked on the last of them, and becomes credit. Raises RefusedError when a
    collection takes no money, or less than its share.
    """
    draft = Draft.of(case, moment)
    for share in shares:
        collection = draft.collection(share.collection_id)
        allow_collection(collection.state, CollectionCommand.REGISTER)
        # Of an open amount nothing is owed that "all of it" could mean; any sum that is said decides what it was.
        due_minor = collection.due_minor if collection.amount_minor is not None else share.amount_minor
        if not 0 < share.amount_minor <= due_minor:
            raise RefusedError(Refusal.AMOUNT_ABOVE_BALANCE)
        receive(draft, arrival(share.amount_minor), collection_id=share.collection_id)
    if rest_minor:
        last_id = shares[-1].collection_id if shares else case.invoice.collection_id
        receive(draft, arrival(rest_minor), collection_id=last_id)
    return draft.finish()


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """How the rest is asked for anew: until when, on which terms."""

    due_on: date
    terms: Terms


def register_and_ask_anew(case: Case, collection_id: UUID, arrival: Arrival, rest: Rest, moment: Moment) -> Change:
    """Book a part, close the collection with it, and open another for what it left (10.4)."""
    collection = case.collection(collection_id)
    check_part(collection, arrival.amount_minor)
    draft = Draft.of(case, moment)
    left_minor = collection.due_minor - arrival.amount_minor
    rest_id = moment.new_id()
    terms = collection.terms or Terms()
    draft.set_collection(
        collection_id,
        amount_minor=collection.received_minor + arrival.amount_minor,
        terms=msgspec.structs.replace(terms, rest_id=rest_id),
    )
    receive(draft, arrival, collection_id=collection_id)
    draft.set_invoice(due_on=max(rest.due_on, draft.invoice.due_on or rest.due_on))
    asking = Asking(amount_minor=left_minor, due_on=rest.due_on, terms=rest.terms)
    open_another(draft, asking, collection_id=rest_id)
    return draft.finish()


def check_part(collection: Collection, amount_minor: int) -> None:
    """Raise RefusedError unless the sum is a part of what an open collection asks for: less than all of it (10.4)."""
    allow_collection(collection.state, CollectionCommand.CHANGE)
    if amount_minor == collection.due_minor:
        raise RefusedError(Refusal.AMOUNT_EQUALS_BALANCE)
    if amount_minor > collection.due_minor:
        raise RefusedError(Refusal.AMOUNT_ABOVE_BALANCE)


def void_collection(case: Case, collection_id: UUID, moment: Moment, *, reason: str) -> Change:
    """Take a collection back; what it received becomes credit (10.6). The last one takes its invoice along."""
    collection = case.collection(collection_id)
    allow_collection(collection.state, CollectionCommand.VOID)
    others = [c for c in case.collections if c.id != collection_id and c.state not in _GONE]
    if not others:
        return withdraw(case, moment, reason=reason)
    draft = Draft.of(case, moment)
    applied_minor = collection.received_minor - collection.overpaid_minor
    draft.set_collection(collection_id, state=CollectionState.VOID, closed_at=moment.now)
    draft.event("collection.cancelled", collection_id=collection_id)
    if applied_minor:
        credit(draft, collection_id, applied_minor)
        if case.invoice.kind is InvoiceKind.REQUEST:
            # It was billed as it was paid, and now it is paid no more.
            draft.transfer(Books.BILLED, Books.RECEIVABLE, applied_minor, collection_id=collection_id)
        draft.set_invoice(received_minor=draft.invoice.received_minor - applied_minor)
    _change_amount(draft, -(collection.amount_minor or 0))
    _close_if_nothing_is_owed(draft)
    return draft.finish()


def give_up(case: Case, collection_id: UUID, moment: Moment) -> Change:
    """Mark a collection as uncollectible; so is its invoice once none of its collections is open (10.6)."""
    allow_collection(case.collection(collection_id).state, CollectionCommand.GIVE_UP)
    draft = Draft.of(case, moment)
    draft.set_collection(collection_id, state=CollectionState.UNCOLLECTIBLE, closed_at=moment.now, overdue_at=None)
    draft.event("collection.uncollectible", collection_id=collection_id)
    return draft.finish()


def change_total(
    case: Case, collection_id: UUID, total_minor: int, terms: Terms, moment: Moment, *, bill: Bill | None = None
) -> Change:
    """Ask for another amount through a collection, and owe so much more or less (10.7, 10.8).

    `bill` is what is charged from now on, when that changes too. Raises RefusedError when the amount is not above zero,
    or below what was received. Equal to what was received, it closes the collection as paid.
    """
    collection = case.collection(collection_id)
    allow_collection(collection.state, CollectionCommand.CHANGE)
    if total_minor <= 0 or total_minor < collection.received_minor:
        raise RefusedError(Refusal.AMOUNT_BELOW_RECEIVED)
    draft = Draft.of(case, moment)
    draft.set_collection(collection_id, amount_minor=total_minor, terms=terms)
    if bill is not None:
        draft.set_invoice(bill=bill)
    draft.event("collection.changed", collection_id=collection_id)
    _change_amount(draft, total_minor - (collection.amount_minor or 0))
    if total_minor == collection.received_minor:
        close_as_covered(draft, collection_id)
    _close_if_nothing_is_owed(draft)
    return draft.finish()


def _change_amount(draft: Draft, difference_minor: int) -> None:
    """The debt grows or shrinks, and the ledger tells so; a request is billed only as it is paid."""
    invoice: Invoice = draft.invoice
    draft.set_invoice(amount_minor=(invoice.amount_minor or 0) + difference_minor)
    if invoice.kind is InvoiceKind.REQUEST:
        return
    if difference_minor >= 0:
        draft.transfer(Books.RECEIVABLE, Books.BILLED, difference_minor)
    else:
        draft.transfer(Books.BILLED, Books.RECEIVABLE, -difference_minor)


def _close_if_nothing_is_owed(draft: Draft) -> None:
    if draft.invoice.state in {InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE}:
        settle_if_covered(draft)
