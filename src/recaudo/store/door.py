"""The one door: the only code that writes state. A test looks for any other.

`create_many` inserts new invoices, many at once, in one statement. `save` writes the change of an existing invoice,
guarded by its version. Both write the effect, its ledger rows, its events and the answer kept for idempotency in
the same commit.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from recaudo.domain.changes import Books, Change
from recaudo.domain.model import Attempt, Collection, CreditNote, Customer, Event, Invoice, Receipt, Refund, Transfer
from recaudo.store import rows, tally
from recaudo.store.catalogue import mark_used
from recaudo.store.credits import OWED, lock_credits
from recaudo.store.database import Connection, RawJson, StaleVersionError


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request, kept under its idempotency key in the commit of its effect."""

    account_id: UUID
    scope: str  # dialect, method and path
    key: str
    request: str  # canonical body
    status: int
    answer: bytes
    at: datetime


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A message to the payer that waits for a channel."""

    account_id: UUID
    id: UUID
    invoice_id: UUID
    collection_id: UUID
    kind: str
    channel: str
    address: str
    template_id: str | None = None
    not_before: datetime | None = None
    state: str = "waiting"
    at: datetime


class Uses(msgspec.Struct, frozen=True, kw_only=True):
    """Prices and retentions that no invoice used before: what they charge by no longer changes."""

    price_ids: Sequence[UUID] = ()
    retention_ids: Sequence[UUID] = ()


class Creation(msgspec.Struct, frozen=True, kw_only=True):
    """A new invoice and all that is written with it."""

    change: Change
    clock_shift: timedelta
    customer: Customer | None
    remembered: Remembered | None
    uses: Uses | None = None


class TakenError(Exception):
    """A unique key was taken by a request that committed in between: look again and decide again."""


def _insert(table: str, type_: Any, parameter: int, *, tail: str = "") -> str:  # noqa: ANN401 - a Struct class
    columns = ", ".join(_columns(table, type_))
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM unnest(${parameter}::{table}[]) {tail}"  # noqa: S608 - our own names


_DUE_COLUMNS = ("due_at", "leased_until", "tries", "last_error")
_EXTRA_COLUMNS = {"collection": _DUE_COLUMNS, "attempt": _DUE_COLUMNS, "refund": _DUE_COLUMNS, "event": ("snapshot",)}


def _columns(table: str, type_: Any) -> tuple[str, ...]:  # noqa: ANN401 - a Struct class
    return (*type_.__struct_fields__, *_EXTRA_COLUMNS.get(table, ()))


def _overwrite(table: str, type_: Any) -> str:  # noqa: ANN401 - a Struct class
    """Replace the whole row: the caller holds the invoice's lock, so nobody changed it since it was read."""
    assignments = ", ".join(f"{name} = excluded.{name}" for name in _columns(table, type_) if name not in _KEYS)
    return f"ON CONFLICT (account_id, id) DO UPDATE SET {assignments}"


_KEYS = {"account_id", "id", "invoice_id", "created_at"}

# Each is counted by the tally.
_NEW_CUSTOMERS = "ON CONFLICT (account_id, id) DO NOTHING RETURNING account_id, listed"
_NEW_COLLECTIONS = "RETURNING account_id, state, received_minor, open_attempts"


def _moved(noun: str, parameter: int) -> list[str]:
    """What leaves its number, as it stands before this statement, and what comes to it."""
    rows_of = f"unnest(${parameter}::{noun}[])"
    before = f"{rows_of} n JOIN {noun} o ON o.account_id = n.account_id AND o.id = n.id"
    return [tally.counted("n", noun, f"{rows_of} n", 1), tally.counted("o", noun, before, -1)]


_IDEMPOTENCY = "INSERT INTO idempotency SELECT * FROM unnest(${}::idempotency[])"


def _events(parameter: int, now: int, customers: int) -> str:
    """Events, and one delivery for each endpoint of their account that wants to know: none, no cost.

    A delivery's id begins like its event's, so that both sort by the account's clock. `customers` names for each event
    whose credit its snapshot is to tell, if there is any: one step into a small index, and no trip of its own.
    """
    columns = _columns("event", Event)
    return f"""
    told AS (
        INSERT INTO event ({", ".join(columns)})
        SELECT {", ".join(f"n.{name}" for name in columns if name != "snapshot")}, coalesce((
            SELECT (left(n.snapshot::text, -1) || ',"credits_minor":' || json_object_agg(currency, owed) || '}}')::json
            FROM (
                SELECT currency, {OWED} AS owed FROM transfer
                WHERE account_id = n.account_id AND customer_id = (${customers}::uuid[])[n.ordinality]
                  AND (debit = 'credit' OR credit = 'credit')
                GROUP BY currency HAVING {OWED} <> 0
            ) credits HAVING count(*) > 0
        ), n.snapshot)
        FROM unnest(${parameter}::event[]) WITH ORDINALITY n
        RETURNING account_id, id, subject_id, version, ordinal, type, at
    ),
    deliveries AS (
        INSERT INTO delivery
            (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, created_at, due_at)
        SELECT e.account_id, (substr(e.id::text, 1, 18) || substr(gen_random_uuid()::text, 19))::uuid, p.id,
               e.id, e.subject_id, e.version, e.ordinal, e.type, e.at, ${now}::timestamptz
        FROM told e JOIN endpoint p ON p.account_id = e.account_id AND e.type = ANY (p.tells)
        WHERE p.deleted_at IS NULL
    )"""  # noqa: S608 - our own names


def _create_sql() -> str:
    return f"""
    -- Every row of many new invoices. A taken key fails the whole statement and with it every row.
    WITH
    remembered AS ({_IDEMPOTENCY.format(1)}),
    -- Customers known by a reference have an id made from it, so the first invoice that names it makes them.
    customers AS ({_insert("customer", Customer, 2, tail=_NEW_CUSTOMERS)}),
    invoices AS ({_insert("invoice", Invoice, 3, tail="RETURNING account_id, kind, state, received_minor")}),
    collections AS ({_insert("collection", Collection, 4, tail=_NEW_COLLECTIONS)}),
    tallied AS ({
        tally.add(
            [
                tally.counted("i", tally.INVOICE, "invoices i", 1),
                tally.counted("c", tally.COLLECTION, "collections c", 1),
                tally.counted("p", tally.CUSTOMER, "customers p", 1),
            ]
        )
    }),
    transfers AS ({_insert("transfer", Transfer, 5)}),
    withholdings AS (
        INSERT INTO withholding (account_id, invoice_id, retention_id, kind, amount_minor, currency)
        SELECT account_id, invoice_id, retention_id, kind, amount_minor, currency FROM unnest($8::withholding[])
    ),
    {_events(6, 7, 9)}
    SELECT 1
    """  # noqa: S608 - our own names


def _save_sql() -> str:
    fields = [name for name in Invoice.__struct_fields__ if name not in _KEYS]
    return f"""
    -- One change of one invoice, if nobody changed it since it was read.
    WITH
    invoices AS (
        UPDATE invoice SET ({", ".join(fields)}) = ROW ({", ".join(f"n.{name}" for name in fields)})
        FROM unnest($1::invoice[]) n
        WHERE invoice.account_id = n.account_id AND invoice.id = n.id AND invoice.version = n.version - 1
        RETURNING invoice.id
    ),
    collections AS ({_insert("collection", Collection, 2, tail=_overwrite("collection", Collection))}),
    attempts AS ({_insert("attempt", Attempt, 3, tail=_overwrite("attempt", Attempt))}),
    receipts AS ({_insert("receipt", Receipt, 4)}),
    refunds AS ({_insert("refund", Refund, 13, tail=_overwrite("refund", Refund))}),
    transfers AS ({_insert("transfer", Transfer, 5)}),
    {_events(6, 10, 11)},
    notices AS (INSERT INTO notice SELECT * FROM unnest($7::notice[])),
    remembered AS ({_IDEMPOTENCY.format(8)}),
    customers AS ({_insert("customer", Customer, 9, tail=_NEW_CUSTOMERS)}),
    tallied AS ({
        tally.add(
            [
                *_moved(tally.INVOICE, 1),
                *_moved(tally.COLLECTION, 2),
                *_moved(tally.ATTEMPT, 3),
                tally.counted("p", tally.CUSTOMER, "customers p", 1),
            ]
        )
    }),
    notes AS ({_insert("credit_note", CreditNote, 12, tail=_overwrite("credit_note", CreditNote))})
    SELECT count(*) FROM invoices
    """  # noqa: S608 - our own names


_CREATE = _create_sql()
_SAVE = _save_sql()


async def create_many(connection: Connection, creations: Sequence[Creation]) -> None:
    """Insert new invoices, all or none, in one statement and one commit.

    Rows go in the order of their unique keys, so that two processes that write the same keys wait for each other
    instead of deadlocking. Raises TakenError when an idempotency key or an (origin, origin_id) was taken in between.
    """
    if not connection.is_in_transaction() and not any(c.uses for c in creations):
        await _create_many(connection, creations)
        return
    # Within somebody's transaction this is a savepoint: what was taken does not spoil the rest of it.
    async with connection.transaction():
        await _mark_used(connection, creations)
        await _create_many(connection, creations)


async def _create_many(connection: Connection, creations: Sequence[Creation]) -> None:
    changes = [c.change for c in creations]
    try:
        await connection.execute(
            _CREATE,
            sorted(_remembered_row(c.remembered) for c in creations if c.remembered is not None),
            _customers(creations),
            [rows.invoice_row(c.invoice) for c in sorted(changes, key=_origin)],
            [rows.collection_row(row, c.clock_shift) for c in creations for row in c.change.collections],
            [rows.transfer_row(row) for c in changes for row in c.transfers],
            [rows.event_row(row, c) for c in changes for row in c.events],
            _real_instant(changes[0], creations[0].clock_shift),
            [row for c in changes for row in rows.withholding_rows(c.invoice)],
            [customer_id for c in changes for customer_id in _told_of(c)],
        )
    except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError) as error:
        raise TakenError(str(error)) from error


async def _mark_used(connection: Connection, creations: Sequence[Creation]) -> None:
    """Accounts in order, as rows within an account are: two batches that wait for each other would deadlock."""
    try:
        for creation in sorted(creations, key=lambda c: c.change.invoice.account_id):
            if creation.uses is not None:
                await _mark(connection, creation.change, creation.uses)
    except asyncpg.DeadlockDetectedError as error:
        raise TakenError(str(error)) from error


async def _mark(connection: Connection, change: Change, uses: Uses) -> None:
    invoice = change.invoice
    await mark_used(connection, invoice.account_id, uses.price_ids, uses.retention_ids, invoice.updated_at)


async def save(
    connection: Connection,
    change: Change,
    *,
    clock_shift: timedelta,
    remembered: Remembered | None = None,
    notices: Iterable[Notice] = (),
    customer: Customer | None = None,
    uses: Uses | None = None,
) -> None:
    """Write the change of an existing invoice.

    Raises StaleVersionError when the invoice is no longer at the version the decision saw, TakenError when a unique
    key (an idempotency key, an origin, a gateway transaction, a credit note's number) was taken in between. Either way
    nothing is written once the caller's transaction ends.
    """
    try:
        if uses is not None:
            await _mark(connection, change, uses)
        credits_minor = await _credits_after(connection, change)
        saved = await connection.fetchval(
            _SAVE,
            [rows.invoice_row(change.invoice)],
            [rows.collection_row(row, clock_shift) for row in change.collections],
            [rows.attempt_row(row, clock_shift) for row in change.attempts],
            [rows.receipt_row(row) for row in change.receipts],
            [rows.transfer_row(row) for row in change.transfers],
            [rows.event_row(row, change, credits_minor) for row in change.events],
            [msgspec.structs.astuple(row) for row in notices],
            [_remembered_row(remembered)] if remembered is not None else [],
            [rows.customer_row(customer)] if customer is not None else [],
            _real_instant(change, clock_shift),
            _told_of(change) if credits_minor is None else [None] * len(change.events),
            [rows.note_row(row) for row in change.notes],
            [rows.refund_row(row, clock_shift) for row in change.refunds],
        )
    except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError) as error:
        raise TakenError(str(error)) from error
    if saved != 1:
        raise StaleVersionError(str(change.invoice.id))


async def _credits_after(connection: Connection, change: Change) -> rows.Credits | None:
    """What the customer is owed once a change that moves it is written; None for any other change.

    Those who move one customer's credit take turns, so that each event tells what all before it left.
    """
    customer_id = change.invoice.customer_id
    moves = [t for t in change.transfers if Books.CREDIT in {t.debit, t.credit}]
    if not moves or customer_id is None:
        return None
    owed = await lock_credits(connection, change.invoice.account_id, customer_id)
    for move in moves:
        sign = 1 if move.credit == Books.CREDIT else -1
        owed[move.currency] = owed.get(move.currency, 0) + sign * move.amount_minor
    return owed


def _told_of(change: Change) -> list[UUID | None]:
    """For each event whose credit its snapshot is to tell: the first one has it."""
    return [change.invoice.customer_id if event.ordinal == 0 else None for event in change.events]


async def reschedule(connection: Connection, waiting: Attempt | Refund, *, clock_shift: timedelta) -> None:
    """Note that the gateway was asked and told nothing new, and when to ask again (`ask_at` None: never)."""
    table = "attempt" if isinstance(waiting, Attempt) else "refund"
    await connection.execute(
        f"""
        UPDATE {table} SET asked = $3, ask_at = $4, due_at = $5, leased_until = NULL, tries = 0, last_error = NULL
        WHERE account_id = $1 AND id = $2
        """,  # noqa: S608 - a word of ours
        waiting.account_id,
        waiting.id,
        waiting.asked,
        waiting.ask_at,
        None if waiting.ask_at is None else waiting.ask_at - clock_shift,
    )


async def note_asked(connection: Connection, refund: Refund) -> None:
    """Note that a refund's gateway is about to be called, before it is: whoever finds this may only ask."""
    await connection.execute(
        "UPDATE refund SET asked = asked + 1 WHERE account_id = $1 AND id = $2", refund.account_id, refund.id
    )


async def remember(
    connection: Connection,
    remembered: Remembered | None,
    *,
    notices: Iterable[Notice] = (),
    customer: Customer | None = None,
) -> None:
    """Write what changes no invoice: a listed customer, notices, the answer of the request that made them.

    Raises TakenError when the key or the customer's document was taken in between.
    """
    try:
        await connection.execute(
            _REMEMBER,
            [_remembered_row(remembered)] if remembered is not None else [],
            [rows.customer_row(customer)] if customer is not None else [],
            [msgspec.structs.astuple(row) for row in notices],
        )
    except asyncpg.UniqueViolationError as error:
        raise TakenError(str(error)) from error


_REMEMBER = f"""
    WITH
    remembered AS ({_IDEMPOTENCY.format(1)}),
    customers AS ({_insert("customer", Customer, 2, tail="RETURNING account_id, listed")}),
    tallied AS ({tally.add([tally.counted("p", tally.CUSTOMER, "customers p", 1)])})
    INSERT INTO notice SELECT * FROM unnest($3::notice[])
"""  # noqa: S608 - our own names


async def tell_failing(connection: Connection, event: Event, snapshot: bytes, real_now: datetime) -> None:
    """Write an event about an endpoint that fails, for the account's other endpoints to be told."""
    await connection.execute(
        """
        WITH told AS (
            INSERT INTO event (account_id, id, subject_id, version, ordinal, type, data, snapshot, at)
            VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8)
        )
        INSERT INTO delivery
            (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, created_at, due_at)
        SELECT $1, (substr($2::uuid::text, 1, 18) || substr(gen_random_uuid()::text, 19))::uuid, p.id,
               $2, $3, $4, 0, $5, $8, $9
        FROM endpoint p
        WHERE p.account_id = $1 AND p.id <> $3 AND p.deleted_at IS NULL AND $5 = ANY (p.tells)
        """,
        event.account_id,
        event.id,
        event.subject_id,
        event.version,
        event.type,
        event.data,
        RawJson(snapshot),
        event.at,
        real_now,
    )


def _remembered_row(remembered: Remembered) -> rows.Row:
    return msgspec.structs.astuple(remembered)


def _customers(creations: Sequence[Creation]) -> list[rows.Row]:
    """Each customer once: two rows with one key in one statement would conflict with each other."""
    unique = {c.customer.id: c.customer for c in creations if c.customer is not None}
    return [rows.customer_row(customer) for _, customer in sorted(unique.items())]


def _real_instant(change: Change, clock_shift: timedelta) -> datetime:
    """The real time of a decision: its deliveries are due from then on."""
    return change.events[0].at - clock_shift


def _origin(change: Change) -> tuple[str, str, str, UUID]:
    """The unique key of an invoice's origin: the account too, as tenants number their invoices alike."""
    invoice = change.invoice
    return invoice.origin_id or "", invoice.origin or "", invoice.dialect, invoice.account_id
