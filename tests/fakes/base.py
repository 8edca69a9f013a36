"""What the fakes of payment vendors share: a clock that can be moved, a store of transactions, notices, the controls.

Section numbers are those of the gateways specification. Nothing here imports recaudo: a fake is the vendor's side, and
what both sides believed would prove nothing.
"""

import asyncio
import contextlib
import heapq
import itertools
import json
import re
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

import aiohttp
from aiohttp import web

from tests.fakes.scenario import (
    ENDS_APPROVED,
    PENDING_FIRST,
    STEPS,
    WRITES,
    Outcome,
    Plan,
    RefundAnswer,
    Reverse,
    Scenario,
    Scenarios,
)

PENDING_SECONDS = 10.0  # how long `pending_then_...` stays pending
EXPIRY_SECONDS = 20 * 60.0  # a bank payment that nobody finishes (3.2)
KEPT_CALLS = 20_000


# -- Time --------------------------------------------------------------------------------------------------------------


class Clock:
    """The fakes' time (1.12, rule 4): it runs as the wall clock does, or stands still, and can be moved forward."""

    def __init__(self, start: datetime | None = None, *, frozen: bool = False) -> None:
        self.frozen = frozen
        self._base = start or datetime.now(UTC)
        self._since = time.monotonic()
        self.members: list[Fake[Any]] = []

    def now(self) -> datetime:
        """The time at the vendor."""
        if self.frozen:
            return self._base
        return self._base + timedelta(seconds=time.monotonic() - self._since)

    def move_to(self, moment: datetime) -> None:
        """Set the time; never back."""
        if moment > self.now():
            self._base, self._since = moment, time.monotonic()

    async def advance(self, seconds: float) -> None:
        """Let time pass. What falls due on the way happens at its own moment, its notices answered before the next."""
        target = self.now() + timedelta(seconds=seconds)
        await self._settle()  # what is on its way now may plan a retry before the target
        while due := self._next_due(target):
            self.move_to(due)
            await self._settle()
        self.move_to(target)
        await self._settle()

    def _next_due(self, target: datetime) -> datetime | None:
        due = [moment for fake in self.members if (moment := fake.next_due()) and moment <= target]
        return min(due, default=None)

    async def _settle(self) -> None:
        for fake in self.members:
            await fake.drain_notices()


# -- JSON --------------------------------------------------------------------------------------------------------------

_DECIMAL_MARK = "\N{SYMBOL FOR UNIT SEPARATOR}"


def dumps(value: object) -> str:
    """JSON in which a Decimal is a number, digit for digit (1.3)."""
    text = json.dumps(value, default=_mark, ensure_ascii=False, separators=(",", ":"))
    return re.sub(f'"{_DECIMAL_MARK}([-0-9.]+)"', r"\1", text)


def _mark(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_DECIMAL_MARK}{value:f}"
    raise TypeError(f"{type(value).__name__} is not JSON")


def answer(value: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(text=dumps(value), status=status, content_type="application/json", headers=headers)


async def read_object(request: web.Request) -> dict[str, Any] | None:
    """The request's JSON object, its fractions as Decimals; none when it is something else."""
    try:
        value = json.loads(await request.read(), parse_float=Decimal)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


# -- What is kept ------------------------------------------------------------------------------------------------------


class State(StrEnum):
    """The state of a transaction, in no vendor's words."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    ERROR = "error"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"  # all of it
    CHARGED_BACK = "charged_back"
    IN_MEDIATION = "in_mediation"


_ENDS = {
    Outcome.APPROVED: State.APPROVED,
    Outcome.PENDING_THEN_APPROVED: State.APPROVED,
    Outcome.DECLINED: State.DECLINED,
    Outcome.PENDING_THEN_DECLINED: State.DECLINED,
    Outcome.ERROR: State.ERROR,
    Outcome.EXPIRED: State.EXPIRED,
}


@dataclass
class Merchant:
    """Somebody with an account at the vendor."""

    key: str  # the credential that names the account: Wompi's public key, Mercado Pago's access token
    notice_url: str
    live: bool


M = TypeVar("M", bound=Merchant)


@dataclass
class Refund:
    """Money that went back."""

    id: int
    amount_minor: int
    kind: str  # refund, void, chargeback, withdrawn
    status: str  # approved, in_process, rejected
    created_at: datetime


@dataclass
class Transaction(Generic[M]):
    """One transaction as the vendor has it."""

    id: str
    merchant: M
    reference: str
    asked_minor: int
    amount_minor: int
    currency: str
    method: str
    created_at: datetime
    updated_at: datetime
    live: bool
    state: State = State.PENDING
    approved_at: datetime | None = None
    finalized_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list[Refund])
    details: dict[str, Any] = field(default_factory=dict[str, Any])  # what only this vendor has
    concluded: bool = False  # whether its end is planned
    gets: int = 0  # how often it was fetched by its id

    @property
    def refunded_minor(self) -> int:
        """What went back, whatever the way."""
        return sum(r.amount_minor for r in self.refunds if r.status == "approved")

    @property
    def promised_minor(self) -> int:
        """What went back or is on its way."""
        return sum(r.amount_minor for r in self.refunds if r.status != "rejected")


@dataclass(frozen=True)
class Money:
    """What the fake says happened, in minor units of one currency."""

    approved: int = 0  # everything that was ever approved
    returned: int = 0  # refunds, voids, chargebacks, and approvals taken back
    disputed: int = 0  # of what is left: in mediation

    @property
    def net(self) -> int:
        """What the merchant still has."""
        return self.approved - self.returned


@dataclass
class Try:
    """One sending of a notice."""

    at: datetime
    status: int | None  # none: no answer
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Signed:
    """A notice ready to be sent."""

    url: str
    headers: dict[str, str]
    body: bytes


Compose = Callable[[int], Signed]  # the number of the try (0 is the first) -> what is sent


@dataclass
class Notice:
    """Something the vendor tells a merchant."""

    transaction_id: str
    reference: str
    claims: State
    compose: Compose
    tries: list[Try] = field(default_factory=list[Try])
    dropped: bool = False
    first_at: datetime | None = None


@dataclass(frozen=True)
class Call:
    """One request that the fake's API answered."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    step: str
    reference: str | None
    status: int  # 0: the connection was cut


@dataclass(order=True)
class _Due:
    at: datetime
    number: int
    act: Callable[[], None] = field(compare=False)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """A path of the vendor, and which step it is in the eyes of the scenarios."""

    method: str
    path: str
    step: str
    handler: Handler


# -- The fake ----------------------------------------------------------------------------------------------------------


class Fake(ABC, Generic[M]):
    """A vendor. What differs between vendors is abstract."""

    name: ClassVar[str]
    reference_field: ClassVar[str]  # of bodies and searches
    announces_creation: ClassVar[bool]
    partial_refunds: ClassVar[bool]
    retry_offsets: ClassVar[Sequence[timedelta]]  # from the first try
    good_answers: ClassVar[frozenset[int]]

    def __init__(
        self, *, clock: Clock | None = None, settle_seconds: float = 1.0, answer_timeout: float = 10.0
    ) -> None:
        self.clock = clock or Clock()
        self.clock.members.append(self)
        self.settle_seconds = settle_seconds
        self.answer_timeout = answer_timeout  # of the wall clock: how long the vendor waits for the notice's answer
        self.base_url = ""
        self.scenarios = Scenarios()
        self.merchants: dict[str, M] = {}
        self.transactions: dict[str, Transaction[M]] = {}
        self.by_reference: dict[str, list[Transaction[M]]] = {}
        self.notices: list[Notice] = []
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._numbers = itertools.count(1)
        self._heap: list[_Due] = []
        self._to_come: Counter[str] = Counter()  # by reference: transitions that are still to happen
        self._held: dict[str, list[Notice]] = {}  # by reference: notices that wait to be sent newest first
        self._outbox: dict[str, deque[list[Notice]]] = {}
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._wake: asyncio.Event | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    # What each vendor says for itself

    @abstractmethod
    def routes(self) -> Iterable[Route]:
        """The vendor's paths."""

    @abstractmethod
    def compose(self, transaction: Transaction[M], claims: State) -> Compose:
        """A signed notice about a transaction as it is now."""

    @abstractmethod
    def new_id(self) -> str:
        """The id of the next transaction."""

    @abstractmethod
    def by_data(self, transaction: Transaction[M]) -> Outcome | None:
        """What the vendor's sandbox data decide; none: the payer does, on a page."""

    @abstractmethod
    def server_error(self, status: int, headers: dict[str, str] | None) -> web.Response:
        """A 500 or 429 in the vendor's shape."""

    # For tests

    def approved(self, reference: str | None = None) -> int:
        """What was ever approved in COP, in minor units; of one reference or of all."""
        return self.money(reference).approved

    def money(self, reference: str | None = None, currency: str = "COP") -> Money:
        """What the fake says happened to the money, for tests to compare with to the peso."""
        chosen = self.transactions.values() if reference is None else self.by_reference.get(reference, [])
        paid = [t for t in chosen if t.approved_at and t.currency == currency]
        return Money(
            approved=sum(t.amount_minor for t in paid),
            returned=sum(t.refunded_minor for t in paid),
            disputed=sum(t.amount_minor - t.refunded_minor for t in paid if t.state is State.IN_MEDIATION),
        )

    def settle(self, transaction_id: str, state: State = State.APPROVED) -> None:
        """End a transaction that is pending, now."""
        self.finish(self.transactions[transaction_id], state)

    def repeat_notices(self, reference: str) -> None:
        """Send everything that was ever announced about a reference once more."""
        for notice in [n for n in self.notices if n.reference == reference]:
            self._send_later(0, [Notice(notice.transaction_id, reference, notice.claims, notice.compose)])

    async def advance(self, seconds: float) -> None:
        """Move the clock, of every fake on it."""
        await self.clock.advance(seconds)

    async def drain_notices(self) -> None:
        """Wait until every notice that is due by now was sent and answered, or not. Retries due later wait."""
        while True:
            self.run_due()
            if not self._senders:
                return
            await asyncio.wait(list(self._senders.values()))

    def reset(self) -> None:
        """Forget transactions, scenarios and notices. Merchants stay, and so does the time."""
        for sender in self._senders.values():
            sender.cancel()
        self._senders.clear()
        for kept in (self.transactions, self.by_reference, self.notices, self.calls, self._heap):
            kept.clear()
        for kept in (self._to_come, self._held, self._outbox):
            kept.clear()
        self.scenarios.reset()

    # Life

    async def start(self) -> None:
        """Begin to send notices."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._wake = asyncio.Event()
        self._pump_task = asyncio.create_task(self._pump())

    async def stop(self) -> None:
        """Stop sending."""
        tasks = [t for t in (self._pump_task, *self._senders.values()) if t]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def app(self) -> web.Application:
        """The vendor's server, with the controls below `/_fake`."""
        app = web.Application(client_max_size=256 * 1024)
        for route in self.routes():
            assert route.step in STEPS | {"page"}
            app.router.add_route(route.method, route.path, self._wrap(route))
        for method, path, handler in self._controls():
            app.router.add_route(method, path, handler)
        return app

    # Time

    def now(self) -> datetime:
        """The vendor's time."""
        return self.clock.now()

    def next_due(self) -> datetime | None:
        """When something happens next."""
        return self._heap[0].at if self._heap else None

    def later(self, seconds: float, act: Callable[[], None], *, reference: str | None = None) -> None:
        """Do something after so many seconds of the vendor's clock.

        With a reference it is a transition of it: notices to be reordered wait for the last one.
        """
        if reference is not None:
            self._to_come[reference] += 1

        def counted() -> None:
            if reference is not None:
                self._to_come[reference] -= 1
            act()

        due = self.now() + timedelta(seconds=seconds)
        heapq.heappush(self._heap, _Due(due, next(self._numbers), counted))
        if self._wake:
            self._wake.set()

    def run_due(self) -> None:
        """Do whatever is due by now."""
        while True:
            while self._heap and self._heap[0].at <= self.now():
                heapq.heappop(self._heap).act()
            ready = [reference for reference in self._held if not self._to_come[reference]]
            if not ready:
                return
            for reference in ready:
                for notice in reversed(self._held.pop(reference)):
                    self._send_later(self.plan(reference).scenario.delay, self._copies(notice))

    async def _pump(self) -> None:
        """Do what falls due while nobody calls."""
        assert self._wake
        while True:
            self._wake.clear()
            self.run_due()
            due = None if self.clock.frozen else self.next_due()
            wait = None if due is None else max(0.0, (due - self.now()).total_seconds())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    # Transactions

    def plan(self, reference: str | None) -> Plan:
        """What is to happen to a reference."""
        return self.scenarios.of(reference)

    def default(self) -> Scenario:
        """What holds where no reference is named."""
        return self.scenarios.default

    def add(
        self,
        merchant: M,
        reference: str,
        asked_minor: int,
        method: str,
        details: dict[str, Any],
        *,
        currency: str = "COP",
    ) -> Transaction[M]:
        """A new transaction, pending."""
        scenario = self.plan(reference).scenario
        now = self.now()
        transaction = Transaction(
            id=self.new_id(),
            merchant=merchant,
            reference=reference,
            asked_minor=asked_minor,
            amount_minor=max(asked_minor - scenario.partial, min(asked_minor, 100)) + scenario.over,
            currency="USD" if scenario.wrong_currency else currency,
            method=method,
            created_at=now,
            updated_at=now,
            live=merchant.live != scenario.wrong_env,
            details=details,
        )
        self.transactions[transaction.id] = transaction
        self.by_reference.setdefault(reference, []).append(transaction)
        return transaction

    def again(self, transaction: Transaction[M]) -> Transaction[M]:
        """A further transaction like that one: the payer's next try, or a second payment."""
        made = self.add(
            transaction.merchant,
            transaction.reference,
            transaction.asked_minor,
            transaction.method,
            dict(transaction.details),
        )
        if self.announces_creation:
            self.announce(made)
        return made

    def play(self, transaction: Transaction[M], chosen: Outcome | None = None) -> None:
        """Let a new transaction take its course: as the payer chose, else by its scenario, else by sandbox data."""
        scenario = self.plan(transaction.reference).scenario
        if self.announces_creation or scenario.announce_pending:
            self.announce(transaction)
        if scenario.lie:
            self.announce(transaction, State.APPROVED)
        self.conclude(transaction, chosen or scenario.outcome or self.by_data(transaction), retry=not chosen)

    def conclude(self, transaction: Transaction[M], outcome: Outcome | None, *, retry: bool = False) -> None:
        """Plan how a pending transaction ends, and what else happens to its reference."""
        if outcome is None or outcome is Outcome.PENDING or transaction.concluded:
            return
        transaction.concluded = True
        scenario = self.plan(transaction.reference).scenario
        after = self._after(scenario, outcome)
        approves = outcome in ENDS_APPROVED
        if approves and retry and scenario.retry_by_payer:
            self._at(after, transaction, State.DECLINED)
            self._at(after * 2, transaction, State.APPROVED, again=True)
        else:
            self._at(after, transaction, _ENDS[outcome])
        if approves and scenario.double_approve:
            self._at(after, transaction, State.APPROVED, again=True)
        if approves and scenario.late_decline:
            self._at(after * 2 + 1, transaction, State.DECLINED, again=True)

    def finish(self, transaction: Transaction[M], state: State) -> None:
        """End a pending transaction; one that has ended stays as it is."""
        if transaction.state is not State.PENDING:
            return
        now = self.now()
        transaction.state = state
        transaction.updated_at = transaction.finalized_at = now
        if state is State.APPROVED:
            transaction.approved_at = now
            scenario = self.plan(transaction.reference).scenario
            if how := scenario.reverse:
                self.later(scenario.reverse_after, lambda: self.reverse(transaction, how))
        self.announce(transaction)

    def reverse(self, transaction: Transaction[M], how: Reverse) -> None:
        """Take an approved payment back (1.11), in the way that the vendor has."""
        left = transaction.amount_minor - transaction.promised_minor
        if transaction.state is not State.APPROVED or left <= 0:
            return
        match how:
            case Reverse.REFUNDED:
                self.refund(transaction, left, "refund")
            case Reverse.PARTLY_REFUNDED:
                half = max(100, left // 200 * 100) if self.partial_refunds else left
                self.refund(transaction, min(half, left), "refund")
            case Reverse.CHARGED_BACK:
                self._return(transaction, left, "chargeback")
                self._become(transaction, State.CHARGED_BACK)
            case Reverse.IN_MEDIATION:
                self._become(transaction, State.IN_MEDIATION)
            case Reverse.DECLINED:
                self._return(transaction, left, "withdrawn")
                self._become(transaction, State.DECLINED)

    def refund(
        self,
        transaction: Transaction[M],
        amount_minor: int,
        kind: str,
        *,
        answered: RefundAnswer = RefundAnswer.APPROVED,
    ) -> Refund:
        """Give money back, now or when the vendor gets to it."""
        waits = answered in (RefundAnswer.IN_PROCESS, RefundAnswer.IN_PROCESS_THEN_APPROVED)
        status = "in_process" if waits else answered.value
        made = self._return(transaction, amount_minor, kind, status)
        if answered is RefundAnswer.APPROVED:
            self._refunded(transaction)
        elif answered is RefundAnswer.IN_PROCESS_THEN_APPROVED:
            self.later(PENDING_SECONDS, lambda: self._approve_refund(transaction, made))
        return made

    def _approve_refund(self, transaction: Transaction[M], made: Refund) -> None:
        made.status = "approved"
        self._refunded(transaction)

    def _refunded(self, transaction: Transaction[M]) -> None:
        whole = transaction.refunded_minor >= transaction.amount_minor
        self._become(transaction, State.REFUNDED if whole else transaction.state)

    def _return(self, transaction: Transaction[M], amount_minor: int, kind: str, status: str = "approved") -> Refund:
        made = Refund(next(self._numbers) + 1_000_000_000, amount_minor, kind, status, self.now())
        transaction.refunds.append(made)
        return made

    def _become(self, transaction: Transaction[M], state: State) -> None:
        transaction.state, transaction.updated_at = state, self.now()
        self.announce(transaction)

    def _after(self, scenario: Scenario, outcome: Outcome) -> float:
        if scenario.after is not None:
            return scenario.after
        if outcome is Outcome.EXPIRED:
            return EXPIRY_SECONDS
        return PENDING_SECONDS if outcome in PENDING_FIRST else self.settle_seconds

    def _at(self, seconds: float, transaction: Transaction[M], state: State, *, again: bool = False) -> None:
        """Plan a transaction's end, or that of a further one like it."""

        def act() -> None:
            self.finish(self.again(transaction) if again else transaction, state)

        self.later(seconds, act, reference=transaction.reference)

    def searchable(self, transaction: Transaction[M]) -> bool:
        """Whether a search finds it by now."""
        lag = timedelta(seconds=self.plan(transaction.reference).scenario.search_lag)
        return transaction.created_at + lag <= self.now()

    # Notices

    def announce(self, transaction: Transaction[M], claims: State | None = None) -> None:
        """Tell the merchant of a transaction's state (or claim another), as the scenario has it."""
        said = claims or transaction.state
        self.tell(Notice(transaction.id, transaction.reference, said, self.compose(transaction, said)))

    def tell(self, notice: Notice) -> None:
        """Send a notice, as its reference's scenario has it."""
        scenario = self.plan(notice.reference).scenario
        self.notices.append(notice)
        if scenario.drop:
            notice.dropped = True
        elif scenario.reorder:
            self._held.setdefault(notice.reference, []).append(notice)
        else:
            self._send_later(scenario.delay, self._copies(notice))

    def _copies(self, notice: Notice) -> list[Notice]:
        """The notice as often as the scenario sends it. Each copy has its own retries; the log keeps them all."""
        more = max(0, self.plan(notice.reference).scenario.duplicate - 1)
        copies = [Notice(notice.transaction_id, notice.reference, notice.claims, notice.compose) for _ in range(more)]
        self.notices.extend(copies)
        return [notice, *copies]

    def _send_later(self, seconds: float, notices: list[Notice]) -> None:
        groups = [notices] if self.plan(notices[0].reference).scenario.burst else [[n] for n in notices]
        for group in groups:
            self.later(seconds, lambda group=group: self._put(group))

    def _put(self, group: list[Notice]) -> None:
        """Into the line of its reference: one after the other, so that an order is an order."""
        reference = group[0].reference
        self._outbox.setdefault(reference, deque()).append(group)
        if reference not in self._senders and self._session:
            self._senders[reference] = asyncio.get_running_loop().create_task(self._send_line(reference))

    async def _send_line(self, reference: str) -> None:
        line = self._outbox.get(reference)
        while line:
            await asyncio.gather(*(self._send(notice) for notice in line.popleft()))
        # No await since the line was seen empty, so that nothing is put into a line that nobody serves. After a reset
        # the reference may have another sender, which is not ours to remove.
        if self._senders.get(reference) is asyncio.current_task():
            del self._senders[reference]
            self._outbox.pop(reference, None)

    async def _send(self, notice: Notice) -> None:
        signed = notice.compose(len(notice.tries))
        if not signed.url:
            return
        at = self.now()
        notice.first_at = notice.first_at or at
        status = await self._post(signed)
        notice.tries.append(Try(at, status, signed.headers, signed.body))
        tried = len(notice.tries)
        if status in self.good_answers or tried > len(self.retry_offsets):
            return
        due = notice.first_at + self.retry_offsets[tried - 1]
        self.later(max(0.0, (due - self.now()).total_seconds()), lambda: self._put([notice]))

    async def _post(self, signed: Signed) -> int | None:
        """The status of the merchant's answer; redirects are not followed and do not count."""
        assert self._session
        timeout = aiohttp.ClientTimeout(total=self.answer_timeout)
        try:
            async with self._session.post(
                signed.url, data=signed.body, headers=signed.headers, allow_redirects=False, timeout=timeout
            ) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    # The API's faults

    def _wrap(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.run_due()
            reference = await self._reference_of(request)
            plan = self.plan(reference)
            response = await self._with_faults(route, request, plan)
            await self._log(request, route.step, reference, response)
            self.run_due()
            return response or self._cut(request)

        return handle

    async def _with_faults(self, route: Route, request: web.Request, plan: Plan) -> web.StreamResponse | None:
        """The answer, or none when the connection is to be cut."""
        if route.step == "page" or not plan.concerns(route.step):
            return await route.handler(request)
        scenario = plan.scenario
        headers = None if scenario.retry_after is None else {"Retry-After": str(scenario.retry_after)}
        if plan.take("http_500"):
            return self.server_error(500, headers)
        if plan.take("http_429"):
            return self.server_error(429, headers)
        if plan.take("html"):
            return web.Response(
                text="<html><body><h1>Estamos en mantenimiento</h1></body></html>", content_type="text/html"
            )
        if plan.take("hang"):
            await asyncio.sleep(scenario.hang_seconds)
            return None
        response = await route.handler(request)
        if route.step in WRITES and response.status < 300:
            if plan.take("timeout_after_commit"):
                return None
            if plan.take("http_500_after_commit"):
                return self.server_error(500, None)
        return response

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport:
            request.transport.abort()
        return web.Response()  # goes nowhere

    async def _reference_of(self, request: web.Request) -> str | None:
        """Which reference a call is about; none if it names none that the fake knows."""
        known = self.transactions.get(request.match_info.get("id", ""))
        if known:
            return known.reference
        if named := request.query.get(self.reference_field):
            return named
        if request.method in ("POST", "PUT") and request.content_type == "application/json":
            body = await read_object(request)
            named = (body or {}).get(self.reference_field)
            return named if isinstance(named, str) and named else None
        return None

    async def _log(
        self, request: web.Request, step: str, reference: str | None, response: web.StreamResponse | None
    ) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read() if request.method in ("POST", "PUT", "PATCH") else b""
        status = response.status if response else 0
        self.calls.append(
            Call(request.method, request.path, dict(request.query), headers, body, step, reference, status)
        )

    # The controls

    def _controls(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/_fake/scenario", self._show_scenario),
            ("POST", "/_fake/scenario", self._set_scenario),
            ("GET", "/_fake/transactions", self._show_transactions),
            ("POST", "/_fake/transactions/{id}", self._settle_transaction),
            ("GET", "/_fake/notices", self._show_notices),
            ("POST", "/_fake/notice_url", self._set_notice_url),
            ("POST", "/_fake/advance", self._advance),
            ("POST", "/_fake/reset", self._reset),
        ]

    async def _show_scenario(self, request: web.Request) -> web.Response:
        plans = {reference: plan.scenario.to_json() for reference, plan in self.scenarios.plans.items()}
        return answer({"default": self.scenarios.default.to_json(), "references": plans})

    async def _set_scenario(self, request: web.Request) -> web.Response:
        """`{"reference"?, knob: value, ...}`, `{"queue": [{knob: value}, ...]}` or `{"chaos": seed}`."""
        body = await read_object(request)
        if body is None:
            return _refused("send a JSON object")
        try:
            if "chaos" in body:
                self.scenarios.chaos(body["chaos"])
            elif "queue" in body:
                self.scenarios.queue.extend([Scenario.from_json(_plain(each)) for each in body["queue"]])
            else:
                reference = body.pop("reference", None)
                self.scenarios.set(reference, Scenario.from_json(_plain(body)))
        except (TypeError, ValueError, AttributeError) as error:
            return _refused(str(error))
        return await self._show_scenario(request)

    async def _show_transactions(self, request: web.Request) -> web.Response:
        self.run_due()
        wanted = request.query.get("reference")
        chosen = [t for t in self.transactions.values() if wanted in (None, t.reference)]
        money = self.money(wanted)
        return answer(
            {
                "now": self.now().isoformat(),
                "transactions": [_shown(t) for t in chosen],
                "cop_minor": {"approved": money.approved, "returned": money.returned, "disputed": money.disputed},
            }
        )

    async def _settle_transaction(self, request: web.Request) -> web.Response:
        """`{"state": "approved"}` ends a pending transaction."""
        self.run_due()
        transaction = self.transactions.get(request.match_info["id"])
        body = await read_object(request) or {}
        if not transaction:
            return _refused("there is no such transaction", 404)
        try:
            self.finish(transaction, State(body.get("state", "approved")))
        except ValueError:
            return _refused(f"state is one of {', '.join(State)}")
        return answer(_shown(transaction))

    async def _show_notices(self, request: web.Request) -> web.Response:
        return answer(
            [
                {
                    "transaction_id": n.transaction_id,
                    "reference": n.reference,
                    "claims": n.claims,
                    "dropped": n.dropped,
                    "tries": [{"at": t.at.isoformat(), "status": t.status} for t in n.tries],
                }
                for n in self.notices
            ]
        )

    async def _set_notice_url(self, request: web.Request) -> web.Response:
        """`{"url", "merchant"?}`: of one merchant by its key, or of all."""
        body = await read_object(request) or {}
        url, key = body.get("url"), body.get("merchant")
        if not isinstance(url, str) or (key is not None and key not in self.merchants):
            return _refused("send the url, and a merchant's key if it is for one alone")
        for merchant in self.merchants.values():
            if key in (None, merchant.key):
                merchant.notice_url = url
        return answer({"url": url})

    async def _advance(self, request: web.Request) -> web.Response:
        body = await read_object(request) or {}
        seconds = body.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal) or seconds < 0:
            return _refused("seconds is a number, not below zero")
        await self.advance(float(seconds))
        return answer({"now": self.now().isoformat()})

    async def _reset(self, request: web.Request) -> web.Response:
        self.reset()
        return answer({"now": self.now().isoformat()})


def _refused(text: str, status: int = 400) -> web.Response:
    return answer({"error": text}, status)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Fractions as floats: the knobs have no money with fractions."""
    return {name: float(each) if isinstance(each, Decimal) else each for name, each in value.items()}


def _shown(transaction: Transaction[Any]) -> dict[str, Any]:
    """A transaction for `/_fake/transactions`."""
    return {
        "id": transaction.id,
        "merchant": transaction.merchant.key,
        "reference": transaction.reference,
        "state": transaction.state,
        "method": transaction.method,
        "currency": transaction.currency,
        "live": transaction.live,
        "asked_minor": transaction.asked_minor,
        "amount_minor": transaction.amount_minor,
        "refunded_minor": transaction.refunded_minor,
        "created_at": transaction.created_at.isoformat(),
        "approved_at": transaction.approved_at.isoformat() if transaction.approved_at else None,
        "refunds": [
            {"id": r.id, "kind": r.kind, "amount_minor": r.amount_minor, "status": r.status}
            for r in transaction.refunds
        ],
    }
