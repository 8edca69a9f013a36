"""Recomputing every projected status and sum from receipts and transfers, and reporting each difference.

Each check is one query that returns what is wrong; a healthy database returns nothing. The checks read a snapshot,
so they may run while the server works.
"""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from recaudo.store import tally
from recaudo.store.database import Connection, Database


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One row that is not what its causes say."""

    check: str
    account_id: UUID
    id: UUID
    stored: str
    computed: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A question whose answer must be empty: (account_id, id, stored, computed) of what is wrong."""

    name: str
    meaning: str
    sql: str


_COUNTED = [
    tally.counted("t", noun, f"{noun} t", 1)
    for noun in (tally.INVOICE, tally.COLLECTION, tally.ATTEMPT, tally.CUSTOMER)
]

CHECKS = (
    Check(
        name="invoice-received",
        meaning="An invoice received its receipts, less what was moved to customer credit.",
        sql="""
        SELECT i.account_id, i.id, i.received_minor AS stored,
               coalesce(r.sum, 0) - coalesce(t.sum, 0) AS computed
        FROM invoice i
        LEFT JOIN (SELECT account_id, invoice_id, sum(amount_minor) FROM receipt GROUP BY 1, 2) r
               ON r.account_id = i.account_id AND r.invoice_id = i.id
        LEFT JOIN (SELECT account_id, invoice_id,
                          sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END)
                   FROM transfer WHERE 'credit' IN (debit, credit) GROUP BY 1, 2) t
               ON t.account_id = i.account_id AND t.invoice_id = i.id
        WHERE i.received_minor IS DISTINCT FROM coalesce(r.sum, 0) - coalesce(t.sum, 0)
        """,
    ),
    Check(
        name="invoice-receivable",
        meaning="Receivables hold what an invoice still owes, and nothing for a withdrawn one or a request.",
        sql="""
        SELECT i.account_id, i.id,
               CASE WHEN i.state = 'void' OR i.kind = 'request' THEN 0
                    ELSE i.amount_minor - i.received_minor END AS stored,
               coalesce(t.sum, 0) AS computed
        FROM invoice i
        LEFT JOIN (SELECT account_id, invoice_id,
                          sum(CASE WHEN debit = 'receivable' THEN amount_minor ELSE -amount_minor END)
                   FROM transfer WHERE 'receivable' IN (debit, credit) GROUP BY 1, 2) t
               ON t.account_id = i.account_id AND t.invoice_id = i.id
        WHERE coalesce(t.sum, 0) IS DISTINCT FROM
              CASE WHEN i.state = 'void' OR i.kind = 'request' THEN 0 ELSE i.amount_minor - i.received_minor END
        """,
    ),
    Check(
        name="invoice-state",
        meaning="An invoice is paid exactly when it received its amount, whatever of that went back later.",
        sql="""
        SELECT i.account_id, i.id, i.state AS stored,
               CASE WHEN i.received_minor = i.amount_minor THEN 'paid' ELSE 'open' END AS computed
        FROM invoice i
        WHERE (i.state = 'open' AND i.received_minor = i.amount_minor)
           OR (i.state = 'paid' AND i.received_minor IS DISTINCT FROM i.amount_minor AND NOT EXISTS (
                  SELECT 1 FROM receipt r
                  WHERE r.account_id = i.account_id AND r.invoice_id = i.id AND r.kind = 'refund'
                  HAVING i.received_minor - sum(r.amount_minor) >= i.amount_minor
               ))
        """,
    ),
    Check(
        name="invoice-withheld",
        meaning="What payers withhold is booked apart, and nothing of an invoice that is no longer owed.",
        sql="""
        SELECT i.account_id, i.id, CASE WHEN i.state = 'void' THEN 0 ELSE b.sum END AS stored,
               coalesce(t.sum, 0) AS computed
        FROM invoice i
        CROSS JOIN LATERAL (SELECT coalesce(sum((r ->> 'amount_minor')::bigint), 0) AS sum
                            FROM json_array_elements(i.bill -> 'retentions') r) b
        LEFT JOIN (SELECT account_id, invoice_id,
                          sum(CASE WHEN debit LIKE 'withheld:%' THEN amount_minor ELSE -amount_minor END)
                   FROM transfer WHERE debit LIKE 'withheld:%' OR credit LIKE 'withheld:%' GROUP BY 1, 2) t
               ON t.account_id = i.account_id AND t.invoice_id = i.id
        WHERE i.bill IS NOT NULL
          AND coalesce(t.sum, 0) IS DISTINCT FROM CASE WHEN i.state = 'void' THEN 0 ELSE b.sum END
        """,
    ),
    Check(
        name="note-booked",
        meaning="The ledger took off an invoice what its issued credit notes say, and nothing for a voided one.",
        sql="""
        SELECT coalesce(n.account_id, t.account_id) AS account_id, coalesce(n.id, t.note_id) AS id,
               coalesce(n.lowered || ' lowered, ' || n.credited || ' credited', 'no note') AS stored,
               coalesce(t.lowered, 0) || ' lowered, ' || coalesce(t.credited, 0) || ' credited' AS computed
        FROM (SELECT account_id, id, invoice_id,
                     CASE state WHEN 'issued' THEN applied_minor + credited_minor ELSE 0 END AS lowered,
                     CASE state WHEN 'issued' THEN credited_minor ELSE 0 END AS credited
              FROM credit_note) n
        FULL JOIN (SELECT account_id, note_id, invoice_id,
                          sum(CASE 'billed' WHEN debit THEN amount_minor WHEN credit THEN -amount_minor END) AS lowered,
                          sum(CASE 'credit' WHEN credit THEN amount_minor WHEN debit THEN -amount_minor END) AS credited
                   FROM transfer WHERE note_id IS NOT NULL GROUP BY 1, 2, 3) t
               ON t.account_id = n.account_id AND t.note_id = n.id AND t.invoice_id = n.invoice_id
        WHERE n.id IS NULL
           OR (n.lowered, n.credited) IS DISTINCT FROM (coalesce(t.lowered, 0), coalesce(t.credited, 0))
        """,
    ),
    Check(
        name="note-total",
        meaning="The issued credit notes of an invoice are together no more than its total.",
        sql="""
        SELECT i.account_id, i.id, n.sum AS stored,
               coalesce((i.bill ->> 'total_minor')::bigint, i.amount_minor + n.lowered) AS computed
        FROM invoice i
        JOIN (SELECT account_id, invoice_id, sum(amount_minor), sum(applied_minor + credited_minor) AS lowered
              FROM credit_note WHERE state = 'issued' GROUP BY 1, 2) n
          ON n.account_id = i.account_id AND n.invoice_id = i.id
        WHERE n.sum > coalesce((i.bill ->> 'total_minor')::bigint, i.amount_minor + n.lowered)
        """,
    ),
    Check(
        name="receipt-booked",
        meaning="Every receipt is in the ledger in full.",
        sql="""
        SELECT r.account_id, r.id, r.amount_minor AS stored, coalesce(t.sum, 0) AS computed
        FROM receipt r
        LEFT JOIN (SELECT account_id, receipt_id,
                          sum(CASE WHEN debit LIKE 'gateway:%' OR debit = 'outside' THEN amount_minor
                                   ELSE -amount_minor END)
                   FROM transfer WHERE receipt_id IS NOT NULL GROUP BY 1, 2) t
               ON t.account_id = r.account_id AND t.receipt_id = r.id
        WHERE r.amount_minor IS DISTINCT FROM coalesce(t.sum, 0)
        """,
    ),
    Check(
        name="receipt-reversed",
        meaning="No more of a receipt went back than had arrived, and every reversal names its receipt.",
        sql="""
        SELECT r.account_id, coalesce(o.id, r.reverses, r.account_id) AS id,
               sum(-r.amount_minor) AS stored, coalesce(o.amount_minor, 0) AS computed
        FROM receipt r
        LEFT JOIN receipt o ON o.account_id = r.account_id AND o.id = r.reverses AND o.invoice_id = r.invoice_id
        WHERE r.kind = 'refund'
        GROUP BY r.account_id, r.reverses, o.id, o.amount_minor
        HAVING sum(-r.amount_minor) > coalesce(o.amount_minor, 0)
        """,
    ),
    Check(
        name="refund-booked",
        meaning="Refunds that succeeded are booked as money that went back, and open ones are within what is left.",
        sql="""
        SELECT f.account_id, f.receipt_id AS id,
               sum(f.amount_minor) FILTER (WHERE f.state = 'succeeded') || ' of ' || sum(f.amount_minor) AS stored,
               coalesce(b.back, 0) || ' of ' || r.amount_minor AS computed
        FROM refund f
        JOIN receipt r ON r.account_id = f.account_id AND r.id = f.receipt_id
        LEFT JOIN (SELECT account_id, reverses, sum(-amount_minor) AS back FROM receipt
                   WHERE kind = 'refund' GROUP BY 1, 2) b
               ON b.account_id = f.account_id AND b.reverses = f.receipt_id
        WHERE f.state <> 'failed'
        GROUP BY f.account_id, f.receipt_id, r.amount_minor, b.back
        HAVING sum(f.amount_minor) > r.amount_minor
            OR coalesce(sum(f.amount_minor) FILTER (WHERE f.state = 'succeeded'), 0) > coalesce(b.back, 0)
        """,
    ),
    Check(
        name="suspense",
        meaning="No transaction that a gateway reports waits for somebody to say what became of it.",
        sql="""
        SELECT account_id, id, gateway || ' ' || gateway_tx_id || ': ' || reason AS stored, 'resolved' AS computed
        FROM suspense WHERE resolved_at IS NULL
        """,
    ),
    Check(
        name="receipt-allocation",
        meaning="Of a sum that was spread over several debts all was undone, or nothing.",
        sql="""
        SELECT account_id, allocation_id AS id, count(*) FILTER (WHERE kind = 'refund') AS stored,
               count(*) FILTER (WHERE kind <> 'refund') AS computed
        FROM receipt WHERE allocation_id IS NOT NULL
        GROUP BY account_id, allocation_id
        HAVING count(*) FILTER (WHERE kind = 'refund') NOT IN (0, count(*) FILTER (WHERE kind <> 'refund'))
        """,
    ),
    Check(
        name="collection-received",
        meaning="A collection received the receipts booked on it, in as many parts; what was undone is none.",
        sql="""
        SELECT c.account_id, c.id, c.received_minor || ' in ' || c.parts AS stored,
               coalesce(r.sum, 0) || ' in ' || coalesce(r.parts, 0) AS computed
        FROM collection c
        LEFT JOIN (SELECT account_id, collection_id, sum(amount_minor),
                          count(*) FILTER (WHERE kind <> 'refund')
                          - count(*) FILTER (WHERE kind = 'refund' AND gateway = 'outside') AS parts
                   FROM receipt GROUP BY 1, 2) r
               ON r.account_id = c.account_id AND r.collection_id = c.id
        WHERE (c.received_minor, c.parts) IS DISTINCT FROM (coalesce(r.sum, 0), coalesce(r.parts, 0))
        """,
    ),
    Check(
        name="collection-overpaid",
        meaning="What a collection received in excess is customer credit.",
        sql="""
        SELECT c.account_id, c.id, c.overpaid_minor AS stored, coalesce(t.sum, 0) AS computed
        FROM collection c
        LEFT JOIN (SELECT account_id, collection_id,
                          sum(CASE WHEN credit = 'credit' THEN amount_minor ELSE -amount_minor END)
                   FROM transfer WHERE 'credit' IN (debit, credit) GROUP BY 1, 2) t
               ON t.account_id = c.account_id AND t.collection_id = c.id
        WHERE c.overpaid_minor IS DISTINCT FROM coalesce(t.sum, 0)
        """,
    ),
    Check(
        name="collection-state",
        meaning="A collection is paid when it received what it asked for, and not before.",
        sql="""
        SELECT account_id, id, state AS stored,
               CASE WHEN received_minor >= amount_minor THEN 'paid' ELSE 'not paid' END AS computed
        FROM collection
        WHERE (state = 'paid' AND received_minor + refunded_minor < amount_minor)
           OR (state IN ('pending', 'cancelled', 'expired') AND received_minor >= amount_minor)
        """,
    ),
    Check(
        name="collection-attempts",
        meaning="A collection counts its attempts whose outcome is open.",
        sql="""
        SELECT c.account_id, c.id, c.open_attempts AS stored, coalesce(t.count, 0) AS computed
        FROM collection c
        LEFT JOIN (SELECT account_id, collection_id, count(*) FROM attempt
                   WHERE state IN ('processing', 'unknown') GROUP BY 1, 2) t
               ON t.account_id = c.account_id AND t.collection_id = c.id
        WHERE c.open_attempts IS DISTINCT FROM coalesce(t.count, 0)
        """,
    ),
    Check(
        name="collection-asks",
        meaning="Live collections never ask for more than their invoice owes; a settled invoice asks for nothing.",
        sql="""
        SELECT i.account_id, i.id, sum(c.amount_minor - c.received_minor) AS stored,
               CASE WHEN i.state IN ('paid', 'void') THEN 0 ELSE i.amount_minor - i.received_minor END AS computed
        FROM invoice i
        JOIN collection c ON c.account_id = i.account_id AND c.invoice_id = i.id AND c.state = 'pending'
        WHERE i.kind = 'invoice'
        GROUP BY i.account_id, i.id
        HAVING sum(c.amount_minor - c.received_minor) >
               CASE WHEN i.state IN ('paid', 'void') THEN 0 ELSE i.amount_minor - i.received_minor END
        """,
    ),
    Check(
        name="invoice-collection",
        meaning="The collection an invoice names as its newest is its own.",
        sql="""
        SELECT i.account_id, i.id, i.collection_id AS stored, c.invoice_id AS computed
        FROM invoice i LEFT JOIN collection c ON c.account_id = i.account_id AND c.id = i.collection_id
        WHERE c.invoice_id IS DISTINCT FROM i.id OR c.generation IS DISTINCT FROM i.generation
        """,
    ),
    Check(
        name="invoice-history",
        meaning="Every version of an invoice has its events, with none missing.",
        sql="""
        SELECT i.account_id, i.id, i.version || ' versions, ' || coalesce(e.events, 0) || ' events' AS stored,
               coalesce(e.versions, 0) || ' versions, ' || coalesce(e.numbered, 0) || ' events' AS computed
        FROM invoice i
        LEFT JOIN (SELECT account_id, subject_id, count(*) AS versions, sum(count) AS events, sum(last + 1) AS numbered
                   FROM (SELECT account_id, subject_id, version, count(*), max(ordinal) AS last
                         FROM event GROUP BY 1, 2, 3) v
                   GROUP BY 1, 2) e
               ON e.account_id = i.account_id AND e.subject_id = i.id
        WHERE i.version IS DISTINCT FROM coalesce(e.versions, 0) OR e.events IS DISTINCT FROM e.numbered
        """,
    ),
    Check(
        name="attempt-money",
        meaning="A succeeded attempt has a receipt and one that did not succeed has none.",
        sql="""
        SELECT t.account_id, t.id, t.state AS stored, coalesce(r.count, 0) AS computed
        FROM attempt t
        LEFT JOIN (SELECT account_id, attempt_id, count(*) FROM receipt WHERE kind = 'gateway' GROUP BY 1, 2) r
               ON r.account_id = t.account_id AND r.attempt_id = t.id
        WHERE (t.state IN ('succeeded', 'refunded', 'disputed')) IS DISTINCT FROM (coalesce(r.count, 0) > 0)
        """,
    ),
    Check(
        name="due-work",
        meaning="What must happen later waits for the worker, and nothing else does.",
        sql="""
        SELECT account_id, id, due_at AS stored, least(expires_at, overdue_at) AS computed
        FROM collection
        WHERE (state = 'pending' AND least(expires_at, overdue_at) IS NOT NULL) IS DISTINCT FROM (due_at IS NOT NULL)
        UNION ALL
        SELECT account_id, id, due_at, ask_at
        FROM attempt
        WHERE (ask_at IS NOT NULL) IS DISTINCT FROM (due_at IS NOT NULL)
           OR (state IN ('created', 'processing', 'unknown') AND due_at IS NULL)
           OR (state = 'refunded' AND due_at IS NOT NULL)
        UNION ALL
        SELECT account_id, id, due_at, ask_at
        FROM refund
        WHERE (state IN ('created', 'processing', 'unknown')) IS DISTINCT FROM (due_at IS NOT NULL)
        """,
    ),
    Check(
        name="delivery-endpoint",
        meaning="Every delivery is to an endpoint of its account, and nothing waits for one that was deleted.",
        sql="""
        SELECT d.account_id, d.id, d.state AS stored, coalesce('deleted ' || p.deleted_at, 'no endpoint') AS computed
        FROM delivery d LEFT JOIN endpoint p ON p.account_id = d.account_id AND p.id = d.endpoint_id
        WHERE p.id IS NULL OR (d.state = 'waiting' AND p.deleted_at < now() - interval '5 minutes')
        """,
    ),
    Check(
        name="delivery-body",
        meaning="What was delivered is kept, to the byte.",
        sql="""
        SELECT d.account_id, d.id, d.state AS stored, 'no body' AS computed
        FROM delivery d JOIN endpoint p ON p.account_id = d.account_id AND p.id = d.endpoint_id
        WHERE d.state = 'delivered' AND NOT EXISTS (
            SELECT 1 FROM event_body b
            WHERE b.account_id = d.account_id AND b.event_id = d.event_id AND b.dialect = p.dialect
        )
        """,
    ),
    Check(
        name="owners",
        meaning="Every invoice belongs to an account and a customer that exist.",
        sql="""
        SELECT i.account_id, i.id, i.customer_id AS stored, 'missing' AS computed
        FROM invoice i
        WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = i.account_id)
           OR (i.customer_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM customer p WHERE p.account_id = i.account_id AND p.id = i.customer_id))
        """,
    ),
    Check(
        name="tally",
        meaning="The numbers that lists tell are those of the rows.",
        sql=f"""
        SELECT coalesce(s.account_id, n.account_id) AS account_id, coalesce(s.account_id, n.account_id) AS id,
               coalesce(s.name, n.name) || ' ' || coalesce(s.sum, 0) AS stored, coalesce(n.sum, 0) AS computed
        FROM (SELECT account_id, name, sum(count) FROM tally GROUP BY 1, 2 HAVING sum(count) <> 0) s
        FULL JOIN (SELECT account_id, name, count(*) AS sum FROM ({" UNION ALL ".join(_COUNTED)}) c GROUP BY 1, 2) n
               ON n.account_id = s.account_id AND n.name = s.name
        WHERE s.sum IS DISTINCT FROM n.sum
        """,  # noqa: S608 - our own names
    ),
    Check(
        name="live-sandbox",
        meaning="No live account holds money of the sandbox.",
        sql="""
        SELECT r.account_id, r.id, r.gateway AS stored, 'a real gateway' AS computed
        FROM receipt r JOIN account a ON a.id = r.account_id
        WHERE r.gateway = 'sandbox' AND NOT a.is_test
        """,
    ),
)

# The first ones tell what is wrong; a check that finds more stops there.
FINDINGS_MAX = 50


async def examine(database: Database) -> AsyncIterator[tuple[Check, list[Finding]]]:
    """Run every check on one snapshot of the database, one after the other."""
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute("SET LOCAL statement_timeout = 0")
        for check in CHECKS:
            yield check, await _run(connection, check)


async def _run(connection: Connection, check: Check) -> list[Finding]:
    records = await connection.fetch(f"{check.sql} LIMIT {FINDINGS_MAX}", timeout=None)
    return [_finding(check, dict(r)) for r in records]


def _finding(check: Check, record: dict[str, Any]) -> Finding:
    return Finding(
        check=check.name,
        account_id=record["account_id"],
        id=record["id"],
        stored=_told(record["stored"]),
        computed=_told(record["computed"]),
    )


def _told(value: object) -> str:
    """As a person writes it: sums of PostgreSQL come as decimals, which Python shortens to 8.8E+6."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
