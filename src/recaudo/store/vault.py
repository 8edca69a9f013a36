"""Secrets at rest: AES-GCM under a key made from RECAUDO_SECRET_KEY."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
_VERSION = b"\x01"


class SecretLostError(Exception):
    """A secret that was encrypted under another RECAUDO_SECRET_KEY, or for another row."""

    def __init__(self) -> None:
        super().__init__(
            "A stored secret cannot be opened: RECAUDO_SECRET_KEY (or secret.key in RECAUDO_HOME) is not the key it "
            "was encrypted under. Put the old key back. If it is lost for good, so are the webhooks' secrets; "
            "docs/how-to/run-in-production.md says how to go on."
        )


class Vault:
    """Encrypts and opens secrets. What they belong to is bound in: a secret moved to another row does not open."""

    def __init__(self, secret_key: str) -> None:
        self._cipher = AESGCM(_derived(secret_key, b"recaudo: secrets at rest"))
        self._digest_key = _derived(secret_key, b"recaudo: digests at rest")

    def seal(self, plain: bytes, about: str) -> bytes:
        """The encrypted form of a secret of `about`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """The secret. Raises SecretLostError."""
        start = len(_VERSION)
        nonce, rest = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, about.encode())
        except (InvalidTag, ValueError) as error:
            raise SecretLostError from error

    def digest(self, plain: bytes, about: str) -> bytes:
        """32 bytes that are the same for the same text of `about`, and tell nobody without our key what it was.

        Who people are (a telephone, a document) can be guessed from a plain digest by trying all there are.
        """
        bound = hashlib.sha256(about.encode()).digest()
        return hmac.digest(self._digest_key, bound + plain, hashlib.sha256)


def _derived(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret_key.encode())
