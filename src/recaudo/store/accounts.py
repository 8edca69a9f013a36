"""Merchants, their accounts and the keys that open them."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from recaudo.domain.model import Account
from recaudo.domain.rounding import Rounding
from recaudo.store.database import Connection
from recaudo.store.door import TakenError
from recaudo.store.rows import Record


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """A business; owns one live account and test accounts."""

    id: UUID
    slug: str
    name: str
    support_contact: str | None = None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a key opens. The text of the key is not kept."""

    account: Account
    kind: str  # secret or public
    revoked: bool


class SlugTakenError(Exception):
    """Another merchant has this slug."""


def hash_key(key: str) -> bytes:
    """How a key is known: keys are long and random, so a plain hash cannot be guessed back."""
    return hashlib.sha256(key.encode()).digest()


_ACCOUNT_COLUMNS = """
    a.id, a.merchant_id, a.is_test, a.active, a.clock_shift, a.settings,
    m.slug AS merchant_slug, m.name AS merchant_name
"""


async def insert_merchant(connection: Connection, merchant: Merchant, at: datetime) -> None:
    """Raises SlugTakenError."""
    try:
        await connection.execute(
            "INSERT INTO merchant (id, slug, name, support_contact, created_at) VALUES ($1, $2, $3, $4, $5)",
            merchant.id,
            merchant.slug,
            merchant.name,
            merchant.support_contact,
            at,
        )
    except asyncpg.UniqueViolationError as error:
        raise SlugTakenError(merchant.slug) from error


async def insert_account(
    connection: Connection,
    *,
    account_id: UUID,
    merchant_id: UUID,
    is_test: bool,
    settings: Mapping[str, Any],
    at: datetime,
) -> None:
    """Open an account for a merchant."""
    await connection.execute(
        "INSERT INTO account (id, merchant_id, is_test, settings, created_at) VALUES ($1, $2, $3, $4, $5)",
        account_id,
        merchant_id,
        is_test,
        dict(settings),
        at,
    )


async def insert_key(
    connection: Connection, *, account_id: UUID, key_id: UUID, kind: str, key: str, at: datetime
) -> None:
    """Keep a key's hash, and its last four characters for people to tell keys apart."""
    await connection.execute(
        "INSERT INTO api_key (account_id, id, kind, hash, hint, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        account_id,
        key_id,
        kind,
        hash_key(key),
        key[-4:],
        at,
    )


async def find_key(connection: Connection, key: str) -> ApiKey | None:
    """What a key opens, revoked ones included; None when nobody was ever given it."""
    record = await connection.fetchrow(
        f"""
        SELECT k.kind, k.revoked_at, {_ACCOUNT_COLUMNS}
        FROM api_key k JOIN account a ON a.id = k.account_id JOIN merchant m ON m.id = a.merchant_id
        WHERE k.hash = $1
        ORDER BY k.revoked_at NULLS FIRST LIMIT 1
        """,  # noqa: S608 - our own column names
        hash_key(key),
    )
    if record is None:
        return None
    return ApiKey(account=account_of(record), kind=record["kind"], revoked=record["revoked_at"] is not None)


async def find_account(connection: Connection, account_id: UUID) -> Account | None:
    """The account with this id."""
    record = await connection.fetchrow(
        f"SELECT {_ACCOUNT_COLUMNS} FROM account a JOIN merchant m ON m.id = a.merchant_id WHERE a.id = $1",  # noqa: S608
        account_id,
    )
    return None if record is None else account_of(record)


async def find_account_by_slug(connection: Connection, slug: str, *, is_test: bool) -> Account | None:
    """The merchant's live account, or its first test account."""
    record = await connection.fetchrow(
        f"""
        SELECT {_ACCOUNT_COLUMNS} FROM merchant m JOIN account a ON a.merchant_id = m.id
        WHERE m.slug = $1 AND a.is_test = $2 ORDER BY a.id LIMIT 1
        """,  # noqa: S608
        slug,
        is_test,
    )
    return None if record is None else account_of(record)


async def find_merchant(connection: Connection, merchant_id: UUID) -> Merchant | None:
    """The merchant with this id."""
    record = await connection.fetchrow(
        "SELECT id, slug, name, support_contact FROM merchant WHERE id = $1", merchant_id
    )
    return None if record is None else Merchant(**dict(record))


async def raise_clock_shift(connection: Connection, account_id: UUID, clock_shift: timedelta) -> timedelta | None:
    """Move a test account's clock forward, never back; what waits for a moment on that clock becomes due accordingly.

    Returns the shift that holds now; None when there is no such test account. Raises TakenError when workers that hold
    the rows stood in the way: try again.
    """
    try:
        return await _raise_clock_shift(connection, account_id, clock_shift)
    except asyncpg.DeadlockDetectedError as error:
        raise TakenError(str(error)) from error


async def _raise_clock_shift(connection: Connection, account_id: UUID, clock_shift: timedelta) -> timedelta | None:
    shift: timedelta | None = await connection.fetchval(
        """
        WITH before AS (
            SELECT id, clock_shift FROM account WHERE id = $1 AND is_test FOR NO KEY UPDATE
        ), moved AS (
            UPDATE account a SET clock_shift = greatest(a.clock_shift, $2) FROM before WHERE a.id = before.id
            RETURNING a.id, a.clock_shift AS shift, a.clock_shift - before.clock_shift AS by
        ), collections AS (
            UPDATE collection c SET due_at = least(c.expires_at, c.overdue_at) - moved.shift, leased_until = NULL
            FROM moved WHERE c.account_id = moved.id AND c.due_at IS NOT NULL
        ), attempts AS (
            UPDATE attempt t SET due_at = t.ask_at - moved.shift, leased_until = NULL
            FROM moved WHERE t.account_id = moved.id AND t.due_at IS NOT NULL
        ), waiting AS (
            SELECT d.account_id, d.id, moved.by FROM moved JOIN delivery d ON d.account_id = moved.id
            WHERE d.due_at IS NOT NULL ORDER BY d.id FOR NO KEY UPDATE OF d
        ), deliveries AS (
            -- What is on its way stays leased: only its schedule moves.
            UPDATE delivery d SET due_at = d.due_at - w.by, first_tried_at = d.first_tried_at - w.by
            FROM waiting w WHERE d.account_id = w.account_id AND d.id = w.id AND d.due_at IS NOT NULL
        ), endpoints AS (
            UPDATE endpoint p SET failing_since = p.failing_since - moved.by
            FROM moved WHERE p.account_id = moved.id AND p.failing_since IS NOT NULL
        )
        SELECT shift FROM moved
        """,
        account_id,
        clock_shift,
    )
    return shift


def account_of(record: Record) -> Account:
    """An account with its settings laid over the defaults."""
    settings = {
        name: msgspec.convert(value, _OBJECTS[name]) if name in _OBJECTS else value
        for name, value in record["settings"].items()
        if name in _SETTINGS
    }
    return Account(
        id=record["id"],
        merchant_id=record["merchant_id"],
        is_test=record["is_test"],
        active=record["active"],
        clock_shift=record["clock_shift"],
        merchant_slug=record["merchant_slug"],
        merchant_name=record["merchant_name"],
        **settings,
    )


_FIXED = {"id", "merchant_id", "is_test", "active", "clock_shift", "merchant_slug", "merchant_name"}
_SETTINGS = set(Account.__struct_fields__) - _FIXED
_OBJECTS: Mapping[str, Any] = {
    "tax_rounding": Rounding,
    "retention_rounding": Rounding,
    "default_collection_rule": UUID | None,
}
