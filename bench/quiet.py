"""Other programs on the machine spoil figures: waiting until they rest, for as long as one is willing to."""

import time

import psutil

# As much of the machine as may be busy before a phase.
BUSY_PERCENT = 5.0
PROBE_S = 1.0


class Patience:
    """Seconds that may be spent on waiting and on measuring again, in one run."""

    def __init__(self, seconds: float) -> None:
        self._left_s = seconds

    @property
    def is_left(self) -> bool:
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        self._left_s -= seconds

    def wait_for_quiet(self) -> None:
        """Return when nothing else runs, or when patience is at its end."""
        while self.is_left:
            began_s = time.monotonic()
            if psutil.cpu_percent(PROBE_S) < BUSY_PERCENT:
                return
            self.spend(time.monotonic() - began_s)
