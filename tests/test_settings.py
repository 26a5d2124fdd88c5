"""What the settings refuse."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.settings import Settings


def production(tmp_path: Path, **changes: Any) -> Settings:
    clients = tmp_path / "clients.json"
    clients.write_text("[]")
    strict = {
        "environment": "production",
        "public_base_url": "https://payer.example",
        "clients_file": clients,
        "cds_jwt": "on",
        "trusted_proxies": "10.0.0.7",
    }
    return Settings(_env_file=None, **{**strict, **changes})


def test_production_starts_when_every_caller_is_checked(tmp_path: Path) -> None:
    assert not production(tmp_path).development


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"clients_file": None}, "callers without registration"),
        ({"cds_jwt": "off"}, "unsigned CDS Hooks calls"),
        ({"public_base_url": "http://payer.example"}, "links over http"),
        ({"trusted_proxies": ""}, "plain http"),
        ({"tls": True}, "a self-made certificate"),
        ({"static_tokens": "inferno"}, "STATIC_TOKENS"),
        ({"demo_reviewer": 3}, "DEMO_REVIEWER"),
        ({"test_behaviours": True}, "TEST_BEHAVIOURS"),
        ({"test_clock": "2026-11-25T10:00:00Z"}, "TEST_CLOCK"),
    ],
)
def test_production_refuses_every_relaxation_by_name(
    tmp_path: Path, change: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(ValidationError, match=refusal):
        production(tmp_path, **change)


def test_a_certificate_that_is_not_served_is_refused(tmp_path: Path) -> None:
    """Else its owner believes in an encryption that is not there."""
    file = tmp_path / "a.pem"
    file.touch()
    with pytest.raises(ValidationError, match="without TLS=1"):
        Settings(_env_file=None, tls_cert=file, tls_key=file)


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("payer.test", "http://payer.test:8080"),
    ],
)
def test_links_name_where_the_server_listens(host: str, base: str) -> None:
    assert Settings(_env_file=None, host=host).base_url == base


def test_every_relaxation_of_a_laptop_is_named_and_production_has_none(tmp_path: Path) -> None:
    lax = Settings(_env_file=None, static_tokens="inferno", demo_reviewer=60).laxity()

    assert "a token is optional" in lax
    assert "STATIC_TOKENS is on" in lax
    assert "DEMO_REVIEWER is on" in lax
    assert any("callers without registration" in each for each in lax)
    assert any("loopback and private" in each for each in lax)
    assert production(tmp_path).laxity() == []
