"""A database server for simulations, and a database of theirs."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from recaudo.simulation.command import be_quiet
from recaudo.simulation.crashes import FragileDatabase
from recaudo.simulation.running import quiet_about_the_dead
from recaudo.store import scratch
from recaudo.store.embedded import open_embedded


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database server that need not survive a power cut."""
    with open_embedded(tmp_path_factory.mktemp("simulation")) as handle:
        yield handle.url


@pytest.fixture(scope="package")
async def database(server: str) -> AsyncIterator[FragileDatabase]:
    await scratch.hurry(server)
    opened = await FragileDatabase.connect(await scratch.make(server, "simulation"), connections_max=4)
    logs = structlog.get_config()
    be_quiet()
    with quiet_about_the_dead():
        yield opened
    structlog.configure(**logs)
    await opened.close()


@pytest.fixture
async def wiped(database: FragileDatabase) -> FragileDatabase:
    """The same as new."""
    with database.calm():
        await scratch.wipe(database)
    return database
