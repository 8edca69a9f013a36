"""What the OpenAPI document says of invoices and collections, held against the wire, the parsers and the server."""

from collections.abc import Sequence
from typing import Any

import pytest

from recaudo.dialects.treli import acting, collections, credit_notes, invoices, queries, sums
from recaudo.dialects.treli.known import Known
from tests.dialects.onepay.openapi import in_order, operations, validator
from tests.dialects.treli.openapi import DOCUMENT
from tests.dialects.treli.stage import COLLECTION, CREDIT_NOTE, INVOICE, ITEM, Stage
from tests.dialects.treli.wire import NOBODY, good, published

SCHEMAS = DOCUMENT["components"]["schemas"]
NOTHING = Known(customers={}, rules={}, prices={}, retentions={})


@pytest.mark.parametrize(
    ("schema", "members"),
    [("Invoice", INVOICE), ("Collection", COLLECTION), ("Item", ITEM), ("CreditNote", CREDIT_NOTE)],
)
def test_the_objects_have_the_members_of_the_specification_in_order(schema: str, members: list[str]) -> None:
    assert list(SCHEMAS[schema]["properties"]) == members


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ("InvoiceCreate", invoices._fields(NOTHING)),
        ("CollectionCreate", collections._fields(NOTHING)),
        ("PaymentReceived", acting.MONEY),
        ("Reason", acting.REASON),
        ("PartialPayment", collections._PART),
        ("CollectionTotal", collections._TOTAL),
        ("CollectionDiscounts", collections._DISCOUNTS),
        ("CollectionSend", collections._SEND),
        ("InvoicePayments", sums.fields({}, None)),
        ("CreditNoteCreate", credit_notes.fields(None)),
    ],
)
def test_the_bodies_have_the_fields_that_are_read(schema: str, fields: Sequence[Any]) -> None:
    assert list(SCHEMAS[schema]["properties"]) == [field.name for field in fields]
    assert SCHEMAS[schema].get("required", []) == [field.name for field in fields if field.required]


@pytest.mark.parametrize(
    ("path", "filters"),
    [("/invoices", invoices.FILTERS), ("/collections", collections.FILTERS), ("/credit_notes", credit_notes.FILTERS)],
)
def test_lists_take_the_parameters_that_are_read(path: str, filters: queries.Filters) -> None:
    shown = [parameter["name"] for parameter in DOCUMENT["paths"][path]["get"]["parameters"]]
    assert shown == [*queries.PAGING, *filters]


def test_the_published_answers_are_the_examples() -> None:
    create = DOCUMENT["paths"]["/invoices"]["post"]
    expected = published("create-invoice.filled-expected-response")
    shown = create["responses"]["200"]["content"]["application/json"]["examples"]["ejemplo"]["value"]
    assert shown == expected
    assert list(shown) == list(expected)
    part = DOCUMENT["paths"]["/collections/{collection_id}/partial_payment"]["post"]
    assert part["requestBody"]["content"]["application/json"]["examples"]["saldo"]["value"] == published(
        "partial-payment.filled-request"
    )
    shown = part["responses"]["200"]["content"]["application/json"]["examples"]["ejemplo"]["value"]
    assert shown == published("partial-payment.filled-expected-response")


async def test_the_examples_of_every_body_work_and_are_answered_as_described(stage: Stage) -> None:
    done = 0
    for method, path, operation in operations(DOCUMENT):
        if not path.startswith(("/invoices", "/collections", "/customers/{customer_id}/", "/credit_notes")):
            continue
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        shown = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
        for value in [example["value"] for example in shown.values()] or [None]:
            names = await target(stage, path)
            body = None if value is None else await ours(stage, value, names)
            answer = await stage.client.call(method.upper(), f"/v1{path.format(**names)}", body)
            validator(schema, DOCUMENT).validate(good(answer))
            if "data" not in answer.json:
                in_order(answer.json, schema, DOCUMENT, operation["operationId"])
            done += 1
    assert done == 29


async def target(stage: Stage, path: str) -> dict[str, str]:
    """Fresh objects for the placeholders of a path."""
    made = await stage.alone() if path.endswith("/items") else await stage.invoice()
    known_as = made["id"] if path.endswith("/items") else made["collections"][0]
    discount = NOBODY
    if path.endswith("{discount_id}"):
        body = {"discounts": [{"amount": "1"}]}
        discount = (await stage.act("collections", known_as, "discounts", body))["discounts"][0]["id"]
    note = await stage.credit(made["id"], "1") if path.startswith("/credit_notes/") else {"id": NOBODY}
    return {
        "credit_note_id": note["id"],
        "invoice_id": made["id"],
        "collection_id": known_as,
        "discount_id": discount,
        "customer_id": made["customer"],
    }


async def ours(stage: Stage, body: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """An example with ids of this account."""
    body = dict(body)
    if "customer" in body:
        body["customer"] = names["customer_id"]
    if "invoice" in body:
        body["invoice"] = names["invoice_id"]
    if "invoices" in body:
        body["invoices"] = [names["invoice_id"]]
    if "collection_rule_id" in body:
        body["collection_rule_id"] = await stage.rule()
    if "invoice_retentions" in body:
        body["invoice_retentions"] = {
            "reteica": await stage.retention("reteica", "0.966"),
            "retefte": await stage.retention("retefte", "2.5"),
        }
    if "items" in body and "price" in body["items"][0]:
        body["items"] = [{**body["items"][0], "price": await stage.price()}]
    return body
