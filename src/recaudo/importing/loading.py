"""Loading a file from where it is: reading goes on while earlier batches are written."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from recaudo.domain.model import Account
from recaudo.importing.columns import COLUMNS
from recaudo.importing.errors import FileError, Problem
from recaudo.importing.files import Bad, Batch, batches
from recaudo.importing.parsing import Parser
from recaudo.importing.rows import Place, RowFile
from recaudo.store.database import LockTimeoutError
from recaudo.usecases.core import Core
from recaudo.usecases.import_options import ReadOptions
from recaudo.usecases.importing import AlreadyThere, Differs, Opened, Outcome, Pace, Unwritable, compare_many, open_many

# Enough rows to make a statement's own cost small, few enough to hold several batches in memory.
BATCH_ROWS = 1_000
# While one batch is written the next is made; a third keeps both sides busy when they take turns in being slow.
IN_FLIGHT_MAX = 2

_COLUMN_OF = {column.field: column.name for column in COLUMNS}


class Tally(NamedTuple):
    """How many rows were read, and what became of them."""

    read: int = 0
    created: int = 0
    already_there: int = 0
    refused: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Progress(NamedTuple):
    """What one batch came to: its rows, those that were refused, the place after it."""

    tally: Tally
    refused: Sequence[Bad]
    place: Place


class Loaded(NamedTuple):
    """What the whole file came to. `broken` says why it could not be read to its end."""

    tally: Tally
    ignored: Sequence[str]
    broken: str | None


async def load(
    core: Core,
    account: Account,
    file: RowFile,
    options: ReadOptions,
    tell: Callable[[Progress], None],
    *,
    dry_run: bool = False,
) -> Loaded:
    """Load every row, a batch to a commit; `tell` hears of each batch in the order of the file.

    Killed anywhere, it may be run again: what was committed is known by its id. With `dry_run` nothing is written.
    Raises what befalls the database; what was told of is committed.
    """
    parser = Parser(account, core.today(account), options)
    total = Tally()
    pace = Pace(core)
    broken: str | None = None
    flying: deque[tuple[Batch, asyncio.Task[Sequence[Outcome]]]] = deque()

    async def land() -> None:
        nonlocal total
        batch, task = flying.popleft()
        progress = settle(batch, await task)
        total = total.plus(progress.tally)
        tell(progress)

    source = batches(file, parser, size=BATCH_ROWS)
    try:
        while True:
            try:
                batch = next(source, None)
            except FileError as error:
                broken, batch = str(error), None
            if batch is None:
                break
            flying.append((batch, asyncio.create_task(_write(core, account, batch, pace, dry_run=dry_run))))
            # One turn of the loop sends the statement off before the next batch is made.
            await asyncio.sleep(0)
            if len(flying) > IN_FLIGHT_MAX:
                await land()
        while flying:
            await land()
    finally:
        for _, task in flying:
            task.cancel()
    return Loaded(total, tuple(parser.ignored), broken)


async def _write(core: Core, account: Account, batch: Batch, pace: Pace, *, dry_run: bool) -> Sequence[Outcome]:
    commands = [good.command for good in batch.good]
    if not commands:
        return []
    async with core.database.connection() as connection:
        if dry_run:
            known = await compare_many(connection, account, commands)
            return [outcome or Opened(account.id) for outcome in known]
        try:
            outcomes = await open_many(core, connection, account, commands)
        except LockTimeoutError as error:
            raise FileError("Somebody else holds one of these invoices for too long; run this again.") from error
    await pace.after(sum(isinstance(outcome, Opened) for outcome in outcomes))
    return outcomes


def settle(batch: Batch, outcomes: Sequence[Outcome]) -> Progress:
    """What a batch came to, its refused rows in the order of the file."""
    refused = list(batch.bad)
    created = there = 0
    for good, outcome in zip(batch.good, outcomes, strict=True):
        match outcome:
            case Opened():
                created += 1
            case AlreadyThere():
                there += 1
            case _:
                refused.append(Bad(good.row, [why(outcome)]))
    refused.sort(key=lambda bad: bad.row.line)
    return Progress(Tally(batch.size, created, there, len(refused)), refused, batch.place)


def why(outcome: Differs | Unwritable) -> Problem:
    """What is told of a row whose invoice came to nothing."""
    if isinstance(outcome, Unwritable):
        return Problem("", f"Was refused when it was written: {outcome.reason}.")
    names = ", ".join(_COLUMN_OF[name] for name in outcome.fields)
    return Problem(
        "external_id",
        f"Is that of an invoice which is there already and differs in {names}. It was not changed: change it over the "
        "API, or give this one an id of its own.",
    )
