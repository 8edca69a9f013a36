"""Retentions: bodies, operations and answers (Treli specification, section 14), reached below /recaudo/v1."""

from collections.abc import Mapping, Sequence
from typing import Any

from recaudo.dialects.treli import calls, ids, queries, render
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.errors import FieldError, validation_reply
from recaudo.dialects.treli.fields import amount, choice, day, flag, percentage, text
from recaudo.dialects.treli.reading import Field, Reading, read_members
from recaudo.domain.model import Account
from recaudo.domain.retaining import RetentionKind
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import catalogue as stored
from recaudo.store.catalogue import Retention
from recaudo.usecases import catalogue
from recaudo.usecases.catalogue import RetentionFixedError
from recaudo.usecases.core import Core, NotFoundError

KINDS = (RetentionKind.RETEICA, RetentionKind.RETEIVA, RetentionKind.RETEFTE)
NAME_CHARS_MAX = 100
PERCENTAGE_DECIMALS_MAX = 4

RETENTION = (
    Field("kind", "kind", choice(*KINDS), required=True),
    Field("name", "name", text(1, NAME_CHARS_MAX), required=True),
    Field(
        "percentage",
        "percentage",
        percentage(above_zero=True, decimals_max=PERCENTAGE_DECIMALS_MAX),
        required=True,
    ),
    Field("minimum_base", "minimum_base_minor", amount(above_zero=False)),
    Field("valid_from", "valid_from", day),
    Field("valid_until", "valid_until", day),
    Field("active", "active", flag),
)
FILTERS: queries.Filters = {"kind": queries.words(*KINDS), "active": queries.flag}

_FIXED: Mapping[str, FieldError] = {
    "kind": FieldError("kind", "La clase no se puede cambiar: cree otra retención."),
    "percentage": FieldError("percentage", "Hay facturas que usan esta retención: cree otra."),
    "minimum_base_minor": FieldError("minimum_base", "Hay facturas que usan esta retención: cree otra."),
}


# --- Bodies ---


def read_retention(reading: Reading, body: Mapping[str, Any]) -> dict[str, Any]:
    """The core's names and values of a whole retention. Raises InvalidError."""
    values = read_members(reading, RETENTION, body)
    first, last = values.get("valid_from"), values.get("valid_until")
    if first is not None and last is not None and last < first:
        reading.refuse("valid_until", "El último día no puede ser anterior al primero (valid_from).")
    reading.finish()
    return {
        "kind": RetentionKind(values["kind"]),
        "name": values["name"],
        "percentage": values["percentage"],
        "minimum_base_minor": values.get("minimum_base_minor", 0),
        "valid_from": first,
        "valid_until": last,
        "active": values.get("active", True),
    }


def read_changes(reading: Reading, it: Retention, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The new values of a retention: what is kept with what was sent laid over it, read as a whole.

    Raises InvalidError.
    """
    reading.currency = it.currency
    kept = shown(it, reading.account)
    return read_retention(reading, {field.name: kept[field.name] for field in RETENTION} | dict(sent))


# --- Answers ---


def shown(it: Retention, account: Account) -> dict[str, Any]:
    """A retention, members in the order of section 14."""
    return {
        "id": ids.shown(ids.RETENTION, it.id),
        "kind": it.kind.value,
        "name": it.name,
        "percentage": render.number(it.percentage),
        "minimum_base": render.amount(it.minimum_base_minor, it.currency),
        "valid_from": None if it.valid_from is None else it.valid_from.isoformat(),
        "valid_until": None if it.valid_until is None else it.valid_until.isoformat(),
        "active": it.active,
        "created_date": render.created(it.created_at, account),
        "is_test": account.is_test,
    }


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    if not isinstance(error, RetentionFixedError):
        return None
    return validation_reply([_FIXED[name] for name in error.fields])


# --- Operations ---


class RetentionActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /retentions."""
        call = Call(self._core, request)

        def values() -> dict[str, Any]:
            return read_retention(call.reading(), call.body)

        def respond(made: Retention) -> tuple[int, bytes]:
            return calls.answer(shown(made, call.account))

        return call.done(await catalogue.create_retention(self._core, call.account, values, respond, once=call.once))

    async def change(self, request: ApiRequest) -> Reply:
        """POST /retentions/{id}."""
        call = Call(self._core, request)

        def fields(it: Retention) -> dict[str, Any]:
            return read_changes(call.reading(), it, call.body)

        def respond(it: Retention) -> tuple[int, bytes]:
            return calls.answer(shown(it, call.account))

        retention_id = call.id(ids.RETENTION)
        done = await catalogue.change_retention(self._core, call.account, retention_id, fields, respond, once=call.once)
        return call.done(done)

    async def get(self, request: ApiRequest) -> Reply:
        """GET /retentions/{id}."""
        call = Call(self._core, request)
        retention_id = call.id(ids.RETENTION)
        async with self._core.database.connection() as connection:
            found = await stored.find_retentions(connection, call.account.id, [retention_id])
        if retention_id not in found:
            raise NotFoundError
        return call.ok(shown(found[retention_id], call.account))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /retentions."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.RETENTION, FILTERS)
        async with self._core.database.connection() as connection:
            found = await stored.list_retentions(connection, call.account.id, wanted, asked)
        return call.page([shown(it, call.account) for it in found.items], has_more=found.has_more)

    def routes(self) -> Sequence[Route]:
        """Every operation on retentions."""
        one = "/retentions/{retention_id}"
        return (
            calls.creates("/retentions", self.create, "createRetention", "Crear una retención"),
            calls.reads("/retentions", self.list, "listRetentions", "Listar retenciones"),
            calls.reads(one, self.get, "getRetention", "Consultar una retención"),
            calls.changes(one, self.change, "updateRetention", "Cambiar una retención"),
        )
