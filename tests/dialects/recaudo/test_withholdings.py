"""What payers withhold, and the certificates that prove it, over HTTP."""

from typing import Any

import pytest

from tests.dialects.recaudo.test_receipts import refused, uuid_of
from tests.dialects.treli.stage import Stage
from tests.world import Client

LIST = "/recaudo/v1/withholdings"


async def withheld(stage: Stage, *kinds: str) -> dict[str, Any]:
    retentions = {kind: await stage.retention(kind, "1") for kind in kinds}
    return await stage.invoice(invoice_retentions=retentions)


async def rows(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"{LIST}?{query}")
    assert answer.status == 200, answer.json
    return answer.json["data"]


def path(row: dict[str, Any]) -> str:
    return f"/recaudo/v1/invoices/{row['invoice_id']}/withholdings/{row['retention_id']}/certificate"


async def test_a_certificate_is_noted_changed_and_taken_away(client: Client, stage: Stage) -> None:
    invoice = await withheld(stage, "reteica")
    (row,) = await rows(client)
    assert (row["invoice_id"], row["customer_id"]) == (uuid_of(invoice["id"]), uuid_of(invoice["customer"]))
    assert (row["kind"], row["amount_minor"], row["certificate"]) == ("reteica", 100_000, None)
    noted = await client.put(path(row), {"number": " ICA-1 ", "url": "https://example.com/1.pdf"})
    certificate = noted.json["certificate"]
    assert (noted.status, certificate["number"], certificate["url"]) == (200, "ICA-1", "https://example.com/1.pdf")
    assert await rows(client) == [noted.json] == [row | {"certificate": certificate}]
    changed = await client.put(path(row), {"number": "ICA-2"})
    assert (changed.json["certificate"]["number"], changed.json["certificate"]["url"]) == ("ICA-2", None)
    for _ in range(2):
        gone = await client.delete(path(row))
        assert (gone.status, gone.json) == (200, row)


async def test_they_are_listed_by_invoice_kind_and_certificate(client: Client, stage: Stage) -> None:
    first = await withheld(stage, "reteica", "retefte")
    second = await withheld(stage, "reteica")
    everything = await rows(client)
    assert [r["invoice_id"] for r in everything] == [uuid_of(i) for i in (second["id"], first["id"], first["id"])]
    assert len(await rows(client, f"invoice={uuid_of(first['id'])}")) == 2
    assert len(await rows(client, "kind=reteica")) == 2
    assert await rows(client, "kind=reteiva") == []
    await client.put(path(everything[0]), {"number": "1"})
    assert [r["invoice_id"] for r in await rows(client, "certified=true")] == [uuid_of(second["id"])]
    assert len(await rows(client, "certified=false")) == 2
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await client.get(f"{LIST}?limit=1&cursor={cursor}")).json
        seen += page["data"]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert (seen, cursor) == (await rows(client), None)


async def test_of_a_withdrawn_invoice_they_say_so(client: Client, stage: Stage) -> None:
    invoice = await withheld(stage, "reteica")
    await stage.act("invoices", invoice["id"], "void")
    assert [r["invoice_state"] for r in await rows(client)] == ["void"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "number"),
        ({"number": ""}, "number"),
        ({"number": "x" * 51}, "number"),
        ({"number": 7}, "number"),
        ({"number": "1", "url": "http://example.com/1.pdf"}, "url"),
        ({"number": "1", "url": "nowhere"}, "url"),
        ({"number": "1", "url": "https://example.com/" + "x" * 500}, "url"),
    ],
)
async def test_a_certificate_has_bounds(client: Client, stage: Stage, body: dict[str, Any], field: str) -> None:
    await withheld(stage, "reteica")
    (row,) = await rows(client)
    answer = await client.put(path(row), body)
    refused(answer, 422, "validation_error")
    assert [e["field"] for e in answer.json["errors"]] == [field]


async def test_a_key_answers_alike(client: Client, stage: Stage) -> None:
    await withheld(stage, "reteica")
    (row,) = await rows(client)
    first = await client.put(path(row), {"number": "1"}, once="c-1")
    again = await client.put(path(row), {"number": "1"}, once="c-1")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    refused(await client.put(path(row), {"number": "2"}, once="c-1"), 409, "idempotency_key_reused")


async def test_what_is_not_withheld_has_no_certificate(client: Client, stage: Stage) -> None:
    invoice = await stage.invoice()
    await withheld(stage, "reteica")
    (row,) = await rows(client)
    refused(await client.put(path(row | {"invoice_id": uuid_of(invoice["id"])}), {"number": "1"}), 404, "not_found")
    refused(await client.put(path(row | {"retention_id": "x"}), {"number": "1"}), 404, "not_found")


@pytest.mark.parametrize("query", ["kind=iva", "certified=yes", "invoice=x", "cursor=abc", "colour=blue"])
async def test_parameters_that_mean_nothing_are_refused(client: Client, query: str) -> None:
    refused(await client.get(f"{LIST}?{query}"), 400, "invalid_query")
