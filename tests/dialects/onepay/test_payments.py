"""Payments: alone and of invoices, their statuses, resending and deleting (OnePay specification, section 10)."""

import asyncio
from typing import Any

import pytest

from tests.dialects.onepay.wire import NESTED_CUSTOMER, NOBODY, PAYMENT, UUID7, at, is_payment, refusal, told
from tests.world import Client, World

FULL: dict[str, Any] = {
    "title": "Matrícula 2026",
    "amount": 150_000,
    "currency": "COP",
    "description": "Primer semestre\nSede norte",
    "phone": "+573167591030",
    "email": "Ana@EJEMPLO.com",
    "reference": "1060500333",
    "external_id": "M-77",
    "document_url": "https://example.com/m.pdf",
    "redirect_url": "https://example.com/gracias?x=1",
    "due_date": "2030-01-31",
    "expiration_date": "2090-01-31T10:20:30.5Z",
    "schedule_at": "2089-01-31T10:20:30Z",
    "template_id": "t-1",
    "tax": 19.5,
    "metadata": {"grado": 6},
    "allows": {"cards": False},
    "splits": [],
    "partial_payment_config": {"min_amount_in_cents": 5_000_000},
}


async def create(client: Client, **fields: Any) -> dict[str, Any]:
    """A stand-alone payment."""
    answer = await client.post("/v1/payments", {"title": "Rifa", "amount": 50_000} | fields)
    assert answer.status == 201, answer.json
    is_payment(answer.json)
    return answer.json


async def get(client: Client, payment_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/payments/{payment_id}")
    assert answer.status == 200
    is_payment(answer.json)
    return answer.json


async def refused(client: Client, fields: list[str], **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/payments", {"title": "Rifa", "amount": 50_000} | body)
    return refusal(answer, "validation_error", fields=fields)


# --- 10.1 Create ---


async def test_a_payment_alone_shows_everything_that_was_sent(client: Client, world: World) -> None:
    customer = (await client.post("/v1/customers", {"first_name": "Ana", "email": "ana@ejemplo.com"})).json
    answer = await client.post("/v1/payments", FULL | {"customer_id": customer["id"]})
    assert answer.status == 201
    assert "recaudo-ignored-fields" not in answer.headers
    made = answer.json
    is_payment(made)
    assert UUID7.fullmatch(made["id"])
    assert made == {
        "id": made["id"],
        "source": "Matrícula 2026",
        "currency": "COP",
        "amount": 150_000,
        "amount_label": "$ 150.000",
        "title": "Matrícula 2026",
        "description": "Primer semestre\nSede norte",
        "phone": "+573167591030",
        "expiration_at": "2090-01-31T10:20:30.500000Z",
        "due_date": "2030-01-31",
        "document_link": "https://example.com/m.pdf",
        "external_id": "M-77",
        "allows": {"accounts": True, "cards": False, "card_extra": False, "realtime": False},
        "status": "pending",
        "is_test": True,
        "created_at": made["created_at"],
        "paid_at": None,
        "payment_link": f"{world.base_url}/payment/{made['id']}",
        "redirect_url": "https://example.com/gracias?x=1",
        "provider_id": None,
        "metadata": {"grado": 6},
        "customer": {name: customer[name] for name in NESTED_CUSTOMER},
        "method": None,
        "splits": [],
        "company": None,
        "commission": None,
        "reference": "1060500333",
        "email": "Ana@ejemplo.com",
        "partial_payment_config": {
            "min_amount_in_cents": 5_000_000,
            "max_amount_in_cents": None,
            "max_payment_methods": 20,
            "timeout_hours": None,
        },
    }
    assert await get(client, made["id"]) == made
    assert await told(world, client, made["id"]) == ["payment.created"]


async def test_a_title_is_enough(client: Client, world: World) -> None:
    answer = await client.post("/v1/payments", {"title": "Donación"})
    assert answer.status == 201
    made = answer.json
    assert list(made) == PAYMENT
    assert {name for name, value in made.items() if value is None} == {
        "amount",
        "amount_label",
        "phone",
        "expiration_at",
        "due_date",
        "document_link",
        "external_id",
        "paid_at",
        "redirect_url",
        "provider_id",
        "metadata",
        "customer",
        "method",
        "company",
        "commission",
    }
    assert (made["title"], made["source"], made["description"]) == ("Donación",) * 3
    assert await get(client, made["id"]) == made


async def test_null_is_as_good_as_not_sent(client: Client) -> None:
    made = await create(client, **{name: None for name in FULL if name not in {"title", "amount"}})
    assert list(made) == PAYMENT
    assert made["metadata"] is None


async def test_every_field_that_is_wrong_is_told_at_once_in_the_order_of_the_table(client: Client) -> None:
    wrong = {
        "partial_payment_config": {},
        "splits": [{"account": 1}],
        "allows": [],
        "metadata": 5,
        "tax": "19",
        "template_id": "",
        "schedule_at": "2020-01-01T00:00:00Z",
        "expiration_date": "2020-01-01",
        "due_date": "x",
        "redirect_url": "javascript:alert(1)",
        "document_url": "x",
        "customer_id": NOBODY,
        "external_id": "",
        "reference": "x" * 101,
        "email": "x",
        "phone": "x",
        "description": "",
        "currency": "USD",
        "amount": 4999,
        "title": "",
    }
    nested = "partial_payment_config.min_amount_in_cents"
    expected = [name if name != "partial_payment_config" else nested for name in reversed(wrong)]
    answer = await client.post("/v1/payments", wrong)
    refusal(answer, "validation_error", fields=expected, contains=["E.164", "teléfono", "correo", "email"])
    refusal(await client.post("/v1/payments", {}), "validation_error", fields=["title"])
    assert (await client.get("/v1/payments")).json["total"] == 0


@pytest.mark.parametrize("amount", ["50000", 50000.5, 0, -1, 4999, 100_000_001, 10**30, True, [], {}])
async def test_a_wrong_amount_is_refused(client: Client, amount: Any) -> None:
    await refused(client, ["amount"], amount=amount)


@pytest.mark.parametrize("currency", ["USD", "cop", "", 170, "COP,USD"])
async def test_only_pesos_are_collected(client: Client, currency: Any) -> None:
    await refused(client, ["currency"], currency=currency)


async def test_the_contact_rule_does_not_apply(world: World) -> None:
    merchant = await world.merchant(settings={"contact_rule": "both"})
    made = await create(merchant)
    assert made["phone"] is None
    assert "email" not in made


@pytest.mark.parametrize("title", ["🎟️", "x" * 100, "שלום", "  orla  "])
async def test_a_title_has_one_to_a_hundred_characters(client: Client, title: str) -> None:
    assert (await create(client, title=title))["title"] == title.strip()


@pytest.mark.parametrize("title", [" ", "x" * 101, "a\x00b", "a\nb", 5, None])
async def test_any_other_title_is_refused(client: Client, title: Any) -> None:
    await refused(client, ["title"], title=title)


async def test_an_external_id_is_not_unique(client: Client) -> None:
    for _ in range(2):
        await create(client, external_id="7")
    assert (await client.get("/v1/payments?filter[external_id]=7")).json["total"] == 2


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2090-01-31", "2090-02-01T04:59:59.999999Z"),
        ("2090-01-31T10:20:30Z", "2090-01-31T10:20:30.000000Z"),
        ("2090-01-31T10:20:30-05:00", "2090-01-31T15:20:30.000000Z"),
        ("2090-01-31T10:20:30.123456Z", "2090-01-31T10:20:30.123456Z"),
    ],
)
async def test_an_expiration_is_an_instant_or_the_end_of_a_day_in_the_accounts_zone(
    client: Client, sent: str, shown: str
) -> None:
    assert (await create(client, expiration_date=sent))["expiration_at"] == shown


async def test_the_day_of_an_expiration_is_one_of_the_accounts_zone(world: World) -> None:
    merchant = await world.merchant(settings={"time_zone": "Asia/Tokyo"})
    assert (await create(merchant, expiration_date="2090-01-31"))["expiration_at"] == "2090-01-31T14:59:59.999999Z"


@pytest.mark.parametrize(
    "value", ["2020-01-01", "2020-01-01T00:00:00Z", "2090-02-30", "mañana", "", 5, "2090-01-31T10:20"]
)
async def test_an_expiration_is_real_and_in_the_future(client: Client, value: Any) -> None:
    body = await refused(client, ["expiration_date"], expiration_date=value)
    assert "fecha" in body["message"]
    await refused(client, ["schedule_at"], schedule_at=value)


async def test_the_future_is_that_of_the_accounts_clock(client: Client) -> None:
    now = at((await client.get("/recaudo/v1/clock")).json["now"])
    soon = now.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    await client.advance_clock(days=400)
    await refused(client, ["expiration_date"], expiration_date=soon)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
        ([{"key": "a", "value": 1}, {"value": "x", "key": "b"}], {"a": 1, "b": "x"}),
        ([{"key": "a", "value": None}, {"key": "b", "value": True}], {"a": None, "b": True}),
        ({}, {}),
        ([], {}),
    ],
)
async def test_metadata_is_an_object_or_a_list_of_pairs_and_printed_as_an_object(
    client: Client, sent: Any, shown: dict[str, Any]
) -> None:
    made = await create(client, metadata=sent)
    assert made["metadata"] == shown
    assert (await get(client, made["id"]))["metadata"] == shown


@pytest.mark.parametrize(
    "metadata",
    [
        [{"key": "a", "value": 1}, {"key": "a", "value": 2}],
        [{"value": 1}],
        [{"key": 5, "value": 1}],
        [["a", 1]],
        ["a"],
        [{"key": "a", "value": {}}],
        [{"key": f"k{i}", "value": i} for i in range(51)],
        "x",
    ],
)
async def test_pairs_that_make_no_metadata_are_refused(client: Client, metadata: Any) -> None:
    answer = await client.post("/v1/payments", {"title": "Rifa", "metadata": metadata})
    refusal(answer, "validation_error")
    assert next(iter(answer.json["errors"])).startswith("metadata")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({}, (True, True, False, False)),
        ({"cards": True, "accounts": True}, (True, True, False, False)),
        ({"accounts": False}, (False, True, False, False)),
        ({"cards": False, "pse": True, "wallets": False, "full_extra": True}, (True, False, False, False)),
        # What the account does not have cannot be switched on.
        ({"realtime": True, "card_extra": True}, (True, True, False, False)),
        ({"cards": None}, (True, True, False, False)),
    ],
)
async def test_allows_restricts_the_accounts_methods(
    client: Client, sent: dict[str, Any], shown: tuple[bool, ...]
) -> None:
    made = await create(client, allows=sent)
    assert tuple(made["allows"].values()) == shown


@pytest.mark.parametrize(
    ("allows", "field"),
    [
        ({"cards": False, "accounts": False}, "allows"),
        ({"cards": False, "accounts": False, "realtime": True}, "allows"),
        ({"cards": 1}, "allows.cards"),
        ({"breb": "no"}, "allows.breb"),
        ("cards", "allows"),
    ],
)
async def test_allows_leaves_a_method_and_holds_booleans(client: Client, allows: Any, field: str) -> None:
    await refused(client, [field], allows=allows)


async def test_what_is_not_allowed_cannot_be_used(client: Client) -> None:
    made = await create(client, allows={"cards": False})
    answer = await client.pay(made["id"], method="card", status=409)
    assert answer["code"] == "method_not_allowed_here"
    await client.pay(made["id"], method="pse")
    assert (await get(client, made["id"]))["status"] == "approved"


async def test_an_account_has_its_own_methods(world: World) -> None:
    allows = {"accounts": False, "cards": True, "card_extra": True, "realtime": True}
    merchant = await world.merchant(settings={"allows": allows})
    assert (await create(merchant))["allows"] == allows
    assert (await merchant.invoice())["payment"]["allows"] == allows
    answer = await merchant.post("/v1/payments", {"title": "Rifa", "allows": {"cards": False, "realtime": False}})
    refusal(answer, "validation_error", fields=["allows"])


@pytest.mark.parametrize("splits", [[{}], [1], {}, "x", True])
async def test_splits_are_not_taken(client: Client, splits: Any) -> None:
    await refused(client, ["splits"], splits=splits)


@pytest.mark.parametrize("tax", ["0", -1, -0.5, True, []])
async def test_a_tax_is_a_number_from_zero(client: Client, tax: Any) -> None:
    await refused(client, ["tax"], tax=tax)
    for good in (0, 19, 19.5, 1e-7):
        await create(client, tax=good)


# --- The customer ---


async def test_a_customer_must_exist_in_the_account(client: Client, world: World) -> None:
    other = await world.merchant()
    theirs = (await other.post("/v1/customers", {"first_name": "Ana", "email": "ana@ejemplo.com"})).json["id"]
    for customer_id in (NOBODY, theirs, "x", 5, "", {}):
        await refused(client, ["customer_id"], customer_id=customer_id)


async def test_a_customer_that_only_a_reference_made_is_none_yet(client: Client, world: World) -> None:
    await client.invoice()
    (row,) = await world.rows("SELECT id FROM customer WHERE account_id = $1", client.account_id)
    await refused(client, ["customer_id"], customer_id=str(row["id"]))
    body = {"first_name": "Ana", "email": "ana@ejemplo.com", "related_to": str(row["id"])}
    refusal(await client.post("/v1/customers", body), "validation_error", fields=["related_to"])


# --- The open amount ---


async def test_the_payer_types_an_open_amount_within_the_accounts_bounds(client: Client, world: World) -> None:
    made = await create(client, amount=None)
    assert (made["amount"], made["amount_label"]) == (None, None)
    for amount in (4999, 100_000_001):
        assert (await client.pay(made["id"], amount=amount, status=409))["code"] == "amount_not_allowed"
    await client.pay(made["id"], amount=20_000, outcome="decline")
    assert (await get(client, made["id"]))["amount"] is None
    await client.pay(made["id"], amount=30_000)
    paid = await get(client, made["id"])
    assert (paid["status"], paid["amount"], paid["amount_label"]) == ("approved", 30_000, "$ 30.000")
    assert "partial_payment" not in paid
    assert await told(world, client, made["id"]) == ["payment.created", "payment.rejected", "payment.approved"]


# --- Parts, in cents ---


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ["min_amount_in_cents"]),
        ({"min_amount": 1000}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 150}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 0}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": -100}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 5_000_100}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": "100"}, ["min_amount_in_cents"]),
        ({"min_amount_in_cents": 1000, "max_amount_in_cents": 900}, ["max_amount_in_cents"]),
        ({"min_amount_in_cents": 1000, "max_amount_in_cents": 1050}, ["max_amount_in_cents"]),
        ({"min_amount_in_cents": 1000, "max_payment_methods": 21}, ["max_payment_methods"]),
        ({"min_amount_in_cents": 1000, "timeout_hours": 0}, ["timeout_hours"]),
    ],
)
async def test_limits_in_cents_that_cannot_be_are_refused(
    client: Client, config: dict[str, Any], names: list[str]
) -> None:
    await refused(client, [f"partial_payment_config.{name}" for name in names], partial_payment_config=config)


async def test_parts_need_an_amount(client: Client) -> None:
    await refused(
        client, ["partial_payment_config"], amount=None, partial_payment_config={"min_amount_in_cents": 100_000}
    )


async def test_a_payment_alone_is_paid_in_parts_in_pesos_by_limits_in_cents(client: Client, world: World) -> None:
    config = {"min_amount_in_cents": 1_000_000, "max_amount_in_cents": 4_000_000, "max_payment_methods": 3}
    made = await create(client, partial_payment_config=config)
    assert made["partial_payment_config"] == config | {"timeout_hours": None}
    for amount in (9999, 40_001, 50_000):
        assert (await client.pay(made["id"], amount=amount, status=409))["code"] == "amount_not_allowed"
    await client.pay(made["id"], amount=40_000)
    half = await get(client, made["id"])
    assert (half["status"], half["amount"]) == ("partially_paid", 50_000)
    assert (half["partial_payment"]["total_paid"], half["partial_payment"]["remaining"]) == (40_000, 10_000)
    await client.pay(made["id"])
    assert (await get(client, made["id"]))["status"] == "approved"
    assert await told(world, client, made["id"]) == ["payment.created", "payment.partially_paid", "payment.approved"]


# --- Time ---


async def test_a_link_stops_when_its_time_is_over(client: Client, world: World) -> None:
    now = at((await client.get("/recaudo/v1/clock")).json["now"])
    made = await create(client, expiration_date=now.date().isoformat(), phone="+573167591030")
    await client.advance_clock(days=2)
    await world.drain()
    over = await get(client, made["id"])
    assert (over["status"], over["paid_at"]) == ("expired", None)
    assert over["payment_link"] == made["payment_link"]
    assert await told(world, client, made["id"]) == ["payment.created", "payment.expired"]
    assert (await client.pay(made["id"], status=409))["code"] == "collection_expired"
    refusal(await client.post(f"/v1/payments/{made['id']}"), "payment_expired")
    refusal(await client.delete(f"/v1/payments/{made['id']}"), "payment_expired")


async def test_a_due_day_does_not_stop_a_payment(client: Client, world: World) -> None:
    made = await create(client, due_date="2020-01-01")
    await world.drain()
    await client.pay(made["id"])


async def test_parts_of_a_payment_whose_time_is_over_are_kept(client: Client, world: World) -> None:
    config = {"min_amount_in_cents": 1_000_000, "timeout_hours": 5}
    made = await create(client, partial_payment_config=config, expiration_date="2090-01-01")
    await client.pay(made["id"], amount=10_000)
    half = await get(client, made["id"])
    # The earlier of the two limits counts.
    assert at(half["expiration_at"]) < at("2090-01-01T00:00:00.000000Z")
    await client.advance_clock(hours=6)
    await world.drain()
    over = await get(client, made["id"])
    assert (over["status"], over["partial_payment"]["total_paid"]) == ("partial_expired", 10_000)
    assert await told(world, client, made["id"]) == [
        "payment.created",
        "payment.partially_paid",
        "payment.partial_expired",
    ]


# --- 10.2 Reading ---


async def test_an_invoices_payment_says_what_it_belongs_to(client: Client) -> None:
    made = await client.invoice(email="ana@ejemplo.com", partial_payment_config={"min_amount": 1000}, metadata={"a": 1})
    alone = await get(client, made["payment_id"])
    assert alone == made["payment"] | {
        "invoice_id": made["id"],
        "reference": "1060500333",
        "email": "ana@ejemplo.com",
    }


async def test_an_unknown_payment_does_not_exist(client: Client) -> None:
    path = f"/v1/payments/{NOBODY}"
    for answer in (
        await client.get(path),
        await client.post(path),
        await client.delete(path),
        await client.get(f"{path}/intents"),
    ):
        refusal(answer, "not_found", contains="El cobro no existe.")


async def test_a_payment_that_was_paid_shows_how(client: Client) -> None:
    made = await create(client, customer_id=None)
    await client.pay(made["id"], method="pse")
    paid = await get(client, made["id"])
    assert (paid["status"], paid["method"]["brand"], paid["method"]["country"]) == ("approved", "PSE", "CO")
    assert (paid["method"]["last_four"], paid["method"]["expiration_date"]) == (None, None)
    assert paid["paid_at"] is not None
    assert paid["payment_link"] == made["payment_link"]
    assert (await client.pay(made["id"], status=409))["code"] == "collection_paid"


async def test_a_payment_that_is_paid_twice_says_what_is_too_much(client: Client, world: World) -> None:
    made = await create(client)
    await client.pay(made["id"], outcome="approve_twice")
    paid = await get(client, made["id"])
    assert (paid["status"], paid["amount"], paid["overpaid_amount"]) == ("approved", 50_000, 50_000)
    assert await told(world, client, made["id"]) == ["payment.created", "payment.approved", "payment.overpaid"]


# --- 10.3 Resend ---


async def notices(world: World, client: Client) -> list[tuple[str, str, str | None]]:
    rows = await world.rows(
        "SELECT channel, address, template_id FROM notice WHERE account_id = $1 AND kind = 'reminder' ORDER BY channel",
        client.account_id,
    )
    return [(row["channel"], row["address"], row["template_id"]) for row in rows]


async def test_a_notice_is_queued_to_each_contact(client: Client, world: World) -> None:
    made = await create(client, phone="+573167591030", email="ana@ejemplo.com")
    before = await told(world, client, made["id"])
    answer = await client.call("POST", f"/v1/payments/{made['id']}", {"template_id": "recordatorio"})
    assert (answer.status, answer.json) == (200, made)
    assert await notices(world, client) == [
        ("email", "ana@ejemplo.com", "recordatorio"),
        ("phone", "+573167591030", "recordatorio"),
    ]
    assert await told(world, client, made["id"]) == before
    assert await get(client, made["id"]) == made


async def test_a_payment_is_resent_in_every_live_status(client: Client) -> None:
    made = await client.invoice(amount=100_000, partial_payment_config={"min_amount": 10_000})
    path = f"/v1/payments/{made['payment_id']}"
    seen = []
    for fields in (None, {"amount": 20_000}, {"amount": 20_000, "outcome": "never_answer"}):
        if fields:
            await client.pay(made["payment_id"], **fields)
        answer = await client.post(path)
        assert answer.status == 200
        is_payment(answer.json)
        seen.append(answer.json["status"])
    assert seen == ["pending", "partially_paid", "in_progress"]


async def test_a_payment_that_asks_for_nothing_is_not_resent(client: Client) -> None:
    paid, cancelled = [await create(client, phone="+573167591030") for _ in range(2)]
    await client.pay(paid["id"])
    await client.delete(f"/v1/payments/{cancelled['id']}")
    refusal(await client.post(f"/v1/payments/{paid['id']}"), "payment_already_paid")
    refusal(await client.post(f"/v1/payments/{cancelled['id']}"), "payment_cancelled")
    superseded = await client.invoice()
    await client.put(f"/v1/invoices/{superseded['id']}", {})
    refusal(await client.post(f"/v1/payments/{superseded['payment_id']}"), "payment_cancelled")


async def test_a_payment_without_contact_is_not_resent(client: Client, world: World) -> None:
    made = await create(client)
    refusal(await client.post(f"/v1/payments/{made['id']}"), "payment_without_contact")
    assert await notices(world, client) == []
    # Its state is told first.
    await client.pay(made["id"])
    refusal(await client.post(f"/v1/payments/{made['id']}"), "payment_already_paid")


@pytest.mark.parametrize("template", ["", 5, "x" * 101, "a\x00b", []])
async def test_a_template_is_text(client: Client, template: Any) -> None:
    made = await create(client, phone="+573167591030")
    answer = await client.post(f"/v1/payments/{made['id']}", {"template_id": template})
    refusal(answer, "validation_error", fields=["template_id"])


# --- 10.4 Delete ---


async def test_a_deleted_payment_is_cancelled(client: Client, world: World) -> None:
    made = await create(client)
    path = f"/v1/payments/{made['id']}"
    answer = await client.call("DELETE", path)
    assert (answer.status, answer.body) == (204, b"")
    gone = await get(client, made["id"])
    assert gone == made | {"status": "cancelled"}
    assert await told(world, client, made["id"]) == ["payment.created", "payment.deleted"]
    refusal(await client.delete(path), "payment_cancelled")
    assert (await client.pay(made["id"], status=409))["code"] == "collection_cancelled"


async def test_a_paid_payment_is_not_deleted(client: Client) -> None:
    made = await create(client)
    await client.pay(made["id"])
    refusal(await client.delete(f"/v1/payments/{made['id']}"), "payment_already_paid")
    assert (await get(client, made["id"]))["status"] == "approved"


async def test_deleting_an_invoices_payment_leaves_the_invoice(client: Client, world: World) -> None:
    made = await client.invoice()
    assert (await client.delete(f"/v1/payments/{made['payment_id']}")).status == 204
    now = (await client.get(f"/v1/invoices/{made['id']}")).json
    assert (now["status"], now["remarks"], now["payment_id"]) == ("CREATED", None, made["payment_id"])
    assert now["payment"]["status"] == "cancelled"
    assert (await told(world, client, made["id"]))[2:] == ["payment.deleted"]
    changed = await client.put(f"/v1/invoices/{made['id']}", {})
    assert (changed.status, changed.json["payment"]["status"]) == (200, "pending")
    # There was no live payment to delete.
    assert (await told(world, client, made["id"]))[3:] == ["payment.created", "invoice.updated"]
    await client.delete(f"/v1/payments/{changed.json['payment_id']}")
    assert (await client.delete(f"/v1/invoices/{made['id']}")).status == 204
    assert (await told(world, client, made["id"]))[5:] == ["payment.deleted", "invoice.deleted"]


async def test_parts_of_a_deleted_payment_stay_booked(client: Client) -> None:
    made = await client.invoice(amount=100_000, partial_payment_config={"min_amount": 10_000})
    await client.pay(made["payment_id"], amount=30_000)
    assert (await client.delete(f"/v1/payments/{made['payment_id']}")).status == 204
    now = (await client.get(f"/v1/invoices/{made['id']}")).json
    assert (now["status"], now["amount_received"]) == ("PARTIALLY_PAID", 30_000)
    assert (now["payment"]["status"], now["payment"]["partial_payment"]["remaining"]) == ("cancelled", 70_000)
    changed = (await client.put(f"/v1/invoices/{made['id']}", {})).json
    assert changed["payment"]["amount"] == 70_000


async def test_late_money_on_a_deleted_payment_alone_approves_it(client: Client, world: World) -> None:
    made = await create(client)
    await client.pay(made["id"], outcome="settle_after_replacement", method="pse")
    await client.delete(f"/v1/payments/{made['id']}")
    await client.advance_clock(seconds=10)
    await world.drain()
    paid = await get(client, made["id"])
    assert (paid["status"], "overpaid_amount" in paid) == ("approved", False)
    assert await told(world, client, made["id"]) == ["payment.created", "payment.deleted", "payment.approved"]


async def test_a_deletion_and_a_payment_at_once_never_lose_the_money(client: Client) -> None:
    for _ in range(5):
        made = await create(client)
        answer, _ = await asyncio.gather(
            client.delete(f"/v1/payments/{made['id']}"),
            client.call("POST", f"/recaudo/v1/sandbox/payments/{made['id']}", {}),
        )
        now = await get(client, made["id"])
        if answer.status == 409:
            refusal(answer, "payment_already_paid")
            assert now["status"] == "approved"
        else:
            assert now["status"] in {"cancelled", "approved"}


# --- 7.2 Refunds that the operator books ---


async def test_a_payment_whose_money_went_back_is_refunded(world: World) -> None:
    merchant = await world.merchant()
    made = await create(merchant, phone="+573167591030")
    await merchant.pay(made["id"])
    await world.execute(
        "UPDATE collection SET received_minor = 2000000, refunded_minor = 3000000 WHERE id = $1", made["id"]
    )
    part = await get(merchant, made["id"])
    assert (part["status"], part["refunded_amount"]) == ("approved", 30_000)
    await world.execute("UPDATE collection SET received_minor = 0, refunded_minor = 5000000 WHERE id = $1", made["id"])
    await world.recount(merchant.account_id)
    back = await get(merchant, made["id"])
    assert (back["status"], back["refunded_amount"], back["paid_at"]) == ("refunded", 50_000, part["paid_at"])
    assert (await merchant.get("/v1/payments?filter[status]=refunded")).json["total"] == 1
    refusal(await merchant.post(f"/v1/payments/{made['id']}"), "payment_already_paid")
    refusal(await merchant.delete(f"/v1/payments/{made['id']}"), "payment_already_paid")
