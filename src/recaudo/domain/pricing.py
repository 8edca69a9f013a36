"""What an invoice's items cost: price models, quantities, taxes, sums, and discounts on what a collection asks for.

Prices exclude tax. Unit prices and subtotals are exact in minor units; only a line's tax, a discount by percent and
the unit price derived from tiers are rounded, each once (Treli spec 8.1, 8.2, 10.8 and 12).
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.domain.rounding import TO_THE_CURRENCY, Rounding, percent_minor, round_minor

QUANTITY_MAX = 1_000_000
ITEMS_MAX = 500
TIERS_MAX = 50


class PriceModel(StrEnum):
    STANDARD = "standard"  # one unit price
    GRADUATED = "graduated"  # each unit at the price of its own tier
    VOLUME = "volume"  # all units at the price of the tier that the quantity reaches


class Tier(msgspec.Struct, frozen=True):
    """Up to and including `up_to` units; None is without end."""

    up_to: int | None
    unit_price_minor: int


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What units cost: `unit_price_minor` when standard, else the `tiers`, which `tier_faults` must find sound."""

    model: PriceModel = PriceModel.STANDARD
    unit_price_minor: int | None = None
    tiers: tuple[Tier, ...] = ()


class Tax(msgspec.Struct, frozen=True):
    """The tax of a line, as its product said when the invoice was made."""

    percentage: Decimal
    tax_id: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be priced. `unit_price_minor` given explicitly beats the price; one of the two must be there."""

    quantity: int = 1
    unit_price_minor: int | None = None
    price: Price | None = None
    tax: Tax | None = None


class PricedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its sums. The unit price is for showing: with tiers it is rounded, and the subtotal rules."""

    quantity: int
    unit_price_minor: int
    subtotal_minor: int
    tax_minor: int
    tax: Tax | None

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor + self.tax_minor

    @property
    def taxed(self) -> bool:
        """Whether the line bears tax; a line at 0 % does not."""
        return self.tax is not None and self.tax.percentage > 0


class TaxTotal(msgspec.Struct, frozen=True):
    """What the lines with the same tax id and percentage add up to."""

    tax: Tax
    amount_minor: int


class Charges(msgspec.Struct, frozen=True, kw_only=True):
    """The items of one invoice with their sums, in one currency."""

    currency: str
    items: tuple[PricedItem, ...]

    @property
    def subtotal_minor(self) -> int:
        return sum(item.subtotal_minor for item in self.items)

    @property
    def tax_minor(self) -> int:
        return sum(item.tax_minor for item in self.items)

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor + self.tax_minor

    @property
    def taxed_subtotal_minor(self) -> int:
        """The subtotals of the lines that bear tax."""
        return sum(item.subtotal_minor for item in self.items if item.taxed)

    @property
    def taxes(self) -> tuple[TaxTotal, ...]:
        """One total per pair of tax id and percentage, in the order of the items."""
        totals: dict[Tax, int] = {}
        for item in self.items:
            if item.tax is not None:
                totals[item.tax] = totals.get(item.tax, 0) + item.tax_minor
        return tuple(TaxTotal(tax, amount_minor) for tax, amount_minor in totals.items())


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """One discount of a collection: a fixed amount, or a percent from which the amount is worked out."""

    amount_minor: int = 0
    percent: Decimal | None = None
    code: str | None = None


class Discounted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for after discounts, and the discounts with their amounts, in the order given."""

    base_minor: int
    discounts: tuple[Discount, ...]

    @property
    def discounts_minor(self) -> int:
        return sum(discount.amount_minor for discount in self.discounts)

    @property
    def total_minor(self) -> int:
        return self.base_minor - self.discounts_minor


class TierFaultKind(StrEnum):
    COUNT = "count"  # none, or more than TIERS_MAX
    NOT_RISING = "not_rising"  # `up_to` is not above the one before, or not above zero
    OPEN_TOO_EARLY = "open_too_early"  # a tier without end that is not the last
    LAST_NOT_OPEN = "last_not_open"


class TierFault(msgspec.Struct, frozen=True):
    """What is wrong with a list of tiers; `index` counts from 0 and is None for the list itself."""

    kind: TierFaultKind
    index: int | None = None


class TotalTooLargeError(Exception):
    """The items cost more than the books accept; nothing was changed."""

    def __init__(self, total_minor: int) -> None:
        super().__init__(f"{total_minor} minor units are above {AMOUNT_MINOR_MAX}")
        self.total_minor = total_minor
        self.limit_minor = AMOUNT_MINOR_MAX


class DiscountsTooLargeError(Exception):
    """Discounts would leave nothing to ask for, or less than was received; nothing was changed."""

    def __init__(self, total_minor: int, *, received_minor: int) -> None:
        super().__init__(f"a total of {total_minor} minor units, of which {received_minor} were received")
        self.total_minor = total_minor
        self.received_minor = received_minor


def charge(items: Sequence[Item], *, currency: str, rounding: Rounding) -> Charges:
    """Price each item and sum up. `rounding` is the account's `tax_rounding` (Treli spec 8.1).

    A total of zero is possible: prices may be 0. Raises TotalTooLargeError above the largest amount of the books.
    """
    assert 1 <= len(items) <= ITEMS_MAX, "the edge limits the number of items"
    charges = Charges(
        currency=currency, items=tuple(_priced(item, currency=currency, rounding=rounding) for item in items)
    )
    if charges.total_minor > AMOUNT_MINOR_MAX:
        raise TotalTooLargeError(charges.total_minor)
    return charges


def subtotal_minor(price: Price, quantity: int) -> int:
    """What `quantity` units cost before tax, exactly (Treli spec 8.2)."""
    assert 1 <= quantity <= QUANTITY_MAX, "the edge limits quantities"
    match price.model:
        case PriceModel.STANDARD:
            return quantity * _standard_unit_minor(price)
        case PriceModel.GRADUATED:
            return _graduated_minor(price.tiers, quantity)
        case PriceModel.VOLUME:
            return quantity * _tier_reached(price.tiers, quantity).unit_price_minor


def tier_faults(tiers: Sequence[Tier]) -> tuple[TierFault, ...]:
    """Everything wrong with the tiers of a price: 1..50, `up_to` strictly rising, only the last without end (12)."""
    if not 1 <= len(tiers) <= TIERS_MAX:
        return (TierFault(TierFaultKind.COUNT),)
    faults: list[TierFault] = []
    reached = 0
    for index, tier in enumerate(tiers[:-1]):
        if tier.up_to is None:
            faults.append(TierFault(TierFaultKind.OPEN_TOO_EARLY, index))
            continue
        if tier.up_to <= reached:
            faults.append(TierFault(TierFaultKind.NOT_RISING, index))
        reached = max(0, tier.up_to)
    if tiers[-1].up_to is not None:
        faults.append(TierFault(TierFaultKind.LAST_NOT_OPEN, len(tiers) - 1))
    return tuple(faults)


def discount(base_minor: int, discounts: Sequence[Discount], *, currency: str, received_minor: int = 0) -> Discounted:
    """Take all discounts of a collection off the amount it asked for before any of them (Treli spec 10.8).

    Each percent is of `base_minor`, not of what earlier discounts leave, so adding, removing and recomputing agree.
    Raises DiscountsTooLargeError unless the total stays above 0 and at least what was received.
    """
    taken = Discounted(
        base_minor=base_minor, discounts=tuple(_taken(one, base_minor, currency=currency) for one in discounts)
    )
    if taken.total_minor <= 0 or taken.total_minor < received_minor:
        raise DiscountsTooLargeError(taken.total_minor, received_minor=received_minor)
    return taken


def _priced(item: Item, *, currency: str, rounding: Rounding) -> PricedItem:
    price = _price_of(item)
    sub_minor = subtotal_minor(price, item.quantity)
    return PricedItem(
        quantity=item.quantity,
        unit_price_minor=round_minor(sub_minor, item.quantity, currency=currency, rounding=TO_THE_CURRENCY),
        subtotal_minor=sub_minor,
        tax_minor=_tax_minor(item.tax, sub_minor, currency=currency, rounding=rounding),
        tax=item.tax,
    )


def _price_of(item: Item) -> Price:
    """The price that rules: the explicit unit price beats the price's model."""
    if item.unit_price_minor is not None:
        return Price(unit_price_minor=item.unit_price_minor)
    assert item.price is not None, "an item has a unit price or a price"
    return item.price


def _tax_minor(tax: Tax | None, base_minor: int, *, currency: str, rounding: Rounding) -> int:
    return 0 if tax is None else percent_minor(base_minor, tax.percentage, currency=currency, rounding=rounding)


def _standard_unit_minor(price: Price) -> int:
    assert price.unit_price_minor is not None, "a standard price has a unit price"
    assert price.unit_price_minor >= 0, "prices are never negative"
    return price.unit_price_minor


def _graduated_minor(tiers: Sequence[Tier], quantity: int) -> int:
    _assert_sound(tiers)
    sum_minor = counted = 0
    for tier in tiers:
        end = quantity if tier.up_to is None else min(tier.up_to, quantity)
        sum_minor += (end - counted) * tier.unit_price_minor
        counted = end
    assert counted == quantity, "every unit has its tier"
    return sum_minor


def _tier_reached(tiers: Sequence[Tier], quantity: int) -> Tier:
    _assert_sound(tiers)
    return next(tier for tier in tiers if tier.up_to is None or quantity <= tier.up_to)


def _assert_sound(tiers: Sequence[Tier]) -> None:
    assert not tier_faults(tiers), "tiers were checked when the price was made"
    assert all(tier.unit_price_minor >= 0 for tier in tiers), "prices are never negative"


def _taken(asked: Discount, base_minor: int, *, currency: str) -> Discount:
    """The discount with its amount worked out."""
    if asked.percent is None:
        assert asked.amount_minor > 0, "a discount without percent has an amount"
        return asked
    amount_minor = percent_minor(base_minor, asked.percent, currency=currency, rounding=TO_THE_CURRENCY)
    return msgspec.structs.replace(asked, amount_minor=amount_minor)
