"""The model alone: it says what is wrong, and nothing when nothing is."""

from typing import Any

import pytest

from recaudo.simulation.model import Invoice, Paper, Stored, Taken


def judged(stored: Stored, taken: Taken | None = None, **facts: Any) -> list[str]:
    paper = Paper()
    paper.add(Invoice(**{"label": "F1", "account": "a", "amount": 100, **facts}))
    return paper.judge("F1", stored, taken or Taken())


def of(state: str, received: int = 0, credit: int = 0, outside: int = 0, amount: int = 100) -> Stored:
    return Stored(state, amount, received, credit, outside)


@pytest.mark.parametrize(
    ("stored", "taken", "facts"),
    [
        (of("open"), Taken(), {}),
        (of("open", 40), Taken(40), {}),
        (of("paid", 100), Taken(100), {}),
        (of("paid", 100, 100), Taken(200), {}),
        (of("paid", 100, outside=60), Taken(40), {"by_hand": 60}),
        (of("void", 0, 40), Taken(40), {"is_withdrawn": True}),
        (of("paid", 100, outside=100), Taken(), {"is_settled_elsewhere": True}),
        (of("paid", 100, 40, outside=100), Taken(40), {"is_settled_elsewhere": True}),
        (of("paid", 100, outside=60), Taken(40), {"is_settled_elsewhere": True}),
        (of("paid", 30), Taken(30, has_gone_back=True), {}),
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
        (of("void"), Taken(0, has_gone_back=True), {}),
    ],
)
def test_what_is_wrong_is_said(stored: Stored, taken: Taken, facts: dict[str, Any]) -> None:
    assert judged(stored, taken, **facts)


def test_the_change_that_was_made_last_counts_whichever_answer_is_read_last() -> None:
    it = Invoice("F1", "a", 100)
    it.change_amount(300, "2026-03-02T10:00:02Z")
    it.change_amount(200, "2026-03-02T10:00:01Z")
    assert it.amount == 300
