"""What gateways send us without being asked: kept to the byte, answered at once, believed never.

Gateways specification, section 1.6. A genuine notice says where to ask; what the gateway then answers, to a question
with our own credentials, is what counts.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from recaudo.domain.answers import Absent, Answer, Fact, Reported, Unknown
from recaudo.domain.model import Account
from recaudo.domain.references import is_own_reference
from recaudo.domain.transactions import ARRIVED
from recaudo.store import accounts, cases, gateway_notices
from recaudo.store.due import Claimed
from recaudo.store.gateway_notices import KeptNotice
from recaudo.store.gateways import MerchantGateway, find_gateway_of_notices
from recaudo.usecases import attempts, gateways
from recaudo.usecases.core import Core, NotFoundError, NotYetError
from recaudo.usecases.ports import Claim, Configured, Gateway, Notice, RawNotice
from recaudo.usecases.suspense import entry

BODY_BYTES_MAX: Final = 256 * 1024
# Of what is not proved genuine, enough to see what it is: anybody who knows an address can send more.
DOUBTFUL_BYTES_MAX: Final = 4096
HEADERS_MAX = 64
HEADER_CHARS_MAX = 2048
UNSIGNED_PER_MINUTE = 60
# Nothing of the caller's own that a header may carry is kept.
_HIDDEN_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
# A notice that cannot be followed up for this long is left to the poller and the daily comparison.
GIVEN_UP_AFTER = timedelta(days=3)

_log: Any = structlog.get_logger("recaudo.notices")


class Received(StrEnum):
    """What became of a notice at the door."""

    KEPT = "kept"
    REPEATED = "repeated"
    INVALID = "invalid"


class Receiver(msgspec.Struct, frozen=True):
    """Whose notices come to an address."""

    account: Account
    gateway: MerchantGateway


async def find_receiver(core: Core, notice_key: str) -> Receiver:
    """Whose notices come to an address. Raises NotFoundError."""
    async with core.database.connection() as connection:
        found = await find_gateway_of_notices(connection, notice_key, core.vault, now=core.clock.now())
        account = None if found is None else await accounts.find_account(connection, found.account_id)
    if found is None or account is None or found.kind not in core.gateways:
        raise NotFoundError
    return Receiver(account, found)


def read(core: Core, to: Receiver, raw: RawNotice) -> Notice:
    """Whether a notice is genuine and what it is about."""
    receiver = to.gateway
    gateway = core.gateways[receiver.kind]
    try:
        return gateway.read_notice(raw, gateways.configured(to.account, receiver))
    except Exception as error:  # noqa: BLE001 - anybody may send anything; a reader that fails must not lose it
        _log.error("notice_unreadable", gateway=receiver.kind, gateway_id=str(receiver.id), exc_info=error)
        return Notice(verdict="invalid", reason=f"{type(error).__name__} while it was read")


async def keep(core: Core, to: Receiver, raw: RawNotice, notice: Notice, *, path: str) -> Received:
    """Write a notice as it came; one that is believed is followed up by the worker."""
    receiver = to.gateway
    is_believed = notice.verdict != "invalid"
    notice_id = core.moment(to.account).new_id()
    body = raw.body if notice.verdict == "valid" else raw.body[:DOUBTFUL_BYTES_MAX]
    kept = KeptNotice(
        account_id=receiver.account_id,
        id=notice_id,
        gateway_id=receiver.id,
        kind=receiver.kind,
        verdict=notice.verdict,
        reason=notice.reason,
        path=path,
        query=raw.query,
        headers=_headers(raw),
        body=core.vault.seal(body, _about(notice_id)),
        dedupe_key=notice.dedupe_key if is_believed else None,
        claims=msgspec.to_builtins(notice.claims),
        received_at=raw.received_at,
    )
    async with core.database.connection() as connection:
        is_first = await gateway_notices.keep_notice(connection, kept, due_at=raw.received_at if is_believed else None)
    if not is_believed:
        return Received.INVALID
    return Received.KEPT if is_first else Received.REPEATED


def _about(notice_id: UUID) -> str:
    """What a notice's body is bound to: vendors write payers' e-mails and more into it."""
    return f"gateway notice {notice_id}"


async def follow_up(core: Core, claimed: Claimed) -> None:
    """Ask the gateway about everything a notice names, and apply what it answers.

    Raises NotYetError while the gateway does not answer.
    """
    async with core.database.connection() as connection:
        notice = await gateway_notices.find_notice(connection, claimed.account_id, claimed.id)
        account = await accounts.find_account(connection, claimed.account_id)
        opened = None
        if notice is not None and account is not None:
            opened = await gateways.configured_for(core, account, connection, notice.kind)
    if notice is None or account is None or notice.done_at is not None:
        return
    outcome = "the gateway was removed"
    if opened is not None:
        claims = msgspec.convert(notice.claims, list[Claim])
        try:
            outcomes = [await _follow(core, account, opened, claim) for claim in claims]
        except NotYetError as error:
            if core.clock.now() < notice.received_at + GIVEN_UP_AFTER:
                raise
            outcomes = [f"given up: {error}"]
        outcome = "; ".join(outcomes) or "nothing to ask about"
    async with core.database.connection() as connection:
        await gateway_notices.finish_notice(
            connection, claimed.account_id, claimed.id, outcome=outcome[:500], at=core.clock.now()
        )


async def apply(core: Core, account: Account, gateway: Gateway, fact: Fact) -> str:
    """Apply what a gateway reports about one transaction; says what became of it."""
    async with core.database.connection() as connection:
        attempt = None
        if fact.reference is not None:
            attempt = await cases.find_attempt_by_reference(connection, account.id, gateway.name, fact.reference)
    if attempt is not None:
        now = await attempts.conclude(core, account, attempt, Reported(facts=(fact,)), extra=True)
        return f"{fact.gateway_tx_id}: {fact.state}, attempt {now.id} {now.state}"
    if fact.state not in ARRIVED:
        return f"{fact.gateway_tx_id}: {fact.state}, of no attempt of ours"
    if fact.reference is None or not is_own_reference(fact.reference):
        # A merchant sells through the same gateway elsewhere too, on a site or at a counter: none of that is ours.
        return f"{fact.gateway_tx_id}: not under a reference of ours"
    async with core.database.connection() as connection:
        unmatched = entry(account, gateway.name, fact, "unmatched", core.moment(account))
        new = await gateway_notices.keep_suspense(connection, [unmatched])
    if new:
        _log.error("money_unmatched", account_id=str(account.id), gateway=gateway.name, transaction=fact.gateway_tx_id)
    return f"{fact.gateway_tx_id}: {fact.state}, of no attempt of ours, in suspense"


async def _follow(core: Core, account: Account, opened: Configured, claim: Claim) -> str:
    gateway = core.gateways[opened.kind]
    if claim.gateway_tx_id is None:
        return await _ask_by_reference(core, account, gateway, claim.reference or "")
    answer: Answer = await gateway.fetch(claim.gateway_tx_id, opened)
    match answer:
        case Reported(facts=facts):
            _note_difference(claim, facts)
            return "; ".join([await apply(core, account, gateway, fact) for fact in facts]) or "no transaction"
        case Absent():
            return f"{claim.gateway_tx_id}: the gateway has no such transaction"
        case Unknown(reason=reason):
            raise NotYetError(reason)
        case _:
            raise NotYetError(f"{type(answer).__name__} is no answer to a question")


async def _ask_by_reference(core: Core, account: Account, gateway: Gateway, reference: str) -> str:
    async with core.database.connection() as connection:
        attempt = await cases.find_attempt_by_reference(connection, account.id, gateway.name, reference)
    if attempt is None:
        return f"{reference[:60]}: no attempt of ours"
    now = await attempts.ask(core, account, attempt.id, extra=True)
    return f"attempt {now.id} {now.state}"


def _note_difference(claim: Claim, facts: tuple[Fact, ...]) -> None:
    """A signed notice that tells another state than the gateway's API: worth knowing, never worth believing."""
    for fact in facts:
        if claim.claimed_state is not None and claim.claimed_state != fact.state:
            _log.info(
                "notice_differs", transaction=fact.gateway_tx_id, claimed=claim.claimed_state[:40], fact=fact.state
            )


def _headers(raw: RawNotice) -> dict[str, str]:
    shown = [(k, v[:HEADER_CHARS_MAX]) for k, v in raw.headers.items() if k not in _HIDDEN_HEADERS]
    return dict(shown[:HEADERS_MAX])
