"""Endpoints: who wants to be told what happened, and with which secrets (OnePay specification, section 13)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.delivering import ENDPOINTS_MAX, Endpoint
from recaudo.domain.model import Account
from recaudo.store import door, endpoints, idempotency, replays
from recaudo.store.database import Connection
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated, replay
from recaudo.usecases.ports import WebhookDialect


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
    return await repeated(partial(_create_once, core, account, command, respond, once))


async def _create_once(core: Core, account: Account, command: NewEndpoint, respond: Respond, once: Once | None) -> Done:
    async with core.database.transaction() as connection:
        await endpoints.lock_account(connection, account.id)
        known = await _replay_sealed(core, account, connection, once)
        if known is not None:
            return known
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
        return await _answer(core, account, connection, respond(made), once)


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

    return await repeated(
        partial(_change_once, core, account, endpoint_id, changed, respond=respond, dialect=dialect, once=once)
    )


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

    return await repeated(
        partial(_change_once, core, account, endpoint_id, changed, respond=respond, dialect=dialect, once=once)
    )


async def _change_once(
    core: Core,
    account: Account,
    endpoint_id: UUID,
    changed: Callable[[Endpoint], Endpoint],
    *,
    respond: Respond,
    dialect: str | None,
    once: Once | None,
) -> Done:
    async with core.database.transaction() as connection:
        await endpoints.lock_account(connection, account.id)
        known = await _replay_sealed(core, account, connection, once)
        if known is not None:
            return known
        found = await endpoints.find_endpoint(connection, account.id, endpoint_id, core.vault, dialect=dialect)
        if found is None:
            raise NotFoundError
        now = changed(found)
        await endpoints.update_endpoint(connection, now, tells=_tells(core, now), vault=core.vault)
        return await _answer(core, account, connection, respond(now), once)


async def delete(core: Core, account: Account, endpoint_id: UUID, *, dialect: str | None, once: Once | None) -> Done:
    """Remove an endpoint and drop what waits for it. Raises NotFoundError and KeyReusedError."""
    return await repeated(partial(_delete_once, core, account, endpoint_id, dialect, once))


async def _delete_once(core: Core, account: Account, endpoint_id: UUID, dialect: str | None, once: Once | None) -> Done:
    async with core.database.transaction() as connection:
        await endpoints.lock_account(connection, account.id)
        known = await _replay_sealed(core, account, connection, once)
        if known is not None:
            return known
        if await endpoints.find_endpoint(connection, account.id, endpoint_id, core.vault, dialect=dialect) is None:
            raise NotFoundError
        await endpoints.delete_endpoint(connection, account.id, endpoint_id, core.clock.now())
        return await _answer(core, account, connection, (204, b""), once)


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
    return await repeated(partial(_sample_once, core, account, endpoint_id, place, respond=respond, once=once))


async def _sample_once(
    core: Core,
    account: Account,
    endpoint_id: UUID,
    place: Place,
    *,
    respond: Callable[[UUID], tuple[int, bytes]],
    once: Once | None,
) -> Done:
    known = await replay_known(core, account, once)
    if known is not None:
        return known
    found = await find(core, account, endpoint_id, dialect=place.dialect)
    moment = core.moment(account)
    event_id, delivery_id = moment.new_id(), moment.new_id()
    type_ = found.types[0]
    sample = core.webhooks[found.dialect].sample
    body = sample(type_, place.base_url, moment.now, is_test=account.is_test, event_id=event_id)
    made = replays.Sample(delivery_id=delivery_id, event_id=event_id, type=type_, body=body, at=moment.now)
    async with core.database.transaction() as connection:
        await replays.insert_sample(connection, found, made, core.clock.now())
        return await _answer(core, account, connection, respond(delivery_id), once)


async def find(core: Core, account: Account, endpoint_id: UUID, *, dialect: str | None) -> Endpoint:
    """An endpoint, of any dialect when none is named. Raises NotFoundError."""
    async with core.database.connection() as connection:
        found = await endpoints.find_endpoint(connection, account.id, endpoint_id, core.vault, dialect=dialect)
    if found is None:
        raise NotFoundError
    return found


async def replay_known(core: Core, account: Account, once: Once | None) -> Done | None:
    """The answer that was kept under a key, if any. Raises KeyReusedError."""
    async with core.database.connection() as connection:
        return await _replay_sealed(core, account, connection, once)


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


async def _replay_sealed(core: Core, account: Account, connection: Connection, once: Once | None) -> Done | None:
    if once is None:
        return None
    known = await idempotency.find(connection, account.id, once.scope, once.key)
    if known is None:
        return None
    done = replay(once, known)
    return msgspec.structs.replace(done, answer=core.vault.open(done.answer, _about(account, once)))


async def _answer(
    core: Core, account: Account, connection: Connection, answered: tuple[int, bytes], once: Once | None
) -> Done:
    status, answer = answered
    if once is not None:
        sealed = core.vault.seal(answer, _about(account, once))
        await door.remember(connection, once.remembered(account, status, sealed, core.now(account)))
    return Done(status=status, answer=answer)


def _about(account: Account, once: Once) -> str:
    return f"answer {account.id} {once.scope} {once.key}"
