"""The receiver of webhooks: a process of its own that reads each request to its end and answers 204.

`python -m bench.receiver` prints the port that it listens on. A GET is answered with what came in so far, as JSON. It
speaks just enough HTTP to be cheap, so that what is measured is who sends.
"""

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).parents[1]
ANSWER = b"HTTP/1.1 204 No Content\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Count:
    """How many requests and bytes came in until an instant of the receiver's clock."""

    requests: int
    bytes: int
    at_s: float


class Client:
    """A running receiver, as seen from the benchmark."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.pid = process.pid
        self.port = port

    def count(self) -> Count:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            return Count(**json.loads(connection.getresponse().read()))


@contextlib.contextmanager
def running() -> Generator[Client]:
    """A receiver, for as long as the block lasts."""
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver"], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None, "it is a pipe"
    try:
        yield Client(process, int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)
        process.stdout.close()


class _Received:
    requests = 0
    bytes = 0


class _Connection(asyncio.Protocol):
    def __init__(self, received: _Received) -> None:
        self._received = received
        self._transport: Any = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        while (length := _request_length(data)) and len(data) >= length:
            self._answer(data[:length])
            data = data[length:]
        self._data = data

    def _answer(self, request: bytes) -> None:
        received = self._received
        if request.startswith(b"GET "):
            body = json.dumps({"requests": received.requests, "bytes": received.bytes, "at_s": time.monotonic()})
            self._transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            return
        received.requests += 1
        received.bytes += len(request)
        self._transport.write(ANSWER)


def _request_length(data: bytes) -> int:
    """How long the request is that the data begins with; 0 when its headers are not there yet."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return 0
    head = data[:head_end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return head_end + 4
    line_end = head.find(b"\r\n", at + 2)
    return head_end + 4 + int(head[at + 17 : None if line_end < 0 else line_end])


async def _serve() -> None:
    received = _Received()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(received), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
