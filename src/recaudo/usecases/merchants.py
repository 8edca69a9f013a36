"""Merchants and their accounts: creating them with their keys, moving a test account's clock."""

import re
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.model import Account
from recaudo.store import accounts
from recaudo.store.accounts import Merchant
from recaudo.usecases.core import Core, NotFoundError, repeated

SLUG_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]")
# First parts of our own addresses: no merchant's portal may take one.
SLUGS_RESERVED = frozenset(
    {"v1", "v2", "onepay", "treli", "recaudo", "payment", "document", "health", "metrics", "static", "docs", "api",
     "admin", "dashboard", "login", "files", "notices", "webhooks", "gateways", "return", "robots", "favicon"}
)  # fmt: skip


NAME_CHARS_MAX = 200


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account and its keys: shown once, kept nowhere."""

    account_id: UUID
    secret_key: str
    public_key: str


class NewMerchant(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant with a live and a test account."""

    merchant_id: UUID
    slug: str
    live: NewAccount
    test: NewAccount


class BadSlugError(ValueError):
    """The slug is not 3 to 50 lower-case letters, digits and hyphens, or is one of our own addresses."""


class BadNameError(ValueError):
    """The name is empty or has more than NAME_CHARS_MAX characters."""


class NotATestAccountError(Exception):
    """Only test accounts have a movable clock."""


async def create(
    core: Core,
    name: str,
    slug: str,
    *,
    support_contact: str | None = None,
    test_secret_key: str | None = None,
    settings: dict[str, Any] | None = None,
) -> NewMerchant:
    """Create a merchant with one live and one test account and their keys.

    `test_secret_key` fixes the test key's text (the demo's). Raises BadNameError, BadSlugError and SlugTakenError.
    """
    if not 1 <= len(name.strip()) <= NAME_CHARS_MAX:
        raise BadNameError(name)
    if not SLUG_PATTERN.fullmatch(slug) or slug in SLUGS_RESERVED:
        raise BadSlugError(slug)
    now = core.clock.now()
    merchant = Merchant(id=core.ids.new(now), slug=slug, name=name.strip(), support_contact=support_contact)
    live = _new_account(core, now, prefix="live")
    test = _new_account(core, now, prefix="test", secret_key=test_secret_key)
    async with core.database.transaction() as connection:
        await accounts.insert_merchant(connection, merchant, now)
        for account, is_test in ((live, False), (test, True)):
            await accounts.insert_account(
                connection,
                account_id=account.account_id,
                merchant_id=merchant.id,
                is_test=is_test,
                settings=settings or {},
                at=now,
            )
            for kind, key in (("secret", account.secret_key), ("public", account.public_key)):
                await accounts.insert_key(
                    connection, account_id=account.account_id, key_id=core.ids.new(now), kind=kind, key=key, at=now
                )
    return NewMerchant(merchant_id=merchant.id, slug=slug, live=live, test=test)


async def move_clock(core: Core, account: Account, to: datetime) -> datetime:
    """Set a test account's clock forward; it goes on ticking from there. Returns its new present.

    Ids, due work and the order of events rest on a clock that only goes forward: one that is past `to` already, by
    another request or by the time this one took, stays as it is. Raises NotATestAccountError.
    """
    if not account.is_test:
        raise NotATestAccountError

    async def raise_it() -> timedelta | None:
        async with core.database.transaction() as connection:
            return await accounts.raise_clock_shift(connection, account.id, to - core.clock.now())

    shift = await repeated(raise_it)
    if shift is None:
        raise NotFoundError
    return core.clock.now() + shift


async def advance_clock(core: Core, account: Account, by: timedelta) -> datetime:
    """Move a test account's clock forward by a span. Raises as move_clock."""
    return await move_clock(core, account, core.now(account) + by)


def _new_account(core: Core, now: datetime, *, prefix: str, secret_key: str | None = None) -> NewAccount:
    return NewAccount(
        account_id=core.ids.new(now),
        secret_key=secret_key or f"sk_{prefix}_{_random()}",
        public_key=f"pk_{prefix}_{_random()}",
    )


def _random() -> str:
    """Thirty-two letters and digits: about 190 bits of chance."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(32))
