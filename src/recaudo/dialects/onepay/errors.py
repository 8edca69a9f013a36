"""Every error OnePay's clients can get, in one table (specification, section 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from recaudo.domain.states import Refusal
from recaudo.edge.http import Reply
from recaudo.edge.problems import ProblemKind


class Row(msgspec.Struct, frozen=True):
    """One row of the specification's table."""

    status: int
    code: int
    code_name: str
    message: str


TABLE: Mapping[str, Row] = {
    row.code_name: row
    for row in (
        Row(400, 40001, "malformed_json", "El cuerpo debe ser un único objeto JSON en UTF-8."),
        Row(400, 40002, "invalid_query", "La consulta no es válida."),
        Row(401, 40101, "unauthenticated", "La clave de API falta, no es válida o fue revocada."),
        Row(403, 40301, "account_inactive", "La cuenta está suspendida."),
        Row(403, 40302, "forbidden", "La clave no tiene permiso para esta operación. Use una clave secreta (sk_...)."),
        Row(404, 40401, "not_found", "El objeto no existe."),
        Row(404, 40402, "route_not_found", "Esta ruta no existe."),
        Row(405, 40501, "method_not_allowed", "Este método no está permitido en esta ruta."),
        Row(409, 40901, "idempotency_key_reused", "La llave de idempotencia ya se usó con otro contenido."),
        Row(409, 40902, "idempotency_in_progress", "Otra solicitud con esta llave está en curso. Intente de nuevo."),
        Row(409, 40903, "invoice_exists", "Ya existe una factura con ese provider y provider_id."),
        Row(409, 40904, "invoice_already_paid", "La factura ya está pagada."),
        Row(409, 40905, "invoice_cancelled", "La factura está cancelada."),
        Row(409, 40906, "amount_below_received", "El valor es menor que lo ya recibido de esta factura."),
        Row(409, 40907, "payment_already_paid", "El cobro ya está pagado."),
        Row(409, 40908, "payment_cancelled", "El cobro está cancelado."),
        Row(409, 40909, "payment_expired", "El cobro está vencido."),
        Row(409, 40910, "payment_without_contact", "El cobro no tiene teléfono ni correo a donde enviarlo."),
        Row(409, 40911, "invoice_uncollectible", "La factura está marcada como incobrable."),
        Row(409, 40912, "invoice_has_installments", "La factura tiene varios cobros vigentes (cuotas)."),
        Row(409, 40913, "customer_exists", "Ya existe un cliente con ese documento."),
        Row(409, 40914, "webhook_limit", "La cuenta ya tiene 20 webhooks."),
        Row(413, 41301, "body_too_large", "El cuerpo supera el límite de 1 MiB."),
        Row(415, 41501, "unsupported_media_type", "Use Content-Type: application/json."),
        Row(422, 42201, "validation_error", "La solicitud tiene errores."),
        Row(429, 42901, "too_many_requests", "Demasiadas solicitudes. Espere y vuelva a intentar."),
        Row(500, 50001, "internal_error", "Error interno. No se guardó nada; puede repetir con la misma llave."),
        Row(503, 50301, "unavailable", "El servicio no está disponible en este momento. Intente de nuevo."),
    )
}

PROBLEMS: Mapping[ProblemKind, str] = {
    ProblemKind.BODY_TOO_LARGE: "body_too_large",
    ProblemKind.UNAUTHENTICATED: "unauthenticated",
    ProblemKind.ACCOUNT_INACTIVE: "account_inactive",
    ProblemKind.FORBIDDEN: "forbidden",
    ProblemKind.TOO_MANY_REQUESTS: "too_many_requests",
    ProblemKind.ROUTE_NOT_FOUND: "route_not_found",
    ProblemKind.METHOD_NOT_ALLOWED: "method_not_allowed",
    ProblemKind.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    ProblemKind.MALFORMED_JSON: "malformed_json",
    ProblemKind.QUERY_TOO_LONG: "invalid_query",
    ProblemKind.KEY_MISSING: "validation_error",
    ProblemKind.KEY_MALFORMED: "validation_error",
    ProblemKind.KEY_IN_PROGRESS: "idempotency_in_progress",
    ProblemKind.UNAVAILABLE: "unavailable",
    ProblemKind.INTERNAL_ERROR: "internal_error",
}

REFUSALS: Mapping[Refusal, str] = {
    Refusal.INVOICE_PAID: "invoice_already_paid",
    Refusal.INVOICE_VOID: "invoice_cancelled",
    Refusal.INVOICE_UNCOLLECTIBLE: "invoice_uncollectible",
    Refusal.INVOICE_IN_INSTALMENTS: "invoice_has_installments",
    Refusal.INVOICE_ALREADY_WITHDRAWN: "not_found",
    Refusal.AMOUNT_BELOW_RECEIVED: "amount_below_received",
    Refusal.PART_MINIMUM_ABOVE_AMOUNT: "validation_error",
    Refusal.COLLECTION_PAID: "payment_already_paid",
    Refusal.COLLECTION_CANCELLED: "payment_cancelled",
    Refusal.COLLECTION_EXPIRED: "payment_expired",
    Refusal.COLLECTION_UNCOLLECTIBLE: "payment_cancelled",
    Refusal.COLLECTION_WITHOUT_CONTACT: "payment_without_contact",
}
"""Refusals that this dialect's operations can meet; those of starting an attempt belong to the payer's page."""

KEY_FIELD = "x-idempotency"
KEY_MESSAGES: Mapping[ProblemKind, str] = {
    ProblemKind.KEY_MISSING: "El encabezado x-idempotency es obligatorio.",
    ProblemKind.KEY_MALFORMED: "El encabezado x-idempotency debe tener de 1 a 255 caracteres ASCII imprimibles.",
}

QUERY_TOO_LONG_MESSAGE = "La consulta admite máximo 100 parámetros."

Errors = Mapping[str, Sequence[str]]


def error_reply(
    code_name: str,
    *,
    message: str | None = None,
    errors: Errors | None = None,
    existing_id: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Reply:
    """An error body (3.1): the row's status and code, `errors` and `erros` always together."""
    row = TABLE[code_name]
    body: dict[str, Any] = {"message": message or row.message, "code": row.code, "code_name": row.code_name}
    if errors is not None:
        body["errors"] = errors
        body["erros"] = [{"key": key, "description": text} for key, texts in errors.items() for text in texts]
    if existing_id is not None:
        body["existing_id"] = existing_id
    return Reply(status=row.status, body=msgspec.json.encode(body), headers=headers)


def validation_reply(errors: Errors) -> Reply:
    """422 with every field error; the message is all of them, in order."""
    return error_reply(
        "validation_error", message=" ".join(t for texts in errors.values() for t in texts), errors=errors
    )
