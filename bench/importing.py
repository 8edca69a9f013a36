"""How many invoices a second does an import load, and how many could raw SQL write by the thousand?

**raw SQL** writes the very rows that the import leaves behind, 2,000 invoices to a statement, as a program without
Recaudo would: rows from arrays, prepared, in binary, over as many connections as the import uses, and made before the
clock starts. The same tables grow by the same rows; nothing is read, checked or decided.

**import** is `recaudo import` on a CSV file, started as people start it; what it spends before its first row is part of
its time. *again* is the same file once more: every row is found to be there.
"""

import asyncio
import csv
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import published, report, stage as stages
from bench.options import BenchError, Options
from bench.quiet import Patience
from bench.stage import Stage, query
from recaudo.importing.loading import IN_FLIGHT_MAX

# What raw SQL writes in one statement.
RAW_ROWS = 2_000
# A batch takes about as long as a hundred requests do; an ordinary round has thirty of them.
ROWS_A_SECOND = 8_000
TITLES = ("factura", "contrato", "valor", "concepto", "descripcion", "celular", "correo", "vencimiento", "url_factura")
# In this order each finds what it refers to.
ORDER = ("customer", "invoice", "collection", "transfer", "event")


@dataclass(frozen=True)
class Phase:
    """One way of writing, once."""

    name: str
    rows: int
    seconds: float
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds


def run(options: Options) -> None:
    """Measure and print."""
    patience = Patience(options.patience)
    rows = max(RAW_ROWS, round(ROWS_A_SECOND * options.seconds / RAW_ROWS) * RAW_ROWS)
    with stages.opened(options.home) as stage, Progress(transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("Importing", total=options.rounds)
        rounds = []
        for _ in range(options.rounds):
            rounds.append(_round(stage, rows, patience))
            progress.advance(task)
        machine = report.describe_machine(stage)
    _show(rounds, machine)
    if options.json is not None:
        found = [[vars(phase) | {"per_second": phase.per_second} for phase in each] for each in rounds]
        options.json.write_text(json.dumps({"bench": "importing", "rounds": found}, indent=2) + "\n", encoding="utf-8")


def _round(stage: Stage, rows: int, patience: Patience) -> list[Phase]:
    """The import, the same file again, and the raw SQL with the rows that the import left behind."""
    file = _write_file(stage.folder / "invoices.csv", rows)
    with stage.database(name="imported") as url:
        patience.wait_for_quiet()
        first = _import(stage, url, file, name="import", created=rows)
        again = _import(stage, url, file, name="again", created=0)
        stages.check_database(url, acknowledged=rows)
        with stage.database(name="raw") as other:
            patience.wait_for_quiet()
            raw = asyncio.run(_raw(url, other, rows))
            for table in ORDER:
                if _count(url, table) != _count(other, table):
                    raise BenchError(f"the raw SQL did not write the same rows of {table}")
    return [raw, first, again]


def _write_file(file: Path, rows: int) -> Path:
    """As an internet provider has it: every invoice its own number, over 5,000 contracts."""
    low, high = published.REFERENCES
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerow(TITLES)
        for number in range(rows):
            reference = low + number % (high - low + 1)
            writer.writerow(
                (
                    f"FV-{number:012d}",
                    reference,
                    50_000 + number % 40 * 1_000,
                    "Internet plan - Octubre",
                    "Plan hogar de 300 megas",
                    published.PHONES[0] + number,
                    f"cliente{reference}@ejemplo.com",
                    f"2027-10-{number % 28 + 1:02d}",
                    "https://example.com/document.pdf",
                )
            )
    return file


def _import(stage: Stage, url: str, file: Path, *, name: str, created: int) -> Phase:
    began_s, cpu_s = time.perf_counter(), _children_s()
    arguments = ["import", str(file), "--merchant", "bench", "--test", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "recaudo", *arguments], env=stage.environment(url), capture_output=True, check=False
    )
    seconds = time.perf_counter() - began_s
    if done.returncode != 0:
        raise BenchError(f"the import ended with {done.returncode}: {done.stderr.decode()}")
    told = json.loads(done.stdout)
    if told["created"] != created:
        raise BenchError(f"the import created {told['created']} invoices")
    return Phase(name, told["read"], seconds, _children_s() - cpu_s)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _raw(source: str, target: str, rows: int) -> Phase:
    """Read what the import wrote, make it ready by the batch, then write it into an empty database."""
    connections = [await asyncpg.connect(target) for _ in range(IN_FLIGHT_MAX)]
    try:
        batches = await _batches(source, rows)
        statement = _statement()
        prepared = [await connection.prepare(statement) for connection in connections]
        waiting = iter(batches)
        cpu_s = time.process_time()
        began_s = time.perf_counter()

        async def lane(number: int) -> None:
            for batch in waiting:
                await prepared[number].fetch(*batch)

        await asyncio.gather(*(lane(number) for number in range(len(connections))))
        return Phase("raw SQL", rows, time.perf_counter() - began_s, time.process_time() - cpu_s)
    finally:
        for connection in connections:
            await connection.close()


def _statement() -> str:
    parts = []
    for number, table in enumerate(ORDER, start=1):
        conflict = " ON CONFLICT DO NOTHING" if table == "customer" else ""
        parts.append(f"{table}_rows AS (INSERT INTO {table} SELECT * FROM unnest(${number}::{table}[]){conflict})")
    return f"WITH {', '.join(parts)} SELECT 1"


async def _batches(source: str, rows: int) -> list[list[Sequence[Any]]]:
    """The rows of so many invoices together, by table."""
    connection = await asyncpg.connect(source)
    try:
        ids = [r[0] for r in await connection.fetch("SELECT id FROM invoice ORDER BY origin_id")]
        batches = []
        for first in range(0, rows, RAW_ROWS):
            some = ids[first : first + RAW_ROWS]
            batch: list[Sequence[Any]] = []
            for table in ORDER:
                found = await connection.fetch(f"SELECT * FROM {table} WHERE {_WHERE[table]} ORDER BY 2", some)
                batch.append([tuple(r) for r in found])
            batches.append(batch)
        return batches
    finally:
        await connection.close()


_WHERE = {
    "customer": "id IN (SELECT customer_id FROM invoice WHERE id = ANY ($1))",
    "invoice": "id = ANY ($1)",
    "collection": "invoice_id = ANY ($1)",
    "transfer": "invoice_id = ANY ($1)",
    "event": "subject_id = ANY ($1)",
}


def _count(url: str, table: str) -> int:
    return query(url, f"SELECT count(*) FROM {table}")[0][0]


def _show(rounds: Sequence[Sequence[Phase]], machine: dict[str, Any]) -> None:
    table = Table(title=f"recaudo import of {rounds[0][0].rows:,} rows, beside raw SQL", title_justify="left")
    for name in ("what", "of raw", "from - to", "per second", "CPU µs of the program"):
        table.add_column(name, justify="left" if name == "what" else "right", no_wrap=True)
    for number, phase in enumerate(rounds[0]):
        ratios = [each[number].per_second / each[0].per_second for each in rounds]
        table.add_row(
            phase.name,
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
            f"{statistics.median(each[number].per_second for each in rounds):,.0f}",
            f"{statistics.median(each[number].cpu_s / each[number].rows for each in rounds) * 1e6:.0f}",
        )
    console = Console(width=None if sys.stdout.isatty() else report.TABLE_WIDTH, highlight=False)
    console.print(table)
    console.print(
        f"Medians of {len(rounds)} rounds; raw SQL writes {RAW_ROWS:,} invoices to a statement over "
        f"{IN_FLIGHT_MAX} connections."
    )
    console.print(report.machine_line(machine))
