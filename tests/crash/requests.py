"""Writes over HTTP, each under an idempotency key, noted before they are sent together with what came back.

What a write leaves in the database is found by its `mark`: something that only this request put there.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from tests.world import Answer, Client

ANSWER_TIMEOUT = aiohttp.ClientTimeout(total=90)
TRIES_MAX = 4


@dataclass
class Write:
    """One request that changes something, and everything that its sender heard."""

    kind: str
    key: str
    mark: str
    client: Client = field(repr=False)
    method: str
    path: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int = 0
    unanswered: int = 0  # the connection broke, or 503: nobody knows what became of it
    answer: Answer | None = None
    wrong: list[str] = field(default_factory=list[str])

    @property
    def is_acknowledged(self) -> bool:
        return self.answer is not None and self.answer.status < 300

    @property
    def is_refused(self) -> bool:
        return self.answer is not None and self.answer.status >= 400

    def __str__(self) -> str:
        return f"{self.method} {self.path} (key {self.key})"

    async def send(self) -> Answer | None:
        """Send it once; None when nobody knows what became of it."""
        self.sent += 1
        try:
            answer = await self._call()
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            answer = None
        if answer is not None and answer.status >= 500 and answer.status != 503:
            self.wrong.append(f"was answered {answer.status}: {answer.body[:200]!r}")
        if answer is not None and answer.status in {429, 503} and "Retry-After" not in answer.headers:
            self.wrong.append(f"was answered {answer.status} without Retry-After")
        if answer is None or is_passing(answer):
            self.unanswered += 1
            return None
        return answer

    async def _call(self) -> Answer:
        sent = {"headers": {**self.headers}, "once": self.key}
        if isinstance(self.body, bytes):
            return await self.client.call(self.method, self.path, data=self.body, **sent)
        return await self.client.call(self.method, self.path, self.body, **sent)


def is_passing(answer: Answer) -> bool:
    """Whether an answer only says that the same may be asked again."""
    if answer.status in {429, 503} or answer.status >= 500:
        return True
    code = {} if not isinstance(answer.json, dict) else answer.json
    return answer.status == 409 and "idempotency_in_progress" in {code.get("code"), code.get("code_name")}


class Journal:
    """Every write that was sent, and the same again where nobody answered: sometimes at once, sometimes never."""

    def __init__(self, chance: Random) -> None:
        self.writes: list[Write] = []
        self._chance = chance

    @property
    def acknowledged(self) -> list[Write]:
        return [w for w in self.writes if w.is_acknowledged]

    async def send(self, write: Write) -> Answer | None:
        """The answer to a write, if any came of so many tries as its sender has patience for."""
        self.writes.append(write)
        for _ in range(self._chance.randint(1, TRIES_MAX)):
            write.answer = await write.send()
            if write.answer is not None:
                return write.answer
            await asyncio.sleep(self._chance.uniform(0.02, 0.4))
        return None
