"""What the OpenAPI document says about products and prices."""

from collections.abc import Mapping

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.openapi_parts import (
    CREATED,
    FLAG,
    IS_TEST,
    MONEY,
    NOTHING,
    PERCENTAGE,
    TEXT,
    URL,
    WHOLE,
    Part,
    answer,
    body,
    change,
    conflict,
    gone,
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
from recaudo.dialects.treli.prices import INTERVAL_MAX, PERIODS, TYPES, UP_TO_MAX
from recaudo.dialects.treli.products import (
    DESCRIPTION_CHARS_MAX,
    NAME_CHARS_MAX,
    REF_CHARS_MAX,
    REFS,
    SETTINGS,
    STATUSES,
)
from recaudo.domain.money import DECIMALS
from recaudo.domain.pricing import TIERS_MAX, PriceModel
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, nullable, record, ref

PRODUCT_ID = "prod_0002yG8wOXo8Y2qhBLgFWYxw"
PRICE_ID = "price_0002yG8wOXoGKswPghU39mOR"
_MODELS = [model.value for model in PriceModel]

PRODUCT_REQUEST: Json = {
    "name": "Nombre del producto",
    "description": "string",
    "image": "http://example.com",
    SETTINGS: {"invoice_tax_id": "12345", "invoice_tax_percentage": "19"},
}
PRODUCT: Json = {
    "id": PRODUCT_ID,
    "name": "Nombre del producto",
    "description": "string",
    "status": "active",
    **dict.fromkeys(REFS),
    "created_date": "2024-11-15 16:44:50",
    "image": "http://example.com",
    "is_test": True,
    SETTINGS: {"invoice_tax_id": "12345", "invoice_tax_percentage": "19"},
}
_DAILY: Json = {
    "product_id": PRODUCT_ID,
    "unit_price": "20000.00",
    "type": "recurring",
    "billing_period": "day",
    "billing_interval": 1,
}
_TIERS: list[Json] = [{"up_to": 5, "unit_price": "30000.00"}, {"up_to": None, "unit_price": "20000.00"}]
PRICE: Json = {
    "id": PRICE_ID,
    "unit_price": "20000.00",
    "pricing_model": "standard",
    "currency": "COP",
    "billing_period": "day",
    "billing_interval": 1,
    "type": "recurring",
    "pricing_tiers": None,
    "ntp_pricing": None,
    "created_date": "2024-11-15 16:44:50",
    "active": True,
    "is_test": True,
    "product_id": PRODUCT_ID,
}

_TAX_SENT = body(
    "Impuesto",
    {
        "invoice_tax_id": text(1, REF_CHARS_MAX, "Identificador del impuesto en el proveedor de facturación."),
        "invoice_tax_percentage": money_sent("Porcentaje, de 0 a 100, con máximo 4 decimales."),
    },
)
_PRODUCT_FIELDS: Mapping[str, Json] = {
    "name": text(1, NAME_CHARS_MAX, "Nombre; el de la línea de la factura."),
    "description": member(TEXT, "Descripción.", maxLength=DESCRIPTION_CHARS_MAX),
    "status": member(TEXT, "`active` si no se envía.", enum=list(STATUSES)),
    **{
        name: text(1, REF_CHARS_MAX, f"Identificador del producto en otro sistema ({core}).")
        for name, core in REFS.items()
    },
    "image": member(URL, "Imagen."),
    SETTINGS: member(_TAX_SENT, "El impuesto de sus líneas."),
}
_TIER_SENT = record(
    "Tramo",
    {
        "up_to": nullable(member(WHOLE, "Última unidad del tramo; `null` en el último.", minimum=1, maximum=UP_TO_MAX)),
        "unit_price": money_sent("Precio por unidad."),
    },
    optional=("up_to",),
)
_PRICE_FIELDS: Mapping[str, Json] = {
    "product_id": member(id_of(ids.PRODUCT), "El producto."),
    "pricing_model": member(
        TEXT,
        "`standard` (si no se envía): un precio por unidad. `graduated`: cada unidad al precio de su tramo. `volume`: "
        "todas al precio del tramo que alcanza la cantidad.",
        enum=_MODELS,
    ),
    "unit_price": money_sent("Precio por unidad, sin impuesto. Solo con `standard`, y entonces obligatorio."),
    "pricing_tiers": member(
        {"type": "array", "items": _TIER_SENT, "minItems": 1, "maxItems": TIERS_MAX},
        "Tramos de `up_to` creciente, el último `null`. Obligatorios con `graduated` y `volume`.",
    ),
    "currency": member(TEXT, "Moneda; la de la cuenta si no se envía.", enum=list(DECIMALS)),
    "type": member(TEXT, "`one_time` si no se envía.", enum=list(TYPES)),
    "billing_period": member(TEXT, "Solo con `recurring`, y entonces obligatorio.", enum=list(PERIODS)),
    "billing_interval": member(
        WHOLE, "Cada cuántos períodos. Solo con `recurring`, y entonces obligatorio.", minimum=1, maximum=INTERVAL_MAX
    ),
    "active": member(FLAG, "Si las facturas nuevas lo pueden usar; `true` si no se envía."),
}

_ERRORS: Mapping[str, ErrorCase] = {
    "product_in_use": conflict("product_in_use", "El producto tiene precios activos."),
    "price_in_use": conflict("price_in_use", "Hay ítems que usan el precio y el cambio no es solo de `active`."),
    "validation_error_product": invalid(
        "Campos que faltan o no son válidos.",
        ("invoice_settings.invoice_tax_percentage", "El porcentaje debe ser un número decimal desde 0, hasta 100."),
    ),
    "validation_error_price": invalid(
        "Campos que faltan, sobran o no son válidos.",
        ("product_id", "No existe un producto con ese id."),
        ("unit_price", "El valor debe ser un número decimal positivo."),
    ),
}

_PRODUCTS: Mapping[str, OperationDocs] = {
    "createProduct": OperationDocs(
        description="Crea un producto. Sus precios se crean aparte.",
        success="El producto.",
        answer=answer("Product", "El producto recién creado", PRODUCT),
        body=Content(ref("ProductCreate"), {"producto": Example("Un producto con IVA", PRODUCT_REQUEST)}),
        errors=("validation_error_product",),
        once_example="producto-001",
    ),
    "listProducts": OperationDocs(
        description="Lista los productos que no se han eliminado.",
        success="Una página de productos.",
        answer=one_page("ProductPage", PRODUCT),
        query=(*paging(PRODUCT_ID), parameter("status", "Estado.", {"type": "string", "enum": list(STATUSES)})),
        errors=("bad_query", "query_too_long"),
    ),
    "getProduct": OperationDocs(
        description="Devuelve un producto que no se ha eliminado.",
        success="El producto.",
        answer=answer("Product", "Un producto", PRODUCT),
        errors=("not_found",),
    ),
    "updateProduct": OperationDocs(
        description="Cambia los campos que envíe. Los miembros de `invoice_settings` se combinan uno por uno. Las "
        "facturas existentes conservan lo que tenían.",
        success="El producto con sus cambios.",
        answer=answer("Product", "El producto inactivo", PRODUCT | {"status": "inactive"}),
        body=Content(ref("ProductChange"), {"estado": Example("Otro estado", {"status": "inactive"})}),
        errors=("not_found", "validation_error_product"),
    ),
    "deleteProduct": OperationDocs(
        description="Elimina un producto sin precios activos. Las facturas existentes no cambian.",
        success="Eliminado.",
        answer=answer("ProductDeleted", "El producto eliminado", {"id": PRODUCT_ID, "deleted": True}),
        errors=("not_found", "product_in_use"),
    ),
}

_PRICES: Mapping[str, OperationDocs] = {
    "createPrice": OperationDocs(
        description="Crea un precio de un producto, de una vez o recurrente, por unidad o por tramos. Los precios no "
        "incluyen impuestos.",
        success="El precio.",
        answer=answer("Price", "Un precio diario", PRICE),
        body=Content(
            ref("PriceCreate"),
            {
                "diario": Example("Un precio diario", _DAILY),
                "tramos": Example(
                    "Las primeras cinco unidades más caras",
                    {"product_id": PRODUCT_ID, "pricing_model": "graduated", "pricing_tiers": _TIERS},
                ),
            },
        ),
        errors=("validation_error_price",),
        once_example="precio-001",
    ),
    "listPrices": OperationDocs(
        description="Lista los precios que no se han eliminado.",
        success="Una página de precios.",
        answer=one_page("PricePage", PRICE),
        query=(
            *paging(PRICE_ID),
            parameter("product_id", "Solo los de este producto.", example=PRODUCT_ID),
            parameter("active", "Si las facturas nuevas los pueden usar.", FLAG),
            parameter("currency", "Moneda.", {"type": "string", "enum": list(DECIMALS)}),
        ),
        errors=("bad_query", "query_too_long"),
    ),
    "getPrice": OperationDocs(
        description="Devuelve un precio que no se ha eliminado.",
        success="El precio.",
        answer=answer("Price", "Un precio", PRICE),
        errors=("not_found",),
    ),
    "updatePrice": OperationDocs(
        description="`active` se puede cambiar siempre; lo demás, mientras ningún ítem use el precio. Al cambiar de "
        "modelo o de tipo se descarta lo que era del anterior.",
        success="El precio con sus cambios.",
        answer=answer("Price", "El precio inactivo", PRICE | {"active": False}),
        body=Content(ref("PriceChange"), {"inactivo": Example("Desactivarlo", {"active": False})}),
        errors=("not_found", "validation_error_price", "price_in_use"),
    ),
    "deletePrice": OperationDocs(
        description="Elimina un precio. Las facturas existentes no cambian.",
        success="Eliminado.",
        answer=answer("PriceDeleted", "El precio eliminado", {"id": PRICE_ID, "deleted": True}),
        errors=("not_found",),
    ),
}

PART = Part(
    tags={
        "products": ("Productos", "Lo que se vende, con su impuesto."),
        "prices": ("Precios", "Lo que cuesta un producto, por unidad o por tramos."),
    },
    schemas={
        "Product": record(
            "Producto",
            {
                "id": member(id_of(ids.PRODUCT), "Identificador del producto."),
                "name": member(TEXT, "Nombre."),
                "description": nullable(member(TEXT, "Descripción.")),
                "status": member(TEXT, "Estado.", enum=list(STATUSES)),
                **{
                    name: nullable(member(TEXT, f"Identificador en otro sistema ({core})."))
                    for name, core in REFS.items()
                },
                "created_date": CREATED,
                "image": nullable(member(TEXT, "Imagen.")),
                "is_test": IS_TEST,
                SETTINGS: member(ref("ProductSettings"), "El impuesto de sus líneas."),
            },
        ),
        "ProductSettings": record(
            "Impuesto de un producto",
            {
                "invoice_tax_id": nullable(member(TEXT, "Identificador del impuesto.")),
                "invoice_tax_percentage": nullable(member(PERCENTAGE, "Porcentaje, como `19`.")),
            },
        ),
        "ProductPage": page("Página de productos", "Product"),
        "ProductDeleted": gone("Producto eliminado", ids.PRODUCT),
        "ProductCreate": body("Producto nuevo", _PRODUCT_FIELDS, required=("name",)),
        "ProductChange": change("Cambio de un producto", _PRODUCT_FIELDS, required=("name",)),
        "Price": record(
            "Precio",
            {
                "id": member(id_of(ids.PRICE), "Identificador del precio."),
                "unit_price": nullable(member(MONEY, "Precio por unidad; `null` si es por tramos.")),
                "pricing_model": member(TEXT, "Modelo.", enum=_MODELS),
                "currency": member(TEXT, "Moneda, ISO 4217."),
                "billing_period": nullable(member(TEXT, "Período, si es recurrente.", enum=list(PERIODS))),
                "billing_interval": nullable(member(WHOLE, "Cada cuántos períodos.")),
                "type": member(TEXT, "De una vez o recurrente.", enum=list(TYPES)),
                "pricing_tiers": nullable(member({"type": "array", "items": ref("PriceTier")}, "Tramos.")),
                "ntp_pricing": member(NOTHING, "Siempre `null`."),
                "created_date": CREATED,
                "active": member(FLAG, "Si las facturas nuevas lo pueden usar."),
                "is_test": IS_TEST,
                "product_id": member(id_of(ids.PRODUCT), "El producto."),
            },
        ),
        "PriceTier": record(
            "Tramo",
            {
                "up_to": nullable(member(WHOLE, "Última unidad del tramo; `null`: sin límite.")),
                "unit_price": member(MONEY, "Precio por unidad."),
            },
        ),
        "PricePage": page("Página de precios", "Price"),
        "PriceDeleted": gone("Precio eliminado", ids.PRICE),
        "PriceCreate": body("Precio nuevo", _PRICE_FIELDS, required=("product_id",)),
        "PriceChange": change("Cambio de un precio", _PRICE_FIELDS, required=("product_id",)),
    },
    operations={**_PRODUCTS, **_PRICES},
    path_parameters={
        **in_path("product_id", ids.PRODUCT, "Identificador del producto.", PRODUCT_ID),
        **in_path("price_id", ids.PRICE, "Identificador del precio.", PRICE_ID),
    },
    errors=_ERRORS,
)
