"""The published examples and the story of one invoice, over HTTP, from load to paid."""

import json
import re
from pathlib import Path
from typing import Any

from tests.world import Client, World

FIXTURES = Path(__file__).parents[2] / "fixtures" / "onepay"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def like(expected: Any, found: Any, path: str = "") -> None:
    """Same members in the same order; ids and instants by their form, links by their end."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), path
        for name in expected:
            like(expected[name], found[name], f"{path}.{name}")
    elif isinstance(expected, str) and UUID7.fullmatch(expected):
        assert UUID7.fullmatch(found), path
    elif isinstance(expected, str) and INSTANT.fullmatch(expected):
        assert INSTANT.fullmatch(found), path
    elif isinstance(expected, str) and "/payment/" in expected:
        assert UUID7.fullmatch(found.rsplit("/", 1)[1]), path
    else:
        assert found == expected, path
        assert type(found) is type(expected), path


async def test_the_published_create_request_gets_our_published_answer(client: Client, world: World) -> None:
    answer = await client.post("/v1/invoices", fixture("create-invoice.request.json"), once="invoice-001")
    assert answer.status == 201
    like(fixture("create-invoice.expected-response.json"), answer.json)
    assert answer.json["payment"]["id"] == answer.json["payment_id"]
    assert answer.json["payment"]["payment_link"] == f"{world.base_url}/payment/{answer.json['payment_id']}"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert (await client.get(f"/v1/invoices/{answer.json['id']}")).json == answer.json


async def test_the_published_update_placeholders_get_all_their_errors_at_once(client: Client) -> None:
    made = await client.invoice()
    answer = await client.put(f"/v1/invoices/{made['id']}", fixture("update-invoice.request.json"))
    assert answer.status == 422
    assert answer.json == fixture("update-invoice.expected-response.json")
    assert (await client.get(f"/v1/invoices/{made['id']}")).json == made


async def test_an_update_keeps_the_invoice_and_opens_a_new_payment(client: Client) -> None:
    made = (await client.post("/v1/invoices", fixture("create-invoice.request.json"))).json
    answer = await client.put(f"/v1/invoices/{made['id']}", fixture("update-invoice.filled-request.json"))
    assert answer.status == 200
    like(fixture("update-invoice.filled-expected-response.json"), answer.json)
    assert answer.json["id"] == made["id"]
    assert answer.json["created_at"] == made["created_at"]
    assert answer.json["payment_id"] != made["payment_id"]
    old = await client.get(f"/v1/payments/{made['payment_id']}")
    assert old.json["status"] == "cancelled"


async def test_a_paid_invoice_says_so_everywhere(client: Client) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"])
    invoice = (await client.get(f"/v1/invoices/{made['id']}")).json
    assert invoice["status"] == "PAID"
    assert invoice["amount_received"] == 50000
    assert invoice["payment"]["status"] == "approved"
    assert invoice["payment"]["paid_at"] is not None
    assert invoice["payment"]["method"]["label"] == "VISA **** 4242"
    (intent,) = (await client.get(f"/v1/payments/{made['payment_id']}/intents")).json
    assert (intent["status"], intent["amount"], intent["payment_method_type"]) == ("paid", 50000, "CreditCard")
    refused = await client.put(f"/v1/invoices/{made['id']}", {"amount": 60000})
    assert (refused.status, refused.json["code_name"]) == (409, "invoice_already_paid")
    again = await client.pay(made["payment_id"], status=409)
    assert again["code"] == "collection_paid"


async def test_parts_are_taken_within_the_rule_and_close_the_invoice(client: Client) -> None:
    made = await client.invoice(amount=100_000, partial_payment_config={"min_amount": 20_000, "max_amount": 60_000})
    await client.pay(made["payment_id"], amount=10_000, status=409)
    await client.pay(made["payment_id"], amount=40_000)
    half = (await client.get(f"/v1/invoices/{made['id']}")).json
    assert (half["status"], half["payment"]["status"]) == ("PARTIALLY_PAID", "partially_paid")
    assert half["payment"]["partial_payment"]["remaining"] == 60_000
    await client.pay(made["payment_id"], amount=60_000)
    done = (await client.get(f"/v1/invoices/{made['id']}")).json
    assert (done["status"], done["payment"]["partial_payment"]["parts"]) == ("PAID", 2)


async def test_metadata_comes_back_in_the_order_it_was_sent(client: Client) -> None:
    sent = {"zeta": "1", "b": "2", "alfa": "3", "10": "4", "2": "5"}
    made = await client.invoice(metadata=sent)
    read = (await client.get(f"/v1/invoices/{made['id']}")).json
    assert list(made["metadata"]) == list(read["metadata"]) == list(sent)
