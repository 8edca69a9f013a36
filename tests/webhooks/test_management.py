"""Endpoints as their owner manages them: OnePay's /v1/webhooks, our own /recaudo/v1/webhooks, and where they lead."""

import base64
import json
import re
import socket
import string
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from recaudo.dialects.onepay.webhooks import TYPES
from recaudo.domain.delivering import ENDPOINTS_MAX
from recaudo.domain.events import EVENT_TYPES
from recaudo.edge import addresses
from recaudo.edge.addresses import UrlPolicy, is_public, literal
from tests.receiver import receiving
from tests.world import Answer, Client, World

URL = "https://erp.example.com/hooks"
WEBHOOK = {"name": "ERP", "url": URL, "events": ["invoice.paid", "payment.rejected"]}
MEMBERS = ["id", "name", "description", "url", "events", "secret", "header", "is_test", "created_at", "updated_at"]
WITHOUT_SECRET = [name for name in MEMBERS if name != "secret"]
OWN = {"dialect": "recaudo", "name": "Ledger", "url": URL, "types": ["invoice.paid"]}
UNKNOWN = "019a0227-e3c0-7000-8000-000000000001"


async def made(client: Client, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", {**WEBHOOK, **fields})
    assert answer.status == 201, answer.json
    return answer.json["data"]


def path_of(webhook: dict[str, Any]) -> str:
    return f"/v1/webhooks/{webhook['id']}"


def errors_of(answer: Answer, *, status: int = 422) -> dict[str, list[str]]:
    assert answer.status == status, answer.json
    return answer.json["errors"]


# --- Creating ---


async def test_a_webhook_has_the_members_of_the_specification_in_order(client: Client) -> None:
    answer = await client.post("/v1/webhooks", WEBHOOK)
    assert answer.status == 201
    assert list(answer.json) == ["data"]
    webhook = answer.json["data"]
    assert list(webhook) == MEMBERS
    assert {name: webhook[name] for name in WEBHOOK} == WEBHOOK
    assert (webhook["description"], webhook["is_test"]) == (None, True)
    assert webhook["created_at"] == webhook["updated_at"]
    for name, prefix in (("secret", "wh_tok_"), ("header", "wh_hdr_")):
        random = webhook[name].removeprefix(prefix)
        assert len(webhook[name]) == len(prefix) + 32
        assert set(random) <= set(string.ascii_letters + string.digits)


async def test_the_secret_is_shown_by_the_creation_and_its_repetition_and_never_again(client: Client) -> None:
    first = await client.post("/v1/webhooks", WEBHOOK, once="w-1")
    again = await client.post("/v1/webhooks", WEBHOOK, once="w-1")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    webhook = first.json["data"]
    for answer in (
        await client.get("/v1/webhooks"),
        await client.get(path_of(webhook)),
        await client.put(path_of(webhook), {"name": "Otro"}),
        await client.get("/recaudo/v1/webhooks"),
        await client.get(f"/recaudo/v1/webhooks/{webhook['id']}"),
    ):
        assert answer.status == 200, answer.json
        assert webhook["secret"].encode() not in answer.body
        assert b"wh_tok_" not in answer.body
        assert b"wh_hdr_" in answer.body


async def test_a_key_is_required_and_means_one_webhook(client: Client) -> None:
    missing = await client.call("POST", "/v1/webhooks", WEBHOOK)
    assert "x-idempotency" in errors_of(missing)
    await client.post("/v1/webhooks", WEBHOOK, once="w-1")
    other = await client.post("/v1/webhooks", {**WEBHOOK, "name": "Otro"}, once="w-1")
    assert (other.status, other.json["code_name"]) == (409, "idempotency_key_reused")
    wrong = await client.post("/v1/webhooks", {"name": ""}, once="w-1")
    assert (wrong.status, wrong.json["code_name"]) == (409, "idempotency_key_reused")
    assert (await client.get("/v1/webhooks")).json["total"] == 1


async def test_secrets_are_never_in_clear_in_the_database_or_the_log(world: World, client: Client) -> None:
    webhook = (await client.post("/v1/webhooks", WEBHOOK, once="w-1")).json["data"]
    rotated = (await client.post(f"{path_of(webhook)}/rotate", {"overlap_hours": 24}, once="r-1")).json["data"]
    own = (await client.post("/recaudo/v1/webhooks", OWN, once="w-2")).json
    words = [webhook["secret"], rotated["secret"], webhook["header"], own["secret"]]
    assert len(set(words)) == 4
    tables = await world.rows("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'")
    for table in tables:
        for row in await world.rows(f"SELECT to_jsonb(t)::text AS text FROM {table['name']} t"):
            for word in words:
                bare = word.rpartition("_")[2]
                assert bare not in row["text"], table["name"]
                # As bytes a column shows in hexadecimal.
                assert bare.encode().hex() not in row["text"], table["name"]
    log = (world.home / "server.log").read_text()
    assert not any(word in log for word in words)


async def test_repeated_events_are_merged_and_keep_their_order(client: Client) -> None:
    webhook = await made(client, events=["payment.rejected", "invoice.paid", " payment.rejected ", "invoice.paid"])
    assert webhook["events"] == ["payment.rejected", "invoice.paid"]


async def test_every_published_event_may_be_listed(client: Client) -> None:
    assert (await made(client, events=list(TYPES)))["events"] == list(TYPES)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("name", "", "name"),
        ("name", "x" * 256, "name"),
        ("name", None, "name"),
        ("name", 5, "name"),
        ("name", "a\x07b", "name"),
        ("description", "x" * 501, "description"),
        ("url", None, "url"),
        ("url", "erp.example.com/hooks", "url"),
        ("url", "ftp://erp.example.com/", "url"),
        ("url", "https://", "url"),
        ("url", "https://user:secret@erp.example.com/", "url"),
        ("url", "https://erp.example.com:0/", "url"),
        ("url", "https://erp.example.com:99999/", "url"),
        ("url", "https://[::1/", "url"),
        ("url", "https://erp.example.com/a b", "url"),
        ("url", "https://erp.example.com/\x00", "url"),
        ("url", "https://erp.example.com/" + "x" * 480, "url"),
        ("events", None, "events"),
        ("events", [], "events"),
        ("events", "invoice.paid", "events"),
        ("events", {"0": "invoice.paid"}, "events"),
        ("events", ["invoice.paid", "factura.pagada"], "events.1"),
        ("events", ["INVOICE.PAID"], "events.0"),
        ("events", [None], "events.0"),
        ("events", [["invoice.paid"]], "events.0"),
    ],
)
async def test_a_field_that_is_wrong_is_named(client: Client, field: str, value: Any, named: str) -> None:
    errors = errors_of(await client.post("/v1/webhooks", {**WEBHOOK, field: value}))
    assert list(errors) == [named]
    assert all(named in text for text in errors[named])


async def test_every_error_is_told_at_once_and_unknown_members_are_ignored_and_named(client: Client) -> None:
    errors = errors_of(await client.post("/v1/webhooks", {"events": ["x", "y"], "description": 5}))
    assert list(errors) == ["name", "description", "url", "events.0", "events.1"]
    answer = await client.post("/v1/webhooks?foo=1", {**WEBHOOK, "secret": "mine", "header": "mine"})
    assert answer.status == 201
    assert set(re.split(", ?", answer.headers["Recaudo-Ignored-Fields"])) == {"secret", "header", "foo"}
    assert "mine" not in answer.json["data"].values()


async def test_a_url_of_500_characters_is_taken_and_one_more_is_not(client: Client) -> None:
    url = "https://erp.example.com/".ljust(500, "x")
    assert (await made(client, url=url))["url"] == url
    assert "url" in errors_of(await client.post("/v1/webhooks", {**WEBHOOK, "url": url + "x"}))


async def test_only_test_accounts_may_use_http(world: World, client: Client) -> None:
    assert (await made(client, url="http://erp.example.com/"))["url"] == "http://erp.example.com/"
    live = await world.merchant(live=True)
    errors = errors_of(await live.post("/v1/webhooks", {**WEBHOOK, "url": "http://erp.example.com/"}))
    assert "https://" in errors["url"][0]
    own = await live.post("/recaudo/v1/webhooks", {**OWN, "url": "http://erp.example.com/"})
    assert (own.status, own.json["errors"][0]["field"]) == (422, "url")
    webhook = await made(live)
    assert webhook["is_test"] is False
    assert "url" in errors_of(await live.put(path_of(webhook), {"url": "http://erp.example.com/"}))


async def test_the_21st_webhook_is_refused_until_one_is_deleted(client: Client) -> None:
    webhooks = [await made(client, name=f"ERP {i}") for i in range(ENDPOINTS_MAX)]
    refused = await client.post("/v1/webhooks", WEBHOOK)
    assert (refused.status, refused.json["code_name"], refused.json["code"]) == (409, "webhook_limit", 40914)
    # Each dialect has its own, and each account.
    own = await client.post("/recaudo/v1/webhooks", OWN)
    assert own.status == 201, own.json
    refused = await client.post("/recaudo/v1/webhooks", {**OWN, "dialect": "onepay"})
    assert (refused.status, refused.json["code"]) == (409, "webhook_limit")
    assert (await client.delete(path_of(webhooks[3]))).status == 204
    assert (await client.post("/v1/webhooks", WEBHOOK)).status == 201


# --- Reading ---


async def test_the_list_has_pages_and_a_filter_and_only_webhooks_of_the_dialect(client: Client) -> None:
    first, second, third = [await made(client, name=name) for name in ("uno", "dos", "tres")]
    own = (await client.post("/recaudo/v1/webhooks", OWN)).json
    page = (await client.get("/v1/webhooks?per_page=2")).json
    assert [row["name"] for row in page["data"]] == ["tres", "dos"]
    assert (page["total"], page["last_page"]) == (3, 2)
    assert all(list(row) == WITHOUT_SECRET for row in page["data"])
    oldest = (await client.get("/v1/webhooks?sort=created_at&per_page=1")).json
    assert oldest["data"][0]["id"] == first["id"]
    chosen = (await client.get(f"/v1/webhooks?filter[id]={first['id'].upper()},{third['id']},{own['id']},nada")).json
    assert {row["id"] for row in chosen["data"]} == {first["id"], third["id"]}
    assert (await client.get("/v1/webhooks?filter[name]=uno")).status == 400
    assert (await client.get(f"/v1/webhooks/{own['id']}")).status == 404
    everything = (await client.get("/recaudo/v1/webhooks")).json
    assert [row["dialect"] for row in everything["data"]] == ["recaudo", "onepay", "onepay", "onepay"]
    assert everything["data"][2]["id"] == second["id"]


async def test_the_detail_has_the_newest_twenty_deliveries(world: World, client: Client) -> None:
    async with receiving() as receiver:
        webhook = await made(client, url=receiver.url, events=["invoice.created", "invoice.paid"])
        assert (await client.get(path_of(webhook))).json["data"]["deliveries"] == []
        for _ in range(21):
            await client.invoice()
        await world.drain()
        receiver.answer = lambda _: web.Response(status=503)
        last = await client.invoice()
        await world.drain()
        detail = (await client.get(path_of(webhook))).json["data"]
    assert list(detail) == [*WITHOUT_SECRET, "deliveries"]
    shown = detail["deliveries"]
    assert len(shown) == 20
    assert all(
        list(d) == ["id", "event_id", "type", "status", "tries", "http_status", "next_try_at", "created_at"]
        for d in shown
    )
    assert (shown[0]["status"], shown[0]["http_status"], shown[0]["created_at"]) == ("pending", 503, last["created_at"])
    assert shown[0]["next_try_at"] > shown[0]["created_at"]
    assert shown[0]["event_id"] == receiver.received[-1].event_id
    assert {(d["type"], d["status"], d["tries"], d["http_status"], d["next_try_at"]) for d in shown[1:]} == {
        ("invoice.created", "delivered", 1, 204, None)
    }
    assert [d["created_at"] for d in shown] == sorted((d["created_at"] for d in shown), reverse=True)


@pytest.mark.parametrize("name", [UNKNOWN, "nada", UNKNOWN.replace("-", "")])
async def test_what_does_not_exist_is_not_found(client: Client, name: str) -> None:
    one = f"/v1/webhooks/{name}"
    for answer in (
        await client.get(one),
        await client.put(one, {"name": 5}),
        await client.call("PATCH", one, {}),
        await client.delete(one),
        await client.post(f"{one}/test"),
        await client.post(f"{one}/rotate", {"overlap_hours": -1}),
    ):
        assert (answer.status, answer.json["message"]) == (404, "El webhook no existe.")


# --- Changing ---


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_takes_any_subset_and_leaves_the_rest(client: Client, method: str) -> None:
    webhook = await made(client, description="El de siempre")
    shown = {name: value for name, value in webhook.items() if name != "secret"}
    changes: list[dict[str, Any]] = [
        {},
        {"name": "Otro"},
        {"url": "https://otro.example.com/"},
        {"events": ["invoice.created"]},
        {"description": None},
        {"name": "Más", "events": ["invoice.paid", "invoice.paid"], "description": "Dos\nlíneas"},
    ]
    for change in changes:
        answer = await client.call(method, path_of(webhook), change)
        assert answer.status == 200, answer.json
        expected = {**change, **({"events": ["invoice.paid"]} if len(change.get("events", ())) == 2 else {})}
        now = answer.json["data"]
        assert list(now) == WITHOUT_SECRET
        shown |= expected
        assert {**now, "updated_at": None} == {**shown, "updated_at": None}
        assert now["updated_at"] > webhook["updated_at"]


async def test_a_change_that_is_wrong_changes_nothing(client: Client) -> None:
    webhook = await made(client)
    before = (await client.get(path_of(webhook))).body
    for field, value in (
        ("name", None),
        ("url", None),
        ("events", None),
        ("events", []),
        ("url", "nada"),
        ("name", ""),
    ):
        body = {"description": "no", field: value}
        assert list(errors_of(await client.put(path_of(webhook), body))) == [field]
    assert (await client.get(path_of(webhook))).body == before


async def test_a_change_counts_for_what_comes_next(world: World, client: Client) -> None:
    async with receiving() as receiver:
        webhook = await made(client, url=f"{receiver.url}/old", events=["invoice.created"])
        await client.invoice()
        await world.drain()
        await client.put(path_of(webhook), {"url": f"{receiver.url}/new", "events": ["payment.created"]})
        await client.invoice()
        await world.drain()
        assert [(r.path, r.type) for r in receiver.received] == [
            ("/old", "invoice.created"),
            ("/new", "payment.created"),
        ]


async def test_the_same_change_with_a_key_has_one_effect(client: Client) -> None:
    webhook = await made(client)
    first = await client.put(path_of(webhook), {"name": "Uno"}, once="c")
    await client.put(path_of(webhook), {"name": "Dos"})
    again = await client.put(path_of(webhook), {"name": "Uno"}, once="c")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await client.get(path_of(webhook))).json["data"]["name"] == "Dos"
    other = await client.put(path_of(webhook), {"name": 5}, once="c")
    assert (other.status, other.json["code_name"]) == (409, "idempotency_key_reused")


async def test_deleting_answers_204_and_then_404(client: Client) -> None:
    webhook = await made(client)
    first = await client.delete(path_of(webhook), once="d")
    assert (first.status, first.body) == (204, b"")
    assert (await client.delete(path_of(webhook), once="d")).status == 204
    assert (await client.delete(path_of(webhook))).status == 404
    assert (await client.get(path_of(webhook))).status == 404
    assert (await client.get("/v1/webhooks")).json["total"] == 0
    assert (await client.get("/recaudo/v1/webhooks")).json["data"] == []


# --- Rotating and trying out ---


async def test_a_rotation_shows_the_new_secret_and_leaves_the_token(client: Client) -> None:
    webhook = await made(client)
    rotated = await client.post(f"{path_of(webhook)}/rotate", {"overlap_hours": 168}, once="r")
    assert rotated.status == 200
    now = rotated.json["data"]
    assert list(now) == MEMBERS
    assert now["secret"] != webhook["secret"]
    assert now["header"] == webhook["header"]
    assert (await client.post(f"{path_of(webhook)}/rotate", {"overlap_hours": 168}, once="r")).body == rotated.body
    for body in (None, {}, {"overlap_hours": None}, {"overlap_hours": 0}, {"overlap_hours": 24.0}):
        answer = await client.call("POST", f"{path_of(webhook)}/rotate", body)
        assert answer.status == 200, answer.json


@pytest.mark.parametrize("hours", [-1, 169, 1.5, "24", True, [], 10**30])
async def test_an_overlap_out_of_range_is_refused_and_rotates_nothing(world: World, client: Client, hours: Any) -> None:
    webhook = await made(client)
    sealed = "SELECT secret FROM endpoint WHERE account_id = $1"
    before = await world.rows(sealed, client.account_id)
    answer = await client.post(f"{path_of(webhook)}/rotate", {"overlap_hours": hours})
    assert list(errors_of(answer)) == ["overlap_hours"]
    own = await client.post(f"/recaudo/v1/webhooks/{webhook['id']}/rotate", {"overlap_hours": hours})
    assert (own.status, own.json["errors"][0]["field"]) == (422, "overlap_hours")
    assert await world.rows(sealed, client.account_id) == before


@pytest.mark.parametrize("type_", ["invoice.paid", "payment.rejected", "webhook.failing", "charge.created"])
async def test_a_sample_is_of_the_first_type_and_about_nobody(world: World, client: Client, type_: str) -> None:
    async with receiving() as receiver:
        webhook = await made(client, url=receiver.url, events=[type_, "invoice.created"])
        answer = await client.post(f"{path_of(webhook)}/test", {"foo": 1})
        assert answer.status == 200
        assert answer.headers["Recaudo-Ignored-Fields"] == "foo"
        await world.drain()
        (received,) = receiver.received
        (delivery,) = (await client.get(path_of(webhook))).json["data"]["deliveries"]
        assert delivery["id"] == answer.json["data"]["delivery_id"]
        assert (delivery["type"], delivery["status"]) == (type_, "delivered")
    resource, event = list(received.json)
    assert (resource, event) == (type_.partition(".")[0], "event")
    assert UUID(received.json[resource]["id"]) == UUID(int=0)
    assert received.json["event"]["environment"] == "test"


# --- In our own words ---


async def test_an_endpoint_of_our_own_has_a_standard_secret_and_no_token(client: Client) -> None:
    answer = await client.post("/recaudo/v1/webhooks", {**OWN, "description": " La contabilidad "}, once="w")
    assert answer.status == 201
    endpoint = answer.json
    assert list(endpoint) == [
        *("id", "dialect", "name", "description", "url", "types", "secret"),
        *("is_test", "failing_since", "created_at", "updated_at"),
    ]
    assert endpoint["description"] == "La contabilidad"
    assert len(base64.b64decode(endpoint["secret"].removeprefix("whsec_"), validate=True)) == 32
    assert (await client.post("/recaudo/v1/webhooks", {**OWN, "description": " La contabilidad "}, once="w")).body == (
        answer.body
    )
    other = await client.post("/recaudo/v1/webhooks", OWN, once="w")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")


async def test_our_own_routes_manage_endpoints_of_every_dialect(client: Client) -> None:
    webhook = await made(client)
    one = f"/recaudo/v1/webhooks/{webhook['id']}"
    found = (await client.get(one)).json
    assert (found["dialect"], found["token"], found["types"]) == ("onepay", webhook["header"], webhook["events"])
    changed = await client.put(one, {"types": ["payment.created", "payment.created"], "name": "Otro"})
    assert (changed.json["types"], changed.json["name"]) == (["payment.created"], "Otro")
    wrong = await client.put(one, {"types": ["collection.opened"]})
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "types")
    rotated = (await client.post(f"{one}/rotate")).json
    assert rotated["secret"].startswith("wh_tok_")
    assert (await client.post(f"{one}/test")).status == 200
    assert (await client.delete(one)).status == 204
    assert (await client.get(path_of(webhook))).status == 404


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"dialect": "siigo"}, "dialect"),
        ({"dialect": None}, "dialect"),
        ({"dialect": ["recaudo"]}, "dialect"),
        ({"name": " "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"description": "x" * 501}, "description"),
        ({"url": "https://user@example.com/"}, "url"),
        ({"url": "https://[/"}, "url"),
        ({"url": "x" * 501}, "url"),
        ({"types": []}, "types"),
        ({"types": ["payment.created"]}, "types"),
        ({"types": [{}]}, "types"),
    ],
)
async def test_a_field_of_our_own_that_is_wrong_is_named(client: Client, fields: Any, named: str) -> None:
    answer = await client.post("/recaudo/v1/webhooks", {**OWN, **fields})
    assert (answer.status, [e["field"] for e in answer.json["errors"]]) == (422, [named])


async def test_both_schemes_of_authentication_open_our_own_routes(client: Client) -> None:
    basic = base64.b64encode(f"{client.key}:".encode()).decode()
    created = await client.post("/recaudo/v1/webhooks", {**OWN, "types": list(EVENT_TYPES)})
    answer = await client.get("/recaudo/v1/webhooks", headers={"Authorization": f"Basic {basic}"})
    assert [row["id"] for row in answer.json["data"]] == [created.json["id"]]


# --- Where endpoints may lead ---


PRIVATE = [
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "2130706433",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "3232235777",
    "169.254.169.254",
    "2852039166",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::10.0.0.1]",
    "[2002:a00:1::]",
    "[2001:db8::1]",
    "[fec0::1]",
    "127.0.0.1.",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",  # digits in circles
    "\U0001fbf127.0.0.1",  # a digit that Python's own IDNA does not know, and the HTTP client does
    "168.63.129.16",
    "192.0.0.192",
    "localhost",
]
PUBLIC = ["203.0.112.7", "8.8.8.8", "134744072", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "[64:ff9b::8.8.8.8]"]


@pytest.mark.parametrize("host", PRIVATE)
async def test_a_private_address_is_refused_in_every_spelling(host: str) -> None:
    assert not await UrlPolicy().allows_host(f"https://{host}/hooks")
    assert not await UrlPolicy().allows_host(f"https://{host}:8443/hooks")
    assert await UrlPolicy(allow_private=True).allows_host(f"https://{host}/hooks")


@pytest.mark.parametrize("host", PUBLIC)
async def test_a_public_address_is_allowed(host: str) -> None:
    assert await UrlPolicy().allows_host(f"https://{host}/hooks")


def test_a_name_is_no_literal_address() -> None:
    assert literal("erp.example.com") is None
    assert literal("10.0.0.1.example.com") is None
    assert literal("señor.example") is None
    assert literal("127.1") == "127.0.0.1"
    assert is_public("8.8.8.8")


@pytest.mark.parametrize(("found", "allowed"), [(["8.8.8.8"], True), (["8.8.8.8", "10.0.0.1"], False), ([], True)])
async def test_a_name_is_allowed_only_if_every_address_of_it_is_public(
    monkeypatch: pytest.MonkeyPatch, found: list[str], allowed: bool
) -> None:
    async def resolved(host: str, port: int) -> list[str]:
        assert (host, port) == ("erp.example.com", 8443)
        if not found:
            raise socket.gaierror
        return found

    monkeypatch.setattr(addresses, "resolve", resolved)
    assert await UrlPolicy().allows_host("https://erp.example.com:8443/") is allowed


@pytest.mark.parametrize(
    ("url", "is_test", "allow_http", "allowed"),
    [
        ("https://x/", False, False, True),
        ("http://x/", False, False, False),
        ("http://x/", True, False, True),
        ("http://x/", False, True, True),
        ("ftp://x/", True, True, False),
    ],
)
def test_http_is_for_test_accounts_or_where_it_is_allowed(
    url: str, is_test: bool, allow_http: bool, allowed: bool
) -> None:
    assert UrlPolicy(allow_http=allow_http).allows_scheme(url, is_test=is_test) is allowed


@pytest.fixture
async def guarded(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A server with the settings of production, which tells nobody anything."""
    made = World(database_url, tmp_path)
    made.allow_private_networks = False
    made.runs_worker = False
    await made.start()
    yield made
    await made.stop()


async def test_a_server_that_forbids_private_networks_says_so_with_422(guarded: World) -> None:
    client = await guarded.merchant()
    for host in ("127.1", "[::1]", "169.254.169.254", "localhost"):
        url = f"https://{host}/hooks"
        errors = errors_of(await client.post("/v1/webhooks", {**WEBHOOK, "url": url}))
        assert errors == {"url": ["La URL url no puede apuntar a una red privada o local."]}
        own = await client.post("/recaudo/v1/webhooks", {**OWN, "url": url})
        assert (own.status, own.json["errors"][0]["field"]) == (422, "url")
    webhook = await made(client, url="https://8.8.8.8/hooks")
    assert "url" in errors_of(await client.put(path_of(webhook), {"url": "https://10.0.0.1/"}))
    assert json.loads((await client.get(path_of(webhook))).body)["data"]["url"] == "https://8.8.8.8/hooks"
