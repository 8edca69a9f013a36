"""Credit notes: what they lower, what they credit, and what is left after one is voided (Treli spec 13)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from recaudo.domain import collecting, crediting
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books, Change, Draft
from recaudo.domain.model import CreditNote
from recaudo.domain.reversing import Reversal, reverse
from recaudo.domain.states import CollectionState, InvoiceState, NoteState, Refusal
from tests.domain.builders import (
    GATEWAY,
    NOON,
    Life,
    an_invoice,
    booked,
    in_instalments,
    in_parts,
    refusal_of,
    told,
    withheld_bill,
)

P, X, V, U = CollectionState.PENDING, CollectionState.CANCELLED, CollectionState.PAID, CollectionState.UNCOLLECTIBLE


def states(life: Life) -> list[tuple[CollectionState, int | None, int]]:
    """State, total and receipts of each collection, in the order of creation."""
    return [(c.state, c.amount_minor, c.received_minor) for c in life.collections.values()]


def sums(life: Life) -> tuple[InvoiceState, int | None, int]:
    return life.invoice.state, life.invoice.amount_minor, life.invoice.received_minor


def note_of(change: Change) -> CreditNote:
    (note,) = change.notes
    return note


# --- Issuing ---


def test_a_note_lowers_what_is_owed_first_what_is_due_first():
    life, (first, second, third) = in_instalments(30, 40, 30)
    change = life.credit(45)
    assert (note_of(change).applied_minor, note_of(change).credited_minor) == (45, 0)
    assert states(life) == [(X, 30, 0), (P, 25, 0), (P, 30, 0)]
    assert sums(life) == (InvoiceState.OPEN, 55, 0)
    assert booked(change) == [(Books.BILLED, Books.RECEIVABLE, 45)]
    assert {t.note_id for t in change.transfers} == {note_of(change).id}
    assert told(change) == ["collection.cancelled", "collection.changed", "invoice.credited"]
    assert [e.collection_id for e in change.events[:2]] == [first.id, second.id]
    assert life.invoice.collection_id == second.id
    assert life.now_is(third) == third
    assert life.books() == {Books.RECEIVABLE: 55, Books.BILLED: -55}


def test_a_collection_that_received_something_closes_as_paid_when_its_total_falls_to_that():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    change = life.credit(70)
    assert states(life) == [(V, 30, 30)]
    assert sums(life) == (InvoiceState.PAID, 30, 30)
    assert told(change) == ["collection.paid", "invoice.credited", "invoice.paid"]
    assert life.books() == {GATEWAY: 30, Books.BILLED: -30}


def test_what_exceeds_what_is_owed_becomes_credit():
    """Of 100, 30 were received: a note of 80 lowers the 70 that are owed, and 10 of the 30 are the customer's."""
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    change = life.credit(80)
    assert (note_of(change).applied_minor, note_of(change).credited_minor) == (70, 10)
    assert booked(change) == [(Books.BILLED, Books.RECEIVABLE, 80), (Books.RECEIVABLE, Books.CREDIT, 10)]
    assert sums(life) == (InvoiceState.PAID, 20, 20)
    assert life.current.overpaid_minor == 10
    assert told(change) == ["collection.paid", "collection.overpaid", "invoice.credited", "invoice.paid"]
    assert life.books() == {GATEWAY: 30, Books.BILLED: -20, Books.CREDIT: -10}


def test_a_note_on_a_paid_invoice_leaves_it_paid():
    life = an_invoice(100)
    life.pay(100)
    paid_at = life.invoice.paid_at
    life.later(days=1)
    change = life.credit(40)
    assert note_of(change).credited_minor == 40
    assert sums(life) == (InvoiceState.PAID, 60, 60)
    assert life.invoice.paid_at == paid_at
    assert told(change) == ["collection.overpaid", "invoice.credited"]


def test_a_note_over_all_of_an_unpaid_invoice_voids_it():
    life = an_invoice(100, origin_id="FV-1", origin_bound=True)
    change = life.credit()
    assert note_of(change).unbound_origin
    assert states(life) == [(X, 100, 0)]
    assert sums(life) == (InvoiceState.VOID, 0, 0)
    assert (life.invoice.closed_at, life.invoice.origin_bound) == (life.now, None)
    assert told(change) == ["collection.cancelled", "invoice.credited", "invoice.withdrawn"]
    assert life.books() == {}


def test_a_note_over_all_of_a_paid_invoice_voids_it_and_credits_what_was_received():
    life = an_invoice(100)
    life.pay(100)
    life.credit()
    assert sums(life) == (InvoiceState.VOID, 0, 0)
    assert states(life) == [(V, 100, 100)]
    assert life.books() == {GATEWAY: 100, Books.CREDIT: -100}


def test_money_that_was_paid_elsewhere_is_credited_too():
    life = an_invoice(100)
    life.settle_outside()
    change = life.credit(40)
    assert (Books.RECEIVABLE, Books.CREDIT, 40) in booked(change)
    assert life.current.overpaid_minor == 0, "it came through no collection"
    life.uncredit(note_of(change))
    assert sums(life) == (InvoiceState.PAID, 100, 100)


def test_what_is_withheld_is_neither_owed_nor_credited():
    """Of 100, 4 are withheld and 96 collected. All of the total is 100: 96 are lowered, and nobody withholds then."""
    life = an_invoice(96, bill=withheld_bill(100, 4))
    assert life.books() == {Books.RECEIVABLE: 96, Books.withheld("retefte"): 4, Books.BILLED: -100}
    change = life.credit()
    note = note_of(change)
    assert (note.amount_minor, note.applied_minor, note.credited_minor) == (100, 96, 0)
    assert sums(life) == (InvoiceState.VOID, 0, 0)
    assert life.books() == {}
    life.uncredit(note)
    assert life.books() == {Books.RECEIVABLE: 96, Books.withheld("retefte"): 4, Books.BILLED: -100}


def test_no_more_is_credited_than_was_received():
    life = an_invoice(96, bill=withheld_bill(100, 4))
    life.pay(96)
    note = note_of(life.credit())
    assert (note.amount_minor, note.applied_minor, note.credited_minor) == (100, 0, 96)
    assert life.books() == {GATEWAY: 96, Books.CREDIT: -96}


def test_what_was_given_up_is_lowered_last_and_stays_given_up():
    life, (first, second) = in_instalments(60, 40)
    life.keep(collecting.give_up(life.case(), first.id, life.moment))
    life.credit(70)
    assert states(life) == [(U, 30, 0), (X, 40, 0)]
    assert sums(life) == (InvoiceState.UNCOLLECTIBLE, 30, 0)
    assert life.now_is(second).state is X


def test_what_was_cancelled_alone_is_lowered_with_the_invoice():
    life = an_invoice(100)
    life.cancel()
    change = life.credit(30)
    assert sums(life) == (InvoiceState.OPEN, 70, 0)
    assert told(change) == ["invoice.credited"]
    life.uncredit(note_of(change))
    assert [c.amount_minor for c in life.live] == [30], "what the note lowered, and not what was cancelled"


def test_what_went_back_to_the_payer_is_lowered_without_credit():
    """A refund leaves a paid invoice paid; the note that explains it makes the books whole."""
    life = an_invoice(100)
    life.pay(100)
    give_back(life, 40)
    note = note_of(life.credit(40))
    assert (note.applied_minor, note.credited_minor) == (40, 0)
    assert sums(life) == (InvoiceState.PAID, 60, 60)
    assert life.books() == {GATEWAY: 60, Books.BILLED: -60}
    change = life.uncredit(note)
    assert sums(life) == (InvoiceState.OPEN, 100, 60)
    assert told(change) == ["invoice.credit_voided", "invoice.reopened", "collection.opened"]


def give_back(life: Life, amount_minor: int) -> Change:
    draft = Draft.of(life.case(), life.moment)
    reverse(draft, life.receipts[0], Reversal(amount_minor=amount_minor, number="back", reason="test"))
    return life.keep(draft.finish())


@pytest.mark.parametrize(
    ("before", "amount"),
    [
        (lambda _: None, 101),
        (lambda life: life.credit(40), 61),
        (lambda life: life.credit(100 - 1), 2),
    ],
)
def test_the_notes_never_exceed_the_total(before: Callable[[Life], Any], amount: int):
    life = an_invoice(100)
    before(life)
    assert refusal_of(lambda: life.credit(amount)) is Refusal.NOTES_ABOVE_TOTAL
    assert life.credit(amount - 1).notes


def test_the_total_is_before_what_is_withheld_and_whatever_was_agreed_later():
    life = an_invoice(96, bill=withheld_bill(100, 4))
    life.keep(collecting.change_total(life.case(), life.current.id, 50, Terms(), life.moment))
    assert refusal_of(lambda: life.credit(101)) is Refusal.NOTES_ABOVE_TOTAL
    note = note_of(life.credit())
    assert (note.amount_minor, note.applied_minor) == (100, 50)


def test_a_voided_note_counts_no_more():
    life = an_invoice(100)
    note = note_of(life.credit(60))
    life.uncredit(note)
    assert note_of(life.credit()).amount_minor == 100


def test_a_withdrawn_invoice_has_no_notes():
    life = an_invoice(100)
    life.withdraw()
    assert refusal_of(life.credit) is Refusal.INVOICE_VOID
    gone = an_invoice(100)
    gone.credit()
    assert refusal_of(gone.credit) is Refusal.INVOICE_VOID
    assert refusal_of(gone.withdraw) is Refusal.INVOICE_ALREADY_WITHDRAWN


# --- Voiding ---


def test_what_was_lowered_is_asked_for_again_today():
    life, _ = in_instalments(60, 40)
    note = note_of(life.credit(70))
    life.later(days=2)
    change = life.uncredit(note, reason="error")
    voided = note_of(change)
    assert (voided.state, voided.closed_reason, voided.closed_at) == (NoteState.VOID, "error", life.now)
    assert states(life) == [(X, 60, 0), (P, 30, 0), (P, 70, 0)]
    new = list(life.collections.values())[-1]
    assert (new.due_on, new.ordinal, new.terms) == (life.moment.today, 3, Terms(title="again", base_minor=70))
    assert sums(life) == (InvoiceState.OPEN, 100, 0)
    assert told(change) == ["invoice.credit_voided", "collection.opened"]
    assert life.invoice.collection_id == new.id, "it is due first"
    assert booked(change) == [(Books.RECEIVABLE, Books.BILLED, 70)]


@pytest.mark.parametrize(("due_in", "due_after"), [(None, None), (0, 2), (9, 9)])
def test_the_last_due_day_of_the_invoice_is_never_before_today(due_in: int | None, due_after: int | None):
    today = NOON.date()
    life = an_invoice(100, due_on=None if due_in is None else today + timedelta(days=due_in))
    note = note_of(life.credit(10))
    life.later(days=2)
    life.uncredit(note)
    assert life.invoice.due_on == (None if due_after is None else today + timedelta(days=due_after))


def test_a_paid_invoice_opens_again():
    life = an_invoice(100, partial=in_parts())
    life.pay(30)
    note = note_of(life.credit(80))
    change = life.uncredit(note)
    assert sums(life) == (InvoiceState.OPEN, 100, 30)
    assert life.invoice.paid_at is None
    assert [(c.amount_minor, c.state) for c in life.collections.values()] == [(30, V), (70, P)]
    assert next(iter(life.collections.values())).overpaid_minor == 0
    assert told(change) == ["invoice.credit_voided", "invoice.reopened", "collection.opened"]
    assert life.books() == {GATEWAY: 30, Books.RECEIVABLE: 70, Books.BILLED: -100}


def test_an_invoice_of_which_notes_left_nothing_opens_again_with_its_number():
    life = an_invoice(100, origin_id="FV-1", origin_bound=True)
    note = note_of(life.credit())
    change = life.uncredit(note)
    assert sums(life) == (InvoiceState.OPEN, 100, 0)
    assert (life.invoice.origin_bound, life.invoice.closed_at) == (True, None)
    assert told(change) == ["invoice.credit_voided", "invoice.reopened", "collection.opened"]
    free = an_invoice(100, origin_id="FV-1")
    free.uncredit(note_of(free.credit()))
    assert free.invoice.origin_bound is None


def test_a_paid_invoice_of_which_notes_left_nothing_is_paid_again():
    life = an_invoice(100)
    life.pay(100)
    paid_at = life.invoice.paid_at
    life.later(days=1)
    change = life.uncredit(note_of(life.credit()))
    assert sums(life) == (InvoiceState.PAID, 100, 100)
    assert (life.invoice.paid_at, life.invoice.closed_at) == (paid_at, None)
    assert told(change) == ["invoice.credit_voided", "invoice.paid"]


def test_notes_are_voided_in_any_order():
    """Of 100, 40 were received. The first note lowers 60, the second credits the 40 that are left."""
    life = an_invoice(100, partial=in_parts())
    life.pay(40)
    first, second = note_of(life.credit(60)), note_of(life.credit(40))
    assert sums(life) == (InvoiceState.VOID, 0, 0)
    life.uncredit(first)
    assert sums(life) == (InvoiceState.OPEN, 60, 0)
    life.uncredit(second)
    assert sums(life) == (InvoiceState.OPEN, 100, 40)
    assert life.books() == {GATEWAY: 40, Books.RECEIVABLE: 60, Books.BILLED: -100}


def test_an_invoice_that_was_given_up_is_open_again_when_something_is_asked():
    life, (first, second) = in_instalments(60, 40)
    note = note_of(life.credit(10))
    for collection in (first, second):
        life.keep(collecting.give_up(life.case(), collection.id, life.moment))
    assert life.invoice.state is InvoiceState.UNCOLLECTIBLE
    life.uncredit(note)
    assert sums(life) == (InvoiceState.OPEN, 100, 0)
    assert [c.amount_minor for c in life.live] == [10]


def test_a_note_is_voided_once():
    life = an_invoice(100)
    note = note_of(life.credit(10))
    life.uncredit(note)
    assert refusal_of(lambda: life.uncredit(note)) is Refusal.NOTE_VOID


def test_a_note_of_a_withdrawn_invoice_stays():
    life = an_invoice(100)
    note = note_of(life.credit(10))
    life.withdraw()
    assert refusal_of(lambda: life.uncredit(note)) is Refusal.INVOICE_VOID
    assert life.books() == {}


def test_credit_that_went_back_to_the_payer_was_used():
    life = an_invoice(100)
    life.pay(100)
    note = note_of(life.credit(40))
    give_back(life, 1)
    assert refusal_of(lambda: life.uncredit(note)) is Refusal.CREDIT_USED


def test_credit_that_went_elsewhere_was_used():
    life = an_invoice(100)
    life.pay(100)
    note = note_of(life.credit(40))
    assert refusal_of(lambda: life.uncredit(note, credit_minor=39)) is Refusal.CREDIT_USED


def test_credit_of_a_superseded_collection_whose_money_all_went_back_was_used():
    """Nothing is left on that collection, so the case does not even have it; credit from elsewhere is no substitute."""
    life = an_invoice(100)
    old = life.current
    life.replace(amount_minor=80)
    life.pay(30, on=old)
    note = note_of(life.credit())
    assert (note.applied_minor, note.credited_minor) == (50, 30)
    give_back(life, 30)
    assert old.id not in {c.id for c in life.case().collections}
    assert refusal_of(lambda: life.uncredit(note, credit_minor=1000)) is Refusal.CREDIT_USED


def test_the_credit_goes_back_to_whom_it_came_from():
    """The invoice's customer may have changed since: the ledger takes nothing from the new one."""
    life = an_invoice(100)
    life.pay(100)
    note = note_of(life.credit(40))
    was = life.invoice.customer_id
    case = life.case()
    moved = msgspec.structs.replace(case, invoice=msgspec.structs.replace(case.invoice, customer_id=UUID(int=9)))
    change = crediting.void(moved, life.issued(note), life.moment, reason=None, terms=lambda _: Terms())
    assert {t.customer_id for t in change.transfers} == {was}
