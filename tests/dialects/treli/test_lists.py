"""Lists: pages, cursors, spans of time, filters and what is wrong with a query (Treli specification, section 4)."""

from typing import Any

import pytest

from tests.dialects.treli.wire import NOBODY, PAGE, good, refusal, speaks_treli
from tests.world import Client, World

LISTS = ["/v1/customers", "/v1/products", "/v1/prices", "/recaudo/v1/retentions", "/recaudo/v1/collection_rules"]


async def customers(client: Client, count: int, **fields: Any) -> list[str]:
    """Customers, their ids newest first."""
    made = [
        good(await client.post("/v1/customers", {"full_name": "A", "email": "a@b.co"} | fields)) for _ in range(count)
    ]
    return [one["id"] for one in reversed(made)]


@pytest.mark.parametrize("path", LISTS)
async def test_an_empty_list(treli: Client, path: str) -> None:
    answer = await treli.get(path)
    assert good(answer) == {"data": [], "has_more": False, "next_cursor": None}
    assert answer.body == b'{"data":[],"has_more":false,"next_cursor":null}'


async def test_pages_are_followed_by_their_cursor(treli: Client) -> None:
    ids = await customers(treli, 5)
    first = good(await treli.get("/v1/customers?limit=2"))
    assert list(first) == PAGE
    assert [row["id"] for row in first["data"]] == ids[:2]
    assert (first["has_more"], first["next_cursor"]) == (True, ids[1])
    # Rows that are added or deleted meanwhile shift nothing.
    await customers(treli, 1)
    await treli.delete(f"/v1/customers/{ids[1]}")
    second = good(await treli.get(f"/v1/customers?limit=2&start_after={first['next_cursor']}"))
    assert [row["id"] for row in second["data"]] == ids[2:4]
    last = good(await treli.get(f"/v1/customers?limit=2&start_after={second['next_cursor']}"))
    assert [row["id"] for row in last["data"]] == ids[4:]
    assert (last["has_more"], last["next_cursor"]) == (False, None)


async def test_a_page_has_twenty_rows_unless_asked(treli: Client) -> None:
    await customers(treli, 21)
    assert len(good(await treli.get("/v1/customers"))["data"]) == 20
    assert len(good(await treli.get("/v1/customers?limit=100"))["data"]) == 21


async def test_spans_of_time_include_their_start_and_not_their_end(treli: Client) -> None:
    (old,) = await customers(treli, 1)
    await treli.advance_clock(days=3)
    (new,) = await customers(treli, 1)
    day = good(await treli.get(f"/v1/customers/{new}"))["created_date"][:10]

    async def found(query: str) -> list[str]:
        return [row["id"] for row in good(await treli.get(f"/v1/customers?{query}"))["data"]]

    assert await found(f"created_after={day}") == [new]
    assert await found(f"created_before={day}") == [old]
    assert await found(f"created_after={day}T05:00:00Z&created_before={day}%2023:59:59") == [new]
    assert await found("created_after=2999-01-01T00:00:00%2B05:00") == []


async def test_filters_compare_exactly(treli: Client) -> None:
    document = {"billing_address": {"identification": "900123456", "id_type": "NIT"}}
    (with_document,) = await customers(treli, 1, **document)
    (other,) = await customers(treli, 1, email="Otra@EJEMPLO.com")

    async def found(query: str) -> list[str]:
        return [row["id"] for row in good(await treli.get(f"/v1/customers?{query}"))["data"]]

    assert await found("identification=900123456") == [with_document]
    assert await found("email=Otra@EJEMPLO.com") == [other]
    assert await found("email=otra@ejemplo.com") == []
    assert await found("identification=900123456&email=Otra@ejemplo.com") == []
    for nothing in ("identification=", "email=%00", "identification=%ED%A0%80", "email=x"):
        assert await found(nothing) == []


async def test_prices_and_products_have_filters_of_their_own(treli: Client) -> None:
    products = [
        good(await treli.post("/v1/products", {"name": n, "status": s}))["id"]
        for n, s in (("a", "active"), ("b", "inactive"))
    ]
    prices = [
        good(await treli.post("/v1/prices", {"product_id": p, "unit_price": "1", "currency": c, "active": a}))["id"]
        for p, c, a in ((products[0], "COP", True), (products[1], "USD", False))
    ]

    async def found(path: str) -> list[str]:
        return [row["id"] for row in good(await treli.get(path))["data"]]

    assert await found("/v1/products?status=inactive") == [products[1]]
    assert await found(f"/v1/prices?product_id={products[0]}") == [prices[0]]
    assert await found("/v1/prices?active=false") == [prices[1]]
    assert await found("/v1/prices?currency=USD&active=false") == [prices[1]]
    assert await found("/v1/prices?currency=USD&active=true") == []
    assert await found(f"/v1/prices?product_id=prod_{NOBODY}") == []
    assert await found("/v1/prices?product_id=x") == []


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("limit=0", ["limit"]),
        ("limit=101", ["limit"]),
        ("limit=", ["limit"]),
        ("limit=1.5", ["limit"]),
        ("limit=-1", ["limit"]),
        ("limit=99999999999999999999", ["limit"]),
        ("start_after=", ["start_after"]),
        ("start_after=x", ["start_after"]),
        (f"start_after=cus_{NOBODY}", ["start_after"]),
        (f"start_after=prod_{NOBODY}", ["start_after"]),
        ("created_after=ayer", ["created_after"]),
        ("created_before=2024-13-01", ["created_before"]),
        ("page=2", ["page"]),
        ("filter[email]=x", ["filter[email]"]),
        ("status=active", ["status"]),
        ("zeta=1&created_before=x&limit=0&alfa=1", ["limit", "created_before", "zeta", "alfa"]),
    ],
)
async def test_a_bad_value_is_named_with_what_is_allowed(treli: Client, query: str, fields: list[str]) -> None:
    refusal(await treli.get(f"/v1/customers?{query}"), "validation_error", fields=fields)


@pytest.mark.parametrize("path", LISTS)
async def test_unknown_parameters_are_refused_by_every_list(treli: Client, path: str) -> None:
    body = refusal(await treli.get(f"{path}?foo=1"), "validation_error", fields=["foo"])
    assert "limit, start_after, created_after, created_before" in body["errors"][0]["message"]


async def test_unknown_words_of_filters_are_refused(treli: Client) -> None:
    for path, field in (
        ("/v1/products?status=archived", "status"),
        ("/v1/prices?active=1", "active"),
        ("/v1/prices?currency=XXX", "currency"),
    ):
        refusal(await treli.get(path), "validation_error", fields=[field])


async def test_another_accounts_cursor_is_unknown(treli: Client, world: World) -> None:
    other = speaks_treli(await world.merchant())
    (theirs,) = await customers(other, 1)
    refusal(await treli.get(f"/v1/customers?start_after={theirs}"), "validation_error", fields=["start_after"])


async def test_a_query_has_a_limit(treli: Client) -> None:
    query = "&".join(f"p{i}=1" for i in range(101))
    refusal(await treli.get(f"/v1/customers?{query}"), "validation_error", fields=["query"])
