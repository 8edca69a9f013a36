"""Billing addresses: the part of a customer that the core knows under other names (Treli specification, 6.6 and 11.1).

The telephone, the document and the kind of person are columns of the core, which every dialect reads; the rest is kept
as it was sent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from recaudo.dialects.treli.fields import choice, country, text
from recaudo.dialects.treli.reading import Field, Reading, joined, read_members, read_object
from recaudo.domain.model import Customer
from recaudo.edge.contacts import UNKNOWN_REGION, calling_code_of, is_phone, is_sandbox_phone, region_of, split_phone

PATH: Final = "billing_address"
TEXT_CHARS_MAX: Final = 255
COLOMBIAN_TYPES: Final = ("CC", "CE", "NIT", "TI", "PP", "PEP", "RC", "DIE")
PERSON_TYPES: Final = {"person": "natural", "company": "company"}
REGIMEN_TYPES: Final = ("common_regime", "simplified_regime")
MEMBERS: Final = (
    "first_name",
    "last_name",
    "id_type",
    "identification",
    "address_1",
    "address_2",
    "phone",
    "phone_country_code",
    "city",
    "state",
    "postcode",
    "country",
    "company",
    "person_type",
    "regimen_type",
)
"""In the order in which they are printed."""

_KEPT = (
    "first_name",
    "last_name",
    "address_1",
    "address_2",
    "phone_country_code",
    "city",
    "state",
    "postcode",
    "country",
    "company",
    "regimen_type",
)
"""What the core keeps in `Customer.address`."""

# A passport is one kind of document in every dialect.
_PASSPORT = {"PP": "PASSPORT"}
_PASSPORT_SHOWN = {core: shown for shown, core in _PASSPORT.items()}

_CODE = re.compile(r"(?:([A-Z]{2})_|\+)([1-9][0-9]{0,2})")
_DIGITS = re.compile(r"[0-9]{1,14}")
_LETTERS = re.compile(r"[A-Za-z]{1,20}")

CODE_MESSAGE = "El indicativo debe tener la forma CO_57 o +57, de un país que existe."
PHONE_MESSAGE = "El teléfono debe tener solo los dígitos nacionales y ser válido con su indicativo."


def _word(reading: Reading, path: str, value: object) -> str | None:
    """The kind of person, in any case (trap 16)."""
    word = value.strip().lower() if isinstance(value, str) else value
    return choice(*PERSON_TYPES)(reading, path, word)


_text = text(0, TEXT_CHARS_MAX)

# In the order of 11.1: first what is any text, then what has rules of its own.
FIELDS = (
    *(Field(name, name, _text) for name in ("first_name", "last_name", "identification", "address_1", "address_2")),
    *(Field(name, name, _text) for name in ("city", "state", "postcode", "company")),
    Field("country", "country", country),
    Field("phone", "phone", _text),
    Field("phone_country_code", "phone_country_code", _text),
    Field("id_type", "id_type", _text),
    Field("person_type", "person_type", _word),
    Field("regimen_type", "regimen_type", choice(*REGIMEN_TYPES)),
)


def read_address(reading: Reading, path: str, value: object) -> dict[str, Any] | None:
    """The core's names and values of a whole billing address. What is empty was not sent."""
    sent = read_object(reading, path, value)
    if sent is None:
        return None
    members = {name: item for name, item in sent.items() if not (isinstance(item, str) and not item.strip())}
    found = read_members(reading, FIELDS, members, inside=path)
    place = found.setdefault("country", reading.account.country) or reading.account.country
    found["phone"], found["phone_country_code"] = _read_phone(reading, found, place)
    document_type = _read_type(reading, found, place)
    person = found.get("person_type") or ("company" if document_type == "NIT" else "person")
    return {
        "user_type": PERSON_TYPES[person],
        "phone": found["phone"],
        "document_type": document_type,
        "document_number": found.get("identification"),
        "address": {name: found[name] for name in _KEPT if found.get(name) is not None},
    }


def _read_phone(reading: Reading, found: Mapping[str, Any], country: str) -> tuple[str | None, str | None]:
    """The number in E.164, and its calling code as it is printed."""
    phone, code = found.get("phone"), found.get("phone_country_code")
    region, digits = _read_code(reading, code, country)
    if code is not None and digits is None:
        reading.refuse(joined(PATH, "phone_country_code"), CODE_MESSAGE)
        return None, None
    if phone is None:
        return None, None if code is None else f"{region}_{digits}"
    e164 = f"+{digits}{phone}"
    if not _DIGITS.fullmatch(phone) or not (is_phone(e164) or (reading.account.is_test and is_sandbox_phone(e164))):
        reading.refuse(joined(PATH, "phone"), PHONE_MESSAGE)
        return None, None
    named = code is not None and not code.startswith("+")
    return e164, f"{region if named else split_phone(e164)[0]}_{digits}"


def _read_code(reading: Reading, code: str | None, country: str) -> tuple[str | None, str | None]:
    """The country and the digits of a calling code, that of the country when there is none; None for a wrong one."""
    if code is None:
        return country, calling_code_of(country)
    parts = _CODE.fullmatch(code)
    if parts is None:
        return None, None
    region, digits = parts.groups()
    if reading.account.is_test and digits == "999" and region in {None, UNKNOWN_REGION}:
        # The sandbox has numbers of a code that no country has.
        return UNKNOWN_REGION, digits
    if region is None:
        region = region_of(digits)
    return region, digits if region is not None and calling_code_of(region) == digits else None


def _read_type(reading: Reading, found: Mapping[str, Any], country: str) -> str | None:
    path = joined(PATH, "id_type")
    kind = found.get("id_type")
    if kind is None:
        if found.get("identification") is not None:
            reading.refuse(path, "El campo es obligatorio cuando se envía identification.")
        return None
    if country == "CO" and kind not in COLOMBIAN_TYPES:
        reading.refuse(path, f"El valor debe ser uno de: {', '.join(COLOMBIAN_TYPES)}.")
    elif not _LETTERS.fullmatch(kind):
        reading.refuse(path, "El valor debe tener de 1 a 20 letras.")
    return _PASSPORT.get(kind, kind)


def shown_address(it: Customer) -> dict[str, str | None]:
    """A billing address with all its members, in order, whoever made the customer."""
    kept = it.address or {}
    person = {core: shown for shown, core in PERSON_TYPES.items()}
    known = {
        **kept,
        "id_type": _PASSPORT_SHOWN.get(it.document_type or "", it.document_type),
        "identification": it.document_number,
        "person_type": person[it.user_type],
    }
    if it.phone is not None:
        region, code, digits = split_phone(it.phone)
        sent = str(kept.get("phone_country_code", ""))
        # Several countries share some codes: what was sent says which was meant.
        known |= {"phone": digits, "phone_country_code": sent if sent.endswith(f"_{code}") else f"{region}_{code}"}
    return {name: known.get(name) for name in MEMBERS}


def merged_address(it: Customer, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What a customer's address would be sent as, with the members that were sent laid over it (11.1)."""
    kept = shown_address(it)
    if "phone" in sent and sent["phone"] is None:
        # Without its number a calling code means nothing.
        kept["phone_country_code"] = None
    return {**kept, **sent}
