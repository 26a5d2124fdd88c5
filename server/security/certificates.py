"""Certificates that come with a JWT (`x5c`): whose they are, if an authority that is trusted here says so.

A path of certificates is validated as RFC 5280 has it, by `cryptography`, at the server's own time; each of
them is looked for in the revocation list that it names. What is no certificate, leads nowhere or was revoked
is `Untrusted`, in words for the developer of whoever sent it.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from server.security.kept import Kept
from server.security.outbound import Outbound

MOST_CERTIFICATES = 6
"""Of one chain, the authority's own left out."""

MAX_AGE = 3600.0
"""Seconds after which a revocation list is fetched again, though it may hold for days."""

STALE = 86_400.0
"""Seconds for which one serves while its address does not answer, unless it runs out before."""

MAX_BYTES = 5_000_000

_MALFORMED = (
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What a certificate or list that is none raises; parts are read when they are looked at."""


class Untrusted(Exception):
    """A certificate that proves nothing here. The text goes to the caller."""


def read_pem(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, one at least. Raises OSError, and ValueError for what is none."""
    return x509.load_pem_x509_certificates(path.read_bytes())


def uris(certificate: x509.Certificate) -> list[str]:
    """What its owner goes by: the URIs among its alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_MALFORMED):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


class Authorities:
    """The authorities that are trusted, of one community or several. Shared by all requests."""

    def __init__(self, anchors: Sequence[x509.Certificate], outbound: Outbound) -> None:
        self._policy = (
            PolicyBuilder()
            .store(Store(list(anchors)))
            .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_OWNER)
        )
        self._lists = Kept("revocation list", outbound, x509.load_der_x509_crl, MAX_AGE, STALE, MAX_BYTES)

    async def owner(self, x5c: Any, now: dt.datetime) -> x509.Certificate:
        """The certificate of whoever signed, the first of an `x5c` header. Raises Untrusted unless a path of
        certificates that hold now leads from it to one of the authorities."""
        own, *others = _decoded(x5c)
        try:
            verified = self._policy.time(now).build_client_verifier().verify(own, others)
        except (VerificationError, *_MALFORMED):
            raise Untrusted(
                "its certificate does not lead to an authority trusted here, or has run out"
            ) from None
        for certificate, issuer in pairwise(verified.chain):
            await self._not_revoked(certificate, issuer, now)
        return own

    async def _not_revoked(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: dt.datetime
    ) -> None:
        """Where it names several lists, each tells of other reasons; a list may be at several addresses."""

        def serves(listed: x509.CertificateRevocationList) -> bool:
            until = listed.next_update_utc
            return listed.issuer == issuer.subject and until is not None and until > now

        for addresses in _lists(certificate):
            for address in addresses:
                listed = await self._lists.at(address, serves)
                if listed is not None and serves(listed) and _signed_by(listed, issuer):
                    break
            else:
                raise Untrusted("the list that tells whether its certificate was revoked could not be had")
            if listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise Untrusted("its certificate was revoked")


def _decoded(x5c: Any) -> list[x509.Certificate]:
    """RFC 7515, 4.1.6: base64 of DER each, that of whoever signed first, and one path. Where authorities
    share a name every order of them is a path of its own, and a stranger can have hundreds of them tried."""
    if not isinstance(x5c, list) or not 0 < len(x5c) <= MOST_CERTIFICATES:
        raise Untrusted(f"its header has no x5c of at most {MOST_CERTIFICATES} certificates")
    try:
        chain = [x509.load_der_x509_certificate(base64.b64decode(each, validate=True)) for each in x5c]
        names = {each.subject for each in chain}
        sound = all(_sound(each.public_key()) for each in chain)
    except _MALFORMED:
        raise Untrusted("its x5c holds what is no certificate") from None
    if len(names) < len(chain):
        raise Untrusted("its x5c names somebody twice")
    if not sound:
        raise Untrusted("its x5c holds an RSA key that is too short, or whose exponent is too long")
    return chain


def _sound(key: Any) -> bool:
    """FIPS 186-5, 5.1 and A.1.1: a shorter key proves little, and a longer exponent takes its time."""
    if not isinstance(key, rsa.RSAPublicKey):
        return True
    return key.key_size >= 2048 and key.public_numbers().e.bit_length() <= 256


def _lists(certificate: x509.Certificate) -> Iterator[list[str]]:
    """The addresses of each revocation list that a certificate names."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return
    except _MALFORMED:
        raise Untrusted("what its certificate says of revocation cannot be read") from None
    for point in points:
        names = point.full_name or []
        yield [each.value for each in names if isinstance(each, x509.UniformResourceIdentifier)]


def _signed_by(listed: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return listed.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _signs(policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.digital_signature:
        raise ValueError("The key is not for signatures.")


_OWNER: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs)
)
"""Of the certificate itself: these are not certificates of web servers, so its uses are its community's
affair."""
