"""Webhooks go to nobody whose certificate does not prove who answers."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from recaudo.worker.sender import Sender

HOST = "localhost"


def make_certificate(folder: Path) -> Path:
    """A certificate for HOST that is signed by nobody but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextlib.asynccontextmanager
async def eavesdropping(certificate: Path) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A receiver over TLS that anybody could have set up; its address, and what it was told."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(listen, HOST, 0, ssl=context)
    try:
        yield f"https://{HOST}:{server.sockets[0].getsockname()[1]}/hooks", heard
    finally:
        server.close()


async def test_a_certificate_that_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    async with (
        eavesdropping(make_certificate(tmp_path)) as (url, heard),
        Sender(allow_private_networks=True, connections_max=1) as sender,
    ):
        tried = await sender.send(datetime.now(UTC), url, [("webhook-id", "evt_1")], b'{"amount": 50000}')
    assert tried.status is None
    assert tried.error is not None
    assert "certificate" in tried.error.lower(), tried.error
    assert heard == []
