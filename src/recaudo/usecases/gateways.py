"""Merchants' gateways: setting them up, trying their credentials, and which ways to pay they offer for something."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.model import Account
from recaudo.store import gateways as store
from recaudo.store.database import Connection
from recaudo.store.gateways import MerchantGateway, MethodChoice
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.ports import Configured, Gateway, Method, Verified
from recaudo.usecases.registers import kept

COMPARED_EVERY = timedelta(days=1)
NOTICE_KEY_BYTES = 24

Respond = Callable[[MerchantGateway], tuple[int, bytes]]


class UnknownKindError(Exception):
    """There is no such gateway; `known` are those that merchants can set up."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__("no such gateway")
        self.known = known


class InvalidCredentialsError(Exception):
    """Credentials that cannot work, by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = problems


class KindTakenError(Exception):
    """The account has a gateway of this kind: change that one."""


class GatewayBusyError(Exception):
    """Attempts or refunds wait for the gateway's answer, so it cannot be forgotten: switch it off."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} wait")
        self.waiting = waiting


class NewGateway(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant says of a new gateway."""

    kind: str
    credentials: dict[str, str]
    position: int = 0
    enabled: bool = True
    methods: tuple[MethodChoice, ...] | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay, with the gateway that offers it. `configured` None: the gateway needs no configuration."""

    gateway: Gateway
    method: Method
    configured: Configured | None = None


def kinds(core: Core) -> list[str]:
    """The gateways that merchants can set up."""
    return sorted(name for name, gateway in core.gateways.items() if gateway.needs_configuration)


async def create(core: Core, account: Account, command: NewGateway, respond: Respond, *, once: Once | None) -> Done:
    """Add a gateway. No call is made: `verify` does that.

    Raises UnknownKindError, InvalidCredentialsError, KindTakenError and KeyReusedError.
    """
    gateway = _of_kind(core, command.kind)
    _check(gateway, account, command.credentials, command.methods)

    async def act(connection: Connection) -> tuple[int, bytes]:
        moment = core.moment(account)
        made = MerchantGateway(
            account_id=account.id,
            id=moment.new_id(),
            notice_key=secrets.token_urlsafe(NOTICE_KEY_BYTES),
            created_at=moment.now,
            updated_at=moment.now,
            **msgspec.structs.asdict(command),
        )
        is_new = await store.insert_gateway(
            connection, made, core.vault, compare_at=core.clock.now() + COMPARED_EVERY * (0.5 + core.chance() / 2)
        )
        if not is_new:
            raise KindTakenError
        return respond(made)

    # The answer names the address of notices, which nobody else shall know.
    return await repeated(partial(kept, core, account, act, once=once, is_secret=True))


async def change(
    core: Core,
    account: Account,
    gateway_id: UUID,
    fields: Callable[[MerchantGateway], Mapping[str, Any]],
    respond: Respond,
    *,
    once: Once | None,
) -> Done:
    """Change credentials (those named; the others stay), position, methods, or switch it on or off.

    Raises NotFoundError, InvalidCredentialsError, GatewayBusyError (for credentials of another account at the vendor
    while something waits for the present one), KeyReusedError and what `fields` raises.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        found = await store.find_gateway(connection, account.id, gateway_id, core.vault, lock=True)
        if found is None:
            raise NotFoundError
        new = dict(fields(found))
        if "credentials" in new:
            new["credentials"] = {**found.credentials, **new["credentials"]}
            await _refuse_another_identity(core, connection, found, new["credentials"])
            new |= {"verified_at": None, "last_problem": None, "last_problem_at": None}
        now = msgspec.structs.replace(found, updated_at=core.now(account), **new)
        _check(_of_kind(core, now.kind), account, now.credentials, now.methods)
        await store.update_gateway(connection, now, core.vault)
        return respond(now)

    # The answer names the address of notices, which nobody else shall know.
    return await repeated(partial(kept, core, account, act, once=once, is_secret=True))


async def rotate(
    core: Core,
    account: Account,
    gateway_id: UUID,
    overlap: Callable[[], timedelta],
    respond: Respond,
    *,
    once: Once | None,
) -> Done:
    """Give a gateway another address for its notices; the one before goes on until the overlap is over.

    Raises NotFoundError, KeyReusedError and what `overlap` raises.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        found = await store.find_gateway(connection, account.id, gateway_id, core.vault, lock=True)
        if found is None:
            raise NotFoundError
        now = msgspec.structs.replace(
            found,
            notice_key=secrets.token_urlsafe(NOTICE_KEY_BYTES),
            old_notice_digest=store.digest(found.notice_key),
            old_notice_until=core.clock.now() + overlap(),
            updated_at=core.now(account),
        )
        await store.update_gateway(connection, now, core.vault)
        return respond(now)

    return await repeated(partial(kept, core, account, act, once=once, is_secret=True))


async def delete(core: Core, account: Account, gateway_id: UUID) -> None:
    """Forget a gateway and its credentials. Raises NotFoundError and GatewayBusyError."""
    async with core.database.transaction() as connection:
        found = await store.find_gateway(connection, account.id, gateway_id, core.vault, lock=True)
        if found is None:
            raise NotFoundError
        waiting = await store.open_attempts_of(connection, account.id, found.kind)
        if waiting:
            raise GatewayBusyError(waiting)
        await store.delete_gateway(connection, account.id, gateway_id)


async def verify(core: Core, account: Account, gateway_id: UUID) -> Verified:
    """Try the credentials with a call that changes nothing, and keep what it showed. Raises NotFoundError."""
    found = await find(core, account, gateway_id)
    opened = configured(account, found)
    verified = await core.gateways[found.kind].verify(opened)
    await note_verdict(core, opened, verified.problem)
    return verified


async def find(core: Core, account: Account, gateway_id: UUID) -> MerchantGateway:
    """One of the account's gateways. Raises NotFoundError."""
    async with core.database.connection() as connection:
        found = await store.find_gateway(connection, account.id, gateway_id, core.vault)
    if found is None:
        raise NotFoundError
    return found


async def list_all(core: Core, account: Account) -> list[MerchantGateway]:
    """The account's gateways in the order in which they are tried."""
    async with core.database.connection() as connection:
        return await store.list_gateways(connection, account.id, core.vault)


async def note_verdict(core: Core, it: Configured, problem: str | None) -> None:
    """Keep whether the credentials worked when they were last used."""
    async with core.database.connection() as connection:
        await store.note_verdict(connection, it.account_id, it.id, core.clock.now(), problem)


async def all_offers(core: Core, account: Account, connection: Connection) -> list[Offer]:
    """Every way to pay that the account has, in the order of its gateways.

    Test accounts have the sandbox, after what their merchant set up.
    """
    offers: list[Offer] = []
    for it in await store.list_gateways(connection, account.id, core.vault):
        gateway = core.gateways.get(it.kind)
        if gateway is None or not it.enabled:
            continue
        opened = configured(account, it)
        offers += [Offer(gateway=gateway, method=m, configured=opened) for m in _chosen(gateway, account, it)]
    for gateway in core.gateways.values():
        if not gateway.needs_configuration and (gateway.for_live_accounts or account.is_test):
            offers += [Offer(gateway=gateway, method=m) for m in gateway.methods(account)]
    return offers


def fitting(
    offers: Sequence[Offer], allows: Mapping[str, bool], currency: str, amount_minor: int | None
) -> list[Offer]:
    """The offers for something that allows these kinds; `amount_minor` None: the amount is not chosen yet."""
    return [
        o
        for o in offers
        if allows.get(o.method.kind, False)
        and currency in o.gateway.abilities.currencies
        and (amount_minor is None or takes(o, amount_minor))
    ]


def real(offers: Sequence[Offer]) -> list[Offer]:
    """The offers of the merchant's own gateways.

    The sandbox is shown only when the merchant set nothing else up: both together would confuse who tries the page.
    """
    return [o for o in offers if o.configured is not None] or list(offers)


def each_once(offers: Sequence[Offer]) -> list[Offer]:
    """What a payer chooses from: each method once, of the first gateway that offers it."""
    first: dict[str, Offer] = {}
    for offer in offers:
        first.setdefault(offer.method.id, offer)
    return list(first.values())


def takes(offer: Offer, amount_minor: int) -> bool:
    """Whether an amount is within the limits of the gateway's and the merchant's."""
    low, high = offer.method.min_minor, offer.method.max_minor
    return (low is None or low <= amount_minor) and (high is None or amount_minor <= high)


async def configured_for(core: Core, account: Account, connection: Connection, kind: str) -> Configured | None:
    """The account's gateway of a kind, opened; None for one that needs no configuration."""
    if not core.gateways[kind].needs_configuration:
        return None
    found = await store.find_gateway_of_kind(connection, account.id, kind, core.vault)
    return None if found is None else configured(account, found)


def configured(account: Account, it: MerchantGateway) -> Configured:
    """A gateway with its credentials, for its adapter."""
    return Configured(
        account_id=it.account_id, id=it.id, kind=it.kind, is_test=account.is_test, credentials=it.credentials
    )


async def check_secrets(core: Core) -> None:
    """Raise SecretLostError if the newest credentials were encrypted under another key than this process has."""
    async with core.database.connection() as connection:
        await store.open_newest(connection, core.vault)


async def _refuse_another_identity(
    core: Core, connection: Connection, it: MerchantGateway, credentials: Mapping[str, str]
) -> None:
    """Another account at the vendor knows nothing of what was begun: it would be called never begun, though paid."""
    identity = core.gateways[it.kind].identity
    if identity(it.credentials) == identity(credentials):
        return
    waiting = await store.open_attempts_of(connection, it.account_id, it.kind)
    if waiting:
        raise GatewayBusyError(waiting)


def _of_kind(core: Core, kind: str) -> Gateway:
    gateway = core.gateways.get(kind)
    if gateway is None or not gateway.needs_configuration:
        raise UnknownKindError(kinds(core))
    return gateway


def _check(
    gateway: Gateway, account: Account, credentials: Mapping[str, str], methods: Sequence[MethodChoice] | None
) -> None:
    problems = dict(gateway.check(credentials, is_test=account.is_test))
    offered = {m.id for m in gateway.methods(account)}
    for choice in methods or ():
        if choice.id not in offered:
            problems["methods"] = f"{choice.id!r} is not offered; use {', '.join(sorted(offered))}"
    if problems:
        raise InvalidCredentialsError(problems)


def _chosen(gateway: Gateway, account: Account, it: MerchantGateway) -> list[Method]:
    """The gateway's methods as far as the merchant wants them, within both their limits."""
    methods = gateway.methods(account)
    if it.methods is None:
        return list(methods)
    by_id = {m.id: m for m in methods}
    return [_limited(by_id[c.id], c) for c in it.methods if c.id in by_id]


def _limited(method: Method, choice: MethodChoice) -> Method:
    lows = [minor for minor in (method.min_minor, choice.min_minor) if minor is not None]
    highs = [minor for minor in (method.max_minor, choice.max_minor) if minor is not None]
    return msgspec.structs.replace(method, min_minor=max(lows, default=None), max_minor=min(highs, default=None))


def next_comparison(now: datetime, fraction: float) -> datetime:
    """When a gateway is compared again: a day later, spread so that not all ask at once."""
    return now + COMPARED_EVERY * (1 + 0.05 * fraction)
