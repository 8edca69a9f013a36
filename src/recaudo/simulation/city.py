"""Who there is: accounts with their gateways and receivers, the clients that speak for them, and what they made."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any
from uuid import UUID

from recaudo.simulation.bill import Retention
from recaudo.simulation.machine import PUBLIC_URL, Answer, Machine, Work
from recaudo.simulation.model import Paper
from recaudo.simulation.receivers import Receiver
from recaudo.simulation.story import Story
from recaudo.simulation.vendor import Vendor
from recaudo.usecases import merchants

CUSTOMERS = 2
TAXES = (0, 5, 19)
RETENTIONS: Mapping[str, Retention] = {
    "retefte": Retention("2.5", minimum=150_000_00),
    "reteica": Retention("0.966"),
    "reteiva": Retention("15", minimum=100_000_00, of_tax=True),
}
# Types that an endpoint of each dialect listens to: all of which the dialect has a word, or some.
TYPES: Mapping[str, Sequence[str]] = {
    "onepay": (
        "invoice.created",
        "invoice.updated",
        "invoice.paid",
        "invoice.partially_paid",
        "invoice.deleted",
        "payment.created",
        "payment.approved",
        "payment.rejected",
        "payment.deleted",
        "payment.expired",
        "payment.partially_paid",
        "payment.overpaid",
        "payment.refunded",
    ),
    "treli": (
        "invoice.created",
        "invoice.paid",
        "invoice.voided",
        "collection.created",
        "collection.paid",
        "collection.partially_paid",
        "collection.voided",
        "collection.uncollectible",
        "payment.failed",
    ),
    "recaudo": (
        "invoice.created",
        "invoice.paid",
        "invoice.withdrawn",
        "invoice.credited",
        "invoice.credit_voided",
        "invoice.reopened",
        "request.created",
        "request.paid",
        "attempt.succeeded",
        "attempt.failed",
        "collection.overpaid",
        "collection.refunded",
        "collection.changed",
        "collection.uncollectible",
        "collection.reopened",
        "refund.started",
    ),
}
# What no client of ours should ever be answered.
UNEXPECTED = {401, 403, 405, 413, 415, 429}


@dataclass(frozen=True)
class Price:
    """A price in an account's register, and the tax on it."""

    id: str
    tax_percent: int


@dataclass(frozen=True)
class Kept:
    """What payers may keep back of an account's invoices, as its register names it."""

    id: str
    kind: str
    retention: Retention


@dataclass
class Account:
    """An account, as those who work for it know it."""

    name: str
    id: UUID
    key: str
    is_test: bool
    notice_paths: dict[str, str] = field(default_factory=dict[str, str])  # by gateway
    receivers: list[Receiver] = field(default_factory=list[Receiver])
    customers: list[str] = field(default_factory=list[str])
    prices: list[Price] = field(default_factory=list[Price])
    retentions: list[Kept] = field(default_factory=list[Kept])

    @property
    def bearer(self) -> dict[str, str]:
        """How a client of OnePay shows the key, and one of our own."""
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def basic(self) -> dict[str, str]:
        """How a client of Treli shows it."""
        return {"Authorization": f"Basic {base64.b64encode(f'{self.key}:'.encode()).decode()}"}


class Altered(Enum):
    """How clients change what is owed of an invoice.

    If one were changed in several ways, it would follow from the order of answers. So each is changed in one.
    """

    LESS = "credit notes, discounts, one of its requests voided"
    TOTALS = "a request asks for another total, or for other items"
    AMOUNT = "OnePay's PUT, whoever made it"


@dataclass
class Known:
    """An invoice as clients and payers know it: its id in its dialect, and every link that was ever given out."""

    label: str
    account: Account
    dialect: str
    id: str
    links: list[str]
    amount: int
    customer: str = ""  # as Treli's dialect names one
    altered: Altered = Altered.LESS


@dataclass
class KnownCollection:
    """One of the collections of an invoice of Treli's dialect."""

    of: Known
    id: str


@dataclass
class KnownDiscount:
    """A discount that a collection has, or had."""

    on: KnownCollection
    id: str


@dataclass
class KnownNote:
    """A credit note as clients know it."""

    label: str
    account: Account
    id: str


@dataclass
class Sent:
    """A request that a client sends until it is answered, and what it was answered first."""

    account: Account
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    label: str
    what: str
    must: bool = False  # there is no reason to refuse it
    answer: Answer | None = None


@dataclass
class City:
    """Everything outside the process."""

    machine: Machine
    chance: Random
    story: Story
    paper: Paper
    vendors: list[Vendor]
    receivers: dict[str, Receiver]
    accounts: list[Account] = field(default_factory=list[Account])
    known: list[Known] = field(default_factory=list[Known])
    collections: list[KnownCollection] = field(default_factory=list[KnownCollection])
    discounts: list[KnownDiscount] = field(default_factory=list[KnownDiscount])
    notes: list[KnownNote] = field(default_factory=list[KnownNote])
    sent: list[Sent] = field(default_factory=list[Sent])
    unanswered: list[tuple[Sent, "Reader"]] = field(default_factory=list[tuple[Sent, "Reader"]])
    forms: list[tuple[str, str, bytes]] = field(default_factory=list[tuple[str, str, bytes]])  # label, target, body
    refundable: list[tuple[Account, str, int]] = field(
        default_factory=list[tuple[Account, str, int]]
    )  # receipt, amount
    undoable: list[tuple[Known, str]] = field(default_factory=list[tuple[Known, str]])  # receipts of registered sums
    broken: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # about whom, and what
    changing: set[str] = field(default_factory=set[str])  # invoices of which a change is on its way
    shifts: dict[str, int] = field(default_factory=dict[str, int])  # seconds, by account
    numbers: int = 0

    def number(self) -> int:
        """A number that nobody had before."""
        self.numbers += 1
        return self.numbers

    def wrong(self, label: str, text: str) -> None:
        """Note what must never happen."""
        self.story.tell(label, f"WRONG: {text}")
        self.broken.append((label, text))

    def vendor(self, name: str) -> Vendor:
        """The vendor of this name."""
        return next(it for it in self.vendors if it.name == name)

    def errand(self, sent: Sent, read: "Reader") -> Work:
        """Send a request; when the process dies, it is kept to be sent again, the same to the byte."""

        async def go() -> None:
            self.unanswered.append((sent, read))
            answer = await self.machine.ask(sent.method, sent.target, sent.headers, sent.body)
            is_late = answer.is_away or (answer.status == 409 and b"idempotency_in_progress" in answer.body)
            self.story.tell(sent.label, f"{sent.what}: {answer.status}{' again' if _is_replay(answer) else ''}")
            if is_late:
                return
            self.unanswered.remove((sent, read))
            read.ended()
            self._judge(sent, answer)
            if 200 <= answer.status < 300:
                sent.answer = answer
                self.sent.append(sent)
                read(answer)

        return go

    def repeat(self, sent: Sent) -> Work:
        """Send an answered request again: the same bytes must come back."""

        async def go() -> None:
            assert sent.answer is not None, "only what was answered is repeated"
            answer = await self.machine.ask(sent.method, sent.target, sent.headers, sent.body)
            if answer.is_away:
                return
            same = (answer.status, answer.body) == (sent.answer.status, sent.answer.body)
            self.story.counts["repeated requests"] += 1
            self.story.tell(sent.label, f"{sent.what} once more: {'the same' if same else answer.status}")
            if not same:
                self.wrong(sent.label, f"{sent.what} with the same key was answered {answer.status} and other bytes")

        return go

    def _judge(self, sent: Sent, answer: Answer) -> None:
        self.story.counts[f"answered {answer.status // 100}xx"] += 1
        if answer.status >= 500 or answer.status in UNEXPECTED or (sent.must and answer.status >= 400):
            self.wrong(sent.label, f"{sent.what} was answered {answer.status}: {answer.body[:200].decode()}")


class Reader:
    """What a client does with an answer of success. Compared by identity, so that requests can be found again.

    `ended` is called before, whatever the answer is.
    """

    def __init__(self, read: Callable[[Answer], None], ended: Callable[[], None] = lambda: None) -> None:
        self._read = read
        self.ended = ended

    def __call__(self, answer: Answer) -> None:
        """Read it."""
        self._read(answer)


def nothing_to_read(answer: Answer) -> None:
    """For requests of which only the success matters."""


async def found(city: City, *, merchants_max: int = 2) -> None:
    """Make the merchants and set them up, as their developers would."""
    for number in range(city.chance.randint(1, merchants_max)):
        slug = f"comercio-{number + 1}"
        made = await merchants.create(
            city.machine.core, f"Comercio {number + 1}", slug, settings={"rate_per_second": 0}
        )
        for is_test in (False, True):
            keys = made.test if is_test else made.live
            name = f"{slug}/{'test' if is_test else 'live'}"
            account = Account(name, keys.account_id, keys.secret_key, is_test)
            if not is_test or city.chance.random() < 0.5:
                await _set_up(city, account)
                city.accounts.append(account)


async def _set_up(city: City, account: Account) -> None:
    for vendor in city.vendors:
        # Everybody has the first gateway, and most have the second.
        if vendor is city.vendors[0] or city.chance.random() < 0.7:
            await _add_gateway(city, account, vendor)
    for number, dialect in enumerate(city.chance.sample(sorted(TYPES), city.chance.randint(1, 3))):
        await _add_receiver(city, account, dialect, number)
    for number in range(CUSTOMERS):
        address = {"id_type": "CC", "identification": str(1_060_500_000 + number), "country": "CO"}
        body = {"full_name": f"Ana Ruiz {number}", "email": "ana@example.com", "billing_address": address}
        answer = await _call(city, "/v1/customers", account.basic, body)
        account.customers.append(answer["id"])
    await _fill_registers(city, account)


async def _fill_registers(city: City, account: Account) -> None:
    """What is sold, at which tax, and what payers keep back."""
    for percent in TAXES:
        settings = {"invoice_tax_id": "IVA", "invoice_tax_percentage": str(percent)} if percent else {}
        product = {"name": f"Servicio al {percent} %", "invoice_settings": settings}
        made = await _call(city, "/v1/products", account.basic, product)
        price = {"product_id": made["id"], "unit_price": "20000.00"}
        account.prices.append(Price((await _call(city, "/v1/prices", account.basic, price))["id"], percent))
    for kind, it in RETENTIONS.items():
        body = {"kind": kind, "name": kind, "percentage": it.percent, "minimum_base": f"{it.minimum // 100}.00"}
        made = await _call(city, "/recaudo/v1/retentions", account.basic, body)
        account.retentions.append(Kept(made["id"], kind, it))


async def _add_gateway(city: City, account: Account, vendor: Vendor) -> None:
    body = {"kind": vendor.name, "credentials": {"secret": vendor.secret_of(account.id)}}
    made = await _call(city, "/recaudo/v1/gateways", account.bearer, body)
    account.notice_paths[vendor.name] = made["notice_url"].removeprefix(PUBLIC_URL)
    if account.is_test:
        vendor.test_accounts.add(account.id)


async def _add_receiver(city: City, account: Account, dialect: str, number: int) -> None:
    types = TYPES[dialect]
    url = f"https://hooks.test/{account.name}/{number}"
    body = {"dialect": dialect, "name": "ERP", "url": url, "types": list(types)}
    await _call(city, "/recaudo/v1/webhooks", account.bearer, body)
    receiver = Receiver(url, account.name, dialect)
    account.receivers.append(receiver)
    city.receivers[url] = receiver


async def _call(city: City, target: str, key: dict[str, str], body: dict[str, Any]) -> Any:  # noqa: ANN401
    answer = await city.machine.ask("POST", target, as_json(key, f"set-up-{city.number()}"), json.dumps(body).encode())
    assert 200 <= answer.status < 300, answer.body
    return answer.json


def as_json(key: dict[str, str], once: str) -> dict[str, str]:
    """The headers of a JSON request."""
    return {**key, "Content-Type": "application/json", "x-idempotency": once}


def _is_replay(answer: Answer) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"
