"""What the OpenAPI document says about the events that endpoints are told (specification, section 14)."""

from collections.abc import Mapping
from typing import Any

from recaudo.dialects.onepay import openapi_examples as examples
from recaudo.dialects.onepay.openapi_schemas import EVENT_NAME, INSTANT, TEXT, UUID, WHOLE
from recaudo.edge.openapi import Content, EventDocs, EventsDocs, Example, Json, member, record, ref

_EVENT = record(
    "Evento",
    {
        "id": member(EVENT_NAME, "Único por evento, y el mismo en cada reintento. Descarte los que ya procesó."),
        "type": member(TEXT, "Tipo del evento."),
        "timestamp": member(WHOLE, "Cuándo ocurrió: segundos Unix, en el reloj de la cuenta."),
        "environment": member(TEXT, "`live` o `test`.", enum=["live", "test"]),
    },
)
_FAILING = record(
    "Webhook que falla",
    {
        "id": member(UUID, "El webhook que falla."),
        "name": member(TEXT, "Su nombre."),
        "url": member(TEXT, "Su dirección."),
        "failing_since": member(INSTANT, "Desde cuándo no responde bien."),
        "last_error": member(TEXT, "Qué pasó la última vez: `HTTP 500`, `no answer within 10 s`…"),
    },
)

SCHEMAS: Mapping[str, Json] = {
    "PaymentEvent": record(
        "Evento de un cobro",
        {
            "payment": member(ref("Payment"), "El cobro como quedó."),
            "event": member(ref("Event"), "Qué pasó y cuándo."),
        },
    ),
    "InvoiceEvent": record(
        "Evento de una factura",
        {
            "invoice": member(ref("Invoice"), "La factura como quedó, con su cobro."),
            "event": member(ref("Event"), "Qué pasó y cuándo."),
        },
    ),
    "WebhookEvent": record(
        "Evento de un webhook",
        {
            "webhook": member(ref("FailingWebhook"), "El webhook que falla."),
            "event": member(ref("Event"), "Qué pasó y cuándo."),
        },
    ),
    "FailingWebhook": _FAILING,
    "Event": _EVENT,
}

_SCHEMA_OF = {"payment": "PaymentEvent", "invoice": "InvoiceEvent", "webhook": "WebhookEvent"}

_WHEN: Mapping[str, str] = {
    "invoice.paid": "La factura quedó pagada por completo (`PAID`).",
    "invoice.created": "Se cargó una factura.",
    "invoice.updated": "Un `PUT` cambió la factura y abrió otro cobro.",
    "invoice.partially_paid": "La factura recibió una parte, o dinero tardío, y queda un saldo.",
    "invoice.deleted": "La factura se retiró.",
    "payment.created": "Se abrió un cobro, solo o de una factura.",
    "payment.approved": "El cobro quedó pagado por completo.",
    "payment.rejected": "Un intento de pago falló; `payment.remarks` dice por qué. El cobro sigue `pending`: el "
    "pagador puede intentar otra vez.",
    "payment.deleted": "Se canceló un cobro vigente: por `DELETE`, por un `PUT` de su factura, o porque dinero tardío "
    "lo cubrió.",
    "payment.expired": "Venció sin haber recibido nada.",
    "payment.partially_paid": "Recibió una parte y queda un saldo.",
    "payment.partial_expired": "Se acabó el plazo después de al menos una parte.",
    "payment.overpaid": "Llegó más de lo que se debía; `payment.overpaid_amount` dice cuánto.",
    "payment.refunded": "Se reembolsó; `payment.refunded_amount` es el total reembolsado.",
    "webhook.failing": "Otro webhook de la cuenta lleva una hora sin recibir bien nada. Una vez por cada racha de "
    "fallas, y nunca al que falla.",
}

# The test vector of 14.6, so that its signatures are those that the headers show.
_AT = 1760978412
_PAID_AT = "2025-10-20T16:40:12.345678Z"


def _told(resource: str, shown: Any, type_: str, event_id: str = examples.EVENT_ID) -> Json:  # noqa: ANN401
    return {resource: shown, "event": {"id": event_id, "type": type_, "timestamp": _AT, "environment": "test"}}


_METHOD: Json = {
    "id": "019a027e-21e0-7d98-9b3a-d52f878d295a",
    "brand": "VISA",
    "label": "VISA **** 1111",
    "last_four": "1111",
    "expiration_date": "2028-12",
    "customer_id": None,
    "created_at": _PAID_AT,
    "country": "CO",
}
_PAID_INVOICE: Json = examples.INVOICE | {
    "status": "PAID",
    "updated_at": _PAID_AT,
    "payment": examples.INVOICE["payment"] | {"status": "approved", "paid_at": _PAID_AT, "method": _METHOD},
    "amount_received": 50000,
}
_ALONE = ("invoice_id", "reference", "email")
_OPEN: Json = {name: value for name, value in examples.INVOICE_PAYMENT.items() if name not in _ALONE} | {
    "status": "pending",
    "paid_at": None,
    "method": None,
}
_CONTEXT: Json = {name: examples.INVOICE_PAYMENT[name] for name in _ALONE}

_EXAMPLES: Mapping[str, Example] = {
    "invoice.paid": Example("La factura pagada", _told("invoice", _PAID_INVOICE, "invoice.paid")),
    "payment.rejected": Example(
        "Sin fondos",
        _told(
            "payment",
            _OPEN | {"remarks": examples.FAILED_INTENT["remarks"]} | _CONTEXT,
            "payment.rejected",
            "evt_00031NF5dMZ9yqV3mTnX7sKw",
        ),
    ),
    "payment.partially_paid": Example(
        "Una parte de 20.000",
        _told(
            "payment",
            _OPEN
            | {
                "status": "partially_paid",
                "method": _METHOD,
                "partial_payment": {
                    "total_paid": 20000,
                    "remaining": 30000,
                    "parts": 1,
                    "charges": [{"id": examples.INTENT_ID, "amount": 20000, "paid_at": _PAID_AT}],
                },
            }
            | _CONTEXT,
            "payment.partially_paid",
            "evt_00031NFOhRbPW70ofLxC7oUb",
        ),
    ),
    "webhook.failing": Example(
        "El ERP no responde",
        _told(
            "webhook",
            {
                "id": examples.WEBHOOK_ID,
                "name": "ERP",
                "url": "https://erp.example.com/hooks",
                "failing_since": "2025-10-20T15:41:03.512000Z",
                "last_error": "HTTP 503",
            },
            "webhook.failing",
            "evt_00031NFOk8Rb1xY2zT5vQwLm",
        ),
    ),
}


def _docs(type_: str) -> EventDocs:
    of_type = {"properties": {"event": {"properties": {"type": {"const": type_}}}}}
    shown = {"ejemplo": _EXAMPLES[type_]} if type_ in _EXAMPLES else {}
    schema = {"allOf": [ref(_SCHEMA_OF[type_.partition(".")[0]]), of_type]}
    return EventDocs(when=_WHEN[type_], body=Content(schema, shown))


def _header(name: str, description: str, example: str, **schema: object) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", **schema},
        "example": example,
    }


_SIGNATURE = "3d2c001123ac52a5ce9956153097d1150f5af2f157e20199deddc12abd1e4444"

EVENTS = EventsDocs(
    tag="events",
    headers=(
        # A parameter named Content-Type would be ignored (OpenAPI 3.1, 4.8.12): the body's media type says it.
        _header("User-Agent", "Quién envía.", "Recaudo-Webhook/1"),
        _header("x-webhook-token", "El `header` del webhook. Es fijo: no reemplaza la firma.", examples.TOKEN),
        _header(
            "x-signature",
            "HMAC-SHA256 de los bytes del cuerpo con el secreto, en hexadecimal.",
            _SIGNATURE,
            pattern="^[0-9a-f]{64}$",
        ),
        _header("signature", "El mismo valor que `x-signature`.", _SIGNATURE, pattern="^[0-9a-f]{64}$"),
        _header("x-webhook-event", "Tipo del evento.", "invoice.paid"),
        _header(
            "Recaudo-Subject-Version",
            "Crece con cada cambio de la factura (o del cobro sin factura): de dos eventos sobre la misma, el mayor es "
            "el más reciente.",
            "4",
            pattern="^[1-9][0-9]*$",
        ),
        _header("webhook-id", "El `event.id`; el mismo en cada reintento.", examples.EVENT_ID),
        _header(
            "webhook-timestamp", "Segundos Unix de este intento, en tiempo real.", "1760978414", pattern="^[0-9]+$"
        ),
        _header(
            "webhook-signature",
            "`v1,` y el HMAC-SHA256 de `webhook-id.webhook-timestamp.cuerpo` en base64 (Standard Webhooks). Mientras "
            "cambia el secreto son dos, separadas por un espacio.",
            "v1,XRTxuxxmihYaeWhGqW94TWmpIKxmMXdghZR/ydachqw=",
        ),
    ),
    answer="Cualquier 2xx antes de 10 segundos. Lo demás, también una redirección, se reintenta.",
    types={type_: _docs(type_) for type_ in _WHEN},
)
