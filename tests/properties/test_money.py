"""Money for people and for programs (Colombia spec 1.2 and 1.4; design section 4, rule 2)."""

from decimal import Decimal

import pytest
from babel.numbers import get_currency_precision
from hypothesis import assume, given, strategies as st

from recaudo.domain.money import AMOUNT_MINOR_MAX, DECIMALS, from_units, label, minor_per_unit, read_typed, to_units

amounts_minor = st.integers(min_value=-AMOUNT_MINOR_MAX, max_value=AMOUNT_MINOR_MAX)
currencies = st.sampled_from(sorted(DECIMALS))

# Colombia spec 1.2, row by row.
LABELS = [
    (0, "$ 0"),
    (1, "$ 0,01"),
    (100, "$ 1"),
    (99900, "$ 999"),
    (100000, "$ 1.000"),
    (5000000, "$ 50.000"),
    (5000050, "$ 50.000,50"),
    (123456789, "$ 1.234.567,89"),
    (10000000000, "$ 100.000.000"),
    (-5000000, "-$ 50.000"),
]

# Colombia spec 1.4, row by row.
TYPED = [
    ("50000", 5000000),
    ("50.000", 5000000),
    ("$ 50.000", 5000000),
    ("50.000,5", 5000050),
    ("1.234.567,89", 123456789),
]
REFUSED = ["50,000", "50.00", "5.0000", "1.23.456", "50000.50", "-1", "1e5", ""]


@pytest.mark.parametrize("currency", sorted(DECIMALS))
def test_a_currency_has_the_decimals_of_the_unicode_tables(currency: str):
    assert DECIMALS[currency] == get_currency_precision(currency)


@pytest.mark.parametrize(("amount_minor", "text"), LABELS)
def test_a_label_is_the_one_of_the_table(amount_minor: int, text: str):
    assert label(amount_minor, "COP") == text


@pytest.mark.parametrize(("text", "amount_minor"), TYPED)
def test_a_typed_amount_is_read_as_the_table_says(text: str, amount_minor: int):
    assert read_typed(text) == amount_minor


@pytest.mark.parametrize("text", REFUSED)
def test_an_ambiguous_amount_is_refused_as_the_table_says(text: str):
    with pytest.raises(ValueError, match="not an amount"):
        read_typed(text)


@given(st.integers(min_value=0, max_value=AMOUNT_MINOR_MAX))
def test_a_label_typed_back_is_the_same_amount(amount_minor: int):
    assert read_typed(label(amount_minor, "COP")) == amount_minor


@given(amounts_minor, currencies)
def test_a_label_has_only_digits_marks_and_plain_spaces(amount_minor: int, currency: str):
    assert set(label(amount_minor, currency)) <= set("0123456789.,-$ " + currency)


@given(amounts_minor, amounts_minor, currencies)
def test_different_amounts_have_different_labels(one: int, other: int, currency: str):
    assume(one != other)
    assert label(one, currency) != label(other, currency)


@given(st.text(alphabet="0123456789.,$ -", max_size=16))
def test_whatever_is_read_has_a_label_that_people_would_take_for_the_same(text: str):
    try:
        amount_minor = read_typed(text)
    except ValueError:
        return
    assert amount_minor >= 0
    typed = text.replace("$", "").replace(".", "").strip().lstrip("0") or "0"
    shown = label(amount_minor, "COP").replace("$", "").replace(".", "").strip()
    assert [_plain(typed), _plain(shown)] == [_plain(typed)] * 2


def _plain(text: str) -> tuple[str, str]:
    units, _, cents = text.partition(",")
    return units or "0", cents.ljust(2, "0")


@given(amounts_minor, currencies)
def test_units_and_minor_units_convert_back_and_forth(amount_minor: int, currency: str):
    assert from_units(to_units(amount_minor, currency), currency) == amount_minor


@given(amounts_minor, currencies)
def test_whole_units_are_integers(amount_minor: int, currency: str):
    units = to_units(amount_minor, currency)
    assert isinstance(units, int) == (amount_minor % minor_per_unit(currency) == 0)


@given(st.integers(), currencies)
def test_an_integer_of_any_size_converts_exactly(amount: int, currency: str):
    assert from_units(amount, currency) == amount * minor_per_unit(currency)


@given(st.integers(), st.integers(min_value=0, max_value=60), currencies)
def test_an_amount_is_refused_exactly_when_it_has_more_decimals_than_the_currency(
    digits: int, decimals: int, currency: str
):
    amount = Decimal(f"{digits}E-{decimals}")
    minor, rest = divmod(digits * minor_per_unit(currency), 10**decimals)
    if rest:
        with pytest.raises(ValueError, match="more decimals"):
            from_units(amount, currency)
    else:
        assert from_units(amount, currency) == minor
