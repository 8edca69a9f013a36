"""What schemathesis does differently with our documents; its own process loads this file (SCHEMATHESIS_HOOKS).

Idempotency keys are made from the request: the example's, sent with each, would answer nearly all of them 409. A
question to the feed may wait half a minute for news: not here. And a refusal of what the schema allows must be for its
meaning (a date long past, an id that nobody has), never for its form.
"""

import hashlib
import json
from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import ensure_resource_availability, use_after_free

KEYS = ("x-idempotency", "Idempotency-Key")
# What no request that fits its schema may be told.
FORMS = ("malformed", "key_missing", "unsupported_media_type", "query_too_long")


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    query = case.query
    if query and "wait" in query and str(query["wait"]).isdigit() and 1 <= int(query["wait"]) <= 30:
        query["wait"] = "0"
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return  # a case that was changed forgets in what it is meant to be wrong
    for name in KEYS:
        if name in (case.headers or {}):
            request = [case.method, case.path, case.path_parameters, case.query, case.body]
            case.headers[name] = hashlib.sha256(repr(request).encode("utf-8", "replace")).hexdigest()[:32]


@schemathesis.hook
def filter_query(context: schemathesis.HookContext, query: dict[str, Any] | None) -> bool:
    """What is wrong in a schema's eyes and right once it is text in an address.

    An object or a number for words is text. Of a parameter that is sent twice the last one counts, and of two names of
    one thing the published one.
    """
    sent = query or {}
    if {"limit", "per_page"} <= {*sent}:
        return False
    return not any(
        isinstance(value, dict | bool | int | float) if name.startswith("filter[") else isinstance(value, dict | list)
        for name, value in sent.items()
    )


@schemathesis.check
def what_was_deleted_is_gone(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """But invoices and payments: what was withdrawn or cancelled is read as that (OnePay specification, 8.5, 10.4)."""
    return None if case.path.startswith(("/invoices/", "/payments/")) else use_after_free(ctx, response, case)


@schemathesis.check
def what_was_created_is_there(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """Unless its creation was answered before, under the same key, and it was deleted since."""
    parent = ctx.internals.find_parent(case_id=case.id)
    created = None if parent is None else ctx.internals.find_response(case_id=parent.id)
    if created is not None and "idempotent-replayed" in created.headers:
        return None
    return ensure_resource_availability(ctx, response, case)


@schemathesis.check
def refusals_of_good_form_are_about_the_meaning(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    made = case.meta
    if not 400 <= response.status_code < 500 or made is None or not made.generation.mode.is_positive:
        return
    told = json.loads(response.content or b"{}")
    name = str(told.get("code_name", told.get("code")))
    assert not any(form in name for form in FORMS), f"what the document allows was refused: {name}"
    assert name not in {"validation_error", "invalid_query"} or told["errors"], "a refusal names what is wrong"
