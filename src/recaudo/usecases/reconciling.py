"""Comparing a gateway's own list of transactions with our receipts, and mending what only we can mend.

Every day by the worker, and by `recaudo reconcile`. Money that the gateway collected and we do not know is booked when
it belongs to one of our attempts; whatever cannot be explained is reported as a difference.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from recaudo.domain.answers import Absent, Fact, FactState, Reported
from recaudo.domain.model import Account
from recaudo.domain.transactions import ARRIVED, Booked
from recaudo.store import accounts, cases, gateway_notices, gateways as store
from recaudo.store.due import Claimed
from recaudo.store.gateways import MerchantGateway, Reconciliation
from recaudo.usecases import gateways, notices
from recaudo.usecases.core import Core, NotYetError
from recaudo.usecases.ports import Gateway, GatewayDownError

# A transaction may be written in the gateway's list a little later, and its day may not begin when ours does.
OVERLAP = timedelta(hours=6)
# Our side is compared only as far as the gateway has surely listed its own.
SETTLED_AFTER = timedelta(hours=1)
FIRST_COMPARED = timedelta(days=2)
DAYS_MAX = 92
# Long enough for a dispute about a payment; they hold payers' data, so no longer.
NOTICES_KEPT = timedelta(days=180)
DIFFERENCES_MAX = 1000


class Kind(StrEnum):
    """What may differ. The first is mended as it is found."""

    BOOKED_LATE = "booked_late"  # the gateway collected it, and nobody had told us
    UNMATCHED = "unmatched"  # the gateway collected it under a reference of ours that no attempt has
    AMOUNT = "amount"  # both know it, with another amount
    GONE_BACK = "gone_back"  # more or less went back than is booked
    NOT_THERE = "not_there"  # we booked it, and the gateway does not confirm it


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction that the two sides tell differently; amounts are minor units, None: not there."""

    kind: Kind
    gateway_tx_id: str
    reference: str | None
    theirs_minor: int | None
    ours_minor: int | None
    currency: str

    @property
    def is_mended(self) -> bool:
        return self.kind is Kind.BOOKED_LATE


async def compare(
    core: Core, account: Account, it: MerchantGateway, since: datetime, until: datetime
) -> Reconciliation | None:
    """Compare what happened from `since` on and before `until` (real time), and keep what was found.

    None for a gateway that tells no list. Raises GatewayDownError.
    """
    gateway = core.gateways[it.kind]
    if not gateway.abilities.lists:
        return None
    opened = gateways.configured(account, it)
    theirs: dict[str, Fact] = {}
    async for fact in gateway.transactions(opened, since, until):
        theirs[fact.gateway_tx_id] = fact
    found = [d for fact in theirs.values() for d in await _theirs(core, account, gateway, fact)]
    found += await _ours(core, account, it, theirs, since=since, until=until)
    made = Reconciliation(
        account_id=account.id,
        id=core.moment(account).new_id(),
        gateway=it.kind,
        since=since,
        until=until,
        transactions=len(theirs),
        differences=msgspec.to_builtins(found[:DIFFERENCES_MAX]),
        made_at=core.clock.now(),
    )
    async with core.database.connection() as connection:
        await store.insert_reconciliation(connection, made)
    return made


async def compare_daily(core: Core, claimed: Claimed) -> None:
    """The worker's comparison of one gateway since the last one. Raises NotYetError while it cannot be asked."""
    async with core.database.connection() as connection:
        account = await accounts.find_account(connection, claimed.account_id)
        it = await store.find_gateway(connection, claimed.account_id, claimed.id, core.vault)
    if account is None or it is None:
        return
    now = core.clock.now()
    # The first one reaches back to when the gateway was set up, however long nobody came to it. A clock that was moved
    # since only makes that earlier.
    set_up = min(it.created_at - account.clock_shift, now - FIRST_COMPARED)
    since = (it.compared_until or set_up) - OVERLAP
    if it.enabled:
        try:
            await _compare_and_note(core, account, it, max(since, now - timedelta(days=DAYS_MAX)), now)
        except GatewayDownError as error:
            raise NotYetError(str(error)) from error
    async with core.database.connection() as connection:
        await gateway_notices.sweep_notices(connection, account.id, it.id, now - NOTICES_KEPT)
        due_at = gateways.next_comparison(now, core.chance())
        await store.compare_again(connection, account.id, it.id, compared_until=now, due_at=due_at)


async def _compare_and_note(
    core: Core, account: Account, it: MerchantGateway, since: datetime, until: datetime
) -> Reconciliation | None:
    """The same, and keep whether the credentials worked. Raises GatewayDownError."""
    opened = gateways.configured(account, it)
    try:
        made = await compare(core, account, it, since, until)
    except GatewayDownError as error:
        await gateways.note_verdict(core, opened, str(error))
        raise
    if made is not None:
        await gateways.note_verdict(core, opened, None)
    return made


def differences(made: Reconciliation) -> list[Difference]:
    """What a comparison found."""
    return msgspec.convert(made.differences, list[Difference])


async def _theirs(core: Core, account: Account, gateway: Gateway, fact: Fact) -> list[Difference]:
    """What we do not tell as the gateway does, of one of its transactions."""
    booked = await _booked(core, account, gateway.name, fact)
    if fact.state not in ARRIVED and fact.refunded_minor == 0:
        if booked is None or booked.left_minor == 0:
            return []
        # The gateway takes back what it had confirmed: it is asked once more before that is believed.
        await notices.apply(core, account, gateway, fact)
        return [_difference(Kind.NOT_THERE, fact, booked)]
    if booked is None:
        await notices.apply(core, account, gateway, fact)
        booked = await _booked(core, account, gateway.name, fact)
        if booked is not None:
            return [_difference(Kind.BOOKED_LATE, fact, booked)]
        return [_difference(Kind.UNMATCHED, fact, None)] if await _is_in_suspense(core, account, gateway, fact) else []
    if booked.receipt.amount_minor != fact.amount_minor:
        return [_difference(Kind.AMOUNT, fact, booked)]
    # Nobody may have told us that a dispute is over.
    if fact.state is FactState.DISPUTED or booked.is_disputed or fact.refunded_minor > booked.told_minor:
        await notices.apply(core, account, gateway, fact)
        booked = await _booked(core, account, gateway.name, fact) or booked
    if fact.refunded_minor != booked.told_minor:
        return [_difference(Kind.GONE_BACK, fact, booked)]
    return []


async def _ours(
    core: Core,
    account: Account,
    it: MerchantGateway,
    theirs: Mapping[str, Fact],
    *,
    since: datetime,
    until: datetime,
) -> list[Difference]:
    """What we booked and the gateway's list does not have: each is asked about by its id before it is reported."""
    gateway, opened = core.gateways[it.kind], gateways.configured(account, it)
    limit = until - SETTLED_AFTER + account.clock_shift
    async with core.database.connection() as connection:
        ours = await cases.receipts_between(connection, account.id, it.kind, since + account.clock_shift, limit)
    found: list[Difference] = []
    for receipt in ours:
        if receipt.gateway_tx_id in theirs:
            continue
        answer = await gateway.fetch(receipt.gateway_tx_id, opened)
        if isinstance(answer, Reported) and answer.facts:
            found += await _theirs(core, account, gateway, answer.facts[0])
            if answer.facts[0].state in ARRIVED:
                continue
        if isinstance(answer, Reported | Absent):
            found.append(
                Difference(
                    kind=Kind.NOT_THERE,
                    gateway_tx_id=receipt.gateway_tx_id,
                    reference=None,
                    theirs_minor=None,
                    ours_minor=receipt.amount_minor,
                    currency=receipt.currency,
                )
            )
        else:
            raise GatewayDownError("a transaction could not be asked about")
    return found


async def _booked(core: Core, account: Account, gateway: str, fact: Fact) -> Booked | None:
    async with core.database.connection() as connection:
        return await cases.booked_transaction(connection, account.id, gateway, fact.gateway_tx_id)


async def _is_in_suspense(core: Core, account: Account, gateway: Gateway, fact: Fact) -> bool:
    async with core.database.connection() as connection:
        return await cases.is_unresolved(connection, account.id, gateway.name, fact.gateway_tx_id)


def _difference(kind: Kind, fact: Fact, booked: Booked | None) -> Difference:
    back = kind is Kind.GONE_BACK
    ours = None if booked is None else booked.told_minor if back else booked.receipt.amount_minor
    return Difference(
        kind=kind,
        gateway_tx_id=fact.gateway_tx_id,
        reference=fact.reference,
        theirs_minor=fact.refunded_minor if back else fact.amount_minor,
        ours_minor=ours,
        currency=fact.currency,
    )


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway of one account, compared for the operator. `problem`: why it could not be."""

    account: Account
    gateway: str
    made: Reconciliation | None = None
    problem: str | None = None

    @property
    def open(self) -> list[Difference]:
        """What is not mended yet."""
        return [] if self.made is None else [d for d in differences(self.made) if not d.is_mended]


async def compare_account(core: Core, account: Account, since: datetime, until: datetime) -> list[Comparison]:
    """Compare every gateway of an account for the operator."""
    compared: list[Comparison] = []
    for it in await gateways.list_all(core, account):
        if it.kind not in core.gateways:
            continue
        try:
            made = await _compare_and_note(core, account, it, since, until)
            compared.append(Comparison(account=account, gateway=it.kind, made=made))
        except GatewayDownError as error:
            compared.append(Comparison(account=account, gateway=it.kind, problem=str(error)))
    return compared


def as_plain(difference: Difference) -> dict[str, Any]:
    """A difference for JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(difference)
    return plain
