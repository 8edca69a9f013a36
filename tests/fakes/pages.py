"""The vendors' pages as a payer sees them, and a payer without a browser who presses their buttons."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from aiohttp import web

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --line: #d9dee6; --paper: #fff; --brand: #2b3a67 }
* { box-sizing: border-box }
body { margin: 0; background: #eef1f5; color: var(--ink); font: 17px/1.45 system-ui, sans-serif }
header { background: var(--brand); color: #fff; padding: 14px 20px; font-weight: 600 }
header small { display: block; font-weight: 400; opacity: .85 }
main { max-width: 460px; margin: 20px auto; padding: 20px; background: var(--paper); border-radius: 14px }
h1 { font-size: 1.15rem; margin: 0 0 .6rem }
.amount { font-size: 2rem; font-weight: 700; margin: .2rem 0 1rem }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1.2rem; font-size: .95rem }
dt { color: var(--soft) } dd { margin: 0; text-align: right; overflow-wrap: anywhere }
label, select, input { display: block; width: 100%; font: inherit } label { color: var(--soft); font-size: .9rem }
select, input { padding: 12px; margin: 4px 0 16px; border: 1px solid var(--line);
  border-radius: 10px; background: #fff }
button, .button { display: block; width: 100%; min-height: 50px; margin: 0 0 10px; padding: 12px; font: inherit;
  font-weight: 600; text-align: center; text-decoration: none; border-radius: 10px; border: 1px solid var(--line);
  background: #fff; color: var(--ink); cursor: pointer }
button.main, .button.main { background: var(--brand); border-color: var(--brand); color: #fff }
button:focus-visible, a:focus-visible { outline: 3px solid #f5a623; outline-offset: 2px }
.note { color: var(--soft); font-size: .9rem }
.error { border-left: 4px solid #b3261e; padding-left: 14px }
"""


def page(vendor: str, title: str, body: str, *, brand: str = "#2b3a67", status: int = 200) -> web.Response:
    """A page in the vendor's name that says plainly that it is none of the vendor's."""
    html = f"""<!doctype html>
<html lang="es">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · {escape(vendor)} de mentira</title>
<style>{_STYLE}:root {{ --brand: {brand} }}</style>
</head>
<body>
<header>{escape(vendor)} de mentira<small>Simulador local: aquí no se mueve dinero</small></header>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""
    return web.Response(text=html, content_type="text/html", status=status)


def errors(texts: Iterable[str]) -> str:
    """What is wrong, as a list."""
    return '<ul class="error" role="alert">' + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def amount(minor: int, currency: str) -> str:
    """An amount as Colombians write it: `$ 50.000`."""
    whole, cents = divmod(minor, 100)
    text = f"{whole:,}".replace(",", ".") + (f",{cents:02d}" if cents else "")
    return f'<p class="amount">$ {text} <small>{escape(currency)}</small></p>'


def facts(rows: Mapping[str, str]) -> str:
    """Names and values in two columns."""
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows.items() if v) + "</dl>"


def choice(name: str, label: str, options: Mapping[str, str]) -> str:
    """One of several."""
    items = "".join(f'<option value="{escape(k)}">{escape(v)}</option>' for k, v in options.items())
    return f'<label>{escape(label)}<select name="{escape(name)}">{items}</select></label>'


def form(action: str, hidden: Mapping[str, str], buttons: Mapping[str, str], inside: str = "") -> str:
    """A form whose buttons say what is to happen; the first is the main one."""
    kept = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in hidden.items())
    pressed = "".join(
        f'<button name="choice" value="{escape(k)}"{"" if i else CLASS_MAIN}>{escape(v)}</button>'
        for i, (k, v) in enumerate(buttons.items())
    )
    return f'<form method="post" action="{escape(action)}">{kept}{inside}{pressed}</form>'


CLASS_MAIN = ' class="main"'


def link(url: str, text: str) -> str:
    """A link that looks like a button."""
    return f'<a class="button main" href="{escape(url)}">{escape(text)}</a>'


def note(text: str) -> str:
    """A line of small print."""
    return f'<p class="note">{escape(text)}</p>'


def moment(when: datetime) -> str:
    """A time for people."""
    return when.strftime("%d/%m/%Y %H:%M UTC")


# -- The payer ---------------------------------------------------------------------------------------------------------


class _Forms(HTMLParser):
    """The first form of a page: where it goes, what it hides, which buttons and options it offers."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self.options: dict[str, list[str]] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        match tag:
            case "form" if not self.action:
                self.action = values["action"]
            case "input" if values.get("type") == "hidden":
                self.fields[values["name"]] = values["value"]
            case "button":
                self.buttons.append(values["value"])
            case "select":
                self._select = values["name"]
                self.options[self._select] = []
            case "option":
                self.options[self._select].append(values["value"])
            case _:
                pass


@dataclass
class Page:
    """A page that the payer sees."""

    url: str
    status: int
    html: str
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict[str, str])
    buttons: list[str] = field(default_factory=list[str])
    options: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def text(self) -> str:
        """What it says, without the markup."""
        body = re.sub(r"<style>.*?</style>", " ", self.html, flags=re.DOTALL)
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).strip()


class Payer:
    """Somebody who opens a vendor's page and presses a button. Stops where the vendor sends them back to the merchant.

    async with Payer() as payer:
        back = await payer.pay(url, "approve")      # "https://merchant.example/r/token?id=...&env=test"
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """What the payer's requests go through."""
        assert self._session is not None, "use `async with Payer()`"
        return self._session

    async def open(self, url: str, fields: Mapping[str, str] | None = None) -> Page:
        """Open a page; `fields` are those of a GET form, such as Wompi's checkout."""
        async with self.session.get(url, params=fields) as answer:
            html = await answer.text()
            forms = _Forms()
            forms.feed(html)
            action = urljoin(str(answer.url), forms.action) if forms.action else ""
            return Page(str(answer.url), answer.status, html, action, forms.fields, forms.buttons, forms.options)

    async def press(self, seen: Page, choice: str = "scenario", **filled: str) -> str:
        """Press a button. Answers where the payer is sent; empty when the vendor keeps them.

        `scenario` is a button that is not on the page: what the scenario of the reference says happens.
        """
        form = {**seen.fields, "choice": choice, **filled}
        async with self.session.post(seen.action, data=form, allow_redirects=False) as answer:
            if answer.status in (302, 303):
                return answer.headers["Location"]
            if answer.status != 200:
                raise RuntimeError(f"the vendor's page says {answer.status}: {await answer.text()}")
            return ""

    async def pay(
        self, url: str, choice: str = "scenario", *, fields: Mapping[str, str] | None = None, **filled: str
    ) -> str:
        """Open a page and press a button."""
        seen = await self.open(url, fields)
        if seen.status != 200 or not seen.action:
            raise RuntimeError(f"the vendor's page says {seen.status}: {seen.text}")
        return await self.press(seen, choice, **filled)
