"""One try to pay: starting it, and applying what the gateway reports about it, in whatever order that arrives."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from recaudo.domain import transactions
from recaudo.domain.answers import Absent, Answer, Fact, NotSent, Refused, Reported, Step, Unknown
from recaudo.domain.changes import Books, Change, Draft, Moment
from recaudo.domain.model import Attempt, Case, Collection, Invoice, payable_now
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
from recaudo.domain.transactions import Booked

# A gateway that finds nothing this long after an attempt was begun never heard of it (gateways spec 1.5).
NOT_CREATED_AFTER: Final = timedelta(minutes=10)
# The same for a gateway's own page, counted from the end of the time that the payer had there (1.9).
ABANDONED_AFTER: Final = timedelta(hours=24)
# A payer who was declined on the gateway's own page may try again there, and the notice of that may be lost.
RETRIED_WITHIN: Final = timedelta(minutes=10)


def start(
    case: Case, attempt: Attempt, moment: Moment, *, open_bounds_minor: tuple[int, int], again: bool = False
) -> Change:
    """Record an attempt before its gateway is called.

    `again` is the payer's word that they pay although an earlier try is not decided yet. Raises RefusedError when
    the collection takes no money, its time is over, or the amount is not allowed (OnePay spec 9.2).
    """
    collection = case.collection(attempt.collection_id)
    check_payable(case.invoice, collection, moment.now)
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


def check_payable(invoice: Invoice, collection: Collection, now: datetime) -> None:
    """Raise RefusedError unless the collection takes money now."""
    allow_collection(collection.state, CollectionCommand.START_ATTEMPT)
    allow_invoice(invoice.state, InvoiceCommand.START_ATTEMPT)
    if collection.expires_at is not None and collection.expires_at <= now:
        raise RefusedError(Refusal.COLLECTION_EXPIRED)


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
        answer = msgspec.structs.replace(answer, facts=transactions.one_of_each(answer.facts))
    facts = answer.facts if isinstance(answer, Reported) else ()
    draft = Draft.of(case, moment)
    changed = _changed(attempt, answer, moment, booked)
    changed = msgspec.structs.replace(changed, ask_at=when_to_ask(changed, moment, ask_at))
    arrived = transactions.news(facts, booked)
    gone_back = transactions.gone_back(changed, facts, booked)
    if not arrived and not gone_back and _same(attempt, changed):
        return None
    draft.add_attempt(changed)
    _count_open(draft, was=attempt, now=changed)
    if changed.state is not attempt.state or not (arrived or gone_back):
        is_doubted = bool(transactions.doubted(changed) - transactions.doubted(attempt))
        kind = "doubted" if is_doubted else _TOLD.get(changed.state, changed.state)
        draft.event(f"attempt.{kind}", collection_id=attempt.collection_id, attempt_id=attempt.id)
    for fact in facts:
        _move_money(draft, attempt, fact, booked, gone_back.get(fact.gateway_tx_id, 0))
    _hold_disputed(draft, was=attempt, now=changed, booked=booked)
    return draft.finish()


# Where an attempt keeps what the gateway gave it for the payer.
_STEP = "step"
_PAYABLE_UNTIL = "payable_until"
# A gateway's own page that is ready for the payer leaves the attempt as it was created.
_TOLD = {AttemptState.CREATED: "handed_over"}
_DECIDED = frozenset({AttemptState.SUCCEEDED, AttemptState.REFUNDED, AttemptState.DISPUTED})
_OPEN = frozenset({AttemptState.CREATED, *IN_PROGRESS})


def step_of(attempt: Attempt) -> Step | None:
    """What the payer has to do for the attempt to go on."""
    kept = attempt.gateway_data.get(_STEP)
    return None if kept is None else msgspec.convert(kept, Step)


def is_unheard(attempt: Attempt) -> bool:
    """Whether its gateway has not said anything about it yet."""
    is_new = attempt.state is AttemptState.CREATED
    return is_new and payable_until(attempt) is None and step_of(attempt) is None


def open_step(attempt: Attempt, now: datetime) -> Step | None:
    """What the payer has to do for the attempt to go on, while it can still be done."""
    until = payable_until(attempt)
    is_payable = attempt.state is AttemptState.CREATED and (until is None or now < until)
    return step_of(attempt) if is_payable or attempt.in_progress else None


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
        case Refused() | NotSent() if attempt.state is not AttemptState.CREATED:
            # The word of one call that failed, while a notice or the worker has seen that there is a payment.
            return attempt
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
    if transactions.known(attempt):
        return False
    until = payable_until(attempt)
    limit = attempt.created_at + NOT_CREATED_AFTER if until is None else until + ABANDONED_AFTER
    return moment.now >= limit


def _why_absent(attempt: Attempt) -> str:
    return "not_created" if payable_until(attempt) is None else "abandoned"


def _reported(attempt: Attempt, answer: Reported, moment: Moment, booked: Mapping[str, Booked]) -> Attempt:
    data = transactions.counted_in(attempt.gateway_data, answer.facts, moment.now, booked)
    best = transactions.best(data)
    state = best if best is not None and best in ATTEMPT_MOVES[attempt.state] else attempt.state
    if answer.step is not None:
        data[_STEP] = msgspec.to_builtins(answer.step)
    if answer.payable_until is not None:
        data[_PAYABLE_UNTIL] = answer.payable_until.isoformat()
    news = transactions.news(answer.facts, booked)
    if state is attempt.state and data == attempt.gateway_data and not news:
        return attempt
    return _showing(attempt, answer, state, moment, data=data, news=news)


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


def _move_money(draft: Draft, attempt: Attempt, fact: Fact, booked: Mapping[str, Booked], gone_back_minor: int) -> None:
    """Book what arrived with a transaction, and what went back of it."""
    at = booked.get(fact.gateway_tx_id)
    if at is None and fact.state not in transactions.ARRIVED:
        return
    assert fact.currency == draft.invoice.currency, "another currency goes to suspense before it gets here"
    receipt = (
        at.receipt
        if at is not None
        else receive(draft, _arrival(draft, attempt, fact), collection_id=attempt.collection_id)
    )
    if gone_back_minor:
        total_minor = gone_back_minor + (at.told_minor if at is not None else 0)
        reason = "refunded" if fact.state in transactions.ARRIVED else "gateway_reversal"
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
    before, after = transactions.disputed(was), transactions.disputed(now)
    gateway = Books.gateway(was.gateway)
    for tx in transactions.known(now):
        held, holds = tx in before, tx in after
        if held is holds:
            continue
        at = booked.get(tx)
        receipt = at.receipt if at is not None else next(r for r in draft.case.receipts if r.gateway_tx_id == tx)
        amount_minor = receipt.amount_minor
        ids = {"collection_id": receipt.collection_id}
        draft.transfer(*((Books.DISPUTED, gateway) if holds else (gateway, Books.DISPUTED)), amount_minor, **ids)


def when_to_ask(attempt: Attempt, moment: Moment, ask_at: datetime) -> datetime | None:
    """When the gateway is asked again: while the outcome is open, may still become better, or is in doubt."""
    if transactions.doubted(attempt):
        return moment.now + transactions.DOUBTED_FOR
    if attempt.state in _OPEN:
        return ask_at
    until = payable_until(attempt)
    retried = attempt.state is AttemptState.FAILED and until is not None and moment.now < until + RETRIED_WITHIN
    return ask_at if retried else None


def _same(was: Attempt, now: Attempt) -> bool:
    """Whether nothing changed that anybody would want to know; when to ask is noted without an event."""
    if was.state is not now.state or transactions.doubted(was) != transactions.doubted(now):
        return False
    return now.state in _DECIDED or was.gateway_data == now.gateway_data


def _count_open(draft: Draft, *, was: Attempt, now: Attempt) -> None:
    difference = int(now.in_progress) - int(was.in_progress)
    if difference:
        collection = draft.collection(was.collection_id)
        draft.set_collection(collection.id, open_attempts=collection.open_attempts + difference)
