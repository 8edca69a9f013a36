"""Whatever a receiver of webhooks answers, the try is told, and can be kept and shown."""

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec
from hypothesis import given, strategies as st

from recaudo.domain.delivering import Try
from recaudo.worker.sender import Sender
from tests.fuzzing.wire import examples

NOW = datetime(2025, 10, 20, tzinfo=UTC)

heads = st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 X\r\n", b"HTTP/1.0 999 \r\n", b"HTTP/9 1\r\n", b""])
names = st.sampled_from(
    [b"Retry-After", b"Location", b"Content-Length", b"Content-Encoding", b"Transfer-Encoding", b"X"]
)
lines = st.lists(st.tuples(names, st.binary(max_size=40)).map(lambda it: it[0] + b": " + it[1] + b"\r\n"), max_size=4)
answers = st.tuples(heads, lines.map(b"".join), st.binary(max_size=60)).map(lambda of: of[0] + of[1] + b"\r\n" + of[2])


async def tell(raws: list[bytes]) -> list[Try]:
    """What comes of telling a receiver that answers with these bytes, one after the other."""
    left = iter(raws)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(left))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with Sender(allow_private_networks=True, connections_max=1) as sender:
        found = [await sender.send(NOW, url, [("content-type", "application/json")], b"{}") for _ in raws]
    server.close()
    return found


async def test_any_answer_is_told() -> None:
    drawn: list[bytes] = []

    @examples(300)
    @given(raw=answers | st.binary(max_size=100))
    def draw(raw: bytes) -> None:
        drawn.append(raw)

    draw()
    for raw, told in zip(drawn, await tell(drawn), strict=True):
        assert b"\\u0000" not in msgspec.json.encode(told), raw
        assert told.status is not None or told.error, raw
        assert told.retry_after_s is None or told.retry_after_s >= 0, raw
