"""What the server answers, held against the OpenAPI documents: status, headers, schema, members and their order."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.concurrency.test_isolation import FILE
from tests.dialects.onepay.openapi import BASE_URL, DOCUMENTS, ROUTERS, in_order, operations, resolved, validator
from tests.dialects.onepay.parsing import example
from tests.dialects.treli.stage import Stage
from tests.dialects.treli.wire import speaks_treli
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
        if answer.json is None and "content" in response:
            assert answer.headers["Content-Type"].partition(";")[0] in response["content"], "a file"
        elif "content" in response:
            schema = response["content"]["application/json"]["schema"]
            validator(schema, self._document).validate(answer.json)
            in_order(answer.json, schema, self._document, operation_id)
        else:
            assert answer.body == b""
        return answer.json


async def imports_of_our_own(own: Witness, world: World) -> None:
    file = {"data": FILE, "headers": {"Content-Type": "text/csv"}}
    made = await own.call("startImport", "/imports", once="f", **file)
    await own.call("startImport", "/imports", once="f", **file)
    await own.call("startImport", "/imports?dates=mdy", **file)
    await own.call("startImport", "/imports", data=b"", headers=file["headers"])
    await world.drain()
    assert (await own.call("getImport", f"/imports/{made['id']}"))["state"] == "done"
    await own.call("getRefusedRows", f"/imports/{made['id']}/refused")
    for path in (f"/imports/{uuid4()}", "/imports/x"):
        await own.call("getImport", path)


async def webhooks_of_onepay(onepay: Witness) -> None:
    body = {"name": "ERP", "url": "https://127.0.0.1:1/hooks", "events": ["invoice.created", "webhook.failing"]}
    made = await onepay.call("createWebhook", "/webhooks", body, once="w")
    await onepay.call("createWebhook", "/webhooks", body, once="w")
    await onepay.call("createWebhook", "/webhooks", {"events": []}, once="x")
    one = f"/webhooks/{made['data']['id']}"
    await onepay.call("testWebhook", f"{one}/test")
    await onepay.call("listWebhooks", "/webhooks?filter[id]=" + made["data"]["id"])
    await onepay.call("getWebhook", one)
    await onepay.call("updateWebhook", one, {"description": "El de siempre"})
    await onepay.call("patchWebhook", one, {"events": ["nada"]})
    await onepay.call("patchWebhook", one, {"events": ["invoice.paid"]})
    await onepay.call("rotateWebhook", f"{one}/rotate", {"overlap_hours": 169})
    await onepay.call("rotateWebhook", f"{one}/rotate")
    for _ in range(2):
        await onepay.call("deleteWebhook", one)


async def webhooks_of_our_own(own: Witness, world: World, invoice_id: str) -> None:
    body = {"dialect": "recaudo", "name": "Ledger", "url": "https://127.0.0.1:1/", "types": ["endpoint.failing"]}
    made = await own.call("createWebhook", "/webhooks", body)
    await own.call("createWebhook", "/webhooks", {**body, "dialect": "onepay", "types": ["invoice.paid"]})
    await own.call("createWebhook", "/webhooks", {**body, "types": ["invoice.payed"]})
    one = f"/webhooks/{made['id']}"
    await own.call("listWebhooks", "/webhooks")
    await own.call("getWebhook", one)
    await own.call("updateWebhook", one, {"types": ["invoice.created"]})
    await own.call("rotateWebhook", f"{one}/rotate", {"overlap_hours": 0})
    sample = await own.call("testWebhook", f"{one}/test")
    feed = await own.call("listEvents", f"/events?dialect=onepay&limit=100&subject={invoice_id}")
    await own.call("listEvents", "/events?limit=0")
    while feed["has_more"]:
        feed = await own.call("listEvents", f"/events?limit=3&cursor={feed['next_cursor']}")
    asked = await own.call("replayEvents", "/events/replay", {"from": "2000-01-01T00:00:00Z"})
    await own.call("replayEvents", "/events/replay", {})
    await world.drain()
    await own.call("getReplay", f"/events/replay/{asked['id']}")
    await own.call("listDeliveries", "/deliveries?limit=1")
    await own.call("listDeliveries", "/deliveries?state=dead")
    tried = await own.call("getDelivery", f"/deliveries/{sample['delivery_id']}")
    assert tried["history"]
    await own.call("deleteWebhook", one)


async def money_of_our_own(own: Witness, world: World, onepay: Witness) -> None:
    """Gateways that nobody answers for, and money of the sandbox that goes back."""
    await own.call("listGatewayKinds", "/gateways/kinds")
    body = own_body_of("createGateway")
    made = await own.call("createGateway", "/gateways", body, once="g")
    await own.call("createGateway", "/gateways", body, once="g")
    await own.call("createGateway", "/gateways", body)
    await own.call("createGateway", "/gateways", {"kind": "paypal", "credentials": {}})
    one = f"/gateways/{made['id']}"
    await own.call("listGateways", "/gateways")
    await own.call("getGateway", one)
    await own.call("updateGateway", one, own_body_of("updateGateway", "off"))
    await own.call("updateGateway", one, {"position": -1})
    await own.call("verifyGateway", f"{one}/verify")
    await own.call("rotateNotices", f"{one}/rotate", own_body_of("rotateNotices", "calm"))
    await own.call("rotateNotices", f"{one}/rotate", {"overlap_hours": 169})
    for _ in range(2):
        await own.call("deleteGateway", one)
    invoice = body_of("createInvoice") | {"provider_id": "another"}
    paid = await onepay.call("createInvoice", "/invoices", invoice, once="paid")
    attempt = await own.call("payInSandbox", f"/sandbox/payments/{paid['payment_id']}", {})
    (row,) = await world.rows("SELECT id FROM receipt WHERE attempt_id = $1", UUID(attempt["payment_intent_id"]))
    receipt = f"/receipts/{row['id']}"
    refund = await own.call("startRefund", f"{receipt}/refund", {"amount_minor": 1_000_000, "reason": "x"})
    await own.call("startRefund", f"{receipt}/refund", {"amount_minor": 10**14, "reason": "x"})
    await own.call("startRefund", f"{receipt}/refund", {"reason": "x", "way": "panel"})
    await own.call("reopenInvoice", f"/invoices/{made['id']}/reopen")
    await world.drain()
    shown = await own.call("getRefund", f"/refunds/{refund['id']}")
    assert shown["state"] == "succeeded"
    await own.call("settleRefund", f"/refunds/{refund['id']}/settle", own_body_of("settleRefund", "done"))
    await own.call("settleRefund", f"/refunds/{refund['id']}/settle", {"state": "gone"})
    await own.call("listRefundsOfReceipt", f"{receipt}/refunds")
    await own.call("reopenInvoice", f"/invoices/{paid['id']}/reopen")
    await own.call("reopenInvoice", f"/invoices/{paid['id']}/reopen")
    await own.call("listSuspense", "/suspense?open=true")
    await own.call("listSuspense", "/suspense?open=perhaps")
    await own.call("resolveSuspense", f"/suspense/{made['id']}/resolve", {"resolution": "x"})
    await own.call("resolveSuspense", f"/suspense/{made['id']}/resolve", {})
    await own.call("listReconciliations", "/reconciliations?limit=1")
    await own.call("listReconciliations", "/reconciliations?limit=0")


async def attempts_of_our_own(own: Witness, onepay: Witness) -> None:
    """Paying on the merchant's own page, in the sandbox."""
    invoice = body_of("createInvoice") | {"provider_id": "own-page"}
    made = await onepay.call("createInvoice", "/invoices", invoice, once="own-page")
    collection = f"/collections/{made['payment_id']}"
    await own.call("listMethods", f"{collection}/methods?amount_minor=x")
    await own.call("listMethods", f"/collections/{made['id']}/methods")
    told = await own.call("listMethods", f"{collection}/methods")
    body = {"method": told["data"][0]["method"]}
    await own.call("startAttempt", f"{collection}/attempts", {"method": 5}, once="s")
    await own.call("startAttempt", f"{collection}/attempts", {"method": "cheque"}, once="s")
    await own.call("startAttempt", f"{collection}/attempts", body)
    attempt = await own.call("startAttempt", f"{collection}/attempts", body, once="s")
    assert attempt["state"] == "succeeded"
    await own.call("startAttempt", f"{collection}/attempts", body, once="s")
    await own.call("startAttempt", f"{collection}/attempts", {**body, "again": True}, once="s")
    await own.call("startAttempt", f"{collection}/attempts", body, once="t")
    await own.call("listMethods", f"{collection}/methods")
    for one in (attempt["id"], made["id"]):
        await own.call("getAttempt", f"/attempts/{one}")
        await own.call("askAttempt", f"/attempts/{one}/ask")


async def registers_of_our_own(own: Witness, client: Client) -> None:
    stage = Stage(speaks_treli(client))
    reteica = await stage.retention("reteica", "1")
    made = await stage.invoice(invoice_retentions={"reteica": reteica})
    await stage.act("invoices", made["id"], "pay", {"method": "cash"})
    page = await own.call("listReceipts", "/receipts?limit=1")
    (receipt,) = page["data"]
    await own.call("listReceipts", f"/receipts?invoice={receipt['invoice_id']}&customer={receipt['customer_id']}")
    await own.call("listReceipts", "/receipts?invoice=mine")
    one = f"/receipts/{receipt['id']}"
    await own.call("undoReceipt", f"{one}/undo", {})
    for _ in range(2):
        await own.call("undoReceipt", f"{one}/undo", {"reason": "Era de otro"})
    await own.call("getReceipt", one)
    page = await own.call("listWithholdings", "/withholdings?kind=reteica&certified=false")
    (withheld,) = page["data"]
    path = f"/invoices/{withheld['invoice_id']}/withholdings/{withheld['retention_id']}/certificate"
    await own.call("putCertificate", path, {"number": ""})
    await own.call("putCertificate", path, {"number": "ICA-1"})
    await own.call("listWithholdings", "/withholdings")
    await own.call("deleteCertificate", path)


async def test_what_the_server_answers_is_what_the_documents_say(world: World, client: Client) -> None:
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
    await webhooks_of_onepay(onepay)
    await webhooks_of_our_own(own, world, made["id"])
    await money_of_our_own(own, world, onepay)
    await imports_of_our_own(own, world)
    await attempts_of_our_own(own, onepay)
    await registers_of_our_own(own, client)
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


def own_body_of(operation_id: str, key: str | None = None) -> Any:
    """The same of our own document."""
    operation = next(o for _, _, o in operations(DOCUMENTS["recaudo"]) if o["operationId"] == operation_id)
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
