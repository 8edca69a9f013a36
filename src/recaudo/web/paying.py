"""What to do with the forms of the payer's page: read them, start the attempt, or say why not.

Nothing is charged that the payer has not seen: a balance that changed is shown again, a typed amount is read back.
A method that asks for data has a page of its own for them (`details`), which also reads the amount back.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from recaudo.domain import money
from recaudo.domain.model import Attempt, payable_now
from recaudo.domain.states import AttemptState, RefusedError
from recaudo.store.database import Connection
from recaudo.usecases import attempts
from recaudo.usecases.asking import Known
from recaudo.usecases.attempts import GatewayNotAllowedError, StartAttempt
from recaudo.usecases.core import Core
from recaudo.web import choosing, details
from recaudo.web.choosing import Chosen, Form, Wrong, is_typed
from recaudo.web.payer import (
    FAILURES,
    OUTCOMES,
    TYPED_CHARS_MAX,
    Shown,
    Visitor,
    gateway_page,
    hand_off,
    is_simulator,
    load,
    method_view,
    page,
)
from recaudo.web.rendering import OTHER_LANGUAGE, Page
from recaudo.web.views import (
    BankChoice,
    ConfirmationPage,
    DetailField,
    DetailsPage,
    FormField,
    MethodChoice,
    NoticeKind,
    PaymentPage,
)

# A gateway's sentence for the payer; a longer one is not a sentence.
REFUSAL_CHARS_MAX: Final = 300

_ONCE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class GoTo(msgspec.Struct, frozen=True):
    """The answer is a look at a page of ours: what is posted is never what a reload repeats."""

    path: str


Answer = Page | GoTo


class _Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A form that named a way and an amount, and who sent it. `known` None: the method asks for nothing."""

    visitor: Visitor
    form: Form
    chosen: Chosen
    known: Known | None = None


async def pay(core: Core, shown: Shown, visitor: Visitor, form: Form) -> Answer:
    """What to answer to the form of the payer's page."""
    current = page(core, shown, visitor)
    chosen = await _choice(core, shown, visitor, current, form)
    if not isinstance(chosen, Chosen):
        return chosen
    if chosen.offer.method.asks:
        return GoTo(_details_path(shown, visitor, form))
    if is_typed(form) and form.get(FormField.UNDERSTOOD_MINOR) != str(chosen.amount_minor):
        method = method_view(chosen.offer)
        return _confirmation(current, form, method, chosen.amount_minor, shown.collection.currency)
    return await _begin(core, shown, _Sent(visitor=visitor, form=form, chosen=chosen))


async def show_details(core: Core, shown: Shown, visitor: Visitor, query: Form) -> Answer:
    """The page that asks what the chosen method wants to know."""
    current = page(core, shown, visitor)
    chosen = None if current.form is None else choosing.read(shown, query)
    if not isinstance(chosen, Chosen) or not chosen.offer.method.asks:
        return GoTo(_back_path(shown, visitor, query))
    known = await details.look_up(chosen.offer)
    if known is None:
        return _no_details(current, query, chosen)
    # What the payer types never stands in an address: a link that somebody sends could fill the form with their data.
    empty = {name: text for name, text in query.items() if name not in details.NAMES.values()}
    return _ask(current, shown, _Sent(visitor=visitor, form=empty, chosen=chosen, known=known))


async def pay_with_details(core: Core, shown: Shown, visitor: Visitor, form: Form) -> Answer:
    """What to answer to the form of that page."""
    current = page(core, shown, visitor)
    chosen = await _choice(core, shown, visitor, current, form)
    if not isinstance(chosen, Chosen):
        return chosen
    if not chosen.offer.method.asks:
        return await pay(core, shown, visitor, form)
    known = await details.look_up(chosen.offer)
    if known is None:
        return _no_details(current, form, chosen)
    sent = _Sent(visitor=visitor, form=form, chosen=chosen, known=known)
    given = details.read(chosen.offer, known, form, is_test=shown.account.is_test)
    if given.errors:
        return _ask(current, shown, sent, errors=given.errors)
    return await _begin(core, shown, sent, payer=given.payer)


async def newest_of_key(connection: Connection, shown: Shown, once_key: str) -> Attempt | None:
    """The attempt that a page's one-time key made: the last one, where a gateway was passed by for the next."""
    if not _ONCE_KEY.fullmatch(once_key):
        return None
    return await attempts.newest_of_key(connection, shown.account.id, shown.collection.id, once_key)


async def _choice(core: Core, shown: Shown, visitor: Visitor, current: PaymentPage, form: Form) -> Chosen | Answer:
    """What the form chose, or what to answer when nothing can be paid now or the form is wrong."""
    if current.form is None:
        return await _changed_meanwhile(core, shown, visitor, form)
    chosen = choosing.read(shown, form)
    return _again(current, form, chosen) if isinstance(chosen, Wrong) else chosen


async def _begin(core: Core, shown: Shown, sent: _Sent, *, payer: Mapping[str, str] | None = None) -> Answer:
    """Start the attempt, and lead the payer to what comes next."""
    visitor, form = sent.visitor, sent.form
    command = _command(shown, sent, payer or {})
    try:
        await attempts.start(core, shown.account, command)
    except RefusedError:
        fresh = await load(core, shown.collection.id)
        if fresh is None:
            return GoTo(shown.path_in(visitor.lang))
        return await _changed_meanwhile(core, fresh, visitor, form)
    except GatewayNotAllowedError:
        return _again(page(core, shown, visitor), form, Wrong(notice="gateway_unavailable"))
    return await _onward(core, shown, sent, command.once_key)


async def _onward(core: Core, shown: Shown, sent: _Sent, once_key: str) -> Answer:
    """Where the payer goes from an attempt that was begun, now or when the same form was sent before."""
    visitor = sent.visitor
    async with core.database.connection() as connection:
        attempt = await newest_of_key(connection, shown, once_key)
    fresh = await load(core, shown.collection.id)
    if attempt is None or fresh is None:
        return GoTo(shown.path_in(visitor.lang))
    if _is_refused(attempt):
        return _refused(core, fresh, sent, attempt)
    if fresh.last is not None and fresh.last.id == attempt.id and gateway_page(core, fresh, visitor) is not None:
        return GoTo(shown.continue_in(visitor.lang))
    return hand_off(core, fresh, visitor) or GoTo(shown.path_in(visitor.lang))


def _is_refused(attempt: Attempt) -> bool:
    """Whether the gateway never began it. A bank that declines has a transaction for it."""
    return attempt.state is AttemptState.FAILED and attempt.gateway_tx_id is None


def _refused(core: Core, shown: Shown, sent: _Sent, attempt: Attempt) -> Answer:
    """The form again, and why nothing was begun. Only who sent it reads the gateway's sentence: it may quote them."""
    current = page(core, shown, sent.visitor)
    if current.form is None:
        return GoTo(shown.path_in(sent.visitor.lang))
    if attempt.failure_code == "gateway_unavailable":
        return _again(current, sent.form, Wrong(notice="gateway_unavailable"))
    text = " ".join((attempt.failure_text or "").split())[:REFUSAL_CHARS_MAX]
    if sent.known is not None:
        return _ask(current, shown, sent, refusal=text)
    again = _again(current, sent.form, Wrong())
    return replace(again, failure=FAILURES.get(attempt.failure_code or "", "not_taken"), failure_text=text or None)


async def _changed_meanwhile(core: Core, shown: Shown, visitor: Visitor, form: Form) -> Answer:
    """The collection as it is now, and that nothing was charged, unless this very form was taken before."""
    async with core.database.connection() as connection:
        known = await newest_of_key(connection, shown, _once_key(form))
    if known is not None:
        is_newest = shown.last is not None and shown.last.id == known.id
        goes_on = is_newest and gateway_page(core, shown, visitor) is not None
        return GoTo(shown.continue_in(visitor.lang) if goes_on else shown.path_in(visitor.lang))
    current = page(core, shown, visitor)
    notice: NoticeKind | None = "not_charged" if current.form is None else "balance_changed"
    if current.state == "payable" and current.form is None:
        # There was never a way to pay, and the page says so.
        notice = None
    return replace(current, notice=notice, failure=None)


def _command(shown: Shown, sent: _Sent, payer: Mapping[str, str]) -> StartAttempt:
    visitor, form, chosen = sent.visitor, sent.form, sent.chosen
    once_key, outcome = _once_key(form), form.get(FormField.OUTCOME)
    is_simulated = outcome in OUTCOMES and shown.account.is_test and is_simulator(chosen.offer)
    # The gateway's word for where to return is the only thing that comes back: the language goes along if it must.
    lang = "" if visitor.lang == visitor.own_lang else f"?{urlencode({FormField.LANG.value: visitor.lang})}"
    browser = {"user_agent": visitor.user_agent[: details.USER_AGENT_CHARS_MAX], "ip": visitor.address}
    accepted: dict[str, Any] = {} if sent.known is None else sent.known.accepted
    return StartAttempt(
        collection_id=shown.collection.id,
        amount_minor=chosen.amount_minor,
        gateway=chosen.offer.gateway.name,
        method=chosen.offer.method.id,
        once_key=once_key,
        again=visitor.again,
        gateway_data={"outcome": outcome} if is_simulated else accepted,
        payer={**payer, **{name: value for name, value in browser.items() if value}},
        return_url=f"{visitor.base_url}{shown.path}/return/{once_key}{lang}",
    )


def _again(current: PaymentPage, form: Form, wrong: Wrong) -> PaymentPage:
    """The same page, with what was typed and what is wrong."""
    assert current.form is not None, "only a payable page is shown again"
    chosen = form.get(FormField.METHOD)
    outcome = form.get(FormField.OUTCOME)
    shown_form = replace(
        current.form,
        typed_amount=form.get(FormField.AMOUNT) if is_typed(form) else None,
        amount_error=wrong.error,
        chosen_method_id=chosen if any(m.id == chosen for m in current.form.methods) else None,
        chosen_outcome=outcome if outcome in current.form.outcomes else None,
    )
    kept = current.notice if current.notice == "paying_again" else None
    return replace(current, form=shown_form, notice=wrong.notice or kept, failure=None)


def _no_details(current: PaymentPage, form: Form, chosen: Chosen) -> PaymentPage:
    """The method cannot be begun now, because its gateway does not tell what the payer has to choose or to read."""
    return _again(
        current, form, Wrong(notice="pse_unavailable" if chosen.offer.method.id == "pse" else "gateway_unavailable")
    )


def _ask(
    current: PaymentPage,
    shown: Shown,
    sent: _Sent,
    *,
    errors: tuple[DetailField, ...] = (),
    refusal: str | None = None,
) -> DetailsPage:
    assert current.form is not None, "only a payable page asks for more"
    assert sent.known is not None, "only a method that asks has details"
    visitor, form, chosen, known, offer = sent.visitor, sent.form, sent.chosen, sent.known, sent.chosen.offer
    typed_amount = money.label(chosen.amount_minor, shown.collection.currency) if is_typed(form) else None
    other = msgspec.structs.replace(visitor, lang=OTHER_LANGUAGE[visitor.lang])
    return DetailsPage(
        lang=visitor.lang,
        merchant=current.merchant,
        is_test=current.is_test,
        page_path=current.page_path,
        title=current.title,
        amount_label=money.label(chosen.amount_minor, shown.collection.currency),
        method=method_view(offer),
        gateway=offer.gateway.title,
        action=f"{shown.path}/details?{urlencode({FormField.LANG.value: visitor.lang})}",
        csrf_token=visitor.csrf_token,
        attempt_key=current.form.attempt_key,
        choice=_choice_fields(chosen, typed_amount, again=current.form.again),
        asks=details.asked_fields(offer),
        back_url=_back_path(shown, visitor, form),
        language_url=_details_path(shown, other, form),
        banks=tuple(BankChoice(code=bank.code, name=bank.name) for bank in known.banks),
        document_types=details.document_types(offer),
        terms_url=None if known.terms is None else known.terms.terms_url,
        data_url=None if known.terms is None else known.terms.data_url,
        typed=details.typed(offer, form),
        errors=errors,
        refusal=refusal,
        notice="paying_again" if current.form.again else None,
    )


def _choice_fields(chosen: Chosen, typed_amount: str | None, *, again: bool) -> tuple[tuple[str, str], ...]:
    """The first form's fields, with the amount as it was read back."""
    amount = (
        [(FormField.CHOICE, "full"), (FormField.FULL_MINOR, str(chosen.amount_minor))]
        if typed_amount is None
        else [(FormField.CHOICE, "part"), (FormField.AMOUNT, typed_amount)]
    )
    fields = [(FormField.METHOD, method_view(chosen.offer).id), *amount, *([(FormField.AGAIN, "1")] if again else [])]
    return tuple((name.value, value) for name, value in fields)


def _details_path(shown: Shown, visitor: Visitor, form: Form) -> str:
    """Where the chosen method asks: the choice is in the address, what is typed there never is."""
    whole = {} if is_typed(form) else {FormField.CHOICE.value: "full", FormField.FULL_MINOR.value: _full(shown)}
    query = {FormField.LANG.value: visitor.lang, **_kept(visitor, form), **whole}
    return f"{shown.path}/details?{urlencode(query)}"


def _back_path(shown: Shown, visitor: Visitor, form: Form) -> str:
    """The payer's page, with what was chosen there."""
    return shown.path_in(visitor.lang, **_kept(visitor, form))


def _full(shown: Shown) -> str:
    allowed = payable_now(shown.invoice, shown.collection)
    return "" if allowed is None else str(allowed.balance_minor)


def _kept(visitor: Visitor, form: Form) -> dict[str, str]:
    kept = {FormField.METHOD.value: form.get(FormField.METHOD, "")}
    if is_typed(form):
        kept[FormField.AMOUNT.value] = form.get(FormField.AMOUNT, "").strip("$ ")[:TYPED_CHARS_MAX]
    if visitor.again:
        kept[FormField.AGAIN.value] = "1"
    return kept


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
