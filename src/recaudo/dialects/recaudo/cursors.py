"""Cursors of our own lists: opaque to callers, bound to an account, good for ever."""

import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from recaudo.dialects.recaudo.errors import InvalidQueryError
from recaudo.store.events import Place

_FEED = struct.Struct(">B8sq16sii")
_FEED_VERSION = 1
_IDS = struct.Struct(">B8s16s")
_IDS_VERSION = 2
_PAIRS = struct.Struct(">B8s16s16s")
_PAIRS_VERSION = 3


def feed_cursor(account_id: UUID, place: Place) -> str:
    """A place in an account's feed as text."""
    packed = _FEED.pack(
        _FEED_VERSION, _mark(account_id), place.position, place.subject_id.bytes, place.version, place.ordinal
    )
    return _text(packed)


def read_feed_cursor(text: str, account_id: UUID) -> Place:
    """The place that a cursor stands for. Raises InvalidQueryError for one that this account was not given."""
    _, mark, position, subject, version, ordinal = _unpack(_FEED, _FEED_VERSION, text)
    _check(mark, account_id)
    return Place(position, UUID(bytes=subject), version, ordinal)


def id_cursor(account_id: UUID, last: UUID) -> str:
    """A place in a list that is ordered by id."""
    return _text(_IDS.pack(_IDS_VERSION, _mark(account_id), last.bytes))


def read_id_cursor(text: str, account_id: UUID) -> UUID:
    """The id that a cursor stands for. Raises InvalidQueryError."""
    _, mark, last = _unpack(_IDS, _IDS_VERSION, text)
    _check(mark, account_id)
    return UUID(bytes=last)


def read_before(values: Mapping[str, str], account_id: UUID) -> UUID | None:
    """Where the page before ended, if a cursor says so. Raises InvalidQueryError."""
    cursor = values.get("cursor")
    return read_id_cursor(cursor, account_id) if cursor else None


def pair_cursor(account_id: UUID, last: tuple[UUID, UUID]) -> str:
    """A place in a list that is ordered by two ids."""
    return _text(_PAIRS.pack(_PAIRS_VERSION, _mark(account_id), last[0].bytes, last[1].bytes))


def read_pair_cursor(text: str, account_id: UUID) -> tuple[UUID, UUID]:
    """The two ids that a cursor stands for. Raises InvalidQueryError."""
    _, mark, first, second = _unpack(_PAIRS, _PAIRS_VERSION, text)
    _check(mark, account_id)
    return UUID(bytes=first), UUID(bytes=second)


def _mark(account_id: UUID) -> bytes:
    return hashlib.sha256(b"cursor of " + account_id.bytes).digest()[:8]


def _text(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _unpack(form: struct.Struct, version: int, text: str) -> tuple[Any, ...]:
    try:
        packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        values = form.unpack(packed)
    except (UnicodeEncodeError, binascii.Error, struct.error) as error:
        raise _unknown() from error
    if values[0] != version:
        raise _unknown()
    return values


def _check(mark: bytes, account_id: UUID) -> None:
    if mark != _mark(account_id):
        raise _unknown()


def _unknown() -> InvalidQueryError:
    return InvalidQueryError("cursor", "Is none that this account was given for this list.")
