"""Customers: register with or without a document, read, and never twice (OnePay specification, section 12)."""

import asyncio
from typing import Any

import pytest

from tests.dialects.onepay.wire import CUSTOMER, INSTANT, NOBODY, UUID7, refusal
from tests.world import Client, World

BODY: dict[str, Any] = {"first_name": "Ana", "email": "ana@ejemplo.com"}
FULL: dict[str, Any] = {
    "user_type": "natural",
    "first_name": " Ana María ",
    "last_name": "Gómez 🌼",
    "email": "Ana@EJEMPLO.com",
    "phone": "+573167591030",
    "document_type": "CC",
    "document_number": "1060500333",
    "enable_notifications": False,
    "nationality": "CO",
    "birthdate": "1990-02-28",
}


async def refused(client: Client, fields: list[str], **body: Any) -> dict[str, Any]:
    return refusal(await client.post("/v1/customers", BODY | body), "validation_error", fields=fields)


async def test_a_customer_shows_everything_that_was_sent(client: Client) -> None:
    boss = (await client.post("/v1/customers", BODY)).json
    answer = await client.post("/v1/customers", FULL | {"related_to": boss["id"]})
    assert answer.status == 201
    made = answer.json
    assert list(made) == CUSTOMER
    assert UUID7.fullmatch(made["id"])
    assert INSTANT.fullmatch(made["created_at"])
    assert made == {
        "id": made["id"],
        "first_name": "Ana María",
        "last_name": "Gómez 🌼",
        "email": "Ana@ejemplo.com",
        "phone": "+573167591030",
        "document_type": "CC",
        "document_number": "1060500333",
        "created_at": made["created_at"],
        "is_test": True,
        "user_type": "natural",
        "enable_notifications": False,
        "nationality": "CO",
        "birthdate": "1990-02-28",
        "related_to": boss["id"],
        "updated_at": made["created_at"],
    }
    assert (await client.get(f"/v1/customers/{made['id']}")).json == made


@pytest.mark.parametrize("contact", [{"email": "ana@ejemplo.com"}, {"phone": "+573167591030"}])
async def test_a_name_and_one_contact_are_enough(client: Client, contact: dict[str, str]) -> None:
    made = (await client.post("/v1/customers", {"first_name": "Ana", **contact})).json
    assert list(made) == CUSTOMER
    assert (made["user_type"], made["enable_notifications"]) == ("natural", True)
    optional = ("last_name", "document_type", "document_number", "nationality", "birthdate", "related_to")
    assert all(made[name] is None for name in optional)


async def test_null_is_as_good_as_not_sent(client: Client) -> None:
    answer = await client.post("/v1/customers", dict.fromkeys(FULL) | BODY)
    assert answer.status == 201
    assert (answer.json["user_type"], answer.json["enable_notifications"]) == ("natural", True)


async def test_every_field_that_is_wrong_is_told_at_once_in_the_order_of_the_table(client: Client) -> None:
    wrong = {
        "related_to": NOBODY,
        "birthdate": "2999-01-01",
        "nationality": "Colombia",
        "enable_notifications": "sí",
        "document_number": "1",
        "document_type": "TI",
        "phone": "x",
        "email": "x",
        "last_name": "",
        "first_name": "x" * 101,
        "user_type": "person",
    }
    answer = await client.post("/v1/customers", wrong)
    refusal(answer, "validation_error", fields=list(reversed(wrong)), contains=["E.164", "teléfono", "correo", "email"])
    answer = await client.post("/v1/customers", {})
    refusal(answer, "validation_error", fields=["first_name", "email", "phone"])
    assert (await client.get("/v1/customers")).json["total"] == 0


async def test_a_contact_is_needed_whatever_the_accounts_rule_for_invoices_is(world: World) -> None:
    for rule in ("none", "both", "either"):
        merchant = await world.merchant(settings={"contact_rule": rule})
        answer = await merchant.post("/v1/customers", {"first_name": "Ana"})
        refusal(
            answer, "validation_error", fields=["email", "phone"], contains=["E.164", "teléfono", "correo", "email"]
        )
        assert (await merchant.post("/v1/customers", BODY)).status == 201


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("user_type", ["natural", "company"], ["Natural", "", 5, "person"]),
        ("first_name", ["A", "x" * 100, "S.A.S. 🏢"], ["", " ", "x" * 101, "a\nb", "a\x00b", 5]),
        ("last_name", ["G", "x" * 100], ["", "x" * 101, 5]),
        ("enable_notifications", [True, False], ["true", 1, 0, []]),
        ("nationality", ["CO", "VE", "US"], ["co", "COL", "XX", "ZZ", "", 57]),
        ("birthdate", ["1900-01-01", "2000-02-29"], ["2999-01-01", "2001-02-29", "01/02/1990", "", 5]),
    ],
)
async def test_each_field_has_its_own_bounds(client: Client, field: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert (await client.post("/v1/customers", BODY | {field: value})).json[field] == value
    for value in bad:
        await refused(client, [field], **{field: value})


async def test_a_birthday_lies_in_the_past_of_the_accounts_day(client: Client) -> None:
    now = (await client.get("/recaudo/v1/clock")).json["now"]
    body = BODY | {"birthdate": now[:10]}
    refusal(await client.post("/v1/customers", body), "validation_error", fields=["birthdate"])
    await client.advance_clock(days=2)
    assert (await client.post("/v1/customers", body)).status == 201


async def test_a_document_has_a_type_and_a_number(client: Client) -> None:
    await refused(client, ["document_type"], document_number="1060500333")
    await refused(client, ["document_number"], document_type="CC")


@pytest.mark.parametrize("number", ["123", "X" * 30, "AB-1234-z", "1060500333"])
async def test_documents_are_letters_digits_and_hyphens(client: Client, number: str) -> None:
    for document_type in ("CC", "CE", "NIT", "PASSPORT"):
        body = BODY | {"document_type": document_type, "document_number": f" {number} "}
        made = (await client.post("/v1/customers", body)).json
        assert (made["document_type"], made["document_number"]) == (document_type, number)


@pytest.mark.parametrize("number", ["12", "X" * 31, "1.060.500.333", "10 60", "ñandú", "", 1060500333])
async def test_any_other_document_is_refused(client: Client, number: Any) -> None:
    await refused(client, ["document_number"], document_type="CC", document_number=number)


async def test_a_document_belongs_to_one_customer(client: Client) -> None:
    made = (await client.post("/v1/customers", FULL)).json
    answer = await client.post("/v1/customers", FULL | {"first_name": "Otra"})
    refusal(answer, "customer_exists", existing_id=made["id"])
    for other in ({"document_type": "CE"}, {"document_number": "1060500334"}):
        assert (await client.post("/v1/customers", FULL | other)).status == 201
    # Without a document there is nothing to compare.
    for _ in range(2):
        assert (await client.post("/v1/customers", BODY)).status == 201


async def test_an_account_may_allow_duplicate_documents(world: World) -> None:
    merchant = await world.merchant(settings={"allow_duplicate_documents": True})
    for _ in range(2):
        assert (await merchant.post("/v1/customers", FULL)).status == 201
    assert (await merchant.get("/v1/customers?document_number=1060500333")).json["total"] == 2


async def test_the_same_document_in_another_account_is_another_customer(client: Client, world: World) -> None:
    other = await world.merchant()
    for merchant in (client, other):
        assert (await merchant.post("/v1/customers", FULL)).status == 201


async def test_of_concurrent_registrations_of_one_document_one_passes(client: Client) -> None:
    answers = await asyncio.gather(*(client.post("/v1/customers", FULL) for _ in range(12)))
    (made,) = [answer.json for answer in answers if answer.status == 201]
    for answer in answers:
        if answer.status != 201:
            refusal(answer, "customer_exists", existing_id=made["id"])


async def test_related_to_names_a_customer_of_the_account(client: Client, world: World) -> None:
    other = await world.merchant()
    theirs = (await other.post("/v1/customers", BODY)).json["id"]
    for related_to in (NOBODY, theirs, "x", 5, ""):
        await refused(client, ["related_to"], related_to=related_to)
    boss = (await client.post("/v1/customers", BODY)).json["id"]
    assert (await client.post("/v1/customers", BODY | {"related_to": boss.upper()})).json["related_to"] == boss


async def test_an_unknown_customer_does_not_exist(client: Client, world: World) -> None:
    refusal(await client.get(f"/v1/customers/{NOBODY}"), "not_found", contains="El cliente no existe.")
    await client.invoice()
    (row,) = await world.rows("SELECT id FROM customer WHERE account_id = $1", client.account_id)
    refusal(await client.get(f"/v1/customers/{row['id']}"), "not_found")


async def test_registering_raises_no_event(client: Client, world: World) -> None:
    await client.post("/v1/customers", FULL)
    assert await world.rows("SELECT 1 FROM event WHERE account_id = $1", client.account_id) == []
