"""Who used the processors: CPU seconds of process trees, and of everything else on the machine."""

from dataclasses import dataclass

import psutil


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process, its living descendants, and those of its children that it has reaped."""
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


@dataclass(frozen=True)
class Machine:
    """What all processors did since they were started."""

    busy_s: float
    stolen_s: float  # by the host of a virtual machine

    @classmethod
    def now(cls) -> "Machine":
        times = psutil.cpu_times()
        stolen_s = getattr(times, "steal", 0.0)
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        # Guests' time is part of the user time already.
        guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return cls(busy_s=sum(times) - idle_s - stolen_s - guests_s, stolen_s=stolen_s)
