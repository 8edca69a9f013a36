"""Files as people have them: read for what they say, or refused with a reason, never guessed."""

import codecs
import io
import json
import zipfile
from datetime import date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from recaudo.importing import xlsx_rows
from recaudo.importing.columns import COLUMNS, known_titles, normalised
from recaudo.importing.errors import FileError
from recaudo.importing.files import ENDINGS, batches, format_of, open_rows
from recaudo.importing.parsing import Parser
from recaudo.importing.refused import refused, report
from recaudo.importing.rows import ROW_BYTES_MAX
from recaudo.importing.templates import template
from recaudo.usecases.import_options import ReadOptions
from tests.importing.files import ACCOUNT, ROW, TODAY, commands, csv_text, numbered, problems, read, workbook

SPANISH = (
    "Número de factura;Contrato;Valor a pagar;Concepto;Celular;Correo electrónico;Fecha límite de pago;Zona\r\n"
    "FV-1;1060500333;85000;Plan Internet - Octubre;316 759 1030;nina@ejemplo.com;31/10/2025;Norte\r\n"
)


def with_row(**fields: str) -> str:
    return csv_text([{**ROW, **fields}])


# --- Tables ---


@pytest.mark.parametrize(
    "content",
    [
        SPANISH.encode(),
        codecs.BOM_UTF8 + SPANISH.encode(),
        SPANISH.encode("windows-1252"),
        SPANISH.replace(";", ",").encode(),
        SPANISH.replace(";", "\t").encode(),
        SPANISH.replace("\r\n", "\n").encode(),
        ("\r\n" + SPANISH).encode(),
        SPANISH.rstrip().encode(),
    ],
)
def test_a_table_out_of_a_spanish_spreadsheet_is_read_however_it_was_saved(content: bytes) -> None:
    (found,) = commands(content, dates="dmy")
    assert (found.origin, found.origin_id, found.reference) == ("import", "FV-1", "1060500333")
    assert (found.amount_minor, found.name) == (8_500_000, "Plan Internet - Octubre")
    assert (found.phone, found.email, found.due_on) == ("+573167591030", "nina@ejemplo.com", date(2025, 10, 31))


def test_letters_come_out_as_they_went_in_from_either_encoding() -> None:
    text = with_row(name="Pensión Año — “Ñ”")
    for encoding in ("utf-8", "utf-8-sig", "windows-1252"):
        assert commands(text.encode(encoding))[0].name == "Pensión Año — “Ñ”"


def test_columns_that_nothing_is_called_are_told_and_not_used() -> None:
    options = ReadOptions(format="csv", dates="dmy")
    rows = open_rows(io.BytesIO(SPANISH.encode()), options)
    parser = Parser(ACCOUNT, TODAY, options)
    (batch,) = batches(rows, parser, size=10)
    assert not batch.bad
    assert list(parser.ignored) == ["Zona"]


def test_what_a_column_had_before_does_not_change_what_it_has_now() -> None:
    def line(number: int, **fields: Any) -> str:
        return json.dumps({**ROW, "external_id": f"FV-{number}", **fields}) + "\n"

    amounts = ["85000", 85000, 85000.0, "85000", " 85000 "]
    text = "".join(line(number, amount=amount) for number, amount in enumerate(amounts))
    assert [command.amount_minor for command in commands(text, format="jsonl")] == [8_500_000] * 5
    # To a memory of values these would be the same: 1 is True, and 2 is 2.0.
    mixed = [{"reference": 1}, {"description": "1"}, {"description": 1}, {"description": True}, {"amount": True}]
    text = "".join(line(number, **fields) for number, fields in enumerate(mixed))
    assert [number for number, _ in problems(text, format="jsonl")] == [4, 5]
    again = [{"name": "Hi"}, {"name": "Hello"}, {"name": "Hi"}, {"name": "Hello" + " " * 5000}]
    text = "".join(line(number, **fields) for number, fields in enumerate(again))
    assert [number for number, _ in problems(text, format="jsonl")] == [1, 3]


def test_a_header_without_what_every_row_needs_is_refused_and_says_what_may_have_been_meant() -> None:
    with pytest.raises(
        FileError, match=r"amount is missing\. It has: factura, contrato, mont\. Did you mean 'monto'\?"
    ):
        read("factura,contrato,mont\nFV-1,1,85000\n")


def test_two_columns_that_mean_the_same_are_refused() -> None:
    with pytest.raises(FileError, match="'valor' and 'Total' both mean amount"):
        read("factura,contrato,valor,Total\nFV-1,1,85000,85000\n")


def test_every_error_of_a_row_is_told_at_once_with_its_line_and_good_rows_pass() -> None:
    rows = [ROW, {**ROW, "external_id": "", "amount": "x", "phone": "123", "due_date": "2025-02-30", "name": "Hi"}, ROW]
    (batch,) = read(csv_text(rows))
    assert len(batch.good) == 2
    ((row, found),) = batch.bad
    assert row.line == 3
    assert {problem.column for problem in found} == {"external_id", "amount", "phone", "due_date", "name"}


def test_lines_are_counted_as_an_editor_counts_them_also_after_values_of_several_lines() -> None:
    text = csv_text([{**ROW, "description": "x"}]).replace(",x\r\n", ',"one\r\ntwo"\r\n') + "FV-2,,,,,,\r\n"
    assert [line for line, _ in problems(text)] == [4]
    assert (
        commands(csv_text([{**ROW, "description": "x"}]).replace(",x\r\n", ',"one\ntwo"\r\n'))[0].description
        == "one\ntwo"
    )


def test_empty_lines_are_passed_by() -> None:
    assert len(commands(csv_text(numbered(2)).replace("FV-1", "\r\n\r\n,,,,,\r\nFV-1"))) == 2


def test_a_row_with_more_cells_than_the_header_is_refused_and_one_with_fewer_is_not() -> None:
    text = csv_text([ROW])
    assert "7 cells, and the header 6" in problems(text.rstrip() + ",7\r\n")[0][1][0]
    assert len(commands(text.replace(",2025-10-31\r\n", "\r\n"))) == 1


def test_a_quote_that_is_not_closed_does_not_swallow_the_file() -> None:
    rows = csv_text(numbered(3)) + '"FV-9,x\r\n' + "FV-10,1,85000,Plan Internet,+573167591030,\r\n" * 3000
    found: list[Any] = []
    with pytest.raises(FileError, match="begins in line 5 is longer than 64 KiB: a quote"):
        found.extend(read(rows))
    rows = (
        csv_text(numbered(2))
        + 'FV-9,"x"y,85000,Plan Internet,+573167591030,\r\n'
        + "FV-4,1,85000,Plan Internet,3167591030,\n"
    )
    (batch,) = read(rows)
    assert (len(batch.good), [bad.row.line for bad in batch.bad]) == (3, [4])


def test_bytes_of_another_encoding_refuse_their_row_alone() -> None:
    content = csv_text(numbered(3)).encode().replace(b"FV-1,1060500333,85000,Plan", b"FV-1,1060500333,85000,Pl\xe1n")
    (batch,) = read(content, encoding="utf-8")
    assert [bad.row.line for bad in batch.bad] == [3]
    assert "not utf-8" in str(batch.bad[0].problems[0])
    assert [good.row.line for good in batch.good] == [2, 4]


def test_files_of_the_wrong_kind_are_named_as_what_they_are() -> None:
    with pytest.raises(FileError, match="UTF-16"):
        read(csv_text([ROW]).encode("utf-16"))
    with pytest.raises(FileError, match="a workbook, not CSV"):
        read(workbook([list(ROW), list(ROW.values())]))
    with pytest.raises(FileError, match="The file is empty"):
        read(b"")
    with pytest.raises(FileError, match="no workbook"):
        read(csv_text([ROW]), format="xlsx")
    with pytest.raises(FileError, match="save it as"):
        format_of("padron.xls")
    assert {format_of(f"PADRON{ending.upper()}") for ending in ENDINGS} == {"csv", "jsonl", "xlsx"}


def test_reading_goes_on_from_any_row_as_if_it_had_not_stopped() -> None:
    text = csv_text(numbered(25, description='"a\r\nb"', name='"Plan, Ñ, octubre"'))
    objects = "".join(json.dumps(row) + "\n" for row in numbered(25))
    book = workbook([list(ROW), *(list(row.values()) for row in numbered(25))])
    kinds: list[tuple[Any, Any]] = [(text, "csv"), (objects, "jsonl"), (book, "xlsx")]
    for content, kind in kinds:
        data = content.encode() if isinstance(content, str) else content
        whole = open_rows(io.BytesIO(data), ReadOptions(format=kind))
        for row in whole.rows():
            again = open_rows(io.BytesIO(data), ReadOptions(format=kind))
            place = whole.place
            rest = list(again.rows(place))
            assert [r.line for r in rest] == sorted(r.line for r in rest)
            assert all(r.line > row.line for r in rest)
            number = int(row.cells[0].removeprefix("FV-"))
            assert [r.cells[0] for r in rest] == [f"FV-{n}" for n in range(number + 1, 25)]


# --- Values ---


@pytest.mark.parametrize(
    ("written", "minor"),
    [
        ("85000", 8_500_000),
        (" 85000 ", 8_500_000),
        ("$ 85000", 8_500_000),
        ("85000.50", 8_500_050),
        ("85000,5", 8_500_050),
        ("85.000,50", 8_500_050),
        ("85,000.50", 8_500_050),
        ("1.234.567", 123_456_700),
        ("1,234,567", 123_456_700),
        ("COP 85000", 8_500_000),
        ("$\u00a0\u00a085000", 8_500_000),
    ],
)
def test_an_amount_with_one_meaning_is_read(written: str, minor: int) -> None:
    text = with_row(amount=f'"{written}"')
    assert commands(text)[0].amount_minor == minor


@pytest.mark.parametrize("written", ["85.000", "85,000", "$ 85.000", "150,000"])
def test_an_amount_with_two_meanings_is_refused_until_somebody_says_which(written: str) -> None:
    text = with_row(amount=f'"{written}"')
    ((_, (why,)),) = problems(text)
    assert "can be read in two ways" in why
    mark = "es" if "." in written else "en"
    assert commands(text, numbers=mark)[0].amount_minor in {8_500_000, 15_000_000}
    assert problems(text, numbers="en" if mark == "es" else "es")


@pytest.mark.parametrize(
    "written", ["", "x", "-85000", "0", "8,5E+04", "85000.505", "1e5", "٨٥", "85 000", "99999999999999999", "0x10"]
)
def test_what_is_no_amount_is_refused(written: str) -> None:
    assert len(problems(with_row(amount=f'"{written}"'))) == 1


@given(st.integers(min_value=500_000, max_value=10_000_000_000))
def test_every_amount_is_read_in_each_form_as_what_it_is(minor: int) -> None:
    units, cents = divmod(minor, 100)
    grouped = f"{units:,}"
    spanish = grouped.replace(",", ".") + f",{cents:02d}"
    for text, numbers in ((f"{grouped}.{cents:02d}", "en"), (spanish, "es"), (f"{units}.{cents:02d}", "auto")):
        assert commands(with_row(amount=f'"{text}"'), numbers=numbers)[0].amount_minor == minor


def test_days_are_iso_unless_somebody_says_otherwise() -> None:
    assert commands(with_row(due_date="31/10/2025"), dates="dmy")[0].due_on == date(2025, 10, 31)
    assert commands(with_row(due_date="1-2-2026"), dates="dmy")[0].due_on == date(2026, 2, 1)
    for written in ("03/04/2025", "2025-13-01", "31/31/2025", "mañana", "1999-12-31", "2101-01-01", "2025-10-31 10:00"):
        assert len(problems(with_row(due_date=written))) == 1, written
    assert "two ways" in problems(with_row(due_date="03/04/2025"))[0][1][0]


@pytest.mark.parametrize(
    "written", ["3167591030", "316 759 1030", "(316) 759-1030", "+57 316 759 1030", "573167591030"]
)
def test_a_phone_of_the_accounts_country_needs_no_code(written: str) -> None:
    assert commands(with_row(phone=written))[0].phone == "+573167591030"


@pytest.mark.parametrize(
    "written", ["316759103", "12345", "+5731675910300", "abc", "31675910301", "+573167591030; +573001234567"]
)
def test_what_is_no_phone_is_refused(written: str) -> None:
    assert len(problems(with_row(phone=f'"{written}"'))) == 1


def test_ids_that_a_spreadsheet_shortened_are_refused() -> None:
    for written in ("1.23457E+14", '"1,23457E+14"', "9E+12"):
        ((_, (why,)),) = problems(with_row(external_id=written))
        assert "shortened" in why


def test_formulas_and_a_spreadsheets_errors_are_refused() -> None:
    for written in ("=A1", "#N/A", "#REF!", "#¡VALOR!"):
        assert len(problems(with_row(name=f'"{written}"'))) == 1


def test_a_row_without_an_id_is_refused_unless_ids_are_asked_for() -> None:
    rows = [
        {**ROW, "external_id": ""},
        {**ROW, "external_id": "", "due_date": "2025-11-30"},
        {**ROW, "external_id": ""},
    ]
    assert [line for line, _ in problems(csv_text(rows))] == [2, 3, 4]
    first, second, third = commands(csv_text(rows), make_ids=True)
    assert first.origin_id == third.origin_id != second.origin_id
    ((_, (why,)),) = problems(csv_text([{**rows[0], "due_date": ""}]), make_ids=True)
    assert why.startswith("due_date: Is missing")


def test_the_options_name_and_origin_stand_for_what_a_row_leaves_empty() -> None:
    text = csv_text([{**ROW, "name": "", "origin": ""}, {**ROW, "origin": "erp"}])
    first, second = commands(text, name="Internet octubre", origin="wisphub")
    assert (first.name, first.origin) == ("Internet octubre", "wisphub")
    assert (second.name, second.origin) == (ROW["name"], "erp")


def test_the_accounts_rules_of_contact_and_amount_count() -> None:
    both = msgspec.structs.replace(ACCOUNT, contact_rule="both")
    none = msgspec.structs.replace(ACCOUNT, contact_rule="none")
    assert problems(with_row(), account=both)[0][1] == ["phone: A phone and an e-mail are needed."]
    assert len(commands(with_row(phone=""), account=none)) == 1
    assert problems(with_row(phone=""))[0][1] == ["phone: A phone or an e-mail is needed."]
    assert "Must be $ 5.000 to" in problems(with_row(amount="10"))[0][1][0]


def test_metadata_comes_from_columns_or_from_an_object() -> None:
    text = csv_text([{**ROW, "metadata.zona": "Norte", "Metadata.Plan": "300"}])
    assert commands(text)[0].metadata == {"zona": "Norte", "Plan": "300"}
    line = json.dumps({**ROW, "metadata": {"zona": "Norte", "megas": 300}})
    assert commands(line, format="jsonl")[0].metadata == {"zona": "Norte", "megas": 300}
    assert problems(json.dumps({**ROW, "metadata": {"a": [1]}}), format="jsonl")


# --- JSONL ---


def test_objects_may_have_numbers_and_their_own_names() -> None:
    lines = [
        {**ROW, "amount": 85000},
        {"factura": 7, "contrato": 12, "valor": 85000.5, "concepto": "Internet", "correo": "a@b.co"},
    ]
    first, second = commands("\n".join(json.dumps(line) for line in lines), format="jsonl")
    assert first.amount_minor == 8_500_000
    assert (second.origin_id, second.reference, second.amount_minor) == ("7", "12", 8_500_050)


def test_a_line_that_is_no_object_is_refused_alone() -> None:
    lines = [json.dumps(ROW), "{", "[]", '"x"', "{}", "", json.dumps({**ROW, "amount": True}), json.dumps(ROW)]
    (batch,) = read("\n".join(lines), format="jsonl")
    assert (len(batch.good), [bad.row.line for bad in batch.bad]) == (2, [2, 3, 4, 5, 7])
    with pytest.raises(FileError, match="Line 1 is longer"):
        read("x" * (ROW_BYTES_MAX + 1), format="jsonl")


# --- XLSX ---


def test_a_workbook_with_real_days_and_numbers_is_read() -> None:
    cells = ["Factura", "Contrato", "Valor", "Concepto", "Celular", "Vencimiento", None]
    rows = [[], cells, ["FV-1", 1060500333, 85000, "Plan Internet", 3167591030, datetime(2025, 10, 31)], [None] * 7]  # noqa: DTZ001 - a spreadsheet's day
    rows.append([2, "A-7", 85000.5, "Plan Internet", "+573167591030", date(2025, 11, 30)])
    first, second = commands(workbook(rows), format="xlsx")
    assert (first.reference, first.amount_minor, first.due_on) == ("1060500333", 8_500_000, date(2025, 10, 31))
    assert (second.origin_id, second.amount_minor, second.phone) == ("2", 8_500_050, "+573167591030")


def test_a_workbooks_formulas_and_numbers_beyond_its_digits_are_refused() -> None:
    rows = [
        list(ROW),
        ["FV-1", "1", "=2*3", "Plan Internet", "3167591030", None],
        [12345678901234567, "1", 85000, "Plan Internet", "3167591030"],
    ]
    found = problems(workbook(rows), format="xlsx")
    assert [line for line, _ in found] == [2, 3]
    assert "formula" in found[0][1][0]
    assert "more digits" in found[1][1][0]


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    book = workbook([list(ROW), list(ROW.values())])

    def swollen(name: str, content: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            for part in old.infolist():
                new.writestr(part, content if part.filename == name else old.read(part))
        return out.getvalue()

    with pytest.raises(FileError, match="too large"):
        read(swollen("xl/styles.xml", bytes(xlsx_rows.PART_BYTES_MAX + 1)), format="xlsx")
    with pytest.raises(FileError, match="a row that is too large"):
        read(swollen("xl/worksheets/sheet1.xml", b"<row>" + b"<c/>" * (3 * 1024 * 1024 // 4)), format="xlsx")
    monkeypatch.setattr(xlsx_rows, "SHEET_BYTES_MAX", 100)
    with pytest.raises(FileError, match="too large"):
        read(book, format="xlsx")


def test_a_workbook_that_refers_to_things_outside_is_no_workbook() -> None:
    book = workbook([list(ROW), list(ROW.values())])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                content = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + content
            new.writestr(part, content)
    with pytest.raises(FileError, match="no workbook"):
        read(out.getvalue(), format="xlsx")


@given(st.binary(max_size=400))
def test_no_bytes_break_the_readers(noise: bytes) -> None:
    for kind, before in (
        ("csv", csv_text([ROW]).encode()),
        ("csv", b""),
        ("jsonl", b""),
        ("xlsx", b"PK\x03\x04"),
        ("xlsx", b""),
    ):
        try:
            found = read(before + noise, format=kind)
        except FileError:
            continue
        else:
            assert all(bad.problems for batch in found for bad in batch.bad)


# --- The report, and the template ---


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_the_report_is_a_file_of_the_same_shape_which_reads_as_the_rows_that_were_refused(kind: Any) -> None:
    rows = [{**ROW, "external_id": f"FV-{n}", "amount": amount} for n, amount in enumerate(("x", "85000", "y"))]
    content: dict[str, bytes] = {
        "csv": codecs.BOM_UTF8 + csv_text([{**row, "name": "Plan Ñandú"} for row in rows], delimiter=";").encode(),
        "jsonl": "\n".join(json.dumps(row) for row in rows).encode(),
        "xlsx": workbook([list(ROW), *(list(row.values()) for row in rows)]),
    }
    options = ReadOptions(format=kind)
    file = open_rows(io.BytesIO(content[kind]), options)
    (batch,) = read(content[kind], format=kind)

    def reported(bad: Any) -> bytes:
        kept = [refused(b.row.line, () if file.titles else b.row.titles, b.row.cells, b.problems) for b in bad]
        return b"".join(report(options.format, file.titles, file.traits, kept))

    first = reported(batch.bad)
    (again,) = read(first, format=kind)
    assert [bad.row.cells[0] for bad in again.bad] == ["FV-0", "FV-2"]
    assert len(again.good) == 0
    # A second report of the report does not pile its columns up.
    (third,) = read(reported(again.bad), format=kind)
    assert len(third.bad[0].row.titles) <= len(ROW) + 2
    if kind == "csv":
        assert first.startswith(codecs.BOM_UTF8)
        lines = first.decode("utf-8-sig").split("\r\n")
        assert lines[0].endswith(";line;errors")
        assert lines[1].endswith(""";2;"amount: 'x' is no amount; write 85000 or 85000.50.\"""")
        assert "Ñandú" in lines[1]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "xlsx"])
def test_the_template_can_be_imported_as_it_is(kind: Any) -> None:
    (found,) = commands(template(kind), format=kind)
    assert found.origin_id == "FV-2025-10-0001"


def test_no_name_of_a_column_is_taken_twice() -> None:
    names = [name for column in COLUMNS for name in (column.name, *column.aliases)]
    assert len(names) == len(set(names))
    assert [name for name in names if normalised(name) != name] == []
    assert known_titles(["Fecha de vencimiento", "N.º", "Teléfono"]) == 2
