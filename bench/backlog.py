"""What waits to be told: merchants with endpoints, and invoices that are created through the product's own door.

Each invoice raises two events, invoice.created and payment.created, so it makes two deliveries for each endpoint of its
account. Answers and idempotency keys, which tell nobody anything, are left out.
"""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from bench import published
from recaudo.dialects.onepay.parse import parse_create_invoice
from recaudo.domain.delivering import Endpoint
from recaudo.domain.model import Account
from recaudo.store import accounts, door
from recaudo.store.door import Creation
from recaudo.store.writer import Created, Outcome
from recaudo.usecases import invoices, merchants, webhooks
from recaudo.usecases.core import Core
from recaudo.usecases.webhooks import NewEndpoint

TYPES = ("invoice.created", "payment.created")
EVENTS_EACH = len(TYPES)
# As many as concurrent requests share at most (store/writer.py).
BATCH = 128


@dataclass(frozen=True)
class Merchant:
    """A test account and its endpoints."""

    account: Account
    endpoint_ids: tuple[UUID, ...]


async def add_merchant(core: Core, slug: str, urls: Iterable[str] = ()) -> Merchant:
    """A merchant whose test account has endpoints that listen to both events."""
    made = await merchants.create(core, "Banco de pruebas", slug)
    account = await account_of(core, made.test.account_id)
    return Merchant(account, tuple([await add_endpoint(core, account, url) for url in urls]))


async def account_of(core: Core, account_id: UUID) -> Account:
    """An account that exists."""
    async with core.database.connection() as connection:
        account = await accounts.find_account(connection, account_id)
    assert account is not None, "it was created a moment ago"
    return account


async def add_endpoint(core: Core, account: Account, url: str) -> UUID:
    found: list[Endpoint] = []

    def respond(made: Endpoint) -> tuple[int, bytes]:
        found.append(made)
        return 201, b""

    command = NewEndpoint(dialect="onepay", name="ERP", description=None, url=url, types=TYPES)
    await webhooks.create(core, account, command, respond, once=None)
    return found[-1].id


async def add_invoices(core: Core, account: Account, count: int, advance: Callable[[int], object]) -> None:
    """Create so many invoices by the batch; `advance` is told how many each commit wrote."""
    for first in range(0, count, BATCH):
        batch = await new_creations(core, account, min(BATCH, count - first))
        async with core.database.connection() as connection:
            await door.create_many(connection, batch)
        advance(len(batch))


async def new_creations(core: Core, account: Account, count: int) -> list[Creation]:
    """What so many published create requests would have the door write; nothing is written yet."""
    recorder: Any = _Recorder()
    recording = msgspec.structs.replace(core, writer=recorder)
    today = core.today(account)
    for _ in range(count):
        command, _ = parse_create_invoice(_request(), account, today)
        await invoices.create(recording, account, command, lambda _: (201, b""), once=None)
    return recorder.creations


class _Recorder:
    """Stands where the writer stands, and keeps what it is to write."""

    def __init__(self) -> None:
        self.creations: list[Creation] = []

    async def create(self, creation: Creation) -> Outcome:
        self.creations.append(creation)
        return Created()


def _request() -> dict[str, Any]:
    return json.loads(
        published.body(
            provider_id=random.randint(*published.PROVIDER_IDS),
            phone=random.randint(*published.PHONES),
            reference=random.randint(*published.REFERENCES),
        )
    )
