"""Credit notes: bodies, operations and answers (Treli specification, section 13)."""

from collections.abc import Mapping, Sequence
from typing import Any

from recaudo.dialects.treli import calls, ids, queries, render
from recaudo.dialects.treli.acting import REASON_CHARS_MAX, read_reason, replay_or_refuse
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.collections import rest_terms
from recaudo.dialects.treli.errors import FieldError, error_reply
from recaudo.dialects.treli.fields import amount, text
from recaudo.dialects.treli.objects import meta_data
from recaudo.dialects.treli.reading import Field, InvalidError, Reader, Reading, read_members
from recaudo.domain.crediting import NewNote
from recaudo.domain.model import Account, CreditNote, Invoice
from recaudo.domain.states import NoteState
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import notes, wholes
from recaudo.store.cases import find_invoice
from recaudo.usecases import crediting
from recaudo.usecases.core import Core, NotFoundError
from recaudo.usecases.crediting import NumberTakenError, Voiding

NUMBER_CHARS_MAX = 50
STATUSES = tuple(state.value for state in NoteState)


# --- Bodies ---


def _invoice(found: Invoice | None) -> Reader:
    """The invoice that a body names, by either id (6.9); it was looked up before."""

    def read(reading: Reading, path: str, _: object) -> Invoice | None:
        if found is None:
            reading.refuse(path, "No existe una factura con ese id.")
        return found

    return read


def fields(found: Invoice | None) -> Sequence[Field]:
    """The table of the body."""
    return (
        Field("invoice", "invoice", _invoice(found), required=True),
        Field("amount", "amount_minor", amount(above_zero=True)),
        Field("reason", "reason", text(1, REASON_CHARS_MAX), required=True),
        Field("credit_note_number", "number", text(1, NUMBER_CHARS_MAX)),
        Field("meta_data", "metadata", meta_data),
    )


def read_note(reading: Reading, body: Mapping[str, Any], found: Invoice | None) -> NewNote:
    """The note that a body asks for, its money in the invoice's currency. Raises InvalidError."""
    if found is not None:
        reading.currency = found.currency
    values = read_members(reading, fields(found), body)
    reading.finish()
    return NewNote(
        amount_minor=values.get("amount_minor"),
        reason=values["reason"],
        number=values.get("number"),
        metadata=values.get("metadata", {}),
    )


# --- Answers ---


def answer(it: CreditNote, account: Account) -> dict[str, Any]:
    """A note, members in the order of section 13."""
    return {
        "id": ids.shown(ids.CREDIT_NOTE, it.id),
        "credit_note_number": it.number,
        "invoice": ids.shown(ids.COLLECTION, it.invoice_id),
        "customer": None if it.customer_id is None else ids.shown(ids.CUSTOMER, it.customer_id),
        "amount": render.amount(it.amount_minor, it.currency),
        "currency": it.currency,
        "reason": it.reason,
        "status": it.state.value,
        "applied_to_balance": render.amount(it.applied_minor, it.currency),
        "credited_to_customer": render.amount(it.credited_minor, it.currency),
        "created_date": render.created(it.created_at, account),
        "voided_at_date": render.optional_utc(it.closed_at),
        "is_test": account.is_test,
        "meta_data": it.metadata,
    }


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    if not isinstance(error, NumberTakenError):
        return None
    return error_reply(
        "credit_note_number_exists",
        message=f"Ya existe una nota crédito con el número {error.number}.",
        errors=[FieldError("credit_note_number", "Ya está en uso.")],
    )


# --- Operations ---

FILTERS: queries.Filters = {
    "invoice": queries.object_id(ids.COLLECTION),
    "customer": queries.object_id(ids.CUSTOMER),
    "status": queries.words(*STATUSES),
}


class CreditNoteActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /credit_notes."""
        call = Call(self._core, request)
        found = await self._look_up(call)
        try:
            asked = read_note(call.reading(), call.body, found)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        assert found is not None, "a note without its invoice was refused"
        done = await crediting.issue(
            self._core, call.account, found.id, asked, lambda it: _kept(call, it), once=call.once
        )
        return call.done(done)

    async def get(self, request: ApiRequest) -> Reply:
        """GET /credit_notes/{id}."""
        call = Call(self._core, request)
        return call.ok(answer(await self._find(call), call.account))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /credit_notes."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.CREDIT_NOTE, FILTERS)
        found = await self._core.lists.read(
            lambda connection: notes.list_notes(connection, call.account.id, wanted, asked)
        )
        return call.page([answer(it, call.account) for it in found.items], has_more=found.has_more)

    async def void(self, request: ApiRequest) -> Reply:
        """POST /credit_notes/{id}/void."""
        call = Call(self._core, request)
        note = await self._find(call)
        try:
            reason = read_reason(call)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        command = Voiding(note=note, reason=reason, terms=rest_terms)
        done = await crediting.void(self._core, call.account, command, lambda it: _kept(call, it), once=call.once)
        return call.done(done)

    async def _find(self, call: Call) -> CreditNote:
        """The note in the path. Raises NotFoundError."""
        async with self._core.database.connection() as connection:
            found = await notes.find_note(connection, call.account.id, call.id(ids.CREDIT_NOTE))
        if found is None:
            raise NotFoundError
        return found

    async def _look_up(self, call: Call) -> Invoice | None:
        """The invoice that the body names, by its id or by that of a collection."""
        sent = call.body.get("invoice")
        named = ids.read(ids.COLLECTION, sent.strip()) if isinstance(sent, str) else None
        if named is None:
            return None
        async with self._core.database.connection() as connection:
            invoice_id = await wholes.find_invoice_id(connection, call.account.id, named)
            return None if invoice_id is None else await find_invoice(connection, call.account.id, invoice_id)

    def routes(self) -> Sequence[Route]:
        """Every operation on credit notes."""
        one = "/credit_notes/{credit_note_id}"
        return (
            calls.creates("/credit_notes", self.create, "createCreditNote", "Emitir una nota crédito"),
            calls.reads("/credit_notes", self.list, "listCreditNotes", "Listar notas crédito"),
            calls.reads(one, self.get, "getCreditNote", "Consultar una nota crédito"),
            calls.acts(f"{one}/void", self.void, "voidCreditNote", "Anular una nota crédito"),
        )


def _kept(call: Call, it: CreditNote) -> tuple[int, bytes]:
    return calls.answer(answer(it, call.account))
