"""An example of each kind of file, to begin with."""

import csv
import io
from tempfile import TemporaryFile

import msgspec
import openpyxl

from recaudo.importing.columns import COLUMNS
from recaudo.usecases.import_options import Format

_SHOWN = tuple(column for column in COLUMNS if column.example)


def template(format_: Format) -> bytes:
    """A file with the columns that most files have, and one row."""
    names, values = [c.name for c in _SHOWN], [c.example for c in _SHOWN]
    match format_:
        case "csv":
            text = io.StringIO()
            csv.writer(text).writerows([names, values])
            # With the mark spreadsheets read UTF-8 as what it is.
            return text.getvalue().encode("utf-8-sig")
        case "jsonl":
            row = {c.name: int(c.example) if c.name == "amount" else c.example for c in _SHOWN}
            return msgspec.json.encode(row) + b"\n"
        case "xlsx":
            return _workbook(names, values)


def _workbook(names: list[str], values: list[str]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("invoices")
    sheet.append(names)
    sheet.append(values)
    with TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        return file.read()
