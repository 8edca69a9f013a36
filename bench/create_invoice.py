"""How fast invoices are created: POST /v1/invoices on a real server, beside the same rows written by raw SQL.

Every phase has a fresh database on the same PostgreSQL, and all phases take turns, round after round, so that a
machine that slows down slows all of them. After a phase the database must hold exactly the acknowledged invoices and
the doctor must be content; else there are no figures.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress

from bench import driving, pgbench, raw_sql, report, stage as stages
from bench.cpu import Usage
from bench.driven import Driven
from bench.options import BenchError, Options
from bench.pgbench import Script
from bench.quiet import Patience
from bench.report import Figures, Subject
from bench.stage import Server, Stage

RAW = Subject(name="raw SQL")


def run(options: Options) -> None:
    """Measure all phases and print their medians."""
    console = Console(stderr=True)
    with stages.opened(options.home) as stage:
        console.print("[dim]Sending one request to learn which rows it writes[/dim]")
        bench = CreateInvoice(stage, raw_sql.make_script(stage), options)
        # The first phase on a new server makes files that later ones find.
        bench.measure(RAW, connections=max(options.connections))
        figures = _measure_all(bench, options, console)
        machine = report.describe_machine(stage)
    report.show(figures, machine, options)
    if options.json is not None:
        report.write(figures, machine, options, options.json)


def _measure_all(bench: "CreateInvoice", options: Options, console: Console) -> list[Figures]:
    plan = list(_plan(options))
    patience = Patience(options.patience)
    figures: list[Figures] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(plan) * options.rounds)
        for _ in range(options.rounds):
            for subject, connections in plan:
                progress.update(task, description=f"{subject.name}, {connections} connections")
                figures.append(_patiently(patience, bench, subject, connections=connections))
                progress.advance(task)
    return figures


def _patiently(patience: Patience, bench: "CreateInvoice", subject: Subject, *, connections: int) -> Figures:
    """One phase, again if other programs disturbed it and there is patience left."""
    while True:
        patience.wait_for_quiet()
        began_s = time.monotonic()
        figures = bench.measure(subject, connections=connections)
        if not (figures.is_disturbed and patience.is_left):
            return figures
        patience.spend(time.monotonic() - began_s)


def _plan(options: Options) -> Iterator[tuple[Subject, int]]:
    """One round: what is compared at one concurrency is measured back to back."""
    for connections in options.connections:
        yield RAW, connections
        for workers in options.workers:
            yield Subject(name=f"HTTP, {_processes(workers)}", workers=workers), connections
        if connections == max(options.connections):
            workers = options.workers[0]
            name = f"HTTP, {_processes(workers)}, info log"
            yield Subject(name=name, workers=workers, log_level="info"), connections


def _processes(workers: int) -> str:
    return "1 process" if workers == 1 else f"{workers} processes"


class CreateInvoice:
    """The benchmark on its stage, ready to measure."""

    def __init__(self, stage: Stage, script: Script, options: Options) -> None:
        self._stage = stage
        self._script = script
        self._options = options

    def measure(self, subject: Subject, *, connections: int) -> Figures:
        """One phase on a fresh database, checked. Raises BenchError."""
        with self._stage.database() as url:
            with self._serving(subject, url) as server:
                if server is None:
                    figures = self._watch(subject, lambda: self._raw(url, connections), connections, server)
                else:
                    figures = self._watch(subject, lambda: self._http(server, connections), connections, server)
            stored = stages.check_database(url, acknowledged=figures.acknowledged)
            ((commits,),) = stages.query(url, "SELECT count(DISTINCT position) FROM event WHERE version = 1")
            return replace(figures, stored=stored, per_commit=stored / commits)

    def _serving(self, subject: Subject, url: str):
        if subject.workers is None:
            return nullcontext(None)
        return self._stage.server(url, workers=subject.workers, log_level=subject.log_level)

    def _raw(self, url: str, connections: int) -> Driven:
        return pgbench.run(
            self._stage,
            url,
            self._script,
            connections=connections,
            seconds=self._options.seconds,
            warmup=self._options.warmup,
        )

    def _http(self, server: Server, connections: int) -> Driven:
        return driving.run(
            "bench.published:creations",
            {"key": self._stage.account.key, "seed": time.time_ns()},
            port=server.port,
            connections=connections,
            options=self._options,
        )

    def _watch(self, subject: Subject, drive: Callable[[], Driven], connections: int, server: Server | None) -> Figures:
        """Run a driver and note who used the processors meanwhile."""
        pids = {"postgres_pid": self._stage.postgres_pid, "server_pid": server.pid if server else None}
        before = Usage.now(**pids)
        driven = drive()
        used = Usage.now(**pids) - before
        if not driven.per_second:
            raise BenchError(f"{subject.name} created nothing in the measured time")
        others_s = used.machine_s - used.server_s - used.postgres_s - driven.cpu_s
        return Figures(
            subject=subject,
            connections=connections,
            acknowledged=driven.acknowledged,
            per_second=driven.per_second,
            p50_ms=driven.p50_us / 1000,
            p99_ms=driven.p99_us / 1000,
            client_us=driven.cpu_s / driven.acknowledged * 1e6,
            server_us=used.server_s / driven.acknowledged * 1e6,
            postgres_us=used.postgres_s / driven.acknowledged * 1e6,
            others=max(0.0, others_s) / used.wall_s,
            stolen=used.stolen_s / used.wall_s,
        )
