"""One sum over many debts (Treli spec 9.4, 11.3, 13 and 16.3). Amounts are in minor units.

Every expected value was worked out by hand.
"""

from datetime import date
from uuid import UUID

import pytest

from recaudo.domain.allocating import Allocation, Debt, Share, allocate, oldest_first

A, B, C, D = (UUID(int=n) for n in range(1, 5))


def a_debt(debt_id: UUID, balance_minor: int, due_on: date | None = None) -> Debt:
    return Debt(debt_id, due_on, balance_minor)


THREE = [a_debt(A, 100_00), a_debt(B, 50_00), a_debt(C, 75_50)]  # 225.50 in all

ALLOCATIONS = [
    # amount, debts, (debt, gets, still asks for), rest
    (10_000_00, [a_debt(A, 23_107_00)], [(A, 10_000_00, 13_107_00)], 0),  # spec 11.3 and 16.3
    (23_107_00, [a_debt(A, 23_107_00)], [(A, 23_107_00, 0)], 0),
    (23_107_01, [a_debt(A, 23_107_00)], [(A, 23_107_00, 0)], 1),
    (1, THREE, [(A, 1, 99_99)], 0),
    (100_00, THREE, [(A, 100_00, 0)], 0),
    (100_01, THREE, [(A, 100_00, 0), (B, 1, 49_99)], 0),
    (160_00, THREE, [(A, 100_00, 0), (B, 50_00, 0), (C, 10_00, 65_50)], 0),  # 160 - 100 - 50
    (225_50, THREE, [(A, 100_00, 0), (B, 50_00, 0), (C, 75_50, 0)], 0),
    (300_00, THREE, [(A, 100_00, 0), (B, 50_00, 0), (C, 75_50, 0)], 74_50),  # 300 - 225.50
    (160_00, THREE[::-1], [(C, 75_50, 0), (B, 50_00, 0), (A, 34_50, 65_50)], 0),  # as given: 160 - 75.50 - 50
    (60_00, [a_debt(A, 0), a_debt(B, 50_00)], [(B, 50_00, 0)], 10_00),  # a debt of nothing gets nothing
    (60_00, [], [], 60_00),
]


@pytest.mark.parametrize(("amount", "debts", "shares", "rest"), ALLOCATIONS)
def test_a_sum_is_spread_as_the_table_says(
    amount: int, debts: list[Debt], shares: list[tuple[UUID, int, int]], rest: int
):
    allocation = allocate(amount, debts)
    assert allocation == Allocation(tuple(Share(*share) for share in shares), rest)
    assert allocation.allocated_minor == amount - rest


def test_the_oldest_due_day_comes_first_and_no_due_day_last():
    debts = [
        a_debt(A, 1),
        a_debt(B, 1, date(2025, 2, 1)),
        a_debt(C, 1, date(2024, 12, 31)),
        a_debt(D, 1, date(2025, 1, 31)),
    ]
    assert [debt.id for debt in oldest_first(debts)] == [C, D, B, A]


def test_debts_of_one_day_stay_in_the_order_of_their_creation():
    same_day = [a_debt(n, 1, date(2025, 1, 1)) for n in (C, A, B)]
    assert [debt.id for debt in oldest_first(same_day)] == [C, A, B]
    assert [debt.id for debt in oldest_first([a_debt(n, 1) for n in (C, A, B)])] == [C, A, B]


def test_instalments_are_paid_by_due_day():
    # 100.00 over instalments of 40.00: two are paid, the third gets 20.00 and still asks for 20.00.
    third, first, second = (
        a_debt(C, 40_00, date(2025, 3, 1)),
        a_debt(A, 40_00, date(2025, 1, 1)),
        a_debt(B, 40_00, date(2025, 2, 1)),
    )
    allocation = allocate(100_00, oldest_first([third, first, second]))
    assert allocation.shares == (Share(A, 40_00, 0), Share(B, 40_00, 0), Share(C, 20_00, 20_00))


@pytest.mark.parametrize(
    ("amount", "debts"),
    [(0, THREE), (-1, THREE), (1, [a_debt(A, -1)]), (1, [a_debt(A, 1), a_debt(A, 1)])],
)
def test_what_the_edge_must_stop_is_asserted(amount: int, debts: list[Debt]):
    with pytest.raises(AssertionError):
        allocate(amount, debts)
