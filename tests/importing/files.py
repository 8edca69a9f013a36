"""Files to import, written by tests."""

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import openpyxl

from recaudo.domain.model import Account
from recaudo.importing.files import Batch, batches, open_rows
from recaudo.importing.parsing import Parser
from recaudo.usecases.import_options import ReadOptions

TODAY = date(2025, 10, 20)
ACCOUNT = Account(id=UUID(int=1), merchant_id=UUID(int=2), is_test=False)

ROW: Mapping[str, str] = {
    "external_id": "FV-1",
    "reference": "1060500333",
    "amount": "85000",
    "name": "Plan Internet - Octubre",
    "phone": "+573167591030",
    "due_date": "2025-10-31",
}


def csv_text(rows: Iterable[Mapping[str, str]], *, delimiter: str = ",") -> str:
    """A table whose header are the first row's names."""
    listed = list(rows)
    names = list(listed[0])
    lines = [names, *([row.get(name, "") for name in names] for row in listed)]
    return "".join(delimiter.join(line) + "\r\n" for line in lines)


def numbered(count: int, **fields: str) -> list[dict[str, str]]:
    """So many good rows, each with an id of its own."""
    return [{**ROW, "external_id": f"FV-{number}", **fields} for number in range(count)]


def workbook(rows: Sequence[Sequence[Any]]) -> bytes:
    """A workbook with one sheet."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(content: bytes | str, *, account: Account = ACCOUNT, size: int = 1000, **options: Any) -> list[Batch]:
    """The batches of a file."""
    data = content.encode() if isinstance(content, str) else content
    chosen = ReadOptions(**{"format": "csv", **options})
    rows = open_rows(io.BytesIO(data), chosen)
    try:
        return list(batches(rows, Parser(account, TODAY, chosen), size=size))
    finally:
        rows.close()


def commands(content: bytes | str, **options: Any) -> list[Any]:
    """What a file without faults asks for."""
    found = read(content, **options)
    assert [str(problem) for batch in found for bad in batch.bad for problem in bad.problems] == []
    return [good.command for batch in found for good in batch.good]


def problems(content: bytes | str, **options: Any) -> list[tuple[int, list[str]]]:
    """The lines that are refused, each with what is wrong."""
    return [
        (bad.row.line, [str(problem) for problem in bad.problems])
        for batch in read(content, **options)
        for bad in batch.bad
    ]
