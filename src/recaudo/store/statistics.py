"""What PostgreSQL knows of how full the tables are, for loads that fill them faster than it notices.

Plans that were made for empty tables are kept by a connection, those of foreign keys among them; with thousands of rows
they read a whole account for each row. Autovacuum looks once a minute, and a load of a minute is over by then.
"""

from recaudo.store.database import Connection

_FILLED = ("invoice", "customer", "collection", "transfer", "event", "delivery", "idempotency", "tally")
# PostgreSQL samples three hundred rows for each: a tenth of its default, and of the time.
_TARGET = 10


async def refresh(connection: Connection, written: int) -> bool:
    """Look at the tables anew if they were not half as full when PostgreSQL last looked; says whether it did.

    `written` is how many invoices the caller knows to be there. It takes some hundredths of a second, and locks no
    reader or writer out; it must not run within a transaction that goes on. It looks at few rows, and only at what they
    are found by: that is enough for the plans of a load, and autovacuum still knows that it has the rest to do.
    """
    known: float = await connection.fetchval("SELECT reltuples FROM pg_class WHERE oid = 'invoice'::regclass")
    if known >= written / 2:
        return False
    tables = await connection.fetch(_INDEXED, _FILLED)
    async with connection.transaction():
        await connection.execute(f"SET LOCAL default_statistics_target = {_TARGET}")
        await connection.execute(f"ANALYZE {', '.join(table['indexed'] for table in tables)}")
    return True


_INDEXED = """
    SELECT format('%I (%s)', c.relname, string_agg(DISTINCT quote_ident(a.attname), ', ')) AS indexed
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
    WHERE c.oid = ANY ($1::text[]::regclass[])
    GROUP BY c.relname
    ORDER BY c.relname
"""
