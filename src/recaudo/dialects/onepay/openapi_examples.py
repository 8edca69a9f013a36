"""Examples of the OpenAPI document: the published requests with our answers (section 16), and others like them.

Addresses begin with BASE, which the document replaces with the server's own.
"""

from typing import Any

Json = dict[str, Any]

BASE = "https://cobros.example.com"
INVOICE_ID = "019a0227-e3c0-7deb-98d0-580c35eb945d"
PAYMENT_ID = "019a0227-e3c0-72ea-b567-a6eac83b8e05"
NEXT_PAYMENT_ID = "019a0239-48e0-7f2f-85be-d01a1e28a479"
OTHER_PAYMENT_ID = "019a0241-2b60-7c1e-9a53-0d4c6f1b7e22"
INTENT_ID = "019a0242-5f18-7b90-8e4d-6a1f2c3d4e5f"
CUSTOMER_ID = "019a0243-91a8-7d37-b1c2-3e4f5a6b7c8d"
WEBHOOK_ID = "019a0227-e3c0-7000-8000-000000000001"
DELIVERY_ID = "019a027e-21e0-7b3c-8a55-2f6c1d9e0a41"
EVENT_ID = "evt_00031NFOhRbOR4L3cWVwfPNU"
SECRET = "wh_tok_EJEMPLO0000000000000000000000000"  # noqa: S105 - the specification's
TOKEN = "wh_hdr_EJEMPLO0000000000000000000000000"  # noqa: S105
_METHOD_ID = "7d0f8a44-6c1e-5b7a-9f21-54c3b2a19087"

_MORNING = "2025-10-20T15:06:00.000000Z"
_CHANGED = "2025-10-20T15:25:00.000000Z"
_LATER = "2025-10-20T16:40:12.000000Z"
_PAID = "2025-10-20T16:41:03.512000Z"

INVOICE_REQUEST: Json = {
    "reference": "1060500333",
    "provider_id": "987654",
    "provider": "biller",
    "amount": 50000,
    "name": "Internet plan - Octubre",
    "phone": "+573167591030",
    "email": "cliente@ejemplo.com",
    "due_date": "2025-10-20",
    "document_url": "https://example.com/document.pdf",
    "metadata": {"key": "value"},
}
IN_PARTS_REQUEST: Json = {
    "reference": "900123456",
    "provider": "erp",
    "amount": 100000,
    "name": "Matrícula 2026",
    "email": "acudiente@ejemplo.com",
    "partial_payment_config": {
        "min_amount": 20000,
        "max_amount": 60000,
        "max_payment_methods": 3,
        "timeout_hours": 720,
    },
}
CHANGE_REQUEST: Json = {
    "reference": "INV-12345678",
    "provider_id": "987654",
    "amount": 75000,
    "name": "Internet plan - Actualizado",
    "phone": "+573167591039",
    "email": "cliente@ejemplo.com",
}
PLACEHOLDERS_REQUEST: Json = {
    "reference": "<string>",
    "provider_id": "<string>",
    "amount": 123,
    "name": "<string>",
    "phone": "<string>",
    "email": "<string>",
}
PAYMENT_REQUEST: Json = {
    "title": "Reserva cabaña 4",
    "amount": 180000,
    "phone": "+573167591030",
    "reference": "1060500333",
    "external_id": "RES-2041",
    "redirect_url": "https://example.com/gracias",
    "due_date": "2025-10-31",
    "metadata": {"noches": 2},
    "allows": {"cards": False},
}
CUSTOMER_REQUEST: Json = {
    "first_name": "Ana María",
    "last_name": "Rojas",
    "email": "ana@ejemplo.com",
    "phone": "+573167591030",
    "document_type": "CC",
    "document_number": "1060500333",
}

INVOICE: Json = {
    "id": INVOICE_ID,
    "name": "Internet plan - Octubre",
    "amount": 50000,
    "provider": "biller",
    "provider_id": "987654",
    "reference": "1060500333",
    "status": "CREATED",
    "remarks": None,
    "metadata": {"key": "value"},
    "due_date": "2025-10-20",
    "created_at": _MORNING,
    "updated_at": _MORNING,
    "payment_id": PAYMENT_ID,
    "is_test": True,
    "partial_payment_config": None,
    "payment": {
        "id": PAYMENT_ID,
        "source": "Internet plan - Octubre",
        "currency": "COP",
        "amount": 50000,
        "amount_label": "$ 50.000",
        "title": "Internet plan - Octubre",
        "description": "Internet plan - Octubre",
        "phone": "+573167591030",
        "expiration_at": None,
        "due_date": "2025-10-20",
        "document_link": "https://example.com/document.pdf",
        "external_id": "987654",
        "allows": {"accounts": True, "cards": True, "card_extra": False, "realtime": False},
        "status": "pending",
        "is_test": True,
        "created_at": _MORNING,
        "paid_at": None,
        "payment_link": f"{BASE}/payment/{PAYMENT_ID}",
        "redirect_url": None,
        "provider_id": None,
        "metadata": None,
        "customer": None,
        "method": None,
        "splits": [],
        "company": None,
        "commission": None,
    },
}

CHANGED_INVOICE: Json = INVOICE | {
    "name": "Internet plan - Actualizado",
    "amount": 75000,
    "reference": "INV-12345678",
    "updated_at": _CHANGED,
    "payment_id": NEXT_PAYMENT_ID,
    "payment": INVOICE["payment"]
    | {
        "id": NEXT_PAYMENT_ID,
        "source": "Internet plan - Actualizado",
        "amount": 75000,
        "amount_label": "$ 75.000",
        "title": "Internet plan - Actualizado",
        "description": "Internet plan - Actualizado",
        "phone": "+573167591039",
        "created_at": _CHANGED,
        "payment_link": f"{BASE}/payment/{NEXT_PAYMENT_ID}",
    },
}

_ROW_MEMBERS = ("id", "name", "provider", "provider_id", "reference", "status", "remarks", "metadata")
INVOICE_ROW: Json = {name: INVOICE[name] for name in _ROW_MEMBERS}

PAYMENT: Json = {
    "id": OTHER_PAYMENT_ID,
    "source": "Reserva cabaña 4",
    "currency": "COP",
    "amount": 180000,
    "amount_label": "$ 180.000",
    "title": "Reserva cabaña 4",
    "description": "Reserva cabaña 4",
    "phone": "+573167591030",
    "expiration_at": None,
    "due_date": "2025-10-31",
    "document_link": None,
    "external_id": "RES-2041",
    "allows": {"accounts": True, "cards": False, "card_extra": False, "realtime": False},
    "status": "pending",
    "is_test": True,
    "created_at": "2025-10-20T15:33:37.120000Z",
    "paid_at": None,
    "payment_link": f"{BASE}/payment/{OTHER_PAYMENT_ID}",
    "redirect_url": "https://example.com/gracias",
    "provider_id": None,
    "metadata": {"noches": 2},
    "customer": None,
    "method": None,
    "splits": [],
    "company": None,
    "commission": None,
    "reference": "1060500333",
}

CUSTOMER: Json = {
    "id": CUSTOMER_ID,
    "first_name": "Ana María",
    "last_name": "Rojas",
    "email": "ana@ejemplo.com",
    "phone": "+573167591030",
    "document_type": "CC",
    "document_number": "1060500333",
    "created_at": "2025-10-20T15:36:15.400000Z",
    "is_test": True,
    "user_type": "natural",
    "enable_notifications": True,
    "nationality": None,
    "birthdate": None,
    "related_to": None,
    "updated_at": "2025-10-20T15:36:15.400000Z",
}

_METHOD: Json = {
    "id": _METHOD_ID,
    "brand": "VISA",
    "label": "VISA **** 4242",
    "last_four": "4242",
    "expiration_date": "2030-12",
    "customer_id": None,
    "created_at": _LATER,
    "country": "CO",
}

INVOICE_PAYMENT: Json = (
    INVOICE["payment"]
    | {"status": "approved", "paid_at": _PAID, "method": _METHOD}
    | {"invoice_id": INVOICE_ID, "reference": "1060500333", "email": "cliente@ejemplo.com"}
)

INTENT: Json = {
    "id": INTENT_ID,
    "description": "Internet plan - Octubre",
    "amount": 50000,
    "amount_label": "$ 50.000",
    "currency": "COP",
    "status": "paid",
    "payment_method_type": "CreditCard",
    "payment_method_id": None,
    "source": {"type": "Payment", "id": PAYMENT_ID},
    "created_at": _LATER,
    "paid_at": _PAID,
    "remarks": None,
    "is_test": True,
    "network_id": "sb_9f2c41d07ab3_1",
    "external_id": "987654",
}
FAILED_INTENT: Json = INTENT | {
    "id": "019a0241-9c70-7a15-b6f0-1c2d3e4f5a6b",
    "status": "failed",
    "created_at": "2025-10-20T16:38:55.000000Z",
    "paid_at": None,
    "remarks": {"code": "INSUFFICIENT_FUNDS", "description": "Fondos insuficientes."},
    "network_id": "sb_5b7e20c1f4d8_1",
}
INTENT_DETAIL: Json = INTENT | {"method": _METHOD, "customer": None}
INTENTS_OF_PAYMENT: list[Json] = [
    INTENT | {"payment_method_label": "VISA **** 4242"},
    FAILED_INTENT | {"payment_method_label": "VISA **** 0002"},
]

WEBHOOK_REQUEST: Json = {
    "name": "ERP",
    "url": "https://erp.example.com/hooks",
    "events": ["invoice.paid", "payment.rejected"],
}
WEBHOOK_WITH_SECRET: Json = {
    "id": WEBHOOK_ID,
    "name": "ERP",
    "description": None,
    "url": "https://erp.example.com/hooks",
    "events": ["invoice.paid", "payment.rejected"],
    "secret": SECRET,
    "header": TOKEN,
    "is_test": True,
    "created_at": _MORNING,
    "updated_at": _MORNING,
}
WEBHOOK: Json = {name: value for name, value in WEBHOOK_WITH_SECRET.items() if name != "secret"}
CHANGED_WEBHOOK: Json = WEBHOOK | {
    "events": ["invoice.paid", "invoice.partially_paid", "payment.rejected", "webhook.failing"],
    "updated_at": _CHANGED,
}
ROTATED_WEBHOOK: Json = WEBHOOK_WITH_SECRET | {
    "secret": "wh_tok_EJEMPLO1111111111111111111111111",
    "updated_at": _LATER,
}
WEBHOOK_WITH_DELIVERIES: Json = WEBHOOK | {
    "deliveries": [
        {
            "id": DELIVERY_ID,
            "event_id": EVENT_ID,
            "type": "invoice.paid",
            "status": "pending",
            "tries": 2,
            "http_status": 503,
            "next_try_at": "2025-10-20T16:41:39.204118Z",
            "created_at": _PAID,
        },
        {
            "id": "019a0241-9c71-7f02-93d1-7e5b4a3c2d10",
            "event_id": "evt_00031NF5dMZ9yqV3mTnX7sKw",
            "type": "payment.rejected",
            "status": "delivered",
            "tries": 1,
            "http_status": 204,
            "next_try_at": None,
            "created_at": "2025-10-20T16:38:55.000000Z",
        },
    ]
}


def page(row: Json) -> Json:
    """A list with one row."""
    return {"data": [row], "current_page": 1, "from": 1, "last_page": 1, "per_page": 20, "to": 1, "total": 1}
