"""A registered sum that was wrong is given back, and what it had paid is asked for again."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec
import pytest

from recaudo.domain import collecting
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books, Change
from recaudo.domain.collecting import Rest, Share
from recaudo.domain.model import Collection, Receipt, ReceiptKind, standing
from recaudo.domain.receiving import Arrival
from recaudo.domain.states import CollectionState, InvoiceState
from recaudo.domain.undoing import NotUndoableError, WhyNot, check_undoable, taken_credit_minor, undo
from tests.domain.builders import GATEWAY, Life, a_request, an_invoice, booked, in_instalments, in_parts, told


def outside(amount_minor: int) -> Arrival:
    return Arrival(amount_minor=amount_minor, kind=ReceiptKind.OUTSIDE, gateway="outside", method={"type": "cash"})


def register(life: Life, amount_minor: int, *, on: Collection | None = None, rest_minor: int = 0) -> Receipt:
    """Register a sum on a collection; its receipt."""
    shares = [Share((on or life.current).id, amount_minor)] if amount_minor else []
    change = life.keep(collecting.register(life.case(), shares, outside, life.moment, rest_minor=rest_minor))
    return change.receipts[-1]


def undone(life: Life, *receipts: Receipt) -> Change:
    return life.keep(undo(life.case(), receipts, life.moment, reason="error"))


def live(life: Life) -> list[tuple[UUID, int]]:
    return [(c.id, c.due_minor) for c in life.live]


def test_the_collection_that_was_paid_asks_again_under_its_own_link() -> None:
    life = an_invoice(100, due_on=date(2025, 11, 1))
    first, limit = life.current, life.current.overdue_at
    receipt = register(life, 100)
    change = undone(life, receipt)
    assert told(change) == ["collection.refunded", "invoice.reopened", "collection.reopened"]
    assert booked(change) == [(Books.RECEIVABLE, Books.OUTSIDE, 100)]
    (negative,) = change.receipts
    assert (negative.amount_minor, negative.reverses, negative.reason) == (-100, receipt.id, "error")
    now = life.now_is(first)
    assert (now.state, now.received_minor, now.refunded_minor, now.parts) == (CollectionState.PENDING, 0, 100, 0)
    assert (now.paid_at, now.due_on, now.overdue_at) == (None, first.due_on, limit)
    invoice = life.invoice
    assert (invoice.state, invoice.paid_at, invoice.received_minor) == (InvoiceState.OPEN, None, 0)
    life.pay(100)
    assert life.invoice.state is InvoiceState.PAID


def test_a_part_goes_back_to_the_collection_that_is_still_open() -> None:
    life = an_invoice(100, partial=in_parts(window_hours=24))
    receipt = register(life, 30)
    assert life.current.expires_at is not None
    change = undone(life, receipt)
    assert told(change) == ["collection.refunded"]
    assert live(life) == [(life.current.id, 100)]
    assert (life.current.parts, life.current.expires_at) == (0, None), (
        "the limit of parts began with one that never was"
    )


def test_the_limit_of_parts_stays_while_a_part_stands() -> None:
    life = an_invoice(100, partial=in_parts(window_hours=24))
    life.pay(20)
    limit = life.current.expires_at
    undone(life, register(life, 30))
    assert (life.current.parts, life.current.expires_at) == (1, limit)


def test_only_the_instalment_that_was_paid_asks_again() -> None:
    life, (first, second) = in_instalments(60, 40)
    receipt = register(life, 60, on=first)
    assert life.invoice.collection_id == second.id
    change = undone(life, receipt)
    assert told(change) == ["collection.refunded", "collection.reopened"]
    assert live(life) == [(first.id, 60), (second.id, 40)]
    assert life.invoice.collection_id == first.id


def test_receipts_of_one_sum_go_back_together() -> None:
    life, (first, second) = in_instalments(60, 40)
    shares = [Share(first.id, 60), Share(second.id, 40)]
    receipts = life.keep(collecting.register(life.case(), shares, outside, life.moment)).receipts
    undone(life, *receipts)
    assert live(life) == [(first.id, 60), (second.id, 40)]
    assert life.books()[Books.RECEIVABLE] == 100


def test_what_a_rest_asks_for_is_not_asked_for_twice() -> None:
    life = an_invoice(100)
    first = life.current
    rest = Rest(due_on=date(2025, 11, 1), terms=Terms(title="Saldo"))
    change = life.keep(collecting.register_and_ask_anew(life.case(), first.id, outside(30), rest, life.moment))
    undone(life, *change.receipts)
    assert sorted(due for _, due in live(life)) == [30, 70]
    assert life.now_is(first).state is CollectionState.PENDING


def test_a_newer_generation_gets_a_new_collection_due_today() -> None:
    life = an_invoice(100)
    first = life.current
    receipt = register(life, 40)
    life.replace(amount_minor=150)
    second = life.current
    change = undone(life, receipt)
    assert told(change) == ["collection.refunded", "collection.opened"]
    assert life.now_is(first).state is CollectionState.CANCELLED
    (new,) = [c for c in life.live if c.id != second.id]
    assert (new.amount_minor, new.due_on, new.generation) == (40, life.moment.today, 2)


def test_what_others_were_lowered_by_is_asked_for_by_a_new_one() -> None:
    """Money beyond its own amount lowered the second instalment; the first asks for its own again, no more."""
    life, (first, second) = in_instalments(60, 40)
    life.pay(60, on=first)
    receipt = register(life, 0, rest_minor=30)
    assert live(life) == [(second.id, 10)]
    undone(life, receipt)
    assert sum(due for _, due in live(life)) == 40


def test_customer_credit_is_taken_back_first() -> None:
    life = an_invoice(100)
    receipt = register(life, 100, rest_minor=50)
    assert life.books()[Books.CREDIT] == -50
    change = undone(life, receipt)
    assert taken_credit_minor(change) == 50
    assert told(change) == ["collection.refunded"]
    assert life.invoice.state is InvoiceState.PAID
    assert live(life) == []


def test_of_a_withdrawn_invoice_nothing_is_asked_for() -> None:
    life = an_invoice(100, partial=in_parts())
    receipt = register(life, 40)
    life.withdraw()
    change = undone(life, receipt)
    assert taken_credit_minor(change) == 40
    assert told(change) == ["collection.refunded"]
    assert life.books() == {}


def test_what_was_settled_outside_is_asked_for_by_a_new_collection() -> None:
    life = an_invoice(100)
    (receipt,) = life.settle_outside().receipts
    change = undone(life, receipt)
    assert told(change) == ["collection.refunded", "invoice.reopened", "collection.opened"]
    assert life.invoice.closed_reason is None
    assert [(c.amount_minor, c.due_on) for c in life.live] == [(100, life.moment.today)]


def test_no_more_is_asked_for_than_was_undone() -> None:
    """A request that the merchant had cancelled stays cancelled; only the sum itself is asked for again."""
    life = an_invoice(100)
    life.cancel()
    undone(life, register(life, 0, rest_minor=30))
    assert [due for _, due in live(life)] == [30]


def test_a_link_that_has_ended_is_not_revived() -> None:
    life = an_invoice(100, expires_at=an_invoice().now)
    receipt = register(life, 100)
    life.later(hours=1)
    undone(life, receipt)
    assert [c.expires_at for c in life.live] == [None]


def test_one_that_was_given_up_and_paid_all_the_same_asks_again() -> None:
    life = an_invoice(100, due_on=date(2025, 11, 1))
    limit = life.current.overdue_at
    life.keep(collecting.give_up(life.case(), life.current.id, life.moment))
    assert life.current.overdue_at is None
    change = undone(life, register(life, 100))
    assert told(change) == ["collection.refunded", "invoice.reopened", "collection.reopened"]
    assert (life.current.state, life.current.closed_at) == (CollectionState.PENDING, None)
    assert life.current.overdue_at == limit, "its due day is not over and was not told"


def test_a_part_of_one_that_was_given_up_leaves_it_given_up() -> None:
    life = an_invoice(100)
    life.keep(collecting.give_up(life.case(), life.current.id, life.moment))
    change = undone(life, register(life, 30))
    assert told(change) == ["collection.refunded"]
    assert (life.current.state, life.invoice.state) == (CollectionState.UNCOLLECTIBLE, InvoiceState.UNCOLLECTIBLE)


def test_a_due_day_that_was_told_is_not_told_again() -> None:
    life = an_invoice(100, due_on=date(2025, 10, 19))
    assert life.current.overdue_at is None
    undone(life, register(life, 100))
    assert (life.current.state, life.current.overdue_at) == (CollectionState.PENDING, None)


def test_a_request_is_no_longer_billed() -> None:
    life = a_request(100)
    change = undone(life, register(life, 100))
    assert told(change) == ["collection.refunded", "request.reopened", "collection.reopened"]
    assert life.books() == {}


def test_money_of_a_gateway_beside_it_stays() -> None:
    life = an_invoice(100, partial=in_parts())
    life.pay(60)
    undone(life, register(life, 40))
    assert live(life) == [(life.current.id, 40)]
    assert life.books() == {GATEWAY: 60, Books.RECEIVABLE: 40, Books.BILLED: -100}


def test_people_see_neither_what_was_undone_nor_what_undid_it() -> None:
    life = an_invoice(100, partial=in_parts())
    life.pay(20)
    wrong = register(life, 30)
    negative = undone(life, wrong).receipts[0]
    assert standing([life.receipts[0], wrong, negative]) == (life.receipts[0],)
    refund = msgspec.structs.replace(life.receipts[0], kind=ReceiptKind.REFUND, amount_minor=-20, reverses=wrong.id)
    assert standing([refund]) == (refund,), "what a gateway gave back is seen"


@pytest.mark.parametrize(
    ("kind", "reverses", "why"),
    [
        (ReceiptKind.GATEWAY, (), WhyNot.OF_GATEWAY),
        (ReceiptKind.REFUND, (), WhyNot.IS_REVERSAL),
        (ReceiptKind.OUTSIDE, ("itself",), WhyNot.REVERSED),
    ],
)
def test_what_cannot_be_undone(kind: ReceiptKind, reverses: Sequence[str], why: WhyNot) -> None:
    life = an_invoice(100)
    receipt = msgspec.structs.replace(register(life, 100), kind=kind)
    with pytest.raises(NotUndoableError) as refused:
        check_undoable(receipt, [receipt.id for _ in reverses])
    assert refused.value.why is why
