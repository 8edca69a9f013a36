"""What gateways sent without being asked, kept to the byte, and transactions that fit nothing (suspense)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from recaudo.store.database import Connection


class KeptNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it arrived, and what was made of it; `body` is sealed. Without a dedupe key nobody believed it."""

    account_id: UUID
    id: UUID
    gateway_id: UUID
    kind: str
    verdict: str
    reason: str | None
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    dedupe_key: str | None
    claims: list[dict[str, Any]]
    outcome: str | None = None
    received_at: datetime
    done_at: datetime | None = None


class Suspense(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that a gateway reports and that we must not book; `fact` is its report."""

    account_id: UUID
    id: UUID
    gateway: str
    gateway_tx_id: str
    reason: str
    reference: str | None
    amount_minor: int
    currency: str
    fact: dict[str, Any]
    found_at: datetime
    resolved_at: datetime | None = None
    resolution: str | None = None


async def keep_notice(connection: Connection, it: KeptNotice, *, due_at: datetime | None) -> bool:
    """Write a notice; says whether it is the first copy. A repeated one leaves no second row."""
    kept: UUID | None = await connection.fetchval(
        """
        INSERT INTO gateway_notice (account_id, id, gateway_id, kind, verdict, reason, path, query, headers, body,
            dedupe_key, claims, received_at, due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (account_id, kind, dedupe_key) DO NOTHING RETURNING id
        """,
        it.account_id,
        it.id,
        it.gateway_id,
        it.kind,
        it.verdict,
        it.reason,
        it.path,
        it.query,
        it.headers,
        it.body,
        it.dedupe_key,
        it.claims,
        it.received_at,
        due_at,
    )
    return kept is not None


async def find_notice(connection: Connection, account_id: UUID, notice_id: UUID) -> KeptNotice | None:
    """A notice as it is kept."""
    record = await connection.fetchrow(
        "SELECT * FROM gateway_notice WHERE account_id = $1 AND id = $2", account_id, notice_id
    )
    return None if record is None else KeptNotice(**{name: record[name] for name in KeptNotice.__struct_fields__})


async def sweep_notices(connection: Connection, account_id: UUID, gateway_id: UUID, before: datetime) -> None:
    """Forget the notices of a gateway that came before an instant and need no more work."""
    await connection.execute(
        """
        DELETE FROM gateway_notice
        WHERE account_id = $1 AND gateway_id = $2 AND received_at < $3 AND due_at IS NULL
        """,
        account_id,
        gateway_id,
        before,
    )


async def finish_notice(
    connection: Connection, account_id: UUID, notice_id: UUID, *, outcome: str, at: datetime
) -> None:
    """Note what became of a notice: it needs no more work."""
    await connection.execute(
        """
        UPDATE gateway_notice SET outcome = $3, done_at = $4, due_at = NULL, leased_until = NULL, last_error = NULL
        WHERE account_id = $1 AND id = $2
        """,
        account_id,
        notice_id,
        outcome,
        at,
    )


async def keep_suspense(connection: Connection, entries: Sequence[Suspense]) -> int:
    """Write transactions that fit nothing, each once; says how many were not known."""
    new = 0
    for entry in entries:
        status = await connection.execute(
            """
            INSERT INTO suspense SELECT * FROM unnest($1::suspense[])
            ON CONFLICT (account_id, gateway, gateway_tx_id, reason) DO NOTHING
            """,
            [msgspec.structs.astuple(entry)],
        )
        new += int(status.endswith(" 1"))
    return new


async def list_suspense(
    connection: Connection, account_id: UUID, *, before: UUID | None = None, only_open: bool, limit: int
) -> list[Suspense]:
    """Transactions that fit nothing, newest first, from those before an entry on."""
    records = await connection.fetch(
        """
        SELECT * FROM suspense
        WHERE account_id = $1 AND (NOT $2 OR resolved_at IS NULL) AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4
        """,
        account_id,
        only_open,
        before,
        limit,
    )
    return [Suspense(**dict(r)) for r in records]


async def resolve_suspense(
    connection: Connection, account_id: UUID, suspense_id: UUID, *, resolution: str, at: datetime
) -> Suspense | None:
    """Note what a person says became of it; None when the account has no such entry."""
    record = await connection.fetchrow(
        """
        UPDATE suspense SET resolution = $3, resolved_at = coalesce(resolved_at, $4)
        WHERE account_id = $1 AND id = $2 RETURNING *
        """,
        account_id,
        suspense_id,
        resolution,
        at,
    )
    return None if record is None else Suspense(**dict(record))
