"""How every object writes money, dates and lists (Treli specification, 0.3 and section 4)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from recaudo.domain import money
from recaudo.domain.model import Account

encode = msgspec.json.Encoder().encode


def amount(amount_minor: int, currency: str) -> str:
    """Money as a decimal string with exactly the currency's decimals."""
    decimals = money.DECIMALS[currency]
    sign = "-" if amount_minor < 0 else ""
    units, rest = divmod(abs(amount_minor), 10**decimals)
    return f"{sign}{units}.{rest:0{decimals}d}" if decimals else f"{sign}{units}"


def optional_amount(amount_minor: int | None, currency: str) -> str | None:
    """The same, or null."""
    return None if amount_minor is None else amount(amount_minor, currency)


def number(value: Decimal) -> str:
    """A percentage as a decimal string without trailing zeros."""
    shown = f"{value:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def created(at: datetime, account: Account) -> str:
    """`created_date`: local time of the account, without zone."""
    return f"{at.astimezone(ZoneInfo(account.time_zone)):%Y-%m-%d %H:%M:%S}"


def utc(at: datetime) -> str:
    """The other dates: UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def optional_utc(at: datetime | None) -> str | None:
    """The same, or null."""
    return None if at is None else utc(at)


def page(rows: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """One page of a list. The cursor is the id of its last row."""
    return {"data": list(rows), "has_more": has_more, "next_cursor": rows[-1]["id"] if has_more else None}
