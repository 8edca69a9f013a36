"""A decision's result: what one change of an invoice writes, all of it in one commit.

`Draft` gathers the rows while a decision runs; `Draft.finish` checks what must always hold and returns the frozen
`Change`, which only the store's one door can save.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.model import (
    Attempt,
    Case,
    Collection,
    CreditNote,
    Customer,
    Event,
    Invoice,
    InvoiceKind,
    Receipt,
    ReceiptKind,
    Refund,
    Transfer,
    by_due_day,
    standing,
)
from recaudo.domain.states import CollectionState, InvoiceState


class Moment(msgspec.Struct, frozen=True):
    """Time and chance, handed in: the account's clock and zone, and a maker of ids that sort by that clock."""

    now: datetime
    new_id: Callable[[], UUID]
    zone: tzinfo = UTC

    @property
    def today(self) -> date:
        """The present day in the account's time zone."""
        return self.now.astimezone(self.zone).date()

    def end_of(self, day: date) -> datetime:
        """The first instant after a day of the account's time zone, in UTC."""
        return _end_of(day, self.zone)


@lru_cache(maxsize=512)
def _end_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one decision writes. `before` is None when the invoice is new."""

    before: Case | None
    after: Case
    collections: tuple[Collection, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    notes: tuple[CreditNote, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def invoice(self) -> Invoice:
        return self.after.invoice


class Books:
    """The chart of books. Debit minus credit of RECEIVABLE is what is still owed."""

    RECEIVABLE = "receivable"  # owed by customers
    BILLED = "billed"  # what invoices charged
    CREDIT = "credit"  # owed to customers: money beyond what they owed
    DISPUTED = "disputed"  # collected by gateways, and disputed by payers with their banks
    OUTSIDE = "outside"  # money the merchant received where we cannot see

    @staticmethod
    def withheld(kind: str) -> str:
        """What payers withhold as a tax of this kind: billed, and never to be received."""
        return f"withheld:{kind}"

    @staticmethod
    def gateway(name: str) -> str:
        """Money that a gateway holds for the merchant."""
        return f"gateway:{name}"


class Draft:
    """The only mutable thing in the domain: one change while it is being decided."""

    def __init__(
        self,
        invoice: Invoice,
        collections: tuple[Collection, ...],
        moment: Moment,
        *,
        before: Case | None,
        customer: Customer | None = None,
    ) -> None:
        self.invoice = invoice
        self.moment = moment
        self._before = before
        self._customer = before.customer if before is not None else customer
        self._collections = {c.id: c for c in collections}
        self._touched: dict[UUID, None] = {}
        self._attempts: dict[UUID, Attempt] = {}
        self._receipts: list[Receipt] = []
        self._refunds: dict[UUID, Refund] = {}
        self._transfers: list[Transfer] = []
        self._notes: list[CreditNote] = []
        self._events: list[Event] = []

    @classmethod
    def of(cls, case: Case, moment: Moment) -> "Draft":
        """A draft that changes an existing invoice: its version is one above."""
        invoice = msgspec.structs.replace(case.invoice, version=case.invoice.version + 1, updated_at=moment.now)
        return cls(invoice, case.collections, moment, before=case)

    @classmethod
    def new(cls, invoice: Invoice, moment: Moment, customer: Customer | None = None) -> "Draft":
        """A draft of an invoice that does not exist yet; the customer is for showing."""
        return cls(invoice, (), moment, before=None, customer=customer)

    @property
    def case(self) -> Case:
        """The invoice as it stands in this draft."""
        known = self._before
        return Case(
            invoice=self.invoice,
            collections=tuple(self._collections.values()),
            receipts=standing((*(known.receipts if known else ()), *self._receipts)),
            customer=self._customer,
        )

    def set_invoice(self, **fields: Any) -> None:  # noqa: ANN401 - the fields are Invoice's own
        self.invoice = msgspec.structs.replace(self.invoice, **fields)

    def collection(self, collection_id: UUID) -> Collection:
        return self._collections[collection_id]

    def add_collection(self, collection: Collection) -> None:
        self._collections[collection.id] = collection
        self._touched[collection.id] = None

    def set_collection(self, collection_id: UUID, **fields: Any) -> Collection:  # noqa: ANN401 - Collection's fields
        changed = msgspec.structs.replace(self._collections[collection_id], updated_at=self.moment.now, **fields)
        self.add_collection(changed)
        return changed

    def add_attempt(self, attempt: Attempt) -> None:
        self._attempts[attempt.id] = attempt

    def add_receipt(self, receipt: Receipt) -> None:
        self._receipts.append(receipt)

    def add_refund(self, refund: Refund) -> None:
        self._refunds[refund.id] = refund

    def add_note(self, note: CreditNote) -> None:
        self._notes.append(note)

    def transfer(
        self,
        debit: str,
        credit: str,
        amount_minor: int,
        *,
        collection_id: UUID | None = None,
        receipt_id: UUID | None = None,
        note_id: UUID | None = None,
    ) -> None:
        """Book one ledger row; an amount of zero books nothing."""
        assert amount_minor >= 0, "a ledger row never moves a negative amount"
        if amount_minor == 0:
            return
        self._transfers.append(
            Transfer(
                account_id=self.invoice.account_id,
                id=self.moment.new_id(),
                invoice_id=self.invoice.id,
                collection_id=collection_id,
                receipt_id=receipt_id,
                customer_id=self.invoice.customer_id,
                debit=debit,
                credit=credit,
                amount_minor=amount_minor,
                currency=self.invoice.currency,
                at=self.moment.now,
                note_id=note_id,
            )
        )

    def transfer_back(self, booked: Transfer) -> None:
        """Book the opposite of a ledger row: the same amount, for the same customer, the other way."""
        back = {"id": self.moment.new_id(), "debit": booked.credit, "credit": booked.debit, "at": self.moment.now}
        self._transfers.append(msgspec.structs.replace(booked, **back))

    def event(
        self,
        kind: str,
        *,
        collection_id: UUID | None = None,
        attempt_id: UUID | None = None,
        **data: Any,  # noqa: ANN401
    ) -> None:
        """Tell that something happened. Events are delivered in the order of these calls.

        A request to pay that stands alone is no invoice to those who are told: what happens to it is `request.…`.
        """
        if self.invoice.kind is InvoiceKind.REQUEST:
            kind = kind.replace("invoice.", "request.")
        assert kind in EVENT_TYPES, "every kind of event is listed, for dialects and readers to know it"
        self._events.append(
            Event(
                account_id=self.invoice.account_id,
                id=self.moment.new_id(),
                subject_id=self.invoice.id,
                version=self.invoice.version,
                ordinal=len(self._events),
                type=kind,
                collection_id=collection_id,
                attempt_id=attempt_id,
                data=data,
                at=self.moment.now,
            )
        )

    def finish(self) -> Change:
        """The frozen change. Fails on an assertion if a decision broke a rule that must always hold."""
        self._give_up_with_the_last()
        self._point_to_the_next()
        change = Change(
            before=self._before,
            after=self.case,
            collections=tuple(self._collections[i] for i in self._touched),
            attempts=tuple(self._attempts.values()),
            receipts=tuple(self._receipts),
            refunds=tuple(self._refunds.values()),
            transfers=tuple(self._transfers),
            notes=tuple(self._notes),
            events=tuple(self._events),
        )
        check(change)
        return change

    def _give_up_with_the_last(self) -> None:
        """An invoice is uncollectible when some of it was given up and nothing else is asked for (Treli spec 10.6).

        Whichever came last: that the one was given up, or that the others were paid, voided or ran out. When nothing
        is left of what was given up, and something is owed that nobody asks for, it is open again.
        """
        if self._before is None or self.invoice.state not in _ASKS:
            return
        states = {collection.state for collection in self._collections.values()}
        is_given_up = CollectionState.UNCOLLECTIBLE in states and CollectionState.PENDING not in states
        if is_given_up and self.invoice.state is InvoiceState.OPEN:
            self.set_invoice(state=InvoiceState.UNCOLLECTIBLE)
        elif not is_given_up and self.invoice.state is InvoiceState.UNCOLLECTIBLE:
            self.set_invoice(state=InvoiceState.OPEN)
            self.event("invoice.reopened", collection_id=self.invoice.collection_id)

    def _point_to_the_next(self) -> None:
        """An invoice shows the live collection that is due first; when none is live, the last of those that stand."""
        known = self._collections.values()
        shown = min([c for c in known if c.state is CollectionState.PENDING], key=by_due_day, default=None)
        if shown is None:
            stand = (c for c in known if c.state in _STAND and c.generation == self.invoice.generation)
            shown = max(stand, key=by_due_day, default=None)
        if shown is not None and shown.id != self.invoice.collection_id:
            self.invoice = msgspec.structs.replace(self.invoice, collection_id=shown.id)


def check(change: Change) -> None:
    """Assert the rules that no decision may break: money is conserved and no change is silent."""
    invoice = change.invoice
    assert change.events, "no change without its event"
    assert invoice.received_minor >= 0, "an invoice never received less than nothing"
    if invoice.amount_minor is not None and invoice.state is not InvoiceState.VOID:
        assert invoice.received_minor <= invoice.amount_minor, "the excess belongs to customer credit"
    was_paid = change.before is not None and change.before.invoice.state is InvoiceState.PAID
    if invoice.state is InvoiceState.PAID and not was_paid:
        went_back = -sum(r.amount_minor for r in change.receipts if r.kind is ReceiptKind.REFUND)
        assert invoice.received_minor + went_back >= (invoice.amount_minor or 0), "paid means received in full"
    if invoice.state not in _ASKS:
        assert not change.after.given_up, "what is settled was not given up: nobody may pay it again"
    live = [c for c in change.after.collections if c.state is CollectionState.PENDING]
    if invoice.kind is InvoiceKind.INVOICE and live:
        assert invoice.state in _ASKS, "a settled invoice asks for nothing"
        assert sum([c.due_minor for c in live]) <= invoice.balance_minor, "never ask for more than is owed"
    _check_ledger(change)


def _check_ledger(change: Change) -> None:
    """What the receipts say arrived is what the ledger booked."""
    was = change.before.invoice.received_minor if change.before else 0
    credited = booked = 0
    for t in change.transfers:
        credited += t.amount_minor * ((t.credit == Books.CREDIT) - (t.debit == Books.CREDIT))
        if t.receipt_id is not None:
            booked += t.amount_minor * ((t.debit not in _OWN_BOOKS) - (t.credit not in _OWN_BOOKS))
    arrived = sum([r.amount_minor for r in change.receipts])
    assert change.invoice.received_minor - was == arrived - credited, "received is receipts less credit"
    assert booked == arrived, "every receipt is booked in full"
    assert all(r.amount_minor > 0 for r in change.receipts if r.kind is not ReceiptKind.REFUND), "receipts are positive"


_ASKS = frozenset({InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE})
_STAND = frozenset({CollectionState.PAID, CollectionState.UNCOLLECTIBLE})

_OWN_BOOKS = frozenset({Books.RECEIVABLE, Books.BILLED, Books.CREDIT})
"""No receipt is booked into or out of these but as the other side of the money that arrived."""
