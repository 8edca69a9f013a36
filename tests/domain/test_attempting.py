"""Starting a try to pay, and what its gateway reports (OnePay spec 9.2; gateways spec 1.4, 1.7, 1.8)."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from recaudo.domain import attempting
from recaudo.domain.answers import Absent, Answer, FactState, Form, NotSent, Refused, Reported
from recaudo.domain.changes import Books
from recaudo.domain.references import base62, gateway_reference
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState, Refusal
from recaudo.domain.transactions import DOUBTED_FOR
from tests.domain.builders import (
    GATEWAY,
    NOON,
    OPEN_BOUNDS_MINOR,
    Life,
    a_fact,
    a_request,
    an_invoice,
    failed,
    in_instalments,
    in_parts,
    processing,
    refusal_of,
    succeeded,
    told,
)

# Starting


def test_a_start_records_the_attempt_and_nothing_else():
    life = an_invoice(100)
    before = life.current
    attempt = life.start(100)
    assert life.attempts == {attempt.id: attempt}
    assert (life.current, life.receipts, life.events[-1].type) == (before, [], "attempt.started")
    assert (life.events[-1].collection_id, life.events[-1].attempt_id) == (before.id, attempt.id)


@pytest.mark.parametrize("amount", [99, 101, 1])
def test_without_a_rule_of_parts_only_the_whole_amount_starts(amount: int):
    life = an_invoice(100)
    assert refusal_of(lambda: life.start(amount)) is Refusal.AMOUNT_NOT_ALLOWED


def test_a_part_starts_when_the_rule_allows_it():
    life = an_invoice(100, partial=in_parts(20, max_minor=60, parts_max=3))
    assert refusal_of(lambda: life.start(19)) is Refusal.AMOUNT_NOT_ALLOWED
    assert refusal_of(lambda: life.start(61)) is Refusal.AMOUNT_NOT_ALLOWED
    assert refusal_of(lambda: life.start(100)) is Refusal.AMOUNT_NOT_ALLOWED
    assert refusal_of(lambda: life.start(60)) is None


def test_only_parts_that_succeeded_count():
    life = an_invoice(100, partial=in_parts(20, parts_max=2))
    life.conclude(life.start(50), failed(tx="tx-1"))
    life.conclude(life.start(50), failed(tx="tx-2"))
    assert refusal_of(lambda: life.start(50)) is None


def test_the_last_allowed_part_must_close_the_balance():
    life = an_invoice(100, partial=in_parts(20, parts_max=2))
    life.pay(30)
    assert refusal_of(lambda: life.start(20)) is Refusal.AMOUNT_NOT_ALLOWED
    assert refusal_of(lambda: life.start(70)) is None


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [(4, Refusal.AMOUNT_NOT_ALLOWED), (5, None), (10_000, None), (10_001, Refusal.AMOUNT_NOT_ALLOWED)],
)
def test_an_open_amount_starts_within_the_account_s_bounds(amount: int, refusal: Refusal | None):
    assert OPEN_BOUNDS_MINOR == (5, 10_000)
    assert refusal_of(lambda: a_request(None).start(amount)) is refusal


def test_an_instalment_starts_with_its_own_amount():
    life, (first, second) = in_instalments(60, 40)
    assert refusal_of(lambda: life.start(100, on=first)) is Refusal.AMOUNT_NOT_ALLOWED
    assert refusal_of(lambda: life.start(40, on=second)) is None


def test_nothing_starts_once_the_time_is_over_even_before_the_collection_expired():
    life = a_request(100, expires_at=NOON + timedelta(hours=1))
    life.later(minutes=59)
    assert refusal_of(lambda: life.start(100)) is None
    life.later(minutes=1)
    assert life.current.state is CollectionState.PENDING
    assert refusal_of(lambda: life.start(100)) is Refusal.COLLECTION_EXPIRED


@pytest.mark.parametrize("unknown", [True, False])
def test_while_a_try_is_not_decided_another_starts_only_on_the_payer_s_word(unknown: bool):
    life = an_invoice(100)
    life.conclude(life.start(100), *([] if unknown else [processing()]), unknown=unknown)
    assert refusal_of(lambda: life.start(100)) is Refusal.ATTEMPT_IN_PROGRESS
    assert refusal_of(lambda: life.start(100, again=True)) is None


def test_after_a_failed_try_the_payer_may_try_again():
    life = an_invoice(100)
    life.conclude(life.start(100), failed())
    assert life.current.state is CollectionState.PENDING
    assert refusal_of(lambda: life.start(100)) is None


def test_nothing_starts_on_a_superseded_collection():
    life = an_invoice(100)
    old = life.current
    life.replace()
    assert refusal_of(lambda: life.start(100, on=old)) is Refusal.COLLECTION_CANCELLED


# Concluding


def test_processing_keeps_the_attempt_open_and_says_when_to_ask_again():
    life = an_invoice(100)
    attempt = life.start(100)
    change = life.conclude(attempt, processing())
    assert change is not None
    assert told(change) == ["attempt.processing"]
    after = life.attempts[attempt.id]
    assert (after.state, after.ask_at) == (AttemptState.PROCESSING, life.now + timedelta(seconds=10))
    assert life.current.open_attempts == 1


def test_a_gateway_that_did_not_answer_has_not_declined():
    life = an_invoice(100)
    attempt = life.start(100)
    change = life.conclude(attempt, unknown=True)
    assert change is not None
    assert told(change) == ["attempt.unknown"]
    after = life.attempts[attempt.id]
    assert (after.state, after.failure_code) == (AttemptState.UNKNOWN, None)
    assert after.ask_at is not None
    assert life.current.open_attempts == 1


def test_a_failure_leaves_the_collection_payable_and_says_why():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, processing())
    change = life.conclude(attempt, failed(failure_code="INSUFFICIENT_FUNDS", failure_text="Fondos insuficientes"))
    assert change is not None
    assert [(e.type, e.collection_id, e.attempt_id) for e in change.events] == [
        ("attempt.failed", life.current.id, attempt.id)
    ]
    after = life.attempts[attempt.id]
    assert (after.state, after.failure_code, after.failure_text, after.ask_at) == (
        AttemptState.FAILED,
        "INSUFFICIENT_FUNDS",
        "Fondos insuficientes",
        None,
    )
    assert (life.current.state, life.current.open_attempts) == (CollectionState.PENDING, 0)


def test_a_success_books_the_fact_s_amount_and_settles():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, processing())
    change = life.conclude(attempt, succeeded(100, method={"brand": "VISA"}))
    assert change is not None
    assert told(change) == ["attempt.succeeded", "collection.paid", "invoice.paid"]
    after = life.attempts[attempt.id]
    assert (after.state, after.gateway_tx_id, after.method) == (AttemptState.SUCCEEDED, "tx-1", {"brand": "VISA"})
    assert (after.paid_at, after.ask_at) == (life.now, None)
    assert life.current.open_attempts == 0


def test_a_failed_attempt_may_later_succeed():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, failed(failure_code="CARD_GENERIC_ERROR"))
    life.conclude(attempt, succeeded(100))
    after = life.attempts[attempt.id]
    assert (after.state, after.failure_code, life.invoice.state) == (
        AttemptState.SUCCEEDED,
        None,
        InvoiceState.PAID,
    )


def test_a_retry_inside_the_gateway_s_page_forgets_the_earlier_failure():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, failed(tx="first", failure_code="CARD_CVV", failure_text="CVV"))
    life.conclude(attempt, processing(tx="second", failure_code="PENDING", failure_text="Pendiente"))
    after = life.attempts[attempt.id]
    assert (after.failure_code, after.failure_text, after.paid_at) == (None, None, None)


def test_each_declined_transaction_is_told():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, failed(tx="first", failure_code="CARD_CVV"))
    change = life.conclude(attempt, failed(tx="second", failure_code="INSUFFICIENT_FUNDS"))
    assert change is not None
    assert told(change) == ["attempt.failed"]
    assert life.attempts[attempt.id].failure_code == "INSUFFICIENT_FUNDS"


def test_what_the_gateway_was_given_is_kept():
    life = an_invoice(100)
    attempt = msgspec.structs.replace(life.began(100), gateway_data={"bank": "1007"})
    life.attempts[attempt.id] = attempt
    life.conclude(attempt, processing())
    assert life.attempts[attempt.id].gateway_data["bank"] == "1007"


def test_the_same_answer_again_changes_nothing():
    for fact in (processing(), failed(), succeeded(100)):
        life = an_invoice(100)
        attempt = life.start(100)
        life.conclude(attempt, fact)
        before = life.case()
        assert life.conclude(attempt, fact) is None
        assert life.case() == before


def test_an_answer_without_transactions_changes_nothing():
    life = an_invoice(100)
    assert life.conclude(life.start(100)) is None


@pytest.mark.parametrize("answer", [processing(tx="tx-2"), failed(tx="tx-2")])
def test_nothing_undoes_a_success(answer):
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, succeeded(100))
    assert life.conclude(attempt, answer) is None
    assert life.conclude(attempt, unknown=True) is None


def test_a_transaction_named_twice_in_one_answer_is_booked_once():
    life = an_invoice(100)
    life.conclude(life.start(100), succeeded(100), succeeded(100))
    assert [r.gateway_tx_id for r in life.receipts] == ["tx-1"]
    assert life.books()[GATEWAY] == 100


def test_a_second_approval_of_the_same_attempt_is_booked_too():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, succeeded(100, tx="tx-1"))
    change = life.conclude(attempt, succeeded(100, tx="tx-2"))
    assert change is not None
    assert told(change) == ["collection.overpaid"]
    assert [r.gateway_tx_id for r in life.receipts] == ["tx-1", "tx-2"]


def test_an_attempt_was_paid_when_its_first_transaction_was_approved():
    life = an_invoice(100)
    attempt = life.start(100)
    life.later(minutes=1)
    paid_at = life.now
    life.conclude(attempt, succeeded(100, tx="tx-1"))
    life.later(minutes=1)
    life.conclude(attempt, succeeded(100, tx="tx-2"))
    after = life.attempts[attempt.id]
    assert (after.paid_at, after.updated_at) == (paid_at, life.now)


# One attempt, several transactions: the payer retried inside the gateway's own page


def declined_then_retried(*, in_one_answer: bool) -> tuple[Life, UUID]:
    life = an_invoice(100)
    attempt = life.start(100)
    if in_one_answer:
        life.conclude(attempt, processing(tx="second"), failed(tx="first"))
    else:
        life.conclude(attempt, failed(tx="first"))
        life.conclude(attempt, processing(tx="second"))
    return life, attempt.id


@pytest.mark.parametrize("in_one_answer", [True, False])
def test_a_pending_transaction_keeps_the_attempt_open_although_an_earlier_one_was_declined(in_one_answer: bool):
    life, attempt_id = declined_then_retried(in_one_answer=in_one_answer)
    attempt = life.attempts[attempt_id]
    assert (attempt.state, attempt.gateway_tx_id) == (AttemptState.PROCESSING, "second")
    assert attempt.ask_at is not None
    assert life.current.open_attempts == 1


def test_a_decline_of_one_transaction_does_not_fail_an_attempt_whose_other_one_is_pending():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, processing(tx="second"))
    life.conclude(attempt, failed(tx="first"))
    after = life.attempts[attempt.id]
    assert (after.state, after.gateway_tx_id) == (AttemptState.PROCESSING, "second")
    life.conclude(attempt, failed(tx="second"))
    assert life.attempts[attempt.id].state is AttemptState.FAILED


def test_an_old_report_of_a_declined_transaction_does_not_open_the_attempt_again():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, failed(tx="first"))
    assert life.conclude(attempt, processing(tx="first")) is None


# How gateways know an attempt


def test_a_gateway_reference_is_27_letters_and_digits():
    assert gateway_reference(UUID(int=61)) == "rc" + "0" * 23 + "zx"
    assert gateway_reference(UUID(int=62)) == "rc" + "0" * 22 + "10x"
    assert len(gateway_reference(UUID(int=(1 << 128) - 1))) == 27


def test_references_sort_as_the_ids_they_stand_for():
    numbers = [0, 9, 10, 35, 36, 61, 62, 1 << 64, (1 << 128) - 1]
    texts = [base62(number) for number in numbers]
    assert sorted(texts) == texts


# What gateways take back, and what they cannot say


def test_a_success_that_is_taken_back_is_asked_about_once_more_before_it_is_believed():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, succeeded(100))
    doubt = life.conclude(attempt, failed())
    assert doubt is not None
    assert told(doubt) == ["attempt.doubted"]
    assert life.attempts[attempt.id].ask_at == life.now + DOUBTED_FOR
    assert life.books()[GATEWAY] == 100

    life.later(seconds=61)
    believed = life.conclude(attempt, failed())
    assert believed is not None
    assert [(r.amount_minor, r.reason) for r in believed.receipts] == [(-100, "gateway_reversal")]
    assert GATEWAY not in life.books()
    assert life.conclude(attempt, failed()) is None


def test_a_doubt_ends_when_the_gateway_confirms_again():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, succeeded(100))
    life.conclude(attempt, processing())
    life.later(seconds=61)
    life.conclude(attempt, succeeded(100))
    assert life.attempts[attempt.id].ask_at is None
    assert life.books()[GATEWAY] == 100


def test_a_refund_that_the_gateway_reports_is_booked_as_far_as_it_was_not():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, succeeded(100))
    for total_minor, state in (
        (30, AttemptState.SUCCEEDED),
        (30, AttemptState.SUCCEEDED),
        (100, AttemptState.REFUNDED),
    ):
        life.conclude(attempt, succeeded(100, refunded_minor=total_minor))
        assert life.attempts[attempt.id].state is state
    assert [r.amount_minor for r in life.receipts] == [100, -30, -70]
    assert life.invoice.state is InvoiceState.PAID


def test_money_in_dispute_waits_in_a_book_of_its_own_until_the_dispute_ends():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, succeeded(100))
    life.conclude(attempt, a_fact(FactState.DISPUTED, 100, "tx-1"))
    assert life.attempts[attempt.id].state is AttemptState.DISPUTED
    assert life.books() == {Books.BILLED: -100, Books.DISPUTED: 100}
    life.conclude(attempt, succeeded(100))
    assert life.books() == {Books.BILLED: -100, GATEWAY: 100}


def test_a_lost_dispute_is_money_that_went_back():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, a_fact(FactState.DISPUTED, 100, "tx-1"))
    life.conclude(attempt, succeeded(100, refunded_minor=100))
    assert life.attempts[attempt.id].state is AttemptState.REFUNDED
    assert life.books() == {Books.BILLED: -100, Books.RECEIVABLE: 100}


def test_a_gateway_that_finds_nothing_soon_may_find_it_later():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, unknown=True)
    life.later(minutes=9)
    assert life.conclude(attempt, answer=Absent()) is None
    life.later(minutes=1)
    life.conclude(attempt, answer=Absent())
    assert life.attempts[attempt.id].state is AttemptState.FAILED
    assert life.attempts[attempt.id].failure_code == "not_created"
    life.conclude(attempt, succeeded(100))
    assert life.invoice.state is InvoiceState.PAID


def test_a_page_of_the_gateway_is_abandoned_a_day_after_its_time():
    life = an_invoice(100)
    attempt = life.start(100)
    form = Form(action="https://pay.example.com/p/", fields=(("reference", attempt.reference),))
    life.conclude(attempt, answer=Reported(step=form, payable_until=life.now + timedelta(hours=1)))
    assert attempting.step_of(life.attempts[attempt.id]) == form
    assert life.attempts[attempt.id].state is AttemptState.CREATED
    life.later(hours=24)
    assert life.conclude(attempt, answer=Absent()) is None
    life.later(hours=1)
    life.conclude(attempt, answer=Absent())
    assert life.attempts[attempt.id].failure_code == "abandoned"


def test_a_decline_on_the_gateways_page_is_asked_about_while_the_payer_may_try_again():
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, answer=Reported(payable_until=life.now + timedelta(hours=1)))
    life.conclude(attempt, failed())
    assert life.attempts[attempt.id].ask_at is not None
    life.later(minutes=71)
    life.conclude(attempt, failed(tx="tx-2"))
    assert life.attempts[attempt.id].ask_at is None


@pytest.mark.parametrize(
    ("answer", "code"), [(Refused(code="x", text="t"), "x"), (NotSent(reason="r"), "gateway_unavailable")]
)
def test_what_was_never_begun_has_failed_and_can_be_tried_again(answer: Answer, code: str):
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, answer=answer)
    assert (life.attempts[attempt.id].state, life.attempts[attempt.id].failure_code) == (AttemptState.FAILED, code)
    assert life.current.open_attempts == 0


@pytest.mark.parametrize("answer", [Refused(code="x"), NotSent(reason="r")])
def test_a_call_that_failed_says_nothing_about_a_payment_that_was_seen_meanwhile(answer: Answer):
    life = an_invoice(100)
    attempt = life.start(100)
    life.conclude(attempt, processing())
    assert life.conclude(attempt, answer=answer) is None
    assert life.attempts[attempt.id].state is AttemptState.PROCESSING
