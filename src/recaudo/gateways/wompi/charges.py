"""Beginning a payment at Wompi, and asking what became of it (gateways specification, sections 1.5, 2.3 to 2.7)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from recaudo.domain.answers import Absent, Answer, Fact, Form, NotSent, Refused, Reported, Step, Unknown
from recaudo.domain.model import Attempt
from recaudo.gateways.vendor import NoAnswerError, NotSentError, Said
from recaudo.gateways.wompi import keys, payer, reading
from recaudo.gateways.wompi.api import Json, Merchant, WompiApi, refused_key
from recaudo.usecases.ports import Configured, GatewayContext, GatewayDownError

CHECKOUT: Final = "card"
"""The method that is Wompi's own page, unless a card's token comes with it."""
CURRENCY: Final = "COP"
FORM_LIFE: Final = timedelta(hours=1)
POLL_S: Final = 15.0
POLL_EVERY_S: Final = 1.0

_log: Any = structlog.get_logger("recaudo.gateways.wompi")

Sleep = Callable[[float], Awaitable[None]]
BankNames = Callable[[Configured], Mapping[str, str]]


class Charges:
    """Payments of any merchant. `bank_names` are those known now, for receipts."""

    def __init__(self, api: WompiApi, checkout_url: str, *, sleep: Sleep, bank_names: BankNames) -> None:
        self._api = api
        self._checkout_url = checkout_url
        self._sleep = sleep
        self._bank_names = bank_names

    async def start(self, attempt: Attempt, context: GatewayContext, configured: Configured) -> Answer:
        """Begin: the checkout's form without a call, any other method with one."""
        if attempt.currency != CURRENCY:
            return Refused(code="currency_not_supported", text="Este medio de pago solo recibe pesos colombianos.")
        if attempt.method_type == CHECKOUT and "card_token" not in context.payer:
            return checkout_form(attempt, context, configured, self._checkout_url)
        try:
            wanted = payer.wanted(attempt, context)
        except payer.PayerDataError as error:
            return Refused(code="payer_data_invalid", text=str(error))
        try:
            merchant = await self._api.merchant(configured)
        except GatewayDownError as error:
            return NotSent(reason=str(error))  # only a question was asked so far
        return await self._create(attempt, _body(attempt, context, configured, wanted, merchant), configured)

    async def ask(self, attempt: Attempt, configured: Configured) -> Answer:
        """All transactions of the attempt's reference, and what its payer has to do."""
        try:
            rows = await self._api.find(configured, attempt.reference)
            if not rows:
                return Absent()
            facts = self._facts(rows, configured)
            step = None if attempt.method_type == CHECKOUT else await self._step(rows, configured)
            return Reported(facts=facts, step=step)
        except GatewayDownError as error:
            return Unknown(reason=str(error))

    async def fetch(self, transaction_id: str, configured: Configured) -> Answer:
        """One transaction of this merchant.

        Wompi shows any transaction to anybody who knows its id (2.1), so one that does not name our merchant must be
        among those that our private key finds. Otherwise somebody's own payment with our reference would be ours.
        """
        try:
            row = await self._api.transaction(configured, transaction_id)
            owner = None if row is None else _owner(row)
            if row is not None and owner != keys.key(configured, keys.PUBLIC):
                row = await self._own(row, configured)
                if row is None and owner is None:
                    return Unknown(reason="Wompi does not find the transaction among this merchant's")
            return Absent() if row is None else Reported(facts=(self.fact(row, configured),))
        except GatewayDownError as error:
            return Unknown(reason=str(error))

    async def _create(self, attempt: Attempt, body: Json, configured: Configured) -> Answer:
        try:
            said = await self._api.call(configured, "POST", "/transactions", body=body)
        except NotSentError as error:
            return NotSent(reason=f"Wompi cannot be reached: {error}")
        except NoAnswerError as error:
            return await self._look(attempt, configured, f"Wompi did not answer: {error}")
        refusal = _refusal(said)
        if refusal is not None:
            return refusal
        row = reading.object_at(said.content, "data")
        if not said.is_good or not row:
            return await self._look(attempt, configured, f"Wompi answers {said.status} to a payment")
        try:
            return await self._begun(attempt, row, configured)
        except GatewayDownError as error:
            return await self._look(attempt, configured, str(error))

    async def _begun(self, attempt: Attempt, row: Json, configured: Configured) -> Reported:
        """What was created, once Wompi tells where the payer goes, or does not in time: then `ask` brings it."""
        fact = self.fact(row, configured)
        if not reading.waits_for_step(row):
            return Reported(facts=(fact,), step=reading.step_of(row))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                for _ in range(int(POLL_S / POLL_EVERY_S)):
                    with contextlib.suppress(GatewayDownError):
                        now = await self._api.transaction(configured, fact.gateway_tx_id)
                        if now is not None:
                            row, fact = now, self.fact(now, configured)
                    if not reading.waits_for_step(row):
                        break
                    await self._sleep(POLL_EVERY_S)
        return Reported(facts=(fact,), step=reading.step_of(row))

    async def _look(self, attempt: Attempt, configured: Configured, reason: str) -> Answer:
        """Whether the payment was made, when the answer does not say so (2.5): nothing found proves nothing yet."""
        found = await self.ask(attempt, configured)
        return found if isinstance(found, Reported) else Unknown(reason=reason)

    async def _step(self, rows: Sequence[Json], configured: Configured) -> Step | None:
        """What the payer of the newest pending transaction has to do; nothing once one of them is paid."""
        pending = [row for row in rows if row.get("status") == reading.PENDING]
        if not pending or any(row.get("status") == reading.APPROVED for row in rows):
            return None
        row = pending[-1]
        if reading.waits_for_step(row):
            with contextlib.suppress(GatewayDownError):
                row = await self._api.transaction(configured, str(row["id"])) or row
        return reading.step_of(row)

    async def _own(self, row: Json, configured: Configured) -> Json | None:
        """The transaction as our own search finds it; None when it does not."""
        reference, transaction_id = reading.text_at(row, "reference"), row.get("id")
        found = await self._api.find(configured, reference) if reference else ()
        return next((own for own in found if own.get("id") == transaction_id), None)

    def _facts(self, rows: Sequence[Json], configured: Configured) -> tuple[Fact, ...]:
        by_id = {fact.gateway_tx_id: fact for fact in (self.fact(row, configured) for row in rows)}
        return tuple(by_id.values())

    def fact(self, row: Json, configured: Configured) -> Fact:
        """What a transaction says. Raises GatewayDownError."""
        return reading.fact_of(row, configured, self._bank_names(configured))


def checkout_form(attempt: Attempt, context: GatewayContext, configured: Configured, url: str) -> Reported:
    """The form of the web checkout (2.3): no call is made, and the payer may try there until it expires."""
    life = FORM_LIFE
    if context.collection.expires_at is not None:
        # The collection's limit is on the account's clock, which a test account may have moved; Wompi's is real time.
        life = min(life, context.collection.expires_at - context.now)
    expiration = reading.wire_instant(context.real_now + life)
    secret = keys.key(configured, keys.INTEGRITY)
    signature = keys.integrity(attempt.reference, attempt.amount_minor, CURRENCY, secret, expiration=expiration)
    fields = [
        ("public-key", keys.key(configured, keys.PUBLIC)),
        ("currency", CURRENCY),
        ("amount-in-cents", str(attempt.amount_minor)),
        ("reference", attempt.reference),
        ("signature:integrity", signature),
        *([("redirect-url", context.return_url)] if context.return_url else []),
        ("expiration-time", expiration),
    ]
    return Reported(step=Form(action=url, fields=tuple(fields)), payable_until=context.now + life)


def _body(
    attempt: Attempt, context: GatewayContext, configured: Configured, wanted: payer.Wanted, merchant: Merchant
) -> dict[str, Any]:
    """A new transaction (2.5)."""
    secret = keys.key(configured, keys.INTEGRITY)
    maybe = {"redirect_url": context.return_url or None, "customer_data": wanted.customer_data, "ip": wanted.ip}
    return {
        "acceptance_token": merchant.terms.token,
        "accept_personal_auth": merchant.personal_data.token,
        "amount_in_cents": attempt.amount_minor,
        "currency": CURRENCY,
        "reference": attempt.reference,
        "signature": keys.integrity(attempt.reference, attempt.amount_minor, CURRENCY, secret),
        "customer_email": wanted.email,
        "payment_method": wanted.payment_method,
        **{name: value for name, value in maybe.items() if value is not None},
    }


def _refusal(said: Said) -> Refused | NotSent | None:
    """What a clear refusal means (2.12); None for anything that leaves a doubt, and for success."""
    if said.status == 401 or (said.status == 403 and said.content is not None):
        return NotSent(reason=refused_key(said.status))
    if said.is_good or said.is_vague or said.member("error") is None:
        return None
    about = payer.complaints(said)
    if "reference" in about:
        return None  # used: by an earlier call of ours, for nobody else knows it
    if "signature" in about:
        return NotSent(reason="Wompi does not accept the signature: check the integrity secret of this account")
    kind = said.member("error", "type")
    _log.warning(
        "wompi_refused", status=said.status, type=str(kind)[:64], fields=[name[:64] for name in sorted(about)[:20]]
    )
    text = payer.correction(about)
    return Refused(code="gateway_refused" if text is None else "payer_data_invalid", text=text)


def _owner(row: Json) -> str | None:
    """The public key of the merchant that a transaction belongs to, where Wompi tells it."""
    return reading.text_at(reading.object_at(row, "merchant"), "public_key")
