"""A gateway of the simulation: the product's port to a vendor whose answers get lost."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from recaudo.domain.answers import Absent, Answer, Fact, FactState, NotSent, Refused, Reported, Unknown
from recaudo.domain.model import Account, Attempt, Receipt, Refund
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.simulation.crashes import Fate
from recaudo.simulation.vendor import PLANS, REFUND_PLANS, Transaction, Vendor
from recaudo.usecases.ports import (
    Abilities,
    Bank,
    Claim,
    Configured,
    Credential,
    GatewayContext,
    GatewayDownError,
    Method,
    Notice,
    RawNotice,
    Terms,
    Verified,
)

METHODS = (Method(id="card", kind="cards"), Method(id="pse", kind="accounts"))
SIGNATURE = "x-signature"
LATER_S = (2, 20, 400, 5000)


class SimulatedGateway:
    """The port. `now` is the real time of the simulation, looked at without moving it."""

    for_live_accounts = True
    needs_configuration = True
    abilities = Abilities(
        currencies=frozenset({"COP"}), credentials=(Credential(name="secret"),), refunds="partial", lists=True
    )

    def __init__(self, vendor: Vendor, fate: Fate, now: Callable[[], datetime]) -> None:
        self.name = vendor.name
        self.title = vendor.name.capitalize()
        self._vendor = vendor
        self._fate = fate
        self._now = now

    def check(self, credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
        """Any secret will do."""
        return {}

    def identity(self, credentials: Mapping[str, str]) -> str:
        """Whose account it is."""
        return credentials["secret"]

    async def verify(self, configured: Configured) -> Verified:
        """The credentials always work."""
        return Verified()

    def methods(self, account: Account) -> Sequence[Method]:
        """Two ways to pay that ask for nothing."""
        return METHODS

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """None of its methods asks for one."""
        return ()

    async def terms(self, configured: Configured) -> Terms | None:
        """It has none."""
        return None

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Begin to collect, as chance has it."""
        self._fate.tempt("before a charge")
        vendor, now = self._vendor, self._now()
        plan = "approve" if vendor.is_calm else vendor.plan(PLANS)
        label = context.invoice.origin_id or context.invoice.metadata.get("label", "")
        if plan != "approve":
            vendor.story.fault(
                f"gateway: {plan}", label, f"{self.name} will {plan}" if "no answer" not in plan else plan
            )
        if plan == "unreachable":
            return NotSent(reason="simulated: nobody is there")
        vendor.begin(attempt.reference)
        if plan == "refuse":
            return Refused(code="simulated_refusal", text="El banco no acepta este pago.")
        if plan != "no answer before the charge":
            self._charge(plan, attempt, label, now)
        self._fate.tempt("after a charge")
        if plan.startswith("no answer"):
            return Unknown(reason=f"simulated: {plan}")
        return self._known(attempt.reference)

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """What became of it, if the vendor answers."""
        self._fate.tempt("before a question")
        if self._vendor.is_mute():
            self._vendor.story.fault("question not answered")
            return Unknown(reason="simulated: no answer")
        answer = self._known(attempt.reference)
        self._fate.tempt("after a question")
        return answer

    async def fetch(self, gateway_tx_id: str, configured: Configured) -> Answer:
        """One transaction, if the vendor answers."""
        self._fate.tempt("before a question")
        if self._vendor.is_mute():
            self._vendor.story.fault("question not answered")
            return Unknown(reason="simulated: no answer")
        it = self._vendor.transactions.get(gateway_tx_id)
        if it is None or it.account_id != configured.account_id:
            return Absent()
        return Reported(facts=(_fact(it),))

    async def refund(self, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
        """Give money back as chance has it; the same refund again is told what became of it."""
        self._fate.tempt("before a refund")
        vendor, now, key = self._vendor, self._now(), str(refund.id)
        if key in vendor.refunds:
            return self._refund_answer(key)
        it = vendor.transactions[receipt.gateway_tx_id]
        plan = "at once" if vendor.is_calm else vendor.plan(REFUND_PLANS)
        if plan != "at once":
            vendor.story.fault(f"refund: {plan}", it.label, f"{self.name} refunds: {plan}")
        if plan == "refuse" or it.state != "succeeded" or it.net_minor < refund.amount_minor:
            return RefundRefused(code="simulated_refusal")
        if plan == "no answer before":
            return RefundUnknown(reason="simulated: no answer")
        vendor.give_back(key, it, refund.amount_minor, now=now, after_s=600 if plan == "later" else 0)
        self._fate.tempt("after a refund")
        if plan == "no answer after":
            return RefundUnknown(reason="simulated: no answer")
        return self._refund_answer(key)

    async def transactions(self, configured: Configured, since: datetime, until: datetime) -> AsyncIterator[Fact]:
        """Everything of the account that changed in a span."""
        if self._vendor.is_mute():
            self._vendor.story.fault("list not answered")
            raise GatewayDownError("simulated: no answer")
        for it in list(self._vendor.transactions.values()):
            if it.account_id == configured.account_id and since <= it.changed_at < until:
                yield _fact(it)

    def read_notice(self, raw: RawNotice, configured: Configured) -> Notice:
        """Check the signature, and say what to ask about."""
        secret = configured.credentials["secret"].encode()
        expected = hmac.new(secret, raw.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(raw.headers.get(SIGNATURE, ""), expected):
            return Notice(verdict="invalid", reason="the signature is wrong")
        told: dict[str, Any] = json.loads(raw.body)
        claim = Claim(gateway_tx_id=told["transaction"], claimed_state=told["state"])
        return Notice(verdict="valid", dedupe_key=told["notice"], claims=(claim,))

    async def close(self) -> None:
        """It holds nothing open."""

    def _charge(self, plan: str, attempt: Attempt, label: str, now: datetime) -> None:
        """Write what the plan says into the vendor's books."""
        vendor, chance = self._vendor, self._vendor.chance
        like = Transaction(
            id="",
            account_id=attempt.account_id,
            reference=attempt.reference,
            label=label,
            amount_minor=attempt.amount_minor,
            is_test=attempt.account_id in vendor.test_accounts,
            state="",
            created_at=now,
            changed_at=now,
        )
        later_s = chance.choice(LATER_S)
        match plan:
            case "decline":
                vendor.charge(like, "failed", now=now)
            case "approve later":
                vendor.charge(like, "processing", now=now, turns=((later_s, "succeeded"),))
            case "decline later":
                vendor.charge(like, "processing", now=now, turns=((later_s, "failed"),))
            case "approve twice":
                vendor.charge(like, "succeeded", now=now)
                vendor.charge(like, "succeeded", now=now)
            case "decline, then approve":
                vendor.charge(like, "failed", now=now)
                vendor.charge(like, "processing", now=now, turns=((later_s, "succeeded"),))
            case "collect more":
                like.amount_minor += 700_000
                vendor.charge(like, "succeeded", now=now)
            case "collect less":
                like.amount_minor -= like.amount_minor // 300 * 100
                vendor.charge(like, "succeeded", now=now)
            case "approve, then take back":
                vendor.charge(like, "succeeded", now=now, turns=((later_s, "failed"),))
            case "approve, then dispute":
                vendor.charge(like, "succeeded", now=now, turns=((later_s, "disputed"),))
            case _:
                vendor.charge(like, "succeeded", now=now)

    def _known(self, reference: str) -> Answer:
        found = self._vendor.of_reference(reference)
        return Reported(facts=tuple(_fact(it) for it in found)) if found else Absent()

    def _refund_answer(self, key: str) -> RefundAnswer:
        match self._vendor.refunds[key].state:
            case "succeeded":
                return Refunded(gateway_refund_id=f"refund-{key}")
            case "failed":
                return RefundRefused(code="simulated_refusal")
            case _:
                return RefundPending(gateway_refund_id=f"refund-{key}")


def _fact(it: Transaction) -> Fact:
    return Fact(
        gateway_tx_id=it.id,
        state=FactState(it.state),
        amount_minor=it.amount_minor,
        currency="COP",
        reference=it.reference,
        is_test=it.is_test,
        refunded_minor=it.refunded_minor,
        paid_at=it.created_at,
    )
