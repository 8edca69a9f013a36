"""Receipts: undoing a sum that the merchant registered in error."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from recaudo.domain import undoing
from recaudo.domain.changes import Change
from recaudo.domain.model import Account, Receipt
from recaudo.domain.undoing import NotUndoableError, WhyNot, check_undoable, taken_credit_minor
from recaudo.store import cases, door, receipts
from recaudo.store.credits import lock_credits
from recaudo.store.database import Connection
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.registers import kept

Respond = Callable[[Sequence[Change]], tuple[int, bytes]]


class Undoing(msgspec.Struct, frozen=True, kw_only=True):
    """Which receipt is undone, with all others of its sum, and why."""

    receipt_id: UUID
    reason: str


async def undo(core: Core, account: Account, command: Undoing, respond: Respond, *, once: Once | None) -> Done:
    """Give a registered sum back and ask for the same debt again, all of it in one transaction.

    A sum that was spread over several debts goes back as a whole. `respond` gets a change for each invoice. Raises
    NotFoundError, NotUndoableError, KeyReusedError and LockTimeoutError.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        return await _undo(core, account, connection, command, respond)

    return await repeated(partial(kept, core, account, act, once=once))


async def _undo(
    core: Core, account: Account, connection: Connection, command: Undoing, respond: Respond
) -> tuple[int, bytes]:
    wanted = await receipts.find_sum(connection, account.id, command.receipt_id)
    if not wanted:
        raise NotFoundError
    # In the order of their ids, so that two sums never wait for each other.
    invoice_ids = sorted({r.invoice_id for r in wanted})
    found = [await cases.lock_invoice(connection, account.id, i) for i in invoice_ids]
    reversed_ids = await receipts.find_reversed(connection, account.id, [r.id for r in wanted])
    for receipt in wanted:
        check_undoable(receipt, reversed_ids)
    moment = core.moment(account)
    changes: list[Change] = []
    for invoice in found:
        assert invoice is not None, "a receipt has its invoice"
        case = await cases.load_case(connection, invoice)
        own = [r for r in wanted if r.invoice_id == invoice.id]
        changes.append(undoing.undo(case, own, moment, reason=command.reason))
    await _check_credit(account, connection, changes, wanted[0])
    for change in changes:
        await door.save(connection, change, clock_shift=account.clock_shift)
    return respond(changes)


async def _check_credit(account: Account, connection: Connection, changes: Sequence[Change], receipt: Receipt) -> None:
    """Credit that was used since cannot be taken back. A sum belongs to one customer; nobody's credit is of no use."""
    taken_minor = sum(taken_credit_minor(change) for change in changes)
    customer_id = changes[0].invoice.customer_id
    if taken_minor <= 0 or customer_id is None:
        return
    owed = await lock_credits(connection, account.id, customer_id)
    if owed.get(receipt.currency, 0) < taken_minor:
        raise NotUndoableError(WhyNot.CREDIT_USED)
