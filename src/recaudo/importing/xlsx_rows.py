"""XLSX workbooks, read row by row. The first sheet counts, and its first row that is not empty names the columns.

A workbook is a ZIP of XML, so a small one may unpack to anything: sizes are checked before anything is unpacked, and
the sheet is looked through for rows of a size that no spreadsheet writes.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from recaudo.importing.columns import COLUMNS_MAX, match, require
from recaudo.importing.errors import FileError, Problem
from recaudo.importing.rows import Place, Row

# A full sheet, a million rows of ten columns, is about half of this.
SHEET_BYTES_MAX = 2 * 1024**3
# These are held in memory while the sheet is read.
PART_BYTES_MAX = 64 * 1024**2
PARTS_MAX = 2_000
# Between the beginnings of two rows; a row of our size limit with all its marks is below.
ROW_XML_BYTES_MAX = 1024**2

_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_BROKEN = (
    zipfile.BadZipFile,
    InvalidFileException,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    OverflowError,
    NotImplementedError,
)


class XlsxRows:
    """A workbook's first sheet. Places count rows."""

    traits: Mapping[str, str] = {}

    def __init__(self, file: BinaryIO) -> None:
        check(file)
        file.seek(0)
        try:
            self._book = openpyxl.load_workbook(file, read_only=True, data_only=False, keep_links=False)
            self._sheet: Any = self._book.worksheets[0]
            self._sheet.reset_dimensions()
        except _BROKEN as error:
            raise _unreadable() from error
        self.titles: tuple[str, ...] = ()
        self.place = Place()
        self._read_titles()

    def rows(self, start: Place | None = None) -> Iterator[Row]:
        """The rows from a place on, empty ones left out."""
        first = (start or self.place).offset + 1
        for number, cells in self._values(first):
            self.place = Place(number, number)
            if any(cell is not None and cell != "" for cell in cells):
                yield _row(number, self.titles, cells)

    def close(self) -> None:
        """Close the parts of the workbook that are open."""
        self._book.close()

    def _read_titles(self) -> None:
        for number, cells in self._values(1):
            titles = ["" if cell is None else str(cell) for cell in cells]
            if any(title.strip() for title in titles):
                while titles and not titles[-1].strip():
                    titles.pop()
                require(match(titles), titles)
                self.titles, self.place = tuple(titles), Place(number, number)
                return
        raise FileError("The first sheet is empty: its first row must name the columns.")

    def _values(self, first: int) -> Iterator[tuple[int, Sequence[Any]]]:
        try:
            # A cell far to the right would otherwise make rows of 16,384 cells.
            rows = self._sheet.iter_rows(min_row=first, max_col=COLUMNS_MAX + 1, values_only=True)
            yield from enumerate(rows, start=first)
        except _BROKEN as error:
            raise _unreadable() from error


def _row(number: int, titles: tuple[str, ...], cells: Sequence[Any]) -> Row:
    width = len(titles)
    if any(cell is not None and cell != "" for cell in cells[width:]):
        return Row(number, titles, cells, Problem("", "Has values beyond the last column that the first row names."))
    return Row(number, titles, cells[:width])


def check(file: BinaryIO) -> None:
    """Refuse what is no workbook, or would unpack to more than one is. Raises FileError."""
    try:
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > PARTS_MAX:
                raise FileError("The workbook has too many parts; save its first sheet as CSV.")
            for part in parts:
                _check_part(archive, part)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        raise _unreadable() from error


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    is_sheet = _SHEET.fullmatch(part.filename) is not None
    if part.file_size > (SHEET_BYTES_MAX if is_sheet else PART_BYTES_MAX):
        raise FileError("The workbook is too large to be read; save its first sheet as CSV.")
    if is_sheet:
        with archive.open(part) as sheet:
            _check_rows(sheet)


def _check_rows(sheet: Any) -> None:  # noqa: ANN401 - a ZipExtFile
    """Reading a row takes memory for all of it: look for one that no spreadsheet writes."""
    since = 0
    rest = b""
    while block := sheet.read(ROW_XML_BYTES_MAX // 2):
        last = (rest + block).rfind(b"<row")
        since = since + len(block) if last < 0 else len(rest) + len(block) - last
        if since > ROW_XML_BYTES_MAX:
            raise FileError("The workbook has a row that is too large; save its first sheet as CSV.")
        rest = block[-3:]


def _unreadable() -> FileError:
    return FileError("The file is no workbook that can be read; save it as .xlsx again, or as CSV.")
