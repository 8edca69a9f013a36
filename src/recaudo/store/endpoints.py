"""Who wants to know what happened: endpoints, with their secrets encrypted."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from recaudo.domain.delivering import Endpoint
from recaudo.store.database import Connection
from recaudo.store.lists import Page, PageRequest, fetch_page
from recaudo.store.rows import Record
from recaudo.store.vault import Vault

# An invoice's change may be on its way when its endpoint is deleted; its deliveries are swept up for this long.
SWEPT_FOR = timedelta(hours=1)


async def lock_account(connection: Connection, account_id: UUID) -> None:
    """Let changes of one account's endpoints take turns: their number is limited."""
    await connection.execute("SELECT 1 FROM account WHERE id = $1 FOR NO KEY UPDATE", account_id)


async def count_endpoints(connection: Connection, account_id: UUID, dialect: str) -> int:
    """How many living endpoints an account has in a dialect."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM endpoint WHERE account_id = $1 AND dialect = $2 AND deleted_at IS NULL",
        account_id,
        dialect,
    )
    return count


async def insert_endpoint(connection: Connection, it: Endpoint, *, tells: Sequence[str], vault: Vault) -> None:
    """Write a new endpoint. `tells` are the core's names of the types it listens to."""
    await connection.execute(
        """
        INSERT INTO endpoint
            (account_id, id, dialect, name, description, url, types, tells, secret, token, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
        """,
        it.account_id,
        it.id,
        it.dialect,
        it.name,
        it.description,
        it.url,
        list(it.types),
        list(tells),
        vault.seal(it.secret.encode(), about(it.id)),
        vault.seal(it.token.encode(), about(it.id)),
        it.created_at,
    )


async def update_endpoint(connection: Connection, it: Endpoint, *, tells: Sequence[str], vault: Vault) -> None:
    """Overwrite what its owner may change, the secrets included."""
    await connection.execute(
        """
        UPDATE endpoint SET name = $3, description = $4, url = $5, types = $6, tells = $7, secret = $8,
            old_secret = $9, old_secret_until = $10, updated_at = $11
        WHERE account_id = $1 AND id = $2
        """,
        it.account_id,
        it.id,
        it.name,
        it.description,
        it.url,
        list(it.types),
        list(tells),
        vault.seal(it.secret.encode(), about(it.id)),
        None if it.old_secret is None else vault.seal(it.old_secret.encode(), about(it.id)),
        it.old_secret_until,
        it.updated_at,
    )


async def delete_endpoint(connection: Connection, account_id: UUID, endpoint_id: UUID, real_now: datetime) -> None:
    """Delete an endpoint and drop what waits for it. Its history stays."""
    await connection.execute(
        """
        WITH gone AS (
            UPDATE endpoint SET deleted_at = $3 WHERE account_id = $1 AND id = $2
        )
        UPDATE delivery SET state = 'dropped', due_at = NULL, leased_until = NULL
        WHERE account_id = $1 AND endpoint_id = $2 AND due_at IS NOT NULL
        """,
        account_id,
        endpoint_id,
        real_now,
    )


async def find_endpoint(
    connection: Connection, account_id: UUID, endpoint_id: UUID, vault: Vault, *, dialect: str | None = None
) -> Endpoint | None:
    """A living endpoint, of any dialect unless one is named."""
    record = await connection.fetchrow(
        """
        SELECT * FROM endpoint
        WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL AND ($3::text IS NULL OR dialect = $3)
        """,
        account_id,
        endpoint_id,
        dialect,
    )
    return None if record is None else endpoint_of(record, vault)


_FILTERS = {"id": "p.id = ANY ({}::uuid[])", "dialect": "p.dialect = ANY ({}::text[])"}


async def list_endpoints(
    connection: Connection,
    account_id: UUID,
    request: PageRequest,
    filters: Mapping[str, Sequence[object]],
    vault: Vault,
) -> Page[Endpoint]:
    """One page of an account's endpoints."""
    return await fetch_page(
        connection,
        select="SELECT p.*",
        source="FROM endpoint p WHERE p.account_id = $1 AND p.deleted_at IS NULL",
        conditions=[(_FILTERS[name], values) for name, values in filters.items()],
        order={"created_at": "p.id", "-created_at": "p.id DESC"}[request.sort],
        account_id=account_id,
        request=request,
        to_row=lambda record: endpoint_of(record, vault),
    )


async def open_newest(connection: Connection, vault: Vault) -> None:
    """Open the secrets of one endpoint of any account, if there is one. Raises SecretLostError."""
    record = await connection.fetchrow(
        "SELECT * FROM endpoint WHERE deleted_at IS NULL ORDER BY created_at DESC LIMIT 1"
    )
    if record is not None:
        endpoint_of(record, vault)


def endpoint_of(record: Record, vault: Vault | None) -> Endpoint:
    """The endpoint in a row; without a vault its secrets are left empty. Raises SecretLostError."""

    def opened(sealed: bytes | None) -> str | None:
        if sealed is None or vault is None:
            return None
        return vault.open(sealed, about(record["id"])).decode()

    return Endpoint(
        account_id=record["account_id"],
        id=record["id"],
        dialect=record["dialect"],
        name=record["name"],
        description=record["description"],
        url=record["url"],
        types=tuple(record["types"]),
        secret=opened(record["secret"]) or "",
        token=opened(record["token"]) or "",
        old_secret=opened(record["old_secret"]),
        old_secret_until=record["old_secret_until"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        failing_since=record["failing_since"],
    )


def about(endpoint_id: UUID) -> str:
    """What an endpoint's secrets are bound to."""
    return f"endpoint {endpoint_id}"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of tries tells of an endpoint."""

    account_id: UUID
    endpoint_id: UUID
    succeeded: bool


async def note_health(connection: Connection, facts: Sequence[Health], real_now: datetime) -> None:
    """An endpoint's failing period starts with a failure and ends with a success."""
    await connection.execute(
        """
        UPDATE endpoint p
        SET failing_since = CASE WHEN n.succeeded THEN NULL ELSE coalesce(p.failing_since, $4) END,
            failing_told = p.failing_told AND NOT n.succeeded
        FROM unnest($1::uuid[], $2::uuid[], $3::boolean[]) n (account_id, id, succeeded)
        WHERE p.account_id = n.account_id AND p.id = n.id AND n.succeeded = (p.failing_since IS NOT NULL)
        """,
        [f.account_id for f in facts],
        [f.endpoint_id for f in facts],
        [f.succeeded for f in facts],
        real_now,
    )


class FailingPeriod(msgspec.Struct, frozen=True):
    """An endpoint's failing period: which one it is, and since when (real time)."""

    number: int
    since: datetime


async def begin_telling(
    connection: Connection, account_id: UUID, endpoint_id: UUID, since_before: datetime
) -> FailingPeriod | None:
    """Claim the telling of a failing period that began before an instant; None when it was told, or is over."""
    record = await connection.fetchrow(
        """
        UPDATE endpoint SET failing_told = true, failures = failures + 1
        WHERE account_id = $1 AND id = $2 AND NOT failing_told AND failing_since <= $3 AND deleted_at IS NULL
        RETURNING failures, failing_since
        """,
        account_id,
        endpoint_id,
        since_before,
    )
    return None if record is None else FailingPeriod(record["failures"], record["failing_since"])
