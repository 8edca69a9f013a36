"""Group commit: shared statements, every request its own outcome, and no way to hurt or to block a neighbour."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from recaudo.domain.model import Account
from recaudo.domain.opening import open_invoice
from recaudo.store.database import BadRowError, DatabaseAwayError
from recaudo.store.door import Creation, create_many
from recaudo.store.embedded import EmbeddedHandle, open_embedded
from recaudo.store.migrate import migrate
from recaudo.store.writer import BATCH_MAX, QueueFullError
from recaudo.usecases import invoices
from recaudo.usecases.core import Core, Done, KeyReusedError, OriginTakenError
from recaudo.usecases.invoices import _invoice
from tests.databases import bill, core_on, create, new_account, once, own_database, plain

REFUSED_BY_THE_DATABASE = {
    "an amount above the limit": {"amount_minor": 10**15 + 1},
    "an amount that is no 64-bit number": {"amount_minor": 2**70},
    "text with a NUL": {"name": "Internet\0 plan"},
    "text that is no UTF-8": {"description": "half a pair: \ud800"},
}


async def all_of(calls: Iterable[Awaitable[Done]]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def count(core: Core, account: Account) -> int:
    async with core.database.connection() as connection:
        found = await connection.fetchval("SELECT count(*) FROM invoice WHERE account_id = $1", account.id)
    return int(found)


async def statements(core: Core, account: Account) -> Counter[Any]:
    """How many invoices each commit wrote: rows of one statement carry one transaction id."""
    async with core.database.connection() as connection:
        rows = await connection.fetch("SELECT xmin::text FROM invoice WHERE account_id = $1", account.id)
    return Counter(r["xmin"] for r in rows)


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def key_held(url: str, account: Account, key: str) -> AsyncGenerator[None]:
    """Another transaction has written this idempotency key and does not end: whoever needs the key waits."""
    async with plain(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "INSERT INTO idempotency VALUES ($1, $2, $3, '{}', 201, 'held', now())", account.id, once(key).scope, key
        )
        try:
            yield
        finally:
            await transaction.rollback()


# --- Sharing ---


async def test_requests_that_arrive_together_share_statements(core: Core, account: Account) -> None:
    done = await all_of(create(core, account, bill(), key=f"k{i}") for i in range(3 * BATCH_MAX))
    assert {type(d) for d in done} == {Done}
    shares = await statements(core, account)
    assert sum(shares.values()) == 3 * BATCH_MAX
    assert sorted(shares.values()) == [BATCH_MAX] * 3


async def test_what_arrives_while_a_batch_is_written_makes_the_next_batch(
    core: Core, account: Account, database_url: str
) -> None:
    async with key_held(database_url, account, "held"):
        first = asyncio.create_task(create(core, account, bill(), key="held"))
        await until(lambda: core.writer._idle_lanes.locked() and not core.writer._waiting)
        later = [asyncio.create_task(create(core, account, bill(), key=f"k{i}")) for i in range(50)]
        await until(lambda: len(core.writer._waiting) == 50)
        assert not first.done()
    await asyncio.gather(first, *later)
    assert sorted((await statements(core, account)).values()) == [1, 50]


async def test_a_request_alone_costs_one_statement_and_no_look(account: Account, database_url: str) -> None:
    async with core_on(database_url, connections_max=1) as core:
        # The first statement of a connection asks for the types of our rows.
        await create(core, account, bill())
        async with core.database.connection() as held:
            connection: Any = held._con  # pyright: ignore[reportAttributeAccessIssue]
        asked: list[str] = []
        with connection.query_logger(lambda record: asked.append(record.query)):
            await create(core, account, bill(origin_id="1"), key="k")
    assert len(asked) == 1, asked


# --- Each its own outcome ---


async def test_one_batch_of_every_kind_of_trouble_harms_no_neighbour(core: Core, account: Account) -> None:
    await create(core, account, bill(), key="old")
    await create(core, account, bill(origin_id="old"))

    calls: dict[str, Awaitable[Done]] = {
        "replayed": create(core, account, bill(), key="old"),
        "origin taken before": create(core, account, bill(origin_id="old"), key="k1"),
        "first of twins": create(core, account, bill(), key="twin"),
        "second of twins": create(core, account, bill(), key="twin"),
        "first of one origin": create(core, account, bill(origin_id="new"), key="k2"),
        "second of one origin": create(core, account, bill(origin_id="new"), key="k3"),
        "same numbers, other system": create(core, account, bill(origin="other", origin_id="new"), key="k4"),
        **{what: create(core, account, bill(**fields), key=what) for what, fields in REFUSED_BY_THE_DATABASE.items()},
        **{f"neighbour {i}": create(core, account, bill(origin_id=f"n{i}"), key=f"n{i}") for i in range(20)},
    }
    outcomes = dict(zip(calls, await all_of(calls.values()), strict=True))

    assert outcomes["replayed"].replayed
    assert isinstance(outcomes["origin taken before"], OriginTakenError)
    twins = [outcomes["first of twins"], outcomes["second of twins"]]
    assert sorted(t.replayed for t in twins) == [False, True]
    assert twins[0].answer == twins[1].answer
    rivals = [outcomes["first of one origin"], outcomes["second of one origin"]]
    assert [type(r) for r in rivals] == [Done, OriginTakenError]
    assert str(rivals[1].existing_id).encode() == rivals[0].answer
    assert not outcomes["same numbers, other system"].replayed
    for what in REFUSED_BY_THE_DATABASE:
        assert isinstance(outcomes[what], BadRowError), (what, outcomes[what])
    for i in range(20):
        assert isinstance(outcomes[f"neighbour {i}"], Done)
    assert await count(core, account) == 2 + 1 + 1 + 1 + 20

    # A refused request left nothing under its key: corrected, it goes through.
    corrected = await create(core, account, bill(), key="text with a NUL")
    assert not corrected.replayed


async def test_a_refusal_of_the_database_names_the_rule_and_never_the_values(core: Core, account: Account) -> None:
    secret = "+573001112233"
    for what, fields in REFUSED_BY_THE_DATABASE.items():
        with pytest.raises(BadRowError) as refused:
            await create(core, account, bill(phone=secret, **fields))
        trace = repr(refused.value) + repr(refused.value.__cause__)
        assert secret not in trace, what
        assert refused.value.__suppress_context__ or refused.value.__context__ is None, what


async def test_twins_that_the_database_refuses_all_hear_so(core: Core, account: Account) -> None:
    outcomes = await all_of(create(core, account, bill(name="a\0b"), key="twin") for _ in range(60))
    assert Counter(type(o) for o in outcomes) == {BadRowError: 60}
    assert await count(core, account) == 0


async def test_one_key_with_two_bodies_is_a_conflict_even_within_a_batch(core: Core, account: Account) -> None:
    def body(amount_minor: int) -> Awaitable[Done]:
        return invoices.create(
            core, account, bill(amount_minor=amount_minor), lambda _: (201, b"x"), once=once("k", str(amount_minor))
        )

    outcomes = await all_of([body(5_000_000), body(6_000_000), body(5_000_000)])
    assert [type(o) for o in outcomes] == [Done, KeyReusedError, Done]
    assert await count(core, account) == 1


async def test_tenants_with_the_same_keys_and_numbers_do_not_meet(core: Core, account: Account) -> None:
    other = await new_account(core)
    outcomes = await all_of(
        create(core, tenant, bill(origin_id=str(i)), key=f"k{i}") for i in range(20) for tenant in (account, other)
    )
    assert {(type(o), o.replayed) for o in outcomes} == {(Done, False)}
    assert await count(core, account) == await count(core, other) == 20


# --- Several writers ---


def in_another_loop(
    url: str, account: Account, work: Callable[[Core], Awaitable[list[Any]]]
) -> Callable[[], list[Any]]:
    """Run work in a thread with a loop, a pool and a writer of its own, as another process would."""
    results: list[Any] = []

    async def run() -> None:
        async with core_on(url, connections_max=3) as core:
            results.extend(await work(core))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()

    def join() -> list[Any]:
        thread.join(60)
        assert not thread.is_alive(), "the writers block each other for good"
        return results

    return join


# With a deadlock the database waits this long before it ends one: a test that is faster had none.
PATIENT = "options=-c%20deadlock_timeout%3D30s"


async def test_writers_that_take_the_same_keys_in_other_orders_give_one_winner_each(
    core: Core, account: Account, database_url: str
) -> None:
    number = 200
    url = f"{database_url}{'&' if '?' in database_url else '?'}{PATIENT}"

    def in_order(indices: list[int]) -> Callable[[Core], Awaitable[list[Any]]]:
        async def work(own: Core) -> list[Any]:
            calls = {
                i: create(own, account, bill(origin_id=f"o{-i % 7}-{i}", reference=str(i % 11)), key=f"k{i}")
                for i in indices
            }
            return sorted(zip(calls, await all_of(calls.values()), strict=True))

        return work

    started_s = time.monotonic()
    up, down = list(range(number)), list(range(number))[::-1]
    joins = [in_another_loop(url, account, in_order(order)) for order in (up, down, up[::2] + up[1::2])]
    results = [await asyncio.to_thread(join) for join in joins]
    assert time.monotonic() - started_s < 30, "the writers deadlocked"

    assert await count(core, account) == number
    for outcomes in zip(*results, strict=True):
        assert {type(o) for _, o in outcomes} == {Done}
        assert sorted(o.replayed for _, o in outcomes) == [False, True, True]
        assert len({o.answer for _, o in outcomes}) == 1


async def test_tenants_that_number_alike_do_not_deadlock_each_other(
    core: Core, account: Account, database_url: str
) -> None:
    """Two writers with the same numbers of two tenants, each in its own order, are let go at the same moment."""
    one, two = sorted((account, await new_account(core)), key=lambda a: a.id)
    url = f"{database_url}{'&' if '?' in database_url else '?'}{PATIENT}"
    async with core_on(url) as here, core_on(url) as there:
        for number in range(8):
            async with origin_held(core, one, str(number)):
                calls = [
                    asyncio.create_task(create(own, tenant, bill(origin_id=str(number))))
                    for own, tenants in ((here, (one, two)), (there, (two, one)))
                    for tenant in tenants
                ]
                await asyncio.sleep(0.1)
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 20)
            assert Counter(type(o) for o in outcomes) == {Done: 2, OriginTakenError: 2}


@contextlib.asynccontextmanager
async def origin_held(core: Core, account: Account, origin_id: str) -> AsyncGenerator[None]:
    """Another transaction has written an invoice with this origin, and takes it back when the block ends."""
    moment = core.moment(account)
    change = open_invoice(_invoice(account, bill(origin_id=origin_id), moment), moment)
    creation = Creation(change=change, clock_shift=account.clock_shift, customer=None, remembered=None)
    with contextlib.suppress(ZeroDivisionError):
        async with core.database.transaction() as connection:
            await create_many(connection, [creation])
            yield
            raise ZeroDivisionError


async def test_a_duplicate_waits_for_the_first_in_another_process_and_replays_it(
    core: Core, account: Account, database_url: str
) -> None:
    async with core_on(database_url) as other:
        outcomes = await all_of(create(own, account, bill(), key="k") for _ in range(50) for own in (core, other))
    assert sorted(o.replayed for o in outcomes) == [False] + [True] * 99
    assert len({o.answer for o in outcomes}) == 1


async def test_a_duplicate_in_another_process_is_replayed_and_never_told_that_its_number_is_taken(
    core: Core, account: Account, database_url: str
) -> None:
    """Its writer looks before it writes, while the first request with the key commits."""
    async with core_on(database_url) as other:
        for i in range(150):
            for own in (core, other):
                own.writer._look_first = True
            outcomes = await all_of(
                create(own, account, bill(origin_id=str(i)), key=f"k{i}") for own in (core, other, core)
            )
            assert {type(o) for o in outcomes} == {Done}, outcomes
            assert sorted(o.replayed for o in outcomes) == [False, True, True]


async def test_when_the_first_fails_the_duplicate_that_waited_for_it_runs(
    core: Core, account: Account, database_url: str
) -> None:
    async with key_held(database_url, account, "k"):
        waiting = asyncio.create_task(create(core, account, bill(), key="k"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert not (await waiting).replayed


# --- Limits and clients that leave ---


async def test_a_full_queue_refuses_at_once_and_what_waits_is_still_written(
    core: Core, account: Account, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recaudo.store.writer.QUEUE_MAX", 10)
    async with key_held(database_url, account, "held"):
        first = asyncio.create_task(create(core, account, bill(), key="held"))
        await until(lambda: core.writer._idle_lanes.locked() and not core.writer._waiting)
        queued = [asyncio.create_task(create(core, account, bill())) for _ in range(10)]
        await until(lambda: len(core.writer._waiting) == 10)
        with pytest.raises(QueueFullError):
            await create(core, account, bill())
    await asyncio.gather(first, *queued)
    await create(core, account, bill())
    assert await count(core, account) == 12


async def test_a_client_that_leaves_does_not_break_the_lane(core: Core, account: Account, database_url: str) -> None:
    async with key_held(database_url, account, "held"):
        first = asyncio.create_task(create(core, account, bill(), key="held"))
        await until(lambda: core.writer._idle_lanes.locked() and not core.writer._waiting)
        queued = [asyncio.create_task(create(core, account, bill(), key=f"k{i}")) for i in range(20)]
        await until(lambda: len(core.writer._waiting) == 20)
        first.cancel()
        for task in queued[::2]:
            task.cancel()
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(first, *queued, return_exceptions=True)
    assert [isinstance(o, asyncio.CancelledError) for o in outcomes] == [True, *([True, False] * 10)]
    # What was handed in is written all the same, and its key finds it.
    replayed = await all_of(create(core, account, bill(), key=key) for key in ("held", *(f"k{i}" for i in range(20))))
    assert {o.replayed for o in replayed} == {True}
    assert await count(core, account) == 21


async def test_clients_that_all_leave_before_the_batch_starts_leave_a_working_lane(
    core: Core, account: Account
) -> None:
    tasks = [asyncio.create_task(create(core, account, bill())) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    done = await asyncio.wait_for(create(core, account, bill(), key="after"), 10)
    assert not done.replayed


# --- Faults ---


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
async def test_a_batch_that_the_database_cuts_short_is_an_error_and_no_end(
    core: Core, account: Account, database_url: str, how: str
) -> None:
    async with key_held(database_url, account, "held"):
        waiting = [asyncio.create_task(create(core, account, bill(), key=key)) for key in ("held", "a", "b")]
        async with plain(database_url) as connection:
            async with asyncio.timeout(10):
                while not await connection.fetchval(CUT_THE_WAITING.format(how)):  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert {type(o) for o in outcomes} == {DatabaseAwayError}
    again = await all_of(create(core, account, bill(), key=key) for key in ("held", "a", "b"))
    assert {(type(o), o.replayed) for o in again} == {(Done, False)}


CUT_THE_WAITING = """
    SELECT {}(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO idempotency%'
"""


@pytest.fixture
def own_server(tmp_path: Path) -> Any:
    with open_embedded(tmp_path) as handle:
        yield handle


def postmaster(handle: EmbeddedHandle) -> psutil.Process:
    return psutil.Process(int((handle.data_dir / "postmaster.pid").read_text().splitlines()[0]))


async def test_a_database_that_restarts_under_load_gives_errors_and_comes_back(own_server: EmbeddedHandle) -> None:
    """Twice: as an administrator stops it, and as a crash ends it."""
    await migrate(own_server.url)
    async with core_on(own_server.url) as core:
        account = await new_account(core)
        outcomes: dict[str, Any] = {}
        stop = asyncio.Event()

        async def load(name: int) -> None:
            number = 0
            while not stop.is_set():
                key = f"{name}-{number}"
                number += 1
                try:
                    outcomes[key] = await asyncio.wait_for(create(core, account, bill(), key=key), 30)
                except Exception as error:  # noqa: BLE001 - looked at below
                    outcomes[key] = error
                    await asyncio.sleep(0.1)

        loads = [asyncio.create_task(load(i)) for i in range(10)]
        for number in (signal.SIGINT, signal.SIGQUIT):
            await created_since(outcomes, len(outcomes))
            os.kill(postmaster(own_server).pid, number)
            await until(lambda: any(isinstance(o, Exception) for o in list(outcomes.values())[-10:]), 20)
            await created_since(outcomes, len(outcomes))
        stop.set()
        await asyncio.gather(*loads)

        failed = {key: o for key, o in outcomes.items() if isinstance(o, Exception)}
        assert failed
        assert all(isinstance(o, DatabaseAwayError) for o in failed.values()), Counter(map(repr, failed.values()))
        replays = await all_of(create(core, account, bill(), key=key) for key in outcomes)
        again = dict(zip(outcomes, replays, strict=True))
        lost = [key for key in outcomes if key not in failed and again[key].answer != outcomes[key].answer]
        assert lost == [], "what was acknowledged is there, once"
        assert await count(core, account) == len(outcomes)
        assert len({UUID(done.answer.decode()) for done in again.values()}) == len(outcomes)


async def created_since(outcomes: dict[str, Any], seen: int) -> None:
    """Wait until creations go through again."""
    await until(lambda: sum(isinstance(o, Done) for o in list(outcomes.values())[seen:]) >= 30, 60)


async def test_a_database_that_is_made_anew_meanwhile_is_an_error_too(database_url: str) -> None:
    """The pool's connections are all dead and the database is gone: a plain error at once, again and again."""
    async with own_database(database_url) as url:
        keep = core_on(url)
        core = await keep.__aenter__()
        account = await new_account(core)
    for _ in range(3):
        with pytest.raises(DatabaseAwayError):
            await asyncio.wait_for(create(core, account, bill()), 10)
    await keep.__aexit__(None, None, None)
