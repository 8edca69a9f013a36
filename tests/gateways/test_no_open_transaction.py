"""No call over the network while a transaction is open (design, rule 4): watched at the driver and at the HTTP client.

Every transaction that the driver opens is noted in the context of its task, and every request that leaves this process
looks there. The lives of some payments pass by: begun, asked about, paid, told, given back, compared.
"""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import aiohttp
import pytest
from asyncpg.transaction import Transaction

from recaudo.usecases import refunds, webhooks
from recaudo.usecases.refunds import RefundCommand
from recaudo.usecases.webhooks import NewEndpoint
from tests.databases import own_database
from tests.fakes import Outcome, Scenario
from tests.gateways.till import Till, a_till
from tests.receiver import receiving

_OPEN: ContextVar[int] = ContextVar("open transactions", default=0)


class Watch:
    """Where requests went, and which of them left from within a transaction."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.inside: list[str] = []

    def note(self, method: str, url: str) -> None:
        call = f"{method} {url}"
        self.calls.append(call)
        if _OPEN.get():
            self.inside.append(call)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    begin, end, ask = Transaction.__aenter__, Transaction.__aexit__, aiohttp.ClientSession._request

    async def watched_begin(transaction: Transaction) -> Any:
        entered = await begin(transaction)
        _OPEN.set(_OPEN.get() + 1)
        return entered

    async def watched_end(transaction: Transaction, *how: Any) -> Any:
        _OPEN.set(_OPEN.get() - 1)
        return await end(transaction, *how)

    async def watched_ask(session: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        made.note(method, str(url))
        return await ask(session, method, url, **options)

    monkeypatch.setattr(Transaction, "__aenter__", watched_begin)
    monkeypatch.setattr(Transaction, "__aexit__", watched_end)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", watched_ask)
    return made


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url) as url:
        yield url


async def listen(till: Till, url: str) -> None:
    command = NewEndpoint(dialect="onepay", name="ERP", description=None, url=url, types=("invoice.paid",))
    await webhooks.create(till.core, till.account, command, lambda _: (201, b""), once=None)


@pytest.mark.parametrize("kind", ["wompi", "mercadopago"])
async def test_no_request_leaves_from_within_a_transaction(kind: str, own_url: str, watch: Watch) -> None:
    async with a_till(own_url, kind, "card") as till, receiving() as receiver:
        await listen(till, receiver.url)
        faults = [Scenario(outcome=Outcome.APPROVED), Scenario(outcome=Outcome.DECLINED)]
        faults.append(Scenario(outcome=Outcome.PENDING_THEN_APPROVED, drop=True))  # found by asking
        for scenario in faults:
            await till.pay(await till.invoice(), scenario)
            await till.run(1)
        receipt = await till.row("SELECT id FROM receipt WHERE account_id = $1 LIMIT 1", till.account.id)
        back = RefundCommand(receipt_id=receipt["id"], amount_minor=None, reason="devolución")
        await refunds.start(till.core, till.account, back, lambda made: (201, str(made.id).encode()), once=None)
        await till.run(1)
        await till.assert_reconciled()
    vendor = [call for call in watch.calls if till.fake.base_url in call]
    assert len(vendor) > 5, "the vendor was asked"
    assert any(receiver.url in call for call in watch.calls), "somebody was told"
    assert watch.inside == []


async def test_a_request_from_within_a_transaction_would_be_seen(own_url: str, watch: Watch) -> None:
    async with a_till(own_url, "wompi", "card") as till, aiohttp.ClientSession() as session:
        async with till.core.database.transaction():
            answer = await session.get(till.fake.base_url)
        answer.release()
    assert watch.inside == [f"GET {till.fake.base_url}"]
