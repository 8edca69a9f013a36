"""Whatever a merchant and payers do with an invoice in instalments, its money and its books stay whole."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

from hypothesis import given, settings, strategies as st

from recaudo.domain import closing, collecting, crediting, replacing
from recaudo.domain.billing import Terms
from recaudo.domain.changes import Books, Change
from recaudo.domain.collecting import Rest, Share
from recaudo.domain.crediting import NewNote
from recaudo.domain.model import Collection, InvoiceKind, ReceiptKind
from recaudo.domain.opening import Asking
from recaudo.domain.receiving import Arrival
from recaudo.domain.states import CollectionState, InvoiceState, NoteState, Refusal, RefusedError
from recaudo.domain.undoing import undo
from tests.domain.builders import NOON, Life, a_request, again, an_invoice, books_of, withheld_bill

SETTLED = {InvoiceState.PAID, InvoiceState.VOID}


def outside(amount_minor: int) -> Arrival:
    return Arrival(amount_minor=amount_minor, kind=ReceiptKind.OUTSIDE, gateway="outside", method={"type": "cash"})


def anew(life: Life, collection: Collection, number: int) -> Change:
    rest = Rest(due_on=NOON.date() + timedelta(days=number), terms=Terms(title="Saldo"))
    amount_minor = max(1, collection.due_minor * number // 10)
    return collecting.register_and_ask_anew(
        life.case(about=collection.id), collection.id, outside(amount_minor), rest, life.moment
    )


def total(life: Life, collection: Collection, number: int) -> Change:
    terms = collection.terms or Terms()
    return collecting.change_total(life.case(about=collection.id), collection.id, number * 7, terms, life.moment)


def undo_one(life: Life, _collection: Collection, number: int) -> Change:
    """Give back one of the sums that were registered and still stand."""
    reversed_ids = {r.reverses for r in life.receipts}
    registered = [r for r in life.receipts if r.kind is ReceiptKind.OUTSIDE and r.id not in reversed_ids]
    if not registered:
        raise RefusedError(Refusal.AMOUNT_NOT_ALLOWED)
    receipt = registered[number % len(registered)]
    return undo(life.case(about=receipt.collection_id), [receipt], life.moment, reason="r")


def credit(life: Life, _: Collection, number: int) -> Change:
    asked = NewNote(amount_minor=None if number == 10 else number * 6, reason="r")
    return crediting.issue(life.case(), asked, list(life.notes.values()), life.moment)


def uncredit(life: Life, _: Collection, number: int) -> Change:
    """Void one of the notes, which may be void already."""
    if not life.notes:
        raise RefusedError(Refusal.NOTE_VOID)
    note = list(life.notes.values())[number % len(life.notes)]
    return crediting.void(life.case(), life.issued(note), life.moment, reason=None, terms=again)


ACTS: dict[str, Callable[[Life, Collection, int], Change]] = {
    "register": lambda life, c, n: collecting.register(
        life.case(about=c.id), [Share(c.id, n * 5)], outside, life.moment
    ),
    "register all": lambda life, c, _: collecting.register(
        life.case(about=c.id), [Share(c.id, c.due_minor)], outside, life.moment
    ),
    "ask anew": anew,
    "void": lambda life, c, _: collecting.void_collection(life.case(about=c.id), c.id, life.moment, reason="r"),
    "give up": lambda life, c, _: collecting.give_up(life.case(about=c.id), c.id, life.moment),
    "total": total,
    "undo": undo_one,
    "credit": credit,
    "uncredit": uncredit,
    "withdraw": lambda life, c, _: closing.withdraw(life.case(about=c.id), life.moment, reason="r"),
    "settle": lambda life, c, _: closing.settle_outside(life.case(about=c.id), life.moment, reason="r"),
    "put": lambda life, c, n: replacing.replace(life.case(about=c.id), {"amount_minor": n * 9}, life.moment),
    "cancel": lambda life, c, _: closing.cancel_collection(life.case(about=c.id), c.id, life.moment),
}

acts = st.tuples(st.sampled_from([*ACTS, "gateway"]), st.integers(0, 9), st.integers(1, 10))


@settings(max_examples=300)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 9), st.lists(acts, max_size=12))
def test_money_and_books_stay_whole(amounts: list[int], withheld: int, steps: list[tuple[str, int, int]]) -> None:
    plan = [Asking(amount_minor=a, due_on=NOON.date() + timedelta(days=i)) for i, a in enumerate(amounts)]
    live_through(an_invoice(sum(amounts), plan=plan, bill=withheld_bill(sum(amounts) + withheld, withheld)), steps)


of_requests = acts.filter(lambda act: act[0] not in {"credit", "uncredit", "settle", "put"})


@settings(max_examples=300)
@given(st.integers(1, 60), st.lists(of_requests, max_size=12))
def test_a_request_without_an_invoice_is_billed_only_as_it_is_paid(
    amount: int, steps: list[tuple[str, int, int]]
) -> None:
    life = a_request(amount)
    live_through(life, steps)
    books = books_of(life.transfers)
    assert books.get(Books.BILLED, 0) == -life.invoice.received_minor


def live_through(life: Life, steps: list[tuple[str, int, int]]) -> None:
    check(life)
    was_cancelled = False  # OnePay's clients may stop asking for what is owed all the same
    for name, which, number in steps:
        collection = list(life.collections.values())[which % len(life.collections)]
        if name == "gateway":
            life.pay(number * 5, on=collection)
        else:
            try:
                change = ACTS[name](life, collection, number)
            except RefusedError:
                continue
            life.keep(change)
            was_cancelled = was_cancelled or name == "cancel"
        check(life, was_cancelled=was_cancelled)


def check(life: Life, *, was_cancelled: bool = False) -> None:
    invoice = life.invoice
    books = Counter[str]()
    for transfer in life.transfers:
        books[transfer.debit] += transfer.amount_minor
        books[transfer.credit] -= transfer.amount_minor
    arrived = sum(r.amount_minor for r in life.receipts)
    owed = 0 if invoice.state is InvoiceState.VOID else (invoice.amount_minor or 0) - invoice.received_minor
    assert books[Books.RECEIVABLE] == (owed if invoice.kind is InvoiceKind.INVOICE else 0)
    assert books["gateway:sandbox"] + books[Books.OUTSIDE] == arrived, "every peso that arrived lies somewhere"
    assert invoice.received_minor - books[Books.CREDIT] == arrived, "applied, or the customer's credit"
    if invoice.bill is not None:
        withheld = 0 if invoice.state is InvoiceState.VOID else invoice.bill.retentions_minor
        assert books[Books.withheld("retefte")] == withheld, "of nothing nothing is withheld"
        check_notes(life)
    assert (invoice.state is InvoiceState.PAID) == (owed == 0 and invoice.state is not InvoiceState.VOID)
    collections = list(life.collections.values())
    through_them = sum(r.amount_minor for r in life.receipts if r.collection_id is not None)
    assert sum(c.received_minor for c in collections) == through_them
    live = [c for c in collections if c.state is CollectionState.PENDING]
    assert all(c.due_minor > 0 for c in live), "what asks for nothing is closed"
    assert invoice.state not in SETTLED or not live
    given_up = any(c.state is CollectionState.UNCOLLECTIBLE for c in collections)
    assert (invoice.state is InvoiceState.UNCOLLECTIBLE) == (given_up and not live and invoice.state not in SETTLED)
    if invoice.state is InvoiceState.OPEN:
        asked = [c for c in collections if c.state in {CollectionState.PENDING, CollectionState.UNCOLLECTIBLE}]
        asked_minor = sum(c.due_minor for c in asked)
        assert asked_minor <= invoice.balance_minor, "together they never ask for more than is owed"
        assert asked_minor == invoice.balance_minor or was_cancelled, "together they ask for what is owed"
    shown = life.collections[invoice.collection_id]
    assert not live or shown is min(live, key=lambda c: (c.due_on or date.max, c.ordinal, c.id)), (
        "the one that is due first"
    )


def check_notes(life: Life) -> None:
    """Together they never exceed the total, and the ledger tells of each exactly what it says."""
    bill = life.invoice.bill
    assert bill is not None
    issued = [note for note in life.notes.values() if note.state is NoteState.ISSUED]
    assert sum(note.amount_minor for note in issued) <= bill.total_minor
    for note in life.notes.values():
        books = books_of([t for t in life.transfers if t.note_id == note.id])
        took = (note.lowered_minor, -note.applied_minor, -note.credited_minor) if note in issued else (0, 0, 0)
        assert tuple(books.get(book, 0) for book in (Books.BILLED, Books.RECEIVABLE, Books.CREDIT)) == took
