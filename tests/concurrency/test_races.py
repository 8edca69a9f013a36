"""Requests that race each other over HTTP: the same request many times, and requests that want different things.

Whoever wins, the same request has one effect, one link is live, and money is neither lost nor made.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.concurrency.books import balanced, read, wrong_links
from tests.databases import plain
from tests.world import Answer, Client, World

INVOICE = {
    "reference": "1060500333",
    "provider": "biller",
    "amount": 50000,
    "name": "Internet plan - Octubre",
    "phone": "+573167591030",
}
PARTS = {"min_amount": 20000}
Racer = tuple[World, Client]


async def together(calls: Iterable[Awaitable[Answer]]) -> list[Answer]:
    return await asyncio.gather(*calls)


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    return Counter(a.status for a in answers)


async def after(seconds: float, call: Awaitable[Answer]) -> Answer:
    await asyncio.sleep(seconds)
    return await call


def pay(client: Client, payment_id: str, *, once: str | None = None, **fields: Any) -> Coroutine[Any, Any, Answer]:
    """Pay in the sandbox, whatever the answer."""
    return client.call("POST", f"/recaudo/v1/sandbox/payments/{payment_id}", fields, once=once)


# --- The same request many times ---


async def test_two_hundred_identical_creates_are_one_invoice_and_two_hundred_equal_answers(racer: Racer) -> None:
    world, client = racer
    body = {**INVOICE, "provider_id": "987654"}
    answers = await together(client.post("/v1/invoices", body, once="the same") for _ in range(200))
    assert statuses(answers) == {201: 200}
    assert len({a.body for a in answers}) == 1
    assert sum("Idempotent-Replayed" not in a.headers for a in answers) == 1
    assert (await read(world, client.account_id)).invoices == 1
    events = await world.rows("SELECT type FROM event WHERE account_id = $1", client.account_id)
    assert Counter(r["type"] for r in events) == {"invoice.created": 1, "collection.opened": 1}


async def test_one_key_with_two_bodies_has_one_winner_and_the_other_body_is_told_what_differs(racer: Racer) -> None:
    world, client = racer
    answers = await together(
        client.post("/v1/invoices", {**INVOICE, "amount": amount}, once="k") for amount in [50000, 60000] * 30
    )
    assert statuses(answers) == {201: 30, 409: 30}
    assert len({a.body for a in answers if a.status == 201}) == 1
    refused = [a.json for a in answers if a.status == 409]
    assert {r["code_name"] for r in refused} == {"idempotency_key_reused"}
    assert {tuple(r["errors"]) for r in refused} == {("amount",)}
    assert (await read(world, client.account_id)).invoices == 1


async def test_identical_changes_replace_the_link_once(racer: Racer) -> None:
    world, client = racer
    invoice = await client.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    answers = await together(client.put(path, {"amount": 60000}, once="k") for _ in range(50))
    assert statuses(answers) == {200: 50}
    assert len({a.body for a in answers}) == 1
    (row,) = await world.rows("SELECT generation, version FROM invoice WHERE account_id = $1", client.account_id)
    assert (row["generation"], row["version"]) == (2, 2)


async def test_identical_withdrawals_have_one_effect(racer: Racer) -> None:
    world, client = racer
    invoice = await client.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    with_key = await together(client.delete(path, once="k") for _ in range(20))
    assert statuses(with_key) == {204: 20}
    without_key = await together(client.delete(path) for _ in range(5))
    assert statuses(without_key) == {404: 5}
    events = await world.rows(
        "SELECT type FROM event WHERE account_id = $1 AND type = 'invoice.withdrawn'", client.account_id
    )
    assert len(events) == 1


async def test_a_payment_that_is_sent_again_many_times_with_one_key_queues_its_notices_once(racer: Racer) -> None:
    world, client = racer
    payment = (await client.invoice())["payment"]
    answers = await together(client.post(f"/v1/payments/{payment['id']}", {}, once="k") for _ in range(30))
    assert statuses(answers) == {200: 30}
    assert len(await world.rows("SELECT 1 FROM notice WHERE account_id = $1", client.account_id)) == 1


async def test_a_double_click_on_pay_is_one_attempt(racer: Racer) -> None:
    world, client = racer
    payment = (await client.invoice())["payment"]
    answers = await together(pay(client, payment["id"], once="click") for _ in range(30))
    assert statuses(answers) == {200: 30}
    assert len({a.json["payment_intent_id"] for a in answers}) == 1
    books = await balanced(world, client.account_id)
    assert (books.attempts, books.receipts) == (1, 5_000_000)


async def test_one_document_is_one_customer_however_many_register_it(racer: Racer) -> None:
    _, client = racer
    body = {
        "user_type": "natural",
        "first_name": "Ana",
        "last_name": "Ruiz",
        "email": "ana@ejemplo.com",
        "phone": "+573167591030",
        "document_type": "CC",
        "document_number": "1060500333",
    }
    same_key = await together(client.post("/v1/customers", body, once="k") for _ in range(20))
    assert statuses(same_key) == {201: 20}, same_key[0].json
    assert len({a.body for a in same_key}) == 1
    other_keys = await together(client.post("/v1/customers", body) for _ in range(20))
    assert statuses(other_keys) == {409: 20}
    assert {a.json["existing_id"] for a in other_keys} == {same_key[0].json["id"]}


# --- Two that want the same name ---


async def test_of_many_creates_with_one_number_exactly_one_passes(racer: Racer) -> None:
    world, client = racer
    answers = await together(client.post("/v1/invoices", {**INVOICE, "provider_id": "987654"}) for _ in range(60))
    assert statuses(answers) == {201: 1, 409: 59}
    (made,) = [a.json["id"] for a in answers if a.status == 201]
    assert {a.json["existing_id"] for a in answers if a.status == 409} == {made}
    assert (await read(world, client.account_id)).invoices == 1


async def test_a_create_and_a_change_to_one_number_have_one_winner(racer: Racer) -> None:
    world, client = racer
    invoices = [await client.invoice(provider_id=f"old-{i}") for i in range(10)]
    for i in range(3):
        wanted = f"new-{i}"
        answers = await together(
            [
                *(client.put(f"/v1/invoices/{v['id']}", {"provider_id": wanted}) for v in invoices),
                *(client.post("/v1/invoices", {**INVOICE, "provider_id": wanted}) for _ in range(10)),
            ]
        )
        assert statuses(answers)[409] == 19, statuses(answers)
        assert {a.json["code_name"] for a in answers if a.status == 409} == {"invoice_exists"}
        assert len(await world.rows(LIVING, client.account_id, wanted)) == 1


LIVING = "SELECT 1 FROM invoice WHERE account_id = $1 AND origin_id = $2 AND origin_bound"


async def test_two_invoices_that_swap_their_numbers_at_once_are_refused_and_not_stuck(racer: Racer) -> None:
    _, client = racer
    one, two = [await client.invoice(provider_id=number) for number in ("1", "2")]
    answers = await together(
        [
            client.put(f"/v1/invoices/{one['id']}", {"provider_id": "2"}),
            client.put(f"/v1/invoices/{two['id']}", {"provider_id": "1"}),
        ]
    )
    assert statuses(answers) == {409: 2}
    assert {a.json["code_name"] for a in answers} == {"invoice_exists"}


async def test_a_number_that_becomes_free_is_taken_by_one(racer: Racer) -> None:
    world, client = racer
    invoice = await client.invoice(provider_id="987654")
    answers = await together(
        [
            client.delete(f"/v1/invoices/{invoice['id']}"),
            *(client.post("/v1/invoices", {**INVOICE, "provider_id": "987654"}) for _ in range(20)),
        ]
    )
    assert statuses(answers)[201] <= 1
    assert statuses(answers)[204] == 1
    assert len(await world.rows(LIVING, client.account_id, "987654")) == statuses(answers)[201]


# --- Changing, paying and withdrawing at once ---


async def test_two_changes_at_once_leave_one_live_link(racer: Racer) -> None:
    world, client = racer
    invoice = await client.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    answers = await together(client.put(path, {"amount": amount}) for amount in range(51000, 71000, 1000))
    assert statuses(answers) == {200: 20}
    now = (await client.get(path)).json
    collections = await world.rows(
        "SELECT id, generation, state FROM collection WHERE account_id = $1", client.account_id
    )
    assert sorted(c["generation"] for c in collections) == list(range(1, 22))
    live = [c for c in collections if c["state"] == "pending"]
    assert [(str(c["id"]), c["generation"]) for c in live] == [(now["payment"]["id"], 21)]
    assert now["amount"] in {a.json["amount"] for a in answers}


async def test_a_change_that_races_a_payer_never_loses_or_doubles_money(world: World, client: Client) -> None:
    """Five hundred times, with money that arrives at once, later, twice, or only after the change."""
    chance = random.Random(20251020)
    outcomes = ["approve"] * 4 + ["approve_twice", "pending_then_approve", "settle_after_replacement", "decline"]
    await race_changes_with_payers(client, chance, outcomes, rounds=500)
    await client.advance_clock(seconds=60)
    await world.drain()
    books = await balanced(world, client.account_id)
    assert books.credit > 0, "some money came after the invoice was covered"
    assert await wrong_links(world, client.account_id) == []


async def test_a_change_that_races_a_payer_in_another_process_does_not_either(crowd: World) -> None:
    client = await crowd.merchant()
    chance = random.Random(7)
    await race_changes_with_payers(client, chance, ["approve", "approve_twice"], rounds=100)
    await balanced(crowd, client.account_id)
    assert await wrong_links(crowd, client.account_id) == []
    assert await crowd.findings(client.account_id) == []


async def race_changes_with_payers(client: Client, chance: random.Random, outcomes: list[str], *, rounds: int) -> None:
    seen: Counter[tuple[int, int]] = Counter()
    few = asyncio.Semaphore(8)

    async def race(amount: int, outcome: str) -> None:
        # Either may be a little ahead, so that they meet in every way.
        head_starts = (0.0, chance.uniform(0, 0.02)) if chance.random() < 0.3 else (chance.uniform(0, 0.04), 0.0)
        async with few:
            invoice = await client.invoice(partial_payment_config=PARTS)
            changed, paid = await together(
                [
                    after(head_starts[0], client.put(f"/v1/invoices/{invoice['id']}", {"amount": amount})),
                    after(head_starts[1], pay(client, invoice["payment"]["id"], outcome=outcome)),
                ]
            )
            assert changed.status == 200 or changed.json["code_name"] in CHANGE_REFUSED, changed.json
            assert paid.status == 200 or paid.json["code"] in PAY_REFUSED, paid.json
            seen[changed.status, paid.status] += 1

    await asyncio.gather(*(race(chance.choice((40000, 50000, 90000)), chance.choice(outcomes)) for _ in range(rounds)))
    assert seen.total() == rounds
    assert seen[200, 409] > 0, f"the change came first at least once: {seen}"
    assert seen[409, 200] > 0, f"the payer came first at least once: {seen}"


CHANGE_REFUSED = {"invoice_already_paid", "amount_below_received"}
PAY_REFUSED = {"collection_cancelled", "collection_paid", "invoice_paid"}


async def test_a_withdrawal_that_races_a_payer_ends_in_one_of_two_ways(racer: Racer) -> None:
    world, client = racer

    async def race() -> tuple[str, int, int]:
        invoice = await client.invoice()
        path = f"/v1/invoices/{invoice['id']}"
        gone, paid = await together([client.delete(path), pay(client, invoice["payment"]["id"])])
        return (await client.get(path)).json["status"], gone.status, paid.status

    ends = Counter(await asyncio.gather(*(race() for _ in range(60))))
    # Paid first; withdrawn first; or withdrawn between the start of the payment and its money, which is then credit.
    assert set(ends) <= {("PAID", 409, 200), ("CANCELLED", 204, 409), ("CANCELLED", 204, 200)}, ends
    books = await balanced(world, client.account_id)
    assert books.applied == ends["PAID", 409, 200] * 5_000_000
    assert books.credit == ends["CANCELLED", 204, 200] * 5_000_000
    assert await wrong_links(world, client.account_id) == []


async def test_parts_that_race_near_the_balance_are_booked_and_what_is_beyond_is_credit(racer: Racer) -> None:
    world, client = racer

    async def race() -> int:
        invoice = await client.invoice(amount=100000, partial_payment_config=PARTS)
        answers = await together(pay(client, invoice["payment"]["id"], amount=50000) for _ in range(8))
        assert set(statuses(answers)) <= {200, 409}
        assert (await client.get(f"/v1/invoices/{invoice['id']}")).json["status"] == "PAID"
        return statuses(answers)[200]

    parts = await asyncio.gather(*(race() for _ in range(10)))
    books = await balanced(world, client.account_id)
    assert books.receipts == sum(parts) * 5_000_000
    assert books.applied == 10 * 10_000_000
    assert books.credit == books.receipts - books.applied


async def test_two_payers_of_one_link_are_both_booked(racer: Racer) -> None:
    world, client = racer
    payment = (await client.invoice())["payment"]
    answers = await together(pay(client, payment["id"], amount=50000) for _ in range(10))
    books = await balanced(world, client.account_id)
    assert books.receipts == statuses(answers)[200] * 5_000_000
    assert books.applied == 5_000_000
    assert (await client.get(f"/v1/payments/{payment['id']}")).json["status"] == "approved"


async def test_everything_at_once_on_one_invoice_leaves_consistent_books(racer: Racer) -> None:
    world, client = racer
    chance = random.Random(3)
    for _ in range(4):
        invoice = await client.invoice(amount=100000, partial_payment_config=PARTS)
        path, payment = f"/v1/invoices/{invoice['id']}", f"/v1/payments/{invoice['payment']['id']}"
        calls: list[Awaitable[Answer]] = [
            *(client.put(path, {"amount": chance.choice((80000, 100000, 120000))}) for _ in range(5)),
            *(pay(client, invoice["payment"]["id"], amount=40000) for _ in range(5)),
            *(client.post(payment, {}) for _ in range(3)),
            client.delete(payment),
            client.delete(path),
            client.delete(path, {"reason": "PAID_FROM_PROVIDER"}),
        ]
        chance.shuffle(calls)
        answers = await together(calls)
        assert set(statuses(answers)) <= {200, 204, 404, 409}, statuses(answers)
        assert (await client.get(path)).json["status"] in {"PAID", "CANCELLED"}
    await balanced(world, client.account_id)


# --- Reading while others write ---


async def test_whoever_reads_while_others_write_sees_whole_changes_only(racer: Racer) -> None:
    _, client = racer
    invoice = await client.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    stop = asyncio.Event()

    async def write() -> None:
        for amount in range(51000, 81000, 1000):
            assert (await client.put(path, {"amount": amount})).status == 200
        stop.set()

    async def read_on() -> None:
        while not stop.is_set():
            seen = (await client.get(path)).json
            assert seen["payment"]["amount"] == seen["amount"]
            assert seen["payment"]["status"] == "pending"

    await asyncio.gather(write(), *(read_on() for _ in range(4)))


# --- Neighbours ---


@asynccontextmanager
async def invoice_held(url: str, invoice_id: str) -> AsyncIterator[None]:
    """Somebody has locked an invoice and does not end: a process that was stopped in the middle of a change."""
    async with plain(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch("SELECT 1 FROM invoice WHERE id = $1 FOR UPDATE", UUID(invoice_id))
        try:
            yield
        finally:
            await transaction.rollback()


async def test_a_tenant_whose_invoice_is_stuck_does_not_hold_up_the_others(world: World, client: Client) -> None:
    """More changes wait for one invoice than there are connections, and the neighbours notice nothing."""
    neighbour = await world.merchant()
    invoice = await client.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    async with invoice_held(world.database_url, invoice["id"]):
        waiting = [asyncio.create_task(client.put(path, {})) for _ in range(40)]
        paying = [asyncio.create_task(pay(client, invoice["payment"]["id"])) for _ in range(10)]
        await asyncio.sleep(0.5)
        started_s = time.monotonic()
        await neighbour.invoice()
        other = await client.invoice()
        assert (await neighbour.get("/v1/invoices")).status == 200
        assert (await client.put(f"/v1/invoices/{other['id']}", {})).status == 200
        assert (await client.get(path)).status == 200
        assert time.monotonic() - started_s < 10, "a lock is waited for three times as long"
        assert not any(task.done() for task in waiting)
    assert statuses(await together(waiting))[200] >= 1
    await together(paying)


async def test_naming_a_strangers_invoice_does_not_make_its_owner_wait(world: World, client: Client) -> None:
    stranger = await world.merchant()
    invoice = await client.invoice()
    path = f"/v1/invoices/{invoice['id']}"
    attacks = [asyncio.create_task(stranger.put(path, {})) for _ in range(100)]
    answer = await client.put(path, {"amount": 60000})
    assert answer.status == 200
    assert statuses(await together(attacks)) == {404: 100}


# --- The test clock ---


async def test_a_test_clock_that_many_move_at_once_only_goes_forward(racer: Racer) -> None:
    world, client = racer
    chance = random.Random(11)
    hours = chance.sample(range(1, 200), 20)
    answers = await together(
        client.call("PUT", "/recaudo/v1/clock", {"advance_seconds": 3600 * hour}) for hour in hours
    )
    assert statuses(answers) == {200: 20}
    shift = (await world.account(client.account_id)).clock_shift
    assert shift.total_seconds() >= 3600 * max(hours) - 1


async def test_moving_a_test_clock_by_nothing_is_no_fault(client: Client) -> None:
    answer = await client.call("PUT", "/recaudo/v1/clock", {"advance_seconds": 0})
    assert answer.status == 200, answer.json
    now = (await client.get("/recaudo/v1/clock")).json["now"]
    assert datetime.fromisoformat(answer.json["now"]) <= datetime.fromisoformat(now)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_hundred_tenants_at_once_get_their_own_and_nothing_else(world: World, number: int) -> None:
    """The batches of the writer hold rows of many tenants: every answer goes to its own."""
    tenants = [await world.merchant() for _ in range(25)]
    answers = await together(
        tenant.post("/v1/invoices", {**INVOICE, "provider_id": str(i), "name": f"Plan de {tenant.slug}"}, once=str(i))
        for i in range(4 * number)
        for tenant in tenants
    )
    assert statuses(answers) == {201: 100 * number}
    for tenant in tenants:
        page = (await tenant.get("/v1/invoices?per_page=100")).json
        assert page["total"] == 4 * number
        assert {row["name"] for row in page["data"]} == {f"Plan de {tenant.slug}"}
