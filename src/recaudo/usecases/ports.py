"""The few protocols with many implementations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from recaudo.domain.attempting import Answer
from recaudo.domain.delivering import Endpoint
from recaudo.domain.model import Account, Attempt, Collection, Invoice
from recaudo.store.events import Told

Headers = Sequence[tuple[str, str]]


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


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint is sent: the event's id and type in the dialect's spelling come from these."""

    event_id: UUID
    type: str  # in the dialect's words
    subject_version: int
    body: bytes


class WebhookDialect(Protocol):
    """How endpoints of one dialect are told what happened."""

    name: str

    @property
    def types(self) -> Mapping[str, str | None]:
        """Every type an endpoint may list, and the core's name of it; None for one that is never raised."""
        ...

    def new_secrets(self) -> tuple[str, str]:
        """A signing secret and a static token (empty where the dialect has none)."""
        ...

    def body(self, told: Told, base_url: str) -> tuple[str, bytes]:
        """The dialect's type and the body of an event. The same event gives the same bytes."""
        ...

    def sample(self, type_: str, base_url: str, now: datetime, *, is_test: bool, event_id: UUID) -> bytes:
        """The body of an invented event of a type the dialect lists, about objects whose ids are all zeros."""
        ...

    def headers(self, message: Message, endpoint: Endpoint, secrets: Sequence[str], now_s: int) -> Headers:
        """The headers of one try at `now_s` (Unix seconds, real time); `secrets` sign, newest first."""
        ...
