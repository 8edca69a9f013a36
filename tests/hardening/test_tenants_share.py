"""One tenant's flood of reads makes another wait for a few of them, never for all; and the line itself has an end."""

import asyncio

import pytest

from recaudo.edge.fairness import RUNNING_MAX, Turnstile
from tests.world import World

ROWS = 100
FLOOD = 400


async def test_places_go_to_the_first_in_line_and_each_key_has_its_own() -> None:
    gate = Turnstile(running_max=1, waiting_max=2)
    assert await gate.enter("a")
    lined_up = [asyncio.create_task(gate.enter("a")) for _ in range(2)]
    await asyncio.sleep(0)
    assert not await gate.enter("a"), "the line is full"
    assert await gate.enter("b"), "somebody else's line is not"
    gate.leave("a")
    await asyncio.sleep(0)
    assert [task.done() for task in lined_up] == [True, False]
    gate.leave("a")
    assert await lined_up[1]
    gate.leave("a")
    gate.leave("b")
    assert (gate._running, gate._waiting) == ({}, {})


@pytest.mark.parametrize("has_place", [True, False])
async def test_who_goes_away_takes_no_place_along(has_place: bool) -> None:
    gate = Turnstile(running_max=1, waiting_max=2)
    assert await gate.enter("a")
    gone = asyncio.create_task(gate.enter("a"))
    await asyncio.sleep(0)
    if has_place:
        gate.leave("a")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    if not has_place:
        gate.leave("a")
    assert (gate._running, gate._waiting) == ({}, {})
    assert await gate.enter("a")


async def test_a_flood_of_reads_does_not_starve_a_neighbour(world: World) -> None:
    """Counted in requests and not in seconds: how many of the flood pass by while the neighbour waits for one."""
    greedy, neighbour = await world.merchant(), await world.merchant()
    await asyncio.gather(*(greedy.invoice(provider_id=f"f-{number}") for number in range(ROWS)))
    await neighbour.invoice()
    flood = [asyncio.create_task(greedy.get(f"/v1/invoices?per_page={ROWS}")) for _ in range(FLOOD)]
    passed: list[int] = []
    while not all(task.done() for task in flood):
        before = sum(task.done() for task in flood)
        assert (await neighbour.get("/v1/invoices")).status == 200
        passed.append(sum(task.done() for task in flood) - before)
    assert {(await task).status for task in flood} == {200}
    assert len(passed) >= 5, passed
    # Without the turnstile one read of the neighbour waits for all that came before it, some hundreds.
    assert sorted(passed)[len(passed) // 2] <= 6 * RUNNING_MAX, passed
