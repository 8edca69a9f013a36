"""What the worker does for the database's own sake: folding the numbers of lists, sweeping what is old."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from recaudo.store import retention, tally
from recaudo.store.database import Connection
from recaudo.store.retention import BATCH_MAX, AccountClock
from recaudo.usecases.core import Core

FOLDED_ACCOUNTS_MAX = 1_000


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """For how long. `answers` are those of idempotency keys: without a limit they are kept for ever, as promised."""

    deliveries: timedelta = timedelta(days=90)
    answers: timedelta | None = None


async def fold(core: Core) -> int:
    """Fold the numbers of the accounts that changed most; returns how many rows went."""
    folded = 0
    async with core.database.connection() as connection:
        for account_id in await tally.loose_accounts(connection, limit=FOLDED_ACCOUNTS_MAX):
            folded += await tally.fold(connection, account_id)
    return folded


async def sweep(core: Core, kept: Kept, *, rest: Callable[[], Awaitable[bool]] | None = None) -> int:
    """Drop what is older than is kept, batch by batch; returns how many rows went.

    `rest` is awaited after each batch, and says whether to go on.
    """
    now = core.clock.now()
    sweeping = _Sweeping(core, rest)
    if kept.answers is not None:
        before = now - kept.answers
        await sweeping.all_of(lambda connection: retention.sweep_answers(connection, before))
    after: UUID | None = None
    while not sweeping.is_over:
        async with core.database.connection() as connection:
            accounts = await retention.next_accounts(connection, after)
        if not accounts:
            break
        for account in accounts:
            await _sweep_account(sweeping, account, now - kept.deliveries)
        after = accounts[-1].id
    return sweeping.done


class _Sweeping:
    """One sweep of everything."""

    def __init__(self, core: Core, rest: Callable[[], Awaitable[bool]] | None) -> None:
        self._core = core
        self._rest = rest
        self.done = 0
        self.is_over = False

    async def all_of(self, batch: Callable[[Connection], Awaitable[int]]) -> None:
        """Drop batches until one is not full."""
        gone = BATCH_MAX
        while gone == BATCH_MAX and not self.is_over:
            async with self._core.database.connection() as connection:
                gone = await batch(connection)
            self.done += gone
            if gone and self._rest is not None:
                self.is_over = not await self._rest()


async def _sweep_account(sweeping: _Sweeping, account: AccountClock, before: datetime) -> None:
    # Bodies last: those go whose deliveries are gone.
    await sweeping.all_of(lambda connection: retention.sweep_deliveries(connection, account, before))
    await sweeping.all_of(lambda connection: retention.sweep_bodies(connection, account, before))
    await sweeping.all_of(lambda connection: retention.sweep_replays(connection, account, before))
