"""Invoices: made, found, withdrawn, paid outside (Treli specification, 6.1, 8, 9 and 16)."""

import asyncio
import base64
import io
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from recaudo.edge.auth import TEST_CACHE_S
from tests.dialects.treli.stage import INVOICE, ITEM, UTC, Stage, refused, without_key
from tests.dialects.treli.wire import LOCAL, NOBODY, good, is_id, published, refusal, speaks_treli
from tests.world import Answer, Client, World


async def test_the_published_request_without_a_key_is_refused(treli: Client) -> None:
    body = published("create-invoice.request")
    refusal(await treli.post("/v1/invoices", body, headers=without_key()), "unauthenticated")


async def test_the_published_request_names_what_does_not_exist(treli: Client) -> None:
    answer = await treli.post("/v1/invoices", published("create-invoice.request"))
    assert answer.status == 400
    assert answer.json == published("create-invoice.expected-response")


async def test_the_filled_request_is_answered_as_expected(stage: Stage) -> None:
    request, expected, ids = await filled(stage)
    answer = await stage.client.post("/v1/invoices", request)
    made = good(answer)
    assert list(made) == list(expected) == INVOICE
    compare(made, expected, ids)
    assert good(await stage.client.get(f"/v1/invoices/{made['id']}")) == made
    assert good(await stage.client.get(f"/v1/invoices/{made['collections'][0]}")) == made
    assert answer.headers["Recaudo-Ignored-Fields"] == "days_until_due"


async def filled(stage: Stage) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The filled request with ids of this account, the answer to it, and the sample ids by ours."""
    request = published("create-invoice.filled-request")
    expected = published("create-invoice.filled-expected-response")
    sample = expected["items"][0]
    product = await stage.product(description="string", image="http://example.com")
    ids = {
        await stage.customer(): request["customer"],
        await stage.rule(): request["collection_rule_id"],
        product: sample["product"]["id"],
        await stage.price(product, type="recurring", billing_period="day", billing_interval=1): request["items"][0][
            "price "
        ],
        await stage.retention("reteica", "0.966"): request["invoice_retentions"]["reteica"],
        await stage.retention("retefte", "2.5"): request["invoice_retentions"]["retefte"],
    }
    ours = {sample_id: our_id for our_id, sample_id in ids.items()}
    return renamed(request, ours), expected, ids


def renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: renamed(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def compare(ours: Any, expected: Any, ids: dict[str, str], path: str = "") -> None:
    """Member by member; ids, times and this server's address are samples, of which only the form counts."""
    if isinstance(expected, dict):
        assert list(ours) == list(expected), path
        for name in expected:
            compare(ours[name], expected[name], ids, f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(ours) == len(expected), path
        for index, pair in enumerate(zip(ours, expected, strict=True)):
            compare(*pair, ids, f"{path}[{index}]")
    elif isinstance(expected, str) and path.endswith("_date"):
        assert shape(ours) == shape(expected), path
    elif isinstance(expected, str) and expected.startswith("https://cobros.example.com"):
        assert ours.rpartition("/")[0].endswith("/payment"), path
    elif isinstance(expected, str) and is_id(expected.partition("_")[0], expected):
        assert ids.get(ours, expected) == expected, path
        assert is_id(expected.partition("_")[0], ours), path
    else:
        assert ours == expected, path


def shape(text: str) -> str:
    """A date with its digits hidden; the last second of a day of Bogotá is told by its digits."""
    if text.endswith("T04:59:59Z"):
        return "a day's end"
    return "local" if LOCAL.fullmatch(text) else "".join("9" if c.isdigit() else c for c in text)


# --- What is refused ---

PDF = base64.b64encode(b"%PDF-1.7\n1 0 obj<<>>endobj\n%%EOF\n").decode()

WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"items": None}, ["items"]),
    ({"items": []}, ["items"]),
    ({"items": {}}, ["items"]),
    ({"items": [{"name": "x", "unit_price": "1.00"}] * 501}, ["items"]),
    ({"items": ["x"]}, ["items[0]"]),
    ({"items": [{}]}, ["items[0].unit_price", "items[0].name"]),
    ({"items": [{"unit_price": "1.00"}]}, ["items[0].name"]),
    ({"items": [{"name": "x", "unit_price": "-1"}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": -1}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": "1.005"}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": 1.005}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": "1e3"}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": "1,000"}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": True}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": "1000000000000"}]}, ["items[0].unit_price"]),
    ({"items": [{"name": "x", "unit_price": "1", "quantity": 0}]}, ["items[0].quantity"]),
    ({"items": [{"name": "x", "unit_price": "1", "quantity": 1.5}]}, ["items[0].quantity"]),
    ({"items": [{"name": "x", "unit_price": "1", "quantity": "1"}]}, ["items[0].quantity"]),
    ({"items": [{"name": "x", "unit_price": "1", "quantity": 1_000_001}]}, ["items[0].quantity"]),
    ({"items": [{"name": "x", "unit_price": "999999999999", "quantity": 11}]}, ["items"]),
    ({"items": [{"name": "x", "unit_price": "0"}]}, ["items"]),
    ({"items": [{"name": " ", "unit_price": "1"}]}, ["items[0].name"]),
    ({"items": [{"price": f"price_{NOBODY}"}]}, ["items[0].price"]),
    ({"items": [{"price": 7, "quantity": 0, "name": 7, "unit_price": []}]},
     ["items[0].unit_price", "items[0].quantity", "items[0].price", "items[0].name"]),
    ({"invoice_number": None}, ["invoice_number"]),
    ({"invoice_number": 1024}, ["invoice_number"]),
    ({"invoice_number": "x" * 51}, ["invoice_number"]),
    ({"invoice_pdf": "ftp://example.com"}, ["invoice_pdf"]),
    ({"invoice_pdf": "http://example.com", "invoice_pdf_base64": PDF}, ["invoice_pdf_base64"]),
    ({"invoice_pdf_base64": "hola"}, ["invoice_pdf_base64"]),
    ({"invoice_pdf_base64": "aG9sYQ=="}, ["invoice_pdf_base64"]),
    ({"invoice_pdf_base64": 7}, ["invoice_pdf_base64"]),
    ({"invoicing": "create"}, ["invoice_number"]),
    ({"invoicing": "connect", "invoice_pdf": "http://example.com"}, ["invoice_pdf"]),
    ({"invoicing": "connect", "invoice_pdf_base64": PDF}, ["invoice_pdf_base64"]),
    ({"invoicing": "none"}, ["invoicing"]),
    ({"currency": "XXX"}, ["currency"]),
    ({"collection_method": "send"}, ["collection_method"]),
    ({"days_until_due": -1}, ["days_until_due"]),
    ({"days_until_due": 3651}, ["days_until_due"]),
    ({"days_until_due": "1"}, ["days_until_due"]),
    ({"collection_rule_id": f"rule_{NOBODY}"}, ["collection_rule_id"]),
    ({"meta_data": []}, ["meta_data"]),
    ({"meta_data": {"a": {}}}, ["meta_data.a"]),
    ({"invoice_settings": "x"}, ["invoice_settings"]),
    ({"invoice_settings": {"invoice_cost_center": "", "invoice_document_id": 7}},
     ["invoice_settings.invoice_document_id", "invoice_settings.invoice_cost_center"]),
    ({"invoice_retentions": {"retefte": f"ret_{NOBODY}", "reteiva": f"ret_{NOBODY}", "reteica": "x"}},
     ["invoice_retentions.reteica", "invoice_retentions.reteiva", "invoice_retentions.retefte"]),
    ({"invoice_observations": "x" * 1001}, ["invoice_observations"]),
    ({"customer": None}, ["customer"]),
    ({"customer": f"cus_{NOBODY}"}, ["customer"]),
    ({"customer": "0002yG8wOXo7DRJrPBGxisvt"}, ["customer"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "at_fault"), WRONG, ids=lambda value: str(value)[:60])
async def test_every_field_is_checked(stage: Stage, fields: dict[str, Any], at_fault: list[str]) -> None:
    refused(await stage.client.post("/v1/invoices", {**await stage.body(), **fields}), "validation_error", *at_fault)
    assert good(await stage.client.get("/v1/invoices"))["data"] == []


SETTINGS = "installments.installments_settings"
PLANS: list[tuple[Any, list[str]]] = [
    ([], ["installments"]),
    ({}, ["installments.number_of_installments", SETTINGS]),
    ({"number_of_installments": 0, "installments_settings": []}, ["installments.number_of_installments", SETTINGS]),
    ({"number_of_installments": 61, "installments_settings": [{"amount": "1"}] * 61},
     ["installments.number_of_installments", SETTINGS]),
    ({"number_of_installments": 2, "installments_settings": [{"amount": "100000"}]},
     ["installments.number_of_installments"]),
    ({"number_of_installments": 1, "installments_settings": [{"amount": "99999.99"}]}, [SETTINGS]),
    ({"number_of_installments": 1, "installments_settings": [{"days_until_due": -1}]},
     [f"{SETTINGS}[0].amount", f"{SETTINGS}[0].days_until_due"]),
    ({"number_of_installments": 1, "installments_settings": [{"amount": "0"}]}, [f"{SETTINGS}[0].amount"]),
    ({"number_of_installments": 2,
      "installments_settings": [{"amount": "60000", "days_until_due": 9}, {"amount": 50000, "days_until_due": 8}]},
     [SETTINGS, f"{SETTINGS}[1].days_until_due"]),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "at_fault"), PLANS, ids=lambda value: str(value)[:60])
async def test_a_plan_is_checked(stage: Stage, plan: Any, at_fault: list[str]) -> None:
    body = await stage.body(installments=plan)
    refused(await stage.client.post("/v1/invoices", body), "validation_error", *at_fault)


async def test_a_wrong_sum_is_told_as_the_specification_does(stage: Stage) -> None:
    plan = {"number_of_installments": 1, "installments_settings": [{"amount": "20000.00"}]}
    body = await stage.body(installments=plan, items=[{"name": "x", "unit_price": "23107.00"}])
    found = refused(await stage.client.post("/v1/invoices", body), "validation_error", SETTINGS)
    assert found["errors"][0]["message"] == (
        "La suma de las cuotas (20000.00) debe ser igual al valor a cobrar (23107.00)."
    )


async def test_errors_come_in_the_order_of_the_table(stage: Stage) -> None:
    body = {
        "customer": 7,
        "meta_data": [],
        "installments": {"number_of_installments": 1, "installments_settings": [{"amount": "5"}]},
        "invoicing": "x",
        "items": [{"name": "x", "unit_price": "7"}, {"name": "y"}],
    }
    at_fault = ["items[1].unit_price", "invoicing", "meta_data", "customer"]
    refused(await stage.client.post("/v1/invoices", body), "validation_error", *at_fault)
    body["items"] = [{"name": "x", "unit_price": "7"}]
    at_fault = ["invoicing", SETTINGS, "meta_data", "customer"]
    refused(await stage.client.post("/v1/invoices", body), "validation_error", *at_fault)


async def test_prices_and_retentions_that_cannot_be_used(stage: Stage, world: World) -> None:
    product = await stage.product()
    off = await stage.price(product, active=False)
    dollars = await stage.price(product, currency="USD")
    asleep = await stage.price(await stage.product(status="inactive"))
    gone = await stage.price(product)
    good(await stage.client.delete(f"/v1/prices/{gone}"))
    other = Stage(speaks_treli(await world.merchant()))
    foreign = await other.price()
    lines = [{"price": price} for price in (off, dollars, asleep, gone, foreign)]
    at_fault = [f"items[{i}].price" for i in range(5)]
    refused(await stage.client.post("/v1/invoices", await stage.body(items=lines)), "validation_error", *at_fault)
    retentions = {
        "reteica": await stage.retention("retefte", "2.5"),
        "reteiva": await stage.retention("reteiva", "15", active=False),
        "retefte": await stage.retention("retefte", "2.5", valid_until="2020-01-01"),
    }
    body = await stage.body(invoice_retentions=retentions)
    at_fault = [f"invoice_retentions.{name}" for name in retentions]
    refused(await stage.client.post("/v1/invoices", body), "validation_error", *at_fault)
    everything = await stage.retention("retefte", "100")
    body = await stage.body(invoice_retentions={"retefte": everything})
    refused(await stage.client.post("/v1/invoices", body), "validation_error", "invoice_retentions")


async def test_customers_of_others_and_deleted_ones_are_nobody(stage: Stage, world: World) -> None:
    other = Stage(speaks_treli(await world.merchant()))
    deleted = await stage.customer()
    good(await stage.client.delete(f"/v1/customers/{deleted}"))
    for customer in (await other.customer(), deleted):
        body = await stage.body(customer=customer)
        refused(await stage.client.post("/v1/invoices", body), "validation_error", "customer")


async def test_what_the_account_lacks_is_told_after_field_errors(stage: Stage) -> None:
    body = await stage.body(invoicing="connect", collection_method="charge")
    refused(await stage.client.post("/v1/invoices", {**body, "customer": 7}), "validation_error", "customer")
    refused(await stage.client.post("/v1/invoices", body), "invoice_provider_not_configured")
    body = await stage.body(invoicing="create", invoice_number=None)
    refused(await stage.client.post("/v1/invoices", body), "invoice_provider_not_configured")
    body = await stage.body(collection_method="charge")
    refused(await stage.client.post("/v1/invoices", body), "no_payment_method")


async def test_a_provider_is_asked_in_the_background(world: World) -> None:
    client = await world.merchant(settings={"invoice_provider": "siigo"})
    stage = Stage(speaks_treli(client))
    made = await stage.invoice(invoicing="create", invoice_number=...)
    assert (made["invoicing"], made["invoice_provider"], made["invoice_provider_status"]) == (
        "create",
        "siigo",
        "generating",
    )
    assert made["invoice_number"] is None
    assert (await stage.get("collections", made["id"]))["description"] == "Cobro de Matrícula"
    assert await world.findings(client.account_id) == []


# --- Numbers ---


async def test_a_number_is_used_once(stage: Stage) -> None:
    body = await stage.body(invoice_number="FV-1024")
    made = good(await stage.client.post("/v1/invoices", body))
    found = refused(await stage.client.post("/v1/invoices", body), "invoice_number_exists", "invoice_number")
    assert found["message"] == "Ya existe una factura con el número FV-1024."
    assert found["errors"] == [{"field": "invoice_number", "message": "Ya está en uso."}]
    assert found["existing_id"] == made["id"]
    good(await stage.client.post("/v1/invoices", {**body, "invoice_number": "fv-1024"}))
    await stage.act("invoices", made["id"], "void")
    again = good(await stage.client.post("/v1/invoices", body))
    assert again["id"] != made["id"]


async def test_two_at_once_with_one_number_make_one_invoice(stage: Stage) -> None:
    body = await stage.body()
    answers = await asyncio.gather(*(stage.client.post("/v1/invoices", body) for _ in range(8)))
    assert sorted(a.status for a in answers) == [200, *[409] * 7]
    made = next(a.json["id"] for a in answers if a.status == 200)
    assert {a.json["existing_id"] for a in answers if a.status == 409} == {made}


async def test_numbers_stay_unique_where_the_other_dialect_may_repeat_them(world: World) -> None:
    stage = Stage(speaks_treli(await world.merchant(settings={"allow_duplicate_origin": True})))
    body = await stage.body()
    good(await stage.client.post("/v1/invoices", body))
    refused(await stage.client.post("/v1/invoices", body), "invoice_number_exists", "invoice_number")


async def test_the_same_key_makes_one_invoice(stage: Stage) -> None:
    body = await stage.body(invoice_number="FV-7")
    made = await stage.client.post("/v1/invoices", body, once="k")
    again = await stage.client.post("/v1/invoices", body, once="k")
    assert (again.status, again.body) == (200, made.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await stage.client.post("/v1/invoices", {**body, "days_until_due": 1}, once="k")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    assert [e["field"] for e in other.json["errors"]] == ["days_until_due"]


# --- Sums ---


async def test_the_worked_example_of_retentions(stage: Stage) -> None:
    price = await stage.price(unit_price="1000000.00")
    retentions = {
        "retefte": await stage.retention("retefte", "2.5"),
        "reteica": await stage.retention("reteica", "0.966"),
        "reteiva": await stage.retention("reteiva", "15", minimum_base="1000000.00"),
    }
    made = await stage.invoice(items=[{"price": price}], invoice_retentions=retentions)
    sums = [made[name] for name in ("subtotal", "total", "retentions_total", "amount_to_collect")]
    assert sums == ["1000000.00", "1190000.00", "63160.00", "1126840.00"]
    assert made["taxes"] == [{"type": "vat", "name": "IVA 19%", "tax_id": "12345", "total": "190000.00"}]
    assert list(made["invoice_retentions"].items()) == [
        ("reteica", retentions["reteica"]),
        ("retefte", retentions["retefte"]),
        ("reteiva", retentions["reteiva"]),
    ]
    good(await stage.client.delete(f"/v1/prices/{price}"))
    assert await stage.get("invoices", made["id"]) == made, "deleted prices change nothing"


async def test_tiers_and_explicit_prices(stage: Stage) -> None:
    tiers = [{"up_to": 5, "unit_price": "30000.00"}, {"up_to": None, "unit_price": "20000.00"}]
    product = await stage.product(None)
    graduated = await stage.price(product, pricing_model="graduated", pricing_tiers=tiers)
    volume = await stage.price(product, pricing_model="volume", pricing_tiers=tiers)
    lines = [
        {"price": graduated, "quantity": 8},
        {"price": volume, "quantity": 8},
        {"price": volume, "quantity": 5},
        {"price": volume, "quantity": 3, "unit_price": "0.50", "name": "A mano"},
        {"name": "Sin IVA", "unit_price": 7},
    ]
    made = await stage.invoice(items=lines)
    assert [(i["name"], i["unit_price"], i["subtotal"]) for i in made["items"]] == [
        ("Nombre del producto", "26250.00", "210000.00"),
        ("Nombre del producto", "20000.00", "160000.00"),
        ("Nombre del producto", "30000.00", "150000.00"),
        ("A mano", "0.50", "1.50"),
        ("Sin IVA", "7.00", "7.00"),
    ]
    assert made["taxes"] == []
    assert made["items"][4]["product"] is None
    assert all(list(item) == ITEM for item in made["items"])
    used = await stage.client.post(f"/v1/prices/{volume}", {"currency": "USD"})
    assert (used.status, used.json["code"]) == (409, "price_in_use")


async def test_five_hundred_items_and_a_currency_without_cents(stage: Stage) -> None:
    made = await stage.invoice(items=[{"name": "x", "unit_price": "3"}] * 500, currency="CLP")
    assert (made["total"], made["currency"], made["total_paid"]) == ("1500", "CLP", "0")
    body = await stage.body(items=[{"name": "x", "unit_price": "3.5"}], currency="CLP")
    refused(await stage.client.post("/v1/invoices", body), "validation_error", "items[0].unit_price")


# --- Documents ---


async def test_a_document_is_kept_and_served(stage: Stage, world: World) -> None:
    body = await stage.body(invoice_pdf_base64=PDF)
    made = good(await stage.client.post("/v1/invoices", body, once="doc"))
    link = made["invoice_pdf"]
    assert link.startswith(f"{world.base_url}/document/")
    async with world.session.get(link) as response:
        assert await response.read() == base64.b64decode(PDF)
        assert response.headers["content-type"] == "application/pdf"
        assert response.headers["content-disposition"] == 'inline; filename="factura.pdf"'
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
        assert response.headers["cache-control"].startswith("private")
    async with world.session.get(made["checkout_url"]) as response:
        assert link in await response.text()
    async with world.session.get(f"{world.base_url}/document/{'x' * 32}") as response:
        assert response.status == 404
    good(await stage.client.post("/v1/invoices", body, once="doc"))
    refused(await stage.client.post("/v1/invoices", body), "invoice_number_exists", "invoice_number")
    kept = await world.rows("SELECT count(*) FROM document WHERE account_id = $1", stage.client.account_id)
    assert kept[0][0] == 1, "what came to nothing is dropped"
    requests = await world.rows("SELECT request FROM idempotency WHERE account_id = $1", stage.client.account_id)
    assert all(PDF not in r["request"] for r in requests)


async def test_a_document_that_no_invoice_uses_is_swept(stage: Stage, world: World) -> None:
    """A server that dies between the document and its invoice leaves one behind."""
    made = good(await stage.client.post("/v1/invoices", await stage.body(invoice_pdf_base64=PDF)))
    account_id = stage.client.account_id
    await world.execute(
        """
        INSERT INTO document (account_id, id, token, content, created_at, due_at)
        SELECT account_id, gen_random_uuid(), 'left-' || id, content, created_at, due_at FROM document
        WHERE account_id = $1
        """,
        account_id,
    )
    rows = "SELECT id, due_at FROM document WHERE account_id = $1"
    await world.drain()
    before = await world.rows(rows, account_id)
    assert (len(before), {r["due_at"] is None for r in before}) == (2, {False}), "not looked at for an hour"
    await world.execute("UPDATE document SET due_at = now() WHERE account_id = $1", account_id)
    await world.drain()
    (left,) = await world.rows(rows, account_id)
    (used,) = await world.rows("SELECT document_id FROM invoice WHERE account_id = $1", account_id)
    assert (left["id"], left["due_at"]) == (used["document_id"], None)
    async with world.session.get(made["invoice_pdf"]) as response:
        assert response.status == 200


async def test_a_large_document_fits_and_a_larger_one_does_not(stage: Stage) -> None:
    largest = base64.b64encode(b"%PDF-".ljust(5 * 1024 * 1024, b" ")).decode()
    made = good(await post_large(stage, await stage.body(invoice_pdf_base64=largest)))
    assert made["invoice_pdf"] is not None
    body = await stage.body(invoice_pdf_base64=base64.b64encode(b"%PDF-".ljust(5 * 1024 * 1024 + 1, b" ")).decode())
    refused(await post_large(stage, body), "validation_error", "invoice_pdf_base64")
    body = await stage.body(invoice_pdf_base64="A" * (8 * 1024 * 1024))
    refused(await post_large(stage, body), "body_too_large")


async def post_large(stage: Stage, body: dict[str, Any]) -> Answer:
    """The client warns of megabytes unless they come as a file."""
    return await stage.client.post("/v1/invoices", data=io.BytesIO(json.dumps(body).encode()))


# --- The rest ---


async def test_null_is_not_sent_and_names_are_trimmed(stage: Stage) -> None:
    body = await stage.body()
    nulls = dict.fromkeys(("invoice_pdf", "installments", "meta_data", "invoice_settings", "currency", "tag"))
    answer = await stage.client.post("/v1/invoices", {f" {name} ": value for name, value in {**nulls, **body}.items()})
    made = good(answer)
    assert list(made) == [name for name in INVOICE if name != "installments"]
    assert made["meta_data"] == {}
    assert made["invoice_settings"] == {"invoice_document_id": None, "invoice_cost_center": None}
    assert answer.headers["Recaudo-Ignored-Fields"] == "tag"
    assert made["days_until_due"] == 0
    assert made["billing_address"] == {
        "address_1": "Carrera 53 # 75-10",
        "address_2": None,
        "city": "Barranquilla",
        "state": "ATL",
        "postcode": None,
        "country": "CO",
    }


async def test_an_address_stays_as_it_was(stage: Stage) -> None:
    customer = await stage.customer()
    made = await stage.invoice(customer=customer)
    good(await stage.client.post(f"/v1/customers/{customer}", {"billing_address": {"city": "Cali"}}))
    assert (await stage.get("invoices", made["id"]))["billing_address"]["city"] == "Barranquilla"


async def test_instalments_are_collections_of_their_own(stage: Stage) -> None:
    made = await stage.instalments("60000.00", "40000.00", days=[10, 40], invoice_number="FV-9")
    plan = made["installments"]
    assert plan["number_of_installments"] == 2
    assert [s["collection"] for s in plan["installments_settings"]] == made["collections"]
    assert made["days_until_due"] == 40
    second = await stage.get("collections", made["collections"][1])
    assert second["description"] == "Cuota 2 de 2 de la factura FV-9"
    assert [(i["name"], i["total"], i["product"]) for i in second["items"]] == [("Cuota 2 de 2", "40000.00", None)]
    assert (second["total"], second["balance"], second["invoice"]) == ("40000.00", "40000.00", made["id"])
    assert second["due_date"] == made["due_date"]
    assert made["checkout_url"] == (await stage.get("collections", made["id"]))["checkout_url"]
    assert (await stage.get("collections", made["id"]))["id"] == made["collections"][0]


async def test_overdue_begins_after_the_due_day(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000.00", "40000.00", days=[0, 30])
    assert made["status"] == "pending"
    await client.advance_clock(days=1)
    assert (await stage.get("invoices", made["id"]))["status"] == "overdue"
    assert [(await stage.get("collections", c))["status"] for c in made["collections"]] == ["overdue", "pending"]
    listed = good(await stage.client.get("/v1/invoices?status=overdue"))
    assert [row["id"] for row in listed["data"]] == [made["id"]]
    assert good(await stage.client.get("/v1/invoices?status=pending"))["data"] == []
    listed = good(await stage.client.get("/v1/collections?status=overdue"))
    assert [row["id"] for row in listed["data"]] == made["collections"][:1]


async def test_paying_outside_fills_the_oldest_first(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000.00", "40000.00", days=[0, 30])
    await client.advance_clock(days=2)
    paid = await stage.act("invoices", made["collections"][1], "pay", {"amount": "70000", "method": "cash"})
    assert (paid["id"], paid["status"], paid["total_paid"], paid["is_paid"]) == (
        made["id"],
        "pending",
        "70000.00",
        False,
    )
    first, second = [await stage.get("collections", c) for c in made["collections"]]
    assert (first["status"], first["payment_method_type"]) == ("paid", "cash")
    assert (second["status"], second["total_paid"], second["balance"]) == ("pending", "10000.00", "30000.00")
    refused(
        await stage.client.post(f"/v1/invoices/{made['id']}/pay", {"amount": "30000.01", "method": "cash"}),
        "amount_exceeds_balance",
    )
    paid = await stage.act(
        "invoices", made["id"], "pay", {"method": "bank_transfer", "paid_date": paid["created_date"]}
    )
    assert (paid["status"], paid["is_paid"], paid["total_paid"]) == ("paid", True, "100000.00")
    assert local_of(paid["paid_date"]) == paid["created_date"], "the time of the receipt that closed it"
    assert paid["checkout_url"].endswith(second["checkout_url"].rpartition("/")[2]), "the last one, when none is open"
    refused(await stage.client.post(f"/v1/invoices/{made['id']}/pay", {"method": "cash"}), "invoice_already_paid")
    refused(await stage.client.post(f"/v1/invoices/{made['id']}/void"), "invoice_already_paid")


def local_of(utc: str) -> str:
    """Bogotá's time, five hours behind."""
    return f"{datetime.fromisoformat(utc) - timedelta(hours=5):%Y-%m-%d %H:%M:%S}"


PAYMENTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["method"]),
    ({"amount": "0", "method": "gold", "paid_date": "2999-01-01", "reference": ""},
     ["amount", "method", "paid_date", "reference"]),
    ({"amount": "1.001", "method": "cash"}, ["amount"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "at_fault"), PAYMENTS)
async def test_a_payment_received_outside_is_checked(stage: Stage, body: dict[str, Any], at_fault: list[str]) -> None:
    made = await stage.invoice()
    for noun in ("invoices", "collections"):
        refused(await stage.client.post(f"/v1/{noun}/{made['id']}/pay", body), "validation_error", *at_fault)


async def test_voiding_turns_what_was_received_into_credit(stage: Stage) -> None:
    made = await stage.instalments("60000.00", "40000.00")
    await stage.act("invoices", made["id"], "pay", {"amount": "70000.00", "method": "cash"})
    voided = await stage.act("invoices", made["id"], "void", {"reason": "Error"})
    assert (voided["status"], voided["total_paid"]) == ("voided", "0.00")
    assert UTC.fullmatch(voided["voided_at_date"])
    customer = await stage.get("customers", made["customer"])
    assert customer["credit_balance"] == "70000.00"
    assert (await stage.get("collections", made["collections"][1]))["status"] == "voided"
    refused(await stage.client.post(f"/v1/invoices/{made['id']}/void"), "invoice_voided")
    refused(await stage.client.post(f"/v1/invoices/{made['id']}/pay", {"method": "cash"}), "invoice_voided")
    answer = await stage.client.post(f"/v1/invoices/{made['id']}/void", {"reason": 7})
    refused(answer, "validation_error", "reason")


async def test_unknown_ids_are_not_found(stage: Stage, world: World) -> None:
    other = Stage(speaks_treli(await world.merchant()))
    alone = await stage.alone()
    ids = [f"col_{NOBODY}", "col_zdhBDP4k3JiRHNQ4RBUHyHgu", "x", (await other.invoice())["id"], alone["id"]]
    for known_as in ids:
        refused(await stage.client.get(f"/v1/invoices/{known_as}"), "not_found")
        for action in ("void", "pay"):
            answer = await stage.client.post(f"/v1/invoices/{known_as}/{action}", {"method": "cash"})
            refused(answer, "not_found")


async def test_lists_page_by_cursor(stage: Stage) -> None:
    customer = await stage.customer()
    made = [await stage.invoice(customer=customer) for _ in range(3)]
    newest_first = [row["id"] for row in reversed(made)]
    first = good(await stage.client.get("/v1/invoices?limit=2"))
    assert list(first) == ["data", "has_more", "next_cursor"]
    assert [row["id"] for row in first["data"]] == newest_first[:2]
    assert (first["has_more"], first["next_cursor"]) == (True, newest_first[1])
    assert first["data"][0] == made[2]
    await stage.invoice()
    second = good(await stage.client.get(f"/v1/invoices?limit=2&start_after={first['next_cursor']}"))
    assert ([row["id"] for row in second["data"]], second["has_more"]) == (newest_first[2:], False)
    listed = good(
        await stage.client.get(f"/v1/invoices?customer={customer}&invoice_number={made[1]['invoice_number']}")
    )
    assert [row["id"] for row in listed["data"]] == [made[1]["id"]]
    assert good(await stage.client.get("/v1/invoices?created_after=2999-01-01"))["data"] == []


async def test_a_cursor_of_another_list_is_refused(stage: Stage) -> None:
    made = await stage.invoice()
    for path in (
        f"/v1/invoices?start_after={made['collections'][0]}",
        f"/v1/collections?start_after={made['id']}",
        f"/v1/invoices?start_after=col_{NOBODY}",
        "/v1/invoices?start_after=x",
    ):
        refused(await stage.client.get(path), "validation_error", "start_after")
    answer = await stage.client.get("/v1/invoices?limit=0&status=late&type=invoice")
    refused(answer, "validation_error", "limit", "status", "type")


# --- The account's settings ---


async def test_taxes_and_retentions_are_rounded_as_the_account_says(world: World) -> None:
    settings = {"tax_rounding": {"decimals": 0}, "retention_rounding": {"decimals": 2, "mode": "down"}}
    client = await world.merchant(settings=settings)
    stage = Stage(speaks_treli(client))
    retentions = {"retefte": await stage.retention("retefte", "2.5")}
    made = await stage.invoice(items=[{"price": await stage.price(unit_price="33.33")}], invoice_retentions=retentions)
    assert (made["total"], made["retentions_total"], made["amount_to_collect"]) == ("39.33", "0.83", "38.50")
    assert await world.findings(client.account_id) == []


async def test_the_rule_of_the_account_is_that_of_who_names_none(stage: Stage, world: World) -> None:
    default, other = await stage.rule(), await stage.rule()
    await world.execute(
        "UPDATE account SET settings = jsonb_build_object('default_collection_rule', "
        "(SELECT id FROM collection_rule WHERE account_id = $1 ORDER BY id LIMIT 1)) WHERE id = $1",
        stage.client.account_id,
    )
    await asyncio.sleep(TEST_CACHE_S + 0.2)
    assert (await stage.invoice())["collection_rule_id"] == default
    assert (await stage.alone())["collection_rule_id"] == default
    assert (await stage.invoice(collection_rule_id=other))["collection_rule_id"] == other


async def test_a_price_is_used_by_many_at_once(stage: Stage) -> None:
    price = await stage.price()
    bodies = [await stage.body(items=[{"price": price}]) for _ in range(8)]
    answers = await asyncio.gather(*(stage.client.post("/v1/invoices", body) for body in bodies))
    assert {a.status for a in answers} == {200}
    used = await stage.client.post(f"/v1/prices/{price}", {"unit_price": "1"})
    assert used.json["code"] == "price_in_use"
    good(await stage.client.post(f"/v1/prices/{price}", {"active": False}))


async def test_a_refused_invoice_uses_nothing(stage: Stage) -> None:
    taken = await stage.invoice()
    price = await stage.price()
    body = await stage.body(items=[{"price": price}], invoice_number=taken["invoice_number"])
    refused(await stage.client.post("/v1/invoices", body), "invoice_number_exists", "invoice_number")
    good(await stage.client.post(f"/v1/prices/{price}", {"unit_price": "1"}))
