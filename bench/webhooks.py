"""What telling endpoints costs: deliveries per second, claims among many rows, and the fan-out of a create.

Every figure stands beside its yardstick from the same run, which it took turns with: what counts is the ratio.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench import claiming, fan_out, report, stage as stages, telling
from bench.options import Options


def run(options: Options) -> None:
    """Measure all three and print them."""
    with stages.opened(options.home) as stage:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            phases = telling.measure(stage, options, progress)
            claims = claiming.measure(stage, options, progress)
            compared = fan_out.measure(stage, options, progress)
        machine = report.describe_machine(stage)
    results = {
        "telling": telling.summarise(phases),
        "claiming": claiming.summarise(claims),
        "fan_out": fan_out.summarise(compared),
    }
    _show(results, machine, options)
    if options.json is not None:
        how = {name: value for name, value in asdict(options).items() if name not in {"home", "json"}}
        phases_told = [asdict(phase) for phase in phases]
        whole = {"bench": "webhooks", "options": how, "machine": machine, **results, "phases": phases_told}
        options.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def _show(results: dict[str, Any], machine: dict[str, Any], options: Options) -> None:
    console = Console(width=None if sys.stdout.isatty() else report.TABLE_WIDTH, highlight=False)
    console.print(telling.table(results["telling"]))
    console.print(
        f"Medians of {options.rounds} rounds of {options.seconds:g} s, after {options.warmup:g} s of warm-up each. "
        "CPU time is in microseconds per delivery; * means that others used the processors too."
    )
    console.print(claiming.table(results["claiming"]))
    console.print(
        "Medians and what they are of the first row's. An idle claim finds nothing; settling: so many claims move what "
        "is held back behind what holds it, once."
    )
    console.print(fan_out.table(results["fan_out"]))
    console.print(report.machine_line(machine))
