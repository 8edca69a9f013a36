"""Clients that send slowly, hugely or in crowds hold nobody else up, and give their places back."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from recaudo.cli import HEADERS_BYTES_MAX, HEADERS_MS
from recaudo.edge.http import BODY_S
from tests.world import Client, World

CROWD = 1500
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(world: World, sent: bytes) -> Connection:
    parts = urlsplit(world.base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(sent)
    await writer.drain()
    return reader, writer


@contextlib.asynccontextmanager
async def crowd(world: World, sent: bytes, count: int) -> AsyncIterator[list[Connection]]:
    made = [await connect(world, sent) for _ in range(count)]
    try:
        yield made
    finally:
        for _, writer in made:
            writer.close()


HALF_A_HEAD = b"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nX-Slow: "


def half_a_body(client: Client, path: str, content_type: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: 1000\r\n\r\n" + "{"
    ).encode()


@pytest.mark.timeout(90)
async def test_who_does_not_finish_a_request_is_cut_off_and_the_others_are_served(world: World, client: Client) -> None:
    """Heads and bodies that never end, of the APIs, the notices and the pages; all at once, for the wait is long."""
    portal = f"/{client.slug}/test"
    sent = {
        "head": HALF_A_HEAD,
        "onepay": half_a_body(client, "/v1/invoices", "application/json"),
        "treli": half_a_body(client, "/treli/v1/customers", "application/json"),
        "own": half_a_body(client, "/recaudo/v1/webhooks", "application/json"),
        "nobody": half_a_body(client, "/v1/invoices", "application/json").replace(b"Bearer", b"None"),
        "notice": half_a_body(client, "/notices/" + "x" * 30, "application/json"),
        "form": half_a_body(client, portal, "application/x-www-form-urlencoded"),
    }
    started_s = time.monotonic()
    made = {name: await connect(world, raw) for name, raw in sent.items()}
    async with crowd(world, half_a_body(client, "/v1/invoices", "application/json"), 200):
        quick_s = time.monotonic()
        assert (await client.post("/v1/invoices", {"amount": 1})).status == 422
        assert time.monotonic() - quick_s < 5
        async with asyncio.timeout(HEADERS_MS / 1000 + 15):
            answers = {name: await reader.read() for name, (reader, _) in made.items()}
    assert time.monotonic() - started_s >= BODY_S
    for name, answer in answers.items():
        status = answer.split(b" ")[1] if answer else b""
        # A head that is none has no answer; a notice's receiver says so in its own words.
        assert status in {b"408", b"503" if name == "notice" else b"408", b"" if name == "head" else b"408"}, answer
    for _, writer in made.values():
        writer.close()


async def test_a_crowd_of_connections_that_send_nothing_keeps_nobody_out(world: World, client: Client) -> None:
    async with crowd(world, b"", CROWD):
        started_s = time.monotonic()
        assert (await client.get("/v1/invoices")).status == 200
        async with asyncio.timeout(10):
            _, writer = await connect(world, b"")
            writer.close()
        assert time.monotonic() - started_s < 10


@pytest.mark.parametrize(
    "head",
    [
        b"X-Huge: " + b"a" * (HEADERS_BYTES_MAX * 2),
        b"\r\n".join(b"X-%d: a" % number for number in range(5000)),
        b"Cookie: " + b"a=b; " * HEADERS_BYTES_MAX,
    ],
    ids=["one long", "many", "cookies"],
)
async def test_huge_heads_are_refused(world: World, client: Client, head: bytes) -> None:
    reader, writer = await connect(world, b"GET /health HTTP/1.1\r\nHost: x\r\n")
    with contextlib.suppress(ConnectionError):
        writer.write(head + b"\r\n\r\n")
        await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read(1000)
        assert answer == b"" or answer.split(b" ")[1] in {b"400", b"431"}, answer
    writer.close()
    assert (await client.get("/health")).status == 200


async def test_a_long_address_is_refused(world: World, client: Client) -> None:
    reader, writer = await connect(world, b"GET /" + b"a" * HEADERS_BYTES_MAX * 2 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            answer = await reader.read(1000)
        assert answer == b"" or answer.split(b" ")[1] in {b"400", b"404", b"414", b"431"}, answer
    writer.close()
    assert (await client.get("/health")).status == 200
