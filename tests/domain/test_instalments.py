"""Plans of instalments (Treli spec 9.1 and 16.2). Amounts are in minor units: 23_107_00 is 23107.00 pesos.

Every expected value was worked out by hand.
"""

from datetime import date

import pytest

from recaudo.domain.instalments import (
    AmountNotAboveZero,
    Asked,
    FallingDays,
    Instalment,
    OtherCount,
    PlanFault,
    PlanRefusedError,
    WrongCount,
    WrongDays,
    WrongSum,
    plan_faults,
    plan_instalments,
)

CREATED_ON = date(2024, 11, 15)


def faults_of(asked: list[Asked], amount_minor: int, *, count: int | None = None) -> list[PlanFault]:
    count = len(asked) if count is None else count
    return list(plan_faults(asked, count=count, amount_to_collect_minor=amount_minor))


PLANS = [
    # asked, the amount to collect, created on, the plan
    ([Asked(23_107_00)], 23_107_00, CREATED_ON, [Instalment(1, 23_107_00, date(2024, 11, 15))]),  # spec 16.2
    (  # 7702.34 + 7702.33 + 7702.33; November has 30 days: the 15th, then the 15th, then 2025-01-14
        [Asked(7_702_34), Asked(7_702_33, 30), Asked(7_702_33, 60)],
        23_107_00,
        CREATED_ON,
        [
            Instalment(1, 7_702_34, date(2024, 11, 15)),
            Instalment(2, 7_702_33, date(2024, 12, 15)),
            Instalment(3, 7_702_33, date(2025, 1, 14)),
        ],
    ),
    (  # two on one day, and amounts as unequal as one likes
        [Asked(1, 15), Asked(99_99, 15)],
        100_00,
        date(2024, 11, 18),
        [Instalment(1, 1, date(2024, 12, 3)), Instalment(2, 99_99, date(2024, 12, 3))],
    ),
    (  # the 29th of February exists in 2024 and not in 2025
        [Asked(50_00, 1), Asked(50_00, 366)],
        100_00,
        date(2024, 2, 28),
        [Instalment(1, 50_00, date(2024, 2, 29)), Instalment(2, 50_00, date(2025, 2, 28))],
    ),
    ([Asked(100_00, 3650)], 100_00, date(2025, 1, 1), [Instalment(1, 100_00, date(2034, 12, 30))]),  # two leap days
]


@pytest.mark.parametrize(("asked", "amount", "created_on", "plan"), PLANS)
def test_a_plan_is_the_one_of_the_table(asked: list[Asked], amount: int, created_on: date, plan: list[Instalment]):
    made = plan_instalments(asked, count=len(asked), amount_to_collect_minor=amount, created_on=created_on)
    assert list(made) == plan


def test_sixty_instalments_are_the_most():
    assert faults_of([Asked(1)] * 60, 60) == []
    assert faults_of([Asked(1)] * 61, 61) == [WrongCount(61, limit=60)]
    assert faults_of([], 0) == [WrongCount(0, limit=60)]


def test_a_wrong_sum_tells_both_sums_for_the_message_of_the_spec():
    # Spec 9.1: "La suma de las cuotas (20000.00) debe ser igual al valor a cobrar (23107.00)."
    assert faults_of([Asked(20_000_00)], 23_107_00) == [WrongSum(20_000_00, expected_minor=23_107_00)]


@pytest.mark.parametrize(
    ("asked", "amount", "faults"),
    [
        ([Asked(33_33)] * 3, 100_00, [WrongSum(99_99, 100_00)]),  # one cent too little
        ([Asked(33_34)] * 3, 100_00, [WrongSum(100_02, 100_00)]),  # two cents too much
        ([Asked(100_00), Asked(0)], 100_00, [AmountNotAboveZero(2, 0)]),
        ([Asked(-1), Asked(1_01)], 1_00, [AmountNotAboveZero(1, -1)]),
        ([Asked(1_00, -1)], 1_00, [WrongDays(1, -1, limit=3650)]),
        ([Asked(1_00, 3651)], 1_00, [WrongDays(1, 3651, limit=3650)]),
        ([Asked(50, 30), Asked(50, 29)], 1_00, [FallingDays(2, 29, before=30)]),
        ([Asked(50, 30), Asked(25, 0), Asked(25, 15)], 1_00, [FallingDays(2, 0, before=30)]),  # 15 is after 0
    ],
)
def test_a_plan_that_the_rules_do_not_allow_tells_why(asked: list[Asked], amount: int, faults: list[PlanFault]):
    assert faults_of(asked, amount) == faults


@pytest.mark.parametrize("count", [1, 3])
def test_the_announced_count_is_that_of_the_list(count: int):
    assert faults_of([Asked(50), Asked(50)], 1_00, count=count) == [OtherCount(count, listed=2)]


def test_all_faults_are_told_at_once_in_the_order_of_the_fields():
    assert faults_of([Asked(10, 5), Asked(0, 4), Asked(5, 9999)], 20, count=61) == [
        WrongCount(61),
        OtherCount(61, 3),
        WrongSum(15, 20),
        AmountNotAboveZero(2, 0),
        FallingDays(2, 4, 5),
        WrongDays(3, 9999),
    ]


def test_a_refused_plan_carries_its_faults():
    with pytest.raises(PlanRefusedError) as refused:
        plan_instalments([Asked(1)], count=2, amount_to_collect_minor=3, created_on=CREATED_ON)
    assert refused.value.faults == (OtherCount(2, 1), WrongSum(1, 3))
    assert "expected_minor=3" in str(refused.value)
