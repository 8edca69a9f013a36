"""The payer's page: what to show of a collection, and what to do with the form it posts."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from recaudo.domain import money
from recaudo.domain.model import Account, Attempt, Collection, Invoice, InvoiceKind, Receipt, payable_now
from recaudo.domain.partial import Allowed
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState, RefusedError
from recaudo.store import accounts, views
from recaudo.store.accounts import Merchant as StoredMerchant
from recaudo.store.views import CollectionView
from recaudo.usecases import attempts
from recaudo.usecases.attempts import GatewayNotAllowedError, StartAttempt
from recaudo.usecases.core import Core
from recaudo.web.i18n import Language
from recaudo.web.rendering import render_confirmation, render_handoff, render_payment
from recaudo.web.views import (
    AmountChoice,
    AmountError,
    ConfirmationPage,
    FailureKind,
    FormField,
    HandoffPage,
    Merchant,
    MethodChoice,
    MethodKind,
    NoticeKind,
    OutcomeId,
    PaymentForm,
    PaymentPage,
    PaymentState,
    ReceiptLine,
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
    "breb": "breb",
    "cash": "cash",
}
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
}
ONCE_KEY_CHARS_MAX = 64

Form = Mapping[str, str]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as the page needs it, read in one go."""

    account: Account
    merchant: StoredMerchant
    view: CollectionView
    last: Attempt | None

    @property
    def invoice(self) -> Invoice:
        return self.view.invoice

    @property
    def collection(self) -> Collection:
        return self.view.collection

    @property
    def path(self) -> str:
        return f"/payment/{self.collection.id}"


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks: the language, the token for forms, and where the server is reached."""

    lang: Language
    csrf_token: str
    base_url: str
    again: bool = False


async def load(core: Core, collection_id: UUID) -> Shown | None:
    """What there is to show under a link; None when the link is nobody's."""
    async with core.database.connection() as connection:
        account_id = await views.find_account_of_collection(connection, collection_id)
        account = None if account_id is None else await accounts.find_account(connection, account_id)
        if account is None:
            return None
        merchant = await accounts.find_merchant(connection, account.merchant_id)
        view = await views.view_collection(connection, account.id, collection_id)
        last = await views.last_attempt(connection, account.id, collection_id)
    if merchant is None or view is None:
        return None
    return Shown(account=account, merchant=merchant, view=view, last=last)


def page(core: Core, shown: Shown, visitor: Visitor, *, state: PaymentState | None = None) -> PaymentPage:
    """The page of a collection as it is now."""
    it, of = shown.collection, shown.invoice
    zone = ZoneInfo(shown.account.time_zone)
    state = state or state_of(shown, core.now(shown.account))
    paying_again = state == "in_progress" and visitor.again
    if paying_again:
        state = "payable"
    form = _form(core, shown, visitor, again=paying_again) if state == "payable" else None
    return PaymentPage(
        lang=visitor.lang,
        merchant=merchant_view(shown.merchant, visitor.base_url, is_test=shown.account.is_test),
        is_test=shown.account.is_test,
        page_path=shown.path,
        link=f"{visitor.base_url}{shown.path}",
        state=state,
        title=of.name,
        description=of.description if of.description != of.name else None,
        document_url=of.document_url,
        amount_label=_label(it.amount_minor, it.currency),
        balance_label=_label(None if it.amount_minor is None else _balance_minor(shown), it.currency),
        received_label=_label(it.received_minor or None, it.currency),
        attempt_label=_label(shown.last.amount_minor if shown.last else None, it.currency),
        received_percent=_percent(it),
        due_on=it.due_on,
        is_overdue=it.due_on is not None and it.due_on < core.today(shown.account),
        expires_at=None if it.expires_at is None else it.expires_at.astimezone(zone),
        form=form,
        failure=_failure(shown) if state == "payable" and not paying_again else None,
        notice="paying_again" if paying_again else None,
        receipts=tuple(_receipt_line(r, zone) for r in shown.view.receipts),
        successor_url=f"/payment/{of.collection_id}?lang={visitor.lang}" if state == "superseded" else None,
        return_url=return_url(shown, state),
        pay_again_url=f"{shown.path}?lang={visitor.lang}&again=1" if state == "in_progress" else None,
    )


def state_of(shown: Shown, now: datetime) -> PaymentState:
    """What the payer is told. A replaced collection that took no money leads on to its successor."""
    it, of = shown.collection, shown.invoice
    if it.state is CollectionState.PAID:
        return "refunded" if it.received_minor == 0 else "paid"
    if it.generation < of.generation:
        return "superseded"
    if of.state is InvoiceState.PAID:
        return "paid"
    over = it.expires_at is not None and it.expires_at <= now
    if it.state is CollectionState.EXPIRED or (it.state is CollectionState.PENDING and over):
        return "partial_expired" if it.received_minor > 0 else "expired"
    if it.state is not CollectionState.PENDING:
        return "cancelled"
    return "in_progress" if it.open_attempts > 0 else "payable"


def return_url(shown: Shown, state: PaymentState) -> str | None:
    """Where the browser goes after paying, with the payment's id and status added (OnePay spec, section 15)."""
    target = shown.invoice.redirect_url
    if target is None or shown.invoice.kind is not InvoiceKind.REQUEST:
        return None
    parts = urlsplit(target)
    status = {"paid": "approved", "partial_expired": "partial_expired", "payable": "pending"}.get(state, state)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_id", str(shown.collection.id)),
        ("status", status),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


async def pay(core: Core, shown: Shown, visitor: Visitor, form: Form) -> str | None:
    """What to answer to the posted form: a page, or None when the payer should look at the collection again."""
    state = state_of(shown, core.now(shown.account))
    if state != "payable" and not (state == "in_progress" and visitor.again):
        return None
    current = page(core, shown, visitor)
    offer = current.form
    if offer is None:
        return render_payment(current)
    method = next((m for m in offer.methods if m.id == form.get(FormField.METHOD)), None)
    if method is None:
        return _again(current, form, notice="choose_method")
    amount_minor = _amount_minor(shown, form)
    if not isinstance(amount_minor, int):
        return _again(current, form, error=amount_minor)
    if _full_changed(shown, form):
        return _again(current, form, notice="balance_changed")
    if _is_typed(form) and form.get(FormField.UNDERSTOOD_MINOR) != str(amount_minor):
        return render_confirmation(_confirmation(current, form, method, amount_minor))
    return await _start(core, shown, visitor, form, method_id=method.id, amount_minor=amount_minor, current=current)


async def _start(
    core: Core, shown: Shown, visitor: Visitor, form: Form, *, method_id: str, amount_minor: int, current: PaymentPage
) -> str | None:
    gateway, _, method = method_id.partition(":")
    outcome = form.get(FormField.OUTCOME)
    command = StartAttempt(
        collection_id=shown.collection.id,
        amount_minor=amount_minor,
        gateway=gateway,
        method=method,
        once_key=_once_key(form),
        again=visitor.again,
        gateway_data={"outcome": outcome} if outcome in OUTCOMES and shown.account.is_test else {},
    )
    try:
        attempt = await attempts.start(core, shown.account, command)
    except RefusedError:
        return None
    except GatewayNotAllowedError:
        return _again(current, form, notice="gateway_unavailable")
    if attempt.state is AttemptState.SUCCEEDED and shown.invoice.redirect_url is not None:
        after = await load(core, shown.collection.id)
        url = None if after is None else return_url(after, state_of(after, core.now(after.account)))
        if url is not None:
            return render_handoff(_handoff(current, url))
    return None


def merchant_view(merchant: StoredMerchant, base_url: str, *, is_test: bool) -> Merchant:
    """The merchant as pages show them."""
    portal_url = f"{base_url}/{merchant.slug}" + ("/test" if is_test else "")
    return Merchant(
        name=merchant.name, slug=merchant.slug, portal_url=portal_url, support_contact=merchant.support_contact
    )


def _form(core: Core, shown: Shown, visitor: Visitor, *, again: bool) -> PaymentForm | None:
    offered = attempts.offered_methods(core, shown.account, shown.invoice.allows)
    methods = tuple(
        MethodChoice(id=f"{gateway.name}:{method.id}", kind=METHOD_KINDS.get(method.id, "other"))
        for gateway, method in offered
    )
    if not methods:
        return None
    wanted = shown.invoice.metadata.get("sandbox_outcome")
    return PaymentForm(
        action=shown.path,
        csrf_token=visitor.csrf_token,
        attempt_key=secrets.token_urlsafe(18),
        amount=_choice(shown),
        methods=methods,
        outcomes=OUTCOMES if shown.account.is_test else (),
        chosen_outcome=wanted if wanted in OUTCOMES else None,
        again=again,
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
    if allowed.low_minor is None or allowed.high_minor is None:
        return AmountChoice(kind="full_only", full_minor=allowed.balance_minor, full_label=full_label)
    rule = shown.invoice.partial
    return AmountChoice(
        kind="parts",
        min_label=money.label(allowed.low_minor, currency),
        max_label=money.label(allowed.high_minor, currency),
        parts_left=None if rule is None else rule.parts_max - shown.collection.parts,
        full_minor=allowed.balance_minor if allowed.whole else None,
        full_label=full_label if allowed.whole else None,
    )


def _amount_minor(shown: Shown, form: Form) -> int | AmountError:
    """The amount the payer chose, or what is wrong with it."""
    allowed = payable_now(shown.invoice, shown.collection)
    if not _is_typed(form):
        return "missing" if allowed is None or not allowed.whole else allowed.balance_minor
    text = form.get(FormField.AMOUNT, "").strip()
    if not text:
        return "missing"
    try:
        amount_minor = money.read_typed(text, shown.collection.currency)
    except ValueError:
        return "unreadable"
    if allowed is not None and amount_minor in allowed:
        return amount_minor
    low_minor, high_minor = _bounds(shown, allowed)
    if amount_minor < low_minor:
        return "too_small"
    if amount_minor > high_minor:
        return _above(amount_minor, allowed)
    return amount_minor


def _above(amount_minor: int, allowed: Allowed | None) -> AmountError:
    """Between the largest part and the balance, a part would leave a rest that is too small to pay."""
    leaves_rest = allowed is not None and allowed.whole and amount_minor < allowed.balance_minor
    return "leaves_rest" if leaves_rest else "too_large"


def _bounds(shown: Shown, allowed: Allowed | None) -> tuple[int, int]:
    if allowed is None:
        return shown.account.amount_min_minor, shown.account.amount_max_minor
    if allowed.low_minor is None or allowed.high_minor is None:
        return allowed.balance_minor, allowed.balance_minor
    return allowed.low_minor, allowed.high_minor


def _is_typed(form: Form) -> bool:
    """Whether the amount is what was typed: the part was chosen, or nothing else was offered."""
    choice = form.get(FormField.CHOICE)
    return choice == "part" or (choice is None and FormField.AMOUNT in form)


def _full_changed(shown: Shown, form: Form) -> bool:
    """Whether somebody paid or changed something while the payer looked at the whole balance."""
    if _is_typed(form):
        return False
    allowed = payable_now(shown.invoice, shown.collection)
    return allowed is not None and form.get(FormField.FULL_MINOR) != str(allowed.balance_minor)


def _again(
    current: PaymentPage, form: Form, *, notice: NoticeKind | None = None, error: AmountError | None = None
) -> str:
    """The same page, with what was typed and what is wrong."""
    assert current.form is not None, "only a payable page is shown again"
    chosen = form.get(FormField.METHOD)
    outcome = form.get(FormField.OUTCOME)
    shown_form = replace(
        current.form,
        typed_amount=form.get(FormField.AMOUNT) if error is not None else None,
        amount_error=error,
        chosen_method_id=chosen if any(m.id == chosen for m in current.form.methods) else None,
        chosen_outcome=outcome if outcome in current.form.outcomes else None,
    )
    return render_payment(replace(current, form=shown_form, notice=notice or current.notice, failure=None))


def _confirmation(current: PaymentPage, form: Form, method: MethodChoice, amount_minor: int) -> ConfirmationPage:
    assert current.form is not None, "only a payable page is confirmed"
    outcome = form.get(FormField.OUTCOME)
    return ConfirmationPage(
        lang=current.lang,
        merchant=current.merchant,
        is_test=current.is_test,
        page_path=current.page_path,
        title=current.title,
        amount_minor=amount_minor,
        amount_label=money.label(amount_minor, "COP"),
        method=method,
        action=current.form.action,
        csrf_token=current.form.csrf_token,
        attempt_key=_once_key(form),
        outcome=outcome if outcome in current.form.outcomes else None,
        again=current.form.again,
    )


def _handoff(current: PaymentPage, url: str) -> HandoffPage:
    destination: Literal["merchant"] = "merchant"
    return HandoffPage(
        lang=current.lang,
        merchant=current.merchant,
        is_test=current.is_test,
        page_path=current.page_path,
        destination=destination,
        url=url,
    )


def _once_key(form: Form) -> str:
    """The page's one-time key; a form without one was not made by our page and gets a key of its own."""
    key = form.get(FormField.ATTEMPT_KEY, "").strip()
    return key if 0 < len(key) <= ONCE_KEY_CHARS_MAX and key.isascii() else secrets.token_urlsafe(18)


def _failure(shown: Shown) -> FailureKind | None:
    last = shown.last
    if last is None or last.state is not AttemptState.FAILED:
        return None
    return FAILURES.get(last.failure_code or "", "rejected")


def _receipt_line(receipt: Receipt, zone: ZoneInfo) -> ReceiptLine:
    method = receipt.method or {}
    kind = METHOD_KINDS.get(_METHOD_OF_BRAND.get(str(method.get("brand")), "card"), "other")
    return ReceiptLine(
        number=receipt.number,
        amount_label=money.label(abs(receipt.amount_minor), receipt.currency),
        at=receipt.at.astimezone(zone),
        method=kind if method else "other",
        method_detail=f"{method['brand'].title()} ·{method['last_four']}" if method.get("last_four") else None,
        is_refund=receipt.amount_minor < 0,
    )


_METHOD_OF_BRAND = {"PSE": "pse", "NEQUI": "nequi", "DAVIPLATA": "daviplata", "BREB": "breb", "EFECTIVO": "cash"}


def _balance_minor(shown: Shown) -> int:
    return min(shown.collection.due_minor, shown.invoice.balance_minor)


def _percent(it: Collection) -> int | None:
    if it.amount_minor is None or it.received_minor <= 0:
        return None
    return min(100, it.received_minor * 100 // it.amount_minor)


def _label(amount_minor: int | None, currency: str) -> str | None:
    return None if amount_minor is None else money.label(amount_minor, currency)
