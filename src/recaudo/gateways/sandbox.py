"""The sandbox: a gateway that moves no money and does what it is told. For test accounts only.

What it does is chosen on the payer's page, or over the API by `metadata.sandbox_outcome` (docs/reference/sandbox.md).
It keeps no state: its answer follows from the attempt, the state of its collection and the account's clock, so every
process and every repetition gets the same one.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from recaudo.domain.answers import Absent, Answer, Fact, FactState, Reported, Unknown
from recaudo.domain.model import Account, Attempt, Receipt, Refund
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.domain.states import CollectionState
from recaudo.usecases.ports import (
    Abilities,
    Bank,
    Configured,
    GatewayContext,
    Method,
    Notice,
    RawNotice,
    Terms,
    Verified,
)

# How long `pending_then_approve` stays pending, on the account's clock.
PENDING = timedelta(seconds=10)


class Outcome(StrEnum):
    """What the sandbox does with an attempt."""

    APPROVE = "approve"
    DECLINE = "decline"
    PENDING_THEN_APPROVE = "pending_then_approve"
    NEVER_ANSWER = "never_answer"
    APPROVE_TWICE = "approve_twice"
    SETTLE_AFTER_REPLACEMENT = "settle_after_replacement"


METHODS = (
    Method(id="pse", kind="accounts"),
    Method(id="nequi", kind="accounts"),
    Method(id="card", kind="cards"),
    Method(id="breb", kind="realtime"),
)

_METHOD_FACTS: dict[str, dict[str, Any]] = {
    "pse": {"brand": "PSE", "label": "PSE Banco de pruebas", "country": "CO"},
    "nequi": {"brand": "NEQUI", "label": "Nequi de pruebas", "country": "CO"},
    "card": {
        "brand": "VISA",
        "label": "VISA **** 4242",
        "last_four": "4242",
        "expiration_date": "2030-12",
        "country": "CO",
    },
    "breb": {"brand": "BREB", "label": "Bre-B de pruebas", "country": "CO"},
}


class Sandbox:
    """The gateway."""

    name = "sandbox"
    title = "Sandbox"
    for_live_accounts = False
    needs_configuration = False
    abilities = Abilities(currencies=frozenset({"COP"}), refunds="partial")

    def check(self, credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
        """It has no credentials."""
        return {}

    def identity(self, credentials: Mapping[str, str]) -> str:
        """There is one sandbox."""
        return ""

    async def verify(self, configured: Configured) -> Verified:
        """It is always there."""
        return Verified()

    def methods(self, account: Account) -> Sequence[Method]:
        """Every kind of method, so that pages can be tried with each."""
        return METHODS if account.is_test else ()

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """None of its methods asks for one."""
        return ()

    async def terms(self, configured: Configured) -> Terms | None:
        """It has none."""
        return None

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Begin to collect; approvals and refusals are known at once."""
        return answer(attempt, context)

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """What became of an attempt."""
        return answer(attempt, context)

    async def fetch(self, gateway_tx_id: str, configured: Configured) -> Answer:
        """It keeps no transactions of its own."""
        return Absent()

    async def refund(self, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
        """Give money back as the refund's reason says; by default at once."""
        return refund_answer(refund, context)

    async def transactions(self, configured: Configured, since: datetime, until: datetime) -> AsyncIterator[Fact]:
        """It keeps no list."""
        return
        yield  # what makes this an iterator, though an empty one

    def read_notice(self, raw: RawNotice, configured: Configured) -> Notice:
        """It sends none, so whatever comes is forged."""
        return Notice(verdict="invalid", reason="the sandbox sends no notices")

    async def close(self) -> None:
        """It holds nothing open."""


def answer(attempt: Attempt, context: GatewayContext) -> Answer:
    """What the sandbox says about an attempt now."""
    assert context.account.is_test, "the sandbox never sees a live account"
    match Outcome(attempt.gateway_data.get("outcome", Outcome.APPROVE)):
        case Outcome.APPROVE:
            return Reported(facts=(_approved(attempt, 1),))
        case Outcome.DECLINE:
            return Reported(facts=(_declined(attempt),))
        case Outcome.PENDING_THEN_APPROVE:
            over = context.now >= attempt.created_at + PENDING
            return Reported(facts=(_approved(attempt, 1) if over else _pending(attempt),))
        case Outcome.NEVER_ANSWER:
            return Unknown(reason="the sandbox was told not to answer")
        case Outcome.APPROVE_TWICE:
            return Reported(facts=(_approved(attempt, 1), _approved(attempt, 2)))
        case Outcome.SETTLE_AFTER_REPLACEMENT:
            replaced = context.collection.state is not CollectionState.PENDING
            return Reported(facts=(_approved(attempt, 1) if replaced else _pending(attempt),))


def refund_answer(refund: Refund, context: GatewayContext) -> RefundAnswer:
    """What the sandbox says about a refund: what its reason asks for, when that is one of the words of an outcome."""
    match refund.reason:
        case Outcome.DECLINE:
            return RefundRefused(code="REFUND_REJECTED", text="Devolución rechazada (prueba)")
        case Outcome.NEVER_ANSWER:
            return RefundUnknown(reason="the sandbox was told not to answer")
        case Outcome.PENDING_THEN_APPROVE if context.now < refund.created_at + PENDING:
            return RefundPending(gateway_refund_id=f"sbr_{refund.id}")
        case _:
            return Refunded(gateway_refund_id=f"sbr_{refund.id}")


def _approved(attempt: Attempt, number: int) -> Fact:
    return _fact(attempt, FactState.SUCCEEDED, number)


def _pending(attempt: Attempt) -> Fact:
    return _fact(attempt, FactState.PROCESSING, 1)


def _declined(attempt: Attempt) -> Fact:
    return _fact(
        attempt, FactState.FAILED, 1, failure_code="INSUFFICIENT_FUNDS", failure_text="Fondos insuficientes (prueba)"
    )


def _fact(
    attempt: Attempt, state: FactState, number: int, *, failure_code: str | None = None, failure_text: str | None = None
) -> Fact:
    transaction_id = f"sb_{attempt.reference}_{number}"
    facts = _METHOD_FACTS[attempt.method_type or "card"]
    method = {
        "id": str(uuid.uuid5(attempt.id, transaction_id)),
        "created_at": attempt.created_at.isoformat(timespec="microseconds")[:26] + "Z",
        **facts,
    }
    return Fact(
        gateway_tx_id=transaction_id,
        state=state,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        method=method,
        failure_code=failure_code,
        failure_text=failure_text,
    )
