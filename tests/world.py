"""The world of end-to-end tests: a real server process on a real PostgreSQL, spoken to over HTTP.

Accounts are made fresh for each test, so tests do not see each other and nothing is cleaned up between them.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from multidict import CIMultiDictProxy

from recaudo.config import Vendors
from recaudo.parts import close_gateways, make_core
from recaudo.store.accounts import find_account
from recaudo.store.database import Database
from recaudo.store.doctor import Finding, examine
from recaudo.store.due import TABLES
from recaudo.usecases import merchants
from recaudo.usecases.core import Core
from recaudo.worker import loops
from tests.databases import SECRET, recount

# Nobody listens there: without fakes no test asks a vendor anything, whatever it sets up.
NOWHERE = Vendors(wompi_url="http://127.0.0.1:9", mercadopago_url="http://127.0.0.1:9")
START_TIMEOUT_S = 60
DRAIN_TIMEOUT_S = 30


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    json: Any


@dataclass
class Client:
    """Speaks HTTP to the server with one key."""

    session: aiohttp.ClientSession
    base_url: str
    key: str
    account_id: UUID
    slug: str
    headers: dict[str, str] = field(default_factory=dict)

    async def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        once: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        sent = {"Authorization": f"Bearer {self.key}", **self.headers, **(headers or {})}
        if once is not None:
            sent["x-idempotency"] = once
        if json is not None:
            data = dumps(json).encode()
        if data is not None and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        async with self.session.request(method, self.base_url + path, data=data, headers=sent) as response:
            body = await response.read()
            is_json = response.content_type == "application/json" and body
            return Answer(response.status, response.headers, body, await response.json() if is_json else None)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        """POST with a fresh idempotency key unless one is given."""
        options.setdefault("once", secrets.token_hex(8))
        return await self.call("POST", path, json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.call("PUT", path, json, **options)

    async def patch(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.call("PATCH", path, json, **options)

    async def delete(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.call("DELETE", path, json, **options)

    async def invoice(self, **fields: Any) -> dict[str, Any]:
        """Create an invoice and return it."""
        body = {
            "reference": "1060500333",
            "provider": "biller",
            "amount": 50000,
            "name": "Internet plan - Octubre",
            "phone": "+573167591030",
            **fields,
        }
        answer = await self.post("/v1/invoices", body)
        assert answer.status == 201, answer.json
        return answer.json

    async def pay(self, payment_id: str, *, status: int = 200, **fields: Any) -> Any:
        """Pay a test payment in the sandbox over the API."""
        answer = await self.call("POST", f"/recaudo/v1/sandbox/payments/{payment_id}", fields)
        assert answer.status == status, answer.json
        return answer.json

    async def advance_clock(self, **span: int) -> None:
        """Move the account's clock forward, by seconds, hours or days."""
        seconds = span.get("seconds", 0) + span.get("hours", 0) * 3600 + span.get("days", 0) * 86400
        answer = await self.call("PUT", "/recaudo/v1/clock", {"advance_seconds": seconds})
        assert answer.status == 200, answer.json


class World:
    """The server and everything around it."""

    def __init__(self, database_url: str, home: Path) -> None:
        self.database_url = database_url
        self.home = home
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.secret = SECRET
        # Receivers of tests listen on this machine.
        self.allow_private_networks = True
        self.runs_worker = True
        self.vendors = NOWHERE
        self._server: subprocess.Popen[bytes] | None = None
        self._database: Database | None = None
        self._core: Core | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def core(self) -> Core:
        """The use cases over the same database: for setting the stage, and for draining due work."""
        assert self._database is not None
        if self._core is None:
            self._core = make_core(self._database, self.secret, self.vendors)
        return self._core

    async def start(self, *, workers: int = 1, log_level: str = "warning") -> None:
        self._launch(workers, log_level)
        self._database = await Database.connect(self.database_url, connections_max=8)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        await self._wait_until_healthy()

    def _launch(self, workers: int, log_level: str) -> None:
        command = [sys.executable, "-m", "recaudo", "serve", "--port", str(self.port), "--workers", str(workers)]
        command += [] if self.runs_worker else ["--no-worker"]
        with (self.home / "server.log").open("ab") as log:
            self._server = subprocess.Popen(command, env=self.environment(log_level), stderr=log, stdout=log)

    def environment(self, log_level: str = "warning") -> dict[str, str]:
        """What the server and its workers find in their environment."""
        return {
            **os.environ,
            "RECAUDO_DATABASE_URL": self.database_url,
            "RECAUDO_HOME": str(self.home),
            "RECAUDO_LOG_LEVEL": log_level,
            "RECAUDO_SECRET_KEY": self.secret,
            "RECAUDO_PUBLIC_URL": self.base_url,
            "RECAUDO_WOMPI_URL": self.vendors.wompi_url or "",
            "RECAUDO_MERCADOPAGO_URL": self.vendors.mercadopago_url or "",
            "RECAUDO_WEBHOOKS_ALLOW_PRIVATE_NETWORKS": "1" if self.allow_private_networks else "0",
        }

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._core is not None:
            await close_gateways(self._core)
        if self._database is not None:
            await self._database.close()
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._server.wait, 40)

    async def merchant(self, *, settings: dict[str, Any] | None = None, live: bool = False) -> Client:
        """A new merchant; the client has the key of its test account, or of its live one."""
        slug = f"t-{secrets.token_hex(6)}"
        made = await merchants.create(
            self.core, f"Comercio {slug}", slug, settings=settings, support_contact="hola@ejemplo.com"
        )
        account = made.live if live else made.test
        assert self._session is not None
        return Client(self._session, self.base_url, account.secret_key, account.account_id, slug)

    async def drain(self) -> int:
        """Perform all due work now, and wait for what the server's own worker was about to finish."""
        telling = loops.Telling(base_url=self.base_url, allow_private_networks=self.allow_private_networks)
        done = await loops.drain(self.core, telling)
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while await self._is_something_due():
                await asyncio.sleep(0.01)
                done += await loops.drain(self.core, telling)
        return done

    async def findings(self, account_id: UUID) -> list[Finding]:
        """What the doctor says of one account."""
        assert self._database is not None
        return [f async for _, found in examine(self._database) for f in found if f.account_id == account_id]

    async def account(self, account_id: UUID) -> Any:
        assert self._database is not None
        async with self._database.connection() as connection:
            return await find_account(connection, account_id)

    async def rows(self, query: str, *values: object) -> list[Any]:
        """Look into the database."""
        assert self._database is not None
        async with self._database.connection() as connection:
            return await connection.fetch(query, *values)

    async def execute(self, command: str, *values: object) -> None:
        """Set a stage that no request reaches: a suspended account, a revoked key, an invoice given up on."""
        assert self._database is not None
        async with self._database.connection() as connection:
            await connection.execute(command, *values)

    async def recount(self, account_id: UUID) -> None:
        """Let lists tell the numbers of rows that a test changed behind the door's back."""
        assert self._database is not None
        async with self._database.connection() as connection:
            await recount(connection, account_id)

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def _is_something_due(self) -> bool:
        """Whether anything is due, be it that nobody took it yet or that somebody is at it."""
        due = [f"SELECT 1 FROM {table} WHERE due_at <= now()" for table in (*TABLES, "delivery")]
        return bool(await self.rows(f"{' UNION ALL '.join(due)} LIMIT 1"))

    async def _wait_until_healthy(self) -> None:
        assert self._session is not None
        assert self._server is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                if self._server.poll() is not None:
                    raise RuntimeError((self.home / "server.log").read_text())
                with contextlib.suppress(aiohttp.ClientError):
                    async with self._session.get(self.base_url + "/health") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def running(
    database_url: str,
    home: Path,
    *,
    workers: int = 1,
    log_level: str = "warning",
    runs_worker: bool = True,
    vendors: Vendors = NOWHERE,
) -> AsyncIterator[World]:
    """A world for as long as the block lasts.

    Of several on one database only one may run the worker: each would tell endpoints links to itself.
    """
    world = World(database_url, home)
    world.runs_worker = runs_worker
    world.vendors = vendors
    await world.start(workers=workers, log_level=log_level)
    try:
        yield world
    finally:
        await world.stop()
