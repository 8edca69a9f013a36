"""Readers of the simple kinds of field (Treli specification, 0.3 and section 5)."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.reading import Reader, Reading
from recaudo.domain import money
from recaudo.domain.model import Account
from recaudo.edge.contacts import URL_CHARS_MAX, is_country, is_url, read_email

MONEY_MAX = 999_999_999_999
DAYS_MAX = 3650
MONEY_MESSAGE = "El valor debe ser un número decimal positivo."
URL_MESSAGE = f"La URL debe empezar por http:// o https://, tener un host y máximo {URL_CHARS_MAX} caracteres."
EMAIL_MESSAGE = "El correo electrónico no es válido."
DATE_MESSAGE = "La fecha debe ser real: AAAA-MM-DD, AAAA-MM-DD HH:MM:SS, o ISO 8601 con desplazamiento."

MISSING: Mapping[str, str] = {
    ids.CUSTOMER: "No existe un cliente con ese id.",
    ids.COLLECTION: "No existe una factura ni un cobro con ese id.",
    ids.PRODUCT: "No existe un producto con ese id.",
    ids.PRICE: "No existe un precio con ese id.",
    ids.RETENTION: "No existe una retención con ese id.",
    ids.RULE: "No existe una regla de cobro con ese id.",
}
"""What is said of an id in a body that names nothing, by its prefix."""

# What no column holds.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DECIMAL = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,30}))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


# --- Text ---


def text(low: int, high: int) -> Reader:
    """Text of `low` to `high` code points after trimming; where none is needed, an empty one is none."""

    def read(reading: Reading, path: str, value: object) -> str | None:
        if not isinstance(value, str):
            reading.refuse(path, "El valor debe ser texto.")
            return None
        trimmed = value.strip()
        if not low <= len(trimmed) <= high:
            bounds = f"entre {low} y {high}" if low else f"máximo {high}"
            reading.refuse(path, f"El valor debe tener {bounds} caracteres.")
        elif not is_storable(trimmed):
            reading.refuse(path, "El valor contiene caracteres que no se pueden guardar.")
        else:
            return trimmed or None
        return None

    return read


def is_storable(value: str) -> bool:
    """Whether a database keeps this text: no U+0000, no half of a surrogate pair."""
    return value.isprintable() or not _UNSTORABLE.search(value)


def choice(*words: str) -> Reader:
    """One of a few words, exactly."""

    def read(reading: Reading, path: str, value: object) -> str | None:
        word = value.strip() if isinstance(value, str) else None
        if word in words:
            return word
        reading.refuse(path, f"El valor debe ser uno de: {', '.join(words)}.")
        return None

    return read


def country(reading: Reading, path: str, value: object) -> str | None:
    """A country's two capital letters (ISO 3166-1 alpha-2)."""
    trimmed = value.strip() if isinstance(value, str) else ""
    if is_country(trimmed):
        return trimmed
    reading.refuse(path, "El valor debe ser un código de país ISO 3166-1 de dos letras, por ejemplo CO.")
    return None


def currency(reading: Reading, path: str, value: object) -> str | None:
    """A currency's three capital letters (ISO 4217), one that accounts can use."""
    trimmed = value.strip() if isinstance(value, str) else ""
    if trimmed in money.DECIMALS:
        return trimmed
    reading.refuse(path, f"La moneda debe ser una de: {', '.join(money.DECIMALS)}.")
    return None


def email(reading: Reading, path: str, value: object) -> str | None:
    """One mailbox, its domain in lower case."""
    read = read_email(value.strip()) if isinstance(value, str) else None
    if read is None or not is_storable(read):
        reading.refuse(path, EMAIL_MESSAGE)
        return None
    return read


def url(reading: Reading, path: str, value: object) -> str | None:
    """An http or https address with a host."""
    trimmed = value.strip() if isinstance(value, str) else ""
    if is_url(trimmed) and is_storable(trimmed):
        return trimmed
    reading.refuse(path, URL_MESSAGE)
    return None


# --- Numbers ---


def flag(reading: Reading, path: str, value: object) -> bool | None:
    """True or false."""
    if isinstance(value, bool):
        return value
    reading.refuse(path, "El valor debe ser true o false.")
    return None


def whole(low: int, high: int) -> Reader:
    """A JSON number that is whole, within bounds."""

    def read(reading: Reading, path: str, value: object) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        reading.refuse(path, f"El valor debe ser un número entero entre {low} y {high}.")
        return None

    return read


days = whole(0, DAYS_MAX)


def amount(*, above_zero: bool) -> Reader:
    """Minor units of money in the body's currency: a decimal string, or a JSON number as it was written (0.3)."""

    def read(reading: Reading, path: str, value: object) -> int | None:
        number = as_decimal(value)
        if number is None or (above_zero and number == 0):
            reading.refuse(path, MONEY_MESSAGE)
        elif _decimals(number) > money.DECIMALS[reading.currency]:
            reading.refuse(path, f"El valor tiene más decimales que la moneda {reading.currency}.")
        elif number > MONEY_MAX:
            reading.refuse(path, f"El valor no puede superar {MONEY_MAX}.")
        else:
            return money.from_units(number, reading.currency)
        return None

    return read


def percentage(*, above_zero: bool, decimals_max: int) -> Reader:
    """A percentage from 0 (or above it) to 100: a decimal string, or a JSON number."""
    low = "mayor que 0" if above_zero else "desde 0"

    def read(reading: Reading, path: str, value: object) -> Decimal | None:
        number = as_decimal(value)
        if number is None or number > 100 or (above_zero and number == 0):
            reading.refuse(path, f"El porcentaje debe ser un número decimal {low}, hasta 100.")
        elif _decimals(number) > decimals_max:
            reading.refuse(path, f"El porcentaje admite máximo {decimals_max} decimales.")
        else:
            return number
        return None

    return read


def as_decimal(value: object) -> Decimal | None:
    """A number that is not negative and not written in any special way, with its decimals; None for anything else."""
    if isinstance(value, str):
        return Decimal(value) if _DECIMAL.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    number = Decimal(value)
    return number if number.is_finite() and number >= 0 else None


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "numbers of bodies are finite"
    return max(0, -exponent)


# --- Days and instants ---


def instant(reading: Reading, path: str, value: object) -> datetime | None:
    """A date in any of the three forms, as an instant in UTC (0.3)."""
    found = as_instant(value, reading.account)
    if found is None:
        reading.refuse(path, DATE_MESSAGE)
    return found


def past_instant(reading: Reading, path: str, value: object) -> datetime | None:
    """A date that is not in the future (section 5)."""
    found = instant(reading, path, value)
    if found is None or found <= reading.now:
        return found
    reading.refuse(path, "La fecha no puede estar en el futuro.")
    return None


def day(reading: Reading, path: str, value: object) -> date | None:
    """A date in any of the three forms, as a day in the account's time zone."""
    found = instant(reading, path, value)
    return None if found is None else found.astimezone(ZoneInfo(reading.account.time_zone)).date()


def as_instant(value: object, account: Account) -> datetime | None:
    """The instant in UTC that a text stands for; a text without an offset is in the account's time zone."""
    trimmed = value.strip() if isinstance(value, str) else ""
    zone = ZoneInfo(account.time_zone)
    try:
        if _DAY.fullmatch(trimmed):
            return datetime.combine(date.fromisoformat(trimmed), time.min, zone).astimezone(UTC)
        if _LOCAL.fullmatch(trimmed):
            return datetime.fromisoformat(trimmed).replace(tzinfo=zone).astimezone(UTC)
        if _INSTANT.fullmatch(trimmed):
            return datetime.fromisoformat(trimmed).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


# --- Ids ---


def reference(prefix: str) -> Reader:
    """The id of an object that the account has; `Reading.known` says which."""

    def read(reading: Reading, path: str, value: object) -> UUID | None:
        found = ids.read(prefix, value.strip()) if isinstance(value, str) else None
        if found is not None and found in reading.known.get(prefix, ()):
            return found
        reading.refuse(path, MISSING[prefix])
        return None

    return read
