"""The wire as the specification writes it, once more and on its own: error rows, members in order, ids, clients."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.world import Answer, Client


def _names(text: str) -> list[str]:
    return text.split()


FIXTURES = Path(__file__).parents[2] / "fixtures" / "treli"

# Section 3.
ROWS = {
    "malformed_json": 400,
    "validation_error": 400,
    "unauthenticated": 401,
    "account_inactive": 403,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_key_reused": 409,
    "idempotency_in_progress": 409,
    "customer_exists": 409,
    "price_in_use": 409,
    "product_in_use": 409,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
}

# Section 6.
CUSTOMER = _names(
    "id email full_name created_date is_test billing_address default_payment_method is_deleted collection_emails "
    "credit_balance"
)
ADDRESS = _names(
    "first_name last_name id_type identification address_1 address_2 phone phone_country_code city state postcode "
    "country company person_type regimen_type"
)
PRODUCT = _names(
    "id name description status product_merchant_id product_invoicing_id product_shopify_id product_woocommerce_id "
    "created_date image is_test invoice_settings"
)
PRICE = _names(
    "id unit_price pricing_model currency billing_period billing_interval type pricing_tiers ntp_pricing created_date "
    "active is_test product_id"
)
RETENTION = _names("id kind name percentage minimum_base valid_from valid_until active created_date is_test")
RULE = _names("id name moments created_date is_test")
PAGE = ["data", "has_more", "next_cursor"]

LOCAL = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
NOBODY = "0002yG8wOXo7DRJrPBGxisvt"
"""The digits of an id that no account of these tests has."""


def published(name: str) -> Any:
    """A file of the specification's examples."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def basic(user: str, password: str = "") -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def speaks_treli(client: Client) -> Client:
    """The same client by the Basic scheme."""
    return replace(client, headers={"Authorization": basic(client.key)})


def is_id(prefix: str, text: str) -> bool:
    return re.fullmatch(rf"{prefix}_[0-9A-Za-z]{{24}}", text) is not None


def good(answer: Answer) -> Any:
    """The body of a success: all of them are 200."""
    assert answer.status == 200, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["recaudo-request-id"]
    return answer.json


def refusal(
    answer: Answer, code: str, *, fields: Sequence[str] | None = None, existing_id: str | None = None
) -> dict[str, Any]:
    """The body of an error, after checking all of section 3. `fields` are those at fault, in order."""
    body = answer.json
    assert (answer.status, body and body.get("code")) == (ROWS[code], code), (answer.status, answer.body)
    members = ["code", "message", "errors"]
    if code == "customer_exists":
        members.append("existing_id")
    assert list(body) == members
    assert body["message"].endswith(".")
    for error in body["errors"]:
        assert list(error) == ["field", "message"]
        assert error["message"].endswith("."), error
    if code == "validation_error":
        count = len({error["field"] for error in body["errors"]})
        words = "1 campo" if count == 1 else f"{count} campos"
        assert body["message"] == f"La solicitud tiene {words} con errores."
    if fields is not None:
        assert [error["field"] for error in body["errors"]] == list(fields)
    if existing_id is not None:
        assert body["existing_id"] == existing_id
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["recaudo-request-id"]
    return body
