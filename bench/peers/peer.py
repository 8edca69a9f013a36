"""What a peer is: how it is started, and the requests that make, read and list its invoices.

A new one is one file beside this, with a `Peer` in it, and a line in `comparing.PEERS`.
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.jobs import Job
from bench.stage import Stage


@dataclass(frozen=True)
class Address:
    """Where a running peer listens, on this machine, and the key that it takes."""

    port: int
    key: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Made:
    """An invoice that a peer acknowledged: its id, and what must come back when it is read."""

    id: str
    amount: int
    mark: str


class Talk(Protocol):
    """The requests of one client of a peer, as jobs. One that returns something does so when its job ends."""

    def prepare(self) -> Job:
        """Whatever a client needs before its first invoice, such as a customer. Not measured."""
        ...

    def create(self, number: int) -> Generator[bytes, bytes, Made]:
        """One invoice, with as many requests as that takes; the number is another one for each."""
        ...

    def read(self, invoice_id: str) -> Generator[bytes, bytes, bytes]:
        """One invoice by its id: the body."""
        ...

    def list(self) -> Generator[bytes, bytes, bytes]:
        """The first page of ten: the body."""
        ...

    def told(self, body: bytes) -> Made:
        """What the body of a read says."""
        ...

    def total(self, body: bytes) -> int:
        """How many invoices there are, in the words of the body of a list."""
        ...


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A program to compare with. `where` names this object for another process, as `module:NAME`."""

    name: str
    keeps: str
    where: str
    install: Callable[[Path], Any]
    start: Callable[[Stage, Path], AbstractContextManager[Address]]
    talk: Callable[[Address], Talk]


def nothing_to_install(_: Path) -> None:
    """For a peer that is here already."""
