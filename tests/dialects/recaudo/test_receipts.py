"""Receipts over HTTP: read, listed, and undone when they were registered in error."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from recaudo.dialects.treli import ids
from tests.dialects.treli.stage import Stage
from tests.receiver import receiving
from tests.world import Answer, Client, World

RECEIPTS = "/recaudo/v1/receipts"
REASON = {"reason": "Era de otro cliente"}


def uuid_of(treli_id: str) -> str:
    prefix = treli_id.partition("_")[0]
    found = ids.read(prefix, treli_id)
    assert found is not None
    return str(found)


async def receipts_of(client: Client, treli_id: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{RECEIPTS}?invoice={uuid_of(treli_id)}&limit=100")
    assert answer.status == 200, answer.json
    return answer.json["data"]


async def undo(client: Client, receipt: dict[str, Any], **options: Any) -> Answer:
    return await client.post(f"{RECEIPTS}/{receipt['id']}/undo", REASON, **options)


def refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.json


async def test_a_paid_collection_asks_again_under_its_own_link(client: Client, stage: Stage) -> None:
    invoice = await stage.invoice(days_until_due=5)
    (collection,) = invoice["collections"]
    before = await stage.get("collections", collection)
    await stage.act("collections", collection, "pay", {"method": "cash", "reference": "Recibo 12"})
    (receipt,) = await receipts_of(client, invoice["id"])
    assert (receipt["kind"], receipt["amount_minor"], receipt["reference"]) == ("outside", 10_000_000, "Recibo 12")
    answer = await undo(client, receipt)
    (negative,) = answer.json["receipts"]
    assert (answer.status, negative["kind"], negative["amount_minor"]) == (200, "refund", -10_000_000)
    assert (negative["reverses"], negative["reason"]) == (receipt["id"], REASON["reason"])
    assert await stage.get("collections", collection) == before
    assert (await stage.get("invoices", invoice["id"]))["status"] == "pending"
    now = (await client.get(f"{RECEIPTS}/{receipt['id']}")).json
    assert now == receipt | {"reversed_minor": 10_000_000}
    assert [r["id"] for r in await receipts_of(client, invoice["id"])] == [negative["id"], receipt["id"]]
    await client.pay(uuid_of(collection))
    assert (await stage.get("invoices", invoice["id"]))["status"] == "paid"


async def test_a_part_goes_back_to_the_collection_that_is_open(client: Client, stage: Stage) -> None:
    invoice = await stage.invoice()
    await stage.act("collections", invoice["id"], "partial_payment", {"amount": "30000.00"})
    (receipt,) = await receipts_of(client, invoice["id"])
    assert (await undo(client, receipt)).status == 200
    now = await stage.get("collections", invoice["id"])
    assert (now["status"], now["total_paid"], now["balance"]) == ("pending", "0.00", "100000.00")
    assert now["payment_method_type"] is None


async def test_one_sum_over_many_invoices_goes_back_as_a_whole(client: Client, stage: Stage) -> None:
    customer = await stage.customer()
    one = await stage.invoice(customer=customer)
    two = await stage.instalments("60000.00", "40000.00", customer=customer)
    body = {"amount": "260000.00", "method": "bank_transfer", "keep_rest_as_credit": True}
    await stage.act("customers", customer, "invoice_payments", body)
    assert (await stage.get("customers", customer))["credit_balance"] == "60000.00"
    first, second = await receipts_of(client, one["id"]), await receipts_of(client, two["id"])
    assert sum(r["amount_minor"] for r in (*first, *second)) == 26_000_000
    assert len({r["allocation_id"] for r in (*first, *second)}) == 1
    answer = await undo(client, second[0])
    assert sum(r["amount_minor"] for r in answer.json["receipts"]) == -26_000_000
    assert {r["reverses"] for r in answer.json["receipts"]} == {r["id"] for r in (*first, *second)}
    for invoice in (one, two):
        assert (await stage.get("invoices", invoice["id"]))["total_paid"] == "0.00"
        for collection in invoice["collections"]:
            assert (await stage.get("collections", collection))["status"] == "pending"
    assert (await stage.get("customers", customer))["credit_balance"] == "0.00"
    refused(await undo(client, first[0]), 409, "receipt_reversed")
    page = await client.get(f"{RECEIPTS}?customer={uuid_of(customer)}&limit=4")
    rest = await client.get(f"{RECEIPTS}?customer={uuid_of(customer)}&cursor={page.json['next_cursor']}")
    seen = [r["id"] for r in (*page.json["data"], *rest.json["data"])]
    assert (len(seen), sorted(seen, reverse=True), rest.json["has_more"]) == (8, seen, False)


async def test_sums_that_share_invoices_are_undone_at_once(client: Client, stage: Stage) -> None:
    """Each sum fills what the one before began, in either order: who undoes them takes the locks in one order."""
    customer = await stage.customer()
    a, b, c, d = [(await stage.invoice(customer=customer))["id"] for _ in range(4)]
    for invoices, amount in (([b, a], "110000.00"), ([a, d], "100000.00"), ([d, c], "100000.00")):
        body = {"amount": amount, "method": "cash", "invoices": invoices}
        await stage.act("customers", customer, "invoice_payments", body)
    page = await client.get(f"{RECEIPTS}?customer={uuid_of(customer)}")
    sums = {r["allocation_id"]: r for r in page.json["data"]}
    assert (len(page.json["data"]), len(sums)) == (6, 3)
    answers = await asyncio.gather(*(undo(client, r) for r in sums.values()))
    assert [(x.status, len(x.json["receipts"])) for x in answers] == [(200, 2)] * 3
    for invoice in (a, b, c, d):
        now = await stage.get("invoices", invoice)
        assert (now["status"], now["total_paid"]) == ("pending", "0.00")


async def test_a_sum_over_one_invoice_too(client: Client, stage: Stage) -> None:
    invoice = await stage.instalments("60000.00", "40000.00")
    await stage.act("invoices", invoice["id"], "pay", {"method": "cash", "amount": "80000.00"})
    receipt = (await receipts_of(client, invoice["id"]))[0]
    assert len((await undo(client, receipt)).json["receipts"]) == 2
    assert (await stage.get("invoices", invoice["id"]))["total_paid"] == "0.00"


async def test_a_debt_that_was_settled_outside_is_asked_for_anew(client: Client) -> None:
    invoice = await client.invoice()
    await client.delete(f"/v1/invoices/{invoice['id']}?reason=PAID_FROM_PROVIDER", once="x")
    (receipt,) = (await client.get(f"{RECEIPTS}?invoice={invoice['id']}")).json["data"]
    assert (await undo(client, receipt)).status == 200
    now = (await client.get(f"/v1/invoices/{invoice['id']}")).json
    assert now["status"] == "CREATED"
    assert now["payment_id"] != invoice["payment_id"]
    await client.pay(now["payment_id"])


async def test_money_of_a_gateway_cannot_be_undone(client: Client) -> None:
    invoice = await client.invoice()
    await client.pay(invoice["payment_id"])
    (receipt,) = (await client.get(f"{RECEIPTS}?invoice={invoice['id']}")).json["data"]
    refused(await undo(client, receipt), 409, "receipt_of_gateway")


async def test_what_went_back_cannot_be_undone(client: Client, stage: Stage) -> None:
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    (receipt,) = await receipts_of(client, invoice["id"])
    (negative,) = (await undo(client, receipt)).json["receipts"]
    refused(await undo(client, negative), 409, "receipt_is_reversal")
    refused(await undo(client, receipt), 409, "receipt_reversed")


async def test_credit_that_was_used_cannot_be_taken_back(client: Client, stage: Stage, world: World) -> None:
    """Nothing uses credit yet, so a row of the ledger stands for what will."""
    customer = await stage.customer()
    invoice = await stage.invoice(customer=customer)
    body = {"amount": "150000.00", "method": "cash", "keep_rest_as_credit": True}
    await stage.act("customers", customer, "invoice_payments", body)
    (receipt, *_) = await receipts_of(client, invoice["id"])
    used = (client.account_id, UUID(uuid_of(customer)))
    await world.execute(
        """
        INSERT INTO transfer (account_id, id, invoice_id, customer_id, debit, credit, amount_minor, currency, at)
        VALUES ($1, gen_random_uuid(), gen_random_uuid(), $2, 'credit', 'outside', 1, 'COP', now())
        """,
        *used,
    )
    refused(await undo(client, receipt), 409, "credit_already_used")
    assert (await stage.get("invoices", invoice["id"]))["status"] == "paid"
    await world.execute("DELETE FROM transfer WHERE account_id = $1 AND customer_id = $2 AND credit = 'outside'", *used)
    assert (await undo(client, receipt)).status == 200


async def test_a_key_undoes_once_and_two_at_once_do_too(client: Client, stage: Stage) -> None:
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    (receipt,) = await receipts_of(client, invoice["id"])
    first = await undo(client, receipt, once="u-1")
    again = await undo(client, receipt, once="u-1")
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await client.post(f"{RECEIPTS}/{receipt['id']}/undo", {"reason": "Otra"}, once="u-1")
    refused(other, 409, "idempotency_key_reused")
    await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    receipt = (await receipts_of(client, invoice["id"]))[0]
    answers = await asyncio.gather(*(undo(client, receipt) for _ in range(4)))
    assert sorted(a.status for a in answers) == [200, 409, 409, 409]


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 256}, {"reason": None}, {"reason": 7}])
async def test_a_reason_is_needed(client: Client, stage: Stage, body: dict[str, Any]) -> None:
    invoice = await stage.invoice()
    await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
    (receipt,) = await receipts_of(client, invoice["id"])
    refused(await client.post(f"{RECEIPTS}/{receipt['id']}/undo", body), 422, "validation_error")


@pytest.mark.parametrize("query", ["invoice=x", "customer=1", "limit=0", "cursor=abc", "colour=blue"])
async def test_parameters_that_mean_nothing_are_refused(client: Client, query: str) -> None:
    refused(await client.get(f"{RECEIPTS}?{query}"), 400, "invalid_query")


async def test_an_overdue_collection_that_is_revived_is_told_once(client: Client, stage: Stage, world: World) -> None:
    async with receiving() as receiver:
        body = {"dialect": "treli", "name": "ERP", "url": receiver.url, "types": ["collection.overdue"]}
        assert (await client.post("/recaudo/v1/webhooks", body)).status == 201
        late, later = await stage.invoice(), await stage.invoice(days_until_due=3)
        for invoice in (late, later):
            await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
        await client.advance_clock(days=5)
        await world.drain()
        assert receiver.received == []
        for invoice in (late, later):
            (receipt,) = await receipts_of(client, invoice["id"])
            assert (await undo(client, receipt)).status == 200
            assert (await stage.get("invoices", invoice["id"]))["status"] == "overdue"
        await world.drain()
        assert sorted(r.json["data"]["invoice"]["id"] for r in receiver.received) == sorted([late["id"], later["id"]])


async def test_who_listens_is_told_what_went_back(client: Client, stage: Stage, world: World) -> None:
    async with receiving() as own, receiving() as onepay:
        types = ["collection.reopened", "invoice.reopened"]
        listens = {"dialect": "recaudo", "name": "L", "url": own.url, "types": types}
        assert (await client.post("/recaudo/v1/webhooks", listens)).status == 201
        listens = {"name": "ERP", "url": onepay.url, "events": ["payment.refunded", "payment.created"]}
        assert (await client.post("/v1/webhooks", listens)).status == 201
        invoice = await stage.invoice()
        await stage.act("invoices", invoice["id"], "pay", {"method": "cash"})
        (receipt,) = await receipts_of(client, invoice["id"])
        await undo(client, receipt)
        await world.drain()
        assert [json.loads(r.body)["type"] for r in own.received] == ["invoice.reopened", "collection.reopened"]
        assert own.received[-1].json["data"]["collection"]["state"] == "pending"
        assert onepay.types == ["payment.created", "payment.refunded"]
        assert onepay.received[-1].json["payment"]["status"] == "pending"
