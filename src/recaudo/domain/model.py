"""The nouns of the core, as frozen records: what is owed, asked for, tried, received and booked.

Money is integer minor units (`_minor`), instants are UTC, due days are dates in the account's time zone. A record
mirrors one table; `Case` is the aggregate a decision works on: one invoice with the collections that matter to it.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from recaudo.domain.billing import Bill, Terms
from recaudo.domain.partial import Allowed, PartialRule, allowed_parts
from recaudo.domain.rounding import RETENTION_ROUNDING, TAX_ROUNDING, Rounding
from recaudo.domain.states import (
    IN_PROGRESS,
    AttemptState,
    CollectionState,
    InvoiceState,
    NoteState,
    RefundState,
)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant of all data. `settings` holds only what differs from the defaults."""

    id: UUID
    merchant_id: UUID
    is_test: bool
    active: bool = True
    currency: str = "COP"
    time_zone: str = "America/Bogota"
    country: str = "CO"
    clock_shift: timedelta = timedelta(0)
    amount_min_minor: int = 500_000
    amount_max_minor: int = 10_000_000_000
    contact_rule: str = "either"
    allow_duplicate_origin: bool = False
    allow_duplicate_documents: bool = False
    allows: dict[str, bool] = msgspec.field(
        default_factory=lambda: {"accounts": True, "cards": True, "card_extra": False, "realtime": False}
    )
    tax_rounding: Rounding = TAX_ROUNDING
    retention_rounding: Rounding = RETENTION_ROUNDING
    default_collection_rule: UUID | None = None
    invoice_provider: str | None = None  # who issues invoices: siigo, alegra
    rate_per_second: int = 2000
    rate_burst: int = 4000
    merchant_slug: str = ""
    merchant_name: str = ""


class InvoiceKind(StrEnum):
    INVOICE = "invoice"
    REQUEST = "request"  # a stand-alone request to pay: no debt stands behind it until it is paid


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """The debtor. One made only from an invoice's reference stays unlisted until its document is known."""

    account_id: UUID
    id: UUID
    reference: str | None = None
    listed: bool = False
    user_type: str = "natural"
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    document_type: str | None = None
    document_number: str | None = None
    document_bound: bool | None = None  # True: no other bound customer may have the same document
    enable_notifications: bool = True
    nationality: str | None = None
    birthdate: date | None = None
    related_to: UUID | None = None
    created_at: datetime
    updated_at: datetime
    address: dict[str, Any] | None = None  # the rest of a billing address
    emails: tuple[str, ...] = ()  # further receivers of notices
    deleted_at: datetime | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed. `version` grows by one with every change of the invoice or anything under it."""

    account_id: UUID
    id: UUID
    version: int
    kind: InvoiceKind
    dialect: str
    state: InvoiceState
    currency: str
    amount_minor: int | None  # None: the payer types it (requests only)
    received_minor: int = 0  # receipts, net of refunds and of money moved to customer credit
    name: str
    description: str | None = None
    reference: str | None = None
    origin: str | None = None  # the system that issued it
    origin_id: str | None = None  # its id there
    origin_bound: bool | None = None  # True: no other invoice that is bound may have the same origin and origin_id
    customer_id: UUID | None = None
    phone: str | None = None
    email: str | None = None
    due_on: date | None = None
    document_url: str | None = None
    redirect_url: str | None = None
    metadata: dict[str, Any]
    partial: PartialRule | None = None
    allows: dict[str, bool]
    closed_reason: str | None = None
    collection_id: UUID  # the newest collection
    generation: int = 1
    wire: dict[str, Any]  # what only one dialect needs, under its name; never read here
    created_at: datetime
    updated_at: datetime
    paid_at: datetime | None = None
    bill: Bill | None = None  # lines, taxes and retentions; None when only a sum was asked for
    rule_id: UUID | None = None  # the rule of reminders
    document_id: UUID | None = None  # a document that we keep ourselves
    closed_at: datetime | None = None  # when it was withdrawn

    @property
    def balance_minor(self) -> int:
        """What is still owed; 0 for an open amount, which is unknown until it is paid."""
        return 0 if self.amount_minor is None else self.amount_minor - self.received_minor


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """One request to pay. `amount_minor` is what it asked for when opened, less late money; parts do not lower it."""

    account_id: UUID
    id: UUID
    invoice_id: UUID
    generation: int
    ordinal: int = 1
    state: CollectionState
    currency: str
    amount_minor: int | None
    received_minor: int = 0  # receipts booked on it, net of refunds
    overpaid_minor: int = 0  # of which turned into customer credit
    refunded_minor: int = 0
    parts: int = 0  # successful parts
    open_attempts: int = 0  # attempts whose outcome is not known yet
    due_on: date | None = None
    expires_at: datetime | None = None
    method: dict[str, Any] | None = None  # of the last successful attempt
    created_at: datetime
    updated_at: datetime
    paid_at: datetime | None = None
    terms: Terms | None = None
    closed_at: datetime | None = None  # when it was cancelled, voided or given up
    overdue_at: datetime | None = None  # the end of its due day, until that was told

    @property
    def due_minor(self) -> int:
        """What it still asks for, never below zero; 0 for an open amount."""
        return 0 if self.amount_minor is None else max(0, self.amount_minor - self.received_minor)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try to pay a collection through a gateway. `reference` is how the gateway knows it."""

    account_id: UUID
    id: UUID
    invoice_id: UUID
    collection_id: UUID
    state: AttemptState
    amount_minor: int
    currency: str
    gateway: str
    reference: str
    once_key: str  # the page's one-time key: the same key never makes a second attempt
    method_type: str | None = None
    method: dict[str, Any] | None = None
    gateway_tx_id: str | None = None
    gateway_data: dict[str, Any]
    failure_code: str | None = None
    failure_text: str | None = None
    ask_at: datetime | None = None  # when the gateway is asked again
    asked: int = 0
    created_at: datetime
    updated_at: datetime
    paid_at: datetime | None = None

    @property
    def in_progress(self) -> bool:
        return self.state in IN_PROGRESS


class ReceiptKind(StrEnum):
    GATEWAY = "gateway"
    OUTSIDE = "outside"
    REFUND = "refund"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Money that arrived, or went back when negative. Append-only."""

    account_id: UUID
    id: UUID
    invoice_id: UUID
    collection_id: UUID | None
    attempt_id: UUID | None
    kind: ReceiptKind
    amount_minor: int
    currency: str
    gateway: str
    gateway_tx_id: str  # unique per gateway: what makes booking exactly once
    number: str
    method: dict[str, Any] | None = None
    at: datetime
    reference: str | None = None  # what people wrote on it
    reverses: UUID | None = None  # of a negative one: the receipt whose money went back
    reason: str | None = None  # of a negative one: why
    allocation_id: UUID | None = None  # the same for all receipts of one sum that was spread over several debts


def standing(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Receipts for people to see: without those that were undone, and without what undid them."""
    known = tuple(receipts)
    undone = {r.reverses for r in known if _undoes(r)}
    return tuple(r for r in known if r.id not in undone and not _undoes(r))


def _undoes(receipt: Receipt) -> bool:
    """Money that we never saw cannot be refunded: going back, it was registered in error."""
    return receipt.kind is ReceiptKind.REFUND and receipt.gateway == ReceiptKind.OUTSIDE


class RefundWay(StrEnum):
    """How money goes back, and so who knows of it."""

    GATEWAY = "gateway"  # through the gateway's API, by us
    PANEL = "panel"  # in the vendor's panel, by the merchant: the vendor's figures have it
    ELSEWHERE = "elsewhere"  # in cash or by a transfer of the merchant's: the vendor never hears of it


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a receipt that the merchant gives back: through its gateway, or otherwise and recorded here."""

    account_id: UUID
    id: UUID
    receipt_id: UUID
    invoice_id: UUID
    attempt_id: UUID | None
    amount_minor: int
    currency: str
    state: RefundState
    way: RefundWay
    reason: str
    evidence: str | None = None  # of what a person says was done: what proves it
    gateway_refund_id: str | None = None
    failure_code: str | None = None
    failure_text: str | None = None
    ask_at: datetime | None = None  # when the gateway is asked again
    asked: int = 0
    created_at: datetime
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether its outcome is not known yet: what it takes is spoken for."""
        return self.state not in {RefundState.SUCCEEDED, RefundState.FAILED}


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger row: `amount_minor` moves from the `credit` book to the `debit` book."""

    account_id: UUID
    id: UUID
    invoice_id: UUID
    collection_id: UUID | None
    receipt_id: UUID | None
    customer_id: UUID | None
    debit: str
    credit: str
    amount_minor: int
    currency: str
    at: datetime
    note_id: UUID | None = None  # the credit note that it belongs to


class CreditNote(msgspec.Struct, frozen=True, kw_only=True):
    """A sum that the merchant takes off an invoice.

    `applied_minor` of it lowered what was still owed, `credited_minor` was received and became the customer's credit.
    What is left of `amount_minor` touched no money: it was withheld, or taken off before.
    """

    account_id: UUID
    id: UUID
    invoice_id: UUID
    customer_id: UUID | None
    number: str | None = None  # no other issued one of the account has it
    state: NoteState
    amount_minor: int
    applied_minor: int
    credited_minor: int
    currency: str
    reason: str
    closed_reason: str | None = None  # why it was voided
    metadata: dict[str, Any]
    unbound_origin: bool = False  # whether it freed the invoice's origin_id, by leaving nothing of the invoice
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None  # when it was voided

    @property
    def lowered_minor(self) -> int:
        """By how much it changed what the invoice is to collect."""
        return self.applied_minor + self.credited_minor


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. Events of one change share the subject's version and are told in `ordinal` order."""

    account_id: UUID
    id: UUID
    subject_id: UUID  # the invoice; for endpoint.failing the endpoint
    version: int
    ordinal: int
    type: str
    collection_id: UUID | None = None
    attempt_id: UUID | None = None
    data: dict[str, Any]
    at: datetime


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice and those of its collections that a decision may touch, as read under the invoice's lock.

    `collections` holds at least every pending one, the newest one and the one the command is about. `receipts` and
    `customer` are for showing: what was booked before, and the debtor once their document is known.
    """

    invoice: Invoice
    collections: tuple[Collection, ...]
    receipts: tuple[Receipt, ...] = ()
    customer: Customer | None = None

    def collection(self, collection_id: UUID) -> Collection:
        """One of the loaded collections. Raises LookupError for any other."""
        for collection in self.collections:
            if collection.id == collection_id:
                return collection
        raise LookupError(f"collection {collection_id} is not part of this case")

    @property
    def current(self) -> Collection:
        return self.collection(self.invoice.collection_id)

    @property
    def live(self) -> tuple[Collection, ...]:
        """The collections that ask for money now, first due first."""
        return tuple(sorted((c for c in self.collections if c.state is CollectionState.PENDING), key=by_due_day))

    @property
    def given_up(self) -> tuple[Collection, ...]:
        """Those that the merchant gave up, first due first. What is paid on them all the same is taken."""
        return tuple(sorted((c for c in self.collections if c.state is CollectionState.UNCOLLECTIBLE), key=by_due_day))


def by_due_day(collection: Collection) -> tuple[date, int, UUID]:
    """Oldest due first, then as they were made."""
    return collection.due_on or date.max, collection.ordinal, collection.id


def payable_now(invoice: Invoice, collection: Collection) -> Allowed | None:
    """The amounts this collection takes now; None when the payer types any amount within the account's bounds."""
    if collection.amount_minor is None:
        return None
    balance_minor = min(collection.due_minor, invoice.balance_minor)
    return allowed_parts(invoice.partial, balance_minor=balance_minor, parts_paid=collection.parts)
