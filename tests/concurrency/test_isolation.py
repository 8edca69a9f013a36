"""A tenant sees and changes only its own: every route of every dialect is tried with a stranger's key.

The routes are read from the routers' own tables, so that a new one is tried without a word here. The strangers are
another merchant, and the live account of the same merchant.
"""

import asyncio
import importlib
import inspect
import pkgutil
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

import recaudo.dialects
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.auth import TEST_CACHE_S, Authenticator
from recaudo.edge.routing import Route
from recaudo.store import views
from recaudo.store.accounts import insert_key
from recaudo.store.gateway_notices import Suspense, keep_suspense
from recaudo.store.gateways import Reconciliation, insert_reconciliation
from recaudo.usecases.core import Core
from tests.dialects.treli.wire import speaks_treli
from tests.receiver import Receiver, receiving
from tests.world import Answer, Client, World

# Where each dialect is reached whatever the scheme of the Authorization header.
MOUNTS = {"onepay": "/onepay/v1", "recaudo": "/recaudo/v1", "treli": "/treli/v1"}
# Routes that a dialect has elsewhere: the function of its module, and where they are.
ELSEWHERE = {"treli": ("register_routes", "/recaudo/v1")}

# Bodies with which an owner would succeed, by operation; any other needs none.
BODIES: dict[str, dict[str, Any]] = {
    "settleRefund": {"state": "failed", "evidence": "x"},
    "startAttempt": {"method": "card", "amount_minor": 2000000},
    "updateInvoice": {"name": "Un nombre nuevo", "amount": 60000},
    "patchInvoice": {"name": "Un nombre nuevo", "amount": 60000},
    "payInSandbox": {"amount": 20000},
    "updateWebhook": {"name": "Otro nombre"},
    "patchWebhook": {"name": "Otro nombre"},
    "updateGateway": {"position": 3},
    "startRefund": {"amount_minor": 100, "reason": "Un error"},
    "resolveSuspense": {"resolution": "Registrado en FV-1"},
    "undoReceipt": {"reason": "Era de otro cliente"},
    "putCertificate": {"number": "ICA-1"},
}
# Lists that are the same for everybody.
SAME_FOR_ALL = {"listGatewayKinds"}
# Operations that only test accounts have: a live key is told so before anything is looked for.
TEST_ACCOUNTS_ONLY = {"payInSandbox"}
ONCE = "the owner's own key"


def all_routes(core: Core) -> list[tuple[str, Route]]:
    """Every route of every dialect, with its mount."""
    found: list[tuple[str, Route]] = []
    for name, mount in MOUNTS.items():
        module = importlib.import_module(f"recaudo.dialects.{name}.routes")
        parts = {
            "core": core,
            "authenticator": Authenticator(core.database),
            "policy": UrlPolicy(),
            "stop": asyncio.Event(),
        }
        wanted = inspect.signature(module.Operations).parameters.values()
        operations = module.Operations(*(parts[p.name] for p in wanted if p.default is p.empty))
        found += [(mount, route) for route in module.routes(operations)]
        if name in ELSEWHERE:
            function, other = ELSEWHERE[name]
            found += [(other, route) for route in getattr(module, function)(operations)]
    return found


def speaks(client: Client, mount: str) -> Client:
    """The client with the scheme that a mount wants."""
    return speaks_treli(client) if mount == MOUNTS["treli"] else client


class Owner:
    """A test account with one of everything."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ids: dict[str, list[str]] = {}
        self.treli_ids: dict[str, list[str]] = {}

    async def set_up(self, world: World, receiver: Receiver) -> None:
        made = await self.client.post("/v1/invoices", INVOICE, once=ONCE)
        replaced = await self.client.put(f"/v1/invoices/{made.json['id']}", {"amount": 50000}, once=ONCE)
        old, new = made.json["payment"]["id"], replaced.json["payment"]["id"]
        paid = await self.client.pay(new, amount=20000)
        customer = await self.client.post("/v1/customers", CUSTOMER, once=ONCE)
        assert (made.status, replaced.status, customer.status) == (201, 200, 201), customer.json
        webhook = await self.client.post("/v1/webhooks", {**WEBHOOK, "url": receiver.url}, once=ONCE)
        sample = await self.client.post(f"/v1/webhooks/{webhook.json['data']['id']}/test")
        replay = await self.client.post("/recaudo/v1/events/replay", {"only_failed": True})
        assert (webhook.status, sample.status, replay.status) == (201, 200, 202), replay.json
        await receiver.wait_for(1)
        await world.drain()
        self.ids = {
            "invoice_id": [made.json["id"]],
            "payment_id": [new, old],
            "intent_id": [paid["payment_intent_id"]],
            "collection_id": [new, old],
            "attempt_id": [paid["payment_intent_id"]],
            "customer_id": [customer.json["id"]],
            "webhook_id": [webhook.json["data"]["id"]],
            "delivery_id": [sample.json["data"]["delivery_id"]],
            "replay_id": [replay.json["id"]],
        }
        await self.set_up_registers()
        await self.set_up_money(world, UUID(made.json["id"]))

    async def set_up_money(self, world: World, invoice_id: UUID) -> None:
        """A gateway (nobody answers where it is), a refund of the payment, and what comparisons leave behind."""
        own = "/recaudo/v1"
        gateway = await self.client.post(f"{own}/gateways", GATEWAY, once=ONCE)
        (row,) = await world.rows("SELECT id FROM receipt WHERE invoice_id = $1 AND kind = 'gateway'", invoice_id)
        refund = await self.client.post(f"{own}/receipts/{row['id']}/refund", MANUAL_REFUND, once=ONCE)
        assert (gateway.status, refund.status) == (201, 201), (gateway.json, refund.json)
        self.ids["gateway_id"] = [gateway.json["id"]]
        self.ids["receipt_id"] = [str(row["id"])]
        self.ids["refund_id"] = [refund.json["id"]]
        self.ids["suspense_id"] = [await self.compared(world)]
        file = await self.client.post(f"{own}/imports", data=FILE, headers={"Content-Type": "text/csv"}, once=ONCE)
        assert file.status == 202, file.json
        self.ids["import_id"] = [file.json["id"]]
        await world.drain()

    async def compared(self, world: World) -> str:
        """A comparison, and a transaction in suspense that somebody explained already: the doctor must be content."""
        core, account = world.core, await world.account(self.client.account_id)
        moment = core.moment(account)
        money = {"gateway_tx_id": "11004-1", "reference": None, "amount_minor": 100, "currency": "COP"}
        entry = Suspense(
            account_id=account.id,
            id=moment.new_id(),
            gateway="wompi",
            reason="unmatched",
            fact={},
            found_at=moment.now,
            resolved_at=moment.now,
            resolution="Devuelto",
            **money,
        )
        made = Reconciliation(
            account_id=account.id,
            id=moment.new_id(),
            gateway="wompi",
            since=moment.now,
            until=moment.now,
            transactions=0,
            differences=[],
            made_at=moment.now,
        )
        async with core.database.connection() as connection:
            await keep_suspense(connection, [entry])
            await insert_reconciliation(connection, made)
        return str(entry.id)

    async def set_up_registers(self) -> None:
        """One of everything that Treli's clients know."""
        treli, registers = MOUNTS["treli"], "/recaudo/v1"
        customer = await self.make(f"{treli}/customers", TRELI_CUSTOMER)
        product = await self.make(f"{treli}/products", {"name": "Internet"})
        price = await self.make(f"{treli}/prices", {"product_id": product, "unit_price": "20000.00"})
        items = [{"price": price}]
        invoice = {"customer": customer, "items": items, "invoice_number": "FV-1"}
        alone = {"customer": customer, "items": items, "discounts": [{"amount": "1.00"}]}
        collection = await speaks_treli(self.client).post(f"{treli}/collections", alone, once=ONCE)
        self.treli_ids = {
            "customer_id": [customer],
            "product_id": [product],
            "price_id": [price],
            "invoice_id": [await self.make(f"{treli}/invoices", invoice)],
            "collection_id": [collection.json["id"]],
            "discount_id": [collection.json["discounts"][0]["id"]],
        }
        note = {"invoice": self.treli_ids["invoice_id"][0], "amount": "1.00", "reason": "Devolución"}
        self.treli_ids["credit_note_id"] = [await self.make(f"{treli}/credit_notes", note)]
        retention = {"kind": "reteica", "name": "ICA", "percentage": "0.966"}
        self.ids["retention_id"] = [await self.make(f"{registers}/retentions", retention)]
        withheld = {**invoice, "invoice_number": "FV-2", "invoice_retentions": {"reteica": self.ids["retention_id"][0]}}
        paid = await self.make(f"{treli}/invoices", withheld, once="another")
        await self.make(f"{treli}/invoices/{paid}/pay", {"method": "cash"})
        (receipt, *_) = (await self.client.get(f"{registers}/receipts")).json["data"]
        (withholding,) = (await self.client.get(f"{registers}/withholdings")).json["data"]
        self.ids["receipt_id"] = [receipt["id"]]
        self.ids["withheld_invoice_id"] = [withholding["invoice_id"]]
        self.ids["withheld_retention_id"] = [withholding["retention_id"]]
        self.ids["rule_id"] = [await self.make(f"{registers}/collection_rules", {"name": "Amable", "moments": []})]

    async def make(self, path: str, body: dict[str, Any], *, once: str = ONCE) -> str:
        made = await speaks_treli(self.client).post(path, body, once=once)
        assert made.status == 200, made.json
        return made.json["id"]

    def paths(self, mount: str, route: Route) -> list[str]:
        """The route's path with each of the owner's ids, as the mount's dialect writes them."""
        names = re.findall(r"{(\w+)}", route.path)
        ids = self.treli_ids if mount == MOUNTS["treli"] else self.ids
        paths = [route.path] if names else []
        for name in names:
            assert name in ids, f"{route.path}: make an object for {{{name}}} in set_up, so that it is tried"
            paths = [path.replace(f"{{{name}}}", id_) for path in paths for id_ in ids[name]]
        return paths


INVOICE = {
    "reference": "1060500333",
    "provider": "biller",
    "provider_id": "987654",
    "amount": 50000,
    "name": "Internet plan - Octubre",
    "phone": "+573167591030",
    "partial_payment_config": {"min_amount": 20000},
}
CUSTOMER = {
    "user_type": "natural",
    "first_name": "Ana",
    "last_name": "Ruiz",
    "email": "ana@ejemplo.com",
    "phone": "+573167591030",
    "document_type": "CC",
    "document_number": "1060500333",
}
TRELI_CUSTOMER = {
    "full_name": "Empresa SAS",
    "email": "compras@ejemplo.com",
    "billing_address": {"identification": "900123456", "id_type": "NIT"},
}
WEBHOOK = {"name": "ERP", "events": ["webhook.failing"]}
GATEWAY = {
    "kind": "wompi",
    "credentials": {
        "public_key": "pub_test_0123456789abcdef",
        "private_key": "prv_test_0123456789abcdef",
        "events_secret": "test_events_0123456789abcdef",
        "integrity_secret": "test_integrity_0123456789abcdef",
    },
}
# Its row is refused, so that there is a report.
FILE = b"factura;contrato;valor;concepto;celular;vencimiento\r\nFV-1;106;85.000;Internet;3167591030;31/10/2025\r\n"
MANUAL_REFUND = {"amount_minor": 100, "reason": "Un error", "way": "panel", "evidence": "Recibo 12"}


@pytest.fixture
async def owner(world: World, client: Client) -> AsyncIterator[Owner]:
    """With nothing due, so that whatever changes was changed by somebody."""
    async with receiving() as receiver:
        made = Owner(client)
        await made.set_up(world, receiver)
        yield made


@pytest.fixture
async def strangers(world: World, owner: Owner) -> list[Client]:
    """Another merchant's test and live keys, and the live key of the owner's own merchant."""
    return [await world.merchant(), await world.merchant(live=True), await sibling(world, owner.client)]


async def sibling(world: World, client: Client) -> Client:
    """The live account of the same merchant, opened with a key of its own."""
    (row,) = await world.rows(
        """
        SELECT live.id FROM account mine JOIN account live USING (merchant_id)
        WHERE mine.id = $1 AND NOT live.is_test
        """,
        client.account_id,
    )
    key, core = f"sk_live_{uuid4().hex}", world.core
    async with core.database.connection() as connection:
        await insert_key(connection, account_id=row["id"], key_id=uuid4(), kind="secret", key=key, at=core.clock.now())
    return Client(client.session, client.base_url, key, row["id"], client.slug)


async def everything_of(world: World, client: Client) -> dict[str, Any]:
    """Every row of an account, in every table that has accounts."""
    tables = await world.rows(
        "SELECT table_name AS name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND column_name = 'account_id' ORDER BY 1"
    )
    found = {
        t["name"]: await world.rows(
            f"SELECT to_jsonb(t)::text AS row FROM {t['name']} t WHERE account_id = $1 ORDER BY 1", client.account_id
        )
        for t in tables
    }
    assert {"invoice", "collection", "attempt", "receipt", "transfer", "event", "customer"} <= set(found)
    rows = {name: [r["row"] for r in values] for name, values in found.items()}
    return {**rows, "account": await world.account(client.account_id)}


def test_every_dialect_is_tried() -> None:
    assert {m.name for m in pkgutil.iter_modules(recaudo.dialects.__path__)} == set(MOUNTS)


async def test_a_stranger_finds_nothing_at_any_route_and_changes_nothing(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    before = await everything_of(world, owner.client)
    tried = 0
    for mount, route in all_routes(world.core):
        for path in owner.paths(mount, route):
            for stranger in strangers:
                for once in (ONCE,) if route.once == "required" else (None, ONCE):
                    answer = await knock(speaks(stranger, mount), route, mount + path, once)
                    assert_not_found(answer, route, await world.account(stranger.account_id))
                    tried += 1
    assert tried >= 6 * 13, "the routes of the first version at least"
    assert await everything_of(world, owner.client) == before


async def knock(client: Client, route: Route, path: str, once: str | None) -> Answer:
    """What the owner would send. With the owner's own idempotency key too: it must not replay the owner's answer."""
    body = BODIES.get(route.operation_id, {}) if route.body != "none" else None
    return await client.call(route.method, path, body, once=once if route.once != "none" else None)


def assert_not_found(answer: Answer, route: Route, account: Any) -> None:
    what = f"{route.method} {route.path}: {answer.status} {answer.body!r}"
    if route.operation_id in TEST_ACCOUNTS_ONLY and not account.is_test:
        assert answer.status == 403, what
        return
    assert answer.status == 404, what
    assert "not_found" in {answer.json.get("code_name"), answer.json.get("code")}, what
    assert "Idempotent-Replayed" not in answer.headers, what


async def test_the_same_requests_succeed_for_the_owner(world: World, owner: Owner) -> None:
    """Otherwise the 404s above would prove nothing."""
    unlike = {404}
    for mount, route in all_routes(world.core):
        for path in owner.paths(mount, route):
            if route.method == "DELETE":
                continue
            answer = await knock(speaks(owner.client, mount), route, mount + path, None)
            assert answer.status not in unlike, f"{route.method} {route.path}: {answer.json}"
    gone: set[str] = set()
    for mount, route in all_routes(world.core):
        if route.method == "DELETE":
            for path in owner.paths(mount, route):
                answer = await knock(speaks(owner.client, mount), route, mount + path, None)
                # What one dialect removed, another does not find.
                allowed = {404} if path in gone else {200, 204, 409}
                assert answer.status in allowed, f"{route.method} {route.path}: {answer.json}"
                gone.add(path)


async def test_lists_never_show_rows_of_others_however_they_are_filtered(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    ids = [id_ for known in (owner.ids, owner.treli_ids) for values in known.values() for id_ in values]
    event = (await owner.client.get("/recaudo/v1/deliveries")).json["data"][0]
    filters = [
        "",
        *(f"filter[id]={id_}" for id_ in ids),
        "filter[reference]=1060500333",
        "filter[provider]=biller",
        "filter[provider_id]=987654",
        "filter[external_id]=987654",
        "filter[document_number]=1060500333",
        "filter[email]=ana@ejemplo.com",
        "filter[phone]=%2B573167591030",
        *(f"{name}={id_}" for name in ("subject", "endpoint") for id_ in ids),
        f"event={event['event_id']}",
        "state=delivered",
        "type=invoice.created",
        "email=compras@ejemplo.com",
        "identification=900123456",
        *(f"{name}={id_}" for name in ("start_after", "product_id") for id_ in ids),
        *(f"{name}={id_}" for name in ("invoice", "customer") for id_ in ids),
        "kind=reteica",
        "open=true",
        "open=false",
        "limit=100",
        "certified=false",
        *(f"{name}={id_}" for name in ("invoice", "customer") for id_ in ids),
    ]
    lists = [
        (mount, route)
        for mount, route in all_routes(world.core)
        if route.method == "GET"
        and not owner.paths(mount, route)
        and route.tag != "clock"
        and route.operation_id not in SAME_FOR_ALL
    ]
    assert len(lists) >= 8
    for mount, route in lists:
        own = await speaks(owner.client, mount).get(mount + route.path)
        assert len(own.json["data"]) >= 1, f"{route.path}: the owner's own list must not be empty"
        for stranger in strangers:
            for text in filters:
                answer = await speaks(stranger, mount).get(f"{mount}{route.path}?{text}")
                if answer.status == 400:
                    continue  # this list has no such filter
                assert answer.status == 200, answer.json
                assert (answer.json.get("total", 0), answer.json["data"]) == (0, []), f"{route.path}?{text}"


async def test_a_stranger_cannot_tie_anything_to_a_customer_of_another(
    owner: Owner, strangers: Sequence[Client]
) -> None:
    (customer_id,) = owner.ids["customer_id"]
    for stranger in strangers:
        for made_up in (customer_id, str(uuid4())):
            payment = await stranger.post("/v1/payments", {"title": "Cuota", "amount": 50000, "customer_id": made_up})
            related = await stranger.post(
                "/v1/customers", {**CUSTOMER, "document_number": "52000111", "related_to": made_up}
            )
            assert (payment.status, related.status) == (422, 422), (payment.json, related.json)
            assert customer_id not in str(payment.json["message"])


async def test_names_and_keys_of_one_tenant_are_free_in_another(owner: Owner, strangers: Sequence[Client]) -> None:
    """The same idempotency key, invoice number, document and reference: nobody is in anybody's way."""
    for stranger in strangers:
        invoice = await stranger.post("/v1/invoices", INVOICE, once=ONCE)
        customer = await stranger.post("/v1/customers", CUSTOMER, once=ONCE)
        assert (invoice.status, customer.status) == (201, 201), (invoice.json, customer.json)
        assert "Idempotent-Replayed" not in invoice.headers
        assert invoice.json["id"] not in owner.ids["invoice_id"]
        assert customer.json["id"] not in owner.ids["customer_id"]
        assert (await stranger.get("/v1/invoices")).json["total"] == 1


async def test_moving_a_clock_moves_nobody_elses(world: World, owner: Owner) -> None:
    stranger = await world.merchant()
    await owner.client.post(
        "/v1/payments", {"title": "Cuota", "amount": 50000, "expiration_date": "2099-12-31T00:00:00Z"}
    )
    before = await everything_of(world, owner.client)
    await stranger.advance_clock(days=30)
    await world.drain()
    assert await everything_of(world, owner.client) == before


async def test_a_live_key_cannot_move_the_clock(strangers: Sequence[Client]) -> None:
    for stranger in strangers[1:]:
        answer = await stranger.call("PUT", "/recaudo/v1/clock", {"advance_seconds": 60})
        assert answer.status == 403, answer.json


async def test_what_a_payer_types_in_a_portal_finds_only_that_account(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    async with world.core.database.connection() as connection:
        assert await views.find_payable(connection, owner.client.account_id, "1060500333")
        for stranger in strangers:
            assert await views.find_payable(connection, stranger.account_id, "1060500333") == []


async def test_keys_that_open_nothing_are_refused_at_every_route(world: World, owner: Owner) -> None:
    (public,) = await world.rows(
        "SELECT count(*) AS n FROM api_key WHERE account_id = $1 AND kind = 'public'", owner.client.account_id
    )
    assert public["n"] == 1
    for mount, route in all_routes(world.core):
        path = mount + (owner.paths(mount, route) or [route.path])[0]
        for key in ("", "sk_test_nobody", owner.client.key + "x", owner.client.key[:-1], owner.client.key.upper()):
            stranger = Client(owner.client.session, world.base_url, key, owner.client.account_id, "")
            answer = await speaks(stranger, mount).call(route.method, path, {} if route.body != "none" else None)
            assert answer.status == 401, f"{route.method} {route.path}"


async def test_a_revoked_key_and_a_suspended_account_open_nothing(world: World, owner: Owner) -> None:
    client = owner.client
    await world.rows("UPDATE account SET active = false WHERE id = $1", client.account_id)
    await forgotten()
    assert (await client.get("/v1/invoices")).status == 403
    await world.rows("UPDATE account SET active = true WHERE id = $1", client.account_id)
    await world.rows(
        "UPDATE api_key SET revoked_at = now() WHERE account_id = $1 AND kind = 'secret'", client.account_id
    )
    await forgotten()
    assert (await client.get("/v1/invoices")).status == 401


async def forgotten() -> None:
    """Wait until the server looks test keys up again."""
    await asyncio.sleep(TEST_CACHE_S + 0.1)
