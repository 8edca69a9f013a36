"""What is known of an attempt's transactions: their states, which of them counts, what is doubted, what went back.

An attempt keeps it in its gateway data. Reports arrive late and in any order: of one transaction the furthest counts,
of an attempt the transaction that promises most (gateways spec 1.8).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from recaudo.domain.answers import Fact, FactState
from recaudo.domain.model import Attempt, Receipt
from recaudo.domain.states import AttemptState

# A gateway that takes back what it had confirmed is asked again before it is believed (1.7).
DOUBTED_FOR: Final = timedelta(seconds=60)
# States of a transaction whose money is at the gateway.
ARRIVED: Final = frozenset({FactState.SUCCEEDED, FactState.DISPUTED})

Data = Mapping[str, Any]
"""The gateway data of an attempt."""

_TRANSACTIONS: Final = "transactions"
_DOUBTS: Final = "doubts"  # by transaction: since when the gateway takes back what it had confirmed
_REFUNDED: Final = "refunded"
_DISPUTED: Final = "disputed"
_FURTHEST: Final = {"processing": 0, "failed": 1, "succeeded": 2, _DISPUTED: 2, _REFUNDED: 3}
_BEST: Final = ("failed", "processing", _REFUNDED, _DISPUTED, "succeeded")


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that has a receipt, and how much of it is booked as gone back.

    Of that the gateway never hears of `elsewhere_minor`: it was given back in cash or by another transfer. While
    `is_disputed` its money waits for the end of a dispute.
    """

    receipt: Receipt
    returned_minor: int = 0
    elsewhere_minor: int = 0
    is_disputed: bool = False

    @property
    def left_minor(self) -> int:
        return self.receipt.amount_minor - self.returned_minor

    @property
    def told_minor(self) -> int:
        """What is booked of that which the gateway tells to have gone back."""
        return self.returned_minor - self.elsewhere_minor


def known(attempt: Attempt) -> Mapping[str, str]:
    """The state of each of the attempt's transactions, as far as it is known."""
    return _known(attempt.gateway_data)


def disputed(attempt: Attempt) -> set[str]:
    """Its transactions whose money the payer disputes."""
    return {tx for tx, state in known(attempt).items() if state == _DISPUTED}


def doubted(attempt: Attempt) -> set[str]:
    """Its transactions that the gateway takes back, and is asked about once more."""
    return set(_doubts(attempt.gateway_data))


def one_of_each(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Each transaction once, at its furthest: a list that was read in pages may tell one twice."""
    furthest: dict[str, Fact] = {}
    for fact in facts:
        before = furthest.get(fact.gateway_tx_id)
        if before is None or _rank(fact) >= _rank(before):
            furthest[fact.gateway_tx_id] = fact
    return tuple(furthest.values())


def news(facts: tuple[Fact, ...], booked: Mapping[str, Booked]) -> list[Fact]:
    """Facts of money that arrived and has no receipt yet."""
    return [f for f in facts if f.state in ARRIVED and f.gateway_tx_id not in booked]


def best(data: Data) -> AttemptState | None:
    """The state that the best of the transactions gives the attempt; None when there is none."""
    states = _known(data).values()
    return AttemptState(max(states, key=_BEST.index)) if states else None


def counted_in(data: Data, facts: tuple[Fact, ...], now: datetime, booked: Mapping[str, Booked]) -> dict[str, Any]:
    """The gateway data once the facts are counted in. What was doubted for long enough is believed."""
    doubts = _doubts_after(data, facts, now, booked)
    believed = {tx for tx, since in doubts.items() if now >= datetime.fromisoformat(since) + DOUBTED_FOR}
    states = {**_known_after(data, facts), **dict.fromkeys(believed, _REFUNDED)}
    counted = {**data, **({_TRANSACTIONS: states} if states else {})}
    if doubts or _DOUBTS in data:
        counted[_DOUBTS] = {tx: since for tx, since in doubts.items() if tx not in believed}
    return counted


def gone_back(changed: Attempt, facts: tuple[Fact, ...], booked: Mapping[str, Booked]) -> dict[str, int]:
    """How much more than is booked went back, by transaction: refunds, and what was doubted for long enough."""
    gone: dict[str, int] = {}
    states = known(changed)
    for fact in facts:
        tx = fact.gateway_tx_id
        at = booked.get(tx)
        more_minor = min(fact.refunded_minor, fact.amount_minor) - (at.told_minor if at else 0)
        if at is not None and fact.state not in ARRIVED and states.get(tx) == _REFUNDED:
            more_minor = at.left_minor
        has_left = fact.state in ARRIVED if at is None else at.left_minor > 0
        if more_minor > 0 and has_left:
            gone[tx] = more_minor if at is None else min(more_minor, at.left_minor)
    return gone


def _known(data: Data) -> dict[str, str]:
    return data.get(_TRANSACTIONS, {})


def _doubts(data: Data) -> dict[str, str]:
    return data.get(_DOUBTS, {})


def _rank(fact: Fact) -> tuple[int, int]:
    return _FURTHEST[fact.state.value], fact.refunded_minor


def _known_after(data: Data, facts: tuple[Fact, ...]) -> dict[str, str]:
    """The state of each transaction once the facts are counted in."""
    states = dict(_known(data))
    for fact in facts:
        said = _REFUNDED if 0 < fact.amount_minor <= fact.refunded_minor else fact.state.value
        before = states.get(fact.gateway_tx_id)
        if before is None or _FURTHEST[said] >= _FURTHEST[before]:
            states[fact.gateway_tx_id] = said
    return states


def _doubts_after(data: Data, facts: tuple[Fact, ...], now: datetime, booked: Mapping[str, Booked]) -> dict[str, str]:
    """Transactions that the gateway had confirmed and now says it did not collect, and since when it says so."""
    before = _doubts(data)
    said = {f.gateway_tx_id: f.state for f in facts}
    doubts = {tx: since for tx, since in before.items() if tx not in said}
    for tx, state in said.items():
        if state not in ARRIVED and tx in booked and booked[tx].left_minor > 0:
            doubts[tx] = before.get(tx, now.isoformat())
    return doubts
