"""recaudo import as people run it: again and again, killed in the middle, with files of any size."""

import asyncio
import csv
import json
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from recaudo.importing.loading import BATCH_ROWS
from recaudo.usecases import merchants
from tests.commands import Ended, environment, recaudo
from tests.databases import core_on, plain
from tests.importing.files import ROW, csv_text, numbered
from tests.world import World


class Shop:
    """A merchant and the folder of whoever loads its invoices."""

    def __init__(self, url: str, folder: Path, slug: str, account_id: UUID) -> None:
        self.url = url
        self.folder = folder
        self.slug = slug
        self.account_id = account_id
        self.environment = environment(folder, url)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    async def load(self, path: Path, *options: str) -> Ended:
        arguments = ("import", str(path), "--merchant", self.slug, "--test", *options)
        return await recaudo(*arguments, environment=self.environment)

    async def loaded(self, path: Path, *options: str) -> Any:
        ended = await self.load(path, "--json", *options)
        return json.loads(ended.out)

    async def count(self) -> int:
        async with plain(self.url) as connection:
            asked = "SELECT count(*) FROM invoice WHERE account_id = $1"
            return await connection.fetchval(asked, self.account_id)


@pytest.fixture
async def shop(database_url: str, world: World, tmp_path: Path) -> Any:
    slug = f"t-{secrets.token_hex(6)}"
    async with core_on(database_url) as core:
        made = await merchants.create(core, "Internet del Valle", slug)
    yield Shop(database_url, tmp_path, slug, made.test.account_id)
    assert await world.findings(made.test.account_id) == []


async def test_good_rows_go_in_and_refused_ones_into_a_file_beside_it(shop: Shop) -> None:
    path = shop.write("padron.csv", csv_text([*numbered(3), {**ROW, "external_id": "x", "amount": "85.000"}]))
    ended = await shop.load(path)
    assert ended.status == 3, ended.err
    assert ended.out == ""
    assert "4 rows in" in ended.err
    assert "3 created, 0 already there, 1 refused" in ended.err
    assert "line 5: amount: '85.000' can be read in two ways" in ended.err
    (row,) = csv.DictReader((shop.folder / "padron-refused.csv").read_text(encoding="utf-8").splitlines())
    assert (row["external_id"], row["line"]) == ("x", "5")
    assert row["errors"].startswith("amount: '85.000' can be read in two ways")
    assert await shop.count() == 3
    mended = await shop.loaded(shop.folder / "padron-refused.csv", "--numbers", "es")
    assert (mended["created"], mended["refused_file"]) == (1, None)


async def test_the_same_file_again_and_a_dry_run_write_nothing(shop: Shop) -> None:
    path = shop.write("padron.csv", csv_text(numbered(2500)))
    dry = await shop.loaded(path, "--dry-run")
    assert (dry["created"], dry["dry_run"]) == (2500, True)
    assert await shop.count() == 0
    assert (await shop.load(path)).status == 0
    again = await shop.loaded(path)
    assert (again["created"], again["already_there"], again["refused"]) == (0, 2500, 0)
    assert await shop.count() == 2500


async def test_a_command_that_is_killed_in_the_middle_is_run_again_and_every_invoice_is_there_once(shop: Shop) -> None:
    rows = 20_000
    path = shop.write("padron.csv", csv_text(numbered(rows)))
    command = [sys.executable, "-m", "recaudo", "import", str(path), "--merchant", shop.slug, "--test"]
    killed_at: list[int] = []
    for _ in range(2):
        process = subprocess.Popen(command, env=shop.environment, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        before = await shop.count()
        while await shop.count() <= before and process.poll() is None:  # noqa: ASYNC110 - its doing
            await asyncio.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        killed_at.append(await shop.count())
    assert 0 < killed_at[0] < killed_at[1] < rows, "it was killed in the middle"
    assert killed_at[0] % BATCH_ROWS == killed_at[1] % BATCH_ROWS == 0, "a batch is there or it is not"
    done = await shop.loaded(path)
    assert (done["already_there"] + done["created"], done["refused"]) == (rows, 0)
    assert done["created"] <= rows - killed_at[1]
    async with plain(shop.url) as connection:
        counts = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM invoice WHERE account_id = $1),
                   (SELECT count(DISTINCT origin_id) FROM invoice WHERE account_id = $1),
                   (SELECT count(*) FROM event WHERE account_id = $1 AND type = 'invoice.created'),
                   (SELECT count(*) FROM transfer WHERE account_id = $1)
            """,
            shop.account_id,
        )
    assert counts is not None
    assert list(counts) == [rows] * 4


async def test_a_command_that_is_interrupted_ends_at_once_and_is_run_again(shop: Shop) -> None:
    rows = 20_000
    path = shop.write("padron.csv", csv_text(numbered(rows)))
    command = [sys.executable, "-m", "recaudo", "import", str(path), "--merchant", shop.slug, "--test"]
    process = subprocess.Popen(command, env=shop.environment, stderr=subprocess.PIPE)  # noqa: ASYNC220
    while await shop.count() == 0 and process.poll() is None:  # noqa: ASYNC110 - its doing
        await asyncio.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, told = await asyncio.to_thread(process.communicate, timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in told
    there = await shop.count()
    assert 0 < there < rows, "it was interrupted in the middle"
    assert there % BATCH_ROWS == 0, "a batch is there or it is not"
    done = await shop.loaded(path)
    assert (done["already_there"], done["created"]) == (there, rows - there)


async def test_two_at_once_load_each_invoice_once(shop: Shop) -> None:
    path = shop.write("padron.csv", csv_text(numbered(6000)))
    other = shop.write("copia.csv", csv_text(numbered(6000)))
    first, second = await asyncio.gather(shop.loaded(path), shop.loaded(other))
    assert first["created"] + second["created"] == 6000
    assert first["already_there"] + second["already_there"] == 6000
    assert await shop.count() == 6000


async def test_memory_does_not_grow_with_the_file(shop: Shop) -> None:
    """A check of a file forty times as long may take some megabytes more, and not forty times as much."""
    peaks = [await _peak_rss(shop, rows) for rows in (3_000, 120_000)]
    assert peaks[1] < peaks[0] + 40 * 1024 * 1024, peaks


async def _peak_rss(shop: Shop, rows: int) -> int:
    # Every second row is refused: those must not pile up either.
    path = shop.folder / f"{rows}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(ROW) + "\r\n")
        for number in range(rows):
            amount = "x" if number % 2 else "85000"
            file.write(f"FV-{number},{number},{amount},Plan Internet,+57316{number:07d},2025-10-31\r\n")
    command = [sys.executable, "-m", "recaudo", "import", str(path), "--merchant", shop.slug, "--test", "--dry-run"]
    process = psutil.Popen(command, env=shop.environment, stderr=subprocess.DEVNULL)
    peak = 0
    deadline = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < deadline:
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.01)
    assert process.poll() == 3
    path.unlink()
    return peak


async def test_what_cannot_be_read_is_one_sentence(shop: Shop) -> None:
    wrong = shop.write("wrong.csv", "a,b\r\n1,2\r\n")
    for arguments, words in (
        ((str(shop.folder / "none.csv"),), "none.csv cannot be used: No such file"),
        ((str(wrong),), "amount is missing"),
        ((str(shop.write("x.xls", "x")),), "save it as .xlsx"),
        ((str(wrong), "--name", "abc"), "--name must have 5 to 100"),
        ((str(wrong), "--refused", str(wrong)), "another file than the one that is read"),
    ):
        ended = await shop.load(Path(arguments[0]), *arguments[1:])
        assert (ended.status, ended.out) == (1, ""), ended
        assert words in ended.err
        assert len(ended.err.strip().splitlines()) == 1
    path, *_ = (shop.write("ok.csv", csv_text([ROW])),)
    ended = await recaudo("import", str(path), "--merchant", "nobody-at-all", environment=shop.environment)
    assert (ended.status, ended.err) == (1, "recaudo: No merchant has the slug 'nobody-at-all'.\n")
    assert (await recaudo("import", environment=shop.environment)).status == 2


async def test_a_file_that_breaks_in_the_middle_keeps_what_stands_before_and_ends_with_one(shop: Shop) -> None:
    path = shop.write("padron.csv", csv_text(numbered(3)) + '"' + "x" * 70_000)
    ended = await shop.load(path)
    assert ended.status == 1
    assert "a quote may not be closed" in ended.err
    assert await shop.count() == 3


async def test_the_template_is_printed_and_loads(shop: Shop) -> None:
    for kind in ("csv", "jsonl", "xlsx"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "recaudo", "import", "--template", kind, env=shop.environment, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        path = shop.write(f"plantilla.{kind}", out)
        assert (await shop.load(path, "--dry-run")).status == 0


def test_the_command_is_at_work_without_loading_what_only_a_server_needs() -> None:
    needed = "recaudo.alone, recaudo.cli, recaudo.importing.loading, recaudo.importing.reports, recaudo.store.migrate"
    unneeded = {"litestar", "aiohttp", "jinja2", "openpyxl", "alembic", "recaudo.app", "recaudo.parts"}
    asked = f"import {needed}, sys; print(*{unneeded} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
