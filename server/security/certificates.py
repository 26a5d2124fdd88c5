"""Certificates that come with a JWT (`x5c`): whose they are, if an authority that is trusted here says so.

A path of certificates is validated as RFC 5280 has it, by `cryptography`, at the server's own time; each of
them is looked for in a revocation list that it names. What is no certificate, leads nowhere or was revoked is
`Untrusted`, in words for the developer of whoever sent it.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Collection, Sequence
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


class RevocationList:
    """One as it was fetched, from whomever. Raises ValueError for what is none."""

    def __init__(self, der: bytes) -> None:
        try:
            self._list = x509.load_der_x509_crl(der)
        except _MALFORMED as error:
            raise ValueError from error
        self._signed_by: dict[x509.Certificate, bool] = {}

    def __contains__(self, certificate: x509.Certificate) -> bool:
        return self._list.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None

    def tells_of(
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        names: Collection[x509.GeneralName],
        now: dt.datetime,
    ) -> bool:
        """Whether it is that issuer's, holds now, and would have this certificate, which calls its lists by
        these names (RFC 5280, 6.3.3)."""
        try:
            until = self._list.next_update_utc
            return (
                self._list.issuer == issuer.subject
                and until is not None
                and until > now
                and all(_covers(each, certificate, names) for each in self._list.extensions)
                and self._is_signed_by(issuer)
            )
        except _MALFORMED:
            return False

    def _is_signed_by(self, issuer: x509.Certificate) -> bool:
        """Found out once: it takes a tenth of a second where many are revoked."""
        if issuer not in self._signed_by:
            key: Any = issuer.public_key()
            self._signed_by[issuer] = self._list.is_signature_valid(key)
        return self._signed_by[issuer]


def _covers(
    extension: x509.Extension[Any], certificate: x509.Certificate, names: Collection[x509.GeneralName]
) -> bool:
    """False where a list with this extension leaves out what this certificate might be among: it is of some
    reasons, of authorities only, of another part of the certificates, or of what changed."""
    part = extension.value
    if not isinstance(part, x509.IssuingDistributionPoint):
        return not extension.critical
    others = part.only_contains_user_certs if _is_authority(certificate) else part.only_contains_ca_certs
    elsewhere = part.relative_name or (part.full_name and not any(each in names for each in part.full_name))
    return not (
        others
        or elsewhere
        or part.only_some_reasons
        or part.only_contains_attribute_certs
        or part.indirect_crl
    )


class Authorities:
    """The authorities that are trusted, of one community or several. Shared by all requests."""

    def __init__(self, anchors: Sequence[x509.Certificate], outbound: Outbound) -> None:
        self._policy = (
            PolicyBuilder()
            .store(Store(list(anchors)))
            .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_OWNER)
        )
        self._lists = Kept("revocation list", outbound, RevocationList, MAX_AGE, STALE, MAX_BYTES)

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
        """Of the lists that it names one is enough."""
        names = _listed_under(certificate)
        if names is None:
            return

        def serves(listed: RevocationList) -> bool:
            return listed.tells_of(certificate, issuer, names, now)

        for address in (each.value for each in names if isinstance(each, x509.UniformResourceIdentifier)):
            listed = await self._lists.at(address, serves)
            if listed is not None and serves(listed):
                if certificate in listed:
                    raise Untrusted("its certificate was revoked")
                return
        raise Untrusted("the list that tells whether its certificate was revoked could not be had")


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


def _listed_under(certificate: x509.Certificate) -> list[x509.GeneralName] | None:
    """The names of the lists that tell of it whatever the reason; None where it names no list at all."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return None
    except _MALFORMED:
        raise Untrusted("what its certificate says of revocation cannot be read") from None
    return [name for point in points if point.reasons is None for name in point.full_name or ()]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
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
