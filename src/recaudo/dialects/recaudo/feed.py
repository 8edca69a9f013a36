"""The feed of events, and telling them again."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from recaudo.dialects.recaudo import render
from recaudo.dialects.recaudo.cursors import feed_cursor, read_feed_cursor
from recaudo.dialects.recaudo.errors import InvalidQueryError
from recaudo.dialects.recaudo.keys import once_of, reply
from recaudo.dialects.recaudo.parse import parse_replay
from recaudo.dialects.recaudo.queries import read_limit, read_number, read_query
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.model import Account
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.events import FeedFilter, FeedPage, Place, Told, find_end, read_feed
from recaudo.store.replays import Replay
from recaudo.usecases import replays
from recaudo.usecases.core import Core, NotFoundError

WAIT_S_MAX = 30
POLL_S = 0.25
# Requests of one account that wait for events at the same time, in one server process.
WAITING_MAX = 20
# The cursor of who wants only what happens from now on.
END = "end"


class TooManyWaitingError(Exception):
    """WAITING_MAX requests of this account wait already."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the query of the feed asks for."""

    limit: int
    after: Place | None  # None: the present end of the feed
    filter: FeedFilter
    wait_s: int
    dialect: str | None  # whose words each event is told in, too


class Feed:
    """Operations on events."""

    def __init__(self, core: Core, stop: asyncio.Event) -> None:
        self._core = core
        self._stop = stop
        self._waiting: Counter[UUID] = Counter()

    async def list_events(self, request: ApiRequest) -> Reply:
        """GET /events: oldest first, or from `cursor=end` on; with `wait` it answers as soon as there is something."""
        wanted = self._parse(request)
        if wanted.after is None:
            wanted = msgspec.structs.replace(wanted, after=await self._end(request.account))
        page = await self._read(request.account, wanted)
        if not page.events and not page.has_more and wanted.wait_s:
            page = await self._wait(request.account, wanted)
        body = render.page(
            [self._show(told, wanted.dialect, request.base_url) for told in page.events],
            has_more=page.has_more,
            next_cursor=feed_cursor(request.account.id, page.end),
        )
        return Reply(status=200, body=msgspec.json.encode(body))

    async def replay(self, request: ApiRequest) -> Reply:
        """POST /events/replay: tell events again. They are queued by the worker, page by page."""
        command = parse_replay(request.body or {})

        def respond(asked: Replay) -> tuple[int, bytes]:
            return 202, msgspec.json.encode(render.replay(asked))

        return reply(await replays.ask(self._core, request.account, command, respond, once=once_of(request)))

    async def get_replay(self, request: ApiRequest) -> Reply:
        """GET /events/replay/{id}: how far it is."""
        try:
            replay_id = UUID(request.params[0])
        except ValueError:
            raise NotFoundError from None
        found = await replays.find(self._core, request.account, replay_id)
        return Reply(status=200, body=msgspec.json.encode(render.replay(found)))

    async def _end(self, account: Account) -> Place:
        """Where the feed ends now, however long it is."""
        async with self._core.database.connection() as connection:
            return await find_end(connection, account.id)

    async def _read(self, account: Account, wanted: Wanted) -> FeedPage:
        assert wanted.after is not None, "the end was looked up"
        async with self._core.database.connection() as connection:
            return await read_feed(connection, account, wanted.after, wanted.filter, limit=wanted.limit)

    async def _wait(self, account: Account, wanted: Wanted) -> FeedPage:
        """Look again until there is something, the time is over, or the server stops. No connection is held."""
        if self._waiting[account.id] >= WAITING_MAX:
            raise TooManyWaitingError
        self._waiting[account.id] += 1
        try:
            ends_at = asyncio.get_running_loop().time() + wanted.wait_s
            while True:
                page = await self._read(account, wanted)
                left_s = ends_at - asyncio.get_running_loop().time()
                if page.events or page.has_more or left_s <= 0 or self._stop.is_set():
                    return page
                # What was looked through is not looked through again.
                wanted = msgspec.structs.replace(wanted, after=page.end)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(POLL_S, left_s)):
                        await self._stop.wait()
        finally:
            self._waiting[account.id] -= 1
            if not self._waiting[account.id]:
                del self._waiting[account.id]

    def _show(self, told: Told, dialect: str | None, base_url: str) -> Mapping[str, Any]:
        shown = render.event(told)
        if dialect is None:
            return shown
        teller = self._core.webhooks[dialect]
        if told.event.type not in teller.types.values():
            return {**shown, "message": None}
        type_, body = teller.body(told, base_url)
        return {**shown, "message": {"type": type_, "body": body.decode()}}

    def _parse(self, request: ApiRequest) -> Wanted:
        values = read_query(request.query, ("limit", "cursor", "type", "subject", "wait", "dialect"))
        cursor, dialect = values.get("cursor"), values.get("dialect")
        if dialect is not None and dialect not in self._core.webhooks:
            raise InvalidQueryError("dialect", f"Must be one of {', '.join(self._core.webhooks)}.")
        return Wanted(
            limit=read_limit(values),
            after=_place(cursor, request.account.id),
            filter=FeedFilter(types=_types(values.get("type")), subject_id=_subject(values.get("subject"))),
            wait_s=read_number(values, "wait", 0, low=0, high=WAIT_S_MAX),
            dialect=dialect,
        )

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        return (
            Route(
                method="GET",
                path="/events",
                handler=self.list_events,
                operation_id="listEvents",
                summary="Read the feed of events, oldest first",
                tag="events",
                waits=True,
            ),
            Route(
                method="POST",
                path="/events/replay",
                handler=self.replay,
                operation_id="replayEvents",
                summary="Tell events again",
                tag="events",
                body="required",
                once="optional",
            ),
            Route(
                method="GET",
                path="/events/replay/{replay_id}",
                handler=self.get_replay,
                operation_id="getReplay",
                summary="See how far a replay is",
                tag="events",
            ),
        )


def _place(cursor: str | None, account_id: UUID) -> Place | None:
    if not cursor:
        return Place()
    return None if cursor == END else read_feed_cursor(cursor, account_id)


def _types(text: str | None) -> Sequence[str] | None:
    if text is None:
        return None
    types = [word.strip() for word in text.split(",")]
    for word in types:
        if word not in EVENT_TYPES:
            raise InvalidQueryError("type", f"{word[:60]!r} is no event type; use {', '.join(EVENT_TYPES)}.")
    return types


def _subject(text: str | None) -> UUID | None:
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise InvalidQueryError("subject", "Must be the UUID of an invoice or an endpoint.") from None
