"""JSON bodies: decoding one object, its canonical text, and what differs between two of those texts.

No number becomes binary floating point here: a whole one is an `int` however it was written (50000, 50000.0, 5e4),
any other a `Decimal`. What no field can hold (half a surrogate pair, 1e400) is decoded all the same, so that the
dialect's validation names the field instead of calling the whole body malformed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Literal, NoReturn, cast

import msgspec

DEPTH_MAX = 32
# What Python's default decimal context computes with. Nobody means a number beyond it.
EXPONENT_MAX = 999_999
VALUE_CHARS_MAX = 100
# Nobody reads more differences than this, and a body of a million small ones must not make a huge answer.
DIFFERENCES_MAX = 500

ABSENT = "—"
"""What `differences` shows for a member that one body does not have. No JSON value is written like this."""

Reason = Literal["not_utf8", "not_json", "not_an_object", "too_deep"]


class MalformedJsonError(Exception):
    """The body is not one JSON object in UTF-8; `reason` says in which way."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` is (wire specifications, section 1.4).

    Values are str, int, Decimal, bool, None, list and dict. Among equal member names the last one wins.
    Raises MalformedJsonError for anything but one object in UTF-8, nested at most DEPTH_MAX levels.
    """
    try:
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = _decode_tolerantly(body)
    except RecursionError:
        raise MalformedJsonError("too_deep") from None
    # Few brackets cannot be nested deeply, whatever they are: most bodies need no closer look.
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX and _is_too_deep(body):
        raise MalformedJsonError("too_deep")
    return value


def canonical(value: Mapping[str, Any] | None) -> str:
    """A body as text in which equal bodies are equal: members sorted, equal numbers written alike.

    `value` is what `decode_object` gave; None, no body at all, equals {}. The text is JSON, can be encoded in UTF-8
    and holds no U+0000, so it can be stored.
    """
    return _text(value) if value else "{}"


def differences(first: str, second: str) -> list[tuple[str, str, str]]:
    """Every member that differs between two canonical bodies: its path, its value in `first` and in `second`.

    Paths are dotted, elements of arrays as [0]. Values are canonical JSON cut to VALUE_CHARS_MAX characters, or
    ABSENT: an absent member differs from null. Members of `second` come first, in its order. At most DIFFERENCES_MAX.
    """
    found: list[tuple[str, str, str]] = []
    _compare("", decode_object(first.encode()), decode_object(second.encode()), found)
    return found


# --- Numbers ---

# Above this many digits a whole number stays a Decimal: 1e999999999 as an int would fill the memory.
_WHOLE_DIGITS_MAX = 40
_WHOLE_MAX = 10**_WHOLE_DIGITS_MAX
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])


def _number(text: str) -> int | Decimal:
    """The exact value of a JSON number, so that equal numbers are equal in type and text too."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = _nearest(text)
    if not -EXPONENT_MAX <= number.adjusted() <= EXPONENT_MAX:
        number = _nearest(text)
    if number.adjusted() < _WHOLE_DIGITS_MAX and number == number.to_integral_value():
        return int(number)
    return number.normalize(_EXACT)


def _nearest(text: str) -> Decimal:
    """A stand-in for a number that decimal cannot compute with: just as far too large, or too close to zero."""
    mantissa, _, exponent = text.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    if not mantissa.strip("-0."):
        return Decimal(0)
    return Decimal(f"{sign}1E{'-' if exponent.startswith('-') else '+'}{EXPONENT_MAX}")


# --- Decoding ---

_DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=_number)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_FOLD_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_TOLERANT_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_refuse_constant)


def _decode_tolerantly(body: bytes) -> dict[str, Any]:
    """Decode what msgspec refuses although the grammar allows it: lone surrogate escapes, very long numbers."""
    try:
        value: object = _TOLERANT_DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedJsonError("not_utf8") from None
    except RecursionError:
        raise MalformedJsonError("too_deep") from None
    except ValueError:
        raise MalformedJsonError("not_json") from None
    if not isinstance(value, dict):
        raise MalformedJsonError("not_an_object")
    return cast("dict[str, Any]", value)


def _is_too_deep(body: bytes) -> bool:
    """Whether a valid body is nested too deeply. Each round takes the innermost level away, at the speed of C."""
    brackets = _STRING.sub(b"", body).translate(_FOLD_BRACKETS, _NO_BRACKETS)
    for _ in range(DEPTH_MAX):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


# --- Canonical text ---

_ENCODER = msgspec.json.Encoder(order="deterministic", decimal_format="number")


def _text(value: object) -> str:
    if _are_written_as_is((value,)):
        try:
            return _ENCODER.encode(value).decode()
        except UnicodeEncodeError:
            return _careful_text(value)
    return _careful_text(value)


def _are_written_as_is(values: Iterable[object]) -> bool:
    """Whether msgspec writes these as `_careful_text` would. Floats and very long whole numbers need more care."""
    for value in values:
        kind = type(value)
        if kind is str or kind is bool or value is None or kind is Decimal:
            continue
        if isinstance(value, int):
            if not -_WHOLE_MAX < value < _WHOLE_MAX:
                return False
        elif isinstance(value, dict):
            if not _are_written_as_is(cast("dict[str, object]", value).values()):
                return False
        elif not isinstance(value, list) or not _are_written_as_is(cast("list[object]", value)):
            return False
    return True


def _careful_text(value: object) -> str:
    match value:
        case dict():
            members = sorted(cast("dict[str, object]", value).items())
            return "{" + ",".join(f"{_quoted(name)}:{_careful_text(item)}" for name, item in members) + "}"
        case list():
            return "[" + ",".join(map(_careful_text, cast("list[object]", value))) + "]"
        case str():
            return _quoted(value)
        case bool() | None:
            return json.dumps(value)
        case _:
            return str(_number(str(value)))


def _quoted(text: str) -> str:
    try:
        return _ENCODER.encode(text).decode()
    except UnicodeEncodeError:
        # Half a surrogate pair exists in JSON as an escape only.
        return json.dumps(text)


# --- Differences ---


def _compare(path: str, first: object, second: object, found: list[tuple[str, str, str]]) -> None:
    if len(found) >= DIFFERENCES_MAX:
        return
    ours, theirs = _shown(first), _shown(second)
    if ours == theirs:
        return
    if isinstance(first, dict) and isinstance(second, dict):
        _compare_objects(path, cast("dict[str, object]", first), cast("dict[str, object]", second), found)
    elif isinstance(first, list) and isinstance(second, list):
        _compare_arrays(path, cast("list[object]", first), cast("list[object]", second), found)
    else:
        found.append((path, _short(ours), _short(theirs)))


def _compare_objects(
    path: str, first: dict[str, object], second: dict[str, object], found: list[tuple[str, str, str]]
) -> None:
    for name in [*second, *(name for name in first if name not in second)]:
        # The path goes into an answer, which cannot hold half a surrogate pair.
        shown = _short(name.encode("utf-8", "replace").decode())
        inner = f"{path}.{shown}" if path else shown
        _compare(inner, first.get(name, _Absent), second.get(name, _Absent), found)


def _compare_arrays(path: str, first: list[object], second: list[object], found: list[tuple[str, str, str]]) -> None:
    for index in range(max(len(first), len(second))):
        ours = first[index] if index < len(first) else _Absent
        theirs = second[index] if index < len(second) else _Absent
        _compare(f"{path}[{index}]", ours, theirs, found)


class _Absent:
    """Stands for a member that is not there."""


def _shown(value: object) -> str:
    return ABSENT if value is _Absent else _text(value)


def _short(text: str) -> str:
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 3] + "..."
