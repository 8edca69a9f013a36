"""Wompi behind the port of gateways: which part of it answers what."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from recaudo.domain.answers import Answer, Fact, NotSent, Unknown
from recaudo.domain.model import Account, Attempt, Receipt, Refund
from recaudo.domain.refunding import RefundAnswer, RefundRefused
from recaudo.gateways.wompi import keys, notices, reading, refunds
from recaudo.gateways.wompi.api import KeyRefusedError, WompiApi, WompiHosts
from recaudo.gateways.wompi.charges import CHECKOUT, CURRENCY, Charges, Sleep
from recaudo.gateways.wompi.payer import INSTALLMENTS_MAX
from recaudo.gateways.wompi.remembered import Remembered
from recaudo.usecases.ports import (
    Abilities,
    Bank,
    ByToken,
    Configured,
    GatewayContext,
    GatewayDownError,
    Method,
    Notice,
    RawNotice,
    Terms,
    Verified,
)

BY_TOKEN: Final = ByToken(
    asks=("email", "terms"),
    credential=keys.PUBLIC,
    test_begins="tok_test_",
    live_begins="tok_prod_",
    installments_max=INSTALLMENTS_MAX,
)
METHODS: Final = (
    Method(
        id="pse",
        kind="accounts",
        asks=("bank", "person_type", "document", "name", "email", "phone", "terms"),
    ),
    Method(id="nequi", kind="accounts", asks=("phone", "email", "terms")),
    Method(id="bancolombia", kind="accounts", asks=("email", "terms")),
    Method(id=CHECKOUT, kind="cards", by_token=BY_TOKEN),
    Method(id="bancolombia_qr", kind="realtime", asks=("email", "terms")),
)
PAGE_SIZE: Final = 50
PAGES_MAX: Final = 2000
_NOT_CONFIGURED: Final = "the account has no keys of Wompi"
# A reference that no attempt can have: the search proves the private key and finds nothing.
_NO_REFERENCE: Final = "rcverifyx"


class Wompi:
    """The gateway."""

    name = "wompi"
    title = "Wompi"
    for_live_accounts = True
    needs_configuration = True
    abilities = Abilities(currencies=frozenset({CURRENCY}), credentials=keys.CREDENTIALS, refunds="void", lists=True)

    def __init__(
        self,
        *,
        hosts: WompiHosts | None = None,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        hosts = hosts or WompiHosts()
        self._api = WompiApi(hosts)
        self._remembered = Remembered(self._api, monotonic=monotonic)
        self._charges = Charges(self._api, hosts.checkout, sleep=sleep, bank_names=self._remembered.bank_names)

    def check(self, credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
        """What is wrong with the four keys as they stand."""
        return keys.problems(credentials, is_test=is_test)

    def identity(self, credentials: Mapping[str, str]) -> str:
        """The public key names the merchant."""
        return credentials.get(keys.PUBLIC, "")

    async def verify(self, configured: Configured) -> Verified:
        """Ask who the public key is, and search with the private one. The two secrets cannot be tried by a call."""
        try:
            merchant = await self._api.merchant(configured)
            await self._api.search(configured, {"reference": _NO_REFERENCE})
        except KeyRefusedError as error:
            return Verified(problem=str(error))
        except GatewayDownError as error:
            return Verified(problem=f"the keys could not be tried: {error}")
        return Verified(merchant_name=merchant.name)

    def methods(self, account: Account) -> Sequence[Method]:
        """The same for all: which of them a merchant has is decided in Wompi's panel."""
        return METHODS

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """The banks of PSE."""
        return await self._remembered.banks(configured)

    async def terms(self, configured: Configured) -> Terms | None:
        """The two documents that payers accept."""
        return await self._remembered.terms(configured)

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Begin to collect."""
        if context.configured is None:
            return NotSent(reason=_NOT_CONFIGURED)
        return await self._charges.start(attempt, context, context.configured)

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """What became of it. A key that is refused says nothing about the payment, so that is not known either."""
        if context.configured is None:
            return Unknown(reason=_NOT_CONFIGURED)
        return await self._charges.ask(attempt, context.configured)

    async def fetch(self, gateway_tx_id: str, configured: Configured) -> Answer:
        """One transaction of the merchant."""
        return await self._charges.fetch(gateway_tx_id, configured)

    async def refund(self, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
        """Void a card's payment."""
        if context.configured is None:
            return RefundRefused(code="gateway_not_configured", text="Esta cuenta no tiene las llaves de Wompi.")
        return await refunds.give_back(self._api, refund, receipt, context, context.configured)

    async def transactions(self, configured: Configured, since: datetime, until: datetime) -> AsyncIterator[Fact]:
        """All transactions of the merchant that began in the period, oldest first (2.7)."""
        seen: set[str] = set()
        for page in range(1, PAGES_MAX + 1):
            rows = await self._api.search(configured, _page_query(since, until, page))
            facts = [self._charges.fact(row, configured) for row in rows]
            new = [fact for fact in facts if fact.gateway_tx_id not in seen]
            for fact in new:
                seen.add(fact.gateway_tx_id)
                yield fact
            if len(rows) < PAGE_SIZE:
                return
            if not new:
                raise GatewayDownError("Wompi answers every page with the same transactions")
        raise GatewayDownError("Wompi's list has no end")

    def read_notice(self, raw: RawNotice, configured: Configured) -> Notice:
        """Check an event's checksum and say what it is about."""
        return notices.read(raw, configured)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _page_query(since: datetime, until: datetime, page: int) -> dict[str, str]:
    return {
        "from_date": reading.wire_instant(since),
        "until_date": reading.wire_instant(until),
        "page": str(page),
        "page_size": str(PAGE_SIZE),
        "order_by": "created_at",
        "order": "ASC",
    }
