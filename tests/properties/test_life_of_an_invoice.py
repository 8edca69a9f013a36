"""Random lives of one invoice, compared with a model of a few lines: money in is money applied or credited."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recaudo.domain.answers import Fact, FactState
from recaudo.domain.changes import Books
from recaudo.domain.model import Attempt, Collection, InvoiceKind, payable_now
from recaudo.domain.partial import PartialRule
from recaudo.domain.states import CollectionState, InvoiceState, Refusal
from tests.domain.builders import GATEWAY, NOON, OPEN_BOUNDS_MINOR, Life, a_fact, an_invoice, refusal_of

AMOUNT_MIN, AMOUNT_MAX = 20, 60
PARTS_MIN_MAX = 15


@dataclass
class Model:
    """What a ledger on paper would say."""

    is_request: bool
    amount: int | None
    received: int = 0
    arrived: int = 0  # through gateways
    outside: int = 0
    credit: int = 0
    state: str = "open"  # open, paid, void
    closed: bool = False  # withdrawn or settled outside

    @property
    def owed(self) -> int:
        return 0 if self.amount is None or self.state == "void" else self.amount - self.received

    def arrive(self, amount: int) -> None:
        """Up to what is owed it pays; the rest belongs to the customer."""
        if self.amount is None:
            self.amount = amount
        applied = min(amount, self.owed)
        self.arrived += amount
        self.credit += amount - applied
        self.received += applied
        self.settle()

    def settle(self) -> None:
        if self.state == "open" and self.amount == self.received:
            self.state = "paid"


@st.composite
def partial_rules(draw: st.DrawFn) -> PartialRule:
    min_minor = draw(st.integers(1, PARTS_MIN_MAX))
    return PartialRule(
        min_minor=min_minor,
        max_minor=draw(st.none() | st.integers(min_minor, AMOUNT_MAX)),
        parts_max=draw(st.integers(1, 5)),
        window_hours=draw(st.none() | st.integers(1, 48)),
    )


amounts = st.integers(AMOUNT_MIN, AMOUNT_MAX)
sums = st.integers(OPEN_BOUNDS_MINOR[0], 2 * AMOUNT_MAX)  # what a payer or a gateway may come up with


def has_lived(changes: int) -> Callable[[RuleBasedStateMachine], bool]:
    """Ends come late, so that there is something to end."""
    return lambda machine: isinstance(machine, LifeOfAnInvoice) and machine.life.invoice.version > changes


class LifeOfAnInvoice(RuleBasedStateMachine):
    life: Life
    model: Model
    transactions: dict[str, int]

    @initialize(
        kind=st.sampled_from([InvoiceKind.INVOICE, InvoiceKind.INVOICE, InvoiceKind.REQUEST]),
        amount=amounts,
        is_open_amount=st.booleans(),
        partial=st.none() | partial_rules() | partial_rules(),
        hours=st.none() | st.integers(12, 96),
    )
    def open(
        self, kind: InvoiceKind, amount: int, is_open_amount: bool, partial: PartialRule | None, hours: int | None
    ):
        is_request = kind is InvoiceKind.REQUEST
        typed = is_request and is_open_amount
        self.model = Model(is_request=is_request, amount=None if typed else amount)
        limit = None if hours is None else NOON + timedelta(hours=hours)
        self.life = an_invoice(self.model.amount, kind=kind, partial=None if typed else partial, expires_at=limit)
        self.transactions = {}

    # Commands of the merchant

    @precondition(lambda self: not self.model.is_request and len(self.life.collections) <= len(self.life.attempts))
    @rule(data=st.data(), amount=amounts)
    def replace(self, data: st.DataObject, amount: int):
        likely = [amount, self.model.received or amount, self.model.amount or amount]
        amount = data.draw(st.sampled_from(likely), label="amount")
        refusal = refusal_of(lambda: self.life.replace(amount_minor=amount))
        partial = self.life.invoice.partial
        if self.model.state == "paid":
            assert refusal is Refusal.INVOICE_PAID
        elif self.model.state == "void":
            assert refusal is Refusal.INVOICE_VOID
        elif amount < self.model.received:
            assert refusal is Refusal.AMOUNT_BELOW_RECEIVED
        elif partial is not None and partial.min_minor > amount:
            assert refusal is Refusal.PART_MINIMUM_ABOVE_AMOUNT
        else:
            assert refusal is None
            self.model.amount = amount
            self.model.settle()
            assert sum(c.due_minor for c in self.life.live) == self.model.owed

    @precondition(has_lived(3))
    @rule()
    def withdraw(self):
        refusal = refusal_of(self.life.withdraw)
        assert refusal is self._closing_refusal()
        if refusal is None:
            self.model.credit += self.model.received
            self.model.received = 0
            self.model.state, self.model.closed = "void", True

    @precondition(has_lived(3))
    @rule()
    def settle_outside(self):
        if self.model.amount is None:
            return  # nobody can tell how much was paid
        refusal = refusal_of(self.life.settle_outside)
        assert refusal is self._closing_refusal()
        if refusal is None:
            self.model.outside += self.model.owed
            self.model.received += self.model.owed
            self.model.closed = True
            self.model.settle()

    def _closing_refusal(self) -> Refusal | None:
        if self.model.closed:
            return Refusal.INVOICE_ALREADY_WITHDRAWN
        return Refusal.INVOICE_PAID if self.model.state == "paid" else None

    @precondition(has_lived(2))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject):
        collection = self._any_collection(data)
        refusal = refusal_of(lambda: self.life.cancel(collection))
        assert (refusal is None) == (collection.state is CollectionState.PENDING)

    @rule(hours=st.integers(1, 30))
    def wait_until_the_worker_has_run(self, hours: int):
        self.life.later(hours=hours)
        for collection in self.life.live:
            if collection.expires_at is not None and collection.expires_at <= self.life.now:
                self.life.expire(collection)

    # The payer and the gateway

    @rule(data=st.data(), any_sum=sums, again=st.booleans())
    def start(self, data: st.DataObject, any_sum: int, again: bool):
        collection = self._any_collection(data)
        likely = self._likely_sums(collection) or [any_sum]
        amount = data.draw(st.sampled_from([*likely, any_sum]), label="amount")
        refusal = refusal_of(lambda: self.life.start(amount, on=collection, again=again))
        if refusal is None:
            assert collection.state is CollectionState.PENDING
            assert again or not collection.open_attempts
            assert collection.amount_minor is None or amount <= self.model.owed
        elif refusal is Refusal.AMOUNT_NOT_ALLOWED:
            assert amount not in likely
        elif refusal is Refusal.ATTEMPT_IN_PROGRESS:
            assert collection.open_attempts
        else:
            assert collection.state is not CollectionState.PENDING

    @precondition(lambda self: self.life.live)
    @rule(data=st.data(), any_sum=sums)
    def pay(self, data: st.DataObject, any_sum: int):
        """A try that the rules allow, approved at once."""
        amount = data.draw(st.sampled_from(self._likely_sums(self.life.current) or [any_sum]), label="amount")
        attempt = self.life.start(amount, again=True)
        self._report(attempt, [a_fact(FactState.SUCCEEDED, amount, self._transaction(attempt, 1, amount))])

    @precondition(lambda self: self.life.attempts)
    @rule(data=st.data(), any_sum=sums)
    def report(self, data: st.DataObject, any_sum: int):
        """Up to three of an attempt's transactions in any state: late, again, or with another amount than asked."""
        attempt = self._any_attempt(data)
        facts = []
        for number in data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3), label="transactions"):
            amount = data.draw(st.sampled_from([attempt.amount_minor, any_sum]), label="reported amount")
            tx = self._transaction(attempt, number, amount)
            # A gateway that goes on taking back what it confirmed is believed: that is told in test_attempting.
            is_booked = any(r.gateway_tx_id == tx for r in self.life.receipts)
            states = (
                [FactState.SUCCEEDED] if is_booked else [FactState.PROCESSING, FactState.FAILED, FactState.SUCCEEDED]
            )
            facts.append(a_fact(data.draw(st.sampled_from(states)), self.transactions[tx], tx))
        self._report(attempt, facts)

    @precondition(lambda self: self.life.attempts)
    @rule(data=st.data())
    def do_not_answer(self, data: st.DataObject):
        self.life.conclude(self._any_attempt(data), unknown=True)

    def _report(self, attempt: Attempt, facts: list[Fact]) -> None:
        before = {r.gateway_tx_id for r in self.life.receipts}
        self.life.conclude(attempt, *facts)
        approved = {f.gateway_tx_id: f.amount_minor for f in facts if f.state is FactState.SUCCEEDED}
        for tx, amount in approved.items():
            if tx not in before:
                self.model.arrive(amount)

    def _transaction(self, attempt: Attempt, number: int, amount: int) -> str:
        """The id of an attempt's transaction; its amount stays what it was when first reported."""
        tx = f"{attempt.id.int}-{number}"
        self.transactions.setdefault(tx, amount)
        return tx

    def _likely_sums(self, collection: Collection) -> list[int]:
        """The edges of what may be paid now; empty when any sum may."""
        allowed = payable_now(self.life.invoice, collection)
        if allowed is None:
            return []
        edges = [allowed.low_minor, allowed.high_minor, allowed.balance_minor if allowed.whole else None]
        return [edge for edge in edges if edge is not None]

    def _any_collection(self, data: st.DataObject) -> Collection:
        """The current collection half of the time, else any."""
        every = sorted(self.life.collections.values(), key=lambda c: c.id)
        return data.draw(st.just(self.life.current) | st.sampled_from(every), label="collection")

    def _any_attempt(self, data: st.DataObject) -> Attempt:
        every = sorted(self.life.attempts.values(), key=lambda a: a.id)
        return data.draw(st.sampled_from(every), label="attempt")

    # What must always hold

    @invariant()
    def money_in_is_money_applied_or_credited(self):
        model, invoice = self.model, self.life.invoice
        assert sum(r.amount_minor for r in self.life.receipts) == model.arrived + model.outside
        assert model.arrived + model.outside == model.received + model.credit
        assert (invoice.amount_minor, invoice.received_minor) == (model.amount, model.received)

    @invariant()
    def the_books_balance(self):
        model = self.model
        billed = 0 if model.state == "void" else model.received if model.is_request else model.amount
        expected = {
            Books.RECEIVABLE: 0 if model.is_request else model.owed,
            Books.BILLED: -(billed or 0),
            Books.CREDIT: -model.credit,
            Books.OUTSIDE: model.outside,
            GATEWAY: model.arrived,
        }
        assert self.life.books() == {book: amount for book, amount in expected.items() if amount}

    @invariant()
    def the_state_follows_the_money(self):
        assert self.life.invoice.state == self.model.state
        if self.model.state != "void":
            assert (self.life.invoice.state is InvoiceState.PAID) == (self.model.amount == self.model.received)

    @invariant()
    def it_asks_for_all_that_is_owed_or_for_nothing(self):
        assert len(self.life.live) <= 1
        for collection in self.life.live:
            assert self.model.state == "open"
            assert collection.due_minor == self.model.owed

    @invariant()
    def each_collection_is_the_sum_of_its_rows(self):
        for collection in self.life.collections.values():
            receipts = [r.amount_minor for r in self.life.receipts if r.collection_id == collection.id]
            assert (collection.received_minor, collection.parts) == (sum(receipts), len(receipts))
            assert collection.overpaid_minor == sum(
                t.amount_minor
                for t in self.life.transfers
                if t.credit == Books.CREDIT and t.collection_id == collection.id
            )
            assert collection.open_attempts == sum(
                a.in_progress for a in self.life.attempts.values() if a.collection_id == collection.id
            )
            if collection.amount_minor is not None:
                is_covered = collection.received_minor >= collection.amount_minor
                assert (collection.state is CollectionState.PAID) == is_covered

    @invariant()
    def every_change_was_told(self):
        told = Counter((e.type, e.collection_id) for e in self.life.events)
        by_type = Counter(e.type for e in self.life.events)
        assert by_type["invoice.paid"] + by_type["request.paid"] == (self.model.state == "paid")
        assert by_type["invoice.withdrawn"] + by_type["request.withdrawn"] == (self.model.state == "void")
        for collection in self.life.collections.values():
            assert told["collection.opened", collection.id] == 1
            assert told["collection.paid", collection.id] == (collection.state is CollectionState.PAID)
            expired = told["collection.expired", collection.id] + told["collection.part_expired", collection.id]
            if collection.state is not CollectionState.PAID:  # which late money may make of the others
                assert told["collection.cancelled", collection.id] == (collection.state is CollectionState.CANCELLED)
                assert expired == (collection.state is CollectionState.EXPIRED)
        excess = sum(e.data["excess_minor"] for e in self.life.events if e.type == "collection.overpaid")
        assert excess == self.model.credit


TestLifeOfAnInvoice = LifeOfAnInvoice.TestCase
TestLifeOfAnInvoice.settings = settings(max_examples=200, stateful_step_count=30)
