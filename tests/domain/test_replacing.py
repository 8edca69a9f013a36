"""Changing an invoice: the next generation of its collection (OnePay spec 8.4)."""

from datetime import date

import pytest

from recaudo.domain.changes import Books
from recaudo.domain.states import CollectionState, InvoiceState, Refusal
from tests.domain.builders import GATEWAY, an_invoice, booked, in_instalments, in_parts, processing, refusal_of, told


def test_it_cancels_the_current_collection_and_opens_the_next_generation():
    life = an_invoice(100)
    old = life.current
    life.replace(amount_minor=120)
    assert life.now_is(old).state is CollectionState.CANCELLED
    assert life.live == [life.current]
    assert life.current.id != old.id
    assert (life.current.generation, life.invoice.generation, life.current.amount_minor) == (2, 2, 120)


def test_it_tells_of_the_old_collection_then_the_new_one_then_the_invoice():
    life = an_invoice(100)
    old = life.current
    change = life.replace(name="Internet plan - Noviembre")
    assert told(change) == ["collection.cancelled", "collection.opened", "invoice.updated"]
    assert [e.collection_id for e in change.events] == [old.id, life.current.id, None]


def test_unchanged_values_still_make_a_new_collection():
    life = an_invoice(100)
    old = life.current
    change = life.replace()
    assert told(change) == ["collection.cancelled", "collection.opened", "invoice.updated"]
    assert life.current.id != old.id
    assert booked(change) == []


def test_a_collection_that_was_not_live_is_not_cancelled_again():
    life = an_invoice(100)
    life.cancel()
    assert told(life.replace(amount_minor=90)) == ["collection.opened", "invoice.updated"]


def test_it_keeps_the_fields_that_were_not_sent_and_the_creation():
    life = an_invoice(100, name="Plan", reference="1060500333", due_on=date(2025, 10, 31))
    before = life.invoice
    life.later(minutes=19)
    life.replace(name="Plan nuevo")
    after = life.invoice
    assert (after.name, after.updated_at) == ("Plan nuevo", life.now)
    assert (after.id, after.created_at, after.reference, after.due_on) == (
        before.id,
        before.created_at,
        before.reference,
        before.due_on,
    )


@pytest.mark.parametrize("due_on", [date(2025, 11, 30), None])
def test_the_new_collection_has_the_new_due_day_and_is_made_now(due_on: date | None):
    life = an_invoice(100, due_on=date(2025, 10, 31))
    life.later(minutes=19)
    life.replace(due_on=due_on)
    assert (life.current.due_on, life.current.created_at) == (due_on, life.now)


@pytest.mark.parametrize(
    ("amount", "row"), [(130, (Books.RECEIVABLE, Books.BILLED, 30)), (80, (Books.BILLED, Books.RECEIVABLE, 20))]
)
def test_only_the_difference_of_the_amounts_is_booked(amount: int, row: tuple[str, str, int]):
    life = an_invoice(100)
    assert booked(life.replace(amount_minor=amount)) == [row]
    assert life.books() == {Books.RECEIVABLE: amount, Books.BILLED: -amount}


def test_on_a_partly_paid_invoice_the_new_collection_asks_for_the_rest():
    life = an_invoice(100, partial=in_parts())
    old = life.current
    life.pay(30)
    change = life.replace(amount_minor=150)
    assert (life.invoice.amount_minor, life.invoice.received_minor, life.current.amount_minor) == (150, 30, 120)
    assert (life.current.received_minor, life.current.parts) == (0, 0)
    assert life.now_is(old).state is CollectionState.CANCELLED
    assert told(change) == ["collection.cancelled", "collection.opened", "invoice.updated"]
    assert life.books() == {Books.RECEIVABLE: 120, Books.BILLED: -150, GATEWAY: 30}


def test_an_expired_collection_keeps_its_parts_and_a_new_one_asks_for_the_rest():
    life = an_invoice(100, partial=in_parts(window_hours=24))
    old = life.current
    life.pay(30)
    life.later(hours=24)
    life.expire()
    assert told(life.replace()) == ["collection.opened", "invoice.updated"]
    assert (life.now_is(old).state, life.now_is(old).received_minor) == (CollectionState.EXPIRED, 30)
    assert (life.current.amount_minor, life.current.expires_at) == (70, None)


def test_an_amount_below_what_was_received_is_refused():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    assert refusal_of(lambda: life.replace(amount_minor=29)) is Refusal.AMOUNT_BELOW_RECEIVED


@pytest.mark.parametrize("part", [1, 30])
def test_to_exactly_the_received_amount_the_current_collection_is_paid_if_it_received_a_part(part: int):
    life = an_invoice(100, partial=in_parts(1))
    current = life.current
    life.pay(part)
    change = life.replace(amount_minor=part)
    assert told(change) == ["collection.paid", "invoice.updated", "invoice.paid"]
    assert life.live == []
    assert life.current.id == current.id
    assert (life.current.state, life.current.amount_minor) == (CollectionState.PAID, part)
    assert (life.current.paid_at, life.invoice.paid_at) == (life.now, life.now)
    assert life.invoice.state is InvoiceState.PAID
    assert life.books() == {Books.BILLED: -part, GATEWAY: part}


def test_to_exactly_the_received_amount_a_current_collection_without_parts_is_cancelled():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    life.replace(amount_minor=90)
    current = life.current
    change = life.replace(amount_minor=30)
    assert told(change) == ["collection.cancelled", "invoice.updated", "invoice.paid"]
    assert life.live == []
    assert life.current.id == current.id
    assert life.current.state is CollectionState.CANCELLED
    assert life.invoice.state is InvoiceState.PAID


def test_to_exactly_the_received_amount_without_a_live_collection_only_the_invoice_changes():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    life.cancel()
    assert told(life.replace(amount_minor=30)) == ["invoice.updated", "invoice.paid"]


@pytest.mark.parametrize(("smallest_part", "refusal"), [(80, None), (81, Refusal.PART_MINIMUM_ABOVE_AMOUNT)])
def test_the_stored_rule_of_parts_must_fit_the_new_amount(smallest_part: int, refusal: Refusal | None):
    life = an_invoice(100, partial=in_parts(smallest_part))
    assert refusal_of(lambda: life.replace(amount_minor=80)) is refusal


def test_the_smallest_part_is_compared_with_the_whole_amount_and_not_with_the_rest():
    life = an_invoice(100, partial=in_parts(40))
    life.pay(60)
    life.replace(amount_minor=90)
    assert life.current.amount_minor == 30


def test_a_new_rule_of_parts_is_checked_with_the_new_amount():
    life = an_invoice(100, partial=in_parts(90))
    life.replace(amount_minor=50, partial=in_parts(50))
    assert life.invoice.partial == in_parts(50)


def test_an_invoice_in_instalments_is_refused():
    life, _ = in_instalments(60, 40)
    assert refusal_of(life.replace) is Refusal.INVOICE_IN_INSTALMENTS


def test_an_invoice_with_one_instalment_left_is_changed():
    life, (first, _) = in_instalments(60, 40)
    life.pay(60, on=first)
    life.replace(amount_minor=120)
    assert life.current.amount_minor == 60


def test_a_settled_invoice_is_refused_by_its_state_before_anything_else():
    life, (first, second) = in_instalments(60, 40)
    life.pay(60, on=first)
    life.pay(40, on=second)
    assert refusal_of(lambda: life.replace(amount_minor=1)) is Refusal.INVOICE_PAID


def test_an_attempt_in_progress_on_the_old_collection_does_not_block_the_change():
    life = an_invoice(100)
    old = life.current
    life.conclude(life.start(100), processing())
    life.replace(amount_minor=120)
    assert (life.now_is(old).state, life.now_is(old).open_attempts) == (CollectionState.CANCELLED, 1)
    assert life.current.open_attempts == 0


def test_a_refused_change_leaves_everything_as_it_was():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    case = life.case()
    refusal_of(lambda: life.replace(amount_minor=10))
    assert life.case() == case
