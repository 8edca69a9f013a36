"""Money that goes back, and what is asked for again."""

import pytest

from recaudo.domain.changes import Books, Change, Draft
from recaudo.domain.reversing import Reversal, ask_again, reverse
from recaudo.domain.states import CollectionState, InvoiceState
from tests.domain.builders import GATEWAY, Life, a_request, an_invoice, in_parts


def give_back(life: Life, amount_minor: int, *, again: bool = False) -> Change:
    """The change that returns money of the first receipt."""
    draft = Draft.of(life.case(), life.moment)
    reverse(draft, life.receipts[0], Reversal(amount_minor=amount_minor, number="back-1", reason="test"))
    if again:
        ask_again(draft)
    return life.keep(draft.finish())


def moved(change: Change) -> set[tuple[str, str, int]]:
    return {(t.debit, t.credit, t.amount_minor) for t in change.transfers}


def test_a_refund_leaves_a_paid_invoice_paid_and_books_the_money_back() -> None:
    life = an_invoice(100)
    life.pay(100)
    change = give_back(life, 40)
    assert change.invoice.state is InvoiceState.PAID
    assert change.invoice.received_minor == 60
    collection = change.collections[0]
    assert (collection.state, collection.received_minor, collection.refunded_minor) == (CollectionState.PAID, 60, 40)
    assert moved(change) == {(Books.RECEIVABLE, GATEWAY, 40)}
    assert [e.type for e in change.events] == ["collection.refunded"]
    assert change.receipts[0].amount_minor == -40
    assert change.receipts[0].reverses == life.receipts[0].id


def test_an_excess_goes_back_before_what_paid_the_invoice() -> None:
    life = an_invoice(100)
    life.pay(100)
    life.pay(50)
    draft = Draft.of(life.case(), life.moment)
    reverse(draft, life.receipts[1], Reversal(amount_minor=50, number="back-1", reason="test"))
    change = life.keep(draft.finish())
    assert moved(change) == {(Books.CREDIT, GATEWAY, 50)}
    assert change.invoice.received_minor == 100
    assert change.collections[0].overpaid_minor == 0


def test_what_went_back_is_asked_for_again_on_demand() -> None:
    life = an_invoice(100)
    life.pay(100)
    change = give_back(life, 100, again=True)
    assert change.invoice.state is InvoiceState.OPEN
    assert change.invoice.paid_at is None
    live = change.after.live
    assert [(c.amount_minor, c.due_on) for c in live] == [(100, life.moment.today)]
    assert [e.type for e in change.events] == ["collection.refunded", "invoice.reopened", "collection.opened"]


def test_a_part_that_went_back_is_asked_for_by_the_same_collection() -> None:
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    change = give_back(life, 30, again=True)
    assert [c.due_minor for c in change.after.live] == [100]
    assert [e.type for e in change.events] == ["collection.refunded"]


def test_a_request_is_no_longer_billed_for_what_went_back() -> None:
    life = a_request(100)
    life.pay(100)
    change = give_back(life, 100)
    assert moved(change) == {(Books.RECEIVABLE, GATEWAY, 100), (Books.BILLED, Books.RECEIVABLE, 100)}


def test_no_more_goes_back_than_arrived() -> None:
    life = an_invoice(100)
    life.pay(100)
    draft = Draft.of(life.case(), life.moment)
    with pytest.raises(AssertionError, match="no more goes back"):
        reverse(draft, life.receipts[0], Reversal(amount_minor=101, number="back-1", reason="test"))
