"""What our own document says about receipts, and about withholdings with their certificates."""

from collections.abc import Mapping

from recaudo.dialects.recaudo import openapi_examples as examples
from recaudo.dialects.recaudo.openapi_parts import PAGING, answer, page, parameter, rows
from recaudo.dialects.recaudo.openapi_schemas import FLAG, INSTANT, OBJECT, TEXT, UUID, in_minor
from recaudo.dialects.recaudo.parse import CERTIFICATE_CHARS_MAX, REASON_CHARS_MAX, URL_CHARS_MAX
from recaudo.dialects.recaudo.receipts import WHY_NOT
from recaudo.dialects.recaudo.withholdings import KINDS
from recaudo.domain.model import ReceiptKind
from recaudo.domain.states import InvoiceState
from recaudo.edge.openapi import Content, Example, Json, OperationDocs, member, nullable, record, ref

TAGS: Mapping[str, tuple[str, str]] = {
    "receipts": ("Receipts", "Money that arrived, money that went back, and undoing what was registered in error."),
    "withholdings": ("Withholdings", "What payers withhold as tax, and the certificates that prove it."),
}

# --- Examples ---

RECEIPT_ID = "019a0279-5d10-7c44-9be1-7d2f4a6b8c90"
UNDOING_ID = "019a0281-0b38-7f02-8c53-1e9d0f7a6b24"
CUSTOMER_ID = "5f0f2a1e-84a6-5b35-9c19-1a3b5d7f9024"
RETENTION_ID = "019331c9-3450-7a11-8f20-5b6c7d8e9f01"

RECEIPT: Json = {
    "id": RECEIPT_ID,
    "invoice_id": examples.INVOICE_ID,
    "collection_id": examples.PAYMENT_ID,
    "attempt_id": None,
    "kind": "outside",
    "amount_minor": 5000000,
    "currency": "COP",
    "gateway": "outside",
    "gateway_tx_id": RECEIPT_ID,
    "number": "7X2F-4A6B-8C90",
    "method": {"type": "cash"},
    "at": "2025-10-20T16:36:07.120000Z",
    "reference": "Recibo 12",
    "reverses": None,
    "reason": None,
    "allocation_id": None,
    "customer_id": CUSTOMER_ID,
    "reversed_minor": 0,
}
UNDOING: Json = RECEIPT | {
    "id": UNDOING_ID,
    "kind": "refund",
    "amount_minor": -5000000,
    "number": "1E9D-0F7A-6B24",
    "at": "2025-10-20T16:44:30.520000Z",
    "reverses": RECEIPT_ID,
    "reason": "It was for another customer.",
}
WITHHOLDING: Json = {
    "invoice_id": examples.INVOICE_ID,
    "retention_id": RETENTION_ID,
    "customer_id": CUSTOMER_ID,
    "invoice_state": "paid",
    "kind": "reteica",
    "amount_minor": 19300,
    "currency": "COP",
    "certificate": None,
}
CERTIFIED: Json = WITHHOLDING | {
    "certificate": {
        "number": "ICA-2025-0417",
        "url": "https://example.com/certificates/ICA-2025-0417.pdf",
        "certified_at": "2025-11-03T14:20:00.000000Z",
    }
}

# --- Schemas ---


_RECEIPT: Mapping[str, Json] = {
    "id": member(UUID, "The receipt."),
    "invoice_id": member(UUID, "Its invoice, or request."),
    "collection_id": nullable(member(UUID, "What it was booked on; null when an invoice was settled as a whole.")),
    "attempt_id": nullable(member(UUID, "The attempt that collected it.")),
    "kind": member(
        TEXT,
        "`gateway`: a gateway collected it. `outside`: the merchant registered it. `refund`: it went back.",
        enum=[kind.value for kind in ReceiptKind],
    ),
    "amount_minor": in_minor("Below zero when it went back."),
    "currency": member(TEXT, "ISO 4217."),
    "gateway": member(TEXT, "Who collected it; `outside` when nobody that we see."),
    "gateway_tx_id": member(TEXT, "The gateway's transaction."),
    "number": member(TEXT, "For people to read out."),
    "method": nullable(member(OBJECT, "How it was paid.")),
    "at": member(INSTANT, "When it arrived, or went back."),
    "reference": nullable(member(TEXT, "What people wrote on it.")),
    "reverses": nullable(member(UUID, "Of one below zero: the receipt whose money it is.")),
    "reason": nullable(member(TEXT, "Of one below zero: why.")),
    "allocation_id": nullable(
        member(UUID, "The same for all receipts of one sum over several debts: they are undone together.")
    ),
    "customer_id": nullable(member(UUID, "Who owes the invoice.")),
    "reversed_minor": in_minor("How much of it went back since."),
}

_CERTIFICATE: Mapping[str, Json] = {
    "number": member(TEXT, "Its number."),
    "url": nullable(member(TEXT, "Where it can be read.")),
    "certified_at": member(INSTANT, "When it was noted here."),
}

_WITHHOLDING: Mapping[str, Json] = {
    "invoice_id": member(UUID, "The invoice."),
    "retention_id": member(UUID, "The retention: the number that `ret_...` stands for."),
    "customer_id": nullable(member(UUID, "Who withholds.")),
    "invoice_state": member(
        TEXT, "Of a `void` invoice nothing is withheld any more.", enum=[state.value for state in InvoiceState]
    ),
    "kind": member(TEXT, "Which tax.", enum=list(KINDS)),
    "amount_minor": in_minor("What is withheld."),
    "currency": member(TEXT, "ISO 4217."),
    "certificate": nullable(member(record("Certificate", _CERTIFICATE), "The proof; null: not there yet.")),
}


SCHEMAS: Mapping[str, Json] = {
    "Receipt": record("Receipt", _RECEIPT),
    "ReceiptPage": page("Page of receipts", "Receipt", "Newest first."),
    "Undone": record(
        "What was undone",
        {"receipts": member({"type": "array", "items": ref("Receipt")}, "Each below zero, and what it reverses.")},
    ),
    "Undo": record(
        "Undoing",
        {"reason": member(TEXT, "Why, for people.", minLength=1, maxLength=REASON_CHARS_MAX)},
    ),
    "Withholding": record("Withholding", _WITHHOLDING),
    "WithholdingPage": page("Page of withholdings", "Withholding", "Of the newest invoices first."),
    "CertificatePut": record(
        "Certificate to note",
        {
            "number": member(TEXT, "Its number.", minLength=1, maxLength=CERTIFICATE_CHARS_MAX),
            "url": nullable(
                member(
                    {"type": "string", "format": "iri", "pattern": "^https://", "maxLength": URL_CHARS_MAX},
                    "Where it can be read: `https://`.",
                )
            ),
        },
        optional=("url",),
    ),
}

# --- Operations ---


OPERATIONS: Mapping[str, OperationDocs] = {
    "listReceipts": OperationDocs(
        description="Money that arrived and money that went back, newest first.",
        success="A page of receipts.",
        answer=answer("ReceiptPage", "A sum that the merchant registered", rows(RECEIPT)),
        query=(
            *PAGING,
            parameter("invoice", "Only of this invoice.", UUID),
            parameter("customer", "Only of this customer's invoices.", UUID),
        ),
        errors=("invalid_query", "invalid_query_cursor"),
    ),
    "getReceipt": OperationDocs(
        description="One receipt. `reversed_minor` says how much of it went back.",
        success="The receipt.",
        answer=answer("Receipt", "A sum that was undone since", RECEIPT | {"reversed_minor": 5000000}),
        errors=("not_found_receipt",),
    ),
    "undoReceipt": OperationDocs(
        description="Gives back a sum that the merchant registered in error, all of it, and asks for the same debt "
        "again: the collection that it had paid is `pending` once more, with its own link and due day, where it can "
        "be; what is left over gets a new one, due today. A paid invoice is open again. Of a withdrawn invoice nothing "
        "is asked for.\n\n"
        "A sum over several debts goes back as a whole, whichever of its receipts is named. Credit that it left to "
        "the customer is taken back.",
        success="A receipt below zero for each that was undone.",
        answer=answer("Undone", "One receipt, given back", {"receipts": [UNDOING]}),
        body=Content(
            ref("Undo"), {"mistake": Example("It belonged elsewhere", {"reason": "It was for another customer."})}
        ),
        errors=(
            "not_found_receipt",
            "idempotency_key_reused",
            *(why.value for why in WHY_NOT),
            "validation_error_reason",
        ),
        once_example="undo-recibo-12",
    ),
    "listWithholdings": OperationDocs(
        description="What payers withhold from invoices as tax, those of the newest invoices first. "
        "`certified=false` is what the certificates are still missing of.",
        success="A page of withholdings.",
        answer=answer("WithholdingPage", "One with its certificate", rows(CERTIFIED)),
        query=(
            *PAGING,
            parameter("invoice", "Only of this invoice.", UUID),
            parameter("kind", "Only of this tax.", {"type": "string", "enum": list(KINDS)}),
            parameter("certified", "Only those with a certificate, or without.", FLAG),
        ),
        errors=("invalid_query", "invalid_query_cursor"),
    ),
    "putCertificate": OperationDocs(
        description="Notes the certificate that the payer sent of what it withheld, instead of any that was noted "
        "before. No event tells of it.",
        success="The withholding with its certificate.",
        answer=answer("Withholding", "With its certificate", CERTIFIED),
        body=Content(
            ref("CertificatePut"),
            {
                "linked": Example(
                    "With a link",
                    {"number": "ICA-2025-0417", "url": "https://example.com/certificates/ICA-2025-0417.pdf"},
                )
            },
        ),
        errors=("not_found_withholding", "idempotency_key_reused", "validation_error_certificate"),
        once_example="certificate-0417",
    ),
    "deleteCertificate": OperationDocs(
        description="Takes a certificate away that was noted in error. Without one it changes nothing.",
        success="The withholding without certificate.",
        answer=answer("Withholding", "Not certified", WITHHOLDING),
        errors=("not_found_withholding", "idempotency_key_reused"),
    ),
}

PATH_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "receipt_id": ("The receipt.", RECEIPT_ID),
    "withheld_invoice_id": ("The invoice.", examples.INVOICE_ID),
    "withheld_retention_id": ("The retention.", RETENTION_ID),
}
