"""Telling the developer how a receiver took the torture."""

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recaudo.devtools.posing import Poser
from recaudo.devtools.torture import Expected, Report, Result, Verdict

_COLOURS = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.SKIPPED: "dim"}
_EXPECTED = {Expected.TAKEN: "2xx", Expected.REFUSED: "not 2xx", Expected.EITHER: "any"}


def as_json(report: Report, poser: Poser) -> str:
    """One object for machines."""
    facts: Mapping[str, Any] = {
        "url": poser.url,
        "dialect": poser.dialect.name,
        "passed": not report.failed,
        "repeated_event_ids": report.repeated,
        "steps": [_step(it) for it in report.results],
    }
    return msgspec.json.encode(facts).decode()


def _step(it: Result) -> Mapping[str, Any]:
    return {
        "name": it.step.name,
        "title": it.step.title,
        "expected": _EXPECTED[it.step.expected],
        "verdict": it.verdict.value,
        "remark": it.remark,
        "answers": [{"status": t.status, "error": t.error, "latency_ms": t.latency_ms} for t in it.tries],
    }


def show(report: Report, out: Console) -> None:
    """A table for people, and what to look at afterwards."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "Step", "Wanted", "Answer", "Slowest"):
        table.add_column(name, no_wrap=name != "Step")
    table.add_column("What to do", ratio=1)
    for it in report.results:
        colour = _COLOURS[it.verdict]
        table.add_row(
            Text(it.verdict.value, style=colour),
            Text(f"{it.step.name}: {it.step.title}"),
            _EXPECTED[it.step.expected],
            _answers(it),
            f"{max(t.latency_ms for t in it.tries)} ms" if it.tries else "",
            Text(it.remark),
        )
    out.print(table)
    counts = {verdict: sum(it.verdict is verdict for it in report.results) for verdict in Verdict}
    out.print(Text("\n" + ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)))
    if report.repeated and not report.failed:
        out.print(Text("These came several times. Look that each had one effect in your system:"))
        for event_id in report.repeated:
            out.print(Text(f"  {event_id}"))


def _answers(it: Result) -> Text:
    """`204`, or `204 x5`, or `204 500`."""
    seen: list[list[Any]] = []
    for one in it.tries:
        word = "none" if one.status is None else str(one.status)
        if seen and seen[-1][0] == word:
            seen[-1][1] += 1
        else:
            seen.append([word, 1])
    return Text(" ".join(word if count == 1 else f"{word} x{count}" for word, count in seen))
