"""The errors of the OpenAPI document: when each happens, and the answer exactly as the dialect would give it."""

import uuid
from collections.abc import Mapping
from datetime import date

import msgspec

from recaudo.dialects.onepay import endpoints, openapi_examples as examples
from recaudo.dialects.onepay.errors import KEY_FIELD, KEY_MESSAGES, PROBLEMS, Errors, error_reply, validation_reply
from recaudo.dialects.onepay.fields import EMAIL_MESSAGE, PHONE_MESSAGE
from recaudo.dialects.onepay.reading import InvalidError, Reading
from recaudo.domain.model import Account
from recaudo.edge.http import Reply
from recaudo.edge.openapi import ErrorCase, Json
from recaudo.edge.problems import ProblemKind

WHEN: Mapping[str, str] = {
    "malformed_json": "El cuerpo falta o no es un único objeto JSON en UTF-8.",
    "invalid_query": "Filtro u orden desconocido, o página fuera de rango. `errors` nombra los valores permitidos.",
    "unauthenticated": "La clave falta, está mal escrita, no existe o fue revocada.",
    "account_inactive": "La cuenta está suspendida.",
    "forbidden": "La clave no tiene permiso; por ejemplo, es una clave pública.",
    "not_found": "El identificador no existe, no es un UUID o pertenece a otra cuenta.",
    "route_not_found": "La ruta no existe.",
    "method_not_allowed": "La ruta existe, pero no con este método; vea `Allow`.",
    "idempotency_key_reused": "La llave ya se usó con otro contenido. `errors` dice qué cambió.",
    "idempotency_in_progress": "La primera solicitud con esta llave sigue en curso después de 30 segundos.",
    "invoice_exists": "Ya hay una factura no retirada con ese `provider` y `provider_id`; `existing_id` la nombra.",
    "invoice_already_paid": "La factura está `PAID`.",
    "invoice_cancelled": "La factura está `CANCELLED`.",
    "invoice_uncollectible": "La factura está `UNCOLLECTIBLE`.",
    "invoice_has_installments": "La factura tiene varios cobros vigentes, creados por otro medio.",
    "amount_below_received": "El nuevo total es menor que lo ya recibido.",
    "payment_already_paid": "El cobro está `approved` o `refunded`.",
    "payment_cancelled": "El cobro está `cancelled`.",
    "payment_expired": "El cobro está `expired` o `partial_expired`.",
    "payment_without_contact": "El cobro no tiene teléfono ni correo.",
    "customer_exists": "Ya hay un cliente con ese documento; `existing_id` lo nombra.",
    "body_too_large": "El cuerpo pasa de 1 MiB.",
    "webhook_limit": "La cuenta ya tiene 20 webhooks.",
    "unsupported_media_type": "Hay un cuerpo y su `Content-Type` no es `application/json`.",
    "validation_error": "Uno o varios campos no son válidos; `errors` los trae todos.",
    "too_many_requests": "Se superó el límite de solicitudes de la cuenta.",
    "internal_error": "Una falla del servidor. No se guardó nada.",
    "unavailable": "El servidor está arrancando o deteniéndose, o no alcanza su base de datos.",
}

_ERROR_HEADERS: Mapping[str, tuple[str, ...]] = {
    "unauthenticated": ("WWW-Authenticate",),
    "method_not_allowed": ("Allow",),
    "idempotency_in_progress": ("Retry-After",),
    "too_many_requests": ("Retry-After",),
    "unavailable": ("Retry-After",),
}


def _case(reply: Reply, when: str | None = None) -> ErrorCase:
    """An error as the dialect would answer it."""
    body: Json = msgspec.json.decode(reply.body)
    code: str = body["code_name"]
    return ErrorCase(
        status=reply.status, code=code, when=when or WHEN[code], body=body, headers=_ERROR_HEADERS.get(code, ())
    )


def _invalid(errors: Errors, when: str) -> ErrorCase:
    return _case(validation_reply(errors), when)


def _missing(noun: str, when: str) -> ErrorCase:
    return _case(error_reply("not_found", message=noun), when)


_ANYONE = Account(id=uuid.UUID(int=0), merchant_id=uuid.UUID(int=0), is_test=True)


def _refused_webhook() -> Errors:
    reading = Reading(_ANYONE, date.min)
    endpoints.url(reading, "url", "erp.example.com/hooks")
    endpoints.types(reading, "events", ["invoice.paid", "factura.pagada"])
    return reading.errors


def _refused_overlap() -> Errors:
    try:
        endpoints.parse_rotate({"overlap_hours": endpoints.OVERLAP_HOURS_MAX + 1}, _ANYONE)
    except InvalidError as error:
        return error.errors
    raise AssertionError("too long an overlap is refused")


_AMOUNT_MESSAGE = "El valor debe estar entre $ 5.000 y $ 100.000.000."

# Cases with words of their own; every other row of the table is one case, as it stands.
_SPECIAL: Mapping[str, ErrorCase] = {
    "invalid_query": _case(
        error_reply(
            "invalid_query",
            message="El parámetro page debe ser un número entero desde 1.",
            errors={"page": ["El parámetro page debe ser un número entero desde 1."]},
        ),
    ),
    "invalid_query_filter": _case(
        error_reply(
            "invalid_query",
            message="Filtro no permitido: foo. Filtros permitidos: status, reference, provider, provider_id, id.",
            errors={"filter[foo]": ["Filtro no permitido. Permitidos: status, reference, provider, provider_id, id."]},
        ),
        "Un filtro que no existe.",
    ),
    "not_found_invoice": _missing("La factura no existe.", "La factura no existe."),
    "not_found_withdrawn": _missing("La factura no existe.", "La factura no existe, o ya fue retirada."),
    "not_found_payment": _missing("El cobro no existe.", "El cobro no existe."),
    "not_found_intent": _missing("El intento de pago no existe.", "El intento de pago no existe."),
    "not_found_customer": _missing("El cliente no existe.", "El cliente no existe."),
    "not_found_webhook": _missing("El webhook no existe.", "El webhook no existe, o ya fue eliminado."),
    "idempotency_key_reused": _case(
        error_reply(
            "idempotency_key_reused",
            message="La llave de idempotencia ya se usó con otro contenido. Campos distintos: amount.",
            errors={"amount": ["El valor enviado (60000) difiere del original (50000)."]},
        )
    ),
    "invoice_exists": _case(
        error_reply(
            "invoice_exists",
            message="Ya existe una factura de 'biller' con provider_id '987654'.",
            existing_id=examples.INVOICE_ID,
        )
    ),
    "customer_exists": _case(error_reply("customer_exists", existing_id=examples.CUSTOMER_ID)),
    "key_missing": _invalid({KEY_FIELD: [KEY_MESSAGES[ProblemKind.KEY_MISSING]]}, "Falta la llave de idempotencia."),
    "key_malformed": _invalid(
        {KEY_FIELD: [KEY_MESSAGES[ProblemKind.KEY_MALFORMED]]}, "La llave de idempotencia está vacía o es muy larga."
    ),
    "validation_error_invoice": _invalid(
        {"reference": ["El campo reference es obligatorio."], "amount": [_AMOUNT_MESSAGE], "phone": [PHONE_MESSAGE]},
        "Campos que faltan o no son válidos; llegan todos juntos.",
    ),
    "validation_error_change": _invalid({"name": ["El campo name no puede ser null."]}, "Campos que no son válidos."),
    "validation_error_placeholders": _invalid(
        {"amount": [_AMOUNT_MESSAGE], "phone": [PHONE_MESSAGE], "email": [EMAIL_MESSAGE]},
        "Los marcadores de posición sin llenar.",
    ),
    "validation_error_reason": _invalid(
        {"reason": ["El campo reason debe ser uno de: DELETE_FROM_PROVIDER, PAID_FROM_PROVIDER."]},
        "Un `reason` desconocido, o uno en el cuerpo y otro en la consulta.",
    ),
    "validation_error_payment": _invalid(
        {"title": ["El campo title es obligatorio."], "amount": [_AMOUNT_MESSAGE]},
        "Campos que faltan o no son válidos.",
    ),
    "validation_error_template": _invalid(
        {"template_id": ["El campo template_id debe ser texto."]}, "Un `template_id` que no es texto."
    ),
    "validation_error_customer": _invalid(
        {"document_number": ["El campo document_number es obligatorio cuando se envía document_type."]},
        "Campos que faltan o no son válidos.",
    ),
    "validation_error_webhook": _invalid(
        _refused_webhook(), "Campos que faltan o no son válidos, o una `url` que lleva a una red privada."
    ),
    "validation_error_overlap": _invalid(_refused_overlap(), "Un `overlap_hours` fuera de rango."),
}


def errors() -> dict[str, ErrorCase]:
    """Every case by its name: those of the table in its order, then those with words of their own."""
    plain = {code: _case(error_reply(code)) for code in WHEN}
    return {**plain, **_SPECIAL}


PROBLEM_CASES: Mapping[ProblemKind, str] = {
    **PROBLEMS,
    ProblemKind.KEY_MISSING: "key_missing",
    ProblemKind.KEY_MALFORMED: "key_malformed",
}
