"""A visitor of the pages without a browser: keeps cookies, reads forms, posts them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from recaudo.edge.http import AsgiApp
from tests.world import Client


class Document(HTMLParser):
    """What a page says, and the fields of its form as a browser would post them untouched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words = ""
        self.page = ""
        self.action = ""
        self.fields: dict[str, str] = {}
        self.links: list[str] = []
        self.loads: list[str] = []
        self._select = ""
        self.feed(html)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        match tag:
            case "main":
                self.page = of.get("data-page", "")
            case "form":
                self.action = of["action"]
            case "input" if of.get("type") != "radio" or "checked" in of:
                self.fields[of["name"]] = of.get("value", "")
            case "select":
                self._select = of["name"]
            case "option" if "selected" in of or self._select not in self.fields:
                self.fields[self._select] = of["value"]
            case "a":
                self.links.append(of["href"])
            case "link":
                self.loads.append(of["href"])
            case "script":
                self.loads.append(of["src"])
            case _:
                pass

    def handle_data(self, data: str) -> None:
        self.words += data


@dataclass
class Seen:
    """An answer."""

    status: int
    headers: CIMultiDict[str] | CIMultiDictProxy[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def document(self) -> Document:
        return Document(self.text)

    @property
    def cookie(self) -> str:
        return self.headers.get("Set-Cookie", "")


@dataclass
class Visitor:
    """Somebody with cookies. The test's session keeps none for bare addresses."""

    session: aiohttp.ClientSession
    base_url: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, data: Any = None) -> Seen:
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()))
        seen = await self.send(method, path, sent, data)
        name, _, rest = seen.cookie.partition("=")
        if name:
            self.cookies[name] = rest.partition(";")[0].strip('"')
        return seen

    async def send(self, method: str, path: str, headers: Mapping[str, str], data: Any) -> Seen:
        url = self.base_url + path
        async with self.session.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
            return Seen(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Seen:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> Seen:
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return await self.ask("POST", path, headers=sent, data=urlencode(fields).encode())

    async def submit(self, page: Seen, *, headers: Mapping[str, str] | None = None, **changes: str) -> Seen:
        """Post a page's form, with some fields changed."""
        return await self.post(page.document.action, {**page.document.fields, **changes}, headers=headers)

    async def pay(self, path: str, **changes: str) -> Seen:
        """Open a page and post its form."""
        page = await self.get(path)
        return await self.submit(page, headers=None, **changes)


class Caller(Visitor):
    """A visitor of a site that runs inside the test, who may come from any address."""

    def __init__(self, site: AsgiApp, address: str = "10.0.0.1") -> None:
        self.site = site
        self.address = address
        self.cookies = {}

    async def send(self, method: str, path: str, headers: Mapping[str, str], data: Any) -> Seen:
        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": route,
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (self.address, 1),
            "server": ("localhost", 80),
        }
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": data or b"", "more_body": False}

        async def keep(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self.site(scope, receive, keep)
        found = CIMultiDict((name.decode(), value.decode()) for name, value in sent[0]["headers"])
        return Seen(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def path_of(paid: Mapping[str, Any]) -> str:
    """The path of the page of an invoice or a payment."""
    payment: Mapping[str, Any] = paid.get("payment") or paid
    return f"/payment/{payment['id']}"


async def request(client: Client, **fields: Any) -> dict[str, Any]:
    """Create a stand-alone request to pay and return it."""
    answer = await client.post("/v1/payments", {"title": "Donación", **fields})
    assert answer.status == 201, answer.json
    return answer.json


def new_reference() -> str:
    return f"REF-{secrets.token_hex(4)}"
