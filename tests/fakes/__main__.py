"""`python -m tests.fakes`: the vendors on this machine, for a developer who has an account at none of them."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any

from tests.fakes.base import Clock
from tests.fakes.mercadopago import MercadoPago
from tests.fakes.serving import serving
from tests.fakes.wompi import Wompi


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=9100, help="the port; 0 takes a free one (9100)")
    parser.add_argument("--wompi", action="store_true", help="run Wompi, below /wompi")
    parser.add_argument("--mercadopago", action="store_true", help="run Mercado Pago, below /mercadopago")
    parser.add_argument("--mercadopago-port", type=int, help="give Mercado Pago a port of its own")
    parser.add_argument("--public-url", default="", help="how others reach --port, for example from a phone")
    parser.add_argument("--wompi-notice-url", default="", help="where Wompi sends its events")
    parser.add_argument("--mercadopago-notice-url", default="", help="where Mercado Pago sends its notices")
    parser.add_argument("--settle-seconds", type=float, default=2.0, help="how long a payment takes (2)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for programs")
    chosen = parser.parse_args(given)
    if not chosen.wompi and not chosen.mercadopago:
        chosen.wompi = chosen.mercadopago = True
    return chosen


async def run(chosen: argparse.Namespace) -> None:
    """Serve until somebody says stop."""
    clock = Clock()
    wompi = Wompi(clock=clock, settle_seconds=chosen.settle_seconds)
    mercadopago = MercadoPago(clock=clock, settle_seconds=chosen.settle_seconds)
    first: dict[str, Any] = {"/wompi": wompi} if chosen.wompi else {}
    alone: dict[str, Any] = {}
    if chosen.mercadopago:
        (first if chosen.mercadopago_port is None else alone)["/mercadopago"] = mercadopago
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as stack:
        if first:
            await stack.enter_async_context(
                serving(first, host=chosen.host, port=chosen.port, public_url=chosen.public_url)
            )
        if alone and chosen.mercadopago_port is not None:
            await stack.enter_async_context(serving(alone, host=chosen.host, port=chosen.mercadopago_port))
        told = _told(chosen, wompi, mercadopago)
        sys.stdout.write((json.dumps(told) if chosen.json else _for_people(told)) + "\n")
        sys.stdout.flush()
        await stopped.wait()


def _told(chosen: argparse.Namespace, wompi: Wompi, mercadopago: MercadoPago) -> dict[str, dict[str, str]]:
    """The addresses and the keys."""
    told: dict[str, dict[str, str]] = {}
    if chosen.wompi:
        shop = wompi.merchant(notice_url=chosen.wompi_notice_url)
        told["wompi"] = {
            "api": wompi.sandbox_url,
            "checkout": wompi.checkout_url,
            "public_key": shop.public_key,
            "private_key": shop.private_key,
            "events_secret": shop.events_secret,
            "integrity_secret": shop.integrity_secret,
            "controls": f"{wompi.base_url}/_fake",
        }
    if chosen.mercadopago:
        seller = mercadopago.merchant(notice_url=chosen.mercadopago_notice_url)
        told["mercadopago"] = {
            "api": mercadopago.base_url,
            "access_token": seller.access_token,
            "secret": seller.secret,
            "controls": f"{mercadopago.base_url}/_fake",
        }
    return told


def _for_people(told: dict[str, dict[str, str]]) -> str:
    lines: list[str] = []
    for vendor, rows in told.items():
        lines += [f"Fake {vendor}", *(f"  {name.replace('_', ' '):18}{value}" for name, value in rows.items()), ""]
    return "\n".join([*lines, "No money moves here. Ctrl+C stops."])


if __name__ == "__main__":
    asyncio.run(run(arguments()))
