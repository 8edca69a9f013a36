"""The same work on Recaudo and on its peers, in one run: create invoices, read them, list them.

Each phase has a fresh database or a fresh process, and all take turns at each number of connections, round after round.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import driving, filling, report, stage as stages
from bench.driven import Driven
from bench.options import BenchError, Options
from bench.peers import localstripe, recaudo
from bench.peers.peer import Peer
from bench.stage import Stage

PEERS = (localstripe.PEER, localstripe.IN_MEMORY)
WORKS = ("create", "read", "list")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One work on one peer, once."""

    work: str
    connections: int
    peer: str
    keeps: str
    driven: Driven


def run(options: Options) -> None:
    """Fetch the peers, measure, print."""
    with stages.opened(options.home) as stage:
        phases = measure(stage, PEERS, options)
        machine = report.describe_machine(stage)
    rows = summarise(phases)
    _show(rows, machine, options)
    if options.json is not None:
        whole = {"bench": "peers", "machine": machine, "medians": rows, "phases": [asdict(phase) for phase in phases]}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def measure(stage: Stage, peers: Sequence[Peer], options: Options) -> list[Phase]:
    """All phases of Recaudo and these peers. Raises BenchError when one of them is not what it claims."""
    subjects = [recaudo.PEER, *peers]
    folder = stage.folder / "peers"
    folder.mkdir()
    for subject in subjects:
        subject.install(folder)
    phases: list[Phase] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=options.rounds * len(options.connections) * len(subjects))
        for number in range(options.rounds):
            for connections in options.connections:
                for subject in filling.in_turns(subjects, number):
                    progress.update(task, description=f"{subject.name}, {connections} connections")
                    phases += _measure(stage, subject, folder, options, connections=connections)
                    progress.advance(task)
    return phases


def _measure(stage: Stage, peer: Peer, folder: Path, options: Options, *, connections: int) -> Iterator[Phase]:
    with peer.start(stage, folder) as address:
        wanted = {"peer": peer.where, **asdict(address), "connections": connections}
        how = {"seconds": options.seconds, "warmup": options.warmup}
        counted = driving.run_module("bench.peers.visit", wanted | how, options=options, phases=len(WORKS))
    for work in WORKS:
        driven = Driven(**counted[work])
        if not driven.per_second:
            raise BenchError(f"{peer.name} finished no {work} in the measured time")
        yield Phase(work=work, connections=connections, peer=peer.name, keeps=peer.keeps, driven=driven)


def summarise(phases: Iterable[Phase]) -> list[dict[str, Any]]:
    """One row per work, concurrency and peer: medians over the rounds, and Recaudo's speed by that peer's.

    The ratio is the median of each round's own: phases of a round are neighbours in time.
    """
    groups: dict[tuple[str, int, str], list[Phase]] = {}
    for phase in phases:
        groups.setdefault((phase.work, phase.connections, phase.peer), []).append(phase)
    rows = [
        _row(group, groups[work, connections, recaudo.PEER.name]) for (work, connections, _), group in groups.items()
    ]
    return sorted(
        rows,
        key=lambda row: (WORKS.index(row["work"]), row["connections"], row["peer"] != recaudo.PEER.name, row["peer"]),
    )


def _row(group: Sequence[Phase], ours: Sequence[Phase]) -> dict[str, Any]:
    ratios = [own.driven.per_second / its.driven.per_second for own, its in zip(ours, group, strict=True)]
    return {
        "work": group[0].work,
        "connections": group[0].connections,
        "peer": group[0].peer,
        "keeps": group[0].keeps,
        "per_second": statistics.median(phase.driven.per_second for phase in group),
        "recaudo_by_it": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "p50_ms": statistics.median(phase.driven.p50_us for phase in group) / 1000,
        "p99_ms": statistics.median(phase.driven.p99_us for phase in group) / 1000,
        "done": statistics.median(phase.driven.acknowledged for phase in group),
    }


def _show(rows: Sequence[dict[str, Any]], machine: dict[str, Any], options: Options) -> None:
    table = Table(title="The same work on Recaudo and on its peers", title_justify="left")
    for name in ("work", "conns", "who", "what is kept"):
        table.add_column(name, no_wrap=True, justify="right" if name == "conns" else "left")
    for name in ("per second", "Recaudo / it", "p50 ms", "p99 ms", "done"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        is_last = following is None or (following["work"], following["connections"]) != (
            row["work"],
            row["connections"],
        )
        table.add_row(*_cells(row), end_section=is_last)
    console = Console(width=None if sys.stdout.isatty() else report.TABLE_WIDTH, highlight=False)
    console.print(table)
    console.print(
        f"Medians of {options.rounds} rounds of {options.seconds:g} s, after {options.warmup:g} s of warm-up each; "
        "done counts both. An invoice is as many requests as its maker asks for."
    )
    console.print(report.machine_line(machine))


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["work"],
        str(row["connections"]),
        row["peer"],
        row["keeps"],
        f"{row['per_second']:,.0f}",
        "" if row["peer"] == recaudo.PEER.name else f"{row['recaudo_by_it']:.2f}",
        f"{row['p50_ms']:.2f}",
        f"{row['p99_ms']:.2f}",
        f"{row['done']:,.0f}",
    ]
