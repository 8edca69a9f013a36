"""Card numbers must never come here: telling one from other numbers, so that it can be refused unread."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, cast

# 13 to 19 digits, as people group them, standing alone: a run of digits inside a vendor's random token is none.
_GROUPED: Final = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])")
_PLAIN: Final = re.compile(r"(?<![0-9A-Za-z])[0-9]{13,19}(?![0-9A-Za-z])")
# How the numbers of the networks begin. A clock's milliseconds, a barcode of a Colombian bill and most others do not.
_ISSUERS: Final = re.compile(r"4|5[0-8]|6[0-9]|3[04-9]|2[2-7]")


def holds_number(text: str, *, grouped: bool = True) -> bool:
    """Whether a text holds what looks like a card's number: its length, its beginning and its check digit.

    Without `grouped` only digits in one piece count, for texts whose hyphens mean something else.
    """
    plain = unicodedata.normalize("NFKC", text)
    found = (_GROUPED if grouped else _PLAIN).finditer(plain)
    return any(_is_number(re.sub(r"[ -]", "", run[0])) for run in found)


def find_number(body: Mapping[str, Any]) -> str | None:
    """Where a JSON object holds one: the first part of the path, or empty when a member's name is one."""
    for name, value in body.items():
        if holds_number(name):
            return ""
        if _holds(value):
            return name
    return None


def _holds(value: object) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            members = cast("dict[str, object]", one)
            left += [*members.keys(), *members.values()]
        elif isinstance(one, list):
            left += cast("list[object]", one)
        elif isinstance(one, str | int | float) and not isinstance(one, bool) and holds_number(f"{one}"):
            return True
    return False


def _is_number(digits: str) -> bool:
    """The check that Luhn described: every second digit from the right counts twice, with the sum of its digits."""
    if not _ISSUERS.match(digits):
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0
