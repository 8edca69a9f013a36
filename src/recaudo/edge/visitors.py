"""Whose request it is: the address that limits count by, behind however many proxies."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

# A provider hands a customer this many leading bits of an IPv6 address; the rest is the customer's to vary.
IPV6_CUSTOMER_BITS: Final = 64
ADDRESS_CHARS_MAX: Final = 64

_WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([^:]+):\d+")


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
