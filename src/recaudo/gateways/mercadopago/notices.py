"""Notices of Mercado Pago: whether a signature is genuine, and which payment to ask about.

Gateways specification, section 3.5. A notice carries no state, and its signature covers neither its body nor who it is
for: it is a hint where to ask, and never more.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import msgspec

from recaudo.gateways.mercadopago.values import plain_id
from recaudo.gateways.vendor import read_json
from recaudo.usecases.ports import Claim, Notice, RawNotice

# How far a notice's time may be from ours, either way.
TOLERANCE: Final = timedelta(minutes=10)
FIELDS_MAX: Final = 50

_TOPIC: Final = re.compile(r"[a-z0-9_.-]{1,64}")
# The vendor's client calls `ts` milliseconds and treats it as seconds; both arrive.
_SECONDS, _MILLISECONDS = 10, 13
_TIME: Final = re.compile(rf"[0-9]{{{_SECONDS}}}|[0-9]{{{_MILLISECONDS}}}")
DEDUPE_CHARS_MAX: Final = 255
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


def read(raw: RawNotice, secret: str) -> Notice:
    """Check the signature and say which payment it is about. Raises nothing, whatever the bytes are (3.5)."""
    said = _said(raw)
    signature = raw.headers.get("x-signature")
    if signature is None:
        return _unsigned(said, raw.received_at)
    ts, v1 = _parts(signature)
    problem = _problem(said, ts, v1, secret, raw)
    if problem is not None:
        return Notice(verdict="invalid", reason=problem)
    # Only what is signed: with anything else a copy of a genuine notice could take the key of another.
    key = f"signed:{said.signed_id}:{raw.headers.get('x-request-id', '')}:{ts}"
    return Notice(verdict="valid", dedupe_key=key[:DEDUPE_CHARS_MAX], claims=said.claims)


class _NoticeSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice says. `signed_id` is the `data.id` of the query as received: what the signature is about."""

    signed_id: str
    data_id: str | None
    topic: str
    notice_id: str | None

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Only payments can be asked about; orders, merchant orders and claims announce their payments too."""
        is_payment = self.topic == "payment" and self.data_id is not None
        return (Claim(gateway_tx_id=self.data_id),) if is_payment else ()


def _said(raw: RawNotice) -> _NoticeSaid:
    query = _query(raw.query)
    body = _body(raw.body)
    data = body.get("data")
    inner: Any = cast("dict[str, Any]", data).get("id") if isinstance(data, dict) else None
    signed_id = query.get("data.id", "")
    # Older notices, and those of QR payments, name the payment by `id` in the query.
    named: object = signed_id or inner or query.get("id")
    return _NoticeSaid(
        signed_id=signed_id, data_id=plain_id(named), topic=_topic(query, body), notice_id=plain_id(body.get("id"))
    )


def _topic(query: Mapping[str, str], body: Mapping[str, Any]) -> str:
    action = body.get("action")
    of_action = action.partition(".")[0] if isinstance(action, str) else None
    for found in (body.get("type"), body.get("topic"), query.get("type"), query.get("topic"), of_action):
        if isinstance(found, str) and _TOPIC.fullmatch(found):
            return found
    return ""


def _query(text: str) -> Mapping[str, str]:
    """The first value of each field."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _body(content: bytes) -> Mapping[str, Any]:
    try:
        read = read_json(content)
    except ValueError:
        return {}
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {}


def _parts(signature: str) -> tuple[str, str]:
    """The `ts` and the `v1` of the header; empty where it has none."""
    found: dict[str, str] = {}
    for part in signature.split(","):
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), value.strip())
    return found.get("ts", ""), found.get("v1", "")


def _problem(said: _NoticeSaid, ts: str, v1: str, secret: str, raw: RawNotice) -> str | None:
    """Why the notice is not believed; None: it is genuine."""
    if not secret:
        return "there is no secret to check it with"
    if not _TIME.fullmatch(ts) or not _HEX.fullmatch(v1):
        return "x-signature cannot be read"
    request_id = raw.headers.get("x-request-id", "").strip()
    # The vendor's text asks for lower case, its client takes the id as received.
    ids = dict.fromkeys((said.signed_id, said.signed_id.lower()))
    # Every comparison is made, so that the time tells nothing.
    fits = [_is_genuine(_manifest(id_, request_id, ts), v1, secret) for id_ in ids]
    if not any(fits):
        return "wrong signature"
    return None if abs(raw.received_at - _time(ts)) <= TOLERANCE else "signed too long ago, or in the future"


def _manifest(data_id: str, request_id: str, ts: str) -> str:
    pairs = (("id", data_id), ("request-id", request_id), ("ts", ts))
    return "".join(f"{name}:{value};" for name, value in pairs if value)


def _is_genuine(manifest: str, v1: str, secret: str) -> bool:
    # Whoever sends it chooses the text, halves of surrogate pairs included, which have no plain UTF-8.
    expected = hmac.new(secret.encode("utf-8", "surrogatepass"), manifest.encode("utf-8", "surrogatepass"), sha256)
    return hmac.compare_digest(expected.hexdigest().encode(), v1.lower().encode())


def _time(ts: str) -> datetime:
    milliseconds = int(ts) if len(ts) == _MILLISECONDS else int(ts) * 1000
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _unsigned(said: _NoticeSaid, received_at: datetime) -> Notice:
    """A notice without a signature, as those of QR payments are: anybody may have sent it.

    Its key has a name of its own, so that nobody can take the key of a genuine notice that is still to come. One
    without an id is the same as its copies of the same minute only: the next of that payment may tell something new.
    """
    if not said.topic and said.data_id is None:
        return Notice(verdict="invalid", reason="neither signed nor about anything")
    minute = int(received_at.timestamp()) // 60
    key = said.notice_id or f"{said.topic}:{said.data_id or ''}:{minute}"
    return Notice(verdict="unsigned", reason="no x-signature", dedupe_key=f"unsigned:{key}", claims=said.claims)
