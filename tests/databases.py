"""Databases of a test's own, made beside the session's and dropped afterwards, and the use cases over any database."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

from recaudo.domain.changes import Change
from recaudo.domain.model import Account
from recaudo.parts import make_core
from recaudo.store import tally
from recaudo.store.accounts import find_account
from recaudo.store.database import Connection, Database
from recaudo.store.migrate import migrate
from recaudo.usecases import invoices, merchants
from recaudo.usecases.core import Core, Done, Once
from recaudo.usecases.invoices import OpenInvoice
from recaudo.worker.loops import Telling

SECRET = "a secret of tests, long enough to be one"


TELLING = Telling(base_url="http://127.0.0.1:8000", allow_private_networks=True)


def named(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@contextlib.asynccontextmanager
async def own_database(url: str, *, migrated: bool = True) -> AsyncIterator[str]:
    """The URL of a new database on the server of `url`, for as long as the block lasts."""
    name = f"test_{secrets.token_hex(6)}"
    async with plain(url) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    try:
        if migrated:
            await migrate(named(url, name))
        yield named(url, name)
    finally:
        async with plain(url) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.asynccontextmanager
async def plain(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own, with none of our settings."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


@contextlib.asynccontextmanager
async def core_on(url: str, *, connections_max: int = 8) -> AsyncIterator[Core]:
    """The use cases over a database, with a pool and a writer of their own."""
    database = await Database.connect(url, connections_max=connections_max)
    try:
        yield make_core(database, SECRET)
    finally:
        await database.close()


async def recount(connection: Connection, account_id: UUID) -> None:
    """Let lists tell the numbers of an account whose rows a test changed behind the door's back."""
    nouns = (tally.INVOICE, tally.COLLECTION, tally.ATTEMPT, tally.CUSTOMER)
    rows = [tally.counted("t", noun, f"{noun} t", 1) for noun in nouns]
    await connection.execute("DELETE FROM tally WHERE account_id = $1", account_id)
    await connection.execute(tally.add([f"SELECT * FROM ({r}) r WHERE account_id = $1" for r in rows]), account_id)


async def new_account(core: Core, *, live: bool = False) -> Account:
    """A fresh merchant's test account, or its live one."""
    slug = f"t-{secrets.token_hex(6)}"
    made = await merchants.create(core, f"Comercio {slug}", slug)
    async with core.database.connection() as connection:
        account = await find_account(connection, (made.live if live else made.test).account_id)
    assert account is not None
    return account


def bill(**fields: Any) -> OpenInvoice:
    """A command to open an invoice."""
    values: dict[str, Any] = {
        "dialect": "onepay",
        "amount_minor": 5_000_000,
        "name": "Internet plan - Octubre",
        "reference": "1060500333",
        "origin": "biller",
        "phone": "+573167591030",
        **fields,
    }
    return OpenInvoice(**values)


def once(key: str, request: str = "{}") -> Once:
    """An idempotency key of the create request."""
    return Once(scope="onepay POST /invoices", key=key, request=request)


async def create(core: Core, account: Account, command: OpenInvoice, *, key: str | None = None) -> Done:
    """Open an invoice; the answer is the invoice's id, as stored."""

    def respond(change: Change) -> tuple[int, bytes]:
        return 201, str(change.invoice.id).encode()

    return await invoices.create(core, account, command, respond, once=None if key is None else once(key))
