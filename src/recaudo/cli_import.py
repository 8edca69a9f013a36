"""recaudo import: loads a file of invoices, shows how far it is, and keeps what was refused."""

import gc
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Self

import msgspec
import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from recaudo.cli_shell import account_of, console, fail, with_core_alone
from recaudo.config import read_settings

# What the exit status says besides 0 (all rows are in), 1 (it could not go on) and 2 (the arguments make no sense).
ROWS_REFUSED = 3
REFUSED_SHOWN = 10
# One for each batch that is being written, and one to spare.
CONNECTIONS = 4


class FileFormat(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"
    XLSX = "xlsx"


class DateForm(StrEnum):
    """How days are written besides 2025-10-20."""

    ISO = "iso"
    DMY = "dmy"


class NumberForm(StrEnum):
    """How amounts are written."""

    AUTO = "auto"
    ES = "es"
    EN = "en"


class TextEncoding(StrEnum):
    """How the letters of a CSV file are written."""

    AUTO = "auto"
    UTF_8 = "utf-8"
    WINDOWS_1252 = "windows-1252"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was told."""

    path: Path
    report: Path
    options: Any  # ReadOptions, whose module loads only when it is needed
    merchant: str
    test: bool
    dry_run: bool


def import_file(  # noqa: PLR0913 - typer reads the options from the signature
    file: Annotated[Path | None, typer.Argument(help="A .csv, .jsonl or .xlsx file.")] = None,
    *,
    merchant: Annotated[str | None, typer.Option(help="The merchant's slug.")] = None,
    test: Annotated[bool, typer.Option("--test", help="The merchant's test account.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and write nothing.")] = False,
    refused: Annotated[Path | None, typer.Option(help="Where refused rows go (default: FILE-refused).")] = None,
    format: Annotated[FileFormat | None, typer.Option(help="When the file's name does not say it.")] = None,
    dates: Annotated[DateForm, typer.Option(help="dmy: 20/10/2025 is read too.")] = DateForm.ISO,
    numbers: Annotated[
        NumberForm, typer.Option(help="es: 85.000,50. en: 85,000.50. auto: only what has one meaning.")
    ] = NumberForm.AUTO,
    encoding: Annotated[TextEncoding, typer.Option(help="Of a CSV file.")] = TextEncoding.AUTO,
    origin: Annotated[str, typer.Option(help="The system that numbered the invoices.")] = "import",
    name: Annotated[str | None, typer.Option(help="What payers read, for rows that do not say it.")] = None,
    make_ids: Annotated[
        bool, typer.Option("--make-ids", help="Rows without an id get one made from their content.")
    ] = False,
    template: Annotated[FileFormat | None, typer.Option(help="Print an example file and end.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Load a file of invoices. Run it again as often as you like: what is there already stays as it is.

    Rows that are refused go to a file of the same shape that says why, and the command ends with 3.
    """
    if template is not None:
        _print_template(template)
        return
    if file is None or merchant is None:
        raise typer.BadParameter("Give a FILE and --merchant, or --template.")
    from recaudo.importing.errors import FileError
    from recaudo.importing.files import format_of
    from recaudo.usecases.import_options import ReadOptions

    try:
        kind = format.value if format is not None else format_of(file.name)
    except FileError as error:
        fail(str(error))
    options = ReadOptions(
        format=kind,
        dates=dates.value,
        numbers=numbers.value,
        encoding=encoding.value,
        origin=_text("--origin", origin, 1, 50),
        name=None if name is None else _text("--name", name, 5, 100),
        make_ids=make_ids,
    )
    report = refused or file.with_name(f"{file.stem}-refused{file.suffix}")
    wanted = Wanted(path=file, report=report, options=options, merchant=merchant, test=test, dry_run=dry_run)
    _run(wanted, json=json)


def _text(option: str, text: str, low: int, high: int) -> str:
    trimmed = text.strip()
    if not low <= len(trimmed) <= high or not trimmed.isprintable():
        fail(f"{option} must have {low} to {high} characters.")
    return trimmed


def _print_template(wanted: FileFormat) -> None:
    from recaudo.importing.templates import template

    sys.stdout.buffer.write(template(wanted.value))


def _run(wanted: Wanted, *, json: bool) -> None:
    from recaudo.importing.errors import FileError

    path, report = wanted.path, wanted.report
    if report.exists() and path.exists() and report.samefile(path):
        fail("--refused must be another file than the one that is read.")

    async def run(core: Any) -> Any:  # noqa: ANN401 - a Core, whose module loads only when a command needs it
        account = await account_of(core, wanted.merchant, test=wanted.test)
        _spare_the_collector()
        try:
            return await _load(core, account, wanted)
        except FileError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{error.filename or path} cannot be used: {error.strerror}.")

    began_s = time.monotonic()
    loaded, kept = with_core_alone(read_settings(), run, connections_max=CONNECTIONS)
    _show(loaded, kept, seconds=time.monotonic() - began_s, dry_run=wanted.dry_run, json=json)
    if loaded.broken is not None:
        fail(f"{loaded.broken} What stands before it is dealt with; mend the file and run this again.")
    if loaded.tally.refused:
        raise typer.Exit(ROWS_REFUSED)


async def _load(core: Any, account: Any, wanted: Wanted) -> tuple[Any, Path | None]:  # noqa: ANN401
    """What became of the rows, and where the refused ones are."""
    from recaudo.importing.files import open_rows
    from recaudo.importing.loading import load
    from recaudo.importing.reports import ReportFile

    options = wanted.options
    with wanted.path.open("rb") as file, Bar(file) as bar:
        rows = open_rows(file, options)
        try:
            with ReportFile(wanted.report, options.format, rows) as kept:

                def tell(progress: Any) -> None:  # noqa: ANN401
                    kept.add(progress.refused)
                    for bad in progress.refused[: max(0, REFUSED_SHOWN - bar.shown)]:
                        bar.say(bad)
                    bar.move(progress)

                loaded = await load(core, account, rows, options, tell, dry_run=wanted.dry_run)
        finally:
            rows.close()
    return loaded, kept.path if kept.count else None


class Bar:
    """How far it is: by bytes read, which is all that is known of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.shown = 0
        self._progress = Progress(
            TextColumn("{task.fields[rows]:>11,} rows"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("", total=max(1, self._size), rows=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def move(self, progress: Any) -> None:  # noqa: ANN401
        """To where the file is read by now."""
        assert self._task is not None
        rows = self._progress.tasks[0].fields["rows"] + progress.tally.read
        self._progress.update(self._task, completed=min(self._file.tell(), self._size), rows=rows)

    def say(self, bad: Any) -> None:  # noqa: ANN401
        """One refused row, for those who watch; all of them are in the report."""
        self.shown += 1
        from recaudo.importing.refused import in_one_line

        console.print(
            f"line {bad.row.line}: {in_one_line(bad.problems)}", highlight=False, markup=False, soft_wrap=True
        )


def _show(loaded: Any, kept: Path | None, *, seconds: float, dry_run: bool, json: bool) -> None:  # noqa: ANN401
    tally = loaded.tally
    if json:
        facts = {
            **tally._asdict(),
            "dry_run": dry_run,
            "ignored_columns": loaded.ignored,
            "refused_file": None if kept is None else str(kept),
            "broken": loaded.broken,
        }
        print(msgspec.json.encode(facts).decode())  # noqa: T201 - the result, for programs
        return
    made = "would be created" if dry_run else "created"
    became = f"{tally.created:,} {made}, {tally.already_there:,} already there, {tally.refused:,} refused"
    lines = [f"{tally.read:,} rows in {seconds:,.1f} s: {became}."]
    if loaded.ignored:
        lines.append(f"Columns that are not used: {', '.join(loaded.ignored)}.")
    if kept is not None:
        lines.append(f"The refused rows, each with its reasons: {kept}. Mend them there and import that file.")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _spare_the_collector() -> None:
    """Rows come and go without cycles: looking for some would cost a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
