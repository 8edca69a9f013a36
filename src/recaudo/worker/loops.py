"""Due work is claimed in batches, performed concurrently, and given back when it fails.

Every process may run these loops: a claim is exact, and a worker that dies loses its lease by time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog

from recaudo.edge.observe import DeliveryMeter
from recaudo.store.database import DatabaseAwayError
from recaudo.store.due import Claimed
from recaudo.usecases import documents, due, imports, notices, reconciling, refunds, replays
from recaudo.usecases.core import Core, NotYetError
from recaudo.usecases.upkeep import Kept
from recaudo.worker import upkeep
from recaudo.worker.backoff import wait_after
from recaudo.worker.deliveries import CLAIMED_MAX, RESERVED, Dispatcher, Pause
from recaudo.worker.sender import Sender

BATCH_MAX = 50
IDLE_S = 1.0
AWAY_S = 2.0

_log: Any = structlog.get_logger("recaudo.worker")


class Job(msgspec.Struct, frozen=True):
    """One kind of due work: the table that holds it and what to do with a row."""

    table: str
    perform: Callable[[Core, Claimed], Awaitable[None]]
    at_once: int = BATCH_MAX


JOBS: Sequence[Job] = (
    Job("collection", due.time_passed),
    Job("attempt", due.ask),
    Job("refund", refunds.perform),
    Job("gateway_notice", notices.follow_up),
    Job("replay", replays.go_on),
    Job("gateway", reconciling.compare_daily),
    Job("document", documents.sweep),
    # Each keeps a processor busy and a connection or two, for as long as it lasts.
    Job("import_job", imports.go_on, at_once=2),
)


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """How endpoints are told what happened: where links lead, and where requests may go."""

    base_url: str
    allow_private_networks: bool
    meter: DeliveryMeter | None = None
    pause: Pause = asyncio.sleep

    def sender(self) -> Sender:
        return Sender(allow_private_networks=self.allow_private_networks, connections_max=CLAIMED_MAX + RESERVED)


async def run(core: Core, stop: asyncio.Event, telling: Telling, kept: Kept | None = None) -> None:
    """Run every loop until `stop` is set; what is being performed then is finished first."""
    async with telling.sender() as sender:
        dispatcher = Dispatcher(core, sender, telling.base_url, meter=telling.meter, pause=telling.pause)
        await asyncio.gather(
            *(_loop(core, job, stop) for job in JOBS), dispatcher.run(stop), upkeep.run(core, stop, kept or Kept())
        )


async def drain(core: Core, telling: Telling, *, at_once: int = BATCH_MAX) -> int:
    """Perform what is due now until nothing is; returns how many rows were performed.

    With one row of a job `at_once` the order is always the same, as the simulation wants it.
    """
    done = 0
    async with telling.sender() as sender:
        dispatcher = Dispatcher(core, sender, telling.base_url, pause=telling.pause)
        while True:
            counts = [await _once(core, job, at_once) for job in JOBS]
            counts.append(await dispatcher.drain())
            if not any(counts):
                return done
            done += sum(counts)


async def _loop(core: Core, job: Job, stop: asyncio.Event) -> None:
    """Keep up to `at_once` rows of a job in work. Who is done makes room for the next: none waits for the slowest."""
    running: set[asyncio.Task[None]] = set()
    while not stop.is_set():
        try:
            room = job.at_once - len(running)
            claimed = await due.claim_due(core, job.table, limit=room)
            pause_s = 0.0 if len(claimed) == room else IDLE_S
        except DatabaseAwayError as error:
            _log.warning("database_away", table=job.table, reason=str(error))
            claimed, pause_s = [], AWAY_S
        except Exception as error:  # noqa: BLE001 - a loop that dies is a worker that silently does not run
            _log.error("loop_failed", table=job.table, exc_info=error)
            claimed, pause_s = [], AWAY_S
        running |= {asyncio.create_task(_perform(core, job, row)) for row in claimed}
        running = await _room(running, stop, pause_s, at_once=job.at_once)
    if running:
        await asyncio.wait(running)


async def _room(
    running: set[asyncio.Task[None]], stop: asyncio.Event, pause_s: float, *, at_once: int
) -> set[asyncio.Task[None]]:
    """Wait until there is room and something to look for; returns what is still in work."""
    if len(running) >= at_once:
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
    else:
        await _pause(stop, pause_s)
    return {task for task in running if not task.done()}


async def _once(core: Core, job: Job, limit: int) -> int:
    claimed = await due.claim_due(core, job.table, limit=min(limit, job.at_once))
    await asyncio.gather(*(_perform(core, job, row) for row in claimed))
    return len(claimed)


async def _perform(core: Core, job: Job, row: Claimed) -> None:
    try:
        await job.perform(core, row)
    except NotYetError as error:
        _log.warning("due_work_waits", table=job.table, id=str(row.id), tries=row.tries, reason=str(error))
        await _give_back(core, job, row, str(error))
    except Exception as error:  # noqa: BLE001 - told, noted on the row, and tried again later
        _log.error("due_work_failed", table=job.table, id=str(row.id), tries=row.tries, exc_info=error)
        await _give_back(core, job, row, f"{type(error).__name__}: {error}")


async def _give_back(core: Core, job: Job, row: Claimed, error: str) -> None:
    try:
        await due.give_back(core, job.table, row, until=core.clock.now() + wait_after(row.tries), error=error)
    except DatabaseAwayError as away:
        # Its lease ends by itself, and whoever is there then takes it up.
        _log.warning("database_away", table=job.table, reason=str(away))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds <= 0:
        await asyncio.sleep(0)
        return
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
