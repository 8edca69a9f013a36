"""Collections: alone and of invoices, paid in part, voided, given up, changed (Treli specification, 6.5, 10, 11.3)."""

import asyncio
from typing import Any

import pytest

from tests.dialects.treli.stage import COLLECTION, ITEM, UTC, Stage, refused
from tests.dialects.treli.test_invoices import compare, filled
from tests.dialects.treli.wire import NOBODY, good, is_id, published, speaks_treli
from tests.world import Client, World


async def test_a_partial_payment_is_answered_as_expected(stage: Stage) -> None:
    request, _, ids = await filled(stage)
    invoice = good(await stage.client.post("/v1/invoices", request))
    path = f"/v1/collections/{invoice['collections'][0]}/partial_payment"
    body = published("partial-payment.request")
    refused(await stage.client.post(path, body), "validation_error", "amount", "collection_rule_id")
    answer = await stage.client.post(path, published("partial-payment.filled-request"))
    paid, expected = good(answer), published("partial-payment.filled-expected-response")
    assert list(paid) == list(expected) == COLLECTION
    compare(paid, expected, ids)
    assert good(await stage.client.get(f"/v1/collections/{paid['id']}")) == paid
    rest = await stage.get("collections", paid["balance_collection"])
    assert (rest["status"], rest["total"], rest["balance"]) == ("pending", "13107.00", "13107.00")
    assert rest["description"] == "Saldo de la factura FV-1024"
    assert [item["name"] for item in rest["items"]] == ["Saldo de la factura FV-1024"]
    assert rest["collection_rule_id"] == paid["collection_rule_id"]
    now = await stage.get("invoices", invoice["id"])
    assert (now["status"], now["total_paid"], now["days_until_due"]) == ("pending", "10000.00", 15)
    assert now["due_date"] == rest["due_date"]
    assert now["collections"] == [paid["id"], rest["id"]]
    assert (await stage.get("collections", invoice["id"]))["id"] == rest["id"]
    await stage.act("collections", rest["id"], "pay", {"method": "card"})
    assert (await stage.get("invoices", invoice["id"]))["status"] == "paid"


async def test_a_part_alone_leaves_the_collection_open(stage: Stage) -> None:
    invoice = await stage.invoice()
    path = f"/v1/collections/{invoice['id']}/partial_payment"
    body = {"amount": 30000, "create_collection_with_balance": False, "days_until_due": "x", "collection_rule_id": 7}
    answer = await stage.client.post(path, body)
    paid = good(answer)
    assert answer.headers["Recaudo-Ignored-Fields"] == "days_until_due,collection_rule_id"
    assert (paid["status"], paid["total"], paid["total_paid"], paid["balance"]) == (
        "pending",
        "100000.00",
        "30000.00",
        "70000.00",
    )
    assert (paid["payment_method_type"], paid["balance_collection"], paid["paid_date"]) == ("other", None, None)
    refused(await stage.client.post(path, {"amount": "70000.00"}), "amount_equals_balance")
    refused(await stage.client.post(path, {"amount": "70000.01"}), "amount_exceeds_balance")
    for amount in ("0", "-1", 0.001, None):
        refused(await stage.client.post(path, {"amount": amount}), "validation_error", "amount")
    await stage.act("collections", invoice["id"], "pay", {"method": "cash"})
    refused(await stage.client.post(path, {"amount": "1"}), "collection_already_paid")


async def test_two_parts_at_once_are_never_more_than_is_owed(stage: Stage) -> None:
    invoice = await stage.invoice()
    path = f"/v1/collections/{invoice['collections'][0]}/partial_payment"
    answers = await asyncio.gather(*(stage.client.post(path, {"amount": "60000.00"}) for _ in range(4)))
    assert sorted(a.status for a in answers) == [200, 400, 400, 400]
    assert (await stage.get("invoices", invoice["id"]))["total_paid"] == "60000.00"


async def test_an_instalment_paid_in_part_asks_for_its_rest(stage: Stage) -> None:
    invoice = await stage.instalments("60000.00", "40000.00")
    first, second = invoice["collections"]
    rule = await stage.rule()
    body = {
        "amount": "10000.00",
        "create_collection_with_balance": True,
        "days_until_due": 10,
        "collection_rule_id": rule,
        "method": "check",
    }
    paid = await stage.act("collections", first, "partial_payment", body)
    rest = await stage.get("collections", paid["balance_collection"])
    assert (paid["payment_method_type"], rest["collection_rule_id"]) == ("check", rule)
    now = await stage.get("invoices", invoice["id"])
    assert now["collections"] == [first, rest["id"], second]
    assert now["installments"] == invoice["installments"]
    assert (now["amount_to_collect"], now["days_until_due"]) == ("100000.00", 30)


async def test_a_collection_without_an_invoice(stage: Stage, client: Client) -> None:
    rule, price = await stage.rule(), await stage.price()
    body = {
        "customer": await stage.customer(),
        "items": [{"price": price, "quantity": 2}],
        "days_until_due": 3,
        "collection_rule_id": rule,
        "discounts": [{"code": "HOLA", "percent": "10"}, {"amount": "840.00"}],
        "meta_data": {"a": 1},
        "tag": "beca",
    }
    made = good(await stage.client.post("/v1/collections", body))
    assert list(made) == COLLECTION
    assert [list(item) for item in made["items"]] == [ITEM]
    assert (made["type"], made["subtotal"], made["total"]) == ("one_time", "40000.00", "42000.00")
    assert [list(d) for d in made["discounts"]] == [["id", "code", "amount", "percent"]] * 2
    assert [(d["code"], d["amount"], d["percent"]) for d in made["discounts"]] == [
        ("HOLA", "4760.00", "10"),
        (None, "840.00", None),
    ]
    assert all(is_id("sd", d["id"]) for d in made["discounts"])
    assert (made["description"], made["tag"], made["source"]) == ("Nombre del producto", "beca", "api")
    assert (made["invoice"], made["invoice_number"], made["subscription_id"]) == (None, None, None)
    assert (made["meta_data"], made["collection_rule_id"]) == ({"a": 1}, rule)
    assert await stage.get("collections", made["id"]) == made
    assert good(await stage.client.get("/v1/invoices"))["data"] == []
    await client.advance_clock(days=4)
    assert (await stage.get("collections", made["id"]))["status"] == "overdue"
    part = await stage.act(
        "collections", made["id"], "partial_payment", {"amount": "2000", "create_collection_with_balance": True}
    )
    rest = await stage.get("collections", part["balance_collection"])
    assert (rest["type"], rest["total"], rest["description"]) == (
        "one_time",
        "40000.00",
        "Saldo de Nombre del producto",
    )
    paid = await stage.act("collections", rest["id"], "pay", {"method": "wallet"})
    assert (paid["status"], paid["payment_method_type"], paid["balance"]) == ("paid", "wallet", "0.00")
    assert UTC.fullmatch(paid["paid_date"])


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"customer": None, "items": None}, ["customer", "items"]),
    ({"items": [{"unit_price": "1"}], "type": "invoice"}, ["items[0].name", "type"]),
    ({"description": "x" * 256, "tag": ""}, ["description", "tag"]),
    ({"discounts": []}, ["discounts"]),
    ({"discounts": [{"amount": "1"}] * 21}, ["discounts"]),
    ({"discounts": [{}]}, ["discounts[0].amount"]),
    ({"discounts": [{"amount": "1", "percent": "1"}]}, ["discounts[0].percent"]),
    ({"discounts": [{"percent": "1.001"}]}, ["discounts[0].percent"]),
    ({"discounts": [{"percent": "100.01"}, {"percent": "0"}]}, ["discounts[0].percent", "discounts[1].percent"]),
    ({"discounts": [{"code": "x" * 51, "amount": "0"}]}, ["discounts[0].code", "discounts[0].amount"]),
    ({"discounts": [{"percent": "100"}]}, ["discounts"]),
    ({"discounts": [{"amount": "50000.01"}]}, ["discounts"]),
    ({"collection_rule_id": f"rule_{NOBODY}"}, ["collection_rule_id"]),
]


@pytest.mark.parametrize(("fields", "at_fault"), WRONG, ids=lambda value: str(value)[:60])
async def test_every_field_is_checked(stage: Stage, fields: dict[str, Any], at_fault: list[str]) -> None:
    body = {"customer": await stage.customer(), "items": [{"name": "x", "unit_price": "50000"}], **fields}
    refused(await stage.client.post("/v1/collections", body), "validation_error", *at_fault)


async def test_a_stored_method_is_never_there(stage: Stage) -> None:
    body = {
        "customer": await stage.customer(),
        "items": [{"name": "x", "unit_price": "1"}],
        "collection_method": "charge",
    }
    refused(await stage.client.post("/v1/collections", body), "no_payment_method")


async def test_voiding_one_of_several_lowers_what_is_owed(stage: Stage) -> None:
    invoice = await stage.instalments("60000.00", "40000.00")
    first, second = invoice["collections"]
    await stage.act("collections", second, "partial_payment", {"amount": "5000.00"})
    voided = await stage.act("collections", second, "void", {"reason": "Error"})
    assert (voided["status"], voided["total_paid"]) == ("voided", "5000.00")
    assert UTC.fullmatch(voided["voided_at_date"])
    now = await stage.get("invoices", invoice["id"])
    assert (now["amount_to_collect"], now["total"], now["total_paid"]) == ("60000.00", "100000.00", "0.00")
    assert now["collections"] == [first]
    assert (await stage.get("customers", invoice["customer"]))["credit_balance"] == "5000.00"
    for action in ("void", "mark_uncollectible", "send"):
        refused(await stage.client.post(f"/v1/collections/{second}/{action}"), "collection_voided")
    refused(await stage.client.post(f"/v1/collections/{second}/pay", {"method": "cash"}), "collection_voided")
    refused(await stage.client.post(f"/v1/collections/{second}/total", {"total": "1"}), "collection_voided")
    await stage.act("collections", first, "void")
    assert (await stage.get("invoices", invoice["id"]))["status"] == "voided"


async def test_voiding_what_is_left_pays_the_invoice(stage: Stage) -> None:
    invoice = await stage.instalments("60000.00", "40000.00")
    await stage.act("collections", invoice["collections"][0], "pay", {"method": "cash"})
    await stage.act("collections", invoice["collections"][1], "void")
    now = await stage.get("invoices", invoice["id"])
    assert (now["status"], now["amount_to_collect"], now["total_paid"]) == ("paid", "60000.00", "60000.00")


async def test_giving_up_and_being_paid_after_all(stage: Stage) -> None:
    invoice = await stage.instalments("60000.00", "40000.00")
    first, second = invoice["collections"]
    given_up = await stage.act("collections", first, "mark_uncollectible", {"reason": "No responde"})
    assert (given_up["status"], given_up["voided_at_date"]) == ("uncollectible", None)
    assert (await stage.get("invoices", invoice["id"]))["status"] == "pending"
    await stage.act("collections", second, "mark_uncollectible")
    assert (await stage.get("invoices", invoice["id"]))["status"] == "uncollectible"
    assert (await stage.get("collections", invoice["id"]))["id"] == second, "the last one, when none is open"
    for action, body in (
        ("mark_uncollectible", None),
        ("send", None),
        ("total", {"total": "1"}),
        ("discounts", {"discounts": [{"amount": "1"}]}),
        ("partial_payment", {"amount": "1"}),
    ):
        refused(await stage.client.post(f"/v1/collections/{first}/{action}", body), "collection_uncollectible")
    refused(
        await stage.client.post(f"/v1/collections/{first}/items", {"items": [{"name": "x", "unit_price": "1"}]}),
        "collection_not_editable",
    )
    paid = await stage.act("collections", first, "pay", {"amount": "60000.00", "method": "cash"})
    assert paid["status"] == "paid"
    paid = await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    assert (paid["status"], paid["total_paid"]) == ("paid", "100000.00")


async def test_another_total_changes_what_is_owed(stage: Stage) -> None:
    invoice = await stage.instalments("60000.00", "40000.00")
    first, second = invoice["collections"]
    changed = await stage.act("collections", first, "total", {"total": "65000.00"})
    assert (changed["total"], changed["balance"]) == ("65000.00", "65000.00")
    now = await stage.get("invoices", invoice["id"])
    assert (now["amount_to_collect"], now["total"], now["subtotal"]) == ("105000.00", "100000.00", "100000.00")
    await stage.act("collections", first, "partial_payment", {"amount": "20000.00"})
    path = f"/v1/collections/{first}/total"
    refused(await stage.client.post(path, {"total": "19999.99"}), "amount_below_received")
    refused(await stage.client.post(path, {"total": 0}), "amount_below_received")
    for wrong in (None, "x", "-1", "1.001"):
        refused(await stage.client.post(path, {"total": wrong}), "validation_error", "total")
    closed = await stage.act("collections", first, "total", {"total": "20000.00"})
    assert (closed["status"], closed["balance"]) == ("paid", "0.00")
    refused(await stage.client.post(path, {"total": "1"}), "collection_already_paid")
    await stage.act("collections", second, "pay", {"method": "cash"})
    assert (await stage.get("invoices", invoice["id"]))["status"] == "paid"


async def test_items_of_a_collection_alone(stage: Stage) -> None:
    made = await stage.alone(discounts=[{"percent": "50"}, {"amount": "1000"}])
    assert made["total"] == "24000.00"
    await stage.act("collections", made["id"], "total", {"total": "7.00"})
    price = await stage.price(unit_price="100000.00")
    changed = await stage.act("collections", made["id"], "items", {"items": [{"price": price}]})
    assert (changed["subtotal"], changed["total"]) == ("100000.00", "58500.00")
    assert [d["amount"] for d in changed["discounts"]] == ["59500.00", "1000.00"]
    path = f"/v1/collections/{made['id']}/items"
    answer = await stage.client.post(path, {"items": [{"name": "x"}]})
    refused(answer, "validation_error", "items[0].unit_price")
    answer = await stage.client.post(path, {"items": [{"name": "x", "unit_price": "2000"}]})
    refused(answer, "amount_below_received")
    used = await stage.client.post(f"/v1/prices/{price}", {"currency": "USD"})
    assert used.json["code"] == "price_in_use"
    invoice = await stage.invoice()
    answer = await stage.client.post(
        f"/v1/collections/{invoice['id']}/items", {"items": [{"name": "x", "unit_price": "2000"}]}
    )
    refused(answer, "collection_not_editable")


async def test_discounts_are_added_and_taken_away(stage: Stage) -> None:
    invoice = await stage.invoice()
    collection = invoice["collections"][0]
    body = {"discounts": [{"percent": "10.5", "code": "A"}, {"amount": "500"}]}
    changed = await stage.act("collections", collection, "discounts", body)
    assert (changed["total"], changed["subtotal"]) == ("89000.00", "100000.00")
    changed = await stage.act("collections", collection, "discounts", {"discounts": [{"percent": "10"}]})
    assert (changed["total"], changed["discounts"][2]["amount"]) == ("79000.00", "10000.00")
    now = await stage.get("invoices", invoice["id"])
    assert (now["amount_to_collect"], now["total"]) == ("79000.00", "100000.00")
    path = f"/v1/collections/{collection}/discounts"
    refused(await stage.client.post(path, {"discounts": [{"amount": "79000"}]}), "amount_below_received")
    gone = changed["discounts"][0]["id"]
    changed = good(await stage.client.delete(f"{path}/{gone}"))
    assert (changed["total"], len(changed["discounts"])) == ("89500.00", 2)
    refused(await stage.client.delete(f"{path}/{gone}"), "not_found")
    refused(await stage.client.delete(f"{path}/sd_x"), "not_found")
    await stage.act("collections", collection, "pay", {"method": "cash"})
    refused(await stage.client.post(path, body), "collection_already_paid")
    answer = await stage.client.delete(f"{path}/{changed['discounts'][0]['id']}")
    refused(answer, "collection_already_paid")
    assert (await stage.get("invoices", invoice["id"]))["status"] == "paid"


async def test_a_discount_never_makes_a_collection_ask_for_more(stage: Stage, client: Client) -> None:
    """Money that came late lowered what the second asks for: a discount is taken off that."""
    invoice = await stage.instalments("50000.00", "50000.00")
    first, second = invoice["collections"]
    link = (await stage.get("collections", first))["checkout_url"].rpartition("/")[2]
    await stage.act("collections", first, "partial_payment", {"amount": "40000.00"})
    await client.pay(link, amount=10000, outcome="approve_twice")
    assert (await stage.get("collections", second))["balance"] == "40000.00"
    changed = await stage.act("collections", second, "discounts", {"discounts": [{"amount": "1000.00"}]})
    assert changed["balance"] == "39000.00"
    assert (await stage.get("invoices", invoice["id"]))["amount_to_collect"] == "99000.00"


# --- Sending ---


async def test_a_collection_is_sent_where_the_customer_can_be_reached(stage: Stage, world: World) -> None:
    customer = await stage.customer(collection_emails=["b@example.com"])
    invoice = await stage.invoice(customer=customer)
    sent = await stage.act("collections", invoice["id"], "send")
    assert sent["id"] == invoice["collections"][0]
    await stage.act("collections", invoice["id"], "send", {"channels": ["whatsapp"]})
    rows = await world.rows(
        "SELECT channel, address FROM notice WHERE account_id = $1 ORDER BY created_at, channel, address",
        stage.client.account_id,
    )
    assert [tuple(row) for row in rows] == [
        ("email", "ana@example.com"),
        ("email", "b@example.com"),
        ("phone", "+573167591030"),
        ("phone", "+573167591030"),
    ]
    path = f"/v1/collections/{invoice['id']}/send"
    for channels in ([], ["sms"], "email", ["email"] * 3):
        answer = await stage.client.post(path, {"channels": channels})
        refused(answer, "validation_error", "channels[0]" if channels == ["sms"] else "channels")
    silent = await stage.customer(email="c@example.com", billing_address={})
    mute = await stage.invoice(customer=silent)
    refused(await stage.client.post(f"/v1/collections/{mute['id']}/send", {"channels": ["whatsapp"]}), "no_contact")
    await stage.act("collections", mute["id"], "send")
    await stage.act("collections", invoice["id"], "pay", {"method": "cash"})
    refused(await stage.client.post(path), "collection_already_paid")


# --- Finding ---


async def test_collections_are_listed_by_what_they_are(stage: Stage) -> None:
    customer = await stage.customer()
    invoice = await stage.instalments("60000.00", "40000.00", customer=customer)
    alone = await stage.alone(customer=customer)
    other = await stage.invoice()
    first, second = invoice["collections"]

    async def listed(query: str) -> set[str]:
        return {row["id"] for row in good(await stage.client.get(f"/v1/collections?{query}"))["data"]}

    assert await listed("") == {first, second, alone["id"], *other["collections"]}
    assert await listed("type=one_time") == {alone["id"]}
    assert await listed(f"customer={customer}&type=invoice") == {first, second}
    assert await listed(f"invoice={invoice['id']}") == {first, second}
    assert await listed(f"invoice={first}") == {first, second}
    assert await listed(f"invoice={alone['id']}") == set()
    assert await listed("invoice=x") == set()
    assert await listed(f"invoice_number={other['invoice_number']}") == set(other["collections"])
    await stage.act("collections", second, "void")
    assert await listed("status=voided") == {second}
    assert await listed("status=pending&type=one_time") == {alone["id"]}
    page = good(await stage.client.get("/v1/collections?limit=1"))
    assert page["data"] == [await stage.get("collections", other["id"])]
    page = good(await stage.client.get(f"/v1/collections?limit=100&start_after={page['next_cursor']}"))
    assert (len(page["data"]), page["has_more"], page["next_cursor"]) == (3, False, None)
    refused(await stage.client.get("/v1/collections?type=subscription"), "validation_error", "type")


async def test_unknown_ids_are_not_found(stage: Stage, world: World) -> None:
    other = Stage(speaks_treli(await world.merchant()))
    foreign = await other.invoice()
    actions = ("send", "partial_payment", "pay", "void", "mark_uncollectible", "total", "items", "discounts")
    for known_as in (f"col_{NOBODY}", "x", foreign["id"], foreign["collections"][0]):
        refused(await stage.client.get(f"/v1/collections/{known_as}"), "not_found")
        for action in actions:
            refused(await stage.client.post(f"/v1/collections/{known_as}/{action}", {}), "not_found")
        refused(await stage.client.delete(f"/v1/collections/{known_as}/discounts/sd_{NOBODY}"), "not_found")


async def test_a_repeated_action_is_done_once(stage: Stage) -> None:
    """The key counts for the path as it was sent, though the invoice shows another collection by then."""
    invoice = await stage.instalments("60000.00", "40000.00")
    path = f"/v1/collections/{invoice['id']}/pay"
    paid = await stage.client.post(path, {"method": "cash"}, once="k")
    again = await stage.client.post(path, {"method": "cash"}, once="k")
    assert again.body == paid.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await stage.get("invoices", invoice["id"]))["total_paid"] == "60000.00"
    other = await stage.client.post(path, {"method": "gold"}, once="k")
    assert other.json["code"] == "idempotency_key_reused"


# --- One sum over several invoices ---


async def test_one_sum_is_spread_over_invoices(stage: Stage) -> None:
    customer = await stage.customer()
    late = await stage.invoice(customer=customer, days_until_due=9)
    soon = await stage.instalments("60000.00", "40000.00", days=[1, 20], customer=customer)
    path = f"/v1/customers/{customer}/invoice_payments"
    answer = good(await stage.client.post(path, {"amount": "170000", "method": "cash", "reference": "REC-1"}))
    assert list(answer) == ["customer", "amount", "allocated", "credited", "allocations"]
    assert [answer[name] for name in ("customer", "amount", "allocated", "credited")] == [
        customer,
        "170000.00",
        "170000.00",
        "0.00",
    ]
    assert answer["allocations"] == [
        {
            "invoice": soon["id"],
            "collection": soon["collections"][0],
            "amount": "60000.00",
            "invoice_status": "pending",
        },
        {"invoice": late["id"], "collection": late["collections"][0], "amount": "100000.00", "invoice_status": "paid"},
        {
            "invoice": soon["id"],
            "collection": soon["collections"][1],
            "amount": "10000.00",
            "invoice_status": "pending",
        },
    ]
    refused(await stage.client.post(path, {"amount": "30000.01", "method": "cash"}), "amount_exceeds_balance")
    body = {"amount": "35000", "method": "cash", "keep_rest_as_credit": True}
    answer = good(await stage.client.post(path, body, once="k"))
    assert (answer["allocated"], answer["credited"]) == ("30000.00", "5000.00")
    assert answer["allocations"][0]["invoice_status"] == "paid"
    assert good(await stage.client.post(path, body, once="k")) == answer
    assert (await stage.get("customers", customer))["credit_balance"] == "5000.00"
    refused(await stage.client.post(path, {"amount": "1", "method": "cash"}), "amount_exceeds_balance")


async def test_the_invoices_of_a_sum_are_taken_in_the_order_given(stage: Stage) -> None:
    customer = await stage.customer()
    first = await stage.invoice(customer=customer)
    second = await stage.invoice(customer=customer, days_until_due=9)
    path = f"/v1/customers/{customer}/invoice_payments"
    body = {"amount": "130000", "method": "cash", "invoices": [second["collections"][0], first["id"]]}
    answer = good(await stage.client.post(path, body))
    assert [(a["invoice"], a["amount"]) for a in answer["allocations"]] == [
        (second["id"], "100000.00"),
        (first["id"], "30000.00"),
    ]
    refused(await stage.client.post(path, body), "invoice_already_paid")
    await stage.act("invoices", first["id"], "void")
    refused(await stage.client.post(path, {**body, "invoices": [first["id"]]}), "invoice_voided")


async def test_a_sum_over_invoices_is_checked(stage: Stage) -> None:
    customer = await stage.customer()
    own = await stage.invoice(customer=customer)
    strange = await stage.invoice()
    alone = await stage.alone(customer=customer)
    path = f"/v1/customers/{customer}/invoice_payments"
    refused(await stage.client.post(path, {}), "validation_error", "amount", "method")
    body = {
        "amount": "0",
        "invoices": [own["id"], own["collections"][0], strange["id"], alone["id"], 7],
        "method": "gold",
        "currency": "XXX",
        "keep_rest_as_credit": "yes",
    }
    refused(
        await stage.client.post(path, body),
        "validation_error",
        "amount",
        *(f"invoices[{i}]" for i in range(1, 5)),
        "method",
        "currency",
        "keep_rest_as_credit",
    )
    body = {"amount": "1", "method": "cash", "currency": "USD"}
    refused(await stage.client.post(path, {**body, "invoices": [own["id"]]}), "validation_error", "invoices[0]")
    refused(await stage.client.post(path, {**body, "invoices": []}), "validation_error", "invoices")
    refused(await stage.client.post(path, body), "amount_exceeds_balance")
    refused(await stage.client.post(f"/v1/customers/cus_{NOBODY}/invoice_payments", body), "not_found")


async def test_sums_at_once_are_never_more_than_is_owed(stage: Stage) -> None:
    customer = await stage.customer()
    invoices = [await stage.invoice(customer=customer) for _ in range(2)]
    path = f"/v1/customers/{customer}/invoice_payments"
    orders = [[row["id"] for row in invoices], [row["id"] for row in reversed(invoices)]] * 2
    bodies = [{"amount": "120000", "method": "cash", "invoices": order} for order in orders]
    answers = await asyncio.gather(*(stage.client.post(path, body) for body in bodies))
    assert [a.status for a in answers].count(200) == 1
    assert all(a.status in {200, 400, 409} for a in answers)
    paid = [(await stage.get("invoices", row["id"]))["total_paid"] for row in invoices]
    assert sorted(paid) == ["100000.00", "20000.00"]


@pytest.mark.parametrize("odd", [{}, [], {"a": 1}, "yes"])
async def test_a_flag_that_is_none_is_named_beside_what_depends_on_it(stage: Stage, odd: Any) -> None:
    invoice = await stage.invoice()
    body = {"amount": "1", "create_collection_with_balance": odd, "days_until_due": 3}
    answer = await stage.client.post(f"/v1/collections/{invoice['collections'][0]}/partial_payment", body)
    assert answer.status == 400, answer.body
    assert [error["field"] for error in answer.json["errors"]] == ["create_collection_with_balance"]
