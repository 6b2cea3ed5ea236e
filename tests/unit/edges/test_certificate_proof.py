"""Every way in which a certificate can be wrong is told in words, all at once, before anything shows it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from obstack.edges.certificate_proof import Proof, prove, read_leaf
from obstack.plan.door import Kind, Part
from rendering.issuing import BEGINS, DAY, DOMAIN, NOW, Issued, issue

pytestmark = pytest.mark.security

ROOT = issue("Example Root", authority=True)
BETWEEN = issue("Example Between", ROOT, authority=True)
LEAF = issue(DOMAIN, BETWEEN, names=(DOMAIN,))
STRANGER = issue("Stranger", authority=True)
TWIN = issue("Example Between", ROOT, authority=True)
ROOT_TWIN = issue("Example Root", authority=True)
CHAIN = LEAF.pem + BETWEEN.pem


def proof(chain: bytes = CHAIN, key: bytes = LEAF.key_pem, authority: bytes | None = ROOT.pem, **more: object) -> Proof:
    names = more.get("names", (DOMAIN,))
    assert isinstance(names, tuple)
    return prove(chain, key, names, NOW, authority)


def signed(**how: object) -> Issued:
    """Return a leaf that is good but for what is said."""
    return issue(DOMAIN, BETWEEN, **({"names": (DOMAIN,)} | how))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chain", "key", "authority"),
    [
        (CHAIN, LEAF.key_pem, ROOT.pem),
        (CHAIN + ROOT.pem, LEAF.key_pem, ROOT.pem),
        (b"Bag Attributes\n" + CHAIN, LEAF.key_pem, STRANGER.pem + ROOT.pem),
    ],
)
def test_a_good_one_is_taken_and_nothing_but_its_parts_is_shown(chain: bytes, key: bytes, authority: bytes) -> None:
    found = proof(chain, key, authority)
    assert found.flaws == ()
    assert found.chain.startswith(CHAIN.decode())
    assert "Bag" not in found.chain
    assert found.leaf is not None
    assert (found.leaf.issuer, found.leaf.names) == ("Example Between", (DOMAIN,))
    assert read_leaf(chain) == found.leaf


def test_keys_of_both_kinds_and_wildcards_are_taken() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        leaf = signed(key=key, names=("*.example.org",))
        assert proof(leaf.pem + BETWEEN.pem, leaf.key_pem).flaws == ()


OTHER = signed()
EXPIRED = signed(ends=NOW - DAY)
EARLY = signed(begins=NOW + DAY)
OLD_BETWEEN = issue("Old Between", ROOT, authority=True, ends=NOW - DAY)
BELOW_OLD = issue(DOMAIN, OLD_BETWEEN, names=(DOMAIN,))
ELSEWHERE = signed(names=("www.example.org", "*.observability.example.org"))
NAMELESS = signed(names=())
CLIENT = signed(usage=ExtendedKeyUsageOID.CLIENT_AUTH)
SHORT = signed(key=rsa.generate_private_key(65537, 1024))
CURVE = signed(key=ec.generate_private_key(ec.SECP256K1()))
BELOW_LEAF = issue(DOMAIN, LEAF, names=(DOMAIN,))
LONELY = issue(DOMAIN, names=(DOMAIN,))
PROTECTED = LEAF.key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
)
EDWARDS = ed25519.Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)

BAD: Mapping[str, tuple[Proof, Part, Kind, str]] = {
    "empty chain": (proof(b"\n"), Part.CHAIN, Kind.CONTENT, "is empty"),
    "no PEM": (proof(b"MZ\x90"), Part.CHAIN, Kind.CONTENT, "no certificate in PEM"),
    "cut PEM": (proof(CHAIN[:300]), Part.CHAIN, Kind.CONTENT, "no certificate in PEM"),
    "key in place of the chain": (proof(LEAF.key_pem), Part.CHAIN, Kind.CONTENT, "no certificate in PEM"),
    "another key": (proof(key=OTHER.key_pem), Part.KEY, Kind.CONTENT, "does not belong to the certificate of"),
    "chain in place of the key": (proof(key=CHAIN), Part.KEY, Kind.CONTENT, "no private key in PEM"),
    "key with a password": (proof(key=PROTECTED), Part.KEY, Kind.CONTENT, "is protected by a password"),
    "key of a strange kind": (proof(key=EDWARDS), Part.KEY, Kind.CONTENT, "of a kind that browsers do not take"),
    "curve of a strange kind": (
        proof(CURVE.pem + BETWEEN.pem, CURVE.key_pem),
        Part.KEY,
        Kind.CONTENT,
        "of a kind that browsers do not take",
    ),
    "short key": (proof(SHORT.pem + BETWEEN.pem, SHORT.key_pem), Part.KEY, Kind.CONTENT, "RSA key of 1024 bits"),
    "issuer first": (proof(BETWEEN.pem + LEAF.pem), Part.CHAIN, Kind.CONTENT, "in place 2, not first"),
    "out of order": (proof(LEAF.pem + ROOT.pem + BETWEEN.pem), Part.CHAIN, Kind.CONTENT, "is out of order"),
    "same name, another key": (proof(LEAF.pem + TWIN.pem), Part.CHAIN, Kind.CONTENT, "was not signed by the Example"),
    "nothing between": (proof(LEAF.pem), Part.CHAIN, Kind.AUTHORITY, "leads to Example Between, which is not"),
    "another authority": (proof(authority=STRANGER.pem), Part.CHAIN, Kind.AUTHORITY, "which is not the authority that"),
    "another authority of the same name": (
        proof(authority=ROOT_TWIN.pem),
        Part.CHAIN,
        Kind.AUTHORITY,
        "which is not the authority that",
    ),
    "nobody trusts it": (proof(authority=None), Part.CHAIN, Kind.AUTHORITY, "which this machine does not trust"),
    "signed itself": (
        proof(LONELY.pem, LONELY.key_pem, None),
        Part.CHAIN,
        Kind.AUTHORITY,
        "which this machine does not trust",
    ),
    "authority is no certificate": (proof(authority=b"x"), Part.AUTHORITY, Kind.CONTENT, "no certificate in PEM"),
    "for other names": (
        proof(ELSEWHERE.pem + BETWEEN.pem, ELSEWHERE.key_pem),
        Part.CHAIN,
        Kind.NAMES,
        f"is not for {DOMAIN}, only for www.example.org",
    ),
    "for no name": (
        proof(NAMELESS.pem + BETWEEN.pem, NAMELESS.key_pem),
        Part.CHAIN,
        Kind.NAMES,
        f"is not for {DOMAIN}, for no name at all",
    ),
    "one name is missing": (
        proof(names=(DOMAIN, "metrics.example.org")),
        Part.CHAIN,
        Kind.NAMES,
        "is not for metrics.example.org",
    ),
    "expired": (proof(EXPIRED.pem + BETWEEN.pem, EXPIRED.key_pem), Part.CHAIN, Kind.DATES, "expired on 2027-01-14"),
    "not yet valid": (
        proof(EARLY.pem + BETWEEN.pem, EARLY.key_pem),
        Part.CHAIN,
        Kind.DATES,
        "is valid only from 2027-01-16",
    ),
    "expired issuer": (
        proof(BELOW_OLD.pem + OLD_BETWEEN.pem, BELOW_OLD.key_pem),
        Part.CHAIN,
        Kind.DATES,
        "has the certificate of Old Between, which expired",
    ),
    "for clients": (
        proof(CLIENT.pem + BETWEEN.pem, CLIENT.key_pem),
        Part.CHAIN,
        Kind.CONTENT,
        "begins with a certificate that is not for servers",
    ),
    "issuer that may not sign": (
        proof(BELOW_LEAF.pem + CHAIN, BELOW_LEAF.key_pem),
        Part.CHAIN,
        Kind.CONTENT,
        "which may not sign others",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told(case: str) -> None:
    found, part, kind, message = BAD[case]
    told = [(flaw.part, flaw.kind, message in flaw.message) for flaw in found.flaws]
    assert (part, kind, True) in told
    assert (found.chain, found.key) == ("", "")
    assert all(flaw.remedy for flaw in found.flaws)


def test_only_one_thing_is_told_of_one_thing_wrong() -> None:
    several = {
        case: [flaw.message for flaw in found.flaws] for case, (found, *_) in BAD.items() if len(found.flaws) > 1
    }
    # A certificate that cannot be put in order has an issuer that may not sign, and a chain that ends elsewhere.
    assert set(several) <= {"issuer first", "out of order"}


def test_all_that_is_wrong_is_told_at_once() -> None:
    leaf = signed(names=("www.example.org",), ends=NOW - DAY)
    found = proof(leaf.pem + STRANGER.pem, SHORT.key_pem)
    assert {(flaw.part, flaw.kind) for flaw in found.flaws} == {
        (Part.CHAIN, Kind.NAMES),
        (Part.CHAIN, Kind.DATES),
        (Part.CHAIN, Kind.CONTENT),
        (Part.KEY, Kind.CONTENT),
    }


def test_openssl_has_the_last_word() -> None:
    """What the parts do not say is found by a handshake: here the authority between is past its allowed depth."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from rendering.issuing import moment

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Shallow Root")])
    root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment(BEGINS))
        .not_valid_after(moment(NOW * 1.3))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    shallow = Issued(root, key)
    between = issue("Too deep", shallow, authority=True)
    leaf = issue(DOMAIN, between, names=(DOMAIN,))
    found = proof(leaf.pem + between.pem, leaf.key_pem, shallow.pem)
    (flaw,) = found.flaws
    assert "path length constraint exceeded" in flaw.message


def test_what_an_issuer_is_called_cannot_break_the_terminal() -> None:
    evil = issue("Evil\x1b[2J\nRoot", authority=True)
    leaf = issue(DOMAIN, evil, names=(DOMAIN,))
    found = proof(leaf.pem, leaf.key_pem, STRANGER.pem)
    assert found.flaws
    assert all(flaw.message.isprintable() for flaw in found.flaws)
