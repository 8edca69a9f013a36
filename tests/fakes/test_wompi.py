"""The fake Wompi does what sections 1.12 and 2 of the gateways specification say of the vendor."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.fakes import Fakes, Money, Outcome, Payer, Reverse, Scenario, State, Tamper, Wompi, WompiMerchant
from tests.fakes.wompi import checksum, integrity
from tests.receiver import Receiver

CENTS = 2_490_000


class Shop:
    """A merchant's server that does everything right: what an adapter would send."""

    def __init__(self, wompi: Wompi, merchant: WompiMerchant, session: aiohttp.ClientSession) -> None:
        self.wompi, self.merchant, self.session = wompi, merchant, session

    async def call(self, method: str, path: str, key: str | None = None, **options: Any) -> tuple[int, Any]:
        key = self.merchant.private_key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = self.wompi.sandbox_url + path
        async with self.session.request(method, url, headers=headers, **options) as answer:
            return answer.status, await answer.json()

    async def body(self, reference: str, method: dict[str, Any], /, **changes: Any) -> dict[str, Any]:
        _, merchant = await self.call("GET", f"/merchants/{self.merchant.public_key}", "")
        body = {
            "acceptance_token": merchant["data"]["presigned_acceptance"]["acceptance_token"],
            "accept_personal_auth": merchant["data"]["presigned_personal_data_auth"]["acceptance_token"],
            "amount_in_cents": CENTS,
            "currency": "COP",
            "signature": self.merchant.sign(reference, CENTS, changes.get("expiration_time", "")),
            "customer_email": "ana@example.com",
            "reference": reference,
            "payment_method": method,
            "customer_data": {"full_name": "Ana Gómez", "phone_number": "573001112233"},
            "redirect_url": "https://merchant.example/r/t?a=1",
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    async def create(self, reference: str, method: dict[str, Any], /, **changes: Any) -> tuple[int, Any]:
        return await self.call("POST", "/transactions", json=await self.body(reference, method, **changes))

    async def created(self, reference: str, method: dict[str, Any] | None = None) -> str:
        status, answer = await self.create(reference, method or NEQUI)
        assert (status, answer["data"]["status"]) == (201, "PENDING")
        return answer["data"]["id"]

    async def get(self, transaction_id: str) -> dict[str, Any]:
        status, answer = await self.call("GET", f"/transactions/{transaction_id}")
        assert status == 200
        return answer["data"]

    async def find(self, reference: str) -> list[dict[str, Any]]:
        status, answer = await self.call("GET", "/transactions", params={"reference": reference})
        assert status == 200
        return answer["data"]

    async def statuses(self, reference: str) -> list[str]:
        return [t["status"] for t in sorted(await self.find(reference), key=lambda t: t["id"])]

    async def card(self, number: str) -> dict[str, Any]:
        card = {"number": number, "cvc": "123", "exp_month": "08", "exp_year": "30", "card_holder": "Ana Gomez"}
        status, answer = await self.call("POST", "/tokens/cards", self.merchant.public_key, json=card)
        assert (status, answer["status"]) == (201, "CREATED")
        return {"type": "CARD", "token": answer["data"]["id"], "installments": 1}


NEQUI = {"type": "NEQUI", "phone_number": "3991111111"}


def pse(bank: str = "1051") -> dict[str, Any]:
    return {
        "type": "PSE",
        "user_type": 0,
        "user_legal_id_type": "CC",
        "user_legal_id": "1020304050",
        "financial_institution_code": bank,
        "payment_description": "Factura 1",
    }


@asynccontextmanager
async def shop_of(fakes: Fakes, notice_url: str = "") -> AsyncIterator[Shop]:
    async with aiohttp.ClientSession() as session:
        yield Shop(fakes.wompi, fakes.wompi.merchant(notice_url=notice_url), session)


@pytest.fixture
async def shop(fakes: Fakes, heard: Receiver) -> AsyncIterator[Shop]:
    async with shop_of(fakes, heard.url + "/n/token") as made:
        yield made


def valid(shop: Shop, event: dict[str, Any]) -> bool:
    """A merchant's check of an event, as 2.8 tells it."""
    signature = event.get("signature", {"properties": [], "checksum": ""})
    made = checksum(event["data"], signature["properties"], event["timestamp"], shop.merchant.events_secret)
    return made == signature["checksum"].lower()


def said(heard: Receiver) -> list[str]:
    return [r.json["data"]["transaction"]["status"] for r in heard.received]


# -- The vectors of 2.4 and 2.8 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "amount", "expiration", "expected"),
    [
        ("rc0001x", 2490000, "", "a1f7f306b47b25ca0a77d71cac4f2a06c360883881b745568e9c97ce6e8659c8"),
        (
            "rc0001x",
            2490000,
            "2026-12-01T17:00:00.000Z",
            "0ffcc1aee79ed4039a2ee05d6079a6da104a6364d11efcf359ff43462fa03df7",
        ),
        ("rc0001", 2490000, "", "b4ddf298cebad28ad893d732807606bf9bd71b6a73e1c0d6edff6d89878a709e"),
        ("rc00012", 490000, "", "b4ddf298cebad28ad893d732807606bf9bd71b6a73e1c0d6edff6d89878a709e"),
    ],
)
def test_the_integrity_signature_reproduces_the_vectors(reference, amount, expiration, expected):
    assert integrity(reference, amount, "COP", "test_integrity_EXAMPLE", expiration) == expected


DATA = {
    "transaction": {
        "id": "11004-1764000000-10001",
        "status": "APPROVED",
        "amount_in_cents": 2490000,
        "reference": "rc0001x",
        "currency": "COP",
    }
}
DECLINED = {"transaction": {**DATA["transaction"], "id": "11004-1764000000-10000", "status": "DECLINED"}}
USUAL = ["transaction.id", "transaction.status", "transaction.amount_in_cents"]
OTHER = ["transaction.reference", "transaction.currency", "transaction.amount_in_cents", "transaction.status"]


@pytest.mark.parametrize(
    ("data", "properties", "timestamp", "expected"),
    [
        (DATA, USUAL, 1764000123, "3f768eeeff28f05197ecc6357ce565946d1051c53d1a55e8c2de3c95d49cbd4f"),
        (DECLINED, USUAL, 1764000050, "4e7b4b827e04bb3a0619258dfca325385f368da56509023a930c1d183dc56670"),
        (DATA, OTHER, 1764000123, "be80b3f8887144cf721098b2d43d39b91236094a1b26284d9c82435321031012"),
    ],
)
def test_the_checksum_reproduces_the_vectors(data, properties, timestamp, expected):
    assert checksum(data, properties, timestamp, "test_events_EXAMPLE") == expected


def test_the_checksum_is_no_hmac():
    wrong = hmac.new(
        b"test_events_EXAMPLE", b"11004-1764000000-10001APPROVED24900001764000123", hashlib.sha256
    ).hexdigest()
    assert wrong == "21f9d74f2d89a4b0fb7bf957beacd8d25bc553bc5780a3f168ccb2e8d6ad98bb"
    assert checksum(DATA, USUAL, 1764000123, "test_events_EXAMPLE") != wrong


async def test_an_event_on_the_wire_is_the_one_of_the_specification(fakes: Fakes, heard: Receiver, payer: Payer):
    fakes.wompi.add_merchant(
        public_key="pub_test_x",
        private_key="prv_test_x",
        events_secret="test_events_EXAMPLE",
        integrity_secret="test_integrity_EXAMPLE",
        notice_url=heard.url,
    )
    fields = fakes.wompi.checkout_fields(fakes.wompi.merchants["pub_test_x"], "rc0001x", CENTS)
    assert fields["signature:integrity"] == "a1f7f306b47b25ca0a77d71cac4f2a06c360883881b745568e9c97ce6e8659c8"
    await payer.pay(fakes.wompi.checkout_url, "approve", fields=fields)
    await fakes.advance(1)
    event = heard.received[0].json
    assert set(event) == {"event", "data", "environment", "signature", "timestamp", "sent_at"}
    assert list(event["data"]["transaction"]) == [
        "id", "amount_in_cents", "reference", "customer_email", "currency", "payment_method_type", "redirect_url",
        "status", "shipping_address", "payment_link_id", "payment_source_id",
    ]  # fmt: skip
    assert (event["environment"], event["event"]) == ("test", "transaction.updated")
    assert event["sent_at"] == "2025-11-24T16:02:04.000Z"
    assert event["timestamp"] == 1764000124
    assert heard.received[0].headers["x-event-checksum"] == event["signature"]["checksum"]


# -- Who may call ------------------------------------------------------------------------------------------------------


async def test_keys_of_another_kind_or_environment_are_refused(fakes: Fakes, shop: Shop):
    live = fakes.wompi.merchant(live=True)
    own = shop.merchant
    refused = [
        ("POST", "/transactions", live.private_key),
        ("POST", "/transactions", "nonsense"),
        ("POST", "/transactions", ""),
        ("POST", "/tokens/cards", own.private_key),
        ("GET", "/transactions?reference=x", own.public_key),
        ("GET", "/pse/financial_institutions", live.public_key),
        ("GET", "/transactions/x", "prv_test_of_nobody"),
        ("POST", "/transactions/x/void", own.public_key),
    ]
    for method, path, key in refused:
        status, answer = await shop.call(method, path, key)
        assert (status, answer["error"]["type"]) == (401, "INVALID_ACCESS_TOKEN"), (method, path)


async def test_production_takes_production_keys_alone(fakes: Fakes, shop: Shop):
    live = fakes.wompi.merchant(live=True)
    url = f"{fakes.wompi.production_url}/pse/financial_institutions"
    for key, expected in ((live.public_key, 200), (shop.merchant.public_key, 401)):
        async with shop.session.get(url, headers={"Authorization": f"Bearer {key}"}) as answer:
            assert answer.status == expected


async def test_a_transaction_can_be_read_with_no_key_but_not_with_that_of_another(fakes: Fakes, shop: Shop):
    made = await shop.created("rc1x")
    stranger = fakes.wompi.merchant()
    assert (await shop.call("GET", f"/transactions/{made}", ""))[0] == 200
    assert (await shop.call("GET", f"/transactions/{made}", shop.merchant.public_key))[0] == 200
    status, answer = await shop.call("GET", f"/transactions/{made}", stranger.private_key)
    assert (status, answer["error"]["type"]) == (404, "NOT_FOUND_ERROR")


async def test_a_stored_method_wants_the_private_key(shop: Shop):
    body = {"payment_source_id": 1}
    assert (await shop.call("POST", "/transactions", shop.merchant.public_key, json=body))[0] == 401
    assert (await shop.call("POST", "/transactions", json=body))[0] == 422


# -- Creating ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"acceptance_token": "x.y.z"}, "acceptance_token"),
        ({"accept_personal_auth": None}, "accept_personal_auth"),
        ({"amount_in_cents": 24900.5}, "amount_in_cents"),
        ({"amount_in_cents": "2490000"}, "amount_in_cents"),
        ({"amount_in_cents": CENTS + 1}, "signature"),
        ({"currency": "USD"}, "currency"),
        ({"customer_email": "ana"}, "customer_email"),
        ({"signature": "A" * 64}, "signature"),
        ({"signature": None}, "signature"),
        ({"reference": ""}, "reference"),
        ({"expiration_time": "2025-11-24T16:00:00.000Z"}, "expiration_time"),
        ({"expiration_time": "tomorrow"}, "expiration_time"),
        ({"payment_method": {"type": "BREB"}}, "payment_method"),
        ({"payment_method": {"type": "CARD", "token": "tok_test_x", "installments": 1}}, "payment_method.token"),
        ({"payment_method": {"type": "NEQUI", "phone_number": "+573001112233"}}, "payment_method.phone_number"),
        ({"payment_method": pse("0")}, "payment_method.financial_institution_code"),
        ({"payment_method": pse() | {"user_type": "0"}}, "payment_method.user_type"),
        ({"payment_method": pse() | {"user_type": True}}, "payment_method.user_type"),
        ({"payment_method": pse() | {"user_legal_id_type": "CE"}}, "payment_method.user_legal_id_type"),
        ({"payment_method": pse() | {"payment_description": "x" * 31}}, "payment_method.payment_description"),
        ({"payment_method": pse(), "customer_data": {}}, "customer_data.full_name"),
        (
            {"payment_method": {"type": "BANCOLOMBIA_TRANSFER", "payment_description": "D'Ana"}},
            "payment_method.payment_description",
        ),
    ],
)
async def test_what_is_wrong_is_refused_by_field(shop: Shop, changes: dict[str, Any], field: str):
    status, answer = await shop.create("rc1x", NEQUI, **changes)
    assert (status, answer["error"]["type"]) == (422, "INPUT_VALIDATION_ERROR")
    assert field in answer["error"]["messages"]
    assert not shop.wompi.transactions


async def test_a_used_reference_is_refused_in_spanish(shop: Shop):
    await shop.created("rc1x")
    status, answer = await shop.create("rc1x", NEQUI)
    assert status == 422
    assert answer == {
        "error": {
            "type": "INPUT_VALIDATION_ERROR",
            "messages": {"reference": ["La referencia ya ha sido usada"]},
        }
    }


async def test_acceptance_tokens_are_of_one_merchant_and_one_kind_and_grow_old(fakes: Fakes, shop: Shop):
    body = await shop.body("rc1x", NEQUI)
    swapped = {**body, "acceptance_token": body["accept_personal_auth"]}
    assert (await shop.call("POST", "/transactions", json=swapped))[0] == 422
    other = fakes.wompi.merchant()
    theirs = {**body, "signature": other.sign("rc1x", CENTS)}
    status, answer = await shop.call("POST", "/transactions", other.private_key, json=theirs)
    assert (status, set(answer["error"]["messages"])) == (422, {"acceptance_token", "accept_personal_auth"})
    await fakes.advance(3600)
    assert (await shop.call("POST", "/transactions", json=body))[0] == 422


async def test_a_merchant_of_nobody_and_a_body_that_is_no_object(shop: Shop):
    assert (await shop.call("GET", "/merchants/pub_test_nobody", ""))[0] == 404
    assert (await shop.call("POST", "/transactions", data=b"[1"))[0] == 422


async def test_the_expiration_enters_the_signature(shop: Shop):
    status, _ = await shop.create("rc1x", NEQUI, expiration_time="2025-12-01T17:00:00.000Z")
    assert status == 201


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (NEQUI, "APPROVED"),
        ({"type": "NEQUI", "phone_number": "3992222222"}, "DECLINED"),
        ({"type": "NEQUI", "phone_number": "3001112233"}, "ERROR"),
        (pse("1"), "APPROVED"),
        (pse("2"), "DECLINED"),
        (pse("3"), "ERROR"),
        ({"type": "BANCOLOMBIA_QR", "payment_description": "x", "sandbox_status": "DECLINED"}, "DECLINED"),
        ({"type": "PCOL", "sandbox_status": "APPROVED_ONLY_POINTS"}, "APPROVED"),
    ],
)
async def test_the_sandbox_data_decide_after_a_delay(fakes: Fakes, shop: Shop, method: dict[str, Any], status: str):
    made = await shop.created("rc1x", method)
    assert (await shop.get(made))["status"] == "PENDING"
    await fakes.advance(1)
    assert (await shop.get(made))["status"] == status


@pytest.mark.parametrize(
    ("number", "status"),
    [("4242424242424242", "APPROVED"), ("4111111111111111", "DECLINED"), ("5555555555554444", "ERROR")],
)
async def test_the_sandbox_cards(fakes: Fakes, shop: Shop, number: str, status: str):
    made = await shop.created("rc1x", await shop.card(number))
    await fakes.advance(1)
    found = await shop.get(made)
    assert (found["status"], found["payment_method"]["extra"]["last_four"]) == (status, number[-4:])


async def test_a_card_that_is_none_gets_no_token(shop: Shop):
    card = {"number": "12", "cvc": "123", "exp_month": "08", "exp_year": "20", "card_holder": "Ana Gomez"}
    assert (await shop.call("POST", "/tokens/cards", shop.merchant.public_key, json=card))[0] == 422
    card["number"] = "4242424242424242"
    status, answer = await shop.call("POST", "/tokens/cards", shop.merchant.public_key, json=card)
    assert (status, list(answer["error"]["messages"])) == (422, ["exp_year"])


async def test_the_bank_list_begins_with_a_row_that_is_no_bank(fakes: Fakes, shop: Shop):
    _, answer = await shop.call("GET", "/pse/financial_institutions")
    assert answer["data"][0]["financial_institution_code"] == "0"
    assert set(answer["data"][1]) == {"financial_institution_code", "financial_institution_name"}
    fakes.wompi.scenarios.default = Scenario(no_banks=True)
    assert (await shop.call("GET", "/pse/financial_institutions"))[1]["data"] == []


# -- Reading -----------------------------------------------------------------------------------------------------------


async def test_the_address_of_the_bank_appears_at_the_second_look(fakes: Fakes, shop: Shop, payer: Payer):
    made = await shop.created("rc1x", pse())
    assert "async_payment_url" not in (await shop.get(made))["payment_method"]["extra"]
    extra = (await shop.get(made))["payment_method"]["extra"]
    seen = await payer.open(extra["async_payment_url"])
    assert "$ 24.900" in seen.text
    assert seen.buttons == ["approve", "decline", "decline_then_approve", "pending"]
    back = urlsplit(await payer.press(seen, "approve"))
    assert parse_qs(back.query) == {"a": ["1"], "id": [made], "env": ["test"]}
    await fakes.advance(1)
    assert (await shop.get(made))["status"] == "APPROVED"
    assert "terminó" in (await payer.open(extra["async_payment_url"])).text


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("decline", ["DECLINED"]),
        ("pending", ["PENDING"]),
        ("decline_then_approve", ["DECLINED", "APPROVED"]),
        ("scenario", ["APPROVED"]),
    ],
)
async def test_the_payer_decides_at_the_bank(fakes: Fakes, shop: Shop, payer: Payer, choice: str, expected: list[str]):
    made = await shop.created("rc1x", pse())
    await payer.pay(f"{fakes.wompi.base_url}/bank/{made}", choice)
    await fakes.advance(1)
    assert await shop.statuses("rc1x") == expected


async def test_a_qr_image_and_the_codes_of_the_other_methods_come_by_polling(fakes: Fakes, shop: Shop):
    wanted = {
        "BANCOLOMBIA_QR": ({"payment_description": "x"}, "qr_image"),
        "BANCOLOMBIA_COLLECT": ({}, "payment_intention_identifier"),
        "BANCOLOMBIA_TRANSFER": ({"payment_description": "x"}, "async_payment_url"),
    }
    for kind, (fields, name) in wanted.items():
        made = await shop.created(f"rc{kind}x", {"type": kind, **fields})
        assert name not in (await shop.get(made))["payment_method"]["extra"]
        value = (await shop.get(made))["payment_method"]["extra"][name]
        if name == "qr_image":
            assert b"<svg" in base64.b64decode(value)


async def test_a_one_time_code_decides_daviplata(fakes: Fakes, shop: Shop, payer: Payer):
    method = {"type": "DAVIPLATA", "user_legal_id_type": "CC", "user_legal_id": "1020", "payment_description": "x"}
    for code, expected in (("574829", "APPROVED"), ("186743", "DECLINED"), ("999999", "ERROR")):
        made = await shop.created(f"rc{code}x", method)
        await payer.pay(f"{fakes.wompi.base_url}/bank/{made}", "code", code=code)
        await fakes.advance(1)
        assert (await shop.get(made))["status"] == expected


async def test_a_search_needs_a_reference_or_dates_and_a_page(fakes: Fakes, shop: Shop):
    for n in range(3):
        await shop.created(f"rc{n}x")
    status, answer = await shop.call("GET", "/transactions", params={"from_date": "2025-11-24"})
    assert (status, set(answer["error"]["messages"])) == (422, {"until_date", "page", "page_size"})
    period = {"from_date": "2025-11-24", "until_date": "2025-11-24", "page": "2", "page_size": "2", "order": "ASC"}
    _, answer = await shop.call("GET", "/transactions", params=period)
    assert [t["reference"] for t in answer["data"]] == ["rc2x"]
    assert answer["meta"] == {"page": 2, "page_size": 2, "total_results": 3}
    assert await shop.find("rc9x") == []


async def test_only_an_approved_card_is_voided_and_only_on_its_day(fakes: Fakes, shop: Shop, heard: Receiver):
    card, nequi = await shop.created("rc1x", await shop.card("4242424242424242")), await shop.created("rc2x")
    old = await shop.created("rc3x", await shop.card("4242424242424242"))
    assert (await shop.call("POST", f"/transactions/{card}/void"))[0] == 422
    await fakes.advance(1)
    assert (await shop.call("POST", f"/transactions/{nequi}/void"))[0] == 422
    assert (await shop.call("POST", f"/transactions/{card}/void", json={"amount_in_cents": 100}))[0] == 422
    assert (await shop.call("POST", f"/transactions/{card}/void"))[0] == 201
    assert (await shop.get(card))["status"] == "VOIDED"
    assert fakes.wompi.money("rc1x") == Money(approved=CENTS, returned=CENTS)
    assert (await shop.call("POST", f"/transactions/{card}/void"))[0] == 422
    await fakes.advance(13 * 3600)  # past midnight in Bogotá
    assert (await shop.call("POST", f"/transactions/{old}/void"))[0] == 422
    assert said(heard) == ["APPROVED", "APPROVED", "APPROVED", "VOIDED"]


# -- The web checkout --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"reference": ""}, 422, "Falta reference"),
        ({"signature:integrity": "0" * 64}, 422, "la firma es inválida"),
        ({"amount-in-cents": "24.900"}, 422, "solo dígitos"),
        ({"currency": "USD"}, 422, "solo se admite COP"),
        ({"public-key": "pub_test_nobody"}, 422, "la llave no existe"),
        ({"redirect-url": "javascript:alert(1)"}, 422, "debe ser una dirección web"),
        ({"customer-data:phone-number": "3001112233"}, 422, "falta el prefijo"),
        ({"customer-data:legal-id": "1020"}, 422, "falta el tipo"),
        ({"customer-data:legal-id": "1020", "customer-data:legal-id-type": "XX"}, 422, "legal-id-type"),
    ],
)
async def test_a_wrong_form_is_not_opened(
    fakes: Fakes, shop: Shop, payer: Payer, changes: dict[str, str], status: int, text: str
):
    fields = fakes.wompi.checkout_fields(shop.merchant, "rc1x", CENTS) | changes
    seen = await payer.open(fakes.wompi.checkout_url, fields)
    assert seen.status == status
    assert text in seen.text
    assert not seen.action


async def test_the_checkout_expires_on_the_clock(fakes: Fakes, shop: Shop, payer: Payer):
    fields = fakes.wompi.checkout_fields(shop.merchant, "rc1x", CENTS, expiration_time="2025-11-24T17:00:00.000Z")
    seen = await payer.open(fakes.wompi.checkout_url, fields)
    assert seen.status == 200
    await fakes.advance(3600)
    assert (await payer.open(fakes.wompi.checkout_url, fields)).status == 410
    with pytest.raises(RuntimeError, match="410"):
        await payer.press(seen, "approve")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("approve", ["APPROVED"]),
        ("decline", ["DECLINED"]),
        ("decline_then_approve", ["DECLINED", "APPROVED"]),
        ("pending", ["PENDING"]),
    ],
)
async def test_the_payer_decides_and_comes_back(
    fakes: Fakes, shop: Shop, payer: Payer, choice: str, expected: list[str]
):
    fields = fakes.wompi.checkout_fields(shop.merchant, "rc1x", CENTS, redirect_url="https://merchant.example/r/t?a=1")
    seen = await payer.open(fakes.wompi.checkout_url, fields)
    assert seen.buttons == ["approve", "decline", "decline_then_approve", "pending"]
    assert "$ 24.900" in seen.text
    back = urlsplit(await payer.press(seen, choice))
    last = fakes.wompi.by_reference["rc1x"][-1]
    assert parse_qs(back.query) == {"a": ["1"], "id": [last.id], "env": ["test"]}
    await fakes.advance(1)
    assert await shop.statuses("rc1x") == expected


async def test_a_payer_in_production_comes_back_without_env(fakes: Fakes, payer: Payer):
    live = fakes.wompi.merchant(live=True)
    fields = fakes.wompi.checkout_fields(live, "rc1x", CENTS, redirect_url="https://merchant.example/")
    assert "env=" not in await payer.pay(fakes.wompi.checkout_url, "approve", fields=fields)


async def test_a_used_reference_opens_no_checkout_but_a_declined_one_may_try_again_for_three_minutes(
    fakes: Fakes, shop: Shop, payer: Payer
):
    fields = fakes.wompi.checkout_fields(shop.merchant, "rc1x", CENTS)
    url = fakes.wompi.checkout_url
    await payer.pay(url, "decline", fields=fields)
    assert (await payer.open(url, fields)).status == 422  # still pending
    await fakes.advance(1)
    assert (await payer.open(url, fields)).status == 200
    await fakes.advance(181)
    assert (await payer.open(url, fields)).status == 422


async def test_what_a_merchant_writes_is_no_markup(fakes: Fakes, shop: Shop, payer: Payer):
    fields = fakes.wompi.checkout_fields(shop.merchant, "<script>x", CENTS)
    assert "<script>" not in (await payer.open(fakes.wompi.checkout_url, fields)).html


# -- Events ------------------------------------------------------------------------------------------------------------


async def test_events_are_valid_in_both_cases_and_one_of_ten_has_another_order(
    fakes: Fakes, shop: Shop, heard: Receiver
):
    for n in range(10):
        await shop.created(f"rc{n}x")
    await fakes.advance(1)
    events = [r.json for r in heard.received]
    assert all(valid(shop, e) for e in events)
    checksums = [e["signature"]["checksum"] for e in events]
    assert sum(c == c.upper() for c in checksums) == 5
    assert sum(e["signature"]["properties"] != USUAL for e in events) == 1
    assert heard.received[0].path == "/n/token"


async def test_an_event_that_is_not_answered_200_comes_three_times_more(fakes: Fakes, shop: Shop, heard: Receiver):
    heard.answer = lambda _: web.Response(status=201)
    await shop.created("rc1x")
    await fakes.advance(5 * 86_400)
    notice = fakes.wompi.notices[0]
    first = notice.tries[0].at
    assert [t.at - first for t in notice.tries] == [
        timedelta(0),
        timedelta(minutes=30),
        timedelta(hours=3),
        timedelta(hours=24),
    ]
    assert len({r.body for r in heard.received}) == 1


async def test_a_retry_that_is_answered_is_the_last(fakes: Fakes, shop: Shop, heard: Receiver):
    heard.answer = lambda _: web.Response(status=500 if len(heard.received) == 1 else 200)
    await shop.created("rc1x")
    await fakes.advance(86_400)
    assert [t.status for t in fakes.wompi.notices[0].tries] == [500, 200]


async def test_a_merchant_that_is_away_blocks_nobody(fakes: Fakes):
    async with shop_of(fakes, "http://127.0.0.1:9/nobody") as shop:
        made = await shop.created("rc1x")
        await fakes.advance(1)
        assert (await shop.get(made))["status"] == "APPROVED"
        assert [t.status for t in fakes.wompi.notices[0].tries] == [None]


# -- The knobs of 1.12 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "seconds", "before", "after"),
    [
        (Outcome.APPROVED, 1, "PENDING", "APPROVED"),
        (Outcome.DECLINED, 1, "PENDING", "DECLINED"),
        (Outcome.ERROR, 1, "PENDING", "ERROR"),
        (Outcome.PENDING_THEN_APPROVED, 10, "PENDING", "APPROVED"),
        (Outcome.PENDING_THEN_DECLINED, 10, "PENDING", "DECLINED"),
        (Outcome.EXPIRED, 1200, "PENDING", "DECLINED"),
        (Outcome.PENDING, 30 * 86_400, "PENDING", "PENDING"),
    ],
)
async def test_the_outcome(fakes: Fakes, shop: Shop, outcome: Outcome, seconds: int, before: str, after: str):
    fakes.wompi.scenarios.set("rc1x", Scenario(outcome=outcome))
    await shop.created("rc1x", pse("2"))
    await fakes.advance(seconds - 0.5)
    assert await shop.statuses("rc1x") == [before]
    await fakes.advance(0.5)
    assert await shop.statuses("rc1x") == [after]


async def test_a_test_settles_what_is_pending(fakes: Fakes, shop: Shop, heard: Receiver):
    fakes.wompi.scenarios.default = Scenario(outcome=Outcome.PENDING, announce_pending=True)
    made = await shop.created("rc1x")
    await fakes.advance(3 * 86_400)
    fakes.wompi.settle(made)
    await fakes.drain_notices()
    assert said(heard) == ["PENDING", "APPROVED"]
    found = await shop.get(made)
    assert (found["created_at"], found["finalized_at"]) == ("2025-11-24T16:02:03.000Z", "2025-11-27T16:02:03.000Z")


@pytest.mark.parametrize(
    ("scenario", "expected", "approved"),
    [
        (Scenario(retry_by_payer=True), ["DECLINED", "APPROVED"], CENTS),
        (Scenario(double_approve=True), ["APPROVED", "APPROVED"], 2 * CENTS),
        (Scenario(late_decline=True), ["APPROVED", "DECLINED"], CENTS),
        (Scenario(partial=90_000), ["APPROVED"], CENTS - 90_000),
        (Scenario(partial=10 * CENTS), ["APPROVED"], 100),
        (Scenario(over=1), ["APPROVED"], CENTS + 1),
        (Scenario(outcome=Outcome.DECLINED, double_approve=True), ["DECLINED"], 0),
    ],
)
async def test_several_transactions_and_other_amounts(
    fakes: Fakes, shop: Shop, scenario: Scenario, expected: list[str], approved: int
):
    fakes.wompi.scenarios.set("rc1x", scenario)
    await shop.created("rc1x")
    await fakes.advance(10)
    assert await shop.statuses("rc1x") == expected
    found = [t["amount_in_cents"] for t in await shop.find("rc1x") if t["status"] == "APPROVED"]
    assert sum(found) == approved == fakes.wompi.approved("rc1x") == fakes.wompi.approved()


async def test_the_payers_own_retry_in_the_checkout(fakes: Fakes, shop: Shop, payer: Payer, heard: Receiver):
    fakes.wompi.scenarios.queue += [Scenario(retry_by_payer=True)]
    fields = fakes.wompi.checkout_fields(shop.merchant, "rc1x", CENTS)
    await payer.pay(fakes.wompi.checkout_url, fields=fields)
    await fakes.advance(1)
    assert said(heard) == ["DECLINED", "APPROVED"]
    assert len({r.json["data"]["transaction"]["id"] for r in heard.received}) == 2


async def test_notices_are_duplicated_dropped_and_late(fakes: Fakes, shop: Shop, heard: Receiver):
    fakes.wompi.scenarios.queue += [Scenario(duplicate=10, burst=True), Scenario(drop=True), Scenario(delay=60)]
    for n in range(3):
        await shop.created(f"rc{n}x")
    await fakes.advance(30)
    assert len(heard.received) == 10
    assert len({r.body for r in heard.received}) == 1
    await fakes.advance(31)
    assert heard.received[10].json["data"]["transaction"]["reference"] == "rc2x"
    assert len(heard.received) == 11
    assert await shop.statuses("rc1x") == ["APPROVED"]


async def test_notices_come_in_reverse(fakes: Fakes, shop: Shop, heard: Receiver):
    fakes.wompi.scenarios.queue += [Scenario(reorder=True, announce_pending=True, retry_by_payer=True)]
    await shop.created("rc1x")
    await fakes.advance(1.5)
    assert said(heard) == []
    await fakes.advance(1)
    assert said(heard) == ["APPROVED", "DECLINED", "PENDING"]


@pytest.mark.parametrize("tamper", list(Tamper))
async def test_a_tampered_event(fakes: Fakes, shop: Shop, heard: Receiver, tamper: Tamper):
    fakes.wompi.scenarios.set("rc1x", Scenario(tamper=tamper))
    await shop.created("rc1x")
    await fakes.advance(1)
    got = heard.received[0]
    still_valid = tamper in (Tamper.HEADER, Tamper.TIMESTAMP, Tamper.UNSIGNED_FIELD)
    assert valid(shop, got.json) is still_valid
    assert ("x-event-checksum" in got.headers) is (tamper not in (Tamper.HEADER, Tamper.SIGNATURE))
    assert ("signature" in got.json) is (tamper is not Tamper.SIGNATURE)
    assert (got.json["timestamp"] < 1740000000) is (tamper is Tamper.TIMESTAMP)
    assert (got.json["data"]["transaction"]["reference"] == "rc1x") is (tamper is not Tamper.UNSIGNED_FIELD)
    assert await shop.statuses("rc1x") == ["APPROVED"]


async def test_a_lying_event_is_valid(fakes: Fakes, shop: Shop, heard: Receiver):
    fakes.wompi.scenarios.set("rc1x", Scenario(lie=True, outcome=Outcome.PENDING))
    await shop.created("rc1x")
    await fakes.drain_notices()
    assert said(heard) == ["APPROVED"]
    assert valid(shop, heard.received[0].json)
    assert await shop.statuses("rc1x") == ["PENDING"]
    assert fakes.wompi.approved() == 0


@pytest.mark.parametrize("how", list(Reverse))
async def test_an_approval_is_taken_back(fakes: Fakes, shop: Shop, heard: Receiver, how: Reverse):
    fakes.wompi.scenarios.set("rc1x", Scenario(reverse=how, reverse_after=3600))
    await shop.created("rc1x")
    await fakes.advance(3599)
    assert await shop.statuses("rc1x") == ["APPROVED"]
    await fakes.advance(2)
    expected = {Reverse.DECLINED: "DECLINED", Reverse.IN_MEDIATION: "APPROVED"}.get(how, "VOIDED")
    assert await shop.statuses("rc1x") == [expected]
    assert said(heard) == ["APPROVED", expected]
    money = fakes.wompi.money("rc1x")
    assert (money.net, money.disputed) == ((CENTS, CENTS) if how is Reverse.IN_MEDIATION else (0, 0))


async def test_another_environment_and_another_currency(fakes: Fakes, shop: Shop, heard: Receiver, payer: Payer):
    fakes.wompi.scenarios.queue += [Scenario(wrong_env=True), Scenario(wrong_currency=True)]
    fields = fakes.wompi.checkout_fields(shop.merchant, "rc1x", CENTS, redirect_url="https://merchant.example/")
    assert "env=test" not in await payer.pay(fakes.wompi.checkout_url, fields=fields)
    await shop.created("rc2x")
    await fakes.advance(1)
    assert [r.json["environment"] for r in heard.received] == ["prod", "test"]
    assert (await shop.find("rc2x"))[0]["currency"] == "USD"
    assert fakes.wompi.money("rc2x", "USD").approved == CENTS
    assert fakes.wompi.approved("rc2x") == 0


async def test_the_create_call_is_cut_after_it_was_done(fakes: Fakes, shop: Shop):
    fakes.wompi.scenarios.set("rc1x", Scenario(timeout_after_commit=1))
    body = await shop.body("rc1x", NEQUI)
    with pytest.raises(aiohttp.ClientError):
        await shop.call("POST", "/transactions", json=body)
    assert len(await shop.find("rc1x")) == 1
    assert (await shop.call("POST", "/transactions", json=body))[0] == 422
    assert [c.status for c in fakes.wompi.calls if c.step == "create"] == [0, 422]


async def test_the_create_call_is_done_and_answered_500(fakes: Fakes, shop: Shop):
    fakes.wompi.scenarios.set("rc1x", Scenario(http_500_after_commit=1))
    assert (await shop.create("rc1x", NEQUI))[0] == 500
    assert len(await shop.find("rc1x")) == 1


async def test_so_many_calls_fail_and_then_none(fakes: Fakes, shop: Shop):
    fakes.wompi.scenarios.set("rc1x", Scenario(http_500=1, http_429=1, retry_after=7, html=1, on=("find",)))
    await shop.created("rc1x")
    url, answers = f"{fakes.wompi.sandbox_url}/transactions?reference=rc1x", []
    for _ in range(4):
        async with shop.session.get(url, headers={"Authorization": f"Bearer {shop.merchant.private_key}"}) as answer:
            answers.append((answer.status, answer.headers.get("Retry-After"), answer.content_type))
    assert answers == [
        (500, "7", "application/json"),
        (429, "7", "application/json"),
        (200, None, "text/html"),
        (200, None, "application/json"),
    ]


async def test_calls_without_a_reference_fail_by_the_default_scenario(fakes: Fakes, shop: Shop):
    fakes.wompi.scenarios.set(None, Scenario(http_429=1))
    assert (await shop.call("GET", "/pse/financial_institutions"))[0] == 429
    assert (await shop.call("GET", "/pse/financial_institutions"))[0] == 200


async def test_a_call_hangs_and_is_cut(fakes: Fakes, shop: Shop):
    fakes.wompi.scenarios.set("rc1x", Scenario(hang=1, hang_seconds=0.05))
    body = await shop.body("rc1x", NEQUI)
    with pytest.raises(aiohttp.ClientError):
        await shop.call("POST", "/transactions", json=body)
    assert await shop.find("rc1x") == []


async def test_the_payer_is_refused(fakes: Fakes, shop: Shop, payer: Payer):
    fakes.wompi.scenarios.default = Scenario(refuse_payer=True)
    status, answer = await shop.create("rc1x", NEQUI)
    assert (status, list(answer["error"]["messages"])) == (422, ["customer_data"])
    seen = await payer.open(fakes.wompi.checkout_url, fakes.wompi.checkout_fields(shop.merchant, "rc2x", CENTS))
    assert "rechazados" in seen.text


async def test_a_search_lags_behind(fakes: Fakes, shop: Shop):
    fakes.wompi.scenarios.default = Scenario(search_lag=5)
    made = await shop.created("rc1x")
    assert await shop.find("rc1x") == []
    assert (await shop.get(made))["id"] == made
    await fakes.advance(5)
    assert len(await shop.find("rc1x")) == 1


# -- The controls ------------------------------------------------------------------------------------------------------


async def test_another_process_sets_scenarios_moves_the_clock_and_reads_everything(fakes: Fakes, heard: Receiver):
    async with shop_of(fakes) as shop:

        async def control(path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
            url, method = f"{fakes.wompi.base_url}/_fake/{path}", "GET" if body is None else "POST"
            async with shop.session.request(method, url, json=body) as answer:
                return answer.status, await answer.json()

        assert (await control("notice_url", {"url": heard.url}))[0] == 200
        assert (await control("scenario", {"reference": "rc1x", "partial": 100, "outcome": "pending"}))[0] == 200
        assert (await control("scenario", {"queue": [{"drop": True, "delay": 0.5}]}))[0] == 200
        made = await shop.created("rc1x")
        assert (await control(f"transactions/{made}", {"state": "approved"}))[0] == 200
        assert (await control("advance", {"seconds": 2.5}))[1] == {"now": "2025-11-24T16:02:05.500000+00:00"}
        _, listed = await control("transactions?reference=rc1x")
        assert listed["cop_minor"] == {"approved": CENTS - 100, "returned": 0, "disputed": 0}
        assert [(t["id"], t["state"]) for t in listed["transactions"]] == [(made, "approved")]
        assert [len(n["tries"]) for n in (await control("notices"))[1]] == [1]
        assert (await control("reset", {}))[0] == 200
        assert (await control("transactions"))[1]["transactions"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"outcom": "approved"},
        {"outcome": "maybe"},
        {"partial": -1},
        {"partial": 0.5},
        {"duplicate": True},
        {"drop": 1},
        {"on": "create"},
        {"on": ["creat"]},
        {"queue": [1]},
    ],
)
async def test_a_scenario_that_makes_no_sense_is_refused(fakes: Fakes, shop: Shop, body: dict[str, Any]):
    async with shop.session.post(f"{fakes.wompi.base_url}/_fake/scenario", json=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


def test_chance_is_seeded_and_survives_json():
    some = [Scenario.random(Random(n)) for n in range(300)]
    assert some == [Scenario.random(Random(n)) for n in range(300)]
    assert len({s.outcome for s in some}) == len(Outcome)
    assert all(Scenario.from_json(json.loads(json.dumps(s.to_json()))) == s for s in some)
    assert not any(s.wrong_env or s.wrong_currency or s.hang for s in some)


async def test_chaos_gives_a_reference_the_same_whoever_comes_first(fakes: Fakes):
    scenarios = fakes.wompi.scenarios
    scenarios.chaos(7)
    first = {r: scenarios.of(r).scenario for r in ("rc1x", "rc2x", "rc3x")}
    scenarios.reset()
    scenarios.chaos(7)
    assert {r: scenarios.of(r).scenario for r in ("rc3x", "rc2x", "rc1x")} == first


async def test_what_the_fake_says_agrees_with_what_it_answers_in_chaos(fakes: Fakes, payer: Payer, heard: Receiver):
    """Whatever went wrong on the way, asking long enough finds every peso that the fake says was approved."""
    async with shop_of(fakes, heard.url) as shop:
        fakes.wompi.scenarios.chaos("here")
        for n in range(60):
            fields = fakes.wompi.checkout_fields(shop.merchant, f"rc{n}x", CENTS)
            await payer.pay(fakes.wompi.checkout_url, fields=fields)
        await fakes.advance(30 * 86_400)
        total = 0
        for n in range(60):
            for t in await patiently(shop, f"rc{n}x"):
                total += t["amount_in_cents"] if t["status"] == "APPROVED" else 0
        assert total == fakes.wompi.money().net > 0


async def patiently(shop: Shop, reference: str) -> list[dict[str, Any]]:
    for _ in range(10):
        try:
            return await shop.find(reference)
        except (AssertionError, aiohttp.ClientError):
            continue
    raise AssertionError("the faults do not end")


async def test_what_has_ended_is_not_settled_again(fakes: Fakes, shop: Shop):
    made = await shop.created("rc1x")
    fakes.wompi.settle(made, State.DECLINED)
    fakes.wompi.settle(made)
    await fakes.advance(1)
    assert await shop.statuses("rc1x") == ["DECLINED"]


async def test_notices_can_be_sent_once_more(fakes: Fakes, shop: Shop, heard: Receiver):
    await shop.created("rc1x")
    await fakes.advance(1)
    fakes.wompi.repeat_notices("rc1x")
    await fakes.drain_notices()
    assert len(heard.received) == 2
    assert len({r.body for r in heard.received}) == 1


async def test_a_reference_is_unique_for_each_merchant(fakes: Fakes, shop: Shop):
    await shop.created("rc1x")
    async with shop_of(fakes) as other:
        await other.created("rc1x")
        assert len(await other.find("rc1x")) == 1
