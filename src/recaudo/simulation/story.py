"""What happened in a run, in lines that are the same whenever the seed is, and how often each kind of trouble came."""

import hashlib
from collections import Counter
from datetime import datetime

import msgspec

from recaudo.simulation.chance import BEGINNING

LINES_SHOWN = 30


class Line(msgspec.Struct, frozen=True):
    """One thing that happened, and to which invoice, if to one."""

    step: int
    at: datetime
    about: str
    text: str

    def __str__(self) -> str:
        """The line as people read it."""
        return f"{self.step:>4}  {self.at:%m-%d %H:%M:%S}  {self.about:<8}  {self.text}"


class Story:
    """The log of one run. Nothing in it may depend on anything but the seed."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.step = 0
        self.now = BEGINNING

    def tell(self, about: str, text: str) -> None:
        """Add a line."""
        self.lines.append(Line(self.step, self.now, about, text))

    def fault(self, kind: str, about: str = "", text: str = "") -> None:
        """Count trouble that was made on purpose, and add a line if there is something to say."""
        self.faults[kind] += 1
        if text:
            self.tell(about, f"! {text}")

    def digest(self) -> str:
        """A text that is the same for two runs exactly when their stories are."""
        told = "\n".join(map(str, self.lines))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def about(self, label: str) -> list[Line]:
        """The last lines about one invoice, with the crashes and jumps between them; of all when it is of none."""
        chosen = [line for line in self.lines if not label or line.about in {label, "", "process"}]
        first = next((i for i, line in enumerate(chosen) if line.about == label), 0)
        return chosen[first:][-LINES_SHOWN:]
