"""What Wompi tells everybody and rarely changes: the banks of PSE, and the documents that payers accept (2.5, 2.6)."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import msgspec

from recaudo.edge import contacts
from recaudo.gateways.wompi import keys, reading
from recaudo.gateways.wompi.api import WompiApi
from recaudo.usecases.ports import Bank, Configured, GatewayDownError, Terms

BANKS_FRESH_S: Final = 24 * 3600.0
AGAIN_S: Final = 30.0  # a Wompi that is down is not asked by every payer who opens the page
TERMS_FRESH_S: Final = 300.0
TERMS_KEPT_MAX: Final = 1000
_PLACEHOLDER: Final = "0"  # "choose your bank", which is none


Answered = TypeVar("Answered")


class _Banks(msgspec.Struct, frozen=True, kw_only=True):
    rows: tuple[Bank, ...]
    names: Mapping[str, str]
    ask_at: float


class Remembered:
    """Kept in memory: the banks by environment, the terms by merchant. `monotonic` tells how old something is."""

    def __init__(self, api: WompiApi, *, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._monotonic = monotonic
        self._banks: dict[bool, _Banks] = {}
        self._terms: dict[str, tuple[float, Terms | None]] = {}
        self._asking: dict[Hashable, asyncio.Task[Any]] = {}

    async def _once(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Answered]]) -> Answered:
        """Ask once for all who want to know now; the question goes on when one of them loses patience."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(ask())
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def banks(self, configured: Configured) -> Sequence[Bank]:
        """The banks that payers choose from, a day old at most; when Wompi does not tell, those of the last time."""
        known = self._banks.get(configured.is_test)
        if known is not None and self._monotonic() < known.ask_at:
            return known.rows
        return await self._once(("banks", configured.is_test), lambda: self._ask_banks(configured))

    async def _ask_banks(self, configured: Configured) -> Sequence[Bank]:
        known = self._banks.get(configured.is_test)
        try:
            rows = _banks(await self._api.banks(configured))
        except GatewayDownError:
            rows = ()
        fresh_s = BANKS_FRESH_S if rows else AGAIN_S
        rows = rows or (known.rows if known is not None else ())
        names = {bank.code: bank.name for bank in rows}
        self._banks[configured.is_test] = _Banks(rows=rows, names=names, ask_at=self._monotonic() + fresh_s)
        return rows

    def bank_names(self, configured: Configured) -> Mapping[str, str]:
        """The names of the banks by their codes, as far as they are known: no call is made."""
        known = self._banks.get(configured.is_test)
        return {} if known is None else known.names

    async def terms(self, configured: Configured) -> Terms | None:
        """The documents that payers of this merchant accept; None when Wompi does not tell them now."""
        public_key = keys.key(configured, keys.PUBLIC)
        kept = self._terms.get(public_key)
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        return await self._once(("terms", public_key), lambda: self._ask_terms(configured, public_key))

    async def _ask_terms(self, configured: Configured, public_key: str) -> Terms | None:
        _, last = self._terms.get(public_key, (0.0, None))
        try:
            merchant = await self._api.merchant(configured)
            urls = merchant.terms.permalink, merchant.personal_data.permalink
            told = Terms(terms_url=urls[0], data_url=urls[1]) if all(map(contacts.is_url, urls)) else None
        except GatewayDownError:
            told = None
        if len(self._terms) >= TERMS_KEPT_MAX:
            self._terms.clear()
        fresh_s = AGAIN_S if told is None else TERMS_FRESH_S
        self._terms[public_key] = (self._monotonic() + fresh_s, told or last)
        return told or last


def _banks(rows: Sequence[Any]) -> tuple[Bank, ...]:
    """The rows that are banks, each once."""
    found: dict[str, Bank] = {}
    for row in rows:
        if isinstance(row, dict):
            cells = cast("dict[str, Any]", row)
            code = reading.text_at(cells, "financial_institution_code", 20)
            name = reading.text_at(cells, "financial_institution_name", 120)
            if code is not None and name is not None and code.isalnum() and code != _PLACEHOLDER:
                found.setdefault(code, Bank(code=code, name=name.strip()))
    return tuple(found.values())
