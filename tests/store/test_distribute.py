"""Spreading over machines: what the catalog must look like for it, and the statements that a coordinator would get.

There is no Citus here. A stand-in with Citus's names records the calls; whether Citus takes them is not shown.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from recaudo.store.distribute import COPIED, SPREAD, STAYING, NoCitusError, distribute
from tests.commands import environment, recaudo
from tests.databases import own_database, plain
from tests.store.test_one_door import modules, texts

# What Citus has of these names, as far as we use it. An extension cannot be made by hand; its row in the catalog can.
STAND_IN = """
    CREATE TABLE pg_catalog_calls (call text);
    CREATE SCHEMA citus;
    ALTER TABLE pg_catalog_calls SET SCHEMA citus;
    CREATE TABLE citus.pg_dist_partition (logicalrelid regclass PRIMARY KEY, partmethod char, repmodel char);
    CREATE FUNCTION citus.create_reference_table(t regclass) RETURNS void LANGUAGE sql AS $$
        INSERT INTO citus.pg_catalog_calls VALUES ('reference ' || t);
        DELETE FROM citus.pg_dist_partition WHERE logicalrelid = t;
        INSERT INTO citus.pg_dist_partition VALUES (t, 'n', 't') $$;
    CREATE FUNCTION citus.create_distributed_table(t regclass, by text, colocate_with text DEFAULT 'default')
    RETURNS void LANGUAGE sql AS $$
        INSERT INTO citus.pg_catalog_calls VALUES ('distributed ' || t || ' by ' || by || ' with ' || colocate_with);
        INSERT INTO citus.pg_dist_partition VALUES (t, 'h', 'c') $$;
    ALTER DATABASE {name} SET search_path = public, citus;
    INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    SELECT 4242, 'citus', 10, 'citus'::regnamespace, false, '13.2'
"""


@pytest.fixture
async def url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url) as made:
        yield made


async def stand_in(url: str) -> None:
    async with plain(url) as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(STAND_IN.format(name=name))


async def calls(url: str) -> list[str]:
    async with plain(url) as connection:
        return [r["call"] for r in await connection.fetch("SELECT call FROM citus.pg_catalog_calls")]


@pytest.fixture
async def catalog(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with plain(database_url) as connection:
        yield connection


async def test_the_plan_names_every_table_exactly_once(catalog: asyncpg.Connection) -> None:
    found = await catalog.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    assert sorted(r["relname"] for r in found) == sorted((*COPIED, *SPREAD, *STAYING))


async def test_every_unique_constraint_of_a_spread_table_contains_the_account(catalog: asyncpg.Connection) -> None:
    found = await catalog.fetch(
        """
        SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table,
            ARRAY(SELECT a.attname::text FROM pg_attribute a
                  WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)) AS columns
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
        WHERE i.indisunique
        """
    )
    spread = [r for r in found if r["table"] in SPREAD]
    assert {r["table"] for r in spread} == set(SPREAD), "each has a primary key"
    assert [r["name"] for r in spread if "account_id" not in r["columns"]] == []


async def test_every_foreign_key_of_a_spread_table_pairs_the_account_and_leads_to_one_before_it(
    catalog: asyncpg.Connection,
) -> None:
    found = await catalog.fetch(
        """
        SELECT k.conname AS name, k.conrelid::regclass::text AS table, k.confrelid::regclass::text AS target,
            EXISTS (
                SELECT 1 FROM unnest(k.conkey, k.confkey) u (own, theirs)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own AND a.attname = 'account_id'
                JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.theirs AND b.attname = 'account_id'
            ) AS paired
        FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
        """
    )
    order = (*COPIED, *SPREAD)
    keys = [r for r in found if r["table"] in SPREAD]
    assert keys, "the query finds the schema's keys"
    for key in found:
        assert order.index(key["target"]) < order.index(key["table"]), key["name"]
    for key in keys:
        assert key["paired"] or key["target"] in COPIED, f"{key['name']} leads to another machine"


async def test_a_database_without_citus_is_refused_with_what_to_do(url: str, tmp_path: Path) -> None:
    result = await recaudo("migrate", "--distribute", environment=environment(tmp_path, url))
    assert result.status == 1
    assert "has no Citus extension" in result.err
    assert "CREATE EXTENSION citus" in result.err


async def test_the_coordinator_is_told_of_every_table_once_however_often_it_is_run(url: str, tmp_path: Path) -> None:
    await stand_in(url)
    told: list[str] = []
    assert await distribute(url, progress=told.append) == [*COPIED, *SPREAD]
    assert len(told) == len(COPIED) + len(SPREAD)
    expected = [f"reference {name}" for name in COPIED]
    expected += [f"distributed {SPREAD[0]} by account_id with default"]
    expected += [f"distributed {name} by account_id with {SPREAD[0]}" for name in SPREAD[1:]]
    assert await calls(url) == expected
    result = await recaudo("migrate", "--distribute", environment=environment(tmp_path, url))
    assert result.status == 0, result.err
    assert "already" in result.err + result.out
    assert await calls(url) == expected


async def test_a_distribution_that_was_interrupted_goes_on(url: str) -> None:
    await stand_in(url)
    async with plain(url) as connection:
        await connection.execute("SELECT create_reference_table('merchant')")
        await connection.execute("SELECT create_distributed_table('invoice', 'account_id')")
        # As Citus notes a plain table with a foreign key to a copied one.
        await connection.execute("INSERT INTO citus.pg_dist_partition VALUES ('account', 'n', 's')")
    left = await distribute(url)
    assert left == [name for name in (*COPIED, *SPREAD) if name not in {"merchant", "invoice"}]


async def test_tables_of_others_are_not_touched_and_stop_it(url: str) -> None:
    await stand_in(url)
    async with plain(url) as connection:
        await connection.execute("CREATE TABLE somebody_elses (id int)")
    with pytest.raises(NoCitusError, match="somebody_elses"):
        await distribute(url)
    assert await calls(url) == []


# --- The statements of the store ---

# Who asks across accounts, by a part of the statement, and why it may. The doctor is the operator's view.
ACROSS = {
    "WHERE due_at <= $1 AND (leased_until": "the claim of due work serves all accounts",
    "SELECT min(due_at) FROM": "the age of the oldest due work of all accounts",
    "SELECT x.account_id, x.id, x.held_until": "the claim of deliveries serves all accounts",
    "SELECT account_id FROM collection WHERE id = $1": "a payer's link names a collection and no account",
    "SELECT content FROM document WHERE token = $1": "a payer's link names a document's token and no account",
    "SELECT * FROM gateway WHERE notice_digest = $1": "a notice's address names a gateway and no account",
    "SELECT * FROM gateway ORDER BY created_at DESC": "whether secrets can be opened, once, at the start",
    "SELECT * FROM endpoint WHERE deleted_at IS NULL ORDER BY": "whether secrets can be opened, once, at the start",
    "(SELECT max(position) FROM event)": "where the feed goes on after a move to another server, once, at the start",
    "SELECT account_id, scope, key FROM idempotency WHERE created_at": "old answers of all accounts",
    "SELECT account_id FROM tally GROUP BY account_id": "which accounts are worth folding",
}
READS = re.compile(r"\b(?:FROM|JOIN|(?<!DO )UPDATE)\s+(?:" + "|".join(SPREAD) + r")\b")
WITHIN = re.compile(r"account_id\s*=|\(account_id|=\s*\w+\.account_id")


def test_every_statement_on_a_spread_table_stays_within_an_account_but_for_the_named_ones() -> None:
    # Rows that are inserted bring their account along.
    found = [
        (name, " ".join(text.split()))
        for name, module in modules()
        for text in texts(module)
        if name.startswith("store/") and name != "store/doctor.py" and READS.search(text)
    ]
    assert len(found) > 60, "the scan finds the store's statements"
    across = [(name, text) for name, text in found if not WITHIN.search(text)]
    strangers = [(name, text) for name, text in across if not any(part in text for part in ACROSS)]
    assert strangers == []
