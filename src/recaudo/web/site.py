"""The pages for people as one litestar application: routes, form tokens, security headers, error pages."""

import time
from typing import Any
from uuid import UUID

from litestar import Litestar, Request, Response, get, post
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException, NotFoundException, PermissionDeniedException
from litestar.response import Redirect
from litestar.utils.scope.state import ScopeState

from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer, new_request_id
from recaudo.store.database import DatabaseAwayError
from recaudo.usecases.core import Core
from recaudo.web import payer, portal
from recaudo.web.i18n import Language, choose_language
from recaudo.web.payer import Visitor
from recaudo.web.rendering import (
    SECURITY_HEADERS,
    STATIC_HEADERS,
    STATIC_PREFIX,
    prepare,
    render_message,
    render_payment,
    render_portal,
    static_files,
)
from recaudo.web.views import FormField, MessageKind, MessagePage

FORM_BYTES_MAX = 64 * 1024
COOKIE = "recaudo_form"
HTML = "text/html; charset=utf-8"

# A person looks up a few references; a program that tries them all is slowed to a crawl.
LOOKUPS_PER_SECOND, LOOKUPS_BURST = 0.2, 10
# All addresses together, against one merchant's portal.
PORTAL_PER_SECOND, PORTAL_BURST = 20, 200
# Pages and payments of one address.
VIEWS_PER_SECOND, VIEWS_BURST = 10, 200
PAYMENTS_PER_SECOND, PAYMENTS_BURST = 0.5, 30

Req = Request[Any, Any, State]


class Site:
    """What the routes share."""

    def __init__(self, core: Core, *, observer: Observer, limiter: RateLimiter, base_url: str, proxy_hops: int) -> None:
        self.core = core
        self.observer = observer
        self.limiter = limiter
        self.base_url = base_url
        self.proxy_hops = proxy_hops

    def visitor(self, request: Req, *, asked: str | None = None, again: bool = False) -> Visitor:
        """Who looks: language by ?lang=, the form or the browser."""
        lang = choose_language(asked or request.query_params.get("lang"), request.headers.get("accept-language"))
        token = ScopeState.from_scope(request.scope).csrf_token
        return Visitor(
            lang=lang, csrf_token=token if isinstance(token, str) else "", base_url=self.base_url, again=again
        )

    def too_many(self, request: Req, what: str, *, per_second: float, burst: float, key: str | None = None) -> int:
        """Seconds to wait, or 0. Counted per address unless another key is given."""
        who = key or client_address(request, self.proxy_hops)
        return self.limiter.wait_s((what, who), per_second=per_second, burst=burst, monotonic_s=time.monotonic())


def client_address(request: Req, proxy_hops: int) -> str:
    """The payer's address: as many steps back in X-Forwarded-For as there are proxies that the operator trusts."""
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",") if part.strip()]
    if proxy_hops and len(forwarded) >= proxy_hops:
        return forwarded[-proxy_hops]
    return request.client.host if request.client else "unknown"


@get("/payment/{payment_id:str}")
async def show_payment(request: Req, payment_id: str, state: State) -> Response[str]:
    """The page of one request to pay."""
    site: Site = state.site
    if wait_s := site.too_many(request, "view", per_second=VIEWS_PER_SECOND, burst=VIEWS_BURST):
        return _message(request, "too_many_requests", retry_after_s=wait_s)
    shown = await _load(site, payment_id)
    visitor = site.visitor(request, again=request.query_params.get("again") == "1")
    return _html(render_payment(payer.page(site.core, shown, visitor)))


@post("/payment/{payment_id:str}", status_code=200)
async def pay(request: Req, payment_id: str, state: State) -> Response[str] | Redirect:
    """The form of that page. The answer to a payment is a look at the page, never a page to post again."""
    site: Site = state.site
    if wait_s := site.too_many(request, "pay", per_second=PAYMENTS_PER_SECOND, burst=PAYMENTS_BURST):
        return _message(request, "too_many_requests", retry_after_s=wait_s)
    shown = await _load(site, payment_id)
    form = {name: str(value) for name, value in (await request.form()).items()}
    visitor = site.visitor(request, asked=form.get(FormField.LANG), again=form.get(FormField.AGAIN) == "1")
    answer = await payer.pay(site.core, shown, visitor, form)
    if answer is not None:
        return _html(answer)
    return Redirect(f"{shown.path}?lang={visitor.lang}", status_code=303, headers=dict(SECURITY_HEADERS))


@get(["/{slug:str}", "/{slug:str}/test"])
async def show_portal(request: Req, slug: str, state: State) -> Response[str]:
    """A merchant's portal."""
    site: Site = state.site
    if wait_s := site.too_many(request, "view", per_second=VIEWS_PER_SECOND, burst=VIEWS_BURST):
        return _message(request, "too_many_requests", retry_after_s=wait_s)
    account, merchant = await _find_portal(site, request, slug)
    return _html(render_portal(portal.page(account, merchant, site.visitor(request))))


@post(["/{slug:str}", "/{slug:str}/test"], status_code=200)
async def search_portal(request: Req, slug: str, state: State) -> Response[str]:
    """Look something up in a portal."""
    site: Site = state.site
    account, merchant = await _find_portal(site, request, slug)
    form = {name: str(value) for name, value in (await request.form()).items()}
    visitor = site.visitor(request, asked=form.get(FormField.LANG))
    query = form.get(FormField.QUERY, "").strip()[: portal.QUERY_CHARS_MAX]
    if not query:
        return _html(render_portal(portal.page(account, merchant, visitor, error="too_short")))
    wait_s = site.too_many(request, "lookup", per_second=LOOKUPS_PER_SECOND, burst=LOOKUPS_BURST) or site.too_many(
        request, "portal", per_second=PORTAL_PER_SECOND, burst=PORTAL_BURST, key=slug
    )
    if wait_s:
        limited = portal.page(account, merchant, visitor, query=query, error="rate_limited")
        return _html(render_portal(limited), status=429, headers={"Retry-After": str(wait_s)})
    rows = await portal.search(site.core, account, query)
    return _html(render_portal(portal.page(account, merchant, visitor, query=query, rows=rows)))


@get(STATIC_PREFIX + "{name:str}")
async def static_file(name: str) -> Response[bytes]:
    """Styles, script and icon, under names that change with their content."""
    found = static_files().get(name)
    if found is None:
        raise NotFoundException
    return Response(found.body, media_type=found.content_type, headers=dict(STATIC_HEADERS))


@get("/robots.txt")
async def robots() -> Response[str]:
    """Payment links are for their payers, not for search engines."""
    return Response("User-agent: *\nDisallow: /\n", media_type="text/plain; charset=utf-8")


@get("/favicon.ico")
async def favicon() -> Response[bytes]:
    """Browsers ask for it whatever the page says."""
    return Response(b"", status_code=204, headers={"Cache-Control": "public, max-age=86400"})


def make_site(
    core: Core, *, observer: Observer, limiter: RateLimiter, base_url: str, secret_key: str, proxy_hops: int
) -> Litestar:
    """The application of the pages."""
    prepare()
    site = Site(core, observer=observer, limiter=limiter, base_url=base_url, proxy_hops=proxy_hops)
    return Litestar(
        [show_payment, pay, show_portal, search_portal, static_file, robots, favicon],
        state=State({"site": site}),
        csrf_config=CSRFConfig(
            secret=secret_key,
            cookie_name=COOKIE,
            cookie_secure=base_url.startswith("https://"),
            cookie_httponly=True,
            cookie_samesite="lax",
        ),
        request_max_body_size=FORM_BYTES_MAX,
        exception_handlers={Exception: _failed, HTTPException: _refused},
        openapi_config=None,
        logging_config=None,
    )


async def _load(site: Site, payment_id: str) -> payer.Shown:
    try:
        collection_id = UUID(payment_id)
    except ValueError:
        raise NotFoundException from None
    shown = await payer.load(site.core, collection_id)
    if shown is None:
        raise NotFoundException
    return shown


async def _find_portal(site: Site, request: Req, slug: str) -> Any:  # noqa: ANN401 - an account and its merchant
    is_test = request.url.path.rstrip("/").endswith("/test")
    found = await portal.find(site.core, slug, is_test=is_test)
    if found is None:
        raise NotFoundException
    return found


def _refused(request: Req, error: HTTPException) -> Response[str]:
    """Errors that the visitor can do something about."""
    if isinstance(error, PermissionDeniedException):
        answer = _message(request, "form_expired")
        # A token that no longer counts, for example after the server's key changed, must not come back.
        answer.delete_cookie(COOKIE)
        return answer
    status = error.status_code
    return _message(request, "not_found", status=status if status in {405, 413} else 404)


def _failed(request: Req, error: Exception) -> Response[str]:
    """Faults of the server: told in full to the log, without detail to the visitor."""
    site: Site = request.app.state.site
    request_id = new_request_id()
    if isinstance(error, DatabaseAwayError):
        site.observer.warn("unavailable", request_id=request_id, reason=str(error))
        return _message(request, "unavailable", retry_after_s=2)
    site.observer.fail(error, request_id=request_id)
    return _message(request, "failure")


def _message(
    request: Req, kind: MessageKind, *, status: int | None = None, retry_after_s: int | None = None
) -> Response[str]:
    lang: Language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))
    page = MessagePage(lang=lang, kind=kind, page_path=request.url.path)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return _html(render_message(page), status=status or page.status, headers=headers)


def _html(text: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(text, status_code=status, media_type=HTML, headers={**SECURITY_HEADERS, **(headers or {})})
