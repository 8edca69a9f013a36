"""Deliveries per second of one worker process, beside a bare aiohttp loop that posts the same requests.

The worker finds a backlog that the product's own door wrote and that is longer than it can deliver in the time. It and
the bare loop take turns on the same receiver. After each of its phases every request that the receiver got must be one
delivered row with one try, and nothing may be left leased; else there are no figures.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.progress import Progress
from rich.table import Table

from bench import backlog, bare, claiming, receiver, stage as stages
from bench.cpu import Usage
from bench.options import BenchError, Options
from bench.quiet import Patience
from bench.stage import Stage
from recaudo.store import deliveries as store
from recaudo.usecases import deliveries
from recaudo.worker.deliveries import CLAIM_MAX, EACH_AT_ONCE, EACH_MAX

# Deliveries that the worker must not run out of, per second of a phase.
RATE_FORESEEN = 9_000
START_TIMEOUT_S = 30
SAMPLES_EACH = 512
BASE_URL = "http://127.0.0.1:8000"
DISTURBED = 0.25


@dataclass(frozen=True)
class Case:
    """So many accounts with so many endpoints each."""

    name: str
    accounts: int
    endpoints_each: int

    @property
    def database(self) -> str:
        return "backlog_" + self.name.replace(" ", "_")


@dataclass(frozen=True)
class Subject:
    """Who sends; `loop` is the bare loop's event loop, None for the worker."""

    name: str
    loop: str | None


CASES = (Case("1 endpoint", 1, 1), Case("20 endpoints", 5, 4))
# `recaudo worker` runs on asyncio's own loop, so that is what its ratio is taken of; uvloop shows what more there is.
BARE = Subject("bare loop", "asyncio")
SUBJECTS = (BARE, Subject("worker", None), Subject("bare loop, uvloop", "uvloop"))


@dataclass(frozen=True, kw_only=True)
class Phase:
    """CPU microseconds are per delivery; `others` is in processors."""

    case: str
    subject: str
    delivered: int
    per_second: float
    sender_us: float
    postgres_us: float
    receiver_us: float
    bytes_each: float
    others: float


def measure(stage: Stage, options: Options, progress: Progress) -> list[Phase]:
    """All phases of all rounds."""
    phases: list[Phase] = []
    patience = Patience(options.patience)
    with receiver.running() as client, contextlib.ExitStack() as kept:
        benches = [kept.enter_context(_staged(stage, client, case, options, progress)) for case in CASES]
        task = progress.add_task("", total=options.rounds * len(benches) * len(SUBJECTS))
        for _ in range(options.rounds):
            for bench in benches:
                for subject in SUBJECTS:
                    progress.update(task, description=f"{subject.name}, {bench.case.name}")
                    patience.wait_for_quiet()
                    phases.append(bench.measure(subject))
                    progress.advance(task)
        progress.remove_task(task)
    return phases


@contextlib.contextmanager
def _staged(
    stage: Stage, client: receiver.Client, case: Case, options: Options, progress: Progress
) -> Generator["Telling"]:
    """A database with a backlog, and the requests that it makes for the bare loop."""
    wanted = int(RATE_FORESEEN * (options.seconds + options.warmup + 1))
    invoices_each = 1 + wanted // (case.accounts * case.endpoints_each * backlog.EVENTS_EACH)
    task = progress.add_task(f"Invoices for {case.name}", total=invoices_each * case.accounts)
    with stage.database(name=case.database) as url:

        def advance(count: int) -> None:
            progress.advance(task, count)

        stages.with_core(url, lambda core: _fill(core, client, case, invoices_each, advance))
        stages.query(url, "VACUUM ANALYZE")
        with stage.database(template=case.database) as copy:
            posts = stages.with_core(copy, _posts)
        file = stage.folder / f"{case.database}.json"
        bare.write(posts, file)
        progress.remove_task(task)
        yield Telling(stage, client, case, options, file)


async def _fill(core: Any, client: receiver.Client, case: Case, invoices_each: int, advance: Callable) -> None:
    for number in range(case.accounts):
        urls = [f"http://127.0.0.1:{client.port}/hooks/{number}-{n}" for n in range(case.endpoints_each)]
        merchant = await backlog.add_merchant(core, f"bench-{number}", urls)
        await backlog.add_invoices(core, merchant.account, invoices_each, advance)


async def _posts(core: Any) -> list[bare.Post]:
    """The first deliveries as the worker would send them, as many of each type by turns."""
    found: dict[str, list[bare.Post]] = {type_: [] for type_ in backlog.TYPES}
    async with core.database.connection() as connection:
        # An invoice's second event is claimed only once the first is delivered.
        while min(map(len, found.values())) < SAMPLES_EACH:
            now = core.clock.now()
            claimed, _ = await store.claim(
                connection, real_now=now, rooms={}, others_max=EACH_MAX, limit=CLAIM_MAX, vault=core.vault
            )
            for p in await deliveries.prepare(core, claimed, BASE_URL):
                assert p.message is not None, "every event of the backlog can be rendered"
                found[p.message.type].append(bare.Post(p.endpoint.url, list(p.headers(core, now)), p.message.body))
            await store.conclude(connection, list(claiming.delivered(claimed, now)))
    return [post for posts in zip(*found.values(), strict=False) for post in posts]


class Telling:
    """One case on its stage, ready to measure."""

    def __init__(self, stage: Stage, client: receiver.Client, case: Case, options: Options, file: Path) -> None:
        self.case = case
        self._stage = stage
        self._client = client
        self._options = options
        self._file = file

    def measure(self, subject: Subject) -> Phase:
        """One phase. Raises BenchError."""
        if subject.loop is not None:
            with self._bare(subject.loop) as process:
                return self._watch(subject, process)
        before = self._client.count().requests
        with self._stage.database(template=self.case.database) as url:
            with self._stage.worker(url) as process:
                phase = self._watch(subject, process)
            self._check(url, received=self._client.count().requests - before)
        return phase

    @contextlib.contextmanager
    def _bare(self, loop: str) -> Generator[subprocess.Popen[bytes]]:
        wanted = {"file": str(self._file), "each": EACH_AT_ONCE, "loop": loop}
        command = [sys.executable, "-m", "bench.bare", json.dumps(wanted)]
        process = subprocess.Popen(command, cwd=receiver.ROOT, stderr=subprocess.PIPE)
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()

    def _watch(self, subject: Subject, process: subprocess.Popen[bytes]) -> Phase:
        """Let it come up to speed, then note what the receiver got and who used the processors meanwhile."""
        self._wait_for_first(process)
        time.sleep(self._options.warmup)
        pids = {"server_pid": process.pid, "postgres_pid": self._stage.postgres_pid}
        before, count, receiver_s = Usage.now(**pids), self._client.count(), _cpu_s(self._client.pid)
        time.sleep(self._options.seconds)
        after, used = self._client.count(), Usage.now(**pids) - before
        receiver_s = _cpu_s(self._client.pid) - receiver_s
        delivered = after.requests - count.requests
        if process.poll() is not None or not delivered:
            raise BenchError(f"{subject.name} stopped sending, {self.case.name}")
        return Phase(
            case=self.case.name,
            subject=subject.name,
            delivered=delivered,
            per_second=delivered / (after.at_s - count.at_s),
            sender_us=used.server_s / delivered * 1e6,
            postgres_us=used.postgres_s / delivered * 1e6,
            receiver_us=receiver_s / delivered * 1e6,
            bytes_each=(after.bytes - count.bytes) / delivered,
            others=max(0.0, used.machine_s - used.server_s - used.postgres_s - receiver_s) / used.wall_s,
        )

    def _wait_for_first(self, process: subprocess.Popen[bytes]) -> None:
        before, deadline = self._client.count().requests, time.monotonic() + START_TIMEOUT_S
        while self._client.count().requests == before:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"nothing is sent, {self.case.name}")
            time.sleep(0.02)

    def _check(self, url: str, *, received: int) -> None:
        ((delivered, waiting, leased, others),) = stages.query(
            url,
            """
            SELECT count(*) FILTER (WHERE state = 'delivered' AND tries = 1),
                count(*) FILTER (WHERE state = 'waiting' AND tries = 0), count(leased_until),
                count(*) FILTER (WHERE state NOT IN ('waiting', 'delivered') OR tries > 1)
            FROM delivery
            """,
        )
        if delivered != received or leased or others:
            raise BenchError(f"{received} requests, {delivered} rows delivered, {leased} leased, {others} otherwise")
        if not waiting:
            raise BenchError(f"the worker ran out of its {delivered} deliveries, {self.case.name}: raise RATE_FORESEEN")


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def summarise(phases: list[Phase]) -> list[dict[str, Any]]:
    """One row for each case and subject: medians over the rounds; `of_bare` is the median of each round's ratio."""
    groups: dict[tuple[str, str], list[Phase]] = {}
    for phase in phases:
        groups.setdefault((phase.case, phase.subject), []).append(phase)
    rows: list[dict[str, Any]] = []
    for (case, subject), group in groups.items():
        ratios = [p.per_second / b.per_second for p, b in zip(group, groups[case, BARE.name], strict=True)]
        figures = ("per_second", "sender_us", "postgres_us", "receiver_us", "bytes_each")
        medians = {name: statistics.median(getattr(p, name) for p in group) for name in figures}
        spread = {"of_bare": statistics.median(ratios), "of_bare_min": min(ratios), "of_bare_max": max(ratios)}
        rows.append(
            {"case": case, "subject": subject, **spread, **medians, "others": max(phase.others for phase in group)}
        )
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    shown = Table(title="Deliveries of one worker process beside a bare aiohttp loop", title_justify="left")
    shown.add_column("case", no_wrap=True)
    shown.add_column("who sends", no_wrap=True)
    for name in ("of bare", "(from - to)", "per second", "CPU sender", "PostgreSQL", "receiver", "bytes"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            row["case"],
            row["subject"] + (" [yellow]*[/yellow]" if row["others"] > DISTURBED else ""),
            f"{row['of_bare']:.2f}",
            f"{row['of_bare_min']:.2f} - {row['of_bare_max']:.2f}",
            f"{row['per_second']:,.0f}",
            f"{row['sender_us']:.0f}",
            f"{row['postgres_us']:.0f}",
            f"{row['receiver_us']:.0f}",
            f"{row['bytes_each']:,.0f}",
        )
    return shown
