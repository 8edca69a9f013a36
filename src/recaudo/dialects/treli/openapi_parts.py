"""What the parts of the OpenAPI document share: their form, and schemas of ids, money, dates and pages.

Each noun has a part of its own beside its module; `openapi` puts them together.
"""

from collections.abc import Mapping, Sequence

import msgspec

from recaudo.dialects.treli.errors import FieldError, error_reply, validation_reply
from recaudo.dialects.treli.queries import CURSOR, LIMIT_DEFAULT, LIMIT_MAX
from recaudo.edge.http import Reply
from recaudo.edge.openapi import Content, ErrorCase, Example, Json, OperationDocs, member, nullable, record, ref

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
WHOLE: Json = {"type": "integer"}
OBJECT: Json = {"type": "object"}
NOTHING: Json = {"type": "null"}
DAY: Json = {"type": "string", "format": "date"}
LOCAL: Json = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"}
MONEY: Json = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
PERCENTAGE: Json = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}
URL: Json = {"type": "string", "format": "iri", "pattern": "^https?://", "maxLength": 2048}
EMAIL: Json = {"type": "string", "format": "email", "maxLength": 254}

CREATED = member(LOCAL, "Cuándo se creó, en la hora local de la cuenta, sin zona.")
IS_TEST = member(FLAG, "Si es de una cuenta de pruebas.")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says about one noun or a few. `tags` are by the first segment of a path."""

    tags: Mapping[str, tuple[str, str]]
    schemas: Mapping[str, Json]
    operations: Mapping[str, OperationDocs]
    path_parameters: Mapping[str, Json]
    errors: Mapping[str, ErrorCase]


def id_of(prefix: str) -> Json:
    """The schema of an id."""
    return {"type": "string", "pattern": f"^{prefix}_[0-9A-Za-z]{{24}}$"}


def money_sent(description: str) -> Json:
    """Money in a body: text or number."""
    return {
        "anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}, {"type": "number", "minimum": 0}],
        "description": description,
    }


def text(low: int, high: int, description: str) -> Json:
    """Text of this many characters, counted after the spaces around it are taken off."""
    return member(TEXT, description, minLength=low, maxLength=high)


def body(title: str, fields: Mapping[str, Json], *, required: Sequence[str] = ()) -> Json:
    """A body to create something: `null` equals "not sent"."""
    members = {name: schema if name in required else nullable(schema) for name, schema in fields.items()}
    return record(title, members, optional=[name for name in fields if name not in required])


def change(title: str, fields: Mapping[str, Json], *, required: Sequence[str] = ()) -> Json:
    """A body to change something: any subset; `null` clears what is not required."""
    members = {name: schema if name in required else nullable(schema) for name, schema in fields.items()}
    description = "Los campos ausentes conservan su valor; `null` borra los opcionales."
    return record(title, members, optional=list(fields), description=description)


def page(title: str, row: str) -> Json:
    """One page of a list."""
    return record(
        title,
        {
            "data": {
                "type": "array",
                "items": ref(row),
                "description": "Las filas, de la más reciente a la más antigua.",
            },
            "has_more": member(FLAG, "Si hay más filas."),
            "next_cursor": nullable(member(TEXT, f"Lo que se envía como `{CURSOR}` para seguir; `null` en la última.")),
        },
    )


def parameter(name: str, description: str, schema: Json = TEXT, **more: object) -> Json:
    """A parameter of a query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def paging(cursor: str) -> Sequence[Json]:
    """The parameters of every list; `cursor` is an example."""
    limits = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    dates = "`AAAA-MM-DD`, `AAAA-MM-DD HH:MM:SS` o ISO 8601 con desplazamiento."
    return (
        parameter("limit", "Filas por página.", limits),
        parameter(CURSOR, "El `next_cursor` de la página anterior.", TEXT, example=cursor),
        parameter("created_after", f"Creados en ese momento o después: {dates}"),
        parameter("created_before", f"Creados antes de ese momento: {dates}"),
    )


def in_path(name: str, prefix: str, description: str, example: str) -> Mapping[str, Json]:
    """A placeholder of paths."""
    return {
        name: {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": id_of(prefix),
            "example": example,
        }
    }


def answer(schema: str, summary: str, value: Json) -> Content:
    """An answer with an example."""
    return Content(ref(schema), {"ejemplo": Example(summary, value)})


def one_page(schema: str, row: Json) -> Content:
    """A page with one row, as an answer."""
    return answer(schema, "Una página", {"data": [row], "has_more": False, "next_cursor": None})


def gone(title: str, prefix: str) -> Json:
    """The schema of the answer to a removal."""
    return record(
        title,
        {
            "id": member(id_of(prefix), "Identificador de lo que se eliminó."),
            "deleted": member(FLAG, "Siempre `true`.", const=True),
        },
    )


def case(reply: Reply, when: str, *, headers: Sequence[str] = ()) -> ErrorCase:
    """An error as the dialect would answer it."""
    shown: Json = msgspec.json.decode(reply.body)
    return ErrorCase(status=reply.status, code=shown["code"], when=when, body=shown, headers=headers)


def invalid(when: str, *errors: tuple[str, str]) -> ErrorCase:
    """A validation error."""
    return case(validation_reply([FieldError(*error) for error in errors]), when)


def conflict(code: str, when: str) -> ErrorCase:
    """An error as its row of the table stands."""
    return case(error_reply(code), when)
