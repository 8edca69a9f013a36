"""Which part of a balance may be paid (OnePay spec 9.2), against the rule in words."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest
from hypothesis import given, strategies as st

from recaudo.domain.partial import Allowed, PartialRule, allowed_parts

AMOUNT_MAX = 40


@st.composite
def rules(draw: st.DrawFn) -> PartialRule:
    """A rule as the wire lets it in: the largest part is never below the smallest."""
    min_minor = draw(st.integers(1, AMOUNT_MAX))
    return PartialRule(
        min_minor=min_minor,
        max_minor=draw(st.none() | st.integers(min_minor, AMOUNT_MAX)),
        parts_max=draw(st.integers(1, 6)),
    )


def in_words(rule: PartialRule | None, *, balance: int, parts_paid: int) -> set[int]:
    """The rule in words, tried on every amount."""
    parts_left = 1 if rule is None else rule.parts_max - parts_paid
    if rule is None or parts_left <= 1:
        return {balance}  # the last part closes the balance, whatever the largest part is
    largest = balance if rule.max_minor is None else rule.max_minor
    parts = {
        part
        for part in range(1, balance)
        if rule.min_minor <= part <= largest and not 0 < balance - part < rule.min_minor
    }
    whole_is_allowed = balance <= largest or not parts  # what cannot be split must be paid whole
    return parts | ({balance} if whole_is_allowed else set())


def as_set(allowed: Allowed) -> set[int]:
    return {amount for amount in range(-1, 3 * AMOUNT_MAX) if amount in allowed}


def small_rules() -> Iterator[PartialRule]:
    """Every rule of up to eight pesos in up to three parts."""
    for min_minor in range(1, 9):
        for max_minor in (None, *range(min_minor, 9)):
            for parts_max in (1, 2, 3):
                yield PartialRule(min_minor=min_minor, max_minor=max_minor, parts_max=parts_max)


def test_every_small_rule_allows_what_its_words_say():
    for rule, balance, parts_paid in product(small_rules(), range(1, 18), range(4)):
        allowed = allowed_parts(rule, balance_minor=balance, parts_paid=parts_paid)
        amounts = {amount for amount in range(20) if amount in allowed}
        assert amounts == in_words(rule, balance=balance, parts_paid=parts_paid), (rule, balance, parts_paid)


@given(st.none() | rules(), st.integers(1, AMOUNT_MAX), st.integers(0, 7))
def test_the_allowed_amounts_are_those_of_the_rule_in_words(rule: PartialRule | None, balance: int, parts_paid: int):
    allowed = allowed_parts(rule, balance_minor=balance, parts_paid=parts_paid)
    assert as_set(allowed) == in_words(rule, balance=balance, parts_paid=parts_paid)


@given(rules(), st.integers(1, AMOUNT_MAX), st.integers(0, 7))
def test_a_range_of_parts_is_never_empty(rule: PartialRule, balance: int, parts_paid: int):
    allowed = allowed_parts(rule, balance_minor=balance, parts_paid=parts_paid)
    if allowed.low_minor is not None:
        assert allowed.high_minor is not None
        assert rule.min_minor == allowed.low_minor <= allowed.high_minor < balance


@given(rules(), st.integers(1, AMOUNT_MAX), st.data())
def test_whatever_allowed_parts_are_chosen_the_balance_reaches_zero_in_time(
    rule: PartialRule, amount: int, data: st.DataObject
):
    balance, parts = amount, 0
    while balance:
        choices = sorted(as_set(allowed_parts(rule, balance_minor=balance, parts_paid=parts)))
        balance -= data.draw(st.sampled_from(choices), label="part")
        parts += 1
    assert parts <= rule.parts_max


@pytest.mark.parametrize("choose", [min, max])
@given(rules(), st.integers(1, AMOUNT_MAX))
def test_the_thriftiest_and_the_most_generous_payer_both_finish_in_time(
    choose: Callable[[set[int]], int], rule: PartialRule, amount: int
):
    balance, parts = amount, 0
    while balance:
        balance -= choose(as_set(allowed_parts(rule, balance_minor=balance, parts_paid=parts)))
        parts += 1
    assert parts <= rule.parts_max


def test_without_a_number_of_parts_there_may_be_twenty():
    rule = PartialRule(min_minor=1)
    assert allowed_parts(rule, balance_minor=100, parts_paid=18).low_minor == 1
    assert allowed_parts(rule, balance_minor=100, parts_paid=19) == Allowed(100, whole=True)


# OnePay spec 9.2, the example: amount 100.000, smallest 20.000, largest 60.000, three parts.
EXAMPLE = PartialRule(min_minor=20_000, max_minor=60_000, parts_max=3)


@pytest.mark.parametrize(
    ("balance", "parts_paid", "allowed"),
    [
        (100_000, 0, Allowed(100_000, whole=False, low_minor=20_000, high_minor=60_000)),
        (70_000, 1, Allowed(70_000, whole=False, low_minor=20_000, high_minor=50_000)),
        (50_000, 1, Allowed(50_000, whole=True, low_minor=20_000, high_minor=30_000)),
        (30_000, 2, Allowed(30_000, whole=True)),
        (80_000, 2, Allowed(80_000, whole=True)),
    ],
)
def test_the_published_example_holds(balance: int, parts_paid: int, allowed: Allowed):
    assert allowed_parts(EXAMPLE, balance_minor=balance, parts_paid=parts_paid) == allowed
