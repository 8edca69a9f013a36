"""The Mercado Pago adapter against a fake of the vendor, and against a server that answers badly.

Gateways specification, section 3. Notices have a file of their own.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import aiohttp
import msgspec
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from recaudo.domain.answers import Absent, Fact, FactState, NotSent, Redirect, Refused, Reported, Unknown
from recaudo.domain.model import (
    Account,
    Attempt,
    Collection,
    Customer,
    Invoice,
    InvoiceKind,
    Receipt,
    ReceiptKind,
    Refund,
    RefundWay,
)
from recaudo.domain.references import gateway_reference
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState, RefundState
from recaudo.gateways import vendor
from recaudo.gateways.mercadopago import MercadoPago
from recaudo.gateways.mercadopago.api import PAGE
from recaudo.usecases.ports import Configured, Gateway, GatewayContext, GatewayDownError, RawNotice, Verified
from recaudo.web.payer import FAILURES
from tests.fakes import mercadopago as fakes
from tests.fakes.base import Clock, answer
from tests.fakes.scenario import Outcome, RefundAnswer as Refunding, Reverse, Scenario, Tamper

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SHIFT = timedelta(days=40)  # the account's clock runs ahead of the vendor's
RETURN_URL = "https://pagos.example.com/r/abc"
TOKEN = "APP_USR-0123456789-secret"
SECRET = "example-mp-secret"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


# What is paid


def an_attempt(number: int = 7, *, method: str = "pse", amount_minor: int = 5_000_000) -> Attempt:
    id_ = UUID(int=number)
    return Attempt(
        account_id=UUID(int=1),
        id=id_,
        invoice_id=UUID(int=3),
        collection_id=UUID(int=4),
        state=AttemptState.CREATED,
        amount_minor=amount_minor,
        currency="COP",
        gateway="mercadopago",
        reference=gateway_reference(id_),
        once_key=str(number),
        method_type=method,
        gateway_data={},
        created_at=NOW,
        updated_at=NOW,
    )


def a_customer(**fields: Any) -> Customer:
    base: dict[str, Any] = {
        "first_name": "Ana",
        "last_name": "Ruiz",
        "email": "ana@example.com",
        "document_type": "CC",
        "document_number": "52123456",
    }
    return Customer(account_id=UUID(int=1), id=UUID(int=5), created_at=NOW, updated_at=NOW, **base | fields)


def opened(token: str = TOKEN, *, is_test: bool = True, secret: str = SECRET) -> Configured:
    credentials = {"access_token": token, "webhook_secret": secret}
    return Configured(
        account_id=UUID(int=1), id=UUID(int=2), kind="mercadopago", is_test=is_test, credentials=credentials
    )


def a_context(
    configured: Configured | None,
    *,
    expires_at: datetime | None = None,
    customer: Customer | None = None,
    return_url: str = RETURN_URL,
    later: timedelta = timedelta(),
    real_now: datetime = NOW,
) -> GatewayContext:
    invoice = Invoice(
        account_id=UUID(int=1),
        id=UUID(int=3),
        version=1,
        kind=InvoiceKind.INVOICE,
        dialect="onepay",
        state=InvoiceState.OPEN,
        currency="COP",
        amount_minor=5_000_000,
        name="Factura 1001, «marzo»",
        metadata={},
        allows={},
        collection_id=UUID(int=4),
        wire={},
        created_at=NOW,
        updated_at=NOW,
    )
    collection = Collection(
        account_id=UUID(int=1),
        id=UUID(int=4),
        invoice_id=UUID(int=3),
        generation=1,
        state=CollectionState.PENDING,
        currency="COP",
        amount_minor=5_000_000,
        expires_at=expires_at,
        created_at=NOW,
        updated_at=NOW,
    )
    return GatewayContext(
        account=Account(id=UUID(int=1), merchant_id=UUID(int=9), is_test=True),
        invoice=invoice,
        collection=collection,
        now=NOW + SHIFT + later,
        real_now=real_now,
        configured=configured,
        customer=customer,
        return_url=return_url,
    )


def a_receipt(gateway_tx_id: str, amount_minor: int = 5_000_000) -> Receipt:
    return Receipt(
        account_id=UUID(int=1),
        id=UUID(int=20),
        invoice_id=UUID(int=3),
        collection_id=UUID(int=4),
        attempt_id=UUID(int=7),
        kind=ReceiptKind.GATEWAY,
        amount_minor=amount_minor,
        currency="COP",
        gateway="mercadopago",
        gateway_tx_id=gateway_tx_id,
        number="R-1",
        at=NOW,
    )


def a_refund(amount_minor: int = 5_000_000, *, number: int = 30, **fields: Any) -> Refund:
    base: dict[str, Any] = {"state": RefundState.CREATED, "created_at": NOW + SHIFT}
    return Refund(
        account_id=UUID(int=1),
        id=UUID(int=number),
        receipt_id=UUID(int=20),
        invoice_id=UUID(int=3),
        attempt_id=UUID(int=7),
        amount_minor=amount_minor,
        currency="COP",
        way=RefundWay.GATEWAY,
        reason="returned",
        updated_at=NOW,
        **base | fields,
    )


# Servers


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Odd:
    """A vendor that answers as a test says, and what it was asked."""

    gateway: MercadoPago

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.handler: Handler | None = None

    def says(self, content: Any, status: int = 200) -> None:
        async def handle(_: web.Request) -> web.StreamResponse:
            return answer(content, status)

        self.handler = handle

    def says_html(self, status: int = 200) -> None:
        async def handle(_: web.Request) -> web.StreamResponse:
            return web.Response(text="<html>Estamos en mantenimiento</html>", content_type="text/html", status=status)

        self.handler = handle

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.query)))
        assert self.handler is not None
        return await self.handler(request)


@pytest.fixture
async def odd(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Odd]:
    monkeypatch.setattr(vendor, "TIMEOUT_S", 0.5)
    made = Odd()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    async with serving(app) as host:
        made.gateway = MercadoPago(host=host)
        yield made
        await made.gateway.close()


class Shop:
    """The adapter, the fake vendor, a merchant there, and a payer."""

    def __init__(self, fake: fakes.MercadoPago, gateway: MercadoPago, session: aiohttp.ClientSession) -> None:
        self.fake = fake
        self.gateway = gateway
        self.session = session
        self.merchant = fake.merchant()
        self.notices: list[RawNotice] = []

    @property
    def opened(self) -> Configured:
        return opened(self.merchant.access_token, secret=self.merchant.secret, is_test=not self.merchant.live)

    @property
    def context(self) -> GatewayContext:
        return a_context(self.opened, real_now=self.fake.now())

    async def start(self, attempt: Attempt) -> str:
        """The address of the page that opens."""
        said = await self.gateway.start(attempt, self.context)
        assert isinstance(said, Reported), said
        assert isinstance(said.step, Redirect)
        return said.step.url

    async def pay(self, attempt: Attempt, choice: str = "approve", *, method: str = "pse", holder: str = "") -> None:
        """What the payer does on the page."""
        url = urlsplit(await self.start(attempt))
        form = {"pref_id": parse_qs(url.query)["pref_id"][0], "choice": choice, "method": method, "holder": holder}
        async with self.session.post(
            f"{self.fake.base_url}/checkout/v1/pay", data=form, allow_redirects=False
        ) as answered:
            assert answered.status == 303
            assert answered.headers["Location"].startswith(RETURN_URL)
        await self.fake.advance(5)

    async def ask(self, attempt: Attempt) -> tuple[Fact, ...]:
        said = await self.gateway.ask(attempt, self.context)
        assert isinstance(said, Reported), said
        return said.facts

    async def paid(self, attempt: Attempt, **how: Any) -> Fact:
        await self.pay(attempt, **how)
        [fact] = await self.ask(attempt)
        return fact

    async def refund(self, refund: Refund, fact: Fact, **context: Any) -> RefundAnswer:
        receipt = a_receipt(fact.gateway_tx_id, fact.amount_minor)
        return await self.gateway.refund(refund, receipt, a_context(self.opened, **context))

    async def receive(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.notices.append(
            RawNotice(
                query=request.query_string,
                headers=headers,
                body=await request.read(),
                received_at=self.fake.now(),
            )
        )
        return web.Response()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    fake = fakes.MercadoPago(clock=Clock(NOW, frozen=True))
    inbox = web.Application()
    async with serving(fake.app()) as host, aiohttp.ClientSession() as session:
        fake.base_url = host
        await fake.start()
        gateway = MercadoPago(host=host)
        made = Shop(fake, gateway, session)
        inbox.router.add_post("/in", made.receive)
        async with serving(inbox) as inbox_host:
            made.merchant.notice_url = f"{inbox_host}/in"
            yield made
        await gateway.close()
        await fake.stop()


# Who it is


def test_it_is_a_gateway():
    gateway: Gateway = MercadoPago()
    assert gateway.abilities.refunds == "partial"
    assert [m.kind for m in gateway.methods(Account(id=UUID(int=1), merchant_id=UUID(int=1), is_test=False))] == [
        "cards",
        "accounts",
    ]


@pytest.mark.parametrize(
    ("token", "is_test", "good"),
    [
        ("TEST-0123456789", True, True),
        ("TEST-0123456789", False, False),
        ("APP_USR-0123456789", True, True),
        ("APP_USR-0123456789", False, True),
        ("", True, False),
        ("pub_test_0123456789", True, False),
        ("APP_USR-0123456789\r\nX-Other: 1", True, False),
        ("APP_USR-0123456789\n", True, False),
    ],
)
def test_a_token_is_checked_as_it_stands(token, is_test, good):
    problems = MercadoPago().check({"access_token": token, "webhook_secret": SECRET}, is_test=is_test)
    assert ("access_token" not in problems) is good
    assert "webhook_secret" not in problems
    assert "webhook_secret" in MercadoPago().check({"access_token": token}, is_test=is_test)


async def test_verifying_says_whose_token_it_is(shop: Shop):
    assert await shop.gateway.verify(shop.opened) == Verified(merchant_name="COMERCIODEPRUEBA")
    wrong = await shop.gateway.verify(opened("TEST-99999999-none"))
    assert wrong.problem == "the access token is not valid"


@pytest.mark.parametrize(
    ("token", "is_test", "tags", "site", "problem"),
    [
        ("APP_USR-0123456789", False, ["normal"], "MCO", None),
        ("APP_USR-0123456789", False, ["test_user"], "MCO", "test user"),
        ("APP_USR-0123456789", True, ["test_user"], "MCO", None),
        ("APP_USR-0123456789", True, ["normal"], "MCO", "real money"),
        ("TEST-0123456789", True, ["normal"], "MCO", None),
        ("APP_USR-0123456789", False, ["normal"], "MLA", "MLA"),
    ],
)
async def test_a_token_of_the_wrong_kind_of_seller_is_a_problem(odd: Odd, token, is_test, tags, site, problem):
    odd.says({"id": 1, "nickname": "TIENDA", "tags": tags, "site_id": site})
    verified = await odd.gateway.verify(opened(token, is_test=is_test))
    assert verified.merchant_name == "TIENDA"
    assert (verified.problem is None) if problem is None else (problem in (verified.problem or ""))


async def test_a_vendor_that_does_not_answer_is_a_problem_for_now(odd: Odd):
    odd.says_html()
    assert (await odd.gateway.verify(opened())).problem
    gone = MercadoPago(host="http://127.0.0.1:1")
    assert "cannot be reached" in ((await gone.verify(opened())).problem or "")
    await gone.close()


# Starting


async def test_a_preference_says_what_is_paid_and_until_when(shop: Shop):
    attempt = an_attempt(amount_minor=5_000_050)
    context = a_context(shop.opened, customer=a_customer(), real_now=NOW)
    said = await shop.gateway.start(attempt, context)
    assert isinstance(said, Reported)
    assert said.payable_until == NOW + SHIFT + timedelta(hours=1)
    [call] = shop.fake.calls
    assert call.headers["x-idempotency-key"] == str(attempt.id)
    assert call.headers["authorization"] == f"Bearer {shop.merchant.access_token}"
    assert b'"unit_price":50000.5' in call.body
    body = json.loads(call.body, parse_float=Decimal)
    assert body == {
        "items": [
            {
                "id": str(UUID(int=3)),
                "title": "Factura 1001, «marzo»",
                "quantity": 1,
                "currency_id": "COP",
                "unit_price": Decimal("50000.5"),
            }
        ],
        "external_reference": attempt.reference,
        "expires": True,
        "expiration_date_to": "2026-03-02T16:00:00.000+00:00",
        "payment_methods": {
            "excluded_payment_types": [
                {"id": "credit_card"},
                {"id": "debit_card"},
                {"id": "prepaid_card"},
                {"id": "ticket"},
                {"id": "atm"},
            ]
        },
        "back_urls": {"success": RETURN_URL, "pending": RETURN_URL, "failure": RETURN_URL},
        "auto_return": "approved",
    }


async def test_the_end_of_the_collection_is_told_on_the_vendors_clock(shop: Shop):
    ends = NOW + SHIFT + timedelta(minutes=20)
    said = await shop.gateway.start(an_attempt(), a_context(shop.opened, expires_at=ends))
    assert isinstance(said, Reported)
    assert said.payable_until == ends
    assert json.loads(shop.fake.calls[-1].body)["expiration_date_to"] == "2026-03-02T15:20:00.000+00:00"


async def test_cards_exclude_what_is_no_card_and_unknown_data_is_left_out(shop: Shop):
    customer = a_customer(document_type="PASSPORT", last_name=None, email=None)
    context = a_context(shop.opened, customer=customer, return_url="http://localhost:8080/r/abc")
    await shop.gateway.start(an_attempt(method="card"), context)
    body = json.loads(shop.fake.calls[-1].body)
    excluded = [t["id"] for t in body["payment_methods"]["excluded_payment_types"]]
    assert excluded == ["bank_transfer", "ticket", "atm"]
    assert "payer" not in body, "whoever has the link can open the page, and would read there who owes"
    assert "auto_return" not in body
    assert body["back_urls"]["success"] == "http://localhost:8080/r/abc"
    await shop.gateway.start(an_attempt(8), a_context(shop.opened, return_url=""))
    bare = json.loads(shop.fake.calls[-1].body)
    assert not {"payer", "back_urls", "auto_return", "notification_url"} & set(bare)


async def test_what_the_vendor_refuses_is_told_in_spanish(shop: Shop):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(refuse_payer=True))
    with capture_logs() as logs:
        said = await shop.gateway.start(attempt, shop.context)
    assert isinstance(said, Refused)
    assert said.code == "CUSTOMER_DATA_INVALID"
    assert said.text
    assert logs[0]["causes"] == ["invalid_payer"]


@pytest.mark.parametrize(
    "scenario",
    [Scenario(http_500=1), Scenario(http_429=1), Scenario(html=1), Scenario(timeout_after_commit=1)],
)
async def test_a_page_that_does_not_open_charged_nothing(shop: Shop, scenario):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, scenario)
    assert isinstance(await shop.gateway.start(attempt, shop.context), NotSent)
    assert await shop.start(attempt)  # and may be opened again


async def test_keys_that_the_vendor_does_not_know_are_no_refusal(shop: Shop):
    said = await shop.gateway.start(an_attempt(), a_context(opened("TEST-99999999-none")))
    assert said == NotSent(reason="HTTP 401")


async def test_a_vendor_that_hangs_or_is_not_there(odd: Odd):
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    odd.handler = hang
    assert isinstance(await odd.gateway.start(an_attempt(), a_context(opened())), NotSent)
    assert isinstance(await odd.gateway.ask(an_attempt(), a_context(opened())), Unknown)
    gone = MercadoPago(host="http://127.0.0.1:1")
    assert isinstance(await gone.start(an_attempt(), a_context(opened())), NotSent)
    assert isinstance(await gone.ask(an_attempt(), a_context(opened())), Unknown)
    assert isinstance(await gone.fetch("1", opened()), Unknown)
    await gone.close()


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Refused), (422, Refused), (403, NotSent), (404, NotSent), (409, NotSent)]
)
async def test_only_what_is_about_data_is_a_refusal(odd: Odd, status, kind):
    odd.says({"message": "unit_price invalid", "error": "bad_request", "cause": None}, status)
    said = await odd.gateway.start(an_attempt(), a_context(opened()))
    assert isinstance(said, kind)
    odd.says_html(status)
    assert isinstance(await odd.gateway.start(an_attempt(), a_context(opened())), NotSent)


@pytest.mark.parametrize(
    "init_point",
    [
        None,
        7,
        "",
        "javascript:alert(1)",
        "ftp://example.com/",
        "https://",
        "/checkout",
        "https://a@evil.example/",
        "https://x y/",
        "https://[x",
        "https://example.com/\n",
        "https://example.com/" + "x" * 3000,
    ],
)
async def test_a_page_at_no_address_of_use_is_a_bad_answer(odd: Odd, init_point):
    odd.says({"id": "1-2", "init_point": init_point}, 201)
    said = await odd.gateway.start(an_attempt(), a_context(opened()))
    assert isinstance(said, Refused)
    assert said.code == "gateway_bad_answer"


async def test_a_page_without_tls_only_where_the_vendor_itself_has_none():
    gateway = MercadoPago()
    said = vendor.Said(status=201, content={"init_point": "http://127.0.0.1/p"})
    assert gateway._page(said, opened()) is None
    assert MercadoPago(host="http://127.0.0.1")._page(said, opened()) == "http://127.0.0.1/p"


@pytest.mark.parametrize(
    ("token", "page"), [("TEST-0123456789", "https://sandbox.example/p"), (TOKEN, "https://www.example/p")]
)
async def test_test_tokens_have_a_page_of_their_own(odd: Odd, token, page):
    odd.says({"init_point": "https://www.example/p", "sandbox_init_point": "https://sandbox.example/p"}, 201)
    said = await odd.gateway.start(an_attempt(), a_context(opened(token)))
    assert isinstance(said, Reported)
    assert said.step == Redirect(url=page)


async def test_an_account_without_the_gateway_begins_and_learns_nothing():
    gateway, context = MercadoPago(), a_context(None)
    assert isinstance(await gateway.start(an_attempt(), context), NotSent)
    assert isinstance(await gateway.ask(an_attempt(), context), Unknown)
    assert isinstance(await gateway.refund(a_refund(), a_receipt("1"), context), RefundUnknown)
    assert isinstance(await gateway.start(an_attempt(method="nequi"), a_context(opened())), NotSent)


# What became of it


async def test_nothing_under_our_reference(shop: Shop):
    attempt = an_attempt()
    await shop.start(attempt)
    assert await shop.gateway.ask(attempt, shop.context) == Absent()


async def test_a_bank_payment(shop: Shop):
    attempt = an_attempt()
    fact = await shop.paid(attempt)
    assert fact.state is FactState.SUCCEEDED
    assert (fact.amount_minor, fact.currency, fact.refunded_minor) == (5_000_000, "COP", 0)
    assert (fact.reference, fact.is_test) == (attempt.reference, True)
    assert fact.paid_at is not None
    assert NOW <= fact.paid_at <= NOW + timedelta(seconds=5)
    assert fact.method == {
        "id": (fact.method or {})["id"],
        "created_at": "2026-03-02T15:00:00.000000Z",
        "brand": "PSE",
        "label": "PSE",
        "country": "CO",
    }
    fetched = await shop.gateway.fetch(fact.gateway_tx_id, shop.opened)
    assert fetched == Reported(facts=(fact,))


async def test_declined_and_then_approved_are_two_transactions_of_one_attempt(shop: Shop):
    attempt = an_attempt(method="card")
    await shop.pay(attempt, "decline_then_approve", method="visa")
    first, second = await shop.ask(attempt)
    assert [first.state, second.state] == [FactState.FAILED, FactState.SUCCEEDED]
    assert first.gateway_tx_id != second.gateway_tx_id


@pytest.mark.parametrize(
    ("holder", "code", "kind"),
    [
        ("FUND", "INSUFFICIENT_FUNDS", "insufficient_funds"),
        ("SECU", "CARD_CVV", "wrong_data"),
        ("EXPI", "CARD_DATE", "wrong_data"),
        ("FORM", "CUSTOMER_DATA_INVALID", "wrong_data"),
        ("CALL", "CARD_RESTRICTED", "blocked"),
        ("OTHE", "REJECTED", None),
    ],
)
async def test_a_refusal_is_told_in_words_that_the_page_knows(shop: Shop, holder, code, kind):
    fact = await shop.paid(an_attempt(method="card"), choice="scenario", method="visa", holder=holder)
    assert (fact.state, fact.failure_code) == (FactState.FAILED, code)
    assert FAILURES.get(code) == kind
    assert fact.failure_text


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        (Outcome.ERROR, FactState.FAILED, "BANK_IS_NOT_AVAILABLE"),
        (Outcome.PENDING, FactState.PROCESSING, None),
    ],
)
async def test_bank_errors_and_waiting(shop: Shop, outcome, state, code):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(outcome=outcome))
    fact = await shop.paid(attempt, choice="scenario")
    assert (fact.state, fact.failure_code) == (state, code)


async def test_a_bank_payment_that_nobody_finishes_was_not_finished_in_time(shop: Shop):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(outcome=Outcome.EXPIRED))
    assert (await shop.paid(attempt, choice="scenario")).state is FactState.PROCESSING
    await shop.fake.advance(20 * 60)
    [fact] = await shop.ask(attempt)
    assert (fact.state, fact.failure_code) == (FactState.FAILED, "TRANSACTION_EXPIRED")


@pytest.mark.parametrize(
    ("reverse", "state", "refunded_minor"),
    [
        (Reverse.REFUNDED, FactState.SUCCEEDED, 5_000_000),
        (Reverse.PARTLY_REFUNDED, FactState.SUCCEEDED, 2_500_000),
        (Reverse.CHARGED_BACK, FactState.SUCCEEDED, 5_000_000),  # the fake's are `settled`: lost
        (Reverse.IN_MEDIATION, FactState.DISPUTED, 0),
        (Reverse.DECLINED, FactState.FAILED, 0),
    ],
)
async def test_what_is_taken_back_later(shop: Shop, reverse, state, refunded_minor):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(reverse=reverse, reverse_after=60))
    assert (await shop.paid(attempt)).state is FactState.SUCCEEDED
    await shop.fake.advance(61)
    [fact] = await shop.ask(attempt)
    assert (fact.state, fact.refunded_minor, fact.amount_minor) == (state, refunded_minor, 5_000_000)


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (Scenario(partial=100_050), {"amount_minor": 4_899_950}),
        (Scenario(over=70_000), {"amount_minor": 5_070_000}),
        (Scenario(wrong_currency=True), {"currency": "USD"}),
        (Scenario(wrong_env=True), {"is_test": False}),
    ],
)
async def test_a_fact_is_what_arrived_and_not_what_was_asked_for(shop: Shop, scenario, expected):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, scenario)
    fact = await shop.paid(attempt)
    assert {name: getattr(fact, name) for name in expected} == expected


@pytest.mark.parametrize("fault", [{"http_500": 1}, {"http_429": 1}, {"html": 1}])
async def test_a_question_without_an_answer_is_unknown(shop: Shop, fault):
    attempt = an_attempt()
    fact = await shop.paid(attempt)
    shop.fake.scenarios.set(attempt.reference, Scenario(on=("find", "fetch"), **fault))
    assert isinstance(await shop.gateway.ask(attempt, shop.context), Unknown)
    shop.fake.scenarios.set(attempt.reference, Scenario(on=("find", "fetch"), **fault))
    assert isinstance(await shop.gateway.fetch(fact.gateway_tx_id, shop.opened), Unknown)
    assert await shop.ask(attempt) == (fact,)


async def test_keys_that_no_longer_work_say_nothing_about_a_payment(shop: Shop):
    fact = await shop.paid(an_attempt())
    lost = opened("TEST-99999999-none")
    assert await shop.gateway.ask(an_attempt(), a_context(lost)) == Unknown(reason="HTTP 401")
    assert await shop.gateway.fetch(fact.gateway_tx_id, lost) == Unknown(reason="HTTP 401")


async def test_every_page_of_a_search_is_read(shop: Shop):
    attempt = an_attempt()
    await shop.start(attempt)
    preference = next(iter(shop.fake.preferences.values()))
    for _ in range(PAGE * 2 + 3):
        shop.fake._pay(preference, "pending", "pse", "")
    assert len({f.gateway_tx_id for f in await shop.ask(attempt)}) == PAGE * 2 + 3


async def test_a_payment_that_is_not_there_and_ids_that_are_none(shop: Shop):
    assert await shop.gateway.fetch("1", shop.opened) == Absent()
    for other in ("", "../users/me", "1/refunds", "1?x=1", "x" * 65, "1 2"):
        shop.fake.calls.clear()
        assert await shop.gateway.fetch(other, shop.opened) == Absent()
        assert not shop.fake.calls


# Payments that are odd


def a_payment(**fields: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "id": 1_340_000_001,
        "date_created": "2026-03-02T11:00:00.000-04:00",
        "date_approved": "2026-03-02T11:00:01.000-04:00",
        "date_last_updated": "2026-03-02T11:00:01.000-04:00",
        "payment_method_id": "master",
        "payment_type_id": "credit_card",
        "status": "approved",
        "status_detail": "accredited",
        "currency_id": "COP",
        "live_mode": True,
        "external_reference": an_attempt().reference,
        "transaction_amount": 50000,
        "transaction_amount_refunded": 0,
        "card": {"last_four_digits": "4242", "expiration_month": 7, "expiration_year": 2031},
    }
    return base | fields


def a_page(*payments: Any, total: int | None = None) -> dict[str, Any]:
    paging = {"total": len(payments) if total is None else total, "limit": PAGE, "offset": 0}
    return {"paging": paging, "results": list(payments)}


async def asked(odd: Odd, *payments: Any, token: str = "TEST-0123456789") -> Any:
    odd.says(a_page(*payments))
    return await odd.gateway.ask(an_attempt(), a_context(opened(token)))


async def test_a_card(odd: Odd):
    said = await asked(odd, a_payment())
    method = said.facts[0].method
    assert {k: v for k, v in method.items() if k != "id"} == {
        "created_at": "2026-03-02T15:00:00.000000Z",
        "brand": "MASTERCARD",
        "label": "MASTERCARD **** 4242",
        "last_four": "4242",
        "expiration_date": "2031-07",
        "country": "CO",
    }
    assert str(UUID(method["id"])) == method["id"]
    assert said.facts[0].paid_at == datetime(2026, 3, 2, 15, 0, 1, tzinfo=UTC)
    assert (await asked(odd, a_payment())).facts == said.facts


@pytest.mark.parametrize(
    "amount",
    [Decimal("50000.123"), None, True, "fifty", [], Decimal("-1.5"), -1, 10**20, Decimal("0.001")],
)
async def test_an_amount_that_is_none_is_never_rounded(odd: Odd, amount):
    odd.says(a_page(a_payment(transaction_amount=amount)))
    with capture_logs() as logs:
        said = await odd.gateway.ask(an_attempt(), a_context(opened("TEST-0123456789")))
    assert isinstance(said, Unknown)
    assert said.reason in {"amount_not_representable", "amount_out_of_range"}
    assert said.reason == "amount_out_of_range" or logs[0]["event"] == "gateway_amount_not_representable"


async def test_three_decimals_are_not_representable(odd: Odd):
    said = await asked(odd, a_payment(transaction_amount=Decimal("50000.123")))
    assert said == Unknown(reason="amount_not_representable")
    said = await asked(odd, a_payment(transaction_amount_refunded=Decimal("1.005")))
    assert said == Unknown(reason="amount_not_representable")


@pytest.mark.parametrize(
    ("amount", "minor"),
    [(Decimal("50000.00"), 5_000_000), (Decimal("0.1"), 10), (Decimal("4.35"), 435), ("50000.5", 5_000_050)],
)
async def test_amounts_are_exact(odd: Odd, amount, minor):
    assert (await asked(odd, a_payment(transaction_amount=amount))).facts[0].amount_minor == minor


@pytest.mark.parametrize(
    "fields",
    [
        {"id": None},
        {"id": "1/2"},
        {"id": True},
        {"status": None},
        {"status": 7},
        {"currency_id": None},
        {"currency_id": "XXX"},
    ],
)
async def test_a_payment_that_cannot_be_read_is_unknown(odd: Odd, fields):
    assert isinstance(await asked(odd, a_payment(**fields)), Unknown)


async def test_a_status_that_is_new_is_waited_for_and_logged(odd: Odd):
    with capture_logs() as logs:
        said = await asked(odd, a_payment(status="teleported"))
    assert said.facts[0].state is FactState.PROCESSING
    assert logs[0]["event"] == "gateway_unknown_status"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", FactState.PROCESSING),
        ("in_process", FactState.PROCESSING),
        ("authorized", FactState.PROCESSING),
        ("approved", FactState.SUCCEEDED),
        ("rejected", FactState.FAILED),
        ("cancelled", FactState.FAILED),
        ("refunded", FactState.SUCCEEDED),
        ("charged_back", FactState.DISPUTED),
        ("in_mediation", FactState.DISPUTED),
    ],
)
async def test_the_table_of_states(odd: Odd, status, state):
    fact = (await asked(odd, a_payment(status=status, status_detail=None))).facts[0]
    assert fact.state is state
    assert fact.refunded_minor == (5_000_000 if status == "refunded" else 0)
    assert (fact.failure_code is not None) is (state is FactState.FAILED)


async def test_a_dispute_that_was_lost_is_money_that_went_back(odd: Odd):
    fact = (await asked(odd, a_payment(status="charged_back", status_detail="settled"))).facts[0]
    assert (fact.state, fact.amount_minor, fact.refunded_minor) == (FactState.SUCCEEDED, 5_000_000, 5_000_000)
    assert fact.failure_code is None


@pytest.mark.parametrize(("refunded", "refunded_minor"), [(0, 0), (10000, 1_000_000)])
async def test_a_dispute_that_was_won_leaves_the_money_where_it_was(odd: Odd, refunded, refunded_minor):
    won = a_payment(status="charged_back", status_detail="reimbursed", transaction_amount_refunded=refunded)
    fact = (await asked(odd, won)).facts[0]
    assert (fact.state, fact.amount_minor, fact.refunded_minor) == (FactState.SUCCEEDED, 5_000_000, refunded_minor)


@pytest.mark.parametrize("detail", ["in_process", "teleported", "", 7, ["settled"], None])
async def test_a_dispute_is_open_until_its_detail_says_that_it_is_over(odd: Odd, detail):
    fact = (await asked(odd, a_payment(status="charged_back", status_detail=detail))).facts[0]
    assert (fact.state, fact.refunded_minor) == (FactState.DISPUTED, 0)


@pytest.mark.parametrize("detail", ["settled", "reimbursed"])
async def test_only_a_charge_back_is_over_by_its_detail(odd: Odd, detail):
    fact = (await asked(odd, a_payment(status="in_mediation", status_detail=detail))).facts[0]
    assert (fact.state, fact.refunded_minor) == (FactState.DISPUTED, 0)


async def test_payments_of_others_are_none_of_ours(odd: Odd):
    other = gateway_reference(UUID(int=8))
    assert await asked(odd, a_payment(external_reference=other), a_payment(id=2, external_reference=None)) == Absent()


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        "text",
        {"results": []},
        {"results": {}, "paging": {"total": 0}},
        {"results": [1], "paging": {"total": 1}},
        {"results": [], "paging": {"total": "many"}},
        {"results": [], "paging": {"total": 3}},
    ],
)
async def test_a_search_that_cannot_be_read_proves_no_absence(odd: Odd, content):
    odd.says(content)
    assert isinstance(await odd.gateway.ask(an_attempt(), a_context(opened())), Unknown)


async def test_a_search_without_an_end(odd: Odd):
    async def more(request: web.Request) -> web.StreamResponse:
        offset = int(request.query["offset"])
        return answer(a_page(a_payment(id=offset + 1), total=offset + 2))

    odd.handler = more
    said = await odd.gateway.ask(an_attempt(), a_context(opened("TEST-0123456789")))
    assert said == Unknown(reason="the list does not end")


@pytest.mark.parametrize("content", [{"id": 2}, [], a_page()])
async def test_a_fetched_payment_that_is_another_or_none(odd: Odd, content):
    odd.says(a_payment() | content if isinstance(content, dict) else content)
    assert isinstance(await odd.gateway.fetch("1340000009", opened("TEST-0123456789")), Unknown)


async def test_a_page_that_is_not_found_is_no_word_of_the_vendor(odd: Odd):
    odd.says_html(404)
    assert isinstance(await odd.gateway.fetch("1", opened()), Unknown)


async def test_what_a_test_user_is_paid_is_pretended_whatever_live_mode_says(odd: Odd):
    me = {"id": 1, "tags": ["normal", "test_user"]}

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(me if request.path == "/users/me" else a_page(a_payment(live_mode=True)))

    odd.handler = handle
    for _ in range(2):
        said = await odd.gateway.ask(an_attempt(), a_context(opened()))
        assert isinstance(said, Reported)
        assert said.facts[0].is_test is True
    assert [path for _, path, _ in odd.asked].count("/users/me") == 1
    me["tags"] = ["normal"]
    seller = await odd.gateway.ask(an_attempt(), a_context(opened("APP_USR-9876543210")))
    assert isinstance(seller, Reported)
    assert seller.facts[0].is_test is False


@pytest.mark.parametrize(("live_mode", "is_test"), [(True, False), (False, True), (None, None), ("yes", None)])
async def test_a_test_token_leaves_live_mode_its_word(odd: Odd, live_mode, is_test):
    assert (await asked(odd, a_payment(live_mode=live_mode))).facts[0].is_test is is_test


async def test_a_long_answer_is_read_whole(odd: Odd):
    payments = [a_payment(id=n, description="x" * 20_000) for n in range(1, PAGE + 1)]
    assert len((await asked(odd, *payments)).facts) == PAGE


# The vendor's own list


async def listed(gateway: MercadoPago, configured: Configured, since: datetime, until: datetime) -> list[Fact]:
    return [fact async for fact in gateway.transactions(configured, since, until)]


async def test_the_list_has_what_changed_in_a_period(shop: Shop):
    first = await shop.paid(an_attempt(1))
    await shop.fake.advance(3 * 86_400)
    second = await shop.paid(an_attempt(2))
    end = shop.fake.now() + timedelta(seconds=1)
    both = await listed(shop.gateway, shop.opened, NOW, end)
    assert [f.gateway_tx_id for f in both] == [first.gateway_tx_id, second.gateway_tx_id]
    day = await listed(shop.gateway, shop.opened, end - timedelta(days=1), end)
    assert day == [second]
    assert isinstance(await shop.refund(a_refund(1_000_000), first), Refunded)
    day = await listed(shop.gateway, shop.opened, end - timedelta(days=1), shop.fake.now() + timedelta(seconds=1))
    assert [f.refunded_minor for f in day] == [1_000_000, 0]


async def test_the_list_is_half_open_and_asked_for_by_the_day(odd: Odd):
    odd.says(a_page(a_payment()))
    changed = datetime(2026, 3, 2, 15, 0, 1, tzinfo=UTC)
    test = opened("TEST-0123456789")
    assert await listed(odd.gateway, test, changed - timedelta(hours=1), changed) == []
    assert len(await listed(odd.gateway, test, changed, changed + timedelta(hours=1))) == 1
    odd.asked.clear()
    assert len(await listed(odd.gateway, test, changed - timedelta(hours=30), changed + timedelta(hours=30))) == 1
    assert [q["begin_date"] for _, _, q in odd.asked] == [
        "2026-03-01T09:00:01.000Z",
        "2026-03-02T09:00:01.000Z",
        "2026-03-03T09:00:01.000Z",
    ]


@pytest.mark.parametrize("scenario", [Scenario(http_500=1), Scenario(http_429=1), Scenario(html=1)])
async def test_a_list_that_cannot_be_read(shop: Shop, scenario):
    shop.fake.scenarios.set(None, scenario)
    with pytest.raises(GatewayDownError):
        await listed(shop.gateway, shop.opened, NOW, NOW + timedelta(days=1))


async def test_a_payment_of_ours_that_cannot_be_read_stops_the_list_and_one_of_others_does_not(odd: Odd):
    bad = a_payment(transaction_amount=Decimal("1.005"))
    period = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    test = opened("TEST-0123456789")
    odd.says(a_page(a_payment(id=2), bad | {"external_reference": "ORDER-77"}))
    assert [f.gateway_tx_id for f in await listed(odd.gateway, test, *period)] == ["2"]
    odd.says(a_page(a_payment(id=2), bad))
    with pytest.raises(GatewayDownError, match="amount_not_representable"):
        await listed(odd.gateway, test, *period)


async def test_a_list_that_changes_while_it_is_read_is_not_believed(odd: Odd):
    async def shrinking(request: web.Request) -> web.StreamResponse:
        offset = int(request.query["offset"])
        if offset == 0:
            return answer(a_page(*[a_payment(id=n + 1) for n in range(PAGE)], total=PAGE + 2))
        return answer(a_page(a_payment(id=PAGE + 2), total=PAGE + 1))

    odd.handler = shrinking
    with pytest.raises(GatewayDownError, match="changed"):
        await listed(odd.gateway, opened("TEST-0123456789"), NOW, NOW + timedelta(hours=1))


# Money that goes back


async def test_the_whole_goes_back_without_an_amount(shop: Shop):
    attempt = an_attempt()
    fact = await shop.paid(attempt)
    refund = a_refund()
    said = await shop.refund(refund, fact)
    assert isinstance(said, Refunded)
    call = shop.fake.calls[-1]
    assert (call.body, call.headers["x-idempotency-key"]) == (b"", str(refund.id))
    [after] = await shop.ask(attempt)
    assert (after.state, after.refunded_minor) == (FactState.SUCCEEDED, 5_000_000)


async def test_two_parts(shop: Shop):
    attempt = an_attempt()
    fact = await shop.paid(attempt)
    first = await shop.refund(a_refund(1_000_050, number=31), fact)
    assert json.loads(shop.fake.calls[-1].body, parse_float=Decimal) == {"amount": Decimal("10000.5")}
    second = await shop.refund(a_refund(3_999_950, number=32), fact)
    assert isinstance(first, Refunded)
    assert isinstance(second, Refunded)
    assert first != second
    assert (await shop.ask(attempt))[0].refunded_minor == 5_000_000


async def test_more_than_is_left_is_refused_in_spanish(shop: Shop):
    fact = await shop.paid(an_attempt())
    await shop.refund(a_refund(4_000_000, number=31), fact)
    said = await shop.refund(a_refund(2_000_000, number=32), fact)
    assert said == RefundRefused(code="REFUND_NOT_ALLOWED", text="El valor supera lo que queda por devolver")


async def test_a_refund_that_waits_is_asked_about_by_its_id(shop: Shop):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(refund=Refunding.IN_PROCESS_THEN_APPROVED))
    fact = await shop.paid(attempt)
    said = await shop.refund(a_refund(1_000_000), fact)
    assert isinstance(said, RefundPending)
    begun = a_refund(1_000_000, state=RefundState.PROCESSING, asked=1, gateway_refund_id=said.gateway_refund_id)
    assert await shop.refund(begun, fact) == said
    await shop.fake.advance(11)
    assert await shop.refund(begun, fact) == Refunded(gateway_refund_id=said.gateway_refund_id)
    assert [c.method for c in shop.fake.calls if "/refunds" in c.path] == ["POST", "GET", "GET"]


async def test_a_refund_that_the_vendor_rejects(shop: Shop):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(refund=Refunding.REJECTED))
    said = await shop.refund(a_refund(), await shop.paid(attempt))
    assert isinstance(said, RefundRefused)
    assert said.code == "REFUND_REJECTED"


@pytest.mark.parametrize("fault", [{"timeout_after_commit": 1}, {"http_500_after_commit": 1}, {"http_500": 1}])
async def test_a_refund_without_an_answer_is_asked_for_again_with_the_same_key(shop: Shop, fault):
    attempt = an_attempt()
    fact = await shop.paid(attempt)
    shop.fake.scenarios.set(attempt.reference, Scenario(on=("refund",), **fault))
    assert isinstance(await shop.refund(a_refund(1_000_000), fact), RefundUnknown)
    again = a_refund(1_000_000, state=RefundState.UNKNOWN, asked=1)
    assert isinstance(await shop.refund(again, fact), Refunded)
    assert (await shop.ask(attempt))[0].refunded_minor == 1_000_000


async def test_a_key_that_is_too_old_is_not_used_again(shop: Shop):
    attempt = an_attempt()
    fact = await shop.paid(attempt)
    late = a_refund(1_000_000, state=RefundState.UNKNOWN, asked=9)
    day = timedelta(days=1)
    never_made = await shop.refund(late, fact, later=day)
    assert isinstance(never_made, RefundRefused)
    assert isinstance(await shop.refund(a_refund(1_000_000), fact), Refunded)
    assert isinstance(await shop.refund(late, fact, later=day), RefundUnknown)
    assert (await shop.ask(attempt))[0].refunded_minor == 1_000_000


@pytest.mark.parametrize(("status", "code"), [(409, "conflict"), (404, 2032)])
async def test_a_key_that_was_used_says_that_a_call_before_a_crash_arrived(odd: Odd, status, code):
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return answer([{"id": 5, "amount": 50000, "status": "approved"}])
        return answer({"message": "no", "cause": [{"code": code}]}, status)

    odd.handler = handle
    said = await odd.gateway.refund(a_refund(), a_receipt("1"), a_context(opened()))
    assert isinstance(said, RefundUnknown)


async def test_a_refusal_of_the_second_call_says_nothing_about_the_first(odd: Odd):
    listing: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return answer(listing)
        return answer({"message": "no", "error": "bad_request", "cause": [{"code": 2063}]}, 400)

    odd.handler = handle

    async def again(later: timedelta) -> RefundAnswer:
        begun = a_refund(1_000_000, state=RefundState.UNKNOWN, asked=1)
        return await odd.gateway.refund(begun, a_receipt("1"), a_context(opened(), later=later))

    assert isinstance(await again(timedelta(minutes=1)), RefundUnknown)
    assert isinstance(await again(timedelta(minutes=11)), RefundRefused)
    listing.append({"id": 5, "amount": 10000, "status": "approved"})
    assert isinstance(await again(timedelta(minutes=11)), RefundUnknown)
    listing[0]["status"] = "rejected"
    assert isinstance(await again(timedelta(minutes=11)), RefundRefused)
    listing[0] = {"id": 5, "amount": Decimal("1.005")}
    assert isinstance(await again(timedelta(minutes=11)), RefundUnknown)


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        ({"id": 9, "amount": 50000, "status": "approved"}, 201, Refunded),
        ({"id": 9, "amount": 50000, "status": "in_process"}, 201, RefundPending),
        ({"id": 9, "amount": 50000, "status": "teleported"}, 201, RefundPending),
        ({"id": 9, "amount": 40000, "status": "approved"}, 201, RefundUnknown),
        ({"amount": 50000, "status": "approved"}, 201, RefundUnknown),
        ({"id": 9, "status": "approved"}, 201, RefundUnknown),
        ([], 201, RefundUnknown),
        ({"message": "no", "cause": []}, 400, RefundRefused),
        ({"message": "no", "cause": {"code": 2024}}, 404, RefundRefused),
        ({"message": "no"}, 401, RefundRefused),
        ({"message": "no"}, 429, RefundUnknown),
        ({"message": "no"}, 503, RefundUnknown),
        ("html", 400, RefundUnknown),
    ],
)
async def test_what_a_refund_is_answered(odd: Odd, content, status, kind):
    odd.says(content, status)
    said = await odd.gateway.refund(a_refund(), a_receipt("1"), a_context(opened()))
    assert isinstance(said, kind)
    assert not isinstance(said, RefundRefused) or said.text


async def test_keys_that_no_longer_work_say_nothing_about_a_refund_that_was_begun(odd: Odd):
    odd.says({"message": "invalid access token", "error": "unauthorized"}, 401)
    begun = a_refund(state=RefundState.UNKNOWN, asked=1)
    said = await odd.gateway.refund(begun, a_receipt("1"), a_context(opened(), later=timedelta(hours=2)))
    assert isinstance(said, RefundUnknown)
    begun = a_refund(state=RefundState.PROCESSING, asked=1, gateway_refund_id="5")
    assert isinstance(await odd.gateway.refund(begun, a_receipt("1"), a_context(opened())), RefundUnknown)


async def test_a_refund_of_no_payment_of_theirs_is_refused(odd: Odd):
    said = await odd.gateway.refund(a_refund(), a_receipt("../x"), a_context(opened()))
    assert isinstance(said, RefundRefused)
    assert not odd.asked


# Notices of the fake


async def test_the_fakes_notices_are_genuine_and_lead_to_their_payment(shop: Shop):
    attempts = [an_attempt(n) for n in range(1, 7)]
    for attempt in attempts:
        await shop.pay(attempt)
    await shop.fake.drain_notices()
    assert len(shop.notices) == 12
    for notice in shop.notices:
        read = shop.gateway.read_notice(notice, shop.opened)
        assert (read.verdict, read.reason) == ("valid", None)
        [claim] = read.claims
        assert isinstance(await shop.gateway.fetch(claim.gateway_tx_id or "", shop.opened), Reported)
    lengths = {len(n.headers["x-signature"].partition(",")[0]) for n in shop.notices}
    assert lengths == {len("ts=") + 10, len("ts=") + 13}
    assert {"data.id" in n.query for n in shop.notices} == {True, False}


@pytest.mark.parametrize(
    ("tamper", "verdict"),
    [
        (Tamper.BYTE, "invalid"),
        (Tamper.KEY, "invalid"),
        (Tamper.TIMESTAMP, "invalid"),
        (Tamper.HEADER, "unsigned"),
        (Tamper.SIGNATURE, "unsigned"),
        (Tamper.UNSIGNED_FIELD, "valid"),
    ],
)
async def test_the_fakes_forgeries(shop: Shop, tamper, verdict):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(tamper=tamper))
    await shop.pay(attempt)
    await shop.fake.drain_notices()
    assert shop.notices
    for notice in shop.notices:
        assert shop.gateway.read_notice(notice, shop.opened).verdict == verdict


async def test_a_qr_notice_is_unsigned_and_a_copy_of_it_has_the_same_key(shop: Shop):
    attempt = an_attempt()
    shop.fake.scenarios.set(attempt.reference, Scenario(unsigned_qr=True, duplicate=3))
    await shop.pay(attempt)
    await shop.fake.drain_notices()
    read = [shop.gateway.read_notice(n, shop.opened) for n in shop.notices]
    unsigned = [r.dedupe_key for r in read if r.verdict == "unsigned"]
    assert len(unsigned) == 3
    assert len(set(unsigned)) == 1
    assert {r.verdict for r in read} == {"valid", "unsigned"}


# Secrets


async def test_no_secret_is_told(odd: Odd):
    configured = opened()
    with capture_logs() as logs:
        odd.says({"message": TOKEN, "error": TOKEN, "cause": [{"code": 1, "description": TOKEN}]}, 400)
        answers: list[Any] = [
            await odd.gateway.start(an_attempt(), a_context(configured)),
            await odd.gateway.ask(an_attempt(), a_context(configured)),
            await odd.gateway.fetch("1", configured),
            await odd.gateway.refund(a_refund(), a_receipt("1"), a_context(configured)),
            await odd.gateway.verify(configured),
        ]
        broken = msgspec.structs.replace(configured, credentials={"access_token": f"{TOKEN}\r\nX: 1"})
        answers.append(await odd.gateway.ask(an_attempt(), a_context(broken)))
    told = f"{answers} {logs} {configured} {odd.gateway} {odd.gateway.__dict__}"
    assert TOKEN not in told
    assert SECRET not in told
