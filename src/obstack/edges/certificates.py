"""The internal certificate authorities: they sign what server and hosts show each other, and are kept with the secrets.

There are two, because an exporter can be told whose signature it takes, but not which name: what `site` signs for a
host must not open another host's exporters, so these take only what `scrape` signed, the server's one client.
The clock is passed in, so that equal input gives equal decisions.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from obstack.model.secret import Secret
from obstack.plan.certificates import AUTHORITY_NAMES, Issued, Purpose, Signer, Standing, host_names, waiting_note
from obstack.render.materials import Certificate

AUTHORITY_LIFE: Final = datetime.timedelta(days=3650)
LONGEST_LIFE: Final = 90 * 86400.0
CLOCK_SKEW: Final = datetime.timedelta(hours=1)
"""Certificates begin a little in the past, for clients whose clock is late."""

LONGEST_COMMON_NAME: Final = 64

_USAGES: Final = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    "both": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
}
_KEPT_AS: Final = {signer: name for name, signer in AUTHORITY_NAMES.items()}

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
"""A certificate with its key."""


class Keeper(Protocol):
    """Where the authorities and the certificates are kept: the secrets' store."""

    def kept(self, name: str) -> bytes | None:
        """Given a name, return the content kept under it, or None."""

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep it durably."""

    def forget(self, name: str) -> bool:
        """Given a name, remove what is kept under it and return whether there was anything."""

    def drawing(self) -> AbstractContextManager[None]:
        """Return the context in which alone something is drawn: no other run draws meanwhile."""


class InternalAuthority:
    """The certificate authorities of one site. Each is made when it first signs, and read once."""

    def __init__(self, keeper: Keeper, site: str) -> None:
        """Given where its files are kept and the name of the site, which becomes part of the authorities' names."""
        self._keeper = keeper
        self._site = site
        self._read: dict[str, Pair] = {}
        self._drawing = False

    def certificate(
        self,
        name: str,
        names: Sequence[str],
        now: float,
        lifetime: float = LONGEST_LIFE,
        purpose: Purpose = "server",
        by: Signer = "site",
    ) -> Certificate:
        """Given a name to keep it under, the host names and addresses it is for, and the time, return it.

        `lifetime` is in seconds. The one made earlier is returned while it is for exactly these names and this
        purpose, lives no longer than it may, was signed by the authority in force, and has more than a third of its
        life left; else a new one, with a new key, is made and kept.
        """
        moment, names = _moment(now), tuple(dict.fromkeys(names))
        found = self._found(name, names, moment, lifetime, purpose, by)
        if found is not None:
            return found
        with self._turn():
            found = self._found(name, names, moment, lifetime, purpose, by)  # another run may have been faster
            return found or self._draw(name, names, moment, lifetime, purpose, by)

    def _found(
        self, name: str, names: Sequence[str], moment: datetime.datetime, lifetime: float, purpose: Purpose, by: Signer
    ) -> Certificate | None:
        authority, _ = self._authority(by, moment)
        kept = _open(self._keeper.kept(name))
        if kept is None or not _serves(kept[0], authority, names, purpose, moment, lifetime):
            return None
        return _certificate(kept[0], kept[1], authority)

    def _draw(
        self, name: str, names: Sequence[str], moment: datetime.datetime, lifetime: float, purpose: Purpose, by: Signer
    ) -> Certificate:
        authority, authority_key = self._authority(by, moment)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _leaf(names, authority.subject, key, moment, lifetime, purpose)
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        leaf = builder.add_extension(issuer, critical=False).sign(authority_key, hashes.SHA256())
        self._keeper.keep(name, _pem(leaf, key))
        return _certificate(leaf, key, authority)

    def self_signed(self, name: str, now: float, lifetime: float = LONGEST_LIFE) -> Certificate:
        """Given a name to keep it under and the time, return a client certificate that signed itself.

        It is its own authority, so it is worth something only where it is itself trusted. It is kept and renewed as
        the others are.
        """
        moment = _moment(now)
        found = self._own(name, moment, lifetime)
        if found is not None:
            return found
        with self._turn():
            found = self._own(name, moment, lifetime)
            if found is not None:
                return found
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _subject(name)
            certificate = _leaf((name,), subject, key, moment, lifetime, "client").sign(key, hashes.SHA256())
            self._keeper.keep(name, _pem(certificate, key))
        return _certificate(certificate, key)

    def _own(self, name: str, moment: datetime.datetime, lifetime: float) -> Certificate | None:
        kept = _open(self._keeper.kept(name))
        serves = kept is not None and _serves(kept[0], kept[0], (name,), "client", moment, lifetime)
        return _certificate(*kept) if kept is not None and serves else None

    def authority_pem(self, by: Signer, now: float) -> str:
        """Given a signer and the time, return the authority's certificate, made now when there is none."""
        return _text(self._authority(by, _moment(now))[0])

    def issued(self, name: str) -> Issued | None:
        """Given the name under which a certificate or an authority is kept, return what it is; None without one."""
        kept = _open(self._keeper.kept(name))
        if kept is None:
            return None
        certificate = kept[0]
        issuers = {
            opened[0].subject: signer
            for signer, place in _KEPT_AS.items()
            if (opened := _open(self._keeper.kept(place))) is not None
        }
        issuer = "itself" if certificate.issuer == certificate.subject else issuers.get(certificate.issuer, "unknown")
        return _issued(name, certificate, issuer)

    def forget(self, *names: str) -> tuple[str, ...]:
        """Given names of certificates, remove them, so that new ones are made when next needed; return which were.

        Raises ChangeFailed.
        """
        with self._turn():
            return tuple(name for name in names if self._keeper.forget(name))

    def forget_host(self, host: str) -> tuple[str, ...]:
        """Given a host that is no longer monitored, remove its certificates and keys; return which there were.

        Raises ChangeFailed.
        """
        self._keeper.forget(waiting_note(host))
        return self.forget(*host_names(host))

    def _authority(self, by: Signer, moment: datetime.datetime) -> Pair:
        """Return the authority; it is made anew when it would not outlive a leaf signed today."""
        found = self._lasting(by, moment)
        if found is not None:
            return found
        with self._turn():
            found = self._lasting(by, moment)
            if found is None:
                key = ec.generate_private_key(ec.SECP256R1())
                title = "internal authority" if by == "site" else "scrape authority"
                found = _sign_authority(key, f"{self._site} {title}", moment), key
                self._keeper.keep(_KEPT_AS[by], _pem(*found))
                self._read[_KEPT_AS[by]] = found
        return found

    def _lasting(self, by: Signer, moment: datetime.datetime) -> Pair | None:
        place = _KEPT_AS[by]
        kept = self._read.get(place) or _open(self._keeper.kept(place))
        longest = datetime.timedelta(seconds=LONGEST_LIFE)
        if kept is None or kept[0].not_valid_before_utc > moment or kept[0].not_valid_after_utc <= moment + longest:
            return None
        self._read[place] = kept
        return kept

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the right to draw. What another run may have drawn meanwhile is read anew."""
        if self._drawing:
            yield
            return
        with self._keeper.drawing():
            self._drawing = True
            self._read.clear()
            try:
                yield
            finally:
                self._drawing = False


def _moment(now: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(now), datetime.UTC)


def _serves(
    leaf: x509.Certificate,
    authority: x509.Certificate,
    names: Sequence[str],
    purpose: str,
    moment: datetime.datetime,
    lifetime: float,
) -> bool:
    """Whether a certificate made earlier may be used on."""
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if leaf.issuer != authority.subject or list(alternative) != _alternative_names(names) or _purpose(leaf) != purpose:
        return False
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    issued = _issued("", leaf, "")
    begun = leaf.not_valid_before_utc <= moment
    return begun and issued.ends - issued.begins <= lifetime and issued.standing(moment.timestamp()) is Standing.VALID


def _issued(name: str, certificate: x509.Certificate, issuer: str) -> Issued:
    begins = (certificate.not_valid_before_utc + CLOCK_SKEW).timestamp()
    return Issued(name, _purpose(certificate), issuer, begins, certificate.not_valid_after_utc.timestamp())


def _purpose(certificate: x509.Certificate) -> str:
    """Return the purpose of a certificate of ours; empty for an authority, which has none."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    return next((purpose for purpose, usages in _USAGES.items() if set(usages) == set(usage)), "")


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative_name(name) for name in names]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign_authority(key: ec.EllipticCurvePrivateKey, title: str, moment: datetime.datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Observability Stack"),
            x509.NameAttribute(NameOID.COMMON_NAME, title[:LONGEST_COMMON_NAME]),
        ]
    )
    return (
        _builder(name, name, key, moment, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    names: Sequence[str],
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    moment: datetime.datetime,
    lifetime: float,
    purpose: str,
) -> x509.CertificateBuilder:
    """Return what is to be signed: everything but who signs it."""
    return (
        _builder(_subject(names[0]), issuer, key, moment, datetime.timedelta(seconds=min(lifetime, LONGEST_LIFE)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES[purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:LONGEST_COMMON_NAME])])


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


def _open(content: bytes | None) -> Pair | None:
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


def _certificate(
    leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate | None = None
) -> Certificate:
    """Return the certificate as text; without an authority it signed itself and is its whole chain."""
    above = "" if authority is None else _text(authority)
    return Certificate(_text(leaf) + above, Secret(_key_pem(key).decode()), above or _text(leaf))


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
