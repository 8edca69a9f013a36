"""Facts and reasons from Mercado Pago's payment object (section 3.4).

Of disputes, section 3.4 names only the status, `charged_back`. Whether one is over, and for whom, is told by the
`status_detail` (the vendor's reference, chargebacks): `in_process`, then `settled` against the seller, or `reimbursed`.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import structlog

from recaudo.domain import money
from recaudo.domain.answers import Fact, FactState
from recaudo.gateways.mercadopago.values import HOST, NAME, id_of, instant, moment, text
from recaudo.gateways.vendor import AmountError, minor_of

_STATES: Final[Mapping[str, FactState]] = {
    "pending": FactState.PROCESSING,
    "in_process": FactState.PROCESSING,
    "authorized": FactState.PROCESSING,
    "approved": FactState.SUCCEEDED,
    "refunded": FactState.SUCCEEDED,  # it arrived, and went back whole
    "rejected": FactState.FAILED,
    "cancelled": FactState.FAILED,
    "charged_back": FactState.DISPUTED,  # until its detail says that it is over
    "in_mediation": FactState.DISPUTED,
}
_CHARGED_BACK: Final = "charged_back"
_LOST: Final = "settled"
_WON: Final = "reimbursed"

# By `status_detail`: the code that the payer's page knows, and what happened.
_FUNDS: Final = ("INSUFFICIENT_FUNDS", "Fondos insuficientes")
_BANK_AWAY: Final = ("BANK_IS_NOT_AVAILABLE", "El banco no respondió")
_RESTRICTED: Final = ("CARD_RESTRICTED", "El banco no permite este pago con la tarjeta")
_DATA: Final = ("CUSTOMER_DATA_INVALID", "Algún dato no coincide")
_EXPIRED: Final = ("TRANSACTION_EXPIRED", "El pago no se terminó a tiempo")
_CANCELLED: Final = ("TRANSACTION_EXPIRED", "El pago se canceló antes de terminarse")
_REJECTED: Final = ("REJECTED", "Mercado Pago rechazó el pago")
_FAILURES: Final[Mapping[str, tuple[str, str]]] = {
    "cc_rejected_insufficient_amount": _FUNDS,
    "insufficient_amount": _FUNDS,
    "cc_rejected_bad_filled_security_code": ("CARD_CVV", "El código de seguridad no coincide"),
    "cc_rejected_bad_filled_card_number": ("CARD_NUMBER", "El número de la tarjeta no coincide"),
    "cc_rejected_bad_filled_date": ("CARD_DATE", "La fecha de vencimiento no coincide"),
    "cc_rejected_bad_filled_other": _DATA,
    "rejected_insufficient_data": _DATA,
    "cc_rejected_call_for_authorize": ("CARD_RESTRICTED", "El banco pide que se autorice el pago con una llamada"),
    "cc_rejected_card_disabled": ("CARD_RESTRICTED", "La tarjeta no está activa"),
    "cc_rejected_blacklist": _RESTRICTED,
    "cc_rejected_card_type_not_allowed": _RESTRICTED,
    "cc_rejected_max_attempts": ("CARD_VELOCITY", "Se llegó al límite de intentos con la tarjeta"),
    "cc_amount_rate_limit_exceeded": ("MAX_AMOUNT", "El valor supera el tope del medio de pago"),
    "bank_error": _BANK_AWAY,
    "cc_rejected_time_out": _BANK_AWAY,
    "expired": _EXPIRED,
}

_BRANDS: Final[Mapping[str, str]] = {
    "debvisa": "VISA",
    "master": "MASTERCARD",
    "debmaster": "MASTERCARD",
    "account_money": "MERCADO PAGO",
    "efecty": "EFECTIVO",
}
_LABELS: Final[Mapping[str, str]] = {"account_money": "Dinero en Mercado Pago", "efecty": "Efecty"}

_log: Any = structlog.get_logger("recaudo.gateways")


class UnreadableError(Exception):
    """A payment that cannot be told as a fact, and why."""


def fact(it: Mapping[str, Any], *, pretended: bool) -> Fact:
    """A payment as a fact. Raises UnreadableError."""
    payment_id, currency, status = id_of(it), it.get("currency_id"), it.get("status")
    if not payment_id or not isinstance(status, str):
        raise UnreadableError("unreadable_payment")
    if not isinstance(currency, str) or currency not in money.DECIMALS:
        raise UnreadableError("unknown_currency")
    amount_minor = _amount(it, "transaction_amount", currency)
    refunded_minor = _amount(it, "transaction_amount_refunded", currency, default=0)
    state = _state(it, status)
    if state is None:
        _log.warning("gateway_unknown_status", gateway=NAME, transaction=payment_id, status=status[:40])
    live = it.get("live_mode")
    failure = _failure(it, status) if state is FactState.FAILED else (None, None)
    return Fact(
        gateway_tx_id=payment_id,
        state=state or FactState.PROCESSING,
        amount_minor=amount_minor,
        currency=currency,
        reference=text(it.get("external_reference")),
        is_test=pretended or not live if isinstance(live, bool) else None,
        refunded_minor=amount_minor if _went_back_whole(it, status) else min(refunded_minor, amount_minor),
        method=_method(it, payment_id),
        failure_code=failure[0],
        failure_text=failure[1],
        paid_at=moment(it.get("date_approved")),
    )


def _state(it: Mapping[str, Any], status: str) -> FactState | None:
    """The state of a payment; None for a status that is new. The money of a dispute that is over is in dispute no more.

    Section 3.4 names only the status; a detail that is new, or missing, leaves the dispute open.
    """
    is_over = status == _CHARGED_BACK and it.get("status_detail") in (_LOST, _WON)
    return FactState.SUCCEEDED if is_over else _STATES.get(status)


def _went_back_whole(it: Mapping[str, Any], status: str) -> bool:
    """Whether nothing of it is left, whatever amount the vendor tells: a refund, or a dispute that the payer won."""
    return status == "refunded" or (status == _CHARGED_BACK and it.get("status_detail") == _LOST)


def _amount(it: Mapping[str, Any], name: str, currency: str, *, default: int | None = None) -> int:
    """An amount of a payment. One that is no whole number of minor units is an error, never rounded (1.3)."""
    value = it.get(name)
    if value is None and default is not None:
        return default
    try:
        minor = minor_of(value, currency)
    except AmountError as error:
        _log.error("gateway_amount_not_representable", gateway=NAME, transaction=id_of(it), field=name)
        raise UnreadableError("amount_not_representable") from error
    if not 0 <= minor <= money.AMOUNT_MINOR_MAX:
        raise UnreadableError("amount_out_of_range")
    return minor


def _failure(it: Mapping[str, Any], status: str) -> tuple[str, str]:
    otherwise = _CANCELLED if status == "cancelled" else _REJECTED
    detail = it.get("status_detail")
    return _FAILURES.get(detail, otherwise) if isinstance(detail, str) else otherwise


def _method(it: Mapping[str, Any], payment_id: str) -> dict[str, Any]:
    """How it was paid, for receipts."""
    method_id = text(it.get("payment_method_id")) or "unknown"
    brand = _BRANDS.get(method_id, method_id.upper())[:40]
    card: Any = it.get("card")
    shown: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{HOST}/v1/payments/{payment_id}")),
        "created_at": instant(moment(it.get("date_created")) or datetime(1970, 1, 1, tzinfo=UTC), "microseconds"),
        "brand": brand,
        "label": _LABELS.get(method_id, brand),
        "country": "CO",
    }
    if isinstance(card, dict):
        shown |= _card(cast("dict[str, Any]", card), brand)
    return shown


def _card(card: Mapping[str, Any], brand: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    digits, month, year = card.get("last_four_digits"), card.get("expiration_month"), card.get("expiration_year")
    if isinstance(digits, str) and re.fullmatch("[0-9]{4}", digits):
        shown |= {"last_four": digits, "label": f"{brand} **** {digits}"}
    if isinstance(month, int) and isinstance(year, int) and 1 <= month <= 12 and 2000 <= year <= 9999:
        shown["expiration_date"] = f"{year}-{month:02d}"
    return shown
