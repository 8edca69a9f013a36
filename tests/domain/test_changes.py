"""What a draft refuses to finish: the rules that no decision may break (design section 4, rules 2 and 5)."""

from collections.abc import Callable

import pytest

from recaudo.domain.changes import Books, Draft
from recaudo.domain.model import Receipt, ReceiptKind
from recaudo.domain.states import CollectionState, InvoiceState
from tests.domain.builders import GATEWAY, NOON, Life, a_request, an_invoice, in_instalments, in_parts


def a_draft(life: Life | None = None) -> Draft:
    """A draft that has told something, about an invoice of 100 of which 30 were received."""
    if life is None:
        life = an_invoice(100, partial=in_parts())
        life.pay(30)
    draft = Draft.of(life.case(), life.moment)
    draft.event("invoice.updated")
    return draft


def a_receipt(draft: Draft, amount_minor: int, kind: ReceiptKind = ReceiptKind.GATEWAY) -> Receipt:
    receipt_id = draft.moment.new_id()
    return Receipt(
        account_id=draft.invoice.account_id,
        id=receipt_id,
        invoice_id=draft.invoice.id,
        collection_id=draft.invoice.collection_id,
        attempt_id=None,
        kind=kind,
        amount_minor=amount_minor,
        currency="COP",
        gateway="sandbox",
        gateway_tx_id="tx",
        number="0000-0000-0000",
        at=NOON,
    )


def receive_silently(draft: Draft) -> None:
    draft.set_collection(draft.invoice.collection_id, received_minor=40)
    draft.set_invoice(received_minor=40)


def receive_without_booking(draft: Draft) -> None:
    draft.add_receipt(a_receipt(draft, 10))
    draft.set_collection(draft.invoice.collection_id, received_minor=40)
    draft.set_invoice(received_minor=40)


def receive_nothing(draft: Draft) -> None:
    draft.add_receipt(a_receipt(draft, 0))


def receive_a_negative_amount(draft: Draft) -> None:
    receipt = a_receipt(draft, -10)
    draft.add_receipt(receipt)
    draft.transfer(Books.RECEIVABLE, GATEWAY, 10, receipt_id=receipt.id)
    draft.set_invoice(received_minor=20)


def receive_more_than_is_owed(draft: Draft) -> None:
    receipt = a_receipt(draft, 80)
    draft.add_receipt(receipt)
    draft.transfer(GATEWAY, Books.RECEIVABLE, 80, receipt_id=receipt.id)
    draft.set_invoice(received_minor=110)


def have_received_less_than_nothing(draft: Draft) -> None:
    draft.set_invoice(received_minor=-1)


def be_paid_in_part(draft: Draft) -> None:
    draft.set_collection(draft.invoice.collection_id, state=CollectionState.CANCELLED)
    draft.set_invoice(state=InvoiceState.PAID)


def ask_although_it_is_void(draft: Draft) -> None:
    draft.set_invoice(state=InvoiceState.VOID)


def ask_for_more_than_is_owed(draft: Draft) -> None:
    draft.set_collection(draft.invoice.collection_id, amount_minor=101)


def credit_without_taking_it_off_the_invoice(draft: Draft) -> None:
    draft.transfer(Books.RECEIVABLE, Books.CREDIT, 10)


@pytest.mark.parametrize(
    ("break_a_rule", "rule"),
    [
        (receive_silently, "received is receipts less credit"),
        (receive_without_booking, "every receipt is booked in full"),
        (receive_nothing, "receipts are positive"),
        (receive_a_negative_amount, "receipts are positive"),
        (receive_more_than_is_owed, "the excess belongs to customer credit"),
        (have_received_less_than_nothing, "an invoice never received less than nothing"),
        (be_paid_in_part, "paid means received in full"),
        (ask_although_it_is_void, "a settled invoice asks for nothing"),
        (ask_for_more_than_is_owed, "never ask for more than is owed"),
        (credit_without_taking_it_off_the_invoice, "received is receipts less credit"),
    ],
)
def test_a_draft_that_breaks_a_rule_is_not_finished(break_a_rule: Callable[[Draft], None], rule: str):
    draft = a_draft()
    break_a_rule(draft)
    with pytest.raises(AssertionError, match=rule):
        draft.finish()


def test_a_silent_change_is_not_finished():
    life = an_invoice(100)
    draft = Draft.of(life.case(), life.moment)
    draft.set_invoice(name="Internet plan - Noviembre")
    with pytest.raises(AssertionError, match="no change without its event"):
        draft.finish()


def test_instalments_together_never_ask_for_more_than_is_owed():
    life, (first, _) = in_instalments(60, 40)
    draft = a_draft(life)
    draft.set_collection(first.id, amount_minor=61)
    with pytest.raises(AssertionError, match="never ask for more than is owed"):
        draft.finish()


def test_a_refund_may_be_negative():
    draft = a_draft()
    receipt = a_receipt(draft, -10, ReceiptKind.REFUND)
    draft.add_receipt(receipt)
    draft.transfer(Books.RECEIVABLE, GATEWAY, 10, receipt_id=receipt.id)
    draft.set_invoice(received_minor=20)
    assert draft.finish().receipts == (receipt,)


def test_what_is_asked_of_a_request_is_no_debt_and_not_compared_with_one():
    life = a_request(None)
    draft = Draft.of(life.case(), life.moment)
    draft.event("collection.opened")
    draft.set_collection(life.current.id, amount_minor=50)
    assert draft.finish().collections[0].amount_minor == 50


def test_the_receipts_of_a_change_add_to_those_known_before():
    life = an_invoice(100, partial=in_parts())
    before = life.pay(30).after
    change = Draft.of(before, life.moment)
    change.event("invoice.updated")
    receipt = a_receipt(change, 10)
    change.add_receipt(receipt)
    assert change.case.receipts == (*before.receipts, receipt)


def test_a_ledger_row_never_moves_a_negative_amount():
    with pytest.raises(AssertionError):
        a_draft().transfer(Books.RECEIVABLE, Books.BILLED, -1)


def test_a_ledger_row_of_nothing_is_not_written():
    draft = a_draft()
    draft.transfer(Books.RECEIVABLE, Books.BILLED, 0)
    assert draft.finish().transfers == ()


def test_a_change_raises_the_version_by_one_and_its_events_carry_it():
    life = an_invoice(100)
    life.later(minutes=1)
    draft = Draft.of(life.case(), life.moment)
    draft.event("invoice.updated")
    draft.event("invoice.paid", collection_id=life.current.id, reason="test")
    change = draft.finish()
    assert (change.invoice.version, change.invoice.updated_at) == (2, life.now)
    assert [(e.version, e.ordinal, e.type, e.collection_id, e.data, e.at) for e in change.events] == [
        (2, 0, "invoice.updated", None, {}, life.now),
        (2, 1, "invoice.paid", life.current.id, {"reason": "test"}, life.now),
    ]


def test_a_change_holds_only_the_collections_it_touched():
    life, (first, second) = in_instalments(60, 40)
    change = life.cancel(second)
    assert [c.id for c in change.collections] == [second.id]
    assert {c.id for c in change.after.collections} == {first.id, second.id}
    assert change.collections[0].updated_at == life.now
