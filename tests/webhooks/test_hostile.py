"""Receivers that mean harm, or are merely slow, harm nobody but themselves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from recaudo.worker import deliveries as dispatching
from recaudo.worker.deliveries import Dispatcher
from recaudo.worker.sender import Sender
from tests.receiver import Received, receiving
from tests.webhooks.test_delivery import deliveries, history, listen, status
from tests.world import Client, World


@contextlib.asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[str]:
    """A receiver that answers every request with these bytes, whatever they are; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length"))
            await reader.readexactly(length)
            writer.write(raw)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


HEAD = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n\r\n",
        b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: http://x/\xff\xfe\r\n\r\n",
        b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\na\x00\xff\xed\xa0\x80bcd",
        b"nonsense\xff\x00\r\n\r\n",
    ],
)
async def test_an_odd_answer_is_noted_and_spoils_no_neighbour(world: World, client: Client, raw: bytes) -> None:
    neighbour = await world.merchant()
    async with answering(raw) as url, receiving() as good:
        body = {"name": "Odd", "url": url, "events": ["invoice.created"]}
        odd = (await client.post("/v1/webhooks", body)).json["data"]
        await listen(neighbour, good, "invoice.created")
        for number in range(5):
            await client.invoice(provider_id=f"f-{number}")
            await neighbour.invoice(provider_id=f"f-{number}")
        await world.drain()
        assert len({r.event_id for r in good.received}) == len(good.received) == 5
        told = await deliveries(client, odd)
        assert {d["tries"] for d in told} == {1}
        details = [await history(client, d["id"]) for d in told]
        assert all(len(d["history"]) == 1 and d["last_error"] and d["next_try_at"] for d in details)


async def test_whatever_breaks_in_a_try_gives_its_place_back(world: World, client: Client) -> None:
    class Broken(Sender):
        async def send(self, *_: Any) -> Any:
            raise RuntimeError("something nobody thought of")

    async with receiving() as receiver:
        endpoint = await listen(client, receiver, "invoice.created")
        await world.execute("UPDATE endpoint SET failing_since = now() WHERE id = $1", UUID(endpoint["id"]))
        await client.invoice()
        async with Broken(allow_private_networks=True, connections_max=1) as sender:
            dispatcher = Dispatcher(world.core, sender, world.base_url)
            await dispatcher.drain()
            assert dispatcher._claimed == 0
            assert all(lane.busy == 0 for lane in dispatcher._lanes.values())


async def test_slow_endpoints_do_not_starve_the_others(world: World, client: Client) -> None:
    """Three tenants with a backlog each that takes half a minute: a fourth is told at once all the same."""

    async def slowly(_: Received) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    lively = await world.merchant()
    async with receiving() as slow, receiving() as quick:
        slow.answer = slowly
        for number in range(3):
            tenant = await world.merchant()
            await listen(tenant, slow, "invoice.created", path=f"/{number}")
            await asyncio.gather(*(tenant.invoice(provider_id=f"f-{i}") for i in range(200)))
        await slow.wait_for(30)
        await listen(lively, quick, "invoice.created")
        started_s = asyncio.get_running_loop().time()
        await lively.invoice()
        await quick.wait_for(1, timeout_s=5)
        assert asyncio.get_running_loop().time() - started_s < 2
        held = await world.rows(
            "SELECT endpoint_id, count(*) AS n FROM delivery WHERE leased_until > now() GROUP BY endpoint_id"
        )
        assert max(r["n"] for r in held) <= dispatching.EACH_MIN, "what is slow is not hoarded"
        await world.execute("UPDATE delivery SET state = 'dropped', due_at = NULL WHERE due_at IS NOT NULL")
        await world.execute("UPDATE endpoint SET deleted_at = now() WHERE url LIKE $1 || '%'", slow.url)


async def test_a_house_full_of_those_that_hang_keeps_a_place_for_the_others(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "CLAIMED_MAX", 4)
    told = asyncio.Event()

    async def hang(_: Received) -> web.StreamResponse:
        await told.wait()
        return web.Response()

    neighbour = await world.merchant()
    async with receiving() as hanging, receiving() as good:
        hanging.answer = hang
        await world.execute("UPDATE account SET active = active")
        await listen(client, hanging, "invoice.created")
        await listen(neighbour, good, "invoice.created")
        async with Sender(allow_private_networks=True, connections_max=200) as sender:
            dispatcher = Dispatcher(world.core, sender, world.base_url)
            for number in range(8):
                await client.invoice(provider_id=f"f-{number}")
            while dispatcher._claimed < 4 and len(hanging.received) < 8:
                await dispatcher._claim()
                await asyncio.sleep(0.01)
            await neighbour.invoice()
            for _ in range(20):
                await dispatcher._claim()
                await asyncio.sleep(0.05)
                if good.received:
                    break
            assert good.types == ["invoice.created"]
            told.set()
            await asyncio.gather(*dispatcher._tasks)
            await dispatcher._settle()


async def test_an_invoice_with_hundreds_of_events_holds_up_no_other(world: World, client: Client) -> None:
    async def slowly(_: Received) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.Response()

    async with receiving() as receiver:
        receiver.answer = slowly
        endpoint = await listen(client, receiver, "invoice.updated", "invoice.created")
        busy = await client.invoice(provider_id="busy")
        for number in range(260):
            await client.put(f"/v1/invoices/{busy['id']}", {"amount": 50_000 + number})
        others = {(await client.invoice(provider_id=f"f-{n}"))["id"] for n in range(20)}

        def seen() -> set[str]:
            return {r.json["invoice"]["id"] for r in receiver.received}

        async with asyncio.timeout(10):
            while not others <= seen():  # noqa: ASYNC110 - requests come from another process
                await asyncio.sleep(0.05)
        versions = [r.version for r in receiver.received if r.json["invoice"]["id"] == busy["id"]]
        assert versions == sorted(versions)
        assert (await client.delete(f"/v1/webhooks/{endpoint['id']}")).status == 204


async def test_one_success_ends_a_failing_period_whatever_the_worker_knew(world: World, client: Client) -> None:
    async with receiving() as receiver:
        answers = iter([500, *[200] * 20])

        def first_bad(_: Received) -> web.Response:
            return web.Response(status=next(answers))

        receiver.answer = first_bad
        endpoint = await listen(client, receiver, "invoice.created")
        for number in range(8):
            await client.invoice(provider_id=f"f-{number}")
        await world.drain()
        assert (await client.get(f"/recaudo/v1/webhooks/{endpoint['id']}")).json["failing_since"] is None


async def test_a_status_counts_although_its_body_never_ends(world: World, client: Client) -> None:
    requests: list[web.Request] = []

    async def late(_: Received) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(requests[0])
        with contextlib.suppress(ConnectionError):
            for _number in range(100):
                await response.write(b"x")
                await asyncio.sleep(0.1)
        return response

    async with receiving(requests) as receiver:
        receiver.answer = late
        endpoint = await listen(client, receiver, "invoice.created")
        await client.invoice()
        await world.drain()
        assert [d["status"] for d in await deliveries(client, endpoint)] == ["delivered"]
        receiver.answer = status(204)
