"""The composition root: puts the parts together and answers HTTP. The only module that knows everyone.

/v1/...          a wire dialect, chosen by the scheme of the Authorization header
/onepay/v1/...   the OnePay dialect, chosen by path; its OpenAPI document and docs page beside it
/treli/v1/...    the Treli dialect, likewise
/recaudo/v1/...  our own additions; the registers that Treli has in its dashboard only speak as Treli does
/notices/{key}   where gateways tell what happened
/health, /metrics
everything else  pages for people
"""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from recaudo.config import Settings, read_settings, secret_key
from recaudo.dialects.onepay import openapi as onepay_openapi
from recaudo.dialects.onepay.dialect import OnePay
from recaudo.dialects.recaudo import openapi as own_openapi
from recaudo.dialects.recaudo.dialect import Own
from recaudo.dialects.recaudo.notices import PREFIX as NOTICES_PREFIX, NoticeReceiver
from recaudo.dialects.treli import openapi as treli_openapi
from recaudo.dialects.treli.dialect import Treli, TreliRegisters
from recaudo.edge.addresses import UrlPolicy
from recaudo.edge.api import BODY_BYTES_MAX, Api, Dialect
from recaudo.edge.auth import Authenticator
from recaudo.edge.docs_page import documents
from recaudo.edge.fairness import Turnstile
from recaudo.edge.health import Health
from recaudo.edge.http import TOO_SLOW, Receive, Reply, Scope, Send, SlowBodyError, header, read_body, send_reply
from recaudo.edge.limits import RateLimiter
from recaudo.edge.observe import DeliveryMeter, Observer, configure_logging, new_request_id
from recaudo.edge.problems import Problem
from recaudo.parts import close_gateways, make_core
from recaudo.store.database import Database, DatabaseAwayError
from recaudo.store.events import fit_feed
from recaudo.store.patience import patiently
from recaudo.store.replica import Lists
from recaudo.system import SystemClock
from recaudo.usecases import gateways as merchant_gateways
from recaudo.usecases.core import Core
from recaudo.usecases.upkeep import Kept
from recaudo.usecases.webhooks import check_secrets
from recaudo.web.site import make_site
from recaudo.worker import loops

# How long a server process waits for its database as it starts; less than what a stop is given.
START_PATIENCE_S = 20
_WORKER_VARIABLE = "RECAUDO_SERVE_RUNS_WORKER"
_SUPERVISOR_VARIABLE = "RECAUDO_SERVE_SUPERVISOR"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Counted from when the application says that it is ready: by then the server serves, on a busy machine too.
SIGNALS_HELD_S = 0.5
# How often a server process looks whether its supervisor lives, and how long it may take to stop when that died.
SUPERVISOR_LOOK_S = 1.0
ALONE_S_MAX = 35.0

_NEUTRAL_401 = (
    b'{"message":"Falta el encabezado Authorization. Use \'Authorization: Bearer <clave>\' (OnePay) o '
    b'\'Authorization: Basic <base64(clave:)>\' (Treli).","code_name":"unauthenticated"}'
)

_NEUTRAL_413 = b'{"message":"El cuerpo supera el l\xc3\xadmite de 1 MiB.","code_name":"body_too_large"}'
_NEUTRAL_CHALLENGES = (
    ("WWW-Authenticate", 'Bearer realm="recaudo"'),
    ("WWW-Authenticate", 'Basic realm="recaudo", charset="UTF-8"'),
)

_log: Any = structlog.get_logger("recaudo.app")


def telling(settings: Settings, registry: CollectorRegistry) -> loops.Telling:
    """How this process tells endpoints what happened."""
    return loops.Telling(
        base_url=settings.public_url,
        allow_private_networks=settings.webhooks_allow_private_networks,
        meter=DeliveryMeter(registry),
    )


def kept(settings: Settings) -> Kept:
    """For how long the worker keeps what may be swept."""
    days = settings.keep_answers_days
    return Kept(
        deliveries=timedelta(days=settings.keep_deliveries_days),
        answers=None if days is None else timedelta(days=days),
    )


def create() -> "Application":
    """The application of one server process, as the HTTP server's factory."""
    settings = read_settings()
    configure_logging(settings.log_level)
    return Application(settings, runs_worker=os.environ.get(_WORKER_VARIABLE, "1") == "1")


class Application:
    """An ASGI application: opened by the lifespan, closed when the server stops."""

    def __init__(self, settings: Settings, *, runs_worker: bool) -> None:
        self._settings = settings
        self._runs_worker = runs_worker
        self._stop = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._registry = CollectorRegistry()
        self._database: Database | None = None
        self._core: Core | None = None
        self._health: Health | None = None
        self._notices: NoticeReceiver | None = None
        self._onepay: Api | None = None
        self._own: Api | None = None
        self._treli: Api | None = None
        self._registers: Api | None = None
        self._is_register: Callable[[str], bool] = lambda _: False
        self._documents: Mapping[str, Reply] = {}
        self._site: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the server."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith("/v1/") or path == "/v1":
            await self._versioned(scope, receive, send, path[3:])
        elif path.startswith("/onepay/v1"):
            assert self._onepay is not None, "the lifespan opens everything"
            await self._onepay(scope, receive, send, path=path[10:])
        elif path.startswith("/treli/v1"):
            assert self._treli is not None, "the lifespan opens everything"
            await self._treli(scope, receive, send, path=path[9:])
        elif path.startswith("/recaudo/v1"):
            own = self._registers if self._is_register(path[11:]) else self._own
            assert own is not None, "the lifespan opens everything"
            await own(scope, receive, send, path=path[11:])
        elif path in self._documents:
            await self._document(scope, send, self._documents[path])
        elif path == "/":
            # A newcomer opens the bare address first; there is no front page, so lead to the reference.
            await self._document(scope, send, Reply(status=307, headers=[("Location", "/onepay/docs")]))
        elif path.startswith(NOTICES_PREFIX):
            assert self._notices is not None, "the lifespan opens everything"
            await self._notices(scope, receive, send)
        elif path == "/health":
            assert self._health is not None, "the lifespan opens everything"
            await send_reply(
                send, await self._health.answer(), request_id=new_request_id(), head=scope["method"] == "HEAD"
            )
        elif path == "/metrics":
            await send_reply(send, self._metrics(), request_id=new_request_id(), head=scope["method"] == "HEAD")
        else:
            await self._site(scope, receive, send)

    async def _versioned(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """On /v1 the scheme of the Authorization header chooses the dialect, never the body (specs, 1.1)."""
        scheme = (header(scope, b"authorization") or b"").partition(b" ")[0].lower()
        api = {b"bearer": self._onepay, b"basic": self._treli}.get(scheme)
        if api is not None:
            await api(scope, receive, send, path=path)
            return
        try:
            # Size is checked first, and who still sends when the connection closes never reads the answer.
            await read_body(scope, receive, bytes_max=BODY_BYTES_MAX)
            reply = Reply(status=401, body=_NEUTRAL_401, headers=_NEUTRAL_CHALLENGES)
        except Problem as problem:
            reply = Reply(status=413, body=_NEUTRAL_413, headers=problem.headers)
        except SlowBodyError:
            reply = TOO_SLOW
        await send_reply(send, reply, request_id=new_request_id(), head=scope["method"] == "HEAD")

    async def _document(self, scope: Scope, send: Send, reply: Reply) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            reply = Reply(status=405, headers=[("Allow", "GET, HEAD")], content_type="text/plain")
        await send_reply(send, reply, request_id=new_request_id(), head=scope["method"] == "HEAD")

    def _metrics(self) -> Reply:
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            # Several server processes: each writes its figures to files, and whoever is asked adds them up.
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        body = generate_latest(registry)
        return Reply(status=200, body=body, content_type="text/plain; version=0.0.4; charset=utf-8")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        hold_signals()
        await receive()
        try:
            await self._open()
        except Exception as error:  # noqa: BLE001 - told to the server, which ends the process
            _log.error("start_failed", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        asyncio.get_running_loop().call_later(SIGNALS_HELD_S, _release_signals)
        leaving = asyncio.create_task(_leave_with_supervisor())
        await receive()
        await self._close()
        leaving.cancel()  # not before: a stop that hangs is ended, too
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self) -> None:
        _die_with_parent()
        settings = self._settings
        assert settings.database_url is not None, "serve hands the URL of the embedded database over"
        core = await _reach_patiently(settings, settings.database_url, self._stop)
        self.compose(core)
        if self._runs_worker:
            work = loops.run(core, self._stop, telling(settings, self._registry), kept(settings))
            self._worker = asyncio.create_task(work)
        _spare_the_collector()

    def compose(self, core: Core, *, monotonic: Callable[[], float] = time.monotonic, documented: bool = True) -> None:
        """Put the parts together over a core. The simulation comes in here, with clocks and gateways of its own.

        Without `documented` there are no pages about the APIs: they take most of the time.
        """
        settings, database = self._settings, core.database
        self._core, self._database = core, database
        observer = Observer(self._registry)
        authenticator = Authenticator(database)
        limiter = RateLimiter()
        readers = Turnstile()
        policy = UrlPolicy(
            allow_http=settings.webhooks_allow_http, allow_private=settings.webhooks_allow_private_networks
        )
        own = Own(core, authenticator, policy, self._stop, import_bytes_max=settings.import_bytes_max)
        onepay = OnePay(core, policy)
        treli, registers = Treli(core), TreliRegisters(core)

        def api(dialect: Dialect) -> Api:
            return Api(
                dialect,
                authenticator=authenticator,
                limiter=limiter,
                observer=observer,
                base_url=settings.public_url,
                monotonic=monotonic,
                readers=readers,
                proxy_hops=settings.proxy_hops,
            )

        self._health = Health(database, core.lists, now=SystemClock().now, monotonic=monotonic)
        self._notices = NoticeReceiver(core, RateLimiter())
        self._onepay, self._treli, self._own, self._registers = api(onepay), api(treli), api(own), api(registers)
        self._is_register = registers.has
        if documented:
            base_url = settings.public_url
            self._documents = {
                **documents("/onepay", onepay_openapi.document(onepay.router, base_url), lang="es"),
                **documents("/treli", treli_openapi.document(treli.router, registers.router, base_url), lang="es"),
                **documents("/recaudo", own_openapi.document(own.router, base_url), lang="en"),
            }
        self._site = make_site(
            core,
            observer=observer,
            limiter=limiter,
            base_url=settings.public_url,
            secret_key=secret_key(settings),
            proxy_hops=settings.proxy_hops,
        )

    async def _close(self) -> None:
        self._stop.set()
        if self._worker is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    await self._worker
        if self._core is not None:
            await close_gateways(self._core)
            await self._core.lists.close()
        if self._database is not None:
            await self._database.close()


async def _reach(settings: Settings, url: str) -> Core:
    """The use cases over a database that answers. Raises DatabaseAwayError, and what the checks of secrets raise."""
    database = await Database.connect(url, connections_max=settings.connections_max)
    try:
        await _fit_feed(database)
        lists = Lists(database, settings.replica_url, connections_max=settings.connections_max)
        core = make_core(database, secret_key(settings), settings.vendors, lists=lists)
        await check_secrets(core)
        await merchant_gateways.check_secrets(core)
    except BaseException:
        await database.close()
        raise
    return core


async def _reach_patiently(settings: Settings, url: str, stop: asyncio.Event) -> Core:
    """The same, waiting for a database that is away for a moment, unless this process is to stop.

    The command that starts the server found it well. A process that takes the place of one that was killed may find it
    in recovery, and if it gave up the HTTP server would end the processes that live as well.
    """

    def waiting(error: DatabaseAwayError) -> None:
        if stop.is_set():
            raise error
        _log.warning("database_away", table="", reason=str(error))

    return await patiently(partial(_reach, settings, url), waiting, patience_s=START_PATIENCE_S)


async def _fit_feed(database: Database) -> None:
    """Find out whether the database was moved to another PostgreSQL server, and let the feed go on all the same."""
    async with database.transaction() as connection:
        if await fit_feed(connection):
            _log.warning(
                "feed_moved", reason="the database was restored on another server; positions go on above the old"
            )


def _spare_the_collector() -> None:
    """What is loaded by now lives as long as the process: the garbage collector need not walk it again and again.

    Measured on the create request: a fifth less work on the main thread, and half of p99 or less (bench/README.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def hold_signals() -> None:
    """Let SIGTERM and SIGINT wait: the HTTP server hangs for ever on one that comes before it serves.

    Called in the processes of `serve` as soon as they exist, and again (for those that are not forked) as they start.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def _release_signals() -> None:
    """What was held arrives now, and stops the server in the ordinary way."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _die_with_parent() -> None:
    """A server process whose supervisor was killed must not go on alone: on Linux the kernel tells it to stop."""
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    supervisor = os.environ.get(_SUPERVISOR_VARIABLE)
    if supervisor is not None and os.getppid() != int(supervisor):
        # It died before the kernel was told, so the kernel will never tell.
        raise RuntimeError("the supervisor of this server process is gone")


async def _leave_with_supervisor() -> None:
    """Stop when the supervisor is gone, as often as it takes: one signal too early is lost on the HTTP server.

    A process that does not stop, or does not come to the end of its stop, is killed: nobody else would.
    """
    supervisor = os.environ.get(_SUPERVISOR_VARIABLE)
    if supervisor is None:
        return
    while os.getppid() == int(supervisor):  # noqa: ASYNC110 - another process sets no event
        await asyncio.sleep(SUPERVISOR_LOOK_S)
    deadline_s = time.monotonic() + ALONE_S_MAX
    while time.monotonic() < deadline_s:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(SUPERVISOR_LOOK_S)
    _log.error("supervisor_gone", reason="the process did not stop when it was told to")
    os.kill(os.getpid(), signal.SIGKILL)


def serve_environment(settings: Settings, database_url: str, *, runs_worker: bool) -> dict[str, str]:
    """What the server's processes find in their environment."""
    return {
        "RECAUDO_DATABASE_URL": database_url,
        "RECAUDO_HOME": str(settings.home),
        "RECAUDO_PUBLIC_URL": settings.public_url,
        "RECAUDO_SECRET_KEY": secret_key(settings),
        _WORKER_VARIABLE: "1" if runs_worker else "0",
        _SUPERVISOR_VARIABLE: str(os.getpid()),
    }


async def run_worker(
    settings: Settings, database_url: str, stop: asyncio.Event, *, metrics_port: int | None = None
) -> None:
    """Run the worker loops alone until `stop` is set; with a port, metrics are served there, on this machine only."""
    registry = CollectorRegistry()
    if metrics_port is not None:
        start_http_server(metrics_port, addr="127.0.0.1", registry=registry)
    # It reads no lists, so it needs no replica.
    core = await _reach_patiently(msgspec.structs.replace(settings, replica_url=None), database_url, stop)
    _spare_the_collector()
    try:
        await loops.run(core, stop, telling(settings, registry), kept(settings))
    finally:
        await close_gateways(core)
        await core.database.close()
