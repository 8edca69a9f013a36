"""JSON Schemas of our own additions. `render` and `parse` write and read these objects; tests hold them together."""

from collections.abc import Mapping

from recaudo.dialects.recaudo.parse import (
    ADVANCE_SECONDS_MAX,
    METHODS,
    OUTCOMES,
    OVERLAP_HOURS_MAX,
    REPLAYED_IDS_MAX,
    URL_CHARS_MAX,
)
from recaudo.domain.delivering import DeliveryState
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.model import InvoiceKind
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState
from recaudo.edge.openapi import Json, extended, member, nullable, record, ref

DIALECTS = ("onepay", "treli", "recaudo")

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
WHOLE: Json = {"type": "integer"}
OBJECT: Json = {"type": "object"}
UUID: Json = {"type": "string", "format": "uuid"}
DAY: Json = {"type": "string", "format": "date"}
INSTANT: Json = {"type": "string", "format": "date-time"}
EVENT_NAME: Json = {"type": "string", "pattern": "^evt_[0-9A-Za-z]{24}$"}
EVENT_TYPE: Json = {"type": "string", "enum": list(EVENT_TYPES)}


def in_minor(description: str) -> Json:
    """An amount."""
    return member(WHOLE, f"{description} In minor units: cents.")


def _state(states: type[InvoiceState | CollectionState | AttemptState], description: str) -> Json:
    return member(TEXT, description, enum=[state.value for state in states])


_CREATED: Mapping[str, Json] = {
    "created_at": member(INSTANT, "When it was made."),
    "updated_at": member(INSTANT, "Its last change."),
    "paid_at": nullable(member(INSTANT, "When it was settled in full.")),
}

_INVOICE: Mapping[str, Json] = {
    "id": member(UUID, "The invoice. It never changes."),
    "version": member(WHOLE, "Grows by one with each change of the invoice or anything under it.", minimum=1),
    "kind": member(
        TEXT,
        "`invoice`, or `request` for a request to pay that stands alone.",
        enum=[kind.value for kind in InvoiceKind],
    ),
    "dialect": member(TEXT, "The dialect that it was made in."),
    "state": _state(InvoiceState, "Where it stands."),
    "currency": member(TEXT, "ISO 4217."),
    "amount_minor": nullable(in_minor("The whole debt; null when the payer types it.")),
    "received_minor": in_minor("What was received, less what went back or became customer credit."),
    "name": member(TEXT, "What the payer reads."),
    "description": nullable(member(TEXT, "More of it.")),
    "reference": nullable(member(TEXT, "What the payer types in the portal.")),
    "origin": nullable(member(TEXT, "The system that issued it; OnePay's `provider`.")),
    "origin_id": nullable(member(TEXT, "Its id there; OnePay's `provider_id`, or a payment's `external_id`.")),
    "customer_id": nullable(member(UUID, "Who owes it.")),
    "phone": nullable(member(TEXT, "E.164.")),
    "email": nullable(member(TEXT, "Where notices go.")),
    "due_on": nullable(member(DAY, "The day it is due, in the account's time zone.")),
    "document_url": nullable(member(TEXT, "A document offered to the payer.")),
    "redirect_url": nullable(member(TEXT, "Where the browser goes after paying.")),
    "metadata": member(OBJECT, "Your own data, as sent."),
    "partial": nullable(
        member(
            record(
                "Rule of parts",
                {
                    "min_minor": in_minor("Smallest part."),
                    "max_minor": nullable(in_minor("Largest part; null: the balance.")),
                    "parts_max": member(WHOLE, "Most parts."),
                    "window_hours": nullable(member(WHOLE, "Hours from the first part on; null: no limit.")),
                },
            ),
            "How it may be paid in parts; null: only in full.",
        )
    ),
    "allows": member(OBJECT, "The kinds of payment it takes.", additionalProperties=FLAG),
    "closed_reason": nullable(member(TEXT, "Why it was withdrawn.")),
    "collection_id": member(UUID, "Its newest collection."),
    "generation": member(WHOLE, "Which one that is: 1 for the first.", minimum=1),
    **_CREATED,
    "bill": nullable(member(OBJECT, "Lines, taxes and retentions, as they were when it was made; null: only a sum.")),
    "rule_id": nullable(member(UUID, "Its rule of reminders.")),
    "document_id": nullable(member(UUID, "A document that Recaudo keeps.")),
    "closed_at": nullable(member(INSTANT, "When it was withdrawn.")),
}

_COLLECTION: Mapping[str, Json] = {
    "id": member(UUID, "The collection; OnePay's payment. Its link is `/payment/{id}`."),
    "invoice_id": member(UUID, "Its invoice."),
    "generation": member(WHOLE, "Which of the invoice's it is.", minimum=1),
    "ordinal": member(WHOLE, "Which instalment it asks for.", minimum=1),
    "state": _state(CollectionState, "Where it stands."),
    "currency": member(TEXT, "ISO 4217."),
    "amount_minor": nullable(in_minor("What it asked for; null when the payer types it.")),
    "received_minor": in_minor("What was received on it, less refunds."),
    "overpaid_minor": in_minor("What of that became customer credit."),
    "refunded_minor": in_minor("What went back."),
    "parts": member(WHOLE, "Successful parts."),
    "open_attempts": member(WHOLE, "Attempts whose outcome is not known yet."),
    "due_on": nullable(member(DAY, "The day it is due.")),
    "expires_at": nullable(member(INSTANT, "When its link stops; null: never.")),
    "method": nullable(member(OBJECT, "How it was paid last.")),
    **_CREATED,
    "terms": nullable(member(OBJECT, "Title, discounts, what was asked before them, and who asks for the rest.")),
    "closed_at": nullable(member(INSTANT, "When it was cancelled, voided or given up.")),
    "overdue_at": nullable(member(INSTANT, "The end of its due day, until that was told.")),
}

_ATTEMPT: Mapping[str, Json] = {
    "id": member(UUID, "The attempt; OnePay's payment intent."),
    "invoice_id": member(UUID, "Its invoice."),
    "collection_id": member(UUID, "Its collection."),
    "state": _state(AttemptState, "Where it stands. `unknown` is not `failed`: the gateway is asked again."),
    "amount_minor": in_minor("What it is to collect."),
    "currency": member(TEXT, "ISO 4217."),
    "gateway": member(TEXT, "Who collects it."),
    "reference": member(TEXT, "How the gateway knows it."),
    "method_type": nullable(member(TEXT, "How the payer chose to pay.")),
    "method": nullable(member(OBJECT, "With what, once it is known.")),
    "gateway_tx_id": nullable(member(TEXT, "The gateway's transaction.")),
    "failure_code": nullable(member(TEXT, "Why it failed.")),
    "failure_text": nullable(member(TEXT, "The same for people.")),
    "ask_at": nullable(member(INSTANT, "When the gateway is asked again.")),
    "asked": member(WHOLE, "How often it was asked."),
    **_CREATED,
}

_EVENT: Mapping[str, Json] = {
    "id": member(EVENT_NAME, "Unique; the same in every retry and replay. Drop what you have seen."),
    "type": member(EVENT_TYPE, "What happened."),
    "at": member(INSTANT, "When, on the account's clock."),
    "is_test": member(FLAG, "Whether the account is a test account."),
    "subject": member(
        record(
            "Subject",
            {
                "type": member(TEXT, "What it happened to.", enum=[*(k.value for k in InvoiceKind), "endpoint"]),
                "id": member(UUID, "Its id."),
                "version": member(WHOLE, "Which change of it this was: later ones have larger numbers."),
            },
        ),
        "What it happened to.",
    ),
    "data": member(ref("EventData"), "The subject as the change left it."),
    "message": nullable(
        member(
            record(
                "Message",
                {
                    "type": member(TEXT, "The dialect's name of the type."),
                    "body": member(TEXT, "The exact bytes that endpoints of the dialect are sent."),
                },
            ),
            "Only with `dialect`: the event in that dialect's words, or null when it has none for it.",
        )
    ),
}

_EVENT_DATA: Mapping[str, Json] = {
    "invoice": member(ref("Invoice"), "The invoice, or the request to pay that stands alone."),
    "collection": nullable(member(ref("Collection"), "The collection that the event is about, if it is about one.")),
    "attempt": nullable(member(ref("Attempt"), "The attempt, if it is about one.")),
    "excess_minor": in_minor("Only in `collection.overpaid`: what became customer credit."),
    "refunded_minor": in_minor("Only in `collection.refunded`: how much went back."),
    "refund_id": member(UUID, "Only in `refund.*`: the refund."),
    "credit_note_id": member(UUID, "Only in `invoice.credited` and `invoice.credit_voided`: the credit note."),
    "lowered_minor": in_minor("Only there too: what the note took off the invoice, or gave back to it."),
    "endpoint": member(
        record(
            "Failing endpoint",
            {
                "id": member(UUID, "The endpoint."),
                "name": member(TEXT, "Its name."),
                "url": member(TEXT, "Its address."),
                "failing_since": member(INSTANT, "Since when it has had no success."),
                "last_error": member(TEXT, "What came of the last try."),
            },
        ),
        "Only in `endpoint.failing`, and alone.",
    ),
}

_ENDPOINT: Mapping[str, Json] = {
    "id": member(UUID, "The endpoint."),
    "dialect": member(TEXT, "Whose words and signatures it gets.", enum=list(DIALECTS)),
    "name": member(TEXT, "Yours."),
    "description": nullable(member(TEXT, "Yours.")),
    "url": member(TEXT, "Where events are sent."),
    "types": member({"type": "array", "items": TEXT}, "What it listens to, in the dialect's words."),
    "secret": member(TEXT, "Signs. Only in the answer that makes it, and in its replay: keep it."),
    "token": member(TEXT, "OnePay's static `x-webhook-token`. Only in that dialect."),
    "is_test": member(FLAG, "Whether the account is a test account."),
    "failing_since": nullable(member(INSTANT, "Since when it has had no success, in real time; null: it works.")),
    "created_at": member(INSTANT, "When it was made."),
    "updated_at": member(INSTANT, "Its last change."),
}

_DELIVERY: Mapping[str, Json] = {
    "id": member(UUID, "The delivery."),
    "endpoint_id": member(UUID, "Who is told."),
    "event_id": member(EVENT_NAME, "What."),
    "type": member(TEXT, "The core's name of the event's type; a sample has its dialect's."),
    "told_as": nullable(member(TEXT, "The dialect's name; null until the first try.")),
    "subject": member(
        record("Subject of a delivery", {"id": UUID, "version": WHOLE}), "What the event is about, and which change."
    ),
    "state": member(
        TEXT,
        "`waiting` (to be sent, or sent again), `delivered`, `failed` (given up after three days) or `dropped` (its "
        "endpoint was removed).",
        enum=[state.value for state in DeliveryState],
    ),
    "tries": member(WHOLE, "How often it was sent.", minimum=0),
    "http_status": nullable(member(WHOLE, "What the endpoint answered last; null: nothing.")),
    "last_error": nullable(member(TEXT, "Why the last try failed.")),
    "next_try_at": nullable(member(INSTANT, "When it is sent again, in real time; null: never.")),
    "created_at": member(INSTANT, "When it was queued, on the account's clock."),
}

_TRY: Mapping[str, Json] = {
    "at": member(INSTANT, "When, in real time."),
    "status": nullable(member(WHOLE, "The answer's status; null: there was none.")),
    "error": nullable(member(TEXT, "What went wrong; null: nothing.")),
    "latency_ms": member(WHOLE, "How long the answer took."),
    "answer": member(TEXT, "The beginning of the answer's body."),
}

_REPLAY: Mapping[str, Json] = {
    "id": member(UUID, "The replay."),
    "state": member(TEXT, "`running` until everything is queued, then `done`.", enum=["running", "done"]),
    "queued": member(WHOLE, "Deliveries queued so far.", minimum=0),
    "event_ids": nullable({"type": "array", "items": EVENT_NAME, "description": "As asked."}),
    "types": nullable({"type": "array", "items": EVENT_TYPE, "description": "As asked."}),
    "from": nullable(member(INSTANT, "As asked.")),
    "to": nullable(member(INSTANT, "As asked; the moment of asking unless it was sent.")),
    "endpoint_id": nullable(member(UUID, "As asked.")),
    "only_failed": member(FLAG, "As asked."),
    "created_at": member(INSTANT, "When it was asked for."),
    "finished_at": nullable(member(INSTANT, "When everything was queued.")),
}

ANSWERS: Mapping[str, Json] = {
    "Event": record("Event", _EVENT, optional=("message",)),
    "EventData": record(
        "Event data",
        _EVENT_DATA,
        optional=tuple(_EVENT_DATA),
        description="`invoice`, `collection` and `attempt` are always there, but in `endpoint.failing`.",
    ),
    "Invoice": record("Invoice", _INVOICE),
    "Collection": record("Collection", _COLLECTION),
    "Attempt": record("Attempt", _ATTEMPT),
    "EventPage": record(
        "Page of events",
        {
            "data": member({"type": "array", "items": ref("Event")}, "Oldest first."),
            "has_more": member(
                FLAG, "Whether there is more now. A filtered page may be short, even empty, with more behind it."
            ),
            "next_cursor": member(TEXT, "Where the next page begins. There always is one, and it is good for ever."),
        },
    ),
    "Replay": record("Replay", _REPLAY),
    "Endpoint": record("Endpoint", _ENDPOINT, optional=("secret", "token")),
    "EndpointList": record(
        "Endpoints",
        {
            "data": member({"type": "array", "items": ref("Endpoint")}, "All of them, newest first."),
            "has_more": member(FLAG, "Always false.", const=False),
            "next_cursor": {"type": "null", "description": "Always null."},
        },
    ),
    "EndpointSample": record("Sample", {"delivery_id": member(UUID, "The delivery that was queued.")}),
    "Delivery": record("Delivery", _DELIVERY),
    "DeliveryDetail": extended(
        "Delivery with every try",
        "Delivery",
        {
            "history": member(
                {"type": "array", "items": record("Try", _TRY)}, "Every try and what came of it, oldest first."
            )
        },
    ),
    "DeliveryPage": record(
        "Page of deliveries",
        {
            "data": member({"type": "array", "items": ref("Delivery")}, "Newest first."),
            "has_more": member(FLAG, "Whether there are older ones."),
            "next_cursor": nullable(member(TEXT, "Where the next page begins; null on the last.")),
        },
    ),
    "Clock": record("Clock", {"now": member(INSTANT, "The account's present, UTC.")}),
    "SandboxAttempt": record(
        "Sandbox attempt",
        {
            "payment_intent_id": member(UUID, "The attempt."),
            "payment_id": member(UUID, "The payment it was for."),
            "state": member(TEXT, "After the gateway's first answer.", enum=[state.value for state in AttemptState]),
        },
    ),
    "Error": record(
        "Error",
        {
            "code": member(TEXT, "Stable; program against it."),
            "message": member(TEXT, "What to do, in English. The text may change."),
            "errors": {
                "type": "array",
                "description": "The field or parameter at fault, if one is.",
                "items": record("Field error", {"field": TEXT, "message": TEXT}),
            },
        },
    ),
}


def rotation(title: str, description: str) -> Json:
    """The body that changes a secret or an address, and says how long the old one goes on."""
    hours = member(WHOLE, description, minimum=0, maximum=OVERLAP_HOURS_MAX, default=24)
    return record(title, {"overlap_hours": hours}, optional=("overlap_hours",))


def bounded_text(high: int, description: str) -> Json:
    """Text of 1 to `high` characters."""
    return member(TEXT, description, minLength=1, maxLength=high)


_NEW_ENDPOINT: Mapping[str, Json] = {
    "dialect": member(TEXT, "Whose words and signatures it gets. It does not change.", enum=list(DIALECTS)),
    "name": bounded_text(255, "Yours."),
    "description": nullable(bounded_text(500, "Yours.")),
    "url": member(
        {"type": "string", "format": "iri", "pattern": "^https?://", "maxLength": URL_CHARS_MAX},
        "Where events are sent: `https://`, no user name. Test accounts may use `http://`. Not into a private network.",
    ),
    "types": member(
        {"type": "array", "items": TEXT, "minItems": 1},
        "What it listens to, in the dialect's words. Repeats are merged.",
    ),
}
_CHANGED_ENDPOINT = {name: schema for name, schema in _NEW_ENDPOINT.items() if name != "dialect"}

BODIES: Mapping[str, Json] = {
    "EndpointCreate": record("New endpoint", _NEW_ENDPOINT, optional=("description",)),
    "EndpointChange": record(
        "Changed endpoint",
        _CHANGED_ENDPOINT,
        optional=tuple(_CHANGED_ENDPOINT),
        description="What is not sent stays; null clears `description`; `types` is replaced as a whole.",
    ),
    "EndpointRotate": rotation("Rotation", "Hours for which the old secret signs too."),
    "ReplayAsk": record(
        "Replay to ask for",
        {
            "event_ids": nullable(
                {
                    "type": "array",
                    "items": EVENT_NAME,
                    "minItems": 1,
                    "maxItems": REPLAYED_IDS_MAX,
                    "description": "These events.",
                }
            ),
            "types": nullable({"type": "array", "items": EVENT_TYPE, "minItems": 1, "description": "Of these types."}),
            "from": nullable(member(INSTANT, "That happened at this instant or later. With its offset.")),
            "to": nullable(member(INSTANT, "That happened before it; the present unless sent. After `from`.")),
            "endpoint_id": nullable(member(UUID, "To this endpoint; to all that listen to them unless sent.")),
            "only_failed": member(FLAG, "Only where the newest telling was given up.", default=False),
        },
        optional=("event_ids", "types", "from", "to", "endpoint_id", "only_failed"),
        description="At least one of `event_ids`, `from` and `only_failed`; all that is said must hold.",
    ),
    "ClockMove": record(
        "Clock move",
        {
            "advance_seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": ADVANCE_SECONDS_MAX,
                "description": "How far to move the clock.",
            },
            "now": member(INSTANT, "Where to set the clock: not before its present. With its offset."),
        },
        optional=("advance_seconds", "now"),
        description="Exactly one of the two. A clock only moves forward, and ticks on from there.",
    )
    | {"oneOf": [{"required": ["advance_seconds"]}, {"required": ["now"]}]},
    "SandboxPayment": record(
        "Sandbox payment",
        {
            "outcome": member(TEXT, "How the sandbox behaves.", enum=list(OUTCOMES), default="approve"),
            "method": member(TEXT, "How the payer pays.", enum=list(METHODS), default="card"),
            "amount": nullable(
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10**12,
                    "description": "Whole currency units. What is owed unless sent.",
                }
            ),
            "again": {
                "type": "boolean",
                "default": False,
                "description": "Pay although an earlier attempt is not decided yet.",
            },
        },
        optional=("outcome", "method", "amount", "again"),
    ),
}
