"""Credit notes: the merchant takes a sum off an invoice, and may void the note again (Treli specification, section 13).

A note first lowers what is still owed. What exceeds that is taken of the money that was received, which becomes the
customer's credit. Either way less is billed. What exceeds both moves nothing: nobody owes it and nobody paid it, since
it was withheld as a tax, or taken off by a discount before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from recaudo.domain.allocating import allocate
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.closing import credit_parts, withhold_nothing
from recaudo.domain.collecting import debts_of
from recaudo.domain.model import Case, Collection, CreditNote, Invoice, InvoiceKind, Transfer
from recaudo.domain.opening import withhold
from recaudo.domain.receiving import close_as_covered, settle_if_covered
from recaudo.domain.reversing import ask_again, reopen
from recaudo.domain.states import InvoiceCommand, InvoiceState, NoteState, Refusal, RefusedError, allow_invoice


class NewNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note that the merchant asks for. `amount_minor` None: all that is left of the invoice's total."""

    amount_minor: int | None
    reason: str
    number: str | None = None
    metadata: dict[str, Any] = {}


def issue(case: Case, asked: NewNote, notes: Sequence[CreditNote], moment: Moment) -> Change:
    """Take a sum off an invoice; `notes` are all that it has. The change's one note is the new one.

    Raises RefusedError on a withdrawn invoice, and when the notes together would exceed its total.
    """
    invoice = case.invoice
    assert invoice.kind is InvoiceKind.INVOICE, "what stands alone is no debt that a note could lower"
    allow_invoice(invoice.state, InvoiceCommand.CREDIT)
    left_minor = _left_minor(invoice, notes)
    amount_minor = left_minor if asked.amount_minor is None else asked.amount_minor
    if not 0 < amount_minor <= left_minor:
        raise RefusedError(Refusal.NOTES_ABOVE_TOTAL)
    applied_minor = min(amount_minor, invoice.balance_minor)
    note = CreditNote(
        account_id=invoice.account_id,
        id=moment.new_id(),
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        number=asked.number,
        state=NoteState.ISSUED,
        amount_minor=amount_minor,
        applied_minor=applied_minor,
        credited_minor=min(amount_minor - applied_minor, invoice.received_minor),
        currency=invoice.currency,
        reason=asked.reason,
        metadata=asked.metadata,
        created_at=moment.now,
        updated_at=moment.now,
    )
    draft = Draft.of(case, moment)
    _lower_collections(draft, applied_minor)
    _take_off(draft, note)
    unbound = _close_if_nothing_is_owed(draft)
    draft.add_note(msgspec.structs.replace(note, unbound_origin=unbound))
    return draft.finish()


def _left_minor(invoice: Invoice, notes: Sequence[CreditNote]) -> int:
    """What is left of the total, taxes included and before anything is withheld.

    Of an invoice without a bill the total is what it asks for, and what issued notes took off that.
    """
    issued = [note for note in notes if note.state is NoteState.ISSUED]
    if invoice.bill is None:
        total_minor = (invoice.amount_minor or 0) + sum(note.lowered_minor for note in issued)
    else:
        total_minor = invoice.bill.total_minor
    return total_minor - sum(note.amount_minor for note in issued)


def _lower_collections(draft: Draft, applied_minor: int) -> None:
    """Ask for so much less, oldest due first.

    What no collection asks for, because it was cancelled alone, is lowered with the invoice.
    """
    if applied_minor == 0:
        return
    for share in allocate(applied_minor, debts_of(draft.case)).shares:
        if share.left_minor == 0:
            close_as_covered(draft, share.id)
            continue
        amount_minor = draft.collection(share.id).amount_minor or 0
        draft.set_collection(share.id, amount_minor=amount_minor - share.amount_minor)
        draft.event("collection.changed", collection_id=share.id)


def _take_off(draft: Draft, note: CreditNote) -> None:
    """Bill so much less; what was received of it is owed to the customer."""
    invoice = draft.invoice
    draft.set_invoice(
        amount_minor=(invoice.amount_minor or 0) - note.lowered_minor,
        received_minor=invoice.received_minor - note.credited_minor,
    )
    draft.transfer(Books.BILLED, Books.RECEIVABLE, note.lowered_minor, note_id=note.id)
    credit_parts(draft, draft.case, note.credited_minor, note_id=note.id)
    draft.event("invoice.credited", credit_note_id=str(note.id), lowered_minor=note.lowered_minor)


def _close_if_nothing_is_owed(draft: Draft) -> bool:
    """Paid if money of it was received and kept, else void; says whether that freed the invoice's origin."""
    invoice = draft.invoice
    if invoice.balance_minor > 0:
        return False
    if invoice.received_minor > 0:
        if invoice.state is not InvoiceState.PAID:
            settle_if_covered(draft)
        return False
    draft.set_invoice(state=InvoiceState.VOID, closed_at=draft.moment.now, origin_bound=None)
    withhold_nothing(draft)
    draft.event("invoice.withdrawn", collection_id=invoice.collection_id)
    return invoice.origin_bound is True


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known to void a note."""

    note: CreditNote
    notes: Sequence[CreditNote]  # all of the invoice
    booked: Sequence[Transfer]  # the note's ledger rows
    credit_minor: int  # what is owed to its customer now, in its currency


def void(case: Case, issued: Issued, moment: Moment, *, reason: str | None, terms: Callable[[int], Terms]) -> Change:
    """Take a note back: what it lowered is owed again, what it credited is the invoice's again.

    `terms` makes the terms of the collection, due today, that asks for a sum in minor units. Raises RefusedError when
    the note is void already, when its invoice was withdrawn, and when its credit was used.
    """
    note = issued.note
    if note.state is NoteState.VOID:
        raise RefusedError(Refusal.NOTE_VOID)
    if _is_withdrawn(case.invoice):
        raise RefusedError(Refusal.INVOICE_VOID)
    if note.credited_minor > issued.credit_minor:
        raise RefusedError(Refusal.CREDIT_USED)
    draft = Draft.of(case, moment)
    for row in issued.booked:
        draft.transfer_back(row)
        if row.credit == Books.CREDIT and row.collection_id is not None:
            _take_back(draft, case.collections, row)
    draft.set_invoice(
        amount_minor=(case.invoice.amount_minor or 0) + note.lowered_minor,
        received_minor=case.invoice.received_minor + note.credited_minor,
    )
    draft.event("invoice.credit_voided", credit_note_id=str(note.id), lowered_minor=note.lowered_minor)
    if case.invoice.state is InvoiceState.VOID:
        _owe_again(draft, issued.notes)
    if note.applied_minor:
        ask_again(draft, note.applied_minor, terms=terms(note.applied_minor))
    draft.add_note(
        msgspec.structs.replace(
            note, state=NoteState.VOID, closed_reason=reason, closed_at=moment.now, updated_at=moment.now
        )
    )
    return draft.finish()


def _take_back(draft: Draft, collections: Sequence[Collection], row: Transfer) -> None:
    """Money of a collection is no longer the customer's credit, unless it was used: given back, for one."""
    collection = next((c for c in collections if c.id == row.collection_id), None)
    if collection is None or collection.overpaid_minor < row.amount_minor:
        raise RefusedError(Refusal.CREDIT_USED)
    was = draft.collection(collection.id)
    draft.set_collection(was.id, overpaid_minor=was.overpaid_minor - row.amount_minor)


def _is_withdrawn(invoice: Invoice) -> bool:
    """Whether the merchant took the debt back. One of which notes left nothing asks for 0, and may come again."""
    return invoice.state is InvoiceState.VOID and invoice.amount_minor != 0


def _owe_again(draft: Draft, notes: Sequence[CreditNote]) -> None:
    """There is something left of the invoice after all: it is billed, and has its number, as it had before."""
    draft.set_invoice(origin_bound=any(note.unbound_origin for note in notes) or None)
    withhold(draft)
    if draft.invoice.balance_minor > 0:
        reopen(draft)
    else:
        draft.set_invoice(closed_at=None)
        settle_if_covered(draft, at=draft.invoice.paid_at)
