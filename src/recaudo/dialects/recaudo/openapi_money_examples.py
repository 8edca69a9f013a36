"""Examples of our own document about gateways, refunds and comparisons: the same invoice as elsewhere."""

from typing import Any

from recaudo.dialects.recaudo.openapi_examples import COLLECTION, INTENT_ID, INVOICE, INVOICE_ID

Json = dict[str, Any]

GATEWAY_ID = "019a0227-e3c0-7000-8000-00000000000a"
RECEIPT_ID = "019a027e-21e0-7c11-9d2a-4b7e8f906172"
REFUND_ID = "019a02b4-9e10-7f52-8c3d-5a6b7c8d9e0f"
SUSPENSE_ID = "019a02c0-1f20-7a04-b1c2-d3e4f5061728"
NEW_PAYMENT_ID = "019a02d1-4b60-7e90-a6b7-c8d9e0f10213"
_RECONCILIATION_ID = "019a04f2-7c00-7b28-93a4-b5c6d7e8f901"

_MORNING = "2025-10-20T15:06:00.000000Z"
_LATER = "2025-10-20T18:12:44.120000Z"

_WOMPI_KEYS: Json = {
    "public_key": "pub_test_EJEMPLOabcd",
    "private_key": "prv_test_EJEMPLO",
    "events_secret": "test_events_EJEMPLO",
    "integrity_secret": "test_integrity_EJEMPLO",
}
WOMPI_REQUEST: Json = {"kind": "wompi", "credentials": _WOMPI_KEYS, "position": 0}
MERCADOPAGO_REQUEST: Json = {
    "kind": "mercadopago",
    "credentials": {"access_token": "TEST-0000000000-EJEMPLO", "webhook_secret": "ejemplo-secreto"},
    "position": 1,
    "methods": [{"id": "card", "min_amount_minor": 500000, "max_amount_minor": 200000000}],
}
CHANGED_REQUEST: Json = {"credentials": {"private_key": "prv_test_OTROEJEMPLO"}}

KIND: Json = {
    "kind": "wompi",
    "title": "Wompi",
    "credentials": [
        {"name": "public_key", "hint": "pub_test_... or pub_prod_...", "is_secret": False, "is_required": True},
        {"name": "private_key", "hint": "prv_test_... or prv_prod_...", "is_secret": True, "is_required": True},
    ],
    "methods": [
        {
            "id": "nequi",
            "kind": "accounts",
            "asks": ["phone", "email", "terms"],
            "min_amount_minor": None,
            "max_amount_minor": None,
        }
    ],
    "currencies": ["COP"],
    "refunds": "void",
    "lists": True,
}
GATEWAY: Json = {
    "id": GATEWAY_ID,
    "kind": "wompi",
    "title": "Wompi",
    "is_test": True,
    "enabled": True,
    "position": 0,
    "credentials": {
        "public_key": {"set": True, "shown": "…abcd"},
        "private_key": {"set": True, "shown": "…"},
        "events_secret": {"set": True, "shown": "…"},
        "integrity_secret": {"set": True, "shown": "…"},
    },
    "methods": None,
    "notice_url": "https://cobros.ejemplo.com/notices/EJEMPLO_kq1vYw3sT8nR5mL2pZ7x",
    "verified_at": None,
    "last_problem": None,
    "last_problem_at": None,
    "compared_until": None,
    "created_at": _MORNING,
    "updated_at": _MORNING,
}
VERIFIED_GATEWAY: Json = GATEWAY | {"verified_at": _LATER}
OFF_GATEWAY: Json = VERIFIED_GATEWAY | {"enabled": False, "updated_at": _LATER}
VERIFIED: Json = {"ok": True, "problem": None, "merchant_name": "Acueducto de Sopó"}
NOT_VERIFIED: Json = {"ok": False, "problem": "Wompi does not know the public key", "merchant_name": None}

REFUND_REQUEST: Json = {"amount_minor": 2000000, "reason": "Cobro duplicado"}
PANEL_REQUEST: Json = {
    "reason": "Devuelto en el panel",
    "way": "panel",
    "evidence": "Wompi, devolución 8841 del 20 de octubre",
}
REFUND: Json = {
    "id": REFUND_ID,
    "receipt_id": RECEIPT_ID,
    "invoice_id": INVOICE_ID,
    "attempt_id": INTENT_ID,
    "amount_minor": 2000000,
    "currency": "COP",
    "state": "created",
    "way": "gateway",
    "reason": "Cobro duplicado",
    "evidence": None,
    "gateway_refund_id": None,
    "failure_code": None,
    "failure_text": None,
    "ask_at": _LATER,
    "asked": 0,
    "created_at": _LATER,
    "updated_at": _LATER,
}
DONE_REFUND: Json = REFUND | {
    "state": "succeeded",
    "gateway_refund_id": "1042",
    "ask_at": None,
    "asked": 1,
    "updated_at": "2025-10-20T18:12:46.000000Z",
}
REFUSED_REFUND: Json = REFUND | {
    "state": "failed",
    "failure_code": "void_too_late",
    "failure_text": "Wompi solo anula un pago el mismo día: haga esta devolución en su panel de Wompi.",
    "ask_at": None,
    "asked": 1,
}
REOPENED: Json = {
    "invoice": INVOICE
    | {
        "version": 6,
        "state": "open",
        "received_minor": 3000000,
        "collection_id": NEW_PAYMENT_ID,
        "updated_at": _LATER,
        "paid_at": None,
    },
    "collection": COLLECTION
    | {
        "id": NEW_PAYMENT_ID,
        "ordinal": 2,
        "state": "pending",
        "amount_minor": 2000000,
        "received_minor": 0,
        "parts": 0,
        "method": None,
        "created_at": _LATER,
        "updated_at": _LATER,
        "paid_at": None,
    },
}

SUSPENSE: Json = {
    "id": SUSPENSE_ID,
    "gateway": "wompi",
    "gateway_tx_id": "11004-1760978414-80111",
    "reason": "unmatched",
    "reference": "rc00031NF5dLp0aVbCdEfGhIjKx",
    "amount_minor": 5000000,
    "currency": "COP",
    "fact": {
        "gateway_tx_id": "11004-1760978414-80111",
        "state": "succeeded",
        "amount_minor": 5000000,
        "currency": "COP",
        "reference": "rc00031NF5dLp0aVbCdEfGhIjKx",
    },
    "found_at": _LATER,
    "resolved_at": None,
    "resolution": None,
}
RESOLVE_REQUEST: Json = {"resolution": "Registrado en la factura FV-1203 como pago recibido"}
RESOLVED: Json = SUSPENSE | {"resolved_at": "2025-10-20T19:00:00.000000Z", **RESOLVE_REQUEST}

RECONCILIATION: Json = {
    "id": _RECONCILIATION_ID,
    "gateway": "wompi",
    "since": "2025-10-19T09:00:00.000000Z",
    "until": "2025-10-20T15:00:00.000000Z",
    "transactions": 412,
    "open": 1,
    "differences": [
        {
            "kind": "booked_late",
            "gateway_tx_id": "11004-1760978414-80112",
            "reference": "rc00031NF5dLp0aVbCdEfGhIjKx",
            "theirs_minor": 5000000,
            "ours_minor": 5000000,
            "currency": "COP",
            "is_mended": True,
        },
        {
            "kind": "not_there",
            "gateway_tx_id": "11004-1760978414-80090",
            "reference": None,
            "theirs_minor": None,
            "ours_minor": 3000000,
            "currency": "COP",
            "is_mended": False,
        },
    ],
    "made_at": "2025-10-20T15:00:03.000000Z",
}
