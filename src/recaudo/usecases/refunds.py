"""Giving money back: noted and answered at once, done by the worker, booked when the gateway says that it is done.

Gateways specification, section 1.11. A gateway that has no way to give money back leaves it to the merchant, who
records what they did by hand, with what proves it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from recaudo.domain import refunding
from recaudo.domain.changes import Change, Moment
from recaudo.domain.model import Account, Case, Receipt, ReceiptKind, Refund, RefundWay
from recaudo.domain.refunding import Refundable, RefundAnswer, RefundRefused
from recaudo.domain.states import RefundState
from recaudo.domain.transactions import Booked
from recaudo.store import accounts, cases, door, idempotency
from recaudo.store.database import Connection
from recaudo.store.due import Claimed
from recaudo.usecases import attempts
from recaudo.usecases.core import Core, Done, NotFoundError, Once, change_invoice, inquire_and_change, repeated, replay
from recaudo.usecases.gateways import configured_for

Respond = Callable[[Refund], tuple[int, bytes]]


class RefundNotSupportedError(Exception):
    """The gateway gives no money back by its API: it is done in its panel, and recorded by hand."""


class RefundCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Give back `amount_minor` of a receipt (None: what is left). Where a person did it, `evidence` proves it."""

    receipt_id: UUID
    amount_minor: int | None
    reason: str
    way: RefundWay = RefundWay.GATEWAY
    evidence: str | None = None


async def start(core: Core, account: Account, command: RefundCommand, respond: Respond, *, once: Once | None) -> Done:
    """Note a refund; the worker gives it to the gateway at once. What a person did already is booked here.

    Raises NotFoundError, RefusedError, RefundNotSupportedError and KeyReusedError.
    """
    async with core.database.connection() as connection:
        receipt = await cases.find_receipt(connection, account.id, command.receipt_id)
    if receipt is None:
        raise NotFoundError
    return await repeated(partial(_start_once, core, account, command, receipt, respond=respond, once=once))


async def _start_once(
    core: Core, account: Account, command: RefundCommand, receipt: Receipt, *, respond: Respond, once: Once | None
) -> Done:
    async with core.locked(account, receipt.invoice_id) as (connection, invoice):
        assert invoice is not None, "a receipt's invoice is never deleted"
        known = None if once is None else await idempotency.find(connection, account.id, once.scope, once.key)
        if once is not None and known is not None:
            return replay(once, known)
        of = await _refundable(connection, account, receipt)
        moment = core.moment(account)
        is_done = command.way is not RefundWay.GATEWAY
        refund = Refund(
            account_id=account.id,
            id=moment.new_id(),
            receipt_id=receipt.id,
            invoice_id=receipt.invoice_id,
            attempt_id=receipt.attempt_id,
            amount_minor=of.left_minor if command.amount_minor is None else command.amount_minor,
            currency=receipt.currency,
            state=RefundState.SUCCEEDED if is_done else RefundState.CREATED,
            way=command.way,
            reason=command.reason,
            evidence=command.evidence,
            ask_at=None if is_done else moment.now,
            created_at=moment.now,
            updated_at=moment.now,
        )
        case = await cases.load_case(connection, invoice, also=receipt.collection_id)
        change = refunding.start(case, refund, of, moment)
        await _check_ability(core, account, connection, receipt, command.way)
        status, answer = respond(refund)
        remembered = None if once is None else once.remembered(account, status, answer, moment.now)
        await door.save(connection, change, clock_shift=account.clock_shift, remembered=remembered)
    return Done(status=status, answer=answer)


async def perform(core: Core, claimed: Claimed) -> None:
    """Give a refund to its gateway, or ask what became of it."""
    async with core.database.connection() as connection:
        account = await accounts.find_account(connection, claimed.account_id)
        refund = await cases.find_refund(connection, claimed.account_id, claimed.id)
        receipt = None if refund is None else await cases.find_receipt(connection, refund.account_id, refund.receipt_id)
    if account is None or refund is None or receipt is None or not refund.is_open:
        return
    # What was sent and not noted must not be sent again, nor be called failed because the gateway is away.
    async with core.database.connection() as connection:
        await door.note_asked(connection, refund)
    answer = await _answer(core, account, refund, receipt)
    changed = await repeated(partial(_conclude_once, core, account, refund, receipt, answer))
    if changed.state is RefundState.SUCCEEDED and receipt.attempt_id is not None:
        # The gateway's own report of the transaction has the last word on how much went back.
        await attempts.ask(core, account, receipt.attempt_id, extra=True)


async def settle(
    core: Core,
    account: Account,
    refund_id: UUID,
    outcome: RefundAnswer,
    evidence: str,
    *,
    respond: Respond,
    once: Once | None,
) -> Done:
    """End a refund by what a person found out of it. Raises NotFoundError, RefusedError and KeyReusedError."""
    about = await find(core, account, refund_id)

    async def inquire(connection: Connection, case: Case, moment: Moment) -> Change:
        refund = await cases.find_refund(connection, account.id, refund_id)
        receipt = await cases.find_receipt(connection, account.id, about.receipt_id)
        assert refund is not None, "refunds are never deleted"
        assert receipt is not None, "receipts are never deleted"
        of = await _refundable(connection, account, receipt)
        return refunding.settle(case, refund, outcome, evidence, moment, of=of)

    def answer(change: Change) -> tuple[int, bytes]:
        return respond(change.refunds[0])

    return await inquire_and_change(core, account, about.invoice_id, inquire, answer, once=once)


async def reopen(
    core: Core, account: Account, invoice_id: UUID, respond: Callable[[Change], tuple[int, bytes]], *, once: Once | None
) -> Done:
    """Ask again for what was paid and went back. Raises NotFoundError, RefusedError and KeyReusedError."""
    return await change_invoice(core, account, invoice_id, refunding.reopen, respond, once=once)


async def find(core: Core, account: Account, refund_id: UUID) -> Refund:
    """One refund. Raises NotFoundError."""
    async with core.database.connection() as connection:
        found = await cases.find_refund(connection, account.id, refund_id)
    if found is None:
        raise NotFoundError
    return found


async def list_of_receipt(core: Core, account: Account, receipt_id: UUID) -> Sequence[Refund]:
    """The refunds of a receipt. Raises NotFoundError."""
    async with core.database.connection() as connection:
        if await cases.find_receipt(connection, account.id, receipt_id) is None:
            raise NotFoundError
        return await cases.refunds_of(connection, account.id, receipt_id)


async def _answer(core: Core, account: Account, refund: Refund, receipt: Receipt) -> RefundAnswer:
    assert receipt.attempt_id is not None, "only money of a gateway is given back through one"
    async with core.database.connection() as connection:
        attempt = await cases.find_attempt(connection, account.id, receipt.attempt_id)
    assert attempt is not None, "attempts are never deleted"
    context = await attempts.context_of(core, account, attempt)
    gateway = core.gateways[receipt.gateway]
    if gateway.needs_configuration and context.configured is None:
        # It cannot be removed while a refund that it was given is open, so nothing was sent.
        return RefundRefused(code="gateway_removed", text="La cuenta ya no tiene esta pasarela.")
    if refund.state is RefundState.CREATED and gateway.abilities.refunds == "none":
        return RefundRefused(code="refund_not_supported")
    return await gateway.refund(refund, receipt, context)


async def _conclude_once(core: Core, account: Account, about: Refund, receipt: Receipt, answer: RefundAnswer) -> Refund:
    async with core.locked(account, about.invoice_id) as (connection, invoice):
        assert invoice is not None, "a receipt's invoice is never deleted"
        refund = await cases.find_refund(connection, account.id, about.id)
        assert refund is not None, "refunds are never deleted"
        moment = core.moment(account)
        ask_at = attempts.next_ask_after(refund.asked, moment.now, core.chance())
        of = await _refundable(connection, account, receipt)
        case = await cases.load_case(connection, invoice, also=receipt.collection_id)
        change = refunding.conclude(case, refund, answer, moment, of=of, ask_at=ask_at)
        if change is None:
            waiting = msgspec.structs.replace(refund, ask_at=ask_at if refund.is_open else None)
            await door.reschedule(connection, waiting, clock_shift=account.clock_shift)
            return waiting
        await door.save(connection, change, clock_shift=account.clock_shift)
    return change.refunds[0]


async def _refundable(connection: Connection, account: Account, receipt: Receipt) -> Refundable:
    refunds = await cases.refunds_of(connection, account.id, receipt.id)
    booked = await cases.booked_transaction(connection, account.id, receipt.gateway, receipt.gateway_tx_id)
    return Refundable(booked=booked or Booked(receipt=receipt), refunds=refunds)


async def _check_ability(
    core: Core, account: Account, connection: Connection, receipt: Receipt, way: RefundWay
) -> None:
    """Raise RefundNotSupportedError unless a gateway collected it, can give it back by its API, and is still there.

    What the merchant registered is undone instead; what a person gave back needs no gateway.
    """
    if receipt.kind is not ReceiptKind.GATEWAY:
        raise RefundNotSupportedError
    if way is not RefundWay.GATEWAY:
        return
    gateway = core.gateways.get(receipt.gateway)
    if gateway is None or gateway.abilities.refunds == "none":
        raise RefundNotSupportedError
    if gateway.needs_configuration and await configured_for(core, account, connection, gateway.name) is None:
        raise RefundNotSupportedError
