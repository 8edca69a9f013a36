"""Paying on a page of the merchant's own: ways to pay, cards by token, banks, wallets, and one key, one attempt."""

import asyncio
import secrets
from typing import Any, get_args

import msgspec
import pytest

from recaudo.dialects.recaudo import render_attempts
from recaudo.dialects.recaudo.attempts import Attempts
from recaudo.domain.answers import Confirm, Form, Picture, Redirect, Step
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.routing import ApiRequest
from recaudo.usecases.starting import STARTING
from tests.dialects.onepay.openapi import DOCUMENTS, in_order, validator
from tests.dialects.onepay.test_openapi_answers import own_body_of
from tests.dialects.recaudo.shop import Shop
from tests.dialects.recaudo.test_gateways import fields
from tests.fakes import Outcome, Payer, Scenario
from tests.world import Answer

CARD = "4242424242424242"
DECLINED_CARD = "4111111111111111"
ANA: dict[str, str] = {
    "bank": "1",
    "person_type": "natural",
    "document_type": "CC",
    "document_number": "1.020.304.050",
    "name": "Ana Quiroga Prueba",
    "email": "ana.quiroga@example.com",
    "phone": "316 759 1031",
}
NEQUI = {"phone": "3991111111", "email": ANA["email"]}


class Checkout:
    """A merchant's own payment page, over the API."""

    def __init__(self, shop: Shop, collection_id: str) -> None:
        self.shop = shop
        self.collection_id = collection_id

    @property
    def path(self) -> str:
        return f"/collections/{self.collection_id}"

    async def methods(self, query: str = "") -> dict[str, dict[str, Any]]:
        told = await self.shop.ok("GET", f"{self.path}/methods{query}")
        return {row["method"]: row for row in told["data"]}

    async def token(self, number: str = CARD) -> str:
        """What the vendor's script does on the payer's page."""
        key = (await self.methods())["card"]["by_token"]["public_key"]
        card = {"number": number, "cvc": "123", "exp_month": "12", "exp_year": "29", "card_holder": "Ana Gomez"}
        url, headers = f"{self.shop.fakes.wompi.sandbox_url}/tokens/cards", {"Authorization": f"Bearer {key}"}
        async with self.shop.world.session.post(url, json=card, headers=headers) as answer:
            token = (await answer.json())["data"]["id"]
        self.shop.secrets.add(token)
        return token

    async def post(self, body: dict[str, Any], once: str | None = None) -> Answer:
        return await self.shop.call("POST", f"{self.path}/attempts", body, once=once or secrets.token_hex(8))

    async def start(self, method: str, payer: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        body = {"method": method, "payer": payer or {}, "accepted_terms": True, **more}
        answer = await self.post(body)
        assert answer.status == 201, answer.json
        return answer.json

    async def refused(self, body: dict[str, Any], *, status: int = 422, code: str = "validation_error") -> Any:
        answer = await self.post(body)
        assert (answer.status, answer.json["code"]) == (status, code), answer.json
        return answer.json

    async def ended(self, attempt: dict[str, Any]) -> dict[str, Any]:
        """What became of it once the gateway has decided."""
        for _ in range(60):
            found = await self.shop.ok("GET", f"/attempts/{attempt['id']}")
            if found["state"] in {"succeeded", "failed"}:
                return found
            await asyncio.sleep(0.25)
        raise AssertionError(found)

    async def rows(self) -> list[Any]:
        return await self.shop.world.rows(
            "SELECT * FROM attempt WHERE account_id = $1 AND collection_id = $2",
            self.shop.client.account_id,
            self.collection_id,
        )

    async def settle(self) -> None:
        """The payer pays at the bank."""
        (row,) = await self.rows()
        (transaction,) = self.shop.fakes.wompi.by_reference[row["reference"]]
        self.shop.fakes.wompi.settle(transaction.id)

    async def at_the_vendor(self) -> Any:
        """The attempt, once its gateway was called."""
        while True:
            for row in await self.rows():
                calls = self.shop.fakes.wompi.calls
                if any(call.step == "create" and call.reference == row["reference"] for call in calls):
                    return row
            await asyncio.sleep(0.01)

    async def invoice_state(self) -> str:
        (row,) = await self.shop.world.rows(
            "SELECT i.state FROM invoice i JOIN collection c ON c.account_id = i.account_id AND c.invoice_id = i.id "
            "WHERE c.account_id = $1 AND c.id = $2",
            self.shop.client.account_id,
            self.collection_id,
        )
        return row["state"]


async def open_checkout(shop: Shop, *kinds: str, **invoice: Any) -> Checkout:
    for kind in kinds or ("wompi",):
        if kind != "sandbox":
            await shop.set_up(kind)
    made = await shop.client.invoice(**invoice)
    # As of a merchant whose account allows all of them.
    await shop.world.execute(
        "UPDATE invoice SET allows = $3 WHERE account_id = $1 AND id = $2",
        shop.client.account_id,
        made["id"],
        {"accounts": True, "cards": True, "card_extra": False, "realtime": True},
    )
    return Checkout(shop, made["payment"]["id"])


async def assert_kept_nowhere(shop: Shop, *texts: str) -> None:
    """No row of the account holds one of these, whatever its table."""
    for table in ("attempt", "idempotency", "event", "delivery", "receipt", "invoice", "collection"):
        for row in await shop.world.rows(f"SELECT * FROM {table} WHERE account_id = $1", shop.client.account_id):
            shown = repr(dict(row))
            for text in texts:
                assert text not in shown, table


# --- Ways to pay ---


async def test_the_ways_to_pay_say_what_they_ask_and_what_must_be_shown(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    told = await shop.ok("GET", f"{checkout.path}/methods")
    assert {k: told[k] for k in ("collection_id", "currency", "refusal", "due_minor", "open_attempts")} == {
        "collection_id": checkout.collection_id, "currency": "COP", "refusal": None, "due_minor": 5_000_000,
        "open_attempts": 0,
    }  # fmt: skip
    rows = {row["method"]: row for row in told["data"]}
    assert {(row["gateway"], row["is_available"]) for row in rows.values()} == {("wompi", True)}
    pse = rows["pse"]
    assert pse["asks"] == [
        "person_type", "bank", "document_type", "document_number", "name", "email", "phone",
    ]  # fmt: skip
    assert {"code": "1", "name": "Banco que aprueba"} in pse["banks"]
    assert pse["document_types"] == ["CC", "NIT"]
    assert pse["terms"]["terms_url"].startswith("http")
    assert pse["terms"]["data_url"] != pse["terms"]["terms_url"]
    assert (rows["nequi"]["asks"], rows["nequi"]["banks"], rows["nequi"]["by_token"]) == (["email", "phone"], [], None)
    card = rows["card"]
    assert (card["asks"], card["terms"], card["title"]) == ([], None, "Tarjeta")
    assert card["by_token"]["asks"] == ["card_token", "email"]
    assert (card["by_token"]["token_begins"], card["by_token"]["installments_max"]) == ("tok_test_", 36)
    assert card["by_token"]["public_key"].startswith("pub_test_")
    assert card["by_token"]["terms"] == pse["terms"]


async def test_an_amount_leaves_the_methods_that_take_it(shop: Shop) -> None:
    await shop.set_up("wompi", methods=[{"id": "card", "max_amount_minor": 4_000_000}, {"id": "nequi"}])
    made = await shop.client.invoice(partial_payment_config={"min_amount": 10_000, "max_installments": 3})
    checkout = Checkout(shop, made["payment"]["id"])
    assert set(await checkout.methods()) == {"card", "nequi"}
    assert set(await checkout.methods("?amount_minor=4000000")) == {"card", "nequi"}
    assert set(await checkout.methods("?amount_minor=5000000")) == {"nequi"}
    for wrong in ("0", "-1", "1.5", "x", "9" * 40):
        query = f"{checkout.path}/methods?amount_minor={wrong}"
        await shop.refused("GET", query, status=400, code="invalid_query")
    body = {"method": "card", "amount_minor": 5_000_000}
    assert "to 4000000" in fields(await checkout.refused(body))["amount_minor"]


async def test_what_takes_no_money_has_no_ways_to_pay_and_says_why(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    await shop.client.pay(checkout.collection_id)
    told = await shop.ok("GET", f"{checkout.path}/methods")
    assert (told["refusal"], told["data"]) == ("collection_paid", [])
    await checkout.refused({"method": "card"}, status=409, code="collection_paid")


async def test_a_gateway_that_does_not_tell_its_banks_is_not_begun(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    shop.fakes.wompi.scenarios.set(None, Scenario(http_500=1000))
    try:
        told = await checkout.methods()
        assert not told["nequi"]["is_available"]
        # The gateway's own page needs no call.
        assert (told["card"]["is_available"], told["card"]["by_token"]) == (True, None)
        body = {"method": "nequi", "payer": NEQUI, "accepted_terms": True}
        answer = await checkout.post(body)
    finally:
        shop.fakes.wompi.scenarios.set(None, Scenario())
    assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, "gateway_silent", "30")
    assert await checkout.rows() == []


# --- Paying ---


async def test_a_card_that_became_a_token_is_charged(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    token = await checkout.token()
    made = await checkout.start("card", {"card_token": token, "installments": 3, "email": ANA["email"]})
    assert (made["gateway"], made["method_type"], made["amount_minor"]) == ("wompi", "card", 5_000_000)
    assert made["next"] is None
    done = await checkout.ended(made)
    assert (done["state"], done["method"]["last_four"], done["next"]) == ("succeeded", "4242", None)
    assert await checkout.invoice_state() == "paid"
    created = next(c for c in reversed(shop.fakes.wompi.calls) if c.step == "create")
    method = msgspec.json.decode(created.body)["payment_method"]
    assert method == {"type": "CARD", "token": token, "installments": 3}
    await assert_kept_nowhere(shop, token, ANA["email"])


async def test_a_card_that_is_declined_fails_in_words_and_another_may_follow(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    payer = {"card_token": await checkout.token(DECLINED_CARD), "email": ANA["email"]}
    done = await checkout.ended(await checkout.start("card", payer))
    assert done["state"] == "failed"
    assert done["failure_code"]
    assert done["failure_text"].endswith(".")
    payer["card_token"] = await checkout.token()
    assert (await checkout.ended(await checkout.start("card", payer)))["state"] == "succeeded"


async def test_a_card_without_a_token_is_paid_on_the_gateways_page(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    made = await checkout.start("card")
    assert (made["state"], made["next"]["kind"], made["next"]["method"]) == ("created", "form", "GET")
    sent = {field["name"]: field["value"] for field in made["next"]["fields"]}
    (row,) = await checkout.rows()
    # Without an address of the merchant's the payer comes back to ours.
    assert sent["redirect-url"] == f"{shop.world.base_url}/payment/{checkout.collection_id}/return/{row['once_key']}"
    async with Payer() as payer:
        await payer.pay(made["next"]["action"], "approve", fields=sent, method="CARD")
    await shop.fakes.drain_notices()
    asked = await shop.ok("POST", f"/attempts/{made['id']}/ask")
    assert asked["id"] == made["id"]
    assert (await checkout.ended(made))["state"] == "succeeded"


async def test_pse_leads_to_the_bank_and_back_to_the_merchant(shop: Shop) -> None:
    shop.fakes.wompi.scenarios.queue.append(Scenario(outcome=Outcome.PENDING))
    checkout = await open_checkout(shop)
    made = await checkout.start("pse", {**ANA, "ip": "192.0.2.7"}, return_url="https://shop.example/thanks")
    assert (made["state"], made["next"]["kind"]) == ("processing", "redirect")
    assert (await shop.ok("GET", f"/attempts/{made['id']}"))["next"] == made["next"]
    created = msgspec.json.decode(next(c for c in reversed(shop.fakes.wompi.calls) if c.step == "create").body)
    assert (created["redirect_url"], created["ip"]) == ("https://shop.example/thanks", "192.0.2.7")
    assert created["payment_method"]["user_legal_id"] == "1020304050"
    async with Payer() as payer:
        assert (await payer.open(made["next"]["url"])).status == 200
    await checkout.settle()
    assert (await checkout.ended(await shop.ok("POST", f"/attempts/{made['id']}/ask")))["state"] == "succeeded"
    await assert_kept_nowhere(shop, ANA["email"], "1020304050", ANA["document_number"], "3167591031", ANA["name"])


async def test_nequi_is_confirmed_on_the_telephone_and_a_qr_is_a_picture(shop: Shop) -> None:
    shop.fakes.wompi.scenarios.queue += [Scenario(outcome=Outcome.PENDING), Scenario(outcome=Outcome.PENDING)]
    checkout = await open_checkout(shop)
    nequi = await checkout.start("nequi", NEQUI)
    assert (nequi["next"]["kind"], nequi["next"]["application"]) == ("confirm", "Nequi")
    assert "Nequi" in nequi["next"]["text"]
    qr = await checkout.start("bancolombia_qr", {"email": ANA["email"]}, again=True)
    assert (qr["next"]["kind"], qr["next"]["media_type"]) == ("picture", "image/svg+xml")
    assert qr["next"]["image"]


async def test_mercado_pago_is_a_redirect(shop: Shop) -> None:
    checkout = await open_checkout(shop, "mercadopago")
    made = await checkout.start("card")
    assert (made["gateway"], made["next"]["kind"]) == ("mercadopago", "redirect")
    refused = await checkout.refused({"method": "card", "payer": {"card_token": "tok_test_1"}, "again": True})
    assert set(fields(refused)) == {"payer.card_token"}


async def test_the_sandbox_pays_at_once_and_must_be_named_beside_a_real_gateway(shop: Shop) -> None:
    alone = await open_checkout(shop, "sandbox")
    assert {row["gateway"] for row in (await alone.methods()).values()} == {"sandbox"}
    paid = await alone.start("card")
    assert (paid["state"], paid["gateway"], paid["next"]) == ("succeeded", "sandbox", None)
    beside = await open_checkout(shop, reference="another-debt", provider_id="2")
    assert {row["gateway"] for row in (await beside.methods()).values()} == {"wompi"}
    await beside.refused({"method": "breb"}, status=409, code="method_not_allowed_here")
    assert (await beside.start("breb", gateway="sandbox"))["state"] == "succeeded"


async def test_the_sandbox_does_what_the_invoice_says(shop: Shop) -> None:
    checkout = await open_checkout(shop, "sandbox", metadata={"sandbox_outcome": "decline"})
    made = await checkout.start("pse")
    assert (made["state"], made["failure_text"]) == ("failed", "Fondos insuficientes (prueba)")


async def test_a_gateway_that_cannot_be_reached_is_passed_by_but_no_other_gets_its_token(shop: Shop) -> None:
    checkout = await open_checkout(shop, "wompi", "mercadopago")
    by_token = {"card_token": await checkout.token(), "email": ANA["email"]}
    shop.fakes.wompi.scenarios.set(None, Scenario(http_500=1000))
    try:
        failed = await checkout.start("card", by_token)
        assert (failed["state"], failed["gateway"], failed["next"]) == ("failed", "wompi", None)
        assert failed["failure_code"] == "gateway_unavailable"
        assert "No se hizo ningún cobro" in failed["failure_text"]
        assert len(await checkout.rows()) == 1
        body = {"method": "pse", "payer": ANA, "accepted_terms": True}
        taken_over = await checkout.post(body, "k")
    finally:
        shop.fakes.wompi.scenarios.set(None, Scenario())
    assert (taken_over.json["gateway"], taken_over.json["next"]["kind"]) == ("mercadopago", "redirect")
    assert len(await checkout.rows()) == 3
    assert (await checkout.post(body, "k")).body == taken_over.body


# --- What is refused ---


async def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_begun(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    wrong = {
        "method": "", "gateway": 7, "amount_minor": 0, "payer": [], "return_url": "http://shop.example/",
        "accepted_terms": "yes", "again": 1, "amuont": 5,
    }  # fmt: skip
    assert set(fields(await checkout.refused(wrong))) == set(wrong)
    assert "Is required." in fields(await checkout.refused({}))["method"]
    payer = {**ANA, "bank": "999", "document_type": "PP", "email": "ana@", "phone": "12", "nombre": "Ana", "ip": "x"}
    del payer["name"]
    told = fields(await checkout.refused({"method": "pse", "payer": payer}))
    assert set(told) == {
        "payer.bank", "payer.document_type", "payer.email", "payer.phone", "payer.nombre", "payer.ip", "payer.name",
        "accepted_terms",
    }  # fmt: skip
    assert told["payer.name"].startswith("Is required.")
    assert await checkout.rows() == []


async def test_the_gateways_terms_must_be_accepted(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    for said in ({}, {"accepted_terms": False}):
        refused = await checkout.refused({"method": "nequi", "payer": NEQUI, **said})
        assert set(fields(refused)) == {"accepted_terms"}
    made = await checkout.start("nequi", NEQUI)
    (row,) = await checkout.rows()
    terms = (await checkout.methods("?amount_minor=5000000"))["nequi"]["terms"]
    assert (str(row["id"]), row["gateway_data"]["accepted"]) == (made["id"], terms)


@pytest.mark.parametrize(
    "token", ["tok_prod_1_BBb749EAB32e97a2D058", "tok_test_", "4242", "tok_test_a b", 5, "tok_test_" + "x" * 200]
)
async def test_a_token_that_cannot_be_one_of_the_accounts_is_refused_unrepeated(shop: Shop, token: Any) -> None:
    checkout = await open_checkout(shop)
    body = {"method": "card", "payer": {"card_token": token, "email": ANA["email"]}, "accepted_terms": True}
    told = fields(await checkout.refused(body))
    assert set(told) == {"payer.card_token"}
    assert "tok_test_..." in told["payer.card_token"]
    assert await checkout.rows() == []


@pytest.mark.parametrize("times", [0, 37, "3", 1.5, True])
async def test_installments_are_a_few(shop: Shop, times: Any) -> None:
    checkout = await open_checkout(shop)
    payer = {"card_token": "tok_test_1_abc", "email": ANA["email"], "installments": times}
    body = {"method": "card", "payer": payer, "accepted_terms": True}
    assert set(fields(await checkout.refused(body))) == {"payer.installments"}


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("payer.card_token", {"method": "card", "payer": {"card_token": CARD}}),
        ("payer.card_token", {"method": "card", "payer": {"card_token": f"tok_test_{CARD}"}}),
        ("payer.card_token", {"method": "card", "payer": {"card_token": int(CARD)}}),
        ("payer.name", {"method": "pse", "payer": {"name": "Ana 4242 4242-4242 4242"}}),
        ("payer", {"method": "card", "payer": {"number": CARD}}),
        ("payer", {"method": "card", "payer": {CARD: "Ana"}}),
        ("body", {"method": "card", "card": {"number": [CARD]}}),
        ("body", {CARD: "card"}),
        ("return_url", {"method": "card", "return_url": f"https://shop.example/?card={CARD}"}),
        ("method", {"method": CARD}),
    ],
)
async def test_a_card_number_is_refused_wherever_it_stands_and_told_to_nobody(
    shop: Shop, where: str, body: dict[str, Any]
) -> None:
    checkout = await open_checkout(shop)
    shop.secrets |= {CARD, "4242 4242-4242 4242"}
    told = fields(await checkout.refused(body))
    assert set(told) == {where}
    assert "card number" in told[where]
    assert await checkout.rows() == []
    await assert_kept_nowhere(shop, CARD)


async def test_a_card_number_is_no_idempotency_key(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    answer = await checkout.post({"method": "card"}, once=CARD)
    assert (answer.status, set(fields(answer.json))) == (422, {"Idempotency-Key"})


async def test_the_rules_of_money_hold(shop: Shop) -> None:
    shop.fakes.wompi.scenarios.queue += [Scenario(outcome=Outcome.PENDING), Scenario(outcome=Outcome.PENDING)]
    checkout = await open_checkout(shop)
    await checkout.refused({"method": "card", "amount_minor": 4_999_900}, status=409, code="amount_not_allowed")
    await checkout.refused({"method": "cash"}, status=409, code="method_not_allowed_here")
    await checkout.refused({"method": "card", "gateway": "paypal"}, status=409, code="method_not_allowed_here")
    pending = await checkout.start("pse", ANA)
    assert pending["state"] == "processing"
    body = {"method": "nequi", "payer": NEQUI, "accepted_terms": True}
    await checkout.refused(body, status=409, code="attempt_in_progress")
    assert (await checkout.start("nequi", NEQUI, again=True))["state"] == "processing"


async def test_nobody_sees_or_pays_what_is_another_accounts(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    made = await checkout.start("card")
    other = Shop(shop.world, shop.fakes, await shop.world.merchant())
    await other.refused("GET", f"{checkout.path}/methods", status=404, code="not_found")
    await other.refused("GET", f"/attempts/{made['id']}", status=404, code="not_found")
    await other.refused("POST", f"/attempts/{made['id']}/ask", status=404, code="not_found")
    answer = await other.call("POST", f"{checkout.path}/attempts", {"method": "card"}, once="k")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert len(await checkout.rows()) == 1


async def test_an_open_amount_must_be_said(shop: Shop) -> None:
    await shop.set_up()
    payment = {"title": "Donación", "amount": None, "phone": "+573167591030"}
    made = await shop.client.post("/v1/payments", payment)
    assert made.status == 201, made.json
    checkout = Checkout(shop, made.json["id"])
    assert set(fields(await checkout.refused({"method": "card"}))) == {"amount_minor"}
    assert (await checkout.start("card", amount_minor=2_000_000))["amount_minor"] == 2_000_000


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://shop.example/thanks?order=1", True),
        ("http://localhost:3000/thanks", True),
        ("http://127.0.0.1:3000/", True),
        ("http://shop.example/", False),
        ("https://user@shop.example/", False),
        ("javascript:alert(1)", False),
        ("//shop.example/", False),
        ("https://[::1", False),
        ("https://shop.example/" + "x" * 500, False),
    ],
)
async def test_payers_are_sent_back_over_https_or_to_the_developers_own_machine(
    shop: Shop, url: str, *, allowed: bool
) -> None:
    checkout = await open_checkout(shop)
    answer = await checkout.post({"method": "card", "return_url": url})
    assert answer.status == (201 if allowed else 422)
    if not allowed:
        assert set(fields(answer.json)) == {"return_url"}


# --- Once ---


async def test_the_same_key_gives_the_same_bytes_and_starts_nothing(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    body = {"method": "nequi", "payer": NEQUI, "accepted_terms": True}
    first = await checkout.post(body, "order-17")
    await checkout.ended(first.json)
    again = await checkout.post(body, "order-17")
    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (201, first.body, "true")
    other = await checkout.post({**body, "payer": {**NEQUI, "email": "eva@example.com"}}, "order-17")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    assert len(await checkout.rows()) == 1
    await assert_kept_nowhere(shop, NEQUI["phone"], NEQUI["email"])


async def test_without_a_key_nothing_is_started(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    answer = await shop.call("POST", f"{checkout.path}/attempts", {"method": "card"})
    assert (answer.status, answer.json["code"]) == (422, "key_missing")


async def test_two_at_once_start_one(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    body = {"method": "nequi", "payer": NEQUI, "accepted_terms": True}
    answers = await asyncio.gather(*(checkout.post(body, "k") for _ in range(4)))
    assert {answer.status for answer in answers} <= {201, 409}
    assert {answer.json["code"] for answer in answers if answer.status == 409} <= {"key_in_progress"}
    assert len({answer.body for answer in answers if answer.status == 201}) == 1
    (row,) = await checkout.rows()
    assert len(shop.fakes.wompi.by_reference[row["reference"]]) == 1


async def test_a_key_that_was_refused_may_be_used_again(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    assert (await checkout.post({"method": "nequi"}, "k")).status == 422
    body = {"method": "nequi", "payer": NEQUI, "accepted_terms": True}
    assert (await checkout.post(body, "k")).status == 201


async def test_a_crash_while_the_gateway_is_asked_charges_once_and_loses_nothing(shop: Shop) -> None:
    checkout = await open_checkout(shop)
    body = {"method": "pse", "payer": ANA, "accepted_terms": True}
    # The vendor makes the payment and is slow to tell the bank's address; the process that waits for it dies.
    shop.fakes.wompi.scenarios.queue.append(Scenario(on=("fetch",), hang=1, outcome=Outcome.PENDING))
    operations = Attempts(shop.world.core, UrlPolicy())
    route = next(r for r in operations.routes() if r.operation_id == "startAttempt")
    request = ApiRequest(
        account=await shop.account(), route=route, path=f"{checkout.path}/attempts", params=[checkout.collection_id],
        query=[], body=body, once_key="k", request_id="r", base_url=shop.world.base_url,
    )  # fmt: skip
    dying = asyncio.create_task(operations.start(request))
    async with asyncio.timeout(20):
        row = await checkout.at_the_vendor()
    # The worker would find out within seconds; without it only the same request does.
    await shop.world.execute("UPDATE attempt SET due_at = now() + interval '1 day' WHERE id = $1", row["id"])
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    waiting = await checkout.post(body, "k")
    assert (waiting.status, waiting.json["code"], waiting.headers["Retry-After"]) == (409, "key_in_progress", "5")
    other = await checkout.post({**body, "again": True}, "k")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    await shop.client.advance_clock(seconds=int(STARTING.total_seconds()) + 1)
    answer = await checkout.post(body, "k")
    assert (answer.status, answer.json["id"], answer.json["state"]) == (201, str(row["id"]), "processing")
    assert (await checkout.post(body, "k")).body == answer.body
    assert (await shop.ok("POST", f"/attempts/{row['id']}/ask"))["next"]["kind"] == "redirect"
    await checkout.settle()
    assert (await shop.ok("POST", f"/attempts/{row['id']}/ask"))["state"] == "succeeded"
    assert len(await checkout.rows()) == 1
    assert await checkout.invoice_state() == "paid"


# --- As it is documented ---


@pytest.mark.parametrize("key", ["card", "pse", "page"])
async def test_the_documented_requests_work_and_are_answered_as_documented(shop: Shop, key: str) -> None:
    document, schemas = DOCUMENTS["recaudo"], "#/components/schemas"
    shop.fakes.wompi.scenarios.queue.append(Scenario(outcome=Outcome.PENDING))
    checkout = await open_checkout(shop)
    body = own_body_of("startAttempt", key)
    if key == "card":
        body = {**body, "payer": {**body["payer"], "card_token": await checkout.token()}}
    if key == "pse":
        body = {**body, "payer": {**body["payer"], "bank": "1"}}
    validator({"$ref": f"{schemas}/AttemptStart"}, document).validate(body)
    answers = {
        "Payable": await shop.ok("GET", f"{checkout.path}/methods"),
        "StartedAttempt": (await checkout.post(body)).json,
    }
    for name, answer in answers.items():
        validator({"$ref": f"{schemas}/{name}"}, document).validate(answer)
        in_order(answer, {"$ref": f"{schemas}/{name}"}, document)


def test_every_next_step_is_documented() -> None:
    schema = {"$ref": "#/components/schemas/NextStep"}
    steps: tuple[Step, ...] = (
        Redirect(url="https://bank.example/"),
        Form(action="https://bank.example/", fields=(("a", "1"),)),
        Picture(image="PHN2Zz4="),
        Confirm(application="Nequi"),
    )
    assert {type(step) for step in steps} == set(get_args(Step))
    for step in steps:
        validator(schema, DOCUMENTS["recaudo"]).validate(render_attempts.step(step))
        in_order(render_attempts.step(step), schema, DOCUMENTS["recaudo"])


# --- Asking ---


async def test_asking_at_once_brings_what_the_gateway_knows_and_has_a_limit(shop: Shop) -> None:
    shop.fakes.wompi.scenarios.queue.append(Scenario(outcome=Outcome.PENDING))
    checkout = await open_checkout(shop)
    made = await checkout.start("nequi", NEQUI)
    path = f"/attempts/{made['id']}/ask"
    assert (await shop.ok("POST", path))["state"] == "processing"
    await checkout.settle()
    answer = await shop.ok("POST", path)
    assert (answer["state"], answer["next"]) == ("succeeded", None)
    # What is decided costs the gateway no question, and so is not counted.
    for _ in range(8):
        assert (await shop.call("POST", path)).status == 200


async def test_a_gateway_is_not_asked_without_end(shop: Shop) -> None:
    shop.fakes.wompi.scenarios.queue.append(Scenario(outcome=Outcome.PENDING))
    checkout = await open_checkout(shop)
    made = await checkout.start("nequi", NEQUI)
    answers = [await shop.call("POST", f"/attempts/{made['id']}/ask") for _ in range(7)]
    assert [answer.status for answer in answers][:5] == [200] * 5
    assert (answers[-1].status, answers[-1].json["code"]) == (429, "too_many_requests")
    assert int(answers[-1].headers["Retry-After"]) > 0
