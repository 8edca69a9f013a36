"""`recaudo simulate`: runs one seed or many, each process on a database of its own, and tells what came of them."""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from recaudo.simulation.checking import CHECKS
from recaudo.simulation.crashes import FragileDatabase
from recaudo.simulation.running import Run, quiet_about_the_dead, run
from recaudo.store import scratch
from recaudo.store.embedded import open_embedded
from recaudo.store.migrate import migrate

FAILURES_SHOWN = 3
FINDINGS_SHOWN = 5
# Looking for the shortest failing run costs as many runs, of half the length each.
SHORTENINGS_MAX = 8

Heard = Callable[[Run], None]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be simulated."""

    seeds: Sequence[int]
    steps: int
    processes: int = 1
    database_url: str | None = None  # an empty one, for a single seed; None: one of our own, thrown away


class Total(msgspec.Struct, kw_only=True):
    """What came of all seeds."""

    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    counts: Counter[str] = msgspec.field(default_factory=Counter[str])
    faults: Counter[str] = msgspec.field(default_factory=Counter[str])
    failed: list[Run] = msgspec.field(default_factory=list[Run])

    def add(self, one: Run) -> None:
        """Count a run in."""
        self.runs += 1
        self.steps += one.steps
        self.counts += one.counts
        self.faults += one.faults
        if one.findings:
            self.failed.append(one)


def simulate(wanted: Wanted, console: Console) -> Total:
    """Run all seeds, with a bar; what fails is looked at again for the shortest run that fails."""
    total, began = Total(), time.monotonic()
    with _bar(console) as progress:
        task = progress.add_task("seeds", total=len(wanted.seeds))

        def hear(one: Run) -> None:
            total.add(one)
            failures = f", [red]{len(total.failed)} failed[/red]" if total.failed else ""
            progress.update(task, advance=1, description=f"seeds{failures}")

        with _server(wanted) as url:
            for one in _runs(wanted, url):
                hear(one)
            total.seconds = time.monotonic() - began
            if total.failed and wanted.database_url is None:
                total.failed[:FAILURES_SHOWN] = [_shortened(url, one) for one in total.failed[:FAILURES_SHOWN]]
    return total


def show(total: Total, console: Console) -> None:
    """The table at the end, and the story of what failed."""
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    outages = sum(n for kind, n in total.faults.items() if kind.startswith(("outage before", "outage after")))
    totals, items = total.counts["totals changed"], total.counts["items changed"]
    rows = {
        "seeds": total.runs,
        "steps": total.steps,
        "invoices": total.counts["invoices"],
        "of them with taxes": total.counts["invoices with taxes"],
        "of them with something withheld": total.counts["invoices of which something is withheld"],
        "requests of an invoice voided": total.counts["requests of an invoice voided"],
        "requests without an invoice": total.counts["requests without an invoice"],
        "requests that ask for another sum": f"{totals} by their total, {items} by their items",
        "amounts changed in the other dialect": total.counts["amounts changed in the other dialect"],
        "requests given up": total.counts["requests given up"],
        "open amounts": f"{total.counts['open amounts']} ({total.counts['open amounts paid twice']} paid twice)",
        "credit notes": f"{total.counts['credit notes']} ({total.counts['credit notes voided']} voided)",
        "discounts": f"{total.counts['discounts']} ({total.counts['discounts removed']} removed)",
        "sums over several invoices": total.counts["sums over several invoices"],
        "rests asked for anew": total.counts["rests asked for anew"],
        "registered sums undone": total.counts["sums undone"],
        "payments begun": total.counts["payments"],
        "money booked": f"$ {total.counts['booked (minor units)'] // 100:,}".replace(",", "."),
        "webhooks accepted": total.counts["events told"],
        "requests repeated": total.counts["repeated requests"],
        "crashes": sum(n for kind, n in total.faults.items() if kind.startswith("crash")),
        "outages of the database": f"{outages} ({total.counts['requests that found no database']} requests found none)",
        "seconds": f"{total.seconds:.1f} ({total.runs / max(total.seconds, 0.001):.2f} seeds a second)",
    }
    for name, value in rows.items():
        table.add_row(str(value), name)
    for kind, count in sorted(total.faults.items()):
        table.add_row(f"[dim]{count}[/dim]", f"[dim]{kind}[/dim]")
    console.print(table, highlight=False)
    broken = {it.check for one in total.failed for it in one.findings}
    for name in CHECKS:
        mark = "[red]broken[/red]" if name in broken else "[green]ok[/green]"
        console.print(f"{mark}  {name}", highlight=False)
    for one in total.failed[:FAILURES_SHOWN]:
        _tell(one, console)
    if len(total.failed) > FAILURES_SHOWN:
        others = ", ".join(str(one.seed) for one in total.failed[FAILURES_SHOWN:][:50])
        console.print(f"Failed as well: {others}", highlight=False)


def _tell(one: Run, console: Console) -> None:
    """Why a seed failed, what led to it, and how to see it again."""
    console.print(f"\n[red]Seed {one.seed} fails within {one.steps} steps.[/red]", highlight=False)
    for it in one.findings[:FINDINGS_SHOWN]:
        about = f"{it.about}: " if it.about else ""
        console.print(f"  {it.check}: {escape(about + it.text)}", highlight=False, soft_wrap=True)
    console.print("Its story:")
    for line in one.story:
        console.print(f"  {escape(str(line))}", highlight=False, soft_wrap=True)
    console.print(f"To see it again: recaudo simulate --seed {one.seed} --steps {one.steps}", highlight=False)


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def _server(wanted: Wanted) -> Generator[str]:
    """Where databases can be made: never where the operator keeps anything."""
    if wanted.database_url is not None:
        asyncio.run(scratch.require_empty(wanted.database_url))
        asyncio.run(migrate(wanted.database_url))
        yield wanted.database_url
        return
    with tempfile.TemporaryDirectory(prefix="recaudo-simulation-", ignore_cleanup_errors=True) as folder:
        # The database's own user must be able to pass.
        Path(folder).chmod(0o711)
        with open_embedded(Path(folder)) as handle:
            asyncio.run(scratch.hurry(handle.url))
            try:
                yield handle.url
            finally:
                handle.close(wait_s=10)


def _runs(wanted: Wanted, url: str) -> Iterator[Run]:
    """Every run, as they end."""
    count = min(wanted.processes, len(wanted.seeds))
    if wanted.database_url is not None or count == 1:
        given = wanted.database_url
        yield from _in_turn(url, wanted.seeds, wanted.steps, given=given)
        return
    shares = [(url, list(wanted.seeds[n::count]), wanted.steps) for n in range(count)]
    # Each process begins afresh: a fork would share what asyncio and the driver hold.
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_work, args=(*share, results), daemon=True) for share in shares]
    for worker in workers:
        worker.start()
    try:
        for _ in wanted.seeds:
            one = results.get()
            if isinstance(one, str):
                raise RuntimeError(one)  # noqa: TRY004 - what went wrong over there, not its type
            yield one
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _work(url: str, seeds: Sequence[int], steps: int, results: Any) -> None:  # noqa: ANN401 - a queue of runs
    """One process of several: its share of the seeds."""
    try:
        for one in _in_turn(url, seeds, steps):
            results.put(one)
    except Exception as error:  # noqa: BLE001 - told to the process that waits for us
        results.put(f"{type(error).__name__}: {error}")


def _in_turn(url: str, seeds: Sequence[int], steps: int, *, given: str | None = None) -> Iterator[Run]:
    """Runs one after the other."""
    with _living(url, given=given) as live:
        for seed in seeds:
            yield live(seed, steps)


@contextlib.contextmanager
def _living(url: str, *, given: str | None = None) -> Generator[Callable[[int, int], Run]]:
    """What lives through a seed and so many steps, on one database that is wiped in between; or on the `given` one."""
    be_quiet()
    name = f"simulation_{os.getpid()}_{secrets.token_hex(4)}"
    with asyncio.Runner() as runner:
        own = given or runner.run(scratch.make(url, name))
        database = runner.run(FragileDatabase.connect(own, connections_max=4))
        try:
            yield lambda seed, steps: runner.run(_run_on(database, seed, steps, keep=given is not None))
        finally:
            runner.run(database.close())
            if given is None:
                runner.run(scratch.drop(url, name))


async def _run_on(database: FragileDatabase, seed: int, steps: int, *, keep: bool) -> Run:
    with quiet_about_the_dead():
        if not keep:
            with database.calm():
                await scratch.wipe(database)
        return await run(database, seed, steps)


def _shortened(url: str, failed: Run) -> Run:
    """The shortest run of a failing seed that still fails, as far as halving finds it."""
    low, high, shortest = 0, failed.steps, failed
    with _living(url) as live:
        for _ in range(SHORTENINGS_MAX):
            middle = (low + high) // 2
            if middle in {low, high}:
                break
            one = live(failed.seed, middle)
            if one.findings:
                high, shortest = middle, one
            else:
                low = middle
    return shortest


def be_quiet() -> None:
    """The product logs every trouble; here trouble is made on purpose, a thousand times."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def read_seeds(text: str) -> Sequence[int]:
    """Seeds as people write them: 7, or 1-2000. Raises ValueError."""
    first, line, last = text.partition("-")
    low, high = int(first), int(last) if line else int(first)
    if not 0 <= low <= high:
        raise ValueError(text)
    return range(low, high + 1)
