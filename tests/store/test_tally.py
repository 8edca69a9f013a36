"""The totals of lists are right at every moment: while invoices change, while they are folded, by several at once."""

import asyncio
from uuid import UUID

import pytest

from recaudo.domain.model import Account
from recaudo.store import tally, views
from recaudo.store.lists import PageRequest
from recaudo.usecases import invoices, upkeep
from recaudo.usecases.core import Core
from recaudo.usecases.invoices import Withdrawal
from tests.databases import bill, create


async def totals(core: Core, account: Account) -> dict[str, int]:
    async with core.database.connection() as connection:
        found = {
            status: (await views.list_invoices(connection, account.id, PageRequest(), {"status": [status]})).total
            for status in tally.INVOICE_STATUSES
        }
        found["all"] = (await views.list_invoices(connection, account.id, PageRequest(), {})).total
        found["collections"] = (await views.list_collections(connection, account.id, PageRequest(), {})).total
    return {name: count for name, count in found.items() if count}


async def withdraw(core: Core, account: Account, invoice_id: str) -> None:
    how = Withdrawal("duplicate", paid_outside=False)
    await invoices.withdraw(core, account, UUID(invoice_id), lambda: how, lambda _: (204, b""), once=None)


async def test_totals_follow_every_change_before_and_after_folding(core: Core, account: Account) -> None:
    made = [await create(core, account, bill(origin_id=str(n))) for n in range(tally.LOOSE_MAX)]
    assert await totals(core, account) == {"open": 100, "all": 100, "collections": 100}
    await withdraw(core, account, made[0].answer.decode())
    expected = {"open": 99, "void": 1, "all": 99, "collections": 100}
    assert await totals(core, account) == expected
    await upkeep.fold(core)
    async with core.database.connection() as connection:
        rows = await connection.fetchval("SELECT count(*) FROM tally WHERE account_id = $1", account.id)
    assert rows <= 4, "one row for each number"
    assert await totals(core, account) == expected


async def test_workers_that_fold_while_invoices_come_in_lose_none(core: Core, account: Account) -> None:
    async def fold() -> None:
        for _ in range(20):
            async with core.database.connection() as connection:
                await tally.fold(connection, account.id)

    async def add(first: int) -> None:
        for n in range(20):
            await create(core, account, bill(origin_id=f"{first}-{n}"))

    await asyncio.gather(fold(), fold(), *(add(n) for n in range(4)))
    assert (await totals(core, account))["all"] == 80


async def test_a_number_that_comes_back_to_nothing_leaves_no_row(core: Core, account: Account) -> None:
    made = await create(core, account, bill(origin_id="only"))
    await withdraw(core, account, made.answer.decode())
    async with core.database.connection() as connection:
        await tally.fold(connection, account.id)
        names = await connection.fetch("SELECT name FROM tally WHERE account_id = $1", account.id)
    assert {r["name"] for r in names} == {"invoice:void", "collection:cancelled"}


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_pages_of_several_statuses_are_one_list_in_order(core: Core, account: Account, sort: str) -> None:
    made = [(await create(core, account, bill(origin_id=str(n)))).answer.decode() for n in range(9)]
    for gone in made[::3]:
        await withdraw(core, account, gone)
    found: list[str] = []
    async with core.database.connection() as connection:
        for page in (1, 2, 3, 4):
            wanted = PageRequest(page=page, per_page=4, sort=sort)
            answer = await views.list_invoices(connection, account.id, wanted, {"status": ["void", "open", "void"]})
            assert answer.total == 9
            found += [str(i.id) for i in answer.items]
    assert found == sorted(made, reverse=sort.startswith("-"))
