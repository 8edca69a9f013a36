"""Stand-alone payments and sending their notice again: every row of the table (OnePay spec, section 10)."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from recaudo.dialects.onepay.parse import customer_ids, parse_create_payment, parse_resend
from recaudo.domain.model import InvoiceKind
from recaudo.domain.partial import PartialRule
from recaudo.usecases.invoices import OpenInvoice
from tests.dialects.onepay.parsing import (
    AMOUNT,
    CUSTOMER_ID,
    EMAIL,
    LIVE,
    NOW,
    PAYMENT,
    PHONE,
    account,
    errors_of,
    json_of,
)

NO_METADATA = {"onepay": {"metadata": False}}


def created(of: Any = LIVE, **fields: Any) -> OpenInvoice:
    return parse_create_payment({**PAYMENT, **fields}, of, NOW, [CUSTOMER_ID])[0]


def refused(of: Any = LIVE, **fields: Any) -> dict[str, list[str]]:
    return errors_of(lambda: parse_create_payment({**PAYMENT, **fields}, of, NOW, [CUSTOMER_ID]))


def wire(command: OpenInvoice) -> dict[str, Any]:
    return {name: value for name, value in command.wire["onepay"].items() if name != "metadata"}


def test_a_title_is_enough():
    command, ignored = parse_create_payment({"title": "Matrícula"}, LIVE, NOW, [])
    assert ignored == []
    assert command == OpenInvoice(
        dialect="onepay", kind=InvoiceKind.REQUEST, amount_minor=None, name="Matrícula", wire=NO_METADATA
    )


def test_everything_that_is_sent_reaches_the_core():
    command, ignored = parse_create_payment(
        {
            "title": "Matrícula",
            "amount": 50000,
            "currency": "COP",
            "description": "Primer\nsemestre",
            "phone": "+573167591030",
            "email": "ana@EJEMPLO.com",
            "reference": "1060500333",
            "external_id": "E-1",
            "customer_id": str(CUSTOMER_ID),
            "document_url": "https://example.com/a.pdf",
            "redirect_url": "https://example.com/gracias",
            "due_date": "2025-11-01",
            "expiration_date": "2025-12-31T10:00:00-05:00",
            "schedule_at": "2025-10-21T08:00:00-05:00",
            "template_id": "T",
            "tax": 0.19,
            "metadata": {"a": 1},
            "allows": {"cards": False},
            "splits": [],
            "partial_payment_config": {"min_amount_in_cents": 1_000_000},
        },
        LIVE,
        NOW,
        [CUSTOMER_ID],
    )
    assert ignored == []
    assert command == OpenInvoice(
        dialect="onepay",
        kind=InvoiceKind.REQUEST,
        amount_minor=5_000_000,
        name="Matrícula",
        description="Primer\nsemestre",
        phone="+573167591030",
        email="ana@ejemplo.com",
        reference="1060500333",
        origin_id="E-1",
        customer_id=CUSTOMER_ID,
        document_url="https://example.com/a.pdf",
        redirect_url="https://example.com/gracias",
        due_on=date(2025, 11, 1),
        expires_at=datetime(2025, 12, 31, 15, tzinfo=UTC),
        metadata={"a": 1},
        partial=PartialRule(min_minor=1_000_000),
        allows={"accounts": True, "cards": False, "card_extra": False, "realtime": False},
        wire={"onepay": {"schedule_at": "2025-10-21T13:00:00.000000Z", "template_id": "T", "tax": 0.19}},
    )


def test_null_is_not_sent():
    names = ["amount", "currency", "description", "phone", "email", "reference", "external_id", "customer_id"]
    names += ["document_url", "redirect_url", "due_date", "expiration_date", "schedule_at", "template_id", "tax"]
    names += ["metadata", "allows", "splits", "partial_payment_config"]
    assert created(**dict.fromkeys(names)) == created()


@pytest.mark.parametrize("value", [None, "", " ", "x" * 101, 7, "a\nb"])
def test_a_title_of_1_to_100_characters_is_required(value: object):
    assert list(refused(title=value)) == ["title"]


def test_a_title_is_accepted_up_to_both_bounds():
    assert [len(created(title="x" * length).name) for length in (1, 100)] == [1, 100]


@pytest.mark.parametrize(("name", "high"), [("description", 500), ("reference", 100), ("external_id", 100)])
def test_texts_are_accepted_up_to_both_bounds_and_refused_beyond(name: str, high: int):
    core = {"external_id": "origin_id"}.get(name, name)
    assert [len(getattr(created(**{name: "x" * length}), core)) for length in (1, high)] == [1, high]
    assert list(refused(**{name: "x" * (high + 1)})) == [name]
    assert list(refused(**{name: ""})) == [name]


def test_template_id_is_a_text_of_1_to_100_characters():
    assert wire(created(template_id="x" * 100)) == {"template_id": "x" * 100}
    assert list(refused(template_id="x" * 101)) == list(refused(template_id="")) == ["template_id"]


@pytest.mark.parametrize(("value", "minor"), [(5000, 500_000), (100_000_000, 10_000_000_000)])
def test_an_amount_is_accepted_up_to_both_bounds(value: int, minor: int):
    assert created(amount=value).amount_minor == minor


@pytest.mark.parametrize("value", [4999, 100_000_001])
def test_an_amount_one_beyond_a_bound_is_refused(value: int):
    assert refused(amount=value) == {"amount": [AMOUNT]}


@pytest.mark.parametrize("value", ["USD", "cop", "", 7])
def test_the_only_currency_is_cop(value: object):
    assert list(refused(currency=value)) == ["currency"]


def test_the_contact_rule_does_not_apply_but_contacts_must_be_valid():
    assert created(account(contact_rule="both")).phone is None
    assert refused(phone="3167591030", email="x") == {"phone": [PHONE], "email": [EMAIL]}


@pytest.mark.parametrize("name", ["document_url", "redirect_url"])
def test_addresses_are_checked(name: str):
    assert getattr(created(**{name: "https://example.com"}), name) == "https://example.com"
    assert "URL" in refused(**{name: "example.com"})[name][0]


# --- The customer ---


@pytest.mark.parametrize("value", [str(CUSTOMER_ID), str(CUSTOMER_ID).upper(), f" {CUSTOMER_ID} "])
def test_a_known_customer_is_linked(value: str):
    assert customer_ids({"customer_id": value}) == [CUSTOMER_ID]
    assert created(customer_id=value).customer_id == CUSTOMER_ID


@pytest.mark.parametrize(
    "value", [str(UUID(int=9)), "x", "", CUSTOMER_ID.hex, f"{{{CUSTOMER_ID}}}", f"urn:uuid:{CUSTOMER_ID}", 7, []]
)
def test_any_other_customer_is_refused(value: object):
    assert list(refused(customer_id=value)) == ["customer_id"]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({}, []),
        ({"customer_id": None, "related_to": 7}, []),
        ({"customer_id": "x", "related_to": str(CUSTOMER_ID)}, [CUSTOMER_ID]),
        ({"customer_id": str(UUID(int=1)), "related_to": str(UUID(int=2))}, [UUID(int=1), UUID(int=2)]),
    ],
)
def test_the_ids_to_look_up_are_those_that_are_uuids(body: dict[str, Any], ids: list[UUID]):
    assert customer_ids(body) == ids


# --- Instants ---


@pytest.mark.parametrize(
    ("value", "expires_at"),
    [
        ("2025-10-20T15:06:00.000001Z", datetime(2025, 10, 20, 15, 6, 0, 1, tzinfo=UTC)),
        ("2025-10-20T15:06:01Z", datetime(2025, 10, 20, 15, 6, 1, tzinfo=UTC)),
        ("2025-10-20t15:06:01z", datetime(2025, 10, 20, 15, 6, 1, tzinfo=UTC)),
        ("2025-10-20T10:06:01-05:00", datetime(2025, 10, 20, 15, 6, 1, tzinfo=UTC)),
        ("2099-12-31T00:00:00.123456789Z", datetime(2099, 12, 31, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2025-10-20", datetime(2025, 10, 21, 4, 59, 59, 999999, tzinfo=UTC)),
        ("2025-12-31", datetime(2026, 1, 1, 4, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_link_expires_at_an_instant_or_at_the_end_of_a_day_in_the_account_s_zone(value: str, expires_at: datetime):
    assert created(expiration_date=value).expires_at == expires_at
    assert created(expiration_date=value).expires_at.utcoffset() == UTC.utcoffset(None)  # type: ignore[union-attr]


def test_the_end_of_the_day_is_that_of_the_account_s_zone():
    assert created(account(time_zone="Europe/Madrid"), expiration_date="2025-12-31").expires_at == datetime(
        2025, 12, 31, 22, 59, 59, 999999, tzinfo=UTC
    )


@pytest.mark.parametrize("value", ["2025-10-20T15:06:00Z", "2025-10-20T10:06:00-05:00", "2025-10-19", "2000-01-01"])
def test_an_expiry_that_is_not_in_the_future_is_refused(value: str):
    assert refused(expiration_date=value) == {"expiration_date": ["La fecha expiration_date debe estar en el futuro."]}


@pytest.mark.parametrize(
    "value",
    [
        *("2025-02-30", "2025-12-31T10:00:00", "2025-12-31 10:00:00Z", "2025-12-31T25:00:00Z", "2025-12-31T10:00Z"),
        *("9999-12-31", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "mañana", "", 1760978414, True, []),
    ],
)
def test_anything_else_is_no_instant(value: object):
    message = "La fecha expiration_date debe ser real y tener la forma AAAA-MM-DD o AAAA-MM-DDTHH:MM:SSZ."
    assert refused(expiration_date=value) == {"expiration_date": [message]}


@pytest.mark.parametrize("value", ["2025-12-31", "2025-10-20T15:06:00Z", "2025-12-31T10:00:00"])
def test_notices_wait_for_an_instant_in_the_future_but_not_for_a_day(value: str):
    assert list(refused(schedule_at=value)) == ["schedule_at"]
    assert "fecha" in refused(schedule_at=value)["schedule_at"][0]


def test_due_dates_are_read_in_the_account_s_zone():
    late = datetime(2025, 10, 21, 3, tzinfo=UTC)  # still the 20th in Bogotá
    bodies = [{**PAYMENT, "due_date": day} for day in ("2075-10-20", "2075-10-21")]
    assert parse_create_payment(bodies[0], LIVE, late, [])[0].due_on == date(2075, 10, 20)
    assert list(errors_of(lambda: parse_create_payment(bodies[1], LIVE, late, []))) == ["due_date"]


# --- Tax, metadata ---


@pytest.mark.parametrize(("spelling", "kept"), [("0", 0), ("19", 19), ("0.19", 0.19), ("1e2", 100), ("-0.0", 0)])
def test_a_tax_is_kept_as_sent(spelling: str, kept: float):
    assert wire(created(tax=json_of(spelling))) == {"tax": kept}


@pytest.mark.parametrize("spelling", ["-1", "-0.01", '"19"', "true", "1e400", "-1e400", "[]"])
def test_a_tax_is_a_number_from_0(spelling: str):
    assert list(refused(tax=json_of(spelling))) == ["tax"]


def test_metadata_not_sent_is_told_from_an_empty_object():
    assert created().wire == NO_METADATA
    assert created(metadata=None).wire == NO_METADATA
    assert created(metadata={}).wire == {}
    assert created(metadata=[]).wire == {}


def test_pairs_become_an_object():
    pairs = [{"key": "a", "value": "x"}, {"key": "b", "value": 1}, {"key": "c", "value": None}, {"key": "d"}]
    assert created(metadata=pairs).metadata == {"a": "x", "b": 1, "c": None, "d": None}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([{"key": "a", "value": 1}, {"key": "a", "value": 1}], "metadata"),
        ([{"value": 1}], "metadata"),
        ([{"key": 7, "value": 1}], "metadata"),
        ([{"key": "", "value": 1}], "metadata"),
        ([{"key": "a" * 41, "value": 1}], "metadata"),
        (["a"], "metadata"),
        ([None], "metadata"),
        ([{"key": str(i), "value": i} for i in range(51)], "metadata"),
        ([{"key": "a", "value": {}}], "metadata.a"),
        ("x", "metadata"),
        ({"a": []}, "metadata.a"),
    ],
)
def test_other_metadata_is_refused(value: object, path: str):
    assert list(refused(metadata=value)) == [path]


# --- Methods, splits ---


@pytest.mark.parametrize(
    ("asked", "merged"),
    [
        ({}, {}),
        ({"cards": False}, {"cards": False}),
        ({"cards": True, "accounts": None}, {}),
        ({"realtime": True, "card_extra": True}, {}),
        ({"pse": True, "breb": False}, {"pse": True, "breb": False}),
        (dict.fromkeys(["pse", "transfiya", "wallets", "full_extra", "pse_debit", "breb"], True),) * 2,
    ],
)
def test_allows_restricts_the_account_s_methods_and_keeps_the_other_words(
    asked: dict[str, Any], merged: dict[str, bool]
):
    assert created(allows=asked).allows == {**LIVE.allows, **merged}


def test_the_account_s_own_methods_stay_as_they_are():
    before = dict(LIVE.allows)
    created(allows={"cards": False, "pse": True})
    assert LIVE.allows == before


@pytest.mark.parametrize(
    "asked",
    [{"accounts": False, "cards": False}, {"accounts": False, "cards": False, "realtime": True, "pse": True}],
)
def test_leaving_no_method_is_refused(asked: dict[str, Any]):
    assert list(refused(allows=asked)) == ["allows"]


@pytest.mark.parametrize("value", [[], "x", 7, True])
def test_allows_is_an_object(value: object):
    assert list(refused(allows=value)) == ["allows"]


def test_allows_holds_booleans():
    assert list(refused(allows={"cards": 1, "pse": "true"})) == ["allows.cards", "allows.pse"]


@pytest.mark.parametrize("value", [[{}], [None], {}, "x", True])
def test_splits_are_not_supported(value: object):
    assert list(refused(splits=value)) == ["splits"]


# --- Limits of paying in parts ---


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"min_amount_in_cents": 100}, PartialRule(min_minor=100)),
        ({"min_amount_in_cents": 5_000_000}, PartialRule(min_minor=5_000_000)),
        (
            {
                "min_amount_in_cents": 200,
                "max_amount_in_cents": 200,
                "max_payment_methods": 20,
                "timeout_hours": 8760,
            },
            PartialRule(min_minor=200, max_minor=200, parts_max=20, window_hours=8760),
        ),
    ],
)
def test_limits_in_cents_are_minor_units(limits: dict[str, Any], rule: PartialRule):
    assert created(amount=50000, partial_payment_config=limits).partial == rule


@pytest.mark.parametrize(
    ("limits", "paths"),
    [
        ({}, ["min_amount_in_cents"]),
        ({"min_amount": 20000}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 0}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 99}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 150}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 5_000_100}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 200, "max_amount_in_cents": 100}, ["max_amount_in_cents"]),
        ({"min_amount_in_cents": 200, "max_amount_in_cents": 250}, ["max_amount_in_cents"]),
        ({"min_amount_in_cents": 200, "max_payment_methods": 21}, ["max_payment_methods"]),
        ({"min_amount_in_cents": 200, "timeout_hours": 8761}, ["timeout_hours"]),
    ],
)
def test_limits_in_cents_beyond_their_bounds_are_refused(limits: dict[str, Any], paths: list[str]):
    errors = refused(amount=50000, partial_payment_config=limits)
    assert list(errors) == [f"partial_payment_config.{path}" for path in paths]


def test_limits_need_an_amount():
    assert list(refused(partial_payment_config={"min_amount_in_cents": 100})) == ["partial_payment_config"]
    assert list(refused(amount=1, partial_payment_config={"min_amount_in_cents": 100})) == ["amount"]


# --- All errors at once, unknown members ---


def test_all_errors_are_reported_together_in_the_order_of_the_table():
    names = ["title", "amount", "currency", "description", "phone", "email", "reference", "external_id", "customer_id"]
    names += ["document_url", "redirect_url", "due_date", "expiration_date", "schedule_at", "template_id", "tax"]
    names += ["metadata", "allows", "splits", "partial_payment_config"]
    assert list(refused(**dict.fromkeys(reversed(names), True))) == names


def test_unknown_members_at_every_level_are_reported():
    body = {
        "title": "Matrícula",
        "foo": 1,
        "amount": 50000,
        "allows": {"nequi": True},
        "metadata": [{"key": "a", "value": 1, "label": "A"}],
        "partial_payment_config": {"min_amount_in_cents": 100, "min_amount": 1},
    }
    _, ignored = parse_create_payment(body, LIVE, NOW, [])
    assert sorted(ignored) == ["allows.nequi", "foo", "metadata[0].label", "partial_payment_config.min_amount"]


# --- Sending the notice again (10.3) ---


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (None, (None, [])),
        ({}, (None, [])),
        ({"template_id": None}, (None, [])),
        ({"template_id": " T "}, ("T", [])),
        ({"foo": 1}, (None, ["foo"])),
    ],
)
def test_a_template_may_be_named(body: Any, result: tuple[str | None, list[str]]):
    assert parse_resend(body) == result


@pytest.mark.parametrize("value", ["", "x" * 101, 7, "a\x00"])
def test_a_template_id_is_a_text_of_1_to_100_characters(value: object):
    assert list(errors_of(lambda: parse_resend({"template_id": value}))) == ["template_id"]
