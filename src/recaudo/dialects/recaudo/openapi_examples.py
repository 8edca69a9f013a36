"""Examples of our own document, of one paid invoice where they can be."""

from typing import Any

Json = dict[str, Any]

INVOICE_ID = "019a0227-e3c0-7deb-98d0-580c35eb945d"
PAYMENT_ID = "019a0227-e3c0-72ea-b567-a6eac83b8e05"
INTENT_ID = "019a027e-1b08-7b90-8e4d-6a1f2c3d4e5f"
ENDPOINT_ID = "019a0227-e3c0-7000-8000-000000000002"
DELIVERY_ID = "019a027e-21e0-7b3c-8a55-2f6c1d9e0a41"
REPLAY_ID = "019a0291-6f40-7e7d-a0c4-93b1d2e5f608"
PAID_EVENT_ID = "evt_00031NFOhRbOR4L3cWVwfPNU"
FAILED_EVENT_ID = "evt_00031NF5dMZ9yqV3mTnX7sKw"
CURSOR = "AfZpG-Sbl99NAAAAAAAAE-gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

_MORNING = "2025-10-20T15:06:00.000000Z"
_PAID = "2025-10-20T16:40:12.345678Z"

INVOICE: Json = {
    "id": INVOICE_ID,
    "version": 4,
    "kind": "invoice",
    "dialect": "onepay",
    "state": "paid",
    "currency": "COP",
    "amount_minor": 5000000,
    "received_minor": 5000000,
    "name": "Internet plan - Octubre",
    "description": None,
    "reference": "1060500333",
    "origin": "biller",
    "origin_id": "987654",
    "customer_id": "5f0f2a1e-84a6-5b35-9c19-1a3b5d7f9024",
    "phone": "+573167591030",
    "email": "cliente@ejemplo.com",
    "due_on": "2025-10-20",
    "document_url": "https://example.com/document.pdf",
    "redirect_url": None,
    "metadata": {"key": "value"},
    "partial": None,
    "allows": {"accounts": True, "cards": True, "card_extra": False, "realtime": False},
    "closed_reason": None,
    "collection_id": PAYMENT_ID,
    "generation": 1,
    "created_at": _MORNING,
    "updated_at": _PAID,
    "paid_at": _PAID,
    "bill": None,
    "rule_id": None,
    "document_id": None,
    "closed_at": None,
}
COLLECTION: Json = {
    "id": PAYMENT_ID,
    "invoice_id": INVOICE_ID,
    "generation": 1,
    "ordinal": 1,
    "state": "paid",
    "currency": "COP",
    "amount_minor": 5000000,
    "received_minor": 5000000,
    "overpaid_minor": 0,
    "refunded_minor": 0,
    "parts": 1,
    "open_attempts": 0,
    "due_on": "2025-10-20",
    "expires_at": None,
    "method": {"brand": "VISA", "label": "VISA **** 1111", "last_four": "1111"},
    "created_at": _MORNING,
    "updated_at": _PAID,
    "paid_at": _PAID,
    "terms": None,
    "closed_at": None,
    "overdue_at": "2025-10-21T05:00:00.000000Z",
}
ATTEMPT: Json = {
    "id": INTENT_ID,
    "invoice_id": INVOICE_ID,
    "collection_id": PAYMENT_ID,
    "state": "failed",
    "amount_minor": 5000000,
    "currency": "COP",
    "gateway": "sandbox",
    "reference": "rc00031NF5dLp0aVbCdEfGhIjKx",
    "method_type": "card",
    "method": None,
    "gateway_tx_id": "sb_5b7e20c1f4d8_1",
    "failure_code": "INSUFFICIENT_FUNDS",
    "failure_text": "Fondos insuficientes.",
    "ask_at": None,
    "asked": 0,
    "created_at": "2025-10-20T16:38:54.120000Z",
    "updated_at": "2025-10-20T16:38:55.000000Z",
    "paid_at": None,
}
PAID_EVENT: Json = {
    "id": PAID_EVENT_ID,
    "type": "invoice.paid",
    "at": _PAID,
    "is_test": True,
    "subject": {"type": "invoice", "id": INVOICE_ID, "version": 4},
    "data": {"invoice": INVOICE, "collection": COLLECTION, "attempt": None},
}
FAILED_EVENT: Json = {
    "id": FAILED_EVENT_ID,
    "type": "attempt.failed",
    "at": "2025-10-20T16:38:55.000000Z",
    "is_test": True,
    "subject": {"type": "invoice", "id": INVOICE_ID, "version": 3},
    "data": {
        "invoice": INVOICE
        | {
            "version": 3,
            "state": "open",
            "received_minor": 0,
            "updated_at": "2025-10-20T16:38:55.000000Z",
            "paid_at": None,
        },
        "collection": COLLECTION
        | {
            "state": "pending",
            "received_minor": 0,
            "parts": 0,
            "method": None,
            "updated_at": "2025-10-20T16:38:55.000000Z",
            "paid_at": None,
        },
        "attempt": ATTEMPT,
    },
}
FAILING_EVENT: Json = {
    "id": "evt_00031NFOk8Rb1xY2zT5vQwLm",
    "type": "endpoint.failing",
    "at": "2025-10-20T16:41:03.512000Z",
    "is_test": True,
    "subject": {"type": "endpoint", "id": "019a0227-e3c0-7000-8000-000000000001", "version": 1},
    "data": {
        "endpoint": {
            "id": "019a0227-e3c0-7000-8000-000000000001",
            "name": "ERP",
            "url": "https://erp.example.com/hooks",
            "failing_since": "2025-10-20T15:41:03.512000Z",
            "last_error": "HTTP 503",
        }
    },
}
EVENT_PAGE: Json = {"data": [FAILED_EVENT, PAID_EVENT], "has_more": False, "next_cursor": CURSOR}

REPLAY_REQUEST: Json = {"from": "2025-10-20T00:00:00-05:00", "types": ["invoice.paid"], "endpoint_id": ENDPOINT_ID}
REPLAY: Json = {
    "id": REPLAY_ID,
    "state": "running",
    "queued": 0,
    "event_ids": None,
    "types": ["invoice.paid"],
    "from": "2025-10-20T05:00:00.000000Z",
    "to": "2025-10-20T17:00:00.000000Z",
    "endpoint_id": ENDPOINT_ID,
    "only_failed": False,
    "created_at": "2025-10-20T17:00:00.000000Z",
    "finished_at": None,
}
DONE_REPLAY: Json = REPLAY | {"state": "done", "queued": 1204, "finished_at": "2025-10-20T17:00:00.000000Z"}

ENDPOINT_REQUEST: Json = {
    "dialect": "recaudo",
    "name": "Ledger",
    "url": "https://ledger.example.com/events",
    "types": ["invoice.paid", "attempt.failed", "endpoint.failing"],
}
ENDPOINT_WITH_SECRET: Json = {
    "id": ENDPOINT_ID,
    "dialect": "recaudo",
    "name": "Ledger",
    "description": None,
    "url": "https://ledger.example.com/events",
    "types": ["invoice.paid", "attempt.failed", "endpoint.failing"],
    "secret": "whsec_RUpFTVBMT0VKRU1QTE9FSkVNUExPRUpFTVBMT0VKRU0=",
    "is_test": True,
    "failing_since": None,
    "created_at": _MORNING,
    "updated_at": _MORNING,
}
ENDPOINT: Json = {name: value for name, value in ENDPOINT_WITH_SECRET.items() if name != "secret"}
ONEPAY_ENDPOINT: Json = {
    "id": "019a0227-e3c0-7000-8000-000000000001",
    "dialect": "onepay",
    "name": "ERP",
    "description": None,
    "url": "https://erp.example.com/hooks",
    "types": ["invoice.paid", "payment.rejected"],
    "token": "wh_hdr_EJEMPLO0000000000000000000000000",
    "is_test": True,
    "failing_since": "2025-10-20T15:41:03.512000Z",
    "created_at": _MORNING,
    "updated_at": _MORNING,
}
CHANGED_ENDPOINT: Json = ENDPOINT | {"types": ["invoice.paid"], "updated_at": _PAID}
ROTATED_ENDPOINT: Json = ENDPOINT_WITH_SECRET | {
    "secret": "whsec_TlVFVk9OVUVWT05VRVZPTlVFVk9OVUVWT05VRVZPTlU=",
    "updated_at": _PAID,
}

DELIVERY: Json = {
    "id": DELIVERY_ID,
    "endpoint_id": ENDPOINT_ID,
    "event_id": PAID_EVENT_ID,
    "type": "invoice.paid",
    "told_as": "invoice.paid",
    "subject": {"id": INVOICE_ID, "version": 4},
    "state": "waiting",
    "tries": 2,
    "http_status": 503,
    "last_error": "HTTP 503",
    "next_try_at": "2025-10-20T16:40:49.204118Z",
    "created_at": _PAID,
}
DELIVERY_DETAIL: Json = DELIVERY | {
    "history": [
        {
            "at": "2025-10-20T16:40:12.401377Z",
            "status": None,
            "error": "no answer within 10 s",
            "latency_ms": 10001,
            "answer": "",
        },
        {
            "at": "2025-10-20T16:40:17.811020Z",
            "status": 503,
            "error": "HTTP 503",
            "latency_ms": 41,
            "answer": '{"error":"deploying"}',
        },
    ]
}
DEAD_DELIVERY: Json = DELIVERY | {"state": "failed", "tries": 14, "next_try_at": None}
