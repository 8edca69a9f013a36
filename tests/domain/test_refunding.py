"""Money that a merchant gives back, by the three ways there are."""

from typing import Any

import pytest

from recaudo.domain import refunding
from recaudo.domain.changes import Books, Change
from recaudo.domain.model import Refund, RefundWay
from recaudo.domain.refunding import Refundable, Refunded, RefundRefused
from recaudo.domain.states import RefundState, Refusal, RefusedError
from recaudo.domain.transactions import Booked
from tests.domain.builders import GATEWAY, Life, an_invoice


def a_refund(life: Life, amount_minor: int, way: RefundWay, *, asked: int = 0) -> Refund:
    receipt = life.receipts[0]
    return Refund(
        account_id=receipt.account_id,
        id=life.moment.new_id(),
        receipt_id=receipt.id,
        invoice_id=receipt.invoice_id,
        attempt_id=receipt.attempt_id,
        amount_minor=amount_minor,
        currency=receipt.currency,
        state=RefundState.CREATED if way is RefundWay.GATEWAY else RefundState.SUCCEEDED,
        way=way,
        reason="test",
        asked=asked,
        created_at=life.moment.now,
        updated_at=life.moment.now,
    )


def paid() -> Life:
    life = an_invoice(100)
    life.pay(100)
    return life


def start(life: Life, refund: Refund, **booked: Any) -> Change:
    of = Refundable(booked=Booked(receipt=life.receipts[0], **booked))
    return refunding.start(life.case(), refund, of, life.moment)


def moved(change: Change) -> set[tuple[str, str, int]]:
    return {(t.debit, t.credit, t.amount_minor) for t in change.transfers}


def test_what_the_gateway_gave_back_in_its_panel_leaves_its_book() -> None:
    life = paid()
    change = start(life, a_refund(life, 40, RefundWay.PANEL))
    assert moved(change) == {(Books.RECEIVABLE, GATEWAY, 40)}


@pytest.mark.parametrize(("told_minor", "booked_minor"), [(0, 40), (10, 30), (40, 0), (60, 0)])
def test_what_the_gateway_told_of_it_already_is_not_booked_again(told_minor: int, booked_minor: int) -> None:
    life = paid()
    change = start(life, a_refund(life, 40, RefundWay.PANEL), returned_minor=told_minor)
    assert -sum(r.amount_minor for r in change.receipts) == booked_minor
    assert change.refunds[0].amount_minor == 40


def test_cash_leaves_the_merchants_own_book_whatever_the_gateway_told() -> None:
    life = paid()
    change = start(life, a_refund(life, 40, RefundWay.ELSEWHERE), returned_minor=60)
    assert moved(change) == {(Books.RECEIVABLE, Books.OUTSIDE, 40)}


def test_money_in_dispute_is_not_given_back_a_second_time() -> None:
    life = paid()
    for way in RefundWay:
        with pytest.raises(RefusedError) as refused:
            start(life, a_refund(life, 40, way), is_disputed=True)
        assert refused.value.refusal is Refusal.RECEIPT_DISPUTED


@pytest.mark.parametrize("amount_minor", [0, -1, 61])
def test_no_more_than_is_left_goes_back_and_something_must(amount_minor: int) -> None:
    life = paid()
    with pytest.raises(RefusedError) as refused:
        start(life, a_refund(life, amount_minor, RefundWay.GATEWAY), returned_minor=40)
    assert refused.value.refusal is Refusal.REFUND_ABOVE_RECEIPT


def test_a_person_ends_what_the_gateway_cannot_tell() -> None:
    life = paid()
    of = Refundable(booked=Booked(receipt=life.receipts[0]))
    asked = a_refund(life, 40, RefundWay.GATEWAY, asked=1)
    change = refunding.settle(life.case(), asked, Refunded(), "panel", life.moment, of=of)
    assert (change.refunds[0].state, change.refunds[0].evidence) == (RefundState.SUCCEEDED, "panel")
    assert moved(change) == {(Books.RECEIVABLE, GATEWAY, 40)}
    change = refunding.settle(life.case(), asked, RefundRefused(code="x"), "panel", life.moment, of=of)
    assert (change.refunds[0].state, change.receipts) == (RefundState.FAILED, ())


def test_a_person_ends_neither_what_was_never_asked_nor_what_has_ended() -> None:
    life = paid()
    of = Refundable(booked=Booked(receipt=life.receipts[0]))
    for refund in (a_refund(life, 40, RefundWay.GATEWAY), a_refund(life, 40, RefundWay.PANEL, asked=1)):
        with pytest.raises(RefusedError) as refused:
            refunding.settle(life.case(), refund, Refunded(), "panel", life.moment, of=of)
        assert refused.value.refusal is Refusal.REFUND_NOT_OPEN
