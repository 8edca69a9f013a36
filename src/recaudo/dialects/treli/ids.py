"""Ids on the wire: a prefix and the core's id in base 62 (Treli specification, 0.3)."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from recaudo.domain.references import base62, from_base62

CUSTOMER: Final = "cus"
COLLECTION: Final = "col"
"""Of invoices too (6.9)."""
ITEM: Final = "si"
PRODUCT: Final = "prod"
PRICE: Final = "price"
DISCOUNT: Final = "sd"
CREDIT_NOTE: Final = "cn"
RETENTION: Final = "ret"
RULE: Final = "rule"
TRANSACTION: Final = "txn"
EVENT: Final = "evt"


def shown(prefix: str, id: UUID) -> str:
    """An id as clients know it."""
    return f"{prefix}_{base62(id.int)}"


def read(prefix: str, text: object) -> UUID | None:
    """The core's id; None for a text that is no id of this kind, which then names nothing."""
    if not isinstance(text, str):
        return None
    kind, line, digits = text.partition("_")
    number = from_base62(digits) if kind == prefix and line else None
    return None if number is None else UUID(int=number)


def named(value: object, prefix: str) -> list[UUID]:
    """Every id of a kind that a body names anywhere, to be looked up before the body is read."""
    found: dict[UUID, None] = {}
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            id_ = read(prefix, one.strip())
            if id_ is not None:
                found[id_] = None
        elif isinstance(one, Mapping):
            waiting.extend(one.values())  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(one, Sequence):
            waiting.extend(one)  # pyright: ignore[reportUnknownArgumentType]
    return list(found)
