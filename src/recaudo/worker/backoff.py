"""How long to wait before trying again."""

from datetime import timedelta

_WAITS_S = (5, 30, 120, 600, 1800, 3600)


def wait_after(tries: int) -> timedelta:
    """The wait after so many failed tries: five seconds at first, an hour at most."""
    return timedelta(seconds=_WAITS_S[min(max(tries, 1), len(_WAITS_S)) - 1])
