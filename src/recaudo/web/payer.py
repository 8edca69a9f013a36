"""The payer's page: what to show of a collection as it is now. `paying` takes the form that the page posts."""

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypedDict
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from recaudo.domain import attempting, money
from recaudo.domain.answers import Confirm, Form as FormStep, Picture, Redirect, Step
from recaudo.domain.model import Account, Attempt, Collection, Invoice, InvoiceKind, Receipt, payable_now
from recaudo.domain.states import IN_PROGRESS, AttemptState, CollectionState, InvoiceState
from recaudo.store import accounts, views
from recaudo.store.accounts import Merchant as StoredMerchant
from recaudo.store.database import Connection
from recaudo.store.lists import PageRequest
from recaudo.store.views import CollectionView
from recaudo.store.wholes import whole_invoice
from recaudo.usecases import gateways
from recaudo.usecases.core import Core
from recaudo.usecases.gateways import Offer
from recaudo.web.i18n import Language
from recaudo.web.rendering import outside_url
from recaudo.web.views import (
    AmountChoice,
    FailureKind,
    FormField,
    HandoffPage,
    InstalmentRow,
    InstalmentState,
    Merchant,
    MethodChoice,
    MethodKind,
    NoticeKind,
    OutcomeId,
    PaymentForm,
    PaymentPage,
    PaymentState,
    ReceiptLine,
    StepView,
)

OUTCOMES: tuple[OutcomeId, ...] = (
    "approve",
    "decline",
    "pending_then_approve",
    "never_answer",
    "approve_twice",
    "settle_after_replacement",
)
METHOD_KINDS: Mapping[str, MethodKind] = {
    "pse": "pse",
    "card": "card",
    "nequi": "nequi",
    "daviplata": "daviplata",
    "bancolombia": "bancolombia",
    "bancolombia_qr": "bancolombia_qr",
    "breb": "breb",
    "cash": "cash",
}
BRAND_KINDS: Mapping[str, MethodKind] = {
    "PSE": "pse",
    "NEQUI": "nequi",
    "DAVIPLATA": "daviplata",
    "BANCOLOMBIA": "bancolombia",
    "BREB": "breb",
    "EFECTIVO": "cash",
}
OUTSIDE_KINDS: Mapping[str, MethodKind] = {"cash": "cash", "card": "card"}
FAILURES: Mapping[str, FailureKind] = {
    "INSUFFICIENT_FUNDS": "insufficient_funds",
    "CARD_CVV": "wrong_data",
    "CARD_NUMBER": "wrong_data",
    "CARD_DATE": "wrong_data",
    "CUSTOMER_DATA_INVALID": "wrong_data",
    "ACCOUNT_BLOCKED": "blocked",
    "CARD_RESTRICTED": "blocked",
    "STOLEN": "blocked",
    "MAX_AMOUNT": "limit",
    "ACCOUNT_MAX_AMOUNT": "limit",
    "CARD_VELOCITY": "limit",
    "BANK_IS_NOT_AVAILABLE": "bank_unavailable",
    "ACCOUNT_SERVICE_NOT_AVAILABLE": "bank_unavailable",
    "TRANSACTION_EXPIRED": "not_finished",
    "not_created": "not_finished",
    "abandoned": "not_finished",
    "payer_data_invalid": "wrong_data",
    "gateway_unavailable": "gateway_unavailable",
    "gateway_refused": "not_taken",
    "gateway_bad_answer": "not_taken",
    "currency_not_supported": "not_taken",
}

# The status that the merchant's site is told in the address, in the OnePay dialect's words (OnePay spec, section 7.2).
RETURN_STATUSES: Mapping[PaymentState, str] = {
    "payable": "pending",
    "in_progress": "in_progress",
    "paid": "approved",
    "refunded": "refunded",
    "settled": "cancelled",
    "superseded": "cancelled",
    "cancelled": "cancelled",
    "expired": "expired",
    "partial_expired": "partial_expired",
}

# How long a page speaks of what just happened. Whoever opens the link later, perhaps somebody else, need not read it.
NEWS = timedelta(minutes=15)

# Payments that may still come; a larger number bothers nobody.
PARTS_WORTH_TELLING = 6

# How long an attempt counts as on its way while its gateway has not said anything about it yet.
STARTING = timedelta(seconds=60)

# In the address of a page that waited for a bank: the payer who sees the answer is led back to the merchant's site.
WAITED = "waited"
# In the address of a page that a gateway sent the browser back to: the way to the gateway is no longer urged.
RETURNED = "returned"

TYPED_CHARS_MAX = 24
DETAIL_CHARS_MAX = 80
TRACE_CHARS_MAX = 40
_PICTURE_TYPES = frozenset({"image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp"})
_BASE64 = re.compile(r"[A-Za-z0-9+/]{4,1000000}={0,2}")
_APPLICATION_CHARS_MAX = 40


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as the page needs it. `open_minor` is what was tried and is not decided yet."""

    account: Account
    merchant: StoredMerchant
    view: CollectionView
    last: Attempt | None
    open_minor: int
    plan: Sequence[Collection] = ()  # all instalments, when there are several
    offers: Sequence[Offer] = ()  # the ways to pay; one method may be there of several gateways

    @property
    def invoice(self) -> Invoice:
        return self.view.invoice

    @property
    def collection(self) -> Collection:
        return self.view.collection

    @property
    def path(self) -> str:
        return f"/payment/{self.collection.id}"

    def path_in(self, lang: Language, **also: str) -> str:
        """The page's address in a language."""
        return f"{self.path}?{urlencode({FormField.LANG.value: lang, **also})}"

    def continue_in(self, lang: Language) -> str:
        """The address that leads on to where the newest attempt is paid."""
        return f"{self.path}/continue?{urlencode({FormField.LANG.value: lang})}"


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks: the language, the token for forms, where the server is reached, and what they chose before.

    `again` is their word that they pay although a payment is not confirmed; `waited`, that they saw it wait;
    `returned`, that they come back from a gateway's page. `method` and `amount` are what they go back to change.
    `own_lang` is the language they get without asking for one. `address` and `user_agent` are for gateways only.
    """

    lang: Language
    csrf_token: str
    base_url: str
    again: bool = False
    waited: bool = False
    returned: bool = False
    method: str | None = None
    amount: str | None = None
    own_lang: Language = "es"
    address: str = ""
    user_agent: str = ""


async def load(core: Core, collection_id: UUID) -> Shown | None:
    """What there is to show under a link; None when the link is nobody's."""
    async with core.database.connection() as connection:
        account_id = await views.find_account_of_collection(connection, collection_id)
        account = None if account_id is None else await accounts.find_account(connection, account_id)
        if account is None:
            return None
        merchant = await accounts.find_merchant(connection, account.merchant_id)
        view = await views.view_collection(connection, account.id, collection_id)
        if merchant is None or view is None:
            return None
        return Shown(
            account=account,
            merchant=merchant,
            view=view,
            last=await views.last_attempt(connection, account.id, collection_id),
            open_minor=await _open_minor(connection, view.collection),
            plan=await _plan(connection, view.invoice),
            offers=await _offers(core, connection, account, view),
        )


def page(core: Core, shown: Shown, visitor: Visitor, *, notice: NoticeKind | None = None) -> PaymentPage:
    """The page of a collection as it is now. `notice` is news that only this visitor has caused."""
    it, of = shown.collection, shown.invoice
    now = core.now(shown.account)
    zone = ZoneInfo(shown.account.time_zone)
    state = state_of(shown, now)
    paying_again = state == "in_progress" and visitor.again
    step = None if paying_again else _step_view(shown, visitor, state, now)
    if paying_again:
        state = "payable"
    notice = notice or ("paying_again" if paying_again else _notice(shown, state, now))
    waits = {WAITED: "1"} if return_url(shown, state) else {}
    waits |= {RETURNED: "1"} if visitor.returned else {}
    return PaymentPage(
        lang=visitor.lang,
        merchant=merchant_view(shown.merchant, visitor.lang, is_test=shown.account.is_test),
        is_test=shown.account.is_test,
        page_path=shown.path,
        link=f"{visitor.base_url}{shown.path}",
        state=state,
        title=_title(it, of),
        description=of.description if of.description != of.name else None,
        document_url=of.document_url,
        **_sums(shown, now),
        due_on=it.due_on,
        is_overdue=it.due_on is not None and it.due_on < core.today(shown.account),
        expires_at=None if it.expires_at is None else it.expires_at.astimezone(zone),
        form=_form(shown, visitor, again=paying_again) if state == "payable" else None,
        failure=_failure(shown, state, now) if notice is None else None,
        notice=notice,
        step=step,
        receipts=tuple(_receipt_line(r, zone) for r in shown.view.receipts),
        plan=_plan_rows(shown, core.today(shown.account), visitor.lang),
        successor_url=f"/payment/{of.collection_id}?lang={visitor.lang}" if state == "superseded" else None,
        return_url=return_url(shown, state),
        pay_again_url=shown.path_in(visitor.lang, again="1") if state == "in_progress" else None,
        refresh_url=shown.path_in(visitor.lang, **waits),
    )


def _title(it: Collection, of: Invoice) -> str:
    """What is paid: the invoice, and which instalment of it."""
    own = it.terms.title if it.terms is not None else None
    if own is None:
        return of.name
    return own if of.name.lower() in own.lower() else f"{of.name} · {own}"


def state_of(shown: Shown, now: datetime) -> PaymentState:
    """What the payer is told. A replaced collection that took no money leads on to its successor."""
    it, of = shown.collection, shown.invoice
    if it.state is CollectionState.PAID:
        return "refunded" if it.received_minor == 0 else "paid"
    if it.generation < of.generation:
        return "superseded"
    if of.state is InvoiceState.PAID:
        return "settled"
    over = it.expires_at is not None and it.expires_at <= now
    if it.state is CollectionState.EXPIRED or (it.state is CollectionState.PENDING and over):
        return "partial_expired" if it.received_minor > 0 else "expired"
    if it.state is not CollectionState.PENDING:
        return "cancelled"
    return "in_progress" if it.open_attempts > 0 or _is_starting(shown, now) else "payable"


def step_now(shown: Shown, now: datetime) -> Step | None:
    """What whoever began the newest attempt may still do for it; nothing that leads anywhere but to the web.

    Only of an attempt that is open, or that may still be paid on the gateway's page: paying an older one as well would
    be paying twice.
    """
    last = shown.last
    if last is None or state_of(shown, now) not in {"payable", "in_progress"}:
        return None
    until = attempting.payable_until(last)
    is_payable = last.state is AttemptState.CREATED and (now < until if until is not None else _is_starting(shown, now))
    step = attempting.step_of(last)
    if step is None or not (last.in_progress or is_payable):
        return None
    match step:
        case Redirect(url=url):
            return step if outside_url(url) else None
        case FormStep(action=action):
            return step if outside_url(action) else None
        case Picture(image=image, media_type=media_type):
            is_picture = media_type in _PICTURE_TYPES and _BASE64.fullmatch(image) and len(image) % 4 == 0
            return step if is_picture else None
        case Confirm():
            return step


def gateway_page(core: Core, shown: Shown, visitor: Visitor) -> HandoffPage | None:
    """The page that leads to where the newest attempt is paid; None when it is not paid on another site."""
    step, last = step_now(shown, core.now(shown.account)), shown.last
    if last is None or not isinstance(step, Redirect | FormStep):
        return None
    gateway = core.gateways.get(last.gateway)
    return HandoffPage(
        lang=visitor.lang,
        merchant=merchant_view(shown.merchant, visitor.lang, is_test=shown.account.is_test),
        is_test=shown.account.is_test,
        page_path=shown.path,
        destination="gateway",
        url=step.url if isinstance(step, Redirect) else step.action,
        fields=None if isinstance(step, Redirect) else step.fields,
        amount_label=money.label(last.amount_minor, last.currency),
        method=METHOD_KINDS.get(last.method_type or "", "other"),
        gateway=None if gateway is None else gateway.title,
    )


def _step_view(shown: Shown, visitor: Visitor, state: PaymentState, now: datetime) -> StepView | None:
    step, last = step_now(shown, now), shown.last
    if step is None or last is None:
        return None
    amount_label = money.label(last.amount_minor, last.currency)
    method = METHOD_KINDS.get(last.method_type or "", "other")
    match step:
        case Redirect() | FormStep():
            url = shown.continue_in(visitor.lang)
            quiet = visitor.returned or state == "payable"
            return StepView(kind="go", amount_label=amount_label, method=method, url=url, is_quiet=quiet)
        case Picture(image=image, media_type=media_type):
            picture = f"data:{media_type};base64,{_standing_alone(image, media_type)}"
            return StepView(kind="scan", amount_label=amount_label, method=method, picture=picture)
        case Confirm(application=application):
            name = application[:_APPLICATION_CHARS_MAX]
            return StepView(kind="confirm", amount_label=amount_label, method=method, application=name)


def _standing_alone(image: str, media_type: str) -> str:
    """The picture as a file: browsers show an SVG that was meant for inside a page only once it names its kind."""
    content = b64decode(image)
    if media_type != "image/svg+xml" or b"xmlns=" in content:
        return image
    return b64encode(content.replace(b"<svg", b'<svg xmlns="http://www.w3.org/2000/svg"', 1)).decode()


def _is_starting(shown: Shown, now: datetime) -> bool:
    """Whether the newest attempt was only just begun: its gateway has not answered, and it must not look unpaid."""
    last = shown.last
    is_unheard = last is not None and last.state is AttemptState.CREATED and attempting.payable_until(last) is None
    return is_unheard and last is not None and now - last.created_at < STARTING


def return_url(shown: Shown, state: PaymentState) -> str | None:
    """Where the browser goes after paying, with the payment's id and status added (OnePay spec, section 15).

    What the merchant's address holds already stays as it is, to the letter: it may be signed.
    """
    target = shown.invoice.redirect_url
    if target is None or shown.invoice.kind is not InvoiceKind.REQUEST:
        return None
    parts = urlsplit(target)
    in_part = state == "payable" and shown.collection.received_minor > 0
    status = "partially_paid" if in_part else RETURN_STATUSES[state]
    added = urlencode({"payment_id": str(shown.collection.id), "status": status})
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))


def hand_off(core: Core, shown: Shown, visitor: Visitor) -> HandoffPage | None:
    """The page that leads back to the merchant's site; None when there is none or the payer has not just paid."""
    now = core.now(shown.account)
    last = _news(shown, now)
    url = return_url(shown, state_of(shown, now))
    if url is None or last is None or last.state is not AttemptState.SUCCEEDED:
        return None
    return HandoffPage(
        lang=visitor.lang,
        merchant=merchant_view(shown.merchant, visitor.lang, is_test=shown.account.is_test),
        is_test=shown.account.is_test,
        page_path=shown.path,
        destination="merchant",
        url=url,
    )


def merchant_view(merchant: StoredMerchant, lang: Language, *, is_test: bool) -> Merchant:
    """The merchant as pages show them."""
    portal_path = f"/{merchant.slug}" + ("/test" if is_test else "")
    return Merchant(
        name=merchant.name,
        slug=merchant.slug,
        portal_url=f"{portal_path}?lang={lang}",
        support_contact=merchant.support_contact,
    )


async def _open_minor(connection: Connection, it: Collection) -> int:
    if it.open_attempts == 0:
        return 0
    filters = {"collection_id": [it.id], "status": [state.value for state in IN_PROGRESS]}
    found = await views.list_attempts(connection, it.account_id, PageRequest(per_page=100), filters)
    return sum(view.attempt.amount_minor for view in found.items)


async def _plan(connection: Connection, of: Invoice) -> Sequence[Collection]:
    """The instalments of an invoice that has more than one, in the order in which they fall due."""
    if of.bill is None:
        return ()
    whole = await whole_invoice(connection, of.account_id, of.id)
    standing = whole.standing if whole is not None else []
    return standing if len(standing) > 1 else ()


async def _offers(core: Core, connection: Connection, account: Account, view: CollectionView) -> Sequence[Offer]:
    """The ways to pay this, for whatever amount the payer will choose."""
    if not account.active or view.collection.state is not CollectionState.PENDING:
        return ()
    of = view.invoice
    exact = payable_now(of, view.collection)
    only = exact.balance_minor if exact is not None and exact.low_minor is None else None
    offers = gateways.fitting(await gateways.all_offers(core, account, connection), of.allows, of.currency, only)
    return gateways.real(offers)


def _plan_rows(shown: Shown, today: date, lang: Language) -> tuple[InstalmentRow, ...]:
    return tuple(
        InstalmentRow(
            number=number,
            amount_label=money.label(it.amount_minor or 0, it.currency),
            due_on=it.due_on,
            state=_instalment_state(it, today),
            url=f"/payment/{it.id}?{urlencode({FormField.LANG.value: lang})}",
            is_this=it.id == shown.collection.id,
        )
        for number, it in enumerate(shown.plan, start=1)
    )


def _instalment_state(it: Collection, today: date) -> InstalmentState:
    if it.state is CollectionState.PAID:
        return "paid"
    if it.state is not CollectionState.PENDING:
        return "closed"
    if it.due_on is not None and it.due_on < today:
        return "overdue"
    return "part" if it.received_minor > 0 else "due"


class _Sums(TypedDict):
    amount_label: str | None
    balance_label: str | None
    received_label: str | None
    attempt_label: str | None
    credit_label: str | None
    received_percent: int | None


def _sums(shown: Shown, now: datetime) -> _Sums:
    """The money of the page. What was not received, tried or credited is not mentioned."""
    it = shown.collection
    starting_minor = shown.last.amount_minor if shown.last is not None and _is_starting(shown, now) else 0
    asked = it.amount_minor
    balance_minor = None if asked is None else min(it.due_minor, shown.invoice.balance_minor)
    return _Sums(
        amount_label=_label(asked, it.currency),
        balance_label=_label(balance_minor, it.currency),
        received_label=_label(it.received_minor or None, it.currency),
        attempt_label=_label(shown.open_minor + starting_minor or None, it.currency),
        credit_label=_label(it.overpaid_minor or None, it.currency),
        received_percent=min(100, it.received_minor * 100 // asked) if asked and it.received_minor > 0 else None,
    )


def _form(shown: Shown, visitor: Visitor, *, again: bool) -> PaymentForm | None:
    """The form; None when there is no way to pay now."""
    methods = tuple(map(method_view, gateways.each_once(shown.offers)))
    if not methods:
        return None
    choice = _choice(shown)
    is_simulated = shown.account.is_test and any(is_simulator(o) for o in shown.offers)
    wanted = shown.invoice.metadata.get("sandbox_outcome")
    return PaymentForm(
        action=shown.path_in(visitor.lang),
        csrf_token=visitor.csrf_token,
        attempt_key=secrets.token_urlsafe(18),
        amount=choice,
        methods=methods,
        chosen_method_id=visitor.method if any(m.id == visitor.method for m in methods) else None,
        typed_amount=visitor.amount if choice.kind != "full_only" else None,
        outcomes=OUTCOMES if is_simulated else (),
        chosen_outcome=wanted if wanted in OUTCOMES else None,
        again=again,
    )


def is_simulator(offer: Offer) -> bool:
    """Whether the payer decides what the bank will say: the sandbox, and no gateway of a merchant."""
    return not offer.gateway.needs_configuration and not offer.gateway.for_live_accounts


def method_view(offer: Offer) -> MethodChoice:
    """A way to pay as the page names it. What asks for nothing here is chosen on the gateway's own page."""
    is_hosted = offer.configured is not None and not offer.method.asks
    return MethodChoice(
        id=f"{offer.gateway.name}:{offer.method.id}",
        kind=METHOD_KINDS.get(offer.method.id, "other"),
        place=offer.gateway.title if is_hosted else None,
    )


def _choice(shown: Shown) -> AmountChoice:
    account, currency = shown.account, shown.collection.currency
    allowed = payable_now(shown.invoice, shown.collection)
    if allowed is None:
        return AmountChoice(
            kind="open",
            min_label=_label(account.amount_min_minor, currency),
            max_label=_label(account.amount_max_minor, currency),
        )
    full_label = money.label(allowed.balance_minor, currency)
    rule = shown.invoice.partial
    parts_left = None if rule is None else rule.parts_max - shown.collection.parts
    if allowed.low_minor is None or allowed.high_minor is None:
        return AmountChoice(
            kind="full_only",
            full_minor=allowed.balance_minor,
            full_label=full_label,
            parts_left=1 if parts_left == 1 and shown.collection.parts > 0 else None,
        )
    return AmountChoice(
        kind="parts",
        min_label=money.label(allowed.low_minor, currency),
        max_label=money.label(allowed.high_minor, currency),
        parts_left=parts_left if parts_left is not None and parts_left <= PARTS_WORTH_TELLING else None,
        full_minor=allowed.balance_minor if allowed.whole else None,
        full_label=full_label if allowed.whole else None,
    )


def _failure(shown: Shown, state: PaymentState, now: datetime) -> FailureKind | None:
    last = _news(shown, now)
    if last is None or last.state is not AttemptState.FAILED or state not in {"payable", "in_progress"}:
        return None
    return FAILURES.get(last.failure_code or "", "rejected")


def _notice(shown: Shown, state: PaymentState, now: datetime) -> NoticeKind | None:
    """Thanks for a part, while a balance remains."""
    last = _news(shown, now)
    return "part_received" if state == "payable" and last and last.state is AttemptState.SUCCEEDED else None


def _news(shown: Shown, now: datetime) -> Attempt | None:
    """The newest attempt, if it was just decided."""
    last = shown.last
    return last if last is not None and now - last.updated_at <= NEWS else None


def _receipt_line(receipt: Receipt, zone: ZoneInfo) -> ReceiptLine:
    method = receipt.method or {}
    brand, last_four = method.get("brand"), method.get("last_four")
    # Cards have many brands, and are the only method with digits to tell them apart.
    outside = OUTSIDE_KINDS.get(str(method.get("type")), "other")
    kind: MethodKind = "card" if last_four else BRAND_KINDS.get(str(brand), outside)
    trace = method.get("bank_trace")
    return ReceiptLine(
        number=receipt.number,
        amount_label=money.label(abs(receipt.amount_minor), receipt.currency),
        at=receipt.at.astimezone(zone),
        method=kind,
        method_detail=_method_detail(kind, method),
        is_refund=receipt.amount_minor < 0,
        trace=str(trace)[:TRACE_CHARS_MAX] if trace and kind == "pse" else None,
    )


def _method_detail(kind: MethodKind, method: Mapping[str, Any]) -> str | None:
    """What tells a method from others of its kind: a card's last digits, the bank, what a gateway calls it."""
    brand, last_four, label = method.get("brand"), method.get("last_four"), method.get("label")
    if brand and last_four:
        return f"{str(brand).title()} ·{last_four}"
    if kind == "pse" and method.get("bank"):
        return f"PSE · {method['bank']}"[:DETAIL_CHARS_MAX]
    # A brand that the catalogs have no word for, such as a wallet of the gateway's own.
    return str(label)[:DETAIL_CHARS_MAX] if label and kind in {"other", "bancolombia"} else None


def _label(amount_minor: int | None, currency: str) -> str | None:
    return None if amount_minor is None else money.label(amount_minor, currency)
