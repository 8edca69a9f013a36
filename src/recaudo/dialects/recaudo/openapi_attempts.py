"""What our own document says about paying on a merchant's own page: ways to pay, and attempts."""

from collections.abc import Mapping
from typing import get_args

from recaudo.dialects.recaudo import openapi_examples as examples
from recaudo.dialects.recaudo.errors import PAYING_REFUSALS
from recaudo.dialects.recaudo.openapi_parts import answer, parameter
from recaudo.dialects.recaudo.openapi_schemas import ANSWERS, FLAG, TEXT, UUID, WHOLE, bounded_text, in_minor
from recaudo.dialects.recaudo.parse_attempts import TOKEN_CHARS_MAX, URL_CHARS_MAX, WORD_CHARS_MAX
from recaudo.domain.money import AMOUNT_MINOR_MAX
from recaudo.domain.payers import DocumentType
from recaudo.edge.openapi import Content, Example, Json, OperationDocs, member, nullable, record, ref

TAGS: Mapping[str, tuple[str, str]] = {
    "attempts": ("Attempts", "For a payment page of your own: the ways to pay, starting to pay, what became of it."),
}

# --- Examples ---

_TERMS: Json = {
    "terms_url": "https://wompi.com/assets/downloadble/reglamento-Usuarios-Colombia.pdf",
    "data_url": "https://wompi.com/assets/downloadble/autorizacion-administracion-datos-personales.pdf",
}
_NO_LIMITS: Json = {"min_amount_minor": None, "max_amount_minor": None}
_NEQUI: Json = {
    "gateway": "wompi",
    "method": "nequi",
    "kind": "accounts",
    "title": "Nequi",
    "is_available": True,
    **_NO_LIMITS,
    "asks": ["email", "phone"],
    "banks": [],
    "document_types": [],
    "terms": _TERMS,
    "by_token": None,
}
_PSE: Json = _NEQUI | {
    "method": "pse",
    "title": "PSE",
    "asks": ["person_type", "bank", "document_type", "document_number", "name", "email", "phone"],
    "banks": [{"code": "1007", "name": "BANCOLOMBIA"}, {"code": "1051", "name": "DAVIVIENDA"}],
    "document_types": ["CC", "NIT"],
}
_CARD: Json = _NEQUI | {
    "method": "card",
    "kind": "cards",
    "title": "Tarjeta",
    "asks": [],
    "terms": None,
    "by_token": {
        "asks": ["card_token", "email"],
        "installments_max": 36,
        "public_key": "pub_test_EJEMPLOabcd",
        "token_begins": "tok_test_",
        "terms": _TERMS,
    },
}
METHODS: Json = {
    "collection_id": examples.PAYMENT_ID,
    "currency": "COP",
    "refusal": None,
    "due_minor": 5000000,
    "min_part_minor": None,
    "max_part_minor": None,
    "open_attempts": 0,
    "data": [_PSE, _NEQUI, _CARD],
}
CARD_REQUEST: Json = {
    "method": "card",
    "payer": {"card_token": "tok_test_10018_EJEMPLO", "installments": 3, "email": "ana@example.com"},
    "accepted_terms": True,
}
PSE_REQUEST: Json = {
    "method": "pse",
    "amount_minor": 5000000,
    "payer": {
        "person_type": "natural",
        "bank": "1007",
        "document_type": "CC",
        "document_number": "1020304050",
        "name": "Ana Gómez",
        "email": "ana@example.com",
        "phone": "+573001234567",
    },
    "return_url": "https://tienda.example.com/gracias",
    "accepted_terms": True,
}
STARTED: Json = examples.ATTEMPT | {
    "state": "processing",
    "gateway": "wompi",
    "method_type": "pse",
    "gateway_tx_id": "11004-1760978334-80111",
    "failure_code": None,
    "failure_text": None,
    "ask_at": "2025-10-20T16:38:59.120000Z",
    "next": {
        "kind": "redirect",
        "url": "https://registro.pse.com.co/PSEUserRegister/StartTransaction.aspx?enc=EJEMPLO",
    },
}
FAILED: Json = examples.ATTEMPT | {"next": None}

# --- Schemas ---

_TERMS_SCHEMA: Json = record(
    "Terms",
    {
        "terms_url": member(TEXT, "The vendor's terms of use."),
        "data_url": member(TEXT, "Its authorisation to process personal data."),
    },
)
_WORDS: Json = {"type": "array", "items": TEXT}
_LIMIT = "The smallest amount that may be paid by it; null: any."

_METHOD: Mapping[str, Json] = {
    "gateway": member(TEXT, "Who collects."),
    "method": member(TEXT, "Its name: what a start sends as `method`."),
    "kind": member(TEXT, "The word of an invoice's `allows` that opens it."),
    "title": member(TEXT, "Its name for people, in Spanish."),
    "is_available": member(FLAG, "False: its gateway does not tell its banks or terms now, so it cannot be begun."),
    "min_amount_minor": nullable(in_minor(_LIMIT)),
    "max_amount_minor": nullable(in_minor("The largest; null: any.")),
    "asks": member(_WORDS, "The members of `payer` that are required. None: the gateway's own page asks."),
    "banks": member(
        {
            "type": "array",
            "items": record(
                "Bank", {"code": member(TEXT, "What `bank` is sent."), "name": member(TEXT, "For people.")}
            ),
        },
        "Where `bank` is asked: the banks to choose from.",
    ),
    "document_types": member(_WORDS, "Where a document is asked: the types that it may have."),
    "terms": nullable(member(_TERMS_SCHEMA, "What must be shown to the payer and accepted: `accepted_terms`.")),
    "by_token": nullable(
        member(
            record(
                "Card by token",
                {
                    "asks": member(_WORDS, "The members of `payer` that are required then."),
                    "installments_max": member(WHOLE, "The most that `installments` may be."),
                    "public_key": nullable(member(TEXT, "What the vendor's script on your page is given.")),
                    "token_begins": member(TEXT, "How a token of this account's environment begins."),
                    "terms": nullable(member(_TERMS_SCHEMA, "What must be accepted then.")),
                },
            ),
            "How your page may charge a card without leading the payer to the gateway's; null: it cannot.",
        )
    ),
}

_PAYABLE: Mapping[str, Json] = {
    "collection_id": member(UUID, "The collection."),
    "currency": member(TEXT, "ISO 4217."),
    "refusal": nullable(
        member(TEXT, "Why it takes no money now; null: it does.", enum=[it.value for it in PAYING_REFUSALS])
    ),
    "due_minor": nullable(in_minor("What is due on it; null: the payer types the amount.")),
    "min_part_minor": nullable(in_minor("The smallest part that may be paid now; null: no parts.")),
    "max_part_minor": nullable(in_minor("The largest.")),
    "open_attempts": member(WHOLE, "Attempts that are not decided yet: a start needs `again` then."),
    "data": member({"type": "array", "items": ref("PayMethod")}, "The ways to pay, in the order to show them in."),
}

_STEP: Mapping[str, Json] = {
    "kind": member(
        TEXT,
        "`redirect`: lead the browser to `url`. `form`: send `fields` to `action` from the browser. `picture`: show it "
        "to be scanned. `confirm`: the payer confirms in an application; show `text`.",
        enum=["redirect", "form", "picture", "confirm"],
    ),
    "url": member(TEXT, "Of a redirect."),
    "method": member(TEXT, "Of a form: how it is sent.", enum=["GET"]),
    "action": member(TEXT, "Of a form: where to."),
    "fields": member(
        {
            "type": "array",
            "items": record("Field", {"name": member(TEXT, "Its name."), "value": member(TEXT, "Its value.")}),
        },
        "Of a form, in this order.",
    ),
    "media_type": member(TEXT, "Of a picture."),
    "image": member(TEXT, "Of a picture: base64."),
    "application": member(TEXT, "Of a confirmation."),
    "text": member(TEXT, "Of a confirmation: what to tell the payer, in Spanish."),
}

_PAYER: Mapping[str, Json] = {
    "person_type": member(TEXT, "Who pays.", enum=["natural", "legal"]),
    "bank": member(TEXT, "The code of one of the method's banks."),
    "document_type": member(TEXT, "One of the method's types.", enum=list(get_args(DocumentType))),
    "document_number": member(TEXT, "With or without dots."),
    "name": member(TEXT, "In full, 2 to 100 characters."),
    "email": member(TEXT, "One address."),
    "phone": member(TEXT, "Colombian, ten digits, with or without +57."),
    "card_token": member(TEXT, "What the vendor's script made of the card.", maxLength=TOKEN_CHARS_MAX + 20),
    "installments": member(WHOLE, "With `card_token`.", minimum=1, maximum=36, default=1),
    "ip": member(TEXT, "The payer's, for the vendor's fraud checks. Always optional."),
}

SCHEMAS: Mapping[str, Json] = {
    "Payable": record("What may be paid, and how", _PAYABLE),
    "PayMethod": record("Way to pay", _METHOD),
    "NextStep": record("What the payer does next", _STEP, optional=tuple(name for name in _STEP if name != "kind")),
    "StartedAttempt": record(
        "Attempt with its next step",
        {
            **ANSWERS["Attempt"]["properties"],
            "next": nullable(member(ref("NextStep"), "What the payer does next; null: nothing.")),
        },
    ),
    "AttemptStart": record(
        "Attempt to start",
        {
            "method": bounded_text(WORD_CHARS_MAX, "One of the ways to pay."),
            "gateway": bounded_text(WORD_CHARS_MAX, "Whose, where several offer it; the first of them unless sent."),
            "amount_minor": nullable(
                member(
                    {"type": "integer", "minimum": 1, "maximum": AMOUNT_MINOR_MAX},
                    "How much, in minor units: cents. What is due unless sent.",
                )
            ),
            "payer": member(
                record("Payer", _PAYER, optional=tuple(_PAYER)) | {"additionalProperties": False},
                "What the method asks for. It goes to the gateway and is kept nowhere.",
            ),
            "return_url": nullable(
                member(
                    TEXT,
                    "Where the gateway sends the browser back to: https; http for your own machine where the server "
                    "allows it. Our payment page unless sent.",
                    maxLength=URL_CHARS_MAX,
                )
            ),
            "accepted_terms": member(
                FLAG, "The payer accepted the method's terms. Must be true where it has any.", default=False
            ),
            "again": member(FLAG, "Pay although an earlier attempt is not decided yet.", default=False),
        },
        optional=("gateway", "amount_minor", "payer", "return_url", "accepted_terms", "again"),
    )
    | {"additionalProperties": False},
}

# --- Operations ---

PATH_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "collection_id": ("The collection; OnePay's payment.", examples.PAYMENT_ID),
    "attempt_id": ("The attempt; OnePay's payment intent.", examples.INTENT_ID),
}

OPERATIONS: Mapping[str, OperationDocs] = {
    "listMethods": OperationDocs(
        description="What a payer may choose from now, as our own payment page would offer it: each method once, of "
        "the first gateway that has it; the sandbox only where no gateway is set up. Show `terms` beside the button: "
        "payers must be able to read both documents before they accept.",
        success="The ways to pay. None, with the reason in `refusal`, while it takes no money.",
        answer=answer("Payable", "PSE, Nequi and cards at Wompi", METHODS),
        query=(
            parameter(
                "amount_minor",
                "Only methods that take this amount.",
                {"type": "integer", "minimum": 1, "maximum": AMOUNT_MINOR_MAX},
            ),
        ),
        errors=("not_found_collection", "invalid_query_amount"),
    ),
    "startAttempt": OperationDocs(
        description="Starts to pay, and says what the payer does `next`: follow it whatever its kind, as another "
        "gateway may have taken over from one that could not be reached. Without a next step the attempt is decided, "
        "or soon will be: [events](#listEvents) and [the attempt](#getAttempt) tell.\n\n"
        "**One key, one attempt.** Send the same request with the same key until you have an answer: nothing is "
        "charged twice, whoever crashed in between. While the first one is at work the answer is 409 "
        "`key_in_progress`. For another try of the payer's take another key.\n\n"
        "**Cards.** Without `card_token` the payer is led to the gateway's page. With it, made by the vendor's script "
        "on your page with `public_key`, the card is charged at once. A card's number must never be sent: whatever "
        "looks like one is refused, and neither logged nor kept.\n\n"
        "What `payer` holds goes to the gateway. It is kept nowhere, and no answer repeats it.",
        status=201,
        success="The attempt after the gateway's first answer. One that failed already is a 201 too: see its `state`.",
        answer=answer(
            "StartedAttempt",
            "The payer goes to the bank",
            STARTED,
            declined=Example("The card was declined", FAILED),
        ),
        body=Content(
            ref("AttemptStart"),
            {
                "card": Example("A card that became a token", CARD_REQUEST),
                "pse": Example("PSE", PSE_REQUEST),
                "page": Example("A card on the gateway's own page", {"method": "card"}),
            },
        ),
        errors=(
            "not_found_collection",
            "method_not_allowed_here",
            "validation_error_attempt",
            "idempotency_key_reused",
            "gateway_silent",
            *(refusal.value for refusal in PAYING_REFUSALS),
        ),
        once_example="order-1842-try-1",
    ),
    "getAttempt": OperationDocs(
        description="The attempt as it is now. `next` is there while the payer can still do it.",
        success="The attempt.",
        answer=answer("StartedAttempt", "It was declined", FAILED),
        errors=("not_found_attempt",),
    ),
    "askAttempt": OperationDocs(
        description="Asks the gateway now, as when a payer comes back to our page: call it when one comes back to "
        "yours. The schedule of questions goes on as it was. Five at once for an attempt, then one every ten seconds.",
        success="The attempt after the gateway's answer. When that is silent, as it was.",
        answer=answer("StartedAttempt", "It was declined", FAILED),
        errors=("not_found_attempt",),
    ),
}
