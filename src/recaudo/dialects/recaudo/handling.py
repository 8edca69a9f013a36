"""What the operations of our own additions share: the id of a path, and a plain answer."""

from uuid import UUID

import msgspec

from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest
from recaudo.usecases.core import NotFoundError


def id_of(request: ApiRequest, place: int = 0) -> UUID:
    """An id that the path names. Raises NotFoundError for what can be none."""
    try:
        return UUID(request.params[place])
    except ValueError:
        raise NotFoundError from None


def ok(body: object) -> Reply:
    """200 with a body."""
    return Reply(status=200, body=msgspec.json.encode(body))
