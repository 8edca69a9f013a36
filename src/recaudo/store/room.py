"""Whether the database has room to write: where it has none, reading goes on as before and tells nothing."""

from recaudo.store.database import Database

# About a megabyte: some pages of tables, each of which grows by less.
_ROWS = 70_000


async def check_room(database: Database) -> None:
    """Have the database write a temporary file, which it deletes at once. Raises DiskFullError or DatabaseAwayError.

    It touches no table and leaves nothing in the write-ahead log: there, a disk without room would end the server.
    """
    async with database.transaction() as connection:
        # What does not fit into this memory is written to the disk.
        await connection.execute("SET LOCAL work_mem = '64kB'")
        await connection.fetchval("SELECT count(*) FROM generate_series(1, $1::int)", _ROWS)
