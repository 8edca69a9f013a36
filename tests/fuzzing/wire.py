"""Bytes to a server and what it answers, without an HTTP client that would refuse to send them."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, settings

# `make fuzz` sets it: so many times the requests, and others each time.
TIMES = int(os.environ.get("RECAUDO_FUZZ_TIMES", "1"))
PATIENCE_S = 20


def examples(count: int) -> settings:
    """So many examples, the same in every run; in `make fuzz` many more and others."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )


@dataclass(frozen=True)
class Told:
    """An answer. Without a status the server closed the connection, which is one to bytes that are no HTTP."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def check(self) -> None:
        """No fault of the server, and a body that its type describes."""
        assert self.status is None or 200 <= self.status < 500, (self.status, self.body)
        if self.headers.get("content-type", "").startswith("application/json") and self.body:
            assert isinstance(self.json, dict | list)
        assert b"Traceback" not in self.body


def ask(base_url: str, raw: bytes, *, half_close: bool = False) -> Told:
    """Send these bytes on a connection of their own, and read until the server closes it or the answer is whole.

    With `half_close` the server is told that no more will come, whatever the lengths say.
    """
    parts = urlsplit(base_url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as connection:
        try:
            connection.sendall(raw)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return _read(connection)
        except (BrokenPipeError, ConnectionResetError):
            return Told(None, {}, b"")


def request(method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """A request as bytes. The length is the body's unless the headers say another."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close"]
    lines += [name + b": " + value for name, value in headers]
    if not any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in headers):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _read(connection: socket.socket) -> Told:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (chunk := connection.recv(65536)):
            return Told(None, {}, received)
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(body) < length and (chunk := connection.recv(65536)):
        body += chunk
    return Told(int(first.split()[1]), headers, body)
