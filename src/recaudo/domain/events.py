"""Every kind of event that the core raises. Dialects tell them in their own words."""

from collections.abc import Mapping

EVENT_TYPES: Mapping[str, str] = {
    "invoice.created": "an invoice was loaded",
    "invoice.updated": "its data or its amount changed; a new collection replaced the live one",
    "invoice.part_received": "money arrived and a balance remains",
    "invoice.paid": "it was settled in full",
    "invoice.withdrawn": "it was withdrawn by the merchant, or credit notes left nothing of it",
    "invoice.reopened": "money went back or a credit note was voided, and it is owed and asked for again",
    "invoice.credited": "a credit note lowered it by `lowered_minor`",
    "invoice.credit_voided": "a credit note was voided: `lowered_minor` counts again",
    "request.created": "a request to pay without an invoice was opened",
    "request.updated": "its data changed",
    "request.part_received": "money arrived for it and a balance remains",
    "request.paid": "it was settled in full",
    "request.reopened": "money went back, and it is asked for again",
    "request.withdrawn": "it was withdrawn by the merchant",
    "collection.opened": "a request to pay was opened",
    "collection.part_received": "a part was received and a balance remains",
    "collection.paid": "it was settled in full",
    "collection.overpaid": "more arrived than was owed; `excess_minor` became customer credit",
    "collection.refunded": "money of it went back, `refunded_minor`; a paid invoice stays paid unless it is reopened",
    "collection.reopened": "a sum that had paid it was undone, and it asks for money again under the same link",
    "collection.changed": "its amount or its discounts changed",
    "collection.overdue": "its due day is over and a balance is left; told once",
    "collection.uncollectible": "it was given up",
    "collection.cancelled": "it was cancelled: by the merchant, by a newer one, or because money arrived elsewhere",
    "collection.expired": "its time ended and nothing had arrived",
    "collection.part_expired": "its time ended after at least one part",
    "attempt.started": "a payer chose how to pay",
    "attempt.processing": "the gateway is at work on it",
    "attempt.unknown": "the gateway did not answer; it is asked again until it does",
    "attempt.succeeded": "the gateway collected the money",
    "attempt.failed": "the gateway declined it; the collection stays open",
    "attempt.refunded": "the gateway gave the money back",
    "attempt.disputed": "the payer disputes it with the bank",
    "endpoint.failing": "an endpoint of the account had no success for an hour of tries",
}

ENDPOINT_FAILING = "endpoint.failing"
