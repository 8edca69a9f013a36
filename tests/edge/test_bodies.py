"""Bodies: what is one JSON object, when two are equal, and in what they differ (wire specifications, 1.4 and 2)."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from recaudo.edge.bodies import (
    ABSENT,
    DEPTH_MAX,
    DIFFERENCES_MAX,
    MalformedJsonError,
    canonical,
    decode_object,
    differences,
)

# --- Decoding ---


def malformed(body: bytes) -> str:
    with pytest.raises(MalformedJsonError) as raised:
        decode_object(body)
    return raised.value.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b" \n", "not_json"),
        (b"x", "not_json"),
        (b"{", "not_json"),
        (b"{}{}", "not_json"),
        (b"{} x", "not_json"),
        (b"{}\x00", "not_json"),
        (b"{'a':1}", "not_json"),
        (b'{"a":1,}', "not_json"),
        (b'{"a":01}', "not_json"),
        (b'{"a":1.}', "not_json"),
        (b'{"a":+1}', "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b'{"a":Infinity}', "not_json"),
        (b'{"a":-Infinity}', "not_json"),
        (b'{"a":"\n"}', "not_json"),
        (b'{"a":"\\x"}', "not_json"),
        (b'{"a":"\\ud83"}', "not_json"),
        (b'{"a":"\\ud800', "not_json"),
        ('\ufeff{"a":1}'.encode(), "not_json"),
        (b"[]", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"7", "not_an_object"),
        (b"1e400", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8"),
        ('{"a":1}'.encode("utf-16"), "not_utf8"),
        ('{"a":"ñ"}'.encode("latin-1"), "not_utf8"),
    ],
)
def test_anything_but_one_object_in_utf_8_is_malformed(body: bytes, reason: str):
    assert malformed(body) == reason


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("{}", {}),
        (' \t\r\n{"a" : 1 }\n', {"a": 1}),
        ('{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        ('{"a":"ñ😀\\ud83d\\ude00\\u0000"}', {"a": "ñ😀😀\x00"}),
        ('{"a":"\\ud800x","\\udc00":"ok"}', {"a": "\ud800x", "\udc00": "ok"}),
        ('{"a":[null,true,false]}', {"a": [None, True, False]}),
    ],
)
def test_an_object_is_decoded(body: str, value: dict[str, Any]):
    assert decode_object(body.encode()) == value


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("50000", 50000),
        ("50000.0", 50000),
        ("5e4", 50000),
        ("500000E-1", 50000),
        ("-0", 0),
        ("-0.0", 0),
        ("0e99999999999999999999", 0),
        ("50000.5", Decimal("50000.5")),
        ("50000.50", Decimal("50000.5")),
        ("0.1", Decimal("0.1")),
        ("50000.0000000000000000000000000000000001", Decimal("50000.0000000000000000000000000000000001")),
        ("1e400", Decimal("1e400")),
        ("-1e999999", Decimal("-1e999999")),
        ("-1e9999999", Decimal("-1e999999")),
        ("1e-400", Decimal("1e-400")),
        ("18446744073709551616", 2**64),
        ("1e39", 10**39),
    ],
)
def test_numbers_are_exact_and_whole_ones_are_integers(spelling: str, value: int | Decimal):
    decoded = decode_object(f'{{"a":{spelling}}}'.encode())["a"]
    assert decoded == value
    assert type(decoded) is type(value)
    assert decode_object(f'{{"half":"\\ud800","a":{spelling}}}'.encode())["a"] == value  # the tolerant way


@pytest.mark.parametrize("spelling", ["9" * 5000, "1e99999999999999999999", "1e999999999", "-" + "9" * 100_000])
def test_numbers_of_any_size_reach_validation(spelling: str):
    assert abs(decode_object(f'{{"a":{spelling}}}'.encode())["a"]) > 10**30


def test_a_number_too_close_to_zero_is_not_zero():
    assert 0 < decode_object(b'{"a":1e-99999999999999999999}')["a"] < 1


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_accepted_up_to_its_limit_and_refused_beyond(opening: str, closing: str):
    def nested(levels: int) -> bytes:
        return ('{"a":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}").encode()

    decode_object(nested(DEPTH_MAX))
    assert malformed(nested(DEPTH_MAX + 1)) == "too_deep"
    assert malformed(nested(5_000)) == "too_deep"
    assert malformed(nested(150_000)) == "too_deep"


def test_only_real_brackets_nest():
    value = {"a": [[], {}] * 1000, "[" * 100: "{" * 100 + '\\"' + "[" * 100}
    assert decode_object(json.dumps(value).encode()) == value


def test_a_member_that_a_later_one_replaces_counts_as_nesting_too():
    deep = "[" * DEPTH_MAX + "]" * DEPTH_MAX
    assert malformed(f'{{"a":{deep},"a":1}}'.encode()) == "too_deep"


@given(st.binary() | st.text(alphabet='{}[]":,\\ud8etrunlfas0123456789.-+ ').map(str.encode))
def test_arbitrary_bytes_are_an_object_or_malformed(body: bytes):
    try:
        value = decode_object(body)
    except MalformedJsonError:
        return
    assert isinstance(value, dict)
    assert json.loads(body, parse_float=Decimal) == value


# --- Canonical text ---

texts = st.text(st.characters(codec=None), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=15
)
json_objects = st.dictionaries(texts, json_values, max_size=5)


def respelled(value: Any, data: st.DataObject) -> str:
    """The same value as other JSON text: members in another order, white space, other notations of numbers."""
    gap = data.draw(st.sampled_from(["", " ", "\n\t"]))
    if isinstance(value, dict):
        members = data.draw(st.permutations(list(value.items())))
        inner = ",".join(f"{gap}{json.dumps(name)}{gap}:{respelled(item, data)}" for name, item in members)
        return f"{{{inner}{gap}}}"
    if isinstance(value, list):
        return "[" + ",".join(respelled(item, data) + gap for item in value) + "]"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return json.dumps(value, ensure_ascii=data.draw(st.booleans()) or "\\ud" in json.dumps(value))
    return data.draw(st.sampled_from(spellings(value)))


def spellings(number: float) -> list[str]:
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    mantissa, shift = "-" * sign + "".join(map(str, digits)), int(exponent)
    longer = f"{mantissa}0e{shift - 1}" if any(digits) else "-0"
    return [f"{Decimal(repr(number)):f}", f"{mantissa}e{shift}", f"{mantissa}.000E{shift:+d}", longer]


@given(value=json_objects, data=st.data())
def test_equal_bodies_have_equal_text_however_they_are_written(value: dict[str, Any], data: st.DataObject):
    once, again = (canonical(decode_object(respelled(value, data).encode())) for _ in range(2))
    assert once == again
    assert differences(once, again) == []
    assert canonical(decode_object(once.encode())) == once
    assert canonical(value) == once  # floats of a caller's own too
    assert "\x00" not in once


@given(first=json_objects, second=json_objects)
def test_texts_differ_exactly_when_a_member_does(first: dict[str, Any], second: dict[str, Any]):
    one, other = (canonical(decode_object(json.dumps(value).encode())) for value in (first, second))
    found = differences(one, other)
    assert (one != other) == bool(found)
    msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"b": 1, "a": {"d": [1.50, 5e4], "c": null}}', '{"a":{"c":null,"d":[1.5,50000]},"b":1}'),
        ('{"a":"ñ","b":"\\u00f1"}', '{"a":"ñ","b":"ñ"}'),
        ('{"a":"\\u0000\\ud800"}', '{"a":"\\u0000\\ud800"}'),
        ('{"a":1e50,"b":1' + "0" * 50 + "}", '{"a":1E+50,"b":1E+50}'),
        ('{"a":true,"b":1}', '{"a":true,"b":1}'),
        ("{}", "{}"),
    ],
)
def test_canonical_text(body: str, text: str):
    assert canonical(decode_object(body.encode())) == text


def test_no_body_at_all_equals_an_empty_one():
    assert canonical(None) == canonical({}) == "{}"


# --- Differences ---


def compared(first: str, second: str) -> list[tuple[str, str, str]]:
    return differences(*(canonical(decode_object(body.encode())) for body in (first, second)))


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ('{"amount":50000}', '{"amount":60000}', [("amount", "50000", "60000")]),
        ('{"amount":50000}', '{"amount":50000.0}', []),
        ('{"a":1}', '{"a":true}', [("a", "1", "true")]),
        ('{"a":1}', '{"a":"1"}', [("a", "1", '"1"')]),
        ('{"a":null}', "{}", [("a", "null", ABSENT)]),
        ("{}", '{"a":null}', [("a", ABSENT, "null")]),
        ('{"a":{"b":{"c":1}}}', '{"a":{"b":{"c":2}}}', [("a.b.c", "1", "2")]),
        ('{"a":[1,{"b":2}]}', '{"a":[1,{"b":3},4]}', [("a[1].b", "2", "3"), ("a[2]", ABSENT, "4")]),
        ('{"a":[1,2]}', '{"a":[1]}', [("a[1]", "2", ABSENT)]),
        ('{"a":{"b":1}}', '{"a":[1]}', [("a", '{"b":1}', "[1]")]),
        ('{"a":{}}', '{"a":[]}', [("a", "{}", "[]")]),
        (
            '{"gone":1,"z":1,"a":1}',
            '{"z":2,"new":2,"a":2}',
            [("a", "1", "2"), ("new", ABSENT, "2"), ("z", "1", "2"), ("gone", "1", ABSENT)],
        ),
    ],
)
def test_every_member_that_differs_is_named_by_its_path(first: str, second: str, found: list[tuple[str, str, str]]):
    assert compared(first, second) == found


def test_values_are_shortened():
    ((path, first, second),) = compared('{"a":"' + "x" * 98 + '"}', '{"a":"' + "x" * 99 + '"}')
    assert path == "a"
    assert (len(first), len(second)) == (100, 100)
    assert second.endswith("x...")


def test_what_cannot_be_encoded_is_shown_in_another_way():
    assert compared('{"\\ud800":"\\udc00"}', '{"\\ud800":1}') == [("?", '"\\udc00"', "1")]


def test_there_is_an_end_to_differences():
    bodies = (json.dumps({"a": [number] * 2000}) for number in (1, 2))
    assert len(compared(*bodies)) == DIFFERENCES_MAX
