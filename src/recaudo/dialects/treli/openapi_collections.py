"""What the OpenAPI document says about collections, and about one sum over several invoices."""

from collections.abc import Mapping, Sequence

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.collections import (
    CHANNELS,
    CODE_CHARS_MAX,
    DESCRIPTION_CHARS_MAX,
    DISCOUNTS_MAX,
    TAG_CHARS_MAX,
)
from recaudo.dialects.treli.openapi_catalogue import PRICE_ID
from recaudo.dialects.treli.openapi_customers import CUSTOMER_ID
from recaudo.dialects.treli.openapi_invoices import (
    COLLECTION_ID,
    CURRENCY_SENT,
    CUSTOMER_SENT,
    DAYS_SENT,
    INVOICE_ID,
    ITEM,
    ITEMS_SENT,
    META_DATA,
    META_SENT,
    METHOD_SENT,
    MONEY_BODY,
    MONEY_FIELDS,
    REASON_BODY,
    RULE_ID,
    RULE_SENT,
    TIMES,
    maybe,
)
from recaudo.dialects.treli.openapi_parts import (
    FLAG,
    IS_TEST,
    MONEY,
    NOTHING,
    PERCENTAGE,
    TEXT,
    Part,
    answer,
    body,
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
from recaudo.dialects.treli.shown import COLLECTION_STATUSES, INVOICE_STATUSES, TYPES
from recaudo.dialects.treli.sums import INVOICES_MAX
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, nullable, record, ref

_DISCOUNT_ID = "sd_0002yG8wOXoE1JeSg6PmvAQa"
_REST_ID = "col_0002yHh1U5tfYUcbyGRYpK6d"
_METHOD_TYPES = ("card", "bank_transfer", "wallet", "breb", "cash", "check", "other")

COLLECTION: Json = {
    "id": COLLECTION_ID,
    "items": [ITEM],
    "discounts": [],
    "description": "Cobro de factura FV-1024",
    "subtotal": "20000.00",
    "total": "23107.00",
    "status": "pending",
    "currency": "COP",
    "created_date": "2024-11-15 16:44:50",
    "paid_date": None,
    "voided_at_date": None,
    "due_date": "2024-11-16T04:59:59Z",
    "collection_method": "collect",
    "collection_rule_id": RULE_ID,
    "type": "invoice",
    "is_test": True,
    "tag": None,
    "source": "api",
    "customer": CUSTOMER_ID,
    "subscription_id": None,
    "invoice": INVOICE_ID,
    "invoice_number": "FV-1024",
    "payment_method_type": None,
    "checkout_url": "https://cobros.example.com/payment/019331c9-3450-7920-b09f-69231985762f",
    "total_paid": "0.00",
    "balance": "23107.00",
    "is_paid": False,
    "meta_data": {},
    "balance_collection": None,
}
_ALONE = COLLECTION | {
    "description": "Donación",
    "type": "one_time",
    "total": "23800.00",
    "balance": "23800.00",
    "invoice": None,
    "invoice_number": None,
    "tag": "beca",
}
_PAID = COLLECTION | {
    "total_paid": "23107.00",
    "balance": "0.00",
    "status": "paid",
    "is_paid": True,
    "paid_date": "2024-11-18T15:00:00Z",
    "payment_method_type": "cash",
}
_CLOSED = _PAID | {
    "total": "10000.00",
    "total_paid": "10000.00",
    "payment_method_type": "other",
    "balance_collection": _REST_ID,
}
_VOIDED = COLLECTION | {"status": "voided", "voided_at_date": "2024-11-18T15:00:00Z"}
_GIVEN_UP = COLLECTION | {"status": "uncollectible"}
_LOWER = COLLECTION | {"total": "20000.00", "balance": "20000.00"}
_DISCOUNTED = _LOWER | {
    "discounts": [{"id": _DISCOUNT_ID, "code": "PRONTO", "amount": "3107.00", "percent": None}],
}

_DISCOUNTS_SENT: Json = {
    "type": "array",
    "minItems": 1,
    "maxItems": DISCOUNTS_MAX,
    "items": body(
        "Descuento nuevo",
        {
            "code": text(1, CODE_CHARS_MAX, "Código, para personas."),
            "amount": money_sent("Valor, mayor que 0. Este o `percent`, no ambos."),
            "percent": member(PERCENTAGE, "Porcentaje de lo que se pide antes de descuentos, hasta 100, 2 decimales."),
        },
    ),
    "description": "Descuentos, cada uno por valor o por porcentaje.",
}
_FIELDS: Mapping[str, Json] = {
    "customer": CUSTOMER_SENT,
    "items": ITEMS_SENT,
    "type": member(TEXT, "Siempre `one_time`.", enum=["one_time"]),
    "currency": CURRENCY_SENT,
    "collection_method": METHOD_SENT,
    "days_until_due": DAYS_SENT,
    "collection_rule_id": RULE_SENT,
    "meta_data": META_SENT,
    "description": text(1, DESCRIPTION_CHARS_MAX, "Concepto. Sin él, el nombre del primer ítem."),
    "discounts": _DISCOUNTS_SENT,
    "tag": text(1, TAG_CHARS_MAX, "Etiqueta propia."),
}
_SHOWN: Mapping[str, Json] = {
    "id": member(id_of(ids.COLLECTION), "Identificador del cobro."),
    "items": {
        "type": "array",
        "items": ref("Item"),
        "description": "Los de la factura; en una cuota o un saldo, una sola línea que lo dice.",
    },
    "discounts": {
        "type": "array",
        "description": "Los descuentos.",
        "items": record(
            "Descuento",
            {
                "id": member(id_of(ids.DISCOUNT), "Identificador."),
                "code": maybe(TEXT, "Código."),
                "amount": member(MONEY, "Valor."),
                "percent": maybe(PERCENTAGE, "Porcentaje; `null` si fue por valor."),
            },
        ),
    },
    "description": member(TEXT, "Concepto."),
    "subtotal": member(MONEY, "Suma de los ítems, sin impuesto."),
    "total": member(MONEY, "Lo que pide este cobro, después de impuestos, retenciones y descuentos."),
    "status": member(TEXT, "Estado, calculado al leer.", enum=list(COLLECTION_STATUSES)),
    "currency": member(TEXT, "Moneda ISO 4217."),
    **TIMES,
    "collection_method": member(TEXT, "Cómo se cobra.", enum=["collect", "charge"]),
    "collection_rule_id": maybe(id_of(ids.RULE), "Regla de recordatorios."),
    "type": member(TEXT, "`invoice` o `one_time`.", enum=list(TYPES)),
    "is_test": IS_TEST,
    "tag": maybe(TEXT, "Etiqueta propia."),
    "source": member(TEXT, "De dónde vino.", enum=["api", "dashboard", "import"]),
    "customer": maybe(id_of(ids.CUSTOMER), "Quien paga; `null` solo si otro dialecto lo creó sin cliente."),
    "subscription_id": member(NOTHING, "Siempre `null` en esta versión."),
    "invoice": maybe(id_of(ids.COLLECTION), "Su factura; `null` en uno sin factura."),
    "invoice_number": maybe(TEXT, "Número de la factura."),
    "payment_method_type": nullable(
        member(TEXT, "Cómo fue el último pago; `null` si no hay ninguno.", enum=list(_METHOD_TYPES))
    ),
    "checkout_url": member(TEXT, "Página donde se paga."),
    "total_paid": member(MONEY, "Lo recibido en este cobro."),
    "balance": member(MONEY, "Lo que falta."),
    "is_paid": member(FLAG, "Si está pagado."),
    "meta_data": META_DATA,
    "balance_collection": maybe(id_of(ids.COLLECTION), "El cobro que pide el saldo de este."),
}
_PART_FIELDS: Mapping[str, Json] = {
    "amount": money_sent("Lo recibido: mayor que 0 y menor que el saldo."),
    "create_collection_with_balance": member(
        FLAG, "Si este cobro se cierra y el saldo se pide en uno nuevo.", default=False
    ),
    "days_until_due": member(DAYS_SENT, "Días hasta el vencimiento del nuevo, desde hoy. Sin uno nuevo se ignora."),
    "collection_rule_id": member(RULE_SENT, "Regla del nuevo. Sin ella, la de este. Sin uno nuevo se ignora."),
    "method": member(MONEY_FIELDS["method"], "Cómo se recibió. Sin él, `other`."),
    "paid_date": MONEY_FIELDS["paid_date"],
    "reference": MONEY_FIELDS["reference"],
}
_SUM_FIELDS: Mapping[str, Json] = {
    "amount": money_sent("Lo recibido, mayor que 0."),
    "invoices": member(
        {"type": "array", "minItems": 1, "maxItems": INVOICES_MAX, "items": id_of(ids.COLLECTION)},
        "Facturas de este cliente, en el orden en que se pagan. Sin ellas, todas, primero lo que vence antes.",
    ),
    "method": MONEY_FIELDS["method"],
    "paid_date": MONEY_FIELDS["paid_date"],
    "reference": MONEY_FIELDS["reference"],
    "currency": CURRENCY_SENT,
    "keep_rest_as_credit": member(FLAG, "Si lo que sobra pasa a saldo a favor.", default=False),
}
_ALLOCATION: Json = {
    "customer": CUSTOMER_ID,
    "amount": "10000.00",
    "allocated": "10000.00",
    "credited": "0.00",
    "allocations": [
        {"invoice": INVOICE_ID, "collection": COLLECTION_ID, "amount": "10000.00", "invoice_status": "pending"}
    ],
}
_ERRORS: Mapping[str, ErrorCase] = {
    "validation_error_collection": invalid(
        "Campos que faltan o no son válidos; llegan todos juntos.",
        ("customer", "No existe un cliente con ese id."),
        ("items[0].name", "El campo es obligatorio."),
    ),
    "validation_error_part": invalid(
        "El valor falta o no es válido.", ("amount", "El valor debe ser un número decimal positivo.")
    ),
    "validation_error_total": invalid("El total falta o no es válido.", ("total", "El campo es obligatorio.")),
    "validation_error_channels": invalid(
        "Un canal que no existe.", ("channels[0]", "El valor debe ser uno de: whatsapp, email.")
    ),
    "validation_error_discounts": invalid(
        "Un descuento sin valor ni porcentaje, o con ambos.", ("discounts[0].amount", "Se necesita amount o percent.")
    ),
    "validation_error_sum": invalid(
        "Una factura de otro cliente o repetida, u otro campo que no es válido.",
        ("invoices[0]", "No existe una factura de este cliente con ese id."),
    ),
    **{
        code: conflict(code, when)
        for code, when in {
            "amount_equals_balance": "El pago parcial es todo el saldo: use `/pay`.",
            "collection_already_paid": "El cobro está pagado.",
            "collection_voided": "El cobro está anulado.",
            "collection_uncollectible": "El cobro está marcado como incobrable.",
            "collection_type_not_supported": "El cobro debita un medio guardado.",
            "collection_not_editable": "El cobro es de una factura: sus ítems no cambian.",
            "amount_below_received": "El total quedaría por debajo de lo recibido, o en cero.",
            "no_contact": "El cliente no tiene a dónde enviarle el aviso por ese canal.",
        }.items()
    },
}
_CLOSED_STATES: Sequence[str] = ("collection_already_paid", "collection_voided")
_STATES: Sequence[str] = (*_CLOSED_STATES, "collection_uncollectible")

_OPERATIONS: Mapping[str, OperationDocs] = {
    "createCollection": OperationDocs(
        description="Abre un cobro sin factura. `total` es la suma de los ítems con impuesto, menos descuentos.",
        success="El cobro.",
        answer=answer("Collection", "El cobro recién creado", _ALONE),
        body=Content(
            ref("CollectionCreate"),
            {
                "precio": Example(
                    "Con un precio y una etiqueta",
                    {"customer": CUSTOMER_ID, "items": [{"price": PRICE_ID}], "description": "Donación", "tag": "beca"},
                ),
                "descuento": Example(
                    "Con un descuento",
                    {
                        "customer": CUSTOMER_ID,
                        "items": [{"name": "Donación", "unit_price": "50000.00"}],
                        "discounts": [{"code": "PRONTO", "percent": "10"}],
                    },
                ),
            },
        ),
        errors=("validation_error_collection", "no_payment_method"),
        once_example="cobro-001",
    ),
    "listCollections": OperationDocs(
        description="Los cobros de la cuenta, con y sin factura, del más reciente al más antiguo.",
        success="Una página de cobros.",
        answer=one_page("CollectionPage", COLLECTION),
        query=(
            *paging(COLLECTION_ID),
            parameter("status", "Estado.", {"type": "string", "enum": list(COLLECTION_STATUSES)}),
            parameter("customer", "Identificador del cliente.", example=CUSTOMER_ID),
            parameter("invoice", "Id de la factura, o de uno de sus cobros.", example=INVOICE_ID),
            parameter("invoice_number", "Número exacto de la factura.", example="FV-1024"),
            parameter("type", "`invoice` o `one_time`.", {"type": "string", "enum": list(TYPES)}),
        ),
        errors=("bad_query", "query_too_long"),
    ),
    "getCollection": OperationDocs(
        description="Devuelve un cobro. El id de una factura vale por su cobro abierto que vence primero.",
        success="El cobro.",
        answer=answer("Collection", "Un cobro", COLLECTION),
        errors=("not_found",),
    ),
    "sendCollection": OperationDocs(
        description="Pone en cola el aviso con el enlace, por los canales que se nombren o por todos los que tenga el "
        "cliente.",
        success="El cobro.",
        answer=answer("Collection", "El cobro", COLLECTION),
        body=Content(ref("CollectionSend"), {"correo": Example("Solo por correo", {"channels": ["email"]})}),
        errors=("not_found", "validation_error_channels", "no_contact", *_STATES),
    ),
    "payCollectionInPart": OperationDocs(
        description="Registra un pago parcial recibido por fuera. Con `create_collection_with_balance` este cobro "
        "queda pagado por lo recibido y el saldo se pide en uno nuevo; sin él, queda abierto con lo que falta.",
        success="Este cobro.",
        answer=answer("Collection", "El cobro cerrado, con su saldo en otro", _CLOSED),
        body=Content(
            ref("PartialPayment"),
            {
                "saldo": Example(
                    "El saldo en otro cobro, a 15 días",
                    {"amount": "10000.00", "create_collection_with_balance": True, "days_until_due": 15},
                ),
                "abono": Example("Un abono", {"amount": "10000.00", "method": "cash"}),
            },
        ),
        errors=(
            "not_found",
            "validation_error_part",
            "amount_equals_balance",
            "amount_exceeds_balance",
            "collection_type_not_supported",
            *_STATES,
        ),
    ),
    "payCollection": OperationDocs(
        description="Registra un pago recibido por fuera. Por menos que el saldo es un abono. También sirve para uno "
        "incobrable.",
        success="El cobro.",
        answer=answer("Collection", "El cobro pagado", _PAID),
        body=MONEY_BODY,
        errors=("not_found", "validation_error_money", "amount_exceeds_balance", *_CLOSED_STATES),
    ),
    "voidCollection": OperationDocs(
        description="Anula un cobro. Lo recibido pasa a saldo a favor y la factura debe menos; si era el último, la "
        "factura también queda anulada.",
        success="El cobro anulado.",
        answer=answer("Collection", "El cobro anulado", _VOIDED),
        body=REASON_BODY,
        errors=("not_found", "validation_error_reason", *_CLOSED_STATES),
    ),
    "markCollectionUncollectible": OperationDocs(
        description="Marca un cobro como incobrable: los recordatorios paran. La factura lo es cuando ninguno de sus "
        "cobros está abierto.",
        success="El cobro.",
        answer=answer("Collection", "El cobro incobrable", _GIVEN_UP),
        body=REASON_BODY,
        errors=("not_found", "validation_error_reason", *_STATES),
    ),
    "changeCollectionTotal": OperationDocs(
        description="Cambia lo que pide un cobro abierto; la factura debe esa diferencia de más o de menos. Igual a lo "
        "recibido, queda pagado.",
        success="El cobro.",
        answer=answer("Collection", "El cobro con otro total", _LOWER),
        body=Content(ref("CollectionTotal"), {"total": Example("Otro total", {"total": "20000.00"})}),
        errors=("not_found", "validation_error_total", "amount_below_received", *_STATES),
    ),
    "changeCollectionItems": OperationDocs(
        description="Reemplaza los ítems de un cobro sin factura y recalcula su total; los descuentos siguen.",
        success="El cobro.",
        answer=answer("Collection", "El cobro con sus ítems", _ALONE),
        body=Content(ref("CollectionItems"), {"precio": Example("Un precio", {"items": [{"price": PRICE_ID}]})}),
        errors=(
            "not_found",
            "validation_error_collection",
            "collection_not_editable",
            "amount_below_received",
            *_STATES,
        ),
    ),
    "addCollectionDiscounts": OperationDocs(
        description="Agrega descuentos a los que ya tiene un cobro abierto. Un porcentaje es de lo que se pide antes "
        "de descuentos.",
        success="El cobro.",
        answer=answer("Collection", "El cobro con su descuento", _DISCOUNTED),
        body=Content(
            ref("CollectionDiscounts"),
            {"valor": Example("Por valor", {"discounts": [{"code": "PRONTO", "amount": "3107.00"}]})},
        ),
        errors=("not_found", "validation_error_discounts", "amount_below_received", *_STATES),
    ),
    "removeCollectionDiscount": OperationDocs(
        description="Quita un descuento; el total vuelve a subir.",
        success="El cobro.",
        answer=answer("Collection", "El cobro sin el descuento", COLLECTION),
        errors=("not_found", *_STATES),
    ),
    "payInvoicesOfCustomer": OperationDocs(
        description="Reparte un pago entre las facturas de un cliente, todo o nada: cada cobro se llena antes de pasar "
        "al siguiente.",
        success="A dónde fue el pago.",
        answer=answer("Allocation", "El reparto", _ALLOCATION),
        body=Content(
            ref("InvoicePayments"),
            {
                "todas": Example("Entre todas", {"amount": "10000.00", "method": "cash"}),
                "elegidas": Example(
                    "A una factura", {"amount": "10000.00", "invoices": [INVOICE_ID], "method": "bank_transfer"}
                ),
            },
        ),
        errors=(
            "not_found",
            "validation_error_sum",
            "amount_exceeds_balance",
            "invoice_already_paid",
            "invoice_voided",
        ),
    ),
}

PART = Part(
    tags={"collections": ("Cobros", "Cada solicitud de pago: de una factura, de una cuota o sin factura.")},
    schemas={
        "Collection": record("Cobro", _SHOWN),
        "CollectionPage": page("Página de cobros", "Collection"),
        "CollectionCreate": body("Cobro nuevo", _FIELDS, required=("customer", "items")),
        "CollectionSend": body(
            "Envío",
            {
                "channels": member(
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": len(CHANNELS),
                        "items": {"type": "string", "enum": list(CHANNELS)},
                    },
                    "Por dónde. Sin ellos, por todos los que tenga el cliente.",
                )
            },
        ),
        "PartialPayment": body("Pago parcial", _PART_FIELDS, required=("amount",)),
        "CollectionTotal": body("Total", {"total": money_sent("Lo que pide el cobro.")}, required=("total",)),
        "CollectionItems": body("Ítems", {"items": ITEMS_SENT}, required=("items",)),
        "CollectionDiscounts": body("Descuentos", {"discounts": _DISCOUNTS_SENT}, required=("discounts",)),
        "InvoicePayments": body("Pago de varias facturas", _SUM_FIELDS, required=("amount", "method")),
        "Allocation": record(
            "Reparto",
            {
                "customer": member(id_of(ids.CUSTOMER), "El cliente."),
                "amount": member(MONEY, "Lo recibido."),
                "allocated": member(MONEY, "Lo que se aplicó."),
                "credited": member(MONEY, "Lo que pasó a saldo a favor."),
                "allocations": {
                    "type": "array",
                    "description": "A dónde fue, en orden.",
                    "items": record(
                        "Aplicación",
                        {
                            "invoice": member(id_of(ids.COLLECTION), "La factura."),
                            "collection": member(id_of(ids.COLLECTION), "El cobro."),
                            "amount": member(MONEY, "Cuánto."),
                            "invoice_status": member(TEXT, "Cómo quedó la factura.", enum=list(INVOICE_STATUSES)),
                        },
                    ),
                },
            },
        ),
    },
    operations=_OPERATIONS,
    path_parameters={
        **in_path("collection_id", ids.COLLECTION, "Id del cobro o de su factura.", COLLECTION_ID),
        **in_path("discount_id", ids.DISCOUNT, "Id del descuento.", _DISCOUNT_ID),
    },
    errors=_ERRORS,
)
