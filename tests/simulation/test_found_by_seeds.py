"""What seeds have found, told in full: each was a fault of the product, and stays mended."""

from datetime import timedelta

from recaudo.simulation import payers, steps
from recaudo.simulation.checking import check
from recaudo.simulation.city import City, found
from recaudo.simulation.crashes import FragileDatabase
from recaudo.simulation.running import build
from recaudo.simulation.story import Story


async def calm_city(database: FragileDatabase) -> City:
    """A city in which nobody makes trouble but the test."""
    city, _, sender = build(database, 1, Story())
    sender.is_calm = True
    for vendor in city.vendors:
        vendor.is_calm = True
    await found(city)
    return city


async def pass_time(city: City, span: timedelta) -> None:
    """Let time pass, and then let the worker look; notices of gateways do not come through."""
    city.machine.clock.jump(span)
    for vendor in city.vendors:
        vendor.advance(city.machine.clock.time)
        vendor.notices.clear()
    await city.machine.run([city.machine.perform_due_work])


async def test_the_first_comparison_reaches_back_to_when_the_gateway_was_set_up(wiped: FragileDatabase) -> None:
    """Seed 2063: the worker was away for days, and what a gateway took back before that was never found."""
    city = await calm_city(wiped)
    for work in steps._create_onepay(city):
        await city.machine.run([work])
    await city.machine.run([payers.visit(city, city.known[0])])
    (paid,) = (it for vendor in city.vendors for it in vendor.transactions.values())
    paid.turns.append((city.machine.clock.time + timedelta(hours=1), "failed"))
    await pass_time(city, timedelta(days=10))
    for _ in range(3):
        await pass_time(city, timedelta(seconds=70))
    assert paid.returned_minor == paid.amount_minor
    assert await check(city) == []
