"""From a change to a receiver: what is told, in which order, with which headers, and what becomes of it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.receiver import Received, Receiver, receiving
from tests.world import Client, World

ALL = ("invoice.created", "payment.created", "payment.approved", "invoice.paid", "invoice.deleted", "payment.deleted")
FIRST = ["invoice.created", "payment.created"]


async def listen(client: Client, receiver: Receiver, *types: str, path: str = "/hooks") -> dict[str, Any]:
    """Register a receiver for some types and return the endpoint with its secret."""
    body = {"name": "ERP", "url": receiver.url + path, "events": list(types or ALL)}
    answer = await client.post("/v1/webhooks", body)
    assert answer.status == 201, answer.json
    return answer.json["data"]


async def deliveries(client: Client, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    """The endpoint's deliveries as its owner sees them, newest first."""
    answer = await client.get(f"/v1/webhooks/{endpoint['id']}")
    assert answer.status == 200, answer.json
    return answer.json["data"]["deliveries"]


async def history(client: Client, delivery_id: str) -> dict[str, Any]:
    answer = await client.get(f"/recaudo/v1/deliveries/{delivery_id}")
    assert answer.status == 200, answer.json
    return answer.json


def status(code: int, **headers: str) -> Any:
    """Answer every request with this status."""
    return lambda _: web.Response(status=code, headers=headers)


def verify(received: Received, endpoint: dict[str, Any]) -> None:
    """All of the headers of 14.1, as a receiver checks them."""
    secret = endpoint["secret"]
    hexed = hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
    headers = received.headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["user-agent"] == "Recaudo-Webhook/1"
    assert headers["x-webhook-token"] == endpoint["header"]
    assert headers["x-signature"] == headers["signature"] == hexed
    assert received.json["event"]["type"] == headers["x-webhook-event"]
    assert received.json["event"]["id"] == headers["webhook-id"]
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    Webhook("whsec_" + base64.b64encode(secret.encode()).decode()).verify(received.body, headers)


# --- What is told ---


async def test_a_paid_invoice_is_told_in_the_order_in_which_it_happened(world: World, client: Client) -> None:
    async with receiving() as receiver:
        endpoint = await listen(client, receiver)
        invoice = await client.invoice(metadata={"10": "diez", "2": "dos", "nota": "Año «ñ» / €"})
        await client.pay(invoice["payment_id"])
        await world.drain()
        assert receiver.types == ["invoice.created", "payment.created", "payment.approved", "invoice.paid"]
        for received in receiver.received:
            verify(received, endpoint)
        versions = [r.version for r in receiver.received]
        assert versions == sorted(versions)
        assert versions[0] == versions[1] < versions[2] == versions[3]
        paid = receiver.received[-1].json
        now = (await client.get(f"/v1/invoices/{invoice['id']}")).json
        assert paid["invoice"] == now
        assert list(paid) == ["invoice", "event"]
        assert list(paid["event"]) == ["id", "type", "timestamp", "environment"]
        assert paid["event"]["environment"] == "test"
        assert b'"metadata":{"2":"dos","10":"diez","nota":"A\xc3\xb1o \xc2\xab\xc3\xb1\xc2\xbb / \xe2\x82\xac"}' in (
            receiver.received[-1].body
        )
        approved = receiver.received[-2].json["payment"]
        assert approved == (await client.get(f"/v1/payments/{invoice['payment_id']}")).json
        assert approved["invoice_id"] == invoice["id"]


async def test_an_endpoint_is_told_only_what_it_lists_and_only_of_its_account(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.paid", "charge.paid", "invoice.paid")
        neighbour = await world.merchant()
        theirs = await neighbour.invoice()
        await neighbour.pay(theirs["payment_id"])
        ours = await client.invoice()
        await client.pay(ours["payment_id"])
        await world.drain()
        assert receiver.types == ["invoice.paid"]
        assert receiver.received[0].json["invoice"]["id"] == ours["id"]


async def test_an_account_without_endpoints_has_no_deliveries(world: World, client: Client) -> None:
    invoice = await client.invoice()
    await client.pay(invoice["payment_id"])
    assert await world.rows("SELECT 1 FROM delivery WHERE account_id = $1", client.account_id) == []


async def test_a_rejected_payment_tells_why(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver, "payment.rejected")
        invoice = await client.invoice()
        await client.pay(invoice["payment_id"], outcome="decline")
        await world.drain()
        payment = receiver.received[0].json["payment"]
        assert payment["status"] == "pending"
        intents = (await client.get(f"/v1/payments/{invoice['payment_id']}/intents")).json
        assert payment["remarks"] == intents[0]["remarks"]
        assert list(payment)[-3:] == ["remarks", "invoice_id", "reference"]


async def test_a_change_of_the_amount_tells_of_both_payments_as_they_were(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver, "payment.created", "payment.deleted", "invoice.updated")
        invoice = await client.invoice()
        changed = (await client.put(f"/v1/invoices/{invoice['id']}", {"amount": 60000})).json
        await world.drain()
        told = [(r.type, r.json[r.type.split(".")[0]]) for r in receiver.received]
        assert [type_ for type_, _ in told] == [
            "payment.created",
            "payment.deleted",
            "payment.created",
            "invoice.updated",
        ]
        assert [(p["id"], p["status"], p["amount"]) for type_, p in told if type_.startswith("payment")] == [
            (invoice["payment_id"], "pending", 50000),
            (invoice["payment_id"], "cancelled", 50000),
            (changed["payment_id"], "pending", 60000),
        ]


async def test_a_payment_without_an_invoice_tells_of_no_invoice(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver)
        made = (
            await client.post("/v1/payments", {"title": "Matrícula", "amount": 30000, "phone": "+573167591030"})
        ).json
        await client.pay(made["id"])
        await world.drain()
        assert receiver.types == ["payment.created", "payment.approved"]
        assert "invoice_id" not in receiver.received[-1].json["payment"]


async def test_a_change_that_is_refused_tells_nothing(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver)
        invoice = await client.invoice()
        await client.pay(invoice["payment_id"])
        await world.drain()
        receiver.received.clear()
        assert (await client.put(f"/v1/invoices/{invoice['id']}", {"amount": 90000})).status == 409
        assert (await client.delete(f"/v1/payments/{invoice['payment_id']}")).status == 409
        await world.drain()
        assert receiver.received == []


async def test_a_repeated_request_tells_nothing_twice(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver)
        body = {"reference": "1", "provider": "p", "amount": 50000, "name": "Internet", "phone": "+573167591030"}
        await asyncio.gather(*(client.post("/v1/invoices", body, once="the-same") for _ in range(8)))
        await world.drain()
        assert receiver.types == FIRST


# --- Tries ---


async def test_what_fails_is_tried_again_by_the_schedule_with_the_same_bytes(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = status(500)
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        waits = [5, 30, 120, 600, 1800, 7200, 18000, 36000, 36000]
        for wait in waits:
            await world.drain()
            tried = len(receiver.received)
            await client.advance_clock(seconds=wait - 3)
            await world.drain()
            assert len(receiver.received) == tried, f"not before {wait} s are over"
            # A tenth of jitter, and a moment for the machine.
            await client.advance_clock(seconds=wait // 10 + 5)
        await world.drain()
        assert len(receiver.received) == len(waits) + 1
        assert len({r.body for r in receiver.received}) == 1
        assert len({r.event_id for r in receiver.received}) == 1
        for received in receiver.received:
            verify(received, endpoint)
        (delivery,) = await deliveries(client, endpoint)
        assert (delivery["status"], delivery["tries"], delivery["http_status"]) == ("pending", 10, 500)


async def test_after_three_days_a_delivery_is_dead_and_can_be_replayed(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = status(404)
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        for _ in range(20):
            await world.drain()
            await client.advance_clock(hours=11)
        (delivery,) = await deliveries(client, endpoint)
        assert (delivery["status"], delivery["next_try_at"]) == ("failed", None)
        dead = (await client.get("/recaudo/v1/deliveries?state=failed")).json["data"]
        assert [d["id"] for d in dead] == [delivery["id"]]
        detail = await history(client, delivery["id"])
        assert len(detail["history"]) == detail["tries"] == delivery["tries"] >= 8
        assert {t["status"] for t in detail["history"]} == {404}
        assert (await client.get(f"/v1/webhooks/{endpoint['id']}")).status == 200, "nobody deletes an endpoint"
        receiver.answer = status(200)
        receiver.received.clear()
        asked = await client.post("/recaudo/v1/events/replay", {"only_failed": True})
        assert asked.status == 202, asked.json
        await world.drain()
        assert receiver.types == ["invoice.created"]
        assert (await client.get(f"/recaudo/v1/events/replay/{asked.json['id']}")).json["queued"] == 1


async def test_retry_after_is_honoured_up_to_ten_hours(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = status(503, **{"Retry-After": "600"})
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        (delivery,) = await deliveries(client, endpoint)
        wait = datetime.fromisoformat(delivery["next_try_at"]) - datetime.now(UTC)
        assert timedelta(seconds=580) < wait <= timedelta(seconds=601)
        await client.advance_clock(seconds=601)
        receiver.answer = status(503, **{"Retry-After": "9999999"})
        await world.drain()
        (delivery,) = await deliveries(client, endpoint)
        wait = datetime.fromisoformat(delivery["next_try_at"]) - datetime.now(UTC)
        assert timedelta(hours=9, minutes=59) < wait <= timedelta(hours=10, seconds=1)


async def test_a_delivery_tells_every_try_and_what_was_answered(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _: web.Response(status=500, text="no existe la tabla \x00 facturas " + "x" * 5000)
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        receiver.answer = lambda _: web.Response(status=201, text="gracias")
        await client.advance_clock(seconds=10)
        await world.drain()
        (shown,) = await deliveries(client, endpoint)
        detail = await history(client, shown["id"])
        assert (detail["state"], detail["tries"], detail["http_status"], detail["last_error"]) == (
            "delivered",
            2,
            201,
            None,
        )
        first, second = detail["history"]
        assert (first["status"], first["error"], second["status"]) == (500, "HTTP 500", 201)
        assert first["answer"].startswith("no existe la tabla \N{REPLACEMENT CHARACTER} facturas")
        assert len(first["answer"]) == 1024
        assert second["answer"] == "gracias"
        assert all(t["latency_ms"] >= 0 and t["at"] for t in detail["history"])


# --- Receivers that misbehave ---


async def hang(_: Received) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def test_redirects_are_not_followed(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = status(302, Location=f"{receiver.url}/elsewhere")
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        assert [r.path for r in receiver.received] == ["/hooks"]
        (delivery,) = await deliveries(client, endpoint)
        assert "redirects are not followed" in (await history(client, delivery["id"]))["last_error"]


async def test_an_answer_of_a_gigabyte_is_not_read(world: World, client: Client) -> None:
    sent = 0

    async def endless(_: Received) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=200)
        await response.prepare(request_of[0])
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65536)
                sent += 65536
        return response

    request_of: list[web.Request] = []
    async with receiving(request_of) as receiver:
        receiver.answer = endless
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await receiver.wait_for(1)
        await world.drain()
        (delivery,) = await deliveries(client, endpoint)
        assert (delivery["status"], delivery["http_status"]) == ("delivered", 200)
        assert sent < 64 * 1024 * 1024
        (detail,) = (await history(client, delivery["id"]))["history"]
        assert len(detail["answer"]) == 1024


async def test_an_answer_that_comes_byte_by_byte_counts_by_its_status(world: World, client: Client) -> None:
    async def dribble(_: Received) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(request_of[0])
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.2)
        return response

    request_of: list[web.Request] = []
    async with receiving(request_of) as receiver:
        receiver.answer = dribble
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await receiver.wait_for(1)
        await world.drain()
        (delivery,) = await deliveries(client, endpoint)
        assert delivery["status"] == "delivered"


async def test_silence_is_given_up_after_ten_seconds_and_others_do_not_wait(world: World, client: Client) -> None:
    async with receiving() as silent, receiving() as lively:
        silent.answer = hang
        slow = await listen(client, silent, "invoice.created")
        await listen(client, lively, "invoice.created")
        started = asyncio.get_running_loop().time()
        for number in range(30):
            await client.invoice(provider_id=f"f-{number}")
        await lively.wait_for(30, timeout_s=8)
        assert asyncio.get_running_loop().time() - started < 8, "the lively one waited for the silent one"
        errors: set[str] = set()
        async with asyncio.timeout(20):
            while not errors:
                await asyncio.sleep(0.3)
                shown = [await history(client, d["id"]) for d in await deliveries(client, slow)]
                errors = {d["last_error"] for d in shown if d["history"]}
        assert errors == {"no answer within 10 s"}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/", "no connection"),
        ("https://127.0.0.1:{port}/", "TLS"),
        ("http://no-such-host.invalid/", "no connection"),
    ],
)
async def test_what_cannot_be_reached_says_why(world: World, client: Client, url: str, reason: str) -> None:
    async with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        body = {"name": "ERP", "url": url.format(port=port), "events": ["invoice.created"]}
        endpoint = (await client.post("/v1/webhooks", body)).json["data"]
        await client.invoice()
        await world.drain()
        (delivery,) = await deliveries(client, endpoint)
        detail = await history(client, delivery["id"])
        assert reason in detail["last_error"]
        assert detail["history"][0]["status"] is None


async def test_a_connection_that_is_reset_is_tried_again(world: World, client: Client) -> None:
    async def abort(_: Received) -> web.StreamResponse:
        transport = request_of[0].transport
        assert transport is not None
        transport.abort()
        return web.Response()

    request_of: list[web.Request] = []
    async with receiving(request_of) as receiver:
        receiver.answer = abort
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        (delivery,) = await deliveries(client, endpoint)
        assert (await history(client, delivery["id"]))[
            "last_error"
        ] == "the connection was closed before an answer came"
        receiver.answer = status(200)
        await client.advance_clock(seconds=10)
        await world.drain()
        assert [d["status"] for d in await deliveries(client, endpoint)] == ["delivered"]


# --- Order ---


async def test_a_bad_event_holds_back_only_its_own_invoice_and_only_for_an_hour(world: World, client: Client) -> None:
    async with receiving() as receiver:
        bad = await client.invoice(name="La mala")
        receiver.answer = lambda r: web.Response(
            status=500 if r.type == "payment.approved" and r.json["payment"]["invoice_id"] == bad["id"] else 200
        )
        await listen(client, receiver, "payment.approved", "invoice.paid")
        good = await client.invoice(name="La buena", provider_id="b")
        await client.pay(bad["payment_id"])
        await client.pay(good["payment_id"])
        await world.drain()
        told = [
            (r.type, next(iter(r.json.values())).get("invoice_id", next(iter(r.json.values()))["id"]))
            for r in receiver.received
        ]
        assert ("invoice.paid", good["id"]) in told
        assert ("invoice.paid", bad["id"]) not in told
        for _ in range(4):
            await client.advance_clock(seconds=700)
            await world.drain()
        assert [r.type for r in receiver.received if r.json.get("invoice", {}).get("id") == bad["id"]] == []
        await client.advance_clock(seconds=1000)
        await world.drain()
        assert [r.type for r in receiver.received if r.json.get("invoice", {}).get("id") == bad["id"]] == [
            "invoice.paid"
        ]


async def test_what_waited_follows_as_soon_as_the_earlier_one_gets_through(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = status(500)
        endpoint = await listen(client, receiver)
        invoice = await client.invoice()
        await world.drain()
        await client.pay(invoice["payment_id"])
        await world.drain()
        assert receiver.types == ["invoice.created"]
        receiver.answer = status(204)
        await client.advance_clock(seconds=10)
        await world.drain()
        assert receiver.types[1:] == ["invoice.created", "payment.created", "payment.approved", "invoice.paid"]
        assert {d["status"] for d in await deliveries(client, endpoint)} == {"delivered"}


# --- Rotation and endpoints that fail ---


async def test_both_secrets_sign_while_they_overlap(world: World, client: Client) -> None:
    async with receiving() as receiver:
        old = await listen(client, receiver, "invoice.created")
        answer = await client.post(f"/v1/webhooks/{old['id']}/rotate", {"overlap_hours": 2})
        new = answer.json["data"]
        assert new["secret"] != old["secret"]
        await client.invoice()
        await world.drain()
        (received,) = receiver.received
        verify(received, old)
        assert len(received.headers["webhook-signature"].split(" ")) == 2
        Webhook("whsec_" + base64.b64encode(new["secret"].encode()).decode()).verify(received.body, received.headers)
        await client.advance_clock(hours=3)
        await client.invoice(provider_id="2")
        await world.drain()
        verify(receiver.received[-1], new)
        assert len(receiver.received[-1].headers["webhook-signature"].split(" ")) == 1


async def test_others_are_told_once_when_an_endpoint_fails_for_an_hour(world: World, client: Client) -> None:
    async with receiving() as bad, receiving() as good:
        bad.answer = status(500)
        failing = await listen(client, bad, "invoice.created", "webhook.failing")
        await listen(client, good, "webhook.failing")
        for number in range(3):
            await client.invoice(provider_id=f"f-{number}")
        for _ in range(12):
            await world.drain()
            await client.advance_clock(seconds=700)
        assert good.types == ["webhook.failing"]
        told = good.received[0].json["webhook"]
        assert (told["id"], told["name"], told["url"]) == (failing["id"], "ERP", failing["url"])
        assert told["last_error"] == "HTTP 500"
        assert list(told) == ["id", "name", "url", "failing_since", "last_error"]
        assert "webhook.failing" not in bad.types
        assert (await client.get(f"/recaudo/v1/webhooks/{failing['id']}")).json["failing_since"] is not None
        # It recovers, and fails again: another period, another word.
        bad.answer = status(200)
        await client.advance_clock(hours=11)
        await world.drain()
        assert (await client.get(f"/recaudo/v1/webhooks/{failing['id']}")).json["failing_since"] is None
        bad.answer = status(500)
        await client.invoice(provider_id="again")
        for _ in range(8):
            await world.drain()
            await client.advance_clock(seconds=900)
        assert good.types == ["webhook.failing"] * 2
        assert [r.version for r in good.received] == [1, 2]


async def test_what_waits_for_a_deleted_endpoint_is_dropped(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = status(500)
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        assert (await client.delete(f"/v1/webhooks/{endpoint['id']}")).status == 204
        await client.advance_clock(hours=1)
        await world.drain()
        assert len(receiver.received) == 1
        (dropped,) = (await client.get("/recaudo/v1/deliveries")).json["data"]
        assert (dropped["state"], dropped["next_try_at"]) == ("dropped", None)


async def test_a_sample_is_about_nobody_and_is_in_no_feed(world: World, client: Client) -> None:
    async with receiving() as receiver:
        for type_ in ("payment.approved", "webhook.failing", "charge.paid"):
            endpoint = await listen(client, receiver, type_)
            answer = await client.post(f"/v1/webhooks/{endpoint['id']}/test", once=None)
            assert answer.status == 200, answer.json
            await world.drain()
            received = receiver.received[-1]
            verify(received, endpoint)
            assert received.type == type_
            assert next(iter(received.json.values()))["id"] == "00000000-0000-0000-0000-000000000000"
            (delivery,) = await deliveries(client, endpoint)
            assert (delivery["id"], delivery["status"]) == (answer.json["data"]["delivery_id"], "delivered")
        assert (await client.get("/recaudo/v1/events")).json["data"] == []


async def test_our_own_dialect_tells_the_feed_event_and_standard_webhooks_accepts_it(
    world: World, client: Client
) -> None:
    async with receiving() as receiver:
        body = {
            "dialect": "recaudo",
            "name": "Own",
            "url": receiver.url,
            "types": ["invoice.paid", "attempt.succeeded"],
        }
        endpoint = (await client.post("/recaudo/v1/webhooks", body)).json
        invoice = await client.invoice()
        await client.pay(invoice["payment_id"])
        await world.drain()
        feed = (await client.get("/recaudo/v1/events?type=invoice.paid,attempt.succeeded")).json["data"]
        assert [json.loads(r.body) for r in receiver.received] == feed
        for received in receiver.received:
            Webhook(endpoint["secret"]).verify(received.body, received.headers)


async def test_a_secret_that_cannot_be_opened_fails_its_own_endpoint_only(world: World, client: Client) -> None:
    async with receiving() as lost, receiving() as good:
        broken = await listen(client, lost, "invoice.created")
        await listen(client, good, "invoice.created")
        await world.execute("UPDATE endpoint SET secret = token WHERE id = $1", UUID(broken["id"]))
        await world.execute(
            "UPDATE endpoint SET secret = set_byte(secret, 20, 255 - get_byte(secret, 20)) WHERE id = $1",
            UUID(broken["id"]),
        )
        await client.invoice()
        await world.drain()
        assert good.types == ["invoice.created"]
        assert lost.received == []
        (dead,) = (await client.get(f"/recaudo/v1/deliveries?endpoint={broken['id']}")).json["data"]
        assert "RECAUDO_SECRET_KEY" in dead["last_error"]
        assert dead["next_try_at"] is not None
        # Servers of other tests would refuse to start beside it.
        await world.execute("UPDATE endpoint SET deleted_at = now() WHERE id = $1", UUID(broken["id"]))
        await world.execute("UPDATE delivery SET state = 'dropped', due_at = NULL WHERE id = $1", UUID(dead["id"]))
