"""Items: what a body charges for, and how a line is shown (Treli specification, 6.2, 8.1, 8.2 and 9.1)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from recaudo.dialects.treli import ids, prices, products, render
from recaudo.dialects.treli.errors import FieldError
from recaudo.dialects.treli.fields import MISSING, amount, text, whole
from recaudo.dialects.treli.reading import (
    Field,
    Reader,
    Reading,
    read_array,
    read_members,
    read_object,
)
from recaudo.domain import money
from recaudo.domain.billing import BilledItem, Line
from recaudo.domain.pricing import ITEMS_MAX, QUANTITY_MAX, Item
from recaudo.store.catalogue import PricedProduct

NAME_CHARS_MAX = 255
PATH = "items"
MEMBERS = ("unit_price", "quantity", "price", "name")

Priced = Mapping[UUID, PricedProduct]
"""Prices that a body names and the account has, with their products."""


def read_currency(reading: Reading, body: Mapping[str, Any]) -> None:
    """Money is read in the currency of its own body, wherever that stands."""
    named = body.get("currency")
    if isinstance(named, str) and named.strip() in money.DECIMALS:
        reading.currency = named.strip()


def items(known: Priced) -> Reader:
    """The lines that a body's items stand for."""

    def read(reading: Reading, path: str, value: object) -> tuple[Line, ...] | None:
        elements = read_array(reading, path, value, low=1, high=ITEMS_MAX)
        if elements is None:
            return None
        found = [_item(reading, f"{path}[{i}]", element, known) for i, element in enumerate(elements)]
        lines = tuple(line for line in found if line is not None)
        return lines if len(lines) == len(found) else None

    return read


def _item(reading: Reading, path: str, value: object, known: Priced) -> Line | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    before = len(reading.errors)
    has_price = members.get("price") is not None
    fields = (
        Field("unit_price", "unit_price_minor", amount(above_zero=False), required=not has_price),
        Field("quantity", "quantity", whole(1, QUANTITY_MAX)),
        Field("price", "priced", _price(known)),
        Field("name", "name", text(1, NAME_CHARS_MAX), required=not has_price),
    )
    values = read_members(reading, fields, members, inside=path)
    if len(reading.errors) > before:
        return None
    return _line(reading, values)


def _price(known: Priced) -> Reader:
    """An active price of an active product, in the body's currency."""

    def read(reading: Reading, path: str, value: object) -> PricedProduct | None:
        price_id = ids.read(ids.PRICE, value.strip()) if isinstance(value, str) else None
        found = None if price_id is None else known.get(price_id)
        if found is None:
            reading.refuse(path, MISSING[ids.PRICE])
        elif not found.price.active:
            reading.refuse(path, "El precio no está activo.")
        elif found.product.status != "active":
            reading.refuse(path, "El producto de este precio no está activo.")
        elif found.price.currency != reading.currency:
            reading.refuse(path, f"El precio está en {found.price.currency} y no en {reading.currency}.")
        else:
            return found
        return None

    return read


def _line(reading: Reading, values: Mapping[str, Any]) -> Line:
    """An explicit unit price beats the price's model (8.2)."""
    priced: PricedProduct | None = values.get("priced")
    quantity = values.get("quantity", 1)
    unit_price_minor = values.get("unit_price_minor")
    if priced is None:
        return Line(name=values["name"], item=Item(quantity=quantity, unit_price_minor=unit_price_minor))
    return Line(
        name=values.get("name", priced.product.name),
        item=Item(
            quantity=quantity,
            unit_price_minor=unit_price_minor,
            price=priced.price.rule,
            tax=priced.product.tax,
        ),
        product=products.shown(priced.product, reading.account),
        price=prices.shown(priced.price, reading.account),
    )


def unused(known: Priced) -> list[UUID]:
    """The prices that no invoice used so far."""
    return [price_id for price_id, it in known.items() if it.price.used_at is None]


# --- Order of errors ---


def in_order(errors: Sequence[FieldError], names: Sequence[str], inner: Sequence[str]) -> list[FieldError]:
    """Errors in the order of the tables: by the place of their member, then of each name inside it; elements by index.

    `inner` are the names inside members, each in its order among its neighbours.
    """
    places = {name: i for i, name in enumerate(names)}
    inside = {name: i for i, name in enumerate(inner)}

    def place(error: FieldError) -> tuple[int, ...]:
        top, *steps = error.field.replace("[", ".").replace("]", "").split(".")
        deeper = (int(step) if step.isdecimal() else inside.get(step, len(inside)) for step in steps)
        return (places.get(top, len(places)), *deeper)

    return sorted(errors, key=place)


# --- Answers ---


def shown(it: BilledItem, currency: str) -> dict[str, Any]:
    """A line as clients know it (6.2)."""
    return {
        "id": ids.shown(ids.ITEM, it.id),
        "name": it.name,
        "unit_price": render.amount(it.unit_price_minor, currency),
        "quantity": it.quantity,
        "subtotal": render.amount(it.subtotal_minor, currency),
        "total": render.amount(it.total_minor, currency),
        "product": it.product,
        "price": it.price,
    }


def only(id: UUID, name: str, amount_minor: int, currency: str) -> dict[str, Any]:
    """The one line of what was asked for as a sum: without product, price and tax."""
    return shown(BilledItem(id=id, name=name, unit_price_minor=amount_minor, subtotal_minor=amount_minor), currency)
