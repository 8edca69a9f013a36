"""What payers withhold, and the certificates that prove it."""

from collections.abc import Sequence
from functools import partial

import msgspec

from recaudo.dialects.recaudo import render
from recaudo.dialects.recaudo.cursors import pair_cursor, read_pair_cursor
from recaudo.dialects.recaudo.handling import id_of, page_by
from recaudo.dialects.recaudo.keys import once_of, reply
from recaudo.dialects.recaudo.parse import parse_certificate
from recaudo.dialects.recaudo.queries import read_flag, read_limit, read_query, read_uuid, read_word
from recaudo.domain.retaining import RetentionKind
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.withholdings import Withholding, list_withholdings
from recaudo.usecases.core import Core
from recaudo.usecases.withholdings import certify

KINDS = tuple(kind.value for kind in RetentionKind)


class Withholdings:
    """Operations on withholdings and their certificates."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list_all(self, request: ApiRequest) -> Reply:
        """GET /withholdings: those of the newest invoices first."""
        account_id = request.account.id
        values = read_query(request.query, ("limit", "cursor", "invoice", "kind", "certified"))
        limit = read_limit(values)
        cursor = values.get("cursor")
        async with self._core.database.connection() as connection:
            found = await list_withholdings(
                connection,
                account_id,
                after=None if not cursor else read_pair_cursor(cursor, account_id),
                invoice_id=read_uuid(values, "invoice"),
                kind=read_word(values, "kind", KINDS),
                certified=read_flag(values, "certified"),
                limit=limit + 1,
            )
        return page_by(
            found,
            render.withholding,
            limit=limit,
            cursor=lambda last: pair_cursor(account_id, (last.invoice_id, last.retention_id)),
        )

    async def put(self, request: ApiRequest) -> Reply:
        """PUT /invoices/{id}/withholdings/{id}/certificate."""
        key = id_of(request), id_of(request, 1)
        certificate = partial(parse_certificate, request.body or {})
        return reply(await certify(self._core, request.account, key, certificate, _shown, once=once_of(request)))

    async def delete(self, request: ApiRequest) -> Reply:
        """DELETE /invoices/{id}/withholdings/{id}/certificate."""
        key = id_of(request), id_of(request, 1)
        return reply(await certify(self._core, request.account, key, None, _shown, once=once_of(request)))

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        certificate = "/invoices/{withheld_invoice_id}/withholdings/{withheld_retention_id}/certificate"
        return (
            Route(
                method="GET",
                path="/withholdings",
                handler=self.list_all,
                operation_id="listWithholdings",
                summary="List what payers withhold",
                tag="withholdings",
            ),
            Route(
                method="PUT",
                path=certificate,
                handler=self.put,
                operation_id="putCertificate",
                summary="Note the certificate of what was withheld",
                tag="withholdings",
                body="required",
                once="optional",
            ),
            Route(
                method="DELETE",
                path=certificate,
                handler=self.delete,
                operation_id="deleteCertificate",
                summary="Take a certificate away",
                tag="withholdings",
                body="optional",
                once="optional",
            ),
        )


def _shown(it: Withholding) -> tuple[int, bytes]:
    return 200, msgspec.json.encode(render.withholding(it))
