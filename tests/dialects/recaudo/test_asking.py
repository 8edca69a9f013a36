"""Credentials that are typed: at a terminal of the test's own, which shows what the person would see."""

import asyncio
import os
import pty
import sys
from pathlib import Path

from tests.dialects.recaudo.shop import Shop
from tests.dialects.recaudo.test_commands import around


def talk(terminal: int, lines: dict[str, str]) -> str:
    """Type each line once its question stands there; returns all that was shown."""
    shown, waiting = "", dict(lines)
    while True:
        try:
            read = os.read(terminal, 4096).decode()
        except OSError:
            return shown
        if not read:
            return shown
        shown += read
        question = shown.rpartition("\n")[2]
        for name in [n for n in waiting if n in question and question.rstrip().endswith(":")]:
            os.write(terminal, f"{waiting.pop(name)}\n".encode())


async def test_secrets_are_asked_for_without_showing_them(shop: Shop, tmp_path: Path) -> None:
    keys = shop.wompi_keys()
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recaudo", "gateway", "add", shop.client.slug, "wompi", "--test",
        env=around(shop, tmp_path), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = await asyncio.wait_for(asyncio.to_thread(talk, ours, keys), 60)
        assert await process.wait() == 0, shown
    finally:
        os.close(ours)
    assert keys["public_key"] in shown
    shop.told.append(shown)
    (made,) = (await shop.ok("GET", "/gateways"))["data"]
    assert made["notice_url"].rpartition("/")[2] in shown
    assert (await shop.ok("POST", f"/gateways/{made['id']}/verify"))["ok"] is True
