"""The documentation says what the program has, and the program has what the documentation says."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import CollectorRegistry

from recaudo.cli import app
from recaudo.dialects.onepay import parse
from recaudo.dialects.onepay.endpoints import _ENDPOINT
from recaudo.dialects.onepay.errors import TABLE
from recaudo.dialects.onepay.routes import Operations, routes
from recaudo.dialects.onepay.webhooks import TYPES
from recaudo.dialects.recaudo.openapi_errors import errors as own_errors
from recaudo.dialects.recaudo.routes import Operations as OwnOperations, routes as own_routes
from recaudo.dialects.treli import (
    addresses,
    credit_notes,
    customers,
    prices,
    products,
    retentions,
    routes as treli_routes,
    rules,
)
from recaudo.dialects.treli.errors import TABLE as TRELI_TABLE
from recaudo.domain.events import EVENT_TYPES
from recaudo.domain.model import Account
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.observe import Observer
from recaudo.gateways.sandbox import METHODS, Outcome
from recaudo.store.doctor import CHECKS

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "recaudo"
REFERENCE = ROOT / "docs" / "reference"

VARIABLE = re.compile(r"\bRECAUDO_[A-Z]+(?:_[A-Z]+)*\b")
METRIC = re.compile(r"(?:Counter|Gauge|Histogram|Summary|Info|Enum)\(\s*[\"'](\w+)[\"']")
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
EVENT = re.compile(r"[\"']((?:invoice|collection|attempt)\.[a-z_]+)[\"']")

# What belongs to somebody's machine or network and not to the project. In parts, so that this file is clean too.
FOREIGN = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<![\w./-])/(?:home|Users)/" + r"(?!me\b)[a-z]",
        r"(?<![\w./-])/" + r"work/",
        r"(?<![\w./-])/" + r"root/",
        r"/opt/" + r"(?:pypi|wheels)",
        r"--(?:extra-)?index-" + r"url",
        r"--find-" + r"links",
        r"/" + r"simple/",
    )
]


# Without what a program's text and a command line quote differently.
_BARE = {ord(mark): None for mark in "\"'\\ \n"}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def tracked(pattern: str = "*") -> list[Path]:
    """The repository's files, those that are about to be added too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [path for name in sorted(set(listed)) if (path := ROOT / name).is_file()]


def pages() -> list[Path]:
    """The pages that are read where they lie; one below the sources is a part of a page that the server makes."""
    return [path for path in tracked("*.md") if not path.is_relative_to(SOURCES)]


def programs() -> Iterator[Path]:
    """Where a variable can be read: the sources, and what tests and tools are started with."""
    yield from SOURCES.rglob("*.py")
    yield from (ROOT / "tests").rglob("*.py")
    yield from (ROOT / "bench").rglob("*.py")
    yield ROOT / "Makefile"


def commands(command: Any = None, name: str = "recaudo") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by the words it is called with."""
    command = command or typer.main.get_command(app)
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        yield from commands(inner, f"{name} {word}")


def documented_commands() -> dict[str, str]:
    """The sections of the page about commands, by their heading."""
    parts = re.split(r"^## (recaudo .+)$", read(REFERENCE / "cli.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings get: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(path)), flags=re.MULTILINE)
    bare = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "") for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in bare}


def links(path: Path) -> Iterator[str]:
    """A page's links to files beside it and to its own headings."""
    for markdown, html in LINK.findall(FENCE.sub("", read(path))):
        target = markdown or html
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield target


# --- Settings ---


def test_every_variable_that_the_program_reads_is_documented_and_the_reverse():
    page = read(REFERENCE / "settings.md")
    read_by_source = {name for path in SOURCES.rglob("*.py") for name in VARIABLE.findall(read(path))}
    anywhere = {name for path in programs() if path != Path(__file__) for name in VARIABLE.findall(read(path))}
    documented = set(VARIABLE.findall(page))
    assert read_by_source - documented == set()
    assert documented - anywhere == set()


def test_no_page_names_a_variable_that_the_settings_page_does_not():
    documented = set(VARIABLE.findall(read(REFERENCE / "settings.md")))
    assert {name for path in tracked("*.md") for name in VARIABLE.findall(read(path))} - documented == set()


def test_every_account_setting_is_documented_and_the_reverse():
    given = {"id", "merchant_id", "is_test", "active", "clock_shift", "merchant_slug", "merchant_name"}
    section = read(REFERENCE / "settings.md").partition("## Account settings")[2]
    rows = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert set(rows) == set(Account.__struct_fields__) - given


# --- Commands ---


def test_every_command_is_documented_and_the_reverse():
    assert set(documented_commands()) == {name for name, _ in commands()}


def test_every_option_of_a_command_is_documented_with_it():
    sections = documented_commands()
    for name, command in commands():
        options = {word for p in command.params for word in (*p.opts, *p.secondary_opts) if word.startswith("--")}
        assert {word for word in options - {"--help"} if f"`{word}`" not in sections[name]} == set(), name


# --- The API ---


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_the_first_request_is_the_published_one_word_for_word(name: str):
    (sent,) = re.findall(r"^curl -X POST (\S+).*?-d '(.*?)'$", read(ROOT / name), flags=re.MULTILINE | re.DOTALL)
    published = json.loads(read(ROOT / "tests" / "fixtures" / "onepay" / "create-invoice.request.json"))
    assert sent[0] == "http://127.0.0.1:8000/v1/invoices"
    assert list(json.loads(sent[1]).items()) == list(published.items())
    # And it is what `make demo` prints.
    assert sent[1].replace('"', "").replace(" ", "") in read(SOURCES / "cli.py").translate(_BARE)


def test_every_operation_of_the_onepay_dialect_is_documented():
    page = read(REFERENCE / "onepay.md")
    paths = {re.sub(r"\{\w+\}", "{id}", f"/v1{route.path}") for route in routes(Operations(None, UrlPolicy()))}  # type: ignore[arg-type]
    assert {path for path in paths if not re.search(rf"{re.escape(path)}(?![\w/])", page)} == set()


def test_every_operation_of_our_own_is_documented():
    told = "".join(read(REFERENCE / f"{name}.md") for name in ("webhooks", "sandbox", "gateways", "imports"))
    page = re.sub(r"{\w+( \w+)?}|<[\w ]+>", "{id}", told)
    operations = OwnOperations(None, None, UrlPolicy(), asyncio.Event())  # type: ignore[arg-type]
    paths = {re.sub(r"\{\w+\}", "{id}", route.path) for route in own_routes(operations)}
    assert {path for path in paths if not re.search(rf"{re.escape(path)}(?![\w/])", page)} == set()


def test_every_type_that_an_endpoint_can_list_is_documented_once():
    section = read(REFERENCE / "webhooks.md").partition("## Types")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")]
    named = [sorted(re.findall(r"`(\w+\.\w+)`", cell)) for cell in ("".join(c) for c in zip(*rows, strict=True))]
    assert named == [sorted(type_ for type_, core in TYPES.items() if core is not None), sorted(EVENT_TYPES)]
    for onepay, own in rows:
        for type_ in re.findall(r"`(\w+\.\w+)`", onepay):
            assert TYPES[type_] in {*re.findall(r"`(\w+\.\w+)`", own), "collection.refunded"}


def test_every_field_of_a_onepay_body_is_documented():
    page = read(REFERENCE / "onepay.md")
    fields = {field.name for table in (parse._INVOICE, parse._PAYMENT, parse._CUSTOMER, _ENDPOINT) for field in table}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def test_every_error_of_the_onepay_dialect_is_documented_with_its_status_and_code():
    page = read(REFERENCE / "errors.md")
    rows = re.findall(r"^\| (\d{3}) \| (\d{5}) \| `(\w+)` \|", page, flags=re.MULTILINE)
    assert {(int(s), int(c), n) for s, c, n in rows} == {(r.status, r.code, r.code_name) for r in TABLE.values()}


def test_every_operation_of_the_treli_dialect_is_documented():
    page = read(REFERENCE / "treli.md")
    operations = treli_routes.Operations(None)  # type: ignore[arg-type]
    mounted = [("/v1", treli_routes.routes(operations)), ("/recaudo/v1", treli_routes.register_routes(operations))]
    paths = {re.sub(r"\{\w+\}", "{id}", f"{mount}{route.path}") for mount, table in mounted for route in table}
    assert {path for path in paths if not re.search(rf"{re.escape(path)}(?![\w/])", page)} == set()


def test_every_field_of_a_treli_register_is_documented():
    page = read(REFERENCE / "treli.md")
    tables = (
        customers.CUSTOMER,
        products.PRODUCT,
        products.TAX,
        prices.PRICE,
        retentions.RETENTION,
        rules.RULE,
        credit_notes.fields(None),
    )
    fields = {field.name for table in tables for field in table} | {f".{field.name}" for field in addresses.FIELDS}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def test_every_error_of_the_treli_dialect_is_documented_with_its_status():
    section = read(REFERENCE / "errors.md").partition("## Treli dialect")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", section, flags=re.MULTILINE)
    assert [(int(status), code) for status, code in rows] == [(r.status, r.code) for r in TRELI_TABLE.values()]


def test_every_error_of_our_own_additions_is_documented():
    section = read(REFERENCE / "errors.md").partition("## Our own additions")[2]
    raised = {case.code for case in own_errors().values()}
    assert {word for word in raised if f"`{word}`" not in section} == set()


def test_every_outcome_and_method_of_the_sandbox_is_documented():
    page = read(REFERENCE / "sandbox.md")
    assert {word for word in Outcome if f"| `{word}` |" not in page} == set()
    assert {method.id for method in METHODS if f"| `{method.id}` | `{method.kind}` |" not in page} == set()


# --- Running it ---


def test_every_metric_is_documented_and_the_reverse():
    page = read(REFERENCE / "metrics-and-health.md")
    made = {name for path in SOURCES.rglob("*.py") for name in METRIC.findall(read(path))}
    assert made, "the pattern finds no metric: it no longer fits the sources"
    assert set(re.findall(r"^\| `(recaudo_\w+)` \|", page, flags=re.MULTILINE)) == made


def test_every_label_of_the_request_metrics_is_documented():
    registry = CollectorRegistry()
    observer = Observer(registry)
    observer.request(dialect="onepay", method="GET", route="/x", status=200, seconds=0.1, request_id="x")
    page = read(REFERENCE / "metrics-and-health.md")
    labels = {label for metric in registry.collect() for sample in metric.samples for label in sample.labels}
    assert {label for label in labels - {"le"} if f"`{label}`" not in page} == set()


def test_every_check_of_the_doctor_is_documented_and_the_reverse():
    section = read(REFERENCE / "database.md").partition("## The doctor's checks")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", section, flags=re.MULTILINE) != []
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, flags=re.MULTILINE)) == {check.name for check in CHECKS}


def test_every_table_is_documented():
    migrations = "".join(read(path) for path in (SOURCES / "store" / "migrations").glob("*.sql"))
    page = read(REFERENCE / "database.md")
    tables = re.findall(r"^CREATE TABLE (\w+)", migrations, flags=re.MULTILINE)
    assert {table for table in tables if f"| `{table}` |" not in page} == set()


def test_every_kind_of_event_is_documented():
    page = read(REFERENCE / "database.md")
    raised = {kind for path in (SOURCES / "domain").glob("*.py") for kind in EVENT.findall(read(path))}
    assert "invoice.paid" in raised, "the pattern no longer fits the sources"
    assert raised <= set(EVENT_TYPES)
    assert {kind for kind in EVENT_TYPES if f"`{kind}`" not in page} == set()


# --- What is promised, and what shows it ---


def test_every_test_that_shows_a_guarantee_exists_and_so_does_the_command_that_repeats_it():
    page = read(REFERENCE / "guarantees.md")
    named = set(re.findall(r"\btests/[\w./]*\w", page))
    assert {name for name in named if not (ROOT / name).exists()} == set()
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", page)) - targets == set()
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"`recaudo ([a-z-]+)", page)) - commands == set()


def promises() -> list[str]:
    """Each guarantee from its heading on."""
    guaranteed = read(REFERENCE / "guarantees.md").partition("\n## Figures")[0]
    return re.split(r"^### ", re.sub(r"^## .*$", "", guaranteed, flags=re.MULTILINE), flags=re.MULTILINE)[1:]


def test_every_promise_says_what_tries_it_and_how_to_try_it_again():
    assert len(promises()) > 15
    for promise in promises():
        assert re.search(r"^- Tried by `tests/", promise, flags=re.MULTILINE), promise
        assert re.search(r"^- Again: `(make|recaudo) ", promise, flags=re.MULTILINE), promise


def test_every_check_of_the_doctor_guards_a_guarantee():
    told = [promise.partition("\n- The doctor:")[2].partition("\n- ")[0] for promise in promises()]
    assert set(re.findall(r"`([\w-]+)`", "".join(told))) == {check.name for check in CHECKS}


# --- Every page ---


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path):
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_every_decision_and_guide_can_be_reached_from_the_table_of_contents():
    contents = read(ROOT / "docs" / "README.md")
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in contents} == set()


def test_decisions_are_numbered_without_gaps_and_say_what_a_reader_looks_for():
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        text = read(path)
        assert text.startswith(f"# {path.name[:4]}: ")
        for part in ("**Status:**", "## Context", "## Decision", "## Consequences"):
            assert part in text, f"{path.name}: {part}"


def test_images_are_small_enough_for_a_slow_connection():
    large = {path.name for path in tracked("*.png") if path.stat().st_size > 100_000}
    assert large == set()


def test_no_tracked_file_names_an_index_or_a_path_of_somebody_s_machine():
    found: list[str] = []
    for path in tracked():
        if path == Path(__file__):
            continue
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for p in FOREIGN for match in p.finditer(text)]
    assert found == []
