"""Giving money back, and asking for it again."""

from collections.abc import Sequence

import msgspec

from recaudo.dialects.recaudo import render, render_money
from recaudo.dialects.recaudo.handling import id_of, ok
from recaudo.dialects.recaudo.keys import once_of, reply
from recaudo.dialects.recaudo.parse_money import parse_refund, parse_settlement
from recaudo.domain.changes import Change
from recaudo.domain.model import Refund
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.usecases import refunds
from recaudo.usecases.core import Core


class Refunds:
    """Operations on refunds."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def start(self, request: ApiRequest) -> Reply:
        """POST /receipts/{id}/refund: noted now; the worker gives it to the gateway."""
        command = parse_refund(request.body or {}, id_of(request))

        def respond(made: Refund) -> tuple[int, bytes]:
            return 201, msgspec.json.encode(render_money.refund(made))

        return reply(await refunds.start(self._core, request.account, command, respond, once=once_of(request)))

    async def list_of_receipt(self, request: ApiRequest) -> Reply:
        """GET /receipts/{id}/refunds: oldest first."""
        found = await refunds.list_of_receipt(self._core, request.account, id_of(request))
        rows = [render_money.refund(it) for it in found]
        return ok(render.page(rows, has_more=False, next_cursor=None))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /refunds/{id}."""
        return ok(render_money.refund(await refunds.find(self._core, request.account, id_of(request))))

    async def settle(self, request: ApiRequest) -> Reply:
        """POST /refunds/{id}/settle: what became of one that the gateway cannot tell."""
        outcome, evidence = parse_settlement(request.body or {})

        def respond(ended: Refund) -> tuple[int, bytes]:
            return 200, msgspec.json.encode(render_money.refund(ended))

        account, once = request.account, once_of(request)
        return reply(
            await refunds.settle(self._core, account, id_of(request), outcome, evidence, respond=respond, once=once)
        )

    async def reopen(self, request: ApiRequest) -> Reply:
        """POST /invoices/{id}/reopen: ask again for what was paid and went back."""

        def respond(change: Change) -> tuple[int, bytes]:
            return 200, msgspec.json.encode(render_money.reopened(change))

        return reply(await refunds.reopen(self._core, request.account, id_of(request), respond, once=once_of(request)))

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        receipt = "/receipts/{receipt_id}"
        return (
            Route(
                method="POST",
                path=f"{receipt}/refund",
                handler=self.start,
                operation_id="startRefund",
                summary="Give money of a receipt back",
                tag="refunds",
                body="required",
                once="optional",
            ),
            Route(
                method="GET",
                path=f"{receipt}/refunds",
                handler=self.list_of_receipt,
                operation_id="listRefundsOfReceipt",
                summary="List the refunds of a receipt",
                tag="refunds",
            ),
            Route(
                method="GET",
                path="/refunds/{refund_id}",
                handler=self.get,
                operation_id="getRefund",
                summary="Read a refund",
                tag="refunds",
            ),
            Route(
                method="POST",
                path="/refunds/{refund_id}/settle",
                handler=self.settle,
                operation_id="settleRefund",
                summary="Say what became of a refund that the gateway cannot tell",
                tag="refunds",
                body="required",
                once="optional",
            ),
            Route(
                method="POST",
                path="/invoices/{invoice_id}/reopen",
                handler=self.reopen,
                operation_id="reopenInvoice",
                summary="Ask again for what went back",
                tag="refunds",
                body="optional",
                once="optional",
            ),
        )
