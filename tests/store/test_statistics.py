"""What PostgreSQL knows of tables that a load has just filled."""

from recaudo.store import statistics
from recaudo.usecases.importing import Opened, Pace, open_many
from tests.databases import bill, core_on, new_account, own_database

ROWS = 600


async def test_tables_that_were_filled_are_looked_at_once_and_not_again(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        account = await new_account(core)
        commands = [bill(unique_origin=True, origin_id=f"F-{n}", reference=f"C-{n}") for n in range(ROWS)]
        async with core.database.connection() as connection:
            outcomes = await open_many(core, connection, account, commands)
            assert all(isinstance(outcome, Opened) for outcome in outcomes)
            assert await statistics.refresh(connection, ROWS) is True
            assert await statistics.refresh(connection, ROWS) is False
            # Every row that a collection belongs to is found by its key, not by reading the account.
            plan = await connection.fetch(
                "EXPLAIN SELECT 1 FROM ONLY invoice WHERE account_id = $1 AND id = $2 FOR KEY SHARE",
                account.id,
                account.id,
            )
            assert "invoice_pkey" in "".join(row[0] for row in plan)
            # The other columns are left to autovacuum, for which every row is still one that it did not look at.
            await connection.execute("SELECT pg_stat_force_next_flush()")
            columns = await connection.fetch("SELECT attname FROM pg_stats WHERE tablename = 'invoice'")
            assert "metadata" not in {row[0] for row in columns} > {"account_id", "id", "origin_id"}
            waiting = await connection.fetchval(
                "SELECT n_mod_since_analyze FROM pg_stat_user_tables WHERE relname = 'invoice'"
            )
            assert waiting >= ROWS


async def test_a_load_has_them_looked_at_after_its_first_batch_and_then_less_often(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        account, pace = await new_account(core), Pace(core)
        known: list[float] = []
        for start in (0, 10, 20):
            commands = [
                bill(unique_origin=True, origin_id=f"F-{n}", reference=f"C-{n}") for n in range(start, start + 10)
            ]
            async with core.database.connection() as connection:
                await open_many(core, connection, account, commands)
            await pace.after(10)
            async with core.database.connection() as connection:
                known.append(await connection.fetchval("SELECT reltuples FROM pg_class WHERE relname = 'invoice'"))
        assert known == [10, 10, 10]
