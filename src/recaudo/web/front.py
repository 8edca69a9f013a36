"""What every answer of the pages has in common, error or not: headers that keep it safe, a request id, a log line.

It stands in front of the whole application, so that no route, redirect, static file or error page can forget any of it.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from recaudo.edge.http import AsgiApp, Receive, Scope, Send, in_time
from recaudo.edge.observe import Observer, new_request_id


def content_policy(*, images: str = "'self'", forms: str = "'self'") -> str:
    """What a page may load and where its forms may go: nothing from elsewhere, nothing inline."""
    return (
        f"default-src 'none'; style-src 'self'; script-src 'self'; img-src {images}; "
        f"connect-src 'self'; form-action {forms}; base-uri 'none'; frame-ancestors 'none'"
    )


# The link is the only secret a payer has: `same-origin` keeps it out of other sites' logs, and unlike `no-referrer`
# it still lets a form post say where it comes from.
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": content_policy(),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # A link that somebody published by mistake must not be found by a search.
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}

# One year, this host only: the operator's other hosts are not ours to decide about.
STRICT_TRANSPORT: Final = "max-age=31536000"


class Front:
    """An ASGI application around another one. Headers that an answer sets itself are kept."""

    def __init__(self, inner: AsgiApp, *, observer: Observer, is_https: bool) -> None:
        self._inner = inner
        self._observer = observer
        headers = dict(SECURITY_HEADERS)
        if is_https:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. HEAD is GET without the body."""
        started_s = time.monotonic()
        request_id = new_request_id()
        method: str = scope["method"]
        is_head = method == "HEAD"
        inner: dict[str, Any] = {
            **scope,
            "method": "GET" if is_head else method,
            "state": {**scope.get("state", {}), "request_id": request_id},
        }
        status = 0

        async def send_on(message: Mapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": self._complete(message["headers"], request_id)}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        await self._inner(inner, in_time(receive), send_on)
        self._observer.request(
            dialect="web",
            method=method,
            route=inner.get("path_template", ""),
            status=status,
            seconds=time.monotonic() - started_s,
            request_id=request_id,
        )

    def _complete(self, headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        added = [header for header in self._headers if header[0] not in present]
        return [*headers, *added, (b"recaudo-request-id", request_id.encode())]
