"""Opening Mercado Pago's page with a preference (section 3.2)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from recaudo.domain.answers import Answer, NotSent, Redirect, Refused, Reported
from recaudo.domain.model import Attempt
from recaudo.gateways.mercadopago import keys
from recaudo.gateways.mercadopago.api import MercadoPagoApi, causes, word
from recaudo.gateways.mercadopago.values import NAME
from recaudo.gateways.vendor import NoAnswerError, NotSentError, Said, units_of
from recaudo.usecases.ports import Configured, GatewayContext, Method

# How long the payer has on the vendor's page before they must begin again at ours.
PAYABLE_FOR: Final = timedelta(hours=1)
TITLE_CHARS_MAX: Final = 250
URL_CHARS_MAX: Final = 2048
METHODS: Final = (Method(id="card", kind="cards"), Method(id="pse", kind="accounts"))

# Money in the vendor's own account is a type that cannot be excluded (its reference, Checkout Pro).
_EXCLUDED: Final[Mapping[str, tuple[str, ...]]] = {
    "card": ("bank_transfer", "ticket", "atm"),
    "pse": ("credit_card", "debit_card", "prepaid_card", "ticket", "atm"),
}
_ADDRESS: Final = re.compile(r"[!-~]+")
_ABOUT_DATA: Final = frozenset({400, 422})

_BAD_ANSWER: Final = Refused(
    code="gateway_bad_answer", text="Mercado Pago no dio una página de pago. Intente de nuevo o elija otro medio."
)
_PAYER_REFUSED: Final = Refused(
    code="CUSTOMER_DATA_INVALID", text="Mercado Pago no aceptó los datos de quien paga. Revíselos e intente de nuevo."
)
_DATA_REFUSED: Final = Refused(
    code="gateway_refused", text="Mercado Pago no aceptó este pago. Elija otro medio de pago."
)

_log: Any = structlog.get_logger("recaudo.gateways")


async def begin(api: MercadoPagoApi, attempt: Attempt, context: GatewayContext) -> Answer:
    """Open the vendor's page for an attempt. Nothing is charged, so no answer is the same as none made."""
    configured = context.configured
    if configured is None or attempt.method_type not in _EXCLUDED:
        return NotSent(reason="the account does not have this gateway or method")
    until = _payable_until(context)
    body = _preference(attempt, context, until)
    try:
        said = await api.call(configured, "POST", "/checkout/preferences", body=body, key=str(attempt.id))
    except (NotSentError, NoAnswerError) as error:
        return NotSent(reason=str(error))
    if said.is_vague or not isinstance(said.content, dict):
        return NotSent(reason=word(said))
    if not said.is_good:
        return _not_opened(said)
    url = page_of(said, configured, api.host)
    return _BAD_ANSWER if url is None else Reported(step=Redirect(url=url), payable_until=until)


def page_of(said: Said, configured: Configured, host: str) -> str | None:
    """The address of the vendor's page; None when it gave none that a payer may be sent to."""
    url = (said.member("sandbox_init_point") if keys.is_test_token(configured) else None) or said.member("init_point")
    schemes = {"https", urlsplit(host).scheme}
    return url if isinstance(url, str) and _is_address(url, schemes) else None


def _payable_until(context: GatewayContext) -> datetime:
    """Until when the vendor's page takes the payment, on the account's clock."""
    latest = context.now + PAYABLE_FOR
    expires_at = context.collection.expires_at
    return latest if expires_at is None else min(expires_at, latest)


def _preference(attempt: Attempt, context: GatewayContext, until: datetime) -> dict[str, Any]:
    """What opens the vendor's page. Notices come by the address in the vendor's panel, so none is named here."""
    item = {
        "id": str(context.invoice.id),
        "title": context.invoice.name[:TITLE_CHARS_MAX] or "Pago",
        "quantity": 1,
        "currency_id": attempt.currency,
        "unit_price": units_of(attempt.amount_minor, attempt.currency),
    }
    # The vendor's clock is the real one, whatever the account's says. No `from`: its clock may be behind ours.
    expires_at = context.real_now + (until - context.now)
    body: dict[str, Any] = {
        "items": [item],
        "external_reference": attempt.reference,
        "expires": True,
        "expiration_date_to": expires_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "payment_methods": {"excluded_payment_types": [{"id": t} for t in _EXCLUDED[attempt.method_type or ""]]},
    }
    # No payer: whoever has the link can open the vendor's page, and would read there who owes.
    if context.return_url:
        body["back_urls"] = dict.fromkeys(("success", "pending", "failure"), context.return_url)
        # The vendor refuses a preference that returns by itself to an address without TLS.
        if context.return_url.startswith("https://"):
            body["auto_return"] = "approved"
    return body


def _not_opened(said: Said) -> Answer:
    """Why there is no page: our keys, or what we sent."""
    if said.status not in _ABOUT_DATA:
        return NotSent(reason=word(said))
    told = causes(said)
    _log.warning("gateway_refused", gateway=NAME, status=said.status, causes=sorted(told))
    words = f"{said.member('error')} {said.member('message')} {told}".lower()
    return _PAYER_REFUSED if "payer" in words else _DATA_REFUSED


def _is_address(url: str, schemes: set[str]) -> bool:
    if len(url) > URL_CHARS_MAX or not _ADDRESS.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
