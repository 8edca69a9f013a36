"""What the tests of the OpenAPI documents share: the documents, validators of their schemas, the order of members."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import jsonschema_rs

from recaudo.dialects.onepay import openapi as onepay_openapi
from recaudo.dialects.onepay.routes import Operations, routes
from recaudo.dialects.recaudo import openapi as own_openapi, routes as own_routes
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.routing import Router

BASE_URL = "https://cobros.example.com"
METHODS = {"get", "post", "put", "patch", "delete"}
ROUTERS = {
    "onepay": Router(routes(Operations(cast("Any", None), UrlPolicy()))),
    "recaudo": Router(
        own_routes.routes(own_routes.Operations(cast("Any", None), cast("Any", None), UrlPolicy(), asyncio.Event()))
    ),
}
DOCUMENTS = {
    "onepay": onepay_openapi.document(ROUTERS["onepay"], BASE_URL),
    "recaudo": own_openapi.document(ROUTERS["recaudo"], BASE_URL),
}


def validator(schema: dict[str, Any], document: dict[str, Any] = DOCUMENTS["onepay"]) -> Any:
    """A validator of a schema that may refer to the document's components."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]}, validate_formats=True)


def component(name: str) -> Any:
    return validator({"$ref": f"#/components/schemas/{name}"})


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield method, path, operation


def resolved(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def in_order(value: Any, schema: dict[str, Any], document: dict[str, Any], path: str = "") -> None:
    """Every member of an answer is in its schema, and stands in the schema's order."""
    schema = resolved(schema, document)
    for choice in schema.get("anyOf", ()):
        if value is not None and resolved(choice, document).get("type") != "null":
            in_order(value, choice, document, path)
    if isinstance(value, list) and "items" in schema:
        for one in value:
            in_order(one, schema["items"], document, f"{path}[]")
    members = properties(schema, document)
    if isinstance(value, dict) and members:
        assert list(value) == [name for name in members if name in value], path
        for name, inner in value.items():
            in_order(inner, members[name], document, f"{path}.{name}")


def properties(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The members of an object, those of what it extends first."""
    found: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        for name, inner in properties(resolved(part, document), document).items():
            found.setdefault(name, inner)
    return found | schema.get("properties", {})
