"""What the OpenAPI document says about credit notes."""

from collections.abc import Mapping

from recaudo.dialects.treli import ids
from recaudo.dialects.treli.acting import REASON_CHARS_MAX
from recaudo.dialects.treli.credit_notes import NUMBER_CHARS_MAX, STATUSES, refused
from recaudo.dialects.treli.openapi_customers import CUSTOMER_ID
from recaudo.dialects.treli.openapi_invoices import INVOICE_ID, META_DATA, META_SENT, REASON_BODY, UTC, maybe
from recaudo.dialects.treli.openapi_parts import (
    CREATED,
    IS_TEST,
    MONEY,
    TEXT,
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
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, record, ref
from recaudo.usecases.crediting import NumberTakenError

NOTE_ID = "cn_0002yHh1U5tfYUcbyGRYpK6d"

NOTE: Json = {
    "id": NOTE_ID,
    "credit_note_number": "NC-12",
    "invoice": INVOICE_ID,
    "customer": CUSTOMER_ID,
    "amount": "5000.00",
    "currency": "COP",
    "reason": "Se devolvió un producto",
    "status": "issued",
    "applied_to_balance": "5000.00",
    "credited_to_customer": "0.00",
    "created_date": "2024-11-16 09:12:00",
    "voided_at_date": None,
    "is_test": True,
    "meta_data": {},
}
_VOIDED = NOTE | {"status": "voided", "voided_at_date": "2024-11-18T15:00:00Z"}

_FIELDS: Mapping[str, Json] = {
    "invoice": member(id_of(ids.COLLECTION), "La factura, por su id o por el de uno de sus cobros."),
    "amount": money_sent("Cuánto, mayor que 0. Sin él, todo lo que queda del `total` de la factura."),
    "reason": text(1, REASON_CHARS_MAX, "Por qué, para personas."),
    "credit_note_number": text(1, NUMBER_CHARS_MAX, "Número; ninguna otra nota emitida de la cuenta lo tiene."),
    "meta_data": META_SENT,
}
_SHOWN: Mapping[str, Json] = {
    "id": member(id_of(ids.CREDIT_NOTE), "Identificador de la nota."),
    "credit_note_number": maybe(TEXT, "Número."),
    "invoice": member(id_of(ids.COLLECTION), "La factura."),
    "customer": maybe(id_of(ids.CUSTOMER), "El cliente; `null` solo si otro dialecto creó la factura sin cliente."),
    "amount": member(MONEY, "El valor de la nota."),
    "currency": member(TEXT, "Moneda ISO 4217, la de la factura."),
    "reason": member(TEXT, "Por qué."),
    "status": member(TEXT, "Estado.", enum=list(STATUSES)),
    "applied_to_balance": member(MONEY, "Lo que bajó de lo que se debía."),
    "credited_to_customer": member(MONEY, "Lo que ya se había recibido y pasó a saldo a favor del cliente."),
    "created_date": CREATED,
    "voided_at_date": maybe(UTC, "Cuándo se anuló."),
    "is_test": IS_TEST,
    "meta_data": META_DATA,
}

_TAKEN = refused(NumberTakenError("NC-12"))
assert _TAKEN is not None

_ERRORS: Mapping[str, ErrorCase] = {
    "validation_error_note": invalid(
        "Campos que faltan o no son válidos; llegan todos juntos.",
        ("invoice", "No existe una factura con ese id."),
        ("reason", "El campo es obligatorio."),
    ),
    "credit_note_number_exists": case(_TAKEN, "Otra nota que no está anulada tiene ese número."),
    **{
        code: conflict(code, when)
        for code, when in {
            "credit_note_exceeds_invoice": "Con esta, las notas de la factura superarían su `total`.",
            "credit_note_voided": "La nota ya está anulada.",
            "credit_already_used": "El saldo a favor que dejó la nota ya se usó o se devolvió.",
        }.items()
    },
}

_OPERATIONS: Mapping[str, OperationDocs] = {
    "createCreditNote": OperationDocs(
        description="Emite una nota crédito. Primero baja lo que aún se debe, por vencimiento; lo que exceda pasa a "
        "saldo a favor. Un cobro cuyo total baja a lo recibido se cierra: pagado si recibió algo, si no anulado; la "
        "factura igual. `amount_to_collect` baja y `total` no cambia. Lo que exceda también lo recibido, como las "
        "retenciones, no mueve dinero.",
        success="La nota.",
        answer=answer("CreditNote", "La nota recién emitida", NOTE),
        body=Content(
            ref("CreditNoteCreate"),
            {
                "parte": Example(
                    "Sobre una parte",
                    {
                        "invoice": INVOICE_ID,
                        "amount": "5000.00",
                        "reason": "Se devolvió un producto",
                        "credit_note_number": "NC-12",
                    },
                ),
                "todo": Example("Sobre todo lo que queda", {"invoice": INVOICE_ID, "reason": "Se facturó dos veces"}),
            },
        ),
        errors=(
            "validation_error_note",
            "invoice_voided",
            "credit_note_exceeds_invoice",
            "credit_note_number_exists",
        ),
        once_example="nota-12",
    ),
    "listCreditNotes": OperationDocs(
        description="Las notas crédito de la cuenta, de la más reciente a la más antigua.",
        success="Una página de notas.",
        answer=one_page("CreditNotePage", NOTE),
        query=(
            *paging(NOTE_ID),
            parameter("invoice", "Id de la factura, o de uno de sus cobros.", example=INVOICE_ID),
            parameter("customer", "Identificador del cliente.", example=CUSTOMER_ID),
            parameter("status", "Estado.", {"type": "string", "enum": list(STATUSES)}),
        ),
        errors=("bad_query", "query_too_long"),
    ),
    "getCreditNote": OperationDocs(
        description="Devuelve una nota crédito, emitida o anulada.",
        success="La nota.",
        answer=answer("CreditNote", "Una nota", NOTE),
        errors=("not_found",),
    ),
    "voidCreditNote": OperationDocs(
        description="Anula una nota crédito. Lo que había bajado se debe otra vez y se pide en un cobro nuevo que "
        "vence hoy; una factura cerrada se abre de nuevo. Lo que había pasado a saldo a favor vuelve a la factura.",
        success="La nota anulada.",
        answer=answer("CreditNote", "La nota anulada", _VOIDED),
        body=REASON_BODY,
        errors=(
            "not_found",
            "validation_error_reason",
            "credit_note_voided",
            "invoice_voided",
            "credit_already_used",
            "invoice_number_exists",
        ),
    ),
}

PART = Part(
    tags={"credit_notes": ("Notas crédito", "Lo que se descuenta de una factura ya hecha.")},
    schemas={
        "CreditNote": record("Nota crédito", _SHOWN),
        "CreditNotePage": page("Página de notas crédito", "CreditNote"),
        "CreditNoteCreate": body("Nota crédito nueva", _FIELDS, required=("invoice", "reason")),
    },
    operations=_OPERATIONS,
    path_parameters=in_path("credit_note_id", ids.CREDIT_NOTE, "Identificador de la nota crédito.", NOTE_ID),
    errors=_ERRORS,
)
