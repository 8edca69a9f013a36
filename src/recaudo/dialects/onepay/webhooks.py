"""How OnePay's endpoints are told what happened: types, bodies and signatures (specification, sections 13 and 14)."""

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from recaudo.dialects.onepay import render
from recaudo.domain.delivering import Endpoint
from recaudo.edge.ecmascript import as_javascript_keeps
from recaudo.store.events import Snapshot, Told
from recaudo.store.samples import NOBODY, invented
from recaudo.store.views import CollectionView
from recaudo.usecases.ports import Headers, Message

TYPES: Mapping[str, str | None] = {
    "payment.created": "collection.opened",
    "payment.approved": "collection.paid",
    "payment.rejected": "attempt.failed",
    "payment.deleted": "collection.cancelled",
    "payment.expired": "collection.expired",
    "payment.partially_paid": "collection.part_received",
    "payment.partial_expired": "collection.part_expired",
    "payment.overpaid": "collection.overpaid",
    "payment.refunded": "collection.refunded",
    "invoice.paid": "invoice.paid",
    "invoice.created": "invoice.created",
    "invoice.updated": "invoice.updated",
    "invoice.partially_paid": "invoice.part_received",
    "invoice.deleted": "invoice.withdrawn",
    "webhook.failing": "endpoint.failing",
    # Published by the vendor and never raised here (14.4).
    **dict.fromkeys(
        (
            "charge.created",
            "charge.processing",
            "charge.paid",
            "charge.succeeded",
            "charge.failed",
            "charge.refunded",
            "charge.disputed",
            "cashout.created",
            "cashout.approved",
            "cashout.rejected",
            "cashout.processed",
            "subscription.created",
            "subscription.active",
            "subscription.cancelled",
            "account.validated",
            "account.failed",
            "connect_link.completed",
        )
    ),
}
"""Every type an endpoint may list (14.4), and the core's name of it."""

WORDS = {core: type_ for type_, core in TYPES.items() if core is not None}
"""The dialect's name of each event of the core that it tells."""

SECRET_PREFIX = "wh_tok_"  # noqa: S105 - a prefix
TOKEN_PREFIX = "wh_hdr_"  # noqa: S105
RANDOM_CHARS = 32
_ALPHABET = string.ascii_letters + string.digits


class OnePayWebhooks:
    """The dialect's side of telling endpoints."""

    name = "onepay"
    types = TYPES

    def new_secrets(self) -> tuple[str, str]:
        """A signing secret and a static token (13)."""
        return _random(SECRET_PREFIX), _random(TOKEN_PREFIX)

    def body(self, told: Told, base_url: str) -> tuple[str, bytes]:
        """The type and the envelope of an event (14.2)."""
        type_ = WORDS[told.event.type]
        resource = type_.partition(".")[0]
        shown = _RESOURCES[resource](told, base_url)
        return type_, _envelope(resource, shown, type_, event_id=told.event.id, at=told.event.at, is_test=told.is_test)

    def sample(self, type_: str, base_url: str, now: datetime, *, is_test: bool, event_id: UUID) -> bytes:
        """An invented event about objects whose ids are all zeros (13)."""
        core_type = TYPES[type_]
        resource = type_.partition(".")[0]
        if core_type is None:
            shown: dict[str, Any] = {"id": str(NOBODY), "is_test": is_test}
        else:
            shown = _RESOURCES[resource](invented(core_type, now, is_test=is_test, event_id=event_id), base_url)
        return _envelope(resource, shown, type_, event_id=event_id, at=now, is_test=is_test)

    def headers(self, message: Message, endpoint: Endpoint, secrets: Sequence[str], now_s: int) -> Headers:
        """The headers of one try (14.1). During a rotation the plain signatures keep the old secret (13)."""
        event_id = render.event_name(message.event_id)
        plain = hmac.new(secrets[-1].encode(), message.body, hashlib.sha256).hexdigest()
        standard = " ".join(standard_signature(s, event_id, now_s, message.body) for s in secrets)
        return (
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", "Recaudo-Webhook/1"),
            ("x-webhook-token", endpoint.token),
            ("x-signature", plain),
            ("signature", plain),
            ("x-webhook-event", message.type),
            ("Recaudo-Subject-Version", str(message.subject_version)),
            ("webhook-id", event_id),
            ("webhook-timestamp", str(now_s)),
            ("webhook-signature", standard),
        )


def standard_signature(secret: str, event_id: str, now_s: int, body: bytes) -> str:
    """One signature of Standard Webhooks; the key is the ASCII of the whole secret (14.1)."""
    signed = b".".join((event_id.encode(), str(now_s).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()


def _random(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_CHARS))


def _envelope(
    resource: str, shown: dict[str, Any], type_: str, *, event_id: UUID, at: datetime, is_test: bool
) -> bytes:
    event = {
        "id": render.event_name(event_id),
        "type": type_,
        "timestamp": int(at.timestamp()),
        "environment": "test" if is_test else "live",
    }
    for holder in (shown, shown.get("payment") or {}):
        # The only member whose names and numbers callers choose: the rest prints alike in both languages.
        if holder.get("metadata"):
            holder["metadata"] = as_javascript_keeps(holder["metadata"])
    return render.encode({resource: shown, "event": event})


def _payment(told: Told, base_url: str) -> dict[str, Any]:
    event, snapshot = told.event, told.snapshot
    failed = None
    if event.type == "attempt.failed":
        failed = next(a for a in snapshot.attempts if a.id == event.attempt_id)
    assert event.collection_id is not None, "events about a payment name it"
    return render.payment(_view(snapshot, event.collection_id), base_url, is_test=told.is_test, failed=failed)


def _invoice(told: Told, base_url: str) -> dict[str, Any]:
    assert told.snapshot.invoice is not None, "events about an invoice have its snapshot"
    return render.invoice(_view(told.snapshot, told.snapshot.invoice.collection_id), base_url, is_test=told.is_test)


def _webhook(told: Told, _base_url: str) -> dict[str, Any]:
    failing = told.snapshot.endpoint
    assert failing is not None, "the event about an endpoint has its snapshot"
    return {
        "id": str(failing.id),
        "name": failing.name,
        "url": failing.url,
        "failing_since": render.instant(failing.failing_since),
        "last_error": failing.last_error,
    }


_RESOURCES = {"payment": _payment, "invoice": _invoice, "webhook": _webhook}


def _view(snapshot: Snapshot, collection_id: UUID) -> CollectionView:
    assert snapshot.invoice is not None, "events about payments have their invoice's snapshot"
    collection = next(c for c in snapshot.collections if c.id == collection_id)
    customer = snapshot.customer if snapshot.customer is not None and snapshot.customer.listed else None
    return CollectionView(
        invoice=snapshot.invoice,
        collection=collection,
        customer=customer,
        receipts=[r for r in snapshot.receipts if r.collection_id == collection_id],
    )
