"""Mercado Pago: payers pay on its hosted page, which a preference opens (gateways specification, section 3).

A preference charges nothing. What was paid is known only from the payments that the vendor's API reports; notices and
returns say where to ask. What the vendor's reference says beyond the specification is marked where it is used.
"""

import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, cast
from urllib.parse import urlsplit

import structlog

from recaudo.domain import money
from recaudo.domain.answers import Absent, Answer, Fact, FactState, NotSent, Redirect, Refused, Reported, Unknown
from recaudo.domain.attempting import is_own_reference
from recaudo.domain.model import Account, Attempt, Customer, Receipt, Refund
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundPending, RefundRefused, RefundUnknown
from recaudo.domain.states import RefundState
from recaudo.gateways import mercadopago_notices
from recaudo.gateways.mercadopago_notices import plain_id
from recaudo.gateways.vendor import AmountError, NoAnswerError, NotSentError, Said, Vendor, minor_of, units_of
from recaudo.usecases.ports import (
    Abilities,
    Bank,
    Configured,
    Credential,
    GatewayContext,
    GatewayDownError,
    Method,
    Notice,
    RawNotice,
    Terms,
    Verified,
)

HOST: Final = "https://api.mercadopago.com"
SITE: Final = "MCO"  # Colombia
# How long the payer has on the vendor's page before they must begin again at ours.
PAYABLE_FOR: Final = timedelta(hours=1)
PAGE: Final = 50
PAGES_MAX: Final = 200  # the vendor lists no further than 10 000
LISTED_AT_ONCE: Final = timedelta(days=1)
TITLE_CHARS_MAX: Final = 250
URL_CHARS_MAX: Final = 2048
# The vendor keeps idempotency keys for 24 hours (its reference, orders): later, the same key gives money back again.
REFUND_KEY_LIVES: Final = timedelta(hours=20)
# A refund that the list does not show for so long after it was asked for was not made.
REFUND_NOT_MADE_AFTER: Final = timedelta(minutes=10)
TEST_USERS_KEPT: Final = 10_000

METHODS: Final = (Method(id="card", kind="cards"), Method(id="pse", kind="accounts"))
# Money in the vendor's own account is a type that cannot be excluded (its reference, Checkout Pro).
_EXCLUDED: Final[Mapping[str, tuple[str, ...]]] = {
    "card": ("bank_transfer", "ticket", "atm"),
    "pse": ("credit_card", "debit_card", "prepaid_card", "ticket", "atm"),
}
_DOCUMENT_TYPES: Final = frozenset({"CC", "CE", "NIT"})  # those of ours that the vendor has in Colombia

_TOKEN: Final = re.compile(r"(?:TEST|APP_USR)-[A-Za-z0-9_-]{8,500}")
_SECRET: Final = re.compile(r"[!-~]{8,500}")
_ADDRESS: Final = re.compile(r"[!-~]+")
_UNAUTHORIZED: Final = frozenset({401, 403})
_ABOUT_DATA: Final = frozenset({400, 422})

_STATES: Final[Mapping[str, FactState]] = {
    "pending": FactState.PROCESSING,
    "in_process": FactState.PROCESSING,
    "authorized": FactState.PROCESSING,
    "approved": FactState.SUCCEEDED,
    "refunded": FactState.SUCCEEDED,  # it arrived, and went back whole
    "rejected": FactState.FAILED,
    "cancelled": FactState.FAILED,
    "charged_back": FactState.DISPUTED,
    "in_mediation": FactState.DISPUTED,
}

# By `status_detail`: the code that the payer's page knows, and what happened.
_FUNDS: Final = ("INSUFFICIENT_FUNDS", "Fondos insuficientes")
_BANK_AWAY: Final = ("BANK_IS_NOT_AVAILABLE", "El banco no respondió")
_RESTRICTED: Final = ("CARD_RESTRICTED", "El banco no permite este pago con la tarjeta")
_DATA: Final = ("CUSTOMER_DATA_INVALID", "Algún dato no coincide")
_EXPIRED: Final = ("TRANSACTION_EXPIRED", "El pago no se terminó a tiempo")
_CANCELLED: Final = ("TRANSACTION_EXPIRED", "El pago se canceló antes de terminarse")
_REJECTED: Final = ("REJECTED", "Mercado Pago rechazó el pago")
_FAILURES: Final[Mapping[str, tuple[str, str]]] = {
    "cc_rejected_insufficient_amount": _FUNDS,
    "insufficient_amount": _FUNDS,
    "cc_rejected_bad_filled_security_code": ("CARD_CVV", "El código de seguridad no coincide"),
    "cc_rejected_bad_filled_card_number": ("CARD_NUMBER", "El número de la tarjeta no coincide"),
    "cc_rejected_bad_filled_date": ("CARD_DATE", "La fecha de vencimiento no coincide"),
    "cc_rejected_bad_filled_other": _DATA,
    "rejected_insufficient_data": _DATA,
    "cc_rejected_call_for_authorize": ("CARD_RESTRICTED", "El banco pide que se autorice el pago con una llamada"),
    "cc_rejected_card_disabled": ("CARD_RESTRICTED", "La tarjeta no está activa"),
    "cc_rejected_blacklist": _RESTRICTED,
    "cc_rejected_card_type_not_allowed": _RESTRICTED,
    "cc_rejected_max_attempts": ("CARD_VELOCITY", "Se llegó al límite de intentos con la tarjeta"),
    "cc_amount_rate_limit_exceeded": ("MAX_AMOUNT", "El valor supera el tope del medio de pago"),
    "bank_error": _BANK_AWAY,
    "cc_rejected_time_out": _BANK_AWAY,
    "expired": _EXPIRED,
}

_BRANDS: Final[Mapping[str, str]] = {
    "debvisa": "VISA",
    "master": "MASTERCARD",
    "debmaster": "MASTERCARD",
    "account_money": "MERCADO PAGO",
    "efecty": "EFECTIVO",
}
_LABELS: Final[Mapping[str, str]] = {"account_money": "Dinero en Mercado Pago", "efecty": "Efecty"}

_BAD_ANSWER: Final = Refused(
    code="gateway_bad_answer", text="Mercado Pago no dio una página de pago. Intente de nuevo o elija otro medio."
)
_PAYER_REFUSED: Final = Refused(
    code="CUSTOMER_DATA_INVALID", text="Mercado Pago no aceptó los datos de quien paga. Revíselos e intente de nuevo."
)
_DATA_REFUSED: Final = Refused(
    code="gateway_refused", text="Mercado Pago no aceptó este pago. Elija otro medio de pago."
)
_REFUND_TEXTS: Final[Mapping[str, str]] = {
    "2000": "Mercado Pago no encuentra el pago",
    "2018": "El valor supera lo que queda por devolver",
    "2024": "El pago es demasiado antiguo para devolverlo",
    "2063": "El estado del pago no permite devolverlo",
    "3024": "Este pago solo se puede devolver completo",
    "15016": "El pago es demasiado antiguo para devolverlo",
}
_KEY_USED: Final = "2032"  # the vendor's reference: "X-Idempotency-key already used"

_log: Any = structlog.get_logger("recaudo.gateways")


class _UnreadableError(Exception):
    """A payment that cannot be told as a fact, and why."""


class MercadoPago:
    """The gateway. `host` is another one for tests and demonstrations."""

    name = "mercadopago"
    title = "Mercado Pago"
    for_live_accounts = True
    needs_configuration = True
    abilities = Abilities(
        currencies=frozenset({"COP"}),
        credentials=(
            Credential(name="access_token", hint="APP_USR-... (TEST-... or that of a test user on a test account)"),
            Credential(name="webhook_secret", hint="the secret signature of the application's webhooks"),
        ),
        refunds="partial",
        lists=True,
    )

    def __init__(self, host: str = HOST) -> None:
        self._host = host.rstrip("/")
        self._vendor = Vendor()
        self._test_users: dict[bytes, bool] = {}  # by digest of the token: whether it is a test user's

    # Who it is

    def check(self, credentials: Mapping[str, str], *, is_test: bool) -> Mapping[str, str]:
        """What is wrong with credentials as they stand (3.1)."""
        problems: dict[str, str] = {}
        token = credentials.get("access_token", "")
        if not _TOKEN.fullmatch(token):
            problems["access_token"] = "is an access token of the application: APP_USR-... or TEST-..."  # noqa: S105
        elif token.startswith("TEST-") and not is_test:
            problems["access_token"] = "is a test token: a live account needs the one that begins with APP_USR-"  # noqa: S105
        if not _SECRET.fullmatch(credentials.get("webhook_secret", "")):
            problems["webhook_secret"] = "is the secret signature that the panel shows for webhooks"  # noqa: S105
        return problems

    async def verify(self, configured: Configured) -> Verified:
        """Ask the vendor whose token it is."""
        try:
            said = await self._call(configured, "GET", "/users/me")
        except (NotSentError, NoAnswerError):
            return Verified(problem="Mercado Pago cannot be reached now; try again later")
        if said.status in _UNAUTHORIZED:
            return Verified(problem="the access token is not valid")
        if not said.is_good or not isinstance(said.content, dict):
            return Verified(problem=f"Mercado Pago does not say whose token it is now ({_word(said)})")
        nickname = _text(said.member("nickname"))
        return Verified(problem=_who_problem(configured, said), merchant_name=nickname)

    def methods(self, account: Account) -> Sequence[Method]:
        """Both are chosen at ours and paid on the vendor's page."""
        return METHODS

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """The vendor's page asks for the bank."""
        return ()

    async def terms(self, configured: Configured) -> Terms | None:
        """The vendor's page shows its own."""
        return None

    # Payments

    async def start(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """Open the vendor's page for an attempt (3.2). Nothing is charged, so no answer is the same as none made."""
        configured = context.configured
        if configured is None or attempt.method_type not in _EXCLUDED:
            return NotSent(reason="the account does not have this gateway or method")
        until = _payable_until(context)
        body = _preference(attempt, context, until)
        try:
            said = await self._call(configured, "POST", "/checkout/preferences", body=body, key=str(attempt.id))
        except (NotSentError, NoAnswerError) as error:
            return NotSent(reason=str(error))
        if said.is_vague or not isinstance(said.content, dict):
            return NotSent(reason=_word(said))
        if not said.is_good:
            return _not_opened(said)
        url = self._page(said, configured)
        return _BAD_ANSWER if url is None else Reported(step=Redirect(url=url), payable_until=until)

    async def ask(self, attempt: Attempt, context: GatewayContext) -> Answer:
        """All payments that the vendor has under our reference (3.4)."""
        configured = context.configured
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
            async for page in self._pages(configured, query):
                # Another's payment must not pay this, should the vendor not heed what it is asked for.
                ours = [p for p in page if p.get("external_reference") == attempt.reference]
                facts += await self._facts(configured, ours)
        except (GatewayDownError, _UnreadableError) as error:
            return Unknown(reason=str(error))
        return Reported(facts=tuple(facts)) if facts else Absent()

    async def fetch(self, gateway_tx_id: str, configured: Configured) -> Answer:
        """One payment by the vendor's id (3.4)."""
        if plain_id(gateway_tx_id) is None:
            return Absent()
        try:
            said = await self._call(configured, "GET", f"/v1/payments/{gateway_tx_id}")
            if said.status == 404 and isinstance(said.content, dict):
                return Absent()
            payment: Any = said.content
            if not said.is_good or not isinstance(payment, dict):
                return Unknown(reason=_word(said))
            facts = await self._facts(configured, [cast("dict[str, Any]", payment)])
        except (NotSentError, NoAnswerError, _UnreadableError) as error:
            return Unknown(reason=str(error))
        is_it = facts[0].gateway_tx_id == gateway_tx_id
        return Reported(facts=tuple(facts)) if is_it else Unknown(reason="the vendor answered with another payment")

    async def transactions(self, configured: Configured, since: datetime, until: datetime) -> AsyncIterator[Fact]:
        """Payments whose last change lies between the two. Raises GatewayDownError.

        By the last change, because what happened in a period are also refunds and disputes of older payments, and bank
        payments that took days. A payment that changes again later moves on to a later period: that this list lacks
        one says nothing, and whoever misses it fetches it by its id.
        """
        # The vendor is asked in milliseconds: finer borders would lose what happened between the two spellings.
        since, until = _whole_ms(since), _whole_ms(until)
        while since < until:
            end = min(since + LISTED_AT_ONCE, until)
            query = {
                "range": "date_last_updated",
                "begin_date": _instant(since),
                "end_date": _instant(end),
                "sort": "date_last_updated",
            }
            async for page in self._pages(configured, query):
                for payment in page:
                    changed_at = _moment(payment.get("date_last_updated"))
                    if changed_at is None or since <= changed_at < end:
                        for fact in await self._listed(configured, payment):
                            yield fact
            since = end

    # Money that goes back

    async def refund(self, refund: Refund, receipt: Receipt, context: GatewayContext) -> RefundAnswer:
        """Give back a part or the whole of a payment, or say what became of it (3.4, 1.11).

        A refund whose id we know is asked about by it. Of one that may have been made the same call is made again
        with the same key: that is what the vendor's header is for, and it answers what it answered first.
        """
        configured, payment_id = context.configured, plain_id(receipt.gateway_tx_id)
        if configured is None:
            return RefundUnknown(reason="the account does not have this gateway")
        if payment_id is None:
            return RefundRefused(code="REFUND_NOT_ALLOWED", text=_REFUND_TEXTS["2000"])
        path = f"/v1/payments/{payment_id}/refunds"
        begun = refund.asked > 0 or refund.state is not RefundState.CREATED
        try:
            if refund.gateway_refund_id is not None:
                return await self._refund_begun(configured, path, refund, refund.gateway_refund_id)
            if begun and context.now - refund.created_at >= REFUND_KEY_LIVES:
                return await self._refund_among(configured, path, refund, context)
            # The whole is asked for without an amount: some payments cannot be given back in parts.
            body = {"amount": units_of(refund.amount_minor, refund.currency)}
            is_whole = refund.amount_minor == receipt.amount_minor
            said = await self._call(configured, "POST", path, body=None if is_whole else body, key=str(refund.id))
            if said.is_good:
                return _refund_answer(said, refund)
            if said.is_vague or not isinstance(said.content, dict):
                return RefundUnknown(reason=_word(said))
            if begun or said.status == 409 or _KEY_USED in _causes(said):
                return await self._refund_among(configured, path, refund, context)
        except (NotSentError, NoAnswerError) as error:
            return RefundUnknown(reason=str(error))
        return _refund_refused(said)

    async def _refund_begun(self, configured: Configured, path: str, refund: Refund, theirs: str) -> RefundAnswer:
        if plain_id(theirs) is None:
            return RefundUnknown(reason="the refund's id is none of the vendor's")
        said = await self._call(configured, "GET", f"{path}/{theirs}")
        return _refund_answer(said, refund) if said.is_good else RefundUnknown(reason=_word(said))

    async def _refund_among(
        self, configured: Configured, path: str, refund: Refund, context: GatewayContext
    ) -> RefundAnswer:
        """What the list of a payment's refunds says of one whose call cannot be made again.

        One of the same amount may be this or another, so it is left to people; the money is booked all the same, for
        the payment itself tells how much of it went back.
        """
        said = await self._call(configured, "GET", path)
        listed: Any = said.content
        if not said.is_good or not isinstance(listed, list):
            return RefundUnknown(reason=_word(said))
        if any(_may_be(refund, one) for one in cast("list[Any]", listed)):
            return RefundUnknown(reason="there is a refund of this amount; whether it is this one cannot be told")
        if context.now - refund.created_at < REFUND_NOT_MADE_AFTER:
            return RefundUnknown(reason="refused when asked for again, and not listed yet")
        return RefundRefused(code="REFUND_NOT_MADE", text="Mercado Pago no hizo la devolución")

    # Notices

    def read_notice(self, raw: RawNotice, configured: Configured) -> Notice:
        """Check a notice (3.5)."""
        return mercadopago_notices.read_notice(raw, configured.credentials.get("webhook_secret", ""))

    async def close(self) -> None:
        """Close the connections."""
        await self._vendor.close()

    # Calls

    async def _call(
        self,
        configured: Configured,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Said:
        """One call with the merchant's token (3.1). Raises NotSentError and NoAnswerError."""
        token = configured.credentials.get("access_token", "")
        if not _TOKEN.fullmatch(token):
            # It would break the header, or put something else into it.
            raise NotSentError("the access token is none")
        headers = {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers |= {"X-Idempotency-Key": key, "Content-Type": "application/json"}
        return await self._vendor.call(method, self._host + path, headers=headers, body=body, query=query)

    async def _pages(self, configured: Configured, query: Mapping[str, str]) -> AsyncIterator[list[dict[str, Any]]]:
        """The pages of a search, each payment once (3.4). Raises GatewayDownError unless all of them could be read."""
        seen: set[str] = set()
        offset, total_at_first = 0, None
        for _ in range(PAGES_MAX):
            page, total = await self._searched(configured, query, offset)
            total_at_first = total if total_at_first is None else total_at_first
            fresh = [p for p in page if _id_of(p) not in seen]
            seen |= {_id_of(p) for p in page}
            yield fresh
            offset += len(page)
            if not page or offset >= total:
                break
        else:
            raise GatewayDownError("the list does not end")
        # One that left the list while it was read pulls the next ones forward, across the border of two pages.
        if len(seen) < (total_at_first or 0):
            raise GatewayDownError("the list changed while it was read")

    async def _searched(
        self, configured: Configured, query: Mapping[str, str], offset: int
    ) -> tuple[list[dict[str, Any]], int]:
        """One page of a search, and how many payments it has in all."""
        paged = {**query, "criteria": "asc", "limit": str(PAGE), "offset": str(offset)}
        try:
            said = await self._call(configured, "GET", "/v1/payments/search", query=paged)
        except (NotSentError, NoAnswerError) as error:
            raise GatewayDownError(str(error)) from error
        results, total = said.member("results"), said.member("paging", "total")
        if not said.is_good or not isinstance(results, list) or not isinstance(total, int):
            raise GatewayDownError(_word(said))
        page = cast("list[Any]", results)
        if not all(isinstance(p, dict) for p in page):
            raise GatewayDownError("the list has something else than payments")
        return page, total

    async def _facts(self, configured: Configured, payments: Sequence[Mapping[str, Any]]) -> list[Fact]:
        pretended = any(p.get("live_mode") is True for p in payments) and await self._is_test_user(configured)
        return [_fact(p, pretended=pretended) for p in payments]

    async def _listed(self, configured: Configured, payment: Mapping[str, Any]) -> list[Fact]:
        """The fact of a payment of the list; none when it is another seller's and cannot be told."""
        try:
            return await self._facts(configured, [payment])
        except _UnreadableError as error:
            reference = payment.get("external_reference")
            if isinstance(reference, str) and is_own_reference(reference):
                raise GatewayDownError(f"a payment cannot be read: {error}") from error
            return []

    async def _is_test_user(self, configured: Configured) -> bool:
        """Whether the token is that of a test user: its payments say `live_mode`, and are pretended all the same.

        Asked once. What the vendor does not say now is taken as no: then `live_mode` alone decides.
        """
        token = configured.credentials.get("access_token", "")
        if token.startswith("TEST-"):
            return False
        digest = sha256(token.encode()).digest()
        if digest not in self._test_users:
            try:
                said = await self._call(configured, "GET", "/users/me")
            except (NotSentError, NoAnswerError):
                return False
            if not said.is_good or not isinstance(said.content, dict):
                return False
            if len(self._test_users) >= TEST_USERS_KEPT:
                self._test_users.clear()
            self._test_users[digest] = _has_test_tag(said)
        return self._test_users[digest]

    def _page(self, said: Said, configured: Configured) -> str | None:
        """The address of the vendor's page; None when it gave none that a payer may be sent to."""
        is_test_token = configured.credentials.get("access_token", "").startswith("TEST-")
        url = (said.member("sandbox_init_point") if is_test_token else None) or said.member("init_point")
        schemes = {"https", urlsplit(self._host).scheme}
        return url if isinstance(url, str) and _is_address(url, schemes) else None


# Preferences, section 3.2


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
    if payer := _payer(context.customer):
        body["payer"] = payer
    if context.return_url:
        body["back_urls"] = dict.fromkeys(("success", "pending", "failure"), context.return_url)
        # The vendor refuses a preference that returns by itself to an address without TLS.
        if context.return_url.startswith("https://"):
            body["auto_return"] = "approved"
    return body


def _payer(customer: Customer | None) -> dict[str, Any]:
    """Whom the vendor's page greets; only what is known."""
    if customer is None:
        return {}
    known = {"name": customer.first_name, "surname": customer.last_name, "email": customer.email}
    payer: dict[str, Any] = {name: value for name, value in known.items() if value}
    if customer.document_number and customer.document_type in _DOCUMENT_TYPES:
        payer["identification"] = {"type": customer.document_type, "number": customer.document_number}
    return payer


def _not_opened(said: Said) -> Answer:
    """Why there is no page: our keys, or what we sent."""
    if said.status not in _ABOUT_DATA:
        return NotSent(reason=_word(said))
    causes = _causes(said)
    _log.warning("gateway_refused", gateway=MercadoPago.name, status=said.status, causes=sorted(causes))
    words = f"{said.member('error')} {said.member('message')} {causes}".lower()
    return _PAYER_REFUSED if "payer" in words else _DATA_REFUSED


def _is_address(url: str, schemes: set[str]) -> bool:
    if len(url) > URL_CHARS_MAX or not _ADDRESS.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


# Facts, section 3.4


def _fact(it: Mapping[str, Any], *, pretended: bool) -> Fact:
    """A payment as a fact. Raises _UnreadableError."""
    payment_id, currency, status = _id_of(it), it.get("currency_id"), it.get("status")
    if not payment_id or not isinstance(status, str):
        raise _UnreadableError("unreadable_payment")
    if not isinstance(currency, str) or currency not in money.DECIMALS:
        raise _UnreadableError("unknown_currency")
    amount_minor = _amount(it, "transaction_amount", currency)
    refunded_minor = _amount(it, "transaction_amount_refunded", currency, default=0)
    state = _STATES.get(status)
    if state is None:
        _log.warning("gateway_unknown_status", gateway=MercadoPago.name, transaction=payment_id, status=status[:40])
    live = it.get("live_mode")
    failure = _failure(it, status) if state is FactState.FAILED else (None, None)
    return Fact(
        gateway_tx_id=payment_id,
        state=state or FactState.PROCESSING,
        amount_minor=amount_minor,
        currency=currency,
        reference=_text(it.get("external_reference")),
        is_test=pretended or not live if isinstance(live, bool) else None,
        refunded_minor=amount_minor if status == "refunded" else min(refunded_minor, amount_minor),
        method=_method(it, payment_id),
        failure_code=failure[0],
        failure_text=failure[1],
        paid_at=_moment(it.get("date_approved")),
    )


def _amount(it: Mapping[str, Any], name: str, currency: str, *, default: int | None = None) -> int:
    """An amount of a payment. One that is no whole number of minor units is an error, never rounded (1.3)."""
    value = it.get(name)
    if value is None and default is not None:
        return default
    try:
        minor = minor_of(value, currency)
    except AmountError as error:
        _log.error("gateway_amount_not_representable", gateway=MercadoPago.name, transaction=_id_of(it), field=name)
        raise _UnreadableError("amount_not_representable") from error
    if not 0 <= minor <= money.AMOUNT_MINOR_MAX:
        raise _UnreadableError("amount_out_of_range")
    return minor


def _failure(it: Mapping[str, Any], status: str) -> tuple[str, str]:
    otherwise = _CANCELLED if status == "cancelled" else _REJECTED
    detail = it.get("status_detail")
    return _FAILURES.get(detail, otherwise) if isinstance(detail, str) else otherwise


def _method(it: Mapping[str, Any], payment_id: str) -> dict[str, Any]:
    """How it was paid, for receipts."""
    method_id = _text(it.get("payment_method_id")) or "unknown"
    brand = _BRANDS.get(method_id, method_id.upper())[:40]
    card: Any = it.get("card")
    shown: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{HOST}/v1/payments/{payment_id}")),
        "created_at": _instant(_moment(it.get("date_created")) or datetime(1970, 1, 1, tzinfo=UTC), "microseconds"),
        "brand": brand,
        "label": _LABELS.get(method_id, brand),
        "country": "CO",
    }
    if isinstance(card, dict):
        shown |= _card(cast("dict[str, Any]", card), brand)
    return shown


def _card(card: Mapping[str, Any], brand: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    digits, month, year = card.get("last_four_digits"), card.get("expiration_month"), card.get("expiration_year")
    if isinstance(digits, str) and re.fullmatch("[0-9]{4}", digits):
        shown |= {"last_four": digits, "label": f"{brand} **** {digits}"}
    if isinstance(month, int) and isinstance(year, int) and 1 <= month <= 12 and 2000 <= year <= 9999:
        shown["expiration_date"] = f"{year}-{month:02d}"
    return shown


# Refunds, section 3.4


def _refund_answer(said: Said, refund: Refund) -> RefundAnswer:
    """What the vendor says of a refund that it has."""
    theirs = plain_id(said.member("id"))
    if theirs is None or not _is_of_amount(said.member("amount"), refund):
        _log.error("gateway_refund_differs", gateway=MercadoPago.name, refund=str(refund.id))
        return RefundUnknown(reason="the vendor's refund cannot be read, or is of another amount")
    match said.member("status"):
        case "approved":
            return Refunded(gateway_refund_id=theirs)
        case "rejected" | "cancelled":
            return RefundRefused(code="REFUND_REJECTED", text="Mercado Pago rechazó la devolución")
        case _:  # in_process, authorized, and what the vendor may think of: it has it, and is asked again
            return RefundPending(gateway_refund_id=theirs)


def _refund_refused(said: Said) -> RefundRefused:
    if said.status in _UNAUTHORIZED:
        return RefundRefused(code="gateway_unauthorized", text="Mercado Pago no acepta las credenciales")
    texts = [_REFUND_TEXTS[code] for code in sorted(_causes(said)) if code in _REFUND_TEXTS]
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


# What the vendor says


def _who_problem(configured: Configured, said: Said) -> str | None:
    """What is wrong with whose token it is."""
    site = _text(said.member("site_id"))
    if site is not None and site != SITE:
        return f"the token is of a seller in {site[:10]}: Colombian pesos need one of {SITE}"
    is_test_user = _has_test_tag(said)
    if not configured.is_test and is_test_user:
        return "the token is that of a test user: a live account needs that of the seller"
    is_test_token = configured.credentials.get("access_token", "").startswith("TEST-")
    if configured.is_test and not is_test_user and not is_test_token:
        return "the token collects real money: a test account needs the TEST- token, or that of a test user"
    return None


def _has_test_tag(said: Said) -> bool:
    tags = said.member("tags")
    return isinstance(tags, list) and "test_user" in tags


def _causes(said: Said) -> set[str]:
    """The codes of what the vendor refuses; its texts may repeat what it was sent, and are not kept."""
    causes = said.member("cause")
    found = cast("list[Any]", causes) if isinstance(causes, list) else [causes]
    codes = [cast("dict[str, Any]", c).get("code") for c in found if isinstance(c, dict)]
    return {code for code in (plain_id(c) for c in codes) if code is not None}


def _word(said: Said) -> str:
    return f"HTTP {said.status}" if isinstance(said.content, dict) else f"HTTP {said.status} without JSON of use"


def _id_of(payment: Mapping[str, Any]) -> str:
    """The payment's id; empty for one that has none."""
    return plain_id(payment.get("id")) or ""


def _text(value: object) -> str | None:
    return value[:256] if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    """A time of the vendor, `2025-11-24T12:02:03.000-04:00`; None for one that says no instant."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _whole_ms(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _instant(moment: datetime, precision: str = "milliseconds") -> str:
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
