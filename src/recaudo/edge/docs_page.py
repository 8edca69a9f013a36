"""The API reference as one HTML page, made from an OpenAPI document.

The page needs nothing but itself: no script, no font, no image from elsewhere. Its style sheet stands inside and is
allowed by its hash, so that the content security policy can forbid everything else.
"""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from recaudo.edge.docs_view import Command, read
from recaudo.edge.docs_words import WORDS, Lang
from recaudo.edge.http import Reply
from recaudo.edge.openapi import Json

ASSETS: Final = Path(__file__).with_name("docs_assets")
CACHE: Final = ("Cache-Control", "public, max-age=300")
NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")

QUOTE: Final = "'\\''"
"""A single quote inside single quotes, as a shell reads it."""

_JSON_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?)')


def documents(mount: str, document: Json, *, lang: Lang) -> dict[str, Reply]:
    """The replies below a mount such as /onepay: the document and its page, both finished."""
    return {f"{mount}/openapi.json": document_reply(document), f"{mount}/docs": page_reply(document, lang=lang)}


def document_reply(document: Json) -> Reply:
    """The document for programs. Tools in browsers may read it from anywhere: it is public."""
    headers = (CACHE, NOSNIFF, ("Access-Control-Allow-Origin", "*"))
    return Reply(status=200, body=msgspec.json.encode(document), headers=headers)


def page_reply(document: Json, *, lang: Lang) -> Reply:
    """The page, with headers that let a browser run and load nothing."""
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "same-origin"),
        ("X-Frame-Options", "DENY"),
        NOSNIFF,
        CACHE,
    )
    body = render(document, lang=lang, style=style).encode()
    return Reply(status=200, body=body, headers=headers, content_type="text/html; charset=utf-8")


def render(document: Json, *, lang: Lang, style: str) -> str:
    """The page's HTML."""
    words = WORDS[lang]
    reference = read(document, words)
    guide, headings = _guide(reference.guide)
    template = _environment().get_template("page.html")
    return template.render(page=reference, t=words, lang=lang, style=Markup(style), guide=guide, headings=headings)  # noqa: S704 - our own file


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "markdown": _markdown,
        "inline": _inline,
        "json": highlight,
        "curl": _curl,
        "request": _request,
    }
    made.filters |= filters  # pyright: ignore[reportUnknownMemberType] - jinja2 leaves its tables open
    return made


# --- Text ---

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def _markdown(text: str) -> Markup:
    return Markup(_MARKDOWN.render(text))  # noqa: S704 - the renderer escapes, and raw HTML is off


def _inline(text: str) -> Markup:
    return Markup(_MARKDOWN.renderInline(text))  # noqa: S704 - the renderer escapes, and raw HTML is off


def _guide(text: str) -> tuple[Markup, list[tuple[str, str]]]:
    """The guide's HTML, its headings with anchors; and the anchors with their words."""
    tokens = _MARKDOWN.parse(text)
    headings: list[tuple[str, str]] = []
    for opening, words in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            anchor = "guide-" + re.sub(r"\W+", "-", words.content.lower())
            opening.attrSet("id", anchor)
            headings.append((anchor, words.content))
    rendered = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return Markup(rendered), headings  # noqa: S704 - the renderer escapes, and raw HTML is off


def highlight(value: object) -> Markup:
    """A value as indented JSON with coloured parts."""
    return _coloured(_indented(value))


def _indented(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _coloured(text: str) -> Markup:
    pieces: list[str] = []
    end = 0
    for found in _JSON_TOKEN.finditer(text):
        string, colon, word, number = found.groups()
        kind = ("k" if colon else "s") if string else "w" if word else "n"
        pieces += (html.escape(text[end : found.start()], quote=False), f'<span class="{kind}">')
        pieces += (html.escape(string or word or number, quote=False), "</span>", colon or "")
        end = found.end()
    pieces.append(html.escape(text[end:], quote=False))
    return Markup("".join(pieces))  # noqa: S704 - every piece is escaped or ours


def _request(headers: Sequence[tuple[str, str]]) -> Markup:
    """The head of a request that a receiver gets, a header a line."""
    lines = ['<span class="w">POST</span> /']
    lines += [
        f'<span class="k">{html.escape(n, quote=False)}</span>: {html.escape(v, quote=False)}' for n, v in headers
    ]
    return Markup("\n".join(lines))  # noqa: S704 - every piece is escaped or ours


def _curl(command: Command) -> Markup:
    """A request as a command to paste: one option a line, the body in single quotes."""
    lines = [f'<span class="w">curl</span> {html.escape(command.start, quote=False)}']
    for flag, quoted in command.options:
        lines.append(f"  {flag} <span class=\"s\">'{html.escape(quoted, quote=False)}'</span>")
    if command.body is not None:
        text = _indented(command.body).replace("'", QUOTE).replace("\n", "\n  ")
        lines.append(f"  -d '{_coloured(text)}'")
    return Markup(" \\\n".join(lines))  # noqa: S704 - every piece is escaped or ours
