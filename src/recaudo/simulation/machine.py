"""The product's one process: it takes requests, performs due work, dies, and is started again on the same database."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from recaudo.app import Application
from recaudo.config import Settings
from recaudo.parts import make_core
from recaudo.simulation.chance import SeededIds, SimulatedClock
from recaudo.simulation.crashes import Fate, FragileDatabase, Turnstile
from recaudo.simulation.gateway import SimulatedGateway
from recaudo.simulation.receivers import SimulatedTelling
from recaudo.simulation.story import Story
from recaudo.store.database import DatabaseAwayError
from recaudo.usecases.core import Core
from recaudo.worker import loops

PUBLIC_URL = "http://recaudo.test"
SECRET = "a secret of the simulation, which protects nothing"  # noqa: S105 - nothing of it outlives the run
SETTINGS = Settings(
    database_url="handed over",
    home=Path("/nonexistent"),
    public_url=PUBLIC_URL,
    secret_key=SECRET,
    log_level="error",
    proxy_hops=0,
    connections_max=4,
    webhooks_allow_http=True,
    webhooks_allow_private_networks=True,
)

Work = Callable[[], Awaitable[None]]
"""Something that is done through the process. It ends early when the process dies."""


class Answer(msgspec.Struct, frozen=True):
    """What the process answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_away: bool = False  # it says that it found no database, and there was an outage

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever it says
        """The body, read."""
        return msgspec.json.decode(self.body)


class Machine:
    """The process and everything that survives it."""

    def __init__(
        self,
        database: FragileDatabase,
        *,
        clock: SimulatedClock,
        ids: SeededIds,
        chance: Random,
        fate: Fate,
        story: Story,
        gateways: Sequence[SimulatedGateway],
        telling: SimulatedTelling,
    ) -> None:
        self.database = database
        self.clock = clock
        self.fate = fate
        assert database.outages is not None, "the run has set it up"
        self.outages = database.outages
        self._ids = ids
        self._chance = chance
        self._story = story
        self._gateways = {it.name: it for it in gateways}
        self._telling = telling
        self._addresses = 0
        self._turnstile = Turnstile(chance)
        self.core: Core
        self._app: Application
        self.start()

    def start(self) -> None:
        """A new process: nothing that the last one knew is left but the database."""
        self.fate.died.clear()
        self._turnstile = Turnstile(self._chance)
        self.database.fate, self.database.turnstile = self.fate, self._turnstile
        self.core = msgspec.structs.replace(
            make_core(self.database, SECRET),
            clock=self.clock,
            ids=self._ids,
            chance=self._chance.random,
            gateways=self._gateways,
        )
        self._app = Application(SETTINGS, runs_worker=False)
        self._app.compose(self.core, monotonic=self.clock.seconds, documented=False)

    async def run(self, works: Sequence[Work]) -> None:
        """Do several things at once; when the process dies on the way, it is buried and started again."""
        before = asyncio.all_tasks()
        self._turnstile.is_crowded = len(works) > 1
        tasks = [asyncio.ensure_future(work()) for work in works]
        dying = asyncio.create_task(self.fate.died.wait())
        waiting: set[asyncio.Future[Any]] = set(tasks)
        while waiting and not self.fate.died.is_set():
            done, _ = await asyncio.wait({*waiting, dying}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
        dying.cancel()
        if self.fate.died.is_set():
            await self._bury(asyncio.all_tasks() - before, tasks)
            self.start()
            return
        for task in tasks:
            task.result()  # what is wrong with the simulation itself

    async def perform_due_work(self) -> None:
        """Let the worker do what is due now, one thing after the other."""
        try:
            done = await loops.drain(self.core, self._telling, at_once=1)
        except DatabaseAwayError:
            self._story.tell("", "the worker finds no database")
            return
        if done:
            self._story.tell("", f"the worker does {done} things")

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request, through the whole pipeline. Each comes from an address of its own."""
        self._addresses += 1
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (f"10.{self._addresses >> 16 & 255}.{self._addresses >> 8 & 255}.{self._addresses & 255}", 1),
            "server": ("recaudo.test", 80),
        }
        sent: list[Mapping[str, Any]] = []
        failures = self.outages.failures

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, keep)
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        status, body_ = sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
        is_away = status == 503 and self.outages.failures > failures
        self._story.counts["requests that found no database"] += is_away
        return Answer(status, told, body_, is_away=is_away)

    async def _bury(self, children: set[asyncio.Task[Any]], tasks: Sequence[asyncio.Future[None]]) -> None:
        """End what is left of a dead process. The driver's own tasks end by themselves: the connections live on."""
        for child in children:
            if _is_ours(child):
                child.cancel()
        await asyncio.gather(*children, *tasks, return_exceptions=True)


def _is_ours(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(_PACKAGE)


_PACKAGE = str(Path(__file__).parent.parent)
