"""Reading the members of one body: what was sent becomes values of the core, what is wrong is kept to the end.

A body is a table of `Field`s in the order of the specification. Their readers note on the `Reading` whatever is wrong,
so that one pass finds every error, in the order of the tables; `Reading.finish` raises them together.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from recaudo.dialects.treli.errors import FieldError
from recaudo.domain.model import Account
from recaudo.edge.bodies import canonical

# Names that were not understood are told in a header, which must stay short.
IGNORED_NAME_CHARS_MAX = 100
CLASH_MESSAGE = "El nombre llegó más de una vez, con valores distintos."
REQUIRED_MESSAGE = "El campo es obligatorio."


class InvalidError(Exception):
    """The body or the query has errors, in the order of the tables."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(", ".join(error.field for error in errors))
        self.errors = tuple(errors)


# --- Names ---


class Trimmed(NamedTuple):
    """A body whose names are trimmed at every level, and the paths of names that became equal by that (0.3)."""

    members: dict[str, Any]
    clashes: frozenset[str]


def trim(body: Mapping[str, Any]) -> Trimmed:
    """A body as this dialect reads it, before anything else looks at it."""
    clashes: set[str] = set()
    return Trimmed(_trim_members("", body, clashes), frozenset(clashes))


def _trim_members(path: str, members: Mapping[str, Any], clashes: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members.items():
        bare = name.strip()
        inner = joined(path, bare)
        trimmed = _trim(inner, value, clashes)
        if bare in found and canonical({"": found[bare]}) != canonical({"": trimmed}):
            clashes.add(inner)
        found[bare] = trimmed
    return found


def _trim(path: str, value: object, clashes: set[str]) -> object:
    if isinstance(value, dict):
        return _trim_members(path, cast("dict[str, Any]", value), clashes)
    if isinstance(value, list):
        return [_trim(f"{path}[{i}]", one, clashes) for i, one in enumerate(cast("list[object]", value))]
    return value


def joined(path: str, name: str) -> str:
    """The path of a member of the object at `path`, as answers and headers can hold it."""
    shown = name[:IGNORED_NAME_CHARS_MAX].encode("utf-8", "replace").decode()
    return f"{path}.{shown}" if path else shown


# --- Fields ---


class Reading:
    """One body while it is read: for whom and when, what is wrong with it, what in it was not understood.

    `known` are the ids that the account has, by their prefix; `currency` is that of the body's money.
    """

    __slots__ = ("_clashes", "account", "currency", "errors", "ignored", "known", "now")

    def __init__(
        self,
        account: Account,
        now: datetime,
        *,
        known: Mapping[str, Collection[UUID]] | None = None,
        clashes: Collection[str] = (),
    ) -> None:
        self.account = account
        self.now = now
        self.known = known or {}
        self.currency = account.currency
        self.errors: list[FieldError] = []
        self.ignored: list[str] = []
        self._clashes = dict.fromkeys(sorted(clashes))

    @property
    def today(self) -> date:
        """The present day in the account's time zone."""
        return self.now.astimezone(ZoneInfo(self.account.time_zone)).date()

    def refuse(self, path: str, message: str) -> None:
        """Note what is wrong with a field, once."""
        error = FieldError(path, message)
        if error not in self.errors:
            self.errors.append(error)

    def clashes(self, path: str) -> bool:
        """Whether a name was sent twice with different values, which is then noted: its value is nobody's."""
        if path not in self._clashes:
            return False
        del self._clashes[path]
        self.refuse(path, CLASH_MESSAGE)
        return True

    def ignore_unknown(self, members: Mapping[str, Any], known: Collection[str], *, inside: str = "") -> None:
        """Note the members of an object that are not among the known ones (1.3)."""
        self.ignored += [joined(inside, name) for name in members if name not in known]

    def finish(self) -> None:
        """Raise InvalidError with all that was refused."""
        for path in list(self._clashes):
            self.clashes(path)
        if self.errors:
            raise InvalidError(self.errors)


Reader = Callable[[Reading, str, object], Any]
"""Reads a value that was sent and is not null: (reading, path, value) -> core value, or None after refusing it."""


class Field(NamedTuple):
    """One row of a body table: the name on the wire, the core's name, how it is read."""

    name: str
    core: str
    read: Reader
    required: bool = False


def read_members(
    reading: Reading, fields: Sequence[Field], members: Mapping[str, Any], *, inside: str = ""
) -> dict[str, Any]:
    """Core names and values of what was sent; `null` equals "not sent" (0.3). Unknown members are noted."""
    values: dict[str, Any] = {}
    for field in fields:
        path = joined(inside, field.name)
        value = members.get(field.name)
        if reading.clashes(path):
            continue
        if value is not None:
            values[field.core] = field.read(reading, path, value)
        elif field.required:
            reading.refuse(path, REQUIRED_MESSAGE)
    names = {field.name for field in fields}
    if not members.keys() <= names:
        reading.ignore_unknown(members, names, inside=inside)
    return values


def read_object(reading: Reading, path: str, value: object) -> dict[str, Any] | None:
    """The members of an object; None after refusing anything else."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    reading.refuse(path, "El valor debe ser un objeto.")
    return None


def read_array(reading: Reading, path: str, value: object, *, low: int, high: int) -> list[Any] | None:
    """The elements of an array of a length within bounds; None after refusing anything else."""
    if not isinstance(value, list):
        reading.refuse(path, "El valor debe ser un arreglo.")
        return None
    elements = cast("list[Any]", value)
    if low <= len(elements) <= high:
        return elements
    reading.refuse(path, f"El arreglo debe tener entre {low} y {high} elementos.")
    return None
