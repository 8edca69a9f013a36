"""What gateways say: facts about their own transactions, what the payer has to do next, and that nothing is known.

The union is closed: whoever asks a gateway handles each case, and `Unknown` is one of them (gateways specification,
section 1). A fact is what the gateway's own API reports when asked with our credentials; only facts move money.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class FactState(StrEnum):
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DISPUTED = "disputed"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one gateway transaction.

    `amount_minor` is what it collected, whatever was asked for; `refunded_minor` is how much of that went back, so a
    transaction that was voided succeeded and has gone back whole. `is_test` None: the gateway does not say.
    """

    gateway_tx_id: str
    state: FactState
    amount_minor: int
    currency: str
    reference: str | None = None
    is_test: bool | None = None
    refunded_minor: int = 0
    method: dict[str, Any] | None = None
    failure_code: str | None = None
    failure_text: str | None = None
    paid_at: datetime | None = None


class Redirect(msgspec.Struct, frozen=True, kw_only=True, tag="redirect", tag_field="kind"):
    """The payer goes to this address, in the same window."""

    url: str


class Form(msgspec.Struct, frozen=True, kw_only=True, tag="form", tag_field="kind"):
    """The payer's browser sends these fields there by GET, in this order."""

    action: str
    fields: tuple[tuple[str, str], ...]


class Picture(msgspec.Struct, frozen=True, kw_only=True, tag="picture", tag_field="kind"):
    """The payer scans this picture: a base64 image of the given type."""

    image: str
    media_type: str = "image/svg+xml"


class Confirm(msgspec.Struct, frozen=True, kw_only=True, tag="confirm", tag_field="kind"):
    """The payer confirms in an application on their telephone."""

    application: str


Step = Redirect | Form | Picture | Confirm


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway answered: its transactions of the attempt, and what the payer has to do.

    `payable_until`: the payer may begin transactions on the gateway's own page until then, as often as they like.
    """

    facts: tuple[Fact, ...] = ()
    step: Step | None = None
    payable_until: datetime | None = None


class Absent(msgspec.Struct, frozen=True):
    """The gateway answered that it has no transaction of this attempt."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway answered that it will not begin; there is no transaction. `text` is for the payer, in Spanish."""

    code: str
    text: str | None = None


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was begun, and another gateway may be tried: it cannot be reached, or does not know our keys."""

    reason: str


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway did not answer in a way that says what happened. Unknown is not failed: ask again, never charge."""

    reason: str


Answer = Reported | Absent | Refused | NotSent | Unknown
