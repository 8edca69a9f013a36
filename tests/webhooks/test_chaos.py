"""Nothing is lost on the way to a receiver: not by receivers that misbehave, nor by workers and databases that die.

A server takes requests; two workers of their own tell what happened to a receiver that answers in every bad way there
is. The workers are killed with SIGKILL again and again and the database is restarted, once gently and once by a crash.
In the end every event was received, none for a change that was refused or rolled back, and each says where it belongs
in the history of its invoice.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web

from recaudo.dialects.onepay.webhooks import TYPES
from recaudo.store.embedded import EmbeddedHandle, open_embedded
from recaudo.store.migrate import migrate
from tests.receiver import Received, Receiver, receiving
from tests.world import Client, World

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals to the database's own processes")

SEED = 20251020
CHAOS_S = 20
# What is raised of the endpoint itself, when nothing got through to it for an hour of its account's clock.
UNTOLD = "webhook.failing"
BAD_ANSWERS = (500, 404, 410, 302, "reset", "hang", "endless", "dribble")


class Workers:
    """Two worker processes, of which one is killed now and then."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._processes: list[subprocess.Popen[bytes]] = []
        self.killed = 0

    def start(self) -> None:
        self._processes = [self._launch() for _ in range(2)]

    def kill_one(self) -> None:
        """SIGKILL one of them and start another in its place."""
        victim = self._chance.randrange(len(self._processes))
        self._processes[victim].kill()
        self._processes[victim].wait(10)
        self._processes[victim] = self._launch()
        self.killed += 1

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            assert process.wait(30) == 0

    def _launch(self) -> subprocess.Popen[bytes]:
        with (self._world.home / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "recaudo", "worker"], env=self._world.environment("info"), stdout=log, stderr=log
            )


class BadReceiver:
    """Answers in every bad way, until it is told to be good."""

    def __init__(self, chance: random.Random, requests: list[web.Request]) -> None:
        self._chance = chance
        self._requests = requests
        self.accepted: list[Received] = []
        self.answers: Counter[Any] = Counter()
        self.is_good = False

    async def answer(self, received: Received) -> web.StreamResponse:
        request = self._requests[0]
        how: Any = 200 if self.is_good or self._chance.random() < 0.5 else self._chance.choice(BAD_ANSWERS)
        if how == "hang" and self._chance.random() < 0.7:
            how = 500  # each costs ten seconds of a place at this endpoint
        self.answers[how] += 1
        match how:
            case "hang":
                await asyncio.sleep(11)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case "endless" | "dribble":
                self.accepted.append(received)
                return await self._pour(request, slowly=how == "dribble")
            case 200:
                self.accepted.append(received)
                return web.Response(status=self._chance.choice((200, 201, 202, 204)))
            case _:
                return web.Response(status=how, headers={"Location": "/elsewhere"})
        return web.Response(status=500)

    async def _pour(self, request: web.Request, *, slowly: bool) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            for _ in range(40 if slowly else 1000):
                await response.write(b"x" if slowly else b"x" * 65536)
                await asyncio.sleep(0.1 if slowly else 0)
        return response


class Business:
    """Somebody who loads, changes, pays and withdraws invoices for as long as it is asked to."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self._client = client
        self._chance = chance
        self.refused = 0
        self.stop = False

    async def run(self, name: int) -> None:
        number = 0
        while not self.stop:
            number += 1
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, AssertionError):
                await self._one(f"{name}-{number}")
            await asyncio.sleep(0.05)

    async def _one(self, origin_id: str) -> None:
        invoice = await self._client.invoice(provider_id=origin_id, metadata={"2": "b", "10": "a", "nota": "ñ"})
        path = f"/v1/invoices/{invoice['id']}"
        payment_id = invoice["payment_id"]
        for _ in range(self._chance.randrange(3)):
            changed = await self._client.put(path, {"amount": self._chance.randrange(10_000, 90_000)})
            payment_id = changed.json["payment_id"] if changed.status == 200 else payment_id
        match self._chance.randrange(3):
            case 0:
                await self._client.delete(path)
            case 1:
                await self._client.pay(payment_id)
            case _:
                await self._client.pay(payment_id, outcome="decline")
        answer = await self._client.put(path, {"amount": 1})
        self.refused += answer.status in {409, 422}


@pytest.fixture
def own_server(tmp_path: Path) -> Any:
    with open_embedded(tmp_path / "database") as handle:
        yield handle


@pytest.fixture
async def lonely(own_server: EmbeddedHandle, tmp_path: Path) -> AsyncIterator[World]:
    """A server without a worker, on a database server of its own."""
    await migrate(own_server.url)
    world = World(own_server.url, tmp_path)
    world.runs_worker = False
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@pytest.mark.timeout(300)
async def test_every_event_arrives_whatever_dies_on_the_way(lonely: World, own_server: EmbeddedHandle) -> None:
    chance = random.Random(SEED)
    client = await lonely.merchant()
    workers = Workers(lonely, chance)
    requests: list[web.Request] = []
    async with receiving(requests) as receiver:
        bad = BadReceiver(chance, requests)
        receiver.answer = bad.answer
        types = [type_ for type_, core in TYPES.items() if core is not None and type_ != UNTOLD]
        body = {"name": "ERP", "url": receiver.url, "events": types}
        assert (await client.post("/v1/webhooks", body)).status == 201
        workers.start()
        try:
            business = await _live_through_it(client, chance, workers, own_server)
            bad.is_good = True
            await _until_all_is_told(lonely, client)
        finally:
            workers.stop()
        assert workers.killed >= 5
        assert business.refused > 0
        assert set(BAD_ANSWERS) <= set(bad.answers), "every bad answer was given"
        await _check(lonely, client, receiver, bad)
    assert await lonely.findings(client.account_id) == []


async def _live_through_it(
    client: Client, chance: random.Random, workers: Workers, own_server: EmbeddedHandle
) -> Business:
    """Work for a while in which workers are killed and the database is restarted twice."""
    business = Business(client, chance)
    running = [asyncio.create_task(business.run(i)) for i in range(4)]
    restarts = {CHAOS_S // 3: signal.SIGINT, 2 * CHAOS_S // 3: signal.SIGQUIT}
    for second in range(CHAOS_S):
        await asyncio.sleep(1)
        # What waits for its next try becomes due: the account's clock jumps over the waits.
        with contextlib.suppress(AssertionError, aiohttp.ClientError, ConnectionError):
            await client.advance_clock(seconds=700)
        if second in restarts:
            postmaster = int((own_server.data_dir / "postmaster.pid").read_text().splitlines()[0])
            os.kill(postmaster, restarts[second])
            await asyncio.to_thread(psutil.wait_procs, [psutil.Process(postmaster)], 20)
        elif second % 2:
            await asyncio.to_thread(workers.kill_one)
    business.stop = True
    await asyncio.gather(*running)
    return business


async def _until_all_is_told(world: World, client: Client) -> None:
    """Let time pass: waits between tries on the account's clock, leases of the killed in real time."""
    async with asyncio.timeout(150):
        while True:
            left = await world.rows(
                "SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting FROM delivery WHERE account_id = $1",
                client.account_id,
            )
            if left[0]["waiting"] == 0:
                return
            await client.advance_clock(seconds=700)
            # Only what is surely not on its way: a try takes ten seconds at most.
            await world.execute(
                "UPDATE delivery SET leased_until = now() WHERE leased_until < now() + interval '45 s' "
                "AND leased_until > now()"
            )
            await asyncio.sleep(0.5)


async def _check(world: World, client: Client, receiver: Receiver, bad: BadReceiver) -> None:
    """What was raised was received, and nothing else; the same event always the same; versions as they were."""
    known = {core for type_, core in TYPES.items() if core is not None and type_ != UNTOLD}
    events = await world.rows(
        "SELECT id, type, subject_id, version FROM event WHERE account_id = $1 ORDER BY subject_id, version, ordinal",
        client.account_id,
    )
    bodies = await world.rows("SELECT event_id, body FROM event_body WHERE account_id = $1", client.account_id)
    kept = {bytes(r["body"]): r["event_id"] for r in bodies}
    raised = {r["id"]: r for r in events if r["type"] in known}
    assert len(raised) > 100
    seen: dict[Any, set[bytes]] = defaultdict(set)
    for received in receiver.received:
        event_id = kept[received.body]
        seen[event_id].add(received.body)
        assert event_id in raised, "an event of a change that was not made"
        assert received.version == raised[event_id]["version"]
    assert {kept[r.body] for r in bad.accepted} == set(raised), "every event was accepted at least once"
    assert all(len(same) == 1 for same in seen.values()), "retries send identical bytes"
    states = await world.rows("SELECT DISTINCT state FROM delivery WHERE account_id = $1", client.account_id)
    assert [r["state"] for r in states] == ["delivered"]
