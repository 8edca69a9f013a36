"""Invoices: bodies and operations (Treli specification, 6.1, 8 and 9)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from recaudo.dialects.treli import calls, ids, items, pdf, queries, shown
from recaudo.dialects.treli.acting import NotPossibleError, read_money, read_reason, replay_or_refuse, viewer
from recaudo.dialects.treli.calls import DIALECT, Call
from recaudo.dialects.treli.errors import FieldError, error_reply
from recaudo.dialects.treli.fields import MISSING, amount, choice, currency, days, reference, text, url, whole
from recaudo.dialects.treli.items import in_order, read_currency
from recaudo.dialects.treli.known import Known, look_up
from recaudo.dialects.treli.objects import meta_data
from recaudo.dialects.treli.reading import (
    REQUIRED_MESSAGE,
    Field,
    InvalidError,
    Reader,
    Reading,
    read_array,
    read_members,
    read_object,
)
from recaudo.dialects.treli.render import amount as shown_amount
from recaudo.domain.billing import Bill, Line, Terms, make_bill
from recaudo.domain.instalments import (
    INSTALMENTS_MAX,
    AmountNotAboveZero,
    Asked,
    FallingDays,
    Instalment,
    OtherCount,
    PlanFault,
    PlanRefusedError,
    WrongCount,
    WrongDays,
    WrongSum,
    plan_instalments,
)
from recaudo.domain.model import Account, Customer, Invoice
from recaudo.domain.opening import Asking
from recaudo.domain.pricing import TotalTooLargeError
from recaudo.domain.retaining import NothingToCollectError, RetentionFault, RetentionKind, retention_fault
from recaudo.edge.bodies import canonical
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import wholes
from recaudo.store.cases import find_invoice
from recaudo.store.catalogue import Retention
from recaudo.store.door import Uses
from recaudo.usecases import collecting, documents, invoices
from recaudo.usecases.collecting import later
from recaudo.usecases.core import Core, NotFoundError, OriginTakenError, Respond
from recaudo.usecases.invoices import OpenInvoice

ORIGIN = "recaudo"
"""What issued the numbers of this dialect, as other dialects are told."""
INVOICING = ("upload", "connect", "create")
METHODS = ("collect", "charge")
RETENTIONS = ("reteica", "reteiva", "retefte")
NUMBER_CHARS_MAX = 50
SETTING_CHARS_MAX = 100
OBSERVATIONS_CHARS_MAX = 1000
REASON_DEFAULT = "DELETE_FROM_PROVIDER"
"""Why an invoice was withdrawn, in the word that the other dialect has for it."""

INNER_NAMES = (
    *items.MEMBERS,
    *("number_of_installments", "installments_settings", "amount", "days_until_due"),
    *(*shown.SETTINGS, *RETENTIONS),
)
"""Names inside the members of the table, in its order."""

_FAULTS: Mapping[RetentionFault, str] = {
    RetentionFault.INACTIVE: "La retención no está activa.",
    RetentionFault.NOT_YET: "La retención todavía no rige.",
    RetentionFault.NO_LONGER: "La retención ya no rige.",
}


# --- Bodies ---


def _settings(reading: Reading, path: str, value: object) -> dict[str, str] | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    fields = [Field(name, name, text(1, SETTING_CHARS_MAX)) for name in shown.SETTINGS]
    return read_members(reading, fields, members, inside=path)


def _retentions(known: Mapping[UUID, Retention]) -> Reader:
    """Retentions by kind, each active and in its dates."""

    def read(reading: Reading, path: str, value: object) -> dict[str, Retention] | None:
        members = read_object(reading, path, value)
        if members is None:
            return None
        fields = [Field(name, name, _retention(RetentionKind(name), known)) for name in RETENTIONS]
        return read_members(reading, fields, members, inside=path)

    return read


def _retention(kind: RetentionKind, known: Mapping[UUID, Retention]) -> Reader:
    def read(reading: Reading, path: str, value: object) -> Retention | None:
        retention_id = ids.read(ids.RETENTION, value.strip()) if isinstance(value, str) else None
        found = None if retention_id is None else known.get(retention_id)
        if found is None:
            reading.refuse(path, MISSING[ids.RETENTION])
            return None
        fault = retention_fault(found.rule, kind=kind, day=reading.today)
        if fault is RetentionFault.OTHER_KIND:
            reading.refuse(path, f"La retención es de otra clase: {found.kind.value}.")
        elif fault is not None:
            reading.refuse(path, _FAULTS[fault])
        elif found.currency != reading.currency:
            reading.refuse(path, f"La retención está definida en {found.currency} y no en {reading.currency}.")
        else:
            return found
        return None

    return read


class _Plan(NamedTuple):
    """Instalments as they were sent."""

    announced: int
    asked: tuple[Asked, ...]


_INSTALMENT = (
    Field("amount", "amount_minor", amount(above_zero=True), required=True),
    Field("days_until_due", "days_until_due", days),
)


def _instalments(reading: Reading, path: str, value: object) -> _Plan | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    before = len(reading.errors)
    fields = (
        Field("number_of_installments", "announced", whole(1, INSTALMENTS_MAX), required=True),
        Field("installments_settings", "asked", _all_asked, required=True),
    )
    values = read_members(reading, fields, members, inside=path)
    return _Plan(values["announced"], values["asked"]) if len(reading.errors) == before else None


def _all_asked(reading: Reading, path: str, value: object) -> tuple[Asked, ...] | None:
    elements = read_array(reading, path, value, low=1, high=INSTALMENTS_MAX)
    if elements is None:
        return None
    found = [_asked(reading, f"{path}[{i}]", element) for i, element in enumerate(elements)]
    return tuple(one for one in found if one is not None)


def _asked(reading: Reading, path: str, value: object) -> Asked | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    before = len(reading.errors)
    values = read_members(reading, _INSTALMENT, members, inside=path)
    return Asked(**values) if len(reading.errors) == before else None


def _fields(known: Known) -> Sequence[Field]:
    return (
        Field(items.PATH, "lines", items.items(known.prices), required=True),
        Field("invoice_number", "number", text(1, NUMBER_CHARS_MAX)),
        Field("invoice_pdf", "document_url", url),
        Field(pdf.NAME, "document", pdf.pdf),
        Field("invoicing", "invoicing", choice(*INVOICING)),
        Field("currency", "currency", currency),
        Field("collection_method", "collection_method", choice(*METHODS)),
        Field("days_until_due", "days_until_due", days),
        Field("collection_rule_id", "rule_id", reference(ids.RULE)),
        Field("installments", "plan", _instalments),
        Field("meta_data", "metadata", meta_data),
        Field("invoice_settings", "settings", _settings),
        Field("invoice_retentions", "retentions", _retentions(known.retentions)),
        Field("invoice_observations", "observations", text(1, OBSERVATIONS_CHARS_MAX)),
        Field("customer", "customer_id", reference(ids.CUSTOMER), required=True),
    )


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as a body asks for it: values by the core's names, what it charges, its instalments."""

    values: Mapping[str, Any]
    bill: Bill
    instalments: tuple[Instalment, ...]
    currency: str
    today: date

    @property
    def number(self) -> str | None:
        return self.values.get("number")

    @property
    def name(self) -> str:
        """What it is called: by its number, or by what it charges for first."""
        return self.bill.items[0].name if self.number is None else f"Factura {self.number}"

    @property
    def due_on(self) -> date:
        """The last due day."""
        if self.instalments:
            return self.instalments[-1].due_on
        return later(self.today, self.values.get("days_until_due", 0))

    @property
    def retentions(self) -> Mapping[str, Retention]:
        return self.values.get("retentions", {})


def read_invoice(reading: Reading, body: Mapping[str, Any], known: Known, new_id: Callable[[], UUID]) -> Draft:
    """The invoice that POST /invoices asks for (9.1). Raises InvalidError with every error, in order."""
    read_currency(reading, body)
    if body.get("installments") is not None and "days_until_due" in body:
        body = {name: value for name, value in body.items() if name != "days_until_due"}
        reading.ignored.append("days_until_due")
    fields = _fields(known)
    values = read_members(reading, fields, body)
    _check_invoicing(reading, body, values)
    bill = _bill(reading, values, new_id)
    instalments = () if bill is None else _planned(reading, values, bill)
    reading.errors[:] = in_order(reading.errors, [field.name for field in fields], INNER_NAMES)
    reading.finish()
    assert bill is not None, "what cannot be charged was refused"
    return Draft(values=values, bill=bill, instalments=instalments, currency=reading.currency, today=reading.today)


def _check_invoicing(reading: Reading, body: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """What belongs to one way of invoicing only."""
    invoicing = values.get("invoicing", INVOICING[0])
    if invoicing is None:
        return
    if invoicing == "create" and body.get("invoice_number") is not None:
        reading.refuse("invoice_number", "El campo no se admite con invoicing create: el proveedor asigna el número.")
    elif invoicing != "create" and body.get("invoice_number") is None:
        reading.refuse("invoice_number", REQUIRED_MESSAGE)
    for name in ("invoice_pdf", pdf.NAME):
        if invoicing != "upload" and body.get(name) is not None:
            reading.refuse(name, "El campo solo se admite con invoicing upload.")
    if body.get("invoice_pdf") is not None and body.get(pdf.NAME) is not None:
        reading.refuse(pdf.NAME, "El campo no se admite junto con invoice_pdf.")


def _bill(reading: Reading, values: Mapping[str, Any], new_id: Callable[[], UUID]) -> Bill | None:
    """What the invoice charges; None when its items or retentions have errors."""
    lines: tuple[Line, ...] | None = values.get("lines")
    retentions: Mapping[str, Retention | None] | None = values.get("retentions", {})
    if lines is None or retentions is None:
        return None
    return bill_of(reading, lines, [r for r in retentions.values() if r is not None], new_id)


def bill_of(
    reading: Reading, lines: Sequence[Line], retentions: Sequence[Retention], new_id: Callable[[], UUID]
) -> Bill | None:
    """The bill of items; None after refusing sums that cannot be collected."""
    account = reading.account
    try:
        return make_bill(
            lines,
            [retention.rule for retention in retentions],
            currency=reading.currency,
            tax_rounding=account.tax_rounding,
            retention_rounding=account.retention_rounding,
            new_id=new_id,
        )
    except TotalTooLargeError as error:
        limit = shown_amount(error.limit_minor, reading.currency)
        reading.refuse(items.PATH, f"El total no puede superar {limit}.")
    except NothingToCollectError as error:
        path = "invoice_retentions" if error.retentions_minor else items.PATH
        reading.refuse(path, "El valor a cobrar debe ser mayor que 0.")
    return None


def _planned(reading: Reading, values: Mapping[str, Any], bill: Bill) -> tuple[Instalment, ...]:
    """The instalments; none when none were asked for, or they have errors."""
    plan: _Plan | None = values.get("plan")
    retentions: Mapping[str, Retention | None] = values.get("retentions", {})
    if plan is None:
        return ()
    if None in retentions.values():
        # What is to be collected is not known then: only what does not depend on it is checked.
        bill = msgspec.structs.replace(bill, total_minor=sum(a.amount_minor for a in plan.asked), retentions=())
    try:
        return plan_instalments(
            plan.asked,
            count=plan.announced,
            amount_to_collect_minor=bill.amount_to_collect_minor,
            created_on=reading.today,
        )
    except PlanRefusedError as error:
        for fault in error.faults:
            reading.refuse(*_told(fault, reading.currency))
    return ()


def _told(fault: PlanFault, currency: str) -> tuple[str, str]:
    """The field and the message of what is wrong with a plan."""
    settings = "installments.installments_settings"
    match fault:
        case WrongCount(limit=limit):
            return "installments.number_of_installments", f"El valor debe ser un número entero entre 1 y {limit}."
        case OtherCount(listed=listed):
            message = f"El valor debe ser igual al número de cuotas de installments_settings ({listed})."
            return "installments.number_of_installments", message
        case WrongSum(sum_minor=sum_minor, expected_minor=expected_minor):
            sums = shown_amount(sum_minor, currency), shown_amount(expected_minor, currency)
            return settings, f"La suma de las cuotas ({sums[0]}) debe ser igual al valor a cobrar ({sums[1]})."
        case AmountNotAboveZero(ordinal=ordinal):
            return f"{settings}[{ordinal - 1}].amount", "El valor debe ser un número decimal positivo."
        case WrongDays(ordinal=ordinal, limit=limit):
            return f"{settings}[{ordinal - 1}].days_until_due", f"El valor debe ser un número entero entre 0 y {limit}."
        case FallingDays(ordinal=ordinal, before=before):
            message = f"El valor no puede ser menor que el de la cuota anterior ({before})."
            return f"{settings}[{ordinal - 1}].days_until_due", message


def check_possible(account: Account, values: Mapping[str, Any]) -> None:
    """Raise NotPossibleError for what this account cannot do (9.1)."""
    if values.get("invoicing", INVOICING[0]) != "upload" and account.invoice_provider is None:
        raise NotPossibleError("invoice_provider_not_configured")
    if values.get("collection_method") == "charge":
        raise NotPossibleError("no_payment_method")


# --- The command ---


class Linked(NamedTuple):
    """A document that we keep, and where it is served."""

    id: UUID
    url: str


def opening(
    account: Account, draft: Draft, known: Known, new_id: Callable[[], UUID], document: Linked | None
) -> OpenInvoice:
    """The core's command for an invoice of this dialect. Invoices keep all that they were made with."""
    values = draft.values
    customer = known.customers[values["customer_id"]]
    plan = _plan(draft, new_id)
    return OpenInvoice(
        dialect=DIALECT,
        amount_minor=draft.bill.amount_to_collect_minor,
        name=draft.name,
        description=values.get("observations"),
        reference=customer.document_number or draft.number,
        origin=ORIGIN,
        origin_id=draft.number,
        unique_origin=True,
        phone=customer.phone,
        email=customer.email,
        due_on=draft.due_on,
        document_url=values.get("document_url") if document is None else document.url,
        document_id=None if document is None else document.id,
        metadata=values.get("metadata", {}),
        customer_id=customer.id,
        customer=customer,
        wire={DIALECT: _wire(account, draft, customer, plan)},
        currency=draft.currency,
        bill=draft.bill,
        plan=plan,
        rule_id=values.get("rule_id") or account.default_collection_rule,
        uses=uses(items.unused(known.prices), [r.id for r in draft.retentions.values() if r.used_at is None]),
    )


def uses(price_ids: Sequence[UUID], retention_ids: Sequence[UUID] = ()) -> Uses | None:
    """What is used for the first time."""
    return Uses(price_ids=price_ids, retention_ids=retention_ids) if price_ids or retention_ids else None


def _plan(draft: Draft, new_id: Callable[[], UUID]) -> list[Asking] | None:
    """One collection per instalment. Their ids are made here, as the invoice names them."""
    count = len(draft.instalments)
    of = draft.name if draft.number is None else f"la factura {draft.number}"
    plan = [
        Asking(
            amount_minor=one.amount_minor,
            due_on=one.due_on,
            collection_id=new_id(),
            terms=None if count == 1 else titled(f"Cuota {one.ordinal} de {count}", of, one.amount_minor),
        )
        for one in draft.instalments
    ]
    return plan or None


def titled(title: str, of: str, amount_minor: int) -> Terms:
    """The terms of a collection that asks for a part of an invoice."""
    return Terms(title=title, base_minor=amount_minor, wire={DIALECT: {"description": f"{title} de {of}"}})


def _wire(account: Account, draft: Draft, customer: Customer, plan: Sequence[Asking] | None) -> dict[str, Any]:
    """What only this dialect echoes."""
    values = draft.values
    wire: dict[str, Any] = {"billing_address": shown.address_of(customer)}
    if values.get("invoicing", INVOICING[0]) != INVOICING[0]:
        wire |= {
            "invoicing": values["invoicing"],
            "provider": account.invoice_provider,
            "provider_status": "generating",
        }
    if values.get("settings"):
        wire["settings"] = values["settings"]
    if draft.retentions:
        wire["retentions"] = {name: ids.shown(ids.RETENTION, it.id) for name, it in draft.retentions.items()}
    if plan is not None:
        wire["installments"] = _told_plan(plan, values["plan"], draft.currency)
    return wire


def _told_plan(plan: Sequence[Asking], sent: _Plan, currency: str) -> dict[str, Any]:
    """`installments` as it is echoed, with the collection of each."""
    return {
        "number_of_installments": len(plan),
        "installments_settings": [
            {
                "amount": shown_amount(asked.amount_minor, currency),
                "days_until_due": asked.days_until_due,
                "collection": None if one.collection_id is None else ids.shown(ids.COLLECTION, one.collection_id),
            }
            for one, asked in zip(plan, sent.asked, strict=True)
        ],
    }


# --- Refusals ---


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    match error:
        case NotPossibleError():
            return error_reply(error.code)
        case OriginTakenError():
            return error_reply(
                "invoice_number_exists",
                message=f"Ya existe una factura con el número {error.origin_id}.",
                errors=[FieldError("invoice_number", "Ya está en uso.")],
                existing_id=None if error.existing_id is None else ids.shown(ids.COLLECTION, error.existing_id),
            )
        case _:
            return None


# --- Operations ---

FILTERS: queries.Filters = {
    "status": queries.words(*shown.INVOICE_STATUSES),
    "customer": queries.object_id(ids.CUSTOMER),
    "invoice_number": queries.text,
}


class InvoiceActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /invoices (9.1)."""
        call = Call(self._core, request)
        account = call.account
        if call.once is not None and pdf.NAME in call.body:
            call.once = msgspec.structs.replace(call.once, request=canonical(pdf.digested(call.body)))
        known = await look_up(self._core, account, call.body)
        reading = call.reading(known.by_prefix())
        new_id = partial(self._core.ids.new, reading.now)
        try:
            draft = read_invoice(reading, call.body, known, new_id)
            check_possible(account, draft.values)
        except (InvalidError, NotPossibleError) as error:
            return await replay_or_refuse(call, error)
        content = draft.values.get("document")
        document = None if content is None else documents.new_document(self._core, account, content)
        linked = None if document is None else Linked(document.id, f"{request.base_url}/document/{document.token}")
        command = opening(account, draft, known, new_id, linked)
        async with documents.kept(self._core, document) as keeping:
            done = await invoices.create(self._core, account, command, self._respond(call), once=call.once)
            return call.done(keeping.done(done))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /invoices/{id} (9.2)."""
        call = Call(self._core, request)
        async with self._core.database.connection() as connection:
            invoice_id = await wholes.find_invoice_id(connection, call.account.id, call.id(ids.COLLECTION))
            found = None if invoice_id is None else await wholes.whole_invoice(connection, call.account.id, invoice_id)
        if found is None:
            raise NotFoundError
        return call.ok(shown.invoice(found, viewer(call)))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /invoices (9.2)."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.COLLECTION, FILTERS)
        looking = viewer(call)
        found = await self._core.lists.read(
            lambda connection: wholes.page_of_invoices(connection, call.account.id, wanted, asked, today=looking.today)
        )
        return call.page([shown.invoice(it, looking) for it in found.items], has_more=found.has_more)

    async def void(self, request: ApiRequest) -> Reply:
        """POST /invoices/{id}/void (9.3)."""
        call = Call(self._core, request)
        invoice = await self._find(call)
        try:
            reason = read_reason(call)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.void_invoice(
            self._core, call.account, invoice.id, reason or REASON_DEFAULT, self._respond(call), once=call.once
        )
        return call.done(done)

    async def pay(self, request: ApiRequest) -> Reply:
        """POST /invoices/{id}/pay (9.4)."""
        call = Call(self._core, request)
        invoice = await self._find(call)
        try:
            money = read_money(call, invoice.currency)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.pay_invoice(
            self._core, call.account, invoice.id, money, self._respond(call), once=call.once
        )
        return call.done(done)

    async def _find(self, call: Call) -> Invoice:
        """The invoice in the path, by its id or by that of a collection (6.9). Raises NotFoundError."""
        async with self._core.database.connection() as connection:
            invoice_id = await wholes.find_invoice_id(connection, call.account.id, call.id(ids.COLLECTION))
            found = None if invoice_id is None else await find_invoice(connection, call.account.id, invoice_id)
        if found is None:
            raise NotFoundError
        return found

    def _respond(self, call: Call) -> Respond:
        looking = viewer(call)
        return lambda change: calls.answer(shown.invoice(shown.whole(change), looking))

    def routes(self) -> Sequence[Route]:
        """Every operation on invoices."""
        one = "/invoices/{invoice_id}"
        return (
            calls.creates(
                "/invoices", self.create, "createInvoice", "Crear una factura", body_bytes_max=pdf.BODY_BYTES_MAX
            ),
            calls.reads("/invoices", self.list, "listInvoices", "Listar facturas"),
            calls.reads(one, self.get, "getInvoice", "Consultar una factura"),
            calls.acts(f"{one}/void", self.void, "voidInvoice", "Anular una factura"),
            calls.changes(f"{one}/pay", self.pay, "payInvoice", "Registrar un pago recibido por fuera"),
        )
