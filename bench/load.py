"""The load generator: a process of its own that keeps some connections busy with create requests.

`python -m bench.load '{"port": 8000, ...}'` prints what it counted as one JSON object. It speaks just enough HTTP to
be cheap: requests are made before the clock starts, an answer ends where its content-length says, and nothing is kept
but its latency. What it costs all the same is part of what it prints.
"""

import asyncio
import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import uvloop

from bench.driven import Driven
from bench.published import http_requests

# Requests made in advance, per second of load. More are made on the way should a server ever need them.
RATE_FORESEEN = 8_000


@dataclass
class Load:
    """What all connections share."""

    requests: list[bytes]
    spare: Any
    begin_s: float = 0.0
    end_s: float = 0.0
    acknowledged: int = 0
    latencies_us: list[float] = field(default_factory=list)
    failure: str | None = None

    def next(self) -> bytes:
        return self.requests.pop() if self.requests else next(self.spare)


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next, until the time is over."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: Any = None
        self._sent_s = 0.0
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._load.failure = self._load.failure or f"the server closed a connection: {exc}"
            self.done.set_result(None)

    def send(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(self._load.next())

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        if not _is_whole(data):
            self._received = data
            return
        self._received = b""
        self._answered(data)

    def _answered(self, data: bytes) -> None:
        load, now_s = self._load, time.perf_counter()
        if data[9:12] != b"201":
            load.failure = load.failure or data.decode(errors="replace")
        else:
            load.acknowledged += 1
            if load.begin_s <= now_s < load.end_s:
                load.latencies_us.append((now_s - self._sent_s) * 1e6)
        if now_s < load.end_s and load.failure is None:
            self.send()
        else:
            self.done.set_result(None)
            self._transport.close()


def _is_whole(data: bytes) -> bool:
    head_end = data.find(b"\r\n\r\n")
    at = data.find(b"content-length: ", 0, head_end)
    if at < 0:
        return False
    return len(data) >= head_end + 4 + int(data[at + 16 : data.index(b"\r", at)])


async def run(*, port: int, key: str, connections: int, seconds: float, warmup: float, seed: int) -> Driven:
    """Keep the connections busy. Raises RuntimeError when an answer is not 201."""
    spare = http_requests(port, key, seed=seed)
    load = Load(requests=list(islice(spare, int(RATE_FORESEEN * (seconds + warmup)))), spare=spare)
    gc.collect()
    gc.freeze()
    gc.disable()
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(lambda: Connection(load), "127.0.0.1", port))[1] for _ in range(connections)]
    cpu_s, load.begin_s = _cpu_s(), time.perf_counter() + warmup
    load.end_s = load.begin_s + seconds
    for connection in made:
        connection.send()
    await asyncio.gather(*(connection.done for connection in made))
    if load.failure is not None:
        raise RuntimeError(load.failure)
    return Driven.of(load.latencies_us, seconds=seconds, acknowledged=load.acknowledged, cpu_s=_cpu_s() - cpu_s)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(**json.loads(sys.argv[1]))))))
