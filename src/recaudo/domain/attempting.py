"""One try to pay: starting it, and applying what the gateway reports about it, in whatever order that arrives."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.changes import Change, Draft, Moment
from recaudo.domain.model import Attempt, Case, payable_now
from recaudo.domain.receiving import Arrival, receive
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


class FactState(StrEnum):
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one gateway transaction, as the gateway's own API reports it."""

    gateway_tx_id: str
    state: FactState
    amount_minor: int
    currency: str
    method: dict[str, Any] | None = None
    failure_code: str | None = None
    failure_text: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway said about an attempt: its transactions, or `unknown` when it did not answer."""

    facts: tuple[Fact, ...] = ()
    unknown: bool = False


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
    booked: frozenset[str],
    ask_at: datetime | None,
) -> Change | None:
    """Apply what the gateway said. `booked` are the transaction ids that already have a receipt.

    Several approved transactions are all booked, each once; the attempt's state is the best of its transactions, so a
    declined one does not end it while another is pending. Returns None when the answer tells nothing new. `ask_at` is
    when to ask again if the outcome stays open.
    """
    draft = Draft.of(case, moment)
    approved = {f.gateway_tx_id: f for f in answer.facts if f.state is FactState.SUCCEEDED}
    news = [f for f in approved.values() if f.gateway_tx_id not in booked]
    known = _known_transactions(attempt, answer)
    state = _best_state(attempt, answer, known)
    if not news and state is attempt.state and (state in _DECIDED or known == _transactions(attempt)):
        return None
    changed = _moved(attempt, answer, state, news, moment=moment, ask_at=ask_at if state in IN_PROGRESS else None)
    changed = msgspec.structs.replace(changed, gateway_data={**attempt.gateway_data, _TRANSACTIONS: known})
    draft.add_attempt(changed)
    _count_open(draft, was=attempt, now=changed)
    if changed.state is not attempt.state or not news:
        _tell(draft, changed)
    for fact in news:
        assert fact.currency == case.invoice.currency, "another currency goes to suspense before it gets here"
        arrival = Arrival(
            amount_minor=fact.amount_minor,
            gateway=attempt.gateway,
            gateway_tx_id=fact.gateway_tx_id,
            attempt_id=attempt.id,
            method=fact.method,
        )
        receive(draft, arrival, collection_id=attempt.collection_id)
    return draft.finish()


_DECIDED = frozenset({AttemptState.SUCCEEDED, AttemptState.REFUNDED, AttemptState.DISPUTED})

# Where an attempt keeps what was last known of each of its transactions. Reports arrive late and in any order: of one
# transaction the furthest counts, of an attempt the transaction that promises most (gateways spec 1.8).
_TRANSACTIONS = "transactions"
_FURTHEST = (FactState.PROCESSING, FactState.FAILED, FactState.SUCCEEDED)
_BEST = (FactState.FAILED, FactState.PROCESSING, FactState.SUCCEEDED)


def _transactions(attempt: Attempt) -> dict[str, str]:
    return attempt.gateway_data.get(_TRANSACTIONS, {})


def _known_transactions(attempt: Attempt, answer: Answer) -> dict[str, str]:
    """The state of each of the attempt's transactions once the answer is counted in."""
    known = dict(_transactions(attempt))
    for fact in answer.facts:
        before = FactState(known.get(fact.gateway_tx_id, FactState.PROCESSING))
        known[fact.gateway_tx_id] = max(before, fact.state, key=_FURTHEST.index).value
    return known


def _best_state(attempt: Attempt, answer: Answer, known: dict[str, str]) -> AttemptState:
    """The best of the attempt's transactions, as far as the attempt may still move there."""
    if answer.facts:
        best = AttemptState(max(map(FactState, known.values()), key=_BEST.index).value)
    else:
        best = AttemptState.UNKNOWN if answer.unknown else attempt.state
    return best if best in ATTEMPT_MOVES[attempt.state] else attempt.state


def _moved(
    attempt: Attempt, answer: Answer, state: AttemptState, news: list[Fact], *, moment: Moment, ask_at: datetime | None
) -> Attempt:
    """The attempt in its new state, showing the last transaction that put it there."""
    decisive = news or [f for f in answer.facts if f.state.value == state.value]
    last = decisive[-1] if decisive else None
    failed = state is AttemptState.FAILED
    return msgspec.structs.replace(
        attempt,
        state=state,
        updated_at=moment.now,
        ask_at=ask_at,
        gateway_tx_id=last.gateway_tx_id if last else attempt.gateway_tx_id,
        method=(last.method if last else None) or attempt.method,
        failure_code=last.failure_code if failed and last else None,
        failure_text=last.failure_text if failed and last else None,
        paid_at=moment.now if news and attempt.paid_at is None else attempt.paid_at,
    )


def _count_open(draft: Draft, *, was: Attempt, now: Attempt) -> None:
    difference = int(now.in_progress) - int(was.in_progress)
    if difference:
        collection = draft.collection(was.collection_id)
        draft.set_collection(collection.id, open_attempts=collection.open_attempts + difference)


def _tell(draft: Draft, attempt: Attempt) -> None:
    draft.event(f"attempt.{attempt.state}", collection_id=attempt.collection_id, attempt_id=attempt.id)


def gateway_reference(attempt_id: UUID) -> str:
    """How gateways know an attempt: `rc`, the id in base 62, `x` (gateways spec 1.4)."""
    return f"rc{base62(attempt_id.int)}x"


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
