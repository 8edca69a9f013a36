"""Paying: an attempt is saved, then its gateway is called, then what the gateway said is applied.

Three steps, and no transaction is open in the middle one. A crash after any of them leaves a row that the worker
takes up again; nothing is charged twice because nothing is started twice.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain import attempting
from recaudo.domain.attempting import Answer
from recaudo.domain.model import Account, Attempt
from recaudo.domain.states import AttemptState
from recaudo.store import cases, door
from recaudo.usecases.core import Core, NotFoundError, repeated
from recaudo.usecases.ports import Gateway, GatewayContext, Method

# How long to wait before each further question to a gateway (gateways spec 1.9), then daily until it is final.
ASK_AFTER_S = (5, 10, 30, 60, 120, 300, 600, 1200, 2400, *([3600] * 24), *([21_600] * 24))
ASK_DAILY_S = 86_400


class StartAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """Pay `amount_minor` of a collection with a gateway's method. `once_key` comes from the page and is used once."""

    collection_id: UUID
    amount_minor: int
    gateway: str
    method: str
    once_key: str
    again: bool = False  # the payer knows that an earlier try is not decided yet
    gateway_data: dict[str, Any] = {}


class GatewayNotAllowedError(Exception):
    """The account cannot use this gateway or method."""


def offered_methods(core: Core, account: Account, allows: dict[str, bool]) -> list[tuple[Gateway, Method]]:
    """The ways to pay for something that allows these kinds, in the order of the account's gateways."""
    return [
        (gateway, method)
        for gateway in core.gateways.values()
        if gateway.for_live_accounts or account.is_test
        for method in gateway.methods(account)
        if allows.get(method.kind, False)
    ]


async def start(core: Core, account: Account, command: StartAttempt) -> Attempt:
    """Try to pay. Returns the attempt as it stands after the gateway's first answer.

    The same `once_key` again returns the attempt it made. Raises NotFoundError, GatewayNotAllowedError and
    RefusedError.
    """
    attempt, is_new = await _prepare(core, account, command)
    if not is_new:
        return attempt
    gateway = core.gateways[attempt.gateway]
    answer = await gateway.start(attempt, await _context(core, account, attempt))
    return await _conclude(core, account, attempt, answer)


async def ask(core: Core, account: Account, attempt_id: UUID) -> Attempt:
    """Ask the gateway what became of an attempt whose outcome is open. Raises NotFoundError."""
    async with core.database.connection() as connection:
        attempt = await cases.find_attempt(connection, account.id, attempt_id)
    if attempt is None:
        raise NotFoundError
    answer = await core.gateways[attempt.gateway].ask(attempt, await _context(core, account, attempt))
    return await _conclude(core, account, attempt, answer)


def next_ask(attempt: Attempt, now: datetime) -> datetime:
    """When to ask again after having asked `attempt.asked` times."""
    waits = ASK_AFTER_S
    return now + timedelta(seconds=waits[attempt.asked] if attempt.asked < len(waits) else ASK_DAILY_S)


async def _prepare(core: Core, account: Account, command: StartAttempt) -> tuple[Attempt, bool]:
    """Save the attempt before anything leaves the house; says whether this call made it."""
    async with core.database.connection() as connection:
        collection = await cases.find_collection(connection, account.id, command.collection_id)
    if collection is None:
        raise NotFoundError
    return await repeated(partial(_insert, core, account, command, collection.invoice_id))


async def _insert(core: Core, account: Account, command: StartAttempt, invoice_id: UUID) -> tuple[Attempt, bool]:
    async with core.locked(account, invoice_id) as (connection, invoice):
        assert invoice is not None, "invoices are never deleted"
        # Looked for under the lock: a double click must find the attempt of the first, not what it left to pay.
        known = await cases.find_attempt_by_once_key(connection, account.id, command.collection_id, command.once_key)
        if known is not None:
            return known, False
        offered = offered_methods(core, account, invoice.allows)
        if not any(g.name == command.gateway and m.id == command.method for g, m in offered):
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
            reference=attempting.gateway_reference(attempt_id),
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
    return attempt, True


async def _context(core: Core, account: Account, attempt: Attempt) -> GatewayContext:
    async with core.database.connection() as connection:
        invoice = await cases.find_invoice(connection, account.id, attempt.invoice_id)
        collection = await cases.find_collection(connection, account.id, attempt.collection_id)
    assert invoice is not None, "an attempt's invoice is never deleted"
    assert collection is not None, "an attempt's collection is never deleted"
    return GatewayContext(account=account, invoice=invoice, collection=collection, now=core.now(account))


async def _conclude(core: Core, account: Account, about: Attempt, answer: Answer) -> Attempt:
    """Apply an answer to the attempt as it is now, under the invoice's lock."""
    return await repeated(partial(_conclude_once, core, account, about, answer))


async def _conclude_once(core: Core, account: Account, about: Attempt, answer: Answer) -> Attempt:
    async with core.locked(account, about.invoice_id) as (connection, invoice):
        assert invoice is not None, "invoices are never deleted"
        attempt = await cases.find_attempt(connection, account.id, about.id)
        assert attempt is not None, "attempts are never deleted"
        case = await cases.load_case(connection, invoice, also=attempt.collection_id)
        moment = core.moment(account)
        attempt = msgspec.structs.replace(attempt, asked=attempt.asked + 1)
        booked = await cases.booked_transactions(connection, account.id, attempt)
        change = attempting.conclude(case, attempt, answer, moment, booked=booked, ask_at=next_ask(attempt, moment.now))
        if change is None:
            await door.reschedule(
                connection, attempt, ask_at=_ask_again(attempt, moment.now), clock_shift=account.clock_shift
            )
            return attempt
        await door.save(connection, change, clock_shift=account.clock_shift)
    return change.attempts[0]


def _ask_again(attempt: Attempt, now: datetime) -> datetime | None:
    """An attempt whose outcome is open is asked about again; any other is done."""
    open_states = {AttemptState.CREATED, AttemptState.PROCESSING, AttemptState.UNKNOWN}
    return next_ask(attempt, now) if attempt.state in open_states else None
