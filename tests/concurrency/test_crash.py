"""Processes that are killed, stopped and started again, with requests under way and with work left to do.

Each test has a server of its own on the session's database, or on an embedded one of its own.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
import psutil
import pytest

from recaudo.store.embedded_keeper import Layout, is_locked
from recaudo.usecases import attempts, merchants
from recaudo.usecases.attempts import StartAttempt
from tests.commands import environment
from tests.concurrency.test_races import INVOICE, invoice_held
from tests.databases import bill, core_on, create, new_account, own_database
from tests.world import Client, World, free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel must tell processes of a killed parent")


class Mortal(World):
    """A world whose server can be killed and started again on the same port."""

    workers = 1

    async def start(self, *, workers: int = 1, log_level: str = "warning") -> None:
        self.workers = workers
        await super().start(workers=workers, log_level=log_level)

    @property
    def server(self) -> psutil.Process:
        assert self._server is not None
        return psutil.Process(self._server.pid)

    def kill(self) -> None:
        """SIGKILL, every process of the server at once: as a power cut would."""
        processes = [self.server, *self.server.children(recursive=True)]
        for process in processes:
            process.kill()
        assert self._server is not None
        self._server.wait(10)
        psutil.wait_procs(processes[1:], timeout=10)

    async def start_again(self) -> None:
        assert self._session is not None
        assert self._database is not None
        await self._session.close()
        await self._database.close()
        await super().start(workers=self.workers)

    def reconnected(self, client: Client) -> Client:
        """The same client on the connections of the new server."""
        return Client(self.session, self.base_url, client.key, client.account_id, client.slug)


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    """A database of our own: the worker of another server would do the work that ours left."""
    async with own_database(embedded_url) as url:
        yield url


@pytest.fixture
async def mortal(own_url: str, tmp_path: Path) -> AsyncIterator[Mortal]:
    made = Mortal(own_url, tmp_path)
    try:
        yield made
    finally:
        await made.stop()


class Load:
    """Clients that create invoices one after the other, each under a key of its own, and note what they were told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.acknowledged: dict[str, bytes] = {}
        self.unanswered: set[str] = set()
        self.other: Counter[int] = Counter()
        self._stop = False

    async def run(self, number: int) -> None:
        await asyncio.gather(*(self._one(i) for i in range(number)))

    async def _one(self, name: int) -> None:
        count = 0
        while not self._stop:
            key = f"{name}-{count}"
            count += 1
            try:
                answer = await self.client.post("/v1/invoices", {**INVOICE, "provider_id": key}, once=key)
            except (aiohttp.ClientError, ConnectionError):
                self.unanswered.add(key)
                await asyncio.sleep(0.02)
                continue
            if answer.status == 201:
                self.acknowledged[key] = answer.body
            else:
                self.other[answer.status] += 1
                self.unanswered.add(key)

    def stop(self) -> None:
        self._stop = True


async def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)


async def check_after(world: World, client: Client, load: Load) -> None:
    """What was acknowledged is there once; what was not is there at most once, and its key finds or makes it."""
    sent = [*load.acknowledged, *load.unanswered]
    keys = await world.rows("SELECT origin_id AS key FROM invoice WHERE account_id = $1", client.account_id)
    found = Counter(r["key"] for r in keys)
    assert set(found.values()) == {1}
    assert set(load.acknowledged) <= set(found) <= set(sent)
    replays = await asyncio.gather(
        *(client.post("/v1/invoices", {**INVOICE, "provider_id": key}, once=key) for key in sent)
    )
    assert {r.status for r in replays} == {201}
    for key, replay in zip(sent, replays, strict=True):
        assert key not in load.acknowledged or replay.body == load.acknowledged[key]
        assert ("Idempotent-Replayed" in replay.headers) == (key in found)
    (total,) = await world.rows("SELECT count(*) AS n FROM invoice WHERE account_id = $1", client.account_id)
    assert total["n"] == len(sent)
    assert await world.findings(client.account_id) == []


# --- Killed under load ---


async def test_what_was_acknowledged_survives_a_server_that_is_killed_under_load(mortal: Mortal) -> None:
    await mortal.start()
    client = await mortal.merchant()
    load = Load(client)
    running = asyncio.create_task(load.run(40))
    await until(lambda: len(load.acknowledged) >= 200)
    mortal.kill()
    await until(lambda: len(load.unanswered) >= 40)
    load.stop()
    await running
    assert load.other == {}
    await mortal.start_again()
    await check_after(mortal, mortal.reconnected(client), load)


async def test_a_killed_process_of_several_is_replaced_while_the_others_serve(mortal: Mortal) -> None:
    await mortal.start(workers=2)
    client = await mortal.merchant()
    load = Load(client)
    running = asyncio.create_task(load.run(20))
    await until(lambda: len(load.acknowledged) >= 100)
    victim, survivor = mortal.server.children()
    victim.kill()
    seen = len(load.acknowledged)
    await until(lambda: len(load.acknowledged) >= seen + 100)
    await until(lambda: len([c for c in mortal.server.children() if c.pid != victim.pid]) == 2)
    load.stop()
    await running
    assert load.other == {}
    assert survivor.is_running()
    await check_after(mortal, client, load)


# --- Work that was left ---


async def test_a_payment_that_was_pending_when_the_server_died_is_finished_after_its_restart(mortal: Mortal) -> None:
    await mortal.start()
    client = await mortal.merchant()
    invoice = await client.invoice()
    paid = await client.pay(invoice["payment"]["id"], outcome="pending_then_approve")
    assert paid["state"] == "processing"
    mortal.kill()
    await merchants.advance_clock(mortal.core, await mortal.account(client.account_id), timedelta(seconds=20))
    await mortal.start_again()
    await settled(mortal.reconnected(client), invoice["id"])
    assert await mortal.findings(client.account_id) == []


async def test_an_attempt_whose_gateway_was_never_heard_is_asked_about_and_not_started_again(mortal: Mortal) -> None:
    """The crash falls between the saving of the attempt and the gateway's answer."""
    await mortal.start()
    client = await mortal.merchant()
    invoice = await client.invoice()
    mortal.kill()
    account = await mortal.account(client.account_id)
    attempt, is_new, _ = await attempts._prepare(mortal.core, account, one_payment(UUID(invoice["payment"]["id"])))
    assert (attempt.state, is_new) == ("created", True)
    await merchants.advance_clock(mortal.core, account, timedelta(seconds=attempts.ASK_AFTER_S[0]))
    await mortal.start_again()
    client = mortal.reconnected(client)
    await settled(client, invoice["id"])
    clicked_again = await client.call(
        "POST", f"/recaudo/v1/sandbox/payments/{invoice['payment']['id']}", {"amount": 50000}, once="k"
    )
    assert clicked_again.json["payment_intent_id"] == str(attempt.id)
    rows = await mortal.rows("SELECT state FROM attempt WHERE account_id = $1", client.account_id)
    assert [r["state"] for r in rows] == ["succeeded"]
    assert await mortal.findings(client.account_id) == []


def one_payment(collection_id: UUID) -> StartAttempt:
    """Pay the whole invoice with a card."""
    return StartAttempt(
        collection_id=collection_id, amount_minor=5_000_000, gateway="sandbox", method="card", once_key="k"
    )


async def settled(client: Client, invoice_id: str) -> None:
    """Wait until the server's own worker has booked the money."""
    async with asyncio.timeout(15):
        while (await client.get(f"/v1/invoices/{invoice_id}")).json["status"] != "PAID":  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)


# --- Stopped ---


async def test_a_server_that_is_told_to_stop_finishes_what_it_began(mortal: Mortal) -> None:
    await mortal.start(workers=2)
    client = await mortal.merchant()
    invoices = [await client.invoice() for _ in range(4)]
    async with AsyncExitStack() as held:
        for invoice in invoices:
            await held.enter_async_context(invoice_held(mortal.database_url, invoice["id"]))
        changes = [asyncio.create_task(client.put(f"/v1/invoices/{i['id']}", {"amount": 60000})) for i in invoices]
        async with asyncio.timeout(20):
            while len(await mortal.rows(WAITING)) < len(changes):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
        mortal.server.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert mortal.server.is_running()
        assert not any(change.done() for change in changes)
    assert {(await change).status for change in changes} == {200}
    assert mortal._server is not None
    assert await asyncio.to_thread(mortal._server.wait, 20) == 0
    rows = await mortal.rows("SELECT amount_minor FROM invoice WHERE account_id = $1", client.account_id)
    assert {row["amount_minor"] for row in rows} == {6_000_000}


WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_a_stop_under_load_loses_nothing_that_was_acknowledged(mortal: Mortal) -> None:
    await mortal.start()
    client = await mortal.merchant()
    load = Load(client)
    running = asyncio.create_task(load.run(20))
    await until(lambda: len(load.acknowledged) >= 100)
    mortal.server.send_signal(signal.SIGTERM)
    assert mortal._server is not None
    assert await asyncio.to_thread(mortal._server.wait, 20) == 0
    load.stop()
    await running
    assert set(load.other) <= {503}
    await mortal.start_again()
    await check_after(mortal, mortal.reconnected(client), load)


# --- Nothing stays behind ---


def of_port(port: int) -> list[psutil.Process]:
    """Every process that was started as a server on this port."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if f"serve --port {port} " in f"{line} " and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@asynccontextmanager
async def serving(port: int, env: dict[str, str], *options: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "recaudo", "serve", "--port", str(port), *options]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        yield server
    finally:
        for process in of_port(port):
            process.kill()
        await asyncio.to_thread(server.wait, 10)


def answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_no_process_outlives_a_supervisor_that_is_killed(own_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with serving(port, environment(tmp_path, own_url), "--workers", "2") as server:
        await until(lambda: answers(port))
        assert len(of_port(port)) == 3
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: not of_port(port), 40)
        assert not answers(port)


# What a server process of a supervisor that is gone lives through: it starts, and its stop never ends.
HUNG = """
import asyncio, signal
from recaudo import app

signal.signal(signal.SIGTERM, signal.SIG_IGN)
app.SUPERVISOR_LOOK_S, app.ALONE_S_MAX = 0.1, 1.0


class Hung(app.Application):
    async def _open(self):
        pass

    async def _close(self):
        print("closing", flush=True)
        await asyncio.Event().wait()


async def told(*_):
    return {}


asyncio.run(Hung(app.read_settings(), runs_worker=False)._lifespan(told, told))
"""


def test_a_process_whose_stop_hangs_is_ended_when_its_supervisor_is_gone(tmp_path: Path) -> None:
    nobody = {"RECAUDO_SERVE_SUPERVISOR": "0"}
    env = environment(tmp_path, None) | nobody
    command = [sys.executable, "-c", HUNG]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert ended.stdout.startswith("closing\n"), "it had begun to stop"
    assert "supervisor_gone" in ended.stdout + ended.stderr


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3])
async def test_a_server_that_is_ended_while_its_processes_start_is_gone_soon(
    own_url: str, tmp_path: Path, after_s: float, signal_number: int
) -> None:
    port = free_port()
    async with serving(port, environment(tmp_path, own_url), "--workers", "2") as server:
        await until(lambda: len(of_port(port)) >= 2)
        await asyncio.sleep(after_s)
        os.kill(server.pid, signal_number)
        await until(lambda: not of_port(port), 40)


async def test_an_embedded_database_stops_when_its_killed_server_is_gone(tmp_path: Path) -> None:
    port = free_port()
    lock = Layout(tmp_path.resolve()).server_lock  # noqa: ASYNC240 - one look at a local disk
    async with serving(port, environment(tmp_path, None), "--workers", "2") as server:
        await until(lambda: answers(port), 40)
        assert is_locked(lock)
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: not of_port(port), 40)
        await until(lambda: not is_locked(lock), 15)


async def test_a_worker_alone_does_what_is_due_and_stops_when_told(own_url: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recaudo", "worker", env=environment(tmp_path, own_url), stderr=asyncio.subprocess.PIPE
    )
    async with core_on(own_url) as core:
        account = await new_account(core)
        invoice_id = UUID((await create(core, account, bill())).answer.decode())
        async with core.database.connection() as connection:
            collection_id = await connection.fetchval("SELECT collection_id FROM invoice WHERE id = $1", invoice_id)
            command = msgspec.structs.replace(
                one_payment(collection_id), gateway_data={"outcome": "pending_then_approve"}
            )
            await attempts.start(core, account, command)
            await merchants.advance_clock(core, account, timedelta(seconds=20))
            async with asyncio.timeout(20):
                while await connection.fetchval("SELECT state FROM invoice WHERE id = $1", invoice_id) != "paid":  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, said) == (0, b"")
