"""What a method asks of the payer before it begins: which fields, what they may hold, and the page that asks.

What is typed here goes to the gateway and is kept nowhere. Nothing is filled in beforehand: who holds the link need not
be who owes, and must not learn from it who does.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from recaudo.edge import contacts
from recaudo.usecases.gateways import Offer
from recaudo.usecases.ports import Asked, Bank, Terms
from recaudo.web.rendering import outside_url
from recaudo.web.views import DetailField, DocumentType, FormField

# How long a page waits for what a gateway tells everybody; it is remembered, so that is rare.
ASK_S: Final = 8.0
USER_AGENT_CHARS_MAX: Final = 256
BANKS_MAX: Final = 200
# A field's content as it is shown again: longer than anything that is accepted.
SHOWN_CHARS_MAX: Final = 300

FIELDS: Final[Mapping[Asked, tuple[DetailField, ...]]] = {
    "person_type": ("person_type",),
    "bank": ("bank",),
    "document": ("document_type", "document_number"),
    "name": ("name",),
    "email": ("email",),
    "phone": ("phone",),
    "terms": ("terms",),
}
NAMES: Final[Mapping[DetailField, FormField]] = {
    "person_type": FormField.PERSON_TYPE,
    "bank": FormField.BANK,
    "document_type": FormField.DOCUMENT_TYPE,
    "document_number": FormField.DOCUMENT_NUMBER,
    "name": FormField.NAME,
    "email": FormField.EMAIL,
    "phone": FormField.PHONE,
    "terms": FormField.TERMS,
}
# Numbers as people write them, once dots and spaces are gone (colombia.md 3.1). A NIT may end in its check digit.
DOCUMENTS: Final[Mapping[DocumentType, re.Pattern[str]]] = {
    "CC": re.compile(r"[0-9]{3,10}"),
    "CE": re.compile(r"[0-9A-Za-z]{3,10}"),
    "NIT": re.compile(r"[0-9]{6,15}(?:-[0-9])?"),
    "PP": re.compile(r"[0-9A-Za-z]{3,20}"),
    "TI": re.compile(r"[0-9A-Za-z]{3,20}"),
}
# PSE at Wompi takes two types only (gateways specification, 2.6): the others would be refused after all is typed.
GATEWAY_DOCUMENTS: Final[Mapping[str, tuple[DocumentType, ...]]] = {"wompi": ("CC", "NIT")}

_NAME_CHARS: Final = (2, 100)
_PHONE: Final = re.compile(r"(?:\+?57)?([0-9]{10})")
_PHONE_CHARS_MAX: Final = 30


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway tells about a method that asks: from which banks, and under which terms."""

    banks: Sequence[Bank] = ()
    terms: Terms | None = None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer typed: for the gateway, and which fields are missing or wrong."""

    payer: Mapping[str, str]
    errors: tuple[DetailField, ...]


def asked_fields(offer: Offer) -> tuple[DetailField, ...]:
    """The fields in the order in which the page shows them: what the method is about first, the terms last."""
    return tuple(name for asked, names in FIELDS.items() if asked in offer.method.asks for name in names)


def document_types(offer: Offer) -> tuple[DocumentType, ...]:
    """The types of document that the method takes."""
    return GATEWAY_DOCUMENTS.get(offer.gateway.name, tuple(DOCUMENTS)) if "document" in offer.method.asks else ()


async def look_up(offer: Offer) -> Known | None:
    """What the page needs of the gateway; None when the gateway does not tell it now."""
    gateway, configured, asks = offer.gateway, offer.configured, offer.method.asks
    if configured is None:
        return Known() if not {"bank", "terms"} & set(asks) else None
    try:
        async with asyncio.timeout(ASK_S):
            banks = list(await gateway.banks(configured))[:BANKS_MAX] if "bank" in asks else []
            terms = await gateway.terms(configured) if "terms" in asks else None
    except TimeoutError:
        return None
    is_readable = terms is not None and outside_url(terms.terms_url) and outside_url(terms.data_url)
    if ("bank" in asks and not banks) or ("terms" in asks and not is_readable):
        return None
    return Known(banks=banks, terms=terms)


def read(offer: Offer, known: Known, form: Mapping[str, str], *, is_test: bool) -> Given:
    """What was typed, in the words of the gateways' port."""
    payer: dict[str, str] = {}
    errors: list[DetailField] = []
    read_as: Mapping[DetailField, Callable[[str], str | None]] = {
        "person_type": lambda text: text if text in {"natural", "legal"} else None,
        "bank": lambda text: text if any(bank.code == text for bank in known.banks) else None,
        "document_type": lambda text: text if text in document_types(offer) else None,
        "document_number": lambda text: _document_number(text, form.get(FormField.DOCUMENT_TYPE, "")),
        "name": _name,
        "email": contacts.read_email,
        "phone": lambda text: _phone(text, is_mobile=offer.method.id == "nequi", is_test=is_test),
        "terms": lambda text: "1" if text == "1" else None,
    }
    for field in asked_fields(offer):
        value = read_as[field](form.get(NAMES[field], "").strip())
        if value is None:
            errors.append(field)
        else:
            payer[NAMES[field].value] = value
    return Given(payer=payer, errors=tuple(errors))


def typed(offer: Offer, form: Mapping[str, str]) -> Mapping[DetailField, str]:
    """The fields as they were typed, to be shown again. What was accepted is accepted anew each time."""
    return {field: form.get(NAMES[field], "")[:SHOWN_CHARS_MAX] for field in asked_fields(offer) if field != "terms"}


def _document_number(text: str, document_type: str) -> str | None:
    number = re.sub(r"[.\s]", "", text[:SHOWN_CHARS_MAX])
    pattern = next((pattern for known, pattern in DOCUMENTS.items() if known == document_type), None)
    # Without a type, which is told beside its own field, any that could be a number will do.
    is_good = pattern.fullmatch(number) if pattern else re.fullmatch(r"[0-9A-Za-z-]{3,20}", number)
    return number if is_good else None


def _name(text: str) -> str | None:
    name = " ".join(text[:SHOWN_CHARS_MAX].split())
    low, high = _NAME_CHARS
    is_good = low <= len(name) <= high and name.isprintable() and any(map(str.isalpha, name))
    return name if is_good else None


def _phone(text: str, *, is_mobile: bool, is_test: bool) -> str | None:
    """A Colombian number in E.164. Wompi's sandbox has numbers that no plan knows (gateways specification, 2.11)."""
    found = _PHONE.fullmatch(re.sub(r"[\s().-]", "", text)) if len(text) <= _PHONE_CHARS_MAX else None
    if found is None or (is_mobile and not found[1].startswith("3")):
        return None
    phone = f"+57{found[1]}"
    is_good = contacts.is_phone(phone) or (is_test and contacts.is_sandbox_phone(phone))
    return phone if is_good else None
