"""Collection rules, which say when payers are reminded: bodies, operations and answers, reached below /recaudo/v1.

The specification (section 14) leaves their form to us: a name and moments around the due day.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from recaudo.dialects.treli import calls, ids, render
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.fields import choice, text, whole
from recaudo.dialects.treli.reading import (
    REQUIRED_MESSAGE,
    Field,
    Reading,
    joined,
    read_array,
    read_members,
    read_object,
)
from recaudo.domain.model import Account
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import catalogue as stored
from recaudo.store.catalogue import Rule, RuleMoment
from recaudo.usecases import catalogue
from recaudo.usecases.core import Core, NotFoundError

NAME_CHARS_MAX = 100
MOMENTS_MAX = 20
DAYS_MAX = 365
ON_THE_DAY = "on"
MOMENTS = ("before", ON_THE_DAY, "after")
CHANNELS = ("email", "whatsapp")

MOMENT = (
    Field("moment", "moment", choice(*MOMENTS), required=True),
    Field("days", "days", whole(0, DAYS_MAX)),
    Field("channel", "channel", choice(*CHANNELS), required=True),
)


def moments(reading: Reading, path: str, value: object) -> tuple[RuleMoment, ...] | None:
    """Moments around the due day, none of them twice. A rule without any reminds nobody."""
    elements = read_array(reading, path, value, low=0, high=MOMENTS_MAX)
    if elements is None:
        return None
    found: dict[RuleMoment, None] = {}
    for index, element in enumerate(elements):
        moment = _moment(reading, f"{path}[{index}]", element)
        if moment in found:
            reading.refuse(f"{path}[{index}]", "Este momento se repite.")
        elif moment is not None:
            found[moment] = None
    return tuple(found)


def _moment(reading: Reading, path: str, value: object) -> RuleMoment | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    before = len(reading.errors)
    values = read_members(reading, MOMENT, members, inside=path)
    if len(reading.errors) > before:
        return None
    word, days = values["moment"], values.get("days")
    if word == ON_THE_DAY and days:
        reading.refuse(joined(path, "days"), "El mismo día del vencimiento es 0.")
    elif word != ON_THE_DAY and days is None:
        reading.refuse(joined(path, "days"), REQUIRED_MESSAGE)
    elif word != ON_THE_DAY and days == 0:
        reading.refuse(joined(path, "days"), f"El valor debe ser un número entero entre 1 y {DAYS_MAX}.")
    return RuleMoment(word, days or 0, values["channel"])


RULE = (
    Field("name", "name", text(1, NAME_CHARS_MAX), required=True),
    Field("moments", "moments", moments, required=True),
)


# --- Bodies ---


def read_rule(reading: Reading, body: Mapping[str, Any]) -> dict[str, Any]:
    """The core's names and values of a whole rule. Raises InvalidError."""
    values = read_members(reading, RULE, body)
    reading.finish()
    return values


def read_changes(reading: Reading, it: Rule, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The new values of a rule; its moments are replaced as a whole. Raises InvalidError."""
    kept = shown(it, reading.account)
    return read_rule(reading, {field.name: kept[field.name] for field in RULE} | dict(sent))


# --- Answers ---


def shown(it: Rule, account: Account) -> dict[str, Any]:
    """A rule of reminders."""
    return {
        "id": ids.shown(ids.RULE, it.id),
        "name": it.name,
        "moments": [{"moment": one.moment, "days": one.days, "channel": one.channel} for one in it.moments],
        "created_date": render.created(it.created_at, account),
        "is_test": account.is_test,
    }


# --- Operations ---


class RuleActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /collection_rules."""
        call = Call(self._core, request)

        def values() -> dict[str, Any]:
            return read_rule(call.reading(), call.body)

        def respond(made: Rule) -> tuple[int, bytes]:
            return calls.answer(shown(made, call.account))

        return call.done(await catalogue.create_rule(self._core, call.account, values, respond, once=call.once))

    async def change(self, request: ApiRequest) -> Reply:
        """POST /collection_rules/{id}."""
        call = Call(self._core, request)

        def fields(it: Rule) -> dict[str, Any]:
            return read_changes(call.reading(), it, call.body)

        def respond(it: Rule) -> tuple[int, bytes]:
            return calls.answer(shown(it, call.account))

        rule_id = call.id(ids.RULE)
        return call.done(
            await catalogue.change_rule(self._core, call.account, rule_id, fields, respond, once=call.once)
        )

    async def get(self, request: ApiRequest) -> Reply:
        """GET /collection_rules/{id}."""
        call = Call(self._core, request)
        rule_id = call.id(ids.RULE)
        async with self._core.database.connection() as connection:
            found = await stored.find_rules(connection, call.account.id, [rule_id])
        if rule_id not in found:
            raise NotFoundError
        return call.ok(shown(found[rule_id], call.account))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /collection_rules."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.RULE, {})
        async with self._core.database.connection() as connection:
            found = await stored.list_rules(connection, call.account.id, wanted, asked)
        return call.page([shown(it, call.account) for it in found.items], has_more=found.has_more)

    def routes(self) -> Sequence[Route]:
        """Every operation on rules."""
        one = "/collection_rules/{rule_id}"
        return (
            calls.creates("/collection_rules", self.create, "createCollectionRule", "Crear una regla de cobro"),
            calls.reads("/collection_rules", self.list, "listCollectionRules", "Listar reglas de cobro"),
            calls.reads(one, self.get, "getCollectionRule", "Consultar una regla de cobro"),
            calls.changes(one, self.change, "updateCollectionRule", "Cambiar una regla de cobro"),
        )
