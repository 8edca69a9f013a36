"""The errors of the OpenAPI document that no noun owns: when each happens, and the answer as it would be given."""

from collections.abc import Mapping

from recaudo.dialects.treli.errors import (
    KEY_MESSAGE,
    PROBLEMS,
    QUERY_TOO_LONG_MESSAGE,
    ROUTE_MESSAGE,
    FieldError,
    error_reply,
    validation_reply,
)
from recaudo.dialects.treli.openapi_parts import case, invalid
from recaudo.edge.openapi import ErrorCase
from recaudo.edge.problems import ProblemKind

WHEN: Mapping[str, str] = {
    "malformed_json": "El cuerpo falta o no es un único objeto JSON en UTF-8.",
    "validation_error": "Campos, parámetros o encabezados que no son válidos; `errors` los trae todos.",
    "amount_exceeds_balance": "El pago es mayor que lo que se debe.",
    "amount_equals_balance": "El pago parcial es todo lo que se debe: use `/pay`.",
    "invoice_provider_not_configured": "`invoicing` necesita un proveedor y la cuenta no tiene.",
    "no_payment_method": "El cliente no tiene un medio de pago guardado.",
    "unauthenticated": "La clave falta, está mal escrita, no existe o fue revocada.",
    "account_inactive": "La cuenta está suspendida.",
    "forbidden": "La clave no tiene permiso; por ejemplo, es una clave pública.",
    "not_found": "El identificador no existe, no es un id, o pertenece a otra cuenta; o la ruta no existe.",
    "method_not_allowed": "La ruta existe, pero no con este método; vea `Allow`.",
    "idempotency_key_reused": "La llave ya se usó con otro contenido. `errors` dice qué cambió.",
    "idempotency_in_progress": "La primera solicitud con esta llave sigue en curso después de 30 segundos.",
    "invoice_number_exists": "Otra factura tiene ese número; `existing_id` la nombra.",
    "invoice_already_paid": "La factura está pagada.",
    "invoice_voided": "La factura está anulada.",
    "collection_already_paid": "El cobro está pagado.",
    "collection_voided": "El cobro está anulado.",
    "collection_uncollectible": "El cobro está marcado como incobrable.",
    "collection_type_not_supported": "Este cobro no admite pagos parciales.",
    "collection_not_editable": "Los ítems de un cobro de factura no se pueden cambiar.",
    "amount_below_received": "El total quedaría por debajo de lo recibido, o en cero.",
    "no_contact": "El cliente no tiene a dónde enviarle el aviso.",
    "customer_exists": "Otro cliente tiene ese documento; `existing_id` lo nombra.",
    "price_in_use": "Hay ítems que usan el precio y el cambio no es solo de `active`.",
    "product_in_use": "El producto tiene precios activos.",
    "credit_note_exceeds_invoice": "Las notas crédito superarían el total de la factura.",
    "credit_note_number_exists": "Otra nota crédito tiene ese número.",
    "credit_note_voided": "La nota crédito ya está anulada.",
    "credit_already_used": "El saldo a favor ya se usó.",
    "body_too_large": "El cuerpo pasa del límite de la ruta.",
    "unsupported_media_type": "Hay un cuerpo y su `Content-Type` no es `application/json`.",
    "too_many_requests": "Se superó el límite de solicitudes de la cuenta.",
    "internal_error": "Una falla del servidor. No se guardó nada.",
    "unavailable": "El servidor está arrancando o deteniéndose, o no alcanza su base de datos.",
}

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "unauthenticated": ("WWW-Authenticate",),
    "method_not_allowed": ("Allow",),
    "idempotency_in_progress": ("Retry-After",),
    "too_many_requests": ("Retry-After",),
    "unavailable": ("Retry-After",),
}

_REUSED = error_reply(
    "idempotency_key_reused",
    errors=[FieldError("full_name", 'El valor enviado ("Otra SAS") difiere del original ("Empresa SAS").')],
)


def _plain(code: str) -> ErrorCase:
    return case(error_reply(code), WHEN[code], headers=_HEADERS.get(code, ()))


ERRORS: Mapping[str, ErrorCase] = {
    **{code: _plain(code) for code in dict.fromkeys(PROBLEMS.values()) if code != "validation_error"},
    "route_not_found": case(error_reply("not_found", message=ROUTE_MESSAGE), "La ruta no existe."),
    "idempotency_key_reused": case(_REUSED, WHEN["idempotency_key_reused"]),
    "key_malformed": case(
        validation_reply([FieldError("Idempotency-Key", KEY_MESSAGE)]),
        "La llave de idempotencia está vacía, es muy larga o llegó con dos valores.",
    ),
    "query_too_long": invalid("La consulta tiene más de 100 parámetros.", ("query", QUERY_TOO_LONG_MESSAGE)),
    "bad_query": invalid(
        "Un parámetro desconocido o fuera de rango.", ("limit", "El valor debe ser un número entero entre 1 y 100.")
    ),
}

PROBLEM_CASES: Mapping[ProblemKind, str] = {
    **PROBLEMS,
    ProblemKind.ROUTE_NOT_FOUND: "route_not_found",
    ProblemKind.QUERY_TOO_LONG: "query_too_long",
    ProblemKind.KEY_MISSING: "key_malformed",
    ProblemKind.KEY_MALFORMED: "key_malformed",
}
