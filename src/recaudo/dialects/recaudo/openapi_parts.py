"""What the operations of our own document share: their answers, and the pages and parameters of lists."""

from recaudo.dialects.recaudo.openapi_schemas import FLAG, TEXT
from recaudo.dialects.recaudo.queries import LIMIT_DEFAULT, LIMIT_MAX
from recaudo.edge.openapi import Content, Example, Json, member, nullable, record, ref


def answer(schema: str, summary: str, value: Json, **more: Example) -> Content:
    """An answer with an example, and other examples by name."""
    return Content(ref(schema), {"example": Example(summary, value), **more})


def page(title: str, schema: str, order: str) -> Json:
    """The schema of a page of a list."""
    return record(
        title,
        {
            "data": member({"type": "array", "items": ref(schema)}, order),
            "has_more": member(FLAG, "Whether there are more."),
            "next_cursor": nullable(member(TEXT, "Where the next page begins; null on the last.")),
        },
    )


def rows(*shown: Json) -> Json:
    """A page of a list, its last."""
    return {"data": list(shown), "has_more": False, "next_cursor": None}


def parameter(name: str, description: str, schema: Json, **more: object) -> Json:
    """A parameter of a query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


LIMIT = parameter(
    "limit", "Rows of a page.", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
)
PAGING = (LIMIT, parameter("cursor", "The `next_cursor` of the page before.", TEXT))
