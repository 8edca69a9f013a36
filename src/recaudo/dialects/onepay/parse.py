"""The request bodies of the OnePay dialect: validated and turned into the core's commands.

Each body is a table, in the order of the specification, and a function that reads it in one pass. All errors of a
body are reported together (InvalidError); members that were not understood are returned as dotted paths (1.3).
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from recaudo.dialects.onepay.fields import (
    amount,
    as_uuid,
    choice,
    country,
    customer_id,
    due_date,
    email,
    flag,
    future_instant,
    past_date,
    pattern,
    phone,
    text,
    url,
)
from recaudo.dialects.onepay.objects import (
    allows,
    check_minimum,
    metadata,
    metadata_or_pairs,
    no_splits,
    partial_in_cents,
    partial_in_pesos,
    tax,
)
from recaudo.dialects.onepay.queries import InvalidQueryError, parse_list
from recaudo.dialects.onepay.reading import Field, InvalidError, Reading, read_changed, read_created
from recaudo.domain.model import Account, Invoice, InvoiceKind
from recaudo.usecases.customers import RegisterCustomer
from recaudo.usecases.invoices import OpenInvoice

__all__ = [
    "InvalidError",
    "InvalidQueryError",
    "customer_ids",
    "parse_change_invoice",
    "parse_create_customer",
    "parse_create_invoice",
    "parse_create_payment",
    "parse_list",
    "parse_resend",
    "parse_withdraw",
]

DIALECT = "onepay"

DELETE_FROM_PROVIDER = "DELETE_FROM_PROVIDER"
PAID_FROM_PROVIDER = "PAID_FROM_PROVIDER"

CONTACT_MESSAGES: Mapping[str, str] = {
    "either": "Se necesita el teléfono (phone) en formato E.164 o el correo electrónico (email).",
    "both": "Se necesitan el teléfono (phone) en formato E.164 y el correo electrónico (email).",
}
"""By the account's contact rule. Clients look for these words, on either field (3.1)."""

# --- Body tables ---

_INVOICE = (
    Field("reference", "reference", text(1, 100), required=True),
    Field("provider_id", "origin_id", text(1, 100)),
    Field("provider", "origin", text(1, 50), required=True),
    Field("amount", "amount_minor", amount, required=True),
    Field("name", "name", text(5, 100), required=True),
    Field("description", "description", text(1, 500, lines=True)),
    Field("phone", "phone", phone),
    Field("email", "email", email),
    Field("due_date", "due_on", due_date),
    Field("document_url", "document_url", url),
    Field("metadata", "metadata", metadata),
    Field("partial_payment_config", "partial", partial_in_pesos),
)
_INVOICE_NAMES = frozenset(field.name for field in _INVOICE)

# The system that issued an invoice does not change: `provider` is ignored and reported.
_INVOICE_CHANGE = tuple(field for field in _INVOICE if field.name != "provider")
_INVOICE_CHANGE_NAMES = frozenset(field.name for field in _INVOICE_CHANGE)

_PAYMENT = (
    Field("title", "name", text(1, 100), required=True),
    Field("amount", "amount_minor", amount),
    Field("currency", "currency", choice("COP")),
    Field("description", "description", text(1, 500, lines=True)),
    Field("phone", "phone", phone),
    Field("email", "email", email),
    Field("reference", "reference", text(1, 100)),
    Field("external_id", "origin_id", text(1, 100)),
    Field("customer_id", "customer_id", customer_id),
    Field("document_url", "document_url", url),
    Field("redirect_url", "redirect_url", url),
    Field("due_date", "due_on", due_date),
    Field("expiration_date", "expires_at", future_instant(or_day=True)),
    Field("schedule_at", "schedule_at", future_instant(or_day=False)),
    Field("template_id", "template_id", text(1, 100)),
    Field("tax", "tax", tax),
    Field("metadata", "metadata", metadata_or_pairs),
    Field("allows", "allows", allows),
    Field("splits", "splits", no_splits),
    Field("partial_payment_config", "partial", partial_in_cents),
)
_PAYMENT_NAMES = frozenset(field.name for field in _PAYMENT)
_PAYMENT_CHECKED_ONLY = ("currency", "splits")
_PAYMENT_WIRE = ("schedule_at", "template_id", "tax")

_CUSTOMER = (
    Field("user_type", "user_type", choice("natural", "company")),
    Field("first_name", "first_name", text(1, 100), required=True),
    Field("last_name", "last_name", text(1, 100)),
    Field("email", "email", email),
    Field("phone", "phone", phone),
    Field("document_type", "document_type", choice("CC", "CE", "NIT", "PASSPORT")),
    Field("document_number", "document_number", pattern(r"[A-Za-z0-9-]{3,30}", "de 3 a 30 letras, dígitos o guiones")),
    Field("enable_notifications", "enable_notifications", flag),
    Field("nationality", "nationality", country),
    Field("birthdate", "birthdate", past_date),
    Field("related_to", "related_to", customer_id),
)
_CUSTOMER_NAMES = frozenset(field.name for field in _CUSTOMER)

# These two bodies mean the same for every account and on every day.
_ANY_ACCOUNT = Account(id=UUID(int=0), merchant_id=UUID(int=0), is_test=False)
_WITHDRAWAL = (Field("reason", "reason", choice(DELETE_FROM_PROVIDER, PAID_FROM_PROVIDER)),)
_RESEND = (Field("template_id", "template_id", text(1, 100)),)


# --- Invoices ---


def parse_create_invoice(body: Mapping[str, Any], account: Account, today: date) -> tuple[OpenInvoice, list[str]]:
    """The invoice that POST /invoices asks for (8.1), and ignored members. `today` is in the account's zone.

    Raises InvalidError.
    """
    reading = Reading(account, today)
    values = read_created(reading, _INVOICE, body)
    _check_contact(reading, body.get("phone"), body.get("email"), rule=account.contact_rule)
    if not body.keys() <= _INVOICE_NAMES:
        reading.ignore_unknown(body, _INVOICE_NAMES)
    reading.finish(_INVOICE)
    return OpenInvoice(dialect=DIALECT, **values), reading.ignored


def parse_change_invoice(
    body: Mapping[str, Any], invoice: Invoice, account: Account, today: date
) -> tuple[dict[str, Any], list[str]]:
    """The core's fields that PUT /invoices/{id} changes (8.4), and ignored members. Absent fields stay absent.

    Raises InvalidError, also when what results has too little contact or limits that do not fit.
    """
    reading = Reading(account, today, amount_minor=invoice.amount_minor)
    values = read_changed(reading, _INVOICE_CHANGE, body)
    if values.get("metadata", {}) is None:
        values["metadata"] = {}
    _check_contact(
        reading, body.get("phone", invoice.phone), body.get("email", invoice.email), rule=account.contact_rule
    )
    if "partial" not in values:
        check_minimum(reading, "partial_payment_config.min_amount", invoice.partial)
    reading.ignore_unknown(body, _INVOICE_CHANGE_NAMES)
    reading.finish(_INVOICE_CHANGE)
    return values, reading.ignored


def parse_withdraw(body: Mapping[str, Any] | None, query_reason: str | None) -> tuple[str, list[str]]:
    """The reason of DELETE /invoices/{id}, from the body or the query (8.5), and ignored members.

    Raises InvalidError, also when both are sent and differ.
    """
    sent = body or {}
    reading = Reading(_ANY_ACCOUNT, date.min)
    reason = read_created(reading, _WITHDRAWAL, sent).get("reason")
    if query_reason is not None:
        asked = read_created(reading, _WITHDRAWAL, {"reason": query_reason}).get("reason")
        if not reading.errors and reason not in {None, asked}:
            reading.refuse("reason", "El campo reason del cuerpo y el de la consulta son distintos.")
        reason = asked
    reading.ignore_unknown(sent, ("reason",))
    reading.finish(_WITHDRAWAL)
    return reason or DELETE_FROM_PROVIDER, reading.ignored


# --- Stand-alone payments ---


def parse_create_payment(
    body: Mapping[str, Any], account: Account, now: datetime, known_customers: Collection[UUID]
) -> tuple[OpenInvoice, list[str]]:
    """The request to pay that POST /payments asks for (10.1), and ignored members. `now` is on the account's clock.

    `known_customers` are those of `customer_ids` that the account has. What the core does not know (tax, schedule_at,
    template_id) is kept in `wire`, and so is that no metadata was sent, which is printed as null instead of {}.
    Raises InvalidError.
    """
    today = now.astimezone(ZoneInfo(account.time_zone)).date()
    reading = Reading(account, today, now=now, known_customers=known_customers)
    values = read_created(reading, _PAYMENT, body)
    if body.get("partial_payment_config") is not None and body.get("amount") is None:
        reading.refuse("partial_payment_config", "El campo partial_payment_config necesita amount.")
    reading.ignore_unknown(body, _PAYMENT_NAMES)
    reading.finish(_PAYMENT)
    for name in _PAYMENT_CHECKED_ONLY:
        values.pop(name, None)
    wire = {name: _wire_value(values.pop(name)) for name in _PAYMENT_WIRE if name in values}
    if "metadata" not in values:
        wire["metadata"] = False
    values.setdefault("amount_minor", None)
    command = OpenInvoice(dialect=DIALECT, kind=InvoiceKind.REQUEST, wire={DIALECT: wire} if wire else {}, **values)
    return command, reading.ignored


def parse_resend(body: Mapping[str, Any] | None) -> tuple[str | None, list[str]]:
    """The message template that POST /payments/{id} names, if any (10.3), and ignored members.

    Raises InvalidError.
    """
    sent = body or {}
    reading = Reading(_ANY_ACCOUNT, date.min)
    values = read_created(reading, _RESEND, sent)
    reading.ignore_unknown(sent, ("template_id",))
    reading.finish(_RESEND)
    return values.get("template_id"), reading.ignored


# --- Customers ---


def parse_create_customer(
    body: Mapping[str, Any], account: Account, today: date, known_customers: Collection[UUID]
) -> tuple[RegisterCustomer, list[str]]:
    """The customer that POST /customers asks for (12.1), and ignored members. `today` is in the account's zone.

    `known_customers` are those of `customer_ids` that the account has. Raises InvalidError.
    """
    reading = Reading(account, today, known_customers=known_customers)
    values = read_created(reading, _CUSTOMER, body)
    _check_contact(reading, body.get("phone"), body.get("email"), rule="either")
    _check_document(reading, body)
    reading.ignore_unknown(body, _CUSTOMER_NAMES)
    reading.finish(_CUSTOMER)
    return RegisterCustomer(**values), reading.ignored


def customer_ids(body: Mapping[str, Any]) -> list[UUID]:
    """The customers that a body names, to be looked up before it is parsed."""
    named = (as_uuid(body.get(name)) for name in ("customer_id", "related_to"))
    return [found for found in named if found is not None]


# --- Rules about several fields ---


def _check_contact(reading: Reading, phone_sent: object, email_sent: object, *, rule: str) -> None:
    """The contact rule (section 5). A contact that was sent but is not valid is reported for that alone."""
    missing = (phone_sent is None) + (email_sent is None)
    if missing == 0 or rule == "none" or (missing == 1 and rule == "either"):
        return
    for name in ("phone", "email"):
        reading.refuse(name, CONTACT_MESSAGES[rule])


def _check_document(reading: Reading, body: Mapping[str, Any]) -> None:
    """A document has a type and a number, or there is none."""
    for name, other in (("document_type", "document_number"), ("document_number", "document_type")):
        if body.get(name) is None and body.get(other) is not None:
            reading.refuse(name, f"El campo {name} es obligatorio cuando se envía {other}.")


def _wire_value(value: object) -> object:
    """As it can be kept in JSON: an instant in the form of the wire (0.3)."""
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
