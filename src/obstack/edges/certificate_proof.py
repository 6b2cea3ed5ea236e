"""Proves a certificate before anything shows it: chain, names, dates, key and algorithms; every flaw at once.

What the parts say is judged first, in words for people. When they say nothing bad, a real handshake in memory has the
last word: OpenSSL serves with the files and verifies them as the gate and every client will.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import itertools
import os
import ssl
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from obstack.agent.gate_front_door import set_usual_strictness
from obstack.plan.door import Flaw, Kind, Leaf, Part

SYSTEM_STORE: Final = "/etc/ssl/certs/ca-certificates.crt"
SHORTEST_RSA: Final = 2048
WEAK_HASHES: Final = ("md5", "sha1")
CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True)
class Proof:
    """What came of it. `chain`, `key` and `authority` are the same parts again, as PEM and nothing but that.

    They are there exactly when nothing is wrong; `authority` is empty where this machine's own trust counts.
    """

    flaws: tuple[Flaw, ...]
    leaf: Leaf | None = None
    chain: str = ""
    key: str = ""
    authority: str = ""


Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def prove(chain: bytes, key: bytes, names: Sequence[str], now: float, authority: bytes | None = None) -> Proof:
    """Given what the files hold, the names it must be for and the time, return the proof.

    `authority` is the certificate to verify with; None means those that this machine trusts.
    """
    certificates, flaws = _certificates(chain, Part.CHAIN)
    private, of_key = _private_key(key)
    trusted, of_authority = _trusted(authority)
    flaws += of_key + of_authority
    if not certificates:
        return Proof(tuple(flaws))
    leaf = certificates[0]
    moment = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    flaws += [*_matching(certificates, private), *_order(certificates), *_named(leaf, names), *_purposes(certificates)]
    flaws += [flaw for place, one in enumerate(certificates) for flaw in (*_dates(one, place, moment), *_strength(one))]
    if not flaws:
        flaws += _anchored(certificates, trusted, own=authority is not None)
    shown = "".join(map(_pem, certificates))
    told = _key_text(private) if private is not None else ""
    if not flaws:
        flaws += _handshake(shown, told, names, authority)
    if flaws:
        return Proof(tuple(flaws), describe(leaf))
    return Proof((), describe(leaf), shown, told, "" if authority is None else "".join(map(_pem, trusted)))


def describe(leaf: x509.Certificate) -> Leaf:
    """Given a certificate, return what it says of itself."""
    return Leaf(
        issuer=_title(leaf.issuer),
        begins=leaf.not_valid_before_utc.timestamp(),
        ends=leaf.not_valid_after_utc.timestamp(),
        names=tuple(str(name.value) for name in _alternatives(leaf)),
        mark=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def read_leaf(chain: bytes) -> Leaf | None:
    """Given the content of a file of certificates, return what the first says of itself; None without one."""
    certificates, _ = _certificates(chain, Part.CHAIN)
    return describe(certificates[0]) if certificates else None


def read_authority(content: bytes) -> tuple[str, tuple[Flaw, ...]]:
    """Given what an authority's file holds, return its certificates as PEM, and what is wrong with it."""
    certificates, flaws = _certificates(content, Part.AUTHORITY)
    return "".join(map(_pem, certificates)), tuple(flaws)


# ---------------------------------------------------------------------------------------------- what the files hold


def _certificates(content: bytes, part: Part) -> tuple[list[x509.Certificate], list[Flaw]]:
    if not content.strip():
        return [], [Flaw(part, "is empty", _TAKE_PEM)]
    with warnings.catch_warnings():
        # What is odd but can be read is judged by the handshake.
        warnings.simplefilter("ignore")
        try:
            return x509.load_pem_x509_certificates(content), []
        except ValueError:
            return [], [Flaw(part, "holds no certificate in PEM that can be read", _TAKE_PEM)]


_TAKE_PEM: Final = "Take a file with -----BEGIN CERTIFICATE----- lines: your own certificate first, then its issuers."


def _private_key(content: bytes) -> tuple[Key | None, list[Flaw]]:
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError:
        remedy = "Store it without: openssl pkey -in KEY -out NEW, with umask 077; nobody can type it at each start."
        return None, [Flaw(Part.KEY, "is protected by a password", remedy)]
    except (ValueError, UnsupportedAlgorithm):
        return None, [Flaw(Part.KEY, "holds no private key in PEM that can be read", "Take the key's own file.")]
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < SHORTEST_RSA:
            return key, [Flaw(Part.KEY, f"is an RSA key of {key.key_size} bits; {SHORTEST_RSA} are needed", _NEW_KEY)]
        return key, []
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key, []
    return None, [Flaw(Part.KEY, "is of a kind that browsers do not take", _NEW_KEY)]


_NEW_KEY: Final = "Make a new one (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256) and have it signed."


def _trusted(authority: bytes | None) -> tuple[list[x509.Certificate], list[Flaw]]:
    if authority is not None:
        return _certificates(authority, Part.AUTHORITY)
    try:
        with open(SYSTEM_STORE, "rb") as stream:
            content = stream.read()
    except OSError as error:
        what = f"are unknown: {SYSTEM_STORE} cannot be read ({error.strerror}), so nothing can be verified"
        return [], [Flaw(Part.AUTHORITY, what, "apt-get install ca-certificates")]
    return list(_readable(content)), []


def _readable(store: bytes) -> Iterator[x509.Certificate]:
    """Yield those of a store that can be read: it has old ones that break today's rules, and stay out then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in store.split(_END):
            with contextlib.suppress(ValueError):
                yield x509.load_pem_x509_certificate(block + _END)


_END: Final = b"-----END CERTIFICATE-----"


# ------------------------------------------------------------------------------------------------- what the parts say


def _matching(certificates: Sequence[x509.Certificate], key: Key | None) -> Iterator[Flaw]:
    if key is None:
        return
    public = _public(key.public_key())
    owners = [place for place, one in enumerate(certificates) if _public_of(one) == public]
    if not owners:
        remedy = "Bring the key that the certificate was asked for with, or the certificate of this key."
        yield Flaw(Part.KEY, f"does not belong to the certificate of {_title(certificates[0].subject)}", remedy)
    elif owners[0] != 0:
        yield Flaw(
            Part.CHAIN,
            f"has the certificate of the key in place {owners[0] + 1}, not first",
            "Put your own certificate first, then its issuer, then that one's issuer.",
        )


def _order(certificates: Sequence[x509.Certificate]) -> Iterator[Flaw]:
    for place, (one, above) in enumerate(itertools.pairwise(certificates), 1):
        if one.issuer != above.subject:
            yield Flaw(
                Part.CHAIN,
                f"is out of order: certificate {place} was issued by {_title(one.issuer)}, "
                f"and {_title(above.subject)} follows it",
                "Let each certificate be followed by the one of its issuer; leave out what does not belong to it.",
            )
        elif not _signed(one, above):
            yield Flaw(
                Part.CHAIN,
                f"is broken: certificate {place} was not signed by the {_title(above.subject)} that follows it",
                "Take the issuer's certificate from where you got your own: it has another with the same name.",
            )


def _named(leaf: x509.Certificate, names: Sequence[str]) -> Iterator[Flaw]:
    covered = [str(name.value) for name in _alternatives(leaf)]
    for name in names:
        if not any(_covers(pattern, name) for pattern in covered):
            told = f"only for {', '.join(covered)}" if covered else "for no name at all"
            yield Flaw(Part.CHAIN, f"is not for {name}, {told}", f"Get a certificate for {name}.", Kind.NAMES)


def _covers(pattern: str, name: str) -> bool:
    pattern = pattern.lower()
    if pattern.startswith("*."):
        return "." in name and pattern[2:] == name.partition(".")[2] and not _is_address(name)
    return pattern == name


def _dates(one: x509.Certificate, place: int, moment: datetime.datetime) -> Iterator[Flaw]:
    whose = "" if place == 0 else f"has the certificate of {_title(one.subject)}, which "
    if one.not_valid_before_utc > moment:
        begins = one.not_valid_before_utc.strftime("%Y-%m-%d %H:%M UTC")
        remedy = "Wait until then, or look whether this machine's clock is right: timedatectl"
        yield Flaw(Part.CHAIN, f"{whose}is valid only from {begins}", remedy, Kind.DATES)
    if one.not_valid_after_utc <= moment:
        ended = one.not_valid_after_utc.strftime("%Y-%m-%d %H:%M UTC")
        yield Flaw(Part.CHAIN, f"{whose}expired on {ended}", "Get a new certificate.", Kind.DATES)


def _strength(one: x509.Certificate) -> Iterator[Flaw]:
    if one.issuer == one.subject:
        return  # what signs itself is trusted, or not, for other reasons than its signature
    algorithm = one.signature_hash_algorithm
    if algorithm is not None and algorithm.name in WEAK_HASHES:
        what = f"has the certificate of {_title(one.subject)} signed with {algorithm.name.upper()}, which nobody trusts"
        yield Flaw(Part.CHAIN, what, "Have it signed with SHA-256 or better.")


def _purposes(certificates: Sequence[x509.Certificate]) -> Iterator[Flaw]:
    leaf, *above = certificates
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    if usages is not None and ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        remedy = "Get a certificate for a web server (extended key usage serverAuth)."
        yield Flaw(Part.CHAIN, "begins with a certificate that is not for servers", remedy)
    for one in above:
        constraints = _extension(one, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            what = f"has the certificate of {_title(one.subject)} as an issuer, which may not sign others"
            yield Flaw(Part.CHAIN, what, "Put only the certificates of issuers behind your own.")


def _anchored(
    certificates: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], *, own: bool
) -> Iterator[Flaw]:
    last = certificates[-1]
    known = {one.fingerprint(hashes.SHA256()) for one in trusted}
    if any(one.fingerprint(hashes.SHA256()) in known for one in certificates):
        return
    issuers = [one for one in trusted if one.subject == last.issuer]
    if any(_signed(last, one) for one in issuers):
        return
    if own:
        what = f"leads to {_title(last.issuer)}, which is not the authority that front_door.certificate.authority names"
        remedy = "Add the certificates of the issuers between, or name the file of the authority that signed it."
    else:
        what = f"leads to {_title(last.issuer)}, which this machine does not trust"
        remedy = (
            "Add the issuer's own certificate (the intermediate one) to the file; for an authority of your own, "
            "set front_door.certificate.authority to the file of its certificate."
        )
    yield Flaw(Part.CHAIN, what, remedy, Kind.AUTHORITY)


# ------------------------------------------------------------------------------------------------------ the last word


def _handshake(chain: str, key: str, names: Sequence[str], authority: bytes | None) -> Iterator[Flaw]:
    """Serve and verify in memory, once for each name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with _in_memory(chain) as certificates, _in_memory(key) as private:
            server.load_cert_chain(_path(certificates), _path(private))
        if authority is None:
            client = ssl.create_default_context(cafile=SYSTEM_STORE)
        else:
            client = ssl.create_default_context(cadata=authority.decode("ascii", "replace"))
        set_usual_strictness(client)
    except (OSError, ValueError) as error:
        yield Flaw(Part.CHAIN, f"cannot be served: {_words(error)}", "Get a certificate that OpenSSL takes.")
        return
    for name in names:
        try:
            _shake_hands(server, client, name)
        except (ssl.SSLError, ssl.CertificateError, ValueError) as error:
            remedy = f"Look at it: openssl verify -verify_hostname {name} -untrusted CHAIN CHAIN"
            yield Flaw(Part.CHAIN, f"is refused by clients that ask for {name}: {_words(error)}", remedy)


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    # Each is stuck until the other has spoken; a handshake has a handful of turns.
    for _ in range(10):
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not ends:
            return
    raise ValueError("the handshake does not end")


def _in_memory(text: str) -> BinaryIO:
    """Return a file without a name: a key must not be on any disk that it was not on before."""
    file = os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "w+b")
    file.write(text.encode())
    file.flush()
    return file


def _path(file: BinaryIO) -> str:
    return f"/proc/self/fd/{file.fileno()}"


def _words(error: Exception) -> str:
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
    return str(reason).lower().replace("_", " ")


# ------------------------------------------------------------------------------------------------------------- parts


def _signed(one: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _alternatives(leaf: x509.Certificate) -> Sequence[x509.GeneralName]:
    names = _extension(leaf, x509.SubjectAlternativeName)
    return [] if names is None else [name for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]


Extension = TypeVar("Extension", bound=x509.ExtensionType)


def _extension(one: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return one.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


def _public_of(one: x509.Certificate) -> bytes:
    try:
        return _public(one.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _title(name: x509.Name) -> str:
    """Return what a person calls the holder: the common name, or all that there is; without control characters."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(common[0].value) if common else name.rfc4514_string()
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:100] or "an issuer without a name"


def _pem(one: x509.Certificate) -> str:
    return one.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: Key) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
