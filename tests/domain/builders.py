"""One invoice for tests of the rules, kept as the store would keep it, with everything its decisions wrote.

Amounts are minor units; small numbers keep the tests readable. Ids count up and time stands still until a test moves
it, so the same steps give the same rows.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain import attempting, closing, crediting, replacing
from recaudo.domain.answers import Answer, Fact, FactState, Reported, Unknown
from recaudo.domain.billing import Bill, BilledItem, BilledRetention, Terms
from recaudo.domain.changes import Books, Change, Moment
from recaudo.domain.crediting import Issued, NewNote
from recaudo.domain.model import (
    Attempt,
    Case,
    Collection,
    CreditNote,
    Event,
    Invoice,
    InvoiceKind,
    Receipt,
    ReceiptKind,
    Transfer,
)
from recaudo.domain.opening import Asking, open_invoice
from recaudo.domain.partial import PartialRule
from recaudo.domain.references import gateway_reference
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState, Refusal, RefusedError
from recaudo.domain.transactions import Booked

NOON = datetime(2025, 10, 20, 17, 0, tzinfo=UTC)
ACCOUNT_ID = UUID(int=1)
CUSTOMER_ID = UUID(int=2)
OPEN_BOUNDS_MINOR = (5, 10_000)
ALLOWS = {"accounts": True, "cards": True, "card_extra": False, "realtime": False}


def counting_ids(first: int = 1000) -> Callable[[], UUID]:
    """Ids that sort in the order they were made."""
    number = first

    def new_id() -> UUID:
        nonlocal number
        number += 1
        return UUID(int=number)

    return new_id


def again(amount_minor: int) -> Terms:
    """The terms of what is asked for again."""
    return Terms(title="again", base_minor=amount_minor)


def a_moment(now: datetime = NOON, *, new_id: Callable[[], UUID] | None = None) -> Moment:
    return Moment(now, new_id or counting_ids())


_READ = {CollectionState.PENDING, CollectionState.PAID, CollectionState.UNCOLLECTIBLE}


class Life:
    """The life of one invoice: what it is now, and every row that was written on the way."""

    def __init__(
        self,
        invoice: Invoice,
        moment: Moment,
        *,
        expires_at: datetime | None = None,
        plan: Sequence[Asking] | None = None,
    ) -> None:
        self.new_id = moment.new_id
        self.now = moment.now
        self.invoice = invoice
        self.collections: dict[UUID, Collection] = {}
        self.attempts: dict[UUID, Attempt] = {}
        self.receipts: list[Receipt] = []
        self.transfers: list[Transfer] = []
        self.notes: dict[UUID, CreditNote] = {}
        self.events: list[Event] = []
        self.opening = open_invoice(invoice, moment, expires_at=expires_at, plan=plan)
        assert self.opening.before is None
        self._keep_rows(self.opening)

    # What it is now

    @property
    def moment(self) -> Moment:
        return Moment(self.now, self.new_id)

    @property
    def current(self) -> Collection:
        return self.collections[self.invoice.collection_id]

    @property
    def live(self) -> list[Collection]:
        return [c for c in self.collections.values() if c.state is CollectionState.PENDING]

    def case(self, about: UUID | None = None) -> Case:
        """What the store reads under the lock: the pending, the paid on, the newest and the one it is about."""
        wanted = {self.invoice.collection_id, about}
        read = (c for c in self.collections.values() if c.state in _READ or c.received_minor or c.id in wanted)
        return Case(invoice=self.invoice, collections=tuple(sorted(read, key=lambda c: c.id)))

    def now_is(self, collection: Collection) -> Collection:
        """The same collection as it is now."""
        return self.collections[collection.id]

    def books(self) -> dict[str, int]:
        """Debit less credit of each book that is not empty."""
        return books_of(self.transfers)

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    # Commands

    def replace(self, **fields: Any) -> Change:
        return self.keep(replacing.replace(self.case(), fields, self.moment))

    def withdraw(self, reason: str = "DELETE_FROM_PROVIDER") -> Change:
        return self.keep(closing.withdraw(self.case(), self.moment, reason=reason))

    def settle_outside(self, reason: str = "PAID_FROM_PROVIDER") -> Change:
        return self.keep(closing.settle_outside(self.case(), self.moment, reason=reason))

    def credit(self, amount_minor: int | None = None, **fields: Any) -> Change:
        """A credit note, over all that is left unless an amount is said."""
        asked = NewNote(amount_minor=amount_minor, reason="Descuento", **fields)
        return self.keep(crediting.issue(self.case(), asked, list(self.notes.values()), self.moment))

    def uncredit(self, note: CreditNote, *, credit_minor: int | None = None, reason: str | None = None) -> Change:
        """Void a note; unless it is said, the customer has the credit that the ledger tells of."""
        issued = self.issued(note, credit_minor=credit_minor)
        return self.keep(crediting.void(self.case(), issued, self.moment, reason=reason, terms=again))

    def issued(self, note: CreditNote, *, credit_minor: int | None = None) -> Issued:
        owed_minor = -self.books().get(Books.CREDIT, 0)
        return Issued(
            note=self.notes[note.id],
            notes=list(self.notes.values()),
            booked=[t for t in self.transfers if t.note_id == note.id],
            credit_minor=owed_minor if credit_minor is None else credit_minor,
        )

    def cancel(self, collection: Collection | None = None) -> Change:
        about = (collection or self.current).id
        return self.keep(closing.cancel_collection(self.case(about), about, self.moment))

    def expire(self, collection: Collection | None = None) -> Change:
        about = (collection or self.current).id
        return self.keep(closing.expire_collection(self.case(about), about, self.moment))

    def start(self, amount_minor: int, *, on: Collection | None = None, again: bool = False) -> Attempt:
        """A try to pay that the rules let begin."""
        attempt = self.attempt_at((on or self.current).id, amount_minor)
        case = self.case(attempt.collection_id)
        self.keep(attempting.start(case, attempt, self.moment, open_bounds_minor=OPEN_BOUNDS_MINOR, again=again))
        return attempt

    def began(self, amount_minor: int, *, on: Collection | None = None) -> Attempt:
        """A try to pay that had begun before whatever happened to its collection."""
        attempt = self.attempt_at((on or self.current).id, amount_minor)
        self.attempts[attempt.id] = attempt
        return attempt

    def booked(self, gateway: str) -> dict[str, Booked]:
        """The transactions of a gateway that have a receipt, as the store reads them."""
        arrived = [r for r in self.receipts if r.gateway == gateway and r.kind is ReceiptKind.GATEWAY]
        back = {r.id: -sum(n.amount_minor for n in self.receipts if n.reverses == r.id) for r in arrived}
        return {r.gateway_tx_id: Booked(receipt=r, returned_minor=back[r.id]) for r in arrived}

    def conclude(
        self, attempt: Attempt, *facts: Fact, unknown: bool = False, answer: Answer | None = None
    ) -> Change | None:
        """What the gateway said about an attempt; None when it was nothing new."""
        change = attempting.conclude(
            self.case(attempt.collection_id),
            self.attempts[attempt.id],
            answer or (Unknown(reason="test") if unknown else Reported(facts=facts)),
            self.moment,
            booked=self.booked(attempt.gateway),
            ask_at=self.now + timedelta(seconds=10),
        )
        return None if change is None else self.keep(change)

    def pay(self, amount_minor: int, *, on: Collection | None = None) -> Change:
        """Money arrives, through a try that had begun before whatever happened to its collection."""
        attempt = self.began(amount_minor, on=on)
        change = self.conclude(attempt, succeeded(amount_minor, tx=f"tx-{attempt.id.int}"))
        assert change is not None, "money is always news"
        return change

    # What the store does

    def attempt_at(self, collection_id: UUID, amount_minor: int) -> Attempt:
        attempt_id = self.new_id()
        return Attempt(
            account_id=self.invoice.account_id,
            id=attempt_id,
            invoice_id=self.invoice.id,
            collection_id=collection_id,
            state=AttemptState.CREATED,
            amount_minor=amount_minor,
            currency=self.invoice.currency,
            gateway="sandbox",
            reference=gateway_reference(attempt_id),
            once_key=str(attempt_id),
            gateway_data={},
            created_at=self.now,
            updated_at=self.now,
        )

    def keep(self, change: Change) -> Change:
        """Save a change as the one door does: only on the version it was decided on."""
        assert change.before is not None
        assert change.before.invoice == self.invoice
        assert change.invoice.version == self.invoice.version + 1
        self._keep_rows(change)
        return change

    def _keep_rows(self, change: Change) -> None:
        self._check_rows(change)
        self.invoice = change.invoice
        self.collections.update({c.id: c for c in change.collections})
        self.attempts.update({a.id: a for a in change.attempts})
        self.receipts += change.receipts
        self.transfers += change.transfers
        self.notes.update({n.id: n for n in change.notes})
        self.events += change.events
        transactions = [(r.gateway, r.gateway_tx_id, r.kind) for r in self.receipts]
        assert len(set(transactions)) == len(transactions), "a transaction is booked once"

    def _check_rows(self, change: Change) -> None:
        """What the database would refuse, and what every row must say."""
        written = (*change.receipts, *change.transfers)
        changed = (*change.collections, *change.attempts, *change.notes)
        ids = [row.id for row in (*self.receipts, *self.transfers, *self.events, *written, *change.events)]
        assert None not in ids
        assert len(set(ids)) == len(ids)
        for row in (*written, *changed):
            assert (row.account_id, row.invoice_id) == (ACCOUNT_ID, change.invoice.id)
        for event in change.events:
            assert (event.account_id, event.subject_id) == (ACCOUNT_ID, change.invoice.id)
        assert {row.at for row in (*written, *change.events)} | {row.updated_at for row in changed} == {self.now}
        assert {row.currency for row in (*change.receipts, *change.transfers, *changed)} <= {"COP"}
        assert {t.customer_id for t in change.transfers} <= {CUSTOMER_ID}
        told = [(e.version, e.ordinal) for e in change.events]
        assert told == [(change.invoice.version, ordinal) for ordinal in range(len(told))]


def an_invoice(
    amount: int | None = 100,
    *,
    expires_at: datetime | None = None,
    now: datetime = NOON,
    plan: Sequence[Asking] | None = None,
    **fields: Any,
) -> Life:
    """An invoice that was just opened, with its collection."""
    moment = a_moment(now)
    invoice = Invoice(
        **{
            "account_id": ACCOUNT_ID,
            "id": moment.new_id(),
            "version": 1,
            "kind": InvoiceKind.INVOICE,
            "dialect": "onepay",
            "state": InvoiceState.OPEN,
            "currency": "COP",
            "amount_minor": amount,
            "name": "Internet plan - Octubre",
            "customer_id": CUSTOMER_ID,
            "metadata": {},
            "allows": ALLOWS,
            "collection_id": moment.new_id(),
            "wire": {},
            "created_at": now,
            "updated_at": now,
        }
        | fields
    )
    return Life(invoice, moment, expires_at=expires_at, plan=plan)


def withheld_bill(total: int, withheld: int) -> Bill:
    """A bill whose payer withholds a part of it."""
    item = BilledItem(id=UUID(int=5), name="x", unit_price_minor=total, subtotal_minor=total)
    retention = BilledRetention(
        id=UUID(int=6), kind="retefte", percentage=Decimal(4), base_minor=total, amount_minor=withheld
    )
    return Bill(items=(item,), subtotal_minor=total, total_minor=total, retentions=(retention,))


def a_request(amount: int | None = 100, *, expires_at: datetime | None = None, **fields: Any) -> Life:
    """A stand-alone request to pay; without an amount the payer types it."""
    return an_invoice(amount, expires_at=expires_at, kind=InvoiceKind.REQUEST, **fields)


def in_instalments(*amounts: int) -> tuple[Life, list[Collection]]:
    """An invoice with one live collection for each amount, due a month apart."""
    life = an_invoice(sum(amounts))
    instalments = [
        msgspec.structs.replace(
            life.current,
            id=life.current.id if ordinal == 1 else life.new_id(),
            ordinal=ordinal,
            amount_minor=amount,
            due_on=date(2025, 11, 1) + timedelta(days=30 * ordinal),
        )
        for ordinal, amount in enumerate(amounts, start=1)
    ]
    life.collections = {c.id: c for c in instalments}
    return life, instalments


def in_parts(min_minor: int = 10, **fields: Any) -> PartialRule:
    """A rule that allows paying in parts."""
    return PartialRule(min_minor=min_minor, **fields)


def succeeded(amount_minor: int, tx: str = "tx-1", **fields: Any) -> Fact:
    return a_fact(FactState.SUCCEEDED, amount_minor, tx, **fields)


def failed(tx: str = "tx-1", **fields: Any) -> Fact:
    return a_fact(FactState.FAILED, 100, tx, **fields)


def processing(tx: str = "tx-1", **fields: Any) -> Fact:
    return a_fact(FactState.PROCESSING, 100, tx, **fields)


def a_fact(state: FactState, amount_minor: int, tx: str, **fields: Any) -> Fact:
    return Fact(gateway_tx_id=tx, state=state, amount_minor=amount_minor, currency="COP", **fields)


def told(change: Change) -> list[str]:
    """The types of a change's events, in order."""
    return [e.type for e in change.events]


def booked(change: Change) -> list[tuple[str, str, int]]:
    """The ledger rows of a change: (debit, credit, amount)."""
    return [(t.debit, t.credit, t.amount_minor) for t in change.transfers]


def books_of(transfers: list[Transfer]) -> dict[str, int]:
    """Debit less credit of each book that is not empty."""
    sums: Counter[str] = Counter()
    for transfer in transfers:
        sums[transfer.debit] += transfer.amount_minor
        sums[transfer.credit] -= transfer.amount_minor
    assert sum(sums.values()) == 0, "books balance by construction"
    return {book: amount for book, amount in sums.items() if amount}


def refusal_of(decision: Callable[[], Any]) -> Refusal | None:
    """Why a command was refused, or None when it was done."""
    try:
        decision()
    except RefusedError as error:
        return error.refusal
    return None


GATEWAY = Books.gateway("sandbox")
