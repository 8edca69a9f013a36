"""JSONL: one JSON object in each line, in UTF-8."""

import codecs
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from recaudo.edge.bodies import MalformedJsonError, decode_object
from recaudo.importing.columns import REPORT_COLUMNS
from recaudo.importing.errors import FileError, Problem
from recaudo.importing.rows import ROW_BYTES_MAX, Place, Row


class JsonlRows:
    """A file of objects. Each has its own names, which are read as the columns of a table are."""

    titles: tuple[str, ...] | None = None
    traits: Mapping[str, str] = {}

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        mark = len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0
        self.place = Place(mark, 0)

    def rows(self, start: Place | None = None) -> Iterator[Row]:
        """The objects from a place on, empty lines left out."""
        offset, line = start or self.place
        self._file.seek(offset)
        while raw := self._file.readline(ROW_BYTES_MAX + 1):
            offset, line = offset + len(raw), line + 1
            if len(raw) > ROW_BYTES_MAX:
                raise FileError(
                    f"Line {line} is longer than {ROW_BYTES_MAX // 1024} KiB. Nothing from there on was read."
                )
            self.place = Place(offset, line)
            if not raw.isspace():
                yield _row(line, raw)

    def close(self) -> None:
        """Nothing was made."""


def _row(line: int, raw: bytes) -> Row:
    try:
        found = decode_object(raw)
    except MalformedJsonError:
        kept = raw.decode("utf-8", "replace").rstrip("\r\n")
        return Row(line, (), [kept], Problem("", "Must be one JSON object in UTF-8."))
    for name in REPORT_COLUMNS:
        found.pop(name, None)
    return Row(line, tuple(found), list(found.values()))
