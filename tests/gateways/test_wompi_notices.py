"""Wompi's events: every vector of the gateways specification (2.8), and whatever else may arrive."""

import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, strategies as st

from recaudo.gateways.wompi import Wompi
from recaudo.usecases.ports import Claim, Configured, Notice, RawNotice
from tests.fakes.conftest import START

SECRET = "test_events_EXAMPLE"
APPROVED = "3F768EEEFF28F05197ECC6357CE565946D1051C53D1A55E8C2DE3C95D49CBD4F"
BODY = (
    '{"event":"transaction.updated","data":{"transaction":{"id":"11004-1764000000-10001","amount_in_cents":2490000,'
    '"reference":"rc0001x","customer_email":"ana@example.com","currency":"COP","payment_method_type":"PSE",'
    '"redirect_url":null,"status":"APPROVED","shipping_address":null,"payment_link_id":null,"payment_source_id":null}},'
    '"environment":"test","signature":{"properties":["transaction.id","transaction.status",'
    f'"transaction.amount_in_cents"],"checksum":"{APPROVED}"}},"timestamp":1764000123,'
    '"sent_at":"2025-11-24T16:02:03.000Z"}'
)
WOMPI = Wompi()


def configured(*, is_test: bool = True, secret: str = SECRET) -> Configured:
    return Configured(
        account_id=UUID(int=1), id=UUID(int=2), kind="wompi", is_test=is_test, credentials={"events_secret": secret}
    )


def read(body: str | bytes, header: str | None = None, *, by: Configured | None = None) -> Notice:
    content = body.encode() if isinstance(body, str) else body
    headers = {} if header is None else {"x-event-checksum": header}
    return WOMPI.read_notice(RawNotice(query="", headers=headers, body=content, received_at=START), by or configured())


def event(*, secret: str = SECRET, sign: str | None = None, **changes: Any) -> str:
    """The specification's event with members changed, signed again over `sign`, the text before the secret."""
    made = json.loads(BODY) | changes
    if sign is not None:
        made["signature"]["checksum"] = hashlib.sha256(f"{sign}{secret}".encode()).hexdigest()
    return json.dumps(made)


def transaction(**changes: Any) -> dict[str, Any]:
    return {"transaction": json.loads(BODY)["data"]["transaction"] | changes}


def signature(checksum: str, *properties: str) -> dict[str, Any]:
    return {"properties": [f"transaction.{name}" for name in properties], "checksum": checksum}


def test_the_vector_of_an_approval_in_upper_case() -> None:
    notice = read(BODY)
    assert notice == Notice(
        verdict="valid",
        dedupe_key="transaction.updated+11004-1764000000-10001+APPROVED+1764000123",
        claims=(Claim(gateway_tx_id="11004-1764000000-10001", reference="rc0001x", claimed_state="succeeded"),),
    )


def test_the_vector_of_the_declined_try() -> None:
    checksum = "4e7b4b827e04bb3a0619258dfca325385f368da56509023a930c1d183dc56670"
    notice = read(
        event(
            data=transaction(id="11004-1764000000-10000", status="DECLINED"),
            timestamp=1764000050,
            signature=signature(checksum, "id", "status", "amount_in_cents"),
        )
    )
    assert notice.verdict == "valid"
    assert notice.claims[0].claimed_state == "failed"


def test_the_vector_of_another_list_of_properties() -> None:
    checksum = "be80b3f8887144cf721098b2d43d39b91236094a1b26284d9c82435321031012"
    listed = signature(checksum, "reference", "currency", "amount_in_cents", "status")
    assert read(event(signature=listed)).verdict == "valid"


def test_the_vector_of_the_wrong_method() -> None:
    checksum = "21f9d74f2d89a4b0fb7bf957beacd8d25bc553bc5780a3f168ccb2e8d6ad98bb"
    signed = b"11004-1764000000-10001APPROVED24900001764000123"
    assert hmac.new(SECRET.encode(), signed, "sha256").hexdigest() == checksum
    notice = read(event(signature=signature(checksum, "id", "status", "amount_in_cents")))
    assert (notice.verdict, notice.reason, notice.claims) == ("invalid", "checksum", ())
    assert notice.dedupe_key is None


@pytest.mark.parametrize("header", [None, APPROVED, APPROVED.lower()])
def test_the_header_may_repeat_the_checksum(header: str | None) -> None:
    assert read(BODY, header).verdict == "valid"


@pytest.mark.parametrize("header", ["", "0" * 64, "ñ", "\udcff"])
def test_a_header_that_says_something_else(header: str) -> None:
    assert read(BODY, header).verdict == "invalid"


def test_another_secret_and_none() -> None:
    assert read(BODY, by=configured(secret="test_events_OTHER")).reason == "checksum"
    unsigned = event(secret="", sign="11004-1764000000-10001APPROVED24900001764000123")
    assert read(unsigned, by=configured(secret="")).reason == "no_secret"


@pytest.mark.parametrize("environment", ["prod", "TEST", None, 1, ["test"]])
def test_another_environment(environment: object) -> None:
    assert read(event(environment=environment)).reason == "environment"


def test_a_live_account_takes_live_events_only() -> None:
    live = configured(is_test=False)
    assert read(BODY, by=live).reason == "environment"
    assert read(event(environment="prod"), by=live).verdict == "valid"


@pytest.mark.parametrize("written", ["1000", "1e3", "1000.0", "1000.00", "100000000000000000000000000000001", "-0"])
def test_numbers_sign_as_they_are_written(written: str) -> None:
    body = event(sign=f"11004-1764000000-10001APPROVED{written}1764000123")
    assert read(body.replace("2490000", written)).verdict == "valid"
    other = "1000" if written != "1000" else "1e3"
    assert read(body.replace("2490000", other)).reason == "checksum"


@pytest.mark.parametrize(("value", "signed"), [(True, "true"), (False, "false"), ("", ""), ("Ñandú", "Ñandú")])
def test_other_scalars(value: object, signed: str) -> None:
    body = event(data=transaction(amount_in_cents=value), sign=f"11004-1764000000-10001APPROVED{signed}1764000123")
    assert read(body).verdict == "valid"


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [], [1], "\ud800"])
def test_what_is_no_value_signs_nothing(value: object) -> None:
    for signed in ("", "null", "None"):
        body = event(data=transaction(amount_in_cents=value), sign=f"11004-1764000000-10001APPROVED{signed}1764000123")
        assert read(body).verdict == "invalid"


@pytest.mark.parametrize(
    "properties",
    [
        None,
        {},
        "transaction.id",
        [],
        [1],
        [None],
        [""],
        ["nothing"],
        ["transaction"],
        ["transaction.id.x"],
        ["transaction.id"] * 51,
    ],
)
def test_lists_of_properties_that_sign_nothing(properties: object) -> None:
    made = json.loads(BODY)["signature"] | {"properties": properties}
    assert read(event(signature=made)).verdict == "invalid"


@pytest.mark.parametrize("timestamp", [None, "1764000123", 1764000123.0, True, -1764000123, [1764000123]])
def test_the_time_is_an_integer(timestamp: object) -> None:
    assert read(event(timestamp=timestamp, sign=f"11004-1764000000-10001APPROVED2490000{timestamp}")).reason == (
        "timestamp"
    )


@pytest.mark.parametrize("checksum", [None, "", "ñ" * 64, APPROVED[:-1], APPROVED + "0", 1, f" {APPROVED[1:]}"])
def test_checksums_that_are_none(checksum: object) -> None:
    assert read(event(signature={"properties": ["transaction.id"], "checksum": checksum})).reason == "signature"


def test_one_byte_changed() -> None:
    for name, other in (("APPROVED", "APPROVEE"), ("2490000", "2490001"), ("10001", "10002"), ("0123", "0124")):
        assert read(BODY.replace(f"{name}", other, 1)).reason == "checksum"


def test_copies_have_one_key_and_states_their_own() -> None:
    first, again = read(BODY), read(BODY.replace(APPROVED, APPROVED.lower()), APPROVED)
    assert first.dedupe_key == again.dedupe_key
    voided = read(event(data=transaction(status="VOIDED"), sign="11004-1764000000-10001VOIDED24900001764000123"))
    assert voided.verdict == "valid"
    assert voided.dedupe_key != first.dedupe_key


def test_events_of_other_types_say_nothing() -> None:
    for name in ("nequi_token.updated", "something.new", None, 7):
        notice = read(event(event=name))
        assert (notice.verdict, notice.claims) == ("valid", ())
        assert notice.dedupe_key


def test_strange_members_are_not_asked_about() -> None:
    strange = {"id": "a\u0000b", "reference": "x" * 300, "status": ["APPROVED"]}
    body = event(data=transaction(**strange), signature=signature("", "currency"), sign="COP1764000123")
    notice = read(body)
    assert (notice.verdict, notice.claims) == ("valid", ())
    long = event(data=transaction(id="x" * 255), signature=signature("", "currency"), sign="COP1764000123")
    key = read(long).dedupe_key
    assert key is not None
    assert len(key) <= 255


def test_bodies_that_are_no_events() -> None:
    for body in (b"", b"null", b"[]", b"1", b"\xff", b"{", b'{"a":NaN}', b"\x00", BODY.encode("utf-16")):
        assert read(body).verdict == "invalid"
    assert read(BODY + " " * (256 * 1024)).reason == "too_large"
    for deep in ("[" * 100_000, '{"a":' * 50_000, '{"data":' + "[" * 50_000 + "]" * 50_000 + "}"):
        assert read(deep).verdict == "invalid"
    assert read('{"timestamp":' + "9" * 100_000 + ',"environment":"test"}').reason == "timestamp"


@given(st.binary(max_size=400))
def test_any_bytes(body: bytes) -> None:
    assert read(body).verdict == "invalid"


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(st.sampled_from(["event", "data", "environment", "signature", "timestamp", "transaction"]), TREES)
@example("signature", {"properties": [["a"]], "checksum": APPROVED})
def test_any_member_replaced(name: str, value: Any) -> None:
    made = json.loads(BODY)
    if name == "transaction":
        made["data"] = {name: value}
    else:
        made[name] = value
    assert read(json.dumps(made)).verdict in {"valid", "invalid"}


@given(st.text(max_size=100))
def test_any_header(header: str) -> None:
    assert read(BODY, header).verdict == ("valid" if header.strip().lower() == APPROVED.lower() else "invalid")
