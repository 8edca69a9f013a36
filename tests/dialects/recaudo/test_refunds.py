"""Giving money back over the API, through the fakes of the vendors, and asking for it again."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from recaudo.usecases import gateways
from recaudo.usecases.reconciling import compare_account
from tests.dialects.recaudo.shop import Shop
from tests.fakes import RefundAnswer, Scenario

CENTS = 5_000_000


async def ended(shop: Shop, refund_id: str) -> Any:
    """A refund once the worker is done with it."""
    for _ in range(200):
        await shop.world.drain()
        now = await shop.ok("GET", f"/refunds/{refund_id}")
        if now["state"] in {"succeeded", "failed"}:
            return now
        await asyncio.sleep(0.02)
    raise AssertionError(now)


async def test_a_part_goes_back_through_the_gateway_and_then_the_rest(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    invoice, receipt = await shop.paid("mercadopago")
    path = f"/receipts/{receipt}"
    body = {"amount_minor": 2_000_000, "reason": "Cobro duplicado"}
    begun = await shop.ok("POST", f"{path}/refund", body, status=201)
    assert (begun["state"], begun["amount_minor"], begun["way"]) == ("created", 2_000_000, "gateway")
    assert (begun["receipt_id"], begun["invoice_id"]) == (str(receipt), invoice["id"])
    done = await ended(shop, begun["id"])
    assert (done["state"], done["failure_code"]) == ("succeeded", None)
    assert done["gateway_refund_id"]
    above = {"amount_minor": 3_000_001, "reason": "Demasiado"}
    await shop.refused("POST", f"{path}/refund", above, status=409, code="refund_above_receipt")
    rest = await shop.ok("POST", f"{path}/refund", {"reason": "Lo demás"}, status=201)
    assert rest["amount_minor"] == 3_000_000
    assert (await ended(shop, rest["id"]))["state"] == "succeeded"
    await shop.refused("POST", f"{path}/refund", {"reason": "Más"}, status=409, code="refund_above_receipt")
    listed = await shop.ok("GET", f"{path}/refunds")
    assert [row["id"] for row in listed["data"]] == [begun["id"], rest["id"]]
    (money,) = await shop.world.rows(
        "SELECT sum(amount_minor) AS left FROM receipt WHERE account_id = $1", shop.client.account_id
    )
    assert money["left"] == 0


async def test_what_an_open_refund_takes_is_spoken_for(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    _, receipt = await shop.paid("mercadopago")
    body = {"amount_minor": 3_000_000, "reason": "Una vez"}
    answers = await asyncio.gather(
        *(shop.call("POST", f"/receipts/{receipt}/refund", body | {"reason": f"Vez {n}"}) for n in range(3))
    )
    assert sorted(answer.status for answer in answers) == [201, 409, 409]
    made = next(answer.json for answer in answers if answer.status == 201)
    assert (await ended(shop, made["id"]))["state"] == "succeeded"


async def test_a_card_payment_is_voided_at_wompi_on_its_own_day(shop: Shop) -> None:
    await shop.set_up("wompi")
    _, receipt = await shop.paid("wompi")
    begun = await shop.ok("POST", f"/receipts/{receipt}/refund", {"reason": "Se canceló"}, status=201)
    assert (await ended(shop, begun["id"]))["state"] == "succeeded"


async def test_what_the_gateway_refuses_fails_and_moves_nothing(shop: Shop) -> None:
    await shop.set_up("wompi")
    _, receipt = await shop.paid("wompi")
    begun = await shop.ok(
        "POST", f"/receipts/{receipt}/refund", {"amount_minor": 1_000_000, "reason": "Una parte"}, status=201
    )
    failed = await ended(shop, begun["id"])
    assert (failed["state"], failed["failure_code"]) == ("failed", "refund_not_whole")
    assert "panel" in failed["failure_text"]
    manual = {"amount_minor": 1_000_000, "reason": "Una parte", "way": "panel", "evidence": "Panel, devolución 8841"}
    done = await shop.ok("POST", f"/receipts/{receipt}/refund", manual, status=201)
    assert (done["state"], done["way"], done["evidence"]) == ("succeeded", "panel", "Panel, devolución 8841")


async def test_a_refund_that_the_vendor_refuses_is_told_with_its_reason(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    shop.fakes.mercadopago.scenarios.queue.append(Scenario(refund=RefundAnswer.REJECTED))
    _, receipt = await shop.paid("mercadopago")
    begun = await shop.ok("POST", f"/receipts/{receipt}/refund", {"reason": "Se canceló"}, status=201)
    assert (await ended(shop, begun["id"]))["state"] == "failed"


async def test_money_that_no_gateway_collected_is_undone_and_not_refunded(shop: Shop) -> None:
    invoice = await shop.client.invoice(amount=50_000)
    withdrawn = await shop.client.delete(f"/v1/invoices/{invoice['id']}?reason=PAID_FROM_PROVIDER")
    assert withdrawn.status == 204, withdrawn.json
    (row,) = await shop.world.rows("SELECT id FROM receipt WHERE account_id = $1", shop.client.account_id)
    path = f"/receipts/{row['id']}/refund"
    refused = await shop.refused("POST", path, {"reason": "x"}, status=409, code="refund_not_supported")
    assert "way=panel" in refused["message"]
    by_hand = {"reason": "x", "way": "panel", "evidence": "Recibo 12"}
    refused = await shop.refused("POST", path, by_hand, status=409, code="refund_not_supported")
    assert "/undo" in refused["message"]
    await shop.ok("POST", f"/receipts/{row['id']}/undo", {"reason": "x"}, status=200)
    back = await shop.world.rows(
        "SELECT id FROM receipt WHERE account_id = $1 AND kind = 'refund'", shop.client.account_id
    )
    await shop.refused(
        "POST",
        f"/receipts/{back[0]['id']}/refund",
        {"reason": "x", "way": "panel", "evidence": "y"},
        status=409,
        code="receipt_is_refund",
    )


async def refund_in_panel(shop: Shop, receipt: UUID, amount_minor: int) -> None:
    """What the merchant does in the vendor's panel: Mercado Pago's refund, with the merchant's own token."""
    (row,) = await shop.world.rows("SELECT gateway_tx_id FROM receipt WHERE id = $1", receipt)
    account = await shop.account()
    (gateway,) = await gateways.list_all(shop.world.core, account)
    url = f"{shop.fakes.mercadopago.base_url}/v1/payments/{row['gateway_tx_id']}/refunds"
    headers = {"Authorization": f"Bearer {gateway.credentials['access_token']}", "X-Idempotency-Key": str(uuid4())}
    async with shop.world.session.post(url, json={"amount": amount_minor // 100}, headers=headers) as answer:
        assert answer.status == 201, await answer.text()


async def compared(shop: Shop) -> list[str]:
    """What the daily comparison finds different."""
    now = shop.world.core.clock.now()
    since, until = now - timedelta(hours=2), now + timedelta(minutes=5)
    (one,) = await compare_account(shop.world.core, await shop.account(), since, until)
    assert one.problem is None
    return [found.kind for found in one.open]


async def went_back(shop: Shop, receipt: UUID) -> int:
    (row,) = await shop.world.rows("SELECT -sum(amount_minor) AS minor FROM receipt WHERE reverses = $1", receipt)
    return int(row["minor"] or 0)


async def test_what_was_given_back_in_the_panel_is_booked_once_whoever_tells_it_first(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    _, receipt = await shop.paid("mercadopago")
    await refund_in_panel(shop, receipt, 1_000_000)
    assert await compared(shop) == []
    assert await went_back(shop, receipt) == 1_000_000
    panel = {"amount_minor": 1_000_000, "reason": "Una parte", "way": "panel", "evidence": "Devolución 8841"}
    await shop.ok("POST", f"/receipts/{receipt}/refund", panel, status=201)
    assert await went_back(shop, receipt) == 1_000_000
    await shop.ok("POST", f"/receipts/{receipt}/refund", panel | {"evidence": "Devolución 8842"}, status=201)
    assert await went_back(shop, receipt) == 2_000_000
    assert await compared(shop) == ["gone_back"], "the merchant says what the vendor does not"
    await refund_in_panel(shop, receipt, 1_000_000)
    assert await compared(shop) == []
    assert await went_back(shop, receipt) == 2_000_000


async def test_cash_is_not_taken_for_a_refund_of_the_vendors(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    _, receipt = await shop.paid("mercadopago")
    cash = {"amount_minor": 2_000_000, "reason": "Una parte", "way": "elsewhere", "evidence": "Recibo 12"}
    await shop.ok("POST", f"/receipts/{receipt}/refund", cash, status=201)
    assert await compared(shop) == [], "the vendor never hears of cash"
    await refund_in_panel(shop, receipt, 1_000_000)
    assert await compared(shop) == []
    assert await went_back(shop, receipt) == 3_000_000
    begun = await shop.ok("POST", f"/receipts/{receipt}/refund", {"reason": "Lo demás"}, status=201)
    assert (begun["amount_minor"], (await ended(shop, begun["id"]))["state"]) == (2_000_000, "succeeded")
    assert (await went_back(shop, receipt), await compared(shop)) == (5_000_000, [])
    left = await shop.world.rows(
        """
        SELECT book, sum(minor)::bigint AS minor FROM (
            SELECT debit AS book, amount_minor AS minor FROM transfer WHERE account_id = $1
            UNION ALL SELECT credit, -amount_minor FROM transfer WHERE account_id = $1) moves
        WHERE book IN ('outside', 'gateway:mercadopago') GROUP BY 1 ORDER BY 1
        """,
        shop.client.account_id,
    )
    # The vendor still holds what was given back in cash, and that cash is what is missing outside.
    assert [tuple(row.values()) for row in left] == [("gateway:mercadopago", 2_000_000), ("outside", -2_000_000)]


async def test_a_refund_that_the_gateway_never_decides_is_settled_by_a_person(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    shop.fakes.mercadopago.scenarios.queue.append(Scenario(refund=RefundAnswer.IN_PROCESS))
    _, receipt = await shop.paid("mercadopago")
    begun = await shop.ok("POST", f"/receipts/{receipt}/refund", {"amount_minor": 300, "reason": "x"}, status=201)
    path = f"/refunds/{begun['id']}"
    for _ in range(100):
        await shop.world.drain()
        if (now := await shop.ok("GET", path))["state"] == "processing":
            break
        await asyncio.sleep(0.02)
    assert now["state"] == "processing"
    for body, field in (
        ({"state": "gone", "evidence": "x"}, "state"),
        ({"state": {}, "evidence": "x"}, "state"),
        ({"state": "failed"}, "evidence"),
    ):
        refused = await shop.refused("POST", f"{path}/settle", body, status=422, code="validation_error")
        assert [error["field"] for error in refused["errors"]] == [field]
    said = {"state": "succeeded", "evidence": "Panel, devolución 8841"}
    first, again = [await shop.call("POST", f"{path}/settle", said, once="s") for _ in range(2)]
    assert (first.status, first.body) == (200, again.body)
    assert (first.json["state"], first.json["evidence"]) == ("succeeded", "Panel, devolución 8841")
    assert await went_back(shop, receipt) == 300
    await shop.refused("POST", f"{path}/settle", said, status=409, code="refund_not_open")


async def test_what_went_back_is_asked_for_again(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    invoice, receipt = await shop.paid("mercadopago")
    path = f"/invoices/{invoice['id']}/reopen"
    await shop.refused("POST", path, status=409, code="nothing_to_ask_for")
    body = {"amount_minor": 2_000_000, "reason": "x", "way": "panel", "evidence": "y"}
    await shop.ok("POST", f"/receipts/{receipt}/refund", body, status=201)
    reopened = await shop.ok("POST", path)
    assert (reopened["invoice"]["state"], reopened["invoice"]["received_minor"]) == ("open", 3_000_000)
    assert (reopened["collection"]["state"], reopened["collection"]["amount_minor"]) == ("pending", 2_000_000)
    assert reopened["invoice"]["collection_id"] == reopened["collection"]["id"]
    await shop.refused("POST", path, status=409, code="nothing_to_ask_for")
    await shop.client.pay(reopened["collection"]["id"])
    assert (await shop.client.get(f"/v1/invoices/{invoice['id']}")).json["status"] == "PAID"


async def test_a_withdrawn_invoice_is_not_asked_for_again(shop: Shop) -> None:
    invoice = await shop.client.invoice()
    await shop.client.delete(f"/v1/invoices/{invoice['id']}")
    await shop.refused("POST", f"/invoices/{invoice['id']}/reopen", status=409, code="invoice_void")


async def test_a_repeated_refund_is_one(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    invoice, receipt = await shop.paid("mercadopago")
    body = {"amount_minor": 1_000_000, "reason": "x"}
    path = f"/receipts/{receipt}/refund"
    first, *others = [await shop.call("POST", path, body, once="r") for _ in range(3)]
    assert {answer.body for answer in others} == {first.body}
    assert others[0].headers["Idempotent-Replayed"] == "true"
    other = await shop.call("POST", path, {"amount_minor": 2_000_000, "reason": "x"}, once="r")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    assert len((await shop.ok("GET", f"/receipts/{receipt}/refunds"))["data"]) == 1
    assert (await ended(shop, first.json["id"]))["state"] == "succeeded"
    again = [await shop.call("POST", f"/invoices/{invoice['id']}/reopen", once="o") for _ in range(2)]
    assert again[0].body == again[1].body


BAD_REFUNDS: list[tuple[dict[str, Any], str]] = [
    ({}, "reason"),
    ({"reason": ""}, "reason"),
    ({"reason": "x" * 256}, "reason"),
    ({"reason": "x", "amount": 100}, "amount"),
    ({"reason": "x", "amount_minor": 0}, "amount_minor"),
    ({"reason": "x", "amount_minor": -1}, "amount_minor"),
    ({"reason": "x", "amount_minor": 1.5}, "amount_minor"),
    ({"reason": "x", "amount_minor": "100"}, "amount_minor"),
    ({"reason": "x", "amount_minor": True}, "amount_minor"),
    ({"reason": "x", "amount_minor": 10**16}, "amount_minor"),
    ({"reason": "x", "way": "cash"}, "way"),
    ({"reason": "x", "way": "panel"}, "evidence"),
    ({"reason": "x", "way": "panel", "evidence": "x" * 501}, "evidence"),
    ({"reason": "x", "evidence": "y"}, "evidence"),
]


@pytest.mark.parametrize(("body", "field"), BAD_REFUNDS)
async def test_a_refund_that_cannot_be_used_is_refused_by_its_field(
    shop: Shop, body: dict[str, Any], field: str
) -> None:
    refused = await shop.refused("POST", f"/receipts/{uuid4()}/refund", body, status=422, code="validation_error")
    assert [error["field"] for error in refused["errors"]] == [field]


@pytest.mark.parametrize("name", ["019a0279-0000-7000-8000-000000000000", "nonsense"])
async def test_what_is_not_there(shop: Shop, name: str) -> None:
    for method, path, body in (
        ("POST", f"/receipts/{name}/refund", {"reason": "x"}),
        ("GET", f"/receipts/{name}/refunds", None),
        ("GET", f"/refunds/{name}", None),
        ("POST", f"/refunds/{name}/settle", {"state": "failed", "evidence": "x"}),
        ("POST", f"/invoices/{name}/reopen", None),
        ("POST", f"/suspense/{name}/resolve", {"resolution": "x"}),
    ):
        await shop.refused(method, path, body, status=404, code="not_found")


async def test_the_feed_tells_of_each_step_of_a_refund(shop: Shop) -> None:
    await shop.set_up("mercadopago")
    _, receipt = await shop.paid("mercadopago")
    begun = await shop.ok("POST", f"/receipts/{receipt}/refund", {"reason": "x"}, status=201)
    await ended(shop, begun["id"])
    told = (await shop.client.get("/recaudo/v1/events?limit=100&type=refund.started,refund.succeeded")).json["data"]
    assert [event["type"] for event in told] == ["refund.started", "refund.succeeded"]
    assert {event["data"]["refund_id"] for event in told} == {begun["id"]}
