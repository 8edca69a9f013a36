"""Who changes an invoice waits for its turn here, in memory, before a database connection is taken.

The row lock alone would be right too, but every waiter would hold a connection: one tenant that sends hundreds of
changes of one invoice would keep the whole pool, and with it every other tenant, waiting.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID
from weakref import WeakValueDictionary

from recaudo.store.database import LOCK_TIMEOUT_S, LockTimeoutError


class Turns:
    """One change of an invoice at a time within this process. Other processes are held off by the row lock."""

    def __init__(self) -> None:
        # A lock lives as long as somebody holds it or waits for it.
        self._locks: WeakValueDictionary[tuple[UUID, UUID], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, account_id: UUID, invoice_id: UUID) -> AsyncGenerator[None]:
        """Wait for the turn and keep it for the block. Raises LockTimeoutError after LOCK_TIMEOUT_S."""
        # The account is part of the key: nobody can make a stranger wait by naming the stranger's invoice.
        lock = self._locks.setdefault((account_id, invoice_id), asyncio.Lock())
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_S):
                await lock.acquire()
        except TimeoutError as error:
            raise LockTimeoutError(f"invoice {invoice_id} stayed busy") from error
        try:
            yield
        finally:
            lock.release()
