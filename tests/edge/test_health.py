"""GET /health asks the database no more often than it must, whoever asks."""

import asyncio
from datetime import UTC, datetime

import msgspec

from recaudo.edge.health import Health
from recaudo.store.database import Database
from recaudo.store.replica import Lists
from tests.databases import own_database
from tests.watch import Watch


def now() -> datetime:
    return datetime.now(UTC)


async def test_many_who_ask_at_once_cost_one_look_and_a_second_later_there_is_another(embedded_url: str) -> None:
    async with own_database(embedded_url) as url:
        database, watch = await Database.connect(url, connections_max=1), Watch()
        health = Health(database, Lists(database), now=now, monotonic=watch.seconds)
        seen = await asyncio.gather(*(health.answer() for _ in range(50)))
        assert {id(reply) for reply in seen} == {id(seen[0])}
        assert msgspec.json.decode(seen[0].body)["status"] == "ok"
        await database.close()
        watch.at += 0.9
        assert (await health.answer()).status == 200, "what was seen less than a second ago"
        watch.at += 0.2
        gone = await health.answer()
        assert (gone.status, msgspec.json.decode(gone.body)["status"]) == (503, "database_away")
