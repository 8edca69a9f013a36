"""Readers of the fields that are objects: meta_data (Treli specification, section 5)."""

import math
from decimal import Decimal
from typing import Any

from recaudo.dialects.treli.fields import is_storable
from recaudo.dialects.treli.reading import Reading, joined, read_object

META_MEMBERS_MAX = 50
META_NAME_CHARS_MAX = 40
META_TEXT_CHARS_MAX = 500
WHOLE_NUMBER_MAX = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly."""


def meta_data(reading: Reading, path: str, value: object) -> dict[str, Any] | None:
    """An object of at most 50 members: text, booleans, null and numbers."""
    members = read_object(reading, path, value)
    if members is None:
        return None
    if len(members) > META_MEMBERS_MAX:
        reading.refuse(path, f"El objeto admite máximo {META_MEMBERS_MAX} miembros.")
        return None
    kept: dict[str, Any] = {}
    for name, item in members.items():
        inner = joined(path, name)
        if not 1 <= len(name) <= META_NAME_CHARS_MAX or not is_storable(name):
            reading.refuse(inner, f"El nombre debe tener entre 1 y {META_NAME_CHARS_MAX} caracteres válidos.")
        elif not reading.clashes(inner):
            kept[name] = _value(reading, inner, item)
    return kept


def _value(reading: Reading, path: str, value: object) -> str | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, Decimal)):
        return _number(reading, path, value)
    if not isinstance(value, str):
        reading.refuse(path, "El valor debe ser texto, número, booleano o null, sin anidar.")
        return None
    trimmed = value.strip()
    if len(trimmed) > META_TEXT_CHARS_MAX:
        reading.refuse(path, f"El valor admite máximo {META_TEXT_CHARS_MAX} caracteres.")
    elif not is_storable(trimmed):
        reading.refuse(path, "El valor contiene caracteres que no se pueden guardar.")
    else:
        return trimmed
    return None


def _number(reading: Reading, path: str, value: int | Decimal) -> float | None:
    """A whole number that every reader keeps exactly, or the nearest IEEE double of any other finite one."""
    if isinstance(value, int) or value == value.to_integral_value():
        if -WHOLE_NUMBER_MAX <= value <= WHOLE_NUMBER_MAX:
            return int(value)
        reading.refuse(path, f"El valor admite números enteros entre -{WHOLE_NUMBER_MAX} y {WHOLE_NUMBER_MAX}.")
        return None
    double = float(value)
    if math.isfinite(double):
        return int(double) if double.is_integer() and abs(double) <= WHOLE_NUMBER_MAX else double
    reading.refuse(path, "El número está fuera de rango.")
    return None
