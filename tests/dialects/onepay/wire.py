"""The wire as the specification writes it, once more and on its own: error rows, members in order, names of events."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.world import Answer, Client, World


def _names(text: str) -> list[str]:
    return text.split()


# Section 3.2.
ROWS = {
    "malformed_json": (400, 40001),
    "invalid_query": (400, 40002),
    "unauthenticated": (401, 40101),
    "account_inactive": (403, 40301),
    "forbidden": (403, 40302),
    "not_found": (404, 40401),
    "route_not_found": (404, 40402),
    "method_not_allowed": (405, 40501),
    "idempotency_key_reused": (409, 40901),
    "idempotency_in_progress": (409, 40902),
    "invoice_exists": (409, 40903),
    "invoice_already_paid": (409, 40904),
    "invoice_cancelled": (409, 40905),
    "amount_below_received": (409, 40906),
    "payment_already_paid": (409, 40907),
    "payment_cancelled": (409, 40908),
    "payment_expired": (409, 40909),
    "payment_without_contact": (409, 40910),
    "invoice_uncollectible": (409, 40911),
    "invoice_has_installments": (409, 40912),
    "customer_exists": (409, 40913),
    "body_too_large": (413, 41301),
    "unsupported_media_type": (415, 41501),
    "validation_error": (422, 42201),
    "too_many_requests": (429, 42901),
}

# Sections 6.1 to 6.5, 8.3, 11 and 12.
INVOICE = _names(
    "id name amount provider provider_id reference status remarks metadata due_date created_at updated_at payment_id "
    "is_test partial_payment_config payment"
)
INVOICE_ROW = _names("id name provider provider_id reference status remarks metadata")
PAYMENT = _names(
    "id source currency amount amount_label title description phone expiration_at due_date document_link external_id "
    "allows status is_test created_at paid_at payment_link redirect_url provider_id metadata customer method splits "
    "company commission"
)
PAYMENT_GROUP_A = ("partial_payment", "overpaid_amount", "refunded_amount")
PAYMENT_GROUP_B = ("invoice_id", "reference", "email", "partial_payment_config")
NESTED_CUSTOMER = _names("id first_name last_name email phone document_type document_number created_at is_test")
CUSTOMER = [*NESTED_CUSTOMER, *_names("user_type enable_notifications nationality birthdate related_to updated_at")]
METHOD = _names("id brand label last_four expiration_date customer_id created_at country")
INTENT = _names(
    "id description amount amount_label currency status payment_method_type payment_method_id source created_at "
    "paid_at remarks is_test network_id external_id"
)
PAGE = ["data", "current_page", "from", "last_page", "per_page", "to", "total"]

NOBODY = "019a0227-e3c0-7deb-98d0-580c35eb945d"
"""An id that no account of these tests has."""

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

_SPANISH = re.compile(r"\b(el|la|los|un|una|de|debe|ya|no|use|admite|espere|esta|este|máximo|existe)\b", re.IGNORECASE)

# What the core's events are called in this dialect (14.4), written out: the mapping itself is what is tested.
_TOLD = {
    "invoice.created": "invoice.created",
    "invoice.updated": "invoice.updated",
    "invoice.paid": "invoice.paid",
    "invoice.part_received": "invoice.partially_paid",
    "invoice.withdrawn": "invoice.deleted",
    "collection.opened": "payment.created",
    "collection.paid": "payment.approved",
    "collection.cancelled": "payment.deleted",
    "collection.expired": "payment.expired",
    "collection.part_received": "payment.partially_paid",
    "collection.part_expired": "payment.partial_expired",
    "collection.overpaid": "payment.overpaid",
    "attempt.failed": "payment.rejected",
}
# Events of attempts that only wait, and of due days, are not told, nor is what stands behind a stand-alone payment.
_UNTOLD = {
    "attempt.started",
    "attempt.processing",
    "attempt.unknown",
    "attempt.succeeded",
    "collection.overdue",
    "collection.changed",
    "collection.uncollectible",
}


def refusal(
    answer: Answer,
    code_name: str,
    *,
    fields: Sequence[str] | None = None,
    existing_id: str | None = None,
    contains: str | Sequence[str] = (),
) -> dict[str, Any]:
    """The body of an error, after checking all of section 3.1. `fields` are the keys of `errors`, in order."""
    status, code = ROWS[code_name]
    body = answer.json
    assert (answer.status, body and body.get("code_name")) == (status, code_name), (answer.status, answer.body)
    assert body["code"] == code
    assert type(body["code"]) is int
    members = ["message", "code", "code_name"]
    if code_name in {"validation_error", "invalid_query", "idempotency_key_reused"}:
        members += ["errors", "erros"]
    if code_name in {"invoice_exists", "customer_exists"}:
        members += ["existing_id"]
    assert list(body) == members
    assert _SPANISH.search(body["message"]), body["message"]
    assert body["message"].endswith(".")
    if "errors" in body:
        flat = [{"key": key, "description": text} for key, texts in body["errors"].items() for text in texts]
        assert body["erros"] == flat
        assert flat
    if code_name == "validation_error":
        assert body["message"] == " ".join(one["description"] for one in body["erros"])
    if fields is not None:
        assert list(body["errors"]) == list(fields)
    if existing_id is not None:
        assert body["existing_id"] == existing_id
    for words in [contains] if isinstance(contains, str) else contains:
        assert words in body["message"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["recaudo-request-id"]
    return body


def is_invoice(body: dict[str, Any]) -> None:
    """The members of an invoice and of the payment in it, in order (6.1, 6.2)."""
    extra = ["amount_received"] if body.get("amount_received", 0) > 0 else []
    assert list(body) == [*INVOICE, *extra]
    is_payment(body["payment"], inside_invoice=True)
    assert body["payment_id"] == body["payment"]["id"]
    assert UUID7.fullmatch(body["id"])
    assert INSTANT.fullmatch(body["created_at"])
    assert INSTANT.fullmatch(body["updated_at"])


def is_payment(body: dict[str, Any], *, inside_invoice: bool = False) -> None:
    """The members of a payment in order, those of groups A and B only where they belong and have a value (6.2)."""
    additions = [name for name in (*PAYMENT_GROUP_A, *PAYMENT_GROUP_B) if name in body]
    assert list(body) == [*PAYMENT, *additions]
    assert all(body[name] is not None for name in additions)
    if inside_invoice:
        assert not set(additions) & set(PAYMENT_GROUP_B)
    assert list(body["allows"]) == ["accounts", "cards", "card_extra", "realtime"]
    assert UUID7.fullmatch(body["id"])
    assert body["payment_link"].endswith(f"/payment/{body['id']}")
    assert (body["splits"], body["company"], body["commission"], body["provider_id"]) == ([], None, None, None)
    if body["customer"] is not None:
        assert list(body["customer"]) == NESTED_CUSTOMER
    if body["method"] is not None:
        assert list(body["method"]) == METHOD


def at(instant: str) -> datetime:
    """The instant that an answer wrote."""
    assert INSTANT.fullmatch(instant)
    return datetime.fromisoformat(instant)


async def told(world: World, client: Client, payment_or_invoice_id: str) -> list[str]:
    """The events of an invoice so far, by their names in this dialect, in the order in which they are delivered.

    Of what stands behind a stand-alone payment only the payment is told.
    """
    records = await world.rows(
        """
        SELECT e.type FROM event e JOIN invoice i ON i.account_id = e.account_id AND i.id = e.subject_id
        WHERE e.account_id = $1 AND i.id = coalesce(
            (SELECT invoice_id FROM collection WHERE account_id = $1 AND id = $2::uuid), $2::uuid
        ) ORDER BY e.version, e.ordinal
        """,
        client.account_id,
        payment_or_invoice_id,
    )
    types = [r["type"] for r in records if not r["type"].startswith("request.")]
    assert set(types) <= _TOLD.keys() | _UNTOLD
    return [_TOLD[kind] for kind in types if kind in _TOLD]


async def story(world: World, client: Client, invoice_id: str, since: int = 2) -> list[str]:
    """The events of an invoice after those of its creation."""
    return (await told(world, client, invoice_id))[since:]
