"""Every parser of something from outside: whatever bytes it is given, it ends in a value or in an error of ours.

Bytes are random, or what an honest program wrote with some of it exchanged, doubled, cut off or nested.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import struct
import subprocess
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile.effort import effort
from hostile.words import JSON
from obstack.agent import (
    bundle,
    conversation,
    detect,
    firewall,
    gate_exporter,
    gate_prometheus,
    index,
    journal_entries,
    journal_export,
    journal_files,
    ledger,
    listeners,
    lock,
    log_files,
    logs,
    openings,
    record,
    snapshot,
    stage,
    ufw,
    unpack,
    wire,
)
from obstack.agent.faults import AgentError
from obstack.agent.machine import Machine
from obstack.agent.managers import service_manager
from obstack.catalog import versions
from obstack.catalog.lock import decode_lock
from obstack.edges.audit_memory import FileAuditMemory
from obstack.edges.certificates import InternalAuthority
from obstack.edges.configfile.hosts import parse_host
from obstack.edges.configfile.load import examine_bytes
from obstack.edges.debian.index import parse_packages
from obstack.edges.debian.sources import parse_deb822, parse_list
from obstack.edges.kept import Kept
from obstack.edges.modulefile.read import KeptValues, read_section, text_of
from obstack.edges.run_record import FileRunRecord
from obstack.errors import StackError
from obstack.model.dashboard import Dashboard
from obstack.model.module import Module, ModuleRules
from obstack.operations.logs import parse_moment
from obstack.plan import audit
from rendering.hosts import DATABASE

pytestmark = pytest.mark.security

Parser = Callable[[bytes, Path], object]


def at(name: str, parse: Callable[[Path], object]) -> Parser:
    """Return the parser of a file that lies at this place below the folder it is given."""

    def run(content: bytes, folder: Path) -> object:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return parse(place)

    return run


def text(parse: Callable[[str], object]) -> Parser:
    return lambda content, _: parse(content.decode("utf-8", "surrogateescape"))


def machine(folder: Path) -> Machine:
    return Machine(str(folder), service_manager)


def write(stream: IO[bytes], content: bytes) -> None:
    stream.write(content)
    stream.close()


def asked(content: bytes, folder: Path) -> object:
    """The agent's end of the line: a request, and what comes after it."""
    del folder
    source, sink = os.pipe()
    with open(sink, "wb") as stream, open(source, "rb") as end:
        writing = threading.Thread(target=write, args=(stream, content), daemon=True)
        writing.start()
        talk = conversation.Conversation(end.fileno(), io.BytesIO(), silence_s=0.2)
        try:
            return talk.request()
        finally:
            writing.join()


def unpacked(kind: str) -> Parser:
    def run(content: bytes, folder: Path) -> object:
        place = folder / "archive"
        place.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entry = wire.ArtifactEntry("x", "1", (wire.ArchiveEntry("x", digest, len(content), kind),))
        limits = unpack.Limits(members=100, size=1 << 20)
        unpack.unpack_artifact(entry, {digest: str(place)}, str(folder / "inner" / "x"), limits)
        return None

    return run


def opened_bundle(content: bytes, folder: Path) -> object:
    del folder
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        return None  # the start of the bundle has compared its digest before
    bundle._open(archive, "x.bundle").verify()
    return None


class Keeper:
    """Certificates in memory, as they were tampered with. Implements the keeper of the authority."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def kept(self, name: str) -> bytes | None:
        del name
        return self.content

    def keep(self, name: str, content: bytes) -> None:
        """What is drawn anew is forgotten."""

    def forget(self, name: str) -> bool:
        return bool(name)

    def drawing(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def host_twice(content: bytes, folder: Path) -> object:
    """The quick reader must say of a host's file what the real one says, or nothing at all."""
    quick = parse_host(str(folder / "web-1.yaml"), content)
    real = parse_host(
        str(folder / "web-1.yaml"), content + b"\n# \xc3\xa4"
    )  # what is not ASCII, only the real one reads
    if quick.tree is not None and not quick.problems and b"\n" in content[-1:]:
        assert (real.tree, real.problems) == (quick.tree, quick.problems), content
    return None


MANIFEST = wire.encode(
    wire.Manifest("web-1", "monitored-host", "systemd", files=(wire.FileEntry("etc/a", "ab" * 32, 1, 0o644),))
)
REQUEST = wire.encode(wire.Request("apply", manifest=wire.decode(wire.Manifest, MANIFEST)))


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def tar_seed(mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name in ("a", "a/b" * 60, "c"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    content: bytes = buffer.getvalue()
    return content


def zip_seed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(MANIFEST))
        archive.writestr("contents/" + "ab" * 32, "x")
    return buffer.getvalue()


@functools.cache
def deb_seed() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        for member, content in (
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", tar_seed("w:gz")),
            ("data.tar.gz", tar_seed("w:gz")),
        ):
            Path(name, member).write_bytes(content)
        subprocess.run(["ar", "-rc", "x.deb", "debian-binary", "control.tar.gz", "data.tar.gz"], cwd=name, check=True)
        return Path(name, "x.deb").read_bytes()


EXPORT = journal_export.entry({"MESSAGE": b"a", "B": b"\x00\n"}, 1, 1, "0" * 32)
ENTRY = b"__CURSOR=s=ab;i=1;b=c\nMESSAGE=x\nB\n" + struct.pack("<Q", 2) + b"a\n\n\n"
TCP = b"  sl  local_address rem_address st\n   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 1234 1\n"
UNIX = b"Num RefCount Protocol Flags Type St Inode Path\n0000: 00000002 00000000 00010000 0001 01 1 /run/x\n"
UFW = b"### tuple ### allow tcp 9100 0.0.0.0/0 any 192.0.2.1 in comment=6f62736572766162696c697479\n"
DEBIAN = b"Package: x\nVersion: 1:1.0-1\nFilename: pool/x.deb\nSHA256: ab\nSize: 7\nDepends: libc6 (>= 2.3) | y, z\n\n"
LOCK = b'{"version": 1, "architectures": {"amd64": {"nginx": {"component": "nginx"}}}, "hosts": {"trixie/amd64": {}}}'
RULES = b'{"ports": [9100], "addresses": ["192.0.2.1"], "program": "/x", "libraries": []}'
FIREWALL = lines(
    {
        "method": "nft",
        "openings": [],
        "nft": "",
        "libraries": [],
        "closed": True,
        "names": {},
        "listing": "",
        "rules": [],
    }
)
HEAD = {"sequence": 1, "hash": "ab" * 32}
SNAPSHOT = lines({"unit": "a", "format": "b", "directory": "/c", "sequence": 1, "time": 1.0})
MODULE = json.dumps(DATABASE).encode()

PARSERS: Mapping[str, tuple[Parser, tuple[type[Exception], ...], tuple[bytes, ...]]] = {
    "configuration": (
        lambda content, _: examine_bytes("global.yaml", content),
        (),
        (
            b"domain: a.test\nserver: {address: 192.0.2.1}\nprometheus:\n  port: 9090\n",
            b"a: &b [*b]\n",
            b"? - a\n: !!x y\n",
        ),
    ),
    "host's file": (
        host_twice,
        (),
        (b"address: 192.0.2.1\ngroups: [a, b]\nmodules:\n  node:\n    options: {}\nlabels:\n  a: 1.5 # x\n",),
    ),
    "module": (
        lambda content, _: read_section(Module, "module.yaml", content, KeptValues(None)),
        (),
        (MODULE,),
    ),
    "rules of a module": (
        lambda content, _: read_section(ModuleRules, "alerts.yaml", content, KeptValues(None)),
        (),
        (b"alerts:\n  - alert: A\n    expr: up == 0\n    for: 5m\n    severity: warning\n    summary: a\n",),
    ),
    "dashboard": (
        lambda content, _: read_section(Dashboard, "dashboard.json", content, KeptValues(None)),
        (),
        (b'{"title": "a", "panels": []}',),
    ),
    "page": (lambda content, _: text_of("a.md", content), (), (b"# a\n",)),
    "lock": (lambda content, _: decode_lock(content, "lock"), (StackError,), (LOCK,)),
    "kept generation": (
        at(
            "var/lib/observability/current/manifest.json",
            lambda path: (Kept(str(path.parents[4])).node(), Kept(str(path.parents[4])).shipping_hosts()),
        ),
        (),
        (lines(MANIFEST),),
    ),
    "request": (asked, (AgentError,), (lines(REQUEST), lines(REQUEST, {"type": "blob", "digest": "a", "size": 1}))),
    "message": (
        lambda content, _: [wire.decode(kind, wire.load(content)) for kind in (wire.Reply, wire.Event, wire.Need)],
        (wire.WireError,),
        (lines(wire.encode(wire.Reply("ok"))), lines(wire.encode(wire.Event("a", "b")))),
    ),
    "record": (lambda content, _: record.replay(content), (), (record.encode_line({"step": "begin"}) * 3,)),
    "ledger": (
        at("ledger.json", lambda path: ledger.Ledger.load(str(path))),
        (AgentError,),
        (lines({"claims": [["link", "/a"]]}),),
    ),
    "index": (
        at("x.json", lambda path: index.differences(str(path), str(path.parent / "x"))),
        (),
        (lines({"a": ["file", 1, 420, 1]}),),
    ),
    "holder of the lock": (
        at("lock", lambda path: lock.describe(str(path))),
        (),
        (lines({"who": "a", "verb": "b", "pid": 1, "since": 1.0, "boot": ""}),),
    ),
    "manifest": (
        at(
            "var/lib/observability/generations/a/manifest.json",
            lambda path: stage.load_manifest(machine(path.parents[5]), "a"),
        ),
        (AgentError,),
        (lines(MANIFEST),),
    ),
    "snapshot": (at("snapshot.json", lambda path: snapshot.load(str(path.parent))), (AgentError,), (SNAPSHOT,)),
    "firewall's record": (
        at("var/lib/observability/firewall.json", lambda path: firewall.load(str(path.parents[3]))),
        (AgentError,),
        (FIREWALL,),
    ),
    "firewall's rules": (at("rules.json", lambda path: openings.read_rules(str(path))), (AgentError,), (RULES,)),
    "shipped entries": (lambda content, _: journal_entries.take_entries(content), (ValueError,), (ENTRY * 2, EXPORT)),
    "line of the journal": (
        lambda content, _: logs.parse_line(content),
        (),
        (lines({"MESSAGE": "a", "PRIORITY": "6"}),),
    ),
    "positions": (
        at("positions", lambda path: log_files.Reader(str(path.parent), str(path)).read()),
        (),
        (lines({"a": [1, 2]}),),
    ),
    "journal file": (
        at("a.journal", lambda path: journal_files.last_line(str(path.parent))),
        (),
        (journal_files.SIGNATURE + bytes(200),),
    ),
    "listeners": (text(listeners.parse_table), (ValueError, OSError), (TCP,)),
    "control group": (text(listeners.parse_unit), (), (b"0::/system.slice/a.service/b\n",)),
    "unix sockets": (text(detect.parse_unix_sockets), (), (UNIX,)),
    "ufw": (text(ufw.parse_rules), (), (UFW,)),
    "metrics": (
        lambda content, _: gate_exporter.has_series(content, 'up{a="b"}'),
        (),
        (b'up{a="b",c="\\"d"} 1\n# x\n',),
    ),
    "time": (text(gate_prometheus.parse_time), (), (b"2026-11-24T10:15:00.123456789Z", b"0001-01-01T00:00:00+14:00")),
    "package": (unpacked("deb"), (AgentError, OSError), (deb_seed(),)),
    "tar": (
        unpacked("tar"),
        (AgentError, OSError),
        (tar_seed("w"), tar_seed("w:gz"), tar_seed("w:xz"), tar_seed("w:bz2")),
    ),
    "zip": (unpacked("zip"), (AgentError, OSError), (zip_seed(),)),
    "bundle": (opened_bundle, (AgentError,), (zip_seed(),)),
    "record of a run": (
        at("c/.fleet/last-run.jsonl", lambda path: FileRunRecord(path.parents[1]).read()),
        (StackError,),
        (lines({"version": 1, "desired": {"a": "b"}}, {"node": "a", "done": True}),),
    ),
    "heads of audit logs": (
        at("c/.fleet/audit/a.jsonl", lambda path: FileAuditMemory(path.parents[2]).recall("a")),
        (),
        (lines({"accepted": 1.0}, HEAD),),
    ),
    "entry of an audit log": (text(audit.parse_entry), (), (lines({"sequence": 1, "previous": "0" * 64, "time": 1}),)),
    "authority": (
        lambda content, _: [
            InternalAuthority(Keeper(content), "x").issued("site"),
            InternalAuthority(Keeper(content), "x").authority_pem("site", 1_000_000.0),
        ],
        (StackError,),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",),
    ),
    "index of packages": (text(lambda given: list(parse_packages(given))), (), (DEBIAN,)),
    "sources": (
        text(lambda given: [*parse_list(given), *parse_deb822(given)]),
        (),
        (b"deb [a=b] http://x y z\nTypes: deb\nURIs: x\nSuites: y\n",),
    ),
    "version": (
        text(lambda given: (versions.numbers(given), versions.compare_debian(given, "1:2.0~a-1"))),
        (ValueError,),
        (b"1:2.42.0+ds-5~b", b"v3.5"),
    ),
    "length of time": (
        text(lambda given: parse_moment(given, Clock(), "--since")),
        (StackError,),
        (b"15m", b"20261124T101500Z", b"9" * 400 + b"w"),
    ),
}


class Clock:
    def now(self) -> float:
        return 1_000_000.0


MARKS = (
    *(b"[" * 1200, b"{" * 1200, b'{"a":' * 3000, b"9" * 500, b"0" * 5000),
    *(b"\x00", b"\xff\xfe", b"\n", b"\r", b"\x1b[2J", b"\xef\xbb\xbf", b"\xc2\x85", "\u202e".encode()),
    *(b"null", b"NaN", b"1e999", b"-1", b"true", b"[]", b"{}", b'"', b"'", b"\\u", b"\\ud800", b"%", b"../", b"/"),
    *(b"&a ", b"*a", b"!!", b"<<: ", b": ", b"- ", b"? ", b"#", b"---\n"),
)
DICTIONARY = st.sampled_from(MARKS)


@st.composite
def bytes_of(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Random bytes, or a seed that was changed in a few places."""
    if draw(st.integers(0, 7)) == 0:
        return draw(st.binary(max_size=200) | st.lists(DICTIONARY, max_size=6).map(b"".join))
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        piece = draw(DICTIONARY | st.binary(max_size=4) | st.just(b"") | st.just(content[start:end] * 2))
        content = content[:start] + piece + content[end:]
    return content


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_end_in_a_value_or_in_an_error_of_ours(name: str) -> None:
    parse, errors, seeds = PARSERS[name]

    def attempt(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name) / "place"
            place.mkdir()
            with contextlib.suppress(*errors):
                parse(content, place)
            assert [path.name for path in Path(name).iterdir()] == ["place"]

    for mark in MARKS[:5]:  # what is nested or long without end, always
        attempt(mark)
    effort(40)(given(bytes_of(seeds))(attempt))()


@pytest.mark.parametrize("kind", [wire.Request, wire.Reply, wire.Event, wire.Need, wire.Blob, wire.Manifest, wire.Fact])
def test_any_data_end_in_a_value_of_the_wire_or_in_its_error(kind: type[Any]) -> None:
    names = st.sampled_from([field.name for field in dataclasses.fields(kind)])

    @effort(60)
    @given(st.dictionaries(names, JSON) | JSON)
    def run(data: Any) -> None:
        try:
            value = wire.decode(kind, data)
        except wire.WireError:
            return
        assert wire.decode(kind, wire.encode(value)) == value

    run()
