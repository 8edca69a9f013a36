"""States of invoice, collection and attempt, and which command is allowed in which, as tables.

The tables are the truth: decisions look a command up here before anything else, and a test walks every
(state, command) pair. Settlement (unpaid, partial, exact) is derived from receipts and is no state.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class InvoiceState(StrEnum):
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class CollectionState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class AttemptState(StrEnum):
    CREATED = "created"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class RefundState(StrEnum):
    CREATED = "created"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class NoteState(StrEnum):
    ISSUED = "issued"
    VOID = "voided"


class InvoiceCommand(StrEnum):
    REPLACE = "replace"  # change the invoice: cancel its collection, open the next generation
    WITHDRAW = "withdraw"  # the debt is taken back
    SETTLE_OUTSIDE = "settle_outside"  # the rest was paid where we cannot see
    START_ATTEMPT = "start_attempt"
    REGISTER = "register"  # money that the merchant received is booked on it
    RECEIVE = "receive"  # money arrived: never refused
    CREDIT = "credit"  # a credit note lowers it


class CollectionCommand(StrEnum):
    START_ATTEMPT = "start_attempt"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REMIND = "remind"  # send the notice with the link again
    REGISTER = "register"  # money that the merchant received is booked on it
    VOID = "void"  # the merchant takes it back
    GIVE_UP = "give_up"  # the merchant marks it as uncollectible
    CHANGE = "change"  # another amount, other discounts
    RECEIVE = "receive"


class Refusal(StrEnum):
    """Why a command was refused. Each dialect has one table from these to its own errors."""

    INVOICE_PAID = "invoice_paid"
    INVOICE_VOID = "invoice_void"
    INVOICE_UNCOLLECTIBLE = "invoice_uncollectible"
    INVOICE_IN_INSTALMENTS = "invoice_in_instalments"
    INVOICE_ALREADY_WITHDRAWN = "invoice_already_withdrawn"
    AMOUNT_BELOW_RECEIVED = "amount_below_received"
    PART_MINIMUM_ABOVE_AMOUNT = "part_minimum_above_amount"
    COLLECTION_PAID = "collection_paid"
    COLLECTION_CANCELLED = "collection_cancelled"
    COLLECTION_EXPIRED = "collection_expired"
    COLLECTION_UNCOLLECTIBLE = "collection_uncollectible"
    AMOUNT_ABOVE_BALANCE = "amount_above_balance"
    AMOUNT_EQUALS_BALANCE = "amount_equals_balance"
    COLLECTION_WITHOUT_CONTACT = "collection_without_contact"
    ATTEMPT_IN_PROGRESS = "attempt_in_progress"
    AMOUNT_NOT_ALLOWED = "amount_not_allowed"
    REFUND_ABOVE_RECEIPT = "refund_above_receipt"
    RECEIPT_IS_REFUND = "receipt_is_refund"
    RECEIPT_DISPUTED = "receipt_disputed"
    REFUND_NOT_OPEN = "refund_not_open"
    NOTHING_TO_ASK_FOR = "nothing_to_ask_for"
    NOTES_ABOVE_TOTAL = "notes_above_total"
    NOTE_VOID = "note_void"
    CREDIT_USED = "credit_used"


class RefusedError(Exception):
    """A command that the rules do not allow; nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


_I, _C = InvoiceState, CollectionState

# None allows the command.
INVOICE_COMMANDS: Final[Mapping[tuple[InvoiceState, InvoiceCommand], Refusal | None]] = {
    (_I.OPEN, InvoiceCommand.REPLACE): None,
    (_I.PAID, InvoiceCommand.REPLACE): Refusal.INVOICE_PAID,
    (_I.VOID, InvoiceCommand.REPLACE): Refusal.INVOICE_VOID,
    (_I.UNCOLLECTIBLE, InvoiceCommand.REPLACE): Refusal.INVOICE_UNCOLLECTIBLE,
    (_I.OPEN, InvoiceCommand.WITHDRAW): None,
    (_I.PAID, InvoiceCommand.WITHDRAW): Refusal.INVOICE_PAID,
    (_I.VOID, InvoiceCommand.WITHDRAW): Refusal.INVOICE_ALREADY_WITHDRAWN,
    (_I.UNCOLLECTIBLE, InvoiceCommand.WITHDRAW): None,
    (_I.OPEN, InvoiceCommand.SETTLE_OUTSIDE): None,
    (_I.PAID, InvoiceCommand.SETTLE_OUTSIDE): Refusal.INVOICE_PAID,
    (_I.VOID, InvoiceCommand.SETTLE_OUTSIDE): Refusal.INVOICE_ALREADY_WITHDRAWN,
    (_I.UNCOLLECTIBLE, InvoiceCommand.SETTLE_OUTSIDE): None,
    (_I.OPEN, InvoiceCommand.START_ATTEMPT): None,
    (_I.PAID, InvoiceCommand.START_ATTEMPT): Refusal.INVOICE_PAID,
    (_I.VOID, InvoiceCommand.START_ATTEMPT): Refusal.INVOICE_VOID,
    (_I.UNCOLLECTIBLE, InvoiceCommand.START_ATTEMPT): Refusal.INVOICE_UNCOLLECTIBLE,
    (_I.OPEN, InvoiceCommand.REGISTER): None,
    (_I.PAID, InvoiceCommand.REGISTER): Refusal.INVOICE_PAID,
    (_I.VOID, InvoiceCommand.REGISTER): Refusal.INVOICE_VOID,
    (_I.UNCOLLECTIBLE, InvoiceCommand.REGISTER): None,
    (_I.OPEN, InvoiceCommand.RECEIVE): None,
    (_I.PAID, InvoiceCommand.RECEIVE): None,
    (_I.VOID, InvoiceCommand.RECEIVE): None,
    (_I.UNCOLLECTIBLE, InvoiceCommand.RECEIVE): None,
    (_I.OPEN, InvoiceCommand.CREDIT): None,
    (_I.PAID, InvoiceCommand.CREDIT): None,
    (_I.VOID, InvoiceCommand.CREDIT): Refusal.INVOICE_VOID,
    (_I.UNCOLLECTIBLE, InvoiceCommand.CREDIT): None,
}

COLLECTION_COMMANDS: Final[Mapping[tuple[CollectionState, CollectionCommand], Refusal | None]] = {
    (_C.PENDING, CollectionCommand.START_ATTEMPT): None,
    (_C.PAID, CollectionCommand.START_ATTEMPT): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.START_ATTEMPT): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.START_ATTEMPT): Refusal.COLLECTION_EXPIRED,
    (_C.VOID, CollectionCommand.START_ATTEMPT): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.START_ATTEMPT): Refusal.COLLECTION_CANCELLED,
    (_C.PENDING, CollectionCommand.CANCEL): None,
    (_C.PAID, CollectionCommand.CANCEL): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.CANCEL): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.CANCEL): Refusal.COLLECTION_EXPIRED,
    (_C.VOID, CollectionCommand.CANCEL): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.CANCEL): Refusal.COLLECTION_CANCELLED,
    (_C.PENDING, CollectionCommand.EXPIRE): None,
    (_C.PAID, CollectionCommand.EXPIRE): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.EXPIRE): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.EXPIRE): Refusal.COLLECTION_EXPIRED,
    (_C.VOID, CollectionCommand.EXPIRE): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.EXPIRE): Refusal.COLLECTION_CANCELLED,
    (_C.PENDING, CollectionCommand.REMIND): None,
    (_C.PAID, CollectionCommand.REMIND): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.REMIND): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.REMIND): Refusal.COLLECTION_EXPIRED,
    (_C.VOID, CollectionCommand.REMIND): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.REMIND): Refusal.COLLECTION_UNCOLLECTIBLE,
    (_C.PENDING, CollectionCommand.RECEIVE): None,
    (_C.PAID, CollectionCommand.RECEIVE): None,
    (_C.CANCELLED, CollectionCommand.RECEIVE): None,
    (_C.EXPIRED, CollectionCommand.RECEIVE): None,
    (_C.VOID, CollectionCommand.RECEIVE): None,
    (_C.UNCOLLECTIBLE, CollectionCommand.RECEIVE): None,
    (_C.PENDING, CollectionCommand.REGISTER): None,
    (_C.PAID, CollectionCommand.REGISTER): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.REGISTER): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.REGISTER): Refusal.COLLECTION_CANCELLED,
    (_C.VOID, CollectionCommand.REGISTER): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.REGISTER): None,
    (_C.PENDING, CollectionCommand.VOID): None,
    (_C.PAID, CollectionCommand.VOID): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.VOID): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.VOID): Refusal.COLLECTION_CANCELLED,
    (_C.VOID, CollectionCommand.VOID): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.VOID): None,
    (_C.PENDING, CollectionCommand.GIVE_UP): None,
    (_C.PAID, CollectionCommand.GIVE_UP): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.GIVE_UP): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.GIVE_UP): Refusal.COLLECTION_CANCELLED,
    (_C.VOID, CollectionCommand.GIVE_UP): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.GIVE_UP): Refusal.COLLECTION_UNCOLLECTIBLE,
    (_C.PENDING, CollectionCommand.CHANGE): None,
    (_C.PAID, CollectionCommand.CHANGE): Refusal.COLLECTION_PAID,
    (_C.CANCELLED, CollectionCommand.CHANGE): Refusal.COLLECTION_CANCELLED,
    (_C.EXPIRED, CollectionCommand.CHANGE): Refusal.COLLECTION_CANCELLED,
    (_C.VOID, CollectionCommand.CHANGE): Refusal.COLLECTION_CANCELLED,
    (_C.UNCOLLECTIBLE, CollectionCommand.CHANGE): Refusal.COLLECTION_UNCOLLECTIBLE,
}

_A = AttemptState

# What a gateway may report next. A failed attempt may later be reported as succeeded: accept it. It is processing again
# when the payer retries inside the gateway's own page: another transaction under the same reference. What we see first
# may be refunded or disputed already.
ATTEMPT_MOVES: Final[Mapping[AttemptState, frozenset[AttemptState]]] = {
    _A.CREATED: frozenset({_A.PROCESSING, _A.UNKNOWN, _A.SUCCEEDED, _A.FAILED, _A.REFUNDED, _A.DISPUTED}),
    _A.PROCESSING: frozenset({_A.SUCCEEDED, _A.FAILED, _A.REFUNDED, _A.DISPUTED}),
    _A.UNKNOWN: frozenset({_A.PROCESSING, _A.SUCCEEDED, _A.FAILED, _A.REFUNDED, _A.DISPUTED}),
    _A.FAILED: frozenset({_A.PROCESSING, _A.SUCCEEDED, _A.REFUNDED, _A.DISPUTED}),
    _A.SUCCEEDED: frozenset({_A.REFUNDED, _A.DISPUTED}),
    _A.DISPUTED: frozenset({_A.SUCCEEDED, _A.REFUNDED}),
    _A.REFUNDED: frozenset({_A.SUCCEEDED, _A.DISPUTED}),
}

# The outcome is not known yet, so a payer who pays again may pay twice.
IN_PROGRESS: Final = frozenset({_A.PROCESSING, _A.UNKNOWN})


def allow_invoice(state: InvoiceState, command: InvoiceCommand) -> None:
    """Raise RefusedError unless the table allows the command on an invoice in this state."""
    refusal = INVOICE_COMMANDS[state, command]
    if refusal is not None:
        raise RefusedError(refusal)


def allow_collection(state: CollectionState, command: CollectionCommand) -> None:
    """Raise RefusedError unless the table allows the command on a collection in this state."""
    refusal = COLLECTION_COMMANDS[state, command]
    if refusal is not None:
        raise RefusedError(refusal)
