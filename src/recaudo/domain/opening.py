"""Opening an invoice or a stand-alone request, and its first collection."""

from datetime import date, datetime
from uuid import UUID

from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Collection, Invoice, InvoiceKind
from recaudo.domain.states import CollectionState, Refusal, RefusedError


def open_invoice(invoice: Invoice, moment: Moment, *, expires_at: datetime | None = None) -> Change:
    """A new invoice and its first collection, whose id is `invoice.collection_id`.

    An invoice is billed at once; a stand-alone request is no debt, so its ledger starts with its first receipt.
    Raises RefusedError when the smallest part is above the amount.
    """
    check_partial(invoice)
    draft = Draft.new(invoice, moment)
    draft.event("invoice.created")
    if invoice.kind is InvoiceKind.INVOICE:
        assert invoice.amount_minor is not None, "an invoice owes a known amount"
        draft.transfer(Books.RECEIVABLE, Books.BILLED, invoice.amount_minor)
    open_collection(
        draft,
        collection_id=invoice.collection_id,
        amount_minor=invoice.amount_minor,
        due_on=invoice.due_on,
        expires_at=expires_at,
    )
    return draft.finish()


def open_collection(
    draft: Draft,
    *,
    collection_id: UUID,
    amount_minor: int | None,
    due_on: date | None,
    expires_at: datetime | None = None,
) -> None:
    """Open the newest collection of the draft's invoice, in its present generation."""
    invoice = draft.invoice
    draft.add_collection(
        Collection(
            account_id=invoice.account_id,
            id=collection_id,
            invoice_id=invoice.id,
            generation=invoice.generation,
            state=CollectionState.PENDING,
            currency=invoice.currency,
            amount_minor=amount_minor,
            due_on=due_on,
            expires_at=expires_at,
            created_at=draft.moment.now,
            updated_at=draft.moment.now,
        )
    )
    draft.event("collection.opened", collection_id=collection_id)


def check_partial(invoice: Invoice) -> None:
    """Raise RefusedError when the invoice's partial rule does not fit its amount."""
    if invoice.partial is None or invoice.amount_minor is None:
        return
    if invoice.partial.min_minor > invoice.amount_minor:
        raise RefusedError(Refusal.PART_MINIMUM_ABOVE_AMOUNT)
