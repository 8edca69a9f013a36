"""What every operation does with a request: read its body and its key, find its object, answer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from recaudo.dialects.treli import ids, render
from recaudo.dialects.treli.queries import Filters, parse_list
from recaudo.dialects.treli.reading import IGNORED_NAME_CHARS_MAX, InvalidError, Reading, trim
from recaudo.edge.bodies import canonical
from recaudo.edge.http import Reply, ignored_header
from recaudo.edge.routing import ApiRequest, Handler, Need, Route
from recaudo.store.lists import CursorRequest
from recaudo.usecases.core import Core, Done, NotFoundError, Once, replay_if_known

DIALECT = "treli"


class Call:
    """One request while it is answered. `body` has its names trimmed; `once` is its idempotency key, if it has one."""

    def __init__(self, core: Core, request: ApiRequest) -> None:
        self.request = request
        self.account = request.account
        self.core = core
        self.body, self._clashes = trim(request.body or {})
        self.once = None
        if request.once_key is not None:
            scope = f"{DIALECT} {request.route.method} {request.path}"
            self.once = Once(scope=scope, key=request.once_key, request=canonical(self.body))
        self._reading: Reading | None = None

    def reading(self, known: Mapping[str, Collection[UUID]] | None = None) -> Reading:
        """A fresh reading of the body. The newest one says what was ignored."""
        now = self.core.now(self.account)
        self._reading = Reading(self.account, now, known=known, clashes=self._clashes)
        return self._reading

    def id(self, prefix: str, place: int = 0) -> UUID:
        """An id in the path. Raises NotFoundError for one that is no id."""
        found = ids.read(prefix, self.request.params[place])
        if found is None:
            raise NotFoundError
        return found

    def list(self, prefix: str, filters: Filters) -> tuple[CursorRequest, dict[str, Sequence[object]]]:
        """Which rows of a list are asked for. Raises InvalidError."""
        return parse_list(Reading(self.account, self.core.now(self.account)), self.request.query, prefix, filters)

    async def replay_or_refuse(self, error: InvalidError) -> Reply:
        """A body with errors under a key that was used before meets the key first (1.5). Else raises the error."""
        done = await replay_if_known(self.core, self.account, self.once)
        if done is None:
            raise error
        return self.done(done)

    def done(self, done: Done) -> Reply:
        """The answer of a use case, with what was not understood of the request."""
        if done.replayed:
            return Reply(status=done.status, body=done.answer, headers=[("Idempotent-Replayed", "true")])
        return Reply(status=done.status, body=done.answer, headers=ignored_header(self._ignored()))

    def ok(self, body: object) -> Reply:
        """An answer to a question."""
        return Reply(status=200, body=render.encode(body), headers=ignored_header(self._ignored()))

    def page(self, rows: Sequence[dict[str, Any]], *, has_more: bool) -> Reply:
        """One page of a list, all of whose parameters were understood."""
        return Reply(status=200, body=render.encode(render.page(rows, has_more=has_more)))

    def _ignored(self) -> Sequence[str]:
        """The members and parameters that were not understood; a body that nobody read means nothing at all."""
        reading = self._reading
        if reading is None:
            reading = Reading(self.account, self.core.now(self.account))
            reading.ignore_unknown(self.body, ())
        return [*reading.ignored, *dict.fromkeys(name[:IGNORED_NAME_CHARS_MAX] for name, _ in self.request.query)]


def answer(body: object) -> tuple[int, bytes]:
    """What a use case keeps and answers: every success is 200 (1.4)."""
    return 200, render.encode(body)


def deleted(prefix: str, id: UUID) -> tuple[int, bytes]:
    """The answer to a removal."""
    return answer({"id": ids.shown(prefix, id), "deleted": True})


# --- Routes ---


def creates(
    path: str, handler: Handler, operation_id: str, summary: str, *, body_bytes_max: int | None = None
) -> Route:
    """A POST with a body; `body_bytes_max` where it may be larger than others (1.4)."""
    route = _route("POST", path, handler, operation_id, summary=summary, body="required", once="optional")
    return msgspec.structs.replace(route, body_bytes_max=body_bytes_max)


def changes(path: str, handler: Handler, operation_id: str, summary: str) -> Route:
    """A POST on an object, with a body: updates are no PUT here (1.4)."""
    return _route("POST", path, handler, operation_id, summary=summary, body="required", once="optional")


def acts(path: str, handler: Handler, operation_id: str, summary: str) -> Route:
    """A POST on an object whose fields are all optional, and so is its body (1.4)."""
    return _route("POST", path, handler, operation_id, summary=summary, body="optional", once="optional")


def reads(path: str, handler: Handler, operation_id: str, summary: str) -> Route:
    """A GET."""
    return _route("GET", path, handler, operation_id, summary=summary, body="none", once="none")


def deletes(path: str, handler: Handler, operation_id: str, summary: str) -> Route:
    """A DELETE, whose body, if any, means nothing."""
    return _route("DELETE", path, handler, operation_id, summary=summary, body="optional", once="optional")


def _route(
    method: str, path: str, handler: Handler, operation_id: str, *, summary: str, body: Need, once: Need
) -> Route:
    return Route(
        method=method,
        path=path,
        handler=handler,
        operation_id=operation_id,
        summary=summary,
        tag=path.split("/")[1],
        body=body,
        once=once,
    )
