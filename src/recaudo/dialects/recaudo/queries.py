"""Parameters of our own lists, and ids in paths."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from recaudo.dialects.recaudo.errors import InvalidQueryError

LIMIT_DEFAULT = 20
LIMIT_MAX = 100


def read_query(query: Sequence[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    """The parameters by name. Raises InvalidQueryError for one that the list does not have."""
    for name, _ in query:
        if name not in known:
            raise InvalidQueryError(name[:100], f"There is no such parameter; use {', '.join(known)}.")
    return dict(query)


def read_number(values: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    """A whole number between bounds. Raises InvalidQueryError."""
    text = values.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not low <= int(text) <= high:
        raise InvalidQueryError(name, f"Must be a whole number from {low} to {high}.")
    return int(text)


def read_limit(values: Mapping[str, str]) -> int:
    """How many rows a page may have. Raises InvalidQueryError."""
    return read_number(values, "limit", LIMIT_DEFAULT, low=1, high=LIMIT_MAX)


def read_uuid(values: Mapping[str, str], name: str) -> UUID | None:
    """An id to filter by. Raises InvalidQueryError."""
    text = values.get(name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise InvalidQueryError(name, "Must be a UUID.") from None


def read_word(values: Mapping[str, str], name: str, known: Sequence[str]) -> str | None:
    """A word of a list. Raises InvalidQueryError."""
    word = values.get(name)
    if word is not None and word not in known:
        raise InvalidQueryError(name, f"Must be one of {', '.join(known)}.")
    return word


def read_flag(values: Mapping[str, str], name: str) -> bool | None:
    """Yes or no; None when it is not said. Raises InvalidQueryError."""
    word = read_word(values, name, ("true", "false"))
    return None if word is None else word == "true"
