"""What an invoice charges, as it was made: lines, taxes, what the payer withholds, and what is left to collect.

A bill is a snapshot. Products, prices and retentions may change afterwards; the invoice keeps what it was made with.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.pricing import Charges, Discount, Item, charge, discount
from recaudo.domain.retaining import Retention, Withheld, withhold
from recaudo.domain.rounding import Rounding


class BilledItem(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the invoice. `product` and `price` are what they were, for showing; no rule reads them."""

    id: UUID
    name: str
    quantity: int = 1
    unit_price_minor: int
    subtotal_minor: int
    tax_minor: int = 0
    product: dict[str, Any] | None = None
    price: dict[str, Any] | None = None

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor + self.tax_minor


class BilledTax(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of one tax add up to. `percentage` is as the product said."""

    tax_id: str | None
    percentage: Decimal
    amount_minor: int


class BilledRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer withholds under one retention; 0 when the invoice stayed below its minimum."""

    id: UUID
    kind: str
    percentage: Decimal
    base_minor: int
    amount_minor: int


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The whole invoice: before tax, with tax, and less what is withheld."""

    items: tuple[BilledItem, ...]
    subtotal_minor: int
    total_minor: int
    taxes: tuple[BilledTax, ...] = ()
    retentions: tuple[BilledRetention, ...] = ()

    @property
    def retentions_minor(self) -> int:
        return sum(r.amount_minor for r in self.retentions)

    @property
    def amount_to_collect_minor(self) -> int:
        return self.total_minor - self.retentions_minor


class AppliedDiscount(msgspec.Struct, frozen=True, kw_only=True):
    """One discount of a collection, with its amount worked out."""

    id: UUID
    amount_minor: int
    percent: Decimal | None = None
    code: str | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What only collections of some dialects have: a title, discounts, a rule of reminders, a successor for the rest.

    `base_minor` is what was asked for before discounts. `wire` is opaque, as an invoice's.
    """

    title: str | None = None
    base_minor: int | None = None
    discounts: tuple[AppliedDiscount, ...] = ()
    rule_id: UUID | None = None
    rest_id: UUID | None = None  # the collection that asks for what this one left
    wire: dict[str, Any] = {}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be billed: what it costs, and how it is shown."""

    name: str
    item: Item
    product: dict[str, Any] | None = None
    price: dict[str, Any] | None = None


def make_bill(
    lines: Sequence[Line],
    retentions: Sequence[Retention],
    *,
    currency: str,
    tax_rounding: Rounding,
    retention_rounding: Rounding,
    new_id: Callable[[], UUID],
) -> Bill:
    """Price lines and take retentions off (Treli spec, section 8).

    Raises TotalTooLargeError and, where retentions leave nothing to collect, NothingToCollectError.
    """
    charges = charge([line.item for line in lines], currency=currency, rounding=tax_rounding)
    withheld = withhold(charges, retentions, rounding=retention_rounding).withheld
    return Bill(
        items=_items(lines, charges, new_id),
        subtotal_minor=charges.subtotal_minor,
        total_minor=charges.total_minor,
        taxes=tuple(
            BilledTax(tax_id=t.tax.tax_id, percentage=t.tax.percentage, amount_minor=t.amount_minor)
            for t in charges.taxes
        ),
        retentions=tuple(_retention(one) for one in withheld),
    )


def _items(lines: Sequence[Line], charges: Charges, new_id: Callable[[], UUID]) -> tuple[BilledItem, ...]:
    return tuple(
        BilledItem(
            id=new_id(),
            name=line.name,
            quantity=priced.quantity,
            unit_price_minor=priced.unit_price_minor,
            subtotal_minor=priced.subtotal_minor,
            tax_minor=priced.tax_minor,
            product=line.product,
            price=line.price,
        )
        for line, priced in zip(lines, charges.items, strict=True)
    )


def _retention(withheld: Withheld) -> BilledRetention:
    return BilledRetention(
        id=withheld.retention.id,
        kind=withheld.retention.kind.value,
        percentage=withheld.retention.percentage,
        base_minor=withheld.base_minor,
        amount_minor=withheld.amount_minor,
    )


def apply_discounts(
    terms: Terms, base_minor: int, discounts: Sequence[AppliedDiscount], *, currency: str, received_minor: int
) -> tuple[Terms, int]:
    """The terms with these discounts, each amount worked out from the base, and the total that is left (10.8).

    Raises DiscountsTooLargeError unless the total stays above 0 and at least what was received.
    """
    asked = [Discount(amount_minor=d.amount_minor, percent=d.percent, code=d.code) for d in discounts]
    taken = discount(base_minor, asked, currency=currency, received_minor=received_minor)
    applied = tuple(
        msgspec.structs.replace(d, amount_minor=t.amount_minor) for d, t in zip(discounts, taken.discounts, strict=True)
    )
    return msgspec.structs.replace(terms, base_minor=base_minor, discounts=applied), taken.total_minor
