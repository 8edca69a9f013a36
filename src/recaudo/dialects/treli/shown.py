"""Invoices and collections as clients know them, whoever made them (Treli specification, 6.1, 6.5, 7 and 19)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from recaudo.dialects.treli import ids, items, render
from recaudo.dialects.treli.calls import DIALECT
from recaudo.domain.billing import AppliedDiscount, BilledTax, Terms
from recaudo.domain.changes import Change
from recaudo.domain.model import Account, Collection, Customer, Invoice, InvoiceKind, Receipt, ReceiptKind, by_due_day
from recaudo.domain.states import CollectionState, InvoiceState
from recaudo.store.views import CollectionView
from recaudo.store.wholes import WholeInvoice

ADDRESS = ("address_1", "address_2", "city", "state", "postcode", "country")
SETTINGS = ("invoice_document_id", "invoice_cost_center")

INVOICE_STATUSES = ("pending", "overdue", "paid", "voided", "uncollectible")
COLLECTION_STATUSES = INVOICE_STATUSES
TYPES = ("invoice", "one_time")

_INVOICE_STATUS = {
    InvoiceState.VOID: "voided",
    InvoiceState.UNCOLLECTIBLE: "uncollectible",
    InvoiceState.PAID: "paid",
}
_COLLECTION_STATUS = {
    CollectionState.VOID: "voided",
    CollectionState.CANCELLED: "voided",
    CollectionState.EXPIRED: "voided",
    CollectionState.UNCOLLECTIBLE: "uncollectible",
    CollectionState.PAID: "paid",
}
_METHOD_OF_BRAND = {
    "PSE": "bank_transfer",
    "BREB": "breb",
    "NEQUI": "wallet",
    "DAVIPLATA": "wallet",
    "EFECTIVO": "cash",
}


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """For whom something is shown, on which day, and where this server is reached."""

    account: Account
    today: date
    base_url: str


def whole(change: Change) -> WholeInvoice:
    """The invoice as a change left it."""
    case = change.after
    return WholeInvoice(
        invoice=case.invoice, collections=sorted(case.collections, key=by_due_day), customer=case.customer
    )


# --- Invoices ---


def invoice(it: WholeInvoice, viewer: Viewer) -> dict[str, Any]:
    """An invoice (6.1)."""
    of, account, wire = it.invoice, viewer.account, wire_of(it.invoice)
    bill, owed_minor = of.bill, of.amount_minor or 0
    invoicing = wire.get("invoicing", "upload")
    own = invoicing == "upload"
    answer = {
        "id": ids.shown(ids.COLLECTION, of.id),
        "items": invoice_items(of),
        "invoice_number": of.origin_id,
        "invoice_pdf": of.document_url,
        "invoicing": invoicing,
        "invoice_provider_id": wire.get("provider_id"),
        "subtotal": render.amount(owed_minor if bill is None else bill.subtotal_minor, of.currency),
        "total": render.amount(owed_minor if bill is None else bill.total_minor, of.currency),
        "total_paid": render.amount(of.received_minor, of.currency),
        "currency": of.currency,
        "created_date": render.created(of.created_at, account),
        "paid_date": render.optional_utc(of.paid_at if of.state is InvoiceState.PAID else None),
        "voided_at_date": render.optional_utc(of.closed_at if of.state is InvoiceState.VOID else None),
        "due_date": due_date(of.due_on, account),
        "collection_rule_id": None if of.rule_id is None else ids.shown(ids.RULE, of.rule_id),
        "status": invoice_status(it, viewer.today),
        "invoice_provider_status": None if own else wire.get("provider_status"),
        "is_test": account.is_test,
        "is_paid": of.state is InvoiceState.PAID,
        "meta_data": of.metadata,
        "invoice_provider": None if own else wire.get("provider"),
        "invoice_settings": {name: wire.get("settings", {}).get(name) for name in SETTINGS},
        "invoice_retentions": _retentions(wire.get("retentions", {})),
        "customer": customer_id(of),
        "billing_address": billing_address(wire.get("billing_address"), it.customer),
    }
    if "installments" in wire:
        answer["installments"] = wire["installments"]
    return answer | _additions(it, viewer)


def _additions(it: WholeInvoice, viewer: Viewer) -> dict[str, Any]:
    """What is ours: members 27 to 33."""
    of, bill = it.invoice, it.invoice.bill
    return {
        "collection_method": collection_method(of),
        "days_until_due": days_until_due(of, viewer.account),
        "collections": [ids.shown(ids.COLLECTION, c.id) for c in it.standing],
        "taxes": [] if bill is None else [_tax(tax, of.currency) for tax in bill.taxes],
        "retentions_total": render.amount(0 if bill is None else bill.retentions_minor, of.currency),
        "amount_to_collect": render.amount(of.amount_minor or 0, of.currency),
        "checkout_url": checkout_url(it.shown, viewer),
    }


def invoice_items(of: Invoice) -> list[dict[str, Any]]:
    """The lines; of an invoice made as a sum, one with its concept (19)."""
    if of.bill is None:
        return [items.only(of.id, of.name, of.amount_minor or 0, of.currency)]
    return [items.shown(item, of.currency) for item in of.bill.items]


def invoice_status(it: WholeInvoice, today: date) -> str:
    """The word of 7.1: the first row that fits."""
    known = _INVOICE_STATUS.get(it.invoice.state)
    if known is not None:
        return known
    return "overdue" if any(_is_overdue(c, today) for c in it.collections) else "pending"


def _retentions(named: Mapping[str, str]) -> dict[str, str | None]:
    shown: dict[str, str | None] = {name: named.get(name) for name in ("reteica", "retefte")}
    if "reteiva" in named:
        shown["reteiva"] = named["reteiva"]
    return shown


def _tax(tax: BilledTax, currency: str) -> dict[str, Any]:
    return {
        "type": "vat",
        "name": f"IVA {render.number(tax.percentage)}%",
        "tax_id": tax.tax_id,
        "total": render.amount(tax.amount_minor, currency),
    }


def billing_address(kept: Mapping[str, str | None] | None, customer: Customer | None) -> dict[str, str | None]:
    """The customer's address as it was; of an invoice made elsewhere, as it is."""
    if kept is None:
        kept = address_of(customer)
    return {name: kept.get(name) for name in ADDRESS}


def address_of(customer: Customer | None) -> dict[str, str | None]:
    """A customer's address, to be kept with an invoice."""
    known = (customer.address if customer is not None else None) or {}
    return {name: known.get(name) for name in ADDRESS}


# --- Collections ---


def view_of(change: Change, collection_id: UUID) -> CollectionView:
    """A collection as a change left it."""
    case = change.after
    receipts = [r for r in case.receipts if r.collection_id == collection_id]
    return CollectionView(
        invoice=case.invoice, collection=case.collection(collection_id), customer=case.customer, receipts=receipts
    )


def collection(view: CollectionView, viewer: Viewer) -> dict[str, Any]:
    """A collection (6.5)."""
    it, of = view.collection, view.invoice
    account, wire = viewer.account, wire_of(of)
    terms = it.terms or Terms()
    rule_id = terms.rule_id or of.rule_id
    is_alone = of.kind is InvoiceKind.REQUEST
    lines = collection_items(it, of)
    voided = _COLLECTION_STATUS.get(it.state) == "voided"
    return {
        "id": ids.shown(ids.COLLECTION, it.id),
        "items": lines,
        "discounts": [_discount(one, it.currency) for one in terms.discounts],
        "description": description(it, of),
        "subtotal": render.amount(_subtotal_minor(it, of), it.currency),
        "total": render.amount(it.amount_minor or 0, it.currency),
        "status": collection_status(it, viewer.today),
        "currency": it.currency,
        "created_date": render.created(it.created_at, account),
        "paid_date": render.optional_utc(it.paid_at if it.state is CollectionState.PAID else None),
        "voided_at_date": render.optional_utc((it.closed_at or it.updated_at) if voided else None),
        "due_date": due_date(it.due_on, account),
        "collection_method": collection_method(of),
        "collection_rule_id": None if rule_id is None else ids.shown(ids.RULE, rule_id),
        "type": "one_time" if is_alone else "invoice",
        "is_test": account.is_test,
        "tag": wire.get("tag"),
        "source": wire.get("source", "api"),
        "customer": customer_id(of),
        "subscription_id": None,
        "invoice": None if is_alone else ids.shown(ids.COLLECTION, of.id),
        "invoice_number": None if is_alone else of.origin_id,
        "payment_method_type": method_type(view.receipts),
        "checkout_url": checkout_url(it, viewer),
        "total_paid": render.amount(max(0, it.received_minor), it.currency),
        "balance": render.amount(it.due_minor, it.currency),
        "is_paid": it.state is CollectionState.PAID,
        "meta_data": of.metadata,
        "balance_collection": None if terms.rest_id is None else ids.shown(ids.COLLECTION, terms.rest_id),
    }


def collection_items(it: Collection, of: Invoice) -> list[dict[str, Any]]:
    """The invoice's items; of an instalment or a rest, one that says which."""
    if not _has_own_item(it):
        return invoice_items(of)
    assert it.terms is not None, "a title is part of the terms"
    return [items.only(it.id, it.terms.title or of.name, _base_minor(it), it.currency)]


def _has_own_item(it: Collection) -> bool:
    return it.terms is not None and it.terms.title is not None


def _subtotal_minor(it: Collection, of: Invoice) -> int:
    if _has_own_item(it):
        return _base_minor(it)
    return of.bill.subtotal_minor if of.bill is not None else of.amount_minor or 0


def _base_minor(it: Collection) -> int:
    """What was asked for before discounts."""
    terms = it.terms or Terms()
    return terms.base_minor if terms.base_minor is not None else it.amount_minor or 0


def description(it: Collection, of: Invoice) -> str:
    """As sent; else what it asks for."""
    kept = (it.terms or Terms()).wire.get(DIALECT, {}).get("description")
    if kept is not None:
        return kept
    if of.kind is InvoiceKind.REQUEST:
        return of.description or of.name
    return f"Cobro de {of_invoice(of)}"


def of_invoice(of: Invoice, article: str = "") -> str:
    """An invoice inside a sentence: `factura FV-1024`, or its name when it has no number."""
    if of.kind is InvoiceKind.REQUEST or of.origin_id is None:
        return of.name
    return f"{article}factura {of.origin_id}"


def collection_method(of: Invoice) -> str:
    """How it is collected; in this version no other way exists."""
    return wire_of(of).get("collection_method", "collect")


def collection_status(it: Collection, today: date) -> str:
    """The word of 7.2: the first row that fits."""
    known = _COLLECTION_STATUS.get(it.state)
    if known is not None:
        return known
    return "overdue" if _is_overdue(it, today) else "pending"


def _is_overdue(it: Collection, today: date) -> bool:
    """Due today is not overdue."""
    return it.state is CollectionState.PENDING and it.due_on is not None and it.due_on < today


def method_type(receipts: Sequence[Receipt]) -> str | None:
    """How the last receipt was paid: registered money says so, a gateway's by its brand."""
    arrived = [receipt for receipt in receipts if receipt.kind is not ReceiptKind.REFUND]
    if not arrived:
        return None
    known = arrived[-1].method or {}
    if "type" in known:
        return known["type"]
    if known.get("last_four") is not None:
        return "card"
    return _METHOD_OF_BRAND.get(known.get("brand", ""), "other")


def _discount(it: AppliedDiscount, currency: str) -> dict[str, Any]:
    return {
        "id": ids.shown(ids.DISCOUNT, it.id),
        "code": it.code,
        "amount": render.amount(it.amount_minor, currency),
        "percent": None if it.percent is None else render.number(it.percent),
    }


# --- Both ---


def wire_of(of: Invoice) -> dict[str, Any]:
    """What only this dialect keeps of an invoice; nothing of those made elsewhere."""
    return of.wire.get(DIALECT, {})


def customer_id(of: Invoice) -> str | None:
    """The customer; null only for a payment that another dialect made for nobody."""
    return None if of.customer_id is None else ids.shown(ids.CUSTOMER, of.customer_id)


def checkout_url(it: Collection, viewer: Viewer) -> str:
    """The page where a collection is paid."""
    return f"{viewer.base_url}/payment/{it.id}"


def due_date(due_on: date | None, account: Account) -> str | None:
    """The last second of a day in the account's zone, in UTC (0.3)."""
    if due_on is None:
        return None
    return render.utc(datetime(due_on.year, due_on.month, due_on.day, 23, 59, 59, tzinfo=ZoneInfo(account.time_zone)))


def days_until_due(of: Invoice, account: Account) -> int | None:
    """From the day it was made to its last due day, never less than none."""
    if of.due_on is None:
        return None
    return max(0, (of.due_on - of.created_at.astimezone(ZoneInfo(account.time_zone)).date()).days)
