"""A sum that a merchant registered in error is given back, and the same debt is asked for again.

Money of a gateway is not undone: it really arrived, and is refunded instead.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from uuid import UUID

from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Case, Collection, InvoiceKind, Receipt, ReceiptKind
from recaudo.domain.opening import Asking, open_another
from recaudo.domain.reversing import Reversal, reopen, reverse
from recaudo.domain.states import CollectionState, InvoiceState


class WhyNot(StrEnum):
    """Why a receipt cannot be undone."""

    OF_GATEWAY = "receipt_of_gateway"
    IS_REVERSAL = "receipt_is_reversal"
    REVERSED = "receipt_reversed"
    CREDIT_USED = "credit_already_used"


class NotUndoableError(Exception):
    """A receipt that cannot be undone; nothing was changed."""

    def __init__(self, why: WhyNot) -> None:
        super().__init__(why.value)
        self.why = why


def check_undoable(receipt: Receipt, reversed_ids: Iterable[UUID]) -> None:
    """Raise NotUndoableError unless the merchant registered this money and it is still booked.

    `reversed_ids` are the receipts of which something went back already.
    """
    if receipt.kind is ReceiptKind.REFUND:
        raise NotUndoableError(WhyNot.IS_REVERSAL)
    if receipt.kind is ReceiptKind.GATEWAY:
        raise NotUndoableError(WhyNot.OF_GATEWAY)
    if receipt.id in reversed_ids:
        raise NotUndoableError(WhyNot.REVERSED)


def undo(case: Case, receipts: Sequence[Receipt], moment: Moment, *, reason: str) -> Change:
    """Give receipts of one invoice back, all in full, and ask again for what they had paid.

    The caller has checked each with `check_undoable`. A collection that they had paid asks again under its own link
    when it is of the invoice's generation, its link has not ended and nothing newer asks for its money; for what is
    left over a new one is opened, due today. Of a withdrawn invoice nothing is asked for.
    """
    draft = Draft.of(case, moment)
    for receipt in receipts:
        reverse(draft, receipt, Reversal(amount_minor=receipt.amount_minor, number=str(receipt.id), reason=reason))
        if receipt.collection_id is not None:
            _take_part_back(draft, draft.collection(receipt.collection_id))
    if draft.invoice.state is not InvoiceState.VOID:
        paid_on = dict.fromkeys(r.collection_id for r in receipts if r.collection_id is not None)
        _ask_for(draft, _unasked_minor(draft.case) - _unasked_minor(case), paid_on)
    return draft.finish()


def taken_credit_minor(change: Change) -> int:
    """What of an undone sum had become customer credit and is taken from it again."""
    taken_minor = sum(t.amount_minor for t in change.transfers if t.debit == Books.CREDIT)
    return taken_minor - sum(t.amount_minor for t in change.transfers if t.credit == Books.CREDIT)


def _take_part_back(draft: Draft, collection: Collection) -> None:
    """It never was a part. The time limit that began with the first part ends with it; only an invoice has no other."""
    draft.set_collection(collection.id, parts=collection.parts - 1)
    rule, is_invoice = draft.invoice.partial, draft.invoice.kind is InvoiceKind.INVOICE
    if is_invoice and collection.parts == 1 and rule is not None and rule.window_hours is not None:
        draft.set_collection(collection.id, expires_at=None)


def _unasked_minor(case: Case) -> int:
    """What is owed and neither asked for nor given up."""
    asking = {CollectionState.PENDING, CollectionState.UNCOLLECTIBLE}
    return case.invoice.balance_minor - sum(c.due_minor for c in case.collections if c.state in asking)


def _ask_for(draft: Draft, amount_minor: int, paid_on: Iterable[UUID]) -> None:
    """Ask for so much more: by the collections that were paid, where they can, else by a new one due today."""
    if amount_minor <= 0:
        return
    if draft.invoice.state in {InvoiceState.PAID, InvoiceState.UNCOLLECTIBLE} and draft.invoice.balance_minor > 0:
        reopen(draft)
    left_minor = amount_minor
    for collection_id in paid_on:
        due_minor = draft.collection(collection_id).due_minor
        if 0 < due_minor <= left_minor and _can_ask_again(draft, collection_id):
            _revive(draft, collection_id)
            left_minor -= due_minor
    if left_minor > 0:
        open_another(draft, Asking(amount_minor=left_minor, due_on=draft.moment.today))


def _can_ask_again(draft: Draft, collection_id: UUID) -> bool:
    it = draft.collection(collection_id)
    is_over = it.expires_at is not None and it.expires_at <= draft.moment.now
    return it.state is CollectionState.PAID and it.generation == draft.invoice.generation and not is_over


def _revive(draft: Draft, collection_id: UUID) -> None:
    """It asks again under its own link, due when it was due: told to be overdue later unless that was told before."""
    it = draft.collection(collection_id)
    overdue_at = it.overdue_at
    if it.closed_at is not None and it.due_on is not None and it.closed_at < draft.moment.end_of(it.due_on):
        # It was given up, and then paid all the same, before its due day was over: that was not told.
        overdue_at = draft.moment.end_of(it.due_on)
    draft.set_collection(
        collection_id, state=CollectionState.PENDING, paid_at=None, closed_at=None, overdue_at=overdue_at
    )
    draft.event("collection.reopened", collection_id=collection_id)
