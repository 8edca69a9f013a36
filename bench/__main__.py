"""Run the benchmarks, all of them or those that are named: `python -m bench create_invoice --seconds 8`."""

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path

from bench import create_invoice, importing, operations, scale, webhooks
from bench.options import BenchError, Options
from bench.peers import comparing

BENCHES = {
    "create_invoice": create_invoice.run,
    "webhooks": webhooks.run,
    "scale": scale.run,
    "importing": importing.run,
    "operations": operations.run,
    "peers": comparing.run,
}


def main() -> int:
    """Run what the command line asks for; 1 when a benchmark finds that it measured something wrong."""
    names, options = read_arguments(sys.argv[1:])
    # Whoever ends us wants the server, the database and their folder gone too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for name in names:
            BENCHES[name](options if len(names) == 1 else _with_own_json(options, name))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def read_arguments(arguments: list[str]) -> tuple[list[str], Options]:
    """The benchmarks to run and how."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measured phase")
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds before it that do not count")
    parser.add_argument("--rounds", type=int, default=3, help="times that all phases are repeated")
    parser.add_argument("--connections", type=_numbers, default=(1, 16, 64), help="clients at once, as 1,16,64")
    parser.add_argument("--workers", type=_numbers, default=(1, 2), help="create_invoice: server processes, as 1,2")
    rows = "webhooks: delivered rows in the way of a claim; its other crowds are a part of that"
    parser.add_argument("--rows", type=int, default=1_000_000, help=rows)
    sizes = "scale: invoices of the accounts that are compared"
    parser.add_argument("--size", dest="sizes", type=_numbers, default=(10_000, 1_000_000), help=sizes)
    patience = "seconds in all to wait for a quiet machine and to repeat disturbed phases"
    parser.add_argument("--patience", type=float, default=0.0, help=patience)
    parser.add_argument("--home", type=Path, help="folder for the database, on the disk to measure (default: new)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there (several: FILE-name)")
    values = vars(parser.parse_args(arguments))
    names = values.pop("names") or list(BENCHES)
    if unknown := [name for name in names if name not in BENCHES]:
        parser.error(f"no benchmark is called {', '.join(unknown)}")
    return names, Options(**values)


def _with_own_json(options: Options, name: str) -> Options:
    """Several benchmarks each write a file of their own."""
    file = options.json
    return options if file is None else replace(options, json=file.with_stem(f"{file.stem}-{name}"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
