"""The order in which a gateway's facts arrive never matters (gateways spec 1.7, 1.8).

Two tries to pay own up to four transactions at their gateway. Each transaction is reported in some of its states, some
reports twice, alone or several in one answer, before or after the collection ended. However they are shuffled, the
same states, sums and receipts must come out.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from recaudo.domain.answers import Fact, FactState
from recaudo.domain.changes import Books
from recaudo.domain.model import Attempt, Receipt, ReceiptKind
from recaudo.domain.states import AttemptState
from tests.domain.builders import GATEWAY, NOON, Life, a_fact, an_invoice, in_parts

OWED = 100
# A dispute may begin and end, so there the last report counts and not the furthest.
REPORTED = [FactState.PROCESSING, FactState.FAILED, FactState.SUCCEEDED]
WINDOW_HOURS = 1


class Report(NamedTuple):
    """One fact about a transaction of the first or the second try."""

    attempt: int
    fact: Fact


class Shuffled(NamedTuple):
    """The same reports in two orders, each cut into answers."""

    one: list[list[Report]]
    other: list[list[Report]]


@st.composite
def shuffled_reports(draw: st.DrawFn) -> Shuffled:
    reports: list[Report] = []
    for tx in range(draw(st.integers(1, 4), label="transactions")):
        attempt = draw(st.integers(0, 1))
        amount_minor = draw(st.sampled_from([30, 50, 70, OWED, OWED + 20]))
        states = draw(st.lists(st.sampled_from(REPORTED), min_size=1, max_size=4), label="reports")
        reports += [Report(attempt, a_fact(state, amount_minor, f"tx-{tx}")) for state in states]
    return Shuffled(one=draw(_answers(reports)), other=draw(_answers(reports)))


def _answers(reports: list[Report]) -> st.SearchStrategy[list[list[Report]]]:
    """The reports in some order; neighbours about the same try may come in one answer."""
    joined = st.lists(st.booleans(), min_size=len(reports), max_size=len(reports))
    return st.builds(_join, st.permutations(reports), joined)


def _join(reports: list[Report], joined: list[bool]) -> list[list[Report]]:
    answers: list[list[Report]] = []
    for report, join in zip(reports, joined, strict=True):
        if join and answers and answers[-1][0].attempt == report.attempt:
            answers[-1].append(report)
        else:
            answers.append([report])
    return answers


Story = tuple[Life, Sequence[Attempt]]


def on_a_live_collection() -> Story:
    life = an_invoice(OWED, partial=in_parts(window_hours=WINDOW_HOURS))
    return life, [life.began(OWED), life.began(OWED)]


def on_a_cancelled_collection() -> Story:
    life, attempts = on_a_live_collection()
    life.cancel()
    return life, attempts


def on_an_expired_collection() -> Story:
    life = an_invoice(OWED, expires_at=NOON)
    attempts = [life.began(OWED), life.began(OWED)]
    life.expire()
    return life, attempts


def on_a_withdrawn_invoice() -> Story:
    life, attempts = on_a_live_collection()
    life.withdraw()
    return life, attempts


def on_an_invoice_settled_outside() -> Story:
    life, attempts = on_a_live_collection()
    life.settle_outside()
    return life, attempts


def on_a_superseded_collection() -> Story:
    life, attempts = on_a_live_collection()
    life.replace()
    return life, attempts


def on_a_superseded_collection_and_its_successor() -> Story:
    life = an_invoice(OWED + 30)
    late = life.began(OWED)
    life.replace(amount_minor=OWED)
    return life, [late, life.began(OWED)]


STORIES = [
    on_a_live_collection,
    on_a_cancelled_collection,
    on_an_expired_collection,
    on_a_withdrawn_invoice,
    on_an_invoice_settled_outside,
    on_a_superseded_collection,
    on_a_superseded_collection_and_its_successor,
]


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=70)
@given(shuffled_reports())
def test_every_order_ends_in_the_same_states_sums_and_receipts(story: Callable[[], Story], reports: Shuffled):
    one, other = (_told(story, answers) for answers in reports)
    split = story is on_a_superseded_collection_and_its_successor
    assert _end(one, split=split) == _end(other, split=split)


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=70)
@given(shuffled_reports())
def test_an_attempt_ends_in_the_best_state_of_its_transactions(story: Callable[[], Story], reports: Shuffled):
    life, attempts = story()
    _tell(life, attempts, reports.one)
    for number, attempt in enumerate(attempts):
        facts = [r.fact for answer in reports.one for r in answer if r.attempt == number]
        assert life.attempts[attempt.id].state is _best_of(facts)


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=70)
@given(shuffled_reports())
def test_every_approved_transaction_is_booked_once_and_the_excess_is_credit(
    story: Callable[[], Story], reports: Shuffled
):
    life, attempts = story()
    owed = life.invoice.balance_minor if life.invoice.state == "open" else 0
    _tell(life, attempts, reports.one)
    approved = {
        r.fact.gateway_tx_id: r.fact.amount_minor
        for answer in reports.one
        for r in answer
        if r.fact.state is FactState.SUCCEEDED
    }
    assert {r.gateway_tx_id: r.amount_minor for r in _gateway_receipts(life)} == approved
    assert life.books().get(GATEWAY, 0) == sum(approved.values())
    assert -life.books().get(Books.CREDIT, 0) == max(0, sum(approved.values()) - owed)


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=70)
@given(st.data())
def test_money_that_went_back_is_booked_once_in_every_order(story: Callable[[], Story], data: st.DataObject):
    """Each transaction is reported twice: as it arrived, and as some or all of it had gone back."""
    reports: list[Report] = []
    for tx in range(data.draw(st.integers(1, 3), label="transactions")):
        amount_minor = data.draw(st.sampled_from([50, OWED, OWED + 20]))
        back_minor = data.draw(st.integers(0, amount_minor), label="back")
        fact = a_fact(FactState.SUCCEEDED, amount_minor, f"tx-{tx}")
        reports += [Report(0, fact), Report(0, msgspec.structs.replace(fact, refunded_minor=back_minor))]
    ends = [_told(story, data.draw(_answers(reports))) for _ in range(2)]
    arrived, back = reports[0::2], reports[1::2]
    left = sum(r.fact.amount_minor for r in arrived) - sum(r.fact.refunded_minor for r in back)
    for life in ends:
        assert life.books().get(GATEWAY, 0) == left
    assert ends[0].invoice.received_minor == ends[1].invoice.received_minor
    assert ends[0].books() == ends[1].books()


def _told(story: Callable[[], Story], answers: list[list[Report]]) -> Life:
    life, attempts = story()
    _tell(life, attempts, answers)
    return life


def _tell(life: Life, attempts: Sequence[Attempt], answers: list[list[Report]]) -> None:
    for answer in answers:
        life.conclude(attempts[answer[0].attempt], *(report.fact for report in answer))


def _best_of(facts: list[Fact]) -> AttemptState:
    """Of one transaction the furthest report counts, of an attempt the transaction that promises most."""
    by_tx: dict[str, set[FactState]] = {}
    for fact in facts:
        by_tx.setdefault(fact.gateway_tx_id, set()).add(fact.state)
    if any(FactState.SUCCEEDED in states for states in by_tx.values()):
        return AttemptState.SUCCEEDED
    if any(states == {FactState.PROCESSING} for states in by_tx.values()):
        return AttemptState.PROCESSING
    return AttemptState.FAILED if by_tx else AttemptState.CREATED


def _gateway_receipts(life: Life) -> list[Receipt]:
    return [r for r in life.receipts if r.kind is ReceiptKind.GATEWAY]


def _end(life: Life, *, split: bool) -> dict[str, Any]:
    """All that must not depend on the order. The number of changes may, and so may what an ended collection last asked.

    With `split`, money for one debt came through two collections: then the order decides on which of them the excess
    is booked, and whether the other was still asking when its own money came; together they hold the same.
    """
    collections = life.collections.values()
    return {
        "invoice": msgspec.structs.replace(life.invoice, version=0),
        "asked": [(c.id, c.amount_minor, c.due_minor, c.expires_at) for c in life.live],
        "received": [(c.id, c.received_minor, c.parts, c.open_attempts) for c in collections],
        "settled": sum(c.overpaid_minor for c in collections)
        if split
        else [(c.id, c.state, c.paid_at, c.overpaid_minor) for c in collections],
        "attempts": {a.id: (a.state, a.paid_at) for a in life.attempts.values()},
        "receipts": {
            (r.gateway_tx_id, r.attempt_id, r.collection_id, r.amount_minor) for r in life.receipts if r.attempt_id
        },
        "books": life.books(),
    }
