"""Turns views into HTML: the template environment, the static files, and one render function per page.

No page holds an inline style or script, so that the policy in `front` can forbid both. Call `prepare()` at start: it
reads every template, catalog and static file, so that a broken one stops the program and not the first payer.
"""

import gzip
import hashlib
import re
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recaudo.web.front import content_policy
from recaudo.web.i18n import LANGUAGES, Language, translator
from recaudo.web.qr import qr_svg
from recaudo.web.views import (
    ConfirmationPage,
    DetailsPage,
    FormField,
    HandoffPage,
    Merchant,
    MessagePage,
    PaymentPage,
    PortalPage,
)

Page = PaymentPage | ConfirmationPage | DetailsPage | HandoffPage | PortalPage | MessagePage

TEMPLATE_FOLDER: Final = Path(__file__).parent / "templates"
STATIC_FOLDER: Final = Path(__file__).parent / "static"

# A merchant's slug cannot begin with an underscore, so no portal can ever take this address.
STATIC_PREFIX: Final = "/_static/"

CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

STATIC_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
}

AVATAR_TINTS: Final = 6
OTHER_LANGUAGE: Final[Mapping[Language, Language]] = {"es": "en", "en": "es"}

# Words that say nothing in the initials of a name.
MINOR_WORDS: Final = frozenset({"de", "del", "la", "las", "los", "el", "y", "e", "the", "of", "and"})

EMAIL: Final = re.compile(r"[^\s@<>\"?&]+@[^\s@<>\"?&]+\.[^\s@<>\"?&]+")
# Without a user's name, which could pass for a host, and without what would end a word of a policy.
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
PHONE: Final = re.compile(r"\+?[\d ()-]{7,20}")


@dataclass(frozen=True, kw_only=True)
class StaticFile:
    """A file that pages refer to. Its name carries a hash of its content, so browsers may keep it for ever."""

    hashed_name: str
    content_type: str
    body: bytes
    gzipped: bytes


def render_payment(page: PaymentPage) -> str:
    """The page of one request to pay."""
    return _render("payment.html", page)


def render_confirmation(page: ConfirmationPage) -> str:
    """The page that shows a typed amount back."""
    return _render("confirmation.html", page)


def render_details(page: DetailsPage) -> str:
    """The page that asks what a method wants to know."""
    return _render("details.html", page)


def render_handoff(page: HandoffPage) -> str:
    """The page that leads to another site. Raises `ValueError` when the address is not a web address."""
    is_good = outside_url if page.destination == "gateway" else safe_url
    if is_good(page.url) is None:
        raise ValueError("a hand-off needs an http or https address")
    return _render("handoff.html", page)


def render_portal(page: PortalPage) -> str:
    """The merchant's portal."""
    return _render("portal.html", page)


def render_message(page: MessagePage) -> str:
    """The page of an error; send it with `page.status`."""
    return _render("message.html", page)


def render(page: Page) -> str:
    """Any page."""
    match page:
        case PaymentPage():
            return render_payment(page)
        case ConfirmationPage():
            return render_confirmation(page)
        case DetailsPage():
            return render_details(page)
        case HandoffPage():
            return render_handoff(page)
        case PortalPage():
            return render_portal(page)
        case MessagePage():
            return render_message(page)


def policy(page: Page) -> str:
    """What the page may do. Two pages need more than the rest: one shows a gateway's picture, one sends it a form."""
    if isinstance(page, PaymentPage) and page.step is not None and page.step.kind == "scan":
        return content_policy(images="'self' data:")
    if isinstance(page, HandoffPage) and page.fields is not None:
        return content_policy(forms=origin(page.url))
    return content_policy()


def prepare() -> None:
    """Reads everything a page may need. Raises what is wrong with it."""
    for name in environment().list_templates():
        environment().get_template(name)
    for language in LANGUAGES:
        translator(language)
    static_files()


@cache
def static_files() -> Mapping[str, StaticFile]:
    """The static files by the name that addresses carry, for example `pay.0a1b2c3d4e5f.css`."""
    return {file.hashed_name: file for file in map(_static_file, sorted(STATIC_FOLDER.iterdir()))}


@cache
def static_url(name: str) -> str:
    """The address of a static file. Raises `FileNotFoundError`."""
    return STATIC_PREFIX + _static_file(STATIC_FOLDER / name).hashed_name


@cache
def environment() -> Environment:
    """The template environment: everything is escaped, and a misspelt name is an error, never a blank."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=without_controls,
    )
    # jinja2 leaves the types of its own tables open.
    made.filters |= FILTERS  # pyright: ignore[reportUnknownMemberType]
    made.globals |= {"static_url": static_url, "field": FormField}  # pyright: ignore[reportUnknownMemberType]
    return made


def without_controls(value: object) -> object:
    """What a template prints, free of invisible characters.

    Direction overrides would let the name of a merchant or an invoice turn around the text beside it, a sum for
    example. Every expression of every template passes here, so none can be forgotten.
    """
    # Nearly every text is printable, which is known without looking at each character from here.
    if isinstance(value, Markup) or not isinstance(value, str) or value.isprintable():
        return value
    return "".join(character for character in value if not _is_control(character))


def safe_url(url: str | None) -> str | None:
    """The address if a link may lead there: a web address or a path of this server. Else None."""
    if url is None or any(_is_control(character) or character.isspace() for character in url):
        return None
    is_path = url.startswith("/") and not url.startswith(("//", "/\\"))
    return url if is_path or url.lower().startswith(("https://", "http://")) else None


def outside_url(url: str | None) -> str | None:
    """The address if it is another site's web address, and one that nothing can be hidden in. Else None."""
    if url is None or safe_url(url) is None or url.startswith("/") or not _HOST.fullmatch(urlsplit(url).netloc):
        return None
    return url


def origin(url: str) -> str:
    """The origin of an outside address, as a policy names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def contact_href(contact: str) -> str | None:
    """Where a merchant's contact leads when tapped: mail, telephone or a page. None for free text."""
    if EMAIL.fullmatch(contact):
        return f"mailto:{contact}"
    if PHONE.fullmatch(contact):
        return "tel:" + re.sub(r"[^\d+]", "", contact)
    return safe_url(contact) if contact.lower().startswith("https://") else None


def initials(name: str) -> str:
    """One or two letters for the avatar: `Colegio de San José` gives `CS`."""
    words = [word for word in re.findall(r"\w+", name) if word.lower() not in MINOR_WORDS]
    return "".join(word[0] for word in words[:2]).upper() or "·"


def tint(merchant: Merchant) -> int:
    """Which of the avatar colours a merchant has, always the same one."""
    return zlib.crc32(merchant.slug.encode()) % AVATAR_TINTS


FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "contact_href": contact_href,
    "initials": initials,
    "outside_url": outside_url,
    "qr_svg": qr_svg,
    "safe_url": safe_url,
    "tint": tint,
}


def _render(template: str, page: Page) -> str:
    words = translator(page.lang)
    return (
        environment()
        .get_template(template)
        .render(
            page=page,
            t=words.text,
            t_count=words.count,
            date=words.date,
            moment=words.moment,
            html_language=words.html_language,
            other_language=OTHER_LANGUAGE[page.lang],
        )
    )


def _static_file(path: Path) -> StaticFile:
    # Indentation and comments are for those who read the file here; payers need not download them.
    body = re.sub(rb"(?m)^ +|^ *(//.*|/\*.*\*/)?\n", b"", path.read_bytes())
    if path.suffix == ".css":
        # Spaces that only separate marks; those within words and selectors are kept.
        body = re.sub(rb"([:;,{}]) +| +(?={)", rb"\1", body)
    digest = hashlib.sha256(body).hexdigest()[:12]
    return StaticFile(
        hashed_name=f"{path.stem}.{digest}{path.suffix}",
        content_type=CONTENT_TYPES[path.suffix],
        body=body,
        gzipped=gzip.compress(body, mtime=0),
    )


def _is_control(character: str) -> bool:
    if character in "\n\t":
        return False
    # Zero-width joiners are of the same category but build emoji and letters of some scripts.
    return unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\u200c\u200d"
