"""One try to tell an endpoint: a POST that trusts nothing it is answered."""

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from recaudo.domain.delivering import RETRY_AFTER_S_MAX, Try
from recaudo.edge.addresses import ForbiddenAddressError, is_public, literal

TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 64 * 1024
ANSWER_KEPT_CHARS = 1024
ERROR_CHARS_MAX = 300
DNS_KEPT_S = 10
RESOLVING_MAX = 32


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those that lead into a private network unless that is allowed.

    It has threads of its own: a name server that does not answer must not hold up the other endpoints' look-ups.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(RESOLVING_MAX, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises ForbiddenAddressError if any of them is not public."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, family=family)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        addresses = [str(address[0]) for *_, address in found]
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise ForbiddenAddressError(host)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
            for address, (kind, _, proto, _, _) in zip(addresses, found, strict=True)
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Sender:
    """Sends tries concurrently over kept connections. One per worker process, used inside `async with`."""

    def __init__(self, *, allow_private_networks: bool, connections_max: int) -> None:
        self._allow_private = allow_private_networks
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self._connections_max,
            # An address that was checked is good for a moment, and for as long as its connection is kept.
            resolver=GuardedResolver(allow_private=self._allow_private),
            ttl_dns_cache=DNS_KEPT_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),  # send has its own
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, at: datetime, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Try:
        """POST a body now, which is `at`. Never raises: whatever goes wrong is told in the result."""
        started_s = time.monotonic()
        try:
            # The head alone: once a status is there, it counts.
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._post(url, headers, body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            return failed(at, _explain(error), latency_ms=_elapsed_ms(started_s))
        try:
            status, answered = response.status, response.headers
            return Try(
                at=at,
                status=status,
                error=None if 200 <= status <= 299 else _storable(_refusal(status, answered)),
                latency_ms=_elapsed_ms(started_s),
                answer=_readable(await _beginning(response)),
                retry_after_s=_retry_after_s(answered.get("Retry-After"), at),
            )
        finally:
            response.release()

    async def _post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> aiohttp.ClientResponse:
        assert self._session is not None, "used inside `async with`"
        if not self._allow_private:
            # A host that is an address is connected to without asking the resolver.
            known = literal(urlsplit(url).hostname or "")
            if known is not None and not is_public(known):
                raise ForbiddenAddressError(known)
        return await self._session.post(url, data=body, headers=list(headers), allow_redirects=False)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of an answer. Its status is known by now, so an answer that never ends is no failure."""
    if response.content.at_eof():
        return b""
    answer = bytearray()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while chunk := await response.content.read(ANSWER_BYTES_MAX - len(answer)):
                answer += chunk
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        answer += f" [broke off: {type(error).__name__}]".encode()
    if not response.content.at_eof():
        # The rest is not read, and the connection is not used again.
        response.close()
    return bytes(answer)


def failed(at: datetime, error: str, *, latency_ms: int = 0) -> Try:
    """A try that had no answer, and why."""
    return Try(at=at, status=None, error=_storable(error), latency_ms=latency_ms, answer="")


def _elapsed_ms(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)


def _refusal(status: int, headers: Mapping[str, str]) -> str:
    location = headers.get("Location")
    if 300 <= status <= 399 and location is not None:
        return f"HTTP {status}: redirects are not followed (to {location[:100]})"
    return f"HTTP {status}"


def _explain(error: Exception) -> str:
    """What went wrong, for the endpoint's owner."""
    match error:
        case TimeoutError():
            return f"no answer within {TIMEOUT_S:.0f} s"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            text = f"the TLS certificate or handshake was refused: {error}"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ForbiddenAddressError):
            text = str(error.os_error)
        case aiohttp.ClientConnectorError():
            text = f"no connection: {error.os_error.strerror or error.os_error}"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            text = "the connection was closed before an answer came"
        case aiohttp.ClientPayloadError():
            text = "the answer broke off"
        case _:
            text = f"{type(error).__name__}: {error}"
    return text


def _storable(text: str) -> str:
    """Text that a database takes: what a receiver sends may hold anything."""
    clean = text[:ERROR_CHARS_MAX].encode("utf-8", "replace").decode()
    return clean.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _readable(answer: bytes) -> str:
    """The beginning of an answer as text that a database takes."""
    return answer[:ANSWER_KEPT_CHARS].decode("utf-8", "replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _retry_after_s(text: str | None, now: datetime) -> int | None:
    """Seconds that a receiver asks us to wait: a number, or a date."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), RETRY_AFTER_S_MAX)
    try:
        moment: Any = parsedate_to_datetime(text)
        wait_s = int((moment - now).total_seconds())
    except (ValueError, OverflowError, TypeError):
        # No date, one beyond all calendars, or one without a zone.
        return None
    return max(0, min(wait_s, RETRY_AFTER_S_MAX))
