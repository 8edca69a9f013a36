"""Mercado Pago's name and address, and how its ids, texts and times are read."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

NAME: Final = "mercadopago"
HOST: Final = "https://api.mercadopago.com"

_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def plain_id(value: object) -> str | None:
    """An id of the vendor that may stand in an address; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        # The text of a number without end takes time without end.
        value = str(value) if 0 <= value < 1 << 64 else ""
    return value if isinstance(value, str) and _PLAIN_ID.fullmatch(value) else None


def payment_id(value: object) -> str | None:
    """The id of a payment, which is a number; a word in its place would name another address of the vendor's."""
    plain = plain_id(value)
    return plain if plain is not None and plain.isascii() and plain.isdigit() else None


def id_of(payment: Mapping[str, Any]) -> str:
    """The payment's id; empty for one that has none."""
    return plain_id(payment.get("id")) or ""


def text(value: object) -> str | None:
    """A text that says something, cut where it is longer than any that is kept; None for anything else."""
    return value[:256] if isinstance(value, str) and value else None


def moment(value: object) -> datetime | None:
    """A time of the vendor, `2025-11-24T12:02:03.000-04:00`; None for one that says no instant."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read.astimezone(UTC) if read is not None and read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def whole_ms(at: datetime) -> datetime:
    """The same time without what is finer than a millisecond."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def instant(at: datetime, precision: str = "milliseconds") -> str:
    """A time as it is written, in UTC."""
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
