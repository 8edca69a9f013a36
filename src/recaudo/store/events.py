"""Events as they are read: one by one to be told, and all of them in order as a feed.

The feed is ordered by position: the id of the transaction that wrote the event. Readers stay below the oldest
transaction that still runs, so an event that commits late is never passed by.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from recaudo.domain.model import Account, Attempt, Collection, Customer, Event, Invoice, Receipt
from recaudo.store.database import Connection
from recaudo.store.rows import Record

# A page with filters looks at this many events at most, and may come back short: the next one goes on from there.
SCANNED_MAX = 5_000


class FailingEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint.failing event tells of the endpoint."""

    id: UUID
    name: str
    url: str
    failing_since: datetime
    last_error: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The event's subject as the change left it."""

    invoice: Invoice | None = None
    collections: tuple[Collection, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    customer: Customer | None = None
    endpoint: FailingEndpoint | None = None
    credits_minor: dict[str, int] = {}  # what the invoice's customer was owed then, by currency

    def credit_minor(self, currency: str) -> int:
        """The customer's credit balance after the change."""
        return self.credits_minor.get(currency, 0)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An event with all that is needed to tell of it in any dialect."""

    event: Event
    snapshot: Snapshot
    account: Account

    @property
    def is_test(self) -> bool:
        return self.account.is_test


class Place(msgspec.Struct, frozen=True, order=True):
    """A place in the feed: what comes after it was not read yet."""

    position: int = -1
    subject_id: UUID = UUID(int=0)
    version: int = 0
    ordinal: int = 0


class FeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events after a place, oldest first; `end` is where the next page starts: the last event that was looked at.

    Never further: positions that no event has yet mean something else after a move to another server.
    """

    events: Sequence[Told]
    end: Place
    has_more: bool


class FeedFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; None means all."""

    types: Sequence[str] | None = None
    subject_id: UUID | None = None

    @property
    def is_open(self) -> bool:
        return self.types is None and self.subject_id is None


decode_snapshot = msgspec.json.Decoder(Snapshot).decode

# The snapshot stands on the first event of the change. As text: it is decoded into its own types, once.
TOLD_COLUMNS = """
    e.account_id, e.id, e.subject_id, e.version, e.ordinal, e.type, e.collection_id, e.attempt_id, e.data, e.at,
    (SELECT s.snapshot::text FROM event s WHERE s.account_id = e.account_id AND s.subject_id = e.subject_id
        AND s.version = e.version AND s.ordinal = 0) AS snapshot
"""

_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + shift AS position FROM feed"


def told_of(record: Record, account: Account) -> Told:
    """The event in a row that has TOLD_COLUMNS."""
    event = Event(**{name: record[name] for name in Event.__struct_fields__})
    return Told(event=event, snapshot=decode_snapshot(record["snapshot"]), account=account)


async def read_feed(
    connection: Connection, account: Account, after: Place, wanted: FeedFilter, *, limit: int
) -> FeedPage:
    """The next events of an account. With filters a page may be short, or empty, although there is more."""
    scanned = limit + 1 if wanted.is_open else SCANNED_MAX
    records = await connection.fetch(
        f"""
        WITH horizon AS ({_HORIZON}),
        -- One page of the index, then what is wanted of it.
        scanned AS (
            SELECT f.*, row_number() OVER () AS number FROM (
                SELECT account_id, id, position, subject_id, version, ordinal, type FROM event
                WHERE account_id = $1 AND (position, subject_id, version, ordinal) > ($2, $3, $4, $5)
                  AND position < (SELECT position FROM horizon)
                ORDER BY position, subject_id, version, ordinal LIMIT $6
            ) f
        ),
        found AS (
            SELECT * FROM scanned
            WHERE ($8::text[] IS NULL OR type = ANY ($8)) AND ($9::uuid IS NULL OR subject_id = $9)
            ORDER BY number LIMIT $7
        ),
        edge AS (
            SELECT position, subject_id, version, ordinal, number AS scanned FROM scanned ORDER BY number DESC LIMIT 1
        )
        SELECT edge.position AS edge_position, edge.subject_id AS edge_subject_id,
               edge.version AS edge_version, edge.ordinal AS edge_ordinal, edge.scanned,
               found.position, found.number, {TOLD_COLUMNS}
        FROM edge LEFT JOIN found ON true
        LEFT JOIN event e ON e.account_id = found.account_id AND e.id = found.id
        ORDER BY found.number
        """,  # noqa: S608 - our own column names
        account.id,
        after.position,
        after.subject_id,
        after.version,
        after.ordinal,
        scanned,
        limit + 1,
        None if wanted.types is None else list(wanted.types),
        wanted.subject_id,
    )
    if not records:
        return FeedPage(events=(), end=after, has_more=False)
    found = [r for r in records if r["id"] is not None]
    page = [told_of(r, account) for r in found[:limit]]
    if len(found) > limit:
        return FeedPage(events=page, end=_place(found[limit - 1]), has_more=True)
    # When as many were looked at as may be, there may be more behind them.
    edge = records[0]
    return FeedPage(events=page, end=_place(edge, "edge_"), has_more=edge["scanned"] == scanned)


def _place(record: Record, prefix: str = "") -> Place:
    return Place(*(record[prefix + name] for name in Place.__struct_fields__))


async def find_end(connection: Connection, account_id: UUID) -> Place:
    """Where an account's feed ends now: at its last event that no other can come before."""
    record = await connection.fetchrow(
        f"""
        SELECT position, subject_id, version, ordinal FROM event
        WHERE account_id = $1 AND position < ({_HORIZON})
        ORDER BY position DESC, subject_id DESC, version DESC, ordinal DESC LIMIT 1
        """,  # noqa: S608 - our own text
        account_id,
    )
    return Place() if record is None else _place(record)


async def fit_feed(connection: Connection) -> bool:
    """Make positions go on above the old ones when the database was moved to another PostgreSQL server.

    Transaction ids are the server's own: in a dump restored elsewhere they may lie above everything the new server
    will count for years, and readers would wait for them. Returns whether that was so.
    """
    server = str(await connection.fetchval("SELECT system_identifier FROM pg_control_system()"))
    known = await connection.fetchval("SELECT server FROM feed FOR UPDATE")
    if known == server:
        return False
    if known == "":
        # Migrated a moment ago: the positions are this server's.
        await connection.execute("UPDATE feed SET server = $1", server)
        return False
    shift: int = await connection.fetchval(
        """
        SELECT greatest(0, shift, (SELECT max(position) FROM event) + 1 - pg_current_xact_id()::text::bigint)
        FROM feed
        """
    )
    await connection.execute("UPDATE feed SET server = $1, shift = $2", server, shift)
    await connection.execute(
        f"ALTER TABLE event ALTER COLUMN position SET DEFAULT (pg_current_xact_id()::text::bigint + {shift:d})"
    )
    return True
