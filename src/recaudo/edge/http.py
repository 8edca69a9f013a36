"""Requests and replies of the JSON APIs, over bare ASGI.

Measured on the create request: a framework's own request handling costs as much as all of ours (docs/decisions/0002).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from recaudo.edge.problems import Problem, ProblemKind

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

IGNORED_FIELDS_MAX = 20
DISCARDED_BYTES_MAX = 16 * 1024 * 1024
# Who does not get a body across in this time gives their place back. A mebibyte in it is a slow modem's rate.
BODY_S = 15.0
# A client that is silent for so long in the middle of a streamed body has gone.
STREAM_SILENCE_S = 60
# More query parameters than this are nobody's list request.
QUERY_PARAMETERS_MAX = 100


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: finished bytes and what goes with them."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    content_type: str = "application/json; charset=utf-8"
    pieces: AsyncIterator[bytes] | None = None  # instead of `body`, for what is too large to be held


class HungUpError(Exception):
    """The client stopped sending in the middle of its body; nobody reads the answer."""


class BodyStream:
    """A body as it arrives, for handlers that cannot hold all of it. To be read once."""

    def __init__(self, scope: Scope, receive: Receive, *, bytes_max: int) -> None:
        self._scope = scope
        self._receive = receive
        self._bytes_max = bytes_max
        self._ended = False
        declared = header(scope, b"content-length")
        self._is_declared_too_large = declared is not None and declared.isdigit() and int(declared) > bytes_max

    @property
    def content_type(self) -> str:
        """What the body is said to be."""
        return (header(self._scope, b"content-type") or b"").decode("latin-1")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The next bytes. Raises Problem BODY_TOO_LARGE, and HungUpError when nothing more comes."""
        if self._is_declared_too_large:
            raise _too_large(self._bytes_max)
        size = 0
        while not self._ended:
            try:
                async with asyncio.timeout(STREAM_SILENCE_S):
                    message = await self._receive()
            except TimeoutError as error:
                raise HungUpError from error
            if message["type"] == "http.disconnect":
                self._ended = True
                raise HungUpError
            self._ended = not message.get("more_body")
            block: bytes = message.get("body", b"")
            size += len(block)
            if size > self._bytes_max:
                raise _too_large(self._bytes_max)
            if block:
                yield block

    async def finish(self) -> bool:
        """Let a short rest pass by, so that who still sends reads the answer; False: the connection must be closed."""
        if not self._ended and header(self._scope, b"expect") is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STREAM_SILENCE_S):
                    self._ended = await _discard(self._receive)
        return self._ended


class SlowBodyError(Exception):
    """A body that did not arrive in time. Answered 408, without a dialect's words: most who send so are no clients."""


def in_time(receive: Receive, *, seconds: float = BODY_S) -> Receive:
    """The same source of a request's body, for as long only. Raises SlowBodyError from then on.

    Whoever waits for the client to go away, once the body was read, may wait for as long as it takes.
    """
    until_s: float | None = None
    is_read = False

    async def next_message() -> Mapping[str, Any]:
        nonlocal until_s, is_read
        if is_read:
            return await receive()
        loop = asyncio.get_running_loop()
        until_s = until_s or loop.time() + seconds
        try:
            async with asyncio.timeout_at(until_s):
                message = await receive()
        except TimeoutError:
            raise SlowBodyError from None
        is_read = not message.get("more_body")
        return message

    return next_message


TOO_SLOW = Reply(
    status=408,
    body=b"The request did not arrive in time.",
    headers=[("Connection", "close")],
    content_type="text/plain; charset=utf-8",
)


async def read_body(scope: Scope, receive: Receive, *, bytes_max: int) -> bytes:
    """The whole body.

    Raises Problem BODY_TOO_LARGE when it is above `bytes_max`, of which no more is kept; SlowBodyError after BODY_S.
    """
    declared = header(scope, b"content-length")
    if declared is not None or header(scope, b"transfer-encoding") is not None:
        # Most reads have no body, and need no clock.
        receive = in_time(receive)
    if declared is not None and declared.isdigit() and int(declared) > bytes_max:
        if int(declared) <= DISCARDED_BYTES_MAX and header(scope, b"expect") is None:
            await _discard(receive)
        raise _too_large(bytes_max)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        return body
    chunks = [body]
    size = len(body)
    while message.get("more_body"):
        if size > bytes_max:
            await _discard(receive)
            raise _too_large(bytes_max)
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
    if size > bytes_max:
        raise _too_large(bytes_max)
    return b"".join(chunks)


async def _discard(receive: Receive) -> bool:
    """Let the rest of a body that is too large pass by, up to a limit of its own.

    A client that still sends when its connection is closed never reads why. One that waits for a word before it
    sends (Expect) is answered at once instead. Says whether it ended.
    """
    size = 0
    while size < DISCARDED_BYTES_MAX:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return True
    return False


def _too_large(bytes_max: int) -> Problem:
    limit = f"{bytes_max // (1024 * 1024)} MiB"
    return Problem(ProblemKind.BODY_TOO_LARGE, headers=[("connection", "close")], about=limit)


async def send_reply(send: Send, reply: Reply, *, request_id: str, head: bool = False) -> None:
    """Send an answer. HEAD gets the headers of GET and no body."""
    headers = [(b"recaudo-request-id", request_id.encode())]
    if reply.status != 204:
        headers.append((b"content-type", reply.content_type.encode()))
        if reply.pieces is None:
            headers.append((b"content-length", str(len(reply.body)).encode()))
    for name, value in reply.headers:
        headers.append((name.lower().encode(), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.pieces is not None and not head:
        async for piece in reply.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if head else reply.body})


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header with this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def query_of(scope: Scope) -> list[tuple[str, str]]:
    """The query's parameters in order, blank ones included. Raises Problem QUERY_TOO_LONG."""
    raw: bytes = scope["query_string"]
    if not raw:
        return []
    text = raw.decode("utf-8", errors="replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=QUERY_PARAMETERS_MAX)
    except ValueError as error:
        raise Problem(ProblemKind.QUERY_TOO_LONG) from error


def ignored_header(paths: Sequence[str]) -> list[tuple[str, str]]:
    """The header that names what was sent and not understood (wire specifications, section 1.3)."""
    if not paths:
        return []
    # `quote` never encodes the tilde, whatever is called safe.
    shown = [quote(path, safe="[]").replace("~", "%7E") for path in paths[:IGNORED_FIELDS_MAX]]
    if len(paths) > IGNORED_FIELDS_MAX:
        shown.append("...")
    return [("Recaudo-Ignored-Fields", ",".join(shown))]
