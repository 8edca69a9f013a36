"""Questions to Mercado Pago's API: single calls, whole searches, and whose a token is (sections 3.1 and 3.4)."""

from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any, Final, cast

from recaudo.gateways.mercadopago import keys
from recaudo.gateways.mercadopago.values import HOST, id_of, plain_id
from recaudo.gateways.vendor import NoAnswerError, NotSentError, Said, Vendor
from recaudo.usecases.ports import Configured, GatewayDownError

PAGE: Final = 50
PAGES_MAX: Final = 200  # the vendor lists no further than 10 000
TEST_USERS_KEPT: Final = 10_000
UNAUTHORIZED: Final = frozenset({401, 403})


class MercadoPagoApi:
    """The API, for any merchant. `host` is another one for tests and demonstrations."""

    def __init__(self, host: str = HOST) -> None:
        self.host = host.rstrip("/")
        self._vendor = Vendor()
        self._test_users: dict[bytes, bool] = {}  # by digest of the token: whether it is a test user's

    async def close(self) -> None:
        """Close the connections."""
        await self._vendor.close()

    async def call(
        self,
        configured: Configured,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Said:
        """One call with the merchant's token (3.1). Raises NotSentError and NoAnswerError."""
        token = keys.token(configured)
        if not keys.is_token(token):
            # It would break the header, or put something else into it.
            raise NotSentError("the access token is none")
        headers = {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers |= {"X-Idempotency-Key": key, "Content-Type": "application/json"}
        return await self._vendor.call(method, self.host + path, headers=headers, body=body, query=query)

    async def owner(self, configured: Configured) -> Said:
        """Whose token it is. Raises NotSentError and NoAnswerError."""
        return await self.call(configured, "GET", "/users/me")

    async def is_test_user(self, configured: Configured) -> bool:
        """Whether the token is that of a test user: its payments say `live_mode`, and are pretended all the same.

        Asked once. What the vendor does not say now is taken as no: then `live_mode` alone decides.
        """
        if keys.is_test_token(configured):
            return False
        digest = sha256(keys.token(configured).encode()).digest()
        if digest not in self._test_users:
            try:
                said = await self.owner(configured)
            except (NotSentError, NoAnswerError):
                return False
            if not said.is_good or not isinstance(said.content, dict):
                return False
            if len(self._test_users) >= TEST_USERS_KEPT:
                self._test_users.clear()
            self._test_users[digest] = keys.has_test_tag(said)
        return self._test_users[digest]

    async def pages(self, configured: Configured, query: Mapping[str, str]) -> AsyncIterator[list[dict[str, Any]]]:
        """The pages of a search, each payment once (3.4). Raises GatewayDownError unless all of them could be read."""
        seen: set[str] = set()
        offset, total_at_first = 0, None
        for _ in range(PAGES_MAX):
            page, total = await self._searched(configured, query, offset)
            total_at_first = total if total_at_first is None else total_at_first
            fresh = [p for p in page if id_of(p) not in seen]
            seen |= {id_of(p) for p in page}
            yield fresh
            offset += len(page)
            if not page or offset >= total:
                break
        else:
            raise GatewayDownError("the list does not end")
        # One that left the list while it was read pulls the next ones forward, across the border of two pages.
        if len(seen) < (total_at_first or 0):
            raise GatewayDownError("the list changed while it was read")

    async def _searched(
        self, configured: Configured, query: Mapping[str, str], offset: int
    ) -> tuple[list[dict[str, Any]], int]:
        """One page of a search, and how many payments it has in all."""
        paged = {**query, "criteria": "asc", "limit": str(PAGE), "offset": str(offset)}
        try:
            said = await self.call(configured, "GET", "/v1/payments/search", query=paged)
        except (NotSentError, NoAnswerError) as error:
            raise GatewayDownError(str(error)) from error
        results, total = said.member("results"), said.member("paging", "total")
        if not said.is_good or not isinstance(results, list) or not isinstance(total, int):
            raise GatewayDownError(word(said))
        page = cast("list[Any]", results)
        if not all(isinstance(p, dict) for p in page):
            raise GatewayDownError("the list has something else than payments")
        return page, total


def causes(said: Said) -> set[str]:
    """The codes of what the vendor refuses; its texts may repeat what it was sent, and are not kept."""
    told = said.member("cause")
    found = cast("list[Any]", told) if isinstance(told, list) else [told]
    codes = [cast("dict[str, Any]", c).get("code") for c in found if isinstance(c, dict)]
    return {code for code in (plain_id(c) for c in codes) if code is not None}


def word(said: Said) -> str:
    """What to tell of an answer that is of no use, without what it holds."""
    return f"HTTP {said.status}" if isinstance(said.content, dict) else f"HTTP {said.status} without JSON of use"
