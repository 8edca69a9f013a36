"""No secret in the database in clear, in the log, in an error page or in an answer that did not make it.

Known secrets are made with every means there is, and used rightly and wrongly. Then everything that is kept or told is
searched for them: every text and bytea column of every table, the server's log at its most talkative, every answer.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recaudo.usecases import merchants
from tests.concurrency.test_isolation import all_routes
from tests.databases import SECRET, own_database
from tests.dialects.treli.wire import speaks_treli
from tests.receiver import receiving
from tests.web.visiting import Visitor
from tests.world import Answer, Client, World, running

MARK = "KNOWNSECRET"
WOMPI = {
    "public_key": f"pub_test_{MARK}0public0123456789",
    "private_key": f"prv_test_{MARK}1private0123456789",
    "events_secret": f"test_events_{MARK}2events0123456789",
    "integrity_secret": f"test_integrity_{MARK}3integrity0123456789",
}
MERCADOPAGO = {"access_token": f"TEST-{MARK}4token0123456789", "webhook_secret": f"{MARK}5webhook0123456789"}
# A public key is made to be shown.
PUBLIC = {WOMPI["public_key"]}


class Told:
    """Every answer to a client, and which secrets it may hold: those that it was the one to tell."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.answers: list[tuple[str, bytes, str]] = []

    async def call(self, method: str, path: str, body: Any = None, *, treli: bool = False, **options: Any) -> Answer:
        client = speaks_treli(self.client) if treli else self.client
        answer = await client.call(method, path, body, **options)
        self.answers.append((f"{method} {path} {answer.status}", answer.body, str(answer.headers)))
        return answer


@pytest.mark.timeout(180)
async def test_no_secret_is_kept_or_told_in_clear(embedded_url: str, tmp_path: Path) -> None:
    async with own_database(embedded_url) as url, running(url, tmp_path, log_level="debug") as world:
        client = await world.merchant()
        told = Told(client)
        found = await make_secrets(world, told)
        told.answers.clear()
        await use_them(world, told, found)
        await world.drain()
        await no_table_holds(world, found)
        assert_nowhere(found, [(name, body + headers.encode()) for name, body, headers in told.answers])
        log = (tmp_path / "server.log").read_bytes()
        assert log.count(b'"event":"request"') > 100, "the log was read"
    assert_nowhere(found, [("the log", (tmp_path / "server.log").read_bytes())])


async def make_secrets(world: World, told: Told) -> list[str]:
    """One of each kind, all of them known."""
    found = [told.client.key, SECRET, *WOMPI.values(), *MERCADOPAGO.values()]
    for kind, credentials in (("wompi", WOMPI), ("mercadopago", MERCADOPAGO)):
        made = await told.call("POST", "/recaudo/v1/gateways", {"kind": kind, "credentials": credentials})
        assert made.status == 201, made.json
        # Its address is told to its owner in every answer, so that it can be pasted; it is no secret of the answer.
        found.append(made.json["notice_url"].rsplit("/", 1)[1])
    async with receiving() as receiver:
        body = {"name": "ERP", "url": receiver.url, "events": ["invoice.created"]}
        hook = await told.call("POST", "/v1/webhooks", body, once="w")
        found.append(hook.json["data"]["secret"])
        for dialect in ("recaudo", "treli"):
            types = ["invoice.created"]
            own = await told.call(
                "POST",
                "/recaudo/v1/webhooks",
                {"dialect": dialect, "name": "Own", "url": receiver.url, "types": types},
            )
            found.append(own.json["secret"])
        rotated = await told.call("POST", f"/recaudo/v1/webhooks/{own.json['id']}/rotate", {"overlap_hours": 1})
        found.append(rotated.json["secret"])
        await told.client.invoice(provider_id="signed")
        await world.drain()
        await receiver.wait_for(1)
    more = await merchants.create(world.core, "Otro comercio", "otro", settings=None, support_contact="x@ejemplo.com")
    return [*found, more.live.secret_key, more.test.secret_key]


async def use_them(world: World, told: Told, found: Sequence[str]) -> None:
    """Every route, with a body, without one and with one that makes no sense; keys in places where none belong."""
    for mount, route in all_routes(world.core):
        path = mount + route.path.replace("{", "").replace("}", "")
        for body in (None, {"credentials": "x", "kind": "wompi"}) if route.body != "none" else (None,):
            await told.call(route.method, path, body, treli=mount == "/treli/v1")
    visitor = Visitor(world.session, world.base_url)
    for secret in found:
        wrong = Client(told.client.session, told.client.base_url, secret + "x", told.client.account_id, "")
        for client in (wrong, speaks_treli(wrong)):
            answer = await client.get("/v1/invoices")
            assert answer.status == 401
            told.answers.append(("a wrong key", answer.body, str(answer.headers)))
        pair = base64.b64encode(f":{secret}x".encode()).decode()
        await told.call("GET", "/treli/v1/invoices", headers={"Authorization": f"Basic {pair}"})
        await told.call("POST", "/v1/invoices", data=b"{", headers={"Authorization": f"Bearer {told.client.key}"})
        for path in (f"/notices/{secret}x", "/v1/invoices"):
            seen = await visitor.ask("POST", path, headers={"X-Signature": secret}, data=b'{"id":1}')
            told.answers.append((path, seen.body, str(seen.headers)))
    for path in ("/nobody", "/payment/x", "/health", "/metrics", "/onepay/docs", "/onepay/openapi.json"):
        seen = await visitor.get(path)
        told.answers.append((path, seen.body, str(seen.headers)))


async def no_table_holds(world: World, found: Sequence[str]) -> None:
    """Every column of every table, as text and as the bytes it holds, as a dump would show them."""
    columns = await world.rows(
        """
        SELECT c.relname AS "table", a.attname AS "column", t.typname AS "type"
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind IN ('r', 'p', 'm')
          AND a.attnum > 0 AND NOT a.attisdropped
        """
    )
    assert {"bytea", "text", "jsonb"} <= {column["type"] for column in columns}
    rows, is_searched = 0, False
    for column in columns:
        name, table = column["column"], column["table"]
        shown = f'"{name}"' if column["type"] == "bytea" else f"convert_to(\"{name}\"::text, 'UTF8')"
        for row in await world.rows(f'SELECT {shown} AS held FROM "{table}" WHERE "{name}" IS NOT NULL'):
            rows += 1
            is_searched = is_searched or b"Internet plan - Octubre" in bytes(row["held"])
            for secret in set(found) - PUBLIC:
                held = bytes(row["held"])
                for form in forms(secret):
                    assert form not in held, f"{table}.{name} holds a secret in clear"
    assert rows > 200
    assert is_searched, "what is there is found"


def forms(secret: str) -> list[bytes]:
    """As it is, and as text that merely looks unlike it."""
    plain = secret.encode()
    return [plain, base64.b64encode(plain).rstrip(b"="), plain.hex().encode()]


def assert_nowhere(found: Sequence[str], told: Sequence[tuple[str, bytes]]) -> None:
    for name, held in told:
        for secret in set(found) - PUBLIC:
            # A notice address is shown to its owner on purpose: to paste it into the vendor's panel.
            if f"/notices/{secret}".encode() in held and "/gateways" in name:
                continue
            for form in forms(secret):
                assert form not in held, f"{name} tells a secret"
