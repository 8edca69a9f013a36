"""Routes of a JSON API as a table, and finding one by method and path."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from recaudo.domain.model import Account
from recaudo.edge.http import BodyStream, Reply
from recaudo.edge.problems import Problem, ProblemKind

Need = Literal["required", "optional", "none"]
Takes = Literal["required", "optional", "none", "stream"]


class ApiRequest(msgspec.Struct, kw_only=True):
    """A request that passed every check before its meaning: who, what, with which key."""

    account: Account
    route: "Route"
    path: str  # without mount, query and trailing slash
    params: Sequence[str]
    query: list[tuple[str, str]]
    body: dict[str, Any] | None
    stream: BodyStream | None = None  # of a route that takes one
    once_key: str | None
    request_id: str
    base_url: str


Handler = Callable[[ApiRequest], Awaitable[Reply]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: how it is reached, what it needs, and what the documentation says of it."""

    method: str
    path: str  # as /invoices/{id}
    handler: Handler
    operation_id: str
    summary: str
    tag: str
    body: Takes = "none"
    once: Need = "none"
    body_bytes_max: int | None = None  # when it is not the pipeline's own limit
    waits: bool = False  # for news, when the query says `wait`: it holds no reader's place meanwhile
    docs: dict[str, Any] = {}


class Router:
    """Finds routes by their segments; `{...}` stands for any one segment."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._root: dict[str, Any] = {}
        self._has_streams = any(route.body == "stream" for route in routes)
        self._has_limits = any(route.body_bytes_max is not None for route in routes)
        for route in routes:
            node = self._root
            for segment in _segments(route.path):
                node = node.setdefault("*" if segment.startswith("{") else segment, {})
            node.setdefault("", {})[route.method] = route

    def takes_stream(self, method: str, path: str) -> bool:
        """Whether a body goes to the handler as it arrives."""
        if not self._has_streams:
            return False
        try:
            route, _ = self.find(method, path)
        except Problem:
            return False
        return route.body == "stream"

    def body_bytes_max(self, method: str, path: str, default: int) -> int:
        """How large a body may be. Size is checked before anything else, so a path that nobody has is no error yet."""
        if not self._has_limits:
            return default
        try:
            route, _ = self.find(method, path)
        except Problem:
            return default
        return route.body_bytes_max or default

    def find(self, method: str, path: str) -> tuple[Route, list[str]]:
        """The route and the segments its placeholders stand for.

        Raises Problem ROUTE_NOT_FOUND, or METHOD_NOT_ALLOWED with the header that names what is.
        """
        if not path.startswith("/"):
            raise Problem(ProblemKind.ROUTE_NOT_FOUND)
        node = self._root
        params: list[str] = []
        for segment in _segments(path):
            step = node.get(segment) if segment not in {"", "*"} else None
            if step is None:
                step = node.get("*")
                params.append(segment)
            if step is None or segment == "":
                raise Problem(ProblemKind.ROUTE_NOT_FOUND)
            node = step
        methods: dict[str, Route] | None = node.get("")
        if methods is None:
            raise Problem(ProblemKind.ROUTE_NOT_FOUND)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allow = sorted([*methods, "HEAD"] if "GET" in methods else methods)
            raise Problem(ProblemKind.METHOD_NOT_ALLOWED, headers=[("Allow", ", ".join(allow))])
        return route, params


def _segments(path: str) -> list[str]:
    """The parts of a path. One slash at its end is ignored; any other empty part is one that no route has."""
    return path.removeprefix("/").removesuffix("/").split("/")
