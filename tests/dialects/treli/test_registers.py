"""Retentions and collection rules, below /recaudo/v1 and in the words of this dialect (Treli specification, 14)."""

from typing import Any

import pytest

from recaudo.dialects.treli import ids
from recaudo.store import catalogue
from tests.dialects.treli.wire import NOBODY, PAGE, RETENTION, RULE, good, is_id, refusal, speaks_treli
from tests.world import Client, World

BODY = {"kind": "reteica", "name": "ICA Bogotá", "percentage": "0.966"}
MOMENTS = [
    {"moment": "before", "days": 3, "channel": "email"},
    {"moment": "on", "days": 0, "channel": "whatsapp"},
    {"moment": "after", "days": 1, "channel": "email"},
]
RETENTIONS, RULES = "/recaudo/v1/retentions", "/recaudo/v1/collection_rules"


async def test_a_retention_by_either_scheme(client: Client, treli: Client) -> None:
    for speaker in (client, treli):
        made = good(await speaker.post(RETENTIONS, BODY))
        assert list(made) == RETENTION
        assert is_id("ret", made["id"])
        assert made == BODY | {
            "id": made["id"],
            "minimum_base": "0.00",
            "valid_from": None,
            "valid_until": None,
            "active": True,
            "created_date": made["created_date"],
            "is_test": True,
        }
        assert good(await treli.get(f"{RETENTIONS}/{made['id']}")) == made


async def test_a_retention_with_everything(treli: Client) -> None:
    body = {
        "kind": "retefte",
        "name": "Servicios",
        "percentage": 2.5,
        "minimum_base": "105000",
        "valid_from": "2026-01-01",
        "valid_until": "2026-12-31",
        "active": False,
    }
    made = good(await treli.post(RETENTIONS, body))
    assert made.items() >= (body | {"percentage": "2.5", "minimum_base": "105000.00"}).items()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"kind": None, "name": None, "percentage": None}, ["kind", "name", "percentage"]),
        ({"kind": "iva"}, ["kind"]),
        ({"name": "x" * 101}, ["name"]),
        ({"percentage": "0"}, ["percentage"]),
        ({"percentage": "100.1"}, ["percentage"]),
        ({"percentage": "0.96600"}, ["percentage"]),
        ({"minimum_base": "-1"}, ["minimum_base"]),
        ({"minimum_base": "1.001"}, ["minimum_base"]),
        ({"valid_from": "2026-02-30"}, ["valid_from"]),
        ({"valid_from": "2026-02-02", "valid_until": "2026-02-01"}, ["valid_until"]),
        ({"active": 1}, ["active"]),
    ],
)
async def test_the_fields_of_a_retention_have_bounds(treli: Client, body: dict[str, Any], fields: list[str]) -> None:
    refusal(await treli.post(RETENTIONS, BODY | body), "validation_error", fields=fields)


async def test_what_a_retention_takes_is_fixed_once_it_is_used(treli: Client, world: World) -> None:
    made = good(await treli.post(RETENTIONS, BODY))
    path = f"{RETENTIONS}/{made['id']}"
    refusal(await treli.post(path, {"kind": "reteiva"}), "validation_error", fields=["kind"])
    made = good(await treli.post(path, {"percentage": "1.104", "minimum_base": "5", "kind": "reteica"}))
    assert (made["percentage"], made["minimum_base"]) == ("1.104", "5.00")
    found = ids.read("ret", made["id"])
    assert found is not None
    async with world.core.database.transaction() as connection:
        await catalogue.mark_used(connection, treli.account_id, [], [found], world.core.clock.now())
    answer = await treli.post(path, {"percentage": "2", "minimum_base": "0", "kind": "reteiva"})
    refusal(answer, "validation_error", fields=["kind", "percentage", "minimum_base"])
    changed = good(await treli.post(path, {"percentage": "1.1040", "active": False, "valid_until": "2030-01-01"}))
    assert changed == made | {"active": False, "valid_until": "2030-01-01"}
    assert good(await treli.post(path, {"valid_until": None}))["valid_until"] is None


async def test_retentions_are_listed_by_kind_and_activity(treli: Client) -> None:
    for kind, active in (("reteica", True), ("reteiva", False), ("retefte", True)):
        good(await treli.post(RETENTIONS, BODY | {"kind": kind, "active": active}))
    kinds = [row["kind"] for row in good(await treli.get(RETENTIONS))["data"]]
    assert kinds == ["retefte", "reteiva", "reteica"]
    assert [row["kind"] for row in good(await treli.get(f"{RETENTIONS}?active=true"))["data"]] == ["retefte", "reteica"]
    assert [row["kind"] for row in good(await treli.get(f"{RETENTIONS}?kind=reteiva"))["data"]] == ["reteiva"]
    answer = await treli.get(f"{RETENTIONS}?kind=iva&active=1&name=x")
    refusal(answer, "validation_error", fields=["kind", "active", "name"])


async def test_a_rule_by_either_scheme(client: Client, treli: Client) -> None:
    for speaker in (client, treli):
        made = good(await speaker.post(RULES, {"name": "Amable", "moments": MOMENTS}))
        assert list(made) == RULE
        assert is_id("rule", made["id"])
        assert (made["name"], made["moments"]) == ("Amable", MOMENTS)
        path = f"{RULES}/{made['id']}"
        assert good(await treli.get(path)) == made
        changed = good(await speaker.post(path, {"moments": []}))
        assert changed == made | {"moments": []}
        refusal(await treli.post(path, {"moments": None}), "validation_error", fields=["moments"])
    found = good(await treli.get(RULES))
    assert list(found) == PAGE
    assert len(found["data"]) == 2


@pytest.mark.parametrize(
    ("moments", "fields"),
    [
        (None, ["moments"]),
        ({}, ["moments"]),
        ([{"moment": "on", "channel": "email"}] * 21, ["moments"]),
        (["on"], ["moments[0]"]),
        ([{}], ["moments[0].moment", "moments[0].channel"]),
        (
            [{"moment": "later", "days": 366, "channel": "sms"}],
            ["moments[0].moment", "moments[0].days", "moments[0].channel"],
        ),
        ([{"moment": "on", "days": 1, "channel": "email"}], ["moments[0].days"]),
        ([{"moment": "before", "days": 0, "channel": "email"}], ["moments[0].days"]),
        ([{"moment": "after", "channel": "email"}], ["moments[0].days"]),
        ([{"moment": "on", "channel": "email"}, {"moment": "on", "days": 0, "channel": "email"}], ["moments[1]"]),
    ],
)
async def test_the_moments_of_a_rule_have_bounds(treli: Client, moments: Any, fields: list[str]) -> None:
    refusal(await treli.post(RULES, {"name": "x", "moments": moments}), "validation_error", fields=fields)


@pytest.mark.parametrize("path", [RETENTIONS, RULES])
async def test_they_speak_as_this_dialect_does(world: World, client: Client, treli: Client, path: str) -> None:
    nobody = Client(client.session, client.base_url, "sk_test_nobody", client.account_id, "")
    answer = await nobody.get(path)
    refusal(answer, "unauthenticated")
    assert answer.headers.getall("www-authenticate") == [
        'Bearer realm="recaudo"',
        'Basic realm="recaudo", charset="UTF-8"',
    ]
    refusal(await treli.get(f"{path}/x"), "not_found")
    refusal(await treli.get(f"{path}/ret_{NOBODY}"), "not_found")
    refusal(await treli.get(f"{path}/x/y"), "not_found")
    answer = await treli.put(path, {})
    refusal(answer, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    refusal(await treli.call("POST", path), "malformed_json")
    # Other paths of the mount speak as they did.
    assert (await treli.get(f"{path}x")).json["message"] == "There is no such path."
    # And these are no paths of the dialect itself.
    refusal(await treli.get(path.removeprefix("/recaudo")), "not_found")


async def test_one_key_is_one_answer_whatever_the_scheme(client: Client, treli: Client) -> None:
    first = await client.post(RETENTIONS, BODY, once="k")
    again = await treli.call("POST", RETENTIONS, BODY, headers={"Idempotency-Key": "k"})
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    refusal(await treli.post(RETENTIONS, BODY | {"name": "Otra"}, once="k"), "idempotency_key_reused")


async def test_they_belong_to_one_account(treli: Client, world: World) -> None:
    other = speaks_treli(await world.merchant())
    for path, body in ((RETENTIONS, BODY), (RULES, {"name": "x", "moments": []})):
        made = good(await treli.post(path, body))
        for answer in (await other.get(f"{path}/{made['id']}"), await other.post(f"{path}/{made['id']}", body)):
            refusal(answer, "not_found")
        assert good(await other.get(path))["data"] == []
