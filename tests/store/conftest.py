"""The use cases over the session's database, without a server."""

from collections.abc import AsyncIterator

import pytest

from recaudo.domain.model import Account
from recaudo.usecases.core import Core
from tests.databases import core_on, new_account


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    """Use cases with a writer that no other test shares."""
    async with core_on(database_url) as made:
        yield made


@pytest.fixture
async def account(core: Core) -> Account:
    """A fresh test account."""
    return await new_account(core)
