"""The company behind a simulated gateway: what it collected and gave back, whatever anybody was told about it.

It lives outside the product, so nothing of it is lost in a crash. Its notices are late, doubled, out of order or never
sent; its own books are the truth that the product's are compared with.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from recaudo.simulation.story import Story

NOTICE_TRIES_MAX = 6
NOTICE_AGAIN = timedelta(minutes=10)
# What becomes of a payment that is begun, and how often.
PLANS = {
    "approve": 30,
    "decline": 8,
    "approve later": 10,
    "decline later": 4,
    "no answer after the charge": 12,
    "no answer before the charge": 6,
    "refuse": 3,
    "unreachable": 3,
    "approve twice": 6,
    "decline, then approve": 6,
    "collect more": 3,
    "collect less": 3,
    "approve, then take back": 3,
    "approve, then dispute": 3,
}
REFUND_PLANS = {"at once": 6, "later": 3, "no answer after": 3, "no answer before": 2, "refuse": 2}


@dataclass
class Transaction:
    """One charge, as the vendor's books have it."""

    id: str
    account_id: UUID
    reference: str
    label: str
    amount_minor: int
    is_test: bool
    state: str  # processing, succeeded, failed, disputed
    created_at: datetime
    changed_at: datetime
    refunded_minor: int = 0
    was_collected: bool = False
    turns: list[tuple[datetime, str]] = field(default_factory=list[tuple[datetime, str]])

    @property
    def net_minor(self) -> int:
        """What the vendor holds of it for the merchant."""
        return self.amount_minor - self.refunded_minor if self.state in {"succeeded", "disputed"} else 0

    @property
    def returned_minor(self) -> int:
        """What it collected and then gave back or took back. What it never collected did not go back."""
        return self.amount_minor - self.net_minor if self.was_collected else 0


@dataclass
class Refund:
    """Money that the vendor was asked to give back."""

    id: str
    transaction: Transaction
    amount_minor: int
    state: str  # processing, succeeded, failed
    done_at: datetime


@dataclass
class Notice:
    """One telling on its way to the merchant's address."""

    at: datetime
    account_id: UUID
    label: str
    body: bytes
    tries: int = 0


class Vendor:
    """One company with its accounts of all merchants."""

    def __init__(self, name: str, chance: Random, story: Story) -> None:
        self.name = name
        self.story = story
        self.chance = chance
        self.is_calm = False
        self.transactions: dict[str, Transaction] = {}
        self.refunds: dict[str, Refund] = {}
        self.notices: list[Notice] = []
        self.test_accounts: set[UUID] = set()
        self.begun: set[str] = set()
        self.broken: list[str] = []  # what no client may ever do

    def secret_of(self, account_id: UUID) -> str:
        """What notices to an account are signed with."""
        return f"secret-{self.name}-{account_id.hex}"

    def plan(self, plans: dict[str, int]) -> str:
        """What will happen, by chance."""
        return self.chance.choices(list(plans), list(plans.values()))[0]

    def is_mute(self) -> bool:
        """Whether a question is not answered."""
        return not self.is_calm and self.chance.random() < 0.1

    def begin(self, reference: str) -> None:
        """Note that a payment is begun. The same reference a second time is a client that charges twice."""
        if reference in self.begun:
            self.broken.append(f"{self.name} was asked to begin {reference} a second time")
        self.begun.add(reference)

    def charge(
        self, like: Transaction, state: str, *, now: datetime, turns: tuple[tuple[int, str], ...] = ()
    ) -> Transaction:
        """Write a transaction, which becomes something else after so many seconds, if `turns` says so."""
        it = Transaction(
            id=f"{self.name}-{len(self.transactions) + 1}",
            account_id=like.account_id,
            reference=like.reference,
            label=like.label,
            amount_minor=like.amount_minor,
            is_test=like.is_test,
            state=state,
            created_at=now,
            changed_at=now,
            was_collected=state == "succeeded",
            turns=[(now + timedelta(seconds=seconds), become) for seconds, become in turns],
        )
        self.transactions[it.id] = it
        self.story.tell(it.label, f"{it.id}: {state} over {it.amount_minor}")
        self._tell(it, now)
        return it

    def of_reference(self, reference: str) -> list[Transaction]:
        """The transactions of one payment; in no order that could be relied on, some of them twice."""
        found = [it for it in self.transactions.values() if it.reference == reference]
        self.chance.shuffle(found)
        if found and not self.is_calm and self.chance.random() < 0.1:
            self.story.fault("transaction listed twice")
            found.append(found[0])
        return found

    def give_back(
        self, key: str, transaction: Transaction, amount_minor: int, *, now: datetime, after_s: int
    ) -> Refund:
        """Take a refund and do it after a while; the same key again is the same refund."""
        made = Refund(key, transaction, amount_minor, "processing", now + timedelta(seconds=after_s))
        self.refunds[key] = made
        self.advance(now)
        return made

    def advance(self, now: datetime) -> None:
        """Let everything happen that is due by now."""
        for it in list(self.transactions.values()):
            while it.turns and it.turns[0][0] <= now:
                at, become = it.turns.pop(0)
                it.state, it.changed_at = become, at
                it.was_collected = it.was_collected or become == "succeeded"
                self.story.tell(it.label, f"{it.id}: now {become}")
                self._tell(it, now)
        for refund in self.refunds.values():
            if refund.state == "processing" and refund.done_at <= now:
                self._refunded(refund, now)

    def take_due(self, now: datetime) -> list[Notice]:
        """The notices that set out by now, in any order."""
        due = [it for it in self.notices if it.at <= now]
        self.notices = [it for it in self.notices if it.at > now]
        self.chance.shuffle(due)
        return due

    def sending(self, notice: Notice, now: datetime) -> None:
        """A notice that is not answered with success is sent again, so many times."""
        notice.tries += 1
        if notice.tries < NOTICE_TRIES_MAX:
            notice.at = now + NOTICE_AGAIN
            self.notices.append(notice)
        else:
            self.story.fault("notice given up", notice.label)

    def taken(self, notice: Notice) -> None:
        """It was answered with success."""
        if notice in self.notices:
            self.notices.remove(notice)

    def signature(self, notice: Notice) -> str:
        """What proves that a notice comes from here."""
        return hmac.new(self.secret_of(notice.account_id).encode(), notice.body, hashlib.sha256).hexdigest()

    def _refunded(self, refund: Refund, now: datetime) -> None:
        it = refund.transaction
        if it.net_minor < refund.amount_minor:
            refund.state = "failed"
            return
        refund.state = "succeeded"
        it.refunded_minor += refund.amount_minor
        it.changed_at = now
        self.story.tell(it.label, f"{it.id}: {refund.amount_minor} given back")
        self._tell(it, now)

    def _tell(self, it: Transaction, now: datetime) -> None:
        """Send notices of a change: none, one, or several, now or later."""
        fate = self.chance.random()
        if fate < 0.15 and not self.is_calm:
            self.story.fault("notice lost")
            return
        copies = 2 if fate < 0.35 else 1
        if copies == 2:
            self.story.fault("notice doubled")
        number = f"{it.id}/{it.state}/{it.refunded_minor}"
        body = json.dumps({"notice": number, "transaction": it.id, "state": it.state}).encode()
        for _ in range(copies):
            late_s = self.chance.choice((0, 0, 0, 3, 90, 4000))
            if late_s:
                self.story.fault("notice late")
            self.notices.append(Notice(now + timedelta(seconds=late_s), it.account_id, it.label, body))
