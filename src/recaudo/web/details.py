"""What a method asks of the payer before it begins: which fields, what they may hold, and the page that asks.

What is typed here goes to the gateway and is kept nowhere. Nothing is filled in beforehand: who holds the link need not
be who owes, and must not learn from it who does.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from recaudo.edge import payers
from recaudo.usecases import asking
from recaudo.usecases.asking import Known
from recaudo.usecases.gateways import Offer
from recaudo.web.rendering import outside_url
from recaudo.web.views import DetailField, DocumentType, FormField

USER_AGENT_CHARS_MAX: Final = 256

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


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer typed: for the gateway, and which fields are missing or wrong."""

    payer: Mapping[str, str]
    errors: tuple[DetailField, ...]


def asked_fields(offer: Offer) -> tuple[DetailField, ...]:
    """The fields in the order in which the page shows them."""
    return asking.fields(offer.method.asks)


def document_types(offer: Offer) -> tuple[DocumentType, ...]:
    """The types of document that the method takes."""
    return asking.document_types(offer)


async def look_up(offer: Offer) -> Known | None:
    """What the page needs of the gateway; None when the gateway does not tell it now, or nothing a page may link to."""
    known = await asking.look_up(offer, offer.method.asks)
    terms = None if known is None else known.terms
    if terms is not None and not (outside_url(terms.terms_url) and outside_url(terms.data_url)):
        return None
    return known


def read(offer: Offer, known: Known, form: Mapping[str, str], *, is_test: bool) -> Given:
    """What was typed, in the words of the gateways' port."""
    rules = payers.Rules(
        banks=frozenset(bank.code for bank in known.banks),
        document_types=document_types(offer),
        is_mobile=asking.is_mobile(offer),
        is_test=is_test,
    )
    given = payers.read(asked_fields(offer), {field: form.get(name, "") for field, name in NAMES.items()}, rules)
    return Given(payer={NAMES[field].value: text for field, text in given.values.items()}, errors=given.errors)


def typed(offer: Offer, form: Mapping[str, str]) -> Mapping[DetailField, str]:
    """The fields as they were typed, to be shown again. What was accepted is accepted anew each time."""
    return {
        field: form.get(NAMES[field], "")[: payers.TEXT_CHARS_MAX] for field in asked_fields(offer) if field != "terms"
    }
