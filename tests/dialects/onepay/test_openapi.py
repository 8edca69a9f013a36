"""The OpenAPI documents: valid, complete, and true of the routes, the parsers and the published examples."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from recaudo.dialects.onepay import dialect, openapi as onepay_openapi, parse, queries
from recaudo.dialects.onepay.errors import TABLE
from recaudo.dialects.onepay.openapi_bodies import BODIES
from recaudo.dialects.onepay.openapi_errors import WHEN
from recaudo.dialects.recaudo import openapi as own_openapi
from tests.dialects.onepay.openapi import (
    DOCUMENTS,
    ROUTERS,
    component,
    operations,
    references,
    resolved,
    validator,
)
from tests.dialects.onepay.parsing import INVOICE, LIVE, NOW, PAYMENT, TODAY, example

# The published request whose values are placeholders is shown because it is refused.
REFUSED_EXAMPLES = {("updateInvoice", "marcadores")}

every_document = pytest.mark.parametrize("name", DOCUMENTS)


# --- The documents by themselves ---


@every_document
def test_the_document_is_openapi_3_1_and_its_schemas_are_json_schema_2020_12(name: str) -> None:
    document = DOCUMENTS[name]
    assert document["openapi"].startswith("3.1.")
    jsonschema_rs.Draft202012Validator(OPENAPI_31).validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


@every_document
def test_every_route_is_described_exactly_once(name: str) -> None:
    described = [(method.upper(), path, one["operationId"]) for method, path, one in operations(DOCUMENTS[name])]
    table = [(route.method, route.path, route.operation_id) for route in ROUTERS[name].routes]
    assert sorted(described) == sorted(table)
    assert len({operation_id for _, _, operation_id in described}) == len(table)


@every_document
def test_every_reference_leads_somewhere_and_nothing_lies_unused(name: str) -> None:
    document = DOCUMENTS[name]
    used = set(references(document))
    for one in used:
        resolved({"$ref": one}, document)
    for kind in ("schemas", "headers"):
        for key in document["components"][kind]:
            assert f"#/components/{kind}/{key}" in used, key


@every_document
def test_every_operation_says_what_people_need(name: str) -> None:
    document = DOCUMENTS[name]
    tags = {tag["name"] for tag in document["tags"]}
    for _, path, operation in operations(document):
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        placed = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert placed == {step.strip("{}") for step in path.split("/") if step.startswith("{")}
        assert all(p["description"] for p in operation.get("parameters", ()))


@every_document
def test_every_example_conforms_to_its_schema(name: str) -> None:
    document = DOCUMENTS[name]
    checked = 0
    for _, _, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [resolved(response, document) for response in operation["responses"].values()]
        for media in (body["content"]["application/json"] for body in bodies if "content" in body):
            for key, shown in media["examples"].items():
                if (operation["operationId"], key) not in REFUSED_EXAMPLES:
                    validator(media["schema"], document).validate(shown["value"])
                    checked += 1
    assert checked > 40


@every_document
def test_every_example_of_a_parameter_conforms_to_its_schema(name: str) -> None:
    for _, _, operation in operations(DOCUMENTS[name]):
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                validator(parameter["schema"]).validate(parameter["example"])


@every_document
def test_examples_name_the_server_that_serves_them(name: str) -> None:
    router = ROUTERS[name]
    make = {"onepay": onepay_openapi.document, "recaudo": own_openapi.document}[name]
    text = json.dumps(make(router, "http://127.0.0.1:8000"))
    assert "cobros.example.com" not in text
    assert [server["url"] for server in make(router, "http://here")["servers"]] == {
        "onepay": ["http://here/v1", "http://here/onepay/v1"],
        "recaudo": ["http://here/recaudo/v1"],
    }[name]


# --- Errors ---


def test_every_error_of_an_example_is_a_row_of_the_table() -> None:
    document = DOCUMENTS["onepay"]
    for key, response in document["components"]["responses"].items():
        for shown in response["content"]["application/json"]["examples"].values():
            row = TABLE[shown["value"]["code_name"]]
            assert (row.status, row.code) == (int(key.partition(".")[0]), shown["value"]["code"])
    assert set(WHEN) == set(TABLE)


def test_every_row_of_the_table_is_described_somewhere() -> None:
    responses = DOCUMENTS["onepay"]["components"]["responses"].values()
    shown = {
        one["value"]["code_name"]
        for response in responses
        for one in response["content"]["application/json"]["examples"].values()
    }
    # No route of this version can answer it.
    assert set(TABLE) - shown == {"webhook_limit"}


def test_not_found_says_what_the_dialect_says() -> None:
    for _, _, operation in operations(DOCUMENTS["onepay"]):
        if "404" in operation["responses"]:
            response = resolved(operation["responses"]["404"], DOCUMENTS["onepay"])
            (one,) = response["content"]["application/json"]["examples"].values()
            assert one["value"]["message"] in dialect._NOUNS.values()


@pytest.mark.parametrize("query", [{"page": "0"}, {"filter[foo]": "1"}])
def test_the_examples_of_a_bad_query_are_what_the_parser_says(query: dict[str, str]) -> None:
    with pytest.raises(queries.InvalidQueryError) as caught:
        queries.parse_list(list(query.items()), "invoices")
    responses = DOCUMENTS["onepay"]["components"]["responses"]
    examples = responses["400.invalid_query.invalid_query_filter"]["content"]["application/json"]["examples"]
    answers = [(one["value"]["message"], one["value"]["errors"]) for one in examples.values()]
    assert (caught.value.message, caught.value.errors) in answers


# --- The published examples ---


@pytest.mark.parametrize(
    ("name", "schema"),
    [("create-invoice.request", "InvoiceCreate"), ("update-invoice.filled-request", "InvoiceChange")],
)
def test_the_published_requests_conform(name: str, schema: str) -> None:
    component(schema).validate(example(name))


def test_the_published_placeholders_do_not_conform() -> None:
    assert not component("InvoiceChange").is_valid(example("update-invoice.request"))


@pytest.mark.parametrize(
    "name",
    [
        "create-invoice.expected-response",
        "create-invoice.published-response",
        "update-invoice.filled-expected-response",
    ],
)
def test_the_answers_conform_and_have_every_member_in_order(name: str) -> None:
    answer = example(name)
    component("Invoice").validate(answer)
    schemas = DOCUMENTS["onepay"]["components"]["schemas"]
    assert list(answer) == schemas["Invoice"]["required"]
    assert list(answer["payment"]) == schemas["Payment"]["required"]


def test_the_answer_to_the_placeholders_conforms() -> None:
    component("Error").validate(example("update-invoice.expected-response"))


def test_the_examples_are_the_published_ones() -> None:
    paths = DOCUMENTS["onepay"]["paths"]
    create, change = paths["/invoices"]["post"], paths["/invoices/{invoice_id}"]["put"]

    def shown(holder: dict[str, Any], key: str) -> Any:
        return resolved(holder, DOCUMENTS["onepay"])["content"]["application/json"]["examples"][key]["value"]

    assert shown(create["requestBody"], "factura") == example("create-invoice.request")
    assert shown(create["responses"]["201"], "ejemplo") == example("create-invoice.expected-response")
    assert shown(change["requestBody"], "cambio") == example("update-invoice.filled-request")
    assert shown(change["requestBody"], "marcadores") == example("update-invoice.request")
    assert shown(change["responses"]["200"], "ejemplo") == example("update-invoice.filled-expected-response")
    refused = shown(change["responses"]["422"], "validation_error_placeholders")
    assert refused == example("update-invoice.expected-response")


# --- The parsers ---


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ("InvoiceCreate", parse._INVOICE),
        ("InvoiceChange", parse._INVOICE_CHANGE),
        ("InvoiceWithdraw", parse._WITHDRAWAL),
        ("PaymentCreate", parse._PAYMENT),
        ("PaymentResend", parse._RESEND),
        ("CustomerCreate", parse._CUSTOMER),
    ],
)
def test_bodies_have_the_fields_that_are_read(schema: str, fields: Any) -> None:
    body = BODIES[schema]
    assert list(body["properties"]) == [field.name for field in fields]
    assert body["additionalProperties"] is True
    for field in fields:
        assert validator(body["properties"][field.name]).is_valid(None) is not field.required, field.name
    if schema != "InvoiceChange":
        assert body.get("required", []) == [field.name for field in fields if field.required]


@pytest.mark.parametrize("name", ["reference", "provider_id", "provider", "amount", "name", "description"])
def test_the_bounds_of_an_invoice_are_those_that_are_read(name: str) -> None:
    for value, valid in at_the_bounds(BODIES["InvoiceCreate"]["properties"][name]):
        assert is_read(lambda v=value: parse.parse_create_invoice({**INVOICE, name: v}, LIVE, TODAY)) is valid, value


@pytest.mark.parametrize("name", ["title", "amount", "description", "reference", "external_id", "template_id"])
def test_the_bounds_of_a_payment_are_those_that_are_read(name: str) -> None:
    for value, valid in at_the_bounds(BODIES["PaymentCreate"]["properties"][name]):
        assert is_read(lambda v=value: parse.parse_create_payment({**PAYMENT, name: v}, LIVE, NOW, ())) is valid, value


def at_the_bounds(schema: dict[str, Any]) -> list[tuple[Any, bool]]:
    """The last values that a schema allows, and the first that it does not."""
    if "maximum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        return [(low - 1, False), (low, True), (high, True), (high + 1, False)]
    low, high = schema["minLength"], schema["maxLength"]
    return [("x" * (low - 1), False), ("x" * low, True), ("x" * high, True), ("x" * (high + 1), False)]


def is_read(read: Callable[[], object]) -> bool:
    try:
        read()
    except parse.InvalidError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/invoices", "invoices"),
        ("/payments", "payments"),
        ("/payment-intents", "payment_intents"),
        ("/customers", "customers"),
    ],
)
def test_lists_take_the_parameters_that_are_read(path: str, kind: queries.Kind) -> None:
    rules = queries._LISTS[kind]
    parameters = {p["name"]: p for p in DOCUMENTS["onepay"]["paths"][path]["get"]["parameters"]}
    filters = [name for name in parameters if name.startswith("filter[")]
    assert filters == [f"filter[{name}]" for name in rules.filters]
    assert set(parameters) - set(filters) == {"page", "per_page", "sort", *rules.plain}
    assert parameters["sort"]["schema"]["enum"] == list(rules.sorts)
    if rules.statuses:
        assert set(parameters["filter[status]"]["schema"]["items"]["enum"]) == set(rules.statuses)
