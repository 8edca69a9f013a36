"""Receivers of webhooks, and the sender that reaches them without a network.

A receiver refuses, does not answer, answers with an error after it took what it was told, or is gone for a while. It
keeps the bytes that it accepted, by the id of the event.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Self

from recaudo.domain.delivering import Try
from recaudo.simulation.crashes import Fate
from recaudo.simulation.story import Story
from recaudo.worker.loops import Telling
from recaudo.worker.sender import Sender, failed

WAYS = {"accept": 70, "refuse": 10, "no answer": 6, "accept, then fail": 8, "busy": 3, "go away": 3}


@dataclass
class Receiver:
    """Who listens at one address. `heard` are all bytes by event, `accepted` the events it said yes to."""

    url: str
    account: str
    dialect: str
    heard: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict[str, set[bytes]](set))
    accepted: set[str] = field(default_factory=set[str])
    tries: int = 0
    away_until: datetime | None = None


def event_id(headers: Sequence[tuple[str, str]], body: bytes) -> str:
    """The id of the event as the receiver finds it: in a header, or in the body where the dialect has it there."""
    told = {name.lower(): value for name, value in headers}
    return told.get("webhook-id") or str(json.loads(body)["id"])


class SimulatedSender(Sender):
    """Hands each try to its receiver."""

    def __init__(self, receivers: dict[str, Receiver], chance: Random, fate: Fate, story: Story) -> None:
        super().__init__(allow_private_networks=True, connections_max=1)
        self.receivers = receivers
        self._chance = chance
        self._fate = fate
        self._story = story
        self.is_calm = False

    async def __aenter__(self) -> Self:
        """Nothing needs to be opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nor closed."""

    async def send(self, at: datetime, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Try:
        """One try, as chance has it."""
        self._fate.tempt("before a webhook")
        receiver = self.receivers[url]
        receiver.tries += 1
        way = self._way(receiver, at)
        if way in {"accept", "accept, then fail"}:
            named = event_id(headers, body)
            receiver.heard[named].add(body)
            if way == "accept":
                receiver.accepted.add(named)
        self._fate.tempt("after a webhook")
        if way == "accept":
            return Try(at=at, status=204, error=None, latency_ms=1, answer="")
        if way in {"no answer", "gone"}:
            return failed(at, "simulated: no answer")
        retry_after_s = 900 if way == "busy" else None
        return Try(at=at, status=503, error="HTTP 503", latency_ms=1, answer="", retry_after_s=retry_after_s)

    def _way(self, receiver: Receiver, at: datetime) -> str:
        if self.is_calm:
            return "accept"
        if receiver.away_until is not None and at < receiver.away_until:
            self._story.fault("receiver: gone")
            return "gone"
        way = self._chance.choices(list(WAYS), list(WAYS.values()))[0]
        if way == "go away":
            receiver.away_until = at + timedelta(hours=self._chance.choice((1, 5, 80)))
        if way != "accept":
            self._story.fault(f"receiver: {way}")
        return "gone" if way == "go away" else way


class SimulatedTelling(Telling, frozen=True, kw_only=True):
    """How the worker's loops tell endpoints here."""

    through: SimulatedSender

    def sender(self) -> Sender:
        """The one that reaches the simulation's receivers."""
        return self.through
