"""After a run: whether the rules that never break hold, on the database, against the model and at the receivers."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.references import base62, from_base62
from recaudo.simulation.city import TYPES, Account, City
from recaudo.simulation.model import Stored, StoredNote, Taken
from recaudo.simulation.receivers import Receiver
from recaudo.store.database import Connection
from recaudo.store.doctor import examine


class Finding(msgspec.Struct, frozen=True):
    """Something that must not be, and the invoice it is about, if about one."""

    check: str
    about: str
    text: str


# What a merchant calls it: its number, or what was noted on it where it has none.
LABEL = "coalesce(i.origin_id, i.metadata->>'label')"

CHECKS = (
    "the doctor",
    "what may never happen",
    "the model",
    "the gateways' books",
    "the ledger",
    "webhooks",
    "nothing is left open",
)


async def check(city: City) -> list[Finding]:
    """Everything that is wrong."""
    found = [Finding("what may never happen", label, text) for label, text in city.broken]
    found += [Finding("what may never happen", "", text) for vendor in city.vendors for text in vendor.broken]
    with city.machine.database.calm():
        found += [it async for it in _doctor(city)]
        async with city.machine.database.connection() as connection:
            labels = await _labels(connection)
            for account in city.accounts:
                found += await _paper(city, connection, account)
                found += await _notes(city, connection, account)
                found += await _gateways(city, connection, account)
                found += await _ledger(city, connection, account)
                for receiver in account.receivers:
                    found += await _webhooks(city, connection, account, receiver, labels)
            found += await _open(connection)
    return found


async def _doctor(city: City) -> AsyncIterator[Finding]:
    async for check_, findings in examine(city.machine.database):
        for it in findings:
            yield Finding(
                "the doctor", "", f"{check_.name}: {it.id} is stored as {it.stored}, computed are {it.computed}"
            )


async def _labels(connection: Connection) -> dict[UUID, str]:
    rows = await connection.fetch(f"SELECT i.id, {LABEL} AS label FROM invoice i")  # noqa: S608 - a text of ours
    return {row["id"]: row["label"] or "" for row in rows}


async def _paper(city: City, connection: Connection, account: Account) -> list[Finding]:
    """Each invoice is what the model says, once; there is no other."""
    rows = await connection.fetch(
        f"""
        SELECT {LABEL} AS label, i.state, i.amount_minor AS amount, i.received_minor AS received,
               coalesce((SELECT sum(CASE WHEN t.credit = 'credit' THEN t.amount_minor ELSE -t.amount_minor END)
                         FROM transfer t WHERE t.account_id = i.account_id AND t.invoice_id = i.id
                           AND 'credit' IN (t.debit, t.credit)), 0)::bigint AS credit,
               coalesce((SELECT sum(r.amount_minor) FROM receipt r WHERE r.account_id = i.account_id
                           AND r.invoice_id = i.id AND r.gateway = 'outside'), 0)::bigint AS outside,
               coalesce((SELECT sum(CASE WHEN t.debit LIKE 'withheld:%' THEN t.amount_minor ELSE -t.amount_minor END)
                         FROM transfer t WHERE t.account_id = i.account_id AND t.invoice_id = i.id
                           AND (t.debit LIKE 'withheld:%' OR t.credit LIKE 'withheld:%')), 0)::bigint AS withheld
        FROM invoice i WHERE i.account_id = $1
        """,  # noqa: S608 - a text of ours
        account.id,
    )
    written = {label for label, it in city.paper.invoices.items() if it.account == account.name}
    stored = Counter(str(row["label"]) for row in rows)
    found = [
        Finding("the model", label, "its making was answered, and it is not there") for label in written - {*stored}
    ]
    found += [Finding("the model", label, "nobody made it") for label in {*stored} - written]
    found += [Finding("the model", label, f"it is there {n} times") for label, n in stored.items() if n > 1]
    taken = _taken(city, account)
    for row in rows:
        label = str(row["label"])
        if label not in written:
            continue
        it = Stored(row["state"], row["amount"], row["received"], row["credit"], row["outside"], row["withheld"])
        found += [Finding("the model", label, text) for text in city.paper.judge(label, it, taken[label])]
    return found


async def _notes(city: City, connection: Connection, account: Account) -> list[Finding]:
    """Each credit note is what the model says, once; there is no other."""
    rows = await connection.fetch(
        """
        SELECT n.id, i.origin_id AS label, n.state, n.amount_minor AS amount, n.number,
               n.applied_minor + n.credited_minor AS moved
        FROM credit_note n JOIN invoice i ON i.account_id = n.account_id AND i.id = n.invoice_id
        WHERE n.account_id = $1
        """,
        account.id,
    )
    stored = [
        StoredNote(
            f"cn_{base62(row['id'].int)}", row["label"], row["state"], row["amount"], row["moved"], row["number"]
        )
        for row in rows
    ]
    return [Finding("the model", label, text) for label, text in city.paper.judge_notes(account.name, stored)]


def _taken(city: City, account: Account) -> defaultdict[str, Taken]:
    """What the gateways hold for each invoice of an account."""
    taken: defaultdict[str, Taken] = defaultdict(Taken)
    for vendor in city.vendors:
        for it in vendor.transactions.values():
            if it.account_id == account.id:
                taken[it.label].net += it.net_minor
                taken[it.label].returned += it.returned_minor
                if it.was_collected:
                    taken[it.label].sums.add(it.amount_minor)
    return taken


async def _gateways(city: City, connection: Connection, account: Account) -> list[Finding]:
    """Each transaction of a gateway is booked once with what it collected, and nothing else is."""
    rows = await connection.fetch(
        """
        SELECT o.gateway_tx_id AS tx, o.amount_minor + coalesce(
                   (SELECT sum(b.amount_minor) FROM receipt b
                    WHERE b.account_id = o.account_id AND b.reverses = o.id), 0
               )::bigint AS net
        FROM receipt o WHERE o.account_id = $1 AND o.kind = 'gateway'
        """,
        account.id,
    )
    booked = {str(row["tx"]): int(row["net"]) for row in rows}
    found: list[Finding] = []
    for vendor in city.vendors:
        for it in vendor.transactions.values():
            if it.account_id != account.id:
                continue
            ours = booked.pop(it.id, None)
            if (ours or 0) != it.net_minor or (ours is None and it.was_collected and it.state == "succeeded"):
                text = f"{it.id} collected {it.net_minor}, booked are {ours}"
                found.append(Finding("the gateways' books", it.label, text))
    found += [Finding("the gateways' books", "", f"{tx} is booked, and no gateway has it") for tx in booked]
    return found


async def _ledger(city: City, connection: Connection, account: Account) -> list[Finding]:
    """Every book holds what the world outside says it must, and customers' credit is never below zero."""
    rows = await connection.fetch(
        """
        SELECT book, sum(amount)::bigint AS sum FROM (
            SELECT debit AS book, amount_minor AS amount FROM transfer WHERE account_id = $1
            UNION ALL SELECT credit, -amount_minor FROM transfer WHERE account_id = $1
        ) t GROUP BY book
        """,
        account.id,
    )
    books: Counter[str] = Counter({str(row["book"]): int(row["sum"]) for row in rows})
    found: list[Finding] = []
    if sum(books.values()):
        found.append(Finding("the ledger", "", f"the books of {account.name} do not balance: {dict(books)}"))
    theirs = sum(it.net_minor for v in city.vendors for it in v.transactions.values() if it.account_id == account.id)
    ours = books["disputed"] + sum(books[f"gateway:{vendor.name}"] for vendor in city.vendors)
    if ours != theirs:
        found.append(Finding("the ledger", "", f"gateways hold {theirs} for {account.name}, the books say {ours}"))
    if books["credit"] > 0 or books["outside"] < 0 or books["receivable"] < 0:
        found.append(Finding("the ledger", "", f"a book of {account.name} is on the wrong side: {dict(books)}"))
    negative = await connection.fetch(
        """
        SELECT customer_id, sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END) AS sum
        FROM transfer WHERE account_id = $1 AND 'credit' IN (debit, credit) GROUP BY 1 HAVING
        sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END) < 0
        """,
        account.id,
    )
    found += [Finding("the ledger", "", f"the credit of {row['customer_id']} is {row['sum']}") for row in negative]
    return found


async def _webhooks(
    city: City, connection: Connection, account: Account, receiver: Receiver, labels: dict[UUID, str]
) -> list[Finding]:
    """Every event that a receiver listens to was accepted by it, always with the same bytes; none was invented."""
    words = city.machine.core.webhooks[receiver.dialect].types
    wanted = [core for word in TYPES[receiver.dialect] if (core := words[word]) is not None]
    rows = await connection.fetch(
        "SELECT id, type, subject_id FROM event WHERE account_id = $1 AND type = ANY ($2)", account.id, wanted
    )
    raised: dict[UUID, Any] = {row["id"]: row for row in rows}
    accepted, heard = ({_number(name) for name in names} for names in (receiver.accepted, receiver.heard))
    found = [
        Finding(
            "webhooks",
            labels.get(raised[it]["subject_id"], ""),
            f"{raised[it]['type']} was never accepted by {receiver.url}",
        )
        for it in raised
        if it not in accepted
    ]
    found += [
        Finding("webhooks", "", f"{receiver.url} was told {it}, which did not happen") for it in heard - {*raised}
    ]
    found += [
        Finding("webhooks", "", f"{receiver.url} was told {name} in {len(bodies)} versions")
        for name, bodies in receiver.heard.items()
        if len(bodies) > 1
    ]
    city.story.counts["events told"] += len(receiver.accepted)
    return found


def _number(name: str) -> UUID | None:
    number = from_base62(name.removeprefix("evt_"))
    return None if number is None else UUID(int=number)


async def _open(connection: Connection) -> list[Finding]:
    """What waits for somebody, long after everything has calmed down."""
    return [
        Finding("nothing is left open", "", f"{row['count']} {row['what']}")
        for row in await open_work(connection)
        if row["count"]
    ]


async def open_work(connection: Connection) -> Sequence[Any]:
    """How much of each kind is not decided."""
    return await connection.fetch(
        """
        SELECT 'attempts' AS what, count(*) FROM attempt WHERE state IN ('created', 'processing', 'unknown')
           OR due_at IS NOT NULL
        UNION ALL SELECT 'refunds', count(*) FROM refund WHERE due_at IS NOT NULL
        UNION ALL SELECT 'notices', count(*) FROM gateway_notice WHERE due_at IS NOT NULL
        UNION ALL SELECT 'deliveries', count(*) FROM delivery WHERE due_at IS NOT NULL
        UNION ALL SELECT 'replays', count(*) FROM replay WHERE due_at IS NOT NULL
        """
    )
