"""Token buckets: what passes, how long to wait, and time that seems to run backwards."""

from recaudo.edge.limits import BUCKETS_MAX, RateLimiter


def test_a_burst_passes_and_then_the_rate_does() -> None:
    limiter = RateLimiter()
    waits = [limiter.wait_s("a", per_second=2, burst=3, monotonic_s=10.0) for _ in range(4)]
    assert waits == [0, 0, 0, 1]
    assert limiter.wait_s("a", per_second=2, burst=3, monotonic_s=10.4) == 1
    assert limiter.wait_s("a", per_second=2, burst=3, monotonic_s=10.5) == 0


def test_the_wait_is_in_whole_seconds_rounded_up() -> None:
    limiter = RateLimiter()
    assert limiter.wait_s("a", per_second=0.4, burst=1, monotonic_s=0.0) == 0
    assert limiter.wait_s("a", per_second=0.4, burst=1, monotonic_s=0.0) == 3
    assert limiter.wait_s("a", per_second=0.4, burst=1, monotonic_s=2.5) == 0


def test_a_rate_of_zero_is_no_limit() -> None:
    limiter = RateLimiter()
    assert {limiter.wait_s("a", per_second=0, burst=0, monotonic_s=0.0) for _ in range(9)} == {0}


def test_a_rest_never_saves_more_than_a_burst() -> None:
    limiter = RateLimiter()
    limiter.wait_s("a", per_second=1, burst=2, monotonic_s=0.0)
    waits = [limiter.wait_s("a", per_second=1, burst=2, monotonic_s=1000.0) for _ in range(3)]
    assert waits == [0, 0, 1]


def test_requests_that_began_in_another_order_lose_nothing() -> None:
    limiter = RateLimiter()
    assert limiter.wait_s("a", per_second=1, burst=1, monotonic_s=5.0) == 0
    assert limiter.wait_s("a", per_second=1, burst=1, monotonic_s=4.0) == 1
    assert limiter.wait_s("a", per_second=1, burst=1, monotonic_s=6.0) == 0


def test_each_key_has_a_bucket_and_the_oldest_is_forgotten() -> None:
    limiter = RateLimiter()
    assert limiter.wait_s("first", per_second=1, burst=1, monotonic_s=0.0) == 0
    assert limiter.wait_s("first", per_second=1, burst=1, monotonic_s=0.0) == 1
    for number in range(BUCKETS_MAX):
        assert limiter.wait_s(number, per_second=1, burst=1, monotonic_s=0.0) == 0
    assert limiter.wait_s("first", per_second=1, burst=1, monotonic_s=0.0) == 0
