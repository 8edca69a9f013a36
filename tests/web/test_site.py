"""The pages over plain HTTP: what every answer carries, whose forms are taken, and who may ask how often."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from recaudo.edge.http import AsgiApp
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer
from recaudo.edge.visitors import visitor_address
from recaudo.store.database import DatabaseAwayError, LockTimeoutError, StaleVersionError
from recaudo.web import limits
from recaudo.web.front import SECURITY_HEADERS, STRICT_TRANSPORT
from recaudo.web.limits import Allowance
from recaudo.web.rendering import STATIC_PREFIX, static_url
from recaudo.web.site import FORM_BYTES_MAX, make_site
from tests.web.visiting import Caller, Visitor, new_reference, path_of, request
from tests.world import Client, World

NOBODYS = "/payment/0198f3a2-7c1e-7b52-9d40-1f6f0d1b2c3d"
FORM = "application/x-www-form-urlencoded"
PAGE_BYTES_MAX = 60_000
USUAL_BYTES_MAX = 18_000


@pytest.fixture
def visitor(world: World) -> Visitor:
    return Visitor(world.session, world.base_url)


async def attempts_of(world: World, client: Client) -> list[Any]:
    return await world.rows("SELECT * FROM attempt WHERE account_id = $1 ORDER BY id", client.account_id)


# What every answer carries.


async def test_every_answer_has_the_headers_that_keep_it_safe(visitor: Visitor, client: Client) -> None:
    page = path_of(await client.invoice())
    for method, path, status in [
        ("GET", page, 200),
        ("HEAD", page, 200),
        ("PUT", page, 405),
        ("POST", page, 403),
        ("GET", NOBODYS, 404),
        ("GET", "/payment/no-es-un-id", 404),
        ("GET", f"/{client.slug}/test", 200),
        ("GET", "/nadie", 404),
        ("GET", "/a/b/c", 404),
        ("GET", "/robots.txt", 200),
        ("GET", "/favicon.ico", 204),
        ("GET", static_url("pay.css"), 200),
        ("GET", STATIC_PREFIX + "no.css", 404),
        ("POST", static_url("pay.css"), 405),
    ]:
        seen = await visitor.ask(method, path)
        assert seen.status == status, (method, path)
        for name, value in SECURITY_HEADERS.items():
            if name != "Cache-Control" or "max-age" not in seen.headers[name]:
                assert seen.headers.getall(name) == [value], (method, path, name)
        assert seen.headers["recaudo-request-id"]
        assert seen.headers.get("Content-Type", "").count("charset") <= 1


async def test_a_redirect_has_them_too(visitor: Visitor, client: Client) -> None:
    page = path_of(await client.invoice())
    paid = await visitor.pay(page)
    assert paid.status == 303
    assert paid.headers["Location"] == page + "?lang=es"
    assert all(paid.headers[name] == value for name, value in SECURITY_HEADERS.items())


async def test_head_answers_like_get_without_the_body(visitor: Visitor, client: Client) -> None:
    page = path_of(await client.invoice())
    head, get = await visitor.ask("HEAD", page), await visitor.get(page)
    assert head.body == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert (await visitor.ask("HEAD", "/nadie")).status == 404


async def test_a_method_that_no_page_knows_is_told_the_ones_it_does(visitor: Visitor, client: Client) -> None:
    assert (await visitor.ask("DELETE", f"/{client.slug}")).headers["Allow"] == "GET, HEAD, POST"
    assert (await visitor.ask("DELETE", static_url("pay.js"))).headers["Allow"] == "GET, HEAD"


async def test_static_files_are_kept_for_ever_and_set_no_cookie(visitor: Visitor) -> None:
    for name in ("pay.css", "pay.js", "icon.svg"):
        plain = await visitor.get(static_url(name))
        assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert plain.headers["Vary"] == "Accept-Encoding"
        assert "Set-Cookie" not in plain.headers
        async with visitor.session.get(
            visitor.base_url + static_url(name), headers={"Accept-Encoding": "gzip, br"}, auto_decompress=False
        ) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await packed.read()) == plain.body


async def test_a_first_visit_is_light(visitor: Visitor, client: Client) -> None:
    fields = {"due_date": "2027-10-20", "description": "Plan de 200 megas", "document_url": "https://example.com/1.pdf"}
    parts = {"partial_payment_config": {"min_amount": 10000, "max_payment_methods": 3}}
    page = await visitor.get(path_of(await client.invoice(**fields, **parts)))
    files = [await visitor.get(path) for path in page.document.loads]
    assert len(files) == 3
    assert len(page.body) + sum(len(file.body) for file in files) < PAGE_BYTES_MAX
    # What travels: pages as they are, the rest packed.
    assert len(page.body) + sum(len(gzip.compress(file.body)) for file in files) < USUAL_BYTES_MAX


# What is nobody's, and what is not for everybody.


async def test_all_that_is_not_there_looks_the_same(visitor: Visitor, client: Client, world: World) -> None:
    await world.rows("UPDATE account SET active = false WHERE id = $1", client.account_id)
    texts = set[str]()
    for path in ["/nadie", f"/{client.slug}/otro", f"/{client.slug}/test", "/no", "/_x", "/a%00b", "/%FF", NOBODYS]:
        seen = await visitor.get(path)
        assert seen.status == 404
        texts.add(seen.document.words)
    assert len(texts) == 1
    await world.rows("UPDATE account SET active = true WHERE id = $1", client.account_id)


@pytest.mark.parametrize(
    "path",
    ["/payment/urn:uuid:{id}", "/payment/{{{id}}}", "/payment/{bare}", "/payment/{id}/x", "/payment/{id}%00"],
)
async def test_a_page_has_one_address_only(visitor: Visitor, client: Client, path: str) -> None:
    payment_id = (await client.invoice())["payment"]["id"]
    seen = await visitor.get(path.format(id=payment_id, bare=payment_id.replace("-", "")))
    assert seen.status == 404


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/%2e", "/\\evil.example", "/%5Cevil.example/x"])
async def test_an_error_page_never_leads_to_another_site(visitor: Visitor, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(visitor.base_url.rsplit(":", 1)[1]))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    links = [part.partition('"')[0] for part in answer.split('href="')[1:]]
    assert links
    assert all(link.startswith("/") and not link.startswith(("//", "/\\")) for link in links)


async def test_the_payers_page_tells_no_contact_metadata_or_reference(visitor: Visitor, client: Client) -> None:
    invoice = await client.invoice(
        reference="1060500333", email="deudor@ejemplo.com", metadata={"zona": "estrato tres"}, provider_id="P-771"
    )
    page = await visitor.get(path_of(invoice))
    for secret in ("3167591030", "deudor@ejemplo.com", "estrato", "1060500333", "P-771", str(client.account_id)):
        assert secret not in page.text
    assert "hola@ejemplo.com" in page.text


async def test_a_live_account_never_shows_the_sandbox(visitor: Visitor, world: World) -> None:
    live = await world.merchant(live=True)
    path = path_of(await live.invoice())
    page = await visitor.get(path)
    assert "Por ahora no se puede pagar en línea" in page.document.words
    assert "hola@ejemplo.com" in page.document.words
    assert "Modo de prueba" not in page.document.words
    assert page.document.fields == {}
    token = {"_csrf_token": visitor.cookies["recaudo_form"]}
    forged = {**token, "method": "sandbox:pse", "outcome": "approve", "full_minor": "5000000", "attempt_key": "k1"}
    again = await visitor.post(path, forged)
    assert "Por ahora no se puede pagar en línea" in again.document.words
    assert await attempts_of(world, live) == []
    assert await world.findings(live.account_id) == []


async def test_a_suspended_account_takes_no_money(visitor: Visitor, client: Client, world: World) -> None:
    path = path_of(await client.invoice())
    page = await visitor.get(path)
    await world.rows("UPDATE account SET active = false WHERE id = $1", client.account_id)
    seen = await visitor.submit(page)
    assert "Por ahora no se puede pagar en línea" in seen.document.words
    assert await attempts_of(world, client) == []
    await world.rows("UPDATE account SET active = true WHERE id = $1", client.account_id)


# Whose forms are taken.


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"_csrf_token": ""}, {}),
        ({"_csrf_token": "0" * 128}, {}),
        ({"_csrf_token": "ñ" * 128}, {}),
        ({}, {"Cookie": ""}),
        ({}, {"Cookie": "recaudo_form=" + "0" * 128}),
        ({}, {"Cookie": "recaudo_form=ñ"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "http://127.0.0.1:1"}),
        ({}, {"Content-Type": "text/plain"}),
        ({}, {"Content-Type": "application/json"}),
        ({}, {"Content-Type": "multipart/form-data; boundary=x"}),
        ({}, {"Content-Type": "multipart/form-data"}),
    ],
)
async def test_a_form_that_is_not_ours_is_refused(
    visitor: Visitor, client: Client, world: World, changes: dict[str, str], headers: dict[str, str]
) -> None:
    page = await visitor.get(path_of(await client.invoice()))
    seen = await visitor.submit(page, headers=headers, **changes)
    assert seen.status == 403
    assert "No se le cobró nada" in seen.document.words
    assert await attempts_of(world, client) == []


async def test_the_token_of_another_browser_is_refused(visitor: Visitor, client: Client, world: World) -> None:
    path = path_of(await client.invoice())
    other = await Visitor(world.session, world.base_url).get(path)
    await visitor.get(path)
    assert (await visitor.submit(other)).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null"},
        {"Origin": "http://cobros.example.com", "Host": "cobros.example.com"},
    ],
)
async def test_our_own_form_is_taken(visitor: Visitor, client: Client, headers: dict[str, str]) -> None:
    page = await visitor.get(path_of(await client.invoice()))
    assert (await visitor.submit(page, headers=headers)).status == 303


async def test_a_refused_form_removes_the_cookie_so_that_a_reload_works(visitor: Visitor, client: Client) -> None:
    path = path_of(await client.invoice())
    visitor.cookies["recaudo_form"] = "a" * 128
    refused = await visitor.pay(path)
    assert refused.status == 403
    assert "Max-Age=0" in refused.cookie
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(refused.cookie.split("; "))
    visitor.cookies.clear()
    assert (await visitor.pay(path)).status == 303


async def test_a_browser_without_cookies_pays_when_it_says_where_the_form_comes_from(
    visitor: Visitor, client: Client
) -> None:
    page = await visitor.get(path_of(await client.invoice()))
    own = {"Cookie": "", "Sec-Fetch-Site": "same-origin"}
    for forged in ("", "0" * 128, "ñ", page.document.fields["_csrf_token"][:-1] + "x"):
        assert (await visitor.submit(page, headers=own, _csrf_token=forged)).status == 403
    again = await visitor.submit(page, headers=own, method="none")
    assert (await visitor.submit(again, headers=own)).status == 303


async def test_another_site_cannot_remove_the_cookie(visitor: Visitor, client: Client) -> None:
    page = await visitor.get(path_of(await client.invoice()))
    refused = await visitor.submit(page, headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status == 403
    assert "Set-Cookie" not in refused.headers


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_huge_form_is_refused(visitor: Visitor, client: Client, world: World, chunked: bool) -> None:
    page = await visitor.get(path_of(await client.invoice()))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(FORM_BYTES_MAX // 8192 + 1):
            yield b"a" * 8192

    data = pieces() if chunked else b"a" * (FORM_BYTES_MAX + 1)
    seen = await visitor.ask("POST", page.document.action, headers={"Content-Type": FORM}, data=data)
    assert seen.status == 413
    assert "No se le cobró nada" in seen.document.words
    assert await attempts_of(world, client) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt_key": "\x00"},
        {"attempt_key": "x" * 1000},
        {"attempt_key": "ñ"},
        {"method": "\x00"},
        {"method": "sandbox:"},
        {"method": "sandbox:cash"},
        {"outcome": "steal"},
        {"lang": "\x00"},
        {"full_minor": "1"},
        {"full_minor": ""},
        {"full_minor": "-5000000"},
        {"choice": "part", "amount": "\x00"},
        {"choice": "part", "amount": "9" * 5000},
        {"choice": "part", "amount": "\u0665\u0660\u0660\u0660\u0660"},
        {"choice": "neither"},
        {"again": "1"},
    ],
)
async def test_whatever_a_form_holds_is_answered_with_a_page(
    visitor: Visitor, client: Client, world: World, changes: dict[str, str]
) -> None:
    seen = await visitor.pay(path_of(await client.invoice()), **changes)
    assert seen.status in {200, 303}
    amounts = [attempt["amount_minor"] for attempt in await attempts_of(world, client)]
    assert amounts in ([], [5_000_000])


@pytest.mark.parametrize("query", ["\x00", "%", "_", "'; --", "x" * 101, "x" * 5000, "\u202e1", "🦆"])
async def test_whatever_is_looked_up_is_a_miss(visitor: Visitor, client: Client, query: str) -> None:
    await client.invoice()
    seen = await visitor.submit(await visitor.get(f"/{client.slug}/test"), query=query)
    assert seen.status == 200
    assert "No encontramos nada por pagar" in seen.document.words


# One form is one payment.


async def test_the_same_form_sent_many_times_is_one_payment(visitor: Visitor, client: Client, world: World) -> None:
    page = await visitor.get(path_of(await client.invoice()))
    first = await asyncio.gather(*[visitor.submit(page) for _ in range(4)])
    late = await visitor.submit(page)
    assert [seen.status for seen in (*first, late)] == [303] * 5
    assert len(await attempts_of(world, client)) == 1


async def test_two_pages_of_one_charge_pay_it_once(visitor: Visitor, client: Client, world: World) -> None:
    path = path_of(await client.invoice())
    mine, theirs = await visitor.get(path), await visitor.get(path)
    assert (await visitor.submit(theirs)).status == 303
    seen = await visitor.submit(mine)
    assert seen.status == 200
    assert "No hicimos este pago ni se le cobró nada" in seen.document.words
    assert "Este cobro ya está pagado" in seen.document.words
    assert len(await attempts_of(world, client)) == 1


async def test_the_merchants_address_keeps_its_own_query_to_the_letter(visitor: Visitor, client: Client) -> None:
    target = "https://tienda.example/ok?firma=a%2Fb%20c&vacio&x=1#hecho"
    payment = await request(client, amount=20000, redirect_url=target)
    page = await visitor.pay(path_of(payment))
    assert page.status == 200
    back = f"https://tienda.example/ok?firma=a%2Fb%20c&vacio&x=1&payment_id={payment['id']}&status=approved#hecho"
    assert back in page.document.links


# Languages.


async def test_the_language_is_the_one_asked_for_then_the_browsers_then_spanish(
    visitor: Visitor, client: Client
) -> None:
    for path in (path_of(await client.invoice()), f"/{client.slug}/test", "/nadie"):
        for asked, accepted, lang in [
            ("", "", "es-CO"),
            ("", "en-US,en;q=0.9,es;q=0.8", "en"),
            ("?lang=es", "en", "es-CO"),
            ("?lang=en", "es-CO", "en"),
            ("?lang=xx", "fr", "es-CO"),
        ]:
            seen = await visitor.get(path + asked, headers={"Accept-Language": accepted})
            assert f'<html lang="{lang}">' in seen.text, (path, asked, accepted)


async def test_the_language_stays_on_every_way_onward(visitor: Visitor, client: Client) -> None:
    reference = new_reference()
    path = path_of(await client.invoice(reference=reference))
    portal = await visitor.get(f"/{client.slug}/test?lang=en")
    found = await visitor.submit(portal, query=reference)
    assert '<html lang="en">' in found.text
    assert path + "?lang=en" in found.document.links
    page = await visitor.get(path + "?lang=en")
    assert f"/{client.slug}/test?lang=en" in page.document.links
    assert (await visitor.submit(page, method="none")).text.startswith('<!doctype html>\n<html lang="en">')
    assert '<html lang="en">' in (await visitor.submit(page, _csrf_token="")).text
    visitor.cookies.clear()
    assert (await visitor.pay(path + "?lang=en")).headers["Location"] == path + "?lang=en"


# The portal.


async def test_the_portal_finds_by_reference_or_document_however_they_are_written(
    visitor: Visitor, client: Client
) -> None:
    reference = new_reference()
    person = await client.post(
        "/v1/customers",
        {
            "first_name": "Ana",
            "last_name": "Rojas",
            "email": "ana@ejemplo.com",
            "phone": "+573001112233",
            "document_type": "CC",
            "document_number": "1032456789",
        },
    )
    assert person.status in {200, 201}, person.json
    await request(client, amount=20000, reference=reference, customer_id=person.json["id"])
    portal = await visitor.get(f"/{client.slug}/test")
    for typed in (reference, f"  {reference.lower()} ", "1032456789", "1.032.456.789", "1 032 456 789"):
        found = await visitor.submit(portal, query=typed)
        assert "Un cobro por pagar" in found.document.words, typed
        for secret in ("Ana", "Rojas", "ana@ejemplo.com", "3001112233"):
            assert secret not in found.text
    for typed in ("1032456", "10324567890", reference[:-1], "%" + reference[1:]):
        assert "No encontramos nada por pagar" in (await visitor.submit(portal, query=typed)).document.words


async def test_the_portal_lists_only_what_can_be_paid_now(visitor: Visitor, client: Client) -> None:
    reference = new_reference()
    paid = await client.invoice(reference=reference, name="Pagada")
    await client.pay(paid["payment"]["id"])
    gone = await client.invoice(reference=reference, name="Retirada")
    await client.delete(f"/v1/invoices/{gone['id']}")
    changed = await client.invoice(reference=reference, name="Cambiada", due_date="2030-01-01")
    new = (await client.put(f"/v1/invoices/{changed['id']}", {"amount": 70000})).json
    late = await client.invoice(reference=reference, name="Atrasada", due_date="2025-01-31")
    await client.invoice(reference=reference + "0", name="Ajena")
    portal = await visitor.submit(await visitor.get(f"/{client.slug}/test"), query=reference)
    payments = [link.partition("?")[0] for link in portal.document.links if link.startswith("/payment/")]
    assert payments == [path_of(late), path_of(new)]
    assert "Venció el 31 de enero de 2025" in portal.document.words
    assert "$ 70.000" in portal.document.words


async def test_what_has_expired_is_not_listed_even_before_anybody_closed_it(visitor: Visitor, client: Client) -> None:
    reference = new_reference()
    soon = (await client.get("/recaudo/v1/clock")).json["now"][:10]
    await request(client, amount=20000, reference=reference, expiration_date=soon)
    await client.advance_clock(days=2)
    portal = await visitor.submit(await visitor.get(f"/{client.slug}/test"), query=reference)
    assert "No encontramos nada por pagar" in portal.document.words


async def test_the_live_portal_and_the_test_portal_do_not_mix(visitor: Visitor, client: Client) -> None:
    reference = new_reference()
    await client.invoice(reference=reference)
    live = await visitor.get(f"/{client.slug}")
    assert "Modo de prueba" not in live.document.words
    assert "No encontramos nada por pagar" in (await visitor.submit(live, query=reference)).document.words


async def test_a_portals_address_may_begin_with_a_capital(visitor: Visitor, client: Client) -> None:
    seen = await visitor.get(f"/{client.slug.capitalize()}/test/")
    assert seen.status == 200
    assert seen.document.action.startswith(f"/{client.slug}/test")


# Who may ask how often. These sites run inside the test, so that visitors can come from anywhere.


def a_site(core: Any, *, base_url: str = "http://localhost", proxy_hops: int = 0) -> AsgiApp:
    return make_site(
        core,
        observer=Observer(CollectorRegistry()),
        limiter=RateLimiter(),
        base_url=base_url,
        secret_key="k" * 40,
        proxy_hops=proxy_hops,
    )


async def look_up(caller: Visitor, portal: str, times: float) -> list[int]:
    page = await caller.get(portal)
    return [(await caller.submit(page, query=f"{i}")).status for i in range(int(times))]


async def test_looking_up_is_slow_for_one_address_and_one_portal_only(world: World, client: Client) -> None:
    site, portal = a_site(world.core), f"/{client.slug}/test"
    burst = limits.LOOKUPS.burst
    assert await look_up(Caller(site), portal, burst + 2) == [200] * int(burst) + [429] * 2
    limited = await Caller(site).pay(portal, query="1")
    assert limited.status == 429
    assert 1 <= int(limited.headers["Retry-After"]) <= 5
    assert "Hizo muchas búsquedas seguidas" in limited.document.words
    assert (await Caller(site).get(portal)).status == 200
    assert await look_up(Caller(site, "10.0.0.2"), portal, 3) == [200] * 3
    assert await look_up(Caller(site), f"/{client.slug}", 1) == [429]
    other = await world.merchant()
    assert await look_up(Caller(site), f"/{other.slug}/test", 3) == [200] * 3


async def test_looking_up_from_many_addresses_is_limited_together(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PORTAL", Allowance(20, 0.1))
    site, portal = a_site(world.core), f"/{client.slug}/test"
    statuses = [s for i in range(5) for s in await look_up(Caller(site, f"10.0.1.{i}"), portal, 5)]
    assert statuses == [200] * 20 + [429] * 5


async def test_nobody_is_locked_out_of_paying_by_those_who_share_their_address(world: World, client: Client) -> None:
    site = a_site(world.core)
    noisy, quiet = path_of(await client.invoice()), path_of(await client.invoice())
    caller = Caller(site)
    page = await caller.get(noisy)
    statuses = [(await caller.submit(page, method="none")).status for _ in range(int(limits.POSTS.burst) + 3)]
    assert statuses == [200] * int(limits.POSTS.burst) + [429] * 3
    await look_up(caller, f"/{client.slug}/test", limits.LOOKUPS.burst + 1)
    refused = await caller.submit(page)
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) <= 5
    assert "Demasiados intentos" in refused.document.words
    assert (await Caller(site).pay(quiet)).status == 303
    assert (await Caller(site, "10.0.0.2").pay(noisy)).status == 303


async def test_behind_a_proxy_nobody_can_make_up_their_address(world: World, client: Client) -> None:
    site, path = a_site(world.core, proxy_hops=1), f"/{client.slug}/test"
    caller = Caller(site)
    page = await caller.get(path)

    async def look_up_as(forwarded_for: str) -> int:
        return (await caller.submit(page, headers={"X-Forwarded-For": forwarded_for}, query="1")).status

    for number in range(int(limits.LOOKUPS.burst)):
        assert await look_up_as(f"9.9.9.{number}, 1.1.1.1") == 200
    assert await look_up_as("8.8.8.8, 1.1.1.1") == 429
    assert await look_up_as("1.1.1.1, 8.8.8.8") == 200


async def test_a_flood_from_one_address_is_turned_away(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VIEWS", Allowance(6, 0.1))
    site, portal = a_site(world.core), f"/{client.slug}/test"
    caller = Caller(site)
    assert [(await caller.get("/nadie")).status for _ in range(8)] == [404] * 6 + [429] * 2
    assert (await caller.get(portal)).status == 429
    assert (await caller.get(static_url("pay.css"))).status == 200
    assert (await Caller(site, "10.0.0.2").get(portal)).status == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "hops", "address"),
    [
        ("10.0.0.1", [], 0, "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], 0, "10.0.0.1"),
        ("10.0.0.1", [], 1, "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1"], 1, "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9, 1.1.1.1"], 1, "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9", "1.1.1.1"], 1, "1.1.1.1"),
        ("10.0.0.1", ["9.9.9.9, 1.1.1.1, 10.0.0.2"], 2, "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1"], 2, "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1:5060"], 1, "1.1.1.1"),
        ("10.0.0.1", ["[2800:e2:1:2:3:4:5:6]:443"], 1, "2800:e2:1:2::"),
        ("2800:e2:1:2:aaaa::1", [], 0, "2800:e2:1:2::"),
        ("2800:e2:1:2:bbbb::9", [], 0, "2800:e2:1:2::"),
        ("fe80::1%eth0", [], 0, "fe80::"),
        ("::ffff:1.1.1.1", [], 0, "1.1.1.1"),
        ("10.0.0.1", ["x" * 5000], 1, "x" * 64),
        (None, [], 0, "unknown"),
    ],
)
def test_a_visitors_address_is_what_trusted_proxies_say(
    peer: str | None, forwarded: list[str], hops: int, address: str
) -> None:
    assert visitor_address(peer, forwarded, proxy_hops=hops) == address


# Where the site is reached, and what it does when it cannot go on.


async def test_over_https_the_cookie_and_the_browser_are_bound_to_it(world: World, client: Client) -> None:
    site = a_site(world.core, base_url="https://cobros.example.com")
    caller, path = Caller(site), path_of(await client.invoice())
    page = await caller.get(path)
    assert page.headers["Strict-Transport-Security"] == STRICT_TRANSPORT
    assert page.cookie.startswith("__Host-recaudo_form=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(page.cookie.split("; "))
    own = {"Host": "127.0.0.1:8000", "Origin": "https://cobros.example.com"}
    assert (await caller.submit(page, headers={**own, "Origin": "https://evil.example"})).status == 403
    caller.cookies["__Host-recaudo_form"] = "a" * 128
    refused = await caller.submit(page)
    assert {"Max-Age=0", "HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(refused.cookie.split("; "))
    caller.cookies.clear()
    assert (await caller.submit(await caller.get(path), headers=own)).status == 303


async def test_over_http_nothing_asks_for_https(visitor: Visitor) -> None:
    assert "Strict-Transport-Security" not in (await visitor.get("/nadie")).headers


class Broken:
    """Stands where the database is and fails as told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def connection(self) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [DatabaseAwayError("gone"), LockTimeoutError("busy"), StaleVersionError("again")])
async def test_a_fault_that_passes_says_when_to_come_back(world: World, error: Exception) -> None:
    site = a_site(msgspec.structs.replace(world.core, database=Broken(error)))
    seen = await Caller(site).get(NOBODYS)
    assert seen.status == 503
    assert seen.headers["Retry-After"] == "2"
    assert "no pague otra vez" in seen.document.words


async def test_a_fault_tells_the_visitor_a_code_and_no_more(world: World) -> None:
    site = a_site(msgspec.structs.replace(world.core, database=Broken(ValueError("clave secreta"))))
    seen = await Caller(site).get(NOBODYS)
    assert seen.status == 500
    assert seen.headers["recaudo-request-id"] in seen.document.words
    assert "clave secreta" not in seen.text
    assert all(seen.headers[name] == value for name, value in SECURITY_HEADERS.items())
