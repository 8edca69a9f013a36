"""Paying: an attempt is saved, then its gateway is called, then what the gateway said is applied.

Three steps, and no transaction is open in the middle one. A crash after any of them leaves a row that the worker
takes up again; nothing is charged twice because nothing is started twice. Only when nothing can have reached a gateway
is the next one tried, with an attempt of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain import attempting
from recaudo.domain.answers import Answer, NotSent, Reported, Unknown
from recaudo.domain.model import Account, Attempt
from recaudo.domain.references import gateway_reference
from recaudo.domain.states import AttemptState, Refusal, RefusedError
from recaudo.store import cases, door, gateway_notices
from recaudo.store.database import Connection
from recaudo.usecases import gateways
from recaudo.usecases.core import Core, NotFoundError, repeated
from recaudo.usecases.gateways import Offer
from recaudo.usecases.ports import Configured, Gateway, GatewayContext
from recaudo.usecases.suspense import strange_facts

# How long to wait before each further question to a gateway (gateways spec 1.9), then daily until it is final.
ASK_AFTER_S = (5, 10, 30, 60, 120, 300, 600, 1200, 2400, *([3600] * 24), *([21_600] * 24))
ASK_DAILY_S = 86_400
JITTER = 0.1

# A gateway that cannot be reached is passed by for the next that offers the same method, this many times.
FAILOVERS_MAX = 2

# Nobody tries so often in earnest; each costs questions to the gateway for days.
UNDECIDED_MAX = 20


class StartAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """Pay `amount_minor` of a collection with a gateway's method. `once_key` comes from the page and is used once.

    `payer` is what the payer typed for this attempt; it is handed to the gateway and kept nowhere. `return_url` is
    where the gateway sends the browser back to.
    """

    collection_id: UUID
    amount_minor: int
    gateway: str
    method: str
    once_key: str
    again: bool = False  # the payer knows that an earlier try is not decided yet
    gateway_data: dict[str, Any] = {}
    payer: Mapping[str, str] = {}
    return_url: str = ""


class GatewayNotAllowedError(Exception):
    """The account cannot use this gateway or method."""


async def start(core: Core, account: Account, command: StartAttempt) -> Attempt:
    """Try to pay. Returns the attempt as it stands after the gateway's first answer.

    The same `once_key` again returns the attempt it made. Raises NotFoundError, GatewayNotAllowedError and
    RefusedError.
    """
    attempt, _ = await start_once(core, account, command)
    return attempt


async def start_once(core: Core, account: Account, command: StartAttempt) -> tuple[Attempt, bool]:
    """The same, and whether this call made the attempt: somebody else's may still wait for its gateway's answer."""
    attempt, is_new, others = await _prepare(core, account, command)
    if not is_new:
        return attempt, False
    attempt, answer = await _begin(core, account, attempt, command)
    for number, offer in enumerate(others[:FAILOVERS_MAX], start=2):
        if not isinstance(answer, NotSent):
            break
        key = f"{command.once_key}.{number}"
        # Another gateway, another reference: the attempt that failed stays as the record of why.
        other = msgspec.structs.replace(command, gateway=offer.gateway.name, once_key=key, again=True)
        attempt, is_new, _ = await _prepare(core, account, other)
        if not is_new:
            break
        attempt, answer = await _begin(core, account, attempt, other)
    return attempt, True


async def newest_of_key(connection: Connection, account_id: UUID, collection_id: UUID, once_key: str) -> Attempt | None:
    """The attempt that a one-time key made: the last one, where a gateway was passed by for the next."""
    found = None
    for key in (once_key, *(f"{once_key}.{number}" for number in range(2, FAILOVERS_MAX + 2))):
        known = await cases.find_attempt_by_once_key(connection, account_id, collection_id, key)
        if known is None:
            break
        found = known
    return found


async def ask(core: Core, account: Account, attempt_id: UUID, *, extra: bool = False) -> Attempt:
    """Ask the gateway what became of an attempt. Raises NotFoundError.

    `extra`: a question outside the schedule, because a payer came back or a notice arrived; the schedule stays.
    """
    async with core.database.connection() as connection:
        attempt = await cases.find_attempt(connection, account.id, attempt_id)
    if attempt is None:
        raise NotFoundError
    context = await context_of(core, account, attempt)
    gateway = core.gateways[attempt.gateway]
    if gateway.needs_configuration and context.configured is None:
        answer: Answer = Unknown(reason="the account no longer has this gateway")
    else:
        answer = await _ask_unless_resting(core, gateway, attempt, context, extra=extra)
    return await conclude(core, account, attempt, answer, extra=extra)


async def _ask_unless_resting(
    core: Core, gateway: Gateway, attempt: Attempt, context: GatewayContext, *, extra: bool
) -> Answer:
    """Ask, but leave a gateway alone that does not answer; a person who waits is worth another question."""
    key = "ask", attempt.account_id, gateway.name
    # On the account's clock, as the schedule of questions is: a test account that moves it moves the rest as well.
    if not extra and core.rests.is_resting(key, core.now(context.account)):
        return Unknown(reason="it did not answer several times, and is left alone for a while")
    answer = await gateway.ask(attempt, context)
    core.rests.note(key, core.now(context.account), answered=not isinstance(answer, Unknown))
    return answer


async def conclude(core: Core, account: Account, about: Attempt, answer: Answer, *, extra: bool = False) -> Attempt:
    """Apply an answer to the attempt as it is now, under the invoice's lock."""
    return await repeated(partial(_conclude_once, core, account, about, answer, extra=extra))


def next_ask_after(asked: int, now: datetime, fraction: float = 0.0) -> datetime:
    """When to ask again after so many questions; `fraction` of 0 to 1 spreads them: none comes late."""
    wait_s = ASK_AFTER_S[asked] if asked < len(ASK_AFTER_S) else ASK_DAILY_S
    return now + timedelta(seconds=wait_s * (1 - JITTER * fraction))


async def _prepare(core: Core, account: Account, command: StartAttempt) -> tuple[Attempt, bool, Sequence[Offer]]:
    """Save the attempt before anything leaves the house; says whether this call made it, and who else offers it."""
    async with core.database.connection() as connection:
        collection = await cases.find_collection(connection, account.id, command.collection_id)
    if collection is None:
        raise NotFoundError
    return await repeated(partial(_insert, core, account, command, collection.invoice_id))


async def _insert(
    core: Core, account: Account, command: StartAttempt, invoice_id: UUID
) -> tuple[Attempt, bool, Sequence[Offer]]:
    async with core.locked(account, invoice_id) as (connection, invoice):
        assert invoice is not None, "invoices are never deleted"
        # Looked for under the lock: a double click must find the attempt of the first, not what it left to pay.
        known = await cases.find_attempt_by_once_key(connection, account.id, command.collection_id, command.once_key)
        if known is not None:
            return known, False, ()
        if await cases.undecided_attempts(connection, account.id, command.collection_id) >= UNDECIDED_MAX:
            raise RefusedError(Refusal.ATTEMPT_IN_PROGRESS)
        offers = await gateways.all_offers(core, account, connection)
        fitting = gateways.fitting(offers, invoice.allows, invoice.currency, command.amount_minor)
        chosen = [o for o in fitting if o.method.id == command.method]
        if not any(o.gateway.name == command.gateway for o in chosen):
            raise GatewayNotAllowedError(f"{command.gateway}/{command.method}")
        case = await cases.load_case(connection, invoice, also=command.collection_id)
        moment = core.moment(account)
        attempt_id = moment.new_id()
        attempt = Attempt(
            account_id=account.id,
            id=attempt_id,
            invoice_id=invoice.id,
            collection_id=command.collection_id,
            state=AttemptState.CREATED,
            amount_minor=command.amount_minor,
            currency=invoice.currency,
            gateway=command.gateway,
            reference=gateway_reference(attempt_id),
            once_key=command.once_key,
            method_type=command.method,
            gateway_data=command.gateway_data,
            ask_at=moment.now + timedelta(seconds=ASK_AFTER_S[0]),
            created_at=moment.now,
            updated_at=moment.now,
        )
        bounds = (account.amount_min_minor, account.amount_max_minor)
        change = attempting.start(case, attempt, moment, open_bounds_minor=bounds, again=command.again)
        await door.save(connection, change, clock_shift=account.clock_shift)
    return attempt, True, _others(chosen, command)


def _others(chosen: Sequence[Offer], command: StartAttempt) -> list[Offer]:
    """The merchant's other gateways that offer the method and ask for nothing that the payer was not asked.

    The sandbox stands in for nobody: a payment that seems to succeed there has moved no money.
    """
    if "card_token" in command.payer:
        # No other vendor knows the card that this one made a token of.
        return []
    own = next(o for o in chosen if o.gateway.name == command.gateway)
    asked = set(own.method.asks)
    others = [o for o in chosen if o is not own and o.configured is not None]
    # Banks have another code at each gateway.
    return [o for o in others if set(o.method.asks) <= asked and "bank" not in o.method.asks]


async def _begin(core: Core, account: Account, attempt: Attempt, command: StartAttempt) -> tuple[Attempt, Answer]:
    context = await context_of(core, account, attempt, payer=command.payer, return_url=command.return_url)
    # Apart from the worker's questions: one payment that the gateway never explains must not turn payers away.
    key = "start", account.id, attempt.gateway
    if core.rests.is_resting(key, core.now(account)):
        # The payer can choose another way at once, instead of waiting for a silence that is known already.
        answer: Answer = NotSent(reason="it did not answer several times, and is left alone for a while")
        return await conclude(core, account, attempt, answer), answer
    answer = await core.gateways[attempt.gateway].start(attempt, context)
    core.rests.note(key, core.now(account), answered=not isinstance(answer, Unknown | NotSent))
    if context.configured is not None:
        problem = answer.reason if isinstance(answer, NotSent) else None
        await gateways.note_verdict(core, context.configured, problem)
    return await conclude(core, account, attempt, answer), answer


async def context_of(
    core: Core, account: Account, attempt: Attempt, *, payer: Mapping[str, str] | None = None, return_url: str = ""
) -> GatewayContext:
    """What an attempt's gateway may know."""
    async with core.database.connection() as connection:
        invoice = await cases.find_invoice(connection, account.id, attempt.invoice_id)
        collection = await cases.find_collection(connection, account.id, attempt.collection_id)
        assert invoice is not None, "an attempt's invoice is never deleted"
        assert collection is not None, "an attempt's collection is never deleted"
        customer = await cases.listed_customer(connection, invoice)
        configured: Configured | None = await gateways.configured_for(core, account, connection, attempt.gateway)
    return GatewayContext(
        account=account,
        invoice=invoice,
        collection=collection,
        now=core.now(account),
        real_now=core.clock.now(),
        configured=configured,
        customer=customer,
        payer=payer or {},
        return_url=return_url,
    )


async def _conclude_once(core: Core, account: Account, about: Attempt, answer: Answer, *, extra: bool) -> Attempt:
    async with core.locked(account, about.invoice_id) as (connection, invoice):
        assert invoice is not None, "invoices are never deleted"
        before = await cases.find_attempt(connection, account.id, about.id)
        assert before is not None, "attempts are never deleted"
        case = await cases.load_case(connection, invoice, also=before.collection_id)
        moment = core.moment(account)
        if isinstance(answer, Reported):
            answer, strange = strange_facts(account, invoice, before, answer, moment)
            await gateway_notices.keep_suspense(connection, strange)
        attempt = before if extra else msgspec.structs.replace(before, asked=before.asked + 1)
        ask_at = _ask_at(attempt, moment.now, core.chance(), keep=extra)
        booked = await cases.booked_transactions(connection, account.id, invoice.id, attempt.gateway)
        change = attempting.conclude(case, attempt, answer, moment, booked=booked, ask_at=ask_at)
        if change is None:
            waiting = msgspec.structs.replace(attempt, ask_at=attempting.when_to_ask(attempt, moment, ask_at))
            await door.reschedule(connection, waiting, clock_shift=account.clock_shift)
            return waiting
        await door.save(connection, change, clock_shift=account.clock_shift)
    return change.attempts[0]


def _ask_at(attempt: Attempt, now: datetime, fraction: float, *, keep: bool) -> datetime:
    """The next question of the schedule; an extra one leaves the schedule as it was."""
    if keep and attempt.ask_at is not None:
        return attempt.ask_at
    return next_ask_after(attempt.asked, now, fraction)
