"""CSV as spreadsheets write it: either separator, UTF-8 or Windows-1252, a byte order mark or none."""

import codecs
import csv
from collections.abc import Iterator
from typing import BinaryIO

from recaudo.importing.columns import known_titles, match, require
from recaudo.importing.errors import FileError, Problem
from recaudo.importing.rows import ROW_BYTES_MAX, Place, Row
from recaudo.usecases.import_options import Encoding

DELIMITERS = (",", ";", "\t", "|")
# What decides the encoding when nobody said it.
SAMPLE_BYTES = 1024 * 1024

# The reader's own limit is one for the whole process, and ours comes first.
csv.field_size_limit(2 * ROW_BYTES_MAX)


class CsvRows:
    """A CSV file. Its first line that is not empty names the columns."""

    def __init__(self, file: BinaryIO, encoding: Encoding) -> None:
        self._file = file
        self._raw: list[str] = []
        self._bytes = 0
        self._offset, self._line = 0, 0
        self._encoding, mark = _encoding(file, encoding)
        self._seek(Place(mark, 0))
        self.titles: tuple[str, ...] = self._read_titles()
        self.place = Place(self._offset, self._line)
        self.traits = {"delimiter": self._delimiter, "encoding": self._encoding, "mark": "yes" if mark else "no"}

    def rows(self, start: Place | None = None) -> Iterator[Row]:
        """The rows from a place on, empty ones left out."""
        self._seek(start or self.place)
        while True:
            try:
                yield from self._table()
            except csv.Error as error:
                problem = Problem("", f"Is no row of a table ({error}); are its quotes right?")
            except UnicodeDecodeError:
                problem = Problem("", f"Holds bytes that are not {self._encoding}; say the file's encoding.")
            else:
                return
            line = self._line - len(self._raw) + 1
            self.place = Place(self._offset, self._line)
            cells = ["".join(self._raw).rstrip("\r\n")]
            self._begin_row()
            yield Row(line, self.titles, cells, problem)

    def close(self) -> None:
        """Nothing was made."""

    def _table(self) -> Iterator[Row]:
        raw, titles = self._raw, self.titles
        for cells in csv.reader(self._lines(), delimiter=self._delimiter, strict=True):
            line = self._line - len(raw) + 1
            self.place = Place(self._offset, self._line)
            self._begin_row()
            if any(cells):
                yield Row(line, titles, cells)

    def _read_titles(self) -> tuple[str, ...]:
        """The header, read with the separator that makes the most of it."""
        try:
            first = next((line for line in self._lines() if line.strip()), "")
        except UnicodeDecodeError:
            raise FileError(f"The first line is not {self._encoding}; say the file's encoding.") from None
        candidates = {mark: _split(first, mark) for mark in DELIMITERS}
        self._delimiter = max(DELIMITERS, key=lambda mark: (known_titles(candidates[mark]), len(candidates[mark])))
        titles = candidates[self._delimiter]
        self._begin_row()
        if not any(title.strip() for title in titles):
            raise FileError("The file is empty: its first line must name the columns.")
        require(match(titles), titles)
        return tuple(titles)

    def _lines(self) -> Iterator[str]:
        """Decoded lines. The reader asks for one when it needs one, so the offset is always that of the next row."""
        readline, encoding = self._file.readline, self._encoding
        while raw := readline(ROW_BYTES_MAX + 1):
            self._bytes += len(raw)
            self._offset += len(raw)
            self._line += 1
            if self._bytes > ROW_BYTES_MAX:
                began = self._line - len(self._raw)
                raise FileError(
                    f"The row that begins in line {began} is longer than {ROW_BYTES_MAX // 1024} KiB: a quote may not "
                    "be closed. Nothing from there on was read."
                )
            # Shown in the report if it turns out to be no row.
            self._raw.append("")
            text = raw.decode(encoding)
            self._raw[-1] = text
            yield text

    def _begin_row(self) -> None:
        self._raw.clear()
        self._bytes = 0

    def _seek(self, place: Place) -> None:
        self._file.seek(place.offset)
        self._offset, self._line = place
        self._begin_row()


def _split(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark))
    except (csv.Error, StopIteration):
        return []


def _encoding(file: BinaryIO, wanted: Encoding) -> tuple[str, int]:
    """The encoding, and how long the mark is that the file begins with."""
    file.seek(0)
    sample = file.read(SAMPLE_BYTES)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError("The file is UTF-16; save it as CSV UTF-8.")
    if sample.startswith(b"PK\x03\x04"):
        raise FileError("The file is a workbook, not CSV; its name should end in .xlsx.")
    mark = len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0
    if wanted != "auto":
        return wanted, mark
    return ("utf-8" if mark or _is_utf8(sample) else "windows-1252"), mark


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True
