"""Idempotency keys of our own routes, and the answers they keep."""

from recaudo.edge.bodies import canonical
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest
from recaudo.usecases.core import Done, Once


def once_of(request: ApiRequest) -> Once | None:
    """The key that a request was sent under, if any."""
    if request.once_key is None:
        return None
    return Once(
        scope=f"recaudo {request.route.method} {request.path.lower()}",
        key=request.once_key,
        request=canonical(request.body or {}),
    )


def reply(done: Done) -> Reply:
    """The answer of a command, fresh or kept."""
    headers = [("Idempotent-Replayed", "true")] if done.replayed else []
    return Reply(status=done.status, body=done.answer, headers=headers)
