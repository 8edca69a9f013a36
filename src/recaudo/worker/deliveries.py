"""The loop that tells endpoints: it claims deliveries, sends them concurrently and notes what came of them.

It never waits for a slow receiver: whoever answers makes room for the next. Deliveries that were claimed and not sent
are given back; those of a worker that dies are taken over when their lease ends.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from recaudo.domain.delivering import DeliveryState, Try
from recaudo.edge.observe import DeliveryMeter
from recaudo.store.database import DatabaseAwayError
from recaudo.store.deliveries import ClaimedDelivery, Room
from recaudo.usecases import deliveries
from recaudo.usecases.core import Core
from recaudo.usecases.deliveries import Prepared, Tried
from recaudo.worker.sender import TIMEOUT_S, Sender, failed

# Deliveries of one process that are claimed and not concluded. Beyond them, endpoints to which nothing is on its way
# get one each, so that those which hang cannot fill the house.
CLAIMED_MAX = 512
RESERVED = 128
CLAIM_MAX = 256
# What is sent at once to one endpoint.
EACH_AT_ONCE = 16
# What is held for one endpoint: as much as it takes in this time, by its own latency, between the two limits.
HELD_S = 0.25
EACH_MIN, EACH_MAX = 16, 256
LATENCY_UNKNOWN_S = 1.0
LATENCIES_KEPT = 10_000
BETWEEN_CLAIMS_S = 0.005
IDLE_S = 0.2
IDLE_S_MAX = 2.0
AWAY_S = 2.0
CONCLUDE_TRIES = 10

_log: Any = structlog.get_logger("recaudo.webhooks")


class Lane:
    """One endpoint as this process knows it: what it holds for it, and how fast it answers."""

    __slots__ = ("busy", "gate", "latency_s")

    def __init__(self) -> None:
        self.busy = 0
        self.gate = asyncio.Semaphore(EACH_AT_ONCE)
        self.latency_s = LATENCY_UNKNOWN_S

    @property
    def room(self) -> Room:
        """How many more may be held: what the endpoint takes in HELD_S."""
        most = int(EACH_AT_ONCE * HELD_S / max(self.latency_s, 0.001))
        return Room(self.busy, max(0, min(max(most, EACH_MIN), EACH_MAX) - self.busy))

    def answered(self, latency_s: float) -> None:
        self.latency_s += 0.2 * (latency_s - self.latency_s)


Pause = Callable[[float], Awaitable[object]]
"""How so many seconds are waited for."""


class Dispatcher:
    """Tells endpoints what happened. One per worker process; `sender` is open for as long as it runs."""

    def __init__(
        self,
        core: Core,
        sender: Sender,
        base_url: str,
        *,
        meter: DeliveryMeter | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._core = core
        self._sender = sender
        self._base_url = base_url
        self._meter = meter
        self._pause = pause
        self._lanes: defaultdict[UUID, Lane] = defaultdict(Lane)
        self._claimed = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._tried: list[Tried] = []
        self._unsent: list[ClaimedDelivery] = []
        self._has_tried = asyncio.Event()
        self._freed = asyncio.Event()
        self._settling = asyncio.Lock()
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
        claimed: Sequence[ClaimedDelivery] = ()
        try:
            rooms = {endpoint_id: lane.room for endpoint_id, lane in self._lanes.items() if lane.busy}
            room = CLAIMED_MAX - self._claimed
            if room > 0:
                claimed, moved = await deliveries.claim(
                    self._core, rooms=rooms, others_max=EACH_MIN, limit=min(room, CLAIM_MAX)
                )
            elif room > -RESERVED:
                shut = {endpoint_id: Room(it.busy, 0) for endpoint_id, it in rooms.items()}
                claimed, moved = await deliveries.claim(self._core, rooms=shut, others_max=1, limit=RESERVED + room)
            else:
                return False
            prepared = await deliveries.prepare(self._core, claimed, self._base_url) if claimed else []
        except Exception as error:  # noqa: BLE001 - a loop that dies is a worker that silently does not run
            if isinstance(error, DatabaseAwayError):
                _log.warning("database_away", table="delivery", reason=str(error))
            else:
                _log.error("loop_failed", table="delivery", exc_info=error)
            await self._pause(AWAY_S)
            self._unsent += claimed
            await self._give_back()
            return False
        for one in prepared:
            self._start(one)
        return moved

    def _start(self, prepared: Prepared) -> None:
        self._claimed += 1
        self._lanes[prepared.endpoint.id].busy += 1
        task = asyncio.create_task(self._try(prepared))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, prepared: Prepared) -> None:
        """Send one delivery. Whatever happens here ends as a try, or as a delivery that is given back."""
        lane = self._lanes[prepared.endpoint.id]
        async with lane.gate:
            now = self._core.clock.now()
            if self._stopping or now + timedelta(seconds=TIMEOUT_S + 2) > prepared.claimed.leased_until:
                self._unsent.append(prepared.claimed)
                self._free(prepared)
                self._has_tried.set()
                return
            try:
                outcome = await self._send(prepared)
            except Exception as error:  # noqa: BLE001 - one that cannot be tried must not take its place for ever
                _log.error("webhook_try_broke", delivery=str(prepared.claimed.id), exc_info=error)
                outcome = failed(now, f"{type(error).__name__}")
        lane.answered(outcome.latency_ms / 1000)
        self._tried.append(Tried(prepared=prepared, outcome=outcome))
        self._has_tried.set()

    async def _send(self, prepared: Prepared) -> Try:
        now = self._core.clock.now()
        if prepared.message is None:
            reason = prepared.error or "could not be rendered"
            _log.error("webhook_not_rendered", delivery=str(prepared.claimed.id), reason=reason)
            return failed(now, reason)
        headers = prepared.headers(self._core, now)
        return await self._sender.send(now, prepared.endpoint.url, headers, prepared.message.body)

    async def _conclude_for_ever(self) -> None:
        while True:
            await self._has_tried.wait()
            await self._settle()

    async def _settle(self) -> None:
        """Note everything that came back since the last time, in one go, and give back what was not sent."""
        async with self._settling:
            self._has_tried.clear()
            tried, self._tried = self._tried, []
            if self._unsent:
                await self._give_back()
            if tried:
                await self._note(tried)
            for one in tried:
                self._free(one.prepared)

    async def _note(self, tried: Sequence[Tried]) -> None:
        for attempt in range(1, CONCLUDE_TRIES + 1):
            try:
                results = await deliveries.conclude(self._core, tried)
                failing = await deliveries.note_health(self._core, tried)
            except Exception as error:  # noqa: BLE001 - what is not noted is told again when its lease ends
                _log.warning("webhooks_not_noted", count=len(tried), attempt=attempt, exc_info=error)
                await self._pause(AWAY_S if isinstance(error, DatabaseAwayError) else 0.1)
                continue
            for one, result in zip(tried, results, strict=True):
                self._tell(one, result.state)
            for endpoint in failing:
                _log.warning("webhook_failing", endpoint=str(endpoint.id), account=str(endpoint.account_id))
                if self._meter is not None:
                    self._meter.failing()
            return

    async def _give_back(self) -> None:
        unsent, self._unsent = self._unsent, []
        try:
            await deliveries.give_back(self._core, unsent)
        except Exception as error:  # noqa: BLE001 - what is not given back is free when its lease ends
            _log.warning("webhooks_not_given_back", count=len(unsent), exc_info=error)

    def _free(self, prepared: Prepared) -> None:
        self._claimed -= 1
        self._lanes[prepared.endpoint.id].busy -= 1
        if len(self._lanes) > LATENCIES_KEPT:
            self._lanes = defaultdict(Lane, {i: lane for i, lane in self._lanes.items() if lane.busy})
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
            tries=claimed.tries + 1,
            reason=tried.outcome.error,
        )


async def _first_of(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait until any of some events is set, or the time is over."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
