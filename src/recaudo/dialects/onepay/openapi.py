"""The OpenAPI document of the OnePay dialect: the route table with its words, schemas and examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from recaudo import __version__
from recaudo.dialects.onepay import openapi_examples as examples
from recaudo.dialects.onepay.errors import KEY_FIELD
from recaudo.dialects.onepay.openapi_bodies import BODIES
from recaudo.dialects.onepay.openapi_errors import PROBLEM_CASES, errors
from recaudo.dialects.onepay.openapi_events import EVENTS, SCHEMAS as EVENT_SCHEMAS
from recaudo.dialects.onepay.openapi_operations import OPERATIONS
from recaudo.dialects.onepay.openapi_schemas import ANSWERS, UUID
from recaudo.edge.api import KEY_CHARS_MAX
from recaudo.edge.openapi import ApiDocs, Json, build
from recaudo.edge.routing import Router

GUIDE: Final = Path(__file__).with_name("openapi_guide.md")

_TAGS: Mapping[str, tuple[str, str]] = {
    "invoices": ("Facturas", "Lo que se debe. Cada factura tiene un cobro actual con su enlace de pago."),
    "payments": ("Cobros", "Una solicitud de pago con su enlace: de una factura, o sola."),
    "payment-intents": ("Intentos de pago", "Cada vez que alguien intentó pagar un cobro, con o sin éxito."),
    "customers": ("Clientes", "Quienes pagan, con su documento y sus contactos."),
    "webhooks": ("Webhooks", "A quién se le cuenta lo que pasa, y qué fue de cada entrega."),
    "events": ("Eventos", "Lo que recibe su servidor: un `POST` por evento, firmado, con el objeto como quedó."),
}

_HEADERS: Mapping[str, Json] = {
    "Recaudo-Request-Id": {
        "description": "Única por solicitud. Cítela al pedir ayuda.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Recaudo-Ignored-Fields": {
        "description": "Campos del cuerpo y parámetros que no se entendieron, separados por comas; máximo 20. "
        "No son un error.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "Presente cuando la respuesta es la guardada de una solicitud anterior con la misma llave.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {
        "description": "Segundos que debe esperar antes de repetir.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "El esquema que se espera.", "schema": {"type": "string"}},
    "Allow": {"description": "Los métodos que admite la ruta.", "schema": {"type": "string"}},
}

_KEY_PARAMETER: Json = {
    "name": KEY_FIELD,
    "in": "header",
    "description": "Llave de idempotencia: la misma solicitud repetida tiene un solo efecto. "
    "Caracteres ASCII imprimibles.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[ -~]*[!-~][ -~]*$"},
    "example": "invoice-001",
}

_PATH_PARAMETERS: Mapping[str, Json] = {
    name: {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": UUID,
        "example": example,
    }
    for name, description, example in (
        ("invoice_id", "Identificador de la factura.", examples.INVOICE_ID),
        ("payment_id", "Identificador del cobro.", examples.PAYMENT_ID),
        ("intent_id", "Identificador del intento.", examples.INTENT_ID),
        ("customer_id", "Identificador del cliente.", examples.CUSTOMER_ID),
        ("webhook_id", "Identificador del webhook.", examples.WEBHOOK_ID),
    )
}


def document(router: Router, base_url: str) -> Json:
    """The document of these routes on the server at `base_url` (no trailing slash)."""
    made = build(router, _docs(base_url))
    # The addresses in examples are the server's own, so that they can be tried.
    here = msgspec.json.encode(base_url)[1:-1]
    return msgspec.json.decode(msgspec.json.encode(made).replace(examples.BASE.encode(), here))


def _docs(base_url: str) -> ApiDocs:
    return ApiDocs(
        info={
            "title": "API de facturas de Recaudo, dialecto OnePay",
            "version": __version__,
            "summary": "Facturas, cobros, intentos de pago, clientes y webhooks.",
            "description": GUIDE.read_text(encoding="utf-8"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        servers=(
            {"url": f"{base_url}/v1", "description": "Este dialecto, por el esquema Bearer."},
            {"url": f"{base_url}/onepay/v1", "description": "Este dialecto, por la ruta."},
        ),
        security={
            "clave": {
                "type": "http",
                "scheme": "bearer",
                "description": "La clave secreta de una cuenta: `sk_test_…` o `sk_live_…`.",
            }
        },
        tags=_TAGS,
        schemas={**ANSWERS, **EVENT_SCHEMAS, **BODIES},
        headers=_HEADERS,
        path_parameters=_PATH_PARAMETERS,
        once_parameter=_KEY_PARAMETER,
        operations=OPERATIONS,
        errors=errors(),
        problems=PROBLEM_CASES,
        events=EVENTS,
        once_errors=("idempotency_key_reused",),
        every_headers=("Recaudo-Request-Id",),
        success_headers=("Recaudo-Ignored-Fields",),
        once_headers=("Idempotent-Replayed",),
        code_member="code_name",
    )
