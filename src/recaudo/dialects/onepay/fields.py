"""Readers of the simple kinds of field: text, phones, e-mails, addresses, money, days, ids (OnePay spec, section 5)."""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from recaudo.dialects.onepay.reading import Reader, Reading
from recaudo.domain import money
from recaudo.domain.model import Account
from recaudo.edge.contacts import URL_CHARS_MAX, is_country, is_phone, is_sandbox_phone, is_url, read_email

PHONE_MESSAGE = "El teléfono debe estar en formato E.164 y ser válido para su país."
EMAIL_MESSAGE = "El correo electrónico (email) no es válido."

DUE_FIRST = date(2000, 1, 1)
DUE_YEARS_AHEAD = 50
# Far outside every bound, yet small enough for exact sums.
_WHOLE_MAX = 10**18

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


# --- Text ---


def text(low: int, high: int, *, lines: bool = False) -> Reader:
    """Text of `low` to `high` code points after trimming, without control characters; `lines` allows LF and tab."""
    control = _CONTROL_IN_LINES if lines else _CONTROL

    def read(reading: Reading, path: str, value: object) -> str | None:
        if isinstance(value, str):
            trimmed = value.strip()
            # Printable text has no control characters, and that is known faster than by the pattern.
            if low <= len(trimmed) <= high and (trimmed.isprintable() or not control.search(trimmed)):
                return trimmed
            _refuse_text(reading, path, trimmed, low=low, high=high, control=control)
        else:
            reading.refuse(path, f"El campo {path} debe ser texto.")
        return None

    return read


def _refuse_text(reading: Reading, path: str, trimmed: str, *, low: int, high: int, control: re.Pattern[str]) -> None:
    if not low <= len(trimmed) <= high:
        reading.refuse(path, f"El campo {path} debe tener entre {low} y {high} caracteres.")
    if control.search(trimmed):
        reading.refuse(path, f"El campo {path} contiene caracteres de control.")


def choice(*words: str) -> Reader:
    """One of a few words, exactly."""

    def read(reading: Reading, path: str, value: object) -> str | None:
        word = value.strip() if isinstance(value, str) else None
        if word in words:
            return word
        reading.refuse(path, f"El campo {path} debe ser uno de: {', '.join(words)}.")
        return None

    return read


def pattern(expression: str, words: str) -> Reader:
    """Text that an expression matches as a whole; `words` say it for people."""
    compiled = re.compile(expression)

    def read(reading: Reading, path: str, value: object) -> str | None:
        trimmed = value.strip() if isinstance(value, str) else ""
        if compiled.fullmatch(trimmed):
            return trimmed
        reading.refuse(path, f"El campo {path} debe ser texto {words}.")
        return None

    return read


def country(reading: Reading, path: str, value: object) -> str | None:
    """A country's two capital letters (ISO 3166-1 alpha-2)."""
    trimmed = value.strip() if isinstance(value, str) else ""
    if is_country(trimmed):
        return trimmed
    reading.refuse(path, f"El campo {path} debe ser un código de país ISO 3166-1 de dos letras, por ejemplo CO.")
    return None


def phone(reading: Reading, path: str, value: object) -> str | None:
    """A telephone number in E.164, valid for its country; test accounts may use the sandbox numbers too."""
    if isinstance(value, str):
        trimmed = value.strip()
        if is_phone(trimmed) or (reading.account.is_test and is_sandbox_phone(trimmed)):
            return trimmed
    reading.refuse(path, PHONE_MESSAGE)
    return None


def email(reading: Reading, path: str, value: object) -> str | None:
    """One mailbox, its domain in lower case."""
    read = read_email(value.strip()) if isinstance(value, str) else None
    if read is None:
        reading.refuse(path, EMAIL_MESSAGE)
    return read


def url(reading: Reading, path: str, value: object) -> str | None:
    """An http or https address with a host."""
    if isinstance(value, str):
        trimmed = value.strip()
        if is_url(trimmed) and not _CONTROL.search(trimmed):
            return trimmed
    reading.refuse(
        path, f"La URL {path} debe empezar por http:// o https://, tener un host y máximo {URL_CHARS_MAX} caracteres."
    )
    return None


# --- Numbers ---


def whole(value: object) -> int | None:
    """A JSON number as an integer when its value is whole, beyond ±10^18 cut to that; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        # The server's bodies hold no floats; a caller that decoded its body otherwise gets the same answer.
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or value != value.to_integral_value():
            return None
    elif not isinstance(value, int):
        return None
    return int(max(-_WHOLE_MAX, min(value, _WHOLE_MAX)))


def amount(reading: Reading, path: str, value: object) -> int | None:
    """Minor units of a whole amount of pesos within the account's bounds (0.3)."""
    account = reading.account
    reading.amount_minor = None
    units = whole(value)
    if units is None:
        reading.refuse(path, f"El valor ({path}) debe ser un número entero de pesos, sin comillas ni decimales.")
        return None
    amount_minor = money.from_units(units, account.currency)
    if account.amount_min_minor <= amount_minor <= account.amount_max_minor:
        reading.amount_minor = amount_minor
        return amount_minor
    low, high = (money.label(m, account.currency) for m in (account.amount_min_minor, account.amount_max_minor))
    reading.refuse(path, f"El valor debe estar entre {low} y {high}.")
    return None


def flag(reading: Reading, path: str, value: object) -> bool | None:
    """True or false."""
    if isinstance(value, bool):
        return value
    reading.refuse(path, f"El campo {path} debe ser true o false.")
    return None


# --- Days and instants ---


def due_date(reading: Reading, path: str, value: object) -> date | None:
    """A day from 2000-01-01 to 50 years ahead. Days in the past are accepted: overdue debts are loaded too."""
    day = _day(reading, path, value)
    if day is None or DUE_FIRST <= day <= _years_after(reading.today, DUE_YEARS_AHEAD):
        return day
    last = _years_after(reading.today, DUE_YEARS_AHEAD)
    reading.refuse(path, f"La fecha {path} debe estar entre {DUE_FIRST} y {last}.")
    return None


def past_date(reading: Reading, path: str, value: object) -> date | None:
    """A day before today."""
    day = _day(reading, path, value)
    if day is None or day < reading.today:
        return day
    reading.refuse(path, f"La fecha {path} debe estar en el pasado.")
    return None


def future_instant(*, or_day: bool) -> Reader:
    """An instant in the future, in UTC. With `or_day` a day stands for its end in the account's time zone."""

    def read(reading: Reading, path: str, value: object) -> datetime | None:
        assert reading.now is not None, "this body is read at an instant"
        instant = _instant(value)
        if instant is None and or_day:
            instant = _end_of_day(value, reading.account)
        if instant is None:
            forms = "AAAA-MM-DD o AAAA-MM-DDTHH:MM:SSZ" if or_day else "AAAA-MM-DDTHH:MM:SSZ"
            reading.refuse(path, f"La fecha {path} debe ser real y tener la forma {forms}.")
        elif instant <= reading.now:
            reading.refuse(path, f"La fecha {path} debe estar en el futuro.")
        return instant

    return read


@lru_cache(maxsize=8)
def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year + years, day=28)


def _day(reading: Reading, path: str, value: object) -> date | None:
    if isinstance(value, str):
        day = _as_day(value.strip())
        if day is not None:
            return day
    reading.refuse(path, f"La fecha {path} debe ser un día real con la forma AAAA-MM-DD.")
    return None


def _as_day(trimmed: str) -> date | None:
    if not _DAY.fullmatch(trimmed):
        return None
    try:
        return date.fromisoformat(trimmed)
    except ValueError:
        return None


def _instant(value: object) -> datetime | None:
    """The instant in UTC; a text without a zone names none."""
    trimmed = value.strip() if isinstance(value, str) else ""
    if not _INSTANT.fullmatch(trimmed):
        return None
    try:
        return datetime.fromisoformat(trimmed.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _end_of_day(value: object, account: Account) -> datetime | None:
    day = _as_day(value.strip()) if isinstance(value, str) else None
    if day is None:
        return None
    try:
        return datetime.combine(day, time.max, ZoneInfo(account.time_zone)).astimezone(UTC)
    except OverflowError:
        return None


# --- Ids ---


def as_uuid(value: object) -> UUID | None:
    """The id that a text of 36 characters is, in either case; None for anything else."""
    if isinstance(value, str):
        trimmed = value.strip()
        if _UUID.fullmatch(trimmed):
            return UUID(trimmed)
    return None


def customer_id(reading: Reading, path: str, value: object) -> UUID | None:
    """The id of a customer of the account."""
    found = as_uuid(value)
    if found is None:
        reading.refuse(path, f"El campo {path} debe ser un UUID.")
    elif found not in reading.known_customers:
        reading.refuse(path, f"El campo {path} no corresponde a un cliente existente.")
    return found
