"""The OpenAPI documents: valid, complete, and true of the routes, the parsers and the published examples."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from recaudo.dialects.onepay import dialect, endpoints, openapi as onepay_openapi, parse, queries
from recaudo.dialects.onepay.errors import TABLE
from recaudo.dialects.onepay.openapi_bodies import BODIES
from recaudo.dialects.onepay.openapi_errors import WHEN
from recaudo.dialects.onepay.webhooks import TYPES, OnePayWebhooks
from recaudo.dialects.recaudo import (
    openapi as own_openapi,
    openapi_schemas as own_schemas,
    parse as own_parse,
    render as own_render,
    webhooks as own_webhooks,
)
from recaudo.dialects.recaudo.errors import InvalidError as OwnInvalidError
from recaudo.dialects.recaudo.webhooks import OwnWebhooks
from recaudo.domain import model
from recaudo.domain.delivering import Endpoint
from recaudo.domain.events import EVENT_TYPES
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.ecmascript import stringify
from recaudo.parts import make_core
from recaudo.usecases.ports import Message
from tests.dialects.onepay.openapi import (
    DOCUMENTS,
    ROUTERS,
    component,
    in_order,
    operations,
    references,
    resolved,
    validator,
)
from tests.dialects.onepay.parsing import INVOICE, LIVE, NOW, PAYMENT, TODAY, example
from tests.javascript import node

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
        contents = [body["content"] for body in bodies if "content" in body]
        # A file has no schema to conform to.
        for media in (content["application/json"] for content in contents if "application/json" in content):
            for key, shown in media["examples"].items():
                if (operation["operationId"], key) not in REFUSED_EXAMPLES:
                    validator(media["schema"], document).validate(shown["value"])
                    checked += 1
    assert checked > 40


@every_document
def test_every_example_of_an_event_conforms_to_its_schema(name: str) -> None:
    document = DOCUMENTS[name]
    shown = 0
    for type_, item in document["webhooks"].items():
        media = item["post"]["requestBody"]["content"]["application/json"]
        for example_of_it in media.get("examples", {}).values():
            validator(media["schema"], document).validate(example_of_it["value"])
            in_order(example_of_it["value"], media["schema"], document, type_)
            shown += 1
        assert item["post"]["summary"].endswith("."), type_
    assert shown >= 3


def test_every_type_of_event_that_is_raised_is_described() -> None:
    raised = {type_ for type_, core in TYPES.items() if core is not None}
    assert set(DOCUMENTS["onepay"]["webhooks"]) == raised
    assert list(DOCUMENTS["recaudo"]["webhooks"]) == list(EVENT_TYPES)


@every_document
def test_every_header_of_an_event_is_described(name: str) -> None:
    """All that a dialect sends, but for the content type, which is the body's."""
    teller = {"onepay": OnePayWebhooks(), "recaudo": OwnWebhooks()}[name]
    secret, token = teller.new_secrets()
    endpoint = Endpoint(
        account_id=UUID(int=0),
        id=UUID(int=0),
        dialect=name,
        name="",
        description=None,
        url="",
        types=("invoice.paid",),
        secret=secret,
        token=token,
        created_at=NOW,
        updated_at=NOW,
    )
    message = Message(event_id=UUID(int=1), type="invoice.paid", subject_version=1, body=b"{}")
    sent = dict(teller.headers(message, endpoint, (secret,), 1))
    parameters = DOCUMENTS[name]["components"]["parameters"].values()
    assert [h.lower() for h in sent if h != "content-type"] == [p["name"].lower() for p in parameters]
    for parameter in parameters:
        validator(parameter["schema"]).validate(parameter["example"])


@every_document
def test_samples_are_what_the_document_says_of_their_types(name: str) -> None:
    teller = {"onepay": OnePayWebhooks(), "recaudo": OwnWebhooks()}[name]
    document = DOCUMENTS[name]
    for type_, item in document["webhooks"].items():
        body = json.loads(teller.sample(type_, "https://x", NOW, is_test=True, event_id=UUID(int=7)))
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        validator(schema, document).validate(body)
        in_order(body, schema, document, type_)


def test_the_first_event_shown_is_the_published_vector_and_its_signature_is_real() -> None:
    vector = example("webhook-invoice-paid.vector")
    document = DOCUMENTS["onepay"]
    media = document["webhooks"]["invoice.paid"]["post"]["requestBody"]["content"]["application/json"]
    assert stringify(media["examples"]["ejemplo"]["value"]).decode() == vector["body"]
    shown = {name.lower(): one["example"] for name, one in document["components"]["parameters"].items()}
    expected = vector["expected_headers"]
    assert {name: shown[name] for name in expected if name != "content-type"} == {
        name: value for name, value in expected.items() if name != "content-type"
    }


@pytest.mark.parametrize("name", ["webhook-invoice-paid.vector", "webhook-serialisation.vector"])
def test_the_python_of_the_guide_verifies_the_published_vectors(name: str) -> None:
    vector = example(name)
    check = python_of(DOCUMENTS["onepay"])["es_autentico"]
    body, signature = vector["body"].encode(), vector["expected_headers"]["x-signature"]
    assert check(body, signature, ["otro", vector["secret"]])
    assert not check(body, signature, ["otro"])
    assert not check(body + b" ", signature, [vector["secret"]])
    assert not check(body, "ñ", [vector["secret"]])


def test_the_javascript_of_the_guide_verifies_the_published_vector() -> None:
    vector = example("webhook-invoice-paid.vector")
    (code,) = re.findall(r"```js\n(.*?)```", DOCUMENTS["onepay"]["info"]["description"], re.DOTALL)
    cases = [[vector["secret"], "otro"], ["otro"], []]
    code += (
        f"const v = {json.dumps(vector)};\n"
        "const cuerpo = Buffer.from(v.body), firma = v.expected_headers['x-signature'];\n"
        f"const casos = {json.dumps(cases)}.map((s) => esAutentico(cuerpo, firma, s));\n"
        "console.log(JSON.stringify([...casos, esAutentico(cuerpo, undefined, [v.secret])]));\n"
    )
    run = subprocess.run([node(), "--input-type=module", "-"], input=code, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [True, False, False, False]


def test_the_python_of_our_own_guide_verifies_what_is_sent() -> None:
    secret, _ = OwnWebhooks().new_secrets()
    other, _ = OwnWebhooks().new_secrets()
    body = b'{"a":1}'
    headers = {"webhook-id": "evt_1", "webhook-timestamp": "12"}
    signatures = " ".join(own_webhooks._signature(s, "evt_1", 12, body) for s in (other, secret))
    check = python_of(DOCUMENTS["recaudo"])["is_genuine"]
    assert check(body, {**headers, "webhook-signature": signatures}, secret)
    assert not check(body, {**headers, "webhook-signature": signatures}, OwnWebhooks().new_secrets()[0])
    assert not check(body, {**headers, "webhook-timestamp": "13", "webhook-signature": signatures}, secret)


def python_of(document: dict[str, Any]) -> dict[str, Any]:
    """What the last Python block of a guide defines."""
    *_, code = re.findall(r"```python\n(.*?)```", document["info"]["description"], re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


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
    assert set(TABLE) == shown


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
        ("WebhookCreate", endpoints._ENDPOINT),
        ("WebhookChange", endpoints._ENDPOINT),
    ],
)
def test_bodies_have_the_fields_that_are_read(schema: str, fields: Any) -> None:
    body = BODIES[schema]
    assert list(body["properties"]) == [field.name for field in fields]
    assert body["additionalProperties"] is True
    for field in fields:
        assert validator(body["properties"][field.name]).is_valid(None) is not field.required, field.name
    if not schema.endswith("Change"):
        assert body.get("required", []) == [field.name for field in fields if field.required]


@pytest.mark.parametrize("name", ["reference", "provider_id", "provider", "amount", "name", "description"])
def test_the_bounds_of_an_invoice_are_those_that_are_read(name: str) -> None:
    for value, valid in at_the_bounds(BODIES["InvoiceCreate"]["properties"][name]):
        assert is_read(lambda v=value: parse.parse_create_invoice({**INVOICE, name: v}, LIVE, TODAY)) is valid, value


@pytest.mark.parametrize("name", ["title", "amount", "description", "reference", "external_id", "template_id"])
def test_the_bounds_of_a_payment_are_those_that_are_read(name: str) -> None:
    for value, valid in at_the_bounds(BODIES["PaymentCreate"]["properties"][name]):
        assert is_read(lambda v=value: parse.parse_create_payment({**PAYMENT, name: v}, LIVE, NOW, ())) is valid, value


@pytest.mark.parametrize("name", ["name", "description"])
async def test_the_bounds_of_a_webhook_are_those_that_are_read(name: str) -> None:
    webhook = {"name": "ERP", "url": "https://203.0.113.7/", "events": ["invoice.paid"]}
    for value, valid in at_the_bounds(BODIES["WebhookCreate"]["properties"][name]):
        try:
            await endpoints.parse_create({**webhook, name: value}, LIVE, UrlPolicy(allow_private=True))
        except parse.InvalidError:
            assert not valid, value
        else:
            assert valid, value


@pytest.mark.parametrize("schema", ["Invoice", "Collection", "Attempt"])
def test_our_own_objects_have_the_members_of_the_core_s_records(schema: str) -> None:
    """A member that is added to the core is shown by the feed, and so must be described; or be hidden."""
    fields = [f for f in getattr(model, schema).__struct_fields__ if f not in own_render._HIDDEN]
    assert list(DOCUMENTS["recaudo"]["components"]["schemas"][schema]["properties"]) == fields


@pytest.mark.parametrize(
    "body",
    [
        {"event_ids": ["evt_00031NFOhRbPW70ofLxC7oUb"]},
        {"event_ids": []},
        {"event_ids": ["evt_1"]},
        {"event_ids": "evt_00031NFOhRbPW70ofLxC7oUb"},
        {"from": "2025-10-20T00:00:00Z", "types": ["invoice.paid"]},
        {"from": "2025-10-20T00:00:00Z", "types": []},
        {"from": "2025-10-20T00:00:00Z", "types": [["invoice.paid"]]},
        {"from": "2025-10-20T00:00:00Z", "types": [{}]},
        {"from": "2025-10-20T00:00:00Z", "types": ["invoice.payed"]},
        {"from": "2025-10-20T00:00:00Z", "to": None, "endpoint_id": None, "event_ids": None},
        {"from": "yesterday"},
        {"only_failed": True},
        {"only_failed": "yes"},
        {"only_failed": True, "endpoint_id": "mine"},
    ],
)
def test_a_replay_is_read_as_its_schema_says(body: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/ReplayAsk"}
    try:
        own_parse.parse_replay(body)
    except OwnInvalidError:
        assert not validator(schema, DOCUMENTS["recaudo"]).is_valid(body)
    else:
        assert validator(schema, DOCUMENTS["recaudo"]).is_valid(body)


def test_the_dialects_of_our_own_document_are_those_that_endpoints_can_have() -> None:
    tellers = make_core(cast("Any", None), "x" * 32).webhooks
    assert list(own_schemas.DIALECTS) == list(tellers)


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
        ("/webhooks", "webhooks"),
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
