"""Telling events again: asked for in one request, gone through page by page by the worker."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from recaudo.domain.model import Account
from recaudo.store import accounts, replays
from recaudo.store.database import Connection
from recaudo.store.due import Claimed
from recaudo.store.endpoints import find_endpoint
from recaudo.store.replays import Replay
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.registers import kept

# Well inside a lease: what is left then is gone on with under the next one.
TURN_S = 20


class AskReplay(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told again; None means all. `until` is the present when it is not said."""

    event_ids: Sequence[UUID] | None = None
    types: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    endpoint_id: UUID | None = None
    only_failed: bool = False


async def ask(
    core: Core,
    account: Account,
    command: AskReplay,
    respond: Callable[[Replay], tuple[int, bytes]],
    *,
    once: Once | None,
) -> Done:
    """Note a replay. Raises KeyReusedError, and NotFoundError when the endpoint it names is none of the account's."""

    async def act(connection: Connection) -> tuple[int, bytes]:
        moment = core.moment(account)
        asked = Replay(
            account_id=account.id,
            id=moment.new_id(),
            created_at=moment.now,
            event_ids=command.event_ids,
            types=command.types,
            since=command.since,
            until=command.until or moment.now,
            endpoint_id=command.endpoint_id,
            only_failed=command.only_failed,
        )
        if command.endpoint_id is not None:
            found = await find_endpoint(connection, account.id, command.endpoint_id, core.vault)
            if found is None:
                raise NotFoundError
        await replays.insert_replay(connection, asked, core.clock.now())
        return respond(asked)

    return await repeated(partial(kept, core, account, act, once=once))


async def find(core: Core, account: Account, replay_id: UUID) -> Replay:
    """How far a replay is. Raises NotFoundError."""
    async with core.database.connection() as connection:
        found = await replays.find_replay(connection, account.id, replay_id)
    if found is None:
        raise NotFoundError
    return found


async def go_on(core: Core, claimed: Claimed) -> None:
    """Queue the next pages of a replay, until it is done or this turn is over."""
    started_s = time.monotonic()
    done = False
    while not done and time.monotonic() - started_s < TURN_S:
        async with core.database.connection() as connection:
            found = await replays.find_replay(connection, claimed.account_id, claimed.id)
            if found is None or found.state == "done":
                return
            account = await accounts.find_account(connection, found.account_id)
            assert account is not None, "accounts are never deleted"
            real_now, now = core.clock.now(), core.now(account)
            first_id = core.ids.new(now)
            done = await replays.replay_page(connection, found, first_id=first_id, now=now, real_now=real_now)
