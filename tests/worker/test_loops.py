"""What happens by itself, later: links expire, gateways are asked again, failures wait longer each time.

There is no server here, so that nobody but the test performs due work. Time is the test account's own clock.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from recaudo.domain.model import Account, InvoiceKind
from recaudo.domain.partial import PartialRule
from recaudo.domain.states import Refusal, RefusedError
from recaudo.store.accounts import find_account
from recaudo.store.doctor import examine
from recaudo.usecases import attempts, invoices, merchants
from recaudo.usecases.attempts import ASK_AFTER_S, ASK_DAILY_S, JITTER, StartAttempt, next_ask_after
from recaudo.usecases.core import Core
from recaudo.worker import loops
from recaudo.worker.backoff import wait_after
from tests.databases import TELLING, bill, core_on, create, new_account, own_database, plain, recount

PRICE_MINOR = 5_000_000


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url) as url:
        yield url


@pytest.fixture
async def core(own_url: str) -> AsyncIterator[Core]:
    """Every test leaves books without a fault, and no work for the next."""
    async with core_on(own_url) as made:
        yield made
        assert [f async for _, found in examine(made.database) for f in found] == []
        async with made.database.connection() as connection:
            await connection.execute(
                "UPDATE collection SET state = 'cancelled', due_at = NULL WHERE due_at IS NOT NULL"
            )
            await connection.execute(
                """
                WITH ended AS (UPDATE attempt SET state = 'failed', due_at = NULL, ask_at = NULL
                               WHERE due_at IS NOT NULL)
                UPDATE collection SET open_attempts = 0
                """
            )
            for (account_id,) in await connection.fetch("SELECT id FROM account"):
                await recount(connection, account_id)


class Story:
    """A test account, and short words for what happens to it."""

    def __init__(self, core: Core, account: Account) -> None:
        self.core = core
        self.account = account

    async def bill(self, **fields: Any) -> UUID:
        """Open an invoice."""
        return UUID((await create(self.core, self.account, bill(**fields))).answer.decode())

    async def pay(self, invoice_id: UUID, *, amount_minor: int = PRICE_MINOR, **more: Any) -> Any:
        """Start an attempt on the invoice's newest collection."""
        outcome = more.pop("outcome", "approve")
        return await attempts.start(
            self.core,
            self.account,
            StartAttempt(
                collection_id=(await self.invoice(invoice_id))["collection_id"],
                amount_minor=amount_minor,
                gateway="sandbox",
                method="card",
                gateway_data={"outcome": outcome},
                **{"once_key": "once", **more},
            ),
        )

    async def advance(self, **span: float) -> None:
        """Let time pass on the account's clock."""
        await merchants.advance_clock(self.core, self.account, timedelta(**span))
        async with self.core.database.connection() as connection:
            account = await find_account(connection, self.account.id)
        assert account is not None
        self.account = account

    async def advance_to(self, instant: datetime) -> None:
        now = self.core.now(self.account)
        await self.advance(seconds=max(0.0, (instant - now).total_seconds()))

    async def drain(self) -> int:
        return await loops.drain(self.core, TELLING)

    async def invoice(self, invoice_id: UUID) -> dict[str, Any]:
        return await self._row("SELECT * FROM invoice WHERE id = $1", invoice_id)

    async def collection(self, invoice_id: UUID) -> dict[str, Any]:
        """The invoice's newest collection."""
        return await self._row(
            "SELECT c.* FROM collection c JOIN invoice i ON i.collection_id = c.id WHERE i.id = $1", invoice_id
        )

    async def attempt(self, invoice_id: UUID) -> dict[str, Any]:
        """The invoice's newest attempt."""
        return await self._row("SELECT * FROM attempt WHERE invoice_id = $1 ORDER BY id DESC LIMIT 1", invoice_id)

    async def events(self, invoice_id: UUID) -> list[str]:
        async with self.core.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT type FROM event WHERE subject_id = $1 ORDER BY version, ordinal", invoice_id
            )
        return [r["type"] for r in rows]

    async def sql(self, statement: str, *values: object) -> None:
        async with self.core.database.connection() as connection:
            await connection.execute(statement, *values)

    async def _row(self, query: str, *values: object) -> dict[str, Any]:
        async with self.core.database.connection() as connection:
            found = await connection.fetchrow(query, *values)
        assert found is not None
        return dict(found)


@pytest.fixture
async def story(core: Core) -> Story:
    return Story(core, await new_account(core))


# --- Expiry ---


async def test_a_link_expires_when_its_time_is_over_and_not_before(story: Story) -> None:
    limit = story.core.now(story.account) + timedelta(hours=2)
    request = await story.bill(kind=InvoiceKind.REQUEST, expires_at=limit)
    await story.advance(hours=1, minutes=59)
    assert await story.drain() == 0
    await story.advance(minutes=1)
    assert await story.drain() == 1
    collection = await story.collection(request)
    assert (collection["state"], collection["due_at"]) == ("expired", None)
    assert (await story.events(request))[-1] == "collection.expired"
    assert await story.drain() == 0
    with pytest.raises(RefusedError) as refused:
        await story.pay(request)
    assert refused.value.refusal is Refusal.COLLECTION_EXPIRED


async def test_a_link_takes_no_money_after_its_time_even_before_the_worker_saw_it(story: Story) -> None:
    limit = story.core.now(story.account) + timedelta(hours=2)
    request = await story.bill(kind=InvoiceKind.REQUEST, expires_at=limit)
    await story.advance(hours=2)
    with pytest.raises(RefusedError) as refused:
        await story.pay(request)
    assert refused.value.refusal is Refusal.COLLECTION_EXPIRED
    await story.drain()
    assert (await story.collection(request))["state"] == "expired"


async def test_what_was_paid_in_time_does_not_expire(story: Story) -> None:
    limit = story.core.now(story.account) + timedelta(hours=2)
    request = await story.bill(kind=InvoiceKind.REQUEST, expires_at=limit)
    await story.pay(request)
    await story.advance(days=1)
    assert await story.drain() == 0
    assert (await story.collection(request))["state"] == "paid"


async def test_the_window_for_parts_opens_with_the_first_part_and_keeps_what_came(story: Story) -> None:
    """OnePay 9.4: the parts stay, the invoice stays partly paid, and a change asks for the rest."""
    invoice = await story.bill(partial=PartialRule(min_minor=1_000_000, window_hours=24))
    await story.advance(days=30)
    assert await story.drain() == 0
    assert (await story.collection(invoice))["expires_at"] is None

    await story.pay(invoice, amount_minor=2_000_000, once_key="1")
    await story.advance(hours=23)
    await story.pay(invoice, amount_minor=1_000_000, once_key="2")
    assert await story.drain() == 0
    await story.advance(hours=1, seconds=1)
    assert await story.drain() == 1

    assert (await story.events(invoice))[-1] == "collection.part_expired"
    assert (await story.collection(invoice))["state"] == "expired"
    row = await story.invoice(invoice)
    assert (row["state"], row["received_minor"]) == ("open", 3_000_000)

    await invoices.change(story.core, story.account, invoice, lambda _: {}, lambda _: (200, b""), once=None)
    rest = await story.collection(invoice)
    assert (rest["state"], rest["amount_minor"], rest["expires_at"]) == ("pending", 2_000_000, None)
    await story.pay(invoice, amount_minor=2_000_000, once_key="3")
    assert (await story.invoice(invoice))["state"] == "paid"


async def test_money_that_was_on_its_way_when_the_link_expired_is_booked(story: Story) -> None:
    limit = story.core.now(story.account) + timedelta(seconds=8)
    request = await story.bill(kind=InvoiceKind.REQUEST, expires_at=limit)
    await story.pay(request, outcome="pending_then_approve")
    await story.advance(seconds=8)
    await story.drain()
    assert (await story.collection(request))["state"] == "expired"
    await story.advance(seconds=60)
    await story.drain()
    assert (await story.collection(request))["state"] == "paid"
    assert (await story.invoice(request))["received_minor"] == PRICE_MINOR


# --- Asking gateways again ---


async def test_a_pending_payment_is_approved_when_the_gateway_says_so(story: Story) -> None:
    invoice = await story.bill()
    attempt = await story.pay(invoice, outcome="pending_then_approve")
    assert attempt.state == "processing"
    assert (await story.collection(invoice))["open_attempts"] == 1
    await story.advance(seconds=9)
    await story.drain()
    assert (await story.attempt(invoice))["state"] == "processing"
    await story.advance(seconds=2)
    await story.drain()
    row = await story.attempt(invoice)
    assert (row["state"], row["due_at"], row["ask_at"]) == ("succeeded", None, None)
    assert (await story.collection(invoice))["open_attempts"] == 0
    assert (await story.invoice(invoice))["state"] == "paid"


async def test_a_gateway_that_never_answers_is_asked_on_its_schedule_and_nothing_is_charged_again(
    story: Story,
) -> None:
    invoice = await story.bill()
    started = await story.pay(invoice, outcome="never_answer")
    assert started.state == "unknown"
    waits: list[float] = []
    for asked in range(1, 13):
        row = await story.attempt(invoice)
        assert (row["state"], row["asked"], row["id"]) == ("unknown", asked, started.id)
        asked_from = story.core.now(story.account)
        await story.advance_to(row["ask_at"] - timedelta(seconds=1))
        assert await story.drain() == 0, "not before its time"
        await story.advance_to(row["ask_at"])
        assert await story.drain() == 1
        waits.append((row["ask_at"] - asked_from).total_seconds())
    for wait_s, planned_s in zip(waits, ASK_AFTER_S[1:13], strict=True):
        assert planned_s * (1 - JITTER) - 2 <= wait_s <= planned_s + 2
    collection = await story.collection(invoice)
    assert (collection["open_attempts"], collection["received_minor"]) == (1, 0)
    with pytest.raises(RefusedError) as refused:
        await story.pay(invoice, once_key="again")
    assert refused.value.refusal is Refusal.ATTEMPT_IN_PROGRESS
    await story.pay(invoice, once_key="again", again=True)
    assert (await story.invoice(invoice))["state"] == "paid"


async def test_after_a_month_a_gateway_is_still_asked_daily(story: Story) -> None:
    invoice = await story.bill()
    await story.pay(invoice, outcome="never_answer")
    now = story.core.now(story.account)
    assert next_ask_after(len(ASK_AFTER_S) + 100, now) == now + timedelta(seconds=ASK_DAILY_S)
    assert sum(ASK_AFTER_S) >= 7 * 86_400
    assert list(ASK_AFTER_S) == sorted(ASK_AFTER_S)


async def test_an_answer_without_news_forgets_earlier_failures(story: Story) -> None:
    """Whether the next failure waits seconds or an hour depends on failures in a row, not on how often it was asked."""
    invoice = await story.bill()
    await story.pay(invoice, outcome="never_answer")
    await story.sql("UPDATE attempt SET tries = 5, last_error = 'once upon a time' WHERE invoice_id = $1", invoice)
    await story.advance_to((await story.attempt(invoice))["ask_at"])
    assert await story.drain() == 1
    row = await story.attempt(invoice)
    assert (row["tries"], row["last_error"], row["leased_until"]) == (0, None, None)


async def test_money_that_settles_after_the_link_was_replaced_lowers_the_new_link(story: Story) -> None:
    invoice = await story.bill()
    await story.pay(invoice, outcome="settle_after_replacement")
    old = await story.collection(invoice)
    await invoices.change(
        story.core, story.account, invoice, lambda _: {"amount_minor": 8_000_000}, lambda _: (200, b""), once=None
    )
    assert (await story.collection(invoice))["amount_minor"] == 8_000_000
    await story.advance_to((await story.attempt(invoice))["ask_at"])
    await story.drain()
    new = await story.collection(invoice)
    assert (new["state"], new["amount_minor"]) == ("pending", 3_000_000)
    assert (await story._row("SELECT state FROM collection WHERE id = $1", old["id"]))["state"] == "paid"
    assert (await story.invoice(invoice))["received_minor"] == PRICE_MINOR


async def test_a_clock_that_jumps_over_years_performs_everything_once(story: Story) -> None:
    pending = [await story.bill() for _ in range(5)]
    for invoice in pending:
        await story.pay(invoice, outcome="pending_then_approve")
    requests = [
        await story.bill(kind=InvoiceKind.REQUEST, expires_at=story.core.now(story.account) + timedelta(days=i + 1))
        for i in range(5)
    ]
    await story.advance(days=5000)
    assert await story.drain() == 10
    assert {(await story.invoice(i))["state"] for i in pending} == {"paid"}
    assert {(await story.collection(r))["state"] for r in requests} == {"expired"}
    assert {(await story.attempt(i))["asked"] for i in pending} == {2}


async def test_several_workers_at_once_ask_about_each_attempt_once(story: Story, own_url: str) -> None:
    pending = [await story.bill() for _ in range(30)]
    await asyncio.gather(*(story.pay(i, outcome="pending_then_approve") for i in pending))
    await story.advance(seconds=11)
    async with core_on(own_url) as second, core_on(own_url) as third:
        counts = await asyncio.gather(*(loops.drain(c, TELLING) for c in (story.core, second, third)))
    assert sum(counts) == 30
    assert {(await story.attempt(i))["asked"] for i in pending} == {2}
    assert {(await story.invoice(i))["state"] for i in pending} == {"paid"}


# --- Failing ---


async def test_what_fails_says_why_waits_longer_each_time_and_holds_up_nobody(story: Story) -> None:
    """A gateway that this program no longer has: its attempts stay, others go on."""
    broken, sound = await story.bill(), await story.bill()
    for invoice in (broken, sound):
        await story.pay(invoice, outcome="pending_then_approve")
    await story.sql("UPDATE attempt SET gateway = 'gone' WHERE invoice_id = $1", broken)
    await story.advance(seconds=11)
    for tries in range(1, 8):
        before = story.core.clock.now()
        await story.drain()
        row = await story.attempt(broken)
        assert (row["tries"], row["leased_until"], row["state"]) == (tries, None, "processing")
        assert row["last_error"] == "KeyError: 'gone'"
        waited = row["due_at"] - before
        assert timedelta(0) <= waited - wait_after(tries) < timedelta(seconds=10)
        # Real time is not ours to move: what waits is made due instead.
        await story.sql("UPDATE attempt SET due_at = $2 WHERE invoice_id = $1", broken, before)
    assert (await story.invoice(sound))["state"] == "paid"

    await story.sql("UPDATE attempt SET gateway = 'sandbox' WHERE invoice_id = $1", broken)
    await story.drain()
    row = await story.attempt(broken)
    assert (row["state"], row["tries"], row["last_error"], row["due_at"]) == ("succeeded", 0, None, None)


# --- The loops themselves ---


async def until_paid(story: Story, invoice: UUID) -> None:
    async with asyncio.timeout(15):
        while (await story.invoice(invoice))["state"] != "paid":  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.05)


async def test_the_loops_perform_what_becomes_due_and_end_when_they_are_told(story: Story) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(loops.run(story.core, stop, TELLING))
    invoice = await story.bill()
    await story.pay(invoice, outcome="pending_then_approve")
    await story.advance(seconds=11)
    await until_paid(story, invoice)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 2)


async def test_a_stop_waits_for_what_is_being_performed(story: Story, own_url: str) -> None:
    invoice = await story.bill()
    await story.pay(invoice, outcome="pending_then_approve")
    stop = asyncio.Event()
    async with plain(own_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch("SELECT 1 FROM invoice WHERE id = $1 FOR UPDATE", invoice)
        await story.advance(seconds=11)
        running = asyncio.create_task(loops.run(story.core, stop, TELLING))
        async with asyncio.timeout(10):
            while (await story.attempt(invoice))["leased_until"] is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        stop.set()
        await asyncio.sleep(0.5)
        assert not running.done(), "the claimed attempt is not dropped"
        await transaction.rollback()
    await asyncio.wait_for(running, 10)
    assert (await story.invoice(invoice))["state"] == "paid"


async def test_the_loops_outlive_a_database_that_goes_away(story: Story, own_url: str) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(loops.run(story.core, stop, TELLING))
    async with plain(own_url) as connection:
        for _ in range(3):
            await connection.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
            await asyncio.sleep(0.2)
    invoice = await story.bill()
    await story.pay(invoice, outcome="pending_then_approve")
    await story.advance(seconds=11)
    await until_paid(story, invoice)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 5)
