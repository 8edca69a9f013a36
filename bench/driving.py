"""Starting the load generator, and reading what it counted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.driven import Driven
from bench.options import BenchError, Options

ROOT = Path(__file__).parents[1]
GENERATOR_EXTRA_S = 60


def run(jobs: str, arguments: dict[str, Any], *, port: int, connections: int, options: Options) -> Driven:
    """Keep a server busy with the jobs of a function, named as `module:function`. Raises BenchError."""
    how = {"port": port, "connections": connections, "seconds": options.seconds, "warmup": options.warmup}
    printed = run_module("bench.load", {"jobs": jobs, "arguments": arguments, **how}, options=options)
    return Driven(**printed)


def run_module(module: str, wanted: dict[str, Any], *, options: Options, phases: int = 1) -> Any:
    """What a module, run as a process of its own for some phases, prints as JSON. Raises BenchError."""
    result = subprocess.run(
        [sys.executable, "-m", module, json.dumps(wanted)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=phases * (options.seconds + options.warmup) + GENERATOR_EXTRA_S,
        check=False,
    )
    if result.returncode != 0:
        raise BenchError(f"the load generator gave up: {(result.stderr.strip().splitlines() or ['silently'])[-1]}")
    return json.loads(result.stdout)
