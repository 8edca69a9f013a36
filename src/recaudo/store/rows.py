"""Records to rows and back. Each tuple is one row in its table's column order, as 0001_core.sql declares it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from recaudo.domain.billing import Bill, Terms
from recaudo.domain.changes import Change
from recaudo.domain.model import (
    Attempt,
    Collection,
    CreditNote,
    Customer,
    Event,
    Invoice,
    InvoiceKind,
    Receipt,
    ReceiptKind,
    Refund,
    Transfer,
)
from recaudo.domain.partial import PartialRule
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState, NoteState, RefundState
from recaudo.store.database import RawJson

Row = tuple[Any, ...]
Credits = Mapping[str, int]
"""What is owed to a customer in each currency, in minor units."""


class Record(Protocol):
    """A row as the driver gives it, or a mapping of the same names."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - as many types as columns
        """The value of a column."""
        ...


_to_plain = msgspec.structs.asdict


def invoice_row(invoice: Invoice) -> Row:
    """A row of `invoice`."""
    values = list(msgspec.structs.astuple(invoice))
    values[_PARTIAL] = None if invoice.partial is None else _to_plain(invoice.partial)
    return tuple(values)


def collection_row(collection: Collection, clock_shift: timedelta) -> Row:
    """A pending collection with a limit, or a due day that was not told, is due work at that instant, in real time."""
    values = msgspec.structs.astuple(collection)
    limits = (collection.expires_at, collection.overdue_at)
    limit = None
    if collection.state is CollectionState.PENDING:
        limit = min((at for at in limits if at is not None), default=None)
    due = (_real(limit, clock_shift), None, 0, None)
    # In the table the columns of due work stand before the newer ones.
    return (*values[:_COLLECTION_BEFORE_DUE], *due, *values[_COLLECTION_BEFORE_DUE:])


def attempt_row(attempt: Attempt, clock_shift: timedelta) -> Row:
    """An attempt whose outcome is open is due work when its gateway is to be asked again, in real time."""
    return (*msgspec.structs.astuple(attempt), _real(attempt.ask_at, clock_shift), None, 0, None)


def withholding_rows(invoice: Invoice) -> list[Row]:
    """What the payer of a new invoice withholds; the certificates come later."""
    if invoice.bill is None:
        return []
    return [
        (invoice.account_id, invoice.id, r.id, r.kind, r.amount_minor, invoice.currency, None, None, None)
        for r in invoice.bill.retentions
        if r.amount_minor > 0
    ]


def receipt_row(receipt: Receipt) -> Row:
    """A row of `receipt`."""
    return msgspec.structs.astuple(receipt)


def refund_row(refund: Refund, clock_shift: timedelta) -> Row:
    """A refund whose outcome is open is due work when its gateway is to be asked again, in real time."""
    return (*msgspec.structs.astuple(refund), _real(refund.ask_at, clock_shift), None, 0, None)


def refund_of(record: Record) -> Refund:
    """The refund in a row."""
    values = {name: record[name] for name in Refund.__struct_fields__}
    values["state"] = RefundState(values["state"])
    return Refund(**values)


def transfer_row(transfer: Transfer) -> Row:
    """A row of `transfer`."""
    return msgspec.structs.astuple(transfer)


def note_row(note: CreditNote) -> Row:
    """A row of `credit_note`."""
    return msgspec.structs.astuple(note)


def customer_row(customer: Customer) -> Row:
    """A row of `customer`."""
    return msgspec.structs.astuple(customer)


def event_row(event: Event, change: Change, credits_minor: Credits | None = None) -> Row:
    """The first event of a change carries the invoice as the change left it; its position is the table's own.

    `credits_minor` is what the customer is owed after the change; None leaves it to the statement to look that up.
    """
    snapshot = RawJson(msgspec.json.encode(snapshot_of(change, credits_minor))) if event.ordinal == 0 else None
    values = msgspec.structs.astuple(event)
    return (*values[:-1], snapshot, values[-1], None)


def snapshot_of(change: Change, credits_minor: Credits | None) -> dict[str, Any]:
    """What the event keeps, enough to tell of it in any dialect later."""
    known: dict[str, Any] = {} if credits_minor is None else {"credits_minor": credits_minor}
    return known | {
        "invoice": change.invoice,
        "collections": change.after.collections,
        "attempts": change.attempts,
        "receipts": change.after.receipts,
        "customer": change.after.customer,
    }


def invoice_of(record: Record) -> Invoice:
    """The invoice in a row."""
    values = {name: record[name] for name in _INVOICE_FIELDS}
    values["kind"] = InvoiceKind(values["kind"])
    values["state"] = InvoiceState(values["state"])
    if values["partial"] is not None:
        values["partial"] = PartialRule(**values["partial"])
    if values["bill"] is not None:
        values["bill"] = msgspec.convert(values["bill"], Bill)
    return Invoice(**values)


def collection_of(record: Record) -> Collection:
    """The collection in a row."""
    values = {name: record[name] for name in _COLLECTION_FIELDS}
    values["state"] = CollectionState(values["state"])
    if values["terms"] is not None:
        values["terms"] = msgspec.convert(values["terms"], Terms)
    return Collection(**values)


def attempt_of(record: Record) -> Attempt:
    """The attempt in a row."""
    values = {name: record[name] for name in _ATTEMPT_FIELDS}
    values["state"] = AttemptState(values["state"])
    return Attempt(**values)


def receipt_of(record: Record) -> Receipt:
    """The receipt in a row."""
    values = {name: record[name] for name in _RECEIPT_FIELDS}
    values["kind"] = ReceiptKind(values["kind"])
    return Receipt(**values)


def transfer_of(record: Record) -> Transfer:
    """The ledger row in a row."""
    return Transfer(**{name: record[name] for name in Transfer.__struct_fields__})


def note_of(record: Record) -> CreditNote:
    """The credit note in a row."""
    values = {name: record[name] for name in CreditNote.__struct_fields__}
    values["state"] = NoteState(values["state"])
    return CreditNote(**values)


def customer_of(record: Record) -> Customer:
    """The customer in a row."""
    values = {name: record[name] for name in _CUSTOMER_FIELDS}
    values["emails"] = tuple(values["emails"])
    return Customer(**values)


def _real(instant: datetime | None, clock_shift: timedelta) -> datetime | None:
    return None if instant is None else instant - clock_shift


_CUSTOMER_FIELDS = Customer.__struct_fields__
_INVOICE_FIELDS = Invoice.__struct_fields__
_COLLECTION_FIELDS = Collection.__struct_fields__
_ATTEMPT_FIELDS = Attempt.__struct_fields__
_RECEIPT_FIELDS = Receipt.__struct_fields__
_COLLECTION_BEFORE_DUE = _COLLECTION_FIELDS.index("terms")
_PARTIAL = _INVOICE_FIELDS.index("partial")
