"""Money that needs a person: transactions in suspense, and what comparisons with gateways found."""

from collections.abc import Sequence

from recaudo.dialects.recaudo import render_money
from recaudo.dialects.recaudo.cursors import read_before
from recaudo.dialects.recaudo.handling import id_of, ok, page_by_id
from recaudo.dialects.recaudo.parse_money import parse_resolution
from recaudo.dialects.recaudo.queries import read_flag, read_limit, read_query
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.gateway_notices import list_suspense
from recaudo.store.gateways import list_reconciliations
from recaudo.usecases import suspense
from recaudo.usecases.core import Core


class Comparing:
    """Operations on suspense and comparisons."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list_suspense(self, request: ApiRequest) -> Reply:
        """GET /suspense: newest first; with `open=true` only what waits."""
        account_id = request.account.id
        values = read_query(request.query, ("limit", "cursor", "open"))
        limit, only_open = read_limit(values), read_flag(values, "open") or False
        before = read_before(values, account_id)
        async with self._core.database.connection() as connection:
            found = await list_suspense(connection, account_id, before=before, only_open=only_open, limit=limit + 1)
        return page_by_id(found, render_money.suspense, limit=limit, account_id=account_id, key=lambda it: it.id)

    async def resolve(self, request: ApiRequest) -> Reply:
        """POST /suspense/{id}/resolve: note what became of it. Doing it again corrects the text."""
        resolution = parse_resolution(request.body or {})
        return ok(
            render_money.suspense(await suspense.resolve(self._core, request.account, id_of(request), resolution))
        )

    async def list_reconciliations(self, request: ApiRequest) -> Reply:
        """GET /reconciliations: newest first, each with what it found."""
        account_id = request.account.id
        values = read_query(request.query, ("limit", "cursor"))
        limit, before = read_limit(values), read_before(values, account_id)
        async with self._core.database.connection() as connection:
            found = await list_reconciliations(connection, account_id, before=before, limit=limit + 1)
        return page_by_id(found, render_money.reconciliation, limit=limit, account_id=account_id, key=lambda it: it.id)

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        return (
            Route(
                method="GET",
                path="/suspense",
                handler=self.list_suspense,
                operation_id="listSuspense",
                summary="List transactions that could not be booked",
                tag="reconciling",
            ),
            Route(
                method="POST",
                path="/suspense/{suspense_id}/resolve",
                handler=self.resolve,
                operation_id="resolveSuspense",
                summary="Say what became of a transaction in suspense",
                tag="reconciling",
                body="required",
            ),
            Route(
                method="GET",
                path="/reconciliations",
                handler=self.list_reconciliations,
                operation_id="listReconciliations",
                summary="List the comparisons with gateways",
                tag="reconciling",
            ),
        )
