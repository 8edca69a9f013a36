"""What items cost (Treli spec 8.1, 8.2, 10.8, 12 and 16). Amounts are in minor units: 20_000_00 is 20000.00 pesos.

Every expected value was worked out by hand; the comment of its row shows how.
"""

from decimal import Decimal, localcontext

import pytest

from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.domain.pricing import (
    Charges,
    Discount,
    DiscountsTooLargeError,
    Item,
    Price,
    PriceModel,
    Tax,
    TaxTotal,
    Tier,
    TierFault,
    TierFaultKind,
    TotalTooLargeError,
    charge,
    discount,
    subtotal_minor,
    tier_faults,
)
from recaudo.domain.rounding import TAX_ROUNDING, Rounding, RoundingMode

SPEC_TIERS = (Tier(5, 30_000_00), Tier(None, 20_000_00))
GRADUATED = Price(model=PriceModel.GRADUATED, tiers=SPEC_TIERS)
VOLUME = Price(model=PriceModel.VOLUME, tiers=SPEC_TIERS)
WHOLE_PESOS = Rounding(decimals=0)


def tax(percentage: str | None, tax_id: str | None = None) -> Tax | None:
    return None if percentage is None else Tax(Decimal(percentage), tax_id)


def an_item(unit_price_minor: int, percentage: str | None = None, *, quantity: int = 1) -> Item:
    return Item(unit_price_minor=unit_price_minor, quantity=quantity, tax=tax(percentage))


def charged(*items: Item, currency: str = "COP", rounding: Rounding = TAX_ROUNDING) -> Charges:
    return charge(items, currency=currency, rounding=rounding)


def sums(charges: Charges) -> tuple[int, int, int]:
    return charges.subtotal_minor, charges.tax_minor, charges.total_minor


# Lines and taxes

LINES = [
    # currency, unit price, quantity, percentage, rounding, (subtotal, tax, total)
    ("COP", 20_000_00, 1, "19", TAX_ROUNDING, (20_000_00, 3_800_00, 23_800_00)),  # spec 16.2: 20000 x 0.19
    ("COP", 1_000_000_00, 1, "19", TAX_ROUNDING, (1_000_000_00, 190_000_00, 1_190_000_00)),  # spec 8.3
    ("COP", 524_000_00, 1, "19", TAX_ROUNDING, (524_000_00, 99_560_00, 623_560_00)),  # Colombia 6.2 B
    ("COP", 523_999_00, 1, "19", TAX_ROUNDING, (523_999_00, 99_559_81, 623_558_81)),  # 6.2 C: 99559.81 exactly
    ("COP", 333_333_33, 1, "19", TAX_ROUNDING, (333_333_33, 63_333_33, 396_666_66)),  # 6.2 D: 63333.3327
    ("COP", 104_999_00, 1, "19", TAX_ROUNDING, (104_999_00, 19_949_81, 124_948_81)),  # 6.2 F: 19949.81 exactly
    ("COP", 33_33, 3, "19", TAX_ROUNDING, (99_99, 19_00, 118_99)),  # 3 x 33.33; 99.99 x 0.19 = 18.9981
    ("COP", 1_50, 1, "19", TAX_ROUNDING, (1_50, 29, 1_79)),  # 0.285: the half goes up
    ("COP", 10, 1, "5", TAX_ROUNDING, (10, 1, 11)),  # 0.10 x 0.05 = 0.005: the half goes up
    ("COP", 9, 1, "5", TAX_ROUNDING, (9, 0, 9)),  # 0.09 x 0.05 = 0.0045: below the half
    ("COP", 12_345_67, 1, "16.6667", TAX_ROUNDING, (12_345_67, 2_057_62, 14_403_29)),  # 2057.61578189
    ("COP", 20_000_00, 1, "0", TAX_ROUNDING, (20_000_00, 0, 20_000_00)),
    ("COP", 20_000_00, 1, None, TAX_ROUNDING, (20_000_00, 0, 20_000_00)),
    ("COP", 20_000_00, 1, "100", TAX_ROUNDING, (20_000_00, 20_000_00, 40_000_00)),
    ("COP", 0, 7, "19", TAX_ROUNDING, (0, 0, 0)),  # a gift
    ("COP", 999_999_999_99, 1000, "19", TAX_ROUNDING, (999_999_999_990_00, 189_999_999_998_10, 1_189_999_999_988_10)),
    ("CLP", 990, 1, "19", TAX_ROUNDING, (990, 188, 1_178)),  # 188.1
    ("CLP", 350, 3, "19", TAX_ROUNDING, (1_050, 200, 1_250)),  # 199.5: the half goes up, to a whole peso
    ("COP", 333_333_33, 1, "19", WHOLE_PESOS, (333_333_33, 63_333_00, 396_666_33)),  # 63333.3327, as a setting
    ("COP", 50_50, 1, "19", WHOLE_PESOS, (50_50, 10_00, 60_50)),  # 9.595
    ("COP", 1_50, 1, "19", Rounding(decimals=2, mode=RoundingMode.HALF_EVEN), (1_50, 28, 1_78)),  # 28.5 -> 28
    ("COP", 50, 1, "19", Rounding(decimals=2, mode=RoundingMode.HALF_EVEN), (50, 10, 60)),  # 9.5 -> 10
    ("COP", 4_00, 1, "4.2", Rounding(decimals=2, mode=RoundingMode.HALF_EVEN), (4_00, 17, 4_17)),  # 16.8 -> 17
    ("COP", 1_51, 1, "19", Rounding(decimals=2, mode=RoundingMode.DOWN), (1_51, 28, 1_79)),  # 28.69 -> 28
]


@pytest.mark.parametrize(("currency", "unit", "quantity", "percentage", "rounding", "expected"), LINES)
def test_a_line_costs_what_the_table_says(
    currency: str, unit: int, quantity: int, percentage: str | None, rounding: Rounding, expected: tuple[int, int, int]
):
    charges = charged(an_item(unit, percentage, quantity=quantity), currency=currency, rounding=rounding)
    assert sums(charges) == expected
    (item,) = charges.items
    assert (item.subtotal_minor, item.tax_minor, item.total_minor) == expected
    assert (item.unit_price_minor, item.quantity) == (unit, quantity)


def test_each_line_is_rounded_alone_and_the_sum_is_not_rounded_again():
    # 3 x 0.29 = 0.87, whereas 4.50 x 0.19 = 0.855 would give 0.86.
    assert sums(charged(*[an_item(1_50, "19")] * 3)) == (4_50, 87, 5_37)


def test_lines_with_different_taxes_add_up():
    # 10000 x 0.19 = 1900; 2 x 5000 x 0.05 = 500; 3000 without tax.
    charges = charged(an_item(10_000_00, "19"), an_item(5_000_00, "5", quantity=2), an_item(3_000_00))
    assert sums(charges) == (23_000_00, 2_400_00, 25_400_00)


def test_only_lines_that_bear_tax_are_taxed_lines():
    # 10000 + 2 x 5000; the line at 0 % and the one without tax bear none.
    charges = charged(
        an_item(10_000_00, "19"), an_item(5_000_00, "5", quantity=2), an_item(7_000_00, "0"), an_item(3_000_00)
    )
    assert charges.taxed_subtotal_minor == 20_000_00


def test_the_precision_of_the_decimal_context_changes_nothing():
    with localcontext(prec=2):
        assert sums(charged(an_item(333_333_33, "16.6667"))) == (333_333_33, 55_555_67, 388_889_00)  # 55555.6661...


def test_taxes_are_told_per_tax_id_and_percentage_in_the_order_of_the_items():
    items = [
        Item(unit_price_minor=10_000_00, tax=Tax(Decimal(19), "A")),  # 1900
        Item(unit_price_minor=10_000_00, tax=Tax(Decimal(5), "A")),  # 500
        Item(unit_price_minor=1_000_00),
        Item(unit_price_minor=20_000_00, tax=Tax(Decimal("19.00"), "A")),  # 3800
        Item(unit_price_minor=1_000_00, tax=Tax(Decimal(19), "B")),  # 190
        Item(unit_price_minor=1_000_00, tax=Tax(Decimal(0), "A")),  # 0
    ]
    assert charged(*items).taxes == (
        TaxTotal(Tax(Decimal(19), "A"), 5_700_00),
        TaxTotal(Tax(Decimal(5), "A"), 500_00),
        TaxTotal(Tax(Decimal(19), "B"), 190_00),
        TaxTotal(Tax(Decimal(0), "A"), 0),
    )


def test_the_taxes_of_the_spec_example_are_one_line():
    item = Item(unit_price_minor=20_000_00, tax=Tax(Decimal(19), "12345"))
    assert charged(item).taxes == (TaxTotal(Tax(Decimal(19), "12345"), 3_800_00),)


def test_a_total_above_what_the_books_accept_is_refused_with_the_facts():
    # 10^12 units of a thousand minor units are the limit exactly; a hundredth of a percent more is above it.
    most = an_item(10**12, quantity=1000)
    assert charged(most).total_minor == 10**15 == AMOUNT_MINOR_MAX
    with pytest.raises(TotalTooLargeError) as refused:
        charged(an_item(10**12, "0.01", quantity=1000))
    assert (refused.value.total_minor, refused.value.limit_minor) == (10**15 + 10**11, 10**15)


@pytest.mark.parametrize(
    "item",
    [
        Item(unit_price_minor=-1),
        Item(unit_price_minor=1, quantity=0),
        Item(unit_price_minor=1, quantity=1_000_001),
        Item(unit_price_minor=1, tax=Tax(Decimal("100.01"))),
        Item(unit_price_minor=1, tax=Tax(Decimal(-1))),
        Item(),
    ],
)
def test_what_the_edge_must_stop_is_asserted(item: Item):
    with pytest.raises(AssertionError):
        charged(item)


@pytest.mark.parametrize("count", [0, 501])
def test_the_number_of_items_is_asserted(count: int):
    with pytest.raises(AssertionError):
        charged(*[an_item(1)] * count)


# Price models

MODELS = [
    # price, quantity, subtotal, unit price
    (GRADUATED, 8, 210_000_00, 26_250_00),  # spec 8.2: 5 x 30000 + 3 x 20000; 210000 / 8
    (GRADUATED, 7, 190_000_00, 27_142_86),  # 5 x 30000 + 2 x 20000; 27142.857...
    (GRADUATED, 5, 150_000_00, 30_000_00),  # the first tier, filled
    (GRADUATED, 6, 170_000_00, 28_333_33),  # 150000 + 20000; 28333.333...
    (GRADUATED, 1, 30_000_00, 30_000_00),
    (VOLUME, 8, 160_000_00, 20_000_00),  # spec 8.2: 8 x 20000
    (VOLUME, 5, 150_000_00, 30_000_00),  # spec 8.2: the tier's last unit is in it
    (VOLUME, 6, 120_000_00, 20_000_00),  # 6 x 20000: less than five cost
    (Price(unit_price_minor=20_000_00), 3, 60_000_00, 20_000_00),
    # 10 x 1.00 + 10 x 0.75 + 5 x 0.50 = 20.00; 20.00 / 25 = 0.80
    (Price(model=PriceModel.GRADUATED, tiers=(Tier(10, 1_00), Tier(20, 75), Tier(None, 50))), 25, 20_00, 80),
    # 1 x 0.03 + 7 x 0.01 = 0.10; 0.10 / 8 = 0.0125, shown as 0.01 while the subtotal stays
    (Price(model=PriceModel.GRADUATED, tiers=(Tier(1, 3), Tier(None, 1))), 8, 10, 1),
    # 1 x 0.02 + 1 x 0.01 = 0.03; 0.015: the half goes up
    (Price(model=PriceModel.GRADUATED, tiers=(Tier(1, 2), Tier(None, 1))), 2, 3, 2),
]


@pytest.mark.parametrize(("price", "quantity", "subtotal", "unit"), MODELS)
def test_a_price_model_costs_what_the_table_says(price: Price, quantity: int, subtotal: int, unit: int):
    assert subtotal_minor(price, quantity) == subtotal
    (item,) = charged(Item(price=price, quantity=quantity)).items
    assert (item.subtotal_minor, item.unit_price_minor) == (subtotal, unit)


def test_tax_is_of_the_subtotal_of_the_tiers_not_of_the_rounded_unit_price():
    # 190000 x 0.19 = 36100, whereas 7 x 27142.86 x 0.19 = 36100.0038.
    assert sums(charged(Item(price=GRADUATED, quantity=7, tax=tax("19")))) == (190_000_00, 36_100_00, 226_100_00)


def test_an_explicit_unit_price_beats_the_model_of_the_price():
    charges = charged(Item(price=GRADUATED, unit_price_minor=1_000_00, quantity=8))
    assert (charges.subtotal_minor, charges.items[0].unit_price_minor) == (8_000_00, 1_000_00)


def test_an_explicit_unit_price_of_zero_beats_the_price_too():
    assert charged(Item(price=VOLUME, unit_price_minor=0, quantity=8)).total_minor == 0


# Tiers

_KIND = TierFaultKind
TIER_LISTS = [
    ([Tier(None, 1)], []),
    ([Tier(5, 1), Tier(None, 1)], []),
    ([Tier(5, 1), Tier(6, 9), Tier(None, 0)], []),
    ([Tier(n, 1) for n in range(1, 50)] + [Tier(None, 1)], []),
    ([], [TierFault(_KIND.COUNT)]),
    ([Tier(n, 1) for n in range(1, 51)] + [Tier(None, 1)], [TierFault(_KIND.COUNT)]),
    ([Tier(5, 1)], [TierFault(_KIND.LAST_NOT_OPEN, 0)]),
    ([Tier(5, 1), Tier(5, 1), Tier(None, 1)], [TierFault(_KIND.NOT_RISING, 1)]),
    ([Tier(5, 1), Tier(4, 1), Tier(None, 1)], [TierFault(_KIND.NOT_RISING, 1)]),
    ([Tier(0, 1), Tier(None, 1)], [TierFault(_KIND.NOT_RISING, 0)]),
    ([Tier(-3, 1), Tier(-2, 1), Tier(None, 1)], [TierFault(_KIND.NOT_RISING, 0), TierFault(_KIND.NOT_RISING, 1)]),
    ([Tier(None, 1), Tier(None, 1)], [TierFault(_KIND.OPEN_TOO_EARLY, 0)]),
    (
        [Tier(5, 1), Tier(None, 1), Tier(3, 1), Tier(9, 1)],
        [TierFault(_KIND.OPEN_TOO_EARLY, 1), TierFault(_KIND.NOT_RISING, 2), TierFault(_KIND.LAST_NOT_OPEN, 3)],
    ),
]


@pytest.mark.parametrize(("tiers", "faults"), TIER_LISTS)
def test_every_fault_of_the_tiers_is_told(tiers: list[Tier], faults: list[TierFault]):
    assert list(tier_faults(tiers)) == faults


@pytest.mark.parametrize("model", [PriceModel.GRADUATED, PriceModel.VOLUME])
@pytest.mark.parametrize("tiers", [(), (Tier(5, 1),), (Tier(None, -1),)])
def test_a_price_with_unsound_tiers_is_never_used(model: PriceModel, tiers: tuple[Tier, ...]):
    with pytest.raises(AssertionError):
        subtotal_minor(Price(model=model, tiers=tiers), 1)


# Discounts


def off(amount_minor: int = 0, percent: str | None = None) -> Discount:
    return Discount(amount_minor=amount_minor, percent=None if percent is None else Decimal(percent))


DISCOUNTS = [
    # currency, base, discounts, their amounts, total
    ("COP", 23_800_00, [off(1_000_00)], [1_000_00], 22_800_00),
    ("COP", 23_800_00, [off(percent="10")], [2_380_00], 21_420_00),  # 2380
    ("COP", 23_800_00, [off(percent="10"), off(1_000_00)], [2_380_00, 1_000_00], 20_420_00),
    ("COP", 100_00, [off(percent="10"), off(percent="10")], [10_00, 10_00], 80_00),  # both of 100, not 81
    ("COP", 100_00, [off(50_00), off(percent="10")], [50_00, 10_00], 40_00),  # of the base, whatever comes before
    ("COP", 999_99, [off(percent="12.35")], [123_50], 876_49),  # 123.498765
    ("COP", 20, [off(percent="2.5")], [1], 19),  # 0.005: the half goes up
    ("COP", 100_00, [off(percent="99.99")], [99_99], 1),
    ("COP", 40, [off(percent="1")], [0], 40),  # 0.004: too small to count
    ("CLP", 1_000, [off(percent="33.33")], [333], 667),  # 333.3
    ("CLP", 990, [off(percent="50"), off(5)], [495, 5], 490),
    ("COP", 100_00, [], [], 100_00),
]


@pytest.mark.parametrize(("currency", "base", "discounts", "amounts", "total"), DISCOUNTS)
def test_discounts_take_off_what_the_table_says(
    currency: str, base: int, discounts: list[Discount], amounts: list[int], total: int
):
    taken = discount(base, discounts, currency=currency)
    assert [one.amount_minor for one in taken.discounts] == amounts
    assert [(one.percent, one.code) for one in taken.discounts] == [(one.percent, one.code) for one in discounts]
    assert taken.total_minor == total


def test_a_percent_is_worked_out_anew_when_the_items_change():
    stored = discount(100_00, [off(percent="10"), off(5_00)], currency="COP").discounts
    assert discount(200_00, stored, currency="COP").total_minor == 175_00  # 200 - 20 - 5


def test_discounts_may_lower_the_total_to_what_was_received_but_not_below():
    assert discount(100_00, [off(40_00)], currency="COP", received_minor=60_00).total_minor == 60_00
    with pytest.raises(DiscountsTooLargeError) as refused:
        discount(100_00, [off(40_01)], currency="COP", received_minor=60_00)
    assert (refused.value.total_minor, refused.value.received_minor) == (59_99, 60_00)


@pytest.mark.parametrize(
    ("discounts", "total"),
    [([off(100_00)], 0), ([off(percent="100")], 0), ([off(60_00), off(percent="50")], -10_00)],
)
def test_discounts_never_leave_nothing_to_ask_for(discounts: list[Discount], total: int):
    with pytest.raises(DiscountsTooLargeError) as refused:
        discount(100_00, discounts, currency="COP")
    assert (refused.value.total_minor, refused.value.received_minor) == (total, 0)


def test_a_discount_of_nothing_is_asserted():
    with pytest.raises(AssertionError):
        discount(100_00, [off(0)], currency="COP")
