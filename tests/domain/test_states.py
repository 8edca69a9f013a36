"""The tables of states are whole, and the decisions do what they say: every state with every command."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import product
from uuid import UUID

import msgspec
import pytest

from recaudo.domain import attempting, closing, collecting, crediting, replacing
from recaudo.domain.answers import FactState, Reported
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Change
from recaudo.domain.collecting import Share
from recaudo.domain.crediting import NewNote
from recaudo.domain.model import Case, ReceiptKind
from recaudo.domain.receiving import Arrival
from recaudo.domain.states import (
    ATTEMPT_MOVES,
    COLLECTION_COMMANDS,
    IN_PROGRESS,
    INVOICE_COMMANDS,
    AttemptState,
    CollectionCommand,
    CollectionState,
    InvoiceCommand,
    InvoiceState,
    RefusedError,
    allow_collection,
    allow_invoice,
)
from tests.domain.builders import NOON, OPEN_BOUNDS_MINOR, Life, a_fact, a_moment, an_invoice, succeeded

INVOICE_PAIRS = list(product(InvoiceState, InvoiceCommand))
COLLECTION_PAIRS = list(product(CollectionState, CollectionCommand))


def an_invoice_in(state: InvoiceState) -> Life:
    """An invoice of 100 in a state, with the collection that such an invoice has."""
    life = an_invoice(100)
    if state is InvoiceState.PAID:
        life.pay(100)
    elif state is InvoiceState.VOID:
        life.withdraw()
    elif state is InvoiceState.UNCOLLECTIBLE:
        life.invoice = msgspec.structs.replace(life.invoice, state=state)
        life.collections[life.current.id] = msgspec.structs.replace(life.current, state=CollectionState.UNCOLLECTIBLE)
    assert life.invoice.state is state
    return life


def a_collection_in(state: CollectionState) -> Life:
    """An open invoice of 100 whose collection asks for 60 of them and is in a state."""
    life = an_invoice(100)
    received_minor = 60 if state is CollectionState.PAID else 0
    life.invoice = msgspec.structs.replace(life.invoice, received_minor=received_minor)
    life.collections[life.current.id] = msgspec.structs.replace(
        life.current, state=state, amount_minor=60, received_minor=received_minor, expires_at=NOON
    )
    return life


def start(case: Case, collection_id: UUID) -> Change:
    life = an_invoice(100)
    attempt = msgspec.structs.replace(life.attempt_at(collection_id, 60), invoice_id=case.invoice.id)
    return attempting.start(case, attempt, a_moment(), open_bounds_minor=OPEN_BOUNDS_MINOR)


def receive(case: Case, collection_id: UUID) -> Change:
    attempt = an_invoice(100).attempt_at(collection_id, 60)
    answer = Reported(facts=(succeeded(60, tx="late"),))
    change = attempting.conclude(case, attempt, answer, a_moment(), booked={}, ask_at=NOON)
    assert change is not None
    return change


def outside(amount_minor: int) -> Arrival:
    return Arrival(amount_minor=amount_minor, kind=ReceiptKind.OUTSIDE, gateway="outside")


def pay_outside(case: Case) -> Change:
    """What registering money on an invoice does: the table first, then the collection."""
    allow_invoice(case.invoice.state, InvoiceCommand.REGISTER)
    return collecting.register(case, [Share(case.invoice.collection_id, 60)], outside, a_moment())


def with_limit(case: Case, **fields: object) -> Case:
    changed = [msgspec.structs.replace(c, **fields) for c in case.collections]
    return msgspec.structs.replace(case, collections=tuple(changed))


DECIDE_INVOICE: Mapping[InvoiceCommand, Callable[[Case], Change]] = {
    InvoiceCommand.REPLACE: lambda case: replacing.replace(case, {"name": "Internet plan - Noviembre"}, a_moment()),
    InvoiceCommand.WITHDRAW: lambda case: closing.withdraw(case, a_moment(), reason="DELETE_FROM_PROVIDER"),
    InvoiceCommand.SETTLE_OUTSIDE: lambda case: closing.settle_outside(case, a_moment(), reason="PAID_FROM_PROVIDER"),
    # The collection's own table comes first, so the invoice's shows only while the collection still asks.
    InvoiceCommand.START_ATTEMPT: lambda case: start(
        with_limit(case, state=CollectionState.PENDING, amount_minor=60, received_minor=0), case.invoice.collection_id
    ),
    InvoiceCommand.REGISTER: pay_outside,
    InvoiceCommand.RECEIVE: lambda case: receive(case, case.invoice.collection_id),
    InvoiceCommand.CREDIT: lambda case: crediting.issue(case, NewNote(amount_minor=7, reason="r"), [], a_moment()),
}

DONE_INVOICE: Mapping[InvoiceCommand, Callable[[Change], bool]] = {
    InvoiceCommand.REPLACE: lambda change: change.invoice.generation == 2,
    InvoiceCommand.WITHDRAW: lambda change: change.invoice.state is InvoiceState.VOID,
    InvoiceCommand.SETTLE_OUTSIDE: lambda change: change.invoice.state is InvoiceState.PAID,
    InvoiceCommand.START_ATTEMPT: lambda change: len(change.attempts) == 1,
    InvoiceCommand.REGISTER: lambda change: [r.kind for r in change.receipts] == [ReceiptKind.OUTSIDE],
    InvoiceCommand.RECEIVE: lambda change: [r.amount_minor for r in change.receipts] == [60],
    InvoiceCommand.CREDIT: lambda change: [n.amount_minor for n in change.notes] == [7],
}


def expire(case: Case, collection_id: UUID) -> Change:
    return closing.expire_collection(case, collection_id, a_moment(NOON + timedelta(seconds=1)))


def remind(case: Case, collection_id: UUID) -> Change | None:
    """A reminder changes nothing: its use case asks the table alone."""
    return allow_collection(case.collection(collection_id).state, CollectionCommand.REMIND)


DECIDE_COLLECTION: Mapping[CollectionCommand, Callable[[Case, UUID], Change | None]] = {
    CollectionCommand.START_ATTEMPT: lambda case, about: start(with_limit(case, expires_at=None), about),
    CollectionCommand.CANCEL: lambda case, about: closing.cancel_collection(case, about, a_moment()),
    CollectionCommand.EXPIRE: expire,
    CollectionCommand.REMIND: remind,
    CollectionCommand.REGISTER: lambda case, about: collecting.register(case, [Share(about, 7)], outside, a_moment()),
    CollectionCommand.VOID: lambda case, about: collecting.void_collection(case, about, a_moment(), reason="r"),
    CollectionCommand.GIVE_UP: lambda case, about: collecting.give_up(case, about, a_moment()),
    CollectionCommand.CHANGE: lambda case, about: collecting.change_total(case, about, 50, Terms(), a_moment()),
    CollectionCommand.RECEIVE: receive,
}


def test_the_invoice_table_has_every_state_with_every_command():
    assert set(INVOICE_COMMANDS) == set(INVOICE_PAIRS)


def test_the_collection_table_has_every_state_with_every_command():
    assert set(COLLECTION_COMMANDS) == set(COLLECTION_PAIRS)


def test_the_attempt_table_has_every_state_and_no_way_back_to_created():
    assert set(ATTEMPT_MOVES) == set(AttemptState)
    for state, next_states in ATTEMPT_MOVES.items():
        assert state not in next_states
        assert AttemptState.CREATED not in next_states


def test_every_command_of_the_tables_is_driven_through_its_decision():
    assert set(DECIDE_INVOICE) == set(DONE_INVOICE) == set(InvoiceCommand)
    assert set(DECIDE_COLLECTION) == set(CollectionCommand)


def test_money_is_received_in_every_state():
    assert {INVOICE_COMMANDS[state, InvoiceCommand.RECEIVE] for state in InvoiceState} == {None}
    assert {COLLECTION_COMMANDS[state, CollectionCommand.RECEIVE] for state in CollectionState} == {None}


@pytest.mark.parametrize(("state", "command"), INVOICE_PAIRS)
def test_a_command_on_an_invoice_is_done_or_refused_as_its_table_says(state: InvoiceState, command: InvoiceCommand):
    case = an_invoice_in(state).case()
    refusal = INVOICE_COMMANDS[state, command]
    if refusal is None:
        assert DONE_INVOICE[command](DECIDE_INVOICE[command](case))
        return
    with pytest.raises(RefusedError) as refused:
        DECIDE_INVOICE[command](case)
    assert refused.value.refusal is refusal


@pytest.mark.parametrize(("state", "command"), COLLECTION_PAIRS)
def test_a_command_on_a_collection_is_done_or_refused_as_its_table_says(
    state: CollectionState, command: CollectionCommand
):
    case = a_collection_in(state).case()
    about = case.invoice.collection_id
    refusal = COLLECTION_COMMANDS[state, command]
    if refusal is None:
        change = DECIDE_COLLECTION[command](case, about)
        assert change is None or change.events
        return
    with pytest.raises(RefusedError) as refused:
        DECIDE_COLLECTION[command](case, about)
    assert refused.value.refusal is refusal


@pytest.mark.parametrize("reported", [*FactState, "unknown"])
@pytest.mark.parametrize("state", AttemptState)
def test_an_attempt_moves_where_its_table_says_and_else_stays(state: AttemptState, reported: str):
    life = an_invoice(100)
    begun = msgspec.structs.replace(life.began(60), state=state)
    life.attempts[begun.id] = begun
    life.collections[life.current.id] = msgspec.structs.replace(life.current, open_attempts=int(state in IN_PROGRESS))

    facts = () if reported == "unknown" else (a_fact(FactState(reported), 60, "tx-1"),)
    life.conclude(begun, *facts, unknown=reported == "unknown")

    target = AttemptState(reported)
    # Only what was begun and not answered is unknown; a question without an answer changes nothing.
    is_told = reported != "unknown" or state is AttemptState.CREATED
    after = life.attempts[begun.id].state
    assert after is (target if is_told and target in ATTEMPT_MOVES[state] else state)
    assert life.current.open_attempts == int(after in IN_PROGRESS)
    assert life.invoice.received_minor == (60 if reported in {FactState.SUCCEEDED, FactState.DISPUTED} else 0)
