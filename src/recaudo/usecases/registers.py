"""One command in one transaction, together with the answer that is kept for a repetition."""

from collections.abc import Awaitable, Callable

import msgspec

from recaudo.domain.model import Account
from recaudo.store import door, idempotency
from recaudo.store.database import Connection
from recaudo.usecases.core import Core, Done, Once, replay

Act = Callable[[Connection], Awaitable[tuple[int, bytes]]]
"""Does the work in the transaction it is given, and says status and answer."""

Hold = Callable[[Connection], Awaitable[None]]
"""Locks what the work is about."""


async def kept(
    core: Core,
    account: Account,
    act: Act,
    *,
    once: Once | None,
    hold: Hold | None = None,
    is_secret: bool = False,
) -> Done:
    """Act in one transaction, or replay what the key's first request was answered.

    With `hold` whoever comes second waits before the key is looked for, and finds what the first one kept. An answer
    that tells secrets (`is_secret`) is kept encrypted.

    Raises KeyReusedError, TakenError when another request with this key was faster (`core.repeated` tries again),
    LockTimeoutError, and whatever `act` raises; nothing is written then.
    """
    async with core.database.transaction() as connection:
        if hold is not None:
            await hold(connection)
        known = await replay_kept(core, account, connection, once, is_secret=is_secret)
        if known is not None:
            return known
        status, answer = await act(connection)
        if once is not None:
            remembered = core.vault.seal(answer, _about(account, once)) if is_secret else answer
            await door.remember(connection, once.remembered(account, status, remembered, core.now(account)))
    return Done(status=status, answer=answer)


async def replay_kept(
    core: Core, account: Account, connection: Connection, once: Once | None, *, is_secret: bool
) -> Done | None:
    """The answer that was kept under a key, if any. Raises KeyReusedError."""
    if once is None:
        return None
    known = await idempotency.find(connection, account.id, once.scope, once.key)
    if known is None:
        return None
    done = replay(once, known)
    if not is_secret:
        return done
    return msgspec.structs.replace(done, answer=core.vault.open(done.answer, _about(account, once)))


def _about(account: Account, once: Once) -> str:
    return f"answer {account.id} {once.scope} {once.key}"
