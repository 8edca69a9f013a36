"""What invoices of these tests refer to, made over HTTP as a merchant would; and the wire of both nouns."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.dialects.treli.wire import basic, good
from tests.world import Answer, Client

# Section 6.1; `installments` is there only when it was sent.
INVOICE = (  # noqa: SIM905
    "id items invoice_number invoice_pdf invoicing invoice_provider_id subtotal total total_paid currency created_date "
    "paid_date voided_at_date due_date collection_rule_id status invoice_provider_status is_test is_paid meta_data "
    "invoice_provider invoice_settings invoice_retentions customer billing_address installments collection_method "
    "days_until_due collections taxes retentions_total amount_to_collect checkout_url"
).split()
# Section 6.5.
COLLECTION = (  # noqa: SIM905
    "id items discounts description subtotal total status currency created_date paid_date voided_at_date due_date "
    "collection_method collection_rule_id type is_test tag source customer subscription_id invoice invoice_number "
    "payment_method_type checkout_url total_paid balance is_paid meta_data balance_collection"
).split()
# Section 13.
CREDIT_NOTE = (  # noqa: SIM905
    "id credit_note_number invoice customer amount currency reason status applied_to_balance credited_to_customer "
    "created_date voided_at_date is_test meta_data"
).split()
ITEM = "id name unit_price quantity subtotal total product price".split()  # noqa: SIM905
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# Section 3: what invoices and collections are refused for.
ROWS = {
    "validation_error": 400,
    "amount_exceeds_balance": 400,
    "amount_equals_balance": 400,
    "invoice_provider_not_configured": 400,
    "no_payment_method": 400,
    "not_found": 404,
    "invoice_number_exists": 409,
    "invoice_already_paid": 409,
    "invoice_voided": 409,
    "collection_already_paid": 409,
    "collection_voided": 409,
    "collection_uncollectible": 409,
    "collection_type_not_supported": 409,
    "collection_not_editable": 409,
    "amount_below_received": 409,
    "no_contact": 409,
    "credit_note_exceeds_invoice": 409,
    "credit_note_number_exists": 409,
    "credit_note_voided": 409,
    "credit_already_used": 409,
    "body_too_large": 413,
}

ADDRESS = {
    "id_type": "CC",
    "identification": "1060500333",
    "address_1": "Carrera 53 # 75-10",
    "city": "Barranquilla",
    "state": "ATL",
    "country": "CO",
    "phone": "3167591030",
}


def refused(answer: Answer, code: str, *fields: str) -> dict[str, Any]:
    """The body of an error; `fields` are those at fault, in order."""
    body = answer.json
    assert (answer.status, body and body.get("code")) == (ROWS[code], code), (answer.status, answer.body)
    members = ["code", "message", "errors"]
    assert list(body) == ([*members, "existing_id"] if code == "invoice_number_exists" else members)
    assert body["message"].endswith(".")
    assert [error["field"] for error in body["errors"]] == list(fields), body["errors"]
    if code == "validation_error":
        count = len(set(fields))
        assert body["message"] == f"La solicitud tiene {'1 campo' if count == 1 else f'{count} campos'} con errores."
    return body


class Stage:
    """A merchant's registers, filled as a test needs them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._number = 0

    def number(self) -> str:
        self._number += 1
        return f"FV-{self._number}"

    async def customer(self, **fields: Any) -> str:
        self._number += 1
        address = {**ADDRESS, "identification": str(1_060_500_000 + self._number)}
        body = {"full_name": "Ana Ruiz", "email": "ana@example.com", "billing_address": address, **fields}
        return good(await self.client.post("/v1/customers", body))["id"]

    async def product(self, percentage: str | None = "19", **fields: Any) -> str:
        settings = {} if percentage is None else {"invoice_tax_id": "12345", "invoice_tax_percentage": percentage}
        body = {"name": "Nombre del producto", "invoice_settings": settings, **fields}
        return good(await self.client.post("/v1/products", body))["id"]

    async def price(self, product: str | None = None, **fields: Any) -> str:
        body = {"product_id": product or await self.product(), "unit_price": "20000.00", **fields}
        if "pricing_tiers" in fields:
            del body["unit_price"]
        return good(await self.client.post("/v1/prices", body))["id"]

    async def retention(self, kind: str, percentage: str, **fields: Any) -> str:
        body = {"kind": kind, "name": kind, "percentage": percentage, **fields}
        return good(await self.client.post("/recaudo/v1/retentions", body))["id"]

    async def rule(self, **fields: Any) -> str:
        moments = [{"moment": "on", "days": 0, "channel": "email"}]
        body = {"name": "Regla", "moments": moments, **fields}
        return good(await self.client.post("/recaudo/v1/collection_rules", body))["id"]

    async def body(self, **fields: Any) -> dict[str, Any]:
        """The body of an invoice of 100000.00 without tax."""
        made = {
            "items": [{"name": "Matrícula", "unit_price": "100000.00"}],
            "invoice_number": self.number(),
            "customer": fields.get("customer") or await self.customer(),
            **fields,
        }
        return {name: value for name, value in made.items() if value is not ...}

    async def invoice(self, **fields: Any) -> dict[str, Any]:
        return good(await self.client.post("/v1/invoices", await self.body(**fields)))

    async def instalments(self, *amounts: str, days: Sequence[int] = (), **fields: Any) -> dict[str, Any]:
        """An invoice in instalments, due month after month."""
        due = days or [30 * i for i in range(len(amounts))]
        settings = [{"amount": a, "days_until_due": d} for a, d in zip(amounts, due, strict=True)]
        plan = {"number_of_installments": len(amounts), "installments_settings": settings}
        return await self.invoice(installments=plan, **fields)

    async def alone(self, **fields: Any) -> dict[str, Any]:
        """A collection without an invoice."""
        body = {
            "customer": fields.get("customer") or await self.customer(),
            "items": [{"name": "Donación", "unit_price": "50000.00"}],
            **fields,
        }
        return good(await self.client.post("/v1/collections", body))

    async def credit(self, invoice: str, amount: str | None = None, **fields: Any) -> dict[str, Any]:
        """A credit note, over all that is left unless an amount is said."""
        body = {"invoice": invoice, "amount": amount, "reason": "Devolución", **fields}
        return good(await self.client.post("/v1/credit_notes", body))

    async def get(self, noun: str, known_as: str) -> dict[str, Any]:
        return good(await self.client.get(f"/v1/{noun}/{known_as}"))

    async def act(self, noun: str, known_as: str, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return good(await self.client.post(f"/v1/{noun}/{known_as}/{action}", body))


def without_key() -> dict[str, str]:
    """The credentials of the vendor's samples: an empty pair."""
    return {"Authorization": basic("", "")}
