"""How fast invoices are created: POST /v1/invoices on a real server, beside the same rows written by raw SQL.

Every phase has a fresh database on the same PostgreSQL, and all phases take turns, round after round, so that a
machine that slows down slows all of them. After a phase the database must hold exactly the acknowledged invoices and
the doctor must be content; else there are no figures.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench import raw_sql, report, stage as stages
from bench.cpu import Machine, tree_cpu_s
from bench.options import BenchError, Options
from bench.raw_sql import Script
from bench.report import Figures, Subject
from bench.stage import Stage

ROOT = Path(__file__).parents[1]
RAW = Subject(name="raw SQL")
GENERATOR_EXTRA_S = 60


@dataclass(frozen=True)
class Driven:
    """What a driver, pgbench or the load generator, counted."""

    acknowledged: int
    per_second: float
    latencies_us: list[int]
    client_cpu_s: float


def run(options: Options) -> None:
    """Measure all phases and print their medians."""
    console = Console(stderr=True)
    with stages.opened(options.home) as stage:
        console.print("[dim]Sending one request to learn which rows it writes[/dim]")
        script = raw_sql.make_script(stage)
        # The first database on a new server pays for making files that later ones find.
        _measure(stage, RAW, script, options, connections=max(options.connections))
        plan = list(_plan(options))
        figures: list[Figures] = []
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("", total=len(plan) * options.rounds)
            for _ in range(options.rounds):
                for subject, connections in plan:
                    progress.update(task, description=f"{subject.name}, {connections} connections")
                    figures.append(_measure(stage, subject, script, options, connections=connections))
                    progress.advance(task)
        machine = report.describe_machine(stage)
    report.show(figures, machine, options)
    if options.json is not None:
        report.write(figures, machine, options, options.json)


def _plan(options: Options) -> Iterator[tuple[Subject, int]]:
    """One round: what is compared at one concurrency is measured back to back."""
    for connections in options.connections:
        yield RAW, connections
        for workers in options.workers:
            yield Subject(name=f"HTTP, {_count(workers)}", workers=workers), connections
    workers = options.workers[0]
    logging = Subject(name=f"HTTP, {_count(workers)}, log level info", workers=workers, log_level="info")
    yield logging, max(options.connections)


def _count(workers: int) -> str:
    return "1 process" if workers == 1 else f"{workers} processes"


def _measure(stage: Stage, subject: Subject, script: Script, options: Options, *, connections: int) -> Figures:
    """One phase on a fresh database, checked."""
    with stage.database() as url:
        if subject.workers is None:
            figures = _raw(stage, subject, script, options, connections=connections, url=url)
        else:
            with stage.server(url, workers=subject.workers, log_level=subject.log_level) as server:
                figures = _http(stage, subject, options, connections=connections, server=server)
        stages.check_database(url, invoices=figures.acknowledged)
        ((commits,),) = stages.query(url, "SELECT count(DISTINCT transaction_id) FROM event WHERE version = 1")
        return figures.with_commits(commits)


def _raw(stage: Stage, subject: Subject, script: Script, options: Options, *, connections: int, url: str) -> Figures:
    def drive() -> Driven:
        warmup = raw_sql.run(stage, url, script, connections=connections, seconds=options.warmup)
        measured = raw_sql.run(stage, url, script, connections=connections, seconds=options.seconds)
        return Driven(
            acknowledged=len(warmup.latencies_us) + len(measured.latencies_us),
            per_second=measured.per_second,
            latencies_us=measured.latencies_us,
            client_cpu_s=warmup.cpu_s + measured.cpu_s,
        )

    return _watched(stage, subject, drive, connections=connections, server_pid=None)


def _http(stage: Stage, subject: Subject, options: Options, *, connections: int, server: stages.Server) -> Figures:
    wanted = {
        "port": server.port,
        "key": stage.account.key,
        "connections": connections,
        "seconds": options.seconds,
        "warmup": options.warmup,
        "seed": time.time_ns(),
    }

    def drive() -> Driven:
        result = subprocess.run(
            [sys.executable, "-m", "bench.load", json.dumps(wanted)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            timeout=options.seconds + options.warmup + GENERATOR_EXTRA_S,
            check=True,
        )
        counted = json.loads(result.stdout)
        if counted["failure"] is not None:
            raise BenchError(f"an invoice was not created: {counted['failure']}")
        latencies_us: list[int] = counted["latencies_us"]
        return Driven(
            acknowledged=counted["acknowledged"],
            per_second=len(latencies_us) / options.seconds,
            latencies_us=latencies_us,
            client_cpu_s=counted["cpu_s"],
        )

    return _watched(stage, subject, drive, connections=connections, server_pid=server.pid)


def _watched(
    stage: Stage, subject: Subject, drive: Callable[[], Driven], *, connections: int, server_pid: int | None
) -> Figures:
    """Run a driver and note who used the processors meanwhile."""
    machine, postgres_s, began_s = Machine.now(), tree_cpu_s(stage.postgres_pid), time.monotonic()
    server_s = 0.0 if server_pid is None else tree_cpu_s(server_pid)
    driven = drive()
    server_s = 0.0 if server_pid is None else tree_cpu_s(server_pid) - server_s
    postgres_s = tree_cpu_s(stage.postgres_pid) - postgres_s
    after, wall_s = Machine.now(), time.monotonic() - began_s
    if not driven.latencies_us:
        raise BenchError(f"{subject.name} created nothing in the measured time")
    others_s = after.busy_s - machine.busy_s - server_s - postgres_s - driven.client_cpu_s
    return Figures(
        subject=subject,
        connections=connections,
        acknowledged=driven.acknowledged,
        per_second=driven.per_second,
        p50_ms=report.percentile(driven.latencies_us, 50) / 1000,
        p99_ms=report.percentile(driven.latencies_us, 99) / 1000,
        client_us=driven.client_cpu_s / driven.acknowledged * 1e6,
        server_us=server_s / driven.acknowledged * 1e6,
        postgres_us=postgres_s / driven.acknowledged * 1e6,
        others=max(0.0, others_s) / wall_s,
        stolen=(after.stolen_s - machine.stolen_s) / wall_s,
    )
