"""What our own document says about the events that endpoints of our own dialect are told."""

from collections.abc import Mapping

from recaudo.dialects.recaudo import openapi_examples as examples
from recaudo.domain.events import EVENT_TYPES
from recaudo.edge.openapi import Content, EventDocs, EventsDocs, Example, Json, ref

_EXAMPLES: Mapping[str, Example] = {
    "invoice.paid": Example("A paid invoice", examples.PAID_EVENT),
    "attempt.failed": Example("A declined card", examples.FAILED_EVENT),
    "endpoint.failing": Example("Another endpoint does not answer", examples.FAILING_EVENT),
}


def _docs(type_: str, meaning: str) -> EventDocs:
    schema = {"allOf": [ref("Event"), {"properties": {"type": {"const": type_}}}]}
    shown = {"example": _EXAMPLES[type_]} if type_ in _EXAMPLES else {}
    return EventDocs(when=f"{meaning[0].upper()}{meaning[1:]}.", body=Content(schema, shown))


def _header(name: str, description: str, example: str) -> Json:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


EVENTS = EventsDocs(
    tag="types",
    headers=(
        _header("User-Agent", "Who sends.", "Recaudo-Webhook/1"),
        _header("Recaudo-Subject-Version", "The event's `subject.version`.", "4"),
        _header("webhook-id", "The event's `id`; the same in every retry.", examples.PAID_EVENT_ID),
        _header("webhook-timestamp", "Unix seconds of this try, in real time.", "1760978414"),
        _header(
            "webhook-signature",
            "`v1,` and the base64 HMAC-SHA256 of `webhook-id.webhook-timestamp.body` under the secret (Standard "
            "Webhooks). During a rotation there are two, separated by a space.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    ),
    answer="Any 2xx within 10 seconds. Everything else, redirects included, is tried again.",
    types={type_: _docs(type_, meaning) for type_, meaning in EVENT_TYPES.items()},
)
