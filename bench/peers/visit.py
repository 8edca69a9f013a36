"""The client of one phase, a process of its own: creates, reads and lists for a time each, then looks if all is true.

`python -m bench.peers.visit '{"peer": "bench.peers.recaudo:PEER", ...}'` prints what it counted as one JSON object.
"""

import importlib
import itertools
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import uvloop

from bench.jobs import Job, Refused
from bench.load import drive, perform
from bench.peers.peer import Address, Made, Peer, Talk

# Read back and compared after the clock has stopped.
SAMPLED = 200


class Lied(Refused):
    """What was acknowledged is not what is there."""


async def visit(*, peer: str, port: int, key: str, connections: int, seconds: float, warmup: float) -> dict[str, Any]:
    """Driven by work. Raises RuntimeError when an answer is not good, or what was created is not read back."""
    found = find(peer)
    talks = [found.talk(Address(port, key)) for _ in range(connections)]
    for talk in talks:
        await perform(port, talk.prepare())
    before: list[int] = []
    await perform(port, _count(talks[0], before))
    made: list[Made] = []
    numbers = itertools.count(1)
    counted = {
        name: await drive(port, [each(talk, made, numbers) for talk in talks], seconds=seconds, warmup=warmup)
        for name, each in (("create", _creations), ("read", _reads), ("list", _lists))
    }
    await perform(port, _check(talks[0], made, *before))
    return {name: asdict(driven) for name, driven in counted.items()}


def find(where: str) -> Peer:
    """A peer by its `module:NAME`."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def _creations(talk: Talk, made: list[Made], numbers: Iterator[int]) -> Iterator[Job]:
    def creating() -> Job:
        made.append((yield from talk.create(next(numbers))))

    while True:
        yield creating()


def _reads(talk: Talk, made: list[Made], _: Iterator[int]) -> Iterator[Job]:
    while True:
        yield talk.read(random.choice(made).id)


def _lists(talk: Talk, *_: object) -> Iterator[Job]:
    while True:
        yield talk.list()


def _count(talk: Talk, found: list[int]) -> Job:
    found.append(talk.total((yield from talk.list())))


def _check(talk: Talk, made: list[Made], before: int) -> Job:
    """Whether there are as many more as were acknowledged, and some of them say what was sent."""
    more = talk.total((yield from talk.list())) - before
    if more != len(made):
        raise Lied(f"{len(made)} invoices were acknowledged and {more} are there")
    for sent in random.sample(made, min(SAMPLED, len(made))):
        told = talk.told((yield from talk.read(sent.id)))
        if told != sent:
            raise Lied(f"{sent} was acknowledged and {told} was read")


if __name__ == "__main__":
    print(json.dumps(uvloop.run(visit(**json.loads(sys.argv[1])))))
