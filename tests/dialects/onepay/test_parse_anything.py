"""Whatever a body or a query holds, reading it ends in a command or in errors that can be answered."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import phonenumbers
import pytest
from hypothesis import given, strategies as st

from recaudo.dialects.onepay import parse
from recaudo.dialects.onepay.parse import InvalidError, InvalidQueryError
from recaudo.edge.bodies import decode_object
from recaudo.edge.contacts import is_phone
from tests.dialects.onepay.parsing import CUSTOMER, CUSTOMER_ID, INVOICE, LIVE, NOW, PAYMENT, TEST, TODAY, stored

PARSERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "create invoice": lambda body: parse.parse_create_invoice(body, TEST, TODAY),
    "change invoice": lambda body: parse.parse_change_invoice(body, stored(), LIVE, TODAY),
    "withdraw invoice": lambda body: parse.parse_withdraw(body, None),
    "create payment": lambda body: parse.parse_create_payment(body, LIVE, NOW, [CUSTOMER_ID]),
    "create customer": lambda body: parse.parse_create_customer(body, LIVE, TODAY, [CUSTOMER_ID]),
    "resend payment": parse.parse_resend,
}

NAMES = sorted(
    {
        *(
            field.name
            for table in (parse._INVOICE, parse._PAYMENT, parse._CUSTOMER, parse._WITHDRAWAL)
            for field in table
        ),
        *("min_amount", "max_amount", "min_amount_in_cents", "max_amount_in_cents", "max_payment_methods"),
        *("timeout_hours", "key", "value", "cards", "accounts"),
    }
)

# JSON as text: every spelling of numbers, and escapes of half surrogate pairs, go through the real decoder.
SAMPLES = [
    *("+573167591030", "ana@ejemplo.com", "2025-12-31", "2025-12-31T10:00:00Z", "https://example.com"),
    *("natural", "CC", "COP", "9999-12-31", "0001-01-01T00:00:00+23:59", "a@ñ\u3002co", "x" * 600, "CO", "900123456"),
    str(CUSTOMER_ID),
]
texts = st.text(st.characters(codec=None), max_size=20) | st.sampled_from(SAMPLES)
numbers = (
    st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.tuples(st.integers(-99, 99), st.integers(-(10**25), 10**25)).map(lambda n: f"{n[0]}e{n[1]}")
    | st.sampled_from(["50000", "5e4", "50000.0", "20000", "1", "100", "1e400", "-0.0"])
)
leaves = st.sampled_from(["null", "true", "false"]) | numbers | texts.map(json.dumps)
names = (st.sampled_from(NAMES) | texts).map(json.dumps)


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(names, values), max_size=8)
    return members.map(lambda pairs: "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}")


values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]") | objects(inner),
    max_leaves=10,
)
bodies = objects(values)


@pytest.mark.parametrize("what", PARSERS)
@given(body=bodies)
def test_any_object_is_a_command_or_has_errors_that_can_be_answered(what: str, body: str):
    answerable(PARSERS[what], decode_object(body.encode()))


@pytest.mark.parametrize("what", ["create invoice", "create payment", "create customer"])
@given(name=st.sampled_from(NAMES), value=values)
def test_any_value_in_a_good_body_is_a_command_or_has_errors_that_can_be_answered(what: str, name: str, value: str):
    good = {"create invoice": INVOICE, "create payment": PAYMENT, "create customer": CUSTOMER}[what]
    answerable(PARSERS[what], {**good, name: decode_object(f'{{"value":{value}}}'.encode())["value"]})


def answerable(parser: Callable[[dict[str, Any]], Any], body: dict[str, Any]) -> None:
    """What comes out can be kept in the database and answered in UTF-8."""
    parse.customer_ids(body)
    try:
        command, ignored = parser(body)
    except InvalidError as error:
        check_errors(error.errors)
        return
    kept = msgspec.json.encode(command)
    assert b"\\u0000" not in kept
    assert "Decimal" not in repr(command)
    msgspec.json.encode(ignored)


def check_errors(errors: dict[str, list[str]]) -> None:
    assert errors
    assert all(errors.values())
    msgspec.json.encode(errors)


@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(["page", "per_page", "sort", "limit", "filter[status]", "filter[id]", "filter[reference]"])
            | st.text(st.characters(codec=None)),
            st.text(st.characters(codec=None)) | st.sampled_from(["1", "PAID", str(UUID(int=1)), "-created_at"]),
        )
    ),
    kind=st.sampled_from(["invoices", "payments", "payment_intents", "customers"]),
)
def test_any_query_is_a_page_or_has_errors_that_can_be_answered(query: list[tuple[str, str]], kind: Any):
    try:
        page, filters, ignored = parse.parse_list(query, kind)
    except InvalidQueryError as error:
        msgspec.json.encode([error.message, error.errors])
        return
    assert page.page >= 1
    assert 1 <= page.per_page <= 100
    assert b"\\u0000" not in msgspec.json.encode(filters)
    msgspec.json.encode(ignored)


@given(number=st.integers(3_000_000_000, 3_999_999_999))
def test_the_short_way_for_colombian_mobiles_agrees_with_the_library(number: int):
    text = f"+57{number}"
    assert is_phone(text) == phonenumbers.is_valid_number(phonenumbers.parse(text))
