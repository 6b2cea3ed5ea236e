import contextlib
import ipaddress
import ssl
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from obstack.edges.certificates import InternalAuthority
from obstack.plan.certificates import Issued
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

    def forget(self, name: str) -> bool:
        return self.content.pop(name, None) is not None

    def drawing(self) -> AbstractContextManager[None]:
        return nullcontext()


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


def test_what_the_first_version_kept_is_used_on() -> None:
    memory = Memory()
    for file in Path(__file__).parent.joinpath("kept").iterdir():
        memory.content[file.stem] = file.read_bytes()
    before = dict(memory.content)
    certificate = issue(memory, now=NOW + DAY)
    assert memory.content == before
    assert leaf(certificate) == x509.load_pem_x509_certificate(before["front-door"])


def test_a_shorter_life_is_obeyed_at_once_and_a_longer_one_when_it_is_due() -> None:
    authority = InternalAuthority(Memory(), "observability")
    month = authority.certificate("front-door", NAMES, NOW, 30 * DAY)
    assert leaf(month).not_valid_after_utc.timestamp() == NOW + 30 * DAY
    assert authority.certificate("front-door", NAMES, NOW, 90 * DAY) == month
    minute = authority.certificate("front-door", NAMES, NOW, 60)
    assert leaf(minute).not_valid_after_utc.timestamp() == NOW + 60
    assert authority.certificate("front-door", NAMES, NOW + 39, 60) == minute
    assert authority.certificate("front-door", NAMES, NOW + 40, 60) != minute


def test_no_certificate_lives_longer_than_ninety_days() -> None:
    long = InternalAuthority(Memory(), "observability").certificate("front-door", NAMES, NOW, 400 * DAY)
    assert leaf(long).not_valid_after_utc.timestamp() == NOW + 90 * DAY


def test_another_purpose_needs_another_certificate() -> None:
    authority = InternalAuthority(Memory(), "observability")
    server = authority.certificate("host-web-1", ("web-1",), NOW)
    both = authority.certificate("host-web-1", ("web-1",), NOW, purpose="both")
    assert both != server
    assert both == authority.certificate("host-web-1", ("web-1",), NOW, purpose="both")


def test_what_is_kept_tells_what_it_is() -> None:
    authority = InternalAuthority(Memory(), "observability")
    authority.certificate("host-web-1", ("web-1", "192.0.2.1"), NOW, 60, "both")
    authority.certificate("scrape-client", ("scrape-client",), NOW, 60, "client", "scrape")
    authority.self_signed("gate-web-1", NOW, 60)
    assert authority.issued("host-web-1") == Issued("host-web-1", "both", "site", NOW, NOW + 60)
    assert authority.issued("scrape-client") == Issued("scrape-client", "client", "scrape", NOW, NOW + 60)
    assert authority.issued("gate-web-1") == Issued("gate-web-1", "client", "itself", NOW, NOW + 60)
    assert authority.issued("scrape-authority") == Issued("scrape-authority", "", "itself", NOW, NOW + 3650 * DAY)
    assert authority.issued("front-door") is None


def test_a_host_that_is_gone_leaves_no_certificate() -> None:
    memory = Memory()
    authority = InternalAuthority(memory, "observability")
    for host in ("web-1", "web-2"):
        authority.certificate(f"host-{host}", (host,), NOW, purpose="both")
        authority.self_signed(f"gate-{host}", NOW)
    assert authority.forget_host("web-1") == ("host-web-1", "gate-web-1")
    assert authority.forget_host("web-1") == ()
    assert set(memory.content) == {"authority", "host-web-2", "gate-web-2"}


def test_only_the_scrape_client_and_the_gate_of_the_host_are_let_in(tmp_path: Path) -> None:
    authority, now = InternalAuthority(Memory(), "observability"), time.time()
    scrape = authority.certificate("scrape-client", ("scrape-client",), now, purpose="client", by="scrape")
    hosts = {name: authority.certificate(f"host-{name}", (name,), now, purpose="both") for name in ("web-1", "web-2")}
    gates = {name: authority.self_signed(f"gate-{name}", now) for name in hosts}
    trusted = authority.authority_pem("scrape", now) + gates["web-1"].authority
    exporter = Exporter(tmp_path, hosts["web-1"], trusted)
    site = authority.authority_pem("site", now)
    assert exporter.lets_in(scrape, site)
    assert exporter.lets_in(gates["web-1"], site)
    assert not exporter.lets_in(hosts["web-1"], site)
    assert not exporter.lets_in(hosts["web-2"], site)
    assert not exporter.lets_in(gates["web-2"], site)
    assert not exporter.lets_in(None, site)
    assert not exporter.lets_in(scrape, authority.authority_pem("scrape", now))


class Exporter:
    """A TLS server as an exporter of web-1 is one: it lets in who shows a certificate that it trusts."""

    def __init__(self, folder: Path, certificate: Certificate, trusted: str) -> None:
        self._folder = folder
        self._context = self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(cadata=trusted)

    def _load(self, context: ssl.SSLContext, certificate: Certificate) -> ssl.SSLContext:
        chain, key = self._folder / "chain.pem", self._folder / "key.pem"
        chain.write_text(certificate.chain)
        key.write_text(certificate.key.reveal())
        context.load_cert_chain(chain, key)
        return context

    def lets_in(self, client: Certificate | None, authority: str) -> bool:
        context = ssl.create_default_context(cadata=authority)
        if client is not None:
            self._load(context, client)
        ways = ssl.MemoryBIO(), ssl.MemoryBIO()
        here = context.wrap_bio(ways[0], ways[1], server_hostname="web-1")
        there = self._context.wrap_bio(ways[1], ways[0], server_side=True)
        try:
            for _ in range(5):
                for end in (here, there):
                    with contextlib.suppress(ssl.SSLWantReadError):
                        end.do_handshake()
        except ssl.SSLError:
            return False
        return there.getpeercert() is not None
