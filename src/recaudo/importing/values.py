"""Reading the cells of a row: what has one meaning only is taken, anything else is refused, nothing is guessed.

A cell is text in CSV, any JSON value in JSONL, and text, a number or a day in XLSX.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

import phonenumbers

from recaudo.domain import money
from recaudo.domain.model import Account
from recaudo.edge.contacts import PHONES_REMEMBERED_MAX, URL_CHARS_MAX, is_phone, is_sandbox_phone, is_url, read_email
from recaudo.edge.metadata import MEMBERS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX
from recaudo.importing.errors import BadValueError
from recaudo.usecases.import_options import Dates, Numbers

Read = Callable[[Any], Any]
"""Reads a cell that is not empty; raises BadValueError."""

DUE_FIRST = date(2000, 1, 1)
DUE_YEARS_AHEAD = 50
# Spreadsheets keep no more digits of a number than these.
EXACT_DIGITS = 15
# The same days, amounts and titles come again and again.
REMEMBERED_MAX = 4096
REMEMBERED_CHARS_MAX = 300

_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]{1,3}")
_ERROR_CELL = re.compile(r"#(?:N/[AD]|¡?(?:REF|VALUE|VALOR|NULL|NULO|DIV/0|NUM)!|NAME\?|¿NOMBRE\?)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_PHONE_MARKS = str.maketrans("", "", " \u00a0-.()")
# A mobile's ten digits; many systems write the country's code before them and no plus.
_COLOMBIAN = re.compile(r"(?:57)?(3[0-9]{9})")
_DIGITS = re.compile(r"\+?[0-9]{5,15}")
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DMY_DAY = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})")
_PLAIN = re.compile(r"[0-9]{1,17}")
_TWO_WAYS = re.compile(r"[0-9]{1,3}[.,][0-9]{3}")
# By what stands before decimals and between groups of three.
_WRITTEN = {
    "es": re.compile(r"(?:[0-9]{1,17}|[0-9]{1,3}(?:\.[0-9]{3}){1,5})(?:,[0-9]{1,2})?"),
    "en": re.compile(r"(?:[0-9]{1,17}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.[0-9]{1,2})?"),
}


def remembering(read: Read) -> Read:
    """The same, for a column whose text comes again and again: it is read once."""
    known = lru_cache(maxsize=REMEMBERED_MAX)(read)

    def look(value: object) -> Any:  # noqa: ANN401 - whatever it reads
        # Only text: 1 and True would be the same to the memory.
        return known(value) if type(value) is str and len(value) <= REMEMBERED_CHARS_MAX else read(value)

    return look


def plain_text(value: object) -> str:
    """A cell as text. Raises BadValueError for what a spreadsheet made of it."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("="):
            raise BadValueError("Holds a formula; paste its value instead.")
        if text.startswith("#") and _ERROR_CELL.fullmatch(text):
            raise BadValueError("Holds a spreadsheet's error.")
        return text
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**EXACT_DIGITS:
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**EXACT_DIGITS:
        return str(value)
    if isinstance(value, (int, float)) and abs(value) >= 10**EXACT_DIGITS:
        raise BadValueError("Is a number with more digits than spreadsheets keep; make it text.")
    raise BadValueError("Must be text.")


def text(low: int, high: int, *, lines: bool = False) -> Read:
    """Text of `low` to `high` characters, without control characters; with `lines` it may have several lines."""
    control = _CONTROL_IN_LINES if lines else _CONTROL

    def read(value: object) -> str:
        found = plain_text(value)
        if lines and "\r" in found:
            found = found.replace("\r\n", "\n")
        if not low <= len(found) <= high:
            raise BadValueError(f"Must have {low} to {high} characters, and has {len(found)}.")
        if not found.isprintable() and control.search(found):
            raise BadValueError("Has control characters.")
        return found

    return read


def identifier(high: int) -> Read:
    """Text that names something: a number that a spreadsheet shortened to 1,23E+14 names nothing any more."""
    plain = text(1, high)

    def read(value: object) -> str:
        found: str = plain(value)
        if _SHORTENED.fullmatch(found):
            raise BadValueError(f"{found} is a number that a spreadsheet shortened; make the column text, save again.")
        return found

    return read


def amount(account: Account, numbers: Numbers) -> Read:
    """Minor units of an amount within the account's limits."""
    low, high = account.amount_min_minor, account.amount_max_minor

    def within(units: int | Decimal) -> int:
        try:
            minor = money.from_units(units, account.currency)
        except ValueError:
            raise BadValueError(f"Has more decimals than {account.currency} has.") from None
        if low <= minor <= high:
            return minor
        between = " to ".join(money.label(limit, account.currency) for limit in (low, high))
        raise BadValueError(f"Must be {between}.")

    def read(value: object) -> int:
        if isinstance(value, str):
            return within(_units(plain_text(value), account.currency, numbers))
        if isinstance(value, int) and not isinstance(value, bool):
            return within(value)
        if isinstance(value, float):
            # What the spreadsheet shows, not the binary fraction behind it.
            value = Decimal(repr(value))
        if isinstance(value, Decimal) and value.is_finite() and abs(value) < 10**18:
            return within(value)
        raise BadValueError("Must be an amount such as 85000.")

    return read


def _units(found: str, currency: str, numbers: Numbers) -> int | Decimal:
    bare = found.removeprefix(currency).removesuffix(currency).strip().removeprefix("$").replace("\u00a0", " ").strip()
    if _PLAIN.fullmatch(bare):
        return int(bare)
    if _SHORTENED.fullmatch(bare):
        raise BadValueError(f"{found} is a number that a spreadsheet shortened; show all its digits and save again.")
    readings = {style: _decimal(bare, style) for style in _WRITTEN if _WRITTEN[style].fullmatch(bare)}
    if numbers != "auto":
        if numbers in readings:
            return readings[numbers]
        form = {"es": "85.000,50", "en": "85,000.50"}[numbers]
        raise BadValueError(f"{found[:30]!r} is no amount in the form {form}, which was asked for.")
    # Three digits after a single mark: thousands for some, and decimals for others, who write more than money has.
    if _TWO_WAYS.fullmatch(bare):
        raise BadValueError(
            f"{found!r} can be read in two ways. Say how amounts are written: es for 85.000,50, en for 85,000.50."
        )
    if readings:
        # Both, when neither groups its thousands: then they agree.
        return next(iter(readings.values()))
    raise BadValueError(f"{found[:30]!r} is no amount; write 85000 or 85000.50.")


def _decimal(bare: str, style: str) -> Decimal:
    group, point = (".", ",") if style == "es" else (",", ".")
    return Decimal(bare.replace(group, "").replace(point, "."))


def due_day(today: date, dates: Dates) -> Read:
    """A day: 2025-10-20 always, 20/10/2025 when the options say so, or a spreadsheet's own."""
    last = _years_after(today, DUE_YEARS_AHEAD)

    def within(day: date) -> date:
        if DUE_FIRST <= day <= last:
            return day
        raise BadValueError(f"Must be {DUE_FIRST} to {last}.")

    def read(value: object) -> date:
        if isinstance(value, str):
            return within(_day(plain_text(value), dates))
        if isinstance(value, datetime):
            if value.time() != time():
                raise BadValueError("Must be a day without a time.")
            return within(value.date())
        if isinstance(value, date):
            return within(value)
        raise BadValueError("Must be a day such as 2025-10-20.")

    return read


def _day(found: str, dates: Dates) -> date:
    try:
        if _ISO_DAY.fullmatch(found):
            return date.fromisoformat(found)
        parts = _DMY_DAY.fullmatch(found)
        if parts is not None and dates == "dmy":
            return date(int(parts[3]), int(parts[2]), int(parts[1]))
    except ValueError:
        raise BadValueError(f"{found} is no day of the calendar.") from None
    if parts is not None:
        raise BadValueError(f"{found} can be read in two ways. Write 2025-10-20, or say that dates are dmy.")
    forms = "2025-10-20 or 20/10/2025" if dates == "dmy" else "2025-10-20"
    raise BadValueError(f"{found[:30]!r} is no day; write {forms}.")


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year + years, day=28)


def phone(account: Account) -> Read:
    """A telephone number as E.164. One without its country's code is of the account's country."""
    is_colombian = account.country == "CO"

    def read(value: object) -> str:
        bare = plain_text(value).translate(_PHONE_MARKS)
        if is_colombian and (mobile := _COLOMBIAN.fullmatch(bare)):
            bare = f"+57{mobile[1]}"
        if is_phone(bare) or (account.is_test and is_sandbox_phone(bare)):
            return bare
        found = None if bare.startswith("+") else _national(bare, account.country)
        if found is None:
            raise BadValueError("Must be a telephone number that exists, best with its country: +573001234567.")
        return found

    return read


@lru_cache(maxsize=PHONES_REMEMBERED_MAX)
def _national(bare: str, country: str) -> str | None:
    if not _DIGITS.fullmatch(bare):
        return None
    try:
        number = phonenumbers.parse(bare, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def email(value: object) -> str:
    """One mailbox."""
    found = read_email(plain_text(value))
    if found is None:
        raise BadValueError("Must be one e-mail address.")
    return found


def url(value: object) -> str:
    """An http or https address."""
    found = plain_text(value)
    if not is_url(found) or _CONTROL.search(found):
        raise BadValueError(f"Must begin with http:// or https:// and have at most {URL_CHARS_MAX} characters.")
    return found


def currency(account: Account) -> Read:
    """The account's currency: another one is a file for another account."""

    def read(value: object) -> str:
        if plain_text(value).upper() != account.currency:
            raise BadValueError(f"The account's currency is {account.currency}.")
        return account.currency

    return read


def metadata(value: object) -> dict[str, Any]:
    """An object of at most 50 members: text, whole numbers, booleans and null."""
    if not isinstance(value, dict):
        raise BadValueError("Must be an object.")
    members = cast("Mapping[str, object]", value)
    if len(members) > MEMBERS_MAX:
        raise BadValueError(f"Has more than {MEMBERS_MAX} members.")
    return {metadata_name(name): metadata_value(item) for name, item in members.items()}


def metadata_name(name: str) -> str:
    """What a member of metadata may be called."""
    if 1 <= len(name.strip()) <= NAME_CHARS_MAX and name.isprintable():
        return name
    raise BadValueError(f"A name in metadata must have 1 to {NAME_CHARS_MAX} characters.")


def metadata_value(value: object) -> str | int | bool | None:
    """What a member of metadata may be."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, (int, float, Decimal, date)):
        raise BadValueError("Numbers in metadata must be whole and below 2^53; make it text.")
    if not isinstance(value, str):
        raise BadValueError("Must be text, a whole number, true, false or null.")
    found = plain_text(value)
    if len(found) > TEXT_CHARS_MAX or (not found.isprintable() and _CONTROL_IN_LINES.search(found)):
        raise BadValueError(f"Must be text of at most {TEXT_CHARS_MAX} characters.")
    return found
