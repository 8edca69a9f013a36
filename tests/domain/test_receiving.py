"""Money that arrived, in time, late, twice, too little or too much (OnePay spec 7, 8.4, 9; gateways spec 1.8)."""

import re
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from recaudo.domain.changes import Books
from recaudo.domain.model import ReceiptKind
from recaudo.domain.receiving import receipt_number
from recaudo.domain.states import CollectionState, InvoiceState
from tests.domain.builders import (
    CUSTOMER_ID,
    GATEWAY,
    NOON,
    Life,
    a_request,
    an_invoice,
    booked,
    in_instalments,
    in_parts,
    succeeded,
    told,
)

# In time


def test_the_whole_amount_pays_the_collection_and_the_invoice():
    life = an_invoice(100)
    change = life.pay(100)
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.paid"]
    assert {e.collection_id for e in change.events} == {life.current.id}
    assert (life.current.state, life.current.paid_at) == (CollectionState.PAID, life.now)
    assert (life.invoice.state, life.invoice.received_minor) == (InvoiceState.PAID, 100)
    assert life.invoice.paid_at == life.now


def test_money_moves_from_what_is_owed_to_the_gateway():
    life = an_invoice(100)
    assert booked(life.pay(100)) == [(GATEWAY, Books.RECEIVABLE, 100)]
    assert life.books() == {Books.BILLED: -100, GATEWAY: 100}


def test_a_receipt_says_what_arrived_and_through_what():
    life = an_invoice(100)
    attempt = life.start(100)
    change = life.conclude(attempt, succeeded(100, tx="W-1", method={"brand": "PSE"}))
    assert change is not None
    (receipt,) = change.receipts
    assert (receipt.kind, receipt.amount_minor, receipt.gateway) == (ReceiptKind.GATEWAY, 100, "sandbox")
    assert (receipt.gateway_tx_id, receipt.attempt_id, receipt.collection_id) == ("W-1", attempt.id, life.current.id)
    assert (receipt.method, life.current.method, receipt.at) == ({"brand": "PSE"}, {"brand": "PSE"}, life.now)
    (transfer,) = change.transfers
    assert (transfer.receipt_id, transfer.collection_id, transfer.customer_id) == (
        receipt.id,
        life.current.id,
        CUSTOMER_ID,
    )


def test_a_part_leaves_the_rest_to_be_asked_for():
    life = an_invoice(100, partial=in_parts())
    change = life.pay(30)
    assert told(change) == ["attempt.succeeded", "collection.part_received", "invoice.part_received"]
    assert {e.collection_id for e in change.events} == {life.current.id}
    assert (life.invoice.state, life.invoice.balance_minor) == (InvoiceState.OPEN, 70)
    assert (life.current.state, life.current.due_minor, life.current.parts) == (CollectionState.PENDING, 70, 1)
    assert life.books() == {Books.RECEIVABLE: 70, Books.BILLED: -100, GATEWAY: 30}


def test_parts_do_not_lower_what_the_collection_asked_for():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    life.pay(20)
    assert (life.current.amount_minor, life.current.received_minor, life.current.parts) == (100, 50, 2)


def test_the_part_that_closes_the_balance_pays_everything():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    assert told(life.pay(70)) == ["attempt.succeeded", "collection.paid", "invoice.paid"]
    assert life.books() == {Books.BILLED: -100, GATEWAY: 100}


@pytest.mark.parametrize("amount", [1, 99])
def test_money_that_arrived_is_booked_even_if_it_is_no_allowed_part(amount: int):
    life = an_invoice(100)
    life.pay(amount)
    assert (life.invoice.received_minor, life.current.due_minor) == (amount, 100 - amount)
    assert life.invoice.state is InvoiceState.OPEN


@pytest.mark.parametrize("amount", [0, -1])
def test_money_that_goes_back_is_no_receipt_of_this_kind(amount: int):
    with pytest.raises(AssertionError, match="refund"):
        an_invoice(100).pay(amount)


def test_less_than_asked_is_a_part_and_never_the_amount_asked():
    life = an_invoice(100)
    life.conclude(life.start(100), succeeded(60))
    assert [r.amount_minor for r in life.receipts] == [60]
    assert life.invoice.balance_minor == 40


def test_more_than_asked_pays_and_the_excess_is_customer_credit():
    life = an_invoice(100)
    change = life.pay(130)
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.paid", "collection.overpaid"]
    assert (change.events[-1].collection_id, change.events[-1].data) == (life.current.id, {"excess_minor": 30})
    assert booked(change) == [(GATEWAY, Books.RECEIVABLE, 100), (GATEWAY, Books.CREDIT, 30)]
    assert (life.invoice.received_minor, life.current.received_minor, life.current.overpaid_minor) == (100, 130, 30)


def test_a_second_approval_is_booked_and_becomes_customer_credit():
    life = an_invoice(100)
    life.pay(100)
    paid_at = life.now
    life.later(minutes=5)
    change = life.pay(100)
    assert told(change) == ["attempt.succeeded", "collection.overpaid"]
    assert booked(change) == [(GATEWAY, Books.CREDIT, 100)]
    assert (life.current.received_minor, life.current.overpaid_minor, life.current.paid_at) == (200, 100, paid_at)
    assert (life.invoice.received_minor, life.invoice.paid_at) == (100, paid_at)
    assert life.books() == {Books.BILLED: -100, GATEWAY: 200, Books.CREDIT: -100}


def test_two_approvals_in_one_answer_are_both_booked():
    life = an_invoice(100)
    change = life.conclude(life.start(100), succeeded(100, tx="tx-1"), succeeded(100, tx="tx-2"))
    assert change is not None
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.paid", "collection.overpaid"]
    assert [(r.gateway_tx_id, r.amount_minor) for r in change.receipts] == [("tx-1", 100), ("tx-2", 100)]


# The time limit of paying in parts


def test_the_limit_counts_from_the_first_part():
    life = an_invoice(100, partial=in_parts(window_hours=24))
    assert life.current.expires_at is None
    life.later(hours=5)
    first = life.now
    life.pay(30)
    life.later(hours=5)
    life.pay(20)
    assert life.current.expires_at == first + timedelta(hours=24)


def test_without_a_limit_parts_never_expire():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    assert life.current.expires_at is None


@pytest.mark.parametrize(("own_hours", "limit_hours"), [(10, 10), (48, 24)])
def test_the_earlier_of_the_two_limits_holds(own_hours: int, limit_hours: int):
    life = a_request(100, partial=in_parts(window_hours=24), expires_at=NOON + timedelta(hours=own_hours))
    life.pay(30)
    assert life.current.expires_at == NOON + timedelta(hours=limit_hours)


# Requests without an invoice behind them


def test_a_request_is_billed_when_it_is_paid_and_only_for_what_was_paid():
    life = a_request(100, partial=in_parts())
    change = life.pay(30)
    assert booked(change) == [(Books.RECEIVABLE, Books.BILLED, 30), (GATEWAY, Books.RECEIVABLE, 30)]
    assert {t.collection_id for t in change.transfers} == {life.current.id}
    life.pay(90)
    assert life.books() == {Books.BILLED: -100, GATEWAY: 120, Books.CREDIT: -20}
    assert life.invoice.state is InvoiceState.PAID


def test_the_first_payment_of_an_open_amount_decides_what_was_asked_for():
    life = a_request(None)
    change = life.pay(40)
    assert told(change) == ["attempt.succeeded", "collection.paid", "request.paid"]
    assert (life.invoice.amount_minor, life.current.amount_minor) == (40, 40)
    assert life.books() == {Books.BILLED: -40, GATEWAY: 40}


def test_a_second_payment_of_an_open_amount_is_customer_credit():
    life = a_request(None)
    life.pay(40)
    assert told(life.pay(25)) == ["attempt.succeeded", "collection.overpaid"]
    assert life.books() == {Books.BILLED: -40, GATEWAY: 65, Books.CREDIT: -25}


def test_late_money_on_a_cancelled_request_pays_it():
    life = a_request(None)
    life.cancel()
    assert told(life.pay(40)) == ["attempt.succeeded", "collection.paid", "request.paid"]
    assert life.current.state is CollectionState.PAID


# Late: on a superseded collection


def a_replaced_invoice(old_amount: int, amount: int) -> Life:
    life = an_invoice(old_amount)
    life.replace(amount_minor=amount)
    return life


def superseded(life: Life):
    return next(c for c in life.collections.values() if c.generation == 1)


def test_late_money_that_covers_the_old_collection_pays_it_and_lowers_the_current_one():
    life = a_replaced_invoice(100, 150)
    current = life.current
    change = life.pay(100, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.part_received"]
    assert change.events[1].collection_id == superseded(life).id
    assert superseded(life).state is CollectionState.PAID
    assert (life.current.id, life.current.state, life.current.amount_minor) == (
        current.id,
        CollectionState.PENDING,
        50,
    )
    assert life.invoice.collection_id == current.id


def test_a_late_part_leaves_the_old_collection_cancelled_and_lowers_the_current_one():
    life = a_replaced_invoice(100, 150)
    current = life.current
    change = life.pay(30, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "invoice.part_received"]
    assert (superseded(life).state, superseded(life).received_minor) == (CollectionState.CANCELLED, 30)
    assert (life.current.id, life.current.amount_minor, life.current.received_minor) == (current.id, 120, 0)
    assert life.books() == {Books.RECEIVABLE: 120, Books.BILLED: -150, GATEWAY: 30}


def test_late_parts_that_together_cover_the_old_collection_pay_it():
    life = a_replaced_invoice(100, 150)
    life.pay(60, on=superseded(life))
    change = life.pay(40, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.part_received"]
    assert superseded(life).state is CollectionState.PAID


def test_late_money_that_covers_the_invoice_cancels_the_current_collection():
    life = a_replaced_invoice(100, 100)
    current = life.current
    change = life.pay(100, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "collection.paid", "collection.cancelled", "invoice.paid"]
    assert [e.collection_id for e in change.events[1:3]] == [superseded(life).id, current.id]
    assert life.live == []
    assert life.books() == {Books.BILLED: -100, GATEWAY: 100}


def test_a_late_part_that_covers_the_invoice_leaves_the_old_collection_cancelled():
    life = a_replaced_invoice(100, 50)
    change = life.pay(50, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "collection.cancelled", "invoice.paid"]
    assert superseded(life).state is CollectionState.CANCELLED


def test_late_money_above_the_balance_is_customer_credit():
    life = a_replaced_invoice(100, 70)
    change = life.pay(100, on=superseded(life))
    assert told(change) == [
        "attempt.succeeded",
        "collection.paid",
        "collection.cancelled",
        "invoice.paid",
        "collection.overpaid",
    ]
    assert booked(change) == [(GATEWAY, Books.RECEIVABLE, 70), (GATEWAY, Books.CREDIT, 30)]
    assert superseded(life).overpaid_minor == 30


def test_late_money_that_covers_what_the_current_collection_still_asks_closes_it_as_paid_if_it_has_a_part():
    life = an_invoice(100, partial=in_parts())
    life.replace()
    life.pay(40)
    change = life.pay(60, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.paid"]
    assert change.events[1].collection_id == life.current.id
    assert (life.current.state, life.current.amount_minor, life.current.received_minor) == (
        CollectionState.PAID,
        40,
        40,
    )


def test_late_money_lowers_a_current_collection_that_already_has_a_part():
    life = an_invoice(100, partial=in_parts())
    life.replace()
    life.pay(40)
    life.pay(10, on=superseded(life))
    assert (life.current.amount_minor, life.current.received_minor, life.current.due_minor) == (90, 40, 50)


# Late: on a collection or invoice that has ended


def test_late_money_on_a_cancelled_collection_without_a_successor_is_booked_on_the_invoice():
    life = an_invoice(100)
    life.cancel()
    assert told(life.pay(30)) == ["attempt.succeeded", "invoice.part_received"]
    assert (life.current.state, life.invoice.received_minor) == (CollectionState.CANCELLED, 30)
    assert told(life.pay(70)) == ["attempt.succeeded", "collection.paid", "invoice.paid"]
    assert (life.current.state, life.invoice.state) == (CollectionState.PAID, InvoiceState.PAID)


def test_late_money_on_an_expired_collection_is_booked_and_gives_it_no_new_limit():
    life = an_invoice(100, partial=in_parts(window_hours=1), expires_at=NOON + timedelta(minutes=1))
    life.later(minutes=2)
    life.expire()
    limit = life.current.expires_at
    assert told(life.pay(30)) == ["attempt.succeeded", "invoice.part_received"]
    assert (life.current.state, life.current.expires_at) == (CollectionState.EXPIRED, limit)


def test_late_money_on_a_withdrawn_invoice_is_all_customer_credit():
    life = an_invoice(100)
    life.withdraw()
    change = life.pay(30)
    assert told(change) == ["attempt.succeeded", "collection.overpaid"]
    assert booked(change) == [(GATEWAY, Books.CREDIT, 30)]
    assert (life.invoice.state, life.invoice.received_minor) == (InvoiceState.VOID, 0)
    assert life.current.state is CollectionState.CANCELLED


def test_late_money_that_covers_the_collection_of_a_withdrawn_invoice_shows_it_paid():
    life = an_invoice(100)
    life.withdraw()
    assert told(life.pay(100)) == ["attempt.succeeded", "collection.paid", "collection.overpaid"]
    assert (life.current.state, life.current.overpaid_minor) == (CollectionState.PAID, 100)
    assert life.invoice.state is InvoiceState.VOID


def test_late_money_on_the_superseded_collection_of_a_paid_invoice_is_all_customer_credit():
    life = a_replaced_invoice(100, 80)
    life.pay(80)
    change = life.pay(100, on=superseded(life))
    assert told(change) == ["attempt.succeeded", "collection.paid", "collection.overpaid"]
    assert change.events[-1].data == {"excess_minor": 100}
    assert life.books() == {Books.BILLED: -80, GATEWAY: 180, Books.CREDIT: -100}


def an_uncollectible_invoice() -> Life:
    life = an_invoice(100, partial=in_parts())
    life.invoice = msgspec.structs.replace(life.invoice, state=InvoiceState.UNCOLLECTIBLE)
    life.collections[life.current.id] = msgspec.structs.replace(life.current, state=CollectionState.UNCOLLECTIBLE)
    return life


def test_money_on_an_uncollectible_invoice_is_booked_and_pays_it_when_it_covers_the_balance():
    life = an_uncollectible_invoice()
    assert told(life.pay(30)) == ["attempt.succeeded", "invoice.part_received"]
    assert (life.invoice.state, life.invoice.received_minor) == (InvoiceState.UNCOLLECTIBLE, 30)
    assert told(life.pay(70)) == ["attempt.succeeded", "collection.paid", "invoice.paid"]
    assert (life.invoice.state, life.current.state) == (InvoiceState.PAID, CollectionState.PAID)


# Instalments


def test_an_instalment_paid_leaves_the_others_as_they_are():
    life, (first, second) = in_instalments(60, 40)
    change = life.pay(60, on=first)
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.part_received"]
    assert [c.id for c in change.collections] == [first.id]
    assert life.live == [second]
    assert told(life.pay(40, on=second)) == ["attempt.succeeded", "collection.paid", "invoice.paid"]


def test_money_above_an_instalment_lowers_the_others_first_due_first():
    life, (first, second, third) = in_instalments(30, 40, 50)
    change = life.pay(45, on=third)
    assert told(change) == ["attempt.succeeded", "collection.part_received", "invoice.part_received"]
    change = life.pay(20, on=third)
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.part_received"]
    assert (life.now_is(first).amount_minor, life.now_is(second).amount_minor) == (15, 40)
    assert (life.now_is(third).received_minor, life.now_is(third).overpaid_minor) == (65, 0)


def test_money_above_an_instalment_closes_the_others_that_it_covers():
    life, (first, second, third) = in_instalments(30, 40, 50)
    life.pay(10, on=first)
    change = life.pay(80, on=third)
    assert told(change) == ["attempt.succeeded", "collection.paid", "collection.paid", "invoice.part_received"]
    assert (life.now_is(first).state, life.now_is(first).amount_minor) == (CollectionState.PAID, 10)
    assert (life.now_is(second).state, life.now_is(second).amount_minor) == (CollectionState.PENDING, 30)
    assert life.invoice.balance_minor == 30


def test_an_instalment_paid_twice_lowers_what_the_others_ask():
    life, (first, second) = in_instalments(60, 40)
    life.pay(60, on=first)
    change = life.pay(30, on=first)
    assert told(change) == ["attempt.succeeded", "invoice.part_received"]
    assert (life.now_is(second).amount_minor, life.invoice.balance_minor) == (10, 10)


# The number of a receipt


def test_a_receipt_s_number_can_be_read_out():
    life = an_invoice(100)
    number = life.pay(100).receipts[0].number
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", number)


def test_a_receipt_s_number_comes_from_the_random_tail_of_its_id():
    assert receipt_number(UUID(int=0)) == "0000-0000-0000"
    assert receipt_number(UUID(int=(1 << 60) - 1)) == "ZZZZ-ZZZZ-ZZZZ"
    assert receipt_number(UUID(int=(7 << 60) | 33)) == "0000-0000-0011"
