"""What a claim costs among a crowd of rows that are not due: the same few hundred due deliveries, in several databases.

Each round creates the same number of invoices through the product's own door, in every database, and takes their
deliveries with two claims: each invoice's first event, then the second one, which waits for the first. The crowds are
rows that SQL makes, as the product would have left them.
"""

import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.progress import Progress
from rich.table import Table

from bench import backlog, stage as stages
from bench.options import BenchError, Options
from bench.stage import Stage
from recaudo.domain.delivering import DeliveryState, Try
from recaudo.parts import make_core
from recaudo.store import deliveries as store
from recaudo.store.database import Database
from recaudo.store.deliveries import ClaimedDelivery, Concluded
from recaudo.worker.deliveries import CLAIM_MAX

# As many as fill a claim.
EACH_MAX = 64
ENDPOINTS = CLAIM_MAX // EACH_MAX
# So many invoices fill one claim with their first events, and another with their second ones.
INVOICES = CLAIM_MAX // ENDPOINTS
ROUNDS_BEFORE = 4
ROUNDS_WARMUP = 4
ROUNDS_EACH = 12
# A crowd that makes claims this slow has told enough.
SPENT_S_MAX = 45
SETTLING_MAX = 2_000
MAKING_TIMEOUT_S = 600


@dataclass(frozen=True)
class Crowd:
    """What else lies in the database; `factor` is its size as a part of the command line's --rows."""

    name: str
    factor: float
    statements: tuple[str, ...]
    is_due: bool = False  # it takes a share of each claim, and leaves none idle
    is_known: bool = True  # to PostgreSQL's statistics

    def size(self, rows: int) -> int:
        return round(rows * self.factor)

    def title(self, rows: int) -> str:
        return self.name.format(f"{self.size(rows):,}", f"{self.size(rows) // 100:,}")


# {count} is the crowd's size, {account} the one whose deliveries are due, {endpoints} an array of its endpoints; the
# others belong to another account with one endpoint.
_DELIVERED = """
    INSERT INTO delivery (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, state, http_status,
        history, first_tried_at, created_at, tries)
    SELECT '{account}', uuidv7(age), ({endpoints})[1 + n % cardinality({endpoints})], gen_random_uuid(),
        gen_random_uuid(), 1, n % 2, (ARRAY['invoice.created', 'collection.opened'])[1 + n % 2], 'delivered', 204,
        jsonb_build_array(jsonb_build_object('at', now() + age, 'status', 204, 'error', NULL, 'latency_ms', 12,
            'answer', '')),
        now() + age, now() + age, 1
    FROM (SELECT n, make_interval(secs => n - {count}) AS age FROM generate_series(1, {count}) n) crowd
"""
# Each has an account of its own; no secret of theirs is ever opened.
_ENDPOINTS = """
    INSERT INTO endpoint (account_id, id, dialect, name, url, types, tells, secret, token, created_at, updated_at)
    SELECT gen_random_uuid(), uuidv7(), dialect, name, url, types, tells, secret, token, now(), now()
    FROM generate_series(1, {count}) n CROSS JOIN endpoint WHERE id = ({endpoints})[1]
"""
_FAILING = "UPDATE endpoint SET failing_since = now() WHERE id = '{other_endpoint}'"
_BACK_OFF = """
    INSERT INTO delivery (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, http_status,
        last_error, first_tried_at, created_at, due_at, tries)
    SELECT '{other_account}', uuidv7(), '{other_endpoint}', gen_random_uuid(), md5(n::text)::uuid, 1, 0,
        'invoice.created', 503, 'HTTP 503', now() - interval '20 min', now() - interval '20 min',
        now() + interval '10 min' + random() * interval '20 min', 4
    FROM generate_series(1, {count}) n
"""
# The second events of one subject in a hundred: due, and held back by the first.
_FOLLOWERS = """
    INSERT INTO delivery
        (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, created_at, due_at)
    SELECT '{other_account}', uuidv7(), '{other_endpoint}', gen_random_uuid(), md5(n::text)::uuid, 1, 1,
        'collection.opened', now() - interval '20 min', now() - interval '20 min'
    FROM generate_series(1, {count} / 100) n
"""
# As a bulk import leaves them: one statement, so one instant.
_IMPORTED = """
    INSERT INTO delivery
        (account_id, id, endpoint_id, event_id, subject_id, version, ordinal, type, created_at, due_at)
    SELECT '{other_account}', uuidv7(), '{other_endpoint}', gen_random_uuid(), gen_random_uuid(), 1, 0,
        'invoice.created', now() - interval '1 min', now() - interval '1 min'
    FROM generate_series(1, {count}) n
"""

CROWDS = (
    Crowd("nothing else", 0, ()),
    Crowd("{0} delivered", 1, (_DELIVERED,)),
    Crowd("{0} endpoints with nothing due", 0.001, (_ENDPOINTS,)),
    Crowd("{0} endpoints with nothing due", 0.01, (_ENDPOINTS,)),
    Crowd("1 endpoint: {0} in back-off, {1} held back", 0.1, (_BACK_OFF, _FOLLOWERS)),
    Crowd("the same, and it fails", 0.1, (_FAILING, _BACK_OFF, _FOLLOWERS)),
    Crowd("1 endpoint: {0} due at one instant", 0.1, (_IMPORTED,), is_due=True),
    # A burst: the statistics are of a moment when nothing was due, as they are on most days.
    Crowd("the same, after the last ANALYZE", 0.1, (_IMPORTED,), is_due=True, is_known=False),
)


@dataclass
class Measured:
    """Milliseconds of one crowd. A claim takes CLAIM_MAX rows; an idle one finds nothing."""

    title: str
    claim_ms: list[float] = field(default_factory=list)
    conclude_ms: list[float] = field(default_factory=list)
    idle_ms: list[float] = field(default_factory=list)
    settling_claims: int = 0
    settling_ms: float = 0.0


def measure(stage: Stage, options: Options, progress: Progress) -> list[Measured]:
    """All crowds, taking turns."""
    with contextlib.ExitStack() as kept:
        urls = [kept.enter_context(stage.database(name=f"crowd_{number}")) for number in range(len(CROWDS))]
        return asyncio.run(_measure(urls, options, progress))


async def _measure(urls: list[str], options: Options, progress: Progress) -> list[Measured]:
    async with contextlib.AsyncExitStack() as kept:
        task = progress.add_task("Crowds", total=len(CROWDS))
        benches = []
        for crowd, url in zip(CROWDS, urls, strict=True):
            progress.update(task, description=f"Making {crowd.title(options.rows)}")
            database = await Database.connect(url, connections_max=2)
            kept.push_async_callback(database.close)
            benches.append(await _staged(database, crowd, options.rows))
            progress.advance(task)
        progress.remove_task(task)
        # Or its walks through all that is loaded would show as claims.
        gc.collect()
        gc.freeze()
        rounds = ROUNDS_WARMUP + options.scaled(ROUNDS_EACH)
        task = progress.add_task("Claims", total=rounds)
        for number in range(rounds):
            # Whoever comes first in a round is another one each time.
            for bench in [*benches[number % len(benches) :], *benches[: number % len(benches)]]:
                if bench.spent_s < SPENT_S_MAX or not bench.measured.claim_ms:
                    await bench.round(counts=number >= ROUNDS_WARMUP)
            progress.advance(task)
        progress.remove_task(task)
    return [bench.measured for bench in benches]


async def _staged(database: Database, crowd: Crowd, rows: int) -> "Claiming":
    core = make_core(database, stages.SECRET)
    merchant = await backlog.add_merchant(core, "bench-1", [f"http://127.0.0.1:9/{n}" for n in range(ENDPOINTS)])
    other = await backlog.add_merchant(core, "bench-2", ["http://127.0.0.1:9/other"])
    bench = Claiming(core, merchant, crowd, Measured(crowd.title(rows)))
    # Plans that PostgreSQL makes for tables it knows to be empty are bad ones, and nobody's for long.
    for _ in range(ROUNDS_BEFORE):
        await bench.round(counts=False)
    async with database.connection() as connection:
        # Not under the time limit that the product's own statements have.
        await connection.execute("SET statement_timeout = 0")
        learn = ("VACUUM ANALYZE",)
        for statement in crowd.statements + learn if crowd.is_known else learn + crowd.statements:
            await connection.execute(_filled(statement, merchant, other, crowd.size(rows)), timeout=MAKING_TIMEOUT_S)
        await connection.execute("RESET statement_timeout")
    await bench.settle()
    return bench


def _filled(statement: str, merchant: backlog.Merchant, other: backlog.Merchant, count: int) -> str:
    ids = ", ".join(f"'{endpoint_id}'" for endpoint_id in merchant.endpoint_ids)
    return statement.format(
        count=count,
        account=merchant.account.id,
        endpoints=f"ARRAY[{ids}]::uuid[]",
        other_account=other.account.id,
        other_endpoint=other.endpoint_ids[0],
    )


class Claiming:
    """One crowd's database, ready to measure."""

    def __init__(self, core: Any, merchant: backlog.Merchant, crowd: Crowd, measured: Measured) -> None:
        self._core = core
        self._merchant = merchant
        self._crowd = crowd
        self.measured = measured
        self.spent_s = 0.0

    async def round(self, *, counts: bool) -> None:
        """Create invoices, deliver their events, and ask once more."""
        await backlog.add_invoices(self._core, self._merchant.account, INVOICES, lambda _: None)
        began_s, delivered = time.perf_counter(), 0
        for _ in range(backlog.EVENTS_EACH):
            claimed, claim_ms = await _timed(self._claim)
            if len(claimed) != CLAIM_MAX:
                raise BenchError(f"a claim took {len(claimed)} deliveries, {self.measured.title}")
            ours, conclude_ms = await self._conclude(claimed)
            delivered += ours
            if counts:
                self.measured.claim_ms.append(claim_ms)
                self.measured.conclude_ms.append(conclude_ms)
        while delivered < INVOICES * backlog.EVENTS_EACH * ENDPOINTS:
            ours, _ = await self._conclude(await self._claim())
            delivered += ours
        _, idle_ms = await _timed(self._claim)
        if counts and not self._crowd.is_due:
            self.measured.idle_ms.append(idle_ms)
        self.spent_s += time.perf_counter() - began_s

    async def settle(self) -> None:
        """Claim until nothing moves: rows that are held back move behind those that hold them."""
        if self._crowd.is_due:
            return
        began_s = time.perf_counter()
        for number in range(1, SETTLING_MAX + 1):
            async with self._core.database.connection() as connection:
                _, moved = await self._ask(connection)
            if not moved or number == SETTLING_MAX:
                break
        self.measured.settling_claims, self.measured.settling_ms = number, (time.perf_counter() - began_s) * 1000

    async def _claim(self) -> list[ClaimedDelivery]:
        async with self._core.database.connection() as connection:
            claimed, _ = await self._ask(connection)
            return claimed

    def _ask(self, connection: Any) -> Awaitable[tuple[list[ClaimedDelivery], bool]]:
        now = self._core.clock.now()
        return store.claim(
            connection, real_now=now, rooms={}, others_max=EACH_MAX, limit=CLAIM_MAX, vault=self._core.vault
        )

    async def _conclude(self, claimed: list[ClaimedDelivery]) -> tuple[int, float]:
        """Note them as delivered; how many were the merchant's, and the milliseconds. A due crowd's are given back."""
        ours = [c for c in claimed if c.account_id == self._merchant.account.id]
        others = [c for c in claimed if c.account_id != self._merchant.account.id]
        noted = list(delivered(ours, self._core.clock.now()))
        async with self._core.database.connection() as connection:
            _, conclude_ms = await _timed(lambda: store.conclude(connection, noted))
            await store.release(connection, others)
        return len(ours), conclude_ms


def delivered(claimed: list[ClaimedDelivery], now: Any) -> Iterator[Concluded]:
    """What is noted of deliveries that went well."""
    for c in claimed:
        yield Concluded(
            account_id=c.account_id,
            id=c.id,
            leased_until=c.leased_until,
            first_tried_at=now,
            state=DeliveryState.DELIVERED,
            next_try_at=None,
            outcome=Try(at=now, status=204, error=None, latency_ms=12, answer=""),
        )


async def _timed(act: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    began_s = time.perf_counter()
    return await act(), (time.perf_counter() - began_s) * 1000


def summarise(measured: list[Measured]) -> list[dict[str, Any]]:
    """One row for each crowd: medians in milliseconds, and what they are of the first one's."""
    names = ("claim_ms", "conclude_ms", "idle_ms")
    alone = {name: statistics.median(getattr(measured[0], name)) for name in names}
    rows: list[dict[str, Any]] = []
    for one in measured:
        medians = {name: statistics.median(getattr(one, name) or [0]) for name in names}
        ratios = {name.replace("_ms", "_ratio"): medians[name] / alone[name] for name in names}
        settling = {"settling_claims": one.settling_claims, "settling_ms": one.settling_ms}
        rows.append({"crowd": one.title, **ratios, **medians, **settling})
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    shown = Table(title=f"Claims of {CLAIM_MAX} due deliveries, with something else in the database")
    shown.title_justify = "left"
    shown.add_column("something else", no_wrap=True)
    for name in ("claim", "ms", "conclude", "ms", "idle", "ms", "settling", "ms"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            row["crowd"],
            f"{row['claim_ratio']:.2f}",
            f"{row['claim_ms']:.1f}",
            f"{row['conclude_ratio']:.2f}",
            f"{row['conclude_ms']:.1f}",
            f"{row['idle_ratio']:.1f}" if row["idle_ms"] else "",
            f"{row['idle_ms']:.2f}" if row["idle_ms"] else "",
            str(row["settling_claims"]) if row["settling_claims"] > 1 else "",
            f"{row['settling_ms']:,.0f}" if row["settling_claims"] > 1 else "",
        )
    return shown
