"""What schemathesis does differently with our documents; its own process loads this file (SCHEMATHESIS_HOOKS).

Idempotency keys are made from the request: the example's, sent with each, would answer nearly all of them 409. A
question to the feed may wait half a minute for news: not here. And a refusal of what the schema allows must be for its
meaning (a date long past, an id that nobody has), never for its form.
"""

import hashlib
import json
from typing import Any

import schemathesis

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
