"""OpenAPI 3.1 documents from a router's table and what a dialect says about its operations.

The table is the truth about methods, paths and what a request needs, and so about most of what can go wrong before an
operation runs; the dialect adds words, schemas, examples and its own errors. Nothing here knows a dialect.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from recaudo.edge.problems import ProblemKind
from recaudo.edge.routing import Route, Router

Json = dict[str, Any]

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Example(msgspec.Struct, frozen=True):
    """A value and what it shows."""

    summary: str
    value: Any


class Content(msgspec.Struct, frozen=True):
    """A body: its schema and examples by name."""

    schema: Json
    examples: Mapping[str, Example]
    media_types: Sequence[str] = ("application/json",)


class ErrorCase(msgspec.Struct, frozen=True, kw_only=True):
    """One way to fail: the code to program against, when it happens, an answer, the headers that go with it."""

    status: int
    code: str
    when: str
    body: Json
    headers: Sequence[str] = ()


class OperationDocs(msgspec.Struct, frozen=True, kw_only=True):
    """What the table does not say about an operation.

    `errors` are its own, by their names in `ApiDocs.errors`; `once_example` is an idempotency key that suits it.
    """

    description: str
    success: str  # what the answer is
    status: int = 200
    answer: Content | None = None
    body: Content | None = None
    query: Sequence[Json] = ()
    errors: Sequence[str] = ()
    once_example: str | None = None


class EventDocs(msgspec.Struct, frozen=True, kw_only=True):
    """One type of event that endpoints are told: when it is raised, and the body."""

    when: str
    body: Content


class EventsDocs(msgspec.Struct, frozen=True, kw_only=True):
    """What endpoints are told: in requests that begin at the server, and that a receiver answers.

    `tag` is one of the dialect's, `headers` are parameters that every such request has, `types` are by their names.
    """

    tag: str
    headers: Sequence[Json]
    answer: str  # what a receiver is to answer
    types: Mapping[str, EventDocs]


class ApiDocs(msgspec.Struct, frozen=True, kw_only=True):
    """What a dialect says about all its operations.

    `tags` gives the name and description of each tag of the table; `errors` are in the order in which they are shown,
    with a schema `Error` whose `code_member` holds the code; `once_errors` happen wherever a key is taken.
    """

    info: Json
    servers: Sequence[Json]
    security: Mapping[str, Json]
    tags: Mapping[str, tuple[str, str]]
    schemas: Mapping[str, Json]
    headers: Mapping[str, Json]
    path_parameters: Mapping[str, Json]
    once_parameter: Json
    operations: Mapping[str, OperationDocs]
    errors: Mapping[str, ErrorCase]
    problems: Mapping[ProblemKind, str]
    events: EventsDocs | None = None
    once_errors: Sequence[str] = ()
    every_headers: Sequence[str] = ()
    success_headers: Sequence[str] = ()
    once_headers: Sequence[str] = ()
    code_member: str = "code"


def build(router: Router, docs: ApiDocs) -> Json:
    """The document: every route of the router, once. Raises KeyError for a route that the dialect says nothing of."""
    paths: dict[str, Json] = {}
    responses: dict[str, Json] = {}
    for route in router.routes:
        operation = _operation(route, docs, responses)
        if links := _links(route, router, docs):
            operation["responses"][str(docs.operations[route.operation_id].status)]["links"] = links
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    for kind in (ProblemKind.ROUTE_NOT_FOUND, ProblemKind.METHOD_NOT_ALLOWED):
        # No operation answers these, but clients meet them.
        _error_response([docs.problems[kind]], docs, responses)
    used = dict.fromkeys(route.tag for route in router.routes)
    if docs.events is not None:
        used[docs.events.tag] = None
    return {
        "openapi": "3.1.0",
        "info": docs.info,
        "jsonSchemaDialect": JSON_SCHEMA,
        "servers": list(docs.servers),
        "security": [{name: []} for name in docs.security],
        "tags": [{"name": docs.tags[tag][0], "description": docs.tags[tag][1]} for tag in used],
        "paths": paths,
        "webhooks": {} if docs.events is None else _webhooks(docs.events, docs),
        "components": {
            "schemas": dict(docs.schemas),
            "responses": responses,
            "parameters": {} if docs.events is None else {one["name"]: one for one in docs.events.headers},
            "headers": dict(docs.headers),
            "securitySchemes": dict(docs.security),
        },
    }


def problems_of(route: Route) -> list[ProblemKind]:
    """What can go wrong with a request for this route before the operation looks at its meaning."""
    found = [
        ProblemKind.UNAUTHENTICATED,
        ProblemKind.ACCOUNT_INACTIVE,
        ProblemKind.FORBIDDEN,
        ProblemKind.TOO_MANY_REQUESTS,
        ProblemKind.INTERNAL_ERROR,
        ProblemKind.UNAVAILABLE,
    ]
    if route.body == "stream":
        found += [ProblemKind.BODY_TOO_LARGE, ProblemKind.UNSUPPORTED_MEDIA_TYPE]
    elif route.body != "none":
        found += [ProblemKind.BODY_TOO_LARGE, ProblemKind.UNSUPPORTED_MEDIA_TYPE, ProblemKind.MALFORMED_JSON]
    if route.once != "none":
        found += [ProblemKind.KEY_MALFORMED, ProblemKind.KEY_IN_PROGRESS]
    if route.once == "required":
        found.append(ProblemKind.KEY_MISSING)
    return found


def _operation(route: Route, docs: ApiDocs, responses: dict[str, Json]) -> Json:
    of = docs.operations[route.operation_id]
    operation: Json = {
        "operationId": route.operation_id,
        "tags": [docs.tags[route.tag][0]],
        "summary": route.summary,
        "description": of.description,
    }
    parameters = [docs.path_parameters[name] for name in _PLACEHOLDER.findall(route.path)]
    parameters += of.query
    if route.once != "none":
        parameter = {**docs.once_parameter, "required": route.once == "required"}
        parameters.append(parameter | ({"example": of.once_example} if of.once_example else {}))
    if parameters:
        operation["parameters"] = parameters
    if of.body is not None:
        operation["requestBody"] = {"required": route.body in {"required", "stream"}, "content": _content(of.body)}
    operation["responses"] = {str(of.status): _success(route, of, docs), **_failures(route, of, docs, responses)}
    return operation


def _success(route: Route, of: OperationDocs, docs: ApiDocs) -> Json:
    names = [*docs.every_headers, *docs.success_headers]
    if route.once != "none":
        names += docs.once_headers
    response: Json = {"description": of.success, "headers": _headers(names)}
    if of.answer is not None:
        response["content"] = _content(of.answer)
    return response


def _links(route: Route, router: Router, docs: ApiDocs) -> Json:
    """Where an id in the answer of a creation can be used: generators of clients and of tests follow these."""
    answer = docs.operations[route.operation_id].answer
    if route.method != "POST" or answer is None or not answer.examples:
        return {}
    known = _ids_in(next(iter(answer.examples.values())).value, route, router)
    links: Json = {}
    for target in router.routes:
        names = _PLACEHOLDER.findall(target.path)
        if names and known.keys() >= set(names) and target.path != route.path:
            links[target.operation_id] = {
                "operationId": target.operation_id,
                "parameters": {name: known[name] for name in names},
            }
    return links


def _ids_in(answer: Json, route: Route, router: Router) -> dict[str, str]:
    """The path parameters that stand in an answer, with where: what was made, and what else it names."""
    at = "$response.body#"
    if isinstance(answer.get("data"), dict):
        answer, at = answer["data"], f"{at}/data"
    below = f"{route.path}/{{"
    own = {it.path.removeprefix(below).partition("}")[0] for it in router.routes if it.path.startswith(below)}
    known = dict.fromkeys(own, f"{at}/id") if "id" in answer else {}
    every = {name for target in router.routes for name in _PLACEHOLDER.findall(target.path)}
    return {**{name: f"{at}/{name}" for name in sorted(every & answer.keys())}, **known}


def _failures(route: Route, of: OperationDocs, docs: ApiDocs, responses: dict[str, Json]) -> Json:
    names = {docs.problems[kind] for kind in problems_of(route)} | set(of.errors)
    if route.once != "none":
        names.update(docs.once_errors)
    by_status: dict[int, list[str]] = {}
    for name in docs.errors:
        if name in names:
            by_status.setdefault(docs.errors[name].status, []).append(name)
    missing = names - docs.errors.keys()
    if missing:
        raise KeyError(f"{route.operation_id}: {missing}")
    return {str(status): _error_response(by_status[status], docs, responses) for status in sorted(by_status)}


def _error_response(names: Sequence[str], docs: ApiDocs, responses: dict[str, Json]) -> Json:
    """A reference to the response of these errors, which have one status; operations that share it share the text."""
    cases = [docs.errors[name] for name in names]
    key = ".".join([str(cases[0].status), *names])
    codes = list(dict.fromkeys(case.code for case in cases))
    lines = [case.when if len(cases) == 1 else f"- `{case.code}`: {case.when}" for case in cases]
    schema = {"allOf": [ref("Error"), {"properties": {docs.code_member: {"enum": codes}}}]}
    examples = {name: Example(case.when, case.body) for name, case in zip(names, cases, strict=True)}
    headers = [*docs.every_headers, *(name for case in cases for name in case.headers)]
    responses[key] = {
        "description": "\n".join(lines),
        "headers": _headers(headers),
        "content": _content(Content(schema, examples)),
    }
    return {"$ref": f"#/components/responses/{key}"}


def _webhooks(events: EventsDocs, docs: ApiDocs) -> Json:
    """The requests that endpoints get, by the type of the event. They carry no key of the API."""
    headers = [{"$ref": f"#/components/parameters/{one['name']}"} for one in events.headers]
    return {
        type_: {
            "post": {
                "tags": [docs.tags[events.tag][0]],
                "summary": event.when,
                "security": [],
                "parameters": headers,
                "requestBody": {"required": True, "content": _content(event.body)},
                "responses": {"2XX": {"description": events.answer}},
            }
        }
        for type_, event in events.types.items()
    }


def _content(content: Content) -> Json:
    examples = {name: {"summary": one.summary, "value": one.value} for name, one in content.examples.items()}
    media: Json = {"schema": content.schema}
    if examples:
        media["examples"] = examples
    return dict.fromkeys(content.media_types, media)


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in dict.fromkeys(names)}


# --- Schemas ---


def ref(name: str) -> Json:
    """A schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def member(schema: Json, description: str, **more: object) -> Json:
    """A schema with what it means in this place, and with keywords of its own."""
    return {**schema, **more, "description": description}


def nullable(schema: Json) -> Json:
    """The same, or null. The description stays on the outside."""
    kind: object = schema.get("type")
    if isinstance(kind, str):
        found = {**schema, "type": [kind, "null"]}
        return found | {"enum": [*schema["enum"], None]} if "enum" in schema else found
    inner = {key: value for key, value in schema.items() if key != "description"}
    outer = {key: value for key, value in schema.items() if key == "description"}
    return {"anyOf": [inner, {"type": "null"}], **outer}


def record(title: str, members: Mapping[str, Json], *, optional: Sequence[str] = (), description: str = "") -> Json:
    """An object with these members in this order; more may be added later, so others are allowed."""
    schema: Json = {"title": title, "type": "object"}
    if description:
        schema["description"] = description
    required = [name for name in members if name not in optional]
    schema["properties"] = dict(members)
    if required:
        schema["required"] = required
    return schema | {"additionalProperties": True}


def extended(title: str, base: str, members: Mapping[str, Json], *, description: str = "") -> Json:
    """An object of the components with more members after its own."""
    schema: Json = {"title": title, "allOf": [ref(base), {"properties": dict(members), "required": list(members)}]}
    return schema | ({"description": description} if description else {})
