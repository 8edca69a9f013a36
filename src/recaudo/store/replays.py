"""Events to be told again: a page of them at a time, so that millions are no trouble."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from recaudo.domain.delivering import Endpoint
from recaudo.store.database import Connection

# Events that one page looks at.
PAGE_EVENTS_MAX = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are told again: by id, or by what they are and when they happened (on the account's clock)."""

    account_id: UUID
    id: UUID
    event_ids: Sequence[UUID] | None
    types: Sequence[str] | None
    since: datetime | None
    until: datetime | None
    endpoint_id: UUID | None  # None: every endpoint that listens to them
    only_failed: bool  # only where the newest telling was given up
    state: str = "running"
    after: UUID | None = None
    queued: int = 0
    created_at: datetime
    finished_at: datetime | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An invented event to try an endpoint with. `type` and `body` are in the endpoint's dialect."""

    delivery_id: UUID
    event_id: UUID
    type: str
    body: bytes
    at: datetime


_FIELDS = ", ".join(Replay.__struct_fields__)


async def insert_replay(connection: Connection, it: Replay, real_now: datetime) -> None:
    """Write a replay; the worker goes through it."""
    values = msgspec.structs.astuple(it)
    places = ", ".join(f"${i}" for i in range(1, len(values) + 1))
    await connection.execute(
        f"INSERT INTO replay ({_FIELDS}, due_at) VALUES ({places}, ${len(values) + 1})",  # noqa: S608 - our own names
        *values,
        real_now,
    )


async def find_replay(connection: Connection, account_id: UUID, replay_id: UUID) -> Replay | None:
    """How far a replay is."""
    record = await connection.fetchrow(
        f"SELECT {_FIELDS} FROM replay WHERE account_id = $1 AND id = $2",  # noqa: S608
        account_id,
        replay_id,
    )
    return None if record is None else Replay(**dict(record))


async def replay_page(connection: Connection, it: Replay, *, first_id: UUID, now: datetime, real_now: datetime) -> bool:
    """Queue the next page of a replay and note how far it is, in one statement; says whether it is done.

    The new deliveries' ids begin like `first_id`. A page that another worker queued meanwhile is not queued again.
    """
    done: bool | None = await connection.fetchval(
        """
        WITH page AS (
            SELECT account_id, id, subject_id, version, ordinal, type, at FROM event
            WHERE account_id = $1 AND ($3::uuid IS NULL OR id > $3)
              AND ($4::uuid[] IS NULL OR id = ANY ($4)) AND ($5::uuid IS NULL OR id >= $5)
              AND ($6::uuid IS NULL OR id < $6)
            ORDER BY id LIMIT $7
        ),
        chosen AS (
            SELECT e.*, p.id AS endpoint_id
            FROM page e JOIN endpoint p ON p.account_id = e.account_id AND e.type = ANY (p.tells)
            WHERE p.deleted_at IS NULL AND ($8::uuid IS NULL OR p.id = $8)
              AND ($9::text[] IS NULL OR e.type = ANY ($9))
              AND (NOT $10::boolean OR 'failed' = (
                SELECT d.state FROM delivery d
                WHERE d.account_id = e.account_id AND d.event_id = e.id AND d.endpoint_id = p.id
                ORDER BY d.id DESC LIMIT 1))
        ),
        moved AS (
            UPDATE replay SET
                after = coalesce((SELECT id FROM page ORDER BY id DESC LIMIT 1), after),
                state = CASE WHEN (SELECT count(*) FROM page) < $7 THEN 'done' ELSE 'running' END,
                due_at = CASE WHEN (SELECT count(*) FROM page) < $7 THEN NULL ELSE $11::timestamptz END,
                finished_at = CASE WHEN (SELECT count(*) FROM page) < $7 THEN $12::timestamptz END,
                leased_until = NULL, tries = 0, last_error = NULL,
                queued = queued + (SELECT count(*) FROM chosen)
            WHERE account_id = $1 AND id = $2 AND after IS NOT DISTINCT FROM $3 AND state = 'running'
            RETURNING state
        ),
        queued AS (
            INSERT INTO delivery
                (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, created_at, due_at)
            SELECT c.account_id, (substr($13::uuid::text, 1, 18) || substr(gen_random_uuid()::text, 19))::uuid,
                   c.endpoint_id, c.id, c.subject_id, c.version, c.ordinal, c.type, $12, $11
            FROM chosen c WHERE EXISTS (SELECT 1 FROM moved)
        )
        SELECT state = 'done' FROM moved
        """,
        it.account_id,
        it.id,
        it.after,
        None if it.event_ids is None else list(it.event_ids),
        None if it.since is None else lowest_id(it.since),
        None if it.until is None else lowest_id(it.until),
        PAGE_EVENTS_MAX,
        it.endpoint_id,
        None if it.types is None else list(it.types),
        it.only_failed,
        real_now,
        now,
        first_id,
    )
    return done is None or done


def lowest_id(at: datetime) -> UUID:
    """What every id made at this instant or later is above or at: ids begin with the milliseconds."""
    return UUID(int=((at - _EPOCH) // timedelta(milliseconds=1)) << 80)


async def insert_sample(connection: Connection, endpoint: Endpoint, sample: Sample, real_now: datetime) -> None:
    """Queue an invented event for one endpoint. It is about nothing, so it holds nothing back, and no feed tells it."""
    await connection.execute(
        """
        WITH kept AS (
            INSERT INTO event_body (account_id, event_id, dialect, type, body) VALUES ($1, $4, $5, $6, $7)
        )
        INSERT INTO delivery
            (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, created_at, due_at)
        VALUES ($1, $2, $3, $4, $4, 1, 0, $6, $8, $9)
        """,
        endpoint.account_id,
        sample.delivery_id,
        endpoint.id,
        sample.event_id,
        endpoint.dialect,
        sample.type,
        sample.body,
        sample.at,
        real_now,
    )
