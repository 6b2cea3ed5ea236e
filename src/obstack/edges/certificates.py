"""The internal certificate authority: it signs the front door's certificate and is kept with the secrets.

The clock is passed in, so that equal input gives equal decisions.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from obstack.model.secret import Secret
from obstack.render.materials import Certificate

AUTHORITY_LIFE: Final = datetime.timedelta(days=3650)
LEAF_LIFE: Final = datetime.timedelta(days=90)
CLOCK_SKEW: Final = datetime.timedelta(hours=1)
"""Certificates begin a little in the past, for clients whose clock is late."""

LONGEST_COMMON_NAME: Final = 64


class Keeper(Protocol):
    """Where the authority and the certificate are kept: the secrets' store."""

    def kept(self, name: str) -> bytes | None:
        """Given a name, return the content kept under it, or None."""

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep it durably."""


class InternalAuthority:
    """A certificate authority of one site."""

    def __init__(self, keeper: Keeper, site: str) -> None:
        """Given where its files are kept and the name of the site, which becomes part of its name."""
        self._keeper = keeper
        self._site = site

    def certificate(self, name: str, names: Sequence[str], now: float) -> Certificate:
        """Given a name to keep it under, the host names and addresses it is for, and the time, return it.

        The one made earlier is returned while it is for exactly these names, was signed by the authority in force, and
        has more than a third of its life left; else a new one, with a new key, is made and kept.
        """
        moment = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
        authority, authority_key = self._authority(moment)
        kept = _open(self._keeper.kept(name))
        if kept is not None and _serves(kept[0], authority, names, moment):
            return _certificate(kept[0], kept[1], authority)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _sign_leaf(key, authority, authority_key, names, moment)
        self._keeper.keep(name, _pem(leaf, key))
        return _certificate(leaf, key, authority)

    def _authority(self, moment: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Return the authority; it is made anew when it would not outlive a leaf signed today."""
        kept = _open(self._keeper.kept("authority"))
        if kept is not None and _begins(kept[0]) <= moment and kept[0].not_valid_after_utc > moment + LEAF_LIFE:
            return kept
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _sign_authority(key, self._site, moment)
        self._keeper.keep("authority", _pem(authority, key))
        return authority, key


def _serves(
    leaf: x509.Certificate, authority: x509.Certificate, names: Sequence[str], moment: datetime.datetime
) -> bool:
    """Whether a certificate made earlier may be used on."""
    left = leaf.not_valid_after_utc - moment
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if leaf.issuer != authority.subject or list(alternative) != _alternative_names(names):
        return False
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return _begins(leaf) <= moment and left > LEAF_LIFE / 3


def _begins(certificate: x509.Certificate) -> datetime.datetime:
    return certificate.not_valid_before_utc


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative_name(name) for name in names]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign_authority(key: ec.EllipticCurvePrivateKey, site: str, moment: datetime.datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Observability Stack"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{site} internal authority"[:LONGEST_COMMON_NAME]),
        ]
    )
    usage = _key_usage(signs_certificates=True)
    return (
        _builder(name, name, key, moment, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sign_leaf(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    moment: datetime.datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:LONGEST_COMMON_NAME])])
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(subject, authority.subject, key, moment, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    moment: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - CLOCK_SKEW)
        .not_valid_after(moment + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _open(content: bytes | None) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """Return the certificate and key of a kept file; None when there is none or it is not what we write."""
    if content is None:
        return None
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except ValueError:
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return certificate, key


def _certificate(leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> Certificate:
    pem = leaf.public_bytes(serialization.Encoding.PEM).decode()
    return Certificate(
        chain=pem + authority.public_bytes(serialization.Encoding.PEM).decode(),
        key=Secret(_key_pem(key).decode()),
        authority=authority.public_bytes(serialization.Encoding.PEM).decode(),
    )
