"""The few protocols with many implementations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from recaudo.domain.attempting import Answer
from recaudo.domain.model import Account, Attempt, Collection, Invoice


class Clock(Protocol):
    """Real time. An account's clock is real time plus its shift."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


class Ids(Protocol):
    """A maker of ids that sort by the instant they are made for."""

    def new(self, at: datetime) -> UUID:
        """A new id."""
        ...


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay that a gateway offers. `kind` is one of the words of an invoice's `allows`."""

    id: str
    kind: str


class GatewayContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway may know about an attempt beyond the attempt itself. `now` is on the account's clock."""

    account: Account
    invoice: Invoice
    collection: Collection
    now: datetime


class Gateway(Protocol):
    """Moves money. Its answers are facts about its own transactions, or `unknown`; it never raises for a refusal."""

    name: str
    for_live_accounts: bool

    def methods(self, account: Account) -> Sequence[Method]:
        """The ways to pay it offers to this account."""
        ...

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Begin to collect an attempt that is already saved."""
        ...

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """What became of it."""
        ...
