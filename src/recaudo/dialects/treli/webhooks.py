"""How Treli's endpoints are told what happened: types, bodies and the signature (specification, section 15)."""

import hmac
import secrets
import string
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from recaudo.dialects.treli import customers, ids, render, shown
from recaudo.dialects.treli.shown import Viewer
from recaudo.domain.delivering import Endpoint
from recaudo.domain.model import Attempt, Customer, InvoiceKind, Receipt, ReceiptKind, by_due_day
from recaudo.domain.states import AttemptState
from recaudo.edge.ecmascript import stringify
from recaudo.store.events import Snapshot, Told
from recaudo.store.samples import invented
from recaudo.store.views import CollectionView
from recaudo.store.wholes import WholeInvoice
from recaudo.usecases.ports import Headers, Message

TYPES: Mapping[str, str | None] = {
    "invoice.created": "invoice.created",
    "invoice.paid": "invoice.paid",
    "invoice.voided": "invoice.withdrawn",
    "collection.created": "collection.opened",
    "collection.paid": "collection.paid",
    "collection.partially_paid": "collection.part_received",
    "collection.voided": "collection.cancelled",
    "collection.uncollectible": "collection.uncollectible",
    "collection.overdue": "collection.overdue",
    "payment.failed": "attempt.failed",
    # Raised by the rules of reminders, which do not run yet (15.3).
    "invoice_payment_request": None,
    "invoice_before_due_date": None,
    "invoice_in_due_date": None,
    "invoice_after_due_date": None,
}
"""Every type an endpoint may list (15.3), and the core's name of it."""

_WORDS = {core: type_ for type_, core in TYPES.items() if core is not None}

SECRET_PREFIX = "trl_whsec_"  # noqa: S105 - a prefix
RANDOM_CHARS = 32
_ALPHABET = string.ascii_letters + string.digits
_STATUS = {
    AttemptState.CREATED: "processing",
    AttemptState.PROCESSING: "processing",
    AttemptState.UNKNOWN: "processing",
    AttemptState.SUCCEEDED: "succeeded",
    AttemptState.FAILED: "failed",
    AttemptState.REFUNDED: "refunded",
    AttemptState.DISPUTED: "disputed",
}


class TreliWebhooks:
    """The dialect's side of telling endpoints."""

    name = "treli"
    types = TYPES

    def new_secrets(self) -> tuple[str, str]:
        """A signing secret; the dialect has no token."""
        return SECRET_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_CHARS)), ""

    def body(self, told: Told, base_url: str) -> tuple[str, bytes]:
        """The type and the envelope of an event (15.2)."""
        type_ = _WORDS[told.event.type]
        return type_, envelope(type_, _data(told, base_url), event_id=told.event.id, at=told.event.at, told=told)

    def sample(self, type_: str, base_url: str, now: datetime, *, is_test: bool, event_id: UUID) -> bytes:
        """An invented event about objects whose ids are all zeros."""
        core_type = TYPES[type_] or "collection.opened"
        told = invented(core_type, now, is_test=is_test, event_id=event_id)
        return envelope(type_, _data(told, base_url), event_id=event_id, at=now, told=told)

    def headers(self, message: Message, endpoint: Endpoint, secrets: Sequence[str], now_s: int) -> Headers:
        """The headers of one try (15.1). During a rotation there are two `v1`, the new secret's first.

        A receiver that knows of one only keeps the last when it makes a dictionary of them: that of the secret it has.
        """
        signed = "".join(f",v1={signature(secret, now_s, message.body)}" for secret in secrets)
        return (
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", "Recaudo-Webhook/1"),
            ("Recaudo-Subject-Version", str(message.subject_version)),
            ("x-treli-signature", f"t={now_s}{signed}"),
        )


def signature(secret: str, now_s: int, body: bytes) -> str:
    """Hex HMAC-SHA256 of `t.body`, keyed with the ASCII of the whole secret (15.1)."""
    return hmac.new(secret.encode(), b".".join((str(now_s).encode(), body)), "sha256").hexdigest()


def envelope(type_: str, data: Mapping[str, Any], *, event_id: UUID, at: datetime, told: Told) -> bytes:
    """The body as JSON.stringify prints it (15.2)."""
    return stringify(
        {
            "id": ids.shown(ids.EVENT, event_id),
            "type": type_,
            "created": int(at.timestamp()),
            "is_test": told.is_test,
            "data": data,
        }
    )


def _data(told: Told, base_url: str) -> dict[str, Any]:
    """The collection as it was, with its customer and invoice whole and what caused the event."""
    snapshot, account = told.snapshot, told.account
    of = snapshot.invoice
    assert of is not None, "every event of this dialect is about an invoice"
    viewer = Viewer(
        account=account, today=told.event.at.astimezone(ZoneInfo(account.time_zone)).date(), base_url=base_url
    )
    collection_id = told.event.collection_id or of.collection_id
    collection = next(c for c in snapshot.collections if c.id == collection_id)
    receipts = [r for r in snapshot.receipts if r.collection_id == collection_id]
    view = CollectionView(invoice=of, collection=collection, customer=snapshot.customer, receipts=receipts)
    data = shown.collection(view, viewer)
    data["customer"] = None if snapshot.customer is None else _customer(snapshot.customer, told)
    if of.kind is InvoiceKind.INVOICE:
        whole = WholeInvoice(
            invoice=of, collections=sorted(snapshot.collections, key=by_due_day), customer=snapshot.customer
        )
        data["invoice"] = shown.invoice(whole, viewer)
    return data | {"transaction": _transaction(told, snapshot, receipts)}


def _customer(it: Customer, told: Told) -> dict[str, Any]:
    """The customer (6.6) and three members more (15.2)."""
    known = customers.shown(it, told.snapshot.credit_minor(told.account.currency), told.account)
    address = it.address or {}
    line = ", ".join(
        str(address[name]) for name in ("address_1", "city", "state", "country") if address.get(name) is not None
    )
    return known | {"name": known["full_name"], "phone": it.phone, "address": line or None}


def _transaction(told: Told, snapshot: Snapshot, receipts: Sequence[Receipt]) -> dict[str, Any] | None:
    """The receipt or the attempt that caused the event (6.7); None when money had no part in it."""
    if told.event.type == "attempt.failed":
        attempt = next(a for a in snapshot.attempts if a.id == told.event.attempt_id)
        return _of_attempt(attempt, told)
    if told.event.type not in {"collection.paid", "collection.part_received", "invoice.paid"}:
        return None
    arrived = receipts or snapshot.receipts
    return _of_receipt(arrived[-1], told) if arrived else None


def _of_receipt(it: Receipt, told: Told) -> dict[str, Any]:
    return {
        "id": ids.shown(ids.TRANSACTION, it.attempt_id or it.id),
        "amount": render.amount(abs(it.amount_minor), it.currency),
        "payment_method_gateway": "manual" if it.kind is ReceiptKind.OUTSIDE else it.gateway,
        "transaction_billing": _billing(told.snapshot.customer),
        "currency": it.currency,
        "status": "succeeded",
        "payment_method_type": shown.method_type([it]),
        "reference": it.reference,
        "failure_code": None,
        "failure_message": None,
        "created_date": render.created(it.at, told.account),
    }


def _of_attempt(it: Attempt, told: Told) -> dict[str, Any]:
    return {
        "id": ids.shown(ids.TRANSACTION, it.id),
        "amount": render.amount(it.amount_minor, it.currency),
        "payment_method_gateway": it.gateway,
        "transaction_billing": _billing(told.snapshot.customer),
        "currency": it.currency,
        "status": _STATUS[it.state],
        "payment_method_type": _METHODS.get(it.method_type or ""),
        "reference": None,
        "failure_code": it.failure_code,
        "failure_message": it.failure_text,
        "created_date": render.created(it.created_at, told.account),
    }


_METHODS = {
    "card": "card",
    "pse": "bank_transfer",
    "transfer": "bank_transfer",
    "nequi": "wallet",
    "daviplata": "wallet",
    "breb": "breb",
    "cash": "cash",
}


def _billing(it: Customer | None) -> dict[str, str | None]:
    """Who paid, as far as it is known."""
    if it is None:
        return dict.fromkeys(("identification", "name", "email", "phone", "address"))
    return {
        "identification": it.document_number,
        "name": customers.full_name(it),
        "email": it.email,
        "phone": it.phone,
        "address": None,
    }
