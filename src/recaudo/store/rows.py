"""Records to rows and back. Each tuple is one row in its table's column order, as 0001_core.sql declares it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from recaudo.domain.changes import Change
from recaudo.domain.model import (
    Attempt,
    Collection,
    Customer,
    Event,
    Invoice,
    InvoiceKind,
    Receipt,
    ReceiptKind,
    Transfer,
)
from recaudo.domain.partial import PartialRule
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState
from recaudo.store.database import RawJson

Row = tuple[Any, ...]
_to_plain = msgspec.structs.asdict


def invoice_row(invoice: Invoice) -> Row:
    values = list(msgspec.structs.astuple(invoice))
    values[_PARTIAL] = None if invoice.partial is None else _to_plain(invoice.partial)
    return tuple(values)


def collection_row(collection: Collection, clock_shift: timedelta) -> Row:
    """A pending collection with a limit is due work at that limit, in real time."""
    limit = collection.expires_at if collection.state is CollectionState.PENDING else None
    return (*msgspec.structs.astuple(collection), _real(limit, clock_shift), None, 0, None)


def attempt_row(attempt: Attempt, clock_shift: timedelta) -> Row:
    """An attempt whose outcome is open is due work when its gateway is to be asked again, in real time."""
    return (*msgspec.structs.astuple(attempt), _real(attempt.ask_at, clock_shift), None, 0, None)


def receipt_row(receipt: Receipt) -> Row:
    return msgspec.structs.astuple(receipt)


def transfer_row(transfer: Transfer) -> Row:
    return msgspec.structs.astuple(transfer)


def customer_row(customer: Customer) -> Row:
    return msgspec.structs.astuple(customer)


def event_row(event: Event, change: Change) -> Row:
    """The first event of a change carries the invoice as the change left it; transaction_id is the table's own."""
    snapshot = RawJson(msgspec.json.encode(snapshot_of(change))) if event.ordinal == 0 else None
    values = msgspec.structs.astuple(event)
    return (*values[:-1], snapshot, values[-1], None)


def snapshot_of(change: Change) -> dict[str, Any]:
    """What the event keeps, enough to tell of it in any dialect later."""
    collections = {c.id: c for c in change.collections}
    collections.setdefault(change.after.current.id, change.after.current)
    return {
        "invoice": change.invoice,
        "collections": list(collections.values()),
        "attempts": change.attempts,
        "receipts": change.after.receipts,
        "customer": change.after.customer,
    }


def invoice_of(record: Mapping[str, Any]) -> Invoice:
    values = {name: record[name] for name in _INVOICE_FIELDS}
    values["kind"] = InvoiceKind(values["kind"])
    values["state"] = InvoiceState(values["state"])
    if values["partial"] is not None:
        values["partial"] = PartialRule(**values["partial"])
    return Invoice(**values)


def collection_of(record: Mapping[str, Any]) -> Collection:
    values = {name: record[name] for name in _COLLECTION_FIELDS}
    values["state"] = CollectionState(values["state"])
    return Collection(**values)


def attempt_of(record: Mapping[str, Any]) -> Attempt:
    values = {name: record[name] for name in _ATTEMPT_FIELDS}
    values["state"] = AttemptState(values["state"])
    return Attempt(**values)


def receipt_of(record: Mapping[str, Any]) -> Receipt:
    values = {name: record[name] for name in _RECEIPT_FIELDS}
    values["kind"] = ReceiptKind(values["kind"])
    return Receipt(**values)


def customer_of(record: Mapping[str, Any]) -> Customer:
    return Customer(**{name: record[name] for name in Customer.__struct_fields__})


def _real(instant: datetime | None, clock_shift: timedelta) -> datetime | None:
    return None if instant is None else instant - clock_shift


_INVOICE_FIELDS = Invoice.__struct_fields__
_COLLECTION_FIELDS = Collection.__struct_fields__
_ATTEMPT_FIELDS = Attempt.__struct_fields__
_RECEIPT_FIELDS = Receipt.__struct_fields__
_PARTIAL = _INVOICE_FIELDS.index("partial")
