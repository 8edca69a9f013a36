"""Products: bodies, operations and answers (Treli specification, 6.3 and section 12)."""

from collections.abc import Mapping, Sequence
from typing import Any

from recaudo.dialects.treli import calls, ids, queries, render
from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.errors import error_reply
from recaudo.dialects.treli.fields import choice, percentage, text, url
from recaudo.dialects.treli.reading import Field, Reading, read_members, read_object
from recaudo.domain.model import Account
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest, Route
from recaudo.store import catalogue as stored
from recaudo.store.catalogue import Product
from recaudo.usecases import catalogue
from recaudo.usecases.catalogue import ProductInUseError
from recaudo.usecases.core import Core, NotFoundError

STATUSES = ("active", "inactive")
NAME_CHARS_MAX = 255
DESCRIPTION_CHARS_MAX = 1000
REF_CHARS_MAX = 100
PERCENTAGE_DECIMALS_MAX = 4
SETTINGS = "invoice_settings"
REFS: Mapping[str, str] = {
    "product_merchant_id": "merchant",
    "product_invoicing_id": "invoicing",
    "product_shopify_id": "shopify",
    "product_woocommerce_id": "woocommerce",
}
"""The product's ids in other systems, and what the core calls the systems."""

TAX = (
    Field("invoice_tax_id", "tax_id", text(1, REF_CHARS_MAX)),
    Field(
        "invoice_tax_percentage",
        "tax_percentage",
        percentage(above_zero=False, decimals_max=PERCENTAGE_DECIMALS_MAX),
    ),
)


def _settings(reading: Reading, path: str, value: object) -> dict[str, Any] | None:
    members = read_object(reading, path, value)
    return None if members is None else read_members(reading, TAX, members, inside=path)


PRODUCT = (
    Field("name", "name", text(1, NAME_CHARS_MAX), required=True),
    Field("description", "description", text(0, DESCRIPTION_CHARS_MAX)),
    Field("status", "status", choice(*STATUSES)),
    *(Field(name, name, text(1, REF_CHARS_MAX)) for name in REFS),
    Field("image", "image", url),
    Field(SETTINGS, SETTINGS, _settings),
)
FILTERS: queries.Filters = {"status": queries.words(*STATUSES)}


# --- Bodies ---


def read_product(reading: Reading, body: Mapping[str, Any]) -> dict[str, Any]:
    """The core's names and values of a whole product. Raises InvalidError."""
    values = read_members(reading, PRODUCT, body)
    reading.finish()
    settings: dict[str, Any] = values.get(SETTINGS) or {}
    return {
        "name": values["name"],
        "description": values.get("description"),
        "status": values.get("status", STATUSES[0]),
        "refs": {core: values[name] for name, core in REFS.items() if name in values},
        "image": values.get("image"),
        "tax_id": settings.get("tax_id"),
        "tax_percentage": settings.get("tax_percentage"),
    }


def read_changes(reading: Reading, it: Product, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The new values of a product: what is kept with what was sent laid over it, read as a whole.

    Members of invoice_settings are laid over one by one. Raises InvalidError.
    """
    kept = shown(it, reading.account)
    body = {field.name: kept[field.name] for field in PRODUCT} | dict(sent)
    settings = sent.get(SETTINGS)
    if isinstance(settings, dict):
        body[SETTINGS] = {**kept[SETTINGS], **settings}
    return read_product(reading, body)


# --- Answers ---


def shown(it: Product, account: Account) -> dict[str, Any]:
    """A product as clients know it (6.3). Items of invoices keep this as a snapshot."""
    percent = it.tax_percentage
    return {
        "id": ids.shown(ids.PRODUCT, it.id),
        "name": it.name,
        "description": it.description,
        "status": it.status,
        **{name: it.refs.get(core) for name, core in REFS.items()},
        "created_date": render.created(it.created_at, account),
        "image": it.image,
        "is_test": account.is_test,
        SETTINGS: {
            "invoice_tax_id": it.tax_id,
            "invoice_tax_percentage": None if percent is None else render.number(percent),
        },
    }


def refused(error: Exception) -> Reply | None:
    """The answer to an error of these operations."""
    return error_reply("product_in_use") if isinstance(error, ProductInUseError) else None


# --- Operations ---


class ProductActions:
    """Handlers of the routes, over one core."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(self, request: ApiRequest) -> Reply:
        """POST /products."""
        call = Call(self._core, request)

        def values() -> dict[str, Any]:
            return read_product(call.reading(), call.body)

        def respond(made: Product) -> tuple[int, bytes]:
            return calls.answer(shown(made, call.account))

        return call.done(await catalogue.create_product(self._core, call.account, values, respond, once=call.once))

    async def change(self, request: ApiRequest) -> Reply:
        """POST /products/{id}."""
        call = Call(self._core, request)

        def fields(it: Product) -> dict[str, Any]:
            return read_changes(call.reading(), it, call.body)

        def respond(it: Product) -> tuple[int, bytes]:
            return calls.answer(shown(it, call.account))

        product_id = call.id(ids.PRODUCT)
        done = await catalogue.change_product(self._core, call.account, product_id, fields, respond, once=call.once)
        return call.done(done)

    async def delete(self, request: ApiRequest) -> Reply:
        """DELETE /products/{id}."""
        call = Call(self._core, request)

        def respond(it: Product) -> tuple[int, bytes]:
            return calls.deleted(ids.PRODUCT, it.id)

        product_id = call.id(ids.PRODUCT)
        return call.done(await catalogue.delete_product(self._core, call.account, product_id, respond, once=call.once))

    async def get(self, request: ApiRequest) -> Reply:
        """GET /products/{id}."""
        call = Call(self._core, request)
        product_id = call.id(ids.PRODUCT)
        async with self._core.database.connection() as connection:
            found = await stored.find_product(connection, call.account.id, product_id)
        if found is None:
            raise NotFoundError
        return call.ok(shown(found, call.account))

    async def list(self, request: ApiRequest) -> Reply:
        """GET /products."""
        call = Call(self._core, request)
        wanted, asked = call.list(ids.PRODUCT, FILTERS)
        async with self._core.database.connection() as connection:
            found = await stored.list_products(connection, call.account.id, wanted, asked)
        return call.page([shown(it, call.account) for it in found.items], has_more=found.has_more)

    def routes(self) -> Sequence[Route]:
        """Every operation on products."""
        one = "/products/{product_id}"
        return (
            calls.creates("/products", self.create, "createProduct", "Crear un producto"),
            calls.reads("/products", self.list, "listProducts", "Listar productos"),
            calls.reads(one, self.get, "getProduct", "Consultar un producto"),
            calls.changes(one, self.change, "updateProduct", "Cambiar un producto"),
            calls.deletes(one, self.delete, "deleteProduct", "Eliminar un producto"),
        )
