"""An account with everything that registers of the Treli dialect can make."""

import pytest

from tests.dialects.treli.stage import Stage
from tests.dialects.treli.wire import speaks_treli
from tests.world import Client


@pytest.fixture
def stage(client: Client) -> Stage:
    """The account's registers, to be filled as Treli's clients do."""
    return Stage(speaks_treli(client))
