"""A receiver of webhooks: a real HTTP server that keeps what it is told and answers as a test says."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return self.headers["x-webhook-event"]

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def version(self) -> int:
        return int(self.headers["recaudo-subject-version"])


Answerer = Callable[[Received], Awaitable[web.StreamResponse] | web.StreamResponse]


@dataclass
class Receiver:
    """What was received so far, and how the next request is answered."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: Answerer = lambda _: web.Response(status=204)

    @property
    def types(self) -> list[str]:
        return [r.type for r in self.received]

    async def wait_for(self, count: int, *, timeout_s: float = 20) -> list[Received]:
        """What was received, once it is so much."""
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:  # noqa: ASYNC110 - requests come from another process
                await asyncio.sleep(0.02)
        return self.received


@contextlib.asynccontextmanager
async def receiving(requests: list[web.Request] | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a port of its own, for as long as the block lasts.

    `requests` gets the newest request as the server has it, for answers that need its connection.
    """
    receiver = Receiver("")

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path_qs, headers, await request.read())
        if requests is not None:
            requests[:] = [request]
        receiver.received.append(received)
        answered = receiver.answer(received)
        return await answered if isinstance(answered, Awaitable) else answered

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
