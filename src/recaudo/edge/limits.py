"""Rate limits by token bucket, in the process's memory: each server process counts on its own."""

import math
from collections import OrderedDict
from collections.abc import Hashable

BUCKETS_MAX = 50_000


class RateLimiter:
    """Token buckets by key. The least recently used are forgotten when there are too many."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: Hashable, *, per_second: float, burst: float, monotonic_s: float) -> int:
        """Take one token: 0 when there was one, else the whole seconds until there will be. A rate of 0 is no limit."""
        if per_second <= 0:
            return 0
        tokens, at_s = self._buckets.get(key, (burst, monotonic_s))
        # Requests that began together come here in any order: time never runs backwards in a bucket.
        now_s = max(at_s, monotonic_s)
        tokens = min(burst, tokens + (now_s - at_s) * per_second)
        wait_s = 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / per_second))
        self._buckets[key] = (tokens if wait_s else tokens - 1, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return wait_s
