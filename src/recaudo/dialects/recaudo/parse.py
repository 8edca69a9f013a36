"""Bodies of our own additions as commands."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from recaudo.dialects.recaudo.errors import InvalidError
from recaudo.domain import money

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
    again = body.get("again", False)
    if not isinstance(again, bool):
        raise InvalidError("again", "Must be true or false.")
    return SandboxPayment(
        outcome=outcome,
        method=method,
        amount_minor=None if amount is None else money.from_units(amount, currency),
        again=again,
    )
