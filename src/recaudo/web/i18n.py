"""The words of the pages: which language to speak, the message catalogs, and dates as people write them.

Catalogs are the `.po` files in `locales/`, read once and kept in memory. Their message ids are names
(`pay.total_due`), not sentences, so that both languages are translations and neither is the original.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final, Literal

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.pofile import read_po

Language = Literal["es", "en"]

LANGUAGES: Final[tuple[Language, ...]] = ("es", "en")
DEFAULT_LANGUAGE: Final[Language] = "es"
LOCALE_NAMES: Final[Mapping[Language, str]] = {"es": "es_CO", "en": "en"}
CATALOG_FOLDER: Final = Path(__file__).parent / "locales"

# A header longer than this is not a browser's; what follows the limit is ignored.
ACCEPT_LANGUAGE_LIMIT: Final = 500


class MissingMessage(LookupError):
    """A page asked for a message id that its catalog does not have."""


@dataclass(frozen=True)
class Translator:
    """One language: its messages, its plural rule and its dates."""

    language: Language
    locale: Locale
    messages: Mapping[str, str]

    @property
    def html_language(self) -> str:
        """The language as the `lang` attribute wants it, for example `es-CO`."""
        return LOCALE_NAMES[self.language].replace("_", "-")

    def text(self, message_id: str, **values: object) -> str:
        """The message with its `{placeholders}` filled in. Raises `MissingMessage`."""
        message = self.messages.get(message_id)
        if message is None:
            raise MissingMessage(f"{message_id} is not in the catalog {LOCALE_NAMES[self.language]}")
        return message.format(**values)

    def count(self, message_id: str, number: int) -> str:
        """The message for a number of things: `message_id` with `.one` or `.other`, which may use `{count}`."""
        form = "one" if self.locale.plural_form(number) == "one" else "other"
        return self.text(f"{message_id}.{form}", count=number)

    def date(self, day: date) -> str:
        """A day as a person writes it: `20 de octubre de 2025`."""
        return format_date(day, "long", locale=self.locale)

    def moment(self, instant: datetime) -> str:
        """A day and a time, in the zone the instant carries: `20 de octubre de 2025, 3:45 p. m.`."""
        if instant.tzinfo is None:
            raise ValueError("a moment needs a time zone to be shown to a person")
        clock = format_time(instant, "short", tzinfo=instant.tzinfo, locale=self.locale)
        return f"{self.date(instant.date())}, {clock}"


@cache
def translator(language: Language) -> Translator:
    """The translator of a language; its catalog is read the first time only."""
    name = LOCALE_NAMES[language]
    return Translator(language, Locale.parse(name), read_catalog(CATALOG_FOLDER / f"{name}.po"))


def read_catalog(path: Path) -> dict[str, str]:
    """The messages of one catalog by id. A message left empty is refused: nobody should read a blank."""
    with path.open("rb") as file:
        catalog = read_po(file, charset="utf-8", abort_invalid=True)
    messages: dict[str, str] = {}
    for message in catalog:
        if not isinstance(message.id, str) or message.id == "":
            continue
        if not isinstance(message.string, str) or not message.string:
            raise ValueError(f"{path.name}: {message.id} has no text")
        messages[message.id] = message.string
    return messages


def choose_language(asked: str | None, accept_language: str | None) -> Language:
    """The language asked for in the address, else the browser's first one that we speak, else Spanish."""
    for language in LANGUAGES:
        if asked == language:
            return language
    for tag in _tags_by_preference(accept_language or ""):
        for language in LANGUAGES:
            if tag.split("-")[0] == language:
                return language
    return DEFAULT_LANGUAGE


def _tags_by_preference(header: str) -> list[str]:
    """Language tags of an Accept-Language header, the most wanted first, the refused (`q=0`) left out."""
    weighted = [(weight, tag) for tag, weight in _weighted_tags(header[:ACCEPT_LANGUAGE_LIMIT]) if weight > 0]
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _weighted_tags(header: str) -> Iterator[tuple[str, float]]:
    for part in header.split(","):
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        yield tag.strip().lower(), _weight(value) if name == "q" else 1.0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
