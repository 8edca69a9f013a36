"""Money that a merchant gives back: taken note of before the gateway is called, booked when the gateway says so.

Gateways specification, section 1.11. What a refund takes is spoken for until its outcome is known, so together they
never give back more than arrived.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Case, ReceiptKind, Refund, RefundWay
from recaudo.domain.reversing import Reversal, ask_again, reverse
from recaudo.domain.states import InvoiceState, RefundState, Refusal, RefusedError
from recaudo.domain.transactions import Booked


class Refunded(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway gave the money back."""

    gateway_refund_id: str | None = None


class RefundPending(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway took the refund and has not decided on it yet."""

    gateway_refund_id: str | None = None


class RefundRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway will not give the money back; nothing was moved."""

    code: str
    text: str | None = None


class RefundUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway did not answer in a way that says what happened."""

    reason: str


RefundAnswer = Refunded | RefundPending | RefundRefused | RefundUnknown


class Refundable(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt, what is booked as gone back of it, and its refunds."""

    booked: Booked
    refunds: Sequence[Refund] = ()

    @property
    def left_minor(self) -> int:
        """What may still be given back: what arrived, less what went back and what open refunds speak for."""
        return max(0, self.booked.left_minor - sum(r.amount_minor for r in self.refunds if r.is_open))


def start(case: Case, refund: Refund, of: Refundable, moment: Moment) -> Change:
    """Take note of a refund before its gateway is called; what was given back otherwise is booked at once.

    Raises RefusedError when it is more than is left of the receipt, or the receipt is itself money that went back, or
    its money is in dispute: who loses one gives the money back a second time.
    """
    booked = of.booked
    if booked.receipt.kind is ReceiptKind.REFUND:
        raise RefusedError(Refusal.RECEIPT_IS_REFUND)
    if booked.is_disputed:
        raise RefusedError(Refusal.RECEIPT_DISPUTED)
    if not 0 < refund.amount_minor <= of.left_minor:
        raise RefusedError(Refusal.REFUND_ABOVE_RECEIPT)
    draft = Draft.of(case, moment)
    draft.add_refund(refund)
    about = booked.receipt.collection_id or case.invoice.collection_id
    draft.event("refund.started", collection_id=about, attempt_id=refund.attempt_id, refund_id=str(refund.id))
    if refund.way is not RefundWay.GATEWAY:
        _book(draft, refund, of)
        _tell(draft, refund, booked)
    return draft.finish()


def conclude(
    case: Case, refund: Refund, answer: RefundAnswer, moment: Moment, *, of: Refundable, ask_at: datetime
) -> Change | None:
    """Apply what the gateway said. Returns None when it tells nothing new."""
    if not refund.is_open:
        return None
    booked = of.booked
    now = _moved(refund, answer, moment, ask_at)
    if now.state is refund.state and now.gateway_refund_id == refund.gateway_refund_id:
        return None
    draft = Draft.of(case, moment)
    draft.add_refund(now)
    if now.state is RefundState.SUCCEEDED:
        _book(draft, now, of)
    _tell(draft, now, booked)
    return draft.finish()


def settle(
    case: Case, refund: Refund, outcome: RefundAnswer, evidence: str, moment: Moment, *, of: Refundable
) -> Change:
    """End a refund that its gateway cannot tell the outcome of, by what a person found out.

    Raises RefusedError for one that has ended, or that its gateway was never asked for.
    """
    if not refund.is_open or refund.asked == 0:
        raise RefusedError(Refusal.REFUND_NOT_OPEN)
    told = msgspec.structs.replace(refund, evidence=evidence)
    change = conclude(case, told, outcome, moment, of=of, ask_at=moment.now)
    assert change is not None, "an outcome ends what is open"
    return change


def reopen(case: Case, moment: Moment) -> Change:
    """Ask again for what was paid and went back (OnePay specification, section 9).

    Raises RefusedError for an invoice that is void, or of which nothing is owed.
    """
    if case.invoice.state is InvoiceState.VOID:
        raise RefusedError(Refusal.INVOICE_VOID)
    if case.invoice.state is not InvoiceState.PAID or case.invoice.balance_minor <= 0:
        raise RefusedError(Refusal.NOTHING_TO_ASK_FOR)
    draft = Draft.of(case, moment)
    ask_again(draft)
    return draft.finish()


def _book(draft: Draft, refund: Refund, of: Refundable) -> None:
    """Book what a refund that succeeded gave back.

    The gateway's own report of the transaction may have come first and be booked already: only what the refunds that
    the gateway knows of give back beyond that is booked here. What it never hears of did not leave its book.
    """
    receipt, booked = of.booked.receipt, of.booked
    if refund.way is RefundWay.ELSEWHERE:
        number = f"{receipt.gateway_tx_id}:elsewhere:{refund.id}"
        reversal = Reversal(amount_minor=refund.amount_minor, number=number, reason="refunded", book=Books.OUTSIDE)
        reverse(draft, receipt, reversal)
        return
    others = [r for r in of.refunds if r.state is RefundState.SUCCEEDED and r.id != refund.id]
    known_minor = sum(r.amount_minor for r in (refund, *others) if r.way is not RefundWay.ELSEWHERE)
    missing_minor = min(known_minor - booked.told_minor, booked.left_minor)
    if missing_minor > 0:
        number = f"{receipt.gateway_tx_id}:back:{booked.told_minor + missing_minor}"
        reverse(draft, receipt, Reversal(amount_minor=missing_minor, number=number, reason="refunded"))


def _moved(refund: Refund, answer: RefundAnswer, moment: Moment, ask_at: datetime) -> Refund:
    match answer:
        case Refunded(gateway_refund_id=theirs):
            return _in(refund, RefundState.SUCCEEDED, moment, theirs=theirs)
        case RefundPending(gateway_refund_id=theirs):
            return _in(refund, RefundState.PROCESSING, moment, theirs=theirs, ask_at=ask_at)
        case RefundRefused(code=code, text=text):
            failed = _in(refund, RefundState.FAILED, moment)
            return msgspec.structs.replace(failed, failure_code=code, failure_text=text)
        case RefundUnknown():
            # A question without an answer says nothing about a refund that the gateway has taken.
            state = RefundState.UNKNOWN if refund.state is RefundState.CREATED else refund.state
            return _in(refund, state, moment, ask_at=ask_at)


def _in(
    refund: Refund, state: RefundState, moment: Moment, *, theirs: str | None = None, ask_at: datetime | None = None
) -> Refund:
    return msgspec.structs.replace(
        refund,
        state=state,
        gateway_refund_id=theirs or refund.gateway_refund_id,
        ask_at=ask_at,
        updated_at=moment.now,
    )


def _tell(draft: Draft, refund: Refund, booked: Booked) -> None:
    about = booked.receipt.collection_id or draft.invoice.collection_id
    draft.event(f"refund.{refund.state}", collection_id=about, attempt_id=refund.attempt_id, refund_id=str(refund.id))
