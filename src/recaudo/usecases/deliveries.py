"""Telling endpoints what happened, but for the network: what to send, and what comes of each try."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from recaudo.domain.delivering import FAILING_AFTER, Endpoint, Try, judge
from recaudo.domain.events import ENDPOINT_FAILING
from recaudo.domain.model import Event
from recaudo.store import deliveries, door, endpoints
from recaudo.store.database import BadRowError
from recaudo.store.deliveries import Body, ClaimedDelivery, Concluded, Room
from recaudo.store.events import FailingEndpoint, Snapshot
from recaudo.store.vault import SecretLostError
from recaudo.usecases.core import Core
from recaudo.usecases.ports import Message


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is ready to be sent. `message` is None when it could not be rendered; `error` says why."""

    claimed: ClaimedDelivery
    endpoint: Endpoint
    message: Message | None
    error: str | None = None

    def headers(self, core: Core, real_now: datetime) -> Sequence[tuple[str, str]]:
        """The headers of a try made now."""
        assert self.message is not None, "what was not rendered is not sent"
        dialect = core.webhooks[self.endpoint.dialect]
        secrets = self.endpoint.secrets_at(real_now + self.claimed.clock_shift)
        return dialect.headers(self.message, self.endpoint, secrets, int(real_now.timestamp()))


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A prepared delivery and what came of its try."""

    prepared: Prepared
    outcome: Try


async def claim(
    core: Core, *, rooms: Mapping[UUID, Room], others_max: int, limit: int
) -> tuple[list[ClaimedDelivery], bool]:
    """Take deliveries that are due; see store.deliveries.claim."""
    async with core.database.connection() as connection:
        return await deliveries.claim(
            connection, real_now=core.clock.now(), rooms=rooms, others_max=others_max, limit=limit, vault=core.vault
        )


async def prepare(core: Core, claimed: Sequence[ClaimedDelivery], base_url: str) -> list[Prepared]:
    """Render what was not rendered yet and keep it, before anything is sent; drop what has no endpoint any more."""
    gone = [c for c in claimed if c.endpoint is None]
    bodies: dict[tuple[UUID, str], Body] = {}
    errors: dict[UUID, str] = {}
    for c in claimed:
        if c.secret_lost:
            errors[c.id] = str(SecretLostError())
        if c.endpoint is None or c.body is not None or (c.event_id, c.endpoint.dialect) in bodies:
            continue
        try:
            body = _render(core, c, c.endpoint, base_url)
        except Exception as error:  # noqa: BLE001 - a bad event must not hold up the others: it is told, and tried again
            errors[c.id] = f"could not be rendered: {type(error).__name__}: {error}"
        else:
            bodies[body.event_id, body.dialect] = body
    if gone or bodies:
        async with core.database.connection() as connection:
            if gone:
                await deliveries.drop(connection, gone)
            if bodies:
                bodies = await deliveries.freeze(connection, list(bodies.values()))
    return [
        Prepared(
            claimed=c,
            endpoint=c.endpoint,
            message=None if c.secret_lost else _message(c, c.endpoint, bodies),
            error=errors.get(c.id),
        )
        for c in claimed
        if c.endpoint is not None
    ]


def _render(core: Core, claimed: ClaimedDelivery, endpoint: Endpoint, base_url: str) -> Body:
    assert claimed.told is not None, "an event without a body has its snapshot"
    type_, body = core.webhooks[endpoint.dialect].body(claimed.told, base_url)
    return Body(
        account_id=claimed.account_id, event_id=claimed.event_id, dialect=endpoint.dialect, type=type_, body=body
    )


def _message(claimed: ClaimedDelivery, endpoint: Endpoint, bodies: Mapping[tuple[UUID, str], Body]) -> Message | None:
    type_, body = claimed.type, claimed.body
    if type_ is None or body is None:
        kept = bodies.get((claimed.event_id, endpoint.dialect))
        if kept is None:
            return None
        type_, body = kept.type, kept.body
    return Message(event_id=claimed.event_id, type=type_, subject_version=claimed.version, body=body)


async def conclude(core: Core, tried: Sequence[Tried]) -> list[Concluded]:
    """Note what came of tries. A row that the database refuses is found, and spoils no other."""
    results = [_concluded(t, core.chance()) for t in tried]
    try:
        async with core.database.connection() as connection:
            await deliveries.conclude(connection, results)
    except BadRowError:
        if len(tried) == 1:
            outcome = msgspec.structs.replace(tried[0].outcome, answer="", error="the answer could not be kept")
            async with core.database.connection() as connection:
                await deliveries.conclude(connection, [msgspec.structs.replace(results[0], outcome=outcome)])
            return results
        half = len(tried) // 2
        return [*await conclude(core, tried[:half]), *await conclude(core, tried[half:])]
    return results


async def note_health(core: Core, tried: Sequence[Tried]) -> list[Endpoint]:
    """Note whose failing period began or ended; returns the endpoints that were told to fail for an hour.

    Of an endpoint with a success among its tries only that counts; what could not be rendered says nothing of it.
    """
    latest = {
        t.prepared.endpoint.id: t
        for t in sorted(tried, key=lambda t: t.outcome.succeeded)
        if t.prepared.message is not None
    }
    facts = [
        endpoints.Health(
            account_id=t.prepared.endpoint.account_id, endpoint_id=t.prepared.endpoint.id, succeeded=t.outcome.succeeded
        )
        for t in latest.values()
        # Others may have seen failures meanwhile: a success is always news.
        if t.outcome.succeeded or t.prepared.endpoint.failing_since is None
    ]
    if facts:
        async with core.database.connection() as connection:
            await endpoints.note_health(connection, facts, core.clock.now())
    return [t.prepared.endpoint for t in latest.values() if await _tell_if_failing(core, t)]


async def give_back(core: Core, claimed: Sequence[ClaimedDelivery]) -> None:
    """Return deliveries that were claimed and not sent."""
    if claimed:
        async with core.database.connection() as connection:
            await deliveries.release(connection, claimed)


def _concluded(tried: Tried, chance: float) -> Concluded:
    claimed, outcome = tried.prepared.claimed, tried.outcome
    first = claimed.first_tried_at or outcome.at
    verdict = judge(outcome, tries=claimed.tries + 1, first_tried_at=first, chance=chance)
    return Concluded(
        account_id=claimed.account_id,
        id=claimed.id,
        leased_until=claimed.leased_until,
        first_tried_at=first,
        state=verdict.state,
        next_try_at=verdict.next_try_at,
        outcome=outcome,
    )


async def _tell_if_failing(core: Core, tried: Tried) -> bool:
    """Tell the other endpoints of the account of an hour of failures, once for each failing period."""
    endpoint, shift = tried.prepared.endpoint, tried.prepared.claimed.clock_shift
    since = endpoint.failing_since
    if since is None or tried.outcome.succeeded or tried.outcome.at - since < FAILING_AFTER:
        return False
    real_now = core.clock.now()
    async with core.database.transaction() as connection:
        period = await endpoints.begin_telling(connection, endpoint.account_id, endpoint.id, real_now - FAILING_AFTER)
        if period is None:
            return False
        snapshot = Snapshot(
            endpoint=FailingEndpoint(
                id=endpoint.id,
                name=endpoint.name,
                url=endpoint.url,
                failing_since=period.since + shift,
                last_error=tried.outcome.error or f"HTTP {tried.outcome.status}",
            )
        )
        event = Event(
            account_id=endpoint.account_id,
            id=core.ids.new(real_now + shift),
            subject_id=endpoint.id,
            version=period.number,
            ordinal=0,
            type=ENDPOINT_FAILING,
            data={},
            at=real_now + shift,
        )
        await door.tell_failing(connection, event, msgspec.json.encode(snapshot), real_now)
    return True
