"""Creating, changing and withdrawing invoices: every row of the tables (OnePay spec, sections 5, 8 and 9.1)."""

from datetime import date
from typing import Any

import pytest

from recaudo.dialects.onepay.parse import parse_change_invoice, parse_create_invoice, parse_withdraw
from recaudo.domain.partial import PartialRule
from recaudo.usecases.invoices import OpenInvoice
from tests.dialects.onepay.parsing import (
    AMOUNT,
    CONTACT_WORDS,
    EMAIL,
    INVOICE,
    LIVE,
    PHONE,
    TEST,
    TODAY,
    account,
    errors_of,
    example,
    json_of,
    stored,
)

ABSENT = object()


def created(**fields: Any) -> OpenInvoice:
    return parse_create_invoice(body_with(**fields), LIVE, TODAY)[0]


def refused(of: Any = LIVE, **fields: Any) -> dict[str, list[str]]:
    return errors_of(lambda: parse_create_invoice(body_with(**fields), of, TODAY))


def body_with(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**INVOICE, **fields}.items() if value is not ABSENT}


# --- The published examples (16) ---


def test_the_published_create_example_is_accepted_word_for_word():
    command, ignored = parse_create_invoice(example("create-invoice.request"), TEST, TODAY)
    assert ignored == []
    assert command == OpenInvoice(
        dialect="onepay",
        amount_minor=5_000_000,
        name="Internet plan - Octubre",
        reference="1060500333",
        origin="biller",
        origin_id="987654",
        phone="+573167591030",
        email="cliente@ejemplo.com",
        due_on=date(2025, 10, 20),
        document_url="https://example.com/document.pdf",
        metadata={"key": "value"},
    )


def test_the_published_create_example_is_accepted_years_later_too():
    command, _ = parse_create_invoice(example("create-invoice.request"), TEST, date(2035, 1, 1))
    assert command.due_on == date(2025, 10, 20)


def test_the_published_update_placeholders_get_the_errors_of_the_specification_in_their_order():
    errors = errors_of(lambda: parse_change_invoice(example("update-invoice.request"), stored(), TEST, TODAY))
    expected = example("update-invoice.expected-response")
    assert list(errors.items()) == list(expected["errors"].items())
    assert " ".join(text for texts in errors.values() for text in texts) == expected["message"]


def test_the_filled_update_example_gives_the_fields_of_the_core():
    values, ignored = parse_change_invoice(example("update-invoice.filled-request"), stored(), TEST, TODAY)
    assert ignored == []
    assert values == {
        "reference": "INV-12345678",
        "origin_id": "987654",
        "amount_minor": 7_500_000,
        "name": "Internet plan - Actualizado",
        "phone": "+573167591039",
        "email": "cliente@ejemplo.com",
    }


# --- Text (5, 8.1) ---

TEXTS = [("reference", 1, 100), ("provider_id", 1, 100), ("provider", 1, 50), ("name", 5, 100), ("description", 1, 500)]
CORE = {"provider_id": "origin_id", "provider": "origin"}


@pytest.mark.parametrize(("name", "low", "high"), TEXTS)
def test_text_is_accepted_up_to_both_bounds(name: str, low: int, high: int):
    for length in (low, high):
        assert getattr(created(**{name: "ñ" * length}), CORE.get(name, name)) == "ñ" * length


@pytest.mark.parametrize(("name", "low", "high"), TEXTS)
def test_text_one_beyond_a_bound_is_refused_with_the_name_of_the_field(name: str, low: int, high: int):
    for length in (low - 1, high + 1):
        errors = refused(**{name: "x" * length})
        assert errors == {name: [f"El campo {name} debe tener entre {low} y {high} caracteres."]}


@pytest.mark.parametrize(("name", "low", "high"), TEXTS)
def test_lengths_are_code_points_after_trimming(name: str, low: int, high: int):
    assert getattr(created(**{name: f" \t\n{'😀' * high}  "}), CORE.get(name, name)) == "😀" * high
    assert name in refused(**{name: " " * low})


@pytest.mark.parametrize(("name", "low", "high"), TEXTS)
@pytest.mark.parametrize("value", [7, 1.5, True, [], {}, ["texto"]])
def test_only_a_string_is_text(name: str, low: int, high: int, value: object):
    assert refused(**{name: value}) == {name: [f"El campo {name} debe ser texto."]}


@pytest.mark.parametrize("control", ["\x00", "\x01", "\x0b", "\x1b", "\x7f", "\x85", "\x9f", "\ud800", "\r"])
@pytest.mark.parametrize("name", [name for name, _, _ in TEXTS])
def test_control_characters_and_half_surrogate_pairs_are_refused(name: str, control: str):
    assert refused(**{name: f"abc{control}def"}) == {name: [f"El campo {name} contiene caracteres de control."]}


@pytest.mark.parametrize("name", ["reference", "provider_id", "provider", "name"])
@pytest.mark.parametrize("control", ["\n", "\t"])
def test_line_feed_and_tab_are_control_characters(name: str, control: str):
    assert name in refused(**{name: f"abc{control}def"})


def test_a_description_may_have_lines_and_tabs():
    assert created(description="uno\n\tdos").description == "uno\n\tdos"


@pytest.mark.parametrize(
    "text", ["Año € / señal", "\u0641\u0627 \u200f\u0627", "👩‍👩‍👧 plan", "a\u00a0b cd", "x\u2028y123"]
)
def test_other_text_is_kept_as_sent(text: str):
    assert created(name=text).name == text


# --- Required, null and absent (0.3) ---


@pytest.mark.parametrize("value", [ABSENT, None])
@pytest.mark.parametrize("name", ["reference", "provider", "amount", "name"])
def test_required_fields_are_required_and_null_is_not_sent(name: str, value: object):
    assert refused(**{name: value}) == {name: [f"El campo {name} es obligatorio."]}


@pytest.mark.parametrize("value", [ABSENT, None])
def test_every_other_field_may_be_absent_or_null(value: object):
    optional = ("provider_id", "description", "email", "due_date", "document_url", "metadata", "partial_payment_config")
    command = created(**dict.fromkeys(optional, value))
    assert (command.origin_id, command.description, command.email, command.due_on) == (None, None, None, None)
    assert (command.document_url, command.metadata, command.partial) == (None, {}, None)


# --- Amount (0.3) ---


@pytest.mark.parametrize(
    ("spelling", "amount_minor"),
    [
        ("50000", 5_000_000),
        ("50000.0", 5_000_000),
        ("5e4", 5_000_000),
        ("5.0E+4", 5_000_000),
        ("500000e-1", 5_000_000),
        ("5000", 500_000),
        ("100000000", 10_000_000_000),
    ],
)
def test_any_notation_of_a_whole_amount_within_the_bounds_is_accepted(spelling: str, amount_minor: int):
    assert created(amount=json_of(spelling)).amount_minor == amount_minor


@pytest.mark.parametrize(
    "spelling", ["4999", "100000001", "0", "-50000", "1e400", "-1e400", "1e99999999999999999999", "9" * 5000, "1e18"]
)
def test_an_amount_out_of_bounds_is_told_the_bounds(spelling: str):
    assert refused(amount=json_of(spelling)) == {"amount": [AMOUNT]}


@pytest.mark.parametrize(
    "spelling",
    ["50000.5", "50000.0000000000000000001", "1e-400", '"50000"', "true", "[]", "{}", '"<string>"', '"\\u0000"'],
)
def test_an_amount_that_is_no_whole_number_is_refused(spelling: str):
    message = "El valor (amount) debe ser un número entero de pesos, sin comillas ni decimales."
    assert refused(amount=json_of(spelling)) == {"amount": [message]}


def test_the_bounds_are_the_account_s():
    small = account(amount_min_minor=100, amount_max_minor=200)
    command, _ = parse_create_invoice(body_with(amount=1), small, TODAY)
    assert command.amount_minor == 100
    assert refused(small, amount=3) == {"amount": ["El valor debe estar entre $ 1 y $ 2."]}


# --- Phone (5) ---


@pytest.mark.parametrize(
    "value", ["+573167591030", " +573167591030 ", "+576013456789", "+14155552671", "+447911123456"]
)
def test_a_valid_number_of_any_country_is_accepted_as_typed(value: str):
    assert created(phone=value).phone == value.strip()


@pytest.mark.parametrize(
    "value",
    [
        "3167591030",
        "573167591030",
        "+57 3167591030",
        "+57-316-7591030",
        "+5731675910301",
        "+57316759103",
        "+5703167591030",
        "+573991111111",
        "+999123456789",
        "+1",
        "+",
        "",
        "<string>",
        "+573167591030\x00",
        "+٥٧٣١٦٧٥٩١٠٣٠",
        "\ud800",
        573167591030,
        True,
        ["+573167591030"],
    ],
)
def test_any_other_phone_is_refused_with_the_words_clients_look_for(value: object):
    assert refused(phone=value) == {"phone": [PHONE]}
    assert "E.164" in PHONE
    assert "teléfono" in PHONE


@pytest.mark.parametrize(
    "value", ["+573991111111", "+573992222222", "+9991234567", "+999123456789012", "+573167591030"]
)
def test_test_accounts_accept_the_sandbox_numbers_too(value: str):
    assert parse_create_invoice(body_with(phone=value), TEST, TODAY)[0].phone == value


@pytest.mark.parametrize("value", ["+999123456", "+9991234567890123", "+573993333333", "+5739911111110"])
def test_test_accounts_accept_no_other_invented_number(value: str):
    assert refused(TEST, phone=value) == {"phone": [PHONE]}


# --- E-mail (5) ---


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("cliente@ejemplo.com", "cliente@ejemplo.com"),
        (" Ana.Perez+cobros@EJEMPLO.Com.CO ", "Ana.Perez+cobros@ejemplo.com.co"),
        ("o'neil!#$%&*/=?^_`{|}~-@x-y.co", "o'neil!#$%&*/=?^_`{|}~-@x-y.co"),
        ("ana@Añejo.com", "ana@añejo.com"),
        ("ana@xn--aejo-gqa.com", "ana@xn--aejo-gqa.com"),
        ("a" * 64 + "@ejemplo.com", "a" * 64 + "@ejemplo.com"),
        ("ana@" + "a" * 63 + ".co", "ana@" + "a" * 63 + ".co"),
        ("ana@" + "a123456." * 31 + "co", "ana@" + "a123456." * 31 + "co"),  # 254 characters
    ],
)
def test_one_mailbox_is_accepted_with_its_domain_in_lower_case(value: str, kept: str):
    assert created(email=value).email == kept


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<string>",
        "ana",
        "ana@",
        "@ejemplo.com",
        "ana@ejemplo",
        "ana@localhost",
        "Ana <ana@ejemplo.com>",
        "ana@ejemplo.com,luis@ejemplo.com",
        "ana perez@ejemplo.com",
        '"ana perez"@ejemplo.com',
        "ana..perez@ejemplo.com",
        ".ana@ejemplo.com",
        "ana.@ejemplo.com",
        "ana@-ejemplo.com",
        "ana@ejemplo-.com",
        "ana@ejemplo..com",
        "ana@ejemplo.com.",
        "ana@192.168.0.1",
        "ana@[192.168.0.1]",
        "ana@ejem_plo.com",
        "ana@ejemplo。com",
        "ana@ejem\u00adplo.com",
        "ana@ejem\x00plo.com",
        "ana@ejemplo\n.com",
        "ana@\ud800.com",
        "añil@ejemplo.com",
        "a" * 65 + "@ejemplo.com",
        "ana@" + "a" * 64 + ".co",
        "ana@" + "a123456." * 31 + "com",  # 255 characters
        7,
        True,
        ["ana@ejemplo.com"],
    ],
)
def test_any_other_email_is_refused_with_the_words_clients_look_for(value: object):
    assert refused(email=value) == {"email": [EMAIL]}
    assert "correo" in EMAIL
    assert "email" in EMAIL


# --- Contact rule (5) ---


@pytest.mark.parametrize(
    ("rule", "sent", "accepted"),
    [
        ("either", {"phone"}, True),
        ("either", {"email"}, True),
        ("either", {"phone", "email"}, True),
        ("either", set[str](), False),
        ("both", {"phone", "email"}, True),
        ("both", {"phone"}, False),
        ("both", {"email"}, False),
        ("both", set[str](), False),
        ("none", set[str](), True),
    ],
)
def test_the_contact_rule_is_the_account_s_and_a_violation_is_reported_on_both_fields(
    rule: str, sent: set[str], accepted: bool
):
    contacts = {"phone": "+573167591030", "email": "ana@ejemplo.com"}
    body = body_with(**{name: value if name in sent else None for name, value in contacts.items()})
    of = account(contact_rule=rule)
    if accepted:
        command, _ = parse_create_invoice(body, of, TODAY)
        assert (command.phone is not None, command.email is not None) == ("phone" in sent, "email" in sent)
        return
    errors = errors_of(lambda: parse_create_invoice(body, of, TODAY))
    assert list(errors) == ["phone", "email"]
    assert errors["phone"] == errors["email"]
    assert all(word in errors["phone"][0] for word in CONTACT_WORDS)


def test_a_contact_that_is_not_valid_is_reported_for_that_alone():
    assert refused(phone="3167591030") == {"phone": [PHONE]}
    errors = refused(account(contact_rule="both"), phone="3167591030")
    assert errors["phone"][0] == PHONE
    assert len(errors["phone"]) == 2
    assert len(errors["email"]) == 1


# --- Due date (5) ---


@pytest.mark.parametrize(
    "value", ["2000-01-01", "2024-02-29", "2025-10-19", "2025-10-20", "2075-10-20", " 2025-12-31 "]
)
def test_a_real_day_from_2000_to_fifty_years_ahead_is_accepted(value: str):
    assert created(due_date=value).due_on == date.fromisoformat(value.strip())


@pytest.mark.parametrize("value", ["1999-12-31", "2075-10-21", "0001-01-01", "9999-12-31"])
def test_a_day_beyond_the_bounds_is_told_the_bounds(value: str):
    assert refused(due_date=value) == {"due_date": ["La fecha due_date debe estar entre 2000-01-01 y 2075-10-20."]}


@pytest.mark.parametrize(
    "value",
    [
        *("2025-02-29", "2025-13-01", "20251020", "2025-1-2", "20/10/2025", "2025-10-20T00:00:00Z", "2025-W43-1"),
        *("\u0662025-10-20", "", "<string>", "2025-10-20\x00", 20251020, True, []),
    ],
)
def test_anything_else_is_no_day(value: object):
    message = "La fecha due_date debe ser un día real con la forma AAAA-MM-DD."
    assert refused(due_date=value) == {"due_date": [message]}


def test_fifty_years_after_a_leap_day_is_the_28th():
    body = body_with(due_date="2078-02-28")
    assert parse_create_invoice(body, LIVE, date(2028, 2, 29))[0].due_on == date(2078, 2, 28)


# --- URL (5) ---

LONGEST_URL = "https://example.com/" + "a" * (2048 - len("https://example.com/"))


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com/document.pdf",
        "http://example.com",
        "HTTPS://EXAMPLE.COM:8443?x=1#y",
        "https://añejo.com/factura-año.pdf",
        "http://localhost/x",
        "http://[::1]:8000/x",
        " https://example.com ",
        LONGEST_URL,
    ],
)
def test_an_http_address_with_a_host_is_accepted(value: str):
    assert created(document_url=value).document_url == value.strip()


@pytest.mark.parametrize(
    "value",
    [
        *("", "<string>", "example.com", "//example.com", "ftp://example.com", "javascript:alert(1)", "https://"),
        *("https:///x", "https://?x", "https://exa mple.com", "https://example.com/a b", "https://example.com/\x00"),
        *("https://example.com\\@evil.com", "https://example.com/\x85x", "https://example.com/\ud800"),
        *(LONGEST_URL + "a", 7, True, []),
    ],
)
def test_any_other_address_is_refused(value: object):
    errors = refused(document_url=value)
    assert list(errors) == ["document_url"]
    assert "URL" in errors["document_url"][0]


# --- Metadata (5) ---


@pytest.mark.parametrize(
    ("spelling", "kept"),
    [
        ("{}", {}),
        ('{"a":"x","b":true,"c":null,"d":1,"e":1.5}', {"a": "x", "b": True, "c": None, "d": 1, "e": 1.5}),
        ('{"nota":"línea\\nnueva","2":" dos "}', {"nota": "línea\nnueva", "2": " dos "}),
        ('{"n":9007199254740991,"m":-9007199254740991}', {"n": 9007199254740991, "m": -9007199254740991}),
        ('{"n":1.0,"z":-0.0,"tiny":1e-400}', {"n": 1, "z": 0, "tiny": 0}),
        ('{"n":0.1000000000000000055511151231257827}', {"n": 0.1}),
        ('{"' + "n" * 40 + '":"' + "x" * 500 + '"}', {"n" * 40: "x" * 500}),
        ("{" + ",".join(f'"{i}":{i}' for i in range(50)) + "}", {str(i): i for i in range(50)}),
    ],
)
def test_metadata_is_kept_as_sent(spelling: str, kept: dict[str, Any]):
    command = created(metadata=json_of(spelling))
    assert command.metadata == kept
    assert [type(v) for v in command.metadata.values()] == [type(v) for v in kept.values()]


@pytest.mark.parametrize(
    ("spelling", "path"),
    [
        ("[]", "metadata"),
        ('"x"', "metadata"),
        ("7", "metadata"),
        ("true", "metadata"),
        ("{" + ",".join(f'"{i}":{i}' for i in range(51)) + "}", "metadata"),
        ('{"":1}', "metadata"),
        ('{"' + "n" * 41 + '":1}', "metadata"),
        ('{"a\\u0000":1}', "metadata"),
        ('{"\\ud800":1}', "metadata"),
        ('{"a":"' + "x" * 501 + '"}', "metadata.a"),
        ('{"a":"x\\u0000"}', "metadata.a"),
        ('{"a":"\\udc00"}', "metadata.a"),
        ('{"a":{}}', "metadata.a"),
        ('{"a":[]}', "metadata.a"),
        ('{"a":9007199254740992}', "metadata.a"),
        ('{"a":-9007199254740992}', "metadata.a"),
        ('{"a":1e400}', "metadata.a"),
        ('{"a":' + "9" * 400 + ".5}", "metadata.a"),
    ],
)
def test_metadata_beyond_its_limits_is_refused(spelling: str, path: str):
    errors = refused(metadata=json_of(spelling))
    assert list(errors) == [path]
    assert "metadata" in errors[path][0]


# --- Limits of paying in parts (9.1) ---


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"min_amount": 1}, PartialRule(min_minor=100)),
        ({"min_amount": 50000}, PartialRule(min_minor=5_000_000)),
        ({"min_amount": 20000, "max_amount": 20000}, PartialRule(min_minor=2_000_000, max_minor=2_000_000)),
        ({"min_amount": 20000, "max_amount": 90000}, PartialRule(min_minor=2_000_000, max_minor=9_000_000)),
        ({"min_amount": 1, "max_payment_methods": 1}, PartialRule(min_minor=100, parts_max=1)),
        ({"min_amount": 1, "max_payment_methods": 20}, PartialRule(min_minor=100, parts_max=20)),
        ({"min_amount": 1, "timeout_hours": 1}, PartialRule(min_minor=100, window_hours=1)),
        ({"min_amount": 1, "timeout_hours": 8760}, PartialRule(min_minor=100, window_hours=8760)),
        (
            {"min_amount": 1, "max_amount": None, "max_payment_methods": None, "timeout_hours": None},
            PartialRule(min_minor=100),
        ),
    ],
)
def test_limits_within_their_bounds_are_accepted(limits: dict[str, Any], rule: PartialRule):
    assert created(partial_payment_config=limits).partial == rule


@pytest.mark.parametrize(
    ("limits", "paths"),
    [
        ({}, ["min_amount"]),
        ({"min_amount": None}, ["min_amount"]),
        ({"min_amount": 0}, ["min_amount"]),
        ({"min_amount": 50001}, ["min_amount"]),
        ({"min_amount": "20000"}, ["min_amount"]),
        ({"min_amount": True}, ["min_amount"]),
        ({"min_amount": 20000, "max_amount": 19999}, ["max_amount"]),
        ({"min_amount": 20000, "max_amount": "x"}, ["max_amount"]),
        ({"min_amount": 20000, "max_amount": 10**30}, ["max_amount"]),
        ({"min_amount": 1, "max_payment_methods": 0}, ["max_payment_methods"]),
        ({"min_amount": 1, "max_payment_methods": 21}, ["max_payment_methods"]),
        ({"min_amount": 1, "timeout_hours": 0}, ["timeout_hours"]),
        ({"min_amount": 1, "timeout_hours": 8761}, ["timeout_hours"]),
        ({"timeout_hours": 0, "max_amount": 0}, ["min_amount", "max_amount", "timeout_hours"]),
    ],
)
def test_limits_beyond_their_bounds_are_refused_by_dotted_path(limits: dict[str, Any], paths: list[str]):
    errors = refused(partial_payment_config=limits)
    assert list(errors) == [f"partial_payment_config.{path}" for path in paths]


@pytest.mark.parametrize("value", [[], "x", 7, True])
def test_limits_are_an_object(value: object):
    assert list(refused(partial_payment_config=value)) == ["partial_payment_config"]


def test_limits_are_not_compared_with_an_amount_that_is_wrong_itself():
    assert refused(amount=1, partial_payment_config={"min_amount": 20000}) == {"amount": [AMOUNT]}


# --- All errors at once, unknown members ---


def test_all_errors_are_reported_together_in_the_order_of_the_table():
    body: dict[str, Any] = {
        "partial_payment_config": {"timeout_hours": 0, "min_amount": 0},
        "metadata": {"a": []},
        "document_url": "x",
        "due_date": "x",
        "email": "x",
        "phone": "x",
        "description": "",
        "name": "x",
        "amount": 1,
        "provider": "",
        "provider_id": "",
    }
    errors = errors_of(lambda: parse_create_invoice(body, LIVE, TODAY))
    assert list(errors) == [
        "reference",
        "provider_id",
        "provider",
        "amount",
        "name",
        "description",
        "phone",
        "email",
        "due_date",
        "document_url",
        "metadata.a",
        "partial_payment_config.min_amount",
        "partial_payment_config.timeout_hours",
    ]


def test_contact_errors_stand_in_the_place_of_their_fields():
    assert list(refused(phone=None, amount=1, due_date="x")) == ["amount", "phone", "email", "due_date"]


def test_a_field_may_have_several_messages():
    assert len(refused(reference="\x00" * 101)["reference"]) == 2


def test_an_empty_body_names_every_required_field():
    errors = errors_of(lambda: parse_create_invoice({}, LIVE, TODAY))
    assert list(errors) == ["reference", "provider", "amount", "name", "phone", "email"]


def test_unknown_members_at_every_level_are_reported_and_no_error():
    body = body_with(foo=1, bar=None, metadata={"own": 1}, partial_payment_config={"min_amount": 1, "x.y": {"z": 1}})
    command, ignored = parse_create_invoice(body, LIVE, TODAY)
    assert command.metadata == {"own": 1}
    assert sorted(ignored) == ["bar", "foo", "partial_payment_config.x.y"]


def test_reported_names_are_short_and_can_be_encoded():
    _, ignored = parse_create_invoice(body_with(**{"\ud800": "\ud800", "n" * 1000: 1}), LIVE, TODAY)
    assert ignored == ["?", "n" * 100]


# --- Changing (8.4) ---

CLEARED = {
    "provider_id": ("origin_id", None),
    "description": ("description", None),
    "phone": ("phone", None),
    "email": ("email", None),
    "due_date": ("due_on", None),
    "document_url": ("document_url", None),
    "metadata": ("metadata", {}),
    "partial_payment_config": ("partial", None),
}


def changed(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return parse_change_invoice(body, stored(**fields), LIVE, TODAY)[0]


def change_refused(body: dict[str, Any], of: Any = LIVE, **fields: Any) -> dict[str, list[str]]:
    return errors_of(lambda: parse_change_invoice(body, stored(**fields), of, TODAY))


def test_absent_fields_stay_absent():
    assert changed({}) == {}


@pytest.mark.parametrize("name", CLEARED)
def test_null_clears_an_optional_field(name: str):
    core, value = CLEARED[name]
    assert changed({name: None}) == {core: value}


@pytest.mark.parametrize("name", ["reference", "amount", "name"])
def test_null_is_an_error_for_a_required_field(name: str):
    assert change_refused({name: None}) == {name: [f"El campo {name} no puede ser null."]}


def test_every_field_but_the_provider_can_change():
    body = {
        "reference": "R",
        "provider_id": "P",
        "provider": "other",
        "amount": 60000,
        "name": "Otro plan",
        "description": "Texto",
        "phone": "+573167591039",
        "email": "otro@ejemplo.com",
        "due_date": "2025-11-20",
        "document_url": "https://example.com/2.pdf",
        "metadata": {"new": 1},
        "partial_payment_config": {"min_amount": 30000},
    }
    values, ignored = parse_change_invoice(body, stored(), LIVE, TODAY)
    assert ignored == ["provider"]
    assert values == {
        "reference": "R",
        "origin_id": "P",
        "amount_minor": 6_000_000,
        "name": "Otro plan",
        "description": "Texto",
        "phone": "+573167591039",
        "email": "otro@ejemplo.com",
        "due_on": date(2025, 11, 20),
        "document_url": "https://example.com/2.pdf",
        "metadata": {"new": 1},
        "partial": PartialRule(min_minor=3_000_000),
    }


@pytest.mark.parametrize("value", [7, None, "", []])
def test_a_provider_is_ignored_whatever_it_is(value: object):
    assert parse_change_invoice({"provider": value}, stored(), LIVE, TODAY) == ({}, ["provider"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"phone": None, "email": None}, {}),
        ({"phone": None}, {"email": None}),
        ({"email": None}, {"phone": None}),
        ({}, {"phone": None, "email": None}),
    ],
)
def test_the_contact_rule_is_checked_on_the_result(body: dict[str, Any], fields: dict[str, Any]):
    errors = change_refused(body, **fields)
    assert list(errors) == ["phone", "email"]
    assert all(word in errors["email"][0] for word in CONTACT_WORDS)


def test_one_stored_contact_is_enough_when_the_other_is_cleared():
    assert changed({"phone": None}) == {"phone": None}


def test_stored_limits_must_fit_a_new_amount():
    rule = PartialRule(min_minor=2_000_000)
    assert changed({"amount": 20000}, partial=rule) == {"amount_minor": 2_000_000}
    assert list(change_refused({"amount": 19999}, partial=rule)) == ["partial_payment_config.min_amount"]
    assert changed({"amount": 19999, "partial_payment_config": None}, partial=rule)["partial"] is None


def test_new_limits_must_fit_the_stored_amount():
    assert changed({"partial_payment_config": {"min_amount": 50000}})["partial"] == PartialRule(min_minor=5_000_000)
    errors = change_refused({"partial_payment_config": {"min_amount": 50001}})
    assert list(errors) == ["partial_payment_config.min_amount"]


def test_new_limits_must_fit_a_new_amount():
    body = {"amount": 20000, "partial_payment_config": {"min_amount": 20001}}
    assert list(change_refused(body)) == ["partial_payment_config.min_amount"]


def test_stored_limits_are_not_compared_with_an_amount_that_is_wrong_itself():
    assert list(change_refused({"amount": 1}, partial=PartialRule(min_minor=2_000_000))) == ["amount"]


# --- Withdrawing (8.5) ---


@pytest.mark.parametrize(
    ("body", "asked", "reason"),
    [
        (None, None, "DELETE_FROM_PROVIDER"),
        ({}, None, "DELETE_FROM_PROVIDER"),
        ({"reason": None}, None, "DELETE_FROM_PROVIDER"),
        ({"reason": "DELETE_FROM_PROVIDER"}, None, "DELETE_FROM_PROVIDER"),
        ({"reason": "PAID_FROM_PROVIDER"}, None, "PAID_FROM_PROVIDER"),
        (None, "PAID_FROM_PROVIDER", "PAID_FROM_PROVIDER"),
        ({}, " PAID_FROM_PROVIDER ", "PAID_FROM_PROVIDER"),
        ({"reason": "PAID_FROM_PROVIDER"}, "PAID_FROM_PROVIDER", "PAID_FROM_PROVIDER"),
    ],
)
def test_the_reason_may_stand_in_the_body_or_in_the_query(body: Any, asked: str | None, reason: str):
    assert parse_withdraw(body, asked) == (reason, [])


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"reason": "paid_from_provider"}, None),
        ({"reason": ""}, None),
        ({"reason": 7}, None),
        (None, "x"),
        (None, ""),
        ({"reason": "x"}, "PAID_FROM_PROVIDER"),
        ({"reason": "PAID_FROM_PROVIDER"}, "DELETE_FROM_PROVIDER"),
    ],
)
def test_any_other_reason_and_two_that_differ_are_refused(body: Any, asked: str | None):
    errors = errors_of(lambda: parse_withdraw(body, asked))
    assert list(errors) == ["reason"]
    assert len(errors["reason"]) == 1


def test_other_members_of_a_withdrawal_are_reported():
    assert parse_withdraw({"why": 1}, None) == ("DELETE_FROM_PROVIDER", ["why"])
