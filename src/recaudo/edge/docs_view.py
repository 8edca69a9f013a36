"""What the API reference's page shows, read from an OpenAPI document: operations, objects, errors, commands."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from recaudo.edge.docs_fields import Fields, Row, Words, anchor, name_of, refs
from recaudo.edge.openapi import Json, ref

SAMPLE_KEY: Final = "sk_test_xxx"
METHODS: Final = frozenset(("get", "post", "put", "patch", "delete"))


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One error with its answer."""

    status: int
    code: str
    when: str
    body: Json


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """All ways in which one code is answered; `when` is what they have in common."""

    status: int
    code: str
    when: str
    cases: Sequence[Failure]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request to paste into a shell: the words after `curl`, flags with quoted values, the JSON body."""

    start: str
    options: Sequence[tuple[str, str]]
    body: Any = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An example with what it shows."""

    summary: str
    value: Any


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `answer_type` is None when there is no body; `failures` are those that not every operation has."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    parameters: Sequence[tuple[str, Sequence[Row]]]  # by place
    body: Sequence[Row]
    body_optional: bool
    command: Command
    other_bodies: Sequence[Sample]
    status: int
    answer: str
    answer_type: Row | None
    answer_headers: Sequence[str]
    sample: Sample | None
    failures: Sequence[Failure]


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """One type of event: when endpoints are told, and the object they are told of."""

    id: str
    name: str
    when: str
    body: Row
    samples: Sequence[Sample]


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """What endpoints are told. `shown` is the type whose request is shown in full."""

    types: Sequence[EventType]
    headers: Sequence[Row]
    status: str
    answer: str
    shown: EventType
    request: Sequence[tuple[str, str]]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The operations of one tag, or the events that endpoints are told."""

    id: str
    name: str
    text: str
    operations: Sequence[Operation]
    events: Events | None


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """An object that is answered or told; `base` is the anchor and title of one whose members come first."""

    id: str
    title: str
    text: str
    base: tuple[str, str] | None
    rows: Sequence[Row]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page. `common` are the codes that every operation may answer."""

    title: str
    version: str
    summary: str
    guide: str
    servers: Sequence[tuple[str, str]]
    groups: Sequence[Group]
    objects: Sequence[Object]
    headers: Sequence[Row]
    common: Sequence[str]
    failures: Sequence[Failures]


def read(document: Json, words: Words) -> Reference:
    """The page's content. An operation's body is shown with it; objects that are answered have places of their own."""
    return _Reader(document, words).reference()


class _Reader:
    """Reads one document."""

    def __init__(self, document: Json, words: Words) -> None:
        self._document = document
        self._fields = Fields(document, words)
        self._operations: list[tuple[str, str, Json]] = [
            (method, path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        ]
        self._webhooks: Json = document.get("webhooks", {})
        codes = [[failure.code for failure in self._failures(operation)] for _, _, operation in self._operations]
        self._common = [code for code in dict.fromkeys(codes[0]) if all(code in found for found in codes)]

    def reference(self) -> Reference:
        info, components = self._document["info"], self._document["components"]
        return Reference(
            title=info["title"],
            version=info["version"],
            summary=info["summary"],
            guide=info["description"],
            servers=[(server["url"], server["description"]) for server in self._document["servers"]],
            groups=[self._group(tag) for tag in self._document["tags"]],
            objects=[self._object(name) for name in self._answered()],
            headers=[
                self._fields.row(name, {**header["schema"], "description": header["description"]})
                for name, header in components["headers"].items()
            ],
            common=self._common,
            failures=self._all_failures(),
        )

    def _group(self, tag: Json) -> Group:
        operations = [self._operation(*one) for one in self._operations if tag["name"] in one[2]["tags"]]
        told = {name: item["post"] for name, item in self._webhooks.items() if tag["name"] in item["post"]["tags"]}
        return Group(
            id=anchor(f"tag {tag['name']}"),
            name=tag["name"],
            text=tag["description"],
            operations=operations,
            events=self._events(told) if told else None,
        )

    def _events(self, told: Mapping[str, Json]) -> Events:
        """What endpoints are told; the type that is shown in full is the first that has an example."""
        types = [self._event_type(name, request) for name, request in told.items()]
        shown = next(one for one in types if one.samples)
        first = next(iter(told.values()))
        headers = [self._fields.resolved(parameter) for parameter in first["parameters"]]
        ((status, response),) = first["responses"].items()
        return Events(
            types=types,
            headers=[
                self._fields.row(one["name"], {**one["schema"], "description": one["description"]}) for one in headers
            ],
            status=status,
            answer=response["description"],
            shown=shown,
            request=[(one["name"], str(one["example"])) for one in headers],
        )

    def _event_type(self, name: str, request: Json) -> EventType:
        media = _media(request["requestBody"])
        return EventType(
            id=f"event-{name}",
            name=name,
            when=request["summary"],
            body=self._fields.row("", ref(next(refs(media["schema"])))),
            samples=_samples(media),
        )

    def _operation(self, method: str, path: str, operation: Json) -> Operation:
        request: Json = operation.get("requestBody", {})
        body = _media(request)
        examples = _samples(body)
        status, response = next((status, r) for status, r in operation["responses"].items() if status[0] == "2")
        media = _media(response)
        return Operation(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            text=operation["description"],
            parameters=self._parameters(operation),
            body=list(self._fields.of_body(self._fields.resolved(body["schema"]))) if body else (),
            body_optional=not request.get("required", False),
            command=self._command(method, path, operation, examples),
            other_bodies=examples[1:],
            status=int(status),
            answer=response["description"],
            answer_type=self._fields.row("", media["schema"]) if media else None,
            answer_headers=list(response["headers"]),
            sample=next(iter(_samples(media)), None),
            failures=[failure for failure in self._failures(operation) if failure.code not in self._common],
        )

    def _parameters(self, operation: Json) -> list[tuple[str, Sequence[Row]]]:
        places: dict[str, list[Row]] = {}
        for parameter in operation.get("parameters", ()):
            schema = {**parameter["schema"], "description": parameter["description"]}
            row = self._fields.row(parameter["name"], schema, tag=self._fields.required(parameter))
            places.setdefault(f"in_{parameter['in']}", []).append(row)
        return list(places.items())

    def _command(self, method: str, path: str, operation: Json, examples: Sequence[Sample]) -> Command:
        words = [] if method == "get" or (method == "post" and examples) else ["-X", method.upper()]
        options = [self._credentials()]
        for parameter in operation.get("parameters", ()):
            name, example = parameter["name"], parameter.get("example")
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(str(example)))
            elif parameter["in"] == "header" and parameter["required"]:
                options.append(("-H", f"{name}: {example}"))
            elif parameter["in"] == "query" and example is not None:
                words = ["-G"]
                options.append(("--data-urlencode", f"{name}={_joined(example)}"))
        if examples:
            options.append(("-H", "Content-Type: application/json"))
        elif kinds := list(operation.get("requestBody", {}).get("content", {})):
            # A file, sent as it is.
            options += [("-H", f"Content-Type: {kinds[0]}"), ("--data-binary", "@FILE")]
        server = operation.get("servers", self._document["servers"])[0]
        start = " ".join([*words, server["url"] + path])
        return Command(start=start, options=options, body=examples[0].value if examples else None)

    def _credentials(self) -> tuple[str, str]:
        """How curl sends the key, by the first scheme of the document."""
        first: Json = next(iter(self._document["components"]["securitySchemes"].values()))
        return ("-u", f"{SAMPLE_KEY}:") if first["scheme"] == "basic" else ("-H", f"Authorization: Bearer {SAMPLE_KEY}")

    def _failures(self, operation: Json) -> Iterator[Failure]:
        for status, response in operation["responses"].items():
            if status[0] != "2":
                yield from _failures(int(status), self._fields.resolved(response))

    def _all_failures(self) -> list[Failures]:
        """Every code once, in the order of its status and its number."""
        components = self._document["components"]
        told: dict[str, str] = {}
        for member in components["schemas"]["Error"]["properties"].values():
            told |= member.get("x-enumDescriptions", {})
        cases: dict[str, dict[str, Failure]] = {}
        for key, response in components["responses"].items():
            for one in _failures(int(key.partition(".")[0]), response):
                cases.setdefault(one.code, {})[one.when] = one
        every = [(next(iter(found.values())), list(found.values())) for found in cases.values()]
        every.sort(key=lambda pair: (pair[0].status, str(pair[0].body["code"])))
        return [
            Failures(status=first.status, code=first.code, when=told.get(first.code, first.when), cases=found)
            for first, found in every
        ]

    def _answered(self) -> list[str]:
        """The objects that are answered or told: first those that are whole answers, then those within; errors last."""
        waiting = [
            _media(response)["schema"]
            for _, _, operation in self._operations
            for status, response in operation["responses"].items()
            if status[0] == "2" and _media(response)
        ]
        waiting += [_media(item["post"]["requestBody"])["schema"] for item in self._webhooks.values()]
        names: list[str] = []
        while waiting:
            for name in refs(waiting.pop(0)):
                if name not in names:
                    names.append(name)
                    waiting.append(self._document["components"]["schemas"][name])
        return [*names, "Error"]

    def _object(self, name: str) -> Object:
        schema = self._document["components"]["schemas"][name]
        base, own = schema.get("allOf", (None, schema))
        return Object(
            id=anchor(name),
            title=schema["title"],
            text=schema.get("description", ""),
            base=None if base is None else (anchor(name_of(base)), self._fields.resolved(base)["title"]),
            rows=list(self._fields.of_answer(own)),
        )


def _media(holder: Json) -> Json:
    found: Json = holder.get("content", {}).get("application/json", {})
    return found


def _samples(media: Json) -> list[Sample]:
    return [Sample(summary=e["summary"], value=e["value"]) for e in media.get("examples", {}).values()]


def _failures(status: int, response: Json) -> Iterator[Failure]:
    for sample in _samples(_media(response)):
        # The word to program against, which the dialects keep under different names.
        code = str(sample.value.get("code_name", sample.value["code"]))
        yield Failure(status=status, code=code, when=sample.summary, body=sample.value)


def _joined(example: object) -> str:
    return ",".join(map(str, cast("list[object]", example))) if isinstance(example, list) else str(example)
