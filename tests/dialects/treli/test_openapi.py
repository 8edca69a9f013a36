"""The OpenAPI document: valid, complete, and true of the routes, the parsers, the answers and what is published."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from recaudo.dialects.treli import addresses, customers, ids, openapi, prices, products, queries, retentions, rules
from recaudo.dialects.treli.errors import TABLE
from recaudo.dialects.treli.openapi_errors import WHEN
from recaudo.dialects.treli.reading import Field
from recaudo.edge.docs_page import page_reply
from tests.dialects.onepay.openapi import BASE_URL, in_order, operations, references, resolved, validator
from tests.dialects.treli.openapi import DOCUMENT, REGISTERS, ROUTER
from tests.dialects.treli.wire import ADDRESS, CUSTOMER, PRICE, PRODUCT, RETENTION, RULE, published, speaks_treli
from tests.world import Client, World

SCHEMAS = DOCUMENT["components"]["schemas"]


# --- By itself ---


def test_the_document_is_openapi_3_1_and_its_schemas_are_json_schema_2020_12() -> None:
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(DOCUMENT)
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate(schema)


def test_every_route_is_described_exactly_once_and_says_where_it_is() -> None:
    described = [(method.upper(), path, one["operationId"]) for method, path, one in operations(DOCUMENT)]
    table = [(route.method, route.path, route.operation_id) for route in (*ROUTER.routes, *REGISTERS.routes)]
    assert sorted(described) == sorted(table)
    elsewhere = {route.operation_id for route in REGISTERS.routes}
    for _, _, one in operations(DOCUMENT):
        servers = [server["url"] for server in one.get("servers", DOCUMENT["servers"])]
        own = [f"{BASE_URL}/v1", f"{BASE_URL}/treli/v1"]
        assert servers == ([f"{BASE_URL}/recaudo/v1"] if one["operationId"] in elsewhere else own)


def test_every_reference_leads_somewhere_and_nothing_lies_unused() -> None:
    used = set(references(DOCUMENT))
    for one in used:
        resolved({"$ref": one}, DOCUMENT)
    for kind in ("schemas", "headers"):
        for key in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{key}" in used, key


def test_every_operation_says_what_people_need() -> None:
    for _, path, operation in operations(DOCUMENT):
        assert operation["summary"]
        assert operation["description"]
        placed = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert placed == {step.strip("{}") for step in path.split("/") if step.startswith("{")}
        for parameter in operation.get("parameters", ()):
            assert parameter["description"]
            if "example" in parameter:
                validator(parameter["schema"], DOCUMENT).validate(parameter["example"])


def test_every_example_conforms_to_its_schema_and_stands_in_its_order() -> None:
    checked = 0
    for _, _, operation in operations(DOCUMENT):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [resolved(response, DOCUMENT) for response in operation["responses"].values()]
        for media in (body["content"]["application/json"] for body in bodies if "content" in body):
            for shown in media["examples"].values():
                validator(media["schema"], DOCUMENT).validate(shown["value"])
                checked += 1
        success = resolved(operation["responses"]["200"], DOCUMENT)["content"]["application/json"]
        for shown in success["examples"].values():
            in_order(shown["value"], success["schema"], DOCUMENT, operation["operationId"])
    assert checked > 100


def test_every_error_shown_is_a_row_of_the_table_and_every_row_has_words() -> None:
    assert set(WHEN) == set(TABLE)
    for key, response in DOCUMENT["components"]["responses"].items():
        for shown in response["content"]["application/json"]["examples"].values():
            assert TABLE[shown["value"]["code"]].status == int(key.partition(".")[0])
            assert list(shown["value"])[:3] == ["code", "message", "errors"]


def test_the_page_can_be_made_and_shows_how_to_send_the_key() -> None:
    html = page_reply(DOCUMENT, lang="es").body.decode()
    assert """-u <span class="s">'sk_test_xxx:'</span>""" in html
    assert "Bearer" not in html
    assert f"{BASE_URL}/recaudo/v1/retentions" in html


# --- Against the wire and the parsers ---


@pytest.mark.parametrize(
    ("schema", "members"),
    [
        ("Customer", CUSTOMER),
        ("BillingAddress", ADDRESS),
        ("Product", PRODUCT),
        ("Price", PRICE),
        ("Retention", RETENTION),
        ("CollectionRule", RULE),
    ],
)
def test_the_objects_have_the_members_of_the_specification_in_order(schema: str, members: list[str]) -> None:
    assert list(SCHEMAS[schema]["properties"]) == members


@pytest.mark.parametrize(
    ("noun", "fields"),
    [
        ("Customer", customers.CUSTOMER),
        ("Product", products.PRODUCT),
        ("Price", prices.PRICE),
        ("Retention", retentions.RETENTION),
        ("CollectionRule", rules.RULE),
    ],
)
def test_the_bodies_have_the_fields_that_are_read(noun: str, fields: Sequence[Field]) -> None:
    for schema in (SCHEMAS[f"{noun}Create"], SCHEMAS[f"{noun}Change"]):
        assert list(schema["properties"]) == [field.name for field in fields]
    assert SCHEMAS[f"{noun}Create"]["required"] == [field.name for field in fields if field.required]
    assert "required" not in SCHEMAS[f"{noun}Change"]


def test_the_address_of_a_body_has_the_fields_that_are_read() -> None:
    sent = SCHEMAS["CustomerCreate"]["properties"]["billing_address"]
    assert set(sent["properties"]) == {field.name for field in addresses.FIELDS} == set(addresses.MEMBERS)


@pytest.mark.parametrize(
    ("path", "filters"),
    [
        ("/customers", customers.FILTERS),
        ("/products", products.FILTERS),
        ("/prices", prices.FILTERS),
        ("/retentions", retentions.FILTERS),
        ("/collection_rules", {}),
    ],
)
def test_lists_take_the_parameters_that_are_read(path: str, filters: queries.Filters) -> None:
    shown = [parameter["name"] for parameter in DOCUMENT["paths"][path]["get"]["parameters"]]
    assert shown == [*queries.PAGING, *filters]


def test_the_published_request_and_answer_are_the_examples() -> None:
    create = DOCUMENT["paths"]["/customers"]["post"]
    shown = create["requestBody"]["content"]["application/json"]["examples"]["empresa"]["value"]
    assert shown == published("create-customer.request")
    answer = create["responses"]["200"]["content"]["application/json"]["examples"]["ejemplo"]["value"]
    expected = published("create-customer.expected-response")
    assert answer == expected
    assert list(answer["billing_address"]) == list(expected["billing_address"])


# --- Against the server ---


async def test_the_document_and_its_page_are_served_to_anyone(world: World) -> None:
    async with world.session.get(f"{world.base_url}/treli/openapi.json") as response:
        assert response.status == 200
        served = await response.json()
    assert set(served["paths"]) == set(DOCUMENT["paths"])
    assert served["servers"][0]["url"] == f"{world.base_url}/v1"
    async with world.session.get(f"{world.base_url}/treli/docs") as response:
        assert response.status == 200
        assert "Treli" in await response.text()


async def test_the_examples_of_what_can_be_created_work_and_are_answered_as_described(client: Client) -> None:
    treli = speaks_treli(client)
    made: dict[str, str] = {}
    for path, noun in (
        ("/customers", "createCustomer"),
        ("/products", "createProduct"),
        ("/prices", "createPrice"),
        ("/retentions", "createRetention"),
        ("/collection_rules", "createCollectionRule"),
    ):
        operation = DOCUMENT["paths"][path]["post"]
        mount = "/recaudo/v1" if "servers" in operation else "/v1"
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        for key, shown in operation["requestBody"]["content"]["application/json"]["examples"].items():
            body: dict[str, Any] = dict(shown["value"])
            if "product_id" in body:
                body["product_id"] = made["/products"]
            answer = await treli.post(mount + path, body)
            assert answer.status == 200, (noun, key, answer.json)
            validator(schema, DOCUMENT).validate(answer.json)
            in_order(answer.json, schema, DOCUMENT, noun)
            made[path] = answer.json["id"]
        page = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator(page, DOCUMENT).validate((await treli.get(mount + path)).json)


def test_examples_name_the_server_that_serves_them() -> None:
    made = openapi.document(ROUTER, REGISTERS, "http://here")
    assert [server["url"] for server in made["servers"]] == ["http://here/v1", "http://here/treli/v1"]


def test_ids_of_examples_are_ids() -> None:
    for name, prefix in (("customer_id", "cus"), ("product_id", "prod"), ("price_id", "price"), ("rule_id", "rule")):
        (example,) = {
            p["example"]
            for _, _, one in operations(DOCUMENT)
            for p in one.get("parameters", ())
            if p["name"] == name and p["in"] == "path"
        }
        assert ids.shown(prefix, UUID(int=ids.read(prefix, example).int)) == example  # type: ignore[union-attr]
