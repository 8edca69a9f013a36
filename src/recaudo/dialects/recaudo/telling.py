"""Webhook endpoints in any dialect, and what became of every delivery."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from recaudo.dialects.recaudo import render
from recaudo.dialects.recaudo.cursors import read_before
from recaudo.dialects.recaudo.errors import InvalidError, InvalidQueryError
from recaudo.dialects.recaudo.handling import id_of, ok, page_by_id
from recaudo.dialects.recaudo.keys import once_of, reply
from recaudo.dialects.recaudo.parse import parse_changed_endpoint, parse_new_endpoint, parse_overlap
from recaudo.dialects.recaudo.queries import read_limit, read_query, read_uuid, read_word
from recaudo.domain.delivering import DeliveryState, Endpoint
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import deliveries, endpoints
from recaudo.store.lists import PageRequest
from recaudo.usecases import webhooks
from recaudo.usecases.core import Core, NotFoundError
from recaudo.usecases.webhooks import Place

ENDPOINTS_SHOWN_MAX = 100


class Telling:
    """Operations on endpoints and deliveries."""

    def __init__(self, core: Core, policy: UrlPolicy) -> None:
        self._core = core
        self._policy = policy

    async def create(self, request: ApiRequest) -> Reply:
        """POST /webhooks."""
        account, once = request.account, once_of(request)
        known = await webhooks.replay_known(self._core, account, once)
        if known is not None:
            return reply(known)
        command = parse_new_endpoint(request.body or {}, self._core.webhooks)
        await self._check_url(command.url, is_test=account.is_test)

        def respond(made: Endpoint) -> tuple[int, bytes]:
            return 201, msgspec.json.encode(render.endpoint(made, is_test=account.is_test, with_secret=True))

        return reply(await webhooks.create(self._core, account, command, respond, once=once))

    async def list_all(self, request: ApiRequest) -> Reply:
        """GET /webhooks: all of the account's, in every dialect, newest first."""
        async with self._core.database.connection() as connection:
            found = await endpoints.list_endpoints(
                connection, request.account.id, PageRequest(per_page=ENDPOINTS_SHOWN_MAX), {}, self._core.vault
            )
        is_test = request.account.is_test
        rows = [render.endpoint(e, is_test=is_test, with_secret=False) for e in found.items]
        return ok(render.page(rows, has_more=False, next_cursor=None))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /webhooks/{id}."""
        found = await webhooks.find(self._core, request.account, id_of(request), dialect=None)
        return ok(render.endpoint(found, is_test=request.account.is_test, with_secret=False))

    async def change(self, request: ApiRequest) -> Reply:
        """PUT /webhooks/{id}: any of name, description, url, types."""
        account, once = request.account, once_of(request)
        known = await webhooks.replay_known(self._core, account, once)
        if known is not None:
            return reply(known)
        found = await webhooks.find(self._core, account, id_of(request), dialect=None)
        values = parse_changed_endpoint(request.body or {}, self._core.webhooks[found.dialect])
        if "url" in values:
            await self._check_url(values["url"], is_test=account.is_test)

        def respond(changed: Endpoint) -> tuple[int, bytes]:
            return 200, msgspec.json.encode(render.endpoint(changed, is_test=account.is_test, with_secret=False))

        return reply(
            await webhooks.change(self._core, account, found.id, lambda _: values, respond, dialect=None, once=once)
        )

    async def delete(self, request: ApiRequest) -> Reply:
        """DELETE /webhooks/{id}."""
        return reply(
            await webhooks.delete(self._core, request.account, id_of(request), dialect=None, once=once_of(request))
        )

    async def rotate(self, request: ApiRequest) -> Reply:
        """POST /webhooks/{id}/rotate: a new secret; the old one signs too for `overlap_hours`."""
        account = request.account

        def overlap() -> timedelta:
            return parse_overlap(request.body or {})

        def respond(changed: Endpoint) -> tuple[int, bytes]:
            return 200, msgspec.json.encode(render.endpoint(changed, is_test=account.is_test, with_secret=True))

        return reply(
            await webhooks.rotate(
                self._core, account, id_of(request), overlap, respond, dialect=None, once=once_of(request)
            )
        )

    async def test(self, request: ApiRequest) -> Reply:
        """POST /webhooks/{id}/test: queue an invented event of the first type it lists."""

        def respond(delivery_id: UUID) -> tuple[int, bytes]:
            return 200, msgspec.json.encode({"delivery_id": str(delivery_id)})

        place = Place(dialect=None, base_url=request.base_url)
        return reply(
            await webhooks.send_sample(
                self._core, request.account, id_of(request), place, respond, once=once_of(request)
            )
        )

    async def list_deliveries(self, request: ApiRequest) -> Reply:
        """GET /deliveries: newest first, by state, endpoint or event. State `failed` is the dead list."""
        values = read_query(request.query, ("limit", "cursor", "state", "endpoint", "event"))
        limit = read_limit(values)
        state = read_word(values, "state", list(DeliveryState))
        account_id = request.account.id
        async with self._core.database.connection() as connection:
            found = await deliveries.list_deliveries(
                connection,
                account_id,
                before=read_before(values, account_id),
                state=state,
                endpoint_id=read_uuid(values, "endpoint"),
                event_id=_event(values),
                limit=limit + 1,
            )
        return page_by_id(found, render.delivery, limit=limit, account_id=account_id, key=lambda it: it.id)

    async def get_delivery(self, request: ApiRequest) -> Reply:
        """GET /deliveries/{id}: every try, and why."""
        async with self._core.database.connection() as connection:
            found = await deliveries.find_delivery(connection, request.account.id, id_of(request))
        if found is None:
            raise NotFoundError
        return ok(render.delivery_detail(found))

    async def _check_url(self, url: str, *, is_test: bool) -> None:
        if not self._policy.allows_scheme(url, is_test=is_test):
            raise InvalidError("url", "Must begin with https://; only test accounts may use http://.")
        if not await self._policy.allows_host(url):
            raise InvalidError("url", "Must not lead into a private or local network.")

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        one, all_ = "/webhooks/{webhook_id}", "/webhooks"
        return (
            Route(
                method="POST",
                path=all_,
                handler=self.create,
                operation_id="createWebhook",
                summary="Add an endpoint, in any dialect",
                tag="webhooks",
                body="required",
                once="optional",
            ),
            Route(
                method="GET",
                path=all_,
                handler=self.list_all,
                operation_id="listWebhooks",
                summary="List the endpoints of all dialects",
                tag="webhooks",
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get,
                operation_id="getWebhook",
                summary="Read an endpoint",
                tag="webhooks",
            ),
            Route(
                method="PUT",
                path=one,
                handler=self.change,
                operation_id="updateWebhook",
                summary="Change an endpoint",
                tag="webhooks",
                body="required",
                once="optional",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete,
                operation_id="deleteWebhook",
                summary="Remove an endpoint",
                tag="webhooks",
                body="optional",
                once="optional",
            ),
            Route(
                method="POST",
                path=f"{one}/rotate",
                handler=self.rotate,
                operation_id="rotateWebhook",
                summary="Give an endpoint a new secret",
                tag="webhooks",
                body="optional",
                once="optional",
            ),
            Route(
                method="POST",
                path=f"{one}/test",
                handler=self.test,
                operation_id="testWebhook",
                summary="Send an invented event",
                tag="webhooks",
                body="optional",
                once="optional",
            ),
            Route(
                method="GET",
                path="/deliveries",
                handler=self.list_deliveries,
                operation_id="listDeliveries",
                summary="List deliveries, and the dead ones",
                tag="webhooks",
            ),
            Route(
                method="GET",
                path="/deliveries/{delivery_id}",
                handler=self.get_delivery,
                operation_id="getDelivery",
                summary="See every try of a delivery, and why it failed",
                tag="webhooks",
            ),
        )


def _event(values: dict[str, str]) -> UUID | None:
    text = values.get("event")
    if text is None:
        return None
    number = render.event_number(text)
    if number is None:
        raise InvalidQueryError("event", "Must look like evt_00031NFOhRbPW70ofLxC7oUb.")
    return UUID(int=number)
