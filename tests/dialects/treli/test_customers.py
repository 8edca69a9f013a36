"""Customers: made, changed, deleted, found, and the same in both dialects (Treli specification, 6.6, 11.1 and 11.2)."""

import asyncio
from typing import Any

import pytest

from recaudo.dialects.treli import ids
from tests.dialects.treli.wire import ADDRESS, CUSTOMER, LOCAL, NOBODY, good, is_id, published, refusal, speaks_treli
from tests.world import Client, World

BODY: dict[str, Any] = {"full_name": "Empresa SAS", "email": "compras@example.com"}


async def test_the_published_request_is_answered_as_expected(treli: Client) -> None:
    made = good(await treli.post("/v1/customers", published("create-customer.request")))
    expected = published("create-customer.expected-response")
    assert list(made) == list(expected) == CUSTOMER
    assert list(made["billing_address"]) == list(expected["billing_address"]) == ADDRESS
    assert is_id("cus", made["id"])
    assert LOCAL.fullmatch(made["created_date"])
    assert made == expected | {"id": made["id"], "created_date": made["created_date"]}
    assert good(await treli.get(f"/v1/customers/{made['id']}")) == made


async def make(client: Client, **fields: Any) -> dict[str, Any]:
    return good(await client.post("/v1/customers", BODY | fields))


async def refused(client: Client, fields: list[str], **body: Any) -> dict[str, Any]:
    return refusal(await client.post("/v1/customers", BODY | body), "validation_error", fields=fields)


# --- Bodies ---


@pytest.mark.parametrize("contact", [{"email": "a@b.co"}, {"billing_address": {"phone": "3167591030"}}])
async def test_a_name_and_one_contact_are_enough(treli: Client, contact: dict[str, Any]) -> None:
    made = good(await treli.post("/v1/customers", {"full_name": "Ana", **contact}))
    assert (made["is_test"], made["is_deleted"], made["credit_balance"]) == (True, False, "0.00")
    assert made["billing_address"]["country"] == "CO"
    assert made["billing_address"]["person_type"] == "person"


async def test_without_a_contact_or_a_name_there_is_no_customer(treli: Client) -> None:
    answer = await treli.post("/v1/customers", {"billing_address": {"phone": " ", "city": "Cali"}})
    body = refusal(answer, "validation_error", fields=["email", "full_name"])
    assert body["errors"][0]["message"] == "Se necesita el correo (email) o el teléfono (billing_address.phone)."


async def test_names_of_members_are_trimmed_at_every_level(treli: Client) -> None:
    made = good(
        await treli.post(
            "/v1/customers", {"full_name ": "Ana", "\temail": "a@b.co", "billing_address": {" city": "Cali"}}
        )
    )
    assert (made["full_name"], made["email"], made["billing_address"]["city"]) == ("Ana", "a@b.co", "Cali")


async def test_the_same_name_with_other_values_is_an_error_of_that_field(treli: Client) -> None:
    await refused(treli, ["full_name"], **{"full_name ": "Otra"})
    await refused(treli, ["billing_address.city"], billing_address={"city": "Cali", "city ": "Bogotá"})
    assert good(await treli.post("/v1/customers", BODY | {"full_name ": BODY["full_name"]}))


async def test_what_is_not_understood_is_told_and_no_error(treli: Client) -> None:
    body = BODY | {"nick name": 1, "billing_address": {"~zip": 1, "city": "Cali"}, "id": None}
    answer = await treli.post("/v1/customers", body)
    good(answer)
    assert answer.headers["recaudo-ignored-fields"] == "billing_address.%7Ezip,nick%20name,id"


async def test_every_error_of_a_body_is_told_in_the_order_of_the_tables(treli: Client) -> None:
    body = {
        "collection_emails": ["a@b.co", "x", 5],
        "billing_address": {
            "regimen_type": "x",
            "person_type": "x",
            "identification": "900123456",
            "country": "Colombia",
            "city": "x" * 256,
            "address_1": 5,
        },
        "full_name": "",
        "email": "x",
    }
    expected = ["email", "full_name", "billing_address.address_1", "billing_address.city", "billing_address.country"]
    expected += ["billing_address.id_type", "billing_address.person_type", "billing_address.regimen_type"]
    expected += ["collection_emails[1]", "collection_emails[2]"]
    refusal(await treli.post("/v1/customers", body), "validation_error", fields=expected)


@pytest.mark.parametrize(
    ("field", "good_values", "bad_values"),
    [
        ("full_name", ["A", "x" * 255, "S.A.S. 🏢"], ["", " ", "x" * 256, "a\x00b", 5]),
        ("email", ["a@b.co", "a+b@c.d.co"], ["a@b", "a b@c.co", "A <a@b.co>", "x" * 250 + "@b.co", 5, ""]),
        ("collection_emails", [[], ["a@b.co"] * 10], ["a@b.co", {}, ["a@b.co"] * 11]),
        ("billing_address", [{}], ["x", [], 5, True]),
    ],
)
async def test_each_field_has_its_own_bounds(
    treli: Client, field: str, good_values: list[Any], bad_values: list[Any]
) -> None:
    for value in good_values:
        made = await make(treli, **{field: value})
        assert field == "billing_address" or made[field] == value
    for value in bad_values:
        await refused(treli, [field], **{field: value})


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"person_type": "Company"}, {"person_type": "company"}),
        ({"person_type": " PERSON "}, {"person_type": "person"}),
        ({"identification": "900123456", "id_type": "NIT"}, {"person_type": "company", "id_type": "NIT"}),
        ({"identification": "1", "id_type": "NIT", "person_type": "person"}, {"person_type": "person"}),
        (
            {"identification": "AB1", "id_type": "PP"},
            {"id_type": "PP", "identification": "AB1", "person_type": "person"},
        ),
        ({"country": "MX", "identification": "X", "id_type": "RFC"}, {"country": "MX", "id_type": "RFC"}),
        ({"regimen_type": "common_regime"}, {"regimen_type": "common_regime"}),
        ({"address_2": "", "company": None}, {"address_2": None, "company": None}),
        ({"phone": "3167591030", "phone_country_code": "+57"}, {"phone": "3167591030", "phone_country_code": "CO_57"}),
        ({"phone": "3167591030"}, {"phone": "3167591030", "phone_country_code": "CO_57"}),
        ({"phone": "5512345678", "country": "MX"}, {"phone": "5512345678", "phone_country_code": "MX_52"}),
        ({"phone": "4165550123", "phone_country_code": "CA_1"}, {"phone_country_code": "CA_1"}),
        ({"phone": "4165550123", "phone_country_code": "US_1"}, {"phone_country_code": "US_1"}),
        ({"phone": "4165550123", "phone_country_code": "+1"}, {"phone_country_code": "CA_1"}),
        ({"phone": "3991111111"}, {"phone": "3991111111", "phone_country_code": "CO_57"}),
        ({"phone": "1234567", "phone_country_code": "+999"}, {"phone": "1234567", "phone_country_code": "ZZ_999"}),
        ({"phone_country_code": "CO_57"}, {"phone": None, "phone_country_code": "CO_57"}),
    ],
)
async def test_billing_addresses_are_shown_in_one_form(treli: Client, sent: Any, shown: dict[str, Any]) -> None:
    made = await make(treli, billing_address=sent)
    assert list(made["billing_address"]) == ADDRESS
    assert made["billing_address"].items() >= shown.items()
    again = good(await treli.post(f"/v1/customers/{made['id']}", {"billing_address": made["billing_address"]}))
    assert again == made, "what is shown can be sent"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"identification": "900123456"}, "id_type"),
        ({"identification": "900123456", "id_type": "nit"}, "id_type"),
        ({"identification": "900123456", "id_type": "PASSPORT"}, "id_type"),
        ({"country": "MX", "identification": "1", "id_type": "R-C"}, "id_type"),
        ({"identification": 900123456, "id_type": "NIT"}, "identification"),
        ({"country": "ZZ"}, "country"),
        ({"country": "co"}, "country"),
        ({"phone": "316 759 1030"}, "phone"),
        ({"phone": "+573167591030"}, "phone"),
        ({"phone": "31675"}, "phone"),
        ({"phone": "3167591030", "phone_country_code": "VE_58"}, "phone"),
        ({"phone": "3167591030", "phone_country_code": "57"}, "phone_country_code"),
        ({"phone": "3167591030", "phone_country_code": "MX_57"}, "phone_country_code"),
        ({"phone": "31", "phone_country_code": "+999"}, "phone"),
        ({"phone": "3167591030", "phone_country_code": "+210"}, "phone_country_code"),
        ({"phone": 3167591030}, "phone"),
        ({"person_type": "empresa"}, "person_type"),
        ({"regimen_type": "común"}, "regimen_type"),
        ({"postcode": "x" * 256}, "postcode"),
        ({"company": "\ud800"}, "company"),
    ],
)
async def test_billing_addresses_that_cannot_be_are_refused(treli: Client, sent: Any, field: str) -> None:
    await refused(treli, [f"billing_address.{field}"], billing_address=sent)


async def test_a_live_account_takes_no_invented_numbers(world: World) -> None:
    live = speaks_treli(await world.merchant(live=True))
    await refused(live, ["billing_address.phone"], billing_address={"phone": "3991111111"})
    await refused(
        live, ["billing_address.phone_country_code"], billing_address={"phone": "1234567", "phone_country_code": "+999"}
    )


async def test_the_accounts_country_is_the_default(world: World) -> None:
    merchant = speaks_treli(await world.merchant(settings={"country": "MX", "currency": "CLP"}))
    made = await make(merchant, billing_address={"phone": "5512345678", "identification": "1", "id_type": "INE"})
    assert made["billing_address"]["phone_country_code"] == "MX_52"
    assert made["billing_address"]["country"] == "MX"
    assert made["credit_balance"] == "0"


# --- Documents ---

DOCUMENT = {"billing_address": {"identification": "900123456", "id_type": "NIT"}}


async def test_a_document_belongs_to_one_customer(treli: Client) -> None:
    made = await make(treli, **DOCUMENT)
    body = refusal(await treli.post("/v1/customers", BODY | DOCUMENT), "customer_exists", existing_id=made["id"])
    assert [error["field"] for error in body["errors"]] == ["billing_address.identification"]
    other = await make(treli)
    answer = await treli.post(f"/v1/customers/{other['id']}", DOCUMENT)
    refusal(answer, "customer_exists", existing_id=made["id"])
    assert good(await treli.get(f"/v1/customers/{other['id']}")) == other
    assert good(await treli.post(f"/v1/customers/{made['id']}", DOCUMENT))


async def test_a_deleted_customer_frees_their_document(treli: Client) -> None:
    made = await make(treli, **DOCUMENT)
    assert good(await treli.delete(f"/v1/customers/{made['id']}")) == {"id": made["id"], "deleted": True}
    other = await make(treli, **DOCUMENT)
    found = good(await treli.get(f"/v1/customers/{made['id']}"))
    assert found == made | {"is_deleted": True}
    assert [row["id"] for row in good(await treli.get("/v1/customers"))["data"]] == [other["id"]]
    for answer in (
        await treli.delete(f"/v1/customers/{made['id']}"),
        await treli.post(f"/v1/customers/{made['id']}", {}),
    ):
        refusal(answer, "not_found")


async def test_an_account_may_allow_duplicate_documents(world: World) -> None:
    merchant = speaks_treli(await world.merchant(settings={"allow_duplicate_documents": True}))
    for _ in range(2):
        await make(merchant, **DOCUMENT)
    assert len(good(await merchant.get("/v1/customers?identification=900123456"))["data"]) == 2


async def test_of_concurrent_customers_with_one_document_one_passes(treli: Client) -> None:
    others = [await make(treli) for _ in range(4)]
    answers = await asyncio.gather(
        *(treli.post("/v1/customers", BODY | DOCUMENT) for _ in range(4)),
        *(treli.post(f"/v1/customers/{other['id']}", DOCUMENT) for other in others),
    )
    (made,) = [answer.json for answer in answers if answer.status == 200]
    for answer in answers:
        if answer.status != 200:
            refusal(answer, "customer_exists", existing_id=made["id"])


# --- Changes ---


async def test_a_change_merges_the_address_and_replaces_the_mails(treli: Client) -> None:
    made = good(await treli.post("/v1/customers", published("create-customer.request")))
    path = f"/v1/customers/{made['id']}"
    changed = good(
        await treli.post(
            path, {"billing_address": {"city": "Cali", "address_2": "Of. 3"}, "collection_emails": ["x@y.co"]}
        )
    )
    address = made["billing_address"] | {"city": "Cali", "address_2": "Of. 3"}
    assert changed == made | {"billing_address": address, "collection_emails": ["x@y.co"]}
    assert good(await treli.post(path, {})) == changed
    renamed = good(await treli.post(path, {"full_name": "Otra SAS", "billing_address": {"phone": "6013333333"}}))
    assert renamed["full_name"] == "Otra SAS"
    assert (renamed["billing_address"]["phone"], renamed["billing_address"]["phone_country_code"]) == (
        "6013333333",
        "CO_57",
    )
    assert good(await treli.get(path)) == renamed


async def test_null_clears_what_is_optional(treli: Client) -> None:
    made = good(await treli.post("/v1/customers", published("create-customer.request")))
    path = f"/v1/customers/{made['id']}"
    cleared = good(
        await treli.post(
            path,
            {
                "email": None,
                "collection_emails": None,
                "billing_address": {"identification": None, "id_type": None, "city": None, "person_type": None},
            },
        )
    )
    address = cleared["billing_address"]
    assert (cleared["email"], cleared["collection_emails"]) == (None, [])
    assert (address["identification"], address["id_type"], address["city"]) == (None, None, None)
    assert (address["person_type"], address["country"], address["phone"]) == ("person", "CO", "3167591030")
    refusal(await treli.post(path, {"full_name": None}), "validation_error", fields=["full_name"])
    # One contact must stay.
    refusal(await treli.post(path, {"billing_address": {"phone": None}}), "validation_error", fields=["email"])
    refusal(await treli.post(path, {"billing_address": None}), "validation_error", fields=["email"])
    mailed = good(await treli.post(path, {"email": "a@b.co", "billing_address": None}))
    assert {name for name, value in mailed["billing_address"].items() if value is not None} == {
        "person_type",
        "country",
    }


async def test_a_document_needs_its_type_after_a_change_too(treli: Client) -> None:
    made = await make(treli, **DOCUMENT)
    path = f"/v1/customers/{made['id']}"
    for address in ({"id_type": None}, {"id_type": "RFC"}):
        answer = await treli.post(path, {"billing_address": address})
        refusal(answer, "validation_error", fields=["billing_address.id_type"])
    # A country has its own types of document.
    moved = good(await treli.post(path, {"billing_address": {"id_type": "RFC", "country": "MX"}}))
    assert moved["billing_address"]["id_type"] == "RFC"
    answer = await treli.post(path, {"billing_address": {"country": "CO"}})
    refusal(answer, "validation_error", fields=["billing_address.id_type"])


async def test_an_unknown_customer_does_not_exist(treli: Client) -> None:
    for name in (f"cus_{NOBODY}", "cus_TgfdA2vL9rnWblZM8LtWMsdY", f"prod_{NOBODY}", "string", "%20"):
        path = f"/v1/customers/{name}"
        for answer in (await treli.get(path), await treli.post(path, {"email": 5}), await treli.delete(path)):
            body = refusal(answer, "not_found")
            assert body == {"code": "not_found", "message": "No existe un objeto con ese id.", "errors": []}


async def test_customers_raise_no_event(treli: Client, world: World) -> None:
    made = await make(treli)
    await treli.post(f"/v1/customers/{made['id']}", {"email": "x@y.co"})
    await treli.delete(f"/v1/customers/{made['id']}")
    assert await world.rows("SELECT 1 FROM event WHERE account_id = $1", treli.account_id) == []


# --- Both dialects ---


async def test_a_customer_made_here_is_known_in_the_other_dialect(client: Client, treli: Client) -> None:
    made = good(await treli.post("/v1/customers", published("create-customer.request")))
    (theirs,) = (await client.get("/onepay/v1/customers")).json["data"]
    assert (theirs["first_name"], theirs["last_name"], theirs["user_type"]) == ("Empresa SAS", None, "company")
    assert (theirs["document_type"], theirs["document_number"]) == ("NIT", "900123456")
    assert (theirs["phone"], theirs["email"]) == ("+573167591030", "compras@example.com")
    await treli.delete(f"/v1/customers/{made['id']}")
    assert (await client.get(f"/v1/customers/{theirs['id']}")).status == 404
    assert (await client.get("/v1/customers")).json["total"] == 0


async def test_a_customer_made_in_the_other_dialect_is_known_here(client: Client, treli: Client) -> None:
    body = {
        "first_name": "Ana María",
        "last_name": "Gómez",
        "phone": "+573167591030",
        "document_type": "PASSPORT",
        "document_number": "AB-123",
    }
    theirs = (await client.post("/v1/customers", body)).json
    (ours,) = good(await treli.get("/v1/customers?identification=AB-123"))["data"]
    assert list(ours) == CUSTOMER
    assert (ours["full_name"], ours["email"]) == ("Ana María Gómez", None)
    shown = {name: value for name, value in ours["billing_address"].items() if value is not None}
    assert shown == {
        "id_type": "PP",
        "identification": "AB-123",
        "phone": "3167591030",
        "phone_country_code": "CO_57",
        "person_type": "person",
    }
    changed = good(await treli.post(f"/v1/customers/{ours['id']}", {"email": "ana@ejemplo.com"}))
    assert changed["full_name"] == "Ana María Gómez"
    again = (await client.get(f"/v1/customers/{theirs['id']}")).json
    assert (again["first_name"], again["last_name"], again["email"]) == ("Ana María", "Gómez", "ana@ejemplo.com")
    assert again["document_type"] == "PASSPORT"
    taken = await treli.post("/v1/customers", BODY | {"billing_address": {"identification": "AB-123", "id_type": "PP"}})
    refusal(taken, "customer_exists", existing_id=ours["id"])


async def test_a_customer_known_by_a_reference_is_listed_once_they_have_a_document(
    client: Client, treli: Client, world: World
) -> None:
    await client.invoice(reference="1060500333")
    (row,) = await world.rows("SELECT id FROM customer WHERE account_id = $1", client.account_id)
    path = f"/v1/customers/{ids.shown('cus', row['id'])}"
    found = good(await treli.get(path))
    assert (found["full_name"], found["email"]) == ("1060500333", None)
    assert good(await treli.get("/v1/customers"))["data"] == []
    good(await treli.post(path, {"billing_address": {"identification": "1060500333", "id_type": "CC"}}))
    (listed,) = good(await treli.get("/v1/customers"))["data"]
    assert listed["id"] == found["id"]
    assert (await client.get("/v1/customers")).json["total"] == 1


async def test_what_is_owed_to_a_customer_is_shown(client: Client, treli: Client, world: World) -> None:
    made = await client.invoice(reference="1060500333", partial_payment_config={"min_amount": 20000})
    await client.pay(made["payment_id"], amount=20000)
    await client.delete(f"/v1/invoices/{made['id']}")
    (row,) = await world.rows("SELECT id FROM customer WHERE account_id = $1", client.account_id)
    found = good(await treli.get(f"/v1/customers/{ids.shown('cus', row['id'])}"))
    assert found["credit_balance"] == "20000.00"
