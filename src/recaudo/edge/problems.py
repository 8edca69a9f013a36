"""What can be wrong with a request before its meaning is looked at. Each dialect has one table of answers for these.

Problem
├── kind says which one; the dialect chooses status, code and words
├── about is the header at fault, or the limit that was passed
└── headers are sent with whatever the dialect answers
"""

from collections.abc import Sequence
from enum import StrEnum


class ProblemKind(StrEnum):
    BODY_TOO_LARGE = "body_too_large"
    UNAUTHENTICATED = "unauthenticated"
    ACCOUNT_INACTIVE = "account_inactive"
    FORBIDDEN = "forbidden"
    TOO_MANY_REQUESTS = "too_many_requests"
    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    MALFORMED_JSON = "malformed_json"
    QUERY_TOO_LONG = "query_too_long"
    KEY_MISSING = "key_missing"
    KEY_MALFORMED = "key_malformed"
    KEY_IN_PROGRESS = "key_in_progress"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"


class Problem(Exception):
    """A request that goes no further."""

    def __init__(self, kind: ProblemKind, *, headers: Sequence[tuple[str, str]] = (), about: str | None = None) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.headers = tuple(headers)
        self.about = about
