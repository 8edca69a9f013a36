"""Our own way of telling endpoints: the feed's events, signed as Standard Webhooks asks."""

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from recaudo.dialects.recaudo import render
from recaudo.domain.delivering import Endpoint
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.model import Attempt, Collection, Event, Invoice, InvoiceKind
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState
from recaudo.edge.ecmascript import stringify
from recaudo.store.events import FailingEndpoint, Snapshot, Told
from recaudo.usecases.ports import Headers, Message

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix
SECRET_BYTES = 32
_NOBODY = UUID(int=0)


class OwnWebhooks:
    """Events in the core's words."""

    name = "recaudo"
    types: Mapping[str, str | None] = {type_: type_ for type_ in EVENT_TYPES}

    def new_secrets(self) -> tuple[str, str]:
        """A secret as Standard Webhooks writes it, and no token."""
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(), ""

    def body(self, told: Told, base_url: str) -> tuple[str, bytes]:
        """The event as the feed shows it."""
        return told.event.type, stringify(render.event(told))

    def sample(self, type_: str, base_url: str, now: datetime, *, is_test: bool, event_id: UUID) -> bytes:
        """An invented event about objects whose ids are all zeros."""
        return stringify(render.event(_invented(type_, now, is_test=is_test, event_id=event_id)))

    def headers(self, message: Message, endpoint: Endpoint, secrets: Sequence[str], now_s: int) -> Headers:
        """The headers of one try."""
        event_id = render.event_name(message.event_id)
        return (
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", "Recaudo-Webhook/1"),
            ("Recaudo-Subject-Version", str(message.subject_version)),
            ("webhook-id", event_id),
            ("webhook-timestamp", str(now_s)),
            ("webhook-signature", " ".join(_signature(s, event_id, now_s, message.body) for s in secrets)),
        )


def _invented(type_: str, now: datetime, *, is_test: bool, event_id: UUID) -> Told:
    """An event about nobody, with every member that one of its type has. States are those of something unpaid."""
    noun = type_.partition(".")[0]
    amount_minor = 5_000_000
    made: dict[str, Any] = {"account_id": _NOBODY, "id": _NOBODY, "created_at": now, "updated_at": now}
    money: dict[str, Any] = {"currency": "COP", "amount_minor": amount_minor}
    invoice = Invoice(
        version=1,
        kind=InvoiceKind.REQUEST if noun == "request" else InvoiceKind.INVOICE,
        dialect="recaudo",
        state=InvoiceState.OPEN,
        name="Example",
        reference="0000000000",
        metadata={},
        allows={"accounts": True, "cards": True, "card_extra": False, "realtime": False},
        collection_id=_NOBODY,
        wire={},
        **made,
        **money,
    )
    collection = Collection(invoice_id=_NOBODY, generation=1, state=CollectionState.PENDING, **made, **money)
    attempt = Attempt(
        invoice_id=_NOBODY,
        collection_id=_NOBODY,
        state=AttemptState.CREATED,
        gateway="sandbox",
        reference="",
        once_key="",
        gateway_data={},
        **made,
        **money,
    )
    failing = FailingEndpoint(
        id=_NOBODY, name="Example", url="https://example.com/", failing_since=now, last_error="HTTP 500"
    )
    event = Event(
        account_id=_NOBODY,
        id=event_id,
        subject_id=_NOBODY,
        version=1,
        ordinal=0,
        type=type_,
        collection_id=_NOBODY if noun in {"collection", "attempt"} else None,
        attempt_id=_NOBODY if noun == "attempt" else None,
        data={"excess_minor": amount_minor} if type_ == "collection.overpaid" else {},
        at=now,
    )
    about_endpoint = Snapshot(endpoint=failing)
    about_invoice = Snapshot(invoice=invoice, collections=(collection,), attempts=(attempt,))
    return Told(event=event, snapshot=about_endpoint if noun == "endpoint" else about_invoice, is_test=is_test)


def _signature(secret: str, event_id: str, now_s: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((event_id.encode(), str(now_s).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
