"""JSON Schemas of the bodies that the OnePay dialect takes, fields in the order of the specification.

`parse` reads these bodies; tests hold both against each other. Amount bounds are those of an account that kept the
defaults. Rules that no schema can tell (numbering plans, the contact rule) stand in the descriptions.
"""

import uuid
from collections.abc import Mapping

from recaudo.dialects.onepay.endpoints import (
    OVERLAP_HOURS_DEFAULT,
    OVERLAP_HOURS_MAX,
    URL_CHARS_MAX as WEBHOOK_URL_CHARS_MAX,
)
from recaudo.dialects.onepay.objects import (
    ALLOWS_EXTRA,
    WINDOW_HOURS_MAX,
)
from recaudo.dialects.onepay.openapi_schemas import DAY, FLAG, TEXT, UUID, WHOLE
from recaudo.dialects.onepay.parse import DELETE_FROM_PROVIDER, PAID_FROM_PROVIDER
from recaudo.dialects.onepay.webhooks import TYPES
from recaudo.domain import money
from recaudo.domain.model import Account
from recaudo.domain.partial import PARTS_MAX
from recaudo.edge import metadata
from recaudo.edge.contacts import EMAIL_CHARS_MAX, URL_CHARS_MAX
from recaudo.edge.openapi import Json, member, nullable, record

_DEFAULTS = Account(id=uuid.UUID(int=0), merchant_id=uuid.UUID(int=0), is_test=False)
AMOUNT_MIN, AMOUNT_MAX = (
    int(money.to_units(minor, _DEFAULTS.currency)) for minor in (_DEFAULTS.amount_min_minor, _DEFAULTS.amount_max_minor)
)


# Something visible, and no control characters; in lines, line feeds and tabs too.
_VISIBLE = r"^[^\x00-\x1F\x7F-\x9F]*[^\x00-\x20\x7F-\xA0][^\x00-\x1F\x7F-\x9F]*$"
_VISIBLE_LINES = _VISIBLE.replace(r"^\x00-\x1F", r"^\x00-\x08\x0B-\x1F")


def text(low: int, high: int, description: str, *, pattern: str = _VISIBLE) -> Json:
    """Text of this many characters, counted after the spaces around it are taken off."""
    return member(TEXT, description, minLength=low, maxLength=high, pattern=pattern)


def _optional(fields: Mapping[str, Json], *, required: tuple[str, ...] = ()) -> dict[str, Json]:
    """On create null equals "not sent", on change it clears the field; for a required one it is an error (0.3)."""
    return {name: schema if name in required else nullable(schema) for name, schema in fields.items()}


def _body(title: str, fields: Mapping[str, Json], *, required: tuple[str, ...] = (), description: str = "") -> Json:
    members = _optional(fields, required=required)
    return record(title, members, optional=[f for f in fields if f not in required], description=description)


_AMOUNT: Json = {"type": "integer", "minimum": AMOUNT_MIN, "maximum": AMOUNT_MAX}
_PHONE = member(
    TEXT, "Teléfono en formato E.164, válido para su país. Recibe el aviso.", pattern="^\\+[1-9][0-9]{6,14}$"
)
_EMAIL = member(TEXT, "Correo electrónico. Recibe el aviso.", format="email", maxLength=EMAIL_CHARS_MAX)
_URL: Json = {"type": "string", "format": "iri", "pattern": "^https?://", "maxLength": URL_CHARS_MAX}
_METADATA: Json = {
    "type": "object",
    "maxProperties": metadata.MEMBERS_MAX,
    "propertyNames": {"minLength": 1, "maxLength": metadata.NAME_CHARS_MAX, "pattern": r"\S"},
    "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": metadata.TEXT_CHARS_MAX},
}
_PAIRS: Json = {
    "type": "array",
    "maxItems": metadata.MEMBERS_MAX,
    "items": record(
        "Par",
        {
            "key": text(1, metadata.NAME_CHARS_MAX, "Nombre; no se puede repetir."),
            "value": member(_METADATA["additionalProperties"], "Texto, número, booleano o `null`."),
        },
        optional=("value",),
    ),
}
_ALLOWS: Mapping[str, Json] = {
    "accounts": member(FLAG, "Transferencia desde una cuenta: PSE y billeteras."),
    "cards": member(FLAG, "Tarjetas de crédito y débito."),
    "card_extra": member(FLAG, "Cobrar al pagador el recargo de la tarjeta."),
    "realtime": member(FLAG, "Transferencia inmediata (Bre-B)."),
    **{name: member(FLAG, "Se acepta; sin efecto en esta versión.") for name in ALLOWS_EXTRA},
}
_CURRENCY = member(TEXT, "Solo `COP`, que es lo que se asume.", enum=["COP"])


def _limits(suffix: str, money_schema: Json, unit: str) -> Json:
    return _body(
        "Reglas de pago por partes",
        {
            f"min_amount{suffix}": member(money_schema, f"Parte más pequeña, en {unit}; máximo el valor total."),
            f"max_amount{suffix}": member(
                money_schema, f"Parte más grande, en {unit}, al menos la más pequeña. Sin él: lo que falte."
            ),
            "max_payment_methods": member(
                WHOLE,
                f"Máximo de partes; {PARTS_MAX} si no se envía. La última permitida debe cerrar el saldo.",
                minimum=1,
                maximum=PARTS_MAX,
            ),
            "timeout_hours": member(
                WHOLE,
                "Plazo en horas, contado desde la primera parte. Sin él no hay plazo.",
                minimum=1,
                maximum=WINDOW_HOURS_MAX,
            ),
        },
        required=(f"min_amount{suffix}",),
    )


_INVOICE: Mapping[str, Json] = {
    "reference": text(
        1,
        100,
        "Lo que el pagador escribe en el portal; a menudo su número de documento. Varias facturas pueden tenerla.",
    ),
    "provider_id": text(
        1, 100, "Identificador de la factura en su sistema. Con `provider` forma una llave que no se puede repetir."
    ),
    "provider": text(1, 50, "Sistema que emite la factura, por ejemplo `biller`. Es libre."),
    "amount": member(_AMOUNT, "La deuda completa en pesos, sin decimales ni comillas. Los límites son de su cuenta."),
    "name": text(5, 100, "Concepto que ve el pagador."),
    "description": text(1, 500, "Texto más largo para el pagador. Admite saltos de línea.", pattern=_VISIBLE_LINES),
    "phone": _PHONE,
    "email": _EMAIL,
    "due_date": member(
        DAY, "Día de vencimiento. Guía los recordatorios; se puede pagar después, y puede estar en el pasado."
    ),
    "document_url": member(_URL, "PDF que se ofrece al pagador."),
    "metadata": member(_METADATA, "Sus propios datos: nombres con texto, número, booleano o `null`, sin anidar."),
    "partial_payment_config": member(
        _limits("", {"type": "integer", "minimum": 1}, "pesos"),
        "Permite pagar por partes. Sin él, solo el pago completo.",
    ),
}
_CHANGE = {name: schema for name, schema in _INVOICE.items() if name != "provider"} | {
    "metadata": member(_METADATA, "Reemplaza el objeto anterior completo; `null` lo deja en `{}`."),
    "partial_payment_config": member(
        _limits("", {"type": "integer", "minimum": 1}, "pesos"), "Reglas de pago por partes; `null` las quita."
    ),
}

_PAYMENT: Mapping[str, Json] = {
    "title": text(1, 100, "Concepto que ve el pagador."),
    "amount": member(
        _AMOUNT, "Valor en pesos. Sin él, el pagador escribe el valor dentro de los límites de la cuenta."
    ),
    "currency": _CURRENCY,
    "description": text(1, 500, "Texto más largo para el pagador. Admite saltos de línea.", pattern=_VISIBLE_LINES),
    "phone": _PHONE,
    "email": _EMAIL,
    "reference": text(1, 100, "Permite encontrar el cobro en el portal."),
    "external_id": text(1, 100, "Su identificador. Se puede repetir."),
    "customer_id": member(UUID, "Un cliente que ya existe."),
    "document_url": member(_URL, "PDF que se ofrece al pagador."),
    "redirect_url": member(_URL, "A dónde vuelve el navegador, con `payment_id` y `status` en la consulta."),
    "due_date": member(DAY, "Día de vencimiento, para recordatorios. No impide pagar."),
    "expiration_date": {
        "type": "string",
        "anyOf": [{"format": "date-time"}, {"format": "date"}],
        "description": "Cuándo deja de servir el enlace, en el futuro. Una fecha sola es el final de ese día. "
        "Sin ella no vence.",
    },
    "schedule_at": member(
        TEXT, "Los avisos esperan hasta entonces; el enlace sirve desde ya. En el futuro.", format="date-time"
    ),
    "template_id": text(1, 100, "Plantilla del mensaje. Se ignora si la cuenta no la tiene."),
    "tax": {"type": "number", "minimum": 0, "description": "Se guarda como se envía; no cambia el valor."},
    "metadata": {
        "anyOf": [_METADATA, _PAIRS],
        "description": 'Sus propios datos, como objeto o como lista de `{"key", "value"}`; se responde como objeto.',
    },
    "allows": member(
        _body("Medios", _ALLOWS),
        "Apaga medios de pago de la cuenta. No puede encender los que ella no tiene; alguno debe quedar.",
    ),
    "splits": {"type": "array", "maxItems": 0, "description": "Solo vacío: repartir pagos no existe en esta versión."},
    "partial_payment_config": member(
        _limits("_in_cents", {"type": "integer", "minimum": 100, "multipleOf": 100}, "centavos (pesos por 100)"),
        "Permite pagar por partes. Necesita `amount`. Atención: en **centavos**, múltiplos de 100.",
    ),
}

_CUSTOMER: Mapping[str, Json] = {
    "user_type": member(
        TEXT, "Persona (`natural`) o empresa (`company`).", enum=["natural", "company"], default="natural"
    ),
    "first_name": text(1, 100, "Nombre; para una empresa, la razón social."),
    "last_name": text(1, 100, "Apellido."),
    "email": member(_EMAIL, "Correo electrónico. Se necesita este o `phone`."),
    "phone": member(_PHONE, "Teléfono en formato E.164. Se necesita este o `email`."),
    "document_type": member(TEXT, "Junto con `document_number`.", enum=["CC", "CE", "NIT", "PASSPORT"]),
    "document_number": member(
        TEXT, "De 3 a 30 letras, dígitos o guiones. Junto con `document_type`.", pattern="^[A-Za-z0-9-]{3,30}$"
    ),
    "enable_notifications": member(FLAG, "`false` silencia todos los avisos a este cliente.", default=True),
    "nationality": member(TEXT, "País, ISO 3166-1 alfa-2.", pattern="^[A-Z]{2}$"),
    "birthdate": member(DAY, "Fecha de nacimiento, en el pasado."),
    "related_to": member(UUID, "Otro cliente que ya existe."),
}

_WITHDRAWAL: Mapping[str, Json] = {
    "reason": member(
        TEXT,
        "`DELETE_FROM_PROVIDER` (por defecto): la deuda se retira. `PAID_FROM_PROVIDER`: se pagó por fuera.",
        enum=[DELETE_FROM_PROVIDER, PAID_FROM_PROVIDER],
        default=DELETE_FROM_PROVIDER,
    )
}

_WEBHOOK: Mapping[str, Json] = {
    "name": text(1, 255, "Nombre, para usted."),
    "description": text(1, 500, "Descripción, para usted. Admite saltos de línea.", pattern=_VISIBLE_LINES),
    "url": member(
        {**_URL, "maxLength": WEBHOOK_URL_CHARS_MAX},
        "A dónde se envían los eventos: `https://`, sin usuario ni contraseña. Las cuentas de prueba pueden usar "
        "`http://`. No puede llevar a una red privada o local.",
    ),
    "events": member(
        {"type": "array", "items": {"type": "string", "enum": list(TYPES)}, "minItems": 1},
        "Los tipos que quiere recibir. Los repetidos cuentan una vez. Los que este servidor no produce (`charge.*`, "
        "`cashout.*`, `subscription.*`, `account.*`, `connect_link.completed`) se aceptan y nunca llegan.",
    ),
}
_ROTATION: Mapping[str, Json] = {
    "overlap_hours": member(
        WHOLE,
        "Horas en que el secreto anterior firma también.",
        minimum=0,
        maximum=OVERLAP_HOURS_MAX,
        default=OVERLAP_HOURS_DEFAULT,
    )
}

BODIES: Mapping[str, Json] = {
    "InvoiceCreate": _body("Factura nueva", _INVOICE, required=("reference", "provider", "amount", "name")),
    "InvoiceChange": record(
        "Cambio de una factura",
        _optional(_CHANGE, required=("reference", "amount", "name")),
        optional=tuple(_CHANGE),
        description="Los campos ausentes conservan su valor; `null` borra los opcionales.",
    ),
    "InvoiceWithdraw": _body("Retiro de una factura", _WITHDRAWAL),
    "PaymentCreate": _body("Cobro nuevo", _PAYMENT, required=("title",)),
    "PaymentResend": _body("Reenvío", {"template_id": text(1, 100, "Plantilla del mensaje.")}),
    "CustomerCreate": _body("Cliente nuevo", _CUSTOMER, required=("first_name",)),
    "WebhookCreate": _body("Webhook nuevo", _WEBHOOK, required=("name", "url", "events")),
    "WebhookChange": record(
        "Cambio de un webhook",
        _optional(_WEBHOOK, required=("name", "url", "events")),
        optional=tuple(_WEBHOOK),
        description="Los campos ausentes conservan su valor; `null` borra `description`. `events` se reemplaza "
        "completo.",
    ),
    "WebhookRotate": _body("Cambio de secreto", _ROTATION),
}
