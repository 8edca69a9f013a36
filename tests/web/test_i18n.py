"""The catalogs are complete and in step, and the language is the one the payer reads."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import nodes

from recaudo.web.i18n import (
    LANGUAGES,
    Language,
    MissingMessage,
    choose_language,
    read_catalog,
    translator,
)
from recaudo.web.rendering import TEMPLATE_FOLDER, environment

BOGOTA = ZoneInfo("America/Bogota")


def message_patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every message id that a template asks for; the parts known only when a page is shown match anything."""
    for path in sorted(TEMPLATE_FOLDER.iterdir()):
        tree = environment().parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("t", "t_count"):
                suffix = r"\.(one|other)" if call.node.name == "t_count" else ""
                for pattern in patterns_of(call.args[0]):
                    yield path.name, re.compile(pattern + suffix)


def patterns_of(node: nodes.Expr) -> Iterator[str]:
    if isinstance(node, nodes.CondExpr):
        assert node.expr2 is not None
        yield from patterns_of(node.expr1)
        yield from patterns_of(node.expr2)
    elif isinstance(node, nodes.Concat):
        yield "".join(re.escape(str(part.value)) if isinstance(part, nodes.Const) else r"\w+" for part in node.nodes)
    else:
        assert isinstance(node, nodes.Const), "an id that is not written out cannot be checked"
        yield re.escape(str(node.value))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_id_in_a_template_is_in_the_catalog(language: Language) -> None:
    known = translator(language).messages
    missing = [
        (template, pattern.pattern)
        for template, pattern in message_patterns()
        if not any(pattern.fullmatch(message_id) for message_id in known)
    ]
    assert missing == []


def test_no_message_is_left_over() -> None:
    patterns = [pattern for _, pattern in message_patterns()]
    unused = [
        message_id
        for message_id in translator("es").messages
        if not any(pattern.fullmatch(message_id) for pattern in patterns)
    ]
    assert unused == []


def test_the_catalogs_have_the_same_messages_with_the_same_placeholders() -> None:
    def shape(language: Language) -> dict[str, set[str]]:
        messages = translator(language).messages
        return {message_id: set(re.findall(r"\{(\w+)\}", text)) for message_id, text in messages.items()}

    assert shape("es") == shape("en")


def test_no_message_is_the_same_in_both_languages_except_names() -> None:
    spanish, english = translator("es").messages, translator("en").messages
    same = {message_id for message_id in spanish if spanish[message_id] == english[message_id]}
    names = {f"method.{kind}.label" for kind in ("pse", "nequi", "daviplata", "breb")}
    assert same == names | {"page.title", "page.error_title"}


def test_a_message_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(MissingMessage, match=r"pay\.nothing"):
        translator("es").text("pay.nothing")


def test_a_message_without_text_is_refused(tmp_path: Path) -> None:
    catalog = tmp_path / "es_CO.po"
    catalog.write_text('msgid "pay.button"\nmsgstr ""\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"pay\.button has no text"):
        read_catalog(catalog)


def test_braces_in_a_value_stay_as_they_are() -> None:
    assert translator("es").text("pay.back", merchant="{0} {x}") == "Volver a {0} {x}"


@pytest.mark.parametrize(
    ("asked", "header", "expected"),
    [
        (None, None, "es"),
        (None, "", "es"),
        (None, "es-CO,es;q=0.9,en;q=0.8", "es"),
        (None, "en-US,en;q=0.9,es;q=0.8", "en"),
        (None, "en;q=0.4, es;q=0.6", "es"),
        (None, "fr-FR, en;q=0.5", "en"),
        (None, "de, fr", "es"),
        (None, "en;q=0", "es"),
        (None, "*", "es"),
        (None, "EN-gb", "en"),
        (None, "en;q=lots, ;;;,=", "es"),
        (None, "x" * 100_000 + ",en", "es"),
        ("en", "es-CO", "en"),
        ("es", "en-US", "es"),
        ("fr", "en-US", "en"),
        ("EN", "es", "es"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_browsers_or_spanish(
    asked: str | None, header: str | None, expected: Language
) -> None:
    assert choose_language(asked, header) == expected


def test_dates_read_as_people_write_them() -> None:
    day = date(2025, 10, 20)
    assert translator("es").date(day) == "20 de octubre de 2025"
    assert translator("en").date(day) == "October 20, 2025"


def test_moments_are_told_in_the_zone_they_carry() -> None:
    instant = datetime(2025, 10, 21, 2, 5, tzinfo=UTC).astimezone(BOGOTA)
    spanish = re.sub(r"\s", " ", translator("es").moment(instant))
    english = re.sub(r"\s", " ", translator("en").moment(instant))
    assert spanish == "20 de octubre de 2025, 9:05 p. m."
    assert english == "October 20, 2025, 9:05 PM"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        translator("es").moment(datetime(2025, 10, 20, 9, 5))  # noqa: DTZ001  The mistake itself.


@pytest.mark.parametrize(
    ("number", "expected"), [(1, "Un cobro por pagar"), (2, "2 cobros por pagar"), (0, "0 cobros por pagar")]
)
def test_counts_agree_with_their_number(number: int, expected: str) -> None:
    assert translator("es").count("portal.found", number) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_html_language_is_a_tag_that_browsers_know(language: Language) -> None:
    assert translator(language).html_language == {"es": "es-CO", "en": "en"}[language]
