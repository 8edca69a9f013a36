"""The registers that invoices refer to: make, change and delete products, prices, retentions and rules of reminders.

Each is one transaction with the answer kept for `once`. What `values` and `fields` raise leaves nothing written; they
are called once the key is known to be new and the row is locked.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from recaudo.domain.model import Account
from recaudo.store import catalogue
from recaudo.store.catalogue import Price, Product, Retention, Rule
from recaudo.store.database import Connection
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.registers import Act, kept

Values = Mapping[str, Any]
Products = Mapping[UUID, Product]
Answer = tuple[int, bytes]
Record = TypeVar("Record", Product, Price, Retention, Rule)


class ProductInUseError(Exception):
    """The product has active prices."""


class ProductGoneError(Exception):
    """The price cannot be active: its product was deleted."""


class PriceInUseError(Exception):
    """An invoice uses the price: nothing but `active` may change."""


class RetentionFixedError(Exception):
    """These fields cannot change: the kind never, what it takes not once an invoice uses it."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


# --- Products ---


async def create_product(
    core: Core,
    account: Account,
    values: Callable[[], Values],
    respond: Callable[[Product], Answer],
    *,
    once: Once | None,
) -> Done:
    """Make a product. Raises KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        made = Product(**_new(core, account), **values())
        await catalogue.insert_product(connection, made)
        return respond(made)

    return await _run(core, account, act, once)


async def change_product(
    core: Core,
    account: Account,
    product_id: UUID,
    fields: Callable[[Product], Values],
    respond: Callable[[Product], Answer],
    *,
    once: Once | None,
) -> Done:
    """Change a product; invoices keep what it was. Raises NotFoundError and KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        before = _there(await catalogue.lock_product(connection, account.id, product_id))
        after = msgspec.structs.replace(before, updated_at=core.now(account), **fields(before))
        await catalogue.update_product(connection, after)
        return respond(after)

    return await _run(core, account, act, once)


async def delete_product(
    core: Core, account: Account, product_id: UUID, respond: Callable[[Product], Answer], *, once: Once | None
) -> Done:
    """Delete a product that has no active price. Raises NotFoundError, ProductInUseError and KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        before = _there(await catalogue.lock_product(connection, account.id, product_id))
        if await catalogue.has_active_prices(connection, account.id, product_id):
            raise ProductInUseError
        await catalogue.update_product(connection, _deleted(core, account, before))
        return respond(before)

    return await _run(core, account, act, once)


# --- Prices ---


async def create_price(
    core: Core,
    account: Account,
    values: Callable[[Products], Values],
    respond: Callable[[Price], Answer],
    *,
    product_ids: Sequence[UUID],
    once: Once | None,
) -> Done:
    """Make a price of a product. `values` gets those of `product_ids` that are there. Raises KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        products = await catalogue.hold_products(connection, account.id, product_ids)
        made = Price(**_new(core, account), **values(products))
        await catalogue.insert_price(connection, made)
        return respond(made)

    return await _run(core, account, act, once)


async def change_price(
    core: Core,
    account: Account,
    price_id: UUID,
    fields: Callable[[Price, Products], Values],
    respond: Callable[[Price], Answer],
    *,
    product_ids: Sequence[UUID],
    once: Once | None,
) -> Done:
    """Change a price: `active` at any time, all else only while no item uses it.

    `fields` gets those of `product_ids` that are there, and the price's own product if it is.

    Raises NotFoundError, PriceInUseError, ProductGoneError and KeyReusedError.
    """

    async def act(connection: Connection) -> Answer:
        before = _there(await catalogue.lock_price(connection, account.id, price_id))
        products = await catalogue.hold_products(connection, account.id, [*product_ids, before.product_id])
        after = msgspec.structs.replace(before, updated_at=core.now(account), **fields(before, products))
        if before.used_at is not None and _without_active(after) != _without_active(before):
            raise PriceInUseError
        if after.active and not before.active and after.product_id not in products:
            raise ProductGoneError
        await catalogue.update_price(connection, after)
        return respond(after)

    return await _run(core, account, act, once)


async def delete_price(
    core: Core, account: Account, price_id: UUID, respond: Callable[[Price], Answer], *, once: Once | None
) -> Done:
    """Delete a price; invoices keep it. Raises NotFoundError and KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        before = _there(await catalogue.lock_price(connection, account.id, price_id))
        await catalogue.update_price(connection, _deleted(core, account, before))
        return respond(before)

    return await _run(core, account, act, once)


def _without_active(price: Price) -> Price:
    return msgspec.structs.replace(price, active=True, updated_at=price.created_at)


# --- Retentions ---


async def create_retention(
    core: Core,
    account: Account,
    values: Callable[[], Values],
    respond: Callable[[Retention], Answer],
    *,
    once: Once | None,
) -> Done:
    """Define a retention in the account's currency. Raises KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        made = Retention(**_new(core, account), currency=account.currency, **values())
        await catalogue.insert_retention(connection, made)
        return respond(made)

    return await _run(core, account, act, once)


async def change_retention(
    core: Core,
    account: Account,
    retention_id: UUID,
    fields: Callable[[Retention], Values],
    respond: Callable[[Retention], Answer],
    *,
    once: Once | None,
) -> Done:
    """Change a retention. Raises NotFoundError, RetentionFixedError and KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        before = _there(await catalogue.lock_retention(connection, account.id, retention_id))
        after = msgspec.structs.replace(before, updated_at=core.now(account), **fields(before))
        _check_fixed(before, after)
        await catalogue.update_retention(connection, after)
        return respond(after)

    return await _run(core, account, act, once)


def _check_fixed(before: Retention, after: Retention) -> None:
    fixed = ["kind"] if before.used_at is None else ["kind", "percentage", "minimum_base_minor"]
    touched = [name for name in fixed if getattr(before, name) != getattr(after, name)]
    if touched:
        raise RetentionFixedError(touched)


# --- Rules of reminders ---


async def create_rule(
    core: Core, account: Account, values: Callable[[], Values], respond: Callable[[Rule], Answer], *, once: Once | None
) -> Done:
    """Make a rule. Raises KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        made = Rule(**_new(core, account), **values())
        await catalogue.insert_rule(connection, made)
        return respond(made)

    return await _run(core, account, act, once)


async def change_rule(
    core: Core,
    account: Account,
    rule_id: UUID,
    fields: Callable[[Rule], Values],
    respond: Callable[[Rule], Answer],
    *,
    once: Once | None,
) -> Done:
    """Change a rule. Raises NotFoundError and KeyReusedError."""

    async def act(connection: Connection) -> Answer:
        before = _there(await catalogue.lock_rule(connection, account.id, rule_id))
        after = msgspec.structs.replace(before, updated_at=core.now(account), **fields(before))
        await catalogue.update_rule(connection, after)
        return respond(after)

    return await _run(core, account, act, once)


# --- Parts ---


async def _run(core: Core, account: Account, act: Act, once: Once | None) -> Done:
    return await repeated(partial(kept, core, account, act, once=once))


def _new(core: Core, account: Account) -> dict[str, Any]:
    """What every new record has."""
    moment = core.moment(account)
    return {"account_id": account.id, "id": moment.new_id(), "created_at": moment.now, "updated_at": moment.now}


def _deleted(core: Core, account: Account, it: Record) -> Record:
    now = core.now(account)
    return msgspec.structs.replace(it, updated_at=now, deleted_at=now)


def _there(found: Record | None) -> Record:
    """Raises NotFoundError for None."""
    if found is None:
        raise NotFoundError
    return found
