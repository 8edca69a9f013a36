"""What Mercado Pago says of payments: of one attempt, of one id, of a period (section 3.4)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from recaudo.domain.answers import Absent, Answer, Fact, Reported, Unknown
from recaudo.domain.model import Attempt
from recaudo.domain.references import is_own_reference
from recaudo.gateways.mercadopago import reading
from recaudo.gateways.mercadopago.api import MercadoPagoApi, word
from recaudo.gateways.mercadopago.reading import UnreadableError
from recaudo.gateways.mercadopago.values import instant, moment, payment_id, whole_ms
from recaudo.gateways.vendor import NoAnswerError, NotSentError
from recaudo.usecases.ports import Configured, GatewayDownError

LISTED_AT_ONCE: Final = timedelta(days=1)


async def of_attempt(api: MercadoPagoApi, attempt: Attempt, configured: Configured | None) -> Answer:
    """All payments that the vendor has under our reference."""
    if configured is None:
        return Unknown(reason="the account does not have this gateway")
    # Without dates the vendor searches the last three months only; twelve is as far as it goes (its reference).
    query = {
        "external_reference": attempt.reference,
        "range": "date_created",
        "begin_date": "NOW-12MONTHS",
        "end_date": "NOW",
        "sort": "date_created",
    }
    facts: list[Fact] = []
    try:
        async for page in api.pages(configured, query):
            # Another's payment must not pay this, should the vendor not heed what it is asked for.
            ours = [p for p in page if p.get("external_reference") == attempt.reference]
            facts += await _facts(api, configured, ours)
    except (GatewayDownError, UnreadableError) as error:
        return Unknown(reason=str(error))
    return Reported(facts=tuple(facts)) if facts else Absent()


async def of_id(api: MercadoPagoApi, gateway_tx_id: str, configured: Configured) -> Answer:
    """One payment by the vendor's id."""
    if payment_id(gateway_tx_id) is None:
        return Absent()
    try:
        said = await api.call(configured, "GET", f"/v1/payments/{gateway_tx_id}")
        if said.status == 404 and isinstance(said.content, dict):
            return Absent()
        payment: Any = said.content
        if not said.is_good or not isinstance(payment, dict):
            return Unknown(reason=word(said))
        facts = await _facts(api, configured, [cast("dict[str, Any]", payment)])
    except (NotSentError, NoAnswerError, UnreadableError) as error:
        return Unknown(reason=str(error))
    is_it = facts[0].gateway_tx_id == gateway_tx_id
    return Reported(facts=tuple(facts)) if is_it else Unknown(reason="the vendor answered with another payment")


async def of_period(
    api: MercadoPagoApi, configured: Configured, since: datetime, until: datetime
) -> AsyncIterator[Fact]:
    """Payments whose last change lies between the two. Raises GatewayDownError.

    By the last change, because what happened in a period are also refunds and disputes of older payments, and bank
    payments that took days. A payment that changes again later moves on to a later period: that this list lacks
    one says nothing, and whoever misses it fetches it by its id.
    """
    # The vendor is asked in milliseconds: finer borders would lose what happened between the two spellings.
    since, until = whole_ms(since), whole_ms(until)
    while since < until:
        end = min(since + LISTED_AT_ONCE, until)
        async for page in api.pages(configured, _changed_between(since, end)):
            for payment in page:
                changed_at = moment(payment.get("date_last_updated"))
                if changed_at is None or since <= changed_at < end:
                    for fact in await _listed(api, configured, payment):
                        yield fact
        since = end


def _changed_between(since: datetime, end: datetime) -> dict[str, str]:
    return {
        "range": "date_last_updated",
        "begin_date": instant(since),
        "end_date": instant(end),
        "sort": "date_last_updated",
    }


async def _facts(api: MercadoPagoApi, configured: Configured, payments: Sequence[Mapping[str, Any]]) -> list[Fact]:
    pretended = any(p.get("live_mode") is True for p in payments) and await api.is_test_user(configured)
    return [reading.fact(p, pretended=pretended) for p in payments]


async def _listed(api: MercadoPagoApi, configured: Configured, payment: Mapping[str, Any]) -> list[Fact]:
    """The fact of a payment of the list; none when it is another seller's and cannot be told."""
    try:
        return await _facts(api, configured, [payment])
    except UnreadableError as error:
        reference = payment.get("external_reference")
        if isinstance(reference, str) and is_own_reference(reference):
            raise GatewayDownError(f"a payment cannot be read: {error}") from error
        return []
