"""Payment intents: every try to pay and what became of it (OnePay specification, section 11)."""

from typing import Any

import pytest

from tests.dialects.onepay.wire import INTENT, METHOD, NESTED_CUSTOMER, NOBODY, UUID7, at, refusal, told
from tests.world import Client, World


async def get(client: Client, intent_id: str) -> dict[str, Any]:
    """An intent, after checking its form wherever it is shown."""
    answer = await client.get(f"/v1/payment-intents/{intent_id}")
    assert answer.status == 200
    found = answer.json
    assert list(found) == [*INTENT, "method", "customer"]
    if found["method"] is not None:
        assert list(found["method"]) == METHOD
    if found["customer"] is not None:
        assert list(found["customer"]) == NESTED_CUSTOMER
    short = {name: found[name] for name in INTENT}
    listed = (await client.get(f"/v1/payment-intents?filter[id]={intent_id}")).json["data"]
    assert listed == [short]
    assert list(listed[0]) == INTENT
    answer = await client.get(f"/v1/payments/{found['source']['id']}/intents")
    of_payment = next(one for one in answer.json if one["id"] == intent_id)
    assert list(of_payment) == [*INTENT, "payment_method_label"]
    assert of_payment == short | {"payment_method_label": of_payment["payment_method_label"]}
    return found | {"payment_method_label": of_payment["payment_method_label"]}


async def paid(client: Client, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The intent that paying makes."""
    return await get(client, (await client.pay(made["payment_id"], **fields))["payment_intent_id"])


async def status(client: Client, made: dict[str, Any]) -> str:
    return (await client.get(f"/v1/payments/{made['payment_id']}")).json["status"]


async def test_an_approved_try_is_paid(client: Client, world: World) -> None:
    made = await client.invoice(provider_id="987654")
    intent = await paid(client, made)
    assert UUID7.fullmatch(intent["id"])
    assert intent == {
        "id": intent["id"],
        "description": "Internet plan - Octubre",
        "amount": 50_000,
        "amount_label": "$ 50.000",
        "currency": "COP",
        "status": "paid",
        "payment_method_type": "CreditCard",
        "payment_method_id": None,
        "source": {"type": "Payment", "id": made["payment_id"]},
        "created_at": intent["created_at"],
        "paid_at": intent["paid_at"],
        "remarks": None,
        "is_test": True,
        "network_id": intent["network_id"],
        "external_id": "987654",
        "method": {
            "id": intent["method"]["id"],
            "brand": "VISA",
            "label": "VISA **** 4242",
            "last_four": "4242",
            "expiration_date": "2030-12",
            "customer_id": None,
            "created_at": intent["method"]["created_at"],
            "country": "CO",
        },
        "customer": None,
        "payment_method_label": "VISA **** 4242",
    }
    assert at(intent["paid_at"]) >= at(intent["created_at"])
    assert intent["network_id"]
    assert (await told(world, client, made["id"]))[2:] == ["payment.approved", "invoice.paid"]


async def test_a_declined_try_says_why_and_leaves_the_payment_open(client: Client, world: World) -> None:
    made = await client.invoice()
    intent = await paid(client, made, outcome="decline")
    assert (intent["status"], intent["paid_at"]) == ("failed", None)
    assert list(intent["remarks"]) == ["code", "description"]
    assert intent["remarks"]["code"] == "INSUFFICIENT_FUNDS"
    assert await status(client, made) == "pending"
    again = await paid(client, made)
    assert (again["status"], again["remarks"]) == ("paid", None)
    assert await status(client, made) == "approved"
    assert (await told(world, client, made["id"]))[2:] == ["payment.rejected", "payment.approved", "invoice.paid"]


async def test_a_try_that_is_pending_is_processing_until_it_is_paid(client: Client, world: World) -> None:
    made = await client.invoice()
    intent = await paid(client, made, outcome="pending_then_approve", method="pse")
    assert (intent["status"], intent["paid_at"], await status(client, made)) == ("processing", None, "in_progress")
    refused = await client.pay(made["payment_id"], status=409)
    assert refused["code"] == "attempt_in_progress"
    await client.advance_clock(seconds=20)
    await world.drain()
    done = await get(client, intent["id"])
    assert (done["status"], await status(client, made)) == ("paid", "approved")
    assert at(done["paid_at"]) > at(done["created_at"])


async def test_a_gateway_that_does_not_answer_has_not_declined(client: Client, world: World) -> None:
    made = await client.invoice()
    intent = await paid(client, made, outcome="never_answer", method="nequi")
    assert (intent["status"], intent["remarks"], intent["network_id"]) == ("processing", None, None)
    assert intent["method"] is None
    assert (intent["payment_method_type"], intent["payment_method_label"]) == ("Wallet", "Nequi")
    assert await status(client, made) == "in_progress"
    await client.advance_clock(days=3)
    await world.drain()
    assert (await get(client, intent["id"]))["status"] == "processing"
    # The payer knows, and pays again all the same.
    await paid(client, made, again=True)
    assert await status(client, made) == "approved"


async def test_a_try_that_is_charged_twice_is_one_paid_intent(client: Client) -> None:
    made = await client.invoice()
    intent = await paid(client, made, outcome="approve_twice")
    assert (intent["status"], intent["amount"]) == ("paid", 50_000)
    assert len((await client.get(f"/v1/payments/{made['payment_id']}/intents")).json) == 1


async def test_a_try_that_settles_after_its_payment_was_replaced_is_paid(client: Client, world: World) -> None:
    made = await client.invoice()
    intent = await paid(client, made, outcome="settle_after_replacement", method="pse")
    await client.advance_clock(hours=1)
    await world.drain()
    assert (await get(client, intent["id"]))["status"] == "processing"
    await client.put(f"/v1/invoices/{made['id']}", {"amount": 60_000})
    await client.advance_clock(days=1)
    await world.drain()
    done = await get(client, intent["id"])
    assert (done["status"], done["source"]["id"], done["amount"]) == ("paid", made["payment_id"], 50_000)


@pytest.mark.parametrize(
    ("method", "kind", "label"),
    [
        ("card", "CreditCard", "VISA"),
        ("pse", "Account", "PSE"),
        ("breb", "Account", "Bre-B"),
        ("nequi", "Wallet", "Nequi"),
    ],
)
async def test_methods_have_three_published_kinds(world: World, method: str, kind: str, label: str) -> None:
    allows = {"accounts": True, "cards": True, "card_extra": False, "realtime": True}
    merchant = await world.merchant(settings={"allows": allows})
    for outcome in ("approve", "never_answer"):
        intent = await paid(merchant, await merchant.invoice(), method=method, outcome=outcome)
        assert intent["payment_method_type"] == kind
        if outcome == "approve":
            assert intent["payment_method_label"].startswith(label)
        else:
            assert intent["payment_method_label"] in {"Tarjeta", "PSE", "Bre-B", "Nequi"}


async def test_the_intent_of_a_payment_alone_names_its_title_and_customer(client: Client) -> None:
    customer = (await client.post("/v1/customers", {"first_name": "Ana", "email": "ana@ejemplo.com"})).json
    body = {"title": "Rifa", "external_id": "R-1", "customer_id": customer["id"]}
    made = (await client.post("/v1/payments", body)).json
    intent = await get(client, (await client.pay(made["id"], amount=20_000))["payment_intent_id"])
    assert (intent["description"], intent["external_id"], intent["amount_label"]) == ("Rifa", "R-1", "$ 20.000")
    assert intent["customer"] == {name: customer[name] for name in NESTED_CUSTOMER}


async def test_an_unknown_intent_does_not_exist(client: Client) -> None:
    made = await client.invoice()
    for unknown in (NOBODY, made["id"], made["payment_id"], "x"):
        answer = await client.get(f"/v1/payment-intents/{unknown}")
        refusal(answer, "not_found", contains="El intento de pago no existe.")


async def test_the_tries_of_one_payment_come_newest_first_without_an_envelope(client: Client) -> None:
    made = await client.invoice()
    path = f"/v1/payments/{made['payment_id']}/intents"
    assert (await client.get(path)).body == b"[]"
    tries = [(await paid(client, made, outcome="decline"))["id"] for _ in range(3)]
    await paid(client, await client.invoice())
    assert [one["id"] for one in (await client.get(path)).json] == tries[::-1]


async def test_at_most_a_hundred_tries_of_one_payment_are_shown(client: Client, world: World) -> None:
    made = await client.invoice()
    await paid(client, made, outcome="decline")
    await world.execute(
        """
        INSERT INTO attempt SELECT (a).* FROM (
            SELECT jsonb_populate_record(a, jsonb_build_object(
                'id', overlay(a.id::text PLACING lpad(n::text, 12, '0') FROM 25), 'once_key', n::text,
                'reference', n::text, 'created_at', a.created_at + n * interval '1 second'
            )) AS a
            FROM attempt a, generate_series(1, 120) n WHERE a.account_id = $1
        ) copied
        """,
        client.account_id,
    )
    await world.recount(client.account_id)
    shown = (await client.get(f"/v1/payments/{made['payment_id']}/intents")).json
    assert len(shown) == 100
    ids = [one["id"] for one in shown]
    assert ids == sorted(ids, reverse=True)
    assert (await client.get("/v1/payment-intents?per_page=100&page=2")).json["to"] == 121


async def test_a_decline_code_without_a_counterpart_is_unknown(world: World) -> None:
    merchant = await world.merchant()
    made = await merchant.invoice()
    intent = await paid(merchant, made, outcome="decline")
    await world.execute(
        "UPDATE attempt SET failure_code = 'do_not_try_again', failure_text = 'Texto de la pasarela' WHERE id = $1",
        intent["id"],
    )
    remarks = (await get(merchant, intent["id"]))["remarks"]
    assert remarks == {"code": "UNKNOWN", "description": "Texto de la pasarela"}


@pytest.mark.parametrize(
    ("state", "word"),
    [("created", "created"), ("unknown", "processing"), ("refunded", "refunded"), ("disputed", "disputed")],
)
async def test_every_state_of_a_try_has_its_word(world: World, state: str, word: str) -> None:
    merchant = await world.merchant()
    intent = await paid(merchant, await merchant.invoice(), outcome="decline")
    await world.execute("UPDATE attempt SET state = $2 WHERE id = $1", intent["id"], state)
    await world.recount(merchant.account_id)
    assert (await get(merchant, intent["id"]))["status"] == word
    assert (await merchant.get(f"/v1/payment-intents?filter[status]={word}")).json["total"] == 1
