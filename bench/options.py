"""What the command line may choose, and how a benchmark says that it measured something wrong."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    seconds: float
    warmup: float
    rounds: int
    connections: tuple[int, ...]
    workers: tuple[int, ...]
    rows: int
    patience: float
    home: Path | None
    json: Path | None


class BenchError(Exception):
    """The figures would be worth nothing: says why."""
