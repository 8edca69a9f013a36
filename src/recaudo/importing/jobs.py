"""Files as jobs read them: the port of usecases/imports.py."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import BinaryIO

import msgspec

from recaudo.domain.model import Account
from recaudo.importing.errors import FileError
from recaudo.importing.files import Bad, Batch, batches, open_rows
from recaudo.importing.loading import why
from recaudo.importing.parsing import Parser
from recaudo.importing.refused import MEDIA_TYPES, Refused, refused, report
from recaudo.importing.rows import Place, RowFile
from recaudo.store.imports import ImportJob, Refusal
from recaudo.usecases.import_options import Format, ReadOptions
from recaudo.usecases.importing import Differs, Outcome, Unwritable
from recaudo.usecases.imports import Piece, UnreadableError


class FileOfRows:
    """One file, read piece by piece."""

    def __init__(self, rows: RowFile, parser: Parser, *, start: Place | None, size: int) -> None:
        self._rows = rows
        self._parser = parser
        self._batches = batches(rows, parser, size=size, start=start)

    @property
    def titles(self) -> Sequence[str] | None:
        """Its columns, if it is a table."""
        return self._rows.titles

    @property
    def traits(self) -> Mapping[str, str]:
        """What a report of the same shape needs."""
        return self._rows.traits

    @property
    def ignored(self) -> Sequence[str]:
        """The columns met so far that nothing is called."""
        return tuple(self._parser.ignored)

    def next(self) -> Piece | None:
        """The next rows; None at the end. Raises UnreadableError."""
        try:
            batch = next(self._batches, None)
        except FileError as error:
            raise UnreadableError(str(error)) from error
        return None if batch is None else self._piece(batch)

    def _piece(self, batch: Batch) -> Piece:
        def refuse(number: int, outcome: Outcome) -> Refusal:
            assert isinstance(outcome, (Differs, Unwritable)), "others went well"
            return self._refusal(Bad(batch.good[number].row, [why(outcome)]))

        return Piece(
            commands=[good.command for good in batch.good],
            refused=[self._refusal(bad) for bad in batch.bad],
            refuse=refuse,
            offset=batch.place.offset,
            line=batch.place.line,
        )

    def _refusal(self, bad: Bad) -> Refusal:
        row, problems = bad
        kept = refused(row.line, () if self._rows.titles else row.titles, row.cells, problems)
        return Refusal(row.line, msgspec.to_builtins(kept))


class FilesOfRows:
    """Every format."""

    def open(
        self,
        file: BinaryIO,
        options: ReadOptions,
        account: Account,
        today: date,
        *,
        start: tuple[int, int] | None,
        size: int,
    ) -> FileOfRows:
        """Read `size` rows at a time, from a place on. Raises UnreadableError."""
        try:
            rows = open_rows(file, options)
        except FileError as error:
            raise UnreadableError(str(error)) from error
        place = None if start is None else Place(*start)
        return FileOfRows(rows, Parser(account, today, options), start=place, size=size)

    def report(self, job: ImportJob, format_: Format, refusals: Iterable[Refusal]) -> Iterator[bytes]:
        """A file of the same shape with the refused rows and why."""
        return report(format_, job.titles, job.traits, (msgspec.convert(it.kept, Refused) for it in refusals))

    def media_type(self, format_: Format) -> str:
        """What a file of this format is called over HTTP."""
        return MEDIA_TYPES[format_]
