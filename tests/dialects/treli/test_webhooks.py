"""Treli's endpoints are told in their own words, signed in their own way (section 15)."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from recaudo.dialects.treli.webhooks import TYPES, TreliWebhooks, signature
from recaudo.domain.delivering import Endpoint
from recaudo.domain.events import EVENT_TYPES
from recaudo.edge.ecmascript import stringify
from recaudo.usecases.ports import Message
from tests.receiver import Received, Receiver, receiving
from tests.world import Client, World

FIXTURES = Path(__file__).parents[2] / "fixtures" / "treli"
VECTORS = ["webhook-minimal", "webhook-collection-paid"]


def vector(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.vector.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", VECTORS)
def test_the_signature_is_that_of_the_vector(name: str) -> None:
    it = vector(name)
    body = it["body"].encode()
    assert len(body) == it["body_length_bytes"]
    made = f"t={it['timestamp']},v1={signature(it['secret'], it['timestamp'], body)}"
    assert made == it["expected_headers"]["x-treli-signature"]
    assert stringify(json.loads(body)) == body


def test_every_type_that_is_raised_names_an_event_of_the_core() -> None:
    assert {core for core in TYPES.values() if core is not None} <= set(EVENT_TYPES)


@pytest.mark.parametrize("type_", TYPES)
def test_a_sample_can_be_made_of_every_type(type_: str) -> None:
    now = datetime(2024, 11, 15, 16, 44, 50, tzinfo=UTC)
    made = json.loads(
        TreliWebhooks().sample(type_, "https://cobros.example.com", now, is_test=True, event_id=UUID(int=7))
    )
    assert list(made) == ["id", "type", "created", "is_test", "data"]
    assert (made["id"], made["type"], made["created"]) == ("evt_000000000000000000000007", type_, 1731689090)
    assert made["data"]["id"] == "col_000000000000000000000000"
    assert "transaction" in made["data"]


def members(value: Any) -> Any:
    """The names of all members, in order, at every level; lists by their first item."""
    if isinstance(value, dict):
        return {name: members(item) for name, item in value.items()}
    return [members(value[0])] if isinstance(value, list) and value else None


def verify(received: Received, secret: str) -> dict[str, Any]:
    """As the published receiver does (15.5)."""
    parts = dict(part.split("=", 1) for part in received.headers["x-treli-signature"].split(","))
    signed = parts["t"].encode() + b"." + received.body
    assert hmac.compare_digest(parts["v1"], hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest())
    assert abs(int(parts["t"]) - datetime.now(UTC).timestamp()) < 300
    return received.json


async def listen(client: Client, receiver: Receiver, *types: str) -> str:
    body = {"dialect": "treli", "name": "ERP", "url": receiver.url, "types": list(types)}
    answer = await client.post("/recaudo/v1/webhooks", body)
    assert answer.status == 201, answer.json
    assert answer.json["secret"].startswith("trl_whsec_")
    assert len(answer.json["secret"]) == len("trl_whsec_") + 32
    return answer.json["secret"]


class Treli:
    """The same account, spoken to in Treli's way."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def post(self, path: str, body: Any = None) -> Any:
        answer = await self._client.call(
            "POST", f"/treli/v1{path}", {} if body is None else body, headers=self._basic()
        )
        assert answer.status == 200, answer.json
        return answer.json

    async def get(self, path: str) -> Any:
        answer = await self._client.call("GET", f"/treli/v1{path}", headers=self._basic())
        assert answer.status == 200, answer.json
        return answer.json

    def _basic(self) -> dict[str, str]:

        return {"Authorization": "Basic " + base64.b64encode(f"{self._client.key}:".encode()).decode()}


async def test_one_story_is_told_in_both_dialects(world: World, client: Client) -> None:
    """Loaded through Treli in three instalments with a retention, paid on a page and by hand, read through OnePay."""
    treli = Treli(client)
    async with receiving() as theirs, receiving() as ours:
        secret = await listen(client, theirs, *[type_ for type_, core in TYPES.items() if core is not None])
        onepay = ["payment.created", "payment.approved", "invoice.partially_paid", "invoice.paid", "payment.rejected"]
        await client.post("/v1/webhooks", {"name": "ERP", "url": ours.url, "events": onepay})
        customer = await treli.post(
            "/customers",
            {
                "email": "compras@example.com",
                "full_name": "Empresa SAS",
                "collection_emails": ["cobros@example.com"],
                "billing_address": {"id_type": "NIT", "identification": "900123456", "city": "Barranquilla"},
            },
        )
        reteica = await client.post("/recaudo/v1/retentions", {"kind": "reteica", "name": "ReteICA", "percentage": "1"})
        assert reteica.status == 200, reteica.json
        plan = [{"amount": "33000.00", "days_until_due": d} for d in (0, 30, 60)]
        made = await treli.post(
            "/invoices",
            {
                "items": [{"name": "Matrícula", "unit_price": "100000.00"}],
                "invoice_number": "FV-1024",
                "customer": customer["id"],
                "invoice_retentions": {"reteica": reteica.json["id"]},
                "installments": {"number_of_installments": 3, "installments_settings": plan},
            },
        )
        assert (made["total"], made["retentions_total"], made["amount_to_collect"]) == (
            "100000.00",
            "1000.00",
            "99000.00",
        )
        first, second, third = made["collections"]
        seen = (await client.get(f"/v1/payments/{uuid_of(first)}")).json
        assert (seen["amount"], seen["status"], seen["external_id"]) == (33000, "pending", "FV-1024")
        await client.pay(str(uuid_of(first)), outcome="decline")
        await client.pay(str(uuid_of(first)))
        await treli.post(f"/collections/{second}/pay", {"method": "cash", "reference": "Recibo 12"})
        read = (await client.get(f"/v1/invoices/{uuid_of(made['id'])}")).json
        assert (read["status"], read["amount"], read["amount_received"]) == ("PARTIALLY_PAID", 99000, 66000)
        assert read["payment_id"] == str(uuid_of(third))
        await treli.post(f"/invoices/{made['id']}/pay", {"method": "bank_transfer"})
        assert (await treli.get(f"/invoices/{made['id']}"))["status"] == "paid"
        await world.drain()
        told = [verify(r, secret) for r in theirs.received]
        assert [t["type"] for t in told] == [
            "invoice.created",
            *["collection.created"] * 3,
            "payment.failed",
            "collection.paid",
            "collection.paid",
            "collection.paid",
            "invoice.paid",
        ]
        assert {t["data"]["customer"]["full_name"] for t in told} == {"Empresa SAS"}
        assert told[-1]["data"]["invoice"]["status"] == "paid"
        assert [t["data"]["transaction"]["payment_method_gateway"] for t in told[5:8]] == [
            "sandbox",
            "manual",
            "manual",
        ]
        assert told[6]["data"]["transaction"]["reference"] == "Recibo 12"
        assert told[0]["data"]["invoice"]["collections"] == made["collections"]
        published = json.loads(vector("webhook-collection-paid")["body"])
        assert list(told[5]["data"]) == list(published["data"])
        assert members(told[5]["data"]["transaction"]) == members(published["data"]["transaction"])
        assert members(told[5]["data"]["customer"]) == members(published["data"]["customer"])
        assert list(told[5]["data"]["invoice"]) == list(published["data"]["invoice"])
        assert ours.types == [
            *["payment.created"] * 3,
            "payment.rejected",
            "payment.approved",
            "invoice.partially_paid",
            "payment.approved",
            "invoice.partially_paid",
            "payment.approved",
            "invoice.paid",
        ]


def uuid_of(id_: str) -> UUID:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in id_.partition("_")[2]:
        number = number * 62 + digits.index(digit)
    return UUID(int=number)


async def test_the_customer_has_the_credit_of_that_moment(world: World, client: Client) -> None:
    """Each event tells what the customer was owed once its change was made, whenever it is told."""
    treli = Treli(client)
    async with receiving() as receiver:
        secret = await listen(client, receiver, "invoice.created", "invoice.paid", "invoice.voided")
        customer = await treli.post("/customers", {"email": "compras@example.com", "full_name": "Empresa SAS"})
        item = {"items": [{"name": "Matrícula", "unit_price": "100000.00"}], "customer": customer["id"]}
        first = await treli.post("/invoices", {**item, "invoice_number": "1"})
        payment = {"amount": "130000.00", "method": "cash", "keep_rest_as_credit": True}
        await treli.post(f"/customers/{customer['id']}/invoice_payments", payment)
        second = await treli.post("/invoices", {**item, "invoice_number": "2"})
        await treli.post(f"/invoices/{second['id']}/pay", {"amount": "20000.00", "method": "cash"})
        await treli.post(f"/invoices/{second['id']}/void")
        # Another currency is no part of it, and neither is another customer.
        third = await treli.post("/invoices", {**item, "invoice_number": "3", "currency": "USD"})
        await treli.post(f"/invoices/{third['id']}/pay", {"amount": "1.00", "method": "cash"})
        await treli.post(f"/invoices/{third['id']}/void")
        other = await treli.post("/customers", {"email": "otra@example.com", "full_name": "Otra SAS"})
        await treli.post("/invoices", {**item, "customer": other["id"], "invoice_number": "4"})
        await world.drain()
        told = [verify(r, secret) for r in receiver.received]
        by_number = {
            (t["type"], t["data"]["invoice"]["invoice_number"]): t["data"]["customer"]["credit_balance"] for t in told
        }
        assert by_number == {
            ("invoice.created", "1"): "0.00",
            ("invoice.paid", "1"): "30000.00",
            ("invoice.created", "2"): "30000.00",
            ("invoice.voided", "2"): "50000.00",
            ("invoice.created", "3"): "50000.00",
            ("invoice.voided", "3"): "50000.00",
            ("invoice.created", "4"): "0.00",
        }
        assert (await treli.get(f"/customers/{customer['id']}"))["credit_balance"] == "50000.00"
        assert first["customer"] == customer["id"]
        # Rendered anew long afterwards, they are the same to the byte.
        feed = (await client.get("/recaudo/v1/events?dialect=treli&limit=100")).json["data"]
        again = {e["message"]["body"] for e in feed if e["message"] is not None}
        assert {r.body.decode() for r in receiver.received} <= again


async def test_credit_that_moves_at_once_is_told_in_turn(world: World, client: Client) -> None:
    treli = Treli(client)
    async with receiving() as receiver:
        secret = await listen(client, receiver, "invoice.voided")
        customer = await treli.post("/customers", {"email": "compras@example.com", "full_name": "Empresa SAS"})
        item = {"items": [{"name": "Matrícula", "unit_price": "100000.00"}], "customer": customer["id"]}
        made = [await treli.post("/invoices", {**item, "invoice_number": str(n)}) for n in range(5)]
        for invoice in made:
            await treli.post(f"/invoices/{invoice['id']}/pay", {"amount": "10000.00", "method": "cash"})
        await asyncio.gather(*(treli.post(f"/invoices/{invoice['id']}/void") for invoice in made))
        await world.drain()
        told = [verify(r, secret)["data"]["customer"]["credit_balance"] for r in receiver.received]
        assert sorted(told) == [f"{n}0000.00" for n in range(1, 6)]


def test_a_rotation_signs_with_both_secrets_the_old_one_last() -> None:
    now = datetime(2024, 11, 15, 16, 44, 50, tzinfo=UTC)
    message = Message(event_id=UUID(int=7), type="invoice.paid", subject_version=1, body=b"{}")
    endpoint = Endpoint(
        account_id=UUID(int=1),
        id=UUID(int=2),
        dialect="treli",
        name="ERP",
        description=None,
        url="https://erp.example.com",
        types=(),
        secret="new",
        token="",
        created_at=now,
        updated_at=now,
    )
    headers = dict(TreliWebhooks().headers(message, endpoint, ("new", "old"), 1731715808))
    new, old = (signature(secret, 1731715808, b"{}") for secret in ("new", "old"))
    assert headers["x-treli-signature"] == f"t=1731715808,v1={new},v1={old}"
    # A receiver that makes a dictionary of it goes on with the secret that it has.
    assert dict(part.split("=", 1) for part in headers["x-treli-signature"].split(","))["v1"] == old
