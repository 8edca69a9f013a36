"""Notices of Mercado Pago: the vectors of the gateways specification, section 3.5, and whatever else arrives."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from recaudo.gateways.mercadopago import MercadoPago
from recaudo.gateways.mercadopago.values import plain_id
from recaudo.usecases.ports import Claim, Configured, Notice, RawNotice

SECRET = "example-mp-secret"
REQUEST_ID = "2066ca19-c6f1-498a-be75-1923005edd06"
AT = datetime(2025, 11, 24, 16, 2, 3, tzinfo=UTC)  # 1764000123
TS = "1764000123"
BODY = {
    "id": 12345,
    "live_mode": True,
    "type": "payment",
    "date_created": "2025-11-24T12:02:03.000-04:00",
    "user_id": 44444,
    "api_version": "v1",
    "action": "payment.updated",
    "data": {"id": "123456789"},
}
WITH_ID = "bc1c6e043f91a759d374dd75512c7839d9222f364f3e9638cbd9e2bd9634aced"
WITHOUT_ID = "85a949c2db9a99370725185b4868e567a0f207281e28e675aae09fa15ae059b8"
LOWER = "0d6a127a7fac1b09b1f996a29d022d02574f740c90902814a389decc0e9c7050"
UPPER = "6a2a6aa550aeaf5de7bd3abfebaf0b93d036fb4eb31d123d3f690a51b8ae2807"


def configured(secret: str = SECRET, *, is_test: bool = False) -> Configured:
    credentials = {"access_token": "APP_USR-0123456789", "webhook_secret": secret}
    return Configured(
        account_id=UUID(int=1), id=UUID(int=2), kind="mercadopago", is_test=is_test, credentials=credentials
    )


def sign(manifest: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), manifest.encode(), hashlib.sha256).hexdigest()


def raw(
    signature: str | None,
    *,
    data_id: str | None = "123456789",
    body: Any = BODY,
    request_id: str | None = REQUEST_ID,
    at: datetime = AT,
    query: str | None = None,
) -> RawNotice:
    headers = {"content-type": "application/json"}
    if signature is not None:
        headers["x-signature"] = signature
    if request_id is not None:
        headers["x-request-id"] = request_id
    named = {"data.id": data_id, "type": "payment"} if data_id is not None else {"type": "payment"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawNotice(query=urlencode(named) if query is None else query, headers=headers, body=content, received_at=at)


def read(notice: RawNotice, secret: str = SECRET) -> Notice:
    return MercadoPago().read_notice(notice, configured(secret))


# The vectors of the specification


@pytest.mark.parametrize(
    ("ts", "v1", "data_id"),
    [
        (TS, WITH_ID, "123456789"),
        (TS, WITHOUT_ID, None),
        (TS, WITHOUT_ID, ""),
        ("1764000123456", LOWER, "ord01jq4s4ky8hwq6na5pxb65b3d3"),
        ("1764000123456", LOWER, "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3"),  # lower-cased before it is signed
        ("1764000123456", UPPER, "ORD01JQ4S4KY8HWQ6NA5PXB65B3D3"),  # signed as received
    ],
)
def test_a_vector_of_the_specification_is_genuine(ts, v1, data_id):
    assert read(raw(f"ts={ts},v1={v1}", data_id=data_id)).verdict == "valid"


@pytest.mark.parametrize(
    ("ts", "v1", "data_id"),
    [
        (TS, WITHOUT_ID, "123456789"),
        (TS, WITH_ID, None),
        (TS, WITH_ID, "123456788"),
        (TS, WITH_ID[:-1] + "e", "123456789"),
        ("1764000124", WITH_ID, "123456789"),
        ("1764000123456", UPPER, "ord01jq4s4ky8hwq6na5pxb65b3d3"),  # never upper-cased
    ],
)
def test_one_thing_that_differs_makes_it_invalid(ts, v1, data_id):
    notice = read(raw(f"ts={ts},v1={v1}", data_id=data_id))
    assert notice == Notice(verdict="invalid", reason="wrong signature")


def test_a_missing_request_id_is_left_out_of_what_is_signed():
    v1 = sign(f"id:123456789;ts:{TS};")
    assert read(raw(f"ts={TS},v1={v1}", request_id=None)).verdict == "valid"
    assert read(raw(f"ts={TS},v1={v1}", request_id="")).verdict == "valid"
    assert read(raw(f"ts={TS},v1={v1}")).verdict == "invalid"


def test_another_secret_or_none_is_not_believed():
    assert read(raw(f"ts={TS},v1={WITH_ID}"), secret="another").verdict == "invalid"
    assert read(raw(f"ts={TS},v1={sign(f'id:123456789;request-id:{REQUEST_ID};ts:{TS};', '')}"), secret="").reason


# The header


@pytest.mark.parametrize(
    "signature",
    [
        f"ts={TS},v1={WITH_ID}",
        f"v1={WITH_ID},ts={TS}",
        f"  ts = {TS} , v1 = {WITH_ID} ",
        f"ts={TS},v1={WITH_ID.upper()}",
        f"TS={TS},V1={WITH_ID}",
        f"v0=abc,ts={TS},,v1={WITH_ID},x",
    ],
)
def test_the_header_is_read_in_any_order_and_spacing(signature):
    assert read(raw(signature)).verdict == "valid"


@pytest.mark.parametrize(
    "signature",
    [
        "",
        ",",
        "ts=,v1=",
        f"ts={TS}",
        f"v1={WITH_ID}",
        f"ts={TS},v1=",
        f"ts={TS},v1={WITH_ID[:-1]}",
        f"ts={TS},v1={WITH_ID}00",
        f"ts=-{TS},v1={WITH_ID}",
        f"ts=17640001234,v1={WITH_ID}",  # eleven digits are neither
        f"ts=١٧٦٤٠٠٠١٢٣,v1={WITH_ID}",  # digits, but not of ASCII
        f"ts={TS},v1={'é' * 64}",
        f"ts={TS},v1={'g' * 64}",
        f"ts=0{TS},v1={WITH_ID}",
        f"ts={TS} v1={WITH_ID}",
    ],
)
def test_a_header_that_cannot_be_read_is_invalid(signature):
    notice = read(raw(signature))
    assert notice.verdict == "invalid"
    assert notice.reason == "x-signature cannot be read"
    assert notice.dedupe_key is None
    assert notice.claims == ()


# Its age


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0, "valid"), (600, "valid"), (-600, "valid"), (601, "invalid"), (-601, "invalid")]
)
@pytest.mark.parametrize("unit", [1, 1000])
def test_ten_minutes_either_way(seconds, verdict, unit):
    ts = str(1764000123 * unit)
    v1 = sign(f"id:123456789;request-id:{REQUEST_ID};ts:{ts};")
    notice = read(raw(f"ts={ts},v1={v1}", at=AT + timedelta(seconds=seconds)))
    assert notice.verdict == verdict
    assert (notice.reason is None) is (verdict == "valid")


# What it is about


KEY = f"signed:123456789:{REQUEST_ID}:{TS}"


def test_a_genuine_notice_says_where_to_ask():
    notice = read(raw(f"ts={TS},v1={WITH_ID}"))
    assert notice == Notice(verdict="valid", dedupe_key=KEY, claims=(Claim(gateway_tx_id="123456789"),))


def test_the_query_counts_and_not_the_body_which_nobody_signed():
    body = {**BODY, "data": {"id": "999"}, "live_mode": False}
    assert read(raw(f"ts={TS},v1={WITH_ID}", body=body)).claims == (Claim(gateway_tx_id="123456789"),)


def test_without_a_query_the_body_is_hint_enough():
    assert read(raw(f"ts={TS},v1={WITHOUT_ID}", data_id=None)).claims == (Claim(gateway_tx_id="123456789"),)
    number = {**BODY, "data": {"id": 123456789}}
    assert read(raw(f"ts={TS},v1={WITHOUT_ID}", data_id=None, body=number)).claims[0].gateway_tx_id == "123456789"


@pytest.mark.parametrize("data_id", ["../users/me", "1/refunds", "1?x=1", "1#", "", "x" * 65, "1 2", "é", "1\n"])
def test_an_id_that_would_change_an_address_is_no_claim(data_id):
    v1 = sign("".join(f"{n}:{v};" for n, v in (("id", data_id), ("request-id", REQUEST_ID), ("ts", TS)) if v))
    notice = read(raw(f"ts={TS},v1={v1}", data_id=data_id, body={"type": "payment", "data": {"id": data_id}}))
    assert notice.verdict == "valid"
    assert notice.claims == ()


@pytest.mark.parametrize(
    "topic", ["order", "topic_merchant_order_wh", "merchant_order", "topic_chargebacks_wh", "plan"]
)
def test_another_topic_is_genuine_and_claims_nothing(topic):
    query = urlencode({"data.id": "123456789", "type": topic})
    notice = read(raw(f"ts={TS},v1={WITH_ID}", body={**BODY, "type": topic, "action": f"{topic}.updated"}, query=query))
    assert notice.verdict == "valid"
    assert notice.dedupe_key == KEY
    assert notice.claims == ()


def test_the_key_of_a_notice_is_what_is_signed_whatever_its_body_says():
    """With an id of the body, a copy of one genuine notice could take the key of another."""
    for body in ({**BODY, "id": 777}, {k: v for k, v in BODY.items() if k != "id"}, b"<html>"):
        assert read(raw(f"ts={TS},v1={WITH_ID}", body=body)).dedupe_key == KEY


# Unsigned


def test_an_unsigned_notice_is_a_hint_and_cannot_take_the_key_of_a_genuine_one():
    notice = read(raw(None))
    assert notice.verdict == "unsigned"
    assert notice.claims == (Claim(gateway_tx_id="123456789"),)
    assert notice.dedupe_key == "unsigned:12345"
    assert notice.dedupe_key != read(raw(f"ts={TS},v1={WITH_ID}")).dedupe_key


def test_an_older_notice_without_an_id_is_the_same_for_its_copies_and_new_a_minute_later():
    def old(at: datetime) -> Notice:
        return read(raw(None, query="topic=payment&id=123456789", body=b"", at=at))

    assert old(AT).claims == (Claim(gateway_tx_id="123456789"),)
    assert old(AT).dedupe_key == old(AT + timedelta(seconds=5)).dedupe_key
    assert old(AT).dedupe_key != old(AT + timedelta(minutes=1)).dedupe_key


def test_nothing_at_all_is_no_notice():
    assert read(raw(None, query="", body=b"{}")).verdict == "invalid"


# Whatever the bytes are


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"payment"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id":' + b"9" * 6000 + b"}",
        b'{"id":1e999999999,"data":{"id":1e999999999}}',
        b'{"id":true,"type":{},"topic":[],"action":1,"data":[1]}',
        b'{"data":{"id":{"$ne":1}},"type":"payment"}',
    ],
)
def test_a_body_that_says_nothing_does_not_change_the_verdict(body):
    assert read(raw(f"ts={TS},v1={WITH_ID}", body=body)).verdict == "valid"


TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)  # halves of surrogate pairs as well
QUERIES = TEXTS | st.builds(lambda v: f"data.id={v}&type=payment", TEXTS) | st.just("&" * 200) | st.just("%ff=%zz")
SIGNATURES = TEXTS | st.builds(lambda ts, v1: f"ts={ts},v1={v1}", TEXTS | st.just(TS), TEXTS | st.just(WITH_ID))
BODIES = st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(["id", "type", "topic", "action", "data"]), inner, max_size=4),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


@given(query=QUERIES, signature=st.none() | SIGNATURES, request_id=TEXTS, body=BODIES, secret=st.just(SECRET) | TEXTS)
def test_reading_raises_nothing_and_believes_nobody(query, signature, request_id, body, secret):
    headers = {"x-request-id": request_id} | ({} if signature is None else {"x-signature": signature})
    notice = read(RawNotice(query=query, headers=headers, body=body, received_at=AT), secret)
    assert notice.verdict == "invalid" if signature is not None else notice.verdict in {"unsigned", "invalid"}
    assert (notice.dedupe_key is None) is (notice.verdict == "invalid")
    assert len(notice.dedupe_key or "") <= 255
    assert all(plain_id(c.gateway_tx_id) for c in notice.claims)


@given(data_id=TEXTS, request_id=st.from_regex(r"[!-~]{0,40}", fullmatch=True), body=BODIES)
def test_whatever_is_well_signed_is_believed(data_id, request_id, body):
    query = urlencode({"data.id": data_id}, errors="surrogatepass")
    seen = data_id.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    manifest = "".join(f"{n}:{v};" for n, v in (("id", seen), ("request-id", request_id), ("ts", TS)) if v)
    headers = {"x-request-id": request_id, "x-signature": f"ts={TS},v1={sign(manifest)}"}
    assert read(RawNotice(query=query, headers=headers, body=body, received_at=AT)).verdict == "valid"
