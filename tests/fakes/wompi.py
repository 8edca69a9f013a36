"""A fake Wompi (Colombia): its checkout, its API and its events. Section numbers are the gateways specification's.

Frozen on one version of the vendor's behaviour; LAST_CHECKED says when that was last compared with the specification.
"""

import base64
import binascii
import hashlib
import hmac
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import segno
from aiohttp import web

from tests.fakes import pages
from tests.fakes.base import Compose, Fake, Merchant, Route, Signed, State, Transaction, answer, dumps, read_object
from tests.fakes.scenario import Outcome, Scenario, Tamper

LAST_CHECKED: Final = date(2026, 11, 22)

ACCEPTANCE_LIFE: Final = timedelta(hours=1)  # "unstated length" (2.5)
RETRY_WINDOW: Final = timedelta(minutes=3)  # the checkout lets a payer try again (1.8)
PROPERTIES: Final = ("transaction.id", "transaction.status", "transaction.amount_in_cents")
BOGOTA: Final = timezone(timedelta(hours=-5))
BRAND: Final = "#2c2a6b"

BANKS: Final = {
    "0": "A continuación seleccione su banco",  # the placeholder that must never be sent (2.6)
    "1": "Banco que aprueba",
    "2": "Banco que declina",
    "3": "Banco que simula un error",
    "1007": "BANCOLOMBIA",
    "1051": "BANCO DAVIVIENDA",
    "1001": "BANCO DE BOGOTA",
    "1507": "NEQUI",
}
METHODS: Final = (
    "CARD",
    "NEQUI",
    "PSE",
    "BANCOLOMBIA_TRANSFER",
    "BANCOLOMBIA_QR",
    "BANCOLOMBIA_COLLECT",
    "DAVIPLATA",
    "PCOL",
)
LEGAL_ID_TYPES: Final = ("CC", "CE", "NIT", "PP", "TI", "DNI", "RG", "OTHER")

_STATUS: Final = {
    State.PENDING: "PENDING",
    State.APPROVED: "APPROVED",
    State.DECLINED: "DECLINED",
    State.ERROR: "ERROR",
    State.EXPIRED: "DECLINED",
    State.CANCELLED: "DECLINED",
    State.REFUNDED: "VOIDED",
    State.CHARGED_BACK: "VOIDED",
    State.IN_MEDIATION: "APPROVED",  # Wompi's API has no word for a dispute
}
_MESSAGES: Final = {
    State.DECLINED: "La transacción fue rechazada por la entidad financiera",
    State.ERROR: "Se presentó un error procesando la transacción",
    State.EXPIRED: "La transacción expiró",
}
_OUTCOMES: Final = {"APPROVED": Outcome.APPROVED, "DECLINED": Outcome.DECLINED, "ERROR": Outcome.ERROR}
_CARDS: Final = {"4242424242424242": Outcome.APPROVED, "4111111111111111": Outcome.DECLINED}
_NEQUI: Final = {"3991111111": Outcome.APPROVED, "3992222222": Outcome.DECLINED}
_SANDBOX_BANKS: Final = {"1": Outcome.APPROVED, "2": Outcome.DECLINED, "3": Outcome.ERROR}
_DAVIPLATA_CODES: Final = {
    "574829": Outcome.APPROVED,
    "932015": Outcome.DECLINED,
    "186743": Outcome.DECLINED,
    "999999": Outcome.ERROR,
}
_POINTS: Final = {"APPROVED_ONLY_POINTS": Outcome.APPROVED, "DECLINED": Outcome.DECLINED, "ERROR": Outcome.ERROR}


# -- Signatures --------------------------------------------------------------------------------------------------------


def integrity(reference: str, amount_in_cents: int | str, currency: str, secret: str, expiration: str = "") -> str:
    """The integrity signature (2.4): plain SHA-256, no separators."""
    return hashlib.sha256(f"{reference}{amount_in_cents}{currency}{expiration}{secret}".encode()).hexdigest()


def checksum(data: Mapping[str, Any], properties: Sequence[str], timestamp: int, secret: str) -> str:
    """An event's checksum (2.8): the values at the properties' paths, the time, the secret."""
    values = "".join(str(_at_path(data, path)) for path in properties)
    return hashlib.sha256(f"{values}{timestamp}{secret}".encode()).hexdigest()


def _at_path(data: Mapping[str, Any], path: str) -> Any:
    value: Any = data
    for name in path.split("."):
        value = value[name]
    return value


# -- Merchants ---------------------------------------------------------------------------------------------------------


@dataclass
class WompiMerchant(Merchant):
    """A merchant's account of one environment, with its four keys (2.1)."""

    name: str
    private_key: str
    events_secret: str
    integrity_secret: str

    @property
    def public_key(self) -> str:
        """Names the account."""
        return self.key

    @property
    def environment(self) -> str:
        """As events name it."""
        return _environment(self.live)

    def sign(self, reference: str, amount_in_cents: int, expiration: str = "", currency: str = "COP") -> str:
        """The integrity signature of a payment of this merchant."""
        return integrity(reference, amount_in_cents, currency, self.integrity_secret, expiration)


def _environment(live: bool) -> str:
    return "prod" if live else "test"


class Refused(Exception):
    """An answer that is no success."""

    def __init__(
        self, status: int, kind: str, *, reason: str = "", messages: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        super().__init__(kind)
        self.status, self.kind, self.reason, self.messages = status, kind, reason, messages

    def answer(self) -> web.Response:
        """The vendor's shape (2.12)."""
        error: dict[str, Any] = {"type": self.kind}
        if self.reason:
            error["reason"] = self.reason
        if self.messages:
            error["messages"] = {name: list(texts) for name, texts in self.messages.items()}
        return answer({"error": error}, self.status)


def _unauthorised() -> Refused:
    return Refused(401, "INVALID_ACCESS_TOKEN", reason="El token de acceso no es válido")


def _not_found() -> Refused:
    return Refused(404, "NOT_FOUND_ERROR", reason="La entidad solicitada no existe")


def _invalid(messages: Mapping[str, Sequence[str]]) -> Refused:
    return Refused(422, "INPUT_VALIDATION_ERROR", messages=messages)


class Wompi(Fake[WompiMerchant]):
    """The server. `base_url` is the sandbox's host, `production_url` production's; the checkout is that of both."""

    name = "wompi"
    reference_field = "reference"
    announces_creation = False
    partial_refunds = False
    retry_offsets = (timedelta(minutes=30), timedelta(hours=3), timedelta(hours=24))  # 2.8
    good_answers = frozenset({200})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ids = itertools.count(10_001)
        self._keys = itertools.count(1)
        self._events = itertools.count()
        self._tokens: dict[str, dict[str, Any]] = {}

    # For tests

    @property
    def sandbox_url(self) -> str:
        """The API of the test environment."""
        return f"{self.base_url}/v1"

    @property
    def production_url(self) -> str:
        """The API of the real one."""
        return f"{self.base_url}/production/v1"

    @property
    def checkout_url(self) -> str:
        """The web checkout, for both (2.1)."""
        return f"{self.base_url}/p/"

    def merchant(self, *, live: bool = False, notice_url: str = "", name: str = "Comercio de prueba") -> WompiMerchant:
        """A new merchant with keys of its own."""
        word, number = _environment(live), next(self._keys)
        return self.add_merchant(
            public_key=f"pub_{word}_{number:04d}FakeWompi",
            private_key=f"prv_{word}_{number:04d}FakeWompi",
            events_secret=f"{word}_events_{number:04d}FakeWompi",
            integrity_secret=f"{word}_integrity_{number:04d}FakeWompi",
            notice_url=notice_url,
            name=name,
        )

    def add_merchant(
        self,
        *,
        public_key: str,
        private_key: str,
        events_secret: str,
        integrity_secret: str,
        notice_url: str = "",
        name: str = "Comercio de prueba",
    ) -> WompiMerchant:
        """A merchant with these keys."""
        made = WompiMerchant(
            key=public_key,
            notice_url=notice_url,
            live=public_key.startswith("pub_prod_"),
            name=name,
            private_key=private_key,
            events_secret=events_secret,
            integrity_secret=integrity_secret,
        )
        self.merchants[public_key] = made
        return made

    def checkout_fields(
        self, merchant: WompiMerchant, reference: str, amount_in_cents: int, **more: str
    ) -> dict[str, str]:
        """The form of a merchant who does everything right (2.3); `more` with `_` for `-`, such as redirect_url."""
        extra = {name.replace("_", "-"): value for name, value in more.items()}
        return {
            "public-key": merchant.public_key,
            "currency": "COP",
            "amount-in-cents": str(amount_in_cents),
            "reference": reference,
            "signature:integrity": merchant.sign(reference, amount_in_cents, extra.get("expiration-time", "")),
            **extra,
        }

    def reset(self) -> None:
        super().reset()
        self._tokens.clear()

    # What the base asks

    def new_id(self) -> str:
        return f"11004-{int(self.now().timestamp())}-{next(self._ids)}"

    def by_data(self, transaction: Transaction[WompiMerchant]) -> Outcome | None:
        """The sandbox's table (2.11)."""
        method = transaction.details["payment_method"]
        match transaction.method:
            case "CARD":
                return _CARDS.get(self._tokens[method["token"]]["number"], Outcome.ERROR)
            case "NEQUI":
                return _NEQUI.get(method["phone_number"], Outcome.ERROR)
            case "PSE":
                return _SANDBOX_BANKS.get(method["financial_institution_code"])
            case "BANCOLOMBIA_QR":
                return _OUTCOMES.get(method.get("sandbox_status", ""))
            case "PCOL":
                return _POINTS.get(method.get("sandbox_status", ""), Outcome.ERROR)
            case _:
                return None

    def server_error(self, status: int, headers: dict[str, str] | None) -> web.Response:
        kind = "INTERNAL_SERVER_ERROR" if status == 500 else "TOO_MANY_REQUESTS"
        return answer({"error": {"type": kind}}, status, headers)

    def routes(self) -> Iterable[Route]:
        for prefix, live in (("/v1", False), ("/production/v1", True)):
            yield from self._api(prefix, live)
        yield Route("GET", "/p/", "page", self._checkout)
        yield Route("POST", "/p/pay", "page", self._checkout_pay)
        yield Route("GET", "/bank/{id}", "page", self._bank)
        yield Route("POST", "/bank/{id}", "page", self._bank_pay)
        yield Route("GET", "/terms/{kind}", "page", self._terms)

    def _api(self, prefix: str, live: bool) -> Iterable[Route]:
        def route(method: str, path: str, step: str, call: Callable[[web.Request, bool], Any]) -> Route:
            async def handle(request: web.Request) -> web.StreamResponse:
                try:
                    return await call(request, live)
                except Refused as refused:
                    return refused.answer()

            return Route(method, prefix + path, step, handle)

        yield route("GET", "/merchants/{key}", "other", self._get_merchant)
        yield route("POST", "/tokens/cards", "other", self._tokenise_card)
        yield route("GET", "/pse/financial_institutions", "other", self._get_banks)
        yield route("POST", "/transactions", "create", self._create)
        yield route("GET", "/transactions", "find", self._search)
        yield route("GET", "/transactions/{id}", "fetch", self._get)
        yield route("POST", "/transactions/{id}/void", "void", self._void)

    # Who calls

    def _caller(self, request: web.Request, live: bool, *, kinds: str = "public private") -> WompiMerchant:
        """Whose key it is; refuses keys of another kind or environment (2.1)."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        for merchant in self.merchants.values():
            kind = {merchant.public_key: "public", merchant.private_key: "private"}.get(key)
            if scheme == "Bearer" and kind and kind in kinds.split() and merchant.live is live:
                return merchant
        raise _unauthorised()

    # Merchants, tokens, banks

    async def _get_merchant(self, request: web.Request, live: bool) -> web.Response:
        """`GET /merchants/{public key}`, with the acceptance tokens (2.5)."""
        merchant = self.merchants.get(request.match_info["key"])
        if not merchant or merchant.live is not live:
            raise _not_found()
        return answer(
            {
                "data": {
                    "id": 11004,
                    "name": merchant.name,
                    "legal_name": merchant.name,
                    "legal_id": "900123456-8",
                    "legal_id_type": "NIT",
                    "contact_name": merchant.name,
                    "phone_number": "+573000000000",
                    "email": "comercio@example.com",
                    "active": True,
                    "logo_url": None,
                    "public_key": merchant.public_key,
                    "accepted_currencies": ["COP"],
                    "accepted_payment_methods": list(METHODS),
                    "payment_methods": [{"name": name, "payment_processors": [{"name": "FAKE"}]} for name in METHODS],
                    "presigned_acceptance": self._acceptance(merchant, "END_USER_POLICY"),
                    "presigned_personal_data_auth": self._acceptance(merchant, "PERSONAL_DATA_AUTH"),
                },
                "meta": {},
            }
        )

    def _acceptance(self, merchant: WompiMerchant, kind: str) -> dict[str, str]:
        permalink = f"{self.base_url}/terms/{kind}"
        expires = int((self.now() + ACCEPTANCE_LIFE).timestamp())
        claims = {"contract_id": 1, "permalink": permalink, "type": kind, "for": merchant.key, "exp": expires}
        head = _part({"alg": "HS256"}) + "." + _part(claims)
        return {"acceptance_token": f"{head}.{_jwt_signature(head)}", "permalink": permalink, "type": kind}

    def _accepted(self, merchant: WompiMerchant, token: object, kind: str) -> bool:
        """Whether it is a token that this fake gave out for this, and is not too old."""
        if not isinstance(token, str) or token.count(".") != 2:
            return False
        head, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), _jwt_signature(head).encode()):
            return False
        claims = json.loads(_unpart(head.split(".")[1]))
        fits = claims["type"] == kind and claims["for"] == merchant.key
        return fits and claims["exp"] > self.now().timestamp()

    async def _tokenise_card(self, request: web.Request, live: bool) -> web.Response:
        """`POST /tokens/cards`, public key only. The number stays here, for the sandbox's table."""
        self._caller(request, live, kinds="public")
        body = await _body(request)
        checks = {
            "number": r"\d{13,19}",
            "cvc": r"\d{3,4}",
            "exp_month": r"0[1-9]|1[0-2]",
            "exp_year": r"\d{2}",
            "card_holder": r".{5,}",
        }
        wrong = {n: ["Formato inválido"] for n, pattern in checks.items() if not _matches(pattern, body.get(n))}
        if not wrong and (body["exp_year"], body["exp_month"]) < (self.now().strftime("%y"), self.now().strftime("%m")):
            wrong = {"exp_year": ["La tarjeta está vencida"]}
        if wrong:
            raise _invalid(wrong)
        token = f"tok_{_environment(live)}_{next(self._keys):05d}_FakeWompi"
        self._tokens[token] = {**body, "live": live}
        number = body["number"]
        shown = {
            "id": token,
            "created_at": _zoned(self.now()),
            "brand": "VISA" if number.startswith("4") else "MASTERCARD",
            "name": f"{'VISA' if number.startswith('4') else 'MASTERCARD'}-{number[-4:]}",
            "last_four": number[-4:],
            "bin": number[:6],
            "exp_year": body["exp_year"],
            "exp_month": body["exp_month"],
            "card_holder": body["card_holder"],
            "expires_at": _zoned(self.now() + timedelta(days=180)),
        }
        return answer({"status": "CREATED", "data": shown}, 201)

    async def _get_banks(self, request: web.Request, live: bool) -> web.Response:
        """The PSE banks, with the row that is no bank (2.6)."""
        self._caller(request, live)
        rows = [] if self.default().no_banks else BANKS.items()
        listed = [{"financial_institution_code": c, "financial_institution_name": n} for c, n in rows]
        return answer({"data": listed, "meta": {}})

    # Creating

    async def _create(self, request: web.Request, live: bool) -> web.Response:
        """`POST /transactions` (2.5): everything is checked, the answer is 201 PENDING."""
        merchant = self._caller(request, live)
        body = await _body(request)
        if body.get("payment_source_id") is not None:
            self._caller(request, live, kinds="private")
            raise _invalid({"payment_source_id": ["La fuente de pago no existe"]})  # the fake stores no methods
        wrong = self._mistakes(merchant, body)
        if wrong:
            raise _invalid(wrong)
        method = body["payment_method"]
        transaction = self.add(
            merchant,
            body["reference"],
            body["amount_in_cents"],
            method["type"],
            {
                "payment_method": method,
                "customer_email": body["customer_email"],
                "customer_data": body.get("customer_data"),
                "redirect_url": body.get("redirect_url"),
                "taxes": body.get("taxes", []),
            },
        )
        self.play(transaction)
        return answer({"data": self.shown(transaction), "meta": {}}, 201)

    def _mistakes(self, merchant: WompiMerchant, body: dict[str, Any]) -> dict[str, list[str]]:
        """What the vendor refuses in a new transaction, by field."""
        wrong: dict[str, list[str]] = {}
        if not self._accepted(merchant, body.get("acceptance_token"), "END_USER_POLICY"):
            wrong["acceptance_token"] = ["El token de aceptación no es válido o ya venció"]
        if not self._accepted(merchant, body.get("accept_personal_auth"), "PERSONAL_DATA_AUTH"):
            wrong["accept_personal_auth"] = ["El token de autorización de datos no es válido o ya venció"]
        amount, reference, currency = body.get("amount_in_cents"), body.get("reference"), body.get("currency")
        if not isinstance(amount, int) or isinstance(amount, bool) or amount <= 0:
            wrong["amount_in_cents"] = ["Debe ser un entero mayor que cero"]
        if currency != "COP":
            wrong["currency"] = ["Solo se admite COP"]
        if not _matches(r"[^@\s]+@[^@\s]+\.[^@\s]+", body.get("customer_email")):
            wrong["customer_email"] = ["Formato inválido"]
        wrong |= self._wrong_reference(merchant, reference)
        wrong |= self._wrong_expiration(body.get("expiration_time"))
        expected = merchant.sign(str(reference), amount or 0, body.get("expiration_time") or "", str(currency))
        if not _same(body.get("signature"), expected):
            wrong["signature"] = ["La firma es inválida"]
        if isinstance(reference, str) and self.plan(reference).scenario.refuse_payer:
            wrong["customer_data"] = ["Los datos del pagador fueron rechazados"]
        wrong |= _wrong_method(body, live=merchant.live, tokens=self._tokens)
        return wrong

    def _wrong_reference(self, merchant: WompiMerchant, reference: object) -> dict[str, list[str]]:
        if not isinstance(reference, str) or not 0 < len(reference) <= 255:
            return {"reference": ["Debe ser un texto de hasta 255 caracteres"]}
        if self._tried(merchant, reference):
            return {"reference": ["La referencia ya ha sido usada"]}
        return {}

    def _tried(self, merchant: WompiMerchant, reference: str) -> list[Transaction[WompiMerchant]]:
        """What a merchant tried with a reference: it is unique for each of them."""
        return [t for t in self.by_reference.get(reference, []) if t.merchant is merchant]

    def _wrong_expiration(self, expiration: object) -> dict[str, list[str]]:
        if expiration is None:
            return {}
        moment = _parse_time(expiration)
        if not moment:
            return {"expiration_time": ["Debe ser una fecha ISO 8601 en UTC"]}
        return {} if moment > self.now() else {"expiration_time": ["La fecha de expiración ya pasó"]}

    # Reading

    async def _get(self, request: web.Request, live: bool) -> web.Response:
        """`GET /transactions/{id}`: with a key of the merchant, or none at all (2.1)."""
        caller = self._caller(request, live) if "Authorization" in request.headers else None
        transaction = self.transactions.get(request.match_info["id"])
        if not transaction or transaction.merchant.live is not live or caller not in (None, transaction.merchant):
            raise _not_found()
        transaction.gets += 1
        return answer({"data": self.shown(transaction), "meta": {}})

    async def _search(self, request: web.Request, live: bool) -> web.Response:
        """`GET /transactions`, private key: a reference is enough, else dates and page are required (2.7)."""
        merchant = self._caller(request, live, kinds="private")
        query = request.query
        found = [t for t in self.transactions.values() if t.merchant is merchant and self.searchable(t)]
        if "reference" in query:
            found = [t for t in found if t.reference == query["reference"]]
            page, size = 1, len(found)
        else:
            since, until, page, size = _period(query)
            found = [t for t in found if since <= t.created_at < until]
        shown = [self.shown(t) for t in sorted(found, key=lambda t: (t.created_at, t.id))]
        for name in ("id", "payment_method_type", "status", "customer_email"):
            if name in query:
                shown = [s for s in shown if s[name] == query[name]]
        if query.get("order", "DESC").upper() == "DESC":
            shown.reverse()
        window = shown[(page - 1) * size : page * size]
        return answer({"data": window, "meta": {"page": page, "page_size": size, "total_results": len(shown)}})

    async def _void(self, request: web.Request, live: bool) -> web.Response:
        """`POST /transactions/{id}/void` (2.9): a card's approved payment, whole, on its own day."""
        merchant = self._caller(request, live, kinds="private")
        transaction = self.transactions.get(request.match_info["id"])
        if not transaction or transaction.merchant is not merchant:
            raise _not_found()
        body = await read_object(request) or {}
        if transaction.method != "CARD" or transaction.state is not State.APPROVED:
            raise _invalid({"transaction": ["Solo se anulan transacciones aprobadas con tarjeta"]})
        if body.get("amount_in_cents", transaction.amount_minor) != transaction.amount_minor:
            raise _invalid({"amount_in_cents": ["Solo se anula el valor completo"]})
        assert transaction.approved_at
        if transaction.approved_at.astimezone(BOGOTA).date() != self.now().astimezone(BOGOTA).date():
            raise _invalid({"transaction": ["La transacción ya fue liquidada"]})
        self.refund(transaction, transaction.amount_minor, "void")
        return answer({"data": {"status": "APPROVED", "transaction": self.shown(transaction)}, "meta": {}}, 201)

    # The transaction as others see it

    def shown(self, transaction: Transaction[WompiMerchant]) -> dict[str, Any]:
        """The transaction object (2.7)."""
        details = transaction.details
        return {
            "id": transaction.id,
            "created_at": _zoned(transaction.created_at),
            "finalized_at": _zoned(transaction.finalized_at) if transaction.finalized_at else None,
            "amount_in_cents": transaction.amount_minor,
            "reference": transaction.reference,
            "customer_email": details["customer_email"],
            "currency": transaction.currency,
            "payment_method_type": transaction.method,
            "payment_method": {**details["payment_method"], "extra": self._extra(transaction)},
            "status": _STATUS[transaction.state],
            "status_message": _MESSAGES.get(transaction.state),
            "redirect_url": details["redirect_url"],
            "payment_source_id": None,
            "payment_link_id": None,
            "shipping_address": None,
            "customer_data": details["customer_data"],
            "taxes": details["taxes"],
            "bill_id": None,
            "merchant": {
                "id": 11004,
                "name": transaction.merchant.name,
                "legal_name": transaction.merchant.name,
                "email": "comercio@example.com",
                "public_key": transaction.merchant.public_key,
            },
        }

    def _extra(self, transaction: Transaction[WompiMerchant]) -> dict[str, Any]:
        """What a method adds; some of it only once somebody polls (2.6)."""
        number = transaction.id.rpartition("-")[2]
        polled = transaction.gets >= 2
        bank = f"{self.base_url}/bank/{transaction.id}"
        match transaction.method:
            case "CARD":
                card = self._tokens.get(transaction.details["payment_method"].get("token", ""), {})
                last = card.get("number", "4242424242424242")
                return {"bin": last[:6], "last_four": last[-4:], "brand": "VISA", "name": f"VISA-{last[-4:]}"}
            case "NEQUI":
                return {"transaction_id": f"350-{number}", "external_identifier": f"16{number}"}
            case "PSE":
                extra = {"ticket_id": f"7001{number}", "traceability_code": f"39{number}", "return_code": "SUCCESS"}
                return {**extra, "async_payment_url": bank} if polled else {}
            case "BANCOLOMBIA_TRANSFER":
                return {"async_payment_url": bank, "external_identifier": f"ex{number}"} if polled else {}
            case "BANCOLOMBIA_QR":
                return {"qr_id": f"qr{number}", "qr_image": _qr(bank)} if polled else {}
            case "BANCOLOMBIA_COLLECT":
                return {"business_agreement_code": "90001", "payment_intention_identifier": number} if polled else {}
            case "DAVIPLATA":
                return {"url": bank} if polled else {}
            case _:
                return {}

    # Events

    def compose(self, transaction: Transaction[WompiMerchant], claims: State) -> Compose:
        """`transaction.updated` (2.8). Retries send the same bytes."""
        number = next(self._events)
        scenario = self.plan(transaction.reference).scenario
        signed = self._event(transaction, claims, number, scenario)
        return lambda _: signed

    def _event(self, transaction: Transaction[WompiMerchant], claims: State, number: int, scenario: Scenario) -> Signed:
        merchant = transaction.merchant
        sent = self.now() - (timedelta(days=365) if scenario.tamper is Tamper.TIMESTAMP else timedelta())
        timestamp = int(sent.timestamp())
        data = {"transaction": self._in_event(transaction, claims)}
        properties = list(PROPERTIES) if number % 10 != 9 else [*reversed(PROPERTIES)]  # one of ten (2.13)
        secret = "another_events_secret" if scenario.tamper is Tamper.KEY else merchant.events_secret
        signature = checksum(data, properties, timestamp, secret)
        signature = signature.upper() if number % 2 == 0 else signature
        event: dict[str, Any] = {
            "event": "transaction.updated",
            "data": data,
            "environment": _environment(transaction.live),
            "signature": {"properties": properties, "checksum": signature},
            "timestamp": timestamp,
            "sent_at": _zoned(sent),
        }
        headers = {"Content-Type": "application/json", "X-Event-Checksum": signature}
        if scenario.tamper in (Tamper.HEADER, Tamper.SIGNATURE):
            del headers["X-Event-Checksum"]
        if scenario.tamper is Tamper.SIGNATURE:
            del event["signature"]
        if scenario.tamper is Tamper.BYTE:
            data["transaction"]["amount_in_cents"] = _other_digit(data["transaction"]["amount_in_cents"])
        if scenario.tamper is Tamper.UNSIGNED_FIELD:
            data["transaction"]["reference"] = f"{transaction.reference[:-1]}z"
        return Signed(merchant.notice_url, headers, dumps(event).encode())

    def _in_event(self, transaction: Transaction[WompiMerchant], claims: State) -> dict[str, Any]:
        names = (
            "id amount_in_cents reference customer_email currency payment_method_type redirect_url status "
            "shipping_address payment_link_id payment_source_id"
        )
        shown = {**self.shown(transaction), "status": _STATUS[claims]}
        return {name: shown[name] for name in names.split()}

    # The web checkout (2.3)

    async def _checkout(self, request: web.Request) -> web.Response:
        """The form's page: what is asked, and what the payer may do."""
        fields = dict(request.query)
        wrong, status = self._wrong_form(fields)
        if wrong:
            return pages.page("Wompi", "No podemos abrir este pago", pages.errors(wrong), brand=BRAND, status=status)
        merchant = self.merchants[fields["public-key"]]
        expires = _parse_time(fields.get("expiration-time"))
        rows = {
            "Comercio": merchant.name,
            "Referencia": fields["reference"],
            "Vence": pages.moment(expires) if expires else "",
        }
        methods = {"PSE": "PSE", "NEQUI": "Nequi", "CARD": "Tarjeta", "BANCOLOMBIA_TRANSFER": "Botón Bancolombia"}
        buttons = {
            "approve": "Pagar (aprobado)",
            "decline": "Pagar (rechazado)",
            "decline_then_approve": "Rechazado, y al reintentar aprobado",
            "pending": "Dejarlo pendiente",
        }
        body = pages.amount(int(fields["amount-in-cents"]), fields["currency"]) + pages.facts(rows)
        form = pages.form("pay", fields, buttons, pages.choice("method", "Medio de pago", methods))
        return pages.page("Wompi", "Completa tu pago", body + form, brand=BRAND)

    async def _checkout_pay(self, request: web.Request) -> web.StreamResponse:
        """What the payer pressed."""
        posted = {name: str(value) for name, value in (await request.post()).items()}
        choice, method = posted.pop("choice", ""), posted.pop("method", "PSE")
        wrong, status = self._wrong_form(posted)
        if not wrong and (choice not in _CHOICES or method not in METHODS):
            wrong, status = ["Elige una opción de la página"], 422
        if wrong:
            return pages.page("Wompi", "No podemos recibir este pago", pages.errors(wrong), brand=BRAND, status=status)
        last = self._pay(posted, choice, method)
        return self._back(last)

    def _pay(self, fields: dict[str, str], choice: str, method: str) -> Transaction[WompiMerchant]:
        """The transaction with which the payer leaves the checkout."""
        merchant = self.merchants[fields["public-key"]]
        scenario = self.plan(fields["reference"]).scenario
        made = self.add(
            merchant,
            fields["reference"],
            int(fields["amount-in-cents"]),
            method,
            {
                "payment_method": {"type": method},
                "customer_email": fields.get("customer-data:email") or "pagador@example.com",
                "customer_data": _customer(fields),
                "redirect_url": fields.get("redirect-url"),
                "taxes": [],
            },
        )
        follows = choice == "scenario"
        outcome = (scenario.outcome or Outcome.APPROVED) if follows else _CHOICES[choice]
        declines_first = choice == "decline_then_approve" or (follows and scenario.retry_by_payer)
        if declines_first and outcome in (Outcome.APPROVED, Outcome.PENDING_THEN_APPROVED):
            self.finish(made, State.DECLINED)
            made = self.again(made)
        self.play(made, outcome)
        return made

    def _wrong_form(self, fields: Mapping[str, str]) -> tuple[list[str], int]:
        """What is wrong with the form, and the page's status."""
        required = ("public-key", "currency", "amount-in-cents", "reference", "signature:integrity")
        missing = [f"Falta {name}" for name in required if not fields.get(name)]
        if missing:
            return missing, 422
        merchant = self.merchants.get(fields["public-key"])
        if not merchant:
            return ["public-key: la llave no existe"], 422
        wrong = [text for check, text in _form_checks(fields) if not check]
        expiration = fields.get("expiration-time", "")
        expected = integrity(
            fields["reference"], fields["amount-in-cents"], fields["currency"], merchant.integrity_secret, expiration
        )
        if not _same(fields["signature:integrity"], expected):
            wrong.append("signature:integrity: la firma es inválida")
        if self.plan(fields["reference"]).scenario.refuse_payer:
            wrong.append("customer-data: los datos del pagador fueron rechazados")
        if wrong:
            return wrong, 422
        moment = _parse_time(expiration)
        if moment and moment <= self.now():
            return ["El tiempo para pagar terminó"], 410
        return (
            (["reference: la referencia ya ha sido usada"], 422)
            if self._used(merchant, fields["reference"])
            else ([], 200)
        )

    def _used(self, merchant: WompiMerchant, reference: str) -> bool:
        """Whether the checkout refuses a reference: it was tried, and not only declined within three minutes (1.8)."""
        earlier = self._tried(merchant, reference)
        again = (State.DECLINED, State.ERROR)
        return any(t.state not in again or t.updated_at + RETRY_WINDOW < self.now() for t in earlier)

    def _back(self, transaction: Transaction[WompiMerchant]) -> web.StreamResponse:
        """Send the payer back to the merchant, with `id` and in the sandbox `env` (2.3)."""
        target = transaction.details["redirect_url"]
        if not target:
            return self._result(transaction)
        parts = urlsplit(target)
        added = [("id", transaction.id), *([] if transaction.live else [("env", "test")])]
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added])
        return web.Response(status=303, headers={"Location": urlunsplit(parts._replace(query=query))})

    def _result(self, transaction: Transaction[WompiMerchant]) -> web.Response:
        words = {"PENDING": "Pago en proceso", "APPROVED": "Pago aprobado", "VOIDED": "Pago anulado"}
        title = words.get(_STATUS[transaction.state], "Pago rechazado")
        rows = {"Transacción": transaction.id, "Referencia": transaction.reference}
        body = pages.amount(transaction.amount_minor, transaction.currency) + pages.facts(rows)
        return pages.page("Wompi", title, body, brand=BRAND)

    # The bank (PSE, transfer, QR, Daviplata)

    async def _bank(self, request: web.Request) -> web.StreamResponse:
        """The page at `async_payment_url`, where the payer of a redirect method decides."""
        transaction = self.transactions.get(request.match_info["id"])
        if not transaction:
            return pages.page("Banco", "Este pago no existe", "", status=404)
        if transaction.state is not State.PENDING or transaction.concluded:
            waits = transaction.state is State.PENDING
            text = "El banco está terminando este pago." if waits else "Este pago ya terminó."
            body = pages.note(text) + pages.link(self._return_link(transaction), "Volver al comercio")
            return pages.page("Banco", "Pago en línea", body, brand="#0b5d3b")
        method = transaction.details["payment_method"]
        rows = {
            "Banco": BANKS.get(method.get("financial_institution_code", ""), transaction.method),
            "Documento": f"{method.get('user_legal_id_type', '')} {method.get('user_legal_id', '')}".strip(),
            "Comercio": transaction.merchant.name,
            "Concepto": method.get("payment_description", ""),
            "Referencia": transaction.reference,
        }
        body = pages.amount(transaction.amount_minor, transaction.currency) + pages.facts(rows)
        if transaction.method == "DAVIPLATA":
            code = '<label>Código de un solo uso<input name="code" inputmode="numeric" autocomplete="off"></label>'
            return pages.page(
                "Daviplata", "Confirma tu pago", body + pages.form(transaction.id, {}, {"code": "Confirmar"}, code)
            )
        buttons = {
            "approve": "Autorizar el pago",
            "decline": "Rechazar el pago",
            "decline_then_approve": "Rechazado, y al reintentar aprobado",
            "pending": "Salir sin decidir",
        }
        return pages.page("Banco", "Pago en línea", body + pages.form(transaction.id, {}, buttons), brand="#0b5d3b")

    async def _bank_pay(self, request: web.Request) -> web.StreamResponse:
        """What the payer pressed at the bank."""
        transaction = self.transactions.get(request.match_info["id"])
        posted = {name: str(value) for name, value in (await request.post()).items()}
        choice = posted.get("choice", "")
        if not transaction or choice not in {*_CHOICES, "code"}:
            return pages.page("Banco", "Elige una opción de la página", "", status=422)
        scenario = self.plan(transaction.reference).scenario
        if choice == "code":
            outcome = _DAVIPLATA_CODES.get(posted.get("code", ""), Outcome.ERROR)
        elif choice == "scenario":
            outcome = scenario.outcome or Outcome.APPROVED
        else:
            outcome = _CHOICES[choice]
        if choice == "decline_then_approve":
            self.finish(transaction, State.DECLINED)
            transaction = self.again(transaction)
        self.conclude(transaction, outcome, retry=choice == "scenario")
        return self._back(transaction)

    def _return_link(self, transaction: Transaction[WompiMerchant]) -> str:
        back = self._back(transaction)
        return back.headers.get("Location", "#")

    async def _terms(self, request: web.Request) -> web.Response:
        """The documents that the payer accepts (2.5)."""
        text = "Estos términos son de un simulador: no obligan a nadie."
        return pages.page("Wompi", request.match_info["kind"], pages.note(text), brand=BRAND)


# -- Checks ------------------------------------------------------------------------------------------------------------

_CHOICES: Final = {
    "approve": Outcome.APPROVED,
    "decline": Outcome.DECLINED,
    "decline_then_approve": Outcome.APPROVED,
    "pending": Outcome.PENDING,
    "error": Outcome.ERROR,
    "scenario": None,
}


async def _body(request: web.Request) -> dict[str, Any]:
    body = await read_object(request)
    if body is None:
        raise _invalid({"body": ["Debe ser un objeto JSON"]})
    return body


def _form_checks(fields: Mapping[str, str]) -> list[tuple[bool, str]]:
    """The checkout form's fields (2.3): whether each is right, and what to say if it is not."""
    expiration, back = fields.get("expiration-time"), fields.get("redirect-url")
    phone, legal_id = fields.get("customer-data:phone-number"), fields.get("customer-data:legal-id")
    legal_type = fields.get("customer-data:legal-id-type")
    return [
        (_matches(r"[1-9][0-9]{0,14}", fields["amount-in-cents"]), "amount-in-cents: solo dígitos"),
        (fields["currency"] == "COP", "currency: solo se admite COP"),
        (len(fields["reference"]) <= 255, "reference: hasta 255 caracteres"),
        (expiration is None or _parse_time(expiration) is not None, "expiration-time: fecha ISO 8601 en UTC"),
        (back is None or _matches(r"https?://[^\s]+", back), "redirect-url: debe ser una dirección web"),
        (not phone or bool(fields.get("customer-data:phone-number-prefix")), "phone-number: falta el prefijo"),
        (not legal_id or bool(legal_type), "legal-id: falta el tipo"),
        (not legal_type or legal_type in LEGAL_ID_TYPES, f"legal-id-type: uno de {', '.join(LEGAL_ID_TYPES)}"),
    ]


def _customer(fields: Mapping[str, str]) -> dict[str, str]:
    """The payer's data of a form, as the transaction shows them."""
    names = {"full-name": "full_name", "phone-number": "phone_number", "legal-id": "legal_id"}
    names["legal-id-type"] = "legal_id_type"
    return {to: fields[f"customer-data:{name}"] for name, to in names.items() if fields.get(f"customer-data:{name}")}


def _wrong_method(
    body: Mapping[str, Any], *, live: bool, tokens: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    """What is wrong with `payment_method` (2.6)."""
    method = body.get("payment_method")
    if not isinstance(method, dict) or method.get("type") not in METHODS:
        return {"payment_method": ["El medio de pago no es válido"]}
    wrong = [name for name, check in _METHOD_FIELDS[method["type"]].items() if not check(method.get(name))]
    if method["type"] == "CARD" and not wrong and tokens.get(method["token"], {}).get("live") is not live:
        wrong = ["token"]
    if live and "sandbox_status" in method:
        wrong.append("sandbox_status")
    found = {f"payment_method.{name}": ["Formato inválido"] for name in wrong}
    if method["type"] == "PSE":
        customer = body.get("customer_data")
        customer = customer if isinstance(customer, dict) else {}
        for name in ("full_name", "phone_number"):
            if not _matches(r".+", customer.get(name)):
                found[f"customer_data.{name}"] = ["No puede estar vacío"]
    return found


Check = Callable[[Any], bool]


def _text(limit: int, forbidden: str = "") -> Check:
    return lambda value: isinstance(value, str) and 0 < len(value) <= limit and not set(forbidden) & set(value)


def _one_of(*allowed: object) -> Check:
    return lambda value: any(value == each and type(value) is type(each) for each in allowed)


def _pattern(pattern: str) -> Check:
    return lambda value: _matches(pattern, value)


_METHOD_FIELDS: Final[dict[str, dict[str, Check]]] = {
    "CARD": {"token": _text(200), "installments": _one_of(*range(1, 37))},
    "NEQUI": {"phone_number": _pattern(r"\d{10}")},
    "PSE": {
        "user_type": _one_of(0, 1),
        "user_legal_id_type": _one_of("CC", "NIT"),
        "user_legal_id": _pattern(r"[0-9A-Za-z-]{3,20}"),
        "financial_institution_code": _one_of(*(code for code in BANKS if code != "0")),
        "payment_description": _text(30),  # one page says 30, another 64: the stricter
    },
    "BANCOLOMBIA_TRANSFER": {"payment_description": _text(64, "'")},
    "BANCOLOMBIA_QR": {
        "payment_description": _text(64),
        "sandbox_status": _one_of(None, "APPROVED", "DECLINED", "ERROR"),
    },
    "BANCOLOMBIA_COLLECT": {},
    "DAVIPLATA": {
        "user_legal_id_type": _one_of(*LEGAL_ID_TYPES),
        "user_legal_id": _pattern(r"[0-9A-Za-z-]{3,20}"),
        "payment_description": _text(30),
    },
    "PCOL": {"sandbox_status": _one_of(None, *_POINTS)},
}


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), expected.encode())


def _period(query: Mapping[str, str]) -> tuple[datetime, datetime, int, int]:
    """The dates and the page of a search without a reference, all required (2.7). The last day is part of it."""
    wrong: dict[str, list[str]] = {}
    dates: dict[str, datetime] = {}
    for name in ("from_date", "until_date"):
        moment = _parse_time(query.get(name)) or _parse_day(query.get(name))
        if moment:
            dates[name] = moment
        else:
            wrong[name] = ["Es requerido"]
    for name in ("page", "page_size"):
        if not _matches(r"[1-9][0-9]{0,4}", query.get(name)):
            wrong[name] = ["Es requerido"]
    if wrong:
        raise _invalid(wrong)
    last = timedelta(days=1) if _parse_day(query["until_date"]) else timedelta()
    return dates["from_date"], dates["until_date"] + last, int(query["page"]), min(int(query["page_size"]), 200)


def _parse_day(value: str | None) -> datetime | None:
    if not _matches(r"\d{4}-\d\d-\d\d", value):
        return None
    assert value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _parse_time(value: object) -> datetime | None:
    """An ISO 8601 time in UTC."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _zoned(moment: datetime) -> str:
    """A time as the vendor writes it: UTC with milliseconds (2.2)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _other_digit(amount: int) -> int:
    """The same amount with one byte changed, and as long."""
    last = amount % 10
    return amount - last + (last + 1) % 10


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(dumps(value).encode()).decode().rstrip("=")


def _unpart(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b"{}"


def _jwt_signature(head: str) -> str:
    digest = hmac.new(b"fake-wompi-acceptance", head.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _qr(url: str) -> str:
    """`extra.qr_image`: an SVG in base64 (2.6), that leads to the bank's page."""
    return base64.b64encode(segno.make(url).svg_inline(scale=4).encode()).decode()
