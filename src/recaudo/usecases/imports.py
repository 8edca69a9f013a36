"""Files of invoices over HTTP: kept piece by piece as they arrive, loaded by the worker, forgotten after a while.

Every batch of invoices is written in one transaction with how far the file is. A worker that is killed has written a
batch and noted it, or neither; whoever claims the job next goes on behind the last one.
"""

import asyncio
import hashlib
import io
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Protocol
from uuid import UUID

import msgspec

from recaudo.domain.model import Account
from recaudo.store import accounts, imports
from recaudo.store.database import Connection
from recaudo.store.due import LEASE, Claimed
from recaudo.store.imports import CHUNK_BYTES, ImportJob, Refusal
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.import_options import Format, ReadOptions
from recaudo.usecases.importing import AlreadyThere, Opened, Outcome, Pace, compare_many, open_many
from recaudo.usecases.invoices import OpenInvoice
from recaudo.usecases.registers import kept

UNFINISHED_MAX = 5
ROWS_MAX = 10_000_000
REFUSED_MAX = 100_000
# Small enough that requests which the same process answers wait for some hundredths of a second at most.
BATCH_ROWS = 250
TURN_S = 20
# A file of which nothing more arrives for so long is given up.
RECEIVED_WITHIN = timedelta(minutes=10)
KEPT_FOR = timedelta(days=30)
TRIES_MAX = 10
CHUNKS_REMEMBERED_MAX = 4
FETCH_TIMEOUT_S = 60
PAGE_ROWS = 1_000


class NewImport(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is about to arrive."""

    options: ReadOptions
    dry_run: bool = False


class TooManyImportsError(Exception):
    """The account has UNFINISHED_MAX files that are not over."""


class EmptyFileError(Exception):
    """The file has no bytes."""


class GivenUpError(Exception):
    """The file took too long to arrive, and was given up."""


class UnreadableError(Exception):
    """The file cannot be read, or no further, in words for whoever made it."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that stand together: what they ask for, which were refused, and where the next row begins."""

    commands: Sequence[OpenInvoice]
    refused: Sequence[Refusal]
    refuse: Callable[[int, Outcome], Refusal]  # the row of a command that came to nothing
    offset: int
    line: int


class OpenFile(Protocol):
    """A file that is being read. What takes long is done in a thread."""

    @property
    def titles(self) -> Sequence[str] | None:
        """Its columns, if it is a table."""
        ...

    @property
    def traits(self) -> Mapping[str, str]:
        """What a report of the same shape needs."""
        ...

    @property
    def ignored(self) -> Sequence[str]:
        """The columns met so far that nothing is called."""
        ...

    def next(self) -> Piece | None:
        """The next rows; None at the end. Raises UnreadableError."""
        ...


class Files(Protocol):
    """How files of every format are read, and refused rows written."""

    def open(
        self,
        file: BinaryIO,
        options: ReadOptions,
        account: Account,
        today: date,
        *,
        start: tuple[int, int] | None,
        size: int,
    ) -> OpenFile:
        """Read `size` rows at a time, from a place on. Raises UnreadableError."""
        ...

    def report(self, job: ImportJob, format_: Format, refusals: Iterable[Refusal]) -> Iterator[bytes]:
        """A file of the same shape with the refused rows and why."""
        ...

    def media_type(self, format_: Format) -> str:
        """What a file of this format is called over HTTP."""
        ...


# --- Receiving ---


async def receive(
    core: Core,
    account: Account,
    command: NewImport,
    content: AsyncIterable[bytes],
    respond: Callable[[ImportJob], tuple[int, bytes]],
    *,
    once: Callable[[str], Once] | None,
) -> Done:
    """Keep a file as it arrives, and queue it. `once` makes the key's request from the file's digest.

    Raises TooManyImportsError, EmptyFileError, GivenUpError, KeyReusedError, and whatever `content` raises: nothing of
    the file is kept then.
    """
    moment = core.moment(account)
    job = ImportJob(
        account_id=account.id,
        id=moment.new_id(),
        state="receiving",
        options=msgspec.to_builtins(command.options),
        dry_run=command.dry_run,
        created_at=moment.now,
    )
    async with core.database.transaction() as connection:
        due_at = core.clock.now() + RECEIVED_WITHIN
        if not await imports.insert_import(connection, job, unfinished_max=UNFINISHED_MAX, due_at=due_at):
            raise TooManyImportsError
    is_queued = False
    try:
        size, digest = await _keep(core, job, content)
        if not size:
            raise EmptyFileError
        whole = msgspec.structs.replace(job, state="queued", bytes=size)

        async def act(connection: Connection) -> tuple[int, bytes]:
            if not await imports.queue_import(connection, job, size=size, real_now=core.clock.now()):
                raise GivenUpError
            return respond(whole)

        done = await repeated(partial(kept, core, account, act, once=None if once is None else once(digest)))
        is_queued = not done.replayed
        return done
    finally:
        if not is_queued:
            # Shielded: also when whoever sent it has hung up.
            await asyncio.shield(_forget(core, job.account_id, job.id))


async def _keep(core: Core, job: ImportJob, content: AsyncIterable[bytes]) -> tuple[int, str]:
    """Write the pieces as they come; their bytes and digest."""
    digest = hashlib.sha256()
    waiting = bytearray()
    size = ordinal = 0

    async def write(piece: bytes) -> None:
        nonlocal ordinal
        async with core.database.connection() as connection:
            due_at = core.clock.now() + RECEIVED_WITHIN
            if not await imports.insert_chunk(connection, job, ordinal, piece, due_at=due_at):
                raise GivenUpError
        ordinal += 1

    async for block in content:
        digest.update(block)
        size += len(block)
        waiting += block
        while len(waiting) >= CHUNK_BYTES:
            await write(bytes(waiting[:CHUNK_BYTES]))
            del waiting[:CHUNK_BYTES]
    if waiting:
        await write(bytes(waiting))
    return size, digest.hexdigest()


async def _forget(core: Core, account_id: UUID, import_id: UUID) -> None:
    async with core.database.connection() as connection:
        await imports.delete_import(connection, account_id, import_id)


async def find(core: Core, account: Account, import_id: UUID) -> ImportJob:
    """How far a file is. Raises NotFoundError."""
    async with core.database.connection() as connection:
        found = await imports.find_import(connection, account.id, import_id)
    if found is None or found.state == "receiving":
        raise NotFoundError
    return found


def options_of(job: ImportJob) -> ReadOptions:
    """How the file is to be read."""
    return msgspec.convert(job.options, ReadOptions)


async def report(core: Core, job: ImportJob) -> AsyncIterator[bytes]:
    """The refused rows so far, as a file of the same shape, in pieces."""
    loop = asyncio.get_running_loop()

    def refusals() -> Iterator[Refusal]:
        after = -1
        while page := _from_thread(loop, partial(_page, core, job, after)):
            yield from page
            after = page[-1].line

    def write(file: BinaryIO) -> None:
        for block in core.files.report(job, options_of(job).format, refusals()):
            file.write(block)
        file.seek(0)

    with TemporaryFile() as file:
        await asyncio.to_thread(write, file)
        while block := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield block


async def _page(core: Core, job: ImportJob, after: int) -> list[Refusal]:
    async with core.database.connection() as connection:
        return await imports.list_refusals(connection, job.account_id, job.id, after=after, limit=PAGE_ROWS)


# --- Loading ---


async def go_on(core: Core, claimed: Claimed) -> None:
    """Load the next rows of a file until it is over or this turn is; give up what never arrived; forget what is old."""
    async with core.database.connection() as connection:
        job = await imports.find_import(connection, claimed.account_id, claimed.id)
        account = await accounts.find_account(connection, claimed.account_id)
    if job is None or account is None:
        return
    if job.is_over or job.state == "receiving":
        await _forget(core, job.account_id, job.id)
        return
    turn = _Turn(core, account, job, claimed)
    if claimed.tries > TRIES_MAX:
        await turn.finish("It failed again and again; the server's log says why. What is counted here was loaded.")
        return
    try:
        await turn.run()
    except UnreadableError as error:
        await turn.finish(str(error))


class LostError(Exception):
    """Another worker has the job: what this one was about to write is rolled back."""


class _Turn:
    """One worker's time with one file."""

    def __init__(self, core: Core, account: Account, job: ImportJob, claimed: Claimed) -> None:
        self._core = core
        self._account = account
        self._job = job
        self._claimed = claimed
        self._pace = Pace(core, created=job.created)

    async def run(self) -> None:
        """Piece by piece; the next one is read while one is written."""
        file = await asyncio.to_thread(self._open, asyncio.get_running_loop())
        started_s = time.monotonic()
        piece = await asyncio.to_thread(file.next)
        while piece is not None:
            ahead = asyncio.create_task(asyncio.to_thread(file.next))
            try:
                await self._load(file, piece)
                self._check_limits()
                if time.monotonic() - started_s > TURN_S:
                    await self._rest()
                    return
                piece = await ahead
            finally:
                # A thread cannot be stopped; nobody may be surprised by what it says.
                await asyncio.gather(ahead, return_exceptions=True)
        await self.finish(None)

    def _open(self, loop: asyncio.AbstractEventLoop) -> OpenFile:
        core, job = self._core, self._job
        content = io.BufferedReader(ChunkFile(core, job, loop))
        start = (job.at_offset, job.at_line) if job.at_offset else None
        options = options_of(job)
        return core.files.open(content, options, self._account, core.today(self._account), start=start, size=BATCH_ROWS)

    async def _load(self, file: OpenFile, piece: Piece) -> None:
        core, job = self._core, self._job
        async with core.database.transaction() as connection:
            outcomes = await self._outcomes(connection, piece.commands)
            refused = [*piece.refused]
            refused += [
                piece.refuse(i, outcome) for i, outcome in enumerate(outcomes) if not isinstance(outcome, _WENT_WELL)
            ]
            there = sum(isinstance(outcome, AlreadyThere) for outcome in outcomes)
            created = sum(isinstance(outcome, Opened) for outcome in outcomes)
            further = msgspec.structs.replace(
                job,
                titles=file.titles,
                traits=file.traits,
                ignored=file.ignored,
                at_offset=piece.offset,
                at_line=piece.line,
                read=job.read + created + there + len(refused),
                created=job.created + created,
                already_there=job.already_there + there,
                refused=job.refused + len(refused),
            )
            now = core.clock.now()
            claimed = msgspec.structs.replace(self._claimed, leased_until=now + LEASE)
            if not await imports.save_progress(
                connection, further, refused, self._claimed, real_now=now, leased_until=claimed.leased_until
            ):
                raise LostError
        self._job, self._claimed = further, claimed
        if not job.dry_run:
            await self._pace.after(created)

    async def _outcomes(self, connection: Connection, commands: Sequence[OpenInvoice]) -> Sequence[Outcome]:
        if not commands:
            return []
        if self._job.dry_run:
            known = await compare_many(connection, self._account, commands)
            return [outcome or Opened(self._job.id) for outcome in known]
        return await open_many(self._core, connection, self._account, commands)

    def _check_limits(self) -> None:
        if self._job.refused > REFUSED_MAX:
            raise UnreadableError(
                f"More than {REFUSED_MAX:,} rows were refused: mend the file, and load it again from its beginning."
            )
        if self._job.read >= ROWS_MAX:
            raise UnreadableError(
                f"A file may have {ROWS_MAX:,} rows: put what comes after line {self._job.at_line:,} into another."
            )

    async def _rest(self) -> None:
        async with self._core.database.connection() as connection:
            await imports.rest_import(connection, self._job, self._claimed, real_now=self._core.clock.now())

    async def finish(self, problem: str | None) -> None:
        """It is over, well or not."""
        core = self._core
        ended = msgspec.structs.replace(self._job, finished_at=core.now(self._account))
        async with core.database.connection() as connection:
            await imports.finish_import(
                connection, ended, self._claimed, problem=problem, forget_at=core.clock.now() + KEPT_FOR
            )


_WENT_WELL = (Opened, AlreadyThere)


class ChunkFile(io.RawIOBase):
    """The bytes of a file as its pieces hold them, for a thread to read from any place."""

    def __init__(self, core: Core, job: ImportJob, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self._job = job
        self._loop = loop
        self._at = 0
        self._remembered: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._job.bytes}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - anything that takes bytes
        ordinal, begin = divmod(self._at, CHUNK_BYTES)
        taken = self._chunk(ordinal)[begin : begin + len(buffer)]
        buffer[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)

    def _chunk(self, ordinal: int) -> bytes:
        found = self._remembered.get(ordinal)
        if found is None:
            found = _from_thread(self._loop, partial(self._fetch, ordinal))
            if len(self._remembered) >= CHUNKS_REMEMBERED_MAX:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[ordinal] = found
        return found

    async def _fetch(self, ordinal: int) -> bytes:
        async with self._core.database.connection() as connection:
            return await imports.find_chunk(connection, self._job.account_id, self._job.id, ordinal)


def _from_thread(loop: asyncio.AbstractEventLoop, ask: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401
    """What a coroutine says, asked from a thread beside the loop."""

    async def answer() -> Any:  # noqa: ANN401
        return await ask()

    return asyncio.run_coroutine_threadsafe(answer(), loop).result(FETCH_TIMEOUT_S)
