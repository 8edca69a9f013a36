"""A tiny peer for tests: keeps invoices in a dictionary, in a process of its own; it may lie about them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.jobs import Job, accept, request
from bench.peers.peer import Address, Made, Peer, nothing_to_install
from bench.stage import Stage

ROOT = Path(__file__).parents[2]
LYING = "lying"


class Talk:
    """Amount and mark go in, and come back."""

    def __init__(self, address: Address) -> None:
        self._to = {"host": address.host, "key": address.key}

    def prepare(self) -> Job:
        accept((yield request("GET", "/invoices", **self._to)))

    def create(self, number: int) -> Generator[bytes, bytes, Made]:
        body = {"amount": 100 + number, "mark": f"m{number}"}
        answer = accept((yield request("POST", "/invoices", body=body, **self._to)))
        return Made(json.loads(answer)["id"], 100 + number, f"m{number}")

    def read(self, invoice_id: str) -> Generator[bytes, bytes, bytes]:
        return accept((yield request("GET", f"/invoices/{invoice_id}", **self._to)), holding=invoice_id.encode())

    def list(self) -> Generator[bytes, bytes, bytes]:
        return accept((yield request("GET", "/invoices", **self._to)))

    def told(self, body: bytes) -> Made:
        return Made(**json.loads(body))

    def total(self, body: bytes) -> int:
        return json.loads(body)["total"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    kept: dict[str, Any]
    lies: bool

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        made = {"id": f"i{body['mark']}", **body}
        self.kept[made["id"]] = made | ({"amount": 1} if self.lies else {})
        self._answer(made)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/invoices").strip("/")
        self._answer(self.kept[name] if name else {"total": len(self.kept)})

    def _answer(self, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No access log."""


def _starting(*arguments: str) -> Callable[[Stage, Path], contextlib.AbstractContextManager[Address]]:
    @contextlib.contextmanager
    def start(_: Stage, __: Path) -> Generator[Address]:
        command = [sys.executable, "-m", "tests.bench.stand_in", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            try:
                yield Address(int(process.stdout.readline()), "key")
            finally:
                process.terminate()

    return start


HONEST = Peer(
    name="stand-in",
    keeps="nothing",
    where="tests.bench.stand_in:HONEST",
    install=nothing_to_install,
    start=_starting(),
    talk=Talk,
)
LIAR = Peer(
    name="liar",
    keeps="nothing",
    where="tests.bench.stand_in:LIAR",
    install=nothing_to_install,
    start=_starting(LYING),
    talk=Talk,
)

if __name__ == "__main__":
    _Handler.kept, _Handler.lies = {}, LYING in sys.argv
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        print(server.server_port, flush=True)  # noqa: T201 - for whoever started it
        server.serve_forever()
