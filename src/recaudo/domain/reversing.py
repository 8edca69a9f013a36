"""Money that goes back: negative receipts, and asking again for what is owed once more.

A reversal lowers what was received; it does not by itself ask for the money again (OnePay specification, section 9).
Whoever wants that calls `ask_again`: an operator who reopens an invoice, a merchant who undoes a sum that was
registered in error.
"""

from datetime import datetime

import msgspec

from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books, Draft
from recaudo.domain.model import InvoiceKind, Receipt, ReceiptKind
from recaudo.domain.opening import Asking, open_another
from recaudo.domain.receiving import receipt_number
from recaudo.domain.states import InvoiceState


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a receipt goes back, and under which number.

    `number` makes booking exactly once: no two negative receipts of one gateway have the same.
    """

    amount_minor: int
    number: str
    reason: str
    at: datetime | None = None  # None: now
    book: str | None = None  # None: out of the book that it came into


def reverse(draft: Draft, receipt: Receipt, reversal: Reversal) -> Receipt:
    """Book that money of a receipt went back. Returns the negative receipt.

    What of it had become customer credit goes back first, then what had paid the invoice. The caller has checked that
    no more goes back than arrived.
    """
    amount_minor = reversal.amount_minor
    assert 0 < amount_minor <= receipt.amount_minor, "no more goes back than arrived"
    negative = _negative(draft, receipt, reversal)
    draft.add_receipt(negative)
    excess_minor = min(amount_minor, _excess_minor(draft, receipt))
    applied_minor = min(amount_minor - excess_minor, draft.invoice.received_minor)
    credit_minor = amount_minor - applied_minor
    ids = {"collection_id": receipt.collection_id, "receipt_id": negative.id}
    came_into = Books.OUTSIDE if receipt.kind is ReceiptKind.OUTSIDE else Books.gateway(receipt.gateway)
    book = reversal.book or came_into
    draft.transfer(Books.RECEIVABLE, book, applied_minor, **ids)
    draft.transfer(Books.CREDIT, book, credit_minor, **ids)
    if draft.invoice.kind is InvoiceKind.REQUEST:
        draft.transfer(Books.BILLED, Books.RECEIVABLE, applied_minor, collection_id=receipt.collection_id)
    draft.set_invoice(received_minor=draft.invoice.received_minor - applied_minor)
    if receipt.collection_id is not None:
        collection = draft.collection(receipt.collection_id)
        draft.set_collection(
            collection.id,
            received_minor=collection.received_minor - amount_minor,
            overpaid_minor=collection.overpaid_minor - excess_minor,
            refunded_minor=collection.refunded_minor + amount_minor,
        )
    about = receipt.collection_id or draft.invoice.collection_id
    draft.event("collection.refunded", collection_id=about, refunded_minor=amount_minor)
    return negative


def ask_again(draft: Draft, amount_minor: int | None = None, *, terms: Terms | None = None) -> None:
    """Open an invoice again, with a collection due today for `amount_minor` of what it owes (Treli spec 13).

    Unless an amount is said it is all that no live collection asks for.
    """
    invoice = draft.invoice
    assert invoice.state is not InvoiceState.VOID, "a debt that was taken back is not asked for again"
    case = draft.case
    missing_minor = invoice.balance_minor - sum(c.due_minor for c in case.live)
    if amount_minor is not None:
        assert amount_minor <= missing_minor, "never ask for more than is owed"
        missing_minor = amount_minor
    if invoice.state is InvoiceState.PAID and invoice.balance_minor > 0:
        reopen(draft)
    if missing_minor <= 0:
        return
    if invoice.state is InvoiceState.UNCOLLECTIBLE:
        reopen(draft)
    today = draft.moment.today
    if invoice.due_on is not None:
        draft.set_invoice(due_on=max(invoice.due_on, today))
    asking = Asking(amount_minor=missing_minor, due_on=today, terms=terms)
    open_another(draft, asking)


def reopen(draft: Draft) -> None:
    """What was settled, given up, or lowered to nothing is owed again (Treli spec 13)."""
    draft.set_invoice(state=InvoiceState.OPEN, paid_at=None, closed_reason=None, closed_at=None)
    draft.event("invoice.reopened", collection_id=draft.invoice.collection_id)


def _excess_minor(draft: Draft, receipt: Receipt) -> int:
    """What of a collection's money is customer credit. Of a withdrawn invoice all of it is."""
    if receipt.collection_id is None:
        return 0
    return draft.collection(receipt.collection_id).overpaid_minor


def _negative(draft: Draft, receipt: Receipt, reversal: Reversal) -> Receipt:
    receipt_id = draft.moment.new_id()
    return msgspec.structs.replace(
        receipt,
        id=receipt_id,
        kind=ReceiptKind.REFUND,
        amount_minor=-reversal.amount_minor,
        gateway_tx_id=reversal.number,
        number=receipt_number(receipt_id),
        at=reversal.at or draft.moment.now,
        reverses=receipt.id,
        reason=reversal.reason,
    )
