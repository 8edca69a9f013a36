"""Customers: bodies, operations and answers (Treli specification, 6.6, 11.1 and 11.2)."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from recaudo.dialects.treli import addresses, calls, ids, queries, render
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.errors import FieldError, error_reply
from recaudo.dialects.treli.fields import email, text
from recaudo.dialects.treli.reading import Field, InvalidError, Reading, read_array, read_members
from recaudo.domain.model import Account, Customer
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import customers as stored
from recaudo.store.database import Connection
from recaudo.store.lists import CursorPage
from recaudo.usecases import customers
from recaudo.usecases.core import Core, NotFoundError
from recaudo.usecases.customers import DocumentTakenError, RegisterCustomer

NAME_CHARS_MAX = 255
EMAILS_MAX = 10
CONTACT_MESSAGE = "Se necesita el correo (email) o el teléfono (billing_address.phone)."


def emails(reading: Reading, path: str, value: object) -> tuple[str, ...] | None:
    """Further receivers of notices."""
    found = read_array(reading, path, value, low=0, high=EMAILS_MAX)
    if found is None:
        return None
    return tuple(read for i, one in enumerate(found) if (read := email(reading, f"{path}[{i}]", one)) is not None)


CUSTOMER = (
    Field("email", "email", email),
    Field("full_name", "full_name", text(1, NAME_CHARS_MAX), required=True),
    Field(addresses.PATH, "address", addresses.read_address),
    Field("collection_emails", "emails", emails),
)
FILTERS: queries.Filters = {"email": queries.email, "identification": queries.text}


# --- Bodies ---


def read_customer(reading: Reading, body: Mapping[str, Any], *, needs_contact: bool = True) -> dict[str, Any]:
    """The core's names and values of a whole customer. Raises InvalidError."""
    if body.get(addresses.PATH) is None:
        body = {**body, addresses.PATH: {}}
    values = read_members(reading, CUSTOMER, body)
    values.update(values.pop("address", None) or {})
    if needs_contact and body.get("email") is None and _has_no_phone(body[addresses.PATH]):
        reading.refuse("email", CONTACT_MESSAGE)
    reading.errors.sort(key=_place)
    reading.finish()
    # The whole name is one text here, and the first of two elsewhere.
    name = values.pop("full_name")
    return {"email": None, "emails": (), **values, "first_name": name, "last_name": None}


def read_changes(reading: Reading, it: Customer, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The new values of a customer: what is kept with what was sent laid over it, read as a whole.

    A name that was not sent stays as it is, in its two parts; one who has a contact keeps one. Raises InvalidError.
    """
    body = {"email": it.email, "full_name": full_name(it), "collection_emails": list(it.emails), **sent}
    address: object = sent.get(addresses.PATH, {})
    if isinstance(address, dict):
        body[addresses.PATH] = addresses.merged_address(it, cast("dict[str, Any]", address))
    values = read_customer(reading, body, needs_contact=(it.email or it.phone) is not None)
    if "full_name" not in sent:
        values |= {"first_name": it.first_name, "last_name": it.last_name}
    return values


def _has_no_phone(address: object) -> bool:
    """Whether an address was sent without a telephone; one that is no address is refused for that."""
    if not isinstance(address, dict):
        return False
    phone: object = cast("dict[str, object]", address).get("phone")
    return phone is None or (isinstance(phone, str) and not phone.strip())


def _place(error: FieldError) -> tuple[int, int]:
    """Where a field stands in the tables."""
    top, _, inner = error.field.partition(".")
    return _index(top.partition("[")[0], CUSTOMER), _index(inner, addresses.FIELDS)


def _index(name: str, fields: Sequence[Field]) -> int:
    return next((i for i, field in enumerate(fields) if field.name == name), len(fields))


# --- Answers ---


def full_name(it: Customer) -> str:
    """One name; of a customer known only by a payment's reference, that."""
    return " ".join(part for part in (it.first_name, it.last_name) if part) or it.reference or ""


def shown(it: Customer, credit_minor: int, account: Account) -> dict[str, Any]:
    """A customer as clients know them (6.6)."""
    return {
        "id": ids.shown(ids.CUSTOMER, it.id),
        "email": it.email,
        "full_name": full_name(it),
        "created_date": render.created(it.created_at, account),
        "is_test": account.is_test,
        "billing_address": addresses.shown_address(it),
        "default_payment_method": None,
        "is_deleted": it.deleted_at is not None,
        "collection_emails": list(it.emails),
        "credit_balance": render.amount(credit_minor, account.currency),
    }


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    if not isinstance(error, DocumentTakenError):
        return None
    return error_reply(
        "customer_exists",
        errors=[FieldError("billing_address.identification", "Ya está en uso.")],
        existing_id=ids.shown(ids.CUSTOMER, error.existing_id),
    )


# --- Operations ---


class CustomerActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /customers (11.1)."""
        call = Call(self._core, request)
        account = call.account
        try:
            command = RegisterCustomer(**read_customer(call.reading(), call.body))
        except InvalidError as error:
            return await call.replay_or_refuse(error)

        def respond(made: Customer) -> tuple[int, bytes]:
            return calls.answer(shown(made, 0, account))

        return call.done(await customers.register(self._core, account, command, respond, once=call.once))

    async def change(self, request: ApiRequest) -> Reply:
        """POST /customers/{id} (11.1)."""
        call = Call(self._core, request)
        account = call.account

        def fields(it: Customer) -> dict[str, Any]:
            return read_changes(call.reading(), it, call.body)

        def respond(it: Customer, credit_minor: int) -> tuple[int, bytes]:
            return calls.answer(shown(it, credit_minor, account))

        done = await customers.change(self._core, account, call.id(ids.CUSTOMER), fields, respond, once=call.once)
        return call.done(done)

    async def delete(self, request: ApiRequest) -> Reply:
        """DELETE /customers/{id}: off the list; answered by id ever after (11.2)."""
        call = Call(self._core, request)
        customer_id = call.id(ids.CUSTOMER)

        def respond(it: Customer) -> tuple[int, bytes]:
            return calls.deleted(ids.CUSTOMER, it.id)

        return call.done(await customers.delete(self._core, call.account, customer_id, respond, once=call.once))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /customers/{id} (11.2): a deleted one too, and one known only by a reference."""
        call = Call(self._core, request)
        account, customer_id = call.account, call.id(ids.CUSTOMER)
        async with self._core.database.connection() as connection:
            found = await stored.find_customer(connection, account.id, customer_id)
            if found is None:
                raise NotFoundError
            credit = await stored.credits_of(connection, account.id, [found.id], currency=account.currency)
        return call.ok(shown(found, credit.get(found.id, 0), account))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /customers (11.2)."""
        call = Call(self._core, request)
        account = call.account
        wanted, asked = call.list(ids.CUSTOMER, FILTERS)

        async def look(connection: Connection) -> tuple[CursorPage[Customer], Mapping[UUID, int]]:
            found = await stored.list_newest_customers(connection, account.id, wanted, asked)
            everyone = [it.id for it in found.items]
            return found, await stored.credits_of(connection, account.id, everyone, currency=account.currency)

        found, credit = await self._core.lists.read(look)
        rows = [shown(it, credit.get(it.id, 0), account) for it in found.items]
        return call.page(rows, has_more=found.has_more)

    def routes(self) -> Sequence[Route]:
        """Every operation on customers."""
        one = "/customers/{customer_id}"
        return (
            calls.creates("/customers", self.create, "createCustomer", "Crear un cliente"),
            calls.reads("/customers", self.list, "listCustomers", "Listar clientes"),
            calls.reads(one, self.get, "getCustomer", "Consultar un cliente"),
            calls.changes(one, self.change, "updateCustomer", "Cambiar un cliente"),
            calls.deletes(one, self.delete, "deleteCustomer", "Eliminar un cliente"),
        )
