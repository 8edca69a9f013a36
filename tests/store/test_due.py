"""Due work is claimed by one worker at a time, given back, and found again when a worker dies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from recaudo.domain.model import Account, InvoiceKind
from recaudo.store import due
from recaudo.store.due import ERROR_CHARS_MAX, LEASE, Claimed, claim, oldest_due, postpone
from recaudo.usecases import attempts
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.core import Core
from recaudo.worker.backoff import wait_after
from tests.databases import bill, core_on, create, new_account, own_database

SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    """A database of our own: a claim takes the due work of every tenant."""
    async with own_database(embedded_url) as url:
        yield url


@pytest.fixture
async def core(own_url: str) -> AsyncIterator[Core]:
    async with core_on(own_url, connections_max=10) as made:
        yield made
        async with made.database.connection() as connection:
            await connection.execute("UPDATE collection SET due_at = NULL")
            await connection.execute("UPDATE attempt SET due_at = NULL")


@pytest.fixture
async def account(core: Core) -> Account:
    return await new_account(core)


async def expiring(core: Core, account: Account, number: int, *, first: datetime) -> list[UUID]:
    """Collections that expire one millisecond after another."""
    await asyncio.gather(
        *(
            create(
                core,
                account,
                bill(kind=InvoiceKind.REQUEST, expires_at=first + timedelta(milliseconds=i), metadata={"n": i}),
            )
            for i in range(number)
        )
    )
    async with core.database.connection() as connection:
        rows = await connection.fetch("SELECT id FROM collection WHERE account_id = $1 ORDER BY expires_at", account.id)
    return [r["id"] for r in rows]


async def take(core: Core, at: datetime, limit: int = 100) -> list[Claimed]:
    async with core.database.connection() as connection:
        return await claim(connection, "collection", real_now=at, limit=limit)


async def row(core: Core, claimed: Claimed) -> dict[str, object]:
    async with core.database.connection() as connection:
        found = await connection.fetchrow(
            "SELECT due_at, leased_until, tries, last_error FROM collection WHERE account_id = $1 AND id = $2",
            claimed.account_id,
            claimed.id,
        )
    assert found is not None
    return dict(found)


@pytest.fixture
def soon() -> datetime:
    """A moment that is not now, so that the test alone decides what is due."""
    return datetime.now(UTC) + timedelta(days=1)


async def test_many_workers_at_once_take_every_row_exactly_once(core: Core, account: Account, soon: datetime) -> None:
    made = await expiring(core, account, 300, first=soon)
    at = soon + 10 * SECOND
    taken: list[UUID] = []

    async def worker(limit: int) -> None:
        empty = 0
        while empty < 3:
            claimed = await take(core, at, limit)
            taken.extend(c.id for c in claimed)
            empty = 0 if claimed else empty + 1

    await asyncio.gather(*(worker(limit) for limit in (1, 7, 20, 20, 50, 50, 300, 300)))
    assert Counter(taken) == Counter(made)


async def test_the_earliest_due_come_first_and_what_is_not_due_does_not_come(
    core: Core, account: Account, soon: datetime
) -> None:
    made = await expiring(core, account, 20, first=soon)
    assert await take(core, soon - SECOND) == []
    assert {c.id for c in await take(core, soon + SECOND, limit=5)} == set(made[:5])
    assert {c.id for c in await take(core, soon + timedelta(milliseconds=9))} == set(made[5:10])


async def test_a_lease_holds_until_its_end_and_then_another_worker_takes_over(
    core: Core, account: Account, soon: datetime
) -> None:
    await expiring(core, account, 3, first=soon)
    first = await take(core, soon + SECOND)
    assert [c.tries for c in first] == [1, 1, 1]
    assert await take(core, soon + LEASE) == []
    second = await take(core, soon + SECOND + LEASE)
    assert {c.id for c in second} == {c.id for c in first}
    assert [c.tries for c in second] == [2, 2, 2]


async def test_what_is_given_back_is_due_again_when_it_was_said_and_tells_why(
    core: Core, account: Account, soon: datetime
) -> None:
    await expiring(core, account, 1, first=soon)
    (claimed,) = await take(core, soon + SECOND)
    until = soon + timedelta(minutes=5)
    async with core.database.connection() as connection:
        await postpone(connection, "collection", claimed, until=until, error="x" * 2 * ERROR_CHARS_MAX)
    assert await row(core, claimed) == {
        "due_at": until,
        "leased_until": None,
        "tries": 1,
        "last_error": "x" * ERROR_CHARS_MAX,
    }
    assert await take(core, until - SECOND) == []
    (again,) = await take(core, until)
    assert (again.id, again.tries) == (claimed.id, 2)


async def test_a_worker_that_comes_late_does_not_give_back_what_another_holds(
    core: Core, account: Account, soon: datetime
) -> None:
    await expiring(core, account, 1, first=soon)
    (slow,) = await take(core, soon + SECOND)
    (quick,) = await take(core, soon + SECOND + LEASE)
    before = await row(core, quick)
    async with core.database.connection() as connection:
        await postpone(connection, "collection", slow, until=soon, error="too late")
    assert await row(core, quick) == before
    assert await take(core, soon + SECOND + LEASE) == []


async def test_giving_back_does_not_wake_what_was_done_meanwhile(core: Core, account: Account, soon: datetime) -> None:
    await expiring(core, account, 1, first=soon)
    (claimed,) = await take(core, soon + SECOND)
    await pay(core, account, claimed)
    async with core.database.connection() as connection:
        await postpone(connection, "collection", claimed, until=soon, error="too late")
    assert (await row(core, claimed))["due_at"] is None


async def pay(core: Core, account: Account, claimed: Claimed) -> None:
    """Paid in full: nothing is left to expire."""
    await attempts.start(
        core,
        account,
        StartAttempt(
            collection_id=claimed.id, amount_minor=5_000_000, gateway="sandbox", method="card", once_key="once"
        ),
    )


async def test_the_age_of_due_work_is_that_of_its_oldest_row(core: Core, account: Account, soon: datetime) -> None:
    assert set(await oldest(core)) == set(due.TABLES)
    assert (await oldest(core))["collection"] is None
    await expiring(core, account, 3, first=soon)
    assert (await oldest(core))["collection"] == soon


async def oldest(core: Core) -> dict[str, datetime | None]:
    async with core.database.connection() as connection:
        return await oldest_due(connection)


def test_the_wait_grows_from_seconds_to_an_hour_and_no_further() -> None:
    waits = [wait_after(tries) for tries in range(1, 200)]
    assert waits[0] == timedelta(seconds=5)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)
    assert wait_after(0) == waits[0]
