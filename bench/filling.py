"""A million invoices in a minute or two: rows that the product wrote, copied by SQL under new ids.

A few invoices are created, paid and withdrawn through the product. Every row that they left is then copied as often as
is asked for: ids, and what must be unique beside them, are made from the copy's number, so that rows still belong
together and the doctor finds nothing. Documents inside rows that nothing measured here reads (snapshots, bodies, kept
answers) are left out: they would only fill the disk.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

# The tables of an invoice, and the column that says whose a row is.
TABLES = {
    "invoice": "id",
    "collection": "invoice_id",
    "attempt": "invoice_id",
    "receipt": "invoice_id",
    "transfer": "invoice_id",
    "event": "subject_id",
    "delivery": "subject_id",
}
# Text that must differ from row to row.
UNIQUE = {
    ("invoice", "origin_id"),
    ("attempt", "reference"),
    ("attempt", "once_key"),
    ("receipt", "number"),
    ("receipt", "gateway_tx_id"),
}
# An account has a customer for every so many invoices.
INVOICES_EACH = 10
_REFERENCE = f"('R' || copy.n / {INVOICES_EACH})"
_CUSTOMER = f"md5({_REFERENCE})::uuid"
# Each template has every n-th copy; milliseconds lie between two copies, and the newest ones are an hour old.
_AGE_MS = 3_600_000


@dataclass(frozen=True)
class Template:
    """An invoice to copy, and the share of all copies, in percent."""

    invoice_id: UUID
    percent: int


async def fill(connection: Any, account_id: UUID, templates: Sequence[Template], count: int) -> None:
    """Copy templates until the account has so many more invoices."""
    assert sum(t.percent for t in templates) == 100, "percent"
    first, newest_ms = 0, int(time.time() * 1000) - _AGE_MS
    await connection.execute("SET session_replication_role = replica")  # foreign keys hold by construction
    for template in templates:
        chosen = f"copy.n % 100 BETWEEN {first} AND {first + template.percent - 1}"
        source = f"(SELECT n FROM generate_series(0, {count - 1}) n) copy"
        for statement in await _copies(connection, account_id, template.invoice_id, count, newest_ms):
            await connection.execute(f"{statement} FROM {source} WHERE {chosen}", timeout=None)
        first += template.percent
    await connection.execute("RESET session_replication_role")
    await _fill_customers(connection, account_id, count)
    await connection.execute(
        """
        INSERT INTO tally (account_id, name, count)
        SELECT t.account_id, t.name, c.count - t.sum FROM (
            SELECT account_id, name, sum(count) FROM tally WHERE account_id = $1 GROUP BY 1, 2
        ) t JOIN (
            SELECT 'invoice:' || CASE WHEN state = 'open' AND received_minor > 0 THEN 'part' ELSE state END AS name,
                count(*) FROM invoice WHERE account_id = $1 GROUP BY 1
            UNION ALL
            SELECT 'collection:' || CASE state WHEN 'void' THEN 'cancelled' ELSE state END, count(*)
                FROM collection WHERE account_id = $1 GROUP BY 1
            UNION ALL
            SELECT 'attempt:' || state, count(*) FROM attempt WHERE account_id = $1 GROUP BY 1
        ) c USING (name) WHERE c.count <> t.sum
        """,
        account_id,
        timeout=None,
    )


async def _copies(connection: Any, account_id: UUID, invoice_id: UUID, count: int, newest_ms: int) -> list[str]:
    """One INSERT ... SELECT for each row of a template."""
    found = {
        table: await connection.fetch(
            f"SELECT * FROM {table} WHERE account_id = $1 AND {of} = $2", account_id, invoice_id
        )
        for table, of in TABLES.items()
    }
    events = [r["id"] for r in found["event"]]
    found["event_body"] = await connection.fetch(
        "SELECT * FROM event_body WHERE account_id = $1 AND event_id = ANY ($2)", account_id, events
    )
    ids = list(dict.fromkeys([invoice_id, *(r["id"] for t in found.values() for r in t if "id" in r)]))
    ms = f"({newest_ms - count}::bigint + copy.n)"
    made = {
        known: f"(lpad(to_hex({ms}), 12, '0') || '7{place:03x}8000' || lpad(to_hex(copy.n), 12, '0'))::uuid"
        for place, known in enumerate(ids)
    }
    return [_copy(table, row, made) for table, rows in found.items() for row in rows]


def _copy(table: str, row: Any, made: dict[UUID, str]) -> str:
    columns = {name: _value(table, name, value, made) for name, value in row.items() if value is not None}
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"


def _value(table: str, name: str, value: Any, made: dict[UUID, str]) -> str:
    if isinstance(value, UUID):
        key = UUID(bytes=value.bytes)
        return _CUSTOMER if name == "customer_id" else made.get(key, f"'{key}'::uuid")
    if (table, name) in UNIQUE:
        return f"'{value}-' || copy.n"
    if (table, name) == ("invoice", "reference"):
        return _REFERENCE
    if name in {"snapshot", "body"}:
        return "'{}'"
    if name == "created_at":
        return "now() - interval '1 hour'"
    return _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, (bool, int)):
        return str(value).lower()
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


async def _fill_customers(connection: Any, account_id: UUID, count: int) -> None:
    one = await connection.fetchrow(
        "SELECT * FROM customer WHERE account_id = $1 AND reference IS NOT NULL LIMIT 1", account_id
    )
    columns = {name: _literal(value) for name, value in one.items() if value is not None}
    columns |= {"id": _CUSTOMER, "reference": _REFERENCE}
    source = f"(SELECT n FROM generate_series(0, {count - 1}, {INVOICES_EACH}) n) copy"
    await connection.execute(
        f"INSERT INTO customer ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {source} "
        "ON CONFLICT DO NOTHING",
        timeout=None,
    )


def in_turns(sides: Iterable[Any], number: int) -> list[Any]:
    """Whoever comes first in a round is another one each time."""
    found = list(sides)
    return found[number % len(found) :] + found[: number % len(found)]
