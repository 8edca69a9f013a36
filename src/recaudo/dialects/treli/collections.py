"""Collections: bodies and operations (Treli specification, 6.5 and 10)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from recaudo.dialects.treli import calls, ids, items, queries, shown
from recaudo.dialects.treli.acting import (
    METHOD,
    PAID_DATE,
    REFERENCE,
    NotPossibleError,
    outside,
    read_money,
    read_reason,
    reading_in,
    replay_or_refuse,
    viewer,
)
from recaudo.dialects.treli.calls import DIALECT, Call
from recaudo.dialects.treli.errors import error_reply
from recaudo.dialects.treli.fields import amount, choice, currency, days, flag, percentage, reference, text
from recaudo.dialects.treli.invoices import (
    METHODS,
    REASON_DEFAULT,
    bill_of,
    check_possible,
    uses,
)
from recaudo.dialects.treli.items import in_order, read_currency
from recaudo.dialects.treli.known import Known, look_up
from recaudo.dialects.treli.objects import meta_data
from recaudo.dialects.treli.reading import (
    Field,
    InvalidError,
    Reading,
    joined,
    read_array,
    read_members,
    read_object,
)
from recaudo.domain.billing import Bill, Line, Terms
from recaudo.domain.changes import Change
from recaudo.domain.model import Account, Case, Collection, Invoice, InvoiceKind
from recaudo.domain.opening import Asking
from recaudo.domain.states import CollectionCommand, Refusal, RefusedError, allow_collection
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import wholes
from recaudo.store.views import CollectionView, view_collection
from recaudo.usecases import collecting, collections, invoices
from recaudo.usecases.collecting import NewDiscount, NotEditableError, PartialPayment, later, worked_out
from recaudo.usecases.collections import Message
from recaudo.usecases.core import Core, NotFoundError, Respond
from recaudo.usecases.invoices import OpenInvoice

DESCRIPTION_CHARS_MAX = 255
TAG_CHARS_MAX = 100
CODE_CHARS_MAX = 50
DISCOUNTS_MAX = 20
PERCENT_DECIMALS_MAX = 2
CHANNELS = {"whatsapp": "phone", "email": "email"}
"""How the core calls the ways in which a notice goes out."""

INNER_NAMES = (*items.MEMBERS, "code", "amount", "percent")
"""Names inside the members of the table, in its order."""


# --- Bodies ---

_DISCOUNT = (
    Field("code", "code", text(1, CODE_CHARS_MAX)),
    Field("amount", "amount_minor", amount(above_zero=True)),
    Field("percent", "percent", percentage(above_zero=True, decimals_max=PERCENT_DECIMALS_MAX)),
)


def discounts(reading: Reading, path: str, value: object) -> tuple[NewDiscount, ...] | None:
    """Discounts, each by an amount or by a percent (10.8)."""
    elements = read_array(reading, path, value, low=1, high=DISCOUNTS_MAX)
    if elements is None:
        return None
    found = [_discount(reading, f"{path}[{i}]", element) for i, element in enumerate(elements)]
    sound = tuple(one for one in found if one is not None)
    return sound if len(sound) == len(found) else None


def _discount(reading: Reading, path: str, value: object) -> NewDiscount | None:
    members = read_object(reading, path, value)
    if members is None:
        return None
    before = len(reading.errors)
    values = read_members(reading, _DISCOUNT, members, inside=path)
    sent = [name for name in ("amount", "percent") if members.get(name) is not None]
    if not sent:
        reading.refuse(joined(path, "amount"), "Se necesita amount o percent.")
    elif len(sent) > 1:
        reading.refuse(joined(path, "percent"), "El campo no se admite junto con amount.")
    return NewDiscount(**values) if len(reading.errors) == before else None


def _channels(reading: Reading, path: str, value: object) -> tuple[str, ...] | None:
    elements = read_array(reading, path, value, low=1, high=len(CHANNELS))
    if elements is None:
        return None
    read = choice(*CHANNELS)
    found = [read(reading, f"{path}[{i}]", element) for i, element in enumerate(elements)]
    return tuple(dict.fromkeys(channel for channel in found if channel is not None))


def _fields(known: Known) -> Sequence[Field]:
    return (
        Field("customer", "customer_id", reference(ids.CUSTOMER), required=True),
        Field(items.PATH, "lines", items.items(known.prices), required=True),
        Field("type", "type", choice("one_time")),
        Field("currency", "currency", currency),
        Field("collection_method", "collection_method", choice(*METHODS)),
        Field("days_until_due", "days_until_due", days),
        Field("collection_rule_id", "rule_id", reference(ids.RULE)),
        Field("meta_data", "metadata", meta_data),
        Field("description", "description", text(1, DESCRIPTION_CHARS_MAX)),
        Field("discounts", "discounts", discounts),
        Field("tag", "tag", text(1, TAG_CHARS_MAX)),
    )


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A collection without invoice, as a body asks for it: what it charges, and less which discounts."""

    values: Mapping[str, Any]
    bill: Bill
    terms: Terms
    total_minor: int
    currency: str


def read_collection(reading: Reading, body: Mapping[str, Any], known: Known, new_id: Callable[[], UUID]) -> Draft:
    """The collection that POST /collections asks for (10.2). Raises InvalidError with every error, in order."""
    read_currency(reading, body)
    fields = _fields(known)
    values = read_members(reading, fields, body)
    lines: tuple[Line, ...] | None = values.get("lines")
    bill = None if lines is None else bill_of(reading, lines, (), new_id)
    terms, total_minor = Terms(), 0
    if bill is not None:
        asked: tuple[NewDiscount, ...] = values.get("discounts") or ()
        applied = worked_out(asked, bill.total_minor, currency=reading.currency, new_id=new_id)
        terms = Terms(base_minor=bill.total_minor, discounts=tuple(applied))
        total_minor = bill.total_minor - sum(d.amount_minor for d in applied)
        if total_minor <= 0:
            reading.refuse("discounts", "El total menos los descuentos debe ser mayor que 0.")
    reading.errors[:] = in_order(reading.errors, [field.name for field in fields], INNER_NAMES)
    reading.finish()
    assert bill is not None, "what cannot be charged was refused"
    return Draft(values=values, bill=bill, terms=terms, total_minor=total_minor, currency=reading.currency)


def opening(account: Account, draft: Draft, known: Known, today: date) -> OpenInvoice:
    """The core's command for a collection of this dialect: a request to pay, behind which stands no debt."""
    values = draft.values
    customer = known.customers[values["customer_id"]]
    due_on = later(today, values.get("days_until_due", 0))
    wire = {"tag": values["tag"]} if "tag" in values else {}
    return OpenInvoice(
        dialect=DIALECT,
        kind=InvoiceKind.REQUEST,
        amount_minor=draft.total_minor,
        name=draft.bill.items[0].name,
        description=values.get("description"),
        reference=customer.document_number,
        phone=customer.phone,
        email=customer.email,
        due_on=due_on,
        metadata=values.get("metadata", {}),
        customer_id=customer.id,
        customer=customer,
        wire={DIALECT: wire},
        currency=draft.currency,
        bill=draft.bill,
        plan=[Asking(amount_minor=draft.total_minor, due_on=due_on, terms=draft.terms)],
        rule_id=values.get("rule_id") or account.default_collection_rule,
        uses=uses(items.unused(known.prices)),
    )


_PART = (
    Field("amount", "amount_minor", amount(above_zero=True), required=True),
    Field("create_collection_with_balance", "ask_anew", flag),
    Field("days_until_due", "days_until_due", days),
    Field("collection_rule_id", "rule_id", reference(ids.RULE)),
    METHOD,
    PAID_DATE,
    REFERENCE,
)
_OF_THE_REST = ("days_until_due", "collection_rule_id")


def read_part(reading: Reading, body: Mapping[str, Any]) -> PartialPayment:
    """A payment in part (10.4). Raises InvalidError."""
    # No set: what was sent may be an object or a list, and neither has a hash.
    if body.get("create_collection_with_balance") in (None, False):
        ignored = [name for name in _OF_THE_REST if name in body]
        body = {name: value for name, value in body.items() if name not in ignored}
        reading.ignored += ignored
    values = read_members(reading, _PART, body)
    reading.finish()
    amount_minor: int = values["amount_minor"]
    rule_id: UUID | None = values.get("rule_id")

    def terms(case: Case, collection: Collection) -> Terms:
        rest = rest_terms(case.invoice, collection.due_minor - amount_minor)
        return msgspec.structs.replace(rest, rule_id=rule_id or (collection.terms or Terms()).rule_id)

    return PartialPayment(
        amount_minor=amount_minor,
        money=outside(values, amount_minor),
        ask_anew=bool(values.get("ask_anew")),
        days_until_due=values.get("days_until_due", 0),
        terms=terms,
    )


def rest_terms(of: Invoice, amount_minor: int) -> Terms:
    """The terms of a collection that asks for what is left, in minor units: of another one, or of a voided note."""
    title = f"Saldo de {shown.of_invoice(of, 'la ')}"
    return Terms(title=title, base_minor=amount_minor, wire={DIALECT: {"description": title}})


_TOTAL = (Field("total", "total_minor", amount(above_zero=False), required=True),)
_DISCOUNTS = (Field("discounts", "discounts", discounts, required=True),)
_SEND = (Field("channels", "channels", _channels),)


def message(channels: Sequence[str] | None) -> Callable[[CollectionView], Message]:
    """To whom a notice goes: by the channels that were named, else by each that the customer has (10.3)."""

    def receivers(view: CollectionView) -> Message:
        allow_collection(view.collection.state, CollectionCommand.REMIND)
        known = _addresses(view)
        wanted = [name for name in CHANNELS if known[name]] if channels is None else channels
        if not wanted or not all(known[name] for name in wanted):
            raise RefusedError(Refusal.COLLECTION_WITHOUT_CONTACT)
        return Message([(CHANNELS[name], address) for name in wanted for address in known[name]])

    return receivers


def _addresses(view: CollectionView) -> dict[str, list[str]]:
    """The customer's addresses as they are now, by channel; of one who is not registered, the invoice's."""
    it = view.customer
    phone, emails = (view.invoice.phone, (view.invoice.email,)) if it is None else (it.phone, (it.email, *it.emails))
    return {
        "whatsapp": [] if phone is None else [phone],
        "email": list(dict.fromkeys(address for address in emails if address is not None)),
    }


# --- Refusals ---


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    return error_reply("collection_not_editable") if isinstance(error, NotEditableError) else None


# --- Operations ---

FILTERS: queries.Filters = {
    "status": queries.words(*shown.COLLECTION_STATUSES),
    "customer": queries.object_id(ids.CUSTOMER),
    "invoice": queries.object_id(ids.COLLECTION),
    "invoice_number": queries.text,
    "type": queries.words(*shown.TYPES),
}


class CollectionActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /collections (10.2)."""
        call = Call(self._core, request)
        account = call.account
        known = await look_up(self._core, account, call.body)
        reading = call.reading(known.by_prefix())
        try:
            draft = read_collection(reading, call.body, known, partial(self._core.ids.new, reading.now))
            check_possible(account, draft.values)
        except (InvalidError, NotPossibleError) as error:
            return await replay_or_refuse(call, error)
        command = opening(account, draft, known, reading.today)
        looking = viewer(call)

        def respond(change: Change) -> tuple[int, bytes]:
            return calls.answer(shown.collection(shown.view_of(change, change.invoice.collection_id), looking))

        return call.done(await invoices.create(self._core, account, command, respond, once=call.once))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /collections/{id} (10.1)."""
        call = Call(self._core, request)
        view = await self._find(call)
        return call.ok(shown.collection(view, viewer(call)))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /collections (10.1)."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.COLLECTION, FILTERS)
        looking, account_id = viewer(call), call.account.id
        found = await self._core.lists.read(
            lambda connection: wholes.page_of_collections(connection, account_id, wanted, asked, today=looking.today)
        )
        rows = [shown.collection(it, looking) for it in found.items]
        return call.page(rows, has_more=found.has_more)

    async def send(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/send (10.3)."""
        call = Call(self._core, request)
        view = await self._find(call)
        try:
            channels = _read(call, _SEND, view).get("channels")
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        looking = viewer(call)

        def respond(sent: CollectionView) -> bytes:
            return calls.answer(shown.collection(sent, looking))[1]

        done = await collections.send(
            self._core, call.account, view.collection.id, message(channels), respond, once=call.once
        )
        return call.done(done)

    async def pay_part(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/partial_payment (10.4)."""
        call = Call(self._core, request)
        view = await self._find(call)
        known = await look_up(self._core, call.account, call.body)
        reading = call.reading(known.by_prefix())
        reading.currency = view.collection.currency
        try:
            command = read_part(reading, call.body)
            if shown.collection_method(view.invoice) != METHODS[0]:
                raise NotPossibleError("collection_type_not_supported")
        except (InvalidError, NotPossibleError) as error:
            return await replay_or_refuse(call, error)
        done = await collecting.pay_part(
            self._core, call.account, view.collection.id, command, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def pay(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/pay (10.5)."""
        call = Call(self._core, request)
        view = await self._find(call)
        try:
            money = read_money(call, view.collection.currency)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.pay_collection(
            self._core, call.account, view.collection.id, money, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def void(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/void (10.6)."""
        call = Call(self._core, request)
        view = await self._find(call)
        try:
            reason = read_reason(call) or REASON_DEFAULT
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.void_collection(
            self._core, call.account, view.collection.id, reason, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def give_up(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/mark_uncollectible (10.6)."""
        call = Call(self._core, request)
        view = await self._find(call)
        try:
            read_reason(call)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.give_up(
            self._core, call.account, view.collection.id, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def change_total(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/total (10.7)."""
        call = Call(self._core, request)
        view = await self._find(call)
        try:
            total_minor = _read(call, _TOTAL, view)["total_minor"]
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.change_total(
            self._core, call.account, view.collection.id, total_minor, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def change_items(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/items (10.7)."""
        call = Call(self._core, request)
        view = await self._find(call)
        known = await look_up(self._core, call.account, call.body)
        try:
            bill = self._read_items(call, view, known)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.change_items(
            self._core,
            call.account,
            view.collection.id,
            bill,
            self._respond(call, view),
            once=call.once,
            uses=uses(items.unused(known.prices)),
        )
        return call.done(done)

    def _read_items(self, call: Call, view: CollectionView, known: Known) -> Bill:
        reading = reading_in(call, view.collection.currency)
        fields = (Field(items.PATH, "lines", items.items(known.prices), required=True),)
        lines: tuple[Line, ...] | None = read_members(reading, fields, call.body).get("lines")
        bill = None if lines is None else bill_of(reading, lines, (), partial(self._core.ids.new, reading.now))
        reading.finish()
        assert bill is not None, "what cannot be charged was refused"
        return bill

    async def add_discounts(self, request: ApiRequest) -> Reply:
        """POST /collections/{id}/discounts (10.8)."""
        call = Call(self._core, request)
        view = await self._find(call)
        try:
            added = _read(call, _DISCOUNTS, view)["discounts"]
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        done = await collecting.add_discounts(
            self._core, call.account, view.collection.id, added, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def remove_discount(self, request: ApiRequest) -> Reply:
        """DELETE /collections/{id}/discounts/{sd_id} (10.8)."""
        call = Call(self._core, request)
        view = await self._find(call)
        discount_id = call.id(ids.DISCOUNT, 1)
        done = await collecting.remove_discount(
            self._core, call.account, view.collection.id, discount_id, self._respond(call, view), once=call.once
        )
        return call.done(done)

    async def _find(self, call: Call) -> CollectionView:
        """The collection in the path, by its id or by that of its invoice (6.9). Raises NotFoundError."""
        async with self._core.database.connection() as connection:
            found_id = await wholes.find_collection_id(connection, call.account.id, call.id(ids.COLLECTION))
            found = None if found_id is None else await view_collection(connection, call.account.id, found_id)
        if found is None:
            raise NotFoundError
        return found

    def _respond(self, call: Call, view: CollectionView) -> Respond:
        """The collection that an action was about, as the change left it."""
        looking, collection_id = viewer(call), view.collection.id
        return lambda change: calls.answer(shown.collection(shown.view_of(change, collection_id), looking))

    def routes(self) -> Sequence[Route]:
        """Every operation on collections."""
        one = "/collections/{collection_id}"
        return (
            calls.creates("/collections", self.create, "createCollection", "Crear un cobro sin factura"),
            calls.reads("/collections", self.list, "listCollections", "Listar cobros"),
            calls.reads(one, self.get, "getCollection", "Consultar un cobro"),
            calls.acts(f"{one}/send", self.send, "sendCollection", "Enviar un cobro al cliente"),
            calls.changes(f"{one}/partial_payment", self.pay_part, "payCollectionInPart", "Registrar un pago parcial"),
            calls.changes(f"{one}/pay", self.pay, "payCollection", "Registrar el pago de un cobro"),
            calls.acts(f"{one}/void", self.void, "voidCollection", "Anular un cobro"),
            calls.acts(
                f"{one}/mark_uncollectible",
                self.give_up,
                "markCollectionUncollectible",
                "Marcar un cobro como incobrable",
            ),
            calls.changes(f"{one}/total", self.change_total, "changeCollectionTotal", "Cambiar el total de un cobro"),
            calls.changes(f"{one}/items", self.change_items, "changeCollectionItems", "Cambiar los ítems de un cobro"),
            calls.changes(
                f"{one}/discounts", self.add_discounts, "addCollectionDiscounts", "Agregar descuentos a un cobro"
            ),
            calls.deletes(
                f"{one}/discounts/{{discount_id}}",
                self.remove_discount,
                "removeCollectionDiscount",
                "Quitar un descuento de un cobro",
            ),
        )


def _read(call: Call, fields: Sequence[Field], view: CollectionView) -> dict[str, Any]:
    """The body of an action, its money in the collection's currency. Raises InvalidError."""
    reading = reading_in(call, view.collection.currency)
    values = read_members(reading, fields, call.body)
    reading.finish()
    return values
