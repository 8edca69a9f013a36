"""The registers that invoices refer to: products and their prices, retentions, rules of reminders.

Nothing here is the state of an invoice: invoices keep what they were made with. What is deleted stays, unseen. A
record's fields stand in the order of its table's columns.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from recaudo.domain import pricing, retaining
from recaudo.domain.pricing import PriceModel, Tax, Tier
from recaudo.domain.retaining import RetentionKind
from recaudo.store.database import Connection
from recaudo.store.lists import CursorPage, CursorRequest, fetch_newest
from recaudo.store.rows import Record

Asked = Mapping[str, Sequence[object]]
"""Values by filter; a filter without values matches nothing."""

Struct = TypeVar("Struct", bound=msgspec.Struct)


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold, and its tax."""

    account_id: UUID
    id: UUID
    name: str
    description: str | None = None
    status: str = "active"
    refs: dict[str, str] = {}  # its ids in other systems, by system
    image: str | None = None
    tax_id: str | None = None
    tax_percentage: Decimal | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def tax(self) -> Tax | None:
        """The tax of its lines."""
        return None if self.tax_percentage is None else Tax(self.tax_percentage, self.tax_id)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a product costs. `unit_price_minor` is None with tiers."""

    account_id: UUID
    id: UUID
    product_id: UUID
    model: PriceModel = PriceModel.STANDARD
    unit_price_minor: int | None = None
    tiers: tuple[Tier, ...] = ()
    currency: str
    type: str = "one_time"
    billing_period: str | None = None
    billing_interval: int | None = None
    active: bool = True
    created_at: datetime
    updated_at: datetime
    used_at: datetime | None = None  # since when an invoice uses it
    deleted_at: datetime | None = None

    @property
    def rule(self) -> pricing.Price:
        """What units cost, as the arithmetic takes it."""
        return pricing.Price(model=self.model, unit_price_minor=self.unit_price_minor, tiers=self.tiers)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What payers withhold. Days are of the account's time zone."""

    account_id: UUID
    id: UUID
    kind: RetentionKind
    name: str
    percentage: Decimal
    minimum_base_minor: int = 0
    currency: str
    valid_from: date | None = None
    valid_until: date | None = None
    active: bool = True
    created_at: datetime
    updated_at: datetime
    used_at: datetime | None = None  # since when an invoice uses it

    @property
    def rule(self) -> retaining.Retention:
        """The retention as the arithmetic takes it."""
        return retaining.Retention(
            id=self.id,
            kind=self.kind,
            percentage=self.percentage,
            minimum_base_minor=self.minimum_base_minor,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            active=self.active,
        )


class RuleMoment(msgspec.Struct, frozen=True):
    """One reminder: `days` before or after the due day, 0 on it."""

    moment: str  # before, on, after
    days: int
    channel: str  # email, whatsapp


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """When payers are reminded."""

    account_id: UUID
    id: UUID
    name: str
    moments: tuple[RuleMoment, ...] = ()
    created_at: datetime
    updated_at: datetime


class PricedProduct(msgspec.Struct, frozen=True):
    """A price with its product."""

    price: Price
    product: Product


# --- Products ---


async def insert_product(connection: Connection, it: Product) -> None:
    """Write a new product."""
    await connection.execute("INSERT INTO product SELECT * FROM unnest($1::product[])", [_row(it)])


async def update_product(connection: Connection, it: Product) -> None:
    """Overwrite what may change. The caller holds the row's lock."""
    await connection.execute(
        """
        UPDATE product SET name = n.name, description = n.description, status = n.status, refs = n.refs,
            image = n.image, tax_id = n.tax_id, tax_percentage = n.tax_percentage, updated_at = n.updated_at,
            deleted_at = n.deleted_at
        FROM unnest($1::product[]) n WHERE product.account_id = n.account_id AND product.id = n.id
        """,
        [_row(it)],
    )


async def find_product(connection: Connection, account_id: UUID, product_id: UUID) -> Product | None:
    """A product that was not deleted."""
    record = await connection.fetchrow(
        "SELECT * FROM product WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL", account_id, product_id
    )
    return None if record is None else product_of(record)


async def lock_product(connection: Connection, account_id: UUID, product_id: UUID) -> Product | None:
    """The same, locked until the transaction ends: prices that are made or activated meanwhile wait."""
    record = await connection.fetchrow(
        "SELECT * FROM product WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE",
        account_id,
        product_id,
    )
    return None if record is None else product_of(record)


async def hold_products(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Product]:
    """Products that are there and stay there until the transaction ends, by id."""
    records = await connection.fetch(
        """
        SELECT * FROM product WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND deleted_at IS NULL
        ORDER BY id FOR SHARE
        """,
        account_id,
        list(ids),
    )
    return {r["id"]: product_of(r) for r in records}


async def has_active_prices(connection: Connection, account_id: UUID, product_id: UUID) -> bool:
    """Whether a product has a price that new invoices may use."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT 1 FROM price
            WHERE account_id = $1 AND product_id = $2 AND active AND deleted_at IS NULL)
        """,
        account_id,
        product_id,
    )
    return found


async def list_products(
    connection: Connection, account_id: UUID, request: CursorRequest, asked: Asked
) -> CursorPage[Product]:
    """One page of products. Raises UnknownCursorError."""
    return await fetch_newest(
        connection,
        "product",
        where="t.deleted_at IS NULL",
        filters={"status": "t.status = ANY ({}::text[])"},
        asked=asked,
        account_id=account_id,
        request=request,
        to_row=product_of,
    )


def product_of(record: Record) -> Product:
    """The product in a row."""
    return _record_of(Product, record)


# --- Prices ---


async def insert_price(connection: Connection, it: Price) -> None:
    """Write a new price."""
    await connection.execute("INSERT INTO price SELECT * FROM unnest($1::price[])", [_row(it)])


async def update_price(connection: Connection, it: Price) -> None:
    """Overwrite what may change. The caller holds the row's lock."""
    await connection.execute(
        """
        UPDATE price SET product_id = n.product_id, model = n.model, unit_price_minor = n.unit_price_minor,
            tiers = n.tiers, currency = n.currency, type = n.type, billing_period = n.billing_period,
            billing_interval = n.billing_interval, active = n.active, updated_at = n.updated_at,
            deleted_at = n.deleted_at
        FROM unnest($1::price[]) n WHERE price.account_id = n.account_id AND price.id = n.id
        """,
        [_row(it)],
    )


async def find_price(connection: Connection, account_id: UUID, price_id: UUID) -> Price | None:
    """A price that was not deleted."""
    record = await connection.fetchrow(
        "SELECT * FROM price WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL", account_id, price_id
    )
    return None if record is None else price_of(record)


async def lock_price(connection: Connection, account_id: UUID, price_id: UUID) -> Price | None:
    """The same, locked until the transaction ends: invoices that begin to use it meanwhile wait."""
    record = await connection.fetchrow(
        "SELECT * FROM price WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE",
        account_id,
        price_id,
    )
    return None if record is None else price_of(record)


async def find_priced(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, PricedProduct]:
    """Prices with their products, neither of them deleted, by the price's id."""
    prices = await connection.fetch(
        "SELECT * FROM price WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND deleted_at IS NULL",
        account_id,
        list(ids),
    )
    products = await connection.fetch(
        "SELECT * FROM product WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND deleted_at IS NULL",
        account_id,
        [r["product_id"] for r in prices],
    )
    known = {r["id"]: product_of(r) for r in products}
    return {r["id"]: PricedProduct(price_of(r), known[r["product_id"]]) for r in prices if r["product_id"] in known}


async def price_is_used(connection: Connection, account_id: UUID, price_id: UUID) -> bool:
    """Whether an item of an invoice or a collection uses this price."""
    used: bool | None = await connection.fetchval(
        "SELECT used_at IS NOT NULL FROM price WHERE account_id = $1 AND id = $2", account_id, price_id
    )
    return bool(used)


async def mark_used(
    connection: Connection, account_id: UUID, price_ids: Sequence[UUID], retention_ids: Sequence[UUID], at: datetime
) -> None:
    """Note that invoices use these prices and retentions from now on: what they charge by no longer changes.

    Belongs into the transaction that writes the invoice. What is marked already is not locked again, so that invoices
    of one price do not wait for each other.
    """
    await connection.execute(
        """
        WITH prices AS (
            SELECT account_id, id FROM price
            WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND used_at IS NULL ORDER BY id FOR UPDATE
        ), retentions AS (
            SELECT account_id, id FROM retention
            WHERE account_id = $1 AND id = ANY ($3::uuid[]) AND used_at IS NULL ORDER BY id FOR UPDATE
        ), marked AS (
            UPDATE price SET used_at = $4 FROM prices p WHERE price.account_id = p.account_id AND price.id = p.id
        )
        UPDATE retention SET used_at = $4 FROM retentions r
        WHERE retention.account_id = r.account_id AND retention.id = r.id
        """,
        account_id,
        list(price_ids),
        list(retention_ids),
        at,
    )


async def list_prices(
    connection: Connection, account_id: UUID, request: CursorRequest, asked: Asked
) -> CursorPage[Price]:
    """One page of prices. Raises UnknownCursorError."""
    return await fetch_newest(
        connection,
        "price",
        where="t.deleted_at IS NULL",
        filters={
            "product_id": "t.product_id = ANY ({}::uuid[])",
            "active": "t.active = ANY ({}::boolean[])",
            "currency": "t.currency = ANY ({}::text[])",
        },
        asked=asked,
        account_id=account_id,
        request=request,
        to_row=price_of,
    )


def price_of(record: Record) -> Price:
    """The price in a row."""
    return _record_of(Price, record)


# --- Retentions ---


async def insert_retention(connection: Connection, it: Retention) -> None:
    """Write a new retention."""
    await connection.execute("INSERT INTO retention SELECT * FROM unnest($1::retention[])", [_row(it)])


async def update_retention(connection: Connection, it: Retention) -> None:
    """Overwrite what may change. The caller holds the row's lock."""
    await connection.execute(
        """
        UPDATE retention SET name = n.name, percentage = n.percentage, minimum_base_minor = n.minimum_base_minor,
            valid_from = n.valid_from, valid_until = n.valid_until, active = n.active, updated_at = n.updated_at
        FROM unnest($1::retention[]) n WHERE retention.account_id = n.account_id AND retention.id = n.id
        """,
        [_row(it)],
    )


async def find_retentions(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Retention]:
    """Retentions by id."""
    records = await connection.fetch(
        "SELECT * FROM retention WHERE account_id = $1 AND id = ANY ($2::uuid[])", account_id, list(ids)
    )
    return {r["id"]: retention_of(r) for r in records}


async def lock_retention(connection: Connection, account_id: UUID, retention_id: UUID) -> Retention | None:
    """A retention, locked until the transaction ends: invoices that begin to use it meanwhile wait."""
    record = await connection.fetchrow(
        "SELECT * FROM retention WHERE account_id = $1 AND id = $2 FOR UPDATE", account_id, retention_id
    )
    return None if record is None else retention_of(record)


async def list_retentions(
    connection: Connection, account_id: UUID, request: CursorRequest, asked: Asked
) -> CursorPage[Retention]:
    """One page of retentions. Raises UnknownCursorError."""
    return await fetch_newest(
        connection,
        "retention",
        where="true",
        filters={"kind": "t.kind = ANY ({}::text[])", "active": "t.active = ANY ({}::boolean[])"},
        asked=asked,
        account_id=account_id,
        request=request,
        to_row=retention_of,
    )


def retention_of(record: Record) -> Retention:
    """The retention in a row."""
    return _record_of(Retention, record)


# --- Rules of reminders ---


async def insert_rule(connection: Connection, it: Rule) -> None:
    """Write a new rule."""
    await connection.execute("INSERT INTO collection_rule SELECT * FROM unnest($1::collection_rule[])", [_row(it)])


async def update_rule(connection: Connection, it: Rule) -> None:
    """Overwrite what may change. The caller holds the row's lock."""
    await connection.execute(
        """
        UPDATE collection_rule SET name = n.name, moments = n.moments, updated_at = n.updated_at
        FROM unnest($1::collection_rule[]) n
        WHERE collection_rule.account_id = n.account_id AND collection_rule.id = n.id
        """,
        [_row(it)],
    )


async def find_rules(connection: Connection, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Rule]:
    """Rules by id."""
    records = await connection.fetch(
        "SELECT * FROM collection_rule WHERE account_id = $1 AND id = ANY ($2::uuid[])", account_id, list(ids)
    )
    return {r["id"]: rule_of(r) for r in records}


async def lock_rule(connection: Connection, account_id: UUID, rule_id: UUID) -> Rule | None:
    """A rule, locked until the transaction ends."""
    record = await connection.fetchrow(
        "SELECT * FROM collection_rule WHERE account_id = $1 AND id = $2 FOR UPDATE", account_id, rule_id
    )
    return None if record is None else rule_of(record)


async def list_rules(
    connection: Connection, account_id: UUID, request: CursorRequest, asked: Asked
) -> CursorPage[Rule]:
    """One page of rules. Raises UnknownCursorError."""
    return await fetch_newest(
        connection,
        "collection_rule",
        where="true",
        filters={},
        asked=asked,
        account_id=account_id,
        request=request,
        to_row=rule_of,
    )


def rule_of(record: Record) -> Rule:
    """The rule in a row."""
    return _record_of(Rule, record)


# --- Rows ---


def _row(it: msgspec.Struct) -> tuple[Any, ...]:
    return msgspec.structs.astuple(it)


def _record_of(type_: type[Struct], record: Record) -> Struct:
    """A record of plain columns and of arrays of objects."""
    values = {name: record[name] for name in type_.__struct_fields__}
    return msgspec.convert(values, type_)
