"""What keeps pages safe, as a real browser sees it: nothing foreign runs, nothing is framed, no link is told on."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, Response

from recaudo.web.front import SECURITY_HEADERS, STRICT_TRANSPORT
from tests.browser.conftest import NewPhone
from tests.databases import own_database
from tests.web.visiting import path_of
from tests.world import Client, World

pytestmark = pytest.mark.browser

# Notes what a page's policy refused, before anything of the page runs.
WATCH = """
window.refused = [];
document.addEventListener('securitypolicyviolation', e => refused.push(`${e.violatedDirective} ${e.blockedURI}`));
"""
# A click on a link that leads to another site.
LEAVE = "url => { const a = document.createElement('a'); a.href = url; document.body.append(a); a.click() }"


@contextlib.asynccontextmanager
async def another_site(html: str) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Somebody else's page on an origin of its own, and who asked for it."""
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text=html, content_type="text/html")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        # By its other name: another site than ours for the browser.
        yield f"http://localhost:{port}/", asked
    finally:
        await runner.cleanup()


async def addresses(client: Client) -> dict[str, str]:
    """A page of each kind that an address leads to."""
    open_ = await client.invoice(provider_id="open", redirect_url="https://example.com/volver")
    parts = await client.invoice(provider_id="parts", partial_payment_config={"min_amount": 20000})
    paid = await client.invoice(provider_id="paid")
    await client.pay(paid["payment_id"])
    return {
        "payment": path_of(open_),
        "parts": path_of(parts),
        "paid": path_of(paid),
        "portal": f"/{client.slug}/test",
        "nothing": "/nadie",
        "no payment": "/payment/0198f3a2-7c1e-7b52-9d40-1f6f0d1b2c3d",
        "onepay docs": "/onepay/docs",
        "treli docs": "/treli/docs",
        "own docs": "/recaudo/docs",
    }


async def opened(tab: Page, url: str) -> Response:
    response = await tab.goto(url)
    assert response is not None
    await tab.wait_for_load_state("networkidle")
    return response


async def refused(tab: Page) -> list[str]:
    return await tab.evaluate("window.refused")


async def test_no_page_does_what_its_policy_refuses_and_each_has_one(
    new_phone: NewPhone, world: World, client: Client
) -> None:
    phone = await new_phone()
    await phone.tab.add_init_script(WATCH)
    for name, path in (await addresses(client)).items():
        response = await opened(phone.tab, world.base_url + path)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert await refused(phone.tab) == [], name
        assert response.headers["x-content-type-options"] == "nosniff", name
        assert "referrer-policy" in response.headers, name
        if "docs" not in name:
            for header, value in SECURITY_HEADERS.items():
                assert response.headers[header.lower()] == value, (name, header)
            assert response.headers["cache-control"] == "no-store", name


async def test_a_script_that_got_into_a_page_does_not_run(browser: Browser, world: World, client: Client) -> None:
    """Whoever finds a way to write into a page finds that the browser runs none of it."""
    context = await browser.new_context()
    tab = await context.new_page()
    await tab.add_init_script(WATCH)
    for path in (path_of(await client.invoice()), f"/{client.slug}/test", "/nadie", "/onepay/docs"):
        await opened(tab, world.base_url + path)
        await tab.evaluate(
            """() => {
                const script = document.createElement('script');
                script.textContent = 'window.ran = 1';
                document.body.append(script);
                document.body.insertAdjacentHTML('beforeend',
                    '<img src="https://example.com/x.png" onerror="window.ran = 2"><iframe src="https://example.com/">');
            }"""
        )
        await tab.wait_for_function("window.refused.length >= 3")
        assert await tab.evaluate("window.ran") is None, path
    await context.close()


async def test_no_page_can_be_framed(browser: Browser, world: World, client: Client) -> None:
    for name, path in (await addresses(client)).items():
        html = f'<iframe src="{world.base_url}{path}" width="400" height="600"></iframe>'
        async with another_site(html) as (url, _):
            context = await browser.new_context()
            tab = await context.new_page()
            await tab.goto(url)
            await tab.wait_for_load_state("networkidle")
            (_, frame) = tab.frames
            assert frame.url.startswith("chrome-error://"), name
            await context.close()


async def test_a_link_is_not_told_to_another_site(browser: Browser, world: World, client: Client) -> None:
    """The payer's link is a secret: neither a click nor a script of another page learns it."""
    async with another_site("hola") as (url, asked):
        context = await browser.new_context()
        tab = await context.new_page()
        for path in (path_of(await client.invoice()), f"/{client.slug}/test"):
            await opened(tab, world.base_url + path)
            async with tab.expect_navigation():
                await tab.evaluate(LEAVE, url)
            # A browser asks for the other site's icon on its own, and then the other site is who sends it.
            assert "Referer" not in [it for it in asked if it.path == "/"][-1].headers
            assert await tab.evaluate("document.referrer") == ""
        await context.close()


async def test_over_https_browsers_are_told_to_stay_there(browser: Browser, embedded_url: str, tmp_path: Path) -> None:
    """Behind a proxy that speaks https the server itself speaks http, and says what the public address is."""
    async with own_database(embedded_url) as url:
        world: Any = World(url, tmp_path)
        address = world.base_url
        ordinary = world.environment
        world.environment = lambda level="warning": {
            **ordinary(level),
            "RECAUDO_PUBLIC_URL": "https://cobros.example.com",
        }
        await world.start()
        try:
            client = await world.merchant()
            context = await browser.new_context()
            tab = await context.new_page()
            for path in (path_of(await client.invoice()), f"/{client.slug}/test", "/nadie"):
                response = await opened(tab, address + path)
                assert response.headers["strict-transport-security"] == STRICT_TRANSPORT, path
            await context.close()
        finally:
            await world.stop()
