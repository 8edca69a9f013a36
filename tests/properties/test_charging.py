"""Prices, taxes, retentions, instalments and allocations against their rules in words (Treli spec 8 to 13)."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar
from uuid import UUID

from hypothesis import assume, given, strategies as st

from recaudo.domain.allocating import Debt, allocate, oldest_first
from recaudo.domain.instalments import Asked, FallingDays, PlanRefusedError, WrongSum, plan_faults, plan_instalments
from recaudo.domain.money import AMOUNT_MINOR_MAX, DECIMALS
from recaudo.domain.pricing import (
    Charges,
    Discount,
    Discounted,
    DiscountsTooLargeError,
    Item,
    Price,
    PriceModel,
    Tax,
    Tier,
    charge,
    discount,
    subtotal_minor,
    tier_faults,
)
from recaudo.domain.retaining import Net, NothingToCollectError, Retention, RetentionKind, withhold
from recaudo.domain.rounding import TO_THE_CURRENCY, Rounding, RoundingMode, percent_minor, round_minor

currencies = st.sampled_from(sorted(DECIMALS))
roundings = st.builds(Rounding, st.none() | st.integers(-3, 4), st.sampled_from(RoundingMode))
percentages = st.integers(0, 100).map(Decimal) | st.integers(0, 100_0000).map(lambda n: Decimal(n) / 10_000)
prices_minor = st.integers(0, 10**9) | st.integers(0, 300)
amounts_minor = st.integers(0, AMOUNT_MINOR_MAX) | st.integers(0, 1000)

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

QUANTIZE = {
    RoundingMode.HALF_UP: ROUND_HALF_UP,
    RoundingMode.HALF_EVEN: ROUND_HALF_EVEN,
    RoundingMode.DOWN: ROUND_DOWN,
}


def outcome(decision: Callable[[], T], refusal: type[E]) -> T | E:
    """What a decision gave, or how it was refused."""
    try:
        return decision()
    except refusal as refused:
        return refused


@st.composite
def tiered(draw: st.DrawFn) -> tuple[Tier, ...]:
    """Sound tiers, as the wire lets them in."""
    ends = sorted(draw(st.sets(st.integers(1, 60), max_size=6)))
    return tuple(Tier(end, draw(prices_minor)) for end in [*ends, None])


@st.composite
def priced(draw: st.DrawFn) -> Price:
    model = draw(st.sampled_from(PriceModel))
    if model is PriceModel.STANDARD:
        return Price(unit_price_minor=draw(prices_minor))
    return Price(model=model, tiers=draw(tiered()))


taxes = st.none() | st.builds(Tax, percentages, st.none() | st.sampled_from("AB"))
items = st.builds(
    Item,
    quantity=st.integers(1, 80),
    price=priced(),
    unit_price_minor=st.none() | prices_minor,
    tax=taxes,
)


@st.composite
def charges(draw: st.DrawFn) -> Charges:
    lines = draw(st.lists(items, min_size=1, max_size=5))
    return charge(lines, currency=draw(currencies), rounding=draw(roundings))


# Rounding


@given(amounts_minor, percentages, currencies, roundings)
def test_a_percentage_is_what_decimal_arithmetic_says(
    base: int, percentage: Decimal, currency: str, rounding: Rounding
):
    with localcontext(prec=60):
        units = Decimal(base).scaleb(-DECIMALS[currency]) * percentage / 100
        kept = DECIMALS[currency] if rounding.decimals is None else min(rounding.decimals, DECIMALS[currency])
        rounded = units.quantize(Decimal(1).scaleb(-kept), rounding=QUANTIZE[rounding.mode])
        expected = rounded.scaleb(DECIMALS[currency])
    assert percent_minor(base, percentage, currency=currency, rounding=rounding) == expected


@given(amounts_minor, st.integers(1, 10**6), currencies, roundings)
def test_rounding_twice_is_rounding_once(numerator: int, denominator: int, currency: str, rounding: Rounding):
    once = round_minor(numerator, denominator, currency=currency, rounding=rounding)
    assert round_minor(once, currency=currency, rounding=rounding) == once
    assert once % rounding.step_minor(currency) == 0


@given(amounts_minor, st.integers(1, 10**6), currencies, roundings)
def test_rounding_is_never_further_away_than_half_a_step(
    numerator: int, denominator: int, currency: str, rounding: Rounding
):
    error = round_minor(numerator, denominator, currency=currency, rounding=rounding) - Fraction(numerator, denominator)
    step = rounding.step_minor(currency)
    if rounding.mode is RoundingMode.DOWN:
        assert -step < error <= 0
    else:
        assert abs(error) <= Fraction(step, 2)


@given(amounts_minor, amounts_minor, currencies, roundings)
def test_rounding_keeps_the_order(one: int, other: int, currency: str, rounding: Rounding):
    low, high = sorted((one, other))
    assert round_minor(low, currency=currency, rounding=rounding) <= round_minor(
        high, currency=currency, rounding=rounding
    )


# Prices


@given(charges())
def test_an_invoice_is_the_sum_of_its_lines(charged: Charges):
    assert charged.total_minor == sum(item.total_minor for item in charged.items)
    assert charged.total_minor == charged.subtotal_minor + sum(tax.amount_minor for tax in charged.taxes)
    assert len({(one.tax.tax_id, one.tax.percentage) for one in charged.taxes}) == len(charged.taxes)


@given(charges())
def test_no_part_of_an_invoice_is_negative(charged: Charges):
    for item in charged.items:
        assert min(item.unit_price_minor, item.subtotal_minor, item.tax_minor) >= 0
    assert 0 <= charged.taxed_subtotal_minor <= charged.subtotal_minor <= charged.total_minor


@given(items, currencies)
def test_a_unit_price_times_the_quantity_misses_the_subtotal_by_its_rounding_at_most(line: Item, currency: str):
    (item,) = charge([line], currency=currency, rounding=TO_THE_CURRENCY).items
    assert abs(item.unit_price_minor * item.quantity - item.subtotal_minor) * 2 <= item.quantity


def tier_of(tiers: tuple[Tier, ...], unit: int) -> Tier:
    """The tier in whose range a unit lies, found by looking at all of them."""
    starts = [0, *(tier.up_to for tier in tiers if tier.up_to is not None)]
    return max((start, tier) for start, tier in zip(starts, tiers, strict=True) if start < unit)[1]


@given(tiered(), st.integers(1, 80))
def test_graduated_counts_each_unit_at_the_price_of_its_tier(tiers: tuple[Tier, ...], quantity: int):
    by_unit = sum(tier_of(tiers, unit).unit_price_minor for unit in range(1, quantity + 1))
    assert subtotal_minor(Price(model=PriceModel.GRADUATED, tiers=tiers), quantity) == by_unit


@given(tiered(), st.integers(1, 80))
def test_volume_counts_all_units_at_the_price_of_the_last_one(tiers: tuple[Tier, ...], quantity: int):
    by_last = quantity * tier_of(tiers, quantity).unit_price_minor
    assert subtotal_minor(Price(model=PriceModel.VOLUME, tiers=tiers), quantity) == by_last


@given(tiered(), st.integers(1, 80), st.integers(1, 80))
def test_with_graduated_prices_more_units_never_cost_less(tiers: tuple[Tier, ...], one: int, other: int):
    price = Price(model=PriceModel.GRADUATED, tiers=tiers)
    low, high = sorted((one, other))
    assert subtotal_minor(price, low) <= subtotal_minor(price, high)


@given(st.lists(st.none() | st.integers(-1, 6), max_size=5))
def test_tiers_are_sound_exactly_when_they_rise_and_only_the_last_has_no_end(ends: list[int | None]):
    rising = [0, *(end for end in ends[:-1] if end is not None)]
    sound = (
        bool(ends) and ends[-1] is None and ends.count(None) == 1 and all(low < high for low, high in pairwise(rising))
    )
    assert (not tier_faults([Tier(end, 1) for end in ends])) == sound


# Discounts

percent_discounts = st.integers(1, 10_000).map(lambda n: Discount(percent=Decimal(n) / 100))
amount_discounts = st.integers(1, 2000).map(lambda n: Discount(amount_minor=n))
discounts = st.lists(percent_discounts | amount_discounts, max_size=5)


@given(st.integers(1, 5000), discounts, st.integers(0, 5000), currencies)
def test_what_discounts_take_and_leave_is_the_base(base: int, asked: list[Discount], received: int, currency: str):
    taken = outcome(lambda: discount(base, asked, currency=currency, received_minor=received), DiscountsTooLargeError)
    if isinstance(taken, DiscountsTooLargeError):
        assert taken.total_minor < max(1, received)
        return
    assert taken.total_minor + sum(one.amount_minor for one in taken.discounts) == base
    assert max(1, received) <= taken.total_minor <= base
    assert all(0 <= one.amount_minor <= base for one in taken.discounts)


@given(st.integers(1, 10**9), discounts, currencies)
def test_taking_the_same_discounts_again_changes_nothing(base: int, asked: list[Discount], currency: str):
    taken = outcome(lambda: discount(base, asked, currency=currency), DiscountsTooLargeError)
    assume(not isinstance(taken, DiscountsTooLargeError))
    assert isinstance(taken, Discounted)
    assert discount(base, taken.discounts, currency=currency) == taken


# Retentions


@st.composite
def retained(draw: st.DrawFn, percent_max: int = 100) -> list[Retention]:
    """At most one retention of each kind."""
    return [
        Retention(
            id=UUID(int=1),
            kind=kind,
            percentage=draw(percentages) * percent_max / 100,
            minimum_base_minor=draw(st.just(0) | prices_minor),
        )
        for kind in draw(st.lists(st.sampled_from(RetentionKind), unique=True))
    ]


@given(charges(), retained(), roundings)
def test_what_is_withheld_and_collected_is_the_total(charged: Charges, retentions: list[Retention], rounding: Rounding):
    net = outcome(lambda: withhold(charged, retentions, rounding=rounding), NothingToCollectError)
    if isinstance(net, NothingToCollectError):
        assert net.total_minor == charged.total_minor <= net.retentions_minor
        return
    assert net.amount_to_collect_minor + sum(one.amount_minor for one in net.withheld) == charged.total_minor
    assert 0 < net.amount_to_collect_minor <= charged.total_minor


@given(charges(), retained(), roundings)
def test_a_retention_is_never_above_its_base_but_for_rounding_up_the_last_unit(
    charged: Charges, retentions: list[Retention], rounding: Rounding
):
    net = outcome(lambda: withhold(charged, retentions, rounding=rounding), NothingToCollectError)
    assume(not isinstance(net, NothingToCollectError))
    assert isinstance(net, Net)
    for one in net.withheld:
        assert one.amount_minor >= 0
        assert one.amount_minor <= round_minor(one.base_minor, currency=charged.currency, rounding=rounding)
        if rounding.step_minor(charged.currency) == 1 or rounding.mode is RoundingMode.DOWN:
            assert one.amount_minor <= one.base_minor


@given(charges(), retained(percent_max=30))  # together never the whole total
def test_a_retention_is_taken_exactly_from_its_minimum_on(charged: Charges, retentions: list[Retention]):
    assume(charged.total_minor > 0)
    for one in withhold(charged, retentions, rounding=Rounding(mode=RoundingMode.DOWN)).withheld:
        exact = one.base_minor * Fraction(one.retention.percentage) / 100
        reached = one.compared_minor >= one.retention.minimum_base_minor
        assert one.amount_minor == (int(exact) if reached else 0)


# Instalments


@st.composite
def plans(draw: st.DrawFn) -> list[Asked]:
    days = sorted(draw(st.lists(st.integers(0, 3650), min_size=1, max_size=60)))
    return [Asked(draw(st.integers(1, 10**9)), count) for count in days]


@given(plans(), st.dates(max_value=date(2100, 1, 1)))
def test_a_plan_adds_up_and_its_due_days_never_fall(asked: list[Asked], created_on: date):
    amount = sum(one.amount_minor for one in asked)
    plan = plan_instalments(asked, count=len(asked), amount_to_collect_minor=amount, created_on=created_on)
    assert sum(one.amount_minor for one in plan) == amount
    assert [one.ordinal for one in plan] == list(range(1, len(asked) + 1))
    assert [one.due_on - created_on for one in plan] == [timedelta(days=one.days_until_due) for one in asked]
    assert all(low.due_on <= high.due_on for low, high in pairwise(plan))


@given(plans(), st.integers(-5, 5).filter(bool))
def test_a_plan_that_misses_the_amount_by_a_cent_is_refused(asked: list[Asked], cents: int):
    amount = sum(one.amount_minor for one in asked)
    faults = plan_faults(asked, count=len(asked), amount_to_collect_minor=amount + cents)
    assert faults == (WrongSum(amount, amount + cents),)


@given(plans().flatmap(st.permutations))
def test_a_plan_in_another_order_is_refused_for_each_instalment_due_before_the_one_it_follows(asked: list[Asked]):
    days = [one.days_until_due for one in asked]
    falling = tuple(
        FallingDays(ordinal, after, before)
        for ordinal, (before, after) in enumerate(pairwise(days), start=2)
        if after < before
    )
    amount = sum(one.amount_minor for one in asked)
    assert plan_faults(asked, count=len(asked), amount_to_collect_minor=amount) == falling


@given(st.lists(st.builds(Asked, st.integers(-1, 3), st.integers(-1, 3)), max_size=4), st.integers(0, 5))
def test_a_plan_is_made_exactly_when_it_has_no_fault(asked: list[Asked], amount: int):
    plan = outcome(
        lambda: plan_instalments(asked, count=len(asked), amount_to_collect_minor=amount, created_on=date(2025, 1, 1)),
        PlanRefusedError,
    )
    days = [one.days_until_due for one in asked]
    sound = (
        bool(asked)
        and min(one.amount_minor for one in asked) > 0
        and min(days) >= 0
        and days == sorted(days)
        and sum(one.amount_minor for one in asked) == amount
    )
    assert isinstance(plan, tuple) == sound


# Allocation


@st.composite
def owed(draw: st.DrawFn) -> list[Debt]:
    due_days = st.none() | st.dates(date(2025, 1, 1), date(2025, 1, 9))
    return [Debt(UUID(int=n), draw(due_days), draw(st.integers(0, 30))) for n in range(1, draw(st.integers(0, 7)) + 1)]


@given(st.integers(1, 250), owed())
def test_an_allocation_conserves_money_and_never_exceeds_a_balance(amount: int, debts: list[Debt]):
    allocation = allocate(amount, debts)
    balances = {debt.id: debt.balance_minor for debt in debts}
    assert sum(share.amount_minor for share in allocation.shares) + allocation.rest_minor == amount
    for share in allocation.shares:
        assert 0 < share.amount_minor <= balances[share.id]
        assert share.left_minor == balances[share.id] - share.amount_minor
    assert allocation.rest_minor == max(0, amount - sum(balances.values()))


@given(st.integers(1, 250), owed())
def test_an_allocation_is_what_paying_peso_by_peso_would_give(amount: int, debts: list[Debt]):
    paid = {debt.id: 0 for debt in debts}
    for _ in range(amount):
        first = next((debt.id for debt in debts if paid[debt.id] < debt.balance_minor), None)
        if first is not None:
            paid[first] += 1
    shares = [(share.id, share.amount_minor) for share in allocate(amount, debts).shares]
    assert shares == [(debt_id, pesos) for debt_id, pesos in paid.items() if pesos]


@given(st.integers(1, 250), st.integers(1, 250), owed())
def test_two_payments_do_what_their_sum_would_do(one: int, other: int, debts: list[Debt]):
    first = allocate(one, debts)
    left = {share.id: share.left_minor for share in first.shares}
    second = allocate(other, [Debt(d.id, d.due_on, left.get(d.id, d.balance_minor)) for d in debts])
    left |= {share.id: share.left_minor for share in second.shares}
    both = allocate(one + other, debts)
    assert left == {share.id: share.left_minor for share in both.shares}
    assert first.rest_minor + second.rest_minor == both.rest_minor


@given(owed())
def test_no_debt_stands_before_an_older_one(debts: list[Debt]):
    ordered = oldest_first(debts)
    assert sorted(debt.id for debt in ordered) == [debt.id for debt in debts]
    keys = [(debt.due_on is None, debt.due_on or date.min, debt.id) for debt in ordered]  # made in the order of ids
    assert keys == sorted(keys)
