"""One invoice seen by both dialects: section 19 of each specification."""

from typing import Any

from tests.dialects.treli.stage import COLLECTION, INVOICE, Stage, refused
from tests.dialects.treli.wire import NOBODY, good, speaks_treli
from tests.world import Answer, Client, World


def uuid_of(link: str) -> str:
    """The core's id of a collection, from its page's address."""
    return link.rpartition("/")[2]


def fine(answer: Answer) -> Any:
    assert answer.status in {200, 201}, (answer.status, answer.body)
    return answer.json


async def of_onepay(client: Client, number: str) -> dict[str, Any]:
    """An invoice made through Treli, as OnePay's client finds it."""
    rows = fine(await client.get(f"/v1/invoices?filter[provider_id]={number}"))["data"]
    assert len(rows) == 1
    return fine(await client.get(f"/v1/invoices/{rows[0]['id']}"))


async def test_an_invoice_of_treli_is_read_through_onepay(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000.50", "39999.50", days=[0, 30], invoice_observations="Nota")
    seen = await of_onepay(client, made["invoice_number"])
    customer = await stage.get("customers", made["customer"])
    assert seen["name"] == f"Factura {made['invoice_number']}"
    assert (seen["provider"], seen["provider_id"]) == ("recaudo", made["invoice_number"])
    assert seen["reference"] == customer["billing_address"]["identification"]
    assert (seen["amount"], seen["status"], seen["partial_payment_config"]) == (100000, "CREATED", None)
    first = await stage.get("collections", made["collections"][0])
    assert seen["payment_id"] == seen["payment"]["id"] == uuid_of(first["checkout_url"])
    assert (seen["payment"]["amount"], seen["payment"]["amount_label"]) == (60000.5, "$ 60.000,50")
    assert seen["payment"]["description"] == "Nota"
    assert seen["payment"]["customer"]["document_number"] == seen["reference"]
    last_day = (await stage.get("collections", made["collections"][1]))["due_date"]
    assert made["due_date"] == last_day
    assert seen["due_date"] < last_day[:10], "the last second of the day in Bogotá is tomorrow in UTC"
    await stage.act("invoices", made["id"], "pay", {"amount": "60000.50", "method": "cash"})
    seen = await of_onepay(client, made["invoice_number"])
    assert (seen["status"], seen["amount_received"]) == ("PARTIALLY_PAID", 60000.5)
    assert (seen["payment"]["amount"], seen["payment"]["status"]) == (39999.5, "pending")
    paid = fine(await client.get(f"/v1/payments/{uuid_of(first['checkout_url'])}"))
    assert (paid["status"], paid["method"]) == ("approved", None)
    assert paid["invoice_id"] == seen["id"]
    await stage.act("invoices", made["id"], "pay", {"method": "cash"})
    seen = await of_onepay(client, made["invoice_number"])
    assert (seen["status"], seen["payment"]["amount"]) == ("PAID", 39999.5)


async def test_instalments_are_not_changed_through_onepay(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000", "40000")
    seen = await of_onepay(client, made["invoice_number"])
    answer = await client.put(f"/v1/invoices/{seen['id']}", {"amount": 5000})
    assert (answer.status, answer.json["code_name"]) == (409, "invoice_has_installments")
    answer = await client.delete(f"/v1/invoices/{seen['id']}")
    assert answer.status == 204
    now = await stage.get("invoices", made["id"])
    assert (now["status"], now["collections"]) == ("voided", [])
    assert [(await stage.get("collections", c))["status"] for c in made["collections"]] == ["voided", "voided"]
    good(await stage.client.post("/v1/invoices", await stage.body(invoice_number=made["invoice_number"])))


async def test_one_collection_is_changed_through_onepay(stage: Stage, client: Client) -> None:
    made = await stage.invoice()
    await stage.act("invoices", made["id"], "pay", {"amount": "10000", "method": "cash"})
    seen = await of_onepay(client, made["invoice_number"])
    changed = fine(await client.put(f"/v1/invoices/{seen['id']}", {"amount": 80000}))
    assert changed["payment"]["amount"] == 70000
    now = await stage.get("invoices", made["id"])
    assert (now["total"], now["amount_to_collect"], now["total_paid"]) == ("100000.00", "80000.00", "10000.00")
    assert len(now["collections"]) == 2, "the superseded one received money"
    assert now["collections"][0] == made["collections"][0]
    current = await stage.get("collections", made["id"])
    assert (current["id"], current["balance"]) == (now["collections"][1], "70000.00")
    paid = await stage.act("invoices", made["id"], "pay", {"method": "cash"})
    assert paid["status"] == "paid"


async def test_what_onepay_stopped_asking_for_is_still_owed(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000", "40000")
    first = await stage.get("collections", made["collections"][0])
    assert (await client.delete(f"/v1/payments/{uuid_of(first['checkout_url'])}")).status == 204
    now = await stage.get("invoices", made["id"])
    assert (now["status"], now["collections"]) == ("pending", made["collections"][1:])
    assert now["installments"] == made["installments"]
    paid = await stage.act("invoices", made["id"], "pay", {"method": "cash"})
    assert (paid["status"], paid["total_paid"]) == ("paid", "100000.00")


async def test_an_invoice_settled_through_onepay_is_paid(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000", "40000")
    seen = await of_onepay(client, made["invoice_number"])
    assert (await client.delete(f"/v1/invoices/{seen['id']}", {"reason": "PAID_FROM_PROVIDER"})).status == 204
    assert (await stage.get("invoices", made["id"]))["status"] == "paid"
    refused(await stage.client.post(f"/v1/invoices/{made['id']}/void"), "invoice_already_paid")


async def test_an_invoice_without_a_number_is_known_by_its_id(world: World) -> None:
    client = await world.merchant(settings={"invoice_provider": "siigo"})
    stage = Stage(speaks_treli(client))
    nobody = await stage.customer(billing_address={})
    await stage.invoice(invoicing="create", invoice_number=..., customer=nobody)
    rows = fine(await client.get("/v1/invoices"))["data"]
    assert (rows[0]["name"], rows[0]["provider_id"], rows[0]["reference"]) == ("Matrícula", None, rows[0]["id"])
    assert await world.findings(client.account_id) == []


async def test_another_currency_is_told_by_its_code(stage: Stage, client: Client) -> None:
    made = await stage.invoice(items=[{"name": "x", "unit_price": "20000.5"}], currency="USD")
    seen = await of_onepay(client, made["invoice_number"])
    assert (seen["amount"], seen["payment"]["currency"]) == (20000.5, "USD")
    assert seen["payment"]["amount_label"] == "USD 20.000,50"


async def test_paying_through_the_page_is_seen_by_both(stage: Stage, client: Client) -> None:
    made = await stage.instalments("60000", "40000")
    first = await stage.get("collections", made["collections"][0])
    await client.pay(uuid_of(first["checkout_url"]), method="pse")
    now = await stage.get("collections", first["id"])
    assert (now["status"], now["payment_method_type"]) == ("paid", "bank_transfer")
    assert (await of_onepay(client, made["invoice_number"]))["status"] == "PARTIALLY_PAID"
    second = await stage.get("collections", made["id"])
    assert second["id"] == made["collections"][1]
    await client.pay(uuid_of(second["checkout_url"]), method="card")
    assert (await stage.get("collections", second["id"]))["payment_method_type"] == "card"
    assert (await stage.get("invoices", made["id"]))["status"] == "paid"


# --- The other way round ---


async def test_an_invoice_of_onepay_is_read_through_treli(stage: Stage, client: Client, world: World) -> None:
    made = await client.invoice(provider_id="987654", document_url="https://example.com/a.pdf", metadata={"a": 1})
    listed = good(await stage.client.get("/v1/invoices?invoice_number=987654"))["data"]
    assert len(listed) == 1
    seen = listed[0]
    assert list(seen) == [name for name in INVOICE if name != "installments"]
    assert [(i["name"], i["unit_price"], i["total"], i["product"], i["price"]) for i in seen["items"]] == [
        ("Internet plan - Octubre", "50000.00", "50000.00", None, None)
    ]
    assert (seen["invoice_number"], seen["invoice_pdf"]) == ("987654", "https://example.com/a.pdf")
    assert (seen["invoicing"], seen["invoice_provider"], seen["invoice_provider_status"]) == ("upload", None, None)
    assert (seen["subtotal"], seen["total"], seen["amount_to_collect"]) == ("50000.00", "50000.00", "50000.00")
    assert (seen["due_date"], seen["days_until_due"], seen["status"]) == (None, None, "pending")
    assert (seen["taxes"], seen["retentions_total"], seen["meta_data"]) == ([], "0.00", {"a": 1})
    assert seen["invoice_retentions"] == {"reteica": None, "retefte": None}
    assert set(seen["billing_address"].values()) == {None}
    known = await stage.get("customers", seen["customer"])
    assert known["full_name"] == made["reference"]
    collection = await stage.get("collections", seen["id"])
    assert list(collection) == COLLECTION
    assert (collection["type"], collection["source"], collection["tag"]) == ("invoice", "api", None)
    assert collection["items"] == seen["items"]
    assert collection["description"] == "Cobro de factura 987654"
    assert uuid_of(collection["checkout_url"]) == made["payment_id"]
    good(await stage.client.post("/v1/invoices", await stage.body(invoice_number="987654")))


async def test_superseded_payments_appear_only_with_their_money(stage: Stage, client: Client) -> None:
    made = await client.invoice(partial_payment_config={"min_amount": 1000})
    await client.put(f"/v1/invoices/{made['id']}", {"amount": 60000})
    known_as = good(await stage.client.get("/v1/invoices"))["data"][0]["id"]
    seen = await stage.get("invoices", known_as)
    assert len(seen["collections"]) == 1
    current = fine(await client.get(f"/v1/invoices/{made['id']}"))
    await client.pay(current["payment_id"], amount=20000)
    await client.put(f"/v1/invoices/{made['id']}", {"amount": 70000, "due_date": "2030-01-01"})
    seen = await stage.get("invoices", known_as)
    assert (len(seen["collections"]), seen["total_paid"], seen["total"]) == (2, "20000.00", "70000.00")
    assert seen["due_date"] == "2030-01-02T04:59:59Z"
    voided = await stage.act("invoices", known_as, "void")
    assert voided["status"] == "voided"
    assert fine(await client.get(f"/v1/invoices/{made['id']}"))["status"] == "CANCELLED"


async def test_a_payment_alone_of_onepay_is_a_collection(stage: Stage, client: Client) -> None:
    body = {"title": "Donación", "phone": "+573167591030", "external_id": "ext-1"}
    made = fine(await client.post("/v1/payments", body))
    listed = good(await stage.client.get("/v1/collections"))["data"]
    assert len(listed) == 1
    seen = listed[0]
    assert list(seen) == COLLECTION
    assert (seen["type"], seen["invoice"], seen["invoice_number"], seen["customer"]) == ("one_time", None, None, None)
    assert (seen["total"], seen["balance"], seen["status"]) == ("0.00", "0.00", "pending")
    path = f"/v1/collections/{seen['id']}"
    refused(await stage.client.post(f"{path}/pay", {"method": "cash"}), "amount_exceeds_balance")
    paid = good(await stage.client.post(f"{path}/pay", {"method": "cash", "amount": "7000"}))
    assert (paid["status"], paid["total"], paid["total_paid"]) == ("paid", "7000.00", "7000.00")
    assert fine(await client.get(f"/v1/payments/{made['id']}"))["status"] == "approved"
    refused(await stage.client.get(f"/v1/invoices/{seen['id']}"), "not_found")
    refused(await stage.client.get(f"/v1/invoices/col_{NOBODY}"), "not_found")


async def test_a_collection_alone_of_treli_is_a_payment(stage: Stage, client: Client) -> None:
    made = await stage.alone(description="Para el techo", meta_data={"a": 1})
    seen = fine(await client.get(f"/v1/payments/{uuid_of(made['checkout_url'])}"))
    assert (seen["title"], seen["description"], seen["amount"]) == ("Donación", "Para el techo", 50000)
    assert seen["metadata"] == {"a": 1}
    assert "invoice_id" not in seen
    await client.pay(seen["id"])
    assert (await stage.get("collections", made["id"]))["status"] == "paid"
    answer = await client.call("POST", f"/v1/payments/{seen['id']}", {})
    assert answer.json["code_name"] == "payment_already_paid"


async def test_what_treli_gave_up_is_not_sent_by_onepay(stage: Stage, client: Client) -> None:
    made = await stage.invoice()
    await stage.act("collections", made["id"], "mark_uncollectible")
    seen = await of_onepay(client, made["invoice_number"])
    assert (seen["status"], seen["payment"]["status"]) == ("UNCOLLECTIBLE", "cancelled")
    answer = await client.call("POST", f"/v1/payments/{seen['payment_id']}", {})
    assert (answer.status, answer.json["code_name"]) == (409, "payment_cancelled")
