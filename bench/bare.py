"""The yardstick of the dispatcher: one process in which aiohttp posts the same requests, and does nothing else.

`python -m bench.bare '{"file": ..., "each": 16, "loop": "asyncio"}'` posts what the file holds again and again, `each`
requests at once to every address, until it is ended. Bytes, headers and the session's settings are the product's.
"""

import asyncio
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from recaudo.worker.deliveries import CLAIMED_MAX
from recaudo.worker.sender import Sender


@dataclass(frozen=True)
class Post:
    """One request, ready to be sent."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes


def write(posts: list[Post], file: Path) -> None:
    lines = [{"url": p.url, "headers": p.headers, "body": p.body.decode()} for p in posts]
    file.write_text(json.dumps(lines), encoding="utf-8")


def _read(file: Path) -> dict[str, list[Post]]:
    """By address."""
    posts: defaultdict[str, list[Post]] = defaultdict(list)
    for line in json.loads(file.read_text(encoding="utf-8")):
        headers = [(name, value) for name, value in line["headers"]]
        posts[line["url"]].append(Post(line["url"], headers, line["body"].encode()))
    return posts


async def _run(file: str, each: int) -> None:
    async with Sender(allow_private_networks=True, connections_max=CLAIMED_MAX) as sender, asyncio.TaskGroup() as tasks:
        session: Any = sender._session
        for posts in _read(Path(file)).values():
            for number in range(each):
                tasks.create_task(_post_for_ever(session, posts, number))


async def _post_for_ever(session: aiohttp.ClientSession, posts: list[Post], first: int) -> None:
    for post in islice(cycle(posts), first, None):
        async with session.post(post.url, data=post.body, headers=post.headers, allow_redirects=False) as response:
            await response.read()
            if response.status != 204:
                raise RuntimeError(f"the receiver answered {response.status}")


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    run = uvloop.run if wanted.pop("loop") == "uvloop" else asyncio.run
    run(_run(**wanted))
