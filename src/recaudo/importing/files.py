"""Opening a file of rows, and going through it batch by batch."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from recaudo.importing.csv_rows import CsvRows
from recaudo.importing.errors import FileError, Problem
from recaudo.importing.jsonl_rows import JsonlRows
from recaudo.importing.parsing import Parser
from recaudo.importing.rows import Place, Row, RowFile
from recaudo.usecases.import_options import Format, ReadOptions
from recaudo.usecases.invoices import OpenInvoice

ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
}


class Good(NamedTuple):
    """A row that asks for an invoice."""

    row: Row
    command: OpenInvoice


class Bad(NamedTuple):
    """A row that is refused, and everything that is wrong with it."""

    row: Row
    problems: list[Problem]


class Batch(NamedTuple):
    """Rows that stand together, and the place after them."""

    good: list[Good]
    bad: list[Bad]
    place: Place

    @property
    def size(self) -> int:
        """How many rows these are."""
        return len(self.good) + len(self.bad)


def format_of(name: str) -> Format:
    """What a file's name says it is. Raises FileError."""
    lowered = name.lower()
    for ending, found in ENDINGS.items():
        if lowered.endswith(ending):
            return found
    if lowered.endswith((".xls", ".xlsb", ".ods", ".numbers")):
        raise FileError("This kind of workbook is not read; save it as .xlsx or as CSV.")
    raise FileError("The file's name must end in .csv, .jsonl or .xlsx; or say its format.")


def open_rows(file: BinaryIO, options: ReadOptions) -> RowFile:
    """The rows of a file that can be read from any place. Raises FileError."""
    match options.format:
        case "csv":
            return CsvRows(file, options.encoding)
        case "jsonl":
            return JsonlRows(file)
        case "xlsx":
            from recaudo.importing.xlsx_rows import XlsxRows

            return XlsxRows(file)


def batches(file: RowFile, parser: Parser, *, size: int, start: Place | None = None) -> Iterator[Batch]:
    """The rows from a place on, `size` at a time. Where the file breaks, what stands before comes first.

    Raises FileError where the file cannot be read any further.
    """
    good: list[Good] = []
    bad: list[Bad] = []
    count = 0
    broken: FileError | None = None
    rows = file.rows(start)
    while True:
        try:
            row = next(rows, None)
        except FileError as error:
            broken, row = error, None
        if row is None:
            break
        if row.problem is not None:
            bad.append(Bad(row, [row.problem]))
        else:
            found = parser.read(row.titles, row.cells)
            if isinstance(found, OpenInvoice):
                good.append(Good(row, found))
            else:
                bad.append(Bad(row, found))
        count += 1
        if count == size:
            yield Batch(good, bad, file.place)
            good, bad, count = [], [], 0
    if count:
        yield Batch(good, bad, file.place)
    if broken is not None:
        raise broken
