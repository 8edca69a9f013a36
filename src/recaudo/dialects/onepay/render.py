"""Core objects as OnePay's JSON, members in the order of the specification (section 6)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain import money
from recaudo.domain.model import Attempt, Collection, Customer, Invoice, InvoiceKind, Receipt
from recaudo.domain.partial import PartialRule
from recaudo.domain.references import base62
from recaudo.domain.states import AttemptState, CollectionState, InvoiceState
from recaudo.store.lists import Page
from recaudo.store.views import AttemptView, CollectionView

encode = msgspec.json.Encoder().encode

_INVOICE_STATUS = {
    InvoiceState.VOID: "CANCELLED",
    InvoiceState.UNCOLLECTIBLE: "UNCOLLECTIBLE",
    InvoiceState.PAID: "PAID",
}

_INTENT_STATUS = {
    AttemptState.CREATED: "created",
    AttemptState.PROCESSING: "processing",
    AttemptState.UNKNOWN: "processing",
    AttemptState.SUCCEEDED: "paid",
    AttemptState.FAILED: "failed",
    AttemptState.REFUNDED: "refunded",
    AttemptState.DISPUTED: "disputed",
}

_METHOD_TYPE = {
    "card": "CreditCard",
    "pse": "Account",
    "breb": "Account",
    "transfer": "Account",
    "nequi": "Wallet",
    "daviplata": "Wallet",
    "cash": "Cash",
}

_METHOD_LABEL = {
    "card": "Tarjeta",
    "pse": "PSE",
    "breb": "Bre-B",
    "transfer": "Transferencia",
    "nequi": "Nequi",
    "daviplata": "Daviplata",
    "cash": "Efectivo",
}
"""What people call a method of which nothing more is known yet."""

DECLINE_CODES = frozenset(
    """
    INTERNAL_ERROR CARD_CVV INSUFFICIENT_FUNDS CARD_NUMBER FRAUDULENT STOLEN CURRENCY_NOT_SUPPORTED CARD_VELOCITY
    CARD_DATE TRANSACTION_NOT_FOUND MIN_AMOUNT ACCOUNT_NOT_CONNECTED ACCOUNT_BLOCKED ACCOUNT_CLOSED
    ACCOUNT_DOES_NOT_BELONG_TO_CUSTOMER TRANSACTION_EXPIRED CARD_GENERIC_ERROR TRANSACTION_REJECTED UNKNOWN
    BANK_IS_NOT_AVAILABLE CARD_RESTRICTED CARD_EXPIRED ACCOUNT_IS_NOT_AUTHORIZED TRANSACTION_TEMPORALLY_BLOCKED
    ACCOUNT_FAILED CUSTOMER_DATA_INVALID MAX_AMOUNT DONT_HONOR COMPANY_TRANSACTION_LIMIT_COUNT
    COMPANY_TRANSACTION_LIMIT_AMOUNT CUSTOMER_WALLET_NOT_FOUND RISK_CONTROL ACCOUNT_MAX_AMOUNT
    ACCOUNT_SERVICE_NOT_AVAILABLE CANCELLED_BY_MERCHANT
    """.split()  # noqa: SIM905 - printed as the specification prints them
)
"""Every reason that clients know (11.4). No other code is invented."""

_REMARKS = {
    "DELETE_FROM_PROVIDER": "La factura fue retirada por el emisor.",
    "PAID_FROM_PROVIDER": "La factura fue pagada por fuera, según el emisor.",
}

_ALLOWS = ("accounts", "cards", "card_extra", "realtime")


def invoice(view: CollectionView, base_url: str, *, is_test: bool) -> dict[str, Any]:
    """An invoice with its current payment (6.1). `base_url` has no trailing slash."""
    it = view.invoice
    answer: dict[str, Any] = {
        "id": str(it.id),
        "name": it.name,
        "amount": _units(it.amount_minor, it.currency),
        "provider": it.origin,
        "provider_id": it.origin_id,
        "reference": _reference(it),
        "status": invoice_status(it),
        "remarks": _invoice_remarks(it),
        "metadata": it.metadata,
        "due_date": day(it.due_on),
        "created_at": instant(it.created_at),
        "updated_at": instant(it.updated_at),
        "payment_id": str(it.collection_id),
        "is_test": is_test,
        "partial_payment_config": None if it.partial is None else _partial_config(it.partial, it.currency),
        "payment": payment(view, base_url, is_test=is_test, alone=False),
    }
    if it.received_minor > 0:
        answer["amount_received"] = _units(it.received_minor, it.currency)
    return answer


def invoice_row(it: Invoice) -> dict[str, Any]:
    """An invoice in a list (8.3)."""
    return {
        "id": str(it.id),
        "name": it.name,
        "provider": it.origin,
        "provider_id": it.origin_id,
        "reference": _reference(it),
        "status": invoice_status(it),
        "remarks": _invoice_remarks(it),
        "metadata": it.metadata,
    }


def payment(
    view: CollectionView, base_url: str, *, is_test: bool, alone: bool = True, failed: Attempt | None = None
) -> dict[str, Any]:
    """A payment (6.2); `alone` adds the members that an invoice's payment does not print.

    `failed` is the attempt that payment.rejected tells of.
    """
    it, of = view.collection, view.invoice
    is_request = of.kind is InvoiceKind.REQUEST
    answer: dict[str, Any] = {
        "id": str(it.id),
        "source": of.name,
        "currency": it.currency,
        "amount": None if it.amount_minor is None else _units(it.amount_minor, it.currency),
        "amount_label": None if it.amount_minor is None else money.label(it.amount_minor, it.currency),
        "title": of.name,
        "description": of.description or of.name,
        "phone": of.phone,
        "expiration_at": optional_instant(it.expires_at),
        "due_date": day(it.due_on),
        "document_link": of.document_url,
        "external_id": of.origin_id,
        "allows": {name: of.allows.get(name, False) for name in _ALLOWS},
        "status": payment_status(it),
        "is_test": is_test,
        "created_at": instant(it.created_at),
        "paid_at": optional_instant(it.paid_at),
        "payment_link": f"{base_url}/payment/{it.id}",
        "redirect_url": of.redirect_url if is_request else None,
        "provider_id": None,
        "metadata": _request_metadata(of) if is_request else None,
        "customer": None if view.customer is None else nested_customer(view.customer, is_test=is_test),
        "method": None if it.method is None else method(it.method, of),
        "splits": [],
        "company": None,
        "commission": None,
    }
    _add_progress(answer, view)
    if failed is not None:
        answer["remarks"] = _intent_remarks(failed)
    if alone:
        _add_context(answer, of)
    return answer


def intent(view: AttemptView, *, is_test: bool) -> dict[str, Any]:
    """A payment intent (11.1)."""
    it = view.attempt
    return {
        "id": str(it.id),
        "description": view.invoice.name,
        "amount": _units(it.amount_minor, it.currency),
        "amount_label": money.label(it.amount_minor, it.currency),
        "currency": it.currency,
        "status": _INTENT_STATUS[it.state],
        "payment_method_type": _METHOD_TYPE.get(it.method_type or ""),
        "payment_method_id": None,
        "source": {"type": "Payment", "id": str(it.collection_id)},
        "created_at": instant(it.created_at),
        "paid_at": optional_instant(it.paid_at),
        "remarks": _intent_remarks(it),
        "is_test": is_test,
        "network_id": it.gateway_tx_id,
        "external_id": view.invoice.origin_id,
    }


def intent_detail(view: AttemptView, *, is_test: bool) -> dict[str, Any]:
    """One payment intent (11.2)."""
    answer = intent(view, is_test=is_test)
    answer["method"] = None if view.attempt.method is None else method(view.attempt.method, view.invoice)
    answer["customer"] = None if view.customer is None else nested_customer(view.customer, is_test=is_test)
    return answer


def intent_of_payment(view: AttemptView, *, is_test: bool) -> dict[str, Any]:
    """A payment intent in the list of one payment (11.3)."""
    answer = intent(view, is_test=is_test)
    answer["payment_method_label"] = _method_label(view.attempt)
    return answer


def nested_customer(it: Customer, *, is_test: bool) -> dict[str, Any]:
    """A customer inside a payment (6.4)."""
    return {
        "id": str(it.id),
        "first_name": it.first_name,
        "last_name": it.last_name,
        "email": it.email,
        "phone": it.phone,
        "document_type": it.document_type,
        "document_number": it.document_number,
        "created_at": instant(it.created_at),
        "is_test": is_test,
    }


def customer(it: Customer, *, is_test: bool) -> dict[str, Any]:
    """A customer of /v1/customers (6.4 and its additions)."""
    return nested_customer(it, is_test=is_test) | {
        "user_type": it.user_type,
        "enable_notifications": it.enable_notifications,
        "nationality": it.nationality,
        "birthdate": day(it.birthdate),
        "related_to": None if it.related_to is None else str(it.related_to),
        "updated_at": instant(it.updated_at),
    }


def method(it: Mapping[str, Any], of: Invoice) -> dict[str, Any]:
    """How something was paid (6.5)."""
    return {
        "id": it["id"],
        "brand": it["brand"],
        "label": it["label"],
        "last_four": it.get("last_four"),
        "expiration_date": it.get("expiration_date"),
        "customer_id": None if of.customer_id is None or not it.get("stored") else str(of.customer_id),
        "created_at": it["created_at"],
        "country": it.get("country"),
    }


@lru_cache(maxsize=4096)
def event_name(event_id: UUID) -> str:
    """An event's id on the wire: `evt_` and 24 letters or digits (14.2)."""
    return f"evt_{base62(event_id.int)}"


def page(rows: Sequence[dict[str, Any]], found: Page[Any], *, number: int, per_page: int) -> dict[str, Any]:
    """The envelope of a list (section 4)."""
    first = (number - 1) * per_page + 1
    return {
        "data": rows,
        "current_page": number,
        "from": first if rows else None,
        "last_page": max(1, -(-found.total // per_page)),
        "per_page": per_page,
        "to": first + len(rows) - 1 if rows else None,
        "total": found.total,
    }


def invoice_status(it: Invoice) -> str:
    """The word of 7.1; settlement is derived from what was received."""
    if it.state is InvoiceState.OPEN:
        return "PARTIALLY_PAID" if it.received_minor > 0 else "CREATED"
    return _INVOICE_STATUS[it.state]


def payment_status(it: Collection) -> str:
    """The word of 7.2: the first row that fits."""
    match it.state:
        case CollectionState.PAID:
            return "refunded" if it.received_minor == 0 else "approved"
        case CollectionState.EXPIRED:
            return "partial_expired" if it.received_minor > 0 else "expired"
        case CollectionState.PENDING if it.open_attempts > 0:
            return "in_progress"
        case CollectionState.PENDING:
            return "partially_paid" if it.received_minor > 0 else "pending"
        case _:
            return "cancelled"


def instant(at: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`. Instants of the core are UTC."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def optional_instant(at: datetime | None) -> str | None:
    """An instant, or null."""
    return None if at is None else instant(at)


def day(on: date | None) -> str | None:
    """`YYYY-MM-DD`, or null."""
    return None if on is None else on.isoformat()


def _units(amount_minor: int | None, currency: str) -> int | msgspec.Raw:
    """Pesos as a JSON number: an integer, or exact decimals when there are cents."""
    assert amount_minor is not None, "open amounts are printed as null"
    units = money.to_units(amount_minor, currency)
    return units if isinstance(units, int) else msgspec.Raw(str(units.normalize()).encode())


def _partial_config(rule: PartialRule, currency: str) -> dict[str, Any]:
    return {
        "min_amount": _units(rule.min_minor, currency),
        "max_amount": None if rule.max_minor is None else _units(rule.max_minor, currency),
        "max_payment_methods": rule.parts_max,
        "timeout_hours": rule.window_hours,
    }


def _invoice_remarks(it: Invoice) -> dict[str, str] | None:
    if it.closed_reason is None:
        return None
    return {"code": it.closed_reason, "description": _REMARKS.get(it.closed_reason, it.closed_reason)}


def _intent_remarks(it: Attempt) -> dict[str, str] | None:
    if it.failure_code is None:
        return None
    code = it.failure_code if it.failure_code in DECLINE_CODES else "UNKNOWN"
    return {"code": code, "description": it.failure_text or it.failure_code}


def _method_label(it: Attempt) -> str | None:
    """Text for people, as soon as the method is chosen (11.3)."""
    return it.method["label"] if it.method is not None else _METHOD_LABEL.get(it.method_type or "")


def _reference(it: Invoice) -> str:
    """What the invoice is known by to the payer; one made elsewhere may have nothing but its id (19)."""
    return it.reference if it.reference is not None else str(it.id)


def _request_metadata(of: Invoice) -> dict[str, Any] | None:
    return None if of.wire.get("onepay", {}).get("metadata") is False else of.metadata


def _add_progress(answer: dict[str, Any], view: CollectionView) -> None:
    """Group A of 6.2: what was received so far, in excess, and given back."""
    it, of = view.collection, view.invoice
    in_parts = of.partial is not None or it.amount_minor is None or it.received_minor < it.amount_minor
    if it.parts > 0 and in_parts and it.received_minor > 0:
        answer["partial_payment"] = {
            "total_paid": _units(it.received_minor, it.currency),
            "remaining": _units(it.due_minor, it.currency),
            "parts": it.parts,
            "charges": [_charge(r) for r in view.receipts if r.collection_id == it.id and r.amount_minor > 0],
        }
    if it.overpaid_minor > 0:
        answer["overpaid_amount"] = _units(it.overpaid_minor, it.currency)
    if it.refunded_minor > 0:
        answer["refunded_amount"] = _units(it.refunded_minor, it.currency)


def _charge(receipt: Receipt) -> dict[str, Any]:
    return {
        "id": str(receipt.attempt_id or receipt.id),
        "amount": _units(receipt.amount_minor, receipt.currency),
        "paid_at": instant(receipt.at),
    }


def _add_context(answer: dict[str, Any], of: Invoice) -> None:
    """Group B of 6.2: what the payment belongs to."""
    is_request = of.kind is InvoiceKind.REQUEST
    if not is_request:
        answer["invoice_id"] = str(of.id)
    if of.reference is not None or not is_request:
        answer["reference"] = _reference(of)
    if of.email is not None:
        answer["email"] = of.email
    if is_request and of.partial is not None:
        answer["partial_payment_config"] = {
            "min_amount_in_cents": of.partial.min_minor,
            "max_amount_in_cents": of.partial.max_minor,
            "max_payment_methods": of.partial.parts_max,
            "timeout_hours": of.partial.window_hours,
        }
