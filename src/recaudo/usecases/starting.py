"""Paying on a merchant's own page: which ways there are, and an attempt that one idempotency key starts once.

The attempt is made once by its own one-time key, which comes from the request's; the answer is kept when the gateway
has said something. A crash in between leaves an attempt whose request is known by its digest: the same request again
finds it, another body under the key is refused, and nothing is started twice.
"""

import base64
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import msgspec

from recaudo.domain.answers import Step
from recaudo.domain.attempting import check_payable, is_unheard, open_step
from recaudo.domain.model import Account, Attempt, payable_now
from recaudo.domain.partial import Allowed
from recaudo.domain.states import AttemptState, Refusal, RefusedError
from recaudo.store import cases
from recaudo.store.database import Connection
from recaudo.store.views import CollectionView, view_collection
from recaudo.usecases import attempts, gateways
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.core import Core, Done, KeyReusedError, NotFoundError, Once, repeated, replay_if_known
from recaudo.usecases.gateways import Offer
from recaudo.usecases.registers import kept

# Longer than the calls of one start and of the gateways that it falls back on may take together.
STARTING: Final = timedelta(seconds=120)
# Where an attempt keeps the digest of the request that made it.
_REQUEST: Final = "request"
_ONCE_BYTES: Final = 24
# Nothing that a gateway says changes these for the payer; one that failed may be tried again on the gateway's page.
_DECIDED: Final = frozenset({AttemptState.SUCCEEDED, AttemptState.REFUNDED, AttemptState.DISPUTED})

Respond = Callable[["Begun"], tuple[int, bytes]]


class StillStartingError(Exception):
    """The first request with this key is not answered yet."""


class Payable(msgspec.Struct, frozen=True, kw_only=True):
    """A collection with the ways to pay it. `refusal` is why it takes no money now."""

    view: CollectionView
    refusal: Refusal | None
    allowed: Allowed | None  # None: an open amount
    offers: Sequence[Offer]  # every one that the invoice allows, whatever the amount

    def fitting(self, amount_minor: int | None) -> list[Offer]:
        """What a payer chooses from for an amount, each method once; None: it is not chosen yet."""
        offers = gateways.real(self.offers)
        return gateways.each_once([o for o in offers if amount_minor is None or gateways.takes(o, amount_minor)])

    @property
    def only_minor(self) -> int | None:
        """The amount, where only one may be paid."""
        allowed = self.allowed
        return allowed.balance_minor if allowed is not None and allowed.low_minor is None else None


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt, and what its payer has to do next."""

    attempt: Attempt
    step: Step | None


async def payable(core: Core, account: Account, collection_id: UUID) -> Payable:
    """The ways to pay a collection now. Raises NotFoundError."""
    async with core.database.connection() as connection:
        view = await view_collection(connection, account.id, collection_id)
        if view is None:
            raise NotFoundError
        refusal = _refusal(view, core.now(account))
        offers = [] if refusal else await gateways.all_offers(core, account, connection)
    return Payable(
        view=view,
        refusal=refusal,
        allowed=payable_now(view.invoice, view.collection),
        offers=gateways.fitting(offers, view.invoice.allows, view.invoice.currency, None),
    )


def once_key_of(core: Core, account: Account, once: Once) -> str:
    """The attempt's own one-time key. It stands in the address that payers come back to, so it tells nothing."""
    digest = core.vault.digest(f"{once.scope} {once.key}".encode(), f"attempt {account.id}")
    return base64.urlsafe_b64encode(digest[:_ONCE_BYTES]).decode()


async def resume(core: Core, account: Account, collection_id: UUID, respond: Respond, *, once: Once) -> Done | None:
    """What to answer to a request whose key was used before; None when it was not.

    Raises KeyReusedError, and StillStartingError while the first one may be at work: what became of the attempt is
    only an answer once nobody goes on with it.
    """
    known = await replay_if_known(core, account, once)
    if known is not None:
        return known
    async with core.database.connection() as connection:
        attempt = await attempts.newest_of_key(connection, account.id, collection_id, once_key_of(core, account, once))
    if attempt is None:
        return None
    first = str(attempt.gateway_data.get(_REQUEST))
    if first != once.request:
        raise KeyReusedError(first, once.request)
    if _may_go_on(attempt, core.now(account)):
        raise StillStartingError
    if is_unheard(attempt):
        # Whoever began it is gone: what the gateway knows of it is the answer.
        attempt = await attempts.ask(core, account, attempt.id, extra=True)
    return await _answered(core, account, attempt, respond, once=once)


async def start(core: Core, account: Account, command: StartAttempt, respond: Respond, *, once: Once) -> Done:
    """Start an attempt and keep the answer. `command.once_key` is `once_key_of` the same key.

    Raises what `attempts.start` and `resume` raise.
    """
    marked = msgspec.structs.replace(command, gateway_data={**command.gateway_data, _REQUEST: once.request})
    attempt, is_new = await attempts.start_once(core, account, marked)
    if is_new:
        return await _answered(core, account, attempt, respond, once=once)
    done = await resume(core, account, command.collection_id, respond, once=once)
    assert done is not None, "the attempt of this key was just seen"
    return done


async def find(core: Core, account: Account, attempt_id: UUID) -> Begun:
    """One attempt, with what its payer has to do while that makes sense. Raises NotFoundError."""
    async with core.database.connection() as connection:
        attempt = await cases.find_attempt(connection, account.id, attempt_id)
        if attempt is None:
            raise NotFoundError
        return await _begun(core, account, connection, attempt)


async def ask(core: Core, account: Account, attempt_id: UUID) -> Begun:
    """The same, after asking the gateway. Raises NotFoundError."""
    attempt = await attempts.ask(core, account, attempt_id, extra=True)
    async with core.database.connection() as connection:
        return await _begun(core, account, connection, attempt)


def is_decided(attempt: Attempt) -> bool:
    """Whether there is nothing to wait for. What a gateway reports later still counts."""
    return attempt.state in _DECIDED


async def _answered(core: Core, account: Account, attempt: Attempt, respond: Respond, *, once: Once) -> Done:
    """Keep the answer, or give the one that somebody else kept meanwhile."""

    async def act(connection: Connection) -> tuple[int, bytes]:
        return respond(await _begun(core, account, connection, attempt))

    return await repeated(partial(kept, core, account, act, once=once))


async def _begun(core: Core, account: Account, connection: Connection, attempt: Attempt) -> Begun:
    view = await view_collection(connection, account.id, attempt.collection_id)
    assert view is not None, "an attempt's collection is never deleted"
    now = core.now(account)
    # What is paid, withdrawn or replaced must not be paid once more by an attempt that is still open.
    is_over = _refusal(view, now) is not None
    return Begun(attempt=attempt, step=None if is_over else open_step(attempt, now))


def _refusal(view: CollectionView, now: datetime) -> Refusal | None:
    try:
        check_payable(view.invoice, view.collection, now)
    except RefusedError as error:
        return error.refusal
    return None


def _may_go_on(attempt: Attempt, now: datetime) -> bool:
    """Whether the request that made it may still wait for its gateway, or be about to try the next one."""
    is_between = is_unheard(attempt) or attempt.failure_code == "gateway_unavailable"
    return is_between and now - attempt.created_at < STARTING
