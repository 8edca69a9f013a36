"""What a method asks of the payer, and what its gateway tells everybody who pays by it: its banks, its terms."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from recaudo.domain.payers import DOCUMENTS, Detail, DocumentType
from recaudo.usecases.gateways import Offer
from recaudo.usecases.ports import Asked, Bank, Terms

# How long somebody waits for what a gateway tells everybody; it is remembered, so that is rare.
ASK_S: Final = 8.0
BANKS_MAX: Final = 200

FIELDS: Final[Mapping[Asked, tuple[Detail, ...]]] = {
    "person_type": ("person_type",),
    "bank": ("bank",),
    "document": ("document_type", "document_number"),
    "name": ("name",),
    "email": ("email",),
    "phone": ("phone",),
    "terms": ("terms",),
}
# PSE at Wompi takes two types only (gateways specification, 2.6): the others would be refused after all is typed.
GATEWAY_DOCUMENTS: Final[Mapping[str, tuple[DocumentType, ...]]] = {"wompi": ("CC", "NIT")}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway tells about a method that asks: from which banks, and under which terms."""

    banks: Sequence[Bank] = ()
    terms: Terms | None = None

    @property
    def accepted(self) -> dict[str, dict[str, str]]:
        """What a payer accepted, to be kept with the attempt and its time: the documents that they were led to."""
        if self.terms is None:
            return {}
        return {"accepted": {"terms_url": self.terms.terms_url, "data_url": self.terms.data_url}}


def fields(asks: Sequence[Asked]) -> tuple[Detail, ...]:
    """What is asked, in the order in which it is shown: what the method is about first, the terms last."""
    return tuple(name for asked, names in FIELDS.items() if asked in asks for name in names)


def members(asks: Sequence[Asked]) -> tuple[Detail, ...]:
    """The same without the terms, which are accepted and not told."""
    return tuple(name for name in fields(asks) if name != "terms")


def document_types(offer: Offer) -> tuple[DocumentType, ...]:
    """The types of document that the method takes."""
    return GATEWAY_DOCUMENTS.get(offer.gateway.name, tuple(DOCUMENTS)) if "document" in offer.method.asks else ()


def is_mobile(offer: Offer) -> bool:
    """Whether the telephone that the method asks for is the payer's mobile."""
    return offer.method.id == "nequi"


async def look_up(offer: Offer, asks: Sequence[Asked]) -> Known | None:
    """What must be known of the gateway to ask that; None when the gateway does not tell it now."""
    gateway, configured = offer.gateway, offer.configured
    if configured is None:
        return Known() if not {"bank", "terms"} & set(asks) else None
    try:
        async with asyncio.timeout(ASK_S):
            banks = list(await gateway.banks(configured))[:BANKS_MAX] if "bank" in asks else []
            terms = await gateway.terms(configured) if "terms" in asks else None
    except TimeoutError:
        return None
    if ("bank" in asks and not banks) or ("terms" in asks and terms is None):
        return None
    return Known(banks=banks, terms=terms)
