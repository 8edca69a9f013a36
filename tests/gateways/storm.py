"""Many payments through Wompi's fake with trouble at every step, while workers are killed: is every peso where it is?

    python -m tests.gateways.storm --payments 10000 --seed 1

The server and its workers are processes of their own; workers are killed with SIGKILL and started again, payers' own
requests die in the middle, the vendor answers late, wrongly, twice or not at all (`Scenario.random`). In the end, for
each attempt, what is booked must equal what the vendor says it kept of it, and the doctor and the comparison with the
vendor's own list must find nothing.
"""

import argparse
import asyncio
import contextlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console
from rich.progress import Progress

from recaudo.config import Vendors
from recaudo.domain.answers import Form, Redirect
from recaudo.domain.attempting import step_of
from recaudo.domain.model import Account, Attempt
from recaudo.edge.observe import configure_logging
from recaudo.store.accounts import find_account
from recaudo.store.embedded import open_embedded
from recaudo.store.migrate import migrate
from recaudo.usecases import attempts, gateways, merchants, reconciling
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.core import Core
from recaudo.usecases.gateways import NewGateway
from recaudo.usecases.reconciling import Difference
from recaudo.usecases.resting import Rests
from recaudo.worker import loops
from tests.databases import bill, create
from tests.fakes import Fakes, Payer, running_fakes
from tests.gateways.till import ALLOWS, NATURAL_PERSON
from tests.world import World, running

AT_ONCE = 24
KILLED_EVERY_S = 1.5
# Long enough for every delay of a random scenario, and for a page that nobody finished.
QUIET_DAYS = 3


@dataclass
class Tally:
    """What came of it."""

    payments: int = 0
    died: int = 0  # requests of payers that ended in the middle
    killed: int = 0  # workers
    approved_minor: int = 0
    booked_minor: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    findings: list[str] = field(default_factory=list[str])
    differences: list[str] = field(default_factory=list[str])
    mended: int = 0
    seconds: float = 0.0

    @property
    def is_sound(self) -> bool:
        return not self.wrong and not self.findings and not self.differences


class Tireless(Rests):
    """The vendor fails on purpose here: payers who are turned away for it would leave nothing to test."""

    def is_resting(self, key: Hashable, now: datetime) -> bool:
        return False


class Workers:
    """Worker processes that are killed and started again."""

    def __init__(self, world: World, rng: Random, count: int = 2) -> None:
        self._world = world
        self._rng = rng
        self._running = [self._start() for _ in range(count)]
        self.killed = 0

    async def kill_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * KILLED_EVERY_S)
            victim = self._rng.randrange(len(self._running))
            self._running[victim].send_signal(signal.SIGKILL)
            await asyncio.to_thread(self._running[victim].wait)
            self.killed += 1
            self._running[victim] = self._start()

    def stop(self) -> None:
        for worker in self._running:
            worker.kill()
            worker.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._world.home / "workers.log").open("ab") as log:
            command = [sys.executable, "-m", "recaudo", "worker"]
            return subprocess.Popen(command, env=self._world.environment("error"), stdout=log, stderr=log)


@dataclass
class Shop:
    """The merchant of the storm."""

    core: Core
    account: Account
    fakes: Fakes
    payer: Payer
    rng: Random
    tally: Tally

    async def pay(self, number: int) -> None:
        """One payer, who may lose patience or connection at any moment."""
        done = await create(self.core, self.account, bill(amount_minor=5_000_000 + number * 100, allows=ALLOWS))
        invoice_id = UUID(done.answer.decode())
        async with self.core.database.connection() as connection:
            collection_id = await connection.fetchval("SELECT collection_id FROM invoice WHERE id = $1", invoice_id)
        command = StartAttempt(
            collection_id=collection_id,
            amount_minor=5_000_000 + number * 100,
            gateway="wompi",
            method=self.rng.choice(["card", "card", "pse", "nequi"]),
            once_key=secrets.token_urlsafe(18),
            payer=NATURAL_PERSON,
            return_url="https://merchant.example/r/token",
        )
        starting = asyncio.create_task(attempts.start(self.core, self.account, command))
        if self.rng.random() < 0.1:
            await asyncio.sleep(self.rng.uniform(0, 0.3))
            starting.cancel()
            self.tally.died += 1
        with contextlib.suppress(asyncio.CancelledError):
            await self._go(await starting)
        self.tally.payments += 1

    async def _go(self, attempt: Attempt) -> None:
        with contextlib.suppress(RuntimeError):  # a page of the vendor that does not open is a payer who gives up
            match step_of(attempt):
                case Form(action=action, fields=fields):
                    await self.payer.pay(action, fields=dict(fields), method=self.rng.choice(["CARD", "PSE"]))
                case Redirect(url=url):
                    seen = await self.payer.open(url)
                    if seen.action:
                        await self.payer.press(seen)
                case _:
                    return


async def storm(world: World, fakes: Fakes, *, payments: int, seed: int, progress: Progress | None = None) -> Tally:
    """Make the payments, let things settle, and compare."""
    began, rng, tally = time.monotonic(), Random(seed), Tally()
    core = msgspec.structs.replace(world.core, rests=Tireless())
    account = await _open_shop(world, core, fakes)
    fakes.wompi.scenarios.chaos(seed)
    workers = Workers(world, rng)
    killer = asyncio.create_task(workers.kill_now_and_then())
    task = None if progress is None else progress.add_task("payments", total=payments)
    try:
        async with Payer() as payer:
            shop = Shop(core, account, fakes, payer, rng, tally)
            for first in range(0, payments, AT_ONCE):
                await asyncio.gather(*(shop.pay(n) for n in range(first, min(first + AT_ONCE, payments))))
                if progress is not None and task is not None:
                    progress.update(task, completed=tally.payments)
        await _let_days_pass(world, core, account, fakes, progress)
    finally:
        killer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killer
        workers.stop()
        tally.killed = workers.killed
    await _settle(world, core)
    await _compare(world, core, account, fakes, tally)
    tally.seconds = time.monotonic() - began
    return tally


async def _open_shop(world: World, core: Core, fakes: Fakes) -> Account:
    client = await world.merchant()
    async with core.database.connection() as connection:
        account = await find_account(connection, client.account_id)
    assert account is not None
    shop = fakes.wompi.merchant()
    keys = {
        "public_key": shop.public_key,
        "private_key": shop.private_key,
        "events_secret": shop.events_secret,
        "integrity_secret": shop.integrity_secret,
    }
    await gateways.create(core, account, NewGateway(kind="wompi", credentials=keys), lambda _: (201, b""), once=None)
    it = (await gateways.list_all(core, account))[0]
    shop.notice_url = f"{world.base_url}/notices/{it.notice_key}"
    return account


async def _let_days_pass(world: World, core: Core, account: Account, fakes: Fakes, progress: Progress | None) -> None:
    """Time at the vendor and on the account's clock, in steps that grow; after each the workers catch up."""
    left_s, step_s = QUIET_DAYS * 86_400.0, 10.0
    task = None if progress is None else progress.add_task("days after", total=left_s)
    while left_s > 0:
        step_s = min(step_s * 1.6, 21_600.0, left_s) if left_s > 1 else left_s
        left_s -= step_s
        await fakes.advance(step_s)
        await _advance_account(core, account.id, step_s)
        await _settle(world, core)
        if progress is not None and task is not None:
            progress.advance(task, step_s)


async def _advance_account(core: Core, account_id: UUID, seconds: float) -> None:
    async with core.database.connection() as connection:
        account = await find_account(connection, account_id)
    assert account is not None
    await merchants.advance_clock(core, account, timedelta(seconds=seconds))


async def _settle(world: World, core: Core) -> None:
    """Until nothing is due, help the workers, who may have just died with a lease in hand."""
    telling = loops.Telling(base_url=world.base_url, allow_private_networks=True)
    for _ in range(200):
        await core_leases_back(core)
        if not await loops.drain(core, telling):
            return


async def core_leases_back(core: Core) -> None:
    """A killed worker keeps its lease for a minute; the storm does not wait for it."""
    async with core.database.connection() as connection:
        for table in ("attempt", "gateway_notice", "gateway", "refund", "collection"):
            await connection.execute(f"UPDATE {table} SET leased_until = NULL WHERE leased_until IS NOT NULL")


async def _compare(world: World, core: Core, account: Account, fakes: Fakes, tally: Tally) -> None:
    """First as the worker does every day: a reversal whose notice was lost is found by nothing else. Then again."""
    tally.mended = sum(d.is_mended for d in await _differences(core, account))
    # What the vendor takes back is asked about once more.
    await _advance_account(core, account.id, 120)
    await _settle(world, core)
    tally.differences = [
        f"{d.kind} {d.gateway_tx_id}: {d.theirs_minor} and {d.ours_minor}" for d in await _differences(core, account)
    ]
    rows = await world.rows(
        """
        SELECT t.reference, t.state, coalesce(sum(r.amount_minor), 0)::bigint AS booked_minor
        FROM attempt t LEFT JOIN receipt r ON r.account_id = t.account_id AND r.attempt_id = t.id
        WHERE t.account_id = $1 GROUP BY t.reference, t.state
        """,
        account.id,
    )
    for row in rows:
        money = fakes.wompi.money(row["reference"])
        tally.states[row["state"]] += 1
        tally.approved_minor += money.net
        tally.booked_minor += row["booked_minor"]
        if money.net != row["booked_minor"]:
            tally.wrong.append(f"{row['reference']}: {row['booked_minor']} booked, {money.net} kept by the vendor")
    total = fakes.wompi.money()
    if total.net != tally.booked_minor:
        tally.wrong.append(f"{tally.booked_minor} booked in all, {total.net} kept by the vendor")
    tally.findings = [f"{f.check} {f.id}: {f.stored}, not {f.computed}" for f in await world.findings(account.id)]


async def _differences(core: Core, account: Account) -> list[Difference]:
    """What one comparison with the vendor's list finds."""
    async with core.database.connection() as connection:
        account = await find_account(connection, account.id) or account
    now, found = core.clock.now(), list[Difference]()
    for it in await gateways.list_all(core, account):
        year = timedelta(days=365)
        made = await reconciling.compare(core, account, it, now - year, now + year)
        assert made is not None
        found += reconciling.differences(made)
    return found


def tell(tally: Tally, console: Console) -> None:
    """The result for people."""
    console.print(
        f"{tally.payments} payments in {tally.seconds:.0f} s; {tally.died} payers died in the middle, ", end=""
    )
    console.print(f"{tally.killed} workers were killed")
    console.print(f"states: {dict(tally.states)}")
    console.print(f"kept by the vendor {tally.approved_minor / 100:.2f}, booked {tally.booked_minor / 100:.2f}")
    for line in [*tally.wrong[:20], *tally.findings[:20], *tally.differences[:20]]:
        console.print(f"[red]{line}[/]")
    console.print("[green]every peso is where it is[/]" if tally.is_sound else "[red]not sound[/]")


async def main(arguments: Any) -> int:
    console = Console()
    configure_logging("error")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with open_embedded(home) as handle:
            await migrate(handle.url)
            async with running_fakes(settle_seconds=0.2) as fakes:
                vendors = Vendors(wompi_url=fakes.wompi.base_url, mercadopago_url=fakes.mercadopago.base_url)
                async with running(handle.url, home, runs_worker=False, vendors=vendors) as world:
                    with Progress(console=console) as progress:
                        tally = await storm(
                            world, fakes, payments=arguments.payments, seed=arguments.seed, progress=progress
                        )
    tell(tally, console)
    return 0 if tally.is_sound else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(asyncio.run(main(parser.parse_args())))
