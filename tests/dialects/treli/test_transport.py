"""Address, authentication, headers, bodies, limits and the order of checks (Treli specification, section 1)."""

import asyncio
import base64
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pytest

from recaudo.dialects.treli import calls
from recaudo.edge.routing import Router
from tests.dialects.treli.wire import NOBODY, basic, good, refusal, speaks_treli
from tests.world import Answer, Client, World

BODY = {"full_name": "Ana", "email": "ana@ejemplo.com"}
MEBIBYTE = 1024 * 1024
CHALLENGE = 'Basic realm="recaudo", charset="UTF-8"'


async def ask(
    world: World, method: str, path: str, headers: Mapping[str, str] | None = None, data: Any = None
) -> Answer:
    """A request with exactly these headers, as far as the library lets us."""
    async with world.session.request(
        method, world.base_url + path, headers=headers, data=data, skip_auto_headers=("Content-Type", "Accept")
    ) as response:
        body = await response.read()
        is_json = body and response.content_type == "application/json"
        return Answer(response.status, response.headers, body, json.loads(body) if is_json else None)


# --- 1.1 Address ---


async def test_both_mounts_show_the_same_objects(treli: Client, client: Client) -> None:
    made = good(await treli.post("/treli/v1/customers/", BODY))
    for mount in ("/v1", "/treli/v1"):
        assert good(await treli.get(f"{mount}/customers/{made['id']}/")) == made
    # The scheme chooses the dialect on /v1, and opens nothing under a dialect's own mount.
    assert "current_page" in (await client.get("/v1/customers")).json
    refusal(await client.get("/treli/v1/customers"), "unauthenticated")
    assert (await treli.get("/onepay/v1/customers")).json["code_name"] == "unauthenticated"


async def test_head_is_get_without_a_body(treli: Client) -> None:
    made = good(await treli.post("/v1/customers", BODY))
    for path in (f"/v1/customers/{made['id']}", "/v1/customers", "/v1/products", "/recaudo/v1/retentions"):
        get, head = await treli.get(path), await treli.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    "path",
    [
        *["/v1", "/v1/", "/v1/nothing", "/v1//customers", "/v1/Customers", "/treli/v1", "/treli/v1customers"],
        *["/v1/customers/x/y", "/v1/subscriptions", "/v1/payment_links", "/v1/coupons", "/v1/payments"],
    ],
)
async def test_other_paths_are_no_routes(treli: Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        body = refusal(await treli.call(method, path), "not_found")
        assert body["message"] == "Esta ruta no existe."


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", f"/v1/customers/cus_{NOBODY}", "DELETE, GET, HEAD, POST"),
        ("PATCH", f"/v1/customers/cus_{NOBODY}", "DELETE, GET, HEAD, POST"),
        ("DELETE", "/v1/customers", "GET, HEAD, POST"),
        ("PUT", f"/v1/prices/price_{NOBODY}", "DELETE, GET, HEAD, POST"),
        ("DELETE", f"/recaudo/v1/retentions/ret_{NOBODY}", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/products", "GET, HEAD, POST"),
    ],
)
async def test_updates_are_post_and_nothing_else(treli: Client, method: str, path: str, allow: str) -> None:
    answer = await treli.call(method, path)
    refusal(answer, "method_not_allowed")
    assert answer.headers["allow"] == allow


# --- 1.2 Authentication ---


@pytest.mark.parametrize("mount", ["/v1", "/treli/v1"])
async def test_the_key_is_the_user_name_or_else_the_password(client: Client, world: World, mount: str) -> None:
    key = client.key
    pairs = [basic(key), basic("", key), basic(key, "x"), basic("sk_test_nobody", key), basic("usuario", key)]
    for authorization in [*pairs, pairs[0].replace("Basic", "bAsIc")]:
        answer = await ask(world, "GET", f"{mount}/customers", {"Authorization": authorization})
        assert answer.status == 200, authorization


@pytest.mark.parametrize("mount", ["/v1", "/treli/v1"])
@pytest.mark.parametrize(
    "authorization",
    [
        "Basic Og==",
        "Basic",
        "Basic ",
        "Basic x",
        "Basic ñ",
        basic("sk_test_nobody"),
        basic("", "sk_test_nobody"),
        basic("sk_test_nobody", "sk_test_nadie"),
        "Basic " + base64.b64encode(b"sk_test_without_colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
        "Basic " + base64.b64encode(b"x" * 5000 + b":").decode(),
    ],
)
async def test_any_other_pair_is_unauthenticated(world: World, mount: str, authorization: str) -> None:
    for method in ("GET", "POST"):
        answer = await ask(world, method, f"{mount}/customers", {"Authorization": authorization})
        refusal(answer, "unauthenticated")
        assert answer.headers.getall("www-authenticate") == [CHALLENGE]


async def test_the_pair_must_hold_the_whole_key(client: Client, world: World) -> None:
    encoded = basic(client.key).removeprefix("Basic ")
    for wrong in (encoded[:-4], f" {encoded}", f"{encoded} ", basic(client.key.upper()).removeprefix("Basic ")):
        answer = await ask(world, "GET", "/treli/v1/customers", {"Authorization": f"Basic {wrong}"})
        # A header's value ends before the space after it.
        assert answer.status == (200 if wrong == f"{encoded} " else 401), wrong


@pytest.mark.parametrize("authorization", [None, "", "Digest x", "Bearer sk_test_xxx", "sk_test_xxx"])
async def test_under_the_dialects_own_mount_another_scheme_is_its_own_error(
    world: World, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await ask(world, "GET", "/treli/v1/customers", headers)
    refusal(answer, "unauthenticated")
    assert answer.headers.getall("www-authenticate") == [CHALLENGE]


async def test_suspended_accounts_public_keys_and_revoked_keys_open_nothing(world: World) -> None:
    merchant = speaks_treli(await world.merchant())
    await world.execute("UPDATE account SET active = false WHERE id = $1", merchant.account_id)
    refusal(await merchant.get("/v1/customers"), "account_inactive")
    merchant = speaks_treli(await world.merchant())
    public = "pk_test_" + merchant.key[8:]
    await world.execute(
        "UPDATE api_key SET hash = sha256($2::text::bytea) WHERE account_id = $1 AND kind = 'public'",
        merchant.account_id,
        public,
    )
    answer = await ask(world, "GET", "/v1/customers", {"Authorization": basic(public, merchant.key)})
    refusal(answer, "forbidden")
    await world.execute(
        "UPDATE api_key SET revoked_at = now() WHERE account_id = $1 AND kind = 'secret'", merchant.account_id
    )
    refusal(await merchant.get("/v1/customers"), "unauthenticated")


async def test_the_key_decides_live_or_test(world: World) -> None:
    live = speaks_treli(await world.merchant(live=True))
    assert good(await live.post("/v1/customers", BODY))["is_test"] is False


async def test_another_tenants_objects_do_not_exist(treli: Client, world: World) -> None:
    other = speaks_treli(await world.merchant())
    customer = good(await other.post("/v1/customers", BODY))["id"]
    product = good(await other.post("/v1/products", {"name": "x"}))["id"]
    price = good(await other.post("/v1/prices", {"product_id": product, "unit_price": "1"}))["id"]
    for path in (f"/v1/customers/{customer}", f"/v1/products/{product}", f"/v1/prices/{price}"):
        for answer in (await treli.get(path), await treli.post(path, {}), await treli.delete(path)):
            refusal(answer, "not_found")
    answer = await treli.post("/v1/prices", {"product_id": product, "unit_price": "1"})
    body = refusal(answer, "validation_error", fields=["product_id"])
    assert body["errors"][0]["message"] == "No existe un producto con ese id."
    assert good(await other.get(f"/v1/prices/{price}"))


# --- 1.3, 1.4 Headers and bodies ---


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=UTF-8"])
async def test_a_body_is_announced_as_json(treli: Client, content_type: str) -> None:
    good(await treli.post("/v1/customers", BODY, headers={"Content-Type": content_type}))


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json; charset=latin1"])
async def test_a_body_of_another_type_is_refused(client: Client, world: World, content_type: str | None) -> None:
    headers = {"Authorization": basic(client.key)} | ({} if content_type is None else {"Content-Type": content_type})
    answer = await ask(world, "POST", "/v1/customers", headers, json.dumps(BODY).encode())
    refusal(answer, "unsupported_media_type")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'"x"', b"5", b'{"a":1}x', b"\xff", b'{"a":' * 33 + b"1" + b"}" * 33, b"null", b"{}{}"]
)
async def test_a_body_is_one_object_in_utf_8(treli: Client, data: bytes) -> None:
    refusal(await treli.post("/v1/customers", data=data), "malformed_json")


async def test_a_body_of_a_removal_means_nothing(treli: Client) -> None:
    made = good(await treli.post("/v1/customers", BODY))
    answer = await treli.delete(f"/v1/customers/{made['id']}?x=1", {" reason": "x"})
    assert good(answer) == {"id": made["id"], "deleted": True}
    assert answer.headers["recaudo-ignored-fields"] == "reason,x"


async def test_at_most_twenty_ignored_fields_are_told(treli: Client) -> None:
    answer = await treli.post("/v1/customers", BODY | {f"m{i}": i for i in range(25)})
    told = answer.headers["recaudo-ignored-fields"].split(",")
    assert told == [*(f"m{i}" for i in range(20)), "..."]


async def test_bodies_have_a_limit(treli: Client) -> None:
    short = json.dumps(BODY | {"x": ""}).encode()
    fits = json.dumps(BODY | {"x": "x" * (MEBIBYTE - len(short))}).encode()
    assert len(fits) == MEBIBYTE
    good(await treli.post("/v1/customers", data=BytesIO(fits)))
    body = refusal(await treli.post("/v1/customers", data=BytesIO(fits + b" ")), "body_too_large")
    assert body["message"] == "El cuerpo supera el límite de 1 MiB."
    # Size is checked before the key.
    wrong = {"Authorization": "Basic Og=="}
    refusal(await treli.post("/v1/customers", data=BytesIO(fits + b" "), headers=wrong), "body_too_large")


def test_a_route_may_have_a_limit_of_its_own() -> None:
    async def nobody(_: Any) -> Any: ...

    plain = calls.creates("/customers", nobody, "createCustomer", "")
    large = calls.creates("/invoices", nobody, "createInvoice", "", body_bytes_max=8 * MEBIBYTE)
    router = Router([plain, large, calls.reads("/invoices", nobody, "listInvoices", "")])
    limits = [
        router.body_bytes_max(method, path, MEBIBYTE)
        for method, path in (
            ("POST", "/invoices"),
            ("POST", "/invoices/"),
            ("GET", "/invoices"),
            ("POST", "/customers"),
        )
    ]
    assert limits == [8 * MEBIBYTE, 8 * MEBIBYTE, MEBIBYTE, MEBIBYTE]
    for method, path in (("POST", "/nothing"), ("PUT", "/invoices"), ("POST", "invoices")):
        assert router.body_bytes_max(method, path, MEBIBYTE) == MEBIBYTE
    assert Router([plain]).body_bytes_max("POST", "/customers", 5) == 5


async def test_a_rate_above_the_accounts_is_refused(world: World) -> None:
    merchant = speaks_treli(await world.merchant(settings={"rate_per_second": 1, "rate_burst": 2}))
    answers = await asyncio.gather(*(merchant.get("/v1/customers") for _ in range(6)))
    late = [answer for answer in answers if answer.status == 429]
    assert late
    refusal(late[0], "too_many_requests")
    assert int(late[0].headers["retry-after"]) >= 1


# --- 1.5 Order of checks ---


async def test_the_first_check_that_fails_answers(treli: Client) -> None:
    """Everything is wrong; each time the first check is put right."""
    made = good(await treli.post("/v1/customers", BODY, once="first"))
    wrong: dict[str, Any] = {"data": b"{", "headers": {"Authorization": "Basic Og==", "Content-Type": "text/plain"}}
    once = "x" * 256
    refusal(await treli.call("POST", "/v1/nothing", once=once, **wrong), "unauthenticated")
    del wrong["headers"]["Authorization"]
    refusal(await treli.call("POST", "/v1/nothing", once=once, **wrong), "not_found")
    refusal(await treli.call("PUT", "/v1/customers", once=once, **wrong), "method_not_allowed")
    refusal(await treli.call("POST", "/v1/customers", once=once, **wrong), "unsupported_media_type")
    del wrong["headers"]["Content-Type"]
    refusal(await treli.call("POST", "/v1/customers", once=once, **wrong), "malformed_json")
    wrong["data"] = b'{"email":5}'
    refusal(await treli.call("POST", "/v1/customers", once=once, **wrong), "validation_error", fields=["x-idempotency"])
    refusal(await treli.call("POST", "/v1/customers", once="first", **wrong), "idempotency_key_reused")
    refusal(await treli.call("POST", f"/v1/customers/cus_{NOBODY}", once="k", **wrong), "not_found")
    refusal(
        await treli.call("POST", f"/v1/customers/{made['id']}", once="k", **wrong), "validation_error", fields=["email"]
    )
