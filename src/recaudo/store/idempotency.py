"""Answers that were given before, by idempotency key."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from recaudo.store.database import Connection


class Known(msgspec.Struct, frozen=True):
    """What the first request with this key was, and its answer."""

    request: str
    status: int
    answer: bytes


async def find(connection: Connection, account_id: UUID, scope: str, key: str) -> Known | None:
    """The stored answer for a key, if any."""
    found = await find_many(connection, [(account_id, scope, key)])
    return found.get((account_id, scope, key))


async def find_many(
    connection: Connection, keys: Sequence[tuple[UUID, str, str]]
) -> dict[tuple[UUID, str, str], Known]:
    """The stored answers for several keys at once; keys that are not known are left out."""
    records = await connection.fetch(
        """
        SELECT i.account_id, i.scope, i.key, i.request, i.status, i.answer
        FROM unnest($1::uuid[], $2::text[], $3::text[]) wanted (account_id, scope, key)
        JOIN idempotency i USING (account_id, scope, key)
        """,
        [k[0] for k in keys],
        [k[1] for k in keys],
        [k[2] for k in keys],
    )
    return {(r["account_id"], r["scope"], r["key"]): Known(r["request"], r["status"], r["answer"]) for r in records}
