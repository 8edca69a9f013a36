"""The loops that fold numbers and sweep what is old run by themselves, outlive what goes wrong, and stop when told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from recaudo.store import tally
from recaudo.usecases import upkeep as use_case
from recaudo.usecases.core import Core
from recaudo.usecases.upkeep import Kept
from recaudo.worker import upkeep
from tests.databases import bill, core_on, create, new_account, own_database

PATIENCE_S = 30


async def test_the_loops_fold_and_sweep_until_they_are_told_to_stop(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FOLD_EVERY_S", 0.05)
    monkeypatch.setattr(upkeep, "SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(tally, "LOOSE_MAX", 2)
    async with own_database(embedded_url) as url, core_on(url) as core:
        account = await new_account(core)
        for n in range(5):
            await create(core, account, bill(origin_id=str(n)), key=str(n))

        async def left() -> tuple[int, int]:
            async with core.database.connection() as connection:
                return (
                    await connection.fetchval("SELECT count(*) FROM tally"),
                    await connection.fetchval("SELECT count(*) FROM idempotency"),
                )

        assert await left() == (10, 5)
        stop = asyncio.Event()
        running = asyncio.create_task(upkeep.run(core, stop, Kept(answers=timedelta(minutes=-1))))
        async with asyncio.timeout(PATIENCE_S):
            while await left() != (2, 0):  # noqa: ASYNC110 - the database tells no event
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)


async def test_a_loop_outlives_what_goes_wrong(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FOLD_EVERY_S", 0.01)
    stop = asyncio.Event()
    tries: list[int] = []

    async def broken(_: Core) -> int:
        tries.append(1)
        if len(tries) == 3:
            stop.set()
        raise ValueError("no such thing")

    monkeypatch.setattr(use_case, "fold", broken)
    await asyncio.wait_for(upkeep.run(core, stop, Kept()), PATIENCE_S)
    assert len(tries) == 3


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with core_on(database_url) as made:
        yield made
