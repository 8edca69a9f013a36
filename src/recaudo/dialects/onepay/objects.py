"""Readers of the fields that are objects: metadata, limits of paying in parts, allowed methods, and arrays."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, cast

from recaudo.dialects.onepay.fields import whole
from recaudo.dialects.onepay.reading import Reading
from recaudo.domain import money
from recaudo.domain.partial import PARTS_MAX, PartialRule
from recaudo.edge.metadata import MEMBERS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX

WHOLE_NUMBER_MAX = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""
WINDOW_HOURS_MAX = 8760
ALLOWS = ("accounts", "cards", "card_extra", "realtime")
ALLOWS_EXTRA = ("pse", "transfiya", "wallets", "full_extra", "pse_debit", "breb")

_METHODS = ("accounts", "cards", "realtime")
_ALLOWS_KNOWN = frozenset((*ALLOWS, *ALLOWS_EXTRA))
_PAIR = frozenset(("key", "value"))


# --- Metadata ---


def metadata(reading: Reading, path: str, value: object) -> dict[str, Any] | None:
    """An object of at most 50 members: text, booleans, null and numbers, kept as sent (section 5)."""
    if not isinstance(value, dict):
        reading.refuse(path, f"El campo {path} debe ser un objeto.")
        return None
    members = cast("dict[str, object]", value)
    if len(members) > MEMBERS_MAX:
        reading.refuse(path, f"El campo {path} admite máximo {MEMBERS_MAX} miembros.")
        return None
    kept: dict[str, Any] = {}
    for name, item in members.items():
        if _check_name(reading, path, name):
            kept[name] = _metadata_value(reading, path, name, item)
    return kept


def metadata_or_pairs(reading: Reading, path: str, value: object) -> dict[str, Any] | None:
    """Metadata, or an array of {"key", "value"} that is turned into an object; a repeated key is refused (10.1)."""
    if not isinstance(value, list):
        return metadata(reading, path, value)
    members: dict[str, object] = {}
    for index, item in enumerate(cast("list[object]", value)):
        pair = cast("dict[str, object]", item) if isinstance(item, dict) else {}
        name = pair.get("key")
        if not isinstance(name, str):
            reading.refuse(path, f"Cada elemento de {path} debe ser un objeto con key (texto) y value.")
        elif name in members:
            reading.refuse(path, f"El campo {path} repite una llave.")
        else:
            members[name] = pair.get("value")
        reading.ignore_unknown(pair, _PAIR, inside=f"{path}[{index}]")
    return metadata(reading, path, members)


def _check_name(reading: Reading, path: str, name: str) -> bool:
    if 1 <= len(name.strip()) <= NAME_CHARS_MAX and _is_storable(name):
        return True
    reading.refuse(path, f"Cada nombre en {path} debe tener entre 1 y {NAME_CHARS_MAX} caracteres válidos.")
    return False


def _metadata_value(reading: Reading, path: str, name: str, value: object) -> str | float | bool | None:
    path = f"{path}.{name}"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, Decimal)):
        return _number(reading, path, value)
    if not isinstance(value, str):
        reading.refuse(path, f"{path} debe ser texto, número, booleano o null, sin anidar.")
    elif len(value.strip()) > TEXT_CHARS_MAX:
        reading.refuse(path, f"{path} admite máximo {TEXT_CHARS_MAX} caracteres.")
    elif not _is_storable(value):
        reading.refuse(path, f"{path} contiene caracteres que no se pueden guardar.")
    else:
        return value
    return None


def _is_storable(text: str) -> bool:
    """Whether a database keeps this text: no U+0000, no half of a surrogate pair. Other text is the merchant's own."""
    if text.isprintable():
        return True
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _number(reading: Reading, path: str, value: float | Decimal) -> float | None:
    """A whole number that every reader keeps exactly, or the nearest IEEE double of any other finite one."""
    number = whole(value)
    if number is not None:
        if abs(number) <= WHOLE_NUMBER_MAX:
            return number
        reading.refuse(path, f"{path} admite números enteros entre -{WHOLE_NUMBER_MAX} y {WHOLE_NUMBER_MAX}.")
        return None
    double = float(value)
    if math.isfinite(double):
        # A number closer to a whole one than doubles can tell is that whole one, and is written without ".0".
        return int(double) if double.is_integer() and abs(double) <= WHOLE_NUMBER_MAX else double
    reading.refuse(path, f"{path} es un número fuera de rango.")
    return None


def tax(reading: Reading, path: str, value: object) -> float | None:
    """A number from 0, kept as sent."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = _number(reading, path, value)
        if number is None or number >= 0:
            return number
    reading.refuse(path, f"El campo {path} debe ser un número desde 0.")
    return None


# --- Limits of paying in parts ---


class _Unit(NamedTuple):
    """How a body writes money inside its limits: the members' names, and minor units of 1."""

    minimum: str
    maximum: str
    multiple: int
    words: str


_PESOS = _Unit("min_amount", "max_amount", 1, "un número entero de pesos")
_CENTS = _Unit("min_amount_in_cents", "max_amount_in_cents", 100, "un número entero de centavos múltiplo de 100")


def partial_in_pesos(reading: Reading, path: str, value: object) -> PartialRule | None:
    """The limits of an invoice (9.1). Reads the amount that was read before it."""
    return _partial(reading, path, value, _PESOS)


def partial_in_cents(reading: Reading, path: str, value: object) -> PartialRule | None:
    """The limits of a stand-alone payment (10.1): the same, in hundredths of a peso."""
    return _partial(reading, path, value, _CENTS)


def _partial(reading: Reading, path: str, value: object, unit: _Unit) -> PartialRule | None:
    if not isinstance(value, dict):
        reading.refuse(path, f"El campo {path} debe ser un objeto.")
        return None
    limits = cast("dict[str, object]", value)
    known = (unit.minimum, unit.maximum, "max_payment_methods", "timeout_hours")
    reading.ignore_unknown(limits, known, inside=path)
    min_minor = _minimum(reading, path, limits, unit)
    max_minor = _maximum(reading, path, limits, unit, min_minor)
    parts_max = _limit(reading, f"{path}.max_payment_methods", limits.get("max_payment_methods"), PARTS_MAX)
    window_hours = _limit(reading, f"{path}.timeout_hours", limits.get("timeout_hours"), WINDOW_HOURS_MAX)
    if min_minor is None:
        return None
    rule = PartialRule(
        min_minor=min_minor, max_minor=max_minor, parts_max=parts_max or PARTS_MAX, window_hours=window_hours
    )
    check_minimum(reading, f"{path}.{unit.minimum}", rule)
    return rule


def check_minimum(reading: Reading, path: str, rule: PartialRule | None) -> None:
    """Refuse a smallest part above the amount, in one body or of what was stored before (8.4)."""
    amount_minor = reading.amount_minor
    if rule is not None and amount_minor is not None and rule.min_minor > amount_minor:
        label = money.label(amount_minor, reading.account.currency)
        reading.refuse(path, f"El campo {path} no puede superar el valor total ({label}).")


def _minimum(reading: Reading, path: str, limits: Mapping[str, object], unit: _Unit) -> int | None:
    path = f"{path}.{unit.minimum}"
    value = limits.get(unit.minimum)
    if value is None:
        reading.refuse(path, f"El campo {path} es obligatorio.")
        return None
    return _minor(reading, path, value, unit)


def _maximum(
    reading: Reading, path: str, limits: Mapping[str, object], unit: _Unit, min_minor: int | None
) -> int | None:
    value = limits.get(unit.maximum)
    if value is None:
        return None
    max_minor = _minor(reading, f"{path}.{unit.maximum}", value, unit)
    if max_minor is not None and min_minor is not None and max_minor < min_minor:
        message = f"El campo {path}.{unit.maximum} no puede ser menor que {unit.minimum}."
        reading.refuse(f"{path}.{unit.maximum}", message)
    return max_minor


def _minor(reading: Reading, path: str, value: object, unit: _Unit) -> int | None:
    """Minor units, from one peso to the most the books take."""
    number = whole(value)
    currency = reading.account.currency
    if number is not None and number >= unit.multiple and number % unit.multiple == 0:
        minor = money.from_units(number // unit.multiple, currency)
        if minor <= money.AMOUNT_MINOR_MAX:
            return minor
    high = money.to_units(money.AMOUNT_MINOR_MAX, currency) * unit.multiple
    reading.refuse(path, f"El campo {path} debe ser {unit.words}, entre {unit.multiple} y {high}.")
    return None


def _limit(reading: Reading, path: str, value: object, high: int) -> int | None:
    if value is None:
        return None
    number = whole(value)
    if number is not None and 1 <= number <= high:
        return number
    reading.refuse(path, f"El campo {path} debe ser un número entero entre 1 y {high}.")
    return None


# --- Methods and splits ---


def allows(reading: Reading, path: str, value: object) -> dict[str, bool] | None:
    """The account's methods less those switched off here (10.1). What the account has not cannot be switched on."""
    if not isinstance(value, dict):
        reading.refuse(path, f"El campo {path} debe ser un objeto.")
        return None
    asked = cast("dict[str, object]", value)
    merged = dict(reading.account.allows)
    reading.ignore_unknown(asked, _ALLOWS_KNOWN, inside=path)
    well_formed = True
    for name in (*ALLOWS, *ALLOWS_EXTRA):
        wanted = asked.get(name)
        if isinstance(wanted, bool):
            merged[name] = wanted and (name in ALLOWS_EXTRA or merged.get(name, False))
        elif wanted is not None:
            well_formed = False
            reading.refuse(f"{path}.{name}", f"El campo {path}.{name} debe ser true o false.")
    if well_formed and not any(merged.get(method) for method in _METHODS):
        reading.refuse(path, f"El campo {path} no deja ningún medio de pago de los que tiene la cuenta.")
    return merged


def no_splits(reading: Reading, path: str, value: object) -> None:
    """An empty array: sharing a payment out is not supported."""
    if not isinstance(value, list):
        reading.refuse(path, f"El campo {path} debe ser un arreglo.")
    elif value:
        reading.refuse(path, f"El campo {path} debe estar vacío: repartir pagos no está disponible en esta versión.")
