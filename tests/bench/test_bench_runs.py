"""Each benchmark runs to its end and counts right. How fast anything is, is no question for a test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.bench

ROOT = Path(__file__).parents[2]
QUICK = ("--seconds=0.5", "--warmup=0", "--rounds=1", "--connections=4", "--workers=1")


def figures_of(name: str, *options: str, folder: Path) -> dict[str, Any]:
    """What a benchmark writes for programs."""
    file = folder / "figures.json"
    command = [sys.executable, "-m", "bench", name, *options, f"--json={file}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(file.read_text(encoding="utf-8"))


def test_create_invoice_measures_every_subject_and_loses_no_invoice(tmp_path: Path) -> None:
    figures = figures_of("create_invoice", *QUICK, folder=tmp_path)
    subjects = [row["subject"] for row in figures["medians"]]
    assert subjects == ["raw SQL", "HTTP, 1 process", "HTTP, 1 process, info log"]
    for phase in figures["phases"]:
        assert phase["stored"] == phase["acknowledged"] > 0


def test_webhooks_measures_every_subject_and_loses_no_delivery(tmp_path: Path) -> None:
    figures = figures_of("webhooks", "--seconds=0.2", "--warmup=0", "--rounds=1", "--rows=2000", folder=tmp_path)
    told = [(row["case"], row["subject"]) for row in figures["telling"]]
    senders = ("bare loop", "worker", "bare loop, uvloop")
    assert told == [(case, sender) for case in ("1 endpoint", "20 endpoints") for sender in senders]
    assert all(phase["delivered"] > 0 for phase in figures["phases"])
    assert figures["claiming"][0]["crowd"] == "nothing else"
    assert [(row["endpoints"], row["batch"]) for row in figures["fan_out"]] == [(0, 1), (0, 64), (1, 1), (1, 64)]


def test_scale_measures_every_operation_at_every_size_and_leaves_healthy_books(tmp_path: Path) -> None:
    figures = figures_of("scale", "--seconds=0.05", "--rounds=1", "--size=1200,2400", folder=tmp_path)
    assert figures["sizes"] == [1200, 2400]
    assert {len(row["ms"]) for row in figures["operations"]} == {2}
    assert len(figures["operations"]) == 18
    assert all(times for size in figures["milliseconds"].values() for times in size.values())


def test_importing_measures_the_import_beside_the_same_rows_in_raw_sql(tmp_path: Path) -> None:
    (phases,) = figures_of("importing", "--seconds=0.5", "--rounds=1", folder=tmp_path)["rounds"]
    assert [(phase["name"], phase["rows"]) for phase in phases] == [
        ("raw SQL", 4000),
        ("import", 4000),
        ("again", 4000),
    ]
    assert all(phase["per_second"] > 0 for phase in phases)


def test_operations_measures_each_beside_its_own_raw_sql_and_leaves_healthy_books(tmp_path: Path) -> None:
    figures = figures_of("operations", *QUICK, folder=tmp_path)
    rows = [(row["operation"], row["way"]) for row in figures["medians"]]
    assert rows == [(name, way) for name in ("PUT", "GET", "list", "payer's page") for way in ("raw SQL", "HTTP")]
    assert all(phase["driven"]["acknowledged"] > 0 for phase in figures["phases"])
