"""The Wompi adapter against the fake Wompi, and against a server that answers what no vendor should.

Sections are those of the gateways specification.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest
from aiohttp import web

from recaudo.domain.answers import (
    Absent,
    Answer,
    Confirm,
    Fact,
    FactState,
    Form,
    NotSent,
    Picture,
    Redirect,
    Refused,
    Reported,
    Unknown,
)
from recaudo.domain.model import Account, Attempt, Receipt, ReceiptKind, Refund, RefundWay
from recaudo.domain.references import gateway_reference
from recaudo.domain.refunding import Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.domain.states import AttemptState, RefundState
from recaudo.gateways import vendor
from recaudo.gateways.wompi import Wompi, WompiHosts, charges, keys, reading
from recaudo.usecases.ports import Bank, Configured, Gateway, GatewayContext, GatewayDownError, RawNotice
from recaudo.web.payer import FAILURES
from tests.domain.builders import an_invoice
from tests.fakes import Fakes, Outcome, Payer, Scenario, WompiMerchant, running_fakes
from tests.fakes.conftest import START

CENTS = 2_490_000
PAYER = {
    "bank": "1",
    "person_type": "natural",
    "document_type": "CC",
    "document_number": "1.020.304.050",
    "name": "Ana Gómez",
    "email": "ana@example.com",
    "phone": "+57 300 111 2233",
    "ip": "192.0.2.7",
    "user_agent": "Mozilla/5.0",
}
NEQUI_APPROVED = {**PAYER, "phone": "3991111111"}
BACK = "https://merchant.example/r/token"
KEYS = {
    "public_key": "pub_test_abc",
    "private_key": "prv_test_abc",
    "events_secret": "test_events_abc",
    "integrity_secret": "test_integrity_EXAMPLE",
}


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


def configured(credentials: Mapping[str, str] = KEYS, *, is_test: bool = True) -> Configured:
    return Configured(account_id=UUID(int=1), id=UUID(int=9), kind="wompi", is_test=is_test, credentials=credentials)


def keys_of(merchant: WompiMerchant) -> dict[str, str]:
    return {
        "public_key": merchant.public_key,
        "private_key": merchant.private_key,
        "events_secret": merchant.events_secret,
        "integrity_secret": merchant.integrity_secret,
    }


def an_attempt(method: str = "card", *, number: int = 1, **changes: Any) -> Attempt:
    attempt_id = UUID(int=number)
    fields: dict[str, Any] = {
        "account_id": UUID(int=1),
        "id": attempt_id,
        "invoice_id": UUID(int=2),
        "collection_id": UUID(int=3),
        "state": AttemptState.CREATED,
        "amount_minor": CENTS,
        "currency": "COP",
        "gateway": "wompi",
        "method_type": method,
        "reference": gateway_reference(attempt_id),
        "once_key": "k",
        "gateway_data": {},
        "created_at": START,
        "updated_at": START,
    }
    return Attempt(**fields | changes)


def a_context(
    by: Configured | None,
    payer: Mapping[str, str] = PAYER,
    *,
    expires_at: datetime | None = None,
    shift: timedelta = timedelta(0),
    real_now: datetime = START,
    name: str = "Internet plan - Octubre",
) -> GatewayContext:
    life = an_invoice(CENTS, expires_at=expires_at, name=name)
    return GatewayContext(
        account=Account(id=UUID(int=1), merchant_id=UUID(int=4), is_test=by is None or by.is_test),
        invoice=life.invoice,
        collection=life.current,
        now=real_now + shift,
        real_now=real_now,
        configured=by,
        payer=payer,
        return_url=BACK,
    )


def reported(answer: Answer) -> Reported:
    assert isinstance(answer, Reported), answer
    return answer


def states(answer: Answer) -> list[FactState]:
    return [fact.state for fact in reported(answer).facts]


def only(answer: Answer) -> Fact:
    (fact,) = reported(answer).facts
    return fact


# -- With the fake -----------------------------------------------------------------------------------------------------


class Shop:
    """A merchant with the adapter, and the fake Wompi that it speaks to."""

    def __init__(self, fakes: Fakes, gateway: Wompi) -> None:
        self.fakes, self.wompi, self.gateway = fakes, fakes.wompi, gateway
        self.merchant = fakes.wompi.merchant(notice_url="")
        self.configured = configured(keys_of(self.merchant))

    async def start(self, attempt: Attempt, payer: Mapping[str, str] = PAYER, **more: Any) -> Answer:
        return await self.gateway.start(attempt, self.context(payer, **more))

    async def ask(self, attempt: Attempt) -> Answer:
        return await self.gateway.ask(attempt, self.context())

    def context(self, payer: Mapping[str, str] = PAYER, **more: Any) -> GatewayContext:
        return a_context(self.configured, payer, real_now=self.wompi.now(), **more)

    def set(self, attempt: Attempt, **knobs: Any) -> None:
        self.wompi.scenarios.set(attempt.reference, Scenario(**knobs))

    async def card_token(self, number: str = "4242424242424242") -> str:
        card = {"number": number, "cvc": "123", "exp_month": "12", "exp_year": "29", "card_holder": "Ana Gomez"}
        headers = {"Authorization": f"Bearer {self.merchant.public_key}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.wompi.sandbox_url}/tokens/cards", json=card, headers=headers) as answer,
        ):
            return (await answer.json())["data"]["id"]

    async def paid_by_card(self, attempt: Attempt) -> Fact:
        payer = {"email": "ana@example.com", "card_token": await self.card_token()}
        assert states(await self.start(attempt, payer)) == [FactState.PROCESSING]
        await self.fakes.advance(2)
        fact = only(await self.ask(attempt))
        assert fact.state is FactState.SUCCEEDED
        return fact

    def steps(self) -> list[str]:
        return [call.step for call in self.wompi.calls]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with running_fakes(start=START, frozen=True, settle_seconds=1) as fakes:
        hosts = WompiHosts(
            sandbox=fakes.wompi.sandbox_url,
            production=fakes.wompi.production_url,
            checkout=fakes.wompi.checkout_url,
        )
        gateway = Wompi(hosts=hosts, sleep=no_sleep)
        yield Shop(fakes, gateway)
        await gateway.close()


def test_it_is_a_gateway() -> None:
    gateway: Gateway = Wompi()
    account = Account(id=UUID(int=1), merchant_id=UUID(int=2), is_test=True)
    assert [(m.id, m.kind) for m in gateway.methods(account)] == [
        ("pse", "accounts"),
        ("nequi", "accounts"),
        ("bancolombia", "accounts"),
        ("card", "cards"),
        ("bancolombia_qr", "realtime"),
    ]
    assert [c.name for c in gateway.abilities.credentials if c.is_secret] == [
        "private_key",
        "events_secret",
        "integrity_secret",
    ]


async def test_the_checkout_form_is_made_without_a_call_and_the_vendor_takes_it(shop: Shop) -> None:
    attempt = an_attempt()
    answer = reported(await shop.start(attempt, {}))
    assert isinstance(answer.step, Form)
    assert answer.facts == ()
    assert list(shop.wompi.calls) == []
    assert dict(answer.step.fields)["expiration-time"] == "2025-11-24T17:02:03.000Z"
    async with Payer() as payer:
        back = await payer.pay(answer.step.action, "decline_then_approve", fields=dict(answer.step.fields))
    assert back.startswith(BACK)
    await shop.fakes.advance(5)
    asked = reported(await shop.ask(attempt))
    assert states(asked) == [FactState.FAILED, FactState.SUCCEEDED]
    assert asked.step is None


async def test_a_form_that_nobody_opened(shop: Shop) -> None:
    assert await shop.ask(an_attempt()) == Absent()


@pytest.mark.parametrize(
    ("expires_in", "shift", "expiration", "payable_in"),
    [
        (None, timedelta(0), "2025-11-24T17:02:03.000Z", timedelta(hours=1)),
        (timedelta(days=3), timedelta(0), "2025-11-24T17:02:03.000Z", timedelta(hours=1)),
        (timedelta(minutes=20), timedelta(0), "2025-11-24T16:22:03.000Z", timedelta(minutes=20)),
        (timedelta(minutes=20), timedelta(days=90), "2025-11-24T16:22:03.000Z", timedelta(minutes=20)),
        (timedelta(milliseconds=1500, microseconds=999), timedelta(days=9), "2025-11-24T16:02:04.500Z", None),
    ],
)
async def test_the_form_expires_with_the_collection_in_real_time(
    expires_in: timedelta | None, shift: timedelta, expiration: str, payable_in: timedelta | None
) -> None:
    expires_at = None if expires_in is None else START + shift + expires_in
    context = a_context(configured(), {}, expires_at=expires_at, shift=shift)
    answer = reported(await Wompi().start(an_attempt(), context))
    assert isinstance(answer.step, Form)
    fields = dict(answer.step.fields)
    assert answer.step.action == "https://checkout.wompi.co/p/"
    assert fields["expiration-time"] == expiration
    assert fields["signature:integrity"] == keys.integrity(
        an_attempt().reference, CENTS, "COP", KEYS["integrity_secret"], expiration=expiration
    )
    assert answer.payable_until == START + shift + (payable_in or expires_in or timedelta(0))


@pytest.mark.parametrize(
    ("reference", "amount_minor", "expiration", "expected"),
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
def test_the_vectors_of_the_integrity_signature(
    reference: str, amount_minor: int, expiration: str, expected: str
) -> None:
    secret = "test_integrity_EXAMPLE"
    assert keys.integrity(reference, amount_minor, "COP", secret, expiration=expiration) == expected


def test_our_references_end_with_a_letter() -> None:
    # What the last two vectors are about: a digit at the end could be traded with the amount.
    assert an_attempt(number=2**128 - 1).reference[-1] == "x"


async def test_pse_leads_to_the_bank(shop: Shop) -> None:
    attempt = an_attempt("pse")
    await shop.gateway.banks(shop.configured)
    answer = reported(await shop.start(attempt))
    assert isinstance(answer.step, Redirect)
    assert states(answer) == [FactState.PROCESSING]
    created = next(c for c in shop.wompi.calls if c.step == "create")
    sent = msgspec.json.decode(created.body)
    assert sent["payment_method"] == {
        "type": "PSE",
        "user_type": 0,
        "user_legal_id_type": "CC",
        "user_legal_id": "1020304050",
        "financial_institution_code": "1",
        "payment_description": "Internet plan - Octubre",
    }
    assert sent["customer_data"] == {"full_name": "Ana Gómez", "phone_number": "573001112233"}
    assert (sent["amount_in_cents"], sent["redirect_url"], sent["ip"]) == (CENTS, BACK, "192.0.2.7")
    await shop.fakes.advance(2)
    fact = only(await shop.ask(attempt))
    assert fact.method is not None
    assert fact.method.pop("bank_trace").startswith("39")
    assert fact.method.pop("id") == only(answer).method["id"]  # type: ignore[index]
    assert fact == Fact(
        gateway_tx_id=only(answer).gateway_tx_id,
        state=FactState.SUCCEEDED,
        amount_minor=CENTS,
        currency="COP",
        reference=attempt.reference,
        is_test=True,
        method={
            "created_at": "2025-11-24T16:02:03.000000Z",
            "brand": "PSE",
            "label": "PSE Banco que aprueba",
            "bank": "Banco que aprueba",
            "country": "CO",
        },
        paid_at=START + timedelta(seconds=1),
    )


async def test_bancolombia_leads_to_the_bank_and_its_qr_is_shown(shop: Shop) -> None:
    transfer = reported(await shop.start(an_attempt("bancolombia"), {"email": "ana@example.com"}))
    assert isinstance(transfer.step, Redirect)
    qr = reported(await shop.start(an_attempt("bancolombia_qr", number=2), {"email": "ana@example.com"}))
    assert isinstance(qr.step, Picture)
    assert base64.b64decode(qr.step.image).startswith(b"<svg")
    assert qr.step.media_type == "image/svg+xml"


async def test_nequi_is_confirmed_in_the_application(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    answer = reported(await shop.start(attempt, NEQUI_APPROVED))
    assert answer.step == Confirm(application="Nequi")
    assert reported(await shop.ask(attempt)).step == Confirm(application="Nequi")
    await shop.fakes.advance(2)
    asked = reported(await shop.ask(attempt))
    assert (asked.step, states(asked)) == (None, [FactState.SUCCEEDED])


@pytest.mark.parametrize(
    ("payer", "code"),
    [
        ({**PAYER, "phone": "3992222222"}, "TRANSACTION_REJECTED"),
        ({**PAYER, "phone": "3001112233"}, "INTERNAL_ERROR"),
    ],
)
async def test_declines_and_errors(shop: Shop, payer: Mapping[str, str], code: str) -> None:
    attempt = an_attempt("nequi")
    await shop.start(attempt, payer)
    await shop.fakes.advance(2)
    fact = only(await shop.ask(attempt))
    assert (fact.state, fact.failure_code, fact.paid_at) == (FactState.FAILED, code, None)
    assert fact.failure_text is not None
    assert fact.failure_text.endswith(".")


async def test_a_card_whose_token_the_widget_made(shop: Shop) -> None:
    fact = await shop.paid_by_card(an_attempt())
    assert fact.method is not None
    assert (fact.method["label"], fact.method["last_four"]) == ("VISA **** 4242", "4242")
    assert "424242" not in str(fact.method)
    create = next(c for c in shop.wompi.calls if c.step == "create")
    assert msgspec.json.decode(create.body)["payment_method"]["installments"] == 1


async def test_the_address_that_comes_late_is_brought_by_asking(shop: Shop) -> None:
    attempt = an_attempt("pse")
    shop.set(attempt, on=("fetch",), http_500=100, outcome=Outcome.PENDING)
    answer = reported(await shop.start(attempt))
    assert (answer.step, states(answer)) == (None, [FactState.PROCESSING])
    shop.set(attempt, outcome=Outcome.PENDING)
    steps = [reported(await shop.ask(attempt)).step for _ in range(2)]
    assert isinstance(steps[-1], Redirect)


@pytest.mark.parametrize("fault", ["timeout_after_commit", "http_500_after_commit"])
async def test_a_payment_that_was_made_without_an_answer_is_found_at_once(shop: Shop, fault: str) -> None:
    attempt = an_attempt("nequi")
    shop.set(attempt, on=("create",), **{fault: 1})
    answer = reported(await shop.start(attempt, NEQUI_APPROVED))
    assert (answer.step, states(answer)) == (Confirm(application="Nequi"), [FactState.PROCESSING])
    assert len(shop.wompi.transactions) == 1


async def test_what_the_search_does_not_find_yet_is_unknown(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    shop.set(attempt, on=("create",), timeout_after_commit=1, search_lag=3.0)
    assert isinstance(await shop.start(attempt, NEQUI_APPROVED), Unknown)
    await shop.fakes.advance(5)
    assert states(await shop.ask(attempt)) == [FactState.SUCCEEDED]


@pytest.mark.parametrize("fault", ["http_500", "http_429", "html"])
async def test_faults_while_creating_are_unknown_and_never_sent_twice(shop: Shop, fault: str) -> None:
    attempt = an_attempt("nequi")
    shop.set(attempt, on=("create",), **{fault: 1})
    assert isinstance(await shop.start(attempt, NEQUI_APPROVED), Unknown)
    assert shop.steps().count("create") == 1
    assert await shop.ask(attempt) == Absent()


@pytest.mark.parametrize("fault", ["http_500", "http_429", "html"])
async def test_faults_while_asking_are_unknown(shop: Shop, fault: str) -> None:
    attempt = an_attempt("nequi")
    await shop.start(attempt, NEQUI_APPROVED)
    shop.set(attempt, **{fault: 1})
    assert isinstance(await shop.ask(attempt), Unknown)
    shop.set(attempt, on=("fetch",), **{fault: 1})
    transaction_id = shop.wompi.by_reference[attempt.reference][0].id
    assert isinstance(await shop.gateway.fetch(transaction_id, shop.configured), Unknown)
    assert states(await shop.gateway.fetch(transaction_id, shop.configured)) == [FactState.PROCESSING]


async def test_a_used_reference_is_our_own_earlier_payment(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    first = only(await shop.start(attempt, NEQUI_APPROVED))
    again = only(await shop.start(attempt, NEQUI_APPROVED))
    assert again.gateway_tx_id == first.gateway_tx_id
    assert len(shop.wompi.transactions) == 1


async def test_what_the_payer_typed_and_wompi_refuses(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    shop.set(attempt, refuse_payer=True)
    answer = await shop.start(attempt, NEQUI_APPROVED)
    assert answer == Refused(
        code="payer_data_invalid", text="Wompi no acepta estos datos; revíselos: datos de quien paga."
    )
    unknown_bank = await shop.start(an_attempt("pse", number=2), {**PAYER, "bank": "9999"})
    assert unknown_bank == Refused(code="payer_data_invalid", text="Wompi no acepta estos datos; revíselos: banco.")


async def test_keys_that_wompi_does_not_take_are_a_matter_of_configuration(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    for name, prefix in (("public_key", "pub"), ("private_key", "prv"), ("integrity_secret", "test_integrity")):
        wrong = f"{prefix}_test_NotTheirs"
        by = configured({**keys_of(shop.merchant), name: wrong})
        answer = await shop.gateway.start(attempt, a_context(by, NEQUI_APPROVED))
        assert isinstance(answer, NotSent)
        assert wrong not in answer.reason
    assert isinstance(await shop.gateway.start(attempt, a_context(None, NEQUI_APPROVED)), NotSent)
    assert shop.wompi.transactions == {}


async def test_a_refused_key_says_nothing_about_payments(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    fact = only(await shop.start(attempt, NEQUI_APPROVED))
    by = configured({**keys_of(shop.merchant), "private_key": "prv_test_Old"})
    assert isinstance(await shop.gateway.ask(attempt, a_context(by)), Unknown)
    assert isinstance(await shop.gateway.fetch(fact.gateway_tx_id, by), Unknown)
    assert isinstance(await shop.gateway.ask(attempt, a_context(None)), Unknown)


async def test_another_merchants_payment_with_our_reference_is_not_ours(shop: Shop) -> None:
    attempt = an_attempt("nequi")
    other = Shop(shop.fakes, shop.gateway)
    await other.start(attempt, NEQUI_APPROVED)
    await shop.fakes.advance(2)
    fact = only(await other.ask(attempt))
    assert fact.state is FactState.SUCCEEDED
    assert await shop.gateway.fetch(fact.gateway_tx_id, shop.configured) == Absent()
    assert await shop.ask(attempt) == Absent()


@pytest.mark.parametrize("transaction_id", ["11004-1-1", "", "../merchants/x", "a/b", "a b", "x" * 500, "1?x=1", "é"])
async def test_there_is_no_such_transaction(shop: Shop, transaction_id: str) -> None:
    assert await shop.gateway.fetch(transaction_id, shop.configured) == Absent()


async def test_a_void_is_money_that_went_back(shop: Shop) -> None:
    attempt = an_attempt()
    fact = await shop.paid_by_card(attempt)
    answer = await shop.gateway.refund(a_refund(), a_receipt(fact), shop.context())
    assert answer == Refunded()
    after = only(await shop.ask(attempt))
    assert (after.state, after.amount_minor, after.refunded_minor) == (FactState.SUCCEEDED, CENTS, CENTS)
    assert await shop.gateway.refund(a_refund(), a_receipt(fact), shop.context()) == Refunded()
    assert shop.wompi.money(attempt.reference).returned == CENTS


async def test_voids_that_wompi_does_not_do(shop: Shop) -> None:
    fact = await shop.paid_by_card(an_attempt())
    parts = await shop.gateway.refund(a_refund(amount_minor=100), a_receipt(fact), shop.context())
    await shop.start(an_attempt("nequi", number=2), NEQUI_APPROVED)
    await shop.fakes.advance(2)
    by_nequi = only(await shop.ask(an_attempt("nequi", number=2)))
    unsupported = await shop.gateway.refund(a_refund(), a_receipt(by_nequi), shop.context())
    await shop.fakes.advance(13 * 3600)  # the next day in Bogotá
    late = await shop.gateway.refund(a_refund(), a_receipt(fact), shop.context())
    codes = [answer.code for answer in (parts, unsupported, late) if isinstance(answer, RefundRefused)]
    assert codes == ["refund_not_whole", "refund_not_supported", "void_too_late"]
    assert "void" not in shop.steps()


async def test_a_void_without_an_answer_is_looked_up_and_sent_once(shop: Shop) -> None:
    attempt = an_attempt()
    fact = await shop.paid_by_card(attempt)
    shop.set(attempt, on=("void",), timeout_after_commit=1)
    assert await shop.gateway.refund(a_refund(), a_receipt(fact), shop.context()) == Refunded()

    attempt = an_attempt(number=2)
    fact = await shop.paid_by_card(attempt)
    shop.set(attempt, on=("void",), http_500=1)
    assert isinstance(await shop.gateway.refund(a_refund(), a_receipt(fact), shop.context()), RefundUnknown)
    begun = a_refund(state=RefundState.UNKNOWN)
    assert isinstance(await shop.gateway.refund(begun, a_receipt(fact), shop.context()), RefundUnknown)
    taken = a_refund(state=RefundState.PROCESSING)
    assert await shop.gateway.refund(taken, a_receipt(fact), shop.context()) == RefundPending()
    await shop.fakes.advance(25 * 3600)
    given_up = await shop.gateway.refund(begun, a_receipt(fact), shop.context())
    assert isinstance(given_up, RefundRefused)
    assert shop.steps().count("void") == 2


async def test_a_void_is_refused_rather_than_unknown_while_nothing_is_sent(shop: Shop) -> None:
    attempt = an_attempt()
    fact = await shop.paid_by_card(attempt)
    shop.set(attempt, http_500=1)
    answer = await shop.gateway.refund(a_refund(), a_receipt(fact), shop.context())
    assert isinstance(answer, RefundRefused)
    assert answer.code == "gateway_unavailable"
    by = configured({**keys_of(shop.merchant), "private_key": "prv_test_Old"})
    answer = await shop.gateway.refund(a_refund(), a_receipt(fact), a_context(by))
    assert isinstance(answer, RefundRefused)
    assert answer.code == "gateway_not_configured"
    assert "void" not in shop.steps()


async def test_a_receipt_that_wompi_does_not_know(shop: Shop) -> None:
    fact = await shop.paid_by_card(an_attempt())
    unheard = a_receipt(msgspec.structs.replace(fact, gateway_tx_id="11004-1-1"))
    answer = await shop.gateway.refund(a_refund(), unheard, shop.context())
    assert isinstance(answer, RefundRefused)
    assert answer.code == "transaction_not_found"
    begun = a_refund(state=RefundState.PROCESSING)
    assert isinstance(await shop.gateway.refund(begun, unheard, shop.context()), RefundUnknown)


async def test_a_void_that_cannot_be_sent(shop: Shop) -> None:
    fact = await shop.paid_by_card(an_attempt())
    nobody = Wompi(hosts=WompiHosts(sandbox="http://127.0.0.1:1/v1"))
    answer = await nobody.refund(a_refund(), a_receipt(fact), shop.context())
    assert isinstance(answer, RefundRefused)
    assert answer.code == "gateway_unavailable"
    again = await nobody.refund(a_refund(state=RefundState.UNKNOWN), a_receipt(fact), shop.context())
    assert isinstance(again, RefundUnknown)
    await nobody.close()


async def test_banks_are_asked_once_a_day(shop: Shop) -> None:
    now = 0.0
    gateway = Wompi(hosts=WompiHosts(sandbox=shop.wompi.sandbox_url), monotonic=lambda: now)
    shop.wompi.scenarios.default = Scenario(http_500=1)
    assert await gateway.banks(shop.configured) == ()
    assert await gateway.banks(shop.configured) == ()
    now = 31.0
    banks = await gateway.banks(shop.configured)
    assert banks[0] == Bank(code="1", name="Banco que aprueba")
    assert "0" not in {bank.code for bank in banks}
    now += 24 * 3600 - 1
    assert await gateway.banks(shop.configured) == banks
    assert len(shop.wompi.calls) == 2
    shop.wompi.scenarios.set(None, Scenario(no_banks=True))
    now += 2
    assert await gateway.banks(shop.configured) == banks
    assert len(shop.wompi.calls) == 3
    await gateway.close()


async def test_terms_are_two_documents(shop: Shop) -> None:
    terms = await shop.gateway.terms(shop.configured)
    assert terms is not None
    assert terms.terms_url.endswith("/terms/END_USER_POLICY")
    assert terms.data_url.endswith("/terms/PERSONAL_DATA_AUTH")
    await shop.gateway.terms(shop.configured)
    assert len(shop.wompi.calls) == 1
    assert await shop.gateway.terms(configured()) is None


async def test_verifying_tries_both_keys(shop: Shop) -> None:
    verified = await shop.gateway.verify(shop.configured)
    assert (verified.problem, verified.merchant_name) == (None, "Comercio de prueba")
    for name in ("public_key", "private_key"):
        by = configured({**keys_of(shop.merchant), name: KEYS[name]})
        problem = (await shop.gateway.verify(by)).problem
        assert problem is not None
        assert name.replace("_", " ") in problem
        assert KEYS[name] not in problem
    shop.wompi.scenarios.set(None, Scenario(http_500=1))
    problem = (await shop.gateway.verify(shop.configured)).problem
    assert problem is not None
    assert "could not be tried" in problem


async def test_a_live_account_speaks_to_production(shop: Shop) -> None:
    live = shop.wompi.merchant(live=True)
    by = configured(keys_of(live), is_test=False)
    assert (await shop.gateway.verify(by)).problem is None
    assert (await shop.gateway.verify(configured(keys_of(live)))).problem is not None
    answer = reported(await shop.gateway.start(an_attempt("nequi"), a_context(by)))
    assert only(answer).is_test is False
    refused = await shop.gateway.start(an_attempt("nequi", number=2), a_context(by, NEQUI_APPROVED))
    assert isinstance(refused, Refused)


async def test_the_list_of_a_period_page_by_page(shop: Shop) -> None:
    for number in range(1, 121):
        shop.wompi.add(
            shop.merchant,
            f"rc{number}x",
            number * 100,
            "CARD",
            {
                "payment_method": {"type": "CARD"},
                "customer_email": "a@example.com",
                "customer_data": None,
                "redirect_url": None,
                "taxes": [],
            },
        )
        if number == 100:
            await shop.fakes.advance(60)
    since, until = START, START + timedelta(seconds=30)
    facts = [fact async for fact in shop.gateway.transactions(shop.configured, since, until)]
    assert [fact.amount_minor for fact in facts] == [number * 100 for number in range(1, 101)]
    assert [call.query["page"] for call in shop.wompi.calls] == ["1", "2", "3"]


async def test_genuine_events_of_the_fake(shop: Shop) -> None:
    for number in range(1, 13):
        attempt = an_attempt("nequi", number=number)
        await shop.start(attempt, NEQUI_APPROVED)
    await shop.fakes.advance(2)
    read: set[str | None] = set()
    for notice in shop.wompi.notices:
        signed = notice.compose(0)
        headers = {name.lower(): value for name, value in signed.headers.items()}
        raw = RawNotice(query="", headers=headers, body=signed.body, received_at=START)
        said = shop.gateway.read_notice(raw, shop.configured)
        assert said.verdict == "valid", said
        assert (said.claims[0].reference, said.claims[0].claimed_state) == (notice.reference, FactState.SUCCEEDED)
        read.add(said.dedupe_key)
    assert len(read) == 12


def a_receipt(fact: Fact) -> Receipt:
    return Receipt(
        account_id=UUID(int=1),
        id=UUID(int=50),
        invoice_id=UUID(int=2),
        collection_id=UUID(int=3),
        attempt_id=UUID(int=1),
        kind=ReceiptKind.GATEWAY,
        amount_minor=fact.amount_minor,
        currency="COP",
        gateway="wompi",
        gateway_tx_id=fact.gateway_tx_id,
        number="1",
        at=START,
    )


def a_refund(**changes: Any) -> Refund:
    fields: dict[str, Any] = {
        "account_id": UUID(int=1),
        "id": UUID(int=60),
        "receipt_id": UUID(int=50),
        "invoice_id": UUID(int=2),
        "attempt_id": UUID(int=1),
        "amount_minor": CENTS,
        "currency": "COP",
        "state": RefundState.CREATED,
        "way": RefundWay.GATEWAY,
        "reason": "sobró",
        "created_at": START,
        "updated_at": START,
    }
    return Refund(**fields | changes)


# -- What the payer typed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "changes", "about"),
    [
        ("pse", {"bank": "0"}, "banco"),
        ("pse", {"bank": ""}, "banco"),
        ("pse", {"bank": "1/../2"}, "banco"),
        ("pse", {"person_type": "company"}, "persona natural"),
        ("pse", {"document_type": "CE"}, "cédula"),
        ("pse", {"document_type": ""}, "cédula"),
        ("pse", {"document_number": "12"}, "documento"),
        ("pse", {"document_number": "12345678901"}, "documento"),
        ("pse", {"document_number": "10A0"}, "documento"),
        ("pse", {"name": " "}, "nombre"),
        ("pse", {"name": "Ana\u0000 Gómez"}, "nombre"),
        ("pse", {"name": "12"}, "nombre"),
        ("pse", {"phone": ""}, "teléfono"),
        ("pse", {"phone": "+1 202 555 0123"}, "teléfono"),
        ("pse", {"email": "ana"}, "correo"),
        ("nequi", {"phone": "6012345678"}, "Nequi"),
        ("nequi", {"phone": "300111223"}, "teléfono"),
        ("nequi", {"email": ""}, "correo"),
        ("bancolombia", {"email": ""}, "correo"),
        ("bancolombia_qr", {"email": ""}, "correo"),
        ("card", {"card_token": "tok_prod_1"}, "tarjeta"),
        ("card", {"card_token": "4242424242424242"}, "tarjeta"),
        ("card", {"card_token": "tok_test_1", "installments": "0"}, "cuotas"),
        ("card", {"card_token": "tok_test_1", "installments": "uno"}, "cuotas"),
    ],
)
async def test_data_that_cannot_be_valid_are_refused_without_a_call(
    method: str, changes: dict[str, str], about: str
) -> None:
    gateway = Wompi(hosts=WompiHosts(sandbox="http://127.0.0.1:1/v1"))
    answer = await gateway.start(an_attempt(method), a_context(configured(), {**PAYER, **changes}))
    assert isinstance(answer, Refused)
    assert answer.code == "payer_data_invalid"
    assert about in (answer.text or "")
    await gateway.close()


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"document_type": "NIT", "document_number": "900.123.456-8", "person_type": "legal"}, ("NIT", "900123456")),
        ({"document_type": "nit", "document_number": "9001234568"}, ("NIT", "9001234568")),
        ({"document_number": " 0012345 "}, ("CC", "12345")),
    ],
)
async def test_documents_are_sent_as_registries_write_them(
    shop: Shop, changes: dict[str, str], sent: tuple[str, str]
) -> None:
    reported(await shop.start(an_attempt("pse"), {**PAYER, **changes}))
    body = msgspec.json.decode(next(c for c in shop.wompi.calls if c.step == "create").body)
    method = body["payment_method"]
    assert (method["user_legal_id_type"], method["user_legal_id"]) == sent
    assert method["user_type"] == (1 if changes.get("person_type") == "legal" else 0)


@pytest.mark.parametrize("phone", ["3001112233", "+573001112233", "573001112233", "(300) 111-2233"])
async def test_telephones_may_be_written_in_many_ways(shop: Shop, phone: str) -> None:
    reported(await shop.start(an_attempt("nequi"), {**PAYER, "phone": phone}))
    body = msgspec.json.decode(next(c for c in shop.wompi.calls if c.step == "create").body)
    assert body["payment_method"]["phone_number"] == "3001112233"


@pytest.mark.parametrize(
    ("name", "described"),
    [
        ('L\'Oréal "plan" <b>\n\u0000 uno', "L Oréal plan b uno"),
        ("x" * 80, "x" * 30),
        ("'''", gateway_reference(UUID(int=1))),
    ],
)
async def test_what_the_bank_shows_of_the_invoice(shop: Shop, name: str, described: str) -> None:
    reported(await shop.start(an_attempt("bancolombia"), name=name))
    body = msgspec.json.decode(next(c for c in shop.wompi.calls if c.step == "create").body)
    assert body["payment_method"]["payment_description"] == described


async def test_only_pesos() -> None:
    answer = await Wompi().start(an_attempt(currency="USD"), a_context(configured()))
    assert isinstance(answer, Refused)


# -- Keys --------------------------------------------------------------------------------------------------------------

LIVE_KEYS = {name: value.replace("test", "prod") for name, value in KEYS.items()}


def test_keys_of_the_accounts_environment() -> None:
    gateway = Wompi()
    assert gateway.check(KEYS, is_test=True) == {}
    assert gateway.check(LIVE_KEYS, is_test=False) == {}
    assert set(gateway.check(KEYS, is_test=False)) == set(gateway.check(LIVE_KEYS, is_test=True)) == set(KEYS)
    assert set(gateway.check({}, is_test=True)) == set(KEYS)


@pytest.mark.parametrize("name", list(KEYS))
def test_a_mix_of_environments_names_the_key_that_is_wrong(name: str) -> None:
    assert set(Wompi().check({**KEYS, name: LIVE_KEYS[name]}, is_test=True)) == {name}
    assert set(Wompi().check({**LIVE_KEYS, name: KEYS[name]}, is_test=False)) == {name}


@pytest.mark.parametrize(
    "value",
    [
        "prv_test_S3CRET",
        "test_events_S3CRET",
        "S3CRET",
        "pub_test_S3CRET x",
        "pub_test_S3CRET\r\nX-Y: 1",
        "pub_test_",
        " pub_test_S3CRET",
        "pub_test_S3CRET/../x",
        "pub_test_ñ",
        "pub_test_" + "x" * 500,
    ],
)
def test_other_texts_are_no_public_key_and_are_not_repeated(value: str) -> None:
    problems = Wompi().check({**KEYS, "public_key": value}, is_test=True)
    assert set(problems) == {"public_key"}
    assert "S3CRET" not in problems["public_key"]


def test_nothing_shows_the_keys() -> None:
    assert "abc" not in repr(configured())


# -- Transactions as they are told -------------------------------------------------------------------------------------

ROW: dict[str, Any] = {
    "id": "11004-1764000000-10001",
    "status": "APPROVED",
    "amount_in_cents": CENTS,
    "currency": "COP",
    "reference": "rc0001x",
    "payment_method_type": "NEQUI",
}


def fact_of(**changes: Any) -> Fact:
    return reading.fact_of(ROW | changes, configured(), {})


@pytest.mark.parametrize("amount", [None, "2490000", 2490000.0, True, -1, 10**16, [2490000]])
def test_amounts_that_are_no_cents(amount: object) -> None:
    with pytest.raises(GatewayDownError):
        fact_of(amount_in_cents=amount)


@pytest.mark.parametrize("changes", [{"id": None}, {"id": "a\u0000"}, {"status": 1}, {"currency": None}])
def test_transactions_without_what_matters(changes: dict[str, Any]) -> None:
    with pytest.raises(GatewayDownError):
        fact_of(**changes)


@pytest.mark.parametrize(
    ("status", "state", "refunded"),
    [
        ("PENDING", FactState.PROCESSING, 0),
        ("APPROVED", FactState.SUCCEEDED, 0),
        ("DECLINED", FactState.FAILED, 0),
        ("ERROR", FactState.FAILED, 0),
        ("VOIDED", FactState.SUCCEEDED, CENTS),
        ("SOMETHING_NEW", FactState.PROCESSING, 0),
    ],
)
def test_the_states(status: str, state: FactState, refunded: int) -> None:
    fact = fact_of(status=status)
    assert (fact.state, fact.refunded_minor) == (state, refunded)
    assert (fact.failure_code is not None) is (state is FactState.FAILED)


def test_an_unknown_status_is_logged_without_the_payer(capsys: pytest.CaptureFixture[str]) -> None:
    fact_of(status="SOMETHING_NEW", customer_email="ana@example.com")
    logged = "".join(capsys.readouterr())
    assert "SOMETHING_NEW" in logged
    assert "ana@" not in logged


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2018-07-01T23:49:45.000Z", datetime(2018, 7, 1, 23, 49, 45, tzinfo=UTC)),
        ("2018-07-01 23:49:45 UTC", datetime(2018, 7, 1, 23, 49, 45, tzinfo=UTC)),
        ("2018-07-01T18:49:45-05:00", datetime(2018, 7, 1, 23, 49, 45, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (1530488985, None),
        (None, None),
    ],
)
def test_both_forms_of_a_time(written: object, instant: datetime | None) -> None:
    assert reading.instant(written) == instant
    assert fact_of(finalized_at=written).paid_at == instant


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Fondos insuficientes", "INSUFFICIENT_FUNDS"),
        ("La cuenta no tiene saldo insuficiente", "INSUFFICIENT_FUNDS"),
        ("CVC inválido", "CARD_CVV"),
        ("Código de seguridad incorrecto", "CARD_CVV"),
        ("Tarjeta vencida", "CARD_DATE"),
        ("Número de tarjeta inválido", "CARD_NUMBER"),
        ("Tarjeta reportada como robada", "STOLEN"),
        ("Tarjeta restringida", "CARD_RESTRICTED"),
        ("La cuenta está bloqueada", "ACCOUNT_BLOCKED"),
        ("Número de intentos excedido", "CARD_VELOCITY"),
        ("El monto excede el límite permitido", "MAX_AMOUNT"),
        ("La entidad no está disponible", "BANK_IS_NOT_AVAILABLE"),
        ("La transacción expiró", "TRANSACTION_EXPIRED"),
        ("Datos del usuario inválidos", "CUSTOMER_DATA_INVALID"),
    ],
)
def test_reasons_that_pages_know(message: str, code: str) -> None:
    fact = fact_of(status="DECLINED", status_message=message)
    assert fact.failure_code == code
    assert code in FAILURES


@pytest.mark.parametrize("message", [None, "", "Otra cosa", 5, "\u0000", "x" * 10_000])
def test_other_reasons(message: object) -> None:
    assert fact_of(status="DECLINED", status_message=message).failure_text == "El banco no aprobó el pago."
    assert fact_of(status="ERROR", status_message=message).failure_code == "INTERNAL_ERROR"


@pytest.mark.parametrize(
    "method", [None, 5, [], {"extra": 5}, {"extra": {"brand": 5, "last_four": "4242424242424242"}}]
)
def test_methods_that_tell_little(method: object) -> None:
    for kind in ("CARD", "PSE", "SOMETHING_NEW", None, 5):
        fact = fact_of(payment_method_type=kind, payment_method=method)
        assert fact.method is not None
        assert {"id", "brand", "label", "created_at", "country"} <= set(fact.method)
        assert "4242" not in str(fact.method)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "", None, 5, "https://", "data:text/html,x"])
def test_addresses_that_nobody_is_sent_to(url: object) -> None:
    row = ROW | {"status": "PENDING", "payment_method_type": "PSE"}
    assert reading.step_of(row | {"payment_method": {"extra": {"async_payment_url": url}}}) is None


@pytest.mark.parametrize(
    ("image", "step"),
    [
        ("PHN2Zy8+", Picture(image="PHN2Zy8+")),
        ("data:image/svg+xml;base64,PHN2Zy8+", Picture(image="PHN2Zy8+")),
        ("iVBORw0KGgo=", Picture(image="iVBORw0KGgo=", media_type="image/png")),
        ("<svg onload=alert(1)>", None),
        ("", None),
        (None, None),
        ("é", None),
    ],
)
def test_pictures(image: object, step: Picture | None) -> None:
    row = ROW | {"status": "PENDING", "payment_method_type": "BANCOLOMBIA_QR"}
    assert reading.step_of(row | {"payment_method": {"extra": {"qr_image": image}}}) == step


# -- Answers that no vendor should give --------------------------------------------------------------------------------


async def listed(gateway: Wompi) -> list[Fact]:
    return [fact async for fact in gateway.transactions(configured(), START, START)]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def saying(status: int, content: object = None, *, text: str | None = None) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        body = msgspec.json.encode(content) if text is None else text.encode()
        return web.Response(status=status, body=body, content_type="application/json")

    return handle


async def reset(request: web.Request) -> web.StreamResponse:
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


MERCHANT = saying(
    200,
    {
        "data": {
            "name": "Tienda",
            "presigned_acceptance": {"acceptance_token": "a", "permalink": "https://w.example/a.pdf"},
            "presigned_personal_data_auth": {"acceptance_token": "b", "permalink": "https://w.example/b.pdf"},
        }
    },
)
NOTHING = saying(200, {"data": []})
ERROR = {"error": {"type": "INPUT_VALIDATION_ERROR", "messages": {}}}


class Odd:
    """A server that says what a test wants. `calls` are the methods and paths it was asked."""

    def __init__(self) -> None:
        self.merchant, self.create, self.search, self.get = MERCHANT, NOTHING, NOTHING, NOTHING
        self.calls: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/v1")
        self.calls.append(f"{request.method} {path}")
        if path.startswith("/merchants"):
            return await self.merchant(request)
        if request.method == "POST":
            return await self.create(request)
        return await (self.search if path == "/transactions" else self.get)(request)


@pytest.fixture
async def odd() -> AsyncIterator[tuple[Odd, Wompi]]:
    served = Odd()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway = Wompi(hosts=WompiHosts(sandbox=f"http://127.0.0.1:{runner.addresses[0][1]}/v1"), sleep=no_sleep)
    yield served, gateway
    await gateway.close()
    await runner.cleanup()


VAGUE = [
    saying(500, ERROR),
    saying(502, text="<html>"),
    saying(429, ERROR),
    saying(408, ERROR),
    saying(302, ERROR),
    saying(200, text="<html>"),
    saying(200, text=""),
    saying(201, {"data": {"id": 5}}),
    saying(201, {"data": ROW | {"amount_in_cents": 2490000.5}}),
    saying(201, []),
    saying(403, text="<html>blocked</html>"),
    saying(404, text="<html>"),
    saying(422, {"message": "no error here"}),
    reset,
]


@pytest.mark.parametrize("answer", VAGUE)
async def test_vague_answers_to_a_payment_are_unknown(odd: tuple[Odd, Wompi], answer: Handler) -> None:
    served, gateway = odd
    served.create = answer
    attempt, context = an_attempt("nequi"), a_context(configured())
    assert isinstance(await gateway.start(attempt, context), Unknown)
    assert served.calls == [
        "GET /merchants/pub_test_abc",
        "POST /transactions",
        "GET /transactions",
    ]
    served.search = saying(200, {"data": [ROW | {"reference": attempt.reference}]})
    assert states(await gateway.start(attempt, context)) == [FactState.SUCCEEDED]


@pytest.mark.parametrize("answer", [*VAGUE, saying(401, ERROR), saying(404, ERROR)])
async def test_without_acceptance_nothing_is_sent(odd: tuple[Odd, Wompi], answer: Handler) -> None:
    served, gateway = odd
    served.merchant = answer
    assert isinstance(await gateway.start(an_attempt("nequi"), a_context(configured())), NotSent)
    assert not any(call.startswith("POST") for call in served.calls)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ({"customer_email": ["No es válido"]}, "Wompi no acepta estos datos; revíselos: correo electrónico."),
        ({"payment_method": {"phone_number": ["Muy corto."]}}, "Wompi no acepta estos datos; revíselos: teléfono."),
        ({"payment_method.user_legal_id": "Inválido"}, "Wompi no acepta estos datos; revíselos: número de documento."),
        ({"payment_method": ["El medio de pago no es válido"]}, None),
        ({"acceptance_token": ["Vencido"]}, None),
        ({}, None),
        (["x"], None),
        ({"customer_email": [{"a": [5]}]}, None),
    ],
)
async def test_clear_refusals(odd: tuple[Odd, Wompi], messages: object, text: str | None) -> None:
    served, gateway = odd
    served.create = saying(422, {"error": {"type": "INPUT_VALIDATION_ERROR", "messages": messages}})
    answer = await gateway.start(an_attempt("nequi"), a_context(configured()))
    assert answer == Refused(code="gateway_refused" if text is None else "payer_data_invalid", text=text)
    assert "GET /transactions" not in served.calls


async def test_a_used_reference_that_is_not_found_is_unknown(odd: tuple[Odd, Wompi]) -> None:
    served, gateway = odd
    served.create = saying(422, {"error": {"messages": {"reference": ["La referencia ya ha sido usada"]}}})
    assert isinstance(await gateway.start(an_attempt("nequi"), a_context(configured())), Unknown)


async def test_a_wompi_that_cannot_be_reached() -> None:
    gateway = Wompi(hosts=WompiHosts(sandbox="http://127.0.0.1:1/v1"))
    context = a_context(configured())
    assert isinstance(await gateway.start(an_attempt("nequi"), context), NotSent)
    assert isinstance(await gateway.ask(an_attempt("nequi"), context), Unknown)
    assert isinstance(await gateway.fetch("1-2-3", configured()), Unknown)
    assert await gateway.banks(configured()) == ()
    assert await gateway.terms(configured()) is None
    assert (await gateway.verify(configured())).problem is not None
    with pytest.raises(GatewayDownError):
        await anext(gateway.transactions(configured(), START, START))
    await gateway.close()


@pytest.mark.parametrize(
    "search",
    [
        *VAGUE,
        saying(401, ERROR),
        saying(200, {"data": {}}),
        saying(200, {"data": [5]}),
        saying(200, {"data": [ROW | {"reference": "rcSomebodyElsex"}]}),
        saying(200, {"data": [ROW | {"reference": an_attempt().reference, "amount_in_cents": "1"}]}),
    ],
)
async def test_vague_answers_to_a_question_are_unknown(odd: tuple[Odd, Wompi], search: Handler) -> None:
    served, gateway = odd
    served.search = served.get = search
    assert isinstance(await gateway.ask(an_attempt(), a_context(configured())), Unknown)
    assert isinstance(await gateway.fetch("1-2-3", configured()), Unknown)


@pytest.mark.parametrize(
    "search", [*VAGUE, saying(401, ERROR), saying(200, {"data": [ROW | {"amount_in_cents": None}]})]
)
async def test_a_list_that_cannot_be_read(odd: tuple[Odd, Wompi], search: Handler) -> None:
    served, gateway = odd
    served.search = search
    with pytest.raises(GatewayDownError):
        await listed(gateway)


async def test_a_transaction_that_names_no_merchant_must_be_among_ours(odd: tuple[Odd, Wompi]) -> None:
    served, gateway = odd
    served.get = saying(200, {"data": ROW})
    assert isinstance(await gateway.fetch(ROW["id"], configured()), Unknown)
    served.search = saying(200, {"data": [ROW]})
    assert states(await gateway.fetch(ROW["id"], configured())) == [FactState.SUCCEEDED]
    served.get = saying(200, {"data": ROW | {"merchant": {"public_key": "pub_test_other"}}})
    assert states(await gateway.fetch(ROW["id"], configured())) == [FactState.SUCCEEDED]  # its keys were changed
    served.search = NOTHING
    assert await gateway.fetch(ROW["id"], configured()) == Absent()


async def test_the_wait_for_an_address_ends(odd: tuple[Odd, Wompi]) -> None:
    served, gateway = odd
    row = ROW | {"status": "PENDING", "payment_method_type": "PSE"}
    served.create, served.get = saying(201, {"data": row}), saying(200, {"data": row})
    answer = reported(await gateway.start(an_attempt("pse"), a_context(configured())))
    assert (answer.step, states(answer)) == (None, [FactState.PROCESSING])
    assert served.calls.count(f"GET /transactions/{row['id']}") == 15
    served.get = saying(200, {"data": row | {"status": "DECLINED"}})
    assert states(await gateway.start(an_attempt("pse"), a_context(configured()))) == [FactState.FAILED]


async def test_a_wompi_that_hangs(odd: tuple[Odd, Wompi], monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    monkeypatch.setattr(vendor, "TIMEOUT_S", 0.3)
    served, gateway = odd
    served.create = hang
    answer = await gateway.start(an_attempt("nequi"), a_context(configured()))
    assert isinstance(answer, Unknown)
    assert not any(secret in answer.reason for secret in KEYS.values())
    monkeypatch.setattr(charges, "POLL_S", 1.0)
    row = ROW | {"status": "PENDING", "payment_method_type": "PSE"}
    served.create, served.get = saying(201, {"data": row}), hang
    assert states(await gateway.start(an_attempt("pse"), a_context(configured()))) == [FactState.PROCESSING]


async def test_a_list_without_end(odd: tuple[Odd, Wompi]) -> None:
    served, gateway = odd
    served.search = saying(200, {"data": [ROW | {"id": f"1-2-{number}"} for number in range(50)]})
    with pytest.raises(GatewayDownError):
        await listed(gateway)
    assert len(served.calls) == 2


@pytest.mark.parametrize(
    "rows", [None, {}, [], [5], [{"financial_institution_code": 1, "financial_institution_name": "x"}],
             [{"financial_institution_code": "0", "financial_institution_name": "Elija"}]]
)  # fmt: skip
async def test_bank_lists_without_banks(odd: tuple[Odd, Wompi], rows: object) -> None:
    served, gateway = odd
    served.get = saying(200, {"data": rows})
    assert await gateway.banks(configured()) == ()
