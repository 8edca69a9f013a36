"""What payers withhold under the retentions of invoices, and the certificates that prove it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from recaudo.store.database import Connection
from recaudo.store.rows import Record


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer sent as proof, and when that was noted, on the account's clock."""

    number: str
    url: str | None
    at: datetime


class Withholding(msgspec.Struct, frozen=True, kw_only=True):
    """What is withheld under one retention of one invoice, in minor units."""

    invoice_id: UUID
    retention_id: UUID
    customer_id: UUID | None
    invoice_state: str
    kind: str
    amount_minor: int
    currency: str
    certificate: Certificate | None


_VIEW = """
    SELECT w.*, i.customer_id, i.state AS invoice_state
    FROM withholding w JOIN invoice i ON i.account_id = w.account_id AND i.id = w.invoice_id
    WHERE w.account_id = $1
"""


async def find_withholding(
    connection: Connection, account_id: UUID, invoice_id: UUID, retention_id: UUID
) -> Withholding | None:
    """One of them."""
    record = await connection.fetchrow(
        f"{_VIEW} AND w.invoice_id = $2 AND w.retention_id = $3", account_id, invoice_id, retention_id
    )
    return None if record is None else _withholding(record)


async def list_withholdings(
    connection: Connection,
    account_id: UUID,
    *,
    after: tuple[UUID, UUID] | None = None,
    invoice_id: UUID | None = None,
    kind: str | None = None,
    certified: bool | None = None,
    limit: int,
) -> list[Withholding]:
    """Those of the newest invoices first, that come after the one of an invoice and a retention."""
    values: list[object] = [account_id]

    def place(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    where = ""
    if after is not None:
        where += f" AND (w.invoice_id, w.retention_id) < ({place(after[0])}, {place(after[1])})"
    if invoice_id is not None:
        where += f" AND w.invoice_id = {place(invoice_id)}"
    if kind is not None:
        where += f" AND w.kind = {place(kind)}"
    if certified is not None:
        where += f" AND (w.certificate_number IS NOT NULL) = {place(certified)}"
    records = await connection.fetch(
        f"{_VIEW}{where} ORDER BY w.invoice_id DESC, w.retention_id DESC LIMIT {place(limit)}", *values
    )
    return [_withholding(r) for r in records]


async def set_certificate(
    connection: Connection, account_id: UUID, key: Sequence[UUID], certificate: Certificate | None
) -> None:
    """Put a certificate on what is withheld from an (invoice, retention), instead of any; None takes it away."""
    invoice_id, retention_id = key
    await connection.execute(
        """
        UPDATE withholding SET certificate_number = $4, certificate_url = $5, certified_at = $6
        WHERE account_id = $1 AND invoice_id = $2 AND retention_id = $3
        """,
        account_id,
        invoice_id,
        retention_id,
        None if certificate is None else certificate.number,
        None if certificate is None else certificate.url,
        None if certificate is None else certificate.at,
    )


def _withholding(record: Record) -> Withholding:
    number = record["certificate_number"]
    return Withholding(
        **{name: record[name] for name in Withholding.__struct_fields__ if name != "certificate"},
        certificate=None
        if number is None
        else Certificate(number=number, url=record["certificate_url"], at=record["certified_at"]),
    )
