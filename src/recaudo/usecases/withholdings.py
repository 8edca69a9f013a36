"""Certificates of withheld amounts: put on a withholding, changed, taken away. No event tells of them."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from recaudo.domain.model import Account
from recaudo.store import withholdings
from recaudo.store.database import Connection
from recaudo.store.withholdings import Certificate, Withholding
from recaudo.usecases.core import Core, Done, NotFoundError, Once, repeated
from recaudo.usecases.registers import kept

Respond = Callable[[Withholding], tuple[int, bytes]]


async def certify(
    core: Core,
    account: Account,
    key: tuple[UUID, UUID],
    certificate: Callable[[], tuple[str, str | None]] | None,
    respond: Respond,
    *,
    once: Once | None,
) -> Done:
    """Note the certificate (number and link) of what is withheld from an (invoice, retention); None takes it away.

    `certificate` is called once the withholding is found. Raises NotFoundError, KeyReusedError and whatever
    `certificate` raises.
    """

    async def act(connection: Connection) -> tuple[int, bytes]:
        if await withholdings.find_withholding(connection, account.id, *key) is None:
            raise NotFoundError
        noted = None
        if certificate is not None:
            number, url = certificate()
            noted = Certificate(number=number, url=url, at=core.now(account))
        await withholdings.set_certificate(connection, account.id, key, noted)
        found = await withholdings.find_withholding(connection, account.id, *key)
        assert found is not None, "withholdings are never deleted"
        return respond(found)

    return await repeated(partial(kept, core, account, act, once=once))
