"""Running the command line as an operator does: a process of its own, with nothing of ours in its environment."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.databases import SECRET

TIMEOUT_S = 60


@dataclass
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


def environment(home: Path, url: str | None, **more: str) -> dict[str, str]:
    """The environment of a command: none of our settings but these. Lines are wide, so that texts can be compared."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RECAUDO_")}
    ours = {"RECAUDO_HOME": str(home), "COLUMNS": "1000", **more}
    if url is None:
        return {**bare, **ours}
    # Another key than that of the database's other servers would be refused.
    return {**bare, "RECAUDO_DATABASE_URL": url, "RECAUDO_SECRET_KEY": SECRET, **ours}


async def recaudo(*arguments: str, environment: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> Ended:
    """Run `recaudo ...` to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "recaudo",
        *arguments,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
