"""Invented events to try an endpoint with: about nobody, whose ids are all zeros."""

from datetime import datetime
from typing import Any
from uuid import UUID

from recaudo.domain.model import Account, Attempt, Collection, Event, Invoice, InvoiceKind
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState
from recaudo.store.events import FailingEndpoint, Snapshot, Told

NOBODY = UUID(int=0)
AMOUNT_MINOR = 5_000_000

_INVOICES = {
    "collection.paid": InvoiceState.PAID,
    "collection.overpaid": InvoiceState.PAID,
    "invoice.paid": InvoiceState.PAID,
    "request.paid": InvoiceState.PAID,
    "invoice.withdrawn": InvoiceState.VOID,
    "request.withdrawn": InvoiceState.VOID,
}
_COLLECTIONS = {
    "collection.paid": CollectionState.PAID,
    "collection.overpaid": CollectionState.PAID,
    "invoice.paid": CollectionState.PAID,
    "request.paid": CollectionState.PAID,
    "collection.cancelled": CollectionState.CANCELLED,
    "invoice.withdrawn": CollectionState.CANCELLED,
    "request.withdrawn": CollectionState.CANCELLED,
    "collection.expired": CollectionState.EXPIRED,
    "collection.part_expired": CollectionState.EXPIRED,
}
_ATTEMPTS = {f"attempt.{state}": state for state in AttemptState}


def invented(type_: str, now: datetime, *, is_test: bool, event_id: UUID) -> Told:
    """An event of a core type, with everything that one has: 50 000 pesos in the state that the type tells of."""
    noun = type_.partition(".")[0]
    event = Event(
        account_id=NOBODY,
        id=event_id,
        subject_id=NOBODY,
        version=1,
        ordinal=0,
        type=type_,
        collection_id=NOBODY if noun in {"collection", "attempt"} else None,
        attempt_id=NOBODY if noun == "attempt" else None,
        data={"excess_minor": AMOUNT_MINOR // 5} if type_ == "collection.overpaid" else {},
        at=now,
    )
    account = Account(id=NOBODY, merchant_id=NOBODY, is_test=is_test)
    return Told(event=event, snapshot=_endpoint(now) if noun == "endpoint" else _invoice(type_, now), account=account)


def _endpoint(now: datetime) -> Snapshot:
    return Snapshot(
        endpoint=FailingEndpoint(
            id=NOBODY, name="Ejemplo", url="https://example.com/", failing_since=now, last_error="HTTP 500"
        )
    )


def _invoice(type_: str, now: datetime) -> Snapshot:
    state = _INVOICES.get(type_, InvoiceState.OPEN)
    made: dict[str, Any] = {"account_id": NOBODY, "id": NOBODY, "created_at": now, "updated_at": now}
    money: dict[str, Any] = {"currency": "COP", "amount_minor": AMOUNT_MINOR}
    paid_at = now if state is InvoiceState.PAID else None
    received_minor = AMOUNT_MINOR if paid_at else AMOUNT_MINOR // 2 if "part" in type_ else 0
    invoice = Invoice(
        version=1,
        kind=InvoiceKind.REQUEST if type_.startswith("request.") else InvoiceKind.INVOICE,
        dialect="recaudo",
        state=state,
        received_minor=received_minor,
        name="Factura de ejemplo",
        reference="0000000000",
        origin="recaudo",
        metadata={},
        allows={"accounts": True, "cards": True, "card_extra": False, "realtime": False},
        collection_id=NOBODY,
        wire={},
        paid_at=paid_at,
        **made,
        **money,
    )
    collection = Collection(
        invoice_id=NOBODY,
        generation=1,
        state=_COLLECTIONS.get(type_, CollectionState.PENDING),
        received_minor=received_minor,
        overpaid_minor=AMOUNT_MINOR // 5 if type_ == "collection.overpaid" else 0,
        paid_at=paid_at,
        **made,
        **money,
    )
    failed = type_ == "attempt.failed"
    attempt = Attempt(
        invoice_id=NOBODY,
        collection_id=NOBODY,
        state=_ATTEMPTS.get(type_, AttemptState.CREATED),
        gateway="sandbox",
        reference="",
        once_key="",
        gateway_data={},
        failure_code="INSUFFICIENT_FUNDS" if failed else None,
        failure_text="Fondos insuficientes." if failed else None,
        **made,
        **money,
    )
    return Snapshot(invoice=invoice, collections=(collection,), attempts=(attempt,))
