"""What the OpenAPI document says about invoices, and what collections share with them."""

from collections.abc import Mapping, Sequence

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.acting import METHODS as OUTSIDE_METHODS, REASON_CHARS_MAX, REFERENCE_CHARS_MAX
from recaudo.dialects.treli.fields import DAYS_MAX
from recaudo.dialects.treli.invoices import (
    INVOICING,
    METHODS,
    NUMBER_CHARS_MAX,
    OBSERVATIONS_CHARS_MAX,
    RETENTIONS,
    SETTING_CHARS_MAX,
    refused,
)
from recaudo.dialects.treli.items import NAME_CHARS_MAX
from recaudo.dialects.treli.openapi_catalogue import PRICE, PRICE_ID, PRODUCT
from recaudo.dialects.treli.openapi_customers import CUSTOMER_ID
from recaudo.dialects.treli.openapi_parts import (
    CREATED,
    FLAG,
    IS_TEST,
    MONEY,
    OBJECT,
    TEXT,
    URL,
    WHOLE,
    Part,
    answer,
    body,
    case,
    conflict,
    id_of,
    in_path,
    invalid,
    money_sent,
    one_page,
    page,
    paging,
    parameter,
    text,
)
from recaudo.dialects.treli.shown import ADDRESS, INVOICE_STATUSES, SETTINGS
from recaudo.domain.instalments import INSTALMENTS_MAX
from recaudo.domain.money import DECIMALS
from recaudo.domain.pricing import ITEMS_MAX, QUANTITY_MAX
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, nullable, record, ref
from recaudo.usecases.core import OriginTakenError

INVOICE_ID = "col_0002yG8wOXoMFk6uctm5N6V1"
COLLECTION_ID = "col_0002yG8wOXoE1JeSg6PmvAQZ"
RULE_ID = "rule_0002yG8wOXo8byUn5QPGQ6Gx"
_RETEICA = "ret_0002yG8wOXoIRKkrqLUccsCy"
_RETEFTE = "ret_0002yG8wOXoAbfeVc8fXUhXK"

UTC: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"}
DAYS: Json = {"type": "integer", "minimum": 0, "maximum": DAYS_MAX}
META_SENT = member(OBJECT, "Datos propios: texto, número, booleano o `null`; máximo 50 miembros.")
META_DATA = member(OBJECT, "Datos propios, como se enviaron.")
_DATE_SENT = "`AAAA-MM-DD`, `AAAA-MM-DD HH:MM:SS` o ISO 8601 con desplazamiento."

ITEM: Json = {
    "id": "si_0002yG8wOXo92rUCsreAkShN",
    "name": "Nombre del producto",
    "unit_price": "20000.00",
    "quantity": 1,
    "subtotal": "20000.00",
    "total": "23800.00",
    "product": PRODUCT,
    "price": PRICE,
}
REQUEST: Json = {
    "items": [{"unit_price": "20000.00", "quantity": 1, "price": PRICE_ID}],
    "invoice_number": "FV-1024",
    "invoice_pdf": "https://example.com/FV-1024.pdf",
    "invoicing": "upload",
    "currency": "COP",
    "collection_method": "collect",
    "collection_rule_id": RULE_ID,
    "installments": {
        "number_of_installments": 1,
        "installments_settings": [{"amount": "23107.00", "days_until_due": 0}],
    },
    "meta_data": {},
    "invoice_settings": {"invoice_document_id": "24446", "invoice_cost_center": "235"},
    "invoice_retentions": {"reteica": _RETEICA, "retefte": _RETEFTE},
    "customer": CUSTOMER_ID,
}
SHORTEST: Json = {
    "items": [{"name": "Matrícula", "unit_price": "100000.00"}],
    "invoice_number": "FV-1025",
    "days_until_due": 15,
    "customer": CUSTOMER_ID,
}
INVOICE: Json = {
    "id": INVOICE_ID,
    "items": [ITEM],
    "invoice_number": "FV-1024",
    "invoice_pdf": "https://example.com/FV-1024.pdf",
    "invoicing": "upload",
    "invoice_provider_id": None,
    "subtotal": "20000.00",
    "total": "23800.00",
    "total_paid": "0.00",
    "currency": "COP",
    "created_date": "2024-11-15 16:44:50",
    "paid_date": None,
    "voided_at_date": None,
    "due_date": "2024-11-16T04:59:59Z",
    "collection_rule_id": RULE_ID,
    "status": "pending",
    "invoice_provider_status": None,
    "is_test": True,
    "is_paid": False,
    "meta_data": {},
    "invoice_provider": None,
    "invoice_settings": {"invoice_document_id": "24446", "invoice_cost_center": "235"},
    "invoice_retentions": {"reteica": _RETEICA, "retefte": _RETEFTE},
    "customer": CUSTOMER_ID,
    "billing_address": {
        "address_1": "Carrera 53 # 75-10",
        "address_2": None,
        "city": "Barranquilla",
        "state": "ATL",
        "postcode": None,
        "country": "CO",
    },
    "installments": {
        "number_of_installments": 1,
        "installments_settings": [{"amount": "23107.00", "days_until_due": 0, "collection": COLLECTION_ID}],
    },
    "collection_method": "collect",
    "days_until_due": 0,
    "collections": [COLLECTION_ID],
    "taxes": [{"type": "vat", "name": "IVA 19%", "tax_id": "12345", "total": "3800.00"}],
    "retentions_total": "693.00",
    "amount_to_collect": "23107.00",
    "checkout_url": "https://cobros.example.com/payment/019331c9-3450-7920-b09f-69231985762f",
}
_PAID = INVOICE | {"total_paid": "23107.00", "paid_date": "2024-11-15T21:50:12Z", "status": "paid", "is_paid": True}
_VOIDED: Json = INVOICE | {"voided_at_date": "2024-11-15T21:50:12Z", "status": "voided", "collections": []}

# --- Bodies ---

ITEMS_SENT: Json = {
    "type": "array",
    "minItems": 1,
    "maxItems": ITEMS_MAX,
    "items": body(
        "Ítem nuevo",
        {
            "unit_price": money_sent("Valor unitario sin impuesto. Necesario si no hay `price`; con él, lo reemplaza."),
            "quantity": member(WHOLE, "Cantidad.", minimum=1, maximum=QUANTITY_MAX, default=1),
            "price": member(id_of(ids.PRICE), "Un precio activo de un producto activo, en la misma moneda."),
            "name": text(1, NAME_CHARS_MAX, "Nombre. Necesario si no hay `price`; con él, el del producto."),
        },
    ),
    "description": "Lo que se cobra, sin impuesto: cada línea con un `price`, o con `name` y `unit_price`.",
}
CURRENCY_SENT = member(TEXT, "Moneda ISO 4217. Sin ella, la de la cuenta.", enum=list(DECIMALS))
METHOD_SENT = member(
    TEXT, "`collect` pide el pago; `charge` debita un medio guardado.", enum=list(METHODS), default="collect"
)
DAYS_SENT = member(DAYS, "Días hasta el vencimiento, desde hoy.", default=0)
RULE_SENT = member(id_of(ids.RULE), "Regla de recordatorios. Sin ella, la de la cuenta o ninguna.")
CUSTOMER_SENT = member(id_of(ids.CUSTOMER), "Quien paga.")

_INSTALLMENTS_SENT = body(
    "Cuotas",
    {
        "number_of_installments": member(WHOLE, "Cuántas son.", minimum=1, maximum=INSTALMENTS_MAX),
        "installments_settings": {
            "type": "array",
            "minItems": 1,
            "maxItems": INSTALMENTS_MAX,
            "items": body(
                "Cuota",
                {
                    "amount": money_sent("Valor de la cuota. Todas suman exactamente el valor a cobrar."),
                    "days_until_due": member(DAYS, "Días hasta su vencimiento; nunca menos que la anterior."),
                },
                required=("amount",),
            ),
            "description": "Cada cuota, en orden. Todas quedan abiertas desde el comienzo.",
        },
    },
    required=("number_of_installments", "installments_settings"),
)
_FIELDS: Mapping[str, Json] = {
    "items": ITEMS_SENT,
    "invoice_number": text(
        1,
        NUMBER_CHARS_MAX,
        "Número, único en la cuenta. Obligatorio con `upload` y `connect`; no se admite con `create`.",
    ),
    "invoice_pdf": member(URL, "El PDF que se ofrece al pagador. Solo con `upload`."),
    "invoice_pdf_base64": member(
        TEXT, "El PDF en base64, de máximo 5 MiB: se guarda y se ofrece. Solo con `upload` y sin `invoice_pdf`."
    ),
    "invoicing": member(
        TEXT,
        "`upload`: emitida por fuera, solo se cobra. `connect`: existe en el proveedor. `create`: se emite en él.",
        enum=list(INVOICING),
        default="upload",
    ),
    "currency": CURRENCY_SENT,
    "collection_method": METHOD_SENT,
    "days_until_due": member(DAYS, "Días hasta el vencimiento, desde hoy. Se ignora si hay cuotas.", default=0),
    "collection_rule_id": RULE_SENT,
    "installments": member(_INSTALLMENTS_SENT, "Cuotas. Sin ellas hay un solo cobro por todo."),
    "meta_data": META_SENT,
    "invoice_settings": member(
        body("Ajustes", {name: text(1, SETTING_CHARS_MAX, "Para el proveedor.") for name in SETTINGS}),
        "Ajustes para el proveedor de facturación.",
    ),
    "invoice_retentions": member(
        body("Retenciones", {name: member(id_of(ids.RETENTION), f"Una de clase `{name}`.") for name in RETENTIONS}),
        "Lo que el cliente retiene: activa, vigente y de la clase de cada campo.",
    ),
    "invoice_observations": text(1, OBSERVATIONS_CHARS_MAX, "Se muestra al pagador. No se devuelve."),
    "customer": CUSTOMER_SENT,
}
MONEY_FIELDS: Mapping[str, Json] = {
    "amount": money_sent("Lo recibido, mayor que 0. Sin él, todo lo que se debe."),
    "method": member(TEXT, "Cómo se recibió.", enum=list(OUTSIDE_METHODS)),
    "paid_date": member(TEXT, f"Cuándo se recibió, no en el futuro: {_DATE_SENT} Sin ella, ahora."),
    "reference": text(1, REFERENCE_CHARS_MAX, "Para personas: el número de un recibo, por ejemplo."),
}
REASON_BODY = Content(ref("Reason"), {"motivo": Example("Con un motivo", {"reason": "Se facturó dos veces"})})
MONEY_BODY = Content(
    ref("PaymentReceived"),
    {
        "todo": Example("Todo lo que se debe", {"method": "cash"}),
        "parte": Example(
            "Una parte",
            {"amount": "10000.00", "method": "bank_transfer", "reference": "RC-1", "paid_date": "2024-11-15"},
        ),
    },
)

# --- Answers ---


def maybe(schema: Json, description: str) -> Json:
    """A member that may be null."""
    return nullable(member(schema, description))


TIMES: Mapping[str, Json] = {
    "created_date": CREATED,
    "paid_date": maybe(UTC, "Cuándo llegó el pago que lo cerró, en UTC."),
    "voided_at_date": maybe(UTC, "Cuándo se anuló, en UTC."),
    "due_date": maybe(UTC, "El último segundo del día de vencimiento de la cuenta, en UTC."),
}
_SHOWN: Mapping[str, Json] = {
    "id": member(id_of(ids.COLLECTION), "Identificador de la factura. El prefijo es también el de los cobros."),
    "items": {"type": "array", "items": ref("Item"), "description": "Las líneas, como eran al crearla."},
    "invoice_number": maybe(TEXT, "Número; `null` mientras el proveedor no lo asigne."),
    "invoice_pdf": maybe(TEXT, "El documento que se ofrece al pagador."),
    "invoicing": member(TEXT, "Quién la emite.", enum=list(INVOICING)),
    "invoice_provider_id": maybe(TEXT, "Su identificador en el proveedor."),
    "subtotal": member(MONEY, "Suma de las líneas, sin impuesto."),
    "total": member(MONEY, "`subtotal` más impuestos, sin descontar retenciones."),
    "total_paid": member(MONEY, "Lo recibido, menos devoluciones y saldos a favor."),
    "currency": member(TEXT, "Moneda ISO 4217."),
    **TIMES,
    "collection_rule_id": maybe(id_of(ids.RULE), "Regla de recordatorios."),
    "status": member(
        TEXT, "Estado, calculado al leer. Un pago parcial se ve en `total_paid`.", enum=list(INVOICE_STATUSES)
    ),
    "invoice_provider_status": maybe(TEXT, "`generating`, `generated` o `failed`; `null` con `upload`."),
    "is_test": IS_TEST,
    "is_paid": member(FLAG, "Si lo recibido alcanzó `amount_to_collect`."),
    "meta_data": META_DATA,
    "invoice_provider": maybe(TEXT, "El proveedor; `null` con `upload`."),
    "invoice_settings": record("Ajustes", {name: maybe(TEXT, "Para el proveedor.") for name in SETTINGS}),
    "invoice_retentions": record(
        "Retenciones",
        {name: maybe(id_of(ids.RETENTION), f"La de clase `{name}`.") for name in ("reteica", "retefte", "reteiva")},
        optional=("reteiva",),
    ),
    "customer": member(id_of(ids.CUSTOMER), "Quien paga."),
    "billing_address": member(
        record("Dirección", {name: maybe(TEXT, "Como era al crear la factura.") for name in ADDRESS}),
        "La dirección del cliente, como era al crear la factura.",
    ),
    "installments": record(
        "Cuotas",
        {
            "number_of_installments": member(WHOLE, "Cuántas son."),
            "installments_settings": {
                "type": "array",
                "description": "Cada cuota con su cobro.",
                "items": record(
                    "Cuota",
                    {
                        "amount": member(MONEY, "Valor."),
                        "days_until_due": member(WHOLE, "Días desde la creación."),
                        "collection": member(id_of(ids.COLLECTION), "Su cobro."),
                    },
                ),
            },
        },
    ),
    "collection_method": member(TEXT, "Cómo se cobra.", enum=list(METHODS)),
    "days_until_due": maybe(WHOLE, "Días hasta el último vencimiento."),
    "collections": {
        "type": "array",
        "items": id_of(ids.COLLECTION),
        "description": "Sus cobros que no están anulados, por vencimiento.",
    },
    "taxes": {
        "type": "array",
        "description": "Un total por impuesto y porcentaje.",
        "items": record(
            "Impuesto",
            {
                "type": member(TEXT, "Siempre `vat`.", const="vat"),
                "name": member(TEXT, "Como `IVA 19%`."),
                "tax_id": maybe(TEXT, "El del producto."),
                "total": member(MONEY, "Valor."),
            },
        ),
    },
    "retentions_total": member(MONEY, "Lo que el cliente retiene."),
    "amount_to_collect": member(
        MONEY, "Lo que `total_paid` debe alcanzar: `total` menos retenciones, notas crédito y cambios."
    ),
    "checkout_url": member(TEXT, "Página donde se paga lo que vence primero; después, la del comprobante."),
}
_ITEM_SHOWN: Mapping[str, Json] = {
    "id": member(id_of(ids.ITEM), "Identificador de la línea."),
    "name": member(TEXT, "Nombre."),
    "unit_price": member(MONEY, "Valor unitario, sin impuesto."),
    "quantity": member(WHOLE, "Cantidad."),
    "subtotal": member(MONEY, "Antes de impuesto."),
    "total": member(MONEY, "Con impuesto."),
    "product": maybe(ref("Product"), "El producto, como era."),
    "price": maybe(ref("Price"), "El precio, como era."),
}

_TAKEN = refused(OriginTakenError("", "FV-1024", ids.read(ids.COLLECTION, INVOICE_ID)))
assert _TAKEN is not None

_ERRORS: Mapping[str, ErrorCase] = {
    "invoice_number_exists": case(_TAKEN, "Otra factura que no está anulada tiene ese número."),
    "validation_error_invoice": invalid(
        "Campos que faltan o no son válidos; llegan todos juntos.",
        ("items[0].price", "No existe un precio con ese id."),
        (
            "installments.installments_settings",
            "La suma de las cuotas (20000.00) debe ser igual al valor a cobrar (23107.00).",
        ),
    ),
    "validation_error_money": invalid(
        "El medio falta, o un valor no es válido.", ("method", "El campo es obligatorio.")
    ),
    "validation_error_reason": invalid(
        "El motivo no es válido.", ("reason", "El valor debe tener entre 1 y 255 caracteres.")
    ),
    **{
        code: conflict(code, when)
        for code, when in {
            "invoice_provider_not_configured": "`invoicing` es `connect` o `create` y la cuenta no tiene proveedor.",
            "no_payment_method": "`collection_method` es `charge` y el cliente no tiene un medio guardado: siempre, "
            "en esta versión.",
            "amount_exceeds_balance": "El pago es mayor que lo que se debe.",
            "invoice_already_paid": "La factura está pagada.",
            "invoice_voided": "La factura está anulada.",
        }.items()
    },
}
_STATES: Sequence[str] = ("invoice_already_paid", "invoice_voided")

_OPERATIONS: Mapping[str, OperationDocs] = {
    "createInvoice": OperationDocs(
        description="Carga una factura y abre su cobro, o uno por cuota. Los precios van sin impuesto; `total` lo "
        "incluye, y `amount_to_collect` es `total` menos retenciones: las cuotas suman ese valor. Un número pertenece "
        "a una sola factura que no esté anulada, así que repetir la solicitud con el mismo número es seguro.",
        success="La factura.",
        answer=answer("Invoice", "La factura recién creada", INVOICE),
        body=Content(
            ref("InvoiceCreate"),
            {
                "completa": Example("Con precio, retenciones y una cuota", REQUEST),
                "minima": Example("Lo mínimo", SHORTEST),
            },
        ),
        errors=(
            "validation_error_invoice",
            "invoice_provider_not_configured",
            "no_payment_method",
            "invoice_number_exists",
        ),
        once_example="factura-1024",
    ),
    "listInvoices": OperationDocs(
        description="Las facturas de la cuenta, de la más reciente a la más antigua, también las que se cargaron por "
        "otro dialecto.",
        success="Una página de facturas.",
        answer=one_page("InvoicePage", INVOICE),
        query=(
            *paging(INVOICE_ID),
            parameter("status", "Estado.", {"type": "string", "enum": list(INVOICE_STATUSES)}),
            parameter("customer", "Identificador del cliente.", example=CUSTOMER_ID),
            parameter("invoice_number", "Número exacto.", example="FV-1024"),
        ),
        errors=("bad_query", "query_too_long"),
    ),
    "getInvoice": OperationDocs(
        description="Devuelve una factura, en cualquier estado. También por el id de uno de sus cobros.",
        success="La factura.",
        answer=answer("Invoice", "Una factura", INVOICE),
        errors=("not_found",),
    ),
    "voidInvoice": OperationDocs(
        description="Anula la factura y sus cobros abiertos. Lo recibido pasa a saldo a favor del cliente y el número "
        "queda libre.",
        success="La factura anulada.",
        answer=answer("Invoice", "La factura anulada", _VOIDED),
        body=REASON_BODY,
        errors=("not_found", "validation_error_reason", *_STATES),
    ),
    "payInvoice": OperationDocs(
        description="Registra un pago recibido por fuera. Se aplica a los cobros abiertos, primero al que vence antes.",
        success="La factura.",
        answer=answer("Invoice", "La factura pagada", _PAID),
        body=MONEY_BODY,
        errors=("not_found", "validation_error_money", "amount_exceeds_balance", *_STATES),
    ),
}

PART = Part(
    tags={"invoices": ("Facturas", "Lo que se debe, con sus líneas, impuestos, retenciones y cuotas.")},
    schemas={
        "Invoice": record("Factura", _SHOWN, optional=("installments",)),
        "Item": record("Ítem", _ITEM_SHOWN),
        "InvoicePage": page("Página de facturas", "Invoice"),
        "InvoiceCreate": body("Factura nueva", _FIELDS, required=("items", "customer")),
        "PaymentReceived": body("Pago recibido por fuera", MONEY_FIELDS, required=("method",)),
        "Reason": body("Motivo", {"reason": text(1, REASON_CHARS_MAX, "Por qué, para personas.")}),
    },
    operations=_OPERATIONS,
    path_parameters=in_path("invoice_id", ids.COLLECTION, "Id de la factura o de uno de sus cobros.", INVOICE_ID),
    errors=_ERRORS,
)
