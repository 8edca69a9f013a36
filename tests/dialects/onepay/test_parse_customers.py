"""Registering customers: every row of the table (OnePay spec 12.1)."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from recaudo.dialects.onepay.parse import parse_create_customer
from recaudo.usecases.customers import RegisterCustomer
from tests.dialects.onepay.parsing import (
    CONTACT_WORDS,
    CUSTOMER,
    CUSTOMER_ID,
    EMAIL,
    LIVE,
    PHONE,
    TEST,
    TODAY,
    account,
    errors_of,
)


def registered(**fields: Any) -> RegisterCustomer:
    return parse_create_customer({**CUSTOMER, **fields}, LIVE, TODAY, [CUSTOMER_ID])[0]


def refused(of: Any = LIVE, **fields: Any) -> dict[str, list[str]]:
    return errors_of(lambda: parse_create_customer({**CUSTOMER, **fields}, of, TODAY, [CUSTOMER_ID]))


def test_a_first_name_and_a_contact_are_enough():
    assert registered() == RegisterCustomer(first_name="Ana", email="ana@ejemplo.com")


def test_everything_that_is_sent_reaches_the_core():
    body = {
        "user_type": "company",
        "first_name": "Fibra SAS",
        "last_name": "Sucursal Sur",
        "email": "pagos@FIBRA.co",
        "phone": "+573167591030",
        "document_type": "NIT",
        "document_number": "900123456-7",
        "enable_notifications": False,
        "nationality": "CO",
        "birthdate": "2001-02-28",
        "related_to": str(CUSTOMER_ID),
    }
    assert parse_create_customer(body, LIVE, TODAY, [CUSTOMER_ID]) == (
        RegisterCustomer(
            user_type="company",
            first_name="Fibra SAS",
            last_name="Sucursal Sur",
            email="pagos@fibra.co",
            phone="+573167591030",
            document_type="NIT",
            document_number="900123456-7",
            enable_notifications=False,
            nationality="CO",
            birthdate=date(2001, 2, 28),
            related_to=CUSTOMER_ID,
        ),
        [],
    )


def test_null_is_not_sent():
    names = ["user_type", "last_name", "phone", "document_type", "document_number", "enable_notifications"]
    names += ["nationality", "birthdate", "related_to"]
    assert registered(**dict.fromkeys(names)) == registered()


@pytest.mark.parametrize("name", ["first_name", "last_name"])
def test_names_are_accepted_up_to_both_bounds_and_refused_beyond(name: str):
    assert [len(getattr(registered(**{name: "ñ" * length}), name)) for length in (1, 100)] == [1, 100]
    assert list(refused(**{name: "ñ" * 101})) == list(refused(**{name: " "})) == [name]


def test_a_first_name_is_required():
    assert refused(first_name=None) == {"first_name": ["El campo first_name es obligatorio."]}


@pytest.mark.parametrize("rule", ["either", "both", "none"])
def test_one_contact_is_needed_whatever_the_account_s_contact_rule(rule: str):
    of = account(contact_rule=rule)
    parse_create_customer({"first_name": "Ana", "phone": "+573167591030"}, of, TODAY, [])
    errors = refused(of, email=None)
    assert list(errors) == ["email", "phone"]
    assert all(word in text for texts in errors.values() for text in texts for word in CONTACT_WORDS)


def test_contacts_must_be_valid():
    assert refused(email="x", phone="x") == {"email": [EMAIL], "phone": [PHONE]}
    command, _ = parse_create_customer({"first_name": "Ana", "phone": "+573991111111"}, TEST, TODAY, [])
    assert command.phone == "+573991111111"


@pytest.mark.parametrize("value", ["natural", "company"])
def test_the_user_types_are_two(value: str):
    assert registered(user_type=value).user_type == value


@pytest.mark.parametrize("value", ["Natural", "person", "", 7])
def test_any_other_user_type_is_refused(value: object):
    assert list(refused(user_type=value)) == ["user_type"]


@pytest.mark.parametrize("kind", ["CC", "CE", "NIT", "PASSPORT"])
@pytest.mark.parametrize("number", ["123", "A" * 30, "900123456-7", "ab-12"])
def test_a_document_has_a_type_and_a_number(kind: str, number: str):
    command = registered(document_type=kind, document_number=f" {number} ")
    assert (command.document_type, command.document_number) == (kind, number)


@pytest.mark.parametrize("number", ["12", "A" * 31, "12 34", "12.34", "ñandú", "١٢٣", "", 123, "123\x00"])
def test_any_other_number_is_refused(number: object):
    assert list(refused(document_type="CC", document_number=number)) == ["document_number"]


@pytest.mark.parametrize("kind", ["cc", "TI", "", 7])
def test_any_other_document_type_is_refused(kind: object):
    assert list(refused(document_type=kind, document_number="123")) == ["document_type"]


def test_half_a_document_is_refused_on_the_other_half():
    assert list(refused(document_type="CC")) == ["document_number"]
    assert list(refused(document_number="123")) == ["document_type"]


@pytest.mark.parametrize("value", ["true", 1, 0, []])
def test_enable_notifications_is_a_boolean(value: object):
    assert list(refused(enable_notifications=value)) == ["enable_notifications"]


@pytest.mark.parametrize("value", ["CO", "VE", "US", "AQ", "AX", "ZW"])
def test_a_nationality_is_a_country(value: str):
    assert registered(nationality=value).nationality == value


@pytest.mark.parametrize("value", ["co", "COL", "ZZ", "EU", "XK", "UN", "57", "", 7])
def test_any_other_nationality_is_refused(value: object):
    assert list(refused(nationality=value)) == ["nationality"]


@pytest.mark.parametrize("value", ["2025-10-19", "1900-02-28", "2024-02-29"])
def test_a_birthdate_is_in_the_past(value: str):
    assert registered(birthdate=value).birthdate == date.fromisoformat(value)


@pytest.mark.parametrize("value", ["2025-10-20", "2025-10-21", "2023-02-29", "x", 7])
def test_any_other_birthdate_is_refused(value: object):
    errors = refused(birthdate=value)
    assert list(errors) == ["birthdate"]
    assert "fecha" in errors["birthdate"][0]


@pytest.mark.parametrize("value", [str(UUID(int=9)), "x", 7])
def test_related_to_is_a_known_customer(value: object):
    assert list(refused(related_to=value)) == ["related_to"]


def test_all_errors_are_reported_together_in_the_order_of_the_table():
    names = ["user_type", "first_name", "last_name", "email", "phone", "document_type", "document_number"]
    names += ["enable_notifications", "nationality", "birthdate", "related_to"]
    assert list(refused(**dict.fromkeys(reversed(names), 7))) == names


def test_unknown_members_are_reported():
    assert parse_create_customer({**CUSTOMER, "city": "Cali"}, LIVE, TODAY, [])[1] == ["city"]
