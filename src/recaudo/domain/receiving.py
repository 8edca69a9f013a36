"""Money that arrived: booking it on the invoice, whatever the state of the collection it came through.

Nothing that arrives is refused or dropped. Up to the balance it lowers what is owed; the rest becomes customer
credit (OnePay spec 8.4, "money that lands late"; gateways spec 1.8).
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.changes import Books, Draft
from recaudo.domain.model import Collection, InvoiceKind, Receipt, ReceiptKind
from recaudo.domain.states import CollectionState, InvoiceState

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def receipt_number(receipt_id: UUID) -> str:
    """A number that people can read out: twelve letters and digits of the receipt's id, in three groups.

    The random tail of the id makes it unguessable; letters that look like digits are left out.
    """
    tail = receipt_id.int & ((1 << 60) - 1)
    text = "".join(_ALPHABET[(tail >> (5 * i)) & 31] for i in reversed(range(12)))
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Money that arrived: who says so, and under which number of theirs. `gateway_tx_id` None: ours is used."""

    amount_minor: int
    kind: ReceiptKind = ReceiptKind.GATEWAY
    gateway: str
    gateway_tx_id: str | None = None
    attempt_id: UUID | None = None
    method: dict[str, Any] | None = None
    at: datetime | None = None  # None: now
    reference: str | None = None
    allocation_id: UUID | None = None

    @property
    def book(self) -> str:
        """Where the money is now."""
        return Books.OUTSIDE if self.kind is ReceiptKind.OUTSIDE else Books.gateway(self.gateway)


def receive(draft: Draft, arrival: Arrival, *, collection_id: UUID) -> Receipt:
    """Book money that arrived on a collection and tell what it changed. Returns its receipt."""
    amount_minor = arrival.amount_minor
    assert amount_minor > 0, "money that goes back is a refund"
    _fix_open_amount(draft, collection_id, amount_minor)
    applied_minor = min(amount_minor, _takes_minor(draft))
    excess_minor = amount_minor - applied_minor
    receipt = _receipt(draft, collection_id, arrival)
    draft.add_receipt(receipt)
    _book(draft, receipt, arrival.book, applied_minor=applied_minor, excess_minor=excess_minor)
    draft.set_invoice(received_minor=draft.invoice.received_minor + applied_minor)
    was_settled = draft.invoice.state in {InvoiceState.PAID, InvoiceState.VOID}
    _apply_to_collection(draft, collection_id, receipt, excess_minor=excess_minor)
    if not was_settled:
        _lower_other_collections(draft, received_on=collection_id)
        if not settle_if_covered(draft, at=receipt.at):
            draft.event("invoice.part_received", collection_id=collection_id)
    elif applied_minor:
        # It was paid, some of it went back, and now there is money for it again.
        draft.event("invoice.part_received", collection_id=collection_id)
    if excess_minor:
        draft.event("collection.overpaid", collection_id=collection_id, excess_minor=excess_minor)
    return receipt


def settle_if_covered(draft: Draft, *, at: datetime | None = None) -> bool:
    """Mark the invoice paid when receipts cover it, `at` the time of the last one; says whether they do."""
    if draft.invoice.amount_minor is None or draft.invoice.balance_minor > 0:
        return False
    draft.set_invoice(state=InvoiceState.PAID, paid_at=at or draft.moment.now)
    draft.event("invoice.paid", collection_id=draft.invoice.collection_id)
    return True


def close_as_covered(draft: Draft, collection_id: UUID) -> None:
    """Close a live collection that has nothing left to ask for: paid if it received a part, else cancelled."""
    collection = draft.collection(collection_id)
    if collection.received_minor > 0:
        draft.set_collection(
            collection_id, state=CollectionState.PAID, paid_at=draft.moment.now, amount_minor=collection.received_minor
        )
        draft.event("collection.paid", collection_id=collection_id)
    else:
        draft.set_collection(collection_id, state=CollectionState.CANCELLED, closed_at=draft.moment.now)
        draft.event("collection.cancelled", collection_id=collection_id)


def _fix_open_amount(draft: Draft, collection_id: UUID, amount_minor: int) -> None:
    """The first payment of an open amount decides what was asked for."""
    if draft.invoice.amount_minor is None:
        draft.set_invoice(amount_minor=amount_minor)
        draft.set_collection(collection_id, amount_minor=amount_minor)


def _takes_minor(draft: Draft) -> int:
    """How much the invoice can still take; what is beyond belongs to the customer.

    A paid invoice of which money went back takes as much again, though it asks for nothing.
    """
    return 0 if draft.invoice.state is InvoiceState.VOID else draft.invoice.balance_minor


def _receipt(draft: Draft, collection_id: UUID, arrival: Arrival) -> Receipt:
    receipt_id = draft.moment.new_id()
    return Receipt(
        account_id=draft.invoice.account_id,
        id=receipt_id,
        invoice_id=draft.invoice.id,
        collection_id=collection_id,
        attempt_id=arrival.attempt_id,
        kind=arrival.kind,
        amount_minor=arrival.amount_minor,
        currency=draft.invoice.currency,
        gateway=arrival.gateway,
        gateway_tx_id=arrival.gateway_tx_id or str(receipt_id),
        number=receipt_number(receipt_id),
        method=arrival.method,
        at=arrival.at or draft.moment.now,
        reference=arrival.reference,
        allocation_id=arrival.allocation_id,
    )


def _book(draft: Draft, receipt: Receipt, source: str, *, applied_minor: int, excess_minor: int) -> None:
    ids = {"collection_id": receipt.collection_id, "receipt_id": receipt.id}
    if draft.invoice.kind is InvoiceKind.REQUEST:
        # A request is billed when it is paid, and only for what was paid.
        draft.transfer(Books.RECEIVABLE, Books.BILLED, applied_minor, collection_id=receipt.collection_id)
    draft.transfer(source, Books.RECEIVABLE, applied_minor, **ids)
    draft.transfer(source, Books.CREDIT, excess_minor, **ids)


def _apply_to_collection(draft: Draft, collection_id: UUID, receipt: Receipt, *, excess_minor: int) -> None:
    was = draft.collection(collection_id)
    changed = draft.set_collection(
        collection_id,
        received_minor=was.received_minor + receipt.amount_minor,
        overpaid_minor=was.overpaid_minor + excess_minor,
        parts=was.parts + 1,
        # What the merchant received elsewhere is no method of a gateway.
        method=(receipt.method if receipt.kind is ReceiptKind.GATEWAY else None) or was.method,
    )
    covered = changed.amount_minor is not None and changed.received_minor >= changed.amount_minor
    if was.state is CollectionState.PAID:
        return
    if covered:
        draft.set_collection(collection_id, state=CollectionState.PAID, paid_at=receipt.at)
        draft.event("collection.paid", collection_id=collection_id)
    elif was.state is CollectionState.PENDING:
        draft.event("collection.part_received", collection_id=collection_id)
        _start_part_window(draft, was)


def _start_part_window(draft: Draft, was: Collection) -> None:
    """The time limit of paying in parts counts from the first part (OnePay spec 9.1)."""
    rule = draft.invoice.partial
    if was.parts > 0 or rule is None or rule.window_hours is None:
        return
    limit = draft.moment.now + timedelta(hours=rule.window_hours)
    draft.set_collection(was.id, expires_at=limit if was.expires_at is None else min(limit, was.expires_at))


def _lower_other_collections(draft: Draft, *, received_on: UUID) -> None:
    """Together the collections never ask for more than is owed: lower the others, first due first, given-up last."""
    case = draft.case
    asked = [*case.live, *case.given_up]
    surplus_minor = sum(c.due_minor for c in asked) - draft.invoice.balance_minor
    for collection in asked:
        if surplus_minor <= 0:
            return
        if collection.id == received_on or collection.amount_minor is None:
            continue
        less_minor = min(surplus_minor, collection.due_minor)
        surplus_minor -= less_minor
        if less_minor == collection.due_minor:
            close_as_covered(draft, collection.id)
        else:
            draft.set_collection(collection.id, amount_minor=collection.amount_minor - less_minor)
