"""Paying on a page of the merchant's own: the ways to pay, starting an attempt, and what became of it."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from recaudo.dialects.recaudo import parse_attempts, render_attempts
from recaudo.dialects.recaudo.errors import InvalidFieldsError
from recaudo.dialects.recaudo.handling import id_of, ok
from recaudo.dialects.recaudo.keys import once_of_personal, reply
from recaudo.dialects.recaudo.parse import OUTCOMES
from recaudo.dialects.recaudo.parse_attempts import Wanted
from recaudo.dialects.recaudo.queries import read_query
from recaudo.domain.model import Account
from recaudo.domain.states import RefusedError
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.http import Reply
from recaudo.edge.limits import RateLimiter
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.edge.routing import ApiRequest, Route
from recaudo.usecases import asking, gateways, starting
from recaudo.usecases.attempts import GatewayNotAllowedError, StartAttempt
from recaudo.usecases.core import Core
from recaudo.usecases.gateways import Offer
from recaudo.usecases.starting import Begun, Payable

# Questions about one attempt: the schedule asks anyway.
ASK_BURST: Final = 5.0
ASK_PER_SECOND: Final = 0.1
# When to come again while the first request with a key is at work, and when a gateway tells nothing.
STARTED_AGAIN_S: Final = 5
SILENT_S: Final = 30


class GatewaySilentError(Exception):
    """The gateway does not tell its banks or its terms now, so nothing can be begun there."""


class Attempts:
    """Operations on attempts."""

    def __init__(self, core: Core, policy: UrlPolicy) -> None:
        self._core = core
        self._policy = policy
        self._limiter = RateLimiter()

    async def list_methods(self, request: ApiRequest) -> Reply:
        """GET /collections/{id}/methods: what a payer may choose from now."""
        values = read_query(request.query, ("amount_minor",))
        amount_minor = parse_attempts.read_amount(values)
        found = await starting.payable(self._core, request.account, id_of(request))
        offers = found.fitting(amount_minor or found.only_minor)
        # Together, as what is not remembered is asked of the vendors.
        rows = await asyncio.gather(*(_told(offer, request.account) for offer in offers))
        return ok(render_attempts.payable(found, rows))

    async def start(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/attempts."""
        account, collection_id, body = request.account, id_of(request), request.body or {}
        parse_attempts.refuse_card_numbers(body, request.once_key or "")
        once = once_of_personal(request, self._core.vault)
        assert once is not None, "the route requires a key"
        known = await starting.resume(self._core, account, collection_id, _started, once=once)
        if known is not None:
            return reply(known)
        wanted = parse_attempts.parse_start(body, self._policy, is_test=account.is_test)
        found = await starting.payable(self._core, account, collection_id)
        if found.refusal is not None:
            raise RefusedError(found.refusal)
        amount_minor = _amount_minor(wanted, found)
        offer = _chosen(wanted, found, amount_minor)
        told = await asking.look_up(offer, parse_attempts.asks_of(wanted, offer))
        if told is None:
            raise GatewaySilentError
        once_key = starting.once_key_of(self._core, account, once)
        command = StartAttempt(
            collection_id=collection_id,
            amount_minor=amount_minor,
            gateway=offer.gateway.name,
            method=offer.method.id,
            once_key=once_key,
            again=wanted.again,
            gateway_data={**told.accepted, **_outcome(offer, found)},
            payer=parse_attempts.read_payer(wanted, offer, told, is_test=account.is_test),
            return_url=wanted.return_url or f"{request.base_url}/payment/{collection_id}/return/{once_key}",
        )
        return reply(await starting.start(self._core, account, command, _started, once=once))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /attempts/{id}."""
        return ok(render_attempts.attempt(await starting.find(self._core, request.account, id_of(request))))

    async def ask(self, request: ApiRequest) -> Reply:
        """POST /attempts/{id}/ask: ask the gateway at once, unless there is nothing left to learn."""
        found = await starting.find(self._core, request.account, id_of(request))
        if not starting.is_decided(found.attempt):
            self._limit(request.account, found)
            found = await starting.ask(self._core, request.account, found.attempt.id)
        return ok(render_attempts.attempt(found))

    def _limit(self, account: Account, found: Begun) -> None:
        key = account.id, found.attempt.id
        wait_s = self._limiter.wait_s(key, per_second=ASK_PER_SECOND, burst=ASK_BURST, monotonic_s=time.monotonic())
        if wait_s:
            raise Problem(ProblemKind.TOO_MANY_REQUESTS, headers=[("Retry-After", str(wait_s))])

    def routes(self) -> Sequence[Route]:
        """The routes of these operations."""
        collection, one = "/collections/{collection_id}", "/attempts/{attempt_id}"
        return (
            Route(
                method="GET",
                path=f"{collection}/methods",
                handler=self.list_methods,
                operation_id="listMethods",
                summary="List the ways to pay",
                tag="attempts",
            ),
            Route(
                method="POST",
                path=f"{collection}/attempts",
                handler=self.start,
                operation_id="startAttempt",
                summary="Start to pay",
                tag="attempts",
                body="required",
                once="required",
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get,
                operation_id="getAttempt",
                summary="Read an attempt",
                tag="attempts",
            ),
            Route(
                method="POST",
                path=f"{one}/ask",
                handler=self.ask,
                operation_id="askAttempt",
                summary="Ask the gateway what became of an attempt",
                tag="attempts",
                body="optional",
            ),
        )


def _started(it: Begun) -> tuple[int, bytes]:
    return 201, msgspec.json.encode(render_attempts.attempt(it))


async def _told(offer: Offer, account: Account) -> dict[str, Any]:
    by_token = offer.method.by_token
    known = await asking.look_up(offer, offer.method.asks)
    known_by_token = None if by_token is None else await asking.look_up(offer, by_token.asks)
    return render_attempts.method(offer, known, known_by_token, account)


def _outcome(offer: Offer, found: Payable) -> dict[str, str]:
    """What the sandbox is to do: what the invoice says, as on our page."""
    outcome = found.view.invoice.metadata.get("sandbox_outcome")
    is_sandbox = not offer.gateway.needs_configuration and not offer.gateway.for_live_accounts
    return {"outcome": outcome} if is_sandbox and outcome in OUTCOMES else {}


def _amount_minor(wanted: Wanted, found: Payable) -> int:
    if wanted.amount_minor is not None:
        return wanted.amount_minor
    if found.allowed is None:
        raise InvalidFieldsError({"amount_minor": "Is required: the amount is open, so say how much."})
    return found.allowed.balance_minor


def _chosen(wanted: Wanted, found: Payable, amount_minor: int) -> Offer:
    """The way to pay that was asked for: of the gateway that was named, or of the first that offers it."""
    named = wanted.gateway
    offers = found.offers if named else gateways.real(found.offers)
    offers = [o for o in offers if o.method.id == wanted.method and named in {None, o.gateway.name}]
    if not offers:
        raise GatewayNotAllowedError
    fitting = [o for o in offers if gateways.takes(o, amount_minor)]
    if not fitting:
        limits = offers[0].method.min_minor, offers[0].method.max_minor
        low, high = ("any" if limit is None else str(limit) for limit in limits)
        raise InvalidFieldsError({"amount_minor": f"This method takes amounts from {low} to {high}, in minor units."})
    return fitting[0]
