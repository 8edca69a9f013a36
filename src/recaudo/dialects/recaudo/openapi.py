"""The OpenAPI document of our own additions."""

from collections.abc import Mapping
from typing import Final

import msgspec

from recaudo import __version__
from recaudo.dialects.recaudo.errors import PROBLEMS, REFUSALS, error_reply
from recaudo.dialects.recaudo.parse import ADVANCE_SECONDS_MAX, METHODS, OUTCOMES
from recaudo.domain.states import AttemptState, Refusal
from recaudo.edge.api import KEY_CHARS_MAX
from recaudo.edge.http import Reply
from recaudo.edge.openapi import (
    ApiDocs,
    Content,
    ErrorCase,
    Example,
    Json,
    OperationDocs,
    build,
    member,
    nullable,
    record,
    ref,
)
from recaudo.edge.problems import ProblemKind
from recaudo.edge.routing import Router

GUIDE: Final = """\
What neither wire dialect has a word for. For now these are the tools of test accounts: a clock that you move, and \
payments without a page, so that a test can play a whole month in a second.

## Authentication

The secret key of the account, in either scheme: `Authorization: Bearer <key>`, or `Authorization: Basic` with the key \
as the user name and no password. The key decides the account. Only test accounts (`sk_test_…`) can do what changes \
something here.

## Errors

Every error has `code`, the member to program against, `message`, and `errors`, which names the field at fault if \
there is one. Quote `Recaudo-Request-Id` when you ask for help.
"""

_PAYMENT_ID = "019a0227-e3c0-72ea-b567-a6eac83b8e05"
_INTENT_ID = "019a0242-5f18-7b90-8e4d-6a1f2c3d4e5f"

_TEXT: Json = {"type": "string"}
_UUID: Json = {"type": "string", "format": "uuid"}
_INSTANT: Json = {"type": "string", "format": "date-time"}

_SCHEMAS: Mapping[str, Json] = {
    "Clock": record("Clock", {"now": member(_INSTANT, "The account's present, UTC.")}),
    "ClockMove": record(
        "Clock move",
        {
            "advance_seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": ADVANCE_SECONDS_MAX,
                "description": "How far to move the clock.",
            },
            "now": member(_INSTANT, "Where to set the clock: not before its present. With its offset."),
        },
        optional=("advance_seconds", "now"),
        description="Exactly one of the two. A clock only moves forward, and ticks on from there.",
    )
    | {"oneOf": [{"required": ["advance_seconds"]}, {"required": ["now"]}]},
    "SandboxPayment": record(
        "Sandbox payment",
        {
            "outcome": member(_TEXT, "How the sandbox behaves.", enum=list(OUTCOMES), default="approve"),
            "method": member(_TEXT, "How the payer pays.", enum=list(METHODS), default="card"),
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
    "SandboxAttempt": record(
        "Attempt",
        {
            "payment_intent_id": member(_UUID, "The attempt."),
            "payment_id": member(_UUID, "The payment it was for."),
            "state": member(_TEXT, "After the gateway's first answer.", enum=[state.value for state in AttemptState]),
        },
    ),
    "Error": record(
        "Error",
        {
            "code": member(_TEXT, "Stable; program against it."),
            "message": member(_TEXT, "What to do, in English. The text may change."),
            "errors": {
                "type": "array",
                "description": "The field at fault, if one is.",
                "items": record("Field error", {"field": _TEXT, "message": _TEXT}),
            },
        },
    ),
}

_CLOCK = Content(ref("Clock"), {"clock": Example("A test account's present", {"now": "2025-10-20T15:06:00.000000Z"})})

_OPERATIONS: Mapping[str, OperationDocs] = {
    **{
        name: OperationDocs(description="", success="")
        for name in (
            "listEvents replayEvents getReplay createWebhook listWebhooks getWebhook updateWebhook deleteWebhook "
            "rotateWebhook testWebhook listDeliveries getDelivery"
        ).split()
    },
    "getClock": OperationDocs(
        description="The account's present. A live account's is real time.", success="The clock.", answer=_CLOCK
    ),
    "moveClock": OperationDocs(
        description="Moves a test account's clock forward: invoices fall due, links expire, retries come up. "
        "Due work is performed by the worker soon after.",
        success="The clock after the move.",
        answer=_CLOCK,
        body=Content(
            ref("ClockMove"),
            {
                "advance": Example("Three days on", {"advance_seconds": 259200}),
                "set": Example("To an instant", {"now": "2030-01-15T13:00:00Z"}),
            },
        ),
        errors=("test_accounts_only", "validation_error_clock"),
    ),
    "payInSandbox": OperationDocs(
        description="Does what a payer would do on the page of a test payment, with the outcome you choose. "
        "With `Idempotency-Key`, the same key on the same payment returns the attempt it made.",
        success="The attempt after the sandbox's first answer.",
        answer=Content(
            ref("SandboxAttempt"),
            {
                "approved": Example(
                    "Paid", {"payment_intent_id": _INTENT_ID, "payment_id": _PAYMENT_ID, "state": "succeeded"}
                )
            },
        ),
        body=Content(
            ref("SandboxPayment"),
            {
                "approve": Example("Pay all that is owed by card", {"outcome": "approve", "method": "card"}),
                "decline": Example("A part that is declined", {"outcome": "decline", "method": "pse", "amount": 20000}),
            },
        ),
        errors=(
            "test_accounts_only",
            "not_found",
            "method_not_allowed_here",
            "validation_error_payment",
            *(refusal.value for refusal in REFUSALS),
        ),
    ),
}


def _case(reply: Reply, when: str) -> ErrorCase:
    body: Json = msgspec.json.decode(reply.body)
    return ErrorCase(status=reply.status, code=body["code"], when=when, body=body)


_HEADERS_OF: Mapping[ProblemKind, tuple[str, ...]] = {
    ProblemKind.UNAUTHENTICATED: ("WWW-Authenticate",),
    ProblemKind.METHOD_NOT_ALLOWED: ("Allow",),
    ProblemKind.TOO_MANY_REQUESTS: ("Retry-After",),
    ProblemKind.KEY_IN_PROGRESS: ("Retry-After",),
    ProblemKind.UNAVAILABLE: ("Retry-After",),
}


def _refusal(refusal: Refusal, message: str) -> ErrorCase:
    return _case(error_reply(409, refusal.value, message), message)


def _errors() -> dict[str, ErrorCase]:
    problems = {
        kind.value: msgspec.structs.replace(
            _case(error_reply(status, kind.value, message), message), headers=_HEADERS_OF.get(kind, ())
        )
        for kind, (status, message) in PROBLEMS.items()
    }
    clock, method = "A test clock only moves forward.", f"Must be one of {', '.join(METHODS)}."
    return {
        **problems,
        "not_found": _case(error_reply(404, "not_found", "There is no such object."), "There is no such payment."),
        "test_accounts_only": _case(
            error_reply(403, "test_accounts_only", "Only test accounts can do this."), "The account is a live one."
        ),
        "method_not_allowed_here": _case(
            error_reply(409, "method_not_allowed_here", "This payment does not take that method."),
            "The payment does not take that method.",
        ),
        **{refusal.value: _refusal(refusal, message) for refusal, message in REFUSALS.items()},
        "validation_error_clock": _case(error_reply(422, "validation_error", clock, field="now"), "A field is wrong."),
        "validation_error_payment": _case(
            error_reply(422, "validation_error", method, field="method"), "A field is wrong."
        ),
    }


_HEADERS: Mapping[str, Json] = {
    "Recaudo-Request-Id": {"description": "Unique per request.", "required": True, "schema": _TEXT},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "What is expected.", "schema": _TEXT},
    "Allow": {"description": "The methods that the path takes.", "schema": _TEXT},
}

_PAYMENT_PARAMETER: Json = {
    "name": "payment_id",
    "in": "path",
    "required": True,
    "description": "The payment, of an invoice or alone.",
    "schema": _UUID,
    "example": _PAYMENT_ID,
}

_KEY_PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request twice has one effect. `x-idempotency` is read too.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX},
    "example": "payment-001",
}


def document(router: Router, base_url: str) -> Json:
    """The document of these routes on the server at `base_url` (no trailing slash)."""
    return build(
        router,
        ApiDocs(
            info={
                "title": "Recaudo: our own additions",
                "version": __version__,
                "summary": "A test account's clock, and payments without a page.",
                "description": GUIDE,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            servers=({"url": f"{base_url}/recaudo/v1", "description": "This server."},),
            security={"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}},
            tags={
                "clock": ("Clock", "The account's own present. Test accounts move it."),
                "events": ("Events", "Everything that happened, in order, for programs that ask."),
                "webhooks": ("Webhooks", "Who is told what happened, and what became of every delivery."),
                "sandbox": ("Sandbox", "A gateway that does what you ask, for test accounts."),
            },
            schemas=_SCHEMAS,
            headers=_HEADERS,
            path_parameters={
                "payment_id": _PAYMENT_PARAMETER,
                **{n: {**_PAYMENT_PARAMETER, "name": n} for n in ("webhook_id", "delivery_id", "replay_id")},
            },
            once_parameter=_KEY_PARAMETER,
            operations=_OPERATIONS,
            errors=_errors(),
            problems={kind: kind.value for kind in ProblemKind},
            every_headers=("Recaudo-Request-Id",),
        ),
    )
