"""`recaudo events tail` as a developer uses it: a process that prints what happens, and passes it on."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from recaudo.devtools.posing import ToolError
from recaudo.devtools.tail import core_types
from tests.commands import environment, recaudo
from tests.receiver import receiving
from tests.world import Client, World, free_port

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)  ([a-z_.]+) +(\w+) ([0-9a-f-]{36}) v(\d+)(?:  (.+))?")


class Tailing:
    """A running `recaudo events tail`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def lines(self, count: int) -> list[str]:
        """The next lines of what it prints."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return [(await self._process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]

    async def told(self, part: str) -> list[str]:
        """Its messages up to the first one with this part."""
        assert self._process.stderr is not None
        found: list[str] = []
        async with asyncio.timeout(30):
            while not found or part not in found[-1]:
                line = await self._process.stderr.readline()
                assert line, found
                found.append(line.decode().rstrip("\n"))
        return found

    async def interrupt(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Press Ctrl-C; the exit code, and what is said after that."""
        assert self._process.stderr is not None
        self._process.send_signal(number)
        async with asyncio.timeout(20):
            return await self._process.wait(), (await self._process.stderr.read()).decode()


@contextlib.asynccontextmanager
async def tailing(url: str, client: Client, home: Path, *arguments: str) -> AsyncIterator[Tailing]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recaudo", "events", "tail", *arguments,
        env=environment(home, None, RECAUDO_KEY=client.key, RECAUDO_PUBLIC_URL=url),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Tailing(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def words(line: str) -> tuple[str, str, str, str, str | None]:
    """Type, kind of subject, its id, its version, and amount with state."""
    found = LINE.fullmatch(line)
    assert found is not None, line
    return found[2], found[3], found[4], found[5], found[6]


# --- The end of the feed ---


async def test_the_cursor_end_skips_what_was_and_goes_on_with_what_comes(client: Client) -> None:
    await client.invoice()
    end = await client.get("/recaudo/v1/events?cursor=end")
    assert (end.status, end.json["data"], end.json["has_more"]) == (200, [], False)
    invoice = await client.invoice()
    more = await client.get(f"/recaudo/v1/events?wait=10&cursor={end.json['next_cursor']}")
    assert [(e["type"], e["subject"]["id"]) for e in more.json["data"]] == [
        ("invoice.created", invoice["id"]),
        ("collection.opened", invoice["id"]),
    ]
    waiting = asyncio.create_task(client.get("/recaudo/v1/events?cursor=end&wait=20"))
    await asyncio.sleep(0.5)
    third = await client.invoice()
    assert (await waiting).json["data"][0]["subject"]["id"] == third["id"]


# --- Printing ---


async def test_an_invoice_that_is_made_and_paid_is_a_line_for_each_event(
    world: World, client: Client, tmp_path: Path
) -> None:
    await client.invoice(name="before")
    async with tailing(world.base_url, client, tmp_path) as tail:
        await tail.told("from now on")
        invoice = await client.invoice(amount=50000)
        await client.pay(invoice["payment_id"])
        lines = [words(line) for line in await tail.lines(6)]
        assert {line[1:3] for line in lines} == {("invoice", invoice["id"])}, "what was before is not told"
        shown = {type_: (version, facts) for type_, _, _, version, facts in lines}
        assert list(shown)[:2] == ["invoice.created", "collection.opened"]
        assert shown["invoice.created"] == ("1", "$ 50.000  open")
        assert shown["collection.opened"] == ("1", "$ 50.000  pending")
        assert shown["invoice.paid"][1] == "$ 50.000  paid"
        assert shown["attempt.succeeded"][1] == "$ 50.000  succeeded"
        assert await tail.interrupt() == (0, ""), "Ctrl-C ends it quietly"


async def test_from_start_with_types_in_anybodys_words_as_json(world: World, client: Client, tmp_path: Path) -> None:
    ids: list[str] = []
    for _ in range(2):
        invoice = await client.invoice()
        await client.pay(invoice["payment_id"])
        ids.append(invoice["id"])
    asked = ("--from-start", "--type", "invoice.paid", "--type", "payment.created", "--json", "--dialect", "onepay")
    async with tailing(world.base_url, client, tmp_path, *asked) as tail:
        events = [json.loads(line) for line in await tail.lines(4)]
        assert [(e["type"], e["subject"]["id"]) for e in events] == [
            (type_, invoice_id) for invoice_id in ids for type_ in ("collection.opened", "invoice.paid")
        ]
        for event in events:
            message = event["message"]
            assert json.loads(message["body"])["event"] == {
                "id": event["id"],
                "type": message["type"],
                "timestamp": json.loads(message["body"])["event"]["timestamp"],
                "environment": "test",
            }
        assert await tail.interrupt(signal.SIGTERM) == (0, "Events of " + world.base_url + " from the first event. "
            "Ctrl-C ends it.\n")  # fmt: skip


async def test_a_long_history_is_told_whole_and_in_order(world: World, client: Client, tmp_path: Path) -> None:
    made = [(await client.invoice())["id"] for _ in range(60)]
    async with tailing(world.base_url, client, tmp_path, "--from-start") as tail:
        lines = [words(line) for line in await tail.lines(120)]
    assert [line[2] for line in lines] == [invoice_id for invoice_id in made for _ in range(2)]


async def test_a_part_shows_what_was_received_of_how_much(world: World, client: Client, tmp_path: Path) -> None:
    invoice = await client.invoice(amount=100000, partial_payment_config={"min_amount": 20000})
    await client.pay(invoice["payment_id"], amount=40000)
    async with tailing(world.base_url, client, tmp_path, "--from-start", "--type", "invoice.part_received") as tail:
        (line,) = await tail.lines(1)
        assert words(line)[4] == "$ 40.000 of $ 100.000  open"


# --- Forwarding ---


async def test_each_event_is_forwarded_as_an_endpoint_of_the_dialect_would_get_it(
    world: World, client: Client, tmp_path: Path
) -> None:
    async with receiving() as endpoint, receiving() as program:
        types = ["invoice.created", "payment.created", "payment.approved", "invoice.paid"]
        made = await client.post("/v1/webhooks", {"name": "ERP", "url": endpoint.url, "events": types})
        secret = "wh_tok_" + "b" * 32
        asked = ("--forward", program.url + "/hooks", "--secret", secret, "--token", "wh_hdr_here")
        async with tailing(world.base_url, client, tmp_path, *asked) as tail:
            said = await tail.told("from now on")
            assert f"Secret  {secret}" in said
            assert "Token   wh_hdr_here" in said
            invoice = await client.invoice(name="Pensión «Año» / 50 €", metadata={"10": "diez", "2": "dos"})
            await client.pay(invoice["payment_id"])
            lines = await tail.lines(6)
        await world.drain()
        assert made.status == 201
        forwarded = {r.event_id: r for r in program.received}
        delivered = {r.event_id: r for r in await endpoint.wait_for(4)}
        assert list(forwarded) == list(delivered), "the same events in the same order"
        for event_id, real in delivered.items():
            got = forwarded[event_id]
            assert got.path == "/hooks"
            assert got.body == real.body
            same = {"content-type", "user-agent", "x-webhook-event", "recaudo-subject-version", "content-length"}
            assert {n: got.headers[n] for n in same} == {n: real.headers[n] for n in same}
            assert set(got.headers) == set(real.headers)
            assert got.headers["x-webhook-token"] == "wh_hdr_here"
            assert got.headers["x-signature"] == hmac.new(secret.encode(), got.body, hashlib.sha256).hexdigest()
            Webhook(base64.b64encode(secret.encode()).decode()).verify(got.body, got.headers)
    beside = {line.split()[2]: line.partition("->")[2] for line in lines if "->" in line}
    assert re.fullmatch(r" invoice\.paid 204 in \d+ ms", beside["invoice.paid"])
    assert re.fullmatch(r" payment\.approved 204 in \d+ ms", beside["collection.paid"])
    assert [line.split()[2] for line in lines if "not told in this dialect" in line] == [
        line.split()[2] for line in lines if line.split()[2].startswith("attempt.")
    ]


async def test_our_own_dialect_is_signed_with_a_secret_that_is_made_and_shown(
    world: World, client: Client, tmp_path: Path
) -> None:
    async with receiving() as program:
        program.answer = lambda r: web.Response(status=204 if r.json["type"] == "invoice.created" else 500)
        asked = ("--forward", program.url, "--dialect", "recaudo", "--json")
        async with tailing(world.base_url, client, tmp_path, *asked) as tail:
            said = await tail.told("from now on")
            (secret,) = re.findall(r"^Secret  (whsec_\S+)$", "\n".join(said), re.MULTILINE)
            assert not any(line.startswith("Token") for line in said)
            await client.invoice()
            events = [json.loads(line) for line in await tail.lines(2)]
        for received, event in zip(await program.wait_for(2), events, strict=True):
            told: Any = Webhook(secret).verify(received.body, received.headers)
            assert told == {k: v for k, v in event.items() if k not in {"message", "forward"}}
        assert [(e["forward"]["status"], e["forward"]["error"]) for e in events] == [(204, None), (500, "HTTP 500")]


async def test_treli_s_dialect_is_forwarded_as_its_endpoints_are_told(
    world: World, client: Client, tmp_path: Path
) -> None:
    async with receiving() as program:
        secret = "trl_whsec_EJEMPLO0000000000000000000000000"
        asked = ("--forward", program.url, "--dialect", "treli", "--secret", secret, "--type", "collection.created")
        async with tailing(world.base_url, client, tmp_path, *asked) as tail:
            await tail.told("from now on")
            await client.invoice()
            await tail.lines(1)
        (received,) = await program.wait_for(1)
        moment, _, mine = received.headers["x-treli-signature"].partition(",v1=")
        signed = moment.removeprefix("t=").encode() + b"." + received.body
        assert mine == hmac.new(secret.encode(), signed, "sha256").hexdigest()
        assert received.json["type"] == "collection.created"


async def test_a_program_that_does_not_run_is_told_beside_the_event(
    world: World, client: Client, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/hooks"
    async with tailing(world.base_url, client, tmp_path, "--forward", nobody, "--type", "invoice.created") as tail:
        await tail.told("from now on")
        await client.invoice()
        (line,) = await tail.lines(1)
        assert re.search(r"-> invoice\.created no connection: .+ in \d+ ms$", line), line


# --- The server goes away ---


class Cable:
    """What lies between the tail and the server: it can be pulled and plugged in again."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def pull(self) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(65536):
                target.write(chunk)
        finally:
            target.close()


async def test_nothing_is_missed_while_the_server_is_away(world: World, client: Client, tmp_path: Path) -> None:
    cable = Cable(world.port)
    url = f"http://127.0.0.1:{cable.port}"
    async with tailing(url, client, tmp_path, "--type", "invoice.created") as tail:
        (away,) = await tail.told("is away")
        assert re.fullmatch(rf"{url} is away \(no connection: .+\)\. Trying again every 2 seconds\.", away)
        await cable.plug()
        await tail.told("is back")
        await tail.told("from now on")
        first = await client.invoice()
        assert words((await tail.lines(1))[0])[2] == first["id"]
        await cable.pull()
        await tail.told("is away")
        second = await client.invoice()
        await cable.plug()
        await tail.told("is back")
        assert words((await tail.lines(1))[0])[2] == second["id"]
        assert await tail.interrupt() == (0, "")
    await cable.pull()


# --- What cannot be done is one sentence ---


async def test_what_cannot_be_done_is_one_sentence(world: World, client: Client, tmp_path: Path) -> None:
    refused = {
        (): ("RECAUDO_KEY", "--key"),
        ("--key", "sk_test_wrong"): ("does not know this key",),
        ("--key", client.key, "--type", "invoice.eaten"): ("'invoice.eaten'", "invoice.created"),
        ("--key", client.key, "--url", "nonsense"): ("--url", "'nonsense'"),
        ("--key", client.key, "--forward", "127.0.0.1:3000"): ("--forward",),
        ("--key", client.key, "--forward", "http://127.0.0.1:1/", "--dialect", "recaudo", "--secret", "x"): ("whsec_",),
    }
    env = environment(tmp_path, None, RECAUDO_PUBLIC_URL=world.base_url)
    results = await asyncio.gather(*(recaudo("events", "tail", *a, environment=env) for a in refused))
    for ended, parts in zip(results, refused.values(), strict=True):
        assert (ended.status, ended.out) == (1, ""), ended
        *_, line = ended.err.strip().splitlines()
        assert line.startswith("recaudo: ")
        assert all(part in line for part in parts), line


async def test_an_address_that_is_no_recaudo_server_is_told(client: Client, tmp_path: Path) -> None:
    async with receiving() as stranger:
        for status in (200, 302, 404):
            stranger.answer = lambda _, s=status: web.Response(status=s, text="<html>")
            env = environment(tmp_path, None, RECAUDO_KEY=client.key)
            ended = await recaudo("events", "tail", "--url", stranger.url, environment=env)
            assert ended.status == 1
            assert f"{stranger.url} answered {status}" in ended.err


def test_types_are_known_in_the_words_of_the_core_and_of_its_dialects() -> None:
    asked = ["payment.approved", "collection.paid", "invoice.partially_paid", "attempt.failed", "invoice.voided"]
    assert core_types(asked) == ["collection.paid", "invoice.part_received", "attempt.failed", "invoice.withdrawn"]
    with pytest.raises(ToolError, match=r"charge\.paid: the dialect onepay lists it, but no event raises it"):
        core_types(["charge.paid"])
