"""One sum over several invoices of a customer (Treli specification, 11.3)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from recaudo.dialects.treli import calls, ids, render, shown
from recaudo.dialects.treli.acting import METHOD, PAID_DATE, REFERENCE, outside, replay_or_refuse, viewer
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.fields import amount, currency, flag
from recaudo.dialects.treli.items import read_currency
from recaudo.dialects.treli.reading import Field, InvalidError, Reader, Reading, read_array, read_members
from recaudo.domain.changes import Change
from recaudo.domain.collecting import Share
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import wholes
from recaudo.store.customers import find_customer
from recaudo.usecases import collecting
from recaudo.usecases.collecting import SumOverInvoices
from recaudo.usecases.core import Core, NotFoundError

INVOICES_MAX = 500
PATH = "invoices"

Debts = Mapping[UUID, wholes.WholeInvoice]
"""Invoices by the ids that a body names them by."""


def _invoices(known: Debts, customer_id: UUID | None) -> Reader:
    """Invoices of one customer in the sum's currency, none of them twice."""

    def read(reading: Reading, path: str, value: object) -> tuple[UUID, ...] | None:
        elements = read_array(reading, path, value, low=1, high=INVOICES_MAX)
        found: dict[UUID, None] = {}
        for i, element in enumerate(elements or ()):
            place = f"{path}[{i}]"
            named = ids.read(ids.COLLECTION, element.strip()) if isinstance(element, str) else None
            it = None if named is None else known.get(named)
            if it is None or it.invoice.customer_id != customer_id:
                reading.refuse(place, "No existe una factura de este cliente con ese id.")
            elif it.invoice.currency != reading.currency:
                reading.refuse(place, f"La factura está en {it.invoice.currency} y no en {reading.currency}.")
            elif it.invoice.id in found:
                reading.refuse(place, "La factura está repetida.")
            else:
                found[it.invoice.id] = None
        return tuple(found)

    return read


def fields(known: Debts, customer_id: UUID | None) -> Sequence[Field]:
    """The table of the body."""
    return (
        Field("amount", "amount_minor", amount(above_zero=True), required=True),
        Field(PATH, "invoice_ids", _invoices(known, customer_id)),
        METHOD._replace(required=True),
        PAID_DATE,
        REFERENCE,
        Field("currency", "currency", currency),
        Field("keep_rest_as_credit", "keep_rest_as_credit", flag),
    )


def read_sum(reading: Reading, body: Mapping[str, Any], known: Debts, customer_id: UUID) -> SumOverInvoices:
    """What a body asks for. Raises InvalidError."""
    read_currency(reading, body)
    values = read_members(reading, fields(known, customer_id), body)
    reading.finish()
    return SumOverInvoices(
        customer_id=customer_id,
        currency=reading.currency,
        amount_minor=values["amount_minor"],
        invoice_ids=values.get("invoice_ids"),
        money=outside(values, values["amount_minor"]),
        keep_rest_as_credit=bool(values.get("keep_rest_as_credit")),
    )


class SumActions:
    """The handler of the route, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def pay(self, request: ApiRequest) -> Reply:
        """POST /customers/{id}/invoice_payments (11.3)."""
        call = Call(self._core, request)
        customer_id = call.id(ids.CUSTOMER)
        known = await self._look_up(call, customer_id)
        try:
            command = read_sum(call.reading(), call.body, known, customer_id)
        except InvalidError as error:
            return await replay_or_refuse(call, error)
        looking = viewer(call)

        def respond(changes: Sequence[Change], shares: Sequence[Share], rest_minor: int) -> tuple[int, bytes]:
            return calls.answer(answer(command, changes, shares, rest_minor, looking))

        return call.done(await collecting.pay_many(self._core, call.account, command, respond, once=call.once))

    async def _look_up(self, call: Call, customer_id: UUID) -> Debts:
        """The invoices that the body names, by either id (6.9). Raises NotFoundError for nobody's payment."""
        named = ids.named(call.body.get(PATH), ids.COLLECTION)
        async with self._core.database.connection() as connection:
            if await find_customer(connection, call.account.id, customer_id) is None:
                raise NotFoundError
            if not named:
                return {}
            found = await wholes.find_invoice_ids(connection, call.account.id, named)
            every = await wholes.whole_invoices(connection, call.account.id, list(set(found.values())))
        by_id = {it.invoice.id: it for it in every}
        return {asked: by_id[invoice_id] for asked, invoice_id in found.items()}

    def routes(self) -> Sequence[Route]:
        """The one operation."""
        path = "/customers/{customer_id}/invoice_payments"
        return (
            calls.changes(path, self.pay, "payInvoicesOfCustomer", "Repartir un pago entre facturas de un cliente"),
        )


def answer(
    command: SumOverInvoices, changes: Sequence[Change], shares: Sequence[Share], rest_minor: int, looking: shown.Viewer
) -> dict[str, Any]:
    """Where the sum went, in the order in which debts were filled."""
    currency = command.currency
    of: dict[UUID, Change] = {c.id: change for change in changes for c in change.after.collections}
    return {
        "customer": ids.shown(ids.CUSTOMER, command.customer_id),
        "amount": render.amount(command.amount_minor, currency),
        "allocated": render.amount(command.amount_minor - rest_minor, currency),
        "credited": render.amount(rest_minor, currency),
        "allocations": [
            {
                "invoice": ids.shown(ids.COLLECTION, of[share.collection_id].invoice.id),
                "collection": ids.shown(ids.COLLECTION, share.collection_id),
                "amount": render.amount(share.amount_minor, currency),
                "invoice_status": shown.invoice_status(shown.whole(of[share.collection_id]), looking.today),
            }
            for share in shares
        ],
    }
