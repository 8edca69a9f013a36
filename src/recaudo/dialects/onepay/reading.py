"""Reading the members of one body: what was sent becomes values of the core, what is wrong is kept to the end.

A body is a table of `Field`s in the order of the specification. Its readers note on the `Reading` whatever is wrong,
so that one pass finds every error; `Reading.finish` raises them together.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from recaudo.domain.model import Account

# Names that were not understood are told in a header, which must stay short.
IGNORED_NAME_CHARS_MAX = 100


class InvalidError(Exception):
    """The body has errors: `errors` maps each field's path to its messages, in the order of the body table."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(", ".join(errors))
        self.errors = errors


class Reading:
    """One body while it is read: for whom and when, what is wrong with it, what in it was not understood.

    `now` is needed by bodies with instants, `known_customers` by those that name customers. `amount_minor` is the
    amount as far as it is known; other fields are checked against it.
    """

    __slots__ = ("account", "amount_minor", "errors", "ignored", "known_customers", "now", "today")

    def __init__(
        self,
        account: Account,
        today: date,
        *,
        now: datetime | None = None,
        known_customers: Collection[UUID] = (),
        amount_minor: int | None = None,
    ) -> None:
        self.account = account
        self.today = today
        self.now = now
        self.known_customers = known_customers
        self.amount_minor = amount_minor
        self.errors: dict[str, list[str]] = {}
        self.ignored: list[str] = []

    def refuse(self, path: str, message: str) -> None:
        """Note what is wrong with a field, once."""
        messages = self.errors.setdefault(path, [])
        if message not in messages:
            messages.append(message)

    def ignore_unknown(self, members: Mapping[str, Any], known: Collection[str], *, inside: str = "") -> None:
        """Note the members of an object that are not among the known ones."""
        for name in members:
            if name not in known:
                # A header cannot hold half a surrogate pair.
                shown = name[:IGNORED_NAME_CHARS_MAX].encode("utf-8", "replace").decode()
                self.ignored.append(f"{inside}.{shown}" if inside else shown)

    def finish(self, fields: Sequence["Field"]) -> None:
        """Raise InvalidError with all that was refused, in the order of the table."""
        if not self.errors:
            return
        places = {field.name: place for place, field in enumerate(fields)}

        def place(path: str) -> int:
            return places.get(path.split(".", 1)[0], len(places))

        raise InvalidError({path: self.errors[path] for path in sorted(self.errors, key=place)})


Reader = Callable[[Reading, str, object], Any]
"""Reads a value that was sent and is not null: (reading, path, value) -> core value, or None after refusing it."""


class Field(NamedTuple):
    """One row of a body table: the name on the wire, the core's name, how it is read."""

    name: str
    core: str
    read: Reader
    required: bool = False


def read_created(reading: Reading, fields: Sequence[Field], body: Mapping[str, Any]) -> dict[str, Any]:
    """Core names and values of what was sent. `null` equals "not sent" (0.3)."""
    values: dict[str, Any] = {}
    for name, core, read, required in fields:
        value = body.get(name)
        if value is not None:
            values[core] = read(reading, name, value)
        elif required:
            reading.refuse(name, f"El campo {name} es obligatorio.")
    return values


def read_changed(reading: Reading, fields: Sequence[Field], body: Mapping[str, Any]) -> dict[str, Any]:
    """Core names and values of what was sent. `null` clears an optional field, None, and is refused for others."""
    values: dict[str, Any] = {}
    for name, core, read, required in fields:
        if name not in body:
            continue
        value = body[name]
        if value is not None:
            values[core] = read(reading, name, value)
        elif required:
            reading.refuse(name, f"El campo {name} no puede ser null.")
        else:
            values[core] = None
    return values
