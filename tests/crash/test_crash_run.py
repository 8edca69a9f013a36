"""A short run of `make crash`, and the proof that it can fail."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from random import Random

import pytest

from tests.crash.machine import WEIGHTS
from tests.crash.requests import Write
from tests.crash.running import Load, check, machine, run
from tests.databases import own_database
from tests.receiver import receiving
from tests.world import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals to the database's own processes")


@pytest.mark.timeout(180)
async def test_nothing_acknowledged_is_lost_or_done_twice_while_everything_is_killed(tmp_path: Path) -> None:
    ended = await run(tmp_path, seconds=None, seed=20251020, every_s=1.5)
    assert ended.wrong == []
    assert ended.acknowledged > 100
    assert ended.killed == dict.fromkeys(WEIGHTS, 1)


@pytest.mark.timeout(120)
async def test_a_killed_server_process_waits_for_its_database_and_the_others_live_on(tmp_path: Path) -> None:
    async with machine(tmp_path, Random(3)) as it:
        before = it.server_pid
        (keeper,) = it.keepers()
        keeper.suspend()  # so that PostgreSQL stays away for a while
        it.kill("PostgreSQL")
        it.kill("server process")
        await asyncio.sleep(6)
        keeper.resume()
        await it.healthy()
        assert it.server_pid == before
        assert it.ended_by_themselves == {}
        lines = (tmp_path / "server.log").read_text().splitlines()
        assert any('"event":"database_away"' in line for line in lines)
        assert [line for line in lines if line.startswith("Traceback")] == []


@pytest.mark.timeout(120)
async def test_a_server_whose_database_ends_after_the_keeper_answers_again_by_itself(tmp_path: Path) -> None:
    async with machine(tmp_path, Random(3)) as it:
        before = it.server_pid
        for _ in range(2):
            it.kill("keeper")
            it.kill("PostgreSQL")
            await it.healthy()
            client = await it.merchant()
            await client.invoice()
        assert it.server_pid == before
        assert it.ended_by_themselves == {}
        lines = [line for name in ("server", "worker") for line in (tmp_path / f"{name}.log").read_text().splitlines()]
        assert any('"event":"embedded_database"' in line and "another has taken its place" in line for line in lines)


# --- It can fail ---


@pytest.fixture
async def load(embedded_url: str, tmp_path: Path) -> AsyncIterator[Load]:
    """A little load on a server that nobody kills."""
    async with own_database(embedded_url) as url, running(url, tmp_path) as world, receiving() as receiver:
        made = Load(world, Random(7), receiver)
        await made.open()
        stop = asyncio.Event()
        working = asyncio.create_task(made.work(stop))
        await asyncio.sleep(2)
        stop.set()
        await working
        await made.calm()
        yield made


async def test_whatever_is_lost_doubled_or_changed_is_told_with_its_request(load: Load) -> None:
    assert await check(load) == []
    lost, forgotten, altered = of_kind(load.writes, "create")[:3]
    await behind_the_back(load, "DELETE FROM invoice WHERE origin_id = $1", lost.mark)
    await behind_the_back(load, "DELETE FROM idempotency WHERE key = $1", forgotten.key)
    await behind_the_back(load, "UPDATE idempotency SET answer = answer || ' '::bytea WHERE key = $1", altered.key)
    doubled = of_kind(load.writes, "part")[0]
    await behind_the_back(load, DOUBLED, doubled.mark)
    # Of the other shop, as the first has lost an invoice.
    paid = [w for w in of_kind(load.writes, "pay") if w.answer and w.answer.json["state"] == "succeeded"][-1]
    await behind_the_back(load, "UPDATE attempt SET state = 'failed' WHERE once_key = $1", paid.key)
    unheard = of_kind(load.writes, "create")[3]
    load.receiver.received[:] = [r for r in load.receiver.received if f'"{unheard.mark}"'.encode() not in r.body]
    invented = load.receiver.received[0]
    invented.body = invented.body.replace(b"COP", b"USD")
    wrong = await check(load)

    assert told(wrong, f"{lost}: acknowledged, and found 0 times")
    assert told(wrong, f"{forgotten}: ", "is not replayed", "now gives 4")
    assert told(wrong, f"{altered}: acknowledged, and its key now gives other bytes")
    assert told(wrong, f"{doubled}: acknowledged, and found 2 times")
    assert told(wrong, f"{paid}: acknowledged, and its key now gives other bytes")
    assert told(wrong, f"{paid}: told succeeded, and is failed")
    assert told(wrong, f"{unheard}: acknowledged, and the endpoint of onepay never heard of it")
    assert told(wrong, f"{unheard}: acknowledged, and the endpoint of treli never heard of it")
    assert told(wrong, "onepay: never told of invoice.created") or told(wrong, "treli: never told of invoice.created")
    assert told(wrong, "onepay: invented") or told(wrong, "treli: invented")
    assert told(wrong, "doctor: invoice-received")


DOUBLED = """
    INSERT INTO receipt SELECT (json_populate_record(r, json_build_object(
        'id', gen_random_uuid(), 'gateway_tx_id', gen_random_uuid()::text, 'number', 'DOUB-LED0'))).*
    FROM receipt r JOIN invoice i ON i.account_id = r.account_id AND i.id = r.invoice_id
    WHERE r.kind = 'outside' AND i.origin_id || ' ' || r.amount_minor = $1
"""


def of_kind(writes: Iterable[Write], kind: str) -> list[Write]:
    return [write for write in writes if write.kind == kind and write.is_acknowledged]


async def behind_the_back(load: Load, command: str, value: str) -> None:
    """Change rows as no program of ours does: without foreign keys, and it must have hit one."""
    async with load.world.core.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        assert (await connection.execute(command, value)).endswith(" 1")


def told(wrong: list[str], start: str, *one_of: str) -> bool:
    """Whether a finding begins so, and says one of the texts."""
    return any(line.startswith(start) and (not one_of or any(text in line for text in one_of)) for line in wrong)
