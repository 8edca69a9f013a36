"""What a driver counted, whether it is pgbench or the load generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Driven:
    """Speed and latency of the measured seconds; `acknowledged` and `cpu_s`, the driver's own, of the warm-up too."""

    acknowledged: int
    per_second: float
    p50_us: float
    p99_us: float
    cpu_s: float

    @classmethod
    def of(cls, latencies_us: Sequence[float], *, seconds: float, acknowledged: int, cpu_s: float) -> "Driven":
        """From the latency of each invoice that was created in the measured seconds."""
        ordered = sorted(latencies_us)
        return cls(
            acknowledged=acknowledged,
            per_second=len(ordered) / seconds,
            p50_us=percentile(ordered, 50),
            p99_us=percentile(ordered, 99),
            cpu_s=cpu_s,
        )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all values do not exceed; 0 of none."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0
