"""Opening thousands of invoices at once, each exactly once: the same again is known by its own system's id."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from recaudo.domain.model import Account, Invoice
from recaudo.domain.states import InvoiceState, RefusedError
from recaudo.store import statistics
from recaudo.store.database import Connection
from recaudo.store.door import Creation
from recaudo.store.origins import Origin, find_by_origin
from recaudo.store.writer import Created, OriginTaken, write_many
from recaudo.usecases import invoices
from recaudo.usecases.core import Core
from recaudo.usecases.invoices import OpenInvoice

COMPARED = ("amount_minor", "name", "description", "reference", "phone", "email", "due_on", "document_url", "metadata")
"""What must be the same for a row to be the invoice that is there."""


class Opened(msgspec.Struct, frozen=True):
    """The invoice is new."""

    invoice_id: UUID


class AlreadyThere(msgspec.Struct, frozen=True):
    """The same invoice was there before; it may have been withdrawn since, which a repetition does not undo."""

    invoice_id: UUID


class Differs(msgspec.Struct, frozen=True):
    """Another invoice has this id: `fields` are what is different, in the core's words. Nothing was changed."""

    invoice_id: UUID
    fields: tuple[str, ...]


class Unwritable(msgspec.Struct, frozen=True):
    """The rules or the database refuse it."""

    reason: str


Outcome = Opened | AlreadyThere | Differs | Unwritable


class Pace:
    """When a load lets the database look at its tables anew: after the first batch, then less often."""

    def __init__(self, core: Core, *, created: int = 0) -> None:
        self._core = core
        self._created = created
        self._next = 1

    async def after(self, created: int) -> None:
        """Note that so many more invoices were created, in a commit that is over."""
        self._created += created
        if self._created < self._next:
            return
        self._next = self._created * 4
        async with self._core.database.connection() as connection:
            await statistics.refresh(connection, self._created)


async def open_many(
    core: Core, connection: Connection, account: Account, commands: Sequence[OpenInvoice]
) -> list[Outcome]:
    """Open invoices, in one statement and one commit with whatever else the connection's transaction writes.

    Each command has an origin and an id there, and is bound by it. Its outcome is its own: none harms its neighbours.
    """
    outcomes = await _look(connection, account, commands, range(len(commands)))
    left: list[int] = []
    creations: list[Creation] = []
    moment = core.moment_of_many(account)
    for i, command in enumerate(commands):
        if i in outcomes:
            continue
        try:
            change = invoices.decide(account, command, moment)
        except RefusedError as error:
            outcomes[i] = Unwritable(error.refusal.value)
            continue
        left.append(i)
        creations.append(invoices.creation(account, command, change))
    written, _ = await write_many(connection, creations) if creations else ([], False)
    taken: list[int] = []
    for i, creation, outcome in zip(left, creations, written, strict=True):
        if isinstance(outcome, Created):
            outcomes[i] = Opened(creation.change.invoice.id)
        elif isinstance(outcome, OriginTaken):
            taken.append(i)
        else:
            outcomes[i] = Unwritable(str(outcome))
    if taken:
        # Twins of one batch, or somebody else was faster: compare with what is there now.
        outcomes |= await _look(connection, account, commands, taken)
    return [outcomes.get(i) or Unwritable("the id kept changing hands") for i in range(len(commands))]


async def compare_many(
    connection: Connection, account: Account, commands: Sequence[OpenInvoice]
) -> list[Outcome | None]:
    """What would become of these, as far as it is known before: None for an invoice that would be new."""
    known = await _look(connection, account, commands, range(len(commands)))
    return [known.get(i) for i in range(len(commands))]


async def _look(
    connection: Connection, account: Account, commands: Sequence[OpenInvoice], indices: Sequence[int]
) -> dict[int, Outcome]:
    origins = {i: _origin(commands[i]) for i in indices}
    found = await find_by_origin(connection, account.id, list(origins.values()))
    outcomes: dict[int, Outcome] = {}
    if not found:
        return outcomes
    for i, origin in origins.items():
        there = found.get(origin)
        if there is None:
            continue
        different = tuple(name for name in COMPARED if getattr(there, name) != getattr(commands[i], name))
        if not different:
            outcomes[i] = AlreadyThere(there.id)
        elif not _is_withdrawn(there):
            outcomes[i] = Differs(there.id, different)
    return outcomes


def _origin(command: OpenInvoice) -> Origin:
    assert command.origin and command.origin_id, "what is imported has an id of its own"  # noqa: PT018 - one rule
    assert command.unique_origin, "or the same row again would be another invoice"
    return command.origin, command.origin_id


def _is_withdrawn(invoice: Invoice) -> bool:
    return invoice.state is InvoiceState.VOID
