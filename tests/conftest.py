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


# Files that take long. They are begun first, or the run would end with one process at work and the others done.
LONG = (
    "gateways/test_contract.py",
    "browser/test_payer_page.py",
    "store/test_embedded.py",
    "webhooks/test_chaos.py",
    "fuzzing/test_documents.py",
    "crash/test_crash_run.py",
    "browser/test_gateways.py",
    "concurrency/test_crash.py",
    "crash/test_no_room.py",
    "dialects/recaudo/test_attempts.py",
    "simulation/test_simulation.py",
    "hardening/test_slow_clients.py",
    "gateways/test_storm.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, in the order of LONG; the others stay as they were."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


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
