"""Calls to a vendor's API: what was certainly not sent, what may have been, and what was answered.

The difference decides whether money may be charged again, so it is told by types: `NotSentError` when no byte of the
request can have reached the vendor, `NoAnswerError` when one may have. Numbers of answers are read as decimals.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

import aiohttp
import msgspec

from recaudo.domain import money

TIMEOUT_S = 15.0  # three calls in a row end within the lease of due work
CONNECT_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 1000
ANSWER_BYTES_MAX = 4 * 1024 * 1024
DIGITS_MAX: Final = 18  # what a bigint holds; also, 1e999999999 is a short text and a very long number
USER_AGENT = "Recaudo/1"


class NotSentError(Exception):
    """The vendor cannot be reached; nothing was sent."""


class NoAnswerError(Exception):
    """The request may have reached the vendor, and its answer did not reach us, or cannot be read."""


class AmountError(Exception):
    """An amount that is no whole number of minor units: never rounded (gateways specification, section 1.3)."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the vendor: its status and its JSON; None when it is no JSON, an HTML page for instance."""

    status: int
    content: Any

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_vague(self) -> bool:
        """Whether it says nothing about what happened: a fault, a limit on calls, a page of a proxy."""
        unread = self.is_good and self.content is None
        return self.status >= 500 or 300 <= self.status < 400 or self.status in {408, 425, 429} or unread

    def member(self, *path: str) -> Any:  # noqa: ANN401 - whatever the vendor put there
        """What stands at a path of the JSON; None where there is nothing."""
        found: Any = self.content
        for name in path:
            found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
        return found


class Vendor:
    """One connection pool to one vendor; opened with the first call, in the event loop that makes it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - anything that JSON can say
        query: Mapping[str, str] | None = None,
    ) -> Said:
        """Make one call. Raises NotSentError and NoAnswerError; any status is an answer. Redirects are not followed."""
        sent = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            data = _ENCODER.encode(body)
            sent["Content-Type"] = "application/json"
        try:
            async with self._open().request(
                method, url, headers=sent, data=data, params=query, allow_redirects=False
            ) as answer:
                return Said(status=answer.status, content=_json(await _read(answer.content)))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NotSentError(_told(error)) from error
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise NoAnswerError(_told(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Secrets travel in headers and answers: nothing of a call is kept, no cookie, no proxy of the environment.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, connect=TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Of all merchants together; who is silent is soon left alone (usecases/resting.py).
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            )
        return self._session


def read_json(content: bytes) -> Any:  # noqa: ANN401 - anything that JSON can say
    """JSON with exact numbers. Raises ValueError."""
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation, RecursionError) as error:
        raise ValueError("no JSON") from error


def minor_of(units: object, currency: str) -> int:
    """Minor units of an amount that the vendor writes in units, as a number or as text. Raises AmountError."""
    if isinstance(units, bool) or not isinstance(units, int | Decimal | str):
        raise AmountError(f"{type(units).__name__} is no amount")
    try:
        minor = Decimal(units) * money.minor_per_unit(currency)
        if not minor.is_finite() or minor.adjusted() > DIGITS_MAX:
            raise AmountError("out of range")
        whole = int(minor)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise AmountError("not a number") from error
    if whole != minor:
        raise AmountError("more decimals than the currency has")
    return whole


def units_of(minor: int, currency: str) -> Decimal:
    """The amount in units, exactly, with no more decimals than it needs."""
    units = Decimal(minor) / money.minor_per_unit(currency)
    return units.quantize(Decimal(1)) if units == units.to_integral_value() else units


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


async def _read(stream: aiohttp.StreamReader) -> bytes:
    """All of an answer; of one that is too long nothing, as half of it says nothing."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            return b""
    return b"".join(chunks)


def _json(content: bytes) -> Any:  # noqa: ANN401
    try:
        return read_json(content)
    except ValueError:
        return None


def _told(error: Exception) -> str:
    """What went wrong, without what was sent."""
    return f"{type(error).__name__}: {error}"[:200] if str(error) else type(error).__name__
