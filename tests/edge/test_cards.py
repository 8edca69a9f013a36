"""Telling a card's number from other numbers."""

import pytest

from recaudo.edge.cards import find_number, holds_number

# Numbers that vendors publish for tests.
CARDS = ["4242424242424242", "4111111111111111", "5555555555554444", "2223003122003222", "378282246310005",
         "6011111111111117", "36227206271667", "4222222222222"]  # fmt: skip


@pytest.mark.parametrize("number", CARDS)
def test_cards_of_every_network_are_seen_however_they_are_written(number: str) -> None:
    assert holds_number(number)
    assert holds_number(f"tok_test_{number}")
    assert holds_number(f"Ana {' '.join(number[i : i + 4] for i in range(0, len(number), 4))}, 12/29")
    assert holds_number("-".join(number[i : i + 4] for i in range(0, len(number), 4)))
    assert holds_number(number.translate({48 + digit: 0xFF10 + digit for digit in range(10)}))
    assert not holds_number(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    "text",
    [
        "tok_prod_1_BBb749EAB32e97a2D058Dd538a608301",
        "tok_test_10018_4242424242424242abcdef0123456789",  # inside a random token a run of digits says nothing
        "573001234567",
        "1020304050",
        "900123456-7",
        "1763860653123",  # a clock's milliseconds
        "41542100000000000000000123",  # longer than any card's
        "019a0227-e3c0-72ea-b567-a6eac83b8e05",
        "4242",
        "",
    ],
)
def test_other_numbers_are_none(text: str) -> None:
    assert not holds_number(text)


def test_in_a_key_hyphens_are_not_looked_through() -> None:
    assert holds_number("4242-4242-4242-4242")
    assert not holds_number("4242-4242-4242-4242", grouped=False)
    assert holds_number("order-4242424242424242", grouped=False)


def test_where_in_an_object_it_stands() -> None:
    assert find_number({"a": 1, "b": {"c": [{"d": CARDS[0]}]}}) == "b"
    assert find_number({"a": {CARDS[0]: 1}}) == "a"
    assert find_number({CARDS[0]: 1}) == ""
    assert find_number({"a": int(CARDS[0])}) == "a"
    assert find_number({"a": [True, None, 1.5, "x"]}) is None
