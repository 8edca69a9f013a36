"""What the actions on invoices and collections share: money received outside, reasons, refusals (9.3, 9.4, 10)."""

from typing import Any

from recaudo.dialects.treli.calls import Call
from recaudo.dialects.treli.fields import amount, choice, past_instant, text
from recaudo.dialects.treli.reading import Field, InvalidError, Reading, read_members
from recaudo.dialects.treli.shown import Viewer
from recaudo.edge.http import Reply
from recaudo.usecases.collecting import OutsideMoney
from recaudo.usecases.core import replay_if_known

METHODS = ("cash", "bank_transfer", "card", "check", "wallet", "other")
REFERENCE_CHARS_MAX = 100
REASON_CHARS_MAX = 255

METHOD = Field("method", "method", choice(*METHODS))
PAID_DATE = Field("paid_date", "paid_at", past_instant)
REFERENCE = Field("reference", "reference", text(1, REFERENCE_CHARS_MAX))
MONEY = (Field("amount", "amount_minor", amount(above_zero=True)), METHOD._replace(required=True), PAID_DATE, REFERENCE)
REASON = (Field("reason", "reason", text(1, REASON_CHARS_MAX)),)


class NotPossibleError(Exception):
    """The account or the object lacks what a request asks for: `code` is that of the answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def viewer(call: Call) -> Viewer:
    """For whom a request's answer is written."""
    return Viewer(account=call.account, today=call.core.today(call.account), base_url=call.request.base_url.rstrip("/"))


async def replay_or_refuse(call: Call, error: InvalidError | NotPossibleError) -> Reply:
    """What is wrong with a request meets its idempotency key first (1.5). Else raises the error."""
    done = await replay_if_known(call.core, call.account, call.once)
    if done is None:
        raise error
    return call.done(done)


def reading_in(call: Call, currency: str) -> Reading:
    """A reading of the body whose money is in a currency."""
    reading = call.reading()
    reading.currency = currency
    return reading


def read_money(call: Call, currency: str) -> OutsideMoney:
    """A payment received outside (9.4). Raises InvalidError."""
    reading = reading_in(call, currency)
    values = read_members(reading, MONEY, call.body)
    reading.finish()
    return outside(values, values.get("amount_minor"))


def outside(values: dict[str, Any], amount_minor: int | None) -> OutsideMoney:
    """What was read of a payment; without a method it is any other."""
    return OutsideMoney(
        amount_minor=amount_minor,
        method=values.get("method", "other"),
        paid_at=values.get("paid_at"),
        reference=values.get("reference"),
    )


def read_reason(call: Call) -> str | None:
    """The reason of a withdrawal, for people. Raises InvalidError."""
    reading = call.reading()
    values = read_members(reading, REASON, call.body)
    reading.finish()
    return values.get("reason")
