"""A fake Mercado Pago (Colombia): preferences, payments, refunds, notices. Sections are the gateways specification's.

Frozen on one version of the vendor's behaviour; LAST_CHECKED says when that was last compared with the specification.
Orders (3.3) are not here.
"""

import hashlib
import hmac
import itertools
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from tests.fakes import pages
from tests.fakes.base import (
    Compose,
    Fake,
    Merchant,
    Notice,
    Refund,
    Route,
    Signed,
    State,
    Transaction,
    answer,
    dumps,
    read_object,
)
from tests.fakes.scenario import Outcome, Scenario, Tamper

LAST_CHECKED: Final = date(2026, 11, 22)

VENDOR_ZONE: Final = timezone(timedelta(hours=-4))  # the vendor writes its times at -04:00
BRAND: Final = "#00529b"
NO_ID_EVERY: Final = 5  # each fifth notice comes without the id pair (3.7)

_STATUS: Final = {
    State.PENDING: ("pending", "pending_waiting_transfer"),
    State.APPROVED: ("approved", "accredited"),
    State.DECLINED: ("rejected", "cc_rejected_other_reason"),
    State.ERROR: ("rejected", "bank_error"),
    State.EXPIRED: ("cancelled", "expired"),
    State.CANCELLED: ("cancelled", "by_collector"),
    State.REFUNDED: ("refunded", "refunded"),
    State.CHARGED_BACK: ("charged_back", "settled"),
    State.IN_MEDIATION: ("in_mediation", "pending"),
}
_METHODS: Final = {
    "pse": ("pse", "bank_transfer"),
    "visa": ("visa", "credit_card"),
    "efecty": ("efecty", "ticket"),
    "account_money": ("account_money", "account_money"),
}
_CHOICES: Final = {
    "approve": Outcome.APPROVED,
    "decline": Outcome.DECLINED,
    "decline_then_approve": Outcome.APPROVED,
    "pending": Outcome.PENDING,
    "error": Outcome.ERROR,
    "scenario": None,
}
# The holder's name selects the result in the vendor's sandbox (3.6).
_HOLDERS: Final = {
    "APRO": (Outcome.APPROVED, "accredited"),
    "OTHE": (Outcome.DECLINED, "cc_rejected_other_reason"),
    "CONT": (Outcome.PENDING, "pending_contingency"),
    "FUND": (Outcome.DECLINED, "cc_rejected_insufficient_amount"),
    "SECU": (Outcome.DECLINED, "cc_rejected_bad_filled_security_code"),
    "EXPI": (Outcome.DECLINED, "cc_rejected_bad_filled_date"),
    "FORM": (Outcome.DECLINED, "cc_rejected_bad_filled_other"),
    "CALL": (Outcome.DECLINED, "cc_rejected_call_for_authorize"),
}


# -- Signatures --------------------------------------------------------------------------------------------------------


def manifest(data_id: str, request_id: str, ts: str) -> str:
    """What is signed (3.5): a pair whose value is empty is left out."""
    pairs = (("id", data_id), ("request-id", request_id), ("ts", ts))
    return "".join(f"{name}:{value};" for name, value in pairs if value)


def sign(text: str, secret: str) -> str:
    """The `v1` of `x-signature` (3.5)."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


# -- Money -------------------------------------------------------------------------------------------------------------


def decimal(minor: int) -> Decimal | int:
    """An amount as this vendor writes it (1.3): `50000`, or `50000.50`."""
    return minor // 100 if minor % 100 == 0 else Decimal(minor).scaleb(-2)


def minor(value: object) -> int | None:
    """Minor units of a JSON number; none if it is no amount, or has more than two decimals."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    scaled = Decimal(value) * 100
    return int(scaled) if scaled == scaled.to_integral_value() else None


# -- Merchants ---------------------------------------------------------------------------------------------------------


@dataclass
class MercadoPagoMerchant(Merchant):
    """A seller's application."""

    name: str
    user_id: int
    secret: str  # signs the notices

    @property
    def access_token(self) -> str:
        """Names the account."""
        return self.key


@dataclass
class Preference:
    """A payment link."""

    id: str
    merchant: MercadoPagoMerchant
    body: dict[str, Any]
    created_at: datetime
    order_id: int

    @property
    def reference(self) -> str:
        return self.body.get("external_reference") or ""

    @property
    def asked_minor(self) -> int:
        return sum((minor(i["unit_price"]) or 0) * i["quantity"] for i in self.body["items"])


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, error: str, message: str, cause: Iterable[tuple[int | str, str]] = ()) -> None:
        super().__init__(message)
        self.status, self.error, self.message, self.cause = status, error, message, list(cause)

    def answer(self) -> web.Response:
        """The vendor's shape."""
        cause = [{"code": code, "description": text, "data": None} for code, text in self.cause]
        body = {"message": self.message, "error": self.error, "status": self.status, "cause": cause}
        return answer(body, self.status)


def _bad(message: str, code: int | str = "bad_request") -> Refused:
    return Refused(400, "bad_request", message, [(code, message)])


class MercadoPago(Fake[MercadoPagoMerchant]):
    """The server; `base_url` stands for https://api.mercadopago.com."""

    name = "mercadopago"
    reference_field = "external_reference"
    announces_creation = True
    partial_refunds = True
    good_answers = frozenset({200, 201})
    # Every 15 minutes, with longer gaps later (3.5); how much longer is not said there.
    retry_offsets = (
        timedelta(minutes=15),
        timedelta(minutes=30),
        timedelta(minutes=45),
        timedelta(hours=6, minutes=45),
        timedelta(hours=54, minutes=45),
        timedelta(hours=150, minutes=45),
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"answer_timeout": 22.0, **options})
        self.preferences: dict[str, Preference] = {}
        self._ids = itertools.count(1_340_000_001)
        self._people = itertools.count(200_000_001)
        self._notices_made = itertools.count()
        self._tries_made = itertools.count()
        self._replays: dict[tuple[str, str, str, str], tuple[bytes, web.Response]] = {}

    # For tests

    def merchant(
        self, *, live: bool = False, notice_url: str = "", name: str = "Comercio de prueba"
    ) -> MercadoPagoMerchant:
        """A new seller with credentials of its own."""
        user = next(self._people)
        word = "APP_USR" if live else "TEST"
        return self.add_merchant(
            access_token=f"{word}-{user}-fake-{user:x}", secret=f"fake-mp-secret-{user}", live=live,
            notice_url=notice_url, name=name, user_id=user,
        )  # fmt: skip

    def add_merchant(
        self,
        *,
        access_token: str,
        secret: str,
        live: bool = False,
        notice_url: str = "",
        name: str = "Comercio de prueba",
        user_id: int = 0,
    ) -> MercadoPagoMerchant:
        """A seller with these credentials."""
        made = MercadoPagoMerchant(
            key=access_token,
            notice_url=notice_url,
            live=live,
            name=name,
            user_id=user_id or next(self._people),
            secret=secret,
        )
        self.merchants[access_token] = made
        return made

    def send_qr_notice(self, payment_id: str) -> None:
        """Tell of a payment as QR payments are told of: unsigned (3.5)."""
        transaction = self.transactions[payment_id]
        number, when = self._next_notice(), self.now()
        body = self._notice_body(transaction, number, when, "payment.updated")

        def compose(_: int) -> Signed:
            headers = {"Content-Type": "application/json"}
            query = {"data.id": transaction.id, "type": "payment"}
            return Signed(_with_query(self._notice_url(transaction), query), headers, dumps(body).encode())

        self.tell(Notice(transaction.id, transaction.reference, transaction.state, compose))

    def reset(self) -> None:
        super().reset()
        self.preferences.clear()
        self._replays.clear()

    # What the base asks

    def new_id(self) -> str:
        return str(next(self._ids))

    def by_data(self, transaction: Transaction[MercadoPagoMerchant]) -> Outcome | None:
        """The sandbox's names (3.6)."""
        first = str(transaction.details.get("holder", "")).split(" ")[0]
        return _HOLDERS[first][0] if first in _HOLDERS else Outcome.APPROVED

    def server_error(self, status: int, headers: dict[str, str] | None) -> web.Response:
        error, text = ("internal_error", "Internal error") if status == 500 else ("too_many_requests", "Too many calls")
        return answer({"message": text, "error": error, "status": status, "cause": []}, status, headers)

    def announce(self, transaction: Transaction[MercadoPagoMerchant], claims: State | None = None) -> None:
        super().announce(transaction, claims)
        scenario = self.plan(transaction.reference).scenario
        if scenario.unsigned_qr and transaction.state is not State.PENDING:
            self.send_qr_notice(transaction.id)

    def routes(self) -> Iterable[Route]:
        def route(method: str, path: str, step: str, call: Callable[[web.Request], Any]) -> Route:
            async def handle(request: web.Request) -> web.StreamResponse:
                try:
                    return await self._once(request, call) if method != "GET" else await call(request)
                except Refused as refused:
                    return refused.answer()

            return Route(method, path, step, handle)

        yield route("GET", "/users/me", "other", self._me)
        yield route("POST", "/checkout/preferences", "create", self._create_preference)
        yield route("GET", "/checkout/preferences/{preference}", "other", self._get_preference)
        yield route("GET", "/v1/payments/search", "find", self._search)
        yield route("GET", "/v1/payments/{id}", "fetch", self._get)
        yield route("PUT", "/v1/payments/{id}", "cancel", self._cancel)
        yield route("POST", "/v1/payments/{id}/refunds", "refund", self._refund)
        yield route("GET", "/v1/payments/{id}/refunds", "fetch", self._list_refunds)
        yield route("GET", "/v1/payments/{id}/refunds/{refund}", "fetch", self._get_refund)
        yield Route("GET", "/checkout/v1/redirect", "page", self._checkout)
        yield Route("POST", "/checkout/v1/pay", "page", self._checkout_pay)

    # Who calls, and once

    def _caller(self, request: web.Request) -> MercadoPagoMerchant:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        merchant = self.merchants.get(token)
        if scheme != "Bearer" or not merchant:
            raise Refused(
                401, "unauthorized", "invalid access token", [("401", "Unauthorized use of live credentials")]
            )
        return merchant

    async def _once(self, request: web.Request, call: Callable[[web.Request], Any]) -> web.StreamResponse:
        """A repeated write with the same `X-Idempotency-Key` gets the first answer again (3.1)."""
        key = request.headers.get("X-Idempotency-Key")
        if not key:
            return await call(request)
        name = (self._caller(request).key, request.method, request.path, key)
        sent = await request.read()
        if name in self._replays:
            first, kept = self._replays[name]
            if first != sent:
                raise Refused(409, "conflict", "X-Idempotency-Key was used with another request")
            return _copy(kept)
        made = await call(request)
        self._replays[name] = (sent, made)
        return _copy(made)

    async def _me(self, request: web.Request) -> web.Response:
        """`GET /users/me`: harmless, and tells whether a token works."""
        merchant = self._caller(request)
        return answer(
            {
                "id": merchant.user_id,
                "nickname": merchant.name.upper().replace(" ", ""),
                "email": "comercio@example.com",
                "site_id": "MCO",
                "country_id": "CO",
                "tags": ["normal"] if merchant.live else ["normal", "test_user"],
                "status": {"site_status": "active"},
            }
        )

    # What section 3.2 says of preferences

    async def _create_preference(self, request: web.Request) -> web.Response:
        merchant = self._caller(request)
        body = await _body(request)
        self._check_preference(body)
        user = merchant.user_id
        order = next(self._numbers) + 5_000_000_000
        preference = Preference(f"{user}-{uuid.uuid4()}", merchant, body, self.now(), order)
        self.preferences[preference.id] = preference
        return answer(self._shown_preference(preference), 201)

    async def _get_preference(self, request: web.Request) -> web.Response:
        merchant = self._caller(request)
        preference = self.preferences.get(request.match_info["preference"])
        if not preference or preference.merchant is not merchant:
            raise Refused(404, "not_found", "preference not found")
        return answer(self._shown_preference(preference))

    def _shown_preference(self, preference: Preference) -> dict[str, Any]:
        page = f"{self.base_url}/checkout/v1/redirect?pref_id={preference.id}"
        return {
            **preference.body,
            "id": preference.id,
            "client_id": str(preference.merchant.user_id),
            "collector_id": preference.merchant.user_id,
            "date_created": _zoned(preference.created_at),
            "init_point": page,
            "sandbox_init_point": page,
            "site_id": "MCO",
            "operation_type": "regular_payment",
        }

    def _check_preference(self, body: dict[str, Any]) -> None:
        """Refuse what the vendor would (3.2)."""
        items = body.get("items")
        if not isinstance(items, list) or not items:
            raise _bad("items needed", "invalid_items")
        for item in items:
            _check_item(item)
        reference = body.get("external_reference")
        if reference is not None and (not isinstance(reference, str) or len(reference) > 256):
            raise _bad("external_reference must be a string of up to 256 characters")
        _check_addresses(body)
        for name in ("expiration_date_from", "expiration_date_to"):
            if body.get(name) is not None and not _parse_time(body[name]):
                raise _bad(f"{name} invalid", "invalid_date")
        if reference and self.plan(reference).scenario.refuse_payer:
            raise _bad("payer.identification.number invalid", "invalid_payer")

    # What section 3.4 says of payments

    def _mine(self, request: web.Request) -> Transaction[MercadoPagoMerchant]:
        merchant = self._caller(request)
        transaction = self.transactions.get(request.match_info["id"])
        if not transaction or transaction.merchant is not merchant:
            raise Refused(404, "not_found", "Payment not found", [(2000, "Payment not found")])
        return transaction

    async def _get(self, request: web.Request) -> web.Response:
        transaction = self._mine(request)
        transaction.gets += 1
        return answer(self.shown(transaction))

    async def _search(self, request: web.Request) -> web.Response:
        """`GET /v1/payments/search`: `results` and `paging`."""
        merchant = self._caller(request)
        query = request.query
        found = [t for t in self.transactions.values() if t.merchant is merchant and self.searchable(t)]
        if "external_reference" in query:
            found = [t for t in found if t.reference == query["external_reference"]]
        if "range" in query:
            found = self._in_range(found, query)
        if "status" in query:
            found = [t for t in found if _STATUS[t.state][0] == query["status"]]
        found.sort(key=lambda t: (t.created_at, t.id), reverse=query.get("criteria", "desc") == "desc")
        limit, offset = _whole(query, "limit", 30, most=1000), _whole(query, "offset", 0, most=10_000)
        paging = {"total": len(found), "limit": limit, "offset": offset}
        return answer({"paging": paging, "results": [self.shown(t) for t in found[offset : offset + limit]]})

    def _in_range(
        self, found: list[Transaction[MercadoPagoMerchant]], query: Mapping[str, str]
    ) -> list[Transaction[MercadoPagoMerchant]]:
        moments: dict[str, Callable[[Transaction[MercadoPagoMerchant]], datetime | None]] = {
            "date_created": lambda t: t.created_at,
            "date_last_updated": lambda t: t.updated_at,
            "date_approved": lambda t: t.approved_at,
        }
        moment = moments.get(query["range"])
        since, until = self._moment(query.get("begin_date")), self._moment(query.get("end_date"))
        if not moment or not since or not until:
            raise _bad("range, begin_date and end_date go together")
        return [t for t in found if (at := moment(t)) and since <= at <= until]

    def _moment(self, text: str | None) -> datetime | None:
        """An ISO time, or `NOW`, or `NOW-3DAYS`."""
        if relative := re.fullmatch(r"NOW(?:-(\d{1,4})(HOURS?|DAYS?|MONTHS?))?", text or ""):
            hours = {"H": 1, "D": 24, "M": 720}[(relative[2] or "H")[0]]
            return self.now() - timedelta(hours=hours * int(relative[1] or 0))
        return _parse_time(text)

    async def _cancel(self, request: web.Request) -> web.Response:
        """`PUT /v1/payments/{id}`: only to cancel what is pending."""
        transaction = self._mine(request)
        body = await _body(request)
        if body.get("status") != "cancelled":
            raise _bad("the fake changes only the status, to cancelled")
        if transaction.state is not State.PENDING:
            raise _bad("The payment status does not allow this action", 2004)
        self.finish(transaction, State.CANCELLED)
        return answer(self.shown(transaction))

    # What section 3.4 says of refunds

    async def _refund(self, request: web.Request) -> web.Response:
        """`POST /v1/payments/{id}/refunds`: `{"amount": n}`, or nothing for the whole of what is left."""
        transaction = self._mine(request)
        body = await _body(request) if await request.read() else {}
        left = transaction.amount_minor - transaction.promised_minor
        asked = left if body.get("amount") is None else minor(body["amount"])
        if transaction.state is not State.APPROVED:
            raise _bad("The action requested is not valid for the current payment state", 2063)
        if asked is None or asked <= 0:
            raise _bad("Invalid amount", 4040)
        if asked > left:
            raise _bad("Amount exceeds the amount that can be refunded", 2018)
        made = self.refund(transaction, asked, "refund", answered=self.plan(transaction.reference).scenario.refund)
        return answer(_shown_refund(transaction, made), 201)

    async def _list_refunds(self, request: web.Request) -> web.Response:
        transaction = self._mine(request)
        return answer([_shown_refund(transaction, r) for r in transaction.refunds if r.kind == "refund"])

    async def _get_refund(self, request: web.Request) -> web.Response:
        transaction = self._mine(request)
        for refund in transaction.refunds:
            if str(refund.id) == request.match_info["refund"]:
                return answer(_shown_refund(transaction, refund))
        raise Refused(404, "not_found", "Refund not found")

    # The payment as others see it

    def shown(self, transaction: Transaction[MercadoPagoMerchant]) -> dict[str, Any]:
        """The payment object (3.4); amounts are JSON decimals."""
        status, detail = self._status(transaction)
        method, kind = _METHODS[transaction.method]
        details = transaction.details
        preference = self.preferences[details["preference"]]
        returned = sum(r.amount_minor for r in transaction.refunds if r.kind == "refund" and r.status == "approved")
        approved = transaction.approved_at
        return {
            "id": int(transaction.id),
            "date_created": _zoned(transaction.created_at),
            "date_approved": _zoned(approved) if approved else None,
            "date_last_updated": _zoned(transaction.updated_at),
            "money_release_date": _zoned(approved + timedelta(days=14)) if approved else None,
            "operation_type": "regular_payment",
            "payment_method_id": method,
            "payment_type_id": kind,
            "payment_method": {"id": method, "type": kind},
            "status": status,
            "status_detail": detail,
            "currency_id": transaction.currency,
            "description": preference.body["items"][0]["title"],
            "live_mode": transaction.live,
            "collector_id": transaction.merchant.user_id,
            "payer": details["payer"],
            "metadata": preference.body.get("metadata", {}),
            "external_reference": transaction.reference,
            "transaction_amount": decimal(transaction.amount_minor),
            "transaction_amount_refunded": decimal(returned),
            "transaction_details": {
                "net_received_amount": decimal(_net(transaction)),
                "total_paid_amount": decimal(transaction.amount_minor),
                "financial_institution": "1007" if method == "pse" else None,
                "payment_method_reference_id": f"39{transaction.id[-6:]}" if method == "pse" else None,
            },
            "refunds": [_shown_refund(transaction, r) for r in transaction.refunds if r.kind == "refund"],
            "order": {"id": str(preference.order_id), "type": "mercadopago"},
            "notification_url": preference.body.get("notification_url"),
            "captured": True,
            "installments": 1,
        }

    def _status(self, transaction: Transaction[MercadoPagoMerchant]) -> tuple[str, str]:
        status, detail = _STATUS[transaction.state]
        if transaction.state is State.APPROVED and transaction.refunded_minor:
            return status, "partially_refunded"
        if transaction.state is State.DECLINED and transaction.method == "pse":
            return status, "bank_error"
        if transaction.state is State.PENDING and transaction.method == "efecty":
            return status, "pending_waiting_payment"
        by_holder = _HOLDERS.get(str(transaction.details.get("holder", "")).split(" ")[0])
        if by_holder and transaction.state in (State.DECLINED, State.PENDING):
            return ("in_process" if transaction.state is State.PENDING else status), by_holder[1]
        return status, detail

    # What section 3.5 says of notices

    def compose(self, transaction: Transaction[MercadoPagoMerchant], claims: State) -> Compose:
        """A payment notice. The body stays for retries; each try is signed anew, at its own time."""
        scenario = self.plan(transaction.reference).scenario
        number, when = self._next_notice(), self.now()
        action = "payment.created" if claims is State.PENDING else "payment.updated"
        body = dumps(self._notice_body(transaction, number, when, action)).encode()
        without_id = number % NO_ID_EVERY == 0
        return lambda _: self._signed(transaction, body, scenario, without_id=without_id)

    def _next_notice(self) -> int:
        return next(self._notices_made) + 1

    def _notice_body(
        self, transaction: Transaction[MercadoPagoMerchant], number: int, when: datetime, action: str
    ) -> dict[str, Any]:
        return {
            "id": 110_000_000_000 + number,
            "live_mode": transaction.live,
            "type": "payment",
            "date_created": _zoned(when),
            "user_id": transaction.merchant.user_id,
            "api_version": "v1",
            "action": action,
            "data": {"id": transaction.id},
        }

    def _signed(
        self,
        transaction: Transaction[MercadoPagoMerchant],
        body: bytes,
        scenario: Scenario,
        *,
        without_id: bool,
    ) -> Signed:
        """Signed now. `ts` is in seconds and milliseconds by turns; some notices come without the id pair (3.7)."""
        at = self.now() - (timedelta(hours=1) if scenario.tamper is Tamper.TIMESTAMP else timedelta())
        milliseconds = int(at.timestamp() * 1000)
        ts = str(milliseconds if next(self._tries_made) % 2 else milliseconds // 1000)
        request_id, data_id = str(uuid.uuid4()), "" if without_id else transaction.id
        secret = "another-secret" if scenario.tamper is Tamper.KEY else transaction.merchant.secret
        v1 = sign(manifest(data_id, request_id, ts), secret)
        headers = {"Content-Type": "application/json", "x-request-id": request_id, "x-signature": f"ts={ts},v1={v1}"}
        if scenario.tamper in (Tamper.HEADER, Tamper.SIGNATURE):
            del headers["x-signature"]
        if scenario.tamper is Tamper.BYTE:
            data_id, headers["x-request-id"] = _one_byte_off(data_id, request_id)
        if scenario.tamper is Tamper.UNSIGNED_FIELD:
            other = f'"data":{{"id":"{_other_digit(transaction.id)}"}}'
            body = body.replace(f'"data":{{"id":"{transaction.id}"}}'.encode(), other.encode())
        query = {"data.id": data_id, "type": "payment"} if data_id else {"type": "payment"}
        return Signed(_with_query(self._notice_url(transaction), query), headers, body)

    def _notice_url(self, transaction: Transaction[MercadoPagoMerchant]) -> str:
        """The preference's own address, else the one of the panel."""
        preference = self.preferences.get(transaction.details["preference"])
        own = preference.body.get("notification_url") if preference else None
        return own or transaction.merchant.notice_url

    # The page at `init_point`

    async def _checkout(self, request: web.Request) -> web.Response:
        preference = self.preferences.get(request.query.get("pref_id", ""))
        if closed := self._closed(preference):
            return pages.page("Mercado Pago", closed[0], "", brand=BRAND, status=closed[1])
        assert preference
        to = _parse_time(preference.body.get("expiration_date_to"))
        rows = {
            "Vendedor": preference.merchant.name,
            "Concepto": preference.body["items"][0]["title"],
            "Referencia": preference.reference,
            "Vence": pages.moment(to) if to else "",
        }
        buttons = {
            "approve": "Pagar (aprobado)",
            "decline": "Pagar (rechazado)",
            "decline_then_approve": "Rechazado, y al reintentar aprobado",
            "pending": "Dejarlo pendiente",
        }
        methods = {"pse": "PSE", "visa": "Tarjeta", "efecty": "Efecty", "account_money": "Dinero en cuenta"}
        holder = '<label>Titular de la tarjeta<input name="holder" placeholder="APRO, OTHE, FUND..."></label>'
        body = pages.amount(preference.asked_minor, "COP") + pages.facts(rows)
        inside = pages.choice("method", "Medio de pago", methods) + holder
        form = pages.form("pay", {"pref_id": preference.id}, buttons, inside)
        return pages.page("Mercado Pago", "¿Cómo quieres pagar?", body + form, brand=BRAND)

    async def _checkout_pay(self, request: web.Request) -> web.StreamResponse:
        """What the payer pressed. The vendor lets a link be paid twice: that is for the merchant to see."""
        posted = {name: str(value) for name, value in (await request.post()).items()}
        preference = self.preferences.get(posted.get("pref_id", ""))
        if closed := self._closed(preference):
            return pages.page("Mercado Pago", closed[0], "", brand=BRAND, status=closed[1])
        choice, method = posted.get("choice", ""), posted.get("method", "pse")
        if choice not in _CHOICES or method not in _METHODS:
            return pages.page("Mercado Pago", "Elige una opción de la página", "", brand=BRAND, status=422)
        assert preference
        return self._back(preference, self._pay(preference, choice, method, posted.get("holder", "")))

    def _closed(self, preference: Preference | None) -> tuple[str, int] | None:
        """Why a link cannot be paid, and the page's status."""
        if not preference:
            return "Este link de pago no existe", 404
        if preference.body.get("expires"):
            since = _parse_time(preference.body.get("expiration_date_from"))
            until = _parse_time(preference.body.get("expiration_date_to"))
            if until and until <= self.now():
                return "Este link de pago ya venció", 410
            if since and since > self.now():
                return "Este link de pago todavía no se puede usar", 410
        return None

    def _pay(self, preference: Preference, choice: str, method: str, holder: str) -> Transaction[MercadoPagoMerchant]:
        """The payment with which the payer leaves the checkout."""
        scenario = self.plan(preference.reference).scenario
        details = {"preference": preference.id, "payer": _payer(preference.body.get("payer")), "holder": holder}
        made = self.add(preference.merchant, preference.reference, preference.asked_minor, method, details)
        follows = choice == "scenario"
        outcome = (scenario.outcome or self.by_data(made)) if follows else _CHOICES[choice]
        declines_first = choice == "decline_then_approve" or (follows and scenario.retry_by_payer)
        if declines_first and outcome in (Outcome.APPROVED, Outcome.PENDING_THEN_APPROVED):
            self.announce(made)
            self.finish(made, State.DECLINED)
            made = self.add(preference.merchant, preference.reference, preference.asked_minor, method, dict(details))
        self.play(made, outcome)
        return made

    def _back(self, preference: Preference, transaction: Transaction[MercadoPagoMerchant]) -> web.StreamResponse:
        """Send the payer to the back URL of how it stands, with the payment's id and status (3.2)."""
        status = _STATUS[transaction.state][0]
        kind = {"approved": "success", "pending": "pending"}.get(status, "failure")
        target = (preference.body.get("back_urls") or {}).get(kind)
        query = {
            "collection_id": transaction.id,
            "collection_status": status,
            "payment_id": transaction.id,
            "status": status,
            "external_reference": transaction.reference,
            "payment_type": _METHODS[transaction.method][1],
            "merchant_order_id": str(preference.order_id),
            "preference_id": preference.id,
            "site_id": "MCO",
            "processing_mode": "aggregator",
        }
        if target:
            return web.Response(status=303, headers={"Location": _with_query(target, query)})
        body = pages.amount(transaction.amount_minor, transaction.currency) + pages.facts({"Pago": transaction.id})
        return pages.page("Mercado Pago", f"Pago {status}", body, brand=BRAND)


# -- Checks and shapes -------------------------------------------------------------------------------------------------


async def _body(request: web.Request) -> dict[str, Any]:
    body = await read_object(request)
    if body is None:
        raise Refused(400, "bad_request", "The body is not a JSON object", [("invalid_json", "invalid JSON")])
    return body


def _check_item(item: object) -> None:
    if not isinstance(item, dict):
        raise _bad("items must be objects", "invalid_items")
    quantity, price = item.get("quantity"), minor(item.get("unit_price"))
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity <= 0:
        raise _bad("quantity must be a positive whole number", "invalid_items")
    if price is None or price <= 0:
        raise _bad("unit_price invalid", "invalid_items")
    if not isinstance(item.get("title"), str) or not item["title"]:
        raise _bad("title invalid", "invalid_items")
    if item.get("currency_id", "COP") != "COP":
        raise _bad("currency_id invalid", "invalid_items")


def _check_addresses(body: Mapping[str, Any]) -> None:
    back = body.get("back_urls") or {}
    if not isinstance(back, dict) or any(not _is_address(address) for address in back.values() if address):
        raise _bad("back_urls invalid. Wrong format", "invalid_back_urls")
    if body.get("auto_return") not in (None, "", "approved", "all"):
        raise _bad("auto_return invalid", "invalid_auto_return")
    if body.get("auto_return") and not back.get("success"):
        raise _bad("auto_return invalid. back_url.success must be defined", "invalid_auto_return")
    url = body.get("notification_url")
    if url and not _is_address(url, secure=True):
        raise _bad("notification_url attribute must be an https address", "invalid_notification_url")


def _is_address(value: object, *, secure: bool = False) -> bool:
    """Whether it is a web address; a secure one may be plain on this machine, where tests are."""
    if not isinstance(value, str):
        return False
    parts = urlsplit(value)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        return False
    return not secure or parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")


def _whole(query: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"\d{1,6}", text) or int(text) > most:
        raise _bad(f"{name} invalid")
    return int(text)


def _payer(payer: object) -> dict[str, Any]:
    given = payer if isinstance(payer, dict) else {}
    return {
        "id": "300000001",
        "email": given.get("email") or "pagador@example.com",
        "first_name": given.get("name"),
        "last_name": given.get("surname"),
        "identification": given.get("identification") or {"type": None, "number": None},
        "type": "guest",
    }


def _net(transaction: Transaction[MercadoPagoMerchant]) -> int:
    """What the seller gets: less than was paid, by a made-up fee of 3 percent, so that a test sees who books it."""
    fee = transaction.amount_minor * 3 // 10_000 * 100
    return max(0, transaction.amount_minor - fee) if transaction.approved_at else 0


def _shown_refund(transaction: Transaction[MercadoPagoMerchant], refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "payment_id": int(transaction.id),
        "amount": decimal(refund.amount_minor),
        "status": refund.status,
        "date_created": _zoned(refund.created_at),
        "source": {"id": str(transaction.merchant.user_id), "name": transaction.merchant.name, "type": "collector"},
    }


def _copy(response: web.StreamResponse) -> web.Response:
    """An aiohttp response is sent once: the same again."""
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return web.Response(body=response.body, status=response.status, content_type=response.content_type)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    """An address with more in its query; no address stays none."""
    if not url:
        return ""
    parts = urlsplit(url)
    merged = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *query.items()])
    return urlunsplit(parts._replace(query=merged))


def _other_digit(text: str) -> str:
    return text[:-1] + str((int(text[-1]) + 1) % 10)


def _one_byte_off(data_id: str, request_id: str) -> tuple[str, str]:
    """One byte of what is signed changed: of the id, or of the request's id where the first is missing."""
    if data_id:
        return _other_digit(data_id), request_id
    return data_id, ("0" if request_id[0] != "0" else "1") + request_id[1:]


def _parse_time(value: object) -> datetime | None:
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _zoned(moment: datetime) -> str:
    """A time as the vendor writes it: `2025-11-24T12:02:03.000-04:00`."""
    return moment.astimezone(VENDOR_ZONE).isoformat(timespec="milliseconds")
