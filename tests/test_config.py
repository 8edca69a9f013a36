"""Settings from the environment: good ones are read, bad ones are refused in words for the operator."""

import pytest

from recaudo.config import SettingsError, read_settings


@pytest.mark.parametrize("url", ["https://cobros.example.com", "http://127.0.0.1:8000/", "https://[::1]:8443"])
def test_a_public_url_is_scheme_host_and_port(url: str) -> None:
    assert read_settings({"RECAUDO_PUBLIC_URL": url}).public_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECAUDO_PUBLIC_URL", "cobros.example.com"),
        ("RECAUDO_PUBLIC_URL", "ftp://cobros.example.com"),
        ("RECAUDO_PUBLIC_URL", "https://example.com/cobros"),
        ("RECAUDO_PUBLIC_URL", "https://example.com?x=1"),
        ("RECAUDO_LOG_LEVEL", "loud"),
        ("RECAUDO_PROXY_HOPS", "-1"),
        ("RECAUDO_PROXY_HOPS", "two"),
        ("RECAUDO_DATABASE_CONNECTIONS", "1"),
        ("RECAUDO_KEEP_DELIVERIES_DAYS", "6"),
        ("RECAUDO_KEEP_ANSWERS_DAYS", "ever"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


def test_answers_are_kept_for_ever_unless_days_are_named() -> None:
    assert read_settings({}).keep_answers_days is None
    assert read_settings({"RECAUDO_KEEP_ANSWERS_DAYS": "0"}).keep_answers_days is None
    assert read_settings({"RECAUDO_KEEP_ANSWERS_DAYS": "400"}).keep_answers_days == 400


def test_a_short_secret_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"RECAUDO_SECRET_KEY": "too-short"})
    assert "too-short" not in str(refused.value)
