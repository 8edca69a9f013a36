"""A server, a worker and an embedded PostgreSQL as real processes, killed with SIGKILL and started again.

What stands in for the operator's service manager is `Machine.watch`: whatever of server and worker has ended is started
again a moment later. PostgreSQL has its own keeper, and that has server and worker, which watch over it. Nobody here
helps them.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import aiohttp
import psutil

from recaudo.edge.health import FRESH_S
from recaudo.store.embedded_keeper import Layout, running_postmaster
from tests.world import World

SERVER_PROCESSES = 2
HEALTHY_TIMEOUT_S = 90

# What is killed, and how often of a hundred.
WEIGHTS = {
    "server": 18,
    "server process": 12,
    "worker": 18,
    "PostgreSQL": 20,
    "PostgreSQL backend": 12,
    "keeper": 12,
    "everything": 8,
}


class Machine(World):
    """Everything that a power cut would take, on an embedded PostgreSQL that the server opens by itself."""

    def __init__(self, database_url: str, home: Path, chance: Random) -> None:
        super().__init__(database_url, home)
        self._layout = Layout(home.resolve())
        self._chance = chance
        self._delays = Random(chance.random())
        self._worker: subprocess.Popen[bytes] | None = None
        self._is_stopping = False
        self.killed: Counter[str] = Counter()
        self.ended_by_themselves: Counter[str] = Counter()

    def environment(self, log_level: str = "warning") -> dict[str, str]:
        """None names a database: server and worker open the embedded one of their home."""
        return {n: v for n, v in super().environment(log_level).items() if n != "RECAUDO_DATABASE_URL"}

    def _launch(self, workers: int, log_level: str) -> None:
        """Only the server: the worker is a process of its own."""
        self.runs_worker = False
        super()._launch(workers, log_level)

    @property
    def server_pid(self) -> int:
        """The process that `recaudo serve` began as."""
        assert self._server is not None
        return self._server.pid

    async def start_all(self) -> None:
        """The server, healthy, and the worker."""
        await self.start(workers=SERVER_PROCESSES)
        self._start_worker()

    def _start_worker(self) -> None:
        with (self.home / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "recaudo", "worker"]
            self._worker = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log)

    # --- Killing ---

    async def kill_for(self, seconds: float, *, every_s: float) -> None:
        """Kill something of WEIGHTS every so often."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    (what,) = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
                    await self._kill_soon(what, every_s)

    async def kill_each(self, *, every_s: float) -> None:
        """Kill everything of WEIGHTS once, in some order."""
        for what in self._chance.sample(list(WEIGHTS), len(WEIGHTS)):
            await self._kill_soon(what, every_s)

    async def _kill_soon(self, what: str, about_s: float) -> None:
        await asyncio.sleep(self._chance.uniform(0.3, 1.7) * about_s)
        while not self.kill(what):  # noqa: ASYNC110 - it is not there at this moment, and tells nobody when it is
            await asyncio.sleep(0.05)

    def kill(self, what: str) -> bool:
        """SIGKILL one of the things of WEIGHTS; says whether there was one."""
        victims = list(self._processes(what))
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.killed[what] += bool(victims)
        return bool(victims)

    def replace_worker(self) -> None:
        """End the worker for good; the watcher starts another."""
        for process in _with_children(self._worker):
            process.kill()

    def _processes(self, what: str) -> Iterable[psutil.Process]:
        match what:
            case "server":
                return _with_children(self._server)
            case "server process":
                children = _with_children(self._server)[1:]
                return [self._chance.choice(children)] if children else []
            case "worker":
                return _with_children(self._worker)
            case "PostgreSQL":
                return self._postmaster()
            case "PostgreSQL backend":
                backends = [child for it in self._postmaster() for child in _children(it)]
                return [self._chance.choice(backends)] if backends else []
            case "keeper":
                return self.keepers()
            case _:
                database = [p for it in self._postmaster() for p in (it, *_children(it))]
                return [*self.keepers(), *database, *_with_children(self._server), *_with_children(self._worker)]

    def _postmaster(self) -> list[psutil.Process]:
        pid = running_postmaster(self._layout.data)
        return [] if pid is None else [psutil.Process(pid)]

    def keepers(self) -> list[psutil.Process]:
        """The keeper of the embedded PostgreSQL, if there is one."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if "embedded_keeper.py" in line and f" {self._layout.home} " in line:
                found.append(process)
        return found

    # --- Starting again ---

    async def watch(self) -> None:
        """Start again what has ended, a moment after it did, as a service manager would."""
        while not self._is_stopping:
            await asyncio.sleep(0.1)
            for what, process in (("server", self._server), ("worker", self._worker)):
                if process is None or process.poll() is None:
                    continue
                if process.returncode != -9:
                    self.ended_by_themselves[what] += 1
                await asyncio.sleep(self._delays.uniform(0, 1.5))
                if what == "server":
                    self._launch(SERVER_PROCESSES, "warning")
                else:
                    self._start_worker()

    async def healthy(self) -> None:
        """Wait until the server answers, its database with it. Raises TimeoutError."""
        # What it tells may be so old, older than the last kill.
        await asyncio.sleep(FRESH_S)
        async with asyncio.timeout(HEALTHY_TIMEOUT_S):
            while True:
                with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                    async with self.session.get(f"{self.base_url}/health") as response:
                        body = await response.json()
                        # Due work that waited while nobody ran is no fault of the server.
                        if response.status == 200 or body["status"] == "due_work_stuck":
                            return
                await asyncio.sleep(0.1)

    async def free_leases(self) -> None:
        """What killed workers held is free a minute later; nobody waits for it here. No worker may be at work."""
        for table in ("attempt", "refund", "collection", "delivery", "import_job", "replay", "document"):
            await self.execute(f"UPDATE {table} SET leased_until = NULL WHERE leased_until IS NOT NULL")

    async def stop(self) -> None:
        """End all of it, gently."""
        self._is_stopping = True
        if self._worker is not None:
            self._worker.terminate()
            await asyncio.to_thread(self._worker.wait, 40)
        await super().stop()


def _with_children(process: subprocess.Popen[bytes] | None) -> list[psutil.Process]:
    if process is None or process.poll() is not None:
        return []
    with contextlib.suppress(psutil.NoSuchProcess):
        it = psutil.Process(process.pid)
        return [it, *_children(it)]
    return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []
