"""Bodies about gateways, refunds and money in suspense as commands. No message repeats what a credential is."""

from collections.abc import Mapping
from typing import Any, Final, cast
from uuid import UUID

from recaudo.dialects.recaudo.errors import InvalidError
from recaudo.dialects.recaudo.parse import read_flag, read_text
from recaudo.domain.model import RefundWay
from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.domain.refunding import RefundAnswer, Refunded, RefundRefused
from recaudo.store.gateways import MethodChoice
from recaudo.usecases.gateways import NewGateway
from recaudo.usecases.ports import Gateway
from recaudo.usecases.refunds import RefundCommand

KIND_CHARS_MAX = 50
CREDENTIAL_CHARS_MAX = 1000
METHODS_MAX = 50
METHOD_CHARS_MAX = 50
POSITION_MAX = 1000
REASON_CHARS_MAX = 255
EVIDENCE_CHARS_MAX = 500
RESOLUTION_CHARS_MAX = 500

# What a person may find out of a refund.
SETTLED: Final[Mapping[str, RefundAnswer]] = {
    "succeeded": Refunded(),
    "failed": RefundRefused(code="settled_by_hand"),
}

_METHOD_MEMBERS = ("id", "min_amount_minor", "max_amount_minor")
_GATEWAY_MEMBERS = ("credentials", "position", "enabled", "methods")
_REFUND_MEMBERS = ("amount_minor", "reason", "way", "evidence")
_SETTLE_MEMBERS = ("state", "evidence")
_WAYS = [way.value for way in RefundWay]


# --- Gateways ---


def parse_new_gateway(body: Mapping[str, Any], gateways: Mapping[str, Gateway]) -> NewGateway:
    """The gateway that POST /gateways asks for. Raises InvalidError."""
    _check_members(body, ("kind", *_GATEWAY_MEMBERS))
    kind = read_text(body, "kind", KIND_CHARS_MAX)
    # A kind that nobody knows is told by the use case, with those that there are.
    known = [c.name for c in gateways[kind].abilities.credentials] if kind in gateways else None
    return NewGateway(
        kind=kind,
        credentials=_credentials(body.get("credentials"), known),
        position=_whole(body, "position", 0, POSITION_MAX, default=0),
        enabled=read_flag(body, "enabled", default=True),
        methods=_methods(body.get("methods")),
    )


def parse_changed_gateway(body: Mapping[str, Any], gateway: Gateway | None) -> dict[str, Any]:
    """What PATCH /gateways/{id} changes. Raises InvalidError."""
    if "kind" in body:
        raise InvalidError("kind", "Cannot be changed: add another gateway.")
    _check_members(body, _GATEWAY_MEMBERS)
    values: dict[str, Any] = {}
    if "credentials" in body:
        known = None if gateway is None else [c.name for c in gateway.abilities.credentials]
        values["credentials"] = _credentials(body["credentials"], known)
    if "position" in body:
        values["position"] = _whole(body, "position", 0, POSITION_MAX, default=0)
    if "enabled" in body:
        values["enabled"] = read_flag(body, "enabled")
    if "methods" in body:
        values["methods"] = _methods(body["methods"])
    return values


def _credentials(value: object, known: list[str] | None) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidError("credentials", "Must be an object of texts, by the names that GET /gateways/kinds tells.")
    if known is None:
        return {}
    found: dict[str, str] = {}
    for name, text in cast("dict[str, object]", value).items():
        if name not in known:
            # The name is not repeated: who mixes names and values up would read a secret in the answer.
            raise InvalidError("credentials", f"Has a name that is none of these: {', '.join(known)}.")
        if not isinstance(text, str) or len(text) > CREDENTIAL_CHARS_MAX or not text.strip().isprintable():
            raise InvalidError(f"credentials.{name}", f"Must be text of at most {CREDENTIAL_CHARS_MAX} characters.")
        # What is copied out of a panel often brings a line break along.
        found[name] = text.strip()
    return found


def _methods(value: object) -> tuple[MethodChoice, ...] | None:
    if value is None:
        return None
    items = cast("list[object]", value) if isinstance(value, list) else []
    if not 1 <= len(items) <= METHODS_MAX:
        raise InvalidError("methods", f"Must be a list of 1 to {METHODS_MAX} methods, or null for all.")
    chosen = [_method(item, f"methods[{number}]") for number, item in enumerate(items)]
    if len({choice.id for choice in chosen}) < len(chosen):
        raise InvalidError("methods", "Names a method twice.")
    return tuple(chosen)


def _method(value: object, path: str) -> MethodChoice:
    if not isinstance(value, dict):
        raise InvalidError(path, "Must be an object with id.")
    item = cast("dict[str, Any]", value)
    _check_members(item, _METHOD_MEMBERS, path=f"{path}.")
    low, high = (_minor(item, name, path=f"{path}.") for name in _METHOD_MEMBERS[1:])
    if low is not None and high is not None and low > high:
        raise InvalidError(f"{path}.max_amount_minor", "Must not be below min_amount_minor.")
    return MethodChoice(id=read_text(item, "id", METHOD_CHARS_MAX, path=f"{path}."), min_minor=low, max_minor=high)


# --- Refunds ---


def parse_refund(body: Mapping[str, Any], receipt_id: UUID) -> RefundCommand:
    """What POST /receipts/{id}/refund asks for. Raises InvalidError."""
    _check_members(body, _REFUND_MEMBERS)
    word = body.get("way", RefundWay.GATEWAY.value)
    if word not in _WAYS:
        raise InvalidError("way", f"Must be one of {', '.join(_WAYS)}.")
    way = RefundWay(word)
    is_done = way is not RefundWay.GATEWAY
    if body.get("evidence") is not None and not is_done:
        raise InvalidError("evidence", "Belongs to money that you gave back yourself: say by which way.")
    return RefundCommand(
        receipt_id=receipt_id,
        amount_minor=_minor(body, "amount_minor"),
        reason=read_text(body, "reason", REASON_CHARS_MAX),
        way=way,
        evidence=read_text(body, "evidence", EVIDENCE_CHARS_MAX) if is_done else None,
    )


def parse_settlement(body: Mapping[str, Any]) -> tuple[RefundAnswer, str]:
    """What a person found out of a refund, and what proves it. Raises InvalidError."""
    _check_members(body, _SETTLE_MEMBERS)
    word = body.get("state")
    if not isinstance(word, str) or word not in SETTLED:
        raise InvalidError("state", f"Must be one of {', '.join(SETTLED)}.")
    evidence = read_text(body, "evidence", EVIDENCE_CHARS_MAX)
    return SETTLED[word], evidence


# --- Suspense and comparisons ---


def parse_resolution(body: Mapping[str, Any]) -> str:
    """What became of a transaction in suspense. Raises InvalidError."""
    _check_members(body, ("resolution",))
    return read_text(body, "resolution", RESOLUTION_CHARS_MAX)


# --- Members ---


def _check_members(body: Mapping[str, Any], known: tuple[str, ...], *, path: str = "") -> None:
    """A misspelt member must not be ignored where it decides about money."""
    for name in body:
        if name not in known:
            raise InvalidError(f"{path}{name[:60]}", f"There is no such member; use {', '.join(known)}.")


def _minor(body: Mapping[str, Any], name: str, *, path: str = "") -> int | None:
    value = body.get(name)
    if value is not None and (type(value) is not int or not 0 < value <= AMOUNT_MINOR_MAX):
        raise InvalidError(f"{path}{name}", "Must be a whole number of minor units (cents) above 0.")
    return value


def _whole(body: Mapping[str, Any], name: str, low: int, high: int, *, default: int) -> int:
    value = body.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise InvalidError(name, f"Must be a whole number from {low} to {high}.")
    return value
