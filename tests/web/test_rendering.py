"""Every page in every state: whole, safe, light, and usable without a mouse, a style or a script."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page as Tab, Route, sync_playwright

from recaudo.web import rendering
from recaudo.web.front import SECURITY_HEADERS
from recaudo.web.i18n import LANGUAGES, Language
from recaudo.web.views import (
    MESSAGE_STATUS,
    AmountChoice,
    AmountError,
    BankChoice,
    ConfirmationPage,
    DetailField,
    DetailsPage,
    DocumentType,
    FailureKind,
    FormField,
    HandoffPage,
    Merchant,
    MessageKind,
    MessagePage,
    MethodChoice,
    MethodKind,
    NoticeKind,
    OutcomeId,
    PaymentForm,
    PaymentPage,
    PaymentState,
    PortalError,
    PortalPage,
    PortalRow,
    ReceiptLine,
    StepView,
)

BOGOTA = ZoneInfo("America/Bogota")
PATH = "/payment/0198f3a2-7c1e-7b52-9d40-1f6f0d1b2c3d"
LINK = "https://pagos.example.com" + PATH
CHROMIUM = Path("/usr/bin/chromium")
PAGE_LIMIT_BYTES = 60_000
USUAL_PAGE_BYTES = 32_000

LONG_WORD = "Supercalifragilistico" * 5
FAMILY = "👨\u200d👩\u200d👧"
HOSTILE = f"<script>alert(1)</script>\" onload='x' \u202egpj.exe {LONG_WORD} {FAMILY} مرحبا {{{{ 7 * 7 }}}}"
HUGE_SUM = "$ 999.999.999.999,99"

MERCHANT = Merchant(
    name="Colegio Nuestra Señora de la Paz",
    slug="colegio-la-paz",
    portal_url="https://pagos.example.com/colegio-la-paz",
    support_contact="601 555 0134",
)
HOSTILE_MERCHANT = replace(MERCHANT, name=HOSTILE, support_contact=HOSTILE)
METHODS = tuple(MethodChoice(id=f"m-{kind}", kind=kind) for kind in get_args(MethodKind))
RECEIPT = ReceiptLine(
    number="R-184", amount_label="$ 20.000", at=datetime(2025, 10, 3, 9, 12, tzinfo=BOGOTA), method="nequi"
)
REFUND = replace(RECEIPT, number="R-190", amount_label="-$ 20.000", is_refund=True)

FULL = AmountChoice(kind="full_only", full_minor=5_000_000, full_label="$ 50.000")
PARTS = AmountChoice(
    kind="parts",
    full_minor=5_000_000,
    full_label="$ 50.000",
    min_label="$ 10.000",
    max_label="$ 40.000",
    parts_left=3,
)
PARTS_ONLY = AmountChoice(kind="parts", min_label="$ 10.000", max_label="$ 20.000", parts_left=4)
OPEN = AmountChoice(kind="open")


def form(amount: AmountChoice = FULL, **changes: Any) -> PaymentForm:
    made = PaymentForm(action=PATH + "/pay", csrf_token="csrf-1", attempt_key="key-1", amount=amount, methods=METHODS)
    return replace(made, **changes)


def payment(state: PaymentState = "payable", **changes: Any) -> PaymentPage:
    made = PaymentPage(
        lang="es",
        merchant=MERCHANT,
        is_test=False,
        page_path=PATH,
        link=LINK,
        state=state,
        title="Pensión de octubre",
        reference="1032456789",
        amount_label="$ 50.000",
        balance_label="$ 50.000",
        form=form() if state == "payable" else None,
    )
    return replace(made, **changes)


def portal(**changes: Any) -> PortalPage:
    made = PortalPage(
        lang="es",
        merchant=MERCHANT,
        is_test=False,
        page_path="/colegio-la-paz",
        form_action="/colegio-la-paz",
        csrf_token="csrf-1",
    )
    return replace(made, **changes)


ROWS = (
    PortalRow(title="Pensión", balance_label="$ 50.000", url=PATH, due_on=date(2025, 9, 20), is_overdue=True),
    PortalRow(title="Donación", balance_label=None, url=PATH),
)
CONFIRMATION = ConfirmationPage(
    lang="es",
    merchant=MERCHANT,
    is_test=False,
    page_path=PATH,
    title="Pensión de octubre",
    amount_minor=2_000_000,
    amount_label="$ 20.000",
    method=METHODS[0],
    action=PATH + "/pay",
    csrf_token="csrf-1",
    attempt_key="key-1",
)
HANDOFF = HandoffPage(
    lang="es",
    merchant=MERCHANT,
    is_test=False,
    page_path=PATH,
    destination="gateway",
    url="https://checkout.example.com/p/?a=1&b=2",
    amount_label="$ 50.000",
    method="pse",
)
CHECKOUT = replace(
    HANDOFF, url="https://checkout.example.com/p/", fields=(("public-key", "p"), ("signature:integrity", "s"))
)
DETAILS = DetailsPage(
    lang="es",
    merchant=MERCHANT,
    is_test=False,
    page_path=PATH,
    title="Pensión de octubre",
    amount_label="$ 50.000",
    method=MethodChoice(id="wompi:pse", kind="pse"),
    gateway="Wompi",
    action=PATH + "/details",
    csrf_token="csrf-1",
    attempt_key="key-1",
    choice=(("method", "wompi:pse"), ("choice", "full"), ("full_minor", "5000000")),
    asks=get_args(DetailField),
    back_url=PATH,
    language_url=PATH + "/details?lang=en",
    banks=(BankChoice(code="1007", name="BANCOLOMBIA"), BankChoice(code="1051", name="BANCO DAVIVIENDA")),
    document_types=get_args(DocumentType),
    terms_url="https://vendor.example.com/terms.pdf",
    data_url="https://vendor.example.com/data.pdf",
    typed=dict.fromkeys(get_args(DetailField), ""),
)
GO = StepView(kind="go", amount_label="$ 50.000", method="pse", url=PATH + "/continue?lang=es")
# A picture of one dot.
SCAN = StepView(
    kind="scan", amount_label="$ 50.000", method="bancolombia_qr", picture="data:image/gif;base64,R0lGODlhAQABAAAAACw="
)
CONFIRM = StepView(kind="confirm", amount_label="$ 50.000", method="nequi", application="Nequi")
OUTCOMES: tuple[OutcomeId, ...] = get_args(OutcomeId)


def gateway_pages() -> Iterator[tuple[str, rendering.Page]]:
    """The pages between the choice of a gateway's method and its answer."""
    for step in (GO, replace(GO, is_quiet=True), SCAN, CONFIRM):
        quiet = ", quiet" if step.is_quiet else ""
        yield f"step {step.kind}{quiet}", payment("in_progress", step=step, attempt_label="$ 50.000", refresh_url=PATH)
    yield "begun", payment(step=replace(GO, is_quiet=True), refresh_url=PATH)
    yield (
        "failure in the gateway's words",
        payment(failure="not_taken", failure_text="Mercado Pago no aceptó este pago."),
    )
    yield "paid by PSE", payment("paid", receipts=(replace(RECEIPT, method="pse", trace="1234567"),))
    yield "details", DETAILS
    yield "details, refused", replace(DETAILS, refusal="Documento inválido", notice="paying_again", is_test=True)
    for kind in ("nequi", "bancolombia", "bancolombia_qr", "other"):
        asks: tuple[DetailField, ...] = ("phone", "email", "terms") if kind == "nequi" else ("email", "terms")
        yield f"details of {kind}", replace(DETAILS, method=MethodChoice(id="m", kind=kind), asks=asks)
    for field in get_args(DetailField):
        yield f"details, {field} wrong", replace(DETAILS, errors=(field,))


def every_page() -> Iterator[tuple[str, rendering.Page]]:
    """One page for each state and each kind that a catalog must have words for."""
    yield "payable", payment()
    yield (
        "payable, everything",
        payment(
            is_test=True,
            description="Incluye restaurante",
            document_url="https://docs.example.com/1.pdf",
            due_on=date(2025, 10, 20),
            is_overdue=True,
            expires_at=datetime(2025, 11, 20, 23, 59, tzinfo=BOGOTA),
            received_label="$ 20.000",
            received_percent=40,
            receipts=(RECEIPT, REFUND),
            form=form(PARTS, outcomes=OUTCOMES),
        ),
    )
    yield "payable, parts only", payment(form=form(PARTS_ONLY))
    yield "payable, last part", payment(form=form(replace(FULL, parts_left=1)))
    yield "payable, one method", payment(form=form(methods=METHODS[:1]))
    yield "payable, no way to pay", payment(form=None)
    yield "open", payment(amount_label=None, balance_label=None, form=form(OPEN))
    yield (
        "open, received",
        payment(
            amount_label=None,
            balance_label=None,
            received_label="$ 5",
            form=form(replace(OPEN, min_label="$ 1")),
        ),
    )
    yield "open, capped", payment(amount_label=None, form=form(replace(OPEN, max_label="$ 9")))
    yield "open, exact", payment(form=form(replace(OPEN, min_label="$ 9", max_label="$ 9")))
    for error in get_args(AmountError):
        yield f"error {error}", payment(form=form(PARTS, typed_amount="5", amount_error=error))
    for failure in get_args(FailureKind):
        yield f"failure {failure}", payment(failure=failure)
    for notice in get_args(NoticeKind):
        yield f"notice {notice}", payment(notice=notice)
    for state in get_args(PaymentState):
        if state != "payable":
            yield state, payment(state)
            yield (
                f"{state}, everything",
                payment(
                    state,
                    receipts=(RECEIPT, REFUND),
                    received_label="$ 20.000",
                    attempt_label="$ 5.000",
                    return_url="https://shop.example.com/",
                    successor_url=PATH,
                ),
            )
            yield f"{state}, one receipt", payment(state, receipts=(RECEIPT,), is_test=True)
    yield "confirmation", CONFIRMATION
    yield "confirmation, test", replace(CONFIRMATION, is_test=True, outcome="approve")
    yield "handoff", HANDOFF
    yield "handoff with a form", CHECKOUT
    yield from gateway_pages()
    yield "handoff back", replace(HANDOFF, destination="merchant", amount_label=None, method=None)
    yield "portal", portal()
    yield "portal, rows", portal(query="1032", rows=ROWS, is_test=True)
    yield "portal, miss", portal(query="1032", rows=())
    for error in get_args(PortalError):
        yield f"portal {error}", portal(query="1", error=error)
    for kind in get_args(MessageKind):
        yield f"message {kind}", MessagePage(lang="es", kind=kind, page_path=PATH)
        yield (
            f"message {kind}, merchant",
            MessagePage(lang="es", kind=kind, page_path=PATH, merchant=MERCHANT),
        )
    yield (
        "hostile payable",
        payment(
            merchant=HOSTILE_MERCHANT,
            title=HOSTILE,
            description=HOSTILE + HOSTILE,
            reference=LONG_WORD,
            balance_label=HUGE_SUM,
            received_label=HUGE_SUM,
            receipts=(replace(RECEIPT, number=LONG_WORD, amount_label=HUGE_SUM),),
            form=form(
                replace(PARTS, full_label=HUGE_SUM, max_label=HUGE_SUM),
                methods=(MethodChoice(id=HOSTILE, kind="other", label=HOSTILE, hint=LONG_WORD), METHODS[0]),
                typed_amount=HOSTILE,
                amount_error="unreadable",
            ),
        ),
    )
    yield (
        "hostile details",
        replace(
            DETAILS,
            merchant=HOSTILE_MERCHANT,
            title=HOSTILE,
            amount_label=HUGE_SUM,
            gateway=HOSTILE,
            banks=(BankChoice(code='"><script>', name=HOSTILE),),
            typed=dict.fromkeys(get_args(DetailField), HOSTILE),
            errors=get_args(DetailField),
            refusal=HOSTILE,
        ),
    )
    yield (
        "hostile paid",
        payment(
            "paid",
            merchant=HOSTILE_MERCHANT,
            title=HOSTILE,
            received_label=HUGE_SUM,
            return_url="https://shop.example.com/" + LONG_WORD,
            receipts=(replace(RECEIPT, method_detail=HOSTILE), replace(RECEIPT, amount_label=HUGE_SUM)),
        ),
    )
    yield (
        "hostile portal",
        portal(
            merchant=HOSTILE_MERCHANT,
            query=HOSTILE,
            rows=(replace(ROWS[0], title=HOSTILE, balance_label=HUGE_SUM),),
        ),
    )


PAGES = dict(every_page())
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
each_language = pytest.mark.parametrize("language", LANGUAGES)


def render(page: rendering.Page) -> str:
    match page:
        case PaymentPage():
            return rendering.render_payment(page)
        case ConfirmationPage():
            return rendering.render_confirmation(page)
        case DetailsPage():
            return rendering.render_details(page)
        case HandoffPage():
            return rendering.render_handoff(page)
        case PortalPage():
            return rendering.render_portal(page)
        case MessagePage():
            return rendering.render_message(page)


def weigh(page: rendering.Page) -> int:
    """Bytes that a first visit loads, before any compression."""
    return len(render(page).encode()) + sum(len(file.body) for file in rendering.static_files().values())


class Document(HTMLParser):
    """The elements of a page in order, with their attributes, and the text inside them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> list[str | None]:
        return [attributes.get("href") for attributes in self.all("a")]

    def field(self, name: FormField) -> list[dict[str, str | None]]:
        return [attributes for attributes in self.all("input") if attributes.get("name") == name]

    def words(self) -> str:
        return " ".join(self.text.split())


@each_language
@each_page
def test_every_page_is_whole(page: rendering.Page, language: Language) -> None:
    html = render(replace(page, lang=language))
    document = Document(html)
    assert html.startswith("<!doctype html>")
    assert document.all("html")[0]["lang"] == {"es": "es-CO", "en": "en"}[language]
    for only_one in ("h1", "main", "header", "footer", "title"):
        assert len(document.all(only_one)) == 1, only_one
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "None" not in document.text


@each_page
def test_no_page_needs_what_a_strict_policy_forbids(page: rendering.Page) -> None:
    document = Document(render(page))
    assert document.all("style") == []
    assert all(attributes.get("src") for attributes in document.all("script"))
    for tag, attributes in document.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
    loaded = [attributes.get("src") for _, attributes in document.elements if "src" in attributes]
    loaded += [attributes["href"] for attributes in document.all("link")]
    pictures = [url for url in loaded if url and url.startswith("data:image/")]
    assert all(url and url.startswith(rendering.STATIC_PREFIX) for url in loaded if url not in pictures)
    assert bool(pictures) == ("data:" in rendering.policy(page))
    outside = [of["action"] for of in document.all("form") if not (of["action"] or "").startswith("/")]
    assert outside == ([page.url] if isinstance(page, HandoffPage) and page.fields is not None else [])


@each_page
def test_every_control_has_a_label_and_every_description_exists(page: rendering.Page) -> None:
    document = Document(render(page))
    ids = {attributes["id"] for _, attributes in document.elements if "id" in attributes}
    labelled = {attributes["for"] for attributes in document.all("label")}
    assert labelled <= ids
    controls = [a for a in document.all("input") if a.get("type") != "hidden"] + document.all("select")
    assert all(attributes.get("id") in labelled for attributes in controls)
    for _, attributes in document.elements:
        for reference in ("aria-describedby", "aria-labelledby"):
            assert set((attributes.get(reference) or "").split()) <= ids
    assert len(document.all("fieldset")) == len(document.all("legend"))


@each_language
@each_page
def test_every_page_is_light(page: rendering.Page, language: Language) -> None:
    assert weigh(replace(page, lang=language)) < PAGE_LIMIT_BYTES


def test_a_usual_page_is_very_light() -> None:
    page = payment(description="Incluye restaurante", due_on=date(2025, 10, 20), form=form(methods=METHODS[:4]))
    assert weigh(page) < USUAL_PAGE_BYTES


@pytest.mark.parametrize("name", ["hostile payable", "hostile paid", "hostile portal"])
def test_hostile_text_is_shown_as_text(name: str) -> None:
    html = render(PAGES[name])
    document = Document(html)
    assert len(document.all("script")) == 1
    assert "<script>alert(1)</script>" in document.text
    assert "{{ 7 * 7 }}" in document.text
    assert "\u202e" not in html
    assert FAMILY in html


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:x",
        "data:text/html,x",
        "//evil.example",
        "/\\evil.example",
        "java\nscript:x",
        "https://a b",
    ],
)
def test_an_address_that_is_not_a_web_address_is_never_a_link(url: str) -> None:
    pages = [
        payment(document_url=url),
        payment("paid", return_url=url),
        payment("superseded", successor_url=url),
        payment(merchant=replace(MERCHANT, portal_url=url, support_contact=url)),
        portal(rows=(replace(ROWS[0], url=url),)),
    ]
    for page in pages:
        assert url not in Document(render(page)).links()
    with pytest.raises(ValueError, match="hand-off"):
        rendering.render_handoff(replace(HANDOFF, url=url))


@pytest.mark.parametrize(
    ("contact", "href"),
    [
        ("601 555 0134", "tel:6015550134"),
        ("+57 (601) 555-0134", "tel:+576015550134"),
        ("pagos@colegio.example", "mailto:pagos@colegio.example"),
        ("https://colegio.example/ayuda", "https://colegio.example/ayuda"),
        ("Pregunte en la secretaría", None),
        ("a@b.example?bcc=c@d.example", None),
    ],
)
def test_a_contact_can_be_tapped_when_it_is_plainly_an_address(contact: str, href: str | None) -> None:
    assert rendering.contact_href(contact) == href


@pytest.mark.parametrize("state", get_args(PaymentState))
def test_only_a_payable_page_has_a_form(state: PaymentState) -> None:
    assert len(Document(render(payment(state))).all("form")) == (1 if state == "payable" else 0)


def test_the_button_states_the_amount() -> None:
    assert "Pagar $ 50.000" in Document(render(payment())).words()
    assert "Pay $ 50.000" in Document(render(payment(lang="en"))).words()


def test_the_form_carries_what_the_server_needs() -> None:
    document = Document(render(payment(form=form(PARTS))))
    assert document.all("form")[0] == {
        "class": "pay-form",
        "method": "post",
        "action": PATH + "/pay",
        "autocomplete": "off",
        "novalidate": None,
        "data-pay": "Pagar {amount}",
        "data-other": "Continuar",
        "data-busy": "Un momento…",
    }
    assert document.field(FormField.CSRF_TOKEN)[0]["value"] == "csrf-1"
    assert document.field(FormField.ATTEMPT_KEY)[0]["value"] == "key-1"
    assert document.field(FormField.FULL_MINOR)[0]["value"] == "5000000"
    assert document.field(FormField.LANG)[0]["value"] == "es"
    assert [choice["value"] for choice in document.field(FormField.CHOICE)] == ["full", "part"]
    assert [choice["value"] for choice in document.field(FormField.METHOD)] == [m.id for m in METHODS]


def test_the_whole_balance_is_not_offered_when_it_may_not_be_paid_at_once() -> None:
    document = Document(render(payment(form=form(PARTS_ONLY))))
    assert document.field(FormField.CHOICE) == []
    assert document.field(FormField.FULL_MINOR) == []
    assert "Entre $ 10.000 y $ 20.000" in document.words()


def test_a_refused_amount_stays_in_the_field_with_the_reason_beside_it() -> None:
    html = render(payment(form=form(PARTS, typed_amount="5", amount_error="too_small")))
    document = Document(html)
    (field,) = document.field(FormField.AMOUNT)
    assert field["value"] == "5"
    assert field["aria-invalid"] == "true"
    assert "amount-error" in (field["aria-describedby"] or "")
    assert "Ese valor es muy bajo." in document.words()
    assert "<title>Error: " in html
    checked = [choice["value"] for choice in document.field(FormField.CHOICE) if "checked" in choice]
    assert checked == ["part"]


def test_exactly_one_method_is_chosen_and_it_is_the_payers() -> None:
    document = Document(render(payment(form=form(chosen_method_id="m-cash"))))
    checked = [choice["value"] for choice in document.field(FormField.METHOD) if "checked" in choice]
    assert checked == ["m-cash"]


def test_simulated_outcomes_show_on_test_accounts_only() -> None:
    page = Document(render(payment(is_test=True, form=form(outcomes=OUTCOMES))))
    assert [option["value"] for option in page.all("option")] == list(OUTCOMES)
    with pytest.raises(ValueError, match="test accounts"):
        payment(form=form(outcomes=OUTCOMES))


@each_page
def test_the_test_banner_shows_on_test_accounts_only(page: rendering.Page) -> None:
    assert ("Modo de prueba: aquí no se mueve dinero real" in Document(render(page)).words()) == page.is_test


def test_a_decline_says_that_nothing_was_charged() -> None:
    words = Document(render(payment(failure="insufficient_funds"))).words()
    assert "No había saldo suficiente. No se le cobró nada." in words


def test_a_payment_in_progress_asks_not_to_pay_again_and_refreshes_itself() -> None:
    html = render(payment("in_progress", attempt_label="$ 20.000"))
    assert "No pague otra vez" in html
    assert f'<noscript><meta http-equiv="refresh" content="10; url={PATH}?lang=es"></noscript>' in html
    assert "$ 20.000" in html


def test_a_description_that_repeats_the_title_is_left_out() -> None:
    assert Document(render(payment(description="Pensión de octubre"))).text.count("Pensión de octubre") == 2
    assert "Otra cosa" in render(payment(description="Otra cosa"))


def test_a_superseded_page_leads_to_the_live_one() -> None:
    assert "/payment/next" in Document(render(payment("superseded", successor_url="/payment/next"))).links()


def test_a_miss_says_the_same_whatever_was_typed() -> None:
    first = render(portal(query="1032456789", rows=()))
    second = render(portal(query="FACT-99", rows=()))
    assert first.replace("1032456789", "") == second.replace("FACT-99", "")


def test_the_language_switch_is_a_link_to_the_same_page() -> None:
    assert f"{PATH}?lang=en" in Document(render(payment())).links()
    assert f"{PATH}?lang=es" in Document(render(payment(lang="en"))).links()


@pytest.mark.parametrize("kind", get_args(MessageKind))
def test_every_message_has_its_status(kind: MessageKind) -> None:
    assert MessagePage(lang="es", kind=kind, page_path="/").status == MESSAGE_STATUS[kind]


def test_a_settled_page_cannot_carry_a_form() -> None:
    with pytest.raises(ValueError, match="takes no money"):
        payment("paid", form=form())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "full_only"},
        {"kind": "full_only", "full_minor": 1},
        {"kind": "parts", "min_label": "$ 1"},
        {"kind": "open", "full_minor": 1, "full_label": "$ 0,01"},
    ],
)
def test_an_amount_choice_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"whole balance|parts"):
        AmountChoice(**wrong)


def test_initials_come_from_the_words_that_matter() -> None:
    named = {
        "Colegio de San José": "CS",
        "fibra": "F",
        "La Casa del Río": "CR",
        "": "·",
        "!!": "·",
        "ñandú": "Ñ",
    }
    assert {name: rendering.initials(name) for name in named} == named


def test_static_files_are_named_by_their_content() -> None:
    files = rendering.static_files()
    assert {name.split(".")[0] + Path(name).suffix for name in files} == {"icon.svg", "pay.css", "pay.js"}
    for name, file in files.items():
        assert re.fullmatch(r"\w+\.[0-9a-f]{12}\.\w+", name)
        assert rendering.static_url(name.split(".")[0] + Path(name).suffix) == rendering.STATIC_PREFIX + name
        assert b"http://" not in file.body.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in file.body


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'")


def test_two_pages_may_do_one_thing_more_than_the_others() -> None:
    usual = SECURITY_HEADERS["Content-Security-Policy"]
    assert rendering.policy(payment()) == rendering.policy(HANDOFF) == rendering.policy(DETAILS) == usual
    scanned = rendering.policy(payment("in_progress", step=SCAN))
    assert scanned == usual.replace("img-src 'self'", "img-src 'self' data:")
    sent = rendering.policy(CHECKOUT)
    assert sent == usual.replace("form-action 'self'", "form-action https://checkout.example.com")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "/payment/x",
        "//evil.example/p",
        "https://good.example@evil.example/",
        "https://evil.example;script-src/*",
        "https://evil.example,x/",
        "https:///x",
        "https://evil.example /x",
        "https://evil.example\n/x",
        "",
        None,
    ],
)
def test_a_gateway_leads_nowhere_but_to_a_plain_web_address(url: str | None) -> None:
    assert rendering.outside_url(url) is None
    if url is not None:
        with pytest.raises(ValueError, match="hand-off"):
            rendering.render_handoff(replace(HANDOFF, url=url))


def test_a_checkouts_fields_keep_their_names_and_their_order() -> None:
    hidden = [(of["name"], of["value"]) for of in Document(render(CHECKOUT)).all("input")]
    assert hidden == [("public-key", "p"), ("signature:integrity", "s")]


def test_the_details_fill_nothing_in_and_name_what_they_ask_for() -> None:
    document = Document(render(DETAILS))
    fields = {of["name"]: of for of in document.all("input") if of.get("type") in {"text", "email", "tel"}}
    assert {name: of["value"] for name, of in fields.items()} == dict.fromkeys(fields, "")
    assert {name: of["autocomplete"] for name, of in fields.items()} == {
        "document_number": "off",
        "name": "name",
        "phone": "tel-national",
        "email": "email",
    }
    assert all(int(of["maxlength"] or 0) > 0 for of in fields.values())
    outside = [of for of in document.all("a") if (of.get("href") or "").startswith("http")]
    assert [(of["target"], of["rel"]) for of in outside if "vendor" in (of["href"] or "")] == [
        ("_blank", "noopener noreferrer")
    ] * 2


def test_only_the_first_wrong_field_has_the_cursor() -> None:
    page = replace(DETAILS, errors=("bank", "name"))
    focused = [of["name"] for _, of in Document(render(page)).elements if "autofocus" in of]
    assert focused == ["bank"]


def test_everything_is_readable_at_start() -> None:
    rendering.prepare()


# In a real browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


def serve(route: Route, *, pages: list[str]) -> None:
    """Answers as the server would, headers included, so that the policy is in force."""
    name = route.request.url.rsplit("/", 1)[-1]
    file = rendering.static_files().get(name)
    if file is not None:
        route.fulfill(body=file.body, content_type=file.content_type)
    else:
        html = pages.pop(0) if len(pages) > 1 else pages[0]
        route.fulfill(body=html, content_type="text/html", headers=dict(SECURITY_HEADERS) | POLICY)


# The policy of the page that is shown, where it is not that of most pages.
POLICY: dict[str, str] = {}


def visit(browser: Browser, *pages: rendering.Page, scripts: bool = True) -> Tab:
    """Opens the first page on a small phone; each later load shows the next one."""
    tab = browser.new_page(viewport={"width": 360, "height": 800}, java_script_enabled=scripts)
    tab.route("**/*", partial(serve, pages=[render(page) for page in pages]))
    tab.goto(LINK)
    return tab


def test_no_page_scrolls_sideways_on_a_small_phone_or_breaks_the_policy(browser: Browser) -> None:
    complaints: list[str] = []
    answers: list[str] = []
    tab = browser.new_page(viewport={"width": 360, "height": 800})
    tab.route("**/*", partial(serve, pages=answers))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    for name, page in PAGES.items():
        if not isinstance(page, HandoffPage):
            answers[:] = [render(page)]
            POLICY["Content-Security-Policy"] = rendering.policy(page)
            tab.goto(LINK)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 360, name
    tab.close()
    POLICY.clear()
    assert complaints == []


@pytest.mark.parametrize("scripts", [True, False])
def test_the_field_and_the_button_follow_the_choice(browser: Browser, scripts: bool) -> None:
    tab = visit(browser, payment(form=form(PARTS)), scripts=scripts)
    button = tab.get_by_role("button")
    assert button.inner_text() == "Pagar $ 50.000"
    assert not tab.get_by_label("Valor que va a pagar").is_visible()
    tab.get_by_label("Una parte").check()
    assert button.inner_text() == "Continuar"
    tab.get_by_label("Valor que va a pagar").press_sequentially("30000")
    assert button.inner_text() == ("Pagar $ 30.000" if scripts else "Continuar")
    tab.close()


@pytest.mark.parametrize(
    ("typed", "shown", "button", "understood"),
    [
        ("50000", "50.000", "Pagar $ 50.000", "5000000"),
        ("50.000", "50.000", "Pagar $ 50.000", "5000000"),
        ("$ 50.000", "$ 50.000", "Pagar $ 50.000", "5000000"),
        ("1234567", "1.234.567", "Pagar $ 1.234.567", "123456700"),
        ("50.000,5", "50.000,5", "Continuar", ""),
        ("50,000", "50,000", "Continuar", ""),
        ("50000.00", "50.000.00", "Continuar", ""),
        ("1.23.456", "1.23.456", "Continuar", ""),
        ("-1", "-1", "Continuar", ""),
        ("1e5", "1e5", "Continuar", ""),
    ],
)
def test_a_typed_amount_is_understood_as_in_colombia_or_not_at_all(
    browser: Browser, typed: str, shown: str, button: str, understood: str
) -> None:
    tab = visit(browser, payment(form=form(PARTS_ONLY)))
    field = tab.get_by_label("Valor que va a pagar")
    field.press_sequentially(typed)
    assert field.input_value() == shown
    assert tab.get_by_role("button").inner_text() == button
    assert tab.locator("[name=understood_minor]").input_value() == understood
    tab.close()


def test_a_second_tap_sends_nothing(browser: Browser) -> None:
    tab = visit(browser, payment())
    tab.clock.install()
    tab.reload()
    sent = tab.evaluate(
        """() => {
          let sent = 0;
          const form = document.querySelector("form");
          form.addEventListener("submit", (event) => {
            if (!event.defaultPrevented) sent++;
            event.preventDefault();
          });
          for (let tap = 0; tap < 3; tap++) form.querySelector("button").click();
          return sent;
        }"""
    )
    assert sent == 1
    assert tab.get_by_role("button").inner_text() == "Un momento…"
    # Where nothing came of it, the payer can try again.
    tab.clock.fast_forward(31_000)
    assert tab.get_by_role("button").inner_text() == "Pagar $ 50.000"
    tab.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_waiting_page_shows_the_answer_when_it_comes(browser: Browser, scripts: bool) -> None:
    waiting = payment("in_progress", refresh_after_s=1)
    tab = visit(browser, waiting, payment("paid"), scripts=scripts)
    tab.get_by_role("heading", name="Pago recibido").wait_for(timeout=10_000)
    tab.close()


def test_the_keyboard_reaches_everything_in_reading_order(browser: Browser) -> None:
    tab = visit(browser, payment(form=form(PARTS), receipts=(RECEIPT,)))
    reached: list[str] = []
    for _ in range(7):
        tab.keyboard.press("Tab")
        reached.append(
            tab.evaluate("(({ id, className, tagName }) => id || className || tagName)(document.activeElement)")
        )
    assert reached == ["language", "SUMMARY", "choice-full", "method-1", "button", "A", "A"]
    tab.close()
