"""Suspense and comparisons over the API."""

from datetime import timedelta
from typing import Any

import pytest

from recaudo.store.gateway_notices import Suspense, keep_suspense
from recaudo.usecases import reconciling
from tests.dialects.recaudo.shop import Shop


async def put_in_suspense(shop: Shop, number: str = "1") -> None:
    """A transaction that belongs to nothing."""
    core = shop.world.core
    moment = core.moment(await shop.account())
    entry = Suspense(
        account_id=shop.client.account_id,
        id=moment.new_id(),
        gateway="wompi",
        gateway_tx_id=f"11004-{number}",
        reason="unmatched",
        reference="rc000000000000000000000001x",
        amount_minor=5_000_000,
        currency="COP",
        fact={"gateway_tx_id": f"11004-{number}", "state": "succeeded"},
        found_at=moment.now,
    )
    async with core.database.connection() as connection:
        await keep_suspense(connection, [entry])


async def test_what_is_in_suspense_waits_until_somebody_says_what_became_of_it(shop: Shop) -> None:
    await put_in_suspense(shop, "1")
    await put_in_suspense(shop, "2")
    newest, oldest = (await shop.ok("GET", "/suspense?open=true"))["data"]
    assert (newest["gateway_tx_id"], oldest["gateway_tx_id"]) == ("11004-2", "11004-1")
    assert "suspense" in {finding.check for finding in await shop.world.findings(shop.client.account_id)}
    done = await shop.ok("POST", f"/suspense/{oldest['id']}/resolve", {"resolution": " Registrado en FV-1 "})
    assert (done["resolution"], done["id"]) == ("Registrado en FV-1", oldest["id"])
    assert done["resolved_at"] is not None
    assert (await shop.ok("GET", "/suspense?open=true"))["data"] == [newest]
    assert (await shop.ok("GET", "/suspense"))["data"] == [newest, done]
    assert (await shop.ok("GET", "/suspense?open=false"))["data"] == [newest, done]
    again = await shop.ok("POST", f"/suspense/{oldest['id']}/resolve", {"resolution": "Devuelto"})
    assert (again["resolution"], again["resolved_at"]) == ("Devuelto", done["resolved_at"])
    await shop.ok("POST", f"/suspense/{newest['id']}/resolve", {"resolution": "Devuelto"})


async def test_suspense_is_read_page_by_page(shop: Shop) -> None:
    for number in range(3):
        await put_in_suspense(shop, str(number))
    first = await shop.ok("GET", "/suspense?limit=2&open=true")
    assert first["has_more"] is True
    second = await shop.ok("GET", f"/suspense?limit=2&open=true&cursor={first['next_cursor']}")
    assert (second["has_more"], second["next_cursor"]) == (False, None)
    seen = [row["gateway_tx_id"] for row in first["data"] + second["data"]]
    assert seen == ["11004-2", "11004-1", "11004-0"]
    await shop.refused("GET", "/suspense?cursor=nonsense", status=400, code="invalid_query")
    for row in first["data"] + second["data"]:
        await shop.ok("POST", f"/suspense/{row['id']}/resolve", {"resolution": "x"})


@pytest.mark.parametrize("body", [{}, {"resolution": ""}, {"resolution": "x" * 501}, {"resolved": "x"}])
async def test_a_resolution_says_something(shop: Shop, body: dict[str, Any]) -> None:
    await put_in_suspense(shop)
    (entry,) = (await shop.ok("GET", "/suspense"))["data"]
    await shop.refused("POST", f"/suspense/{entry['id']}/resolve", body, status=422, code="validation_error")
    await shop.ok("POST", f"/suspense/{entry['id']}/resolve", {"resolution": "x"})


@pytest.mark.parametrize(
    "path",
    ["/suspense?open=yes", "/suspense?state=open", "/reconciliations?limit=0", "/reconciliations?limit=101",
     "/reconciliations?limit=x", "/reconciliations?gateway=wompi"],
)  # fmt: skip
async def test_a_parameter_that_cannot_be_used_is_refused(shop: Shop, path: str) -> None:
    await shop.refused("GET", path, status=400, code="invalid_query")


async def test_comparisons_are_listed_newest_first_page_by_page(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    await shop.paid("mercadopago")
    now = shop.world.core.clock.now()
    account = await shop.account()
    for _ in range(2):
        (compared,) = await reconciling.compare_account(
            shop.world.core, account, now - timedelta(hours=2), now + timedelta(minutes=5)
        )
        assert compared.problem is None
    second, first = (await shop.ok("GET", "/reconciliations"))["data"]
    assert (second["gateway"], second["open"], second["differences"]) == ("mercadopago", 0, [])
    assert (first["differences"], first["transactions"]) == ([], 1)
    page = await shop.ok("GET", "/reconciliations?limit=1")
    assert (page["data"], page["has_more"]) == ([second], True)
    rest = await shop.ok("GET", f"/reconciliations?limit=1&cursor={page['next_cursor']}")
    assert (rest["data"], rest["has_more"], rest["next_cursor"]) == ([first], False, None)
