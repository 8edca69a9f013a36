"""What PostgreSQL knows of how full the tables are, for loads that fill them faster than it notices.

Plans that were made for empty tables are kept by a connection, those of foreign keys among them; with thousands of rows
they read a whole account for each row. Autovacuum looks once a minute, and a load of a minute is over by then.
"""

from recaudo.store.database import Connection

_FILLED = ("invoice", "customer", "collection", "transfer", "event", "delivery", "idempotency", "tally")


async def refresh(connection: Connection, written: int) -> bool:
    """Look at the tables anew if they were not half as full when PostgreSQL last looked; says whether it did.

    `written` is how many invoices the caller knows to be there. It takes some tenths of a second, and locks no reader
    or writer out; it must not run within a transaction that goes on.
    """
    known: float = await connection.fetchval("SELECT reltuples FROM pg_class WHERE oid = 'invoice'::regclass")
    if known >= written / 2:
        return False
    await connection.execute(f"ANALYZE {', '.join(_FILLED)}")
    return True
