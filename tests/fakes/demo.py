"""`make demo-gateways`: the demo, with both vendors on this machine, so that a payment can be watched from end to end.

Starts the fakes, then `recaudo demo` beside them, sets both gateways up through the API as a merchant would, and says
which page to open. No account anywhere is needed, and no money moves.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.base import Clock
from tests.fakes.mercadopago import MercadoPago
from tests.fakes.serving import serving
from tests.fakes.wompi import Wompi

PORT = int(os.environ.get("RECAUDO_DEMO_PORT", "8000"))
FAKES_PORT = int(os.environ.get("RECAUDO_FAKES_PORT", "9100"))
SERVER = f"http://127.0.0.1:{PORT}"
KEY = "sk_test_xxx"
START_S = 90
SETTLE_S = 3.0  # long enough to see a payment wait


async def main() -> int:
    """Run until somebody says stop, or the server ends."""
    clock = Clock()
    wompi = Wompi(clock=clock, settle_seconds=SETTLE_S)
    mercadopago = MercadoPago(clock=clock, settle_seconds=SETTLE_S)
    async with serving({"/wompi": wompi, "/mercadopago": mercadopago}, port=FAKES_PORT) as fakes_url:
        environment = {"RECAUDO_WOMPI_URL": f"{fakes_url}/wompi", "RECAUDO_MERCADOPAGO_URL": f"{fakes_url}/mercadopago"}
        async with demo(environment) as server:
            try:
                async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
                    await ready(session, server)
                    page = await set_up(session, wompi, mercadopago)
            except (RuntimeError, TimeoutError, aiohttp.ClientError) as error:
                sys.stderr.write(f"The demo could not be set up: {error}\n")
                return 1
            tell(page, fakes_url)
            return await server.wait()


@contextlib.asynccontextmanager
async def demo(environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`recaudo demo` as a process of its own."""
    beside = Path(sys.executable).with_name("recaudo")
    command = str(beside) if beside.exists() else shutil.which("recaudo") or "recaudo"
    server = await asyncio.create_subprocess_exec(
        command, "demo", "--port", str(PORT), env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.terminate)
    try:
        yield server
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def ready(session: aiohttp.ClientSession, server: asyncio.subprocess.Process) -> None:
    """Wait until the server answers. Raises RuntimeError when it ended instead."""
    async with asyncio.timeout(START_S):
        while True:
            if server.returncode is not None:
                raise RuntimeError("the server ended; is the port taken?")
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{SERVER}/health") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)


async def set_up(session: aiohttp.ClientSession, wompi: Wompi, mercadopago: MercadoPago) -> str:
    """Both gateways, with their notices coming here, and something to pay; returns its page."""
    shop, seller = wompi.merchant(), mercadopago.merchant()
    keys = {
        "public_key": shop.public_key,
        "private_key": shop.private_key,
        "events_secret": shop.events_secret,
        "integrity_secret": shop.integrity_secret,
    }
    shop.notice_url = await gateway(session, "wompi", keys)
    secrets = {"access_token": seller.access_token, "webhook_secret": seller.secret}
    seller.notice_url = await gateway(session, "mercadopago", secrets)
    body = {
        "amount": 50_000,
        "title": "Internet hogar · noviembre",
        "allows": {"accounts": True, "cards": True, "realtime": True},
    }
    made = await call(session, "POST", "/v1/payments", body)
    return str(made["payment_link"])


async def gateway(session: aiohttp.ClientSession, kind: str, credentials: Mapping[str, str]) -> str:
    """Add a gateway, or give one of an earlier demo its new keys; returns where its notices go."""
    known = (await call(session, "GET", "/recaudo/v1/gateways"))["data"]
    mine = next((it for it in known if it["kind"] == kind), None)
    if mine is None:
        made = await call(session, "POST", "/recaudo/v1/gateways", {"kind": kind, "credentials": dict(credentials)})
    else:
        made = await call(session, "PATCH", f"/recaudo/v1/gateways/{mine['id']}", {"credentials": dict(credentials)})
    return str(made["notice_url"])


async def call(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    """One request to the server. Raises RuntimeError when it is refused."""
    headers = {"x-idempotency": os.urandom(8).hex()} if method == "POST" else {}
    async with session.request(method, SERVER + path, json=body, headers=headers) as answer:
        told = await answer.json()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} was answered {answer.status}: {json.dumps(told)[:300]}")
        return told


def tell(page: str, fakes_url: str) -> None:
    """What there is to see."""
    sys.stdout.write(
        f"""
Both gateways are set up, with vendors that live on this machine only.

  Pay this                {page}
      PSE: any bank of the list, CC 1020304050, any name, e-mail and Colombian mobile; the bank is a page of the fake.
      Card: the gateway's own page; approve, decline, or leave it pending there.
  What the vendors think  {fakes_url}/wompi/_fake/transactions
                          {fakes_url}/mercadopago/_fake/transactions
  API                     {SERVER}/recaudo/docs (key {KEY})

Ctrl+C stops everything.
"""
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
