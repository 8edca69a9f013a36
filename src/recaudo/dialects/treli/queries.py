"""Reading the query of a list: page, span of time and filters (Treli specification, section 4)."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.fields import DATE_MESSAGE, as_instant, is_storable
from recaudo.dialects.treli.reading import IGNORED_NAME_CHARS_MAX, Reading
from recaudo.domain.money import DECIMALS
from recaudo.edge.contacts import read_email
from recaudo.store.lists import CursorRequest

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
CURSOR = "start_after"
CURSOR_MESSAGE = "No es el next_cursor de una página de esta lista."
PAGING = ("limit", CURSOR, "created_after", "created_before")

_NUMBER = re.compile(r"[0-9]{1,9}")

Filter = Callable[[Reading, str, str], Sequence[object]]
"""Reads a filter's value: what the store compares with; nothing when nothing can match."""
Filters = Mapping[str, Filter]


def parse_list(
    reading: Reading, query: Sequence[tuple[str, str]], prefix: str, filters: Filters
) -> tuple[CursorRequest, dict[str, Sequence[object]]]:
    """Which rows of a list of objects with this prefix are asked for.

    Of a parameter that is sent twice the last one counts. Raises InvalidError with every error.
    """
    sent = {name: value.strip() for name, value in query}
    wanted = CursorRequest(
        limit=_limit(reading, sent.get("limit")),
        after=_cursor(reading, sent.get(CURSOR), prefix),
        created_after=_instant(reading, "created_after", sent.get("created_after")),
        created_before=_instant(reading, "created_before", sent.get("created_before")),
    )
    asked = {name: read(reading, name, sent[name]) for name, read in filters.items() if name in sent}
    for name in sent:
        if name not in PAGING and name not in filters:
            shown = name[:IGNORED_NAME_CHARS_MAX].encode("utf-8", "replace").decode()
            reading.refuse(shown, f"Este parámetro no existe. Existen: {', '.join((*PAGING, *filters))}.")
    reading.finish()
    return wanted, asked


def _limit(reading: Reading, value: str | None) -> int:
    if value is None:
        return LIMIT_DEFAULT
    if _NUMBER.fullmatch(value) and 1 <= int(value) <= LIMIT_MAX:
        return int(value)
    reading.refuse("limit", f"El valor debe ser un número entero entre 1 y {LIMIT_MAX}.")
    return LIMIT_DEFAULT


def _cursor(reading: Reading, value: str | None, prefix: str) -> UUID | None:
    if value is None:
        return None
    found = ids.read(prefix, value)
    if found is None:
        reading.refuse(CURSOR, CURSOR_MESSAGE)
    return found


def _instant(reading: Reading, name: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    found = as_instant(value, reading.account)
    if found is None:
        reading.refuse(name, DATE_MESSAGE)
    return found


# --- Filters ---


def words(*allowed: str) -> Filter:
    """One of a few words."""

    def read(reading: Reading, name: str, value: str) -> Sequence[object]:
        if value not in allowed:
            reading.refuse(name, f"El valor debe ser uno de: {', '.join(allowed)}.")
        return [value]

    return read


def flag(reading: Reading, name: str, value: str) -> Sequence[object]:
    """True or false."""
    if value not in {"true", "false"}:
        reading.refuse(name, "El valor debe ser true o false.")
    return [value == "true"]


def text(_: Reading, __: str, value: str) -> Sequence[object]:
    """Text, compared exactly."""
    return [value] if value and is_storable(value) else []


def email(reading: Reading, name: str, value: str) -> Sequence[object]:
    """A mailbox, compared as it is kept."""
    return text(reading, name, read_email(value) or value)


def object_id(prefix: str) -> Filter:
    """The id of an object; one that does not exist matches nothing."""

    def read(_: Reading, __: str, value: str) -> Sequence[object]:
        found = ids.read(prefix, value)
        return [] if found is None else [found]

    return read


currency: Filter = words(*DECIMALS)
"""A currency."""
