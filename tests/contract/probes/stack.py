"""A small stack of real programs under a real supervisord, configured by hand, with everything once a second."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from obstack.agent import wire
from obstack.agent.gate import GateContext, run_gates
from obstack.agent.services import ServiceFailure
from obstack.agent.supervisor import Supervisor

HOST = "mon-1.example.org"
PASSWORD = "correct horse battery"
DIGEST = "d" * 64


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Supervised:
    """A real supervisord over a private root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manager = Supervisor(str(root))
        self.tree = root / "tree"
        for name in ("run", "var/log", "var/lib", "etc/supervisor/conf.d", "tree/units", "tree/etc"):
            (root / name).mkdir(parents=True, exist_ok=True)
        configuration = root / "etc/supervisor/supervisord.conf"
        configuration.write_text(
            f"[unix_http_server]\nfile={root}/run/supervisor.sock\nchmod=0700\n"
            f"[supervisord]\nlogfile={root}/var/log/supervisord.log\npidfile={root}/run/supervisord.pid\n"
            f"nodaemon=true\nchildlogdir={root}/var/log\nsilent=true\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            "[include]\nfiles=conf.d/*.conf\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 15
        while True:
            # The socket's file is there a moment before it is listened on.
            with contextlib.suppress(ServiceFailure):
                self.manager.states([])
                return
            assert self.process.poll() is None, "supervisord ended"
            assert time.monotonic() < deadline, "supervisord does not listen"
            time.sleep(0.05)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    def define(self, name: str, argv: Sequence[str], **settings: str) -> wire.UnitEntry:
        """Write a program's definition to its place and return its unit."""
        options = {"autostart": "false", "startsecs": "0", "redirect_stderr": "true"}
        options["stdout_logfile"] = f"{self.root}/var/log/{name}.log"
        options["command"] = " ".join(_quoted(word) for word in argv)
        lines = [f"{key}={value}" for key, value in (options | settings).items()]
        text = f"[program:{name}]\n" + "\n".join(lines) + "\n"
        unit = wire.UnitEntry(name, f"units/{name}.conf", start_timeout_s=15, stop_timeout_s=10)
        Path(self.manager.definition_path(unit)).write_text(text)
        (self.tree / unit.file).write_text(text)
        self.manager.reload_definitions()
        return unit


def _quoted(word: str) -> str:
    return '"' + word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'


class Stack(Supervised):
    """Prometheus, Alertmanager, both exporters, nginx and the journal's receiver, running."""

    def __init__(self, root: Path, programs: Path) -> None:
        super().__init__(root)
        self.programs = programs
        names = ("prometheus", "alertmanager", "node", "blackbox", "https", "http", "journal", "nobody")
        self.port = {name: free_port() for name in names}
        self.units: dict[str, wire.UnitEntry] = {}
        self.journal = root / "var/log/journal"
        self.journal.mkdir()
        self._prometheus()
        self._alertmanager()
        self._exporters()
        self._nginx()
        self._journal()
        for unit in self.units.values():
            self.manager.start(unit)

    # -- what the gates are asked with

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port[name]}"

    def gate(
        self,
        kind: str,
        params: Mapping[str, Any],
        *,
        unit: str = "prometheus",
        deadline_s: int = 20,
        acted: Mapping[str, float] | None = None,
    ) -> wire.GateResult:
        """Run one gate against the stack."""
        gate = wire.GateEntry("the gate", kind, unit, dict(params), deadline_s, active=True)
        (result,) = run_gates([gate], self.context(acted=acted or {}))
        return result

    def context(self, acted: Mapping[str, float], active: bool = True) -> GateContext:
        manifest = wire.Manifest("mon-1", "observability", "supervisor", units=tuple(self.units.values()))
        return GateContext(str(self.root), str(self.tree), manifest, self.manager, acted, active)

    def library_path(self) -> str:
        folders = [path.parent for path in self.programs.rglob("lib*.so*")]
        return ":".join(sorted({str(folder) for folder in folders if "security" not in folder.parts}))

    def program(self, name: str) -> str:
        folders = ("usr/bin", "usr/sbin", "bin", "usr/lib/systemd", "lib/systemd")
        paths = (self.programs / folder / name for folder in folders)
        return str(next(path for path in paths if os.access(path, os.X_OK)))

    def journalctl(self) -> dict[str, Any]:
        """Return the parameters of the log-line gate that name the way to the journal."""
        return {
            "journalctl": [self.program("journalctl")],
            "environment": {"LD_LIBRARY_PATH": self.library_path()},
            "journal": str(self.journal),
            "endpoint": self.url("journal"),
        }

    # -- the programs

    def write_prometheus(self, *, digest: str = DIGEST, rule: str = "vector(1)", valid: bool = True) -> None:
        """Write Prometheus's configuration; it takes effect by `manager.reload`."""
        folder = self.tree / "etc/prometheus"
        folder.mkdir(exist_ok=True)
        jobs = {"prometheus": "prometheus", "node-exporter": "node", "blackbox-exporter": "blackbox"}
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{self.port['alertmanager']}"]}]}]
            },
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{self.port[name]}"]}]}
                for job, name in jobs.items()
            ],
        }
        rules = [
            {"record": "observability_configuration_info", "labels": {"digest": digest}, "expr": "vector(1)"},
            {"record": "other:rule", "expr": rule},
        ]
        text = json.dumps(configuration) if valid else "scrape_configs: 7"
        (folder / "prometheus.yml").write_text(text)
        groups = {"groups": [{"name": "observability-configuration", "rules": rules}]}
        (folder / "rules.yml").write_text(json.dumps(groups))

    def _prometheus(self) -> None:
        self.write_prometheus()
        argv = [
            self.program("prometheus"),
            f"--config.file={self.tree}/etc/prometheus/prometheus.yml",
            f"--storage.tsdb.path={self.root}/var/lib/prometheus",
            f"--web.listen-address=127.0.0.1:{self.port['prometheus']}",
        ]
        unit = self.define("prometheus", argv)
        self.units["prometheus"] = _with_reload(unit, wire.ReloadEntry("signal", "HUP"))

    def write_alertmanager(self, *, group_wait: str = "1s", valid: bool = True) -> None:
        """Write Alertmanager's configuration; it takes effect by `manager.reload`."""
        configuration = {"route": {"receiver": "nobody", "group_wait": group_wait}, "receivers": [{"name": "nobody"}]}
        (self.tree / "etc/alertmanager.yml").write_text(json.dumps(configuration) if valid else "route: 7")

    def _alertmanager(self) -> None:
        self.write_alertmanager()
        url = f"http://127.0.0.1:{self.port['alertmanager']}/-/reload"
        argv = [
            self.program("prometheus-alertmanager"),
            f"--config.file={self.tree}/etc/alertmanager.yml",
            f"--storage.path={self.root}/var/lib/alertmanager",
            f"--web.listen-address=127.0.0.1:{self.port['alertmanager']}",
            "--cluster.listen-address=",
        ]
        # Debian's program opens its template at a fixed place; there it is in a view of the program's own.
        share = self.programs / "usr/share/prometheus"
        script = (
            f"mount -t tmpfs tmpfs {self.root}/var/lib && mkdir {self.root}/var/lib/prometheus && "
            f"mount --bind {share} {self.root}/var/lib/prometheus && mount --move {self.root}/var/lib /usr/share && "
            'exec "$@"'
        )
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.units["alertmanager"] = _with_reload(
            self.define("alertmanager", ["/usr/bin/unshare", *user, "--mount", "/bin/sh", "-c", script, "sh", *argv]),
            wire.ReloadEntry("http", url),
        )

    def _exporters(self) -> None:
        node = [self.program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{self.port['node']}"]
        self.units["node-exporter"] = self.define("node-exporter", node)
        modules = self.tree / "etc/blackbox.yml"
        modules.write_text(json.dumps({"modules": {"http": {"prober": "http"}}}))
        blackbox = [
            self.program("prometheus-blackbox-exporter"),
            f"--config.file={modules}",
            f"--web.listen-address=127.0.0.1:{self.port['blackbox']}",
        ]
        self.units["blackbox-exporter"] = self.define("blackbox-exporter", blackbox)

    def write_nginx(self, *, guarded: bool = True, redirect: str = "", digest: str = DIGEST, more: str = "") -> None:
        """Write nginx's configuration; it takes effect by `manager.reload`."""
        folder = self.tree / "etc/nginx"
        folder.mkdir(exist_ok=True)
        guard = f"auth_basic stack; auth_basic_user_file {folder}/users;" if guarded else ""
        to = redirect or f"return 308 https://$host:{self.port['https']}$request_uri;"
        temporary = " ".join(
            f"{kind}_temp_path {self.root}/run/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; events {{}}\n"
            f"error_log stderr; pid {self.root}/run/nginx.pid;\n"
            f"http {{ access_log off; {temporary}\n"
            f"add_header Observability-Configuration {digest} always; {more}\n"
            f"server {{ listen 127.0.0.1:{self.port['http']}; {to} }}\n"
            f"server {{ listen 127.0.0.1:{self.port['https']} ssl; server_name {HOST};\n"
            f"ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem; {guard}\n"
            f"location /prometheus/ {{ proxy_pass {self.url('prometheus')}/; }}\n"
            f"location /alertmanager/ {{ proxy_pass {self.url('alertmanager')}/; }} }} }}\n"
        )

    def _nginx(self) -> None:
        self.write_nginx()
        folder = self.tree / "etc/nginx"
        write_certificates(folder)
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
        (folder / "users").write_text(f"gate:{hashed}\n")
        (folder / "credentials").write_text(f"gate:{PASSWORD}\n")
        argv = [self.program("nginx"), "-e", "stderr", "-c", f"{folder}/nginx.conf"]
        for path in (folder / "users", folder / "credentials"):
            path.chmod(0o644)
        unit = self.define("nginx", argv, environment=f'LD_LIBRARY_PATH="{self.library_path()}"')
        self.units["nginx"] = _with_reload(unit, wire.ReloadEntry("signal", "HUP"))

    def _journal(self) -> None:
        argv = [
            self.program("systemd-journal-remote"),
            f"--listen-http=127.0.0.1:{self.port['journal']}",
            "--split-mode=none",
            f"--output={self.journal}/stack.journal",
        ]
        unit = self.define("journal-remote", argv, environment=f'LD_LIBRARY_PATH="{self.library_path()}"')
        self.units["journal-remote"] = unit


def _with_reload(unit: wire.UnitEntry, reload: wire.ReloadEntry) -> wire.UnitEntry:
    return wire.UnitEntry(unit.name, unit.file, reload=reload, start_timeout_s=15, stop_timeout_s=10)


def write_certificates(folder: Path) -> None:
    """Write an authority and a certificate for HOST that it signed."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def sign(subject: x509.Name, public: ec.EllipticCurvePublicKey, authority: bool) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    authority = sign(authority_name, authority_key.public_key(), True)
    certificate = sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), key.public_key(), False)
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    (folder / "chain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
