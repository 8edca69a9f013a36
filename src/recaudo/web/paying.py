"""What to do with the form of the payer's page: read it, start the attempt, or say why not.

Nothing is charged that the payer has not seen: a balance that changed is shown again, a typed amount is read back.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from recaudo.domain import money
from recaudo.domain.model import payable_now
from recaudo.domain.partial import Allowed
from recaudo.domain.states import RefusedError
from recaudo.store import cases
from recaudo.usecases import attempts
from recaudo.usecases.attempts import GatewayNotAllowedError, StartAttempt
from recaudo.usecases.core import Core
from recaudo.web.payer import OUTCOMES, Shown, Visitor, hand_off, load, page
from recaudo.web.rendering import render_confirmation, render_payment
from recaudo.web.views import AmountError, ConfirmationPage, FormField, MethodChoice, NoticeKind, PaymentPage

Form = Mapping[str, str]

_ONCE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def pay(core: Core, shown: Shown, visitor: Visitor, form: Form) -> str | None:
    """What to answer to the posted form: a page, or None when the payer should look at the collection again."""
    current = page(core, shown, visitor)
    offer = current.form
    if offer is None:
        return await _changed_meanwhile(core, shown, visitor, form)
    method = next((m for m in offer.methods if m.id == form.get(FormField.METHOD)), None)
    if method is None:
        return _again(current, form, notice="choose_method")
    amount_minor = _amount_minor(shown, form)
    if not isinstance(amount_minor, int):
        return _again(current, form, error=amount_minor)
    if _full_changed(shown, form):
        return _again(current, form, notice="balance_changed")
    if _is_typed(form) and form.get(FormField.UNDERSTOOD_MINOR) != str(amount_minor):
        return render_confirmation(_confirmation(current, form, method, amount_minor, shown.collection.currency))
    try:
        return await _start(core, shown, visitor, _command(shown, form, method, amount_minor, again=visitor.again))
    except RefusedError:
        fresh = await load(core, shown.collection.id)
        return None if fresh is None else await _changed_meanwhile(core, fresh, visitor, form)
    except GatewayNotAllowedError:
        return _again(current, form, notice="gateway_unavailable")


async def _start(core: Core, shown: Shown, visitor: Visitor, command: StartAttempt) -> str | None:
    """Pay, and lead a payer who has paid back to the merchant's site, if there is one to lead to."""
    await attempts.start(core, shown.account, command)
    if shown.invoice.redirect_url is None:
        return None
    paid = await load(core, shown.collection.id)
    return None if paid is None else hand_off(core, paid, visitor)


async def _changed_meanwhile(core: Core, shown: Shown, visitor: Visitor, form: Form) -> str | None:
    """The collection as it is now, and that nothing was charged; None when this very form was taken before."""
    key = _once_key(form)
    async with core.database.connection() as connection:
        known = await cases.find_attempt_by_once_key(connection, shown.account.id, shown.collection.id, key)
    if known is not None:
        return None
    current = page(core, shown, visitor)
    notice: NoticeKind | None = "not_charged" if current.form is None else "balance_changed"
    if current.state == "payable" and current.form is None:
        # There was never a way to pay, and the page says so.
        notice = None
    return render_payment(replace(current, notice=notice, failure=None))


def _command(shown: Shown, form: Form, method: MethodChoice, amount_minor: int, *, again: bool) -> StartAttempt:
    gateway, _, method_id = method.id.partition(":")
    outcome = form.get(FormField.OUTCOME)
    return StartAttempt(
        collection_id=shown.collection.id,
        amount_minor=amount_minor,
        gateway=gateway,
        method=method_id,
        once_key=_once_key(form),
        again=again,
        gateway_data={"outcome": outcome} if outcome in OUTCOMES and shown.account.is_test else {},
    )


def _amount_minor(shown: Shown, form: Form) -> int | AmountError:
    """The amount the payer chose, or what is wrong with it."""
    allowed = payable_now(shown.invoice, shown.collection)
    if not _is_typed(form):
        return "missing" if allowed is None or not allowed.whole else allowed.balance_minor
    amount_minor = _typed_minor(form, shown.collection.currency)
    if not isinstance(amount_minor, int) or (allowed is not None and amount_minor in allowed):
        return amount_minor
    low_minor, high_minor = _bounds(shown, allowed)
    if amount_minor < low_minor:
        return "too_small"
    if amount_minor > high_minor:
        return _above(amount_minor, allowed)
    return amount_minor


def _typed_minor(form: Form, currency: str) -> int | AmountError:
    text = form.get(FormField.AMOUNT, "").strip()
    if not text:
        return "missing"
    try:
        amount_minor = money.read_typed(text, currency)
    except ValueError:
        return "unreadable"
    # Banks and wallets collect whole pesos from people, and the wire formats tell parts in whole pesos.
    return "cents" if amount_minor % money.minor_per_unit(currency) else amount_minor


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
        typed_amount=form.get(FormField.AMOUNT) if _is_typed(form) else None,
        amount_error=error,
        chosen_method_id=chosen if any(m.id == chosen for m in current.form.methods) else None,
        chosen_outcome=outcome if outcome in current.form.outcomes else None,
    )
    kept = current.notice if current.notice == "paying_again" else None
    return render_payment(replace(current, form=shown_form, notice=notice or kept, failure=None))


def _confirmation(
    current: PaymentPage, form: Form, method: MethodChoice, amount_minor: int, currency: str
) -> ConfirmationPage:
    assert current.form is not None, "only a payable page is confirmed"
    outcome = form.get(FormField.OUTCOME)
    return ConfirmationPage(
        lang=current.lang,
        merchant=current.merchant,
        is_test=current.is_test,
        page_path=current.page_path,
        title=current.title,
        amount_minor=amount_minor,
        amount_label=money.label(amount_minor, currency),
        method=method,
        action=current.form.action,
        csrf_token=current.form.csrf_token,
        attempt_key=_once_key(form),
        outcome=outcome if outcome in current.form.outcomes else None,
        again=current.form.again,
    )


def _once_key(form: Form) -> str:
    """The page's one-time key; a form without one was not made by our page and gets a key of its own."""
    key = form.get(FormField.ATTEMPT_KEY, "")
    return key if _ONCE_KEY.fullmatch(key) else secrets.token_urlsafe(18)
