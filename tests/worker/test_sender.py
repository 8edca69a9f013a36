"""Where requests may go: addresses are checked at every connection, whatever was true at registration."""

import socket
from datetime import UTC, datetime

import pytest
from aiohttp import web

from recaudo.domain.delivering import Try
from recaudo.worker import sender as module
from recaudo.worker.sender import Sender
from tests.receiver import receiving

NOW = datetime(2025, 10, 20, tzinfo=UTC)


async def send(url: str, *, allow_private: bool = False) -> Try:
    async with Sender(allow_private_networks=allow_private, connections_max=4) as sender:
        return await sender.send(NOW, url, [("content-type", "application/json")], b"{}")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "224.0.0.1",
        "255.255.255.255",
        "[fec0::1]",
        "\U0001fbf127.0.0.1",
    ],
)
async def test_private_addresses_are_refused_at_the_connection(host: str) -> None:
    async with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        outcome = await send(f"http://{host}:{port}/")
        assert outcome.status is None
        assert outcome.error is not None
        assert "not on the public internet" in outcome.error
        assert receiver.received == []


async def test_a_public_name_that_turns_private_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the name was public when it was registered."""
    real = socket.getaddrinfo

    def rebound(host: str, *args: object, **options: object) -> object:
        return real("127.0.0.1" if host == "erp.example.com" else host, *args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(module.socket, "getaddrinfo", rebound)
    async with receiving() as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        outcome = await send(f"http://erp.example.com:{port}/")
        assert outcome.error == "erp.example.com is not on the public internet"
        assert receiver.received == []


async def test_the_setting_for_development_allows_them() -> None:
    async with receiving() as receiver:
        assert (await send(receiver.url, allow_private=True)).succeeded


async def test_an_environment_with_a_proxy_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await send(receiver.url, allow_private=True)).succeeded
        assert proxy.received == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("99999999999999999999", 36_000),
        ("Mon, 20 Oct 2025 00:01:00 GMT", 60),
        ("Sun, 19 Oct 2025 00:01:00 GMT", 0),
        ("Mon, 20 Oct 2099 00:01:00 GMT", 36_000),
        ("soon", None),
        ("-5", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 20 Oct 2025 00:01:00 +9999999999999", None),
        ("Mon, 20 Oct 2025 00:01:00 -0000", None),
        ("", None),
    ],
)
async def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: int | None) -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _: web.Response(status=503, headers={"Retry-After": header})
        assert (await send(receiver.url, allow_private=True)).retry_after_s == seconds


async def test_a_compressed_answer_is_not_unpacked() -> None:
    """A small answer may unpack to gigabytes."""
    async with receiving() as receiver:
        receiver.answer = lambda _: web.Response(body=b"\x1f\x8b not really gzip", headers={"Content-Encoding": "gzip"})
        outcome = await send(receiver.url, allow_private=True)
        assert outcome.succeeded
        assert "not really gzip" in outcome.answer


async def test_a_head_that_is_too_large_is_a_failure() -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _: web.Response(headers={"X-Long": "x" * 100_000})
        outcome = await send(receiver.url, allow_private=True)
        assert outcome.status is None
        assert outcome.error
