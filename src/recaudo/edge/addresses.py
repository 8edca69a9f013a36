"""Where requests of ours may go: never into the server's own network, unless a setting allows it for development."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

import msgspec
from yarl import URL

RESOLVE_TIMEOUT_S = 3.0
_NAT64 = IPv6Network("64:ff9b::/96")
# Addresses that look public and are where clouds answer with credentials: Azure, Oracle.
_METADATA = frozenset({IPv4Address("168.63.129.16"), IPv4Address("192.0.0.192")})


class ForbiddenAddressError(OSError):
    """The address belongs to a private, loopback, link-local, metadata or otherwise special network."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is not on the public internet")


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, those wrapped into IPv6 included."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = _wrapped(address)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _METADATA


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def literal(host: str) -> str | None:
    """The IP address that a URL's host is, in any spelling that the system's resolver would take for one."""
    bare = _as_connected(host.strip("[]")).removesuffix(".")
    try:
        return str(ip_address(bare.partition("%")[0]))
    except ValueError:
        pass
    try:
        # 127.1, 0x7f000001, 2130706433: shorthands that the system reads as addresses.
        return socket.inet_ntoa(socket.inet_aton(bare))
    except (OSError, UnicodeEncodeError):
        return None


def _as_connected(host: str) -> str:
    """A host as the HTTP client connects to it: other scripts' digits may make an address that nobody resolves."""
    if host.isascii():
        return host
    try:
        return URL.build(scheme="http", host=host).raw_host or host
    except ValueError:
        return host


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host. Raises OSError when it has none."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_TIMEOUT_S):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def require_public(url: str) -> None:
    """Raise ForbiddenAddressError if a URL leads into a network that is not public now.

    A name that has no address, or none yet, passes: every connection checks again.
    """
    parts: SplitResult = urlsplit(url)
    host = parts.hostname or ""
    known = literal(host)
    if known is None:
        try:
            addresses = await resolve(host, parts.port or 443)
        except (OSError, TimeoutError, UnicodeError):
            return
    else:
        addresses = [known]
    if not all(is_public(address) for address in addresses):
        raise ForbiddenAddressError(host)


class UrlPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator allows beyond the public internet over https, for development."""

    allow_http: bool = False
    allow_private: bool = False

    def allows_scheme(self, url: str, *, is_test: bool) -> bool:
        """Https always; http for test accounts, or where the operator allows it."""
        scheme = urlsplit(url).scheme
        return scheme == "https" or (scheme == "http" and (is_test or self.allow_http))

    async def allows_host(self, url: str) -> bool:
        """Whether a URL leads to where requests may go."""
        if self.allow_private:
            return True
        try:
            await require_public(url)
        except ForbiddenAddressError:
            return False
        return True
