"""Errors of our own additions: a code to program against and plain words for developers."""

from collections.abc import Mapping, Sequence

import msgspec

from recaudo.domain.states import Refusal
from recaudo.edge.http import Reply
from recaudo.edge.problems import ProblemKind

PROBLEMS: Mapping[ProblemKind, tuple[int, str]] = {
    ProblemKind.BODY_TOO_LARGE: (413, "The body is larger than 1 MiB."),
    ProblemKind.UNAUTHENTICATED: (401, "The API key is missing, unknown or revoked."),
    ProblemKind.ACCOUNT_INACTIVE: (403, "The account is suspended."),
    ProblemKind.FORBIDDEN: (403, "Use a secret key (sk_...)."),
    ProblemKind.TOO_MANY_REQUESTS: (429, "Too many requests; wait as Retry-After says."),
    ProblemKind.ROUTE_NOT_FOUND: (404, "There is no such path."),
    ProblemKind.METHOD_NOT_ALLOWED: (405, "The path does not take this method; see Allow."),
    ProblemKind.UNSUPPORTED_MEDIA_TYPE: (415, "Send Content-Type: application/json."),
    ProblemKind.MALFORMED_JSON: (400, "The body must be one JSON object in UTF-8."),
    ProblemKind.QUERY_TOO_LONG: (400, "The query has more than 100 parameters."),
    ProblemKind.KEY_MISSING: (422, "The Idempotency-Key header is required."),
    ProblemKind.KEY_MALFORMED: (422, "The Idempotency-Key header must have 1 to 255 printable ASCII characters."),
    ProblemKind.KEY_IN_PROGRESS: (409, "Another request with this key is running."),
    ProblemKind.UNAVAILABLE: (503, "The server is starting, stopping, or its database is away."),
    ProblemKind.INTERNAL_ERROR: (500, "A fault of the server. Nothing was written."),
}

PRECISELY: Mapping[ProblemKind, str] = {
    ProblemKind.BODY_TOO_LARGE: "The body is larger than {}.",
    ProblemKind.UNSUPPORTED_MEDIA_TYPE: "Send one of these as Content-Type: {}.",
}
"""Where a route has rules of its own, and says which."""

PAYING_REFUSALS: Mapping[Refusal, str] = {
    Refusal.COLLECTION_PAID: "It is paid already.",
    Refusal.COLLECTION_CANCELLED: "It was cancelled.",
    Refusal.COLLECTION_EXPIRED: "Its time is over.",
    Refusal.INVOICE_PAID: "The invoice is paid already.",
    Refusal.INVOICE_VOID: "The invoice was withdrawn.",
    Refusal.INVOICE_UNCOLLECTIBLE: "The invoice is marked as uncollectible.",
    Refusal.ATTEMPT_IN_PROGRESS: "An earlier attempt is not decided yet; send again=true to pay all the same.",
    Refusal.AMOUNT_NOT_ALLOWED: "This amount is not allowed for the next part.",
}
REFUSALS: Mapping[Refusal, str] = {
    **PAYING_REFUSALS,
    Refusal.REFUND_ABOVE_RECEIPT: "It is more than is left of the receipt; open refunds count as given back.",
    Refusal.RECEIPT_IS_REFUND: "The receipt is itself money that went back.",
    Refusal.RECEIPT_DISPUTED: "The payer disputes this money with their bank. Answer that in the vendor's panel: money "
    "that is given back now would go back twice if the dispute is lost.",
    Refusal.REFUND_NOT_OPEN: "The refund has ended, or its gateway has not been asked for it yet.",
    Refusal.NOTHING_TO_ASK_FOR: "Nothing of the invoice is owed that is not asked for already.",
}
REFUND_NOT_SUPPORTED = (
    "This money cannot be given back by an API. What a gateway collected, give back in its panel and record here with "
    "way=panel and evidence. What you registered yourself is undone: POST /receipts/{id}/undo."
)
GATEWAY_SILENT = "The gateway does not tell its banks or its terms now. Try again, or offer another method."
KIND_TAKEN = "The account has a gateway of this kind already: change that one."


class InvalidError(Exception):
    """A field that cannot be used."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class InvalidFieldsError(Exception):
    """Fields that cannot be used, and what is wrong with each."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class InvalidQueryError(Exception):
    """A parameter of the query that cannot be used."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def error_reply(
    status: int, code: str, message: str, *, field: str | None = None, headers: Sequence[tuple[str, str]] = ()
) -> Reply:
    """`{code, message, errors}`; `errors` names the field at fault, if one is."""
    errors = [] if field is None else [{"field": field, "message": message}]
    return _reply(status, code, message, errors, headers=headers)


def invalid_reply(problems: Mapping[str, str]) -> Reply:
    """422 for several fields at once: what is wrong with each, by its path."""
    errors = [{"field": field, "message": message} for field, message in problems.items()]
    message = errors[0]["message"] if len(errors) == 1 else f"{len(errors)} fields are wrong; see errors."
    return _reply(422, "validation_error", message, errors)


def busy_message(waiting: int) -> str:
    """Why a gateway is not removed, and what to do instead."""
    whom = "1 attempt or refund waits" if waiting == 1 else f"{waiting} attempts or refunds wait"
    return f"{whom} for its answer. Switch it off with enabled=false, and remove it when they are decided."


def _reply(
    status: int,
    code: str,
    message: str,
    errors: Sequence[Mapping[str, str]],
    *,
    headers: Sequence[tuple[str, str]] = (),
) -> Reply:
    body = {"code": code, "message": message, "errors": errors}
    return Reply(status=status, body=msgspec.json.encode(body), headers=headers)
