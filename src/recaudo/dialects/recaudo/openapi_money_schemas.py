"""JSON Schemas of our own objects about gateways, refunds and comparisons."""

from collections.abc import Mapping
from typing import get_args

from recaudo.dialects.recaudo.openapi_parts import page
from recaudo.dialects.recaudo.openapi_schemas import (
    FLAG,
    INSTANT,
    OBJECT,
    TEXT,
    UUID,
    WHOLE,
    bounded_text,
    in_minor,
    rotation,
)
from recaudo.dialects.recaudo.parse_money import (
    CREDENTIAL_CHARS_MAX,
    EVIDENCE_CHARS_MAX,
    KIND_CHARS_MAX,
    METHOD_CHARS_MAX,
    METHODS_MAX,
    POSITION_MAX,
    REASON_CHARS_MAX,
    RESOLUTION_CHARS_MAX,
    SETTLED,
)
from recaudo.domain.model import RefundWay
from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.domain.states import RefundState
from recaudo.edge.openapi import Json, member, nullable, record, ref
from recaudo.usecases.ports import Asked, RefundAbility
from recaudo.usecases.reconciling import Kind

SUSPENSE_REASONS = ("unmatched", "wrong_currency", "wrong_environment")

_POSITIVE_MINOR: Json = {"type": "integer", "minimum": 1, "maximum": AMOUNT_MINOR_MAX}


def _list(schema: Json, description: str, **more: object) -> Json:
    return member({"type": "array", "items": schema}, description, **more)


def _page(title: str, of: str, description: str) -> Json:
    return record(
        title,
        {
            "data": _list(ref(of), description),
            "has_more": member(FLAG, "Always false: they are all here."),
            "next_cursor": {"type": "null", "description": "Always null."},
        },
    )


_KIND: Mapping[str, Json] = {
    "kind": member(TEXT, "Its name, here and in every attempt and receipt."),
    "title": member(TEXT, "Its name for people."),
    "credentials": _list(
        record(
            "Credential",
            {
                "name": member(TEXT, "What to call it in `credentials`."),
                "hint": member(TEXT, "How it begins, or where it stands."),
                "is_secret": member(FLAG, "Whether it is never shown again, not even in part."),
                "is_required": member(FLAG, "Whether it must be given."),
            },
        ),
        "What to copy out of the vendor's panel.",
    ),
    "methods": _list(
        record(
            "Method of a gateway",
            {
                "id": member(TEXT, "Its name."),
                "kind": member(TEXT, "The word of an invoice's `allows` that opens it."),
                "asks": _list(
                    member(TEXT, "One thing.", enum=list(get_args(Asked))),
                    "What the payment page asks of the payer.",
                ),
                "min_amount_minor": nullable(in_minor("The gateway's own smallest amount.")),
                "max_amount_minor": nullable(in_minor("Its largest.")),
            },
        ),
        "The ways to pay it offers.",
    ),
    "currencies": _list(TEXT, "What it collects in."),
    "refunds": member(
        TEXT,
        "How money goes back over its API: `none`, `void` (whole, on the same day), `full` or `partial`.",
        enum=list(get_args(RefundAbility)),
    ),
    "lists": member(FLAG, "Whether it tells its own transactions, so that both sides are compared every day."),
}

_CHOICE: Mapping[str, Json] = {
    "id": member(TEXT, "The method.", minLength=1, maxLength=METHOD_CHARS_MAX),
    "min_amount_minor": nullable(member(_POSITIVE_MINOR, "From this amount on, in minor units.")),
    "max_amount_minor": nullable(member(_POSITIVE_MINOR, "Up to this amount.")),
}

_GATEWAY: Mapping[str, Json] = {
    "id": member(UUID, "The gateway."),
    "kind": member(TEXT, "Which one it is. An account has one of each kind."),
    "title": member(TEXT, "Its name for people."),
    "is_test": member(FLAG, "Whether the account is a test account, and so the credentials."),
    "enabled": member(FLAG, "Whether payers are offered it. Switched off, it is still asked about what was begun."),
    "position": member(WHOLE, "The order in which gateways are tried: lower ones first."),
    "credentials": {
        "type": "object",
        "description": "Whether each is set. The last four characters are shown of those that are not secret.",
        "additionalProperties": record(
            "Shown credential",
            {
                "set": member(FLAG, "Whether there is one."),
                "shown": nullable(member(TEXT, "`…`, and the end of one that is not secret.")),
            },
        ),
    },
    "methods": nullable(_list(record("Chosen method", _CHOICE), "Those that are offered; null: all of its own.")),
    "notice_url": member(TEXT, "Paste it into the vendor's panel: it is where the vendor tells what happened."),
    "verified_at": nullable(member(INSTANT, "When the credentials last worked, in real time.")),
    "last_problem": nullable(
        member(TEXT, "Why they failed when they were last tried or a payment began; null: they did not.")
    ),
    "last_problem_at": nullable(member(INSTANT, "When, in real time.")),
    "compared_until": nullable(member(INSTANT, "How far both sides were compared, in real time.")),
    "created_at": member(INSTANT, "When it was set up."),
    "updated_at": member(INSTANT, "Its last change."),
}

_WAYS = (
    "`gateway`: we give it back through the gateway's API. `panel`: you gave it back in the vendor's panel, and the "
    "vendor's own figures have it. `elsewhere`: you gave it back in cash or by a transfer of your own, of which the "
    "vendor never hears."
)

_REFUND: Mapping[str, Json] = {
    "id": member(UUID, "The refund."),
    "receipt_id": member(UUID, "The receipt whose money it is."),
    "invoice_id": member(UUID, "The invoice that it had paid."),
    "attempt_id": nullable(member(UUID, "The attempt that had collected it.")),
    "amount_minor": in_minor("How much."),
    "currency": member(TEXT, "ISO 4217."),
    "state": member(
        TEXT,
        "`created`, `processing` and `unknown` are open: the gateway is asked until it says. Money is booked as gone "
        "back when it is `succeeded`.",
        enum=[state.value for state in RefundState],
    ),
    "way": member(TEXT, _WAYS, enum=[way.value for way in RefundWay]),
    "reason": member(TEXT, "Yours."),
    "evidence": nullable(member(TEXT, "What proves what a person did or found out.")),
    "gateway_refund_id": nullable(member(TEXT, "The gateway's name for it.")),
    "failure_code": nullable(member(TEXT, "Why the gateway refused it.")),
    "failure_text": nullable(member(TEXT, "The same for people.")),
    "ask_at": nullable(member(INSTANT, "When the gateway is asked again.")),
    "asked": member(WHOLE, "How often it was asked."),
    "created_at": member(INSTANT, "When it was asked for."),
    "updated_at": member(INSTANT, "Its last change."),
}

_SUSPENSE: Mapping[str, Json] = {
    "id": member(UUID, "The entry."),
    "gateway": member(TEXT, "Who reports it."),
    "gateway_tx_id": member(TEXT, "The gateway's transaction."),
    "reason": member(
        TEXT,
        "`unmatched`: its reference is one of ours, and no attempt has it. `wrong_currency`. `wrong_environment`: test "
        "money on a live account, or the reverse.",
        enum=list(SUSPENSE_REASONS),
    ),
    "reference": nullable(member(TEXT, "The reference that the gateway has for it.")),
    "amount_minor": in_minor("How much."),
    "currency": member(TEXT, "As the gateway says."),
    "fact": member(OBJECT, "What the gateway reported, as it was read."),
    "found_at": member(INSTANT, "When it was found, on the account's clock."),
    "resolved_at": nullable(member(INSTANT, "When somebody said what became of it.")),
    "resolution": nullable(member(TEXT, "What became of it.")),
}

_DIFFERENCE: Mapping[str, Json] = {
    "kind": member(
        TEXT,
        "`booked_late`: the gateway had collected it and nobody had told us; it is booked now. `unmatched`: under a "
        "reference of ours that no attempt has; it is in suspense. `amount`: another amount. `gone_back`: more or less "
        "went back than is booked. `not_there`: we booked it and the gateway does not confirm it.",
        enum=[kind.value for kind in Kind],
    ),
    "gateway_tx_id": member(TEXT, "The gateway's transaction."),
    "reference": nullable(member(TEXT, "Its reference, as far as it is known.")),
    "theirs_minor": nullable(in_minor("What the gateway says; null: nothing.")),
    "ours_minor": nullable(in_minor("What is booked; null: nothing.")),
    "currency": member(TEXT, "ISO 4217."),
    "is_mended": member(FLAG, "Whether the comparison put it right itself."),
}

_RECONCILIATION: Mapping[str, Json] = {
    "id": member(UUID, "The comparison."),
    "gateway": member(TEXT, "With whom."),
    "since": member(INSTANT, "From when on, in real time."),
    "until": member(INSTANT, "Before when, in real time."),
    "transactions": member(WHOLE, "How many transactions the gateway listed.", minimum=0),
    "open": member(WHOLE, "How many differences a person must look at.", minimum=0),
    "differences": _list(record("Difference", _DIFFERENCE), "What the two sides tell differently."),
    "made_at": member(INSTANT, "When it was made, in real time."),
}

ANSWERS: Mapping[str, Json] = {
    "GatewayKind": record("Kind of gateway", _KIND),
    "GatewayKindList": _page("Kinds of gateways", "GatewayKind", "All that can be set up here."),
    "Gateway": record("Gateway", _GATEWAY),
    "GatewayList": _page("Gateways", "Gateway", "In the order in which they are tried."),
    "GatewayVerdict": record(
        "Verdict",
        {
            "ok": member(FLAG, "Whether the credentials work."),
            "problem": nullable(member(TEXT, "Why they do not.")),
            "merchant_name": nullable(member(TEXT, "Whose they are, as the gateway says.")),
        },
    ),
    "Refund": record("Refund", _REFUND),
    "RefundList": _page("Refunds of a receipt", "Refund", "Oldest first."),
    "Reopened": record(
        "Reopened invoice",
        {
            "invoice": member(ref("Invoice"), "The invoice, open again."),
            "collection": member(ref("Collection"), "The request to pay what went back."),
        },
    ),
    "Suspense": record("Transaction in suspense", _SUSPENSE),
    "SuspenseList": page("Suspense", "Suspense", "Newest first."),
    "Reconciliation": record("Comparison", _RECONCILIATION),
    "ReconciliationList": page("Comparisons", "Reconciliation", "Newest first."),
}

_CREDENTIALS: Json = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": CREDENTIAL_CHARS_MAX},
    "description": "By the names that `GET /gateways/kinds` tells. Space around a value is dropped.",
}
_SETTINGS: Mapping[str, Json] = {
    "credentials": _CREDENTIALS,
    "position": member(WHOLE, "Lower ones are tried first.", minimum=0, maximum=POSITION_MAX, default=0),
    "enabled": member(FLAG, "Whether payers are offered it.", default=True),
    "methods": nullable(
        _list(
            record("Method to offer", _CHOICE, optional=("min_amount_minor", "max_amount_minor"))
            | {"additionalProperties": False},
            "Only these, each within these amounts; null: all that the gateway has.",
            minItems=1,
            maxItems=METHODS_MAX,
        )
    ),
}
_CLOSED: Json = {"additionalProperties": False}

BODIES: Mapping[str, Json] = {
    "GatewayCreate": record(
        "New gateway",
        {"kind": bounded_text(KIND_CHARS_MAX, "One of `GET /gateways/kinds`."), **_SETTINGS},
        optional=("position", "enabled", "methods"),
    )
    | _CLOSED,
    "GatewayChange": record(
        "Changed gateway",
        _SETTINGS,
        optional=tuple(_SETTINGS),
        description="What is not sent stays. Credentials that are named are replaced, the others stay.",
    )
    | _CLOSED,
    "RefundSettle": record(
        "What became of a refund",
        {
            "state": member(TEXT, "What you found out.", enum=list(SETTLED)),
            "evidence": bounded_text(EVIDENCE_CHARS_MAX, "What proves it."),
        },
    ),
    "GatewayRotate": rotation("Another address for notices", "Hours for which the address before goes on."),
    "RefundStart": record(
        "Refund to make",
        {
            "amount_minor": nullable(
                member(_POSITIVE_MINOR, "How much, in minor units: cents. What is left of the receipt unless sent.")
            ),
            "reason": bounded_text(REASON_CHARS_MAX, "Why, for your books."),
            "way": member(TEXT, _WAYS, enum=[way.value for way in RefundWay], default=RefundWay.GATEWAY.value),
            "evidence": nullable(
                bounded_text(EVIDENCE_CHARS_MAX, "What proves that you gave it back; required with those two ways.")
            ),
        },
        optional=("amount_minor", "way", "evidence"),
    )
    | _CLOSED,
    "SuspenseResolve": record(
        "Resolution",
        {"resolution": bounded_text(RESOLUTION_CHARS_MAX, "What became of it: where it was booked, or given back.")},
    )
    | _CLOSED,
}
