"""Bodies about attempts as commands. What is said of a payer is not repeated, and a card's number is not even read."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec

from recaudo.dialects.recaudo.errors import InvalidFieldsError, InvalidQueryError
from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.domain.payers import Detail
from recaudo.edge import cards, contacts, payers
from recaudo.edge.addresses import UrlPolicy
from recaudo.usecases import asking
from recaudo.usecases.asking import Known
from recaudo.usecases.gateways import Offer
from recaudo.usecases.ports import Asked, ByToken

WORD_CHARS_MAX: Final = 50
URL_CHARS_MAX: Final = 500
TOKEN_CHARS_MAX: Final = 150

START_MEMBERS: Final = ("method", "gateway", "amount_minor", "payer", "return_url", "accepted_terms", "again")
CARD_TOKEN: Final = "card_token"  # noqa: S105 - the name of a member
INSTALLMENTS: Final = "installments"
IP: Final = "ip"

CARD_NUMBER: Final = (
    "Holds what looks like a card number. Card numbers must not be sent here: make a token of the card on the payer's "
    "page, with the vendor's script, and send that."
)
TERMS: Final = "Must be true: the payer accepts the documents that the list of methods leads to."
_REQUIRED: Final = "Is required."
_MINOR: Final = "Must be a whole number of minor units (cents) above 0."
_WHAT: Final[Mapping[Detail, str]] = {
    "person_type": "Must be natural or legal.",
    "bank": "Must be the code of one of the banks that the list of methods tells.",
    "document_type": "Must be a type of document that the list of methods tells.",
    "document_number": "Must be the number of a document of that type.",
    "name": "Must be the name of who pays, of 2 to 100 characters.",
    "email": "Must be an e-mail address.",
    "phone": "Must be a Colombian telephone number of ten digits; for Nequi a mobile.",
}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that a request asks for, as far as it can be read before the method is known."""

    method: str
    gateway: str | None
    amount_minor: int | None
    payer: Mapping[str, Any]
    return_url: str | None
    accepted_terms: bool
    again: bool

    def __repr__(self) -> str:
        """Without what a payer said."""
        return f"Wanted({self.method!r})"


def refuse_card_numbers(body: Mapping[str, Any], once_key: str) -> None:
    """Raise InvalidFieldsError if one stands anywhere in a request, before anything of it is kept."""
    if cards.holds_number(once_key, grouped=False):
        raise InvalidFieldsError({"Idempotency-Key": CARD_NUMBER})
    found = cards.find_number(body)
    if found is None:
        return
    payer = body.get("payer") if found == "payer" else None
    inner = cards.find_number(cast("dict[str, Any]", payer)) if isinstance(payer, dict) else None
    # Only names that are known are repeated.
    known = (*asking.members(tuple(asking.FIELDS)), CARD_TOKEN, INSTALLMENTS, IP)
    path = f"payer.{inner}" if inner in known else found if found in START_MEMBERS else "body"
    raise InvalidFieldsError({path: CARD_NUMBER})


def parse_start(body: Mapping[str, Any], policy: UrlPolicy, *, is_test: bool) -> Wanted:
    """What POST /collections/{id}/attempts asks for. Raises InvalidFieldsError with everything that is wrong."""
    problems = _strangers(body, START_MEMBERS)
    for name in ("method", "gateway"):
        if (name in body or name == "method") and not _is_word(body.get(name)):
            problems[name] = _REQUIRED if name not in body else f"Must be text of 1 to {WORD_CHARS_MAX} characters."
    amount_minor = body.get("amount_minor")
    if amount_minor is not None and not is_minor(amount_minor):
        problems["amount_minor"] = _MINOR
    payer = body.get("payer", {})
    if not isinstance(payer, dict):
        problems["payer"] = "Must be an object."
    return_url = body.get("return_url")
    if return_url is not None and not _is_return_url(return_url, policy, is_test=is_test):
        problems["return_url"] = f"Must be an https:// address of at most {URL_CHARS_MAX} characters."
    for name in ("accepted_terms", "again"):
        if not isinstance(body.get(name, False), bool):
            problems[name] = "Must be true or false."
    if problems:
        raise InvalidFieldsError(problems)
    return Wanted(
        method=body["method"],
        gateway=body.get("gateway"),
        amount_minor=amount_minor,
        payer=cast("dict[str, Any]", payer),
        return_url=return_url,
        accepted_terms=body.get("accepted_terms", False),
        again=body.get("again", False),
    )


def asks_of(wanted: Wanted, offer: Offer) -> Sequence[Asked]:
    """What must be told for this: a card by token asks for other things than one on the gateway's page."""
    by_token = offer.method.by_token
    return by_token.asks if by_token is not None and CARD_TOKEN in wanted.payer else offer.method.asks


def read_payer(wanted: Wanted, offer: Offer, known: Known, *, is_test: bool) -> dict[str, str]:
    """What is handed to the gateway. Raises InvalidFieldsError with everything that is missing or wrong."""
    asks, said = asks_of(wanted, offer), wanted.payer
    names = asking.members(asks)
    by_token = offer.method.by_token if CARD_TOKEN in said else None
    can_say = (*names, *((CARD_TOKEN, INSTALLMENTS) if offer.method.by_token else ()), IP)
    problems = _strangers(said, can_say, path="payer.")
    rules = payers.Rules(
        banks=frozenset(bank.code for bank in known.banks),
        document_types=asking.document_types(offer),
        is_mobile=asking.is_mobile(offer),
        is_test=is_test,
    )
    typed: dict[Detail, str] = {name: said[name] for name in names if isinstance(said.get(name), str)}
    given = payers.read(names, typed, rules)
    for name in given.errors:
        problems[f"payer.{name}"] = _WHAT[name] if name in said else f"{_REQUIRED} {_WHAT[name]}"
    payer: dict[str, str] = {**given.values, **_extras(said, by_token, problems, is_test=is_test)}
    if "terms" in asks:
        if not wanted.accepted_terms:
            problems["accepted_terms"] = TERMS
        payer["terms_accepted"] = "1"
    if problems:
        raise InvalidFieldsError(problems)
    return payer


def is_minor(value: object) -> bool:
    """Whether this is an amount above nothing, in minor units."""
    return type(value) is int and 0 < value <= AMOUNT_MINOR_MAX


def read_amount(values: Mapping[str, str]) -> int | None:
    """The amount that a query names. Raises InvalidQueryError."""
    text = values.get("amount_minor")
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(AMOUNT_MINOR_MAX))
    if not is_number or not is_minor(int(text)):
        raise InvalidQueryError("amount_minor", _MINOR)
    return int(text)


def begins(by_token: ByToken, *, is_test: bool) -> str:
    """How a token of the account's environment begins."""
    return by_token.test_begins if is_test else by_token.live_begins


def _extras(
    said: Mapping[str, Any], by_token: ByToken | None, problems: dict[str, str], *, is_test: bool
) -> dict[str, str]:
    """The members that no page of ours asks for."""
    found: dict[str, str] = {}
    if by_token is not None:
        beginning = begins(by_token, is_test=is_test)
        if _is_token(said[CARD_TOKEN], beginning):
            found[CARD_TOKEN] = said[CARD_TOKEN]
        else:
            kind = "test" if is_test else "live"
            problems[f"payer.{CARD_TOKEN}"] = f"Must be a token of the vendor's: of a {kind} account's, {beginning}..."
        times = said.get(INSTALLMENTS, 1)
        if type(times) is int and 1 <= times <= by_token.installments_max:
            found[INSTALLMENTS] = str(times)
        else:
            problems[f"payer.{INSTALLMENTS}"] = f"Must be a whole number from 1 to {by_token.installments_max}."
    elif INSTALLMENTS in said:
        problems.setdefault(f"payer.{INSTALLMENTS}", f"Goes with {CARD_TOKEN} only.")
    if IP in said:
        try:
            found[IP] = str(ipaddress.ip_address(str(said[IP])))
        except ValueError:
            problems[f"payer.{IP}"] = "Must be an IP address."
    return found


def _strangers(body: Mapping[str, Any], known: Sequence[str], *, path: str = "") -> dict[str, str]:
    """Members that nobody knows: one that is misspelt must not be ignored where it decides about money."""
    message = f"There is no such member; use {', '.join(known)}."
    return {f"{path}{name[:60]}": message for name in body if name not in known}


def _is_word(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= WORD_CHARS_MAX and value.isprintable()


def _is_token(value: object, beginning: str) -> bool:
    rest = value.removeprefix(beginning) if isinstance(value, str) and value.startswith(beginning) else ""
    is_plain = rest.isascii() and rest.replace("_", "").replace("-", "").isalnum()
    return is_plain and len(rest) <= TOKEN_CHARS_MAX


def _is_return_url(value: object, policy: UrlPolicy, *, is_test: bool) -> bool:
    """Https; and where the operator allows http to endpoints, http to the developer's own machine."""
    if not isinstance(value, str) or len(value) > URL_CHARS_MAX or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not contacts.is_url(value) or parts.username is not None or not policy.allows_scheme(value, is_test=is_test):
        return False
    return parts.scheme == "https" or host in _LOOPBACK
