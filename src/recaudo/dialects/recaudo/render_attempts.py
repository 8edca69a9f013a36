"""Ways to pay, and attempts with what their payers do next, as our own JSON."""

from collections.abc import Mapping
from typing import Any, Final

from recaudo.dialects.recaudo import parse_attempts
from recaudo.dialects.recaudo.render import plain
from recaudo.domain.answers import Confirm, Form, Picture, Redirect, Step
from recaudo.domain.model import Account
from recaudo.usecases import asking
from recaudo.usecases.asking import Known
from recaudo.usecases.gateways import Offer
from recaudo.usecases.ports import ByToken
from recaudo.usecases.starting import Begun, Payable

# For people, in Spanish; what has no name here is called by its id.
TITLES: Final[Mapping[str, str]] = {
    "pse": "PSE",
    "nequi": "Nequi",
    "bancolombia": "Botón Bancolombia",
    "bancolombia_qr": "QR Bancolombia",
    "card": "Tarjeta",
    "breb": "Bre-B",
}


# Why nothing was collected, where the gateway has no words for it.
FAILURES: Final[Mapping[str, str]] = {
    "gateway_unavailable": "Este medio de pago no responde en este momento. No se hizo ningún cobro.",
    "not_created": "El pago no se alcanzó a iniciar. No se hizo ningún cobro.",
    "abandoned": "El pago no se terminó a tiempo. No se hizo ningún cobro.",
}
FAILURE: Final = "El pago no se pudo hacer. Intente de nuevo o elija otro medio de pago."


def payable(it: Payable, methods: list[dict[str, Any]]) -> dict[str, Any]:
    """What may be paid of a collection now, and how."""
    allowed = it.allowed
    return {
        "collection_id": str(it.view.collection.id),
        "currency": it.view.collection.currency,
        "refusal": None if it.refusal is None else it.refusal.value,
        "due_minor": None if allowed is None else allowed.balance_minor,
        "min_part_minor": None if allowed is None else allowed.low_minor,
        "max_part_minor": None if allowed is None else allowed.high_minor,
        "open_attempts": it.view.collection.open_attempts,
        "data": methods,
    }


def method(offer: Offer, known: Known | None, known_by_token: Known | None, account: Account) -> dict[str, Any]:
    """A way to pay. `known` None: its gateway does not tell now what it needs, so it cannot be begun."""
    it = offer.method
    return {
        "gateway": offer.gateway.name,
        "method": it.id,
        "kind": it.kind,
        "title": TITLES.get(it.id, it.id),
        "is_available": known is not None,
        "min_amount_minor": it.min_minor,
        "max_amount_minor": it.max_minor,
        "asks": list(asking.members(it.asks)),
        "banks": [{"code": b.code, "name": b.name} for b in known.banks] if known else [],
        "document_types": list(asking.document_types(offer)),
        "terms": _terms(known) if "terms" in it.asks else None,
        "by_token": None
        if it.by_token is None or known_by_token is None
        else _by_token(it.by_token, offer, known_by_token, account),
    }


def attempt(it: Begun) -> dict[str, Any]:
    """An attempt, and what its payer does next."""
    code, text = it.attempt.failure_code, it.attempt.failure_text
    words = {} if code is None or text else {"failure_text": FAILURES.get(code, FAILURE)}
    return plain(it.attempt) | words | {"next": None if it.step is None else step(it.step)}


def step(it: Step) -> dict[str, Any]:
    """What a payer has to do."""
    match it:
        case Redirect(url=url):
            return {"kind": "redirect", "url": url}
        case Form(action=action, fields=fields):
            named = [{"name": name, "value": value} for name, value in fields]
            return {"kind": "form", "method": "GET", "action": action, "fields": named}
        case Picture(image=image, media_type=media_type):
            return {"kind": "picture", "media_type": media_type, "image": image}
        case Confirm(application=application):
            text = f"Confirme el pago en la aplicación {application} de su celular."
            return {"kind": "confirm", "application": application, "text": text}


def _terms(known: Known | None) -> dict[str, str] | None:
    terms = None if known is None else known.terms
    return None if terms is None else {"terms_url": terms.terms_url, "data_url": terms.data_url}


def _by_token(it: ByToken, offer: Offer, known: Known, account: Account) -> dict[str, Any]:
    configured = offer.configured
    return {
        "asks": [parse_attempts.CARD_TOKEN, *asking.members(it.asks)],
        "installments_max": it.installments_max,
        "public_key": None if configured is None else configured.credentials.get(it.credential),
        "token_begins": parse_attempts.begins(it, is_test=account.is_test),
        "terms": _terms(known),
    }
