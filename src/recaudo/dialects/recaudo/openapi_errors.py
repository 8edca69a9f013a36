"""The errors of our own additions: when each happens, and the answer as it would be given."""

from collections.abc import Mapping

import msgspec

from recaudo.dialects.recaudo import imports
from recaudo.dialects.recaudo.errors import (
    GATEWAY_SILENT,
    KIND_TAKEN,
    PROBLEMS,
    REFUND_NOT_SUPPORTED,
    REFUSALS,
    busy_message,
    error_reply,
    invalid_reply,
)
from recaudo.dialects.recaudo.parse import METHODS
from recaudo.dialects.recaudo.parse_attempts import CARD_NUMBER, TERMS
from recaudo.dialects.recaudo.parse_money import SETTLED
from recaudo.dialects.recaudo.receipts import WHY_NOT, refused
from recaudo.domain.delivering import ENDPOINTS_MAX
from recaudo.domain.states import Refusal
from recaudo.domain.undoing import NotUndoableError
from recaudo.edge.http import Reply
from recaudo.edge.openapi import ErrorCase, Json
from recaudo.edge.problems import ProblemKind
from recaudo.usecases.imports import EmptyFileError, GivenUpError, TooManyImportsError

_HEADERS_OF: Mapping[ProblemKind, tuple[str, ...]] = {
    ProblemKind.UNAUTHENTICATED: ("WWW-Authenticate",),
    ProblemKind.METHOD_NOT_ALLOWED: ("Allow",),
    ProblemKind.TOO_MANY_REQUESTS: ("Retry-After",),
    ProblemKind.KEY_IN_PROGRESS: ("Retry-After",),
    ProblemKind.UNAVAILABLE: ("Retry-After",),
}


def _case(reply: Reply, when: str, *, headers: tuple[str, ...] = ()) -> ErrorCase:
    body: Json = msgspec.json.decode(reply.body)
    return ErrorCase(status=reply.status, code=body["code"], when=when, body=body, headers=headers)


def _invalid(field: str, message: str, when: str = "A field is wrong.") -> ErrorCase:
    return _case(error_reply(422, "validation_error", message, field=field), when)


def _bad_query(field: str, message: str, when: str) -> ErrorCase:
    return _case(error_reply(400, "invalid_query", message, field=field), when)


def _missing(when: str) -> ErrorCase:
    return _case(error_reply(404, "not_found", "There is no such object."), when)


def imports_answer(error: Exception) -> Reply:
    """What an error about a file is answered."""
    found = imports.answer(error)
    assert found is not None, "it is one of those"
    return found


def _refusal(refusal: Refusal, message: str) -> ErrorCase:
    return _case(error_reply(409, refusal.value, message), message)


def _money_errors() -> dict[str, ErrorCase]:
    return {
        "gateway_kind_taken": _case(
            error_reply(409, "gateway_kind_taken", KIND_TAKEN), "The account has a gateway of this kind."
        ),
        "gateway_busy": _case(
            error_reply(409, "gateway_busy", busy_message(3)), "Attempts or refunds wait for the gateway's answer."
        ),
        "refund_not_supported": _case(
            error_reply(409, "refund_not_supported", REFUND_NOT_SUPPORTED),
            "The gateway gives no money back over its API, or the money came through none.",
        ),
        "validation_error_gateway": _case(
            invalid_reply(
                {
                    "credentials.public_key": "This public key is one of Wompi's production; a test account needs one "
                    "that begins with pub_test_",
                    "credentials.events_secret": "Wompi's events secret begins with test_events_",
                }
            ),
            "Credentials that cannot work, all of them named: missing, wrongly begun, of the other environment.",
        ),
        "validation_error_kind": _invalid("kind", "Must be one of mercadopago, wompi.", "There is no such kind."),
        "validation_error_refund": _invalid("evidence", "Must be text of 1 to 500 characters."),
        "validation_error_resolution": _invalid("resolution", "Must be text of 1 to 500 characters."),
    }


def _starting_errors() -> dict[str, ErrorCase]:
    return {
        "not_found_collection": _missing("There is no such collection."),
        "not_found_attempt": _missing("There is no such attempt."),
        "invalid_query_amount": _bad_query(
            "amount_minor",
            "Must be a whole number of minor units (cents) above 0.",
            "A parameter is unknown or no amount.",
        ),
        "validation_error_attempt": _case(
            invalid_reply({"payer.card_token": CARD_NUMBER, "accepted_terms": TERMS}),
            "Members that are missing, wrong or unknown, all of them named; or a card's number, wherever it stands.",
        ),
        "gateway_silent": _case(
            error_reply(503, "gateway_silent", GATEWAY_SILENT),
            "The gateway does not tell its banks or its terms now. Nothing was begun.",
            headers=("Retry-After",),
        ),
    }


def errors() -> dict[str, ErrorCase]:
    """Every case by its name, in the order in which they are shown."""
    problems = {
        kind.value: _case(error_reply(status, kind.value, message), message, headers=_HEADERS_OF.get(kind, ()))
        for kind, (status, message) in PROBLEMS.items()
    }
    return {
        **problems,
        "invalid_query": _bad_query(
            "limit", "Must be a whole number from 1 to 100.", "A parameter is unknown or out of range."
        ),
        "invalid_query_cursor": _bad_query(
            "cursor",
            "Is none that this account was given for this list.",
            "The cursor is of another list or account, or none at all.",
        ),
        "not_found": _missing("There is no such payment."),
        "not_found_endpoint": _missing("There is no such endpoint, or it was removed."),
        "not_found_delivery": _missing("There is no such delivery."),
        "invalid_query_open": _bad_query("open", "Must be one of true, false.", "A parameter is unknown or wrong."),
        "not_found_replay": _missing("There is no such replay."),
        "not_found_gateway": _missing("There is no such gateway."),
        "not_found_receipt": _missing("There is no such receipt."),
        "not_found_refund": _missing("There is no such refund."),
        "not_found_suspense": _missing("There is no such entry."),
        "not_found_invoice": _missing("There is no such invoice."),
        "not_found_withholding": _missing("Nothing is withheld under this retention of this invoice."),
        "test_accounts_only": _case(
            error_reply(403, "test_accounts_only", "Only test accounts can do this."), "The account is a live one."
        ),
        "idempotency_key_reused": _case(
            error_reply(409, "idempotency_key_reused", "The idempotency key was used with another body."),
            "The key was used with another body.",
        ),
        "webhook_limit": _case(
            error_reply(409, "webhook_limit", f"The account has {ENDPOINTS_MAX} webhooks in this dialect."),
            f"The account has {ENDPOINTS_MAX} endpoints in this dialect.",
        ),
        "method_not_allowed_here": _case(
            error_reply(409, "method_not_allowed_here", "This payment does not take that method."),
            "The payment does not take that method.",
        ),
        **{refusal.value: _refusal(refusal, message) for refusal, message in REFUSALS.items()},
        **{why.value: _case(refused(NotUndoableError(why)), message) for why, message in WHY_NOT.items()},
        "validation_error_reason": _invalid("reason", "Must be text of 1 to 255 characters."),
        "validation_error_certificate": _invalid("number", "Must be text of 1 to 50 characters."),
        "validation_error_clock": _invalid("now", "A test clock only moves forward."),
        "validation_error_payment": _invalid("method", f"Must be one of {', '.join(METHODS)}."),
        "validation_error_endpoint": _invalid("url", "Must not lead into a private or local network."),
        "validation_error_settle": _invalid("state", f"Must be one of {', '.join(SETTLED)}."),
        "validation_error_overlap": _invalid("overlap_hours", "Must be a whole number from 0 to 168."),
        "validation_error_replay": _invalid(
            "from",
            "Say which events: event_ids, a time range from `from` on, or only_failed.",
            "A field is wrong, or nothing says which events.",
        ),
        **_money_errors(),
        **_starting_errors(),
        "not_found_import": _missing("There is no such import, or it was forgotten."),
        "invalid_query_import": _bad_query("dates", "Must be one of iso, dmy.", "A parameter is unknown or wrong."),
        "too_many_imports": _case(imports_answer(TooManyImportsError()), imports.TOO_MANY),
        "upload_given_up": _case(imports_answer(GivenUpError()), imports.GIVEN_UP),
        "empty_file": _case(imports_answer(EmptyFileError()), imports.EMPTY),
        "too_many_waiting": _case(
            error_reply(429, "too_many_waiting", "Too many requests of this account wait."),
            "20 requests of this account wait for events already.",
            headers=("Retry-After",),
        ),
    }
