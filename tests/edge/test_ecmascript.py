"""Our JSON against a real JavaScript: what JSON.stringify prints of what it parsed (OnePay 14.3)."""

import json
import math
import struct
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from recaudo.edge.ecmascript import stringify
from tests.javascript import node

PROGRAM = (
    "const text = require('fs').readFileSync(0, 'utf8');"
    "process.stdout.write(text.split('\\n').map((line) => JSON.stringify(JSON.parse(line))).join('\\n'));"
)

# By the ECMAScript specification (Number::toString and OrdinaryOwnPropertyKeys), written out by hand.
BY_HAND: list[tuple[Any, str]] = [
    (0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (1.5, "1.5"),
    (1e-7, "1e-7"),
    (1e-6, "0.000001"),
    (1.25e-7, "1.25e-7"),
    (1e21, "1e+21"),
    (1e20, "100000000000000000000"),
    (123456789012345680000, "123456789012345680000"),
    (2**53 + 1, "9007199254740992"),
    (-(2**64), "-18446744073709552000"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (math.inf, "null"),
    (math.nan, "null"),
    (msgspec.Raw(b"20000.5"), "20000.5"),
    (msgspec.Raw(b"20000.50"), "20000.5"),
    ("é / € \u2028 \x7f 😀", '"é / € \u2028 \x7f 😀"'),
    ('"\\\b\f\n\r\t\x00\x1f', '"\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f"'),
    ({"b": 1, "10": 2, "2": 3, "a": 4}, '{"2":3,"10":2,"b":1,"a":4}'),
    ({"01": 1, "-1": 2, "1.0": 3, "0": 4}, '{"0":4,"01":1,"-1":2,"1.0":3}'),
    ({"4294967295": 1, "4294967294": 2, "x": 3}, '{"4294967294":2,"4294967295":1,"x":3}'),
    ({"²": 1, "٣": 2, "1": 3}, '{"1":3,"²":1,"٣":2}'),
    ({"deep": [{"1": True, "0": None}]}, '{"deep":[{"0":null,"1":true}]}'),
    ([], "[]"),
]


@pytest.mark.parametrize(("value", "printed"), BY_HAND)
def test_it_prints_as_the_standard_says(value: Any, printed: str) -> None:
    assert stringify(value).decode() == printed


def test_what_json_has_no_form_for_is_a_fault() -> None:
    with pytest.raises(TypeError, match="set"):
        stringify({"a": {1}})


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters(codec="utf-8"))
names = st.text(st.characters(codec="utf-8"), max_size=6) | st.integers(0, 2**33).map(str)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(names, v, max_size=6), max_leaves=12)


@settings(max_examples=300)
@given(values)
def test_it_is_json_of_the_same_value(value: Any) -> None:
    assert _comparable(json.loads(stringify(value))) == _comparable(value)


def _comparable(value: Any) -> Any:
    """As JavaScript holds it: every number a double, what is no number null."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return float(value) if math.isfinite(float(value)) else None
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return {name: _comparable(item) for name, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=12)
@given(st.lists(values, min_size=40, max_size=60), st.binary(min_size=800, max_size=800))
def test_node_prints_the_same_bytes(several: list[Any], noise: bytes) -> None:
    doubles = [d for (d,) in struct.iter_unpack("<d", noise)]
    lines = [stringify(value) for value in [*several, *doubles]]
    # Node splits the input at line feeds; no printed value holds one, as they are escaped.
    printed = subprocess.run([node(), "-e", PROGRAM], input=b"\n".join(lines), capture_output=True, check=True).stdout
    assert printed.split(b"\n") == lines
