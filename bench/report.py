"""From phases to figures: medians over the rounds, a table for people, JSON for programs."""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.options import Options
from bench.stage import Stage, query

# Other programs, or a virtual machine's host, that take more of one processor than this make figures misleading.
# The kernel's own threads, which write to the disk for us, stay below it.
DISTURBED = 0.25
SYNC_PROBES = 200
TABLE_WIDTH = 120


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured; without `workers` it is PostgreSQL alone."""

    name: str
    workers: int | None = None
    log_level: str = "warning"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One phase. CPU microseconds are per created invoice; `others` and `stolen` are in processors."""

    subject: Subject
    connections: int
    acknowledged: int
    per_second: float
    p50_ms: float
    p99_ms: float
    client_us: float
    server_us: float
    postgres_us: float
    others: float
    stolen: float
    stored: int = 0
    per_commit: float = 0.0

    @property
    def is_disturbed(self) -> bool:
        return max(self.others, self.stolen) > DISTURBED


def summarise(figures: Sequence[Figures]) -> list[dict[str, Any]]:
    """One row per subject and concurrency, in the order of the first round: medians over the rounds."""
    groups: dict[tuple[int, str], list[Figures]] = {}
    for phase in figures:
        groups.setdefault((phase.connections, phase.subject.name), []).append(phase)
    raw = {connections: group for (connections, name), group in groups.items() if group[0].subject.workers is None}
    rows = [_row(group, raw[connections]) for (connections, _), group in groups.items()]
    return sorted(rows, key=lambda row: row["connections"])


def _row(group: Sequence[Figures], raw: Sequence[Figures]) -> dict[str, Any]:
    def median(of: Callable[[Figures], float]) -> float:
        return statistics.median(of(phase) for phase in group)

    return {
        "connections": group[0].connections,
        "subject": group[0].subject.name,
        "per_second": median(lambda f: f.per_second),
        "p50_ms": median(lambda f: f.p50_ms),
        "p99_ms": median(lambda f: f.p99_ms),
        # Phases of one round are neighbours in time, so their ratio survives a machine that drifts.
        "of_raw": statistics.median(f.per_second / r.per_second for f, r in zip(group, raw, strict=True)),
        "per_commit": median(lambda f: f.per_commit),
        "client_us": median(lambda f: f.client_us),
        "server_us": median(lambda f: f.server_us),
        "postgres_us": median(lambda f: f.postgres_us),
        "others": max(f.others for f in group),
        "stolen": max(f.stolen for f in group),
    }


def describe_machine(stage: Stage) -> dict[str, Any]:
    """What the figures depend on."""
    names = ("server_version", "synchronous_commit", "fsync", "shared_buffers", "max_wal_size")
    with stage.database() as url:
        settings = {name: query(url, f"SHOW {name}")[0][0] for name in names}
    return {
        "processors": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sync_ms": _sync_ms(stage.folder),
        "postgresql": settings,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _sync_ms(folder: Path) -> float:
    """What one small write costs until it is on the disk, the median of some."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(bytes(8192 * SYNC_PROBES))
        os.fsync(file.fileno())
        times_s = [_timed_sync(file.fileno(), at=8192 * number) for number in range(SYNC_PROBES)]
    return round(statistics.median(times_s) * 1000, 3)


def _timed_sync(descriptor: int, *, at: int) -> float:
    began_s = time.perf_counter()
    os.pwrite(descriptor, bytes(8192), at)
    os.fsync(descriptor)
    return time.perf_counter() - began_s


def show(figures: Sequence[Figures], machine: dict[str, Any], options: Options) -> None:
    """Print the table and what it rests on."""
    rows = summarise(figures)
    # Not narrower than the table when the output goes to a file.
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH, highlight=False)
    console.print(_table(rows))
    console.print(
        f"Medians of {options.rounds} rounds of {options.seconds:g} s, after {options.warmup:g} s of warm-up each. "
        "CPU time is in microseconds per invoice; batch is how many invoices shared a commit."
    )
    console.print(machine_line(machine))
    for row in rows:
        if max(row["others"], row["stolen"]) > DISTURBED:
            console.print(
                f"[yellow]Disturbed[/yellow]: {row['subject']} at {row['connections']}: other programs took up to "
                f"{row['others']:.2f} processors, the machine's host {row['stolen']:.2f}."
            )


def machine_line(machine: dict[str, Any]) -> str:
    """What describe_machine found, in a sentence."""
    settings = machine["postgresql"]
    return (
        f"{machine['processors']} x {machine['processor']}, {machine['memory_gb']} GB, Python {machine['python']}, "
        f"PostgreSQL {settings['server_version']}, synchronous_commit {settings['synchronous_commit']}, "
        f"{machine['sync_ms']} ms per fsync."
    )


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="POST /v1/invoices beside the same rows in raw SQL", title_justify="left")
    table.add_column("conns", justify="right")
    table.add_column("what", no_wrap=True)
    for name in ("per second", "of raw", "p50 ms", "p99 ms", "batch", "CPU client", "server", "PostgreSQL"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        is_last = following is not None and following["connections"] != row["connections"]
        table.add_row(*_cells(row), end_section=is_last)
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        str(row["connections"]),
        row["subject"],
        f"{row['per_second']:,.0f}",
        f"{row['of_raw']:.2f}",
        f"{row['p50_ms']:.2f}",
        f"{row['p99_ms']:.2f}",
        f"{row['per_commit']:.1f}",
        f"{row['client_us']:.0f}",
        f"{row['server_us']:.0f}" if row["server_us"] else "",
        f"{row['postgres_us']:.0f}",
    ]


def write(figures: Sequence[Figures], machine: dict[str, Any], options: Options, file: Path) -> None:
    """Write every phase, the medians and the machine as JSON."""
    how = {name: value for name, value in asdict(options).items() if name not in {"home", "json"}}
    result = {
        "bench": "create_invoice",
        "options": how,
        "machine": machine,
        "medians": summarise(figures),
        "phases": [asdict(phase) for phase in figures],
    }
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
