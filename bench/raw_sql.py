"""The yardstick: one SQL statement that writes the very rows that one create request writes.

It is made from what a real request left behind: the published request is sent to a real server on an empty database,
and whatever rows appear become one INSERT each in one statement, as a program without Recaudo would write them. So
the yardstick follows the schema by itself. What differs from invoice to invoice is drawn anew each time; the rest
keeps the values that were found. Long values are sent with each execution, as a program would send them; short ones,
such as 'COP', are part of the prepared statement, which favours the raw SQL a little.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

from bench import published
from bench.options import BenchError
from bench.pgbench import Script
from bench.stage import Account, Stage, query

LITERAL_CHARS_MAX = 20
# These have rows before the first invoice.
STANDING_TABLES = {"alembic_version", "merchant", "account", "api_key", "feed"}
ONCE_KEY = "01234567-89ab-4cde-8f01-23456789abcd"


@dataclass(frozen=True)
class Cell:
    """One value of one row, as text; `type` is the column's."""

    column: str
    type: str
    value: str | None


Rows = dict[str, list[list[Cell]]]
"""By table."""

_DRAWN = {
    "provider_id": published.PROVIDER_IDS,
    "phone": published.PHONES,
    "reference": published.REFERENCES,
}
# The server makes a customer's id from the reference; any function of it will do.
_IDS = (
    "SELECT uuidv7() AS invoice_id, uuidv7() AS collection_id, gen_random_uuid() AS once_key, "
    "md5(:reference::text)::uuid AS customer_id"
)


def make_script(stage: Stage) -> Script:
    """Send one request to a server on an empty database and turn the rows it leaves into a script."""
    drawn = {name: low for name, (low, _) in _DRAWN.items()}
    with stage.database() as url:
        with stage.server(url, workers=1, log_level="warning") as server:
            answer = _post(server.port, stage.account, published.body(**drawn))
        rows = _rows(url)
    customers = [cell.value for row in rows["customer"] for cell in row if cell.column == "id"]
    known = {
        ONCE_KEY: "ids.once_key",
        answer["id"]: "ids.invoice_id",
        answer["payment_id"]: "ids.collection_id",
        str(drawn["provider_id"]): ":provider_id::text",
        f"+{drawn['phone']}": "'+' || :phone::text",
        str(drawn["reference"]): ":reference::text",
        **{str(found): "ids.customer_id" for found in customers},
    }
    return _script(rows, known)


def _post(port: int, account: Account, body: str) -> dict[str, Any]:
    headers = {
        "Authorization": f"Bearer {account.key}",
        "Content-Type": "application/json",
        "x-idempotency": ONCE_KEY,
    }
    request = Request(f"http://127.0.0.1:{port}/v1/invoices", data=body.encode(), headers=headers)
    with urlopen(request, timeout=30) as response:
        if response.status != 201:
            raise BenchError(f"the published request was answered with {response.status}")
        return json.load(response)


def _rows(url: str) -> Rows:
    """Every row of every table that was empty before."""
    tables = [name for (name,) in query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    found = {table: _rows_of(url, table) for table in sorted(set(tables) - STANDING_TABLES)}
    return {table: rows for table, rows in found.items() if rows}


def _rows_of(url: str, table: str) -> list[list[Cell]]:
    columns = query(
        url,
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table,
    )
    # Our bytes are UTF-8, and PostgreSQL takes such text for bytes: half as long as hexadecimal digits.
    texts = [f"convert_from({name}, 'UTF8')" if type_ == "bytea" else f"{name}::text" for name, type_ in columns]
    records = query(url, f"SELECT {', '.join(texts)} FROM {table}")
    return [
        [Cell(name, type_, value) for (name, type_), value in zip(columns, record, strict=True)] for record in records
    ]


def _script(rows: Rows, known: dict[str, str]) -> Script:
    """One statement that inserts rows like these under new ids."""
    variables: dict[str, str] = {}
    # The server's own statement ends with the events too. Foreign keys are checked when all is written.
    tables = sorted(rows, key=lambda table: (table == "event", table))
    *others, last = [_insert(table, rows[table], known, variables) for table in tables]
    draws = [f"\\set {name} random({low}, {high})\n" for name, (low, high) in _DRAWN.items()]
    steps = [f"w{number} AS ({insert})" for number, insert in enumerate(others)]
    statement = ",\n".join([f"WITH ids AS MATERIALIZED ({_IDS})", *steps]) + f"\n{last};\n"
    return Script(text="".join(draws) + statement, variables=variables)


def _insert(table: str, rows: list[list[Cell]], known: dict[str, str], variables: dict[str, str]) -> str:
    columns = ", ".join(cell.column for cell in rows[0])
    selects = ["SELECT " + ", ".join(_expression(cell, known, variables) for cell in row) + " FROM ids" for row in rows]
    # Most references were seen before.
    conflict = " ON CONFLICT (account_id, id) DO NOTHING" if table == "customer" else ""
    return f"INSERT INTO {table} ({columns}) {' UNION ALL '.join(selects)}{conflict}"


def _expression(cell: Cell, known: dict[str, str], variables: dict[str, str]) -> str:
    """SQL for a value like the one that was found."""
    value = cell.value
    if value is None:
        return f"NULL::{cell.type}"
    if value in known:
        return f"({known[value]})::{cell.type}"
    if cell.type == "uuid":
        return "uuidv7()" if cell.column == "id" else f"'{UUID(value)}'::uuid"
    if cell.type == "timestamp with time zone":
        return "now()"
    if cell.column == "position":
        return "pg_current_xact_id()::text::bigint"
    return _constant(cell.type, value, variables)


def _constant(type_: str, value: str, variables: dict[str, str]) -> str:
    # pgbench takes a colon inside quotes for the start of a variable's name.
    if len(value) <= LITERAL_CHARS_MAX and ":" not in value:
        quoted = value.replace("'", "''")
        return f"'{quoted}'::{type_}"
    name = f"v{len(variables)}"
    variables[name] = value.replace("\\", "\\\\") if type_ == "bytea" else value
    return f":{name}::{type_}"
