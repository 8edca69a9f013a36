"""A second server on the session's database, with two processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import Client, World, running


@pytest.fixture(scope="session")
async def crowd(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server of two processes, which share nothing but the database."""
    home: Path = tmp_path_factory.mktemp("crowd")
    async with running(database_url, home, workers=2, runs_worker=False) as made:
        yield made


@pytest.fixture(params=["one process", "two processes"])
async def racer(request: pytest.FixtureRequest, world: World, crowd: World) -> AsyncIterator[tuple[World, Client]]:
    """A fresh test account on each kind of server. The doctor must find nothing wrong with it afterwards."""
    server = world if request.param == "one process" else crowd
    client = await server.merchant()
    yield server, client
    assert await server.findings(client.account_id) == []
