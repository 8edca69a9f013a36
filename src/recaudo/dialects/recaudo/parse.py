"""Bodies of our own additions as commands."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from recaudo.dialects.recaudo.errors import InvalidError
from recaudo.domain import money
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.references import from_base62
from recaudo.usecases.ports import WebhookDialect
from recaudo.usecases.replays import AskReplay
from recaudo.usecases.webhooks import NewEndpoint

URL_CHARS_MAX = 500
REASON_CHARS_MAX = 255
CERTIFICATE_CHARS_MAX = 50
OVERLAP_HOURS_MAX = 168
REPLAYED_IDS_MAX = 1000
# A test clock may be moved by this much at once: enough for any due date.
ADVANCE_SECONDS_MAX = 366 * 86_400 * 10
OUTCOMES = (
    "approve",
    "decline",
    "pending_then_approve",
    "never_answer",
    "approve_twice",
    "settle_after_replacement",
)
METHODS = ("card", "pse", "nequi", "breb")


class SandboxPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Pay a test payment without its page. `amount_minor` None pays what is owed."""

    outcome: str
    method: str
    amount_minor: int | None
    again: bool


def parse_clock(body: Mapping[str, Any], now: datetime) -> datetime:
    """The instant a test clock is set to: `now` (RFC 3339) or `advance_seconds`. Raises InvalidError."""
    if ("now" in body) == ("advance_seconds" in body):
        raise InvalidError("now", "Send either now or advance_seconds.")
    if "advance_seconds" in body:
        seconds = body["advance_seconds"]
        if type(seconds) is not int or not 0 <= seconds <= ADVANCE_SECONDS_MAX:
            raise InvalidError("advance_seconds", f"Must be a whole number from 0 to {ADVANCE_SECONDS_MAX}.")
        return now + timedelta(seconds=seconds)
    try:
        wanted = datetime.fromisoformat(str(body["now"]))
    except ValueError:
        raise InvalidError("now", "Must be an instant such as 2025-10-20T15:06:00Z.") from None
    if wanted.tzinfo is None:
        raise InvalidError("now", "Must say its offset, for example with a Z at the end.")
    if wanted < now:
        raise InvalidError("now", "A test clock only moves forward.")
    if wanted - now > timedelta(seconds=ADVANCE_SECONDS_MAX):
        raise InvalidError("now", "Is too far ahead.")
    return wanted


# --- Webhooks ---


def parse_new_endpoint(body: Mapping[str, Any], dialects: Mapping[str, WebhookDialect]) -> NewEndpoint:
    """The endpoint that POST /webhooks asks for. Raises InvalidError."""
    dialect = body.get("dialect")
    if not isinstance(dialect, str) or dialect not in dialects:
        raise InvalidError("dialect", f"Must be one of {', '.join(dialects)}.")
    return NewEndpoint(
        dialect=dialect,
        name=read_text(body, "name", 255),
        description=None if body.get("description") is None else read_text(body, "description", 500),
        url=_url(body.get("url")),
        types=_types(body.get("types"), dialects[dialect]),
    )


def parse_changed_endpoint(body: Mapping[str, Any], dialect: WebhookDialect) -> dict[str, Any]:
    """What PUT /webhooks/{id} changes. Raises InvalidError."""
    values: dict[str, Any] = {}
    if "name" in body:
        values["name"] = read_text(body, "name", 255)
    if "description" in body:
        values["description"] = None if body["description"] is None else read_text(body, "description", 500)
    if "url" in body:
        values["url"] = _url(body["url"])
    if "types" in body:
        values["types"] = _types(body["types"], dialect)
    return values


def parse_overlap(body: Mapping[str, Any]) -> timedelta:
    """How long the old secret signs too: `overlap_hours`, 24 when absent. Raises InvalidError."""
    hours = body.get("overlap_hours", 24)
    if type(hours) is not int or not 0 <= hours <= OVERLAP_HOURS_MAX:
        raise InvalidError("overlap_hours", f"Must be a whole number from 0 to {OVERLAP_HOURS_MAX}.")
    return timedelta(hours=hours)


def read_text(body: Mapping[str, Any], name: str, chars_max: int, *, path: str = "") -> str:
    """A member that must be text, without the space around it. Raises InvalidError."""
    value = body.get(name)
    trimmed = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(trimmed) <= chars_max or not trimmed.replace("\n", " ").replace("\t", " ").isprintable():
        raise InvalidError(f"{path}{name}", f"Must be text of 1 to {chars_max} characters.")
    return trimmed


def _url(value: object) -> str:
    trimmed = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(trimmed)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        good = False
    if not good or not trimmed.isprintable() or " " in trimmed or len(trimmed) > URL_CHARS_MAX:
        raise InvalidError(
            "url", f"Must be an https:// address without a user name, at most {URL_CHARS_MAX} characters."
        )
    return trimmed


def _types(value: object, dialect: WebhookDialect) -> tuple[str, ...]:
    return tuple(_words(value, "types", dialect.types, f"event type of {dialect.name}"))


def _words(value: object, field: str, known: Collection[str], what: str) -> list[str]:
    """A list of at least one word that is known; repeats are merged."""
    if not isinstance(value, list) or not value:
        raise InvalidError(field, "Must be a list of at least one event type.")
    for item in cast("list[object]", value):
        if not isinstance(item, str) or item not in known:
            raise InvalidError(field, f"{repr(item)[:60]} is no {what}; use {', '.join(known)}.")
    return list(dict.fromkeys(cast("list[str]", value)))


# --- Receipts and certificates ---


def parse_reason(body: Mapping[str, Any]) -> str:
    """Why a sum is undone. Raises InvalidError."""
    return read_text(body, "reason", REASON_CHARS_MAX)


def parse_certificate(body: Mapping[str, Any]) -> tuple[str, str | None]:
    """The number of a certificate of withheld tax, and where it can be read. Raises InvalidError."""
    number = read_text(body, "number", CERTIFICATE_CHARS_MAX)
    if body.get("url") is None:
        return number, None
    url = _url(body["url"])
    if urlsplit(url).scheme != "https":
        raise InvalidError("url", "Must begin with https://.")
    return number, url


# --- Events ---


def parse_replay(body: Mapping[str, Any]) -> AskReplay:
    """Which events are told again. Raises InvalidError."""
    ids = body.get("event_ids")
    wanted = AskReplay(
        event_ids=None if ids is None else _event_ids(ids),
        types=None if body.get("types") is None else _words(body["types"], "types", EVENT_TYPES, "event type"),
        since=_instant(body, "from"),
        until=_instant(body, "to"),
        endpoint_id=None if body.get("endpoint_id") is None else _uuid(body["endpoint_id"], "endpoint_id"),
        only_failed=read_flag(body, "only_failed"),
    )
    if wanted.event_ids is None and wanted.since is None and not wanted.only_failed:
        raise InvalidError("from", "Say which events: event_ids, a time range from `from` on, or only_failed.")
    if wanted.since is not None and wanted.until is not None and wanted.until <= wanted.since:
        raise InvalidError("to", "Must be after `from`.")
    return wanted


def read_flag(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """A member that is true or false. Raises InvalidError."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise InvalidError(name, "Must be true or false.")
    return value


def _event_ids(value: object) -> list[UUID]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not 1 <= len(items) <= REPLAYED_IDS_MAX:
        raise InvalidError("event_ids", f"Must be a list of 1 to {REPLAYED_IDS_MAX} event ids.")
    return [_event_id(item) for item in items]


def _event_id(value: object) -> UUID:
    digits = value.removeprefix("evt_") if isinstance(value, str) else ""
    number = from_base62(digits)
    if number is None:
        raise InvalidError("event_ids", "Each must look like evt_00031NFOhRbPW70ofLxC7oUb.")
    return UUID(int=number)


def _instant(body: Mapping[str, Any], name: str) -> datetime | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidError(name, "Must be an instant such as 2025-10-20T15:06:00Z.") from None
    if found.tzinfo is None or not 1971 <= found.year <= 9000:
        raise InvalidError(name, "Must be a real instant that says its offset, for example with a Z at the end.")
    return found.astimezone(UTC)


def _uuid(value: object, name: str) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise InvalidError(name, "Must be a UUID.") from None


def parse_sandbox_payment(body: Mapping[str, Any], currency: str) -> SandboxPayment:
    """What the sandbox is to do. Raises InvalidError."""
    outcome = body.get("outcome", "approve")
    if outcome not in OUTCOMES:
        raise InvalidError("outcome", f"Must be one of {', '.join(OUTCOMES)}.")
    method = body.get("method", "card")
    if method not in METHODS:
        raise InvalidError("method", f"Must be one of {', '.join(METHODS)}.")
    amount = body.get("amount")
    if amount is not None and (type(amount) is not int or not 0 < amount <= 10**12):
        raise InvalidError("amount", "Must be a whole number of currency units above 0.")
    return SandboxPayment(
        outcome=outcome,
        method=method,
        amount_minor=None if amount is None else money.from_units(amount, currency),
        again=read_flag(body, "again"),
    )
