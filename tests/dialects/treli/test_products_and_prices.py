"""Products and prices (Treli specification, 6.3, 6.4, 8.2 and section 12)."""

import asyncio
from typing import Any

import pytest

from recaudo.dialects.treli import ids
from recaudo.store import catalogue
from tests.dialects.treli.wire import LOCAL, NOBODY, PRICE, PRODUCT, good, is_id, refusal
from tests.world import Client, World

PUBLISHED_PRODUCT = {
    "name": "Nombre del producto",
    "description": "string",
    "image": "http://example.com",
    "invoice_settings": {"invoice_tax_id": "12345", "invoice_tax_percentage": "19"},
}
TIERS = [{"up_to": 5, "unit_price": "30000.00"}, {"up_to": None, "unit_price": "20000.00"}]


async def product(client: Client, **fields: Any) -> dict[str, Any]:
    return good(await client.post("/v1/products", {"name": "Internet"} | fields))


async def price(client: Client, product_id: str | None = None, **fields: Any) -> dict[str, Any]:
    product_id = product_id or (await product(client))["id"]
    return good(await client.post("/v1/prices", {"product_id": product_id, "unit_price": "20000.00"} | fields))


async def use(world: World, client: Client, price_id: str) -> None:
    """What an invoice does with the price it uses."""
    found = ids.read("price", price_id)
    assert found is not None
    async with world.core.database.transaction() as connection:
        assert not await catalogue.price_is_used(connection, client.account_id, found)
        await catalogue.mark_used(connection, client.account_id, [found], [], world.core.clock.now())
        assert await catalogue.price_is_used(connection, client.account_id, found)


# --- Products ---


async def test_a_product_is_shown_as_published(treli: Client) -> None:
    made = good(await treli.post("/v1/products", PUBLISHED_PRODUCT))
    assert list(made) == PRODUCT
    assert is_id("prod", made["id"])
    assert LOCAL.fullmatch(made["created_date"])
    assert made == {
        "id": made["id"],
        "name": "Nombre del producto",
        "description": "string",
        "status": "active",
        "product_merchant_id": None,
        "product_invoicing_id": None,
        "product_shopify_id": None,
        "product_woocommerce_id": None,
        "created_date": made["created_date"],
        "image": "http://example.com",
        "is_test": True,
        "invoice_settings": {"invoice_tax_id": "12345", "invoice_tax_percentage": "19"},
    }
    assert good(await treli.get(f"/v1/products/{made['id']}")) == made


async def test_a_name_is_enough_for_a_product(treli: Client) -> None:
    made = await product(treli)
    assert made["invoice_settings"] == {"invoice_tax_id": None, "invoice_tax_percentage": None}


async def test_a_change_of_a_product_leaves_the_rest(treli: Client) -> None:
    made = good(await treli.post("/v1/products", PUBLISHED_PRODUCT | {"product_shopify_id": "S1"}))
    path = f"/v1/products/{made['id']}"
    changed = good(await treli.post(path, {"status": "inactive", "product_merchant_id": "M1"}))
    assert changed == made | {"status": "inactive", "product_merchant_id": "M1"}
    settings = good(await treli.post(path, {"invoice_settings": {"invoice_tax_percentage": 5.5}}))["invoice_settings"]
    assert settings == {"invoice_tax_id": "12345", "invoice_tax_percentage": "5.5"}
    cleared = good(await treli.post(path, {"invoice_settings": None, "description": None, "status": None}))
    assert cleared["invoice_settings"] == {"invoice_tax_id": None, "invoice_tax_percentage": None}
    assert (cleared["description"], cleared["status"]) == (None, "active")
    refusal(await treli.post(path, {"name": None}), "validation_error", fields=["name"])
    assert good(await treli.get(path)) == cleared


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": None}, ["name"]),
        ({"name": "x" * 256}, ["name"]),
        ({"description": "x" * 1001}, ["description"]),
        ({"status": "archived"}, ["status"]),
        ({"image": "example.com/x.png"}, ["image"]),
        ({"product_shopify_id": 5, "product_merchant_id": ""}, ["product_merchant_id", "product_shopify_id"]),
        ({"invoice_settings": []}, ["invoice_settings"]),
        ({"invoice_settings": {"invoice_tax_percentage": "101"}}, ["invoice_settings.invoice_tax_percentage"]),
        ({"invoice_settings": {"invoice_tax_percentage": "1.00001"}}, ["invoice_settings.invoice_tax_percentage"]),
        ({"invoice_settings": {"invoice_tax_id": "x" * 101}}, ["invoice_settings.invoice_tax_id"]),
    ],
)
async def test_the_fields_of_a_product_have_bounds(treli: Client, body: dict[str, Any], fields: list[str]) -> None:
    refusal(await treli.post("/v1/products", {"name": "x"} | body), "validation_error", fields=fields)


async def test_a_product_with_active_prices_cannot_be_deleted(treli: Client) -> None:
    made = await price(treli)
    path = f"/v1/products/{made['product_id']}"
    refusal(await treli.delete(path), "product_in_use")
    good(await treli.post(f"/v1/prices/{made['id']}", {"active": False}))
    assert good(await treli.delete(path)) == {"id": made["product_id"], "deleted": True}
    for answer in (await treli.get(path), await treli.delete(path), await treli.post(path, {"name": 5})):
        refusal(answer, "not_found")
    # The price outlives it, and does not come back to life.
    assert good(await treli.get(f"/v1/prices/{made['id']}"))["active"] is False
    assert good(await treli.post(f"/v1/prices/{made['id']}", {"unit_price": "1"}))["unit_price"] == "1.00"
    answer = await treli.post(f"/v1/prices/{made['id']}", {"active": True})
    refusal(answer, "validation_error", fields=["active"])
    answer = await treli.post("/v1/prices", {"product_id": made["product_id"], "unit_price": "1"})
    refusal(answer, "validation_error", fields=["product_id"])


async def test_a_product_is_not_deleted_while_a_price_of_it_is_made(treli: Client) -> None:
    for _ in range(5):
        made = await product(treli)
        body = {"product_id": made["id"], "unit_price": "1"}
        deleted, *priced = await asyncio.gather(
            treli.delete(f"/v1/products/{made['id']}"), *(treli.post("/v1/prices", body) for _ in range(3))
        )
        passed = [answer for answer in priced if answer.status == 200]
        assert (deleted.status == 200) == (passed == [])


# --- Prices ---


async def test_a_standard_price_once(treli: Client) -> None:
    made = await price(treli)
    assert list(made) == PRICE
    assert is_id("price", made["id"])
    assert made == {
        "id": made["id"],
        "unit_price": "20000.00",
        "pricing_model": "standard",
        "currency": "COP",
        "billing_period": None,
        "billing_interval": None,
        "type": "one_time",
        "pricing_tiers": None,
        "ntp_pricing": None,
        "created_date": made["created_date"],
        "active": True,
        "is_test": True,
        "product_id": made["product_id"],
    }
    assert good(await treli.get(f"/v1/prices/{made['id']}")) == made


async def test_a_recurring_price(treli: Client) -> None:
    made = await price(treli, type="recurring", billing_period="day", billing_interval=1, active=False)
    assert (made["type"], made["billing_period"], made["billing_interval"]) == ("recurring", "day", 1)
    assert made["active"] is False


@pytest.mark.parametrize("model", ["graduated", "volume"])
async def test_a_price_with_tiers(treli: Client, model: str) -> None:
    made = await price(treli, pricing_model=model, pricing_tiers=TIERS, unit_price=None)
    assert (made["unit_price"], made["pricing_tiers"]) == (None, TIERS)


async def test_money_is_in_the_prices_own_currency(treli: Client) -> None:
    made = await price(treli, currency="CLP", unit_price="20000")
    assert (made["currency"], made["unit_price"]) == ("CLP", "20000")
    product_id = made["product_id"]
    answer = await treli.post("/v1/prices", {"unit_price": "1.5", "currency": "CLP", "product_id": product_id})
    body = refusal(answer, "validation_error", fields=["unit_price"])
    assert body["errors"][0]["message"] == "El valor tiene más decimales que la moneda CLP."


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"product_id": None}, ["product_id"]),
        ({"product_id": f"prod_{NOBODY}"}, ["product_id"]),
        ({"product_id": "string", "unit_price": "string"}, ["product_id", "unit_price"]),
        ({"unit_price": None}, ["unit_price"]),
        ({"unit_price": "-1"}, ["unit_price"]),
        ({"pricing_model": "package"}, ["pricing_model"]),
        ({"pricing_model": "graduated"}, ["unit_price", "pricing_tiers"]),
        ({"pricing_tiers": TIERS}, ["pricing_tiers"]),
        ({"currency": "XXX"}, ["currency"]),
        ({"currency": "cop"}, ["currency"]),
        ({"type": "recurring"}, ["billing_period", "billing_interval"]),
        ({"billing_interval": 1, "billing_period": "day"}, ["billing_period", "billing_interval"]),
        (
            {"type": "recurring", "billing_period": "hour", "billing_interval": 367},
            ["billing_period", "billing_interval"],
        ),
        ({"active": "yes"}, ["active"]),
    ],
)
async def test_the_fields_of_a_price_have_bounds(treli: Client, body: dict[str, Any], fields: list[str]) -> None:
    body = {"product_id": (await product(treli))["id"], "unit_price": "20000.00"} | body
    refusal(await treli.post("/v1/prices", body), "validation_error", fields=fields)


@pytest.mark.parametrize(
    ("tiers", "fields"),
    [
        ([], ["pricing_tiers"]),
        ([{"unit_price": "1"}] * 51, ["pricing_tiers"]),
        ("x", ["pricing_tiers"]),
        ([5], ["pricing_tiers[0]"]),
        ([{"up_to": 5, "unit_price": "1"}], ["pricing_tiers[0].up_to"]),
        (
            [{"up_to": 5, "unit_price": "1"}, {"up_to": 5, "unit_price": "1"}, {"unit_price": "1"}],
            ["pricing_tiers[1].up_to"],
        ),
        ([{"unit_price": "1"}, {"unit_price": "1"}], ["pricing_tiers[0].up_to"]),
        ([{"up_to": 0, "unit_price": "x"}, {}], ["pricing_tiers[0].up_to", "pricing_tiers[0].unit_price"]),
    ],
)
async def test_tiers_rise_and_end_open(treli: Client, tiers: Any, fields: list[str]) -> None:
    body = {"product_id": (await product(treli))["id"], "pricing_model": "volume", "pricing_tiers": tiers}
    answer = refusal(await treli.post("/v1/prices", body), "validation_error")
    assert [error["field"] for error in answer["errors"]][: len(fields)] == fields


async def test_a_price_that_nobody_uses_may_change(treli: Client) -> None:
    made = await price(treli)
    path = f"/v1/prices/{made['id']}"
    changed = good(await treli.post(path, {"unit_price": 30000}))
    assert changed == made | {"unit_price": "30000.00"}
    tiered = good(await treli.post(path, {"pricing_model": "graduated", "pricing_tiers": TIERS}))
    assert tiered == made | {"unit_price": None, "pricing_model": "graduated", "pricing_tiers": TIERS}
    monthly = good(await treli.post(path, {"type": "recurring", "billing_period": "month", "billing_interval": 1}))
    assert monthly["pricing_tiers"] == TIERS
    back = good(await treli.post(path, {"pricing_model": None, "unit_price": "20000", "type": "one_time"}))
    assert back == made
    refusal(await treli.post(path, {"unit_price": None}), "validation_error", fields=["unit_price"])
    refusal(await treli.post(path, {"product_id": None}), "validation_error", fields=["product_id"])
    other = await product(treli)
    assert good(await treli.post(path, {"product_id": other["id"]}))["product_id"] == other["id"]


async def test_of_a_price_in_use_only_active_changes(treli: Client, world: World) -> None:
    made = await price(treli)
    path = f"/v1/prices/{made['id']}"
    await use(world, treli, made["id"])
    refusal(await treli.post(path, {"unit_price": "1"}), "price_in_use")
    refusal(await treli.post(path, {"unit_price": "x"}), "validation_error")
    refusal(await treli.post(path, {"currency": "USD", "active": False}), "price_in_use")
    assert good(await treli.get(path)) == made
    # The same values are no change.
    assert good(await treli.post(path, {"unit_price": "20000", "active": False})) == made | {"active": False}
    assert good(await treli.delete(path)) == {"id": made["id"], "deleted": True}


async def test_a_deleted_price_does_not_exist(treli: Client) -> None:
    made = await price(treli)
    path = f"/v1/prices/{made['id']}"
    good(await treli.delete(path))
    for answer in (await treli.get(path), await treli.delete(path), await treli.post(path, {"active": 5})):
        refusal(answer, "not_found")
    assert good(await treli.get("/v1/prices"))["data"] == []


async def test_prices_and_products_raise_no_event(treli: Client, world: World) -> None:
    made = await price(treli)
    await treli.post(f"/v1/prices/{made['id']}", {"active": False})
    assert await world.rows("SELECT 1 FROM event WHERE account_id = $1", treli.account_id) == []
