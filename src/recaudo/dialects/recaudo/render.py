"""Core objects as our own JSON: the core's words, money in minor units."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.billing import Terms
from recaudo.domain.delivering import Endpoint
from recaudo.domain.model import Attempt, Collection, Invoice, Receipt
from recaudo.domain.references import base62, from_base62
from recaudo.store.deliveries import DeliveryView
from recaudo.store.events import Told
from recaudo.store.receipts import ReceiptView
from recaudo.store.replays import Replay
from recaudo.store.withholdings import Withholding

_TRY = ("at", "status", "error", "latency_ms", "answer")
# What another tenant's program could use, or nobody outside the core needs.
_HIDDEN = frozenset({"account_id", "wire", "origin_bound", "once_key", "gateway_data"})


def instant(at: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`. Instants of the core are UTC."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def optional_instant(at: datetime | None) -> str | None:
    """An instant, or null."""
    return None if at is None else instant(at)


@lru_cache(maxsize=4096)
def event_name(event_id: UUID) -> str:
    """An event's id on the wire, in every dialect."""
    return f"evt_{base62(event_id.int)}"


def event_number(text: str) -> int | None:
    """The id that an event's name stands for; None for anything else."""
    return from_base62(text.removeprefix("evt_"))


def event(told: Told) -> dict[str, Any]:
    """An event with its subject as it was when the event was raised."""
    it, snapshot = told.event, told.snapshot
    return {
        "id": event_name(it.id),
        "type": it.type,
        "at": instant(it.at),
        "is_test": told.is_test,
        "subject": {
            "type": "endpoint" if snapshot.invoice is None else snapshot.invoice.kind.value,
            "id": str(it.subject_id),
            "version": it.version,
        },
        "data": _data(told),
    }


def _data(told: Told) -> dict[str, Any]:
    it, snapshot = told.event, told.snapshot
    if snapshot.endpoint is not None:
        return {"endpoint": plain(snapshot.endpoint)}
    collection = next((c for c in snapshot.collections if c.id == it.collection_id), None)
    attempt = next((a for a in snapshot.attempts if a.id == it.attempt_id), None)
    return {
        "invoice": None if snapshot.invoice is None else plain(snapshot.invoice),
        "collection": None if collection is None else plain(collection),
        "attempt": None if attempt is None else plain(attempt),
        **it.data,
    }


def plain(it: Invoice | Collection | Attempt | Receipt | Any) -> dict[str, Any]:  # noqa: ANN401 - any record of the core
    """A record's members as JSON, less what is hidden."""
    return {name: _value(getattr(it, name)) for name in it.__struct_fields__ if name not in _HIDDEN}


def _value(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Terms):
        value = msgspec.structs.replace(value, wire={})
    return instant(value) if isinstance(value, datetime) else msgspec.to_builtins(value)


def endpoint(it: Endpoint, *, is_test: bool, with_secret: bool) -> dict[str, Any]:
    """An endpoint; its secrets only in the answer that makes them."""
    return {
        "id": str(it.id),
        "dialect": it.dialect,
        "name": it.name,
        "description": it.description,
        "url": it.url,
        "types": list(it.types),
        **({"secret": it.secret} if with_secret else {}),
        **({"token": it.token} if it.token else {}),
        "is_test": is_test,
        "failing_since": optional_instant(it.failing_since),
        "created_at": instant(it.created_at),
        "updated_at": instant(it.updated_at),
    }


def delivery(it: DeliveryView) -> dict[str, Any]:
    """A delivery in a list."""
    return {
        "id": str(it.id),
        "endpoint_id": str(it.endpoint_id),
        "event_id": event_name(it.event_id),
        "type": it.type,
        "told_as": it.body_type,
        "subject": {"id": str(it.subject_id), "version": it.version},
        "state": it.state.value,
        "tries": it.tries,
        "http_status": it.http_status,
        "last_error": it.last_error,
        "next_try_at": optional_instant(it.next_try_at),
        "created_at": instant(it.created_at),
    }


def delivery_detail(it: DeliveryView) -> dict[str, Any]:
    """A delivery with every try, oldest first. Times of tries are real time."""
    return delivery(it) | {"history": [{name: one[name] for name in _TRY} for one in it.history]}


def replay(it: Replay) -> dict[str, Any]:
    """A replay and how far it is."""
    return {
        "id": str(it.id),
        "state": it.state,
        "queued": it.queued,
        "event_ids": None if it.event_ids is None else [event_name(i) for i in it.event_ids],
        "types": it.types,
        "from": optional_instant(it.since),
        "to": optional_instant(it.until),
        "endpoint_id": None if it.endpoint_id is None else str(it.endpoint_id),
        "only_failed": it.only_failed,
        "created_at": instant(it.created_at),
        "finished_at": optional_instant(it.finished_at),
    }


def receipt(it: ReceiptView) -> dict[str, Any]:
    """A receipt; below zero, money that went back."""
    return plain(it.receipt) | {
        "customer_id": None if it.customer_id is None else str(it.customer_id),
        "reversed_minor": it.reversed_minor,
    }


def withholding(it: Withholding) -> dict[str, Any]:
    """What a payer withholds, and the certificate that proves it."""
    certificate = it.certificate
    return {
        "invoice_id": str(it.invoice_id),
        "retention_id": str(it.retention_id),
        "customer_id": None if it.customer_id is None else str(it.customer_id),
        "invoice_state": it.invoice_state,
        "kind": it.kind,
        "amount_minor": it.amount_minor,
        "currency": it.currency,
        "certificate": None
        if certificate is None
        else {"number": certificate.number, "url": certificate.url, "certified_at": instant(certificate.at)},
    }


def page(rows: Sequence[Mapping[str, Any]], *, has_more: bool, next_cursor: str | None) -> dict[str, Any]:
    """The envelope of our own lists."""
    return {"data": rows, "has_more": has_more, "next_cursor": next_cursor}
