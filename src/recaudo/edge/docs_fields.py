"""JSON Schemas as rows of a table for people: the field, its type in words, its limits, what it means."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from recaudo.edge.openapi import Json

Words = Mapping[str, str]

ENDLESS_FROM: Final = 10**12
"""A limit that only programs reach is not shown."""

# Lowest and highest of something, and the word for what is counted.
_BOUNDS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minimum", "maximum", ""),
    ("minProperties", "maxProperties", "members"),
    ("", "maxItems", "items"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One field. `inside` is the path of the object it stands in, `tag` says required or sometimes.

    `link` is the anchor of the object it holds, `notes` are its limits, `values` the only ones allowed.
    """

    name: str
    inside: str
    type: str
    link: str | None
    tag: str
    nullable: bool
    text: str
    notes: Sequence[str]
    values: Sequence[str]


class Fields:
    """Reads the schemas of one document."""

    def __init__(self, document: Json, words: Words) -> None:
        self._document = document
        self._words = words

    def resolved(self, node: Json) -> Json:
        """What a reference stands for; anything else is itself."""
        found = node
        while "$ref" in found:
            path: str = found["$ref"]
            found = self._document
            for step in path.removeprefix("#/").split("/"):
                found = found[step]
        return found

    def of_body(self, schema: Json, inside: str = "") -> Iterator[Row]:
        """The fields of an object that is sent, and of the objects in it, telling which are required."""
        required = schema.get("required", ())
        for name, field in schema.get("properties", {}).items():
            yield self.row(name, field, inside=inside, tag=self._words["required"] if name in required else "")
            for inner, mark in _inner(field):
                yield from self.of_body(inner, f"{inside}{name}{mark}.")

    def of_answer(self, schema: Json, inside: str = "") -> Iterator[Row]:
        """The members of an object that is answered, and of the objects in it, telling which are not always there."""
        required = schema.get("required", ())
        for name, field in schema.get("properties", {}).items():
            yield self.row(name, field, inside=inside, tag="" if name in required else self._words["sometimes"])
            for inner, mark in _inner(field):
                yield from self.of_answer(inner, f"{inside}{name}{mark}.")

    def row(self, name: str, schema: Json, *, inside: str = "", tag: str = "") -> Row:
        """One field."""
        choices = _choices(schema)
        parts = [part for part in choices if part.get("type") != "null"]
        names = dict.fromkeys(self._type(part) for part in parts) or [self._words["null"]]
        text: str = schema.get("description", "")
        enums = (part.get("enum", part.get("items", {}).get("enum", ())) for part in parts)
        values = [str(value) for enum in enums for value in enum if value is not None]
        return Row(
            name=name,
            inside=inside,
            type=self._words["or"].join(names),
            link=next((anchor(t) for part in parts if (t := _target(part)) is not None), None),
            tag=tag,
            nullable=bool(parts) and (len(parts) < len(choices) or any("null" in _kinds(part) for part in parts)),
            text=text,
            notes=[*self._limits(parts), *self._default(schema)],
            # A text that explains each value has named them all.
            values=[] if all(f"`{value}`" in text for value in values) else values,
        )

    def required(self, parameter: Json) -> str:
        """The tag of a parameter."""
        return self._words["required"] if parameter.get("required") else ""

    def _type(self, schema: Json) -> str:
        words = self._words
        if "$ref" in schema:
            return str(self.resolved(schema)["title"])
        if "const" in schema:
            return f'"{schema["const"]}"'
        kinds = [kind for kind in _kinds(schema) if kind != "null"]
        if kinds == ["array"]:
            items: Json = schema.get("items", {})
            return f"{words['list_of']} {self._type(items).lower()}" if items else words["list"]
        if kinds == ["string"]:
            formats: list[str] = [one.get("format", "") for one in (schema, *schema.get("anyOf", ()))]
            return words["or"].join(words[name] for name in formats if name in words) or words["string"]
        return words["or"].join(words[kind] for kind in kinds)

    def _default(self, schema: Json) -> list[str]:
        if "default" not in schema:
            return []
        return [f"{self._words['default']} `{msgspec.json.encode(schema['default']).decode().strip(chr(34))}`"]

    def _limits(self, parts: Sequence[Json]) -> list[str]:
        notes: list[str] = []
        for part in parts:
            notes += [
                self._bounds(part.get(low), part.get(high), self._words[unit] if unit else "")
                for low, high, unit in _BOUNDS
                if part.get(low) is not None or part.get(high) is not None
            ]
            if "multipleOf" in part:
                notes.append(f"{self._words['multiple_of']} {part['multipleOf']}")
        return list(dict.fromkeys(notes))

    def _bounds(self, low: int | None, high: int | None, unit: str) -> str:
        if high is not None and high >= ENDLESS_FROM:
            high = None
        if low is None or high is None:
            word = "at_most" if low is None else "at_least"
            text = f"{self._words[word]} {self._number(cast('int', high if low is None else low))}"
        else:
            text = f"{self._number(low)}\N{EN DASH}{self._number(high)}"
        return f"{text} {unit}".strip()

    def _number(self, value: int) -> str:
        return f"{value:,}".replace(",", self._words["thousands"])


def anchor(name: str) -> str:
    """The address of an object or a group on the page; operations have their own ids."""
    return "x-" + name.lower().replace(" ", "-")


def name_of(node: Json) -> str:
    """The name at the end of a reference."""
    return str(node["$ref"]).rpartition("/")[2]


def refs(node: object) -> Iterator[str]:
    """The names of the component schemas that a schema refers to, in order."""
    if isinstance(node, dict):
        members = cast("Json", node)
        if "$ref" in members:
            yield name_of(members)
        for value in members.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from refs(value)


def _inner(field: Json) -> Iterator[tuple[Json, str]]:
    """The objects that a field holds in place, with the mark of a list for the elements of one."""
    for choice in _choices(field):
        if "properties" in choice:
            yield choice, ""
        elif "properties" in choice.get("items", {}):
            yield choice["items"], "[]"


def _choices(schema: Json) -> list[Json]:
    """What a schema may be, down through anyOf; formats of one type are one choice."""
    if "anyOf" not in schema or "type" in schema:
        return [schema]
    return [part for choice in schema["anyOf"] for part in _choices(choice)]


def _kinds(schema: Json) -> list[str]:
    kind: Any = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _target(schema: Json) -> str | None:
    """The component that a field holds, or holds a list of."""
    for node in (schema, schema.get("items", {})):
        if "$ref" in node:
            return name_of(node)
    return None
