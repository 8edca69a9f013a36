"""Deliveries: taking those that are due, keeping what they say, noting what came of them; and reading them.

A claim asks every endpoint for the few rows it has room for, so one that is slow or down never stands in front of the
others. A row waits while an earlier one of the same subject waits in its first hour of retries: the claim then moves
it behind that one, so it is looked at once for each of that one's tries, not at every claim.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from recaudo.domain.delivering import HOLDS_BACK_FOR, DeliveryState, Endpoint, Try
from recaudo.domain.model import Account
from recaudo.store.accounts import account_of
from recaudo.store.database import Connection
from recaudo.store.endpoints import SWEPT_FOR, endpoint_of
from recaudo.store.events import TOLD_COLUMNS, Told, told_of
from recaudo.store.rows import Record
from recaudo.store.vault import SecretLostError, Vault

LEASE = timedelta(seconds=60)
# Rows of one endpoint that one claim looks at, at most. It looks at no more than it needs to find what it may take: the
# others are later events of what is on its way.
LOOKED_AT_MAX = 20_000
# Rows that are held back and moved by one claim: of one endpoint, and in all.
HELD_EACH_MAX = 64
HELD_MAX = 512


class Room(msgspec.Struct, frozen=True):
    """How many deliveries of an endpoint this worker holds, and how many more it may take."""

    busy: int
    more: int


class ClaimedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this worker holds until its lease ends. `body` is None until it was rendered."""

    account_id: UUID
    id: UUID
    endpoint: Endpoint | None  # None: it was deleted
    secret_lost: bool  # its secrets were encrypted under another key, so nothing can be signed
    event_id: UUID
    version: int
    tries: int  # made so far
    first_tried_at: datetime | None
    leased_until: datetime
    is_test: bool
    clock_shift: timedelta
    type: str | None
    body: bytes | None
    told: Told | None  # None when the body is there


class Concluded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a try."""

    account_id: UUID
    id: UUID
    leased_until: datetime
    first_tried_at: datetime
    state: DeliveryState
    next_try_at: datetime | None
    outcome: Try


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What endpoints of a dialect are told of an event."""

    account_id: UUID
    event_id: UUID
    dialect: str
    type: str
    body: bytes


# $1 now; $2, $3 and $4 what this worker holds of which endpoints and how many more it may take; $5 how many it may take
# of the others; $6 how many are wanted. A failing endpoint gets one try at a time. Every endpoint's first row comes
# before anybody's second.
_CANDIDATES = f"""
    SELECT x.account_id, x.id, x.held_until FROM (
        SELECT d.*, p.room, count(*) FILTER (WHERE d.held_until IS NULL) OVER (
            PARTITION BY p.id ORDER BY d.due_at, d.version, d.ordinal, d.id
        ) AS rank
        FROM (
            SELECT e.account_id, e.id, CASE
                WHEN e.failing_since IS NULL THEN coalesce(held.more, $5)
                ELSE least(1 - coalesce(held.busy, 0), coalesce(held.more, $5)) END AS room
            FROM endpoint e
            LEFT JOIN unnest($2::uuid[], $3::int[], $4::int[]) held (endpoint_id, busy, more) ON held.endpoint_id = e.id
            WHERE e.deleted_at IS NULL OR e.deleted_at > $1::timestamptz - interval '{SWEPT_FOR.total_seconds():.0f} s'
        ) p
        CROSS JOIN LATERAL (
            SELECT l.* FROM (
                SELECT c.*, (
                    SELECT max(least(b.due_at, b.first_tried_at + '{HOLDS_BACK_FOR.total_seconds():.0f} s'))
                    FROM delivery b
                    WHERE b.account_id = c.account_id AND b.endpoint_id = p.id AND b.subject_id = c.subject_id
                      AND b.state = 'waiting' AND (b.version, b.ordinal, b.id) < (c.version, c.ordinal, c.id)
                      AND (b.first_tried_at IS NULL
                           OR b.first_tried_at > $1::timestamptz - interval '{HOLDS_BACK_FOR.total_seconds():.0f} s')
                ) AS held_until
                FROM (
                    SELECT w.account_id, w.id, w.subject_id, w.version, w.ordinal, w.due_at FROM delivery w
                    WHERE w.account_id = p.account_id AND w.endpoint_id = p.id
                      AND w.due_at <= $1 AND (w.leased_until IS NULL OR w.leased_until <= $1)
                    ORDER BY w.due_at, w.version, w.ordinal, w.id LIMIT {LOOKED_AT_MAX}
                ) c
            ) l
            -- Held back: not to be taken; to be moved, unless it stands behind the other one already.
            WHERE l.held_until IS NULL OR l.held_until > l.due_at
            ORDER BY l.due_at, l.version, l.ordinal, l.id
            LIMIT CASE WHEN p.room > 0 THEN p.room + {HELD_EACH_MAX} ELSE 0 END
        ) d
    ) x
    WHERE x.held_until IS NOT NULL OR x.rank <= x.room
    ORDER BY x.held_until IS NOT NULL, x.rank, x.due_at LIMIT $6 + {HELD_MAX}
"""  # noqa: S608 - our own numbers

_TAKE = f"""
    WITH taken AS (
        UPDATE delivery t SET leased_until = $4
        FROM unnest($1::uuid[], $2::uuid[]) c (account_id, id)
        WHERE t.account_id = c.account_id AND t.id = c.id
          -- Not to be looked up by the index of due rows: the primary key names the row.
          AND coalesce(t.due_at <= $3, false) AND (t.leased_until IS NULL OR t.leased_until <= $3)
        RETURNING t.account_id, t.id, t.endpoint_id, t.event_id, t.version, t.tries, t.first_tried_at, t.leased_until,
            t.due_at, t.ordinal
    )
    SELECT taken.id AS delivery_id, taken.endpoint_id, taken.event_id, taken.version AS subject_version, taken.tries,
        taken.first_tried_at, taken.leased_until, taken.account_id AS owner_id,
        a.is_test, a.clock_shift, a.settings, a.merchant_id, b.type AS body_type, b.body, told.*
    FROM taken
    JOIN account a ON a.id = taken.account_id
    JOIN endpoint p ON p.account_id = taken.account_id AND p.id = taken.endpoint_id
    LEFT JOIN event_body b
        ON b.account_id = taken.account_id AND b.event_id = taken.event_id AND b.dialect = p.dialect
    LEFT JOIN LATERAL (
        SELECT {TOLD_COLUMNS} FROM event e
        WHERE e.account_id = taken.account_id AND e.id = taken.event_id AND b.body IS NULL
    ) told ON true
    ORDER BY taken.due_at, taken.ordinal
"""  # noqa: S608


async def claim(
    connection: Connection,
    *,
    real_now: datetime,
    rooms: Mapping[UUID, Room],
    others_max: int,
    limit: int,
    vault: Vault,
) -> tuple[list[ClaimedDelivery], bool]:
    """Take up to `limit` due deliveries for LEASE.

    `rooms` says for endpoints of which this worker holds deliveries how many more it may take, `others_max` the same
    for all others. The second value says whether anything moved, so that asking again at once may find more.
    """
    candidates = await connection.fetch(
        _CANDIDATES,
        real_now,
        list(rooms.keys()),
        [room.busy for room in rooms.values()],
        [room.more for room in rooms.values()],
        others_max,
        limit,
    )
    # Rows are locked in the order of their ids: workers that meet wait for each other instead of deadlocking.
    free = sorted([c for c in candidates if c["held_until"] is None][:limit], key=_by_id)
    held = [c for c in candidates if c["held_until"] is not None]
    try:
        if held:
            await _hold(connection, held)
        if not free:
            return [], bool(held)
        taken = await connection.fetch(
            _TAKE, [c["account_id"] for c in free], [c["id"] for c in free], real_now, real_now + LEASE
        )
    except asyncpg.DeadlockDetectedError:
        # Two workers met all the same: whoever lost looks again.
        return [], True
    endpoints, lost = await _endpoints(connection, taken, vault)
    return [_claimed(r, endpoints.get(r["endpoint_id"]), secret_lost=r["endpoint_id"] in lost) for r in taken], True


async def _hold(connection: Connection, held: Sequence[Record]) -> None:
    """Move rows behind the ones that hold them back."""
    held = sorted(held, key=_by_id)
    await connection.execute(
        """
        UPDATE delivery t SET due_at = c.until
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) c (account_id, id, until)
        WHERE t.account_id = c.account_id AND t.id = c.id AND t.due_at < c.until
        """,
        [h["account_id"] for h in held],
        [h["id"] for h in held],
        [h["held_until"] for h in held],
    )


def _by_id(record: Record) -> UUID:
    found: UUID = record["id"]
    return found


async def _endpoints(
    connection: Connection, taken: Sequence[Record], vault: Vault
) -> tuple[dict[UUID, Endpoint], set[UUID]]:
    """The endpoints that still exist, and those whose secrets cannot be opened: theirs alone must fail."""
    keys = {(r["owner_id"], r["endpoint_id"]) for r in taken}
    records = await connection.fetch(
        """
        SELECT p.* FROM unnest($1::uuid[], $2::uuid[]) c (account_id, id)
        JOIN endpoint p USING (account_id, id) WHERE p.deleted_at IS NULL
        """,
        [k[0] for k in keys],
        [k[1] for k in keys],
    )
    found: dict[UUID, Endpoint] = {}
    lost: set[UUID] = set()
    for record in records:
        try:
            found[record["id"]] = endpoint_of(record, vault)
        except SecretLostError:
            lost.add(record["id"])
            found[record["id"]] = endpoint_of(record, None)
    return found, lost


def _account(record: Record) -> Account:
    """Whose event it is, as far as bodies depend on it."""
    names = {"id": record["owner_id"], "active": True, "merchant_slug": "", "merchant_name": ""}
    known = {name: record[name] for name in ("merchant_id", "is_test", "clock_shift", "settings")}
    return account_of(names | known)


def _claimed(record: Record, endpoint: Endpoint | None, *, secret_lost: bool) -> ClaimedDelivery:
    return ClaimedDelivery(
        account_id=record["owner_id"],
        id=record["delivery_id"],
        endpoint=endpoint,
        secret_lost=secret_lost,
        event_id=record["event_id"],
        version=record["subject_version"],
        tries=record["tries"],
        first_tried_at=record["first_tried_at"],
        leased_until=record["leased_until"],
        is_test=record["is_test"],
        clock_shift=record["clock_shift"],
        type=record["body_type"],
        body=record["body"],
        told=None if record["id"] is None else told_of(record, _account(record)),
    )


async def freeze(connection: Connection, bodies: Sequence[Body]) -> dict[tuple[UUID, str], Body]:
    """Keep what will be told, by event and dialect: what another worker kept first counts."""
    unique = {(b.event_id, b.dialect): b for b in bodies}
    rows = [msgspec.structs.astuple(unique[key]) for key in sorted(unique)]
    kept = await connection.fetch(
        """
        INSERT INTO event_body SELECT * FROM unnest($1::event_body[])
        ON CONFLICT (account_id, event_id, dialect) DO NOTHING
        RETURNING event_id, dialect
        """,
        rows,
    )
    found = {(b.event_id, b.dialect): b for b in bodies}
    known = {(r["event_id"], r["dialect"]) for r in kept}
    others = [b for key, b in found.items() if key not in known]
    if others:
        found |= await _kept_by_others(connection, others)
    return found


async def _kept_by_others(connection: Connection, bodies: Sequence[Body]) -> dict[tuple[UUID, str], Body]:
    records = await connection.fetch(
        """
        SELECT b.* FROM unnest($1::uuid[], $2::uuid[], $3::text[]) c (account_id, event_id, dialect)
        JOIN event_body b USING (account_id, event_id, dialect)
        """,
        [b.account_id for b in bodies],
        [b.event_id for b in bodies],
        [b.dialect for b in bodies],
    )
    return {(r["event_id"], r["dialect"]): Body(**dict(r)) for r in records}


async def conclude(connection: Connection, results: Sequence[Concluded]) -> None:
    """Note what came of tries. A row whose lease ended and that another worker took is left to that one."""
    results = sorted(results, key=lambda r: r.id)
    await connection.execute(
        """
        UPDATE delivery t
        SET state = n.state, due_at = n.due_at, leased_until = NULL, tries = t.tries + 1,
            first_tried_at = n.first_tried_at, http_status = n.http_status, last_error = n.error,
            history = t.history || n.entry
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                    $7::smallint[], $8::text[], $9::jsonb[])
            n (account_id, id, leased_until, state, due_at, first_tried_at, http_status, error, entry)
        WHERE t.account_id = n.account_id AND t.id = n.id AND t.leased_until = n.leased_until
        """,
        [r.account_id for r in results],
        [r.id for r in results],
        [r.leased_until for r in results],
        [r.state.value for r in results],
        [r.next_try_at for r in results],
        [r.first_tried_at for r in results],
        [r.outcome.status for r in results],
        [r.outcome.error for r in results],
        [_entry(r.outcome) for r in results],
    )


def _entry(outcome: Try) -> dict[str, Any]:
    return {
        "at": outcome.at,
        "status": outcome.status,
        "error": outcome.error,
        "latency_ms": outcome.latency_ms,
        "answer": outcome.answer,
    }


async def release(connection: Connection, claimed: Sequence[ClaimedDelivery]) -> None:
    """Give deliveries back that were not sent: as if they had not been taken."""
    await connection.execute(
        """
        UPDATE delivery t SET leased_until = NULL
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) c (account_id, id, leased_until)
        WHERE t.account_id = c.account_id AND t.id = c.id AND t.leased_until = c.leased_until
        """,
        [c.account_id for c in claimed],
        [c.id for c in claimed],
        [c.leased_until for c in claimed],
    )


async def drop(connection: Connection, claimed: Sequence[ClaimedDelivery]) -> None:
    """Drop deliveries whose endpoint is gone."""
    await connection.execute(
        """
        UPDATE delivery t SET state = 'dropped', due_at = NULL, leased_until = NULL
        FROM unnest($1::uuid[], $2::uuid[]) c (account_id, id)
        WHERE t.account_id = c.account_id AND t.id = c.id AND coalesce(t.due_at IS NOT NULL, false)
        """,
        [c.account_id for c in claimed],
        [c.id for c in claimed],
    )


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as its owner sees it. `next_try_at` is real time; None when there will be none."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    subject_id: UUID
    version: int
    type: str  # the core's name
    body_type: str | None  # in the dialect's words, once it was rendered
    state: DeliveryState
    tries: int
    http_status: int | None
    last_error: str | None
    history: list[dict[str, Any]]
    next_try_at: datetime | None
    created_at: datetime


_VIEW = """
    SELECT d.id, d.endpoint_id, d.event_id, d.subject_id, d.version, d.type, b.type AS body_type, d.state, d.tries,
        d.http_status, d.last_error, d.history, d.due_at AS next_try_at, d.created_at
    FROM delivery d
    JOIN endpoint p ON p.account_id = d.account_id AND p.id = d.endpoint_id
    LEFT JOIN event_body b ON b.account_id = d.account_id AND b.event_id = d.event_id AND b.dialect = p.dialect
    WHERE d.account_id = $1
"""


def _view(record: Record) -> DeliveryView:
    values: dict[str, Any] = {name: record[name] for name in DeliveryView.__struct_fields__}
    values["state"] = DeliveryState(values["state"])
    return DeliveryView(**values)


async def find_delivery(connection: Connection, account_id: UUID, delivery_id: UUID) -> DeliveryView | None:
    """One delivery, with every try."""
    record = await connection.fetchrow(f"{_VIEW} AND d.id = $2", account_id, delivery_id)
    return None if record is None else _view(record)


async def list_deliveries(
    connection: Connection,
    account_id: UUID,
    *,
    before: UUID | None = None,
    state: str | None = None,
    endpoint_id: UUID | None = None,
    event_id: UUID | None = None,
    limit: int,
) -> list[DeliveryView]:
    """Deliveries, newest first, that come after the one with the id `before`."""
    conditions = {"d.id < ": before, "d.state = ": state, "d.endpoint_id = ": endpoint_id, "d.event_id = ": event_id}
    chosen = {text: value for text, value in conditions.items() if value is not None}
    where = "".join(f" AND {text}${i}" for i, text in enumerate(chosen, start=2))
    records = await connection.fetch(
        f"{_VIEW}{where} ORDER BY d.id DESC LIMIT ${len(chosen) + 2}", account_id, *chosen.values(), limit
    )
    return [_view(r) for r in records]


async def oldest_unattended(connection: Connection, real_now: datetime) -> datetime | None:
    """When the oldest due delivery became due to whose endpoint nothing is on its way, though it does not fail.

    What waits for an endpoint that is slow or down is its owner's matter; this is a sign of a worker that is not there.
    """
    found: datetime | None = await connection.fetchval(
        """
        SELECT min(d.due_at) FROM endpoint p
        CROSS JOIN LATERAL (
            SELECT w.due_at FROM delivery w
            WHERE w.account_id = p.account_id AND w.endpoint_id = p.id AND w.due_at <= $1
              AND (w.leased_until IS NULL OR w.leased_until <= $1)
            ORDER BY w.due_at LIMIT 1
        ) d
        WHERE p.deleted_at IS NULL AND p.failing_since IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM delivery l
            WHERE l.account_id = p.account_id AND l.endpoint_id = p.id AND l.due_at <= $1 AND l.leased_until > $1
          )
        """,
        real_now,
    )
    return found
