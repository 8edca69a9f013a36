"""What the operations of our own additions share: the id of a path, a plain answer, a page of a list."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from recaudo.dialects.recaudo import render
from recaudo.dialects.recaudo.cursors import id_cursor
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest
from recaudo.usecases.core import NotFoundError

Row = TypeVar("Row")


def id_of(request: ApiRequest, place: int = 0) -> UUID:
    """An id that the path names. Raises NotFoundError for what can be none."""
    try:
        return UUID(request.params[place])
    except ValueError:
        raise NotFoundError from None


def ok(body: object) -> Reply:
    """200 with a body."""
    return Reply(status=200, body=msgspec.json.encode(body))


def page_by_id(
    found: Sequence[Row],
    shown: Callable[[Row], Mapping[str, Any]],
    *,
    limit: int,
    account_id: UUID,
    key: Callable[[Row], UUID],
) -> Reply:
    """One page of a list that is ordered by id, of which one row more than `limit` was looked for."""
    return page_by(found, shown, limit=limit, cursor=lambda last: id_cursor(account_id, key(last)))


def page_by(
    found: Sequence[Row], shown: Callable[[Row], Mapping[str, Any]], *, limit: int, cursor: Callable[[Row], str]
) -> Reply:
    """The same of a list with another order; `cursor` is made of the page's last row."""
    page, has_more = found[:limit], len(found) > limit
    next_cursor = cursor(page[-1]) if has_more else None
    return ok(render.page([shown(it) for it in page], has_more=has_more, next_cursor=next_cursor))
