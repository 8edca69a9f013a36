"""What must happen later: expiring collections whose time is over, asking gateways about open attempts."""

from datetime import datetime
from uuid import UUID

from recaudo.domain import closing
from recaudo.domain.changes import Change, Moment
from recaudo.domain.model import Account, Case
from recaudo.domain.states import CollectionState
from recaudo.store import accounts
from recaudo.store.due import Claimed, claim, postpone
from recaudo.usecases import attempts
from recaudo.usecases.core import Core, NotFoundError, change_invoice


class NotDueError(Exception):
    """Somebody else did it first, or it no longer needs to be done."""


async def claim_due(core: Core, table: str, *, limit: int) -> list[Claimed]:
    """Take due rows of a table for this worker."""
    async with core.database.connection() as connection:
        return await claim(connection, table, real_now=core.clock.now(), limit=limit)


async def give_back(core: Core, table: str, claimed: Claimed, *, until: datetime, error: str) -> None:
    """Return a row that could not be done, to be tried again at `until`."""
    async with core.database.connection() as connection:
        await postpone(connection, table, claimed, until=until, error=error)


async def time_passed(core: Core, claimed: Claimed) -> None:
    """Expire a collection whose time is over, or tell that its due day is.

    Nothing happens when it was paid or cancelled meanwhile. Of two things that are due the second is done next.
    """
    account = await _account(core, claimed.account_id)

    def decide(case: Case, moment: Moment) -> Change:
        collection = case.collection(claimed.id)
        if collection.state is not CollectionState.PENDING:
            raise NotDueError
        if collection.overdue_at is not None and collection.overdue_at <= moment.now:
            return closing.tell_overdue(case, claimed.id, moment)
        if collection.expires_at is not None and collection.expires_at <= moment.now:
            return closing.expire_collection(case, claimed.id, moment)
        raise NotDueError

    try:
        await change_invoice(core, account, claimed.subject_id, decide, lambda _: (200, b""), about=claimed.id)
    except NotDueError:
        return


async def ask(core: Core, claimed: Claimed) -> None:
    """Ask the gateway about an attempt whose outcome is open."""
    await attempts.ask(core, await _account(core, claimed.account_id), claimed.id)


async def _account(core: Core, account_id: UUID) -> Account:
    async with core.database.connection() as connection:
        account = await accounts.find_account(connection, account_id)
    if account is None:
        raise NotFoundError
    return account
