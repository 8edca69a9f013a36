"""What the OpenAPI document says about customers."""

from collections.abc import Mapping

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.addresses import COLOMBIAN_TYPES, MEMBERS, PERSON_TYPES, REGIMEN_TYPES, TEXT_CHARS_MAX
from recaudo.dialects.treli.customers import CONTACT_MESSAGE, EMAILS_MAX, NAME_CHARS_MAX, refused
from recaudo.dialects.treli.openapi_parts import (
    CREATED,
    EMAIL,
    FLAG,
    IS_TEST,
    MONEY,
    NOTHING,
    TEXT,
    Part,
    answer,
    body,
    case,
    change,
    gone,
    id_of,
    in_path,
    invalid,
    one_page,
    page,
    paging,
    parameter,
    text,
)
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, nullable, record, ref
from recaudo.usecases.customers import DocumentTakenError

CUSTOMER_ID = "cus_0002yG8wOXo7DRJrPBGxisvt"

REQUEST: Json = {
    "email": "compras@example.com",
    "full_name": "Empresa SAS",
    "billing_address": {
        "first_name": "Ana",
        "last_name": "Pérez",
        "address_1": "Carrera 53 # 75-10",
        "phone": "3167591030",
        "phone_country_code": "CO_57",
        "city": "Barranquilla",
        "state": "ATL",
        "country": "CO",
        "company": "Empresa SAS",
        "person_type": "Company",
        "identification": "900123456",
        "id_type": "NIT",
    },
    "collection_emails": ["email1@email.com", "email2@email.com"],
}
_ADDRESS: Json = {
    **{name: REQUEST["billing_address"].get(name) for name in MEMBERS},
    "person_type": "company",
}
CUSTOMER: Json = {
    "id": CUSTOMER_ID,
    "email": "compras@example.com",
    "full_name": "Empresa SAS",
    "created_date": "2024-11-15 16:44:50",
    "is_test": True,
    "billing_address": _ADDRESS,
    "default_payment_method": None,
    "is_deleted": False,
    "collection_emails": ["email1@email.com", "email2@email.com"],
    "credit_balance": "0.00",
}

_MEANINGS: Mapping[str, str] = {
    "first_name": "Nombre de quien recibe la factura.",
    "last_name": "Apellido.",
    "id_type": f"Tipo de documento; en Colombia {', '.join(f'`{word}`' for word in COLOMBIAN_TYPES)}. Junto con "
    "`identification`.",
    "identification": "Número de documento.",
    "address_1": "Dirección.",
    "address_2": "Complemento de la dirección.",
    "phone": "Dígitos nacionales; válido junto con `phone_country_code`.",
    "phone_country_code": "Indicativo, como `CO_57`. También se acepta `+57`. Sin él, el del país.",
    "city": "Ciudad.",
    "state": "Departamento.",
    "postcode": "Código postal.",
    "country": "País, ISO 3166-1 alfa-2. Sin él, el de la cuenta.",
    "company": "Razón social.",
    "person_type": "`person` o `company`, en cualquier caja. Sin él, `company` para un NIT.",
    "regimen_type": "`common_regime` o `simplified_regime`.",
}
_WORDS = {"person_type": list(PERSON_TYPES), "regimen_type": list(REGIMEN_TYPES)}


def _shown(name: str) -> Json:
    schema = member(TEXT, _MEANINGS[name])
    return nullable(schema | ({"enum": _WORDS[name]} if name in _WORDS else {}))


def _sent(name: str) -> Json:
    schema = member(TEXT, _MEANINGS[name], maxLength=TEXT_CHARS_MAX)
    return schema | ({"enum": _WORDS[name]} if name == "regimen_type" else {})


_ADDRESS_SENT = body("Dirección de facturación", {name: _sent(name) for name in MEMBERS})
_FIELDS: Mapping[str, Json] = {
    "email": member(EMAIL, "Correo electrónico. Se necesita este o `billing_address.phone`."),
    "full_name": text(1, NAME_CHARS_MAX, "Nombre completo o razón social."),
    "billing_address": member(_ADDRESS_SENT, "Dirección, documento y teléfono."),
    "collection_emails": member(
        {"type": "array", "items": EMAIL, "maxItems": EMAILS_MAX}, "Otros correos que reciben los avisos."
    ),
}

_TAKEN = refused(DocumentTakenError(ids.read(ids.CUSTOMER, CUSTOMER_ID)))  # type: ignore[arg-type]
assert _TAKEN is not None

_ERRORS: Mapping[str, ErrorCase] = {
    "customer_exists": case(_TAKEN, "Otro cliente tiene ese documento; `existing_id` lo nombra."),
    "validation_error_customer": invalid(
        "Campos que faltan o no son válidos; llegan todos juntos.",
        ("email", CONTACT_MESSAGE),
        ("full_name", "El campo es obligatorio."),
    ),
}

_OPERATIONS: Mapping[str, OperationDocs] = {
    "createCustomer": OperationDocs(
        description="Registra a quien paga. Se necesita un correo o un teléfono. Un documento "
        "(`id_type`, `identification`) pertenece a un solo cliente, salvo que la cuenta admita repetidos.",
        success="El cliente.",
        answer=answer("Customer", "El cliente recién creado", CUSTOMER),
        body=Content(
            ref("CustomerCreate"),
            {
                "empresa": Example("Una empresa con NIT", REQUEST),
                "minimo": Example("Lo mínimo", {"full_name": "Ana Rojas", "email": "ana@ejemplo.com"}),
            },
        ),
        errors=("validation_error_customer", "customer_exists"),
        once_example="cliente-001",
    ),
    "listCustomers": OperationDocs(
        description="Busca clientes, del más reciente al más antiguo. No incluye los eliminados, ni los que solo se "
        "conocen por la referencia de una factura y no tienen documento.",
        success="Una página de clientes.",
        answer=one_page("CustomerPage", CUSTOMER),
        query=(
            *paging(CUSTOMER_ID),
            parameter("email", "Correo exacto."),
            parameter("identification", "Número de documento exacto.", example="900123456"),
        ),
        errors=("bad_query", "query_too_long"),
    ),
    "getCustomer": OperationDocs(
        description="Devuelve un cliente, también si fue eliminado: entonces `is_deleted` es `true`.",
        success="El cliente.",
        answer=answer("Customer", "Un cliente", CUSTOMER),
        errors=("not_found",),
    ),
    "updateCustomer": OperationDocs(
        description="Cambia los campos que envíe. Los miembros de `billing_address` se combinan uno por uno y "
        "`collection_emails` se reemplaza. Las facturas existentes conservan su dirección.",
        success="El cliente con sus cambios.",
        answer=answer(
            "Customer", "El cliente en otra ciudad", CUSTOMER | {"billing_address": _ADDRESS | {"city": "Cali"}}
        ),
        body=Content(ref("CustomerChange"), {"ciudad": Example("Otra ciudad", {"billing_address": {"city": "Cali"}})}),
        errors=("not_found", "validation_error_customer", "customer_exists"),
    ),
    "deleteCustomer": OperationDocs(
        description="Saca a un cliente de las listas y libera su documento. Sus facturas siguen, y se puede consultar "
        "por su `id`.",
        success="Eliminado.",
        answer=answer("CustomerDeleted", "El cliente eliminado", {"id": CUSTOMER_ID, "deleted": True}),
        errors=("not_found",),
    ),
}

PART = Part(
    tags={"customers": ("Clientes", "Quienes pagan, con su documento, su dirección y sus contactos.")},
    schemas={
        "Customer": record(
            "Cliente",
            {
                "id": member(id_of(ids.CUSTOMER), "Identificador del cliente."),
                "email": nullable(member(TEXT, "Correo electrónico.")),
                "full_name": member(TEXT, "Nombre completo o razón social."),
                "created_date": CREATED,
                "is_test": IS_TEST,
                "billing_address": member(ref("BillingAddress"), "Dirección, documento y teléfono."),
                "default_payment_method": member(NOTHING, "Siempre `null` en esta versión."),
                "is_deleted": member(FLAG, "Si fue eliminado."),
                "collection_emails": member({"type": "array", "items": TEXT}, "Otros correos que reciben los avisos."),
                "credit_balance": member(MONEY, "Saldo a favor del cliente, en la moneda de la cuenta."),
            },
        ),
        "BillingAddress": record("Dirección de facturación", {name: _shown(name) for name in MEMBERS}),
        "CustomerPage": page("Página de clientes", "Customer"),
        "CustomerDeleted": gone("Cliente eliminado", ids.CUSTOMER),
        "CustomerCreate": body("Cliente nuevo", _FIELDS, required=("full_name",)),
        "CustomerChange": change("Cambio de un cliente", _FIELDS, required=("full_name",)),
    },
    operations=_OPERATIONS,
    path_parameters=in_path("customer_id", ids.CUSTOMER, "Identificador del cliente.", CUSTOMER_ID),
    errors=_ERRORS,
)
