"""The published create request, with what differs from invoice to invoice made unique.

Every value keeps its length, so requests differ in nothing but their content. The raw SQL draws the same values
from the same ranges.
"""

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

from bench.jobs import Job, accept

FILE = Path(__file__).parents[1] / "tests" / "fixtures" / "onepay" / "create-invoice.request.json"

# Both ends belong to each range. As many references as an internet provider of a small town has subscribers.
REFERENCES = (1_060_500_000, 1_060_504_999)
PROVIDER_IDS = (100_000_000_000_000, 999_999_999_999_999)
PHONES = (573_100_000_000, 573_109_999_999)

# Requests made in advance, per second of load. More are made on the way should a server ever need them.
RATE_FORESEEN = 8_000


def body(*, provider_id: object, phone: object, reference: object) -> str:
    """The published body with other values."""
    fields: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    fields |= {"provider_id": str(provider_id), "phone": f"+{phone}", "reference": str(reference)}
    return json.dumps(fields, ensure_ascii=False)


def http_requests(port: int, key: str, *, seed: int) -> Iterator[bytes]:
    """Whole HTTP requests, each for another invoice, without end."""
    marks = {"provider_id": "1" * 15, "phone": "2" * 12, "reference": "3" * 10}
    text = body(**marks)
    head = (
        "POST /v1/invoices HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "User-Agent: recaudo-bench\r\n"
        "Accept: */*\r\n"
        f"Authorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(text.encode())}\r\n"
        "x-idempotency: {once}\r\n\r\n"
    )
    whole = (head + text.replace("{", "{{").replace("}", "}}")).encode().decode("latin-1")
    for name, mark in marks.items():
        whole = whole.replace(mark, f"{{{name}}}")
    draw = random.Random(seed)
    while True:
        yield whole.format(
            once=uuid.UUID(int=draw.getrandbits(128), version=4),
            provider_id=draw.randint(*PROVIDER_IDS),
            phone=draw.randint(*PHONES),
            reference=draw.randint(*REFERENCES),
        ).encode("latin-1")


def creations(
    *, port: int, key: str, seed: int, connections: int, seconds: float, warmup: float
) -> Sequence[Iterator[Job]]:
    """Jobs for the load generator: all connections draw from the same requests, most of them made in advance."""
    spare = http_requests(port, key, seed=seed)
    ready = list(islice(spare, int(RATE_FORESEEN * (seconds + warmup))))
    return list(repeat((_creation(request) for request in chain(ready, spare)), connections))


def _creation(request: bytes) -> Job:
    accept((yield request), status=b"201")
