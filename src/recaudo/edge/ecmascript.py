"""JSON exactly as JavaScript's JSON.stringify prints it (OnePay specification, 14.3; Treli specification, 15.2).

Receivers that parse a body and serialise it again compute the same signature as those that use the raw bytes.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

_encode = msgspec.json.Encoder().encode
_SAFE_INTEGER_MAX = 2**53 - 1
_ARRAY_INDEX_MAX = 2**32 - 2


def stringify(value: Any) -> bytes:  # noqa: ANN401 - anything JSON
    """The bytes of `JSON.stringify(value)`: compact UTF-8, members in the order in which JavaScript keeps them.

    Integers beyond 2^53 are printed as the double that JavaScript reads them as; numbers that are none become null.
    """
    return _encode(as_javascript_keeps(value))


def as_javascript_keeps(value: Any) -> Any:  # noqa: ANN401
    """The value with members in JavaScript's order and numbers as it prints them, for the ordinary encoder."""
    if value is None or value is True or value is False or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -_SAFE_INTEGER_MAX <= value <= _SAFE_INTEGER_MAX else _number(float(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, msgspec.Raw):
        # An amount with cents: exact decimal text, which JavaScript reads as the nearest double.
        return _number(float(bytes(value)))
    if isinstance(value, Mapping):
        return _members(cast("Mapping[str, Any]", value))
    if isinstance(value, (list, tuple)):
        return [as_javascript_keeps(item) for item in cast("Sequence[Any]", value)]
    raise TypeError(f"JSON has no {type(value).__name__}")


def _members(value: Mapping[str, Any]) -> dict[str, Any]:
    """Names that are array indexes come first, in ascending order; the others as they are."""
    kept = {name: as_javascript_keeps(item) for name, item in value.items()}
    indexes = sorted((name for name in kept if _is_index(name)), key=int)
    if not indexes:
        return kept
    return {name: kept[name] for name in (*indexes, *(n for n in kept if not _is_index(n)))}


def _is_index(name: str) -> bool:
    if not name.isascii() or not name.isdigit() or len(name) > 10 or (name[0] == "0" and name != "0"):
        return False
    return int(name) <= _ARRAY_INDEX_MAX


def _number(value: float) -> int | msgspec.Raw | None:
    """A double as ECMAScript's Number::toString writes it."""
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) <= _SAFE_INTEGER_MAX:
        return int(value)
    return msgspec.Raw(_ecmascript(value).encode())


def _ecmascript(value: float) -> str:
    """Python's shortest digits in ECMAScript's layout: exponents from 1e21 up and from 1e-7 down."""
    sign = "-" if value < 0 else ""
    digits, exponent = _shortest(abs(value))
    point = exponent + 1  # where the decimal point stands in the digits
    if 0 < point <= 21:
        text = digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        text = f"{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
    return sign + text


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits that read back as the same double, and the exponent of the first."""
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    first = len(whole) - 1 if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0"))) - 1
    return digits.rstrip("0") or "0", first + int(exponent or 0)
