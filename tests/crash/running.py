"""One run: load, kills, calm, and everything that must hold then."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from recaudo.store.embedded import open_embedded
from recaudo.store.migrate import migrate
from tests.commands import environment, recaudo
from tests.crash import checking
from tests.crash.business import Clerk, Shop
from tests.crash.machine import Machine
from tests.crash.requests import Journal, Write
from tests.receiver import Receiver, receiving
from tests.world import World

SHOPS = 2
CLERKS = 4  # of each shop
CALM_TIMEOUT_S = 600  # after minutes of load there is much to tell
STEP_S = 700

Told = Callable[[str], object]


@dataclass
class Load:
    """Shops with clerks who work over any server, and what was sent and received."""

    world: World
    chance: Random
    receiver: Receiver
    shops: list[Shop] = field(default_factory=list[Shop])
    journals: list[Journal] = field(default_factory=list[Journal])

    @property
    def writes(self) -> list[Write]:
        return [write for journal in self.journals for write in journal.writes]

    async def open(self) -> None:
        """Make the shops, each with an endpoint in both dialects."""
        types = {dialect: list(names) for dialect, names in checking.TYPES.items()}
        for number in range(SHOPS):
            shop = Shop(await self.world.merchant(), f"shop{number}")
            await shop.open(self.receiver.url, types)
            self.shops.append(shop)

    async def work(self, stop: asyncio.Event) -> None:
        """Have all clerks work until `stop` is set."""
        clerks: list[Clerk] = []
        for shop in self.shops:
            for number in range(CLERKS):
                chance = Random(self.chance.random())
                journal = Journal(chance)
                self.journals.append(journal)
                clerks.append(Clerk(shop, journal, chance, f"{shop.name}-{number}"))
        await asyncio.gather(*(clerk.work(stop) for clerk in clerks))

    def of(self, shop: Shop) -> list[Write]:
        """The writes of one shop."""
        return [w for w in self.writes if w.client.account_id == shop.onepay.account_id]

    async def calm(self) -> None:
        """Let time pass on the accounts' clocks until nothing is open: no delivery, attempt, refund or file."""
        async with asyncio.timeout(CALM_TIMEOUT_S):
            for shop in self.shops:
                while await self._is_open(shop):
                    await shop.onepay.advance_clock(seconds=STEP_S)
                    await asyncio.sleep(0.5)

    async def _is_open(self, shop: Shop) -> bool:
        return bool(await self.world.rows(_OPEN, shop.onepay.account_id))


_OPEN = """
    SELECT 1 FROM delivery WHERE account_id = $1 AND state = 'waiting'
    UNION ALL SELECT 1 FROM attempt WHERE account_id = $1 AND state IN ('created', 'processing', 'unknown')
    UNION ALL SELECT 1 FROM refund WHERE account_id = $1 AND state IN ('created', 'processing', 'unknown')
    UNION ALL SELECT 1 FROM import_job WHERE account_id = $1 AND state IN ('queued', 'running') LIMIT 1
"""


async def check(load: Load) -> list[str]:
    """Everything that must hold once all is calm, before and after every request is sent once more."""
    wrong = [f"{write}: {what}" for write in load.writes for what in write.wrong]
    for shop in load.shops:
        writes, found = load.of(shop), await checking.effects(load.world, shop)
        wrong += checking.count_effects(writes, found)
        wrong += await checking.repeat_all(writes, found)
    await load.calm()
    for shop in load.shops:
        writes = load.of(shop)
        wrong += checking.count_effects(writes, await checking.effects(load.world, shop))
        wrong += await checking.outcomes(load.world, shop, writes)
        wrong += await checking.money(load.world, shop.onepay.account_id)
        wrong += await checking.webhooks(load.world, shop, load.receiver.received)
        wrong += checking.told_of_creations(shop, writes, load.receiver.received)
        found = await load.world.findings(shop.onepay.account_id)
        wrong += [f"doctor: {f.check} {f.id}: {f.stored}, not {f.computed}" for f in found]
    return wrong


@dataclass
class Ended:
    """What came of a run."""

    seed: int
    seconds: float
    writes: Sequence[Write]
    acknowledged: int  # while everything was killed, before the checks repeated anything
    killed: Counter[str]
    ended_by_themselves: Counter[str]
    webhooks: int
    wrong: list[str]

    @property
    def kinds(self) -> Counter[str]:
        return Counter(write.kind for write in self.writes)


@asynccontextmanager
async def machine(home: Path, chance: Random) -> AsyncIterator[Machine]:
    """A machine with everything running, and its watcher."""
    with await asyncio.to_thread(open_embedded, home) as handle:
        await migrate(handle.url)
        made = Machine(handle.url, home, chance)
        await made.start_all()
    # From here on the database has no user but server and worker.
    watching = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        watching.cancel()
        await made.stop()


async def run(home: Path, *, seconds: float | None, seed: int, every_s: float, told: Told = lambda _: None) -> Ended:
    """Load and kills for so many seconds, or until each kind was killed once; then calm, and every check.

    `told` hears what is being done.
    """
    chance, began_s = Random(seed), time.monotonic()
    async with machine(home, Random(seed)) as it, receiving() as receiver:
        load = Load(it, chance, receiver)
        await load.open()
        stop = asyncio.Event()
        working = asyncio.create_task(load.work(stop))
        kills = it.kill_each(every_s=every_s) if seconds is None else it.kill_for(seconds, every_s=every_s)
        killing = asyncio.create_task(kills)
        done, _ = await asyncio.wait({working, killing}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        stop.set()
        told("waiting for calm")
        await it.healthy()
        await working
        await _recover(it, load)
        told("checking")
        acknowledged = sum(write.is_acknowledged for write in load.writes)
        wrong = await check(load)
        wrong += await _doctor(it)
    return Ended(
        seed=seed,
        seconds=time.monotonic() - began_s,
        writes=load.writes,
        acknowledged=acknowledged,
        killed=it.killed,
        ended_by_themselves=it.ended_by_themselves,
        webhooks=len(receiver.received),
        wrong=wrong,
    )


async def _recover(it: Machine, load: Load) -> None:
    """A worker that is new, as if the leases of all the dead had ended, and all that was left for it done."""
    it.replace_worker()
    await it.free_leases()
    await load.calm()


async def _doctor(it: Machine) -> list[str]:
    """The operator's own command, on all accounts."""
    ended = await recaudo("doctor", environment=environment(it.home, None, RECAUDO_SECRET_KEY=it.secret))
    return [] if ended.status == 0 else [f"recaudo doctor: {ended.out}{ended.err}"]
