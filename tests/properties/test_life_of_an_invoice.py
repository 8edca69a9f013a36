"""Random lives of one invoice, compared with a model of a few lines: money in is money applied or credited."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import HealthCheck, assume, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recaudo.domain.attempting import FactState
from recaudo.domain.changes import Books
from recaudo.domain.model import Collection, InvoiceKind
from recaudo.domain.partial import PartialRule
from recaudo.domain.states import CollectionState, InvoiceState, Refusal
from tests.domain.builders import GATEWAY, Life, a_fact, an_invoice, refusal_of

AMOUNT_MAX = 60


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
    min_minor = draw(st.integers(1, AMOUNT_MAX // 4))
    return PartialRule(
        min_minor=min_minor,
        max_minor=draw(st.none() | st.integers(min_minor, AMOUNT_MAX)),
        parts_max=draw(st.integers(1, 5)),
        window_hours=draw(st.none() | st.integers(1, 48)),
    )


amounts = st.integers(1, AMOUNT_MAX)


class LifeOfAnInvoice(RuleBasedStateMachine):
    life: Life
    model: Model
    transactions: dict[str, int]

    @initialize(
        kind=st.sampled_from([InvoiceKind.INVOICE, InvoiceKind.INVOICE, InvoiceKind.REQUEST]),
        amount=amounts,
        is_open_amount=st.booleans(),
        partial=st.none() | partial_rules(),
    )
    def open(self, kind: InvoiceKind, amount: int, is_open_amount: bool, partial: PartialRule | None):
        is_request = kind is InvoiceKind.REQUEST
        typed = is_request and is_open_amount
        assume(partial is None or partial.min_minor <= amount)
        self.model = Model(is_request=is_request, amount=None if typed else amount)
        self.life = an_invoice(self.model.amount, kind=kind, partial=None if typed else partial)
        self.transactions = {}

    # Commands of the merchant

    @precondition(lambda self: not self.model.is_request)
    @rule(data=st.data(), amount=amounts)
    def replace(self, data: st.DataObject, amount: int):
        amount = data.draw(st.sampled_from([amount, self.model.received or amount, self.model.amount]), label="amount")
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

    @rule()
    def withdraw(self):
        refusal = refusal_of(self.life.withdraw)
        assert refusal is self._closing_refusal()
        if refusal is None:
            self.model.credit += self.model.received
            self.model.received = 0
            self.model.state, self.model.closed = "void", True

    @precondition(lambda self: self.model.amount is not None)
    @rule()
    def settle_outside(self):
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

    @rule(data=st.data())
    def cancel(self, data: st.DataObject):
        collection = self._any_collection(data)
        refusal = refusal_of(lambda: self.life.cancel(collection))
        assert (refusal is None) == (collection.state is CollectionState.PENDING)

    # Time

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int):
        self.life.later(hours=hours)

    @rule()
    def expire_what_is_over(self):
        for collection in self.life.live:
            if collection.expires_at is not None and collection.expires_at <= self.life.now:
                self.life.expire(collection)

    # The payer and the gateway

    @rule(data=st.data(), any_amount=amounts, again=st.booleans())
    def start(self, data: st.DataObject, any_amount: int, again: bool):
        collection = self._any_collection(data)
        likely = [collection.due_minor or any_amount, any_amount]
        amount = data.draw(st.sampled_from(likely), label="amount")
        refusal = refusal_of(lambda: self.life.start(amount, on=collection, again=again))
        is_over = collection.expires_at is not None and collection.expires_at <= self.life.now
        if refusal is None:
            assert collection.state is CollectionState.PENDING
            assert not is_over
            assert again or not collection.open_attempts
            assert collection.amount_minor is None or amount <= self.model.owed
        elif refusal is Refusal.AMOUNT_NOT_ALLOWED:
            assert collection.amount_minor is None or amount != collection.due_minor or self.life.invoice.partial
        elif refusal is Refusal.ATTEMPT_IN_PROGRESS:
            assert collection.open_attempts
        else:
            assert is_over or collection.state is not CollectionState.PENDING

    @precondition(lambda self: self.life.attempts)
    @rule(data=st.data(), is_unknown=st.booleans())
    def conclude(self, data: st.DataObject, is_unknown: bool):
        """The gateway reports up to three of the attempt's transactions, any of them in any state, or does not answer."""
        attempt = data.draw(st.sampled_from(sorted(self.life.attempts.values(), key=lambda a: a.id)), label="attempt")
        facts = []
        for _ in range(0 if is_unknown else data.draw(st.integers(1, 3), label="facts")):
            tx = f"{attempt.id.int}-{data.draw(st.integers(1, 3), label='transaction')}"
            if tx not in self.transactions:
                self.transactions[tx] = data.draw(st.just(attempt.amount_minor) | amounts, label="reported amount")
            facts.append(a_fact(data.draw(st.sampled_from(FactState)), self.transactions[tx], tx))
        known = {r.gateway_tx_id for r in self.life.receipts}
        self.life.conclude(attempt, *facts, unknown=is_unknown)
        approved = {f.gateway_tx_id: f.amount_minor for f in facts if f.state is FactState.SUCCEEDED}
        for tx, amount in approved.items():
            if tx not in known:
                self.model.arrive(amount)

    def _any_collection(self, data: st.DataObject) -> Collection:
        """The current collection half of the time, else any."""
        every = sorted(self.life.collections.values(), key=lambda c: c.id)
        return data.draw(st.just(self.life.current) | st.sampled_from(every), label="collection")

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
        assert by_type["invoice.paid"] == (self.model.state == "paid")
        assert by_type["invoice.withdrawn"] == (self.model.state == "void")
        for collection in self.life.collections.values():
            assert told["collection.opened", collection.id] == 1
            assert told["collection.paid", collection.id] == (collection.state is CollectionState.PAID)
            expired = told["collection.expired", collection.id] + told["collection.part_expired", collection.id]
            ended = {
                CollectionState.CANCELLED: (1, 0),
                CollectionState.EXPIRED: (0, 1),
                CollectionState.PENDING: (0, 0),
            }
            if collection.state in ended:
                assert (told["collection.cancelled", collection.id], expired) == ended[collection.state]
        excess = sum(e.data["excess_minor"] for e in self.life.events if e.type == "collection.overpaid")
        assert excess == self.model.credit


TestLifeOfAnInvoice = LifeOfAnInvoice.TestCase
TestLifeOfAnInvoice.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
