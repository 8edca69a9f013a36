"""What the fan-out adds to creating invoices: the door's statement beside the same statement without it.

Both go through store.door.create_many on one connection and take turns, each round in the other order, with invoices
that were made before the clock started.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from rich.progress import Progress
from rich.table import Table

from bench import backlog, stage as stages
from bench.options import BenchError, Options
from bench.stage import Stage
from recaudo.parts import make_core
from recaudo.store import door
from recaudo.store.database import Database
from recaudo.store.door import Creation

BATCHES = (1, 64)
# Pairs of a round, by the size of the batch.
PAIRS = {1: 300, 64: 40}
PAIRS_WARMUP = 10
INVOICES_BEFORE = 2_000


@dataclass
class Compared:
    """Milliseconds of one statement, with and without the fan-out, pair by pair."""

    endpoints: int
    batch: int
    with_ms: list[float] = field(default_factory=list)
    without_ms: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.with_ms) / statistics.median(self.without_ms)

    @property
    def null_ratio(self) -> float:
        """Of the same statement with itself, every other time: how far noise alone moves a ratio."""
        return statistics.median(self.without_ms[::2]) / statistics.median(self.without_ms[1::2])


def without_fan_out() -> str:
    """The door's statement, less what it does for endpoints. Raises BenchError when it does not look as expected."""
    whole = door._CREATE
    start, end = whole.find("RETURNING account_id, id, subject_id"), whole.rfind("SELECT 1")
    if min(start, end) < 0 or "deliveries AS (" not in whole[start:end]:
        raise BenchError("store.door's statement changed: bench/fan_out.py no longer finds the fan-out in it")
    return f"{whole[:start]})\nSELECT $7::timestamptz"


def measure(stage: Stage, options: Options, progress: Progress) -> list[Compared]:
    """Accounts without an endpoint and with one, in one database where others have many."""
    with stage.database() as url:
        return asyncio.run(_measure(url, options, progress))


async def _measure(url: str, options: Options, progress: Progress) -> list[Compared]:
    database = await Database.connect(url, connections_max=2)
    try:
        core = make_core(database, stages.SECRET)
        merchants = {
            count: await backlog.add_merchant(core, f"bench-{count}", ["http://127.0.0.1:9/"] * count)
            for count in (0, 1)
        }
        # Plans that PostgreSQL makes for tables it knows to be empty are bad ones, and nobody's for long.
        for merchant in merchants.values():
            await backlog.add_invoices(core, merchant.account, INVOICES_BEFORE, lambda _: None)
        results = [Compared(count, batch) for count in merchants for batch in BATCHES]
        task = progress.add_task("Create statements", total=options.rounds * len(results))
        async with database.connection() as connection:
            await connection.execute("VACUUM ANALYZE")
            pairs = {batch: options.scaled(count) // options.rounds for batch, count in PAIRS.items()}
            for _ in range(options.rounds):
                for result in results:
                    progress.update(task, description=f"{result.endpoints} endpoints, batches of {result.batch}")
                    await _round(core, connection, merchants[result.endpoints], result, pairs=pairs[result.batch])
                    progress.advance(task)
        progress.remove_task(task)
    finally:
        await database.close()
    return results


async def _round(core: Any, connection: Any, merchant: backlog.Merchant, result: Compared, *, pairs: int) -> None:
    pairs += PAIRS_WARMUP
    made = await backlog.new_creations(core, merchant.account, 2 * pairs * result.batch)
    batches = [made[first : first + result.batch] for first in range(0, len(made), result.batch)]
    statements = (door._CREATE, without_fan_out())
    for number in range(pairs):
        # By turns the one and the other comes first.
        order = (0, 1) if number % 2 else (1, 0)
        times_ms = [0.0, 0.0]
        for which in order:
            times_ms[which] = await _timed_ms(connection, statements[which], batches[2 * number + which])
        if number >= PAIRS_WARMUP:
            result.with_ms.append(times_ms[0])
            result.without_ms.append(times_ms[1])


async def _timed_ms(connection: Any, statement: str, batch: Sequence[Creation]) -> float:
    with patch.object(door, "_CREATE", statement):
        began_s = time.perf_counter()
        await door.create_many(connection, batch)
        return (time.perf_counter() - began_s) * 1000


def summarise(results: list[Compared]) -> list[dict[str, Any]]:
    return [
        {
            "endpoints": one.endpoints,
            "batch": one.batch,
            "ratio": one.ratio,
            "null_ratio": one.null_ratio,
            "with_ms": statistics.median(one.with_ms),
            "without_ms": statistics.median(one.without_ms),
            "pairs": len(one.with_ms),
        }
        for one in results
    ]


def table(rows: list[dict[str, Any]]) -> Table:
    shown = Table(title="Creating invoices with the fan-out, beside the same statement without it")
    shown.title_justify = "left"
    for name in ("endpoints", "invoices", "with / without", "without / itself", "with ms", "without ms", "pairs"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            str(row["endpoints"]),
            str(row["batch"]),
            f"{row['ratio']:.3f}",
            f"{row['null_ratio']:.3f}",
            f"{row['with_ms']:.2f}",
            f"{row['without_ms']:.2f}",
            str(row["pairs"]),
        )
    return shown
