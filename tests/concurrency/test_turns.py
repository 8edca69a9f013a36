"""Waiting for an invoice in memory: one at a time, in order, without trace, and never because of a stranger."""

import asyncio
from uuid import UUID, uuid4

import pytest

from recaudo.store.database import LockTimeoutError
from recaudo.usecases.turns import Turns

ACCOUNT, STRANGER, INVOICE = uuid4(), uuid4(), uuid4()


async def test_one_at_a_time_and_in_the_order_of_coming() -> None:
    turns, seen, inside = Turns(), list[int](), 0

    async def take(number: int) -> None:
        nonlocal inside
        async with turns.of(ACCOUNT, INVOICE):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            seen.append(number)
            inside -= 1

    await asyncio.gather(*(take(i) for i in range(20)))
    assert seen == list(range(20))


@pytest.mark.parametrize("other", [(ACCOUNT, uuid4()), (STRANGER, INVOICE)])
async def test_other_invoices_and_strangers_do_not_wait(other: tuple[UUID, UUID]) -> None:
    turns = Turns()
    async with turns.of(ACCOUNT, INVOICE), asyncio.timeout(1), turns.of(*other):
        pass


async def test_who_waits_for_too_long_is_told_and_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recaudo.usecases.turns.LOCK_TIMEOUT_S", 0.05)
    turns = Turns()
    async with turns.of(ACCOUNT, INVOICE):
        with pytest.raises(LockTimeoutError):
            async with turns.of(ACCOUNT, INVOICE):
                pytest.fail("the turn was not free")
    async with turns.of(ACCOUNT, INVOICE):
        pass


async def test_a_turn_ends_with_its_block_however_that_ends() -> None:
    turns = Turns()

    async def fail() -> None:
        async with turns.of(ACCOUNT, INVOICE):
            raise ZeroDivisionError

    async def stay() -> None:
        async with turns.of(ACCOUNT, INVOICE):
            await asyncio.sleep(60)

    with pytest.raises(ZeroDivisionError):
        await fail()
    holding = asyncio.create_task(stay())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(stay()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in (*waiting, holding):
        task.cancel()
    await asyncio.gather(holding, *waiting, return_exceptions=True)
    async with asyncio.timeout(1), turns.of(ACCOUNT, INVOICE):
        pass


async def test_nothing_is_remembered_of_an_invoice_that_nobody_changes() -> None:
    turns = Turns()
    for _ in range(100):
        async with turns.of(ACCOUNT, uuid4()):
            assert len(turns._locks) == 1
    assert len(turns._locks) == 0
