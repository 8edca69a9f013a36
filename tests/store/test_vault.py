"""Digests that know a text again and tell nobody without the key what it was."""

import hashlib

from recaudo.store.vault import Vault

SECRET = "s" * 40


def test_a_digest_is_the_same_for_the_same_text_of_the_same_thing() -> None:
    digest = Vault(SECRET).digest(b"+573001112233", "request 1")
    assert Vault(SECRET).digest(b"+573001112233", "request 1") == digest
    assert Vault(SECRET).digest(b"+573001112234", "request 1") != digest
    assert Vault(SECRET).digest(b"+573001112233", "request 2") != digest
    assert Vault(SECRET).digest(b"2+573001112233", "request ") != Vault(SECRET).digest(b"+573001112233", "request 2")


def test_who_lacks_the_key_cannot_find_the_text_by_trying() -> None:
    digest = Vault(SECRET).digest(b"+573001112233", "request 1")
    assert len(digest) == 32
    assert Vault("t" * 40).digest(b"+573001112233", "request 1") != digest
    assert hashlib.sha256(b"+573001112233").digest() != digest
