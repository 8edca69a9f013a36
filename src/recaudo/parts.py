"""The use cases' parts, put together: what the server, the worker and most commands stand on.

No HTTP and no pages are loaded here, so a command is at work in half the time.
"""

from collections.abc import Sequence

import msgspec

from recaudo.alone import make_core_alone
from recaudo.config import Vendors
from recaudo.dialects.onepay.webhooks import OnePayWebhooks
from recaudo.dialects.recaudo.webhooks import OwnWebhooks
from recaudo.dialects.treli.webhooks import TreliWebhooks
from recaudo.gateways.mercadopago import MercadoPago
from recaudo.gateways.sandbox import Sandbox
from recaudo.gateways.wompi import Wompi, WompiHosts
from recaudo.store.database import Database
from recaudo.store.replica import Lists
from recaudo.usecases.core import Core
from recaudo.usecases.ports import Gateway


def make_core(database: Database, secret: str, vendors: Vendors | None = None, *, lists: Lists | None = None) -> Core:
    """The use cases' parts, over an open database; `secret` is what secrets at rest are encrypted under."""
    alone = make_core_alone(database, secret)
    return msgspec.structs.replace(
        alone,
        lists=lists or alone.lists,
        gateways={gateway.name: gateway for gateway in make_gateways(vendors or Vendors())},
        webhooks={dialect.name: dialect for dialect in (OnePayWebhooks(), TreliWebhooks(), OwnWebhooks())},
    )


def make_gateways(vendors: Vendors) -> Sequence[Gateway]:
    """Every gateway there is. A vendor's address is its own, unless the operator named a fake's."""
    url = vendors.wompi_url
    hosts = WompiHosts(sandbox=f"{url}/v1", production=f"{url}/production/v1", checkout=f"{url}/p/") if url else None
    mercadopago = MercadoPago(host=vendors.mercadopago_url) if vendors.mercadopago_url else MercadoPago()
    return (Wompi(hosts=hosts), mercadopago, Sandbox())


async def close_gateways(core: Core) -> None:
    """Let every gateway let go of its connections."""
    for gateway in core.gateways.values():
        await gateway.close()
