"""Giving money back at Wompi: a void of a whole card payment on its own day, and nothing else (2.9)."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from recaudo.domain.model import Receipt, Refund
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.domain.states import RefundState
from recaudo.gateways.vendor import NoAnswerError, NotSentError, Said
from recaudo.gateways.wompi import reading
from recaudo.gateways.wompi.api import Json, KeyRefusedError, WompiApi
from recaudo.usecases.ports import Configured, GatewayContext, GatewayDownError

# A void that did not happen within a day will not: the money is settled by then.
GIVEN_UP_AFTER: Final = timedelta(days=1)
_BOGOTA: Final = ZoneInfo("America/Bogota")

_NOT_SUPPORTED: Final = "Wompi solo devuelve por API los pagos con tarjeta: haga esta devolución en su panel de Wompi."
_NOT_WHOLE: Final = "Wompi solo anula el pago completo: haga una devolución parcial en su panel de Wompi."
_TOO_LATE: Final = "Wompi solo anula un pago el mismo día: haga esta devolución en su panel de Wompi."
_NOT_DONE: Final = "Wompi no anuló el pago: haga esta devolución en su panel de Wompi."
_DOWN: Final = "No hay conexión con Wompi y no se devolvió nada: intente de nuevo en unos minutos."
_KEYS: Final = "Wompi no acepta las llaves de esta cuenta y no se devolvió nada: revise la configuración."


async def give_back(
    api: WompiApi, refund: Refund, receipt: Receipt, context: GatewayContext, configured: Configured
) -> RefundAnswer:
    """Begin a void, or say what became of one that was begun before.

    The second time it is only asked about: a void that may be under way is not sent again. So the first time must not
    end as unknown before anything is sent.
    """
    if refund.amount_minor != receipt.amount_minor:
        return RefundRefused(code="refund_not_whole", text=_NOT_WHOLE)
    is_new = refund.state is RefundState.CREATED and refund.asked == 0
    try:
        row = await api.transaction(configured, receipt.gateway_tx_id)
    except KeyRefusedError as error:
        return RefundRefused(code="gateway_not_configured", text=_KEYS) if is_new else RefundUnknown(reason=str(error))
    except GatewayDownError as error:
        return RefundRefused(code="gateway_unavailable", text=_DOWN) if is_new else RefundUnknown(reason=str(error))
    if row is None:
        unheard = "Wompi does not know the transaction"
        return RefundRefused(code="transaction_not_found", text=_NOT_DONE) if is_new else RefundUnknown(reason=unheard)
    if row.get("status") == reading.VOIDED:
        return Refunded()
    if not is_new:
        return _still_there(refund, context)
    refused = _forbidden(row, refund, context)
    return refused or await _void(api, receipt.gateway_tx_id, configured)


def _forbidden(row: Json, refund: Refund, context: GatewayContext) -> RefundRefused | None:
    """Why Wompi would not void it."""
    if row.get("payment_method_type") != "CARD" or row.get("status") != reading.APPROVED:
        return RefundRefused(code="refund_not_supported", text=_NOT_SUPPORTED)
    if row.get("amount_in_cents") != refund.amount_minor:
        return RefundRefused(code="refund_not_whole", text=_NOT_WHOLE)
    paid_at = reading.instant(row.get("finalized_at")) or reading.instant(row.get("created_at"))
    if paid_at is not None and _day(paid_at) != _day(context.real_now):
        return RefundRefused(code="void_too_late", text=_TOO_LATE)
    return None


async def _void(api: WompiApi, transaction_id: str, configured: Configured) -> RefundAnswer:
    try:
        said = await api.call(configured, "POST", f"/transactions/{transaction_id}/void")
    except NotSentError:
        return RefundRefused(code="gateway_unavailable", text=_DOWN)
    except NoAnswerError as error:
        return await _look(api, transaction_id, configured, RefundUnknown(reason=f"Wompi did not answer: {error}"))
    return await _look(api, transaction_id, configured, _said(said))


def _said(said: Said) -> RefundAnswer:
    """What the answer to a void means, by itself. Its body is not specified, so success is only that it was taken."""
    if said.status == 401 or (said.status == 403 and said.content is not None):
        return RefundRefused(code="gateway_not_configured", text=_KEYS)
    if said.is_good:
        return RefundPending()
    if said.is_vague or said.member("error") is None:
        return RefundUnknown(reason=f"Wompi answers {said.status} to a void")
    return RefundRefused(code="void_refused", text=_NOT_DONE)


async def _look(api: WompiApi, transaction_id: str, configured: Configured, otherwise: RefundAnswer) -> RefundAnswer:
    """What the transaction itself says; `otherwise` while it does not say that it is void."""
    try:
        row = await api.transaction(configured, transaction_id)
    except GatewayDownError:
        return otherwise
    return Refunded() if row is not None and row.get("status") == reading.VOIDED else otherwise


def _still_there(refund: Refund, context: GatewayContext) -> RefundAnswer:
    if context.now - refund.created_at >= GIVEN_UP_AFTER:
        return RefundRefused(code="void_refused", text=_NOT_DONE)
    if refund.state is RefundState.PROCESSING:
        return RefundPending()
    return RefundUnknown(reason="Wompi does not say that the payment is void")


def _day(moment: datetime) -> date:
    return moment.astimezone(_BOGOTA).date()
