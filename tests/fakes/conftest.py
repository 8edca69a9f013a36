"""Fakes with a clock that stands still, a payer, and somebody who hears the notices."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from tests.fakes import Fakes, Payer, running_fakes
from tests.receiver import Receiver, receiving

START = datetime(2025, 11, 24, 16, 2, 3, tzinfo=UTC)  # 11:02 in Bogotá


@pytest.fixture
async def fakes() -> AsyncIterator[Fakes]:
    """Fakes whose payments end one second after they begin, on a clock that only a test moves."""
    async with running_fakes(start=START, frozen=True, settle_seconds=1) as made:
        yield made


@pytest.fixture
async def payer() -> AsyncIterator[Payer]:
    async with Payer() as made:
        yield made


@pytest.fixture
async def heard() -> AsyncIterator[Receiver]:
    """The merchant's server, as far as notices go."""
    async with receiving() as receiver:
        receiver.answer = ok
        yield receiver


def ok(_: object) -> web.Response:
    return web.Response(status=200)
