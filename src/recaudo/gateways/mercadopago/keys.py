"""Mercado Pago's access token and the secret of its notices: how they look, and whose they are (section 3.1)."""

import re
from collections.abc import Mapping
from typing import Final

from recaudo.gateways.mercadopago.values import text
from recaudo.gateways.vendor import Said
from recaudo.usecases.ports import Configured, Credential

ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - the name of a field
WEBHOOK_SECRET: Final = "webhook_secret"  # noqa: S105 - the same
CREDENTIALS: Final = (
    Credential(name=ACCESS_TOKEN, hint="APP_USR-... (TEST-... or that of a test user on a test account)"),
    Credential(name=WEBHOOK_SECRET, hint="the secret signature of the application's webhooks"),
)
SITE: Final = "MCO"  # Colombia

_TEST: Final = "TEST-"
_TOKEN: Final = re.compile(r"(?:TEST|APP_USR)-[A-Za-z0-9_-]{8,500}")
_SECRET: Final = re.compile(r"[!-~]{8,500}")


def problems(credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
    """What is wrong with credentials as they stand, by field. A message never holds the credential."""
    found: dict[str, str] = {}
    given = credentials.get(ACCESS_TOKEN, "")
    if not is_token(given):
        found[ACCESS_TOKEN] = "is an access token of the application: APP_USR-... or TEST-..."
    elif given.startswith(_TEST) and not is_test:
        found[ACCESS_TOKEN] = "is a test token: a live account needs the one that begins with APP_USR-"
    if not _SECRET.fullmatch(credentials.get(WEBHOOK_SECRET, "")):
        found[WEBHOOK_SECRET] = "is the secret signature that the panel shows for webhooks"
    return found


def is_token(value: str) -> bool:
    """Whether it may travel in a header: nothing in it could end that."""
    return _TOKEN.fullmatch(value) is not None


def token(configured: Configured) -> str:
    """The access token; empty when it is missing."""
    return configured.credentials.get(ACCESS_TOKEN, "")


def is_test_token(configured: Configured) -> bool:
    """Whether the token is that of the vendor's sandbox, and not one of a seller or a test user."""
    return token(configured).startswith(_TEST)


def secret(configured: Configured) -> str:
    """The secret that signs notices; empty when it is missing."""
    return configured.credentials.get(WEBHOOK_SECRET, "")


def owner_problem(configured: Configured, said: Said) -> str | None:
    """What is wrong with whose token it is, by what the vendor says of its owner."""
    site = text(said.member("site_id"))
    if site is not None and site != SITE:
        return f"the token is of a seller in {site[:10]}: Colombian pesos need one of {SITE}"
    is_test_user = has_test_tag(said)
    if not configured.is_test and is_test_user:
        return "the token is that of a test user: a live account needs that of the seller"
    if configured.is_test and not is_test_user and not is_test_token(configured):
        return "the token collects real money: a test account needs the TEST- token, or that of a test user"
    return None


def has_test_tag(said: Said) -> bool:
    """Whether the owner that the vendor tells of is a test user."""
    tags = said.member("tags")
    return isinstance(tags, list) and "test_user" in tags
