"""Wompi's events (gateways specification, section 2.8): is one genuine, and what is it about? Pure, and never raises.

The checksum covers the values of some members, so they are taken as they stand in the JSON: a number's characters
rather than its value, because 1000, 1e3 and 1000.0 sign differently.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

from recaudo.gateways.wompi import keys, reading
from recaudo.usecases.ports import Claim, Configured, Notice, RawNotice

BYTES_MAX: Final = 256 * 1024
PROPERTIES_MAX: Final = 50
HEADER: Final = "x-event-checksum"

_CHECKSUM: Final = re.compile(r"[0-9A-Fa-f]{64}")
_INTEGER: Final = re.compile(r"[0-9]{1,20}")
_WORD: Final = re.compile(r"[!-~]{1,255}")
_KEY_CHARS_MAX: Final = 255


class _Number(str):
    """The characters of a number, to tell them from those of a text."""

    __slots__ = ()


class _ForgedError(Exception):
    """The event is not to be believed, and why."""


def read(raw: RawNotice, configured: Configured) -> Notice:
    """What an event says, if its checksum was made with the account's secret."""
    try:
        event = _event(raw.body)
        _check_environment(event, configured)
        timestamp = event.get("timestamp")
        if not isinstance(timestamp, _Number) or not _INTEGER.fullmatch(timestamp):
            raise _ForgedError("timestamp")
        checksum = _check_sum(event, timestamp, raw.headers.get(HEADER), keys.key(configured, keys.EVENTS))
        return _believed(event, timestamp, checksum)
    except _ForgedError as why:
        return Notice(verdict="invalid", reason=str(why))


def _event(body: bytes) -> Mapping[str, Any]:
    if len(body) > BYTES_MAX:
        raise _ForgedError("too_large")
    try:
        event = json.loads(body.decode(), parse_int=_Number, parse_float=_Number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _ForgedError("no_json") from None
    if not isinstance(event, dict):
        raise _ForgedError("no_event")
    return cast("Mapping[str, Any]", event)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check_environment(event: Mapping[str, Any], configured: Configured) -> None:
    if event.get("environment") != ("test" if configured.is_test else "prod"):
        raise _ForgedError("environment")


def _check_sum(event: Mapping[str, Any], timestamp: str, header: str | None, secret: str) -> str:
    """The event's checksum in lower case, once it is the right one."""
    signature = reading.object_at(event, "signature")
    given, properties = signature.get("checksum"), signature.get("properties")
    if not isinstance(given, str) or not _CHECKSUM.fullmatch(given) or not isinstance(properties, list):
        raise _ForgedError("signature")
    if not secret:
        raise _ForgedError("no_secret")  # what is signed with nothing can be signed by anybody
    paths = cast("list[Any]", properties)
    if not 0 < len(paths) <= PROPERTIES_MAX:
        raise _ForgedError("properties")
    signed = "".join(_value(event.get("data"), path) for path in paths) + timestamp + secret
    expected = hashlib.sha256(_utf8(signed)).hexdigest()
    if not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise _ForgedError("checksum")
    if header is not None and not hmac.compare_digest(_utf8(header.strip().lower()), expected.encode()):
        raise _ForgedError("header")
    return expected


def _value(data: object, path: object) -> str:
    """What stands at a path, character by character. Null is no value: nobody says how it would be signed."""
    if not isinstance(path, str):
        raise _ForgedError("properties")
    found: Any = data
    for name in path.split("."):
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    if isinstance(found, bool):
        return "true" if found else "false"
    if not isinstance(found, str):
        raise _ForgedError("properties")
    return found


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _ForgedError("no_text") from None  # half of a surrogate pair


def _believed(event: Mapping[str, Any], timestamp: str, checksum: str) -> Notice:
    """A genuine event. One of another type than transactions' has nothing to ask about; the list may grow."""
    name = _word(event.get("event"))
    transaction = reading.object_at(event.get("data"), "transaction")
    if name != "transaction.updated" or not transaction:
        return Notice(verdict="valid", dedupe_key=f"{(name or 'unnamed')[:100]}+{checksum}+{timestamp}")
    transaction_id, status = _word(transaction.get("id")), _word(transaction.get("status"))
    claim = Claim(
        gateway_tx_id=transaction_id,
        reference=_word(transaction.get("reference")),
        claimed_state=None if status is None else reading.state_of(status),
    )
    key = f"{name}+{transaction_id}+{status}+{timestamp}"
    if transaction_id is None or status is None or len(key) > _KEY_CHARS_MAX:
        key = f"{name}+{checksum}+{timestamp}"
    has_any = claim.gateway_tx_id is not None or claim.reference is not None
    return Notice(verdict="valid", dedupe_key=key, claims=(claim,) if has_any else ())


def _word(value: object) -> str | None:
    """A text that may be kept and asked about; what is signed may still be strange."""
    is_word = isinstance(value, str) and not isinstance(value, _Number) and _WORD.fullmatch(value)
    return str(value) if is_word else None
