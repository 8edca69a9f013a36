"""The report of refused rows as a file beside the one that is read."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from recaudo.importing.files import Bad
from recaudo.importing.refused import Refused, refused, report
from recaudo.importing.rows import RowFile
from recaudo.usecases.import_options import Format

_decode = msgspec.json.Decoder(Refused)
_encode = msgspec.json.Encoder(decimal_format="number")


class ReportFile:
    """Gathers refused rows on disk, and leaves a file of the right shape if there were any.

    A report is whole or not there: an earlier one stays until this one is finished.
    """

    def __init__(self, path: Path, format_: Format, rows: RowFile) -> None:
        self.path = path
        self.count = 0
        self._format: Format = format_
        self._rows = rows
        self._gathered = path.with_name(f".{path.name}.gathered")
        self._unfinished = path.with_name(f".{path.name}.unfinished")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def add(self, bad: Iterable[Bad]) -> None:
        """Keep rows, in the order of the file."""
        for row, problems in bad:
            if self._file is None:
                self._file = self._gathered.open("w+b")
            kept = refused(row.line, () if self._rows.titles else row.titles, row.cells, problems)
            self._file.write(_encode.encode(kept) + b"\n")
            self.count += 1

    def __exit__(self, *_: object) -> None:
        if self._file is None:
            return
        try:
            with self._file, self._unfinished.open("wb") as out:
                for block in report(self._format, self._rows.titles, self._rows.traits, self._kept(self._file)):
                    out.write(block)
            self._unfinished.replace(self.path)
        finally:
            self._gathered.unlink(missing_ok=True)
            self._unfinished.unlink(missing_ok=True)

    @staticmethod
    def _kept(file: BinaryIO) -> Iterator[Refused]:
        file.seek(0)
        for line in file:
            yield _decode.decode(line)
