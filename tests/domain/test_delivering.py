"""When a telling is tried again, and when it is given up (OnePay 14.5)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from recaudo.domain.delivering import (
    GIVES_UP_AFTER,
    DeliveryState,
    Endpoint,
    Try,
    Verdict,
    judge,
)

NOW = datetime(2025, 10, 20, 15, 6, tzinfo=UTC)


def tried(status: int | None, *, at: datetime = NOW, retry_after_s: int | None = None) -> Try:
    return Try(at=at, status=status, error=None, latency_ms=3, answer="", retry_after_s=retry_after_s)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_any_2xx_is_success(status: int) -> None:
    verdict = judge(tried(status), tries=3, first_tried_at=NOW, chance=0.5)
    assert verdict == Verdict(DeliveryState.DELIVERED, None)


@pytest.mark.parametrize("status", [None, 199, 300, 301, 304, 400, 401, 404, 410, 429, 500, 503])
def test_anything_else_is_tried_again(status: int | None) -> None:
    verdict = judge(tried(status), tries=1, first_tried_at=NOW, chance=0)
    assert verdict == Verdict(DeliveryState.WAITING, NOW + timedelta(seconds=5))


# 5 s, 30 s, 2 min, 10 min, 30 min, 2 h, 5 h, then every 10 h.
SCHEDULE = [5, 30, 120, 600, 1800, 7200, 18000, 36000, 36000, 36000, 36000, 36000, 36000]


def test_the_waits_are_those_of_the_schedule_until_three_days_have_passed() -> None:
    at, waits = NOW, list[int]()
    for tries in range(1, 30):
        verdict = judge(tried(500, at=at), tries=tries, first_tried_at=NOW, chance=0)
        if verdict.next_try_at is None:
            assert verdict.state is DeliveryState.FAILED
            break
        waits.append(int((verdict.next_try_at - at).total_seconds()))
        at = verdict.next_try_at
    # 27 755 s by the seventh wait; six more of ten hours make 243 755 s; one more would pass 259 200 s.
    assert waits == SCHEDULE
    assert at == NOW + timedelta(seconds=243_755)


@given(st.integers(1, 20), st.floats(0, 1), st.none() | st.integers(0, 100_000))
def test_a_wait_is_never_shorter_than_the_schedule_nor_much_longer(
    tries: int, chance: float, retry_after_s: int | None
) -> None:
    verdict = judge(tried(503, retry_after_s=retry_after_s), tries=tries, first_tried_at=NOW, chance=chance)
    assert verdict.next_try_at is not None
    base = SCHEDULE[min(tries, 8) - 1]
    wait_s = (verdict.next_try_at - NOW).total_seconds()
    assert base <= wait_s <= max(base * 1.1, min(retry_after_s or 0, 36_000)) + 1e-3
    assert wait_s >= min(retry_after_s or 0, 36_000)


def test_a_try_that_would_come_after_three_days_is_not_made() -> None:
    late = NOW + GIVES_UP_AFTER - timedelta(hours=9)
    assert judge(tried(500, at=late), tries=12, first_tried_at=NOW, chance=0).state is DeliveryState.FAILED


def test_the_old_secret_signs_until_the_overlap_is_over() -> None:
    endpoint = Endpoint(
        account_id=UUID(int=1),
        id=UUID(int=2),
        dialect="onepay",
        name="ERP",
        description=None,
        url="https://erp.example.com",
        types=("invoice.paid",),
        secret="new",
        token="",
        old_secret="old",
        old_secret_until=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    assert endpoint.secrets_at(NOW - timedelta(seconds=1)) == ("new", "old")
    assert endpoint.secrets_at(NOW) == ("new",)
