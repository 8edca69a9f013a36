"""What the OpenAPI document says about retentions and collection rules, which are reached below /recaudo/v1."""

from collections.abc import Mapping

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.openapi_parts import (
    CREATED,
    DAY,
    FLAG,
    IS_TEST,
    MONEY,
    PERCENTAGE,
    TEXT,
    WHOLE,
    Part,
    answer,
    body,
    change,
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
from recaudo.dialects.treli.retentions import KINDS, NAME_CHARS_MAX
from recaudo.dialects.treli.rules import CHANNELS, DAYS_MAX, MOMENTS, MOMENTS_MAX
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, nullable, record, ref

RETENTION_ID = "ret_0002yG8wOXoIRKkrqLUccsCy"
RULE_ID = "rule_0002yG8wOXo8byUn5QPGQ6Gx"
_KINDS = [kind.value for kind in KINDS]

_RETENTION_REQUEST: Json = {"kind": "reteica", "name": "ICA Bogotá", "percentage": "0.966", "valid_from": "2024-01-01"}
RETENTION: Json = {
    "id": RETENTION_ID,
    "kind": "reteica",
    "name": "ICA Bogotá",
    "percentage": "0.966",
    "minimum_base": "0.00",
    "valid_from": "2024-01-01",
    "valid_until": None,
    "active": True,
    "created_date": "2024-11-15 16:44:50",
    "is_test": True,
}
_MOMENTS: list[Json] = [
    {"moment": "before", "days": 3, "channel": "email"},
    {"moment": "on", "days": 0, "channel": "whatsapp"},
    {"moment": "after", "days": 5, "channel": "whatsapp"},
]
RULE: Json = {
    "id": RULE_ID,
    "name": "Amable",
    "moments": _MOMENTS,
    "created_date": "2024-11-15 16:44:50",
    "is_test": True,
}

_RETENTION_FIELDS: Mapping[str, Json] = {
    "kind": member(TEXT, "Clase; no se puede cambiar.", enum=_KINDS),
    "name": text(1, NAME_CHARS_MAX, "Nombre, para usted."),
    "percentage": money_sent(
        "Porcentaje, mayor que 0 y hasta 100, con máximo 4 decimales. 9.66 por mil es `0.966`. No cambia una vez usada."
    ),
    "minimum_base": money_sent("Base mínima; `0.00` si no se envía. No cambia una vez usada."),
    "valid_from": member(TEXT, "Primer día en que las facturas nuevas la pueden usar."),
    "valid_until": member(TEXT, "Último día."),
    "active": member(FLAG, "Si las facturas nuevas la pueden usar; `true` si no se envía."),
}
_MOMENT_SENT = record(
    "Momento",
    {
        "moment": member(TEXT, "Antes, el mismo día o después del vencimiento.", enum=list(MOMENTS)),
        "days": nullable(member(WHOLE, "Días antes o después, desde 1; 0 el mismo día.", minimum=0, maximum=DAYS_MAX)),
        "channel": member(TEXT, "Por dónde se avisa.", enum=list(CHANNELS)),
    },
    optional=("days",),
)
_RULE_FIELDS: Mapping[str, Json] = {
    "name": text(1, NAME_CHARS_MAX, "Nombre, para usted."),
    "moments": member(
        {"type": "array", "items": _MOMENT_SENT, "maxItems": MOMENTS_MAX},
        "Cuándo se recuerda, sin repetir. Vacío: no se recuerda. Al cambiar se reemplaza completo.",
    ),
}

_ERRORS: Mapping[str, ErrorCase] = {
    "validation_error_retention": invalid(
        "Campos que faltan, no son válidos o ya no se pueden cambiar.",
        ("percentage", "Hay facturas que usan esta retención: cree otra."),
    ),
    "validation_error_rule": invalid(
        "Campos que faltan o no son válidos.",
        ("moments[0].channel", f"El valor debe ser uno de: {', '.join(CHANNELS)}."),
    ),
}

_OPERATIONS: Mapping[str, OperationDocs] = {
    "createRetention": OperationDocs(
        description="Define una retención que las facturas pueden nombrar en `invoice_retentions`. Lo que el cliente "
        "retiene no se le cobra.",
        success="La retención.",
        answer=answer("Retention", "La retención recién creada", RETENTION),
        body=Content(ref("RetentionCreate"), {"ica": Example("9.66 por mil de ICA", _RETENTION_REQUEST)}),
        errors=("validation_error_retention",),
        once_example="reteica-2024",
    ),
    "listRetentions": OperationDocs(
        description="Lista las retenciones de la cuenta.",
        success="Una página de retenciones.",
        answer=one_page("RetentionPage", RETENTION),
        query=(
            *paging(RETENTION_ID),
            parameter("kind", "Clase.", {"type": "string", "enum": _KINDS}),
            parameter("active", "Si las facturas nuevas las pueden usar.", FLAG),
        ),
        errors=("bad_query", "query_too_long"),
    ),
    "getRetention": OperationDocs(
        description="Devuelve una retención.",
        success="La retención.",
        answer=answer("Retention", "Una retención", RETENTION),
        errors=("not_found",),
    ),
    "updateRetention": OperationDocs(
        description="Cambia los campos que envíe. Las facturas conservan los valores con que se hicieron.",
        success="La retención con sus cambios.",
        answer=answer("Retention", "La retención inactiva", RETENTION | {"active": False}),
        body=Content(ref("RetentionChange"), {"inactiva": Example("Desactivarla", {"active": False})}),
        errors=("not_found", "validation_error_retention"),
    ),
    "createCollectionRule": OperationDocs(
        description="Crea una regla que dice cuándo se recuerda un cobro. Las facturas la nombran en "
        "`collection_rule_id`.",
        success="La regla.",
        answer=answer("CollectionRule", "La regla recién creada", RULE),
        body=Content(
            ref("CollectionRuleCreate"), {"amable": Example("Tres avisos", {"name": "Amable", "moments": _MOMENTS})}
        ),
        errors=("validation_error_rule",),
        once_example="regla-amable",
    ),
    "listCollectionRules": OperationDocs(
        description="Lista las reglas de la cuenta.",
        success="Una página de reglas.",
        answer=one_page("CollectionRulePage", RULE),
        query=paging(RULE_ID),
        errors=("bad_query", "query_too_long"),
    ),
    "getCollectionRule": OperationDocs(
        description="Devuelve una regla.",
        success="La regla.",
        answer=answer("CollectionRule", "Una regla", RULE),
        errors=("not_found",),
    ),
    "updateCollectionRule": OperationDocs(
        description="Cambia el nombre o los momentos.",
        success="La regla con sus cambios.",
        answer=answer("CollectionRule", "La regla sin avisos", RULE | {"moments": []}),
        body=Content(ref("CollectionRuleChange"), {"silencio": Example("Sin avisos", {"moments": []})}),
        errors=("not_found", "validation_error_rule"),
    ),
}

PART = Part(
    tags={
        "retentions": ("Retenciones", "Lo que los clientes retienen. Son adiciones de Recaudo, bajo `/recaudo/v1`."),
        "collection_rules": ("Reglas de cobro", "Cuándo se recuerda. Son adiciones de Recaudo, bajo `/recaudo/v1`."),
    },
    schemas={
        "Retention": record(
            "Retención",
            {
                "id": member(id_of(ids.RETENTION), "Identificador de la retención."),
                "kind": member(TEXT, "Clase.", enum=_KINDS),
                "name": member(TEXT, "Nombre."),
                "percentage": member(PERCENTAGE, "Porcentaje, como `0.966`."),
                "minimum_base": member(MONEY, "Base mínima."),
                "valid_from": nullable(member(DAY, "Primer día; `null`: sin límite.")),
                "valid_until": nullable(member(DAY, "Último día; `null`: sin límite.")),
                "active": member(FLAG, "Si las facturas nuevas la pueden usar."),
                "created_date": CREATED,
                "is_test": IS_TEST,
            },
        ),
        "RetentionPage": page("Página de retenciones", "Retention"),
        "RetentionCreate": body("Retención nueva", _RETENTION_FIELDS, required=("kind", "name", "percentage")),
        "RetentionChange": change(
            "Cambio de una retención", _RETENTION_FIELDS, required=("kind", "name", "percentage")
        ),
        "CollectionRule": record(
            "Regla de cobro",
            {
                "id": member(id_of(ids.RULE), "Identificador de la regla."),
                "name": member(TEXT, "Nombre."),
                "moments": member({"type": "array", "items": ref("RuleMoment")}, "Cuándo se recuerda."),
                "created_date": CREATED,
                "is_test": IS_TEST,
            },
        ),
        "RuleMoment": record(
            "Momento de una regla",
            {
                "moment": member(TEXT, "Antes, el mismo día o después del vencimiento.", enum=list(MOMENTS)),
                "days": member(WHOLE, "Días antes o después; 0 el mismo día."),
                "channel": member(TEXT, "Por dónde se avisa.", enum=list(CHANNELS)),
            },
        ),
        "CollectionRulePage": page("Página de reglas de cobro", "CollectionRule"),
        "CollectionRuleCreate": body("Regla nueva", _RULE_FIELDS, required=("name", "moments")),
        "CollectionRuleChange": change("Cambio de una regla", _RULE_FIELDS, required=("name", "moments")),
    },
    operations=_OPERATIONS,
    path_parameters={
        **in_path("retention_id", ids.RETENTION, "Identificador de la retención.", RETENTION_ID),
        **in_path("rule_id", ids.RULE, "Identificador de la regla.", RULE_ID),
    },
    errors=_ERRORS,
)
