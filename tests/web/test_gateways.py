"""Paying with a gateway over plain HTTP: every path of the pages, and what forms and gateways must not get away with.

The site runs inside the test, on a database that no worker looks at, so what the pages show is what they asked for.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import msgspec
import pytest
from prometheus_client import CollectorRegistry

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
    Step,
    Unknown,
)
from recaudo.domain.model import Account, Attempt
from recaudo.domain.partial import PartialRule
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer
from recaudo.gateways.sandbox import Sandbox
from recaudo.store.gateways import MethodChoice
from recaudo.usecases import gateways
from recaudo.usecases.core import Core
from recaudo.usecases.gateways import NewGateway
from recaudo.usecases.ports import Bank, Configured, GatewayContext, Method, Terms
from recaudo.web import site as web_site
from recaudo.web.front import SECURITY_HEADERS
from recaudo.web.site import make_site
from tests.databases import bill, core_on, create, new_account, own_database
from tests.web.visiting import Caller, Seen

BASE_URL = "https://pagos.example.com"
BANK_URL = "https://banco.example.com/pse?x=1"
LONG = "9" * 10_000
PERSON = {
    "person_type": "natural",
    "bank": "1007",
    "document_type": "CC",
    "document_number": "1.032.456.789",
    "name": "Ana María  Rojas",
    "phone": "300 123 4567",
    "email": "ana@example.com",
    "terms_accepted": "1",
}
ASKS = ("bank", "person_type", "document", "name", "email", "phone", "terms")
FACT = Fact(gateway_tx_id="tx-1", state=FactState.PROCESSING, amount_minor=5_000_000, currency="COP")


class House(Sandbox):
    """A vendor that answers what the test told it to; everything else is the sandbox's."""

    title = "La Casa"
    for_live_accounts = True
    needs_configuration = True

    def __init__(self, name: str = "house") -> None:
        self.name = name
        self.answer: Callable[[Attempt], Answer] = lambda _: self.began(Redirect(url=BANK_URL))
        self.asked_answer: Answer = Absent()
        self.bank_list: Sequence[Bank] = (Bank("1007", "BANCOLOMBIA"), Bank("1051", "BANCO DAVIVIENDA"))
        self.known_terms: Terms | None = Terms(terms_url="https://v.example/t.pdf", data_url="https://v.example/d.pdf")
        self.heard: list[GatewayContext] = []
        self.asked = 0

    @staticmethod
    def began(step: Step | None, state: FactState = FactState.PROCESSING) -> Reported:
        return Reported(facts=(msgspec.structs.replace(FACT, state=state),), step=step)

    def methods(self, account: Account) -> Sequence[Method]:
        return (
            Method(id="pse", kind="accounts", asks=ASKS),
            Method(id="nequi", kind="accounts", asks=("phone", "email", "terms")),
            Method(id="card", kind="cards"),
        )

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        return self.bank_list

    async def terms(self, configured: Configured) -> Terms | None:
        return self.known_terms

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        self.heard.append(context)
        return self.answer(attempt)

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        self.asked += 1
        return self.asked_answer


@dataclass
class Stage:
    """A merchant with one gateway, one thing to pay, and somebody who visits its page."""

    core: Core
    account: Account
    house: House
    visitor: Caller
    path: str
    logged: list[str] = field(default_factory=list[str])

    async def attempts(self) -> list[Any]:
        async with self.core.database.connection() as connection:
            return await connection.fetch("SELECT * FROM attempt WHERE account_id = $1 ORDER BY id", self.account.id)

    async def choose(self, method: str = "house:pse", **changes: str) -> Seen:
        """The first form; the page it leads to, if it leads to one."""
        chosen = await self.visitor.submit(await self.visitor.get(self.path), headers=None, method=method, **changes)
        return await self.visitor.get(chosen.headers["Location"]) if chosen.status == 303 else chosen

    async def details(self, **changes: str) -> Seen:
        """The second form, filled in."""
        filled: dict[str, str] = {**PERSON, **changes}
        page = await self.choose()
        return await self.visitor.post(page.document.action, {**page.document.fields, **filled})

    async def show(self) -> Seen:
        return await self.visitor.get(self.path)

    @property
    def return_path(self) -> str:
        """Where the gateway was told to send the browser."""
        return self.house.heard[-1].return_url.removeprefix(BASE_URL)


@pytest.fixture(scope="module")
async def core(embedded_url: str) -> AsyncIterator[Core]:
    """The use cases over a database where no worker is."""
    async with own_database(embedded_url) as url, core_on(url) as made:
        yield made


async def set_up(core: Core, account: Account, name: str, position: int = 0, **fields: Any) -> None:
    command = NewGateway(kind=name, credentials={}, position=position, **fields)
    await gateways.create(core, account, command, lambda _: (201, b"{}"), once=None)


async def payment_path(core: Core, account: Account, **fields: Any) -> str:
    created = await create(core, account, bill(email="deudor@ejemplo.com", **fields))
    async with core.database.connection() as connection:
        found = await connection.fetchval(
            "SELECT collection_id FROM invoice WHERE account_id = $1 AND id = $2",
            account.id,
            UUID(created.answer.decode()),
        )
    return f"/payment/{found}"


@pytest.fixture
async def stage(core: Core) -> Stage:
    """A test account with the house. There is no sandbox that could step in for it."""
    house = House()
    core = msgspec.structs.replace(core, gateways={"house": house})
    account = await new_account(core)
    await set_up(core, account, "house")
    return Stage(core, account, house, Caller(site_of(core), "203.0.113.7"), await payment_path(core, account))


def site_of(core: Core) -> Any:
    return make_site(
        core,
        observer=Observer(CollectorRegistry()),
        limiter=RateLimiter(),
        base_url=BASE_URL,
        secret_key="a key of tests",
        proxy_hops=0,
    )


# Choosing, and what is asked.


async def test_a_method_that_asks_leads_to_a_page_that_asks_just_that(stage: Stage) -> None:
    chosen = await stage.visitor.submit(await stage.show(), method="house:nequi")
    assert chosen.status == 303
    assert urlsplit(chosen.headers["Location"]).path == f"{stage.path}/details"
    page = await stage.visitor.get(chosen.headers["Location"])
    assert page.document.page == "details"
    assert {"phone", "email", "terms_accepted"} <= set(page.document.fields)
    assert not {"bank", "person_type", "document_number", "name"} & set(page.document.fields)
    assert await stage.attempts() == []


async def test_the_details_do_not_tell_who_owes(stage: Stage) -> None:
    page = await stage.choose()
    for secret in ("3167591030", "deudor@ejemplo.com", "1060500333"):
        assert secret not in page.text
    assert "$ 50.000" in page.document.words
    assert page.headers["Content-Security-Policy"] == SECURITY_HEADERS["Content-Security-Policy"]


async def test_the_gateway_hears_what_was_typed_and_nobody_keeps_it(stage: Stage) -> None:
    began = await stage.visitor.submit(
        await stage.choose(), headers={"User-Agent": "Telefono/1 " + "x" * 500}, **PERSON
    )
    assert began.status == 303
    assert began.headers["Location"] == f"{stage.path}/continue?lang=es"
    (heard,) = stage.house.heard
    assert heard.payer == {
        **PERSON,
        "document_number": "1032456789",
        "name": "Ana María Rojas",
        "phone": "+573001234567",
        "ip": "203.0.113.7",
        "user_agent": ("Telefono/1 " + "x" * 500)[:256],
    }
    (attempt,) = await stage.attempts()
    assert heard.return_url == f"{BASE_URL}{stage.path}/return/{attempt['once_key']}"
    kept = " ".join(str(value) for value in attempt.values())
    for secret in ("1032456789", "Ana", "3001234567", "ana@example.com", "203.0.113.7", "Telefono"):
        assert secret not in kept


WRONG: Sequence[tuple[Mapping[str, str], str]] = [
    ({"person_type": ""}, "Elija quién paga."),
    ({"person_type": "both"}, "Elija quién paga."),
    ({"bank": ""}, "Elija el banco"),
    ({"bank": "9999"}, "Elija el banco"),
    ({"bank": LONG}, "Elija el banco"),
    ({"document_type": "XX"}, "Elija un tipo de documento"),
    ({"document_number": ""}, "Escriba el número completo"),
    ({"document_number": "12"}, "Escriba el número completo"),
    ({"document_number": "12345678901"}, "Escriba el número completo"),
    ({"document_number": "10324567B9"}, "Escriba el número completo"),
    ({"document_number": LONG}, "Escriba el número completo"),
    ({"document_type": "NIT", "document_number": "900123456-88"}, "Escriba el número completo"),
    ({"name": ""}, "Escriba el nombre completo"),
    ({"name": "x" * 101}, "Escriba el nombre completo"),
    ({"name": "1234"}, "Escriba el nombre completo"),
    ({"name": "Ana\x00"}, "Escriba el nombre completo"),
    ({"name": LONG}, "Escriba el nombre completo"),
    ({"phone": "123"}, "Escriba un celular"),
    ({"phone": "+1 202 555 0134"}, "Escriba un celular"),
    ({"phone": LONG}, "Escriba un celular"),
    ({"email": "ana"}, "Escriba un correo completo"),
    ({"email": LONG + "@example.com"}, "Escriba un correo completo"),
    ({"terms_accepted": ""}, "tiene que aceptar"),
    ({"terms_accepted": "yes"}, "tiene que aceptar"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
async def test_what_is_wrong_is_said_and_nothing_is_begun(
    stage: Stage, changes: Mapping[str, str], sentence: str
) -> None:
    seen = await stage.details(**changes)
    assert seen.status == 200
    assert sentence in seen.document.words
    assert seen.text.count('class="field-error"') == 1
    assert len(seen.body) < 20_000
    assert seen.document.fields["name"] == changes.get("name", PERSON["name"])[:300].replace("\x00", "")
    assert "terms_accepted" in seen.document.fields
    assert await stage.attempts() == []
    again = await stage.visitor.submit(seen, headers=None, **PERSON)
    assert again.status == 303


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"document_type": "NIT", "document_number": "900.123.456-8"}, "900123456-8"),
        ({"document_type": "CE", "document_number": "E12345"}, "E12345"),
        ({"document_type": "PP", "document_number": "AB 123 456"}, "AB123456"),
    ],
)
async def test_documents_are_read_as_people_write_them(stage: Stage, changes: dict[str, str], number: str) -> None:
    await stage.details(**changes, person_type="legal")
    assert stage.house.heard[0].payer["document_number"] == number


async def test_nequi_wants_a_mobile(stage: Stage) -> None:
    page = await stage.choose("house:nequi")
    sent = {"phone": "601 234 5678", "email": "a@example.com", "terms_accepted": "1"}
    assert "Escriba un celular" in (await stage.visitor.submit(page, headers=None, **sent)).document.words
    assert (await stage.visitor.submit(page, headers=None, **{**sent, "phone": "3991111111"})).status == 303


@pytest.mark.parametrize("method", ["house:steal", "sandbox:pse", "", "house:", "\x00", LONG])
async def test_a_method_that_is_not_offered_begins_nothing(stage: Stage, method: str) -> None:
    page = await stage.choose()
    seen = await stage.visitor.submit(page, headers=None, **{**PERSON, "method": method})
    assert seen.status == 200
    assert "Elija cómo quiere pagar." in seen.document.words
    assert await stage.attempts() == []
    looked = await stage.visitor.get(f"{stage.path}/details?lang=es&method=nothing")
    assert looked.status == 303
    assert looked.headers["Location"].startswith(f"{stage.path}?")


async def test_a_balance_that_changed_is_shown_before_it_is_paid(stage: Stage) -> None:
    page = await stage.choose()
    seen = await stage.visitor.submit(page, headers=None, **{**PERSON, "full_minor": "4900000"})
    assert "El saldo cambió" in seen.document.words
    assert await stage.attempts() == []


async def test_without_banks_pse_says_so_and_the_others_are_offered(stage: Stage) -> None:
    stage.house.bank_list = ()
    seen = await stage.choose()
    assert seen.document.page == "payment-payable"
    assert "PSE no responde en este momento." in seen.document.words
    assert "Nequi" in seen.document.words


@pytest.mark.parametrize("terms", [None, Terms(terms_url="javascript:alert(1)", data_url="https://v.example/d")])
async def test_terms_that_nobody_can_read_are_not_asked_for(stage: Stage, terms: Terms | None) -> None:
    stage.house.known_terms = terms
    seen = await stage.choose("house:nequi")
    assert seen.document.page == "payment-payable"
    assert "no está disponible en este momento" in seen.document.words
    assert "javascript:" not in seen.text


async def test_an_amount_that_the_method_does_not_take_is_refused_in_words(core: Core, stage: Stage) -> None:
    account = await new_account(stage.core)
    limits = (MethodChoice(id="card"), MethodChoice(id="pse", max_minor=1_000_000))
    await set_up(stage.core, account, "house", methods=limits)
    path = await payment_path(stage.core, account)
    page = await stage.visitor.get(path)
    # With one amount only, what does not take it is not offered.
    assert "house:pse" not in page.text
    seen = await stage.visitor.submit(page, method="house:pse")
    assert "Elija cómo quiere pagar." in seen.document.words


async def test_a_part_that_the_first_gateway_does_not_take_goes_to_the_next(core: Core) -> None:
    second = House("second")
    core = msgspec.structs.replace(core, gateways={"house": House(), "second": second})
    account = await new_account(core)
    await set_up(core, account, "house", methods=(MethodChoice(id="card", min_minor=3_000_000),))
    await set_up(core, account, "second", 1, methods=(MethodChoice(id="card", max_minor=2_000_000),))
    visitor = Caller(site_of(core))
    page = await visitor.get(await payment_path(core, account, partial=PartialRule(min_minor=100_000)))
    assert page.text.count('value="house:card"') == 1
    assert "second:card" not in page.text, "each way to pay is there once"
    between = await visitor.submit(page, method="house:card", choice="part", amount="25000")
    assert between.status == 200
    assert second.heard == []
    confirmed = await visitor.submit(page, method="house:card", choice="part", amount="15000")
    await visitor.submit(confirmed)
    assert [context.invoice.account_id for context in second.heard] == [account.id]


async def test_the_simulated_outcomes_are_the_sandboxs_only(stage: Stage) -> None:
    gateways: Any = stage.core.gateways
    gateways["sandbox"] = Sandbox()
    page = await stage.show()
    assert "Resultado de la prueba" not in page.document.words
    assert "sandbox:" not in page.text
    await stage.visitor.submit(page, method="house:card", outcome="approve")
    (attempt,) = await stage.attempts()
    assert "outcome" not in attempt["gateway_data"]


# Beginning.


async def test_the_gateways_refusal_is_read_once_by_who_typed(stage: Stage) -> None:
    stage.house.answer = lambda _: Refused(code="payer_data_invalid", text="<b>Documento</b> inválido " + "x" * 999)
    page = await stage.choose()
    seen = await stage.visitor.submit(page, headers=None, **PERSON)
    assert seen.document.page == "details"
    assert "&lt;b&gt;Documento&lt;/b&gt; inválido" in seen.text
    assert "x" * 301 not in seen.text
    assert seen.document.fields["document_number"] == PERSON["document_number"]
    assert seen.document.fields["attempt_key"] != page.document.fields["attempt_key"]
    other = await stage.show()
    assert other.document.page == "payment-payable"
    assert "Documento" not in other.document.words
    stage.house.answer = lambda _: House.began(Redirect(url=BANK_URL))
    assert (await stage.visitor.submit(seen, headers=None, **PERSON)).status == 303


async def test_a_refusal_of_a_method_that_asks_nothing_is_told_on_the_page(stage: Stage) -> None:
    stage.house.answer = lambda _: Refused(code="gateway_refused", text="La Casa no aceptó este pago.")
    seen = await stage.choose("house:card")
    assert seen.document.page == "payment-payable"
    assert "La Casa no aceptó este pago." in seen.document.words


async def test_a_gateway_that_is_away_leaves_the_other_ways(stage: Stage) -> None:
    stage.house.answer = lambda _: NotSent(reason="down")
    seen = await stage.details()
    assert seen.document.page == "payment-payable"
    assert "no está disponible en este momento" in seen.document.words
    assert "no estaba disponible" in (await stage.show()).document.words


async def test_the_next_gateway_is_taken_and_its_payer_comes_back_to_it(stage: Stage) -> None:
    second = House("second")
    core = msgspec.structs.replace(stage.core, gateways={**stage.core.gateways, "second": second})
    account = await new_account(core)
    await set_up(core, account, "house")
    await set_up(core, account, "second", 1)
    visitor = Caller(site_of(core))
    stage.house.answer = lambda _: NotSent(reason="down")
    path = await payment_path(core, account)
    began = await visitor.submit(await visitor.get(path), method="house:card")
    assert began.headers["Location"] == f"{path}/continue?lang=es"
    second.asked_answer = House.began(None, FactState.SUCCEEDED)
    back = await visitor.get(second.heard[0].return_url.removeprefix(BASE_URL))
    assert back.status == 303
    assert (await visitor.get(back.headers["Location"])).document.page == "payment-paid"


async def test_the_way_to_the_bank_is_a_page_of_ours(stage: Stage) -> None:
    began = await stage.details()
    page = await stage.visitor.get(began.headers["Location"])
    assert f'content="0; url={BANK_URL}"' in page.text
    assert BANK_URL in page.document.links
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Content-Security-Policy"] == SECURITY_HEADERS["Content-Security-Policy"]


async def test_a_checkouts_form_may_go_there_and_nowhere_else(stage: Stage) -> None:
    form = Form(
        action="https://checkout.example.com/p/",
        fields=(("public-key", "pub_test_1"), ("signature:integrity", "abc"), ("x", '"><script>')),
    )
    until = stage.core.now(stage.account) + timedelta(hours=1)
    stage.house.answer = lambda _: Reported(step=form, payable_until=until)
    page = await stage.choose("house:card")
    assert page.document.page == "handoff"
    assert page.document.action == form.action
    assert list(page.document.fields.items()) == list(form.fields)
    assert "<script>" not in page.text
    assert page.headers["Content-Security-Policy"] == SECURITY_HEADERS["Content-Security-Policy"].replace(
        "form-action 'self'", "form-action https://checkout.example.com"
    )
    # Nothing is charged yet, so the page can be paid in another way; the way back is offered.
    first = await stage.show()
    assert first.document.page == "payment-payable"
    assert "Un pago de $ 50.000 quedó empezado" in first.document.words
    assert f"{stage.path}/continue?lang=es" in first.document.links


@pytest.mark.parametrize(
    "step",
    [
        Redirect(url="javascript:alert(1)"),
        Redirect(url="/payment/other"),
        Redirect(url="//evil.example"),
        Redirect(url="https://good.example@evil.example/"),
        Form(action="javascript:alert(1)", fields=()),
        Form(action="https://evil.example;script-src *", fields=()),
        Picture(image="PHN2Zz4=", media_type="text/html"),
        Picture(image='"><script>alert(1)</script>'),
    ],
)
async def test_a_forged_step_leads_nowhere(stage: Stage, step: Step) -> None:
    stage.house.answer = lambda _: House.began(step)
    began = await stage.details()
    assert began.headers["Location"] == f"{stage.path}?lang=es"
    page = await stage.show()
    assert page.document.page == "payment-in_progress"
    for word in ("evil", "javascript", "alert(1)", "data:"):
        assert word not in page.text
    onward = await stage.visitor.get(f"{stage.path}/continue")
    assert (onward.status, onward.headers["Location"]) == (303, f"{stage.path}?lang=es")


async def test_a_picture_is_shown_on_the_page_that_waits(stage: Stage) -> None:
    image = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()
    stage.house.answer = lambda _: House.began(Picture(image=image))
    page = await stage.visitor.get((await stage.details()).headers["Location"])
    assert page.document.page == "payment-in_progress"
    assert f'src="data:image/svg+xml;base64,{image}"' in page.text
    assert "img-src 'self' data:;" in page.headers["Content-Security-Policy"]
    assert 'http-equiv="refresh"' in page.text


async def test_a_picture_that_was_meant_for_inside_a_page_is_made_a_file(stage: Stage) -> None:
    stage.house.answer = lambda _: House.began(Picture(image=base64.b64encode(b"<svg width='1'/>").decode()))
    page = await stage.visitor.get((await stage.details()).headers["Location"])
    shown = page.text.partition('src="data:image/svg+xml;base64,')[2].partition('"')[0]
    assert base64.b64decode(shown) == b"<svg xmlns=\"http://www.w3.org/2000/svg\" width='1'/>"


async def test_an_application_is_named(stage: Stage) -> None:
    stage.house.answer = lambda _: House.began(Confirm(application="<Nequi>"))
    page = await stage.visitor.get((await stage.details()).headers["Location"])
    assert "Abra <Nequi> y acepte el pago" in page.document.words


async def test_a_step_that_comes_later_shows_when_it_comes(stage: Stage) -> None:
    stage.house.answer = lambda _: House.began(None)
    assert (
        "Continuar el pago" not in (await stage.visitor.get((await stage.details()).headers["Location"])).document.words
    )
    stage.house.asked_answer = House.began(Redirect(url=BANK_URL))
    await stage.visitor.get(stage.return_path)
    assert "Continuar el pago" in (await stage.show()).document.words


async def test_an_unanswered_beginning_waits(stage: Stage) -> None:
    stage.house.answer = lambda _: Unknown(reason="no answer")
    page = await stage.visitor.get((await stage.details()).headers["Location"])
    assert page.document.page == "payment-in_progress"
    assert "No se le cobró nada" not in page.document.words


async def test_the_same_details_sent_twice_are_one_payment(stage: Stage) -> None:
    page = await stage.choose()
    first = await stage.visitor.submit(page, headers=None, **PERSON)
    second = await stage.visitor.submit(page, headers=None, **PERSON)
    assert first.headers["Location"] == second.headers["Location"] == f"{stage.path}/continue?lang=es"
    assert len(await stage.attempts()) == 1


async def test_a_payment_that_the_gateway_has_not_heard_of_yet_is_not_offered_again(stage: Stage) -> None:
    looks: list[Seen] = []

    async def start(attempt: Attempt, context: GatewayContext) -> Answer:
        looks.append(await stage.show())
        return House.began(Redirect(url=BANK_URL))

    stage.house.start = start
    await stage.details()
    assert looks[0].document.page == "payment-in_progress"
    assert "$ 50.000" in looks[0].document.words


# Coming back.


async def test_who_comes_back_sees_what_the_gateway_says_and_not_what_the_address_says(stage: Stage) -> None:
    await stage.details()
    stage.house.asked_answer = House.began(None)
    lies = "?id=tx-1&status=approved&env=test&transactionState=4&lang=es&next=https://evil.example"
    back = await stage.visitor.get(stage.return_path + lies)
    assert back.status == 303
    assert back.headers["Location"] == f"{stage.path}?lang=es&returned=1"
    page = await stage.visitor.get(back.headers["Location"])
    assert page.document.page == "payment-in_progress"
    assert "¿No terminó en la página del banco?" in page.document.words
    stage.house.asked_answer = House.began(None, FactState.SUCCEEDED)
    back = await stage.visitor.get(stage.return_path + "?status=declined")
    assert (await stage.visitor.get(back.headers["Location"])).document.page == "payment-paid"
    # What is decided is not asked about any more, and looking asks nobody.
    asked = stage.house.asked
    await stage.visitor.get(stage.return_path)
    await stage.show()
    assert stage.house.asked == asked


async def test_a_decline_is_told_on_return(stage: Stage) -> None:
    await stage.details()
    stage.house.asked_answer = Reported(
        facts=(msgspec.structs.replace(FACT, state=FactState.FAILED, failure_code="INSUFFICIENT_FUNDS"),)
    )
    back = await stage.visitor.get(stage.return_path)
    page = await stage.visitor.get(back.headers["Location"])
    assert page.document.page == "payment-payable"
    assert "No había saldo suficiente. No se le cobró nada." in page.document.words


async def test_the_language_comes_back_too(stage: Stage) -> None:
    page = await stage.visitor.get(f"{stage.path}?lang=en")
    chosen = await stage.visitor.submit(page, method="house:card")
    assert chosen.headers["Location"] == f"{stage.path}/continue?lang=en"
    assert parse_qs(urlsplit(stage.return_path).query) == {"lang": ["en"]}
    back = await stage.visitor.get(stage.return_path)
    assert back.headers["Location"] == f"{stage.path}?lang=en&returned=1"


async def test_a_return_that_nobody_was_told_is_not_found(stage: Stage) -> None:
    await stage.details()
    other = await payment_path(stage.core, stage.account, reference="otra", phone="+573167591031")
    key = stage.return_path.rpartition("/")[2]
    for path in (f"{stage.path}/return/x", f"{stage.path}/return/{'x' * 5000}", f"{other}/return/{key}"):
        assert (await stage.visitor.get(path)).status == 404
    assert stage.house.asked == 0


async def test_coming_back_again_and_again_does_not_ask_each_time(stage: Stage) -> None:
    await stage.details()
    for _ in range(12):
        assert (await stage.visitor.get(stage.return_path)).status == 303
    assert stage.house.asked == 5


async def test_a_gateway_that_thinks_long_does_not_hold_the_payer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.details()

    async def ask(attempt: Attempt, context: GatewayContext) -> Answer:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(web_site, "RETURN_ASK_S", 0.05)
    stage.house.ask = ask
    back = await stage.visitor.get(stage.return_path)
    assert back.status == 303
    assert (await stage.visitor.get(back.headers["Location"])).document.page == "payment-in_progress"


async def test_a_receipt_names_the_bank_and_its_cus(stage: Stage) -> None:
    method = {"brand": "PSE", "label": "PSE BANCOLOMBIA", "bank": "BANCOLOMBIA", "bank_trace": "CUS-778899"}
    stage.house.answer = lambda _: Reported(
        facts=(msgspec.structs.replace(FACT, state=FactState.SUCCEEDED, method=method),)
    )
    page = await stage.visitor.get((await stage.details()).headers["Location"])
    assert "PSE · BANCOLOMBIA" in page.document.words
    assert "CUS de PSE" in page.document.words
    assert "CUS-778899" in page.document.words


async def test_what_the_payer_accepted_is_kept_with_the_attempt(stage: Stage) -> None:
    await stage.details()
    (attempt,) = await stage.attempts()
    assert attempt["gateway_data"]["accepted"] == {
        "terms_url": "https://v.example/t.pdf",
        "data_url": "https://v.example/d.pdf",
    }
    assert PERSON["document_number"] not in str(attempt["gateway_data"])
