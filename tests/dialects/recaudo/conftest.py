"""A server whose gateways are the fakes of the vendors, with a merchant's test account; registers filled by Treli."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recaudo.config import Vendors
from tests.databases import own_database
from tests.dialects.recaudo.shop import Shop
from tests.dialects.treli.stage import Stage
from tests.dialects.treli.wire import speaks_treli
from tests.fakes import Fakes, running_fakes
from tests.world import Client, World, running


@pytest.fixture(scope="session")
async def fakes() -> AsyncIterator[Fakes]:
    async with running_fakes() as made:
        yield made


@pytest.fixture(scope="session")
async def market(embedded_url: str, fakes: Fakes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """On a database of its own, because of several servers on one only one may run the worker."""
    vendors = Vendors(wompi_url=fakes.wompi.base_url, mercadopago_url=fakes.mercadopago.base_url)
    home: Path = tmp_path_factory.mktemp("market")
    async with own_database(embedded_url) as url, running(url, home, log_level="info", vendors=vendors) as world:
        yield world


@pytest.fixture
async def shop(market: World, fakes: Fakes) -> AsyncIterator[Shop]:
    """Whatever the test did, the doctor must find nothing wrong, and nobody may have read a secret."""
    made = Shop(market, fakes, await market.merchant())
    yield made
    made.assert_no_secret_was_told()
    assert await market.findings(made.client.account_id) == []


@pytest.fixture
def stage(client: Client) -> Stage:
    """The account's registers, to be filled as Treli's clients do."""
    return Stage(speaks_treli(client))
