"""The load generator: a process of its own that keeps some connections busy.

`python -m bench.load '{"port": 8000, "jobs": "bench.published:creations", ...}'` prints what it counted as one JSON
object; `jobs` names the function that makes what each connection does (`jobs.py`). It speaks just enough HTTP to be
cheap: an answer ends where its content-length says, and nothing is kept but its latency. What it costs all the same is
part of what it prints.
"""

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from bench.driven import Driven
from bench.jobs import Job, Refused, is_whole


@dataclass
class Load:
    """What all connections share."""

    begin_s: float = 0.0
    end_s: float = 0.0
    acknowledged: int = 0
    latencies_us: list[float] = field(default_factory=list)
    failure: str | None = None


class Connection(asyncio.Protocol):
    """Does one job after the other until the time is over: sends a request, waits for its answer, sends the next."""

    def __init__(self, load: Load, jobs: Iterator[Job]) -> None:
        self._load = load
        self._jobs = jobs
        self._job: Job
        self._transport: Any = None
        self._began_s = 0.0
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._load.failure = self._load.failure or f"the server closed a connection: {exc}"
            self.done.set_result(None)

    def begin(self) -> None:
        """Send the first request of the next job."""
        self._job = next(self._jobs)
        request = next(self._job)
        self._began_s = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        if not is_whole(data):
            self._received = data
            return
        self._received = b""
        now_s = time.perf_counter()
        try:
            following = self._job.send(data)
        except StopIteration:
            self._finish(now_s)
        except Refused as refused:
            self._load.failure = self._load.failure or " ".join(str(refused).split())
            self._stop()
        else:
            self._transport.write(following)

    def _finish(self, now_s: float) -> None:
        load = self._load
        load.acknowledged += 1
        if load.begin_s <= now_s < load.end_s:
            load.latencies_us.append((now_s - self._began_s) * 1e6)
        if now_s < load.end_s and load.failure is None:
            self.begin()
        else:
            self._stop()

    def _stop(self) -> None:
        self.done.set_result(None)
        self._transport.close()


async def drive(port: int, jobs: Sequence[Iterator[Job]], *, seconds: float, warmup: float) -> Driven:
    """Keep a connection busy with each of these. Raises RuntimeError when an answer is not what its job expects."""
    load = Load()
    gc.collect()
    gc.freeze()
    gc.disable()
    cpu_s, load.begin_s = _cpu_s(), time.perf_counter() + warmup
    load.end_s = load.begin_s + seconds
    await _work(load, port, jobs)
    return Driven.of(load.latencies_us, seconds=seconds, acknowledged=load.acknowledged, cpu_s=_cpu_s() - cpu_s)


async def perform(port: int, job: Job) -> None:
    """One job, once, whatever time it takes. Raises RuntimeError as `drive` does."""
    await _work(Load(), port, [iter([job])])


async def _work(load: Load, port: int, jobs: Sequence[Iterator[Job]]) -> None:
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    for own in jobs:
        connection = Connection(load, own)
        await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)
        connections.append(connection)
    for connection in connections:
        connection.begin()
    await asyncio.gather(*(connection.done for connection in connections))
    if load.failure is not None:
        raise RuntimeError(load.failure)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


async def _run(*, jobs: str, arguments: dict[str, Any], port: int, **how: float) -> Driven:
    module, _, name = jobs.partition(":")
    made = getattr(importlib.import_module(module), name)(port=port, **how, **arguments)
    return await drive(port, made, seconds=how["seconds"], warmup=how["warmup"])


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(**json.loads(sys.argv[1]))))))
