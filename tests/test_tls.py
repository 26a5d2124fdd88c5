"""The self-made certificate, held to a client that trusts it and nothing else."""

import datetime as dt
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from server import tls
from server.settings import Settings

NOW = dt.datetime.now(dt.UTC)


def test_a_client_that_trusts_it_reaches_the_server_under_the_name_its_links_have(tmp_path: Path) -> None:
    behind = Settings(_env_file=None, tls=True, host="0.0.0.0", public_base_url="https://payer.test:8443")

    for name in ("payer.test", "localhost", "127.0.0.1"):
        assert greeted(tmp_path, behind.hosts, name) in ("TLSv1.2", "TLSv1.3")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'other\.test'"):
        greeted(tmp_path, behind.hosts, "other.test")


def test_it_lasts_until_it_runs_out_or_the_server_takes_a_new_name(tmp_path: Path) -> None:
    first = made(tmp_path, ["127.0.0.1"])

    assert made(tmp_path, ["127.0.0.1"]) == first
    renamed = made(tmp_path, ["payer.test"])
    assert renamed != first
    later = NOW + dt.timedelta(days=366)
    assert tls.run_out(tmp_path / tls.CERTIFICATE, later)
    assert made(tmp_path, ["payer.test"], later) != renamed
    (tmp_path / tls.KEY).write_bytes(b"")
    assert greeted(tmp_path, ["payer.test"], "payer.test")


def test_a_key_with_a_pass_phrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    """A service has no terminal, and one that has would wait for ever."""
    made(tmp_path, ["payer.test"])
    own = serialization.load_pem_private_key((tmp_path / tls.KEY).read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    (tmp_path / tls.KEY).write_bytes(
        own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )

    with pytest.raises(ssl.SSLError):
        tls.server_context(tmp_path / tls.CERTIFICATE, tmp_path / tls.KEY)


def made(folder: Path, hosts: Sequence[str], now: dt.datetime = NOW) -> bytes:
    certificate, _ = tls.self_made(folder, hosts, now)
    return certificate.read_bytes()


def greeted(folder: Path, hosts: Sequence[str], name: str) -> str | None:
    """The protocol that client and server agree on, without a network between them."""
    certificate, key = tls.self_made(folder, hosts, NOW)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cafile=str(certificate))
    client = trusting.wrap_bio(down, up, server_hostname=name)
    server = tls.server_context(certificate, key).wrap_bio(up, down, server_side=True)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.version()
