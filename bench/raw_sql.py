"""The yardstick: PostgreSQL alone, writing the very rows that one create request writes, driven by pgbench.

The statement is made from what a real request left behind: one published request is sent to a real server on an
empty database, and whatever rows appear become one INSERT each in one statement. So the yardstick follows the schema
by itself. What differs from invoice to invoice is drawn anew each time; everything else keeps the value that was
found, and whatever is long or holds a colon (which pgbench would read) is sent with each execution, as a program
would send it.
"""

import json
import os
import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

from bench import published
from bench.options import BenchError
from bench.stage import Account, Stage, query

# Values longer than this are sent with each execution; shorter ones are words such as 'COP', part of the statement.
LITERAL_CHARS_MAX = 20
# Rows of these are there before the first invoice.
STANDING = {"alembic_version", "merchant", "account", "api_key"}
PROCESSOR_THREADS = 2


@dataclass(frozen=True)
class Script:
    """A pgbench script and the values that it is given by name."""

    text: str
    variables: dict[str, str]


@dataclass(frozen=True)
class RawRun:
    """What pgbench counted in one run."""

    per_second: float
    latencies_us: list[int]
    cpu_s: float


@dataclass(frozen=True)
class Cell:
    """One value of one row, as text; `type` is the column's."""

    column: str
    type: str
    value: str | None


def make_script(stage: Stage) -> Script:
    """Send one request to a server on an empty database and turn the rows it leaves into a script."""
    once = "01234567-89ab-4cde-8f01-23456789abcd"
    unique = {name: low for name, (low, _) in _DRAWN.items()}
    with stage.database() as url:
        with stage.server(url, workers=1, log_level="warning") as server:
            answer = _post(server.port, stage.account, published.body(**unique), once)
        rows = _rows(url)
    known = {
        once: "ids.once",
        answer["id"]: "ids.invoice_id",
        answer["payment_id"]: "ids.collection_id",
        str(unique["provider_id"]): ":provider_id::text",
        f"+{unique['phone']}": "'+' || :phone::text",
        str(unique["reference"]): ":reference::text",
        # A customer's id follows from the reference; any function of it will do.
        **{str(cell.value): "ids.customer_id" for row in rows["customer"] for cell in row if cell.column == "id"},
    }
    return _script(rows, known)


def run(stage: Stage, url: str, script: Script, *, connections: int, seconds: float) -> RawRun:
    """Run the script on so many connections, each sending the next statement when the last one was answered."""
    with tempfile.TemporaryDirectory(prefix="recaudo-pgbench-") as folder:
        file = Path(folder, "create_invoice.sql")
        file.write_text(script.text, encoding="utf-8")
        command: list[str | Path] = [stage.bin_dir / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={file}"]
        command += [f"--client={connections}", f"--jobs={min(PROCESSOR_THREADS, connections)}"]
        command += [f"--time={max(1, round(seconds))}", "--log", f"--log-prefix={folder}/log"]
        command += [f"--define={name}={value}" for name, value in script.variables.items()]
        before_s = _children_cpu_s()
        result = subprocess.run(
            [*command, url],
            env=os.environ | {"PGOPTIONS": "-c jit=off -c timezone=UTC"},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise BenchError(f"pgbench failed: {result.stderr}")
        lines = [line for log in Path(folder).glob("log*") for line in log.read_text(encoding="ascii").splitlines()]
        return RawRun(
            per_second=_per_second(result.stdout),
            latencies_us=[int(line.split(" ", 3)[2]) for line in lines],
            cpu_s=_children_cpu_s() - before_s,
        )


_IDS = (
    "SELECT uuidv7() AS invoice_id, uuidv7() AS collection_id, "
    "gen_random_uuid() AS once, md5(:reference::text)::uuid AS customer_id"
)
_DRAWN = {
    "provider_id": published.PROVIDER_IDS,
    "phone": published.PHONES,
    "reference": published.REFERENCES,
}


def _post(port: int, account: Account, body: str, once: str) -> dict[str, Any]:
    request = Request(
        f"http://127.0.0.1:{port}/v1/invoices",
        data=body.encode(),
        headers={
            "Authorization": f"Bearer {account.key}",
            "Content-Type": "application/json",
            "x-idempotency": once,
        },
    )
    with urlopen(request, timeout=30) as response:
        if response.status != 201:
            raise BenchError(f"the published request was answered with {response.status}")
        return json.load(response)


def _rows(url: str) -> dict[str, list[list[Cell]]]:
    """Every row of every table that was empty before, with its columns in order."""
    tables = [name for (name,) in query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    found = {table: _rows_of(url, table) for table in sorted(set(tables) - STANDING)}
    return {table: rows for table, rows in found.items() if rows}


def _rows_of(url: str, table: str) -> list[list[Cell]]:
    columns = query(
        url,
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table,
    )
    # Bytes are UTF-8 here, and PostgreSQL takes such text for bytes: half as long as hexadecimal digits.
    texts = [f"convert_from({name}, 'UTF8')" if type_ == "bytea" else f"{name}::text" for name, type_ in columns]
    records = query(url, f"SELECT {', '.join(texts)} FROM {table}")
    return [
        [Cell(name, type_, value) for (name, type_), value in zip(columns, record, strict=True)] for record in records
    ]


def _script(rows: dict[str, list[list[Cell]]], known: dict[str, str]) -> Script:
    """One statement that inserts rows like these, in new ids."""
    variables: dict[str, str] = {}
    inserts: list[str] = []
    for table in _parents_first(rows):
        columns = ", ".join(cell.column for cell in rows[table][0])
        selects = [
            "SELECT " + ", ".join(_expression(cell, known, variables) for cell in row) + " FROM ids"
            for row in rows[table]
        ]
        # Most references were seen before.
        conflict = " ON CONFLICT (account_id, id) DO NOTHING" if table == "customer" else ""
        inserts.append(f"INSERT INTO {table} ({columns}) {' UNION ALL '.join(selects)}{conflict}")
    steps = [f"w{number} AS ({insert})" for number, insert in enumerate(inserts[:-1])]
    draws = [f"\\set {name} random({low}, {high})\n" for name, (low, high) in _DRAWN.items()]
    statement = ",\n".join([f"WITH ids AS MATERIALIZED ({_IDS})", *steps]) + f"\n{inserts[-1]};\n"
    return Script(text="".join(draws) + statement, variables=variables)


def _parents_first(rows: dict[str, list[list[Cell]]]) -> list[str]:
    """The order of the server's own statement: the event goes last; foreign keys are checked at its end anyhow."""
    return sorted(rows, key=lambda table: (table == "event", table))


def _expression(cell: Cell, known: dict[str, str], variables: dict[str, str]) -> str:
    """SQL for a value like the one that was found."""
    value = cell.value
    if value is None:
        return f"NULL::{cell.type}"
    if value in known:
        return f"({known[value]})::{cell.type}"
    if cell.type == "uuid" and cell.column == "id":
        return "uuidv7()"
    if cell.type == "timestamp with time zone":
        return "now()"
    if cell.type == "xid8":
        return "pg_current_xact_id()"
    if cell.type == "uuid":
        return f"'{UUID(value)}'::uuid"
    if len(value) <= LITERAL_CHARS_MAX and ":" not in value:
        return f"'{value.replace(chr(39), chr(39) * 2)}'::{cell.type}"
    name = f"v{len(variables)}"
    variables[name] = value.replace("\\", "\\\\") if cell.type == "bytea" else value
    return f":{name}::{cell.type}"


def _per_second(report: str) -> float:
    found = re.search(r"tps = ([\d.]+) \(without initial connection time\)", report)
    if found is None:
        raise BenchError(f"pgbench reported nothing: {report}")
    return float(found.group(1))


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
