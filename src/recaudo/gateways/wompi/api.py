"""Questions to Wompi's API. What it does not answer clearly is a GatewayDownError, with a reason without secrets."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from recaudo.gateways.vendor import NoAnswerError, NotSentError, Said, Vendor
from recaudo.gateways.wompi import keys
from recaudo.usecases.ports import Configured, GatewayDownError

Json = Mapping[str, Any]

_TRANSACTION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class WompiHosts(msgspec.Struct, frozen=True, kw_only=True):
    """Where Wompi is (2.1). The API's addresses without a slash at the end; the checkout is that of both."""

    sandbox: str = "https://sandbox.wompi.co/v1"
    production: str = "https://production.wompi.co/v1"
    checkout: str = "https://checkout.wompi.co/p/"


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two things a payer accepts: the document, and the token that says so to Wompi (2.5)."""

    token: str
    permalink: str


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """What Wompi says about the merchant of a public key."""

    name: str | None
    terms: Acceptance
    personal_data: Acceptance


class KeyRefusedError(GatewayDownError):
    """Wompi does not take one of the keys: only the merchant can help."""


class WompiApi:
    """The API, for any merchant and both environments."""

    def __init__(self, hosts: WompiHosts) -> None:
        self._hosts = hosts
        self._vendor = Vendor()

    async def close(self) -> None:
        """Close the connections."""
        await self._vendor.close()

    async def call(
        self,
        configured: Configured,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Said:
        """One call with the private key (the rule of 2.1). Raises NotSentError and NoAnswerError."""
        host = self._hosts.sandbox if configured.is_test else self._hosts.production
        headers = {"Authorization": f"Bearer {keys.key(configured, keys.PRIVATE)}"}
        return await self._vendor.call(method, f"{host}{path}", headers=headers, body=body, query=query)

    async def search(self, configured: Configured, query: Mapping[str, str]) -> Sequence[Json]:
        """The merchant's own transactions, and no other's: only the private key may search. Raises GatewayDownError."""
        said = await self._read(configured, "/transactions", query)
        found = said.member("data") if said.is_good else None
        if not isinstance(found, list):
            raise GatewayDownError(f"Wompi answers a search with {said.status} and no list")
        return [_object(row, "a transaction") for row in cast("list[Any]", found)]

    async def find(self, configured: Configured, reference: str) -> Sequence[Json]:
        """All transactions of a reference, oldest first. Raises GatewayDownError."""
        rows = await self.search(configured, {"reference": reference})
        found = [row for row in rows if row.get("reference") == reference]
        if rows and not found:
            raise GatewayDownError("Wompi answers a search with transactions of other references")
        return sorted(found, key=lambda row: (str(row.get("created_at")), str(row.get("id"))))

    async def transaction(self, configured: Configured, transaction_id: str) -> Json | None:
        """One transaction; None when there is none. Raises GatewayDownError.

        Anybody may ask Wompi for any transaction (2.1), so it may be another merchant's.
        """
        if not _TRANSACTION_ID.fullmatch(transaction_id):
            return None
        said = await self._read(configured, f"/transactions/{transaction_id}")
        if said.status == 404 and said.member("error") is not None:
            return None
        if not said.is_good:
            raise GatewayDownError(f"Wompi answers {said.status} for a transaction")
        return _object(said.member("data"), "a transaction")

    async def merchant(self, configured: Configured) -> Merchant:
        """The merchant of the public key, with fresh acceptance tokens (2.5). Raises GatewayDownError."""
        said = await self._read(configured, f"/merchants/{quote(keys.key(configured, keys.PUBLIC), safe='')}")
        if said.status in {404, 422} and said.member("error") is not None:
            raise KeyRefusedError("Wompi does not know the public key")
        if not said.is_good:
            raise GatewayDownError(f"Wompi answers {said.status} for the merchant")
        names = (said.member("data", "name"), said.member("data", "legal_name"))
        return Merchant(
            name=next((name for name in names if isinstance(name, str) and name), None),
            terms=_acceptance(said, "presigned_acceptance"),
            personal_data=_acceptance(said, "presigned_personal_data_auth"),
        )

    async def banks(self, configured: Configured) -> Sequence[Any]:
        """The rows of the bank list as they come (2.6). Raises GatewayDownError."""
        said = await self._read(configured, "/pse/financial_institutions")
        rows = said.member("data") if said.is_good else None
        if not isinstance(rows, list):
            raise GatewayDownError(f"Wompi answers {said.status} for the banks")
        return cast("list[Any]", rows)

    async def _read(self, configured: Configured, path: str, query: Mapping[str, str] | None = None) -> Said:
        """A question whose answer is JSON, good or not. Raises GatewayDownError for anything else."""
        try:
            said = await self.call(configured, "GET", path, query=query)
        except NotSentError as error:
            raise GatewayDownError(f"Wompi cannot be reached: {error}") from error
        except NoAnswerError as error:
            raise GatewayDownError(f"Wompi did not answer: {error}") from error
        if said.status == 401 or (said.status == 403 and said.content is not None):
            raise KeyRefusedError(refused_key(said.status))
        if said.is_vague or said.content is None:
            raise GatewayDownError(f"Wompi answers {said.status}")
        return said


def refused_key(status: int) -> str:
    """What to tell the merchant's developer about a 401 or 403 (2.12)."""
    return f"Wompi does not accept the private key ({status}): check that the keys of this account are current"


def _object(found: object, what: str) -> Json:
    if not isinstance(found, dict):
        raise GatewayDownError(f"Wompi's answer holds no object for {what}")
    return cast("Json", found)


def _acceptance(said: Said, member: str) -> Acceptance:
    token, permalink = said.member("data", member, "acceptance_token"), said.member("data", member, "permalink")
    if not isinstance(token, str) or not isinstance(permalink, str):
        raise GatewayDownError(f"Wompi tells no {member}")
    return Acceptance(token=token, permalink=permalink)
