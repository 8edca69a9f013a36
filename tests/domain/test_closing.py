"""Ending things: withdrawing, settling outside, cancelling and expiring (OnePay spec 8.5, 9.4, 10.4)."""

from datetime import timedelta

import msgspec
import pytest

from recaudo.domain import closing
from recaudo.domain.changes import Books
from recaudo.domain.model import InvoiceKind, ReceiptKind
from recaudo.domain.receiving import receipt_number
from recaudo.domain.states import CollectionState, InvoiceState, Refusal
from tests.domain.builders import (
    GATEWAY,
    NOON,
    Life,
    a_request,
    an_invoice,
    booked,
    in_instalments,
    in_parts,
    refusal_of,
    told,
)

# Withdrawing


def test_withdrawing_cancels_the_collection_and_voids_the_invoice():
    life = an_invoice(100)
    change = life.withdraw()
    assert told(change) == ["collection.cancelled", "invoice.withdrawn"]
    assert {e.collection_id for e in change.events} == {life.current.id}
    assert (life.invoice.state, life.invoice.closed_reason) == (InvoiceState.VOID, "DELETE_FROM_PROVIDER")
    assert life.current.state is CollectionState.CANCELLED


def test_withdrawing_takes_back_the_whole_bill():
    life = an_invoice(100)
    assert booked(life.withdraw()) == [(Books.BILLED, Books.RECEIVABLE, 100)]
    assert life.books() == {}


def test_withdrawing_frees_the_origin_for_another_invoice():
    life = an_invoice(100, origin="biller", origin_id="987654", origin_bound=True)
    life.withdraw()
    assert (life.invoice.origin_bound, life.invoice.origin_id) == (None, "987654")


def test_withdrawing_turns_the_parts_received_into_customer_credit():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    change = life.withdraw()
    assert told(change) == ["collection.cancelled", "invoice.withdrawn", "collection.overpaid"]
    assert change.events[-1].data == {"excess_minor": 30}
    assert booked(change) == [(Books.BILLED, Books.RECEIVABLE, 100), (Books.RECEIVABLE, Books.CREDIT, 30)]
    assert life.books() == {GATEWAY: 30, Books.CREDIT: -30}
    assert (life.invoice.received_minor, life.current.received_minor, life.current.overpaid_minor) == (0, 30, 30)


def test_withdrawing_credits_each_collection_s_own_parts():
    life = an_invoice(100, partial=in_parts(1))
    old = life.current
    life.pay(30)
    life.replace()
    life.pay(1)
    change = life.withdraw()
    assert [(e.collection_id, e.data) for e in change.events if e.type == "collection.overpaid"] == [
        (old.id, {"excess_minor": 30}),
        (life.current.id, {"excess_minor": 1}),
    ]
    assert [t.collection_id for t in change.transfers if t.credit == Books.CREDIT] == [old.id, life.current.id]
    assert (life.now_is(old).overpaid_minor, life.current.overpaid_minor) == (30, 1)
    assert life.books() == {GATEWAY: 31, Books.CREDIT: -31}


def test_withdrawing_credits_parts_of_a_collection_that_was_not_read_to_the_newest_one():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    life.replace()
    case = msgspec.structs.replace(life.case(), collections=(life.current,))
    change = life.keep(closing.withdraw(case, life.moment, reason="DELETE_FROM_PROVIDER"))
    assert [(e.collection_id, e.data) for e in change.events if e.type == "collection.overpaid"] == [
        (life.current.id, {"excess_minor": 30})
    ]


def test_withdrawing_with_the_link_already_cancelled_tells_only_of_the_invoice():
    life = an_invoice(100)
    life.cancel()
    assert told(life.withdraw()) == ["invoice.withdrawn"]


def test_withdrawing_an_invoice_in_instalments_cancels_them_all_in_due_order():
    life, (first, second) = in_instalments(60, 40)
    change = life.withdraw()
    assert told(change) == ["collection.cancelled", "collection.cancelled", "invoice.withdrawn"]
    assert [e.collection_id for e in change.events[:2]] == [first.id, second.id]


def test_withdrawing_a_request_takes_back_only_what_it_had_billed():
    life = a_request(100, partial=in_parts())
    life.pay(30)
    life.withdraw()
    assert life.books() == {GATEWAY: 30, Books.CREDIT: -30}


@pytest.mark.parametrize("amount", [100, None])
def test_withdrawing_an_unpaid_request_books_nothing(amount: int | None):
    life = a_request(amount)
    assert booked(life.withdraw()) == []


def test_an_invoice_paid_through_a_gateway_is_not_withdrawn():
    life = an_invoice(100)
    life.pay(100)
    assert refusal_of(life.withdraw) is Refusal.INVOICE_PAID
    assert refusal_of(life.settle_outside) is Refusal.INVOICE_PAID


@pytest.mark.parametrize("again", [Life.withdraw, Life.settle_outside])
@pytest.mark.parametrize("first", [Life.withdraw, Life.settle_outside])
def test_a_second_time_it_is_already_gone_whatever_the_reasons(first, again):
    life = an_invoice(100)
    first(life)
    assert refusal_of(lambda: again(life)) is Refusal.INVOICE_ALREADY_WITHDRAWN


# Settling outside


def test_settling_outside_books_an_outside_receipt_for_the_balance():
    life = an_invoice(100)
    change = life.settle_outside()
    (receipt,) = change.receipts
    assert (receipt.kind, receipt.amount_minor, receipt.collection_id) == (ReceiptKind.OUTSIDE, 100, None)
    assert (receipt.gateway_tx_id, receipt.number) == (str(receipt.id), receipt_number(receipt.id))
    assert booked(change) == [(Books.OUTSIDE, Books.RECEIVABLE, 100)]
    assert life.books() == {Books.BILLED: -100, Books.OUTSIDE: 100}


def test_settling_outside_cancels_the_collection_and_pays_the_invoice():
    life = an_invoice(100)
    change = life.settle_outside()
    assert told(change) == ["collection.cancelled", "invoice.paid"]
    assert (life.invoice.state, life.invoice.paid_at) == (InvoiceState.PAID, life.now)
    assert life.invoice.closed_reason == "PAID_FROM_PROVIDER"
    assert life.current.state is CollectionState.CANCELLED


def test_settling_outside_with_parts_books_only_the_rest():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    change = life.settle_outside()
    assert [r.amount_minor for r in change.receipts] == [70]
    assert told(change) == ["collection.cancelled", "invoice.paid"]
    assert life.invoice.received_minor == 100
    assert life.books() == {Books.BILLED: -100, GATEWAY: 30, Books.OUTSIDE: 70}


def test_settling_a_request_outside_bills_it_and_leaves_nothing_receivable():
    life = a_request(100, partial=in_parts())
    life.pay(30)
    life.settle_outside()
    assert life.books() == {Books.BILLED: -100, GATEWAY: 30, Books.OUTSIDE: 70}


def test_money_that_lands_after_it_was_settled_outside_is_customer_credit():
    life = an_invoice(100)
    life.settle_outside()
    change = life.pay(100)
    assert told(change) == ["attempt.succeeded", "collection.paid", "collection.overpaid"]
    assert life.books() == {Books.BILLED: -100, Books.OUTSIDE: 100, GATEWAY: 100, Books.CREDIT: -100}


# Cancelling one collection


def test_cancelling_a_collection_keeps_its_invoice_open():
    life = an_invoice(100)
    change = life.cancel()
    assert [(e.type, e.collection_id) for e in change.events] == [("collection.cancelled", life.current.id)]
    assert life.live == []
    assert (life.invoice.state, life.invoice.balance_minor) == (InvoiceState.OPEN, 100)
    assert booked(change) == []


def test_cancelling_a_collection_keeps_its_parts_booked():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    life.cancel()
    assert (life.current.received_minor, life.invoice.received_minor) == (30, 30)
    assert life.books() == {Books.RECEIVABLE: 70, Books.BILLED: -100, GATEWAY: 30}


def test_after_cancelling_a_change_of_the_invoice_opens_a_new_collection():
    life = an_invoice(100)
    life.cancel()
    life.replace()
    assert life.live == [life.current]


def test_cancelling_one_instalment_leaves_the_others():
    life, (first, second) = in_instalments(60, 40)
    life.cancel(first)
    assert life.live == [second]


# Expiring


def test_a_collection_without_parts_expires():
    life = a_request(100, expires_at=NOON + timedelta(hours=1))
    life.later(hours=1)
    change = life.expire()
    assert [(e.type, e.collection_id) for e in change.events] == [("collection.expired", life.current.id)]
    assert life.current.state is CollectionState.EXPIRED
    assert life.invoice.state is InvoiceState.OPEN


@pytest.mark.parametrize("part", [1, 30])
@pytest.mark.parametrize("kind", InvoiceKind)
def test_a_collection_with_parts_expires_and_keeps_them(kind: InvoiceKind, part: int):
    life = an_invoice(100, partial=in_parts(1, window_hours=2), kind=kind)
    life.pay(part)
    before = life.books()
    life.later(hours=2)
    change = life.expire()
    assert told(change) == ["collection.part_expired"]
    assert (life.current.state, life.current.received_minor) == (CollectionState.EXPIRED, part)
    assert (life.invoice.state, life.invoice.received_minor) == (InvoiceState.OPEN, part)
    assert life.books() == before


def test_a_collection_never_expires_before_its_time():
    life = a_request(100, expires_at=NOON + timedelta(hours=1))
    life.later(minutes=59)
    with pytest.raises(AssertionError):
        life.expire()


def test_a_collection_without_a_limit_never_expires():
    life = an_invoice(100)
    life.later(days=10_000)
    with pytest.raises(AssertionError):
        life.expire()
