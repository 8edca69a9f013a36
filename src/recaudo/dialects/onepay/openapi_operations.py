"""What the OpenAPI document says about each operation of the OnePay dialect, beside what the route table knows."""

from collections.abc import Mapping, Sequence

from recaudo.dialects.onepay import openapi_examples as examples
from recaudo.dialects.onepay.endpoints import DELIVERIES_SHOWN
from recaudo.dialects.onepay.openapi_schemas import INTENT_STATUSES, INVOICE_STATUSES, PAYMENT_STATUSES
from recaudo.dialects.onepay.queries import PAGE_MAX, PER_PAGE_DEFAULT, PER_PAGE_MAX
from recaudo.dialects.onepay.routes import INTENTS_OF_PAYMENT_MAX
from recaudo.domain.delivering import ENDPOINTS_MAX
from recaudo.edge.openapi import Content, Example, Json, OperationDocs, ref

BY_CREATION = ("created_at", "-created_at")


def _answer(schema: str, summary: str, value: Json) -> Content:
    return Content(ref(schema), {"ejemplo": Example(summary, value)})


def _filter(name: str, description: str, *, words: Sequence[str] = (), example: str | None = None) -> Json:
    values: Json = {"type": "array", "items": {"type": "string"}}
    if words:
        # No status is an unknown status; other filters take an empty value and match nothing.
        values = {"type": "array", "items": {"type": "string", "enum": list(words)}, "minItems": 1}
    parameter: Json = {
        "name": f"filter[{name}]",
        "in": "query",
        "description": description,
        "style": "form",
        "explode": False,
        "schema": values,
    }
    return parameter | ({"example": [example]} if example else {})


def _paging(sorts: Sequence[str] = BY_CREATION) -> list[Json]:
    number = {"type": "integer", "minimum": 1}
    return [
        {
            "name": "page",
            "in": "query",
            "description": "Página, desde 1.",
            "schema": {**number, "maximum": PAGE_MAX, "default": 1},
        },
        {
            "name": "per_page",
            "in": "query",
            "description": "Filas por página.",
            "schema": {**number, "maximum": PER_PAGE_MAX, "default": PER_PAGE_DEFAULT},
        },
        {
            "name": "sort",
            "in": "query",
            "description": "Orden. Con `-` delante, de mayor a menor. A igual valor decide el `id`.",
            "schema": {"type": "string", "enum": list(sorts), "default": "-created_at"},
        },
    ]


_CHANGE_BODY = Content(
    ref("InvoiceChange"),
    {
        "cambio": Example("Nuevo valor, nombre y contacto", examples.CHANGE_REQUEST),
        "marcadores": Example("Los marcadores de posición sin llenar: responde 422", examples.PLACEHOLDERS_REQUEST),
    },
)
_CHANGE_ERRORS = (
    "not_found_invoice",
    "invoice_exists",
    "invoice_already_paid",
    "invoice_cancelled",
    "invoice_uncollectible",
    "invoice_has_installments",
    "amount_below_received",
    "validation_error_change",
)

_INVOICES: Mapping[str, OperationDocs] = {
    "createInvoice": OperationDocs(
        description="Carga una factura y abre un cobro por su valor completo. La respuesta trae "
        "`payment.payment_link`, la página donde paga el cliente. Los avisos al teléfono y al correo se encolan; la "
        "respuesta no los espera.\n\n"
        "Envíe al menos `phone` o `email` (su cuenta puede exigir los dos, o ninguno). Si la factura trae "
        "`provider_id` y ya existe otra no retirada con el mismo `provider` y `provider_id`, la respuesta es 409 "
        "`invoice_exists` con el `existing_id`; así, cargar dos veces el mismo archivo no duplica cobros.",
        status=201,
        success="La factura con su cobro.",
        answer=_answer("Invoice", "La factura recién creada", examples.INVOICE),
        body=Content(
            ref("InvoiceCreate"),
            {
                "factura": Example("Una factura de internet", examples.INVOICE_REQUEST),
                "por_partes": Example("Una matrícula que se puede pagar en tres partes", examples.IN_PARTS_REQUEST),
            },
        ),
        errors=("invoice_exists", "validation_error_invoice"),
    ),
    "listInvoices": OperationDocs(
        description="Busca facturas, de la más reciente a la más antigua. Sin `filter[status]` se omiten las retiradas "
        "(`CANCELLED`). Las filas son cortas; consulte una factura para ver el resto.\n\n"
        "Buscar por `filter[provider_id]` o `filter[reference]` es la forma usual de volver a encontrar una factura.",
        success="Una página de facturas.",
        answer=_answer("InvoicePage", "La factura que se buscó", examples.page(examples.INVOICE_ROW)),
        query=(
            _filter("status", "Estados, sin distinguir mayúsculas.", words=INVOICE_STATUSES),
            _filter("reference", "Referencia exacta.", example="1060500333"),
            _filter("provider", "Sistema emisor."),
            _filter("provider_id", "Identificador en su sistema."),
            _filter("id", "Identificadores de facturas."),
            *_paging(),
        ),
        errors=("invalid_query", "invalid_query_filter"),
    ),
    "getInvoice": OperationDocs(
        description="Devuelve la factura con su cobro actual, en cualquier estado, también si fue retirada.",
        success="La factura.",
        answer=_answer("Invoice", "Una factura sin pagar", examples.INVOICE),
        errors=("not_found_invoice",),
    ),
    "updateInvoice": OperationDocs(
        description="Cambia los campos que envíe y **siempre** reemplaza el cobro: cancela el actual y abre otro con "
        "un enlace nuevo, incluso con `{}`. No lo llame en un ciclo. El enlace anterior queda como señal hacia el "
        "nuevo y no recibe dinero.\n\n"
        "Los campos ausentes conservan su valor y `null` borra los opcionales. `provider` no cambia: si lo envía se "
        "ignora y se informa.\n\n"
        "Si la factura ya recibió una parte, `amount` es el nuevo total y no puede ser menor que lo recibido; el cobro "
        "nuevo pide la diferencia. Si el nuevo total es igual a lo recibido, la factura queda `PAID`.",
        success="La factura con su cobro nuevo. `id` y `created_at` no cambian.",
        answer=_answer("Invoice", "La factura con otro valor y otro enlace", examples.CHANGED_INVOICE),
        body=_CHANGE_BODY,
        errors=(*_CHANGE_ERRORS, "validation_error_placeholders"),
    ),
    "patchInvoice": OperationDocs(
        description="La misma operación que `PUT`, para clientes que cambian con `PATCH`.",
        success="La factura con su cobro nuevo.",
        answer=_answer("Invoice", "La factura con otro valor y otro enlace", examples.CHANGED_INVOICE),
        body=Content(ref("InvoiceChange"), {"valor": Example("Solo el valor", {"amount": 75000})}),
        errors=_CHANGE_ERRORS,
    ),
    "deleteInvoice": OperationDocs(
        description="Retira una factura.\n\n"
        "- `DELETE_FROM_PROVIDER` (por defecto): la deuda se retira, la factura queda `CANCELLED` y se avisa al "
        "cliente. Lo ya recibido queda como saldo a favor del cliente.\n"
        "- `PAID_FROM_PROVIDER`: se pagó por fuera. Se registra un pago externo por lo que falte, la factura queda "
        "`PAID` y no se envía aviso.\n\n"
        "Algunos clientes HTTP y proxies descartan el cuerpo de un `DELETE`, y un `PAID_FROM_PROVIDER` perdido "
        "retiraría la deuda. Para ellos existe `?reason=`. Si llegan los dos deben ser iguales.\n\n"
        "Repetirlo responde 404: la factura ya no está. Consultarla con `GET` sigue funcionando, y su `provider_id` "
        "queda libre si quedó `CANCELLED`.",
        status=204,
        success="Retirada. Sin cuerpo.",
        body=Content(
            ref("InvoiceWithdraw"), {"pagada": Example("Se pagó por fuera", {"reason": "PAID_FROM_PROVIDER"})}
        ),
        query=(
            {
                "name": "reason",
                "in": "query",
                "description": "Lo mismo que `reason` en el cuerpo.",
                "schema": {"type": "string", "enum": ["DELETE_FROM_PROVIDER", "PAID_FROM_PROVIDER"]},
            },
        ),
        errors=("not_found_withdrawn", "invoice_already_paid", "validation_error_reason"),
    ),
}

_PAYMENTS: Mapping[str, OperationDocs] = {
    "createPayment": OperationDocs(
        description="Pide un pago sin cargar una factura. Sin `amount`, el pagador escribe el valor. Cada contacto que "
        "envíe recibe un aviso; sin ninguno, usted comparte `payment_link`.\n\n"
        "Atención: aquí los límites de `partial_payment_config` van en centavos, no en pesos.",
        status=201,
        success="El cobro.",
        answer=_answer("Payment", "Un cobro pendiente", examples.PAYMENT),
        body=Content(
            ref("PaymentCreate"),
            {
                "cobro": Example("Una reserva, sin tarjetas", examples.PAYMENT_REQUEST),
                "abierto": Example("Un valor que escribe el pagador", {"title": "Donación"}),
            },
        ),
        errors=("validation_error_payment",),
        once_example="reserva-2041",
    ),
    "listPayments": OperationDocs(
        description="Busca cobros, con y sin factura, también los reemplazados. Las filas son cobros completos.",
        success="Una página de cobros.",
        answer=_answer("PaymentPage", "Los cobros de una referencia", examples.page(examples.PAYMENT)),
        query=(
            _filter("status", "Estados, sin distinguir mayúsculas.", words=PAYMENT_STATUSES),
            _filter("id", "Identificadores de cobros."),
            _filter("external_id", "Su identificador.", example="RES-2041"),
            _filter("reference", "Referencia exacta."),
            *_paging(),
        ),
        errors=("invalid_query",),
    ),
    "getPayment": OperationDocs(
        description="Devuelve un cobro, de una factura o sin ella, también si fue reemplazado. Además de los miembros "
        "que trae dentro de la factura dice a qué pertenece: `invoice_id`, `reference`, `email`.",
        success="El cobro.",
        answer=_answer("Payment", "El cobro pagado de una factura", examples.INVOICE_PAYMENT),
        errors=("not_found_payment",),
    ),
    "resendPayment": OperationDocs(
        description="Encola otra vez el aviso de un cobro que espera pago (`pending`, `in_progress` o "
        "`partially_paid`). Las reglas de contacto deciden a qué hora sale. No cambia el cobro.",
        success="El cobro, sin cambios.",
        answer=_answer("Payment", "El cobro cuyo aviso se reenvía", examples.PAYMENT),
        body=Content(
            ref("PaymentResend"),
            {
                "usual": Example("Con la plantilla de siempre", {}),
                "otra": Example("Con otra plantilla", {"template_id": "recordatorio"}),
            },
        ),
        errors=(
            "not_found_payment",
            "payment_already_paid",
            "payment_cancelled",
            "payment_expired",
            "payment_without_contact",
            "validation_error_template",
        ),
    ),
    "deletePayment": OperationDocs(
        description="Cancela un cobro. Lo ya recibido se conserva. Si era el cobro de una factura, **la factura sigue "
        "viva** sin un cobro vigente: un `PUT` sobre ella abre otro, un `DELETE` la retira.",
        status=204,
        success="Cancelado. Sin cuerpo.",
        errors=("not_found_payment", "payment_already_paid", "payment_cancelled", "payment_expired"),
    ),
    "listPaymentIntentsOfPayment": OperationDocs(
        description=f"Los intentos de pagar un cobro, del más reciente al más antiguo, hasta {INTENTS_OF_PAYMENT_MAX}. "
        "La respuesta es una lista sola, sin páginas.",
        success="Los intentos.",
        answer=Content(
            {"type": "array", "items": ref("PaymentIntentOfPayment"), "maxItems": INTENTS_OF_PAYMENT_MAX},
            {"ejemplo": Example("Un rechazo y después el pago", examples.INTENTS_OF_PAYMENT)},
        ),
        errors=("not_found_payment",),
    ),
}

_INTENTS: Mapping[str, OperationDocs] = {
    "listPaymentIntents": OperationDocs(
        description="Busca intentos de pago de toda la cuenta. Por `paid_at`, los que no tuvieron éxito van al final.",
        success="Una página de intentos.",
        answer=_answer("PaymentIntentPage", "Un intento con éxito", examples.page(examples.INTENT)),
        query=(
            _filter("id", "Identificadores de intentos."),
            _filter(
                "status",
                "Estados, sin distinguir mayúsculas. `succeeded` se entiende como `paid`.",
                words=(*INTENT_STATUSES, "succeeded"),
                example="paid",
            ),
            _filter("external_id", "El `external_id` del cobro."),
            *_paging((*BY_CREATION, "paid_at", "-paid_at")),
        ),
        errors=("invalid_query",),
    ),
    "getPaymentIntent": OperationDocs(
        description="Devuelve un intento con el medio de pago y el cliente.",
        success="El intento.",
        answer=_answer("PaymentIntentDetail", "Un pago con tarjeta", examples.INTENT_DETAIL),
        errors=("not_found_intent",),
    ),
}

_CUSTOMERS: Mapping[str, OperationDocs] = {
    "createCustomer": OperationDocs(
        description="Registra un cliente. Se necesita `phone` o `email`; `document_type` y `document_number` van "
        "juntos. Si ya hay un cliente con ese documento, la respuesta es 409 `customer_exists` con el `existing_id`.",
        status=201,
        success="El cliente.",
        answer=_answer("Customer", "El cliente recién creado", examples.CUSTOMER),
        body=Content(ref("CustomerCreate"), {"persona": Example("Una persona", examples.CUSTOMER_REQUEST)}),
        errors=("customer_exists", "validation_error_customer"),
        once_example="cliente-1060500333",
    ),
    "listCustomers": OperationDocs(
        description="Busca clientes: los que tienen documento y los creados por esta API.",
        success="Una página de clientes.",
        answer=_answer("CustomerPage", "El cliente con ese documento", examples.page(examples.CUSTOMER)),
        query=(
            _filter("id", "Identificadores de clientes."),
            _filter("document_number", "Número de documento.", example="1060500333"),
            _filter("email", "Correo exacto."),
            _filter("phone", "Teléfono en formato E.164."),
            {
                "name": "document_number",
                "in": "query",
                "description": "Lo mismo que `filter[document_number]`.",
                "schema": {"type": "string"},
            },
            {
                "name": "limit",
                "in": "query",
                "description": "Lo mismo que `per_page`.",
                "schema": {"type": "integer", "minimum": 1, "maximum": PER_PAGE_MAX},
            },
            *_paging(),
        ),
        errors=("invalid_query",),
    ),
    "getCustomer": OperationDocs(
        description="Devuelve un cliente. No hay cambio ni eliminación de clientes en esta versión.",
        success="El cliente.",
        answer=_answer("Customer", "Un cliente", examples.CUSTOMER),
        errors=("not_found_customer",),
    ),
}

_WEBHOOK_CHANGE_ERRORS = ("not_found_webhook", "validation_error_webhook")

_WEBHOOKS: Mapping[str, OperationDocs] = {
    "createWebhook": OperationDocs(
        description="Registra una dirección a la que se cuentan los eventos que usted elija, desde ese momento. Los "
        f"anteriores no se envían. Cada cuenta puede tener hasta {ENDPOINTS_MAX} webhooks.\n\n"
        "**Guarde `secret`**: con él se verifica cada entrega y no se puede volver a consultar. Si la respuesta se "
        "perdió, repita la solicitud con la misma llave de idempotencia.",
        status=201,
        success="El webhook, con su secreto.",
        answer=_answer("WebhookAnswer", "El webhook recién creado", {"data": examples.WEBHOOK_WITH_SECRET}),
        body=Content(ref("WebhookCreate"), {"erp": Example("Pagos y rechazos, a un ERP", examples.WEBHOOK_REQUEST)}),
        errors=("webhook_limit", "validation_error_webhook"),
        once_example="webhook-erp",
    ),
    "listWebhooks": OperationDocs(
        description="Los webhooks de la cuenta creados por este dialecto, sin sus secretos.",
        success="Una página de webhooks.",
        answer=_answer("WebhookPage", "El único webhook", examples.page(examples.WEBHOOK)),
        query=(_filter("id", "Identificadores de webhooks."), *_paging()),
        errors=("invalid_query",),
    ),
    "getWebhook": OperationDocs(
        description="Devuelve un webhook, sin su secreto, con sus "
        f"{DELIVERIES_SHOWN} entregas más recientes: qué respondió su servidor y cuándo se repite cada una.",
        success="El webhook con sus entregas.",
        answer=_answer(
            "WebhookDetailAnswer",
            "Una entrega que se va a repetir y otra que llegó",
            {"data": examples.WEBHOOK_WITH_DELIVERIES},
        ),
        errors=("not_found_webhook",),
    ),
    "updateWebhook": OperationDocs(
        description="Cambia los campos que envíe. `events` se reemplaza completo y vale para los eventos siguientes; "
        "una `url` nueva vale también para lo que está por entregar. `secret` y `header` no cambian.",
        success="El webhook, sin su secreto.",
        answer=_answer("WebhookAnswer", "El webhook con más eventos", {"data": examples.CHANGED_WEBHOOK}),
        body=Content(
            ref("WebhookChange"), {"eventos": Example("Otros eventos", {"events": examples.CHANGED_WEBHOOK["events"]})}
        ),
        errors=_WEBHOOK_CHANGE_ERRORS,
    ),
    "patchWebhook": OperationDocs(
        description="La misma operación que `PUT`, para clientes que cambian con `PATCH`.",
        success="El webhook, sin su secreto.",
        answer=_answer("WebhookAnswer", "El webhook", {"data": examples.WEBHOOK}),
        body=Content(
            ref("WebhookChange"), {"url": Example("Otra dirección", {"url": "https://erp.example.com/hooks"})}
        ),
        errors=_WEBHOOK_CHANGE_ERRORS,
    ),
    "deleteWebhook": OperationDocs(
        description="Elimina un webhook. Lo que estaba por entregarle ya no se envía. Repetirlo responde 404.",
        status=204,
        success="Eliminado. Sin cuerpo.",
        errors=("not_found_webhook",),
    ),
    "testWebhook": OperationDocs(
        description="Encola un evento inventado del primer tipo de su lista, sobre objetos cuyo `id` es solo ceros, "
        "para probar su servidor. Se firma y se repite como cualquier otro; el resultado está en `deliveries` del "
        "webhook.",
        success="La entrega que se encoló.",
        answer=_answer("WebhookSampleAnswer", "La entrega", {"data": {"delivery_id": examples.DELIVERY_ID}}),
        errors=("not_found_webhook",),
    ),
    "rotateWebhook": OperationDocs(
        description="Da un secreto nuevo. Durante `overlap_hours` (24 si no se envía), `x-signature` y `signature` "
        "siguen usando el secreto anterior y `webhook-signature` trae dos firmas: la del nuevo, un espacio y la del "
        "anterior. Después solo firma el nuevo. Con `0` el cambio es inmediato.\n\n"
        "Para no perder nada: pida el secreto nuevo, haga que su servidor acepte los dos, y quite el anterior cuando "
        "termine el plazo.",
        success="El webhook, con su secreto nuevo.",
        answer=_answer("WebhookAnswer", "El secreto nuevo", {"data": examples.ROTATED_WEBHOOK}),
        body=Content(
            ref("WebhookRotate"),
            {
                "plazo": Example("Con dos días para cambiarlo", {"overlap_hours": 48}),
                "ya": Example("De inmediato, si el anterior se filtró", {"overlap_hours": 0}),
            },
        ),
        errors=("not_found_webhook", "validation_error_overlap"),
    ),
}

OPERATIONS: Mapping[str, OperationDocs] = {**_INVOICES, **_PAYMENTS, **_INTENTS, **_CUSTOMERS, **_WEBHOOKS}
