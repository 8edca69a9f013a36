"""Reading what payers say of themselves, the same on our own page and from a merchant's."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from recaudo.domain.payers import DOCUMENTS, Detail, DocumentType
from recaudo.edge import contacts

# Longer than anything that is accepted; what follows is not looked at.
TEXT_CHARS_MAX: Final = 300
_NAME_CHARS: Final = (2, 100)
_PHONE: Final = re.compile(r"(?:\+?57)?([0-9]{10})")
_PHONE_CHARS_MAX: Final = 30


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What one method takes: the codes of its banks, its documents, and whether its telephone is a mobile."""

    banks: Collection[str] = ()
    document_types: Sequence[DocumentType] = ()
    is_mobile: bool = False
    is_test: bool = False


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and what is missing or wrong."""

    values: Mapping[Detail, str]
    errors: tuple[Detail, ...]


def read(asked: Sequence[Detail], typed: Mapping[Detail, str], rules: Rules) -> Given:
    """What was typed, in the words of the gateways' port; `terms` are accepted by a 1."""
    values: dict[Detail, str] = {}
    errors: list[Detail] = []
    read_as: Mapping[Detail, Callable[[str], str | None]] = {
        "person_type": lambda text: text if text in {"natural", "legal"} else None,
        "bank": lambda text: text if text in rules.banks else None,
        "document_type": lambda text: text if text in rules.document_types else None,
        "document_number": lambda text: _document_number(text, typed.get("document_type", "").strip()),
        "name": _name,
        "email": contacts.read_email,
        "phone": lambda text: _phone(text, rules),
        "terms": lambda text: "1" if text == "1" else None,
    }
    for field in asked:
        value = read_as[field](typed.get(field, "").strip())
        if value is None:
            errors.append(field)
        else:
            values[field] = value
    return Given(values=values, errors=tuple(errors))


def _document_number(text: str, document_type: str) -> str | None:
    number = re.sub(r"[.\s]", "", text[:TEXT_CHARS_MAX])
    pattern = next((pattern for known, pattern in DOCUMENTS.items() if known == document_type), None)
    # Without a type, which is told beside its own field, any that could be a number will do.
    is_good = pattern.fullmatch(number) if pattern else re.fullmatch(r"[0-9A-Za-z-]{3,20}", number)
    return number if is_good else None


def _name(text: str) -> str | None:
    name = " ".join(text[:TEXT_CHARS_MAX].split())
    low, high = _NAME_CHARS
    is_good = low <= len(name) <= high and name.isprintable() and any(map(str.isalpha, name))
    return name if is_good else None


def _phone(text: str, rules: Rules) -> str | None:
    """A Colombian number in E.164. Wompi's sandbox has numbers that no plan knows (gateways specification, 2.11)."""
    found = _PHONE.fullmatch(re.sub(r"[\s().-]", "", text)) if len(text) <= _PHONE_CHARS_MAX else None
    if found is None or (rules.is_mobile and not found[1].startswith("3")):
        return None
    phone = f"+57{found[1]}"
    is_good = contacts.is_phone(phone) or (rules.is_test and contacts.is_sandbox_phone(phone))
    return phone if is_good else None
