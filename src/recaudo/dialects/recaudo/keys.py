"""Idempotency keys of our own routes, and the answers they keep.

What a request or its answer holds of secrets is not kept in clear: such a request is kept as its digest, which is all
that a comparison needs, and such an answer encrypted (`usecases.registers`).
"""

import hashlib

import msgspec

from recaudo.edge.bodies import canonical
from recaudo.edge.http import Reply
from recaudo.edge.routing import ApiRequest
from recaudo.store.vault import Vault
from recaudo.usecases.core import Done, Once


def once_of(request: ApiRequest) -> Once | None:
    """The key that a request was sent under, if any."""
    if request.once_key is None:
        return None
    return Once(
        scope=once_scope(request),
        key=request.once_key,
        request=canonical(request.body or {}),
    )


def once_scope(request: ApiRequest) -> str:
    """Where a key counts."""
    return f"recaudo {request.route.method} {request.path.lower()}"


def once_of_secrets(request: ApiRequest) -> Once | None:
    """The same for a request that tells secrets. They are long and random, so a plain digest gives nothing away."""
    once = once_of(request)
    if once is None:
        return None
    return msgspec.structs.replace(once, request=hashlib.sha256(once.request.encode()).hexdigest())


def once_of_personal(request: ApiRequest, vault: Vault) -> Once | None:
    """The same for a request that tells who somebody is: a keyed digest, as all telephones there are can be tried."""
    once = once_of(request)
    if once is None:
        return None
    digest = vault.digest(once.request.encode(), f"request {request.account.id} {once.scope} {once.key}")
    return msgspec.structs.replace(once, request=digest.hex())


def reply(done: Done) -> Reply:
    """The answer of a command, fresh or kept."""
    headers = [("Idempotent-Replayed", "true")] if done.replayed else []
    return Reply(status=done.status, body=done.answer, headers=headers)
