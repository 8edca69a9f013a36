"""The same request twice has one effect (Treli specification, section 2)."""

import asyncio
from typing import Any

import pytest

from tests.dialects.treli.wire import good, refusal
from tests.world import Answer, Client, World

BODY: dict[str, Any] = {"full_name": "Ana", "email": "ana@ejemplo.com"}


async def post(client: Client, path: str, body: Any, **headers: str) -> Answer:
    """A POST with exactly these headers."""
    return await client.call("POST", path, body, headers={n.replace("_", "-"): v for n, v in headers.items()})


async def count(world: World, client: Client, table: str = "customer") -> int:
    (row,) = await world.rows(f"SELECT count(*) AS n FROM {table} WHERE account_id = $1", client.account_id)
    return row["n"]


def replayed(answer: Answer, first: Answer) -> None:
    assert (answer.status, answer.body) == (first.status, first.body)
    assert answer.headers["idempotent-replayed"] == "true"


async def test_a_key_is_optional(treli: Client, world: World) -> None:
    for _ in range(2):
        good(await treli.call("POST", "/v1/customers", BODY))
    assert await count(world, treli) == 2


async def test_the_same_request_gets_the_same_bytes(treli: Client, world: World) -> None:
    first = await post(treli, "/v1/customers", BODY, Idempotency_Key="k")
    assert "idempotent-replayed" not in first.headers
    # By its alias, under the other mount, in another order, with spaces around its names.
    replayed(await post(treli, "/v1/customers", BODY, x_idempotency="k"), first)
    replayed(await post(treli, "/treli/v1/customers/", dict(reversed(BODY.items())), Idempotency_Key="k"), first)
    replayed(await post(treli, "/v1/customers?x=1", {f" {n}": v for n, v in BODY.items()}, Idempotency_Key="k"), first)
    replayed(await post(treli, "/v1/customers", BODY, Idempotency_Key="k", x_idempotency="k"), first)
    assert await count(world, treli) == 1


async def test_the_stored_answer_does_not_change_with_its_object(treli: Client) -> None:
    first = await post(treli, "/v1/customers", BODY, Idempotency_Key="k")
    path = f"/v1/customers/{first.json['id']}"
    changed = await post(treli, path, {"full_name": "Otra"}, Idempotency_Key="k")
    assert good(changed)["full_name"] == "Otra", "another path is another key"
    gone = await treli.call("DELETE", path, headers={"Idempotency-Key": "k"})
    replayed(await post(treli, "/v1/customers", BODY, Idempotency_Key="k"), first)
    replayed(await post(treli, path, {"full_name": "Otra"}, Idempotency_Key="k"), changed)
    replayed(await treli.call("DELETE", path, headers={"Idempotency-Key": "k"}), gone)
    replayed(await treli.call("DELETE", path, {}, headers={"Idempotency-Key": "k"}), gone)


async def test_another_body_is_refused_and_every_difference_named(treli: Client) -> None:
    body = BODY | {"billing_address": {"city": "Cali"}, "x": 1}
    await post(treli, "/v1/customers", body, Idempotency_Key="k")
    other = BODY | {"full_name": "Otra", "billing_address": {"city": None}}
    answer = refusal(await post(treli, "/v1/customers", other, Idempotency_Key="k"), "idempotency_key_reused")
    assert answer["message"] == "La llave de idempotencia ya se usó con otro contenido."
    assert answer["errors"] == [
        {"field": "billing_address.city", "message": 'El valor enviado (null) difiere del original ("Cali").'},
        {"field": "full_name", "message": 'El valor enviado ("Otra") difiere del original ("Ana").'},
        {"field": "x", "message": "El valor enviado (—) difiere del original (1)."},
    ]


async def test_money_written_otherwise_is_another_body(treli: Client) -> None:
    product = good(await treli.post("/v1/products", {"name": "x"}))["id"]
    body = {"product_id": product, "unit_price": "20000"}
    first = await post(treli, "/v1/prices", body, Idempotency_Key="k")
    answer = await post(treli, "/v1/prices", body | {"unit_price": "20000.00"}, Idempotency_Key="k")
    assert [e["field"] for e in refusal(answer, "idempotency_key_reused")["errors"]] == ["unit_price"]
    number = await post(treli, "/v1/prices", body | {"unit_price": 20000}, Idempotency_Key="n")
    replayed(
        await treli.call(
            "POST",
            "/v1/prices",
            data=b'{"product_id":"%s","unit_price":2e4}' % product.encode(),
            headers={"Idempotency-Key": "n"},
        ),
        number,
    )
    replayed(await post(treli, "/v1/prices", body, Idempotency_Key="k"), first)


async def test_errors_are_not_kept(treli: Client) -> None:
    refusal(await post(treli, "/v1/customers", BODY | {"email": "x"}, Idempotency_Key="k"), "validation_error")
    first = await post(treli, "/v1/customers", BODY, Idempotency_Key="k")
    good(first)
    # A body with errors under a key that was used meets the key first.
    refusal(await post(treli, "/v1/customers", {"email": "x"}, Idempotency_Key="k"), "idempotency_key_reused")


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Idempotency-Key": ""}, "Idempotency-Key"),
        ({"Idempotency-Key": "x" * 256}, "Idempotency-Key"),
        ({"Idempotency-Key": "ñ"}, "Idempotency-Key"),
        ({"x-idempotency": "a\tb"}, "x-idempotency"),
        ({"x-idempotency": "x" * 256}, "x-idempotency"),
        ({"Idempotency-Key": "a", "x-idempotency": "b"}, "x-idempotency"),
    ],
)
async def test_a_key_that_is_none_is_an_error_of_its_header(treli: Client, headers: dict[str, str], field: str) -> None:
    for method, path in (("POST", "/v1/customers"), ("DELETE", "/v1/customers/x"), ("POST", "/recaudo/v1/retentions")):
        answer = await treli.call(method, path, BODY, headers=headers)
        refusal(answer, "validation_error", fields=[field])


async def test_a_key_may_be_long_and_is_compared_exactly(treli: Client, world: World) -> None:
    for key in ("x" * 255, "~!@ #", "K", "k"):
        good(await post(treli, "/v1/customers", BODY, Idempotency_Key=key))
    assert await count(world, treli) == 4


async def test_a_key_belongs_to_a_dialect(client: Client, treli: Client) -> None:
    good(await post(treli, "/v1/customers", BODY, x_idempotency="k"))
    answer = await client.post("/v1/customers", {"first_name": "Ana", "email": "a@b.co"}, once="k")
    assert answer.status == 201


@pytest.mark.parametrize(
    ("path", "table", "body"),
    [
        ("/v1/customers", "customer", BODY),
        ("/v1/products", "product", {"name": "x"}),
        ("/recaudo/v1/retentions", "retention", {"kind": "reteiva", "name": "x", "percentage": "15"}),
        ("/recaudo/v1/collection_rules", "collection_rule", {"name": "x", "moments": []}),
    ],
)
async def test_of_requests_at_once_one_acts_and_the_others_get_its_answer(
    treli: Client, world: World, path: str, table: str, body: dict[str, Any]
) -> None:
    answers = await asyncio.gather(*(post(treli, path, body, Idempotency_Key="k") for _ in range(8)))
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await count(world, treli, table) == 1


async def test_a_change_under_a_key_happens_once(treli: Client) -> None:
    made = good(await treli.post("/v1/customers", BODY))
    path = f"/v1/customers/{made['id']}"
    answers = await asyncio.gather(
        *(post(treli, path, {"full_name": "Otra"}, Idempotency_Key="k") for _ in range(4)),
        *(treli.call("DELETE", path, headers={"Idempotency-Key": f"d{i}"}) for i in range(2)),
    )
    assert sorted(answer.status for answer in answers[4:]) == [200, 404]
    assert len({answer.body for answer in answers[:4] if answer.status == 200}) <= 1
