"""What a body names by id, looked up before it is read: customers, rules, prices, retentions (0.3, 5)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from recaudo.dialects.treli import ids
from recaudo.domain.model import Account, Customer
from recaudo.store import catalogue
from recaudo.store.catalogue import PricedProduct, Retention
from recaudo.store.customers import find_customers
from recaudo.usecases.core import Core


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The objects of an account that a body names. A deleted customer is nobody."""

    customers: Mapping[UUID, Customer]
    rules: Mapping[UUID, object]
    prices: Mapping[UUID, PricedProduct]
    retentions: Mapping[UUID, Retention]

    def by_prefix(self) -> dict[str, Any]:
        """As a reading takes them."""
        return {ids.CUSTOMER: self.customers, ids.RULE: self.rules}


async def look_up(core: Core, account: Account, body: Mapping[str, Any]) -> Known:
    """Everything that the body of an invoice or a collection names. What is not named costs nothing."""
    customer_ids = ids.named(body.get("customer"), ids.CUSTOMER)
    rule_ids = ids.named(body.get("collection_rule_id"), ids.RULE)
    price_ids = ids.named(body.get("items"), ids.PRICE)
    retention_ids = ids.named(body.get("invoice_retentions"), ids.RETENTION)
    async with core.database.connection() as connection:
        found = await find_customers(connection, account.id, customer_ids) if customer_ids else {}
        rules = await catalogue.find_rules(connection, account.id, rule_ids) if rule_ids else {}
        prices = await catalogue.find_priced(connection, account.id, price_ids) if price_ids else {}
        retentions = await catalogue.find_retentions(connection, account.id, retention_ids) if retention_ids else {}
    return Known(
        customers={i: customer for i, customer in found.items() if customer.deleted_at is None},
        rules=rules,
        prices=prices,
        retentions=retentions,
    )
