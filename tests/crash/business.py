"""What merchants do all day, over HTTP in both dialects, for as long as the run lasts.

A clerk lives through one small story after the other: loads an invoice, changes it, has it paid or withdrawn, gives
money back. Where a request gets no answer the story ends, as nobody knows how it would go on.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from tests.crash.requests import Journal, Write
from tests.databases import bill
from tests.dialects.treli.stage import ADDRESS
from tests.dialects.treli.wire import speaks_treli
from tests.importing.files import ROW, csv_text
from tests.world import Client

AMOUNT = 80_000
IMPORT_ROWS = 25
OUTCOMES = ("approve", "approve", "approve", "decline", "approve_twice", "pending_then_approve")
PHONE = bill().phone


@dataclass
class Shop:
    """A merchant's test account, spoken to in both dialects."""

    onepay: Client
    name: str
    customer: str = ""
    treli: Client = field(init=False)

    def __post_init__(self) -> None:
        self.treli = speaks_treli(self.onepay)

    async def open(self, receiver_url: str, types: Mapping[str, list[str]]) -> None:
        """Register what the stories need, and endpoints in both dialects."""
        for dialect, names in types.items():
            url = f"{receiver_url}/{self.name}/{dialect}"
            body = {"dialect": dialect, "name": "ERP", "url": url, "types": names}
            answer = await self.onepay.post("/recaudo/v1/webhooks", body)
            assert answer.status == 201, answer.body
        body = {"full_name": "Ana Ruiz", "email": "ana@example.com", "billing_address": ADDRESS}
        answer = await self.treli.post("/v1/customers", body)
        assert answer.status == 200, answer.body
        self.customer = answer.json["id"]


class Clerk:
    """Somebody who works in a shop until told to stop."""

    def __init__(self, shop: Shop, journal: Journal, chance: Random, name: str) -> None:
        self._shop = shop
        self._journal = journal
        self._chance = chance
        self._keys = (f"{name}-{number}" for number in itertools.count())

    async def work(self, stop: asyncio.Event) -> None:
        """Live through stories until `stop` is set."""
        stories: list[Callable[[], Awaitable[None]]] = [self._onepay, self._treli, self._import]
        while not stop.is_set():
            (story,) = self._chance.choices(stories, [60, 35, 1])
            try:
                await story()
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                await asyncio.sleep(0.1)  # a question, not a write, found nobody there
            await asyncio.sleep(self._chance.uniform(0, 0.05))

    async def _write(self, kind: str, client: Client, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Send a write; its answer's JSON, True for an empty one, or None when it was refused or is unknown."""
        key = more.pop("key", None) or next(self._keys)
        write = Write(
            kind=kind, key=key, mark=more.pop("mark", key), client=client, method=method, path=path, body=body, **more
        )
        answer = await self._journal.send(write)
        if answer is None or answer.status >= 300:
            return None
        return answer.json or True

    # --- OnePay ---

    async def _onepay(self) -> None:
        key, client = next(self._keys), self._shop.onepay
        body = {
            "reference": "1060500333",
            "provider": "biller",
            "provider_id": key,
            "amount": AMOUNT,
            "name": "Internet plan - Octubre",
            "phone": PHONE,
        }
        invoice = await self._write("create", client, "POST", "/v1/invoices", body, key=key)
        for _ in range(self._chance.choice((0, 0, 1, 2))):
            if invoice is None:
                return
            key = next(self._keys)
            change = {"name": f"Plan {key}", "amount": AMOUNT + self._chance.randrange(1000)}
            path = f"/v1/invoices/{invoice['id']}"
            invoice = await self._write("change", client, "PUT", path, change, key=key, mark=change["name"])
        if invoice is not None:
            await self._end(invoice)

    async def _end(self, invoice: Mapping[str, Any]) -> None:
        how = self._chance.random()
        if how < 0.2:
            path = f"/v1/invoices/{invoice['id']}"
            await self._write("withdraw", self._shop.onepay, "DELETE", path, mark=invoice["id"])
        elif how < 0.8:
            path = f"/recaudo/v1/sandbox/payments/{invoice['payment_id']}"
            body = {"outcome": self._chance.choice(OUTCOMES)}
            paid = await self._write("pay", self._shop.onepay, "POST", path, body)
            if paid is not None and paid["state"] == "succeeded" and self._chance.random() < 0.5:
                await self._give_back(invoice["id"])

    async def _give_back(self, invoice_id: str) -> None:
        listed = await self._shop.onepay.get(f"/recaudo/v1/receipts?invoice={invoice_id}")
        if listed.status != 200 or not listed.json["data"]:
            return
        key, receipt = next(self._keys), listed.json["data"][0]
        path, body = f"/recaudo/v1/receipts/{receipt['id']}/refund", {"amount_minor": 1_000_000, "reason": key}
        await self._write("refund", self._shop.onepay, "POST", path, body, key=key)

    # --- Treli ---

    async def _treli(self) -> None:
        key, client = next(self._keys), self._shop.treli
        item = {"name": "Matrícula", "unit_price": f"{AMOUNT}.00"}
        body = {"items": [item], "invoice_number": key, "customer": self._shop.customer}
        invoice = await self._write("create", client, "POST", "/v1/invoices", body, key=key)
        if invoice is None:
            return
        path = f"/v1/collections/{invoice['collections'][0]}"
        for number in range(self._chance.choice((0, 1, 1, 2))):
            part = 1000 + 10 * number + self._chance.randrange(10)
            mark = f"{key} {part}00"
            if (
                await self._write("part", client, "POST", f"{path}/partial_payment", {"amount": part}, mark=mark)
                is None
            ):
                return
        if self._chance.random() < 0.3:
            path = f"/v1/invoices/{invoice['id']}/void"
            await self._write("void", client, "POST", path, {"reason": "Error"}, mark=key)

    # --- Files ---

    async def _import(self) -> None:
        key = next(self._keys)
        rows = [{**ROW, "external_id": f"{key}.{number}", "due_date": ""} for number in range(IMPORT_ROWS)]
        text = {"Content-Type": "text/csv"}
        body = csv_text(rows).encode()
        await self._write("import", self._shop.onepay, "POST", "/recaudo/v1/imports", body, key=key, headers=text)
