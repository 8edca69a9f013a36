"""The four lists: pages, filters, order, and queries that are refused (OnePay specification, section 4)."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.dialects.onepay.wire import CUSTOMER, INTENT, INVOICE_ROW, NOBODY, PAGE, is_payment, refusal
from tests.world import Client, World

LISTS = ("invoices", "payments", "payment-intents", "customers")

ALLOWED = {
    "invoices": "status, reference, provider, provider_id, id",
    "payments": "status, id, external_id, reference",
    "payment-intents": "id, status, external_id",
    "customers": "id, document_number, email, phone",
}
SORTS = {
    "invoices": "created_at, -created_at",
    "payments": "created_at, -created_at",
    "payment-intents": "created_at, -created_at, paid_at, -paid_at",
    "customers": "created_at, -created_at",
}


async def page(client: Client, path: str, **parameters: object) -> dict[str, Any]:
    """A page, after checking its envelope."""
    query = "&".join(f"{quote(name)}={quote(str(value))}" for name, value in parameters.items())
    answer = await client.get(f"/v1/{path}?{query}")
    assert answer.status == 200, answer.json
    assert list(answer.json) == PAGE
    rows = answer.json["data"]
    assert len(rows) <= answer.json["per_page"]
    assert (answer.json["from"] is None) == (answer.json["to"] is None) == (not rows)
    return answer.json


async def ids(client: Client, path: str, **filters: object) -> list[str]:
    """The ids that filters let through; `sort` and others go without brackets."""
    plain = {"sort", "page", "per_page", "limit", "document_number"}
    query = {name if name in plain else f"filter[{name}]": value for name, value in filters.items()}
    return [row["id"] for row in (await page(client, path, **query))["data"]]


# --- Pages ---


@pytest.mark.parametrize("path", LISTS)
async def test_an_empty_list_has_one_empty_page(client: Client, path: str) -> None:
    answer = await client.get(f"/v1/{path}")
    assert answer.body == (b'{"data":[],"current_page":1,"from":null,"last_page":1,"per_page":20,"to":null,"total":0}')


@pytest.mark.parametrize("path", ["invoices", "payments", "customers", "payment-intents"])
async def test_pages_together_hold_every_row_once_newest_first(client: Client, path: str) -> None:
    made = await _many(client, path, 23)
    first = await page(client, path)
    assert [first[name] for name in PAGE[1:]] == [1, 1, 2, 20, 20, 23]
    second = await page(client, path, page=2)
    assert [second[name] for name in PAGE[1:]] == [2, 21, 2, 20, 23, 23]
    seen = [row["id"] for row in [*first["data"], *second["data"]]]
    assert seen == sorted(made, reverse=True)
    assert await ids(client, path, sort="-created_at", per_page=100) == seen
    assert await ids(client, path, sort="created_at", per_page=100) == sorted(made)
    exact = await page(client, path, per_page=23)
    assert [exact[name] for name in PAGE[1:]] == [1, 1, 1, 23, 23, 23]
    last = await page(client, path, per_page=10, page=3)
    assert [last[name] for name in PAGE[1:]] == [3, 21, 3, 10, 23, 23]


@pytest.mark.parametrize("number", [2, 3, 1_000_000, 10**12])
async def test_past_the_end_the_page_is_empty(client: Client, number: int) -> None:
    await client.invoice()
    found = await page(client, "invoices", page=number)
    assert found == {
        "data": [],
        "current_page": number,
        "from": None,
        "last_page": 1,
        "per_page": 20,
        "to": None,
        "total": 1,
    }


# --- Queries that are refused ---


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e2", "x", "", "+1", "9" * 40, "1,2", "\u0661"])
async def test_a_bad_page_is_refused(client: Client, path: str, value: str) -> None:
    for name in ("page", "per_page"):
        answer = await client.get(f"/v1/{path}?{name}={quote(value)}")
        refusal(answer, "invalid_query", fields=[name])
        assert name in answer.json["message"]


@pytest.mark.parametrize("value", ["101", "1000"])
async def test_a_page_has_at_most_a_hundred_rows(client: Client, value: str) -> None:
    answer = await client.get(f"/v1/invoices?per_page={value}")
    refusal(answer, "invalid_query", fields=["per_page"])
    assert "100" in answer.json["errors"]["per_page"][0]
    assert (await client.get("/v1/invoices?per_page=100")).status == 200


async def test_an_unknown_filter_is_answered_as_published(client: Client) -> None:
    text = "Filtro no permitido. Permitidos: status, reference, provider, provider_id, id."
    assert (await client.get("/v1/invoices?filter[foo]=1")).json == {
        "message": "Filtro no permitido: foo. Filtros permitidos: status, reference, provider, provider_id, id.",
        "code": 40002,
        "code_name": "invalid_query",
        "errors": {"filter[foo]": [text]},
        "erros": [{"key": "filter[foo]", "description": text}],
    }


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "name", ["filter[foo]", "filter[]", "filter[Status]", "filter[created_at]", "filter[status][]"]
)
async def test_an_unknown_filter_is_refused_and_told_the_known_ones(client: Client, path: str, name: str) -> None:
    answer = await client.get(f"/v1/{path}?{quote(name)}=1")
    refusal(answer, "invalid_query", fields=[name])
    assert ALLOWED[path] in answer.json["message"]
    assert ALLOWED[path] in answer.json["errors"][name][0]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("value", ["amount", "", "-", "created_at,id", "CREATED_AT", "--created_at", "updated_at"])
async def test_an_unknown_order_is_refused_and_told_the_known_ones(client: Client, path: str, value: str) -> None:
    answer = await client.get(f"/v1/{path}?sort={value}")
    refusal(answer, "invalid_query", fields=["sort"])
    assert SORTS[path] in answer.json["errors"]["sort"][0]


async def test_only_intents_are_sorted_by_payment(client: Client) -> None:
    for path in ("invoices", "payments", "customers"):
        for sort in ("paid_at", "-paid_at"):
            refusal(await client.get(f"/v1/{path}?sort={sort}"), "invalid_query", fields=["sort"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("invoices", "pending"),
        ("invoices", "CREATED,foo"),
        ("invoices", ""),
        ("invoices", "open"),
        ("payments", "PAID"),
        ("payments", "pending;cancelled"),
        ("payment-intents", "approved"),
        ("payment-intents", "unknown"),
    ],
)
async def test_an_unknown_status_is_refused_and_told_the_known_ones(client: Client, path: str, value: str) -> None:
    answer = await client.get(f"/v1/{path}?filter[status]={value}")
    refusal(answer, "invalid_query", fields=["filter[status]"])
    assert {"invoices": "CREATED", "payments": "partial_expired", "payment-intents": "disputed"}[path] in (
        answer.json["errors"]["filter[status]"][0]
    )


async def test_all_that_is_wrong_is_told_at_once(client: Client) -> None:
    answer = await client.get("/v1/invoices?page=0&sort=x&filter[foo]=1&per_page=0&filter[status]=x&debug=1")
    refusal(answer, "invalid_query")
    assert set(answer.json["errors"]) == {"page", "per_page", "sort", "filter[foo]", "filter[status]"}


@pytest.mark.parametrize("path", LISTS)
async def test_other_parameters_are_ignored_and_reported(client: Client, path: str) -> None:
    answer = await client.get(f"/v1/{path}?foo=1&Page=0&filter=x&include[]=y&foo=2")
    assert answer.status == 200
    assert answer.headers["recaudo-ignored-fields"] == "foo,Page,filter,include[]"


# --- Filters ---


async def test_invoices_are_found_by_each_filter(client: Client) -> None:
    a = await client.invoice(reference="A-1", provider="erp", provider_id="1")
    b = await client.invoice(reference="A-1", provider="crm", provider_id="2")
    c = await client.invoice(reference="a-1", provider="erp")
    everyone = [c["id"], b["id"], a["id"]]
    assert await ids(client, "invoices") == everyone
    assert await ids(client, "invoices", reference="A-1") == [b["id"], a["id"]]
    assert await ids(client, "invoices", reference="a-1") == [c["id"]]
    assert await ids(client, "invoices", reference=" A-1 ") == [b["id"], a["id"]]
    assert await ids(client, "invoices", reference="A-1,a-1") == everyone
    assert await ids(client, "invoices", provider="erp") == [c["id"], a["id"]]
    assert await ids(client, "invoices", provider_id="1,2,3") == [b["id"], a["id"]]
    assert await ids(client, "invoices", id=a["id"]) == [a["id"]]
    assert await ids(client, "invoices", id=f"{a['id'].upper()},x,{NOBODY}, {c['id']}") == [c["id"], a["id"]]
    assert await ids(client, "invoices", provider="erp", reference="A-1") == [a["id"]]
    assert await ids(client, "invoices", provider="crm", provider_id="1") == []


@pytest.mark.parametrize("value", ["x", "1", "", ",", NOBODY[:-1], NOBODY, f"{{{NOBODY}}}"])
@pytest.mark.parametrize("path", LISTS)
async def test_an_id_that_is_none_matches_nothing(client: Client, path: str, value: str) -> None:
    await _many(client, path, 1)
    assert await ids(client, path, id=value) == []


@pytest.mark.parametrize(
    "value", ["", " ", "%", "_", "\\", "'", '"', "{}", "NULL", "a\x00b", "İ", "ß", "σς", "{A,B}", 'x","y', "\u202e"]
)
async def test_odd_text_in_filters_matches_exactly_or_not_at_all(client: Client, value: str) -> None:
    await client.invoice(reference="SIN RELACIÓN")
    expected = []
    if value.strip() and "\x00" not in value and "," not in value and value.isprintable():
        expected = [(await client.invoice(reference=value))["id"]]
    assert await ids(client, "invoices", reference=value) == expected
    assert await ids(client, "payments", external_id=value) == []
    assert await ids(client, "customers", document_number=value) == []


async def test_withdrawn_invoices_are_listed_only_when_asked_for(client: Client) -> None:
    made = [await client.invoice() for _ in range(5)]
    created, part, paid, cancelled, outside = (one["id"] for one in made)
    await client.put(f"/v1/invoices/{part}", {"partial_payment_config": {"min_amount": 1000}})
    current = (await client.get(f"/v1/invoices/{part}")).json["payment_id"]
    await client.pay(current, amount=10_000)
    await client.pay(made[2]["payment_id"])
    await client.delete(f"/v1/invoices/{cancelled}")
    await client.delete(f"/v1/invoices/{outside}?reason=PAID_FROM_PROVIDER")
    assert await ids(client, "invoices") == [outside, paid, part, created]
    assert await ids(client, "invoices", status="CREATED") == [created]
    assert await ids(client, "invoices", status="partially_paid") == [part]
    assert await ids(client, "invoices", status="Paid") == [outside, paid]
    assert await ids(client, "invoices", status="CANCELLED") == [cancelled]
    assert await ids(client, "invoices", status="UNCOLLECTIBLE") == []
    assert await ids(client, "invoices", status=" created , CANCELLED,CREATED") == [cancelled, created]
    # Looked up by another filter they stay out too.
    assert await ids(client, "invoices", id=cancelled) == []
    assert await ids(client, "invoices", id=cancelled, status="CANCELLED") == [cancelled]


async def test_rows_of_invoices_are_short(client: Client) -> None:
    made = await client.invoice(provider_id="987654", metadata={"key": "value"})
    (row,) = (await page(client, "invoices"))["data"]
    assert list(row) == INVOICE_ROW
    assert row == {name: made[name] for name in INVOICE_ROW}
    await client.delete(f"/v1/invoices/{made['id']}?reason=PAID_FROM_PROVIDER")
    (row,) = (await page(client, "invoices"))["data"]
    assert row == {name: (await client.get(f"/v1/invoices/{made['id']}")).json[name] for name in INVOICE_ROW}
    assert row["remarks"]["code"] == "PAID_FROM_PROVIDER"


async def test_the_published_row_is_printed_word_for_word(client: Client) -> None:
    made = await client.invoice(provider_id="987654", metadata={"key": "value"})
    answer = await client.get("/v1/invoices?filter[provider_id]=987654")
    assert answer.body.decode() == (
        f'{{"data":[{{"id":"{made["id"]}","name":"Internet plan - Octubre","provider":"biller",'
        '"provider_id":"987654","reference":"1060500333","status":"CREATED","remarks":null,'
        '"metadata":{"key":"value"}}],"current_page":1,"from":1,"last_page":1,"per_page":20,"to":1,"total":1}'
    )


async def test_stand_alone_payments_are_no_invoices_whatever_reference_they_have(client: Client) -> None:
    await client.post("/v1/payments", {"title": "Rifa", "amount": 50000, "reference": "A-1"})
    assert await ids(client, "invoices", reference="A-1") == []


async def test_payments_are_found_by_each_filter(client: Client) -> None:
    alone = (
        await client.post("/v1/payments", {"title": "Rifa", "amount": 50000, "reference": "A-1", "external_id": "7"})
    ).json["id"]
    invoice = await client.invoice(reference="A-1", provider_id="9")
    changed = (await client.put(f"/v1/invoices/{invoice['id']}", {})).json["payment_id"]
    superseded = invoice["payment_id"]
    assert await ids(client, "payments") == [changed, superseded, alone]
    assert await ids(client, "payments", reference="A-1") == [changed, superseded, alone]
    assert await ids(client, "payments", external_id="7") == [alone]
    assert await ids(client, "payments", external_id="9, 7") == [changed, superseded, alone]
    assert await ids(client, "payments", id=f"{superseded},{alone}") == [superseded, alone]
    assert await ids(client, "payments", status="cancelled") == [superseded]
    assert await ids(client, "payments", status="PENDING", external_id="9") == [changed]
    assert await ids(client, "payments", status="declined") == []


async def test_rows_of_payments_are_whole(client: Client) -> None:
    invoice = await client.invoice(email="ana@ejemplo.com")
    alone = (await client.post("/v1/payments", {"title": "Rifa"})).json
    await client.pay(invoice["payment_id"])
    rows = (await page(client, "payments"))["data"]
    for row in rows:
        is_payment(row)
        assert row == (await client.get(f"/v1/payments/{row['id']}")).json
    assert [row["id"] for row in rows] == [alone["id"], invoice["payment_id"]]
    assert rows[1]["invoice_id"] == invoice["id"]


async def test_every_published_status_of_a_payment_can_be_asked_for(client: Client, world: World) -> None:
    """Each payment is found by the status that it shows, and by no other."""
    parts = {"min_amount_in_cents": 100_000, "timeout_hours": 1}

    async def payment(**fields: Any) -> str:
        return (await client.post("/v1/payments", {"title": "Rifa", "amount": 50000, **fields})).json["id"]

    now = (await client.get("/recaudo/v1/clock")).json["now"]
    soon = now[:10]
    made = {
        "expired": await payment(expiration_date=soon),
        "partial_expired": await payment(partial_payment_config=parts),
    }
    await client.pay(made["partial_expired"], amount=10_000)
    await client.advance_clock(days=2)
    await world.drain()
    made |= {
        "pending": await payment(),
        "in_progress": await payment(),
        "partially_paid": await payment(partial_payment_config=parts),
        "approved": await payment(),
        "cancelled": await payment(),
    }
    await client.pay(made["in_progress"], outcome="never_answer")
    await client.pay(made["partially_paid"], amount=10_000)
    await client.pay(made["approved"])
    await client.delete(f"/v1/payments/{made['cancelled']}")
    for status, payment_id in made.items():
        assert (await client.get(f"/v1/payments/{payment_id}")).json["status"] == status
        assert await ids(client, "payments", status=status) == [payment_id]
        assert await ids(client, "payments", status=status.upper()) == [payment_id]
    assert await ids(client, "payments", status="refunded,declined") == []
    assert len(await ids(client, "payments", status=",".join(made))) == len(made)


async def test_intents_are_found_by_each_filter(client: Client) -> None:
    made = await client.invoice(provider_id="9")
    await client.pay(made["payment_id"], outcome="decline")
    await client.pay(made["payment_id"])
    other = await client.invoice()
    await client.pay(other["payment_id"], outcome="never_answer")
    processing, paid, failed = await ids(client, "payment-intents")
    assert await ids(client, "payment-intents", id=f"{paid},{failed}") == [paid, failed]
    assert await ids(client, "payment-intents", external_id="9") == [paid, failed]
    for status, expected in (
        ("failed", [failed]),
        ("paid", [paid]),
        ("succeeded", [paid]),
        ("SUCCEEDED,Failed", [paid, failed]),
        ("processing", [processing]),
        ("created,refunded,disputed", []),
    ):
        assert await ids(client, "payment-intents", status=status) == expected
    assert await ids(client, "payment-intents", status="paid,failed", external_id="8") == []
    for row in (await page(client, "payment-intents"))["data"]:
        assert list(row) == INTENT


async def test_intents_sorted_by_payment_have_the_unpaid_ones_last(client: Client) -> None:
    intents = []
    for outcome in ("approve", "decline", "approve", "decline"):
        made = await client.invoice()
        intents.append((await client.pay(made["payment_id"], outcome=outcome))["payment_intent_id"])
    paid_1, failed_1, paid_2, failed_2 = intents
    assert await ids(client, "payment-intents", sort="paid_at") == [paid_1, paid_2, failed_1, failed_2]
    assert await ids(client, "payment-intents", sort="-paid_at") == [paid_2, paid_1, failed_2, failed_1]
    assert await ids(client, "payment-intents", sort="-paid_at", per_page=2, page=2) == [failed_2, failed_1]


async def test_customers_are_found_by_each_filter_and_by_the_plain_parameters(client: Client) -> None:
    async def customer(**fields: Any) -> str:
        answer = await client.post("/v1/customers", {"first_name": "Ana", **fields})
        assert answer.status == 201, answer.json
        return answer.json["id"]

    a = await customer(email="Ana@EJEMPLO.com", document_type="CC", document_number="1060500333")
    b = await customer(phone="+573167591030", document_type="NIT", document_number="1060500333")
    c = await customer(phone="+573167591030", email="otra@ejemplo.com")
    assert await ids(client, "customers") == [c, b, a]
    assert await ids(client, "customers", document_number="1060500333") == [b, a]
    assert (await page(client, "customers", **{"filter[document_number]": "1060500333"}))["total"] == 2
    assert (await page(client, "customers", document_number="1060500333"))["total"] == 2
    assert (await page(client, "customers", document_number="1", **{"filter[document_number]": "1060500333"}))[
        "total"
    ] == 2
    assert await ids(client, "customers", email="Ana@ejemplo.com,otra@ejemplo.com") == [c, a]
    assert await ids(client, "customers", phone="+573167591030") == [c, b]
    assert await ids(client, "customers", phone="+573167591030", email="otra@ejemplo.com") == [c]
    assert await ids(client, "customers", id=f"{a},{c}") == [c, a]
    limited = await page(client, "customers", limit=2)
    assert ([row["id"] for row in limited["data"]], limited["per_page"], limited["last_page"]) == ([c, b], 2, 2)
    for row in limited["data"]:
        assert list(row) == CUSTOMER
    for value in ("0", "101", "x"):
        refusal(await client.get(f"/v1/customers?limit={value}"), "invalid_query", fields=["limit"])


async def test_the_customers_that_references_made_are_not_listed(client: Client) -> None:
    await client.invoice()
    assert (await page(client, "customers"))["total"] == 0


async def test_of_a_parameter_sent_twice_the_last_counts(client: Client) -> None:
    await client.invoice(reference="A-1")
    answer = await client.get("/v1/invoices?per_page=0&per_page=5&filter[reference]=x&filter[reference]=A-1")
    assert (answer.status, answer.json["per_page"], answer.json["total"]) == (200, 5, 1)


async def _many(client: Client, path: str, number: int) -> list[str]:
    """The ids of so many new rows of a list."""
    match path:
        case "customers":
            body = {"first_name": "Ana", "email": "ana@ejemplo.com"}
            answers = await asyncio.gather(*(client.post("/v1/customers", body) for _ in range(number)))
            return [answer.json["id"] for answer in answers]
        case "payments":
            answers = await asyncio.gather(*(client.post("/v1/payments", {"title": "Rifa"}) for _ in range(number)))
            return [answer.json["id"] for answer in answers]
        case "payment-intents":
            payments = [(await client.invoice())["payment_id"] for _ in range(number)]
            paid = await asyncio.gather(*(client.pay(payment, outcome="decline") for payment in payments))
            return [one["payment_intent_id"] for one in paid]
        case _:
            return [one["id"] for one in await asyncio.gather(*(client.invoice() for _ in range(number)))]
