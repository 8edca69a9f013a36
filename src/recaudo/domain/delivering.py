"""Telling an endpoint what happened: when a telling is tried again, when it is given up, what holds back what.

OnePay specification, 14.5, and Treli specification, 15.4: the same rules in both dialects.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

WAITS_S = (5, 30, 120, 600, 1800, 7200, 18_000)
"""Seconds from one try to the next; after the last of them every LAST_WAIT_S."""
LAST_WAIT_S = 36_000
JITTER = 0.1
GIVES_UP_AFTER = timedelta(days=3)
HOLDS_BACK_FOR = timedelta(hours=1)
"""Later events of the same invoice wait for an earlier one for this long after its first try."""
FAILING_AFTER = timedelta(hours=1)
"""An endpoint without a success for this long is failing, and the account's other endpoints are told."""
RETRY_AFTER_S_MAX = 36_000

ENDPOINTS_MAX = 20
"""Endpoints of one account in one dialect."""


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up: kept for people to see and replay
    DROPPED = "dropped"  # its endpoint was deleted


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to know what happened. Secrets are in clear: this never leaves the process as it is."""

    account_id: UUID
    id: UUID
    dialect: str
    name: str
    description: str | None
    url: str
    types: tuple[str, ...]  # in the dialect's words
    secret: str  # signs
    token: str  # OnePay's static `x-webhook-token`; empty in dialects without one
    old_secret: str | None = None
    old_secret_until: datetime | None = None  # on the account's clock
    created_at: datetime
    updated_at: datetime
    failing_since: datetime | None = None  # real time; None after a success

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """The secrets that sign at an instant of the account's clock, newest first."""
        if self.old_secret is None or self.old_secret_until is None or now >= self.old_secret_until:
            return (self.secret,)
        return (self.secret, self.old_secret)


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one try to tell. `status` is None when there was no answer; then `error` says why."""

    at: datetime  # real time
    status: int | None
    error: str | None
    latency_ms: int
    answer: str  # the beginning of what was answered, for people
    retry_after_s: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status <= 299


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a delivery after a try: its state, and when it is tried again."""

    state: DeliveryState
    next_try_at: datetime | None


def judge(it: Try, *, tries: int, first_tried_at: datetime, chance: float) -> Verdict:
    """What becomes of a delivery after its `tries`-th try. `chance` is between 0 and 1; instants are real time."""
    if it.succeeded:
        return Verdict(DeliveryState.DELIVERED, None)
    wait_s = WAITS_S[tries - 1] if tries <= len(WAITS_S) else LAST_WAIT_S
    wait_s = max(wait_s * (1 + JITTER * chance), min(it.retry_after_s or 0, RETRY_AFTER_S_MAX))
    again = it.at + timedelta(seconds=wait_s)
    if again > first_tried_at + GIVES_UP_AFTER:
        return Verdict(DeliveryState.FAILED, None)
    return Verdict(DeliveryState.WAITING, again)
