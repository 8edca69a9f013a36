"""The gateways of merchants, with their credentials encrypted, and the comparisons that were made with them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from recaudo.store.database import Connection
from recaudo.store.rows import Record
from recaudo.store.vault import Vault


class MethodChoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A method that the merchant wants offered, and the amounts for which: minor units, both inclusive."""

    id: str
    min_minor: int | None = None
    max_minor: int | None = None


class MerchantGateway(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway as its merchant set it up. `credentials` and `notice_key` are secrets.

    `methods` None: all that the gateway offers. `position` orders the gateways: lower ones are tried first.
    """

    account_id: UUID
    id: UUID
    kind: str
    position: int
    enabled: bool
    credentials: dict[str, str]
    notice_key: str
    methods: tuple[MethodChoice, ...] | None
    created_at: datetime
    updated_at: datetime
    verified_at: datetime | None = None
    last_problem: str | None = None
    last_problem_at: datetime | None = None
    compared_until: datetime | None = None
    old_notice_digest: bytes | None = None  # of the address before, which goes on until then, in real time
    old_notice_until: datetime | None = None

    def __repr__(self) -> str:
        """Which one, without what must not be read."""
        return f"MerchantGateway({self.kind!r}, id={self.id!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for tracebacks that show what names held."""
        return [("id", self.id)]


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """What one comparison of a gateway's own list with our receipts found."""

    account_id: UUID
    id: UUID
    gateway: str
    since: datetime
    until: datetime
    transactions: int
    differences: list[dict[str, Any]]
    made_at: datetime


async def insert_gateway(connection: Connection, it: MerchantGateway, vault: Vault, *, compare_at: datetime) -> bool:
    """Write a new gateway; says whether the account had none of this kind. `compare_at` is real time."""
    status = await connection.execute(
        """
        INSERT INTO gateway (account_id, id, kind, position, enabled, credentials, notice_key, notice_digest, methods,
            created_at, updated_at, verified_at, due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12)
        ON CONFLICT (account_id, kind) DO NOTHING
        """,
        it.account_id,
        it.id,
        it.kind,
        it.position,
        it.enabled,
        _sealed(it, vault),
        vault.seal(it.notice_key.encode(), about(it.id)),
        digest(it.notice_key),
        None if it.methods is None else msgspec.to_builtins(it.methods),
        it.created_at,
        it.verified_at,
        compare_at,
    )
    return status.endswith(" 1")


async def update_gateway(connection: Connection, it: MerchantGateway, vault: Vault) -> None:
    """Overwrite what its merchant may change."""
    await connection.execute(
        """
        UPDATE gateway SET position = $3, enabled = $4, credentials = $5, notice_key = $6, notice_digest = $7,
            methods = $8, updated_at = $9, verified_at = $10, last_problem = $11, last_problem_at = $12,
            old_notice_digest = $13, old_notice_until = $14
        WHERE account_id = $1 AND id = $2
        """,
        it.account_id,
        it.id,
        it.position,
        it.enabled,
        _sealed(it, vault),
        vault.seal(it.notice_key.encode(), about(it.id)),
        digest(it.notice_key),
        None if it.methods is None else msgspec.to_builtins(it.methods),
        it.updated_at,
        it.verified_at,
        it.last_problem,
        it.last_problem_at,
        it.old_notice_digest,
        it.old_notice_until,
    )


async def delete_gateway(connection: Connection, account_id: UUID, gateway_id: UUID) -> None:
    """Forget a gateway and the notices it sent."""
    await connection.execute(
        "DELETE FROM gateway_notice WHERE account_id = $1 AND gateway_id = $2", account_id, gateway_id
    )
    await connection.execute("DELETE FROM gateway WHERE account_id = $1 AND id = $2", account_id, gateway_id)


async def note_verdict(
    connection: Connection, account_id: UUID, gateway_id: UUID, at: datetime, problem: str | None
) -> None:
    """Keep what the last use of the credentials showed."""
    await connection.execute(
        """
        UPDATE gateway SET
            verified_at = CASE WHEN $4::text IS NULL THEN $3 ELSE verified_at END,
            last_problem = $4,
            last_problem_at = CASE WHEN $4::text IS NULL THEN NULL ELSE $3::timestamptz END
        WHERE account_id = $1 AND id = $2
        """,
        account_id,
        gateway_id,
        at,
        problem,
    )


async def list_gateways(connection: Connection, account_id: UUID, vault: Vault) -> list[MerchantGateway]:
    """An account's gateways in the order in which they are tried."""
    records = await connection.fetch(
        "SELECT * FROM gateway WHERE account_id = $1 ORDER BY position, created_at, id", account_id
    )
    return [gateway_of(r, vault) for r in records]


async def find_gateway(
    connection: Connection, account_id: UUID, gateway_id: UUID, vault: Vault, *, lock: bool = False
) -> MerchantGateway | None:
    """One of the account's gateways; locked until the transaction ends when it is to be changed."""
    record = await connection.fetchrow(
        f"SELECT * FROM gateway WHERE account_id = $1 AND id = $2{' FOR UPDATE' if lock else ''}",  # noqa: S608
        account_id,
        gateway_id,
    )
    return None if record is None else gateway_of(record, vault)


async def find_gateway_of_kind(
    connection: Connection, account_id: UUID, kind: str, vault: Vault
) -> MerchantGateway | None:
    """The account's gateway of a kind, if it has one."""
    record = await connection.fetchrow("SELECT * FROM gateway WHERE account_id = $1 AND kind = $2", account_id, kind)
    return None if record is None else gateway_of(record, vault)


async def find_gateway_of_notices(
    connection: Connection, notice_key: str, vault: Vault, *, now: datetime
) -> MerchantGateway | None:
    """Whose notices come to an address. A look-up across accounts: the address names none, and cannot be guessed."""
    record = await connection.fetchrow(
        """
        SELECT * FROM gateway
        WHERE notice_digest = $1 OR (old_notice_digest = $1 AND old_notice_until > $2) LIMIT 1
        """,
        digest(notice_key),
        now,
    )
    return None if record is None else gateway_of(record, vault)


async def open_attempts_of(connection: Connection, account_id: UUID, kind: str) -> int:
    """How many attempts, refunds and notices of a gateway wait for its answer."""
    count: int = await connection.fetchval(
        """
        SELECT (SELECT count(*) FROM attempt WHERE account_id = $1 AND gateway = $2 AND due_at IS NOT NULL)
             + (SELECT count(*) FROM refund f JOIN receipt r ON r.account_id = f.account_id AND r.id = f.receipt_id
                WHERE f.account_id = $1 AND r.gateway = $2 AND f.due_at IS NOT NULL)
             + (SELECT count(*) FROM gateway_notice WHERE account_id = $1 AND kind = $2 AND due_at IS NOT NULL)
        """,
        account_id,
        kind,
    )
    return count


async def compare_again(
    connection: Connection, account_id: UUID, gateway_id: UUID, *, compared_until: datetime, due_at: datetime
) -> None:
    """Note how far a gateway was compared, and when it is compared next (real time)."""
    await connection.execute(
        """
        UPDATE gateway SET compared_until = $3, due_at = $4, leased_until = NULL, tries = 0, last_error = NULL
        WHERE account_id = $1 AND id = $2
        """,
        account_id,
        gateway_id,
        compared_until,
        due_at,
    )


async def insert_reconciliation(connection: Connection, it: Reconciliation) -> None:
    """Keep what a comparison found."""
    await connection.execute(
        "INSERT INTO reconciliation SELECT * FROM unnest($1::reconciliation[])", [msgspec.structs.astuple(it)]
    )


async def list_reconciliations(
    connection: Connection, account_id: UUID, *, before: UUID | None = None, limit: int
) -> list[Reconciliation]:
    """Comparisons, the newest first, from those before one on."""
    records = await connection.fetch(
        """
        SELECT * FROM reconciliation WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
        """,
        account_id,
        before,
        limit,
    )
    return [Reconciliation(**dict(r)) for r in records]


async def accounts_with_gateways(connection: Connection, merchant_id: UUID | None) -> Sequence[UUID]:
    """The operator's view: the accounts that have a gateway, of one merchant or of all."""
    records = await connection.fetch(
        """
        SELECT DISTINCT a.id FROM account a JOIN gateway g ON g.account_id = a.id
        WHERE $1::uuid IS NULL OR a.merchant_id = $1 ORDER BY a.id
        """,
        merchant_id,
    )
    return [r["id"] for r in records]


async def open_newest(connection: Connection, vault: Vault) -> None:
    """Raise SecretLostError when the newest credentials were encrypted under another key."""
    record = await connection.fetchrow("SELECT * FROM gateway ORDER BY created_at DESC LIMIT 1")
    if record is not None:
        gateway_of(record, vault)


def gateway_of(record: Record, vault: Vault) -> MerchantGateway:
    """The gateway in a row, opened. Raises SecretLostError."""
    values = {name: record[name] for name in MerchantGateway.__struct_fields__}
    values["credentials"] = msgspec.json.decode(
        vault.open(record["credentials"], about(record["id"])), type=dict[str, str]
    )
    values["notice_key"] = vault.open(record["notice_key"], about(record["id"])).decode()
    if values["methods"] is not None:
        values["methods"] = msgspec.convert(values["methods"], tuple[MethodChoice, ...])
    return MerchantGateway(**values)


def digest(notice_key: str) -> bytes:
    """What a notice's address is looked up by: the key itself is not in the database in clear."""
    return hashlib.sha256(notice_key.encode()).digest()


def about(gateway_id: UUID) -> str:
    """What a gateway's secrets are bound to."""
    return f"gateway {gateway_id}"


def _sealed(it: MerchantGateway, vault: Vault) -> bytes:
    return vault.seal(msgspec.json.encode(it.credentials), about(it.id))
