"""Ending things: withdrawing an invoice, settling it outside, cancelling or expiring one collection."""

from uuid import UUID

from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Case, Invoice, InvoiceKind, Receipt, ReceiptKind
from recaudo.domain.receiving import receipt_number, settle_if_covered
from recaudo.domain.replacing import cancel_asked
from recaudo.domain.states import (
    CollectionCommand,
    CollectionState,
    InvoiceCommand,
    InvoiceState,
    Refusal,
    RefusedError,
    allow_collection,
    allow_invoice,
)


def withdraw(case: Case, moment: Moment, *, reason: str) -> Change:
    """Take the debt back (OnePay spec 8.5). Parts already received become customer credit."""
    _refuse_again(case)
    allow_invoice(case.invoice.state, InvoiceCommand.WITHDRAW)
    draft = Draft.of(case, moment)
    cancel_asked(draft, case)
    received_minor = case.invoice.received_minor
    draft.set_invoice(
        state=InvoiceState.VOID, closed_reason=reason, closed_at=moment.now, received_minor=0, origin_bound=None
    )
    draft.event("invoice.withdrawn", collection_id=case.invoice.collection_id)
    draft.transfer(Books.BILLED, Books.RECEIVABLE, _billed_minor(case.invoice))
    withhold_nothing(draft)
    if received_minor:
        credit_parts(draft, case, received_minor)
    return draft.finish()


def withhold_nothing(draft: Draft) -> None:
    """Of a debt that no longer exists nothing is withheld either."""
    for retention in draft.invoice.bill.retentions if draft.invoice.bill is not None else ():
        draft.transfer(Books.BILLED, Books.withheld(retention.kind), retention.amount_minor)


def settle_outside(case: Case, moment: Moment, *, reason: str) -> Change:
    """The rest was paid where we cannot see: book an outside receipt for the balance (OnePay spec 8.5)."""
    _refuse_again(case)
    allow_invoice(case.invoice.state, InvoiceCommand.SETTLE_OUTSIDE)
    draft = Draft.of(case, moment)
    cancel_asked(draft, case)
    balance_minor = case.invoice.balance_minor
    receipt_id = moment.new_id()
    draft.add_receipt(
        Receipt(
            account_id=case.invoice.account_id,
            id=receipt_id,
            invoice_id=case.invoice.id,
            collection_id=None,
            attempt_id=None,
            kind=ReceiptKind.OUTSIDE,
            amount_minor=balance_minor,
            currency=case.invoice.currency,
            gateway="outside",
            gateway_tx_id=str(receipt_id),
            number=receipt_number(receipt_id),
            at=moment.now,
        )
    )
    draft.transfer(Books.RECEIVABLE, Books.BILLED, (case.invoice.amount_minor or 0) - _billed_minor(case.invoice))
    draft.transfer(Books.OUTSIDE, Books.RECEIVABLE, balance_minor, receipt_id=receipt_id)
    draft.set_invoice(received_minor=case.invoice.received_minor + balance_minor, closed_reason=reason)
    settle_if_covered(draft)
    return draft.finish()


def cancel_collection(case: Case, collection_id: UUID, moment: Moment) -> Change:
    """Stop asking through one collection; the invoice stays as it is (OnePay spec 10.4)."""
    allow_collection(case.collection(collection_id).state, CollectionCommand.CANCEL)
    draft = Draft.of(case, moment)
    draft.set_collection(collection_id, state=CollectionState.CANCELLED, closed_at=moment.now)
    draft.event("collection.cancelled", collection_id=collection_id)
    return draft.finish()


def expire_collection(case: Case, collection_id: UUID, moment: Moment) -> Change:
    """Its time is over: the link takes no more money, parts already received are kept (OnePay spec 9.4)."""
    collection = case.collection(collection_id)
    allow_collection(collection.state, CollectionCommand.EXPIRE)
    assert collection.expires_at is not None, "only a collection with a limit expires"
    assert collection.expires_at <= moment.now, "its time is not over yet"
    draft = Draft.of(case, moment)
    draft.set_collection(collection_id, state=CollectionState.EXPIRED, closed_at=moment.now)
    kind = "collection.part_expired" if collection.received_minor > 0 else "collection.expired"
    draft.event(kind, collection_id=collection_id)
    return draft.finish()


def tell_overdue(case: Case, collection_id: UUID, moment: Moment) -> Change:
    """Its due day is over and a balance is left: told once (Treli spec 15.3)."""
    collection = case.collection(collection_id)
    assert collection.state is CollectionState.PENDING, "only what is asked for can be overdue"
    assert collection.overdue_at is not None, "it was not told before"
    assert collection.overdue_at <= moment.now, "its due day is not over yet"
    draft = Draft.of(case, moment)
    draft.set_collection(collection_id, overdue_at=None)
    draft.event("collection.overdue", collection_id=collection_id)
    return draft.finish()


def _refuse_again(case: Case) -> None:
    """A second withdrawal finds nothing, whatever the first one's reason was."""
    if case.invoice.closed_reason is not None:
        raise RefusedError(Refusal.INVOICE_ALREADY_WITHDRAWN)


def _billed_minor(invoice: Invoice) -> int:
    """What the ledger charged so far: an invoice is billed when it opens, a request only as it is paid."""
    return invoice.received_minor if invoice.kind is InvoiceKind.REQUEST else invoice.amount_minor or 0


def credit_parts(draft: Draft, case: Case, received_minor: int, *, note_id: UUID | None = None) -> None:
    """Move money that was received, on whichever collections, to the customer's credit.

    Money that was paid elsewhere came through no collection: it is told of the one that the invoice shows.
    """
    left_minor = received_minor
    for collection in case.collections:
        part_minor = min(left_minor, collection.received_minor - collection.overpaid_minor)
        if part_minor <= 0:
            continue
        left_minor -= part_minor
        credit(draft, collection.id, part_minor, note_id=note_id)
    if left_minor:
        draft.transfer(Books.RECEIVABLE, Books.CREDIT, left_minor, note_id=note_id)
        draft.event("collection.overpaid", collection_id=case.invoice.collection_id, excess_minor=left_minor)


def credit(draft: Draft, collection_id: UUID, amount_minor: int, *, note_id: UUID | None = None) -> None:
    """Move money that was received on a collection to the customer's credit."""
    draft.transfer(Books.RECEIVABLE, Books.CREDIT, amount_minor, collection_id=collection_id, note_id=note_id)
    collection = draft.collection(collection_id)
    draft.set_collection(collection_id, overpaid_minor=collection.overpaid_minor + amount_minor)
    draft.event("collection.overpaid", collection_id=collection_id, excess_minor=amount_minor)
