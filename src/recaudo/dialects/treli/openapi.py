"""The OpenAPI document of the Treli dialect: the route tables with the words, schemas and examples of each noun."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from recaudo import __version__
from recaudo.dialects.treli import (
    openapi_catalogue,
    openapi_collections,
    openapi_credit_notes,
    openapi_customers,
    openapi_invoices,
    openapi_registers,
)
from recaudo.dialects.treli.errors import TABLE
from recaudo.dialects.treli.openapi_errors import ERRORS, PROBLEM_CASES, WHEN
from recaudo.dialects.treli.openapi_parts import TEXT, Part
from recaudo.edge.api import KEY_CHARS_MAX
from recaudo.edge.openapi import ApiDocs, Json, build, member, record
from recaudo.edge.routing import Router

GUIDE: Final = Path(__file__).with_name("openapi_guide.md")

PARTS: Sequence[Part] = (
    openapi_invoices.PART,
    openapi_collections.PART,
    openapi_customers.PART,
    openapi_catalogue.PART,
    openapi_credit_notes.PART,
    openapi_registers.PART,
)
"""What each noun says, in the order of the routes."""

_HEADERS: Mapping[str, Json] = {
    "Recaudo-Request-Id": {
        "description": "Única por solicitud. Cítela al pedir ayuda.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Recaudo-Ignored-Fields": {
        "description": "Campos que no se entendieron, separados por comas; máximo 20. No son un error.",
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
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Llave de idempotencia: la misma solicitud repetida tiene un solo efecto. También se lee "
    "`x-idempotency`. Caracteres ASCII imprimibles.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[ -~]*[!-~][ -~]*$"},
    "example": "cliente-001",
}

_ERROR: Json = record(
    "Error",
    {
        "code": member(
            TEXT,
            "Nombre estable del error. Programe contra este.",
            enum=list(TABLE),
            # Known to several tools, and to our own page.
            **{"x-enumDescriptions": {code: WHEN[code] for code in TABLE}},
        ),
        "message": member(TEXT, "Qué pasó, en español, para mostrar o registrar. El texto puede cambiar."),
        "errors": member(
            {"type": "array"},
            "Cada campo, parámetro o encabezado con su problema. Vacío si ninguno tiene la culpa.",
            items=record(
                "Error de un campo",
                {
                    "field": member(TEXT, "Ruta del campo, como `items[0].unit_price`."),
                    "message": member(TEXT, "Qué pasa con él, en español."),
                },
            ),
        ),
        "existing_id": member(TEXT, "El objeto que ya existe. Solo con `customer_exists` e `invoice_number_exists`."),
    },
    optional=("existing_id",),
)


def document(router: Router, registers: Router, base_url: str) -> Json:
    """The document of these routes on the server at `base_url` (no trailing slash).

    `registers` are the routes below /recaudo/v1, which say so themselves.
    """
    described = {name for part in PARTS for name in part.operations}
    # A route that no part describes is left out, and a test says so: a server without its documentation still serves.
    table = [route for route in (*router.routes, *registers.routes) if route.operation_id in described]
    made = build(Router(table), _docs(base_url))
    elsewhere = [{"url": f"{base_url}/recaudo/v1", "description": "Adiciones de Recaudo."}]
    for route in registers.routes:
        made["paths"][route.path][route.method.lower()]["servers"] = elsewhere
    return made


def _docs(base_url: str) -> ApiDocs:
    return ApiDocs(
        info={
            "title": "API de Recaudo, dialecto Treli",
            "version": __version__,
            "summary": "Facturas, cobros, clientes, productos, precios, notas crédito, retenciones y reglas de cobro.",
            "description": GUIDE.read_text(encoding="utf-8"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        servers=(
            {"url": f"{base_url}/v1", "description": "Este dialecto, por el esquema Basic."},
            {"url": f"{base_url}/treli/v1", "description": "Este dialecto, por la ruta."},
        ),
        security={
            "clave": {
                "type": "http",
                "scheme": "basic",
                "description": "La clave secreta (`sk_test_…` o `sk_live_…`) como usuario, sin contraseña.",
            }
        },
        tags={name: tag for part in PARTS for name, tag in part.tags.items()},
        schemas={**{name: it for part in PARTS for name, it in part.schemas.items()}, "Error": _ERROR},
        headers=_HEADERS,
        path_parameters={name: it for part in PARTS for name, it in part.path_parameters.items()},
        once_parameter=_KEY_PARAMETER,
        operations={name: it for part in PARTS for name, it in part.operations.items()},
        errors={**ERRORS, **{name: it for part in PARTS for name, it in part.errors.items()}},
        problems=PROBLEM_CASES,
        once_errors=("idempotency_key_reused",),
        every_headers=("Recaudo-Request-Id",),
        success_headers=("Recaudo-Ignored-Fields",),
        once_headers=("Idempotent-Replayed",),
    )
