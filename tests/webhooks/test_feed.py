"""The feed of events, telling them again, and what became of each delivery: /recaudo/v1 over HTTP, and the store."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import msgspec
import pytest
from aiohttp import web

from recaudo.dialects.recaudo.cursors import feed_cursor, id_cursor
from recaudo.dialects.recaudo.feed import WAITING_MAX
from recaudo.domain.model import Account
from recaudo.store.database import Connection
from recaudo.store.events import SCANNED_MAX, FeedFilter, FeedPage, Place, find_end, fit_feed, read_feed
from recaudo.store.replays import PAGE_EVENTS_MAX, Replay, find_replay, replay_page
from recaudo.usecases import replays, webhooks
from recaudo.usecases.core import Core
from recaudo.usecases.replays import AskReplay
from recaudo.usecases.webhooks import NewEndpoint
from tests.databases import bill, core_on, create, new_account, own_database, plain
from tests.receiver import Receiver, receiving
from tests.world import Answer, Client, World

EVENTS = "/recaudo/v1/events"
REPLAY = f"{EVENTS}/replay"
DELIVERIES = "/recaudo/v1/deliveries"
NOW = datetime(2025, 10, 20, 15, tzinfo=UTC)
OPENED = ["invoice.created", "collection.opened"]
PAID = [*OPENED, "attempt.started", "attempt.succeeded", "collection.paid", "invoice.paid"]


async def feed(client: Client, *, status: int = 200, **parameters: Any) -> Any:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    answer = await client.get(f"{EVENTS}?{query}")
    assert answer.status == status, answer.json
    return answer.json


async def whole_feed(client: Client, **parameters: Any) -> list[dict[str, Any]]:
    """Every event, page by page."""
    page = await feed(client, **parameters)
    events = list(page["data"])
    while page["has_more"]:
        page = await feed(client, **{**parameters, "cursor": page["next_cursor"]})
        events += page["data"]
    return events


def types_of(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


async def listen(client: Client, receiver: Receiver, *types: str, path: str = "/", dialect: str = "recaudo") -> str:
    """An endpoint of our own dialect; its id."""
    body = {"dialect": dialect, "name": "Ledger", "url": receiver.url + path, "types": list(types)}
    answer = await client.post("/recaudo/v1/webhooks", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def refused(answer: Answer, field: str, *, status: int = 400) -> None:
    code = {400: "invalid_query", 422: "validation_error"}[status]
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert [error["field"] for error in answer.json["errors"]] == [field]


# --- Order and pages ---


async def test_a_paid_invoice_is_six_events_in_order_each_as_it_was(client: Client) -> None:
    invoice = await client.invoice(provider_id="987654", metadata={"a": 1.5})
    await client.pay(invoice["payment_id"])
    events = await whole_feed(client)
    assert sorted(types_of(events)) == sorted(PAID)
    assert types_of(events)[:2] == PAID[:2]
    assert types_of(events)[-1] == "invoice.paid"
    versions = [event["subject"]["version"] for event in events]
    assert versions == sorted(versions)
    assert len({event["id"] for event in events}) == len(events)
    for event in events:
        assert list(event) == ["id", "type", "at", "is_test", "subject", "data"]
        assert (event["is_test"], event["subject"]["type"], event["subject"]["id"]) == (True, "invoice", invoice["id"])
        told = event["data"]["invoice"]
        assert told["version"] == event["subject"]["version"]
        assert (told["origin_id"], told["amount_minor"], told["metadata"]) == ("987654", 5_000_000, {"a": 1.5})
        assert not {"account_id", "wire", "once_key", "gateway_data", "origin_bound"} & set(told)
    first, last = events[0], events[-1]
    assert (first["data"]["invoice"]["state"], first["data"]["invoice"]["received_minor"]) == ("open", 0)
    assert (last["data"]["invoice"]["state"], last["data"]["invoice"]["received_minor"]) == ("paid", 5_000_000)
    assert first["at"] == invoice["created_at"]
    by_type = {event["type"]: event["data"] for event in events}
    assert by_type["collection.paid"]["collection"]["state"] == "paid"
    assert by_type["attempt.succeeded"]["attempt"]["state"] == "succeeded"
    assert by_type["invoice.created"]["attempt"] is None


async def test_every_page_size_gives_the_same_events_once(client: Client) -> None:
    for _ in range(3):
        invoice = await client.invoice()
        await client.put(f"/v1/invoices/{invoice['id']}", {"amount": 60000})
    everything = await whole_feed(client, limit=100)
    assert len(everything) == 3 * 5
    for limit in (1, 4, 5, 15):
        assert await whole_feed(client, limit=limit) == everything


async def test_the_end_is_known_and_its_cursor_goes_on(client: Client) -> None:
    empty = await feed(client)
    assert (empty["data"], empty["has_more"]) == ([], False)
    await client.invoice()
    page = await feed(client, cursor=empty["next_cursor"])
    assert (types_of(page["data"]), page["has_more"]) == (["invoice.created", "collection.opened"], False)
    exact = await feed(client, limit=2)
    assert exact["has_more"] is False
    assert (await feed(client, limit=1))["has_more"] is True
    after = await feed(client, cursor=page["next_cursor"])
    assert (after["data"], after["has_more"]) == ([], False)
    assert after["next_cursor"] == page["next_cursor"]
    await client.invoice(name="La segunda")
    (_, second) = (await feed(client, cursor=after["next_cursor"]))["data"]
    assert second["data"]["invoice"]["name"] == "La segunda"


async def test_the_cursor_end_skips_what_has_happened(client: Client) -> None:
    empty = await feed(client, cursor="end")
    await client.invoice(name="La primera")
    page = await feed(client, cursor="end")
    assert (page["data"], page["has_more"]) == ([], False)
    await client.invoice(name="La segunda")
    names = [event["data"]["invoice"]["name"] for event in (await feed(client, cursor=page["next_cursor"]))["data"]]
    assert names == ["La segunda", "La segunda"]
    assert len((await feed(client, cursor=empty["next_cursor"]))["data"]) == 4


async def test_accounts_do_not_see_each_others_events_nor_take_each_others_cursors(
    world: World, client: Client
) -> None:
    await client.invoice()
    other = await world.merchant()
    await other.invoice(name="De otro")
    page = await feed(client)
    assert len(page["data"]) == 2
    refused(await other.get(f"{EVENTS}?cursor={page['next_cursor']}"), "cursor")
    assert [e["data"]["invoice"]["name"] for e in await whole_feed(other)] == ["De otro"] * 2


@pytest.mark.parametrize("cursor", ["x", "END", "AAAA", "ñ", "=", "A" * 56, "A" * 10_000, "0", "-1", "\x00"])
async def test_a_cursor_that_is_none_is_refused(client: Client, cursor: str) -> None:
    for path in (EVENTS, DELIVERIES):
        refused(await client.get(f"{path}?cursor={quote(cursor)}"), "cursor")


async def test_a_cursor_is_for_its_own_list_and_cannot_be_changed_into_another_account_s(client: Client) -> None:
    of_feed = feed_cursor(client.account_id, Place(5))
    of_ids = id_cursor(client.account_id, uuid4())
    refused(await client.get(f"{DELIVERIES}?cursor={of_feed}"), "cursor")
    refused(await client.get(f"{EVENTS}?cursor={of_ids}"), "cursor")
    changed = bytearray(base64.urlsafe_b64decode(of_feed + "=" * (-len(of_feed) % 4)))
    changed[1] ^= 1
    refused(await client.get(f"{EVENTS}?cursor={base64.urlsafe_b64encode(changed).decode().rstrip('=')}"), "cursor")
    assert (await client.get(f"{EVENTS}?cursor={of_feed}")).status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("foo=1", "foo"),
        ("limit=10&Type=invoice.paid", "Type"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=9999999999", "limit"),
        ("wait=31", "wait"),
        ("wait=-1", "wait"),
        ("type=invoice.payed", "type"),
        ("type=invoice.paid,", "type"),
        ("type=payment.approved", "type"),
        ("subject=mine", "subject"),
        ("dialect=siigo", "dialect"),
    ],
)
async def test_a_parameter_that_is_wrong_or_unknown_is_refused(client: Client, query: str, field: str) -> None:
    refused(await client.get(f"{EVENTS}?{query}"), field)


# --- Filters ---


async def test_filters_by_type_and_subject(client: Client) -> None:
    first, second = await client.invoice(), await client.invoice()
    await client.pay(first["payment_id"])
    paid = await feed(client, type="invoice.paid, invoice.created")
    assert types_of(paid["data"]) == ["invoice.created", "invoice.created", "invoice.paid"]
    of_second = await feed(client, subject=second["id"].upper())
    assert {event["subject"]["id"] for event in of_second["data"]} == {second["id"]}
    assert len(of_second["data"]) == 2
    both = await feed(client, subject=second["id"], type="invoice.paid")
    assert (both["data"], both["has_more"]) == ([], False)
    assert (await feed(client, subject=str(uuid4())))["data"] == []
    # The cursor stands behind what was looked at, whoever asks next.
    assert (await feed(client, cursor=both["next_cursor"]))["data"] == []
    one = await feed(client, type="invoice.created", limit=1)
    assert one["has_more"] is True
    two = await feed(client, type="invoice.created", limit=1, cursor=one["next_cursor"])
    assert [page["data"][0]["subject"]["id"] for page in (one, two)] == [first["id"], second["id"]]


async def test_a_stand_alone_payment_is_a_request(client: Client) -> None:
    payment = await client.post("/v1/payments", {"title": "Donación", "amount": 50000})
    assert payment.status == 201
    created, opened = await whole_feed(client)
    assert (created["type"], created["subject"]["type"]) == ("request.created", "request")
    assert opened["data"]["collection"]["id"] == payment.json["id"]


async def test_a_filtered_page_may_be_empty_while_there_is_more(world: World) -> None:
    core = world.core
    account = await new_account(core)
    await create(core, account, bill())
    await many_events(core, account, SCANNED_MAX + 10)
    last = await create(core, account, bill())
    rare = FeedFilter(subject_id=UUID(last.answer.decode()))
    first = await read(core, account, Place(), rare)
    assert (first.events, first.has_more) == ([], True)
    second = await read(core, account, first.end, rare)
    assert ([told.event.type for told in second.events], second.has_more) == (
        ["invoice.created", "collection.opened"],
        False,
    )
    common = FeedFilter(types=["invoice.updated"])
    seen, place, more = 0, Place(), True
    while more:
        page = await read(core, account, place, common, limit=1000)
        seen, place, more = seen + len(page.events), page.end, page.has_more
    assert seen == SCANNED_MAX + 10


# --- The same event in a dialect's words ---


async def test_dialect_adds_the_bytes_that_endpoints_are_sent(world: World, client: Client) -> None:
    async with receiving() as onepay, receiving() as own:
        await listen(client, onepay, "invoice.created", "payment.approved", "invoice.paid", dialect="onepay")
        await listen(client, own, "invoice.created", "collection.paid", "invoice.paid", "attempt.started")
        invoice = await client.invoice(metadata={"10": "diez", "2": "dos", "ñ": "línea\nnueva"})
        await client.pay(invoice["payment_id"])
        await world.drain()
        sent = {"onepay": onepay.received, "recaudo": own.received}
    assert (len(sent["onepay"]), len(sent["recaudo"])) == (3, 4)
    for dialect, received in sent.items():
        events = await whole_feed(client, dialect=dialect)
        messages = {event["id"]: event["message"] for event in events}
        for one in received:
            assert messages[one.event_id]["body"].encode() == one.body
        by_type = {event["type"]: event["message"] for event in events}
        if dialect == "onepay":
            # It has no word for it.
            assert by_type["attempt.started"] is None
            assert by_type["collection.paid"]["type"] == "payment.approved"
        else:
            assert by_type["attempt.started"]["type"] == "attempt.started"
            for event in events:
                assert json.loads(event["message"]["body"]) == {k: v for k, v in event.items() if k != "message"}


# --- Waiting ---


async def test_a_wait_ends_as_soon_as_something_happens(client: Client) -> None:
    page = await feed(client)
    started_s = time.monotonic()
    waiting = asyncio.create_task(feed(client, cursor=page["next_cursor"], wait=20))
    await asyncio.sleep(0.6)
    assert not waiting.done()
    await client.invoice()
    found = await waiting
    assert types_of(found["data"])[0] == "invoice.created"
    assert time.monotonic() - started_s < 5


async def test_a_wait_ends_empty_when_its_time_is_over_and_what_is_there_is_not_waited_for(client: Client) -> None:
    page = await feed(client)
    started_s = time.monotonic()
    waited = await feed(client, cursor=page["next_cursor"], wait=1)
    assert 1 <= time.monotonic() - started_s < 4
    assert (waited["data"], waited["has_more"]) == ([], False)
    await client.invoice()
    started_s = time.monotonic()
    assert (await feed(client, cursor=waited["next_cursor"], wait=20))["data"]
    assert time.monotonic() - started_s < 5


async def test_a_wait_for_a_type_is_not_ended_by_others(client: Client) -> None:
    invoice = await client.invoice()
    page = await feed(client)
    waiting = asyncio.create_task(feed(client, cursor=page["next_cursor"], wait=20, type="invoice.paid"))
    await client.put(f"/v1/invoices/{invoice['id']}", {"amount": 60000})
    await asyncio.sleep(0.8)
    assert not waiting.done()
    current = (await client.get(f"/v1/invoices/{invoice['id']}")).json
    await client.pay(current["payment_id"])
    assert types_of((await waiting)["data"]) == ["invoice.paid"]


async def test_only_so_many_requests_of_an_account_wait_at_once(world: World, client: Client) -> None:
    waiting = [asyncio.create_task(client.get(f"{EVENTS}?wait=4")) for _ in range(WAITING_MAX)]
    await asyncio.sleep(1)
    late = await client.get(f"{EVENTS}?wait=4")
    assert (late.status, late.json["code"], late.headers["Retry-After"]) == (429, "too_many_waiting", "1")
    # Who does not wait is answered, and so is another account.
    assert (await client.get(EVENTS)).status == 200
    other = await world.merchant()
    assert (await other.get(f"{EVENTS}?wait=1")).status == 200
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [200] * WAITING_MAX
    assert (await client.get(f"{EVENTS}?wait=1")).status == 200


# --- What commits late ---


@asynccontextmanager
async def uncommitted_event(url: str, account_id: UUID, type_: str) -> AsyncIterator[Connection]:
    """A transaction that wrote an event and is not over."""
    async with plain(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await add_event(connection, account_id, type_)
        yield connection
        await transaction.commit()


async def add_event(connection: Connection, account_id: UUID, type_: str) -> None:
    """An event of its own subject, with the snapshot of an invoice of the account."""
    await connection.execute(
        """
        INSERT INTO event (account_id, id, subject_id, version, ordinal, type, data, snapshot, at)
        SELECT account_id, gen_random_uuid(), gen_random_uuid(), 1, 0, $2, '{}', snapshot, at
        FROM event WHERE account_id = $1 AND ordinal = 0 LIMIT 1
        """,
        account_id,
        type_,
    )


async def test_what_commits_late_is_never_passed_by(world: World) -> None:
    client = await world.merchant()
    await client.invoice()
    page = await feed(client)
    async with uncommitted_event(world.database_url, client.account_id, "invoice.updated"):
        # It began earlier, and is committed later, than this one.
        await client.invoice(name="La segunda")
        held = await feed(client, cursor=page["next_cursor"])
        assert (held["data"], held["has_more"]) == ([], False)
        from_the_end = await feed(client, cursor="end")
        assert (await feed(client, wait=1, cursor=held["next_cursor"]))["data"] == []
    found = await feed(client, cursor=held["next_cursor"])
    assert types_of(found["data"]) == ["invoice.updated", "invoice.created", "collection.opened"]
    assert (await feed(client, cursor=from_the_end["next_cursor"]))["data"] == found["data"]
    assert types_of(await whole_feed(client, limit=1)) == [
        *("invoice.created", "collection.opened"),
        *types_of(found["data"]),
    ]


async def test_a_follower_of_many_writers_sees_every_event_once(world: World, client: Client) -> None:
    """Invoices are made and paid concurrently while one client follows: what it saw is what there is."""
    seen: list[dict[str, Any]] = []
    done = asyncio.Event()

    async def follow() -> None:
        cursor = ""
        while True:
            was_done = done.is_set()
            page = await feed(client, limit=7, cursor=cursor, wait=1)
            seen.extend(page["data"])
            cursor = page["next_cursor"]
            if was_done and not page["data"]:
                return

    async def write() -> None:
        for _ in range(5):
            invoice = await client.invoice()
            await client.pay(invoice["payment_id"])

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(write() for _ in range(8)))
    done.set()
    await follower
    (count,) = await world.rows("SELECT count(*) AS n FROM event WHERE account_id = $1", client.account_id)
    assert len(seen) == len({event["id"] for event in seen}) == count["n"] == 40 * len(PAID)
    for subject in {event["subject"]["id"] for event in seen}:
        versions = [e["subject"]["version"] for e in seen if e["subject"]["id"] == subject]
        assert versions == sorted(versions)


# --- After a move to another PostgreSQL server ---


async def read(
    core: Core, account: Account, after: Place, wanted: FeedFilter | None = None, *, limit: int = 100
) -> FeedPage:
    async with core.database.connection() as connection:
        return await read_feed(connection, account, after, wanted or FeedFilter(), limit=limit)


async def many_events(core: Core, account: Account, count: int, *, apart: bool = False) -> None:
    """So many changes more, of one invoice or each of its own, without the rest of what a change writes."""
    async with core.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO event (account_id, id, subject_id, version, ordinal, type, data, snapshot, at)
            SELECT account_id, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
                       || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
                   CASE WHEN $3 THEN gen_random_uuid() ELSE subject_id END,
                   version + n, 0, 'invoice.updated', '{}', snapshot, at
            FROM event, generate_series(1, $2) n
            WHERE account_id = $1 AND ordinal = 0 AND version = 1
            """,
            account.id,
            count,
            apart,
        )


async def fitted(core: Core) -> bool:
    async with core.database.connection() as connection, connection.transaction():
        return await fit_feed(connection)


async def test_the_feed_goes_on_after_the_database_was_moved(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        assert await fitted(core) is False
        account = await new_account(core)
        for _ in range(3):
            await create(core, account, bill())
        # As a dump restored elsewhere: the positions were counted by a server that was far ahead.
        async with core.database.connection() as connection:
            await connection.execute("UPDATE event SET position = position + 10_000_000")
            await connection.execute("UPDATE feed SET server = 'another'")
        assert list((await read(core, account, Place())).events) == []
        assert await fitted(core) is True
        assert await fitted(core) is False
        before = await read(core, account, Place())
        assert len(before.events) == 6
        # Every cursor that was given out is good: new events come after it, also those given at the end of the feed.
        end = await read(core, account, before.end)
        assert (list(end.events), end.end, end.has_more) == ([], before.end, False)
        async with core.database.connection() as connection:
            assert await find_end(connection, account.id) == before.end
        await create(core, account, bill(name="Después de la mudanza"))
        after = await read(core, account, before.end)
        assert [told.event.type for told in after.events] == ["invoice.created", "collection.opened"]
        assert len((await read(core, account, Place())).events) == 8


async def test_a_cursor_of_the_old_server_s_end_misses_nothing_after_a_move(embedded_url: str) -> None:
    """The old server had counted far beyond the last event when the cursor was given: most writes are none of ours."""
    async with own_database(embedded_url) as url, core_on(url) as core:
        assert await fitted(core) is False
        account = await new_account(core)
        await create(core, account, bill())
        async with core.database.connection() as connection:
            for _ in range(50):
                await connection.execute("CREATE TABLE t (); DROP TABLE t")
        pages = [await read(core, account, Place())]
        pages.append(await read(core, account, pages[-1].end))
        pages.append(await read(core, account, Place(), FeedFilter(types=["invoice.paid"])))
        async with core.database.connection() as connection:
            ends = [*(page.end for page in pages), await find_end(connection, account.id)]
            # The new server's count begins a little below the last event.
            await connection.execute(
                "UPDATE event SET position = position + pg_current_xact_id()::text::bigint; "
                "UPDATE feed SET server = 'another'"
            )
            (shifted,) = await connection.fetch("SELECT max(position) AS position FROM event")
        assert await fitted(core) is True
        moved = shifted["position"] - ends[0].position
        await create(core, account, bill(name="Después"))
        for end in ends:
            there = msgspec.structs.replace(end, position=end.position + moved)
            assert len((await read(core, account, there)).events) == 2


async def test_an_empty_feed_that_moves_starts_anew(embedded_url: str) -> None:
    async with own_database(embedded_url) as url, core_on(url) as core:
        async with core.database.connection() as connection:
            await connection.execute("UPDATE feed SET server = 'another'")
        assert await fitted(core) is True
        account = await new_account(core)
        await create(core, account, bill())
        assert len((await read(core, account, Place())).events) == 2


# --- Telling again ---


async def replayed(world: World, client: Client, **body: Any) -> dict[str, Any]:
    """Ask for a replay, let the worker go through it, and return how it ended."""
    answer = await client.call("POST", REPLAY, body)
    assert answer.status == 202, answer.json
    assert answer.json["state"] == "running"
    assert answer.json["finished_at"] is None
    await world.drain()
    found = await client.get(f"{REPLAY}/{answer.json['id']}")
    assert (found.status, found.json["state"]) == (200, "done"), found.json
    assert found.json["finished_at"] is not None
    return found.json


async def test_a_replay_by_ids_tells_exactly_these_with_the_same_bytes(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.created", "invoice.paid")
        for _ in range(2):
            invoice = await client.invoice()
            await client.pay(invoice["payment_id"])
        await world.drain()
        first = {r.event_id: r.body for r in receiver.received}
        assert len(first) == 4
        receiver.received.clear()
        chosen = [event_id for event_id, body in first.items() if b"invoice.paid" in body]
        done = await replayed(world, client, event_ids=chosen)
        assert (done["queued"], done["event_ids"]) == (2, chosen)
        assert {r.event_id: r.body for r in receiver.received} == {i: first[i] for i in chosen}


async def test_a_replay_tells_a_new_endpoint_the_past_in_order(world: World, client: Client) -> None:
    invoice = await client.invoice()
    await client.pay(invoice["payment_id"])
    other = await client.invoice(name="Otra factura")
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.created", "collection.opened", "attempt.succeeded", "invoice.paid")
        done = await replayed(world, client, **{"from": invoice["created_at"]})
        assert done["queued"] == 6
        of_first = [r.json["type"] for r in receiver.received if r.json["subject"]["id"] == invoice["id"]]
        assert of_first == ["invoice.created", "collection.opened", "attempt.succeeded", "invoice.paid"]
        versions = [r.version for r in receiver.received if r.json["subject"]["id"] == invoice["id"]]
        assert versions == sorted(versions)
        assert {r.json["subject"]["id"] for r in receiver.received} == {invoice["id"], other["id"]}


async def test_a_replay_of_a_time_range_leaves_the_rest(world: World, client: Client) -> None:
    names = ["uno", "dos y", "tres"]
    made = []
    for name in names:
        made.append(await client.invoice(name=f"Factura {name}"))
        await client.advance_clock(hours=1)
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.created")
        await replayed(world, client, **{"from": made[1]["created_at"], "to": made[2]["created_at"]})
        assert [r.json["data"]["invoice"]["name"] for r in receiver.received] == ["Factura dos y"]
        receiver.received.clear()
        # What began before is not of it: events of types, from a time on.
        at = made[1]["created_at"].replace("Z", "+00:00")
        done = await replayed(world, client, **{"from": at, "types": ["invoice.created", "invoice.paid"]})
        assert done["queued"] == 2
        assert done["from"] == made[1]["created_at"]
        nothing = await replayed(world, client, **{"from": made[0]["created_at"], "types": ["invoice.paid"]})
        assert nothing["queued"] == 0


async def test_a_replay_goes_to_the_endpoint_it_names_and_only_types_it_lists(world: World, client: Client) -> None:
    async with receiving() as receiver:
        one = await listen(client, receiver, "invoice.created", path="/one")
        await listen(client, receiver, "invoice.created", path="/two")
        await listen(client, receiver, "invoice.paid", path="/three")
        invoice = await client.invoice()
        await world.drain()
        assert sorted(r.path for r in receiver.received) == ["/one", "/two"]
        receiver.received.clear()
        assert (await replayed(world, client, endpoint_id=one, **{"from": invoice["created_at"]}))["queued"] == 1
        assert [r.path for r in receiver.received] == ["/one"]
        receiver.received.clear()
        assert (await replayed(world, client, **{"from": invoice["created_at"]}))["queued"] == 2
        assert sorted(r.path for r in receiver.received) == ["/one", "/two"]


async def test_a_replay_of_the_dead_tells_what_was_given_up_and_not_told_since(world: World, client: Client) -> None:
    async with receiving() as receiver:
        endpoint = await listen(client, receiver, "invoice.created")
        good = await client.invoice(name="Llega bien")
        await world.drain()
        receiver.answer = lambda _: web.Response(status=500)
        lost = await client.invoice(name="Se pierde")
        await world.drain()
        for _ in range(10):
            await client.advance_clock(hours=10)
            await world.drain()
        (dead,) = (await client.get(f"{DELIVERIES}?state=failed")).json["data"]
        assert (dead["subject"]["id"], dead["http_status"], dead["next_try_at"]) == (lost["id"], 500, None)
        receiver.received.clear()
        receiver.answer = lambda _: web.Response(status=204)
        assert (await replayed(world, client, only_failed=True, endpoint_id=endpoint))["queued"] == 1
        assert [r.json["subject"]["id"] for r in receiver.received] == [lost["id"]]
        # It was told since, so it is dead no more.
        assert (await replayed(world, client, only_failed=True))["queued"] == 0
        assert good["id"] != lost["id"]


async def test_a_replay_of_thousands_goes_page_by_page_and_queues_nothing_twice(embedded_url: str) -> None:
    count = 2_500
    async with own_database(embedded_url) as url, core_on(url) as core:
        account = await new_account(core)
        await create(core, account, bill())
        await many_events(core, account, count)
        command = NewEndpoint(
            dialect="recaudo", name="Ledger", description=None, url="https://x.example", types=("invoice.updated",)
        )
        await webhooks.create(core, account, command, lambda _: (201, b""), once=None)
        made: list[Replay] = []

        def respond(it: Replay) -> tuple[int, bytes]:
            made.append(it)
            return 202, b""

        wanted = AskReplay(since=datetime(2000, 1, 1, tzinfo=UTC))
        await replays.ask(core, account, wanted, respond, once=None)
        (asked,) = made
        queued: list[int] = []
        while True:
            async with core.database.connection() as connection:
                found = await find_replay(connection, account.id, asked.id)
                assert found is not None
                if found.state == "done":
                    break
                # The second is a worker that comes late with what it knew before.
                for _ in range(2):
                    await replay_page(connection, found, first_id=core.ids.new(NOW), now=NOW, real_now=NOW)
                now = await find_replay(connection, account.id, asked.id)
            assert now is not None
            queued.append(now.queued - found.queued)
        assert len(queued) == 3
        assert max(queued) <= PAGE_EVENTS_MAX
        assert sum(queued) == count
        async with core.database.connection() as connection:
            rows = await connection.fetch("SELECT version FROM delivery WHERE account_id = $1 ORDER BY id", account.id)
        assert sorted(r["version"] for r in rows) == list(range(2, count + 2))


async def test_a_replay_of_thousands_over_http_is_told_to_the_last(world: World) -> None:
    client = await world.merchant()
    await client.invoice()
    await many_events(world.core, await world.account(client.account_id), 1_200, apart=True)
    async with receiving() as receiver:
        endpoint = await listen(client, receiver, "invoice.updated")
        done = await replayed(world, client, endpoint_id=endpoint, **{"from": "2000-01-01T00:00:00Z"})
        assert done["queued"] == 1_200
        assert len({r.event_id for r in receiver.received}) == len(receiver.received) == 1_200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"types": ["invoice.paid"]}, "from"),
        ({"to": "2030-01-01T00:00:00Z"}, "from"),
        ({"from": "2025-10-20"}, "from"),
        ({"from": "2025-10-20T00:00:00"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "1969-10-20T00:00:00Z"}, "from"),
        ({"from": 5}, "from"),
        ({"from": "2025-10-20T00:00:00Z", "to": "2025-10-20T00:00:00Z"}, "to"),
        ({"event_ids": []}, "event_ids"),
        ({"event_ids": ["evt_1"]}, "event_ids"),
        ({"event_ids": ["evt_" + "z" * 24]}, "event_ids"),
        ({"event_ids": ["evt_" + "0" * 24] * 1001}, "event_ids"),
        ({"event_ids": {"a": 1}}, "event_ids"),
        ({"only_failed": True, "types": []}, "types"),
        ({"only_failed": True, "types": ["payment.approved"]}, "types"),
        ({"only_failed": True, "types": [{}]}, "types"),
        ({"only_failed": 1}, "only_failed"),
        ({"only_failed": True, "endpoint_id": "x"}, "endpoint_id"),
    ],
)
async def test_a_replay_that_is_wrong_names_its_field(client: Client, body: Any, field: str) -> None:
    refused(await client.call("POST", REPLAY, body), field, status=422)


async def test_a_replay_of_what_is_not_there(world: World, client: Client) -> None:
    unknown = {"only_failed": True, "endpoint_id": str(uuid4())}
    assert (await client.call("POST", REPLAY, unknown)).status == 404
    for name in (str(uuid4()), "x"):
        assert (await client.get(f"{REPLAY}/{name}")).status == 404
    # An event of another account is none of this one.
    other = await world.merchant()
    await other.invoice()
    (event, _) = await whole_feed(other)
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.created")
        assert (await replayed(world, client, event_ids=[event["id"]]))["queued"] == 0
        assert receiver.received == []


# --- Deliveries ---


async def test_deliveries_are_listed_newest_first_page_by_page_and_by_filter(world: World, client: Client) -> None:
    async with receiving() as receiver, receiving() as broken:
        broken.answer = lambda _: web.Response(status=500)
        good = await listen(client, receiver, "invoice.created")
        bad = await listen(client, broken, "payment.created", dialect="onepay")
        for _ in range(3):
            await client.invoice()
        await world.drain()
        page = (await client.get(f"{DELIVERIES}?limit=4")).json
        rest = (await client.get(f"{DELIVERIES}?limit=4&cursor={page['next_cursor']}")).json
        rows = [*page["data"], *rest["data"]]
        assert (len(page["data"]), page["has_more"]) == (4, True)
        assert (len(rest["data"]), rest["has_more"], rest["next_cursor"]) == (2, False, None)
        assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
        assert all("history" not in row for row in rows)
        assert [row["endpoint_id"] for row in rows].count(good) == 3
        for query, expected in (
            (f"endpoint={good}", {good}),
            ("state=delivered", {good}),
            ("state=waiting", {bad}),
            (f"endpoint={bad}&state=waiting", {bad}),
        ):
            found = (await client.get(f"{DELIVERIES}?{query}")).json["data"]
            assert (len(found), {row["endpoint_id"] for row in found}) == (3, expected), query
        assert (await client.get(f"{DELIVERIES}?state=failed")).json["data"] == []
        (of_event,) = (await client.get(f"{DELIVERIES}?event={rows[0]['event_id']}")).json["data"]
        assert of_event == rows[0]
        onepay = next(row for row in rows if row["endpoint_id"] == bad)
        assert (onepay["type"], onepay["told_as"]) == ("collection.opened", "payment.created")
        assert (onepay["state"], onepay["http_status"], onepay["last_error"]) == ("waiting", 500, "HTTP 500")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("foo=1", "foo"),
        ("limit=0", "limit"),
        ("state=pending", "state"),
        ("endpoint=x", "endpoint"),
        ("event=x", "event"),
        ("event=019a0279-0000-7000-8000-000000000000", "event"),
    ],
)
async def test_a_wrong_parameter_of_deliveries_is_refused(client: Client, query: str, field: str) -> None:
    refused(await client.get(f"{DELIVERIES}?{query}"), field)


async def test_one_delivery_shows_every_try_with_its_members_in_order(world: World, client: Client) -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _: web.Response(status=503, text="en un momento")
        await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        await client.advance_clock(seconds=10)
        receiver.answer = lambda _: web.Response(status=200, text="ok")
        await world.drain()
        (row,) = (await client.get(DELIVERIES)).json["data"]
        detail = (await client.get(f"{DELIVERIES}/{row['id'].upper()}")).json
    assert detail == {**row, "history": detail["history"]}
    assert [list(one) for one in detail["history"]] == [["at", "status", "error", "latency_ms", "answer"]] * 2
    assert [(one["status"], one["error"], one["answer"]) for one in detail["history"]] == [
        (503, "HTTP 503", "en un momento"),
        (200, None, "ok"),
    ]
    assert (detail["state"], detail["tries"], detail["last_error"]) == ("delivered", 2, None)
    for name in (str(uuid4()), "x"):
        assert (await client.get(f"{DELIVERIES}/{name}")).status == 404


async def test_a_replay_under_a_key_is_asked_for_once(world: World, client: Client) -> None:
    async with receiving() as receiver:
        await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        receiver.received.clear()
        body = {"from": "2000-01-01T00:00:00Z"}
        first, second = [await client.post("/recaudo/v1/events/replay", body, once="replay-1") for _ in range(2)]
        assert (first.status, first.body) == (second.status, second.body)
        assert second.headers["Idempotent-Replayed"] == "true"
        await world.drain()
        told = [r.event_id for r in receiver.received]
        assert len(told) == len(set(told)) > 0
        done = (await client.get(f"/recaudo/v1/events/replay/{first.json['id']}")).json
        assert done["finished_at"] > done["created_at"]
