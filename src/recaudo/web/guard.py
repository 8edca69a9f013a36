"""Who may post a form: only a page that this server made, and as far as can be told for the same browser.

Every form carries litestar's signed token. What ties it to the browser is either the browser's own word that the form
comes from this site (Sec-Fetch-Site, which no page can forge), or a cookie with the same token. Phones that are older
than the header need the cookie; on all others paying works without, as in the browser inside a chat application.
"""

from typing import Any
from urllib.parse import urlsplit

from litestar.config.csrf import CSRFConfig
from litestar.connection import Request
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.exceptions import PermissionDeniedException
from litestar.middleware.csrf import CSRFMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils.scope.state import ScopeState

from recaudo.web.views import FormField

# `none` is the person's own doing, a reload for example.
_OWN_SITES = frozenset({"same-origin", "none"})


class CrossSiteError(PermissionDeniedException):
    """Another site's page sent the form."""


class FormGuard(CSRFMiddleware):
    """Middleware that refuses forms which are not ours. Raises PermissionDeniedException."""

    def __init__(self, app: ASGIApp, config: CSRFConfig, public_host: str) -> None:
        super().__init__(app, config)
        self._public_host = public_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass to the routes, or refuse it."""
        request: Request[Any, Any, Any] = Request(scope, receive=receive)
        if request.method == "POST":
            self._refuse_foreign(request)
            token = str((await request.form()).get(FormField.CSRF_TOKEN, ""))
            is_ours = request.headers.get("sec-fetch-site") == "same-origin"
            if is_ours and self._decode_csrf_token(token) is not None:
                ScopeState.from_scope(scope).csrf_token = token
                await self.app(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    def _refuse_foreign(self, request: Request[Any, Any, Any]) -> None:
        site = request.headers.get("sec-fetch-site")
        origin = urlsplit(request.headers.get("origin", "null"))
        # An address that the browser does not tell (`null`, or none at all) leaves the decision to the cookie.
        own_hosts = {request.headers.get("host"), self._public_host}
        if (site is not None and site not in _OWN_SITES) or (site is None and origin.netloc not in {"", *own_hosts}):
            raise CrossSiteError
        if request.content_type[0] != RequestEncodingType.URL_ENCODED:
            raise PermissionDeniedException

    def _decode_csrf_token(self, token: str) -> str | None:
        # The comparison below only takes ASCII, and a forged token may hold anything.
        return super()._decode_csrf_token(token) if token.isascii() else None


def form_token(request: Request[Any, Any, Any]) -> str:
    """The token that the forms of this answer carry."""
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else ""


def token_config(secret_key: str, *, is_https: bool) -> CSRFConfig:
    """How the token is kept. The prefix makes browsers refuse a cookie that another host of the domain planted."""
    return CSRFConfig(
        secret=secret_key,
        cookie_name="__Host-recaudo_form" if is_https else "recaudo_form",
        cookie_secure=is_https,
        cookie_httponly=True,
        cookie_samesite="lax",
    )


def removed_cookie(config: CSRFConfig) -> Cookie:
    """The cookie that removes the token: with other attributes browsers would ignore it."""
    return Cookie(
        key=config.cookie_name,
        value="",
        path=config.cookie_path,
        max_age=0,
        secure=config.cookie_secure,
        httponly=config.cookie_httponly,
        samesite=config.cookie_samesite,
    )
