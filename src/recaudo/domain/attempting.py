"""One try to pay: starting it, and applying what the gateway reports about it, in whatever order that arrives."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from recaudo.domain.answers import Absent, Answer, Fact, FactState, NotSent, Refused, Reported, Step, Unknown
from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Attempt, Case, Receipt, payable_now
from recaudo.domain.receiving import Arrival, receive
from recaudo.domain.reversing import Reversal, reverse
from recaudo.domain.states import (
    ATTEMPT_MOVES,
    IN_PROGRESS,
    AttemptState,
    CollectionCommand,
    InvoiceCommand,
    Refusal,
    RefusedError,
    allow_collection,
    allow_invoice,
)

# A gateway that finds nothing this long after an attempt was begun never heard of it (gateways spec 1.5).
NOT_CREATED_AFTER: Final = timedelta(minutes=10)
# The same for a gateway's own page, counted from the end of the time that the payer had there (1.9).
ABANDONED_AFTER: Final = timedelta(hours=24)
# A payer who was declined on the gateway's own page may try again there, and the notice of that may be lost.
RETRIED_WITHIN: Final = timedelta(minutes=10)
# A gateway that takes back what it had confirmed is asked again before it is believed (1.7).
DOUBTED_FOR: Final = timedelta(seconds=60)


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that has a receipt, and how much of it is booked as gone back, `by_hand_minor` of that by hand."""

    receipt: Receipt
    returned_minor: int = 0
    by_hand_minor: int = 0

    @property
    def left_minor(self) -> int:
        return self.receipt.amount_minor - self.returned_minor


def start(
    case: Case, attempt: Attempt, moment: Moment, *, open_bounds_minor: tuple[int, int], again: bool = False
) -> Change:
    """Record an attempt before its gateway is called.

    `again` is the payer's word that they pay although an earlier try is not decided yet. Raises RefusedError when
    the collection takes no money, its time is over, or the amount is not allowed (OnePay spec 9.2).
    """
    collection = case.collection(attempt.collection_id)
    allow_collection(collection.state, CollectionCommand.START_ATTEMPT)
    allow_invoice(case.invoice.state, InvoiceCommand.START_ATTEMPT)
    if collection.expires_at is not None and collection.expires_at <= moment.now:
        raise RefusedError(Refusal.COLLECTION_EXPIRED)
    if collection.open_attempts > 0 and not again:
        raise RefusedError(Refusal.ATTEMPT_IN_PROGRESS)
    allowed = payable_now(case.invoice, collection)
    lowest_minor, highest_minor = open_bounds_minor
    fits = lowest_minor <= attempt.amount_minor <= highest_minor if allowed is None else attempt.amount_minor in allowed
    if not fits:
        raise RefusedError(Refusal.AMOUNT_NOT_ALLOWED)
    draft = Draft.of(case, moment)
    draft.add_attempt(attempt)
    draft.event("attempt.started", collection_id=attempt.collection_id, attempt_id=attempt.id)
    return draft.finish()


def conclude(
    case: Case,
    attempt: Attempt,
    answer: Answer,
    moment: Moment,
    *,
    booked: Mapping[str, Booked],
    ask_at: datetime,
) -> Change | None:
    """Apply what the gateway said. `booked` are the gateway's transactions on this invoice that have a receipt.

    Several approved transactions are all booked, each once; the attempt's state is the best of its transactions, so a
    declined one does not end it while another is pending. What went back is booked as far as it was not before.
    Returns None when the answer tells nothing new. `ask_at` is when to ask again if the outcome stays open.
    """
    if isinstance(answer, Reported):
        answer = msgspec.structs.replace(answer, facts=_one_of_each(answer.facts))
    facts = answer.facts if isinstance(answer, Reported) else ()
    draft = Draft.of(case, moment)
    changed = _changed(attempt, answer, moment, booked)
    changed = msgspec.structs.replace(changed, ask_at=when_to_ask(changed, moment, ask_at))
    arrived = [f for f in facts if f.state in _ARRIVED and f.gateway_tx_id not in booked]
    gone_back = _gone_back(changed, facts, booked)
    if not arrived and not gone_back and _same(attempt, changed):
        return None
    draft.add_attempt(changed)
    _count_open(draft, was=attempt, now=changed)
    if changed.state is not attempt.state or not (arrived or gone_back):
        kind = "doubted" if _doubted(changed) - _doubted(attempt) else _TOLD.get(changed.state, changed.state)
        draft.event(f"attempt.{kind}", collection_id=attempt.collection_id, attempt_id=attempt.id)
    for fact in facts:
        _move_money(draft, attempt, fact, booked, gone_back.get(fact.gateway_tx_id, 0))
    _hold_disputed(draft, was=attempt, now=changed, booked=booked)
    return draft.finish()


# Where an attempt keeps what was last known of each of its transactions. Reports arrive late and in any order: of one
# transaction the furthest counts, of an attempt the transaction that promises most (gateways spec 1.8).
_TRANSACTIONS = "transactions"
_STEP = "step"
_PAYABLE_UNTIL = "payable_until"
_DOUBTS = "doubts"  # by transaction: since when the gateway takes back what it had confirmed
_REFUNDED = "refunded"
_FURTHEST = {"processing": 0, "failed": 1, "succeeded": 2, "disputed": 2, _REFUNDED: 3}
_BEST = ("failed", "processing", _REFUNDED, "disputed", "succeeded")
_ARRIVED = frozenset({FactState.SUCCEEDED, FactState.DISPUTED})
# A gateway's own page that is ready for the payer leaves the attempt as it was created.
_TOLD = {AttemptState.CREATED: "handed_over"}
_DECIDED = frozenset({AttemptState.SUCCEEDED, AttemptState.REFUNDED, AttemptState.DISPUTED})
_OPEN = frozenset({AttemptState.CREATED, *IN_PROGRESS})


def _one_of_each(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Each transaction once, at its furthest: a list that was read in pages may tell one twice."""
    furthest: dict[str, Fact] = {}
    for fact in facts:
        before = furthest.get(fact.gateway_tx_id)
        if before is None or _rank(fact) >= _rank(before):
            furthest[fact.gateway_tx_id] = fact
    return tuple(furthest.values())


def _rank(fact: Fact) -> tuple[int, int]:
    return _FURTHEST[fact.state.value], fact.refunded_minor


def step_of(attempt: Attempt) -> Step | None:
    """What the payer has to do for the attempt to go on."""
    kept = attempt.gateway_data.get(_STEP)
    return None if kept is None else msgspec.convert(kept, Step)


def payable_until(attempt: Attempt) -> datetime | None:
    """Until when the payer may begin transactions of the attempt on the gateway's own page."""
    kept = attempt.gateway_data.get(_PAYABLE_UNTIL)
    return None if kept is None else datetime.fromisoformat(kept)


def _changed(attempt: Attempt, answer: Answer, moment: Moment, booked: Mapping[str, Booked]) -> Attempt:
    """The attempt once the answer is counted in."""
    match answer:
        case Reported():
            return _reported(attempt, answer, moment, booked)
        case Unknown():
            # A question that is not answered changes nothing; a beginning that is not answered does.
            begun = attempt.state is AttemptState.CREATED and payable_until(attempt) is None
            return _moved(attempt, AttemptState.UNKNOWN, moment) if begun else attempt
        case Absent():
            return (
                _moved(attempt, AttemptState.FAILED, moment, code=_why_absent(attempt))
                if _over(attempt, moment)
                else attempt
            )
        case Refused(code=code, text=text):
            return _moved(attempt, AttemptState.FAILED, moment, code=code, text=text)
        case NotSent():
            return _moved(attempt, AttemptState.FAILED, moment, code="gateway_unavailable")


def _moved(
    attempt: Attempt, state: AttemptState, moment: Moment, *, code: str | None = None, text: str | None = None
) -> Attempt:
    if state not in ATTEMPT_MOVES[attempt.state]:
        return attempt
    return msgspec.structs.replace(attempt, state=state, updated_at=moment.now, failure_code=code, failure_text=text)


def _over(attempt: Attempt, moment: Moment) -> bool:
    """Whether a gateway that finds nothing will not find anything any more. What it found once is not absent."""
    if _TRANSACTIONS in attempt.gateway_data:
        return False
    until = payable_until(attempt)
    limit = attempt.created_at + NOT_CREATED_AFTER if until is None else until + ABANDONED_AFTER
    return moment.now >= limit


def _why_absent(attempt: Attempt) -> str:
    return "not_created" if payable_until(attempt) is None else "abandoned"


def _reported(attempt: Attempt, answer: Reported, moment: Moment, booked: Mapping[str, Booked]) -> Attempt:
    doubts = _doubts(attempt, answer, moment, booked)
    believed = {tx for tx, since in doubts.items() if moment.now >= datetime.fromisoformat(since) + DOUBTED_FOR}
    known = {**_known_transactions(attempt, answer), **dict.fromkeys(believed, _REFUNDED)}
    best = AttemptState(max(known.values(), key=_BEST.index)) if known else attempt.state
    state = best if best in ATTEMPT_MOVES[attempt.state] else attempt.state
    data: dict[str, Any] = {**attempt.gateway_data, **({_TRANSACTIONS: known} if known else {})}
    if answer.step is not None:
        data[_STEP] = msgspec.to_builtins(answer.step)
    if answer.payable_until is not None:
        data[_PAYABLE_UNTIL] = answer.payable_until.isoformat()
    if doubts or _DOUBTS in data:
        data[_DOUBTS] = {tx: since for tx, since in doubts.items() if tx not in believed}
    news = _news(answer.facts, booked)
    if state is attempt.state and data == attempt.gateway_data and not news:
        return attempt
    return _showing(attempt, answer, state, moment, data=data, news=news)


def _news(facts: tuple[Fact, ...], booked: Mapping[str, Booked]) -> list[Fact]:
    return [f for f in facts if f.state in _ARRIVED and f.gateway_tx_id not in booked]


def _showing(
    attempt: Attempt, answer: Reported, state: AttemptState, moment: Moment, *, data: dict[str, Any], news: list[Fact]
) -> Attempt:
    """The attempt in its new state, showing the last transaction that put it there."""
    decisive = news or [f for f in answer.facts if f.state.value == state.value]
    last = decisive[-1] if decisive else None
    failed = state is AttemptState.FAILED
    return msgspec.structs.replace(
        attempt,
        state=state,
        updated_at=moment.now,
        gateway_data=data,
        gateway_tx_id=last.gateway_tx_id if last else attempt.gateway_tx_id,
        method=(last.method if last else None) or attempt.method,
        failure_code=(last.failure_code if last else attempt.failure_code) if failed else None,
        failure_text=(last.failure_text if last else attempt.failure_text) if failed else None,
        paid_at=moment.now if news and attempt.paid_at is None else attempt.paid_at,
    )


def _known_transactions(attempt: Attempt, answer: Reported) -> dict[str, str]:
    """The state of each of the attempt's transactions once the answer is counted in."""
    known: dict[str, str] = dict(attempt.gateway_data.get(_TRANSACTIONS, {}))
    for fact in answer.facts:
        said = _REFUNDED if 0 < fact.amount_minor <= fact.refunded_minor else fact.state.value
        before = known.get(fact.gateway_tx_id)
        if before is None or _FURTHEST[said] >= _FURTHEST[before]:
            known[fact.gateway_tx_id] = said
    return known


def _doubts(attempt: Attempt, answer: Reported, moment: Moment, booked: Mapping[str, Booked]) -> dict[str, str]:
    """Transactions that the gateway had confirmed and now says it did not collect, and since when it says so."""
    before: dict[str, str] = attempt.gateway_data.get(_DOUBTS, {})
    said = {f.gateway_tx_id: f.state for f in answer.facts}
    doubts = {tx: since for tx, since in before.items() if tx not in said}
    for tx, state in said.items():
        if state not in _ARRIVED and tx in booked and booked[tx].left_minor > 0:
            doubts[tx] = before.get(tx, moment.now.isoformat())
    return doubts


def _gone_back(changed: Attempt, facts: tuple[Fact, ...], booked: Mapping[str, Booked]) -> dict[str, int]:
    """How much more than is booked went back, by transaction: refunds, and what was doubted for long enough."""
    gone: dict[str, int] = {}
    known: dict[str, str] = changed.gateway_data.get(_TRANSACTIONS, {})
    for fact in facts:
        tx = fact.gateway_tx_id
        at = booked.get(tx)
        returned_minor = at.returned_minor if at else 0
        more_minor = min(fact.refunded_minor, fact.amount_minor) - returned_minor
        if at is not None and fact.state not in _ARRIVED and known.get(tx) == _REFUNDED:
            more_minor = at.left_minor
        if more_minor > 0 and (at is not None or fact.state in _ARRIVED):
            gone[tx] = min(more_minor, at.left_minor) if at is not None else more_minor
    return {tx: minor for tx, minor in gone.items() if minor > 0}


def _move_money(draft: Draft, attempt: Attempt, fact: Fact, booked: Mapping[str, Booked], gone_back_minor: int) -> None:
    """Book what arrived with a transaction, and what went back of it."""
    at = booked.get(fact.gateway_tx_id)
    if at is None and fact.state not in _ARRIVED:
        return
    assert fact.currency == draft.invoice.currency, "another currency goes to suspense before it gets here"
    receipt = (
        at.receipt
        if at is not None
        else receive(draft, _arrival(draft, attempt, fact), collection_id=attempt.collection_id)
    )
    if gone_back_minor:
        total_minor = gone_back_minor + (at.returned_minor if at is not None else 0)
        reason = "refunded" if fact.state in _ARRIVED else "gateway_reversal"
        number = f"{fact.gateway_tx_id}:back:{total_minor}"
        reverse(draft, receipt, Reversal(amount_minor=gone_back_minor, number=number, reason=reason))


def _arrival(draft: Draft, attempt: Attempt, fact: Fact) -> Arrival:
    # When the gateway collected it, so that a payment of the evening is not one of the next day; never what lies
    # before the attempt or ahead of the account's clock.
    at = fact.paid_at
    is_sane = at is not None and attempt.created_at <= at <= draft.moment.now
    return Arrival(
        amount_minor=fact.amount_minor,
        gateway=attempt.gateway,
        gateway_tx_id=fact.gateway_tx_id,
        attempt_id=attempt.id,
        method=fact.method,
        at=at if is_sane else None,
    )


def _hold_disputed(draft: Draft, *, was: Attempt, now: Attempt, booked: Mapping[str, Booked]) -> None:
    """Money in dispute is the merchant's only if the dispute ends well: it waits in a book of its own."""
    before: dict[str, str] = was.gateway_data.get(_TRANSACTIONS, {})
    after: dict[str, str] = now.gateway_data.get(_TRANSACTIONS, {})
    gateway = Books.gateway(was.gateway)
    for tx, state in after.items():
        held, holds = before.get(tx) == "disputed", state == "disputed"
        if held is holds:
            continue
        at = booked.get(tx)
        receipt = at.receipt if at is not None else next(r for r in draft.case.receipts if r.gateway_tx_id == tx)
        amount_minor = receipt.amount_minor
        ids = {"collection_id": receipt.collection_id}
        draft.transfer(*((Books.DISPUTED, gateway) if holds else (gateway, Books.DISPUTED)), amount_minor, **ids)


def when_to_ask(attempt: Attempt, moment: Moment, ask_at: datetime) -> datetime | None:
    """When the gateway is asked again: while the outcome is open, may still become better, or is in doubt."""
    doubts: dict[str, str] = attempt.gateway_data.get(_DOUBTS, {})
    if doubts:
        return moment.now + DOUBTED_FOR
    if attempt.state in _OPEN:
        return ask_at
    until = payable_until(attempt)
    retried = attempt.state is AttemptState.FAILED and until is not None and moment.now < until + RETRIED_WITHIN
    return ask_at if retried else None


def _same(was: Attempt, now: Attempt) -> bool:
    """Whether nothing changed that anybody would want to know; when to ask is noted without an event."""
    if was.state is not now.state or _doubted(was) != _doubted(now):
        return False
    return now.state in _DECIDED or was.gateway_data == now.gateway_data


def _doubted(attempt: Attempt) -> set[str]:
    """Its transactions that the gateway takes back, and is asked about once more."""
    return set(attempt.gateway_data.get(_DOUBTS, {}))


def _count_open(draft: Draft, *, was: Attempt, now: Attempt) -> None:
    difference = int(now.in_progress) - int(was.in_progress)
    if difference:
        collection = draft.collection(was.collection_id)
        draft.set_collection(collection.id, open_attempts=collection.open_attempts + difference)


def gateway_reference(attempt_id: UUID) -> str:
    """How gateways know an attempt: `rc`, the id in base 62, `x` (gateways spec 1.4)."""
    return f"rc{base62(attempt_id.int)}x"


def is_own_reference(reference: str) -> bool:
    """Whether a reference looks like one that `gateway_reference` made."""
    return reference.startswith("rc") and reference.endswith("x") and from_base62(reference[2:-1]) is not None


def base62(number: int) -> str:
    """A 128-bit number as 24 characters `0-9A-Za-z`, left-padded with zeros."""
    digits: list[str] = []
    for _ in range(24):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def from_base62(digits: str) -> int | None:
    """The 128-bit number that 24 characters stand for; None for anything else."""
    if len(digits) != 24 or not set(digits) <= set(_BASE62):
        return None
    number = 0
    for digit in digits:
        number = number * 62 + _BASE62.index(digit)
    return number if number < 1 << 128 else None


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
