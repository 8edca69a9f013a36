"""Credit notes: issue one, void one (Treli specification, section 13)."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

import msgspec

from recaudo.domain import crediting
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Change, Moment
from recaudo.domain.crediting import Issued, NewNote
from recaudo.domain.model import Account, Case, CreditNote, Invoice
from recaudo.store import notes
from recaudo.store.credits import lock_credits
from recaudo.store.database import Connection
from recaudo.store.door import TakenError
from recaudo.store.writer import OriginKey, find_origins, origin_key
from recaudo.usecases.core import Core, Done, NotFoundError, Once, OriginTakenError, inquire_and_change

RespondNote = Callable[[CreditNote], tuple[int, bytes]]


class NumberTakenError(Exception):
    """Another issued note of the account has this number."""

    def __init__(self, number: str) -> None:
        super().__init__(number)
        self.number = number


async def issue(
    core: Core, account: Account, invoice_id: UUID, asked: NewNote, respond: RespondNote, *, once: Once | None
) -> Done:
    """Take a sum off an invoice. Raises NotFoundError, KeyReusedError, RefusedError and NumberTakenError."""

    async def inquire(connection: Connection, case: Case, moment: Moment) -> Change:
        known = await notes.notes_of(connection, account.id, invoice_id)
        change = crediting.issue(case, asked, known, moment)
        # Who takes the number in between fails the commit, and it is looked for once more.
        if asked.number is not None and await notes.is_number_taken(connection, account.id, asked.number):
            raise NumberTakenError(asked.number)
        return change

    return await inquire_and_change(core, account, invoice_id, inquire, _of_note(respond), once=once)


class Voiding(msgspec.Struct, frozen=True, kw_only=True):
    """Which note is voided, why, and on which terms what it lowered is asked for again."""

    note: CreditNote
    reason: str | None = None
    terms: Callable[[Invoice, int], Terms]  # of a collection that asks for a sum of the invoice, in minor units


async def void(core: Core, account: Account, command: Voiding, respond: RespondNote, *, once: Once | None) -> Done:
    """Take a note back.

    Raises NotFoundError, KeyReusedError, RefusedError, and OriginTakenError when the note opens its invoice again and
    another one took the number meanwhile.
    """
    note = command.note
    wanted: OriginKey | None = None

    async def inquire(connection: Connection, case: Case, moment: Moment) -> Change:
        nonlocal wanted
        issued = await _issued(connection, account, note)
        change = crediting.void(case, issued, moment, reason=command.reason, terms=partial(command.terms, case.invoice))
        if case.invoice.origin_bound is None:
            wanted = origin_key(change.invoice)
        return change

    try:
        return await inquire_and_change(core, account, note.invoice_id, inquire, _of_note(respond), once=once)
    except TakenError as error:
        if wanted is None:
            raise
        async with core.database.connection() as connection:
            taken = await find_origins(connection, [wanted])
        raise OriginTakenError(wanted[2], wanted[1], taken.get(wanted)) from error


async def _issued(connection: Connection, account: Account, note: CreditNote) -> Issued:
    """The note under the lock of its invoice, and what it did."""
    known = await notes.notes_of(connection, account.id, note.invoice_id)
    now = next((one for one in known if one.id == note.id), None)
    if now is None:
        raise NotFoundError
    booked = await notes.transfers_of(connection, now)
    return Issued(note=now, notes=known, booked=booked, credit_minor=await _credit_minor(connection, account, now))


async def _credit_minor(connection: Connection, account: Account, note: CreditNote) -> int:
    """What is owed to the note's customer, who is held so that nobody uses it meanwhile.

    Of an invoice of nobody the credit lies with its collections alone, and they say whether it was used.
    """
    if note.customer_id is None or note.credited_minor == 0:
        return note.credited_minor
    owed = await lock_credits(connection, account.id, note.customer_id)
    return owed.get(note.currency, 0)


def _of_note(respond: RespondNote) -> Callable[[Change], tuple[int, bytes]]:
    return lambda change: respond(change.notes[0])
