"""Transactions that a gateway reports and that must not be booked (gateways specification, section 1.7).

Of the other environment, in another currency, or of no attempt of ours: they are kept and told until a person says
what became of each. Money is never converted, and a test payment never pays a live invoice.
"""

from uuid import UUID

import msgspec

from recaudo.domain.answers import Fact, Reported
from recaudo.domain.changes import Moment
from recaudo.domain.model import Account, Attempt, Invoice
from recaudo.store import gateway_notices
from recaudo.store.gateway_notices import Suspense
from recaudo.usecases.core import Core, NotFoundError


def strange_facts(
    account: Account, invoice: Invoice, attempt: Attempt, answer: Reported, moment: Moment
) -> tuple[Reported, list[Suspense]]:
    """The answer without the facts that must not be booked, and those."""
    reasons = [(fact, _reason(account, invoice, fact)) for fact in answer.facts]
    good = tuple(fact for fact, reason in reasons if reason is None)
    strange = [entry(account, attempt.gateway, fact, reason, moment) for fact, reason in reasons if reason is not None]
    return msgspec.structs.replace(answer, facts=good), strange


def entry(account: Account, gateway: str, fact: Fact, reason: str, moment: Moment) -> Suspense:
    """A transaction as it is kept."""
    return Suspense(
        account_id=account.id,
        id=moment.new_id(),
        gateway=gateway,
        gateway_tx_id=fact.gateway_tx_id,
        reason=reason,
        reference=fact.reference,
        amount_minor=fact.amount_minor,
        currency=fact.currency,
        fact=msgspec.to_builtins(fact),
        found_at=moment.now,
    )


async def resolve(core: Core, account: Account, suspense_id: UUID, resolution: str) -> Suspense:
    """Note what became of an entry: where the money was booked, or that it was given back. Raises NotFoundError."""
    async with core.database.transaction() as connection:
        found = await gateway_notices.resolve_suspense(
            connection, account.id, suspense_id, resolution=resolution, at=core.now(account)
        )
    if found is None:
        raise NotFoundError
    return found


def _reason(account: Account, invoice: Invoice, fact: Fact) -> str | None:
    if fact.is_test is not None and fact.is_test is not account.is_test:
        return "wrong_environment"
    return "wrong_currency" if fact.currency != invoice.currency else None
