"""Rows as commands: every column of a row is read, and all that is wrong with it is told at once."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from recaudo.domain.model import Account
from recaudo.importing import values
from recaudo.importing.columns import COLUMNS, Matched, match
from recaudo.importing.errors import BadValueError, FileError, Problem
from recaudo.usecases.import_options import ReadOptions
from recaudo.usecases.importing import COMPARED
from recaudo.usecases.invoices import OpenInvoice

# An imported invoice is one as OnePay's POST /invoices makes it: whoever loads the same one in both ways has it once.
DIALECT = "onepay"
# JSONL objects may differ from line to line; most files have one form, and nobody has so many.
FORMS_REMEMBERED_MAX = 200
# What is told of columns that nothing is called.
IGNORED_MAX = 100

_WRITER = msgspec.json.Encoder(order="deterministic")
_CONTENT = ("origin", *COMPARED)
_CONTACT = {
    "either": "A phone or an e-mail is needed.",
    "both": "A phone and an e-mail are needed.",
}


class Parser:
    """Reads rows for one account on one day."""

    def __init__(self, account: Account, today: date, options: ReadOptions) -> None:
        self._account = account
        self._options = options
        self._readers = _readers(account, today, options)
        self._forms: dict[tuple[str, ...], Matched] = {}
        self.ignored: dict[str, None] = {}  # in the order in which they were met

    def read(self, titles: tuple[str, ...], cells: Sequence[Any]) -> OpenInvoice | list[Problem]:
        """The invoice that a row asks for, or everything that is wrong with it."""
        try:
            form = self._forms.get(titles) or self._form(titles)
        except FileError as error:
            return [Problem("", str(error))]
        if len(cells) > len(titles):
            counts = f"Has {len(cells)} cells, and the header {len(titles)}"
            return [Problem("", f"{counts}: a value that holds the separator must be in quotes.")]
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        self._read_cells(form, cells, found, problems)
        self._complete(found, problems)
        if problems:
            return problems
        found.pop("currency", None)
        return OpenInvoice(dialect=DIALECT, unique_origin=True, **found)

    def _form(self, titles: tuple[str, ...]) -> Matched:
        form = match(titles)
        if len(self._forms) < FORMS_REMEMBERED_MAX:
            self._forms[titles] = form
        for title in form.ignored:
            if len(self.ignored) < IGNORED_MAX:
                self.ignored[title] = None
        return form

    def _read_cells(self, form: Matched, cells: Sequence[Any], found: dict[str, Any], problems: list[Problem]) -> None:
        readers = self._readers
        count = len(cells)
        for index, column, title, member in form.used:
            value = cells[index] if index < count else None
            if value is None or value == "":
                continue
            try:
                if column is not None:
                    if not isinstance(value, str) or not value.isspace():
                        found[column.field] = readers[column.field](value)
                else:
                    kept = found.setdefault("metadata", {})
                    kept[values.metadata_name(member)] = values.metadata_value(value)
            except BadValueError as error:
                problems.append(Problem(title, str(error)))
                if column is not None:
                    # Present, if wrong: it is not missing as well.
                    found[column.field] = None

    def _complete(self, found: dict[str, Any], problems: list[Problem]) -> None:
        """Fill in what the options say, and look for what is missing."""
        options = self._options
        found.setdefault("origin", options.origin)
        if "name" not in found and options.name is not None:
            found["name"] = options.name
        if "reference" not in found or "amount_minor" not in found or "name" not in found:
            problems.extend(Problem(name, "Is missing.") for name, field in _NEEDED if field not in found)
        rule = self._account.contact_rule
        contacts = ("phone" in found) + ("email" in found)
        if contacts < 2 and rule != "none" and (contacts == 0 or rule == "both"):
            problems.append(Problem("phone", _CONTACT[rule]))
        if "origin_id" not in found:
            self._make_id(found, problems)

    def _make_id(self, found: dict[str, Any], problems: list[Problem]) -> None:
        """An id made from the content, so that the same row again is the same invoice."""
        if not self._options.make_ids:
            problems.append(
                Problem("external_id", "Is missing: number the invoices, or ask for ids made from content.")
            )
        elif "due_on" not in found:
            # Without it this month's row would be last month's.
            problems.append(Problem("due_date", "Is missing: an id made from the content needs the day it is due."))
        elif not problems:
            content = _WRITER.encode([found.get(name) for name in _CONTENT])
            found["origin_id"] = f"h-{hashlib.sha256(content).hexdigest()[:40]}"


_NEEDED = tuple((column.name, column.field) for column in COLUMNS if column.required or column.name == "name")


def _readers(account: Account, today: date, options: ReadOptions) -> Mapping[str, values.Read]:
    return {
        "origin_id": values.identifier(100),
        "reference": values.identifier(100),
        "amount_minor": values.remembering(values.amount(account, options.numbers)),
        "name": values.remembering(values.text(5, 100)),
        "description": values.remembering(values.text(1, 500, lines=True)),
        "phone": values.phone(account),
        "email": values.email,
        "due_on": values.remembering(values.due_day(today, options.dates)),
        "origin": values.remembering(values.text(1, 50)),
        "document_url": values.remembering(values.url),
        "currency": values.remembering(values.currency(account)),
        "metadata": values.metadata,
    }
