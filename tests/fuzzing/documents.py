"""Schemathesis over our OpenAPI documents, against a running server: every operation, alone and in chains, all checks.

    python -m tests.fuzzing.documents --examples 300 --seed 7

The examples in a document name objects that do not exist. Here they are made first, and the ids of the examples are
replaced by theirs, so that most requests reach what an operation does and not only its 404.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from recaudo.store.embedded import open_embedded
from recaudo.store.migrate import migrate
from tests.concurrency.test_isolation import Owner
from tests.receiver import receiving
from tests.world import Client, World, running

HERE = Path(__file__).parent

# Refusals for the meaning, which no schema can express; hooks.py looks that they are only that.
CONFIG = """
request-timeout = 30
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "422", "429", "503"]
[phases.coverage]
# The router is the same for every method: a few tell.
unexpected-methods = ["PATCH", "TRACE"]
"""
# hooks.py has these, with what schemathesis cannot know of what they are about.
OURS = "use_after_free,ensure_resource_availability"


@dataclass(frozen=True)
class Target:
    """A document and the mount that serves its operations, by the paths that are there."""

    name: str
    document: str
    mount: str
    paths: str = ".*"
    other_paths: str | None = None


REGISTERS = r"^/(retentions|collection_rules)"
TARGETS = (
    Target("onepay", "/onepay/openapi.json", "/onepay/v1"),
    Target("treli", "/treli/openapi.json", "/treli/v1", other_paths=REGISTERS),
    Target("registers", "/treli/openapi.json", "/recaudo/v1", paths=REGISTERS),
    # What is sent to be imported is no JSON: test_bytes.py sends it whatever there is.
    Target("recaudo", "/recaudo/openapi.json", "/recaudo/v1", other_paths="^/imports$"),
)


@dataclass(frozen=True)
class Findings:
    """What one run of schemathesis found: nothing, when it ended well."""

    name: str
    exit_code: int
    output: str
    cases: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        return self.exit_code == 0


async def fuzz(world: World, target: Target, *, examples: int, seed: int | None, timeout_s: float) -> Findings:
    """Run schemathesis over a document. Without a seed the requests are the same in every run."""
    client = await world.merchant()
    async with receiving() as receiver:
        owner = Owner(client)
        await owner.set_up(world, receiver)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "document.json").write_text(json.dumps(await document_of(client, target, owner)))
            (place / "schemathesis.toml").write_text(CONFIG)
            return await run(target, place, client, examples=examples, seed=seed, timeout_s=timeout_s)


async def document_of(client: Client, target: Target, owner: Owner) -> Any:
    """The document as it is served, with the ids of the owner's objects in its examples."""
    served = await client.get(target.document)
    ids = owner.treli_ids if target.name == "treli" else owner.ids
    text = served.body.decode()
    for operations in served.json["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                name, example = parameter["name"], parameter.get("example")
                if parameter["in"] == "path" and name in ids:
                    text = text.replace(json.dumps(example), json.dumps(ids[name][0]))
    return json.loads(text)


async def run(
    target: Target, place: Path, client: Client, *, examples: int, seed: int | None, timeout_s: float
) -> Findings:
    both = base64.b64encode(f"{client.key}:".encode()).decode()
    authorization = f"Basic {both}" if target.name == "treli" else f"Bearer {client.key}"
    chance = ["--generation-deterministic"] if seed is None else ["--seed", str(seed)]
    paths = ["--exclude-path-regex", target.other_paths] if target.other_paths else []
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(place / "schemathesis.toml")),
        *("run", str(place / "document.json"), "--url", client.base_url + target.mount),
        *("-H", f"Authorization: {authorization}", "--checks", "all", "--exclude-checks", OURS),
        *("--max-examples", str(examples)),
        *("--include-path-regex", target.paths, "--warnings", "off", "--no-color", *paths, *chance),
    ]
    started_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=place,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzzing.hooks", "PYTHONPATH": python_path()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    text = output.decode(errors="replace")
    cases = re.search(r"(\d+) generated", text)
    return Findings(
        target.name, process.returncode or 0, text, int(cases[1]) if cases else 0, time.monotonic() - started_s
    )


def python_path() -> str:
    """Where the hooks are found."""
    return os.pathsep.join(filter(None, (str(HERE.parents[1]), os.environ.get("PYTHONPATH"))))


async def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz every operation of the three dialects.")
    parser.add_argument("--examples", type=int, default=200, help="requests of each operation and phase")
    parser.add_argument("--seed", type=int, default=None, help="to repeat a run; a new one unless given")
    parser.add_argument("--only", choices=[target.name for target in TARGETS], help="one document")
    parser.add_argument("--hours", type=float, default=2.0, help="give up on a document after so long")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else secrets.randbelow(10**6)
    console, wrong = Console(), 0
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        url = stack.enter_context(open_embedded(home)).url
        await migrate(url)
        async with running(url, home) as world:
            for target in TARGETS:
                if asked.only in {None, target.name}:
                    with console.status(f"{target.name}, seed {seed}"):
                        found = await fuzz(
                            world, target, examples=asked.examples, seed=seed, timeout_s=asked.hours * 3600
                        )
                    console.print(found.output if not found.is_clean else "", markup=False, highlight=False)
                    said = "nothing wrong" if found.is_clean else "see above"
                    console.print(f"{target.name}: {said}; {found.cases} requests, seed {seed}, {found.seconds:.0f} s")
                    wrong += not found.is_clean
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
