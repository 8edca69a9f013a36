"""What a payer typed, as Wompi wants it (gateways specification, sections 2.5 and 2.6; colombia.md, 3.1)."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec

from recaudo.domain.model import Attempt
from recaudo.edge import contacts
from recaudo.gateways.vendor import Said
from recaudo.usecases.ports import GatewayContext

_DOCUMENTS: Final = {"CC": re.compile(r"[0-9]{3,10}"), "NIT": re.compile(r"[0-9]{6,15}")}
_CHECK_DIGIT: Final = re.compile(r"-[0-9]")
_BANK: Final = re.compile(r"[A-Za-z0-9]{1,20}")
_CARD_TOKEN: Final = re.compile(r"tok_(test|prod)_[A-Za-z0-9_-]{1,150}")
_SANDBOX_PHONES: Final = frozenset({"3991111111", "3992222222"})
_DESCRIPTION_CHARS_MAX: Final = 30  # PSE's, the shortest: one page says 30, another 64
_NAME_CHARS_MAX: Final = 100
INSTALLMENTS_MAX: Final = 36


class PayerDataError(Exception):
    """Something the payer typed is missing or cannot be valid. The text is for them, in Spanish."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a new transaction that comes from the payer."""

    email: str
    payment_method: dict[str, Any]
    customer_data: dict[str, str] | None = None
    ip: str | None = None


def wanted(attempt: Attempt, context: GatewayContext) -> Wanted:
    """The transaction that the payer wants. Raises PayerDataError."""
    payer, method = context.payer, _METHODS[attempt.method_type or ""]
    return Wanted(
        email=_email(payer),
        payment_method=method(attempt, context),
        customer_data=_customer(context) if attempt.method_type == "pse" else None,
        ip=_ip(payer),
    )


def _pse(attempt: Attempt, context: GatewayContext) -> dict[str, Any]:
    payer = context.payer
    kinds = {"natural": 0, "legal": 1}
    if payer.get("person_type") not in kinds:
        raise PayerDataError("Elija si paga como persona natural o como empresa.")
    bank = payer.get("bank", "").strip()
    if not _BANK.fullmatch(bank) or bank == "0":  # 0 is the row "choose your bank" (2.6)
        raise PayerDataError("Elija el banco desde el que va a pagar.")
    document_type, number = _document(payer)
    return {
        "type": "PSE",
        "user_type": kinds[payer["person_type"]],
        "user_legal_id_type": document_type,
        "user_legal_id": number,
        "financial_institution_code": bank,
        "payment_description": _description(attempt, context),
    }


def _nequi(_: Attempt, context: GatewayContext) -> dict[str, Any]:
    return {"type": "NEQUI", "phone_number": _mobile(context)}


def _bancolombia(attempt: Attempt, context: GatewayContext) -> dict[str, Any]:
    return {"type": "BANCOLOMBIA_TRANSFER", "payment_description": _description(attempt, context)}


def _bancolombia_qr(attempt: Attempt, context: GatewayContext) -> dict[str, Any]:
    return {"type": "BANCOLOMBIA_QR", "payment_description": _description(attempt, context)}


def _card(_: Attempt, context: GatewayContext) -> dict[str, Any]:
    """A card that Wompi's own widget turned into a token: its number never comes here."""
    token = _CARD_TOKEN.fullmatch(context.payer.get("card_token", ""))
    environment = "test" if context.account.is_test else "prod"
    if token is None or token[1] != environment:
        raise PayerDataError("Vuelva a escribir los datos de la tarjeta.")
    text = context.payer.get("installments", "1").strip()
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= INSTALLMENTS_MAX:
        raise PayerDataError(f"Elija entre 1 y {INSTALLMENTS_MAX} cuotas.")
    return {"type": "CARD", "token": token[0], "installments": int(text)}


_METHODS: Final[Mapping[str, Callable[[Attempt, GatewayContext], dict[str, Any]]]] = {
    "card": _card,
    "pse": _pse,
    "nequi": _nequi,
    "bancolombia": _bancolombia,
    "bancolombia_qr": _bancolombia_qr,
}


def _email(payer: Mapping[str, str]) -> str:
    email = contacts.read_email(payer.get("email", "").strip())
    if email is None:
        raise PayerDataError("Escriba un correo electrónico válido, como ana@example.com.")
    return email


def _document(payer: Mapping[str, str]) -> tuple[str, str]:
    """A type that Wompi takes for PSE (2.6), and the number as registries write it: no dots, no check digit."""
    document_type = payer.get("document_type", "").strip().upper()
    if document_type not in _DOCUMENTS:
        raise PayerDataError("Para pagar por PSE elija cédula de ciudadanía (CC) o NIT.")
    number = re.sub(r"[.\s]", "", payer.get("document_number", ""))
    if document_type == "NIT" and _CHECK_DIGIT.fullmatch(number[-2:]):
        number = number[:-2]
    number = number.lstrip("0")
    if not _DOCUMENTS[document_type].fullmatch(number):
        raise PayerDataError("Escriba el número de documento completo, solo con números.")
    return document_type, number


def _customer(context: GatewayContext) -> dict[str, str]:
    """What PSE wants to know besides (2.6)."""
    name = " ".join(context.payer.get("name", "").split())
    if not 2 <= len(name) <= _NAME_CHARS_MAX or not name.isprintable() or not any(map(str.isalpha, name)):
        raise PayerDataError("Escriba el nombre completo de quien paga.")
    return {"full_name": name, "phone_number": f"57{_national(context)}"}


def _mobile(context: GatewayContext) -> str:
    """Nequi's number."""
    number = _national(context)
    if not number.startswith("3"):
        raise PayerDataError("Escriba el celular de su cuenta Nequi: 10 dígitos que empiezan por 3.")
    return number


def _national(context: GatewayContext) -> str:
    """The ten digits of a Colombian telephone. The sandbox's own numbers are in no numbering plan (2.11)."""
    bare = re.sub(r"[\s().-]", "", context.payer.get("phone", ""))
    number = bare.removeprefix("+57") if bare.startswith("+") else bare
    if len(number) == 12:
        number = number.removeprefix("57")
    if context.account.is_test and number in _SANDBOX_PHONES:
        return number
    if not re.fullmatch(r"[0-9]{10}", number) or not contacts.is_phone(f"+57{number}"):
        raise PayerDataError("Escriba un número de teléfono de Colombia de 10 dígitos, como 3001234567.")
    return number


def _description(attempt: Attempt, context: GatewayContext) -> str:
    """What the payer's bank shows: the invoice's name, without what Wompi or a bank stumbles over (2.6)."""
    kept = "".join(char if char.isalnum() or char in " .,:#/-" else " " for char in context.invoice.name)
    return " ".join(kept.split())[:_DESCRIPTION_CHARS_MAX].strip() or attempt.reference


def _ip(payer: Mapping[str, str]) -> str | None:
    try:
        return str(ipaddress.ip_address(payer.get("ip", "")))
    except ValueError:
        return None


# -- What Wompi says is wrong with it ----------------------------------------------------------------------------------

# By the last name of the field that Wompi complains about.
_LABELS: Final = {
    "customer_email": "Correo electrónico",
    "customer_data": "Datos de quien paga",
    "full_name": "Nombre",
    "phone_number": "Teléfono",
    "legal_id": "Número de documento",
    "legal_id_type": "Tipo de documento",
    "user_legal_id": "Número de documento",
    "user_legal_id_type": "Tipo de documento",
    "user_type": "Tipo de persona",
    "financial_institution_code": "Banco",
    "token": "Tarjeta",
    "installments": "Cuotas",
}
_MESSAGES_MAX: Final = 3
_MESSAGE_CHARS_MAX: Final = 120


def complaints(said: Said) -> dict[str, str]:
    """The messages of a refusal (2.12), by the path of the field: `{"payment_method.token": "Formato inválido"}`."""
    found: dict[str, str] = {}
    _collect(said.member("error", "messages"), "", found)
    return found


def _collect(messages: Any, path: str, into: dict[str, str], depth: int = 4) -> None:  # noqa: ANN401 - Wompi's JSON
    if isinstance(messages, dict) and depth:
        for name, value in cast("dict[str, Any]", messages).items():
            _collect(value, f"{path}.{name}" if path else name, into, depth - 1)
    elif isinstance(messages, list) and messages:
        _collect(cast("list[Any]", messages)[0], path, into, depth)
    elif isinstance(messages, str):
        into[path] = " ".join(messages.split())[:_MESSAGE_CHARS_MAX]


def correction(about: Mapping[str, str]) -> str | None:
    """Which fields the payer can correct; None when none of them is the payer's.

    In our words: Wompi's may quote what was typed, and this is kept with the attempt.
    """
    labels = dict.fromkeys(_LABELS[name] for name in (path.rpartition(".")[2] for path in about) if name in _LABELS)
    if not labels:
        return None
    return f"Wompi no acepta estos datos; revíselos: {', '.join(list(labels)[:_MESSAGES_MAX]).lower()}."
