"""The parts that use cases work with, and the one way in which they change an existing invoice."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from recaudo.domain.changes import Change, Moment
from recaudo.domain.model import Account, Case, Customer, Invoice
from recaudo.store import cases, door, idempotency
from recaudo.store.database import Connection, Database, StaleVersionError
from recaudo.store.door import Remembered, TakenError, Uses
from recaudo.store.replica import Lists
from recaudo.store.vault import Vault
from recaudo.store.writer import Writer
from recaudo.usecases.ports import Clock, Gateway, Ids, WebhookDialect
from recaudo.usecases.resting import Rests
from recaudo.usecases.turns import Turns

if TYPE_CHECKING:
    from recaudo.usecases.imports import Files

# A decision is repeated when somebody else changed the invoice in between; the row lock makes that rare.
TRIES_MAX = 3


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a use case needs, handed over by the composition root."""

    database: Database
    lists: Lists
    writer: Writer
    turns: Turns
    clock: Clock
    ids: Ids
    chance: Callable[[], float]  # between 0 and 1
    gateways: Mapping[str, Gateway]
    webhooks: Mapping[str, WebhookDialect]
    vault: Vault
    rests: Rests
    files: "Files"

    def now(self, account: Account) -> datetime:
        """The present instant on the account's clock."""
        return self.clock.now() + account.clock_shift

    def today(self, account: Account) -> date:
        """The present day in the account's time zone."""
        return self.now(account).astimezone(ZoneInfo(account.time_zone)).date()

    def moment(self, account: Account) -> Moment:
        """Time and chance for one decision."""
        now = self.now(account)
        return Moment(now, partial(self.ids.new, now), _zone(account.time_zone))

    def moment_of_many(self, account: Account) -> Moment:
        """The same for thousands of decisions at once: what they make sorts in their order."""
        now = self.now(account)
        return Moment(now, self.ids.many(now), _zone(account.time_zone))

    @asynccontextmanager
    async def locked(self, account: Account, invoice_id: UUID) -> AsyncGenerator[tuple[Connection, Invoice | None]]:
        """One transaction with the invoice under its lock; None when the account has no such invoice.

        Raises LockTimeoutError when the invoice stays locked.
        """
        async with self.turns.of(account.id, invoice_id), self.database.transaction() as connection:
            yield connection, await cases.lock_invoice(connection, account.id, invoice_id)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class Once(msgspec.Struct, frozen=True, kw_only=True):
    """An idempotency key as the caller sent it: `scope` is dialect, method and path, `request` the canonical body."""

    scope: str
    key: str
    request: str

    def remembered(self, account: Account, status: int, answer: bytes, at: datetime) -> Remembered:
        """The answer as it is kept."""
        return Remembered(
            account_id=account.id,
            scope=self.scope,
            key=self.key,
            request=self.request,
            status=status,
            answer=answer,
            at=at,
        )


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a command: fresh, or the stored one of the first request with this key."""

    status: int
    answer: bytes
    replayed: bool = False


class NotFoundError(Exception):
    """The account has no such object."""


class NotYetError(Exception):
    """Somebody else is not ready, so due work is given back and tried again later; nothing of ours is wrong."""


class KeyReusedError(Exception):
    """The idempotency key was used with another body: `first` then, `again` now, both canonical."""

    def __init__(self, first: str, again: str) -> None:
        super().__init__("the idempotency key was used with another body")
        self.first = first
        self.again = again


class OriginTakenError(Exception):
    """Another living invoice has the same origin and origin_id."""

    def __init__(self, origin: str, origin_id: str, existing_id: UUID | None) -> None:
        super().__init__(f"{origin}/{origin_id} is taken")
        self.origin = origin
        self.origin_id = origin_id
        self.existing_id = existing_id


Decision = Callable[[Case, Moment], Change]
Inquiry = Callable[[Connection, Case, Moment], Awaitable[Change]]
"""A decision that reads more than the invoice first, under its lock."""
Respond = Callable[[Change], tuple[int, bytes]]


class Also(msgspec.Struct, frozen=True, kw_only=True):
    """What is written with a change: whom it makes, what it refers to for the first time."""

    customer: Callable[[Change], Customer | None] | None = None
    uses: Uses | None = None


def replay(once: Once, known: idempotency.Known) -> Done:
    """The stored answer. Raises KeyReusedError when the body differs."""
    if known.request != once.request:
        raise KeyReusedError(known.request, once.request)
    return Done(status=known.status, answer=known.answer, replayed=True)


async def replay_if_known(core: Core, account: Account, once: Once | None) -> Done | None:
    """The stored answer for a key, if there is one. Raises KeyReusedError when the body differs."""
    if once is None:
        return None
    async with core.database.connection() as connection:
        known = await idempotency.find(connection, account.id, once.scope, once.key)
    return None if known is None else replay(once, known)


async def change_invoice(
    core: Core,
    account: Account,
    invoice_id: UUID,
    decide: Decision,
    respond: Respond,
    *,
    once: Once | None = None,
    about: UUID | None = None,
    also: Also | None = None,
) -> Done:
    """Lock an invoice, decide on what it is now, save the change and the answer in one commit.

    `about` is a collection that must be part of the case; `also` is what is written besides. Raises NotFoundError,
    KeyReusedError, whatever `decide` raises, and LockTimeoutError when the invoice stays locked.
    """

    async def decided(_: Connection, case: Case, moment: Moment) -> Change:
        return decide(case, moment)

    return await inquire_and_change(core, account, invoice_id, decided, respond, once=once, about=about, also=also)


async def inquire_and_change(
    core: Core,
    account: Account,
    invoice_id: UUID,
    inquire: Inquiry,
    respond: Respond,
    *,
    once: Once | None,
    about: UUID | None = None,
    also: Also | None = None,
) -> Done:
    """The same for a decision that looks something up itself, in the transaction that it is given."""
    return await repeated(
        partial(_change_once, core, account, invoice_id, inquire, respond, once=once, about=about, also=also or Also())
    )


Result = TypeVar("Result")


async def repeated(transact: Callable[[], Awaitable[Result]]) -> Result:
    """Run a transaction, and again when somebody else was faster: it looks and decides anew each time.

    Raises StaleVersionError or TakenError when that happens TRIES_MAX times, and whatever else `transact` raises.
    """
    for _ in range(TRIES_MAX - 1):
        try:
            return await transact()
        except (StaleVersionError, TakenError):
            continue
    return await transact()


async def _change_once(
    core: Core,
    account: Account,
    invoice_id: UUID,
    inquire: Inquiry,
    respond: Respond,
    *,
    once: Once | None,
    about: UUID | None,
    also: Also,
) -> Done:
    async with core.locked(account, invoice_id) as (connection, invoice):
        known = await _find_known(connection, account, once)
        if known is not None and once is not None:
            return replay(once, known)
        if invoice is None:
            raise NotFoundError
        moment = core.moment(account)
        case = await cases.load_case(connection, invoice, also=about)
        change = await inquire(connection, case, moment)
        status, answer = respond(change)
        remembered = None if once is None else once.remembered(account, status, answer, moment.now)
        await door.save(
            connection,
            change,
            clock_shift=account.clock_shift,
            remembered=remembered,
            customer=None if also.customer is None else also.customer(change),
            uses=also.uses,
        )
    return Done(status=status, answer=answer)


async def _find_known(connection: Connection, account: Account, once: Once | None) -> idempotency.Known | None:
    return None if once is None else await idempotency.find(connection, account.id, once.scope, once.key)
