"""Where gateways send their notices: POST /notices/{key}, answered before anything of it is acted on.

The address names the merchant's gateway by a key that cannot be guessed. A notice is kept as it came and answered 200;
one whose signature is wrong is kept, within limits, and answered 401 (gateways specification, section 1.6).
"""

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog

from recaudo.edge.http import Receive, Reply, Scope, Send, read_body, send_reply
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import new_request_id
from recaudo.edge.problems import Problem
from recaudo.store.database import DatabaseAwayError
from recaudo.usecases import notices
from recaudo.usecases.core import Core, NotFoundError
from recaudo.usecases.notices import BODY_BYTES_MAX, UNSIGNED_PER_MINUTE, Received
from recaudo.usecases.ports import RawNotice

PREFIX: Final = "/notices/"
# The least patient vendor waits two seconds in all; a notice that cannot be written by then is sent again by the
# vendor, or found by the poller.
ANSWER_S: Final = 10.0
PER_SECOND: Final = 50.0
BURST: Final = 500.0
INVALID_PER_MINUTE: Final = 60

_KEY = re.compile(r"[A-Za-z0-9_-]{20,64}")
_log: Any = structlog.get_logger("recaudo.notices")


class NoticeReceiver:
    """The ASGI application of that address."""

    def __init__(self, core: Core, limiter: RateLimiter) -> None:
        self._core = core
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = new_request_id()
        try:
            async with asyncio.timeout(ANSWER_S):
                reply = await self._answer(scope, receive)
        except (TimeoutError, DatabaseAwayError):
            reply = Reply(status=503, headers=[("Retry-After", "30")])
        await send_reply(send, reply, request_id=request_id, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        key = str(scope["path"]).removeprefix(PREFIX)
        if not _KEY.fullmatch(key):
            return Reply(status=404)
        if scope["method"] != "POST":
            # Vendors' panels look whether there is somebody before they save an address.
            is_look = scope["method"] in {"GET", "HEAD"}
            return Reply(status=200) if is_look else Reply(status=405, headers=[("Allow", "POST, GET, HEAD")])
        if wait_s := self._wait_s("notices", key, per_second=PER_SECOND, burst=BURST):
            return Reply(status=429, headers=[("Retry-After", str(wait_s))])
        try:
            body = await read_body(scope, receive, bytes_max=BODY_BYTES_MAX)
        except Problem as problem:
            return Reply(status=413, headers=problem.headers)
        try:
            receiver = await notices.find_receiver(self._core, key)
        except NotFoundError:
            return Reply(status=404)
        raw = RawNotice(
            query=scope["query_string"].decode("latin-1"),
            headers=_headers(scope),
            body=body,
            received_at=self._core.clock.now(),
        )
        notice = notices.read(self._core, receiver, raw)
        if notice.verdict != "valid" and self._is_too_many(notice.verdict, key):
            return Reply(status=429, headers=[("Retry-After", "60")])
        # The key opens the door to this address, so it is not what is kept of it.
        received = await notices.keep(self._core, receiver, raw, notice, path=f"{PREFIX}…{key[-4:]}")
        _log.info(
            "notice_received",
            gateway=receiver.gateway.kind,
            gateway_id=str(receiver.gateway.id),
            outcome=received.value,
        )
        return Reply(status=401 if received is Received.INVALID else 200)

    def _is_too_many(self, verdict: str, key: str) -> bool:
        """What is not signed leads to questions, and what is forged fills the disk: a little of each is enough."""
        most = UNSIGNED_PER_MINUTE if verdict == "unsigned" else INVALID_PER_MINUTE
        return self._wait_s(verdict, key, per_second=most / 60, burst=most) > 0

    def _wait_s(self, *key: str, per_second: float, burst: float) -> int:
        return self._limiter.wait_s(key, per_second=per_second, burst=burst, monotonic_s=time.monotonic())


def _headers(scope: Scope) -> Mapping[str, str]:
    """The first of each header, as text; whoever sends a second one gains nothing."""
    told: dict[str, str] = {}
    for name, value in scope["headers"]:
        told.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return told
