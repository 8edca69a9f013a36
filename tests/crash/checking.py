"""What must hold after everything died again and again: each check says what it found, and of which request.

Nothing here trusts the server: effects are counted in the database by something that only their request put there,
answers are compared with what the sender heard, and what receivers got with what had to be told.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from recaudo.dialects.onepay.webhooks import TYPES as ONEPAY_TYPES
from recaudo.dialects.treli.webhooks import TYPES as TRELI_TYPES
from tests.crash.business import IMPORT_ROWS, Shop
from tests.crash.requests import Write
from tests.receiver import Received
from tests.world import World

TYPES: Mapping[str, Mapping[str, str]] = {
    "onepay": {t: core for t, core in ONEPAY_TYPES.items() if core is not None and t != "webhook.failing"},
    "treli": {t: core for t, core in TRELI_TYPES.items() if core is not None},
}
REPLAYED_AT_ONCE = 20

# How often each mark is found, by the kind of its write.
_EFFECTS = {
    "create": "SELECT origin_id AS mark, count(*) AS n FROM invoice WHERE account_id = $1 GROUP BY 1",
    "change": """
        SELECT s.snapshot #>> '{invoice,name}' AS mark, count(*) AS n
        FROM event e JOIN event s USING (account_id, subject_id, version)
        WHERE e.account_id = $1 AND e.type = 'invoice.updated' AND s.ordinal = 0 GROUP BY 1
    """,
    "withdraw": """
        SELECT subject_id::text AS mark, count(*) AS n FROM event
        WHERE account_id = $1 AND type = 'invoice.withdrawn' GROUP BY 1
    """,
    "void": """
        SELECT i.origin_id AS mark, count(*) AS n FROM event e JOIN invoice i ON i.account_id = e.account_id
        WHERE e.account_id = $1 AND e.type = 'invoice.withdrawn' AND i.id = e.subject_id GROUP BY 1
    """,
    "pay": "SELECT once_key AS mark, count(*) AS n FROM attempt WHERE account_id = $1 GROUP BY 1",
    "refund": "SELECT reason AS mark, count(*) AS n FROM refund WHERE account_id = $1 GROUP BY 1",
    "part": """
        SELECT i.origin_id || ' ' || r.amount_minor AS mark, count(*) AS n
        FROM receipt r JOIN invoice i ON i.account_id = r.account_id AND i.id = r.invoice_id
        WHERE r.account_id = $1 AND r.kind = 'outside' GROUP BY 1
    """,
    # All rows of a file, each once: 1. None of them: 0. Anything else is none of both.
    "import": """
        SELECT split_part(origin_id, '.', 1) AS mark, count(*) AS n FROM invoice
        WHERE account_id = $1 AND origin = 'import' GROUP BY 1
    """,
}


async def effects(world: World, shop: Shop) -> dict[str, Counter[str]]:
    """How often each write of an account took effect, by its kind and mark."""
    found: dict[str, Counter[str]] = {}
    for kind, query in _EFFECTS.items():
        rows = await world.rows(query, shop.onepay.account_id)
        found[kind] = Counter({row["mark"]: row["n"] for row in rows})
    return found


def expected(write: Write) -> int:
    """How often the mark of a write that took effect is found."""
    return IMPORT_ROWS if write.kind == "import" else 1


def count_effects(writes: Iterable[Write], found: Mapping[str, Counter[str]]) -> list[str]:
    """Acknowledged: exactly once. Refused: never. Unknown: once or never, and nothing in between."""
    wrong: list[str] = []
    for write in writes:
        once, n = expected(write), found[write.kind][write.mark]
        if write.is_acknowledged and n != once:
            wrong.append(f"{write}: acknowledged, and found {n} times, not {once}")
        elif write.is_refused and n:
            wrong.append(f"{write}: refused, and found {n} times")
        elif n not in {0, once}:
            wrong.append(f"{write}: unknown, and found {n} times")
    return wrong


# --- The same request again ---


async def repeat_all(writes: Sequence[Write], found: Mapping[str, Counter[str]]) -> list[str]:
    """Repeat every request that was not refused, under its key; what was unknown is known afterwards."""
    gate, wrong = asyncio.Semaphore(REPLAYED_AT_ONCE), list[str]()

    async def one(write: Write) -> None:
        async with gate:
            wrong.extend(await _repeat(write, is_there=found[write.kind][write.mark] > 0))

    await asyncio.gather(*(one(write) for write in writes if not write.is_refused))
    return wrong


async def _repeat(write: Write, *, is_there: bool) -> list[str]:
    heard = write.answer
    again = await write.send()
    if again is None:
        return [f"{write}: its key finds no answer when all is well again"]
    if heard is None:
        write.answer = again
    else:
        if again.status != heard.status:
            return [f"{write}: acknowledged with {heard.status}, and its key now gives {again.status}"]
        if not _is_same(write, heard.body, again.body):
            return [f"{write}: acknowledged, and its key now gives other bytes: {heard.body!r}, {again.body!r}"]
    if is_there and again.status >= 300:
        return [f"{write}: took effect, and its key now gives {again.status}"]
    # Payments in the sandbox do not tell a repetition from the first.
    if write.kind != "pay" and ("Idempotent-Replayed" in again.headers) != is_there:
        return [f"{write}: {'took effect, and is not replayed' if is_there else 'is replayed without its effect'}"]
    return []


def _is_same(write: Write, heard: bytes, again: bytes) -> bool:
    """To the byte; an attempt alone is told as it stands, so one that was open then may have an outcome now."""
    if write.kind != "pay":
        return heard == again
    then, now = json.loads(heard), json.loads(again)
    is_over = then["state"] in {"succeeded", "failed"}
    return heard == again if is_over else {**then, "state": now["state"]} == now


# --- Webhooks ---


async def webhooks(world: World, shop: Shop, received: Sequence[Received]) -> list[str]:
    """Every event arrived at every endpoint, as the bytes that were frozen for it, and nothing else did."""
    wrong: list[str] = []
    events = await world.rows("SELECT id, type FROM event WHERE account_id = $1", shop.onepay.account_id)
    kept = await world.rows(
        "SELECT event_id, dialect, body FROM event_body WHERE account_id = $1", shop.onepay.account_id
    )
    for dialect, types in TYPES.items():
        bodies = {bytes(row["body"]): row["event_id"] for row in kept if row["dialect"] == dialect}
        mine = [r for r in received if r.path == f"/{shop.name}/{dialect}"]
        wrong += [f"{dialect}: invented: {r.body[:200]!r}" for r in mine if r.body not in bodies]
        arrived = {bodies[r.body] for r in mine if r.body in bodies}
        due = {row["id"]: row["type"] for row in events if row["type"] in set(types.values())}
        wrong += [f"{dialect}: never told of {due[i]} {i}" for i in due.keys() - arrived]
        wrong += [f"{dialect}: told of an event that is not there: {i}" for i in arrived - due.keys()]
        wrong += _same_bytes(dialect, mine)
    return wrong


def _same_bytes(dialect: str, received: Iterable[Received]) -> list[str]:
    seen: defaultdict[str, set[bytes]] = defaultdict(set)
    for one in received:
        seen[one.headers.get("webhook-id") or one.json["id"]].add(one.body)
    return [f"{dialect}: {name} was told in {len(bodies)} ways" for name, bodies in seen.items() if len(bodies) > 1]


def told_of_creations(shop: Shop, writes: Iterable[Write], received: Iterable[Received]) -> list[str]:
    """The sender's own view, without the database: of each invoice that was acknowledged, both endpoints heard."""
    heard: defaultdict[str, set[str]] = defaultdict(set)
    for one in received:
        owner, _, dialect = one.path.removeprefix("/").partition("/")
        if owner == shop.name:
            heard[dialect].update(_marks(one.json))
    return [
        f"{write}: acknowledged, and the endpoint of {dialect} never heard of it"
        for write in writes
        if write.kind == "create" and write.is_acknowledged and write.client.account_id == shop.onepay.account_id
        for dialect in TYPES
        if write.mark not in heard[dialect]
    ]


def _marks(value: Any) -> Iterable[str]:
    """What an event calls the invoice: its number in the sender's own system, wherever a dialect writes that."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in {"provider_id", "invoice_number"} and isinstance(inner, str):
                yield inner
            else:
                yield from _marks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _marks(inner)


# --- Money ---

_BOOKS = """
    SELECT (SELECT coalesce(sum(amount_minor), 0) FROM receipt WHERE account_id = $1 AND kind = 'gateway') AS received,
        (SELECT coalesce(sum(amount_minor * CASE gateway_data->>'outcome' WHEN 'approve_twice' THEN 2 ELSE 1 END), 0)
         FROM attempt WHERE account_id = $1 AND state IN ('succeeded', 'refunded')) AS approved,
        (SELECT coalesce(sum(amount_minor), 0) FROM refund WHERE account_id = $1 AND state = 'succeeded') AS refunded,
        (SELECT coalesce(-sum(amount_minor), 0) FROM receipt WHERE account_id = $1 AND kind = 'refund') AS went_back,
        (SELECT coalesce(sum(amount_minor), 0) FROM receipt WHERE account_id = $1) AS kept,
        (SELECT coalesce(sum(received_minor), 0) FROM invoice WHERE account_id = $1) AS applied,
        (SELECT coalesce(sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END), 0)
         FROM transfer WHERE account_id = $1 AND 'credit' IN (debit, credit)) AS credit
"""


async def money(world: World, account_id: UUID) -> list[str]:
    """What gateways approved was received, what was refunded went back, and the rest stands somewhere."""
    (row,) = await world.rows(_BOOKS, account_id)
    books = {name: int(value) for name, value in row.items()}
    wrong: list[str] = []
    if books["received"] != books["approved"]:
        wrong.append(f"gateways approved {books['approved']}, and {books['received']} was received")
    if books["refunded"] != books["went_back"]:
        wrong.append(f"{books['refunded']} was refunded, and {books['went_back']} went back")
    if books["kept"] != books["applied"] + books["credit"]:
        wrong.append(f"{books['kept']} is kept, {books['applied']} on invoices and {books['credit']} as credit")
    return wrong


_BECOMES = {"succeeded": {"succeeded", "refunded"}, "failed": {"failed"}}


async def outcomes(world: World, shop: Shop, writes: Iterable[Write]) -> list[str]:
    """A payment of which its sender was told an outcome has that outcome, and none is left open."""
    rows = await world.rows("SELECT id::text, state FROM attempt WHERE account_id = $1", shop.onepay.account_id)
    states = {row["id"]: row["state"] for row in rows}
    over = set().union(*_BECOMES.values())
    wrong = [f"attempt {i}: is left {state}" for i, state in states.items() if state not in over]
    for write in writes:
        if write.kind == "pay" and write.answer is not None and write.is_acknowledged:
            told, now = write.answer.json["state"], states.get(write.answer.json["payment_intent_id"])
            if now not in _BECOMES.get(told, over):
                wrong.append(f"{write}: told {told}, and is {now}")
    return wrong
