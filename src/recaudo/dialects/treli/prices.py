"""Prices: bodies, operations and answers (Treli specification, 6.4, 8.2 and section 12)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from recaudo.dialects.treli import calls, ids, queries, render
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.errors import FieldError, error_reply, validation_reply
from recaudo.dialects.treli.fields import amount, choice, currency, flag, reference, whole
from recaudo.dialects.treli.reading import (
    REQUIRED_MESSAGE,
    Field,
    Reading,
    read_array,
    read_members,
    read_object,
)
from recaudo.domain.model import Account
from recaudo.domain.money import DECIMALS
from recaudo.domain.pricing import TIERS_MAX, PriceModel, Tier, TierFaultKind, tier_faults
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import catalogue as stored
from recaudo.store.catalogue import Price
from recaudo.usecases import catalogue
from recaudo.usecases.catalogue import PriceInUseError, ProductGoneError, Products
from recaudo.usecases.core import Core, NotFoundError

TYPES = ("one_time", "recurring")
PERIODS = ("day", "week", "month", "year")
INTERVAL_MAX = 366
UP_TO_MAX = 999_999_999

_FAULTS: Mapping[TierFaultKind, str] = {
    TierFaultKind.COUNT: f"El arreglo debe tener entre 1 y {TIERS_MAX} elementos.",
    TierFaultKind.NOT_RISING: "El valor debe ser mayor que el del tramo anterior.",
    TierFaultKind.OPEN_TOO_EARLY: "Solo el último tramo puede ser null.",
    TierFaultKind.LAST_NOT_OPEN: "El último tramo debe ser null: no tiene límite.",
}

TIER = (
    Field("up_to", "up_to", whole(1, UP_TO_MAX)),
    Field("unit_price", "unit_price_minor", amount(above_zero=False), required=True),
)


def tiers(reading: Reading, path: str, value: object) -> tuple[Tier, ...] | None:
    """Tiers whose `up_to` rises strictly and ends open."""
    elements = read_array(reading, path, value, low=1, high=TIERS_MAX)
    if elements is None:
        return None
    found = [_tier(reading, f"{path}[{i}]", element) for i, element in enumerate(elements)]
    sound = tuple(tier for tier in found if tier is not None)
    if len(sound) < len(found):
        return None
    for fault in tier_faults(sound):
        place = path if fault.index is None else f"{path}[{fault.index}].up_to"
        reading.refuse(place, _FAULTS[fault.kind])
    return sound


def _tier(reading: Reading, path: str, value: object) -> Tier | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    before = len(reading.errors)
    values = read_members(reading, TIER, members, inside=path)
    return Tier(values.get("up_to"), values["unit_price_minor"]) if len(reading.errors) == before else None


PRICE = (
    Field("product_id", "product_id", reference(ids.PRODUCT), required=True),
    Field("pricing_model", "model", choice(*PriceModel)),
    Field("unit_price", "unit_price_minor", amount(above_zero=False)),
    Field("pricing_tiers", "tiers", tiers),
    Field("currency", "currency", currency),
    Field("type", "type", choice(*TYPES)),
    Field("billing_period", "billing_period", choice(*PERIODS)),
    Field("billing_interval", "billing_interval", whole(1, INTERVAL_MAX)),
    Field("active", "active", flag),
)
FILTERS: queries.Filters = {
    "product_id": queries.object_id(ids.PRODUCT),
    "active": queries.flag,
    "currency": queries.currency,
}


# --- Bodies ---


def read_price(reading: Reading, body: Mapping[str, Any]) -> dict[str, Any]:
    """The core's names and values of a whole price. Raises InvalidError."""
    named = body.get("currency")
    # Money is read in the currency of its own body, wherever that stands.
    reading.currency = named.strip() if isinstance(named, str) and named.strip() in DECIMALS else reading.currency
    values = read_members(reading, PRICE, body)
    model = PriceModel(values.get("model") or PriceModel.STANDARD)
    type_ = values.get("type") or TYPES[0]
    with_tiers = model is not PriceModel.STANDARD
    _require(reading, body, ["unit_price"], needed=not with_tiers, what=f"pricing_model {model}")
    _require(reading, body, ["pricing_tiers"], needed=with_tiers, what=f"pricing_model {model}")
    _require(reading, body, ["billing_period", "billing_interval"], needed=type_ == "recurring", what=f"type {type_}")
    reading.errors.sort(key=_place)
    reading.finish()
    return {
        "product_id": values["product_id"],
        "model": model,
        "unit_price_minor": values.get("unit_price_minor"),
        "tiers": values.get("tiers", ()),
        "currency": reading.currency,
        "type": type_,
        "billing_period": values.get("billing_period"),
        "billing_interval": values.get("billing_interval"),
        "active": values.get("active", True),
    }


def _require(reading: Reading, body: Mapping[str, Any], names: Sequence[str], *, needed: bool, what: str) -> None:
    """Fields that a kind of price must have, and the other kinds cannot."""
    for name in names:
        sent = body.get(name) is not None
        if needed and not sent:
            reading.refuse(name, REQUIRED_MESSAGE)
        elif sent and not needed:
            reading.refuse(name, f"El campo no se admite con {what}.")


def _place(error: FieldError) -> int:
    """Where a field stands in the table."""
    names = [field.name for field in PRICE]
    top = error.field.partition("[")[0]
    return names.index(top) if top in names else len(names)


def read_changes(reading: Reading, it: Price, sent: Mapping[str, Any], products: Collection[UUID]) -> dict[str, Any]:
    """The new values of a price: what is kept with what was sent laid over it, read as a whole.

    What belongs to the former model or type goes with it. Raises InvalidError.
    """
    known = set(products)
    if "product_id" not in sent:
        # A price outlives its product; only becoming active needs it.
        known.add(it.product_id)
    reading.known = {ids.PRODUCT: known}
    kept = shown(it, reading.account)
    body = {field.name: kept[field.name] for field in PRICE} | dict(sent)
    standard = body["pricing_model"] in {None, PriceModel.STANDARD}
    gone = ["pricing_tiers"] if standard else ["unit_price"]
    gone += [] if body["type"] == "recurring" else ["billing_period", "billing_interval"]
    for name in gone:
        if name not in sent:
            body[name] = None
    return read_price(reading, body)


# --- Answers ---


def shown(it: Price, account: Account) -> dict[str, Any]:
    """A price as clients know it (6.4). Items of invoices keep this as a snapshot."""
    tiered = it.model is not PriceModel.STANDARD
    return {
        "id": ids.shown(ids.PRICE, it.id),
        "unit_price": render.optional_amount(it.unit_price_minor, it.currency),
        "pricing_model": it.model.value,
        "currency": it.currency,
        "billing_period": it.billing_period,
        "billing_interval": it.billing_interval,
        "type": it.type,
        "pricing_tiers": [_shown_tier(tier, it.currency) for tier in it.tiers] if tiered else None,
        "ntp_pricing": None,
        "created_date": render.created(it.created_at, account),
        "active": it.active,
        "is_test": account.is_test,
        "product_id": ids.shown(ids.PRODUCT, it.product_id),
    }


def _shown_tier(tier: Tier, currency: str) -> dict[str, Any]:
    return {"up_to": tier.up_to, "unit_price": render.amount(tier.unit_price_minor, currency)}


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    match error:
        case PriceInUseError():
            return error_reply("price_in_use")
        case ProductGoneError():
            return validation_reply([FieldError("active", "El producto de este precio fue eliminado.")])
        case _:
            return None


# --- Operations ---


class PriceActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /prices."""
        call = Call(self._core, request)

        def values(products: Products) -> dict[str, Any]:
            return read_price(call.reading({ids.PRODUCT: products.keys()}), call.body)

        def respond(made: Price) -> tuple[int, bytes]:
            return calls.answer(shown(made, call.account))

        done = await catalogue.create_price(
            self._core, call.account, values, respond, product_ids=_named(call), once=call.once
        )
        return call.done(done)

    async def change(self, request: ApiRequest) -> Reply:
        """POST /prices/{id}."""
        call = Call(self._core, request)

        def fields(it: Price, products: Products) -> dict[str, Any]:
            return read_changes(call.reading(), it, call.body, products.keys())

        def respond(it: Price) -> tuple[int, bytes]:
            return calls.answer(shown(it, call.account))

        price_id = call.id(ids.PRICE)
        done = await catalogue.change_price(
            self._core, call.account, price_id, fields, respond, product_ids=_named(call), once=call.once
        )
        return call.done(done)

    async def delete(self, request: ApiRequest) -> Reply:
        """DELETE /prices/{id}."""
        call = Call(self._core, request)

        def respond(it: Price) -> tuple[int, bytes]:
            return calls.deleted(ids.PRICE, it.id)

        price_id = call.id(ids.PRICE)
        return call.done(await catalogue.delete_price(self._core, call.account, price_id, respond, once=call.once))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /prices/{id}."""
        call = Call(self._core, request)
        price_id = call.id(ids.PRICE)
        async with self._core.database.connection() as connection:
            found = await stored.find_price(connection, call.account.id, price_id)
        if found is None:
            raise NotFoundError
        return call.ok(shown(found, call.account))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /prices."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.PRICE, FILTERS)
        async with self._core.database.connection() as connection:
            found = await stored.list_prices(connection, call.account.id, wanted, asked)
        return call.page([shown(it, call.account) for it in found.items], has_more=found.has_more)

    def routes(self) -> Sequence[Route]:
        """Every operation on prices."""
        one = "/prices/{price_id}"
        return (
            calls.creates("/prices", self.create, "createPrice", "Crear un precio"),
            calls.reads("/prices", self.list, "listPrices", "Listar precios"),
            calls.reads(one, self.get, "getPrice", "Consultar un precio"),
            calls.changes(one, self.change, "updatePrice", "Cambiar un precio"),
            calls.deletes(one, self.delete, "deletePrice", "Eliminar un precio"),
        )


def _named(call: Call) -> list[UUID]:
    return ids.named(call.body.get("product_id"), ids.PRODUCT)
