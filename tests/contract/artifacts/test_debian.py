"""The machine's real Debian mirror: three suites of Prometheus, and everything else of the machine's own suite."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from contract.artifacts.conftest import Silent
from contract.cache import cache_folder
from obstack.agent.unpack import unpack_artifact
from obstack.catalog.artifact import Artifact
from obstack.catalog.components import COMPONENTS, JOURNAL_REMOTE, NFTABLES, NGINX, PROMETHEUS
from obstack.catalog.lock import satisfies
from obstack.catalog.versions import upstream
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.edges.debian.sources import read_sources
from obstack.errors import ChangeFailed, Unreachable, UsageError
from obstack.model.components import ArtifactChoice

pytestmark = pytest.mark.contract

HOST_STATE = (Path("/var/lib/apt/lists"), Path("/var/cache/apt"), Path("/var/cache/apt/archives"), Path("/etc/apt"))


def unpacked(artifact: Artifact, cache: ArtifactCache, folder: Path) -> Path:
    files = {archive.entry.digest: str(cache.find(archive.entry)) for archive in artifact.archives}
    unpack_artifact(artifact.entry, files, str(folder))
    return folder


def environment(artifact: Artifact, folder: Path) -> dict[str, str]:
    libraries = ":".join(str(folder / name) for name in artifact.libraries)
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | ({"LD_LIBRARY_PATH": libraries} if libraries else {})


def says(artifact: Artifact, folder: Path, program: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(folder / artifact.binaries[program]), *arguments],
        env=environment(artifact, folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(("suite", "version"), [("bookworm", "2.42"), ("trixie", "2.53"), ("sid", "3.5")])
def test_prometheus_of_three_suites_runs_here(
    suite: str, version: str, debian: DebianPackages, shared_cache: ArtifactCache, tmp_path: Path
) -> None:
    artifact = debian.resolve(PROMETHEUS, ArtifactChoice(suite=suite), own_architecture())
    assert artifact.suite == suite
    assert artifact.version.startswith(version)
    folder = unpacked(artifact, shared_cache, tmp_path / "artifact")
    assert f"version {upstream(artifact.version)}" in says(artifact, folder, "prometheus", "--version")
    assert f"version {upstream(artifact.version)}" in says(artifact, folder, "promtool", "--version")


@pytest.mark.parametrize("name", sorted({*COMPONENTS} - {"prometheus", "grafana"}))
def test_every_program_of_the_own_suite_starts_with_the_libraries_it_brings(
    name: str, debian: DebianPackages, shared_cache: ArtifactCache, tmp_path: Path
) -> None:
    choice = debian.settle(ArtifactChoice())
    artifact = debian.resolve(COMPONENTS[name], choice, own_architecture())
    assert satisfies(artifact, choice)
    folder = unpacked(artifact, shared_cache, tmp_path / "artifact")
    for program in artifact.binaries:
        shown = says(artifact, folder, program, "-v" if program == "nginx" else "--version")
        assert numbers_of(artifact.version) in shown


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_programs_of_hosts_are_had_of_their_own_suite(suite: str, debian: DebianPackages) -> None:
    for component in (NFTABLES, NGINX):
        choice = ArtifactChoice(suite=suite)
        artifact = debian.resolve(component, choice, own_architecture(), runs_on=suite)
        assert satisfies(artifact, choice)
        assert set(artifact.binaries) == set(component.programs)


def test_what_needs_a_newer_c_library_than_the_hosts_have_is_refused(debian: DebianPackages) -> None:
    with pytest.raises(UsageError) as caught:
        debian.resolve(JOURNAL_REMOTE, ArtifactChoice(suite="sid"), own_architecture(), runs_on="bookworm")
    assert caught.value.code == "c-library-too-old"
    assert "a machine of bookworm" in caught.value.what


def numbers_of(version: str) -> str:
    return upstream(version).split(".")[0]


def test_no_library_but_the_c_library_comes_from_the_host(
    debian: DebianPackages, shared_cache: ArtifactCache, tmp_path: Path
) -> None:
    artifact = debian.resolve(JOURNAL_REMOTE, debian.settle(ArtifactChoice()), own_architecture())
    folder = unpacked(artifact, shared_cache, tmp_path / "artifact")
    traced = environment(artifact, folder) | {"LD_TRACE_LOADED_OBJECTS": "1"}
    for path in artifact.binaries.values():
        lines = subprocess.run([str(folder / path)], env=traced, capture_output=True, text=True, check=True).stdout
        outside = {line.split()[0] for line in lines.splitlines() if "=> /" in line and str(folder) not in line}
        assert outside <= {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libresolv.so.2", "libpthread.so.0", "libdl.so.2"}


def test_a_line_posted_to_journal_remote_is_found_by_journalctl(
    debian: DebianPackages, shared_cache: ArtifactCache, tmp_path: Path
) -> None:
    artifact = debian.resolve(JOURNAL_REMOTE, debian.settle(ArtifactChoice()), own_architecture())
    folder = unpacked(artifact, shared_cache, tmp_path / "artifact")
    (tmp_path / "journal").mkdir()
    port = free_port()
    remote = subprocess.Popen(
        [
            str(folder / artifact.binaries["systemd-journal-remote"]),
            f"--listen-http=127.0.0.1:{port}",
            f"--output={tmp_path / 'journal/stack.journal'}",
            "--split-mode=none",
        ],
        env=environment(artifact, folder),
        stderr=subprocess.DEVNULL,
    )
    try:
        message = "a line long enough to be compressed " * 40
        entry = (
            f"__REALTIME_TIMESTAMP={time.time_ns() // 1000}\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID={'0' * 31}1\n"
            f"SYSLOG_IDENTIFIER=test\nMESSAGE={message}\n\n"
        )
        post(f"http://127.0.0.1:{port}/upload", entry.encode())
    finally:
        remote.terminate()
        remote.wait(10)
    shown = says(artifact, folder, "journalctl", f"--directory={tmp_path / 'journal'}", "--output=json", "--no-pager")
    assert json.loads(shown)["MESSAGE"] == message


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def post(url: str, content: bytes) -> None:
    request = urllib.request.Request(url, content, {"Content-Type": "application/vnd.fdo.journal"})
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert answer.status == 202
                return
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_nothing_of_the_hosts_own_apt_is_touched(shared_cache: ArtifactCache, reporter: Silent, tmp_path: Path) -> None:
    before = [(path, path.stat().st_mtime_ns) for path in HOST_STATE if path.exists()]
    fresh = DebianPackages(tmp_path / "apt", shared_cache, reporter)
    fresh.resolve(COMPONENTS["node-exporter"], fresh.settle(ArtifactChoice()), own_architecture())
    assert [(path, path.stat().st_mtime_ns) for path, _ in before] == before
    assert any(message.startswith("Reading the package index") for message in reporter.messages)


def test_a_second_resolution_asks_nothing_of_the_network(
    debian: DebianPackages, shared_cache: ArtifactCache, reporter: Silent
) -> None:
    first = debian.resolve(NGINX, debian.settle(ArtifactChoice()), own_architecture())
    reporter.messages.clear()
    again = debian.resolve(NGINX, debian.settle(ArtifactChoice()), own_architecture())
    debian.fetch([again])
    assert again == first
    assert reporter.messages == []


def test_a_locked_package_is_fetched_from_the_pool_when_the_index_names_it_no_more(
    debian: DebianPackages, reporter: Silent, tmp_path: Path
) -> None:
    component = COMPONENTS["node-exporter"]
    locked = debian.resolve(component, debian.settle(ArtifactChoice()), own_architecture())
    (archive,) = locked.archives
    # The index knows packages by name; one that it does not know stands for one that it no longer knows.
    renamed = replace(archive, entry=replace(archive.entry, name="gone_1_amd64.deb"))
    empty = ArtifactCache(tmp_path / "empty")
    DebianPackages(cache_folder("artifacts") / "apt", empty, reporter).fetch([replace(locked, archives=(renamed,))])
    assert empty.verify(archive.entry.digest) is not None


def test_a_locked_package_that_is_gone_is_reported_with_the_way_on(
    debian: DebianPackages, reporter: Silent, tmp_path: Path
) -> None:
    locked = debian.resolve(COMPONENTS["node-exporter"], debian.settle(ArtifactChoice()), own_architecture())
    (archive,) = locked.archives
    gone = replace(
        archive, entry=replace(archive.entry, name="gone_1_amd64.deb"), location="pool/main/g/gone/gone_1_amd64.deb"
    )
    empty = ArtifactCache(tmp_path / "empty")
    with pytest.raises(Unreachable) as caught:
        DebianPackages(cache_folder("artifacts") / "apt", empty, reporter).fetch([replace(locked, archives=(gone,))])
    assert caught.value.code == "locked-package-gone"
    assert "observability lock --update" in caught.value.do


def test_what_the_suite_lacks_is_named_with_what_it_has(debian: DebianPackages) -> None:
    choice = debian.settle(ArtifactChoice(version="1.2.3"))
    with pytest.raises(UsageError) as caught:
        debian.resolve(PROMETHEUS, choice, own_architecture())
    assert caught.value.code == "package-not-found"
    assert "it has 2." in caught.value.where or "it has 3." in caught.value.where


def test_a_program_that_needs_a_newer_c_library_is_refused_before_anything_is_fetched(
    debian: DebianPackages, tmp_path: Path, reporter: Silent
) -> None:
    own = os.confstr("CS_GNU_LIBC_VERSION")
    assert own is not None
    empty = ArtifactCache(tmp_path / "empty")
    picky = DebianPackages(cache_folder("artifacts") / "apt", empty, reporter)
    with pytest.raises(UsageError) as caught:
        picky.resolve(JOURNAL_REMOTE, ArtifactChoice(suite="sid"), own_architecture())
    assert caught.value.code == "c-library-too-old"
    assert own.removeprefix("glibc ") in caught.value.where
    assert not (tmp_path / "empty/sha256").exists()


def copy_of_sources(folder: Path, change: tuple[str, str]) -> Path:
    """The machine's sources as apt's configuration folder, with one thing in them changed."""
    (folder / "sources.list.d").mkdir(parents=True)
    for number, source in enumerate(read_sources(Path("/etc/apt"))):
        values = {"uri": source.uri, "signed_by": source.signed_by, change[0]: change[1]}
        (folder / f"sources.list.d/{number}.sources").write_text(
            f"Types: deb\nURIs: {values['uri']}\nSuites: {source.suite}\nComponents: {' '.join(source.components)}\n"
            f"Signed-By: {values['signed_by']}\n"
        )
    return folder


def test_a_suite_signed_by_an_unknown_key_is_refused(
    shared_cache: ArtifactCache, reporter: Silent, tmp_path: Path
) -> None:
    # The removed keys are a real keyring of the archive in which no key that signs today is.
    keyring = "/usr/share/keyrings/debian-archive-removed-keys.gpg"
    etc = copy_of_sources(tmp_path / "etc", ("signed_by", keyring))
    untrusting = DebianPackages(tmp_path / "apt", shared_cache, reporter, etc=etc)
    with pytest.raises(ChangeFailed) as caught:
        untrusting.resolve(PROMETHEUS, untrusting.settle(ArtifactChoice()), own_architecture())
    assert caught.value.code == "suite-not-trusted"
    assert "debian-archive-keyring" in caught.value.do


def test_an_archive_that_cannot_be_reached_is_named(
    shared_cache: ArtifactCache, reporter: Silent, tmp_path: Path
) -> None:
    etc = copy_of_sources(tmp_path / "etc", ("uri", "http://127.0.0.1:1/debian"))
    away = DebianPackages(tmp_path / "apt", shared_cache, reporter, etc=etc)
    with pytest.raises(Unreachable) as caught:
        away.resolve(PROMETHEUS, away.settle(ArtifactChoice()), own_architecture())
    assert caught.value.code == "archive-unreachable"


def test_a_machine_without_sources_is_told_to_use_another_source(
    shared_cache: ArtifactCache, reporter: Silent, tmp_path: Path
) -> None:
    bare = DebianPackages(tmp_path / "apt", shared_cache, reporter, etc=tmp_path / "nothing")
    choice = bare.settle(ArtifactChoice())
    assert choice.suite
    with pytest.raises(UsageError) as caught:
        bare.resolve(PROMETHEUS, choice, own_architecture())
    assert caught.value.code == "no-package-sources"


def test_one_run_reads_the_index_of_a_suite_once_for_all_components(
    shared_cache: ArtifactCache, reporter: Silent
) -> None:
    fresh = DebianPackages(cache_folder("artifacts") / "apt", shared_cache, reporter, max_age_s=0.0)
    choice = fresh.settle(ArtifactChoice())
    for component in (PROMETHEUS, NGINX):
        fresh.resolve(component, choice, own_architecture())
    assert sum("package index" in message for message in reporter.messages) == 1
