"""One browser for the whole run, and phones that complain of whatever a page does wrong."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.phone import Phone
from tests.browser.street import Street, street as opened_street
from tests.fakes import fakes_in_thread
from tests.fakes.serving import ThreadedFakes
from tests.world import Client

# A browser that asks nobody for anything but the pages.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

NewPhone = Callable[..., Awaitable[Phone]]


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """The browser."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def new_phone(browser: Browser) -> AsyncIterator[NewPhone]:
    """Makes phones; at the end none of them may have met a page that is broken, too wide or against its policy."""
    made: list[Phone] = []

    async def make(*, scripts: bool = True, **options: Any) -> Phone:
        context = await browser.new_context(
            **{
                "viewport": {"width": 360, "height": 800},
                "is_mobile": True,
                "has_touch": True,
                "locale": "es-CO",
                "java_script_enabled": scripts,
                **options,
            }
        )
        context.set_default_timeout(30_000)
        made.append(Phone(await context.new_page(), scripts=scripts))
        return made[-1]

    yield make
    for phone in made:
        await phone.tab.context.close()
        assert phone.complaints == []


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
async def phone(request: pytest.FixtureRequest, new_phone: NewPhone) -> Phone:
    """A small phone, once with JavaScript and once without."""
    return await new_phone(scripts=request.param)


@pytest.fixture(scope="session")
def fakes() -> Iterator[ThreadedFakes]:
    """The vendors. Their clock runs, for the browser's does too."""
    with fakes_in_thread() as made:
        yield made


@pytest.fixture(scope="session")
async def street(
    embedded_url: str, tmp_path_factory: pytest.TempPathFactory, fakes: ThreadedFakes
) -> AsyncIterator[Street]:
    """A server that collects through them."""
    async with opened_street(embedded_url, tmp_path_factory.mktemp("street"), fakes) as made:
        yield made


@pytest.fixture
async def shop(street: Street) -> AsyncIterator[Client]:
    """A fresh merchant on that street. Whatever the test did, the doctor must find nothing wrong."""
    made = await street.merchant()
    yield made
    assert await street.findings(made.account_id) == []
