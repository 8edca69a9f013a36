"""A short storm: payments with trouble at every step, workers that are killed, and every peso where it is.

`make storm` runs ten thousand of them.
"""

import tempfile
from pathlib import Path

from recaudo.config import Vendors
from tests.databases import own_database
from tests.fakes import running_fakes
from tests.gateways.storm import storm
from tests.world import running

PAYMENTS = 72
SEED = 20  # of the faults; references are new each time, so no two storms are the same


async def test_every_peso_is_where_it_is_after_a_short_storm(embedded_url: str) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with own_database(embedded_url) as url, running_fakes(settle_seconds=0.2) as fakes:
            vendors = Vendors(wompi_url=fakes.wompi.base_url, mercadopago_url=fakes.mercadopago.base_url)
            async with running(url, Path(folder), runs_worker=False, vendors=vendors) as world:
                tally = await storm(world, fakes, payments=PAYMENTS, seed=SEED)
    assert tally.payments == PAYMENTS
    assert tally.wrong == []
    assert tally.findings == []
    assert tally.differences == []
    assert {"succeeded", "failed"} <= set(tally.states)
    assert tally.booked_minor == tally.approved_minor > 0
