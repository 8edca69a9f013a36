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
    sizes: tuple[int, ...]
    patience: float
    home: Path | None
    json: Path | None

    def scaled(self, each_round: int) -> int:
        """How often something is repeated that is so often in an ordinary round; a test's rounds are shorter."""
        return max(2, round(each_round * self.rounds * min(1.0, self.seconds)))


class BenchError(Exception):
    """The figures would be worth nothing: says why."""
