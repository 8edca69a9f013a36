"""What payers withhold (Treli spec 8.3, 14 and 16.2; Colombia spec 5 and 6). 20_000_00 is 20000.00 pesos.

Every expected value was worked out by hand; the comment of its row shows how.
"""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from recaudo.domain.pricing import Charges, Item, Tax, charge
from recaudo.domain.retaining import (
    AmbiguousRetentionError,
    NothingToCollectError,
    Retention,
    RetentionFault,
    RetentionKind,
    in_force,
    retention_fault,
    withhold,
)
from recaudo.domain.rounding import RETENTION_ROUNDING, TAX_ROUNDING, Rounding, RoundingMode

RETEFTE, RETEICA, RETEIVA = RetentionKind.RETEFTE, RetentionKind.RETEICA, RetentionKind.RETEIVA
CENTS = Rounding(decimals=2)


def a_retention(kind: RetentionKind, percentage: str, minimum: int = 0, **fields: Any) -> Retention:
    return Retention(
        **{"id": UUID(int=1), "kind": kind, "percentage": Decimal(percentage), "minimum_base_minor": minimum} | fields
    )


def charges_of(*lines: tuple[int, str | None], currency: str = "COP") -> Charges:
    items = [Item(unit_price_minor=unit, tax=Tax(Decimal(percent)) if percent else None) for unit, percent in lines]
    return charge(items, currency=currency, rounding=TAX_ROUNDING)


def amounts(charges: Charges, *retentions: Retention, rounding: Rounding = RETENTION_ROUNDING) -> list[int]:
    return [one.amount_minor for one in withhold(charges, retentions, rounding=rounding).withheld]


# Colombia spec 5.2 and 5.6: the rounded minimums of 2026; Bogotá's own ones for reteica (4 and 27 UVT).
SERVICES = a_retention(RETEFTE, "4", 105_000_00)
GOODS = a_retention(RETEFTE, "2.5", 524_000_00)
FEES = a_retention(RETEFTE, "11")
ICA_SERVICES = a_retention(RETEICA, "0.966", 209_000_00)
ICA_GOODS = a_retention(RETEICA, "0.966", 1_414_000_00)
IVA_SERVICES = a_retention(RETEIVA, "15", 105_000_00)
IVA_GOODS = a_retention(RETEIVA, "15", 524_000_00)

EXAMPLES = [
    # lines, retentions, each amount, retentions_total, amount_to_collect
    (  # Treli 8.3: 1000000 x 0.025, x 0.00966; 190000 x 0.15; 1190000 - 63160
        [(1_000_000_00, "19")],
        [a_retention(RETEFTE, "2.5", 500_000_00), ICA_SERVICES, IVA_SERVICES],
        [25_000_00, 9_660_00, 28_500_00],
        63_160_00,
        1_126_840_00,
    ),
    (  # Treli 16.2: 20000 x 0.00966 = 193.2 -> 193; 20000 x 0.025 = 500; 23800 - 693
        [(20_000_00, "19")],
        [a_retention(RETEICA, "0.966"), a_retention(RETEFTE, "2.5")],
        [193_00, 500_00],
        693_00,
        23_107_00,
    ),
    (  # Colombia 6.2 A: 40000 + 28500 + 9660; 1190000 - 78160
        [(1_000_000_00, "19")],
        [SERVICES, IVA_SERVICES, ICA_SERVICES],
        [40_000_00, 28_500_00, 9_660_00],
        78_160_00,
        1_111_840_00,
    ),
    (  # B, exactly at the minimum: 524000 x 0.025; 99560 x 0.15; below 27 UVT; 623560 - 28034
        [(524_000_00, "19")],
        [GOODS, IVA_GOODS, ICA_GOODS],
        [13_100_00, 14_934_00, 0],
        28_034_00,
        595_526_00,
    ),
    ([(523_999_00, "19")], [GOODS, IVA_GOODS, ICA_GOODS], [0, 0, 0], 0, 623_558_81),  # C: one peso below
    (  # D: 36666.6663 -> 36667; 63333.33 x 0.15 = 9499.9995 -> 9500; 3219.999... -> 3220; 396666.66 - 49387
        [(333_333_33, "19")],
        [FEES, IVA_SERVICES, ICA_SERVICES],
        [36_667_00, 9_500_00, 3_220_00],
        49_387_00,
        347_279_66,
    ),
    ([(105_000_00, "19")], [SERVICES], [4_200_00], 4_200_00, 120_750_00),  # E: at the minimum
    ([(104_999_00, "19")], [SERVICES], [0], 0, 124_948_81),  # F: below it
    ([(1_000_000_00, "19")], [], [], 0, 1_190_000_00),  # G: a consumer withholds nothing
    (  # The minimum of reteiva is compared with the taxed 500000, not with 1100000: 0. Retefte: 1100000 x 0.025
        [(500_000_00, "19"), (600_000_00, None)],
        [GOODS, IVA_GOODS],
        [27_500_00, 0],
        27_500_00,
        1_167_500_00,  # 1100000 + 95000 - 27500
    ),
    (  # ... nor is a line at 0 % taxed; with 24000 more that is taxed at 5 %, 524000 are: (95000 + 1200) x 0.15
        [(500_000_00, "19"), (600_000_00, "0"), (24_000_00, "5")],
        [IVA_GOODS],
        [14_430_00],
        14_430_00,
        1_205_770_00,  # 1124000 + 96200 - 14430
    ),
    # The minimum is compared with the taxable amount, not with the tax: 119000 of tax would be too little.
    ([(1_000_000_00, "19")], [IVA_GOODS], [28_500_00], 28_500_00, 1_161_500_00),
    ([(1_000_000_00, None)], [a_retention(RETEIVA, "15")], [0], 0, 1_000_000_00),  # no tax, nothing of it
    ([(20_00, None)], [a_retention(RETEFTE, "2.5")], [1_00], 1_00, 19_00),  # 0.50: the half goes up
    ([(19_99, None)], [a_retention(RETEFTE, "2.5")], [0], 0, 19_99),  # 0.49975
    ([(1_000_00, "19")], [a_retention(RETEIVA, "100")], [190_00], 190_00, 1_000_00),  # services from abroad
    ([(333_33, "19")], [a_retention(RETEICA, "0.0001")], [0], 0, 396_66),  # 0.00033; 333.33 + 63.33
]


@pytest.mark.parametrize(("lines", "retentions", "each", "total", "to_collect"), EXAMPLES)
def test_retentions_are_those_of_the_table(
    lines: list[tuple[int, str | None]], retentions: list[Retention], each: list[int], total: int, to_collect: int
):
    net = withhold(charges_of(*lines), retentions, rounding=RETENTION_ROUNDING)
    assert [one.amount_minor for one in net.withheld] == each
    assert net.retentions_minor == total
    assert net.amount_to_collect_minor == to_collect


@pytest.mark.parametrize(
    ("currency", "subtotal", "percentage", "rounding", "amount"),
    [
        ("COP", 333_333_33, "11", CENTS, 36_666_67),  # 36666.6663, as a setting
        ("COP", 333_333_33, "11", Rounding(decimals=0, mode=RoundingMode.DOWN), 36_666_00),
        ("COP", 20_00, "2.5", Rounding(decimals=0, mode=RoundingMode.HALF_EVEN), 0),  # 0.50 -> 0, the even one
        ("COP", 60_00, "2.5", Rounding(decimals=0, mode=RoundingMode.HALF_EVEN), 2_00),  # 1.50 -> 2, the even one
        ("COP", 1_234_567_00, "2.5", Rounding(decimals=-3), 31_000_00),  # 30864.175, to thousands
        ("USD", 150_00, "1", RETENTION_ROUNDING, 2_00),  # 1.50: whole units in any currency
        ("CLP", 1_050, "10", RETENTION_ROUNDING, 105),
        ("CLP", 1_050, "11", RETENTION_ROUNDING, 116),  # 115.5
        ("CLP", 1_050, "11", CENTS, 116),  # a currency without decimals has none to keep
    ],
)
def test_rounding_is_a_setting(currency: str, subtotal: int, percentage: str, rounding: Rounding, amount: int):
    charges = charges_of((subtotal, None), currency=currency)
    assert amounts(charges, a_retention(RETEFTE, percentage), rounding=rounding) == [amount]


def test_each_retention_is_rounded_alone():
    # 14.50 and 14.50 give 15 + 15; together 29.00.
    charges = charges_of((1_450_00, None))
    assert amounts(charges, a_retention(RETEFTE, "1"), a_retention(RETEICA, "1")) == [15_00, 15_00]


def test_a_retention_tells_its_base_and_what_its_minimum_was_compared_with():
    net = withhold(charges_of((500_000_00, "19"), (600_000_00, None)), [GOODS, IVA_GOODS], rounding=RETENTION_ROUNDING)
    assert [(one.retention, one.base_minor, one.compared_minor) for one in net.withheld] == [
        (GOODS, 1_100_000_00, 1_100_000_00),
        (IVA_GOODS, 95_000_00, 500_000_00),
    ]


def test_something_must_be_left_to_collect():
    # 100 % of the subtotal leaves the tax; without tax it leaves nothing.
    everything = a_retention(RETEFTE, "100")
    left = withhold(charges_of((100_00, "19")), [everything], rounding=RETENTION_ROUNDING)
    assert left.amount_to_collect_minor == 19_00
    with pytest.raises(NothingToCollectError) as refused:
        withhold(charges_of((100_00, None)), [everything], rounding=RETENTION_ROUNDING)
    assert (refused.value.total_minor, refused.value.retentions_minor) == (100_00, 100_00)


def test_an_invoice_of_nothing_is_refused_without_retentions_too():
    with pytest.raises(NothingToCollectError) as refused:
        withhold(charges_of((0, "19")), [], rounding=RETENTION_ROUNDING)
    assert (refused.value.total_minor, refused.value.retentions_minor) == (0, 0)


def test_two_retentions_of_one_kind_are_asserted():
    with pytest.raises(AssertionError):
        withhold(charges_of((100_00, None)), [SERVICES, GOODS], rounding=RETENTION_ROUNDING)


# Dates (Colombia spec 5.4: the minimums of Decreto 572 begin on 2025-06-01)

FIRST, LAST = date(2025, 6, 1), date(2025, 5, 31)
BEFORE = a_retention(RETEFTE, "2.5", 1_345_000_00, valid_until=LAST)
SINCE = a_retention(RETEFTE, "2.5", 498_000_00, valid_from=FIRST)
ICA = a_retention(RETEICA, "0.966")


@pytest.mark.parametrize(
    ("day", "rule"),
    [(date(2020, 1, 1), BEFORE), (LAST, BEFORE), (FIRST, SINCE), (date(2030, 1, 1), SINCE)],
)
def test_the_definition_of_the_invoices_day_rules(day: date, rule: Retention):
    assert in_force([SINCE, ICA, BEFORE], kind=RETEFTE, day=day) is rule


def test_the_same_invoice_withholds_by_the_minimum_of_its_day():
    def withheld_on(day: date) -> list[int]:
        rule = in_force([BEFORE, SINCE], kind=RETEFTE, day=day)
        assert rule is not None
        return amounts(charges_of((600_000_00, "19")), rule)

    assert withheld_on(LAST) == [0]  # below 27 UVT
    assert withheld_on(FIRST) == [15_000_00]  # 600000 x 0.025, above 10 UVT


def test_of_two_definitions_the_one_that_began_last_rules():
    always = a_retention(RETEFTE, "1")
    newer = a_retention(RETEFTE, "3", valid_from=date(2026, 1, 1))
    definitions = [newer, always, SINCE]
    assert in_force(definitions, kind=RETEFTE, day=date(2024, 1, 1)) is always
    assert in_force(definitions, kind=RETEFTE, day=date(2025, 12, 31)) is SINCE
    assert in_force(definitions, kind=RETEFTE, day=date(2026, 1, 1)) is newer


def test_nothing_rules_outside_the_dates_of_an_inactive_or_of_another_kind():
    inactive = a_retention(RETEFTE, "1", active=False)
    assert in_force([SINCE], kind=RETEFTE, day=LAST) is None
    assert in_force([inactive], kind=RETEFTE, day=LAST) is None
    assert in_force([ICA], kind=RETEFTE, day=LAST) is None


def test_two_definitions_that_began_on_one_day_are_never_guessed():
    other = a_retention(RETEFTE, "3.5", valid_from=FIRST, id=UUID(int=2))
    with pytest.raises(AmbiguousRetentionError) as refused:
        in_force([SINCE, other], kind=RETEFTE, day=FIRST)
    assert (refused.value.kind, refused.value.day) == (RETEFTE, FIRST)


@pytest.mark.parametrize(
    ("retention", "kind", "day", "fault"),
    [
        (SINCE, RETEFTE, FIRST, None),
        (SINCE, RETEFTE, LAST, RetentionFault.NOT_YET),
        (BEFORE, RETEFTE, LAST, None),
        (BEFORE, RETEFTE, FIRST, RetentionFault.NO_LONGER),
        (SINCE, RETEICA, FIRST, RetentionFault.OTHER_KIND),
        (a_retention(RETEIVA, "15", active=False), RETEIVA, FIRST, RetentionFault.INACTIVE),
        (a_retention(RETEIVA, "15"), RETEIVA, date.min, None),
        (a_retention(RETEIVA, "15"), RETEIVA, date.max, None),
        (a_retention(RETEIVA, "15", valid_from=FIRST, valid_until=FIRST), RETEIVA, FIRST, None),
    ],
)
def test_why_a_new_invoice_may_not_use_a_retention(
    retention: Retention, kind: RetentionKind, day: date, fault: RetentionFault | None
):
    assert retention_fault(retention, kind=kind, day=day) is fault
