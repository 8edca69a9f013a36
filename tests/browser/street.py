"""A server whose vendors are fakes that a browser can walk into, on a database and with a worker of its own."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from recaudo.config import Vendors
from recaudo.store.gateways import MerchantGateway
from recaudo.usecases import gateways
from recaudo.usecases.gateways import NewGateway
from tests.databases import own_database
from tests.fakes import MercadoPagoMerchant
from tests.fakes.serving import ThreadedFakes
from tests.fakes.wompi import WompiMerchant
from tests.world import Client, World


class Street(World):
    """The server, and the vendors it collects through."""

    fakes: ThreadedFakes

    async def with_wompi(self, client: Client) -> WompiMerchant:
        """Give a merchant Wompi."""
        shop = self.fakes.call(self.fakes.wompi.merchant)
        keys = {
            "public_key": shop.public_key,
            "private_key": shop.private_key,
            "events_secret": shop.events_secret,
            "integrity_secret": shop.integrity_secret,
        }
        shop.notice_url = await self._set_up(client, "wompi", keys)
        return shop

    async def with_mercadopago(self, client: Client) -> MercadoPagoMerchant:
        """Give a merchant Mercado Pago."""
        shop = self.fakes.call(self.fakes.mercadopago.merchant)
        keys = {"access_token": shop.access_token, "webhook_secret": shop.secret}
        shop.notice_url = await self._set_up(client, "mercadopago", keys)
        return shop

    async def _set_up(self, client: Client, kind: str, credentials: dict[str, str]) -> str:
        made: list[MerchantGateway] = []

        def respond(it: MerchantGateway) -> tuple[int, bytes]:
            made.append(it)
            return 201, b"{}"

        account = await self.account(client.account_id)
        await gateways.create(self.core, account, NewGateway(kind=kind, credentials=credentials), respond, once=None)
        return f"{self.base_url}/notices/{made[0].notice_key}"


@contextlib.asynccontextmanager
async def street(database_url: str, home: Path, fakes: ThreadedFakes) -> AsyncIterator[Street]:
    """A street for as long as the block lasts."""
    async with own_database(database_url) as own_url:
        made = Street(own_url, home)
        made.fakes = fakes
        made.vendors = Vendors(wompi_url=fakes.wompi.base_url, mercadopago_url=fakes.mercadopago.base_url)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()
