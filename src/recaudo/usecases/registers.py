"""One command in one transaction, together with the answer that is kept for a repetition."""

from collections.abc import Awaitable, Callable

from recaudo.domain.model import Account
from recaudo.store import door, idempotency
from recaudo.store.database import Connection
from recaudo.usecases.core import Core, Done, Once, replay

Act = Callable[[Connection], Awaitable[tuple[int, bytes]]]
"""Does the work in the transaction it is given, and says status and answer."""


async def kept(core: Core, account: Account, act: Act, *, once: Once | None) -> Done:
    """Act in one transaction, or replay what the key's first request was answered.

    Raises KeyReusedError, TakenError when another request with this key was faster (`core.repeated` tries again),
    LockTimeoutError, and whatever `act` raises; nothing is written then.
    """
    async with core.database.transaction() as connection:
        if once is not None:
            known = await idempotency.find(connection, account.id, once.scope, once.key)
            if known is not None:
                return replay(once, known)
        status, answer = await act(connection)
        if once is not None:
            await door.remember(connection, once.remembered(account, status, answer, core.now(account)))
    return Done(status=status, answer=answer)
