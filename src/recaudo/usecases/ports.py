"""The few protocols with many implementations."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from recaudo.domain.answers import Answer, Fact
from recaudo.domain.delivering import Endpoint
from recaudo.domain.model import Account, Attempt, Collection, Customer, Invoice, Receipt, Refund
from recaudo.domain.refunding import RefundAnswer
from recaudo.store.events import Told

Headers = Sequence[tuple[str, str]]
Asked = Literal["bank", "person_type", "document", "name", "email", "phone", "terms"]
"""What a payer's page may have to ask for. `document` is a type and a number, `terms` the acceptance of both links."""
RefundAbility = Literal["none", "void", "full", "partial"]
"""How a gateway gives money back: not by its API, whole on the same day, whole, or in parts."""
Verdict = Literal["valid", "unsigned", "invalid"]


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

    def many(self, at: datetime) -> Callable[[], UUID]:
        """A maker of thousands of ids for one instant, which sort in the order in which they are made."""
        ...


class ByToken(msgspec.Struct, frozen=True, kw_only=True):
    """A card that the vendor's own script turned into a token on a merchant's page: its number never comes here.

    `asks` is what goes with it. `credential` names the public key that the page needs for it; `test_begins` and
    `live_begins` tell the tokens of both environments apart.
    """

    asks: tuple[Asked, ...]
    credential: str
    test_begins: str
    live_begins: str
    installments_max: int


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay that a gateway offers. `kind` is one of the words of an invoice's `allows`.

    `asks` is what the payer's page asks for besides the amount; `min_minor` and `max_minor` are the gateway's limits.
    `by_token` is how a merchant's own page may pay by it without leading the payer to the gateway's.
    """

    id: str
    kind: str
    asks: tuple[Asked, ...] = ()
    min_minor: int | None = None
    max_minor: int | None = None
    by_token: ByToken | None = None


class Bank(msgspec.Struct, frozen=True):
    """A bank that a payer may pay from, by the gateway's code."""

    code: str
    name: str


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What payers accept before a gateway's method: links to documents of the gateway, in Spanish."""

    terms_url: str
    data_url: str


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a merchant copies from the gateway's panel. `hint` says how it begins, for people."""

    name: str
    hint: str = ""
    is_secret: bool = True
    is_required: bool = True


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway can do, and what merchants give it to be known by."""

    currencies: frozenset[str]
    credentials: tuple[Credential, ...] = ()
    refunds: RefundAbility = "none"
    lists: bool = False  # it tells its own transactions, for the daily comparison


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's gateway, with its credentials open: never to be logged or shown."""

    account_id: UUID
    id: UUID
    kind: str
    is_test: bool
    credentials: Mapping[str, str]

    def __repr__(self) -> str:
        """Who it is, without what must not be read."""
        return f"Configured({self.kind!r}, account_id={self.account_id!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for tracebacks that show what names held."""
        return [("id", self.id)]


class GatewayContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway may know about an attempt beyond the attempt itself. `now` is on the account's clock.

    `configured` is None for gateways that merchants need not configure. `payer` is what the payer typed for this
    attempt and is kept nowhere; `return_url` is where the gateway sends the browser back to.
    """

    account: Account
    invoice: Invoice
    collection: Collection
    now: datetime
    real_now: datetime
    configured: Configured | None = None
    customer: Customer | None = None
    payer: Mapping[str, str] = {}
    return_url: str = ""


class RawNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived at a notice address, as it arrived. Names of headers are in lower case."""

    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice says it is about: a hint where to ask, and never more."""

    gateway_tx_id: str | None = None
    reference: str | None = None
    claimed_state: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was read: whether its signature is genuine, and what to ask about.

    `dedupe_key` is the same for every copy of one notice; None for one that is not believed.
    """

    verdict: Verdict
    reason: str | None = None
    dedupe_key: str | None = None
    claims: tuple[Claim, ...] = ()


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a harmless call with the credentials showed. `problem` is for the merchant's developer; None: they work."""

    problem: str | None = None
    merchant_name: str | None = None


class Gateway(Protocol):
    """Moves money. Its answers are a closed union with `Unknown` in it; it never raises for what a vendor does.

    Nothing it is told by a browser or a notice is believed: `ask` and `fetch` report what the vendor's own API says
    (gateways specification, section 1).
    """

    name: str
    title: str
    for_live_accounts: bool
    needs_configuration: bool
    abilities: Abilities

    def check(self, credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
        """What is wrong with credentials as they stand, by field: no call is made. Empty: nothing."""
        ...

    def identity(self, credentials: Mapping[str, str]) -> str:
        """Whose account at the vendor credentials are for: what was begun with one is unknown to another."""
        ...

    async def verify(self, configured: Configured) -> Verified:
        """Try the credentials with a call that changes nothing."""
        ...

    def methods(self, account: Account) -> Sequence[Method]:
        """The ways to pay it offers to this account."""
        ...

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """The banks of its methods that ask for one; empty when it has none, or tells none now."""
        ...

    async def terms(self, configured: Configured) -> Terms | None:
        """What payers accept before its methods that ask for it; None when it has none, or tells none now."""
        ...

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Begin to collect an attempt that is already saved."""
        ...

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """What became of it, by our reference: all transactions that the gateway has under it."""
        ...

    async def fetch(self, gateway_tx_id: str, configured: Configured) -> Answer:
        """One transaction by the gateway's own id."""
        ...

    async def refund(self, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
        """Give money of a receipt back: begin it, or say what became of one that was begun before."""
        ...

    def transactions(self, configured: Configured, since: datetime, until: datetime) -> AsyncIterator[Fact]:
        """The gateway's own list of what happened from `since` on and before `until`. Raises GatewayDownError."""
        ...

    def read_notice(self, raw: RawNotice, configured: Configured) -> Notice:
        """Check a notice's signature and say what it is about. Pure; raises nothing, whatever the bytes are."""
        ...

    async def close(self) -> None:
        """Let go of what it holds open."""
        ...


class GatewayDownError(Exception):
    """The gateway cannot be asked now, and why."""


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
