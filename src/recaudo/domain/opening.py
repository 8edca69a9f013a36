"""Opening an invoice or a stand-alone request, and its collections: one, or one for each instalment."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Collection, Customer, Invoice, InvoiceKind
from recaudo.domain.states import CollectionState, Refusal, RefusedError


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One collection to open: how much, until when, and on which terms."""

    amount_minor: int | None
    due_on: date | None
    expires_at: datetime | None = None
    terms: Terms | None = None
    collection_id: UUID | None = None  # when the caller names it in what it keeps of the plan


def open_invoice(
    invoice: Invoice,
    moment: Moment,
    *,
    expires_at: datetime | None = None,
    plan: Sequence[Asking] | None = None,
    customer: Customer | None = None,
) -> Change:
    """A new invoice and its collections: `plan`, or one for all of it, whose id is `invoice.collection_id`.

    An invoice is billed at once, what is withheld from it included; a stand-alone request is no debt, so its ledger
    starts with its first receipt. `customer` is the debtor, to be shown.
    Raises RefusedError when the smallest part is above the amount.
    """
    check_partial(invoice)
    draft = Draft.new(invoice, moment, customer)
    draft.event("invoice.created")
    if invoice.kind is InvoiceKind.INVOICE:
        _bill(draft, invoice)
    asked = plan or (Asking(amount_minor=invoice.amount_minor, due_on=invoice.due_on, expires_at=expires_at),)
    assert len(asked) == 1 or sum(a.amount_minor or 0 for a in asked) == invoice.amount_minor, "a plan adds up"
    for ordinal, asking in enumerate(asked, start=1):
        collection_id = asking.collection_id or (invoice.collection_id if ordinal == 1 else moment.new_id())
        if ordinal == 1 and collection_id != invoice.collection_id:
            draft.set_invoice(collection_id=collection_id)
        open_collection(draft, asking, collection_id=collection_id, ordinal=ordinal)
    return draft.finish()


def _bill(draft: Draft, invoice: Invoice) -> None:
    """Charge the debt. What the payer withholds is billed too, into books that are never received."""
    assert invoice.amount_minor is not None, "an invoice owes a known amount"
    draft.transfer(Books.RECEIVABLE, Books.BILLED, invoice.amount_minor)
    withhold(draft)


def withhold(draft: Draft) -> None:
    """What the payer withholds is billed, into books that are never received."""
    for retention in draft.invoice.bill.retentions if draft.invoice.bill is not None else ():
        draft.transfer(Books.withheld(retention.kind), Books.BILLED, retention.amount_minor)


def open_another(draft: Draft, asking: Asking, *, collection_id: UUID | None = None) -> None:
    """Open one collection more, after those that the invoice has."""
    ordinal = 1 + max(c.ordinal for c in draft.case.collections)
    open_collection(draft, asking, collection_id=collection_id or draft.moment.new_id(), ordinal=ordinal)


def open_collection(draft: Draft, asking: Asking, *, collection_id: UUID, ordinal: int = 1) -> None:
    """Open a collection of the draft's invoice, in its present generation.

    One whose due day is over already is told to be overdue at once.
    """
    invoice, moment = draft.invoice, draft.moment
    overdue_at = None if asking.due_on is None else moment.end_of(asking.due_on)
    is_overdue = overdue_at is not None and overdue_at <= moment.now
    draft.add_collection(
        Collection(
            account_id=invoice.account_id,
            id=collection_id,
            invoice_id=invoice.id,
            generation=invoice.generation,
            ordinal=ordinal,
            state=CollectionState.PENDING,
            currency=invoice.currency,
            amount_minor=asking.amount_minor,
            due_on=asking.due_on,
            expires_at=asking.expires_at,
            created_at=moment.now,
            updated_at=moment.now,
            terms=asking.terms,
            overdue_at=None if is_overdue else overdue_at,
        )
    )
    draft.event("collection.opened", collection_id=collection_id)
    if is_overdue:
        draft.event("collection.overdue", collection_id=collection_id)


def check_partial(invoice: Invoice) -> None:
    """Raise RefusedError when the invoice's partial rule does not fit its amount."""
    if invoice.partial is None or invoice.amount_minor is None:
        return
    if invoice.partial.min_minor > invoice.amount_minor:
        raise RefusedError(Refusal.PART_MINIMUM_ABOVE_AMOUNT)
