"""Ids on the wire against the published vectors (Treli specification, 0.3)."""

from uuid import UUID

import pytest

from recaudo.dialects.treli import ids
from tests.dialects.treli.wire import NOBODY, published

VECTORS = published("ids.vector")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["base62"])
def test_ids_are_written_and_read_as_published(vector: dict[str, str]) -> None:
    for prefix in ("cus", "col", "si", "prod", "price", "sd", "cn", "ret", "rule", "txn", "evt"):
        text = f"{prefix}_{vector['base62']}"
        assert ids.shown(prefix, UUID(vector["uuid"])) == text
        assert ids.read(prefix, text) == UUID(vector["uuid"])


@pytest.mark.parametrize(
    "text",
    [
        f"col_{NOBODY}",  # wrong prefix
        f"CUS_{NOBODY}",
        f"cus{NOBODY}",
        f"cus__{NOBODY}",
        f"cus_{NOBODY}0",  # wrong length
        f"cus_{NOBODY[1:]}",
        f"cus_{NOBODY[:-1]}-",  # other characters
        f"cus_{NOBODY[:-1]}ñ",
        "cus_007n42DGM5Tflk9n8mt7Fhc8",  # 2^128
        "cus_TgfdA2vL9rnWblZM8LtWMsdY",  # the published samples are no numbers below it
        "cus_zzzzzzzzzzzzzzzzzzzzzzzz",
        "cus_",
        "",
        "string",
        "019331c9-3450-7ec0-8e80-bba3ce30aef3",
        5,
        None,
    ],
)
def test_anything_else_names_nothing(text: object) -> None:
    assert ids.read("cus", text) is None


def test_every_id_of_a_body_is_found() -> None:
    first, last = VECTORS[-1], VECTORS[-2]
    body = {
        "items": [{"price": f"price_{first['base62']}"}, {"price": f"price_{last['base62']}", "quantity": 1}],
        "customer": f"cus_{first['base62']}",
        "text": "price_1Q8VwAGkNzLGa86BS12312",
    }
    assert set(ids.named(body, "price")) == {UUID(first["uuid"]), UUID(last["uuid"])}
    assert ids.named(body, "cus") == [UUID(first["uuid"])]
    assert ids.named(body, "ret") == []
