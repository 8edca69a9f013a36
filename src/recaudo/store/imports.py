"""Files of invoices that wait to be loaded: their bytes, how far each is, and the rows that were refused."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from recaudo.store.database import Connection
from recaudo.store.due import Claimed

# What one row of bytes holds; only the last may be shorter.
CHUNK_BYTES = 1024 * 1024


class ImportJob(msgspec.Struct, frozen=True, kw_only=True):
    """A file and how far it is. `at_offset` and `at_line` are where the next row begins."""

    account_id: UUID
    id: UUID
    state: str
    options: Mapping[str, Any]
    dry_run: bool
    bytes: int = 0
    titles: Sequence[str] | None = None
    traits: Mapping[str, str] = {}
    ignored: Sequence[str] = ()
    at_offset: int = 0
    at_line: int = 0
    read: int = 0
    created: int = 0
    already_there: int = 0
    refused: int = 0
    problem: str | None = None
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.finished_at is not None


class Refusal(msgspec.Struct, frozen=True):
    """A row that was refused, as its file's kind keeps it."""

    line: int
    kept: Mapping[str, Any]


_COLUMNS = ", ".join(ImportJob.__struct_fields__)


async def insert_import(connection: Connection, it: ImportJob, *, unfinished_max: int, due_at: datetime) -> bool:
    """Note a file that begins to arrive; False when the account has too many that are not over."""
    # Two that arrive together are counted one after the other.
    await connection.execute("SELECT 1 FROM account WHERE id = $1 FOR UPDATE", it.account_id)
    count = await connection.fetchval(
        "SELECT count(*) FROM import_job WHERE account_id = $1 AND finished_at IS NULL", it.account_id
    )
    if count >= unfinished_max:
        return False
    await connection.execute(
        """
        INSERT INTO import_job (account_id, id, state, options, dry_run, created_at, due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        it.account_id,
        it.id,
        it.state,
        it.options,
        it.dry_run,
        it.created_at,
        due_at,
    )
    return True


async def insert_chunk(
    connection: Connection, it: ImportJob, ordinal: int, content: bytes, *, due_at: datetime
) -> bool:
    """Keep a piece; False when the file was given up meanwhile."""
    kept: int | None = await connection.fetchval(
        """
        WITH job AS (
            UPDATE import_job SET due_at = $5
            WHERE account_id = $1 AND id = $2 AND state = 'receiving'
            RETURNING account_id, id
        )
        INSERT INTO import_chunk (account_id, import_id, ordinal, content)
        SELECT account_id, id, $3, $4 FROM job
        RETURNING 1
        """,
        it.account_id,
        it.id,
        ordinal,
        content,
        due_at,
    )
    return kept is not None


async def queue_import(connection: Connection, it: ImportJob, *, size: int, real_now: datetime) -> bool:
    """All of it is here: the worker may begin. False when it was given up meanwhile."""
    queued: int | None = await connection.fetchval(
        """
        UPDATE import_job SET state = 'queued', bytes = $3, due_at = $4
        WHERE account_id = $1 AND id = $2 AND state = 'receiving'
        RETURNING 1
        """,
        it.account_id,
        it.id,
        size,
        real_now,
    )
    return queued is not None


async def find_import(connection: Connection, account_id: UUID, import_id: UUID) -> ImportJob | None:
    """How far a file is."""
    record = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM import_job WHERE account_id = $1 AND id = $2",  # noqa: S608 - our own names
        account_id,
        import_id,
    )
    return None if record is None else ImportJob(**dict(record))


async def find_chunk(connection: Connection, account_id: UUID, import_id: UUID, ordinal: int) -> bytes:
    """A piece of the file; empty behind its end."""
    content: bytes | None = await connection.fetchval(
        "SELECT content FROM import_chunk WHERE account_id = $1 AND import_id = $2 AND ordinal = $3",
        account_id,
        import_id,
        ordinal,
    )
    return content or b""


async def list_refusals(
    connection: Connection, account_id: UUID, import_id: UUID, *, after: int, limit: int
) -> list[Refusal]:
    """The next refused rows in the order of the file."""
    records = await connection.fetch(
        """
        SELECT line, kept FROM import_refusal
        WHERE account_id = $1 AND import_id = $2 AND line > $3 ORDER BY line LIMIT $4
        """,
        account_id,
        import_id,
        after,
        limit,
    )
    return [Refusal(r["line"], r["kept"]) for r in records]


async def save_progress(
    connection: Connection,
    it: ImportJob,
    refusals: Sequence[Refusal],
    claimed: Claimed,
    *,
    real_now: datetime,
    leased_until: datetime,
) -> bool:
    """Note how far a file is, in the transaction that wrote its rows. False: it is no longer this worker's.

    The caller must roll back then. The lease lasts until `leased_until` from now on.
    """
    saved: int | None = await connection.fetchval(
        """
        UPDATE import_job SET
            state = 'running', titles = $4, traits = $5, ignored = $6, at_offset = $7, at_line = $8, read = $9,
            created = $10, already_there = $11, refused = $12, due_at = $13, leased_until = $14, tries = 0,
            last_error = NULL
        WHERE account_id = $1 AND id = $2 AND leased_until = $3
        RETURNING 1
        """,
        it.account_id,
        it.id,
        claimed.leased_until,
        it.titles,
        it.traits,
        it.ignored,
        it.at_offset,
        it.at_line,
        it.read,
        it.created,
        it.already_there,
        it.refused,
        real_now,
        leased_until,
    )
    if saved is None:
        return False
    if refusals:
        await connection.execute(
            """
            INSERT INTO import_refusal (account_id, import_id, line, kept)
            SELECT $1, $2, r.line, r.kept FROM unnest($3::bigint[], $4::json[]) r (line, kept)
            """,
            it.account_id,
            it.id,
            [r.line for r in refusals],
            [r.kept for r in refusals],
        )
    return True


async def finish_import(
    connection: Connection, it: ImportJob, claimed: Claimed, *, problem: str | None, forget_at: datetime
) -> None:
    """It is over: its bytes go, its counts and refused rows stay until `forget_at` (real time)."""
    await connection.execute(
        """
        WITH ended AS (
            UPDATE import_job SET
                state = CASE WHEN $4::text IS NULL THEN 'done' ELSE 'failed' END, problem = $4, finished_at = $5,
                due_at = $6, leased_until = NULL, tries = 0, last_error = NULL
            WHERE account_id = $1 AND id = $2 AND leased_until = $3
            RETURNING account_id, id
        )
        DELETE FROM import_chunk c USING ended e WHERE c.account_id = e.account_id AND c.import_id = e.id
        """,
        it.account_id,
        it.id,
        claimed.leased_until,
        problem,
        it.finished_at,
        forget_at,
    )


async def rest_import(connection: Connection, it: ImportJob, claimed: Claimed, *, real_now: datetime) -> None:
    """Let others have a turn: whoever claims it next goes on."""
    await connection.execute(
        """
        UPDATE import_job SET due_at = $4, leased_until = NULL
        WHERE account_id = $1 AND id = $2 AND leased_until = $3
        """,
        it.account_id,
        it.id,
        claimed.leased_until,
        real_now,
    )


async def delete_import(connection: Connection, account_id: UUID, import_id: UUID) -> None:
    """Forget a file, its bytes and its refused rows. Its invoices stay."""
    await connection.execute("DELETE FROM import_job WHERE account_id = $1 AND id = $2", account_id, import_id)
