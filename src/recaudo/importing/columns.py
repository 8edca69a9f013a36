"""The columns of a file: their names in English and Spanish, what each becomes, and which of a file's are used."""

import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from recaudo.importing.errors import FileError

COLUMNS_MAX = 200
HEADER_CHARS_MAX = 100
METADATA_PREFIX = "metadata."


class Column(NamedTuple):
    """A column that a file may have. `field` is the core's name; `says` is for people, with an example."""

    name: str
    field: str
    aliases: tuple[str, ...]
    says: str
    example: str
    required: bool = False


COLUMNS: Sequence[Column] = (
    Column(
        "external_id",
        "origin_id",
        ("provider_id", "invoice_number", "factura", "numero_factura", "numero_de_factura", "no_factura", "id_externo"),
        "The invoice's own number in your system, 1 to 100 characters: what makes loading it twice impossible.",
        "FV-2025-10-0001",
    ),
    Column(
        "reference",
        "reference",
        ("referencia", "contrato", "numero_contrato", "numero_de_contrato", "suscriptor", "codigo_cliente"),
        "What the payer types in the portal, 1 to 100 characters: the contract, the student's code.",
        "1060500333",
        required=True,
    ),
    Column(
        "amount",
        "amount_minor",
        ("valor", "monto", "total", "importe", "valor_a_pagar", "total_a_pagar", "valor_total"),
        "What is owed, in units of the account's currency: 85000 is 85,000 pesos.",
        "85000",
        required=True,
    ),
    Column(
        "name",
        "name",
        ("concepto", "title", "titulo"),
        "What the payer reads, 5 to 100 characters. May be the same for all rows: see the option of this name.",
        "Plan Internet - Octubre",
    ),
    Column(
        "description",
        "description",
        ("descripcion", "detalle", "detalles", "observaciones"),
        "More of it, up to 500 characters.",
        "300 megas",
    ),
    Column(
        "phone",
        "phone",
        ("telefono", "celular", "movil", "telefono_celular"),
        "Where notices go: +573001234567, or 3001234567 in the account's country.",
        "+573001234567",
    ),
    Column(
        "email",
        "email",
        ("correo", "correo_electronico", "e_mail", "mail"),
        "Where notices go.",
        "cliente@ejemplo.com",
    ),
    Column(
        "due_date",
        "due_on",
        ("vencimiento", "fecha_vencimiento", "fecha_de_vencimiento", "fecha_limite", "fecha_limite_de_pago"),
        "The day it is due: 2025-10-31, or 31/10/2025 when the options say so.",
        "2025-10-31",
    ),
    Column(
        "origin",
        "origin",
        ("provider", "sistema", "system"),
        "The system that numbered it, up to 50 characters; together with external_id it names one invoice.",
        "",
    ),
    Column(
        "document_url",
        "document_url",
        ("url_documento", "url_factura", "enlace_factura"),
        "A document to offer to the payer.",
        "",
    ),
    Column("currency", "currency", ("moneda",), "The account's currency, if you want it checked.", ""),
    Column(
        "metadata", "metadata", (), "JSONL: an object of your own data. Tables have `metadata.zone` and the like.", ""
    ),
)

# What our own report of refused rows adds; they are passed by when the mended rows come back.
REPORT_COLUMNS = ("line", "errors")

_BY_NAME: Mapping[str, Column] = {name: column for column in COLUMNS for name in (column.name, *column.aliases)}


class Used(NamedTuple):
    """A file's column that is used: where it stands, what it is, what it is called in the file."""

    position: int
    column: Column | None  # None: a member of metadata
    title: str
    member: str = ""


class Matched(NamedTuple):
    """What a file's columns are. `ignored` are those that nothing here is called."""

    used: tuple[Used, ...]
    ignored: tuple[str, ...]


def match(titles: Sequence[str]) -> Matched:
    """Which columns a header names. Raises FileError when two mean the same, or there are too many."""
    if len(titles) > COLUMNS_MAX:
        raise FileError(f"The file has {len(titles)} columns; at most {COLUMNS_MAX} are read.")
    used: list[Used] = []
    ignored: list[str] = []
    seen: dict[str, str] = {}
    for index, title in enumerate(titles):
        found = _find(index, title.strip())
        if found is None:
            if title.strip() and normalised(title) not in REPORT_COLUMNS:
                ignored.append(title.strip()[:HEADER_CHARS_MAX])
            continue
        name = found.column.name if found.column is not None else f"{METADATA_PREFIX}{found.member}"
        if name in seen:
            raise FileError(f"The columns {seen[name]!r} and {found.title!r} both mean {name}: rename or remove one.")
        seen[name] = found.title
        used.append(found)
    return Matched(tuple(used), tuple(ignored))


def require(matched: Matched, titles: Sequence[str]) -> None:
    """Raise FileError when a table lacks a column that every row needs; it says which one may have been meant."""
    present = {used.column.name for used in matched.used if used.column is not None}
    missing = [column.name for column in COLUMNS if column.required and column.name not in present]
    if not missing:
        return
    shown = ", ".join(title.strip()[:30] or "(empty)" for title in titles[:20])
    close = [get_close_matches(normalised(title), _BY_NAME, 1) for title in matched.ignored]
    meant = [repr(names[0]) for names in close if names]
    hint = f" Did you mean {', '.join(meant)}?" if meant else ""
    raise FileError(f"The first row must name the columns; {', '.join(missing)} is missing. It has: {shown}.{hint}")


def known_titles(titles: Sequence[str]) -> int:
    """How many of these are columns that we know."""
    return sum(_find(0, title.strip()) is not None for title in titles)


def normalised(title: str) -> str:
    """A title without accents, capitals and marks: `Fecha límite` is `fecha_limite`."""
    if title.isascii() and title.isidentifier() and title.islower():
        return title
    plain = "".join(c for c in unicodedata.normalize("NFKD", title.strip().casefold()) if not unicodedata.combining(c))
    return "_".join("".join(c if c.isalnum() else " " for c in plain).split())


def _find(index: int, title: str) -> Used | None:
    if title.lower().startswith(METADATA_PREFIX) and len(title) > len(METADATA_PREFIX):
        return Used(index, None, title, title[len(METADATA_PREFIX) :])
    column = _BY_NAME.get(normalised(title))
    return None if column is None else Used(index, column, title)
