"""Giving money back at Mercado Pago, in parts or whole (sections 3.4 and 1.11)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, cast

import structlog

from recaudo.domain.model import Receipt, Refund
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.domain.states import RefundState
from recaudo.gateways.mercadopago.api import UNAUTHORIZED, MercadoPagoApi, causes, word
from recaudo.gateways.mercadopago.values import NAME, plain_id
from recaudo.gateways.vendor import AmountError, NoAnswerError, NotSentError, Said, minor_of, units_of
from recaudo.usecases.ports import Configured, GatewayContext

# The vendor keeps idempotency keys for 24 hours (its reference, orders): later, the same key gives money back again.
KEY_LIVES: Final = timedelta(hours=20)
# A refund that the list does not show for so long after it was asked for was not made.
NOT_MADE_AFTER: Final = timedelta(minutes=10)

_TEXTS: Final[Mapping[str, str]] = {
    "2000": "Mercado Pago no encuentra el pago",
    "2018": "El valor supera lo que queda por devolver",
    "2024": "El pago es demasiado antiguo para devolverlo",
    "2063": "El estado del pago no permite devolverlo",
    "3024": "Este pago solo se puede devolver completo",
    "15016": "El pago es demasiado antiguo para devolverlo",
}
_KEY_USED: Final = "2032"  # the vendor's reference: "X-Idempotency-key already used"

_log: Any = structlog.get_logger("recaudo.gateways")


async def give_back(api: MercadoPagoApi, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
    """Give back a part or the whole of a payment, or say what became of it.

    A refund whose id we know is asked about by it. Of one that may have been made the same call is made again
    with the same key: that is what the vendor's header is for, and it answers what it answered first.
    """
    configured, payment_id = context.configured, plain_id(receipt.gateway_tx_id)
    if configured is None:
        return RefundUnknown(reason="the account does not have this gateway")
    if payment_id is None:
        return RefundRefused(code="REFUND_NOT_ALLOWED", text=_TEXTS["2000"])
    path = f"/v1/payments/{payment_id}/refunds"
    try:
        if refund.gateway_refund_id is not None:
            return await _begun(api, configured, path, refund, refund.gateway_refund_id)
        if _may_be_made(refund) and context.now - refund.created_at >= KEY_LIVES:
            return await _among(api, configured, path, refund, context)
        is_whole = refund.amount_minor == receipt.amount_minor
        said = await _asked_for(api, configured, path, refund, is_whole=is_whole)
        if said.is_good:
            return _told(said, refund)
        if said.is_vague or not isinstance(said.content, dict):
            return RefundUnknown(reason=word(said))
        if _may_be_made(refund) or said.status == 409 or _KEY_USED in causes(said):
            return await _among(api, configured, path, refund, context)
    except (NotSentError, NoAnswerError) as error:
        return RefundUnknown(reason=str(error))
    return _refused(said)


def _may_be_made(refund: Refund) -> bool:
    """Whether it was asked for before, so that the vendor may have made it."""
    return refund.asked > 0 or refund.state is not RefundState.CREATED


async def _asked_for(api: MercadoPagoApi, configured: Configured, path: str, refund: Refund, *, is_whole: bool) -> Said:
    """The call. The whole is asked for without an amount: some payments cannot be given back in parts."""
    body = None if is_whole else {"amount": units_of(refund.amount_minor, refund.currency)}
    return await api.call(configured, "POST", path, body=body, key=str(refund.id))


async def _begun(api: MercadoPagoApi, configured: Configured, path: str, refund: Refund, theirs: str) -> RefundAnswer:
    """What became of a refund whose id we know."""
    if plain_id(theirs) is None:
        return RefundUnknown(reason="the refund's id is none of the vendor's")
    said = await api.call(configured, "GET", f"{path}/{theirs}")
    return _told(said, refund) if said.is_good else RefundUnknown(reason=word(said))


async def _among(
    api: MercadoPagoApi, configured: Configured, path: str, refund: Refund, context: GatewayContext
) -> RefundAnswer:
    """What the list of a payment's refunds says of one whose call cannot be made again.

    One of the same amount may be this or another, so it is left to people; the money is booked all the same, for
    the payment itself tells how much of it went back.
    """
    said = await api.call(configured, "GET", path)
    listed: Any = said.content
    if not said.is_good or not isinstance(listed, list):
        return RefundUnknown(reason=word(said))
    if any(_may_be(refund, one) for one in cast("list[Any]", listed)):
        return RefundUnknown(reason="there is a refund of this amount; whether it is this one cannot be told")
    if context.now - refund.created_at < NOT_MADE_AFTER:
        return RefundUnknown(reason="refused when asked for again, and not listed yet")
    return RefundRefused(code="REFUND_NOT_MADE", text="Mercado Pago no hizo la devolución")


def _told(said: Said, refund: Refund) -> RefundAnswer:
    """What the vendor says of a refund that it has."""
    theirs = plain_id(said.member("id"))
    if theirs is None or not _is_of_amount(said.member("amount"), refund):
        _log.error("gateway_refund_differs", gateway=NAME, refund=str(refund.id))
        return RefundUnknown(reason="the vendor's refund cannot be read, or is of another amount")
    match said.member("status"):
        case "approved":
            return Refunded(gateway_refund_id=theirs)
        case "rejected" | "cancelled":
            return RefundRefused(code="REFUND_REJECTED", text="Mercado Pago rechazó la devolución")
        case _:  # in_process, authorized, and what the vendor may think of: it has it, and is asked again
            return RefundPending(gateway_refund_id=theirs)


def _refused(said: Said) -> RefundRefused:
    if said.status in UNAUTHORIZED:
        return RefundRefused(code="gateway_unauthorized", text="Mercado Pago no acepta las credenciales")
    texts = [_TEXTS[code] for code in sorted(causes(said)) if code in _TEXTS]
    return RefundRefused(code="REFUND_NOT_ALLOWED", text=texts[0] if texts else "Mercado Pago no aceptó la devolución")


def _may_be(refund: Refund, listed: object) -> bool:
    """Whether one of the list may be this refund. What cannot be read may."""
    if not isinstance(listed, dict):
        return True
    one = cast("dict[str, Any]", listed)
    if one.get("status") in {"rejected", "cancelled"}:
        return False
    try:
        return minor_of(one.get("amount"), refund.currency) == refund.amount_minor
    except AmountError:
        return True


def _is_of_amount(units: object, refund: Refund) -> bool:
    try:
        return minor_of(units, refund.currency) == refund.amount_minor
    except AmountError:
        return False
