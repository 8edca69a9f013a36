"""The operations of the OnePay dialect: each turns a request into a use case and its result into an answer."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypedDict
from uuid import UUID

from recaudo.dialects.onepay import parse, render
from recaudo.dialects.onepay.endpoints import EndpointActions
from recaudo.dialects.onepay.reading import IGNORED_NAME_CHARS_MAX, Reading
from recaudo.domain.changes import Change
from recaudo.domain.model import Account, Customer, InvoiceKind
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.bodies import canonical
from recaudo.edge.http import Reply, ignored_header
from recaudo.edge.routing import ApiRequest, Handler, Need, Route
from recaudo.store import customers, views
from recaudo.store.cases import find_collection
from recaudo.store.lists import PageRequest
from recaudo.store.views import CollectionView
from recaudo.usecases import collections, customers as register_customers, invoices
from recaudo.usecases.core import Core, Done, NotFoundError, Once, replay_if_known
from recaudo.usecases.invoices import Withdrawal

INTENTS_OF_PAYMENT_MAX = 100


class Operations:
    """Handlers of the dialect's routes, over one core."""

    def __init__(self, core: Core, policy: UrlPolicy) -> None:
        self._core = core
        self._endpoints = EndpointActions(core, policy)

    async def create_invoice(self, request: ApiRequest) -> Reply:
        """POST /invoices (8.1)."""
        account, once = request.account, _once(request)
        today = self._core.today(account)
        try:
            command, ignored = parse.parse_create_invoice(request.body or {}, account, today)
        except parse.InvalidError as error:
            return await self._replay_or_refuse(account, once, error)

        def respond(change: Change) -> tuple[int, bytes]:
            return 201, render.encode(render.invoice(_view(change), request.base_url, is_test=account.is_test))

        return _reply(await invoices.create(self._core, account, command, respond, once=once), ignored, request)

    async def get_invoice(self, request: ApiRequest) -> Reply:
        """GET /invoices/{id} (8.2)."""
        async with self._core.database.connection() as connection:
            view = await views.view_invoice(connection, request.account.id, _id(request))
        if view is None or view.invoice.kind is not InvoiceKind.INVOICE:
            raise NotFoundError
        body = render.invoice(view, request.base_url, is_test=request.account.is_test)
        return _ok(body, _unknown_query(request))

    async def list_invoices(self, request: ApiRequest) -> Reply:
        """GET /invoices (8.3)."""
        wanted, filters, ignored = parse.parse_list(request.query, "invoices")
        found = await self._core.lists.read(
            lambda connection: views.list_invoices(connection, request.account.id, wanted, filters)
        )
        return _page([render.invoice_row(i) for i in found.items], found, wanted, ignored)

    async def change_invoice(self, request: ApiRequest) -> Reply:
        """PUT and PATCH /invoices/{id} (8.4)."""
        account = request.account
        today = self._core.today(account)
        ignored: list[str] = []

        def fields(invoice: Any) -> dict[str, Any]:  # noqa: ANN401 - an Invoice, named by the use case
            values, unknown = parse.parse_change_invoice(request.body or {}, invoice, account, today)
            ignored.extend(unknown)
            return values

        def respond(change: Change) -> tuple[int, bytes]:
            return 200, render.encode(render.invoice(_view(change), request.base_url, is_test=account.is_test))

        done = await invoices.change(self._core, account, _id(request), fields, respond, once=_once(request))
        return _reply(done, ignored, request)

    async def withdraw_invoice(self, request: ApiRequest) -> Reply:
        """DELETE /invoices/{id} (8.5)."""
        asked = next((value for name, value in request.query if name == "reason"), None)
        ignored: list[str] = []

        def how() -> Withdrawal:
            reason, unknown = parse.parse_withdraw(request.body, asked)
            ignored.extend(unknown)
            return Withdrawal(reason, paid_outside=reason == "PAID_FROM_PROVIDER")

        once = _once(request, extra={"?reason": asked} if asked is not None else {})
        done = await invoices.withdraw(self._core, request.account, _id(request), how, _no_content, once=once)
        return _reply(done, ignored, request, known_query=("reason",))

    async def create_payment(self, request: ApiRequest) -> Reply:
        """POST /payments (10.1)."""
        account, once, body = request.account, _once(request), request.body or {}
        known = await self._known_customers(account, body)
        try:
            command, ignored = parse.parse_create_payment(body, account, self._core.now(account), known)
        except parse.InvalidError as error:
            return await self._replay_or_refuse(account, once, error)
        customer = known.get(command.customer_id) if command.customer_id is not None else None

        def respond(change: Change) -> tuple[int, bytes]:
            view = CollectionView(invoice=change.invoice, collection=change.after.current, customer=customer)
            return 201, render.encode(render.payment(view, request.base_url, is_test=account.is_test))

        return _reply(await invoices.create(self._core, account, command, respond, once=once), ignored, request)

    async def get_payment(self, request: ApiRequest) -> Reply:
        """GET /payments/{id} (10.2)."""
        async with self._core.database.connection() as connection:
            view = await views.view_collection(connection, request.account.id, _id(request))
        if view is None:
            raise NotFoundError
        body = render.payment(view, request.base_url, is_test=request.account.is_test)
        return _ok(body, _unknown_query(request))

    async def list_payments(self, request: ApiRequest) -> Reply:
        """GET /payments (10.2)."""
        wanted, filters, ignored = parse.parse_list(request.query, "payments")
        found = await self._core.lists.read(
            lambda connection: views.list_collections(connection, request.account.id, wanted, filters)
        )
        rows = [render.payment(v, request.base_url, is_test=request.account.is_test) for v in found.items]
        return _page(rows, found, wanted, ignored)

    async def resend_payment(self, request: ApiRequest) -> Reply:
        """POST /payments/{id} (10.3)."""
        account, once, payment_id = request.account, _once(request), _id(request)
        ignored: list[str] = []

        def respond(view: CollectionView) -> bytes:
            return render.encode(render.payment(view, request.base_url, is_test=account.is_test))

        def template() -> str | None:
            template_id, unknown = parse.parse_resend(request.body)
            ignored.extend(unknown)
            return template_id

        done = await collections.remind(self._core, account, payment_id, template, respond, once=once)
        return _reply(done, ignored, request)

    async def cancel_payment(self, request: ApiRequest) -> Reply:
        """DELETE /payments/{id} (10.4)."""
        done = await collections.cancel(self._core, request.account, _id(request), _no_content, once=_once(request))
        return _reply(done, _unknown_members(request), request)

    async def list_intents(self, request: ApiRequest) -> Reply:
        """GET /payment-intents (11.1)."""
        wanted, filters, ignored = parse.parse_list(request.query, "payment_intents")
        found = await self._core.lists.read(
            lambda connection: views.list_attempts(connection, request.account.id, wanted, filters)
        )
        return _page([render.intent(v, is_test=request.account.is_test) for v in found.items], found, wanted, ignored)

    async def get_intent(self, request: ApiRequest) -> Reply:
        """GET /payment-intents/{id} (11.2)."""
        async with self._core.database.connection() as connection:
            found = await views.list_attempts(connection, request.account.id, PageRequest(), {"id": [_id(request)]})
        if not found.items:
            raise NotFoundError
        body = render.intent_detail(found.items[0], is_test=request.account.is_test)
        return _ok(body, _unknown_query(request))

    async def list_intents_of_payment(self, request: ApiRequest) -> Reply:
        """GET /payments/{id}/intents (11.3): a bare array, newest first."""
        payment_id = _id(request)
        wanted = PageRequest(per_page=INTENTS_OF_PAYMENT_MAX)
        async with self._core.database.connection() as connection:
            if await find_collection(connection, request.account.id, payment_id) is None:
                raise NotFoundError
            found = await views.list_attempts(connection, request.account.id, wanted, {"collection_id": [payment_id]})
        body = [render.intent_of_payment(v, is_test=request.account.is_test) for v in found.items]
        return _ok(body, _unknown_query(request))

    async def create_customer(self, request: ApiRequest) -> Reply:
        """POST /customers (12.1)."""
        account, once, body = request.account, _once(request), request.body or {}
        today = self._core.today(account)
        known = await self._known_customers(account, body)
        try:
            command, ignored = parse.parse_create_customer(body, account, today, known)
        except parse.InvalidError as error:
            return await self._replay_or_refuse(account, once, error)

        def respond(customer: Customer) -> tuple[int, bytes]:
            return 201, render.encode(render.customer(customer, is_test=account.is_test))

        done = await register_customers.register(self._core, account, command, respond, once=once)
        return _reply(done, ignored, request)

    async def get_customer(self, request: ApiRequest) -> Reply:
        """GET /customers/{id} (12.2)."""
        async with self._core.database.connection() as connection:
            found = await customers.find_customer(connection, request.account.id, _id(request))
        if found is None or not found.listed:
            raise NotFoundError
        return _ok(render.customer(found, is_test=request.account.is_test), _unknown_query(request))

    async def list_customers(self, request: ApiRequest) -> Reply:
        """GET /customers (12.2)."""
        wanted, filters, ignored = parse.parse_list(request.query, "customers")
        found = await self._core.lists.read(
            lambda connection: customers.list_customers(connection, request.account.id, wanted, filters)
        )
        return _page([render.customer(c, is_test=request.account.is_test) for c in found.items], found, wanted, ignored)

    async def create_webhook(self, request: ApiRequest) -> Reply:
        """POST /webhooks (13)."""
        done, ignored = await self._endpoints.create(request.account, request.body or {}, _once(request))
        return _reply(done, ignored, request)

    async def list_webhooks(self, request: ApiRequest) -> Reply:
        """GET /webhooks (13)."""
        return _ok(*await self._endpoints.page(request.account, request.query))

    async def get_webhook(self, request: ApiRequest) -> Reply:
        """GET /webhooks/{id} (13)."""
        return _ok(await self._endpoints.detail(request.account, _id(request)), _unknown_query(request))

    async def change_webhook(self, request: ApiRequest) -> Reply:
        """PUT and PATCH /webhooks/{id} (13)."""
        done, ignored = await self._endpoints.change(request.account, _id(request), request.body or {}, _once(request))
        return _reply(done, ignored, request)

    async def delete_webhook(self, request: ApiRequest) -> Reply:
        """DELETE /webhooks/{id} (13)."""
        done = await self._endpoints.delete(request.account, _id(request), _once(request))
        return _reply(done, _unknown_members(request), request)

    async def test_webhook(self, request: ApiRequest) -> Reply:
        """POST /webhooks/{id}/test (13)."""
        done = await self._endpoints.send_sample(request.account, _id(request), request.base_url, _once(request))
        return _reply(done, _unknown_members(request), request)

    async def rotate_webhook(self, request: ApiRequest) -> Reply:
        """POST /webhooks/{id}/rotate (13)."""
        done, ignored = await self._endpoints.rotate(request.account, _id(request), request.body, _once(request))
        return _reply(done, ignored, request)

    async def _known_customers(self, account: Account, body: Mapping[str, Any]) -> dict[UUID, Customer]:
        ids = parse.customer_ids(dict(body))
        if not ids:
            return {}
        async with self._core.database.connection() as connection:
            found = await customers.find_customers(connection, account.id, ids)
        return {customer_id: customer for customer_id, customer in found.items() if customer.listed}

    async def _replay_or_refuse(self, account: Account, once: Once | None, error: parse.InvalidError) -> Reply:
        """A body with errors under a key that was used before meets the key first (1.5). Else raises the error."""
        done = await replay_if_known(self._core, account, once)
        if done is None:
            raise error
        return Reply(status=done.status, body=done.answer, headers=[("Idempotent-Replayed", "true")])


def routes(operations: Operations) -> Sequence[Route]:
    """Every operation of the dialect, in the order of the specification."""
    o = operations
    creates: _Needs = {"body": "required", "once": "required"}
    changes: _Needs = {"body": "required", "once": "optional"}
    acts: _Needs = {"body": "optional", "once": "optional"}
    reads: _Needs = {"body": "none", "once": "none"}
    table: Sequence[tuple[str, str, Handler, str, str, _Needs]] = (
        ("POST", "/invoices", o.create_invoice, "createInvoice", "Crear una factura y su cobro", creates),
        ("GET", "/invoices", o.list_invoices, "listInvoices", "Listar facturas", reads),
        ("GET", "/invoices/{invoice_id}", o.get_invoice, "getInvoice", "Consultar una factura", reads),
        ("PUT", "/invoices/{invoice_id}", o.change_invoice, "updateInvoice", "Cambiar una factura", changes),
        ("PATCH", "/invoices/{invoice_id}", o.change_invoice, "patchInvoice", "Cambiar una factura", changes),
        ("DELETE", "/invoices/{invoice_id}", o.withdraw_invoice, "deleteInvoice", "Retirar una factura", acts),
        ("POST", "/payments", o.create_payment, "createPayment", "Crear un cobro sin factura", creates),
        ("GET", "/payments", o.list_payments, "listPayments", "Listar cobros", reads),
        ("GET", "/payments/{payment_id}", o.get_payment, "getPayment", "Consultar un cobro", reads),
        ("POST", "/payments/{payment_id}", o.resend_payment, "resendPayment", "Reenviar el aviso de un cobro", acts),
        ("DELETE", "/payments/{payment_id}", o.cancel_payment, "deletePayment", "Cancelar un cobro", acts),
        (
            "GET",
            "/payments/{payment_id}/intents",
            o.list_intents_of_payment,
            "listPaymentIntentsOfPayment",
            "Intentos de pago de un cobro",
            reads,
        ),
        ("GET", "/payment-intents", o.list_intents, "listPaymentIntents", "Listar intentos de pago", reads),
        (
            "GET",
            "/payment-intents/{intent_id}",
            o.get_intent,
            "getPaymentIntent",
            "Consultar un intento de pago",
            reads,
        ),
        ("POST", "/customers", o.create_customer, "createCustomer", "Crear un cliente", creates),
        ("GET", "/customers", o.list_customers, "listCustomers", "Listar clientes", reads),
        ("GET", "/customers/{customer_id}", o.get_customer, "getCustomer", "Consultar un cliente", reads),
        ("POST", "/webhooks", o.create_webhook, "createWebhook", "Crear un webhook", creates),
        ("GET", "/webhooks", o.list_webhooks, "listWebhooks", "Listar webhooks", reads),
        ("GET", "/webhooks/{webhook_id}", o.get_webhook, "getWebhook", "Consultar un webhook y sus entregas", reads),
        ("PUT", "/webhooks/{webhook_id}", o.change_webhook, "updateWebhook", "Cambiar un webhook", changes),
        ("PATCH", "/webhooks/{webhook_id}", o.change_webhook, "patchWebhook", "Cambiar un webhook", changes),
        ("DELETE", "/webhooks/{webhook_id}", o.delete_webhook, "deleteWebhook", "Eliminar un webhook", acts),
        (
            "POST",
            "/webhooks/{webhook_id}/test",
            o.test_webhook,
            "testWebhook",
            "Enviar un evento de ejemplo",
            acts,
        ),
        ("POST", "/webhooks/{webhook_id}/rotate", o.rotate_webhook, "rotateWebhook", "Cambiar el secreto", acts),
    )
    return [
        Route(
            method=method,
            path=path,
            handler=handler,
            operation_id=operation_id,
            summary=summary,
            tag=path.split("/")[1],
            **needs,
        )
        for method, path, handler, operation_id, summary, needs in table
    ]


class _Needs(TypedDict):
    body: Need
    once: Need


def _once(request: ApiRequest, *, extra: Mapping[str, Any] | None = None) -> Once | None:
    if request.once_key is None:
        return None
    # An id is the same id in capitals.
    path = request.path.lower() if request.params else request.path
    return Once(
        scope=f"onepay {request.route.method} {path}",
        key=request.once_key,
        request=canonical({**(request.body or {}), **(extra or {})}),
    )


def _id(request: ApiRequest) -> UUID:
    """The id in the path. One that is no UUID is an object that does not exist."""
    text = request.params[0]
    try:
        found = UUID(text)
    except ValueError:
        raise NotFoundError from None
    if str(found) != text.lower():
        raise NotFoundError
    return found


def _view(change: Change) -> CollectionView:
    case = change.after
    return CollectionView(invoice=case.invoice, collection=case.current, customer=case.customer, receipts=case.receipts)


def _no_content(_: Change) -> tuple[int, bytes]:
    return 204, b""


def _reply(done: Done, ignored: Sequence[str], request: ApiRequest, *, known_query: Sequence[str] = ()) -> Reply:
    headers = ignored_header([*ignored, *_unknown_query(request, known_query)])
    if done.replayed:
        headers.append(("Idempotent-Replayed", "true"))
    return Reply(status=done.status, body=done.answer, headers=headers)


def _ok(body: object, ignored: Sequence[str]) -> Reply:
    return Reply(status=200, body=render.encode(body), headers=ignored_header(ignored))


def _page(rows: Sequence[dict[str, Any]], found: Any, wanted: PageRequest, ignored: Sequence[str]) -> Reply:  # noqa: ANN401
    return _ok(render.page(rows, found, number=wanted.page, per_page=wanted.per_page), ignored)


def _unknown_members(request: ApiRequest) -> list[str]:
    """The members of a body that means nothing here."""
    reading = Reading(request.account, date.min)
    reading.ignore_unknown(request.body or {}, ())
    return reading.ignored


def _unknown_query(request: ApiRequest, known: Sequence[str] = ()) -> list[str]:
    return list(dict.fromkeys(name[:IGNORED_NAME_CHARS_MAX] for name, _ in request.query if name not in known))
