"""What every kind of file gives: rows one after the other, and a place to go on from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from recaudo.importing.errors import Problem

# A row of a hundred long cells is far below this; beyond it a quote was not closed.
ROW_BYTES_MAX = 64 * 1024


class Place(NamedTuple):
    """Where the next row begins: bytes of text files, rows of workbooks; and how many lines stand before it."""

    offset: int = 0
    line: int = 0


class Row(NamedTuple):
    """One row as it stands in the file. `problem` says why it is none; its cells then hold what was read of it."""

    line: int
    titles: tuple[str, ...]
    cells: Sequence[Any]
    problem: Problem | None = None


class RowFile(Protocol):
    """An open file of rows."""

    place: Place  # after the row that was given last

    @property
    def titles(self) -> tuple[str, ...] | None:
        """Of a table; objects have their own names."""
        ...

    @property
    def traits(self) -> Mapping[str, str]:
        """What a file of the same shape needs: its delimiter, its encoding."""
        ...

    def rows(self, start: Place | None = None) -> Iterator[Row]:
        """The rows from a place on. Raises FileError where the file cannot be read any further."""
        ...

    def close(self) -> None:
        """Let go of what was made for reading; the file itself is the caller's."""
        ...
