"""The command line as operators and programs use it: results on standard output, one plain sentence when it cannot."""

import asyncio
import json
import re
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from recaudo import __version__
from recaudo.config import SettingsError, read_settings, secret_key
from recaudo.store.database import Database, DatabaseAwayError
from recaudo.store.migrate import database_version
from recaudo.usecases import merchants, webhooks
from recaudo.usecases.webhooks import NewEndpoint
from tests.commands import Ended, environment, recaudo
from tests.databases import core_on, new_account, own_database, plain
from tests.world import Client, World, free_port, running


def fresh_slug() -> str:
    return f"t-{secrets.token_hex(6)}"


def assert_one_sentence(ended: Ended, *parts: str) -> None:
    """It failed, and says why in one line that a person understands."""
    assert ended.status == 1, ended
    assert ended.out == ""
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("recaudo: ")
    assert lines[0].endswith("."), lines[0]
    for part in parts:
        assert part in lines[0], lines[0]


# --- Merchants ---


async def test_a_merchant_made_while_a_server_runs_can_use_its_keys_at_once(
    world: World, database_url: str, tmp_path: Path
) -> None:
    slug = fresh_slug()
    ended = await recaudo(
        "merchant",
        "create",
        "Acueducto de Sopó",
        "--slug",
        slug,
        "--json",
        environment=environment(tmp_path, database_url),
    )
    assert (ended.status, ended.err) == (0, "")
    made = json.loads(ended.out)
    assert set(made) == {"merchant_id", "slug", "live", "test"}
    assert made["slug"] == slug
    ids = {UUID(made["merchant_id"])}
    for kind in ("live", "test"):
        account = made[kind]
        assert set(account) == {"account_id", "secret_key", "public_key"}
        assert re.fullmatch(rf"sk_{kind}_[0-9A-Za-z]{{32}}", account["secret_key"])
        assert re.fullmatch(rf"pk_{kind}_[0-9A-Za-z]{{32}}", account["public_key"])
        ids.add(UUID(account["account_id"]))
        client = Client(world.session, world.base_url, account["secret_key"], UUID(account["account_id"]), slug)
        assert (await client.get("/v1/invoices")).json["total"] == 0
        assert (await client.invoice())["id"]
    assert len(ids) == 3


async def test_without_json_the_keys_are_printed_for_people(database_url: str, tmp_path: Path) -> None:
    slug = fresh_slug()
    ended = await recaudo("merchant", "create", "Gas", "--slug", slug, environment=environment(tmp_path, database_url))
    assert ended.status == 0
    assert re.findall(r"^(live|test)  sk_\1_\w{32}  pk_\1_\w{32}$", ended.out, re.MULTILINE) == ["live", "test"]
    assert slug in ended.err


SLUGS_REFUSED = (
    "", "ab", "-ab", "ab-", "Mayúscula", "con espacio", "a" * 51, "payment", "health", "v1", "a_b", "a/b", "abc\n",
)  # fmt: skip


async def test_a_slug_that_cannot_be_an_address_is_refused(database_url: str, tmp_path: Path) -> None:
    async with core_on(database_url) as core:
        for slug in SLUGS_REFUSED:
            with pytest.raises(merchants.BadSlugError):
                await merchants.create(core, "Gas", slug)
    ended = await recaudo(
        "merchant", "create", "Gas", "--slug=payment", "--json", environment=environment(tmp_path, database_url)
    )
    assert_one_sentence(ended, "'payment'", "3 to 50")


async def test_a_slug_that_another_merchant_has_is_refused(database_url: str, tmp_path: Path) -> None:
    slug, env = fresh_slug(), environment(tmp_path, database_url)
    results = await asyncio.gather(
        *(recaudo("merchant", "create", "Gas", "--slug", slug, "--json", environment=env) for _ in range(3))
    )
    assert sorted(r.status for r in results) == [0, 1, 1]
    for refused in (r for r in results if r.status):
        assert_one_sentence(refused, slug, "Another merchant")


async def test_a_merchant_needs_a_name_that_payers_can_read(database_url: str, tmp_path: Path) -> None:
    async with core_on(database_url) as core:
        for name in ("", "   ", "x" * 201):
            with pytest.raises(merchants.BadNameError):
                await merchants.create(core, name, fresh_slug())
    ended = await recaudo(
        "merchant", "create", " ", "--slug", fresh_slug(), environment=environment(tmp_path, database_url)
    )
    assert_one_sentence(ended, "name", "200")


# --- Others ---


async def test_the_version_is_one_line(tmp_path: Path) -> None:
    ended = await recaudo("version", environment=environment(tmp_path, None))
    assert (ended.status, ended.out, ended.err) == (0, f"{__version__}\n", "")


async def test_help_names_every_command(tmp_path: Path) -> None:
    ended = await recaudo("--help", environment=environment(tmp_path, None))
    assert ended.status == 0
    for command in (
        "serve", "worker", "migrate", "merchant", "gateway", "reconcile", "doctor", "demo", "events", "webhooks",
        "version",
    ):  # fmt: skip
        assert command in ended.out


# --- Serving ---


async def test_a_port_that_somebody_uses_is_said_so_plainly(database_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = await recaudo("serve", "--port", port, environment=environment(tmp_path, database_url))
        assert_one_sentence(ended, "127.0.0.1", port, "in use", "--port")


async def test_a_second_server_on_a_port_is_refused_and_does_not_take_half_of_the_requests(
    world: World, database_url: str, tmp_path: Path
) -> None:
    port = str(world.port)
    ended = await recaudo("serve", "--port", port, environment=environment(tmp_path, database_url))
    assert_one_sentence(ended, port, "in use")


@pytest.mark.parametrize(("host", "part"), [("no.such.host.invalid", "no.such.host.invalid"), ("192.0.2.1", "assign")])
async def test_a_host_where_nobody_can_listen_is_said_so_plainly(
    database_url: str, tmp_path: Path, host: str, part: str
) -> None:
    ended = await recaudo("serve", "--host", host, environment=environment(tmp_path, database_url))
    assert_one_sentence(ended, part, "--host")


async def test_a_host_may_be_a_name(own_url: str, tmp_path: Path) -> None:
    port = str(free_port())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recaudo", "serve", "--host", "localhost", "--port", port,
        env=environment(tmp_path, own_url),
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("localhost", int(port))
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    break
    finally:
        process.terminate()
        assert await process.wait() == 0


# --- Settings ---


BAD_SETTINGS = [
    ("RECAUDO_LOG_LEVEL", "loud"),
    ("RECAUDO_PUBLIC_URL", "cobros.example.com"),
    ("RECAUDO_PUBLIC_URL", "https://example.com/?a=1"),
    ("RECAUDO_SECRET_KEY", "short"),
    ("RECAUDO_PROXY_HOPS", "many"),
    ("RECAUDO_PROXY_HOPS", "11"),
    ("RECAUDO_PROXY_HOPS", "-1"),
    ("RECAUDO_PROXY_HOPS", "9" * 5000),
    ("RECAUDO_DATABASE_CONNECTIONS", "1"),
    ("RECAUDO_DATABASE_CONNECTIONS", "²"),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_a_setting_that_cannot_be_used_is_named_in_a_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({name: value})
    assert re.fullmatch(rf"{name} is .{{5,150}}\.", str(refused.value)), refused.value


async def test_every_command_tells_of_a_bad_setting_alike(database_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, database_url, RECAUDO_LOG_LEVEL="loud")
    for command in (("serve",), ("worker",), ("migrate",), ("doctor",), ("merchant", "create", "Gas", "--slug", "gas")):
        assert_one_sentence(await recaudo(*command, environment=env), "RECAUDO_LOG_LEVEL", "'loud'", "debug, info")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://user:s3cr3t-word@localhost/recaudo",
        "postgresql://user:s3cr3t/word@localhost/recaudo",
        "postgresql://user:s3cr3t-word@localhost:notaport/recaudo",
        "postgresql://user:s3cr3t-word@127.0.0.1:1/recaudo",
        "postgresql://user:s3cr3t-word@no.such.host.invalid/recaudo",
        "postgresql:///recaudo?host=/no/such/folder",
    ],
)
async def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(url: str) -> None:
    for reach in (Database.connect, database_version):
        with pytest.raises(DatabaseAwayError) as away:
            await reach(url)
        text = str(away.value)
        assert "RECAUDO_DATABASE_URL" in text
        assert "s3cr3t" not in text
        assert "\n" not in text


async def test_a_command_without_its_database_says_so(tmp_path: Path) -> None:
    for command, url in (("doctor", "postgresql:///recaudo?host=/no/such/folder"), ("worker", "nonsense")):
        ended = await recaudo(command, environment=environment(tmp_path, url))
        assert ended.status == 1
        assert ended.err.startswith("recaudo: "), ended.err
        assert "RECAUDO_DATABASE_URL" in ended.err
        assert len(ended.err.strip().splitlines()) == 1, ended.err


async def test_a_role_or_a_database_that_does_not_exist_is_told(database_url: str) -> None:
    for url in (
        re.sub(r"//[^@/]*@", "//nobody@", database_url),
        re.sub(r"(//[^/]*/)[^?]*", r"\1no_such_database", database_url),
    ):
        with pytest.raises(DatabaseAwayError, match="RECAUDO_DATABASE_URL"):
            await database_version(url)


async def test_a_database_without_room_for_a_connection_is_one_sentence(embedded_url: str, tmp_path: Path) -> None:
    role = f"crowded_{secrets.token_hex(4)}"
    crowded = re.sub(r"//[^@/]*@", f"//{role}@", embedded_url)
    async with plain(embedded_url) as connection:
        await connection.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
        ended = await recaudo("doctor", environment=environment(tmp_path, crowded))
        await connection.execute(f"DROP ROLE {role}")
    assert ended.status == 1
    assert "too many connections" in ended.err
    assert len(ended.err.splitlines()) == 1, ended.err


async def test_a_home_that_cannot_be_used_is_one_sentence(database_url: str, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    env = environment(blocked / "home", database_url, RECAUDO_SECRET_KEY="")
    ended = await recaudo("serve", "--port", str(free_port()), environment=env)
    assert_one_sentence(ended, "RECAUDO_HOME", str(blocked))


def settings_in(home: Path, **more: str) -> Any:
    return read_settings({"RECAUDO_HOME": str(home), **more})


def test_an_empty_setting_counts_as_none(tmp_path: Path) -> None:
    names = ("RECAUDO_DATABASE_URL", "RECAUDO_PUBLIC_URL", "RECAUDO_SECRET_KEY", "RECAUDO_PROXY_HOPS")
    assert settings_in(tmp_path, **dict.fromkeys(names, "")) == settings_in(tmp_path)


async def test_another_secret_key_than_that_of_the_webhooks_is_refused(embedded_url: str, tmp_path: Path) -> None:
    async with own_database(embedded_url) as url:
        async with core_on(url) as core:
            told = NewEndpoint(
                dialect="onepay", name="ERP", description=None, url="https://example.com", types=("invoice.paid",)
            )
            await webhooks.create(core, await new_account(core), told, lambda _: (201, b""), once=None)
        env = environment(tmp_path, url, RECAUDO_SECRET_KEY="x" * 40)
        for command in (("worker",), ("serve", "--port", str(free_port()))):
            ended = await recaudo(*command, environment=env)
            assert ended.status != 0
            assert "RECAUDO_SECRET_KEY" in ended.err
            assert "x" * 40 not in ended.err


async def test_processes_that_start_together_agree_on_one_secret_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from recaudo.config import *; "
        "sys.stdin.readline(); print(secret_key(read_settings()))"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=environment(tmp_path, None),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip
    keys = await asyncio.gather(*(p.communicate(b"go\n") for p in processes))
    assert len({out for out, _ in keys}) == 1
    assert len(keys[0][0].strip()) >= 32
    (kept,) = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    assert (kept.name, kept.stat().st_mode & 0o777) == ("secret.key", 0o600)


def test_a_secret_key_file_without_a_key_is_refused_and_not_used(tmp_path: Path) -> None:
    for content in ("", "\n", "short\n"):
        (tmp_path / "secret.key").write_text(content)
        with pytest.raises(SettingsError, match=r"secret\.key holds no key"):
            secret_key(settings_in(tmp_path))


# --- What the logs tell ---

PHONE, EMAIL, NAME = "+573167591030", "cliente@ejemplo.com", "Plan de Doña Rosalba"


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url) as url:
        yield url


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_the_log_holds_no_key_no_phone_no_email_and_no_body(own_url: str, tmp_path: Path, level: str) -> None:
    """Ordinary traffic, refused requests, faults of the server and a payment's page: nobody can be read out of it."""
    async with running(own_url, tmp_path, log_level=level) as world:
        client = await world.merchant()
        told = await traffic(world, client)
    log = (tmp_path / "server.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line["event"] == "request" for line in lines)
    assert any(line["event"] == "internal_error" and line["exception"] for line in lines), "the fault is told in full"
    for secret in told:
        assert secret not in log, secret


async def traffic(world: World, client: Client) -> set[str]:
    """Requests of every kind; returns what no log may hold."""
    body = {
        "reference": "1060500333",
        "provider": "biller",
        "amount": 50000,
        "name": NAME,
        "phone": PHONE,
        "email": EMAIL,
    }
    made = await client.post("/v1/invoices", body, once="una llave secreta")
    assert made.status == 201
    payment = made.json["payment"]["id"]
    await client.post("/v1/invoices", {**body, "phone": "3167591030x"})
    await client.post("/v1/invoices", data=b"{ not json " + PHONE.encode())
    await client.get(f"/v1/invoices?filter[reference]={body['reference']}")
    await client.put(f"/v1/invoices/{made.json['id']}", {"email": "otro@ejemplo.com"})
    await client.call("GET", f"/payment/{payment}")
    await client.call("GET", f"/{client.slug}/test?q={PHONE}")
    await client.pay(payment, status=409)
    await Client(client.session, client.base_url, "sk_test_wrong", client.account_id, "").get("/v1/invoices")
    # A fault in the middle of a request: the account's time zone is nowhere.
    await world.rows(
        """UPDATE account SET settings = '{"time_zone": "Mars/Olympus"}' WHERE id = $1""", client.account_id
    )
    await asyncio.sleep(0.7)
    assert (await client.post("/v1/invoices", body)).status == 500
    await world.rows("UPDATE account SET settings = '{}' WHERE id = $1", client.account_id)
    await asyncio.sleep(0.7)
    # A row that the database refuses, whose own message would quote it.
    async with plain(world.database_url) as connection:
        await connection.execute(
            "ALTER TABLE invoice ADD CONSTRAINT made_up CHECK (phone IS NULL OR account_id <> "
            f"'{client.account_id}') NOT VALID"
        )
        refused = await client.post("/v1/invoices", body)
        changed = await client.put(f"/v1/invoices/{made.json['id']}", {"phone": "+573001112233"})
        await connection.execute("ALTER TABLE invoice DROP CONSTRAINT made_up")
    assert (refused.status, changed.status) == (500, 500)
    return {
        client.key,
        "sk_test_wrong",
        "una llave secreta",
        PHONE,
        PHONE.removeprefix("+"),
        "3167591030",
        "3001112233",
        EMAIL,
        "otro@ejemplo.com",
        NAME,
        "Rosalba",
        body["reference"],
        payment,
        made.json["id"],
        client.slug,
    }
