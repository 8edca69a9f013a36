"""The same request twice has one effect (OnePay specification, section 2)."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from recaudo.dialects.onepay.dialect import OnePay
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.api import Api
from recaudo.edge.auth import Authenticator
from recaudo.edge.http import Reply
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer
from recaudo.edge.routing import ApiRequest, Route, Router
from recaudo.store.database import LockTimeoutError
from tests.dialects.onepay.wire import refusal, told
from tests.world import Answer, Client, World, running

INVOICE: dict[str, Any] = {
    "reference": "1060500333",
    "provider": "biller",
    "amount": 50000,
    "name": "Internet plan - Octubre",
    "phone": "+573167591030",
}
PAYMENT: dict[str, Any] = {"title": "Matrícula", "amount": 50000}
CUSTOMER: dict[str, Any] = {"first_name": "Ana", "email": "ana@ejemplo.com"}
CREATES = [("/v1/invoices", INVOICE), ("/v1/payments", PAYMENT), ("/v1/customers", CUSTOMER)]


def is_replay(answer: Answer, first: Answer) -> None:
    """The first answer's status and bytes again, and said to be so."""
    assert (answer.status, answer.body) == (first.status, first.body)
    assert answer.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert answer.headers.get("content-type") == first.headers.get("content-type")


async def count(client: Client, path: str) -> int:
    return (await client.get(path)).json["total"]


# --- The key ---


@pytest.mark.parametrize(("path", "body"), CREATES)
async def test_every_create_needs_a_key(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = await client.call("POST", path, body)
    assert refusal(answer, "validation_error", fields=["x-idempotency"])["message"] == (
        "El encabezado x-idempotency es obligatorio."
    )
    assert await count(client, path) == 0


@pytest.mark.parametrize("key", ["", " ", "   ", "x" * 256, "clavé", "naïve", "a\tb", "🔑"])
@pytest.mark.parametrize(("path", "body"), CREATES)
async def test_a_key_is_1_to_255_printable_ascii_characters(
    client: Client, path: str, body: dict[str, Any], key: str
) -> None:
    refusal(await client.post(path, body, once=key), "validation_error", fields=["x-idempotency"])
    assert await count(client, path) == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b", "!~\"'{}%00,;", "invoice-001", "null"])
async def test_any_other_key_will_do(client: Client, key: str) -> None:
    first = await client.post("/v1/invoices", INVOICE, once=key)
    assert first.status == 201
    is_replay(await client.post("/v1/invoices", INVOICE, once=key), first)


async def test_a_bad_key_is_refused_where_keys_are_optional_too(client: Client) -> None:
    made = await client.invoice()
    invoice, payment = f"/v1/invoices/{made['id']}", f"/v1/payments/{made['payment_id']}"
    for answer in (
        await client.put(invoice, {}, once=""),
        await client.call("PATCH", invoice, {}, once="x" * 256),
        await client.delete(invoice, once="é"),
        await client.post(payment, once=""),
        await client.delete(payment, once="x" * 256),
    ):
        refusal(answer, "validation_error", fields=["x-idempotency"])
    assert (await client.get(invoice)).json == made


async def test_reading_takes_no_notice_of_a_key(client: Client) -> None:
    assert (await client.get("/v1/invoices", once="x" * 300)).status == 200


# --- The same again ---


@pytest.mark.parametrize(("path", "body"), CREATES)
async def test_the_same_create_again_is_answered_with_the_same_bytes(
    client: Client, path: str, body: dict[str, Any]
) -> None:
    first = await client.post(path, body, once="k")
    assert first.status == 201
    is_replay(await client.post(path, body, once="k"), first)
    is_replay(await client.post(path, body, once="k"), first)
    assert await count(client, path) == 1


async def test_the_stored_answer_stays_even_when_the_object_changed(client: Client, world: World) -> None:
    first = await client.post("/v1/invoices", INVOICE, once="k")
    invoice = f"/v1/invoices/{first.json['id']}"
    await client.put(invoice, {"amount": 60000, "name": "Otro nombre"})
    is_replay(await client.post("/v1/invoices", INVOICE, once="k"), first)
    await client.delete(invoice)
    before = await told(world, client, first.json["id"])
    is_replay(await client.post("/v1/invoices", INVOICE, once="k"), first)
    assert (await client.get(invoice)).json["status"] == "CANCELLED"
    assert await told(world, client, first.json["id"]) == before


async def test_a_repeated_change_opens_no_second_payment(client: Client, world: World) -> None:
    made = await client.invoice()
    for method in ("PUT", "PATCH"):
        first = await client.call(method, f"/v1/invoices/{made['id']}", {"amount": 70000}, once="k")
        assert first.status == 200
        is_replay(await client.call(method, f"/v1/invoices/{made['id']}", {"amount": 70000}, once="k"), first)
        assert (await client.get(f"/v1/invoices/{made['id']}")).json == first.json
    # One creation and one change by each method.
    assert len(await told(world, client, made["id"])) == 2 + 2 * 3


async def test_a_repeated_delete_is_answered_204_again_and_not_404(client: Client) -> None:
    for reason in ("DELETE_FROM_PROVIDER", "PAID_FROM_PROVIDER"):
        made = await client.invoice()
        path = f"/v1/invoices/{made['id']}"
        first = await client.delete(path, {"reason": reason}, once="k")
        assert (first.status, first.body) == (204, b"")
        is_replay(await client.delete(path, {"reason": reason}, once="k"), first)
        refusal(await client.delete(path, {"reason": reason}), "not_found")
        refusal(await client.delete(path, {"reason": reason}, once="another"), "not_found")


async def test_a_repeated_delete_of_a_payment_is_answered_204_again_and_not_409(client: Client) -> None:
    made = await client.invoice()
    path = f"/v1/payments/{made['payment_id']}"
    first = await client.delete(path, once="k")
    assert first.status == 204
    is_replay(await client.delete(path, once="k"), first)
    refusal(await client.delete(path), "payment_cancelled")


async def test_a_repeated_resend_queues_one_notice(client: Client, world: World) -> None:
    made = await client.invoice()
    path = f"/v1/payments/{made['payment_id']}"
    query = "SELECT count(*) AS n FROM notice WHERE account_id = $1 AND kind = 'reminder'"
    first = await client.post(path, once="k")
    is_replay(await client.post(path, {}, once="k"), first)
    await client.pay(made["payment_id"])
    is_replay(await client.post(path, once="k"), first)
    assert (await world.rows(query, client.account_id))[0]["n"] == 1
    refusal(await client.post(path, once="other"), "payment_already_paid")


async def test_the_answer_to_a_stand_alone_payment_stays_after_its_time(client: Client) -> None:
    # The body would no longer be valid: its expiration lies in the past by now.
    now = (await client.get("/recaudo/v1/clock")).json["now"]
    body = PAYMENT | {"expiration_date": now[:10]}
    first = await client.post("/v1/payments", body, once="k")
    assert first.status == 201
    await client.advance_clock(days=3)
    is_replay(await client.post("/v1/payments", body, once="k"), first)
    refusal(await client.post("/v1/payments", body), "validation_error", fields=["expiration_date"])


async def test_the_answer_to_a_customer_stays_although_the_document_is_taken_now(client: Client) -> None:
    body = CUSTOMER | {"document_type": "CC", "document_number": "1060500333"}
    first = await client.post("/v1/customers", body, once="k")
    is_replay(await client.post("/v1/customers", body, once="k"), first)
    refusal(await client.post("/v1/customers", body, once="l"), "customer_exists", existing_id=first.json["id"])


# --- The same body ---


@pytest.mark.parametrize(
    "again",
    [
        b'{"provider":"biller","reference":"1","name":"Internet","amount":50000,"phone":"+573167591030"}',
        b'\n{ "reference" : "1",\r\n\t"provider":"biller","amount":50000, "name":"Internet","phone":"+573167591030" } ',
        b'{"reference":"1","provider":"biller","amount":50000.0,"name":"Internet","phone":"+573167591030"}',
        b'{"reference":"1","provider":"biller","amount":5e4,"name":"Internet","phone":"+573167591030"}',
        b'{"reference":"1","provider":"biller","amount":500000E-1,"name":"Internet","phone":"+573167591030"}',
        b'{"reference":"1","provider":"biller","amount":50000,"name":"\\u0049nternet","phone":"\\u002b573167591030"}',
        b'{"amount":9,"reference":"1","provider":"biller","amount":50000,"name":"Internet","phone":"+573167591030"}',
    ],
)
async def test_bodies_that_say_the_same_are_the_same(client: Client, again: bytes) -> None:
    body = b'{"reference":"1","provider":"biller","amount":50000,"name":"Internet","phone":"+573167591030"}'
    first = await client.post("/v1/invoices", data=body, once="k")
    is_replay(await client.post("/v1/invoices", data=again, once="k"), first)


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({"name": "Otro"}, ["name"]),
        ({"name": " Internet plan - Octubre"}, ["name"]),
        ({"email": None}, ["email"]),
        ({"x": 1}, ["x"]),
        ({"metadata": {}}, ["metadata"]),
        ({"amount": "50000"}, ["amount"]),
        ({"amount": 1}, ["amount"]),
        ({"amount": True, "name": None}, ["amount", "name"]),
    ],
)
async def test_bodies_that_differ_at_all_are_different(
    client: Client, change: dict[str, Any], paths: list[str]
) -> None:
    first = await client.post("/v1/invoices", INVOICE, once="k")
    refusal(await client.post("/v1/invoices", INVOICE | change, once="k"), "idempotency_key_reused", fields=paths)
    is_replay(await client.post("/v1/invoices", INVOICE, once="k"), first)


async def test_no_body_equals_an_empty_one_and_nothing_else(client: Client) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    first = await client.delete(path, once="k")
    is_replay(await client.delete(path, {}, once="k"), first)
    refusal(
        await client.delete(path, {"reason": "DELETE_FROM_PROVIDER"}, once="k"),
        "idempotency_key_reused",
        fields=["reason"],
    )


async def test_a_reason_in_the_query_belongs_to_what_was_asked(client: Client) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    first = await client.delete(f"{path}?reason=PAID_FROM_PROVIDER", once="k")
    is_replay(await client.delete(f"{path}?reason=PAID_FROM_PROVIDER", once="k"), first)
    refusal(await client.delete(path, once="k"), "idempotency_key_reused")


async def test_a_reused_key_is_told_apart_by_every_member_that_differs(client: Client) -> None:
    await client.post("/v1/invoices", INVOICE, once="invoice-001")
    answer = await client.post("/v1/invoices", INVOICE | {"amount": 60000}, once="invoice-001")
    text = "El valor enviado (60000) difiere del original (50000)."
    assert answer.json == {
        "message": "La llave de idempotencia ya se usó con otro contenido. Campos distintos: amount.",
        "code": 40901,
        "code_name": "idempotency_key_reused",
        "errors": {"amount": [text]},
        "erros": [{"key": "amount", "description": text}],
    }
    refusal(answer, "idempotency_key_reused", fields=["amount"])


async def test_differing_members_are_named_by_dotted_path(client: Client) -> None:
    body = INVOICE | {"metadata": {"a": 1, "b": 2}, "partial_payment_config": {"min_amount": 10000}}
    await client.post("/v1/invoices", body, once="k")
    again = INVOICE | {"metadata": {"a": 1, "b": 3, "c": 4}, "partial_payment_config": {"min_amount": 20000}}
    answer = await client.post("/v1/invoices", again, once="k")
    refusal(answer, "idempotency_key_reused")
    assert set(answer.json["errors"]) == {"metadata.b", "metadata.c", "partial_payment_config.min_amount"}
    for path in answer.json["errors"]:
        assert path in answer.json["message"]


async def test_what_was_sent_and_what_was_not_is_told(client: Client) -> None:
    await client.post("/v1/invoices", INVOICE | {"due_date": "2030-01-01"}, once="k")
    answer = await client.post("/v1/invoices", INVOICE | {"email": "ana@ejemplo.com"}, once="k")
    refusal(answer, "idempotency_key_reused")
    assert answer.json["errors"] == {
        "email": ['El valor enviado ("ana@ejemplo.com") difiere del original (—).'],
        "due_date": ['El valor enviado (—) difiere del original ("2030-01-01").'],
    }


# --- The same path ---


async def test_the_same_key_on_another_path_is_another_key(client: Client) -> None:
    a, b = await client.invoice(), await client.invoice()
    answers = [
        await client.post("/v1/invoices", INVOICE, once="k"),
        await client.post("/v1/payments", PAYMENT, once="k"),
        await client.post("/v1/customers", CUSTOMER, once="k"),
        await client.put(f"/v1/invoices/{a['id']}", {"amount": 60000}, once="k"),
        await client.put(f"/v1/invoices/{b['id']}", {"amount": 70000}, once="k"),
        await client.call("PATCH", f"/v1/invoices/{b['id']}", {"amount": 80000}, once="k"),
        await client.delete(f"/v1/invoices/{b['id']}", once="k"),
    ]
    assert [answer.status for answer in answers] == [201, 201, 201, 200, 200, 200, 204]
    assert not any("idempotent-replayed" in answer.headers for answer in answers)


async def test_mount_query_slash_and_the_case_of_an_id_are_no_part_of_the_path(client: Client) -> None:
    first = await client.post("/v1/invoices", INVOICE, once="k")
    for path in ("/onepay/v1/invoices", "/v1/invoices/", "/v1/invoices?x=1"):
        is_replay(await client.post(path, INVOICE, once="k"), first)
    change = await client.put(f"/v1/invoices/{first.json['id']}", {}, once="k")
    is_replay(await client.put(f"/onepay/v1/invoices/{first.json['id'].upper()}/", {}, once="k"), change)


async def test_the_same_key_in_another_account_is_another_key(client: Client, world: World) -> None:
    other = await world.merchant()
    first = await client.post("/v1/invoices", INVOICE, once="k")
    theirs = await other.post("/v1/invoices", INVOICE, once="k")
    assert theirs.status == 201
    assert theirs.json["id"] != first.json["id"]


# --- Only success is kept ---


async def test_after_a_refusal_the_same_key_may_carry_a_corrected_body(client: Client) -> None:
    refusal(await client.post("/v1/invoices", INVOICE | {"amount": 1}, once="k"), "validation_error")
    refusal(await client.post("/v1/invoices", data=b"{", once="k"), "malformed_json")
    first = await client.post("/v1/invoices", INVOICE, once="k")
    assert first.status == 201
    is_replay(await client.post("/v1/invoices", INVOICE, once="k"), first)


async def test_a_conflict_is_not_kept(client: Client) -> None:
    taken = await client.invoice(provider_id="7")
    body = INVOICE | {"provider_id": "7"}
    refusal(await client.post("/v1/invoices", body, once="k"), "invoice_exists", existing_id=taken["id"])
    await client.delete(f"/v1/invoices/{taken['id']}")
    assert (await client.post("/v1/invoices", body, once="k")).status == 201


async def test_a_refused_change_is_not_kept(client: Client) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    refusal(await client.put(path, {"amount": 1}, once="k"), "validation_error")
    assert (await client.put(path, {"amount": 60000}, once="k")).status == 200
    refusal(await client.delete(path, {"reason": "x"}, once="k"), "validation_error")
    assert (await client.delete(path, once="k")).status == 204


async def test_a_refused_resend_is_not_kept(client: Client) -> None:
    made = (await client.post("/v1/payments", PAYMENT)).json
    path = f"/v1/payments/{made['id']}"
    refusal(await client.post(path, once="k"), "payment_without_contact")
    refusal(await client.post(path, once="k"), "payment_without_contact")
    assert (await client.delete(path, once="k")).status == 204
    refusal(await client.post(path, once="k"), "payment_cancelled")


async def test_keys_outlive_the_objects_cancellation(client: Client) -> None:
    first = await client.post("/v1/invoices", INVOICE, once="k")
    await client.delete(f"/v1/invoices/{first.json['id']}")
    await client.advance_clock(days=800)
    is_replay(await client.post("/v1/invoices", INVOICE, once="k"), first)


# --- At the same time ---


def one_effect(answers: list[Answer]) -> Answer:
    """All answers are alike, and all but one say that they are replays."""
    assert len({(answer.status, answer.body) for answer in answers}) == 1, [answer.status for answer in answers]
    fresh = [answer for answer in answers if "idempotent-replayed" not in answer.headers]
    assert len(fresh) == 1
    return fresh[0]


@pytest.mark.parametrize(("path", "body"), CREATES)
async def test_creates_that_arrive_together_make_one_object(client: Client, path: str, body: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(client.post(path, body, once="k") for _ in range(20)))
    assert one_effect(answers).status == 201
    assert await count(client, path) == 1


async def test_changes_that_arrive_together_open_one_payment(client: Client, world: World) -> None:
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    answers = await asyncio.gather(*(client.put(path, {"amount": 60000}, once="k") for _ in range(12)))
    assert one_effect(answers).status == 200
    assert await told(world, client, made["id"]) == [
        "invoice.created",
        "payment.created",
        "payment.deleted",
        "payment.created",
        "invoice.updated",
    ]


async def test_deletes_and_resends_that_arrive_together_happen_once(client: Client, world: World) -> None:
    made = await client.invoice()
    payment = f"/v1/payments/{made['payment_id']}"
    answers = await asyncio.gather(*(client.post(payment, once="k") for _ in range(12)))
    assert one_effect(answers).status == 200
    assert (
        len(await world.rows("SELECT 1 FROM notice WHERE account_id = $1 AND kind = 'reminder'", client.account_id))
        == 1
    )
    assert one_effect(await asyncio.gather(*(client.delete(payment, once="k") for _ in range(12)))).status == 204
    invoice = f"/v1/invoices/{made['id']}"
    assert one_effect(await asyncio.gather(*(client.delete(invoice, once="k") for _ in range(12)))).status == 204


async def test_different_bodies_that_arrive_together_under_one_key_make_one_object(client: Client) -> None:
    bodies = [INVOICE | {"amount": 50000 + i} for i in range(10)]
    answers = await asyncio.gather(*(client.post("/v1/invoices", body, once="k") for body in bodies))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 9]
    for answer in answers:
        if answer.status == 409:
            refusal(answer, "idempotency_key_reused", fields=["amount"])
    assert await count(client, "/v1/invoices") == 1


async def test_a_duplicate_waits_for_the_first_and_replays_it(client: Client, world: World) -> None:
    """The first is held up by a lock on its invoice; the duplicate is still waiting when the lock goes."""
    made = await client.invoice()
    path = f"/v1/invoices/{made['id']}"
    async with world.core.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM invoice WHERE id = $1 FOR UPDATE", made["id"])
        first = asyncio.create_task(client.put(path, {"amount": 60000}, once="k"))
        await asyncio.sleep(0.1)
        duplicate = asyncio.create_task(client.put(path, {"amount": 60000}, once="k"))
        await asyncio.sleep(0.2)
        assert not first.done()
        assert not duplicate.done()
    assert one_effect([await first, await duplicate]).status == 200


async def test_when_the_first_fails_the_waiting_one_runs_for_itself(client: Client, world: World) -> None:
    made = await client.invoice()
    await client.pay(made["payment_id"])
    path = f"/v1/invoices/{made['id']}"
    async with world.core.database.transaction() as connection:
        await connection.execute("SELECT 1 FROM invoice WHERE id = $1 FOR UPDATE", made["id"])
        waiting = [asyncio.create_task(client.put(path, {"amount": 60000}, once="k")) for _ in range(2)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in waiting)
    for task in waiting:
        answer = await task
        refusal(answer, "invoice_already_paid")
        assert "idempotent-replayed" not in answer.headers


async def test_neighbours_of_a_duplicate_are_not_harmed(client: Client) -> None:
    """Requests that share a commit each get their own outcome."""
    await client.post("/v1/invoices", INVOICE | {"provider_id": "0"}, once="k0")
    bodies = [INVOICE | {"provider_id": str(i % 12)} for i in range(24)]
    answers = await asyncio.gather(
        *(client.post("/v1/invoices", body, once=f"k{i}" if i < 12 else f"l{i}") for i, body in enumerate(bodies))
    )
    by_status: dict[int, int] = {}
    for answer in answers:
        by_status[answer.status] = by_status.get(answer.status, 0) + 1
    assert "idempotent-replayed" in answers[0].headers
    assert by_status == {201: 12, 409: 12}
    assert await count(client, "/v1/invoices") == 12
    for answer in answers:
        if answer.status == 409:
            refusal(answer, "invoice_exists")


async def test_a_duplicate_that_waited_too_long_is_told_to_come_back(world: World) -> None:
    """The operation is one that finds its row locked for all of the time; nobody wants to wait for that here."""

    async def locked(request: ApiRequest) -> Reply:
        raise LockTimeoutError

    merchant = await world.merchant()
    dialect = OnePay(world.core, UrlPolicy())
    names: dict[str, Any] = {"operation_id": "x", "summary": "x", "tag": "invoices"}
    dialect.router = Router([Route(method="DELETE", path="/x", handler=locked, body="none", once="optional", **names)])
    api = Api(
        dialect,
        authenticator=Authenticator(world.core.database),
        limiter=RateLimiter(),
        observer=Observer(CollectorRegistry()),
        base_url="http://x",
    )
    for key, status, code in (([(b"x-idempotency", b"k")], 409, 40902), ([], 503, 50301)):
        headers = [(b"authorization", f"Bearer {merchant.key}".encode()), *key]
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Mapping[str, Any], sent: list[Any] = sent) -> None:
            sent.append(message)

        await api({"method": "DELETE", "headers": headers, "query_string": b""}, receive, send, path="/x")
        start, body = sent
        assert start["status"] == status
        assert dict(start["headers"])[b"retry-after"] == b"1"
        assert json.loads(body["body"])["code"] == code


async def test_between_two_server_processes_there_is_still_one_effect(world: World, tmp_path: Path) -> None:
    async with running(world.database_url, tmp_path, workers=2, runs_worker=False) as pair:
        client = await pair.merchant()
        # Each request has a connection of its own, so that both processes get some.
        client.headers["Connection"] = "close"
        answers = await asyncio.gather(*(client.post("/v1/invoices", INVOICE, once="k") for _ in range(30)))
        made = one_effect(answers).json
        path = f"/v1/invoices/{made['id']}"
        one_effect(await asyncio.gather(*(client.put(path, {"amount": 60000}, once="k") for _ in range(30))))
        bodies = [INVOICE | {"provider_id": str(i % 5)} for i in range(60)]
        statuses = [a.status for a in await asyncio.gather(*(client.post("/v1/invoices", body) for body in bodies))]
        assert (statuses.count(201), statuses.count(409)) == (5, 55)
        one_effect(await asyncio.gather(*(client.delete(path, once="k") for _ in range(30))))
        one_effect(await asyncio.gather(*(client.post("/v1/customers", CUSTOMER, once="k") for _ in range(30))))
        assert await world.findings(client.account_id) == []


async def test_the_replayed_bytes_are_json_of_the_first_answer(client: Client) -> None:
    first = await client.post("/v1/invoices", INVOICE | {"metadata": {"ñ": "🎉", "n": 1.5, "b": None}}, once="k")
    again = await client.post("/v1/invoices", INVOICE | {"metadata": {"n": 1.50, "b": None, "ñ": "🎉"}}, once="k")
    is_replay(again, first)
    assert json.loads(again.body) == first.json
