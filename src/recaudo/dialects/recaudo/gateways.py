"""The account's own gateways: which there are, setting them up, trying their credentials."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from recaudo.dialects.recaudo import render, render_money
from recaudo.dialects.recaudo.handling import id_of, ok
from recaudo.dialects.recaudo.keys import once_of, once_of_secrets, reply
from recaudo.dialects.recaudo.parse import parse_overlap
from recaudo.dialects.recaudo.parse_money import parse_changed_gateway, parse_new_gateway
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.gateways import MerchantGateway
from recaudo.usecases import gateways
from recaudo.usecases.core import Core


class Gateways:
    """Operations on gateways."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list_kinds(self, request: ApiRequest) -> Reply:
        """GET /gateways/kinds: what can be set up here."""
        known = [self._core.gateways[name] for name in gateways.kinds(self._core)]
        rows = [render_money.kind(it, request.account) for it in known]
        return ok(render.page(rows, has_more=False, next_cursor=None))

    async def create(self, request: ApiRequest) -> Reply:
        """POST /gateways. No call is made to the vendor."""
        command = parse_new_gateway(request.body or {}, self._core.gateways)

        def respond(made: MerchantGateway) -> tuple[int, bytes]:
            return 201, self._encoded(made, request)

        once = once_of_secrets(request)
        return reply(await gateways.create(self._core, request.account, command, respond, once=once))

    async def list_all(self, request: ApiRequest) -> Reply:
        """GET /gateways: in the order in which they are tried."""
        found = await gateways.list_all(self._core, request.account)
        rows = [self._shown(it, request) for it in found]
        return ok(render.page(rows, has_more=False, next_cursor=None))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /gateways/{id}."""
        return ok(self._shown(await gateways.find(self._core, request.account, id_of(request)), request))

    async def change(self, request: ApiRequest) -> Reply:
        """PATCH /gateways/{id}: credentials that are named, position, methods, on or off."""

        def fields(found: MerchantGateway) -> dict[str, object]:
            return parse_changed_gateway(request.body or {}, self._core.gateways.get(found.kind))

        def respond(changed: MerchantGateway) -> tuple[int, bytes]:
            return 200, self._encoded(changed, request)

        once = once_of_secrets(request)
        return reply(await gateways.change(self._core, request.account, id_of(request), fields, respond, once=once))

    async def rotate(self, request: ApiRequest) -> Reply:
        """POST /gateways/{id}/rotate: another address for notices; the old one goes on for `overlap_hours`."""
        account, once = request.account, once_of(request)

        def overlap() -> timedelta:
            return parse_overlap(request.body or {})

        def respond(changed: MerchantGateway) -> tuple[int, bytes]:
            return 200, self._encoded(changed, request)

        return reply(await gateways.rotate(self._core, account, id_of(request), overlap, respond, once=once))

    async def delete(self, request: ApiRequest) -> Reply:
        """DELETE /gateways/{id}: with its credentials and the notices it sent."""
        await gateways.delete(self._core, request.account, id_of(request))
        return Reply(status=204)

    async def verify(self, request: ApiRequest) -> Reply:
        """POST /gateways/{id}/verify: a call that changes nothing."""
        return ok(render_money.verdict(await gateways.verify(self._core, request.account, id_of(request))))

    def _shown(self, it: MerchantGateway, request: ApiRequest) -> dict[str, object]:
        known = self._core.gateways.get(it.kind)
        return render_money.gateway(it, known, request.base_url, is_test=request.account.is_test)

    def _encoded(self, it: MerchantGateway, request: ApiRequest) -> bytes:
        return msgspec.json.encode(self._shown(it, request))

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        one, all_ = "/gateways/{gateway_id}", "/gateways"
        return (
            Route(
                method="GET",
                path="/gateways/kinds",
                handler=self.list_kinds,
                operation_id="listGatewayKinds",
                summary="See which gateways can be set up",
                tag="gateways",
            ),
            Route(
                method="POST",
                path=all_,
                handler=self.create,
                operation_id="createGateway",
                summary="Set up a gateway",
                tag="gateways",
                body="required",
                once="optional",
            ),
            Route(
                method="GET",
                path=all_,
                handler=self.list_all,
                operation_id="listGateways",
                summary="List the account's gateways",
                tag="gateways",
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get,
                operation_id="getGateway",
                summary="Read a gateway",
                tag="gateways",
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.change,
                operation_id="updateGateway",
                summary="Change a gateway",
                tag="gateways",
                body="required",
                once="optional",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete,
                operation_id="deleteGateway",
                summary="Remove a gateway",
                tag="gateways",
            ),
            Route(
                method="POST",
                path=f"{one}/rotate",
                handler=self.rotate,
                operation_id="rotateNotices",
                summary="Give a gateway another address for its notices",
                tag="gateways",
                body="optional",
                once="optional",
            ),
            Route(
                method="POST",
                path=f"{one}/verify",
                handler=self.verify,
                operation_id="verifyGateway",
                summary="Try a gateway's credentials",
                tag="gateways",
                body="optional",
            ),
        )
