"""Setting gateways up over the API: what is accepted, what is refused and why, and that no secret comes back."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from recaudo.store.gateways import digest
from tests.dialects.recaudo.shop import Shop
from tests.fakes import Scenario


def fields(answer: Any) -> dict[str, str]:
    """What is wrong, by field."""
    return {error["field"]: error["message"] for error in answer["errors"]}


# --- Setting up ---


async def test_the_kinds_say_what_to_copy_and_what_they_can_do(shop: Shop) -> None:
    told = await shop.ok("GET", "/gateways/kinds")
    kinds = {kind["kind"]: kind for kind in told["data"]}
    assert set(kinds) == {"wompi", "mercadopago"}
    wompi = kinds["wompi"]
    assert wompi["title"] == "Wompi"
    assert [c["name"] for c in wompi["credentials"]] == [
        "public_key", "private_key", "events_secret", "integrity_secret",
    ]  # fmt: skip
    assert [c["is_secret"] for c in wompi["credentials"]] == [False, True, True, True]
    assert "pub_test_" in wompi["credentials"][0]["hint"]
    assert (wompi["currencies"], wompi["refunds"], wompi["lists"]) == (["COP"], "void", True)
    assert {"id": "card", "kind": "cards"}.items() <= next(m for m in wompi["methods"] if m["id"] == "card").items()
    assert kinds["mercadopago"]["refunds"] == "partial"


async def test_a_gateway_is_set_up_shown_without_its_secrets_and_listed_in_order(shop: Shop) -> None:
    second = await shop.set_up("wompi", position=2)
    first = await shop.set_up("mercadopago", position=1, enabled=False)
    listed = await shop.ok("GET", "/gateways")
    assert [row["id"] for row in listed["data"]] == [first["id"], second["id"]]
    assert (listed["has_more"], listed["next_cursor"]) == (False, None)
    assert await shop.ok("GET", f"/gateways/{second['id']}") == second
    assert (first["enabled"], second["enabled"], second["is_test"]) == (False, True, True)
    assert second["verified_at"] is second["last_problem"] is second["compared_until"] is None
    shown = second["credentials"]
    assert shown["public_key"]["shown"].startswith("…")
    assert len(shown["public_key"]["shown"]) == 5
    for name in ("private_key", "events_secret", "integrity_secret"):
        assert shown[name] == {"set": True, "shown": "…"}


async def test_the_notice_address_is_where_the_vendor_reaches_this_gateway(shop: Shop) -> None:
    made = await shop.set_up()
    base, _, key = made["notice_url"].rpartition("/notices/")
    assert base == shop.world.base_url
    (row,) = await shop.world.rows("SELECT id FROM gateway WHERE notice_digest = $1", digest(key))
    assert str(row["id"]) == made["id"]
    async with shop.world.session.get(made["notice_url"]) as answer:
        assert answer.status == 200


async def test_an_account_has_one_gateway_of_each_kind(shop: Shop) -> None:
    await shop.set_up()
    body = {"kind": "wompi", "credentials": shop.wompi_keys()}
    refused = await shop.refused("POST", "/gateways", body, status=409, code="gateway_kind_taken")
    assert "change that one" in refused["message"]


async def test_the_same_request_at_the_same_time_makes_one(shop: Shop) -> None:
    body = {"kind": "wompi", "credentials": shop.wompi_keys()}
    answers = await asyncio.gather(*(shop.call("POST", "/gateways", body) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]


# --- What cannot work ---


def without(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda keys: {n: text for n, text in keys.items() if n != name}


def with_(**more: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda keys: keys | more


UNUSABLE = [
    (without("private_key"), {"credentials.private_key": "prv_test_"}),
    (without("events_secret"), {"credentials.events_secret": "test_events_"}),
    (with_(public_key="pub_prod_0123456789abcdef"), {"credentials.public_key": "production"}),
    (with_(events_secret="prod_events_0123456789ab"), {"credentials.events_secret": "production"}),
    (with_(private_key="pub_test_0123456789abcdef"), {"credentials.private_key": "prv_test_"}),
    (
        with_(private_key="nonsense-1234567890", integrity_secret="more-nonsense-12345"),
        {"credentials.private_key": "prv_test_", "credentials.integrity_secret": "test_integrity_"},
    ),
]


@pytest.mark.parametrize(("change", "expected"), UNUSABLE)
async def test_credentials_that_cannot_work_are_named_all_at_once(
    shop: Shop, change: Callable[[dict[str, str]], dict[str, str]], expected: dict[str, str]
) -> None:
    credentials = shop.remember(**change(shop.wompi_keys()))
    body = {"kind": "wompi", "credentials": credentials}
    found = fields(await shop.refused("POST", "/gateways", body, status=422, code="validation_error"))
    assert set(found) == set(expected)
    for name, part in expected.items():
        assert part in found[name]
    assert (await shop.ok("GET", "/gateways"))["data"] == []


async def test_live_keys_are_refused_on_a_test_account_and_test_keys_on_a_live_one(shop: Shop) -> None:
    body = {"kind": "wompi", "credentials": shop.wompi_keys(live=True)}
    found = fields(await shop.refused("POST", "/gateways", body, status=422, code="validation_error"))
    assert len(found) == 4
    assert all("production" in text for text in found.values())
    live = Shop(shop.world, shop.fakes, await shop.world.merchant(live=True))
    for kind, keys in (("wompi", shop.wompi_keys()), ("mercadopago", shop.mercadopago_keys())):
        body = {"kind": kind, "credentials": keys}
        assert fields(await live.refused("POST", "/gateways", body, status=422, code="validation_error"))
    made = await live.ok("POST", "/gateways", {"kind": "wompi", "credentials": shop.wompi_keys(live=True)}, status=201)
    assert made["is_test"] is False
    shop.told += live.told


BAD_BODIES: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "paypal", "credentials": {}}, "kind", "mercadopago, wompi"),
    ({"kind": "sandbox", "credentials": {}}, "kind", "mercadopago, wompi"),
    ({"credentials": {}}, "kind", "text"),
    ({"kind": "wompi"}, "credentials", "object"),
    ({"kind": "wompi", "credentials": ["x"]}, "credentials", "object"),
    ({"kind": "wompi", "credentials": {"publickey": "x"}}, "credentials", "public_key, private_key"),
    ({"kind": "wompi", "credentials": {"public_key": 5}}, "credentials.public_key", "text"),
    ({"kind": "wompi", "credentials": {"public_key": "x" * 1001}}, "credentials.public_key", "1000"),
    ({"kind": "wompi", "credentials": {"public_key": "a\u0000b"}}, "credentials.public_key", "text"),
    ({"kind": "wompi", "credentials": {}, "position": -1}, "position", "0 to 1000"),
    ({"kind": "wompi", "credentials": {}, "position": True}, "position", "0 to 1000"),
    ({"kind": "wompi", "credentials": {}, "enabled": "no"}, "enabled", "true or false"),
    ({"kind": "wompi", "credentials": {}, "methods": []}, "methods", "1 to 50"),
    ({"kind": "wompi", "credentials": {}, "methods": ["card"]}, "methods[0]", "object"),
    ({"kind": "wompi", "credentials": {}, "methods": [{"id": ""}]}, "methods[0].id", "text"),
    ({"kind": "wompi", "credentials": {}, "methods": [{"id": "card", "min": 1}]}, "methods[0].min", "no such member"),
    ({"kind": "wompi", "credentials": {}, "methods": [{"id": "card"}, {"id": "card"}]}, "methods", "twice"),
    (
        {"kind": "wompi", "credentials": {}, "methods": [{"id": "card", "min_amount_minor": 0}]},
        "methods[0].min_amount_minor",
        "above 0",
    ),
    (
        {"kind": "wompi", "credentials": {}, "methods": [{"id": "card", "min_amount_minor": 2, "max_amount_minor": 1}]},
        "methods[0].max_amount_minor",
        "below",
    ),
    ({"kind": "wompi", "credential": {}}, "credential", "no such member"),
]


@pytest.mark.parametrize(("body", "field", "part"), BAD_BODIES)
async def test_a_body_that_cannot_be_used_is_refused_by_its_field(
    shop: Shop, body: dict[str, Any], field: str, part: str
) -> None:
    found = fields(await shop.refused("POST", "/gateways", body, status=422, code="validation_error"))
    assert list(found) == [field]
    assert part in found[field]


async def test_a_method_that_the_gateway_does_not_offer_is_refused_with_those_it_does(shop: Shop) -> None:
    body = {"kind": "wompi", "credentials": shop.wompi_keys(), "methods": [{"id": "breb"}]}
    found = fields(await shop.refused("POST", "/gateways", body, status=422, code="validation_error"))
    assert "pse" in found["methods"]


# --- Changing ---


async def test_credentials_that_are_named_are_replaced_and_the_others_stay(shop: Shop) -> None:
    made = await shop.set_up()
    one = f"/gateways/{made['id']}"
    assert (await shop.ok("POST", f"{one}/verify"))["ok"] is True
    assert (await shop.ok("GET", one))["verified_at"] is not None
    changed = await shop.ok("PATCH", one, {"credentials": shop.remember(private_key="prv_test_nobodys0123456")})
    assert changed["credentials"] == made["credentials"]
    assert changed["notice_url"] == made["notice_url"]
    # What was tried was another key.
    assert changed["verified_at"] is None
    assert (await shop.ok("POST", f"{one}/verify"))["ok"] is False


async def test_what_is_not_sent_stays(shop: Shop) -> None:
    limits = {"id": "card", "min_amount_minor": 500_000, "max_amount_minor": 20_000_000}
    made = await shop.set_up(position=4, methods=[limits, {"id": "pse"}])
    one = f"/gateways/{made['id']}"
    assert made["methods"] == [limits, {"id": "pse", "min_amount_minor": None, "max_amount_minor": None}]
    off = await shop.ok("PATCH", one, {"enabled": False})
    assert off | {"enabled": True, "updated_at": made["updated_at"]} == made
    assert (await shop.ok("PATCH", one, {"methods": None}))["methods"] is None
    assert (await shop.ok("PATCH", one, {"position": 0}))["position"] == 0
    assert (await shop.ok("PATCH", one, {}))["enabled"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "mercadopago"}, "kind"),
        ({"credentials": {"private_key": ""}}, "credentials.private_key"),
        ({"credentials": {"public_key": "pub_prod_0123456789abcdef"}}, "credentials.public_key"),
        ({"credentials": {"access_token": "x"}}, "credentials"),
        ({"methods": [{"id": "breb"}]}, "methods"),
        ({"notice_url": "https://example.com"}, "notice_url"),
    ],
)
async def test_a_change_that_cannot_work_changes_nothing(shop: Shop, body: dict[str, Any], field: str) -> None:
    made = await shop.set_up()
    one = f"/gateways/{made['id']}"
    found = fields(await shop.refused("PATCH", one, body, status=422, code="validation_error"))
    assert list(found) == [field]
    assert await shop.ok("GET", one) == made


# --- Trying ---


async def test_verifying_tells_whose_credentials_they_are(shop: Shop) -> None:
    for kind in ("wompi", "mercadopago"):
        made = await shop.set_up(kind)
        verdict = await shop.ok("POST", f"/gateways/{made['id']}/verify")
        assert verdict["ok"] is True, verdict
        assert verdict["problem"] is None
        assert verdict["merchant_name"]


async def test_credentials_that_the_vendor_does_not_know_are_told_and_kept_as_a_problem(shop: Shop) -> None:
    keys = shop.wompi_keys() | shop.remember(public_key="pub_test_nobody12345", private_key="prv_test_nobody12345")
    made = await shop.ok("POST", "/gateways", {"kind": "wompi", "credentials": keys}, status=201)
    verdict = await shop.ok("POST", f"/gateways/{made['id']}/verify")
    assert verdict["ok"] is False
    assert "public key" in verdict["problem"]
    shown = await shop.ok("GET", f"/gateways/{made['id']}")
    assert (shown["last_problem"], shown["verified_at"]) == (verdict["problem"], None)
    assert shown["last_problem_at"] is not None


async def test_a_vendor_that_is_down_is_a_problem_and_not_a_fault(shop: Shop) -> None:
    made = await shop.set_up()
    shop.fakes.wompi.scenarios.set(None, Scenario(http_500=5))
    try:
        verdict = await shop.ok("POST", f"/gateways/{made['id']}/verify")
    finally:
        shop.fakes.wompi.scenarios.set(None, Scenario())
    assert verdict["ok"] is False
    assert "could not be tried" in verdict["problem"]


# --- Removing ---


async def test_a_gateway_is_removed_with_its_credentials(shop: Shop) -> None:
    made = await shop.set_up()
    one = f"/gateways/{made['id']}"
    assert (await shop.call("DELETE", one)).status == 204
    for method in ("GET", "DELETE"):
        await shop.refused(method, one, status=404, code="not_found")
    assert (await shop.ok("GET", "/gateways"))["data"] == []
    async with shop.world.session.get(made["notice_url"].replace("/notices/", "/notices/x")) as answer:
        assert answer.status == 200  # a look is answered alike whether there is somebody or not
    assert await shop.world.rows("SELECT 1 FROM gateway WHERE account_id = $1", shop.client.account_id) == []


async def test_a_gateway_that_something_waits_for_is_not_removed(shop: Shop) -> None:
    made = await shop.set_up()
    _, attempt = await shop.begin("wompi")
    one = f"/gateways/{made['id']}"
    refused = await shop.refused("DELETE", one, status=409, code="gateway_busy")
    assert refused["message"].startswith("1 attempt or refund waits")
    assert "enabled=false" in refused["message"]
    assert (await shop.ok("PATCH", one, {"enabled": False}))["enabled"] is False
    await shop.pay_at_vendor(attempt)


@pytest.mark.parametrize("name", ["019a0279-0000-7000-8000-000000000000", "nonsense", "kind"])
async def test_a_gateway_that_is_not_there(shop: Shop, name: str) -> None:
    for method, path, body in (
        ("GET", f"/gateways/{name}", None),
        ("PATCH", f"/gateways/{name}", {"enabled": False}),
        ("DELETE", f"/gateways/{name}", None),
        ("POST", f"/gateways/{name}/verify", None),
    ):
        await shop.refused(method, path, body, status=404, code="not_found")


# --- Secrets at rest ---


async def test_a_repeated_request_is_answered_alike_and_nothing_of_it_is_kept_in_clear(shop: Shop) -> None:
    body = {"kind": "wompi", "credentials": shop.wompi_keys()}
    first = await shop.call("POST", "/gateways", body, once="setup")
    again = await shop.call("POST", "/gateways", body, once="setup")
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await shop.call("POST", "/gateways", body | {"position": 3}, once="setup")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    one = f"/gateways/{first.json['id']}"
    new = {"credentials": shop.remember(private_key="prv_test_rotated0123456")}
    changed = await shop.call("PATCH", one, new, once="rotate")
    assert (await shop.call("PATCH", one, new, once="rotate")).body == changed.body
    key = first.json["notice_url"].rpartition("/")[2]
    rows = await shop.world.rows(
        "SELECT request, answer FROM idempotency WHERE account_id = $1 AND key IN ('setup', 'rotate')",
        shop.client.account_id,
    )
    assert len(rows) == 2
    gateways = await shop.world.rows("SELECT * FROM gateway WHERE account_id = $1", shop.client.account_id)
    for row in (*rows, *gateways):
        kept = b"".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values())
        for secret in (*shop.secrets, key):
            assert secret.encode() not in kept


async def test_another_address_for_notices_and_the_old_one_for_a_while(shop: Shop) -> None:
    made = await shop.set_up("wompi")
    path = f"/gateways/{made['id']}/rotate"
    await shop.refused("POST", path, {"overlap_hours": 169}, status=422, code="validation_error")

    async def answer(url: str) -> int:
        async with shop.world.session.post(url, data=b"{}") as told:
            return told.status

    first = await shop.call("POST", path, {"overlap_hours": 1}, once="r")
    again = await shop.call("POST", path, {"overlap_hours": 1}, once="r")
    assert (first.status, first.body) == (200, again.body)
    assert first.json["notice_url"] != made["notice_url"]
    urls = [made["notice_url"], first.json["notice_url"]]
    assert [await answer(url) for url in urls] == [401, 401], "both are there, and ask for a signature"
    leaked = await shop.ok("POST", path, {"overlap_hours": 0})
    urls.append(leaked["notice_url"])
    assert [await answer(url) for url in urls] == [404, 404, 401]
    key = first.json["notice_url"].rpartition("/")[2]
    kept = await shop.world.rows("SELECT answer FROM idempotency WHERE account_id = $1", shop.client.account_id)
    assert kept
    assert not any(key.encode() in bytes(row["answer"]) for row in kept)
