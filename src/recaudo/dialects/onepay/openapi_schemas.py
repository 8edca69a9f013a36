"""JSON Schemas of what the OnePay dialect answers, members in the order of the specification (sections 3, 4, 6 and 13).

`render` writes these objects; tests hold both against each other.
"""

from collections.abc import Mapping

from recaudo.dialects.onepay.endpoints import DELIVERIES_SHOWN
from recaudo.dialects.onepay.errors import TABLE
from recaudo.dialects.onepay.openapi_errors import WHEN
from recaudo.dialects.onepay.webhooks import RANDOM_CHARS, SECRET_PREFIX, TOKEN_PREFIX, TYPES
from recaudo.edge.openapi import Json, extended, member, nullable, record, ref

UUID: Json = {"type": "string", "format": "uuid"}
TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
WHOLE: Json = {"type": "integer"}
# Amounts are whole unless an invoice that was made elsewhere has cents (section 19), so a schema cannot say integer.
PESOS: Json = {"type": "number"}
DAY: Json = {"type": "string", "format": "date"}
INSTANT: Json = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$",
}
OBJECT: Json = {"type": "object"}
NOTHING: Json = {"type": "null"}

INVOICE_STATUSES = ("CREATED", "PARTIALLY_PAID", "PAID", "UNCOLLECTIBLE", "CANCELLED")
PAYMENT_STATUSES = (
    "pending",
    "in_progress",
    "partially_paid",
    "approved",
    "refunded",
    "cancelled",
    "declined",
    "expired",
    "partial_expired",
)
INTENT_STATUSES = ("created", "processing", "paid", "failed", "refunded", "disputed")

METADATA: Json = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}

_INVOICE_STATUS = member(
    TEXT,
    "Estado de la factura: `CREATED` (sin pagos), `PARTIALLY_PAID` (recibió una parte), `PAID`, `UNCOLLECTIBLE` "
    "(incobrable) o `CANCELLED` (retirada).",
    enum=list(INVOICE_STATUSES),
)

_INVOICE_ROW: Mapping[str, Json] = {
    "id": member(UUID, "Identificador de la factura. Nunca cambia."),
    "name": member(TEXT, "Concepto que ve el pagador."),
    "provider": member(TEXT, "Sistema que emitió la factura."),
    "provider_id": nullable(member(TEXT, "Identificador de la factura en su sistema.")),
    "reference": member(TEXT, "Lo que el pagador escribe en el portal. No es única."),
    "status": _INVOICE_STATUS,
    "remarks": nullable(member(ref("Remarks"), "Por qué se retiró o se cerró la factura. Normalmente `null`.")),
    "metadata": member(METADATA, "Sus propios datos, como los envió; `{}` si no envió ninguno."),
}

_INVOICE: Mapping[str, Json] = {
    "id": _INVOICE_ROW["id"],
    "name": _INVOICE_ROW["name"],
    "amount": member(PESOS, "La deuda completa en pesos, no lo que falta por pagar."),
    "provider": _INVOICE_ROW["provider"],
    "provider_id": _INVOICE_ROW["provider_id"],
    "reference": _INVOICE_ROW["reference"],
    "status": _INVOICE_STATUS,
    "remarks": _INVOICE_ROW["remarks"],
    "metadata": _INVOICE_ROW["metadata"],
    "due_date": nullable(member(DAY, "Día de vencimiento, en la zona horaria de la cuenta.")),
    "created_at": member(INSTANT, "Cuándo se creó."),
    "updated_at": member(INSTANT, "Último cambio de la factura, de su estado o de lo recibido."),
    "payment_id": member(UUID, "Identificador del cobro actual, vigente o no."),
    "is_test": member(FLAG, "`true` si la cuenta es de pruebas. Lo decide la clave."),
    "partial_payment_config": nullable(
        member(ref("PartialPaymentConfig"), "Reglas de pago por partes; `null` si solo se admite el pago completo.")
    ),
    "payment": member(ref("Payment"), "El cobro actual: el más reciente que se abrió para la factura."),
    "amount_received": member(PESOS, "Lo recibido hasta ahora, en pesos. Solo aparece cuando es mayor que cero."),
}

_PAYMENT: Mapping[str, Json] = {
    "id": member(UUID, "Identificador del cobro."),
    "source": member(TEXT, "Nombre de la factura, o el título del cobro sin factura."),
    "currency": member(TEXT, "Moneda, ISO 4217.", pattern="^[A-Z]{3}$"),
    "amount": nullable(
        member(
            PESOS, "Lo que pide este cobro, en pesos. Los pagos parciales no lo bajan; `null` si el valor es abierto."
        )
    ),
    "amount_label": nullable(member(TEXT, "El valor escrito para personas: `$ 50.000`.")),
    "title": member(TEXT, "Concepto que ve el pagador."),
    "description": member(TEXT, "Descripción; el mismo concepto si no se envió otra."),
    "phone": nullable(member(TEXT, "Teléfono en formato E.164.")),
    "expiration_at": nullable(member(INSTANT, "Cuándo deja de recibir dinero; `null` si no vence.")),
    "due_date": nullable(member(DAY, "Día de vencimiento. No impide pagar después.")),
    "document_link": nullable(member(TEXT, "Documento que se ofrece al pagador (`document_url`).")),
    "external_id": nullable(member(TEXT, "Su identificador; en el cobro de una factura, el `provider_id` de ella.")),
    "allows": member(ref("Allows"), "Medios de pago que se ofrecen."),
    "status": member(
        TEXT,
        "Estado del cobro. Un intento fallido lo deja en `pending`, porque el pagador puede intentar otra vez. "
        "`declined` está reservado: en esta versión ningún cobro lo tiene.",
        enum=list(PAYMENT_STATUSES),
    ),
    "is_test": member(FLAG, "`true` si la cuenta es de pruebas."),
    "created_at": member(INSTANT, "Cuándo se abrió."),
    "paid_at": nullable(member(INSTANT, "Cuándo quedó pagado por completo. Se conserva tras un reembolso.")),
    "payment_link": member(TEXT, "Página de pago. Sirve también después de pagar, cancelar o vencer."),
    "redirect_url": nullable(member(TEXT, "A dónde vuelve el navegador después de pagar.")),
    "provider_id": member(NOTHING, "Siempre `null`; el de la factura está en `external_id`."),
    "metadata": nullable(
        member(
            METADATA, "Datos de un cobro sin factura. En el cobro de una factura es `null`: los suyos están en ella."
        )
    ),
    "customer": nullable(member(ref("PaymentCustomer"), "Quién paga, desde que se conoce su documento.")),
    "method": nullable(member(ref("PaymentMethod"), "Con qué se pagó la última vez que un intento tuvo éxito.")),
    "splits": member({"type": "array"}, "Siempre vacío en esta versión.", maxItems=0),
    "company": member(NOTHING, "Siempre `null`."),
    "commission": member(NOTHING, "Siempre `null`."),
    "partial_payment": member(ref("PartialPayment"), "Lo recibido por partes. Aparece desde la primera parte."),
    "overpaid_amount": member(PESOS, "Excedente que quedó como saldo a favor del cliente. Solo si es mayor que cero."),
    "refunded_amount": member(PESOS, "Total reembolsado. Solo si es mayor que cero."),
    "remarks": nullable(
        member(ref("Remarks"), "Por qué falló el intento. Solo en el evento `payment.rejected`, que siempre lo trae.")
    ),
    "invoice_id": member(UUID, "Factura a la que pertenece. En `/payments` y en los eventos, no dentro de ella."),
    "reference": member(TEXT, "Referencia para el portal. En `/payments` y en los eventos."),
    "email": member(TEXT, "Correo al que va el aviso. En `/payments` y en los eventos."),
    "partial_payment_config": member(
        ref("PartialPaymentConfigInCents"),
        "Reglas de pago por partes de un cobro sin factura. En `/payments` y en los eventos.",
    ),
}
_PAYMENT_ADDITIONS = (
    "partial_payment",
    "overpaid_amount",
    "refunded_amount",
    "remarks",
    "invoice_id",
    "reference",
    "email",
    "partial_payment_config",
)

_INTENT: Mapping[str, Json] = {
    "id": member(UUID, "Identificador del intento."),
    "description": member(TEXT, "Título del cobro."),
    "amount": member(PESOS, "Valor de este intento, en pesos."),
    "amount_label": member(TEXT, "El valor escrito para personas: `$ 50.000`."),
    "currency": member(TEXT, "Moneda, ISO 4217.", pattern="^[A-Z]{3}$"),
    "status": member(
        TEXT,
        "`processing` también cuando la pasarela no ha respondido: sin respuesta no es lo mismo que rechazado.",
        enum=list(INTENT_STATUSES),
    ),
    "payment_method_type": nullable(
        member(
            TEXT,
            "`CreditCard` (cualquier tarjeta), `Account` (PSE, Bre-B, transferencia), `Wallet` (Nequi, Daviplata) o "
            "`Cash`; `null` si aún no se elige.",
            enum=["CreditCard", "Account", "Wallet", "Cash"],
        )
    ),
    "payment_method_id": nullable(member(UUID, "Medio de pago guardado, si lo hay.")),
    "source": member(
        record("Origen del intento", {"type": {"const": "Payment"}, "id": member(UUID, "Identificador del cobro.")}),
        "El cobro que se intentó pagar.",
    ),
    "created_at": member(INSTANT, "Cuándo empezó."),
    "paid_at": nullable(member(INSTANT, "Cuándo tuvo éxito.")),
    "remarks": nullable(member(ref("Remarks"), "Por qué falló: `code` como `INSUFFICIENT_FUNDS`, y un texto.")),
    "is_test": member(FLAG, "`true` si la cuenta es de pruebas."),
    "network_id": nullable(member(TEXT, "Identificador de la transacción en la pasarela.")),
    "external_id": nullable(member(TEXT, "El `external_id` del cobro.")),
}

_CUSTOMER: Mapping[str, Json] = {
    "id": member(UUID, "Identificador del cliente."),
    "first_name": member(TEXT, "Nombre; en una empresa, la razón social."),
    "last_name": nullable(member(TEXT, "Apellido.")),
    "email": nullable(member(TEXT, "Correo electrónico.")),
    "phone": nullable(member(TEXT, "Teléfono en formato E.164.")),
    "document_type": nullable(member(TEXT, "`CC`, `CE`, `NIT` o `PASSPORT`.")),
    "document_number": nullable(member(TEXT, "Número del documento.")),
    "created_at": member(INSTANT, "Cuándo se creó."),
    "is_test": member(FLAG, "`true` si la cuenta es de pruebas."),
}

_CUSTOMER_ADDITIONS: Mapping[str, Json] = {
    "user_type": member(TEXT, "Persona (`natural`) o empresa (`company`).", enum=["natural", "company"]),
    "enable_notifications": member(FLAG, "`false` silencia todos los avisos a este cliente."),
    "nationality": nullable(member(TEXT, "País, ISO 3166-1 alfa-2.")),
    "birthdate": nullable(member(DAY, "Fecha de nacimiento.")),
    "related_to": nullable(member(UUID, "Otro cliente con el que se relaciona.")),
    "updated_at": member(INSTANT, "Último cambio."),
}

_METHOD: Mapping[str, Json] = {
    "id": member(UUID, "Identificador del medio de pago."),
    "brand": member(TEXT, "`VISA`, `MASTERCARD`, …, o `PSE`, `NEQUI`, `DAVIPLATA`, `BREB`, `EFECTIVO`, `EXTERNO`."),
    "label": member(TEXT, "Texto para personas."),
    "last_four": nullable(member(TEXT, "Últimos cuatro dígitos de la tarjeta.")),
    "expiration_date": nullable(member(TEXT, "Vencimiento de la tarjeta, `AAAA-MM`.", pattern=r"^\d{4}-\d{2}$")),
    "customer_id": nullable(member(UUID, "Cliente dueño del medio guardado.")),
    "created_at": member(INSTANT, "Cuándo se usó por primera vez."),
    "country": nullable(member(TEXT, "País, ISO 3166-1 alfa-2.")),
}

EVENT_NAME: Json = {"type": "string", "pattern": "^evt_[0-9A-Za-z]{24}$"}


def _random(prefix: str, description: str) -> Json:
    return member(TEXT, description, pattern=f"^{prefix}[0-9A-Za-z]{{{RANDOM_CHARS}}}$")


_WEBHOOK: Mapping[str, Json] = {
    "id": member(UUID, "Identificador del webhook."),
    "name": member(TEXT, "Nombre, para usted."),
    "description": nullable(member(TEXT, "Descripción, para usted.")),
    "url": member(TEXT, "A dónde se envían los eventos."),
    "events": member(
        {"type": "array", "items": {"type": "string", "enum": list(TYPES)}},
        "Los tipos de evento que recibe, en el orden en que se enviaron.",
    ),
    "secret": _random(
        SECRET_PREFIX,
        "Con él se firma. Solo está en la respuesta que lo crea, y en su repetición: guárdelo.",
    ),
    "header": _random(TOKEN_PREFIX, "Valor fijo del encabezado `x-webhook-token` de cada entrega. No cambia."),
    "is_test": member(FLAG, "`true` si la cuenta es de pruebas."),
    "created_at": member(INSTANT, "Cuándo se creó."),
    "updated_at": member(INSTANT, "Último cambio, o último cambio de secreto."),
}

_DELIVERY: Mapping[str, Json] = {
    "id": member(UUID, "Identificador de la entrega."),
    "event_id": member(EVENT_NAME, "El evento; el mismo valor de `webhook-id` y de `event.id`."),
    "type": member(TEXT, "Tipo del evento."),
    "status": member(
        TEXT,
        "`pending` (por enviar, o se va a repetir), `delivered` o `failed` (no se repite más).",
        enum=["pending", "delivered", "failed"],
    ),
    "tries": member(WHOLE, "Veces que se ha enviado.", minimum=0),
    "http_status": nullable(member(WHOLE, "Lo que respondió su servidor la última vez; `null` si no respondió.")),
    "next_try_at": nullable(member(INSTANT, "Cuándo se envía otra vez, en tiempo real; `null` si no habrá otra.")),
    "created_at": member(INSTANT, "Cuándo ocurrió el evento, en el reloj de la cuenta."),
}

_CHARGE = record(
    "Parte recibida",
    {
        "id": member(UUID, "Intento de pago que la trajo, o el recaudo si no hubo intento."),
        "amount": member(PESOS, "Pesos."),
        "paid_at": member(INSTANT, "Cuándo se recibió."),
    },
)

_PARTIAL: Mapping[str, Json] = {
    "total_paid": member(PESOS, "Suma de las partes, en pesos."),
    "remaining": member(PESOS, "Lo que falta, en pesos."),
    "parts": member(WHOLE, "Cuántas partes se han recibido."),
    "charges": member({"type": "array", "items": _CHARGE}, "Las partes, de la más antigua a la más reciente."),
}


def _limits(suffix: str, unit: str) -> Mapping[str, Json]:
    return {
        f"min_amount{suffix}": member(PESOS, f"Parte más pequeña, en {unit}."),
        f"max_amount{suffix}": nullable(member(PESOS, f"Parte más grande, en {unit}; `null`: lo que falte.")),
        "max_payment_methods": member(WHOLE, "Máximo de partes; la última permitida debe cerrar el saldo."),
        "timeout_hours": nullable(member(WHOLE, "Plazo en horas desde la primera parte; `null`: sin plazo.")),
    }


_ERROR: Mapping[str, Json] = {
    "message": member(TEXT, "Qué pasó, en español, para mostrar o registrar. El texto puede cambiar."),
    "code": member(WHOLE, "Número del error.", enum=sorted(row.code for row in TABLE.values())),
    "code_name": member(
        TEXT,
        "Nombre estable del error. Programe contra este.",
        enum=list(TABLE),
        # Known to several tools, and to our own page.
        **{"x-enumDescriptions": {code_name: WHEN[code_name] for code_name in TABLE}},
    ),
    "errors": member(
        OBJECT,
        "Mensajes por campo, parámetro o encabezado. Solo si alguno tiene la culpa.",
        additionalProperties={"type": "array", "items": {"type": "string"}, "minItems": 1},
    ),
    "erros": member(
        {"type": "array"},
        "El mismo contenido de `errors` como lista. El nombre es así.",
        items=record("Error de un campo", {"key": TEXT, "description": TEXT}),
    ),
    "existing_id": member(UUID, "El objeto que ya existe. Solo con `invoice_exists` y `customer_exists`."),
}


def _page(title: str, row: str) -> Json:
    return record(
        title,
        {
            "data": {"type": "array", "items": ref(row), "description": "Las filas de esta página."},
            "current_page": member(WHOLE, "Número de esta página."),
            "from": nullable(member(WHOLE, "Número de la primera fila; `null` si no hay filas.")),
            "last_page": member(WHOLE, "Número de la última página, al menos 1.", minimum=1),
            "per_page": member(WHOLE, "Filas por página."),
            "to": nullable(member(WHOLE, "Número de la última fila; `null` si no hay filas.")),
            "total": member(WHOLE, "Filas en total."),
        },
    )


ANSWERS: Mapping[str, Json] = {
    "Invoice": record("Factura", _INVOICE, optional=("amount_received",)),
    "InvoiceRow": record("Factura en una lista", _INVOICE_ROW, description="Consulte la factura para ver el resto."),
    "InvoicePage": _page("Página de facturas", "InvoiceRow"),
    "Payment": record("Cobro", _PAYMENT, optional=_PAYMENT_ADDITIONS),
    "PaymentPage": _page("Página de cobros", "Payment"),
    "PartialPaymentConfig": record("Pago por partes", _limits("", "pesos")),
    "PartialPaymentConfigInCents": record("Pago por partes de un cobro", _limits("_in_cents", "centavos")),
    "PartialPayment": record("Avance del pago por partes", _PARTIAL),
    "Allows": record(
        "Medios permitidos",
        {
            "accounts": member(FLAG, "Transferencia desde una cuenta: PSE y billeteras."),
            "cards": member(FLAG, "Tarjetas de crédito y débito."),
            "card_extra": member(FLAG, "El recargo de la tarjeta puede cobrarse al pagador."),
            "realtime": member(FLAG, "Transferencia inmediata (Bre-B)."),
        },
    ),
    "PaymentMethod": record("Medio de pago", _METHOD),
    "PaymentIntent": record("Intento de pago", _INTENT),
    "PaymentIntentDetail": extended(
        "Intento de pago con detalle",
        "PaymentIntent",
        {
            "method": nullable(member(ref("PaymentMethod"), "Con qué se intentó pagar.")),
            "customer": nullable(member(ref("PaymentCustomer"), "Quién lo intentó.")),
        },
    ),
    "PaymentIntentOfPayment": extended(
        "Intento de un cobro",
        "PaymentIntent",
        {"payment_method_label": nullable(member(TEXT, "Medio de pago, para personas; `null` si no se ha elegido."))},
    ),
    "PaymentIntentPage": _page("Página de intentos de pago", "PaymentIntent"),
    "PaymentCustomer": record("Cliente de un cobro", _CUSTOMER),
    "Customer": extended("Cliente", "PaymentCustomer", _CUSTOMER_ADDITIONS),
    "CustomerPage": _page("Página de clientes", "Customer"),
    "Webhook": record("Webhook", _WEBHOOK, optional=("secret",)),
    "WebhookWithDeliveries": extended(
        "Webhook con sus entregas",
        "Webhook",
        {
            "deliveries": member(
                {"type": "array", "items": ref("WebhookDelivery"), "maxItems": DELIVERIES_SHOWN},
                f"Las {DELIVERIES_SHOWN} entregas más recientes, primero la última.",
            )
        },
    ),
    "WebhookDelivery": record("Entrega de un evento", _DELIVERY),
    "WebhookAnswer": record("Respuesta con un webhook", {"data": member(ref("Webhook"), "El webhook.")}),
    "WebhookDetailAnswer": record(
        "Respuesta con un webhook y sus entregas",
        {"data": member(ref("WebhookWithDeliveries"), "El webhook con sus entregas más recientes.")},
    ),
    "WebhookSampleAnswer": record(
        "Envío de prueba",
        {"data": record("Entrega", {"delivery_id": member(UUID, "La entrega; aparece en `deliveries` del webhook.")})},
    ),
    "WebhookPage": _page("Página de webhooks", "Webhook"),
    "Remarks": record(
        "Motivo", {"code": member(TEXT, "Código estable."), "description": member(TEXT, "El motivo en español.")}
    ),
    "Error": record("Error", _ERROR, optional=("errors", "erros", "existing_id")),
}
