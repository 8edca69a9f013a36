"""Paying in parts: which part is allowed, what is shown, what is told, and the time limit (OnePay spec, section 9)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.dialects.onepay.wire import at, is_invoice, is_payment, refusal, story
from tests.world import Client, World


async def opened(client: Client, amount: int, **config: Any) -> dict[str, Any]:
    return await client.invoice(amount=amount, partial_payment_config=config)


async def get(client: Client, made: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"/v1/invoices/{made['id']}")
    is_invoice(answer.json)
    return answer.json


async def takes(client: Client, made: dict[str, Any], amount: int, *, outcome: str = "decline") -> bool:
    """Whether an amount is allowed now. The attempt is declined, so that it changes nothing."""
    answer = await client.call(
        "POST", f"/recaudo/v1/sandbox/payments/{made['payment_id']}", {"amount": amount, "outcome": outcome}
    )
    if answer.status == 200:
        return True
    assert (answer.status, answer.json["code"]) == (409, "amount_not_allowed")
    return False


async def allows(client: Client, made: dict[str, Any], allowed: list[int], refused: list[int]) -> None:
    for amount in allowed:
        assert await takes(client, made, amount), amount
    for amount in refused:
        assert not await takes(client, made, amount), amount


# --- 9.1 The limits ---


async def test_all_four_limits_are_printed(client: Client) -> None:
    for sent, shown in (
        ({"min_amount": 1000}, [1000, None, 20, None]),
        (
            {"min_amount": 1000, "max_amount": None, "max_payment_methods": None, "timeout_hours": None},
            [1000, None, 20, None],
        ),
        (
            {"timeout_hours": 8760, "max_payment_methods": 1, "max_amount": 1000, "min_amount": 1000},
            [1000, 1000, 1, 8760],
        ),
        ({"min_amount": 50_000.0, "max_amount": 100_000_000}, [50_000, 100_000_000, 20, None]),
    ):
        made = await client.invoice(partial_payment_config=sent)
        assert list(made["partial_payment_config"]) == [
            "min_amount",
            "max_amount",
            "max_payment_methods",
            "timeout_hours",
        ]
        assert list(made["partial_payment_config"].values()) == shown
        assert (await get(client, made))["partial_payment_config"] == made["partial_payment_config"]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ["min_amount"]),
        ({"min_amount": None, "max_amount": 10}, ["min_amount"]),
        ({"min_amount": 0}, ["min_amount"]),
        ({"min_amount": -1}, ["min_amount"]),
        ({"min_amount": 50_001}, ["min_amount"]),
        ({"min_amount": "1000"}, ["min_amount"]),
        ({"min_amount": 1000.5}, ["min_amount"]),
        ({"min_amount": 10**30}, ["min_amount"]),
        ({"min_amount": 1000, "max_amount": 999}, ["max_amount"]),
        ({"min_amount": 1000, "max_amount": "x"}, ["max_amount"]),
        ({"min_amount": 1000, "max_payment_methods": 0}, ["max_payment_methods"]),
        ({"min_amount": 1000, "max_payment_methods": 21}, ["max_payment_methods"]),
        ({"min_amount": 1000, "max_payment_methods": True}, ["max_payment_methods"]),
        ({"min_amount": 1000, "timeout_hours": 0}, ["timeout_hours"]),
        ({"min_amount": 1000, "timeout_hours": 8761}, ["timeout_hours"]),
        ({"min_amount": 1000, "timeout_hours": 1.5}, ["timeout_hours"]),
        (
            {"timeout_hours": 0, "max_payment_methods": 0, "max_amount": 0, "min_amount": 0},
            ["min_amount", "max_amount", "max_payment_methods", "timeout_hours"],
        ),
    ],
)
async def test_limits_that_cannot_be_are_refused_by_their_path(
    client: Client, config: dict[str, Any], names: list[str]
) -> None:
    fields = [f"partial_payment_config.{name}" for name in names]
    body = {"reference": "1", "provider": "p", "amount": 50_000, "name": "Internet", "phone": "+573167591030"}
    answer = await client.post("/v1/invoices", body | {"partial_payment_config": config})
    refusal(answer, "validation_error", fields=fields)
    made = await client.invoice()
    answer = await client.put(f"/v1/invoices/{made['id']}", {"partial_payment_config": config})
    refusal(answer, "validation_error", fields=fields)


@pytest.mark.parametrize("config", [[], "x", 5, True, [{"min_amount": 1}]])
async def test_limits_that_are_no_object_are_refused(client: Client, config: Any) -> None:
    made = await client.invoice()
    answer = await client.put(f"/v1/invoices/{made['id']}", {"partial_payment_config": config})
    refusal(answer, "validation_error", fields=["partial_payment_config"])


# --- 9.2 Which part is allowed ---


async def test_without_limits_only_everything_is_allowed(client: Client) -> None:
    made = await client.invoice(amount=100_000)
    await allows(client, made, [100_000], [1, 50_000, 99_999, 100_001, 200_000])


async def test_the_published_table_of_parts_with_three_allowed(client: Client) -> None:
    limits = {"min_amount": 20_000, "max_amount": 60_000, "max_payment_methods": 3}
    made = await opened(client, 100_000, **limits)
    await allows(client, made, [20_000, 45_000, 60_000], [19_999, 60_001, 80_000, 100_000])

    seventy = await opened(client, 100_000, **limits)
    await client.pay(seventy["payment_id"], amount=30_000)
    await allows(client, seventy, [20_000, 35_000, 50_000], [19_999, 50_001, 60_000, 70_000])

    fifty = await opened(client, 100_000, **limits)
    await client.pay(fifty["payment_id"], amount=50_000)
    await allows(client, fifty, [20_000, 25_000, 30_000, 50_000], [19_999, 30_001, 40_000, 49_999])

    await client.pay(fifty["payment_id"], amount=20_000)
    await allows(client, fifty, [30_000], [20_000, 29_999, 30_001])
    await client.pay(seventy["payment_id"], amount=20_000)
    # The last allowed part closes the balance, whatever the largest part is.
    await allows(client, seventy, [50_000], [20_000, 30_000, 49_999])


async def test_no_part_leaves_a_rest_below_the_smallest(client: Client) -> None:
    made = await opened(client, 50_000, min_amount=30_000)
    await allows(client, made, [50_000], [20_000, 25_000, 30_000, 40_000])
    made = await opened(client, 60_000, min_amount=30_000)
    await allows(client, made, [30_000, 60_000], [29_999, 30_001, 45_000])
    # Above the largest part, but it cannot be divided: only everything.
    made = await opened(client, 50_000, min_amount=30_000, max_amount=40_000)
    await allows(client, made, [50_000], [30_000, 40_000])


async def test_one_part_allowed_is_everything(client: Client) -> None:
    made = await opened(client, 100_000, min_amount=1000, max_amount=2000, max_payment_methods=1)
    await allows(client, made, [100_000], [1000, 2000])


async def test_failed_attempts_do_not_count_as_parts(client: Client) -> None:
    made = await opened(client, 100_000, min_amount=10_000, max_payment_methods=2)
    for _ in range(3):
        await client.pay(made["payment_id"], amount=10_000, outcome="decline")
    await allows(client, made, [10_000, 90_000, 100_000], [91_000])
    await client.pay(made["payment_id"], amount=10_000)
    await allows(client, made, [90_000], [10_000])


async def test_at_most_twenty_parts_unless_said_otherwise(client: Client) -> None:
    made = await opened(client, 50_000, min_amount=1000)
    for _ in range(19):
        await client.pay(made["payment_id"], amount=1000)
    await allows(client, made, [31_000], [1000, 30_000])
    await client.pay(made["payment_id"])
    now = await get(client, made)
    assert (now["status"], now["payment"]["partial_payment"]["parts"]) == ("PAID", 20)


async def test_parts_are_counted_anew_on_a_new_payment(client: Client) -> None:
    made = await opened(client, 100_000, min_amount=10_000, max_payment_methods=2)
    await client.pay(made["payment_id"], amount=10_000)
    changed = (await client.put(f"/v1/invoices/{made['id']}", {})).json
    await allows(client, changed, [10_000, 80_000, 90_000], [81_000])


async def test_money_that_no_longer_fits_is_booked_all_the_same(client: Client, world: World) -> None:
    """Two transfers are on their way at once; each was allowed when it began, and together they are too much."""
    made = await opened(client, 100_000, min_amount=40_000)
    await client.pay(made["payment_id"], amount=60_000, outcome="pending_then_approve")
    await client.pay(made["payment_id"], amount=60_000, outcome="pending_then_approve", again=True)
    assert (await get(client, made))["payment"]["status"] == "in_progress"
    await client.advance_clock(seconds=20)
    await world.drain()
    now = await get(client, made)
    assert (now["status"], now["amount_received"]) == ("PAID", 100_000)
    assert (now["payment"]["status"], now["payment"]["overpaid_amount"]) == ("approved", 20_000)


# --- 9.3 Progress, 9.4 Events ---


async def test_progress_is_shown_from_the_first_part_to_the_last(client: Client, world: World) -> None:
    made = await opened(client, 100_000, min_amount=10_000)
    assert "partial_payment" not in made["payment"]
    intents = [(await client.pay(made["payment_id"], amount=30_000))["payment_intent_id"]]
    half = await get(client, made)
    assert (half["status"], half["amount"], half["amount_received"]) == ("PARTIALLY_PAID", 100_000, 30_000)
    assert (half["payment"]["status"], half["payment"]["amount"], half["payment"]["paid_at"]) == (
        "partially_paid",
        100_000,
        None,
    )
    progress = half["payment"]["partial_payment"]
    assert list(progress) == ["total_paid", "remaining", "parts", "charges"]
    assert (progress["total_paid"], progress["remaining"], progress["parts"]) == (30_000, 70_000, 1)
    assert [list(charge) for charge in progress["charges"]] == [["id", "amount", "paid_at"]]
    assert half["payment"]["method"]["brand"] == "VISA"

    await client.advance_clock(hours=1)
    intents.append((await client.pay(made["payment_id"], amount=50_000, method="pse"))["payment_intent_id"])
    intents.append((await client.pay(made["payment_id"]))["payment_intent_id"])
    done = await get(client, made)
    assert (done["status"], done["amount_received"], done["payment"]["status"]) == ("PAID", 100_000, "approved")
    progress = done["payment"]["partial_payment"]
    assert (progress["total_paid"], progress["remaining"], progress["parts"]) == (100_000, 0, 3)
    assert [charge["id"] for charge in progress["charges"]] == intents
    assert [charge["amount"] for charge in progress["charges"]] == [30_000, 50_000, 20_000]
    times = [at(charge["paid_at"]) for charge in progress["charges"]]
    assert times == sorted(times)
    assert done["payment"]["paid_at"] == progress["charges"][-1]["paid_at"] == done["updated_at"]
    whole = (await client.get(f"/v1/payments/{made['payment_id']}")).json
    is_payment(whole)
    assert whole["partial_payment"] == progress
    part = ["payment.partially_paid", "invoice.partially_paid"]
    assert await story(world, client, made["id"]) == [*part, *part, "payment.approved", "invoice.paid"]


async def test_an_invoice_paid_at_once_shows_no_parts(client: Client) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"])
    assert "partial_payment" not in (await get(client, made))["payment"]


# --- The time limit ---


async def test_the_time_limit_counts_from_the_first_part(client: Client) -> None:
    made = await opened(client, 100_000, min_amount=10_000, timeout_hours=48)
    assert made["payment"]["expiration_at"] is None
    await client.advance_clock(days=30)
    await client.pay(made["payment_id"], amount=10_000, outcome="decline")
    assert (await get(client, made))["payment"]["expiration_at"] is None
    await client.pay(made["payment_id"], amount=10_000)
    first = (await get(client, made))["payment"]
    begun = at(first["partial_payment"]["charges"][0]["paid_at"])
    assert at(first["expiration_at"]) - begun == timedelta(hours=48)
    await client.advance_clock(hours=10)
    await client.pay(made["payment_id"], amount=10_000)
    assert (await get(client, made))["payment"]["expiration_at"] == first["expiration_at"]


async def test_when_time_is_over_parts_are_kept_and_a_change_asks_for_the_rest(client: Client, world: World) -> None:
    made = await opened(client, 100_000, min_amount=10_000, timeout_hours=2)
    await client.pay(made["payment_id"], amount=30_000)
    await client.advance_clock(hours=1)
    await world.drain()
    assert (await get(client, made))["payment"]["status"] == "partially_paid"
    await client.advance_clock(hours=1, seconds=1)
    await world.drain()
    over = await get(client, made)
    assert (over["status"], over["amount_received"]) == ("PARTIALLY_PAID", 30_000)
    assert (over["payment"]["status"], over["payment"]["partial_payment"]["remaining"]) == ("partial_expired", 70_000)
    assert (await story(world, client, made["id"]))[2:] == ["payment.partial_expired"]
    refused = await client.pay(made["payment_id"], amount=10_000, status=409)
    assert refused["code"] == "collection_expired"
    path = f"/v1/payments/{made['payment_id']}"
    refusal(await client.post(path), "payment_expired")
    refusal(await client.delete(path), "payment_expired")

    changed = (await client.put(f"/v1/invoices/{made['id']}", {})).json
    is_invoice(changed)
    assert (changed["status"], changed["payment"]["amount"]) == ("PARTIALLY_PAID", 70_000)
    assert (changed["payment"]["status"], changed["payment"]["expiration_at"]) == ("pending", None)
    assert (await client.get(path)).json["status"] == "partial_expired"
    # The old payment was no longer live, so nothing was deleted.
    assert (await story(world, client, made["id"]))[3:] == ["payment.created", "invoice.updated"]
    await client.pay(changed["payment_id"])
    assert (await get(client, made))["status"] == "PAID"


async def test_a_payment_closed_in_time_does_not_expire(client: Client, world: World) -> None:
    made = await opened(client, 100_000, min_amount=10_000, timeout_hours=2)
    await client.pay(made["payment_id"], amount=30_000)
    await client.pay(made["payment_id"])
    await client.advance_clock(days=10)
    await world.drain()
    assert (await get(client, made))["payment"]["status"] == "approved"


async def test_a_superseded_payment_does_not_expire(client: Client, world: World) -> None:
    made = await opened(client, 100_000, min_amount=10_000, timeout_hours=2)
    await client.pay(made["payment_id"], amount=30_000)
    changed = (await client.put(f"/v1/invoices/{made['id']}", {})).json
    await client.advance_clock(days=10)
    await world.drain()
    assert (await client.get(f"/v1/payments/{made['payment_id']}")).json["status"] == "cancelled"
    assert (await get(client, made))["payment"] == changed["payment"]


async def test_late_money_on_a_payment_whose_time_is_over_is_booked(client: Client, world: World) -> None:
    made = await opened(client, 100_000, min_amount=10_000, timeout_hours=2)
    await client.pay(made["payment_id"], amount=30_000)
    await client.pay(made["payment_id"], amount=70_000, outcome="settle_after_replacement")
    await client.advance_clock(hours=3)
    await world.drain()
    await client.advance_clock(days=1)
    await world.drain()
    now = await get(client, made)
    assert (now["status"], now["payment"]["status"]) == ("PAID", "approved")
    assert (await story(world, client, made["id"]))[2:] == [
        "payment.partial_expired",
        "payment.approved",
        "invoice.paid",
    ]


async def test_a_withdrawn_invoice_whose_time_was_over_credits_its_parts(client: Client, world: World) -> None:
    made = await opened(client, 100_000, min_amount=10_000, timeout_hours=1)
    await client.pay(made["payment_id"], amount=30_000)
    await client.advance_clock(hours=2)
    await world.drain()
    assert (await client.delete(f"/v1/invoices/{made['id']}")).status == 204
    now = await get(client, made)
    assert (now["status"], now["payment"]["status"]) == ("CANCELLED", "partial_expired")
    assert now["payment"]["overpaid_amount"] == 30_000
    assert (await story(world, client, made["id"]))[3:] == ["invoice.deleted", "payment.overpaid"]
