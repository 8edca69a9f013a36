"""Group commit: concurrent requests that create invoices share one statement and one commit.

Each request submits one creation and waits for its own outcome. A lane takes all that wait, up to BATCH_MAX, and
writes them at once; while it waits for the disk the next batch gathers. A replayed key, a taken origin or a bad row
never harms its neighbours: a failed batch is looked through and the rest is written again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from uuid import UUID

import msgspec

from recaudo.domain.model import Invoice
from recaudo.store import idempotency
from recaudo.store.database import BAD_ROW, Connection, Database, bad_row
from recaudo.store.door import Creation, TakenError, create_many

BATCH_MAX = 128
QUEUE_MAX = 10_000
# Races are settled by looking again; more rounds than this that decide nothing mean something else is wrong.
FRUITLESS_ROUNDS_MAX = 20

OriginKey = tuple[UUID, str, str, str]
IdempotencyKey = tuple[UUID, str, str]


class Created(msgspec.Struct, frozen=True):
    """The invoice was written."""


class Replayed(msgspec.Struct, frozen=True):
    """The idempotency key was used before; nothing was written."""

    known: idempotency.Known


class OriginTaken(msgspec.Struct, frozen=True):
    """Another living invoice has the same origin and origin_id; nothing was written."""

    invoice_id: UUID


Outcome = Created | Replayed | OriginTaken


class QueueFullError(Exception):
    """Too many creations wait already; the request may be repeated in a moment."""


class Writer:
    """Gathers creations into batches. One per process."""

    def __init__(self, database: Database, *, lanes: int = 1) -> None:
        self._database = database
        self._lanes = lanes
        self._waiting: deque[tuple[Creation, asyncio.Future[Outcome]]] = deque()
        self._idle_lanes = asyncio.Semaphore(lanes)
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_first = False

    async def create(self, creation: Creation) -> Outcome:
        """Write one creation together with whatever else waits.

        Raises QueueFullError, BadRowError for this creation alone, or what befell its whole batch.
        """
        if len(self._waiting) >= QUEUE_MAX:
            raise QueueFullError
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((creation, future))
        if not self._idle_lanes.locked():
            await self._idle_lanes.acquire()
            task = asyncio.create_task(self._run_lane())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _run_lane(self) -> None:
        """Write batches until nothing waits."""
        try:
            # One turn of the loop lets requests that arrived together share the first batch.
            await asyncio.sleep(0)
            while self._waiting:
                await self._write_batch([self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))])
        finally:
            self._idle_lanes.release()

    async def _write_batch(self, batch: Sequence[tuple[Creation, asyncio.Future[Outcome]]]) -> None:
        try:
            async with self._database.connection() as connection:
                outcomes = await self._write(connection, [creation for creation, _ in batch])
        except Exception as error:  # noqa: BLE001 - every waiting request gets it; none may wait for ever
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    async def _write(self, connection: Connection, creations: Sequence[Creation]) -> list[Outcome | Exception]:
        """The outcome of each creation. The common case is one statement; conflicts cost a look and another try."""
        outcomes, conflicts = await write_many(connection, creations, look_first=self._look_first)
        # Where repeats come, more repeats come: look before writing for as long as they do.
        self._look_first = conflicts
        return outcomes


async def write_many(
    connection: Connection, creations: Sequence[Creation], *, look_first: bool = False
) -> tuple[list[Outcome | Exception], bool]:
    """Write many creations, each with its own outcome; says also whether any conflicted.

    This is the primitive: a single request is a batch of one, an import is a batch of thousands.
    """
    outcomes: dict[int, Outcome | Exception] = {}
    left = list(range(len(creations)))
    conflicted = False
    look = look_first
    fruitless = 0
    while left and fruitless < FRUITLESS_ROUNDS_MAX:
        decided = len(outcomes)
        if look:
            found = await _look(connection, creations, left)
            outcomes.update(found)
            conflicted = conflicted or bool(found)
        look = True
        chosen = _without_twins(creations, [i for i in left if i not in outcomes])
        if not chosen:
            break
        try:
            await create_many(connection, [creations[i] for i in chosen])
        except TakenError:
            conflicted = True
        except (*BAD_ROW, ValueError, TypeError) as error:
            # Refused by the database, or before that by what encodes rows for it.
            outcomes.update(await _by_halves(connection, creations, chosen, error))
        else:
            outcomes.update((i, Created()) for i in chosen)
        left = [i for i in left if i not in outcomes]
        fruitless += len(outcomes) == decided
    for i in left:
        outcomes.setdefault(i, TakenError("the key kept changing hands"))
    return [outcomes[i] for i in range(len(creations))], conflicted


async def _look(
    connection: Connection, creations: Sequence[Creation], indices: Sequence[int]
) -> dict[int, Outcome | Exception]:
    """What is already known about these creations: an answer under their key, or an invoice with their origin.

    The keys are looked up last, and count first: whoever took the origin may be the first request with the same key.
    """
    origins = {i: key for i in indices if (key := origin_key(creations[i].change.invoice)) is not None}
    taken = await find_origins(connection, list(origins.values())) if origins else {}
    keys = {i: key for i in indices if (key := _idempotency_key(creations[i])) is not None}
    known = await idempotency.find_many(connection, list(keys.values())) if keys else {}
    found: dict[int, Outcome | Exception] = {i: OriginTaken(taken[key]) for i, key in origins.items() if key in taken}
    found.update({i: Replayed(known[key]) for i, key in keys.items() if key in known})
    return found


def _without_twins(creations: Sequence[Creation], indices: Sequence[int]) -> list[int]:
    """Those whose keys differ from each other. Their twins wait for the next round, to see what became of them."""
    seen: set[IdempotencyKey | OriginKey] = set()
    chosen: list[int] = []
    for i in indices:
        keys = {
            key for key in (_idempotency_key(creations[i]), origin_key(creations[i].change.invoice)) if key is not None
        }
        if not keys & seen:
            seen |= keys
            chosen.append(i)
    return chosen


async def _by_halves(
    connection: Connection, creations: Sequence[Creation], chosen: Sequence[int], error: Exception
) -> dict[int, Outcome | Exception]:
    """A row that the database refuses spoils its batch: find it, and let the others through."""
    if len(chosen) == 1:
        return {chosen[0]: bad_row(error)}
    middle = len(chosen) // 2
    outcomes: dict[int, Outcome | Exception] = {}
    for half in (chosen[:middle], chosen[middle:]):
        written, _ = await write_many(connection, [creations[i] for i in half])
        outcomes.update(zip(half, written, strict=True))
    return outcomes


def _idempotency_key(creation: Creation) -> IdempotencyKey | None:
    kept = creation.remembered
    return None if kept is None else (kept.account_id, kept.scope, kept.key)


def origin_key(invoice: Invoice) -> OriginKey | None:
    """What no other living invoice may share; None for an invoice that is not bound by the rule."""
    if invoice.origin_bound is None or invoice.origin_id is None:
        return None
    return invoice.account_id, invoice.origin_id, invoice.origin or "", invoice.dialect


async def find_origins(connection: Connection, keys: Sequence[OriginKey]) -> dict[OriginKey, UUID]:
    """The living invoices that hold these origins."""
    records = await connection.fetch(
        """
        SELECT v.account_id, v.origin_id, v.origin, v.dialect, v.id
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) wanted (account_id, origin_id, origin, dialect)
        JOIN invoice v USING (account_id, origin_id, origin, dialect)
        WHERE v.origin_bound
        """,
        *(list(column) for column in zip(*keys, strict=True)),
    )
    return {(r["account_id"], r["origin_id"], r["origin"], r["dialect"]): r["id"] for r in records}
