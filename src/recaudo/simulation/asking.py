"""What requests of clients have in common: a key of their own, a body, whom they are about, and now and then a twin."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from recaudo.domain.references import base62, from_base62
from recaudo.simulation.city import Account, Altered, City, Known, Reader, Sent, as_json
from recaudo.simulation.machine import PUBLIC_URL, Answer, Work

MINOR = 100
# Who acts upon what exists mostly means what is new.
RECENT = 8


def request(
    city: City,
    account: Account,
    call: tuple[str, str],
    body: dict[str, Any],
    *,
    label: str,
    what: str,
    dialect: str = "onepay",
    must: bool = False,
) -> Sent:
    """A request with a key of its own; `call` is method and path. Some `must` succeed in the end."""
    key = account.basic if dialect == "treli" else account.bearer
    headers = as_json(key, f"request-{city.number()}")
    return Sent(account, *call, headers, json.dumps(body).encode(), label, f"{dialect} {what}", must=must)


def with_twins(city: City, sent: Sent, read: Reader) -> list[Work]:
    """A creation, now and then sent twice at once under one key."""
    works = [city.errand(sent, read)]
    if city.chance.random() < 0.15:
        city.story.fault("request sent twice at once")
        works.append(city.errand(sent, read))
    return works


def in_turn(city: City, sent: Sent, read: Callable[[Answer], None]) -> Work:
    """Send a change unless another of the same invoice is on its way; then its sender thinks better of it."""
    label = sent.label

    async def go() -> None:
        if label in city.changing:
            return
        city.changing.add(label)
        await city.errand(sent, Reader(read, lambda: city.changing.discard(label)))()

    return go


def some(city: City, *dialects: str, altered: Altered | None = None) -> Known | None:
    """One of the newest invoices that were made in these dialects, and are altered so."""
    found = [it for it in city.known if it.dialect in dialects and altered in {None, it.altered}]
    return city.chance.choice(found[-RECENT:]) if found else None


def pesos(amount: int) -> str:
    """A sum of pesos as Treli's clients write it."""
    return f"{amount}.00"


def text_of(amount: int) -> str:
    """A sum of minor units as they write it."""
    return f"{amount // MINOR}.{amount % MINOR:02}"


def minor(text: str) -> int:
    """A sum as Treli's dialect answers it, in minor units."""
    return int(text.replace(".", ""))


def treli_id(named: str) -> str:
    """How Treli's dialect names an invoice or a request, whichever dialect's id this is."""
    return named if named.startswith("col_") else f"col_{base62(UUID(named).int)}"


def core_id(named: str) -> str:
    """How OnePay's dialect does, and our own."""
    number = from_base62(named.removeprefix("col_")) if named.startswith("col_") else None
    return named if number is None else str(UUID(int=number))


def link_of(payment: dict[str, Any]) -> str:
    """Where a payment of OnePay's dialect is paid."""
    return str(payment["payment_link"]).removeprefix(PUBLIC_URL)
