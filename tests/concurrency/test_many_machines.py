"""Two servers and two workers, each a process of its own as on a machine of its own, with one database between them."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from recaudo.store.deliveries import LEASE
from tests.databases import own_database
from tests.dialects.treli.stage import ADDRESS, Stage
from tests.dialects.treli.wire import speaks_treli
from tests.receiver import Receiver, receiving
from tests.webhooks.test_delivery import listen
from tests.world import Client, World, running

INVOICES = 24
TYPES = ("invoice.created", "payment.created", "payment.approved", "invoice.paid")
PATIENCE_S = 60


@pytest.fixture
async def servers(embedded_url: str, tmp_path: Path) -> AsyncIterator[tuple[World, World]]:
    async with contextlib.AsyncExitStack() as kept:
        url = await kept.enter_async_context(own_database(embedded_url))
        homes = [tmp_path / name for name in ("first", "second")]
        for home in homes:
            home.mkdir()
        first, second = [await kept.enter_async_context(running(url, h, runs_worker=False)) for h in homes]
        yield first, second


@contextlib.asynccontextmanager
async def worker(server: World, home: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`recaudo worker` beside a server, ended as a service manager ends it."""
    with (home / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "recaudo", "worker"]
        process = await asyncio.to_thread(subprocess.Popen, command, env=server.environment(), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(process.wait, 40)
    # One that had not begun yet has nothing to end.
    assert status in {0, -signal.SIGTERM}, (home / "worker.log").read_text()


async def bill_and_pay(first: Client, second: Client, number: int) -> None:
    """An invoice of either dialect, loaded by one server, read and paid by the other."""
    if number % 2:
        made = await first.invoice(provider_id=f"A-{number}", phone=f"+57316759{number:04}")
        payment = made["payment_id"]
        again = await second.get(f"/v1/invoices/{made['id']}")
        assert again.json["id"] == made["id"]
    else:
        stage = Stage(speaks_treli(first))
        address = {**ADDRESS, "identification": str(1_060_500_000 + number)}
        customer = await stage.customer(email=f"{number}@example.com", billing_address=address)
        made = await stage.invoice(invoice_number=f"B-{number}", customer=customer)
        payment = made["checkout_url"].rpartition("/")[2]
        again = await speaks_treli(second).get(f"/v1/invoices/{made['id']}")
        assert again.json["id"] == made["id"]
    await second.pay(payment)


async def told_everything(world: World, receiver: Receiver) -> None:
    """Until nothing waits, or patience ends."""
    async with asyncio.timeout(PATIENCE_S):
        waiting = "SELECT 1 FROM delivery WHERE state = 'waiting' LIMIT 1"
        while await world.rows(waiting) or not receiver.received:  # noqa: ASYNC110 - other processes are at it
            await asyncio.sleep(0.1)


async def test_two_servers_and_two_workers_serve_one_database_as_one_would(
    servers: tuple[World, World], tmp_path: Path
) -> None:
    first, second = servers
    client = await first.merchant()
    other = replace(client, session=second.session, base_url=second.base_url)
    async with (
        receiving() as receiver,
        worker(first, tmp_path / "first"),
        worker(second, tmp_path / "second"),
    ):
        endpoint = await listen(client, receiver, *TYPES)
        pairs = [(client, other), (other, client)]
        await asyncio.gather(*(bill_and_pay(*pairs[n // 2 % 2], n) for n in range(INVOICES)))
        await told_everything(first, receiver)

        # The same key and body at both servers at once: one invoice, the same bytes.
        body = {"reference": "1", "provider": "biller", "provider_id": "twin", "amount": 50_000, "name": "Internet",
                "phone": "+573167591030"}  # fmt: skip
        answers = await asyncio.gather(*(c.post("/v1/invoices", body, once="twin") for c in (client, other) * 3))
        assert {a.status for a in answers} == {201}
        assert len({a.body for a in answers}) == 1
        await told_everything(second, receiver)

    assert endpoint["id"]
    told = Counter(r.event_id for r in receiver.received)
    deliveries = await first.rows(
        "SELECT subject_id, tries, history -> 0 ->> 'at' AS at FROM delivery WHERE account_id = $1 "
        "ORDER BY subject_id, version, ordinal",
        client.account_id,
    )
    assert len(deliveries) == INVOICES * len(TYPES) + 2
    assert {d["tries"] for d in deliveries} == {1}
    assert sum(told.values()) == len(told) == len(deliveries), "each event was told once, by one worker or the other"
    for earlier, later in pairwise(deliveries):
        if earlier["subject_id"] == later["subject_id"]:
            assert earlier["at"] <= later["at"], "in the order in which it happened"

    totals = [(await c.get("/v1/invoices?filter[status]=PAID")).json["total"] for c in (client, other)]
    assert totals == [INVOICES, INVOICES]
    assert await first.findings(client.account_id) == []


async def test_what_a_killed_worker_held_is_told_by_the_other(servers: tuple[World, World], tmp_path: Path) -> None:
    first, second = servers
    client = await first.merchant()
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.created")
        await client.invoice()
        # As a worker that took the row and was killed leaves it, a lease ago.
        await first.execute(
            "UPDATE delivery SET leased_until = now() + $1::interval / 60 WHERE account_id = $2",
            LEASE,
            client.account_id,
        )
        async with worker(second, tmp_path / "second"):
            (request,) = await receiver.wait_for(1, timeout_s=PATIENCE_S)
            assert request.type == "invoice.created"
            await told_everything(first, receiver)
    assert len(receiver.received) == 1
    assert await first.findings(client.account_id) == []
