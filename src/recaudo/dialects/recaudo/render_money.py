"""Gateways, refunds, suspense and comparisons as our own JSON. What is secret is shown as set, and never itself."""

from collections.abc import Mapping
from typing import Any

from recaudo.dialects.recaudo.notices import PREFIX as NOTICES_PREFIX
from recaudo.dialects.recaudo.render import instant, optional_instant, plain
from recaudo.domain.changes import Change
from recaudo.domain.model import Account, Refund
from recaudo.store.gateway_notices import Suspense
from recaudo.store.gateways import MerchantGateway, MethodChoice, Reconciliation
from recaudo.usecases.ports import Credential, Gateway, Method, Verified
from recaudo.usecases.reconciling import as_plain, differences

HIDDEN = "…"
SHOWN_CHARS = 4
# Of a text shorter than this the last characters would be half of it.
SHOWN_FROM_CHARS = 12


def kind(it: Gateway, account: Account) -> dict[str, Any]:
    """A gateway that can be set up: what it asks for, and what it can do."""
    return {
        "kind": it.name,
        "title": it.title,
        "credentials": [
            {"name": c.name, "hint": c.hint, "is_secret": c.is_secret, "is_required": c.is_required}
            for c in it.abilities.credentials
        ],
        "methods": [_method(m) for m in it.methods(account)],
        "currencies": sorted(it.abilities.currencies),
        "refunds": it.abilities.refunds,
        "lists": it.abilities.lists,
    }


def _method(it: Method) -> dict[str, Any]:
    return {
        "id": it.id,
        "kind": it.kind,
        "asks": list(it.asks),
        "min_amount_minor": it.min_minor,
        "max_amount_minor": it.max_minor,
    }


def gateway(it: MerchantGateway, known: Gateway | None, base_url: str, *, is_test: bool) -> dict[str, Any]:
    """A merchant's gateway. `known` None: this server has no gateway of its kind any more.

    `notice_url` is what the merchant pastes into the vendor's panel. Whoever has it can send notices, which are
    believed only when they are signed and never move money by themselves.
    """
    return {
        "id": str(it.id),
        "kind": it.kind,
        "title": it.kind if known is None else known.title,
        "is_test": is_test,
        "enabled": it.enabled,
        "position": it.position,
        "credentials": _credentials(it.credentials, () if known is None else known.abilities.credentials),
        "methods": None if it.methods is None else [_choice(choice) for choice in it.methods],
        "notice_url": f"{base_url}{NOTICES_PREFIX}{it.notice_key}",
        "verified_at": optional_instant(it.verified_at),
        "last_problem": it.last_problem,
        "last_problem_at": optional_instant(it.last_problem_at),
        "compared_until": optional_instant(it.compared_until),
        "created_at": instant(it.created_at),
        "updated_at": instant(it.updated_at),
    }


def _credentials(values: Mapping[str, str], known: tuple[Credential, ...]) -> dict[str, Any]:
    asked = known or tuple(Credential(name=name) for name in sorted(values))
    return {c.name: {"set": bool(values.get(c.name)), "shown": _shown(values.get(c.name), c)} for c in asked}


def _shown(value: str | None, it: Credential) -> str | None:
    if not value:
        return None
    is_short = len(value) < SHOWN_FROM_CHARS
    return HIDDEN if it.is_secret or is_short else HIDDEN + value[-SHOWN_CHARS:]


def _choice(it: MethodChoice) -> dict[str, Any]:
    return {"id": it.id, "min_amount_minor": it.min_minor, "max_amount_minor": it.max_minor}


def verdict(it: Verified) -> dict[str, Any]:
    """What a try of the credentials showed."""
    return {"ok": it.problem is None, "problem": it.problem, "merchant_name": it.merchant_name}


def refund(it: Refund) -> dict[str, Any]:
    """A refund and how far it is."""
    return plain(it)


def reopened(change: Change) -> dict[str, Any]:
    """An invoice that asks again, and its newest request to pay."""
    newest = next(c for c in change.after.collections if c.id == change.invoice.collection_id)
    return {"invoice": plain(change.invoice), "collection": plain(newest)}


def suspense(it: Suspense) -> dict[str, Any]:
    """A transaction that could not be booked, with the gateway's report of it."""
    return plain(it)


def reconciliation(it: Reconciliation) -> dict[str, Any]:
    """A comparison and what it found. Its instants are real time."""
    found = differences(it)
    return {
        "id": str(it.id),
        "gateway": it.gateway,
        "since": instant(it.since),
        "until": instant(it.until),
        "transactions": it.transactions,
        "open": sum(not d.is_mended for d in found),
        "differences": [as_plain(d) | {"is_mended": d.is_mended} for d in found],
        "made_at": instant(it.made_at),
    }
