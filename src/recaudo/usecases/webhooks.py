"""Endpoints: who wants to be told what happened, and with which secrets (OnePay specification, section 13)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.delivering import ENDPOINTS_MAX, Endpoint
from recaudo.domain.model import Account
from recaudo.store import endpoints, replays
from recaudo.store.database import Connection
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.ports import WebhookDialect
from recaudo.usecases.registers import Act, kept, replay_kept


class TooManyEndpointsError(Exception):
    """The account has ENDPOINTS_MAX endpoints in this dialect already."""


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner says of a new endpoint. `types` are in the dialect's words, and known to it."""

    dialect: str
    name: str
    description: str | None
    url: str
    types: tuple[str, ...]


Respond = Callable[[Endpoint], tuple[int, bytes]]
Fields = Callable[[Endpoint], Mapping[str, Any]]


async def create(core: Core, account: Account, command: NewEndpoint, respond: Respond, *, once: Once | None) -> Done:
    """Add an endpoint; its secrets are made here. The kept answer is encrypted, as it holds the secret.

    Raises TooManyEndpointsError and KeyReusedError.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        if await endpoints.count_endpoints(connection, account.id, command.dialect) >= ENDPOINTS_MAX:
            raise TooManyEndpointsError
        moment = core.moment(account)
        secret, token = core.webhooks[command.dialect].new_secrets()
        made = Endpoint(
            account_id=account.id,
            id=moment.new_id(),
            secret=secret,
            token=token,
            created_at=moment.now,
            updated_at=moment.now,
            **msgspec.structs.asdict(command),
        )
        await endpoints.insert_endpoint(connection, made, tells=_tells(core, made), vault=core.vault)
        return respond(made)

    return await _kept(core, account, act, once)


async def change(
    core: Core,
    account: Account,
    endpoint_id: UUID,
    fields: Fields,
    respond: Respond,
    *,
    dialect: str | None,
    once: Once | None,
) -> Done:
    """Change name, description, url or types. Raises NotFoundError, KeyReusedError and what `fields` raises."""

    def changed(it: Endpoint) -> Endpoint:
        return msgspec.structs.replace(it, updated_at=core.now(account), **fields(it))

    act = partial(_change, core, account, endpoint_id, changed, respond=respond, dialect=dialect)
    return await _kept(core, account, act, once)


async def rotate(
    core: Core,
    account: Account,
    endpoint_id: UUID,
    overlap: Callable[[], timedelta],
    respond: Respond,
    *,
    dialect: str | None,
    once: Once | None,
) -> Done:
    """Give an endpoint a new secret; the old one signs too until the overlap is over. Raises as change."""

    def changed(it: Endpoint) -> Endpoint:
        now = core.now(account)
        until = now + overlap()
        secret, _ = core.webhooks[it.dialect].new_secrets()
        return msgspec.structs.replace(it, secret=secret, old_secret=it.secret, old_secret_until=until, updated_at=now)

    act = partial(_change, core, account, endpoint_id, changed, respond=respond, dialect=dialect)
    return await _kept(core, account, act, once)


async def _change(
    core: Core,
    account: Account,
    endpoint_id: UUID,
    changed: Callable[[Endpoint], Endpoint],
    connection: Connection,
    *,
    respond: Respond,
    dialect: str | None,
) -> tuple[int, bytes]:
    now = changed(await _find(core, account, connection, endpoint_id, dialect))
    await endpoints.update_endpoint(connection, now, tells=_tells(core, now), vault=core.vault)
    return respond(now)


async def delete(core: Core, account: Account, endpoint_id: UUID, *, dialect: str | None, once: Once | None) -> Done:
    """Remove an endpoint and drop what waits for it. Raises NotFoundError and KeyReusedError."""

    async def act(connection: Connection) -> tuple[int, bytes]:
        await _find(core, account, connection, endpoint_id, dialect)
        await endpoints.delete_endpoint(connection, account.id, endpoint_id, core.clock.now())
        return 204, b""

    return await _kept(core, account, act, once)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an endpoint is looked for (in any dialect when none is named), and where links lead."""

    dialect: str | None
    base_url: str


async def send_sample(
    core: Core,
    account: Account,
    endpoint_id: UUID,
    place: Place,
    respond: Callable[[UUID], tuple[int, bytes]],
    *,
    once: Once | None,
) -> Done:
    """Queue an invented event of the first type an endpoint lists. Raises NotFoundError and KeyReusedError."""

    async def act(connection: Connection) -> tuple[int, bytes]:
        found = await _find(core, account, connection, endpoint_id, place.dialect)
        moment = core.moment(account)
        event_id, delivery_id = moment.new_id(), moment.new_id()
        type_ = found.types[0]
        sample = core.webhooks[found.dialect].sample
        body = sample(type_, place.base_url, moment.now, is_test=account.is_test, event_id=event_id)
        made = replays.Sample(delivery_id=delivery_id, event_id=event_id, type=type_, body=body, at=moment.now)
        await replays.insert_sample(connection, found, made, core.clock.now())
        return respond(delivery_id)

    return await repeated(partial(kept, core, account, act, once=once, is_secret=True))


async def find(core: Core, account: Account, endpoint_id: UUID, *, dialect: str | None) -> Endpoint:
    """An endpoint, of any dialect when none is named. Raises NotFoundError."""
    async with core.database.connection() as connection:
        return await _find(core, account, connection, endpoint_id, dialect)


async def replay_known(core: Core, account: Account, once: Once | None) -> Done | None:
    """The answer that was kept under a key, if any. Raises KeyReusedError."""
    async with core.database.connection() as connection:
        return await replay_kept(core, account, connection, once, is_secret=True)


async def check_secrets(core: Core) -> None:
    """Raise SecretLostError if the newest endpoint's secrets were encrypted under another key than this process has.

    A second machine that made a key of its own would sign nothing and spoil what the first one does.
    """
    async with core.database.connection() as connection:
        await endpoints.open_newest(connection, core.vault)


def _tells(core: Core, it: Endpoint) -> list[str]:
    """The core's names of the types that an endpoint lists and that are ever raised."""
    dialect: WebhookDialect = core.webhooks[it.dialect]
    return sorted({name for type_ in it.types if (name := dialect.types.get(type_)) is not None})


async def _kept(core: Core, account: Account, act: Act, once: Once | None) -> Done:
    """Act under the account's lock. Every answer is kept encrypted: some tell a secret."""
    hold = partial(endpoints.lock_account, account_id=account.id)
    return await repeated(partial(kept, core, account, act, once=once, hold=hold, is_secret=True))


async def _find(
    core: Core, account: Account, connection: Connection, endpoint_id: UUID, dialect: str | None
) -> Endpoint:
    found = await endpoints.find_endpoint(connection, account.id, endpoint_id, core.vault, dialect=dialect)
    if found is None:
        raise NotFoundError
    return found
