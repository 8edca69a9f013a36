"""One run: a city from a seed, so many steps, a while of calm, and then the checks."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Generator
from datetime import timedelta
from random import Random
from typing import Any

import msgspec

from recaudo.simulation import steps
from recaudo.simulation.chance import SeededIds, SimulatedClock
from recaudo.simulation.checking import Finding, check, open_work
from recaudo.simulation.city import City, Reader, Sent, as_json, found, nothing_to_read
from recaudo.simulation.crashes import Crash, Fate, FragileDatabase
from recaudo.simulation.gateway import SimulatedGateway
from recaudo.simulation.machine import PUBLIC_URL, Machine
from recaudo.simulation.model import Paper
from recaudo.simulation.outages import Outages
from recaudo.simulation.receivers import SimulatedSender, SimulatedTelling
from recaudo.simulation.story import Line, Story
from recaudo.simulation.vendor import Vendor

VENDORS = ("alfa", "beta")
CRASH_RATE = 0.004
OUTAGE_RATE = 0.002
# The calm afterwards, in seconds: short jumps for what is asked again soon, days for comparisons with the lists.
CALM_S = (0, 10, 70, 70, 70, 700, 4000, 4000, 15_000, 40_000, 95_000, 95_000, 95_000)
CALM_MORE_S = 95_000
CALM_TURNS_MAX = 40
REPEATED_AFTERWARDS = 10


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one seed."""

    seed: int
    steps: int
    findings: list[Finding]
    faults: Counter[str]
    counts: Counter[str]
    digest: str
    seconds: float
    story: list[Line]

    @property
    def first(self) -> Finding | None:
        """What to look at first: what is about an invoice, if anything is."""
        return next((it for it in self.findings if it.about), self.findings[0] if self.findings else None)


Tamper = Callable[[City], Any]
"""Something that spoils the run on purpose, awaited before the checks: they must find it."""


async def run(
    database: FragileDatabase,
    seed: int,
    steps_: int,
    *,
    tamper: Tamper | None = None,
    crash_rate: float = CRASH_RATE,
    outage_rate: float = OUTAGE_RATE,
) -> Run:
    """Live through one seed on an empty, up-to-date database."""
    began = time.monotonic()
    story = Story()
    city, fate, sender = build(database, seed, story)
    with contextlib.suppress(_GaveUp):
        await found(city)
        fate.rate, city.machine.outages.rate = crash_rate, outage_rate
        await _live(city, steps_)
        fate.rate, sender.is_calm = 0.0, True
        city.machine.outages.end()
        for vendor in city.vendors:
            vendor.is_calm = True
        await _calm_down(city)
        if tamper is not None:
            await tamper(city)
    findings = await check(city)
    await _count(city)
    return Run(
        seed=seed,
        steps=steps_,
        findings=findings,
        faults=story.faults,
        counts=story.counts,
        digest=story.digest(),
        seconds=time.monotonic() - began,
        story=story.about(next((it.about for it in findings if it.about), "")) if findings else [],
    )


def build(database: FragileDatabase, seed: int, story: Story) -> tuple[City, Fate, SimulatedSender]:
    """Everything that there is, from the seed."""
    # A stream for each, so that one more draw here changes nothing there.
    chances = {name: Random(f"{seed}/{name}") for name in ("steps", "ids", "fate", "outages", "core", "mail", *VENDORS)}
    clock, fate = SimulatedClock(), Fate(chances["fate"], story)
    sender = SimulatedSender({}, chances["mail"], fate, story)
    vendors = [Vendor(name, chances[name], story) for name in VENDORS]
    database.outages = Outages(chances["outages"], story)

    async def pause(seconds: float) -> None:
        clock.jump(timedelta(seconds=seconds))

    machine = Machine(
        database,
        clock=clock,
        ids=SeededIds(chances["ids"]),
        chance=chances["core"],
        fate=fate,
        story=story,
        gateways=[SimulatedGateway(vendor, fate, lambda: clock.time) for vendor in vendors],
        telling=SimulatedTelling(base_url=PUBLIC_URL, allow_private_networks=True, pause=pause, through=sender),
    )
    return City(machine, chances["steps"], story, Paper(), vendors, sender.receivers), fate, sender


@contextlib.contextmanager
def quiet_about_the_dead() -> Generator[None]:
    """A task that died in a crash has nobody to tell; the loop would print each."""
    loop = asyncio.get_running_loop()
    former = loop.get_exception_handler()

    def handle(on: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # Who dies while a transaction begins leaves one that nobody has; the driver ends it, and says so.
        is_left = str(context["message"]).startswith("Resetting connection with an active transaction")
        if not (is_left or isinstance(context.get("exception"), Crash)):
            on.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(former)


class _GaveUp(Exception):
    """Something is so wrong that going on tells nothing more; it is noted already."""


async def _live(city: City, steps_: int) -> None:
    story, machine = city.story, city.machine
    for number in range(1, steps_ + 1):
        steps.jump(city)
        story.step, story.now = number, machine.clock.time
        for vendor in city.vendors:
            vendor.advance(machine.clock.time)
        await machine.run(steps.draw(city))
        if city.broken:
            raise _GaveUp


async def _calm_down(city: City) -> None:
    """Nobody makes trouble any more: everything that is open is answered, asked and told."""
    machine = city.machine
    for turn in range(CALM_TURNS_MAX):
        machine.clock.jump(timedelta(seconds=CALM_S[turn] if turn < len(CALM_S) else CALM_MORE_S))
        city.story.step, city.story.now = city.story.step + 1, machine.clock.time
        for vendor in city.vendors:
            vendor.advance(machine.clock.time)
        for work in steps.deliver_notices(city):
            await machine.run([work])
        while city.unanswered:
            await machine.run(steps.retry(city))
        await machine.run([machine.perform_due_work])
        if city.broken:
            raise _GaveUp
        if turn == len(CALM_S) - 2:
            await _tell_again(city)
        if turn >= len(CALM_S) and await _is_quiet(city):
            break
    chosen = city.chance.sample(city.sent, min(REPEATED_AFTERWARDS, len(city.sent)))
    for sent in chosen:
        await machine.run([city.repeat(sent)])


async def _tell_again(city: City) -> None:
    """What was given up, because a receiver was away for days, is told again by whoever looks at the dead list."""
    for account in city.accounts:
        headers = as_json(account.bearer, f"replay-{city.number()}")
        body = json.dumps({"only_failed": True}).encode()
        sent = Sent(account, "POST", "/recaudo/v1/events/replay", headers, body, "", "replays what was given up")
        await city.machine.run([city.errand(sent, Reader(nothing_to_read))])


async def _is_quiet(city: City) -> bool:
    if any(vendor.notices for vendor in city.vendors):
        return False
    with city.machine.database.calm():
        async with city.machine.database.connection() as connection:
            return not any(row["count"] for row in await open_work(connection))


async def _count(city: City) -> None:
    """What the run made, for the table at its end."""
    with city.machine.database.calm():
        async with city.machine.database.connection() as connection:
            row = await connection.fetchrow(
                """
                SELECT (SELECT count(*) FROM invoice) AS invoices, (SELECT count(*) FROM attempt) AS attempts,
                       (SELECT count(*) FROM receipt) AS receipts,
                       (SELECT count(*) FROM (
                           SELECT FROM receipt r JOIN invoice i ON i.account_id = r.account_id AND i.id = r.invoice_id
                           WHERE i.origin_id LIKE 'D%' AND r.amount_minor > 0
                           GROUP BY i.account_id, i.id HAVING count(*) > 1
                       ) g) AS given_twice,
                       (SELECT coalesce(sum(abs(amount_minor)), 0)::bigint FROM receipt) AS booked_minor
                """
            )
    assert row is not None, "a query without FROM has one row"
    city.story.counts.update({"invoices": row["invoices"], "payments": row["attempts"], "receipts": row["receipts"]})
    city.story.counts["open amounts paid twice"] = row["given_twice"]
    city.story.counts["booked (minor units)"] = row["booked_minor"]
