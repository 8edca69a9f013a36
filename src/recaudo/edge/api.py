"""The order of checks that the wire specifications ask for (section 1.5 of each), around a dialect's handlers.

The first check that fails answers: size, authentication, account, rate, path, method, content type, JSON,
idempotency key, length of the query. Then the handler, which knows what the request means.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from recaudo.domain.model import Account
from recaudo.edge.auth import Authenticator
from recaudo.edge.bodies import MalformedJsonError, decode_object
from recaudo.edge.fairness import Turnstile
from recaudo.edge.http import (
    TOO_SLOW,
    BodyStream,
    HungUpError,
    Receive,
    Reply,
    Scope,
    Send,
    SlowBodyError,
    header,
    query_of,
    read_body,
    send_reply,
)
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer, new_request_id
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.edge.routing import ApiRequest, Route, Router
from recaudo.edge.visitors import visitor_address
from recaudo.store.database import DatabaseAwayError, LockTimeoutError
from recaudo.store.writer import QueueFullError

BODY_BYTES_MAX = 1024 * 1024
# Keys that nobody has, from one address. No key can be guessed (they hold 190 bits of chance), but each try is a
# question to the database. Whoever comes from that address with a key that opens something is served all the same.
WRONG_KEYS = 1000
WRONG_KEYS_PER_SECOND = 10.0
KEY_CHARS_MAX = 255


class Dialect(Protocol):
    """What the pipeline asks of a dialect."""

    name: str
    router: Router
    key_headers: Sequence[bytes]

    def read_keys(self, authorization: bytes | None) -> Sequence[str]:
        """The API keys in an Authorization header, the first to try first. Raises Problem UNAUTHENTICATED."""
        ...

    def refuse(self, problem: Problem, request_id: str) -> Reply:
        """The dialect's answer to a problem."""
        ...

    def answer_error(self, error: Exception, request: ApiRequest) -> Reply | None:
        """The dialect's answer to an error of a handler; None when it is none that the dialect knows."""
        ...


class Api:
    """A dialect as an ASGI application."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        authenticator: Authenticator,
        limiter: RateLimiter,
        observer: Observer,
        base_url: str,
        monotonic: Callable[[], float] = time.monotonic,
        readers: Turnstile | None = None,
        proxy_hops: int = 0,
    ) -> None:
        self._dialect = dialect
        self._authenticator = authenticator
        self._limiter = limiter
        self._observer = observer
        self._base_url = base_url
        self._monotonic = monotonic
        self._readers = readers or Turnstile()
        self._proxy_hops = proxy_hops

    async def __call__(self, scope: Scope, receive: Receive, send: Send, *, path: str) -> None:
        """Answer one request. `path` is the path below the mount, such as /invoices."""
        started_s = self._monotonic()
        request_id = new_request_id()
        method: str = scope["method"]
        route: Route | None = None
        stream: BodyStream | None = None
        try:
            bytes_max = self._dialect.router.body_bytes_max(method, path, BODY_BYTES_MAX)
            if self._dialect.router.takes_stream(method, path):
                stream, body = BodyStream(scope, receive, bytes_max=bytes_max), b""
            else:
                body = await read_body(scope, receive, bytes_max=bytes_max)
            account = await self._authenticate(scope, started_s)
            route, params = self._dialect.router.find(method, path)
            request = ApiRequest(
                account=account,
                route=route,
                path=path.rstrip("/"),
                params=params,
                body=_parse(scope, route, body),
                stream=stream,
                once_key=self._once_key(scope, route),
                query=query_of(scope),
                request_id=request_id,
                base_url=self._base_url,
            )
            reply = await self._handle(request)
        except Problem as problem:
            reply = self._dialect.refuse(problem, request_id)
        except SlowBodyError:
            reply = TOO_SLOW
        except (DatabaseAwayError, QueueFullError, HungUpError) as error:
            self._observer.warn("unavailable", request_id=request_id, reason=str(error))
            reply = self._dialect.refuse(_unavailable(), request_id)
        except Exception as error:  # noqa: BLE001 - the last resort: logged in full, answered without detail
            self._observer.fail(error, request_id=request_id)
            reply = self._dialect.refuse(Problem(ProblemKind.INTERNAL_ERROR), request_id)
        if stream is not None and not await stream.finish():
            reply = msgspec.structs.replace(reply, headers=[*reply.headers, ("connection", "close")])
        await send_reply(send, reply, request_id=request_id, head=method == "HEAD")
        self._observer.request(
            dialect=self._dialect.name,
            method=method,
            route=route.path if route else "",
            status=reply.status,
            seconds=self._monotonic() - started_s,
            request_id=request_id,
        )

    async def _authenticate(self, scope: Scope, monotonic_s: float) -> Account:
        keys = self._dialect.read_keys(header(scope, b"authorization"))
        try:
            account = await self._authenticator.first_account(keys, monotonic_s=monotonic_s)
        except Problem as problem:
            if problem.kind is ProblemKind.UNAUTHENTICATED:
                self._count_wrong_key(scope, monotonic_s)
            raise
        wait_s = self._limiter.wait_s(
            account.id, per_second=account.rate_per_second, burst=account.rate_burst, monotonic_s=monotonic_s
        )
        if wait_s:
            raise Problem(ProblemKind.TOO_MANY_REQUESTS, headers=[("Retry-After", str(wait_s))])
        return account

    def _count_wrong_key(self, scope: Scope, monotonic_s: float) -> None:
        """Raises Problem TOO_MANY_REQUESTS when an address tried too many keys that open nothing."""
        peer = scope["client"][0] if scope.get("client") else None
        told = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        address = visitor_address(peer, told, proxy_hops=self._proxy_hops)
        wait_s = self._limiter.wait_s(
            ("wrong key", address), per_second=WRONG_KEYS_PER_SECOND, burst=WRONG_KEYS, monotonic_s=monotonic_s
        )
        if wait_s:
            raise Problem(ProblemKind.TOO_MANY_REQUESTS, headers=[("Retry-After", str(wait_s))])

    def _once_key(self, scope: Scope, route: Route) -> str | None:
        if route.once == "none":
            return None
        names = self._dialect.key_headers
        sent: list[tuple[bytes, bytes]] = [(name, value) for name, value in scope["headers"] if name in names]
        if not sent:
            if route.once == "required":
                raise Problem(ProblemKind.KEY_MISSING)
            return None
        first = sent[0][1]
        for name, value in sent:
            if not _is_key(value) or value != first:
                raise Problem(ProblemKind.KEY_MALFORMED, about=name.decode("ascii"))
        return first.decode("ascii")

    async def _handle(self, request: ApiRequest) -> Reply:
        is_waiting = request.route.waits and any(name == "wait" for name, _ in request.query)
        if request.route.method != "GET" or is_waiting:
            return await self._perform(request)
        account_id = request.account.id
        if not await self._readers.enter(account_id):
            raise Problem(ProblemKind.TOO_MANY_REQUESTS, headers=[("Retry-After", "1")])
        try:
            return await self._perform(request)
        finally:
            self._readers.leave(account_id)

    async def _perform(self, request: ApiRequest) -> Reply:
        try:
            return await request.route.handler(request)
        except LockTimeoutError as error:
            if request.once_key is None:
                raise _unavailable() from error
            raise Problem(ProblemKind.KEY_IN_PROGRESS, headers=[("Retry-After", "1")]) from error
        except Exception as error:
            reply = self._dialect.answer_error(error, request)
            if reply is None:
                raise
            return reply


def _is_key(value: bytes) -> bool:
    printable = all(0x20 <= byte <= 0x7E for byte in value)
    return 0 < len(value) <= KEY_CHARS_MAX and printable and bool(value.strip())


def _unavailable() -> Problem:
    return Problem(ProblemKind.UNAVAILABLE, headers=[("Retry-After", "1")])


def _parse(scope: Scope, route: Route, body: bytes) -> dict[str, object] | None:
    """The body as an object; None when there is none and none is needed."""
    if route.body in {"none", "stream"}:
        return None
    if not body:
        if route.body == "required":
            raise Problem(ProblemKind.MALFORMED_JSON)
        return None
    if not _is_json(header(scope, b"content-type")):
        raise Problem(ProblemKind.UNSUPPORTED_MEDIA_TYPE)
    try:
        return decode_object(body)
    except MalformedJsonError as error:
        raise Problem(ProblemKind.MALFORMED_JSON) from error


def _is_json(content_type: bytes | None) -> bool:
    if content_type == b"application/json":
        return True
    if content_type is None:
        return False
    media, *parameters = (part.strip().lower() for part in content_type.split(b";"))
    return media == b"application/json" and all(p in {b"", b"charset=utf-8", b'charset="utf-8"'} for p in parameters)
