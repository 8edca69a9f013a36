"""A merchant who sets gateways up and is paid through them."""

import secrets
from typing import Any
from uuid import UUID

from recaudo.domain.model import Account, Attempt
from recaudo.domain.states import AttemptState
from recaudo.usecases import attempts
from recaudo.usecases.attempts import StartAttempt
from tests.fakes import Fakes, Payer
from tests.world import Answer, Client, World

OWN = "/recaudo/v1"
# What is no secret among the credentials, and may be seen in part.
PUBLIC = {"public_key"}


class Shop:
    """The merchant's test account, its gateways, and everything it was answered."""

    def __init__(self, world: World, fakes: Fakes, client: Client) -> None:
        self.world = world
        self.fakes = fakes
        self.client = client
        self.told: list[str] = []
        self.secrets: set[str] = set()

    async def call(self, method: str, path: str, json: Any = None, *, once: str | None = None) -> Answer:
        """One of our own operations; what it answers must not hold a secret."""
        answer = await self.client.call(method, OWN + path, json, once=once)
        self.told.append(answer.body.decode())
        return answer

    async def ok(self, method: str, path: str, json: Any = None, *, status: int = 200) -> Any:
        answer = await self.call(method, path, json)
        assert answer.status == status, answer.json
        return answer.json

    async def refused(self, method: str, path: str, json: Any = None, *, status: int, code: str) -> Any:
        answer = await self.call(method, path, json)
        assert (answer.status, answer.json["code"]) == (status, code), answer.json
        return answer.json

    # Gateways

    def wompi_keys(self, *, live: bool = False) -> dict[str, str]:
        """Keys that the fake knows."""
        made = self.fakes.wompi.merchant(live=live, name="Acueducto de Sopó")
        return self.remember(
            public_key=made.public_key,
            private_key=made.private_key,
            events_secret=made.events_secret,
            integrity_secret=made.integrity_secret,
        )

    def mercadopago_keys(self) -> dict[str, str]:
        made = self.fakes.mercadopago.merchant(name="Acueducto de Sopó")
        return self.remember(access_token=made.access_token, webhook_secret=made.secret)

    def remember(self, **credentials: str) -> dict[str, str]:
        """Credentials, whose secrets nobody may be told."""
        self.secrets |= {text for name, text in credentials.items() if name not in PUBLIC}
        return credentials

    async def set_up(self, kind: str = "wompi", **fields: Any) -> dict[str, Any]:
        keys = self.wompi_keys() if kind == "wompi" else self.mercadopago_keys()
        return await self.ok("POST", "/gateways", {"kind": kind, "credentials": keys, **fields}, status=201)

    def assert_no_secret_was_told(self) -> None:
        log = (self.world.home / "server.log").read_text()
        assert self.told or not self.secrets
        for secret in self.secrets:
            assert not any(secret in text for text in self.told), "an answer holds a secret"
            assert secret not in log, "the log holds a secret"

    # Money

    async def account(self) -> Account:
        return await self.world.account(self.client.account_id)

    async def begin(self, gateway: str, amount_minor: int = 5_000_000) -> tuple[dict[str, Any], Attempt]:
        """An invoice, and a try to pay it by card on the gateway's own page."""
        invoice = await self.client.invoice(amount=amount_minor // 100)
        command = StartAttempt(
            collection_id=UUID(invoice["payment"]["id"]),
            amount_minor=amount_minor,
            gateway=gateway,
            method="card",
            once_key=secrets.token_hex(8),
            return_url=f"{self.world.base_url}/return",
        )
        return invoice, await attempts.start(self.world.core, await self.account(), command)

    async def paid(self, gateway: str, amount_minor: int = 5_000_000) -> tuple[dict[str, Any], UUID]:
        """An invoice that was paid through a gateway, and the receipt."""
        invoice, attempt = await self.begin(gateway, amount_minor)
        await self.pay_at_vendor(attempt)
        for _ in range(40):
            now = await attempts.ask(self.world.core, await self.account(), attempt.id, extra=True)
            if now.state is AttemptState.SUCCEEDED:
                break
        assert now.state is AttemptState.SUCCEEDED
        rows = await self.world.rows(
            "SELECT id FROM receipt WHERE account_id = $1 AND attempt_id = $2", attempt.account_id, attempt.id
        )
        return invoice, rows[0]["id"]

    async def pay_at_vendor(self, attempt: Attempt, choice: str = "approve") -> None:
        """What the payer does on the vendor's page."""
        step = attempt.gateway_data["step"]
        async with Payer() as payer:
            if step["kind"] == "form":
                await payer.pay(step["action"], choice, fields=dict(step["fields"]), method="CARD")
            else:
                await payer.pay(step["url"], choice)
        await self.fakes.drain_notices()
