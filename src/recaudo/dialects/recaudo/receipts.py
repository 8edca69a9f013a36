"""Receipts: money that arrived and money that went back, and undoing what was registered in error."""

from collections.abc import Mapping, Sequence

import msgspec

from recaudo.dialects.recaudo import render
from recaudo.dialects.recaudo.cursors import read_before
from recaudo.dialects.recaudo.errors import error_reply
from recaudo.dialects.recaudo.handling import id_of, ok, page_by_id
from recaudo.dialects.recaudo.keys import once_of, reply
from recaudo.dialects.recaudo.parse import parse_reason
from recaudo.dialects.recaudo.queries import read_limit, read_query, read_uuid
from recaudo.domain.changes import Change
from recaudo.domain.undoing import NotUndoableError, WhyNot
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.receipts import ReceiptView, list_receipts, view_receipt
from recaudo.usecases import receipts
from recaudo.usecases.core import Core, NotFoundError, replay_if_known
from recaudo.usecases.receipts import Undoing

WHY_NOT: Mapping[WhyNot, str] = {
    WhyNot.OF_GATEWAY: "The money came through a gateway: it can be refunded, not undone.",
    WhyNot.IS_REVERSAL: "This is money that went back already.",
    WhyNot.REVERSED: "It was undone before.",
    WhyNot.CREDIT_USED: "A part of it became customer credit, which was used since.",
}


def refused(error: NotUndoableError) -> Reply:
    """The answer to a receipt that cannot be undone."""
    return error_reply(409, error.why.value, WHY_NOT[error.why])


class Receipts:
    """Operations on receipts."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list_all(self, request: ApiRequest) -> Reply:
        """GET /receipts: newest first, by invoice or customer."""
        account_id = request.account.id
        values = read_query(request.query, ("limit", "cursor", "invoice", "customer"))
        limit = read_limit(values)
        async with self._core.database.connection() as connection:
            found = await list_receipts(
                connection,
                account_id,
                before=read_before(values, account_id),
                invoice_id=read_uuid(values, "invoice"),
                customer_id=read_uuid(values, "customer"),
                limit=limit + 1,
            )
        return page_by_id(found, render.receipt, limit=limit, account_id=account_id, key=lambda it: it.receipt.id)

    async def get(self, request: ApiRequest) -> Reply:
        """GET /receipts/{id}."""
        return ok(render.receipt(await self._find(request)))

    async def undo(self, request: ApiRequest) -> Reply:
        """POST /receipts/{id}/undo: give a registered sum back, and ask for the debt again."""
        account, once = request.account, once_of(request)
        known = await replay_if_known(self._core, account, once)
        if known is not None:
            return reply(known)
        found = await self._find(request)
        command = Undoing(receipt_id=found.receipt.id, reason=parse_reason(request.body or {}))
        return reply(await receipts.undo(self._core, account, command, _undone, once=once))

    async def _find(self, request: ApiRequest) -> ReceiptView:
        async with self._core.database.connection() as connection:
            found = await view_receipt(connection, request.account.id, id_of(request))
        if found is None:
            raise NotFoundError
        return found

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        one = "/receipts/{receipt_id}"
        return (
            Route(
                method="GET",
                path="/receipts",
                handler=self.list_all,
                operation_id="listReceipts",
                summary="List receipts, newest first",
                tag="receipts",
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get,
                operation_id="getReceipt",
                summary="Read a receipt",
                tag="receipts",
            ),
            Route(
                method="POST",
                path=f"{one}/undo",
                handler=self.undo,
                operation_id="undoReceipt",
                summary="Undo a sum that was registered in error",
                tag="receipts",
                body="required",
                once="optional",
            ),
        )


def _undone(changes: Sequence[Change]) -> tuple[int, bytes]:
    """Every negative receipt, in the order of the invoices."""
    views = [ReceiptView(receipt=r, customer_id=c.invoice.customer_id) for c in changes for r in c.receipts]
    return 200, msgspec.json.encode({"receipts": [render.receipt(it) for it in views]})
