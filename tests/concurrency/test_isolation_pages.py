"""A tenant's pages, notices and references are its own: the other half of test_isolation, which walks the dialects.

The page routes are read from the application's own table; one without a case here fails. Bodies are the documents'
examples, with the owner's ids in them, sent by strangers.
"""

import inspect
import json
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from recaudo import app
from recaudo.dialects.treli import ids as treli_ids
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer
from recaudo.web.site import make_site
from tests.concurrency.test_isolation import (
    GATEWAY,
    MOUNTS,
    Owner,
    all_routes,
    everything_of,
    owner,
    speaks,
    strangers,
)
from tests.dialects.onepay.openapi import DOCUMENTS, operations
from tests.dialects.treli.openapi import DOCUMENT as TRELI
from tests.web.visiting import Seen, Visitor
from tests.world import Client, World

__all__ = ["owner", "strangers"]

# What the owner's pages show, and nobody else's may.
MARKS = ("1060500333", "Internet plan", "ana@ejemplo.com", "compras@ejemplo.com", "+573167591030", "Ana Ruiz")
# Prefixes that `app` hands to somebody else than the pages: each is walked by one of the two files.
MOUNTED = {"/v1", "/onepay/v1", "/treli/v1", "/recaudo/v1", "/notices/", "/health", "/metrics", "/"}


def page_routes(world: World) -> set[tuple[str, str]]:
    """The method and path of each page."""
    site: Any = make_site(
        world.core,
        observer=Observer(CollectorRegistry()),
        limiter=RateLimiter(),
        base_url=world.base_url,
        secret_key=world.secret,
        proxy_hops=0,
    )
    return {(m, r.path_format) for r in site._inner.routes for m in r.methods if m in {"GET", "POST"}}


async def cases(owner: Owner, stranger: Client) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """For each page: addresses that a stranger may try, and what is answered. None of them leads to the owner's."""
    theirs = (await stranger.invoice(name="Arriendo", reference="77"))["payment_id"]
    wrong = [id_ for name in ("invoice_id", "intent_id", "customer_id", "receipt_id") for id_ in owner.ids[name]]
    looked = [(f"/payment/{id_}", 404) for id_ in wrong]
    once = owner.ids["intent_id"][0]
    return {
        ("GET", "/payment/{payment_id}"): looked,
        ("POST", "/payment/{payment_id}"): [(path, 403) for path, _ in looked],
        ("GET", "/payment/{payment_id}/details"): [(f"{path}/details", 404) for path, _ in looked],
        ("POST", "/payment/{payment_id}/details"): [(f"{path}/details", 403) for path, _ in looked],
        ("GET", "/payment/{payment_id}/continue"): [(f"{path}/continue", 404) for path, _ in looked],
        ("GET", "/payment/{payment_id}/return/{once_key}"): [(f"/payment/{theirs}/return/{once}", 404)],
        ("GET", "/{slug}"): [(f"/{stranger.slug}", 200), (f"/{owner.ids['customer_id'][0]}", 404)],
        ("GET", "/{slug}/test"): [(f"/{stranger.slug}/test", 200)],
        ("POST", "/{slug}"): [(f"/{stranger.slug}", 403)],
        ("POST", "/{slug}/test"): [(f"/{stranger.slug}/test", 403)],
        ("GET", "/document/{token}"): [(f"/document/{id_}", 404) for id_ in (*wrong, owner.ids["payment_id"][0])],
        ("GET", "/_static/{name}"): [("/_static/../x", 404)],
        ("GET", "/robots.txt"): [("/robots.txt", 200)],
        ("GET", "/favicon.ico"): [("/favicon.ico", 204)],
    }


async def test_every_page_shows_a_stranger_nothing_of_the_owner(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    before = await everything_of(world, owner.client)
    for stranger in strangers:
        tried = await cases(owner, stranger)
        assert set(tried) == page_routes(world), "a page without a case, or a case without its page"
        visitor = Visitor(world.session, world.base_url)
        for (method, _), addresses in tried.items():
            for path, status in addresses:
                # Keys open no pages; whoever sends one gains nothing.
                headers = {"Authorization": f"Bearer {stranger.key}"}
                seen = await visitor.ask(method, path, headers=headers)
                assert seen.status == status, (method, path, seen.status)
                shows_nothing(seen)
    assert await everything_of(world, owner.client) == before


async def test_a_form_of_one_link_pays_nothing_at_another(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    before = await everything_of(world, owner.client)
    for stranger in strangers:
        if stranger.slug == owner.client.slug:
            continue  # live links are paid through the merchant's own gateway
        visitor = Visitor(world.session, world.base_url)
        made = await stranger.invoice(name="Arriendo", reference="77")
        page = await visitor.get(f"/payment/{made['payment_id']}")
        answer = await visitor.submit(page, invoice=owner.ids["invoice_id"][0], payment_id=owner.ids["payment_id"][0])
        assert answer.status < 500
    assert await everything_of(world, owner.client) == before


async def test_a_portal_finds_what_is_owed_to_its_own_account_only(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    await owner.client.invoice(provider_id="another", name="Internet plan - Octubre", reference="1060500333")
    visitor = Visitor(world.session, world.base_url)
    own = await visitor.get(f"/{owner.client.slug}/test")
    assert "Internet plan" in (await visitor.submit(own, query="1060500333")).document.words
    tests = {False: "/test", True: ""}
    for stranger in strangers:
        is_live = not (await world.account(stranger.account_id)).is_test
        page = await visitor.get(f"/{stranger.slug}{tests[is_live]}")
        for query in ("1060500333", *owner.ids["invoice_id"], *owner.ids["payment_id"]):
            found = await visitor.submit(page, query=query)
            assert found.status == 200
            assert "Internet plan" not in found.text
            assert not re.search(r"/payment/[0-9a-f-]{36}", found.text)


async def test_a_notice_address_moves_nothing_of_another(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    gateway = await owner.client.get(f"/recaudo/v1/gateways/{owner.ids['gateway_id'][0]}")
    before = await everything_of(world, owner.client)
    body = json.dumps({"event": "transaction.updated", "data": {"transaction": {"id": owner.ids["intent_id"][0]}}})
    for stranger in strangers:
        made = await stranger.post("/recaudo/v1/gateways", {**GATEWAY, "credentials": credentials_of(stranger)})
        assert made.status == 201, made.json
        assert made.json["notice_url"] != gateway.json["notice_url"]
        own_key = made.json["notice_url"].rsplit("/", 1)[1]
        for key in (own_key, owner.ids["gateway_id"][0], owner.ids["payment_id"][0], own_key[:-1] + "x"):
            visitor = Visitor(world.session, world.base_url)
            headers = {"Authorization": f"Bearer {stranger.key}", "Content-Type": "application/json"}
            seen = await visitor.ask("POST", f"/notices/{key}", headers=headers, data=body.encode())
            assert seen.status in ({401} if key == own_key else {404}), seen
            shows_nothing(seen)
        assert (await stranger.delete(f"/recaudo/v1/gateways/{made.json['id']}")).status in {200, 204}
    await world.drain()
    assert await everything_of(world, owner.client) == before


def credentials_of(client: Client) -> dict[str, str]:
    kind = "test" if client.key.startswith("sk_test") else "prod"
    return {name: text.replace("test", kind) for name, text in GATEWAY["credentials"].items()}


async def test_no_body_ties_a_stranger_to_what_the_owner_has(
    world: World, owner: Owner, strangers: Sequence[Client]
) -> None:
    """Every example of every body, with the owner's ids where it names something: nothing of the owner is moved, and
    no row of the stranger names a row of the owner."""
    before = await everything_of(world, owner.client)
    own = {UUID(id_) for values in owner.ids.values() for id_ in values if is_uuid(id_)}
    own |= {found for values in owner.treli_ids.values() for id_ in values if (found := plain(id_))}
    tried = 0
    for mount, route in all_routes(world.core):
        if route.body == "none" or "{" in route.path:
            continue
        for body in bodies_of(route.operation_id, owner):
            for stranger in strangers:
                answer = await speaks(stranger, mount).call(route.method, mount + route.path, body, once=f"b{tried}")
                assert answer.status < 500, (route.operation_id, answer.json)
                told = json.dumps(answer.json)
                assert owner.client.slug not in told or stranger.slug == owner.client.slug
                tried += 1
    assert tried > 3 * 12
    assert await everything_of(world, owner.client) == before
    for stranger in strangers:
        rows = await everything_of(world, stranger)
        # What was asked is kept as it was sent, beside its idempotency key.
        text = json.dumps(
            {name: found for name, found in rows.items() if name not in {"idempotency", "account"}}, default=str
        )
        assert not [id_ for id_ in own if str(id_) in text]


def bodies_of(operation_id: str, owner: Owner) -> list[Any]:
    """The examples of an operation, with the owner's ids in place of those of the document."""
    found: list[Any] = []
    for document, ids in (
        (DOCUMENTS["onepay"], owner.ids),
        (DOCUMENTS["recaudo"], owner.ids),
        (TRELI, owner.treli_ids),
    ):
        swaps = {
            json.dumps(parameter["example"]): json.dumps(ids[parameter["name"]][0])
            for _, _, operation in operations(document)
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "path" and parameter["name"] in ids
        }
        for _, _, operation in operations(document):
            if operation["operationId"] == operation_id:
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                text = json.dumps([one["value"] for one in content.get("examples", {}).values()])
                for example, real in swaps.items():
                    text = text.replace(example, real)
                found += json.loads(text)
    return found


def is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def plain(text: str) -> UUID | None:
    """The id that Treli's spelling stands for."""
    return treli_ids.read(text.partition("_")[0], text)


def shows_nothing(seen: Seen) -> None:
    found = [mark for mark in MARKS if mark.encode() in seen.body]
    assert not found, (found, seen.body)


def test_every_prefix_of_the_application_is_walked() -> None:
    """Whoever mounts something new must say here, and show in one of these files, that it keeps tenants apart."""
    source = inspect.getsource(app.Application._http)
    told = set(re.findall(r'(?:startswith\(|path == )"([^"]+)"', source))
    assert {prefix.rstrip("/") or "/" for prefix in told} == {p.rstrip("/") or "/" for p in MOUNTED - {"/notices/"}}
    assert set(MOUNTS.values()) <= MOUNTED
    assert "NOTICES_PREFIX" in source


@pytest.mark.parametrize("mount", ["/v1", "/onepay/v1", "/treli/v1", "/recaudo/v1"])
async def test_what_one_key_gets_no_other_gets_from_a_cache(world: World, client: Client, mount: str) -> None:
    """No answer of an API may be kept by anything between: it was made for one key."""
    for path in ("/invoices", "/nothing"):
        answer = await speaks(client, mount).get(mount + path)
        assert "public" not in answer.headers.get("Cache-Control", "")
