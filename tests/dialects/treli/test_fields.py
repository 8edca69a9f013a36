"""Money, percentages, dates and texts on the way in and out, without a server (Treli specification, 0.3 and 5)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from recaudo.dialects.treli import fields, objects, reading as reads, render
from recaudo.dialects.treli.reading import Reading, trim
from recaudo.domain.model import Account
from recaudo.edge.bodies import decode_object

ACCOUNT = Account(id=UUID(int=1), merchant_id=UUID(int=2), is_test=True)
NOW = datetime(2024, 11, 15, 21, 44, 50, tzinfo=UTC)


def reading(currency: str = "COP") -> Reading:
    made = Reading(ACCOUNT, NOW)
    made.currency = currency
    return made


def read(reader: Any, value: Any, *, currency: str = "COP") -> Any:
    """What a reader makes of a value, or the messages of its refusal."""
    it = reading(currency)
    found = reader(it, "x", value)
    assert (found is None) == bool(it.errors) or value in {"", " "}
    return found if not it.errors else [error.message for error in it.errors]


AMOUNT = fields.amount(above_zero=False)


@pytest.mark.parametrize(
    ("sent", "currency", "minor"),
    [
        ("20000.00", "COP", 2_000_000),
        ("20000", "COP", 2_000_000),
        ("20000.5", "COP", 2_000_050),
        ("0", "COP", 0),
        ("0.01", "COP", 1),
        ("999999999999", "COP", 99_999_999_999_900),
        ("20000", "CLP", 20_000),
        ("20000.10", "USD", 2_000_010),
        (20000, "COP", 2_000_000),
        (Decimal("20000.5"), "COP", 2_000_050),
    ],
)
def test_money_comes_in_as_text_or_as_a_number(sent: Any, currency: str, minor: int) -> None:
    assert read(AMOUNT, sent, currency=currency) == minor


@pytest.mark.parametrize(
    "sent",
    [
        *[
            "string",
            "",
            " 20000",
            "20000 ",
            "-1",
            "+1",
            "1e3",
            "20.000,00",
            "20,000.00",
            "1_000",
            ".5",
            "5.",
            "٣",
            "NaN",
        ],
        *["Infinity", "0x10", -1, Decimal("-0.5"), True, None, [], {}, ["1"]],
    ],
)
def test_money_is_nothing_else(sent: Any) -> None:
    assert read(AMOUNT, sent) == ["El valor debe ser un número decimal positivo."]


@pytest.mark.parametrize(("sent", "currency"), [("1.234", "COP"), ("20000.000", "COP"), ("1.0", "CLP")])
def test_money_has_no_more_decimals_than_its_currency(sent: str, currency: str) -> None:
    assert read(AMOUNT, sent, currency=currency) == [f"El valor tiene más decimales que la moneda {currency}."]


@pytest.mark.parametrize("sent", ["1000000000000", "999999999999.01", "9" * 30, 10**40, Decimal("1E+999999")])
def test_money_has_a_limit(sent: Any) -> None:
    assert read(AMOUNT, sent) == ["El valor no puede superar 999999999999."]


def test_an_amount_that_must_be_above_zero_is() -> None:
    above = fields.amount(above_zero=True)
    assert read(above, "0.01") == 1
    for zero in ("0", "0.00", 0):
        assert read(above, zero) == ["El valor debe ser un número decimal positivo."]


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (2_000_000, "COP", "20000.00"),
        (0, "COP", "0.00"),
        (1, "COP", "0.01"),
        (-150, "COP", "-1.50"),
        (20_000, "CLP", "20000"),
        (0, "CLP", "0"),
        (10**15, "COP", "10000000000000.00"),
    ],
)
def test_money_goes_out_with_exactly_the_currencys_decimals(minor: int, currency: str, shown: str) -> None:
    assert render.amount(minor, currency) == shown


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        *[("19", "19"), ("19.00", "19"), ("0.966", "0.966"), ("2.50", "2.5"), (19, "19"), ("0", "0"), ("100", "100")],
        *[("0.0001", "0.0001"), (Decimal("2.5"), "2.5")],
    ],
)
def test_percentages_lose_their_trailing_zeros(sent: Any, shown: str) -> None:
    assert render.number(read(fields.percentage(above_zero=False, decimals_max=4), sent)) == shown


@pytest.mark.parametrize("sent", ["100.01", "-1", "x", "1.23456", 101, "", True])
def test_percentages_have_bounds(sent: Any) -> None:
    assert isinstance(read(fields.percentage(above_zero=True, decimals_max=4), sent), list)


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2024-11-15", "2024-11-15T05:00:00Z"),
        ("2024-11-15 16:44:50", "2024-11-15T21:44:50Z"),
        ("2024-11-15T16:44:50Z", "2024-11-15T16:44:50Z"),
        ("2024-11-15T16:44:50-05:00", "2024-11-15T21:44:50Z"),
        ("2024-11-15T16:44:50.123456-05:00", "2024-11-15T21:44:50Z"),
        (" 2024-02-29 ", "2024-02-29T05:00:00Z"),
    ],
)
def test_dates_come_in_in_three_forms(sent: str, instant: str) -> None:
    assert render.utc(read(fields.instant, sent)) == instant


@pytest.mark.parametrize(
    "sent",
    [
        *["2024-02-30", "15/11/2024", "2024-11-15T16:44:50", "20241115", "2024-11-15 16:44", "hoy", "", 20241115, None],
        *["0001-01-01T00:00:00+05:00", "2024-11-15 25:00:00", "2024-W01-1"],
    ],
)
def test_dates_are_nothing_else(sent: Any) -> None:
    assert read(fields.instant, sent) == [fields.DATE_MESSAGE]


def test_a_day_is_one_of_the_accounts_time_zone() -> None:
    assert str(read(fields.day, "2024-11-16T03:00:00Z")) == "2024-11-15"


def test_a_paid_date_is_not_in_the_future() -> None:
    assert render.utc(read(fields.past_instant, "2024-11-15 16:44:50")) == "2024-11-15T21:44:50Z"
    assert read(fields.past_instant, "2024-11-15 16:44:51") == ["La fecha no puede estar en el futuro."]


def test_created_dates_are_local_and_the_others_utc() -> None:
    assert render.created(NOW, ACCOUNT) == "2024-11-15 16:44:50"
    assert render.utc(NOW) == "2024-11-15T21:44:50Z"


@pytest.mark.parametrize("sent", ["x\x00y", "\ud800", 5, None, True, [], "x" * 256, " "])
def test_text_is_text_that_can_be_kept(sent: Any) -> None:
    it = reading()
    assert fields.text(1, 255)(it, "x", sent) is None
    assert [error.field for error in it.errors] == ["x"]


def test_text_is_trimmed_and_counted_in_code_points() -> None:
    assert read(fields.text(1, 2), " 🏢\n ") == "🏢"
    assert read(fields.text(2, 2), "ñ🏢") == "ñ🏢"


# --- meta_data ---


def test_meta_data_is_kept_as_sent() -> None:
    sent = {"a": "x", "b": True, "c": None, "d": 5, "e": Decimal("0.5"), "ñ": ""}
    assert read(objects.meta_data, sent) == {"a": "x", "b": True, "c": None, "d": 5, "e": 0.5, "ñ": ""}
    assert read(objects.meta_data, {}) == {}
    assert read(objects.meta_data, {"n": 2**53 - 1}) == {"n": 2**53 - 1}


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [{"key": "a", "value": "b"}],
        "x",
        {str(i): i for i in range(51)},
        {"x" * 41: 1},
        {"": 1},
        {"a": "x" * 501},
        {"a": {}},
        {"a": []},
        {"a": 2**53},
        {"a": Decimal("1E+400")},
        {"a": "\x00"},
    ],
)
def test_meta_data_has_limits(sent: Any) -> None:
    it = reading()
    objects.meta_data(it, "meta_data", sent)
    assert len(it.errors) == 1


# --- Names ---


def test_names_are_trimmed_at_every_level() -> None:
    body = decode_object('{" items\\t": [{"price ": "a", "n": {" x": 1}}], "\u00a0y": 2}'.encode())
    assert trim(body).members == {"items": [{"price": "a", "n": {"x": 1}}], "y": 2}
    assert trim(body).clashes == set()


@pytest.mark.parametrize(
    ("body", "clashes"),
    [
        ('{"a": 1, "a ": 1}', set()),
        ('{"a": 1, "a ": 1.0}', set()),
        ('{"a": {"b": 1}, " a": {"b ": 1}}', set()),
        ('{"a": 1, "a ": 2}', {"a"}),
        ('{"a": 1, "a ": true}', {"a"}),
        ('{"a": null, "a ": 0}', {"a"}),
        ('{"items": [{"q": 1}, {"q": 1, "q ": "1"}]}', {"items[1].q"}),
    ],
)
def test_names_that_become_equal_must_have_equal_values(body: str, clashes: set[str]) -> None:
    assert trim(decode_object(body.encode())).clashes == clashes


def test_a_clash_is_an_error_of_its_field_and_of_nothing_else() -> None:
    it = Reading(ACCOUNT, NOW, clashes={"b", "unknown"})
    table = (
        reads.Field("a", "a", fields.text(1, 5), required=True),
        reads.Field("b", "b", fields.text(1, 5), required=True),
    )
    reads.read_members(it, table, {"b": 5})
    with pytest.raises(reads.InvalidError) as caught:
        it.finish()
    assert [(e.field, e.message) for e in caught.value.errors] == [
        ("a", reads.REQUIRED_MESSAGE),
        ("b", reads.CLASH_MESSAGE),
        ("unknown", reads.CLASH_MESSAGE),
    ]
