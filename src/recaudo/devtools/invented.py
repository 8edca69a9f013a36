"""Events about an invented invoice, rendered by the dialects themselves: real bodies that nobody can mistake."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.model import Account, Collection, Event, Invoice, InvoiceKind
from recaudo.domain.states import CollectionState, InvoiceState
from recaudo.edge.ecmascript import stringify
from recaudo.store.events import Snapshot, Told
from recaudo.usecases.ports import Ids, Message, WebhookDialect

BASE_URL = "https://cobros.example.com"
AMOUNT_MINOR = 5_000_000
INVOICE_NAME = "Internet plan - Octubre"
_NOBODY = UUID(int=0)


class Inventor:
    """Makes events of one merchant's test account that does not exist. Each invoice is a new one."""

    def __init__(self, dialect: WebhookDialect, ids: Ids, now: datetime) -> None:
        self._dialect = dialect
        self._ids = ids
        self._now = now

    def invoice(self, *, name: str = INVOICE_NAME, metadata: Mapping[str, Any]) -> Invoice:
        """An invoice of 50 000 pesos, not paid yet."""
        return Invoice(
            account_id=_NOBODY,
            id=self._ids.new(self._now),
            version=1,
            kind=InvoiceKind.INVOICE,
            dialect="onepay",
            state=InvoiceState.OPEN,
            currency="COP",
            amount_minor=AMOUNT_MINOR,
            name=name,
            reference="0000000000",
            origin="recaudo-torture",
            metadata=dict(metadata),
            phone="+573991111111",
            allows={"accounts": True, "cards": True, "card_extra": False, "realtime": False},
            collection_id=self._ids.new(self._now),
            wire={},
            created_at=self._now,
            updated_at=self._now,
        )

    def created(self, invoice: Invoice) -> Message:
        """The first event of an invoice."""
        return self._message(invoice, "invoice.created", CollectionState.PENDING)

    def paid(self, invoice: Invoice) -> Message:
        """Its second version: settled with a card."""
        paid = msgspec.structs.replace(
            invoice, version=2, state=InvoiceState.PAID, received_minor=AMOUNT_MINOR, paid_at=self._now
        )
        return self._message(paid, "invoice.paid", CollectionState.PAID)

    def of_the_future(self, message: Message, type_: str) -> Message:
        """The same as an event of a type that does not exist."""
        return msgspec.structs.replace(
            message, type=type_, body=message.body.replace(f'"{message.type}"'.encode(), f'"{type_}"'.encode())
        )

    def with_more(self, message: Message) -> Message:
        """The same with members that do not exist, at the top and inside."""
        body = msgspec.json.decode(message.body, type=dict[str, Any])
        inner = next(name for name, value in body.items() if isinstance(value, dict))
        news = {"colour": "blue", "weight": None, "parts": [{"n": 1}, {"n": 2}]}
        grown = {**body, inner: {**body[inner], "news": news}, "news": news}
        return msgspec.structs.replace(message, body=stringify(grown))

    def _message(self, invoice: Invoice, core_type: str, state: CollectionState) -> Message:
        is_paid = state is CollectionState.PAID
        stamp = self._now.isoformat(timespec="microseconds")[:26] + "Z"
        card = {
            "id": str(self._ids.new(self._now)),
            "brand": "VISA",
            "label": "VISA **** 4242",
            "last_four": "4242",
            "expiration_date": "2030-12",
            "country": "CO",
            "created_at": stamp,
        }
        collection = Collection(
            account_id=_NOBODY,
            id=invoice.collection_id,
            invoice_id=invoice.id,
            generation=1,
            state=state,
            currency=invoice.currency,
            amount_minor=invoice.amount_minor,
            received_minor=invoice.received_minor,
            parts=int(is_paid),
            method=card if is_paid else None,
            created_at=invoice.created_at,
            updated_at=self._now,
            paid_at=invoice.paid_at,
        )
        event = Event(
            account_id=_NOBODY,
            id=self._ids.new(self._now),
            subject_id=invoice.id,
            version=invoice.version,
            ordinal=0,
            type=core_type,
            collection_id=collection.id,
            data={},
            at=self._now,
        )
        told = Told(
            event=event,
            snapshot=Snapshot(invoice=invoice, collections=(collection,)),
            account=Account(id=event.account_id, merchant_id=event.account_id, is_test=True),
        )
        type_, body = self._dialect.body(told, BASE_URL)
        return Message(event_id=event.id, type=type_, subject_version=invoice.version, body=body)
