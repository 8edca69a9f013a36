"""Who asks: a key's account, cached for moments so that the hot path does not look it up each time."""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from recaudo.domain.model import Account
from recaudo.edge.problems import Problem, ProblemKind
from recaudo.store.accounts import ApiKey, find_key
from recaudo.store.database import Database

# A revoked key or a changed setting works on for at most this long.
LIVE_CACHE_S = 5.0
# Test accounts move their clocks, and other server processes should see it soon.
TEST_CACHE_S = 0.5
CACHE_ENTRIES_MAX = 10_000
# Of keys that nobody has fewer are kept, and apart: somebody who tries many must not push out those that are used.
UNKNOWN_ENTRIES_MAX = 1000
KEY_CHARS_MAX = 200


class Authenticator:
    """Finds what a key opens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()

    async def first_account(self, keys: Sequence[str], *, monotonic_s: float) -> Account:
        """The account that the first of these keys opens that anybody was ever given. Raises as `account`."""
        *tried, last = keys
        for key in tried:
            try:
                return await self.account(key, monotonic_s=monotonic_s)
            except Problem as problem:
                if problem.kind is not ProblemKind.UNAUTHENTICATED:
                    raise
        return await self.account(last, monotonic_s=monotonic_s)

    async def account(self, key: str, *, monotonic_s: float) -> Account:
        """The account a secret key opens.

        Raises Problem UNAUTHENTICATED for a key nobody has, FORBIDDEN for a public key, ACCOUNT_INACTIVE.
        """
        if not 0 < len(key) <= KEY_CHARS_MAX or " " in key:
            raise Problem(ProblemKind.UNAUTHENTICATED)
        cached = self._cache.get(key)
        if cached is not None and cached[0] > monotonic_s:
            return _opened(cached[1])
        if self._unknown.get(key, 0.0) > monotonic_s:
            return _opened(None)
        async with self._database.connection() as connection:
            found = await find_key(connection, key)
        self._remember(key, found, monotonic_s)
        return _opened(found)

    def forget(self, account_id: UUID) -> None:
        """Look an account up again at its next request."""
        for key, (_, found) in list(self._cache.items()):
            if found.account.id == account_id:
                del self._cache[key]

    def _remember(self, key: str, found: ApiKey | None, monotonic_s: float) -> None:
        if found is None:
            self._unknown[key] = monotonic_s + LIVE_CACHE_S
            self._unknown.move_to_end(key)
            if len(self._unknown) > UNKNOWN_ENTRIES_MAX:
                self._unknown.popitem(last=False)
            return
        seconds = TEST_CACHE_S if found.account.is_test else LIVE_CACHE_S
        self._cache[key] = (monotonic_s + seconds, found)
        self._cache.move_to_end(key)
        if len(self._cache) > CACHE_ENTRIES_MAX:
            self._cache.popitem(last=False)


def read_bearer(credentials: bytes) -> Sequence[str]:
    """The key after `Bearer `. Raises Problem UNAUTHENTICATED."""
    try:
        return [credentials.decode("ascii")]
    except UnicodeDecodeError:
        raise Problem(ProblemKind.UNAUTHENTICATED) from None


def read_basic(credentials: bytes) -> Sequence[str]:
    """The keys in what stands after `Basic `: the user name, then the password, as far as they are filled.

    Raises Problem UNAUTHENTICATED for anything that is no pair, and for an empty pair.
    """
    try:
        pair = base64.b64decode(credentials, validate=True).decode("ascii")
    except (UnicodeDecodeError, binascii.Error):
        raise Problem(ProblemKind.UNAUTHENTICATED) from None
    user, colon, password = pair.partition(":")
    keys = [part for part in (user, password) if part]
    if not colon or not keys:
        raise Problem(ProblemKind.UNAUTHENTICATED)
    return keys


def read_either(authorization: bytes | None) -> Sequence[str]:
    """The keys of a header of either scheme. Raises Problem UNAUTHENTICATED."""
    scheme, _, credentials = (authorization or b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            return read_bearer(credentials)
        case b"basic":
            return read_basic(credentials)
        case _:
            raise Problem(ProblemKind.UNAUTHENTICATED)


def _opened(found: ApiKey | None) -> Account:
    if found is None or found.revoked:
        raise Problem(ProblemKind.UNAUTHENTICATED)
    if not found.account.active:
        raise Problem(ProblemKind.ACCOUNT_INACTIVE)
    if found.kind != "secret":
        raise Problem(ProblemKind.FORBIDDEN)
    return found.account
