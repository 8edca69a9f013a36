"""The doctor sees every kind of damage: a database with some of everything is damaged in one place at a time."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from recaudo.domain.billing import Terms
from recaudo.domain.crediting import NewNote
from recaudo.domain.model import Account, CreditNote, InvoiceKind, RefundWay
from recaudo.domain.partial import PartialRule
from recaudo.store.database import Connection
from recaudo.store.doctor import CHECKS, FINDINGS_MAX, Finding, _run, examine
from recaudo.usecases import attempts, crediting, invoices, refunds, webhooks
from recaudo.usecases.attempts import StartAttempt
from recaudo.usecases.core import Core
from recaudo.usecases.crediting import Voiding
from recaudo.usecases.invoices import Withdrawal
from recaudo.usecases.refunds import RefundCommand
from recaudo.usecases.webhooks import NewEndpoint
from tests.commands import environment, recaudo
from tests.databases import bill, core_on, create, new_account, own_database
from tests.domain.builders import withheld_bill

PARTS = PartialRule(min_minor=1_000_000)


@pytest.fixture(scope="module")
async def own_url(embedded_url: str) -> AsyncIterator[str]:
    async with own_database(embedded_url) as url:
        yield url


@pytest.fixture(scope="module")
async def core(own_url: str) -> AsyncIterator[Core]:
    async with core_on(own_url) as made:
        await some_of_everything(made, await new_account(made))
        yield made


async def some_of_everything(core: Core, account: Account) -> None:
    """Invoices in every state, with money that came in full, in parts, twice, late, outside, and not yet."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    told = NewEndpoint(
        dialect="onepay", name="ERP", description=None, url="https://example.com", types=("invoice.paid",)
    )
    await webhooks.create(core, account, told, lambda _: (201, b""), once=None)
    await opened(core, account)
    await pay(core, account, await opened(core, account))
    await pay(core, account, await opened(core, account), outcome="approve_twice")
    await pay(core, account, await opened(core, account), outcome="decline")
    await pay(core, account, await opened(core, account), outcome="never_answer")
    await pay(core, account, await opened(core, account, partial=PARTS), amount_minor=2_000_000)
    await opened(core, account, kind=InvoiceKind.REQUEST, expires_at=tomorrow)
    await pay(core, account, await opened(core, account, kind=InvoiceKind.REQUEST, amount_minor=None))

    await give_back(core, account, await opened(core, account))
    await credited(core, account)
    replaced = await opened(core, account)
    await pay(core, account, replaced, outcome="settle_after_replacement")
    await replace(core, account, replaced)

    for reason, paid_outside in (("withdrawn", False), ("settled outside", True)):
        invoice_id = await opened(core, account, partial=PARTS)
        await pay(core, account, invoice_id, amount_minor=2_000_000)
        await invoices.withdraw(
            core,
            account,
            invoice_id,
            lambda reason=reason, outside=paid_outside: Withdrawal(reason, outside),
            lambda _: (204, b""),
            once=None,
        )


async def credited(core: Core, account: Account) -> None:
    """A note on what is owed and one on what was paid, one that left nothing, and one that was voided."""
    await credit(core, account, await opened(core, account, bill=withheld_bill(5_100_000, 100_000)), 1_000_000)
    paid = await opened(core, account)
    await pay(core, account, paid)
    await credit(core, account, paid, 2_000_000)
    await credit(core, account, await opened(core, account, bill=withheld_bill(5_100_000, 100_000)), None)
    note = await credit(core, account, await opened(core, account), 1_000_000)
    command = Voiding(note=note, terms=lambda _, amount_minor: Terms(base_minor=amount_minor))
    await crediting.void(core, account, command, lambda _: (200, b""), once=None)


async def credit(core: Core, account: Account, invoice_id: UUID, amount_minor: int | None) -> CreditNote:
    asked = NewNote(amount_minor=amount_minor, reason="Descuento")
    made: list[CreditNote] = []

    def respond(note: CreditNote) -> tuple[int, bytes]:
        made.append(note)
        return 200, b""

    await crediting.issue(core, account, invoice_id, asked, respond, once=None)
    return made[-1]


async def opened(core: Core, account: Account, **fields: Any) -> UUID:
    return UUID((await create(core, account, bill(**fields))).answer.decode())


async def pay(
    core: Core, account: Account, invoice_id: UUID, *, amount_minor: int = 5_000_000, outcome: str = "approve"
) -> None:
    async with core.database.connection() as connection:
        collection_id = await connection.fetchval("SELECT collection_id FROM invoice WHERE id = $1", invoice_id)
    attempt = await attempts.start(
        core,
        account,
        StartAttempt(
            collection_id=collection_id,
            amount_minor=amount_minor,
            gateway="sandbox",
            method="card",
            once_key="once",
            gateway_data={"outcome": outcome},
        ),
    )
    assert attempt.account_id == account.id


async def give_back(core: Core, account: Account, invoice_id: UUID) -> None:
    """Pay an invoice, and give a part of it back by hand."""
    await pay(core, account, invoice_id)
    async with core.database.connection() as connection:
        receipt_id = await connection.fetchval("SELECT id FROM receipt WHERE invoice_id = $1", invoice_id)
    command = RefundCommand(
        receipt_id=receipt_id,
        amount_minor=1_000_000,
        reason="test",
        way=RefundWay.ELSEWHERE,
        evidence="bank transfer 1",
    )
    await refunds.start(core, account, command, lambda _: (201, b""), once=None)


async def replace(core: Core, account: Account, invoice_id: UUID) -> None:
    await invoices.change(
        core, account, invoice_id, lambda _: {"amount_minor": 6_000_000}, lambda _: (200, b""), once=None
    )
    async with core.database.connection() as connection:
        attempt_id = await connection.fetchval("SELECT id FROM attempt WHERE invoice_id = $1", invoice_id)
    await attempts.ask(core, account, attempt_id)


DAMAGE = {
    "a delivery to an endpoint that is gone": (
        "delivery-endpoint",
        "DELETE FROM endpoint",
    ),
    "a delivery that waits for a deleted endpoint": (
        "delivery-endpoint",
        "UPDATE endpoint SET deleted_at = now() - interval '1 hour'",
    ),
    "a delivery whose body is lost": ("delivery-body", "UPDATE delivery SET state = 'delivered', due_at = NULL"),
    "money off an invoice": (
        "invoice-received",
        "UPDATE invoice SET received_minor = received_minor - 1 WHERE state = 'open' AND received_minor > 0",
    ),
    "a receipt of another amount": ("invoice-received", "UPDATE receipt SET amount_minor = amount_minor + 1"),
    "a receipt that is gone": ("invoice-received", "DELETE FROM refund; DELETE FROM receipt"),
    "a bill of another amount": (
        "invoice-receivable",
        "UPDATE transfer SET amount_minor = amount_minor + 1 WHERE debit = 'receivable' AND receipt_id IS NULL",
    ),
    "a bill that is gone": ("invoice-receivable", "DELETE FROM transfer WHERE credit = 'billed'"),
    "a paid invoice that is open": ("invoice-state", "UPDATE invoice SET state = 'open' WHERE state = 'paid'"),
    "a tax that is withheld of nothing": (
        "invoice-withheld",
        "UPDATE invoice SET state = 'void' WHERE bill IS NOT NULL AND state = 'open'",
    ),
    "a tax that is withheld in no book": ("invoice-withheld", "DELETE FROM transfer WHERE debit LIKE 'withheld:%'"),
    "a credit note that says less than it took off": (
        "note-booked",
        "UPDATE credit_note SET applied_minor = applied_minor - 1 WHERE applied_minor > 0",
    ),
    "a credit note that credited less than it says": (
        "note-booked",
        "UPDATE transfer SET amount_minor = amount_minor - 1 WHERE note_id IS NOT NULL AND credit = 'credit'",
    ),
    "a credit note in no book": ("note-booked", "DELETE FROM transfer WHERE note_id IS NOT NULL"),
    "a credit note that is gone": ("note-booked", "DELETE FROM credit_note"),
    "a credit note of another invoice": ("note-booked", "UPDATE transfer SET note_id = id WHERE note_id IS NOT NULL"),
    "a credit note that was voided in no book": (
        "note-booked",
        "UPDATE credit_note SET state = 'voided', closed_at = now() WHERE state = 'issued'",
    ),
    "a credit note over more than the total": (
        "note-total",
        "UPDATE credit_note SET amount_minor = amount_minor * 10 WHERE state = 'issued'",
    ),
    "a receipt in no book": ("receipt-booked", "DELETE FROM transfer WHERE receipt_id IS NOT NULL"),
    "a receipt in the wrong book": (
        "receipt-booked",
        "UPDATE transfer SET debit = 'credit' WHERE credit = 'receivable' AND debit LIKE 'gateway:%'",
    ),
    "money that went back of no receipt": (
        "receipt-reversed",
        """
        UPDATE receipt SET kind = 'refund', amount_minor = -amount_minor, reverses = account_id
        WHERE amount_minor > 0
        """,
    ),
    "a refund that is in no book": ("refund-booked", "UPDATE refund SET amount_minor = amount_minor + 1"),
    "a transaction that fits nothing": (
        "suspense",
        """
        INSERT INTO suspense (account_id, id, gateway, gateway_tx_id, reason, amount_minor, currency, fact, found_at)
        SELECT account_id, id, 'wompi', id::text, 'unmatched', 100, 'COP', '{}', now() FROM invoice
        """,
    ),
    "a refund that nobody asks about": ("due-work", "UPDATE refund SET state = 'unknown', ask_at = now()"),
    "half a sum that was undone": (
        "receipt-allocation",
        """
        INSERT INTO receipt (account_id, id, invoice_id, kind, amount_minor, currency, gateway, gateway_tx_id, number,
                             at, reverses, allocation_id)
        SELECT account_id, gen_random_uuid(), invoice_id, k.kind, k.sign * amount_minor, currency, gateway,
               gen_random_uuid()::text, gen_random_uuid()::text, at, CASE k.kind WHEN 'refund' THEN id END, account_id
        FROM receipt, (VALUES ('outside', 1), ('outside', 1), ('refund', -1)) k (kind, sign)
        WHERE receipt.kind = 'outside'
        """,
    ),
    "money off a collection": (
        "collection-received",
        "UPDATE collection SET received_minor = received_minor - 1 WHERE received_minor > 0",
    ),
    "a part too many": ("collection-received", "UPDATE collection SET parts = parts + 1"),
    "credit from nowhere": ("collection-overpaid", "UPDATE collection SET overpaid_minor = overpaid_minor + 1"),
    "credit in no book": ("collection-overpaid", "DELETE FROM transfer WHERE credit = 'credit'"),
    "a collection paid too early": ("collection-state", "UPDATE collection SET state = 'paid' WHERE state = 'pending'"),
    "a collection not paid though covered": (
        "collection-state",
        "UPDATE collection SET state = 'cancelled' WHERE state = 'paid'",
    ),
    "an open attempt too many": ("collection-attempts", "UPDATE collection SET open_attempts = open_attempts + 1"),
    "an open attempt that is gone": ("collection-attempts", "DELETE FROM attempt WHERE state = 'unknown'"),
    "a superseded link that takes money": (
        "collection-asks",
        "UPDATE collection SET state = 'pending' WHERE state IN ('cancelled', 'paid')",
    ),
    "a link that asks for too much": (
        "collection-asks",
        "UPDATE collection SET amount_minor = amount_minor + 1 WHERE state = 'pending'",
    ),
    "a newest collection that is none": ("invoice-collection", "UPDATE invoice SET collection_id = id"),
    "a generation too many": ("invoice-collection", "UPDATE invoice SET generation = generation + 1"),
    "a change without event": ("invoice-history", "UPDATE invoice SET version = version + 1"),
    "a version of the history that is gone": ("invoice-history", "DELETE FROM event WHERE version = 1"),
    "an event that is gone": ("invoice-history", "DELETE FROM event WHERE version = 1 AND ordinal = 0"),
    "an expiry that nobody waits for": ("due-work", "UPDATE collection SET due_at = NULL"),
    "an attempt that nobody asks about": ("due-work", "UPDATE attempt SET due_at = NULL"),
    "work on something that is over": ("due-work", "UPDATE collection SET due_at = now() WHERE state = 'paid'"),
    "money of an attempt that failed": (
        "attempt-money",
        "UPDATE attempt SET state = 'failed' WHERE state = 'succeeded'",
    ),
    "no money of an attempt that succeeded": (
        "attempt-money",
        "UPDATE attempt SET state = 'succeeded' WHERE state = 'failed'",
    ),
    "an invoice of no customer": ("owners", "UPDATE invoice SET customer_id = id WHERE customer_id IS NOT NULL"),
    "an invoice of no account": ("owners", "DELETE FROM api_key; DELETE FROM account"),
    "an invoice that no list counts": ("tally", "DELETE FROM tally WHERE name = 'invoice:paid'"),
    "an invoice that a list counts twice": (
        "tally",
        "INSERT INTO tally (account_id, name, count) SELECT account_id, 'invoice:paid', 1 FROM invoice",
    ),
    "sandbox money in a live account": (
        "live-sandbox",
        "DROP INDEX account_one_live; UPDATE account SET is_test = NOT is_test",
    ),
}


async def all_findings(connection: Connection) -> dict[str, list[Finding]]:
    return {check.name: found for check in CHECKS if (found := await _run(connection, check))}


async def test_a_healthy_database_with_some_of_everything_has_no_findings(core: Core) -> None:
    async with core.database.connection() as connection:
        for table in ("invoice", "collection", "attempt", "receipt"):
            kinds = "kind" if table == "receipt" else "state"
            found = await connection.fetch(f"SELECT DISTINCT {kinds} FROM {table}")
            assert len(found) >= 2, f"there should be several kinds of {table}"
    seen = [(check.name, findings) async for check, findings in examine(core.database)]
    assert seen == [(check.name, []) for check in CHECKS]


def test_every_check_has_damage_that_it_must_see() -> None:
    assert {check for check, _ in DAMAGE.values()} == {check.name for check in CHECKS}
    assert all(check.meaning.endswith(".") for check in CHECKS)


@pytest.mark.parametrize("what", DAMAGE)
async def test_the_doctor_sees(core: Core, what: str) -> None:
    check, damage = DAMAGE[what]
    async with core.database.connection() as connection:
        assert await all_findings(connection) == {}
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(damage)
            found = await all_findings(connection)
        finally:
            await transaction.rollback()
    assert check in found, f"{what}: only {sorted(found)} saw it"
    for finding in found[check]:
        assert finding.check == check
        assert finding.stored != finding.computed


async def test_a_check_lists_no_more_than_its_limit(core: Core) -> None:
    account = await new_account(core)
    for _ in range(FINDINGS_MAX + 5):
        await opened(core, account)
    async with core.database.transaction() as connection:
        await connection.execute("UPDATE invoice SET version = version + 1 WHERE account_id = $1", account.id)
        found = await all_findings(connection)
        assert len(found["invoice-history"]) == FINDINGS_MAX
        await connection.execute("UPDATE invoice SET version = version - 1 WHERE account_id = $1", account.id)


async def test_the_command_tells_what_is_wrong_and_by_its_status_that_something_is(
    core: Core, own_url: str, tmp_path: Path
) -> None:
    env = environment(tmp_path, own_url)
    healthy = await recaudo("doctor", environment=env)
    assert healthy.status == 0, healthy.err
    assert "agrees with receipts and transfers" in healthy.err
    assert (await recaudo("doctor", "--json", environment=env)).out == ""

    async with core.database.connection() as connection:
        invoice_id = await connection.fetchval(
            "UPDATE invoice SET received_minor = received_minor - 1 WHERE id = "
            "(SELECT id FROM invoice WHERE state = 'open' AND received_minor > 0 LIMIT 1) RETURNING id"
        )
        right = await connection.fetchval("SELECT received_minor + 1 FROM invoice WHERE id = $1", invoice_id)
    try:
        ill = await recaudo("doctor", environment=env)
        listed = await recaudo("doctor", "--json", environment=env)
    finally:
        async with core.database.connection() as connection:
            await connection.execute("UPDATE invoice SET received_minor = received_minor + 1 WHERE id = $1", invoice_id)
    assert (ill.status, listed.status) == (1, 1)
    assert str(invoice_id) in ill.err + ill.out
    findings = [json.loads(line) for line in listed.out.splitlines()]
    assert {f["check"] for f in findings} == {"invoice-received", "invoice-receivable"}
    assert all(set(f) == {"check", "account_id", "id", "stored", "computed"} for f in findings)
    assert {f["id"] for f in findings} == {str(invoice_id)}
    assert str(right) in {f["computed"] for f in findings}, "in digits"


async def test_the_doctor_works_beside_a_server_and_sees_one_moment(core: Core, own_url: str) -> None:
    """What is committed while it looks must not appear as a difference between two of its checks."""
    account = await new_account(core)
    async with core_on(own_url) as other:
        async for check, findings in examine(other.database):
            assert findings == [], check.name
            await pay(core, account, await opened(core, account))
