"""A server that takes journals and hosts that ship theirs, as generations of their own made by the real renderers."""

from __future__ import annotations

import datetime
import ipaddress
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract.cache import cache_folder
from machine.library.machine import Machine
from obstack.agent import wire
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import COMPONENTS
from obstack.cli.progress import QuietReporter
from obstack.edges.agent_archive import agent_folder
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.edges.local_channel import LocalChannel
from obstack.model.components import ArtifactChoice
from obstack.model.layout import Layout, Manager
from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.ports import Contents
from obstack.render.journal import render_journal
from obstack.render.journal_receive import render_journal_receive
from obstack.render.journal_upload import render_journal_upload
from obstack.render.materials import Certificate, HostMaterials, Login, Materials
from obstack.render.recovery import render_recovery
from obstack.render.tree import Rendering, combine
from rendering.settled import KEY

SERVER: Final = Layout("", Manager.SYSTEMD)
NO_CERTIFICATE: Final = Certificate("", Secret(""), "")


class Authority:
    """A certificate authority of a test."""

    def __init__(self, name: str = "site") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, subject, self.key, datetime.timedelta(days=30))
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        self.certificate = (
            builder.add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The authority's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, *names: str, life: datetime.timedelta = datetime.timedelta(days=9)) -> Certificate:
        """Return a certificate for these names and addresses, the first being the common name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        leaf = (
            self._builder(subject, self.certificate.subject, key, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usages, critical=False)
            .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificate(leaf.public_bytes(serialization.Encoding.PEM).decode(), Secret(pem.decode()), self.pem)

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: datetime.timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .add_extension(identifier, critical=False)
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + life)
        )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@cache
def artifacts(suite: str) -> dict[str, tuple[Artifact, dict[str, Path]]]:
    """Return the programs of the server, with their archives by digest; fetched the first time."""
    store = ArtifactCache(cache_folder("programs") / suite / "cache")
    packages = DebianPackages(cache_folder("programs") / suite / "apt", store, QuietReporter())
    found = {}
    for name in ("nginx", "journal-remote"):
        choice = ArtifactChoice(suite=suite)
        artifact = packages.resolve(COMPONENTS[name], choice, own_architecture(), runs_on=suite)
        files = {archive.entry.digest: store.find(archive.entry) for archive in artifact.archives}
        found[name] = (artifact, {digest: file for digest, file in files.items() if file is not None})
    return found


@dataclass
class Central:
    """The server and the site; `machines` are the hosts by name."""

    server: Machine
    suite: str
    cache: Path
    machines: dict[str, Machine]
    authority: Authority = field(default_factory=Authority)
    settings: dict[str, Any] = field(default_factory=dict)

    def site(self, *hosts: str) -> Site:
        """Return the site with these hosts."""
        known = {name: {"address": self.machines[name].address} for name in hosts}
        return Site.model_validate(
            {
                "domain": "observability.example.org",
                "server": {"name": "mon-1", "address": self.server.address},
                "gates": {"deadline": "20s"},
                "hosts": known,
                **self.settings,
            }
        )

    def apply_server(self, *hosts: str) -> wire.Reply:
        """Make the server take the journals of these hosts."""
        found = artifacts(self.suite)
        materials = Materials(
            secrets={},
            logins=(),
            gate=Login("gate", "", Secret("")),
            certificate=self.authority.sign("mon-1", self.server.address),
            artifacts={name: artifact for name, (artifact, _) in found.items()},
        )
        site = self.site(*hosts)
        rendering = combine((render_journal(site, SERVER, materials), render_journal_receive(site, SERVER, materials)))
        files = {digest: file for _, archives in found.values() for digest, file in archives.items()}
        nginx = Rendering(artifacts=(found["nginx"][0].entry,))
        return self._apply(self.server, "mon-1", combine((rendering, nginx)), files)

    def apply_host(self, name: str, *hosts: str, certificate: Certificate | None = None) -> wire.Reply:
        """Make a host ship its journal, with this certificate or one of its own name."""
        materials = HostMaterials(
            secrets={},
            certificate=certificate or self.authority.sign(name),
            scrape_authority="",
            gate=NO_CERTIFICATE,
            artifacts={},
        )
        rendering = render_journal_upload(self.site(*(hosts or (name,))), name, SERVER, materials)
        return self._apply(self.machines[name], name, rendering, {})

    def ask(self, name: str, verb: str, **params: Any) -> wire.Reply:
        """Ask the agent of a machine."""
        machine = self.server if name == "mon-1" else self.machines[name]
        return self._send(machine, name, wire.Request(verb, params), Contents({}, {}))

    def lines(self, host: str, *arguments: str) -> list[str]:
        """Return the messages that the server has of a host, as journalctl finds them, doubles and all."""
        shown = self.server.succeed(
            f"LD_LIBRARY_PATH=$(echo /var/lib/observability/current/artifacts/journal-remote/usr/lib/*/systemd)"
            f" journalctl --directory=/var/log/observability/{host} -o cat --quiet {shlex.join(arguments)}"
        )
        return shown.stdout.splitlines()

    def _apply(self, machine: Machine, name: str, rendering: Rendering, files: dict[str, Path]) -> wire.Reply:
        running = wire.GateEntry("all units are running", "units-active", "", {}, 20)
        whole = combine((render_recovery(SERVER, rendering), rendering, Rendering(gates=(running,))))
        manifest, blobs = build_generation(name, "monitored-host", SERVER, whole, KEY)
        manifest = replace(manifest, role="observability" if name == "mon-1" else "monitored-host")
        return self._send(machine, name, wire.Request("apply", {}, manifest, who="test"), Contents(blobs, files))

    def _send(self, machine: Machine, name: str, request: wire.Request, contents: Contents) -> wire.Reply:
        folder = agent_folder(self.cache)
        if machine.run(["test", "-e", str(folder)]).code:
            machine.push(folder, str(folder))
        enter = self.cache / f"enter-{name}"
        enter.write_text(f'#!/bin/sh\nexec {shlex.join(machine.entered(["/usr/bin/python3"]))} "$@"\n')
        enter.chmod(0o755)
        channel = LocalChannel(name, "", self.cache, python=str(enter))
        return channel.ask(request, contents, lambda _: None)


def messages(lines: Sequence[str], prefix: str) -> list[str]:
    """Return those lines that begin with the prefix."""
    return [line for line in lines if line.startswith(prefix)]
