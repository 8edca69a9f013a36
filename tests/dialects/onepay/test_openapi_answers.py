"""What the server answers, held against the OpenAPI documents: status, headers, schema, members and their order."""

from typing import Any

import pytest

from tests.dialects.onepay.openapi import BASE_URL, DOCUMENTS, ROUTERS, in_order, operations, resolved, validator
from tests.dialects.onepay.parsing import example
from tests.world import Client, World


class Witness:
    """A client that holds every answer against the document."""

    def __init__(self, client: Client, document: dict[str, Any]) -> None:
        self._client = client
        self._document = document
        self.seen: set[str] = set()

    async def call(self, operation_id: str, path: str, body: Any = None, **options: Any) -> Any:
        method, operation = next((m, o) for m, _, o in operations(self._document) if o["operationId"] == operation_id)
        mount = self._document["servers"][0]["url"].removeprefix(BASE_URL)
        answer = await self._client.call(method.upper(), mount + path, body, **options)
        response = resolved(operation["responses"][str(answer.status)], self._document)
        self.seen.add(operation_id)
        for name, header in response["headers"].items():
            assert name in answer.headers or not resolved(header, self._document).get("required"), name
        if "content" in response:
            schema = response["content"]["application/json"]["schema"]
            validator(schema, self._document).validate(answer.json)
            in_order(answer.json, schema, self._document, operation_id)
        else:
            assert answer.body == b""
        return answer.json


async def test_what_the_server_answers_is_what_the_documents_say(client: Client) -> None:
    onepay, own = Witness(client, DOCUMENTS["onepay"]), Witness(client, DOCUMENTS["recaudo"])
    await own.call("getClock", "/clock")
    customer = await onepay.call("createCustomer", "/customers", body_of("createCustomer"), once="c")
    await onepay.call("createCustomer", "/customers", body_of("createCustomer"), once="d")
    await onepay.call("listCustomers", "/customers?document_number=1060500333")
    await onepay.call("getCustomer", f"/customers/{customer['id']}")
    made = await onepay.call("createInvoice", "/invoices", example("create-invoice.request"), once="i")
    await onepay.call("createInvoice", "/invoices", {"amount": 1}, once="j")
    parts = await onepay.call("createInvoice", "/invoices", body_of("createInvoice", "por_partes"), once="k")
    await onepay.call("listInvoices", "/invoices?filter[reference]=1060500333&per_page=1")
    await onepay.call("listInvoices", "/invoices?filter[foo]=1")
    changed = await onepay.call("updateInvoice", f"/invoices/{made['id']}", body_of("updateInvoice", "cambio"))
    await onepay.call("updateInvoice", f"/invoices/{made['id']}", example("update-invoice.request"))
    await onepay.call("patchInvoice", f"/invoices/{made['id']}", {"amount": 75000}, once="p")
    now = await onepay.call("patchInvoice", f"/invoices/{made['id']}", {"amount": 75000}, once="p")
    await own.call("payInSandbox", f"/sandbox/payments/{now['payment_id']}", {"outcome": "decline"})
    await own.call("payInSandbox", f"/sandbox/payments/{now['payment_id']}", {})
    await own.call("payInSandbox", f"/sandbox/payments/{now['payment_id']}", {"amount": "x"})
    await own.call("payInSandbox", f"/sandbox/payments/{parts['payment_id']}", {"amount": 20000})
    for one in (made, parts):
        await onepay.call("getInvoice", f"/invoices/{one['id']}")
    alone = await onepay.call("createPayment", "/payments", body_of("createPayment", "abierto"), once="a")
    for payment_id in (changed["payment_id"], now["payment_id"], parts["payment_id"], alone["id"]):
        await onepay.call("getPayment", f"/payments/{payment_id}")
        await onepay.call("resendPayment", f"/payments/{payment_id}")
        intents = await onepay.call("listPaymentIntentsOfPayment", f"/payments/{payment_id}/intents")
        for intent in intents:
            await onepay.call("getPaymentIntent", f"/payment-intents/{intent['id']}")
        await onepay.call("deletePayment", f"/payments/{payment_id}")
    await onepay.call("listPayments", "/payments?sort=created_at")
    await onepay.call("listPaymentIntents", "/payment-intents?sort=-paid_at")
    await onepay.call("deleteInvoice", f"/invoices/{parts['id']}?reason=PAID_FROM_PROVIDER")
    await onepay.call("deleteInvoice", f"/invoices/{parts['id']}")
    await onepay.call("getInvoice", f"/invoices/{parts['id']}")
    await own.call("moveClock", "/clock", {"advance_seconds": 1})
    for name, witness in (("onepay", onepay), ("recaudo", own)):
        assert witness.seen == {route.operation_id for route in ROUTERS[name].routes}


async def test_the_examples_of_what_can_be_created_work_when_they_are_pasted(client: Client) -> None:
    for method, path, operation in operations(DOCUMENTS["onepay"]):
        if "201" in operation["responses"]:
            for key in operation["requestBody"]["content"]["application/json"]["examples"]:
                body = body_of(operation["operationId"], key)
                answer = await client.call(method.upper(), f"/v1{path}", body, once=key)
                assert answer.status == 201, (key, answer.json)


def body_of(operation_id: str, key: str | None = None) -> Any:
    """The body of an operation's example."""
    operation = next(o for _, _, o in operations(DOCUMENTS["onepay"]) if o["operationId"] == operation_id)
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    return examples[key or next(iter(examples))]["value"]


@pytest.mark.parametrize("mount", ["onepay", "recaudo"])
async def test_the_document_is_served_to_anyone(world: World, mount: str) -> None:
    async with world.session.get(f"{world.base_url}/{mount}/openapi.json") as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert response.headers["access-control-allow-origin"] == "*"
        served = await response.json()
    assert served["servers"][0]["url"].endswith({"onepay": "/v1", "recaudo": "/recaudo/v1"}[mount])
    assert set(served["paths"]) == set(DOCUMENTS[mount]["paths"])
