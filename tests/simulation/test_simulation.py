"""Fixed seeds hold, the same seed is the same story, and what is broken on purpose is found: the proof can fail.

Thousands of other seeds: `make simulate`.
"""

import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from rich.console import Console

from recaudo.domain.answers import Absent, Answer, Fact
from recaudo.domain.model import Attempt
from recaudo.simulation.city import City
from recaudo.simulation.command import Wanted, read_seeds, show, simulate
from recaudo.simulation.crashes import FragileDatabase
from recaudo.simulation.gateway import SimulatedGateway
from recaudo.simulation.running import Run, run
from recaudo.simulation.vendor import Transaction
from recaudo.store import scratch
from recaudo.usecases.ports import Configured, GatewayContext

STEPS = 40
# A seed in which there is something of everything that can be spoilt.
RICH = 20
# Together they meet everything that clients do.
FIXED = (8, 20, 33, 63, 78)
# What clients do, as the runs count it.
DONE = (
    "amounts changed in the other dialect",
    "credit notes",
    "credit notes on money received",
    "credit notes voided",
    "open amounts paid twice",
    "discounts",
    "discounts removed",
    "items changed",
    "invoices of which something is withheld",
    "invoices with taxes",
    "requests given up",
    "requests of an invoice voided",
    "requests without an invoice",
    "rests asked for anew",
    "sums over several invoices",
    "sums undone",
    "totals changed",
)
# Where a line to the database may break.
PLACES = ("before a statement", "after a statement", "before a commit", "after a commit")
Spoil = Callable[[City], Awaitable[None]]
Live = Callable[..., Awaitable[Run]]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def live(database: FragileDatabase) -> Live:
    """Live through a seed on a database that is as new."""

    async def go(seed: int, steps: int = STEPS, **options: Any) -> Run:
        with database.calm():
            await scratch.wipe(database)  # a test may live through several
        return await run(database, seed, steps, **options)

    return go


def told(made: Run) -> str:
    return "\n".join([*(f"{it.check}: {it.about} {it.text}" for it in made.findings), *map(str, made.story)])


async def test_fixed_seeds_break_no_rule_whatever_fails_on_the_way(live: Live) -> None:
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for seed in FIXED:
        made = await live(seed)
        assert made.findings == [], f"seed {seed}\n{told(made)}"
        faults += made.faults
        counts += made.counts
    assert set(DONE) <= set(counts), "the seeds meet everything that clients do"
    crashes = {kind for kind in faults if kind.startswith("crash")}
    assert len(crashes) >= 4, "processes died between different steps"
    assert {"notice doubled", "notice late", "notice lost", "clock jump", "question not answered"} <= set(faults)
    assert any(kind.startswith("gateway: no answer") for kind in faults)
    assert {f"outage {where}" for where in PLACES} <= set(faults)


async def test_the_same_seed_tells_the_same_story(live: Live) -> None:
    first, again = await live(11), await live(11)
    assert (first.digest, first.faults, first.counts) == (again.digest, again.faults, again.counts)
    assert (await live(12)).digest != first.digest


async def test_a_process_that_dies_ten_times_as_often_breaks_no_rule_either(live: Live) -> None:
    made = await live(30, crash_rate=0.04)
    assert made.findings == [], told(made)
    assert sum(n for kind, n in made.faults.items() if kind.startswith("crash")) > 8


async def test_a_database_that_goes_away_ten_times_as_often_breaks_no_rule_either(live: Live) -> None:
    made = await live(20, outage_rate=0.02)
    assert made.findings == [], told(made)
    assert {f"outage {where}" for where in PLACES} <= set(made.faults)
    assert made.counts["requests that found no database"] > 8


# --- What is spoilt is found ---


async def execute(city: City, command: str) -> None:
    with city.machine.database.calm():
        async with city.machine.database.connection() as connection:
            assert not (await connection.execute(command)).endswith(" 0"), "there was something to spoil"


def sql(command: str) -> Spoil:
    async def spoil(city: City) -> None:
        await execute(city, command)

    return spoil


async def bytes_of_a_webhook(city: City) -> None:
    receiver = next(it for it in city.receivers.values() if it.heard)
    next(iter(receiver.heard.values())).add(b"{}")


async def an_invented_event(city: City) -> None:
    next(iter(city.receivers.values())).heard["evt_" + "0" * 24].add(b"{}")


async def a_gateway_that_collected_more(city: City) -> None:
    it = next(it for vendor in city.vendors for it in vendor.transactions.values() if it.state == "succeeded")
    it.amount_minor += 100


async def a_promise_on_paper(city: City) -> None:
    it = next(it for it in city.paper.invoices.values() if it.amount is not None)
    it.amount = (it.amount or 0) + 100


async def another_answer(city: City) -> None:
    """What is kept under a key is not what was answered."""
    await execute(city, "UPDATE idempotency SET answer = answer || '\\x20'::bytea WHERE answer <> ''")
    sent = next(it for it in city.sent if it.answer is not None and it.answer.body and it.method == "POST")
    await city.machine.run([city.repeat(sent)])
    city.accounts.clear()  # what else is broken by this does not matter


SPOILT: dict[str, tuple[Spoil, str]] = {
    "a receipt that is gone": (
        sql(
            "DELETE FROM receipt WHERE id IN (SELECT r.id FROM receipt r WHERE r.kind = 'gateway' AND NOT EXISTS"
            " (SELECT FROM receipt b WHERE b.reverses = r.id) AND NOT EXISTS"
            " (SELECT FROM refund f WHERE f.receipt_id = r.id) ORDER BY r.id LIMIT 1)"
        ),
        "the gateways' books",
    ),
    "a sum that is not that of its receipts": (
        sql(
            "UPDATE invoice SET amount_minor = amount_minor + 100"
            " WHERE id IN (SELECT id FROM invoice WHERE state = 'open' ORDER BY id LIMIT 1)"
        ),
        "the doctor",
    ),
    "a transfer that is gone": (
        sql("DELETE FROM transfer WHERE id IN (SELECT id FROM transfer WHERE debit LIKE 'gateway:%' LIMIT 1)"),
        "the ledger",
    ),
    "something withheld that is not booked": (
        sql("DELETE FROM transfer WHERE id IN (SELECT id FROM transfer WHERE debit LIKE 'withheld:%' LIMIT 1)"),
        "the model",
    ),
    "an invoice that was given up and is open again": (
        sql("UPDATE invoice SET state = 'open' WHERE state = 'uncollectible'"),
        "the model",
    ),
    "a credit note that nobody issued": (
        sql(
            "INSERT INTO credit_note SELECT (jsonb_populate_record(n, jsonb_build_object('id', gen_random_uuid(),"
            " 'number', NULL))).* FROM credit_note n LIMIT 1"
        ),
        "the model",
    ),
    "an attempt that nobody asks about": (
        sql("UPDATE attempt SET state = 'unknown' WHERE id IN (SELECT id FROM attempt LIMIT 1)"),
        "nothing is left open",
    ),
    "an event that was taken back": (
        sql("DELETE FROM event WHERE (account_id, id) IN (SELECT account_id, event_id FROM event_body LIMIT 1)"),
        "webhooks",
    ),
    "a webhook in two versions": (bytes_of_a_webhook, "webhooks"),
    "a webhook about nothing": (an_invented_event, "webhooks"),
    "a gateway that collected more": (a_gateway_that_collected_more, "the model"),
    "an amount that was not agreed to": (a_promise_on_paper, "the model"),
    "another answer under the same key": (another_answer, "what may never happen"),
}


# Where that of all has nothing to spoil.
SEEDS = {"an invoice that was given up and is open again": 32}


@pytest.mark.parametrize("what", SPOILT)
async def test_what_is_spoilt_is_found(live: Live, what: str) -> None:
    spoil, check = SPOILT[what]
    made = await live(SEEDS.get(what, RICH), tamper=spoil)
    assert check in {it.check for it in made.findings}, told(made)


async def test_a_gateway_that_denies_what_it_collected_is_found_out(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deny(*_: object) -> Answer:
        return Absent()

    async def begin(self: SimulatedGateway, attempt: Attempt, context: GatewayContext) -> Answer:
        await begun(self, attempt, context)
        return Absent()

    async def list_nothing(
        self: object, configured: Configured, since: datetime, until: datetime
    ) -> AsyncIterator[Fact]:
        return
        yield

    begun = SimulatedGateway.start
    for name, lie in {"start": begin, "ask": deny, "fetch": deny, "transactions": list_nothing}.items():
        monkeypatch.setattr(SimulatedGateway, name, lie)
    made = await live(RICH)
    assert {"the gateways' books", "the model"} <= {it.check for it in made.findings}
    assert made.story, "a failing seed tells its story"
    assert made.first is not None
    assert {line.about for line in made.story} <= {made.first.about, "", "process"}


# --- The command ---


def recaudo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recaudo", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


async def test_the_command_runs_several_seeds_beside_the_operators_data(server: str, tmp_path: Path) -> None:
    done = recaudo(
        "simulate",
        *("--seeds", "31-32", "--steps", "6", "--processes", "2"),
        RECAUDO_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing",
        RECAUDO_HOME=str(tmp_path / "untouched"),
    )
    assert done.returncode == 0, done.stderr
    assert "ok  the ledger" in done.stdout
    assert not (tmp_path / "untouched").exists()


async def test_the_command_refuses_a_database_that_holds_anything(server: str) -> None:
    url = await scratch.make(server, "held")
    done = recaudo("simulate", "--steps", "3", "--database-url", url)
    assert done.returncode == 1
    assert "not empty" in done.stderr


async def test_the_command_leaves_an_empty_database_to_be_looked_at(server: str) -> None:
    url = await scratch.make_empty(server, "given")
    done = recaudo("simulate", "--seed", "5", "--steps", "12", "--database-url", url)
    assert done.returncode == 0, done.stderr
    left = await FragileDatabase.connect(url)
    async with left.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM invoice") > 0
    await left.close()


def test_a_seed_that_fails_is_told_with_a_short_story_and_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transaction, "net_minor", property(lambda _: 1))
    logs = structlog.get_config()
    out = Console(record=True, width=200, file=io.StringIO())
    total = simulate(Wanted(seeds=[5], steps=16), out)
    show(total, out)
    structlog.configure(**logs)
    told = out.export_text()
    (failed,) = total.failed
    assert failed.steps < 16, "it was shortened"
    assert f"recaudo simulate --seed 5 --steps {failed.steps}" in told
    assert "broken  the gateways' books" in told
    assert str(failed.story[-1]) in told


@pytest.mark.parametrize(("text", "seeds"), [("7", [7]), ("1-3", [1, 2, 3])])
def test_seeds_are_one_number_or_a_range(text: str, seeds: list[int]) -> None:
    assert list(read_seeds(text)) == seeds


@pytest.mark.parametrize("text", ["", "x", "3-1", "-1", "1-2-3"])
def test_other_words_are_no_seeds(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_seeds(text)


async def test_a_server_for_simulations_alone_does_not_wait_for_the_disk(database: FragileDatabase) -> None:
    async with database.connection() as connection:
        waits = [await connection.fetchval(f"SHOW {name}") for name in ("synchronous_commit", "autovacuum")]
    assert waits == ["off", "off"]
