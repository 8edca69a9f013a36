"""How often one visitor may ask: guessing must be slow, and nobody may be locked out of paying by their neighbours.

Thousands of phones share one address behind a carrier's network, and all payers do when the operator forgot to say
how many proxies stand in front. So an address alone is only limited far above what people do. Paying is counted per
link, which nobody can guess, and looking things up per merchant.
"""

import time
from collections.abc import Hashable
from typing import Final

import msgspec

from recaudo.edge.limits import RateLimiter


class Allowance(msgspec.Struct, frozen=True):
    """So many at once, and so many per second after that."""

    burst: float
    per_second: float


# Pages of one address. One process makes some hundreds per second; a thousand waiting phones ask for fifty.
VIEWS: Final = Allowance(1000, 50)
# Forms posted to one link from one address: a payer who mistypes and tries every method needs about ten.
POSTS: Final = Allowance(20, 0.2)
# Questions to a gateway about one payment because a browser came back: the schedule asks anyway.
RETURNS: Final = Allowance(5, 0.1)
# Look-ups in one merchant's portal from one address: a thousand guesses take more than an hour.
LOOKUPS: Final = Allowance(30, 0.2)
# Look-ups in one merchant's portal from everywhere, against guessing from many addresses.
PORTAL: Final = Allowance(200, 20)


def wait_s(limiter: RateLimiter, allowance: Allowance, *key: Hashable) -> int:
    """Take one from what is allowed under this key: 0, or the seconds to wait."""
    return limiter.wait_s(key, per_second=allowance.per_second, burst=allowance.burst, monotonic_s=time.monotonic())
