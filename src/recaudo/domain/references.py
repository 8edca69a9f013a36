"""How ids are written outside: in base 62, and as the references that gateways know attempts by."""

from typing import Final
from uuid import UUID

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def gateway_reference(attempt_id: UUID) -> str:
    """How gateways know an attempt: `rc`, the id in base 62, `x` (gateways spec 1.4)."""
    return f"rc{base62(attempt_id.int)}x"


def is_own_reference(reference: str) -> bool:
    """Whether a reference looks like one that `gateway_reference` made."""
    return reference.startswith("rc") and reference.endswith("x") and from_base62(reference[2:-1]) is not None


def base62(number: int) -> str:
    """A 128-bit number as 24 characters `0-9A-Za-z`, left-padded with zeros."""
    digits: list[str] = []
    for _ in range(24):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def from_base62(digits: str) -> int | None:
    """The 128-bit number that 24 characters stand for; None for anything else."""
    if len(digits) != 24 or not set(digits) <= set(_BASE62):
        return None
    number = 0
    for digit in digits:
        number = number * 62 + _BASE62.index(digit)
    return number if number < 1 << 128 else None
