"""A trust community, for tests: an authority that makes out certificates, and clients that sign with them.

community = Authority()
ehr = community.client("https://harbour.example/fhir")
ehr.assertion(aud="https://payer.test/auth/token", now=NOW)
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, RSAKey

from tests.security.signing import Signer

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
DAY = dt.timedelta(days=1)


def pem(key: Private) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Certified(Signer):
    """Signs as `issuer`, with a certificate of its own and what leads from there to the authority."""

    def __init__(self, issuer: str, key: Private, chain: list[x509.Certificate]) -> None:
        self.issuer, self.private, self.chain = issuer, key, chain
        rsa_key = isinstance(key, rsa.RSAPrivateKey)
        self.algorithm, self.kid = ("RS256" if rsa_key else "ES256"), "unused"
        self.key = RSAKey.import_key(pem(key)) if rsa_key else ECKey.import_key(pem(key))

    @property
    def x5c(self) -> list[str]:
        return [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in self.chain]

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return super().sign(claims, **{"kid": None, "x5c": self.x5c, **header})


class Authority:
    """Holds from a day before `now` for a year; so do its certificates, unless another end is told."""

    def __init__(self, now: dt.datetime, name: str = "Community") -> None:
        self.now, self.name = now, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.certify(self.key, self.name, authority=True)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def certify(
        self,
        key: Private,
        name: x509.Name,
        *uris: str,
        authority: bool = False,
        until: dt.datetime | None = None,
        listed_at: Sequence[str] = (),
    ) -> x509.Certificate:
        public = key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - DAY)
            .not_valid_after(until or self.now + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(_usage(authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if uris:
            named = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(each) for each in uris])
            builder = builder.add_extension(named, critical=False)
        if listed_at:
            names = map(x509.UniformResourceIdentifier, listed_at)
            points = [x509.DistributionPoint([each], None, None, None) for each in names]
            builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def client(self, uri: str, key: Private | None = None, **terms: Any) -> Certified:
        key = key or ec.generate_private_key(ec.SECP256R1())
        return Certified(uri, key, [self.certify(key, self._named(uri), uri, **terms)])

    def server(self, *bases: str) -> Certified:
        """The payer's own: an RSA key, as signed metadata must have."""
        key = rsa.generate_private_key(65537, 2048)
        return Certified(bases[0], key, [self.certify(key, self._named("payer"), *bases)])

    def revoking(
        self,
        *certificates: x509.Certificate,
        by: Private | None = None,
        part: x509.ExtensionType | None = None,
    ) -> bytes:
        """The revocation list of today, DER; of all certificates, or of a part."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(self.now - DAY)
            .next_update(self.now + 7 * DAY)
        )
        if part is not None:
            builder = builder.add_extension(part, critical=True)
        for each in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.now - DAY).build())
        return builder.sign(by or self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _named(self, name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:60])])


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
