"""Changing an invoice: its collection is cancelled and the next generation is opened (OnePay spec 8.4)."""

from collections.abc import Mapping
from typing import Any

from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Case
from recaudo.domain.opening import Asking, check_partial, open_collection
from recaudo.domain.receiving import close_as_covered, settle_if_covered
from recaudo.domain.states import (
    CollectionState,
    InvoiceCommand,
    Refusal,
    RefusedError,
    allow_invoice,
)


def replace(case: Case, fields: Mapping[str, Any], moment: Moment) -> Change:
    """Change `fields` of the invoice and open a new collection for what is then still owed.

    The old link stays as a signpost. When the new amount equals what was received nothing is opened and the
    invoice is paid. Raises RefusedError for a settled invoice, one in instalments, or an amount below the received.
    """
    allow_invoice(case.invoice.state, InvoiceCommand.REPLACE)
    if len(case.live) > 1:
        raise RefusedError(Refusal.INVOICE_IN_INSTALMENTS)
    draft = Draft.of(case, moment)
    draft.set_invoice(**fields)
    amount_minor = draft.invoice.amount_minor
    assert amount_minor is not None, "only stand-alone requests have open amounts"
    if amount_minor < draft.invoice.received_minor:
        raise RefusedError(Refusal.AMOUNT_BELOW_RECEIVED)
    check_partial(draft.invoice)
    _book_difference(draft, amount_minor - (case.invoice.amount_minor or 0))
    if draft.invoice.balance_minor == 0:
        _close_without_successor(draft, case)
    else:
        _open_next_generation(draft, case)
    return draft.finish()


def _open_next_generation(draft: Draft, case: Case) -> None:
    cancel_asked(draft, case)
    collection_id = draft.moment.new_id()
    draft.set_invoice(collection_id=collection_id, generation=case.invoice.generation + 1)
    invoice = draft.invoice
    asking = Asking(amount_minor=invoice.balance_minor, due_on=invoice.due_on)
    open_collection(draft, asking, collection_id=collection_id)
    draft.event("invoice.updated")


def _close_without_successor(draft: Draft, case: Case) -> None:
    for collection in (*case.live, *case.given_up):
        close_as_covered(draft, collection.id)
    draft.event("invoice.updated")
    settle_if_covered(draft)


def _book_difference(draft: Draft, difference_minor: int) -> None:
    """The bill grew or shrank: book only the difference, so that the ledger tells the story."""
    if difference_minor >= 0:
        draft.transfer(Books.RECEIVABLE, Books.BILLED, difference_minor)
    else:
        draft.transfer(Books.BILLED, Books.RECEIVABLE, -difference_minor)


def cancel_asked(draft: Draft, case: Case) -> None:
    """Cancel every collection that asks for something, or did until it was given up; each tells so.

    Money can be registered on one that was given up, so none may be left when something else asks for its sum.
    """
    for collection in (*case.live, *case.given_up):
        draft.set_collection(collection.id, state=CollectionState.CANCELLED, closed_at=draft.moment.now)
        draft.event("collection.cancelled", collection_id=collection.id)
