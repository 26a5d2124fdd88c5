"""A certificate for a laptop: self-made, for the names the server goes by, kept beside it so that a client
can trust it once."""

import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE = Path("payer-tls.pem")
KEY = Path("payer-tls.key")
LIFETIME = timedelta(days=365)


def self_made(folder: Path, hosts: Sequence[str], now: datetime) -> tuple[Path, Path]:
    """Paths of certificate and key in `folder`; new ones are made when there are none, they have run out,
    they do not fit each other, or they do not name all of `hosts` (names or IP addresses)."""
    certificate, key, names = folder / CERTIFICATE, folder / KEY, _names(hosts)
    if not (certificate.exists() and key.exists() and _good_for(certificate, key, names, now)):
        _make(certificate, key, names, now)
    return certificate, key


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer, as HRex asks of every transfer. Raises OSError for files that do not serve: a key
    with a pass phrase is one of them, for nobody is there to type it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key, password="")
    return context


def run_out(certificate: Path, now: datetime) -> bool:
    """Whether clients refuse it because its time is over."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc <= now


def _good_for(certificate: Path, key: Path, names: Sequence[x509.GeneralName], now: datetime) -> bool:
    """Not where they do not belong together, as when the power fails between the two files."""
    try:
        server_context(certificate, key)
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (ssl.SSLError, ValueError):
        return False
    named = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return not run_out(certificate, now) and set(names) <= set(named)


def _make(certificate: Path, key: Path, names: Sequence[x509.GeneralName], now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Da Vinci payer, self-made")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    # The key must never exist readable by others, not even for the moment before a chmod.
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [
        _name(host) for host in dict.fromkeys(["localhost", socket.gethostname(), "127.0.0.1", "::1", *hosts])
    ]


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
