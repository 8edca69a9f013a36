"""Wompi's four keys, and how they begin in each environment (gateways specification, section 2.1)."""

import hashlib
from collections.abc import Mapping
from typing import Final

from recaudo.usecases.ports import Configured, Credential

PUBLIC: Final = "public_key"
PRIVATE: Final = "private_key"
EVENTS: Final = "events_secret"
INTEGRITY: Final = "integrity_secret"

# By field: what people call it, how it begins in the sandbox, how it begins in production.
_KEYS: Final = {
    PUBLIC: ("public key", "pub_test_", "pub_prod_"),
    PRIVATE: ("private key", "prv_test_", "prv_prod_"),
    EVENTS: ("events secret", "test_events_", "prod_events_"),
    INTEGRITY: ("integrity secret", "test_integrity_", "prod_integrity_"),
}
CREDENTIALS: Final = tuple(
    Credential(name=field, hint=f"{test}... or {prod}...", is_secret=field != PUBLIC)
    for field, (_, test, prod) in _KEYS.items()
)
_CHARS_MAX: Final = 200


def problems(credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
    """What is wrong with the keys as they stand, by field. A message never holds the key."""
    found = {field: _problem(field, credentials.get(field, ""), is_test=is_test) for field in _KEYS}
    return {field: problem for field, problem in found.items() if problem is not None}


def key(configured: Configured, field: str) -> str:
    """One of the keys; empty when it is missing."""
    return configured.credentials.get(field, "")


def integrity(reference: str, amount_minor: int, currency: str, secret: str, *, expiration: str = "") -> str:
    """The integrity signature (2.4): plain SHA-256 without separators. `expiration` as it is sent, if it is sent."""
    return hashlib.sha256(f"{reference}{amount_minor}{currency}{expiration}{secret}".encode()).hexdigest()


def _problem(field: str, value: str, *, is_test: bool) -> str | None:
    title, test, prod = _KEYS[field]
    wanted, other = (test, prod) if is_test else (prod, test)
    account, elsewhere = ("test", "production") if is_test else ("live", "sandbox")
    if not value:
        return f"Copy the {title} from Wompi's panel: for a {account} account it begins with {wanted}"
    if value.startswith(other):
        return f"This {title} is one of Wompi's {elsewhere}; a {account} account needs one that begins with {wanted}"
    for other_field, (other_title, *starts) in _KEYS.items():
        if other_field != field and value.startswith(tuple(starts)):
            return f"This is Wompi's {other_title}; the {title} begins with {wanted}"
    if not value.startswith(wanted):
        return f"Wompi's {title} begins with {wanted}"
    # It travels in a header, and in the public key's case in an address: nothing that could end either.
    is_plain = value.isascii() and value.replace("_", "").replace("-", "").isalnum()
    if value == wanted or len(value) > _CHARS_MAX or not is_plain:
        return f"Copy the whole {title}, without spaces: letters and digits after {wanted}"
    return None
