"""The pages for people as one application: routes, form tokens, limits, error pages.

GET, POST /payment/{id}           one request to pay
GET, POST /payment/{id}/details   what the chosen method asks of the payer
GET /payment/{id}/continue        the way to the gateway where a payment that was begun is finished
GET /payment/{id}/return/{key}    where the gateway sends the browser back to
GET, POST /{slug}[/test]          a merchant's portal, of its live or its test account
GET /document/{token}             the document of an invoice
GET /_static/{name}               styles, script and icon
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from litestar import Litestar, Request, Response, get, post
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException, TooManyRequestsException
from litestar.middleware import DefineMiddleware
from litestar.response import Redirect

from recaudo.domain.model import Account
from recaudo.domain.states import AttemptState
from recaudo.edge.http import AsgiApp, SlowBodyError
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer
from recaudo.edge.visitors import visitor_address
from recaudo.store.accounts import Merchant
from recaudo.store.database import DatabaseAwayError, LockTimeoutError, StaleVersionError
from recaudo.store.writer import QueueFullError
from recaudo.usecases import attempts, documents
from recaudo.usecases.core import Core
from recaudo.web import limits, payer, paying, portal
from recaudo.web.front import Front
from recaudo.web.guard import CrossSiteError, FormGuard, form_token, removed_cookie, token_config
from recaudo.web.i18n import choose_language
from recaudo.web.limits import Allowance, wait_s
from recaudo.web.payer import Visitor
from recaudo.web.paying import Answer, GoTo
from recaudo.web.rendering import STATIC_HEADERS, STATIC_PREFIX, Page, policy, prepare, render, static_files
from recaudo.web.views import MESSAGE_STATUS, FormField, MessageKind, MessagePage

FORM_BYTES_MAX = 64 * 1024

# Written in full only: Python would also read braces, a `urn:` and no hyphens, and one page needs one address.
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")
_SLUG = re.compile(r"[a-z0-9-]{3,50}")

# A stranger's document: whatever it holds, it runs nothing here and is nothing but a PDF.
DOCUMENT_HEADERS = {
    "Content-Disposition": 'inline; filename="factura.pdf"',
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=3600",
}

# Faults that pass by themselves: the same request succeeds a little later.
_PASSING = (DatabaseAwayError, LockTimeoutError, QueueFullError, StaleVersionError)
_PASSING_S = 2

# A gateway is asked while the payer who came back waits for the page. What it says later, the worker hears.
RETURN_ASK_S = 8
# Nothing that a gateway says changes these for the payer.
_DECIDED = frozenset({AttemptState.SUCCEEDED, AttemptState.REFUNDED, AttemptState.DISPUTED})

Req = Request[Any, Any, State]


class Site:
    """What the routes share."""

    def __init__(
        self,
        core: Core,
        *,
        observer: Observer,
        limiter: RateLimiter,
        base_url: str,
        tokens: CSRFConfig,
        proxy_hops: int,
    ) -> None:
        self.core = core
        self.observer = observer
        self.base_url = base_url
        self.tokens = tokens
        self._limiter = limiter
        self._proxy_hops = proxy_hops

    def visitor(self, request: Req, form: Mapping[str, str] | None = None) -> Visitor:
        """Who looks, and how: what the form or the address says of it."""
        said: Mapping[str, Any] = request.query_params if form is None else form
        own_lang = choose_language(None, request.headers.get("accept-language"))
        amount = None if form is not None else said.get(FormField.AMOUNT)
        return Visitor(
            lang=choose_language(said.get(FormField.LANG), request.headers.get("accept-language")),
            csrf_token=form_token(request),
            base_url=self.base_url,
            again=said.get(FormField.AGAIN) == "1",
            waited=said.get(payer.WAITED) == "1",
            returned=said.get(payer.RETURNED) == "1",
            method=said.get(FormField.METHOD),
            amount=None if amount is None else amount[: payer.TYPED_CHARS_MAX],
            own_lang=own_lang,
            address=self._address(request),
            user_agent=request.headers.get("user-agent", ""),
        )

    def wait_s(self, request: Req, allowance: Allowance, *about: str) -> int:
        """Take one of the allowance that this visitor has: 0, or the seconds to wait."""
        return wait_s(self._limiter, allowance, allowance, self._address(request), *about)

    def may_ask(self, attempt_id: UUID) -> bool:
        """Whether a gateway may be asked about an attempt once more, whoever comes back from it."""
        return wait_s(self._limiter, limits.RETURNS, limits.RETURNS, attempt_id) == 0

    def _address(self, request: Req) -> str:
        peer = request.client.host if request.client else None
        told = request.headers.getall("x-forwarded-for", [])
        return visitor_address(peer, told, proxy_hops=self._proxy_hops)

    def limit(self, request: Req, allowance: Allowance, *about: str) -> None:
        """The same, raising TooManyRequestsException."""
        if wait := self.wait_s(request, allowance, *about):
            raise TooManyRequestsException(headers={"Retry-After": str(wait)})

    def portal_wait_s(self, request: Req, merchant: Merchant) -> int:
        """Take one look-up from what this visitor and all visitors of the portal together may do."""
        own = self.wait_s(request, limits.LOOKUPS, merchant.slug)
        return own or wait_s(self._limiter, limits.PORTAL, limits.PORTAL, merchant.slug)


@get("/payment/{payment_id:str}")
async def show_payment(request: Req, state: State) -> Response[str]:
    """The page of one request to pay."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    shown = await _load(site, request)
    visitor = site.visitor(request)
    handed_off = payer.hand_off(site.core, shown, visitor) if visitor.waited else None
    return _html(handed_off or payer.page(site.core, shown, visitor))


@post("/payment/{payment_id:str}", status_code=200)
async def pay(request: Req, state: State) -> Response[str] | Redirect:
    """The form of that page. The answer to a payment is a look at the page, never a page to post again."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    shown = await _load(site, request)
    site.limit(request, limits.POSTS, shown.path)
    form = await _form(request)
    visitor = site.visitor(request, form)
    return _answer(await paying.pay(site.core, shown, visitor, form))


@get("/payment/{payment_id:str}/details")
async def show_details(request: Req, state: State) -> Response[str] | Redirect:
    """What the chosen method asks of the payer."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    shown = await _load(site, request)
    return _answer(await paying.show_details(site.core, shown, site.visitor(request), request.query_params))


@post("/payment/{payment_id:str}/details", status_code=200)
async def pay_with_details(request: Req, state: State) -> Response[str] | Redirect:
    """The form of that page."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    shown = await _load(site, request)
    site.limit(request, limits.POSTS, shown.path)
    form = await _form(request)
    return _answer(await paying.pay_with_details(site.core, shown, site.visitor(request, form), form))


@get("/payment/{payment_id:str}/continue")
async def go_on(request: Req, state: State) -> Response[str] | Redirect:
    """Lead to where the newest payment that was begun is finished, if it still can be."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    shown = await _load(site, request)
    visitor = site.visitor(request)
    return _answer(payer.gateway_page(site.core, shown, visitor) or GoTo(shown.path_in(visitor.lang)))


@get("/payment/{payment_id:str}/return/{once_key:str}")
async def come_back(request: Req, state: State) -> Redirect:
    """A gateway sent the browser back. What its address says counts for nothing: the gateway is asked."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    shown = await _load(site, request)
    async with site.core.database.connection() as connection:
        attempt = await paying.newest_of_key(connection, shown, request.path_params["once_key"])
    if attempt is None:
        raise NotFoundException
    if attempt.state not in _DECIDED and site.may_ask(attempt.id):
        with suppress(TimeoutError, *_PASSING):
            async with asyncio.timeout(RETURN_ASK_S):
                await attempts.ask(site.core, shown.account, attempt.id, extra=True)
    visitor = site.visitor(request)
    seen = {payer.RETURNED: "1", **({payer.WAITED: "1"} if shown.invoice.redirect_url else {})}
    return Redirect(shown.path_in(visitor.lang, **seen), status_code=303)


@get(["/{slug:str}", "/{slug:str}/test"])
async def show_portal(request: Req, state: State) -> Response[str]:
    """A merchant's portal."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    account, merchant = await _find_portal(site, request)
    return _html(portal.page(account, merchant, site.visitor(request)))


@post(["/{slug:str}", "/{slug:str}/test"], status_code=200)
async def search_portal(request: Req, state: State) -> Response[str]:
    """Look something up in a portal."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    account, merchant = await _find_portal(site, request)
    form = await _form(request)
    visitor = site.visitor(request, form)
    query = form.get(FormField.QUERY, "").strip()
    if not query:
        return _html(portal.page(account, merchant, visitor, error="too_short"))
    if wait := site.portal_wait_s(request, merchant):
        limited = portal.page(account, merchant, visitor, query=query, error="rate_limited")
        return _html(limited, status=429, headers={"Retry-After": str(wait)})
    rows = await portal.search(site.core, account, query, lang=visitor.lang)
    return _html(portal.page(account, merchant, visitor, query=query, rows=rows))


@get("/document/{token:str}", exclude_from_csrf=True)
async def show_document(request: Req, state: State) -> Response[bytes]:
    """The PDF of an invoice, to whoever has its link (Treli specification, 9.1)."""
    site: Site = state.site
    site.limit(request, limits.VIEWS)
    token: str = request.path_params["token"]
    found = await documents.content(site.core, token) if _TOKEN.fullmatch(token) else None
    if found is None:
        raise NotFoundException
    return Response(found, media_type="application/pdf", headers=DOCUMENT_HEADERS)


@get(STATIC_PREFIX + "{name:str}", exclude_from_csrf=True)
async def static_file(request: Req) -> Response[bytes]:
    """Styles, script and icon, under names that change with their content."""
    found = static_files().get(request.path_params["name"])
    if found is None:
        raise NotFoundException
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = {**STATIC_HEADERS, "Content-Encoding": "gzip"}
        return Response(found.gzipped, media_type=found.content_type, headers=headers)
    return Response(found.body, media_type=found.content_type, headers=dict(STATIC_HEADERS))


@get("/robots.txt", exclude_from_csrf=True)
async def robots() -> Response[str]:
    """Crawlers may look, because only then do they see that no page may be listed (X-Robots-Tag)."""
    return Response("User-agent: *\nDisallow:\n", media_type="text/plain")


@get("/favicon.ico", exclude_from_csrf=True)
async def favicon() -> Response[bytes]:
    """Browsers ask for it whatever the page says."""
    return Response(b"", status_code=204, headers={"Cache-Control": "public, max-age=86400"})


def make_site(
    core: Core, *, observer: Observer, limiter: RateLimiter, base_url: str, secret_key: str, proxy_hops: int
) -> AsgiApp:
    """The application of the pages."""
    prepare()
    is_https = base_url.startswith("https://")
    tokens = token_config(secret_key, is_https=is_https)
    site = Site(core, observer=observer, limiter=limiter, base_url=base_url, tokens=tokens, proxy_hops=proxy_hops)
    pages: Any = Litestar(
        [
            show_payment,
            pay,
            show_details,
            pay_with_details,
            go_on,
            come_back,
            show_document,
            show_portal,
            search_portal,
            static_file,
            robots,
            favicon,
        ],
        state=State({"site": site}),
        middleware=[DefineMiddleware(FormGuard, config=tokens, public_host=urlsplit(base_url).netloc)],
        request_max_body_size=FORM_BYTES_MAX,
        exception_handlers={Exception: _failed, HTTPException: _refused},
        openapi_config=None,
        logging_config=None,
    )
    return Front(pages, observer=observer, is_https=is_https)


async def _load(site: Site, request: Req) -> payer.Shown:
    payment_id: str = request.path_params["payment_id"]
    shown = await payer.load(site.core, UUID(payment_id)) if _ID.fullmatch(payment_id) else None
    if shown is None:
        raise NotFoundException
    return shown


async def _find_portal(site: Site, request: Req) -> tuple[Account, Merchant]:
    # Addresses are typed from paper as well, and some keyboards begin with a capital.
    slug = request.path_params["slug"].lower()
    is_test = "/" in request.url.path.strip("/")
    found = await portal.find(site.core, slug, is_test=is_test) if _SLUG.fullmatch(slug) else None
    if found is None:
        raise NotFoundException
    return found


async def _form(request: Req) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


def _refused(request: Req, error: HTTPException) -> Response[str]:
    """Errors that the visitor can do something about."""
    match error:
        case CrossSiteError():
            return _message(request, "form_expired")
        case PermissionDeniedException():
            site: Site = request.app.state.site
            answer = _message(request, "form_expired")
            # A token that no longer counts, for example after the server's key changed, must not come back.
            if site.tokens.cookie_name in request.cookies:
                answer.set_cookie(removed_cookie(site.tokens))
            return answer
        case TooManyRequestsException():
            return _message(request, "too_many_requests", headers=error.headers)
        case NotFoundException():
            return _message(request, "not_found")
        case HTTPException(status_code=405):
            return _message(request, "not_understood", status=405, headers={"Allow": _allowed(request)})
        case _:
            return _message(request, "not_understood", status=error.status_code)


def _allowed(request: Req) -> str:
    takes_forms = not request.url.path.startswith((STATIC_PREFIX, "/robots.txt", "/favicon.ico"))
    return "GET, HEAD, POST" if takes_forms else "GET, HEAD"


def _failed(request: Req, error: Exception) -> Response[str]:
    """Faults of the server: told in full to the log, without detail to the visitor."""
    site: Site = request.app.state.site
    request_id: str = request.state.request_id
    if isinstance(error, SlowBodyError):
        return _message(request, "not_understood", status=408, headers={"Connection": "close"})
    if isinstance(error, _PASSING):
        site.observer.warn("unavailable", request_id=request_id, reason=str(error))
        return _message(request, "unavailable", headers={"Retry-After": str(_PASSING_S)})
    site.observer.fail(error, request_id=request_id)
    return _message(request, "failure")


def _message(
    request: Req, kind: MessageKind, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response[str]:
    lang = choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))
    page = MessagePage(
        lang=lang,
        kind=kind,
        # Two slashes at the start would make every link of the page lead to another site.
        page_path="/" + quote(request.url.path.lstrip("/")),
        request_id=request.state.request_id if kind == "failure" else None,
    )
    return _html(page, status=status or MESSAGE_STATUS[kind], headers=headers)


def _answer(answer: Answer) -> Response[str] | Redirect:
    return Redirect(answer.path, status_code=303) if isinstance(answer, GoTo) else _html(answer)


def _html(page: Page, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[str]:
    sent = {"Content-Security-Policy": policy(page), **(headers or {})}
    return Response(render(page), status_code=status, media_type="text/html", headers=sent)
