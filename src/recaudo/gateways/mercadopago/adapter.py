"""Mercado Pago behind the port of gateways: which part of it answers what."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from recaudo.domain.answers import Answer, Fact
from recaudo.domain.model import Account, Attempt, Receipt, Refund
from recaudo.domain.refunding import RefundAnswer
from recaudo.gateways.mercadopago import keys, notices, payments, preferences, refunds
from recaudo.gateways.mercadopago.api import UNAUTHORIZED, MercadoPagoApi, word
from recaudo.gateways.mercadopago.values import HOST, NAME, text
from recaudo.gateways.vendor import NoAnswerError, NotSentError, Said
from recaudo.usecases.ports import (
    Abilities,
    Bank,
    Configured,
    GatewayContext,
    Method,
    Notice,
    RawNotice,
    Terms,
    Verified,
)


class MercadoPago:
    """The gateway. `host` is another one for tests and demonstrations."""

    name = NAME
    title = "Mercado Pago"
    for_live_accounts = True
    needs_configuration = True
    abilities = Abilities(currencies=frozenset({"COP"}), credentials=keys.CREDENTIALS, refunds="partial", lists=True)

    def __init__(self, host: str = HOST) -> None:
        self._api = MercadoPagoApi(host)

    def check(self, credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
        """What is wrong with credentials as they stand (3.1)."""
        return keys.problems(credentials, is_test=is_test)

    def identity(self, credentials: Mapping[str, str]) -> str:
        """An access token ends with the number of the user whose it is."""
        return credentials.get("access_token", "").rpartition("-")[2]

    async def verify(self, configured: Configured) -> Verified:
        """Ask the vendor whose token it is."""
        try:
            said = await self._api.owner(configured)
        except (NotSentError, NoAnswerError):
            return Verified(problem="Mercado Pago cannot be reached now; try again later")
        if said.status in UNAUTHORIZED:
            return Verified(problem="the access token is not valid")
        if not said.is_good or not isinstance(said.content, dict):
            return Verified(problem=f"Mercado Pago does not say whose token it is now ({word(said)})")
        nickname = text(said.member("nickname"))
        return Verified(problem=keys.owner_problem(configured, said), merchant_name=nickname)

    def methods(self, account: Account) -> Sequence[Method]:
        """Both are chosen at ours and paid on the vendor's page."""
        return preferences.METHODS

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """The vendor's page asks for the bank."""
        return ()

    async def terms(self, configured: Configured) -> Terms | None:
        """The vendor's page shows its own."""
        return None

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Open the vendor's page for an attempt (3.2)."""
        return await preferences.begin(self._api, attempt, context)

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """All payments that the vendor has under our reference (3.4)."""
        return await payments.of_attempt(self._api, attempt, context.configured)

    async def fetch(self, gateway_tx_id: str, configured: Configured) -> Answer:
        """One payment by the vendor's id (3.4)."""
        return await payments.of_id(self._api, gateway_tx_id, configured)

    async def transactions(self, configured: Configured, since: datetime, until: datetime) -> AsyncIterator[Fact]:
        """Payments whose last change lies between the two. Raises GatewayDownError."""
        async for fact in payments.of_period(self._api, configured, since, until):
            yield fact

    async def refund(self, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
        """Give back a part or the whole of a payment, or say what became of it (3.4, 1.11)."""
        return await refunds.give_back(self._api, refund, receipt, context)

    def read_notice(self, raw: RawNotice, configured: Configured) -> Notice:
        """Check a notice (3.5)."""
        return notices.read(raw, keys.secret(configured))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def _page(self, said: Said, configured: Configured) -> str | None:
        return preferences.page_of(said, configured, self._api.host)
