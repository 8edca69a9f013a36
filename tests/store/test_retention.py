"""What is old is swept in batches, what is not stays, and what proves money always does."""

from datetime import timedelta

import pytest

from recaudo.domain.model import Account
from recaudo.store import retention
from recaudo.store.database import Connection
from recaudo.store.doctor import examine
from recaudo.usecases import upkeep, webhooks
from recaudo.usecases.core import Core
from recaudo.usecases.upkeep import Kept
from recaudo.usecases.webhooks import NewEndpoint
from tests.databases import bill, core_on, create, new_account, own_database

FOREVER = timedelta(days=36_500)
# Whatever was made before a minute from now is old.
NOTHING = timedelta(minutes=-1)


async def told(core: Core, account: Account) -> None:
    """Two invoices whose events were told to an endpoint, and one whose events wait."""
    types = ("invoice.created",)
    command = NewEndpoint(dialect="onepay", name="ERP", description=None, url="https://example.com", types=types)
    await webhooks.create(core, account, command, lambda _: (201, b""), once=None)
    for n in range(3):
        await create(core, account, bill(origin_id=str(n)), key=f"key-{n}")
    async with core.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO event_body (account_id, event_id, dialect, type, body)
            SELECT account_id, event_id, 'onepay', type, '{}' FROM delivery WHERE account_id = $1
            """,
            account.id,
        )
        await connection.execute(
            """
            UPDATE delivery SET state = 'delivered', due_at = NULL
            WHERE account_id = $1 AND id <> (SELECT max(id::text)::uuid FROM delivery WHERE account_id = $1)
            """,
            account.id,
        )


async def count(connection: Connection, table: str, account: Account) -> int:
    found: int = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", account.id)
    return found


async def left(core: Core, account: Account) -> dict[str, int]:
    tables = ("delivery", "event_body", "idempotency", "event", "invoice")
    async with core.database.connection() as connection:
        return {table: await count(connection, table, account) for table in tables}


async def test_what_is_young_stays(core: Core, account: Account) -> None:
    await told(core, account)
    before = await left(core, account)
    await upkeep.sweep(core, Kept(deliveries=timedelta(days=1), answers=timedelta(days=1)))
    assert await left(core, account) == before


async def test_old_tellings_go_but_those_that_wait_and_answers_stay(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        account, other = await new_account(core), await new_account(core)
        await told(core, account)
        await create(core, other, bill(), key="another one's")
        events = (await left(core, account))["event"]
        assert await upkeep.sweep(core, Kept(deliveries=NOTHING)) == 4
        assert await left(core, account) == {
            "delivery": 1, "event_body": 1, "idempotency": 3, "event": events, "invoice": 3
        }  # fmt: skip
        assert [f async for _, found in examine(core.database) for f in found] == []


async def test_answers_go_only_where_the_operator_says_so(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        account = await new_account(core)
        await told(core, account)
        assert await upkeep.sweep(core, Kept(deliveries=FOREVER, answers=NOTHING)) == 3
        assert (await left(core, account))["idempotency"] == 0
        assert (await left(core, account))["delivery"] == 3


async def test_a_sweep_works_in_batches_and_stops_when_told(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_MAX", 2)
    monkeypatch.setattr(upkeep, "BATCH_MAX", 2)
    async with own_database(embedded_url) as url, core_on(url) as core:
        account = await new_account(core)
        await told(core, account)
        rests: list[int] = []

        async def stop() -> bool:
            rests.append((await left(core, account))["idempotency"])
            return False

        assert await upkeep.sweep(core, Kept(answers=NOTHING), rest=stop) == 2
        assert rests == [1], "the batch is committed before the rest"
        assert await upkeep.sweep(core, Kept(answers=NOTHING)) == 1


async def test_the_age_of_a_row_is_told_by_its_accounts_own_clock(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        account = await new_account(core)
        await told(core, account)
        kept = Kept(deliveries=timedelta(days=300))
        assert await upkeep.sweep(core, kept) == 0
        async with core.database.connection() as connection:
            await connection.execute("UPDATE account SET clock_shift = '400 days' WHERE id = $1", account.id)
        assert await upkeep.sweep(core, kept) == 4
