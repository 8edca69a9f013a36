"""Facts, steps and reasons from Wompi's transaction object (gateways specification, sections 2.2, 2.6 and 2.7)."""

import binascii
import re
import unicodedata
import uuid
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import structlog

from recaudo.domain.answers import Confirm, Fact, FactState, Picture, Redirect, Step
from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.edge import contacts
from recaudo.gateways.wompi.api import Json
from recaudo.usecases.ports import Configured, GatewayDownError

_log: Any = structlog.get_logger("recaudo.gateways.wompi")

VOIDED: Final = "VOIDED"
APPROVED: Final = "APPROVED"
PENDING: Final = "PENDING"
_STATES: Final = {
    PENDING: FactState.PROCESSING,
    APPROVED: FactState.SUCCEEDED,
    "DECLINED": FactState.FAILED,
    "ERROR": FactState.FAILED,
    VOIDED: FactState.SUCCEEDED,  # it succeeded, and all of it went back
}
_FAILED_ANYHOW: Final = {"DECLINED": "TRANSACTION_REJECTED", "ERROR": "INTERNAL_ERROR"}

# What stands in `status_message`, in lower case and without accents; the first that fits. The codes are those that
# payers' pages and clients know (web/payer.py, dialects/onepay/render.py).
_REASONS: Final = (
    (r"fondos|saldo insuficiente|insufficient", "INSUFFICIENT_FUNDS"),
    (r"\bcv[vc]2?\b|codigo de seguridad", "CARD_CVV"),
    (r"tarjeta.*(expir|vencid)|fecha de (expiracion|vencimiento)", "CARD_DATE"),
    (r"numero de (la )?tarjeta|tarjeta invalida", "CARD_NUMBER"),
    (r"robad|perdid|extravi", "STOLEN"),
    (r"restring", "CARD_RESTRICTED"),
    (r"bloquead|inactiv", "ACCOUNT_BLOCKED"),
    (r"intentos", "CARD_VELOCITY"),
    (r"(monto|valor|limite|tope|cupo).*(exced|super|permitid|maxim)|(exced|super).*(monto|valor|limite|tope|cupo)",
     "MAX_AMOUNT"),
    (r"no (esta )?disponible|fuera de servicio|comunicacion", "BANK_IS_NOT_AVAILABLE"),
    (r"expir|tiempo|abandon", "TRANSACTION_EXPIRED"),
    (r"datos.*(invalid|incorrect|rechazad)|(documento|usuario|celular).*(invalid|incorrect|no existe)",
     "CUSTOMER_DATA_INVALID"),
)  # fmt: skip
_TEXTS: Final = {
    "INSUFFICIENT_FUNDS": "No había saldo suficiente.",
    "CARD_CVV": "El código de seguridad de la tarjeta no coincidió.",
    "CARD_DATE": "La fecha de vencimiento de la tarjeta no es válida.",
    "CARD_NUMBER": "El número de la tarjeta no es válido.",
    "STOLEN": "El banco no permite pagos con esta tarjeta.",
    "CARD_RESTRICTED": "El banco no permite pagos con esta tarjeta.",
    "ACCOUNT_BLOCKED": "El banco no permite pagos con este medio.",
    "CARD_VELOCITY": "Se superó el número de intentos que permite el banco.",
    "MAX_AMOUNT": "El valor supera el tope que permite el banco.",
    "BANK_IS_NOT_AVAILABLE": "El banco no estaba disponible.",
    "TRANSACTION_EXPIRED": "El pago no se terminó a tiempo.",
    "CUSTOMER_DATA_INVALID": "Algún dato del pagador no coincidió.",
    "TRANSACTION_REJECTED": "El banco no aprobó el pago.",
    "INTERNAL_ERROR": "Hubo un error al procesar el pago.",
}
# By `payment_method_type`: the brand, and what people call it. Cards tell their own.
_BRANDS: Final = {
    "PSE": ("PSE", "PSE"),
    "NEQUI": ("NEQUI", "Nequi"),
    "DAVIPLATA": ("DAVIPLATA", "DaviPlata"),
    "BANCOLOMBIA_TRANSFER": ("BANCOLOMBIA", "Botón Bancolombia"),
    "BANCOLOMBIA_QR": ("BANCOLOMBIA", "QR Bancolombia"),
    "BANCOLOMBIA_COLLECT": ("EFECTIVO", "Corresponsal Bancolombia"),
    "BANCOLOMBIA_BNPL": ("BANCOLOMBIA", "Bancolombia a cuotas"),
    "PCOL": ("PCOL", "Puntos Colombia"),
    "SU_PLUS": ("SU_PLUS", "SU+ Pay"),
}
_WAITS_FOR: Final = {
    "PSE": "async_payment_url",
    "BANCOLOMBIA_TRANSFER": "async_payment_url",
    "BANCOLOMBIA_QR": "qr_image",
}
_IMAGE_CHARS_MAX: Final = 512 * 1024


def fact_of(row: Json, configured: Configured, banks: Mapping[str, str]) -> Fact:
    """What a transaction says (2.7). Raises GatewayDownError when it cannot be read, rather than guess at money."""
    transaction_id, status = text_at(row, "id"), text_at(row, "status")
    currency, amount_minor = text_at(row, "currency"), _amount_minor(row)
    if transaction_id is None or status is None or currency is None:
        raise GatewayDownError("Wompi tells of a transaction without id, status or currency")
    if status not in _STATES:
        _log.warning("wompi_unknown_status", status=status, transaction_id=transaction_id)
    state = state_of(status)
    code, text = _failure(row, status)
    return Fact(
        gateway_tx_id=transaction_id,
        state=state,
        amount_minor=amount_minor,
        currency=currency,
        reference=text_at(row, "reference"),
        is_test=configured.is_test,
        refunded_minor=amount_minor if status == VOIDED else 0,
        method=_method(row, transaction_id, configured, banks),
        failure_code=code,
        failure_text=text,
        paid_at=instant(row.get("finalized_at")) if state is FactState.SUCCEEDED else None,
    )


def state_of(status: str) -> FactState:
    """Wompi's status in our words; one that we do not know is not final yet (2.7)."""
    return _STATES.get(status, FactState.PROCESSING)


def step_of(row: Json) -> Step | None:
    """What the payer of a pending transaction has to do (2.6); None when it is not told, or nothing."""
    if row.get("status") != PENDING:
        return None
    match row.get("payment_method_type"):
        case "PSE" | "BANCOLOMBIA_TRANSFER":
            url = _extra(row).get("async_payment_url")
            return Redirect(url=url) if isinstance(url, str) and contacts.is_url(url) else None
        case "BANCOLOMBIA_QR":
            return _picture(_extra(row).get("qr_image"))
        case "NEQUI":
            return Confirm(application="Nequi")
        case _:
            return None


def waits_for_step(row: Json) -> bool:
    """Whether Wompi will still tell where the payer goes or what they scan: those come by polling only (2.6)."""
    return row.get("status") == PENDING and row.get("payment_method_type") in _WAITS_FOR and step_of(row) is None


def instant(value: object) -> datetime | None:
    """A time of Wompi, in either of its forms (2.2): "2018-07-01T23:49:45.000Z", "2018-07-01 23:49:45 UTC"."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.removesuffix(" UTC"))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def wire_instant(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds (2.2, 2.3): in a signature it stands exactly as it is sent."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def object_at(row: object, name: str) -> Json:
    """An object member; empty for anything else."""
    value: Any = cast("dict[str, Any]", row).get(name) if isinstance(row, dict) else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def text_at(row: Json, name: str, chars_max: int = 255) -> str | None:
    """A text member that can be kept and shown; None for anything else."""
    value = row.get(name)
    is_good = isinstance(value, str) and 0 < len(value) <= chars_max and value.isprintable()
    return value if is_good else None


def plain(text: str) -> str:
    """Lower case without accents, to look for words."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _amount_minor(row: Json) -> int:
    """Cents are minor units as they are. A decimal that happens to be whole is not what is documented (2.2)."""
    amount_minor: object = row.get("amount_in_cents")
    if isinstance(amount_minor, bool) or not isinstance(amount_minor, int):
        raise GatewayDownError("Wompi tells of an amount that is no integer of cents")
    if not 0 <= amount_minor <= AMOUNT_MINOR_MAX:
        raise GatewayDownError("Wompi tells of an amount out of range")
    return amount_minor


def _failure(row: Json, status: str) -> tuple[str | None, str | None]:
    """The code that pages and clients know, and a sentence in Spanish: ours, because Wompi passes banks' words on."""
    if status not in _FAILED_ANYHOW:
        return None, None
    said = plain(text_at(row, "status_message", 500) or "")
    code = next((code for pattern, code in _REASONS if re.search(pattern, said)), _FAILED_ANYHOW[status])
    return code, _TEXTS[code]


def _method(row: Json, transaction_id: str, configured: Configured, banks: Mapping[str, str]) -> dict[str, Any]:
    """How it was paid, for receipts: nothing that tells who paid."""
    kind = text_at(row, "payment_method_type") or "OTHER"
    created_at = instant(row.get("created_at"))
    method: dict[str, Any] = {
        "id": str(uuid.uuid5(configured.account_id, f"wompi:{transaction_id}")),
        "created_at": None if created_at is None else created_at.isoformat(timespec="microseconds")[:26] + "Z",
        "country": "CO",
    }
    if kind == "CARD":
        return {**method, **_card(_extra(row))}
    brand, label = _BRANDS.get(kind, (kind, kind.replace("_", " ").title()))
    bank = _bank(row, banks) if kind == "PSE" else None
    trace = _trace(_extra(row))
    return {
        **method,
        "brand": brand,
        "label": label if bank is None else f"{label} {bank}",
        **({} if bank is None else {"bank": bank}),
        **({} if trace is None else {"bank_trace": trace}),
    }


def _card(extra: Json) -> dict[str, Any]:
    brand = (text_at(extra, "brand", 40) or "CARD").upper()
    last_four = text_at(extra, "last_four", 4)
    if last_four is None or not re.fullmatch(r"[0-9]{4}", last_four):
        return {"brand": brand, "label": brand}
    return {"brand": brand, "label": f"{brand} **** {last_four}", "last_four": last_four}


def _bank(row: Json, banks: Mapping[str, str]) -> str | None:
    code = text_at(object_at(row, "payment_method"), "financial_institution_code", 20)
    return banks.get(code or "")


def _trace(extra: Json) -> str | None:
    """What the payer's bank statement shows: PSE's CUS, else the ticket (part 9, PSE notes)."""
    return text_at(extra, "traceability_code", 64) or text_at(extra, "ticket_id", 64)


def _extra(row: Json) -> Json:
    return object_at(object_at(row, "payment_method"), "extra")


def _picture(image: object) -> Picture | None:
    """A base64 SVG, bare or as a data address; PNG is told by its first bytes."""
    if not isinstance(image, str) or len(image) > _IMAGE_CHARS_MAX:
        return None
    bare = image.partition(";base64,")[2] if image.startswith("data:") else image
    try:
        content = b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        return None
    if not content:
        return None
    is_png = content.startswith(b"\x89PNG")
    return Picture(image=bare, media_type="image/png" if is_png else "image/svg+xml")
