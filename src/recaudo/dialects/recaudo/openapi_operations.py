"""What our own document says about each operation, beside what the route table knows."""

from collections.abc import Mapping, Sequence

from recaudo.dialects.recaudo import openapi_examples as examples
from recaudo.dialects.recaudo.errors import PAYING_REFUSALS
from recaudo.dialects.recaudo.feed import WAIT_S_MAX
from recaudo.dialects.recaudo.openapi_money_operations import OPERATIONS as _MONEY
from recaudo.dialects.recaudo.openapi_parts import LIMIT, PAGING, answer, parameter, rows
from recaudo.dialects.recaudo.openapi_schemas import DIALECTS, EVENT_NAME, EVENT_TYPE, TEXT, UUID
from recaudo.domain.delivering import ENDPOINTS_MAX, DeliveryState
from recaudo.edge.openapi import Content, Example, Json, OperationDocs, ref

_FEED_QUERY: Sequence[Json] = (
    LIMIT,
    parameter(
        "cursor",
        "The `next_cursor` of the page before. Without it the feed begins at the account's first event; `end` skips "
        "all that has happened.",
        TEXT,
    ),
    parameter(
        "type",
        "Only these types, separated by commas.",
        {"type": "array", "items": EVENT_TYPE, "minItems": 1},
        style="form",
        explode=False,
    ),
    parameter("subject", "Only what happened to this invoice, request or endpoint.", UUID),
    parameter(
        "wait",
        "When there is nothing yet, wait up to so many seconds for it.",
        {"type": "integer", "minimum": 0, "maximum": WAIT_S_MAX, "default": 0},
        example=WAIT_S_MAX,
    ),
    parameter("dialect", "Add what endpoints of this dialect are sent.", {"type": "string", "enum": list(DIALECTS)}),
)

_EVENTS: Mapping[str, OperationDocs] = {
    "listEvents": OperationDocs(
        description="Everything that happened to the account, in the order in which it was committed; no event is ever "
        "passed by. Keep `next_cursor` with what you did about the page, and ask with it again: that is all a program "
        "needs to stay in step, without an endpoint and across outages.\n\n"
        "With `wait` the answer comes as soon as something happens, or empty when the time is over. With `type` or "
        "`subject` a page may be short, even empty, while `has_more` is true: go on with its cursor.",
        success="The next events.",
        answer=answer("EventPage", "A declined card, then a paid invoice", examples.EVENT_PAGE),
        query=_FEED_QUERY,
        errors=("invalid_query", "invalid_query_cursor", "too_many_waiting"),
    ),
    "replayEvents": OperationDocs(
        description="Tells events again, with the same bytes and the same `webhook-id`: after your program lost some, "
        "or for a new endpoint that wants the past. Say which by id, by the time they happened, or only those whose "
        "newest telling was given up; endpoints get only the types they listen to. The worker queues them page by "
        "page, oldest first, however many they are.",
        status=202,
        success="The replay, which has begun.",
        answer=answer("Replay", "Queued soon", examples.REPLAY),
        body=Content(
            ref("ReplayAsk"),
            {
                "range": Example("A day's payments, to one endpoint", examples.REPLAY_REQUEST),
                "dead": Example("Everything that was given up", {"only_failed": True}),
                "ids": Example("Two events", {"event_ids": [examples.FAILED_EVENT_ID, examples.PAID_EVENT_ID]}),
            },
        ),
        errors=("not_found_endpoint", "validation_error_replay"),
    ),
    "getReplay": OperationDocs(
        description="How far a replay is. `done` means that everything is queued; each delivery then tells its own "
        "story.",
        success="The replay.",
        answer=answer("Replay", "All queued", examples.DONE_REPLAY),
        errors=("not_found_replay",),
    ),
}

_CHANGES = ("idempotency_key_reused",)

_WEBHOOKS: Mapping[str, OperationDocs] = {
    "createWebhook": OperationDocs(
        description="Adds an endpoint in any dialect: `recaudo` tells events as the feed shows them, `onepay` as "
        f"OnePay does. An account may have {ENDPOINTS_MAX} in each. **Keep `secret`**: it is not shown again, but "
        "in the answer to the same request with the same `Idempotency-Key`.",
        status=201,
        success="The endpoint with its secret.",
        answer=answer("Endpoint", "A new endpoint", examples.ENDPOINT_WITH_SECRET),
        body=Content(
            ref("EndpointCreate"),
            {
                "own": Example("In our own words", examples.ENDPOINT_REQUEST),
                "onepay": Example(
                    "In OnePay's words",
                    {
                        "dialect": "onepay",
                        "name": "ERP",
                        "url": "https://erp.example.com/hooks",
                        "types": ["invoice.paid", "payment.rejected"],
                    },
                ),
            },
        ),
        errors=("webhook_limit", "validation_error_endpoint", *_CHANGES),
        once_example="ledger-endpoint",
    ),
    "listWebhooks": OperationDocs(
        description="The account's endpoints, those of other dialects too, without their secrets.",
        success="All endpoints.",
        answer=answer(
            "EndpointList",
            "One of each dialect; the second one fails",
            rows(examples.ENDPOINT, examples.ONEPAY_ENDPOINT),
        ),
    ),
    "getWebhook": OperationDocs(
        description="An endpoint without its secret. Its deliveries: `GET /deliveries?endpoint=`.",
        success="The endpoint.",
        answer=answer("Endpoint", "An endpoint", examples.ENDPOINT),
        errors=("not_found_endpoint",),
    ),
    "updateWebhook": OperationDocs(
        description="Changes what is sent. `types` is replaced as a whole and counts from the next event on; a new "
        "`url` counts for what waits, too.",
        success="The endpoint without its secret.",
        answer=answer("Endpoint", "With other types", examples.CHANGED_ENDPOINT),
        body=Content(ref("EndpointChange"), {"types": Example("Other types", {"types": ["invoice.paid"]})}),
        errors=("not_found_endpoint", "validation_error_endpoint", *_CHANGES),
    ),
    "deleteWebhook": OperationDocs(
        description="Removes an endpoint and drops what waits for it. What became of its deliveries stays readable.",
        status=204,
        success="Removed. No body.",
        errors=("not_found_endpoint", *_CHANGES),
    ),
    "rotateWebhook": OperationDocs(
        description="Gives an endpoint a new secret. For `overlap_hours` (24 unless sent) `webhook-signature` carries "
        "two signatures, the new secret's first, so that a receiver with either passes; so does `x-treli-signature`. "
        "`0` ends the old one at once.",
        success="The endpoint with its new secret.",
        answer=answer("Endpoint", "The new secret", examples.ROTATED_ENDPOINT),
        body=Content(
            ref("EndpointRotate"),
            {
                "calm": Example("Two days to change it", {"overlap_hours": 48}),
                "leaked": Example("At once", {"overlap_hours": 0}),
            },
        ),
        errors=("not_found_endpoint", "validation_error_overlap", *_CHANGES),
    ),
    "testWebhook": OperationDocs(
        description="Queues an invented event of the first type the endpoint lists, about objects whose ids are all "
        "zeros. It is signed and tried again like any other.",
        success="The delivery that was queued.",
        answer=answer("EndpointSample", "The delivery", {"delivery_id": examples.DELIVERY_ID}),
        errors=("not_found_endpoint",),
    ),
    "listDeliveries": OperationDocs(
        description="Each telling of an event to an endpoint, newest first. `state=failed` is the dead list: what was "
        "given up after three days, kept until you replay it.",
        success="A page of deliveries.",
        answer=answer("DeliveryPage", "The dead list", rows(examples.DEAD_DELIVERY)),
        query=(
            *PAGING,
            parameter(
                "state", "Only in this state.", {"type": "string", "enum": list(DeliveryState)}, example="failed"
            ),
            parameter("endpoint", "Only to this endpoint.", UUID),
            parameter("event", "Only of this event.", EVENT_NAME),
        ),
        errors=("invalid_query", "invalid_query_cursor"),
    ),
    "getDelivery": OperationDocs(
        description="One delivery with every try: when, what was answered, how long it took, what went wrong.",
        success="The delivery with its tries.",
        answer=answer("DeliveryDetail", "A slow answer, then a refusal", examples.DELIVERY_DETAIL),
        errors=("not_found_delivery",),
    ),
}

_CLOCK = Content(ref("Clock"), {"clock": Example("A test account's present", {"now": "2025-10-20T15:06:00.000000Z"})})

_TEST_TOOLS: Mapping[str, OperationDocs] = {
    "getClock": OperationDocs(
        description="The account's present. A live account's is real time.", success="The clock.", answer=_CLOCK
    ),
    "moveClock": OperationDocs(
        description="Moves a test account's clock forward: invoices fall due, links expire, retries come up. "
        "Due work is performed by the worker soon after.",
        success="The clock after the move.",
        answer=_CLOCK,
        body=Content(
            ref("ClockMove"),
            {
                "advance": Example("Three days on", {"advance_seconds": 259200}),
                "set": Example("To an instant", {"now": "2030-01-15T13:00:00Z"}),
            },
        ),
        errors=("test_accounts_only", "validation_error_clock"),
    ),
    "payInSandbox": OperationDocs(
        description="Does what a payer would do on the page of a test payment, with the outcome you choose. "
        "With `Idempotency-Key`, the same key on the same payment returns the attempt it made.",
        success="The attempt after the sandbox's first answer.",
        answer=Content(
            ref("SandboxAttempt"),
            {
                "approved": Example(
                    "Paid",
                    {
                        "payment_intent_id": examples.INTENT_ID,
                        "payment_id": examples.PAYMENT_ID,
                        "state": "succeeded",
                    },
                )
            },
        ),
        body=Content(
            ref("SandboxPayment"),
            {
                "approve": Example("Pay all that is owed by card", {"outcome": "approve", "method": "card"}),
                "decline": Example("A part that is declined", {"outcome": "decline", "method": "pse", "amount": 20000}),
            },
        ),
        errors=(
            "test_accounts_only",
            "not_found",
            "method_not_allowed_here",
            "validation_error_payment",
            *(refusal.value for refusal in PAYING_REFUSALS),
        ),
    ),
}

OPERATIONS: Mapping[str, OperationDocs] = {**_EVENTS, **_WEBHOOKS, **_MONEY, **_TEST_TOOLS}
