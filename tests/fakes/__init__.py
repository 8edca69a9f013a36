"""Fakes of payment vendors: small HTTP servers that behave as the vendors do, for tests and for `make demo`.

They are the vendor's side and import nothing of recaudo. Sections are those of the gateways specification.

    async with running_fakes(frozen=True) as fakes, Payer() as payer:
        wompi = fakes.wompi                       # fakes.mercadopago works alike
        shop = wompi.merchant(notice_url="http://127.0.0.1:8000/...")      # live=True for production keys
        shop.public_key, shop.private_key, shop.events_secret, shop.integrity_secret
        wompi.sandbox_url, wompi.production_url, wompi.checkout_url        # mercadopago: base_url

        wompi.scenarios.set("rc1x", Scenario(outcome=Outcome.DECLINED, duplicate=3))
        wompi.scenarios.default = Scenario(http_429=1)                     # of references not seen yet
        wompi.scenarios.queue += [Scenario(drop=True)]                     # of the next new references
        wompi.scenarios.chaos(seed=7)                                      # Scenario.random for each new reference

        await payer.pay(checkout_url, "approve")  # or decline, decline_then_approve, pending, error, scenario;
                                                  # returns where the payer is sent back to
        await fakes.advance(60)                   # moves the clock; notices due on the way are sent and answered
        await fakes.drain_notices()               # sends what is due now
        wompi.settle(transaction_id)              # ends a pending one (State.APPROVED unless another is given)

        wompi.money("rc1x")                       # Money(approved, returned, disputed) in cents; .net
        wompi.transactions, wompi.by_reference    # everything as the vendor has it
        wompi.notices, wompi.calls                # what was sent with its answers, and what was asked of it

Without an event loop: `with fakes_in_thread() as fakes:`, then `fakes.call(lambda: ...)` and `fakes.run(coroutine)`.
From another process: POST /_fake/scenario, GET /_fake/transactions, POST /_fake/transactions/{id} {"state"},
GET /_fake/notices, POST /_fake/notice_url, POST /_fake/advance {"seconds"}, POST /_fake/reset.
By hand: `python -m tests.fakes --port 9100 --wompi --mercadopago`.

Unless the clock is frozen it runs as the wall clock does, and payments end `settle_seconds` after they begin.
"""

from tests.fakes.base import Clock, Money, State
from tests.fakes.mercadopago import MercadoPago, MercadoPagoMerchant
from tests.fakes.pages import Payer
from tests.fakes.scenario import Outcome, RefundAnswer, Reverse, Scenario, Tamper
from tests.fakes.serving import Fakes, ThreadedFakes, fakes_in_thread, running_fakes, serving
from tests.fakes.wompi import Wompi, WompiMerchant

__all__ = [
    "Clock",
    "Fakes",
    "MercadoPago",
    "MercadoPagoMerchant",
    "Money",
    "Outcome",
    "Payer",
    "RefundAnswer",
    "Reverse",
    "Scenario",
    "State",
    "Tamper",
    "ThreadedFakes",
    "Wompi",
    "WompiMerchant",
    "fakes_in_thread",
    "running_fakes",
    "serving",
]
