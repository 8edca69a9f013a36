"""pgbench from the embedded PostgreSQL's own package: drives one script over the unix socket."""

import os
import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from bench.driven import Driven
from bench.options import BenchError
from bench.stage import Stage

THREADS_MAX = 2
# Sessions of the server have the same.
SESSION = "-c jit=off -c timezone=UTC"


@dataclass(frozen=True)
class Script:
    """A pgbench script and the values that it is given by name."""

    text: str
    variables: dict[str, str]


def run(stage: Stage, url: str, script: Script, *, connections: int, seconds: float, warmup: float) -> Driven:
    """Run the script on so many connections, each sending the next statement when the last one was answered."""
    before_s = _children_cpu_s()
    runs_s = [warmup, seconds] if warmup > 0 else [seconds]
    runs = [_run_once(stage, url, script, connections=connections, seconds=run_s) for run_s in runs_s]
    acknowledged = sum(driven.acknowledged for driven in runs)
    return replace(runs[-1], acknowledged=acknowledged, cpu_s=_children_cpu_s() - before_s)


def _run_once(stage: Stage, url: str, script: Script, *, connections: int, seconds: float) -> Driven:
    with tempfile.TemporaryDirectory(prefix="recaudo-pgbench-") as folder:
        file = Path(folder, "script.sql")
        file.write_text(script.text, encoding="utf-8")
        report = _call(
            stage.bin_dir / "pgbench",
            "--no-vacuum",
            "--protocol=prepared",
            f"--file={file}",
            f"--client={connections}",
            f"--jobs={min(THREADS_MAX, connections)}",
            f"--time={max(1, round(seconds))}",  # It takes whole seconds only.
            "--log",
            f"--log-prefix={folder}/log",
            *(f"--define={name}={value}" for name, value in script.variables.items()),
            url,
        )
        lines = [line for log in Path(folder).glob("log*") for line in log.read_text(encoding="ascii").splitlines()]
    # Each line: client, number, microseconds, and more that is not needed here.
    latencies_us = [float(line.split(" ", 3)[2]) for line in lines]
    counted = Driven.of(latencies_us, seconds=seconds, acknowledged=len(lines), cpu_s=0.0)
    return replace(counted, per_second=_per_second(report))


def _call(*command: str | Path) -> str:
    environment = os.environ | {"PGOPTIONS": SESSION}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    # A statement that fails ends its client, and pgbench goes on with the others.
    if result.returncode != 0 or "aborted" in result.stderr:
        raise BenchError(f"pgbench failed: {result.stderr}")
    return result.stdout


def _per_second(report: str) -> float:
    found = re.search(r"tps = ([\d.]+) \(without initial connection time\)", report)
    if found is None:
        raise BenchError(f"pgbench reported no speed: {report}")
    return float(found.group(1))


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
