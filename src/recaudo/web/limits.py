"""How often one visitor may ask: guessing must be slow, and nobody may be locked out of paying by their neighbours.

Thousands of phones share one address behind a carrier's network, and all payers do when the operator forgot to say
how many proxies stand in front. So an address alone is only limited far above what people do. Paying is counted per
link, which nobody can guess, and looking things up per merchant.
"""

import ipaddress
import re
import time
from collections.abc import Hashable, Sequence
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

# A provider hands a customer this many leading bits of an IPv6 address; the rest is the customer's to vary.
IPV6_CUSTOMER_BITS: Final = 64
ADDRESS_CHARS_MAX: Final = 64


def wait_s(limiter: RateLimiter, allowance: Allowance, *key: Hashable) -> int:
    """Take one from what is allowed under this key: 0, or the seconds to wait."""
    return limiter.wait_s(key, per_second=allowance.per_second, burst=allowance.burst, monotonic_s=time.monotonic())


def visitor_address(peer: str | None, forwarded_for: Sequence[str], *, proxy_hops: int) -> str:
    """Whose request this is, as far as it can be trusted.

    `forwarded_for` holds every X-Forwarded-For header. Each proxy adds at the end whom it talked to, so the address is
    as many steps back as there are proxies; what stands before that was written by the visitor and counts for nothing.
    """
    steps = [step.strip() for line in forwarded_for for step in line.split(",") if step.strip()]
    told = steps[-proxy_hops] if 0 < proxy_hops <= len(steps) else peer or "unknown"
    return _customer(told)


def _customer(address: str) -> str:
    """The address without what its holder can change at will: a port, the lower half of IPv6."""
    with_port = _WITH_PORT.fullmatch(address)
    bare = address if with_port is None else with_port[1] or with_port[2]
    try:
        parsed = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return address[:ADDRESS_CHARS_MAX]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_CUSTOMER_BITS), strict=False).network_address)


_WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([^:]+):\d+")
