"""Ourselves, as the others are measured: one `recaudo serve` with one process, on a fresh database."""

import contextlib
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from bench import published, stage as stages
from bench.jobs import BODY, Job, accept, request
from bench.peers.peer import Address, Made, Peer, nothing_to_install
from bench.stage import Stage


class _Invoice(msgspec.Struct):
    id: str
    amount: int
    provider_id: str


class _Sent(msgspec.Struct):
    provider_id: str
    amount: int


class _Page(msgspec.Struct):
    total: int


class Talk:
    """OnePay's dialect."""

    def __init__(self, address: Address) -> None:
        self._host = address.host
        self._key = address.key
        self._requests: Iterator[bytes] = published.http_requests(address.port, address.key, seed=time.time_ns())
        self._list = request("GET", "/v1/invoices?per_page=10", host=self._host, key=self._key)

    def prepare(self) -> Job:
        """Nothing is needed, as the request that creates an invoice brings its customer: only a first answer."""
        accept((yield self._list))

    def create(self, number: int) -> Generator[bytes, bytes, Made]:
        """One request, with an idempotency key."""
        asked = next(self._requests)
        answer = accept((yield asked), status=b"201")
        sent = msgspec.json.decode(asked[asked.index(BODY) + len(BODY) :], type=_Sent)
        return Made(msgspec.json.decode(answer, type=_Invoice).id, sent.amount, sent.provider_id)

    def read(self, invoice_id: str) -> Generator[bytes, bytes, bytes]:
        """One invoice with its payment."""
        asked = request("GET", f"/v1/invoices/{invoice_id}", host=self._host, key=self._key)
        return accept((yield asked), holding=invoice_id.encode())

    def list(self) -> Generator[bytes, bytes, bytes]:
        """The newest ten."""
        return accept((yield self._list))

    def told(self, body: bytes) -> Made:
        """From the invoice."""
        found = msgspec.json.decode(body, type=_Invoice)
        return Made(found.id, found.amount, found.provider_id)

    def total(self, body: bytes) -> int:
        """From the page."""
        return msgspec.json.decode(body, type=_Page).total


@contextlib.contextmanager
def start(stage: Stage, _: Path) -> Generator[Address]:
    """A server on a fresh database, which the doctor examines when the server is stopped. Raises BenchError."""
    with stage.database() as url:
        with stage.server(url, workers=1, log_level="warning") as server:
            yield Address(server.port, stage.account.key)
        ((stored,),) = stages.query(url, "SELECT count(*) FROM invoice")
        stages.check_database(url, acknowledged=stored)


PEER = Peer(
    name="Recaudo",
    keeps="commit on disk",
    where="bench.peers.recaudo:PEER",
    install=nothing_to_install,
    start=start,
    talk=Talk,
)
