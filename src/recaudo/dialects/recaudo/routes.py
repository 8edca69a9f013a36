"""Operations of our own additions: events, endpoints, gateways, receipts, refunds, withholdings, tools of tests."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from recaudo.dialects.recaudo.attempts import Attempts
from recaudo.dialects.recaudo.comparing import Comparing
from recaudo.dialects.recaudo.errors import InvalidError
from recaudo.dialects.recaudo.feed import Feed
from recaudo.dialects.recaudo.gateways import Gateways
from recaudo.dialects.recaudo.handling import id_of, ok
from recaudo.dialects.recaudo.imports import IMPORT_BYTES_MAX, Imports
from recaudo.dialects.recaudo.parse import parse_clock, parse_sandbox_payment
from recaudo.dialects.recaudo.receipts import Receipts
from recaudo.dialects.recaudo.refunds import Refunds
from recaudo.dialects.recaudo.telling import Telling
from recaudo.dialects.recaudo.withholdings import Withholdings
from recaudo.domain.model import Account, payable_now
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.auth import Authenticator
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store.views import view_collection
from recaudo.usecases import attempts, merchants
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.core import Core, NotFoundError


class Operations:
    """Handlers of the routes, over one core."""

    def __init__(
        self,
        core: Core,
        authenticator: Authenticator,
        policy: UrlPolicy,
        stop: asyncio.Event,
        *,
        import_bytes_max: int = IMPORT_BYTES_MAX,
    ) -> None:
        self._core = core
        self._authenticator = authenticator
        self.feed = Feed(core, stop)
        self.telling = Telling(core, policy)
        self.gateways = Gateways(core)
        self.refunds = Refunds(core)
        self.comparing = Comparing(core)
        self.receipts = Receipts(core)
        self.attempts = Attempts(core, policy)
        self.withholdings = Withholdings(core)
        self.imports = Imports(core, bytes_max=import_bytes_max)

    async def get_clock(self, request: ApiRequest) -> Reply:
        """GET /clock: the account's present."""
        return ok(_clock(self._core.now(request.account)))

    async def move_clock(self, request: ApiRequest) -> Reply:
        """PUT /clock: move a test account's clock forward."""
        wanted = parse_clock(request.body or {}, self._core.now(request.account))
        now = await merchants.move_clock(self._core, request.account, wanted)
        self._authenticator.forget(request.account.id)
        return ok(_clock(now))

    async def pay_in_sandbox(self, request: ApiRequest) -> Reply:
        """POST /sandbox/payments/{id}: what a payer would do on the page, for test accounts."""
        account, collection_id = request.account, id_of(request)
        if not account.is_test:
            raise merchants.NotATestAccountError
        command = parse_sandbox_payment(request.body or {}, account.currency)
        amount_minor = command.amount_minor
        if amount_minor is None:
            amount_minor = await self._owed_minor(account, collection_id)
        attempt = await attempts.start(
            self._core,
            account,
            StartAttempt(
                collection_id=collection_id,
                amount_minor=amount_minor,
                gateway="sandbox",
                method=command.method,
                once_key=request.once_key or secrets.token_urlsafe(18),
                again=command.again,
                gateway_data={"outcome": command.outcome},
            ),
        )
        return ok({"payment_intent_id": str(attempt.id), "payment_id": str(collection_id), "state": attempt.state})

    async def _owed_minor(self, account: Account, collection_id: UUID) -> int:
        async with self._core.database.connection() as connection:
            view = await view_collection(connection, account.id, collection_id)
        if view is None:
            raise NotFoundError
        allowed = payable_now(view.invoice, view.collection)
        if allowed is None:
            raise InvalidError("amount", "The payment has an open amount: say how much to pay.")
        return allowed.balance_minor


def routes(operations: Operations) -> Sequence[Route]:
    """Every operation."""
    o = operations
    return (
        *o.feed.routes(),
        *o.telling.routes(),
        *o.gateways.routes(),
        *o.refunds.routes(),
        *o.comparing.routes(),
        *o.receipts.routes(),
        *o.withholdings.routes(),
        *o.attempts.routes(),
        *o.imports.routes(),
        Route(
            method="GET",
            path="/clock",
            handler=o.get_clock,
            operation_id="getClock",
            summary="Read the account's clock",
            tag="clock",
        ),
        Route(
            method="PUT",
            path="/clock",
            handler=o.move_clock,
            operation_id="moveClock",
            summary="Move a test account's clock forward",
            tag="clock",
            body="required",
        ),
        Route(
            method="POST",
            path="/sandbox/payments/{payment_id}",
            handler=o.pay_in_sandbox,
            operation_id="payInSandbox",
            summary="Pay a test payment without its page",
            tag="sandbox",
            body="optional",
            once="optional",
        ),
    )


def _clock(now: datetime) -> dict[str, Any]:
    return {"now": now.isoformat(timespec="microseconds")[:26] + "Z"}
