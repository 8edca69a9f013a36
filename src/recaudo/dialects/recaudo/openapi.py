"""The OpenAPI document of our own additions: the route table with its words, schemas and examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recaudo import __version__
from recaudo.dialects.recaudo import (
    openapi_attempts as attempts,
    openapi_examples as examples,
    openapi_imports as imports,
    openapi_money_examples as money_examples,
    openapi_money_schemas as money_schemas,
    openapi_receipts as receipts,
)
from recaudo.dialects.recaudo.openapi_errors import errors
from recaudo.dialects.recaudo.openapi_events import EVENTS
from recaudo.dialects.recaudo.openapi_operations import OPERATIONS
from recaudo.dialects.recaudo.openapi_schemas import ANSWERS, BODIES, TEXT, UUID
from recaudo.edge.api import KEY_CHARS_MAX
from recaudo.edge.openapi import ApiDocs, Json, build
from recaudo.edge.problems import ProblemKind
from recaudo.edge.routing import Router

GUIDE: Final = Path(__file__).with_name("openapi_guide.md")

_TAGS: Mapping[str, tuple[str, str]] = {
    "events": ("Events", "Everything that happened, in order, for programs that ask."),
    "webhooks": ("Webhooks", "Who is told what happened, and what became of every delivery."),
    "gateways": ("Gateways", "Who collects the account's money: their credentials, their order, their methods."),
    **attempts.TAGS,
    "refunds": ("Refunds", "Giving money back, and asking for it again."),
    "reconciling": ("Reconciling", "What gateways report and we do not, and the reverse."),
    **receipts.TAGS,
    **imports.TAGS,
    "clock": ("Clock", "The account's own present. Test accounts move it."),
    "sandbox": ("Sandbox", "A gateway that does what you ask, for test accounts."),
    "types": ("Event types", "What the feed shows, and endpoints of the dialect `recaudo` are sent: one `POST` each."),
}

_HEADERS: Mapping[str, Json] = {
    "Recaudo-Request-Id": {"description": "Unique per request.", "required": True, "schema": TEXT},
    "Idempotent-Replayed": {
        "description": "The answer is the one that was kept for an earlier request with the same key.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "What is expected.", "schema": TEXT},
    "Allow": {"description": "The methods that the path takes.", "schema": TEXT},
}

_KEY_PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request twice has one effect. `x-idempotency` is read too.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX},
    "example": "payment-001",
}

_PATH_PARAMETERS: Mapping[str, Json] = {
    name: {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": UUID,
        "example": example,
    }
    for name, description, example in (
        ("payment_id", "The payment, of an invoice or alone.", examples.PAYMENT_ID),
        ("webhook_id", "The endpoint.", examples.ENDPOINT_ID),
        ("delivery_id", "The delivery.", examples.DELIVERY_ID),
        ("replay_id", "The replay.", examples.REPLAY_ID),
        ("gateway_id", "The gateway.", money_examples.GATEWAY_ID),
        ("refund_id", "The refund.", money_examples.REFUND_ID),
        ("suspense_id", "The entry.", money_examples.SUSPENSE_ID),
        ("invoice_id", "The invoice.", examples.INVOICE_ID),
        *((name, *said) for name, said in attempts.PATH_PARAMETERS.items()),
        *((name, *said) for name, said in receipts.PATH_PARAMETERS.items()),
        *((name, *said) for name, said in imports.PATH_PARAMETERS.items()),
    )
}


def document(router: Router, base_url: str) -> Json:
    """The document of these routes on the server at `base_url` (no trailing slash)."""
    return build(
        router,
        ApiDocs(
            info={
                "title": "Recaudo: our own additions",
                "version": __version__,
                "summary": "Events, webhooks, gateways, attempts, receipts, refunds, certificates, comparisons, tests.",
                "description": GUIDE.read_text(encoding="utf-8"),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            servers=({"url": f"{base_url}/recaudo/v1", "description": "This server."},),
            security={"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}},
            tags=_TAGS,
            schemas={
                **ANSWERS,
                **money_schemas.ANSWERS,
                **receipts.SCHEMAS,
                **attempts.SCHEMAS,
                **imports.SCHEMAS,
                **BODIES,
                **money_schemas.BODIES,
            },
            headers=_HEADERS,
            path_parameters=_PATH_PARAMETERS,
            once_parameter=_KEY_PARAMETER,
            operations={**OPERATIONS, **receipts.OPERATIONS, **attempts.OPERATIONS, **imports.OPERATIONS},
            errors=errors(),
            problems={kind: kind.value for kind in ProblemKind},
            events=EVENTS,
            every_headers=("Recaudo-Request-Id",),
            once_headers=("Idempotent-Replayed",),
            once_errors=("idempotency_key_reused",),
        ),
    )
