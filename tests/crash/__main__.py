"""Load over HTTP while server, worker and PostgreSQL are killed at random: is every acknowledged write there once?

    python -m tests.crash --seconds 300 --seed 1

The seed decides what clerks do and when what is killed. Which request a kill meets depends on the machine, so the same
seed is a similar run and not the same one. Ends with 1 and says which requests are concerned when something is wrong.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from recaudo.edge.observe import configure_logging
from tests.crash.running import Ended, run

WRONG_SHOWN = 20


def tell(ended: Ended, console: Console) -> None:
    """The result for people."""
    table = Table("", "count", title=f"seed {ended.seed}, {ended.seconds:.0f} s", title_justify="left")
    rows = {
        "writes": len(ended.writes),
        **{f"  {kind}": number for kind, number in sorted(ended.kinds.items())},
        "requests sent for them": sum(write.sent for write in ended.writes),
        "acknowledged before all were repeated": ended.acknowledged,
        "tries without an answer": sum(write.unanswered for write in ended.writes),
        "webhooks received": ended.webhooks,
        "killed": sum(ended.killed.values()),
        **{f"  {what}": number for what, number in sorted(ended.killed.items())},
        **{f"{what} ended by itself": number for what, number in sorted(ended.ended_by_themselves.items())},
        "wrong": len(ended.wrong),
    }
    for name, number in rows.items():
        table.add_row(name, str(number))
    console.print(table)
    for line in ended.wrong[:WRONG_SHOWN]:
        console.print(line, style="red", markup=False)
    if ended.wrong:
        console.print(f"[red]not sound: {len(ended.wrong)} findings[/]")
    else:
        console.print("[green]every acknowledged write is there once, and nothing was lost or invented[/]")


def tell_logs(home: Path, console: Console) -> None:
    """What server, worker, keeper and PostgreSQL said last."""
    for log in home.rglob("*.log"):
        console.print(f"{log.name}:\n{log.read_text(errors='replace')[-20_000:]}", markup=False)


@contextlib.contextmanager
def ticking(seconds: float, console: Console) -> Iterator[Any]:
    """A bar that fills with time; what is called with a text shows it."""
    with Progress(console=console) as progress:
        task = progress.add_task("load and kills", total=seconds)

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.5)
                progress.advance(task, 0.5)

        ticker = asyncio.get_running_loop().create_task(tick())
        try:
            yield lambda text: progress.update(task, description=text)
        finally:
            ticker.cancel()


async def main(arguments: Any) -> int:
    console = Console()
    configure_logging("error")
    with tempfile.TemporaryDirectory(prefix="recaudo-crash-", ignore_cleanup_errors=True) as folder:
        with ticking(arguments.seconds, console) as told:
            ended = await run(
                Path(folder), seconds=arguments.seconds, seed=arguments.seed, every_s=arguments.every, told=told
            )
        tell(ended, console)
        if ended.wrong and arguments.logs:
            tell_logs(Path(folder), console)
    return 0 if not ended.wrong else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of load and kills; the checks come after them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two kills, on average")
    parser.add_argument("--logs", action="store_true", help="show the ends of the logs when something is wrong")
    sys.exit(asyncio.run(main(parser.parse_args())))
