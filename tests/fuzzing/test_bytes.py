"""Whatever bytes come in from outside, the server answers them, and never with a fault of its own.

Each test makes requests for one place where strangers' bytes are read: bodies, queries and cursors, paths and ids,
headers, gateways' notices, forms. They go to a real server. The requests are the same in each run; `make fuzz` makes
others, and many more (RECAUDO_FUZZ_TIMES).
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given, strategies as st

from recaudo.edge.routing import Route
from tests.concurrency.test_isolation import MOUNTS, Owner, all_routes
from tests.dialects.onepay.openapi import DOCUMENTS, operations, references
from tests.dialects.treli.openapi import DOCUMENT as TRELI
from tests.fuzzing.wire import ask, examples, request
from tests.receiver import receiving
from tests.web.visiting import Visitor, path_of
from tests.world import Client, World

# --- What is sent ---

anything = st.text(st.characters(codec=None), max_size=12)
SAMPLES = ("+573167591030", "2025-12-31", "COP", "10000.00", "https://example.com", "\x00", "x" * 3000, "NIT", "true")
numbers = st.integers(-(10**30), 10**30).map(str) | st.sampled_from(("1e400", "-0.0", "5e4", "1E-999999999", "0.10"))
leaves = st.sampled_from(("null", "true", "false")) | numbers | (anything | st.sampled_from(SAMPLES)).map(json.dumps)


def member_names(document: Any) -> set[str]:
    """The name of each member of a document's schemas."""
    found: set[str] = set()
    if isinstance(document, dict):
        found |= set(document["properties"]) if isinstance(document.get("properties"), dict) else set()
        found.update(*(member_names(value) for value in document.values()))
    elif isinstance(document, list):
        found.update(*(member_names(value) for value in document))
    return found


NAMES = sorted(set().union(*(member_names(d) for d in (*DOCUMENTS.values(), TRELI))))


def joined(items: list[str]) -> str:
    return f"[{','.join(items)}]"


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = (st.sampled_from(NAMES) | anything).map(json.dumps)
    members = st.lists(st.tuples(names, values), max_size=6)
    return members.map(lambda pairs: "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}")


values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3).map(joined) | objects(inner), max_leaves=6)
bodies = objects(values).map(str.encode) | st.binary(max_size=200)
# What a header may hold, and what no client sends: without the bytes that end it.
header_bytes = st.binary(max_size=80).map(lambda b: bytes(c for c in b if c >= 0x20 and c != 0x7F))


# --- Where it is sent ---


@dataclass
class Stage:
    """An owner with one of everything, and every route with their ids in its path."""

    client: Client
    owner: Owner
    routes: Sequence[tuple[str, Route, str]]
    examples: Mapping[str, Sequence[dict[str, Any]]]
    notice_paths: Sequence[str]

    def headers(self, mount: str, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        key = self.client.key
        basic = base64.b64encode(f"{key}:".encode()).decode()
        value = f"Basic {basic}" if mount == MOUNTS["treli"] else f"Bearer {key}"
        return [(b"Authorization", value.encode()), *more]

    def lists(self) -> list[tuple[str, Route, str]]:
        return [it for it in self.routes if it[1].method == "GET" and "{" not in it[1].path]

    def writes(self) -> list[tuple[str, Route, str]]:
        return [it for it in self.routes if it[1].body != "none"]


@pytest.fixture(scope="module")
async def stage(world: World) -> Stage:
    client = await world.merchant()
    owner = Owner(client)
    async with receiving() as receiver:
        await owner.set_up(world, receiver)
    found: list[tuple[str, Route, str]] = []
    for mount, route in all_routes(world.core):
        path = (owner.paths(mount, route) or [route.path])[0]
        found.append((mount, route, mount + path))
    shown = {
        operation["operationId"]: [one["value"] for one in _examples(operation)]
        for document in (*DOCUMENTS.values(), TRELI)
        for _, _, operation in operations(document)
    }
    made = await client.post("/recaudo/v1/gateways", MERCADO_PAGO)
    assert made.status == 201, made.json
    gateways = (await client.get("/recaudo/v1/gateways")).json["data"]
    paths = [gateway["notice_url"].removeprefix(world.base_url) for gateway in gateways]
    return Stage(client, owner, found, shown, paths)


MERCADO_PAGO = {
    "kind": "mercadopago",
    "credentials": {"access_token": "TEST-" + "0" * 40, "webhook_secret": "s" * 64},
}


def _examples(operation: dict[str, Any]) -> list[dict[str, Any]]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return list(content.get("examples", {}).values())


JSON = (b"Content-Type", b"application/json")


@examples(300)
@given(data=st.data())
def test_any_body_at_any_route(stage: Stage, data: st.DataObject) -> None:
    mount, route, path = data.draw(st.sampled_from(stage.writes()))
    once = (b"Idempotency-Key" if mount != MOUNTS["onepay"] else b"x-idempotency", b"%d" % data.draw(st.integers(0)))
    raw = request(route.method, path.encode(), stage.headers(mount, JSON, once), data.draw(bodies))
    ask(stage.client.base_url, raw).check()


@examples(300)
@given(data=st.data())
def test_any_member_in_a_good_body(stage: Stage, data: st.DataObject) -> None:
    """The documents' own examples with one member, at any depth, replaced by anything."""
    told = [it for it in stage.writes() if stage.examples.get(it[1].operation_id)]
    mount, route, path = data.draw(st.sampled_from(told))
    body = json.dumps(data.draw(st.sampled_from(stage.examples[route.operation_id])))
    spots = [m.span(1) for m in re.finditer(r'(?<=": )("(?:[^"\\]|\\.)*"|[^,{}\[\]]+|\{\}|\[\])', body)] or [(0, 0)]
    start, end = data.draw(st.sampled_from(spots))
    changed = body[:start] + data.draw(values) + body[end:]
    once = (b"Idempotency-Key" if mount != MOUNTS["onepay"] else b"x-idempotency", b"m%d" % data.draw(st.integers(0)))
    raw = request(route.method, path.encode(), stage.headers(mount, JSON, once), changed.encode())
    ask(stage.client.base_url, raw).check()


QUERY_NAMES = sorted(
    {
        parameter["name"]
        for document in (*DOCUMENTS.values(), TRELI)
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter.get("in") == "query"
    }
    - {"wait"}
)


@examples(300)
@given(data=st.data())
def test_any_query_at_any_list(stage: Stage, data: st.DataObject) -> None:
    mount, route, path = data.draw(st.sampled_from(stage.lists()))
    ids = [id_ for known in (stage.owner.ids, stage.owner.treli_ids) for values_ in known.values() for id_ in values_]
    texts = st.binary(max_size=40) | st.sampled_from([id_.encode() for id_ in ids]) | anything.map(_utf8)
    sent = data.draw(st.lists(st.tuples(st.sampled_from(QUERY_NAMES), texts), max_size=5))
    query = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in sent)
    ask(stage.client.base_url, request(route.method, f"{path}?{query}".encode(), stage.headers(mount))).check()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@examples(120)
@given(data=st.data())
def test_a_cursor_that_was_changed_is_refused_or_shows_the_own_list(stage: Stage, data: st.DataObject) -> None:
    mount, route, path = data.draw(st.sampled_from(stage.lists()))
    page = ask(stage.client.base_url, request("GET", f"{path}?limit=1".encode(), stage.headers(mount))).json
    cursor = page.get("next_cursor") if isinstance(page, dict) else None
    at = data.draw(st.integers(0, 60))
    changed = (cursor or "A" * 60)[:at].encode() + data.draw(st.binary(max_size=8)) + (cursor or "")[at + 1 :].encode()
    for name in ("cursor", "start_after"):
        target = f"{path}?{name}={quote_from_bytes(changed)}".encode()
        told = ask(stage.client.base_url, request("GET", target, stage.headers(mount)))
        told.check()
        assert told.status in {200, 400, 422}, (route.path, told)


targets = st.binary(max_size=60).map(lambda b: bytes(c for c in b if c > 0x20 and c != 0x7F))


@examples(300)
@given(data=st.data())
def test_any_id_and_any_path(stage: Stage, data: st.DataObject) -> None:
    mount, route, path = data.draw(st.sampled_from(stage.routes))
    odd = data.draw(targets | targets.map(lambda b: quote_from_bytes(b).encode()) | st.sampled_from(ODD_IDS))
    parts = path.encode().split(b"/")
    parts[data.draw(st.integers(1, len(parts) - 1))] = odd
    body = b"{}" if route.body != "none" else b""
    raw = request(route.method, b"/".join(parts), stage.headers(mount, JSON), body)
    ask(stage.client.base_url, raw).check()


ODD_IDS = (b"..", b"%2e%2e", b"%00", b"%ff", b"*", b"{id}", b"'", b"col_" + b"z" * 24, b"0" * 4000, b"//", b"%2F")


HEADERS = (
    *(b"Authorization", b"Idempotency-Key", b"x-idempotency", b"Content-Type", b"Accept", b"Accept-Language"),
    *(b"X-Forwarded-For", b"X-Forwarded-Proto", b"Cookie", b"Origin", b"Sec-Fetch-Site", b"Expect", b"Host"),
    *(b"Content-Encoding", b"Range", b"If-None-Match", b"User-Agent", b"Accept-Encoding"),
)
header_values = header_bytes | st.sampled_from(
    [b"Bearer ", b"Basic Og==", b"Basic ====", b"Bearer \xff", b"application/json; charset=\xff", b"a=b; a=\x80"]
)


@examples(250)
@given(
    data=st.data(),
    sent=st.lists(st.tuples(st.sampled_from(HEADERS), header_values), min_size=1, max_size=4),
    is_mine=st.booleans(),
)
def test_any_header(stage: Stage, data: st.DataObject, sent: list[tuple[bytes, bytes]], is_mine: bool) -> None:
    mount, route, path = data.draw(st.sampled_from([*stage.routes, *PAGES]))
    own = stage.headers(mount) if is_mine else []
    body = b"{}" if route is None or route.body != "none" else b""
    method = "GET" if route is None else route.method
    ask(stage.client.base_url, request(method, path.encode(), [*own, *sent], body)).check()


PAGES = [("", None, path) for path in ("/v1/invoices", "/nobody", "/payment/x", "/notices/x", "/health", "/metrics")]


@examples(200)
@given(data=st.data())
def test_any_length_and_any_framing(stage: Stage, data: st.DataObject) -> None:
    """Lengths that lie, chunks that are none: an answer or a closed connection, and the next request is answered."""
    framing = data.draw(
        st.tuples(st.just(b"Content-Length"), st.integers(-5, 10**20).map(lambda n: b"%d" % n) | header_bytes)
        | st.tuples(st.just(b"Transfer-Encoding"), st.sampled_from([b"chunked", b"gzip, chunked", b"x"]) | header_bytes)
    )
    body = data.draw(st.binary(max_size=100) | st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffff\r\n"]))
    headers = stage.headers("/onepay/v1", JSON, framing)
    raw = request("POST", data.draw(st.sampled_from([b"/onepay/v1/invoices", b"/notices/x" * 3, b"/nobody"])), headers)
    answer = ask(stage.client.base_url, raw + body, half_close=True)
    assert answer.status is None or answer.status < 500, answer
    assert ask(stage.client.base_url, request("GET", b"/health", [])).status == 200


NOTICE_HEADERS = (b"x-event-checksum", b"x-signature", b"x-request-id", b"content-type")
NOTICE_BODIES = (
    b'{"event":"transaction.updated","data":{"transaction":{"id":"1"}},"signature":{"checksum":"x"},"timestamp":1}',
    b'{"id":1,"type":"payment","action":"payment.updated","data":{"id":"2"},"live_mode":false}',
)


@examples(200)
@given(
    which=st.integers(0, 1),
    body=bodies | values.map(str.encode) | st.sampled_from(NOTICE_BODIES),
    headers=st.lists(st.tuples(st.sampled_from(NOTICE_HEADERS), header_bytes | st.just(b"ts=1,v1=00")), max_size=3),
    query=st.lists(
        st.tuples(st.sampled_from(["data.id", "type", "id", "topic", "x"]), anything.map(_utf8)), max_size=3
    ),
)
def test_any_notice(
    stage: Stage, which: int, body: bytes, headers: list[tuple[bytes, bytes]], query: list[tuple[str, bytes]]
) -> None:
    target = f"{stage.notice_paths[which]}?{urlencode(query)}".encode()
    told = ask(stage.client.base_url, request("POST", target, headers, body))
    assert told.status in {200, 401, 429}, told


FORM_NAMES = ("amount", "method", "outcome", "_csrf_token", "lang", "again", "query", "bank", "email", "phone", "x")


@pytest.mark.parametrize("where", ["payment", "portal", "details"])
async def test_any_form(world: World, where: str) -> None:
    client = await world.merchant()
    visitor = Visitor(world.session, world.base_url)
    made = await client.invoice()
    paths = {"payment": path_of(made), "portal": f"/{client.slug}/test", "details": path_of(made) + "/details"}
    page = await visitor.get(paths["payment"] if where == "details" else paths[where])
    fields = page.document.fields
    drawn: list[list[tuple[str, bytes]]] = []

    @examples(18)
    @given(st.lists(st.tuples(st.sampled_from((*FORM_NAMES, *fields)), st.binary(max_size=30)), max_size=6))
    def draw(sent: list[tuple[str, bytes]]) -> None:
        drawn.append(sent)

    draw()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for number, sent in enumerate(drawn):
        if number % 18 == 17 and where != "portal":
            # A link takes twenty forms in a row.
            paths["payment"] = path_of(await client.invoice(provider_id=f"f-{number}"))
            paths["details"] = paths["payment"] + "/details"
        posted = [*sent, *((name, _utf8(value)) for name, value in fields.items())]
        data = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in posted)
        seen = await visitor.ask("POST", paths[where], headers=headers, data=data.encode())
        assert seen.status < 500, (sent, seen.body)
        for name in FORM_NAMES[:6]:
            asked = urlencode([(name, value) for _, value in sent])
            assert (await visitor.get(f"{paths[where]}?{asked}")).status < 500, asked


def test_the_documents_name_members_to_try() -> None:
    assert {"amount", "partial_payment_config", "collection_rule_id", "credentials", "only_failed"} <= set(NAMES)
    assert any(references(TRELI))
