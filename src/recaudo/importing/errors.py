"""What can be wrong with a file.

FileError      the file as a whole cannot be used, or not beyond some line: nothing of that row is loaded
BadValueError  a cell cannot be used: its row is refused, the others go on
"""

from typing import NamedTuple


class FileError(Exception):
    """The file cannot be read, in words for whoever made it."""


class BadValueError(Exception):
    """A cell that cannot be used, in words for whoever made the file."""


class Problem(NamedTuple):
    """What is wrong with one column of a row; `column` is empty when it is the row as a whole."""

    column: str
    message: str

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.column}: {self.message}" if self.column else self.message
