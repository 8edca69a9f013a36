"""Invoices: create, read, change, withdraw, and money that lands late (OnePay specification, section 8)."""

import asyncio
from typing import Any

import pytest

from tests.dialects.onepay.wire import NOBODY, UUID7, at, is_invoice, is_payment, refusal, story, told
from tests.world import Client, World

BODY: dict[str, Any] = {
    "reference": "1060500333",
    "provider": "biller",
    "amount": 50000,
    "name": "Internet plan - Octubre",
    "phone": "+573167591030",
}
FULL: dict[str, Any] = BODY | {
    "provider_id": "987654",
    "description": "Plan de 300 megas,\n\tocho canales",
    "email": "cliente@ejemplo.com",
    "due_date": "2030-10-20",
    "document_url": "https://example.com/document.pdf",
    "metadata": {"contrato": "C-7", "estrato": 3, "mora": False, "nota": None, "iva": 0.19},
    "partial_payment_config": {"min_amount": 10_000},
}
PHONE = "El teléfono debe estar en formato E.164 y ser válido para su país."
EMAIL = "El correo electrónico (email) no es válido."


async def get(client: Client, made: dict[str, Any]) -> dict[str, Any]:
    """The invoice as it is now, after checking its form."""
    answer = await client.get(f"/v1/invoices/{made['id']}")
    assert answer.status == 200
    is_invoice(answer.json)
    return answer.json


async def payment(client: Client, payment_id: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/payments/{payment_id}")
    assert answer.status == 200
    is_payment(answer.json)
    return answer.json


async def put(client: Client, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Change an invoice and return it."""
    answer = await client.put(f"/v1/invoices/{made['id']}", fields)
    assert answer.status == 200, answer.json
    is_invoice(answer.json)
    return answer.json


async def in_parts(client: Client, amount: int = 100_000, *parts: int, **config: int) -> dict[str, Any]:
    """An invoice of which parts were paid."""
    made = await client.invoice(amount=amount, partial_payment_config={"min_amount": 1000, **config})
    for part in parts:
        await client.pay(made["payment_id"], amount=part)
    return await get(client, made)


# --- 8.1 Create ---


async def test_an_invoice_shows_everything_that_was_sent(client: Client, world: World) -> None:
    answer = await client.post("/v1/invoices", FULL)
    assert answer.status == 201
    made = answer.json
    is_invoice(made)
    for name in ("reference", "provider", "provider_id", "amount", "name", "due_date", "metadata"):
        assert made[name] == FULL[name]
    assert (made["status"], made["remarks"], made["is_test"]) == ("CREATED", None, True)
    assert made["created_at"] == made["updated_at"] == made["payment"]["created_at"]
    assert list(made["partial_payment_config"].items()) == [
        ("min_amount", 10_000),
        ("max_amount", None),
        ("max_payment_methods", 20),
        ("timeout_hours", None),
    ]
    asks = made["payment"]
    assert asks == {
        "id": made["payment_id"],
        "source": FULL["name"],
        "currency": "COP",
        "amount": 50000,
        "amount_label": "$ 50.000",
        "title": FULL["name"],
        "description": FULL["description"],
        "phone": "+573167591030",
        "expiration_at": None,
        "due_date": "2030-10-20",
        "document_link": "https://example.com/document.pdf",
        "external_id": "987654",
        "allows": {"accounts": True, "cards": True, "card_extra": False, "realtime": False},
        "status": "pending",
        "is_test": True,
        "created_at": made["created_at"],
        "paid_at": None,
        "payment_link": f"{world.base_url}/payment/{made['payment_id']}",
        "redirect_url": None,
        "provider_id": None,
        "metadata": None,
        "customer": None,
        "method": None,
        "splits": [],
        "company": None,
        "commission": None,
    }
    alone = await payment(client, made["payment_id"])
    assert alone == asks | {"invoice_id": made["id"], "reference": "1060500333", "email": "cliente@ejemplo.com"}
    assert await told(world, client, made["id"]) == ["invoice.created", "payment.created"]


async def test_an_invoice_needs_little(client: Client) -> None:
    made = (await client.post("/v1/invoices", BODY)).json
    is_invoice(made)
    assert (made["provider_id"], made["metadata"], made["due_date"]) == (None, {}, None)
    assert made["partial_payment_config"] is None
    assert made["payment"]["description"] == BODY["name"]
    assert (made["payment"]["document_link"], made["payment"]["external_id"]) == (None, None)


async def test_null_is_as_good_as_not_sent(client: Client) -> None:
    optional = ("provider_id", "description", "email", "due_date", "document_url", "metadata", "partial_payment_config")
    answer = await client.post("/v1/invoices", BODY | dict.fromkeys(optional))
    assert answer.status == 201
    assert answer.json["metadata"] == {}
    assert "recaudo-ignored-fields" not in answer.headers


async def test_every_field_that_is_missing_is_told_at_once(client: Client) -> None:
    for body in ({}, dict.fromkeys(FULL)):
        answer = await client.post("/v1/invoices", body)
        refusal(answer, "validation_error", fields=["reference", "provider", "amount", "name", "phone", "email"])
        for words in ("E.164", "teléfono", "correo", "email"):
            assert words in answer.json["message"]


async def test_every_field_that_is_wrong_is_told_at_once_in_the_order_of_the_table(client: Client) -> None:
    wrong: dict[str, Any] = {
        "partial_payment_config": {"min_amount": 0, "max_amount": -1, "max_payment_methods": 21, "timeout_hours": 0},
        "metadata": [],
        "document_url": "ftp://example.com",
        "due_date": "20/10/2030",
        "email": "cliente",
        "phone": "3167591030",
        "description": "",
        "name": "Luz",
        "amount": 4999,
        "provider": "x" * 51,
        "provider_id": "",
        "reference": "x" * 101,
    }
    answer = await client.post("/v1/invoices", wrong)
    body = refusal(answer, "validation_error")
    nested = [f"partial_payment_config.{name}" for name in wrong["partial_payment_config"]]
    order = ["reference", "provider_id", "provider", "amount", "name", "description", "phone", "email", "due_date"]
    assert list(body["errors"]) == [*order, "document_url", "metadata", *nested]
    assert body["errors"]["phone"] == [PHONE]
    assert body["errors"]["email"] == [EMAIL]
    assert body["errors"]["amount"] == ["El valor debe estar entre $ 5.000 y $ 100.000.000."]
    assert "URL" in body["errors"]["document_url"][0]
    assert "fecha" in body["errors"]["due_date"][0]
    assert (await client.get("/v1/invoices")).json["total"] == 0


@pytest.mark.parametrize(
    "value",
    [
        b"50000",
        b"50000.0",
        b"50000.000000000000000000000000000000000000",
        b"5e4",
        b"5E+4",
        b"500000000e-4",
        b"0.5e5",
    ],
)
async def test_an_amount_is_whole_however_it_is_written(client: Client, value: bytes) -> None:
    text = b'{"reference":"1","provider":"p","name":"Internet","phone":"+573167591030","amount":' + value + b"}"
    answer = await client.post("/v1/invoices", data=text)
    assert answer.status == 201
    assert b'"amount":50000,' in answer.body


@pytest.mark.parametrize(
    "value",
    [
        b'"50000"',
        b'"$ 50.000"',
        b"50000.5",
        b"50000.00000000000000000001",
        b"4999",
        b"4999.99",
        b"100000001",
        b"0",
        b"-0",
        b"-50000",
        b"-5e4",
        b"1e400",
        b"1e-400",
        b"9" * 400,
        b"1e999999999999",
        b"9223372036854775808",
        b"18446744073709551616",
        b"true",
        b"[50000]",
        b'{"value":50000}',
        b"null",
        b'""',
    ],
)
async def test_no_other_amount_is_taken(client: Client, value: bytes) -> None:
    text = b'{"reference":"1","provider":"p","name":"Internet","phone":"+573167591030","amount":' + value + b"}"
    refusal(await client.post("/v1/invoices", data=text), "validation_error", fields=["amount"])


async def test_the_bounds_of_the_amount_are_settings_of_the_account(client: Client, world: World) -> None:
    for amount in (5000, 100_000_000):
        assert (await client.invoice(amount=amount))["amount"] == amount
    bounds = {"amount_min_minor": 100_000, "amount_max_minor": 200_000}
    other = await world.merchant(settings=bounds)
    assert (await other.invoice(amount=1000))["payment"]["amount_label"] == "$ 1.000"
    answer = await other.post("/v1/invoices", BODY | {"amount": 2001})
    refusal(answer, "validation_error", fields=["amount"], contains="El valor debe estar entre $ 1.000 y $ 2.000.")


@pytest.mark.parametrize(
    ("amount", "label"),
    [(5000, "$ 5.000"), (999_999, "$ 999.999"), (1_000_000, "$ 1.000.000"), (100_000_000, "$ 100.000.000")],
)
async def test_labels_have_a_plain_space_and_dots(client: Client, amount: int, label: str) -> None:
    assert (await client.invoice(amount=amount))["payment"]["amount_label"] == label


@pytest.mark.parametrize(
    "name",
    [
        "  Internet  ",
        "Café ☕ y pan 🥖",
        "👩‍👩‍👧‍👦 familia",
        "שלום עולם",
        "فاتورة الإنترنت",
        "互联网套餐计划",
        "Ⅷ ﬁn ½ ñandú",
        "é con tilde suelta",
        "<script>alert(1)</script>",
        "'; DROP TABLE invoice; --",
        'comillas " y \\ barras',
        "%s {0} ${x} {{y}}",
    ],
)
async def test_text_of_any_script_is_kept_as_sent_but_for_the_space_around_it(client: Client, name: str) -> None:
    made = await client.invoice(name=name, reference=name, provider_id=name, metadata={"k": name})
    assert (made["name"], made["reference"], made["provider_id"]) == (name.strip(),) * 3
    assert made["metadata"] == {"k": name}
    assert await get(client, made) == made
    assert made["payment"]["title"] == name.strip()


@pytest.mark.parametrize(
    "name", ["Inter\nnet", "Inter\tnet", "Inter\x00net", "\x1bInternet", "Internet\x7f", "Inter\x9bnet"]
)
async def test_control_characters_are_refused(client: Client, name: str) -> None:
    for field in ("reference", "provider_id", "provider", "name"):
        answer = await client.post("/v1/invoices", BODY | {field: name})
        refusal(answer, "validation_error", fields=[field], contains=field)


async def test_a_description_may_have_lines_and_tabs_and_no_other_control_characters(client: Client) -> None:
    assert (await client.invoice(description="a\n\tb"))["payment"]["description"] == "a\n\tb"
    for text in ("a\rb", "a\x00b", "a\x1bb", "a\x85b"):
        answer = await client.post("/v1/invoices", BODY | {"description": text})
        refusal(answer, "validation_error", fields=["description"])


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("reference", 1, 100), ("provider_id", 1, 100), ("provider", 1, 50), ("name", 5, 100), ("description", 1, 500)],
)
async def test_lengths_count_characters_after_trimming(client: Client, field: str, low: int, high: int) -> None:
    for size in (low, high):
        assert (await client.post("/v1/invoices", BODY | {field: f" {'🥖' * size} "})).status == 201
    for text in ("🥖" * (low - 1) + "  ", "🥖" * (high + 1)):
        refusal(await client.post("/v1/invoices", BODY | {field: text}), "validation_error", fields=[field])
    for value in (5, True, [], {}):
        refusal(await client.post("/v1/invoices", BODY | {field: value}), "validation_error", fields=[field])


@pytest.mark.parametrize("phone", ["+573167591030", "+573991111111", "+573992222222", "+9991234567", "+14155552671"])
async def test_phones_are_e164_and_test_accounts_have_some_of_their_own(
    client: Client, world: World, phone: str
) -> None:
    assert (await client.invoice(phone=phone))["payment"]["phone"] == phone
    live = await world.merchant(live=True)
    answer = await live.post("/v1/invoices", BODY | {"phone": phone})
    if phone in {"+573167591030", "+14155552671"}:
        assert answer.status == 201
    else:
        refusal(answer, "validation_error", fields=["phone"])


@pytest.mark.parametrize(
    "phone",
    [
        "3167591030",
        "573167591030",
        "+57 316 759 1030",
        "+57-3167591030",
        "+57316759103",
        "+5731675910300",
        "+57",
        "+",
        "",
        "+999123456",
        "tel:+573167591030",
        "+٥٧٣١٦٧٥٩١٠٣٠",
        573167591030,
        "+5731675910\u0000",
    ],
)
async def test_any_other_phone_is_refused_in_words_that_clients_look_for(client: Client, phone: object) -> None:
    answer = await client.post("/v1/invoices", BODY | {"phone": phone})
    refusal(answer, "validation_error", fields=["phone"], contains=["E.164", "teléfono"])


@pytest.mark.parametrize(
    "email", ["a", "a@b", "a b@ejemplo.com", "Ana <ana@ejemplo.com>", "a@b.co,c@d.co", "@b.co", "", 5]
)
async def test_a_wrong_email_is_refused_in_words_that_clients_look_for(client: Client, email: object) -> None:
    answer = await client.post("/v1/invoices", BODY | {"email": email})
    refusal(answer, "validation_error", fields=["email"], contains=["correo", "email"])


async def test_the_domain_of_an_email_is_stored_in_lower_case(client: Client) -> None:
    made = await client.invoice(email=" Ana.Gomez@EJEMPLO.Com ")
    assert (await payment(client, made["payment_id"]))["email"] == "Ana.Gomez@ejemplo.com"


@pytest.mark.parametrize(
    ("rule", "sent", "passes"),
    [
        ("either", (), False),
        ("either", ("phone",), True),
        ("either", ("email",), True),
        ("both", ("phone",), False),
        ("both", ("email",), False),
        ("both", ("phone", "email"), True),
        ("none", (), True),
    ],
)
async def test_the_contact_rule_is_a_setting_of_the_account(
    world: World, rule: str, sent: tuple[str, ...], passes: bool
) -> None:
    merchant = await world.merchant(settings={"contact_rule": rule})
    contacts = {"phone": "+573167591030", "email": "ana@ejemplo.com"}
    body = {name: value for name, value in BODY.items() if name != "phone"} | {name: contacts[name] for name in sent}
    answer = await merchant.post("/v1/invoices", body)
    if passes:
        assert answer.status == 201
        assert answer.json["payment"]["phone"] == body.get("phone")
    else:
        refusal(
            answer, "validation_error", fields=["phone", "email"], contains=["E.164", "teléfono", "correo", "email"]
        )


@pytest.mark.parametrize("day", ["2000-01-01", "2020-02-29", "2025-10-20", "2060-12-31"])
async def test_due_days_may_lie_in_the_past(client: Client, day: str) -> None:
    made = await client.invoice(due_date=day)
    assert (made["due_date"], made["payment"]["due_date"]) == (day, day)
    # Paying after it stays possible.
    await client.pay(made["payment_id"])


@pytest.mark.parametrize(
    "day",
    [
        "2025-02-30",
        "2025-02-29",
        "2025-13-01",
        "2025-00-10",
        "2025-1-1",
        "1999-12-31",
        "2999-01-01",
        "20251020",
        "20-10-2025",
        "2025-10-20T00:00:00Z",
        "mañana",
        "",
        20251020,
        "0000-00-00",
    ],
)
async def test_impossible_days_are_refused(client: Client, day: object) -> None:
    answer = await client.post("/v1/invoices", BODY | {"due_date": day})
    refusal(answer, "validation_error", fields=["due_date"], contains="fecha")


@pytest.mark.parametrize(
    "url", ["ftp://x.co", "example.com", "https://", "//x.co/a", "javascript:alert(1)", "x" * 3000, "", 1]
)
async def test_other_addresses_than_web_pages_are_refused(client: Client, url: object) -> None:
    answer = await client.post("/v1/invoices", BODY | {"document_url": url})
    refusal(answer, "validation_error", fields=["document_url"], contains="URL")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"a": "", "b": "x" * 500, "c": True, "d": None, "e": 2**53 - 1, "f": -(2**53) + 1, "g": 1.5, "h": 1e-7},
        {f"k{i}": i for i in range(50)},
        {"x" * 40: 1, "10": 1, "2": 2, "con espacio": 1, "ñ": "🎉"},
    ],
)
async def test_metadata_comes_back_as_sent(client: Client, metadata: dict[str, Any]) -> None:
    made = await client.invoice(metadata=metadata)
    for shown in (made["metadata"], (await get(client, made))["metadata"], (await put(client, made))["metadata"]):
        assert list(shown.items()) == list(metadata.items())


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        "x",
        5,
        {"a": {}},
        {"a": {"b": {"c": 1}}},
        {"a": []},
        {"": 1},
        {"x" * 41: 1},
        {"a": "x" * 501},
        {"a": 2**53},
        {"a": -(2**53)},
        {f"k{i}": i for i in range(51)},
    ],
)
async def test_metadata_that_is_deep_large_or_no_object_is_refused(client: Client, metadata: object) -> None:
    answer = await client.post("/v1/invoices", BODY | {"metadata": metadata})
    refusal(answer, "validation_error", contains="metadata")
    assert next(iter(answer.json["errors"])).split(".")[0] == "metadata"


# --- The natural key ---


async def test_a_provider_id_is_taken_once_per_provider(client: Client) -> None:
    made = await client.invoice(provider_id="987654")
    answer = await client.post("/v1/invoices", BODY | {"provider_id": " 987654 ", "amount": 60000})
    assert answer.body.decode() == (
        '{"message":"Ya existe una factura de \'biller\' con provider_id \'987654\'.","code":40903,'
        f'"code_name":"invoice_exists","existing_id":"{made["id"]}"}}'
    )
    refusal(answer, "invoice_exists", existing_id=made["id"])
    for other in ({"provider": "Biller"}, {"provider_id": "987655"}, {"provider_id": None}):
        assert (await client.post("/v1/invoices", BODY | {"provider_id": "987654"} | other)).status == 201


async def test_the_key_of_a_paid_invoice_stays_taken_and_that_of_a_cancelled_one_is_free(client: Client) -> None:
    made = await client.invoice(provider_id="7")
    await client.pay(made["payment_id"])
    body = BODY | {"provider_id": "7"}
    refusal(await client.post("/v1/invoices", body), "invoice_exists", existing_id=made["id"])
    outside = await client.invoice(provider_id="8")
    await client.delete(f"/v1/invoices/{outside['id']}?reason=PAID_FROM_PROVIDER")
    refusal(await client.post("/v1/invoices", body | {"provider_id": "8"}), "invoice_exists", existing_id=outside["id"])
    cancelled = await client.invoice(provider_id="9")
    await client.delete(f"/v1/invoices/{cancelled['id']}")
    again = await client.post("/v1/invoices", body | {"provider_id": "9"})
    assert again.status == 201
    refusal(
        await client.post("/v1/invoices", body | {"provider_id": "9"}), "invoice_exists", existing_id=again.json["id"]
    )


async def test_an_account_may_allow_duplicates(world: World) -> None:
    merchant = await world.merchant(settings={"allow_duplicate_origin": True})
    a, b = await merchant.invoice(provider_id="7"), await merchant.invoice(provider_id="7")
    assert a["id"] != b["id"]
    c = await merchant.invoice(provider_id="8")
    assert (await put(merchant, c, provider_id="7"))["provider_id"] == "7"
    assert (await merchant.get("/v1/invoices?filter[provider_id]=7")).json["total"] == 3


async def test_of_concurrent_creates_with_one_natural_key_one_passes(client: Client) -> None:
    answers = await asyncio.gather(*(client.post("/v1/invoices", BODY | {"provider_id": "7"}) for _ in range(20)))
    (made,) = [answer.json for answer in answers if answer.status == 201]
    for answer in answers:
        if answer.status != 201:
            refusal(answer, "invoice_exists", existing_id=made["id"])


async def test_a_reference_is_not_unique(client: Client) -> None:
    for _ in range(3):
        await client.invoice(reference="1060500333")
    assert (await client.get("/v1/invoices?filter[reference]=1060500333")).json["total"] == 3


async def test_invoices_of_one_reference_belong_to_one_customer(client: Client, world: World) -> None:
    async def owners() -> list[Any]:
        rows = await world.rows(
            """
            SELECT i.customer_id, c.reference FROM invoice i
            JOIN customer c ON c.account_id = i.account_id AND c.id = i.customer_id
            WHERE i.account_id = $1 ORDER BY i.id
            """,
            client.account_id,
        )
        return [tuple(row) for row in rows]

    made = [await client.invoice(reference=reference) for reference in ("A", "A", "B")]
    (a, _), same, (b, _) = await owners()
    assert (same, a != b) == ((a, "A"), True)
    await put(client, made[0], reference="B")
    await put(client, made[1], reference="C")
    assert [reference for _, reference in await owners()] == ["B", "C", "B"]
    assert (await owners())[0] == (b, "B")


# --- 8.2 Get ---


async def test_an_unknown_invoice_does_not_exist(client: Client) -> None:
    refusal(await client.get(f"/v1/invoices/{NOBODY}"), "not_found", contains="La factura no existe.")
    made = await client.invoice()
    refusal(await client.get(f"/v1/invoices/{made['payment_id']}"), "not_found")
    refusal(await client.get(f"/v1/payments/{made['id']}"), "not_found", contains="El cobro no existe.")


async def test_what_stands_behind_a_payment_alone_is_no_invoice(client: Client, world: World) -> None:
    await client.post("/v1/payments", {"title": "Rifa", "amount": 50000, "reference": "A-1"})
    (row,) = await world.rows("SELECT id FROM invoice WHERE account_id = $1", client.account_id)
    path = f"/v1/invoices/{row['id']}"
    for answer in (await client.get(path), await client.put(path, {"amount": 60000}), await client.delete(path)):
        refusal(answer, "not_found")


# --- 8.4 Change ---


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_cancels_the_payment_and_opens_another(client: Client, world: World, method: str) -> None:
    made = (await client.post("/v1/invoices", FULL)).json
    changes = {
        "reference": "INV-1",
        "provider_id": "1",
        "amount": 75000,
        "name": "Internet - Noviembre",
        "description": "Otra",
        "phone": "+573167591039",
        "email": "otra@ejemplo.com",
        "due_date": "2031-01-01",
        "document_url": "https://example.com/2.pdf",
        "metadata": {"other": 1},
        "partial_payment_config": {
            "min_amount": 5000,
            "max_amount": 6000,
            "max_payment_methods": 3,
            "timeout_hours": 9,
        },
    }
    answer = await client.call(method, f"/v1/invoices/{made['id']}", changes)
    assert answer.status == 200
    changed = answer.json
    is_invoice(changed)
    for name in ("reference", "provider_id", "amount", "name", "due_date", "metadata", "partial_payment_config"):
        assert changed[name] == changes[name]
    for name in ("id", "provider", "created_at", "status"):
        assert changed[name] == made[name]
    assert at(changed["updated_at"]) > at(made["updated_at"])
    asks = changed["payment"]
    assert UUID7.fullmatch(changed["payment_id"])
    assert changed["payment_id"] != made["payment_id"]
    assert (asks["amount"], asks["title"], asks["description"]) == (75000, "Internet - Noviembre", "Otra")
    assert (asks["phone"], asks["external_id"], asks["due_date"]) == ("+573167591039", "1", "2031-01-01")
    assert asks["document_link"] == "https://example.com/2.pdf"
    assert asks["created_at"] == changed["updated_at"]
    old = await payment(client, made["payment_id"])
    assert (old["status"], old["amount"], old["invoice_id"]) == ("cancelled", 50000, made["id"])
    assert old["payment_link"] == made["payment"]["payment_link"]
    assert await get(client, made) == changed
    assert await story(world, client, made["id"]) == ["payment.deleted", "payment.created", "invoice.updated"]


async def test_absent_fields_keep_their_value(client: Client) -> None:
    made = (await client.post("/v1/invoices", FULL)).json
    changed = await put(client, made, name="Otro nombre")
    moving = {"name", "updated_at", "payment_id", "payment"}
    assert {name: changed[name] for name in changed if name not in moving} == {
        name: made[name] for name in made if name not in moving
    }
    assert changed["payment"]["description"] == FULL["description"]


async def test_a_change_of_nothing_makes_a_new_link_all_the_same(client: Client, world: World) -> None:
    made = (await client.post("/v1/invoices", FULL)).json
    for body in ({}, {"amount": 50000}, {"unknown": 1}):
        before = (await get(client, made))["payment_id"]
        changed = await put(client, made, **body)
        assert changed["payment_id"] != before
        assert changed["payment"]["amount"] == 50000
    assert len(await told(world, client, made["id"])) == 2 + 3 * 3


async def test_null_clears_what_is_optional(client: Client) -> None:
    made = (await client.post("/v1/invoices", FULL)).json
    optional = ("provider_id", "description", "email", "due_date", "document_url", "metadata", "partial_payment_config")
    changed = await put(client, made, **dict.fromkeys(optional))
    assert (changed["provider_id"], changed["due_date"], changed["partial_payment_config"]) == (None, None, None)
    assert changed["metadata"] == {}
    asks = changed["payment"]
    assert (asks["description"], asks["document_link"], asks["external_id"], asks["due_date"]) == (
        FULL["name"],
        None,
        None,
        None,
    )
    assert "email" not in await payment(client, changed["payment_id"])
    # Its provider_id is free again.
    assert (await client.post("/v1/invoices", FULL)).status == 201


async def test_null_is_refused_for_what_is_required(client: Client) -> None:
    made = await client.invoice()
    answer = await client.put(f"/v1/invoices/{made['id']}", {"reference": None, "amount": None, "name": None})
    refusal(answer, "validation_error", fields=["reference", "amount", "name"])
    assert await get(client, made) == made


async def test_the_contact_rule_is_checked_on_the_result(client: Client) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    refusal(await client.put(path, {"phone": None}), "validation_error", fields=["phone", "email"])
    changed = await put(client, made, phone=None, email="ana@ejemplo.com")
    assert changed["payment"]["phone"] is None
    refusal(await client.put(path, {"email": None}), "validation_error", fields=["phone", "email"])


async def test_an_account_that_asks_for_both_contacts_asks_for_them_on_change_too(world: World) -> None:
    merchant = await world.merchant(settings={"contact_rule": "both"})
    made = await merchant.invoice(email="ana@ejemplo.com")
    for body in ({"phone": None}, {"email": None}):
        answer = await merchant.put(f"/v1/invoices/{made['id']}", body)
        refusal(answer, "validation_error", fields=["phone", "email"])


async def test_stored_limits_of_parts_must_fit_a_new_amount(client: Client) -> None:
    made = await client.invoice(amount=50_000, partial_payment_config={"min_amount": 20_000})
    path = f"/v1/invoices/{made['id']}"
    answer = await client.put(path, {"amount": 19_000})
    refusal(answer, "validation_error", fields=["partial_payment_config.min_amount"])
    answer = await client.put(path, {"amount": 19_000, "partial_payment_config": {"min_amount": 19_001}})
    refusal(answer, "validation_error", fields=["partial_payment_config.min_amount"])
    assert (await put(client, made, amount=20_000))["amount"] == 20_000
    assert (await put(client, made, amount=19_000, partial_payment_config=None))["amount"] == 19_000


async def test_a_new_natural_key_must_be_free(client: Client) -> None:
    taken, made = await client.invoice(provider_id="7"), await client.invoice(provider_id="8")
    path = f"/v1/invoices/{made['id']}"
    answer = await client.put(path, {"provider_id": "7", "amount": 60000})
    refusal(
        answer,
        "invoice_exists",
        existing_id=taken["id"],
        contains="Ya existe una factura de 'biller' con provider_id '7'.",
    )
    assert await get(client, made) == made
    # Its own is no obstacle; that of a cancelled invoice is free.
    assert (await put(client, made, provider_id="8"))["provider_id"] == "8"
    await client.delete(f"/v1/invoices/{taken['id']}")
    assert (await put(client, made, provider_id="7"))["provider_id"] == "7"
    assert (await client.invoice(provider_id="8"))["provider_id"] == "8"


async def test_of_concurrent_changes_to_one_natural_key_one_passes(client: Client) -> None:
    made = [await client.invoice(provider_id=str(i)) for i in range(6)]
    answers = await asyncio.gather(*(client.put(f"/v1/invoices/{one['id']}", {"provider_id": "x"}) for one in made))
    (passed,) = [answer.json for answer in answers if answer.status == 200]
    for answer in answers:
        if answer.status != 200:
            refusal(answer, "invoice_exists", existing_id=passed["id"])


async def test_an_invoice_paid_in_parts_asks_for_the_rest_after_a_change(client: Client, world: World) -> None:
    made = await in_parts(client, 100_000, 30_000)
    changed = await put(client, made, amount=120_000)
    assert (changed["amount"], changed["amount_received"], changed["status"]) == (120_000, 30_000, "PARTIALLY_PAID")
    assert (changed["payment"]["amount"], changed["payment"]["status"]) == (90_000, "pending")
    assert "partial_payment" not in changed["payment"]
    old = await payment(client, made["payment_id"])
    assert (old["status"], old["amount"]) == ("cancelled", 100_000)
    assert (old["partial_payment"]["total_paid"], old["partial_payment"]["remaining"]) == (30_000, 70_000)
    assert (await story(world, client, made["id"]))[2:] == ["payment.deleted", "payment.created", "invoice.updated"]
    # The bounds of the account are for the total, not for the rest.
    little = await put(client, made, amount=31_000)
    assert little["payment"]["amount"] == 1000
    await client.pay(little["payment_id"])
    assert (await get(client, made))["status"] == "PAID"


async def test_a_total_below_what_was_received_is_refused(client: Client) -> None:
    made = await in_parts(client, 100_000, 30_000)
    path = f"/v1/invoices/{made['id']}"
    refusal(await client.put(path, {"amount": 29_999}), "amount_below_received")
    refusal(await client.put(path, {"amount": 5000}), "amount_below_received")
    refusal(await client.put(path, {"amount": 4999}), "validation_error", fields=["amount"])
    assert await get(client, made) == made


async def test_a_total_of_exactly_what_was_received_pays_the_invoice(client: Client, world: World) -> None:
    made = await in_parts(client, 100_000, 30_000)
    changed = await put(client, made, amount=30_000, name="Ajuste final")
    assert (changed["status"], changed["amount"], changed["amount_received"]) == ("PAID", 30_000, 30_000)
    assert changed["payment_id"] == made["payment_id"]
    assert (changed["payment"]["status"], changed["name"]) == ("approved", "Ajuste final")
    assert changed["payment"]["paid_at"] == changed["updated_at"]
    assert (await story(world, client, made["id"]))[2:] == ["payment.approved", "invoice.updated", "invoice.paid"]
    refusal(await client.put(f"/v1/invoices/{made['id']}", {}), "invoice_already_paid")


async def test_the_same_with_a_payment_that_received_nothing_cancels_it(client: Client, world: World) -> None:
    made = await put(client, await in_parts(client, 100_000, 30_000))
    changed = await put(client, made, amount=30_000)
    assert (changed["status"], changed["payment"]["status"]) == ("PAID", "cancelled")
    assert changed["payment_id"] == made["payment_id"]
    assert changed["payment"]["paid_at"] is None
    assert (await story(world, client, made["id"]))[-3:] == ["payment.deleted", "invoice.updated", "invoice.paid"]


async def test_a_settled_invoice_does_not_change(client: Client, world: World) -> None:
    paid, outside, cancelled = [await client.invoice() for _ in range(3)]
    await client.pay(paid["payment_id"])
    await client.delete(f"/v1/invoices/{outside['id']}", {"reason": "PAID_FROM_PROVIDER"})
    await client.delete(f"/v1/invoices/{cancelled['id']}")
    for made, code_name in (
        (paid, "invoice_already_paid"),
        (outside, "invoice_already_paid"),
        (cancelled, "invoice_cancelled"),
    ):
        before = await get(client, made)
        for body in ({}, {"amount": 60000}):
            answer = await client.put(f"/v1/invoices/{made['id']}", body)
            refusal(answer, code_name)
        assert await get(client, made) == before
    assert (await client.put(f"/v1/invoices/{paid['id']}", {})).body.decode() == (
        '{"message":"La factura ya está pagada.","code":40904,"code_name":"invoice_already_paid"}'
    )


async def test_an_uncollectible_invoice_does_not_change_and_can_be_withdrawn(world: World) -> None:
    merchant = await world.merchant()
    for reason, status in (("DELETE_FROM_PROVIDER", "CANCELLED"), ("PAID_FROM_PROVIDER", "PAID")):
        made = await merchant.invoice()
        await world.execute("UPDATE invoice SET state = 'uncollectible' WHERE id = $1", made["id"])
        await world.execute("UPDATE collection SET state = 'uncollectible' WHERE id = $1", made["payment_id"])
        await world.recount(merchant.account_id)
        now = await get(merchant, made)
        assert (now["status"], now["payment"]["status"]) == ("UNCOLLECTIBLE", "cancelled")
        assert (await merchant.get("/v1/invoices?filter[status]=uncollectible")).json["total"] == 1
        refusal(await merchant.put(f"/v1/invoices/{made['id']}", {}), "invoice_uncollectible")
        assert (await merchant.delete(f"/v1/invoices/{made['id']}", {"reason": reason})).status == 204
        assert (await get(merchant, made))["status"] == status


async def test_an_invoice_in_instalments_does_not_change(world: World) -> None:
    merchant = await world.merchant()
    made = await merchant.invoice()
    # Another dialect splits an invoice into several payments that live together.
    await world.execute("UPDATE collection SET amount_minor = amount_minor / 2 WHERE id = $1", made["payment_id"])
    await world.execute(
        """
        INSERT INTO collection SELECT (c).* FROM (
            SELECT jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'ordinal', 2)) AS c
            FROM collection c WHERE id = $1
        ) copied
        """,
        made["payment_id"],
    )
    refusal(await merchant.put(f"/v1/invoices/{made['id']}", {}), "invoice_has_installments")
    assert (await merchant.delete(f"/v1/invoices/{made['id']}")).status == 204
    assert (await merchant.get("/v1/payments?filter[status]=cancelled")).json["total"] == 2


async def test_an_attempt_in_progress_does_not_block_a_change(client: Client) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"], outcome="never_answer")
    assert (await get(client, made))["payment"]["status"] == "in_progress"
    changed = await put(client, made, amount=60000)
    assert (changed["payment"]["status"], changed["payment"]["amount"]) == ("pending", 60000)
    assert (await payment(client, made["payment_id"]))["status"] == "cancelled"


async def test_two_changes_at_once_follow_one_another(client: Client, world: World) -> None:
    made = await client.invoice()
    answers = await asyncio.gather(*(client.put(f"/v1/invoices/{made['id']}", {"amount": 60000 + i}) for i in range(8)))
    assert {answer.status for answer in answers} == {200}
    payments = [answer.json["payment_id"] for answer in answers]
    assert len(set(payments)) == 8
    last = await get(client, made)
    assert last["payment_id"] == max(payments)
    listed = (await client.get("/v1/payments?filter[status]=pending")).json
    assert [row["id"] for row in listed["data"]] == [last["payment_id"]]
    assert await story(world, client, made["id"]) == ["payment.deleted", "payment.created", "invoice.updated"] * 8


async def test_a_change_and_a_payment_at_once_never_lose_the_money(client: Client) -> None:
    for _ in range(5):
        made = await client.invoice()
        answer, _ = await asyncio.gather(
            client.put(f"/v1/invoices/{made['id']}", {"amount": 60000}),
            client.call("POST", f"/recaudo/v1/sandbox/payments/{made['payment_id']}", {}),
        )
        now = await get(client, made)
        old = await payment(client, made["payment_id"])
        if answer.status == 409:
            refusal(answer, "invoice_already_paid")
            assert (now["status"], old["status"]) == ("PAID", "approved")
        elif old["status"] == "approved":
            # The attempt began before the change and ended after it.
            assert (now["status"], now["amount_received"], now["payment"]["amount"]) == ("PARTIALLY_PAID", 50000, 10000)
        else:
            assert (now["status"], old["status"], "amount_received" in now) == ("CREATED", "cancelled", False)


# --- 8.5 Withdraw ---


@pytest.mark.parametrize("form", ["nothing", "empty", "body", "query", "both", "null"])
async def test_a_withdrawn_invoice_is_cancelled(client: Client, world: World, form: str) -> None:
    made = await client.invoice()
    reason = "DELETE_FROM_PROVIDER"
    body: Any = {"empty": {}, "body": {"reason": reason}, "both": {"reason": reason}, "null": {"reason": None}}.get(
        form
    )
    query = f"?reason={reason}" if form in {"query", "both"} else ""
    answer = await client.delete(f"/v1/invoices/{made['id']}{query}", body)
    assert (answer.status, answer.body) == (204, b"")
    assert "recaudo-ignored-fields" not in answer.headers
    now = await get(client, made)
    assert (now["status"], now["payment"]["status"]) == ("CANCELLED", "cancelled")
    assert list(now["remarks"]) == ["code", "description"]
    assert now["remarks"]["code"] == reason
    assert now["remarks"]["description"].endswith(".")
    assert at(now["updated_at"]) > at(made["updated_at"])
    assert now["payment"]["payment_link"] == made["payment"]["payment_link"]
    assert await story(world, client, made["id"]) == ["payment.deleted", "invoice.deleted"]


@pytest.mark.parametrize("form", ["body", "query", "both"])
async def test_an_invoice_paid_outside_is_paid(client: Client, world: World, form: str) -> None:
    made = await client.invoice()
    reason = "PAID_FROM_PROVIDER"
    body = {"reason": reason} if form in {"body", "both"} else None
    query = f"?reason={reason}" if form in {"query", "both"} else ""
    assert (await client.delete(f"/v1/invoices/{made['id']}{query}", body)).status == 204
    now = await get(client, made)
    assert (now["status"], now["amount_received"], now["payment"]["status"]) == ("PAID", 50000, "cancelled")
    assert now["remarks"]["code"] == reason
    assert (now["payment"]["paid_at"], now["payment"]["method"]) == (None, None)
    assert await story(world, client, made["id"]) == ["payment.deleted", "invoice.paid"]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?reason=PAID", None),
        ("?reason=", None),
        ("?reason=paid_from_provider", None),
        ("", {"reason": "x"}),
        ("", {"reason": ""}),
        ("", {"reason": 5}),
        ("?reason=PAID_FROM_PROVIDER", {"reason": "DELETE_FROM_PROVIDER"}),
        ("?reason=DELETE_FROM_PROVIDER", {"reason": "PAID_FROM_PROVIDER"}),
        ("?reason=x", {"reason": "PAID_FROM_PROVIDER"}),
    ],
)
async def test_any_other_reason_is_refused(client: Client, query: str, body: Any) -> None:
    made = await client.invoice()
    answer = await client.delete(f"/v1/invoices/{made['id']}{query}", body)
    refusal(answer, "validation_error", fields=["reason"])
    assert await get(client, made) == made


@pytest.mark.parametrize("first", ["DELETE_FROM_PROVIDER", "PAID_FROM_PROVIDER"])
@pytest.mark.parametrize("second", ["DELETE_FROM_PROVIDER", "PAID_FROM_PROVIDER"])
async def test_what_was_withdrawn_is_already_gone(client: Client, first: str, second: str) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    assert (await client.delete(path, {"reason": first})).status == 204
    before = await get(client, made)
    refusal(await client.delete(path, {"reason": second}), "not_found", contains="La factura no existe.")
    assert await get(client, made) == before


async def test_a_paid_invoice_is_not_withdrawn(client: Client) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"])
    for body in (None, {"reason": "DELETE_FROM_PROVIDER"}, {"reason": "PAID_FROM_PROVIDER"}):
        refusal(await client.delete(f"/v1/invoices/{made['id']}", body), "invoice_already_paid")
    assert (await get(client, made))["status"] == "PAID"


async def test_parts_of_a_withdrawn_invoice_become_the_customers_credit(client: Client, world: World) -> None:
    made = await in_parts(client, 100_000, 30_000, 20_000)
    assert (await client.delete(f"/v1/invoices/{made['id']}")).status == 204
    now = await get(client, made)
    assert (now["status"], "amount_received" in now) == ("CANCELLED", False)
    assert (now["payment"]["status"], now["payment"]["overpaid_amount"]) == ("cancelled", 50_000)
    assert now["payment"]["partial_payment"]["total_paid"] == 50_000
    assert (await story(world, client, made["id"]))[4:] == ["payment.deleted", "invoice.deleted", "payment.overpaid"]


async def test_of_an_invoice_paid_in_parts_only_the_rest_was_paid_outside(client: Client, world: World) -> None:
    made = await in_parts(client, 100_000, 30_000)
    await client.delete(f"/v1/invoices/{made['id']}", {"reason": "PAID_FROM_PROVIDER"})
    now = await get(client, made)
    assert (now["status"], now["amount_received"], now["payment"]["status"]) == ("PAID", 100_000, "cancelled")
    assert "overpaid_amount" not in now["payment"]
    receipts = await world.rows(
        "SELECT kind, amount_minor FROM receipt WHERE account_id = $1 ORDER BY id", client.account_id
    )
    assert [(r["kind"], r["amount_minor"]) for r in receipts] == [("gateway", 3_000_000), ("outside", 7_000_000)]
    assert (await story(world, client, made["id"]))[2:] == ["payment.deleted", "invoice.paid"]


async def test_a_withdrawal_and_a_payment_at_once_never_lose_the_money(client: Client) -> None:
    for _ in range(5):
        made = await client.invoice()
        answer, _ = await asyncio.gather(
            client.delete(f"/v1/invoices/{made['id']}"),
            client.call("POST", f"/recaudo/v1/sandbox/payments/{made['payment_id']}", {}),
        )
        now = await get(client, made)
        if answer.status == 409:
            refusal(answer, "invoice_already_paid")
            assert (now["status"], now["payment"]["status"]) == ("PAID", "approved")
        elif now["payment"]["status"] == "approved":
            assert (now["status"], now["payment"]["overpaid_amount"]) == ("CANCELLED", 50000)
        else:
            assert (now["status"], now["payment"]["status"]) == ("CANCELLED", "cancelled")


# --- Money that lands late ---


async def late(client: Client, payment_id: str, **fields: Any) -> None:
    """A bank transfer that is started now and settles once its payment is superseded or cancelled."""
    await client.pay(payment_id, outcome="settle_after_replacement", method="pse", **fields)


async def settle(client: Client, world: World) -> None:
    await client.advance_clock(seconds=10)
    await world.drain()


async def test_late_money_on_a_superseded_payment_lowers_the_current_one(client: Client, world: World) -> None:
    made = await client.invoice()
    await late(client, made["payment_id"])
    changed = await put(client, made, amount=80_000)
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], now["amount"], now["amount_received"]) == ("PARTIALLY_PAID", 80_000, 50_000)
    assert now["payment_id"] == changed["payment_id"]
    assert now["payment"] == changed["payment"] | {"amount": 30_000, "amount_label": "$ 30.000"}
    old = await payment(client, made["payment_id"])
    assert (old["status"], old["amount"], old["method"]["brand"]) == ("approved", 50_000, "PSE")
    assert old["paid_at"] is not None
    assert (await story(world, client, made["id"]))[3:] == ["payment.approved", "invoice.partially_paid"]
    await client.pay(now["payment_id"])
    assert (await get(client, made))["status"] == "PAID"


async def test_late_money_that_covers_the_invoice_cancels_the_current_payment(client: Client, world: World) -> None:
    made = await client.invoice()
    await late(client, made["payment_id"])
    await put(client, made, name="Internet - Corregido")
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], now["payment"]["status"], now["payment"]["paid_at"]) == ("PAID", "cancelled", None)
    assert (await payment(client, made["payment_id"]))["status"] == "approved"
    assert (await story(world, client, made["id"]))[3:] == ["payment.approved", "payment.deleted", "invoice.paid"]
    refusal(await client.put(f"/v1/invoices/{made['id']}", {}), "invoice_already_paid")


async def test_late_money_above_the_balance_becomes_credit(client: Client, world: World) -> None:
    made = await client.invoice()
    await late(client, made["payment_id"])
    await put(client, made, amount=20_000)
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], now["amount_received"], now["payment"]["status"]) == ("PAID", 20_000, "cancelled")
    old = await payment(client, made["payment_id"])
    assert (old["status"], old["overpaid_amount"]) == ("approved", 30_000)
    assert (await story(world, client, made["id"]))[3:] == [
        "payment.approved",
        "payment.deleted",
        "invoice.paid",
        "payment.overpaid",
    ]


async def test_a_late_part_is_shown_on_the_superseded_payment_that_stays_cancelled(
    client: Client, world: World
) -> None:
    made = await in_parts(client, 100_000)
    await late(client, made["payment_id"], amount=40_000)
    changed = await put(client, made)
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], now["payment_id"]) == ("PARTIALLY_PAID", changed["payment_id"])
    assert (now["payment"]["amount"], now["payment"]["status"]) == (60_000, "pending")
    old = await payment(client, made["payment_id"])
    assert (old["status"], old["paid_at"]) == ("cancelled", None)
    assert (old["partial_payment"]["total_paid"], old["partial_payment"]["remaining"]) == (40_000, 60_000)
    assert (await story(world, client, made["id"]))[3:] == ["invoice.partially_paid"]


async def test_late_money_on_a_withdrawn_invoice_is_all_credit(client: Client, world: World) -> None:
    made = await client.invoice()
    await late(client, made["payment_id"])
    await client.delete(f"/v1/invoices/{made['id']}")
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], "amount_received" in now) == ("CANCELLED", False)
    assert (now["payment"]["status"], now["payment"]["overpaid_amount"]) == ("approved", 50_000)
    assert (await story(world, client, made["id"]))[2:] == ["payment.approved", "payment.overpaid"]


async def test_late_money_on_an_invoice_paid_meanwhile_is_all_credit(client: Client, world: World) -> None:
    made = await client.invoice()
    await late(client, made["payment_id"])
    changed = await put(client, made, amount=80_000)
    await client.pay(changed["payment_id"])
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], now["amount_received"], now["payment"]["status"]) == ("PAID", 80_000, "approved")
    assert "overpaid_amount" not in now["payment"]
    old = await payment(client, made["payment_id"])
    assert (old["status"], old["overpaid_amount"]) == ("approved", 50_000)
    assert (await story(world, client, made["id"]))[5:] == ["payment.approved", "payment.overpaid"]


async def test_late_money_on_a_cancelled_payment_is_booked_on_its_invoice(client: Client, world: World) -> None:
    made = await client.invoice()
    await late(client, made["payment_id"])
    await client.delete(f"/v1/payments/{made['payment_id']}")
    await settle(client, world)
    now = await get(client, made)
    assert (now["status"], now["payment"]["status"]) == ("PAID", "approved")
    assert (await story(world, client, made["id"]))[1:] == ["payment.approved", "invoice.paid"]


async def test_money_that_arrives_twice_is_credit_the_second_time(client: Client, world: World) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"], outcome="approve_twice")
    now = await get(client, made)
    assert (now["status"], now["amount_received"]) == ("PAID", 50_000)
    assert (now["payment"]["status"], now["payment"]["overpaid_amount"]) == ("approved", 50_000)
    assert await story(world, client, made["id"]) == ["payment.approved", "invoice.paid", "payment.overpaid"]
    credit = await world.rows(
        "SELECT sum(amount_minor) AS s FROM transfer WHERE account_id = $1 AND credit = 'credit'", client.account_id
    )
    assert credit[0]["s"] == 5_000_000


async def test_a_part_that_arrives_twice_counts_twice_while_something_is_owed(client: Client, world: World) -> None:
    made = await in_parts(client, 100_000)
    await client.pay(made["payment_id"], amount=60_000, outcome="approve_twice")
    now = await get(client, made)
    assert (now["status"], now["amount_received"], now["payment"]["overpaid_amount"]) == ("PAID", 100_000, 20_000)
    assert now["payment"]["partial_payment"]["total_paid"] == 120_000
    assert now["payment"]["partial_payment"]["remaining"] == 0
    assert await story(world, client, made["id"]) == [
        "payment.partially_paid",
        "invoice.partially_paid",
        "payment.approved",
        "invoice.paid",
        "payment.overpaid",
    ]
