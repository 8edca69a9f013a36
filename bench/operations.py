"""What HTTP costs beyond raw SQL for each operation but the create: PUT, GET, the list, and the payer's page.

The yardstick of each is one statement, written by hand, that reads or writes the same rows: as a program without
Recaudo would, that knows what it wants and decides nothing. pgbench sends it, prepared, over the unix socket. The one
that writes locks nothing first, as each of its clients has invoices of its own.

Both ways of an operation share a fresh copy of one database with a few thousand open invoices, made through the
product's own door. Afterwards the invoices must have as many versions as changes were acknowledged, by both ways, and
the doctor must find nothing, or there are no figures.
"""

import asyncio
import json
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import backlog, driving, filling, pgbench, report, stage as stages
from bench.driven import Driven
from bench.jobs import Job, accept, request
from bench.options import BenchError, Options
from bench.pgbench import Script
from bench.stage import Stage
from recaudo.parts import make_core
from recaudo.store.database import Database

INVOICES = 9_600
FILLED = "operations_filled"
PAGE = 20
# Any that differs from what the invoices were made with, so that each change moves money in the ledger.
AMOUNTS = (51_000, 99_000)

_PICK = "\\set n :client_id + :clients * random(0, :each - 1)\n"
_OF_N = "account_id = :account::uuid AND id = (SELECT invoice_id FROM bench_target WHERE n = :n)"

_GET = f"""SELECT i.*, c.*, cu.* FROM invoice i
JOIN collection c ON c.account_id = i.account_id AND c.id = i.collection_id
LEFT JOIN customer cu ON cu.account_id = i.account_id AND cu.id = i.customer_id
WHERE i.{_OF_N.replace(" AND id", " AND i.id")};
"""
_LIST = f"""SELECT i.*, (
    SELECT sum(count) FROM tally WHERE account_id = :account::uuid
    AND name = ANY (:listed::text[])
) FROM invoice i WHERE account_id = :account::uuid AND kind = 'invoice' AND state <> 'void'
ORDER BY id DESC LIMIT {PAGE};
"""
_PAGE = """SELECT i.*, c.*, cu.*, a.settings, m.name, m.support_contact, t.*, g.* FROM collection c
JOIN invoice i ON i.account_id = c.account_id AND i.id = c.invoice_id
JOIN account a ON a.id = c.account_id JOIN merchant m ON m.id = a.merchant_id
LEFT JOIN customer cu ON cu.account_id = i.account_id AND cu.id = i.customer_id
LEFT JOIN LATERAL (
    SELECT * FROM attempt WHERE account_id = c.account_id AND collection_id = c.id ORDER BY id DESC LIMIT 1
) t ON true
LEFT JOIN gateway g ON g.account_id = c.account_id
WHERE c.id = (SELECT collection_id FROM bench_target WHERE n = :n) ORDER BY g.position, g.created_at, g.id;
"""
_PUT = f"""WITH old AS MATERIALIZED (
    SELECT *, uuidv7() AS next_id, :amount::bigint * 100 - amount_minor AS more FROM invoice WHERE {_OF_N}
), changed AS (
    UPDATE invoice i SET version = old.version + 1, amount_minor = :amount::bigint * 100, collection_id = old.next_id,
        generation = old.generation + 1, updated_at = now()
    FROM old WHERE i.account_id = old.account_id AND i.id = old.id AND i.version = old.version
), cancelled AS (
    UPDATE collection c SET state = 'cancelled', updated_at = now(), closed_at = now()
    FROM old WHERE c.account_id = old.account_id AND c.id = old.collection_id
), opened AS (
    INSERT INTO collection (account_id, id, invoice_id, generation, ordinal, state, currency, amount_minor,
        received_minor, overpaid_minor, refunded_minor, parts, open_attempts, due_on, created_at, updated_at, tries)
    SELECT account_id, next_id, id, generation + 1, 1, 'pending', currency, :amount::bigint * 100,
        0, 0, 0, 0, 0, due_on, now(), now(), 0 FROM old
), moved AS (
    INSERT INTO transfer (account_id, id, invoice_id, customer_id, debit, credit, amount_minor, currency, at)
    SELECT account_id, uuidv7(), id, customer_id, CASE WHEN more > 0 THEN 'receivable' ELSE 'billed' END,
        CASE WHEN more > 0 THEN 'billed' ELSE 'receivable' END, abs(more), currency, now() FROM old WHERE more <> 0
), counted AS (
    INSERT INTO tally (account_id, id, name, count)
    SELECT account_id, gen_random_uuid(), :cancelled::text, 1 FROM old
)
INSERT INTO event (account_id, id, subject_id, version, ordinal, type, collection_id, data, snapshot, at, position)
SELECT old.account_id, uuidv7(), old.id, old.version + 1, told.ordinal, told.type,
    CASE told.ordinal WHEN 0 THEN old.collection_id WHEN 3 THEN NULL ELSE old.next_id END, told.data::json,
    CASE told.ordinal WHEN 0 THEN :snapshot::json END, now(), pg_current_xact_id()::text::bigint
FROM old, (VALUES (0, 'collection.cancelled', '{{}}'), (1, 'collection.opened', '{{}}'),
    (2, 'collection.overdue', '{{}}'), (3, 'invoice.updated', '{{}}')) AS told (ordinal, type, data);
"""
_BODY = json.dumps({"amount": 50000, "name": "Internet plan - Octubre", "due_date": "2025-10-20"})
_DRAW_AMOUNT = f"\\set amount 1000 * random({AMOUNTS[0] // 1000}, {AMOUNTS[1] // 1000})\n"

RAW = {"PUT": _PICK + _DRAW_AMOUNT + _PUT, "GET": _PICK + _GET, "list": _LIST, "payer's page": _PICK + _PAGE}
WAYS = ("raw SQL", "HTTP")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One operation, one way, once."""

    operation: str
    way: str
    connections: int
    driven: Driven


def run(options: Options) -> None:
    """Fill a database, measure, print."""
    with stages.opened(options.home) as stage, stage.database(name=FILLED) as filled:
        asyncio.run(_fill(stage, filled))
        phases: list[Phase] = []
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=options.rounds * len(options.connections) * len(RAW))
            for number in range(options.rounds):
                for connections in options.connections:
                    for operation in RAW:
                        progress.update(task, description=f"{operation}, {connections} connections")
                        phases += _measure(stage, operation, options, connections=connections, number=number)
                        progress.advance(task)
        machine = report.describe_machine(stage)
    rows = summarise(phases)
    _show(rows, machine, options)
    if options.json is not None:
        found = {"bench": "operations", "machine": machine, "medians": rows, "phases": [asdict(p) for p in phases]}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


async def _fill(stage: Stage, url: str) -> None:
    database = await Database.connect(url, connections_max=2)
    try:
        core = make_core(database, stages.SECRET)
        account = await backlog.account_of(core, stage.account.id)
        await backlog.add_invoices(core, account, INVOICES, lambda _: None)
        async with database.connection() as connection:
            await connection.execute(
                "CREATE TABLE bench_target AS SELECT row_number() OVER (ORDER BY md5(id::text)) - 1 AS n, "
                "id AS invoice_id, collection_id FROM invoice"
            )
            await connection.execute("ALTER TABLE bench_target ADD PRIMARY KEY (n)")
            await connection.execute("VACUUM ANALYZE")
    finally:
        await database.close()


def _measure(stage: Stage, operation: str, options: Options, *, connections: int, number: int) -> Iterator[Phase]:
    """Both ways on one database, each first in every other round. Raises BenchError."""
    with stage.database(name="operations", template=FILLED) as url:
        changed = 0
        with stage.server(url, workers=1, log_level="warning", runs_worker=False) as server:
            for way in filling.in_turns(WAYS, number):
                if way == "HTTP":
                    driven = _http(stage, url, operation, options, port=server.port, connections=connections)
                else:
                    driven = _raw(stage, url, operation, options, connections=connections)
                if not driven.per_second:
                    raise BenchError(f"{way} finished no {operation} in the measured time")
                changed += driven.acknowledged if operation == "PUT" else 0
                yield Phase(operation=operation, way=way, connections=connections, driven=driven)
        stages.check_database(url, acknowledged=INVOICES)
        ((versions,),) = stages.query(url, "SELECT sum(version - 1) FROM invoice")
        if versions != changed:
            raise BenchError(f"{changed} changes were acknowledged and {versions} are in the database")


def _raw(stage: Stage, url: str, operation: str, options: Options, *, connections: int) -> Driven:
    ((snapshot,),) = stages.query(url, "SELECT snapshot::text FROM event WHERE snapshot IS NOT NULL LIMIT 1")
    variables = {
        "account": str(stage.account.id),
        "snapshot": snapshot,
        # pgbench takes a colon inside quotes for the start of a variable's name.
        "cancelled": "collection:cancelled",
        "listed": "{invoice:open,invoice:part,invoice:paid,invoice:uncollectible}",
        "clients": str(connections),
        "each": str(INVOICES // connections),
    }
    script = Script(text=RAW[operation], variables=variables)
    return pgbench.run(stage, url, script, connections=connections, seconds=options.seconds, warmup=options.warmup)


def _http(stage: Stage, url: str, operation: str, options: Options, *, port: int, connections: int) -> Driven:
    # As many as fit on a command line.
    targets = stages.query(url, "SELECT invoice_id::text, collection_id::text FROM bench_target WHERE n < 1280")
    arguments = {"operation": operation, "key": stage.account.key, "targets": [list(target) for target in targets]}
    return driving.run("bench.operations:jobs", arguments, port=port, connections=connections, options=options)


def jobs(
    *, port: int, connections: int, operation: str, key: str, targets: list[list[str]], **_: float
) -> list[Iterator[Job]]:
    """For the load generator: each connection has invoices of its own to change."""
    host = f"127.0.0.1:{port}"
    return [_jobs(operation, targets[number::connections], host=host, key=key) for number in range(connections)]


def _jobs(operation: str, targets: Sequence[Sequence[str]], *, host: str, key: str) -> Iterator[Job]:
    while True:
        invoice_id, collection_id = random.choice(targets)
        asked = _request(operation, invoice_id, collection_id, host=host, key=key)
        yield _job(asked, invoice_id if operation in {"PUT", "GET"} else "")


def _request(operation: str, invoice_id: str, collection_id: str, *, host: str, key: str) -> bytes:
    if operation == "GET":
        return request("GET", f"/v1/invoices/{invoice_id}", host=host, key=key)
    if operation == "list":
        return request("GET", f"/v1/invoices?per_page={PAGE}", host=host, key=key)
    if operation == "PUT":
        body = _BODY.replace("50000", str(1000 * random.randint(AMOUNTS[0] // 1000, AMOUNTS[1] // 1000)))
        return request("PUT", f"/v1/invoices/{invoice_id}", host=host, key=key, body=body)
    payer = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}"
    return request("GET", f"/payment/{collection_id}", host=host, key=key, address=payer)


def _job(asked: bytes, holding: str) -> Job:
    accept((yield asked), status=b"200", holding=holding.encode())


def summarise(phases: Sequence[Phase]) -> list[dict[str, Any]]:
    """One row per operation, concurrency and way: medians over the rounds."""
    groups: dict[tuple[str, int, str], list[Phase]] = {}
    for phase in phases:
        groups.setdefault((phase.operation, phase.connections, phase.way), []).append(phase)
    rows: list[dict[str, Any]] = []
    for operation in RAW:
        for connections in sorted({phase.connections for phase in phases}):
            raw = groups[operation, connections, "raw SQL"]
            for way in WAYS:
                own = groups[operation, connections, way]
                ratios = [o.driven.per_second / r.driven.per_second for o, r in zip(own, raw, strict=True)]
                rows.append(
                    {
                        "operation": operation,
                        "connections": connections,
                        "way": way,
                        "per_second": statistics.median(p.driven.per_second for p in own),
                        "of_raw": statistics.median(ratios),
                        "p50_ms": statistics.median(p.driven.p50_us for p in own) / 1000,
                        "p99_ms": statistics.median(p.driven.p99_us for p in own) / 1000,
                    }
                )
    return rows


def _show(rows: Sequence[dict[str, Any]], machine: dict[str, Any], options: Options) -> None:
    table = Table(title="Operations over HTTP, one process, beside the same rows in raw SQL", title_justify="left")
    for name in ("operation", "conns", "way", "per second", "of raw", "p50 ms", "p99 ms"):
        table.add_column(name, no_wrap=True, justify="left" if name in {"operation", "way"} else "right")
    for row in rows:
        figures = (f"{row['per_second']:,.0f}", *(f"{row[name]:.2f}" for name in ("of_raw", "p50_ms", "p99_ms")))
        table.add_row(
            row["operation"], str(row["connections"]), row["way"], *figures, end_section=row["way"] == WAYS[-1]
        )
    console = Console(width=None if sys.stdout.isatty() else report.TABLE_WIDTH, highlight=False)
    console.print(table)
    console.print(
        f"Medians of {options.rounds} rounds of {options.seconds:g} s, after {options.warmup:g} s of warm-up each, "
        f"among {INVOICES:,} invoices. Of raw: the median of each round's own ratio."
    )
    console.print(report.machine_line(machine))
