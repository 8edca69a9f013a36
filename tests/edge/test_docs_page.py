"""The API reference's pages: complete, whole without anything from elsewhere, and usable in a browser of any size."""

import base64
import hashlib
import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page as Tab, Route, sync_playwright

from recaudo.edge.docs_page import page_reply
from recaudo.edge.docs_words import WORDS
from recaudo.edge.http import Reply
from tests.dialects.onepay.openapi import BASE_URL, DOCUMENTS, operations
from tests.world import World

PAGES: dict[str, Reply] = {
    name: page_reply(document, lang="es" if name == "onepay" else "en") for name, document in DOCUMENTS.items()
}
WIDTHS = [(360, 800), (800, 1000), (1280, 900)]

every_page = pytest.mark.parametrize("name", PAGES)


class Elements(HTMLParser):
    """The elements of a page with their attributes, its text, and what was never closed."""

    EMPTY = frozenset(("meta", "link", "wbr", "rect", "path", "br", "hr"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "pre":
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if "pre" in self.open:
            self.blocks[-1] += data


def html_of(name: str) -> str:
    return PAGES[name].body.decode()


@every_page
def test_every_operation_is_on_the_page_and_in_its_contents(name: str) -> None:
    html = html_of(name)
    ids = [attributes["id"] for _, attributes in Elements(html).found if attributes.get("id")]
    assert len(ids) == len(set(ids))
    contents = html[html.index("<nav") : html.index("</nav>")]
    for method, path, operation in operations(DOCUMENTS[name]):
        assert ids.count(operation["operationId"]) == 1
        assert f'href="#{operation["operationId"]}"' in contents
        assert f'<span class="method {method}">{method.upper()}</span><code>{path}</code>' in html


@every_page
def test_every_type_of_event_is_on_the_page_with_the_object_it_tells_of(name: str) -> None:
    html = html_of(name)
    for type_, item in DOCUMENTS[name]["webhooks"].items():
        row = html.partition(f'<tr id="event-{type_}">')[2].partition("</tr>")[0]
        assert f"<code>{type_}</code>" in row
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]["allOf"][0]["$ref"]
        assert f'href="#x-{schema.rpartition("/")[2].lower()}"' in row
    for parameter in DOCUMENTS[name]["components"]["parameters"].values():
        shown = parameter["example"].replace("&", "&amp;")
        assert f'<span class="k">{parameter["name"]}</span>: {shown}' in html


@every_page
def test_the_page_is_well_formed_and_its_links_lead_somewhere(name: str) -> None:
    elements = Elements(html_of(name))
    assert elements.open == []
    ids = {attributes.get("id") for _, attributes in elements.found}
    links = [attributes["href"] or "" for tag, attributes in elements.found if tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert {link for link in links if not link.startswith("#")} == {"openapi.json"}


@every_page
def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(name: str) -> None:
    html = html_of(name)
    for tag, attributes in Elements(html).found:
        assert tag not in {"script", "iframe", "img", "object", "embed", "form", "base"}
        assert not any(key.startswith("on") or key in {"style", "src", "srcset"} for key in attributes), attributes
        if tag == "link":
            assert attributes["rel"] == "icon"
            assert str(attributes["href"]).startswith("data:")
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


@every_page
def test_the_policy_allows_the_style_sheet_inside_and_nothing_else(name: str) -> None:
    headers = dict(PAGES[name].headers)
    style = html_of(name).partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = headers["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@every_page
def test_every_request_can_be_pasted_into_a_shell(name: str) -> None:
    commands = [block for block in Elements(html_of(name)).blocks if block.startswith("curl ")]
    described = list(operations(DOCUMENTS[name]))
    assert len(commands) == len(described)
    server = DOCUMENTS[name]["servers"][0]["url"]
    for command, (method, path, operation) in zip(commands, described, strict=True):
        words = shlex.split(command)
        address = next(word for word in words if word.startswith(BASE_URL))
        assert re.fullmatch(re.escape(server) + re.sub(r"\\\{\w+\\\}", "[0-9a-f-]{36}", re.escape(path)), address)
        assert "Authorization: Bearer sk_test_xxx" in words
        assert method_of(words) == method
        if "-d" in words:
            body = msgspec.json.decode(words[words.index("-d") + 1])
            examples = operation["requestBody"]["content"]["application/json"]["examples"].values()
            assert body == next(iter(examples))["value"]
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header" and parameter["required"]:
                assert f"{parameter['name']}: {parameter['example']}" in words


def method_of(words: list[str]) -> str:
    if "-X" in words:
        return words[words.index("-X") + 1].lower()
    return "post" if "-d" in words else "get"


def test_a_quote_in_an_example_does_not_end_the_body() -> None:
    document = msgspec.json.decode(msgspec.json.encode(DOCUMENTS["onepay"]))
    body = document["paths"]["/customers"]["post"]["requestBody"]["content"]["application/json"]
    body["examples"]["persona"]["value"] = {"first_name": "D'Artagnan $(rm) `x` <b>"}
    elements = Elements(page_reply(document, lang="es").body.decode())
    command = next(block for block in elements.blocks if "Artagnan" in block and block.startswith("curl "))
    words = shlex.split(command)
    assert msgspec.json.decode(words[words.index("-d") + 1]) == body["examples"]["persona"]["value"]


def test_every_error_is_on_the_page_once() -> None:
    html = html_of("onepay")
    every = html[html.index('id="all-errors"') :]
    codes = re.findall(r'<summary><span class="status">\d+</span><code>(\w+)</code>', every)
    shown = {
        example["value"]["code_name"]
        for response in DOCUMENTS["onepay"]["components"]["responses"].values()
        for example in response["content"]["application/json"]["examples"].values()
    }
    assert sorted(codes) == sorted(shown)


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["es"].keys() == WORDS["en"].keys()
    assert '<html lang="es">' in html_of("onepay")
    assert '<html lang="en">' in html_of("recaudo")


@pytest.mark.parametrize("name", ["onepay", "recaudo"])
async def test_the_page_is_served_to_anyone(world: World, name: str) -> None:
    address = f"{world.base_url}/{name}/docs"
    async with world.session.get(address) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.headers["content-security-policy"] == dict(PAGES[name].headers)["Content-Security-Policy"]
        # Curl lines name the address that the operator published.
        assert BASE_URL not in await response.text()
    async with world.session.head(address) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with world.session.post(address) as response:
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


# --- In a browser ---


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


def opened(browser: Browser, size: tuple[int, int], complaints: list[str], **options: Any) -> Tab:
    """A tab with the OnePay page, served with its real headers."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text))

    def answer(route: Route) -> None:
        reply = PAGES["onepay"]
        headers = {**dict(reply.headers), "Content-Type": reply.content_type}
        if route.request.url.partition("#")[0] == f"{BASE_URL}/onepay/docs":
            route.fulfill(status=200, body=reply.body, headers=headers)
        else:
            complaints.append(route.request.url)
            route.abort()

    context.route("**/*", answer)
    tab.goto(f"{BASE_URL}/onepay/docs")
    return tab


@pytest.mark.browser
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_the_window_and_asks_for_nothing(browser: Browser, size: tuple[int, int], scheme: Any) -> None:
    complaints: list[str] = []
    tab = opened(browser, size, complaints, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == size[0]
    # The style sheet was allowed: its colours are there.
    assert tab.evaluate("getComputedStyle(document.body).display") == ("grid" if size[0] >= 960 else "block")
    assert complaints == []
    tab.context.close()


@pytest.mark.browser
def test_the_contents_open_and_close_without_a_script_on_a_telephone(browser: Browser) -> None:
    tab = opened(browser, WIDTHS[0], [], java_script_enabled=False)
    contents = tab.locator("#contents")
    assert not contents.is_visible()
    tab.locator(".bar .menu").click()
    assert contents.is_visible()
    tab.locator('#contents a[href="#deleteInvoice"]').click()
    assert not contents.is_visible()
    box = tab.locator("#deleteInvoice h3").bounding_box()
    assert box is not None
    assert 0 < box["y"] < 300
    tab.context.close()
