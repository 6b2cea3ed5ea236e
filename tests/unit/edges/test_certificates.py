import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from obstack.edges.certificates import InternalAuthority
from obstack.render.materials import Certificate

NOW = 1_800_000_000.0
DAY = 86400.0
NAMES = ("mon.test", "localhost", "127.0.0.1", "::1")


class Memory:
    """Keeps content in memory, as the secrets' store keeps it in files."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def kept(self, name: str) -> bytes | None:
        return self.content.get(name)

    def keep(self, name: str, content: bytes) -> None:
        self.content[name] = content


def issue(memory: Memory, names: tuple[str, ...] = NAMES, now: float = NOW, site: str = "observability") -> Certificate:
    return InternalAuthority(memory, site).certificate("front-door", names, now)


def leaf(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificates(certificate.chain.encode())[0]


def test_the_certificate_is_for_the_names_and_a_verifier_accepts_it() -> None:
    certificate = issue(Memory())
    authority = x509.load_pem_x509_certificate(certificate.authority.encode())
    moment = leaf(certificate).not_valid_before_utc
    verifier = verification.PolicyBuilder().store(verification.Store([authority])).time(moment)
    subjects: list[x509.DNSName | x509.IPAddress] = [x509.DNSName("mon.test"), x509.DNSName("localhost")]
    for subject in [*subjects, address("127.0.0.1"), address("::1")]:
        verifier.build_server_verifier(subject).verify(leaf(certificate), [])
    assert certificate.chain.endswith(certificate.authority)


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def test_lives_and_key_are_as_promised() -> None:
    certificate = issue(Memory())
    authority = x509.load_pem_x509_certificate(certificate.authority.encode())
    assert leaf(certificate).not_valid_after_utc.timestamp() == NOW + 90 * DAY
    assert authority.not_valid_after_utc.timestamp() == NOW + 3650 * DAY
    key = serialization.load_pem_private_key(certificate.key.reveal().encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert key.public_key() == leaf(certificate).public_key()
    assert "PRIVATE" not in repr(certificate)


def test_it_is_used_again_while_more_than_a_third_of_its_life_is_left() -> None:
    memory = Memory()
    certificate = issue(memory)
    assert issue(memory, now=NOW + 59 * DAY) == certificate
    renewed = issue(memory, now=NOW + 61 * DAY)
    assert renewed.chain != certificate.chain
    assert renewed.key.reveal() != certificate.key.reveal()
    assert renewed.authority == certificate.authority
    assert issue(memory, now=NOW + 61 * DAY) == renewed


def test_other_names_need_another_certificate() -> None:
    memory = Memory()
    certificate = issue(memory)
    changed = issue(memory, names=("other.test",))
    assert changed.chain != certificate.chain
    assert changed.authority == certificate.authority


def test_the_authority_is_renewed_before_it_dies_and_signs_anew() -> None:
    memory = Memory()
    certificate = issue(memory)
    later = issue(memory, now=NOW + 3600 * DAY)
    assert later.authority != certificate.authority
    authority = x509.load_pem_x509_certificate(later.authority.encode())
    leaf(later).verify_directly_issued_by(authority)


def test_a_clock_set_back_does_not_keep_a_certificate_of_the_future() -> None:
    memory = Memory()
    certificate = issue(memory, now=NOW + 10 * DAY)
    assert issue(memory, now=NOW).chain != certificate.chain


def test_a_certificate_of_another_authority_is_not_taken() -> None:
    memory, other = Memory(), Memory()
    issue(memory)
    issue(other)
    memory.content["front-door"] = other.content["front-door"]
    certificate = issue(memory)
    leaf(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(certificate.authority.encode()))


def test_files_that_are_broken_are_made_anew() -> None:
    memory = Memory()
    issue(memory)
    for name in ("authority", "front-door"):
        memory.content[name] = b"broken"
        certificate = issue(memory)
        leaf(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(certificate.authority.encode()))


def test_a_long_domain_and_a_long_site_name_fit() -> None:
    long = ".".join(["a" * 60] * 4)
    certificate = issue(Memory(), names=(long,), site="s" * 63)
    names = leaf(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [long]
