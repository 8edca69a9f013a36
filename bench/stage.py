"""Where a benchmark plays: one embedded PostgreSQL, a fresh database for each phase, a server on it when asked."""

import asyncio
import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from bench.options import BenchError
from recaudo.parts import make_core
from recaudo.store.database import Database
from recaudo.store.doctor import examine
from recaudo.store.embedded import EmbeddedHandle, open_embedded
from recaudo.store.migrate import migrate
from recaudo.usecases import merchants

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 40
# Server processes start side by side; whichever is slower must listen too before connections are made.
SETTLE_S = 1.0
PHASE_DATABASE = "bench"
# What secrets at rest are encrypted under.
SECRET = "a secret of benchmarks, long enough"

T = TypeVar("T")


@dataclass(frozen=True)
class Account:
    """A test account without a rate limit."""

    id: UUID
    key: str


@dataclass(frozen=True)
class Server:
    """A running `recaudo serve`."""

    port: int
    pid: int


class Stage:
    """The PostgreSQL server and a database with a merchant in it, which each phase gets a copy of."""

    def __init__(self, handle: EmbeddedHandle, home: Path) -> None:
        self.bin_dir = handle.bin_dir
        self.postgres_pid = int((handle.data_dir / "postmaster.pid").read_text(encoding="ascii").split()[0])
        self._template_url = handle.url
        self.folder = home
        asyncio.run(migrate(handle.url))
        self.account: Account = with_core(handle.url, _make_account)

    @contextlib.contextmanager
    def database(self, *, name: str = PHASE_DATABASE, template: str | None = None) -> Generator[str]:
        """The URL of a fresh database, a copy of `template`; what was written before is on the disk already."""
        template = template or urlsplit(self._template_url).path[1:]
        self._administer(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} TEMPLATE {template}",
            "CHECKPOINT",
        )
        yield _other_database(self._template_url, name)
        self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def server(self, url: str, *, workers: int, log_level: str, runs_worker: bool = True) -> Generator[Server]:
        """A server on a database, as the command line starts it."""
        port = free_port()
        options = ["--port", str(port), "--workers", str(workers)]
        options += [] if runs_worker else ["--no-worker"]
        with self._program("serve", *options, url=url, log_level=log_level) as process:
            _wait_until_healthy(process, port, self._log_path("serve"))
            if workers > 1:
                time.sleep(SETTLE_S)
            yield Server(port=port, pid=process.pid)

    @contextlib.contextmanager
    def worker(self, url: str) -> Generator[subprocess.Popen[bytes]]:
        """A worker process on a database, as the command line starts it; it may post to this machine."""
        with self._program("worker", url=url, log_level="warning") as process:
            yield process

    @contextlib.contextmanager
    def _program(self, *arguments: str, url: str, log_level: str) -> Generator[subprocess.Popen[bytes]]:
        """One `recaudo` command for as long as the block lasts. Its log goes to a file, as it would in earnest."""
        environment = self.environment(url, log_level)
        command = [sys.executable, "-m", "recaudo", *arguments]
        with self._log_path(arguments[0]).open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_S)

    def environment(self, url: str, log_level: str = "warning") -> dict[str, str]:
        """What a command finds in its environment."""
        return {
            **os.environ,
            "RECAUDO_DATABASE_URL": url,
            "RECAUDO_HOME": str(self.folder),
            "RECAUDO_LOG_LEVEL": log_level,
            # Pages are limited by address; the load generator speaks as the proxy of many payers.
            "RECAUDO_PROXY_HOPS": "1",
            "RECAUDO_SECRET_KEY": SECRET,
            "RECAUDO_WEBHOOKS_ALLOW_HTTP": "1",
            "RECAUDO_WEBHOOKS_ALLOW_PRIVATE_NETWORKS": "1",
        }

    def _log_path(self, command: str) -> Path:
        return self.folder / f"{command}.log"

    def _administer(self, *statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(_other_database(self._template_url, "postgres"))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())


@contextlib.contextmanager
def opened(home: Path | None) -> Generator[Stage]:
    """A stage in a folder; without one, in a folder that is made for it and removed afterwards."""
    chosen = home or Path(tempfile.mkdtemp(prefix="recaudo-bench-"))
    try:
        with open_embedded(chosen) as handle:
            try:
                yield Stage(handle, chosen)
            finally:
                handle.close(wait_s=STOP_TIMEOUT_S)
    finally:
        if home is None:
            shutil.rmtree(chosen, ignore_errors=True)


def query(url: str, sql: str, *values: object) -> list[Any]:
    """The rows of one query."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(sql, *values)
        finally:
            await connection.close()

    return asyncio.run(run())


def with_core(url: str, act: Callable[[Any], Awaitable[T]]) -> T:
    """What an async function of the use cases' Core returns."""

    async def run() -> T:
        database = await Database.connect(url, connections_max=2)
        try:
            return await act(make_core(database, SECRET))
        finally:
            await database.close()

    return asyncio.run(run())


def check_database(url: str, *, acknowledged: int) -> int:
    """How many invoices the database holds.

    Raises BenchError unless they are as many as were acknowledged and the doctor finds nothing wrong with them.
    """
    ((stored,),) = query(url, "SELECT count(*) FROM invoice")
    if stored != acknowledged:
        raise BenchError(f"{acknowledged} invoices were acknowledged and {stored} are in the database")
    query(url, "ANALYZE")

    async def examined(core: Any) -> list[str]:
        return [f"{check.name}: {found}" async for check, findings in examine(core.database) for found in findings]

    if complaints := with_core(url, examined):
        raise BenchError(f"the doctor found {len(complaints)} faults, the first is {complaints[0]}")
    return stored


async def _make_account(core: Any) -> Account:
    made = await merchants.create(core, "Banco de pruebas", "bench", settings={"rate_per_second": 0})
    return Account(id=made.test.account_id, key=made.test.secret_key)


def _other_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise BenchError(f"the server did not start: {log_path.read_text(errors='replace')}")
