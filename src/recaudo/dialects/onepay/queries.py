"""Reading the query of a list: page, filters and order (OnePay specification, section 4)."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from recaudo.dialects.onepay.fields import as_uuid
from recaudo.store.lists import PageRequest

PER_PAGE_DEFAULT = 20
PER_PAGE_MAX = 100
# No list has this many pages; the product with PER_PAGE_MAX stays far inside a 64-bit integer.
PAGE_MAX = 10**12
SHOWN_CHARS_MAX = 100

Kind = Literal["invoices", "payments", "payment_intents", "customers", "webhooks"]
Filters = dict[str, list[object]]


class InvalidQueryError(Exception):
    """The query has errors: `errors` by parameter, and the `message` that sums them up (3.2)."""

    def __init__(self, errors: dict[str, list[str]], message: str) -> None:
        super().__init__(message)
        self.errors = errors
        self.message = message


class _List(NamedTuple):
    """What may be asked of a list. `statuses` gives the core's words of each status on the wire, in any case."""

    filters: tuple[str, ...]
    statuses: Mapping[str, tuple[str, ...]] = {}
    sorts: tuple[str, ...] = ("created_at", "-created_at")
    plain: Mapping[str, str] = {}  # parameters that mean another one


_LISTS: Mapping[Kind, _List] = {
    "invoices": _List(
        ("status", "reference", "provider", "provider_id", "id"),
        {
            "CREATED": ("open",),
            "PARTIALLY_PAID": ("part",),
            "PAID": ("paid",),
            "CANCELLED": ("void",),
            "UNCOLLECTIBLE": ("uncollectible",),
        },
    ),
    "payments": _List(
        ("status", "id", "external_id", "reference"),
        {
            "pending": ("pending",),
            "in_progress": ("in_progress",),
            "partially_paid": ("part",),
            "approved": ("paid",),
            "refunded": ("refunded",),
            "cancelled": ("cancelled",),
            "declined": (),  # reserved: no payment of this version is ever declined
            "expired": ("expired",),
            "partial_expired": ("part_expired",),
        },
    ),
    "payment_intents": _List(
        ("id", "status", "external_id"),
        {
            "created": ("created",),
            "paid": ("succeeded",),
            "processing": ("processing", "unknown"),
            "failed": ("failed",),
            "refunded": ("refunded",),
            "disputed": ("disputed",),
            "succeeded": ("succeeded",),
        },
        sorts=("created_at", "-created_at", "paid_at", "-paid_at"),
    ),
    "customers": _List(
        ("id", "document_number", "email", "phone"),
        plain={"document_number": "filter[document_number]", "limit": "per_page"},
    ),
    "webhooks": _List(("id",)),
}

_NUMBER = re.compile(r"[0-9]{1,13}")
_FILTER = re.compile(r"filter\[(.*)", re.DOTALL)
# What no column holds, so no row can match it: U+0000 and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class _Query:
    """One query while it is read."""

    def __init__(self, rules: _List) -> None:
        self.rules = rules
        self.page, self.per_page, self.sort = 1, PER_PAGE_DEFAULT, "-created_at"
        self.filters: Filters = {}
        self.ignored: list[str] = []
        self.errors: dict[str, list[str]] = {}
        self.messages: list[str] = []

    def refuse(self, parameter: str, text: str, message: str | None = None) -> None:
        """Note an error; `message` is how the summary puts it, if otherwise."""
        self.errors.setdefault(_shown(parameter), []).append(text)
        self.messages.append(message or text)


def parse_list(query: Sequence[tuple[str, str]], kind: Kind) -> tuple[PageRequest, Filters, list[str]]:
    """Which page of which rows is asked for, and the names of parameters that were not understood.

    Filters are named and valued as store.views takes them; a filter that can match nothing has no values. Of a
    parameter that is sent twice the last one counts. Raises InvalidQueryError with every error.
    """
    rules = _LISTS[kind]
    reading = _Query(rules)
    sent = dict(query)
    for name, value in sent.items():
        meaning = rules.plain.get(name, name)
        if meaning != name and meaning in sent:
            continue
        match meaning:
            case "page":
                reading.page = _read_number(reading, name, value, high=PAGE_MAX)
            case "per_page":
                reading.per_page = _read_number(reading, name, value, high=PER_PAGE_MAX)
            case "sort":
                reading.sort = _read_sort(reading, name, value)
            case _:
                _read_other(reading, name, meaning, value)
    if reading.errors:
        raise InvalidQueryError(reading.errors, " ".join(reading.messages))
    wanted = PageRequest(page=reading.page, per_page=reading.per_page, sort=reading.sort)
    return wanted, reading.filters, reading.ignored


def _read_number(reading: _Query, name: str, value: str, *, high: int) -> int:
    trimmed = value.strip()
    if _NUMBER.fullmatch(trimmed) and 1 <= int(trimmed) <= high:
        return int(trimmed)
    bounds = "desde 1" if high == PAGE_MAX else f"entre 1 y {high}"
    reading.refuse(name, f"El parámetro {name} debe ser un número entero {bounds}.")
    return 1


def _read_sort(reading: _Query, name: str, value: str) -> str:
    sort = value.strip()
    if sort not in reading.rules.sorts:
        allowed = ", ".join(reading.rules.sorts)
        reading.refuse(
            name,
            f"Orden no permitido. Permitidos: {allowed}.",
            f"Orden no permitido: {_shown(sort)}. Órdenes permitidos: {allowed}.",
        )
    return sort


def _read_other(reading: _Query, name: str, meaning: str, value: str) -> None:
    """A filter, or a parameter that nobody knows and that is only reported."""
    matched = _FILTER.fullmatch(meaning)
    if matched is None:
        reading.ignored.append(_shown(name))
        return
    wanted = matched[1].removesuffix("]")
    if wanted not in reading.rules.filters or not meaning.endswith("]"):
        allowed = ", ".join(reading.rules.filters)
        reading.refuse(
            name,
            f"Filtro no permitido. Permitidos: {allowed}.",
            f"Filtro no permitido: {_shown(wanted)}. Filtros permitidos: {allowed}.",
        )
        return
    words = [word.strip() for word in value.split(",")]
    # A comma too many names nothing; a filter without any word is one that matches nothing.
    words = [word for word in words if word] or words
    if wanted == "status":
        _read_statuses(reading, name, words)
    elif wanted == "id":
        reading.filters["id"] = [found for word in words if (found := as_uuid(word)) is not None]
    else:
        reading.filters[wanted] = [word for word in words if word and not _UNSTORABLE.search(word)]


def _read_statuses(reading: _Query, name: str, words: Sequence[str]) -> None:
    known = {word.lower(): core for word, core in reading.rules.statuses.items()}
    reading.filters["status"] = [core for word in words for core in known.get(word.lower(), ())]
    unknown = [word for word in words if word.lower() not in known]
    if unknown:
        allowed = ", ".join(reading.rules.statuses)
        reading.refuse(
            name,
            f"Estado no permitido. Permitidos: {allowed}.",
            f"Estado no permitido: {_shown(', '.join(unknown))}. Estados permitidos: {allowed}.",
        )


def _shown(text: str) -> str:
    """What was sent, short enough to be shown, and without what an answer cannot hold."""
    return text[:SHOWN_CHARS_MAX].encode("utf-8", "replace").decode()
