"""Fixtures that every test may ask for: a database, a server on it, a browser."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from recaudo.store.embedded import open_embedded
from recaudo.store.migrate import migrate
from tests.world import Client, World, running

settings.register_profile("recaudo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("recaudo")

CHROMIUM_PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of the session's server."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def embedded_url(home: Path) -> Iterator[str]:
    """An embedded PostgreSQL, or the one that RECAUDO_TEST_DATABASE_URL names."""
    given = os.environ.get("RECAUDO_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with open_embedded(home) as handle:
        yield handle.url


@pytest.fixture(scope="session")
async def database_url(embedded_url: str) -> str:
    """A database with our tables."""
    await migrate(embedded_url)
    return embedded_url


@pytest.fixture(scope="session")
async def world(database_url: str, home: Path) -> AsyncIterator[World]:
    """A server on that database."""
    async with running(database_url, home) as made:
        yield made


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    """A fresh merchant's test account. Whatever the test did, the doctor must find nothing wrong with it."""
    made = await world.merchant()
    yield made
    assert await world.findings(made.account_id) == []


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser that drives pages. Where there is none the test is skipped, except in CI, where it fails."""
    for place in (os.environ.get("RECAUDO_TEST_CHROMIUM"), *CHROMIUM_PLACES):
        if place and Path(place).exists():
            return place
    if os.environ.get("CI") == "true":
        pytest.fail("CI has no Chromium: install Debian's package chromium")
    pytest.skip("no Chromium: install it, or name it in RECAUDO_TEST_CHROMIUM")
