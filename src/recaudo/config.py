"""Settings from the environment, read once by the composition root. docs/reference/settings.md describes each."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec


class SettingsError(Exception):
    """A setting that cannot be used, in words for the operator."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator chose."""

    database_url: str | None  # None: the embedded PostgreSQL under `home`
    home: Path
    public_url: str
    secret_key: str | None
    log_level: str
    proxy_hops: int
    connections_max: int


LOG_LEVELS = ("debug", "info", "warning", "error")


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises SettingsError."""
    env = os.environ if environment is None else environment
    level = env.get("RECAUDO_LOG_LEVEL", "info").lower()
    if level not in LOG_LEVELS:
        raise SettingsError(f"RECAUDO_LOG_LEVEL is {level!r}; use one of {', '.join(LOG_LEVELS)}.")
    return Settings(
        database_url=env.get("RECAUDO_DATABASE_URL") or None,
        home=Path(env.get("RECAUDO_HOME") or ".recaudo").expanduser().absolute(),
        public_url=_public_url(env.get("RECAUDO_PUBLIC_URL") or "http://127.0.0.1:8000"),
        secret_key=_secret(env.get("RECAUDO_SECRET_KEY")),
        log_level=level,
        proxy_hops=_number(env, "RECAUDO_PROXY_HOPS", default=0, lowest=0, highest=10),
        connections_max=_number(env, "RECAUDO_DATABASE_CONNECTIONS", default=12, lowest=2, highest=200),
    )


def secret_key(settings: Settings) -> str:
    """The key that signs form tokens and encrypts secrets: the operator's, or one kept under the home folder."""
    if settings.secret_key is not None:
        return settings.secret_key
    path = settings.home / "secret.key"
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        key = secrets.token_urlsafe(48)
        file.write(key + "\n")
    return key


def _public_url(text: str) -> str:
    if not text.startswith(("http://", "https://")) or "?" in text or "#" in text:
        raise SettingsError(f"RECAUDO_PUBLIC_URL is {text!r}; it must look like https://cobros.example.com.")
    return text.rstrip("/")


def _secret(text: str | None) -> str | None:
    if text is not None and len(text) < 32:
        raise SettingsError("RECAUDO_SECRET_KEY is too short; use at least 32 random characters.")
    return text


def _number(env: Mapping[str, str], name: str, *, default: int, lowest: int, highest: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number from {lowest} to {highest}.")
    return int(text)
