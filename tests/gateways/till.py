"""A merchant's till for tests of gateways: use cases over a real database, vendors' fakes, notices over real HTTP.

Everything runs on the fakes' clock, which stands still until a test moves it: what the worker would do meanwhile is
done at its time, and a test of three days takes a second.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from recaudo.config import Vendors
from recaudo.dialects.recaudo.notices import NoticeReceiver
from recaudo.domain.answers import Confirm, Form, Picture, Redirect
from recaudo.domain.attempting import step_of
from recaudo.domain.model import Account, Attempt
from recaudo.edge.limits import RateLimiter
from recaudo.gateways.wompi import Wompi, WompiHosts
from recaudo.parts import close_gateways, make_core
from recaudo.store import cases
from recaudo.store.database import Database
from recaudo.store.doctor import examine
from recaudo.usecases import attempts, gateways, reconciling
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.core import Core
from recaudo.usecases.gateways import NewGateway
from recaudo.worker import loops
from tests import fakes as vendors_fakes
from tests.databases import SECRET, TELLING, bill, create, new_account
from tests.fakes import Clock, Fakes, MercadoPago, Payer, Scenario, running_fakes

PRICE_MINOR = 5_000_000
ALLOWS = {"accounts": True, "cards": True, "card_extra": False, "realtime": True}
NATURAL_PERSON = {
    "bank": "1",
    "person_type": "natural",
    "document_type": "CC",
    "document_number": "1020304050",
    "name": "Ana Prueba",
    "email": "ana@example.com",
    "phone": "3167591030",
    "terms_accepted": "1",
}


def vendor_hosts(fakes: Fakes) -> WompiHosts:
    """Where Wompi's fake is."""
    wompi = fakes.wompi
    return WompiHosts(sandbox=wompi.sandbox_url, production=wompi.production_url, checkout=wompi.checkout_url)


async def no_sleep(_: float) -> None:
    """Waiting for a link that the vendor makes a little later, without waiting."""


class FakeTime:
    """The fakes' clock, as ours."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()


@dataclass
class Till:
    """One merchant with one gateway, and payers who do as they are told."""

    core: Core
    account: Account
    fakes: Fakes
    payer: Payer
    kind: str
    method: str
    notice_key: str
    receiver_url: str
    choice: str = "scenario"
    began: list[UUID] = field(default_factory=list[UUID])

    @property
    def fake(self) -> vendors_fakes.Wompi | MercadoPago:
        return self.fakes.wompi if self.kind == "wompi" else self.fakes.mercadopago

    async def invoice(self, **fields: Any) -> UUID:
        done = await create(self.core, self.account, bill(amount_minor=PRICE_MINOR, allows=ALLOWS, **fields))
        return UUID(done.answer.decode())

    async def start(self, invoice_id: UUID, scenario: Scenario | None = None, **fields: Any) -> Attempt:
        """Begin to pay an invoice; the vendor does with it what the scenario says."""
        if scenario is not None:
            self.fake.scenarios.queue.append(scenario)
        invoice = await self.row("SELECT * FROM invoice WHERE id = $1", invoice_id)
        values: dict[str, Any] = {
            "collection_id": invoice["collection_id"],
            "amount_minor": invoice["amount_minor"] - invoice["received_minor"],
            "gateway": self.kind,
            "method": self.method,
            "once_key": secrets.token_urlsafe(18),
            "payer": NATURAL_PERSON,
            "return_url": "https://merchant.example/r/token",
            **fields,
        }
        attempt = await attempts.start(self.core, self.account, StartAttempt(**values))
        self.began.append(attempt.id)
        return attempt

    async def go(self, attempt: Attempt, choice: str = "scenario") -> str:
        """The payer does what the gateway asks of them; returns where they are sent back to."""
        step = step_of(await self.attempt(attempt.id))
        match step:
            case Form(action=action, fields=fields):
                return await self.payer.pay(action, choice, fields=dict(fields), method="CARD")
            case Redirect(url=url):
                seen = await self.payer.open(url)
                # The bank has no question when the scenario answers for the payer.
                return await self.payer.press(seen, choice) if seen.action else ""
            case Confirm() | Picture() | None:
                return ""

    async def pay(self, invoice_id: UUID, scenario: Scenario | None = None, choice: str = "scenario") -> Attempt:
        """Begin, and do what the gateway asks."""
        attempt = await self.start(invoice_id, scenario)
        await self.go(attempt, choice)
        return attempt

    async def advance(self, seconds: float) -> None:
        """Let time pass at the vendor and here: notices come in, and the worker does what is due."""
        await self.fakes.advance(seconds)
        await loops.drain(self.core, TELLING)
        await self.fakes.drain_notices()
        await loops.drain(self.core, TELLING)

    async def run(self, hours: float) -> None:
        """Let hours pass in steps that grow, as questions become rare."""
        left_s, step_s = hours * 3600, 5.0
        while left_s > 0:
            taken_s = min(step_s, left_s)
            await self.advance(taken_s)
            left_s -= taken_s
            step_s = min(step_s * 1.5, 3600.0)

    async def attempt(self, attempt_id: UUID) -> Attempt:
        async with self.core.database.connection() as connection:
            found = await cases.find_attempt(connection, self.account.id, attempt_id)
        assert found is not None
        return found

    async def row(self, query: str, *values: object) -> Any:
        async with self.core.database.connection() as connection:
            found = await connection.fetchrow(query, *values)
        assert found is not None
        return found

    async def rows(self, query: str, *values: object) -> list[Any]:
        async with self.core.database.connection() as connection:
            return list(await connection.fetch(query, *values))

    async def receipts(self) -> list[int]:
        """The amounts booked for this account, in the order in which they were booked."""
        found = await self.rows("SELECT amount_minor FROM receipt WHERE account_id = $1 ORDER BY id", self.account.id)
        return [r["amount_minor"] for r in found]

    async def invoice_state(self, invoice_id: UUID) -> tuple[str, int]:
        row = await self.row("SELECT state, received_minor FROM invoice WHERE id = $1", invoice_id)
        return row["state"], row["received_minor"]

    async def credit_minor(self) -> int:
        row = await self.row(
            """
            SELECT coalesce(sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END), 0) AS sum
            FROM transfer WHERE account_id = $1 AND 'credit' IN (debit, credit)
            """,
            self.account.id,
        )
        return row["sum"]

    async def suspense(self) -> list[str]:
        found = await self.rows("SELECT reason FROM suspense WHERE account_id = $1 ORDER BY id", self.account.id)
        return [r["reason"] for r in found]

    async def events(self, invoice_id: UUID) -> list[str]:
        found = await self.rows(
            "SELECT type FROM event WHERE account_id = $1 AND subject_id = $2 ORDER BY version, ordinal",
            self.account.id,
            invoice_id,
        )
        return [r["type"] for r in found]

    async def gateway_book_minor(self) -> int:
        """What the ledger says the gateway holds for the merchant, disputed money included."""
        row = await self.row(
            """
            SELECT coalesce(sum(CASE WHEN debit = ANY ($2) THEN amount_minor ELSE 0 END), 0)
                 - coalesce(sum(CASE WHEN credit = ANY ($2) THEN amount_minor ELSE 0 END), 0) AS sum
            FROM transfer WHERE account_id = $1
            """,
            self.account.id,
            [f"gateway:{self.kind}", "disputed"],
        )
        return int(row["sum"])

    async def notice(self, body: bytes, headers: Mapping[str, str] | None = None, query: str = "") -> int:
        """Send a notice of one's own to the gateway's address; returns the status."""
        url = f"{self.receiver_url}/notices/{self.notice_key}" + (f"?{query}" if query else "")
        async with self.payer.session.post(url, data=body, headers=headers) as answer:
            return answer.status

    async def assert_sound(self, *, suspense: bool = False) -> None:
        """The doctor finds nothing wrong with the account, but for what waits in suspense if that is expected."""
        found = [f async for _, findings in examine(self.core.database) for f in findings]
        of_this = [f for f in found if f.account_id == self.account.id]
        assert [f for f in of_this if not (suspense and f.check == "suspense")] == []

    async def assert_reconciled(self) -> None:
        """The gateway's own list and ours tell the same."""
        now = self.core.clock.now()
        since = now.replace(year=now.year - 1)
        it = (await gateways.list_all(self.core, self.account))[0]
        made = await reconciling.compare(self.core, self.account, it, since, now)
        if made is not None:
            assert reconciling.differences(made) == []


@contextlib.asynccontextmanager
async def a_till(
    url: str, kind: str, method: str, *, live: bool = False, settle_seconds: float = 1.0
) -> AsyncIterator[Till]:
    """A till over a database of its own vendors."""
    database = await Database.connect(url, connections_max=8)
    async with running_fakes(frozen=True, settle_seconds=settle_seconds) as fakes, Payer() as payer:
        vendors = Vendors(wompi_url=fakes.wompi.base_url, mercadopago_url=fakes.mercadopago.base_url)
        made = make_core(database, SECRET, vendors)
        wompi = Wompi(hosts=vendor_hosts(fakes), sleep=no_sleep)
        core = msgspec.structs.replace(made, clock=FakeTime(fakes.clock), gateways={**made.gateways, wompi.name: wompi})
        try:
            async with receiving(core) as receiver_url:
                account = await new_account(core, live=live)
                notice_key = await _connect(core, account, fakes, kind, receiver_url, live=live)
                yield Till(core, account, fakes, payer, kind, method, notice_key, receiver_url)
        finally:
            async with database.connection() as connection:
                # What waits is of vendors that are gone with this test.
                for table in ("attempt", "refund", "gateway", "gateway_notice", "collection"):
                    await connection.execute(f"UPDATE {table} SET due_at = NULL WHERE due_at IS NOT NULL")
            await close_gateways(core)
            await database.close()


async def _connect(core: Core, account: Account, fakes: Fakes, kind: str, receiver_url: str, *, live: bool) -> str:
    """Set the gateway up as its merchant would: the keys here, the address of notices at the vendor."""
    if kind == "sandbox":
        return ""
    credentials: dict[str, str]
    if kind == "wompi":
        shop = fakes.wompi.merchant(live=live)
        credentials = {
            "public_key": shop.public_key,
            "private_key": shop.private_key,
            "events_secret": shop.events_secret,
            "integrity_secret": shop.integrity_secret,
        }
    else:
        seller = fakes.mercadopago.merchant(live=live)
        shop = seller
        credentials = {"access_token": seller.access_token, "webhook_secret": seller.secret}
    made = NewGateway(kind=kind, credentials=credentials)
    await gateways.create(core, account, made, lambda _: (201, b""), once=None)
    it = (await gateways.list_all(core, account))[0]
    shop.notice_url = f"{receiver_url}/notices/{it.notice_key}"
    return it.notice_key


@contextlib.asynccontextmanager
async def receiving(core: Core) -> AsyncIterator[str]:
    """Our address of notices over real HTTP, in this process."""
    receiver = NoticeReceiver(core, RateLimiter())

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        status, headers, content = 500, [], b""

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status, headers, content
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
            else:
                content = message["body"]

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": request.query_string.encode("latin-1"),
            "headers": [(k.lower(), v) for k, v in request.raw_headers],
        }
        await receiver(scope, receive, send)
        passed = {k.decode(): v.decode() for k, v in headers if k not in {b"content-length", b"content-type"}}
        return web.Response(status=status, body=content, headers=passed)

    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_route("*", "/notices/{key}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
