"""Who used the processors: CPU seconds of process trees, and of the whole machine."""

import time
from dataclasses import astuple, dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, by whom, and a clock. The difference of two is what happened in between."""

    server_s: float
    postgres_s: float
    machine_s: float
    stolen_s: float  # by the host of a virtual machine
    wall_s: float

    @classmethod
    def now(cls, *, server_pid: int | None, postgres_pid: int) -> "Usage":
        machine_s, stolen_s = _machine_s()
        return cls(
            server_s=0.0 if server_pid is None else _tree_s(server_pid),
            postgres_s=_tree_s(postgres_pid),
            machine_s=machine_s,
            stolen_s=stolen_s,
            wall_s=time.monotonic(),
        )

    def __sub__(self, before: "Usage") -> "Usage":
        return Usage(*(ours - theirs for ours, theirs in zip(astuple(self), astuple(before), strict=True)))


def _tree_s(pid: int) -> float:
    """Of a process, its living descendants, and those of its children that ended."""
    root = psutil.Process(pid)
    total_s = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total_s += times.user + times.system
        if process == root:
            total_s += times.children_user + times.children_system
    return total_s


def _machine_s() -> tuple[float, float]:
    """Busy and stolen; platforms count more or fewer kinds of time."""
    times = psutil.cpu_times()
    stolen_s = getattr(times, "steal", 0.0)
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    # Guests' time is part of the user time already.
    guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return sum(times) - idle_s - stolen_s - guests_s, stolen_s
