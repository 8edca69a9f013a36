"""A client that speaks Treli: the same keys, by the scheme that Treli's clients use."""

import pytest

from tests.dialects.treli.stage import Stage
from tests.dialects.treli.wire import speaks_treli
from tests.world import Client


@pytest.fixture
def treli(client: Client) -> Client:
    """A fresh merchant's test account, spoken to by the Basic scheme."""
    return speaks_treli(client)


@pytest.fixture
def stage(treli: Client) -> Stage:
    """The same account's registers, to be filled."""
    return Stage(treli)
