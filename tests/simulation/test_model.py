"""The model alone: it says what is wrong, and nothing when nothing is."""

from typing import Any

import pytest

from recaudo.simulation.bill import Bill, Line, Retention
from recaudo.simulation.model import Discount, Invoice, Note, Paper, Stored, StoredNote, Taken


def judged(
    stored: Stored,
    taken: Taken | None = None,
    *,
    notes: tuple[Note, ...] = (),
    discounts: tuple[Discount, ...] = (),
    sums: tuple[int, ...] = (),
    totals: tuple[int, ...] = (),
    **facts: Any,
) -> list[str]:
    paper = Paper()
    for note in notes:
        paper.add_note(note)
    for one in discounts:
        paper.add_discount(one)
    for amount in sums:
        paper.register("col_1", amount)
    paper.add(Invoice(**{"label": "F1", "account": "a", "amount": 100, "id": "col_1", **facts}))
    paper.ask("col_2", 100)
    for total in totals:
        paper.revise("F1", "col_2", total)
    return paper.judge("F1", stored, taken or Taken())


def note(amount: int, *, is_void: bool = False) -> Note:
    return Note(f"cn_{amount}", "F1", "a", amount, amount, is_void)


def discount(amount: int, *, is_removed: bool = False) -> Discount:
    return Discount(f"sd_{amount}", "F1", amount, is_removed)


def voided(amount: int) -> Discount:
    """One of several requests, voided."""
    return Discount(f"col_{amount}", "F1", amount, is_voided_request=True)


def of(
    state: str, received: int = 0, credit: int = 0, outside: int = 0, amount: int | None = 100, withheld: int = 0
) -> Stored:
    return Stored(state, amount, received, credit, outside, withheld)


@pytest.mark.parametrize(
    ("stored", "taken", "facts"),
    [
        (of("open"), Taken(), {}),
        (of("open", 40), Taken(40), {}),
        (of("paid", 100), Taken(100), {}),
        (of("paid", 100, 100), Taken(200), {}),
        (of("paid", 100, outside=60), Taken(40), {"sums": (60,)}),
        (of("void", 0, 40), Taken(40), {"is_withdrawn": True}),
        (of("paid", 100, outside=100), Taken(), {"is_settled_elsewhere": True}),
        (of("paid", 100, 40, outside=100), Taken(40), {"is_settled_elsewhere": True}),
        (of("paid", 100, outside=60), Taken(40), {"is_settled_elsewhere": True}),
        (of("paid", 30), Taken(30, returned=70), {}),
        (of("open", 30, amount=60), Taken(30), {"notes": (note(40),)}),
        (of("paid", 60, 40, amount=60), Taken(100), {"notes": (note(40),)}),
        (of("open", 40, outside=40), Taken(), {"sums": (40, 60, -60)}),
        (of("open", 40, 60, outside=40), Taken(60), {"sums": (40, 60, -60)}),
        (of("open", 40, amount=70), Taken(40), {"discounts": (discount(30),)}),
        (of("paid", 70, amount=70), Taken(70), {"discounts": (discount(30),)}),
        (of("open", 70), Taken(70), {"discounts": (discount(30, is_removed=True),)}),
        (of("open", 40, amount=70), Taken(40), {"totals": (70,)}),
        (of("paid", 40, amount=40), Taken(40), {"totals": (40,)}),
        (of("open", 70, 30, amount=110), Taken(100), {"totals": (70, 110)}),
        (of("open", 70, amount=90), Taken(70), {"totals": (70,), "requests": 2}),
        (of("uncollectible", 40), Taken(40), {"given_up": {"col_1"}}),
        (of("paid", 100), Taken(100), {"given_up": {"col_1"}}),
        (of("open", 40), Taken(40), {"given_up": {"col_1"}, "requests": 2}),
        (of("uncollectible", 40), Taken(40), {"given_up": {"col_1"}, "requests": 2}),
        (of("open", withheld=19), Taken(), {"withheld": 19}),
        (of("void"), Taken(), {"withheld": 19, "is_withdrawn": True}),
        (of("open", 10, 40, amount=60), Taken(50), {"discounts": (voided(40),)}),
        (of("open", 50, amount=60), Taken(50), {"discounts": (voided(40),)}),
        (of("void", 0, 50, amount=60), Taken(50), {"discounts": (voided(40), voided(60)), "withheld": 19}),
        (of("void", amount=0), Taken(), {"discounts": (voided(40),), "notes": (note(60),)}),
        (of("open", amount=None), Taken(), {"amount": None}),
        (of("open", amount=None), Taken(0, 70, {70}), {"amount": None}),
        (of("paid", 70, 30, amount=70), Taken(100, 0, {70, 30}), {"amount": None}),
        (of("paid", 30, 70, 30, amount=30), Taken(70, 0, {70}), {"amount": None, "sums": (30,)}),
        (of("paid", 20, amount=70), Taken(20, 50, {70}), {"amount": None}),
        (of("void", 0, 100, amount=0), Taken(100), {"notes": (note(40), note(60))}),
        (of("open", 80, 20), Taken(100), {"notes": (note(40, is_void=True),)}),
        (of("paid", 100), Taken(100), {"notes": (note(40, is_void=True),)}),
    ],
)
def test_what_is_right_is_not_complained_about(stored: Stored, taken: Taken, facts: dict[str, Any]) -> None:
    assert judged(stored, taken, **facts) == []


@pytest.mark.parametrize(
    ("stored", "taken", "facts"),
    [
        (of("paid"), Taken(), {}),
        (of("open", 40), Taken(), {}),
        (of("open"), Taken(40), {}),
        (of("open", 100), Taken(100), {}),
        (of("open", 30, 10), Taken(40), {}),
        (of("open", 40, outside=40), Taken(), {}),
        (of("open", amount=90), Taken(), {}),
        (of("void", 40), Taken(40), {"is_withdrawn": True}),
        (of("paid", 100, outside=20), Taken(), {"is_settled_elsewhere": True}),
        (of("void"), Taken(0, returned=40), {}),
        (of("open", 10, 80), Taken(90, returned=70), {}),
        (of("open", 100, outside=100), Taken(), {"sums": (40, 60)}),
        (of("open", 40, outside=40), Taken(), {"sums": (40, 60)}),
        (of("open", 30, 70, outside=40), Taken(60), {"sums": (40, 60, -60)}),
        (of("open", 40), Taken(40), {"discounts": (discount(30),)}),
        (of("open", 70, amount=70), Taken(70), {"discounts": (discount(30),)}),
        (of("open", 40), Taken(40), {"totals": (70,)}),
        (of("open", 40, amount=40), Taken(40), {"totals": (40,)}),
        (of("open", 60, 40, amount=110), Taken(100), {"totals": (80, 110)}),
        (of("open", 70, amount=90), Taken(70), {"totals": (70,)}),
        (of("open", amount=90), Taken(), {"totals": (70,), "requests": 2}),
        (of("open", 60, amount=60), Taken(60), {"totals": (70,), "requests": 2}),
        (of("uncollectible", 40), Taken(40), {}),
        (of("open", 40), Taken(40), {"given_up": {"col_1"}}),
        (of("uncollectible", 100), Taken(100), {"given_up": {"col_1"}}),
        (of("open"), Taken(), {"withheld": 19}),
        (of("open", withheld=18), Taken(), {"withheld": 19}),
        (of("open", withheld=19), Taken(), {}),
        (of("void", withheld=19), Taken(), {"withheld": 19, "is_withdrawn": True}),
        (of("open", 50), Taken(50), {"discounts": (voided(40),)}),
        (of("open", 5, 45, amount=60), Taken(50), {"discounts": (voided(40),)}),
        (of("open", amount=0), Taken(), {"discounts": (voided(40), voided(60))}),
        (of("void", 50, amount=60), Taken(50), {"discounts": (voided(40), voided(60))}),
        (of("void", amount=100), Taken(), {"discounts": (voided(40), voided(60))}),
        (of("open", amount=None), Taken(70, 0, {70}), {"amount": None}),
        (of("open", amount=70), Taken(), {"amount": None}),
        (of("paid", 100, amount=100), Taken(100, 0, {70, 30}), {"amount": None}),
        (of("open", 40, 60, amount=70), Taken(100, 0, {70, 30}), {"amount": None}),
        (of("open", 30), Taken(30), {"notes": (note(40),)}),
        (of("open", 30, amount=60), Taken(30), {}),
        (of("paid", 0, 100, amount=0), Taken(100), {"notes": (note(100),)}),
        (of("open", 50, 50), Taken(100), {"notes": (note(40, is_void=True),)}),
    ],
)
def test_what_is_wrong_is_said(stored: Stored, taken: Taken, facts: dict[str, Any]) -> None:
    assert judged(stored, taken, **facts)


def test_the_change_that_was_made_last_counts_whichever_answer_is_read_last() -> None:
    it = Invoice("F1", "a", 100)
    it.change_amount(300, "2026-03-02T10:00:02Z")
    it.change_amount(200, "2026-03-02T10:00:01Z")
    assert it.amount == 300


@pytest.mark.parametrize(
    "stored",
    [
        [],
        [StoredNote("cn_40", "F1", "voided", 40, 40, None)],
        [StoredNote("cn_40", "F1", "issued", 50, 50, None)],
        [StoredNote("cn_40", "F2", "issued", 40, 40, None)],
        [StoredNote("cn_40", "F1", "issued", 40, 30, None)],
        [StoredNote("cn_40", "F1", "issued", 40, 40, None), StoredNote("cn_41", "F1", "issued", 1, 1, None)],
    ],
)
def test_a_note_that_is_not_what_was_answered_is_found(stored: list[StoredNote]) -> None:
    paper = Paper()
    paper.add_note(note(40))
    assert paper.judge_notes("a", stored)
    assert paper.judge_notes("a", [StoredNote("cn_40", "F1", "issued", 40, 40, None)]) == []


def test_a_note_may_move_less_than_its_amount_only_where_a_discount_took_something_off_before() -> None:
    paper = Paper()
    paper.add_note(Note("cn_1", "F1", "a", 100, 70))
    stored = [StoredNote("cn_1", "F1", "issued", 100, 70, None)]
    assert paper.judge_notes("a", stored)
    paper.add_discount(discount(30))
    assert paper.judge_notes("a", stored) == []


def test_a_note_may_move_less_than_its_amount_where_a_part_was_kept_back() -> None:
    paper = Paper()
    paper.add_note(Note("cn_1", "F1", "a", 100, 70))
    stored = [StoredNote("cn_1", "F1", "issued", 100, 70, None)]
    paper.add(Invoice("F1", "a", 100))
    assert paper.judge_notes("a", stored)
    paper.invoices["F1"].withheld = 30
    assert paper.judge_notes("a", stored) == []


@pytest.mark.parametrize(
    ("lines", "retentions", "total", "withheld"),
    [
        # The worked example of the specification of Treli's dialect, 8.3.
        ((Line(100_000_000, 1, 19),), ("2.5", "0.966", "15 of tax"), 119_000_000, 6_316_000),
        ((Line(2_000_000),), (), 2_000_000, 0),
        # Half a cent goes up; half a peso as well.
        ((Line(10, 1, 5),), (), 11, 0),
        ((Line(2_000_000, 3),), ("0.0025",), 6_000_000, 200),
        ((Line(1_999_900, 3),), ("0.0025",), 5_999_700, 100),
        # Tax is rounded line by line, and only what bears it counts for what is kept back of it.
        ((Line(10, 1, 5), Line(10, 1, 5)), (), 22, 0),
        ((Line(50_000_000), Line(10_000_000, 1, 19)), ("15 of tax",), 61_900_000, 0),
        ((Line(50_000_000), Line(20_000_000, 1, 19)), ("15 of tax",), 73_800_000, 570_000),
    ],
)
def test_what_a_bill_comes_to(lines: tuple[Line, ...], retentions: tuple[str, ...], total: int, withheld: int) -> None:
    kept = tuple(
        Retention(text.split()[0], minimum=20_000_000 if "tax" in text else 0, of_tax="tax" in text)
        for text in retentions
    )
    bill = Bill(lines, kept)
    assert (bill.total, bill.withheld, bill.asked) == (total, withheld, total - withheld)


def test_two_issued_notes_never_have_one_number() -> None:
    paper = Paper()
    paper.add_note(note(40))
    paper.add_note(note(41, is_void=True))
    first = StoredNote("cn_40", "F1", "issued", 40, 40, "NC-1")
    assert paper.judge_notes("a", [first, StoredNote("cn_41", "F1", "voided", 41, 41, "NC-1")]) == []
    paper.notes["cn_41"].is_void = False
    assert paper.judge_notes("a", [first, StoredNote("cn_41", "F1", "issued", 41, 41, "NC-1")])
