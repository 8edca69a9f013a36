"""What each operation costs in an account with few invoices and with many: the same work, taking turns, in one run.

Each size has a database of its own in one PostgreSQL, with a server on it; beside the measured account each holds
others. Requests go over HTTP, one at a time; claims of due work go through the store.
"""

import asyncio
import contextlib
import http.client
import json
import random
import statistics
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import backlog, filling, published, report, stage as stages
from bench.options import BenchError, Options
from bench.stage import Stage
from recaudo.parts import make_core
from recaudo.store import deliveries, due
from recaudo.store.database import Database
from recaudo.store.doctor import examine

# What an account of a merchant looks like that withdraws and collects: in percent.
SHARES = {"open": 80, "paid": 15, "void": 5}
OTHER_ACCOUNTS = 3
OTHER_INVOICES = 5_000
PAGE = 10
TURNS_WARMUP = 15
TURNS_EACH = 40
# Larger ones are not examined by the doctor, which reads every row.
EXAMINED_MAX = 1_000_000
AIM = 1.5


@dataclass
class Side:
    """One size: its database, its server, and what was measured, in milliseconds by operation."""

    size: int
    url: str
    key: str
    account_id: UUID
    connection: http.client.HTTPConnection
    open_ids: list[tuple[str, str]] = field(default_factory=list)  # invoices and their payments
    cursor: str = ""
    measured: dict[str, list[float]] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, *, basic: bool = False) -> Any:
        """One request over HTTP. Raises BenchError unless it goes well."""
        secret = b64encode(f"{self.key}:".encode()).decode()
        headers = {"Authorization": f"Basic {secret}" if basic else f"Bearer {self.key}", "x-idempotency": str(uuid4())}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(
            method, path, body if isinstance(body, str) or body is None else json.dumps(body), headers
        )
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise BenchError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        return json.loads(content) if answer.getheader("content-type", "").startswith("application/json") else content


def run(options: Options) -> None:
    """Fill the databases, measure, print."""
    with contextlib.ExitStack() as kept:
        stage = kept.enter_context(stages.opened(options.home))
        progress = kept.enter_context(Progress(console=Console(stderr=True), transient=True))
        sides = [_staged(kept, stage, size, progress) for size in sorted(options.sizes)]
        _measure(sides, options, progress)
        for side in sides:
            progress.update(progress.add_task(f"The doctor examines {side.size:,}"), advance=0)
            asyncio.run(_check(side))
        machine = report.describe_machine(stage)
    rows = _rows(sides)
    _show(rows, sides, machine, options)
    if options.json is not None:
        whole = {"bench": "scale", "machine": machine, "operations": rows, "sizes": [s.size for s in sides]}
        whole["milliseconds"] = {s.size: s.measured for s in sides}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def _staged(kept: contextlib.ExitStack, stage: Stage, size: int, progress: Progress) -> Side:
    url = kept.enter_context(stage.database(name=f"scale_{size}"))
    server = kept.enter_context(stage.server(url, workers=1, log_level="warning", runs_worker=False))
    side = Side(size, url, stage.account.key, stage.account.id, http.client.HTTPConnection("127.0.0.1", server.port))
    task = progress.add_task(f"Filling an account with {size:,} invoices")
    asyncio.run(_fill(stage, side))
    side.connection.close()  # it was idle for longer than the server waits; the next request opens it again
    side.open_ids = _open_ids(side)
    side.cursor = _cursor(side)
    progress.remove_task(task)
    return side


async def _fill(stage: Stage, side: Side) -> None:
    database = await Database.connect(side.url, connections_max=2)
    connection = await asyncpg.connect(side.url, command_timeout=None)
    try:
        core = make_core(database, stages.SECRET)
        for number in range(OTHER_ACCOUNTS):
            other = await backlog.add_merchant(core, f"other-{number}")
            await backlog.add_invoices(core, other.account, min(OTHER_INVOICES, side.size), lambda _: None)
        await backlog.add_endpoint(core, await backlog.account_of(core, side.account_id), "http://127.0.0.1:9/")
        templates = [await _template(connection, side, name, percent) for name, percent in SHARES.items()]
        await _deliver_all(connection)
        await filling.fill(connection, side.account_id, templates, side.size - len(templates))
        await connection.execute("VACUUM ANALYZE", timeout=None)
        await connection.execute("CHECKPOINT", timeout=None)
    finally:
        await connection.close()
        await database.close()


async def _template(connection: Any, side: Side, name: str, percent: int) -> filling.Template:
    """An invoice that the product itself brought to a state."""
    made = side.call("POST", "/v1/invoices", _request())
    if name == "paid":
        side.call("POST", f"/recaudo/v1/sandbox/payments/{made['payment_id']}", {})
    elif name == "void":
        side.call("DELETE", f"/v1/invoices/{made['id']}", {"reason": "DELETE_FROM_PROVIDER"})
    state = await connection.fetchval("SELECT state FROM invoice WHERE id = $1", UUID(made["id"]))
    if state != name:
        raise BenchError(f"the template is {state} and should be {name}")
    return filling.Template(UUID(made["id"]), percent)


async def _deliver_all(connection: Any) -> None:
    """What was told so far was told well."""
    await connection.execute("UPDATE delivery SET state = 'delivered', due_at = NULL, tries = 1, http_status = 204")
    await connection.execute(
        "INSERT INTO event_body (account_id, event_id, dialect, type, body) "
        "SELECT account_id, event_id, 'onepay', type, '{}' FROM delivery"
    )


def _request() -> str:
    return published.body(
        provider_id=random.randint(*published.PROVIDER_IDS),
        phone=random.randint(*published.PHONES),
        reference=random.randint(*published.REFERENCES),
    )


def _open_ids(side: Side) -> list[tuple[str, str]]:
    """Open invoices all over the account, and their payments."""
    found = stages.query(
        side.url,
        "SELECT id::text, collection_id::text FROM invoice WHERE account_id = $1 AND state = 'open' "
        "ORDER BY md5(id::text) LIMIT 5000",
        side.account_id,
    )
    return [(r[0], r[1]) for r in found]


def _cursor(side: Side) -> str:
    """Where page 1,000 of Treli's list begins, or the last full page of fewer."""
    after, left = "", min(1_000, side.size // PAGE) * PAGE - PAGE
    while left > 0:
        limit = min(100, left)
        page = side.call(
            "GET", f"/treli/v1/invoices?limit={limit}" + (f"&start_after={after}" if after else ""), basic=True
        )
        after, left = page["data"][-1]["id"], left - limit
    return after


def _operations() -> dict[str, Callable[[Side], Any]]:
    """Each is one request."""

    def some(side: Side) -> tuple[str, str]:
        return random.choice(side.open_ids)

    def reference(side: Side) -> str:
        return f"R{random.randrange(side.size // filling.INVOICES_EACH - 1)}"

    def onepay(path: str) -> Callable[[Side], Any]:
        return lambda side: side.call("GET", f"/v1/{path}")

    def treli(path: str) -> Callable[[Side], Any]:
        return lambda side: side.call("GET", f"/treli/v1/{path}", basic=True)

    return {
        "OnePay: get an invoice": lambda s: s.call("GET", f"/v1/invoices/{some(s)[0]}"),
        "OnePay: list, page 1": onepay("invoices"),
        "OnePay: list, page 50": onepay(f"invoices?page=50&per_page={PAGE}"),
        "OnePay: list of a reference": lambda s: s.call("GET", f"/v1/invoices?filter[reference]={reference(s)}"),
        "OnePay: list of PAID": onepay("invoices?filter[status]=PAID"),
        "OnePay: list of CREATED": onepay("invoices?filter[status]=CREATED"),
        "OnePay: payments, page 1": onepay("payments"),
        "OnePay: payments approved": onepay("payments?filter[status]=approved"),
        "OnePay: create": lambda s: s.call("POST", "/v1/invoices", _request()),
        "OnePay: change (PUT)": _change,
        "Treli: list, page 1": treli(f"invoices?limit={PAGE}"),
        "Treli: list, page 1,000 by cursor": lambda s: s.call(
            "GET", f"/treli/v1/invoices?limit={PAGE}&start_after={s.cursor}", basic=True
        ),
        "Treli: list of voided": treli(f"invoices?limit={PAGE}&status=voided"),
        "Treli: list of paid": treli(f"invoices?limit={PAGE}&status=paid"),
        "The payer's page": lambda s: s.call("GET", f"/payment/{some(s)[1]}"),
    }


def _change(side: Side) -> Any:
    body = json.loads(_request()) | {"amount": random.randrange(10_000, 90_000)}
    return side.call("PUT", f"/v1/invoices/{random.choice(side.open_ids)[0]}", body)


def _measure(sides: list[Side], options: Options, progress: Progress) -> None:
    operations = _operations()
    turns = TURNS_WARMUP + options.scaled(TURNS_EACH)
    task = progress.add_task("Requests", total=turns)
    for side in sides:
        side.connection.close()
    for number in range(turns):
        for name, act in operations.items():
            for side in filling.in_turns(sides, number):
                began_s = time.perf_counter()
                act(side)
                if number >= TURNS_WARMUP:
                    side.measured.setdefault(name, []).append((time.perf_counter() - began_s) * 1000)
        progress.advance(task)
    asyncio.run(_measure_claims(sides, turns))


async def _measure_claims(sides: list[Side], turns: int) -> None:
    """Claims that find work and leave it as it was, one transaction each, rolled back."""
    async with contextlib.AsyncExitStack() as kept:
        databases: list[tuple[Side, Database, Any]] = []
        for side in sides:
            database = await Database.connect(side.url, connections_max=2)
            kept.push_async_callback(database.close)
            async with database.connection() as connection:
                await _make_due(connection, side)
            databases.append((side, database, make_core(database, stages.SECRET)))
        for number in range(turns):
            for side, database, core in filling.in_turns(databases, number):
                for name, claim in _claims(core):
                    async with database.connection() as connection:
                        transaction = connection.transaction()
                        await transaction.start()
                        began_s = time.perf_counter()
                        taken = await claim(connection)
                        spent_ms = (time.perf_counter() - began_s) * 1000
                        await transaction.rollback()
                    if not taken:
                        raise BenchError(f"{name} found nothing, of {side.size:,}")
                    if number >= TURNS_WARMUP:
                        side.measured.setdefault(name, []).append(spent_ms)


async def _make_due(connection: Any, side: Side) -> None:
    """As many due rows on each side: what was created and changed just now is told, and a few others are due, too."""
    for table, column in (("collection", "expires_at"), ("attempt", "ask_at")):
        await connection.execute(
            f"UPDATE {table} SET {column} = now() - interval '1 min', due_at = now() - interval '1 min' WHERE id IN "
            f"(SELECT id FROM {table} WHERE account_id = $1 ORDER BY id DESC LIMIT 100)",
            side.account_id,
        )
    await connection.execute("ANALYZE collection, attempt, delivery")


def _claims(core: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    now = core.clock.now()
    for table in ("collection", "attempt"):

        async def claim(connection: Any, table: str = table) -> Any:
            return await due.claim(connection, table, real_now=now, limit=50)

        yield f"Claim of 50 {table}s", claim

    async def claim_deliveries(connection: Any) -> Any:
        taken, _ = await deliveries.claim(connection, real_now=now, rooms={}, others_max=50, limit=50, vault=core.vault)
        return taken

    yield "Claim of 50 deliveries", claim_deliveries


async def _check(side: Side) -> None:
    """The doctor finds nothing that the benchmark did not do itself: rows that it made due."""
    if side.size > EXAMINED_MAX:
        return
    database = await Database.connect(side.url, connections_max=2)
    try:
        found = [f"{check.name}: {f}" async for check, fs in examine(database) if check.name != "due-work" for f in fs]
    finally:
        await database.close()
    if found:
        raise BenchError(f"the doctor found {len(found)} faults among {side.size:,}, the first is {found[0]}")


def _rows(sides: list[Side]) -> list[dict[str, Any]]:
    """Medians by size, and the largest size's share of the smallest's: also of each turn's own two times."""
    rows: list[dict[str, Any]] = []
    for name, small in sides[0].measured.items():
        large = sides[-1].measured[name]
        rows.append(
            {
                "operation": name,
                "ms": [statistics.median(s.measured[name]) for s in sides],
                "ratio": statistics.median(large) / statistics.median(small),
                "paired": statistics.median(b / a for a, b in zip(small, large, strict=True)),
                "noise": statistics.median(small[::2]) / statistics.median(small[1::2]),
            }
        )
    return rows


def _show(rows: list[dict[str, Any]], sides: list[Side], machine: dict[str, Any], options: Options) -> None:
    table = Table(title=f"One account with {' and '.join(f'{s.size:,}' for s in sides)} invoices", title_justify="left")
    table.add_column("operation", no_wrap=True)
    for name in ("ratio", "by turns", "noise", *(f"ms, {s.size:,}" for s in sides)):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        mark = " *" if min(row["ratio"], row["paired"]) > AIM else ""
        figures = (f"{row[name]:.2f}" for name in ("ratio", "paired", "noise"))
        table.add_row(row["operation"] + mark, *figures, *(f"{ms:.2f}" for ms in row["ms"]))
    console = Console(width=None if sys.stdout.isatty() else report.TABLE_WIDTH, highlight=False)
    console.print(table)
    console.print(
        f"Medians of {options.scaled(TURNS_EACH)} turns. The ratio is the largest account's time over the smallest's; "
        f"by turns: the median of each turn's own ratio; noise: the smallest with itself. * is above {AIM}."
    )
    console.print(report.machine_line(machine))
