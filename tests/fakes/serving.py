"""Runs the fakes: on the caller's event loop, or in a thread of their own."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from aiohttp import web

from tests.fakes.base import Clock, Fake
from tests.fakes.mercadopago import MercadoPago
from tests.fakes.wompi import Wompi

T = TypeVar("T")


@dataclass
class Fakes:
    """The vendors, on one clock."""

    wompi: Wompi
    mercadopago: MercadoPago
    clock: Clock

    async def advance(self, seconds: float) -> None:
        """Let time pass at every vendor, and wait for the notices that were due on the way."""
        await self.clock.advance(seconds)

    async def drain_notices(self) -> None:
        """Wait until every notice that is due by now was sent."""
        await self.wompi.drain_notices()
        await self.mercadopago.drain_notices()

    def reset(self) -> None:
        """Forget transactions, scenarios and notices; merchants stay."""
        self.wompi.reset()
        self.mercadopago.reset()


@contextlib.asynccontextmanager
async def serving(
    vendors: Mapping[str, Fake[Any]], *, host: str = "127.0.0.1", port: int = 0, public_url: str = ""
) -> AsyncIterator[str]:
    """Serve vendors on one port, each below its prefix (`""` for none). Yields the address.

    `public_url` is where others reach that port, if it is not there.
    """
    root = web.Application(client_max_size=256 * 1024)
    for prefix, vendor in vendors.items():
        if prefix:
            root.add_subapp(prefix, vendor.app())
        else:
            root = vendor.app()
    runner = web.AppRunner(root, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    url = public_url.rstrip("/") or f"http://{host}:{runner.addresses[0][1]}"
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        for prefix, vendor in vendors.items():
            vendor.base_url = url + prefix
            await vendor.start()
            stack.push_async_callback(vendor.stop)
        yield url


@contextlib.asynccontextmanager
async def running_fakes(
    *, start: datetime | None = None, frozen: bool = False, settle_seconds: float = 0.05
) -> AsyncIterator[Fakes]:
    """Every fake on a port of its own. With `frozen`, time passes only by `advance`."""
    clock = Clock(start, frozen=frozen)
    fakes = Fakes(
        Wompi(clock=clock, settle_seconds=settle_seconds),
        MercadoPago(clock=clock, settle_seconds=settle_seconds),
        clock,
    )
    async with serving({"": fakes.wompi}), serving({"": fakes.mercadopago}):
        yield fakes


class ThreadedFakes(Fakes):
    """Fakes in a thread of their own. What touches their state goes through `call` or `run`."""

    loop: asyncio.AbstractEventLoop

    def call(self, act: Callable[[], T]) -> T:
        """Do something in the fakes' thread, such as `lambda: fakes.wompi.settle(id)`."""

        async def acting() -> T:
            return act()

        return self.run(acting())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something in the fakes' thread, such as `fakes.advance(60)`."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)


@contextlib.contextmanager
def fakes_in_thread(
    *, start: datetime | None = None, frozen: bool = False, settle_seconds: float = 0.05
) -> Iterator[ThreadedFakes]:
    """The same in a thread, for tests and programs without an event loop."""
    made: list[ThreadedFakes | BaseException] = []
    ready = threading.Event()

    async def life() -> None:
        over = asyncio.Event()
        async with running_fakes(start=start, frozen=frozen, settle_seconds=settle_seconds) as fakes:
            threaded = ThreadedFakes(fakes.wompi, fakes.mercadopago, fakes.clock)
            threaded.loop = asyncio.get_running_loop()
            overs.append(over)
            made.append(threaded)
            ready.set()
            await over.wait()

    def body() -> None:
        try:
            asyncio.run(life())
        except BaseException as error:  # noqa: BLE001 - the other thread waits for it
            made.append(error)
            ready.set()

    overs: list[asyncio.Event] = []
    thread = threading.Thread(target=body, name="fakes", daemon=True)
    thread.start()
    ready.wait()
    first = made[0]
    if isinstance(first, BaseException):
        raise first
    try:
        yield first
    finally:
        first.loop.call_soon_threadsafe(overs[0].set)
        thread.join(timeout=10)
    for trouble in made[1:]:
        if isinstance(trouble, BaseException):
            raise trouble
