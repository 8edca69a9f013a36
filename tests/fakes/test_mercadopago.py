"""The fake Mercado Pago does what sections 1.12 and 3 of the gateways specification say of the vendor."""

import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.fakes import (
    Fakes,
    MercadoPago,
    MercadoPagoMerchant,
    Money,
    Outcome,
    Payer,
    RefundAnswer,
    Reverse,
    Scenario,
    Tamper,
)
from tests.fakes.mercadopago import decimal, manifest, minor, sign
from tests.receiver import Received, Receiver

MINOR = 5_000_000


class Seller:
    """A merchant's server that does everything right: what an adapter would send."""

    def __init__(self, vendor: MercadoPago, merchant: MercadoPagoMerchant, session: aiohttp.ClientSession) -> None:
        self.vendor, self.merchant, self.session = vendor, merchant, session

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, key: str = "", **options: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.merchant.access_token if token is None else token}"}
        if key:
            headers["X-Idempotency-Key"] = key
        url = self.vendor.base_url + path
        async with self.session.request(method, url, headers=headers, json=body, **options) as answer:
            return answer.status, json.loads(await answer.read(), parse_float=Decimal)

    async def prefer(self, reference: str, **changes: Any) -> tuple[int, Any]:
        return await self.call("POST", "/checkout/preferences", preference(reference) | changes)

    async def link(self, reference: str, **changes: Any) -> str:
        status, answer = await self.prefer(reference, **changes)
        assert status == 201, answer
        return answer["init_point"]

    async def find(self, reference: str, **more: str) -> list[dict[str, Any]]:
        query = {"external_reference": reference, "criteria": "asc", **more}
        status, answer = await self.call("GET", "/v1/payments/search", params=query)
        assert status == 200, answer
        return answer["results"]

    async def statuses(self, reference: str) -> list[tuple[str, str]]:
        return [(p["status"], p["status_detail"]) for p in await self.find(reference)]

    async def paid(
        self, reference: str, payer: Payer, choice: str = "approve", method: str = "pse", holder: str = ""
    ) -> str:
        """The id of a payment as the payer left it."""
        await payer.pay(await self.link(reference), choice, method=method, holder=holder)
        return self.vendor.by_reference[reference][-1].id


def preference(reference: str) -> dict[str, Any]:
    return {
        "items": [{"id": "1", "title": "Factura 1", "quantity": 1, "currency_id": "COP", "unit_price": 50000}],
        "external_reference": reference,
        "payer": {"name": "Ana", "surname": "Gómez", "email": "ana@example.com"},
        "back_urls": {name: f"https://merchant.example/{name}?t=1" for name in ("success", "pending", "failure")},
        "auto_return": "all",
    }


@pytest.fixture
async def seller(fakes: Fakes, heard: Receiver):
    async with aiohttp.ClientSession() as session:
        merchant = fakes.mercadopago.merchant(notice_url=heard.url + "/n/token?a=1")
        yield Seller(fakes.mercadopago, merchant, session)


def valid(got: Received, secret: str) -> bool:
    """A merchant's check of a notice, as 3.5 tells it."""
    found = re.fullmatch(r"ts=(\d+),v1=([0-9a-f]{64})", got.headers.get("x-signature", ""))
    query = dict(parse_qsl(urlsplit(got.path).query))
    if not found:
        return False
    return sign(manifest(query.get("data.id", ""), got.headers["x-request-id"], found[1]), secret) == found[2]


# -- The vectors of 3.5, and money -------------------------------------------------------------------------------------

REQUEST = "2066ca19-c6f1-498a-be75-1923005edd06"


@pytest.mark.parametrize(
    ("data_id", "ts", "expected"),
    [
        ("123456789", "1764000123", "bc1c6e043f91a759d374dd75512c7839d9222f364f3e9638cbd9e2bd9634aced"),
        ("", "1764000123", "85a949c2db9a99370725185b4868e567a0f207281e28e675aae09fa15ae059b8"),
        (
            "ord01jq4s4ky8hwq6na5pxb65b3d3",
            "1764000123456",
            "0d6a127a7fac1b09b1f996a29d022d02574f740c90902814a389decc0e9c7050",
        ),
        (
            "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3",
            "1764000123456",
            "6a2a6aa550aeaf5de7bd3abfebaf0b93d036fb4eb31d123d3f690a51b8ae2807",
        ),
    ],
)
def test_the_signature_reproduces_the_vectors(data_id: str, ts: str, expected: str):
    assert sign(manifest(data_id, REQUEST, ts), "example-mp-secret") == expected


def test_amounts_are_decimals_and_never_rounded():
    assert [decimal(5_000_000), str(decimal(5_000_050))] == [50000, "50000.50"]
    assert [minor(50000), minor(Decimal("50000.5"))] == [5_000_000, 5_000_050]
    assert [minor(Decimal("0.001")), minor("50000"), minor(True)] == [None, None, None]


async def test_amounts_on_the_wire_are_json_numbers_digit_for_digit(seller: Seller, payer: Payer):
    item = {"title": "x", "quantity": 3, "unit_price": 16666.85}
    await payer.pay(await seller.link("rc1x", items=[item]), "approve")
    found = (await seller.find("rc1x"))[0]
    assert str(found["transaction_amount"]) == "50000.55"
    assert seller.vendor.by_reference["rc1x"][0].amount_minor == 5_000_055


# -- Who may call, and what is refused ---------------------------------------------------------------------------------


async def test_a_token_of_nobody_is_refused_everywhere(seller: Seller):
    for method, path in (
        ("GET", "/users/me"),
        ("POST", "/checkout/preferences"),
        ("GET", "/v1/payments/1"),
        ("GET", "/v1/payments/search"),
        ("PUT", "/v1/payments/1"),
        ("POST", "/v1/payments/1/refunds"),
        ("GET", "/v1/payments/1/refunds"),
    ):
        status, answer = await seller.call(method, path, token="TEST-nobody", key="k" if method != "GET" else "")
        assert (status, answer["status"], answer["error"]) == (401, 401, "unauthorized"), path
        assert set(answer) == {"message", "error", "status", "cause"}


async def test_a_harmless_call_tells_whose_token_it_is(seller: Seller):
    status, answer = await seller.call("GET", "/users/me")
    assert (status, answer["id"], answer["site_id"]) == (200, seller.merchant.user_id, "MCO")
    assert "test_user" in answer["tags"]


async def test_a_payment_of_another_is_not_found(fakes: Fakes, seller: Seller, payer: Payer):
    made = await seller.paid("rc1x", payer)
    other = fakes.mercadopago.merchant()
    status, answer = await seller.call("GET", f"/v1/payments/{made}", token=other.access_token)
    assert (status, answer["error"], answer["cause"][0]["code"]) == (404, "not_found", 2000)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"items": []}, "invalid_items"),
        ({"items": [{"title": "x", "quantity": 1, "unit_price": "50000"}]}, "invalid_items"),
        ({"items": [{"title": "x", "quantity": 1, "unit_price": 0.001}]}, "invalid_items"),
        ({"items": [{"title": "x", "quantity": 1.5, "unit_price": 1}]}, "invalid_items"),
        ({"items": [{"title": "", "quantity": 1, "unit_price": 1}]}, "invalid_items"),
        ({"items": [{"title": "x", "quantity": 1, "unit_price": 1, "currency_id": "USD"}]}, "invalid_items"),
        ({"back_urls": {}}, "invalid_auto_return"),
        ({"back_urls": {"success": "nowhere"}}, "invalid_back_urls"),
        ({"auto_return": "sometimes"}, "invalid_auto_return"),
        ({"notification_url": "http://merchant.example/n"}, "invalid_notification_url"),
        ({"expires": True, "expiration_date_to": "tomorrow"}, "invalid_date"),
        ({"external_reference": "x" * 257}, "bad_request"),
    ],
)
async def test_a_wrong_preference_is_refused(seller: Seller, changes: dict[str, Any], code: str):
    status, answer = await seller.prefer("rc1x", **changes)
    assert (status, answer["cause"][0]["code"]) == (400, code)


async def test_a_repeated_write_gets_the_first_answer(seller: Seller):
    body = preference("rc1x")
    first = await seller.call("POST", "/checkout/preferences", body, key="one")
    assert first == await seller.call("POST", "/checkout/preferences", body, key="one")
    assert len(seller.vendor.preferences) == 1
    assert await seller.call("POST", "/checkout/preferences", body, key="two") != first
    other = preference("rc2x")
    assert (await seller.call("POST", "/checkout/preferences", other, key="one"))[0] == 409
    _, read = await seller.call("GET", f"/checkout/preferences/{first[1]['id']}")
    assert read == first[1]


async def test_a_cut_call_is_done_once(fakes: Fakes, seller: Seller):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(timeout_after_commit=1))
    with pytest.raises(aiohttp.ClientError):
        await seller.call("POST", "/checkout/preferences", preference("rc1x"), key="one")
    status, answer = await seller.call("POST", "/checkout/preferences", preference("rc1x"), key="one")
    assert (status, list(seller.vendor.preferences)) == (201, [answer["id"]])


# -- The page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "method", "where", "expected"),
    [
        ("approve", "pse", "/pending", [("approved", "accredited")]),
        ("decline", "pse", "/pending", [("rejected", "bank_error")]),
        ("decline", "visa", "/pending", [("rejected", "cc_rejected_other_reason")]),
        (
            "decline_then_approve",
            "visa",
            "/pending",
            [("rejected", "cc_rejected_other_reason"), ("approved", "accredited")],
        ),
        ("pending", "efecty", "/pending", [("pending", "pending_waiting_payment")]),
    ],
)
async def test_the_payer_decides_and_comes_back(
    fakes: Fakes, seller: Seller, payer: Payer, choice: str, method: str, where: str, expected: list[Any]
):
    seen = await payer.open(await seller.link("rc1x"))
    assert "$ 50.000" in seen.text
    assert seen.buttons == ["approve", "decline", "decline_then_approve", "pending"]
    back = urlsplit(await payer.press(seen, choice, method=method))
    query = parse_qs(back.query)
    assert (back.path, query["t"], query["external_reference"]) == (where, ["1"], ["rc1x"])
    assert {"payment_id", "status", "merchant_order_id"} <= set(query)
    assert query["payment_id"] == [seller.vendor.by_reference["rc1x"][-1].id]
    await fakes.advance(1)
    assert await seller.statuses("rc1x") == expected


async def test_the_holders_name_selects_the_result(fakes: Fakes, seller: Seller, payer: Payer):
    for holder, expected in (
        ("APRO", ("approved", "accredited")),
        ("FUND", ("rejected", "cc_rejected_insufficient_amount")),
        ("CONT", ("in_process", "pending_contingency")),
    ):
        await seller.paid(f"rc{holder}x", payer, "scenario", method="visa", holder=f"{holder} Gomez")
        await fakes.advance(1)
        assert await seller.statuses(f"rc{holder}x") == [expected]


async def test_a_link_expires_on_the_clock(fakes: Fakes, seller: Seller, payer: Payer):
    link = await seller.link("rc1x", expires=True, expiration_date_to="2025-11-24T13:00:00.000-04:00")
    assert (await payer.open(link)).status == 200
    await fakes.advance(3600)
    assert (await payer.open(link)).status == 410
    assert (await payer.open(link + "x")).status == 404
    later = await seller.link("rc2x", expires=True, expiration_date_from="2025-12-01T00:00:00.000-05:00")
    assert (await payer.open(later)).status == 410


async def test_a_link_can_be_paid_twice(fakes: Fakes, seller: Seller, payer: Payer):
    link = await seller.link("rc1x")
    await payer.pay(link, "approve")
    await payer.pay(link, "approve")
    await fakes.advance(1)
    assert fakes.mercadopago.approved("rc1x") == 2 * MINOR


# -- Reading -----------------------------------------------------------------------------------------------------------


async def test_a_payment_tells_what_the_specification_says(fakes: Fakes, seller: Seller, payer: Payer):
    made = await seller.paid("rc1x", payer)
    await fakes.advance(1)
    status, found = await seller.call("GET", f"/v1/payments/{made}")
    assert status == 200
    assert (found["id"], found["transaction_amount"], found["currency_id"]) == (int(made), 50000, "COP")
    assert (found["transaction_amount_refunded"], found["live_mode"]) == (0, False)
    assert found["transaction_details"]["net_received_amount"] == 48500
    assert (found["date_created"], found["date_approved"]) == (
        "2025-11-24T12:02:03.000-04:00",
        "2025-11-24T12:02:04.000-04:00",
    )


async def test_a_search_is_paged_and_ranged(fakes: Fakes, seller: Seller, payer: Payer):
    for n in range(3):
        await seller.paid(f"rc{n}x", payer)
        await fakes.advance(60)
    query = {"limit": "2", "offset": "2", "criteria": "asc"}
    _, answer = await seller.call("GET", "/v1/payments/search", params=query)
    assert answer["paging"] == {"total": 3, "limit": 2, "offset": 2}
    assert [p["external_reference"] for p in answer["results"]] == ["rc2x"]
    period = {
        "range": "date_created",
        "begin_date": "2025-11-24T12:02:30.000-04:00",
        "end_date": "NOW",
        "sort": "date_created",
        "criteria": "asc",
    }
    _, answer = await seller.call("GET", "/v1/payments/search", params=period)
    assert [p["external_reference"] for p in answer["results"]] == ["rc1x", "rc2x"]
    assert (await seller.call("GET", "/v1/payments/search", params={"range": "date_created"}))[0] == 400
    assert (await seller.call("GET", "/v1/payments/search", params={"limit": "-1"}))[0] == 400
    assert await seller.find("rc1x", status="rejected") == []


async def test_only_a_pending_payment_is_cancelled(fakes: Fakes, seller: Seller, payer: Payer):
    made = await seller.paid("rc1x", payer, "pending")
    assert (await seller.call("PUT", f"/v1/payments/{made}", {"status": "approved"}))[0] == 400
    status, answer = await seller.call("PUT", f"/v1/payments/{made}", {"status": "cancelled"})
    assert (status, answer["status"], answer["status_detail"]) == (200, "cancelled", "by_collector")
    assert (await seller.call("PUT", f"/v1/payments/{made}", {"status": "cancelled"}))[0] == 400


async def test_a_cancelled_payment_is_not_approved_later(fakes: Fakes, seller: Seller, payer: Payer):
    made = await seller.paid("rc1x", payer)
    await seller.call("PUT", f"/v1/payments/{made}", {"status": "cancelled"})
    await fakes.advance(60)
    assert await seller.statuses("rc1x") == [("cancelled", "by_collector")]


# -- Refunds -----------------------------------------------------------------------------------------------------------


async def test_a_refund_in_two_parts(fakes: Fakes, seller: Seller, payer: Payer):
    made = await seller.paid("rc1x", payer)
    path = f"/v1/payments/{made}/refunds"
    assert (await seller.call("POST", path, {"amount": 10000}))[0] == 400  # not approved yet
    await fakes.advance(1)
    status, first = await seller.call("POST", path, {"amount": 10000.5}, key="one")
    assert (status, first["status"], str(first["amount"])) == (201, "approved", "10000.50")
    assert (await seller.call("POST", path, {"amount": 10000.5}, key="one")) == (201, first)
    assert await seller.statuses("rc1x") == [("approved", "partially_refunded")]
    found = (await seller.find("rc1x"))[0]
    assert str(found["transaction_amount_refunded"]) == "10000.50"
    assert (await seller.call("POST", path, {"amount": 40000}))[0] == 400
    assert (await seller.call("POST", path, {"amount": -1}))[0] == 400
    status, second = await seller.call("POST", path)
    assert (status, str(second["amount"])) == (201, "39999.50")
    assert await seller.statuses("rc1x") == [("refunded", "refunded")]
    _, listed = await seller.call("GET", path)
    assert listed == [first, second]
    assert (await seller.call("GET", f"{path}/{first['id']}"))[1] == first
    assert (await seller.call("GET", f"{path}/1"))[0] == 404
    assert fakes.mercadopago.money("rc1x") == Money(approved=MINOR, returned=MINOR)


@pytest.mark.parametrize(
    ("answered", "status", "later", "returned"),
    [
        (RefundAnswer.IN_PROCESS, "in_process", "in_process", 0),
        (RefundAnswer.IN_PROCESS_THEN_APPROVED, "in_process", "approved", MINOR),
        (RefundAnswer.REJECTED, "rejected", "rejected", 0),
    ],
)
async def test_a_refund_that_is_not_approved_at_once(
    fakes: Fakes, seller: Seller, payer: Payer, answered: RefundAnswer, status: str, later: str, returned: int
):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(refund=answered))
    made = await seller.paid("rc1x", payer)
    await fakes.advance(1)
    code, answer = await seller.call("POST", f"/v1/payments/{made}/refunds", {})
    assert (code, answer["status"]) == (201, status)
    assert fakes.mercadopago.money().returned == 0
    again, _ = await seller.call("POST", f"/v1/payments/{made}/refunds", {"amount": 1})
    assert again == (201 if status == "rejected" else 400)  # what is on its way is not given twice
    await fakes.advance(60)
    _, listed = await seller.call("GET", f"/v1/payments/{made}/refunds")
    assert listed[0]["status"] == later
    assert fakes.mercadopago.money().returned == returned


async def test_a_refund_that_was_cut_is_done_once(fakes: Fakes, seller: Seller, payer: Payer):
    made = await seller.paid("rc1x", payer)
    await fakes.advance(1)
    fakes.mercadopago.scenarios.set("rc1x", Scenario(timeout_after_commit=1, on=("refund",)))
    with pytest.raises(aiohttp.ClientError):
        await seller.call("POST", f"/v1/payments/{made}/refunds", {"amount": 100}, key="one")
    assert (await seller.call("POST", f"/v1/payments/{made}/refunds", {"amount": 100}, key="one"))[0] == 201
    assert fakes.mercadopago.money().returned == 10_000


# -- Notices -----------------------------------------------------------------------------------------------------------


async def test_a_notice_carries_no_state_and_is_well_signed(
    fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver
):
    made = await seller.paid("rc1x", payer)
    await fakes.advance(1)
    assert [r.json["action"] for r in heard.received] == ["payment.created", "payment.updated"]
    got = heard.received[0]
    assert set(got.json) == {
        "id", "live_mode", "type", "date_created", "user_id", "api_version", "action", "data",
    }  # fmt: skip
    assert (got.json["data"], got.json["type"], got.json["live_mode"]) == ({"id": made}, "payment", False)
    assert parse_qs(urlsplit(got.path).query) == {"a": ["1"], "data.id": [made], "type": ["payment"]}
    assert all(valid(r, seller.merchant.secret) for r in heard.received)
    assert not valid(got, "another")


async def test_times_of_signatures_are_seconds_and_milliseconds_and_some_notices_have_no_id(
    fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver
):
    for n in range(5):
        await seller.paid(f"rc{n}x", payer)
    await fakes.advance(1)
    lengths = [len(r.headers["x-signature"].split(",")[0]) - len("ts=") for r in heard.received]
    assert sorted(lengths) == [10] * 5 + [13] * 5
    without = [r for r in heard.received if "data.id" not in r.path]
    assert len(without) == 2
    assert all(r.json["data"]["id"] for r in without)
    assert all(valid(r, seller.merchant.secret) for r in heard.received)


async def test_a_preferences_own_address_comes_first(fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver):
    await payer.pay(await seller.link("rc1x", notification_url=heard.url + "/own?t=2"), "pending")
    await fakes.drain_notices()
    assert heard.received[0].path.startswith("/own?t=2&data.id=")


async def test_a_notice_is_tried_every_15_minutes_and_signed_anew(
    fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver
):
    heard.answer = lambda _: web.Response(status=201 if len(heard.received) == 5 else 503)
    await seller.paid("rc1x", payer, "pending")
    await fakes.advance(2 * 86_400)
    tries = fakes.mercadopago.notices[0].tries
    minutes = [(t.at - tries[0].at).total_seconds() / 60 for t in tries]
    assert minutes == [0, 15, 30, 45, 405]
    assert len({r.body for r in heard.received}) == 1
    assert len({r.headers["x-signature"] for r in heard.received}) == 5
    assert all(valid(r, seller.merchant.secret) for r in heard.received)


async def test_an_unsigned_qr_notice(fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(unsigned_qr=True))
    await seller.paid("rc1x", payer)
    await fakes.advance(1)
    assert ["x-signature" in r.headers for r in heard.received] == [True, True, False]


@pytest.mark.parametrize("tamper", list(Tamper))
async def test_a_tampered_notice(fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver, tamper: Tamper):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(tamper=tamper))
    made = await seller.paid("rc1x", payer, "pending")
    await fakes.drain_notices()
    got = heard.received[0]
    assert valid(got, seller.merchant.secret) is (tamper in (Tamper.TIMESTAMP, Tamper.UNSIGNED_FIELD))
    assert ("x-signature" in got.headers) is (tamper not in (Tamper.HEADER, Tamper.SIGNATURE))
    if tamper is Tamper.TIMESTAMP:
        assert got.headers["x-signature"].startswith("ts=1763996523")  # an hour old
    assert (got.json["data"]["id"] == made) is (tamper is not Tamper.UNSIGNED_FIELD)


# -- The knobs of 1.12 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "expected", "approved"),
    [
        (Scenario(outcome=Outcome.DECLINED), ["rejected"], 0),
        (Scenario(outcome=Outcome.ERROR), ["rejected"], 0),
        (Scenario(outcome=Outcome.EXPIRED), ["cancelled"], 0),
        (Scenario(outcome=Outcome.PENDING), ["pending"], 0),
        (Scenario(outcome=Outcome.PENDING_THEN_APPROVED), ["approved"], MINOR),
        (Scenario(retry_by_payer=True), ["rejected", "approved"], MINOR),
        (Scenario(double_approve=True), ["approved", "approved"], 2 * MINOR),
        (Scenario(late_decline=True), ["approved", "rejected"], MINOR),
        (Scenario(partial=100), ["approved"], MINOR - 100),
        (Scenario(over=50), ["approved"], MINOR + 50),
    ],
)
async def test_what_becomes_of_a_payment(
    fakes: Fakes, seller: Seller, payer: Payer, scenario: Scenario, expected: list[str], approved: int
):
    fakes.mercadopago.scenarios.queue += [scenario]
    await seller.paid("rc1x", payer, "scenario")
    await fakes.advance(20 * 60)
    found = await seller.find("rc1x")
    assert [p["status"] for p in found] == expected
    assert sum(p["transaction_amount"] * 100 for p in found if p["status"] == "approved") == approved
    assert fakes.mercadopago.approved("rc1x") == approved


@pytest.mark.parametrize(
    ("how", "expected", "net"),
    [
        (Reverse.REFUNDED, ("refunded", "refunded"), 0),
        (Reverse.PARTLY_REFUNDED, ("approved", "partially_refunded"), MINOR // 2),
        (Reverse.CHARGED_BACK, ("charged_back", "settled"), 0),
        (Reverse.IN_MEDIATION, ("in_mediation", "pending"), MINOR),
        (Reverse.DECLINED, ("rejected", "bank_error"), 0),
    ],
)
async def test_an_approval_is_taken_back(
    fakes: Fakes, seller: Seller, payer: Payer, how: Reverse, expected: tuple[str, str], net: int
):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(reverse=how))
    await seller.paid("rc1x", payer, "scenario")
    await fakes.advance(60)
    assert await seller.statuses("rc1x") == [("approved", "accredited")]
    await fakes.advance(1)
    assert await seller.statuses("rc1x") == [expected]
    assert fakes.mercadopago.money("rc1x").net == net


async def test_another_environment_and_another_currency(fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver):
    fakes.mercadopago.scenarios.queue += [Scenario(wrong_env=True), Scenario(wrong_currency=True)]
    await seller.paid("rc1x", payer)
    await seller.paid("rc2x", payer)
    await fakes.advance(1)
    first, second = (await seller.find("rc1x"))[0], (await seller.find("rc2x"))[0]
    assert (first["live_mode"], first["currency_id"]) == (True, "COP")
    assert (second["live_mode"], second["currency_id"]) == (False, "USD")
    assert heard.received[0].json["live_mode"] is True


async def test_a_lie_is_a_valid_notice_of_a_pending_payment(
    fakes: Fakes, seller: Seller, payer: Payer, heard: Receiver
):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(lie=True, outcome=Outcome.PENDING))
    await seller.paid("rc1x", payer, "scenario")
    await fakes.drain_notices()
    assert heard.received[-1].json["action"] == "payment.updated"
    assert valid(heard.received[-1], seller.merchant.secret)
    assert await seller.statuses("rc1x") == [("pending", "pending_waiting_transfer")]


async def test_calls_fail_so_many_times(fakes: Fakes, seller: Seller, payer: Payer):
    fakes.mercadopago.scenarios.set("rc1x", Scenario(http_500=1, http_429=1, on=("fetch",)))
    made = await seller.paid("rc1x", payer)
    answers = [await seller.call("GET", f"/v1/payments/{made}") for _ in range(3)]
    assert [status for status, _ in answers] == [500, 429, 200]
    assert answers[0][1]["status"] == 500


async def test_the_payer_is_refused(fakes: Fakes, seller: Seller):
    fakes.mercadopago.scenarios.default = Scenario(refuse_payer=True)
    status, answer = await seller.prefer("rc1x")
    assert (status, answer["cause"][0]["code"]) == (400, "invalid_payer")


async def test_live_credentials_make_live_payments(fakes: Fakes, seller: Seller, payer: Payer):
    live = fakes.mercadopago.merchant(live=True)
    assert live.access_token.startswith("APP_USR-")
    _, made = await seller.call("POST", "/checkout/preferences", preference("rc1x"), token=live.access_token)
    await payer.pay(made["init_point"], "approve")
    found = fakes.mercadopago.by_reference["rc1x"][0]
    assert fakes.mercadopago.shown(found)["live_mode"] is True
