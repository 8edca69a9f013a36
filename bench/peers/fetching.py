"""Fetching a peer from the package index when a benchmark wants it: pinned, by hash, into a folder that goes again.

The index is the one that pip is set to use on this machine. Nothing is installed into the environment of Recaudo.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.options import BenchError

TIMEOUT_S = 180


def fetch(name: str, package: str, *, needs: Sequence[str], folder: Path) -> None:
    """Put a package into `folder/packages`, built with what it needs for that; done already, this does nothing.

    Packages are lines of a requirements file with a version and a hash. Raises BenchError when the index cannot be
    reached or has something else.
    """
    packages, tools = folder / "packages", folder / "tools"
    if packages.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    console.print(f"[dim]Fetching {name} from the package index ({package.split(' ', maxsplit=1)[0]})[/dim]")
    _install(name, needs, target=tools, tools=None)
    _install(name, [package], target=packages, tools=tools)
    console.print(f"[dim]{name} is in {packages}[/dim]")


def _install(name: str, lines: Sequence[str], *, target: Path, tools: Path | None) -> None:
    requirements = target.with_suffix(".txt")
    requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--require-hashes", "--no-build-isolation", "--target", str(target)]
    environment = os.environ | ({"PYTHONPATH": str(tools)} if tools else {})
    try:
        done = subprocess.run(
            [*command, "--requirement", str(requirements)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"the package index did not give {name} within {TIMEOUT_S} seconds") from None
    if done.returncode != 0:
        reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise BenchError(
            f"{name} could not be fetched from the package index, which this benchmark needs to reach. "
            f"pip said: {' '.join(reason[-2:])}"
        )
