"""What the payer chose on the first form: by which way, and how much; or what is wrong with it."""

from collections.abc import Mapping

import msgspec

from recaudo.domain import money
from recaudo.domain.model import payable_now
from recaudo.domain.partial import Allowed
from recaudo.usecases.gateways import Offer, takes
from recaudo.web.payer import Shown, method_view
from recaudo.web.views import AmountError, FormField, NoticeKind

Form = Mapping[str, str]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer chose, read and allowed."""

    offer: Offer
    amount_minor: int


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a choice."""

    notice: NoticeKind | None = None
    error: AmountError | None = None


def read(shown: Shown, form: Form) -> Chosen | Wrong:
    """The way and the amount that a form or an address names."""
    named = next((o for o in shown.offers if method_view(o).id == form.get(FormField.METHOD)), None)
    if named is None:
        return Wrong(notice="choose_method")
    amount_minor = _amount_minor(shown, form)
    if not isinstance(amount_minor, int):
        return Wrong(error=amount_minor)
    if _full_changed(shown, form):
        return Wrong(notice="balance_changed")
    # Another gateway of the merchant's may take what this one does not.
    same = [named, *(o for o in shown.offers if o.method.id == named.method.id)]
    offer = next((o for o in same if takes(o, amount_minor)), None)
    return Wrong(notice="method_amount") if offer is None else Chosen(offer=offer, amount_minor=amount_minor)


def _amount_minor(shown: Shown, form: Form) -> int | AmountError:
    """The amount the payer chose, or what is wrong with it."""
    allowed = payable_now(shown.invoice, shown.collection)
    if not is_typed(form):
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


def is_typed(form: Form) -> bool:
    """Whether the amount is what was typed: the part was chosen, or nothing else was offered."""
    choice = form.get(FormField.CHOICE)
    return choice == "part" or (choice is None and FormField.AMOUNT in form)


def _full_changed(shown: Shown, form: Form) -> bool:
    """Whether somebody paid or changed something while the payer looked at the whole balance."""
    if is_typed(form):
        return False
    allowed = payable_now(shown.invoice, shown.collection)
    return allowed is not None and form.get(FormField.FULL_MINOR) != str(allowed.balance_minor)
