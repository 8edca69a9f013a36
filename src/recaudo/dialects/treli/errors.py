"""Every error Treli's clients can get, in one table (specification, section 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from recaudo.domain.states import Refusal
from recaudo.edge.http import Reply
from recaudo.edge.problems import ProblemKind


class Row(msgspec.Struct, frozen=True):
    """One row of the specification's table."""

    status: int
    code: str
    message: str


TABLE: Mapping[str, Row] = {
    row.code: row
    for row in (
        Row(400, "malformed_json", "El cuerpo debe ser un único objeto JSON en UTF-8."),
        Row(400, "validation_error", "La solicitud tiene errores."),
        Row(400, "amount_exceeds_balance", "El valor es mayor que lo que se debe."),
        Row(400, "amount_equals_balance", "El valor es todo lo que se debe: use /pay."),
        Row(400, "invoice_provider_not_configured", "La cuenta no tiene un proveedor de facturación configurado."),
        Row(400, "no_payment_method", "El cliente no tiene un medio de pago guardado."),
        Row(401, "unauthenticated", "La clave de API falta, no es válida o fue revocada."),
        Row(403, "account_inactive", "La cuenta está suspendida."),
        Row(403, "forbidden", "La clave no tiene permiso para esta operación. Use una clave secreta (sk_...)."),
        Row(404, "not_found", "No existe un objeto con ese id."),
        Row(405, "method_not_allowed", "Este método no está permitido en esta ruta."),
        Row(409, "idempotency_key_reused", "La llave de idempotencia ya se usó con otro contenido."),
        Row(409, "idempotency_in_progress", "Otra solicitud con esta llave está en curso. Intente de nuevo."),
        Row(409, "invoice_number_exists", "Ya existe una factura con ese número."),
        Row(409, "invoice_already_paid", "La factura ya está pagada."),
        Row(409, "invoice_voided", "La factura está anulada."),
        Row(409, "collection_already_paid", "El cobro ya está pagado."),
        Row(409, "collection_voided", "El cobro está anulado."),
        Row(409, "collection_uncollectible", "El cobro está marcado como incobrable."),
        Row(409, "collection_type_not_supported", "Este cobro no admite pagos parciales."),
        Row(409, "collection_not_editable", "Los ítems de un cobro de factura no se pueden cambiar."),
        Row(409, "amount_below_received", "El total quedaría por debajo de lo ya recibido, o en cero."),
        Row(409, "no_contact", "El cliente no tiene a dónde enviarle el aviso."),
        Row(409, "customer_exists", "Ya existe un cliente con ese documento."),
        Row(409, "price_in_use", "Hay ítems que usan este precio: solo se puede cambiar active. Cree otro precio."),
        Row(409, "product_in_use", "El producto tiene precios activos."),
        Row(409, "credit_note_exceeds_invoice", "Las notas crédito superarían el total de la factura."),
        Row(409, "credit_note_number_exists", "Ya existe una nota crédito con ese número."),
        Row(409, "credit_note_voided", "La nota crédito ya está anulada."),
        Row(409, "credit_already_used", "El saldo a favor de esta nota crédito ya se usó."),
        Row(413, "body_too_large", "El cuerpo supera el límite de 1 MiB."),
        Row(415, "unsupported_media_type", "Use Content-Type: application/json."),
        Row(429, "too_many_requests", "Demasiadas solicitudes. Espere y vuelva a intentar."),
        Row(500, "internal_error", "Error interno. No se guardó nada; puede repetir con la misma llave."),
        Row(503, "unavailable", "El servicio no está disponible en este momento. Intente de nuevo."),
    )
}

PROBLEMS: Mapping[ProblemKind, str] = {
    ProblemKind.BODY_TOO_LARGE: "body_too_large",
    ProblemKind.UNAUTHENTICATED: "unauthenticated",
    ProblemKind.ACCOUNT_INACTIVE: "account_inactive",
    ProblemKind.FORBIDDEN: "forbidden",
    ProblemKind.TOO_MANY_REQUESTS: "too_many_requests",
    ProblemKind.ROUTE_NOT_FOUND: "not_found",
    ProblemKind.METHOD_NOT_ALLOWED: "method_not_allowed",
    ProblemKind.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    ProblemKind.MALFORMED_JSON: "malformed_json",
    ProblemKind.QUERY_TOO_LONG: "validation_error",
    ProblemKind.KEY_MISSING: "validation_error",
    ProblemKind.KEY_MALFORMED: "validation_error",
    ProblemKind.KEY_IN_PROGRESS: "idempotency_in_progress",
    ProblemKind.UNAVAILABLE: "unavailable",
    ProblemKind.INTERNAL_ERROR: "internal_error",
}

REFUSALS: Mapping[Refusal, str] = {
    Refusal.INVOICE_PAID: "invoice_already_paid",
    Refusal.INVOICE_VOID: "invoice_voided",
    Refusal.INVOICE_ALREADY_WITHDRAWN: "invoice_voided",
    Refusal.INVOICE_UNCOLLECTIBLE: "collection_uncollectible",
    Refusal.AMOUNT_BELOW_RECEIVED: "amount_below_received",
    Refusal.AMOUNT_ABOVE_BALANCE: "amount_exceeds_balance",
    Refusal.AMOUNT_EQUALS_BALANCE: "amount_equals_balance",
    Refusal.COLLECTION_PAID: "collection_already_paid",
    Refusal.COLLECTION_CANCELLED: "collection_voided",
    Refusal.COLLECTION_EXPIRED: "collection_voided",
    Refusal.COLLECTION_UNCOLLECTIBLE: "collection_uncollectible",
    Refusal.COLLECTION_WITHOUT_CONTACT: "no_contact",
    Refusal.NOTES_ABOVE_TOTAL: "credit_note_exceeds_invoice",
    Refusal.NOTE_VOID: "credit_note_voided",
    Refusal.CREDIT_USED: "credit_already_used",
}
"""Refusals that this dialect's operations can meet; those of starting an attempt belong to the payer's page."""

KEY_FIELDS: Mapping[str, str] = {"idempotency-key": "Idempotency-Key", "x-idempotency": "x-idempotency"}
"""The headers of a key, as clients write them."""

KEY_MESSAGE = (
    "El encabezado debe tener de 1 a 255 caracteres ASCII imprimibles; con sus dos nombres, el mismo valor en ambos."
)
ROUTE_MESSAGE = "Esta ruta no existe."
QUERY_TOO_LONG_MESSAGE = "La consulta admite máximo 100 parámetros."


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field, by its path, its parameter's or its header's name."""

    field: str
    message: str


def error_reply(
    code: str,
    *,
    message: str | None = None,
    errors: Sequence[FieldError] = (),
    existing_id: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Reply:
    """An error body: `code`, `message`, `errors`, and `existing_id` where there is one."""
    row = TABLE[code]
    body: dict[str, Any] = {"code": code, "message": message or row.message, "errors": list(errors)}
    if existing_id is not None:
        body["existing_id"] = existing_id
    return Reply(status=row.status, body=msgspec.json.encode(body), headers=headers)


def validation_reply(errors: Sequence[FieldError]) -> Reply:
    """400 with every field error, in order; the message counts the fields."""
    count = len({error.field for error in errors})
    fields = "1 campo" if count == 1 else f"{count} campos"
    return error_reply("validation_error", message=f"La solicitud tiene {fields} con errores.", errors=errors)
