"""Settings from the environment, read once by the composition root. docs/reference/settings.md describes each."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec


class SettingsError(Exception):
    """A setting that cannot be used, in words for the operator."""


class Vendors(msgspec.Struct, frozen=True, kw_only=True):
    """Where vendors are reached instead of at their own addresses: fakes, for development and tests only."""

    wompi_url: str | None = None
    mercadopago_url: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator chose."""

    database_url: str | None  # None: the embedded PostgreSQL under `home`
    replica_url: str | None = None  # where lists may be read from
    home: Path
    public_url: str
    secret_key: str | None
    log_level: str
    proxy_hops: int
    connections_max: int
    webhooks_allow_http: bool
    webhooks_allow_private_networks: bool
    keep_deliveries_days: int = 90
    keep_answers_days: int | None = None  # None: for ever
    import_bytes_max: int = 1024**3
    vendors: Vendors = Vendors()


SECRET_CHARS_MIN = 32
LOG_LEVELS = ("debug", "info", "warning", "error")


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises SettingsError."""
    env = os.environ if environment is None else environment
    level = env.get("RECAUDO_LOG_LEVEL", "info").lower()
    if level not in LOG_LEVELS:
        raise SettingsError(f"RECAUDO_LOG_LEVEL is {level!r}; use one of {', '.join(LOG_LEVELS)}.")
    return Settings(
        database_url=env.get("RECAUDO_DATABASE_URL") or None,
        replica_url=env.get("RECAUDO_REPLICA_URL") or None,
        home=Path(env.get("RECAUDO_HOME") or ".recaudo").expanduser().absolute(),
        public_url=_public_url(env.get("RECAUDO_PUBLIC_URL") or "http://127.0.0.1:8000"),
        secret_key=_secret(env.get("RECAUDO_SECRET_KEY")),
        log_level=level,
        proxy_hops=_number(env, "RECAUDO_PROXY_HOPS", default=0, lowest=0, highest=10),
        connections_max=_number(env, "RECAUDO_DATABASE_CONNECTIONS", default=12, lowest=2, highest=200),
        webhooks_allow_http=_flag(env, "RECAUDO_WEBHOOKS_ALLOW_HTTP"),
        webhooks_allow_private_networks=_flag(env, "RECAUDO_WEBHOOKS_ALLOW_PRIVATE_NETWORKS"),
        keep_deliveries_days=_number(env, "RECAUDO_KEEP_DELIVERIES_DAYS", default=90, lowest=7, highest=36_500),
        keep_answers_days=_number(env, "RECAUDO_KEEP_ANSWERS_DAYS", default=0, lowest=0, highest=36_500) or None,
        import_bytes_max=_number(env, "RECAUDO_IMPORT_MIB_MAX", default=1024, lowest=1, highest=102_400) * 1024**2,
        vendors=Vendors(
            wompi_url=_vendor_url(env, "RECAUDO_WOMPI_URL"), mercadopago_url=_vendor_url(env, "RECAUDO_MERCADOPAGO_URL")
        ),
    )


def secret_key(settings: Settings) -> str:
    """The key that signs form tokens and encrypts secrets: the operator's, or one kept under the home folder.

    Raises SettingsError when the home folder cannot keep it.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    path = settings.home / "secret.key"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _keep_new_key(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"RECAUDO_HOME is {str(settings.home)!r}, which cannot keep a secret key ({error}); use a folder that this "
            "user may write to, or set RECAUDO_SECRET_KEY."
        ) from error
    if len(key) < SECRET_CHARS_MIN:
        raise SettingsError(f"{path} holds no key; put it back from a backup, or remove it to start with a new key.")
    return key


def _keep_new_key(path: Path) -> None:
    """Put a new key there, whole or not at all; when another process was faster, its key counts."""
    written = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(written, path)
    finally:
        written.unlink()


def _public_url(text: str) -> str:
    """Scheme, host and port: pages and links stand at the root, so a path would lead nowhere."""
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise SettingsError(f"RECAUDO_PUBLIC_URL is {text!r}; it must look like https://cobros.example.com.")
    return text.rstrip("/")


def _vendor_url(env: Mapping[str, str], name: str) -> str | None:
    text = env.get(name)
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{name} is {text!r}; it must look like http://127.0.0.1:8090, or be left out.")
    return text.rstrip("/")


def _secret(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) < SECRET_CHARS_MIN:
        raise SettingsError(f"RECAUDO_SECRET_KEY is too short; use at least {SECRET_CHARS_MIN} random characters.")
    return text


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = (env.get(name) or "0").strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{name} is {text[:20]!r}; it must be 1 or 0.")


def _number(env: Mapping[str, str], name: str, *, default: int, lowest: int, highest: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name} is {text[:20]!r}; it must be a whole number from {lowest} to {highest}.")
    return int(text)
