"""Who tries keys, links or documents at random is told to wait; whoever comes honestly from the same place is not."""

import asyncio
import secrets

import pytest
from prometheus_client import CollectorRegistry

from recaudo.edge.api import WRONG_KEYS
from recaudo.edge.auth import UNKNOWN_ENTRIES_MAX, Authenticator
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import Observer
from recaudo.edge.problems import Problem
from recaudo.web import limits
from recaudo.web.limits import Allowance
from recaudo.web.site import make_site
from tests.dialects.treli.wire import speaks_treli
from tests.web.visiting import Caller, Visitor
from tests.world import Answer, Client, World, running


async def test_an_address_with_many_wrong_keys_is_told_to_wait_and_right_keys_go_on(
    world: World, tmp_path_factory
) -> None:
    """On a server of its own: the limit is the address's, and all tests come from one."""
    async with running(world.database_url, tmp_path_factory.mktemp("guessing"), runs_worker=False) as target:
        owner = await target.merchant()
        answers: list[Answer] = []
        while not any(answer.status == 429 for answer in answers) and len(answers) < 5 * WRONG_KEYS:
            answers += await asyncio.gather(*(guesser(owner).get("/v1/invoices") for _ in range(200)))
        assert {answer.status for answer in answers} == {401, 429}
        assert sum(answer.status == 401 for answer in answers) >= WRONG_KEYS
        # Nobody is told by the limit whether a key is good: it counts only those that are not.
        for client in (owner, speaks_treli(owner), await target.merchant()):
            assert (await client.get("/v1/customers")).status == 200
        refused = next(answer for answer in answers if answer.status == 429)
        assert refused.json["code_name"] == "too_many_requests"
        assert int(refused.headers["Retry-After"]) >= 1


def guesser(client: Client) -> Client:
    key = f"sk_live_{secrets.token_urlsafe(24)}"
    return Client(client.session, client.base_url, key, client.account_id, client.slug)


async def test_wrong_keys_do_not_push_out_those_that_are_used(world: World, client: Client) -> None:
    doors = Authenticator(world.core.database)
    await doors.account(client.key, monotonic_s=0.0)
    for number in range(UNKNOWN_ENTRIES_MAX + 50):
        try:
            await doors.account(f"sk_test_{number}", monotonic_s=0.0)
        except Problem:
            continue
    assert list(doors._cache) == [client.key]
    assert len(doors._unknown) == UNKNOWN_ENTRIES_MAX


async def test_documents_cannot_be_guessed_quickly_in_a_portal(world: World, client: Client) -> None:
    """And the merchant's payers who have their link go on."""
    made = await client.invoice()
    visitor = Visitor(world.session, world.base_url)
    page = await visitor.get(f"/{client.slug}/test")
    answers = [await visitor.submit(page, query=str(10_000_000 + number)) for number in range(40)]
    statuses = [answer.status for answer in answers]
    assert statuses[: int(limits.LOOKUPS.burst)] == [200] * int(limits.LOOKUPS.burst)
    assert 429 in statuses
    limited = await visitor.submit(page, query="1060500333")
    assert limited.status == 429
    assert "Internet plan" not in limited.text, "the right one is not told either"
    assert (await visitor.get(f"/payment/{made['payment_id']}")).status == 200


async def test_who_guesses_links_is_slowed_and_the_others_are_not(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link holds 62 bits of chance; a miss costs as much of the allowance as a hit."""
    monkeypatch.setattr(limits, "VIEWS", Allowance(20, 0.01))
    made = await client.invoice()
    site = make_site(
        world.core,
        observer=Observer(CollectorRegistry()),
        limiter=RateLimiter(),
        base_url=world.base_url,
        secret_key=world.secret,
        proxy_hops=0,
    )
    guesses = [f"/payment/0198f3a2-7c1e-7b52-9d40-{secrets.token_hex(6)}" for _ in range(30)]
    seen = [(await Caller(site, "10.0.0.1").get(path)).status for path in guesses]
    assert seen == [404] * 20 + [429] * 10
    link = f"/payment/{made['payment_id']}"
    assert (await Caller(site, "10.0.0.1").get(link)).status == 429
    assert (await Caller(site, "10.0.0.2").get(link)).status == 200
