"""What a merchant does with collections: cases that the properties leave out (Treli specification, 6.9, 9.4, 10)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from recaudo.domain import closing, collecting
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books
from recaudo.domain.collecting import Rest, Share
from recaudo.domain.model import Collection, ReceiptKind
from recaudo.domain.opening import Asking
from recaudo.domain.receiving import Arrival
from recaudo.domain.states import CollectionState, InvoiceState, Refusal
from recaudo.domain.undoing import undo
from tests.domain.builders import NOON, Life, a_request, an_invoice, refusal_of

TODAY = NOON.date()
YESTERDAY = NOON - timedelta(days=1)


def in_three() -> tuple[Life, list[Collection]]:
    """30, 30 and 40, due today, tomorrow and the day after."""
    plan = [Asking(amount_minor=a, due_on=TODAY + timedelta(days=i)) for i, a in enumerate((30, 30, 40))]
    life = an_invoice(100, plan=plan, due_on=TODAY + timedelta(days=2))
    return life, sorted(life.live, key=lambda c: c.ordinal)


def outside(amount_minor: int) -> Arrival:
    return Arrival(amount_minor=amount_minor, kind=ReceiptKind.OUTSIDE, gateway="outside")


def register(life: Life, *shares: tuple[Collection, int]) -> None:
    wanted = [Share(collection.id, amount_minor) for collection, amount_minor in shares]
    life.keep(collecting.register(life.case(), wanted, outside, life.moment))


def test_a_settled_invoice_shows_its_last_collection_in_whatever_order_it_was_paid() -> None:
    life, (first, second, third) = in_three()
    register(life, (third, 40))
    assert life.invoice.collection_id == first.id
    register(life, (first, 30))
    assert life.invoice.collection_id == second.id
    register(life, (second, 30))
    assert life.invoice.state is InvoiceState.PAID
    assert life.invoice.collection_id == third.id


def test_paid_at_once_it_shows_the_last_too() -> None:
    life, (first, second, third) = in_three()
    register(life, (first, 30), (second, 30), (third, 40))
    assert life.invoice.collection_id == third.id


def test_money_closes_what_it_covers_at_its_own_time() -> None:
    life = an_invoice(100)
    money = Arrival(amount_minor=100, kind=ReceiptKind.OUTSIDE, gateway="outside", at=YESTERDAY)
    share = Share(life.current.id, 100)
    change = collecting.register(life.case(), [share], lambda _: money, life.moment)
    assert change.invoice.paid_at == change.after.current.paid_at == YESTERDAY


def test_asking_anew_for_later_moves_the_last_due_day() -> None:
    life, (first, *_) = in_three()
    later = Rest(due_on=TODAY + timedelta(days=9), terms=Terms(title="Saldo"))
    life.keep(collecting.register_and_ask_anew(life.case(), first.id, outside(10), later, life.moment))
    assert life.invoice.due_on == later.due_on
    second = life.now_is(first)
    assert (second.state, second.amount_minor) == (CollectionState.PAID, 10)
    sooner = Rest(due_on=TODAY, terms=Terms())
    rest = next(c for c in life.live if c.due_on == later.due_on)
    life.keep(collecting.register_and_ask_anew(life.case(), rest.id, outside(5), sooner, life.moment))
    assert life.invoice.due_on == later.due_on


def test_what_a_voided_request_received_is_credit_and_no_longer_billed() -> None:
    life = a_request(100)
    first = life.current
    anew = Rest(due_on=TODAY, terms=Terms(title="Saldo"))
    life.keep(collecting.register_and_ask_anew(life.case(), first.id, outside(60), anew, life.moment))
    life.keep(undo(life.case(), [life.receipts[0]], life.moment, reason="Error"))
    register(life, (life.now_is(first), 20))
    life.keep(collecting.void_collection(life.case(), first.id, life.moment, reason="Error"))
    assert (life.invoice.state, life.invoice.amount_minor, life.invoice.received_minor) == (InvoiceState.OPEN, 40, 0)
    assert life.books() == {Books.OUTSIDE: 20, Books.CREDIT: -20}


def test_a_part_of_what_was_given_up_is_refused() -> None:
    life, (first, *_) = in_three()
    life.keep(collecting.give_up(life.case(), first.id, life.moment))
    given_up = life.now_is(first)
    assert refusal_of(lambda: collecting.check_part(given_up, 5)) is Refusal.COLLECTION_UNCOLLECTIBLE


@pytest.mark.parametrize(
    "end",
    [
        lambda life, one: register(life, (one, one.due_minor)),
        lambda life, one: life.keep(collecting.void_collection(life.case(), one.id, life.moment, reason="Error")),
        lambda life, one: life.keep(closing.cancel_collection(life.case(), one.id, life.moment)),
    ],
    ids=["paid", "voided", "cancelled"],
)
def test_an_invoice_is_uncollectible_with_the_last_that_asked_whatever_became_of_it(
    end: Callable[[Life, Collection], object],
) -> None:
    life, (first, *others) = in_three()
    life.keep(collecting.give_up(life.case(), first.id, life.moment))
    for other in others:
        assert life.invoice.state is InvoiceState.OPEN
        end(life, other)
    assert life.invoice.state is InvoiceState.UNCOLLECTIBLE
    register(life, (life.now_is(first), first.due_minor))
    assert life.now_is(first).state is CollectionState.PAID


@pytest.mark.parametrize(
    "settle",
    [
        lambda life: life.keep(closing.settle_outside(life.case(), life.moment, reason="PAID_FROM_PROVIDER")),
        lambda life: life.replace(amount_minor=30),
        lambda life: life.withdraw(),
    ],
    ids=["settled elsewhere", "changed to what was received", "withdrawn"],
)
def test_nobody_can_pay_what_was_given_up_of_an_invoice_that_is_settled(settle: Callable[[Life], object]) -> None:
    """Seed 205: cash for it became credit of somebody who owed nothing."""
    life, (first, second, third) = in_three()
    register(life, (first, 30))
    life.keep(collecting.give_up(life.case(), second.id, life.moment))
    settle(life)
    assert life.invoice.state in {InvoiceState.PAID, InvoiceState.VOID}
    assert life.now_is(second).state is life.now_is(third).state is CollectionState.CANCELLED
    case, share = life.case(about=second.id), Share(second.id, 10)
    assert refusal_of(lambda: collecting.register(case, [share], outside, life.moment)) is not None


def test_a_new_amount_asks_for_what_was_given_up_too() -> None:
    life, (first, second, third) = in_three()
    register(life, (first, 30))
    life.keep(collecting.give_up(life.case(), second.id, life.moment))
    life.replace(amount_minor=90)
    assert [c.amount_minor for c in life.live] == [60]
    assert life.now_is(second).state is life.now_is(third).state is CollectionState.CANCELLED


def test_an_invoice_of_which_nothing_given_up_is_left_is_open_again() -> None:
    life, (first, second, third) = in_three()
    register(life, (first, 30))
    life.keep(closing.cancel_collection(life.case(), third.id, life.moment))
    life.keep(collecting.give_up(life.case(), second.id, life.moment))
    assert life.invoice.state is InvoiceState.UNCOLLECTIBLE
    change = life.keep(collecting.void_collection(life.case(), second.id, life.moment, reason="Error"))
    assert (life.invoice.state, life.invoice.balance_minor) == (InvoiceState.OPEN, 40)
    assert "invoice.reopened" in {event.type for event in change.events}


def test_any_sum_decides_an_open_amount_but_none_at_all_does_not() -> None:
    life = a_request(None)
    collection = life.current
    assert refusal_of(lambda: register(life, (collection, 0))) is Refusal.AMOUNT_ABOVE_BALANCE
    register(life, (collection, 70))
    assert (life.invoice.state, life.invoice.amount_minor) == (InvoiceState.PAID, 70)
