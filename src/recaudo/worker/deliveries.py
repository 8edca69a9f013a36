"""The loop that tells endpoints: it claims deliveries, sends them concurrently and notes what came of them.

It never waits for a slow receiver: whoever answers makes room for the next. Deliveries that were claimed and not sent
when the worker stops are given back; those of a worker that dies are taken over when their lease ends.
"""

import asyncio
import time
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from recaudo.domain.delivering import DeliveryState, Try
from recaudo.edge.observe import DeliveryMeter
from recaudo.store.database import DatabaseAwayError
from recaudo.store.deliveries import ClaimedDelivery
from recaudo.usecases import deliveries
from recaudo.usecases.core import Core
from recaudo.usecases.deliveries import Prepared, Tried
from recaudo.worker.sender import TIMEOUT_S, Sender

# Deliveries of one process that are claimed and not concluded, and how many one claim takes.
CLAIMED_MAX = 512
CLAIM_MAX = 256
# What is sent at once to one endpoint.
EACH_AT_ONCE = 16
BETWEEN_CLAIMS_S = 0.005
IDLE_S = 0.2
IDLE_S_MAX = 2.0
AWAY_S = 2.0
CONCLUDE_TRIES = 10

_log: Any = structlog.get_logger("recaudo.webhooks")


class Dispatcher:
    """Tells endpoints what happened. One per worker process; `sender` is open for as long as it runs."""

    def __init__(self, core: Core, sender: Sender, base_url: str, *, meter: DeliveryMeter | None = None) -> None:
        self._core = core
        self._sender = sender
        self._base_url = base_url
        self._meter = meter
        self._busy: Counter[UUID] = Counter()
        self._lanes: defaultdict[UUID, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(EACH_AT_ONCE))
        self._tasks: set[asyncio.Task[None]] = set()
        self._tried: list[Tried] = []
        self._unsent: list[ClaimedDelivery] = []
        self._has_tried = asyncio.Event()
        self._freed = asyncio.Event()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; what is on its way then is waited for."""
        concluding = asyncio.create_task(self._conclude_for_ever())
        try:
            while not stop.is_set():
                started_s = time.monotonic()
                if await self._claim():
                    # What comes back meanwhile makes room for a larger claim.
                    await asyncio.sleep(BETWEEN_CLAIMS_S)
                else:
                    # Asking costs little, and never more than a fiftieth of the time.
                    idle_s = min(max(IDLE_S, 50 * (time.monotonic() - started_s)), IDLE_S_MAX)
                    await _first_of(stop, self._freed, timeout_s=idle_s)
        finally:
            self._stopping = True
            await asyncio.gather(*self._tasks)
            await self._settle()
            await self._give_back()
            concluding.cancel()
            await asyncio.gather(concluding, return_exceptions=True)

    async def drain(self) -> int:
        """Deliver what is due now until nothing is; returns how many tries were made."""
        tries = 0
        while True:
            moved = await self._claim()
            tries += len(self._tasks)
            await asyncio.gather(*self._tasks)
            await self._settle()
            if not moved:
                return tries

    async def _claim(self) -> bool:
        """Start as many tries as there is room for; says whether asking again at once may find more."""
        self._freed.clear()
        room = CLAIMED_MAX - self._busy.total()
        # A few free places are not worth a round trip while many others are on their way.
        if room < CLAIMED_MAX // 8:
            return False
        try:
            claimed, moved = await deliveries.claim(self._core, busy=self._busy, limit=min(room, CLAIM_MAX))
            prepared = await deliveries.prepare(self._core, claimed, self._base_url) if claimed else []
        except DatabaseAwayError as error:
            _log.warning("database_away", table="delivery", reason=str(error))
            await asyncio.sleep(AWAY_S)
            return False
        except Exception as error:  # noqa: BLE001 - a loop that dies is a worker that silently does not run
            _log.error("loop_failed", table="delivery", exc_info=error)
            await asyncio.sleep(AWAY_S)
            return False
        for one in prepared:
            self._busy[one.endpoint.id] += 1
            task = asyncio.create_task(self._try(one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return moved

    async def _try(self, prepared: Prepared) -> None:
        endpoint_id = prepared.endpoint.id
        async with self._lanes[endpoint_id]:
            now = self._core.clock.now()
            if self._stopping or now + timedelta(seconds=TIMEOUT_S + 1) > prepared.claimed.leased_until:
                self._unsent.append(prepared.claimed)
                self._free(endpoint_id)
                return
            if prepared.message is None:
                error = prepared.error or "could not be rendered"
                _log.error("webhook_not_rendered", delivery=str(prepared.claimed.id), reason=error)
                outcome = Try(at=now, status=None, error=error, latency_ms=0, answer="")
            else:
                outcome = await self._sender.send(
                    now, prepared.endpoint.url, prepared.headers(self._core, now), prepared.message.body
                )
        self._tried.append(Tried(prepared=prepared, outcome=outcome))
        self._has_tried.set()

    async def _conclude_for_ever(self) -> None:
        while True:
            await self._has_tried.wait()
            await self._settle()

    async def _settle(self) -> None:
        """Note everything that came back since the last time, in one go."""
        self._has_tried.clear()
        tried, self._tried = self._tried, []
        if not tried:
            return
        for attempt in range(1, CONCLUDE_TRIES + 1):
            try:
                results = await deliveries.conclude(self._core, tried)
            except Exception as error:  # noqa: BLE001 - what is not noted is told again when its lease ends
                _log.warning("webhooks_not_noted", count=len(tried), attempt=attempt, exc_info=error)
                await asyncio.sleep(AWAY_S if isinstance(error, DatabaseAwayError) else 0.1)
            else:
                for one, result in zip(tried, results, strict=True):
                    self._tell(one, result.state)
                break
        for one in tried:
            self._free(one.prepared.endpoint.id)

    async def _give_back(self) -> None:
        try:
            await deliveries.give_back(self._core, self._unsent)
        except DatabaseAwayError as error:
            _log.warning("database_away", table="delivery", reason=str(error))

    def _free(self, endpoint_id: UUID) -> None:
        self._busy[endpoint_id] -= 1
        if self._busy[endpoint_id] <= 0:
            del self._busy[endpoint_id]
            self._lanes.pop(endpoint_id, None)
        self._freed.set()

    def _tell(self, tried: Tried, state: DeliveryState) -> None:
        """Log what an operator should know: tries that failed, and deliveries that were given up."""
        if self._meter is not None:
            self._meter.tried(state.value, tried.outcome.latency_ms / 1000)
        if tried.outcome.succeeded:
            return
        claimed = tried.prepared.claimed
        log = _log.error if state is DeliveryState.FAILED else _log.info
        log(
            "webhook_given_up" if state is DeliveryState.FAILED else "webhook_try_failed",
            delivery=str(claimed.id),
            endpoint=str(tried.prepared.endpoint.id),
            account=str(claimed.account_id),
            tries=claimed.tries,
            reason=tried.outcome.error,
        )


async def _first_of(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait until any of some events is set, or the time is over."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
