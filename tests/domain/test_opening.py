"""Opening an invoice or a stand-alone request (OnePay spec 8.1, 9.1, 10.1)."""

from datetime import date, timedelta

from recaudo.domain.changes import Books
from recaudo.domain.model import payable_now
from recaudo.domain.states import CollectionState, InvoiceState, Refusal
from tests.domain.builders import NOON, a_request, an_invoice, booked, in_parts, refusal_of, told


def test_an_invoice_opens_with_one_pending_collection_for_the_whole_amount():
    life = an_invoice(100)
    assert (life.invoice.version, life.invoice.state, life.invoice.balance_minor) == (1, InvoiceState.OPEN, 100)
    assert life.live == [life.current]
    assert (life.current.amount_minor, life.current.due_minor, life.current.generation) == (100, 100, 1)


def test_opening_tells_first_of_the_invoice_then_of_its_collection():
    life = an_invoice(100)
    assert told(life.opening) == ["invoice.created", "collection.opened"]
    assert [e.collection_id for e in life.opening.events] == [None, life.current.id]


def test_an_invoice_is_billed_when_it_opens():
    life = an_invoice(100)
    assert booked(life.opening) == [(Books.RECEIVABLE, Books.BILLED, 100)]
    assert life.opening.transfers[0].customer_id == life.invoice.customer_id


def test_a_request_is_no_debt_so_opening_it_books_nothing():
    life = a_request(100)
    assert life.transfers == []
    assert life.current.due_minor == 100


def test_a_request_without_an_amount_asks_for_any():
    life = a_request(None)
    assert life.current.amount_minor is None
    assert (life.current.due_minor, life.invoice.balance_minor) == (0, 0)
    assert payable_now(life.invoice, life.current) is None


def test_the_collection_has_the_invoice_s_due_day_and_the_given_limit():
    limit = NOON + timedelta(days=3)
    life = a_request(100, due_on=date(2025, 10, 31), expires_at=limit)
    assert (life.current.due_on, life.current.expires_at) == (date(2025, 10, 31), limit)


def test_an_invoice_s_collection_has_no_limit_by_itself():
    assert an_invoice(100).current.expires_at is None


def test_the_smallest_part_may_be_the_whole_amount_and_no_more():
    assert an_invoice(100, partial=in_parts(100)).current.state is CollectionState.PENDING
    assert refusal_of(lambda: an_invoice(100, partial=in_parts(101))) is Refusal.PART_MINIMUM_ABOVE_AMOUNT
