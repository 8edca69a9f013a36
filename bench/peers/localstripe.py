"""localstripe, a fake of another vendor's API for tests: one process of aiohttp, everything in one dictionary.

It comes from the package index, pinned, into a folder of its own; what else it needs, Recaudo has too. As it comes, it
writes its whole dictionary into one file after every write, without waiting for the disk; `IN_MEMORY` is the same
program without that, which is its best. Both are started by a few lines instead of its own command, so that its file
lies in our folder and not where somebody may keep theirs, and so that it writes no access log, as ours writes none.
"""

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec

from bench.jobs import Job, accept, request
from bench.options import BenchError
from bench.peers import fetching
from bench.peers.peer import Address, Made, Peer
from bench.stage import Stage, free_port

KEY = "sk_test_bench"
AMOUNT = 50_000
CARD = {"number": "4242424242424242", "exp_month": "12", "exp_year": "2040", "cvc": "123"}
NEEDS = ("setuptools==80.9.0 --hash=sha256:062d34222ad13e0cc312a4c02d73f059e86a4acbfbdea8f8f76b28c99f306922",)
PACKAGE = "localstripe==1.15.10 --hash=sha256:e055538b786cee59f80c86d4ab7f7b31fb2cf32c3cbd28320cb463fc62dac220"
START_TIMEOUT_S = 30

_STARTER = """
import sys
from aiohttp import web
from localstripe import resources, server
port, file = int(sys.argv[1]), sys.argv[2]
if file:
    resources.open = lambda _, mode: open(file, mode)
else:
    resources.Store.dump_to_disk = lambda self: None
web.run_app(server.app, host="127.0.0.1", port=port, access_log=None, print=None)
"""


class _Object(msgspec.Struct):
    id: str


class _Invoice(msgspec.Struct):
    id: str
    amount_due: int
    description: str


class _Page(msgspec.Struct):
    total_count: int


class Talk:
    """One client, with a customer and a subscription of its own: it makes invoices of nothing else."""

    def __init__(self, address: Address) -> None:
        self._to: dict[str, Any] = {"host": address.host, "key": address.key}
        self._bill: dict[str, str] = {}
        self._list = request("GET", "/v1/invoices?limit=10", **self._to)

    def prepare(self) -> Job:
        """The customer, the plan and the subscription, which brings a first invoice."""
        price = {"currency": "cop", "interval": "month", "amount": AMOUNT}
        card = yield from self._make("tokens", {"card": CARD})
        customer = yield from self._make("customers", {"email": "cliente@ejemplo.com", "source": card})
        plan = yield from self._make("plans", {"product": {"name": "Internet plan"}, **price})
        subscription = yield from self._make("subscriptions", {"customer": customer, "items": [{"plan": plan}]})
        self._bill = {"customer": customer, "subscription": subscription}

    def _make(self, noun: str, body: dict[str, Any]) -> Generator[bytes, bytes, str]:
        answer = accept((yield request("POST", f"/v1/{noun}", body=body, **self._to)))
        return msgspec.json.decode(answer, type=_Object).id

    def create(self, number: int) -> Generator[bytes, bytes, Made]:
        """One request, for the amount of the plan. Any other amount would take a second request, for an item."""
        mark = f"{100_000_000_000_000 + number}"
        return Made((yield from self._make("invoices", {**self._bill, "description": mark})), AMOUNT, mark)

    def read(self, invoice_id: str) -> Generator[bytes, bytes, bytes]:
        """One invoice with its lines."""
        return accept((yield request("GET", f"/v1/invoices/{invoice_id}", **self._to)), holding=invoice_id.encode())

    def list(self) -> Generator[bytes, bytes, bytes]:
        """The oldest ten, as it lists them."""
        return accept((yield self._list))

    def told(self, body: bytes) -> Made:
        """From the invoice."""
        found = msgspec.json.decode(body, type=_Invoice)
        return Made(found.id, found.amount_due, found.description)

    def total(self, body: bytes) -> int:
        """It counts them all for each page."""
        return msgspec.json.decode(body, type=_Page).total_count


def install(folder: Path) -> None:
    """Fetch it, once for both of its peers. Raises BenchError."""
    fetching.fetch("localstripe", PACKAGE, needs=NEEDS, folder=folder / "localstripe")


def _starting(*, writes_file: bool) -> Callable[[Stage, Path], contextlib.AbstractContextManager[Address]]:
    @contextlib.contextmanager
    def start(_: Stage, folder: Path) -> Generator[Address]:
        home, port = folder / "localstripe", free_port()
        file = home / "store.pickle"
        log = home / "log"
        environment = os.environ | {"PYTHONPATH": str(home / "packages")}
        command = [sys.executable, "-c", _STARTER, str(port), str(file) if writes_file else ""]
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=home)
        try:
            _wait(process, port, log)
            yield Address(port, KEY)
        finally:
            process.terminate()
            process.wait()
            file.unlink(missing_ok=True)

    return start


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/v1/invoices", headers={"Authorization": f"Bearer {KEY}"})
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise BenchError(f"localstripe did not start: {log.read_text(errors='replace')}")


PEER = Peer(
    name="localstripe",
    keeps="whole file, no fsync",
    where="bench.peers.localstripe:PEER",
    install=install,
    start=_starting(writes_file=True),
    talk=Talk,
)
IN_MEMORY = Peer(
    name="localstripe, no file",
    keeps="nothing",
    where="bench.peers.localstripe:IN_MEMORY",
    install=install,
    start=_starting(writes_file=False),
    talk=Talk,
)
