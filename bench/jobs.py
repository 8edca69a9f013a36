"""What the load generator has a connection do: a job asks, is told the answer, and asks again until it is done.

A job is a generator: it yields whole HTTP requests and is sent whole answers, as bytes. What it does
between two of them is part of the client's cost.
"""

import json
from collections.abc import Generator
from typing import Any

Job = Generator[bytes, bytes, Any]

BODY = b"\r\n\r\n"


class Refused(Exception):
    """An answer that no figure may rest on: says what it was."""


def request(method: str, path: str, *, host: str, key: str, body: Any = None, address: str | None = None) -> bytes:
    """A whole HTTP request with a bearer's key; a body becomes JSON. `address`: of whom, as a proxy tells it."""
    content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    described = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if body is not None else ""
    told = f"X-Forwarded-For: {address}\r\n" if address is not None else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: recaudo-bench\r\nAccept: */*\r\n"
        f"Authorization: Bearer {key}\r\n{described}{told}\r\n"
    )
    return head.encode() + content


def accept(answer: bytes, *, status: bytes = b"2", holding: bytes = b"") -> bytes:
    """The body of an answer whose status begins so, and which holds what it must. Raises Refused."""
    body = answer[answer.index(BODY) + len(BODY) :]
    if not answer.startswith(status, 9):
        raise Refused(answer.decode(errors="replace"))
    if holding not in body:
        raise Refused(f"{holding!r} is not in the answer: {body.decode(errors='replace')}")
    return body


def asking(request: bytes, *, holding: bytes = b"") -> Job:
    """One request and its answer's body."""
    return accept((yield request), holding=holding)


def is_whole(data: bytes) -> bool:
    """Whether an answer has arrived to its end, which is where its content-length says."""
    head_end = data.find(BODY)
    if head_end < 0:
        return False
    head = data[:head_end].lower()
    at = head.find(b"\r\ncontent-length: ")
    if at < 0:
        return False
    end = head.find(b"\r", at + 2)
    return len(data) >= head_end + len(BODY) + int(head[at + 18 : end if end >= 0 else None])
