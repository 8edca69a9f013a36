"""Files over HTTP: kept, loaded by whoever has the lease, each row exactly once, watched and reported."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recaudo.store import imports as store
from recaudo.usecases import imports
from recaudo.usecases.core import Core
from recaudo.worker import loops
from tests.databases import TELLING, new_account, own_database, plain
from tests.importing.files import ROW, csv_text, numbered, workbook
from tests.world import Answer, Client, World, running

SENT = {"Content-Type": "text/csv"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
JOB = next(job for job in loops.JOBS if job.table == "import_job")


@pytest.fixture(scope="module")
async def quiet(embedded_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server without a worker on a database of its own: tests say when due work is done."""
    async with own_database(embedded_url) as url:
        world = World(url, tmp_path_factory.mktemp("quiet"))
        world.runs_worker = False
        await world.start()
        try:
            yield world
        finally:
            await world.stop()


@pytest.fixture
async def sender(quiet: World) -> AsyncIterator[Client]:
    made = await quiet.merchant()
    yield made
    assert await quiet.findings(made.account_id) == []


async def send(sender: Client, content: str | bytes, query: str = "", **options: Any) -> Answer:
    headers = {**SENT, **options.pop("headers", {})}
    # As a file: of large bytes the client warns.
    data = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return await sender.post(f"/recaudo/v1/imports{query}", data=data, headers=headers, **options)


async def drained(quiet: World, sender: Client, answer: Answer) -> Any:
    """The import once the worker has done what is due."""
    assert answer.status == 202, answer.body
    await loops.drain(quiet.core, TELLING)
    return (await sender.get(f"/recaudo/v1/imports/{answer.json['id']}")).json


async def count(sender: Client) -> int:
    return (await sender.get("/v1/invoices")).json["total"]


async def test_a_file_becomes_invoices_with_their_events_and_its_job_tells_how_it_went(
    quiet: World, sender: Client
) -> None:
    rows = [*numbered(3), {**ROW, "external_id": "FV-9", "amount": "85.000"}]
    answer = await send(sender, csv_text(rows))
    assert (answer.json["state"], answer.json["rows"]["read"]) == ("queued", 0)
    job = await drained(quiet, sender, answer)
    assert (job["state"], job["problem"]) == ("done", None)
    assert job["rows"] == {"read": 4, "created": 3, "already_there": 0, "refused": 1}
    assert job["finished_at"] is not None
    listed = (await sender.get("/v1/invoices")).json
    assert listed["total"] == 3
    assert {row["provider_id"] for row in listed["data"]} == {"FV-0", "FV-1", "FV-2"}
    told = (await sender.get("/recaudo/v1/events?type=invoice.created")).json["data"]
    assert len(told) == 3
    refused = await sender.get(job["refused_url"].removeprefix(sender.base_url))
    assert refused.headers["Content-Type"] == "text/csv"
    lines = refused.body.decode().splitlines()
    assert len(lines) == 2
    assert "can be read in two ways" in lines[1]


async def test_the_refused_rows_can_be_mended_and_sent_as_they_came(quiet: World, sender: Client) -> None:
    first = await drained(quiet, sender, await send(sender, csv_text([ROW, {**ROW, "external_id": "2", "phone": "x"}])))
    path = first["refused_url"].removeprefix(sender.base_url)
    mended = (await sender.get(path)).body.decode().replace(",x,", ",3001234567,")
    second = await drained(quiet, sender, await send(sender, mended))
    assert second["rows"] == {"read": 1, "created": 1, "already_there": 0, "refused": 0}
    assert (second["refused_url"], second["ignored_columns"]) == (None, [])


async def test_the_same_file_again_changes_nothing_and_a_changed_row_is_refused_not_applied(
    quiet: World, sender: Client
) -> None:
    await drained(quiet, sender, await send(sender, csv_text(numbered(3))))
    again = await drained(quiet, sender, await send(sender, csv_text(numbered(3))))
    assert again["rows"] == {"read": 3, "created": 0, "already_there": 3, "refused": 0}
    changed = await drained(
        quiet, sender, await send(sender, csv_text(numbered(1, amount="90000", phone="3001234567")))
    )
    assert changed["rows"]["refused"] == 1
    report = (await sender.get(changed["refused_url"].removeprefix(sender.base_url))).body.decode()
    assert "differs in amount, phone" in report
    async with plain(quiet.database_url) as connection:
        asked = "SELECT DISTINCT amount_minor FROM invoice WHERE account_id = $1"
        assert [r[0] for r in await connection.fetch(asked, sender.account_id)] == [8_500_000]


async def test_an_invoice_made_over_the_api_is_not_made_again(quiet: World, sender: Client) -> None:
    made = await sender.invoice(
        provider="erp",
        provider_id="FV-0",
        amount=85000,
        due_date="2025-10-31",
        name=ROW["name"],
        reference=ROW["reference"],
        phone=ROW["phone"],
    )
    job = await drained(quiet, sender, await send(sender, csv_text(numbered(2)), "?origin=erp"))
    assert job["rows"] == {"read": 2, "created": 1, "already_there": 1, "refused": 0}
    again = await sender.post(
        "/v1/invoices",
        {
            "reference": "1",
            "provider": "erp",
            "provider_id": "FV-1",
            "amount": 85000,
            "name": "Internet",
            "phone": "+573167591030",
        },
    )
    assert again.status == 409
    # Withdrawn, it stays withdrawn: the same row is no wish to bill it again. Another row is.
    assert (await sender.delete(f"/v1/invoices/{made['id']}")).status == 204
    job = await drained(quiet, sender, await send(sender, csv_text(numbered(2)), "?origin=erp"))
    assert job["rows"]["already_there"] == 2
    job = await drained(quiet, sender, await send(sender, csv_text(numbered(1, amount="70000")), "?origin=erp"))
    assert job["rows"]["created"] == 1


async def test_a_row_that_stands_twice_is_one_invoice(quiet: World, sender: Client) -> None:
    rows = [ROW, ROW, {**ROW, "amount": "99000"}]
    job = await drained(quiet, sender, await send(sender, csv_text(rows)))
    assert job["rows"] == {"read": 3, "created": 1, "already_there": 1, "refused": 1}
    assert await count(sender) == 1


async def test_a_dry_run_says_what_would_be_and_writes_nothing(quiet: World, sender: Client) -> None:
    job = await drained(
        quiet, sender, await send(sender, csv_text([*numbered(2), {**ROW, "amount": ""}]), "?dry_run=true")
    )
    assert (job["state"], job["dry_run"]) == ("done", True)
    assert job["rows"] == {"read": 3, "created": 2, "already_there": 0, "refused": 1}
    assert await count(sender) == 0


@pytest.mark.parametrize("kind", ["jsonl", "xlsx"])
async def test_every_format_is_loaded_and_reported_in_kind(quiet: World, sender: Client, kind: str) -> None:
    rows = [*numbered(600), {**ROW, "external_id": "x", "amount": "no"}]
    if kind == "jsonl":
        content, media = "\n".join(json.dumps(row) for row in rows).encode(), "application/x-ndjson"
    else:
        content, media = workbook([list(ROW), *(list(row.values()) for row in rows)]), XLSX
    job = await drained(quiet, sender, await send(sender, content, headers={"Content-Type": media}))
    assert job["rows"] == {"read": 601, "created": 600, "already_there": 0, "refused": 1}, job
    report = await sender.get(job["refused_url"].removeprefix(sender.base_url))
    again = await drained(
        quiet, sender, await send(sender, report.body, headers={"Content-Type": report.headers["Content-Type"]})
    )
    assert again["rows"] == {"read": 1, "created": 0, "already_there": 0, "refused": 1}, again


async def test_a_file_that_cannot_be_read_fails_with_the_reason_and_keeps_what_stands_before(
    quiet: World, sender: Client
) -> None:
    job = await drained(quiet, sender, await send(sender, "factura,contrato,mont\r\n1,1,1\r\n"))
    assert job["state"] == "failed"
    assert "Did you mean 'monto'?" in job["problem"]
    broken = csv_text(numbered(300)) + '"' + "x" * 70_000
    job = await drained(quiet, sender, await send(sender, broken))
    assert (job["state"], job["rows"]["created"]) == ("failed", 300)
    assert "a quote may not be closed" in job["problem"]


# --- Sending ---


async def test_the_same_request_twice_is_one_import_and_another_file_under_the_key_is_refused(
    quiet: World, sender: Client
) -> None:
    first = await send(sender, csv_text(numbered(2)), once="k")
    again = await send(sender, csv_text(numbered(2)), once="k")
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await send(sender, csv_text(numbered(3)), once="k")
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    assert (await send(sender, csv_text(numbered(2)), "?dates=dmy", once="k")).status == 409
    async with plain(quiet.database_url) as connection:
        jobs = await connection.fetchval("SELECT count(*) FROM import_job WHERE account_id = $1", sender.account_id)
    assert jobs == 1
    assert (await drained(quiet, sender, first))["rows"]["created"] == 2


async def test_a_request_that_makes_no_sense_is_refused_and_leaves_nothing(quiet: World, sender: Client) -> None:
    for query, media, content, status, code in (
        ("", "application/json", "{}", 415, "unsupported_media_type"),
        ("?dates=mdy", "text/csv", "x", 400, "invalid_query"),
        ("?colour=red", "text/csv", "x", 400, "invalid_query"),
        ("?name=abc", "text/csv", "x", 400, "invalid_query"),
        ("", "text/csv", "", 422, "empty_file"),
    ):
        answer = await send(sender, content, query, headers={"Content-Type": media})
        assert (answer.status, answer.json["code"]) == (status, code)
    stranger = await sender.call(
        "POST", "/recaudo/v1/imports", data=b"x" * 100_000, headers={**SENT, "Authorization": "Bearer no"}
    )
    assert stranger.status == 401
    async with plain(quiet.database_url) as connection:
        assert not await connection.fetchval("SELECT count(*) FROM import_job WHERE account_id = $1", sender.account_id)
        assert not await connection.fetchval(
            "SELECT count(*) FROM import_chunk WHERE account_id = $1", sender.account_id
        )


async def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(quiet: World, sender: Client) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", quiet.port)
    head = (
        "POST /recaudo/v1/imports HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        f"Authorization: Bearer {sender.key}\r\nContent-Length: 5000000\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 2_500_000)
    await writer.drain()
    async with plain(quiet.database_url) as connection:
        asked = "SELECT count(*) FROM import_chunk WHERE account_id = $1"
        while not await connection.fetchval(asked, sender.account_id):  # noqa: ASYNC110 - the server's doing
            await asyncio.sleep(0.01)
        writer.close()
        async with asyncio.timeout(20):
            jobs = "SELECT count(*) FROM import_job WHERE account_id = $1"
            while await connection.fetchval(jobs, sender.account_id):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.05)
        assert not await connection.fetchval(asked, sender.account_id)


async def test_an_account_has_so_many_imports_at_once_and_no_more(quiet: World, sender: Client) -> None:
    sent = [await send(sender, csv_text(numbered(1))) for _ in range(imports.UNFINISHED_MAX)]
    refused = await send(sender, csv_text(numbered(1)))
    assert (refused.status, refused.json["code"]) == (409, "too_many_imports")
    await drained(quiet, sender, sent[0])
    assert (await send(sender, csv_text(numbered(1)))).status == 202


async def test_a_file_above_the_operators_limit_is_refused_with_that_limit(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECAUDO_IMPORT_MIB_MAX", "1")
    async with own_database(embedded_url) as url, running(url, tmp_path) as world:
        sender = await world.merchant()
        answer = await send(sender, b"x" * (1024 * 1024 + 1))
        assert (answer.status, answer.json["message"]) == (413, "The body is larger than 1 MiB.")

        async def blocks() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield b"x" * 100_000

        chunked = await sender.post("/recaudo/v1/imports", data=blocks(), headers=SENT)
        assert chunked.status == 413
        async with plain(url) as connection:
            assert await connection.fetchval("SELECT count(*) FROM import_job") == 0


async def test_nobody_sees_the_imports_of_another_account(quiet: World, sender: Client) -> None:
    other = await quiet.merchant()
    answer = await send(other, csv_text([{**ROW, "amount": "x"}]))
    await drained(quiet, other, answer)
    for path in ("", "/refused"):
        assert (await sender.get(f"/recaudo/v1/imports/{answer.json['id']}{path}")).status == 404
        assert (await other.get(f"/recaudo/v1/imports/{answer.json['id']}{path}")).status == 200
    assert (await sender.get("/recaudo/v1/imports/none")).status == 404


# --- Workers that die, and time that passes ---


async def test_a_worker_that_is_killed_leaves_every_row_to_the_next_exactly_once(
    embedded_url: str, tmp_path: Path
) -> None:
    async with own_database(embedded_url) as url:
        world = World(url, tmp_path)
        world.runs_worker = False
        await world.start()
        try:
            sender = await world.merchant()
            rows = [{**row, "amount": "x"} if number % 50 == 7 else row for number, row in enumerate(numbered(12_000))]
            answer = await send(sender, csv_text(rows))
            progress = [0]
            for _ in range(3):
                await _killed_in_the_middle(world, progress)
            assert 0 < progress[-1] < 12_000
            job = await _performed(world, sender, answer.json["id"])
            assert job["rows"] == {"read": 12_000, "created": 11_760, "already_there": 0, "refused": 240}
            assert await count(sender) == 11_760
            report = (await sender.get(f"/recaudo/v1/imports/{job['id']}/refused")).body.decode()
            assert len(report.splitlines()) == 241
            assert await world.findings(sender.account_id) == []
            told = await _told(world, sender)
            assert told == 11_760
        finally:
            await world.stop()


async def _killed_in_the_middle(world: World, progress: list[int]) -> None:
    """A worker that is killed as soon as it has come further; its lease is over at once, as if a minute had passed."""
    worker = subprocess.Popen(  # noqa: ASYNC220 - nothing else waits
        [sys.executable, "-m", "recaudo", "worker"], env=world.environment()
    )
    async with plain(world.database_url) as connection:
        try:
            async with asyncio.timeout(60):
                asked = "SELECT read FROM import_job"
                while (read := await connection.fetchval(asked)) <= progress[-1] + 500:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
        finally:
            worker.kill()
            await asyncio.to_thread(worker.wait)
        progress.append(read)
        await connection.execute("UPDATE import_job SET leased_until = NULL")


async def _performed(world: World, sender: Client, import_id: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            await loops.drain(world.core, TELLING)
            job = (await sender.get(f"/recaudo/v1/imports/{import_id}")).json
            if job["state"] in {"done", "failed"}:
                return job


async def _told(world: World, sender: Client) -> int:
    async with plain(world.database_url) as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM event WHERE account_id = $1 AND type = 'invoice.created'", sender.account_id
        )


async def test_two_workers_with_one_job_write_each_row_once(quiet: World, sender: Client) -> None:
    """A worker that was thought dead comes back: what it is about to write is rolled back."""
    answer = await send(sender, csv_text(numbered(2000)))
    core = quiet.core
    async with core.database.connection() as connection:
        (first,) = [
            c for c in await loops.due.claim_due(core, "import_job", limit=10) if str(c.id) == answer.json["id"]
        ]
        await connection.execute("UPDATE import_job SET leased_until = NULL WHERE id = $1", first.id)
        (second,) = [c for c in await loops.due.claim_due(core, "import_job", limit=10) if c.id == first.id]
    results = await asyncio.gather(imports.go_on(core, first), imports.go_on(core, second), return_exceptions=True)
    assert isinstance(results[0], imports.LostError)
    assert results[1] is None
    job = (await sender.get(f"/recaudo/v1/imports/{answer.json['id']}")).json
    assert job["rows"] == {"read": 2000, "created": 2000, "already_there": 0, "refused": 0}
    assert await count(sender) == 2000


async def test_a_turn_ends_and_the_next_one_goes_on_where_it_was(
    quiet: World, sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "TURN_S", 0)
    answer = await send(sender, csv_text([{**row, "description": '"a\nb"'} for row in numbered(1100)]))
    job = await _performed(quiet, sender, answer.json["id"])
    assert job["rows"] == {"read": 1100, "created": 1100, "already_there": 0, "refused": 0}


async def test_too_many_refused_rows_end_it(quiet: World, sender: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "REFUSED_MAX", 300)
    job = await drained(quiet, sender, await send(sender, csv_text(numbered(2000, amount="x"))))
    assert (job["state"], job["rows"]["refused"]) == ("failed", 500)
    assert "mend the file" in job["problem"]


async def test_too_many_rows_end_it(quiet: World, sender: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "ROWS_MAX", 500)
    job = await drained(quiet, sender, await send(sender, csv_text(numbered(700))))
    assert (job["state"], job["rows"]["created"]) == ("failed", 500)
    assert "after line 501" in job["problem"]


async def test_what_failed_again_and_again_ends_with_its_counts(quiet: World, sender: Client) -> None:
    answer = await send(sender, csv_text(numbered(5)))
    async with plain(quiet.database_url) as connection:
        await connection.execute("UPDATE import_job SET tries = 50 WHERE account_id = $1", sender.account_id)
    job = await drained(quiet, sender, answer)
    assert job["state"] == "failed"
    assert "again and again" in job["problem"]


async def test_bytes_are_gone_when_it_is_over_and_all_of_it_after_a_month(quiet: World, sender: Client) -> None:
    answer = await send(sender, csv_text([ROW, {**ROW, "amount": "x"}]))
    await drained(quiet, sender, answer)
    async with plain(quiet.database_url) as connection:
        mine = (sender.account_id,)
        assert not await connection.fetchval("SELECT count(*) FROM import_chunk WHERE account_id = $1", *mine)
        assert await connection.fetchval("SELECT count(*) FROM import_refusal WHERE account_id = $1", *mine) == 1
        await connection.execute(
            "UPDATE import_job SET due_at = due_at - $2::interval WHERE account_id = $1", *mine, imports.KEPT_FOR
        )
        await loops.drain(quiet.core, TELLING)
        assert not await connection.fetchval("SELECT count(*) FROM import_refusal WHERE account_id = $1", *mine)
    assert (await sender.get(f"/recaudo/v1/imports/{answer.json['id']}")).status == 404
    assert await count(sender) == 1


async def test_a_file_that_never_arrived_is_given_up(quiet: World) -> None:
    core: Core = quiet.core
    account = await new_account(core)
    blocked = asyncio.Event()

    async def blocks() -> AsyncIterator[bytes]:
        yield csv_text(numbered(30_000)).encode()
        await blocked.wait()
        yield b"x" * store.CHUNK_BYTES

    command = imports.NewImport(options=imports.ReadOptions(format="csv"))
    receiving = asyncio.create_task(imports.receive(core, account, command, blocks(), lambda _: (202, b""), once=None))
    async with plain(quiet.database_url) as connection:
        asked = "SELECT count(*) FROM import_chunk WHERE account_id = $1"
        while await connection.fetchval(asked, account.id) < 2:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.01)
        late = imports.RECEIVED_WITHIN + timedelta(seconds=1)
        await connection.execute(
            "UPDATE import_job SET due_at = due_at - $2::interval WHERE account_id = $1", account.id, late
        )
        await loops.drain(core, TELLING)
        assert not await connection.fetchval(asked, account.id)
    blocked.set()
    with pytest.raises(imports.GivenUpError):
        await receiving
