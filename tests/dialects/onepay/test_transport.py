"""Address, authentication, headers, bodies, limits and the order of checks (OnePay specification, section 1)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.dialects.onepay.wire import NOBODY, is_invoice, refusal
from tests.world import Answer, Client, World

MEBIBYTE = 1024 * 1024
BODY = {"reference": "1", "provider": "p", "amount": 50000, "name": "Internet", "phone": "+573167591030"}


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


async def raw(world: World, text: bytes) -> bytes:
    """What the server sends back to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(text)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


def bearer(client: Client, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.key}", **more}


# --- 1.1 Address ---


async def test_both_mounts_show_the_same_objects(client: Client) -> None:
    made = await client.post("/onepay/v1/invoices", BODY)
    assert made.status == 201
    is_invoice(made.json)
    for mount in ("/v1", "/onepay/v1"):
        assert (await client.get(f"{mount}/invoices/{made.json['id']}")).json == made.json
        assert (await client.get(f"{mount}/payments/{made.json['payment_id']}")).status == 200


@pytest.mark.parametrize("mount", ["/v1", "/onepay/v1"])
async def test_a_trailing_slash_is_ignored(client: Client, mount: str) -> None:
    made = (await client.post(f"{mount}/invoices/", BODY)).json
    assert (await client.get(f"{mount}/invoices/{made['id']}/")).json == made
    assert (await client.get(f"{mount}/payments/{made['payment_id']}/intents/")).json == []


@pytest.mark.parametrize(
    "path",
    ["/v1//invoices", "/v1/invoices//", "/v1/invoices//intents", "/onepay/v1invoices", "/onepay/v1//invoices"],
)
async def test_no_other_slashes_are_forgiven(client: Client, path: str) -> None:
    refusal(await client.get(path), "route_not_found")


async def test_head_is_get_without_a_body(client: Client) -> None:
    made = await client.invoice()
    for path in (f"/v1/invoices/{made['id']}", "/v1/invoices", "/onepay/v1/payments", "/v1/customers"):
        get, head = await client.get(path), await client.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == get.headers[name]
    missing = await client.call("HEAD", f"/v1/invoices/{NOBODY}")
    assert (missing.status, missing.body) == (404, b"")


async def test_ids_in_paths_may_be_written_in_capitals(client: Client) -> None:
    made = await client.invoice()
    assert (await client.get(f"/v1/invoices/{made['id'].upper()}")).json == made
    changed = await client.put(f"/v1/invoices/{made['id'].upper()}", {"amount": 60000})
    assert (changed.status, changed.json["id"]) == (200, made["id"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/Invoices",
        "/v1/invoices/x/y",
        f"/v1/invoices/{NOBODY}/intents",
        f"/v1/payments/{NOBODY}/intents/{NOBODY}",
        "/onepay/v1",
        "/onepay/v1/nothing",
        # Not in this version (section 20).
        "/v1/charges",
        "/v1/cards",
        "/v1/accounts",
        "/v1/cashouts",
        "/v1/balances",
        "/v1/subscriptions",
        "/v1/plans",
        "/v1/wallets",
    ],
)
async def test_other_paths_are_no_routes(client: Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        refusal(await client.call(method, path), "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/invoices", "GET, HEAD, POST"),
        ("PUT", "/v1/payments", "GET, HEAD, POST"),
        ("POST", f"/v1/invoices/{NOBODY}", "DELETE, GET, HEAD, PATCH, PUT"),
        ("PUT", f"/v1/payments/{NOBODY}", "DELETE, GET, HEAD, POST"),
        ("POST", f"/v1/payments/{NOBODY}/intents", "GET, HEAD"),
        ("POST", "/v1/payment-intents", "GET, HEAD"),
        ("DELETE", f"/v1/payment-intents/{NOBODY}", "GET, HEAD"),
        ("PUT", f"/v1/customers/{NOBODY}", "GET, HEAD"),
        ("PATCH", "/v1/customers", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/invoices", "GET, HEAD, POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(client: Client, method: str, path: str, allow: str) -> None:
    answer = await client.call(method, path)
    refusal(answer, "method_not_allowed")
    assert answer.headers["allow"] == allow


# --- 1.2 Authentication ---


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_may_be_written_in_any_case(client: Client, world: World, scheme: str) -> None:
    for mount in ("/v1", "/onepay/v1"):
        answer = await ask(world, "GET", f"{mount}/invoices", {"Authorization": f"{scheme} {client.key}"})
        assert answer.status == 200


@pytest.mark.parametrize("mount", ["/v1", "/onepay/v1"])
@pytest.mark.parametrize(
    "form",
    [
        "Bearer",
        "Bearer ",
        "Bearer  {key}",
        "Bearer {key} {key}",
        "Bearer {key},",
        "Bearer x{key}",
        "Bearer {key}x",
        "Bearer {KEY}",
        "Bearer sk_test_nobody",
        "Bearer " + "x" * 5000,
        "Bearer clavé",
    ],
)
async def test_a_malformed_or_unknown_bearer_key_is_unauthenticated(
    client: Client, world: World, mount: str, form: str
) -> None:
    authorization = form.replace("{key}", client.key).replace("{KEY}", client.key.upper())
    answer = await ask(world, "GET", f"{mount}/invoices", {"Authorization": authorization})
    refusal(answer, "unauthenticated")
    assert answer.headers.getall("www-authenticate") == ['Bearer realm="recaudo"']


@pytest.mark.parametrize("authorization", [None, "", "Digest x", "Token sk_test_xxx", "sk_test_xxx", "Bearer\tkey"])
async def test_on_v1_the_answer_to_no_known_scheme_is_neutral(world: World, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/v1/invoices"), ("POST", "/v1/payments"), ("GET", "/v1/nothing")):
        answer = await ask(world, method, path, headers)
        assert answer.status == 401
        assert answer.body.decode() == (
            '{"message":"Falta el encabezado Authorization. Use \'Authorization: Bearer <clave>\' (OnePay) o '
            '\'Authorization: Basic <base64(clave:)>\' (Treli).","code_name":"unauthenticated"}'
        )
        assert answer.headers.getall("www-authenticate") == [
            'Bearer realm="recaudo"',
            'Basic realm="recaudo", charset="UTF-8"',
        ]
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["recaudo-request-id"]


@pytest.mark.parametrize("authorization", [None, "", "Digest x", "Basic c2tfdGVzdF94eHg6", "sk_test_xxx"])
async def test_under_the_dialects_own_mount_the_same_case_is_its_own_error(
    world: World, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await ask(world, "GET", "/onepay/v1/invoices", headers)
    refusal(answer, "unauthenticated")
    assert answer.headers.getall("www-authenticate") == ['Bearer realm="recaudo"']


async def test_a_public_key_opens_nothing(world: World) -> None:
    merchant = await world.merchant()
    public = "pk_test_" + merchant.key[8:]
    await world.execute(
        """
        UPDATE api_key SET hash = sha256($2::text::bytea) WHERE account_id = $1 AND kind = 'public'
        """,
        merchant.account_id,
        public,
    )
    merchant.key = public
    for mount in ("/v1", "/onepay/v1"):
        refusal(await merchant.get(f"{mount}/invoices"), "forbidden")
        refusal(await merchant.post(f"{mount}/invoices", BODY), "forbidden")


async def test_a_suspended_account_is_refused(world: World) -> None:
    merchant = await world.merchant()
    await world.execute("UPDATE account SET active = false WHERE id = $1", merchant.account_id)
    for mount in ("/v1", "/onepay/v1"):
        refusal(await merchant.get(f"{mount}/invoices"), "account_inactive")
        refusal(await merchant.post(f"{mount}/invoices", BODY), "account_inactive")


async def test_a_revoked_key_is_unauthenticated(world: World) -> None:
    merchant = await world.merchant()
    await world.execute(
        "UPDATE api_key SET revoked_at = now() WHERE account_id = $1 AND kind = 'secret'", merchant.account_id
    )
    answer = await merchant.get("/v1/invoices")
    refusal(answer, "unauthenticated")
    assert answer.headers.getall("www-authenticate") == ['Bearer realm="recaudo"']


async def test_a_key_in_use_stops_working_within_moments_of_its_revocation(world: World) -> None:
    merchant = await world.merchant()
    assert (await merchant.get("/v1/invoices")).status == 200
    await world.execute("UPDATE api_key SET revoked_at = now() WHERE account_id = $1", merchant.account_id)
    # Test keys are remembered for half a second.
    await asyncio.sleep(0.6)
    refusal(await merchant.get("/v1/invoices"), "unauthenticated")


async def test_the_key_alone_decides_live_or_test(world: World) -> None:
    live, test = await world.merchant(live=True), await world.merchant()
    assert live.key.startswith("sk_live_")
    assert test.key.startswith("sk_test_")
    for merchant, is_test in ((live, False), (test, True)):
        made = await merchant.invoice()
        assert (made["is_test"], made["payment"]["is_test"]) == (is_test, is_test)


async def test_another_tenants_objects_do_not_exist(client: Client, world: World) -> None:
    other = await world.merchant()
    theirs = await other.invoice()
    await other.pay(theirs["payment_id"], outcome="decline")
    (intent,) = (await other.get(f"/v1/payments/{theirs['payment_id']}/intents")).json
    customer = (await other.post("/v1/customers", {"first_name": "Ana", "email": "ana@ejemplo.com"})).json
    invoice, payment = f"/v1/invoices/{theirs['id']}", f"/v1/payments/{theirs['payment_id']}"
    answers = [
        await client.get(invoice),
        await client.put(invoice, {"amount": 60000}),
        await client.call("PATCH", invoice, {}),
        await client.delete(invoice),
        await client.get(payment),
        await client.post(payment),
        await client.delete(payment),
        await client.get(f"{payment}/intents"),
        await client.get(f"/v1/payment-intents/{intent['id']}"),
        await client.get(f"/v1/customers/{customer['id']}"),
    ]
    for answer in answers:
        refusal(answer, "not_found")
    unknown = await client.get(f"/v1/invoices/{NOBODY}")
    assert (
        answers[0].body == unknown.body == b'{"message":"La factura no existe.","code":40401,"code_name":"not_found"}'
    )
    for name in ("invoices", "payments", "payment-intents", "customers"):
        assert (await client.get(f"/v1/{name}")).json["total"] == 0


@pytest.mark.parametrize("identifier", ["x", "1", "%00", "019a0227", f"{{{NOBODY}}}", NOBODY.replace("-", ""), "%20"])
async def test_an_id_that_is_no_uuid_does_not_exist(client: Client, identifier: str) -> None:
    for path in ("/v1/invoices/", "/v1/payments/", "/v1/payment-intents/", "/v1/customers/"):
        refusal(await client.get(path + identifier), "not_found")
    refusal(await client.put(f"/v1/invoices/{identifier}", {}), "not_found")
    refusal(await client.delete(f"/v1/payments/{identifier}"), "not_found")


# --- 1.3 Headers ---


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json ; charset="utf-8"',
    ],
)
async def test_json_may_be_announced_in_several_ways(client: Client, content_type: str) -> None:
    answer = await client.post("/v1/invoices", BODY, headers={"Content-Type": content_type})
    assert answer.status == 201


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/vnd.api+json",
        "text/json",
        "*/*",
    ],
)
async def test_a_body_of_another_type_is_refused(client: Client, world: World, content_type: str | None) -> None:
    headers = bearer(client, **{"x-idempotency": "k"})
    if content_type is not None:
        headers["Content-Type"] = content_type
    data = json.dumps(BODY).encode()
    for method, path in (
        ("POST", "/v1/invoices"),
        ("PUT", f"/v1/invoices/{NOBODY}"),
        ("DELETE", f"/v1/payments/{NOBODY}"),
    ):
        refusal(await ask(world, method, path, headers, data), "unsupported_media_type")


async def test_whatever_is_accepted_the_answer_is_json(client: Client) -> None:
    for accept in ("text/html", "application/xml", "*/*", "image/png;q=1"):
        answer = await client.get("/v1/invoices", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_no_content_has_no_content_type(client: Client) -> None:
    made = await client.invoice()
    answer = await client.delete(f"/v1/invoices/{made['id']}")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers


async def test_every_answer_has_its_own_request_id(client: Client, world: World) -> None:
    answers = [
        await client.get("/v1/invoices"),
        await client.get("/v1/invoices"),
        await client.get("/v1/nothing"),
        await client.post("/v1/invoices", {}),
        await client.post("/v1/invoices", data=b"{"),
        await ask(world, "GET", "/v1/invoices"),
        await ask(world, "GET", "/onepay/v1/invoices"),
        await client.delete(f"/v1/invoices/{(await client.invoice())['id']}"),
    ]
    assert len({answer.headers["recaudo-request-id"] for answer in answers}) == len(answers)


# --- What was not understood ---


async def test_unknown_members_and_parameters_are_reported_and_do_no_harm(client: Client) -> None:
    body = BODY | {
        "Amount": 1,
        "café con leche": 1,
        "a.b[0]-c_d~e": 1,
        "coma,": 1,
        "metadata": {"kept": 1},
        "partial_payment_config": {"min_amount": 1000, "step": 5},
    }
    answer = await client.post("/v1/invoices?debug=1&debug=2&x%20y", body)
    assert answer.status == 201
    is_invoice(answer.json)
    # The order is that of the body, then the query's; members of objects by dotted path.
    names = answer.headers["recaudo-ignored-fields"].split(",")
    assert sorted(names) == sorted(
        [
            "Amount",
            "caf%C3%A9%20con%20leche",
            "a.b[0]-c_d%7Ee",
            "coma%2C",
            "partial_payment_config.step",
            "debug",
            "x%20y",
        ]
    )


async def test_an_understood_request_reports_nothing(client: Client) -> None:
    answer = await client.post("/v1/invoices", BODY | {"metadata": {"x": 1}})
    assert "recaudo-ignored-fields" not in answer.headers
    listed = await client.get("/v1/invoices?page=1&per_page=5&sort=created_at&filter[status]=CREATED")
    assert (listed.status, "recaudo-ignored-fields" in listed.headers) == (200, False)


async def test_at_most_twenty_names_are_reported_and_then_dots(client: Client) -> None:
    twenty = {f"x{i}": i for i in range(20)}
    exactly = await client.post("/v1/invoices", BODY | twenty)
    assert exactly.headers["recaudo-ignored-fields"] == ",".join(twenty)
    more = await client.post("/v1/invoices", BODY | twenty | {"last": 1})
    assert more.headers["recaudo-ignored-fields"] == ",".join([*twenty, "..."])


async def test_every_operation_reports_what_it_ignored(client: Client) -> None:
    made = await client.invoice()
    invoice, payment = f"/v1/invoices/{made['id']}", f"/v1/payments/{made['payment_id']}"
    for answer in (
        await client.get(f"{invoice}?a=1"),
        await client.get("/v1/invoices?a=1"),
        await client.get(f"{payment}?a=1"),
        await client.get("/v1/payments?a=1"),
        await client.get(f"{payment}/intents?a=1"),
        await client.get("/v1/payment-intents?a=1"),
        await client.get("/v1/customers?a=1"),
        await client.post(f"{payment}", {"a": 1}),
        await client.post("/v1/payments", {"title": "Rifa", "a": 1}),
        await client.post("/v1/customers", {"first_name": "Ana", "email": "ana@ejemplo.com", "a": 1}),
        await client.delete(payment, {"a": 1}),
        await client.put(invoice, {"a": 1}),
        await client.delete(invoice, {"a": 1}),
    ):
        assert answer.status in {200, 201, 204}, answer.json
        assert answer.headers["recaudo-ignored-fields"] == "a"


async def test_the_provider_of_an_invoice_cannot_change_and_that_is_reported(client: Client) -> None:
    made = await client.invoice()
    answer = await client.put(f"/v1/invoices/{made['id']}", {"provider": "other", "amount": 60000})
    assert (answer.status, answer.json["provider"], answer.json["amount"]) == (200, "biller", 60000)
    assert answer.headers["recaudo-ignored-fields"] == "provider"


# --- 1.4 Bodies and limits ---


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}{"b":2}',
        b'{"a":1} x',
        b"[]",
        b"null",
        b'"text"',
        b"5",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"amount":NaN}',
        b'{"amount":Infinity}',
        b'{"amount":-Infinity}',
        b'{"amount":01}',
        b'{"amount":.5}',
        b'{"amount":+5}',
        b'{"name":"caf\xe9"}',
        b'{"name":"\xed\xa0\x80"}',
        b"\xff\xfe{\x00}\x00",
        b'{"name":"tab\tin text"}',
        b"\xef\xbb\xbf{}",
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' * 20000,
    ],
    ids=lambda data: repr(data[:24]),
)
async def test_anything_but_one_json_object_is_malformed(client: Client, data: bytes) -> None:
    for call in (
        client.call("POST", "/v1/invoices", data=data),
        client.call("PUT", f"/v1/invoices/{NOBODY}", data=data),
    ):
        refusal(await call, "malformed_json")


async def test_a_body_may_be_nested_thirty_two_levels(client: Client) -> None:
    deep = b'{"x":' * 31 + b"{}" + b"}" * 31
    answer = await client.post("/v1/invoices", data=deep)
    refusal(answer, "validation_error", fields=["reference", "provider", "amount", "name", "phone", "email"])


async def test_among_equal_names_the_last_one_wins(client: Client) -> None:
    text = json.dumps(BODY)[:-1] + ',"amount":1,"amount":70000}'
    assert (await client.post("/v1/invoices", data=text.encode())).json["amount"] == 70000


async def test_no_body_is_needed_to_delete_or_resend(client: Client) -> None:
    made = await client.invoice()
    payment = f"/v1/payments/{made['payment_id']}"
    assert (await client.call("POST", payment)).status == 200
    assert (await client.call("POST", payment, {})).status == 200
    assert (await client.call("DELETE", payment)).status == 204
    assert (await client.call("DELETE", f"/v1/invoices/{made['id']}")).status == 204


async def test_a_body_may_be_a_mebibyte_and_no_more(client: Client) -> None:
    text = json.dumps(BODY).encode()
    filler = text[:-1] + b',"x":"' + b"y" * (MEBIBYTE - len(text) - 7) + b'"}'
    assert len(filler) == MEBIBYTE
    assert (await client.post("/v1/invoices", data=filler)).status == 201
    refusal(await client.post("/v1/invoices", data=BytesIO(filler + b" ")), "body_too_large")
    for size in (3, 8):
        refusal(await client.post("/v1/nothing", data=BytesIO(b" " * size * MEBIBYTE)), "body_too_large")


async def test_a_chunked_body_is_limited_too(client: Client) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield json.dumps(BODY).encode()
        for _ in range(size // 65536):
            yield b" " * 65536

    assert (await client.post("/v1/invoices", data=chunks(65536 * 4))).status == 201
    refusal(await client.post("/v1/invoices", data=chunks(5 * MEBIBYTE)), "body_too_large")


@pytest.mark.parametrize(("size", "more"), [(50 * MEBIBYTE, ""), (2 * MEBIBYTE, "Expect: 100-continue\r\n")])
async def test_what_nobody_will_read_is_refused_before_it_is_sent(
    client: Client, world: World, size: int, more: str
) -> None:
    head = (
        f"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {size}\r\n{more}\r\n"
    )
    answer = await raw(world, head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code_name":"body_too_large"' in answer


@pytest.mark.parametrize("value", ["\\u0000", "\\ud800", "\\udc00", "a\\u0000b", "\\ud800x"])
async def test_text_that_cannot_be_kept_is_a_field_error(client: Client, value: str) -> None:
    for name in ("reference", "name", "provider_id", "description", "email", "document_url"):
        text = json.dumps(BODY)[:-1] + f',"{name}":"Internet{value}"}}'
        refusal(await client.post("/v1/invoices", data=text.encode()), "validation_error", fields=[name])
    for metadata in (f'{{"k":"{value}"}}', f'{{"{value}":1}}'):
        text = json.dumps(BODY)[:-1] + f',"metadata":{metadata}}}'
        answer = await client.post("/v1/invoices", data=text.encode())
        refusal(answer, "validation_error")
        assert next(iter(answer.json["errors"])).startswith("metadata")
    unknown = json.dumps(BODY)[:-1] + f',"x{value}":"{value}"}}'
    assert (await client.post("/v1/invoices", data=unknown.encode())).status == 201


async def test_an_account_has_a_rate_and_a_burst(world: World) -> None:
    merchant = await world.merchant(settings={"rate_per_second": 0.01, "rate_burst": 3})
    for _ in range(3):
        assert (await merchant.get("/v1/invoices")).status == 200
    answer = await merchant.get("/v1/invoices")
    refusal(answer, "too_many_requests")
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    refusal(await merchant.get("/onepay/v1/nothing"), "too_many_requests")


async def test_after_the_wait_that_is_told_requests_pass_again(world: World) -> None:
    merchant = await world.merchant(settings={"rate_per_second": 1, "rate_burst": 1})
    answers = await asyncio.gather(*(merchant.get("/v1/invoices") for _ in range(10)))
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers["retry-after"] == "1"
    await asyncio.sleep(1)
    assert (await merchant.get("/v1/invoices")).status == 200


async def test_a_rate_of_zero_is_no_limit(world: World) -> None:
    merchant = await world.merchant(settings={"rate_per_second": 0, "rate_burst": 1})
    for _ in range(5):
        assert (await merchant.get("/v1/invoices")).status == 200


async def test_a_query_has_a_limit_too(client: Client) -> None:
    query = "&".join(f"x{i}=1" for i in range(100))
    assert (await client.get(f"/v1/invoices?{query}")).status == 200
    for path in ("/v1/invoices", "/v1/customers", f"/v1/invoices/{NOBODY}"):
        refusal(await client.get(f"{path}?{query}&y=1"), "invalid_query")


# --- 1.5 Order of checks ---


async def test_size_comes_before_authentication(world: World) -> None:
    for mount in ("/v1", "/onepay/v1"):
        headers = {"Authorization": "Bearer nobody", "Content-Type": "text/plain"}
        answer = await ask(world, "POST", f"{mount}/nothing", headers, BytesIO(b" " * (MEBIBYTE + 1)))
        refusal(answer, "body_too_large")


async def test_size_comes_before_the_question_which_dialect_it_is(world: World) -> None:
    for _ in range(5):
        answer = await ask(world, "POST", "/v1/invoices", {}, BytesIO(b" " * 4 * MEBIBYTE))
        assert (answer.status, answer.json["code_name"], "code" in answer.json) == (413, "body_too_large", False)
        answer = await ask(world, "POST", "/v1/invoices", {}, b" " * (MEBIBYTE // 2))
        assert (answer.status, answer.json["code_name"], "code" in answer.json) == (401, "unauthenticated", False)


async def test_authentication_comes_before_the_path(world: World) -> None:
    for mount in ("/v1", "/onepay/v1"):
        refusal(await ask(world, "GET", f"{mount}/nothing", {"Authorization": "Bearer nobody"}), "unauthenticated")


async def test_the_account_comes_before_its_rate_and_the_path(world: World) -> None:
    merchant = await world.merchant(settings={"rate_per_second": 1, "rate_burst": 0})
    await world.execute("UPDATE account SET active = false WHERE id = $1", merchant.account_id)
    refusal(await merchant.get("/v1/nothing"), "account_inactive")


async def test_the_rate_comes_before_the_path(world: World) -> None:
    merchant = await world.merchant(settings={"rate_per_second": 1, "rate_burst": 0})
    refusal(await merchant.get("/v1/nothing"), "too_many_requests")


async def test_path_and_method_come_before_the_content_type(client: Client) -> None:
    headers = {"Content-Type": "text/plain"}
    refusal(await client.call("POST", "/v1/nothing", data=b"x", headers=headers), "route_not_found")
    refusal(await client.call("PUT", "/v1/invoices", data=b"x", headers=headers), "method_not_allowed")


async def test_the_content_type_comes_before_the_json_and_that_before_the_key(client: Client) -> None:
    headers = {"Content-Type": "text/plain"}
    refusal(await client.call("POST", "/v1/invoices", data=b"{", headers=headers), "unsupported_media_type")
    refusal(await client.call("POST", "/v1/invoices", data=b"{"), "malformed_json")


async def test_the_key_comes_before_the_fields_and_the_object(client: Client) -> None:
    refusal(await client.call("POST", "/v1/invoices", {}), "validation_error", fields=["x-idempotency"])
    long = "k" * 256
    refusal(
        await client.call("PUT", f"/v1/invoices/{NOBODY}", {"amount": 1}, once=long),
        "validation_error",
        fields=["x-idempotency"],
    )


async def test_a_stored_key_comes_before_the_fields_the_object_and_its_state(client: Client) -> None:
    await client.post("/v1/invoices", BODY, once="k")
    refusal(await client.post("/v1/invoices", BODY | {"amount": 1}, once="k"), "idempotency_key_reused")
    made = await client.invoice()
    await client.put(f"/v1/invoices/{made['id']}", {}, once="k")
    await client.delete(f"/v1/invoices/{made['id']}")
    replayed = await client.put(f"/v1/invoices/{made['id']}", {}, once="k")
    assert (replayed.status, replayed.headers["idempotent-replayed"]) == (200, "true")
    refusal(await client.put(f"/v1/invoices/{made['id']}", {"amount": 1}, once="k"), "idempotency_key_reused")


async def test_the_object_comes_before_the_fields(client: Client) -> None:
    refusal(await client.put(f"/v1/invoices/{NOBODY}", {"amount": 1}), "not_found")
    refusal(await client.delete(f"/v1/invoices/{NOBODY}", {"reason": "x"}), "not_found")
    refusal(await client.post(f"/v1/payments/{NOBODY}", {"template_id": 5}), "not_found")


async def test_the_fields_come_before_the_state(client: Client) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"])
    refusal(await client.put(f"/v1/invoices/{made['id']}", {"amount": 1}), "validation_error", fields=["amount"])
    refusal(await client.delete(f"/v1/invoices/{made['id']}", {"reason": "x"}), "validation_error", fields=["reason"])
    refusal(
        await client.post(f"/v1/payments/{made['payment_id']}", {"template_id": ""}),
        "validation_error",
        fields=["template_id"],
    )


async def test_the_fields_come_before_the_natural_key(client: Client) -> None:
    await client.invoice(provider_id="77")
    body = BODY | {"provider": "biller", "provider_id": "77", "name": "x"}
    refusal(await client.post("/v1/invoices", body), "validation_error", fields=["name"])


async def test_two_headers_of_one_name_are_not_mixed_up(client: Client, world: World) -> None:
    headers = CIMultiDict(bearer(client, **{"Content-Type": "application/json"}))
    headers.add("x-idempotency", "one")
    headers.add("x-idempotency", "two")
    answer = await ask(world, "POST", "/v1/invoices", headers, json.dumps(BODY).encode())
    refusal(answer, "validation_error", fields=["x-idempotency"])


# --- When the server or its database fails ---


async def test_a_fault_of_the_server_tells_nothing_but_that(world: World) -> None:
    merchant = await world.merchant()
    made = await merchant.invoice()
    # A currency that nobody knows cannot be printed.
    await world.execute("UPDATE collection SET currency = 'XXX' WHERE id = $1", made["payment_id"])
    answer = await merchant.get(f"/v1/invoices/{made['id']}")
    assert answer.status == 500
    assert list(answer.json) == ["message", "code", "code_name"]
    assert (answer.json["code"], answer.json["code_name"]) == (50001, "internal_error")
    assert "XXX" not in answer.json["message"]
    assert answer.headers["recaudo-request-id"]


async def test_when_the_database_goes_away_the_same_key_may_be_sent_again(client: Client, world: World) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    async with world.core.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM invoice WHERE id = $1 FOR UPDATE", made["id"])
        waiting = asyncio.create_task(client.put(path, {"amount": 60000}, once="k"))
        ended = 0
        async with asyncio.timeout(10):
            while not ended:
                await asyncio.sleep(0.02)
                ended = await connection.fetchval(
                    """
                    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))
                    """
                )
    answer = await waiting
    assert answer.status == 503
    assert (answer.json["code"], answer.json["code_name"]) == (50301, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    again = await client.put(path, {"amount": 60000}, once="k")
    assert (again.status, "idempotent-replayed" in again.headers) == (200, False)


@pytest.mark.parametrize(
    "path", ["/v1/invoices/%FF", "/v1/%C3%28", "/v1/invoices%2F", "/v1/invoices/..%2f..", "/v1/%2e%2e"]
)
async def test_odd_paths_are_answered_in_json_too(client: Client, world: World, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {client.key}\r\n\r\n"
    answer = await raw(world, head.encode())
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 200 "))
    assert b"application/json; charset=utf-8" in answer
