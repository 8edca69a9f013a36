"""The report of refused rows: a file of the same shape as the one they came from, with what is wrong beside each.

Whoever mends it can import it as it is: the two columns that it adds are passed by.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from tempfile import TemporaryFile
from typing import Any

import msgspec

from recaudo.importing.columns import REPORT_COLUMNS, normalised
from recaudo.importing.errors import Problem
from recaudo.usecases.import_options import Format

COPIED_BYTES = 256 * 1024
_WRITTEN_AT_ONCE = 500

MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

_json = msgspec.json.Encoder(decimal_format="number")


class Refused(msgspec.Struct, frozen=True):
    """A refused row as it is kept: its names and cells as JSON can hold them."""

    line: int
    titles: Sequence[str]
    cells: Sequence[Any]
    errors: Sequence[str]


def refused(line: int, titles: Sequence[str], cells: Sequence[Any], problems: Iterable[Problem]) -> Refused:
    """What is kept of a row."""
    return Refused(line, titles, [_plain(cell) for cell in cells], [str(problem) for problem in problems])


def _plain(cell: object) -> object:
    """A cell of a workbook as JSON can hold it."""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if not (cell.hour or cell.minute or cell.second) else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell) if isinstance(cell, (time, timedelta)) else cell


def report(
    format_: Format, titles: Sequence[str] | None, traits: Mapping[str, str], rows: Iterable[Refused]
) -> Iterator[bytes]:
    """The report in pieces."""
    match format_:
        case "csv":
            return _csv(titles or (), traits, rows)
        case "jsonl":
            return _jsonl(rows)
        case "xlsx":
            return _xlsx(titles or (), rows)


def _csv(titles: Sequence[str], traits: Mapping[str, str], rows: Iterable[Refused]) -> Iterator[bytes]:
    encoding = traits.get("encoding", "utf-8")
    if traits.get("mark") == "yes":
        yield codecs.BOM_UTF8
    text = io.StringIO()
    writer = csv.writer(text, delimiter=traits.get("delimiter", ","), lineterminator="\r\n")
    writer.writerow([*_own(titles), *REPORT_COLUMNS])
    for number, row in enumerate(rows, start=1):
        writer.writerow(_line(titles, row))
        if number % _WRITTEN_AT_ONCE == 0:
            yield _taken(text, encoding)
    yield _taken(text, encoding)


def _taken(text: io.StringIO, encoding: str) -> bytes:
    taken = text.getvalue().encode(encoding, "replace")
    text.seek(0)
    text.truncate()
    return taken


def _jsonl(rows: Iterable[Refused]) -> Iterator[bytes]:
    for row in rows:
        # What was no object is kept as it stood.
        members = dict(zip(row.titles, row.cells, strict=bool(row.titles))) or {
            "raw": row.cells[0] if row.cells else ""
        }
        yield _json.encode({**members, "line": row.line, "errors": row.errors}) + b"\n"


def _xlsx(titles: Sequence[str], rows: Iterable[Refused]) -> Iterator[bytes]:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet: Any = book.create_sheet("refused")
    sheet.append([*_own(titles), *REPORT_COLUMNS])
    for row in rows:
        sheet.append([_inert(cell) for cell in _line(titles, row)])
    with TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while block := file.read(COPIED_BYTES):
            yield block


def _inert(cell: object) -> object:
    """Text that a spreadsheet would take for a formula stays text, and marks that no workbook may hold go."""
    if not isinstance(cell, str):
        return cell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    shown = ILLEGAL_CHARACTERS_RE.sub("", cell)
    return f"'{shown}" if shown.startswith("=") else shown


def _own(titles: Sequence[str]) -> list[str]:
    return [title for title in titles if normalised(title) not in REPORT_COLUMNS]


def _line(titles: Sequence[str], row: Refused) -> list[Any]:
    """The row under the same columns; what stood in an earlier report's own is dropped."""
    cells = [*row.cells, *[None] * (len(titles) - len(row.cells))]
    kept = [cell for title, cell in zip(titles, cells, strict=False) if normalised(title) not in REPORT_COLUMNS]
    return [*kept, row.line, in_one_line(row.errors)]


def in_one_line(problems: Iterable[object]) -> str:
    """Every reason why a row was refused, as one sentence."""
    return "; ".join(str(problem).rstrip(".") for problem in problems) + "."
